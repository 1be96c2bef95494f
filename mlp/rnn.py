"""The recurrent branch of history: an RNN and a GRU tell stories, beside the window of mlp_torch.py.

New since mlp_torch.py: the past is not a window of K symbols but a state, handed from symbol to symbol: nothing is cut
off, and nothing else is kept. All three networks have about as many parameters and learn from as many predictions in as
many steps. Left out on purpose: the LSTM, more than one layer, states carried from one training sequence to the next.
Shapes: B sequences, T symbols, C numbers a symbol, H numbers of state, V = 257; the window looks K = 16 back.

    python mlp/rnn.py                       a minute and a half on two cores
    python mlp/rnn.py --steps 20            a quick look
    python mlp/rnn.py --data FOLDER         other stories

Appends three numbers to out/scoreboard.jsonl.

Papers: Elman, "Finding Structure in Time" (1990); Cho et al., "Learning Phrase Representations using RNN
Encoder-Decoder for Statistical Machine Translation" (2014): the GRU; Mikolov et al., "Recurrent neural network based
language model" (2010).
"""

import argparse
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from cli import append_score, non_negative_int, positive_int, run
from data import END, V, padded_stream, story_bytes, windows
from mlp import STORIES, bits_of, tell_beginning
from mlp_torch import WindowModel
from rng import PCG32
from stories import load_split

K, C, WINDOW_H, RNN_H, GRU_H = 16, 32, 336, 384, 240  # of these sizes all three have 267,000 parameters
B, T, STEPS, MOST = 16, 64, 1500, 1.0
WINDOW_RATE, RATE, STATE_RATE = 1.6e-2, 3.2e-2, 4e-3  # the best of several, each twice the one before, after 600 steps
SAMPLE_BYTES = 150
REACHES = (1, 2, 4, 8, 16, 32, 64, 128)


class RecurrentModel(nn.Module):
    """The next symbol from a state and the last symbol: embeddings, one recurrent layer, V logits."""

    def __init__(self, layer, V, C, H):
        """layer: nn.RNN or nn.GRU; through_time.py writes both out."""
        super().__init__()
        self.embedding = nn.Embedding(V, C)
        self.recurrent = layer(C, H, batch_first=True)
        self.output = nn.Linear(H, V)
        nn.init.normal_(self.embedding.weight, std=0.5)
        nn.init.normal_(self.recurrent.weight_ih_l0, std=1 / math.sqrt(C))
        nn.init.orthogonal_(self.recurrent.weight_hh_l0)  # an RNN's state is turned and keeps its length
        # torch's own first weights for the output: with smaller ones the first large steps of AdamW fill the state up,
        # tanh has no slope there, and only the output's bias learns

    def forward(self, ids, state=None):
        """ids (B, T), state (1, B, H) or None for zeros. Returns logits (B, T, V) and the last state."""
        states, last = self.recurrent(self.embedding(ids), state)
        return self.output(states), last


def recurrent_batch(stream, rng):
    """B sequences of T symbols from anywhere, and for each symbol the next: (B, T), (B, T)."""
    at = rng.integers(len(stream) - T, size=B)[:, None] + np.arange(T + 1)
    ids = torch.from_numpy(stream[at])
    return ids[:, :-1], ids[:, 1:]


def window_batch(stream, positions, rng):
    """As many predictions: (B T, K), (B T,)."""
    at = positions[rng.integers(len(positions), size=B * T)]
    return torch.from_numpy(windows(stream, at, K)), torch.from_numpy(stream[at])


def groups_of(model):
    """The parameters with their learning rates. W_h is used T times in a row, so a change of it counts T times."""
    if not isinstance(model, RecurrentModel):
        return [{"params": model.parameters(), "lr": WINDOW_RATE}]
    w_h = model.recurrent.weight_hh_l0
    others = [p for p in model.parameters() if p is not w_h]
    return [{"params": others, "lr": RATE}, {"params": [w_h], "lr": STATE_RATE}]


def train_by_rate(model, batches, logits_of, steps, name):
    """AdamW, steps that shrink to 0, gradients clipped at the norm MOST. Returns (losses in bits, seconds)."""
    optimizer = torch.optim.AdamW(groups_of(model))
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 1 - s / steps)
    losses, start = [], time.perf_counter()
    bar = tqdm(range(steps), unit="step", smoothing=0.05, disable=None, desc=name)
    for _ in bar:
        inputs, targets = batches()
        loss = F.cross_entropy(logits_of(inputs).flatten(0, -2), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), MOST)
        optimizer.step()
        falling.step()
        losses.append(loss.item() / math.log(2))
    return losses, time.perf_counter() - start


def recurrent_bits(model, stories, at_once=32):
    """The sum of -log2 p over whole stories and their ENDs, each from END and zeros on, its state carried along."""
    rows = sorted(([END, *story.encode("utf-8"), END] for story in stories), key=len)
    bits = 0.0
    for i in range(0, len(rows), at_once):
        group = rows[i:i + at_once]
        ids = torch.full((len(group), len(group[-1])), -1)
        for row, symbols in zip(ids, group):
            row[:len(symbols)] = torch.tensor(symbols)
        state = None
        for t in range(0, ids.shape[1] - 1, 256):  # in pieces, so that the logits need little memory
            piece = ids[:, t:t + 257]
            with torch.no_grad():
                logits, state = model(piece[:, :-1].clamp(min=0), state)
            loss = F.cross_entropy(logits.flatten(0, 1), piece[:, 1:].flatten(), ignore_index=-1, reduction="sum")
            bits += loss.item() / math.log(2)
    return bits


def recurrent_text(model, rng):
    """The beginning of a story, SAMPLE_BYTES at most: one symbol in, one drawn, the state handed on."""
    symbols, state = [END], None
    while len(symbols) <= SAMPLE_BYTES:
        with torch.no_grad():
            logits, state = model(torch.tensor([symbols[-1:]]), state)
        symbols.append(rng.choice(logits[0, -1].double().softmax(0).tolist()))
        if symbols[-1] == END:
            break
    return bytes(symbol for symbol in symbols if symbol != END).decode("utf-8", errors="replace")


def bits_within(model, stream, at):
    """Bits a symbol at the places `at`, if the state was zeros so many symbols before: one for each of REACHES."""
    found = []
    for reach in REACHES:
        ids = torch.from_numpy(windows(stream, at, reach)).long()
        with torch.no_grad():
            _, last = model.recurrent(model.embedding(ids))
            loss = F.cross_entropy(model.output(last[0]), torch.from_numpy(stream[at]))
        found.append(loss.item() / math.log(2))
    return found


def microseconds_a_symbol(models, b, length, rounds=5):
    """{name: processor time of forward and backward for each of b times `length` symbols}, medians, one thread."""
    ids = torch.randint(V, (b, length))
    inputs = {name: torch.randint(V, (b * length, K)) if name == "MLP" else ids for name in models}
    times = {name: [] for name in models}
    for number in range(rounds + 1):  # the first only warms up
        for name, model in models.items():
            start = time.process_time()
            out = model(inputs[name])
            F.cross_entropy((out if name == "MLP" else out[0]).flatten(0, -2), ids.flatten()).backward()
            if number:
                times[name].append((time.process_time() - start) / (b * length) * 1e6)
    return {name: np.median(several) for name, several in times.items()}


def show_times(models):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    print("\nmicroseconds for a symbol, forward and backward, one thread")
    for b, length in ((1, 512), (B, T)):
        times = microseconds_a_symbol(models, b, length)
        print(f"{f'{b} times {length} symbols':24}" + "".join(f"{name:>6} {t:6.1f}" for name, t in times.items()))
    torch.set_num_threads(threads)


def show_reach(models, stories, seed):
    """How many of the last symbols a state makes use of."""
    stream, positions = padded_stream(stories, max(REACHES))
    inside = positions[(windows(stream, positions, max(REACHES)) != END).all(1)]  # far from a story's beginning
    if not len(inside):
        print("no story is long enough to see how far a state reaches back")
        return {}
    at = np.random.default_rng(seed).choice(inside, min(2000, len(inside)), replace=False)
    print(f"\nbits a symbol at {len(at):,} places, if the state is zeros so many symbols before")
    print(f"{'':6}" + "".join(f"{reach:8}" for reach in REACHES))
    stream, found = stream.astype(np.int64), {}
    for name in ("RNN", "GRU"):
        found[name] = bits_within(models[name], stream, at)
        print(f"{name:6}" + "".join(f"{bits:8.3f}" for bits in found[name]))
    return found


def learned(name, model, stories, valid, steps, seed):
    """Trains one of the three. Returns seconds, bits on the stories `valid`, and a beginning of its own."""
    rng = np.random.default_rng(seed)
    stream, positions = padded_stream(stories, K if name == "MLP" else 1)  # with 1: END story END story … END
    stream = stream.astype(np.int64)
    if name == "MLP":
        _, seconds = train_by_rate(model, lambda: window_batch(stream, positions, rng), model, steps, name)
        bits = bits_of(model.logits_of, *padded_stream(valid, K), K)
        return seconds, bits, tell_beginning(model.logits_of, PCG32(seed), K)
    _, seconds = train_by_rate(model, lambda: recurrent_batch(stream, rng), lambda ids: model(ids)[0], steps, name)
    return seconds, recurrent_bits(model, valid), recurrent_text(model, PCG32(seed))


def main(argv=None):
    parser = argparse.ArgumentParser(description="An RNN and a GRU over bytes beside a window, at equal cost.")
    parser.add_argument("--data", default=STORIES, help=f"folder with train.txt and valid.txt (default: {STORIES})")
    parser.add_argument("--steps", type=positive_int, default=STEPS,
                        help=f"of {B * T:,} predictions each (default: {STEPS:,})")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of weights, batches and samples (default: 0)")
    parser.add_argument("--threads", type=positive_int, default=os.cpu_count(), help="CPU threads (default: all cores)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    stories, valid = load_split(args.data, "train"), load_split(args.data, "valid")
    n_bytes, symbols = story_bytes(valid), story_bytes(stories) + len(stories)
    models = {"MLP": WindowModel(V, K, C, WINDOW_H), "RNN": RecurrentModel(nn.RNN, V, C, RNN_H),
              "GRU": RecurrentModel(nn.GRU, V, C, GRU_H)}
    print(f"{args.steps:,} steps of {B * T:,} predictions, {args.steps * B * T / symbols:.2f} passes over the stories")
    bpb = {}
    for name, model in models.items():
        seconds, bits, text = learned(name, model, stories, valid, args.steps, args.seed)
        size, bpb[name] = sum(p.numel() for p in model.parameters()), bits / n_bytes
        print(f"{name}: {size:,} parameters, {seconds:.0f} s, {bpb[name]:.4f} bits per byte\n    {text!r}")
        append_score("mlp", name, args.data, bpb[name], steps=args.steps)
    reach = show_reach(models, valid, args.seed)
    show_times(models)
    if args.steps >= STEPS:
        assert bpb["GRU"] < min(bpb["RNN"], bpb["MLP"]), "the GRU should be ahead"
        if reach:
            assert reach["RNN"][-1] > reach["RNN"][4] - 0.01, "the RNN should make no use of more than 16 symbols"
            assert reach["GRU"][-1] < reach["GRU"][4] - 0.01, "the GRU should"


if __name__ == "__main__":
    run(main)
