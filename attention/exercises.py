"""The chapter's exercises, to be written here. The README says what each is about.

    python attention/exercises.py                       which of them pass
    pytest tests/test_attention.py --mine -k answers    the same, with pytest's reports
"""

import sys

from checks import CHECKS, run_checks


def relative_attention(q, k, v, table):
    """Causal attention in which a score also depends on the distance, by a learned row for each (Shaw, 2018).

    q, k, v: (B, H, T, D). table: (R, D); the score of token t with s <= t is q_t · (k_s + table[t - s]) / sqrt(D),
    where all distances of R - 1 and more share the last row. Returns (B, H, T, D); gradients flow to all four.
    """
    raise NotImplementedError


def alibi_as_keys(q, k, slope):
    """ALiBi without a bias: q and k with one number more, (B, H, T, D + 1) each.

    causal_attention of the two results and any v is ALiBi's attention: the shares are the softmax of
    q_t · k_s / sqrt(D) - slope (t - s). slope: one number, for all heads. Two hints: softmax does not notice what is
    added to all scores of a row, and causal_attention will divide by the square root of the new width.
    """
    raise NotImplementedError


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
