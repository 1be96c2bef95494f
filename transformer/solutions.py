"""Answers to the exercises that are written. Try exercises.py first.

    python transformer/solutions.py          the same checks, on these
"""

import sys

import numpy as np
import torch

from checks import CHECKS, run_checks


def windowed_attention(q, k, v, window):
    """One more mask: what is too long ago is hidden like the future."""
    T, D = q.shape[-2:]
    scores = (q @ k.transpose(-2, -1)) * D**-0.5  # (B, H, T, T)
    seen = torch.ones(T, T, dtype=torch.bool, device=q.device).tril(0).triu(1 - window)
    return scores.masked_fill(~seen, float("-inf")).softmax(-1) @ v


def from_interleaved(weight, heads):
    """Within each head first the rows of even number, then those of odd number."""
    rows, C = weight.shape
    pairs = weight.view(heads, rows // heads // 2, 2, C)  # (heads, D/2, 2, C): the last but one is first or second
    return pairs.transpose(1, 2).reshape(rows, C)


def to_grouped(weight, heads, kv_heads):
    """The mean of the heads that are to share: (heads * D, C) as (kv_heads, heads / kv_heads, D, C)."""
    rows, C = weight.shape
    return weight.view(kv_heads, heads // kv_heads, rows // heads, C).mean(1).reshape(-1, C)


def words_to_tell(ids, mask, rng):
    """Fifteen per cent of the places; one lot each decides what stands there now."""
    inputs, targets = ids.copy(), np.full(len(ids), -1)
    asked = rng.permutation(len(ids))[: round(0.15 * len(ids))]
    targets[asked] = ids[asked]
    for place in asked:
        lot = rng.random()
        if lot < 0.9:  # the last tenth stays as it is
            inputs[place] = mask if lot < 0.8 else rng.integers(mask)
    return inputs, targets


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
