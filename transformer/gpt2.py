"""GPT-2 from nothing: the transformer of 2019, from which all later ones are a few changes away.

New since attention: the residual stream, layer norm, the MLP, blocks stacked on one another, and the
output layer that shares its table with the input. Left out on purpose: dropout (what is trained here is
too short to overfit) and everything that is newer (model.py says what changed, and why).
Shapes: B sequences, T tokens, V vocabulary, C width (n_embd), H heads, D = C / H, L blocks.

    python transformer/gpt2.py                 counts the four sizes, trains a tiny one, looks inside; 20 seconds
    python transformer/gpt2.py --load FOLDER   tells how a text goes on, with GPT-2's weights in Hugging Face's layout

Papers: Vaswani et al., "Attention Is All You Need" (2017); Radford et al., "Language Models are Unsupervised
Multitask Learners" (2019).
"""

import argparse
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import nn

from atomic import write_atomic
from checkpoint import read_json, read_weights
from cli import UserError, non_negative_int, positive_int, run
from stories import load_split
from tokenizer import load_tokenizer


@dataclass
class GPT2Config:
    """The sizes, under the names that config.json has. The defaults are the smallest of the four."""

    vocab_size: int = 50257  # V
    n_positions: int = 1024  # the longest T
    n_embd: int = 768  # C
    n_layer: int = 12  # L
    n_head: int = 12  # H
    layer_norm_epsilon: float = 1e-5


SIZES = {  # name: (sizes, the number of parameters that is published)
    "gpt2": (GPT2Config(), 124_439_808),
    "gpt2-medium": (GPT2Config(n_embd=1024, n_layer=24, n_head=16), 354_823_168),
    "gpt2-large": (GPT2Config(n_embd=1280, n_layer=36, n_head=20), 774_030_080),
    "gpt2-xl": (GPT2Config(n_embd=1600, n_layer=48, n_head=25), 1_557_611_200),
}


class LayerNorm(nn.Module):
    """y = (x - mean) / sqrt(variance + eps) * weight + bias, over the last axis. (…, C) -> (…, C)"""

    def __init__(self, size, eps):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(size)), nn.Parameter(torch.zeros(size))
        self.eps = eps

    def forward(self, x):
        centered = x - x.mean(-1, keepdim=True)
        variance = centered.pow(2).mean(-1, keepdim=True)
        return centered * torch.rsqrt(variance + self.eps) * self.weight + self.bias


# copied from: mlp/mlp_torch.py::gelu
def gelu(x):
    """x times the share of a normal distribution below x, by the formula with tanh that GPT-2 was trained with."""
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


# adapted from: attention/attention.py::Attention (one product for queries, keys and values; biases)
class Attention(nn.Module):
    """Causal self-attention: what moves between tokens, and only forward in time. (B, T, C) -> (B, T, C)"""

    def __init__(self, config):
        super().__init__()
        C = config.n_embd
        self.H = config.n_head
        self.c_attn = nn.Linear(C, 3 * C)  # query, key and value of all heads in one product
        self.c_proj = nn.Linear(C, C)

    def forward(self, x):
        B, T, C = x.shape
        D = C // self.H
        q, k, v = (part.view(B, T, self.H, D).transpose(1, 2)  # (B, H, T, D)
                   for part in self.c_attn(x).split(C, dim=-1))
        scores = q @ k.transpose(-2, -1) / math.sqrt(D)  # (B, H, T, T): row t asks, column s answers
        future = torch.ones(T, T, dtype=torch.bool, device=x.device).triu(1)
        p = scores.masked_fill(future, float("-inf")).softmax(-1)  # each row sums to 1
        return self.c_proj((p @ v).transpose(1, 2).reshape(B, T, C))


# adapted from: micrograd/micrograd.py::MLP (two layers of any width as torch modules, gelu between them)
class MLP(nn.Module):
    """What each token computes for itself: four times wider, gelu, back. (B, T, C) -> (B, T, C)"""

    def __init__(self, config):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x):
        return self.c_proj(gelu(self.c_fc(x)))


class Block(nn.Module):
    """Both branches read the stream through a norm of their own, and add to it. (B, T, C) -> (B, T, C)"""

    def __init__(self, config):
        super().__init__()
        self.ln_1 = LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.attn = Attention(config)
        self.ln_2 = LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.mlp = MLP(config)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT2(nn.Module):
    """The language model: ids (B, T) -> logits (B, T, V); with targets (B, T), the mean loss in nats instead."""

    def __init__(self, config):
        super().__init__()
        self.config, C = config, config.n_embd
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(config.vocab_size, C),  # token embeddings
            "wpe": nn.Embedding(config.n_positions, C),  # position embeddings: position 0, 1, 2, … has its own row
            "h": nn.ModuleList(Block(config) for _ in range(config.n_layer)),
            "ln_f": LayerNorm(C, config.layer_norm_epsilon),
        })
        self.lm_head = nn.Linear(C, config.vocab_size, bias=False)
        self.lm_head.weight = self.transformer.wte.weight  # one table reads words and writes them

    def initialize(self, seed):
        """Weights from a normal of deviation 0.02; the 2 L matrices that add to the stream, 0.02 / sqrt(2 L)."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, p in self.named_parameters():
                if name.endswith("bias"):
                    p.zero_()
                elif p.dim() == 2:
                    std = 0.02 / math.sqrt(2 * self.config.n_layer) if name.endswith("c_proj.weight") else 0.02
                    p.copy_(std * torch.randn(p.shape, generator=generator))
        return self

    def forward(self, input_ids, targets=None):
        T = input_ids.shape[1]
        if T > self.config.n_positions:
            raise ValueError(f"{T} tokens are more than the model's context of {self.config.n_positions}")
        x = self.transformer.wte(input_ids) + self.transformer.wpe.weight[:T]  # (B, T, C): the stream begins
        for block in self.transformer.h:
            x = block(x)
        logits = self.lm_head(self.transformer.ln_f(x))  # (B, T, V)
        return logits if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten())


# Hugging Face's GPT-2 keeps these four matrices of a block as (in, out), torch's Linear as (out, in).
TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


def save_gpt2(folder, model):
    """Writes config.json and model.safetensors as `transformers.GPT2LMHeadModel.from_pretrained` reads them."""
    weights = {name: (p.T if name.endswith(TRANSPOSED) else p).detach().cpu().contiguous()
               for name, p in model.named_parameters()}  # the shared table has one name there: wte
    config = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", **asdict(model.config),
              "activation_function": "gelu_new", "bos_token_id": None, "eos_token_id": None}
    write_atomic(Path(folder) / "config.json", json.dumps(config, indent=2) + "\n")
    write_atomic(Path(folder) / "model.safetensors", save(weights, metadata={"format": "pt"}))


def load_gpt2(folder):
    """The GPT-2 in a folder of Hugging Face's layout. UserError names the file and its fault."""
    path = Path(folder) / "config.json"
    stored = read_json(path)
    for name, values in {"model_type": ["gpt2"], "activation_function": ["gelu_new", "gelu_pytorch_tanh", None],
                         "scale_attn_by_inverse_layer_idx": [False, None], "scale_attn_weights": [True, None],
                         "n_inner": [4 * stored.get("n_embd", 0) if isinstance(stored.get("n_embd"), int) else 0, None],
                         "tie_word_embeddings": [True, None]}.items():
        if stored.get(name) not in values:
            raise UserError(f"{path}: {name} is {stored.get(name)!r}; a GPT-2 has {values[0]!r}")
    config = GPT2Config(**{name: stored.get(name, value) for name, value in asdict(GPT2Config()).items()})
    sizes = (config.vocab_size, config.n_positions, config.n_embd, config.n_layer, config.n_head)
    if not all(isinstance(size, int) and size > 0 for size in sizes) or config.n_embd % config.n_head:
        raise UserError(f"{path}: vocab_size, n_positions, n_embd, n_layer, n_head = {sizes} are no sizes of a GPT-2")
    # the files that OpenAI's own weights came in say "h.0.…", later ones "transformer.h.0.…"
    weights = {name.removeprefix("transformer."): tensor for name, tensor in read_weights(folder).items()}
    if f"h.{config.n_layer - 1}.mlp.c_proj.weight" not in weights:
        raise UserError(f"{folder}: the weights lack the block {config.n_layer - 1}, which config.json asks for")
    model = GPT2(config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            tensor = weights.get(name.removeprefix("transformer."))
            wanted = tuple(p.T.shape if name.endswith(TRANSPOSED) else p.shape)
            if tensor is None or tuple(tensor.shape) != wanted:
                found = "missing" if tensor is None else f"of shape {tuple(tensor.shape)}"
                raise UserError(f"{folder}: {name} is {found}; config.json asks for the shape {wanted}")
            p.copy_(tensor.T if name.endswith(TRANSPOSED) else tensor)
    return model.eval()


def count_sizes():
    """Builds the four sizes without memory, and compares their parameters with the published numbers."""
    print(f"{'':14}{'layers':>7}{'width':>7}{'heads':>7}{'parameters':>16}")
    for name, (config, published) in SIZES.items():
        with torch.device("meta"):  # tensors that have a shape and no numbers
            count = sum(p.numel() for p in GPT2(config).parameters())
        print(f"{name:14}{config.n_layer:7}{config.n_embd:7}{config.n_head:7}{count:16,}")
        assert count == published, f"{name} has {published:,} parameters"


def train_briefly(model, stream, steps, seed):
    """AdamW on random windows of one long stream of tokens, as GPT-2 was trained. Returns the loss of each step."""
    T, losses, rng = model.config.n_positions, [], np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.1)
    for _ in range(steps):
        starts = rng.integers(0, len(stream) - T, size=16)  # B = 16
        windows = torch.from_numpy(np.stack([stream[s: s + T + 1] for s in starts]))  # (B, T + 1)
        loss = model(windows[:, :-1], windows[:, 1:])  # each token is to be told from those before it
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@torch.inference_mode()
def look_inside(model, ids, tokenizer):
    """Prints how long the last token's stream is after each branch, and what it would predict there ("logit lens")."""
    parts = model.transformer
    x = parts.wte(torch.tensor([ids])) + parts.wpe.weight[: len(ids)]  # (1, T, C)
    stages = [("embedding", x)]
    for number, block in enumerate(parts.h):
        x = x + block.attn(block.ln_1(x))
        stages.append((f"+ attention {number}", x))
        x = x + block.mlp(block.ln_2(x))
        stages.append((f"+ MLP {number}", x))
    for name, x in stages:
        p, best = model.lm_head(parts.ln_f(x[0, -1])).softmax(-1).topk(3)
        guesses = ", ".join(f"{tokenizer.decode([i])!r} {q:.2f}" for q, i in zip(p.tolist(), best.tolist()))
        print(f"    {name:14} length {x[0, -1].norm():5.2f}   {guesses}")
    assert torch.allclose(model.lm_head(parts.ln_f(x)), model(torch.tensor([ids])), atol=1e-4)


@torch.inference_mode()
def go_on(model, ids, tokens):
    """The ids and the `tokens` likeliest ones after them, one at a time; the context slides where it is full."""
    for _ in range(tokens):
        logits = model(torch.tensor([ids[-model.config.n_positions:]]))  # (1, T, V)
        ids = [*ids, int(logits[0, -1].argmax())]
    return ids


def main(argv=None):
    parser = argparse.ArgumentParser(description="GPT-2: its sizes counted, a tiny one trained, or its weights loaded.")
    parser.add_argument("--load", metavar="FOLDER", help="a GPT-2 with tokenizer.json, in Hugging Face's layout")
    parser.add_argument("--prompt", default="Once upon a time", help="how the text begins")
    parser.add_argument("--data", default="datasets/stories", help="folder with train.txt (default datasets/stories)")
    parser.add_argument("--steps", type=positive_int, default=150, help="steps of training (default 150)")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="decides weights and windows (default 0)")
    args = parser.parse_args(argv)
    tokenizer = load_tokenizer(Path(args.load or "tokenization") / "tokenizer.json")
    prompt = [tokenizer.eot_token, *tokenizer.encode_ordinary(args.prompt)]
    if args.load:
        model = load_gpt2(args.load)
        if tokenizer.n_vocab > model.config.vocab_size:
            raise UserError(f"{args.load}: tokenizer.json has {tokenizer.n_vocab} tokens, the model knows "
                            f"{model.config.vocab_size}")
        print(tokenizer.decode(go_on(model, prompt, tokens=40)[1:]))
        return
    count_sizes()

    stories = load_split(args.data, "train")[:2000]
    encoded = tokenizer.encode_ordinary_batch(stories, num_threads=1)
    stream = np.array([i for ids in encoded for i in [tokenizer.eot_token, *ids]], dtype=np.int64)
    config = GPT2Config(vocab_size=tokenizer.n_vocab, n_positions=64, n_embd=64, n_layer=2, n_head=4)
    if len(stream) <= config.n_positions + 1:
        raise UserError(f"{args.data}/train.txt has only {len(stream)} tokens; give it a few stories more")
    model = GPT2(config).initialize(args.seed)
    print(f"\na tiny one: {sum(p.numel() for p in model.parameters()):,} parameters, {len(stream):,} tokens to train on\n"
          f"{args.prompt!r} before training:")
    look_inside(model, prompt, tokenizer)
    losses = train_briefly(model, stream, args.steps, args.seed)
    share = np.bincount(stream) / len(stream)
    counting = -sum(p * math.log(p) for p in share if p > 0)  # what knowing each token's frequency alone can reach
    first, last, even = losses[0], float(np.mean(losses[-10:])), math.log(config.vocab_size)
    print(f"\nloss {first:.2f} at the first step (ln {config.vocab_size} = {even:.2f}), {last:.2f} at the last of "
          f"{args.steps}; knowing only how frequent each token is gives {counting:.2f}")
    assert last < min(first, counting) or args.steps < 100, "it learned no more than the tokens' frequencies"
    print("after training:")
    look_inside(model, prompt, tokenizer)
    print(f"\nthe likeliest, again and again: {tokenizer.decode(go_on(model, prompt, tokens=40)[1:])!r}")


if __name__ == "__main__":
    run(main)
