"""From a story object to its text: templates with alternatives inside, and a memory of who was mentioned.

A template is a sentence or a few of them, with four kinds of places to fill:

    [red|blue|[very |]old]   one of these, drawn; alternatives nest and may be empty
    <happy>                  a named fragment (phrases.py), never the same wording twice if it can be helped
    {who} {what.o} {where.in} a role of the event or of the story, in a form (see `Teller.character`)
    ?guard:text              (in front of an alternative) only if the guard holds, e.g. ?hero.child: or ?!d.spot:

Pronouns are chosen here and nowhere else: a character is "he" only if the last two sentences mention nobody
else who is "he". Whoever appears for the first time is introduced ("a wise owl named Otis").
"""

import re

import english
from lexicon import KINDS, PLACES, TAGS
from phrases import AROUND, FRAGMENTS, LEADS
from templates import parse
from variety import unfilled, vary
from words import WORDS

PRONOUNS = {
    "he": ("he", "him", "his", "himself"),
    "she": ("she", "her", "her", "herself"),
    "it": ("it", "it", "its", "itself"),
    "they": ("they", "them", "their", "themselves"),
}


class Teller:
    """Tells one story. Holds what the reader has seen so far: who was introduced, and who was mentioned when."""

    def __init__(self, story, rng):
        self.story, self.rng = story, rng
        self.sentence = 0  # number of the sentence being written
        self.seen = {}  # id -> number of the sentence that last mentioned it
        self.named = {}  # id -> number of the sentence that last named it in full
        self.introduced = set()
        self.used = {}  # fragment or event -> alternatives already told
        self.quoted = False
        self.event = None
        hero = story.characters["hero"]
        self.elsewhere = bool({"sea", "snow", "sky", "water"} & hero.tags)  # no trees and no houses

    # -- choosing ------------------------------------------------------------------------------------------

    def holds(self, guard):
        """Whether a guard such as 'hero.child', '!what.plural', 'd.how=climb' or 'friend' is true."""
        if guard[0] == "!":
            return not self.holds(guard[1:])
        name, _, tag = guard.partition(".")
        if name == "d":
            key, _, value = tag.partition("=")
            found = self.event.detail.get(key)
            return found == value if value else bool(found)
        if name == "w":
            return tag in (
                self.story.weather,
                self.story.time,
                self.story.plot,
                *TAGS.get(self.story.weather, ()),
            )
        thing = self.resolve(name)
        if not tag or thing is None:
            return thing is not None and not tag
        if isinstance(thing, str):
            return tag in PLACES[thing].tags
        return tag in thing.tags or tag == getattr(thing, "pronoun", None)

    def draw(self, alternatives, key=None):
        """One of the alternatives whose guards hold; with a key, one not told before if there is one."""
        open_ = [
            i
            for i, (guards, _, land) in enumerate(alternatives)
            if not (land and self.elsewhere) and (not guards or all(map(self.holds, guards)))
        ]
        if not open_:
            return []
        if key is not None:
            used = self.used.setdefault(key, set())
            fresh = [i for i in open_ if i not in used]
            if not fresh:
                used.clear()
            open_ = fresh or open_
        i = open_[self.rng.below(len(open_))] if len(open_) > 1 else open_[0]
        if key is not None:
            used.add(i)
        return alternatives[i][1]

    def expand(self, nodes):
        out = []
        for node in nodes:
            if isinstance(node, str):
                self.watch(node)
                out.append(node)
            elif node[0] == "alt":
                out.append(self.expand(self.draw(node[1])))
            elif node[0] == "fragment":
                out.append(self.expand(self.draw(parse(FRAGMENTS[node[1]]), node[1])))
            else:
                out.append(self.slot(node[1], node[2]))
        return "".join(out)

    def watch(self, text):
        """Follow sentence ends and quotes in text that is written as it stands."""
        for mark in re.findall(r'[.!?]+(?=\s|"|$)|"', text):
            if mark == '"':
                self.quoted = not self.quoted
            elif not self.quoted:
                self.sentence += 1
            else:
                self.sentence += 0.5

    def say(self, template, event=None, key=None):
        """The text of one template for one event."""
        self.event = event or self.event
        self.quoted = False
        nodes = self.draw(parse(template), key)
        lead = (
            nodes
            and nodes[0][0] == "slot"
            and nodes[0][1] in ("who", "whom", "both")
            and nodes[0][2] in ([], ["N"])
        )
        if lead and self.event.beat in ("attempt", "help", "turn") and self.rng.below(100) < 32:
            nodes = [("alt", parse(LEADS)), *nodes]
        text = self.expand(nodes)
        text = unfilled(text)
        return english.sentences(
            english.fix_articles(re.sub(r" +([.,!?])", r"\1", re.sub(r"\s+", " ", text)).strip())
        )

    # -- filling -------------------------------------------------------------------------------------------

    def resolve(self, name):
        """A role's character, thing or place key: the event's role first, then the story's."""
        story, event = self.story, self.event
        if event is not None and name in ("who", "whom", "what", "where"):
            name = getattr(event, name)
            if name is None:
                return None
        return story.characters.get(name) or story.things.get(name) or story.places.get(name)

    def slot(self, name, forms):
        if name == "both":
            return self.both(forms)
        if name in ("d", "t", "w"):
            source = {
                "d": lambda: self.event.detail[forms[0]],
                "t": lambda: self.story.topic_row()[forms[0]],
                "w": lambda: getattr(self.story, forms[0]),
            }[name]()
            text = self.expand(self.draw(parse(source, plain=name == "d"), (name, forms[0], source)))
            return self.filtered(text, forms[1:])
        if name == "any":
            return self.filtered(
                self.expand(self.draw(parse(WORDS[forms[0]], plain=True), ("any", forms[0]))), forms[1:]
            )
        found = self.resolve(name)
        if found is None:
            raise KeyError(f"no {name} in {self.story.plot}: {self.event.kind}")
        if isinstance(found, str):
            return self.place(found, forms[0] if forms else "")
        if hasattr(found, "noun"):
            return self.filtered(self.thing(found, forms[0] if forms else ""), forms[1:])
        return self.filtered(self.character(found, forms[0] if forms else ""), forms[1:])

    def filtered(self, text, filters):
        for name in filters:
            text = getattr(english, name)(text)
        return text

    def mention(self, *ids, full=False):
        for one in ids:
            self.seen[one] = self.sentence
            if full:
                self.named[one] = self.sentence

    def clear(self, entity, pronoun, others):
        """Whether a pronoun can only mean this entity here, and its full name is not long ago."""
        now, last = self.sentence, self.seen.get(entity, -9)
        if now - last > 1 or now - self.named.get(entity, -9) > 3:
            return False
        return not any(
            now - self.seen.get(other.id, -9) <= 1
            for other in others
            if other.id != entity and other.pronoun == pronoun
        )

    def character(self, c, form):
        """Forms: none (subject), o (object), p (possessive), all three a pronoun where that is clear; N, Np by name;
        he him his self: the pronoun, whatever came before; a: introduced; call: as one is addressed; kind, adj,
        hands, sound, food: what belongs to the kind."""
        kind = KINDS[c.kind]
        plain = {
            "kind": c.kind,
            "adj": c.trait,
            "trait": c.trait,
            "hands": kind.hands,
            "hand": kind.hand,
            "sound": kind.sound,
            "food": kind.food,
            "call": c.call,
            "name": c.name,
            "likes": c.likes,
            "look": c.look,
            "walk": kind.walk,
            "walked": kind.walked,
        }.get(form)
        if plain is not None:
            if form == "name" and not self.quoted:
                self.introduced.add(c.id)
                self.mention(c.id, full=True)
            return self.expand(self.draw(parse(plain)))
        subject, object_, possessive, reflexive = PRONOUNS[c.pronoun]
        if form in ("he", "him", "his", "self"):
            self.mention(c.id)
            return {"he": subject, "him": object_, "his": possessive, "self": reflexive}[form]
        if self.quoted:
            return english.possessive(c.call) if form in ("p", "Np") else c.call
        if c.id not in self.introduced and c.id != "hero" or form == "a":
            return self.introduce(c, form)
        if not form.startswith("N") and self.clear(c.id, c.pronoun, self.story.characters.values()):
            same = self.sentence - self.seen[c.id] < 1
            if same or self.rng.below(10) < 6:
                self.mention(c.id)
                return {"": subject, "o": object_, "p": possessive}[form]
        name = c.name if c.ref == "name" else self.kin(c) if c.ref == "kin" else "the " + c.kind
        if (
            c.ref == "name"
            and not self.rng.below(14)
            and not c.name.startswith(("Mr", "Mrs"))
            and form in ("", "o")
        ):
            name = f"little {name}" if c.kind in ("girl", "boy") else f"{name} the {c.kind}"
        self.introduced.add(c.id)
        self.mention(c.id, full=True)
        return english.possessive(name) if form in ("p", "Np") else name

    def kin(self, c):
        """'his mom' or 'Tim's mom'."""
        return f"{self.character(self.story.characters[c.of], 'p')} {c.kind}"

    def introduce(self, c, form=""):
        self.introduced.add(c.id)
        if c.ref == "kin":
            text = self.kin(c)
        else:
            look = f"{c.look} " if self.rng.below(3) or c.ref == "kind" else ""
            named = {"name": f" [named|called] {c.name}", "kind": ""}[c.ref]
            text = self.expand(self.draw(parse(f"a {look}{c.kind}{named}")))
            if c.name.startswith(("Mr", "Mrs", "Miss", "Dr")):
                text = self.expand(
                    self.draw(parse(f"{c.name} the {c.kind}|a {c.kind} [named|called] {c.name}"))
                )
        self.mention(c.id, full=True)
        return english.possessive(text) if form in ("p", "Np") else text

    def both(self, forms):
        """The hero and the friend: 'Tim and Mia', or 'they'."""
        a, b = (self.story.characters[i] for i in ("hero", "friend"))
        form = forms[0] if forms else ""
        plural_things = [t for t in self.story.things.values() if t.pronoun == "they"]
        near = all(self.sentence - self.seen.get(c.id, -9) <= 1 for c in (a, b))
        extra = any(
            self.sentence - self.seen.get(c.id, -9) <= 1
            for c in self.story.characters.values()
            if c not in (a, b)
        )
        index = {"": 0, "o": 1, "p": 2}.get(form, 0)
        if form == "they" or form in ("them", "their"):
            self.mention(a.id, b.id)
            return form
        if (
            form != "N"
            and near
            and not extra
            and not any(self.sentence - self.seen.get(t.id, -9) <= 1 for t in plural_things)
            and self.rng.below(10) < 7
        ):
            self.mention(a.id, b.id)
            return ("they", "them", "their")[index]
        self.introduced.update((a.id, b.id))
        self.mention(a.id, b.id, full=True)
        names = [c.name if c.ref == "name" else "the " + c.kind for c in (a, b)]
        if self.rng.below(4) == 0:
            names.reverse()
        text = " and ".join(names)
        return english.possessive(text) if form == "p" else text

    def thing(self, t, form):
        """Forms: none (subject), o (object): 'a red ball' first, then 'the ball' or 'it'; his: with its owner's
        'his red ball'; a, the, nn (no article), noun, adj; it, they: the pronoun; was, is, has, this: agreeing."""
        many = t.pronoun == "they"
        agree = {
            "was": ("was", "were"),
            "is": ("is", "are"),
            "has": ("has", "have"),
            "this": ("this", "these"),
            "look": ("looks", "look"),
            "do": ("does", "do"),
            "adj": (t.adjective,) * 2,
            "noun": (t.noun,) * 2,
        }
        if form in agree:
            return agree[form][many]
        if form in ("it", "they"):
            self.mention(t.id)
            return PRONOUNS[t.pronoun][1 if form == "it" else 0]
        first = t.id not in self.introduced
        phrase = f"{t.adjective} {t.noun}" if t.adjective and (first or self.rng.below(3) == 0) else t.noun
        if form == "nn":
            self.mention(t.id, full=True)
            return phrase
        owner = self.story.characters.get(t.owner)
        things = self.story.things.values()
        if (
            form in ("", "o")
            and not first
            and not self.quoted
            and self.clear(t.id, t.pronoun, things)
            and self.rng.below(10) < 6
        ):
            self.mention(t.id)
            return PRONOUNS[t.pronoun][1 if form == "o" else 0]
        determiner = "the"
        if form == "his" and owner is not None and not self.quoted:
            near = self.seen.get(owner.id, -9) == self.sentence  # "Noah kept his gloves", whoever else is "he"
            determiner = self.character(owner, "his" if near else "p")
        elif form == "a" or first and form != "the":
            determiner = "" if many else "a"
            if not self.quoted:
                phrase = f"{t.adjective} {t.noun}".strip()
        if many and determiner == "":
            determiner = self.expand(self.draw(parse("some|a pair of"))) if "pair" in t.tags else "some"
        if not self.quoted:
            self.introduced.add(t.id)
        self.mention(t.id, full=True)
        return f"{determiner} {phrase}"

    def place(self, key, form):
        place = PLACES[key]
        name = place.name
        if form in ("in", "to"):
            return f"{place.preposition if form == 'in' else place.toward} {name}"
        if form == "see":
            if self.rng.below(100) < 40:
                return self.expand(
                    self.draw(
                        parse(
                            AROUND[
                                "in"
                                if "indoor" in place.tags
                                else "out"
                                if place.tags & {"wood", "farm", "pond", "bug", "home"}
                                else "far"
                            ]
                        )
                    )
                )
            return self.expand(self.draw(parse(place.senses), ("sense", key)))
        if form == "bare":
            return name.removeprefix("the ")
        return name


def tell_events(story, rng, events):
    """The whole text: each event by one of its tellings, in paragraphs. The object is not changed."""
    teller = Teller(story, rng)
    paragraphs = [[]]
    for event in story.events:
        if event.paragraph and paragraphs[-1]:
            paragraphs.append([])
            teller.sentence += 2  # a new paragraph names people again
        text = teller.say(events[event.kind].tellings, event, event.kind)
        text = vary(text, rng)
        if text:
            paragraphs[-1].append(text)
    return "\n".join(" ".join(paragraph) for paragraph in paragraphs)
