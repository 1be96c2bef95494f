"""A block that can be GPT-2's, the Storyteller's, or anything between: switches, each one change.

New since gpt2.py and model.py: nothing that is computed, only that each part can be chosen. With all switches off the
model is gpt2.py's GPT2, with the five of CHANGES on it is model.py's Storyteller (ablations.py asserts both). Norms, gelu
and attention are torch's own calls where it has one, so that the speeds compare the ideas and not our formulas.
Left out on purpose: dropout, and GPT-2's one product for queries, keys and values (here three, as in the Storyteller).
Shapes: B sequences, T tokens, V vocabulary, C width, H query heads, K key and value heads, D = C / H, F MLP, L layers.

    python transformer/variants.py             five seconds; each change's parameters and cache, at GPT-2's size

Papers: those of model.py; Press and Wolf, "Using the Output Embedding to Improve Language Models" (2017).
"""

import argparse
import zlib
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from cli import run
from gpt2 import GPT2, GPT2Config
from model import Config, Storyteller, causal_attention, rotary_tables, rotate

EPS, THETA = 1e-5, 10000.0
CHANGES = {  # from GPT-2 to the Storyteller, and what stands there instead
    "rms_norm": ("RMSNorm", "layer norm"),
    "no_biases": ("no biases", "biases"),
    "rotary": ("rotary positions", "learned positions"),
    "swiglu": ("SwiGLU", "gelu"),
    "grouped": ("grouped queries", "a key head each"),
}


@dataclass(frozen=True)
class Variant:
    """Sizes and switches. All switches as here: GPT-2; the five of CHANGES on: the Storyteller."""

    vocab: int = 50257  # V
    context: int = 1024  # the longest T
    width: int = 768  # C
    layers: int = 12  # L
    heads: int = 12  # H
    rms_norm: bool = False  # RMSNorm for layer norm
    no_biases: bool = False  # nothing is added after a product
    query_biases: bool = False  # nothing but in queries and keys
    rotary: bool = False  # turned queries and keys for a table of positions
    swiglu: bool = False  # a gated MLP of 8/3 C for gelu's of 4 C
    grouped: bool = False  # two query heads share a key head and a value head
    tied: bool = True  # the output layer is the token table: so in both ends

    @property
    def max_position_embeddings(self):
        return self.context  # the name that data.py asks for

    @property
    def key_heads(self):
        return self.heads // 2 if self.grouped else self.heads  # K

    @property
    def cache_numbers(self):
        """Keys and values that one token leaves to remember, over all layers."""
        return 2 * self.layers * self.key_heads * (self.width // self.heads)


def mlp_width(v):
    """F: with 8/3 C the three matrices of SwiGLU have the numbers of two of 4 C."""
    return round(v.width * 8 / 3) if v.swiglu else 4 * v.width


def variant_norm(v):
    return (nn.RMSNorm if v.rms_norm else nn.LayerNorm)(v.width, eps=EPS)


class VariantAttention(nn.Module):
    """Causal self-attention, with or without rotary positions, biases, shared keys. (B, T, C) -> (B, T, C)"""

    def __init__(self, v):
        super().__init__()
        C, D = v.width, v.width // v.heads
        self.H, self.K, self.D = v.heads, v.key_heads, D
        asks = not v.no_biases or v.query_biases
        self.q_proj, self.k_proj = nn.Linear(C, C, bias=asks), nn.Linear(C, self.K * D, bias=asks)
        self.v_proj, self.o_proj = nn.Linear(C, self.K * D, bias=not v.no_biases), nn.Linear(C, C, bias=not v.no_biases)

    def forward(self, x, turn):
        B, T, C = x.shape
        q = self.q_proj(x).view(B, T, self.H, self.D).transpose(1, 2)  # (B, H, T, D)
        k = self.k_proj(x).view(B, T, self.K, self.D).transpose(1, 2)  # (B, K, T, D)
        v = self.v_proj(x).view(B, T, self.K, self.D).transpose(1, 2)
        if turn is not None:
            q, k = rotate(q, *turn), rotate(k, *turn)
        if self.K < self.H:
            k, v = (part.repeat_interleave(self.H // self.K, dim=1) for part in (k, v))
        return self.o_proj(causal_attention(q, k, v).transpose(1, 2).reshape(B, T, C))


class VariantMLP(nn.Module):
    """down(gelu(up(x))), or down(silu(gate(x)) * up(x)) with as many numbers in its matrices. (B, T, C) -> (B, T, C)"""

    def __init__(self, v):
        super().__init__()
        hidden = mlp_width(v)
        self.up_proj = nn.Linear(v.width, hidden, bias=not v.no_biases)
        self.gate_proj = nn.Linear(v.width, hidden, bias=not v.no_biases) if v.swiglu else None
        self.down_proj = nn.Linear(hidden, v.width, bias=not v.no_biases)

    def forward(self, x):
        if self.gate_proj is None:
            return self.down_proj(F.gelu(self.up_proj(x), approximate="tanh"))
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class VariantBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): this has not changed since GPT-2. (B, T, C) -> (B, T, C)"""

    def __init__(self, v):
        super().__init__()
        self.norm1, self.attention = variant_norm(v), VariantAttention(v)
        self.norm2, self.mlp = variant_norm(v), VariantMLP(v)

    def forward(self, x, turn):
        x = x + self.attention(self.norm1(x), turn)
        return x + self.mlp(self.norm2(x))


class VariantModel(nn.Module):
    """The language model: ids (B, T) -> logits (B, T, V); with targets (-1: none), the mean loss in nats instead."""

    def __init__(self, v):
        super().__init__()
        self.config = v
        self.tokens = nn.Embedding(v.vocab, v.width)
        self.positions = None if v.rotary else nn.Embedding(v.context, v.width)
        self.layers = nn.ModuleList(VariantBlock(v) for _ in range(v.layers))
        self.norm = variant_norm(v)
        self.output = None if v.tied else nn.Linear(v.width, v.vocab, bias=False)
        self.turn = rotary_tables(v.width // v.heads, v.context, THETA) if v.rotary else None

    def initialize(self, seed):
        """model.py's rule for all: a normal of variance 1 / (5 C), less by 2 L where a matrix adds to the stream.

        A tensor's numbers follow from the seed and its own name: what two variants share begins the same in both.
        """
        C, L = self.config.width, self.config.layers
        with torch.no_grad():
            for name, p in self.named_parameters():
                if p.dim() == 2:
                    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
                    scale = (5 * C * (2 * L if name.endswith(("o_proj.weight", "down_proj.weight")) else 1)) ** -0.5
                    p.copy_(torch.randn(p.shape, generator=generator) * scale)
                else:
                    p.fill_(0.0 if name.endswith("bias") else 1.0)
        return self

    def forward(self, input_ids, targets=None):
        T = input_ids.shape[1]
        x = self.tokens(input_ids)  # (B, T, C)
        if self.positions is not None:
            x = x + self.positions.weight[:T]
        turn = None if self.turn is None else [table[:T] for table in self.turn]
        for block in self.layers:
            x = block(x, turn)
        x, table = self.norm(x), self.tokens.weight if self.output is None else self.output.weight
        if targets is None:
            return x @ table.T  # (B, T, V)
        kept = targets.flatten() != -1
        return F.cross_entropy(x.flatten(0, 1)[kept] @ table.T, targets.flatten()[kept])


def as_gpt2(model):
    """gpt2.py's GPT2 with the weights of a VariantModel whose switches are all off."""
    v, given = model.config, model.state_dict()
    result = GPT2(GPT2Config(v.vocab, v.context, v.width, v.layers, v.heads, EPS))
    renamed = {"transformer.wte.weight": given["tokens.weight"], "lm_head.weight": given["tokens.weight"],
               "transformer.wpe.weight": given["positions.weight"]}
    for kind in ("weight", "bias"):
        renamed[f"transformer.ln_f.{kind}"] = given[f"norm.{kind}"]
        for i in range(v.layers):
            here, there = f"layers.{i}", f"transformer.h.{i}"
            renamed[f"{there}.attn.c_attn.{kind}"] = torch.cat(
                [given[f"{here}.attention.{part}_proj.{kind}"] for part in "qkv"])
            for new, old in (("ln_1", "norm1"), ("attn.c_proj", "attention.o_proj"), ("ln_2", "norm2"),
                             ("mlp.c_fc", "mlp.up_proj"), ("mlp.c_proj", "mlp.down_proj")):
                renamed[f"{there}.{new}.{kind}"] = given[f"{here}.{old}.{kind}"]
    result.load_state_dict(renamed)
    return result


def as_storyteller(model):
    """model.py's Storyteller with the weights of a VariantModel that has all four changes."""
    v = model.config
    config = Config(v.vocab, v.width, mlp_width(v), v.layers, v.heads, v.key_heads, v.context, THETA, EPS, v.tied)
    names = {"tokens.": "model.embed_tokens.", "output.": "lm_head.", "norm.": "model.norm.", "layers.": "model.layers.",
             ".norm1.": ".input_layernorm.", ".norm2.": ".post_attention_layernorm.", ".attention.": ".self_attn."}
    renamed = {}
    for name, tensor in model.state_dict().items():
        for ours, theirs in names.items():
            name = theirs + name[len(ours):] if name.startswith(ours) else name.replace(ours, theirs) \
                if ours[0] == "." else name
        renamed[name] = tensor
    if v.tied:
        renamed["lm_head.weight"] = renamed["model.embed_tokens.weight"]
    result = Storyteller(config)
    result.load_state_dict(renamed)
    return result


def variants(base):
    """{name: Variant}: GPT-2, GPT-2 with each change alone, the Storyteller, and the Storyteller without each."""
    all_changes = replace(base, **dict.fromkeys(CHANGES, True))
    found = {"GPT-2": base}
    found |= {f"GPT-2, {new}": replace(base, **{name: True}) for name, (new, _) in CHANGES.items()}
    found |= {"GPT-2, untied": replace(base, tied=False), "Storyteller": all_changes}
    found |= {f"Storyteller, {old}": replace(all_changes, **{name: False}) for name, (_, old) in CHANGES.items()}
    return found | {"Storyteller, biases in q and k": replace(all_changes, query_biases=True),
                    "Storyteller, untied": replace(all_changes, tied=False)}


def count_variant(v):
    """The parameters of a variant, counted on shapes without memory."""
    with torch.device("meta"):
        return sum(p.numel() for p in VariantModel(v).parameters())


def main(argv=None):
    argparse.ArgumentParser(description="Counts what each change does to a model of GPT-2's size.").parse_args(argv)
    base = Variant()
    print(f"at GPT-2's size: {base.layers} layers, width {base.width}, {base.heads} heads, {base.vocab:,} tokens, "
          f"context {base.context:,}\n{'':36}{'parameters':>14}{'cache, 2-byte numbers':>24}")
    for name, v in variants(base).items():
        print(f"{name:36}{count_variant(v):14,}{2 * v.cache_numbers:16,} bytes/token")
    assert count_variant(base) == 124_439_808, "GPT-2 has 124,439,808 parameters"


if __name__ == "__main__":
    run(main)
