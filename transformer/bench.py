"""One step of training a GPT-2: torch beside every rung of csrc/gpt.h, in milliseconds and tokens a second.

A step is forward, backward, clipping and AdamW on the same B x T tokens, in float32. torch comes in two forms: "eager",
which is gpt2.py as it reads, and "fused", the same model with torch's own layer norm, gelu, attention in one call and
fused AdamW. The engines take turns: in each round one is built, takes steps to warm up, is timed and is taken down
again, so that only one holds memory; the median of all timed steps counts. One thread is timed by what the process
computed, more by the clock on the wall: then nothing else may run.
A step has 6 operations for each weight and token (2 forward, 4 backward), and attention 6 T C for each layer and token.
The limit is what the processor needs for as many on numbers that are in registers already.
Last, train.py's step of the Storyteller, which has other operations: its tokens a second only.
Shapes: B windows, T tokens, V vocabulary, C width, H heads, L blocks.

    python transformer/bench.py                  four minutes
    python transformer/bench.py --quick          without the 124 million parameters: a minute
"""

import argparse
import ctypes
import gc
import statistics
import time

import numpy as np
import torch

from cli import positive_int, run
from clib import load_library
from gpt2 import GPT2, GPT2Config
from gpt2_124m import FastGPT2
from in_c import CGPT2, copy_weights, gpt_library, make_optimizer, torch_backward, torch_update
from model import Storyteller, from_depth
from train import make_optimizers, train_step

# name: (B, T, sizes, steps that warm up, timed steps a round, the rungs that are timed)
SIZES = {
    "tiny": (2, 16, GPT2Config(vocab_size=64, n_positions=16, n_embd=32, n_layer=2, n_head=2), 1, 2, None),
    "3.5M": (4, 64, GPT2Config(vocab_size=4096, n_positions=64, n_embd=192, n_layer=6, n_head=6), 2, 7, None),
    "124M": (4, 64, GPT2Config(), 1, 2, range(2, 100)),  # the formula would take minutes
}
FORMULA = 1  # this rung takes seconds a step: it is timed once
LR, PAUSE = 1e-4, 0.05  # PAUSE: in which the threads of one engine, which wait by spinning, fall asleep


def operations(config, B, T):
    """Of one step: the products with weights, and attention to half of all pairs."""
    L, C, V = config.n_layer, config.n_embd, config.vocab_size
    return B * T * (6 * (12 * L * C * C + V * C) + 6 * L * T * C)


def random_weights(config, B, T, rung, threads):
    """A model in C with weights as before a training; NumPy draws 124 million faster than PCG32."""
    model, rng = CGPT2(config, B, T, rung, threads), np.random.default_rng(0)
    for name, weight in model.weights.items():
        if weight.ndim == 2:
            rng.standard_normal(dtype=np.float32, out=weight)
            weight *= 0.02
        else:
            weight[:] = 0 if name.endswith("bias") else 1
    return model


def engines(config, B, T, batch, threads, rungs):
    """name: a function that builds an engine and returns one that takes a step and returns the loss."""
    def by_torch(strong):
        model = FastGPT2(config, config.vocab_size) if strong else GPT2(config)
        copy_weights(random_weights(config, 1, 1, 0, 1), model)
        optimizer = make_optimizer(model, fused=strong)

        def step(number):
            loss = torch_backward(model, *batch)
            torch_update(model, optimizer, LR)
            return loss
        return step

    def by_c(rung):
        model = random_weights(config, B, T, rung, threads)

        def step(number):
            loss = model.backward(*batch)
            model.update(number, LR)
            return loss
        return step

    table = {"torch, eager": lambda: by_torch(False), "torch, fused": lambda: by_torch(True)}
    for rung in range(1, gpt_library().model_rungs() + 1):
        if rungs is None or rung in rungs:
            table[f"C, rung {rung}"] = lambda rung=rung: by_c(rung)
    return table


def time_steps(build, warm, count, clock):
    """Builds an engine; the seconds of each timed step, and the loss of its first step."""
    step = build()
    losses, times = [step(number + 1) for number in range(warm)], []
    for number in range(count):
        start = clock()
        losses.append(step(warm + number + 1))
        times.append(clock() - start)
    return times, losses[0]


def limit(threads, clock):
    """Operations a second on numbers that are in registers already: the best of several (csrc/matmul.c)."""
    matmul, sink = load_library("matmul"), ctypes.c_float()
    matmul.matmul_limit.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.POINTER(ctypes.c_float)]
    matmul.matmul_limit.restype = ctypes.c_double
    rates = []
    for _ in range(9):
        start = clock()
        done = matmul.matmul_limit(threads, 300_000, ctypes.byref(sink))
        rates.append(done / (clock() - start))
    return max(rates)


def measure(name, rounds, threads, clock):
    """Prints the table of one size."""
    B, T, config, warm, count, rungs = SIZES[name]
    rng = np.random.default_rng(1)
    batch = [rng.integers(0, config.vocab_size, (B, T), dtype=np.int32) for _ in range(2)]
    table = engines(config, B, T, batch, threads, rungs)
    times, losses, peak = {engine: [] for engine in table}, {}, 0.0
    for number in range(rounds):
        for engine, build in table.items():
            once = engine == f"C, rung {FORMULA}" and name != "tiny"
            if once and number:
                continue
            seconds, losses[engine] = time_steps(build, 0 if once else warm, 1 if once else count, clock)
            times[engine] += seconds
            gc.collect()
            time.sleep(PAUSE if threads > 1 else 0)
        peak = max(peak, limit(threads, clock))
    flops, of = operations(config, B, T), {engine: statistics.median(seconds) for engine, seconds in times.items()}
    print(f"{name}: B {B}, T {T}, C {config.n_embd}, L {config.n_layer}, H {config.n_head}, V {config.vocab_size:,}; "
          f"{flops / 1e9:.3g} GFLOP a step; float32, threads: {threads}")
    print(f"{'':16}{'ms a step':>11}{'tokens/s':>11}{'GFLOP/s':>9}{'eager/this':>12}{'fused/this':>12}"
          f"{'limit, ms':>11}")
    for engine, seconds in of.items():
        print(f"{engine:16}{1000 * seconds:11.4g}{B * T / seconds:11,.0f}{flops / seconds / 1e9:9.3g}"
              f"{of['torch, eager'] / seconds:12.2f}{of['torch, fused'] / seconds:12.2f}{1000 * flops / peak:11.4g}")
    print(flush=True)
    first = losses["torch, eager"]
    assert all(abs(loss - first) < 1e-4 * first for loss in losses.values()), f"other losses: {losses}"


def measure_storyteller(rounds, threads, clock, depth=3, B=4, T=512):
    """Prints the tokens a second of train.py's step, in both of its number formats."""
    rng, rates = np.random.default_rng(1), {torch.float32: [], torch.bfloat16: []}
    for _ in range(rounds):
        for dtype, several in rates.items():
            model = Storyteller(from_depth(depth, 4096, T)).initialize(0)
            optimizers = make_optimizers(model, "muon", 0.1, 650)
            inputs, targets = (torch.from_numpy(rng.integers(0, 4096, (B, T))) for _ in range(2))
            seconds, _ = time_steps(lambda: lambda number: train_step(  # noqa: B023
                model, optimizers, [(inputs, targets)], LR, 1.0, dtype), 1, 2, clock)  # noqa: B023
            several += [B * T / s for s in seconds]
    words = ", ".join(f"{statistics.median(r):,.0f} tokens/s in {str(d).split('.')[1]}" for d, r in rates.items())
    print(f"train.py's step, Storyteller of depth {depth} ({model.count_parameters() / 1e6:.1f}M), "
          f"{B} x {T} tokens, Muon; threads: {threads}\n{words}")


def main(argv=None):
    parser = argparse.ArgumentParser(description="A step of training by torch and by our own C, side by side.")
    parser.add_argument("--quick", action="store_true", help="leave the model of 124 million parameters out")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["3.5M", "124M"], help="default: 3.5M 124M")
    parser.add_argument("--rounds", type=positive_int, default=3, help="turns of each engine (default 3)")
    parser.add_argument("--threads", type=positive_int, default=1, help="of every engine (default 1)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    clock = time.process_time if args.threads == 1 else time.perf_counter
    sizes = [name for name in args.sizes if not (args.quick and name == "124M")]
    for name in sizes:
        measure(name, args.rounds, args.threads, clock)
    if "3.5M" in sizes:
        measure_storyteller(args.rounds, args.threads, clock)


if __name__ == "__main__":
    run(main)
