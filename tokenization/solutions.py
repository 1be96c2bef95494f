"""Answers to the exercises that are written. Try exercises.py first.

    python tokenization/solutions.py          the same checks, on these
"""

import sys

from checks import CHECKS, run_checks


def complete_length(data):
    """The last character begins at the last byte that is not 10xxxxxx; its first bits say how long it is."""
    start = len(data) - 1
    while start >= 0 and data[start] & 0b1100_0000 == 0b1000_0000:
        start -= 1
    if start < 0:
        return 0
    first = data[start]
    length = 1 if first < 0b1100_0000 else 2 if first < 0b1110_0000 else 3 if first < 0b1111_0000 else 4
    return len(data) if start + length <= len(data) else start


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


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
