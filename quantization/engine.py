"""The engine in C, for measurements: a folder's logits and the time of a token.

New since the last chapter: nothing; inference/engine.py tells stories with it. Here are only the calls that the
table needs (bench.py). V is the vocabulary, T a number of tokens.
"""

import ctypes
import functools
import os

import numpy as np

from cli import UserError
from clib import load_library


# copied from: inference/engine.py::Options
class Options(ctypes.Structure):
    """csrc/engine.c::EngineOptions."""

    _fields_ = [(name, ctypes.c_int64) for name in "slots length block threads bits group widen path".split()]


# copied from: inference/engine.py::Sizes
class Sizes(ctypes.Structure):
    """csrc/engine.c::EngineSizes; `bytes` are those of the weights that one token's pass reads."""

    _fields_ = [(name, ctypes.c_int64) for name in
                "vocabulary V hidden intermediate layers heads kv_heads head_dim context length slots mark bytes".split()]


# adapted from: inference/engine.py::library (the calls that measure)
@functools.cache
def library():
    """csrc/engine.c, compiled where that is needed, with its functions' types."""
    c = load_library("engine")
    whole, integer, flag, text = ctypes.c_int64, ctypes.c_int32, ctypes.c_bool, ctypes.c_char_p
    pointer = ctypes.c_void_p
    types = {  # name -> result, arguments; the engine itself is a pointer
        "engine_open": (pointer, [text, ctypes.POINTER(Options), text]),
        "engine_close": (None, [pointer]),
        "engine_sizes": (None, [pointer, ctypes.POINTER(Sizes)]),
        "engine_logits": (flag, [pointer, whole, pointer, whole, flag, flag, pointer, text]),
        "engine_same_step": (None, [pointer, whole, integer, whole]),
    }
    for name, (result, arguments) in types.items():
        function = getattr(c, name)
        function.restype, function.argtypes = result, arguments
    return c


# adapted from: inference/engine.py::CEngine (one slot, and nothing is told)
class CModel:
    """A model folder, opened by the engine in C. UserError where it cannot be used, or where there is no compiler."""

    def __init__(self, folder, threads=1, block=128):
        self.handle, self.threads = None, threads
        options, self.error = Options(1, 0, block, threads, 0, 32, False, -1), ctypes.create_string_buffer(512)
        self.handle = library().engine_open(os.fsencode(folder), options, self.error)
        if not self.handle:
            raise UserError(self.error.value.decode("utf-8", errors="replace"))
        self.sizes = Sizes()
        library().engine_sizes(self.handle, self.sizes)

    def __del__(self):
        if self.handle:
            library().engine_close(self.handle)

    def logits(self, ids):
        """The logits (T, V) of what may follow each of the ids, which begin a text."""
        ids = np.array(ids, dtype=np.int32)
        logits = np.empty((len(ids), self.sizes.vocabulary), dtype=np.float32)
        if not library().engine_logits(self.handle, 0, ids.ctypes.data, len(ids), True, False, logits.ctypes.data,
                                       self.error):
            raise ValueError(self.error.value.decode("utf-8", errors="replace"))
        return logits

    def step(self, length):
        """One more token behind `length` others; the next call does the same work again."""
        library().engine_same_step(self.handle, 1, 0, length)
