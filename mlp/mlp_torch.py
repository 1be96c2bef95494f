"""A first look at PyTorch: the network of mlp.py three ways with the same losses, then a larger one.

New since mlp.py: PyTorch, the library that most of the field uses. Its tensors remember how they came to be, as those
of micrograd did, so backward is theirs; nn.Module keeps a network's parameters together; torch.optim moves them. The
larger network takes the steps of AdamW, which chapter optimization opens; here it is a black box that finds a step
size for each parameter. Left out on purpose: GPUs (chapter device) and other number types (chapter precision).
Shapes: B predictions, K symbols of context, C numbers a symbol, H hidden neurons, V = 257 symbols.

    python mlp/mlp_torch.py                       a minute and a half on two cores
    python mlp/mlp_torch.py --steps 100           a quick look
    python mlp/mlp_torch.py --data FOLDER         other stories

Appends its number to out/scoreboard.jsonl.

Papers: Paszke et al., "PyTorch: An Imperative Style, High-Performance Deep Learning Library" (2019); Loshchilov and
Hutter, "Decoupled Weight Decay Regularization" (2019): AdamW.
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

import mlp
from cli import append_score, non_negative_int, positive_int, run
from data import V, padded_stream, story_bytes, windows
from mlp import BATCH, STORIES, C, H, K
from rng import PCG32
from stories import load_split

LARGE_K, LARGE_C, LARGE_H, LAYERS, LARGE_BATCH, LARGE_STEPS, LARGE_RATE = 16, 32, 256, 2, 256, 16_000, 6e-3
COMPARED, RATE = 100, 1.0  # steps, and their learning rate
TOLERANCE = 1e-9


def gelu(x):
    """x times the share of a normal distribution below x, by the formula with tanh that GPT-2 was trained with."""
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def show_autograd():
    """The expression that the last chapter began with: the same gradients."""
    a, b, c = (torch.tensor(number, requires_grad=True) for number in (2.0, -3.0, 10.0))
    f = (a * b + c) * a
    f.backward()
    print(f"(a * b + c) * a = {f.item():g}, gradients {a.grad.item():g} {b.grad.item():g} {c.grad.item():g}")
    assert (f.item(), a.grad.item(), b.grad.item(), c.grad.item()) == (8, -2, 4, 2), "micrograd/graph.py says otherwise"


def loss_of(parameters, contexts, targets):
    """The cross-entropy in nats, by plain tensors: contexts (B, K), targets (B,) -> ()"""
    table, w1, b1, w2, b2 = parameters.values()
    x = table[contexts].flatten(1)  # (B, K C)
    logits = gelu(x @ w1 + b1) @ w2 + b2  # (B, V)
    log_p = logits - logits.logsumexp(1, keepdim=True)
    return -log_p[torch.arange(len(targets)), targets].mean()


def tensor_step(parameters, contexts, targets, learning_rate):
    """One step of gradient descent; backward is torch's, the step is ours. Returns the loss."""
    loss = loss_of(parameters, contexts, targets)
    loss.backward()
    with torch.no_grad():  # the step itself is not to be remembered
        for p in parameters.values():
            p -= learning_rate * p.grad
            p.grad = None
    return loss.item()


# adapted from: micrograd/names.py::WindowModel (a module of torch, gelu for tanh, any number of hidden layers)
class WindowModel(nn.Module):
    """The next symbol from the K before it: a table of embeddings, hidden layers, V logits."""

    def __init__(self, V, K, C, H, layers=1):
        super().__init__()
        self.K = K
        self.embedding = nn.Embedding(V, C)
        self.hidden = nn.ModuleList(nn.Linear(H if i else K * C, H) for i in range(layers))
        self.output = nn.Linear(H, V)
        nn.init.normal_(self.embedding.weight, std=0.5)
        for layer in (*self.hidden, self.output):
            nn.init.normal_(layer.weight, std=(0.1 if layer is self.output else 1) / math.sqrt(layer.in_features))
            nn.init.zeros_(layer.bias)

    def forward(self, contexts):
        """contexts: (B, K) int64, the oldest first. Returns logits (B, V)."""
        x = self.embedding(contexts).flatten(1)  # (B, K C)
        for layer in self.hidden:
            x = F.gelu(layer(x), approximate="tanh")  # (B, H)
        return self.output(x)

    def logits_of(self, contexts):
        """The same from and to NumPy, nothing remembered: for mlp.bits_of and mlp.tell_beginning."""
        with torch.no_grad():
            return self(torch.from_numpy(contexts).long()).numpy()


def module_step(model, optimizer, contexts, targets):
    """One step as nearly all programs for torch take it; returns the loss."""
    loss = F.cross_entropy(model(contexts), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def with_weights(model, arrays):
    """The module with the numbers of mlp.py's arrays. nn.Linear keeps its weights as (out, in), ours are (in, out)."""
    ours = (arrays["table"], arrays["w1"].T, arrays["b1"], arrays["w2"].T, arrays["b2"])
    with torch.no_grad():
        for p, array in zip(model.parameters(), ours, strict=True):
            p.copy_(torch.from_numpy(array))
    return model


def show_same_gradients(arrays, contexts, targets):
    """What backward by hand and torch's backward find for one batch, by name."""
    logits, kept = mlp.forward(arrays, contexts)
    by_hand = mlp.backward(arrays, kept, mlp.cross_entropy(logits, targets)[1])
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in arrays.items()}
    loss_of(tensors, torch.from_numpy(contexts), torch.from_numpy(targets)).backward()
    found = {name: np.abs(by_hand[name] - p.grad.numpy()).max() for name, p in tensors.items()}
    print("gradients by hand and by torch differ by at most "
          + ", ".join(f"{difference:.0e} ({name})" for name, difference in found.items()))
    assert all(difference < 1e-12 for difference in found.values()), "torch finds other gradients"


def show_three_ways(stream, positions, seed):
    """The network of mlp.py in float64: by hand, by tensors, as a module. Prints losses; asserts that they agree."""
    rng = PCG32(seed)
    arrays = mlp.first_parameters(rng, V, K, C, H, np.float64)
    draws = [positions[[rng.below(len(positions)) for _ in range(BATCH)]] for _ in range(COMPARED)]
    batches = [(windows(stream, at, K).astype(np.int64), stream[at].astype(np.int64)) for at in draws]
    show_same_gradients(arrays, *batches[0])
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in arrays.items()}
    model = with_weights(WindowModel(V, K, C, H).double(), arrays)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    on_tensors = [(torch.from_numpy(contexts), torch.from_numpy(targets)) for contexts, targets in batches]
    ways = {
        "NumPy, gradients by hand": lambda i: mlp.sgd_step(arrays, *batches[i], RATE),
        "torch, plain tensors": lambda i: tensor_step(tensors, *on_tensors[i], RATE),
        "torch, module and SGD": lambda i: module_step(model, optimizer, *on_tensors[i]),
    }
    print(f"loss in nats, float64    {'step 1':>14}{'step 10':>14}{f'step {COMPARED}':>14}")
    losses = {}
    for way, take_step in ways.items():
        losses[way] = [take_step(i) for i in range(COMPARED)]
        print(f"{way:25}" + "".join(f"{losses[way][i]:14.9f}" for i in (0, 9, COMPARED - 1)))
    first, *others = losses.values()
    apart = np.abs(np.array(others) - np.array(first)).max()
    print(f"{COMPARED} losses, apart by at most {apart:.0e}")
    assert apart < TOLERANCE, "the three ways should give the same losses"


def train_large(model, stream, positions, steps, seed):
    """AdamW on random mini-batches, the steps shrinking to 0. Prints loss and a story's beginning on the way."""
    rng, losses = np.random.default_rng(seed), []
    stream = stream.astype(np.int64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LARGE_RATE)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 1 - s / steps)
    bar = tqdm(range(steps), unit="step", smoothing=0.05, disable=None)
    for s in bar:
        at = positions[rng.integers(len(positions), size=LARGE_BATCH)]
        contexts, targets = torch.from_numpy(windows(stream, at, model.K)), torch.from_numpy(stream[at])
        losses.append(module_step(model, optimizer, contexts, targets) / math.log(2))
        falling.step()
        if s + 1 in (steps // 8, steps // 2, steps):
            text = mlp.tell_beginning(model.logits_of, PCG32(seed), model.K)
            bar.write(f"step {s + 1:6,}: loss {np.mean(losses[-200:]):.3f} bits a symbol\n    {text!r}")
    return losses


def main(argv=None):
    parser = argparse.ArgumentParser(description="The neural n-gram model in PyTorch: the same, then larger.")
    parser.add_argument("--data", default=STORIES, help=f"folder with train.txt and valid.txt (default: {STORIES})")
    parser.add_argument("--steps", type=positive_int, default=LARGE_STEPS,
                        help=f"of the larger model, {LARGE_BATCH} predictions each (default: {LARGE_STEPS:,})")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of weights, batches and samples (default: 0)")
    parser.add_argument("--threads", type=positive_int, default=os.cpu_count(), help="CPU threads (default: all cores)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    train_stories, valid_stories = load_split(args.data, "train"), load_split(args.data, "valid")
    show_autograd()
    show_three_ways(*padded_stream(train_stories, K), args.seed)

    stream, positions = padded_stream(train_stories, LARGE_K)
    model = WindowModel(V, LARGE_K, LARGE_C, LARGE_H, LAYERS)
    size, passes = sum(p.numel() for p in model.parameters()), args.steps * LARGE_BATCH / len(positions)
    print(f"larger: {LARGE_K} bytes back, {LAYERS} hidden layers of {LARGE_H}, {size:,} parameters; "
          f"{args.steps:,} steps of {LARGE_BATCH}, {passes:.2f} passes over the stories")
    start = time.perf_counter()
    train_large(model, stream, positions, args.steps, args.seed)
    print(f"{args.steps / (time.perf_counter() - start):.0f} steps a second, {args.threads} threads")
    bpb = mlp.bits_of(model.logits_of, *padded_stream(valid_stories, LARGE_K), LARGE_K) / story_bytes(valid_stories)
    print(f"{bpb:.4f} bits per byte on {args.data}/valid.txt")
    append_score("mlp", f"{LARGE_K} bytes, two hidden layers", args.data, bpb, steps=args.steps)


if __name__ == "__main__":
    run(main)
