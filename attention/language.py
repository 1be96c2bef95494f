"""A language model over bytes with one attention layer: which bytes of the past matter is learned, not fixed.

New since the last chapter: attention in place of the window of K bytes. The same matrices serve every place, so T may
be large, and a window of T symbols gives T predictions at once. The steps are AdamW's, as at the last chapter's end.
Left out on purpose: more than one attention layer (chapter transformer).
Shapes: B windows, T symbols each, C numbers a symbol, H heads, V = 257 symbols: the bytes and END.

    python attention/language.py                    a minute and a half on two cores
    python attention/language.py --steps 100        a quick look
    python attention/language.py --hidden 0         without the hidden layer: attention alone

Appends its number to out/scoreboard.jsonl.

Papers: Bahdanau, Cho and Bengio (2014); Vaswani et al., "Attention Is All You Need" (2017).
"""

import argparse
import math
import os
import time

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from attention import Attention
from cli import UserError, append_score, non_negative_int, positive_int, run
from data import V, bits_per_byte, byte_stream, random_batch, sample
from stories import load_split
from training import adamw_steps

STORIES = "datasets/stories"
T, C, H, HIDDEN, BATCH, LEARNING_RATE, STEPS = 128, 128, 4, 512, 16, 1e-2, 2000
SAMPLE_BYTES = 150


class AttentionModel(nn.Module):
    """Embedding and place, one attention layer, one hidden layer, logits. ids (B, T) -> logits (B, T, V)"""

    def __init__(self, heads=H, hidden=HIDDEN):
        super().__init__()
        self.embedding = nn.Embedding(V, C)  # what a symbol is
        self.place = nn.Embedding(T, C)  # where it stands in the window
        for table in (self.embedding, self.place):
            nn.init.normal_(table.weight, std=0.5)
        self.attention = Attention(C, heads)
        self.hidden = nn.Sequential(nn.Linear(C, hidden), nn.GELU()) if hidden else nn.Identity()
        self.head = nn.Linear(hidden or C, V)

    def forward(self, ids):
        if ids.shape[1] > T:
            raise ValueError(f"{ids.shape[1]} symbols, and the model has {T} places")
        x = self.embedding(ids) + self.place.weight[:ids.shape[1]]  # (B, T, C)
        x = x + self.attention(x)  # the symbol itself, and what it found in the past
        return self.head(self.hidden(x))


def train_by_windows(model, stream, steps, seed):
    """Steps on random windows. Prints loss and samples; returns the losses in nats, and the seconds."""
    generator, started = torch.Generator().manual_seed(seed), time.perf_counter()

    def loss_of(_):
        inputs, targets = random_batch(stream, BATCH, T, generator)
        return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

    def watch(step, losses):
        if step in (steps // 8, steps // 2, steps):
            show_moment(model, step, losses, seed)

    show_moment(model, 0, [], seed)
    losses = adamw_steps(model, loss_of, steps, LEARNING_RATE, "train", watch=watch)
    return losses, time.perf_counter() - started


# adapted from: micrograd/language.py::show_progress (torch; any model that reads windows)
def show_moment(model, step, losses, seed):
    """Prints the mean of the last losses, and a story's beginning, above the bar."""
    last = losses[-50:]  # in nats
    seen = f"loss {sum(last) / len(last) / math.log(2):.3f} bits a symbol" if last else "nothing learned yet"
    tqdm.write(f"step {step:6,}: {seen}\n    {sample(model, seed, SAMPLE_BYTES, T)!r}")


def show_cut_past(model, stories):
    """Prints how much the past helps: bits per byte in windows of 8, 16, … symbols, the shorter ones cut off."""
    reach = {length: bits_per_byte(model, stories, length) for length in (8, 16, 32, 64, T)}
    print("how far it looks: in windows of " + ", ".join(f"{length}: {bpb:.3f}" for length, bpb in reach.items())
          + f" (bits per byte, {len(stories)} stories)")
    return reach


def main(argv=None):
    parser = argparse.ArgumentParser(description="A language model over bytes with one attention layer.")
    parser.add_argument("--data", default=STORIES, help=f"folder with train.txt and valid.txt (default {STORIES})")
    parser.add_argument("--steps", type=positive_int, default=STEPS, help=f"of {BATCH} windows (default {STEPS:,})")
    parser.add_argument("--heads", type=positive_int, default=H, help=f"of the attention layer (default {H})")
    parser.add_argument("--hidden", type=non_negative_int, default=HIDDEN,
                        help=f"neurons of the hidden layer, 0 for none (default {HIDDEN})")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of weights, batches and samples (default 0)")
    parser.add_argument("--threads", type=positive_int, default=os.cpu_count(), help="for torch (default: all cores)")
    args = parser.parse_args(argv)
    if C % args.heads:
        raise UserError(f"--heads {args.heads}: {C} numbers cannot be shared evenly among so many heads")
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    stream, valid = byte_stream(load_split(args.data, "train")), load_split(args.data, "valid")
    model = AttentionModel(args.heads, args.hidden)
    print(f"read {args.data}: {len(stream):,} symbols; {sum(p.numel() for p in model.parameters()):,} parameters; "
          f"{args.steps:,} steps of {BATCH} windows of {T}, {args.steps * BATCH * T / len(stream):.2f} passes")

    losses, seconds = train_by_windows(model, stream, args.steps, args.seed)
    bpb = bits_per_byte(model, valid, T)
    print(f"{bpb:.4f} bits per byte on {args.data}/valid.txt; {1000 * seconds / args.steps:.0f} ms a step, "
          f"{args.threads} threads")
    reach = show_cut_past(model, valid[:20])
    if args.steps >= STEPS and args.heads == H and args.hidden == HIDDEN and args.data == STORIES:
        assert bpb < 1.9, "it should have learned more"
        assert reach[8] > reach[T] + 0.02, "more of the past should help"
    append_score("attention", "one attention layer" if args.hidden else "attention alone", args.data, bpb)


if __name__ == "__main__":
    run(main)
