"""How large a vocabulary? The same small Storyteller with 260 to 16,384 tokens, trained alike, in bits per byte.

New since bpe.py: a tokenizer is judged by the model that reads it. Alike has two meanings, and both are run: all models
see as many positions (tokens), or all read as many bytes of text. The training is transformer/train.py itself, started
as a program: a copy of it here could only differ. It runs in a folder of its own, so that these short trainings stay off
the scoreboard. Left out on purpose: the best learning rate and the best model size of each vocabulary; one setting is
taken for all. V tokens, C numbers a token, L layers, T tokens of a story.

    python tokenization/vocabulary.py                          under two minutes on two cores: 13 models, a moment each
    python tokenization/vocabulary.py --steps 160 --plot      the run of the lesson, eleven minutes, and its figure
    python tokenization/vocabulary.py --data FOLDER --sizes 260 4096 --resume      go on after Ctrl-C

Writes tokenizers, models and results.json to out/tokenization/vocabulary. Papers: Xue et al., "ByT5" (2022); Tao et al.,
"Scaling Laws with Vocabulary: Larger Models Deserve Larger Vocabularies" (2024).
"""

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain, product
from pathlib import Path

import numpy as np
from tqdm import tqdm

from atomic import write_atomic
from bpe import train_tokenizer
from cli import UserError, non_negative_int, positive_int, run
from stories import END, load_split
from tokenizer import SPECIALS, Tokenizer

SIZES = [260, 512, 1024, 2048, 4096, 8192, 16384]
REFERENCE = 4096  # whose --steps set what all others get
TRAIN = Path("transformer/train.py")
FIGURE = Path("tokenization/figures/vocabulary.svg")
SETTINGS = ("data", "depth", "batch_size", "context", "valid_stories", "seed")  # which make a training what it is
# Bytes that a story in UTF-8 does not hold: control signs, and those that UTF-8 never uses.
NEVER = [*range(9), 11, 12, *range(14, 32), 0xC0, 0xC1, *range(0xF5, 0x100)]
# copied from: transformer/data.py::STEP
STEP = 32  # row lengths are multiples of this: few different shapes, little padding


# copied from: transformer/data.py::row_length
def row_length(story, context):
    """The padded number of positions that a story takes: predictions, rounded up to STEP, at most the context."""
    return min(-(-(len(story) - 1) // STEP) * STEP, context)


# copied from: transformer/data.py::story_order
def story_order(count, seed):
    """Story numbers without end: epoch after epoch, each a new permutation that depends on the seed alone."""
    epoch = 0
    while True:
        yield from np.random.default_rng([seed, epoch]).permutation(count)
        epoch += 1


# copied from: transformer/data.py::batch_plan
def batch_plan(stories, context, batch_tokens, seed):
    """Without end: lists of story numbers, each one batch of about `batch_tokens` tokens.

    Stories wait in a bucket for their length until it holds a batch. The plan depends on nothing
    but its arguments: to go on at step n is to skip n lists.
    """
    buckets = {}
    for index in story_order(len(stories), seed):
        length = row_length(stories[index], context)
        bucket = buckets.setdefault(length, [])
        bucket.append(int(index))
        if len(bucket) >= max(1, batch_tokens // length):
            yield bucket
            buckets[length] = []


@dataclass
class Training:
    """One training: its vocabulary, how long it was, what it read and what came out."""

    vocab: int  # V, rows of the table
    learned: int  # of them bytes, merges and special tokens; the others stand for nothing
    equal: str  # in what it is like the reference: "positions" or "text"
    steps: int = 0
    positions: int = 0  # tokens read, padding not counted
    bytes: int = 0  # of text read
    rows: int = 0  # sum of T * T over all stories read, for attention's share of the work
    rare: int = 0  # rows of the table whose token was read fewer than ten times
    parameters: int = 0
    table: int = 0  # of them in the embedding, V * C
    flops: float = 0.0
    bpb: float = 0.0


def unused_merges(known):
    """Pairs of bytes that no story holds, without end being near: 19,311 of them. known: merges made already."""
    pairs = chain(product(NEVER, range(256)), product([b for b in range(256) if b not in NEVER], NEVER))
    return (pair for pair in pairs if pair not in known)


def make_tokenizers(stories, sizes):
    """[(Tokenizer, ids that stand for something)], one a size, from one training: a small one is a large one's beginning.

    Where the text runs out of pairs before the largest size, the last size that is not full becomes all there is, and
    larger ones get rows for byte pairs that never occur: a table as large, of which the rest stands for nothing.
    """
    specials = len(SPECIALS)
    full = train_tokenizer(stories, max(sizes))
    merges, made, all_taken = [*full.merges], [], False
    for size in sizes:
        if size > full.vocab_size and not all_taken and size < max(sizes):
            size = full.vocab_size  # in the place of the first size that is too large
        all_taken = all_taken or size >= full.vocab_size
        mine = merges[: size - 256 - specials]
        learned = 256 + specials + len(mine)
        mine += [pair for pair, _ in zip(unused_merges(full.merges), range(size - learned))]
        made.append((Tokenizer(mine), learned))
    return made


def count_work(tokenizer, stories, context, batch_size, seed, enough):
    """Follows the plan of train.py until `enough(steps, positions, bytes)`: (steps, positions, bytes, sum of T * T, rare).

    Counts what is really read: stories longer than the context are cut there, and padding is not counted.
    """
    end = tokenizer.special[END]
    encoded = [[end, *tokenizer.encode(story), end] for story in stories]
    read = [len(tokenizer.decode_bytes(ids[1 : context + 1])) - len(END) * (len(ids) <= context + 1) for ids in encoded]
    steps = positions = taken = rows = 0
    seen = Counter()
    for indices in batch_plan(encoded, context, batch_size, seed):
        steps += 1
        for i in indices:
            T = min(len(encoded[i]) - 1, context)
            positions, taken, rows = positions + T, taken + read[i], rows + T * T
            seen.update(encoded[i][1 : T + 1])
        if enough(steps, positions, taken):
            return steps, positions, taken, rows, sum(seen[k] < 10 for k in range(tokenizer.vocab_size))


def train_one(training, files, args):
    """Runs transformer/train.py as a reader would, and fills in what it prints. files: {vocab: tokenizer.json}

    The result is kept in the training's folder; with --resume one of the same settings is taken from there.
    """
    folder = args.out / f"{training.vocab}-{training.equal}"
    kept = folder / "result.json"
    settings = {name: str(value) for name, value in vars(args).items() if name in SETTINGS} | {"plan": str(training)}
    if args.resume and kept.is_file():
        with suppress(ValueError, KeyError, TypeError):  # a file that is damaged or of another version: train again
            found = json.loads(kept.read_text(encoding="utf-8"))
            if found["settings"] == settings:
                return Training(**found["training"])
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, TRAIN.resolve(), "--tokenizer", files[training.vocab].resolve(), "--data",
               (args.out / "data").resolve(), "--out", folder.resolve(), "--depth", args.depth, "--steps", training.steps,
               "--batch-size", args.batch_size, "--context", args.context, "--seed", args.seed, "--eval-stories", 1,
               "--eval-every", 10**9, "--save-every", 10**9, "--threads", args.threads]  # fmt: skip
    done = subprocess.run([*map(str, command)], cwd=args.out, capture_output=True, text=True, encoding="utf-8")
    built = re.search(r"built ([\d,]+) parameters: (\d+) layers, width (\d+)", done.stdout)
    bpb = re.search(r"([\d.]+) bits per byte on ", done.stdout)
    if done.returncode or not built or not bpb:
        last = (done.stderr.strip() or "it printed no result").splitlines()[-1]
        raise UserError(f"{TRAIN} with {training.vocab:,} tokens ended with {done.returncode}: {last}")
    parameters, layers, width = (int(group.replace(",", "")) for group in built.groups())
    training.parameters, training.table, training.bpb = parameters, training.vocab * width, float(bpb[1])
    # Each weight is one multiplication and one addition a position, three times (forward, backward twice). Attention
    # multiplies T queries with T / 2 keys on average, and as many values.
    training.flops = 6.0 * parameters * training.positions + 6.0 * layers * width * training.rows
    (folder / "training.safetensors").unlink(missing_ok=True)  # nobody will resume it
    write_atomic(kept, json.dumps({"settings": settings, "training": asdict(training)}) + "\n")
    return training


def plan_trainings(tokenizers, stories, args):
    """One Training for each vocabulary and each meaning of equal; the reference is both."""
    reference = max((pair for pair in tokenizers if pair[0].vocab_size <= REFERENCE), key=lambda pair: pair[0].vocab_size)
    settings = stories, args.context, args.batch_size, args.seed
    _, positions, taken, *_ = count_work(reference[0], *settings, lambda steps, *_: steps >= args.steps)
    enough = {"positions": lambda _, p, b: p >= positions, "text": lambda _, p, b: b >= taken}
    trainings = []
    for tokenizer, learned in tokenizers:
        for equal, rule in enough.items():
            if (tokenizer, equal) != (reference[0], "text"):
                made = Training(tokenizer.vocab_size, learned, equal)
                made.steps, made.positions, made.bytes, made.rows, made.rare = count_work(tokenizer, *settings, rule)
                trainings.append(made)
    return trainings, reference[0].vocab_size


def run_trainings(trainings, files, args):
    """All trainings, some at a time, the longest first; in order of vocabulary."""
    order = sorted(trainings, key=lambda t: -t.positions * (t.vocab + 4000))
    pool = ThreadPoolExecutor(args.workers)
    try:
        results = pool.map(lambda training: train_one(training, files, args), order)
        done = [*tqdm(results, "trainings", total=len(order), unit=" models", disable=None)]
    except KeyboardInterrupt:
        print("what is finished is kept: the same command with --resume goes on", file=sys.stderr)
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return sorted(done, key=lambda t: (t.vocab, t.equal))


def report(trainings, reference):
    """Two tables: equal positions, equal text. rare: rows of the table whose token was read fewer than ten times."""
    base = next(t for t in trainings if t.vocab == reference)
    titles = {"positions": f"about {base.positions:,} positions each", "text": f"about {base.bytes:,} bytes of text each"}
    for equal, title in titles.items():
        print(f"\n{title}\n   V    rare  parameters  table  steps  positions      bytes   TFLOP     bpb")
        mine = [t for t in trainings if t.equal == equal or t.vocab == reference]
        for t in mine:
            print(f"{t.vocab:6,} {t.rare:7,} {t.parameters:11,} {t.table / t.parameters:6.0%} {t.steps:6,} "
                  f"{t.positions:10,} {t.bytes:10,} {t.flops / 1e12:7.1f} {t.bpb:7.4f}")
        best = min(mine, key=lambda t: t.bpb)
        print(f"best: {best.vocab:,} tokens, {best.bpb:.4f} bits per byte")


def plot(trainings, reference, path):
    """Bits per byte by vocabulary, one line for each meaning of equal; beside it where the parameters are."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "storyteller"  # the same picture, the same file
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), width_ratios=(3, 2), layout="constrained")
    lines = {equal: [t for t in trainings if t.equal == equal or t.vocab == reference] for equal in ("positions", "text")}
    for (equal, mine), color, marker in zip(lines.items(), ("#b5651d", "#2b5d8a"), "os"):
        left.plot([t.vocab for t in mine], [t.bpb for t in mine], marker=marker, color=color, label=f"equal {equal}")
    places = [t.vocab for t in lines["positions"]]
    left.set(xscale="log", xlabel="vocabulary", ylabel="bits per byte")
    left.set_xticks(places, [f"{size:,}" for size in places], fontsize=8)
    left.minorticks_off()
    left.grid(alpha=0.3)
    left.legend(frameon=False)
    mine, names = lines["positions"], [f"{size:,}" for size in places]
    layers = [(t.parameters - t.table) / 1e6 for t in mine]
    used = [t.table * t.learned / t.vocab / 1e6 for t in mine]
    unused = [t.table / 1e6 - u for t, u in zip(mine, used)]
    right.bar(names, layers, color="#999999", label="layers")
    right.bar(names, used, bottom=layers, color="#7fb2d9", label="table")
    if sum(unused):
        below = [a + b for a, b in zip(layers, used)]
        right.bar(names, unused, bottom=below, color="white", edgecolor="#7fb2d9", hatch="///", label="rows of no use")
    right.set(ylabel="million parameters")
    right.tick_params(axis="x", labelsize=8, rotation=45)
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def parse(argv):
    parser = argparse.ArgumentParser(description="Trains the same model with vocabularies of different sizes.")
    add = parser.add_argument
    add("--data", default="datasets/stories", help="folder with train.txt and valid.txt (default datasets/stories)")
    add("--sizes", type=positive_int, nargs="+", default=SIZES, metavar="V", help="vocabularies (default 260 to 16384)")
    add("--steps", type=positive_int, default=20, help=f"of the model with {REFERENCE:,} tokens (default 20)")
    add("--depth", type=positive_int, default=2, help="the models' layers, see transformer/train.py (default 2)")
    add("--batch-size", type=positive_int, default=4096, help="tokens in one step (default 4096)")
    add("--valid-stories", type=positive_int, default=60, help="of valid.txt, to be scored on (default 60)")
    add("--seed", type=non_negative_int, default=0, help="decides weights and order (default 0)")
    add("--workers", type=positive_int, default=2, help="trainings at the same time (default 2)")
    add("--threads", type=positive_int, default=1, help="threads of each training (default 1)")
    add("--out", type=Path, default=Path("out/tokenization/vocabulary"), help="folder (default %(default)s)")
    add("--resume", action="store_true", help="take the trainings that an earlier, stopped run has finished")
    add("--plot", action="store_true", help=f"draw {FIGURE}")
    args = parser.parse_args(argv)
    args.sizes = sorted(set(args.sizes))
    if args.sizes[0] < 256 + len(SPECIALS):
        raise UserError(f"--sizes {args.sizes[0]}: 256 bytes and {len(SPECIALS)} special tokens make 260 at least")
    if args.sizes[0] > REFERENCE:
        raise UserError(f"--sizes: one of them must be at most {REFERENCE:,}, the one that --steps belongs to")
    return args


def main(argv=None):
    args = parse(argv)
    stories, valid = load_split(args.data, "train"), load_split(args.data, "valid")[: args.valid_stories]
    longest = max(len(story.encode("utf-8")) for story in stories)
    args.context = min(2048, -(-(longest + 1) // STEP) * STEP)  # so that no vocabulary has its stories cut
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {args.out}: {error.strerror}") from None
    for split, texts in (("train", stories), ("valid", valid)):
        write_atomic(args.out / "data" / f"{split}.txt", f"\n{END}\n".join([*texts, ""]))
    tokenizers = make_tokenizers(stories, args.sizes)
    files = {tokenizer.vocab_size: args.out / f"{tokenizer.vocab_size}.json" for tokenizer, _ in tokenizers}
    for tokenizer, _ in tokenizers:
        tokenizer.save(files[tokenizer.vocab_size])
    trainings, reference = plan_trainings(tokenizers, stories, args)
    print(f"read {args.data}: {len(stories):,} stories, the longest has {longest:,} bytes; the context is {args.context:,}, "
          f"scored on {len(valid)} stories")
    print(f"{len(trainings)} trainings of {TRAIN}, {args.depth} layers, {args.workers} at a time", flush=True)
    trainings = run_trainings(trainings, files, args)
    report(trainings, reference)
    write_atomic(args.out / "results.json", json.dumps([asdict(t) for t in trainings], indent=1) + "\n")
    print(f"wrote {args.out / 'results.json'}")
    if args.plot:
        plot(trainings, reference, FIGURE)
        print(f"drawn in {FIGURE}")


if __name__ == "__main__":
    run(main)
