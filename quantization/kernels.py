"""How fast int8 and int4 weights are multiplied: the ladder of csrc/quant.h on all matrices of a language model.

New since the last chapter: the kernels themselves. One token needs every weight once, so bytes are what counts, and the
limit is a mere reading of the same bytes; a prompt of 128 tokens uses each weight 128 times, and multiplications are
what counts. Every rung runs on the weight matrices of a Llama with tied embeddings, filled with numbers that mean
nothing (the time does not depend on them).
Left out on purpose: attention and norms; `python inference/bench.py` times whole models.

    python quantization/kernels.py                  fifteen seconds
    python quantization/kernels.py --size 15M       a small model: what fits the cache is read faster
    python quantization/kernels.py --threads 2

Writes nothing.
"""

import argparse
import ctypes

from cli import positive_int, run
from clib import load_library

F16 = 1  # the type of the scales: Type in csrc/safetensors.h
SIZES = {"15M": (6, 288, 768, 32000), "42M": (8, 512, 1376, 32000), "110M": (12, 768, 2048, 32000)}
KINDS = {"float32": 0, "float16": 1, "bfloat16": 2, "int8": 3, "int4": 4}  # LinearKind in csrc/linear.h
RUNGS = {1: "the formula", 2: "blocks, plain C", 3: "AVX2", 4: "AVX-512 VNNI"}


class MatrixSizes(ctypes.Structure):
    """Layers, width C, hidden width F, vocabulary V."""

    _fields_ = [(name, ctypes.c_int64) for name in ("layers", "width", "hidden", "vocabulary")]


def load_kernels():
    library = load_library("quant")
    integer, long, pointer = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p
    library.quant_rate.argtypes = [integer, integer, long, MatrixSizes, integer, integer, long, long, integer,
                                   pointer, pointer]  # fmt: skip
    library.quant_rate.restype = ctypes.c_bool
    return library


def rate(library, kind, sizes, tokens, rung, threads=1, repeats=3, group=32, last=1):
    """(seconds, seconds of reading, bytes, multiplications) of one pass, the shortest of `repeats`.

    tokens: how many go through the layers; last: how many of them get scores for the next one (of a prompt, one).
    Raises MemoryError.
    """
    facts, sink = (ctypes.c_double * 4)(), ctypes.c_uint64()
    if not library.quant_rate(KINDS[kind], F16, group, MatrixSizes(*sizes), rung, threads, tokens, last, repeats, facts,
                              ctypes.byref(sink)):  # fmt: skip
        raise MemoryError("not enough memory for the matrices")
    return tuple(facts)


def rate_line(kind, rung, tokens, facts):
    seconds, reading, size, products = facts
    what = f"{size / seconds / 1e9:6.1f} GB/s" if tokens == 1 else f"{2 * products / seconds / 1e9:6.0f} GOP/s"
    limit = f"{1 / reading:8,.0f}" if tokens == 1 else ""
    name = RUNGS[rung].removesuffix(" VNNI") if kind == "float32" else RUNGS[rung]
    return f"{kind:8}  {name:15}  {tokens:6}  {tokens / seconds:8,.0f}  {what}  {limit}"


def main(argv=None):
    parser = argparse.ArgumentParser(description="Times int8 and int4 products of all weight matrices of a model.")
    parser.add_argument("--size", choices=SIZES, default="110M", help="the model's number of parameters (110M)")
    parser.add_argument("--threads", type=positive_int, default=1, help="threads of rungs 2 to 4 (1)")
    parser.add_argument("--repeats", type=positive_int, default=5, help="the shortest of so many is told (5)")
    args = parser.parse_args(argv)
    library, sizes = load_kernels(), SIZES[args.size]
    layers, width, hidden, vocabulary = sizes
    print(f"{args.size} parameters: {layers} layers, C = {width}, F = {hidden:,}, V = {vocabulary:,}; "
          f"threads: {args.threads}; int8 and int4 in groups of 32, scales in float16")  # fmt: skip
    print(f"{'weights':8}  {'rung':15}  {'tokens':>6}  {'tokens/s':>8}  {'':11}  {'by bytes':>8}")
    best = max(rung for rung in RUNGS if library.quant_rungs() >> rung & 1)
    for kind, rungs in (("float32", [best]), ("int8", RUNGS), ("int4", RUNGS)):
        for tokens in (1, 128):
            for rung in rungs:
                if library.quant_rungs() >> rung & 1 and (tokens == 1 or rung >= 3):
                    repeats = 1 if rung < 3 else args.repeats
                    facts = rate(library, kind, sizes, tokens, rung, args.threads, repeats)
                    print(rate_line(kind, rung, tokens, facts), flush=True)


if __name__ == "__main__":
    run(main)
