"""One head of attention on three words of two numbers each, with every number on the way: what a pencil can follow.

The functions are those of attention.py; only the sizes are smaller, and the three matrices, which a model would
learn, are whole numbers that were chosen. T = 3 words, D = 2 numbers.

    python attention/by_hand.py                two seconds
    python attention/by_hand.py --plot         also draws attention/figures/by_hand.svg

Paper: Vaswani et al., "Attention Is All You Need" (2017).
"""

import argparse
import math

import torch

from attention import attention_loops, causal_attention
from cli import run
from plot import prepared
from softmax import softmax

FIGURE = "attention/figures/by_hand.svg"
WORDS = ["Tom", "saw", "Mia"]
X = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.5]]  # (T, 2): what a word is. First number: a name; second: a verb, or near one
W_QUERY = [[-1.0, 2.0], [2.0, 0.0]]  # (2, D): a name looks for verbs, a verb looks for names
W_KEY = [[1.0, 0.0], [0.0, 1.0]]  # a word offers what it is
W_VALUE = [[4.0, 0.0], [0.0, 2.0]]  # and gives the same, larger


def multiply(x, W):
    """A row of numbers times a matrix: y[j] = sum over i of x[i] W[i][j]."""
    return [sum(x[i] * W[i][j] for i in range(len(x))) for j in range(len(W[0]))]


def in_columns(row, digits):
    """Numbers of one width, in a row."""
    return " ".join(f"{a + 0.0:6.{digits}f}" for a in row)  # + 0.0 makes -0.0 a plain 0


def steps_by_hand(q, k, v):
    """For each word: products q k with itself and the past, these divided by sqrt(D), shares, and the result."""
    steps = []
    for t in range(len(q)):
        products = [sum(a * b for a, b in zip(q[t], k[s])) for s in range(t + 1)]
        scores = [a / math.sqrt(len(q[t])) for a in products]
        p = softmax(scores)
        out = [sum(p[s] * v[s][i] for s in range(t + 1)) for i in range(len(v[0]))]
        steps.append((products, scores, p, out))
    return steps


def svg_text(x, y, text, more='text-anchor="middle"'):
    """One piece of text in a picture."""
    return f'<text x="{x}" y="{y}" {more}>{text}</text>'


def svg_table(left, title, rows, shades=None):
    """A table of 3 rows as boxes with numbers; a missing number is the future. shades: how blue each box is, 0 to 1."""
    lines = [svg_text(left + 29 * len(rows[-1]), 28, title)]
    for t, row in enumerate(rows):
        for s in range(len(rows[-1])):
            x, y = left + 58 * s, 64 + 44 * t
            if s >= len(row):
                lines.append(f'<rect x="{x}" y="{y}" width="54" height="36" fill="#eee"/>')
                continue
            blue = shades[t][s] if shades else 0
            color = "#" + "".join(f"{round(255 - blue * (255 - end)):02x}" for end in (0x6F, 0xA3, 0xD0))
            lines.append(f'<rect x="{x}" y="{y}" width="54" height="36" fill="{color}" stroke="#444"/>')
            lines.append(svg_text(x + 27, y + 23, f"{row[s] + 0.0:.2f}".rstrip("0").rstrip(".")))
    return lines


def draw_steps(q, k, v, steps, path):
    """Writes the picture: queries, keys, scores, shares, values, results, from left to right."""
    tables = [("query", q, None), ("key", k, None), ("score", [s[1] for s in steps], None),
              ("share", [s[2] for s in steps], [s[2] for s in steps]), ("value", v, None),
              ("result", [s[3] for s in steps], None)]
    left, lines = 56, []
    for title, rows, shades in tables:
        lines += svg_table(left, title, rows, shades)
        if len(rows[-1]) == 3:  # a column a word: whom it is about
            lines += [svg_text(left + 58 * s + 27, 54, word, 'text-anchor="middle" fill="#777"')
                      for s, word in enumerate(WORDS)]
        left += 58 * len(rows[-1]) + 22
    lines += [svg_text(44, 87 + 44 * t, word, 'text-anchor="end" font-weight="bold"') for t, word in enumerate(WORDS)]
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left} 216" width="{left}" height="216" '
            'font-family="sans-serif" font-size="13">\n<rect width="100%" height="100%" fill="white"/>')
    path = prepared(path)
    path.write_text("\n".join([head, *lines, "</svg>"]) + "\n", encoding="utf-8")
    print(f"drawn in {path}")


def main(argv=None):
    parser = argparse.ArgumentParser(description="One head of attention on three words, number by number.")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE", help=f"draw the steps (default {FIGURE})")
    args = parser.parse_args(argv)

    q, k, v = ([multiply(x, W) for x in X] for W in (W_QUERY, W_KEY, W_VALUE))
    print("        what it is      query           key             value")
    for word, *rows in zip(WORDS, X, q, k, v):
        print(f"{word}   " + "   ".join(in_columns(row, 1) for row in rows))
    steps = steps_by_hand(q, k, v)
    for t, (word, (products, scores, p, out)) in enumerate(zip(WORDS, steps)):
        print(f"\n{word} asks         " + " ".join(f"{w:>6}" for w in WORDS[:t + 1]))
        print(f"  query · key    {in_columns(products, 2)}")
        print(f"  / sqrt(2)      {in_columns(scores, 2)}")
        e = [math.exp(s) for s in scores]
        print(f"  e to its power {in_columns(e, 2)}   sum {sum(e):.2f}")
        print(f"  share          {in_columns(p, 3)}")
        print("  result         " + " + ".join(f"{a:.3f} * ({row[0]:g}, {row[1]:g})" for a, row in zip(p, v))
              + f" = ({out[0]:.2f}, {out[1]:.2f})")
    out = torch.tensor([s[3] for s in steps])
    assert torch.allclose(out, torch.tensor(attention_loops(q, k, v))), "not the loops of attention.py"
    tensors = (torch.tensor(rows)[None, None] for rows in (q, k, v))  # (1, 1, T, D) each
    assert torch.allclose(out, causal_attention(*tensors)[0, 0]), "not the arrays of attention.py"
    print("\nattention.py gives the same, with loops and with arrays")
    if args.plot:
        draw_steps(q, k, v, steps, args.plot)


if __name__ == "__main__":
    run(main)
