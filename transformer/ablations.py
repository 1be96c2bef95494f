"""From GPT-2's block to the Storyteller's, one change at a time: what does each bring, and is it more than luck?

New since changes.py: every change is trained. GPT-2 with each change alone, the Storyteller without each, both ends,
and tying given up, all with the same stories, rules and rates, and with several seeds; a seed gives all variants the
same batches and, where they share a tensor, the same first numbers, so that differences are taken pair by pair.
Left out on purpose: sizes at which these changes were invented. A change that is noise here may matter there.
Shapes: those of variants.py; S seeds.

    python transformer/ablations.py               two minutes on two cores: tiny models, beginnings of stories
    python transformer/ablations.py --plot        also draws transformer/figures/ablations.svg
    python transformer/ablations.py --width 96 --layers 3 --vocab 2048 --context 256 --batch-size 2048 --steps 250 \\
        --resume                                  larger, with more tokens: some twenty minutes

Each training adds a line to --out; with --resume those that are there already are not made again.

Papers: those of model.py; Narang et al., "Do Transformer Modifications Transfer Across Implementations and
Applications?" (2021).
"""

import argparse
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import tiktoken
import torch
from tqdm import tqdm

from atomic import write_atomic
from cli import UserError, non_negative_float, positive_int, run
from data import batch_plan, bits_per_byte, encode_stories, make_batch
from stories import load_split
from tokenizer import END, load_tokenizer
from train import learning_rate_at, make_optimizers, train_step
from variants import Variant, VariantModel, as_gpt2, as_storyteller, count_variant, variants

FIGURE = "transformer/figures/ablations.svg"
RESULTS = "out/transformer/ablations.jsonl"
ENDS = ("GPT-2", "Storyteller")
SETTINGS = ("data", "width", "layers", "heads", "vocab", "context", "batch_size", "steps", "optimizer")


def fewer_tokens(tokenizer, count):
    """The tokenizer with its first `count` - 1 pieces and the end mark: merges are learned most frequent first."""
    pieces = sorted(tokenizer._mergeable_ranks.items(), key=lambda piece: piece[1])[: count - 1]
    return tiktoken.Encoding("fewer", pat_str=tokenizer._pat_str, mergeable_ranks=dict(pieces),
                             special_tokens={END: len(pieces)})


def cut_stories(stories, tokenizer, context):
    """Stories cut to what one row holds: (texts, arrays of at most context + 1 ids). None is predicted twice or padded."""
    encoded = [ids[: context + 1] for ids in encode_stories(stories, tokenizer)]
    texts = [tokenizer.decode([i for i in ids[1:].tolist() if i != tokenizer.eot_token]) for ids in encoded]
    return texts, encoded


def load_beginnings(args):
    """(training stories, (texts, stories) to test on, tokens that exist), as --vocab and --context cut them."""
    tokenizer = load_tokenizer("tokenization/tokenizer.json")
    if not 257 <= args.vocab <= tokenizer.n_vocab:
        raise UserError(f"--vocab {args.vocab}: from 257 (the bytes and an end mark) to {tokenizer.n_vocab}")
    tokenizer = fewer_tokens(tokenizer, args.vocab)
    train, valid = (cut_stories(load_split(args.data, split), tokenizer, args.context) for split in ("train", "valid"))
    return train[1], valid, tokenizer.n_vocab


def train_variant(v, stories, valid, args, rate, seed):
    """Trains one variant by the rules of all; returns its bits per byte on the beginnings of `valid`."""
    model = VariantModel(v).initialize(seed)
    optimizers = make_optimizers(model, args.optimizer, 0.1, args.steps)
    plan = batch_plan(stories, args.context, args.batch_size, seed)
    for step in range(args.steps):
        lr = learning_rate_at(step, args.steps, rate, args.steps // 10, 0.6)
        train_step(model, optimizers, [make_batch(stories, next(plan), args.context)], lr, 1.0, torch.float32)
    return bits_per_byte(model, *valid)


def base_of(args, vocab):
    if args.width % (2 * args.heads):
        raise UserError(f"--width {args.width} must be {args.heads} heads of an even width; try 72 and 4")
    return Variant(vocab, args.context, args.width, args.layers, args.heads)


WORKER = {}  # what a worker process keeps between jobs: the stories, and the variants


def start_worker(args):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    torch.set_num_threads(1)
    stories, valid, vocab = load_beginnings(args)
    WORKER.update(args=args, stories=stories, valid=valid, variants=variants(base_of(args, vocab)))


def work(job):
    name, rate, seed = job
    bpb = train_variant(WORKER["variants"][name], WORKER["stories"], WORKER["valid"], WORKER["args"], rate, seed)
    return job, bpb


def read_results(path, settings):
    """(Lines of other settings, {(variant, rate, seed): bpb} of these). A line that a crash cut counts for nothing."""
    others, found = [], {}
    for line in Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []:
        try:
            entry = json.loads(line)
            if {name: entry[name] for name in SETTINGS} == settings:
                found[entry["variant"], entry["rate"], entry["seed"]] = float(entry["bpb"])
            else:
                others.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    return others, found


def train_all(jobs, found, settings, args):
    """Runs the jobs that `found` lacks in --workers processes, and adds each to `found` and to --out when it ends."""
    left = [job for job in jobs if job not in found]
    if not left:
        return
    with multiprocessing.get_context("spawn").Pool(min(args.workers, len(left)), start_worker, [args]) as pool, \
            open(args.out, "a", encoding="utf-8") as file:
        for job, bpb in tqdm(pool.imap_unordered(work, left), total=len(left), unit="training", disable=None):
            found[job] = bpb
            entry = {**settings, "variant": job[0], "rate": job[1], "seed": job[2], "bpb": bpb}
            file.write(json.dumps(entry) + "\n")
            file.flush()


def measure_speed(chosen, stories, args, rounds=7):
    """Training tokens a second of CPU time, one thread: all variants in turn, the best of `rounds` steps each."""
    batch = make_batch(stories, next(batch_plan(stories, args.context, args.batch_size, 0)), args.context)
    models = {name: VariantModel(v).initialize(0) for name, v in chosen.items()}
    optimizers = {name: make_optimizers(model, args.optimizer, 0.1, args.steps) for name, model in models.items()}
    seconds = {name: [] for name in chosen}
    for number in range(rounds + 1):
        for name, model in models.items():
            start = time.process_time()
            train_step(model, optimizers[name], [batch], 1e-3, 1.0, torch.float32)
            if number:  # the first warms up
                seconds[name].append(time.process_time() - start)
    return {name: (batch[1] != -1).sum().item() / min(times) for name, times in seconds.items()}


def student(dof):
    """How many standard errors hold 95 % of chance, where the spread itself was measured on `dof` numbers (Fisher)."""
    z = 1.959964
    return z + (z**3 + z) / (4 * dof) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * dof**2)


def paired_changes(bpb):
    """What each change does. bpb: {variant: (S,)} -> ({variant: differences from its base (S,)}, noise of their mean).

    Each variant is compared with the end that it starts from, the Storyteller with GPT-2, seed by seed. The spread of
    such a difference is pooled over all of them, so that three seeds each give 22 numbers to measure it with.
    """
    differences = {name: values - bpb["Storyteller" if name.startswith("Storyteller,") else "GPT-2"]
                   for name, values in bpb.items() if name != "GPT-2"}
    S = len(bpb["GPT-2"])
    if S < 2:
        return differences, float("nan")
    dof = len(differences) * (S - 1)
    spread = np.sqrt(sum(((d - d.mean()) ** 2).sum() for d in differences.values()) / dof)
    return differences, student(dof) * spread / np.sqrt(S)


def print_changes(chosen, bpb, differences, noise, speed):
    print(f"{'':36}{'bits per byte':>14}{'change':>9}{'least':>9}{'most':>9}   {'':16}{'parameters':>11}"
          f"{'tokens/s':>10}{'cache':>8}")
    for name, v in chosen.items():
        row = f"{name:36}{bpb[name].mean():14.4f}"
        if name in differences:
            d = differences[name]
            verdict = "one seed" if np.isnan(noise) else "within the noise" if abs(d.mean()) <= noise else \
                "better" if d.mean() < 0 else "worse"
            row += f"{d.mean():+9.4f}{d.min():+9.4f}{d.max():+9.4f}   {verdict:16}"
        else:
            row += " " * 46
        print(f"{row}{count_variant(v):11,}{speed[name]:10,.0f}{2 * v.cache_numbers:8,}")
    print(f"change: from GPT-2, or from the Storyteller where something is taken from it; less is better; mean, least and\n"
          f"most of {len(bpb['GPT-2'])} seeds. Chance alone moves a mean by up to {noise:.4f} (95 %). cache: bytes a token, "
          "in 2-byte numbers")


def check_ends(base):
    """The ends of the chain are the course's own models: the same logits and loss with the same weights."""
    chosen, generator = variants(base), torch.Generator().manual_seed(0)
    ids = torch.randint(base.vocab, (2, min(32, base.context)), generator=generator)
    for name, convert in zip(ENDS, (as_gpt2, as_storyteller)):
        model = VariantModel(chosen[name]).initialize(0)
        with torch.no_grad():
            for p in model.parameters():  # so that norms and biases are felt too
                p.add_(0.1 * torch.randn(p.shape, generator=generator))
            there = convert(model)
            for mine, other in ((model(ids), there(ids)), (model(ids, ids), there(ids, ids))):
                assert torch.allclose(mine, other, rtol=1e-4, atol=1e-4), f"{name} is not the course's {name}"


def plot_changes(differences, noise, path):
    """One line a change: its mean as a point, its seeds as small ones, least to most as a bar; gray is the noise."""
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "the same picture, the same file"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.4, 4.2), layout="constrained")
    axes.axvspan(-noise, noise, color="#e4e4e4", label="chance alone (95 %)")
    axes.axvline(0, color="#888", linewidth=0.8)
    for row, (_, d) in enumerate(differences.items()):
        color = "#888" if not abs(d.mean()) > noise else "#2b5d8a" if d.mean() < 0 else "#b5651d"
        axes.plot([d.min(), d.max()], [row, row], color=color, linewidth=2)
        axes.plot(d, [row] * len(d), "|", color=color, markersize=8)
        axes.plot(d.mean(), row, "o", color=color)
    axes.axhline(list(differences).index("Storyteller") + 0.5, color="#888", linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(differences)), [name + " - GPT-2" * (name == "Storyteller") for name in differences])
    axes.invert_yaxis()
    axes.set_xlabel("change in bits per byte (left: better)")
    axes.legend(frameon=False, loc="best")
    axes.spines[["top", "right"]].set_visible(False)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def parse(argv):
    parser = argparse.ArgumentParser(description="Trains GPT-2, the Storyteller, and what lies between, side by side.")
    add = parser.add_argument
    add("--data", default="datasets/stories", help="folder with train.txt and valid.txt (default datasets/stories)")
    add("--width", type=positive_int, default=72, help="C (default 72; a multiple of 3 makes the MLPs equally large)")
    add("--layers", type=positive_int, default=2, help="L (default 2)")
    add("--heads", type=positive_int, default=4, help="H (default 4); grouped, half as many key heads")
    add("--vocab", type=positive_int, default=1024, help="the course's first so many tokens (default 1024)")
    add("--context", type=positive_int, default=128, help="stories are cut to so many tokens (default 128)")
    add("--steps", type=positive_int, default=80, help="steps of each training (default 80)")
    add("--batch-size", type=positive_int, default=1024, help="tokens in one step (default 1024)")
    add("--optimizer", choices=("muon", "adamw"), default="muon", help="as in train.py (default muon)")
    add("--rates", type=non_negative_float, nargs="+", default=[8e-3, 4e-3], metavar="RATE",
        help="learning rates: the first for all, others for the two ends alone (default 0.008 0.004)")
    add("--seeds", type=positive_int, default=3, help="trainings of each variant (default 3)")
    add("--workers", type=positive_int, default=os.cpu_count(), help="processes, one thread each (default all cores)")
    add("--out", default=RESULTS, help=f"where each training adds a line (default {RESULTS})")
    add("--resume", action="store_true", help="keep what --out already has for these settings")
    add("--plot", action="store_true", help=f"draw {FIGURE}")
    args = parser.parse_args(argv)
    if args.heads % 2:
        parser.error("--heads must be even: grouped, two query heads share a key head")
    if len(set(args.rates)) < len(args.rates):
        parser.error("--rates: each once")
    return args


def main(argv=None):
    args = parse(argv)
    torch.set_num_threads(1)
    stories, valid, vocab = load_beginnings(args)
    base = base_of(args, vocab)
    chosen = variants(base)
    check_ends(base)
    print("with the same weights, variant GPT-2 is gpt2.py's GPT2 and variant Storyteller is model.py's Storyteller")

    settings, rate = {name: getattr(args, name) for name in SETTINGS}, args.rates[0]
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    others, found = read_results(args.out, settings)
    found = found if args.resume else {}
    kept = [json.dumps({**settings, "variant": v, "rate": r, "seed": s, "bpb": bpb}) for (v, r, s), bpb in found.items()]
    write_atomic(args.out, "".join(line + "\n" for line in others + kept))
    jobs = [(name, rate, seed) for seed in range(args.seeds) for name in chosen]
    jobs += [(name, other, seed) for other in args.rates[1:] for seed in range(args.seeds) for name in ENDS]
    print(f"{len(jobs)} trainings ({sum(job in found for job in jobs)} are there): {args.layers} layers, width "
          f"{args.width}, {vocab} tokens, {args.steps} steps of {args.batch_size} tokens, the first {args.context} of each "
          "story\n", flush=True)
    train_all(jobs, found, settings, args)

    short = args.steps < 80 or args.seeds < 3  # of such a run nothing is claimed
    bpb = {name: np.array([found[name, rate, seed] for seed in range(args.seeds)]) for name in chosen}
    differences, noise = paired_changes(bpb)
    print_changes(chosen, bpb, differences, noise, measure_speed(chosen, stories, args))
    for other in args.rates:
        ends = [np.array([found[name, other, seed] for seed in range(args.seeds)]) for name in ENDS]
        print(f"learning rate {other:g}: GPT-2 {ends[0].mean():.4f}, Storyteller {ends[1].mean():.4f}, "
              f"difference {(ends[1] - ends[0]).mean():+.4f}")
        assert short or ends[1].mean() < ends[0].mean(), "the Storyteller should be ahead at every rate"
    assert short or differences["GPT-2, rotary positions"].mean() < -noise, "rotary positions should help GPT-2"
    if args.plot:
        plot_changes(differences, noise, FIGURE)
        print(f"drawn in {FIGURE}")


if __name__ == "__main__":
    run(main)
