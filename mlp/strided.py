"""A tensor from nothing: a flat list of numbers, and a few short numbers that say how to walk through it.

New since micrograd/tensorgrad.py: what NumPy did there without a word. A table with any count of axes is one strip of
numbers (the storage), its shape, a stride for each axis, and an offset. Turning it over, cutting it, reversing and
repeating it change the short numbers only: the result is a view, and nothing is copied. Left out on purpose: gradients,
and speed (csrc/tensor.c is the same in C, and ctensor.py brings it back to Python).

    python mlp/strided.py        in no time

Paper: van der Walt, Colbert and Varoquaux, "The NumPy Array: A Structure for Efficient Numerical Computation" (2011).
"""

import argparse
import itertools
import math
import operator

from cli import run


def contiguous_strides(shape):
    """(2, 3, 4) -> (12, 4, 1): the last axis lies number by number, each before it steps over all that is behind."""
    return tuple(math.prod(max(n, 1) for n in shape[axis + 1:]) for axis in range(len(shape)))


def broadcast_shape(first, second):
    """(4, 1) and (3,) -> (4, 3): where one has size 1, or no axis, the other's size counts. Raises ValueError."""
    ndim = max(len(first), len(second))
    pairs = list(zip((1,) * (ndim - len(first)) + tuple(first), (1,) * (ndim - len(second)) + tuple(second)))
    if any(n != m and 1 not in (n, m) for n, m in pairs):
        raise ValueError(f"the shapes {tuple(first)} and {tuple(second)} do not broadcast")
    return tuple(m if n == 1 else n for n, m in pairs)


def merged_runs(shape, strides):
    """Axes joined into runs [(count, stride), …], as few as there can be, the last one first.

    An axis joins the one behind it if its stride is as long as that whole one. Axes of size 1 are never stepped along.
    """
    runs = []
    for n, stride in zip(reversed(shape), reversed(strides)):
        if runs and n != 1 and stride == runs[-1][0] * runs[-1][1]:
            runs[-1] = (n * runs[-1][0], runs[-1][1])
        elif n != 1:
            runs.append((n, stride))
    return runs


def view_strides(shape, strides, new_shape):
    """The strides with which the same numbers can be seen in a new shape of as many, or None: then only a copy can.

    Each run must be cut into whole axes.
    """
    if 0 in shape:
        return contiguous_strides(new_shape)
    runs, left, step, found = merged_runs(shape, strides), 1, 1, []
    for n in reversed(new_shape):
        if n > 1 and left == 1:  # the last run is used up
            left, step = runs.pop(0)
        if left % n:
            return None
        found.append(step)
        left, step = left // n, step * n
    return tuple(reversed(found))


def full_index(index, ndim):
    """An index with an entry for every axis: `...` and axes without one become slices of all. Raises IndexError."""
    index = index if isinstance(index, tuple) else (index,)
    used = sum(entry is not None and entry is not Ellipsis for entry in index)
    dots = [k for k, entry in enumerate(index) if entry is Ellipsis]
    if used > ndim or len(dots) > 1:
        raise IndexError(f"an index of {used} axes and {len(dots)} times ... into a tensor of {ndim} axes")
    at = dots[0] if dots else len(index)
    return index[:at] + (slice(None),) * (ndim - used) + index[at + 1:]


class ListTensor:
    """Numbers in a table of any count of axes, over a flat list that several tensors may share.

    Number (i, j, …) is storage[offset + i * strides[0] + j * strides[1] + …].
    """

    def __init__(self, storage, shape, strides=None, offset=0):
        self.storage, self.shape, self.offset = storage, tuple(shape), offset
        self.strides = contiguous_strides(shape) if strides is None else tuple(strides)

    def place(self, index):
        """Where in the storage number index = (i, j, …) lies."""
        return self.offset + sum(i * stride for i, stride in zip(index, self.strides))

    def places(self):
        """The places of all numbers in the order of reading: the last index changes fastest."""
        return [self.place(index) for index in itertools.product(*map(range, self.shape))]

    def numbers(self):
        return [self.storage[place] for place in self.places()]

    # Views: the same storage, seen in another way.

    def permute(self, *axes):
        """Axis k of the result is axis axes[k] of this one. Raises IndexError."""
        if sorted(axes) != list(range(len(self.shape))):
            raise IndexError(f"{axes} is not each of the {len(self.shape)} axes once")
        shape, strides = [self.shape[axis] for axis in axes], [self.strides[axis] for axis in axes]
        return ListTensor(self.storage, shape, strides, self.offset)

    @property
    def T(self):
        return self.permute(*reversed(range(len(self.shape))))

    def __getitem__(self, index):
        """t[2], t[-1, 1:3], t[:, ::-1], t[..., None]: a view. Raises IndexError, TypeError, ValueError (step 0)."""
        shape, strides, offset, axis = [], [], self.offset, 0
        for entry in full_index(index, len(self.shape)):
            if entry is None:  # a new axis: nothing to step over
                shape.append(1)
                strides.append(0)
                continue
            n, stride = self.shape[axis], self.strides[axis]
            if isinstance(entry, slice):
                start, stop, step = entry.indices(n)
                shape.append(len(range(start, stop, step)))
                strides.append(step * stride)
            else:
                start = operator.index(entry)
                if not -n <= start < n:
                    raise IndexError(f"index {start} is outside of axis {axis}, which has size {n}")
                start %= n
            offset, axis = offset + start * stride, axis + 1
        return ListTensor(self.storage, shape, strides, offset)

    def expand(self, *shape):
        """Axes of size 1 repeated, and new ones in front, to fit a shape: with stride 0. Raises ValueError."""
        missing = len(shape) - len(self.shape)
        if missing < 0 or any(n not in (1, m) for n, m in zip(self.shape, shape[missing:])):
            raise ValueError(f"shape {self.shape} cannot be repeated to {shape}")
        strides = [stride if n == m else 0 for n, m, stride in zip(self.shape, shape[missing:], self.strides)]
        return ListTensor(self.storage, shape, [0] * missing + strides, self.offset)

    def reshape(self, *shape):
        """The same numbers in the same order: a view where there are strides for it, else a copy. Raises ValueError."""
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(f"shape {shape} has room for another count of numbers than {self.shape}")
        strides = view_strides(self.shape, self.strides, shape)
        if strides is None:
            return ListTensor(self.numbers(), shape)
        return ListTensor(self.storage, shape, strides, self.offset)

    # Arithmetic: a new storage.

    def combine(self, operation, other):
        """operation(a, b) of each pair of numbers; both are first expanded to one shape."""
        shape = broadcast_shape(self.shape, other.shape)
        pairs = zip(self.expand(*shape).numbers(), other.expand(*shape).numbers())
        return ListTensor([operation(a, b) for a, b in pairs], shape)

    def __add__(self, other):
        return self.combine(operator.add, other)

    def __sub__(self, other):
        return self.combine(operator.sub, other)

    def __mul__(self, other):
        return self.combine(operator.mul, other)

    def __truediv__(self, other):
        return self.combine(operator.truediv, other)

    def sum(self, axis):
        """The sums along an axis, which is gone then. In the totals its stride is 0: many numbers meet in one place."""
        axis = range(len(self.shape))[axis]
        kept = [1 if k == axis else n for k, n in enumerate(self.shape)]
        totals = ListTensor([0.0] * math.prod(kept), kept)
        for total, place in zip(totals.expand(*self.shape).places(), self.places()):
            totals.storage[total] += self.storage[place]
        return totals[(slice(None),) * axis + (0,)]

    def __matmul__(self, other):
        """(…, n, k) @ (…, k, m) -> (…, n, m): all products a[i, k] b[k, j], then their sums over k."""
        if self.shape[-1:] != other.shape[-2:-1]:
            raise ValueError(f"{self.shape} @ {other.shape}: rows and columns of different lengths do not multiply")
        return (self[..., None] * other[..., None, :, :]).sum(-2)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Which place of one list each number of a tensor comes from.")
    parser.parse_args(argv)
    t = ListTensor([float(number) for number in range(12)], (3, 4))
    row = t[0]
    for name, view in (("t", t), ("t.T", t.T), ("t[::-1, 1:3]", t[::-1, 1:3]), ("t[0].expand(2, 4)", row.expand(2, 4))):
        assert view.storage is t.storage, "a view should not copy"
        formula = f"{view.offset} {view.strides[0]:+} i {view.strides[1]:+} j"
        print(f"{name:18} shape {view.shape!s:7} number (i, j) at place {formula:14} {view.places()}")
    copy = t.T.reshape(12)
    assert copy.storage is not t.storage, "no strides lead along a transposed matrix"
    print(f"{'t.T.reshape(12)':18} no single stride leads from place to place as above, so it is a copy")
    product = t @ t.T
    assert product.numbers() == [sum(t[i, k].numbers()[0] * t[j, k].numbers()[0] for k in range(4))
                                 for i in range(3) for j in range(3)], "a product of matrices is wrong"
    print(f"{'t @ t.T':18} {product.numbers()}")


if __name__ == "__main__":
    run(main)
