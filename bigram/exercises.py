"""The chapter's exercises, to be written here. The README says what each is about.

    python bigram/exercises.py                      which of them pass
    pytest tests/test_bigram.py --mine -k answers   the same, with pytest's reports
"""

import sys

from checks import CHECKS, run_checks


def temperature(row, t):
    """The row with its differences sharpened (t below 1) or flattened (t above 1).

    row: a list of probabilities that sum to 1; t: a number of at least 0. Returns a list as long: each
    probability to the power of 1 / t, divided by the sum of them all. With t = 1 nothing changes. As t nears 0
    only the largest is left: for t = 0 return 1.0 for it (the first of equals) and 0.0 for the others.
    """
    raise NotImplementedError


def kneser_ney_bigram(counts, discount):
    """Kneser-Ney for pairs, with one discount D for all counts.

    counts: V lists of V, counts[a][b] how often b came after a; 0 < discount < 1. Returns V lists of V:

        p(b|a) = max(counts[a][b] - D, 0) / total(a) + D * followers(a) / total(a) * p(b)

    total(a): the sum of row a. followers(a): how many different b came after a. p(b): after how many different
    symbols b came, divided by the number of pairs (a, b) that came at all. A row without counts is p itself.
    """
    raise NotImplementedError


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
