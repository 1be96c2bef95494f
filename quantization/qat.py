"""Quantization-aware training: the model is finetuned while its weights are rounded, and learns to live with it.

New since the last chapter: a gradient through a step. Rounding is flat nearly everywhere, so its derivative is 0 and
nothing could be learned. The straight-through estimator rounds on the way forward and acts on the way back
as if nothing had been rounded: the float weights behind the integers move on, until one crosses to the next integer.
Beside it the same finetuning without rounding, rounded afterwards: else nobody could say what helped, the rounding
or the finetuning. Left out on purpose: learned scales, and rounded activations.
Shapes: a weight is (R, N), G of a row share a scale; B sequences of T tokens.

    python quantization/qat.py                                         three bits, a minute on one core
    python quantization/qat.py --bits 4 3 2 --seeds 3 --steps 60      the README's table
    python quantization/qat.py --bits 4 --out out/quantization/qat     writes the model as int4

Papers: Bengio, Léonard and Courville, "Estimating or Propagating Gradients Through Stochastic Neurons for
Conditional Computation" (2013), for the estimator; Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference" (2017); Krishnamoorthi, "Quantizing deep convolutional networks for
efficient inference" (2018).
"""

import argparse
import copy
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch.func import functional_call
from tqdm import tqdm

from checkpoint import load_model
from cli import UserError, non_negative_float, non_negative_int, positive_int, run
from data import Scorer, encode_stories
from quantize import (
    MODEL,
    Quantized,
    find_scale,
    in_groups,
    matrices,
    mean_bits,
    model_with,
    quantize,
    quantize_model,
    round_to,
)
from store import save_quantized
from stories import load_split
from tokenizer import load_tokenizer

STEP = 32  # row lengths are multiples of this: few different shapes, little padding


def straight_through(weight, scale, bits, group):
    """The rounded weight, whose gradient is handed on to the float one as it is. (R, N) -> (R, N)"""
    integers = round_to(in_groups(weight.detach(), group), scale, bits)  # (R, N / G, G)
    rounded = (integers * scale.float()[..., None]).flatten(1)[:, : weight.shape[1]]
    return weight + (rounded - weight).detach()  # forward: rounded; backward: weight


def find_scales(model, bits, group):
    """{name: scales (R, N / G)} of all matrices, searched; training keeps them as they are. Nothing for 0 bits."""
    found = matrices(model) if bits else {}
    return {name: find_scale(in_groups(module.weight.detach(), group), bits, search=True)
            for name, module in found.items()}


def with_scales(model, scales, bits, group):
    """{name: Quantized} of a model's matrices, the scales given."""
    found = {}
    for name, module in matrices(model).items():
        integers = round_to(in_groups(module.weight.detach(), group), scales[name], bits).flatten(1)
        found[name] = Quantized(integers[:, : module.weight.shape[1]].to(torch.int8), scales[name], None, bits, group)
    return found


def rounded_loss(model, inputs, targets, scales, bits, group):
    """The mean loss in nats of ids (B, T), the matrices with scales rounded; targets of -1 do not count."""
    parameters = dict(model.named_parameters())
    rounded = {name: straight_through(parameters[name], scale, bits, group) for name, scale in scales.items()}
    logits = functional_call(model, rounded, (inputs,))  # a tied table: rounded once, used twice
    return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=-1)


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


# copied from: transformer/data.py::make_batch
def make_batch(stories, indices, context):
    """Inputs and targets of one batch, int64 (B, T). Padded positions have the target -1, which the loss skips."""
    length = max(row_length(stories[i], context) for i in indices)
    inputs = np.zeros((len(indices), length), dtype=np.int64)
    targets = np.full((len(indices), length), -1, dtype=np.int64)
    for row, i in enumerate(indices):
        ids = stories[i][: length + 1]  # a longer story is cut at the context
        inputs[row, : len(ids) - 1] = ids[:-1]
        targets[row, : len(ids) - 1] = ids[1:]
    return torch.from_numpy(inputs), torch.from_numpy(targets)


def finetune(model, stories, bits, group, steps, batch_size, rate, seed, name):
    """A copy of the model, trained for `steps` batches of encoded stories with its matrices rounded to `bits` (0: not).

    The learning rate falls in a straight line to 0. Returns (the model with its float weights, the scales).
    """
    model, context, scales = copy.deepcopy(model).train(), model.config.max_position_embeddings, \
        find_scales(model, bits, group)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, betas=(0.9, 0.95))
    plan = batch_plan(stories, context, batch_size, seed)
    bar = tqdm(range(steps), desc=name, unit="step", leave=False, disable=None)
    for step in bar:
        inputs, targets = make_batch(stories, next(plan), context)
        with torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported()):
            loss = rounded_loss(model, inputs, targets, scales, bits, group)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group_of_parameters in optimizer.param_groups:
            group_of_parameters["lr"] = rate * (steps - step) / steps
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        bar.set_postfix_str(f"loss {loss.item():.3f}")
    return model.eval(), scales


def moved(before, after):
    """The share of all weights that have another integer than before, of two {name: Quantized}."""
    pairs = [(before[name].q, after[name].q) for name in before]
    return sum((a != b).sum().item() for a, b in pairs) / sum(a.numel() for a, _ in pairs)


def flat_gradient(model, bits, group):
    """The largest gradient of a matrix through plain rounding, and through the straight-through estimator."""
    ids, name = torch.arange(16)[None], "model.layers.0.mlp.up_proj.weight"
    found = []
    for through in (False, True):
        weight = dict(model.named_parameters())[name].detach().requires_grad_()
        scale = quantize(weight.detach(), bits, group).scale
        steps = scale.float().repeat_interleave(group, 1)
        rounded = straight_through(weight, scale, bits, group) if through else torch.round(weight / steps) * steps
        logits = functional_call(model, {name: rounded}, (ids,))
        F.cross_entropy(logits[0], ids[0]).backward()
        found.append(weight.grad.abs().max().item())
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(description="Finetunes a model with its weights rounded, against rounding afterwards.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    parser.add_argument("--data", default="datasets/stories", help="folder with train.txt and valid.txt")
    parser.add_argument("--bits", nargs="+", type=int, choices=(2, 3, 4, 8), default=[3], help="2, 3, 4 or 8 (default 3)")
    parser.add_argument("--group", type=positive_int, default=32, help="weights that share a scale (default 32)")
    parser.add_argument("--steps", type=positive_int, default=30, help="training steps (default 30)")
    parser.add_argument("--batch-size", type=positive_int, default=1024, help="tokens in a step (default 1024)")
    parser.add_argument("--learning-rate", type=non_negative_float, default=3e-4, help="the first step's (default 3e-4)")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="decides the order of the stories (default 0)")
    parser.add_argument("--seeds", type=positive_int, default=1, help="so many runs, from --seed on (default 1)")
    parser.add_argument("--stories", type=non_negative_int, default=60, help="stories to score; 0: all (default 60)")
    parser.add_argument("--out", help="with one --bits of 4 or 8: write the trained model, quantized, into this folder")
    parser.add_argument("--threads", type=positive_int, help="CPU threads (default all cores)")
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.out and args.bits not in ([4], [8]):
        raise UserError("--out writes four or eight bits: say --bits 4 or --bits 8")
    model, tokenizer = load_model(args.folder), load_tokenizer(f"{args.folder}/tokenizer.json")
    score = Scorer(args.data, tokenizer, args.stories)
    stories = encode_stories(load_split(args.data, "train"), tokenizer)
    base = score(model)
    print(f"{args.folder}: {base:.4f} bits per byte on {len(score.stories)} stories of {args.data}; {args.steps} steps of "
          f"{args.batch_size:,} tokens, {torch.get_num_threads()} threads")
    flat, through = flat_gradient(model, args.bits[0], args.group)
    print(f"largest gradient of a weight through rounding: {flat}, straight through: {through:.2g}")
    assert flat == 0 < through

    found, started, trained, scales = {}, time.perf_counter(), None, None
    for bits in args.bits:
        for name, search in (("plain", False), ("searched", True)):
            found[bits, name] = score(model_with(model, quantize_model(model, bits, args.group, search=search)))
    for seed in range(args.seed, args.seed + args.seeds):
        for bits in (0, *args.bits):
            trained, scales = finetune(model, stories, bits, args.group, args.steps, args.batch_size, args.learning_rate,
                                       seed, f"{bits or 'no'} bits, seed {seed}")
            if not bits:
                smooth, found[seed, 0, "not"] = trained, score(trained)
                continue
            after = quantize_model(smooth, bits, args.group, search=True)
            during = with_scales(trained, scales, bits, args.group)
            found[seed, bits, "after"] = score(model_with(smooth, after))
            found[seed, bits, "during"] = score(model_with(trained, during))
            found[seed, bits, "moved"] = moved(with_scales(model, scales, bits, args.group), during)
    print_table(args, found, time.perf_counter() - started, model)
    if args.out:
        quantized = with_scales(trained, scales, args.bits[0], args.group)
        rest = {name: p.detach() for name, p in trained.named_parameters() if name not in quantized}
        size = save_quantized(args.out, args.folder, quantized, rest)
        print(f"{args.out}: {mean_bits(quantized):.2f} bits a weight, {size / 1e6:.2f} MB of weights")


def print_table(args, found, seconds, model):
    """A line for each number of bits: found[bits, way], and found[seed, bits, way] for what was trained."""
    seeds = range(args.seed, args.seed + args.seeds)

    def shown(*key):
        values = [found[seed, *key] for seed in seeds]
        return f"{statistics.mean(values):.4f}" + (f" ± {(max(values) - min(values)) / 2:.4f}" if len(values) > 1 else "")

    print(f"finetuned, not rounded: {shown(0, 'not')}; {seconds:.0f} s in all\n")
    print(f"{'':17}{'':10}{'scales':>10}{'finetuned,':>18}{'finetuned':>18}{'integers':>10}\n"
          f"{'bits':>4}{'bits/weight':>13}{'rounded':>10}{'searched':>10}{'then rounded':>18}{'rounded (QAT)':>18}"
          f"{'moved':>10}")
    for bits in args.bits:
        size, share = mean_bits(quantize_model(model, bits, args.group)), \
            statistics.mean(found[seed, bits, "moved"] for seed in seeds)
        print(f"{bits:4}{size:13.2f}{found[bits, 'plain']:10.4f}{found[bits, 'searched']:10.4f}{shown(bits, 'after'):>18}"
              f"{shown(bits, 'during'):>18}{share:10.1%}")
        if bits < 4 and args.steps >= 20:
            assert all(found[seed, bits, "during"] < found[seed, bits, "after"] for seed in seeds), \
                "rounding while training must beat rounding afterwards"


if __name__ == "__main__":
    run(main)
