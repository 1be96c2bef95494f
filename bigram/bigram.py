"""A language model that counts: how often does each byte follow each other byte?

Where the course starts, so everything is new: counts become probabilities, probabilities a number that says
how good they are (bits per byte), and a die thrown with them tells stories. Left out on purpose: anything
that looks back further than one byte (ngram.py), and training (layer.py). V = 257 symbols: the bytes 0 to
255, and END = 256, which stands before and after each story. N is a number of symbols in a row.

    python bigram/bigram.py                        a few seconds
    python bigram/bigram.py --seed 7 --stories 5   other stories
    python bigram/bigram.py --plot                 also draws bigram/figures/table.svg

Appends its number to out/scoreboard.jsonl. csrc/bigram.c is the same program in C and tells the same stories.

Papers: Markov, "An Example of Statistical Investigation of the Text Eugene Onegin" (1913); Shannon, "A
Mathematical Theory of Communication" (1948).
"""

import argparse
import math
import sys
import time

import numpy as np

from cli import append_score, non_negative_float, non_negative_int, positive_int, run
from draw import draw_table
from rng import PCG32
from stories import load_split

V = 257  # symbols: 256 bytes and END
END = 256
ALPHA = 0.01
FIGURE = "bigram/figures/table.svg"


def symbols(story):
    """The symbols of a story (str): END, its n UTF-8 bytes, END. Returns a list of n + 2 whole numbers below V."""
    return [END, *story.encode("utf-8"), END]


def count_bigrams(sequences, V=V):
    """counts[a][b]: how often symbol b came right after symbol a. sequences: lists of symbols. Returns V lists of V."""
    counts = [[0] * V for _ in range(V)]
    for sequence in sequences:
        for a, b in zip(sequence, sequence[1:]):
            counts[a][b] += 1
    return counts


def smooth(counts, alpha):
    """p[a][b], the probability of b after a, as if each pair had been seen alpha times more (Laplace; Lidstone, 1920).

    counts: V lists of V. Each row of the result sums to 1. With alpha 0, a row that was never seen stays at 0.
    """
    p = []
    for row in counts:
        total = sum(row) + len(row) * alpha
        p.append([(count + alpha) / total if total > 0 else 0.0 for count in row])
    return p


def sequence_bits(p, sequence):
    """The surprise of a sequence of symbols in bits: the sum of -log2 p, infinite if p calls a step impossible."""
    bits = 0.0
    for a, b in zip(sequence, sequence[1:]):
        bits += -math.log2(p[a][b]) if p[a][b] > 0 else math.inf
    return bits


def bits_per_byte(p, stories):
    """The course's number: bits for all bytes and the END of each story, divided by the stories' UTF-8 bytes."""
    bits = sum(sequence_bits(p, symbols(story)) for story in stories)
    return bits / sum(len(story.encode("utf-8")) for story in stories)


def sample_story(p, rng, length):
    """A story drawn symbol by symbol from the rows of p: (its bytes, whether it ended before `length` bytes)."""
    story, last = bytearray(), END
    while len(story) < length:
        last = rng.choice(p[last])
        if last == END:
            return bytes(story), True
        story.append(last)
    return bytes(story), False


def symbol_stream(stories):
    """All stories as one row: END, bytes, END, bytes, …, END. The END between two stories closes one and opens the next.

    The byte 255 cannot occur in UTF-8, so it may stand for END while Python's join does the work.
    Returns N numbers, int64.
    """
    joined = b"\xff" + b"\xff".join(story.encode("utf-8") for story in stories) + b"\xff"
    stream = np.frombuffer(joined, dtype=np.uint8).astype(np.int64)
    return np.where(stream == 255, END, stream)


def count_array(stream):
    """The same table as count_bigrams: each pair of neighbors becomes one number a V + b. (N,) -> (V, V) int64"""
    return np.bincount(stream[:-1] * V + stream[1:], minlength=V * V).reshape(V, V)


def smooth_array(counts, alpha):
    """The same as smooth, to the last digit. (V, V) -> (V, V) float64"""
    totals = counts.sum(axis=1, keepdims=True) + V * alpha  # (V, 1)
    return np.divide(counts + alpha, totals, out=np.zeros(counts.shape), where=totals > 0)


def table_bits(p, counts):
    """The same sum as sequence_bits over all stories whose table is `counts`: pairs that are alike are alike surprising.

    p, counts: (V, V). Returns bits.
    """
    with np.errstate(divide="ignore"):
        surprise = -np.log2(p)
    return float((counts[counts > 0] * surprise[counts > 0]).sum())


def symbol_name(symbol):
    """How a symbol is printed: END, a letter, or a byte as its number in hexadecimal."""
    names = {END: "END", 10: "newline", 32: "space"}
    return names.get(symbol, chr(symbol) if 32 < symbol < 127 else f"{symbol:02x}")


def show_rows(p):
    """Prints the likeliest symbols after some symbols."""
    for a in (END, ord(" "), ord("h"), ord("q"), ord(".")):
        best = [b for b in sorted(range(V), key=lambda b: -p[a][b])[:6] if p[a][b] >= 0.001]
        print(f"after {symbol_name(a):5}" + "".join(f"   {symbol_name(b)} {p[a][b]:.3f}" for b in best))


def show_likelihood(p, story):
    """Prints what the model makes of one story: a product too small for the computer, and a sum that is not."""
    sequence = symbols(story)
    product = math.prod(p[a][b] for a, b in zip(sequence, sequence[1:]))
    bits = sequence_bits(p, sequence)
    print(f"the first test story, {len(sequence) - 2:,} bytes: the product of its probabilities is {product} in floats;\n"
          f"  it is about 10 to the power of {-bits * math.log10(2):,.0f}: the sum of -log2 p is {bits:,.1f} bits")


def show_baselines(counts, valid_counts, n_bytes):
    """Prints bits per byte on valid of two models that know less than a bigram."""
    uniform = np.full((V, V), 1 / V)
    frequency = np.tile((counts.sum(axis=0) + ALPHA) / (counts.sum() + V * ALPHA), (V, 1))
    print(f"valid, all {V} symbols alike:         {table_bits(uniform, valid_counts) / n_bytes:.4f} bits per byte")
    print(f"valid, each as frequent as it is:   {table_bits(frequency, valid_counts) / n_bytes:.4f}")


def show_alphas(train):
    """Prints bits per byte for several alphas, counted on nine tenths of train and tried on the tenth held out."""
    held = train[9::10] or train
    rest = [story for i, story in enumerate(train) if i % 10 != 9]
    counts, held_counts = count_array(symbol_stream(rest)), count_array(symbol_stream(held))
    n_bytes = sum(len(story.encode("utf-8")) for story in held)
    for alpha in (0.0, 0.001, 0.01, 0.1, 1.0, 10.0):
        bpb = table_bits(smooth_array(counts, alpha), held_counts) / n_bytes
        print(f"held out, alpha {alpha:<6} {bpb:.4f}")


def read_both(folder):
    """(train, valid): the stories of a folder, and the line that says what was read."""
    train, valid = load_split(folder, "train"), load_split(folder, "valid")
    sizes = [sum(len(story.encode("utf-8")) for story in stories) for stories in (train, valid)]
    print(f"read {folder}: {len(train):,} stories, {sizes[0]:,} bytes to train on; "
          f"{len(valid):,} stories, {sizes[1]:,} bytes to test")
    return train, valid


def tell_stories(p, seed, stories, length):
    """Prints stories as raw bytes, in the format of train.txt; a story may hold bytes that are no character."""
    rng = PCG32(seed)
    sys.stdout.flush()
    for _ in range(stories):
        story, ended = sample_story(p, rng, length)
        mark = "<|endoftext|>" if ended else f"(cut off at {length:,} bytes)"
        sys.stdout.buffer.write(story + b"\n" + mark.encode() + b"\n")
    sys.stdout.buffer.flush()


def main(argv=None):
    parser = argparse.ArgumentParser(description="Counts pairs of bytes, says how good that is, and tells stories.")
    parser.add_argument("--data", default="datasets/stories", help="folder of train.txt, valid.txt (default %(default)s)")
    parser.add_argument("--alpha", type=non_negative_float, default=ALPHA, help=f"added to each count (default {ALPHA})")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of the stories told (default 0)")
    parser.add_argument("--stories", type=positive_int, default=3, help="how many to tell (default 3)")
    parser.add_argument("--length", type=positive_int, default=300, help="bytes at which a story is cut off (default 300)")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE", help=f"draw the table (default {FIGURE})")
    args = parser.parse_args(argv)
    train, valid = read_both(args.data)

    began = time.perf_counter()
    counts = count_bigrams(symbols(story) for story in train)
    in_python = time.perf_counter() - began
    table = count_array(symbol_stream(train))
    in_numpy = time.perf_counter() - began - in_python
    assert table.tolist() == counts, "the two ways of counting differ"
    print(f"counted {table.sum():,} pairs, {(table > 0).sum():,} different ones of {V * V:,} possible")
    print(f"  with lists in {in_python:.2f} s, as arrays in {in_numpy:.2f} s: the same table")

    p = smooth(counts, args.alpha)
    assert smooth_array(table, args.alpha).tolist() == p, "the two ways of smoothing differ"
    assert all(abs(sum(row) - 1) < 1e-12 for row, seen in zip(p, counts) if args.alpha or any(seen))
    show_rows(p)
    show_likelihood(p, valid[0])
    valid_table, n_bytes = count_array(symbol_stream(valid)), sum(len(story.encode("utf-8")) for story in valid)
    show_baselines(table, valid_table, n_bytes)
    show_alphas(train)

    if args.plot:
        draw_table(table, [symbol_name(symbol) for symbol in range(V)], args.plot)
    train_bpb = table_bits(np.array(p), table) / sum(len(story.encode("utf-8")) for story in train)
    valid_bpb = bits_per_byte(p, valid)
    assert math.isclose(valid_bpb, table_bits(np.array(p), valid_table) / n_bytes, rel_tol=1e-9), "the two sums differ"
    print(f"train {train_bpb:.6f} bits per byte\nvalid {valid_bpb:.6f} bits per byte\nstories:")
    tell_stories(p, args.seed, args.stories, args.length)
    if valid_bpb < math.inf:
        append_score("bigram", "bigram", args.data, valid_bpb)


if __name__ == "__main__":
    run(main)
