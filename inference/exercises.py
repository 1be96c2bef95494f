"""The chapter's exercises, to be written here. The README says what each is about.

    python inference/exercises.py                      which of them pass
    pytest tests/test_inference.py --mine -k answers   the same, with pytest's reports
"""

import sys

from checks import CHECKS, run_checks


def cached_step(x, W_q, W_k, W_v, keys, values):
    """Attention's answer for one new token, and the cache with that token in it.

    x: (C,), the new token; W_q, W_k, W_v: (C, D); keys, values: (T, D) of the tokens before it, T may
    be 0. All are NumPy arrays, one head, no rotary positions. Returns (y, keys, values) with y (D,) and
    keys, values (T + 1, D). Nothing may be computed twice: no product with W_k or W_v but x's own.
    """
    raise NotImplementedError


def repeats(history, n):
    """The ids that would, as the next token, repeat n tokens that stood together before.

    history: a list of ids; n: at least 1. Returns a set. Forbidding these ids (a logit of minus infinity)
    keeps a text from ever saying the same n tokens twice: "no_repeat_ngram_size" in other libraries.
    """
    raise NotImplementedError


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
