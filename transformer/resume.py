"""Everything that a training run remembers, in one file: weights, optimizers, random numbers, step.

One file and one rename, so that a run killed at any moment leaves a state that belongs together.
"""

import json
import zlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from atomic import write_atomic
from cli import UserError

MUST_AGREE = ("tokenizer", "depth", "layers", "steps", "batch_size", "context", "accumulate", "learning_rate",
              "optimizer", "weight_decay", "warmup", "decay", "clip", "dropout", "dtype", "seed")


def fingerprint(stories):
    """A checksum of the tokenized stories: the same data in the same order, or not."""
    checksum = 0
    for story in stories:
        checksum = zlib.crc32(story.tobytes(), checksum)
    return f"{len(stories)} stories, crc32 {checksum:08x}"


def save_training(path, args, stories, model, optimizers, step, history):
    """Writes the state after `step` steps to `path`, atomically. Optimizer state is named number.parameter.key."""
    tensors = {f"model.{name}": t.detach().cpu().contiguous() for name, t in model.named_parameters()}
    tensors["random"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random_cuda"] = torch.cuda.get_rng_state()
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimizer.{number}.{index}.{key}"] = torch.as_tensor(value).detach().cpu().contiguous()
    settings = {name: getattr(args, name) for name in MUST_AGREE} | {"data": fingerprint(stories)}
    write_atomic(path, save(tensors, metadata={
        "step": str(step), "settings": json.dumps(settings), "history": json.dumps(history)}))


def load_training(path, args, stories, model, optimizers):
    """Puts the state in `path` back into model, optimizers and generators; returns (step, history), (0, []) without a file.

    Raises UserError where the file is damaged or belongs to a run with other settings or stories.
    """
    if not Path(path).exists():
        return 0, []
    try:
        with safe_open(path, "pt") as file:
            meta = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        step, history = int(meta["step"]), json.loads(meta["history"])
        before = json.loads(meta["settings"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path} is damaged; remove it and start again without --resume") from None
    now = {name: getattr(args, name) for name in MUST_AGREE} | {"data": fingerprint(stories)}
    for name, value in now.items():
        if before.get(name) != value:
            raise UserError(f"{path} belongs to a run with {name} = {before.get(name)}, not {value}; "
                            "resume with the same settings or choose another --out")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
    for number, optimizer in enumerate(optimizers):
        state = {}
        for name, tensor in tensors.items():
            if name.startswith(f"optimizer.{number}."):
                _, _, index, key = name.split(".", 3)
                state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["random"])
    if "random_cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random_cuda"])
    return step, history
