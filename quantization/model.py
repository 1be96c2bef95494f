"""The Storyteller with a cache. Copied from chapters transformer and inference: skip what you know."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


# copied from: transformer/model.py::Config
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


# copied from: transformer/model.py::RMSNorm
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


# copied from: inference/model.py::Attention
class Attention(nn.Module):
    """Causal self-attention with rotary positions and grouped queries. (B, T, C) -> (B, T, C)"""

    def __init__(self, config, layer):
        super().__init__()
        C, D = config.hidden_size, config.head_dim
        self.H, self.K, self.D, self.layer = config.num_attention_heads, config.num_key_value_heads, D, layer
        self.q_proj = nn.Linear(C, self.H * D, bias=False)
        self.k_proj = nn.Linear(C, self.K * D, bias=False)
        self.v_proj = nn.Linear(C, self.K * D, bias=False)
        self.o_proj = nn.Linear(self.H * D, C, bias=False)

    def forward(self, x, cos, sin, cache=None, step=None):
        B, T, _ = x.shape
        q = self.q_proj(x).view(B, T, self.H, self.D).transpose(1, 2)  # (B, H, T, D)
        k = self.k_proj(x).view(B, T, self.K, self.D).transpose(1, 2)  # (B, K, T, D)
        v = self.v_proj(x).view(B, T, self.K, self.D).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is not None:
            k, v = cache.append(self.layer, k, v, step)  # (B, K, L, D): the new ones and all before them
        # enable_gqa: every H / K query heads read one key head where it lies; repeating would copy the cache
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=step.mask if step else None,
                                           is_causal=cache is None, enable_gqa=True)  # (B, H, T, D)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, self.H * self.D))


# copied from: transformer/model.py::MLP
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


# copied from: inference/model.py::Block
class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): both read the residual stream and add to it."""

    def __init__(self, config, layer):
        super().__init__()
        self.self_attn = Attention(config, layer)
        self.mlp = MLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x, cos, sin, cache=None, step=None):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, cache, step)
        return x + self.mlp(self.post_attention_layernorm(x))


# copied from: inference/model.py::Model
class Model(nn.Module):
    """Embedding, blocks, final norm: token ids (B, T) -> the residual stream's last state (B, T, C)."""

    def __init__(self, config):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        cos, sin = rotary_tables(config.head_dim, config.max_position_embeddings, config.rope_theta)
        self.register_buffer("cos", cos, persistent=False)  # computed, never stored in the checkpoint
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, input_ids, cache=None):
        T = input_ids.shape[1]
        x = self.embed_tokens(input_ids)  # (B, T, C)
        if cache is None:
            step, cos, sin = None, self.cos[:T], self.sin[:T]  # (T, D)
        else:
            step = cache.begin(T)
            cos, sin = self.cos[step.positions][:, None], self.sin[step.positions][:, None]  # (B, 1, T, D)
        cos, sin = cos.to(x.dtype), sin.to(x.dtype)
        for layer in self.layers:
            x = layer(x, cos, sin, cache, step)
        if cache is not None:
            cache.advance(T)
        return self.norm(x)


# copied from: inference/model.py::Storyteller
class Storyteller(nn.Module):
    """The language model: ids (B, T) -> logits (B, T, V); with `only_last`, (B, 1, V).

    With a cache of B slots, the ids are those that follow what each slot holds already.
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

    def forward(self, input_ids, cache=None, only_last=False):
        longest = self.config.max_position_embeddings
        if input_ids.shape[1] > longest:
            raise ValueError(f"{input_ids.shape[1]} tokens are more than the model's context of {longest}")
        x = self.model(input_ids, cache)  # (B, T, C)
        return self.lm_head(x[:, -1:] if only_last else x)  # the prompt's other predictions are not needed

    def count_parameters(self):
        """The number of trained numbers; a tied table counts once."""
        return sum(p.numel() for p in self.parameters())
