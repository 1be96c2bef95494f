"""The chapter's exercises, to be written here. The README says what each is about.

    python mlp/exercises.py                       which of them pass
    pytest tests/test_mlp.py --mine -k answers    the same, with pytest's reports
"""

import sys

from checks import CHECKS, run_checks


def smoothed_cross_entropy(logits, targets, smoothing):
    """Cross-entropy where the right answer gets only 1 - smoothing, and all V symbols share the rest equally.

    logits: (B, V) array; targets: (B,) whole numbers; smoothing: from 0 to 1. The loss is the mean over the batch of
    -sum_k q_k ln p_k, where q_k is smoothing / V, plus 1 - smoothing at the target. Returns the loss and its gradient
    by the logits (B, V), as mlp.cross_entropy does, which it equals for smoothing 0. It must not overflow.
    """
    raise NotImplementedError


def backward_direct(parameters, kept, dz):
    """The gradients of a network in which x also reaches the logits directly, as Bengio and others had it in 2003.

    parameters: those of mlp.py, and "w3" (K C, V) as a sixth; z = gelu(x @ w1 + b1) @ w2 + b2 + x @ w3. kept:
    (contexts, x, a, h) as in mlp.forward; dz (B, V): the gradient of the logits. Returns all six gradients by name.
    """
    raise NotImplementedError


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
