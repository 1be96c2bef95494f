"""Weights as small integers: int8 and int4, symmetric or not, one scale for a tensor, a row or a group.

New since the last chapter: a number is stored as an integer, value = (q - zero) * scale, and many numbers share
one scale. The script measures what each way costs, in bits per byte, on the shipped model. Left out on purpose:
what the inputs say about which weights matter (gptq.py, awq.py), levels that are not evenly spaced (nf4.py),
and activations (activations.py).
Shapes: a weight is (R, N), R outputs and N inputs; G weights of one row make a group.

    python quantization/quantize.py                                              the table; forty seconds
    python quantization/quantize.py --stories 0                                  on all of valid.txt
    python quantization/quantize.py --bits 8 --group 32 --out out/quantization/int8     writes a folder
    python quantization/quantize.py --plot                                       draws figures/groups.svg

Papers: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference" (2018); Dettmers et al., "LLM.int8()" (2022), for rows and groups in place of tensors.
"""

import argparse
import copy
from dataclasses import dataclass

import torch
from torch import nn

from checkpoint import load_model
from cli import UserError, non_negative_int, positive_int, run
from data import Scorer
from plot import quiet_pyplot, save_figure
from tokenizer import load_tokenizer

MODEL = "deployment/weights/storyteller"
FIGURE = "quantization/figures/groups.svg"
GROUPS = 32, 64, 128
SEARCH = 16  # scales that a search tries, of either sign


@dataclass
class Quantized:
    """A weight (R, N) as integers: value = (q - zero) * scale, where each group of G columns has its own scale.

    q is int8, or uint8 where there are zeros; scale and zero are (R, groups), or (1, 1) for one scale in all.
    """

    q: torch.Tensor
    scale: torch.Tensor
    zero: torch.Tensor | None  # None: symmetric, the zero is 0
    bits: int  # 8 or 4
    group: int  # G

    def dequantize(self):
        """The weight that the integers stand for, (R, N) in float32."""
        N = self.q.shape[1]
        scale = self.scale.float().repeat_interleave(self.group, 1)[:, :N]  # (R, N)
        if self.zero is None:
            return self.q.float() * scale
        return (self.q.float() - self.zero.float().repeat_interleave(self.group, 1)[:, :N]) * scale

    @property
    def bits_per_weight(self):
        """What a weight takes, its share of scale and zero (of as many bits as an integer) included."""
        zeros = 0 if self.zero is None else self.zero.numel() * self.bits
        return self.bits + (self.scale.numel() * self.scale.element_size() * 8 + zeros) / self.q.numel()


def integer_range(bits, symmetric=True):
    """The least and the largest integer: -127 and 127, -8 and 7; 0 and 255, 0 and 15 where there is a zero."""
    if not symmetric:
        return 0, 2**bits - 1
    return (-127, 127) if bits == 8 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def in_groups(weight, G):
    """(R, N) -> (R, groups, G); a last group that is too short is filled up with zeros."""
    R, N = weight.shape
    return nn.functional.pad(weight, (0, -N % G)).view(R, -1, G)


def small_scale(scale):
    """The scales in float16, half the bytes; in float32 where float16 cannot hold one of them to a thousandth."""
    half = scale.half()
    return half if bool(((half.float() - scale).abs() <= scale.abs() / 1024).all()) else scale


def divide(x, scale):
    """x / scale, and 0 where the scale is 0: such a group holds only zeros."""
    return torch.where(scale == 0, torch.zeros_like(x), x / torch.where(scale == 0, torch.ones_like(scale), scale))


def find_scale(groups, bits, search=False, moments=None):
    """The symmetric scales (R, groups) of groups (R, groups, G), in float16 where that does.

    Without search the largest number of a group becomes 127 or 7. With search the scale may be smaller, so that
    the largest is cut off and the others are rounded less, or negative, so that -8 is of use to a positive one:
    the scale with the least squared error is taken. moments (groups, G, G), blocks of the H of calibration.py:
    the error of the outputs decides, in place of the weights'.
    """
    low, high = integer_range(bits)
    top = groups.abs().amax(-1)
    best = small_scale(top / high)
    if not search:
        return best
    least = torch.full_like(top, torch.inf)
    for i in range(SEARCH):
        for sign in (1, -1) if bits == 4 else (1,):
            scale = small_scale(sign * top / (high + (high - low) / 4 * i / SEARCH))
            wrong = groups - round_to(groups, scale, bits) * scale.float()[..., None]
            seen = wrong if moments is None else torch.einsum("rgi,gij->rgj", wrong, moments)
            error = (wrong * seen).sum(-1)
            best = torch.where(error < least, scale, best)
            least = torch.minimum(error, least)
    return best


def round_to(groups, scale, bits):
    """The nearest integers of the range, as floats: (R, groups, G) and scales (R, groups) -> (R, groups, G)."""
    return divide(groups, scale.float()[..., None]).round().clamp(*integer_range(bits))


def quantize(weight, bits=8, group=32, symmetric=True, search=False, moments=None):
    """A weight (R, N) as a Quantized.

    group: the columns that share a scale, or "channel" for a whole row, or "tensor" for all. Rounding is to the
    nearest, halves to the even one. search, moments: see find_scale. Raises ValueError for numbers not finite.
    """
    if not bool(torch.isfinite(weight).all()):
        raise ValueError("the weight has numbers that are not finite")
    R, N = weight.shape
    if group == "tensor":
        whole = quantize(weight.reshape(1, -1), bits, "channel", symmetric, search)
        return Quantized(whole.q.view(R, N), whole.scale, whole.zero, bits, N)
    G = N if group == "channel" else min(group, N)
    groups = in_groups(weight.float(), G)
    if symmetric:
        scale, zero = find_scale(groups, bits, search, moments), None
        q = round_to(groups, scale, bits)
    else:
        low, high = integer_range(bits, symmetric=False)
        bottom, top = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)  # 0 must be one of the values
        scale = small_scale((top - bottom) / high)
        zero = divide(-bottom, scale.float()).round().clamp(low, high)
        q = (divide(groups, scale.float()[..., None]).round() + zero[..., None]).clamp(low, high)
    q = q.view(R, -1)[:, :N].to(torch.int8 if symmetric else torch.uint8)
    return Quantized(q.contiguous(), scale, None if zero is None else zero.to(torch.uint8), bits, G)


def matrices(model):
    """{name: module} of all that is quantized: every linear layer, and the embedding. A tied table comes once."""
    found = {f"{name}.weight": module for name, module in model.named_modules()
             if isinstance(module, nn.Linear | nn.Embedding)}
    if model.config.tie_word_embeddings:
        del found["lm_head.weight"]
    return found


@torch.no_grad()
def model_with(model, weights):
    """A copy of the model that has the weights {name: (R, N), or a Quantized}; the others are as they were."""
    model = copy.deepcopy(model)
    parameters = dict(model.named_parameters())
    for name, weight in weights.items():
        parameters[name].copy_(weight if isinstance(weight, torch.Tensor) else weight.dequantize())
    return model


def quantize_model(model, bits=8, group=32, symmetric=True, search=False):
    """{name: Quantized} for all matrices of a model."""
    return {name: quantize(module.weight.detach(), bits, group, symmetric, search)
            for name, module in matrices(model).items()}


def relative_error(model, quantized):
    """The root mean squared error of all quantized weights, as a share of their root mean square."""
    error = total = 0.0
    for name, module in matrices(model).items():
        error += (module.weight.detach() - quantized[name].dequantize()).square().sum().item()
        total += module.weight.detach().square().sum().item()
    return (error / total) ** 0.5


def mean_bits(quantized):
    """Bits a weight, over all tensors of {name: Quantized}."""
    return sum(x.bits_per_weight * x.q.numel() for x in quantized.values()) / sum(x.q.numel() for x in quantized.values())


def table(model, score):
    """Prints a line for each way to quantize; returns {(bits, group, kind): (bits a weight, error, bpb)}."""
    base = score(model)
    print(f"{'':36}bits/weight   error      bpb   change\n{'not quantized (bfloat16)':36}{16:11.2f}{0:8.2%}{base:9.4f}")
    ways = [(8, g, "symmetric") for g in ("tensor", "channel", 128, 64, 32)] + [(8, "channel", "asymmetric")]
    ways += [(4, g, "symmetric") for g in ("tensor", "channel", 128, 64, 32)]
    ways += [(4, 32, "asymmetric"), (4, 64, "searched"), (4, 32, "searched")]
    rows = {}
    for bits, group, kind in ways:
        quantized = quantize_model(model, bits, group, kind != "asymmetric", kind == "searched")
        error, bpb = relative_error(model, quantized), score(model_with(model, quantized))
        rows[bits, group, kind] = mean_bits(quantized), error, bpb
        where = f"group of {group}" if group in GROUPS else f"a scale a {group}"
        print(f"int{bits} {kind:11} {where:18} {mean_bits(quantized):12.2f}{error:8.2%}{bpb:9.4f}{bpb / base - 1:+9.2%}")
    for bits in (8, 4):  # every NaN fails
        errors = [rows[bits, group, "symmetric"][1] for group in ("tensor", "channel", 128, 64, 32)]
        assert all(a > b for a, b in zip(errors, errors[1:])), "a smaller group must have a smaller error"
    assert rows[8, 32, "symmetric"][2] < 1.005 * base, "int8 costs more than half a percent"
    assert rows[4, "tensor", "symmetric"][2] > 1.05 * base > rows[8, "tensor", "symmetric"][2]
    return rows


def draw_errors(model, path):
    """The weights' error by the size of a group, int8 and int4, three ways."""
    plt = quiet_pyplot()
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    sizes = [8, 16, 32, 64, 128, 320]
    for axis, bits in zip(axes, (8, 4)):
        for kind, color in (("symmetric", "#2b5d8a"), ("asymmetric", "#b5651d"), ("searched", "#4a7c3a")):
            ways = [quantize_model(model, bits, size, kind != "asymmetric", kind == "searched") for size in sizes]
            axis.plot(range(len(sizes)), [100 * relative_error(model, way) for way in ways], "o-", color=color, label=kind,
                      linewidth=1 if kind == "searched" else 2.5)
        axis.set(title=f"int{bits}", xlabel="weights in a group", ylabel="error, % of the weights' size", ylim=(0, None))
        axis.set_xticks(range(len(sizes)), [str(s) for s in sizes])
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False)
    save_figure(figure, path)


def group_size(text):
    """An argparse type: a number of weights, or "channel" or "tensor"."""
    return text if text in ("channel", "tensor") else positive_int(text)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Quantizes a model's weights by rounding, and measures what it costs.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    parser.add_argument("--data", default="datasets/stories", help="folder with valid.txt (default datasets/stories)")
    parser.add_argument("--stories", type=non_negative_int, default=24, help="stories to score; 0: all (default 24)")
    parser.add_argument("--bits", type=int, choices=(4, 8), default=8, help="with --out: 4 or 8 (default 8)")
    parser.add_argument("--group", type=group_size, default=32, help="with --out: 32, 64, 128 or channel (default 32)")
    parser.add_argument("--out", help="write one quantized model into this folder, and no table")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE", help=f"draw the errors (default {FIGURE})")
    parser.add_argument("--threads", type=positive_int, default=1, help="CPU threads (default 1)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    model = load_model(args.folder)
    if args.plot:
        draw_errors(model, args.plot)
        return
    score = Scorer(args.data, load_tokenizer(f"{args.folder}/tokenizer.json"), args.stories)
    print(f"{args.folder}: {model.count_parameters():,} parameters; bpb on {len(score.stories)} stories of {args.data}")
    if args.out is None:
        print()
        table(model, score)
        return
    from store import write_and_score  # here: store.py needs this file

    if args.group == "tensor":
        raise UserError("--group tensor: a stored model has scales by group or channel; try --group 32")
    quantized = quantize_model(model, args.bits, args.group, search=args.bits == 4)
    write_and_score(args.out, args.folder, quantized, model, score)


if __name__ == "__main__":
    run(main)
