"""A strict reader made of rules: what can be wrong in a told story, found by program.

Each check knows one kind of mistake: a slot that was not filled, a wrong article, an open quote, a small letter after a
full stop, a name that belongs to nobody, somebody who acts before being introduced, a pronoun that does not fit its
hero, a trouble that is forgotten before the end. tests/test_datasets.py runs them over thousands of stories, and over
stories with one planted mistake of each kind.

    python datasets/strict_reader.py        # reads 500 stories strictly (some seconds; it writes nothing)
"""

import re

import english
import names
from cli import run
from lexicon import KINDS, PLACES
from rng import PCG32

GENDERED = {"he": ("she", "her", "hers", "herself"), "she": ("he", "him", "his", "himself")}
REPEATABLE = {
    "that",
    "had",
    "tick",
    "bump",
    "thump",
    "hush",
    "hop",
    "tap",
    "one",
    "no",
    "up",
    "look",
    "knock",
    "ha",
    "drip",
}
QUESTION = r"(?:how (?:could|can|did|do|would)|where (?:is|are|did|were)|why (?:is|are|do|did|does)|may i|can (?:i|you)|will you|do you|are you|did)"
SINGLE = frozenset(name for name in names.ALL if " " not in name)


def language_faults(text):
    """Mistakes that show in the text alone."""
    faults = []
    patterns = {
        "slot or mark": r"[{}\[\]|<>^=_#;]",
        "two spaces": r"  | \n|\n ",
        "space before mark": r" [.,!?]",
        "doubled mark": r"[.,!?][.,!]|,,|\?\?",
        "small letter": r"[.!?] [a-z]|\n[a-z]|^[a-z]|(?:^|\s)\"[a-z]",
        "comma and quote": r",\"\s+[A-Z][a-z]+ \"|\"\"",
        "quote without comma": r'[a-z]" ',
        "no space": r"[.,!?][A-Za-z]|[a-z]\"[a-zA-Z]",
        "statement as question": rf'"(?:oh, |well, )?{QUESTION}\b[^".?!]*[.,]"',
        "was and were": r"\b(?:they|we|you) was\b|\b(?:he|she|it) were\b",
        "object": r"\b(?:to|with|for|at|from) (?:he|she|they|I)\b(?! )",
        "stacked": r"\b(?:very|so|really) (?:very|so|really|much too)\b|\ba (?:so|some)\b|\bthe (?:a|an|so|some|the|his|her)\b",
    }
    for name, pattern in patterns.items():
        found = re.search(
            pattern,
            text,
            re.IGNORECASE if name in ("statement as question", "was and were", "stacked") else 0,
        )
        if found:
            faults.append(f"{name}: {text[max(0, found.start() - 25) : found.end() + 25]!r}")
    if english.fix_articles(text) != text:
        faults.append("article")
    for paragraph in text.split("\n"):
        if paragraph.count('"') % 2:
            faults.append(f"open quote: {paragraph[:60]!r}")
        if not re.search(r'[.!?]"?$', paragraph):
            faults.append(f"no end: {paragraph[-40:]!r}")
    for first, second in zip(re.findall(r"[A-Za-z']+", text), re.findall(r"[A-Za-z']+", text)[1:]):
        if (
            first.lower() == second.lower()
            and first.lower() not in REPEATABLE
            and not re.search(rf"{first}[^A-Za-z']+{second}", text.replace(f"{first} {second}", ""))
        ):
            faults.append(f"twice: {first} {second}")
    return faults


def name_faults(story, text):
    """Names that nobody has, and characters who were never introduced or come in too early."""
    own = {c.name for c in story.characters.values() if c.ref == "name"}
    bare = {part for name in own for part in name.replace(".", "").split()}
    inside = set(
        re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", text)
    )  # capitals that no sentence's beginning explains
    faults = [f"stranger: {name}" for name in sorted(inside & SINGLE - bare)]
    for c in story.characters.values():
        if c.ref == "name" and c.name not in text:
            faults.append(f"missing: {c.name}")
        if c.ref == "name":
            first = text.find(c.name)
            before = text[max(0, first - 60) : first + 170]
            if c.kind not in before:
                faults.append(f"not introduced: {before!r}")
            spoken = text[:first].count('"') % 2
            if spoken:
                faults.append(f"introduced in speech: {c.name}")
    return faults


def pronoun_faults(story, text):
    """Pronouns that fit nobody in the story."""
    used = {c.pronoun for c in story.characters.values()}
    told = re.sub(r'"[^"]*"', '""', text)
    faults = []
    for pronoun, wrong in GENDERED.items():
        if used == {pronoun}:
            found = re.search(r"\b(" + "|".join(wrong) + r")\b", told, re.IGNORECASE)
            if found and story.plot not in ("noise", "weak", "narrow", "promise", "job", "journey"):
                faults.append(
                    f"pronoun {found.group()}: {told[max(0, found.start() - 40) : found.end() + 20]!r}"
                )
    return faults


def thread_faults(story, text):
    """The hero of the first sentences must be there at the end, and what was lost, broken or wanted must come back."""
    faults = []
    hero, third = story.characters["hero"], len(text) // 3
    if hero.name not in text[:third] or hero.name not in text[-third - 120 :]:
        faults.append("hero lost")
    thing = story.things.get("thing")
    if thing and thing.noun not in text[-len(text) // 2 :]:
        faults.append(f"thing lost: {thing.noun}")
    if (
        thing
        and story.plot in ("lost_thing", "stuck_thing", "mended_thing")
        and thing.noun not in text[: len(text) // 2]
    ):
        faults.append(f"thing late: {thing.noun}")
    return faults


def faults(story, text):
    """All that is wrong with a story and its text, as a list of sentences; empty for a good one."""
    return (
        language_faults(text)
        + name_faults(story, text)
        + pronoun_faults(story, text)
        + thread_faults(story, text)
    )


def main(argv=None):
    from storyland import PLOTS, make_story, tell_story

    wrong = 0
    for n in range(500):
        rng = PCG32(n)
        story = make_story(rng)
        text = tell_story(story, rng)
        for fault in faults(story, text):
            wrong += 1
            print(f"{n:4} {story.plot:14} {fault}")
    print(
        f"{wrong} faults in 500 stories of {len(PLOTS)} plots; {len(KINDS)} kinds, {len(PLACES)} places, {len(names.ALL)} names"
    )


if __name__ == "__main__":
    run(main)
