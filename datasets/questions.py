"""Questions that a story object answers: who, what, where, why, each with its answer.

The text need not be read for them, and so they check it: what the object answers must stand in what was told.

    python datasets/questions.py        # one story with its questions and answers (instantly; it writes nothing)
"""

from cli import run
from rng import PCG32

# Event kind -> questions and answers about its roles; {d.x} is a detail of the event, {t.x} of the story's topic.
QUESTIONS = {
    "lose": [("Who lost {what}?", "{who}"), ("What did {who} lose?", "{what}")],
    "search": [("Where did {who} look first?", "{d.spot}")],
    "find": [("Who found {what}?", "{who}"), ("Where was {what}?", "{d.spot}")],
    "find_by": [("Who found {what}?", "{whom}"), ("Where was {what}?", "{d.spot}")],
    "up_stuck": [("What got stuck?", "{what}"), ("Where did {what} get stuck?", "{d.spot}")],
    "get_ladder": [("Who got {what} down?", "{whom}")],
    "lift_up": [("Who helped to get {what} down?", "{whom}")],
    "fly_fetch": [("Who got {what} down?", "{whom}")],
    "climb_fetch": [("Who got {what} down?", "{whom}")],
    "break_own": [("What broke?", "{what}")],
    "tear_own": [("What tore?", "{what}")],
    "mend_hard": [("Who helped to mend {what}?", "{whom}")],
    "mend_cloth": [("Who helped to mend {what}?", "{whom}")],
    "mend_paper": [("Who helped to mend {what}?", "{whom}")],
    "refuse": [("Who did not want to share?", "{who}"), ("Who wanted some of what {who} had?", "{whom}")],
    "share_toy": [("What did {who} share in the end?", "{what}")],
    "share_food": [("What did {who} share in the end?", "{what}")],
    "break_it": [("Who broke {what}?", "{who}"), ("Whose was {what}?", "{whom}")],
    "confess": [("Who told the truth in the end?", "{who}")],
    "fear_start": [("What was {who} afraid of?", "{t.what}")],
    "fear_talk": [("Who helped {who} to be brave?", "{whom}")],
    "want_skill": [("What did {who} want to learn?", "{t.name}")],
    "encourage": [("Who told {who} how to do it?", "{whom}")],
    "plan_make": [("What did they make?", "{t.name}")],
    "take_load": [("Where did {who} have to go?", "{t.where}")],
    "dream_journey": [("What did {who} want to see?", "{t.goal}")],
    "set_out": [("Who went along with {who}?", "{whom}")],
    "enter": [("What did {who} want to win?", "{t.name}")],
    "good_deed": [("Whom did {who} help?", "{whom}")],
    "fall_ill": [("Who was ill?", "{whom}"), ("What did {whom} have?", "{t.name}")],
    "visit_ill": [("Who came to visit?", "{who}")],
    "plant_seed": [("What did {who} plant?", "{what}")],
    "new_one": [("Who was new?", "{whom}")],
    "offer_thing": [("What did {who} offer {whom}?", "{what}")],
    "wander": [("What did {who} run after?", "{d.lure}")],
    "reunite": [("Who found {who} again?", "{whom}"), ("Where did they meet again?", "by {d.mark}")],
    "unkind": [("Who said something unkind?", "{who}"), ("Who was hurt?", "{whom}")],
    "promise": [("Who made a promise?", "{who}")],
    "serve": [("What was {who} to eat?", "{t.dish}")],
    "rule": [("Who told {who} the rule?", "{whom}")],
    "find_stuck": [("Who was stuck?", "{t.name}")],
    "start_job": [("Whom did {who} help?", "{whom}")],
    "secret_plan": [("Whose birthday was it?", "{whom}")],
    "surprise": [("What did {whom} get?", "{what}")],
    "found_strange": [("What did {who} find?", "{what}")],
    "return_it": [("To whom did {who} give {what} back?", "{whom}")],
    "asleep": [("Who could not sleep?", "{who}")],
    "tug": [("What did they fight about?", "{what}")],
    "guest_one": [("Who was the first guest?", "{whom}")],
    "find_weak": [("Whom did they find?", "{t.who}")],
}


def plain_name(story, role):
    """How an answer names a character or a thing: 'Tim', 'the baker', 'Tim's mom', 'the ball'."""
    if role in story.things:
        return "the " + story.things[role].noun
    c = story.characters[role]
    if c.ref == "kin":
        return f"{story.characters[c.of].name}'s {c.kind}"
    return c.name if c.ref == "name" else "the " + c.kind


def fill(template, story, event):
    """A question or answer with its slots filled in."""
    for role in ("who", "whom", "what"):
        if "{" + role + "}" in template:
            template = template.replace("{" + role + "}", plain_name(story, getattr(event, role)))
    for source, values in (("d", event.detail), ("t", story.topic_row() if story.topic else {})):
        for key, value in values.items():
            template = template.replace("{" + source + "." + key + "}", value)
    return template


def questions(story):
    """[(question, answer)] about who the story is about, what happened in it, and what was learned."""
    hero = story.characters["hero"]
    pairs = [("Who is the story about?", hero.name), (f"What is {hero.name}?", hero.kind)]
    for event in story.events:
        for question, answer in QUESTIONS.get(event.kind, ()):
            pairs.append((fill(question, story, event), fill(answer, story, event)))
    if any(event.kind in ("learned", "moral") for event in story.events):
        pairs.append((f"What did {hero.name} learn?", story.lesson))
    return pairs


def main(argv=None):
    from storyland import make_story, tell_story

    rng = PCG32(3)
    story = make_story(rng)
    print(tell_story(story, rng), "\n")
    for question, answer in questions(story):
        print(f"{question} {answer}")


if __name__ == "__main__":
    run(main)
