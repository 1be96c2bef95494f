"""Answers to the exercises that are written. Try exercises.py first.

    python mlp/solutions.py          the same checks, on these
"""

import sys

import numpy as np

from checks import CHECKS, run_checks
from mlp import backward


def smoothed_cross_entropy(logits, targets, smoothing):
    """The derivation of the lesson holds for any shares q that sum to 1: the gradient is p - q."""
    B, V = logits.shape
    q = np.full((B, V), smoothing / V)
    q[np.arange(B), targets] += 1 - smoothing
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -(q * log_p).sum() / B, (np.exp(log_p) - q) / B


def backward_direct(parameters, kept, dz):
    """x has two paths to the logits, and their gradients add up: in x, and so in the table."""
    without = {name: array for name, array in parameters.items() if name != "w3"}
    gradients = backward(without, kept, dz)
    contexts, x, _, _ = kept
    dx = dz @ parameters["w3"].T  # (B, K C), by the direct path alone
    gradients["table"] = gradients["table"].copy()
    np.add.at(gradients["table"], contexts, dx.reshape(*contexts.shape, -1))
    return {**gradients, "w3": x.T @ dz}


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
