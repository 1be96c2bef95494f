"""The chapter's exercises, to be written here. The README says what each is about.

    python tokenization/exercises.py                      which of them pass
    pytest tests/test_tokenization.py --mine -k answers   the same, with pytest's reports
"""

import sys

from checks import CHECKS, run_checks


def complete_length(data):
    """How many bytes at the beginning of `data` are whole characters.

    data: UTF-8 that was cut somewhere, maybe inside its last character. Returns an int from 0 to
    len(data): data[:complete_length(data)] can be decoded, and nothing more of it can. The heart of
    StreamDecoder; do it with the bits of the bytes, without decoding.
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


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
