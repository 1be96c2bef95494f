"""A story as an object, and the world that makes it happen.

A `Story` is plain data: characters, things and places by role, and events in order, each with who, whom, what, where.
A `World` makes events happen one by one. An event has needs and effects on a set of facts such as ("has", "hero",
"thing"): what needs are not met cannot happen, and what happened is true from then on. Shapes: none.
Run by `python datasets/storyland.py`.
"""

from dataclasses import asdict, dataclass, field

from lexicon import HABITAT, KINDS, LIKES, PLACES, SUMMER, THINGS, TRAITS, WEATHER, WINTER, names_for


@dataclass
class Character:
    id: str
    name: str
    kind: str
    pronoun: str
    trait: str
    look: str
    likes: str
    ref: str = "name"  # how the text refers to it: by name, by kind ("the baker"), or as kin ("his mom")
    of: str = "hero"  # whose mom, for kin
    wish: str = ""
    relation: str = ""

    @property
    def tags(self):
        return KINDS[self.kind].tags | {self.trait, self.relation, self.ref}

    @property
    def size(self):
        return KINDS[self.kind].size

    @property
    def call(self):
        """What others call it to its face."""
        if self.ref == "name":
            return self.name
        return (
            self.kind.title()
            if self.ref == "kin"
            else f"dear {self.kind}"
            if self.size < 5
            else f"good {self.kind}"
        )


@dataclass
class Thing:
    id: str
    noun: str
    adjective: str = ""
    owner: str = ""

    @property
    def tags(self):
        return THINGS[self.noun].tags

    @property
    def pronoun(self):
        return THINGS[self.noun].pronoun


@dataclass
class Event:
    kind: str
    who: str | None = None
    whom: str | None = None
    what: str | None = None
    where: str | None = None
    detail: dict = field(default_factory=dict)
    beat: str = ""  # opening, problem, attempt, help, turn, ending
    paragraph: bool = False  # begins a paragraph


@dataclass
class Story:
    plot: str
    weather: str = "sunny"
    time: str = "morning"
    month: str = "May"
    characters: dict = field(default_factory=dict)
    things: dict = field(default_factory=dict)
    places: dict = field(default_factory=dict)
    topic: list = field(default_factory=list)  # [table, row] of topics.py that the story is about
    events: list = field(default_factory=list)
    lesson: str = ""

    def topic_row(self):
        from topics import TOPICS

        table, row = self.topic
        return TOPICS[table][row]

    def beat(self, name):
        """The events of one part: opening, problem, attempt, help, turn or ending."""
        return [event for event in self.events if event.beat == name]

    def to_json(self):
        """The story as plain dictionaries, lists and strings."""
        return asdict(self)

    @classmethod
    def from_json(cls, data):
        """The inverse of to_json."""
        data = dict(data)
        data["characters"] = {key: Character(**value) for key, value in data["characters"].items()}
        data["things"] = {key: Thing(**value) for key, value in data["things"].items()}
        data["events"] = [Event(**value) for value in data["events"]]
        return cls(**data)


class World:
    """Casts a story and lets its events happen. `facts` is what is true now, as tuples of words."""

    def __init__(self, plot, rng, events):
        self.rng, self.rules = rng, events
        self.story = Story(
            plot,
            self.pick(WEATHER),
            self.pick(["morning", "morning", "afternoon", "afternoon", "day", "day", "evening"]),
        )
        self.facts = set()
        self.at_beat = "opening"
        self.new_paragraph = False

    # -- chance --------------------------------------------------------------------------------------------

    def pick(self, items):
        return items[self.rng.below(len(items))]

    def chance(self, percent):
        return self.rng.below(100) < percent

    def weather(self, *allowed):
        self.story.weather = self.pick(allowed)

    # -- casting -------------------------------------------------------------------------------------------

    def character(self, role, kind, ref="name", relation="", pronoun=None, of="hero"):
        """Add a character of a kind; its name is used by nobody else in the story."""
        tags = KINDS[kind].tags
        fixed = {"girl": "she", "boy": "he"}.get(kind) or (
            "she" if "she" in tags else "he" if "he" in tags else None
        )
        if kind in ("aunt", "big sister"):
            fixed = "she"
        if kind in ("uncle", "big brother"):
            fixed = "he"
        pronoun = fixed or pronoun or self.pick(["he", "she"])
        taken = {c.name for c in self.story.characters.values()}
        name = self.pick([n for n in names_for(kind, pronoun) if n not in taken])
        likes = LIKES.get(KINDS[kind].group) or LIKES["child"]
        person = Character(
            role,
            name if ref == "name" else kind,
            kind,
            pronoun,
            self.pick(TRAITS),
            self.pick(KINDS[kind].looks),
            self.pick(likes).replace("their", {"he": "his", "she": "her"}[pronoun]),
            ref,
            of,
            relation=relation,
        )
        self.story.characters[role] = person
        for tag in sorted(tags):
            self.facts.add(("can", role, tag))
        return person

    def hero(self, *groups, least=0):
        """The hero: a child more often than not, where the plot allows it."""
        groups = groups or (
            "child",
            "child",
            "child",
            "child",
            "forest",
            "forest",
            "pet",
            "farm",
            "pond",
            "jungle",
            "snow",
            "bird",
        )
        group = self.pick(groups)
        kinds = [
            k.noun
            for k in KINDS.values()
            if (
                group in (k.group, k.noun)
                or group in k.tags
                and len(groups) == 1
                and k.group not in ("kin", "worker")
                or group == k.noun
            )
            and k.size >= least
        ]
        return self.character("hero", self.pick(kinds))

    def peer(self, role="friend", relation="friend", distinct=False, pronoun=None):
        """Somebody of the hero's own world and about its size."""
        hero = self.story.characters["hero"]
        group = KINDS[hero.kind].group
        if group == "child" or hero.kind in ("princess", "prince"):
            kinds = ["girl", "boy"]
        elif group == "made":
            kinds = {"toys": ["teddy bear", "rag doll", "tin soldier"], "sky": ["cloud", "star"]}.get(
                HABITAT[hero.kind][0]
            ) or ["rabbit", "squirrel", "mouse", "fox", "hedgehog"]
        else:
            kinds = [
                k.noun
                for k in KINDS.values()
                if k.group == group and abs(k.size - hero.size) <= 2 and (k.noun != hero.kind or not distinct)
            ]
        return self.character(role, self.pick(kinds), relation=relation, pronoun=pronoun)

    def grown_up(self, role="helper"):
        """Kin of a child; somebody old and wise of an animal's world."""
        hero = self.story.characters["hero"]
        group = KINDS[hero.kind].group
        if group == "child":
            return self.character(
                role,
                self.pick(
                    [
                        "mom",
                        "mom",
                        "dad",
                        "dad",
                        "grandma",
                        "grandpa",
                        "aunt",
                        "uncle",
                        "big sister",
                        "big brother",
                    ]
                ),
                "kin",
                "kin",
            )
        if group in ("made", "bird"):
            return self.character(role, "owl", self.pick(["name", "kind"]), "neighbor")
        return self.character(role, self.pick(["mom", "dad", "grandma", "grandpa"]), "kin", "kin")

    def place(self, role="place", *tags, without=()):
        """A place where the hero is at home that has all the tags and none of the others."""
        hero = self.story.characters["hero"]
        home = HABITAT.get(hero.kind) or HABITAT[KINDS[hero.kind].group]

        def fits(place):
            return (
                set(tags) <= place.tags
                and not set(without) & place.tags
                and place.key not in self.story.places.values()
            )

        keys = [p.key for p in PLACES.values() if fits(p) and set(home) & p.tags]
        if KINDS[hero.kind].group == "child" and self.chance(25):  # the common places of children's stories
            keys = [
                k for k in keys if k in ("the park", "the garden", "the beach", "the forest", "the backyard")
            ] or keys
        key = self.pick(keys or [p.key for p in PLACES.values() if fits(p)])
        self.story.places[role] = key
        self.season(PLACES[key].tags)
        return PLACES[key]

    def season(self, tags):
        """Weather and month that suit a place: snow in winter, no fog in the desert, nothing in bloom in January."""
        if "snow" in tags:
            self.story.weather, months = self.pick(WINTER), "December January February"
        elif tags & {"sea", "jungle", "sand", "undersea"}:
            self.story.weather, months = self.pick(SUMMER), "May June July August September"
        else:
            months = (
                "June July August"
                if self.story.weather == "hot"
                else "April May June July August September October"
            )
        self.story.month = self.pick(months.split())

    def fun(self, place):
        """Something that the hero does for fun in a place: children what one does there, animals what they like."""
        hero = self.story.characters["hero"]
        group = KINDS[hero.kind].group
        if group in ("child", "made", "sea", "snow", "jungle", "bug"):
            return self.pick(place.fun)
        return self.pick([like for like in LIKES.get(group, LIKES["child"]) if "their" not in like])

    def thing(self, role, *tags, without=(), owner="hero", most=None):
        """A thing with the tags, no larger than its owner can handle."""
        size = self.story.characters[owner].size if owner in self.story.characters else 4
        most = most if most is not None else max(1, size if size < 4 else size - 1)
        nouns = [
            t.noun
            for t in THINGS.values()
            if set(tags) <= t.tags
            and not set(without) & t.tags
            and t.size <= most
            and t.noun not in [o.noun for o in self.story.things.values()]
        ]
        noun = self.pick(nouns)
        made = Thing(role, noun, self.pick(THINGS[noun].adjectives), owner)
        self.story.things[role] = made
        if owner in self.story.characters:
            self.facts.add(("has", owner, role))
        return made

    def named_thing(self, role, noun, owner):
        """This very thing, and whose it is."""
        self.story.things[role] = Thing(role, noun, self.pick(THINGS[noun].adjectives), owner)
        self.facts.add(("has", owner, role))
        return self.story.things[role]

    def topic(self, table, fits=lambda row: True):
        """What the story is about: one row of a table of topics.py."""
        from topics import TOPICS

        row = self.pick([key for key, value in TOPICS[table].items() if fits(value)])
        self.story.topic = [table, row]
        return TOPICS[table][row]

    def fix(self, template):
        """Settle the alternatives of a phrase now, so that it reads the same each time it is told."""
        while "[" in template:
            head, _, tail = template.rpartition("[")
            inner, _, tail = tail.partition("]")
            template = head + self.pick(inner.split("|")) + tail
        return template

    # -- happening -----------------------------------------------------------------------------------------

    def beat(self, name):
        self.at_beat, self.new_paragraph = name, True

    def true(self, fact):
        return tuple(fact.split()) in self.facts

    def ground(self, fact, event):
        """A rule's fact with its roles filled in: 'has who what' -> ('has', 'hero', 'ball')."""
        roles = {"who": event.who, "whom": event.whom, "what": event.what, "where": event.where}
        return tuple(roles.get(word, word) for word in fact.split())

    def can_happen(self, kind, **roles):
        """Whether the event's needs are met now."""
        event = Event(kind, **roles)
        return all(
            (self.ground(need.removeprefix("!"), event) in self.facts) != need.startswith("!")
            for need in self.rules[kind].needs
        )

    def do(self, kind, who="hero", whom=None, what=None, where=None, **detail):
        """Let one event happen: check what it needs, apply what it changes, write it down."""
        if not self.can_happen(kind, who=who, whom=whom, what=what, where=where):
            raise ValueError(
                f"{self.story.plot}: {kind} {who} {whom} {what} cannot happen: needs {self.rules[kind].needs}"
            )
        event = Event(kind, who, whom, what, where, detail, self.at_beat, self.new_paragraph)
        for effect in self.rules[kind].effects:
            fact = self.ground(effect[1:], event)
            (self.facts.add if effect[0] == "+" else self.facts.discard)(fact)
        self.story.events.append(event)
        self.new_paragraph = False
        return event

    def maybe(self, percent, kind, **roles):
        """Perhaps let an event happen: where chance and its needs allow it."""
        cast = {"who": "hero", **{k: v for k, v in roles.items() if k in ("who", "whom", "what", "where")}}
        if self.chance(percent) and self.can_happen(kind, **cast):
            self.do(kind, **roles)
