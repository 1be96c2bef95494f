"""A model by its row of the table: decoders of the last years, the two stacks of 2017, and who builds which.

New since gpt2.py and model.py: one class for nine families, which reads its choices from the row. BERT and T5 have
files of their own. Left out on purpose: dropout, and the cache of keys and values (chapter inference).
Shapes: B sequences, T tokens, S tokens that an encoder reads, V vocabulary, C width, H heads.

    python transformer/families.py          counts, checks and trains them

Papers: those of family_sizes.py.
"""

import torch
import torch.nn.functional as F
from torch import nn

from bert import Bert, BertConfig
from family_parts import NORMS, Block, may_look
from model import rotary_tables
from t5 import build_t5


class Decoder(nn.Module):
    """A language model by its row: ids (B, T) -> logits (B, T, V); with targets (B, T), the mean loss in nats."""

    def __init__(self, family):
        super().__init__()
        self.family, C = family, family.width
        self.words = nn.Embedding(family.vocab, C)
        self.places = nn.Embedding(family.context, C) if family.position == "learned" else None
        self.blocks = nn.ModuleList(Block(family) for _ in range(family.layers))
        self.norm = NORMS[family.norm](C, family.eps) if family.norm_place == "pre" else None
        self.head = nn.Linear(C, family.vocab, bias=False)
        if family.tied:
            self.head.weight = self.words.weight

    def masks(self, T, device):
        """Who may look at whom, in even layers and in odd ones: two of (T, T), True where t (row) may look at s."""
        causal, banded = may_look(T, device=device), may_look(T, window=self.family.window, device=device)
        return {"causal": (causal, causal), "sliding window": (banded, banded),
                "causal, every other banded": (causal, banded)}[self.family.pattern]

    def forward(self, ids, targets=None):
        family, T = self.family, ids.shape[1]
        x = self.words(ids)  # (B, T, C): the stream begins
        if family.scaled_embedding:
            x = x * family.width**0.5
        if self.places is not None:
            x = x + self.places.weight[:T]
        rotary = family.position == "rotary"
        tables = rotary_tables(family.head_dim, T, family.theta, ids.device) if rotary else None
        masks = self.masks(T, ids.device)
        for number, block in enumerate(self.blocks):
            x = block(x, masks[number % 2], tables=tables)
        logits = self.head(x if self.norm is None else self.norm(x))  # (B, T, V)
        return logits if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten())


# copied from: attention/positions.py::sinusoidal_table
def sinusoidal_table(length, C):
    """Row t: sin and cos of t at C / 2 speeds, from one turn in 6 tokens to one in 60,000. (length, C)"""
    speed = 10000.0 ** (-torch.arange(0, C, 2) / C)  # (C/2,)
    angle = torch.arange(length)[:, None] * speed  # (length, C/2)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


class Original(nn.Module):
    """The transformer of 2017: an encoder reads (B, S), a decoder tells (B, T) and looks at it -> logits (B, T, V)."""

    def __init__(self, family):
        super().__init__()
        self.words = nn.Embedding(family.vocab, family.width)  # of both languages, and of the output
        self.encoder = nn.ModuleList(Block(family) for _ in range(family.layers))
        self.decoder = nn.ModuleList(Block(family, cross=True) for _ in range(family.layers))

    def embed(self, ids):
        x = self.words(ids) * self.words.embedding_dim**0.5
        return x + sinusoidal_table(ids.shape[1], x.shape[-1]).to(x.device)

    def forward(self, source, ids):
        memory, x = self.embed(source), self.embed(ids)
        for block in self.encoder:
            memory = block(memory)  # (B, S, C)
        mask = may_look(ids.shape[1], device=ids.device)
        for block in self.decoder:
            x = block(x, mask, memory=memory)
        return x @ self.words.weight.T


def build(family):
    """A family's model as shapes without numbers (device "meta"): nothing is stored, everything can be counted."""
    with torch.device("meta"):
        if family.sides == "encoder":
            return Bert(BertConfig(family.vocab, family.width, family.layers, family.heads, family.hidden,
                                   family.context))
        if family.objective == "spans":
            return build_t5(family)
        return Original(family) if family.sides == "both" else Decoder(family)
