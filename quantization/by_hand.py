"""Eight numbers to eight and to four bits and back, with a pencil; a sum of products in integers; what an outlier does.

New since the last chapter: a number is stored as a small whole number, its code, and a scale that it
shares with its neighbors. Everything here is loops first and NumPy then, and the codes come out the same
from the chapter's own function (quantize.py). Left out on purpose: a zero point (quantize.py has it).

    python quantization/by_hand.py                  three seconds
    python quantization/by_hand.py --plot           also draws quantization/figures/grid.svg

Papers: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference" (2017); Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference" (2018).
"""

import argparse
import math

import numpy as np
import torch

from cli import run
from plot import quiet_pyplot, save_figure
from quantize import quantize

FIGURE = "quantization/figures/grid.svg"
W = [0.70, -0.32, 0.11, 0.04, -0.58, 0.24, 0.43, -0.16]  # weights
X = [1.27, 0.30, -0.85, 0.52, 0.06, -1.10, 0.77, 0.25]  # what is multiplied with them
OUTLIER = [*W[:7], 2.80]


def scale_of(numbers, bits):
    """The step between two codes: the largest number becomes the largest code, 127 with 8 bits, 7 with 4."""
    return max(abs(x) for x in numbers) / (2 ** (bits - 1) - 1)


def to_codes(numbers, scale):
    """Each number as so many steps, rounded to a whole one."""
    return [round(x / scale) for x in numbers]


def from_codes(codes, scale):
    """The numbers that the codes stand for."""
    return [code * scale for code in codes]


def dot(a, b):
    """The sum of products, of integers or of floats."""
    return sum(x * y for x, y in zip(a, b))


def pack(codes):
    """Two codes of four bits in a byte: byte j has code j in its low half and code j + n / 2 in its high half."""
    half = len(codes) // 2
    return bytes(codes[j] + 8 | codes[j + half] + 8 << 4 for j in range(half))


def unpack(data):
    """The codes of pack()."""
    return [byte % 16 - 8 for byte in data] + [byte // 16 - 8 for byte in data]


def by_groups(numbers, bits, group):
    """To codes and back, every `group` numbers with a scale of their own."""
    back = []
    for start in range(0, len(numbers), group):
        part = numbers[start : start + group]
        scale = scale_of(part, bits)
        back += from_codes(to_codes(part, scale), scale)
    return back


def in_numpy(numbers, bits, group):
    """The same in NumPy: (codes (n / group, group), scales (n / group, 1))."""
    parts = np.array(numbers).reshape(-1, group)
    scales = np.abs(parts).max(1, keepdims=True) / (2 ** (bits - 1) - 1)
    return np.rint(parts / scales).astype(np.int8), scales


def root_mean_square(numbers):
    return math.sqrt(sum(x * x for x in numbers) / len(numbers))


def print_round_trip():
    """The table of the eight numbers in eight and in four bits."""
    scales = scale_of(W, 8), scale_of(W, 4)
    print(f"scales: 0.70 / 127 = {scales[0]:.6f} for eight bits, 0.70 / 7 = {scales[1]:.6f} for four\n")
    print("number      int8 code      back     error     int4 code      back     error")
    codes = [to_codes(W, scale) for scale in scales]
    backs = [from_codes(c, scale) for c, scale in zip(codes, scales)]
    for w, c8, b8, c4, b4 in zip(W, codes[0], backs[0], codes[1], backs[1]):
        print(f"{w:6.2f} {c8:13} {b8:11.4f} {b8 - w:9.4f} {c4:12} {b4:11.4f} {b4 - w:9.4f}")
    for back, scale, bits in zip(backs, scales, (8, 4)):
        assert all(abs(b - w) <= scale / 2 + 1e-12 for b, w in zip(back, W)), "more than half a step"
        found, found_scale = in_numpy(W, bits, len(W))
        assert found[0].tolist() == to_codes(W, scale) and abs(found_scale[0, 0] - scale) < 1e-12
        assert quantize(torch.tensor([W]), bits, group=8).q[0].tolist() == to_codes(W, scale)
    data = pack(codes[1])
    print(f"four bytes hold the eight codes of four bits: {data.hex(' ')}")
    assert unpack(data) == codes[1]


def print_dot():
    """The sum of products once in floats, once in integers."""
    w_scale, x_scale = scale_of(W, 4), scale_of(X, 8)
    w, x = to_codes(W, w_scale), to_codes(X, x_scale)
    whole = dot(w, x)
    print(f"\nx in eight bits, scale {x_scale:.2f}: {x}\nw in four bits, scale {w_scale:.2f}:  {w}")
    print(f"sum of products: {whole} in integers, times both scales {whole * w_scale * x_scale:.4f}; "
          f"in floats {dot(W, X):.4f}")
    same = dot(from_codes(w, w_scale), from_codes(x, x_scale))
    assert math.isclose(whole * w_scale * x_scale, same), "the scales may wait until the sum is done"


def print_outlier():
    """One large number, with one scale for all and with two groups of four."""
    print("\nthe last weight is now 2.80; four bits:")
    print(f"{'':20}" + "".join(f"{w:8.2f}" for w in OUTLIER) + "   error of the other seven")
    errors = []
    for name, group in (("one scale", 8), ("two groups of four", 4)):
        back = by_groups(OUTLIER, 4, group)
        errors.append(root_mean_square([b - w for b, w in zip(back[:7], OUTLIER)]))
        print(f"{name:20}" + "".join(f"{b:8.2f}" for b in back) + f"{errors[-1]:12.4f}")
    assert errors[1] < errors[0]


def print_rounding_error():
    """A rounding error is anything from minus to plus half a step; its root mean square is the step over sqrt(12)."""
    numbers = np.random.default_rng(1).uniform(-1, 1, 10_000).tolist()
    print("\n10,000 numbers between -1 and 1:  bits    step   step / sqrt(12)   error")
    for bits in (8, 6, 4, 3, 2):
        scale = scale_of(numbers, bits)
        error = root_mean_square([b - x for b, x in zip(from_codes(to_codes(numbers, scale), scale), numbers)])
        print(f"{bits:37}{scale:9.4f}{scale / math.sqrt(12):15.5f}{error:12.5f}")
        assert abs(error / (scale / math.sqrt(12)) - 1) < 0.03


def draw_grid(path):
    """Where the eight numbers go: four bits, then with the outlier, then with the outlier in two groups."""
    plt = quiet_pyplot()
    figure, axes = plt.subplots(3, 1, figsize=(7, 3.6), sharex=True, layout="constrained")
    cases = ("four bits, one scale", W, 8), ("with an outlier, one scale", OUTLIER, 8), \
            ("with the outlier, two groups of four", OUTLIER, 4)
    for axis, (title, numbers, group) in zip(axes, cases):
        for start in range(0, len(numbers), group):
            part, color = numbers[start : start + group], ("#2f6690", "#b5432a")[start // 4 % 2]
            scale, height = scale_of(part, 4), 0.3 + 0.4 * (start > 0)
            axis.plot([c * scale for c in range(-7, 8)], [height] * 15, "|", color=color, markersize=9)
            for x, back in zip(part, from_codes(to_codes(part, scale), scale)):
                axis.annotate("", (back, height), (x, height + 0.35), arrowprops={"arrowstyle": "->", "color": "#777777"})
                axis.plot([x], [height + 0.35], "o", color=color, markersize=4)
        axis.set_title(title, fontsize=9, loc="left")
        axis.set(ylim=(0.1, 1.25), yticks=[], xlim=(-2.95, 2.95))
        axis.spines[["top", "right", "left"]].set_visible(False)
    save_figure(figure, path)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Eight numbers in eight and in four bits, with a pencil.")
    parser.add_argument("--plot", action="store_true", help=f"draw {FIGURE}")
    args = parser.parse_args(argv)
    print_round_trip()
    print_dot()
    print_outlier()
    print_rounding_error()
    if args.plot:
        draw_grid(FIGURE)


if __name__ == "__main__":
    run(main)
