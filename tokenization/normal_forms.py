"""Two strings that look the same: normal forms, NFD, NFC, NFKD and NFKC, written out.

New: different code points for the same text, and a form of each text that decides. What a character is made of, and
the order of marks, is data and comes from Python's `unicodedata`; what to do with it stands here, and Korean syllables
are computed. Left out on purpose: the quick check of text that is in its form already. Imported by strings.py.

Paper: Unicode Standard Annex 15, "Unicode Normalization Forms".
"""

import unicodedata
from functools import cache

# Korean: 19 leading consonants, 21 vowels, 27 trailing consonants or none, and a code point for each combination.
SYLLABLES, LEADING, VOWELS, TRAILING = 0xAC00, 0x1100, 0x1161, 0x11A7
N_LEADING, N_VOWELS, N_TRAILING = 19, 21, 28
# Where characters with two parts stand that NFC does not put together, by a list of the standard: in some scripts the
# parts are what people write, and a few characters came too late. (first, last) code points.
EXCLUDED = [(0x958, 0x95F), (0x9DC, 0xA5E), (0xB5C, 0xB5D), (0xF43, 0xFB9), (0x2ADC, 0x2ADC), (0xFB1D, 0xFB4E),
            (0x1D15E, 0x1D1C0)]  # fmt: skip


def split_syllable(syllable):
    """A Korean syllable as two or three letters, by division: no table is needed."""
    index = ord(syllable) - SYLLABLES
    lead, vowel, trail = index // (N_VOWELS * N_TRAILING), index // N_TRAILING % N_VOWELS, index % N_TRAILING
    return chr(LEADING + lead) + chr(VOWELS + vowel) + (chr(TRAILING + trail) if trail else "")


def join_syllable(a, b):
    """The syllable of a leading consonant and a vowel, or of a syllable and a trailing consonant; else None."""
    lead, vowel, trail = ord(a) - LEADING, ord(b) - VOWELS, ord(b) - TRAILING
    if 0 <= lead < N_LEADING and 0 <= vowel < N_VOWELS:
        return chr(SYLLABLES + (lead * N_VOWELS + vowel) * N_TRAILING)
    index = ord(a) - SYLLABLES
    if 0 <= index < N_LEADING * N_VOWELS * N_TRAILING and index % N_TRAILING == 0 and 0 < trail < N_TRAILING:
        return chr(ord(a) + trail)
    return None


def decompose(character, compatible):
    """A character's parts, and their parts. compatible: also where only the look differs (ligatures, wide letters)."""
    if 0 <= ord(character) - SYLLABLES < N_LEADING * N_VOWELS * N_TRAILING:
        return split_syllable(character)
    kind, _, parts = f" {unicodedata.decomposition(character)}".rpartition("> ")
    if not parts.strip() or (kind and not compatible):
        return character
    return "".join(decompose(chr(int(part, 16)), compatible) for part in parts.split())


def marks_in_order(text):
    """Marks after a letter in the order of their class, those of one class left as they stand: below before above."""
    out = []
    for character in text:
        rank, i = unicodedata.combining(character), len(out)
        while rank and i and unicodedata.combining(out[i - 1]) > rank:
            i -= 1
        out.insert(i, character)
    return "".join(out)


@cache
def compositions():
    """{(first, second): character}: the decompositions into two, read backward, without the excluded ones."""
    table = {}
    for code in range(0x110000):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and parts[0][0] != "<" and not any(a <= code <= b for a, b in EXCLUDED):
            first, second = (chr(int(part, 16)) for part in parts)
            if not unicodedata.combining(chr(code)) and not unicodedata.combining(first):
                table[first, second] = chr(code)
    return table


def compose(text):
    """Letters and the marks after them put together where there is a character for both, from left to right."""
    out, start, last = [], None, 0  # start: the place of the letter that marks go to; last: class of what stands between
    for character in text:
        rank = unicodedata.combining(character)
        if start is not None and (start == len(out) - 1 or last < rank):
            both = join_syllable(out[start], character) or compositions().get((out[start], character))
            if both:
                out[start] = both
                continue
        if rank == 0:
            start = len(out)
        last = rank
        out.append(character)
    return "".join(out)


def normal_form(form, text):
    """The text in the form NFD, NFC, NFKD or NFKC: taken apart, marks in order, for the forms with C put together."""
    parts = marks_in_order("".join(decompose(character, compatible="K" in form) for character in text))
    return compose(parts) if form.endswith("C") else parts
