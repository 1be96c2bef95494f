"""What a tensor is: one strip of memory, seen through shape, strides and offset. Every view, every copy, every price.

New since strided.py: the same in C (ctensor.py, csrc/tensor.c), checked against the pure Python one and NumPy while it
is shown; which reshapes copy, and why; who shares memory with whom; and what it costs to walk through memory in another
order than that in which it lies. Left out on purpose: fast products of matrices (matmul.py), gradients.
Shapes are printed as (rows, columns); strides and offsets count numbers, not bytes.

    python mlp/tensor.py                    five seconds
    python mlp/tensor.py --size 6000        a larger matrix for the last part
    python mlp/tensor.py --plot             also draws mlp/figures/tensor-views.svg

Paper: van der Walt, Colbert and Varoquaux, "The NumPy Array: A Structure for Efficient Numerical Computation" (2011).
"""

import argparse
import time
from pathlib import Path

import numpy as np

from cli import UserError, positive_int, run
from ctensor import RUNGS, CTensor, elements, reduce
from strided import ListTensor
from tensor_figure import views_svg

FIGURE = "mlp/figures/tensor-views.svg"
SIZE, ROUNDS = 3000, 5

# name: a view of t, which is one of 12 numbers as (3, 4), with every class of tensors.
VIEWS = {
    "t": lambda t: t,
    "t.reshape(4, 3)": lambda t: t.reshape(4, 3),
    "t.T": lambda t: t.T,
    "t[1]": lambda t: t[1],
    "t[:, 1:3]": lambda t: t[:, 1:3],
    "t[:, ::2]": lambda t: t[:, ::2],
    "t[::-1]": lambda t: t[::-1],
    "t[0].expand(3, 4)": lambda t: np.broadcast_to(t[0], (3, 4)) if isinstance(t, np.ndarray) else t[0].expand(3, 4),
    "t[:, None, 0]": lambda t: t[:, None, 0],
}
# name: how to reshape one of them, and whether that is a view.
RESHAPES = {
    "t.reshape(2, 6)": (lambda t: t.reshape(2, 6), True),
    "t.T.reshape(12)": (lambda t: t.T.reshape(12), False),
    "t.T.reshape(2, 2, 3)": (lambda t: t.T.reshape(2, 2, 3), True),
    "t[:, 1:3].reshape(6)": (lambda t: t[:, 1:3].reshape(6), False),
    "t[:, ::2].reshape(6)": (lambda t: t[:, ::2].reshape(6), True),
    "t[::-1].reshape(12)": (lambda t: t[::-1].reshape(12), False),
    "t[::-1, ::-1].reshape(12)": (lambda t: t[::-1, ::-1].reshape(12), True),
}


def show_numbers(x):
    """The numbers of an array, row by row: 0 1 2 | 3 4 5"""
    rows = np.asarray(x).reshape(-1, x.shape[-1])
    return " | ".join(" ".join(f"{number:g}" for number in row) for row in rows)


def same_as(ours, plain, theirs):
    """Whether C, pure Python and NumPy have the same numbers, shape, and strides where there is a step."""
    strides = [[stride for n, stride in zip(x.shape, x.strides) if n > 1] for x in (ours, plain, theirs)]
    return (ours.shape == plain.shape == theirs.shape and ours.offset == plain.offset
            and strides[0] == strides[1] == [stride // 4 for stride in strides[2]]
            and ours.tolist() == theirs.tolist() and plain.numbers() == theirs.ravel().tolist())


def show_views():
    """One storage of 12 numbers, seen in nine ways."""
    t, array = CTensor.arange(12).reshape(3, 4), np.arange(12, dtype=np.float32).reshape(3, 4)
    plain = ListTensor([float(number) for number in range(12)], (3, 4))
    print(f"{'one storage, 0 to 11':20} {'shape':11} {'strides':11} offset  numbers in the order of reading")
    views = {name: see(t) for name, see in VIEWS.items()}
    for name, view in views.items():
        print(f"{name:20} {view.shape!s:11} {view.strides!s:11} {view.offset:>4}    {show_numbers(view)}")
        assert view.shares_storage(t), f"{name} should not copy"
        assert same_as(view, VIEWS[name](plain), VIEWS[name](array)), f"{name} is another in C than in Python or NumPy"
    t[1, 2] = 60
    assert views["t.T"].item(2, 1) == 60 and views["t[:, ::2]"].item(1, 1) == 60, "a view should see what is written"
    print(f"t[1, 2] = 60 shows in all of them: t.T[2, 1] is {views['t.T'].item(2, 1):g}")
    before = t.references
    del views, view
    print(f"{before} tensors share the storage; when the views are dropped, {t.references}\n")
    assert (before, t.references) == (len(VIEWS), 1), "a reference is lost or kept"


def show_reshapes():
    """A reshape is a view where one stride a new axis can lead through the numbers, else a copy."""
    t, array = CTensor.arange(12).reshape(3, 4), np.arange(12, dtype=np.float32).reshape(3, 4)
    plain = ListTensor([float(number) for number in range(12)], (3, 4))
    print(f"{'reshape':26} {'strides':11} numbers in the order of reading")
    for name, (change, is_view) in RESHAPES.items():
        new, theirs, by_lists = change(t), change(array), change(plain)
        shared = {new.shares_storage(t), np.shares_memory(theirs, array), by_lists.storage is plain.storage}
        assert shared == {is_view}, f"{name} should be {'a view' if is_view else 'a copy'}, in all three"
        assert new.tolist() == theirs.tolist() and by_lists.numbers() == theirs.ravel().tolist(), f"{name} is wrong"
        print(f"{name:26} {str(new.strides) if is_view else 'a copy':11} {show_numbers(new)}")
    print()


def interleaved(functions, rounds):
    """The median processor time of each function in seconds; they take turns, and the first round only warms up."""
    times = [[] for _ in functions]
    for _ in range(rounds + 1):
        for function, taken in zip(functions, times):
            start = time.process_time()
            function()
            taken.append(time.process_time() - start)
    return [float(np.median(taken[1:])) for taken in times]


def show_walks(size, rounds):
    """The same numbers in the order of memory and across it, by the three rungs of csrc/tensor.c and by NumPy."""
    try:
        m = CTensor.zeros(size, size)
    except (MemoryError, ValueError, OverflowError):
        raise UserError(f"--size {size}: there is not enough memory for {size:,} x {size:,} numbers") from None
    m[...] = np.arange(size) % 7
    m[::2] = np.arange(size) % 5
    array = m.numpy()
    walks = {
        "m.sum(), along the rows": (lambda rung: reduce("sum", m, rung=rung), lambda: array.sum()),
        "m.T.sum(), down the columns": (lambda rung: reduce("sum", m.T, rung=rung), lambda: array.T.sum()),
        "m.sum(1), a total a row": (lambda rung: reduce("sum", m, 1, rung=rung), lambda: array.sum(1)),
        "m.sum(0), a total a column": (lambda rung: reduce("sum", m, 0, rung=rung), lambda: array.sum(0)),
        "m + m": (lambda rung: elements("add", m, m, rung), lambda: array + array),
        "m.T + m.T": (lambda rung: elements("add", m.T, m.T, rung), lambda: array.T + array.T),
    }
    print(f"{f'{size:,} x {size:,}, ns a number':28}  1 numbers    2 rows  3 in order     NumPy")
    for name, (ours, theirs) in walks.items():
        functions = [lambda rung=rung, ours=ours: ours(rung) for rung in range(1, RUNGS + 1)] + [theirs]
        for function in functions[:-1]:
            assert np.allclose(function(), theirs(), rtol=1e-5, atol=0), f"{name} differs from NumPy's"
        ns = [taken / size**2 * 1e9 for taken in interleaved(functions, rounds)]
        print(f"{name:28} {ns[0]:10.2f} {ns[1]:9.2f} {ns[2]:11.2f} {ns[3]:9.2f}")
    print("Memory is fetched in lines of 64 bytes, 16 numbers. Along a row each line serves 16 numbers, one after\n"
          f"the other; down a column each number needs another line, and wants the first again {size:,} numbers later.")


def main(argv=None):
    parser = argparse.ArgumentParser(description="Views, copies and walks of a tensor, in C, checked against NumPy.")
    parser.add_argument("--size", type=positive_int, default=SIZE, help=f"rows of the timed matrix (default: {SIZE:,})")
    parser.add_argument("--rounds", type=positive_int, default=ROUNDS, help=f"of timing (default: {ROUNDS})")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE", help=f"draw the views (default: {FIGURE})")
    args = parser.parse_args(argv)
    show_views()
    show_reshapes()
    show_walks(args.size, args.rounds)
    if args.plot:
        try:
            Path(args.plot).parent.mkdir(parents=True, exist_ok=True)
            Path(args.plot).write_text(views_svg(), encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UserError(f"cannot draw {args.plot}: {error}") from None
        print(f"drawn in {args.plot}")


if __name__ == "__main__":
    run(main)
