"""The ladder of csrc/matmul.c beside NumPy and torch: GFLOP/s by size, on one thread and on two.

A product of A (M, K) and B (K, N) takes 2 M N K operations, multiplications and additions. All engines take turns on
the same numbers; the median of the rounds counts. The last column is what the processor does with numbers that are
in registers already, the best of the same rounds. Each number of threads is set before NumPy and torch are loaded,
so each table is a process of its own. One thread is timed by what that thread computed, two by the clock on the wall:
then nothing else may run, and between their turns engines pause. The calls come from Python, which costs each engine
one or two millionths of a second. Last come gelu and cross-entropy, by functions.py.

    python mlp/bench.py                                  two minutes
    python mlp/bench.py --quick                          only products, of a few small sizes
    python mlp/bench.py --plot mlp/figures/matmul.svg    draws GFLOP/s against size
"""

import argparse
import functools
import os
import statistics
import subprocess
import sys
import time

from cli import run

SQUARES = (64, 128, 256, 512, 1000, 1024, 2048)
# The layers of a small Storyteller: so many tokens at once, from K numbers a token to N.
LAYERS = {"up, 256 tokens": (256, 192, 768), "up, 2,048 tokens": (2048, 192, 768),
          "down, 2,048 tokens": (2048, 768, 192), "wide, 512 tokens": (512, 1024, 1024),
          "257 bytes": (2048, 192, 257)}  # fmt: skip
QUICK_SQUARES, QUICK_LAYERS = (64, 100), {"up, 16 tokens": (16, 48, 64)}
SLOW = {1: 2**27, 2: 2**30, 3: 2**30, 4: 2**30}  # a rung is left out for products of more multiply-adds
ROUNDS, SECONDS = 9, 0.5  # rounds, fewer where one engine would take longer than this for them
PAUSE = 0.05  # seconds in which the threads of one engine, which wait by spinning, fall asleep before the next begins


# --- what is timed ------------------------------------------------------------------------------------------------


def cases(quick):
    """(name, (M, K, N), A's and B's axes exchanged) of all products: squares, then layers and their gradients."""
    for size in QUICK_SQUARES if quick else SQUARES:
        yield str(size), (size, size, size), (False, False)
    for name, (M, K, N) in (QUICK_LAYERS if quick else LAYERS).items():
        yield f"{name}: A B", (M, K, N), (False, False)
        yield "    dC B^T", (M, N, K), (False, True)
        yield "    A^T dC", (K, M, N), (True, False)
    for K, N in ((48, 64),) if quick else ((192, 768), (1024, 1024)):
        yield f"one token, {K} to {N}", (1, K, N), (False, False)


def engines(shape, swapped, threads, rng):
    """Functions of no argument, by name, that write the same product into arrays of their own; the arrays, too."""
    import numpy as np
    import torch

    from matmul import THREADS, Matrix, available_rungs, c_library

    (M, K, N), library = shape, c_library()
    a, b = rng.standard_normal((M, K), np.float32), rng.standard_normal((K, N), np.float32)
    a = np.ascontiguousarray(a.T).T if swapped[0] else a
    b = np.ascontiguousarray(b.T).T if swapped[1] else b
    results, calls = {}, {}
    rungs = [rung for rung in available_rungs() if rung != THREADS] if threads == 1 else [THREADS]
    for rung in rungs:
        if M * K * N <= SLOW.get(rung, 2**40):
            out = results[f"C {rung}"] = np.empty((M, N), np.float32)
            matrices = [Matrix.of(array) for array in (a, b, out)]
            calls[f"C {rung}"] = functools.partial(library.matmul, rung, threads, False, *matrices)
    out = results["NumPy"] = np.empty((M, N), np.float32)
    calls["NumPy"] = functools.partial(np.matmul, a, b, out=out)
    out = results["torch"] = np.empty((M, N), np.float32)
    calls["torch"] = functools.partial(torch.mm, torch.from_numpy(a), torch.from_numpy(b), out=torch.from_numpy(out))
    return calls, results, (a, b)


def rates_of(calls, operations, threads, quick):
    """Operations a second of each engine, the median of rounds in which they take turns; a call of each warms up."""
    from matmul import limit

    clock = time.thread_time if threads == 1 else time.perf_counter
    rounds, seconds = (3, 0.001) if quick else (ROUNDS, 0.003)
    repeats, rates = {}, {name: [] for name in [*calls, "limit"]}
    for name, call in calls.items():
        start = time.perf_counter()
        call()
        once = time.perf_counter() - start
        repeats[name] = max(1, int(seconds / max(once, 1e-6)))
        rounds = max(3, min(rounds, int(SECONDS / once)))
    for _ in range(rounds):
        for name, call in calls.items():
            if threads > 1:
                time.sleep(PAUSE)
                call()  # wakes its own threads
            start = clock()
            for _ in range(repeats[name]):
                call()
            rates[name].append(repeats[name] * operations / (clock() - start))
        time.sleep(PAUSE if threads > 1 else 0)
        rates["limit"].append(limit(threads, 50_000 if quick else 300_000))
    return {name: max(several) if name == "limit" else statistics.median(several) for name, several in rates.items()}


def measure(threads, quick):
    """Prints the table of one number of threads. Returns {case: {engine: operations a second}}."""
    import numpy as np
    import torch

    from matmul import THREADS, available_rungs, largest_error

    torch.set_num_threads(threads)
    rng, rows = np.random.default_rng(0), {}
    rungs = [rung for rung in available_rungs() if rung != THREADS] if threads == 1 else [THREADS]
    best = f"C {rungs[-1]}"
    columns = [*(f"C {rung}" for rung in rungs), "NumPy", "torch", "limit"]
    print(f"GFLOP/s, threads: {threads}".ljust(27) + "".join(f"{name:>8}" for name in columns[:-1])
          + f"{f'{best}/NumPy':>12}{'limit':>8}")  # fmt: skip
    for name, shape, swapped in cases(quick):
        calls, results, inputs = engines(shape, swapped, threads, rng)
        row = rates_of(calls, 2 * shape[0] * shape[1] * shape[2], threads, quick)
        for engine, result in results.items():
            assert largest_error(result, *inputs) < 1e-5, f"{engine}, {name}: another product"
        rows[name] = row
        cells = "".join(f"{row[column] / 1e9:>8.3g}" if column in row else f"{'':8}" for column in columns[:-1])
        print(f"{name:27}{cells}{row[best] / row['NumPy']:>12.2f}{row['limit'] / 1e9:>8.3g}", flush=True)
    return rows


def draw(rows, path):
    """GFLOP/s against size, a line an engine."""
    from matmul import RUNGS
    from plot import quiet_pyplot, save_figure

    plt = quiet_pyplot()
    figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
    squares = {int(name): row for name, row in rows.items() if name.isdecimal()}
    colors = {"NumPy": "#888888", "torch": "#bbbbbb", "limit": "black"}
    shades = plt.get_cmap("viridis")
    for name in ["limit", *(f"C {rung}" for rung in sorted(RUNGS, reverse=True)), "NumPy", "torch"]:
        points = [(size, row[name] / 1e9) for size, row in squares.items() if name in row]
        if not points:
            continue
        rung = int(name[2:]) if name.startswith("C ") else None
        label = f"{rung} {RUNGS[rung]}" if rung else name
        axes.plot(*zip(*points), label=label, color=colors.get(name) or shades((rung - 1) / 6),
                  linestyle="--" if name in colors else "-", marker="" if name == "limit" else "o", markersize=3)
    axes.set(xscale="log", yscale="log", xlabel="rows and columns", ylabel="GFLOP/s, one thread")
    axes.set_xticks([*squares], [str(size) if size != 1000 else "" for size in squares], minor=False)
    axes.minorticks_off()
    axes.set_yticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    save_figure(figure, path)


# --- one process a part -------------------------------------------------------------------------------------------


def environment(threads):
    """The environment of a process in which NumPy and torch use so many threads, and choose their own kernels."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    left = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    return {**left, **dict.fromkeys(names, str(threads)), "PYTHONUNBUFFERED": "1"}


def do_part(part, args):
    """Does one part, if this process has the environment for it; else runs this script again, with it.

    Raises SystemExit with the other process's status where it fails.
    """
    right = environment(2 if part == "two" else 1)
    if not args.part or os.environ != right:
        flags = ["--quick"] * args.quick + (["--plot", args.plot] if args.plot and part != "two" else [])
        if status := subprocess.run([sys.executable, __file__, "--part", part, *flags], env=right).returncode:
            raise SystemExit(status)
    elif part == "functions":
        from functions import time_functions

        time_functions()
    else:
        rows = measure(2 if part == "two" else 1, args.quick)
        if args.plot:
            draw(rows, args.plot)


def main(argv=None):
    parser = argparse.ArgumentParser(description="GFLOP/s of the ladder, NumPy and torch.")
    parser.add_argument("--quick", action="store_true", help="only products, of a few small sizes; a few seconds")
    parser.add_argument("--plot", metavar="FILE", help="draw GFLOP/s on one thread against size (SVG or PNG)")
    parser.add_argument("--part", choices=("one", "two", "functions"),
                        help="only this: the table of one thread, of two, or gelu and cross-entropy")  # fmt: skip
    args = parser.parse_args(argv)
    if args.plot:
        from plot import prepared

        prepared(args.plot)
    for part in [args.part] if args.part else ["one", "two"] + ["functions"] * (not args.quick):
        if part != "one" and not args.part:
            print(flush=True)
        do_part(part, args)


if __name__ == "__main__":
    run(main)
