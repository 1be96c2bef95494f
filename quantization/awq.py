"""AWQ: a few input channels are large, so their weights are made larger before rounding, and the layer before smaller.

New since the last chapter: columns of W are multiplied by factors s, and the channels that they read are divided
by them, in the norm or the matrix before. The model computes what it did; but rounding now hurts a column with a large s
less, at the others' cost. s = (mean size of the channel)^a, and a is found by trying. Then each group of weights may
be cut off a little, which makes its step smaller, where the outputs gain by it. No weight is changed by gradients.
Left out on purpose: finding a on the output of a whole block, as the paper's program does; here each matrix's own
output decides, for which H is enough.
Shapes: W (R, N), H = sum of x x^T (N, N), s (N,).

    python quantization/awq.py                                  fifty seconds
    python quantization/awq.py --out out/quantization/awq       writes a folder that the C engine reads

Paper: Lin et al., "AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration" (2023).
"""

import argparse

import torch

from calibration import STAGES, head_moments, output_error, walk
from checkpoint import load_model
from cli import UserError, non_negative_int, positive_int, run
from data import Scorer, calibration_ids
from quantize import MODEL, group_size, matrices, model_with, quantize, quantize_model, small_scale
from store import write_and_score
from tokenizer import load_tokenizer

STEPS = 20  # exponents that are tried: 0, 1/20, … 1


def column_factors(size, a):
    """s (N,) = size^a, scaled so that its largest and its least are as far from 1."""
    s = size.clamp(min=1e-4 * size.max()) ** a
    return s / (s.max() * s.min()).sqrt()


def group_moments(H, G):
    """The blocks of H (N, N) on its diagonal: (groups, G, G)"""
    n = len(H) // G
    return H.view(n, G, n, G).diagonal(dim1=0, dim2=2).permute(2, 0, 1).float()


def find_factors(weights, H, size, bits, group):
    """(s, a): the factors (N,) with the least error of the outputs of matrices that read the same input, rounded."""
    best = None
    for step in range(STEPS + 1):
        s = column_factors(size, step / STEPS)
        error = sum(output_error(w, quantize(w * s, bits, group).dequantize() / s, H) for w in weights)
        if best is None or error < best[0]:
            best = error, s, step / STEPS
    return best[1:]


@torch.no_grad()
def fold(layer, stage, s, quantized):
    """Divides what the matrices of a stage read by s (N,), in the norm or the matrix before.

    quantized: {name of a matrix in the layer: Quantized} of those that are rounded already. Their integers stay: a
    row that is divided has its scales divided.
    """
    if stage[0] == "self_attn.q_proj":
        layer.input_layernorm.weight /= s
    elif stage[0] == "mlp.gate_proj":
        layer.post_attention_layernorm.weight /= s
    else:
        name = "self_attn.v_proj" if stage[0] == "self_attn.o_proj" else "mlp.up_proj"
        if stage[0] == "self_attn.o_proj":  # query heads that share a value head have the same factors
            s = s.view(layer.self_attn.K, -1, layer.self_attn.D)[:, 0].flatten()
        layer.get_submodule(name).weight /= s[:, None]
        if name in quantized:
            x = quantized[name]
            x.scale = small_scale(x.scale.float() / s[:, None])
            layer.get_submodule(name).weight.copy_(x.dequantize())


def channel_size(H, layer, stage):
    """How large each input is, (N,): the root of its mean square; for o_proj the same in heads that share values."""
    size = H.diagonal().sqrt().float()
    if stage[0] == "self_attn.o_proj":
        shared = size.view(layer.self_attn.K, -1, layer.self_attn.D)
        size = shared.mean(1, keepdim=True).expand_as(shared).flatten()
    return size


@torch.no_grad()
def awq_model(model, stories, bits=4, group=32, scaling=True, clipping=True, report=None):
    """({name: Quantized}, {name: changed norm}) for all matrices of a model. report: called with (names, a)."""
    model, found = model_with(model, {}), {}

    def settle(name, weight, H):
        G = weight.shape[1] if group == "channel" else group
        moments = group_moments(H, G) if clipping and weight.shape[1] % G == 0 else None
        found[name] = quantize(weight, bits, group, search=clipping, moments=moments)
        return found[name].dequantize()

    names = matrices(model)
    head = "lm_head.weight" if "lm_head.weight" in names else "model.embed_tokens.weight"
    H = head_moments(model, stories)
    if head != "lm_head.weight":  # a tied table: its own error counts, too
        H += torch.eye(len(H)) * H.diagonal().mean()
    model.lm_head.weight.copy_(settle(head, model.lm_head.weight, H))
    if head == "lm_head.weight":
        table = model.model.embed_tokens.weight
        found["model.embed_tokens.weight"] = quantize(table, bits, group, search=clipping)
        table.copy_(found["model.embed_tokens.weight"].dequantize())
    for number, (stage_names, modules, H) in enumerate(walk(model, stories)):
        layer, stage = model.model.layers[number // len(STAGES)], STAGES[number % len(STAGES)]
        prefix = f"model.layers.{number // len(STAGES)}."
        if scaling:
            s, a = find_factors([m.weight for m in modules], H, channel_size(H, layer, stage), bits, group)
            inside = {n.removeprefix(prefix).removesuffix(".weight"): x for n, x in found.items() if n.startswith(prefix)}
            fold(layer, stage, s, inside)
            H = H / (s[:, None] * s)
            for module in modules:
                module.weight *= s
            if report:
                report(stage_names, a)
        for name, module in zip(stage_names, modules):
            module.weight.copy_(settle(name, module.weight, H))
    norms = {name: p.detach() for name, p in model.named_parameters() if name not in names}
    return found, norms


def plain_scaling(model, stories):
    """Asserts that the factors alone change nothing: folded into layers that are not rounded."""
    changed = model_with(model, {})
    for number, (_, modules, H) in enumerate(walk(changed, stories[-1:])):
        layer, stage = changed.model.layers[number // len(STAGES)], STAGES[number % len(STAGES)]
        with torch.no_grad():
            s = column_factors(channel_size(H, layer, stage), 0.5)
            fold(layer, stage, s, {})
            for module in modules:
                module.weight *= s
    ids = torch.tensor(stories[-1:])
    with torch.inference_mode():
        difference = (model(ids) - changed(ids)).abs().max().item()
    print(f"factors folded in, nothing rounded: the largest difference of a logit is {difference:.1e}")
    assert difference < 1e-3


def main(argv=None):
    parser = argparse.ArgumentParser(description="Quantizes to int4 with AWQ, and compares it with rounding.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    parser.add_argument("--data", default="datasets/stories", help="train.txt, valid.txt (default datasets/stories)")
    parser.add_argument("--stories", type=non_negative_int, default=24, help="stories to score; 0: all (default 24)")
    parser.add_argument("--calibration", type=positive_int, default=16, help="stories to calibrate on (default 16)")
    parser.add_argument("--bits", type=int, choices=(4, 8), default=4, help="4 or 8 (default 4)")
    parser.add_argument("--group", type=group_size, default=32, help="32, 64, 128 or channel (default 32)")
    parser.add_argument("--out", help="write the quantized model into this folder, and no table")
    parser.add_argument("--threads", type=positive_int, default=1, help="CPU threads (default 1)")
    args = parser.parse_args(argv)
    if args.group == "tensor":
        raise UserError("--group tensor: AWQ works with scales by group or channel; try --group 32")
    torch.set_num_threads(args.threads)
    model, tokenizer = load_model(args.folder), load_tokenizer(f"{args.folder}/tokenizer.json")
    stories = calibration_ids(args.data, tokenizer, args.calibration, model.config.max_position_embeddings)
    score = Scorer(args.data, tokenizer, args.stories)
    print(f"{args.folder}: calibration on {len(stories)} stories, {sum(map(len, stories)):,} tokens; "
          f"bpb on {len(score.stories)} stories of {args.data}/valid.txt")
    if args.out:
        quantized, norms = awq_model(model, stories, args.bits, args.group)
        write_and_score(args.out, args.folder, quantized, model, score, norms)
        return
    plain_scaling(model, stories)
    compare(model, stories, score, args.bits, args.group)


def compare(model, stories, score, bits, group):
    """Prints the exponents that were found, and the bits per byte of rounding, factors, cutting off, and both."""
    base, rows, exponents = score(model), [], {}
    for search in (False, True):
        rounded = quantize_model(model, bits, group, search=search)
        rows.append((f"rounding{', scales searched' * search}", score(model_with(model, rounded))))

    def report(names, a):
        exponents.setdefault(names[0].removesuffix(".weight").split(".")[-1], []).append(a)

    for name, scaling, clipping in (("AWQ, factors", True, False), ("AWQ, cutting off", False, True),
                                    ("AWQ, factors and cutting off", True, True)):
        found, norms = awq_model(model, stories, bits, group, scaling, clipping, report if scaling and clipping else None)
        rows.append((name, score(model_with(model, norms | found))))
    print(f"\n{'exponents found, layer by layer':32}")
    for name, found in exponents.items():
        print(f"{name:32}" + "".join(f"{a:7.2f}" for a in found))
    print(f"\n{'':32}{'bpb':>10}{'change':>10}\n{'not quantized':32}{base:10.4f}")
    for name, bpb in rows:
        print(f"{name:32}{bpb:10.4f}{bpb / base - 1:+10.2%}")
    assert rows[-1][1] < rows[0][1], "AWQ was worse than rounding"


if __name__ == "__main__":
    run(main)
