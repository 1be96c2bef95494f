"""Reading a model folder with weights that are not quantized. Copied from chapter transformer: skip what you know."""

import json
from dataclasses import fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from cli import UserError
from model import Config, Storyteller


# copied from: transformer/checkpoint.py::read_json
def read_json(path):
    """The object in a JSON file; UserError names the file and what is wrong with it."""
    path = Path(path)
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is missing; a model folder has config.json, model.safetensors and tokenizer.json") \
            from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path} is not valid JSON; copy it again") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no JSON object")
    return value


# copied from: transformer/checkpoint.py::read_config
def read_config(folder):
    """config.json as a Config. Raises UserError for what this model cannot be: another family, other rotary rules."""
    path = Path(folder) / "config.json"
    stored = read_json(path)
    if stored.get("model_type") != "llama":
        raise UserError(f"{path}: model_type is {stored.get('model_type')!r}; this program reads models of type 'llama'")
    stored.setdefault("num_key_value_heads", stored.get("num_attention_heads"))
    rope = stored.get("rope_parameters") or stored.get("rope_scaling") or {}
    if not isinstance(rope, dict) or rope.get("rope_type", rope.get("type", "default")) != "default":
        raise UserError(f"{path}: rotary scaling {rope!r} is not supported")
    stored.setdefault("rope_theta", rope.get("rope_theta", 10000.0))
    known = {f.name: stored[f.name] for f in fields(Config) if f.name in stored and f.name != "dropout"}
    missing = [name for name in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                                 "num_attention_heads", "max_position_embeddings") if name not in known]
    if missing:
        raise UserError(f"{path} does not give {', '.join(missing)}")
    known.setdefault("tie_word_embeddings", False)  # the family's defaults, where the file is silent
    known.setdefault("rms_norm_eps", 1e-6)
    config = Config(**known)
    try:
        config.check()
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    if stored.get("head_dim") not in (None, config.head_dim):
        raise UserError(f"{path}: head_dim {stored['head_dim']} is not hidden_size / num_attention_heads")
    if stored.get("hidden_act", "silu") != "silu":
        raise UserError(f"{path}: hidden_act {stored['hidden_act']!r} is not supported; the Storyteller has 'silu'")
    for name in ("attention_bias", "mlp_bias"):
        if stored.get(name):
            raise UserError(f"{path}: {name} is not supported; the Storyteller has no biases")
    return config


# copied from: transformer/checkpoint.py::read_weights
def read_weights(folder):
    """All tensors of the folder: model.safetensors, or the shards that model.safetensors.index.json names."""
    folder = Path(folder)
    names = ["model.safetensors"]
    if not (folder / names[0]).exists() and (folder / "model.safetensors.index.json").exists():
        shards = read_json(folder / "model.safetensors.index.json").get("weight_map")
        if not isinstance(shards, dict):
            raise UserError(f"{folder / 'model.safetensors.index.json'} has no weight_map; copy it again")
        names = sorted({str(name) for name in shards.values()})
    weights = {}
    for name in names:
        path = folder / name
        if path.parent != folder:
            raise UserError(f"{folder}: the index names {name!r}, which is outside the folder")
        try:
            weights.update(load_file(path))
        except FileNotFoundError:
            raise UserError(f"{path} is missing; is {folder} a model folder?") from None
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path} is damaged or not a safetensors file ({error}); copy it again") from None
    return weights


# copied from: transformer/checkpoint.py::load_model
def load_model(folder, device="cpu", dtype=torch.float32):
    """The model of a folder, in `dtype` on `device`, ready to predict. UserError names the file and its fault."""
    if not Path(folder).is_dir():
        raise UserError(f"there is no model folder {folder}; train one with: python transformer/train.py --out {folder}")
    if "quantization_config" in read_json(Path(folder) / "config.json"):
        raise UserError(f"{folder} holds quantized weights, which are not numbers that can be used as they are; "
                        "take the folder that they were made from")
    config, weights = read_config(folder), read_weights(folder)
    last = f"model.layers.{config.num_hidden_layers - 1}.input_layernorm.weight"
    if last not in weights:  # asked first: a damaged number of layers could be a million
        raise UserError(f"{folder}: the weights lack {last}, which config.json asks for")
    with torch.device("meta"):  # shapes without memory, to compare before anything large is made
        model = Storyteller(config)
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        weights["lm_head.weight"] = weights.get("model.embed_tokens.weight")
    for name, shape in wanted.items():
        if weights.get(name) is None:
            raise UserError(f"{folder}: the weights lack {name}, which config.json asks for")
        if weights[name].shape != shape:
            raise UserError(f"{folder}: {name} has shape {tuple(weights[name].shape)}, config.json asks for {tuple(shape)}")
    model = Storyteller(config)
    model.load_state_dict({name: weights[name].float() for name in wanted})
    return model.to(device=device, dtype=dtype).eval()
