"""The Storyteller with experts in place of its MLPs: the family of Mixtral, as a model and as a folder.

New since model.py and checkpoint.py: blocks with a router, losses that keep the experts busy, parameters that a model
has against those that a token uses, and Mixtral's names in the file. Left out on purpose: attention within a window,
which Mixtral's first release does not use either.
Shapes: B sequences, T tokens, V vocabulary, C width, E experts, k of them a token, F width inside an expert, L layers.

    python transformer/mixtral.py             five seconds: counts parameters, saves and opens a small one

The folder opens as transformers.MixtralForCausalLM, and a folder that this library saved opens here.

Papers: Jiang et al., "Mixtral of Experts" (2024); those of experts.py.
"""

import argparse
import json
import re
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors.torch import save

from atomic import write_atomic
from checkpoint import END, read_json, read_weights
from cli import UserError, run
from experts import Experts, balancing_loss, z_loss
from model import Config, Storyteller


@dataclass
class MixtureConfig(Config):
    """The sizes of a model with experts, under config.json's names; intermediate_size is the width of one expert."""

    num_local_experts: int = 8  # E
    num_experts_per_tok: int = 2  # k
    router_aux_loss_coef: float = 0.0  # how much the balancing loss counts
    router_z_loss_coef: float = 0.0
    bias_rate: float = 0.0  # above 0: experts are balanced by a bias for choosing, not by a loss
    shared_size: int = 0  # the width of an expert for all tokens; 0: none
    capacity_factor: float | None = None  # None: no token is dropped

    def check(self):
        super().check()
        if not 1 <= self.num_experts_per_tok <= self.num_local_experts <= 2**10:
            raise ValueError(f"num_experts_per_tok {self.num_experts_per_tok} must be from 1 to num_local_experts "
                             f"{self.num_local_experts}, and that at most 1024")


class Mixture(Storyteller):
    """The Storyteller with an Experts layer in each block. Ids (B, T) -> logits (B, T, V), or with targets a loss.

    While it trains, the loss contains the routers' own losses, averaged over the layers.
    """

    def __init__(self, config):
        super().__init__(config)
        for layer in self.model.layers:
            layer.mlp = Experts(config.hidden_size, config.intermediate_size, config.num_local_experts,
                                config.num_experts_per_tok, capacity_factor=config.capacity_factor,
                                shared=config.shared_size, bias=config.bias_rate > 0)

    def routers(self):
        """The Experts layers, from the first block to the last."""
        return [layer.mlp for layer in self.model.layers]

    def forward(self, input_ids, targets=None):
        for router in self.routers():
            router.counted = None if targets is None else targets.reshape(-1) != -1
        result = super().forward(input_ids, targets)
        if self.training and targets is not None:
            config, routers = self.config, self.routers()
            balance = sum(balancing_loss(router.logits, router.chosen) for router in routers) / len(routers)
            size = sum(z_loss(router.logits) for router in routers) / len(routers)
            result = result + config.router_aux_loss_coef * balance + config.router_z_loss_coef * size
        return result

    def count_active(self):
        """The parameters that one token is computed with: all but the experts that it does not choose."""
        an_expert = sum(p.numel() for p in self.routers()[0].experts[0].parameters())
        idle = self.config.num_local_experts - self.config.num_experts_per_tok
        return self.count_parameters() - self.config.num_hidden_layers * idle * an_expert


def count_by_formula(config):
    """(all, active) parameters from the sizes alone; a dense Config counts as one expert without a router."""
    C, L, V, D = config.hidden_size, config.num_hidden_layers, config.vocab_size, config.head_dim
    tables = V * C * (1 if config.tie_word_embeddings else 2)
    attention = 2 * C * D * (config.num_attention_heads + config.num_key_value_heads)  # q and o; k and v
    E, k = getattr(config, "num_local_experts", 1), getattr(config, "num_experts_per_tok", 1)
    rest = attention + 2 * C + (E * C if E > 1 else 0) + 3 * C * getattr(config, "shared_size", 0)
    an_expert = 3 * C * config.intermediate_size
    return tuple(tables + C + L * (rest + n * an_expert) for n in (E, k))


def flops_a_token(config, length):
    """Floating-point operations of the forward pass, of one token among `length`; the backward pass takes twice as many.

    Two (a product and a sum) for each active number of the matrices, and for attention two products with C numbers for
    each token looked at, which are length / 2 on average. The table is a product only where it writes.
    """
    _, active = count_by_formula(config)
    norms = config.hidden_size * (2 * config.num_hidden_layers + 1)
    read_only = 0 if config.tie_word_embeddings else config.vocab_size * config.hidden_size
    return 2 * (active - norms - read_only) + 2 * config.num_hidden_layers * length * config.hidden_size


INNER = {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"}


def mixtral_name(name):
    """mlp.experts.3.gate_proj.weight -> block_sparse_moe.experts.3.w1.weight; names outside of the experts stay."""
    name = name.replace(".mlp.", ".block_sparse_moe.")
    return re.sub(r"(\.experts\.\d+)\.(\w+)\.", lambda found: f"{found[1]}.{INNER[found[2]]}.", name)


def save_mixtral(folder, model, tokenizer_path):
    """Writes the model as a Mixtral folder, each file atomically, the weights last.

    Raises ValueError for what Mixtral's layout has no place for: a shared expert, a bias for choosing.
    """
    folder, config = Path(folder), model.config
    if config.shared_size or config.bias_rate:
        raise ValueError("Mixtral's layout has no shared expert and no bias for choosing")
    tokenizer_text = Path(tokenizer_path).read_text(encoding="utf-8")
    end = next(t["id"] for t in json.loads(tokenizer_text)["added_tokens"] if t["content"] == END)
    ours = ("dropout", "router_z_loss_coef", "bias_rate", "shared_size", "capacity_factor")
    write_atomic(folder / "config.json", json.dumps({
        "architectures": ["MixtralForCausalLM"], "model_type": "mixtral",
        **{f.name: getattr(config, f.name) for f in fields(config) if f.name not in ours},
        "head_dim": config.head_dim, "hidden_act": "silu", "sliding_window": None, "bos_token_id": end,
        "eos_token_id": end, "torch_dtype": str(next(model.parameters()).dtype).split(".")[1],
    }, indent=2) + "\n")
    write_atomic(folder / "tokenizer.json", tokenizer_text)
    weights = {mixtral_name(name): tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        del weights["lm_head.weight"]  # the same numbers as the embedding table: stored once
    write_atomic(folder / "model.safetensors", save(weights, metadata={"format": "pt"}))


def read_mixture_config(folder):
    """config.json as a MixtureConfig. Raises UserError for what this model cannot be."""
    path = Path(folder) / "config.json"
    stored = read_json(path)
    if stored.get("model_type") != "mixtral":
        raise UserError(f"{path}: model_type is {stored.get('model_type')!r}; this program reads models of type 'mixtral'")
    rope = stored.get("rope_parameters") or {}
    if not isinstance(rope, dict) or rope.get("rope_type", "default") != "default":
        raise UserError(f"{path}: rotary scaling {rope!r} is not supported")
    stored.setdefault("rope_theta", rope.get("rope_theta", 1e6))
    stored.setdefault("tie_word_embeddings", False)  # the family's default, where the file is silent
    known = {f.name: stored[f.name] for f in fields(MixtureConfig) if f.name in stored and f.name != "dropout"}
    missing = [name for name in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                                 "num_attention_heads", "num_key_value_heads", "max_position_embeddings",
                                 "num_local_experts", "num_experts_per_tok") if type(known.get(name)) is not int]
    if missing:
        raise UserError(f"{path} does not give {', '.join(missing)}")
    config = MixtureConfig(**known)
    try:
        config.check()
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    if stored.get("head_dim") not in (None, config.head_dim):
        raise UserError(f"{path}: head_dim {stored['head_dim']} is not hidden_size / num_attention_heads")
    if stored.get("hidden_act", "silu") != "silu" or stored.get("sliding_window") is not None:
        raise UserError(f"{path}: only hidden_act 'silu' without a sliding_window is supported")
    return config


def load_mixtral(folder):
    """The model of a Mixtral folder, in float32, ready to predict. UserError names the file and its fault."""
    config, weights = read_mixture_config(folder), read_weights(folder)
    last = mixtral_name(f"model.layers.{config.num_hidden_layers - 1}.mlp.gate.weight")
    if last not in weights:  # asked first: a damaged number of layers could be a million
        raise UserError(f"{folder}: the weights lack {last}, which config.json asks for")
    with torch.device("meta"):  # shapes without memory, to compare before anything large is made
        wanted = {name: tensor.shape for name, tensor in Mixture(config).state_dict().items()}
    if config.tie_word_embeddings:
        weights["lm_head.weight"] = weights.get("model.embed_tokens.weight")
    for name, shape in wanted.items():
        stored = weights.get(mixtral_name(name))
        if stored is None:
            raise UserError(f"{folder}: the weights lack {mixtral_name(name)}, which config.json asks for")
        if stored.shape != shape:
            raise UserError(f"{folder}: {mixtral_name(name)} has shape {tuple(stored.shape)}, "
                            f"config.json asks for {tuple(shape)}")
    model = Mixture(config)
    model.load_state_dict({name: weights[mixtral_name(name)].float() for name in wanted})
    return model.eval()


PUBLISHED = {  # sizes as in the models' config.json; billions of parameters, all and active, as published
    "Mixtral 8x7B": (MixtureConfig(32000, 4096, 14336, 32, 32, 8, 32768, 1e6, 1e-5, False), 46.7, 12.9),
    "Mixtral 8x22B": (MixtureConfig(32768, 6144, 16384, 56, 48, 8, 65536, 1e6, 1e-5, False), 141, 39),
}


def main(argv=None):
    parser = argparse.ArgumentParser(description="Counts the parameters of Mixtral, saves and opens a small one.")
    parser.add_argument("--tokenizer", default="tokenization/tokenizer.json", help="a tokenizer.json (default the course's)")
    args = parser.parse_args(argv)
    print("                       parameters          active   FLOPs a token, forward, context 2,048")
    for name, (config, total, active) in PUBLISHED.items():
        counted = count_by_formula(config)
        assert abs(counted[0] / 1e9 - total) < 0.05 * 10 ** (total > 99) and abs(counted[1] / 1e9 - active) < 0.2
        print(f"{name:14}{counted[0]:>19,}{counted[1]:>16,}   {flops_a_token(config, 2048):.3g}")
    small = MixtureConfig(4096, 128, 192, 2, 2, 1, 512)
    model = Mixture(small).initialize(seed=0).eval()
    assert (model.count_parameters(), model.count_active()) == count_by_formula(small)
    print(f"{'a small one':14}{model.count_parameters():>19,}{model.count_active():>16,}")
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        save_mixtral(folder, model, args.tokenizer)
        ids = torch.arange(20)[None]
        assert torch.equal(load_mixtral(folder)(ids), model(ids))
        names = sorted(name for name in read_weights(folder) if ".layers.0.block" in name)
    print(f"saved and opened again: the same logits; of layer 0 the file has\n    {names[-1]}\n    "
          + "\n    ".join(names[:3]) + f"\n    and {len(names) - 4} more")


if __name__ == "__main__":
    run(main)
