"""One block of GPT-2 on three words, by hand: with loops, then with arrays, then as the module.

New since attention: the two branches (attention, MLP), the norm in front of each, and the stream that both
add to. Left out on purpose: training (the weights are drawn once, with one decimal, so that you can check
a number on paper) and the vocabulary (words become rows of a table, and nothing is predicted yet).
Shapes: T tokens, C numbers a token, H heads of D = C / H numbers, F = 4 C numbers inside the MLP.

    python transformer/by_hand.py             two seconds
    python transformer/by_hand.py --plot      also draws transformer/figures/block.svg

Papers: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019); Ba, Kiros and Hinton,
"Layer Normalization" (2016); Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016).
"""

import argparse
import math

import numpy as np
import torch

from atomic import write_atomic
from cli import run
from gpt2 import Block, GPT2Config
from rng import PCG32

FIGURE = "transformer/figures/block.svg"
WORDS = ["Tom", "saw", "Mia"]  # T = 3
STREAM = [[1.0, 0.5, -0.5, 0.0], [0.0, -1.0, 0.5, 1.5], [1.0, -0.5, -1.0, 0.5]]  # (T, C): words and positions
C, H = 4, 2


def draw_weights(seed):
    """All that a block learns: matrices (in, out) with one decimal, biases of 0, gains of 1."""
    rng = PCG32(seed)

    def matrix(rows, columns):
        return [[round(0.5 * rng.normal(), 1) for _ in range(columns)] for _ in range(rows)]

    return {"attend": matrix(C, 3 * C), "project": matrix(C, C), "widen": matrix(C, 4 * C), "narrow": matrix(4 * C, C)}


def linear(x, W):
    """y[j] = sum over i of x[i] W[i][j]. One token: (in,) -> (out,)"""
    return [sum(x[i] * W[i][j] for i in range(len(x))) for j in range(len(W[0]))]


def layer_norm(x):
    """The numbers of one token, moved to mean 0 and stretched to variance 1. (C,) -> (C,)"""
    mean = sum(x) / len(x)
    variance = sum((a - mean) ** 2 for a in x) / len(x)
    return [(a - mean) / math.sqrt(variance + 1e-5) for a in x]


# copied from: bigram/layer.py::softmax
def softmax(scores):
    """Any numbers become shares that are positive and sum to 1."""
    e = [math.exp(s - max(scores)) for s in scores]
    return [a / sum(e) for a in e]


# adapted from: attention/attention.py::attention_loops (all heads, and the products before and after)
def attention(xs, W):
    """Each token asks (query), all up to it answer (key) and give (value). (T, C) -> (T, C), shares (H, T, …)"""
    D, T = C // H, len(xs)
    q, k, v = ([linear(x, W["attend"])[part * C: part * C + C] for x in xs] for part in range(3))  # (T, C) each
    mixed, shares = [[] for _ in xs], []
    for h in range(H):
        head = slice(h * D, h * D + D)  # this head's numbers
        shares.append([])
        for t in range(T):
            scores = [sum(a * b for a, b in zip(q[t][head], k[s][head])) / math.sqrt(D) for s in range(t + 1)]
            p = softmax(scores)  # over the tokens 0..t: the future is not even looked at
            shares[h].append(p)
            mixed[t] += [sum(p[s] * v[s][head][i] for s in range(t + 1)) for i in range(D)]
    return [linear(m, W["project"]) for m in mixed], shares


# adapted from: mlp/mlp.py::gelu (of one number)
def gelu(a):
    """Nearly a for large a, nearly 0 for very negative a, smooth between."""
    return 0.5 * a * (1 + math.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3)))


def mlp(x, W):
    """Four times wider, bent, back again: what one token makes of what it has. (C,) -> (C,)"""
    return linear([gelu(a) for a in linear(x, W["widen"])], W["narrow"])


def block(xs, W):
    """Both branches in turn; each reads the stream through a norm and adds to it. Returns all that happens."""
    normed = [layer_norm(x) for x in xs]
    added, shares = attention(normed, W)
    after = [[a + b for a, b in zip(x, d)] for x, d in zip(xs, added)]
    thought = [mlp(layer_norm(x), W) for x in after]
    out = [[a + b for a, b in zip(x, d)] for x, d in zip(after, thought)]
    return {"stream": xs, "normed": normed, "attention adds": added, "stream after": after,
            "the MLP adds": thought, "out": out, "shares": shares}


def block_of_arrays(x, W):
    """The same with NumPy: all tokens and all heads at once. x: (T, C) -> (T, C)"""
    T, D = len(x), C // H

    def norm(x):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)

    q, k, v = (part.reshape(T, H, D).transpose(1, 0, 2)  # (H, T, D)
               for part in np.split(norm(x) @ np.array(W["attend"]), 3, axis=-1))
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(D)  # (H, T, T)
    scores = np.where(np.tri(T, dtype=bool), scores, -np.inf)  # row t keeps the columns 0..t
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    x = x + (p @ v).transpose(1, 0, 2).reshape(T, C) @ np.array(W["project"])
    h = norm(x) @ np.array(W["widen"])  # (T, F)
    h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
    return x + h @ np.array(W["narrow"])


def block_of_the_module(x, W):
    """The same by gpt2.py's Block, which stores each matrix the other way round: (out, in)."""
    module = Block(GPT2Config(n_embd=C, n_head=H))
    linears = {"attend": module.attn.c_attn, "project": module.attn.c_proj,
               "widen": module.mlp.c_fc, "narrow": module.mlp.c_proj}
    with torch.no_grad():
        for name, layer in linears.items():
            layer.weight.copy_(torch.tensor(W[name]).T)
            layer.bias.zero_()
        return module(torch.tensor(x, dtype=torch.float32)[None])[0].numpy()  # (1, T, C) -> (T, C)


def cell(x, y, value, limit=3.0):
    """One number in a box: orange above zero, blue below, the stronger the darker."""
    strength = min(1.0, abs(value) / limit)
    color = (225, 135, 45) if value > 0 else (60, 120, 190)
    shade = ",".join(str(round(255 - (255 - c) * strength)) for c in color)
    return (f'<rect x="{x}" y="{y}" width="34" height="22" fill="rgb({shade})" stroke="#888" stroke-width="0.5"/>'
            f'<text x="{x + 17}" y="{y + 15}" text-anchor="middle">{value:.1f}</text>')


def draw_block(steps, path):
    """The stream from left to right, and above it the branches that read from it and add to it."""
    left, top, wide = 56, 92, 136  # of a column of C cells
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 30 872 232" width="872" height="232" '
             'font-family="sans-serif" font-size="11">', '<rect y="30" width="100%" height="100%" fill="white"/>']
    names = ["stream", "attention adds", "stream after", "the MLP adds", "out"]
    for number, name in enumerate(names):
        x = left + number * (wide + 30)
        branch = number % 2
        for t in range(len(WORDS)):
            parts += [cell(x + 34 * i, top + 30 * t, a) for i, a in enumerate(steps[name][t])]
        label = "the stream, again" if name == "stream after" else "the stream, out" if name == "out" else name
        parts.append(f'<text x="{x + wide / 2}" y="{top - 10}" text-anchor="middle" font-weight="bold">{label}</text>')
        if number:
            sign = "=" if not branch else "+"
            parts += [f'<text x="{x - 15}" y="{top + 15 + 30 * t}" text-anchor="middle" font-size="15">{sign}</text>'
                      for t in range(len(WORDS))]
        if branch:
            what = "layer norm, attention: between tokens" if number == 1 else "layer norm, MLP: each token alone"
            parts += [f'<path d="M{x - 98} {top - 24} V52 H{x - 40}" fill="none" stroke="#444"/>',
                      f'<rect x="{x - 40}" y="38" width="{wide + 80}" height="28" rx="6" fill="#f2efe6" stroke="#444"/>',
                      f'<text x="{x + wide / 2}" y="56" text-anchor="middle">{what}</text>']
    parts += [f'<text x="8" y="{top + 15 + 30 * t}" font-weight="bold">{word}</text>' for t, word in enumerate(WORDS)]
    for h, shares in enumerate(steps["shares"]):
        parts.append(f'<text x="{left + 240 * h}" y="212" fill="#444">head {h + 1}, shares:</text>')
        for t, row in enumerate(shares):
            parts.append(f'<text x="{left + 240 * h + 88}" y="{192 + 15 + 22 * t}">{WORDS[t]}</text>')
            parts += [cell(left + 240 * h + 116 + 34 * s, 192 + 22 * t, p, limit=1.5) for s, p in enumerate(row)]
    write_atomic(path, "\n".join([*parts, "</svg>", ""]))


def show_heads(steps, W):
    """Prints what the tokens ask and answer in the first head, and what comes of it in all."""
    for x, word in zip(steps["normed"], WORDS):
        q, k = (linear(x, W["attend"])[part * C: part * C + C // H] for part in range(2))
        print(f"  head 1: {word} asks {q[0]:5.2f} {q[1]:5.2f}, answers {k[0]:5.2f} {k[1]:5.2f}")
    for h, shares in enumerate(steps["shares"]):
        for word, row in zip(WORDS, shares):
            print(f"  head {h + 1}: {word} takes " + ", ".join(f"{p:.2f} of {w}" for p, w in zip(row, WORDS)))


def main(argv=None):
    parser = argparse.ArgumentParser(description="One block of GPT-2 on three words, by hand.")
    parser.add_argument("--plot", action="store_true", help=f"draw {FIGURE}")
    args = parser.parse_args(argv)
    W = draw_weights(seed=7)
    steps = block(STREAM, W)
    for name in ("stream", "normed", "attention adds", "stream after", "the MLP adds", "out"):
        print(name)
        for word, row in zip(WORDS, steps[name]):
            print(f"    {word}  " + " ".join(f"{a:6.2f}" for a in row))
        if name == "normed":
            show_heads(steps, W)
    loops = np.array(steps["out"])
    for way, y in (("arrays", block_of_arrays(np.array(STREAM), W)), ("module", block_of_the_module(STREAM, W))):
        difference = np.abs(y - loops).max()
        print(f"loops and {way}: {difference:.1e} apart at most")
        assert difference < 1e-5, "three ways to compute one block, and they differ"
    if args.plot:
        draw_block(steps, FIGURE)
        print(f"drawn in {FIGURE}")


if __name__ == "__main__":
    run(main)
