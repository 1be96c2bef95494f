"""The tensor of csrc/tensor.c in Python: operators, indexing, and NumPy arrays that share its memory.

New since strided.py: the numbers lie in C memory, as float32, and the loops run there. A CTensor is a pointer to C's
struct. When Python drops the last reference to it, C is told; when the last tensor with a storage has gone, C frees
the numbers. Left out on purpose: rows by their numbers, t[[0, 2]], and masks (these copy; micrograd/tensorgrad.py has
them), types other than float32, and changing a tensor's shape in place.

    from ctensor import CTensor
    t = CTensor.arange(12).reshape(3, 4)
    t[1:, ::-1].T @ t[1:] + 1

Paper: van der Walt, Colbert and Varoquaux, "The NumPy Array: A Structure for Efficient Numerical Computation" (2011).
"""

import ctypes
import functools
import operator

import numpy as np

from clib import load_library
from strided import full_index

AXES, RUNGS = 8, 3  # of csrc/tensor.c
NOT_GIVEN, LARGEST = -(2**63), 2**63 - 1
ELEMENTS = "copy negative exp log tanh sqrt add subtract multiply divide power larger".split()  # in C's order
REDUCTIONS = ["sum", "maximum"]
NO_MEMORY, BAD_AXIS, BAD_INDEX = 1, 5, 6
EXCEPTIONS = {NO_MEMORY: MemoryError, BAD_AXIS: IndexError, BAD_INDEX: IndexError}


class CStorage(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_int64), ("references", ctypes.c_int64),
                ("borrowed", ctypes.c_int32)]


class CStruct(ctypes.Structure):
    _fields_ = [("storage", ctypes.POINTER(CStorage)), ("offset", ctypes.c_int64), ("ndim", ctypes.c_int64),
                ("shape", ctypes.c_int64 * AXES), ("strides", ctypes.c_int64 * AXES)]


@functools.cache
def library():
    """csrc/build/tensor.so with the types of its functions. Raises UserError where it cannot be built."""
    loaded = load_library("tensor")
    tensor, whole, many, choice = ctypes.POINTER(CStruct), ctypes.c_int64, ctypes.POINTER(ctypes.c_int64), ctypes.c_int
    makers = {
        "new": [whole, many], "borrow": [ctypes.c_void_p, whole, whole, whole, many, many], "permute": [tensor, many],
        "slice": [tensor, whole, whole, whole, whole], "select": [tensor, whole, whole], "insert_axis": [tensor, whole],
        "expand": [tensor, whole, many], "view": [tensor, whole, many], "reshape": [tensor, whole, many],
        "copy": [tensor], "contiguous": [tensor], "elements": [choice, tensor, tensor, choice],
        "reduce": [choice, tensor, whole, many, choice], "matmul": [tensor, tensor],
    }
    others = {
        "free": (None, [tensor]), "message": (ctypes.c_char_p, [choice]), "is_contiguous": (ctypes.c_bool, [tensor]),
        "shares_storage": (ctypes.c_bool, [tensor, tensor]), "fill": (choice, [tensor, ctypes.c_float]),
        "assign": (choice, [tensor, tensor]), "get": (choice, [tensor, many, ctypes.POINTER(ctypes.c_float)]),
    }
    others |= {name: (choice, [ctypes.POINTER(tensor), *types]) for name, types in makers.items()}
    for name, (result, types) in others.items():
        function = getattr(loaded, f"tensor_{name}")
        function.restype, function.argtypes = result, types
    return loaded


def int64s(numbers):
    """Whole numbers as an array for C. Raises TypeError, OverflowError: ctypes would cut off what is beyond 64 bits."""
    numbers = [operator.index(number) for number in numbers]
    if any(not NOT_GIVEN <= number <= LARGEST for number in numbers):
        raise OverflowError(f"{max(numbers, key=abs)} does not fit 64 bits")
    return (ctypes.c_int64 * len(numbers))(*numbers)


def sizes(shape):
    """(3, 4) or ((3, 4),) -> count and array, as C takes a shape."""
    shape = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    return len(shape), int64s(shape)


def complain(error, what):
    """Raises what C's error means: ValueError, IndexError or MemoryError."""
    if error:
        raise EXCEPTIONS.get(error, ValueError)(f"{what}: {library().tensor_message(error).decode()}")


def made(name, *arguments):
    """The tensor that the C function tensor_<name> makes. Raises what it complains of."""
    tensors = [argument for argument in arguments if isinstance(argument, CTensor)]
    pointer = ctypes.POINTER(CStruct)()
    plain = [argument.pointer if isinstance(argument, CTensor) else argument for argument in arguments]
    error = getattr(library(), f"tensor_{name}")(ctypes.byref(pointer), *plain)
    complain(error, f"{name} of {' and '.join(str(t.shape) for t in tensors) or plain}" if error else "")
    result = object.__new__(CTensor)
    result.pointer, result.free, result.keep = pointer, library().tensor_free, None
    for t in tensors:  # a view of borrowed memory keeps its owner alive
        if ctypes.addressof(t.c.storage.contents) == ctypes.addressof(result.c.storage.contents):
            result.keep = t.keep
    return result


def wrap(data):
    """A number becomes a tensor without axes, an array (or lists) one that shares its memory if it can."""
    if isinstance(data, CTensor):
        return data
    return CTensor.from_numpy(np.asarray(data))


def elements(operation, a, b=None, rung=RUNGS):
    """An operation of ELEMENTS on every number of a, or of a and b, which broadcast."""
    return made("elements", ELEMENTS.index(operation), a, b, rung)


def reduce(operation, t, axis=None, keepdims=False, rung=RUNGS):
    """The sum or the maximum over an axis, several in a tuple, or all (None). keepdims: they stay, with size 1."""
    axes = range(t.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    result = made("reduce", REDUCTIONS.index(operation), t, len(axes), int64s(axes), rung)
    for axis in () if keepdims else sorted((axis % t.ndim for axis in axes), reverse=True):
        result = made("select", result, axis, 0)
    return result


class CTensor:
    """float32 numbers in memory of C, seen through shape, strides and offset.

    pointer: to C's struct. keep: whose memory it is, where it was borrowed.
    """

    __slots__ = ("pointer", "free", "keep", "__weakref__")
    __array_ufunc__ = None  # array + tensor: NumPy leaves it to __radd__

    def __new__(cls, data):
        """A tensor of its own with the numbers of lists in lists, or of an array."""
        return made("copy", wrap(data))

    def __del__(self):
        if getattr(self, "pointer", None):
            self.free(self.pointer)

    @staticmethod
    def zeros(*shape):
        return made("new", *sizes(shape))

    @staticmethod
    def arange(n):
        """0, 1, …, n - 1."""
        return CTensor(np.arange(n, dtype=np.float32))

    @staticmethod
    def from_numpy(array):
        """The array's own memory, without a copy; a copy where it is not float32, or must not be written."""
        array = np.asarray(array)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"a tensor holds numbers, not {array.dtype}")
        steps = [stride if n > 1 else 0 for n, stride in zip(array.shape, array.strides)]  # in bytes
        usable = array.dtype == np.float32 and array.flags.writeable and array.flags.aligned
        if not usable or any(stride % 4 for stride in steps):
            array = array.astype(np.float32, order="C")
            steps = [stride if n > 1 else 0 for n, stride in zip(array.shape, array.strides)]
        before = -sum(min((n - 1) * stride, 0) for n, stride in zip(array.shape, steps))  # bytes before the first one
        behind = sum(max((n - 1) * stride, 0) for n, stride in zip(array.shape, steps))
        size = (before + behind) // 4 + 1 if array.size else 0
        address, strides = array.__array_interface__["data"][0], int64s(stride // 4 for stride in steps)
        t = made("borrow", address - before, size, before // 4, array.ndim, int64s(array.shape), strides)
        t.keep = array
        return t

    # What it looks like.

    @property
    def c(self):
        return self.pointer.contents

    @property
    def ndim(self):
        return self.c.ndim

    @property
    def shape(self):
        return tuple(self.c.shape[:self.ndim])

    @property
    def strides(self):
        """In numbers, as torch has them; NumPy counts bytes."""
        return tuple(self.c.strides[:self.ndim])

    @property
    def offset(self):
        return self.c.offset

    @property
    def references(self):
        """How many tensors share the storage, this one counted."""
        return self.c.storage.contents.references

    def is_contiguous(self):
        return library().tensor_is_contiguous(self.pointer)

    def shares_storage(self, other):
        """Whether writing to the storage of one could change the other's."""
        return library().tensor_shares_storage(self.pointer, other.pointer)

    def __repr__(self):
        return f"CTensor(shape={self.shape}, strides={self.strides}, offset={self.offset},\n{self.numpy()})"

    # Views.

    def permute(self, *axes):
        """Axis k of the result is axis axes[k] of this one."""
        if len(axes) != self.ndim:
            raise IndexError(f"{axes} is not each of the {self.ndim} axes once")
        return made("permute", self, int64s(axes))

    @property
    def T(self):
        return self.permute(*reversed(range(self.ndim)))

    def transpose(self, first, second):
        """The two axes exchanged."""
        axes = list(range(self.ndim))
        axes[first], axes[second] = axes[second], axes[first]
        return self.permute(*axes)

    def __getitem__(self, index):
        """t[2], t[-1, 1:3], t[:, ::-1], t[..., None]: a view. Raises IndexError, TypeError, ValueError (step 0)."""
        view, axis = self, 0
        for entry in full_index(index, self.ndim):
            if entry is None:
                view, axis = made("insert_axis", view, axis), axis + 1
            elif isinstance(entry, slice):
                ends = (entry.start, entry.stop, entry.step)
                ends = (NOT_GIVEN if end is None else max(-LARGEST, min(operator.index(end), LARGEST)) for end in ends)
                view, axis = made("slice", view, axis, *ends), axis + 1
            elif isinstance(entry, bool) or not hasattr(entry, "__index__"):
                raise TypeError(f"an index is whole numbers, slices, ... and None, not {entry!r}")
            else:
                view = made("select", view, axis, *int64s([entry]))
        return view

    def expand(self, *shape):
        """Axes of size 1 repeated, and new ones in front, to fit a shape: their stride is 0."""
        return made("expand", self, *sizes(shape))

    def view(self, *shape):
        """The same numbers in another shape, one size may be -1; ValueError where only a copy can have it."""
        return made("view", self, *sizes(shape))

    def reshape(self, *shape):
        """A view where there is one, else a copy."""
        return made("reshape", self, *sizes(shape))

    def contiguous(self):
        """The same memory if the numbers lie there in the order of reading, else a copy."""
        return made("contiguous", self)

    def copy(self):
        return made("copy", self)

    # NumPy reads and writes the same memory, and keeps this tensor alive for as long as it does.

    @property
    def __array_interface__(self):
        """NumPy's protocol: shape, type, address and strides of somebody's memory."""
        offset = self.offset if 0 not in self.shape else 0
        repeated = any(n > 1 and stride == 0 for n, stride in zip(self.shape, self.strides))
        return {"version": 3, "typestr": np.dtype(np.float32).str, "shape": self.shape,
                "data": (self.c.storage.contents.data + 4 * offset, repeated),  # what is repeated is read only
                "strides": tuple(4 * stride for stride in self.strides)}

    def numpy(self):
        return np.asarray(self)

    def tolist(self):
        return self.numpy().tolist()

    def item(self, *index):
        """The number at an index, or the only one."""
        if len(index) != self.ndim and (index or self.numpy().size != 1):
            raise ValueError(f"item{index} does not name one number of shape {self.shape}")
        value = ctypes.c_float()
        complain(library().tensor_get(self.pointer, int64s(index or (0,) * self.ndim), value), f"item{index}")
        return value.value

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("a tensor without axes has no length")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    # Arithmetic, all in C, into a storage of its own.

    def fill(self, number):
        """Writes one number everywhere, for every tensor that shares these places."""
        complain(library().tensor_fill(self.pointer, float(number)), f"fill of shape {self.shape}")

    def __setitem__(self, index, value):
        target, source = self[index], wrap(value)
        complain(library().tensor_assign(target.pointer, source.pointer), f"shape {source.shape} into {target.shape}")

    def sum(self, axis=None, keepdims=False):
        return reduce("sum", self, axis, keepdims)

    def max(self, axis=None, keepdims=False):
        return reduce("maximum", self, axis, keepdims)

    def __matmul__(self, other):
        """(…, n, k) @ (…, k, m) -> (…, n, m); the axes in front broadcast."""
        return made("matmul", self, wrap(other))

    def __rmatmul__(self, other):
        return wrap(other) @ self

    def __neg__(self):
        return elements("negative", self)

    def maximum(self, other):
        return elements("larger", self, wrap(other))


def binary(operation):
    """The two methods of an operator, for tensor + other and other + tensor."""
    return (lambda self, other: elements(operation, self, wrap(other)),
            lambda self, other: elements(operation, wrap(other), self))


CTensor.__add__, CTensor.__radd__ = binary("add")
CTensor.__sub__, CTensor.__rsub__ = binary("subtract")
CTensor.__mul__, CTensor.__rmul__ = binary("multiply")
CTensor.__truediv__, CTensor.__rtruediv__ = binary("divide")
CTensor.__pow__, CTensor.__rpow__ = binary("power")
for function in ("exp", "log", "tanh", "sqrt"):
    setattr(CTensor, function, functools.partialmethod(lambda self, name: elements(name, self), function))
