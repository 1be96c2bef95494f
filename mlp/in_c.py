"""The network of mlp.py once more, every operation on floats by our own C: products, gelu, cross-entropy.

New since functions.py: the kernels work together. It is the training step of mlp.py with matmul (csrc/matmul.c) for @,
and gelu and cross-entropy from csrc/gelu.c and csrc/cross_entropy.c; NumPy is left as a place for numbers, for looking up
rows and for adding them. Both programs take the same 100 steps from the same weights on the same batches, in float32, and
print the same losses; they take turns, so that their times can be compared. The learning rate is an eighth of mlp.py's: with
2, steps are so large that a difference in the last digit grows a thousandfold within 60 steps, in NumPy's float32 against
its own float64 as well. Left out on purpose: a whole program in C (that was csrc/bigram.c's and csrc/micrograd.c's way),
and training to the end, which mlp.py does.
Shapes: B predictions, K bytes back, C numbers each, H hidden neurons, V symbols.

    python mlp/in_c.py                    three seconds; writes nothing
    python mlp/in_c.py --data FOLDER
"""

import argparse
import statistics
import time

import numpy as np

import mlp
from cli import UserError, non_negative_int, positive_int, run
from data import V, padded_stream, windows
from functions import cross_entropy_backward, cross_entropy_forward, gelu_backward, gelu_forward, rungs
from matmul import matmul, matmul_backward
from mlp import BATCH, LEARNING_RATE, STORIES, C, H, K, first_parameters, one_hot
from rng import PCG32
from stories import load_split

STEPS, RATE = 100, LEARNING_RATE / 8


def forward(parameters, contexts, rung):
    """contexts (B, K) -> logits (B, V), and what backward needs."""
    table, w1, b1, w2, b2 = parameters.values()
    x = table[contexts].reshape(len(contexts), -1)  # (B, K C)
    a = matmul(x, w1, out=np.tile(b1, (len(x), 1)), accumulate=True)  # (B, H): added to the bias
    h = gelu_forward(a, rung=rung)  # (B, H)
    z = matmul(h, w2, out=np.tile(b2, (len(x), 1)), accumulate=True)  # (B, V)
    return z, (contexts, x, a, h)


def backward(parameters, kept, dz, rung):
    """The gradients of all parameters from that of the logits, dz (B, V)."""
    table, w1, b1, w2, b2 = parameters.values()
    contexts, x, a, h = kept
    dh, dw2 = matmul_backward(h, w2, dz)  # (B, H), (H, V)
    da = gelu_backward(dh, a, rung=rung)  # (B, H)
    dx, dw1 = matmul_backward(x, w1, da)  # (B, K C), (K C, H)
    chosen = one_hot(contexts.ravel(), len(table), table.dtype)  # (B K, V)
    d_table = matmul(chosen.T, dx.reshape(len(chosen), -1))  # (V, C)
    return {"table": d_table, "w1": dw1, "b1": da.sum(axis=0), "w2": dw2, "b2": dz.sum(axis=0)}


def sgd_step(parameters, contexts, targets, learning_rate, rung):
    """One step of gradient descent on the cross-entropy; changes the parameters, returns the loss in nats."""
    logits, kept = forward(parameters, contexts, rung)
    losses, lse = cross_entropy_forward(logits, targets, rung)
    dz = cross_entropy_backward(logits, targets, lse, 1 / len(targets), rung)
    for name, gradient in backward(parameters, kept, dz, rung).items():
        parameters[name] -= np.float32(learning_rate) * gradient
    return float(losses.mean())


def main(argv=None):
    parser = argparse.ArgumentParser(description="The network of mlp.py by NumPy and by our own C: same losses, times.")
    parser.add_argument("--data", default=STORIES, help=f"folder with train.txt and valid.txt (default: {STORIES})")
    parser.add_argument("--steps", type=positive_int, default=STEPS, help=f"of {BATCH} predictions (default: {STEPS})")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of weights and batches (default: 0)")
    args = parser.parse_args(argv)
    stream, positions = padded_stream(load_split(args.data, "train"), K)
    if len(positions) < BATCH:
        raise UserError(f"{args.data}/train.txt has {len(positions)} symbols, a batch needs {BATCH}")
    rng, best = PCG32(args.seed), rungs()[-1]
    by_numpy = first_parameters(rng, V, K, C, H)
    by_c = {name: array.copy() for name, array in by_numpy.items()}
    seconds, apart = {"NumPy": [], "our C": []}, 0.0
    print(f"loss in nats, float32, {args.steps} steps of {BATCH} predictions")
    for step in range(1, args.steps + 1):
        at = positions[[rng.below(len(positions)) for _ in range(BATCH)]]
        contexts, targets, losses = windows(stream, at, K), stream[at], []
        for name, take in (("NumPy", lambda c, t: mlp.sgd_step(by_numpy, c, t, RATE)),
                           ("our C", lambda c, t: sgd_step(by_c, c, t, RATE, best))):
            start = time.thread_time()
            losses.append(take(contexts, targets))
            seconds[name].append(time.thread_time() - start)
        apart = max(apart, abs(losses[0] - losses[1]))
        if step in (1, 10, args.steps):
            print(f"step {step:4}   NumPy {losses[0]:.6f}   our C {losses[1]:.6f}")
    print(f"losses apart by at most {apart:.0e}; ms a step, this thread's median: "
          + ", ".join(f"{name} {1000 * statistics.median(times):.2f}" for name, times in seconds.items()))
    assert apart < 1e-4, "NumPy and our C should train the same network"
    worst = max(float(np.abs(by_numpy[name] - by_c[name]).max()) for name in by_c)
    assert worst < 1e-3, f"the weights differ by {worst:.0e}"


if __name__ == "__main__":
    run(main)
