"""The same model on stories: the next byte from the eight before it, trained with tensorgrad.py.

New since names.py: mini-batches, float32, a learning rate that falls, and the course's number, bits per byte, so that
the model can be compared with the counted ones of the last chapter. Left out on purpose: better steps than plain
gradient descent (chapter optimization) and a longer look back (chapter attention).
Shapes: B predictions, K = 8 symbols of context, V = 257 symbols: the bytes and END = 256, which stands before a
story as often as the context is long, and once after it.

    python micrograd/language.py                    a minute on one core
    python micrograd/language.py --steps 100        a quick look
    python micrograd/language.py --data FOLDER      other stories

Appends its number to out/scoreboard.jsonl.

Paper: Bengio, Ducharme, Vincent and Jauvin, "A Neural Probabilistic Language Model" (2003).
"""

import argparse
import math

import numpy as np
from tqdm import tqdm

from cli import append_score, non_negative_int, positive_int, run
from names import WindowModel
from rng import PCG32
from stories import load_split

STORIES = "datasets/stories"
V, END = 257, 256
K, C, H, BATCH, LEARNING_RATE, STEPS = 8, 24, 256, 256, 0.5, 15_000
SAMPLE_BYTES = 150


# adapted from: bigram/bigram.py::symbol_stream (K times END before a story, and where predictions are asked for)
def padded_stream(stories):
    """All stories as one row of symbols, K times END before each and one at the very end, and what is to be predicted.

    Returns stream (N,) and positions (P,): the places of all bytes, and of the END right after each story.
    """
    between = b"\xff" * K  # 255 is in no UTF-8 text
    data = between + between.join(story.encode("utf-8") for story in stories) + b"\xff"
    stream = np.frombuffer(data, dtype=np.uint8).astype(np.int16)
    stream[stream == 255] = END
    is_byte = stream != END
    asked = is_byte | np.append(False, is_byte[:-1])
    return stream, np.flatnonzero(asked)


# adapted from: bigram/bigram.py::table_bits (a network in place of a table)
def bits_of(model, stream, positions):
    """The sum of -log2 p of the symbols at the positions, each predicted from the K before it."""
    back, bits = np.arange(-K, 0), 0.0
    for i in range(0, len(positions), 4096):
        at = positions[i:i + 4096]
        loss = model(stream[at[:, None] + back]).cross_entropy(stream[at])
        bits += loss.data.item() * len(at) / math.log(2)
    return bits


# adapted from: bigram/bigram.py::smooth_array (counted before and scored after, so that both models meet in one run)
def pair_bits(stream, positions, test_stream, test_positions, alpha=0.01):
    """The same sum by a table of pairs, counted on the first stream: what the bigram model of the last chapter needs."""
    pairs = stream[positions - 1].astype(np.int64) * V + stream[positions]
    counts = np.bincount(pairs, minlength=V * V).reshape(V, V)
    p = (counts + alpha) / (counts.sum(axis=1, keepdims=True) + alpha * V)
    return -np.log2(p[test_stream[test_positions - 1], test_stream[test_positions]]).sum()


def tell_beginning(model, rng):
    """The beginning of a story, SAMPLE_BYTES at most, as text."""
    symbols = [END] * K
    while len(symbols) < K + SAMPLE_BYTES:
        p = model(np.array([symbols[-K:]])).softmax().data[0]
        symbols.append(rng.choice(p.tolist()))
        if symbols[-1] == END:
            break
    return bytes(symbol for symbol in symbols[K:] if symbol != END).decode("utf-8", errors="replace")


def train_by_batches(model, stream, positions, steps, rng, seed):
    """Gradient descent on random mini-batches, the steps shrinking to 0. Prints loss and a story's beginning on the way."""
    losses, back = [], np.arange(-K, 0)
    bar = tqdm(range(steps), unit="step", smoothing=0.05, disable=None)
    for step in bar:
        if step in (0, steps // 8, steps // 2):
            show_progress(model, step, losses, seed)
        at = positions[[rng.below(len(positions)) for _ in range(BATCH)]]
        falling = LEARNING_RATE * (1 - step / steps)
        losses.append(model.step(stream[at[:, None] + back], stream[at], falling) / math.log(2))
    show_progress(model, steps, losses, seed)


def show_progress(model, step, losses, seed):
    """Prints the mean of the last losses, and a story's beginning, above the bar."""
    seen = f"loss {np.mean(losses[-200:]):.3f} bits a symbol" if losses else "nothing learned yet"
    tqdm.write(f"step {step:6,}: {seen}\n    {tell_beginning(model, PCG32(seed))!r}")


def main(argv=None):
    parser = argparse.ArgumentParser(description="A small neural language model over bytes, trained by tensorgrad.")
    parser.add_argument("--data", default=STORIES, help=f"folder with train.txt and valid.txt (default: {STORIES})")
    parser.add_argument("--steps", type=positive_int, default=STEPS, help=f"of {BATCH} predictions (default: {STEPS:,})")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of weights, batches and samples (default: 0)")
    args = parser.parse_args(argv)
    stream, positions = padded_stream(load_split(args.data, "train"))
    valid = load_split(args.data, "valid")
    n_bytes = sum(len(story.encode("utf-8")) for story in valid)
    valid_stream, valid_positions = padded_stream(valid)
    rng = PCG32(args.seed)
    model = WindowModel(V, K, C, H, rng, dtype=np.float32)
    print(f"read {args.data}: {len(positions):,} symbols to predict; {sum(p.data.size for p in model.parameters()):,} "
          f"parameters; {args.steps:,} steps of {BATCH}, {args.steps * BATCH / len(positions):.2f} passes over the stories")
    pairs = pair_bits(stream, positions, valid_stream, valid_positions) / n_bytes

    train_by_batches(model, stream, positions, args.steps, rng, args.seed)
    bpb = bits_of(model, valid_stream, valid_positions) / n_bytes
    print(f"{bpb:.4f} bits per byte on {args.data}/valid.txt; a table of pairs needs {pairs:.4f}")
    assert bpb < pairs or args.steps < STEPS, "eight bytes should tell more than one"
    append_score("micrograd", f"{K} bytes, one hidden layer", args.data, bpb)


if __name__ == "__main__":
    run(main)
