"""The parts of which every transformer since 2017 is made: norms, attention, MLPs, and a block that puts them in order.

New since gpt2.py and model.py: one of each, with the family's choices as arguments. families.py builds the decoders of
these parts, bert.py and t5.py what reads in both directions. Left out on purpose: dropout, and every fused kernel.
Shapes: B sequences, T tokens (S where keys come from elsewhere), V vocabulary, C width, H query heads, K key and value
heads, D width of a head, F width of the MLP, L blocks.

    python transformer/family_parts.py      two seconds; the parts on a few numbers, and what each choice costs

Papers: Vaswani et al. (2017), and those of the families in family_sizes.py.
"""

import argparse
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from cli import run
from experts import Experts
from gpt2 import LayerNorm, gelu
from model import RMSNorm, rotary_tables, rotate

UNKNOWN = "not published"


@dataclass
class Family:
    """One row of the table: who, when, the sizes, and the choice for each part. The defaults are GPT-2's choices."""

    name: str
    year: int
    paper: str
    layers: int  # L; of the encoder and of the decoder each, where there are both
    width: int  # C
    heads: int  # H
    hidden: int  # F
    context: int  # the longest T
    vocab: int  # V
    tokens: str = UNKNOWN  # of text read in training, repetitions counted
    kv_heads: int = 0  # K; 0 becomes H
    head_dim: int = 0  # D; 0 becomes C / H
    sides: str = "decoder"  # decoder, encoder, both
    objective: str = "next token"  # next token, masked words, spans
    norm: str = "layer"  # layer, layer without bias, RMS, RMS (1 + w)
    norm_place: str = "pre"  # pre: before a branch; post: after the sum
    parallel: bool = False  # attention and MLP read the same norm, side by side
    position: str = "learned"  # learned, sinusoidal, relative, rotary
    theta: float = 10000.0  # of rotary positions
    activation: str = "gelu"  # relu, gelu, exact gelu, SwiGLU, GEGLU
    pattern: str = "causal"  # full, causal, causal and banded in turn, sliding window
    window: int = 0  # how many tokens a banded layer sees, itself among them
    bias: bool = True  # in the linear layers
    attention_bias: bool | None = None  # in those of attention; None: as `bias` says
    tied: bool = True  # one table reads words and writes them
    scaled_embedding: bool = False  # the token's row times sqrt(C)
    scaled_scores: bool = True  # scores divided by sqrt(D)
    experts: int = 0  # MLPs to choose from; 0: one, and no choice
    top_k: int = 0  # of them, a token uses
    eps: float = 1e-5

    def __post_init__(self):
        self.kv_heads = self.kv_heads or self.heads
        self.head_dim = self.head_dim or (self.width // self.heads if self.heads else None)


class PlainLayerNorm(nn.Module):
    """Layer norm without the bias, as PaLM has it. (…, C) -> (…, C)"""

    def __init__(self, size, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x):
        return F.layer_norm(x, x.shape[-1:], self.weight, None, self.eps)


class OffsetRMSNorm(nn.Module):
    """Gemma's RMSNorm: the weight is kept as its distance w from 1, and decay pulls it to 1. (…, C) -> (…, C)"""

    def __init__(self, size, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.zeros(size)), eps

    def forward(self, x):
        scale = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)
        return (x.float() * scale * (1 + self.weight.float())).to(x.dtype)


NORMS = {"layer": LayerNorm, "layer without bias": PlainLayerNorm, "RMS": RMSNorm, "RMS (1 + w)": OffsetRMSNorm}


def may_look(T, causal=True, window=0, device=None):
    """True where token t (row) may look at token s (column): (T, T).

    causal: s <= t. window: only the `window` latest, t itself among them (0: all).
    """
    t = torch.arange(T, device=device)
    apart = t[:, None] - t[None, :]  # (T, T): how far back s lies
    mask = apart >= 0 if causal else torch.ones(T, T, dtype=torch.bool, device=device)
    return mask & (apart < window) if window else mask


# adapted from: attention/attention.py::Attention (mask, bias, rotary, groups, width of a head, keys from elsewhere)
class Attention(nn.Module):
    """Every attention of this page. x (B, T, C) -> (B, T, C)

    mask   True where a token may look, broadcast to (B, H, T, S); None: everywhere
    bias   added to the scores, broadcast to (B, H, T, S): T5's relative positions
    tables cosines and sines (T, D): rotary positions
    memory (B, S, C): where keys and values come from, in place of x (cross-attention: a decoder reads the encoder)
    """

    def __init__(self, family):
        super().__init__()
        C, D, self.H, self.K = family.width, family.head_dim, family.heads, family.kv_heads
        self.scale = D**-0.5 if family.scaled_scores else 1.0
        bias = family.bias if family.attention_bias is None else family.attention_bias
        self.q_proj = nn.Linear(C, self.H * D, bias=bias)
        self.k_proj = nn.Linear(C, self.K * D, bias=bias)
        self.v_proj = nn.Linear(C, self.K * D, bias=bias)
        self.o_proj = nn.Linear(self.H * D, C, bias=bias)

    def forward(self, x, mask=None, bias=None, tables=None, memory=None):
        source = x if memory is None else memory
        q, k, v = (y.unflatten(-1, (heads, -1)).transpose(1, 2) for y, heads in (  # (B, heads, T or S, D)
            (self.q_proj(x), self.H), (self.k_proj(source), self.K), (self.v_proj(source), self.K)))
        if tables is not None:
            q, k = rotate(q, *tables), rotate(k, *tables)
        k, v = (y.repeat_interleave(self.H // self.K, dim=1) for y in (k, v))  # H / K query heads share one
        scores = q @ k.transpose(-2, -1) * self.scale  # (B, H, T, S)
        if bias is not None:
            scores = scores + bias
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        y = scores.softmax(-1) @ v  # (B, H, T, D)
        return self.o_proj(y.transpose(1, 2).flatten(2))


ACTIVATIONS = {"relu": F.relu, "gelu": gelu, "exact gelu": F.gelu, "SwiGLU": F.silu, "GEGLU": gelu}
GATED = ("SwiGLU", "GEGLU")


# adapted from: micrograd/micrograd.py::MLP (two matrices, or three where one is a gate)
class MLP(nn.Module):
    """down(act(up(x))), or with a gate down(act(gate(x)) * up(x)). (B, T, C) -> (B, T, C)"""

    def __init__(self, family):
        super().__init__()
        C, hidden = family.width, family.hidden
        self.act, gated = ACTIVATIONS[family.activation], family.activation in GATED
        self.gate_proj = nn.Linear(C, hidden, bias=family.bias) if gated else None
        self.up_proj = nn.Linear(C, hidden, bias=family.bias)
        self.down_proj = nn.Linear(hidden, C, bias=family.bias)

    def forward(self, x):
        if self.gate_proj is None:
            return self.down_proj(self.act(self.up_proj(x)))
        return self.down_proj(self.act(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    """Branches that add to the stream, in the family's order. (B, T, C) -> (B, T, C)

    cross: a third branch between the two, which looks at `memory` (B, S, C). For the others see Attention.
    """

    def __init__(self, family, cross=False):
        super().__init__()
        C, new_norm = family.width, NORMS[family.norm]
        self.post, self.parallel = family.norm_place == "post", family.parallel
        self.attention = Attention(family)
        self.mlp = Experts(C, family.hidden, family.experts, family.top_k) if family.experts else MLP(family)
        self.norm_1 = new_norm(C, family.eps)
        self.norm_2 = None if family.parallel else new_norm(C, family.eps)
        self.cross, self.norm_cross = (Attention(family), new_norm(C, family.eps)) if cross else (None, None)

    def add(self, x, norm, branch):
        return norm(x + branch(x)) if self.post else x + branch(norm(x))

    def forward(self, x, mask=None, bias=None, tables=None, memory=None, memory_mask=None):
        if self.parallel:  # PaLM: y = x + attention(norm(x)) + mlp(norm(x))
            h = self.norm_1(x)
            return x + self.attention(h, mask, bias, tables) + self.mlp(h)
        x = self.add(x, self.norm_1, lambda h: self.attention(h, mask, bias, tables))
        if self.cross is not None:
            x = self.add(x, self.norm_cross, lambda h: self.cross(h, memory_mask, memory=memory))
        return self.add(x, self.norm_2, self.mlp)


def initialize(model, seed, std=0.02):
    """Every matrix and table from a normal of deviation `std`, biases 0; norms stay at 1. Returns the model."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() > 1:
                p.copy_(std * torch.randn(p.shape, generator=generator))
            elif name.endswith("bias"):
                p.zero_()
    return model


def count_parameters(module):
    """How many numbers are trained; a shared table counts once."""
    return sum(p.numel() for p in module.parameters())


def show_parts():
    """The parts on a few numbers, to be followed with a pencil."""
    x = torch.tensor([4.0, 2.0, 0.0])
    for name, kind in NORMS.items():
        norm = kind(3, 0.0)
        if name == "RMS (1 + w)":
            nn.init.constant_(norm.weight, 0.5)
        said = name if name != "RMS (1 + w)" else "RMS (1 + w), w = 0.5"
        print(f"{said:22}(4, 2, 0) -> ({', '.join(f'{y:.2f}' for y in norm(x).tolist())})")
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    for name, act in (("relu", F.relu), ("gelu by tanh", gelu), ("gelu exact", F.gelu), ("silu, in SwiGLU", F.silu)):
        print(f"{name:22}(-2, -1, 0, 1, 2) -> ({', '.join(f'{y:.3f}' for y in act(x).tolist())})")
    print("\nwho looks at whom, of 6 tokens: full, causal, a window of 3")
    for rows in zip(*(may_look(6, causal, window).tolist() for causal, window in ((False, 0), (True, 0), (True, 3)))):
        print("    ".join(" ".join(".x"[seen] for seen in row) for row in rows))


def show_parameters():
    """What each choice costs in a block of width 64."""
    base = dict(name="", year=0, paper="", layers=1, width=64, heads=4, context=16, vocab=100)
    x = torch.randn(2, 16, 64, generator=torch.Generator().manual_seed(0))
    print("\nparameters of a block of width 64, 4 heads, MLP of 256")
    for title, choices in (
            ("as in GPT-2", {}), ("norm after the sum", {"norm_place": "post"}), ("no biases", {"bias": False}),
            ("RMSNorm", {"norm": "RMS"}), ("one key and value head", {"kv_heads": 1}),
            ("a gate", {"activation": "SwiGLU"}), ("a gate, MLP of 171", {"activation": "SwiGLU", "hidden": 171}),
            ("heads of 32", {"head_dim": 32}),
            ("side by side", {"parallel": True}), ("4 experts", {"experts": 4, "top_k": 2, "activation": "SwiGLU"})):
        family = Family(**base, **{"hidden": 256, **choices})
        block = initialize(Block(family), 0)
        y = block(x, may_look(16), tables=rotary_tables(family.head_dim, 16, family.theta))
        assert y.shape == x.shape and torch.isfinite(y).all()
        print(f"{title:24}{count_parameters(block):>10,}")


def main(argv=None):
    argparse.ArgumentParser(description="The parts of the families, by hand and counted.").parse_args(argv)
    with torch.no_grad():
        show_parts()
        show_parameters()


if __name__ == "__main__":
    run(main)
