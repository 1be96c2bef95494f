"""Answers to the exercises that are written. Try exercises.py first.

    python inference/solutions.py          the same checks, on these
"""

import sys

import numpy as np

from checks import CHECKS, run_checks


def cached_step(x, W_q, W_k, W_v, keys, values):
    """The new key and value are appended first: a token sees itself."""
    keys, values = np.vstack([keys, x @ W_k]), np.vstack([values, x @ W_v])
    scores = keys @ (x @ W_q) / np.sqrt(keys.shape[1])
    weights = np.exp(scores - scores.max())
    return weights / weights.sum() @ values, keys, values


def repeats(history, n):
    """What followed the last n - 1 tokens whenever they stood there before."""
    if len(history) < n:
        return set()
    last = history[len(history) - n + 1 :]
    return {history[i + n - 1] for i in range(len(history) - n + 1) if history[i : i + n - 1] == last}


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
