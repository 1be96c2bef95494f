"""The chapter's exercises, to be written here. The README says what each is about.

    python datasets/exercises.py                      which of them pass
    pytest tests/test_datasets.py --mine -k answers   the same, with pytest's reports
"""

import sys

from checks import CHECKS, run_checks


def contaminated(valid, train, n=13):
    """The numbers of the stories in `valid` that share a run of n words with a story in `train`, in order.

    valid, train: lists of stories. Words are what dedup.WORD finds in the story in small letters. A story
    of fewer than n words shares nothing. Look at each story once: train may have millions.
    """
    raise NotImplementedError


def best_fit(lengths, T):
    """Packs whole stories into rows of at most T tokens, as few as you can: a list of lists of numbers.

    lengths: tokens of each story, each from 1 to T. Every story is in exactly one row. Best fit decreasing:
    take the stories from the longest to the shortest, and put each where the least room is left after it.
    """
    raise NotImplementedError


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
