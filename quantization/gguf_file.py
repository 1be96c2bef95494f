"""GGUF: one file that holds a model whole, as llama.cpp and what is built on it read it.

New since the last chapter: a binary format written and read byte by byte. It begins with the four letters
GGUF, a version and two counts; then come the metadata (a name, a type, a value each), then a line for
each tensor (name, shape, type, place), then zeros up to the next multiple of 32, then the tensors'
bytes, each at a multiple of 32 again so that the file can be mapped and used where it lies. All numbers are
little-endian. Left out on purpose: big-endian files, versions 1 and 2, and the thirty other block types.

Two of the types are quantized, both in blocks of 32 numbers of a row with a float16 scale of their own:
Q8_0 (34 bytes: 8.5 bits a number) and Q4_0 (18 bytes: 4.5 bits). N is the length of a row.

    python quantization/gguf_file.py                    a file of two tensors, byte by byte
    python quantization/gguf_file.py out/s.gguf         what is in a file

Source: the GGUF specification of the ggml project (version 3, 2023).
"""

import argparse
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atomic import write_atomic
from cli import UserError, run

VERSION, ALIGNMENT, BLOCK = 3, 32, 32
SCALARS = {  # name -> (number in the file, how struct writes it)
    "uint8": (0, "B"), "int8": (1, "b"), "uint16": (2, "H"), "int16": (3, "h"), "uint32": (4, "I"), "int32": (5, "i"),
    "float32": (6, "f"), "bool": (7, "?"), "uint64": (10, "Q"), "int64": (11, "q"), "float64": (12, "d"),
}  # fmt: skip
STRING, ARRAY = 8, 9
TYPES = {  # a tensor's type -> (number in the file, numbers in a block, bytes of a block)
    "float32": (0, 1, 4), "float16": (1, 1, 2), "q4_0": (2, BLOCK, 18), "q8_0": (8, BLOCK, 34),
}  # fmt: skip


@dataclass
class GGUFTensor:
    """A tensor as the file has it: its type, its shape (rows first, as in NumPy), its bytes."""

    type: str
    shape: tuple
    data: np.ndarray  # uint8, one-dimensional

    def floats(self):
        """The numbers it stands for: float32, in its shape."""
        if self.type in ("float32", "float16"):
            return self.data.view(self.type).astype(np.float32).reshape(self.shape)
        return {"q8_0": unpack_q8_0, "q4_0": unpack_q4_0}[self.type](self.data).reshape(self.shape)


def encode_tensor(kind, x):
    """x (…, N) of floats as a GGUFTensor of this type. Raises ValueError for rows that are no whole blocks."""
    x = np.ascontiguousarray(x, dtype=np.float32)
    if x.shape[-1] % TYPES[kind][1]:
        raise ValueError(f"rows of {x.shape[-1]} numbers are no whole blocks of {BLOCK}")
    if not np.isfinite(x).all() or (kind != "float32" and np.abs(x).max(initial=0) > 65504):
        raise ValueError(f"it holds a number that {kind} cannot say")
    if kind in ("float32", "float16"):
        return GGUFTensor(kind, x.shape, x.astype(kind).reshape(-1).view(np.uint8))
    round_blocks, pack = {"q8_0": (round_q8_0, pack_q8_0), "q4_0": (round_q4_0, pack_q4_0)}[kind]
    return GGUFTensor(kind, x.shape, pack(*round_blocks(x.reshape(-1, BLOCK))))


def reciprocal(scale):
    """1 / scale, and 0 where a block is all zeros (or so near that float32 has no reciprocal)."""
    return np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=np.abs(scale) > 1e-37)


def round_q8_0(x):
    """Blocks (n, 32) -> codes int8 (n, 32) from -127 to 127, scales (n, 1): the largest number becomes 127."""
    scale = np.abs(x).max(axis=1, keepdims=True) / np.float32(127)
    x = x * reciprocal(scale)
    whole = np.floor(np.abs(x))
    whole += np.abs(x) - whole >= 0.5  # halves go away from zero, as C's roundf does it
    return np.copysign(whole, x).astype(np.int8), scale


def round_q4_0(x):
    """Blocks (n, 32) -> codes int8 (n, 32) from -8 to 7, scales (n, 1): the largest number, whatever its sign, is -8.

    Sixteen codes are not symmetric: there is a -8 and no 8. So a scale may be negative here.
    """
    largest = np.take_along_axis(x, np.abs(x).argmax(axis=1)[:, None], axis=1)
    scale = largest / np.float32(-8)
    codes = np.floor(x * reciprocal(scale) + np.float32(8.5))
    return (np.clip(codes, 0, 15) - 8).astype(np.int8), scale


def pack_q8_0(codes, scales):
    """Codes int8 (n, 32) and scales (n, 1) -> the bytes, uint8 (n 34,): a float16, then 32 int8, again and again."""
    scales = scales.astype(np.float16).view(np.uint8)  # (n, 2)
    return np.concatenate([scales, codes.view(np.uint8)], axis=1).reshape(-1)


def pack_q4_0(codes, scales):
    """Codes int8 (n, 32) from -8 to 7 -> uint8 (n 18,): byte j has code j in its low four bits, code j + 16 above."""
    stored = (codes + 8).astype(np.uint8)
    both = stored[:, :16] | stored[:, 16:] << 4  # (n, 16)
    return np.concatenate([scales.astype(np.float16).view(np.uint8), both], axis=1).reshape(-1)


def unpack_q8_0(data):
    """The numbers of Q8_0 bytes: float32 (n, 32)."""
    blocks = data.reshape(-1, 34)
    return blocks[:, :2].copy().view(np.float16).astype(np.float32) * blocks[:, 2:].view(np.int8)


def unpack_q4_0(data):
    """The numbers of Q4_0 bytes: float32 (n, 32)."""
    blocks = data.reshape(-1, 18)
    low, high = blocks[:, 2:] & 15, blocks[:, 2:] >> 4
    codes = np.concatenate([low, high], axis=1).astype(np.float32) - 8
    return blocks[:, :2].copy().view(np.float16).astype(np.float32) * codes


def string(text):
    """A string in the file: its length in bytes, then UTF-8."""
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def value(kind, content):
    """A metadata value: the number of its type, then itself. An array's type is written "[uint32]"."""
    if kind == "string":
        return struct.pack("<I", STRING) + string(content)
    if kind in SCALARS:
        number, letter = SCALARS[kind]
        return struct.pack(f"<I{letter}", number, content)
    kind = kind[1:-1]
    head = struct.pack("<IIQ", ARRAY, STRING if kind == "string" else SCALARS[kind][0], len(content))
    if kind == "string":
        return head + b"".join(map(string, content))
    return head + struct.pack(f"<{len(content)}{SCALARS[kind][1]}", *content)


def padding(size):
    """The zeros that lead from `size` to the next multiple of ALIGNMENT."""
    return bytes(-size % ALIGNMENT)


def to_bytes(metadata, tensors):
    """A GGUF file. metadata: name -> (type, value); tensors: name -> GGUFTensor. See `write`."""
    parts = [b"GGUF", struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    parts += [string(name) + value(*typed) for name, typed in metadata.items()]
    offset = 0  # counted from where the first tensor's bytes lie
    for name, tensor in tensors.items():
        columns_first = tensor.shape[::-1]
        parts.append(string(name) + struct.pack(f"<I{len(tensor.shape)}QIQ", len(tensor.shape), *columns_first,
                                                TYPES[tensor.type][0], offset))
        offset += len(tensor.data) + len(padding(len(tensor.data)))
    parts.append(padding(sum(map(len, parts))))
    for tensor in tensors.values():
        parts += [tensor.data.tobytes(), padding(len(tensor.data))]
    return b"".join(parts)


def write(path, metadata, tensors):
    """Writes a GGUF file, atomically. metadata: name -> (type, value), such as ("uint32", 5), ("[string]", […])."""
    try:
        write_atomic(path, to_bytes(metadata, tensors))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


class Reader:
    """Takes numbers and strings from bytes, one after another; ValueError where the file ends too early."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        if size > len(self.data) - self.at:
            raise ValueError(f"it ends early: {size:,} bytes are wanted at byte {self.at:,} of {len(self.data):,}")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, letter):
        return struct.unpack(f"<{letter}", self.take(struct.calcsize(f"<{letter}")))[0]

    def string(self):
        return bytes(self.take(self.number("Q"))).decode("utf-8")

    def value(self):
        """(type, value) of a metadata entry."""
        names = {number: (name, letter) for name, (number, letter) in SCALARS.items()}
        number = self.number("I")
        if number == STRING:
            return "string", self.string()
        if number in names:
            name, letter = names[number]
            return name, self.number(letter)
        if number != ARRAY:
            raise ValueError(f"there is no value type {number}")
        inner, count = self.number("I"), self.number("Q")
        if inner == STRING:
            if count > len(self.data) // 8:
                raise ValueError(f"an array of {count:,} strings is longer than the file")
            return "[string]", [self.string() for _ in range(count)]
        if inner not in names:
            raise ValueError(f"there is no array of value type {inner} here")
        name, letter = names[inner]
        size = struct.calcsize(f"<{letter}")
        return f"[{name}]", list(struct.unpack(f"<{count}{letter}", self.take(count * size)))

    def tensor_info(self):
        """(name, type, shape, offset) of a tensor."""
        name, dimensions = self.string(), self.number("I")
        if not 1 <= dimensions <= 4:
            raise ValueError(f"tensor {name!r} has {dimensions} dimensions; 1 to 4 are possible")
        shape = tuple(self.number("Q") for _ in range(dimensions))[::-1]
        number, offset = self.number("I"), self.number("Q")
        kind = next((kind for kind, facts in TYPES.items() if facts[0] == number), None)
        if kind is None:
            raise ValueError(f"tensor {name!r} has type {number}; this program knows {', '.join(TYPES)}")
        if shape[-1] % TYPES[kind][1]:
            raise ValueError(f"tensor {name!r} has rows of {shape[-1]} numbers, which are no whole blocks")
        return name, kind, shape, offset


def from_bytes(data):
    """(metadata, tensors) of a GGUF file's bytes, as `to_bytes` takes them. Raises ValueError where it is damaged."""
    reader = Reader(data)
    if bytes(data[:4]) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    reader.take(4)
    version, n_tensors, n_metadata = reader.number("I"), reader.number("Q"), reader.number("Q")
    if version != VERSION:
        raise ValueError(f"it has version {version}; this program reads version {VERSION}")
    metadata, tensors = {}, {}
    for _ in range(n_metadata):
        name = reader.string()
        if name in metadata:
            raise ValueError(f"{name!r} is there twice")
        metadata[name] = reader.value()
    kind, alignment = metadata.get("general.alignment", ("uint32", ALIGNMENT))
    if kind != "uint32" or alignment < 1 or alignment & alignment - 1:
        raise ValueError(f"an alignment of {alignment} ({kind}) is not possible")
    infos = [reader.tensor_info() for _ in range(n_tensors)]
    start = reader.at + -reader.at % alignment
    for name, kind, shape, offset in infos:
        _, numbers, size = TYPES[kind]
        count = 1
        for n in shape:  # Python's integers do not overflow
            count *= n
        end = start + offset + count // numbers * size
        if offset % alignment or end > len(data):
            raise ValueError(f"tensor {name!r} should lie at {start + offset:,} to {end:,} of {len(data):,} bytes")
        if name in tensors:
            raise ValueError(f"tensor {name!r} is there twice")
        tensors[name] = GGUFTensor(kind, shape, data[start + offset : end])
    return metadata, tensors


def read(path):
    """(metadata, tensors) of a GGUF file, its tensors mapped. UserError names the file and what is wrong with it."""
    try:
        if Path(path).stat().st_size == 0:
            raise ValueError("it is empty")
        return from_bytes(np.memmap(path, np.uint8, "r"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is damaged or no GGUF file of ours: {error}") from None


def show_file(path):
    """Prints what is in a file: metadata (long arrays shortened) and tensors."""
    metadata, tensors = read(path)
    for name, (kind, content) in metadata.items():
        content = f"{len(content):,} of them: {content[:3]} …" if isinstance(content, list) else repr(content)
        print(f"{name:40} {kind:10} {content}")
    for name, tensor in tensors.items():
        print(f"{name:40} {tensor.type:10} {' x '.join(map(str, tensor.shape)):12} {len(tensor.data):12,} bytes")
    print(f"{path}: {len(metadata)} entries, {len(tensors)} tensors, {Path(path).stat().st_size:,} bytes")


def show_small():
    """A file of one entry and two tensors, with what each of its parts means."""
    x = np.linspace(-1, 1, BLOCK, dtype=np.float32)[None]  # one block
    entry = {"general.architecture": ("string", "llama")}
    tensors = {"a": encode_tensor("float32", x[0, :2]), "b": encode_tensor("q4_0", x)}
    data = to_bytes(entry, tensors)
    steps = [(4, "the letters GGUF"), (4, "version"), (8, "number of tensors"), (8, "number of entries"),
             (8, "bytes of the name"), (20, "general.architecture"), (4, "type 8: a string"), (8, "its bytes"), (5, "llama"),
             (8, "bytes of the name"), (1, "a"), (4, "dimensions"), (8, "numbers"), (4, "type 0: float32"), (8, "offset"),
             (8, "bytes of the name"), (1, "b"), (4, "dimensions"), (8, "columns"), (8, "rows"), (4, "type 2: Q4_0"),
             (8, "offset"), (17, "zeros up to 160"), (8, "a: -1 and -0.9355"), (24, "zeros up to 192"),
             (2, "b: the scale 0.125"), (16, "32 codes of four bits"), (14, "zeros up to 224")]  # fmt: skip
    at = 0
    for size, meaning in steps:
        shown = data[at : at + size].hex(" ") if size <= 8 else data[at : at + 7].hex(" ") + " …"
        print(f"{at:4}  {shown:24} {meaning}")
        at += size
    assert at == len(data)
    metadata, again = from_bytes(np.frombuffer(data, np.uint8))
    assert metadata == entry and again["a"].floats().tolist() == x[0, :2].tolist()
    error = np.abs(again["b"].floats() - x).max()
    print(f"read back: {metadata}; a is the same, b is off by at most {error:.4f}: +1 would be code 8, which is not there")
    assert error == 0.125


def main(argv=None):
    parser = argparse.ArgumentParser(description="What is in a GGUF file; with no file, a small one byte by byte.")
    parser.add_argument("file", nargs="?", help="a .gguf file")
    args = parser.parse_args(argv)
    show_file(args.file) if args.file else show_small()


if __name__ == "__main__":
    run(main)
