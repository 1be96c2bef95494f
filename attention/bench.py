"""Attention, forward and backward: how fast is each rung of csrc/attention.c, beside torch, and in how much memory?

New since flash.py: torch's scaled_dot_product_attention and the formula in torch, on the same inputs; grouped queries;
longer texts; the limit, which is the rate of multiply-adds that this machine's vectors reach when they do nothing else.
All must agree. They take turns, and the median of their rounds counts: one thread in processor time, so that other
programs disturb little, then two threads in wall time, which needs a quiet machine. GFLOP/s count the scores that the
mask leaves, 4 D operations for each forward and 10 D backward, whatever a program really computes.
Shapes: B = 1, H query heads, K key and value heads, T positions, D = 64.

    python attention/bench.py            about a minute
    python attention/bench.py --quick    seconds: small shapes, one round
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

from cli import non_negative_int, positive_int, run
from flash import (
    RUNGS,
    TOLERANCE,
    attention,
    attention_backward,
    attention_library,
    error,
    extra_bytes,
    sizes_of,
)

D = 64
PATHS = ["plain", "AVX2", "AVX-512"]
SHAPES = [(6, 6, 128), (6, 6, 512), (6, 6, 2048), (6, 2, 2048), (1, 1, 8192)]  # H, K, T
QUICK_SHAPES = [(2, 2, 64), (4, 2, 100), (1, 1, 130)]
SLOW = 3  # rungs 1 to 3, and the formula in torch, take part in the first three shapes only
SHORTEST_RUN, LONG = 0.02, 0.5  # seconds; a shorter call is repeated, a longer one measured less often


def random_inputs(H, K, T, rng):
    """q (1, H, T, D), k and v (1, K, T, D), grad_o like q."""
    return [rng.standard_normal((1, heads, T, D), dtype=np.float32) for heads in (H, K, K, H)]


# An engine is a pair of functions: forward() -> o, and backward() -> gradients of q, k and v, to be called after it.


def rung_engine(inputs, rung, path, threads=1):
    q, k, v, grad_o = inputs
    kept = []

    def forward():
        kept[:] = attention(q, k, v, rung, threads, path)
        return kept[0]

    return forward, lambda: attention_backward(q, k, v, *kept, grad_o, rung, threads, path)


def torch_formula(q, k, v):
    """softmax(q k^T / sqrt(D)) v with the causal mask, as one writes it in torch."""
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))
    T = q.shape[2]
    scores = q @ k.transpose(-2, -1) * D**-0.5
    return scores.masked_fill(scores.new_ones(T, T).triu(1).bool(), float("-inf")).softmax(-1) @ v


def torch_engine(inputs, function):
    import torch

    *leaves, grad_o = [torch.from_numpy(x) for x in inputs]
    kept = []

    def forward():
        kept[:] = [function(*(x.requires_grad_() for x in leaves))]
        return kept[0].detach().numpy()

    return forward, lambda: [x.numpy() for x in torch.autograd.grad(kept[0], leaves, grad_o, retain_graph=True)]


def torch_attention(q, k, v):
    from torch.nn.functional import scaled_dot_product_attention

    return scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


def engines(inputs, slow):
    """{name: (engine, rung or None)}; without the slow ones where `slow` is false."""
    last = attention_library().attention_paths() - 1
    found = {f"{rung} {RUNGS[rung]}": (rung_engine(inputs, rung, last), rung) for rung in (1, 2, 3) if slow}
    for path in range(last + 1):
        found[f"4 {RUNGS[4]}, {PATHS[path]}"] = rung_engine(inputs, 4, path), 4
    if slow:
        found["torch, by the formula"] = torch_engine(inputs, torch_formula), None
    return {**found, "torch, scaled_dot_product_attention": (torch_engine(inputs, torch_attention), None)}


def seconds(function, clock, n=1):
    start = clock()
    for _ in range(n):
        function()
    return (clock() - start) / n


def check(pairs):
    """The largest difference of an engine's results from the last one's, torch's own. Also warms up."""
    results = [(forward(), *backward()) for forward, backward in pairs]
    worst = [error(result, results[-1]) for result in results]
    assert all(e < TOLERANCE for e in worst), f"the engines differ by {worst}"
    return max(worst)


def take_turns(pairs, rounds, clock):
    """The median seconds of each engine, (forward, backward). What takes LONG is measured three times at most."""
    times, repeats = [], []
    for pair in pairs:
        first = [seconds(function, clock) for function in pair]
        times.append([first] if sum(first) > LONG else [])
        repeats.append([1 + int(SHORTEST_RUN / max(t, 1e-6)) for t in first])
    for _ in range(rounds):
        for pair, n, several in zip(pairs, repeats, times):
            if len(several) < 3 or n[0] > 1:
                several.append([seconds(function, clock, k) for function, k in zip(pair, n)])
    return [[statistics.median(column) for column in zip(*several)] for several in times]


def peak_rate(path, rounds=5):
    """GFLOP/s of multiply-adds and nothing else, the best of a few."""
    n = 3_000_000
    best = 0.0
    for _ in range(rounds):
        start = time.process_time()
        operations = attention_library().attention_peak(path, n)
        best = max(best, operations / (time.process_time() - start) / 1e9)
    return best


def print_table(title, pairs, times, memory, H, T, limit):
    """One line an engine: ms, GFLOP/s, times as fast as torch (the last), both ways, and the part of the limit."""
    print(f"\n{title}\n{'':41}forward ms GFLOP/s  times   backward ms GFLOP/s  times  extra KB  of the limit")
    work = H * T * (T + 1) / 2 * D
    for name, own, extra in zip(pairs, times, memory):
        rates = [factor * work / t / 1e9 for factor, t in zip((4, 10), own)]
        columns = [f"{1e3 * t:10.2f}{rate:8.1f}{last / t:7.2f}" for t, rate, last in zip(own, rates, times[-1])]
        shares = f"{rates[0] / limit:7.0%}{rates[1] / limit:6.0%}"
        print(f"{name:41}{columns[0]}    {columns[1]}{extra:>10}{shares}")


def compare(shapes, rounds, rng):
    """One thread: all engines at all shapes."""
    import torch

    torch.set_num_threads(1)
    path = attention_library().attention_paths() - 1
    limit = peak_rate(path)
    print(f"one thread, medians of {rounds}; vectors: {PATHS[path]}, limit {limit:.0f} GFLOP/s")
    for number, (H, K, T) in enumerate(shapes):
        inputs = random_inputs(H, K, T, rng)
        found = engines(inputs, slow=number < SLOW)
        pairs = [engine for engine, _ in found.values()]
        worst = check(pairs)
        times = take_turns(pairs, rounds, time.process_time)
        sizes = sizes_of(*inputs[:3])
        memory = [f"{max(extra_bytes(rung, sizes, 1, b) for b in (0, 1)) / 1e3:,.0f}" if rung else ""
                  for _, rung in found.values()]  # fmt: skip
        print_table(f"H = {H}, K = {K}, T = {T:,}; all agree to {worst:.0e}", found, times, memory, H, T, limit)


def compare_threads(threads, shape, rounds, rng):
    """Rung 5 and torch with several threads, in wall time."""
    import torch

    torch.set_num_threads(threads)
    (H, K, T), path = shape, attention_library().attention_paths() - 1
    inputs = random_inputs(H, K, T, rng)
    pairs = {f"5 {RUNGS[5]}": rung_engine(inputs, 5, path, threads),
             "torch, scaled_dot_product_attention": torch_engine(inputs, torch_attention)}  # fmt: skip
    worst = check([*pairs.values()])
    times = take_turns([*pairs.values()], rounds, time.perf_counter)
    extra = max(extra_bytes(5, sizes_of(*inputs[:3]), threads, b) for b in (0, 1))
    print_table(f"{threads} threads, wall time: H = {H}, K = {K}, T = {T:,}; agree to {worst:.0e}", pairs, times,
                [f"{extra / 1e3:,.0f}", ""], H, T, threads * peak_rate(path))  # fmt: skip


# --- memory: a process of its own for each engine -----------------------------------------------------------------


def peak_bytes():
    """The most memory that this process has held so far; None where the system does not tell."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None


def print_peak(name, T):
    """For the child process: forward and backward of one head, and the peak beyond inputs and outputs, as JSON."""
    rng = np.random.default_rng(0)

    def both(T):
        inputs = random_inputs(1, 1, T, rng)
        if name == "torch":
            import torch

            torch.set_num_threads(1)
            forward, backward = torch_engine(inputs, torch_attention)
        else:
            forward, backward = rung_engine(inputs, int(name), attention_library().attention_paths() - 1)
        before = peak_bytes()
        results = forward(), *backward()
        return peak_bytes() - before - sum(result.nbytes for result in results)

    both(64)  # loads and prepares what every call needs
    print(json.dumps(both(T)))


def compare_memory(T, names):
    """The peak of a process for each rung, and for torch."""
    if peak_bytes() is None:
        return
    print(f"\nresident memory beyond inputs and outputs, forward and backward: H = 1, T = {T:,}, D = {D}\n"
          f"{'one table of scores':41}{T * T * 4 / 1e6:8.2f} MB")  # fmt: skip
    for name in names:
        command = [sys.executable, os.path.abspath(__file__), "--peak-of", name, "--length", str(T)]
        extra = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1e6
        print(f"{f'{name} {RUNGS[int(name)]}' if name != 'torch' else name:41}{max(extra, 0):8.2f} MB")
        assert name in ("1", "torch") or extra < 50, f"rung {name} took {extra:.0f} MB"


def main(argv=None):
    parser = argparse.ArgumentParser(description="Attention by each rung of csrc/attention.c and by torch.")
    parser.add_argument("--rounds", type=positive_int, default=5, help="rounds that are timed (default: 5)")
    parser.add_argument("--threads", type=positive_int, default=2, help="of the last comparison (default: 2)")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of the random inputs (default: 0)")
    parser.add_argument("--quick", action="store_true", help="small shapes and one round: whether it runs")
    parser.add_argument("--peak-of", choices=["1", "2", "3", "4", "5", "torch"],
                        help="only print the bytes that one engine takes at --length")  # fmt: skip
    parser.add_argument("--length", type=positive_int, help="T of the comparison of memory (default: 8192)")
    args = parser.parse_args(argv)
    attention_library()  # without a compiler: one line, before anything else
    length = args.length or (1024 if args.quick else 8192)
    if args.peak_of:
        print_peak(args.peak_of, length)
        return
    rng = np.random.default_rng(args.seed)
    shapes, rounds = (QUICK_SHAPES, 1) if args.quick else (SHAPES, args.rounds)
    compare(shapes, rounds, rng)
    compare_threads(args.threads, shapes[-2], rounds, rng)
    compare_memory(length, ("1", "4") if args.quick else ("1", "2", "3", "4", "torch"))


if __name__ == "__main__":
    run(main)
