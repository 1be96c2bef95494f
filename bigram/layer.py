"""The same model as one layer of a neural network, trained by gradient descent until it arrives at the counts.

New since bigram.py: scores instead of counts (logits), softmax, cross-entropy, its gradient by hand, steps against
the gradient, mini-batches. Left out on purpose: gradients by machine (chapter micrograd) and more than one layer
(chapter mlp). W is the layer, (V, V) with V = 257: row a holds a score for each symbol b that may come after a.

    python bigram/layer.py                    ten seconds
    python bigram/layer.py --steps 10000      nearer to the counts

Papers: Cauchy, "General method for solving systems of simultaneous equations" (1847), gradient descent; Robbins and
Monro, "A Stochastic Approximation Method" (1951), small random parts of the data; Bridle, "Probabilistic Interpretation
of Feedforward Classification Network Outputs" (1990), softmax.
"""

import argparse
import math

import numpy as np

from bigram import V, count_array, read_both, smooth_array, symbol_name, symbol_stream, table_bits
from cli import non_negative_int, positive_int, run
from rng import PCG32

BATCHES, BATCH, WINDOW = 3000, 16, 64  # steps with mini-batches, and in each 16 runs of 64 pairs


def softmax(scores):
    """Any numbers become shares that are positive and sum to 1."""
    e = [math.exp(s - max(scores)) for s in scores]
    return [a / sum(e) for a in e]


def row_loss(scores, counts):
    """The mean of -ln p over the pairs of one row, in nats. scores, counts: lists of the same length."""
    return sum(-c * math.log(p) for c, p in zip(counts, softmax(scores))) / sum(counts)


def row_gradient(scores, counts):
    """How the loss of a row changes with each score: what the layer says minus what was counted, p - c / sum(c)."""
    return [p - c / sum(counts) for p, c in zip(softmax(scores), counts)]


def softmax_rows(W):
    """softmax of each row at once. (…, V) -> (…, V)"""
    e = np.exp(W - W.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def loss_and_gradient(W, counts):
    """The mean of -ln p over all pairs of a table in nats, and how it changes with each score.

    W: (V, V) scores; counts: (V, V). Returns (float, (V, V)): row a of the gradient is p - c / sum(c), as in
    row_gradient, times the share of the pairs that begin with a.
    """
    p, N = softmax_rows(W), counts.sum()
    loss = -(counts[counts > 0] * np.log(p[counts > 0])).sum() / N
    return loss, (counts.sum(axis=1, keepdims=True) * p - counts) / N


def descend(counts, steps, learning_rate, row_by_row=False):
    """Gradient descent on a whole table, from scores of 0: returns W (V, V).

    row_by_row: divide each row's gradient by the row's share of the pairs, as if each row were trained alone.
    """
    W = np.zeros(counts.shape)
    totals = counts.sum(axis=1, keepdims=True)  # (V, 1)
    scale = counts.sum() / np.maximum(totals, 1) if row_by_row else 1.0
    for _ in range(steps):
        _, gradient = loss_and_gradient(W, counts)
        W -= learning_rate * scale * gradient
    return W


def descend_in_batches(stream, steps, learning_rate, rng):
    """Gradient descent on small random parts of the text; the steps shrink to 0. stream: (N,). Returns W (V, V)."""
    W = np.zeros((V, V))
    for step in range(steps):
        starts = np.array([rng.below(len(stream) - 1) for _ in range(BATCH)])
        first = np.minimum(starts[:, None] + np.arange(WINDOW), len(stream) - 2).ravel()  # (BATCH * WINDOW,)
        counts = np.bincount(stream[first] * V + stream[first + 1], minlength=V * V).reshape(V, V)
        _, gradient = loss_and_gradient(W, counts)
        W -= learning_rate * (1 - step / steps) * gradient
    return W


def show_one_row():
    """Prints three steps of one row of three scores, with a check of the gradient by its definition."""
    scores, counts, h = [0.0, 0.0, 0.0], [0, 3, 2], 1e-6  # by_hand.py: after the letter a
    for _ in range(3):
        gradient = row_gradient(scores, counts)
        for b in range(3):
            up, down = ([s + sign * h * (i == b) for i, s in enumerate(scores)] for sign in (1, -1))
            assert abs((row_loss(up, counts) - row_loss(down, counts)) / (2 * h) - gradient[b]) < 1e-8
        print(f"scores {numbers(scores)}   p {numbers(softmax(scores))}   loss {row_loss(scores, counts):.4f}"
              f"   gradient {numbers(gradient)}")
        scores = [s - 1.0 * g for s, g in zip(scores, gradient)]
    for _ in range(2000):
        scores = [s - 1.0 * g for s, g in zip(scores, row_gradient(scores, counts))]
    print(f"after 2,000 steps more   p {numbers(softmax(scores))}   counted {numbers([c / 5 for c in counts])}")
    assert all(abs(p - c / 5) < 1e-3 for p, c in zip(softmax(scores), counts))


def numbers(row):
    """A few numbers with two decimals."""
    return " ".join(f"{x:5.2f}" for x in row)


def show_one_hot(symbols):
    """Asserts why W is a layer: each symbol as 256 zeros and a one, times any W, is its row of W."""
    W = np.arange(V * V, dtype=float).reshape(V, V)
    x = np.eye(V)[symbols]  # (5, V)
    assert np.array_equal(x @ W, W[symbols])
    print("\na symbol as 256 zeros and a one, times W, is a row of W")


def show_difference(name, W, counts, counted):
    """Prints how far the layer's probabilities are from the counted ones; returns the largest difference."""
    totals = counts.sum(axis=1)
    apart = np.abs(softmax_rows(W) - counted).max(axis=1)[totals > 0]
    rows = np.flatnonzero(totals > 0)
    worst = rows[apart.argmax()]
    loss, _ = loss_and_gradient(W, counts)
    print(f"{name:30} loss {loss:.4f}, largest difference {apart.max():.6f} "
          f"(after {symbol_name(worst)}, seen {totals[worst]:,} times), half of the rows below {np.median(apart):.6f}")
    return apart.max()


def main(argv=None):
    parser = argparse.ArgumentParser(description="Trains one layer by gradient descent, up to the counted probabilities.")
    parser.add_argument("--data", default="datasets/stories", help="folder of train.txt, valid.txt (default %(default)s)")
    parser.add_argument("--steps", type=positive_int, default=3000, help="of gradient descent on all pairs (default 3000)")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of the mini-batches (default 0)")
    args = parser.parse_args(argv)
    show_one_row()

    train, valid = read_both(args.data)
    stream = symbol_stream(train)
    counts, valid_counts = count_array(stream), count_array(symbol_stream(valid))
    n_bytes = sum(len(story.encode("utf-8")) for story in valid)
    counted = smooth_array(counts, 0)
    show_one_hot(stream[:5])
    best = -(counts[counts > 0] * np.log(counted[counts > 0])).sum() / counts.sum()
    print(f"{'counted':30} loss {best:.4f} nats a symbol: no table of pairs can be lower on these stories")
    W = descend(counts, args.steps, 20.0)
    show_difference("all rows in one mean", W, counts, counted)
    W = descend(counts, args.steps, 3.0, row_by_row=True)
    largest = show_difference("each row its own mean", W, counts, counted)
    assert largest < 3.0 / args.steps + 1e-9, "the layer has not arrived at the counts"
    print(f"{'':30} valid {table_bits(softmax_rows(W), valid_counts) / n_bytes:.4f} bits per byte, without any alpha")
    W = descend_in_batches(stream, BATCHES, 30.0, PCG32(args.seed))
    show_difference(f"{BATCHES:,} batches of {BATCH * WINDOW:,}", W, counts, counted)
    print(f"{'':30} valid {table_bits(softmax_rows(W), valid_counts) / n_bytes:.4f} bits per byte")


if __name__ == "__main__":
    run(main)
