"""Answers to the exercises that are written. Try exercises.py first.

    python tokenization/solutions.py          the same checks, on these
"""

import sys

from checks import CHECKS, run_checks
from graphemes import graphemes
from tokenizer import PATTERN


def cut_to_bytes(text, limit):
    """Cluster by cluster, as long as the bytes last."""
    kept = []
    for cluster in graphemes(text):
        limit -= len(cluster.encode("utf-8"))
        if limit < 0:
            break
        kept.append(cluster)
    return "".join(kept)


def right_digits():
    """One to three digits, after which only whole threes follow up to the number's end."""
    return PATTERN.replace(r"\p{N}{1,3}", r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))")


def encode_by_rank(word, ranks):
    """Quadratic in the word's length, which is short."""
    parts = [bytes([byte]) for byte in word]
    while True:
        pairs = [(ranks[a + b], i) for i, (a, b) in enumerate(zip(parts, parts[1:])) if a + b in ranks]
        if not pairs:
            return [ranks[part] for part in parts]
        _, i = min(pairs)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]


def merges_from_ranks(ranks):
    """With the tokens of lower rank only, a token is two pieces: those that its merge joined."""
    merges, known, by_rank = [], {}, sorted(ranks, key=ranks.get)
    for token in by_rank:
        if len(token) > 1:
            left, right = encode_by_rank(token, known)
            merges.append((by_rank[left], by_rank[right]))
        known[token] = ranks[token]
    return merges


def piece_starts(letters, spaces, n):
    """Three kinds of beginnings."""
    words = letters & ~(letters << 1) & ~(spaces << 1)  # a word without a space before it
    runs = spaces & ~(spaces << 1)  # the first of several spaces
    last = spaces & (letters >> 1)  # the last one, where a word follows
    return words | runs | last


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
