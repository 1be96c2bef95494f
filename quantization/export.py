"""A model for other programs: as one GGUF file for llama.cpp, or as a plain Hugging Face folder.

New since the last chapter: the same numbers under other names and in another order. llama.cpp calls
`model.layers.3.self_attn.q_proj.weight` `blk.3.attn_q.weight`, and turns neighbors, (x[0], x[1]), where the
Hugging Face layout turns (x[0], x[D/2]). So the rows of q and k change places. A folder that is quantized already keeps
its integers: int8 becomes Q8_0, int4 Q4_0, whatever method found them. Left out on purpose: other families and other
tokenizers than byte-level BPE. D is the width of a head, N that of a row.

    python quantization/export.py                                     the shipped model as float32, ten seconds
    python quantization/export.py deployment/weights/storyteller --to gguf --out out/s.gguf --type q8_0
    python quantization/export.py out/quantization/int4 --to hf --out out/plain       loads in `transformers`

Sources: the GGUF specification; the tensor and metadata names of llama.cpp's "llama" architecture.
"""

import argparse
import json
import time
from dataclasses import fields
from pathlib import Path

import torch
from safetensors.torch import save

import gguf_file
from atomic import write_atomic
from checkpoint import read_json
from cli import UserError, positive_int, run
from data import Scorer
from gguf_file import GGUFTensor, encode_tensor, pack_q4_0, pack_q8_0
from model import Config, Storyteller
from quantize import MODEL, Quantized
from store import load_quantized, read_quantized
from tokenizer import load_tokenizer

OUT = "out/quantization/storyteller.gguf"
END = "<|endoftext|>"
# How llama.cpp calls a way to cut text into words, which it has built in; see transformer/tokenizer.py for GPT-2's.
PATTERNS = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+": "llama-bpe",
}
FILE_TYPES = {"float32": 0, "float16": 1, "q4_0": 2, "q8_0": 7}  # general.file_type
NORMAL, CONTROL, UNUSED = 1, 3, 5  # kinds of tokens
NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


def gguf_name(name):
    """model.layers.3.self_attn.q_proj.weight -> blk.3.attn_q.weight"""
    stem = name.removesuffix(".weight")
    if stem.startswith("model.layers."):
        _, _, layer, part = stem.split(".", 3)
        return f"blk.{layer}.{NAMES[part]}.weight"
    return f"{NAMES[stem]}.weight"


def heads_of(name, config):
    """How many heads' rows of this weight are turned by the rotary embedding: 0 for all but q and k."""
    return {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2], 0)


def pairs_together(rows, heads):
    """Rows (heads D, …) so that the pair (i, i + D/2) of each head becomes (2 i, 2 i + 1)."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])  # (heads, 2, D/2, …)
    return halves.swapaxes(1, 2).reshape(rows.shape)


def pairs_apart(rows, heads):
    """The inverse of `pairs_together`."""
    pairs = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:])  # (heads, D/2, 2, …)
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def as_blocks(x):
    """A Quantized as (codes int8 (n, 32), scales (n, 1)), row by row; None where blocks of 32 cannot say the same.

    A group of 64 is two blocks with the same scale, and a row with one scale is many.
    """
    R, N = x.q.shape
    if x.zero is not None or N % 32 or x.group % 32 or x.scale.shape[0] != R:
        return None
    scales = x.scale.repeat_interleave(x.group // 32, 1)  # (R, N/32)
    return x.q.reshape(-1, 32).numpy(), scales.reshape(-1, 1).float().numpy()


def tensor_for(name, weight, kind, config):
    """The GGUFTensor of a weight (a tensor, or a Quantized) in this type, with its rows where llama.cpp wants them."""
    heads = heads_of(name, config)
    if isinstance(weight, Quantized):
        if heads:
            zero = None if weight.zero is None else pairs_together(weight.zero, heads)
            weight = Quantized(pairs_together(weight.q, heads), pairs_together(weight.scale, heads), zero, weight.bits,
                               weight.group)
        blocks = as_blocks(weight)
        if blocks is not None and kind == {8: "q8_0", 4: "q4_0"}[weight.bits]:
            pack = {8: pack_q8_0, 4: pack_q4_0}[weight.bits]
            return GGUFTensor(kind, tuple(weight.q.shape), pack(*blocks))
        weight = weight.dequantize()
    elif heads:
        weight = pairs_together(weight, heads)
    if weight.dim() == 1:
        kind = "float32"  # norms are few, and nobody rounds them
    elif weight.shape[-1] % 32 and kind in ("q8_0", "q4_0"):
        kind = "float16"
    return encode_tensor(kind, weight.numpy())


def model_metadata(config, name, kind):
    """What llama.cpp must know about the model: name -> (type, value)."""
    return {
        "general.architecture": ("string", "llama"),
        "general.name": ("string", name),
        "general.file_type": ("uint32", FILE_TYPES[kind]),
        "general.quantization_version": ("uint32", 2),
        "general.alignment": ("uint32", gguf_file.ALIGNMENT),
        "llama.vocab_size": ("uint32", config.vocab_size),
        "llama.context_length": ("uint32", config.max_position_embeddings),
        "llama.embedding_length": ("uint32", config.hidden_size),
        "llama.block_count": ("uint32", config.num_hidden_layers),
        "llama.feed_forward_length": ("uint32", config.intermediate_size),
        "llama.attention.head_count": ("uint32", config.num_attention_heads),
        "llama.attention.head_count_kv": ("uint32", config.num_key_value_heads),
        "llama.attention.layer_norm_rms_epsilon": ("float32", config.rms_norm_eps),
        "llama.rope.dimension_count": ("uint32", config.head_dim),
        "llama.rope.freq_base": ("float32", config.rope_theta),
    }


def tokenizer_metadata(path, vocab_size):
    """What llama.cpp must know about the tokenizer of a tokenizer.json: name -> (type, value)."""
    stored, end = read_json(path), load_tokenizer(path).eot_token  # the second checks what the first has
    cut = stored["pre_tokenizer"]
    pattern = "" if cut["type"] == "ByteLevel" else cut["pretokenizers"][0]["pattern"]["Regex"]
    if pattern and pattern not in PATTERNS:
        raise UserError(f"{path} cuts text into words by a pattern that llama.cpp has no name for here; "
                        "add it to PATTERNS in export.py")
    special = {token["id"]: token["content"] for token in stored["added_tokens"]}
    words = {i: word for word, i in stored["model"]["vocab"].items()} | special
    ids = range(max(vocab_size, max(words) + 1))
    kinds = [CONTROL if i in special else NORMAL if i in words else UNUSED for i in ids]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in stored["model"]["merges"]]
    return {
        "tokenizer.ggml.model": ("string", "gpt2"),
        "tokenizer.ggml.pre": ("string", PATTERNS.get(pattern, "gpt-2")),
        "tokenizer.ggml.tokens": ("[string]", [words.get(i, f"[unused{i}]") for i in ids]),
        "tokenizer.ggml.token_type": ("[int32]", kinds),
        "tokenizer.ggml.merges": ("[string]", merges),
        "tokenizer.ggml.bos_token_id": ("uint32", end),
        "tokenizer.ggml.eos_token_id": ("uint32", end),
        "tokenizer.ggml.add_bos_token": ("bool", True),
    }


def write_gguf(folder, path, kind):
    """Writes a model folder, quantized or not, as a GGUF file. kind: the type of its matrices."""
    config, weights = read_quantized(folder)
    metadata = model_metadata(config, Path(folder).name, kind)
    metadata |= tokenizer_metadata(Path(folder) / "tokenizer.json", config.vocab_size)
    tensors = {}
    for name, weight in weights.items():
        try:
            tensors[gguf_name(name)] = tensor_for(name, weight, kind, config)
        except ValueError as error:
            raise UserError(f"{folder}: {name} cannot become {kind}: {error}") from None
    gguf_file.write(path, metadata, tensors)


@torch.no_grad()
def read_gguf(path):
    """The Storyteller in a GGUF file of the llama architecture, in float32. UserError names the file and its fault."""
    metadata, tensors = gguf_file.read(path)

    def entry(name, kind=int):
        if not isinstance(metadata.get(name, (None, None))[1], kind):
            raise UserError(f"{path} has no {name}, or one of a wrong type")
        return metadata[name][1]

    if entry("general.architecture", str) != "llama":
        raise UserError(f"{path} holds a model of the family {metadata['general.architecture'][1]!r}, not 'llama'")
    config = Config(
        vocab_size=len(entry("tokenizer.ggml.tokens", list)), hidden_size=entry("llama.embedding_length"),
        intermediate_size=entry("llama.feed_forward_length"), num_hidden_layers=entry("llama.block_count"),
        num_attention_heads=entry("llama.attention.head_count"),
        num_key_value_heads=entry("llama.attention.head_count_kv"),
        max_position_embeddings=entry("llama.context_length"), rope_theta=entry("llama.rope.freq_base", float),
        rms_norm_eps=entry("llama.attention.layer_norm_rms_epsilon", float),
        tie_word_embeddings="output.weight" not in tensors)
    if f"blk.{config.num_hidden_layers - 1}.ffn_norm.weight" not in tensors:  # asked before memory is taken
        raise UserError(f"{path} has fewer layers than the {config.num_hidden_layers} that it says")
    try:
        model = Storyteller(config)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    for name, parameter in model.named_parameters():
        tensor = tensors.get(gguf_name(name))
        if tensor is None or tensor.shape != tuple(parameter.shape):
            raise UserError(f"{path}: {gguf_name(name)} is {'missing' if tensor is None else tensor.shape}; "
                            f"the model needs one of shape {tuple(parameter.shape)}")
        weight, heads = torch.from_numpy(tensor.floats()), heads_of(name, config)
        parameter.copy_(pairs_apart(weight, heads) if heads else weight)
    return model.eval()


# copied from: transformer/checkpoint.py::save_checkpoint
def save_checkpoint(folder, model, tokenizer_path):
    """Writes the model as a folder, each file atomically, the weights last.

    tokenizer_path: the tokenizer.json to put beside the weights; its special token
    `<|endoftext|>` begins and ends every text.
    """
    folder, config = Path(folder), model.config
    tokenizer_text = Path(tokenizer_path).read_text(encoding="utf-8")
    end = next(t["id"] for t in json.loads(tokenizer_text)["added_tokens"] if t["content"] == END)
    write_atomic(folder / "config.json", json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama",
        **{f.name: getattr(config, f.name) for f in fields(config) if f.name != "dropout"},
        "head_dim": config.head_dim, "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
        "bos_token_id": end, "eos_token_id": end, "torch_dtype": str(next(model.parameters()).dtype).split(".")[1],
    }, indent=2) + "\n")
    write_atomic(folder / "tokenizer.json", tokenizer_text)
    write_atomic(folder / "tokenizer_config.json", json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END,
        "model_max_length": config.max_position_embeddings, "clean_up_tokenization_spaces": False}, indent=2) + "\n")
    write_atomic(folder / "generation_config.json", json.dumps({
        "bos_token_id": end, "eos_token_id": end, "do_sample": False}, indent=2) + "\n")
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        del weights["lm_head.weight"]  # the same numbers as the embedding table: stored once
    write_atomic(folder / "model.safetensors", save(weights, metadata={"format": "pt"}))


def write_hf(folder, out, kind):
    """Writes a model folder, quantized or not, as a plain one whose matrices are floats, for `transformers`."""
    if Path(out).resolve() == Path(folder).resolve():
        raise UserError("the folder to write is the one to read; choose another --out, so that nothing is lost")
    load_tokenizer(Path(folder) / "tokenizer.json")  # one clear line, should it not be one
    try:
        save_checkpoint(out, load_quantized(folder).to(getattr(torch, kind)), Path(folder) / "tokenizer.json")
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}") from None


def default_type(folder):
    """float32, which loses nothing; for a folder that is quantized the type that keeps its integers."""
    bits = read_json(Path(folder) / "config.json").get("quantization_config", {}).get("bits")
    return {8: "q8_0", 4: "q4_0"}.get(bits, "float32")


def main(argv=None):
    parser = argparse.ArgumentParser(description="Writes a model folder for llama.cpp (GGUF) or for transformers.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder, quantized or not (default {MODEL})")
    parser.add_argument("--to", choices=("gguf", "hf"), default="gguf", help="one file, or a folder (default gguf)")
    parser.add_argument("--out", help=f"the file or folder to write (default {OUT}; for hf the same without .gguf)")
    parser.add_argument("--type", choices=("float32", "float16", "bfloat16", "q8_0", "q4_0"),
                        help="of the matrices (default float32, and q8_0 or q4_0 for what is quantized already)")
    parser.add_argument("--data", default="datasets/stories", help="folder with valid.txt (default datasets/stories)")
    parser.add_argument("--stories", type=positive_int, default=40, help="stories to score (default 40)")
    parser.add_argument("--threads", type=positive_int, default=1, help="CPU threads (default 1)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    before = load_quantized(args.folder)
    out = args.out or (OUT if args.to == "gguf" else OUT.removesuffix(".gguf"))
    kind = args.type or ("float32" if args.to == "hf" else default_type(args.folder))
    if kind not in (("float32", "float16", "q8_0", "q4_0") if args.to == "gguf" else ("float32", "float16", "bfloat16")):
        raise UserError(f"--type {kind} is not for --to {args.to}")
    started = time.perf_counter()
    if args.to == "gguf":
        write_gguf(args.folder, out, kind)
        after, file = read_gguf(out), Path(out)
    else:
        write_hf(args.folder, out, kind)
        after, file = load_quantized(out), Path(out) / "model.safetensors"
    seconds = time.perf_counter() - started
    size = file.stat().st_size
    print(f"{file}: {before.count_parameters():,} parameters, {kind}, {size:,} bytes, "
          f"{8 * size / before.count_parameters():.2f} bits each; written and read back in {seconds:.1f} s")
    differ = max((a - b).abs().max().item() for a, b in zip(before.parameters(), after.parameters()))
    print(f"largest difference of a weight: {differ:.2g}")
    assert differ == 0 or kind != "float32", "float32 must lose nothing"
    score = Scorer(args.data, load_tokenizer(Path(args.folder) / "tokenizer.json"), args.stories)
    base, bpb = score(before), score(after)
    print(f"bits per byte on {len(score.stories)} stories of {args.data}: {base:.4f} in {args.folder}, "
          f"{bpb:.4f} in {out} ({bpb / base - 1:+.2%})")


if __name__ == "__main__":
    run(main)
