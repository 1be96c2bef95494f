"""The product of two matrices, from three loops to register tiles: why the same sums can take 200 times as long.

New since the last chapter, where NumPy's @ did this: what happens inside. In a network nearly all time goes into
C[i][j] = sum over k of A[i][k] B[k][j]. Three loops in Python, the same in C, and then six steps (csrc/matmul.c, each
kept as a "rung" of a ladder), until the processor does what it can. Both gradients of a product are products, too.
Left out on purpose: numbers of 16 bits (chapter precision), GPUs (chapter device), and Strassen's way of doing with
fewer multiplications, which is less exact and pays only for huge matrices.
Shapes: A (M, K), B (K, N), C (M, N), float32.

    python mlp/matmul.py                 half a minute
    python mlp/matmul.py --size 2000     other matrices
    python mlp/matmul.py --threads 4     for the last rung

Writes nothing.

Paper: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008).
"""

import argparse
import ctypes
import functools
import os
import time

import numpy as np

from cli import non_negative_int, positive_int, run
from clib import load_library

RUNGS = {1: "three loops, as the formula", 2: "j innermost: along the rows", 3: "blocks of B in the cache",
         4: "panels, and a tile in registers", 5: "a tile of 6 x 16 with AVX2", 6: "a tile of 12 x 32 with AVX-512",
         7: "threads"}  # fmt: skip
THREADS = 7  # the rung that takes the best of the others
NO_MEMORY = 1  # what the functions of csrc/matmul.c return
PYTHON_SIZE = 64


# --- in Python ----------------------------------------------------------------------------------------------------


def three_loops(a, b):
    """The formula: lists of rows a (M, K) and b (K, N) -> c (M, N)."""
    c = [[0.0] * len(b[0]) for _ in a]
    for i in range(len(a)):
        for j in range(len(b[0])):
            for k in range(len(b)):
                c[i][j] += a[i][k] * b[k][j]
    return c


def numbers_read(M, N, K, rows, columns):
    """How many numbers of A and B are fetched when C (M, N) is computed in tiles of rows x columns.

    A tile stays in registers while k runs; for each k it fetches `rows` numbers of A and `columns` of B, and does
    rows * columns multiply-adds with them. Tiles of 1 x 1 are the three loops.
    """
    fetched = 0
    for i in range(0, M, rows):
        for j in range(0, N, columns):
            for _ in range(K):
                fetched += min(rows, M - i) + min(columns, N - j)
    return fetched


# --- in C ---------------------------------------------------------------------------------------------------------


class Matrix(ctypes.Structure):
    """Numbers in memory, two sizes, two strides (in numbers): csrc/matmul.c's Matrix."""

    _fields_ = [("data", ctypes.c_void_p), ("rows", ctypes.c_int64), ("columns", ctypes.c_int64),
                ("row_stride", ctypes.c_int64), ("column_stride", ctypes.c_int64)]  # fmt: skip

    @classmethod
    def of(cls, array):
        """The memory of a float32 array (rows, columns), which must live as long as this. Raises ValueError."""
        if array.ndim != 2 or array.dtype != np.float32 or any(stride % 4 for stride in array.strides):
            raise ValueError(f"not a float32 matrix: {array.dtype}, shape {array.shape}, strides {array.strides}")
        return cls(array.ctypes.data, *array.shape, *(stride // 4 for stride in array.strides))


@functools.cache
def c_library():
    """csrc/matmul.c with the types of its functions. Raises UserError where it cannot be compiled."""
    library = load_library("matmul")
    how = [ctypes.c_int, ctypes.c_int, ctypes.c_bool]  # rung, threads, accumulate
    library.matmul.argtypes = [*how, Matrix, Matrix, Matrix]
    library.matmul_backward.argtypes = [*how, Matrix, Matrix, Matrix, Matrix, Matrix]
    library.matmul_limit.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.POINTER(ctypes.c_float)]
    library.matmul_limit.restype = ctypes.c_double
    return library


def available_rungs():
    """The rungs that this processor can run; 1 to 4 and 7 always."""
    return [rung for rung in RUNGS if c_library().matmul_rungs() >> rung & 1]


def raise_for(status, rung):
    if status == NO_MEMORY:
        raise MemoryError("not enough memory for the panels of a product")
    if status:
        raise ValueError(f"this processor cannot run rung {rung}, only {available_rungs()}")


def check_result(result, shape, *inputs):
    """Raises ValueError unless the result is a writable matrix of that shape with memory of its own."""
    if result.shape != shape or not result.flags.writeable:
        raise ValueError(f"the result needs a writable array of shape {shape}, not {result.shape}")
    if any(np.may_share_memory(result, other) for other in inputs):
        raise ValueError("the result lies in the memory of what it is computed from")


def matmul(a, b, rung=THREADS, threads=1, out=None, accumulate=False):
    """a (M, K) times b (K, N), float32 with any strides -> (M, N). With accumulate it is added to `out`.

    rung: 1 to 7; threads: for rung 7. Raises ValueError for wrong shapes and for a rung that cannot run here.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ValueError(f"shapes {a.shape} and {b.shape} do not fit")
    if accumulate and out is None:
        raise ValueError("accumulate adds to `out`, which is missing")
    if out is None:
        out = np.empty((a.shape[0], b.shape[1]), np.float32)
    check_result(out, (a.shape[0], b.shape[1]), a, b)
    raise_for(c_library().matmul(rung, threads, accumulate, Matrix.of(a), Matrix.of(b), Matrix.of(out)), rung)
    return out


def matmul_backward(a, b, dc, rung=THREADS, threads=1):
    """The gradients of c = a b, given dc (M, N), that of c: da = dc b^T (M, K) and db = a^T dc (K, N)."""
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0] or dc.shape != (a.shape[0], b.shape[1]):
        raise ValueError(f"shapes {a.shape}, {b.shape} and {dc.shape} do not fit")
    da, db = np.empty(a.shape, np.float32), np.empty(b.shape, np.float32)
    matrices = [Matrix.of(array) for array in (a, b, dc, da, db)]
    raise_for(c_library().matmul_backward(rung, threads, False, *matrices), rung)
    return da, db


def limit(threads=1, rounds=500_000):
    """Operations a second, multiplications and additions, on numbers that are in registers already."""
    clock, sink = (time.thread_time if threads == 1 else time.perf_counter), ctypes.c_float()
    start = clock()
    operations = c_library().matmul_limit(threads, rounds, ctypes.byref(sink))
    return operations / (clock() - start)


# --- the lesson ---------------------------------------------------------------------------------------------------


def best_rate(function, operations, threads=1, seconds=0.5):
    """Operations a second in the best of several calls: the one that other programs disturbed least.

    One thread is timed by what this thread computed, several by the clock on the wall.
    """
    clock, best, calls, begin = (time.thread_time if threads == 1 else time.perf_counter), 0.0, 0, time.perf_counter()
    while calls < 2 or (time.perf_counter() - begin < seconds and calls < 1000):
        start = clock()
        function()
        best, calls = max(best, operations / (clock() - start)), calls + 1
        if operations / best > 2 * seconds:
            break
    return best


def largest_error(result, a, b):
    """The largest distance from the product in float64, as a share of the largest number there."""
    exact = a.astype(np.float64) @ b.astype(np.float64)
    error = np.abs(np.asarray(result, np.float64) - exact).max() / np.abs(exact).max()
    assert error < 1e-4, f"this is another product: the error is {error}"
    return error


def show_traffic():
    """The 4 x 4 example: how many numbers are fetched for the same 64 multiply-adds."""
    print("4 x 4 times 4 x 4 is 64 multiply-adds; C held in tiles of")
    for rows, columns in ((1, 1), (2, 2), (4, 4)):
        fetched = numbers_read(4, 4, 4, rows, columns)
        print(f"    {rows} x {columns}: {fetched:3} numbers fetched, {64 / fetched:.1f} multiply-adds a number")
    for rows, columns in ((4, 8), (6, 16), (12, 32)):
        share = rows * columns / (rows + columns)
        print(f"    {rows} x {columns}, where the matrices are large: {share:.1f} multiply-adds a number")
    assert [numbers_read(4, 4, 4, n, n) for n in (1, 2, 4)] == [128, 64, 32]


def show_ladder(size, threads, rng):
    """Every rung at one size: its rate, what it gains on the rung before, its share of the limit, its error."""
    small = rng.standard_normal((2, PYTHON_SIZE, PYTHON_SIZE)).astype(np.float32)
    lists = small.tolist()
    a, b = rng.standard_normal((2, size, size)).astype(np.float32)
    most = max(limit() for _ in range(20))
    rows = [(f"Python, three loops (size {PYTHON_SIZE})", best_rate(lambda: three_loops(*lists), 2 * PYTHON_SIZE**3),
             largest_error(three_loops(*lists), *small))]  # fmt: skip
    for rung in available_rungs():
        n_threads = threads if rung == THREADS else 1
        out = np.empty((size, size), np.float32)
        rate = best_rate(lambda: matmul(a, b, rung, n_threads, out=out), 2 * size**3, n_threads)  # noqa: B023
        name = f"C, {rung} {RUNGS[rung]}" if rung != THREADS else f"C, {rung} the best of these, threads: {threads}"
        rows.append((name, rate, largest_error(out, a, b)))
    of_numpy = best_rate(lambda: a @ b, 2 * size**3, threads=2)  # by the clock: it chooses its threads itself
    rows.append(("NumPy, a @ b, with threads of its own", of_numpy, largest_error(a @ b, a, b)))
    print(f"\n{f'matrices of {size} x {size}':42}{'GFLOP/s':>9}{'gain':>7}{'of the limit':>14}{'error':>9}")
    before = None
    for name, rate, error in rows:
        gain = f"{rate / before:.1f}x" if before and not name.startswith("NumPy") else ""
        print(f"{name:42}{rate / 1e9:>9.3g}{gain:>7}{rate / most:>14.1%}{error:>9.0e}")
        before = rate
    print(f"{'limit: multiply-adds in registers':42}{most / 1e9:>9.3g}{'':7}{'one thread':>14}")
    return dict((name, rate) for name, rate, _ in rows)


def check_gradients(rng):
    """Both gradients on the ladder, against finite differences of the sum of C weighted by dC."""
    a, b, dc = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 7), (7, 3), (5, 3)))

    def loss(a, b):
        return ((a.astype(np.float64) @ b.astype(np.float64)) * dc).sum()

    def slope(of_a, of_b):
        return (loss(a + of_a, b + of_b) - loss(a - of_a, b - of_b)) / 2

    worst = 0.0
    for rung in available_rungs():
        da, db = matmul_backward(a, b, dc, rung)
        for i, k in np.ndindex(a.shape):
            step = np.zeros(a.shape)
            step[i, k] = 1.0
            worst = max(worst, abs(slope(step, 0.0) - da[i, k]))
        for k, j in np.ndindex(b.shape):
            step = np.zeros(b.shape)
            step[k, j] = 1.0
            worst = max(worst, abs(slope(0.0, step) - db[k, j]))
    assert worst < 1e-5, f"a gradient is off by {worst}"
    print(f"\ngradients dC B^T and A^T dC on every rung: at most {worst:.0e} from finite differences")


def main(argv=None):
    parser = argparse.ArgumentParser(description="A product of matrices as a ladder, each rung timed and checked.")
    parser.add_argument("--size", type=positive_int, default=1024, help="rows and columns (default: 1024)")
    parser.add_argument("--threads", type=positive_int, default=os.cpu_count(),
                        help="of the last rung (default: the number of cores)")  # fmt: skip
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of the matrices' numbers (default: 0)")
    args = parser.parse_args(argv)
    c_library()  # without a compiler: one line, before anything else
    rng = np.random.default_rng(args.seed)
    show_traffic()
    show_ladder(args.size, args.threads, rng)
    check_gradients(rng)


if __name__ == "__main__":
    run(main)
