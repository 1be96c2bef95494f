"""FlashAttention: exact attention that never writes down the table of scores, in NumPy and by the ladder in C.

New since attention.py: softmax taken in pieces (online), scores computed tile by tile, forgotten, and computed again
in the backward pass; the extra memory grows with T, not with T^2. Left out on purpose: dropout, masks other than the
causal one, the GPU (chapter device).
Shapes: B sequences, H query heads, K key and value heads (H / K query heads share one), T positions, D width of a head.

    python attention/flash.py              by hand, in NumPy, in C: half a minute
    python attention/flash.py --longest 512    seconds
    python attention/flash.py --plot       also draws figures/flash-tiles.svg and figures/flash-memory.svg

Papers: Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018); Rabe and Staats, "Self-attention
Does Not Need O(n^2) Memory" (2021); Dao et al., "FlashAttention" (2022); Dao, "FlashAttention-2" (2023); Ainslie et
al., "GQA" (2023).
"""

import argparse
import ctypes
import functools
import os
import statistics
import time

import numpy as np

from cli import non_negative_int, positive_int, run
from clib import load_library
from plot import prepared, quiet_pyplot, save_figure

RUNGS = {1: "by the formula", 2: "FlashAttention 1: key tiles outside", 3: "FlashAttention 2: query tiles outside",
         4: "vector code", 5: "threads"}  # fmt: skip
HEADS, WIDTH = 2, 64  # H = K and D of the table
FIGURES = "attention/figures"
TOLERANCE = 1e-5  # the largest difference, in parts of the largest number


# --- by hand: one row of scores -----------------------------------------------------------------------------------


def online_row(scores, values, tile=2):
    """softmax(scores) @ values, read a tile at a time. Yields (max, factor, sum, output) after each tile.

    factor is what the sum and the output of before are multiplied by, because the max has grown.
    """
    highest, total, output = -np.inf, 0.0, 0.0
    for start in range(0, len(scores), tile):
        s, v = scores[start:start + tile], values[start:start + tile]
        before, highest = highest, max(highest, s.max())
        factor, p = np.exp(before - highest), np.exp(s - highest)
        total = total * factor + p.sum()
        output = output * factor + p @ v
        yield highest, factor, total, output / total


# --- one head in NumPy --------------------------------------------------------------------------------------------


def formula_forward(q, k, v):
    """softmax(q k^T / sqrt(D)) v with the causal mask, by the whole table. (T, D) each -> o (T, D), p (T, T)"""
    T, D = q.shape
    scores = np.where(np.tri(T, dtype=bool), q @ k.T / np.sqrt(D), -np.inf)
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p @ v, p


def formula_backward(q, k, v, grad_o):
    """The gradients of q, k and v, (T, D) each, by the whole table."""
    _, p = formula_forward(q, k, v)
    grad_p = grad_o @ v.T
    grad_s = p * (grad_p - (p * grad_p).sum(axis=1, keepdims=True)) / np.sqrt(q.shape[1])
    return grad_s @ k, grad_s.T @ q, p.T @ grad_o


def tile_scores(q, k, i, j, tile):
    """Scores of the query tile at i and the key tile at j, -inf where a query must not see a key."""
    rows, columns = np.arange(len(q))[i:i + tile, None], np.arange(len(k))[j:j + tile]
    return np.where(columns <= rows, q[i:i + tile] @ k[j:j + tile].T / np.sqrt(q.shape[1]), -np.inf)


def flash_forward(q, k, v, tile=64):
    """FlashAttention 2 for one head: (T, D) each -> o (T, D), lse (T,), the logarithm of each row's sum."""
    T, D = q.shape
    o, lse = np.empty_like(q), np.empty(T, q.dtype)
    for i in range(0, T, tile):
        rows = min(tile, T - i)
        highest, total, output = np.full(rows, -np.inf), np.zeros(rows), np.zeros((rows, D))
        for j in range(0, i + rows, tile):  # no query of this tile sees a key behind its last one
            s = tile_scores(q, k, i, j, tile)
            before, highest = highest, np.maximum(highest, s.max(axis=1))
            factor, p = np.exp(before - highest), np.exp(s - highest[:, None])
            total = total * factor + p.sum(axis=1)
            output = output * factor[:, None] + p @ v[j:j + tile]
        o[i:i + tile] = output / total[:, None]
        lse[i:i + tile] = highest + np.log(total)
    return o, lse


def flash_backward(q, k, v, o, lse, grad_o, tile=64):
    """The gradients of q, k and v, each tile of probabilities found again from its scores and lse."""
    T, D = q.shape
    grad_q, grad_k, grad_v = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    delta = (grad_o * o).sum(axis=1)  # = sum_j p_ij grad_p_ij, without p
    for j in range(0, T, tile):
        keys = slice(j, j + tile)
        for i in range(j, T, tile):  # queries before the tile do not see its keys
            rows = slice(i, i + tile)
            p = np.exp(tile_scores(q, k, i, j, tile) - lse[rows, None])
            grad_p = grad_o[rows] @ v[keys].T
            grad_s = p * (grad_p - delta[rows, None]) / np.sqrt(D)
            grad_v[keys] += p.T @ grad_o[rows]
            grad_k[keys] += grad_s.T @ q[rows]
            grad_q[rows] += grad_s @ k[keys]
    return grad_q, grad_k, grad_v


# --- the ladder in C ----------------------------------------------------------------------------------------------


class AttentionSizes(ctypes.Structure):
    """The struct of this name in csrc/attention.c."""

    _fields_ = [(name, ctypes.c_int64) for name in ("B", "H", "K", "Tq", "Tk", "D")]


@functools.cache
def attention_library():
    """csrc/build/attention.so with the types of its functions, built where it is missing."""
    loaded, number, pointer = load_library("attention"), ctypes.c_int, ctypes.c_void_p
    sizes = ctypes.POINTER(AttentionSizes)
    loaded.attention_forward.argtypes = [number, number, number, sizes] + [pointer] * 5
    loaded.attention_backward.argtypes = [number, number, number, sizes] + [pointer] * 9
    loaded.attention_bytes.argtypes, loaded.attention_bytes.restype = [number, number, sizes, number], ctypes.c_int64
    loaded.attention_peak.argtypes, loaded.attention_peak.restype = [number, ctypes.c_int64], ctypes.c_double
    return loaded


def sizes_of(q, k, v):
    """AttentionSizes of q (B, H, Tq, D) and k, v (B, K, Tk, D). Raises ValueError where they do not fit together."""
    if q.ndim != 4 or k.ndim != 4 or k.shape != v.shape or q.shape[::3] != k.shape[::3]:
        raise ValueError(f"q (B, H, Tq, D), k and v (B, K, Tk, D) cannot have shapes {q.shape}, {k.shape}, {v.shape}")
    B, H, Tq, D = q.shape
    K, Tk = k.shape[1:3]
    if 0 in (*q.shape, *k.shape) or H % K or Tq > Tk:
        raise ValueError(f"H = {H} must be a multiple of K = {K}, Tq = {Tq} at most Tk = {Tk}, and none may be 0")
    return AttentionSizes(B, H, K, Tq, Tk, D)


def call(function, rung, path, threads, sizes, arrays):
    """Calls attention_forward or attention_backward. Raises ValueError for rungs and paths that are not there."""
    path = attention_library().attention_paths() - 1 if path is None else path
    result = function(rung, path, threads or os.cpu_count(), sizes, *(array.ctypes.data for array in arrays))
    if result == 1:
        raise MemoryError(f"rung {rung} needs {extra_bytes(rung, sizes, threads or os.cpu_count()):,} bytes")
    if result:
        raise ValueError(f"there is no rung {rung} with path {path} and {threads} threads")


def attention(q, k, v, rung=5, threads=None, path=None):
    """Causal attention by csrc/attention.c: q (B, H, Tq, D), k and v (B, K, Tk, D) -> o like q, lse (B, H, Tq).

    The last query stands beside the last key. rung: 1 to 5; path, for rungs 4 and 5: 0 plain, 1 AVX2, 2 AVX-512, by
    default the fastest; threads, for rung 5: by default one a core. All in float32.
    """
    q, k, v = (np.ascontiguousarray(array, dtype=np.float32) for array in (q, k, v))
    sizes = sizes_of(q, k, v)
    o, lse = np.empty_like(q), np.empty(q.shape[:3], np.float32)
    call(attention_library().attention_forward, rung, path, threads, sizes, (q, k, v, o, lse))
    return o, lse


def attention_backward(q, k, v, o, lse, grad_o, rung=5, threads=None, path=None):
    """The gradients of q, k and v from that of o; o and lse are what `attention` returned."""
    arrays = [np.ascontiguousarray(array, dtype=np.float32) for array in (q, k, v, o, lse, grad_o)]
    sizes, grads = sizes_of(*arrays[:3]), [np.empty_like(array) for array in arrays[:3]]
    if not arrays[0].shape == arrays[3].shape == arrays[5].shape or arrays[4].shape != arrays[0].shape[:3]:
        raise ValueError("o and grad_o must have the shape of q, and lse that of q without its last axis")
    call(attention_library().attention_backward, rung, path, threads, sizes, (*arrays, *grads))
    return tuple(grads)


def extra_bytes(rung, sizes, threads=1, backward=False):
    """What a call allocates beyond its inputs and outputs, and frees again."""
    return attention_library().attention_bytes(rung, threads, sizes, backward)


def error(results, expected):
    """The largest difference in parts of the largest expected number, over all arrays; NaN where there is one."""
    return max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(results, expected, strict=True))


# --- what is printed ----------------------------------------------------------------------------------------------


def show_row():
    """Online softmax of six scores in tiles of two, equal to the formula."""
    scores, values = np.array([1.0, 3, 2, 5, 4, 0]), np.array([10.0, 20, 30, 40, 50, 60])
    print(f"scores {scores.astype(int)}, values {values.astype(int)}, in tiles of 2")
    for n, (highest, factor, total, output) in enumerate(online_row(scores, values)):
        print(f"tile {n + 1}: max {highest:.0f}, times {factor:.4f}, sum {total:.4f}, output {output:.4f}")
    p = np.exp(scores) / np.exp(scores).sum()
    print(f"formula:                              output {p @ values:.4f}\n")
    assert abs(output - p @ values) < 1e-12, "online softmax must be exact"


def show_numpy(rng):
    """Tiles in NumPy against the whole table, for lengths that fill their last tile and others."""
    worst = 0.0
    for T in (1, 6, 64, 100):
        q, k, v, grad_o = rng.standard_normal((4, T, 16))
        o, lse = flash_forward(q, k, v, tile=8)
        grads = flash_backward(q, k, v, o, lse, grad_o, tile=8)
        worst = max(worst, np.abs(o - formula_forward(q, k, v)[0]).max(),
                    *(np.abs(a - b).max() for a, b in zip(grads, formula_backward(q, k, v, grad_o))))  # fmt: skip
    print(f"NumPy, tiles of 8: output and gradients differ from the formula's by at most {worst:.0e}")
    assert worst < 1e-12, "tiles must not change the result"


def measure(q, k, v, grad_o, rung, rounds):
    """The results of a rung (o, then gradients), and the median milliseconds forward and backward."""
    clock, times = time.perf_counter if rung == 5 else time.process_time, []
    for _ in range(rounds):
        start = clock()
        o, lse = attention(q, k, v, rung)
        middle = clock()
        grads = attention_backward(q, k, v, o, lse, grad_o, rung)
        times.append((1e3 * (middle - start), 1e3 * (clock() - middle)))
    return (o, *grads), [statistics.median(column) for column in zip(*times)]


def show_rungs(lengths, rng):
    """The table of rungs; returns {(rung, T): (forward ms, backward ms, forward bytes, backward bytes)}."""
    table = {}
    print(f"\nC, {HEADS} heads, D = {WIDTH}: ms, times as fast as the formula, extra memory in KB (thousands of bytes)")
    for T in lengths:
        print(f"T = {T:<5}{'':34}forward  times     extra   backward  times     extra")
        q, k, v, grad_o = rng.standard_normal((4, 1, HEADS, T, WIDTH), dtype=np.float32)
        for rung, name in RUNGS.items():
            results, ms = measure(q, k, v, grad_o, rung, 3 if T < 2048 or rung > 3 else 1)
            memory = [extra_bytes(rung, sizes_of(q, k, v), os.cpu_count(), backward) for backward in (False, True)]
            table[rung, T] = *ms, *memory
            if rung == 1:
                expected, formula_ms = results, ms
            assert error(results, expected) < TOLERANCE, f"rung {rung} differs from the formula"
            parts = (f"{a:9.2f}{b / a:7.1f}{m / 1e3:10,.0f}" for a, b, m in zip(ms, formula_ms, memory))
            print(f"  {rung} {name:37}" + "  ".join(parts))
    for rung in RUNGS:  # what doubling T does to the extra memory: times 4, or at most times 2
        for n in (2, 3):
            growth = table[rung, lengths[-1]][n] / table[rung, lengths[-2]][n]
            assert growth == 4 if rung == 1 else growth <= 2, f"rung {rung}: extra memory times {growth}"
    print("all agree with the formula; where T doubles, the extra memory of 1 is 4 times as much, of 2 to 5 at most 2")
    return table


# --- pictures -----------------------------------------------------------------------------------------------------


def order_of_tiles(n, rung):
    """The (query tile, key tile) pairs in the order in which a rung visits them, n tiles each way."""
    if rung == 2:
        return [(i, j) for j in range(n) for i in range(n)]
    return [(i, j) for i in range(n) for j in range(i + 1)]


def draw_tiles(path, n=5):
    """Which tiles FlashAttention 1 and 2 compute, mask and skip, and in which order."""
    plt = quiet_pyplot()
    figure, axes = plt.subplots(1, 2, figsize=(9, 5.2))
    colors = {"computed": "#7fb3d5", "computed, half of it masked": "#f8c471", "computed, all of it masked": "#e6b0aa",
              "skipped": "#f4f6f7"}  # fmt: skip
    for ax, rung in zip(axes, (2, 3)):
        order = order_of_tiles(n, rung)
        for i in range(n):
            for j in range(n):
                kind = [*colors][0 if j < i else 1 if j == i else 2 if (i, j) in order else 3]
                ax.add_patch(plt.Rectangle((j, i), 1, 1, facecolor=colors[kind], edgecolor="#566573"))
        for number, (i, j) in enumerate(order, start=1):
            ax.text(j + 0.5, i + 0.5, str(number), ha="center", va="center", fontsize=12)
        ax.set(xlim=(0, n), ylim=(n, 0), aspect="equal", xlabel="key tile", ylabel="query tile",
               title="FlashAttention 1: key tiles outside" if rung == 2 else "FlashAttention 2: query tiles outside",
               xticks=np.arange(n) + 0.5, yticks=np.arange(n) + 0.5, xticklabels=range(n), yticklabels=range(n))
        ax.tick_params(length=0)
    handles = [plt.Rectangle((0, 0), 1, 1, facecolor=color, edgecolor="#566573") for color in colors.values()]
    figure.legend(handles, colors, loc="lower center", ncol=4, frameon=False, fontsize=9)
    figure.subplots_adjust(left=0.06, right=0.98, bottom=0.15, top=0.92)
    save_figure(figure, path)


def draw_memory(path, table):
    """Extra memory and time of the backward pass by length, as the table has them."""
    plt = quiet_pyplot()
    figure, axes = plt.subplots(1, 2, figsize=(9, 4))
    lengths = sorted({T for _, T in table})
    for rung, name in RUNGS.items():
        if rung == 5:
            continue
        rows = [table[rung, T] for T in lengths]
        style = dict(marker="o", linestyle="--" if rung == 2 else "-", zorder=3 if rung == 2 else 2)
        axes[0].plot(lengths, [row[3] / 1e6 for row in rows], label=f"{rung} {name}", **style)
        axes[1].plot(lengths, [row[0] + row[1] for row in rows], **style)
    for ax, title in zip(axes, ("extra memory, backward, MB", "time, forward and backward, ms")):
        ax.set(xscale="log", yscale="log", xlabel="positions T", title=title, xticks=lengths)
        ax.set_xticklabels([f"{T:,}" for T in lengths])
        ax.yaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()
        ax.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncol=4, frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    save_figure(figure, path)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Attention without the table of scores, in NumPy and in C.")
    parser.add_argument("--longest", type=positive_int, default=2048, help="the table's last T (default: 2048)")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of the random inputs (default: 0)")
    parser.add_argument("--plot", action="store_true", help=f"draw {FIGURES}/flash-tiles.svg and flash-memory.svg")
    args = parser.parse_args(argv)
    if args.plot:
        prepared(f"{FIGURES}/flash-tiles.svg")
    attention_library()  # without a compiler: one line, before anything else
    rng = np.random.default_rng(args.seed)
    show_row()
    show_numpy(rng)
    lengths = [T for T in (64, 128, 256, 512, 1024, 2048, 4096, 8192) if T <= max(args.longest, 128)][-4:]
    table = show_rungs(lengths, rng)
    if args.plot:
        draw_tiles(f"{FIGURES}/flash-tiles.svg")
        draw_memory(f"{FIGURES}/flash-memory.svg", table)


if __name__ == "__main__":
    run(main)
