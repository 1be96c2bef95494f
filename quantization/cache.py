"""The cache of keys and values as small integers: where a long text, not the model, fills the memory.

New since the last chapter: what is kept of each token is rounded. Weights are rounded once, with all the time in
the world; keys and values are made while the story is told and must be rounded as they come. A token's keys of one head
share a lowest value and a step (by token). Or each channel of a head has its own, for 32 tokens at a time (by channel,
as in KIVI); then the youngest tokens stay floats until their group of 32 is full. Left out on purpose: products in
integers (the integers are turned back before they are used), slots that come and go, and packing: here every integer
lies in a byte, and is counted with the bits that it needs.
Shapes: B sequences of the same length; K key heads of D numbers; T new tokens, L all tokens, G in a group.

    python quantization/cache.py                    the table; half a minute on one core
    python quantization/cache.py --plot             also draws quantization/figures/keys.png

Papers: Liu et al., "KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache" (2024); Sheng et al., "FlexGen"
(2023), for groups of a token.
"""

import argparse
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from checkpoint import load_model
from cli import positive_int, run
from data import Scorer, windows
from plot import quiet_pyplot, save_figure
from quantize import MODEL
from tokenizer import load_tokenizer

FIGURE = "quantization/figures/keys.png"
GROUP = 32  # tokens that share a step, where keys are rounded by channel
WAYS = [(bits, keys) for bits in (8, 4, 3, 2) for keys in ("token", "channel")]


# adapted from: inference/kv_cache.py::Step (all sequences are equally long)
@dataclass
class Step:
    """Where the new tokens of one forward pass stand; the same for every layer, so it is computed once."""

    positions: torch.Tensor  # (B, T)
    mask: torch.Tensor  # (1, 1, T, L) 0 where a key may be seen, -inf elsewhere


def to_integers(x, bits, dim):
    """(integers, lowest value, step), the last two in float16 and shared along `dim`: value = lowest + integer * step."""
    lowest, highest = x.amin(dim, keepdim=True), x.amax(dim, keepdim=True)
    lowest = lowest.half()
    step = ((highest - lowest.float()) / (2**bits - 1)).half()
    room = torch.where(step == 0, torch.ones_like(step), step).float()  # all are the same: any step will do
    integers = ((x - lowest.float()) / room).round().clamp(0, 2**bits - 1)
    return integers.to(torch.uint8), lowest, step


def to_floats(integers, lowest, step):
    """The numbers that the integers stand for, in float32."""
    return integers.float() * step.float() + lowest.float()


class QuantizedCache:
    """Keys and values of every layer as integers; the interface of inference's KVCache, for sequences of one length.

    keys: "token", where the D numbers of one token and head share a step, or "channel", where GROUP tokens of one
    channel do. Values are always rounded by token. `whole` has for each layer what is rounded, `young` the keys
    that still wait, as floats, for their group to be full; they are rounded when the next token comes.
    """

    def __init__(self, config, bits=8, keys="token"):
        self.config, self.bits, self.by_channel, self.length = config, bits, keys == "channel", 0
        layers = config.num_hidden_layers
        self.keys, self.values = ([[] for _ in range(layers)] for _ in range(2))  # [(integers, lowest, step)]
        self.young = [None] * layers  # (B, K, less than GROUP, D)

    def begin(self, T):
        """Where T new tokens of every sequence go."""
        positions = torch.arange(self.length, self.length + T)
        hidden = torch.arange(self.length + T) > positions[:, None]  # (T, L)
        mask = torch.zeros(hidden.shape).masked_fill_(hidden, float("-inf"))
        return Step(positions[None], mask[None, None])

    def append(self, layer, k, v, step):
        """Takes the new k, v (B, K, T, D) of a layer; gives back all it has, as floats (B, K, L, D)."""
        self.values[layer].append(to_integers(v, self.bits, dim=-1))
        if self.by_channel:
            self.round_full_groups(layer)
            young = [k] if self.young[layer] is None else [self.young[layer], k]
            self.young[layer] = torch.cat(young, dim=2)
        else:
            self.keys[layer].append(to_integers(k, self.bits, dim=-1))
        return self.read(self.keys[layer], self.young[layer]), self.read(self.values[layer], None)

    def round_full_groups(self, layer):
        """Keys whose group has been full since the last pass become integers."""
        while self.young[layer] is not None and self.young[layer].shape[2] >= GROUP:
            group, rest = self.young[layer][:, :, :GROUP], self.young[layer][:, :, GROUP:]
            self.keys[layer].append(to_integers(group, self.bits, dim=2))
            self.young[layer] = rest if rest.shape[2] else None

    def read(self, pieces, young):
        """All tokens of a layer as floats: (B, K, L, D)."""
        return torch.cat([to_floats(*piece) for piece in pieces] + ([] if young is None else [young]), dim=2)

    def advance(self, T):
        """Every sequence has grown by T tokens: called once, after the last layer."""
        self.length += T

    @property
    def nbytes(self):
        """The memory it takes: integers with the bits that they need, lowest values and steps, young keys in float16."""
        pieces = [piece for layer in [*self.keys, *self.values] for piece in layer]
        young = sum(2 * x.numel() for x in self.young if x is not None)
        return young + sum(q.numel() * self.bits // 8 + 2 * (low.numel() + step.numel()) for q, low, step in pieces)


@torch.inference_mode()
def nats_through(model, encoded, new_cache, rows=16):
    """The sum of -ln p of every token of the stories, read through a cache in blocks of GROUP tokens.

    A block as long as a group is exact: its own keys are young, all earlier ones are rounded, which is what a
    story sees that is told token by token.
    """
    context = model.config.max_position_embeddings
    pieces = sorted(((ids[start : end + 1], first - start) for ids in encoded for start, end, first in
                     windows(ids, context)), key=lambda piece: len(piece[0]))
    nats = 0.0
    for at in range(0, len(pieces), rows):
        some = pieces[at : at + rows]
        length = len(some[-1][0]) - 1
        ids, cache = torch.zeros(len(some), length + 1, dtype=torch.int64), new_cache()
        counted = torch.zeros(len(some), length, dtype=torch.bool)
        for row, (piece, first) in enumerate(some):
            ids[row, : len(piece)] = torch.from_numpy(piece.astype("int64"))
            counted[row, first : len(piece) - 1] = True
        for start in range(0, length, GROUP):
            block, kept = ids[:, start : start + GROUP + 1], counted[:, start : start + GROUP]
            logits = model.lm_head(model.model(block[:, :-1], cache)[kept])
            nats += F.cross_entropy(logits, block[:, 1:][kept], reduction="sum").item()
    return nats


@torch.inference_mode()
def compare_logits(model, ids, cache):
    """One text, with the cache and without: (largest difference of a logit, share of the same first choices)."""
    ids = torch.from_numpy(ids.astype("int64"))[None]
    wanted = model(ids)[0]
    found = torch.cat([model(ids[:, at : at + GROUP], cache)[0] for at in range(0, ids.shape[1], GROUP)])
    return (found - wanted).abs().max().item(), (found.argmax(-1) == wanted.argmax(-1)).float().mean().item()


@torch.inference_mode()
def draw_keys(model, ids, path, layer=1):
    """The keys and values of a layer's last head over a text, as they would lie in the cache: tokens down."""
    seen = {}

    class Watch:
        """A cache that remembers nothing but what is written into it."""

        def __init__(self):
            self.length = 0

        begin, advance = QuantizedCache.begin, QuantizedCache.advance

        def append(self, layer, k, v, step):
            seen[layer] = k[0, -1], v[0, -1]  # (T, D)
            return k, v

    model(torch.from_numpy(ids.astype("int64"))[None], Watch())
    plt = quiet_pyplot()
    figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained", sharey=True)
    for axis, x, name in zip(axes, seen[layer], ("keys", "values")):
        image = axis.imshow(x.abs(), aspect="auto", cmap="magma_r", vmin=0, interpolation="none")
        axis.set(title=f"{name}, one head of layer {layer}", xlabel="channel")
        figure.colorbar(image, ax=axis, label="size")
    axes[0].set_ylabel("token")
    save_figure(figure, path)


def main(argv=None):
    parser = argparse.ArgumentParser(description="What a cache of small integers costs, in bytes and in bits per byte.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    parser.add_argument("--data", default="datasets/stories", help="folder with valid.txt (default datasets/stories)")
    parser.add_argument("--stories", type=positive_int, default=32, help="stories to score (default 32)")
    parser.add_argument("--plot", action="store_true", help=f"draw {FIGURE}")
    parser.add_argument("--threads", type=positive_int, default=1, help="CPU threads (default 1)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    model = load_model(args.folder)
    scorer = Scorer(args.data, load_tokenizer(f"{args.folder}/tokenizer.json"), args.stories)
    bytes_of_text = sum(len(story.encode("utf-8")) for story in scorer.stories)
    text = max(scorer.encoded, key=len)[: model.config.max_position_embeddings]
    c = model.config
    numbers = 2 * c.num_hidden_layers * c.num_key_value_heads * c.head_dim  # a token
    base = scorer(model)
    print(f"{args.folder}: a token leaves {numbers:,} numbers in the cache; {len(text):,} tokens of a story, "
          f"bits per byte on {len(scorer.stories)} stories\n")
    print(f"{'cache':26}{'bits':>6}{'bytes':>12}{'bpb':>9}{'change':>9}{'largest change':>16}{'same first':>12}")
    print(f"{'':26}{'':6}{'':12}{'':9}{'':9}{'of a logit':>16}{'choice':>12}")
    print(f"{'float32':26}{32:6.2f}{4 * numbers * len(text):12,}{base:9.4f}")
    results = {}
    for bits, keys in WAYS:
        def new_cache(bits=bits, keys=keys):
            return QuantizedCache(c, bits, keys)

        bpb = nats_through(model, scorer.encoded, new_cache) / math.log(2) / bytes_of_text
        cache = new_cache()
        difference, same = compare_logits(model, text, cache)
        results[bits, keys] = bpb
        print(f"{f'{bits} bits, keys by {keys}':26}{8 * cache.nbytes / numbers / cache.length:6.2f}{cache.nbytes:12,}"
              f"{bpb:9.4f}{bpb / base - 1:+9.2%}{difference:16.3f}{same:12.1%}")
    assert abs(results[8, "token"] / base - 1) < 0.005, "eight bits must cost next to nothing"
    if args.plot:
        draw_keys(model, text[:128], FIGURE)


if __name__ == "__main__":
    run(main)
