"""All ways in one table: bits a weight, bytes of the file, bits per byte, and tokens/s of the engine in C.

New since the last chapter: bytes are not only fewer, they are read in less time. For each way the model is
written as a folder, the folder is scored, and the engine in C opens it: its bits per byte stand apart, since it
rounds what enters a matrix too, and its tokens/s are measured in turn (a few tokens of each, then again); the
median is told. The last column is the physical limit: the bytes of the weights over the fastest that so many bytes
were read. Left out on purpose: prompts, batches and other sizes (inference/bench.py has them).

    python quantization/bench.py                    sixty stories, two minutes on one core
    python quantization/bench.py --stories 0        all of valid.txt; adds lines to out/scoreboard.jsonl
    python quantization/bench.py --quick            without GPTQ and AWQ, on ten stories: fifteen seconds
    python quantization/bench.py --plot             also draws quantization/figures/cost.svg

QAT stands in the table once this has trained it: python quantization/qat.py --bits 4 --out out/quantization/qat

Nothing else should run on the machine: the rates mean little otherwise.
"""

import argparse
import math
import mmap
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from awq import awq_model
from cache import QuantizedCache, nats_through
from checkpoint import load_model
from cli import UserError, append_score, non_negative_int, positive_int, run
from data import Scorer, calibration_ids, windows
from engine import CModel, library
from export import write_hf
from gptq import gptq_model
from nf4 import quantize_nf4
from plot import quiet_pyplot, save_figure
from quantize import MODEL, Quantized, matrices, mean_bits, model_with, quantize_model
from store import load_quantized, save_quantized
from tokenizer import load_tokenizer

FIGURE, OUT, QAT = "quantization/figures/cost.svg", "out/quantization/bench", "out/quantization/qat"
LENGTH, STEPS = 64, 8  # tokens before the one that is timed; how many are timed together


@dataclass
class Row:
    """A line of the table."""

    name: str
    bits: float  # a weight
    model: torch.nn.Module  # its values in float32, for the bits per byte
    folder: Path | None  # for the engine in C; None: it does not read this
    cache: int = 0  # bits of the cache, 0: floats
    bpb: float = math.nan
    c_bpb: float = math.nan
    rate: float = math.nan
    limit: float = math.nan
    size: int = 0  # bytes of model.safetensors


def bits_of(quantized):
    """Bits a weight of {name: NF4}."""
    sizes = [(x.bits_per_weight, x.shape[0] * x.shape[1]) for x in quantized.values()]
    return sum(bits * n for bits, n in sizes) / sum(n for _, n in sizes)


def spread_scale(x):
    """A Quantized with one scale for the tensor, as one with the same scale for each row, which can be stored."""
    return Quantized(x.q, x.scale.expand(x.q.shape[0], 1).contiguous(), None, x.bits, x.q.shape[1])


def rows_for(args, model, stories):
    """Every way, as a Row whose folder is written. stories: calibration."""
    out = Path(OUT)

    def stored(name, folder, quantized, norms=None, bits=None):
        save_quantized(out / folder, args.folder, quantized, norms)
        return Row(name, bits or mean_bits(quantized), load_quantized(out / folder), out / folder)

    for kind, bits in (("float32", 32), ("bfloat16", 16)):
        write_hf(args.folder, out / kind, kind)
        yield Row(kind, bits, load_quantized(out / kind), out / kind)
    by_tensor = quantize_model(model, 8, "tensor")
    yield stored("int8, a scale a tensor", "int8-tensor", {name: spread_scale(x) for name, x in by_tensor.items()},
                 bits=mean_bits(by_tensor))
    yield stored("int8, a scale a row", "int8-row", quantize_model(model, 8, "channel"))
    int8 = quantize_model(model, 8, 32)
    yield stored("int8, groups of 32", "int8", int8)
    yield Row("int8, the cache in int8", mean_bits(int8), model_with(model, int8), None, cache=8)
    yield stored("int4, groups of 32", "int4", quantize_model(model, 4, 32))
    yield stored("int4, scales searched", "int4-search", quantize_model(model, 4, 32, search=True))
    if not args.quick:
        for group in (32, 64):
            found = gptq_model(model, stories, bits=4, group=group)
            yield stored(f"int4, GPTQ, groups of {group}", f"int4-gptq-{group}", found)
        yield stored("int4, AWQ, groups of 32", "int4-awq", *awq_model(model, stories, 4, 32))
    if (Path(QAT) / "model.safetensors").is_file():
        trained = load_quantized(QAT)
        yield Row("int4, QAT, groups of 32", mean_bits(quantize_model(trained, 4, 32)), trained, Path(QAT))
    nf4 = {name: quantize_nf4(module.weight) for name, module in matrices(model).items()}
    yield Row("NF4, blocks of 64", bits_of(nf4), model_with(model, {n: x.dequantize() for n, x in nf4.items()}), None)


def score_in_c(folder, scorer, threads):
    """Bits per byte by the engine in C, which rounds what enters a quantized matrix to int8."""
    engine, nats = CModel(folder, threads), 0.0
    for ids in scorer.encoded:
        for start, end, first in windows(ids, engine.sizes.context):
            logits = torch.from_numpy(engine.logits(ids[start:end]))[first - start :]
            targets = torch.from_numpy(ids[first + 1 : end + 1].astype(np.int64))
            nats += torch.nn.functional.cross_entropy(logits, targets, reduction="sum").item()
    return nats / math.log(2) / sum(len(story.encode("utf-8")) for story in scorer.stories)


def large_pages(size):
    """Memory to read, float32, in large pages where the system has them: the engine's weights lie in such, too."""
    block = mmap.mmap(-1, size // 4 * 4)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        block.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(block, dtype=torch.float32).fill_(1)


def measure(rows, threads, repeats):
    """Sets the rate of the rows that have a folder, and their limit: a few tokens of each in turn, `repeats` times.

    The rate is the median, the limit the fastest reading that was seen: a limit is not to be exceeded.
    """
    engines = {id(row): CModel(row.folder, threads) for row in rows}
    seconds = {key: [] for key in engines}
    reading = {size: [] for size in {engine.sizes.bytes for engine in engines.values()}}
    numbers = large_pages(max(reading) + 4)
    for repeat in range(repeats + 1):
        for key, engine in engines.items():
            started = time.perf_counter()
            for _ in range(STEPS):
                engine.step(LENGTH)
            if repeat:  # the first time warms up
                seconds[key].append((time.perf_counter() - started) / STEPS)
        for size, times in reading.items():
            for _ in range(STEPS):
                started = time.perf_counter()
                numbers[: size // 4].sum()  # the fastest reading at hand
                times.append(time.perf_counter() - started)
    for row in rows:
        row.rate = 1 / statistics.median(seconds[id(row)])
        row.limit = 1 / min(reading[engines[id(row)].sizes.bytes])


def draw_cost(rows, path):
    """What each way costs in bits per byte, a bar each, with its bits a weight."""
    plt = quiet_pyplot()
    figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
    rows, base = rows[1:], rows[0].bpb
    for i, row in enumerate(rows):
        cost = 100 * (row.bpb / base - 1)
        axis.barh(i, cost, color="#555555" if row.bits > 9 else "#2f6690" if row.bits > 5 else "#b5432a")
        axis.text(max(cost, 0) + 0.1, i, f"{row.bits:.2f} bits", va="center", fontsize=8)
    axis.set_yticks(range(len(rows)), [row.name.strip() for row in rows], fontsize=8)
    axis.axvline(0, color="#555555", linewidth=0.8)
    axis.set(xlabel="bits per byte, % more than float32")
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def cell(value, width, form):
    """A number of the table, or a dash."""
    return f"{'-':>{width}}" if math.isnan(value) else f"{value:{width}{form}}"


def main(argv=None):
    parser = argparse.ArgumentParser(description="Size, bits per byte and speed of every way to quantize.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    parser.add_argument("--data", default="datasets/stories", help="train.txt, valid.txt (default datasets/stories)")
    parser.add_argument("--stories", type=non_negative_int, help="stories to score; 0: all (default 60, 10 with --quick)")
    parser.add_argument("--quick", action="store_true", help="leave out what takes long")
    parser.add_argument("--repeats", type=positive_int, default=15, help="times each rate is measured (default 15)")
    parser.add_argument("--plot", action="store_true", help=f"draw {FIGURE}")
    parser.add_argument("--threads", type=positive_int, default=1, help="CPU threads (default 1)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    model, tokenizer = load_model(args.folder), load_tokenizer(f"{args.folder}/tokenizer.json")
    count = args.stories if args.stories is not None else 10 if args.quick else 60
    scorer = Scorer(args.data, tokenizer, count)
    stories = calibration_ids(args.data, tokenizer, 16, model.config.max_position_embeddings)
    bytes_of_text = sum(len(story.encode("utf-8")) for story in scorer.stories)
    print(f"{args.folder}: {model.count_parameters():,} parameters; bits per byte on {len(scorer.stories)} stories of "
          f"{args.data}; {args.threads} thread(s)")
    missing = None
    try:
        library()
    except UserError as error:
        missing = error
    rows = []
    for row in rows_for(args, model, stories):
        if row.cache:
            nats = nats_through(row.model, scorer.encoded, lambda: QuantizedCache(model.config, 8, "token"))
            row.bpb = nats / math.log(2) / bytes_of_text
        else:
            row.bpb = scorer(row.model)
        if row.folder:
            row.size = (row.folder / "model.safetensors").stat().st_size
            if not missing:
                row.c_bpb = score_in_c(row.folder, scorer, args.threads)
        row.model = None
        rows.append(row)
    if not missing:
        measure([row for row in rows if row.folder], args.threads, args.repeats)

    base = rows[0].bpb
    print(f"\n{'':26}{'bits/':>7}{'file':>8}{'':9}{'':9}{'bpb':>9}{'tokens/s':>10}\n"
          f"{'':26}{'weight':>7}{'MB':>8}{'bpb':>9}{'change':>9}{'in C':>9}{'in C':>10}{'limit':>9}")
    for row in rows:
        print(f"{row.name:26}{row.bits:7.2f}{cell(row.size / 1e6 or math.nan, 8, '.2f')}{row.bpb:9.4f}"
              f"{row.bpb / base - 1:+9.2%}{cell(row.c_bpb, 9, '.4f')}{cell(row.rate, 10, ',.0f')}"
              f"{cell(row.limit, 9, ',.0f')}")
    if missing:
        print(f"no rates: {missing}")
    found = {row.name: row for row in rows}
    assert abs(found["bfloat16"].bpb / base - 1) < 0.001
    assert found["int8, groups of 32"].bpb < 1.005 * base, "int8 must cost less than half a percent"
    assert args.quick or found["int4, GPTQ, groups of 32"].bpb < 1.03 * base, "GPTQ must cost less than three percent"
    if args.plot:
        draw_cost(rows, FIGURE)
    if count == 0 and not args.quick:
        for name in ("int8, groups of 32", "int4, GPTQ, groups of 32"):
            append_score("quantization", f"Storyteller, {model.count_parameters() / 1e6:.1f}M, {name}", args.data,
                         found[name].bpb)


if __name__ == "__main__":
    run(main)
