"""What linear attention loses: the same small models with softmax and without, on stories and on a test of memory.

New since linear_attention.py: training. Both models weigh the past by a fading that is the same for both (ALiBi's for
softmax, so a factor e^(-slope) a token); one takes exp(q . k) times it, the other phi(q) . phi(k). Left out on purpose:
models that mix both kinds of layers, which is how linear attention is mostly used today.
Shapes: B windows, T = 128 symbols, C = 64 numbers, H = 4 heads of D = 16, V = 257 symbols; N pairs to remember.

    python attention/recall.py                  a minute and a half on two cores
    python attention/recall.py --steps 20       a quick look

Appends two numbers to out/scoreboard.jsonl.

Papers: Katharopoulos et al. (2020); Press, Smith and Lewis, "Train Short, Test Long" (2021); Arora et al., "Zoology:
Measuring and Improving Recall in Efficient Language Models" (2023).
"""

import argparse
import math
import os
import re
import time

import torch
import torch.nn.functional as F
from torch import nn

from attention import Attention, causal_attention, distance
from cli import append_score, non_negative_int, positive_int, run
from data import END, V, bits_per_byte, byte_stream, random_batch
from linear_attention import feature, linear_chunks, linear_table, normalized
from positions import alibi_bias, biased_attention
from rng import PCG32
from stories import load_split
from training import adamw_steps

STORIES = "datasets/stories"
T, C, H, HIDDEN, BATCH, LEARNING_RATE, STEPS = 128, 64, 4, 256, 16, 5e-3, 1000
PAIRS, SYMBOLS, ASKED, RECALL_STEPS = (4, 8, 16, 32, 64), 64, 16, 600
NAME = re.compile(rb"(?<=[a-z,] )[A-Z][a-z]+")  # a capital within a sentence
GENERATED, SAMPLE_BYTES = 1000, 150


class FadingAttention(Attention):
    """attention.py's module, whose heads forget at a speed of their own; softmax or linear. (B, T, C) -> (B, T, C)"""

    def __init__(self, kind):
        super().__init__(C, H)
        self.kind = kind
        self.decay = torch.exp(-(2.0 ** (-8 * torch.arange(1, H + 1) / H)))  # (H,): of ALiBi's slopes

    def heads(self, x):
        """q, k, v, each (B, H, T, D)."""
        return (project(x).view(*x.shape[:2], H, C // H).transpose(1, 2)
                for project in (self.q_proj, self.k_proj, self.v_proj))

    def forward(self, x):
        q, k, v = self.heads(x)
        if self.kind == "softmax":
            y = biased_attention(q, k, v, alibi_bias(H, x.shape[1]))
        else:
            y = normalized(linear_chunks, q, k, v, self.decay)
        return self.o_proj(y.transpose(1, 2).reshape(x.shape))

    def step(self, x, state):
        """One token by the state (B, H, D, D + 1), which it returns changed. x: (B, 1, C) -> (B, 1, C)"""
        q, k, v = self.heads(x)
        v = torch.cat([v, torch.ones_like(v[..., :1])], dim=-1)  # the column that sums the weights
        state = self.decay[:, None, None] * state + feature(k).transpose(-2, -1) @ v
        y = feature(q) @ state  # (B, H, 1, D + 1)
        return self.o_proj((y[..., :-1] / y[..., -1:]).reshape(x.shape)), state


class FadingModel(nn.Module):
    """Embedding, two attention layers that add to it, one hidden layer, logits. ids (B, T) -> (B, T, V)"""

    def __init__(self, kind):
        super().__init__()
        self.embedding = nn.Embedding(V, C)
        self.layers = nn.ModuleList(FadingAttention(kind) for _ in range(2))
        self.hidden, self.head = nn.Linear(C, HIDDEN), nn.Linear(HIDDEN, V)
        nn.init.normal_(self.embedding.weight, std=0.5)

    def forward(self, ids):
        x = self.embedding(ids)  # (B, T, C)
        for layer in self.layers:
            x = x + layer(x)
        return self.head(F.gelu(self.hidden(x)))

    def step(self, ids, states):
        """The logits after one more symbol, by the states of the layers. ids: (B, 1) -> (B, 1, V), states"""
        x, changed = self.embedding(ids), []
        for layer, state in zip(self.layers, states, strict=True):
            y, state = layer.step(x, state)
            x = x + y
            changed.append(state)
        return self.head(F.gelu(self.hidden(x))), changed


def train_fading(kind, stream, steps, seed):
    """A FadingModel after AdamW on windows of the stories; the seed decides weights and batches, the same for both."""
    torch.manual_seed(seed)
    model, generator = FadingModel(kind), torch.Generator().manual_seed(seed)

    def loss_of(_):
        inputs, targets = random_batch(stream, BATCH, T, generator)
        return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

    adamw_steps(model, loss_of, steps, LEARNING_RATE, kind)
    return model


def name_letters(story):
    """The places of letters of names, from each name's second letter on: (of new names, of names that come again)."""
    new, again, known = [], [], set()
    for match in NAME.finditer(story):
        (again if match[0] in known else new).extend(range(match.start() + 1, match.end()))
        known.add(match[0])
    return new, again


@torch.inference_mode()
def name_bits(model, stories):
    """Mean bits of a letter (new names, names that come again) in the stories' first T bytes, but for first letters."""
    ids = torch.full((len(stories), T + 1), END)
    found = [], []  # flat places in the (stories, T) table of bits
    for n, story in enumerate(stories):
        data = story.encode("utf-8")[:T]
        ids[n, 1:1 + len(data)] = torch.tensor(list(data))
        for places, of_story in zip(found, name_letters(data)):
            places.extend(n * T + i for i in of_story)  # byte i is predicted from what stands before it, at place i
    bits = torch.cat([F.cross_entropy(model(some[:, :-1]).transpose(1, 2), some[:, 1:], reduction="none").flatten()
                      for some in ids.split(64)]) / math.log(2)
    return [bits[places].mean().item() if places else math.nan for places in found]


class RecallModel(nn.Module):
    """One head that is told pairs (key, value), then keys, and shall name their values. (B, T) twice -> (B, T, SYMBOLS)

    A token is the sum of two embeddings, of its key and of its value (SYMBOLS where it is asked for). The past does not
    fade.
    """

    def __init__(self, kind, width):
        super().__init__()
        self.kind = kind
        self.keys, self.values = nn.Embedding(SYMBOLS, C), nn.Embedding(SYMBOLS + 1, C)
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(C, width, bias=False) for _ in range(3))
        self.head = nn.Linear(width, SYMBOLS)

    def forward(self, keys, values):
        x = self.keys(keys) + self.values(values)
        q, k, v = (project(x)[:, None] for project in (self.q_proj, self.k_proj, self.v_proj))  # (B, 1, T, width)
        y = causal_attention(q, k, v) if self.kind == "softmax" else normalized(linear_table, q, k, v, torch.ones(1))
        return self.head(y[:, 0])


def recall_batch(count, pairs, generator):
    """Keys with random values, then ASKED of these keys. Returns keys, values (count, pairs + ASKED), answers."""
    keys = torch.rand(count, SYMBOLS, generator=generator).argsort(-1)[:, :pairs]
    values = torch.randint(SYMBOLS, (count, pairs), generator=generator)
    asked = torch.randint(pairs, (count, ASKED), generator=generator)
    keys = torch.cat([keys, keys.gather(1, asked)], dim=1)
    return keys, torch.cat([values, torch.full((count, ASKED), SYMBOLS)], dim=1), values.gather(1, asked)


def recall_accuracy(kind, width, pairs, steps, seed):
    """Trains a head on such rows; the share of values that it then names rightly in new ones."""
    torch.manual_seed(seed)
    model, generator = RecallModel(kind, width), torch.Generator().manual_seed(seed)

    def loss_of(_):
        keys, values, answers = recall_batch(32, pairs, generator)
        return F.cross_entropy(model(keys, values)[:, -ASKED:].flatten(0, 1), answers.flatten())

    adamw_steps(model, loss_of, steps, 1e-2, f"{kind} {width}, {pairs} pairs")
    keys, values, answers = recall_batch(256, pairs, generator)
    with torch.no_grad():
        return (model(keys, values)[:, -ASKED:].argmax(-1) == answers).float().mean().item()


@torch.inference_mode()
def tell_by_state(model, seed, length):
    """`length` symbols drawn one by one with nothing kept but the states. Returns symbols, logits, states."""
    rng, symbols, rows = PCG32(seed), [END], []
    states = [torch.zeros(1, H, C // H, C // H + 1) for _ in model.layers]
    while len(symbols) <= length:
        logits, states = model.step(torch.tensor([symbols[-1:]]), states)
        rows.append(logits[0, 0])
        symbols.append(rng.choice((rows[-1].double() / 0.8).softmax(-1).tolist()))
    return symbols, torch.stack(rows), states


def show_stories(stream, valid, args):
    """Trains both, prints bits per byte and bits of names, and returns (the models, the numbers), by kind."""
    print("                  bits per byte   a new name's letters   a name's that comes again   ms a step")
    models, scores = {}, {}
    for kind in ("softmax", "linear"):
        started = time.perf_counter()
        models[kind] = train_fading(kind, stream, args.steps, args.seed)
        ms = 1000 * (time.perf_counter() - started) / args.steps
        scores[kind] = bits_per_byte(models[kind], valid, T), *name_bits(models[kind], valid)
        print(f"{kind:16}{scores[kind][0]:15.4f}{scores[kind][1]:23.3f}{scores[kind][2]:28.3f}{ms:12.0f}")
        append_score("attention", f"two {kind} layers", args.data, scores[kind][0])
    return models, scores


def show_generation(model, seed):
    """Tells a story by the state alone; all logits must be those of the whole text at once."""
    symbols, logits, states = tell_by_state(model, seed, GENERATED)
    with torch.inference_mode():
        apart = distance(model(torch.tensor([symbols[:-1]]))[0], logits)
    assert apart < 1e-3, f"the state gives other logits than the blocks: {apart:.0e} apart"
    text = bytes(s for s in symbols[:SAMPLE_BYTES] if s != END).decode("utf-8", errors="replace")
    kept, a_token = sum(state.nbytes for state in states), 2 * len(states) * C * 4
    print(f"\n{GENERATED:,} symbols told by the state; logits as by blocks, to 1e-3\n    {text!r}\n"
          f"kept: {kept:,} bytes; keys and values would be {a_token:,} a symbol: "
          + ", ".join(f"{n:,} symbols {a_token * n:,}" for n in (GENERATED, 100_000)))


def show_recall(steps, seed):
    """The share of values named rightly, by pairs to remember. Returns {(kind, width): [...]}"""
    print(f"\nvalues recalled, one head, pairs:  {''.join(f'{pairs:>7}' for pairs in PAIRS)}")
    found = {}
    for kind, width in (("softmax", 16), ("linear", 16), ("linear", 64)):
        found[kind, width] = [recall_accuracy(kind, width, pairs, steps, seed) for pairs in PAIRS]
        print(f"{f'{kind}, D = {width}':35}" + "".join(f"{x:7.0%}" for x in found[kind, width]))
    return found


def check_claims(scores, found):
    """What the lesson says, with margins that another seed keeps as well; only of full trainings."""
    assert abs(scores["linear"][0] - scores["softmax"][0]) < 0.3, "on stories both should be of one class"
    assert found["softmax", 16][-1] > 0.95, "softmax should recall all pairs"
    assert found["linear", 16][-1] < 0.5 < 0.1 + found["linear", 64][2], "a table of 16 x 16 should be too small"


def main(argv=None):
    parser = argparse.ArgumentParser(description="Softmax attention and linear attention, trained side by side.")
    parser.add_argument("--data", default=STORIES, help=f"folder with train.txt and valid.txt (default {STORIES})")
    parser.add_argument("--steps", type=positive_int, default=STEPS, help=f"of {BATCH} windows (default {STEPS:,})")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of weights and batches (default 0)")
    parser.add_argument("--threads", type=positive_int, default=os.cpu_count(), help="for torch (default: all cores)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    stream, valid = byte_stream(load_split(args.data, "train")), load_split(args.data, "valid")
    models, scores = show_stories(stream, valid, args)
    show_generation(models["linear"], args.seed)
    found = show_recall(min(args.steps, RECALL_STEPS), args.seed)
    if args.steps >= STEPS:
        check_claims(scores, found)


if __name__ == "__main__":
    run(main)
