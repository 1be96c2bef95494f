"""The Storyteller: a transformer of the Llama family, the model that the rest of the course trains.

What is new since GPT-2 (gpt2.py in this folder): RMSNorm instead of layer norm, rotary positions
instead of a learned table, a gated MLP (SwiGLU) instead of gelu, grouped queries, no biases, and
weights stored in the layout of Hugging Face's Llama, so that the same folder loads there.
Left out on purpose: the cache that makes generation fast (chapter inference).

Shapes: B sequences, T tokens, V vocabulary, C width (hidden_size), H query heads, K key and value
heads, D width of a head, F width of the MLP (intermediate_size).

    python transformer/model.py            a few seconds; shows the shapes and counts the parameters

Papers: Vaswani et al., "Attention Is All You Need" (2017); Zhang and Sennrich, "Root Mean Square
Layer Normalization" (2019); Shazeer, "GLU Variants Improve Transformer" (2020); Su et al.,
"RoFormer" (2021); Ainslie et al., "GQA" (2023); Touvron et al., "LLaMA" (2023).
"""

import argparse
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from cli import positive_int, run


@dataclass
class Config:
    """The sizes of a model, under the names that config.json has in the Hugging Face layout."""

    vocab_size: int = 4096
    hidden_size: int = 256  # C
    intermediate_size: int = 704  # F
    num_hidden_layers: int = 6
    num_attention_heads: int = 4  # H
    num_key_value_heads: int = 2  # K: each serves H / K query heads
    max_position_embeddings: int = 512  # the longest T
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5
    tie_word_embeddings: bool = True  # the output layer is the embedding table
    dropout: float = 0.0  # only while training

    @property
    def head_dim(self):
        return self.hidden_size // self.num_attention_heads  # D

    def check(self):
        """Raises ValueError, in one line, for sizes that no model can have."""
        for name in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                     "num_key_value_heads", "max_position_embeddings"):
            if type(getattr(self, name)) is not int or not 1 <= getattr(self, name) <= 2**20:
                raise ValueError(f"{name} must be a whole number from 1 to {2**20}, not {getattr(self, name)!r}")
        for name in ("rope_theta", "rms_norm_eps"):
            if type(getattr(self, name)) not in (int, float) or not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a number above 0, not {getattr(self, name)!r}")
        if type(self.tie_word_embeddings) is not bool:
            raise ValueError(f"tie_word_embeddings must be true or false, not {self.tie_word_embeddings!r}")
        if self.hidden_size % (2 * self.num_attention_heads):
            raise ValueError(f"hidden_size {self.hidden_size} must be {self.num_attention_heads} heads of an even width")
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(f"num_attention_heads {self.num_attention_heads} must be a multiple of "
                             f"num_key_value_heads {self.num_key_value_heads}")


class RMSNorm(nn.Module):
    """y = x / sqrt(mean(x^2) + eps) * weight, over the last axis. (…, C) -> (…, C)"""

    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        # the mean of squares is taken in float32: bfloat16 has too few digits to add many numbers
        scale = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)
        return (x.float() * scale).to(x.dtype) * self.weight.to(x.dtype)


# copied from: attention/positions.py::rotary_tables
def rotary_tables(head_dim, length, theta, device=None):
    """Cosines and sines of the rotary angles, each (length, head_dim): position t turns pair i by t * theta^(-2i/D)."""
    frequency = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float32, device=device) / head_dim)  # (D/2,)
    angle = torch.arange(length, dtype=torch.float32, device=device)[:, None] * frequency  # (T, D/2)
    angle = torch.cat([angle, angle], dim=-1)  # the half-split convention: pair i is (x[i], x[i + D/2])
    return angle.cos(), angle.sin()


# copied from: attention/positions.py::rotate
def rotate(x, cos, sin):
    """Turns each pair (x[i], x[i + D/2]) by its position's angle. x: (B, heads, T, D); cos, sin: (T, D)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


# copied from: attention/attention.py::causal_attention
def causal_attention(q, k, v):
    """softmax(q k^T / sqrt(D)) v, each position looking at itself and the past. q, k, v: (B, H, T, D)"""
    T, D = q.shape[-2:]
    scores = (q @ k.transpose(-2, -1)) * D**-0.5  # (B, H, T, T)
    future = torch.ones(T, T, dtype=torch.bool, device=q.device).triu(1)
    return scores.masked_fill(future, float("-inf")).float().softmax(-1).to(q.dtype) @ v


# adapted from: attention/attention.py::Attention (rotary positions, grouped queries, a fused call)
class Attention(nn.Module):
    """Causal self-attention with rotary positions and grouped queries. (B, T, C) -> (B, T, C)"""

    def __init__(self, config):
        super().__init__()
        C, D = config.hidden_size, config.head_dim
        self.H, self.K, self.D = config.num_attention_heads, config.num_key_value_heads, D
        self.q_proj = nn.Linear(C, self.H * D, bias=False)
        self.k_proj = nn.Linear(C, self.K * D, bias=False)
        self.v_proj = nn.Linear(C, self.K * D, bias=False)
        self.o_proj = nn.Linear(self.H * D, C, bias=False)

    def forward(self, x, cos, sin):
        B, T, _ = x.shape
        q = self.q_proj(x).view(B, T, self.H, self.D).transpose(1, 2)  # (B, H, T, D)
        k = self.k_proj(x).view(B, T, self.K, self.D).transpose(1, 2)  # (B, K, T, D)
        v = self.v_proj(x).view(B, T, self.K, self.D).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k = k.repeat_interleave(self.H // self.K, dim=1)  # query heads 0..H/K-1 share key head 0, and so on
        v = v.repeat_interleave(self.H // self.K, dim=1)
        if self.training and x.device.type == "cpu":  # for stories' lengths the formula trains 1.3 times as fast
            y = causal_attention(q, k, v)  # (B, H, T, D)
        else:  # the same in one fused call, without the (T, T) table in memory
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, self.H * self.D))


# adapted from: micrograd/micrograd.py::MLP (three matrices, of which one is a gate)
class MLP(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x)). (B, T, C) -> (B, T, C)"""

    def __init__(self, config):
        super().__init__()
        C, hidden = config.hidden_size, config.intermediate_size
        self.gate_proj = nn.Linear(C, hidden, bias=False)
        self.up_proj = nn.Linear(C, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, C, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): both read the residual stream and add to it."""

    def __init__(self, config):
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = MLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.dropout = config.dropout

    def forward(self, x, cos, sin):
        x = x + F.dropout(self.self_attn(self.input_layernorm(x), cos, sin), self.dropout, self.training)
        return x + F.dropout(self.mlp(self.post_attention_layernorm(x)), self.dropout, self.training)


class Model(nn.Module):
    """Embedding, blocks, final norm: token ids (B, T) -> the residual stream's last state (B, T, C)."""

    def __init__(self, config):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        cos, sin = rotary_tables(config.head_dim, config.max_position_embeddings, config.rope_theta)
        self.register_buffer("cos", cos, persistent=False)  # computed, never stored in the checkpoint
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, input_ids):
        T = input_ids.shape[1]
        x = self.embed_tokens(input_ids)  # (B, T, C)
        cos, sin = self.cos[:T].to(x.dtype), self.sin[:T].to(x.dtype)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.norm(x)


class Storyteller(nn.Module):
    """The language model: ids (B, T) -> logits (B, T, V); with targets, the mean loss in nats instead.

    Targets (B, T) hold the id that should follow each position, -1 where nothing is to be learned.
    """

    def __init__(self, config):
        super().__init__()
        config.check()
        self.config = config
        self.model = Model(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def initialize(self, seed):
        """Weights from a normal of variance 1 / (5 C); what adds to the residual stream is scaled down by its depth."""
        generator = torch.Generator().manual_seed(seed)
        std = (5 * self.config.hidden_size) ** -0.5
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if weight.dim() == 2:
                    into_stream = name.endswith(("o_proj.weight", "down_proj.weight"))
                    scale = std / (2 * self.config.num_hidden_layers) ** 0.5 if into_stream else std
                    weight.copy_(torch.randn(weight.shape, generator=generator) * scale)
        return self

    def forward(self, input_ids, targets=None):
        longest = self.config.max_position_embeddings
        if input_ids.shape[1] > longest:
            raise ValueError(f"{input_ids.shape[1]} tokens are more than the model's context of {longest}")
        x = self.model(input_ids)  # (B, T, C)
        if targets is None:
            return self.lm_head(x)  # (B, T, V)
        kept = targets.reshape(-1) != -1  # the output layer is the largest product: skip the padding
        logits = self.lm_head(x.reshape(-1, x.shape[-1])[kept])  # (N, V)
        return F.cross_entropy(logits.float(), targets.reshape(-1)[kept])

    def count_parameters(self):
        """The number of trained numbers; a tied table counts once."""
        return sum(p.numel() for p in self.parameters())


def from_depth(depth, vocab_size=4096, context=512):
    """The one dial: every size follows from the number of layers.

    Width is 64 per layer but at least 128, heads are 64 wide, every two query heads share one key
    and value head where that divides, and the MLP is 8/3 of the width, rounded up to 64: with
    its three matrices it then has the parameters of GPT-2's two of 4 C.
    """
    width = max(128, 64 * depth)
    heads = width // 64
    return Config(vocab_size=vocab_size, hidden_size=width, intermediate_size=-(-width * 8 // 3 // 64) * 64,
                  num_hidden_layers=depth, num_attention_heads=heads,
                  num_key_value_heads=heads // 2 if heads % 2 == 0 else heads, max_position_embeddings=context)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Builds a Storyteller and shows its shapes.")
    parser.add_argument("--depth", type=positive_int, default=4, help="number of layers; all sizes follow (default 4)")
    args = parser.parse_args(argv)
    model = Storyteller(from_depth(args.depth)).initialize(seed=0)
    print(f"Storyteller of depth {args.depth}: {model.config}\n")
    for name, weight in model.named_parameters():
        if ".layers." not in name or ".layers.0." in name:  # all layers look like layer 0
            print(f"{name:52}{str(tuple(weight.shape)):>14}{weight.numel():>12,}")
    print(f"{'all ' + str(args.depth) + ' layers together, parameters':66}{model.count_parameters():>12,}")
    ids = torch.arange(8)[None]  # (B=1, T=8)
    with torch.inference_mode():
        logits = model(ids)
        changed = model(torch.cat([ids[:, :7], ids[:, :1]], dim=1))  # another last token
    print(f"\nids {tuple(ids.shape)} -> logits {tuple(logits.shape)}")
    assert torch.allclose(logits[:, :7], changed[:, :7], atol=1e-5), "a later token changed an earlier prediction"
    print("changing the last token leaves the predictions before it as they were: the mask is causal")


if __name__ == "__main__":
    run(main)
