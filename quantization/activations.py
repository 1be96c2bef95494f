"""Activations as int8 too, chosen anew for each token, so that products are of integers; and what outliers do to that.

New since the last chapter: while the model runs, what enters a matrix is quantized as well ("dynamic": its scale
comes from the numbers themselves). Then a product of 32 pairs is 32 small integers, summed exactly, and two
scales; csrc/quant.h does the same. One number that is far larger than its neighbors takes all their digits: the
script shows how large the shipped model's are, and plants one as large models have them.
Left out on purpose: int8 for what lies between the products (norms, softmax, the residual stream).
Shapes: x (…, N) enters a matrix (R, N); blocks of B columns of one token share a scale.

    python quantization/activations.py          half a minute
    python quantization/activations.py --plot   draws figures/outliers.svg

Papers: Dettmers et al., "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale" (2022); Xiao et al.,
"SmoothQuant" (2023).
"""

import argparse
import copy

import torch
from torch import nn

from calibration import STAGES
from checkpoint import load_model
from cli import non_negative_int, positive_int, run
from data import Scorer, calibration_ids
from plot import quiet_pyplot, save_figure
from quantize import MODEL, in_groups, model_with, quantize_model
from tokenizer import load_tokenizer

FIGURE = "quantization/figures/outliers.svg"
BLOCK = 32
OUTLIER = 6.0  # LLM.int8()'s threshold: a channel with a larger number is left in float
PLANTED = 100.0


def quantize_activations(x, block=BLOCK, bits=8):
    """x (…, N) -> integers (…, blocks, B) as floats and their scales (…, blocks, 1).

    block: how many columns share a scale, "token" for all of a token's, "tensor" for all of all tokens.
    """
    high = 2 ** (bits - 1) - 1
    groups = in_groups(x.reshape(-1, x.shape[-1]), x.shape[-1] if isinstance(block, str) else block)
    peak = groups.abs().amax(-1, keepdim=True)  # (n, blocks, 1)
    if block == "tensor":
        peak = peak.amax().expand_as(peak)
    inverse = torch.where(peak < 1e-30, 0.0, high / peak)  # a block of zeros stays one
    scale = torch.where(peak < 1e-30, 0.0, peak / high)
    return (groups * inverse).round().view(*x.shape[:-1], *groups.shape[1:]), scale.view(*x.shape[:-1], -1, 1)


class IntLinear(nn.Module):
    """y = W x with a Quantized W and activations that are quantized as they come. (…, N) -> (…, R)

    outlier: channels in which some |x| is larger are not quantized, neither x nor W (`weight`, the original).
    """

    def __init__(self, quantized, block=BLOCK, bits=8, outlier=None, weight=None):
        super().__init__()
        self.quantized, self.block, self.bits, self.outlier = quantized, block, bits, outlier
        self.register_buffer("values", quantized.dequantize())
        self.original = weight

    def forward(self, x):
        if self.outlier is not None:
            large = x.flatten(0, -2).abs().amax(0) > self.outlier  # (N,)
            rest = x.masked_fill(large, 0)
            return self.rounded(rest) @ self.values.T + x[..., large] @ self.original[:, large].T
        return self.rounded(x) @ self.values.T

    def rounded(self, x):
        """What x becomes: integers times scales. (…, N) -> (…, N)"""
        q, scale = quantize_activations(x, self.block, self.bits)
        return (q * scale).flatten(-2)[..., : x.shape[-1]]

    def integers(self, x):
        """The same y as `forward`, sums over integers first, in the order and the roundings of csrc/quant.h."""
        q, scale = quantize_activations(x.flatten(0, -2))  # (n, blocks, 32), (n, blocks, 1)
        w, W, y = self.quantized, in_groups(self.quantized.q.float(), BLOCK), 0.0  # W (R, blocks, 32)
        for g in range(w.scale.shape[1]):
            inner = 0.0
            for b in range(g * w.group // BLOCK, (g + 1) * w.group // BLOCK):
                inner = inner + scale[:, b] * (q[:, b] @ W[:, b].T)  # (n, R); sums below 2^24: exact in float32
            y = y + w.scale[:, g].float() * inner
        return y.view(*x.shape[:-1], -1)


def with_integers(model, quantized, block=BLOCK, bits=8, outlier=None):
    """A copy of the model whose every linear layer is an IntLinear of {name: Quantized}."""
    changed, old = model_with(model, quantized), dict(model.named_parameters(remove_duplicate=False))
    for name, module in list(changed.named_modules()):
        if isinstance(module, nn.Linear):
            tied = name == "lm_head" and model.config.tie_word_embeddings
            x = quantized["model.embed_tokens.weight" if tied else f"{name}.weight"]
            changed.set_submodule(name, IntLinear(x, block, bits, outlier, old[f"{name}.weight"].detach()))
    return changed


@torch.inference_mode()
def largest_inputs(model, stories):
    """{name of a matrix: (largest |x| of each channel (N,), root mean square of all)} for one matrix of each stage."""
    found, handles = {}, []

    def note(name):
        def hook(module, inputs):
            x = inputs[0].flatten(0, -2)
            top, total, count = found.get(name, (torch.zeros(x.shape[1]), 0.0, 0))
            found[name] = torch.maximum(top, x.abs().amax(0)), total + x.square().sum().item(), count + x.numel()
        return hook

    names = [f"model.layers.{i}.{stage[0]}" for i in range(model.config.num_hidden_layers) for stage in STAGES]
    for name in [*names, "lm_head"]:
        handles.append(model.get_submodule(name).register_forward_pre_hook(note(name)))
    for ids in stories:
        model(torch.tensor([ids]))
    for handle in handles:
        handle.remove()
    return {name: (top, (total / count) ** 0.5) for name, (top, total, count) in found.items()}


@torch.no_grad()
def plant_outlier(model, layer=1, channel=7, factor=PLANTED):
    """A copy that computes the same, with one channel before the MLP of a layer that is `factor` times larger.

    The norm's weight of that channel is multiplied, and the columns of the matrices that read it are divided.
    """
    model = copy.deepcopy(model)
    block = model.model.layers[layer]
    block.post_attention_layernorm.weight[channel] *= factor
    for matrix in (block.mlp.gate_proj, block.mlp.up_proj):
        matrix.weight[:, channel] /= factor
    return model


def compare(model, score):
    """Prints bpb for ways to quantize activations, of the model and of the one with a planted outlier."""
    models = model, plant_outlier(model)
    weights = [quantize_model(m, 8, 32) for m in models]
    base = score(model)
    print(f"\n{'bits per byte':44}{'as it is':>10}{'change':>9}{'planted':>10}{'change':>9}")
    ways = [("float activations", None), ("int8, a scale a tensor", ("tensor", 8, None)),
            ("int8, a scale a token", ("token", 8, None)),
            (f"int8, a scale a token, |x| > {OUTLIER:g} in float", ("token", 8, OUTLIER)),
            (f"int8, a scale a block of {BLOCK}", (BLOCK, 8, None)), ("int4, a scale a token", ("token", 4, None)),
            (f"int4, a scale a block of {BLOCK}", (BLOCK, 4, None))]  # fmt: skip
    rows = {}
    for name, way in ways:
        rows[name] = [score(with_integers(m, w, *way) if way else model_with(m, w)) for m, w in zip(models, weights)]
        print(f"{name:44}" + "".join(f"{bpb:10.4f}{bpb / base - 1:+9.2%}" for bpb in rows[name]))
    tensor, token, mixed, blocks = (rows[name] for name, way in ways[1:5])
    assert blocks[0] < 1.005 * base, "int8 activations in blocks cost more than half a percent"
    assert token[1] > token[0] and mixed[1] < token[1] and blocks[1] < token[1], "the planted outlier does no harm"


@torch.inference_mode()
def show_flips(model, ids):
    """Prints what a change of one part in ten million does to the logits of a model, of floats and of integers."""
    ids, changed = torch.tensor([ids]), copy.deepcopy(model)
    noise = torch.randn(model.config.hidden_size, generator=torch.Generator().manual_seed(0))
    changed.model.embed_tokens.weight *= 1 + 1e-7 * noise
    quantized = quantize_model(model, 8, 32)
    floats, moved, integers, jumped = model(ids), changed(ids), *(with_integers(m, quantized) for m in (model, changed))
    jumped.model.embed_tokens.weight.copy_(integers.model.embed_tokens.weight * (1 + 1e-7 * noise))
    integers = integers(ids)
    size, by, cost, flips = (x.std().item() for x in (floats, moved - floats, integers - floats, jumped(ids) - integers))
    print(f"\nlogits of {size:.1f} on average; int8 moves them by {cost:.4f}. Embeddings changed by one part in 10^7\n"
          f"move those of floats by {by:.1e}, those of int8 by {flips:.4f}: a rounding that flips is a whole step")
    assert flips > 100 * by


def draw_channels(model, stories, path):
    """The largest input of each channel, before the MLP of one layer: as it is, and with an outlier planted."""
    plt = quiet_pyplot()
    figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
    gate, down = "model.layers.1.mlp.gate_proj", f"model.layers.{model.config.num_hidden_layers - 1}.mlp.down_proj"
    pictures = (("layer 1, before the MLP", model, gate), ("the last layer's down_proj", model, down),
                ("layer 1, channel 7 made large", plant_outlier(model), gate))
    for axis, (title, m, name) in zip(axes, pictures):
        top, rms = largest_inputs(m, stories)[name]
        axis.stairs(top.tolist(), fill=True, color="#2b5d8a")
        axis.axhline(rms, color="#b5651d", linewidth=1, label="root mean square")
        axis.set(title=title, xlabel="channel", ylabel="largest |x|")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    save_figure(figure, path)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Quantizes activations to int8, and shows what outliers do.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    parser.add_argument("--data", default="datasets/stories", help="train.txt, valid.txt (default datasets/stories)")
    parser.add_argument("--stories", type=non_negative_int, default=16, help="stories to score; 0: all (default 16)")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE", help=f"draw the channels (default {FIGURE})")
    parser.add_argument("--threads", type=positive_int, default=1, help="CPU threads (default 1)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    model, tokenizer = load_model(args.folder), load_tokenizer(f"{args.folder}/tokenizer.json")
    stories = calibration_ids(args.data, tokenizer, 16, model.config.max_position_embeddings)
    if args.plot:
        draw_channels(model, stories, args.plot)
        return
    print(f"{args.folder}: what enters the matrices, over {sum(map(len, stories)):,} tokens\n\n"
          f"{'matrix':36}{'rms':>8}{'largest':>9}{'over rms':>10}{'channels over ' + format(OUTLIER, 'g'):>18}")
    for name, (top, rms) in largest_inputs(model, stories).items():
        print(f"{name:36}{rms:8.3f}{top.max():9.2f}{top.max() / rms:10.1f}{int((top > OUTLIER).sum()):12} of {len(top)}")
    show_flips(model, stories[0][:64])
    compare(model, Scorer(args.data, tokenizer, args.stories))


if __name__ == "__main__":
    run(main)
