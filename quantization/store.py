"""The quantized folder: what lies in config.json and model.safetensors, written and read back.

New since the last chapter: two tensors in place of a matrix. Everything else in the folder is what it was, and
the C engine reads it as it is. Left out on purpose: formats of others (export.py writes GGUF).

For each matrix NAME.weight of shape (R, N), in groups of G columns, value = integer * scale of its group:

    8 bits    NAME.weight  I8 (R, N)      the integers, -127 to 127
    4 bits    NAME.weight  U8 (R, N/2)    in each block of 32 columns, byte j = 0 … 15 holds column j in its low four
                                          bits and column j + 16 in its high four, each as integer + 8, so 0 to 15
              NAME.scale   F16 or F32 (R, N/G)
              NAME.zero    U8 (R, N/G)    4 bits, asymmetric: value = (stored - zero) * scale; the C engine has no use for it

Where G is not a multiple of 32 that divides N, the matrix stays as it was; a weight without a scale is not quantized.
Norms are never quantized. config.json gains "quantization_config" with quant_method "storyteller", bits,
group_size (0: not the same everywhere, as with a scale a row) and symmetric.

    python quantization/store.py          a block of weights as bytes, then a folder there and back; five seconds

Why 32 columns and halves: a vector unit takes the 16 bytes, masks the low halves, shifts the high ones down,
and has 32 neighbors in order.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save

from atomic import write_atomic
from checkpoint import load_model, read_config, read_json, read_weights
from cli import UserError, run
from model import Storyteller
from quantize import MODEL, Quantized, matrices, mean_bits, quantize, quantize_model

BLOCK = 32
COPIED = "tokenizer.json", "tokenizer_config.json", "generation_config.json"


def pack4(numbers):
    """Numbers 0 … 15, (R, N) with N a multiple of 32 -> bytes (R, N/2)."""
    R, N = numbers.shape
    low, high = numbers.to(torch.uint8).view(R, N // BLOCK, 2, BLOCK // 2).unbind(2)  # (R, N/32, 16)
    return (low | high << 4).view(R, N // 2)


def unpack4(data):
    """The inverse of pack4: bytes (R, N/2) -> numbers 0 … 15 in uint8, (R, N)."""
    R, half = data.shape
    data = data.view(R, half * 2 // BLOCK, BLOCK // 2)
    return torch.stack([data & 15, data >> 4], dim=2).view(R, half * 2)


def can_store(x):
    """Whether a Quantized can be stored: whole blocks and groups, a scale a group, a zero with four bits only."""
    N = x.q.shape[1]
    return x.group % BLOCK == 0 and N % x.group == 0 and x.scale.shape[0] == x.q.shape[0] and (x.zero is None or x.bits == 4)


def tensors_of(name, x):
    """{name: tensor} as a file has them, for a Quantized."""
    stem = name.removesuffix(".weight")
    if x.bits == 8:
        return {name: x.q, f"{stem}.scale": x.scale}
    packed = pack4(x.q + 8 if x.zero is None else x.q)
    return {name: packed, f"{stem}.scale": x.scale} | ({} if x.zero is None else {f"{stem}.zero": x.zero})


def save_quantized(folder, source, quantized, weights=None):
    """Writes a model folder: the one at `source`, with {name: Quantized} in place of its matrices.

    weights: {name: tensor} for others that changed, a norm that a scale was folded into. What cannot be stored
    stays as it was. Returns the bytes of model.safetensors. Each file is written atomically, the weights last.
    """
    folder, source = Path(folder), Path(source)
    if folder.resolve() == source.resolve():
        raise UserError(f"{folder} is the model that is read; write into another folder, so that nothing is lost")
    config = read_json(source / "config.json")
    if "quantization_config" in config:
        raise UserError(f"{source} is quantized already; take the folder that it was made from")
    stored = {name: x for name, x in quantized.items() if can_store(x)}
    if not stored:
        raise UserError("no matrix can be stored like that: --group must be a multiple of 32 that divides their columns")
    if weights and len(stored) < len(quantized):
        raise UserError("what was changed together must be stored together: --group must divide the columns of every matrix")
    tensors = {**read_weights(source), **(weights or {})}
    groups = {x.group for x in stored.values()}
    for name, x in stored.items():
        tensors.update(tensors_of(name, x))
    if read_config(source).tie_word_embeddings:
        tensors.pop("lm_head.weight", None)  # some files hold a tied table twice
    config |= {"quantization_config": {
        "quant_method": "storyteller", "bits": min(x.bits for x in stored.values()),
        "group_size": groups.pop() if len(groups) == 1 else 0, "symmetric": all(x.zero is None for x in stored.values())}}
    data = save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata={"format": "pt"})
    try:
        for name in COPIED:
            if (source / name).is_file():
                write_atomic(folder / name, (source / name).read_bytes())
        write_atomic(folder / "config.json", json.dumps(config, indent=2) + "\n")
        write_atomic(folder / "model.safetensors", data)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from None
    return len(data)


def read_matrix(folder, name, shape, tensors):
    """The weight `name` of shape (R, N), as a Quantized where it has a scale, else as a tensor. UserError: see text."""
    (R, N), weight = shape, tensors[name]
    scale, zero = (tensors.get(f"{name.removesuffix('.weight')}.{part}") for part in ("scale", "zero"))
    if scale is None:
        if weight.shape != shape or not weight.is_floating_point():
            raise UserError(f"{folder}: {name} has no scale and is no float matrix of shape {tuple(shape)}")
        return weight.float()
    bits = {torch.int8: 8, torch.uint8: 4}.get(weight.dtype)
    if bits is None or tuple(weight.shape) != (R, N * bits // 8):
        raise UserError(f"{folder}: {name} is {weight.dtype} of shape {tuple(weight.shape)}, which is no quantized "
                        f"matrix of shape {(R, N)}")
    groups = scale.shape[-1] if scale.dim() == 2 else 0
    if scale.shape != (R, groups) or not groups or N % groups or (bits == 4 and N % BLOCK):
        raise UserError(f"{folder}: the scale of {name} has shape {tuple(scale.shape)}, which does not divide {(R, N)}")
    if scale.dtype not in (torch.float16, torch.float32) or not bool(torch.isfinite(scale).all()):
        raise UserError(f"{folder}: the scale of {name} has numbers that are no finite float16 or float32")
    if zero is not None and (bits == 8 or zero.dtype != torch.uint8 or zero.shape != scale.shape):
        raise UserError(f"{folder}: the zero of {name} is not like its scale")
    q = weight if bits == 8 else unpack4(weight)
    if bits == 4 and zero is None:
        q = q.to(torch.int8) - 8
    return Quantized(q, scale, zero, bits, N // groups)


def read_quantized(folder):
    """(config, {name: Quantized or tensor}) of a model folder, quantized or not. UserError names what is wrong."""
    if not Path(folder).is_dir():
        raise UserError(f"there is no model folder {folder}")
    config, tensors = read_config(folder), read_weights(folder)
    about = read_json(Path(folder) / "config.json").get("quantization_config")
    if about is not None and (not isinstance(about, dict) or about.get("quant_method") != "storyteller"):
        raise UserError(f"{folder} is quantized in a way this program does not read: {str(about)[:60]}")
    if f"model.layers.{config.num_hidden_layers - 1}.input_layernorm.weight" not in tensors:
        raise UserError(f"{folder}: the weights lack some of the {config.num_hidden_layers} layers of config.json")
    with torch.device("meta"):
        model = Storyteller(config)
    names, found = matrices(model), {}
    for name, wanted in model.named_parameters():  # a tied table comes once
        if name not in tensors:
            raise UserError(f"{folder}: the weights lack {name}, which config.json asks for")
        if name in names:
            found[name] = read_matrix(folder, name, wanted.shape, tensors)
        elif tensors[name].shape != wanted.shape:
            raise UserError(f"{folder}: {name} has shape {tuple(tensors[name].shape)}, not {tuple(wanted.shape)}")
        else:
            found[name] = tensors[name].float()
    return config, found


@torch.no_grad()
def load_quantized(folder):
    """A model folder, quantized or not, as a Storyteller in float32 with the values that the integers stand for."""
    config, found = read_quantized(folder)
    model = Storyteller(config)
    for name, parameter in model.named_parameters():
        parameter.copy_(found[name] if isinstance(found[name], torch.Tensor) else found[name].dequantize())
    return model.eval()


def write_and_score(folder, source, quantized, model, score, weights=None):
    """Writes a quantized folder, reads it back, and prints its size and what it costs."""
    size = save_quantized(folder, source, quantized, weights)
    bits = sorted({x.bits for x in quantized.values()})
    print(f"int{bits[0]}: {mean_bits(quantized):.2f} bits a weight, {size / 1e6:.2f} MB of weights in {folder}")
    base, bpb = score(model), score(load_quantized(folder))
    print(f"bits per byte {base:.4f} before, {bpb:.4f} after ({bpb / base - 1:+.2%})")


def show_block(weight):
    """Prints the first 32 weights of a matrix as integers and as the bytes that are stored."""
    x = quantize(weight[:1, :BLOCK], bits=4)
    packed = pack4(x.q + 8)[0]
    print("the first eight of a block of 32 weights:", " ".join(f"{v:7.3f}" for v in weight[0, :8].tolist()))
    print("columns 16 to 23 of the same block:      ", " ".join(f"{v:7.3f}" for v in weight[0, 16:24].tolist()))
    print(f"divided by the scale {x.scale.item():.5f}, rounded:  ", " ".join(f"{v:7d}" for v in x.q[0, :8].tolist()))
    print("                                         ", " ".join(f"{v:7d}" for v in x.q[0, 16:24].tolist()))
    print("bytes 0 to 7, low half + 8, high half + 8:", " ".join(f"     {b:02x}" for b in packed[:8].tolist()).lstrip())
    assert torch.equal(unpack4(packed[None]).to(torch.int8) - 8, x.q)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Writes quantized folders and reads them back.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    parser.add_argument("--out", default="out/quantization/store", help="where to write (default out/quantization/store)")
    args = parser.parse_args(argv)
    model = load_model(args.folder)
    show_block(next(m.weight.detach() for name, m in matrices(model).items() if name.endswith("q_proj.weight")))
    before = sum(path.stat().st_size for path in Path(args.folder).glob("*.safetensors"))
    print(f"\n{'':34}{'MB':>7}{'of what it was':>16}\n{args.folder:34}{before / 1e6:7.2f}{1:16.1%}")
    for bits, group in ((8, 32), (8, "channel"), (4, 32), (4, 64)):
        quantized, out = quantize_model(model, bits, group), f"{args.out}/int{bits}-{group}"
        size = save_quantized(out, args.folder, quantized)
        _, again = read_quantized(out)
        for name, x in quantized.items():
            assert torch.equal(again[name].q, x.q) and torch.equal(again[name].dequantize(), x.dequantize()), name
        print(f"{out:34}{size / 1e6:7.2f}{size / before:16.1%}")
    print("read back, every integer and every scale is what was written")


if __name__ == "__main__":
    run(main)
