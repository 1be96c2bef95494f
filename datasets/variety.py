"""The last touch to a sentence: who speaks may stand in front or behind, and two short sentences may become one."""

import re

import english

FILLED = re.compile(r'"(oh|well), ([A-Z](?=[a-z])|A(?= ))')
MERGE = re.compile(r"(?<![^.] )([A-Z][^\".!?,]{14,70})\. (He|She|They) ([a-z][^\".!?]{8,60})\.")
VERBS = (
    "said|asked|whispered|cried|laughed|called|answered|replied|added|wondered|sighed|sobbed|mumbled|murmured|shouted|exclaimed|"
    "sang|beamed|cheered|snapped|grumbled|growled|huffed|begged|gasped|breathed|yelled"
)
NAMED = r"(?:(?:Mrs?\. )?(?!Mrs?\b)[A-Z]\w+(?:'s (?:big )?[a-z]+)?|the [a-z ]+?)"
TAIL = r"((?: (?:softly|quietly|slowly|sadly|kindly|gently|crossly|happily|joyfully|merrily|at once|at last|after a moment|in a low voice)"
TAIL += r"|(?: (?:with|in) a [a-z ]+))?)"
SPEECH = re.compile(
    rf'"([^"]+?)([,?])" (?:([hs]he|they|{NAMED}) ({VERBS}){TAIL}|({VERBS}) ({NAMED}){TAIL})\.(?! ")'
)


def merged(match, rng):
    """Two short sentences about the same one, now and then joined into one."""
    first, pronoun, second = match.groups()
    if " and " in first or rng.below(100) < 55:
        return match.group()
    return f"{first}, and {pronoun.lower()} {second}."


def turned(match, rng):
    """Speech with who says it in front: '"Come," he said.' becomes 'He said, "Come."' now and then."""
    words, mark, who, verb, tail, verb2, who2, tail2 = match.groups()
    if rng.below(100) < 55:
        return match.group()
    tag = english.capitalize(f"{who} {verb}{tail}" if who else f"{who2} {verb2}{tail2}")
    return f'{tag}, "{words}{"." if mark == "," else mark}"'


def vary(text, rng):
    """The text of one event with some of its speech turned around and some of its sentences joined."""
    text = SPEECH.sub(lambda match: turned(match, rng), text)
    return MERGE.sub(lambda match: merged(match, rng), text)


def unfilled(text):
    """A small letter after an interjection that was put in front: '"Oh, come."' for '"Oh, Come."'."""
    return (
        FILLED.sub(lambda match: f'"{match.group(1)}, {match.group(2).lower()}', text)
        if '"' in text
        else text
    )
