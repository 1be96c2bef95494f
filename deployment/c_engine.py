"""The engine in C, from Python. Copied from chapter inference, without its command line: skip what you know."""

import ctypes
import functools
import os
from collections import deque

import numpy as np

from cli import UserError
from clib import load_library
from engine import Engine

# copied from: inference/engine.py::MASK64
MASK64 = (1 << 64) - 1
# copied from: inference/engine.py::BITS
BITS = {None: 0, "int8": 8, "int4": 4}
# copied from: inference/engine.py::GROUP
GROUP = 32  # columns that share a scale


# copied from: inference/engine.py::Sampling
class Sampling(ctypes.Structure):
    """How one text is to be sampled: csrc/sampling.h."""

    _fields_ = [("temperature", ctypes.c_double), ("top_k", ctypes.c_int64), ("top_p", ctypes.c_double),
                ("min_p", ctypes.c_double), ("repetition_penalty", ctypes.c_double)]

    @classmethod
    def of(cls, params):
        """The same settings as a SamplingParams."""
        top_k = min(params.top_k, 2**31)  # more than any vocabulary: all of it
        return cls(params.temperature, top_k, params.top_p, params.min_p, params.repetition_penalty)


# copied from: inference/engine.py::Options
class Options(ctypes.Structure):
    """csrc/engine.c::EngineOptions."""

    _fields_ = [(name, ctypes.c_int64) for name in "slots length block threads bits group widen path".split()]


# copied from: inference/engine.py::Sizes
class Sizes(ctypes.Structure):
    """csrc/engine.c::EngineSizes; `bytes` are those of the weights that one token's pass reads."""

    _fields_ = [(name, ctypes.c_int64) for name in
                "vocabulary V hidden intermediate layers heads kv_heads head_dim context length slots mark bytes".split()]


# copied from: inference/engine.py::library
@functools.cache
def library():
    """csrc/engine.c, compiled where that is needed, with its functions' types."""
    c = load_library("engine")
    whole, integer, flag, text = ctypes.c_int64, ctypes.c_int32, ctypes.c_bool, ctypes.c_char_p
    pointer, of_sampling = ctypes.c_void_p, ctypes.POINTER(Sampling)
    types = {  # name -> result, arguments; the engine itself is a pointer
        "engine_open": (pointer, [text, ctypes.POINTER(Options), text]),
        "engine_close": (None, [pointer]),
        "engine_paths": (ctypes.c_int, []),
        "engine_sizes": (None, [pointer, ctypes.POINTER(Sizes)]),
        "engine_begin": (flag, [pointer, whole, pointer, whole, of_sampling, ctypes.c_uint64, text]),
        "engine_step": (flag, [pointer, pointer, whole, pointer, text]),
        "engine_end": (None, [pointer, whole]),
        "engine_logits": (flag, [pointer, whole, pointer, whole, flag, flag, pointer, text]),
        "engine_same_step": (None, [pointer, whole, integer, whole]),
        "engine_sample": (flag, [pointer, whole, of_sampling, ctypes.c_uint64, pointer, whole, whole, pointer]),
        "engine_read": (ctypes.c_double, [pointer, whole, ctypes.c_int]),
        "engine_encode": (whole, [pointer, text, whole, flag, pointer, whole, text]),
        "engine_token": (pointer, [pointer, integer, ctypes.POINTER(whole)]),
        "engine_tokens": (whole, [pointer]),
        "engine_is_special": (flag, [pointer, integer]),
        "engine_strips_space": (flag, [pointer]),
    }
    for name, (result, arguments) in types.items():
        function = getattr(c, name)
        function.restype, function.argtypes = result, arguments
    return c


# copied from: inference/engine.py::CTokenizer
class CTokenizer:
    """The tokenizer of an engine: text to ids and back, as tokenizer.py does it."""

    def __init__(self, engine):
        self.engine = engine
        self.vocab_size = library().engine_tokens(engine.handle)

    @functools.cached_property
    def special(self):
        """text -> id of the special tokens."""
        is_special = library().engine_is_special
        ids = [i for i in range(self.vocab_size) if is_special(self.engine.handle, i)]
        return {self.decode_bytes([i]).decode("utf-8", errors="replace"): i for i in ids}

    def encode(self, text, allowed_special=False):
        """The ids of a text; `<|end|>` in it is text, too, unless `allowed_special`."""
        data, error = text.encode("utf-8", errors="replace"), ctypes.create_string_buffer(512)
        room = len(data) + 16
        while True:
            ids = np.empty(room, dtype=np.int32)
            n = library().engine_encode(self.engine.handle, data, len(data), allowed_special, ids.ctypes.data, room,
                                        error)
            if n < 0:
                raise ValueError(error.value.decode("utf-8", errors="replace"))
            if n <= room:
                return ids[:n].tolist()
            room = n

    def decode_bytes(self, ids):
        """The bytes of some ids, joined. They may begin or end in the middle of a character."""
        parts, length = [], ctypes.c_int64()
        for i in ids:
            at = library().engine_token(self.engine.handle, i, length) if 0 <= i < self.vocab_size else None
            if at is None:
                raise ValueError(f"{i} is not a token id; they are 0 to {self.vocab_size - 1}")
            parts.append(ctypes.string_at(at, length.value))
        return b"".join(parts)

    def decode(self, ids):
        """The text of some ids; what is not UTF-8 becomes U+FFFD, the replacement character."""
        text = self.decode_bytes(ids).decode("utf-8", errors="replace")
        return text.removeprefix(" ") if library().engine_strips_space(self.engine.handle) else text


# copied from: inference/engine.py::CEngine
class CEngine(Engine):
    """Generates for many sequences at once, as Engine does, by the engine in C. `add` and `cancel` are Engine's.

    folder: a model folder in the Hugging Face layout, of the Llama family. `slots` is how many sequences run at the
    same time, `max_length` the context of each in tokens (default: the model's), `quantize` None, "int8" or "int4".
    Of a prompt, `block` tokens go through the model together. Raises UserError where the folder cannot be used.
    """

    def __init__(self, folder, slots=8, max_length=None, threads=1, quantize=None, block=128, widen=False, path=-1):
        self.handle = None  # Engine's model and cache are behind it
        options = Options(slots, max_length or 0, block, threads, BITS[quantize], GROUP, widen, path)
        self.error = ctypes.create_string_buffer(512)
        self.handle = library().engine_open(os.fsencode(folder), options, self.error)
        if not self.handle:
            raise UserError(self._error())
        self.sizes = Sizes()
        library().engine_sizes(self.handle, self.sizes)
        self.max_length, self.V = self.sizes.length, self.sizes.V
        self.paths = library().engine_paths()  # bit p: path p (0 plain C, 1 AVX2, 2 AVX-512) runs here
        self.tokenizer = CTokenizer(self)
        self.running, self.waiting = [], deque()
        self.slots = {}  # id of a running sequence -> its slot; unlike a batch of torch's, slots may have gaps
        self.free = list(range(slots))

    def __del__(self):
        self.close()

    def close(self):
        """Gives the memory back; the engine cannot be used any more."""
        if self.handle:
            library().engine_close(self.handle)
            self.handle = None

    def _error(self):
        return self.error.value.decode("utf-8", errors="replace")

    def prompt_ids(self, prompt):
        """The ids a model is given: the mark that its texts begin with, where it has one, then the prompt's own."""
        return [self.sizes.mark] * (self.sizes.mark >= 0) + self.tokenizer.encode(prompt)

    def step(self):
        """One token for every sequence: [(sequence, piece of text)], the piece sometimes empty.

        Those that run and those that are new, with their whole prompts, go through the model together.
        """
        while self.waiting and self.free:
            self._enter(self.waiting.popleft())
        if not self.running:
            return []
        slots = np.array([self.slots[id(s)] for s in self.running], dtype=np.int64)
        tokens = np.empty(len(slots), dtype=np.int32)
        if not library().engine_step(self.handle, slots.ctypes.data, len(slots), tokens.ctypes.data, self.error):
            raise ValueError(self._error())
        pieces = [(sequence, sequence.accept(int(token), full=len(sequence.ids) >= self.max_length))
                  for sequence, token in zip(self.running, tokens)]
        for sequence in [s for s in self.running if s.finish_reason]:
            self._leave(sequence)
        return pieces

    def _enter(self, sequence):
        slot, ids = self.free.pop(), np.array(sequence.ids, dtype=np.int32)
        if not library().engine_begin(self.handle, slot, ids.ctypes.data, len(ids), Sampling.of(sequence.params),
                                      sequence.seed & MASK64, self.error):
            self.free.append(slot)
            raise ValueError(self._error())
        self.running.append(sequence)
        self.slots[id(sequence)] = slot

    def _leave(self, sequence):
        """Frees its slot."""
        self.running.remove(sequence)
        slot = self.slots.pop(id(sequence))
        library().engine_end(self.handle, slot)
        self.free.append(slot)

    def logits(self, ids, slot=0, fresh=True, last=False):
        """The logits (T, V of the model) of what may follow each of the ids, or with `last` (1, V) of the last one.

        `fresh` empties the slot first; else the ids follow those that it holds. For tests and measurements.
        """
        ids = np.array(ids, dtype=np.int32)
        logits = np.empty((1 if last else len(ids), self.sizes.vocabulary), dtype=np.float32)
        if not library().engine_logits(self.handle, slot, ids.ctypes.data, len(ids), fresh, last, logits.ctypes.data,
                                       self.error):
            raise ValueError(self._error())
        return logits
