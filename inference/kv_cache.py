"""The KV cache: keys and values are computed once, when a token comes, and kept.

New since the last chapter: memory between two steps of generation. As a script it continues one story
twice, once sending everything through the model at each step and once only the new token, and checks
that both say the same. Left out on purpose: pages (every slot has room for the longest text).
Shapes: B sequences, one a slot; K key and value heads of D numbers; T new tokens; L tokens in the longest
sequence.

    python inference/kv_cache.py                    the shipped model; ten seconds
    python inference/kv_cache.py --random 4         random weights of depth 4

Papers: Shazeer, "Fast Transformer Decoding: One Write-Head is All You Need" (2019); Pope et al.,
"Efficiently Scaling Transformer Inference" (2022).
"""

import argparse
import time
from dataclasses import dataclass

import torch

from cli import positive_int, run
from rng import PCG32
from sampling import SamplingParams, sample_token

MODEL = "deployment/weights/storyteller"
LENGTHS = 16, 32, 64, 128, 256  # where the time of a token is printed


@dataclass
class Step:
    """Where the new tokens of one forward pass go; the same for every layer, so it is computed once."""

    positions: torch.Tensor  # (B, T)
    index: torch.Tensor  # (B K T,) rows of a layer's memory seen as (slots K max_length, D)
    mask: torch.Tensor | None  # (B, 1, T, L) 0 where a key may be seen, -inf elsewhere; None: all of them
    longest: int  # L


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


@torch.inference_mode()
def continue_story(model, ids, steps, params, cached):
    """`steps` more ids, the logits (steps, V) they were drawn from, and the seconds each took."""
    cache = KVCache(model.config, slots=1, max_length=len(ids) + steps) if cached else None
    ids, new, rng, rows, seconds = list(ids), list(ids), PCG32(params.seed), [], []
    for _ in range(steps):
        started = time.perf_counter()
        logits = model(torch.tensor([new if cached else ids]), cache, only_last=True)[0, 0]
        new = [sample_token(logits.numpy(), params, rng)]
        ids += new
        seconds.append(time.perf_counter() - started)
        rows.append(logits)
    return ids[-steps:], torch.stack(rows), seconds


def main(argv=None):
    from checkpoint import load_or_random  # here: the demonstration needs a model, the cache does not

    parser = argparse.ArgumentParser(description="One story with and without the cache, token by token equal.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    parser.add_argument("--random", type=positive_int, metavar="DEPTH", help="random weights, so many layers")
    parser.add_argument("--prompt", default="Once upon a time", help="the beginning")
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same story (default 1)")
    parser.add_argument("--threads", type=positive_int, default=1, help="CPU threads (default 1)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    model, tokenizer, name = load_or_random(args.folder, args.random)
    ids = [tokenizer.special["<|endoftext|>"]] + tokenizer.encode(args.prompt)
    steps = min(LENGTHS[-1], model.config.max_position_embeddings) - len(ids)
    if steps < 1:
        parser.error(f"the prompt has {len(ids)} tokens; make it shorter than {LENGTHS[-1]}")
    params = SamplingParams(seed=args.seed)
    slow_ids, slow_logits, slow = continue_story(model, ids, steps, params, cached=False)
    fast_ids, fast_logits, fast = continue_story(model, ids, steps, params, cached=True)
    print(f"{name}: {model.count_parameters():,} parameters, {args.threads} thread(s)\n")
    print(args.prompt + tokenizer.decode(fast_ids[:60]) + " …\n")
    print("one more token when there are …   without cache     with cache")
    for length in LENGTHS:
        window = slice(max(0, length - len(ids) - 16), length - len(ids))  # the median of the last 16
        if slow[window]:
            a, b = (sorted(times[window])[len(times[window]) // 2] * 1000 for times in (slow, fast))
            print(f"{length:6} tokens {a:27.2f} ms {b:11.2f} ms")
    difference = (slow_logits - fast_logits).abs().max()
    same = "the same" if slow_ids == fast_ids else "not the same"
    print(f"\nlargest difference of a logit: {difference:.1e}; the {steps} tokens are {same}")
    assert difference <= 1e-4 * max(1, slow_logits.abs().max()), "the cache changed a prediction"
    assert slow_ids == fast_ids, "the cache changed the story"
    sent = sum(range(len(ids), len(ids) + steps)), len(ids) + steps - 1
    print(f"tokens sent through the model: {sent[0]:,} without the cache, {sent[1]:,} with it")


if __name__ == "__main__":
    run(main)
