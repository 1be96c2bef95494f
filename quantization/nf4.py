"""NF4: sixteen levels where a bell curve has its weights, and scales that are quantized themselves.

New since the last chapter: the levels need not be evenly spaced. Weights are nearly normally distributed, many
small and few large, so NF4 takes the quantiles of the normal distribution: levels are close together where weights
are many. The scale of a block of 64 is its largest number, and the scales are kept in 8 bits each ("double
quantization"). QLoRA (chapter sft) finetunes on such weights. Left out on purpose: storage and a kernel
(each weight has to be looked up, and no integers are multiplied).
Shapes: a weight (R, N) is blocks of 64 numbers, in the order in which they lie.

    python quantization/nf4.py          fifteen seconds
    python quantization/nf4.py --plot   draws figures/levels.svg

Paper: Dettmers et al., "QLoRA: Efficient Finetuning of Quantized LLMs" (2023), section 3 and appendix E.
"""

import argparse
from dataclasses import dataclass
from statistics import NormalDist

import torch

from checkpoint import load_model
from cli import non_negative_int, positive_int, run
from data import Scorer
from plot import quiet_pyplot, save_figure
from quantize import MODEL, divide, matrices, model_with, quantize, quantize_model, relative_error
from tokenizer import load_tokenizer

FIGURE = "quantization/figures/levels.svg"
BLOCK, SCALES = 64, 256  # weights that share a scale, scales that share a scale


def nf4_levels():
    """The 16 levels, from -1 to 1: quantiles of the normal distribution, eight above zero, seven below, and zero.

    The outermost quantile is the mean of 1 - 1/30 and 1 - 1/32, so that it is finite; then all are divided by it.
    """
    outermost, quantile = (1 - 1 / 30 + 1 - 1 / 32) / 2, NormalDist().inv_cdf
    above = [quantile(0.5 + (outermost - 0.5) * i / 8) for i in range(1, 9)]
    below = [-quantile(0.5 + (outermost - 0.5) * i / 7) for i in range(1, 8)]
    return torch.tensor(sorted([*below, 0.0, *above])) / quantile(outermost)


@dataclass
class NF4:
    """A weight as numbers of levels, (blocks, 64) in uint8, and its scales: float32, or 8 bits each.

    With double quantization a scale is mean + code * step / 127, where each 256 of them have their own step.
    """

    q: torch.Tensor
    scale: torch.Tensor  # (blocks,) float32, or int8 codes
    step: torch.Tensor | None  # (blocks / 256,)
    mean: float
    shape: tuple

    def scales(self):
        """The scales of the blocks, (blocks,)."""
        if self.step is None:
            return self.scale
        return self.mean + self.scale.float() * self.step.repeat_interleave(SCALES)[: len(self.scale)] / 127

    def dequantize(self):
        """The weight that the levels stand for, in float32."""
        values = nf4_levels()[self.q.long()] * self.scales()[:, None]
        return values.flatten()[: self.shape[0] * self.shape[1]].view(self.shape)

    @property
    def bits_per_weight(self):
        """What a weight takes: four bits and its share of the scales."""
        numbers = [self.scale] if self.step is None else [self.scale, self.step]
        return 4 + 8 * sum(x.numel() * x.element_size() for x in numbers) / (self.shape[0] * self.shape[1])


def quantize_nf4(weight, double=True):
    """A weight (R, N) as NF4: each number becomes the level nearest to it after division by its block's scale."""
    flat = weight.detach().float().flatten()
    blocks = torch.nn.functional.pad(flat, (0, -len(flat) % BLOCK)).view(-1, BLOCK)
    scale = blocks.abs().amax(-1)
    levels = nf4_levels()
    between = (levels[1:] + levels[:-1]) / 2  # where the nearest level changes
    if double:
        mean, scale_code, step = double_quantize(scale)
        x = NF4(torch.empty(0), scale_code, step, mean, tuple(weight.shape))
    else:
        x = NF4(torch.empty(0), scale, None, 0.0, tuple(weight.shape))
    x.q = torch.bucketize(divide(blocks, x.scales()[:, None]), between).to(torch.uint8)
    return x


def double_quantize(scale):
    """Scales (blocks,) -> their mean, int8 codes (blocks,), and a step for each 256: the mean off, they lie around 0."""
    mean = scale.mean().item()
    rest = torch.nn.functional.pad(scale - mean, (0, -len(scale) % SCALES)).view(-1, SCALES)
    step = rest.abs().amax(-1)
    code = divide(rest * 127, step[:, None]).round().flatten()[: len(scale)]
    return mean, code.to(torch.int8), step


def weights_of(quantized):
    """{name: tensor} of {name: NF4 or Quantized}."""
    return {name: x.dequantize() for name, x in quantized.items()}


def draw_levels(model, path):
    """The weights of the model, divided by the largest of their block, and the levels of int4 and NF4."""
    plt = quiet_pyplot()
    every = torch.cat([m.weight.detach().flatten() for m in matrices(model).values()]).view(-1, BLOCK)
    ratio = (every / every.abs().amax(-1, keepdim=True)).flatten()
    counts, edges = torch.histogram(ratio, 160, range=(-1.0, 1.0), density=True)
    figure, axes = plt.subplots(2, 1, figsize=(8, 4.4), layout="constrained", sharex=True)
    for axis, (name, levels) in zip(axes, (("int4: seven steps to either side", [i / 7 for i in range(-7, 8)]),
                                           ("NF4: quantiles", nf4_levels().tolist()))):
        axis.stairs(counts.tolist(), edges.tolist(), fill=True, color="#c9d6e3")
        axis.vlines(levels, 0, counts[1:-1].max().item(), color="#b5651d", linewidth=1.2)
        axis.set(title=name, ylabel="weights", ylim=(0, counts[1:-1].max().item() * 1.05), yticks=[])
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[1].set_xlabel(f"weight / the largest of its block of {BLOCK}")
    save_figure(figure, path)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Quantizes to NF4, with and without double quantization.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    parser.add_argument("--data", default="datasets/stories", help="folder with valid.txt (default datasets/stories)")
    parser.add_argument("--stories", type=non_negative_int, default=24, help="stories to score; 0: all (default 24)")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE", help=f"draw the levels (default {FIGURE})")
    parser.add_argument("--threads", type=positive_int, default=1, help="CPU threads (default 1)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    model = load_model(args.folder)
    if args.plot:
        draw_levels(model, args.plot)
        return
    score = Scorer(args.data, load_tokenizer(f"{args.folder}/tokenizer.json"), args.stories)
    print("the levels:", " ".join(f"{level:.4f}" for level in nf4_levels().tolist()))
    tails = [(w.pow(4).mean() / w.pow(2).mean() ** 2).item() for w in (m.weight.detach() for m in matrices(model).values())]
    print(f"kurtosis of the matrices: {min(tails):.1f} to {max(tails):.1f}; a normal distribution's is 3")
    used = torch.bincount(torch.cat([quantize_nf4(m.weight).q.flatten() for m in matrices(model).values()]).int())
    even = torch.bincount(torch.cat([quantize(m.weight.detach(), 4, BLOCK).q.flatten() + 8
                                     for m in matrices(model).values()]).int(), minlength=16)
    for name, counts in (("NF4 ", used), ("int4", even)):
        print(f"weights at each, % in {name}:", " ".join(f"{100 * n / counts.sum():.1f}" for n in counts.tolist()))
    base, rows = score(model), {}
    print(f"\n{'':40}{'bits/weight':>12}{'error':>9}{'bpb':>9}{'change':>9}")
    print(f"{'not quantized':40}{16:12.2f}{0:9.2%}{base:9.4f}")
    ways = {"int4, blocks of 64, float16 scales": quantize_model(model, 4, BLOCK),
            "int4, blocks of 64, searched scales": quantize_model(model, 4, BLOCK, search=True),
            "NF4, blocks of 64, float32 scales": {n: quantize_nf4(m.weight, False) for n, m in matrices(model).items()},
            "NF4, blocks of 64, double quantization": {n: quantize_nf4(m.weight) for n, m in matrices(model).items()}}
    for name, quantized in ways.items():
        sizes = [(x.bits_per_weight, matrices(model)[n].weight.numel()) for n, x in quantized.items()]
        bits = sum(b * n for b, n in sizes) / sum(n for _, n in sizes)
        error, bpb = relative_error(model, quantized), score(model_with(model, weights_of(quantized)))
        rows[name] = bits, error, bpb
        print(f"{name:40}{bits:12.2f}{error:9.2%}{bpb:9.4f}{bpb / base - 1:+9.2%}")
    int4, _, plain, double = rows.values()
    assert plain[1] < int4[1], "on these weights NF4 rounds less than int4"
    assert double[0] < plain[0] - 0.3 and double[1] < 1.02 * plain[1], "double quantization saves bits and costs little"


if __name__ == "__main__":
    run(main)
