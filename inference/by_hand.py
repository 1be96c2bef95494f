"""The cache by hand: four tokens, one head two numbers wide, and what is computed again and again.

New since the last chapter: nothing but the order of the work. The same attention is computed token by
token, first forgetting everything in between, then remembering keys and values, then for two sequences
at once, then by the course's KVCache. The numbers are the same each time. Left out on purpose: rotary
positions (a key is turned before it is stored, and never again).
Shapes: T tokens, D numbers a head.

    python inference/by_hand.py                  three seconds
    python inference/by_hand.py --plot           also draws inference/figures/work.svg

Paper: Shazeer, "Fast Transformer Decoding: One Write-Head is All You Need" (2019).
"""

import argparse
import math
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F

from cli import run
from kv_cache import KVCache

FIGURE = "inference/figures/work.svg"
WORDS = ["The", "little", "dog", "ran"]
X = [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [-0.5, 1.0]]  # (T, D), what enters the layer
W_Q = [[1.0, 0.5], [-0.5, 1.0]]
W_K = [[0.5, 1.0], [1.0, -0.5]]
W_V = [[2.0, 0.0], [0.0, 1.0]]


class Counter:
    """Counts how many tokens were sent through a projection, which is what the cache saves."""

    def __init__(self):
        self.projections = 0

    def project(self, x, W):
        """x W for one token: (D,) -> (D,)"""
        self.projections += 1
        return [sum(x[i] * W[i][j] for i in range(2)) for j in range(2)]


def attend(q, keys, values):
    """softmax(q k / sqrt(D)) v, for one query over the keys there are. Lists; (D,), (T, D), (T, D) -> (D,)"""
    scores = [math.exp(sum(a * b for a, b in zip(q, k)) / math.sqrt(2)) for k in keys]
    return [sum(s * v[j] for s, v in zip(scores, values)) / sum(scores) for j in range(2)]


def without_cache(tokens, count):
    """Each step sends all tokens through the layer again and keeps the last answer."""
    answers = []
    for t in range(1, len(tokens) + 1):
        queries, keys, values = ([count.project(x, W) for x in tokens[:t]] for W in (W_Q, W_K, W_V))
        answers.append(attend(queries[-1], keys, values))
    return answers


def with_cache(tokens, count):
    """Each step sends one token through the layer; keys and values of the others are still there."""
    keys, values, answers = [], [], []
    for x in tokens:
        keys.append(count.project(x, W_K))
        values.append(count.project(x, W_V))
        answers.append(attend(count.project(x, W_Q), keys, values))
    return answers


def vectorized(tokens, lengths):
    """The last step of several sequences at once. tokens (B, T, D), padded; lengths (B,) -> (B, D)"""
    x = np.array(tokens)
    B, T, D = x.shape
    K, V = x @ np.array(W_K), x @ np.array(W_V)  # the cache: (B, T, D)
    last = x[np.arange(B), np.array(lengths) - 1]  # (B, D)
    scores = np.einsum("bd,btd->bt", last @ np.array(W_Q), K) / math.sqrt(D)
    hidden = np.arange(T) >= np.array(lengths)[:, None]  # (B, T): what lies behind the end of a row
    weights = np.exp(np.where(hidden, -np.inf, scores))
    return np.einsum("bt,btd->bd", weights / weights.sum(1, keepdims=True), V)


def by_the_module(tokens):
    """The same four steps with the course's cache: one layer, one slot, one head."""
    config = SimpleNamespace(num_hidden_layers=1, num_key_value_heads=1, head_dim=2)
    cache, answers = KVCache(config, slots=1, max_length=len(tokens)), []
    for x in torch.tensor(tokens):
        q, k, v = ((x @ torch.tensor(W)).view(1, 1, 1, 2) for W in (W_Q, W_K, W_V))  # (B, K, T, D)
        step = cache.begin(1)
        keys, values = cache.append(0, k, v, step)  # (1, 1, L, 2)
        answer = F.scaled_dot_product_attention(q, keys, values, attn_mask=step.mask)
        answers.append(answer.flatten().tolist())
        cache.advance(1)
    return answers


def draw_work(path):
    """Who is computed at which step, as two triangles: a dark square is a token sent through the model."""
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "storyteller", "svg.fonttype": "none"})  # small, and always the same
    T = len(WORDS) + 2
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.2), sharey=True)
    titles = f"without a cache: {T * (T + 1) // 2} tokens computed", f"with a cache: {T} tokens computed"
    for axis, title, cached in zip(axes, titles, (False, True)):
        for step in range(T):
            for token in range(step + 1):
                new = not cached or token == step
                axis.add_patch(plt.Rectangle((token + 0.08, step + 0.08), 0.84, 0.84, edgecolor="#555555",
                                             facecolor="#2f6690" if new else "#d9e5ec"))  # fmt: skip
        axis.set_title(title, fontsize=10)
        axis.set(xlim=(0, T), ylim=(T, 0), xlabel="token", aspect="equal")
        axis.set_xticks([i + 0.5 for i in range(T)], range(1, T + 1))
        axis.set_yticks([i + 0.5 for i in range(T)], range(1, T + 1))
    axes[0].set_ylabel("step")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    print(f"wrote {path}")


def main(argv=None):
    parser = argparse.ArgumentParser(description="Attention over four tokens, with and without a cache.")
    parser.add_argument("--plot", action="store_true", help=f"draw {FIGURE}")
    args = parser.parse_args(argv)
    forgetful, remembering = Counter(), Counter()
    slow, fast, module = without_cache(X, forgetful), with_cache(X, remembering), by_the_module(X)
    print("attention's answer for each token, as it comes:")
    print(f"{'token':10}{'forgetting':>18}{'remembering':>18}{'KVCache':>18}")
    for word, *answers in zip(WORDS, slow, fast, module):
        print(f"{word:10}" + "".join(f"{a:10.4f}{b:8.4f}" for a, b in answers))
    assert np.allclose(slow, fast) and np.allclose(slow, module, atol=1e-6)
    print(f"tokens projected: {forgetful.projections} forgetting, {remembering.projections} remembering")
    assert (forgetful.projections, remembering.projections) == (3 * (1 + 2 + 3 + 4), 3 * 4)

    rest = [[9.0, 9.0]] * 2  # what an earlier sequence left behind in the slot, and nobody may see
    both = vectorized([X, X[:2] + rest], lengths=[4, 2])
    print(f"two sequences at once: of four tokens {both[0].round(4)}, of two tokens {both[1].round(4)}")
    assert np.allclose(both[0], slow[3]) and np.allclose(both[1], slow[1])
    print("each is what it was alone: the mask hides what lies behind the end of the shorter row")
    if args.plot:
        draw_work(FIGURE)


if __name__ == "__main__":
    run(main)
