"""Two layers of attention find a rule that one cannot: what followed the last time will follow again.

New since attention.py: two layers, of which the second reads what the first has written, and heads that can be looked
into and cut out. There is no hidden layer: all that this model can do, it does by attention. Left out on purpose: what
single heads look like on a sentence (maps.py).
Half of each batch are stories; the other half are invented words in random order ("mipzo" again and again), since
stories alone did not bring the rule about in the time that we have.
Shapes: B windows, T = 64 symbols, C = 64 numbers, H = 4 heads a layer, V = 257 symbols.

    python attention/induction.py                 a minute on two cores: two models of 1,200 steps
    python attention/induction.py --steps 20      a quick look
    python attention/induction.py --invented 0    stories only
    python attention/induction.py --plot          also draws attention/figures/maps_training.svg

Papers: Elhage et al., "A Mathematical Framework for Transformer Circuits" (2021); Olsson et al., "In-context Learning
and Induction Heads" (2022).
"""

import argparse
import math
import os
import time

import torch
import torch.nn.functional as F
from torch import nn

from attention import Attention
from cli import UserError, non_negative_int, positive_int, run
from data import V, byte_stream, random_batch
from plot import quiet_pyplot, save_figure
from rng import PCG32
from stories import load_split
from training import adamw_steps

STORIES = "datasets/stories"
FIGURE = "attention/figures/maps_training.svg"
T, C, H, BATCH, INVENTED, LEARNING_RATE, STEPS = 64, 64, 4, 32, 16, 3e-3, 1200
LETTERS = 26


class OpenAttention(Attention):
    """attention.py's module, which shows its weights and lets heads be cut out. (B, T, C) -> (B, T, C)

    weights: (B, H, T, T), those of the last call; keep: (H,), 0 where a head's result is to be left out.
    """

    def __init__(self, C, H):
        super().__init__(C, H)
        self.keep, self.weights = torch.ones(H), None

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (project(x).view(B, T, self.H, C // self.H).transpose(1, 2)  # (B, H, T, D)
                   for project in (self.q_proj, self.k_proj, self.v_proj))
        scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5  # (B, H, T, T)
        future = torch.ones(T, T, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(future, float("-inf")).softmax(-1)
        self.weights = weights.detach()
        y = weights @ v * self.keep[:, None, None]
        return self.o_proj(y.transpose(1, 2).reshape(B, T, C))


class AttentionOnly(nn.Module):
    """Embedding and place, attention layers that add to it, logits. ids (B, T) -> (B, T, V)

    Before each layer a token's C numbers are scaled to a mean square of 1 (RMS norm; chapter transformer says why).
    """

    def __init__(self, layers):
        super().__init__()
        self.embedding = nn.Embedding(V, C)
        self.place = nn.Embedding(T, C)
        self.layers = nn.ModuleList(OpenAttention(C, H) for _ in range(layers))
        self.head = nn.Linear(C, V, bias=False)
        for table in (self.embedding, self.place):
            nn.init.normal_(table.weight, std=0.1)  # small, so that the layers' results count beside it
        nn.init.normal_(self.head.weight, std=0.02)

    def forward(self, ids):
        if ids.shape[1] > T:
            raise ValueError(f"{ids.shape[1]} symbols, and the model has {T} places")
        x = self.embedding(ids) + self.place.weight[:ids.shape[1]]  # (B, T, C)
        for layer in self.layers:
            x = x + layer(F.rms_norm(x, (C,)))
        return self.head(F.rms_norm(x, (C,)))


def invented_rows(count, length, rng):
    """Rows of 3 to 5 invented words each, of 3 to 9 letters, one after another in random order. (count, length) int64

    Where a word begins nobody can know; how it goes on can be seen in the row, if it was there before.
    """
    rows = torch.empty(count, length, dtype=torch.int64)
    for n in range(count):
        words = [[ord("a") + rng.below(LETTERS) for _ in range(3 + rng.below(7))] for _ in range(3 + rng.below(3))]
        row = []
        while len(row) < length:
            row += words[rng.below(len(words))]
        rows[n] = torch.tensor(row[:length])
    return rows


def repeated_rows(count, rng):
    """The 26 letters in random order, and the same again: nothing to know in the first half, all in the second."""
    rows = []
    for _ in range(count):
        letters = list(range(ord("a"), ord("a") + LETTERS))
        for i in range(LETTERS - 1, 0, -1):  # Fisher and Yates: each order is equally likely
            j = rng.below(i + 1)
            letters[i], letters[j] = letters[j], letters[i]
        rows.append(letters * 2)
    return torch.tensor(rows)  # (count, 52)


@torch.no_grad()
def bits(model, rows):
    """-log2 p of each symbol but the first, given those before it in its row. (B, N) -> (B, N - 1)"""
    loss = F.cross_entropy(model(rows[:, :-1]).transpose(1, 2), rows[:, 1:], reduction="none")
    return loss / math.log(2)


def halves(model, rows):
    """Mean bits a symbol in the first and in the second half of repeated rows.

    The second half is taken from its second letter on: that it begins where the letters are used up is no repetition.
    """
    b = bits(model, rows)  # column t is about symbol t + 1
    return b[:, :LETTERS - 1].mean().item(), b[:, LETTERS:].mean().item()


@torch.no_grad()
def induction_scores(model, rows):
    """Of each head, the mean weight in the second half on what followed the same letter before. (layers, H)"""
    model(rows)
    t = torch.arange(LETTERS, 2 * LETTERS)
    return torch.stack([layer.weights[:, :, t, t - LETTERS + 1].mean((0, 2)) for layer in model.layers])


@torch.no_grad()
def previous_scores(model, rows):
    """Of each head, the mean weight on the symbol just before. (layers, H)"""
    model(rows)
    t = torch.arange(1, rows.shape[1])
    return torch.stack([layer.weights[:, :, t, t - 1].mean((0, 2)) for layer in model.layers])


def train_layers(layers, stream, steps, seed, invented, tests=None):
    """An AttentionOnly model after AdamW. tests: (repeated rows, story windows), looked at on the way, or None.

    Returns it and, ten times on the way, (step, bits on the stories, first and second half, best induction score).
    """
    torch.manual_seed(seed)
    model, generator = AttentionOnly(layers), torch.Generator().manual_seed(seed)
    rows = invented_rows(invented * steps, T + 1, PCG32(seed)).view(steps, invented, T + 1)

    def loss_of(step):
        inputs, targets = random_batch(stream, BATCH - invented, T, generator)
        inputs, targets = torch.cat([inputs, rows[step, :, :-1]]), torch.cat([targets, rows[step, :, 1:]])
        return F.cross_entropy(model(inputs).transpose(1, 2), targets)

    def share(step, steps):  # falls in the last quarter only: the rule comes suddenly, and must have time
        return min(1, (step + 1) / 50, 4 * (1 - step / steps))

    def watch(step, _):
        if tests and (step * 20 % steps < 20 or step == 1):
            curve.append((step, bits(model, tests[1]).mean().item(), *halves(model, tests[0]),
                          induction_scores(model, tests[0]).max().item()))

    curve = []
    adamw_steps(model, loss_of, steps, LEARNING_RATE, f"layers {layers}", share, betas=(0.9, 0.99), watch=watch)
    return model, curve


def cut_out(model, heads):
    """Leaves the results of these heads [(layer, head), …] out, and those of no others."""
    for number, layer in enumerate(model.layers):
        layer.keep = torch.tensor([0.0 if (number, h) in heads else 1.0 for h in range(layer.H)])


def names_of(heads):
    """Heads as people count them: layer 1 is the first."""
    return " ".join(f"{layer + 1}.{head + 1}" for layer, head in heads)


def show_curves(curves):
    """Both models on the way: bits a symbol."""
    print("              one layer                      two layers\n"
          "step       stories  letters  again       stories  letters  again  induction")
    for one, two in list(zip(*curves, strict=True))[::2]:
        print(f"{one[0]:5,} {one[1]:12.2f} {one[2]:8.2f} {one[3]:6.2f} "
              f"{two[1]:13.2f} {two[2]:8.2f} {two[3]:6.2f} {two[4]:10.2f}")


def show_scores(previous, induction):
    """Of each head, what it does to the byte before (in stories) and to what came after the same letter (repeated)."""
    print("\nhead                  " + "".join(f"{names_of([(layer, h)]):>6}" for layer in range(2) for h in range(H)))
    print("on the byte before    " + "".join(f"{x:6.2f}" for x in previous.flatten().tolist()))
    print("on what came after    " + "".join(f"{x:6.2f}" for x in induction.flatten().tolist()))


def show_cuts(model, repeated, windows, cuts):
    """Cuts heads out, prints bits a symbol, and returns {name: (letters, again, stories)}."""
    table = {}
    print("\nheads cut out                        letters   again   stories")
    for name, heads in cuts.items():
        cut_out(model, heads)
        table[name] = (*halves(model, repeated), bits(model, windows).mean().item())
        letters, again, stories = table[name]
        print(f"{(name + ' ' + names_of(heads)).strip():36}{letters:8.2f}{again:8.2f}{stories:10.2f}")
    cut_out(model, [])
    return table


def choose_cuts(previous, induction):
    """What to cut out: layer 1's head that looks back one byte, layer 2's heads that find repetition, all others."""
    before = (0, previous[0].argmax().item())
    finders = [(1, h) for h in range(H) if induction[1, h] > 0.6]
    others = [(layer, h) for layer in range(2) for h in range(H) if (layer, h) not in [before, *finders]]
    return {"none": [], "the byte before": [before], "repetition": finders, "all others": others}


def check_claims(curves, previous, induction, table):
    """What the lesson says, with margins that another seed keeps as well; only of full trainings."""
    one, two = curves[0][-1], curves[1][-1]
    assert one[3] > 4, f"one layer cannot know what comes again: {one[3]:.2f} bits"
    assert two[3] < 1 and two[2] > 4.5, f"two layers should know it: {two[3]:.2f} bits, and {two[2]:.2f} at first"
    assert previous[0].max() > 0.3 and induction[1].max() > 0.6, "there should be heads of both kinds"
    assert induction[0].max() < 0.1, "the first layer cannot look for what came after"
    lost = {name: (row[1] - table["none"][1], row[2] - table["none"][2]) for name, row in table.items()}
    assert lost["the byte before"][0] > 2 and lost["repetition"][0] > 2, "without these repetition should be lost"
    assert lost["repetition"][1] < lost["repetition"][0] / 2, "stories should suffer less"
    assert lost["all others"][0] < lost["all others"][1], "of the others, stories should need more than repetition"


def plot_curves(curves, path):
    """Bits a symbol in the second half, one layer and two, and the best induction score below."""
    plt = quiet_pyplot()
    figure, (upper, lower) = plt.subplots(2, figsize=(7, 4.4), layout="constrained", sharex=True, height_ratios=[3, 2])
    for curve, name, color in zip(curves, ("one layer", "two layers"), ("#888888", "#b5411d")):
        step, stories, first, second, score = zip(*curve)
        upper.plot(step, second, color=color, label=f"{name}: letters that come again")
        upper.plot(step, stories, color=color, linestyle=":", label=f"{name}: stories")
        lower.plot(step, score, color=color, label=name)
    upper.set(ylabel="bits a symbol", ylim=(0, None))
    lower.set(ylabel="weight on what\ncame after", xlabel="step", ylim=(0, 1))
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    save_figure(figure, path)


def add_flags(parser):
    """The flags that this script shares with maps.py."""
    parser.add_argument("--data", default=STORIES, help=f"folder with train.txt and valid.txt (default {STORIES})")
    parser.add_argument("--steps", type=positive_int, default=STEPS, help=f"of {BATCH} windows (default {STEPS:,})")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of weights and batches (default 0)")
    parser.add_argument("--threads", type=positive_int, default=os.cpu_count(), help="for torch (default: all cores)")


def main(argv=None):
    parser = argparse.ArgumentParser(description="One layer of attention and two: which finds that something returns?")
    add_flags(parser)
    parser.add_argument("--invented", type=non_negative_int, default=INVENTED, metavar="ROWS",
                        help=f"rows of invented words in a batch of {BATCH}; the rest are stories (default {INVENTED})")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE", help=f"draw the training (default {FIGURE})")
    args = parser.parse_args(argv)
    if args.invented >= BATCH:
        raise UserError(f"--invented {args.invented}: a batch has {BATCH} rows, and some must be stories")
    torch.set_num_threads(args.threads)
    stream, valid = (byte_stream(load_split(args.data, split)) for split in ("train", "valid"))
    repeated = repeated_rows(64, PCG32(args.seed))
    windows, _ = random_batch(valid, 64, T, torch.Generator().manual_seed(args.seed))

    started = time.perf_counter()
    tests = repeated, windows
    models, curves = zip(*(train_layers(n, stream, args.steps, args.seed, args.invented, tests) for n in (1, 2)))
    print(f"{2 * args.steps:,} steps in {time.perf_counter() - started:.0f} s; bits a symbol "
          f"(log2 of {LETTERS} letters is {math.log2(LETTERS):.2f})")
    show_curves(curves)
    previous, induction = previous_scores(models[1], windows), induction_scores(models[1], repeated)
    show_scores(previous, induction)
    table = show_cuts(models[1], repeated, windows, choose_cuts(previous, induction))
    if args.steps >= STEPS and args.invented >= INVENTED:
        check_claims(curves, previous, induction, table)
    if args.plot:
        plot_curves(curves, args.plot)


if __name__ == "__main__":
    run(main)
