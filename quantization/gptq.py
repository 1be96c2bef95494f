"""GPTQ: what rounding one column breaks, the columns that are still open mend.

New since the last chapter: the rounding of a weight is not decided by the weight alone. The columns of a matrix
are rounded one after another; the error of each, as the stories' tokens would see it, is taken back as well as
possible by changing the columns that are not yet rounded. `obs` does it by the formula, one inverse a column;
`gptq` does the same with one Cholesky factor for all, in blocks of 128 columns.
Left out on purpose: training (qat.py).
Shapes: a weight W is (R, N), H = sum of x x^T over its inputs is (N, N), groups of G columns share a scale.

    python quantization/gptq.py                                    rounding against GPTQ; forty seconds
    python quantization/gptq.py --stories 0                        on all of valid.txt
    python quantization/gptq.py --out out/quantization/int4        writes a folder that the C engine reads

Papers: Hassibi and Stork, "Optimal Brain Surgeon" (1993); Frantar, Singh and Alistarh, "Optimal Brain Compression"
(2022); Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers" (2022).
"""

import argparse

import torch

from calibration import head_moments, output_error, walk
from checkpoint import load_model
from cli import UserError, non_negative_float, non_negative_int, positive_int, run
from data import Scorer, calibration_ids
from quantize import (
    MODEL,
    Quantized,
    divide,
    find_scale,
    group_size,
    in_groups,
    integer_range,
    matrices,
    model_with,
    quantize,
    quantize_model,
)
from store import write_and_score
from tokenizer import load_tokenizer

BLOCK = 128  # columns whose errors are taken back together


def nearest(w, scale, bits):
    """A column (R,) of weights -> the nearest integers (R,) of the range, as floats."""
    return divide(w, scale).round().clamp(*integer_range(bits))


def damped(H, damp):
    """H with something added to its diagonal, so that it has an inverse; an input that is always 0 counts as any."""
    mean = H.diagonal().mean() if bool((H.diagonal() > 0).any()) else torch.ones((), dtype=H.dtype)
    return H + torch.eye(len(H), dtype=H.dtype) * damp * mean


def obs(weight, H, scale, G, bits=4, damp=0.01, order=None):
    """GPTQ by the formula of the Optimal Brain Surgeon, in float64: integers (R, N), scales (R, groups) given.

    With F the columns still open and i the next, the columns F change by -(w_i - rounded) / [H_F^-1]_ii [H_F^-1]_i.
    """
    W, H = weight.double(), damped(H.double(), damp)
    rest = list(range(len(H))) if order is None else list(order)
    q = torch.zeros_like(W)
    while rest:
        i, inverse = rest[0], torch.linalg.inv(H[rest][:, rest])  # H_F^-1; i is its first row
        q[:, i] = nearest(W[:, i], scale[:, i // G].double(), bits)
        error = (W[:, i] - q[:, i] * scale[:, i // G].double()) / inverse[0, 0]
        W[:, rest] -= error[:, None] * inverse[0]
        rest.pop(0)
    return q


def inverse_factor(H):
    """The upper triangular U with U^T U = H^-1. Its row i, from i on, is [H_F^-1]_i / sqrt([H_F^-1]_ii) for F = i … N - 1.

    So one factor holds the inverses for all the sets F of columns that are still open, which is GPTQ's gift.
    """
    try:
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(H))
        return torch.linalg.cholesky(inverse, upper=True)
    except torch.linalg.LinAlgError:
        raise UserError("the inputs' moments have no inverse; give a larger --damp, or more --calibration") from None


@torch.no_grad()
def gptq(weight, H, bits=4, group=32, damp=0.01, by_activation=True, search=True, block=BLOCK):
    """A weight (R, N) as a symmetric Quantized whose outputs, on inputs with second moments H, are near W x.

    by_activation: columns with large inputs go first, while many others can still mend what they break. Which
    scale a column has stays as it was stored ("static groups"), so the scales are found before. In the stored
    order they are found when their group begins, from what its weights have become.
    """
    R, N = weight.shape
    G = N if group == "channel" else min(group, N)
    W = weight.float().clone()
    scale = find_scale(in_groups(W, G), bits, search)  # (R, groups)
    order = H.diagonal().argsort(descending=True, stable=True) if by_activation else torch.arange(N)
    W, U = W[:, order], inverse_factor(damped(H.double(), damp)[order][:, order]).float()
    q = torch.zeros(R, N)
    for start in range(0, N, block):
        end = min(start + block, N)
        errors = torch.zeros(R, end - start)
        for i in range(start, end):
            g = int(order[i]) // G
            if not by_activation and i % G == 0:
                scale[:, g] = find_scale(W[:, None, i : i + G], bits, search)[:, 0].to(scale.dtype)
            s = scale[:, g].float()
            q[:, order[i]] = nearest(W[:, i], s, bits)
            errors[:, i - start] = (W[:, i] - q[:, order[i]] * s) / U[i, i]
            W[:, i:end] -= errors[:, i - start, None] * U[i, i:end]
        W[:, end:] -= errors @ U[start:end, end:]  # the columns behind the block, all errors at once
    return Quantized(q.to(torch.int8), scale, None, bits, G)


@torch.no_grad()
def gptq_model(model, stories, head_weight=1.0, report=None, **settings):
    """{name: Quantized} for all matrices, each calibrated on what the quantized ones before it give.

    The output layer comes first, since a tied one is also the embedding, which everything else reads. There the
    error of the vectors themselves counts as well: head_weight times the mean of H is added to its diagonal.
    report: called with (name, weight, Quantized, H).
    """
    model = model_with(model, {})  # a copy, whose weights are replaced while the stories walk through it
    tied, found = model.config.tie_word_embeddings, {}

    def replace(name, module, H, damp):
        weight = module.weight.detach().clone()
        found[name] = gptq(weight, H, damp=damp, **settings)
        module.weight.copy_(found[name].dequantize())
        if report:
            report(name, weight, found[name], H)

    damp = settings.pop("damp", 0.01)
    head = "model.embed_tokens.weight" if tied else "lm_head.weight"
    replace(head, model.lm_head, head_moments(model, stories), max(damp, head_weight if tied else 0))
    if not tied:
        table, name = model.model.embed_tokens.weight, "model.embed_tokens.weight"
        found[name] = quantize(table.detach(), settings["bits"], settings["group"], search=True)
        table.copy_(found[name].dequantize())
    for names, modules, H in walk(model, stories):
        for name, module in zip(names, modules):
            replace(name, module, H, damp)
    return {name: found[name] for name in matrices(model)}


def same_as_the_formula():
    """Asserts that blocks and Cholesky factor give the integers of the formula, for several small matrices."""
    for seed, (R, N, G, order) in enumerate([(3, 8, 8, False), (5, 24, 8, True), (4, 40, 40, True)]):
        generator = torch.Generator().manual_seed(seed)
        weight, x = (torch.randn(n, N, generator=generator) for n in (R, 4 * N))
        x *= torch.rand(N, generator=generator) * 3
        H, scale = (x.T @ x).double(), find_scale(in_groups(weight, G), 4)
        columns = H.diagonal().argsort(descending=True, stable=True).tolist() if order else None
        wanted = obs(weight, H, scale, G, order=columns)
        found = gptq(weight, H, 4, G, by_activation=order, search=False, block=7)
        assert torch.equal(found.q.double(), wanted), "GPTQ and its formula disagree"
    print("the integers of three small matrices are those of the formula, one inverse a column")


def main(argv=None):
    parser = argparse.ArgumentParser(description="Quantizes to int4 with GPTQ, and compares it with rounding.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    parser.add_argument("--data", default="datasets/stories", help="train.txt, valid.txt (default datasets/stories)")
    parser.add_argument("--stories", type=non_negative_int, default=24, help="stories to score; 0: all (default 24)")
    parser.add_argument("--calibration", type=positive_int, default=16, help="stories to calibrate on (default 16)")
    parser.add_argument("--bits", type=int, choices=(4, 8), default=4, help="4 or 8 (default 4)")
    parser.add_argument("--group", type=group_size, default=32, help="32, 64, 128 or channel (default 32)")
    parser.add_argument("--damp", type=non_negative_float, default=0.01, help="share of H's mean added (default 0.01)")
    parser.add_argument("--out", help="write the quantized model into this folder, and no table")
    parser.add_argument("--threads", type=positive_int, default=1, help="CPU threads (default 1)")
    args = parser.parse_args(argv)
    if args.group == "tensor":
        raise UserError("--group tensor: GPTQ works with scales by group or channel; try --group 32")
    torch.set_num_threads(args.threads)
    model, tokenizer = load_model(args.folder), load_tokenizer(f"{args.folder}/tokenizer.json")
    stories = calibration_ids(args.data, tokenizer, args.calibration, model.config.max_position_embeddings)
    score = Scorer(args.data, tokenizer, args.stories)
    print(f"{args.folder}: calibration on {len(stories)} stories, {sum(map(len, stories)):,} tokens; "
          f"bpb on {len(score.stories)} stories of {args.data}/valid.txt")
    settings = {"bits": args.bits, "group": args.group, "damp": args.damp}
    if args.out:
        write_and_score(args.out, args.folder, gptq_model(model, stories, **settings), model, score)
        return
    same_as_the_formula()
    compare(model, stories, score, settings)


def compare(model, stories, score, settings):
    """Prints the errors of the outputs and the bits per byte, for rounding and for GPTQ."""
    errors = {}  # kind of matrix -> [(error of rounding, error of GPTQ)]

    def report(name, weight, quantized, H):
        rounded = quantize(weight, settings["bits"], settings["group"], search=True).dequantize()
        kind = name.removesuffix(".weight").split(".")[-1]
        errors.setdefault(kind, []).append([output_error(weight, w, H) for w in (rounded, quantized.dequantize())])

    base, rows = score(model), []
    for search in (False, True):
        rounded = quantize_model(model, settings["bits"], settings["group"], search=search)
        rows.append((f"rounding{', scales searched' * search}", score(model_with(model, rounded))))
    for by_activation in (False, True):
        found = gptq_model(model, stories, by_activation=by_activation, report=report if by_activation else None, **settings)
        rows.append((f"GPTQ{', by activation' * by_activation}", score(model_with(model, found))))
    print(f"\n{'squared error of the outputs':32}{'rounding':>10}{'GPTQ':>10}")
    for kind, pairs in errors.items():
        print(f"{kind:32}{sum(a for a, _ in pairs) / len(pairs):10.3%}{sum(b for _, b in pairs) / len(pairs):10.3%}")
    print(f"\n{'':32}{'bpb':>10}{'change':>10}\n{'not quantized':32}{base:10.4f}")
    for name, bpb in rows:
        print(f"{name:32}{bpb:10.4f}{bpb / base - 1:+10.2%}")
    assert all(b < a for pairs in errors.values() for a, b in pairs), "GPTQ was worse than rounding on some matrix"
    assert rows[-1][1] < rows[0][1], "GPTQ was worse than rounding"


if __name__ == "__main__":
    run(main)
