"""The KV cache. Copied from chapter inference, without its demonstration: skip what you know."""

from dataclasses import dataclass

import torch


# copied from: inference/kv_cache.py::Step
@dataclass
class Step:
    """Where the new tokens of one forward pass go; the same for every layer, so it is computed once."""

    positions: torch.Tensor  # (B, T)
    index: torch.Tensor  # (B K T,) rows of a layer's memory seen as (slots K max_length, D)
    mask: torch.Tensor | None  # (B, 1, T, L) 0 where a key may be seen, -inf elsewhere; None: all of them
    longest: int  # L


# copied from: inference/kv_cache.py::KVCache
class KVCache:
    """Keys and values of every layer, for several sequences of different lengths at once.

    `k` and `v` are (layers, slots, K, max_length, D), allocated once. Row b of a batch lives in slot b,
    its token t at [:, b, :, t]; `lengths` (slots,) says how much of a slot is filled, and what lies
    behind that is never seen. A forward pass over B rows gets a cache of B slots: `rows` gives one.
    """

    def __init__(self, config, slots, max_length, dtype=torch.float32, device="cpu"):
        shape = (config.num_hidden_layers, slots, config.num_key_value_heads, max_length, config.head_dim)
        self.k = torch.zeros(shape, dtype=dtype, device=device)
        self.v = torch.zeros(shape, dtype=dtype, device=device)
        self.lengths = torch.zeros(slots, dtype=torch.int64)  # on the CPU: every step asks for the longest

    @property
    def slots(self):
        """How many sequences there is room for."""
        return self.k.shape[1]

    @property
    def max_length(self):
        """How many tokens a slot holds."""
        return self.k.shape[3]

    @property
    def nbytes(self):
        """The memory it takes, filled or not."""
        return 2 * self.k.numel() * self.k.element_size()

    def rows(self, start, stop):
        """The same memory, seen as a cache of the slots start … stop - 1 alone."""
        view = object.__new__(KVCache)
        view.k, view.v = self.k[:, start:stop], self.v[:, start:stop]
        view.lengths = self.lengths[start:stop]
        return view

    def begin(self, T):
        """Where T new tokens of every slot go. Raises ValueError where a slot has no room for them."""
        positions = self.lengths[:, None] + torch.arange(T)  # (B, T): row b goes on at its own length
        longest = int(self.lengths.max()) + T
        if longest > self.max_length:
            raise ValueError(f"{longest} tokens are more than the {self.max_length} that the cache holds")
        B, K = self.k.shape[1:3]
        first = (torch.arange(B * K) * self.max_length).view(B, K, 1)  # where a head's memory begins
        index = (first + positions[:, None]).flatten()
        mask = None
        if T > 1 or int(self.lengths.min()) != longest - T:
            hidden = torch.arange(longest) > positions[:, None, :, None]  # (B, 1, T, L): not yet written
            mask = torch.zeros(hidden.shape, dtype=self.k.dtype).masked_fill_(hidden, float("-inf"))
            mask = mask.to(self.k.device)
        return Step(positions.to(self.k.device), index.to(self.k.device), mask, longest)

    def append(self, layer, k, v, step):
        """Writes the new k, v (B, K, T, D) of a layer; gives back all it has, two views (B, K, L, D)."""
        D = k.shape[-1]
        self.k[layer].view(-1, D).index_copy_(0, step.index, k.reshape(-1, D))
        self.v[layer].view(-1, D).index_copy_(0, step.index, v.reshape(-1, D))
        return self.k[layer, :, :, : step.longest], self.v[layer, :, :, : step.longest]

    def advance(self, T):
        """Every slot has grown by T tokens: called once, after the last layer."""
        self.lengths += T

    def free(self, slot, used):
        """Frees one of the slots 0 … used - 1: the last of them moves into the gap, so that they stay dense.

        A batch is then always the view `rows(0, used - 1)`, and no step copies keys together.
        """
        last = used - 1
        if slot != last:
            n = int(self.lengths[last])
            self.k[:, slot, :, :n] = self.k[:, last, :, :n]
            self.v[:, slot, :, :n] = self.v[:, last, :, :n]
            self.lengths[slot] = n
        self.lengths[last] = 0
