"""GPT-2 of 124 million parameters, as one trains it: the model for train.py, and what the training costs.

New since gpt2.py: three of its formulas as torch's fused calls (the same numbers, less memory and time), a table padded
to a multiple of 128, and the arithmetic of a large run: operations, hours, money, memory. Left out on purpose: a
compiled model (torch.compile would save time on a GPU), and several GPUs (chapter distributed).
Shapes: B rows, T tokens, V tokens that exist, C width, L layers, H heads; N parameters.

    python transformer/gpt2_124m.py                                        what it costs; ten seconds
    python transformer/gpt2_124m.py --gpus 8 --peak 989 --mfu 0.4 --price 3         hours and money of your machine

Papers: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019); Brown et al., "Language Models are
Few-Shot Learners" (2020), for the rules of training; Chowdhery et al., "PaLM" (2022), for counting the operations;
Dao, "FlashAttention-2" (2023).
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from atomic import write_atomic
from cli import UserError, non_negative_float, positive_int, run
from gpt2 import GPT2, MLP, Attention, GPT2Config, load_gpt2, save_gpt2
from presets import PRESETS
from stories import END

WANTS_TOKENIZER = ("--preset gpt2-124m wants --tokenizer FILE: GPT-2's own is tokenizer.json at "
                   "huggingface.co/openai-community/gpt2 (1.4 MB); nothing is downloaded here. For a try take "
                   "tokenization/tokenizer.json")  # fmt: skip
PAD = 128  # the output product is faster on a GPU where V is a multiple of this


class FusedAttention(Attention):
    """gpt2.py's attention in one call that never writes the (T, T) table to memory. (B, T, C) -> (B, T, C)"""

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (part.view(B, T, self.H, C // self.H).transpose(1, 2) for part in self.c_attn(x).split(C, dim=-1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, H, T, D)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, C))


class FusedMLP(MLP):
    """gpt2.py's MLP with torch's gelu. (B, T, C) -> (B, T, C)"""

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


@dataclass
class TrainingConfig(GPT2Config):
    """GPT2Config, its sizes also under the names that train.py, data.py and sample.py ask for."""

    max_position_embeddings = property(lambda self: self.n_positions)
    num_hidden_layers = property(lambda self: self.n_layer)
    num_attention_heads = property(lambda self: self.n_head)
    hidden_size = property(lambda self: self.n_embd)


class FastGPT2(GPT2):
    """gpt2.py's GPT2 with fused parts; only the first `known` of its vocab_size tokens exist, the others pad the table."""

    def __init__(self, config, known):
        super().__init__(config)
        self.known = known
        for block in self.transformer.h:
            block.attn, block.mlp = FusedAttention(config), FusedMLP(config)
            block.ln_1, block.ln_2 = (nn.LayerNorm(config.n_embd, config.layer_norm_epsilon) for _ in range(2))
        self.transformer.ln_f = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)

    def forward(self, input_ids, targets=None):
        T = input_ids.shape[1]
        x = self.transformer.wte(input_ids) + self.transformer.wpe.weight[:T]  # (B, T, C)
        for block in self.transformer.h:
            x = block(x)
        x = self.transformer.ln_f(x)
        if targets is None:
            return self.lm_head(x)[..., : self.known]  # no sample is ever a token that does not exist
        if (targets == -1).any():  # in evaluation rows are padded
            x, targets = x[targets != -1], targets[targets != -1]
        return F.cross_entropy(self.lm_head(x).float().flatten(0, -2), targets.flatten())

    def count_parameters(self):
        """The number of trained numbers; the tied table counts once."""
        return sum(p.numel() for p in self.parameters())


def gpt2_sizes(depth, layers, vocab, context):
    """The same dial as the Storyteller's: 64 of width and one head a layer. Depth 12 is GPT-2's smallest."""
    width = max(128, 64 * depth)
    return TrainingConfig(-(-vocab // PAD) * PAD, context, width, layers or depth, width // 64)


def build_gpt2(args, vocab):
    """The model for train.py's flags, with random weights or those of --init."""
    if args.dropout:
        raise UserError("--dropout: this GPT-2 has none; with one pass over its data it would only slow the learning")
    config = gpt2_sizes(args.depth, args.layers, vocab, args.context)
    model = FastGPT2(config, vocab).initialize(args.seed)
    if args.init:
        known = load_gpt2(args.init)
        if asdict(known.config) != asdict(config):
            raise UserError(f"--init {args.init}: its sizes are not those asked for here, {config}")
        model.load_state_dict(known.state_dict())
    return model


def save_gpt2_folder(folder, model, tokenizer_path):
    """Writes what `transformers` and gpt2.py --load open: tokenizer, config, and the weights last."""
    text = Path(tokenizer_path).read_text(encoding="utf-8")
    write_atomic(Path(folder) / "tokenizer.json", text)
    write_atomic(Path(folder) / "tokenizer_config.json", json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END,
        "model_max_length": model.config.n_positions, "clean_up_tokenization_spaces": False}, indent=2) + "\n")
    save_gpt2(folder, model)


def flops_per_token(config):
    """Operations to train on one token: (of the weights' products, of attention's). PaLM's way to count: all T x T.

    A product with a matrix of n numbers is n multiplications and n additions forward, and twice that backward: 6 n.
    The position table is looked up and never multiplied; the token table is multiplied once, at the end.
    """
    C, L, T = config.n_embd, config.n_layer, config.n_positions
    return 6 * (12 * L * C * C + config.vocab_size * C), 12 * L * C * T


def counted_flops(config, rows=1):
    """The same, counted by torch while gpt2.py's GPT2 runs forward and backward on shapes without numbers."""
    with torch.device("meta"):
        model, ids = GPT2(config), torch.zeros(rows, config.n_positions, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter:
        model(ids, ids).backward()
    return counter.get_total_flops() / (rows * config.n_positions)


def hours(tokens, flops, gpus, peak, mfu):
    """Hours for so many tokens. peak: teraflop/s of one GPU; mfu: the share of it that the model's products get."""
    return tokens * flops / (gpus * peak * 1e12 * mfu) / 3600


def activation_bytes(config, dtype=torch.bfloat16):
    """Bytes that one token leaves until the backward pass: (in each layer, after the last), with FastGPT2.

    The stream is float32, products are in `dtype` of b bytes. A layer keeps the stream twice, for its two norms (2 · 4 C);
    the input of c_attn (b C), q, k, v (3 b C), what attention gives (b C), the input of c_fc (b C), gelu's input (4 b C)
    and its output (4 b C); and three numbers a norm or head. After it: the last norm's input, its output, the logits'
    logarithms in float32.
    """
    C, H, V = config.n_embd, config.n_head, config.vocab_size
    b = torch.finfo(dtype).bits // 8
    return 8 * C + 14 * b * C + 16 + 4 * H, 4 * C + 8 + b * C + 4 * V


def saved_bytes(config, rows, dtype=torch.bfloat16):
    """The same of all layers, measured: the storage that autograd really keeps for `rows` rows, weights left out."""
    model = FastGPT2(config, config.vocab_size)
    kept, weights = {}, {p.untyped_storage().data_ptr() for p in model.parameters()}
    shapes = {tuple(p.shape) for p in model.parameters()} | {tuple(p.T.shape) for p in model.parameters() if p.dim() == 2}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights and tuple(tensor.shape) not in shapes:  # nor the weights' bfloat16 copies
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.zeros(rows, config.n_positions, dtype=torch.int64)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            loss = model(ids, ids)
    del loss
    return sum(kept.values())


def show_cost(config, count, tokens, args):
    weights, attention = flops_per_token(config)
    counted = counted_flops(config)
    assert counted == weights + attention, "the formula is not what torch counts"
    step = PRESETS["gpt2-124m"]["batch_size"]
    print(f"operations a token, in millions: {weights / 1e6:.0f} in products with weights (6 N would say "
          f"{6 * count / 1e6:.0f}) and {attention / 1e6:.0f} in attention;\nas torch counts them: {counted / 1e6:.0f}. "
          f"A step of {step:,} tokens: {counted * step / 1e12:.0f} · 10^12; {tokens / 1e9:.0f} billion tokens: "
          f"{counted * tokens / 1e18:.2f} · 10^18\n")
    machines = [("1 A100", 1, 312, 0.4, 1.8), ("8 A100", 8, 312, 0.4, 1.8), ("1 H100", 1, 989, 0.4, 3.0),
                ("8 H100", 8, 989, 0.4, 3.0)]
    if args.gpus:
        machines = [("yours", args.gpus, args.peak, args.mfu, args.price)]
    print("            Tflop/s each   share used   $ an hour each     hours       $")
    for name, gpus, peak, mfu, price in machines:
        time = hours(tokens, counted, gpus, peak, mfu)
        print(f"{name:10}{peak:14}{mfu:13.0%}{price:17.2f}{time:10.1f}{time * gpus * price:8.0f}")
    for name, peak, minutes in (("90 minutes on 8 A100", 312, 90), ("45 minutes on 8 H100", 989, 45)):
        share = hours(tokens, counted, 8, peak, 1.0) * 60 / minutes
        print(f"published: {name}; that is {share:.0%} of their {peak} Tflop/s")


def show_room(config, count):
    small = TrainingConfig(vocab_size=512, n_positions=64, n_embd=96, n_layer=3, n_head=4)
    layer, rest = activation_bytes(small)
    measured, formula = saved_bytes(small, rows=2), 2 * 64 * (3 * layer + rest)
    assert abs(measured / formula - 1) < 0.05, f"the formula says {formula:,} bytes, autograd keeps {measured:,}"
    layer, rest = activation_bytes(config)
    token, V = config.n_layer * layer + rest, config.vocab_size
    fixed, working = 18 * count, 8 * V  # the logits and their gradient, while the loss is taken
    print(f"\nmemory: {fixed / 1e9:.2f} GB for weights, gradients, two moments in float32 and the weights in bfloat16;\n"
          f"a token keeps {layer:,} bytes in each layer and {rest:,} after the last, {token / 1e6:.2f} MB in all, and "
          f"{working / 1e6:.2f} MB\nmore while the loss is taken (at a small size autograd keeps {measured / formula:.3f} "
          "of what the formula says)")
    for memory in (24, 40, 80):
        rows = 1
        while fixed + 2 * rows * config.n_positions * (token + working) <= 0.9 * memory * 1e9:
            rows *= 2
        need = fixed + rows * config.n_positions * (token + working)
        print(f"    {memory} GB: {rows:3} rows of {config.n_positions} ({need / 1e9:.1f} GB), --accumulate {512 // rows}")


def main(argv=None):
    parser = argparse.ArgumentParser(description="What it costs to train GPT-2 of 124 million parameters.")
    add = parser.add_argument
    add("--gpus", type=positive_int, help="how many GPUs you have; without it four machines are shown")
    add("--peak", type=non_negative_float, default=312, help="10^12 operations a second of one, bfloat16 (default 312)")
    add("--mfu", type=non_negative_float, default=0.4, help="the share of them that is used (default 0.4)")
    add("--price", type=non_negative_float, default=1.8, help="dollars an hour of one GPU (default 1.8)")
    add("--tokens", type=positive_int, default=10**10, help="tokens to train on (default 10 billion)")
    args = parser.parse_args(argv)
    if not args.peak * args.mfu:
        parser.error("--peak and --mfu must be above 0")
    config = gpt2_sizes(12, None, 50257, 1024)
    with torch.device("meta"):
        count = FastGPT2(config, 50257).count_parameters()
    assert count == 124_439_808 + 47 * 768, "GPT-2's parameters and 47 rows of padding"
    print(f"GPT-2: {config.n_layer} layers, width {config.n_embd}, {config.n_head} heads, 50,257 tokens padded to "
          f"{config.vocab_size:,}: {count:,} parameters; {args.tokens / count:.0f} tokens a parameter")
    show_cost(config, count, args.tokens, args)
    show_room(config, count)


if __name__ == "__main__":
    run(main)
