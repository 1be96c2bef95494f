"""What a reader calls one character: grapheme clusters, by the rules of the Unicode Standard, and columns of a terminal.

New: text has a level above code points. The rules stand here; which character is of which kind is data, 1,114,112
answers, and those come from the `regex` library (which also has the whole thing, as \\X: the tests compare). Left out on
purpose: what single languages add (Slovak counts ch as one letter), ligatures, and what a font really draws.
Imported by strings.py, which shows it.

Papers: Unicode Standard Annex 29, "Unicode Text Segmentation"; Annex 11, "East Asian Width".
"""

from functools import lru_cache

import regex

KINDS = ("CR", "LF", "Control", "Extend", "ZWJ", "Regional_Indicator", "Prepend", "SpacingMark", "L", "V", "T", "LV", "LVT")
KIND_PATTERN = regex.compile("|".join(rf"(?P<{kind}>\p{{Grapheme_Cluster_Break={kind}}})" for kind in KINDS))
INDIC_PATTERN = regex.compile("|".join(
    rf"(?P<{kind}>\p{{Indic_Conjunct_Break={kind}}})" for kind in ("Consonant", "Extend", "Linker")))  # fmt: skip
PICTOGRAPHIC = regex.compile(r"\p{Extended_Pictographic}")


@lru_cache(maxsize=65536)
def kind_of(character):
    """(kind in the rules, kind in the rule for Indic scripts, whether it is a pictograph)"""
    kind, indic = KIND_PATTERN.match(character), INDIC_PATTERN.match(character)
    return kind and kind.lastgroup, indic and indic.lastgroup, PICTOGRAPHIC.match(character) is not None


def joined(a, b, flags, conjunct, picture):
    """Whether no boundary stands between two neighbors of the kinds a and b, the rules in their order.

    flags: how many regional indicators stand in a row up to a. conjunct: a consonant and a linker came before.
    picture: a pictograph, marks and a joiner came before.
    """
    (kind, _, _), (following, indic, pictograph) = a, b
    if (kind, following) == ("CR", "LF"):
        return True  # GB3: a line end of Windows is one
    if {kind, following} & {"CR", "LF", "Control"}:
        return False  # GB4, GB5
    if kind == "L" and following in ("L", "V", "LV", "LVT"):
        return True  # GB6 to GB8: the parts of a Korean syllable
    if (kind in ("LV", "V") and following in ("V", "T")) or (kind in ("LVT", "T") and following == "T"):
        return True
    if following in ("Extend", "ZWJ", "SpacingMark") or kind == "Prepend":
        return True  # GB9, GB9a, GB9b: marks belong to what stands before them, a few signs to what follows
    if conjunct and indic == "Consonant":
        return True  # GB9c: consonants joined by a linker
    if picture and pictograph:
        return True  # GB11: pictures joined by a zero-width joiner
    return kind == following == "Regional_Indicator" and flags % 2 == 1  # GB12, GB13: two of them are a flag


def graphemes(text):
    """A text cut into extended grapheme clusters: a list of strings that together are the text."""
    clusters, before = [], None
    flags, conjunct, picture = 0, None, None
    for character in text:
        kind, indic, pictograph = here = kind_of(character)
        if before and joined(before, here, flags, conjunct == "linked", picture == "joined"):
            clusters[-1] += character
        else:
            clusters.append(character)
        flags = flags + 1 if kind == "Regional_Indicator" else 0
        if indic == "Consonant":
            conjunct = "begun"
        elif indic == "Linker" and conjunct:
            conjunct = "linked"
        elif indic is None:
            conjunct = None
        if pictograph:
            picture = "begun"
        elif kind == "ZWJ" and picture == "begun":
            picture = "joined"
        elif not (kind == "Extend" and picture == "begun"):
            picture = None
        before = here
    return clusters


def columns(text):
    """How many columns of a terminal a text takes: marks none, Chinese, Japanese, Korean and most pictures two.

    A cluster takes what its widest character takes. (Terminals differ; many add up the characters of a joined picture.)
    """
    return sum(2 if "\ufe0f" in cluster or kind_of(cluster[0])[0] == "Regional_Indicator" and len(cluster) > 1
               else max(map(character_columns, cluster)) for cluster in graphemes(text))  # fmt: skip


def character_columns(character):
    """0, 1 or 2 columns for one code point on its own."""
    if regex.match(r"[\p{Mn}\p{Me}\p{Cf}\p{Cc}]|\p{GCB=V}|\p{GCB=T}", character):
        return 0
    return 2 if regex.match(r"\p{East_Asian_Width=Wide}|\p{East_Asian_Width=Fullwidth}", character) else 1
