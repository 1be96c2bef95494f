"""T5: one stack reads a text with holes, another tells what is in them; every task is text in, text out.

New since bert.py: a decoder that looks at an encoder (cross-attention); positions as a learned bias of the scores, by
how far apart two tokens are, in buckets that grow with the distance; RMSNorm; no biases; scores that are not divided by
sqrt(D), since the queries begin that much smaller. T5 1.0 has relu and one table, T5 1.1 a gate (GEGLU) and an output
layer of its own. Left out on purpose: dropout, SentencePiece (the course's tokenizer serves, sentinels are ids behind
it), and the cache of keys and values, which comes in chapter inference; the encoder's states are kept already.
Shapes: B rows, S tokens that are read, T that are told, V vocabulary, C width (d_model), H heads of D (d_kv), L blocks.

    python transformer/t5.py                  the buckets, the sizes, a small one trained, blanks filled; 25 seconds
    python transformer/t5.py --steps 20       a quick look
    python transformer/t5.py --gated          T5 1.1 in place of 1.0

Papers: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer" (2019);
Shaw, Uszkoreit and Vaswani, "Self-Attention with Relative Position Representations" (2018); Shazeer, "GLU Variants
Improve Transformer" (2020).
"""

import argparse
import math
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from brief import train_small
from checkpoint import read_json, read_weights
from cli import UserError, non_negative_int, positive_int, run
from family_parts import Block, Family, count_parameters, may_look
from model import RMSNorm
from objectives import corrupt_spans, encoded_stream, frequency_loss, readable, restore_spans, told_loss
from stories import load_split
from tokenizer import load_tokenizer

BLANK = "[blank]"
STEPS, TEXT, BATCH, LEARNING_RATE, TABLE_RATE, SENTINELS = 500, 40, 48, 8e-3, 20, 8


@dataclass
class T5Config:
    """The sizes, under the names that config.json has. The defaults are those of T5 1.0 small."""

    vocab_size: int = 32128  # V
    d_model: int = 512  # C
    d_kv: int = 64  # D
    d_ff: int = 2048  # F
    num_layers: int = 6  # L, of the encoder
    num_decoder_layers: int = 6
    num_heads: int = 8  # H
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    layer_norm_epsilon: float = 1e-6
    gated: bool = False  # T5 1.1: GEGLU in place of relu
    tied: bool = True  # 1.0: the output layer is the table of words, its input scaled by 1 / sqrt(C); 1.1: its own

    def family(self):
        """The same as a row of the table of families."""
        return Family("T5", 2019, "Raffel et al.", self.num_layers, self.d_model, self.num_heads, self.d_ff, 512,
                      self.vocab_size, head_dim=self.d_kv, sides="both", objective="spans", norm="RMS",
                      position="relative", activation="GEGLU" if self.gated else "relu", pattern="full", bias=False,
                      tied=self.tied, scaled_scores=False, eps=self.layer_norm_epsilon)


SMALL_1_1 = T5Config(d_ff=1024, num_layers=8, num_decoder_layers=8, num_heads=6, gated=True, tied=False)
SIZES = {  # name: (sizes, the parameters of the published weights)
    "T5 1.0 small": (T5Config(), 60_506_624),
    "T5 1.0 base": (T5Config(d_model=768, d_ff=3072, num_layers=12, num_decoder_layers=12, num_heads=12), 222_903_552),
    "T5 1.1 small": (SMALL_1_1, 76_961_152),
}


def bucket(apart, both_sides, buckets=32, longest=128):
    """The number of the bucket for a token that lies `apart` tokens to the right (below 0: to the left). (…) -> (…)

    Half of the buckets hold one distance each, the other half ranges that grow by the same factor up to `longest`, from
    where on all share the last. Where both sides are seen, each has half of all buckets; else the right is bucket 0.
    """
    if both_sides:
        buckets //= 2
        first, far = buckets * (apart > 0), apart.abs()
    else:
        first, far = 0, (-apart).clamp(min=0)
    exact = buckets // 2
    grown = torch.log(far.clamp(min=1).float() / exact) / math.log(longest / exact) * (buckets - exact)
    return first + torch.where(far < exact, far, (exact + grown.long()).clamp(max=buckets - 1))


class Stack(nn.Module):
    """The encoder, or the decoder, which looks back only and at a memory. (B, T, C) -> (B, T, C)"""

    def __init__(self, config, decoder):
        super().__init__()
        self.config, self.decoder = config, decoder
        layers = config.num_decoder_layers if decoder else config.num_layers
        self.distances = nn.Embedding(config.relative_attention_num_buckets, config.num_heads)  # of all blocks
        self.blocks = nn.ModuleList(Block(config.family(), cross=decoder) for _ in range(layers))
        self.norm = RMSNorm(config.d_model, config.layer_norm_epsilon)

    def position_bias(self, length):
        """What a head adds to the score of a pair, by its distance. (H, T, T)"""
        t = torch.arange(length, device=self.distances.weight.device)
        number = bucket(t[None, :] - t[:, None], not self.decoder, self.config.relative_attention_num_buckets,
                        self.config.relative_attention_max_distance)
        return self.distances(number).permute(2, 0, 1)

    def forward(self, x, mask=None, memory=None, memory_mask=None):
        bias = self.position_bias(x.shape[1])
        for block in self.blocks:
            x = block(x, mask, bias, memory=memory, memory_mask=memory_mask)
        return self.norm(x)


class T5(nn.Module):
    """The model: ids that are read (B, S), ids told so far (B, T) -> logits (B, T, V) of what is told next."""

    def __init__(self, config):
        super().__init__()
        self.config, C = config, config.d_model
        self.words = nn.Embedding(config.vocab_size, C)
        self.encoder, self.decoder = Stack(config, decoder=False), Stack(config, decoder=True)
        self.head = None if config.tied else nn.Linear(C, config.vocab_size, bias=False)

    def encode(self, ids, real=None):
        """The states of what is read. real (B, S): False where a row is only padded. (B, S) -> (B, S, C)"""
        return self.encoder(self.words(ids), None if real is None else real[:, None, None, :])

    def decode(self, ids, memory, real=None):
        """The logits of what comes after each of the ids told so far (B, T), by the encoder's states (B, S, C)."""
        memory_mask = None if real is None else real[:, None, None, :]
        x = self.decoder(self.words(ids), may_look(ids.shape[1], device=ids.device), memory, memory_mask)
        return self.head(x) if self.head is not None else x * self.config.d_model**-0.5 @ self.words.weight.T

    def forward(self, ids, told, real=None):
        return self.decode(told, self.encode(ids, real), real)

    def initialize(self, seed):
        """Normal weights of T5's deviations: queries (C D)^-1/2, which divides the scores by sqrt(D) at the start."""
        generator, sizes = torch.Generator().manual_seed(seed), self.config
        with torch.no_grad():
            for name, p in self.named_parameters():
                if p.dim() == 2:
                    std = (1.0 if name.startswith(("words", "head")) else  # (…, in) of all others
                           (sizes.d_model * sizes.d_kv) ** -0.5 if "q_proj" in name else
                           sizes.d_model**-0.5 if "distances" in name else p.shape[1] ** -0.5)
                    p.copy_(std * torch.randn(p.shape, generator=generator))
        if self.head is not None:
            self.head.weight.data *= sizes.d_model**-0.5  # or the first logits would be far too sure
        return self


def build_t5(family):
    """A T5 by its row of the table of families."""
    return T5(T5Config(family.vocab, family.width, family.head_dim, family.hidden, family.layers, family.layers,
                       family.heads, layer_norm_epsilon=family.eps, gated=family.activation == "GEGLU",
                       tied=family.tied))


def their_t5_name(name, gated):
    """Hugging Face's name of one of our weights."""
    within = "EncDecAttention" if ".cross." in name else "SelfAttention"
    mlp = "1" if name.startswith("encoder") else "2"
    for ours, theirs in (
            (r"^words\.", "shared."), (r"^head\.", "lm_head."), (r"coder\.blocks\.", "coder.block."),
            (r"coder\.distances\.", "coder.block.0.layer.0.SelfAttention.relative_attention_bias."),
            (r"coder\.norm\.", "coder.final_layer_norm."), (r"norm_1", "layer.0.layer_norm"),
            (r"norm_cross", "layer.1.layer_norm"), (r"norm_2", f"layer.{mlp}.layer_norm"),
            (r"attention\.(.)_proj", rf"layer.0.{within}.\1"), (r"cross\.(.)_proj", rf"layer.1.{within}.\1"),
            (r"mlp\.gate_proj", f"layer.{mlp}.DenseReluDense.wi_0"),
            (r"mlp\.up_proj", f"layer.{mlp}.DenseReluDense.wi" + "_1" * gated),
            (r"mlp\.down_proj", f"layer.{mlp}.DenseReluDense.wo")):
        name = re.sub(ours, theirs, name)
    return name


def load_t5(folder):
    """The T5 in a folder of Hugging Face's layout, 1.0 or 1.1. UserError names the file and its fault."""
    path = Path(folder) / "config.json"
    stored = read_json(path)
    activation, weights = stored.get("feed_forward_proj", "relu"), read_weights(folder)
    if stored.get("model_type") != "t5" or activation not in ("relu", "gated-gelu"):
        raise UserError(f"{path}: this is {stored.get('model_type')!r} with {activation!r}; T5 has relu or gated-gelu")
    known = {name: stored.get(name) or default for name, default in asdict(T5Config()).items()}
    known["num_decoder_layers"] = stored.get("num_decoder_layers") or known["num_layers"]
    known["gated"], known["tied"] = activation == "gated-gelu", "lm_head.weight" not in weights
    config = T5Config(**known)
    if not all(type(size) is int and 0 < size <= 2**20 for size in list(known.values())[:-3]):
        raise UserError(f"{path}: {config} are no sizes of a T5")
    if f"decoder.block.{config.num_decoder_layers - 1}.layer.2.layer_norm.weight" not in weights:
        raise UserError(f"{folder}: the weights lack block {config.num_decoder_layers - 1} of the decoder")
    model = T5(config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            theirs = their_t5_name(name, config.gated)
            tensor = weights.get(theirs)
            if tensor is None or tensor.shape != p.shape:
                found = "missing" if tensor is None else f"of shape {tuple(tensor.shape)}"
                raise UserError(f"{folder}: {theirs} is {found}; config.json asks for {tuple(p.shape)}")
            p.copy_(tensor)
    return model.eval()


def shift_right(targets, start):
    """What the decoder reads while it tells `targets` (B, T): `start`, then all but the last; -1 becomes start."""
    told = targets.roll(1, dims=1)
    told[:, 0] = start
    return told.masked_fill(told < 0, start)


@torch.inference_mode()
def tell_greedily(model, ids, start, end, most):
    """The likeliest id again and again, until `end` or `most` of them. ids (S,) -> list. The encoder runs once."""
    memory, told = model.encode(torch.as_tensor(ids)[None]), [start]
    while len(told) <= most:
        told.append(int(model.decode(torch.tensor([told]), memory)[0, -1].argmax()))
        if told[-1] == end:
            break
    return told[1:]


def span_batch(stream, size, rng, tokenizer):
    """Windows of TEXT tokens of the stream, corrupted: what is read (size, S), what is to be told (size, T)."""
    starts = rng.integers(0, len(stream) - TEXT, size=size)
    pairs = [corrupt_spans(stream[s: s + TEXT], tokenizer.n_vocab, tokenizer.eot_token, rng) for s in starts]
    return tuple(torch.from_numpy(np.stack(column)) for column in zip(*pairs))


def train_t5(stream, tokenizer, steps, seed, gated=False, layers=2, width=64):
    """A small T5 after `steps` batches of windows with hidden spans. Returns the model, and the losses."""
    model = T5(T5Config(tokenizer.n_vocab + SENTINELS, width, 16, 4 * width, layers, layers, width // 16, gated=gated,
                        tied=not gated)).initialize(seed)
    rng = np.random.default_rng(seed)
    tables = [p for name, p in model.named_parameters() if name.startswith("words")]

    def loss_of(_):
        inputs, targets = span_batch(stream, BATCH, rng, tokenizer)
        return told_loss(model(inputs, shift_right(targets, tokenizer.eot_token)), targets)

    losses = train_small(model, tables, loss_of, steps, LEARNING_RATE, TABLE_RATE, warmup=30, betas=(0.9, 0.98),
                         weight_decay=0.0)
    return model, losses


@torch.inference_mode()
def hidden_loss(model, inputs, targets, tokenizer):
    """Mean nats of the hidden tokens alone: sentinels and end marks, which are easy to tell, do not count."""
    text = targets < tokenizer.eot_token
    return told_loss(model(inputs, shift_right(targets, tokenizer.eot_token)), targets.masked_fill(~text, -1)).item()


def show_buckets():
    """Each bucket's distances: what the learned table of T5's positions is looked up with."""
    apart = torch.arange(-140, 1)
    for title, both in (("encoder: 16 buckets for the left side, as many for the right", True),
                        ("decoder: all 32 for the left side", False)):
        ranges = {}
        for far, n in zip((-apart).tolist(), bucket(apart, both).tolist()):
            ranges.setdefault(n, []).append(far)
        shown = [f"{n}: {min(r)} to {max(r)}" if len(r) > 1 else f"{n}: {r[0]}" for n, r in sorted(ranges.items())]
        half = len(shown) // 2
        print(f"{title}; tokens back in each\n  {', '.join(shown[:half])}\n  {', '.join(shown[half:])}".replace(
            "to 140", "and further"))


def count_t5():
    """Builds sizes without memory, and compares their parameters with those of the published weights."""
    print(f"\n{'':14}{'layers':>8}{'width':>7}{'heads':>7}{'MLP':>7}{'parameters':>14}")
    for name, (config, published) in SIZES.items():
        with torch.device("meta"):
            count = count_parameters(T5(config))
        print(f"{name:14}{f'2 x {config.num_layers}':>8}{config.d_model:7}{config.num_heads:7}{config.d_ff:7}"
              f"{count:14,}")
        assert count == published, f"{name} has {published:,} parameters"


def with_blanks(text, tokenizer):
    """A text with blanks as T5 reads it: each blank a sentinel, the end mark behind. (S,)"""
    ids = [tokenizer.eot_token]
    for number, piece in enumerate(re.split(rf" ?{re.escape(BLANK)}", text)):
        ids += [tokenizer.n_vocab + number - 1] * (number > 0) + tokenizer.encode_ordinary(piece)
    return np.array([*ids, tokenizer.eot_token])


def show_filled(model, text, tokenizer):
    """Reads a text with blanks, tells what is in them, and puts the two together. Returns the ids of the whole."""
    ids, end = with_blanks(text, tokenizer), tokenizer.eot_token
    told = tell_greedily(model, ids, end, end, most=24)
    whole = restore_spans(ids, told, tokenizer.n_vocab, end)
    print(f"\nread    {readable(ids, tokenizer)}\ntold    {readable(told, tokenizer)}\n"
          f"whole   {readable(whole, tokenizer)}")
    return whole


def main(argv=None):
    parser = argparse.ArgumentParser(description="T5: its buckets and sizes, a small one trained, blanks filled.")
    parser.add_argument("--gated", action="store_true", help="T5 1.1 (a gate, an output layer of its own), not 1.0")
    parser.add_argument("--text", default=f"Once upon {BLANK}, there was a girl {BLANK} Mia.",
                        help=f"a text with up to {SENTINELS} blanks, each written {BLANK}")
    parser.add_argument("--data", default="datasets/stories", help="folder with train.txt (default datasets/stories)")
    parser.add_argument("--steps", type=positive_int, default=STEPS, help=f"steps of training (default {STEPS})")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="decides weights and spans (default 0)")
    args = parser.parse_args(argv)
    started, tokenizer = time.perf_counter(), load_tokenizer("tokenization/tokenizer.json")
    if not 1 <= args.text.count(BLANK) <= SENTINELS:
        raise UserError(f"--text must have from 1 to {SENTINELS} times {BLANK}")
    show_buckets()
    count_t5()
    stream, held_out = (encoded_stream(load_split(args.data, split)[:2000], tokenizer) for split in ("train", "valid"))
    if min(len(stream), len(held_out)) <= TEXT:
        raise UserError(f"{args.data}: train.txt and valid.txt need more than {TEXT} tokens each")
    inputs, targets = span_batch(held_out, 256, np.random.default_rng([args.seed, 1]), tokenizer)
    hidden = targets[targets < tokenizer.eot_token]
    counting = frequency_loss(stream, hidden.numpy())
    model, losses = train_t5(stream, tokenizer, args.steps, args.seed, args.gated)
    loss = hidden_loss(model, inputs, targets, tokenizer)
    print(f"\n{count_parameters(model):,} parameters, {args.steps} steps of {BATCH} windows of {TEXT} tokens: of each, "
          f"{inputs.shape[1]} are read, {targets.shape[1]} told\nloss {losses[0]:.2f} at the first step, "
          f"{np.mean(losses[-20:]):.2f} at the last; on {len(hidden)} hidden tokens of stories never seen {loss:.2f} "
          f"nats a token,\nby token frequencies {counting:.2f}")
    assert loss < counting - 0.3 or args.steps < STEPS, "it learned hardly more than the tokens' frequencies"
    show_filled(model, args.text, tokenizer)
    print(f"{time.perf_counter() - started:.0f} seconds")


if __name__ == "__main__":
    run(main)
