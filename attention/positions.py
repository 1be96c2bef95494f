"""Where a token stands: five answers, trained equally long on the same batches, then read beyond the trained length.

New since attention.py: what is added to, or turned in, the tokens so that attention knows their order. Each answer is
a few lines; the rest of the model is the same. Left out on purpose: stretching rotary positions to longer texts.
Shapes: B sequences, T tokens (64 in training), C numbers a token, H heads, D = C / H.

    python attention/positions.py                     two minutes on two cores
    python attention/positions.py --steps 20          a quick look
    python attention/positions.py --plot              also draws attention/figures/positions.svg
    python attention/positions.py --kinds rotary --seed 1

Papers: Vaswani et al. (2017), sinusoidal; Shaw, Uszkoreit and Vaswani, "Self-Attention with Relative Position
Representations" (2018); Su et al., "RoFormer" (2021), rotary; Press, Smith and Lewis, "Train Short, Test Long" (2021),
ALiBi.
"""

import argparse
import math
import os
import time

import torch
import torch.nn.functional as F
from torch import nn

from attention import Attention, causal_attention
from cli import UserError, non_negative_int, positive_int, run
from data import V, bits_per_byte, byte_stream, random_batch
from plot import quiet_pyplot, save_figure
from stories import load_split
from training import adamw_steps

STORIES = "datasets/stories"
FIGURE = "attention/figures/positions.svg"
KINDS = ["none", "sinusoidal", "learned", "ALiBi", "rotary"]
T, FAR, C, H, BATCH, LEARNING_RATE, STEPS = 64, 256, 64, 4, 32, 1e-2, 800
STORIES_SCORED = 60  # of valid.txt, to be quick


def sinusoidal_table(length, C):
    """Row t: sin and cos of t at C / 2 speeds, from one turn in 6 tokens to one in 60,000. (length, C)"""
    speed = 10000.0 ** (-torch.arange(0, C, 2) / C)  # (C/2,)
    angle = torch.arange(length)[:, None] * speed  # (length, C/2)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


def alibi_bias(H, length):
    """What is added to the scores: minus slope times the distance; the future is minus infinity. (H, length, length)"""
    slope = 2.0 ** (-8 * torch.arange(1, H + 1) / H)  # (H,): each head forgets at a speed of its own
    place = torch.arange(length)
    distance = place[:, None] - place  # (length, length): row t, column s
    return (-slope[:, None, None] * distance).masked_fill(distance < 0, float("-inf"))


def biased_attention(q, k, v, bias):
    """softmax(q k^T / sqrt(D) + bias) v. q, k, v: (B, H, T, D); bias: (H, T, T), minus infinity where not to look"""
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    return (scores + bias).softmax(-1) @ v


def rotary_tables(head_dim, length, theta, device=None):
    """Cosines and sines of the rotary angles, each (length, head_dim): position t turns pair i by t * theta^(-2i/D)."""
    frequency = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float32, device=device) / head_dim)  # (D/2,)
    angle = torch.arange(length, dtype=torch.float32, device=device)[:, None] * frequency  # (T, D/2)
    angle = torch.cat([angle, angle], dim=-1)  # the half-split convention: pair i is (x[i], x[i + D/2])
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    """Turns each pair (x[i], x[i + D/2]) by its position's angle. x: (B, heads, T, D); cos, sin: (T, D)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


class PlacedAttention(Attention):
    """attention.py's module, where ALiBi and rotary act: between the projections and the sum. (B, T, C) -> (B, T, C)"""

    def forward(self, x, kind):
        B, T, C = x.shape
        D = C // self.H
        q, k, v = (project(x).view(B, T, self.H, D).transpose(1, 2)  # (B, H, T, D)
                   for project in (self.q_proj, self.k_proj, self.v_proj))
        if kind == "rotary":
            cos, sin = rotary_tables(D, T, 10000.0)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)  # the values are not turned
        y = biased_attention(q, k, v, alibi_bias(self.H, T)) if kind == "ALiBi" else causal_attention(q, k, v)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, C))


class PlacedModel(nn.Module):
    """Embedding, two attention layers that add to it, one hidden layer, logits. ids (B, T) -> (B, T, V)"""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.embedding = nn.Embedding(V, C)
        self.layers = nn.ModuleList(PlacedAttention(C, H) for _ in range(2))
        self.hidden = nn.Linear(C, 2 * C)
        self.head = nn.Linear(2 * C, V)
        nn.init.normal_(self.embedding.weight, std=0.5)
        if kind == "learned":  # made last, so that all other weights are the same for every kind
            self.place = nn.Parameter(0.5 * torch.randn(T, C))

    def forward(self, ids):
        x = self.embedding(ids)  # (B, T, C)
        length = ids.shape[1]
        if self.kind == "learned":
            if length > len(self.place):
                raise ValueError(f"{length} tokens, and places were learned for {len(self.place)} only")
            x = x + self.place[:length]
        if self.kind == "sinusoidal":
            x = x + 0.5 * sinusoidal_table(length, C)
        for layer in self.layers:
            x = x + layer(x, self.kind)
        return self.head(F.gelu(self.hidden(x)))


def train_kind(kind, stream, steps, seed):
    """A model of that kind after AdamW on random windows; the seed decides weights and batches. Also the last loss."""
    torch.manual_seed(seed)
    model, generator = PlacedModel(kind), torch.Generator().manual_seed(seed)

    def loss_of(_):
        inputs, targets = random_batch(stream, BATCH, T, generator)
        return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

    last = adamw_steps(model, loss_of, steps, LEARNING_RATE, kind)[-50:]
    return model, sum(last) / len(last) / math.log(2)


@torch.inference_mode()
def bits_by_place(model, stream, length, windows=320, group=16):
    """The mean -log2 p for the places 0 to 15, 16 to 31, … of windows of that length. (length / group,)

    The windows start 16 symbols apart, so every group predicts the same stretch of text (but for its ends), the later
    groups from further back: differences between groups are differences of context, not of text.
    """
    starts = torch.arange(windows) * group
    starts = starts[starts + length < len(stream)]
    ids = stream[starts[:, None] + torch.arange(length + 1)]  # (windows, length + 1)
    bits = torch.zeros(length, dtype=torch.float64)
    for some in ids.split(32):
        log_p = model(some[:, :-1]).log_softmax(-1)  # (32, length, V)
        bits -= log_p.gather(-1, some[:, 1:, None]).squeeze(-1).double().sum(0) / math.log(2)
    return (bits / len(ids)).view(-1, group).mean(-1)


def show_comparison(kinds, losses, scores, curves):
    """One line a kind: the loss in training, bits per byte, and bits a symbol within and beyond the trained length."""
    edges = [0, T // 4, T, 2 * T, FAR]
    columns = [f"{a}-{b - 1}" for a, b in zip(edges, edges[1:])]
    print("\n            training  valid, windows    bits a symbol at the places\n"
          f"                loss     of {T}: bpb  " + "".join(f"{c:>9}" for c in columns))
    for kind in kinds:
        groups = [curves[kind][a // 16:b // 16] for a, b in zip(edges, edges[1:])]
        cells = "".join(f"{g.mean().item():9.3f}" if len(g) else f"{'none':>9}" for g in groups)
        print(f"{kind:11} {losses[kind]:8.3f} {scores[kind]:14.3f}  {cells}")


def check_claims(scores, curves):
    """What the lesson says of the five; only of full trainings."""
    inside = {kind: curve[1:4].mean() for kind, curve in curves.items()}  # places 16 to 63
    far = {kind: curve[8:].mean() for kind, curve in curves.items() if kind != "learned"}  # places 128 to 255
    assert all(scores["none"] > scores[kind] + 0.1 for kind in KINDS[1:]), "without places should be worst"
    assert min(scores, key=scores.get) == "rotary", "rotary should learn fastest"
    assert far["ALiBi"] < inside["ALiBi"] + 0.1, "ALiBi should hold beyond the trained length"
    assert all(far[kind] > inside[kind] + 0.2 for kind in ("sinusoidal", "rotary")), "these should get worse beyond"


def plot_places(curves, path):
    """Bits by place: one line a kind; the trained length is marked."""
    plt = quiet_pyplot()
    figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
    colors = {"none": "#888888", "sinusoidal": "#b5651d", "learned": "#6a994e", "ALiBi": "#2b5d8a", "rotary": "#7b3f8c"}
    for kind, curve in curves.items():
        axes.plot([16 * i + 8 for i in range(len(curve))], curve.tolist(), color=colors[kind], marker="o", markersize=3,
                  label=kind)
    axes.axvline(T, color="#444444", linestyle=":", linewidth=1)
    axes.text(T - 3, axes.get_ylim()[1], "trained up to here", fontsize=9, color="#444444", ha="right", va="top")
    axes.set(xlabel="place in the window", ylabel="bits a symbol")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    save_figure(figure, path)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Five ways to say where a token stands, trained and compared.")
    parser.add_argument("--data", default=STORIES, help=f"folder with train.txt and valid.txt (default {STORIES})")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, metavar="KIND",
                        help=f"which of {', '.join(KINDS)} (default all)")
    parser.add_argument("--steps", type=positive_int, default=STEPS, help=f"of {BATCH} windows (default {STEPS:,})")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of weights and batches (default 0)")
    parser.add_argument("--threads", type=positive_int, default=os.cpu_count(), help="for torch (default: all cores)")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE", help=f"draw the bits (default {FIGURE})")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    stream, valid = byte_stream(load_split(args.data, "train")), load_split(args.data, "valid")
    valid_stream = byte_stream(valid)
    if len(valid_stream) <= FAR:
        raise UserError(f"{args.data}/valid.txt has {len(valid_stream)} symbols, {FAR + 1} are needed; give it more")
    print(f"read {args.data}; {args.steps:,} steps of {BATCH} windows of {T} for each, the same for all")
    losses, scores, curves, started = {}, {}, {}, time.perf_counter()
    for kind in args.kinds:
        model, losses[kind] = train_kind(kind, stream, args.steps, args.seed)
        scores[kind] = bits_per_byte(model, valid[:STORIES_SCORED], T)
        curves[kind] = bits_by_place(model, valid_stream, T if kind == "learned" else FAR)
    show_comparison(args.kinds, losses, scores, curves)
    print(f"{time.perf_counter() - started:.0f} seconds, {args.threads} threads")
    if args.steps >= STEPS and args.kinds == KINDS and args.data == STORIES:
        check_claims(scores, curves)
    if args.plot:
        plot_places(curves, args.plot)


if __name__ == "__main__":
    run(main)
