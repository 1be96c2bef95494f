"""Lightning Attention by hand, in NumPy: linear attention in tiles, forward and backward, with memory linear in T.

New since linear_attention.py: the backward pass. It needs no table and no list of states either: one walk forward for
the gradient of the queries, one walk backward for those of keys and values, with one state each. Left out on purpose:
what makes it fast on a GPU (tiles that fit into its fast memory; chapter device).
Shapes: B sequences, H heads, T tokens, D numbers a head; n tokens in a tile.

    python attention/lightning.py              a few seconds
    python attention/lightning.py --seed 1     other numbers

Papers: Qin et al., "Lightning Attention-2: A Free Lunch for Handling Unlimited Sequence Lengths in Large Language
Models" (2024); Katharopoulos et al., "Transformers are RNNs" (2020), for the two walks.
"""

import argparse
import math

import numpy as np
import torch

from cli import non_negative_int, run
from linear_attention import linear_recurrent, linear_table

TILE = 32


def tiles(T, size):
    """The slices of 0 … T - 1, `size` tokens each; the last may be shorter."""
    return [slice(start, min(start + size, T)) for start in range(0, T, size)]


def fading(decay, n):
    """The powers of a head's decay in a tile of n tokens. decay: (H,)

    mask (H, n, n): decay^(t - s), 0 for the future; since (H, n, 1): decay^(t + 1), from before the tile to token t;
    until (H, n, 1): decay^(n - 1 - s), from its token s to the tile's end; whole (H, 1, 1): decay^n, over all of it.
    """
    place = np.arange(n)
    powers = decay[:, None] ** np.arange(n + 1, dtype=decay.dtype)  # (H, n + 1)
    apart = place[:, None] - place
    mask = np.where(apart >= 0, powers[:, np.maximum(apart, 0)], 0)
    return mask, powers[:, 1:, None], powers[:, n - 1::-1, None], powers[:, n:, None]


def swap(x):
    """Rows become columns, in the last two axes."""
    return x.swapaxes(-1, -2)


def lightning_forward(q, k, v, decay, size=TILE):
    """o_t = the sum over s <= t of decay^(t - s) (q_t . k_s) v_s. q, k, v: (B, H, T, D), decay: (H,) -> (B, H, T, D)"""
    o = np.empty_like(v)
    state = np.zeros((*q.shape[:2], q.shape[-1], v.shape[-1]), q.dtype)  # the sum of k_s^T v_s before the tile, faded
    for tile in tiles(q.shape[2], size):
        q_, k_, v_ = q[:, :, tile], k[:, :, tile], v[:, :, tile]
        mask, since, until, whole = fading(decay, q_.shape[2])
        o[:, :, tile] = (q_ @ swap(k_) * mask) @ v_  # within the tile: left product first
        o[:, :, tile] += since * (q_ @ state)  # all before it: right product first
        state = whole * state + swap(until * k_) @ v_
    return o


def lightning_backward(q, k, v, decay, do, size=TILE):
    """The gradients dq, dk, dv from do = dL / do. All (B, H, T, D), decay (H,), which is not learned.

    In L the pair (t, s) stands as decay^(t - s) (q_t . k_s) (do_t . v_s). So dq_t sums over the past, as o_t does, with
    do, v and k in the places of q, k and v; dk_s and dv_s sum over the future, and their walk goes backward.
    """
    dq, dk, dv = np.empty_like(q), np.empty_like(k), np.empty_like(v)
    state = np.zeros((*q.shape[:2], v.shape[-1], q.shape[-1]), q.dtype)  # the sum of v_s^T k_s before the tile, faded
    for tile in tiles(q.shape[2], size):
        k_, v_, do_ = k[:, :, tile], v[:, :, tile], do[:, :, tile]
        mask, since, until, whole = fading(decay, k_.shape[2])
        dq[:, :, tile] = (do_ @ swap(v_) * mask) @ k_ + since * (do_ @ state)
        state = whole * state + swap(until * v_) @ k_
    after = np.zeros((*q.shape[:2], q.shape[-1], v.shape[-1]), q.dtype)  # the sum of q_t^T do_t after the tile, faded
    for tile in reversed(tiles(q.shape[2], size)):
        q_, k_, v_, do_ = q[:, :, tile], k[:, :, tile], v[:, :, tile], do[:, :, tile]
        mask, since, until, whole = fading(decay, q_.shape[2])
        dk[:, :, tile] = swap(do_ @ swap(v_) * mask) @ q_ + until * (v_ @ swap(after))
        dv[:, :, tile] = swap(q_ @ swap(k_) * mask) @ do_ + until * (k_ @ after)
        after = whole * after + swap(since * q_) @ do_
    return dq, dk, dv


def random_case(rng, dtype):
    """q, k, v, do (B, H, T, D), decays (H,), of which about a third are 1, and a tile's size; shapes are random too."""
    B, H, T, D = rng.integers(1, [3, 4, 90, 20])
    q, k, v, do = rng.standard_normal((4, B, H, T, D)).astype(dtype) / math.sqrt(D)
    decay = np.where(rng.random(H) < 1 / 3, 1, rng.uniform(0.5, 1, H)).astype(dtype)
    return (q, k, v, do), decay, int(rng.integers(1, 40))


def autograd_of(form, arrays, decay):
    """o, dq, dk, dv by torch through a form of linear_attention.py, as arrays."""
    q, k, v, do = (torch.tensor(x) for x in arrays)
    inputs = [x.requires_grad_() for x in (q, k, v)]
    o = form(*inputs, torch.tensor(decay))
    o.backward(do)
    return [o.detach().numpy(), *(x.grad.numpy() for x in inputs)]


def largest_difference(ours, theirs):
    """The largest difference, in parts of the largest number where that is above 1; infinite where one is NaN."""
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        difference = float(np.abs(a - b).max() / max(1.0, np.abs(b).max()))
        worst = max(worst, difference if difference < math.inf else math.inf)
    return worst


def show_agreement(seed, cases=20):
    """Tiles against autograd through the table, and through the recurrence."""
    print(f"forward and backward in tiles, {cases} random shapes, against torch's autograd")
    print("               through the table               through the recurrence\n"
          "               o      dq      dk      dv       o      dq      dk      dv")
    for dtype, limit in ((np.float32, 1e-5), (np.float64, 1e-10)):
        rng, worst = np.random.default_rng(seed), np.zeros(8)
        for _ in range(cases):
            arrays, decay, size = random_case(rng, dtype)
            q, k, v, do = arrays
            ours = [lightning_forward(q, k, v, decay, size), *lightning_backward(q, k, v, decay, do, size)]
            theirs = autograd_of(linear_table, arrays, decay) + autograd_of(linear_recurrent, arrays, decay)
            worst = np.maximum(worst, [largest_difference([a], [b]) for a, b in zip(ours * 2, theirs, strict=True)])
        print(f"{np.dtype(dtype).name:9}" + "".join(f"{x:8.0e}" for x in worst))
        assert worst.max() < limit, f"{np.dtype(dtype).name}: they differ by {worst.max():.0e}"


def show_sizes(seed):
    """The same result for every size of tile; the numbers that are held beside inputs and results."""
    rng = np.random.default_rng(seed)
    T, D, decay = 1000, 16, np.array([1.0, 0.9])
    q, k, v, do = rng.standard_normal((4, 1, 2, T, D)) / 4
    wanted = lightning_backward(q, k, v, decay, do, T)
    print(f"\ntile      numbers held (a head of {D}, {T:,} tokens)")
    for size in (1, 8, 64, T):
        found = lightning_backward(q, k, v, decay, do, size)
        assert largest_difference(found, wanted) < 1e-10, f"tiles of {size} give another result"
        held = "the whole table" if size == T else "a tile of scores and a state"
        print(f"{size:5,} {size * size + D * D:12,}   {held}")


def main(argv=None):
    parser = argparse.ArgumentParser(description="Lightning Attention in NumPy: tiles, forward and backward, checked.")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of shapes and numbers (default 0)")
    args = parser.parse_args(argv)
    show_agreement(args.seed)
    show_sizes(args.seed)


if __name__ == "__main__":
    run(main)
