"""The chapter's exercises, to be written here. The README says what each is about.

    python tokenization/exercises.py                             which of them pass
    pytest tests/test_tokenization_lesson.py --mine -k answers   the same, with pytest's reports
"""

import sys

from checks import CHECKS, run_checks


def cut_to_bytes(text, limit):
    """The longest beginning of `text` that has at most `limit` bytes in UTF-8 and tears no character.

    text: str; limit: an int of at least 0. A character is what a reader takes for one: a letter with its marks, a flag, a
    family, a syllable, so a grapheme cluster. Returns a str, which may be empty. Every database needs it.
    """
    raise NotImplementedError


def right_digits():
    """A split pattern like GPT-4's (PATTERN in tokenizer.py), but with numbers cut in threes from the right.

    1234567 is 1, 234, 567, as people write it with commas, and no longer 123, 456, 7. All else stays as it is. Returns a
    str, a regular expression for the library `regex`.
    """
    raise NotImplementedError


def encode_by_rank(word, ranks):
    """The ids of one word, from the ranks alone.

    word: bytes; ranks: {token as bytes: id}, all 256 single bytes among them. No merges are given: of all
    neighbors whose bytes together are a token, join those of the lowest id, the leftmost first, until
    none is left. It is what tiktoken does, whose files hold nothing else. Returns a list of ids.
    """
    raise NotImplementedError


def merges_from_ranks(ranks):
    """The merges that made a vocabulary, from the ranks alone.

    ranks as above. Returns [(left, right)] as pairs of bytes, in order of rank, one for each token of
    two bytes or more. By this a file of tiktoken's becomes a tokenizer.json.
    """
    raise NotImplementedError


def piece_starts(letters, spaces, n):
    """Where pieces begin in a text of n letters and spaces, without a loop: the trick of csrc/split_fast.h.

    letters, spaces: whole numbers; bit k says whether character k is a letter, a space. Returns a number whose bit k says
    whether a piece begins at character k. Pieces are those of ` ?\\p{L}+|\\s+(?!\\S)|\\s+`. Use <<, >>, &, |, ~ only.
    """
    raise NotImplementedError


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
