"""By hand, the cache, training with rounding, GGUF and the exports of chapter quantization; with planted bugs.

References: the `gguf` library (its reader, writer and quantizers), `transformers` (its Llama and its own reader of
GGUF), `tokenizers` through it, closed forms, the model without a cache, autograd.
"""

import json
import math

import numpy as np
import pytest
import torch

REST_MODEL = "deployment/weights/storyteller"
REST_TEXTS = ["Once upon a time", "  Tom's dog  barked:\n\n\"We'LL see 1234567 stars!\"", "café 🐉 ¿qué?", "<|end|> now", ""]
REST_SHAPES = {"plain": (4, 4, True), "grouped": (4, 2, True), "untied": (4, 1, False)}  # heads, key heads, tied


@pytest.fixture(scope="module")
def rest(chapter):
    return chapter("quantization")


def rest_model(module, name="grouped", seed=3, context=96, vocab=4096):
    """A small model whose weights are large enough for its predictions to differ."""
    heads, key_heads, tied = REST_SHAPES[name]
    config = module.Config(vocab_size=vocab, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                           num_attention_heads=heads, num_key_value_heads=key_heads,
                           max_position_embeddings=context, tie_word_embeddings=tied)  # fmt: skip
    model = module.Storyteller(config).initialize(seed).eval()
    with torch.no_grad():
        for i, weight in enumerate(model.parameters()):
            weight *= 4 if weight.dim() == 2 else 1 + (torch.arange(len(weight)) + i) % 3 / 4
    return model


@pytest.fixture(scope="module")
def rest_folders(rest, tmp_path_factory, root):
    """name -> a checkpoint folder of that shape."""
    folders = {}
    for name in REST_SHAPES:
        folders[name] = tmp_path_factory.mktemp(name)
        rest.export.save_checkpoint(folders[name], rest_model(rest.model, name), root / REST_MODEL / "tokenizer.json")
    return folders


@pytest.fixture(scope="module")
def rest_shipped(rest, root):
    return rest.checkpoint.load_model(root / REST_MODEL)


def rest_ids(n, seed=0, vocab=4092):
    return np.random.default_rng(seed).integers(0, vocab, n).astype(np.uint16)


# By hand


def test_by_hand_in_loops_and_in_numpy(rest):
    by_hand, rng = rest.by_hand, np.random.default_rng(0)
    for bits in (2, 3, 4, 8):
        for group in (2, 4, 8):
            numbers = rng.normal(size=16).tolist()
            codes, scales = by_hand.in_numpy(numbers, bits, group)
            loops = by_hand.by_groups(numbers, bits, group)
            np.testing.assert_allclose((codes * scales).reshape(-1), loops, rtol=1e-12)
            steps = np.repeat(scales, group)
            assert (np.abs(np.array(loops) - numbers) <= steps / 2 * (1 + 1e-9)).all()
            if bits > 2:
                ours = rest.quantize.quantize(torch.tensor([numbers]), bits, group).q
                assert ours[0].tolist() == codes.reshape(-1).tolist()
    codes = rng.integers(-8, 8, 16).tolist()
    assert by_hand.unpack(by_hand.pack(codes)) == codes
    assert by_hand.pack([-8, 7, 0, 1]) == bytes([0 | 8 << 4, 15 | 9 << 4])


# GGUF: blocks


def rest_blocks(seed, rows=24, columns=96):
    """Rows of many sizes, with zeros, ties, outliers, and blocks whose largest number is negative."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)) * 10.0 ** rng.integers(-4, 3, (rows, 1))
    x[0], x[1, :32], x[2] = 0, 0, np.round(x[2] * 4) / 4
    x[3, 5], x[4, 40], x[5, 70] = -90, 700, -0.0
    x[6] = np.arange(columns) % 16 - 8  # every code, and halves
    x[7] = (np.arange(columns) % 32 - 16) / 2
    x[8] = np.where(np.arange(columns) % 32, np.arange(columns) + 0.5, 127)  # scale 1: exact halves
    return x.astype(np.float32)


def blocks_are_right(module):
    """Bytes and numbers are those of the gguf library, for both quantized types."""
    quants = pytest.importorskip("gguf").quants
    kinds = pytest.importorskip("gguf").GGMLQuantizationType
    for seed in range(4):
        x = rest_blocks(seed)
        for kind, theirs in (("q8_0", kinds.Q8_0), ("q4_0", kinds.Q4_0), ("float16", kinds.F16), ("float32", kinds.F32)):
            wanted = quants.quantize(x, theirs)
            found = module.encode_tensor(kind, x)
            if found.data.tobytes() != wanted.tobytes():
                return False
            numbers = quants.dequantize(wanted, theirs)
            if not np.array_equal(found.floats(), numbers.reshape(x.shape)) or found.shape != x.shape:
                return False
    return True


@pytest.mark.parametrize("old, new", [
    ("", ""),
    ("stored[:, :16] | stored[:, 16:] << 4", "stored[:, ::2] | stored[:, 1::2] << 4"),  # neighbors share a byte
    ("stored[:, :16] | stored[:, 16:] << 4", "stored[:, 16:] | stored[:, :16] << 4"),  # the wrong nibble first
    ("(codes + 8).astype", "(codes + 7).astype"),
    ("low, high = blocks[:, 2:] & 15, blocks[:, 2:] >> 4", "high, low = blocks[:, 2:] & 15, blocks[:, 2:] >> 4"),
    ("np.abs(x).max(axis=1, keepdims=True) / np.float32(127)", "np.abs(x).max(axis=1, keepdims=True) / np.float32(128)"),
    ("np.abs(x).max(axis=1, keepdims=True)", "np.broadcast_to(np.abs(x).max(), (len(x), 1))"),  # one scale for all
    ("np.abs(x).max(axis=1, keepdims=True)", "x.max(axis=1, keepdims=True)"),  # negative ones forgotten
    ("whole += np.abs(x) - whole >= 0.5", "whole = np.rint(np.abs(x))"),  # halves to the even one
    ("largest / np.float32(-8)", "largest / np.float32(8)"),
    ("np.clip(codes, 0, 15)", "codes % 16"),
])  # fmt: skip
def test_blocks_are_those_of_the_gguf_library(planted, old, new):
    assert blocks_are_right(planted("gguf_file", old, new)) == (not old)


def test_blocks_stay_near(rest):
    """No number moves by more than half a step (Q4_0: a whole one, at the code +8 that does not exist)."""
    for seed in range(3):
        x = rest_blocks(seed)
        largest = np.abs(x.reshape(-1, 32)).max(1, keepdims=True)
        for kind, step, most in (("q8_0", largest / 127, 0.5), ("q4_0", largest / 8, 1.0)):
            error = np.abs(rest.gguf_file.encode_tensor(kind, x).floats() - x).reshape(-1, 32)
            scale_error = largest * 2**-10 + 127 * 2.0**-25  # it is a float16, and for small blocks a subnormal one
            assert (error <= step * most + scale_error).all(), kind


def test_blocks_refuse_what_they_cannot_say(rest):
    encode, x = rest.gguf_file.encode_tensor, np.ones((2, 32), np.float32)
    with pytest.raises(ValueError, match="rows of 33 numbers are no whole blocks"):
        encode("q4_0", np.ones((2, 33)))
    for bad in (np.nan, np.inf, 1e5):
        with pytest.raises(ValueError, match="a number that q8_0 cannot say"):
            encode("q8_0", np.where(np.arange(32) == 3, bad, x))
    with pytest.raises(ValueError, match="float32"):
        encode("float32", x * np.nan)
    assert encode("float32", x * 1e30).floats().max() == np.float32(1e30)
    assert not encode("q8_0", x * np.float32(1e-42)).floats().any()  # too small for a scale: zeros, not NaN


# GGUF: the file

REST_METADATA = {
    "general.architecture": ("string", "llama"), "a.byte": ("uint8", 255), "a.small": ("int8", -128),
    "a.word": ("uint16", 65535), "a.short": ("int16", -32768), "a.number": ("uint32", 2**32 - 1),
    "a.minus": ("int32", -(2**31)), "a.half": ("float32", 0.5), "a.yes": ("bool", True), "a.no": ("bool", False),
    "a.long": ("uint64", 2**64 - 1), "a.longer": ("int64", -(2**63)), "a.double": ("float64", 1e300),
    "a.text": ("string", "é 🐉\n"), "a.empty": ("string", ""), "a.list": ("[uint32]", [1, 2, 3]),
    "a.words": ("[string]", ["", "Ġthe", "łÄ"]), "a.floats": ("[float32]", [0.25, -1.5]),
}  # fmt: skip


def rest_tensors(module):
    x = rest_blocks(1)
    return {"a": module.encode_tensor("float32", x[0, :5]), "b": module.encode_tensor("q4_0", x),
            "c.weight": module.encode_tensor("q8_0", x[:3]), "d": module.encode_tensor("float16", x[:2, :3]),
            "e": module.encode_tensor("q8_0", x.reshape(2, 12, 96))}  # fmt: skip


def test_the_gguf_library_reads_our_file(rest, tmp_path):
    gguf = pytest.importorskip("gguf")
    tensors, path = rest_tensors(rest.gguf_file), tmp_path / "our.gguf"
    rest.gguf_file.write(path, REST_METADATA, tensors)
    reader = gguf.GGUFReader(path)
    for name, (kind, content) in REST_METADATA.items():
        field = reader.get_field(name)
        assert field.contents() == content, name
        assert field.types[-1].name.lower() == kind.strip("[]") and (field.types[0].name == "ARRAY") == ("[" in kind)
    assert [t.name for t in reader.tensors] == list(tensors)
    for theirs, ours in zip(reader.tensors, tensors.values()):
        assert tuple(theirs.shape[::-1]) == ours.shape and theirs.data.tobytes() == ours.data.tobytes()
        assert theirs.data_offset % rest.gguf_file.ALIGNMENT == 0
        numbers = gguf.quants.dequantize(theirs.data, theirs.tensor_type)
        np.testing.assert_array_equal(numbers.reshape(ours.shape), ours.floats())


def test_our_reader_reads_the_gguf_librarys_file(rest, tmp_path):
    gguf = pytest.importorskip("gguf")
    writer, x = gguf.GGUFWriter(tmp_path / "their.gguf", "llama"), rest_blocks(2)
    writer.add_uint32("llama.block_count", 7)
    writer.add_array("tokenizer.ggml.tokens", ["a", "é"])
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    writer.add_float32("llama.rope.freq_base", 10000.0)
    writer.add_tensor("whole", x)
    writer.add_tensor("half", x.astype(np.float16))
    for name, kind in (("eight", gguf.GGMLQuantizationType.Q8_0), ("four", gguf.GGMLQuantizationType.Q4_0)):
        writer.add_tensor(name, gguf.quants.quantize(x, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    metadata, tensors = rest.gguf_file.read(tmp_path / "their.gguf")
    assert metadata["llama.block_count"] == ("uint32", 7) and metadata["general.architecture"] == ("string", "llama")
    assert metadata["tokenizer.ggml.tokens"] == ("[string]", ["a", "é"])
    assert metadata["tokenizer.ggml.add_bos_token"] == ("bool", False)
    np.testing.assert_array_equal(tensors["whole"].floats(), x)
    np.testing.assert_array_equal(tensors["half"].floats(), x.astype(np.float16).astype(np.float32))
    for name, kind in (("eight", "q8_0"), ("four", "q4_0")):
        assert tensors[name].data.tobytes() == rest.gguf_file.encode_tensor(kind, x).data.tobytes()


def test_a_file_comes_back_whole(rest, tmp_path):
    tensors = rest_tensors(rest.gguf_file)
    rest.gguf_file.write(tmp_path / "x.gguf", REST_METADATA, tensors)
    metadata, again = rest.gguf_file.read(tmp_path / "x.gguf")
    assert metadata == REST_METADATA and list(again) == list(tensors)
    for name, tensor in tensors.items():
        assert again[name].type == tensor.type and again[name].shape == tensor.shape
        assert again[name].data.tobytes() == tensor.data.tobytes()


@pytest.mark.parametrize("old, new", [
    ("columns_first = tensor.shape[::-1]", "columns_first = tensor.shape"),
    ("offset += len(tensor.data) + len(padding(len(tensor.data)))", "offset += len(tensor.data)"),
    ("parts.append(padding(sum(map(len, parts))))", ""),
    ('data = text.encode("utf-8")', 'data = text.encode("utf-8") + bytes(1)'),
])  # fmt: skip
def test_planted_in_the_file(planted, rest, tmp_path, old, new):
    gguf = pytest.importorskip("gguf")
    broken = planted("gguf_file", old, new)
    tensors = rest_tensors(broken)
    (tmp_path / "x.gguf").write_bytes(broken.to_bytes(REST_METADATA, tensors))
    with pytest.raises((AssertionError, AttributeError, KeyError, ValueError)):
        reader = gguf.GGUFReader(tmp_path / "x.gguf")
        assert reader.get_field("a.text").contents() == "é 🐉\n"
        for theirs, ours in zip(reader.tensors, tensors.values()):
            assert tuple(theirs.shape[::-1]) == ours.shape and theirs.data.tobytes() == ours.data.tobytes()
            assert theirs.data_offset % 32 == 0


def test_damaged_files_give_one_line(rest, tmp_path):
    """Cut off anywhere, bytes changed anywhere: read, or refused with a UserError, and nothing else."""
    module = rest.gguf_file
    data, rng = module.to_bytes(REST_METADATA, rest_tensors(module)), np.random.default_rng(0)
    for size in [*range(0, 200), *rng.integers(200, len(data) - 32, 200)]:
        with pytest.raises(ValueError):
            module.from_bytes(np.frombuffer(data[:size], np.uint8))
    refused = 0
    for _ in range(2000):
        broken = np.frombuffer(data, np.uint8).copy()
        for at in rng.integers(0, 1400, rng.integers(1, 4)):
            broken[at] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)])
        try:
            with np.errstate(all="ignore"):  # a changed scale may be infinite
                for tensor in module.from_bytes(broken)[1].values():
                    tensor.floats()
        except ValueError:
            refused += 1
    assert refused > 500
    path = tmp_path / "x.gguf"
    for content, said in ((b"", "empty"), (b"GGML" + data[4:], "does not begin with GGUF"),
                          (data[:4] + b"\x02" + data[5:], "version 2"), (data[:-100], "should lie at"),
                          (data[:8] + b"\xff" * 8 + data[16:], "damaged")):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(rest.cli.UserError, match=said) as caught:
            module.read(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(rest.cli.UserError, match="cannot be read"):
        module.read(tmp_path / "nowhere.gguf")


def test_lies_in_a_file_are_refused(rest):
    module = rest.gguf_file
    x = module.encode_tensor("q8_0", np.ones((2, 32)))

    def refuse(said, metadata, tensors, change=lambda data: data):
        with pytest.raises(ValueError, match=said):
            module.from_bytes(np.frombuffer(change(module.to_bytes(metadata, tensors)), np.uint8))

    refuse("alignment of 3", {"general.alignment": ("uint32", 3)}, {})
    refuse("alignment of 0", {"general.alignment": ("uint32", 0)}, {})
    refuse("alignment of 64", {"general.alignment": ("uint64", 64)}, {})
    refuse("twice", {"aa": ("uint8", 1), "ab": ("uint8", 1)}, {}, lambda data: data.replace(b"ab", b"aa"))
    refuse("twice", {}, {"aa": x, "ab": x}, lambda data: data.replace(b"ab", b"aa"))
    wrong = module.GGUFTensor("q8_0", (2, 33), x.data)
    refuse("no whole blocks", {}, {"a": wrong})
    refuse("should lie at", {}, {"a": module.GGUFTensor("q8_0", (2**62, 2**40, 32), x.data)})  # overflows 64 bits
    refuse("0 dimensions", {}, {"a": module.GGUFTensor("float32", (), x.data)})


def test_what_is_in_a_file(rest, tmp_path, capsys):
    rest.gguf_file.main([])
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split()[:5] == ["0", "47", "47", "55", "46"] and shown[-1].startswith("read back")
    rest.gguf_file.write(tmp_path / "x.gguf", REST_METADATA, rest_tensors(rest.gguf_file))
    rest.gguf_file.main([str(tmp_path / "x.gguf")])
    shown = capsys.readouterr().out
    assert "a.number" in shown and "24 x 96" in shown and f"{len(REST_METADATA)} entries, 5 tensors" in shown


# The export to GGUF


def test_the_shipped_model_as_gguf(rest, rest_shipped, root, tmp_path):
    """All tensors are those of model.safetensors, in the places that the gguf library's own name map says."""
    gguf = pytest.importorskip("gguf")
    path = tmp_path / "s.gguf"
    rest.export.write_gguf(root / REST_MODEL, path, "float32")
    reader = gguf.GGUFReader(path)
    names, weights = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 5), rest_shipped.state_dict()
    del weights["lm_head.weight"]  # tied
    theirs = {t.name: t for t in reader.tensors}
    assert len(theirs) == len(weights) == 47
    for name, weight in weights.items():
        tensor = theirs.pop(names.get_name(name, try_suffixes=(".weight",)))
        wanted = weight.numpy()
        if "q_proj" in name or "k_proj" in name:  # head by head, row 2 i is the old i, row 2 i + 1 the old i + 32
            order = [64 * head + i + 32 * half for head in range(5) for i in range(32) for half in range(2)]
            wanted = wanted[order]
        np.testing.assert_array_equal(tensor.data, wanted)
    for name, value in {"general.architecture": "llama", "llama.block_count": 5, "llama.embedding_length": 320,
                        "llama.attention.head_count": 5, "llama.attention.head_count_kv": 5,
                        "llama.rope.dimension_count": 64, "llama.context_length": 512, "llama.vocab_size": 4096,
                        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "llama-bpe",
                        "tokenizer.ggml.bos_token_id": 4092, "tokenizer.ggml.eos_token_id": 4092,
                        "tokenizer.ggml.add_bos_token": True}.items():  # fmt: skip
        assert reader.get_field(name).contents() == value, name
    kinds = reader.get_field("tokenizer.ggml.token_type").contents()
    assert kinds == [gguf.TokenType.NORMAL] * 4092 + [gguf.TokenType.CONTROL] * 4
    stored = json.loads((root / REST_MODEL / "tokenizer.json").read_bytes())
    tokens = reader.get_field("tokenizer.ggml.tokens").contents()
    assert {word: i for i, word in enumerate(tokens)} == {**stored["model"]["vocab"], **{
        token["content"]: token["id"] for token in stored["added_tokens"]}}
    assert reader.get_field("tokenizer.ggml.merges").contents() == [
        m if isinstance(m, str) else " ".join(m) for m in stored["model"]["merges"]]


@torch.inference_mode()
def logits_agree(export, folder, path, kind="float32"):
    """Whether transformers' own reader of GGUF finds in our file the model that transformers finds in the folder."""
    from transformers import AutoModelForCausalLM, LlamaForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    export.write_gguf(folder, path, kind)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.device("meta"):
        empty = LlamaForCausalLM(theirs.config)
    found = load_gguf_checkpoint(path, return_tensors=True, model_to_load=empty)
    for name in ("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size"):
        assert found["config"][name] == getattr(theirs.config, name)
    assert found["config"]["rms_norm_eps"] == pytest.approx(theirs.config.rms_norm_eps)
    again = LlamaForCausalLM(theirs.config).eval()
    missing = again.load_state_dict(found["tensors"], strict=False).missing_keys
    assert missing == (["lm_head.weight"] if theirs.config.tie_word_embeddings else [])
    ids = torch.from_numpy(rest_ids(40).astype(np.int64))[None]
    return torch.equal(theirs(ids).logits, again(ids).logits)


@pytest.mark.parametrize("shape", REST_SHAPES)
def test_transformers_reads_our_gguf(rest, rest_folders, tmp_path, shape):
    pytest.importorskip("gguf")
    assert logits_agree(rest.export, rest_folders[shape], tmp_path / "x.gguf")


@pytest.mark.parametrize("old, new", [
    ("    elif heads:\n        weight = pairs_together(weight, heads)\n", ""),  # the permutation is missing
    ("pairs_together(weight, heads)", "pairs_apart(weight, heads)"),  # the wrong way round
    ("config.num_key_value_heads}.get", "config.num_attention_heads}.get"),  # k has fewer heads
    ('"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up"', '"mlp.gate_proj": "ffn_up", "mlp.up_proj": "ffn_gate"'),
    ('"input_layernorm": "attn_norm"', '"input_layernorm": "ffn_norm"'),
])  # fmt: skip
def test_planted_in_the_export(planted, rest_folders, tmp_path, old, new):
    pytest.importorskip("gguf")
    broken = planted("export", old, new)
    if "layernorm" in old:
        broken.NAMES["post_attention_layernorm"] = "attn_norm"
    assert not logits_agree(broken, rest_folders["grouped"], tmp_path / "x.gguf")


def test_turning_neighbors_after_the_permutation_is_turning_halves(rest):
    """Scores of q and k, turned as llama.cpp turns them, are those of the half-split convention."""
    generator, heads, D, C = torch.Generator().manual_seed(0), 3, 8, 16
    W_q, W_k = torch.randn(2, heads * D, C, generator=generator, dtype=torch.float64)
    x = torch.randn(5, C, generator=generator, dtype=torch.float64)
    cos, sin = (t.double() for t in rest.model.rotary_tables(D, 5, 100.0))

    def scores(W_q, W_k, turn):
        q, k = ((x @ W.T).view(5, heads, D).transpose(0, 1) for W in (W_q, W_k))
        return turn(q) @ turn(k).transpose(1, 2)

    def turn_neighbors(x):
        a, b, c, s = x[..., ::2], x[..., 1::2], cos[:, : D // 2], sin[:, : D // 2]
        return torch.stack([a * c - b * s, a * s + b * c], dim=-1).flatten(-2)

    wanted = scores(W_q, W_k, lambda x: rest.model.rotate(x, cos, sin))
    together = rest.export.pairs_together
    torch.testing.assert_close(scores(together(W_q, heads), together(W_k, heads), turn_neighbors), wanted)
    assert not torch.allclose(scores(W_q, W_k, turn_neighbors), wanted)
    assert torch.equal(rest.export.pairs_apart(together(W_q, heads), heads), W_q)


def test_the_tokenizer_in_the_file(rest, rest_folders, tmp_path):
    """transformers makes the same ids from it; and a word that is a token is that token, merges or not."""
    pytest.importorskip("gguf")
    from transformers import AutoTokenizer

    rest.export.write_gguf(rest_folders["plain"], tmp_path / "x.gguf", "q8_0")
    theirs = AutoTokenizer.from_pretrained(tmp_path, gguf_file="x.gguf")
    ours = rest.tokenizer.load_tokenizer(rest_folders["plain"] / "tokenizer.json")
    for text in REST_TEXTS:
        ids = theirs(text).input_ids
        assert ids[0] == ours.eot_token and ids[1:] == ours.encode(text, allowed_special="all")
    # "llama-bpe" makes one token of a word that is in the vocabulary without asking for merges; ours merges: the same
    for i in range(256, 4092):
        word = ours.decode_single_token_bytes(i)
        assert ours.encode_single_token(word) == i and ours._encode_single_piece(word) == [i]


@pytest.mark.parametrize("bits, group", [(8, 32), (8, "channel"), (8, 64), (4, 32), (4, 64), (4, "channel")])
def test_integers_are_kept(rest, rest_folders, tmp_path, bits, group):
    """A quantized folder becomes Q8_0 or Q4_0 without being rounded again, rows of q and k in their new places."""
    folder, path = tmp_path / "int", tmp_path / "x.gguf"
    model = rest.checkpoint.load_model(rest_folders["grouped"])
    rest.store.save_quantized(folder, rest_folders["grouped"], rest.quantize.quantize_model(model, bits, group))
    kind = rest.export.default_type(folder)
    assert kind == {8: "q8_0", 4: "q4_0"}[bits]
    rest.export.write_gguf(folder, path, kind)
    found, kept = rest.export.read_gguf(path).state_dict(), rest.store.read_quantized(folder)[1]
    for name, weight in rest.store.load_quantized(folder).state_dict().items():
        if name != "lm_head.weight" and isinstance(kept[name], rest.quantize.Quantized):
            assert torch.equal(found[name], weight), name
    floats = {name for name, weight in kept.items() if isinstance(weight, torch.Tensor) and "norm" not in name}
    assert len(floats) == (2 if group == 64 else 0)  # 96 columns are no groups of 64: only here the file rounds
    assert {tensor.type for tensor in rest.gguf_file.read(path)[1].values()} == {kind, "float32"}


def test_asymmetric_weights_are_rounded_again(rest, rest_folders, tmp_path):
    folder, model = tmp_path / "int", rest.checkpoint.load_model(rest_folders["grouped"])
    rest.store.save_quantized(folder, rest_folders["grouped"], rest.quantize.quantize_model(model, 4, 32, symmetric=False))
    rest.export.write_gguf(folder, tmp_path / "x.gguf", "q4_0")
    wanted, found = rest.store.load_quantized(folder).state_dict(), rest.export.read_gguf(tmp_path / "x.gguf").state_dict()
    largest = max(w.abs().max() for w in wanted.values())
    for name, weight in wanted.items():
        assert ((found[name] - weight).abs() <= largest / 8).all(), name


@torch.inference_mode()
def test_a_plain_folder_loads_in_transformers(rest, rest_folders, tmp_path):
    from transformers import AutoModelForCausalLM

    model = rest.checkpoint.load_model(rest_folders["untied"])
    rest.store.save_quantized(tmp_path / "int", rest_folders["untied"], rest.quantize.quantize_model(model, 4, 32))
    rest.export.write_hf(tmp_path / "int", tmp_path / "plain", "float32")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "plain").eval()
    ids = torch.from_numpy(rest_ids(40).astype(np.int64))[None]
    torch.testing.assert_close(theirs(ids).logits, rest.store.load_quantized(tmp_path / "int")(ids), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(theirs(ids).logits, model(ids), atol=1e-2)


def test_mistakes_with_the_export(rest, rest_folders, tmp_path):
    UserError, export = rest.cli.UserError, rest.export
    with pytest.raises(UserError, match="--type bfloat16 is not for --to gguf"):
        export.main([str(rest_folders["plain"]), "--type", "bfloat16"])
    with pytest.raises(UserError, match="--type q4_0 is not for --to hf"):
        export.main([str(rest_folders["plain"]), "--type", "q4_0", "--to", "hf"])
    with pytest.raises(UserError, match="no model folder nowhere"):
        export.main(["nowhere"])
    with pytest.raises(UserError, match="cannot be written"):
        export.main([str(rest_folders["plain"]), "--out", str(rest_folders["plain"] / "config.json" / "x.gguf")])
    with pytest.raises(UserError, match="the one to read"):
        export.write_hf(rest_folders["plain"], rest_folders["plain"], "float32")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in rest_folders["plain"].iterdir():
        (damaged / file.name).write_bytes(file.read_bytes())
    weights = rest.checkpoint.read_weights(damaged)
    weights["model.norm.weight"][3] = math.nan
    rest.export.write_atomic(damaged / "model.safetensors", rest.export.save(weights))
    with pytest.raises(UserError, match="model.norm.weight cannot become float32"):
        export.write_gguf(damaged, tmp_path / "x.gguf", "float32")
    export.write_gguf(rest_folders["plain"], tmp_path / "x.gguf", "float32")
    metadata, tensors = rest.gguf_file.read(tmp_path / "x.gguf")
    for name, value, said in (("general.architecture", ("string", "gpt2"), "family 'gpt2'"),
                              ("llama.block_count", ("uint32", 3), "fewer layers"),
                              ("llama.block_count", ("uint32", 2**31), "fewer layers"),
                              ("llama.block_count", ("string", "2"), "wrong type"),
                              ("llama.rope.freq_base", ("float32", -1.0), "rope_theta must be"),
                              ("llama.embedding_length", ("uint32", 128), "needs one of shape"),
                              ("llama.attention.head_count", ("uint32", 3), "heads of an even width"),
                              ("llama.context_length", None, "has no llama.context_length")):  # fmt: skip
        wrong = {**metadata, name: value} if value else {k: v for k, v in metadata.items() if k != name}
        rest.gguf_file.write(tmp_path / "wrong.gguf", wrong, tensors)
        with pytest.raises(UserError, match=said):
            export.read_gguf(tmp_path / "wrong.gguf")


# The cache


def cache_rounds_right(module):
    """Integers are in their range, numbers move by half a step at most, along the axis that shares a step."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 32, 16, generator=generator) * torch.logspace(-2, 2, 16)  # channels of very different size
    x[0, 0, 5], x[1, :, :, 3] = 0.5, -2.0  # a row and a channel whose numbers are all the same
    x[0, 1, 7] = 1000.4 + torch.rand(16, generator=generator) / 5  # float16 cannot say their lowest value
    for bits in (8, 4, 3, 2):
        for dim in (-1, 2):
            integers, lowest, step = module.to_integers(x, bits, dim)
            if int(integers.max()) > 2**bits - 1 or step.shape[dim] != 1 or step.numel() != x.numel() // x.shape[dim]:
                return False
            room = (x.amax(dim, keepdim=True) - x.amin(dim, keepdim=True)) / (2**bits - 1)
            error = (module.to_floats(integers, lowest, step) - x).abs()
            slack = x.abs().amax(dim, keepdim=True) * 2**-10  # lowest and step are float16
            if not bool((error <= room / 2 * 1.01 + slack).all()):
                return False
    return True


@pytest.mark.parametrize("old, new", [
    ("", ""),
    ("x.amin(dim, keepdim=True), x.amax(dim, keepdim=True)", "x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)"),
    ("(2**bits - 1)).half()", "2**bits).half()"),
    ("step.float() + lowest.float()", "step.float()"),
    (".clamp(0, 2**bits - 1)", ""),
])  # fmt: skip
def test_numbers_of_the_cache(planted, old, new):
    assert cache_rounds_right(planted("cache", old, new)) == (not old)


@torch.inference_mode()
def cache_steps_agree(module, model, bits, keys):
    """Blocks of 32 tokens give the logits that single tokens give; a number on a border may fall to the other side."""
    ids = torch.from_numpy(rest_ids(90).reshape(2, 45).astype(np.int64))
    slow, fast = (module.QuantizedCache(model.config, bits, keys) for _ in range(2))
    steps = torch.cat([model(ids[:, t : t + 1], slow) for t in range(45)], dim=1)
    blocks = torch.cat([model(ids[:, :32], fast), model(ids[:, 32:], fast)], dim=1)
    assert slow.length == fast.length == 45 and slow.nbytes == fast.nbytes
    difference = (steps - blocks).abs().amax(-1).flatten()  # of each token
    return bool(difference.median() < 1e-3 and difference.max() < 0.1)


@pytest.mark.parametrize("keys", ["token", "channel"])
def test_a_block_is_so_many_tokens(rest, keys):
    model = rest_model(rest.model)
    assert cache_steps_agree(rest.cache, model, 8, keys)


def test_planted_keys_that_are_rounded_too_early(planted, rest):
    """By channel, a group may be rounded when its last token has been used, not while it is."""
    old = "            self.round_full_groups(layer)\n"
    late = "            self.young[layer] = torch.cat(young, dim=2)\n"
    module = planted("cache", old, "")
    assert late in (rest.cache.__loader__.get_data(rest.cache.__file__)).decode()
    plain = module.QuantizedCache.append

    def early(self, layer, k, v, step):
        keys, values = plain(self, layer, k, v, step)
        self.round_full_groups(layer)
        return self.read(self.keys[layer], self.young[layer]), values

    module.QuantizedCache.append = early
    assert not cache_steps_agree(module, rest_model(rest.model), 2, "channel")


@torch.inference_mode()
@pytest.mark.parametrize("shape", REST_SHAPES)
@pytest.mark.parametrize("keys", ["token", "channel"])
def test_a_cache_that_does_not_round_is_no_cache(rest, monkeypatch, shape, keys):
    monkeypatch.setattr(rest.cache, "to_integers", lambda x, bits, dim: (x, x, x))
    monkeypatch.setattr(rest.cache, "to_floats", lambda x, lowest, step: x)
    model = rest_model(rest.model, shape)
    encoded = [rest_ids(n, seed=n) for n in (7, 33, 64, 65, 90)]
    nats = rest.cache.nats_through(model, encoded, lambda: rest.cache.QuantizedCache(model.config, 8, keys), rows=2)
    wanted = rest.data.bits_per_byte(model, ["x" * 1000] * 5, encoded) * 5000 * math.log(2)
    assert nats == pytest.approx(wanted, rel=1e-5)
    difference, same = rest.cache.compare_logits(model, encoded[-1], rest.cache.QuantizedCache(model.config, 8, keys))
    assert difference < 1e-3 and same == 1


@torch.inference_mode()
def test_eight_bits_are_near_and_two_are_not(rest):
    model = rest_model(rest.model)
    ids, found = rest_ids(90), {}
    for bits in (8, 4, 2):
        for keys in ("token", "channel"):
            cache = rest.cache.QuantizedCache(model.config, bits, keys)
            found[bits, keys] = rest.cache.compare_logits(model, ids, cache)[0]
            D, K, layers, L = 16, 2, 2, 90
            values = layers * K * L * (D * bits // 8 + 4)  # integers, a lowest value and a step in float16
            by_channel = layers * K * 2 * (32 * D * bits // 8 + 4 * D) + layers * K * 26 * D * 2  # 26 tokens are young
            assert cache.nbytes == values + (values if keys == "token" else by_channel)
    for keys in ("token", "channel"):
        assert 5 * found[8, keys] < found[4, keys] < found[2, keys]


# Training with rounding


def test_straight_through_rounds_forward_and_not_back(rest, planted):
    weight = torch.randn(6, 64, generator=torch.Generator().manual_seed(1))
    upstream = torch.randn(6, 64, generator=torch.Generator().manual_seed(2))

    def right(qat):
        for bits in (2, 3, 4, 8):
            w, wanted = weight.clone().requires_grad_(), rest.quantize.quantize(weight, bits, 32)
            rounded = qat.straight_through(w, wanted.scale, bits, 32)
            wanted = wanted.dequantize()
            if not torch.allclose(rounded, wanted, atol=1e-6) or not rounded.requires_grad:
                return False
            (rounded * upstream).sum().backward()
            if not torch.allclose(w.grad, upstream):
                return False
        return True

    assert right(rest.qat)
    for old, new in (("return weight + (rounded - weight).detach()", "return rounded"),  # the estimator dropped
                     ("(rounded - weight).detach()", "(rounded - weight)"),
                     ("return weight + (rounded - weight).detach()", "return weight"),  # never rounded
                     ("return weight + (rounded - weight).detach()", "return rounded + weight")):  # fmt: skip
        assert not right(planted("qat", old, new)), new


@pytest.mark.parametrize("shape", ["grouped", "untied"])
def test_the_loss_is_that_of_the_rounded_model(rest, shape):
    model = rest_model(rest.model, shape)
    inputs = torch.from_numpy(rest_ids(64).reshape(2, 32).astype(np.int64))
    targets = inputs.roll(-1, 1)
    targets[1, 20:] = -1
    for bits in (0, 2, 4):
        scales = rest.qat.find_scales(model, bits, 32)
        found = rest.qat.rounded_loss(model, inputs, targets, scales, bits, 32)
        quantized = rest.quantize.quantize_model(model, bits, 32, search=True) if bits else {}
        for name, x in quantized.items():
            assert torch.equal(x.q, rest.qat.with_scales(model, scales, bits, 32)[name].q)
        rounded = rest.quantize.model_with(model, quantized)
        wanted = torch.nn.functional.cross_entropy(rounded(inputs).flatten(0, 1), targets.flatten(), ignore_index=-1)
        torch.testing.assert_close(found, wanted)
        model.zero_grad()
        found.backward()
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
    flat, through = rest.qat.flat_gradient(rest_model(rest.model, shape), 4, 32)
    assert flat == 0 and through > 0


def test_finetuning_leaves_the_model_alone_and_repeats_itself(rest):
    model = rest_model(rest.model)
    before = {name: p.clone() for name, p in model.named_parameters()}
    stories = [np.concatenate([[4092], rest_ids(n, seed=n), [4092]]).astype(np.uint16) for n in range(20, 60)]
    runs = [rest.qat.finetune(model, stories, 4, 32, 3, 256, 1e-3, seed, "test") for seed in (1, 1, 2)]
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    once, again, other = (torch.cat([p.flatten() for p in run.parameters()]) for run, _ in runs)
    assert torch.equal(once, again) and not torch.equal(once, other)
    trained, scales = runs[0]
    before, after = (rest.qat.with_scales(m, scales, 4, 32) for m in (model, trained))
    assert rest.qat.moved(before, after) > 0 == rest.qat.moved(before, before)


def test_training_with_rounding_beats_rounding_afterwards(rest, rest_shipped, root):
    """Two bits, four short steps: a model that was finetuned without rounding is worse when it is rounded."""
    tokenizer = rest.tokenizer.load_tokenizer(root / REST_MODEL / "tokenizer.json")
    score = rest.data.Scorer(root / "datasets/stories", tokenizer, 2)
    stories = rest.data.encode_stories(rest.stories.load_split(root / "datasets/stories", "train")[:300], tokenizer)
    found = {}
    for bits in (0, 2):
        trained, scales = rest.qat.finetune(rest_shipped, stories, bits, 32, 4, 256, 1e-3, 0, "test")
        rounded = rest.qat.with_scales(trained, scales or rest.qat.find_scales(trained, 2, 32), 2, 32)
        found[bits] = score(rest.quantize.model_with(trained, rounded))
    assert found[2] < 0.8 * found[0], found


def test_mistakes_with_training(rest, tmp_path):
    with pytest.raises(rest.cli.UserError, match="--out writes four or eight bits"):
        rest.qat.main(["--bits", "3", "--out", str(tmp_path / "x")])
    with pytest.raises(rest.cli.UserError, match="no such folder"):
        rest.qat.main(["--data", str(tmp_path / "nowhere")])
    with pytest.raises(rest.cli.UserError, match="cannot be read"):
        rest.gguf_file.main([str(tmp_path / "nowhere.gguf")])


def test_a_trained_model_is_stored_as_it_was_trained(rest, rest_folders, root, tmp_path, capsys):
    """--out: the folder's model is the rounded one, norms and all."""
    seen = {}
    plain, out = rest.qat.finetune, tmp_path / "qat"

    def watch(*args):
        seen["model"], seen["scales"] = plain(*args)
        return seen["model"], seen["scales"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rest.qat, "finetune", watch)
        rest.qat.main([str(rest_folders["grouped"]), "--data", str(root / "datasets/stories"), "--bits", "4", "--steps", "2",
                       "--batch-size", "64", "--stories", "1", "--out", str(out)])  # fmt: skip
    wanted = rest.qat.with_scales(seen["model"], seen["scales"], 4, 32)
    again = rest.store.load_quantized(out).state_dict()
    norms = 0
    for name, parameter in seen["model"].named_parameters():
        assert torch.equal(again[name], wanted[name].dequantize() if name in wanted else parameter), name
        norms += name not in wanted
    assert norms == 5 and "4.50 bits a weight" in capsys.readouterr().out


# The table


def test_one_scale_for_all_can_be_stored(rest):
    x = rest.quantize.quantize(torch.randn(6, 64, generator=torch.Generator().manual_seed(0)), 8, "tensor")
    spread = rest.bench.spread_scale(x)
    assert torch.equal(spread.dequantize(), x.dequantize()) and rest.store.can_store(spread)


def test_the_table(rest, rest_folders, root, tmp_path, monkeypatch, capsys):
    """A small model through all of it; the engine in C has the bits per byte of Python, or the table says why not."""
    monkeypatch.chdir(tmp_path)
    seen = []
    plain = rest.bench.measure
    monkeypatch.setattr(rest.bench, "measure", lambda rows, *more: (plain(rows, *more), seen.extend(rows)))
    flags = [str(rest_folders["grouped"]), "--data", str(root / "datasets/stories"), "--quick", "--stories", "2",
             "--repeats", "1"]  # fmt: skip
    rest.bench.main(flags)
    lines = capsys.readouterr().out.splitlines()
    assert [row.name for row in seen] == ["float32", "bfloat16", "int8, a scale a tensor", "int8, a scale a row",
                                          "int8, groups of 32", "int4, groups of 32", "int4, scales searched"]  # fmt: skip
    for row in seen:
        assert abs(row.c_bpb / row.bpb - 1) < (1e-4 if row.bits >= 16 else 0.02), row.name
        assert 0 < row.rate < math.inf and 0 < row.limit < math.inf
        assert row.size == (row.folder / "model.safetensors").stat().st_size
    sizes = [row.size for row in seen]
    assert sizes[1] < 0.55 * sizes[0] and sizes[4] < 0.6 * sizes[1] and sizes[5] < 0.6 * sizes[4]
    assert sum(line.startswith(("int", "NF4", "float32", "bfloat16")) for line in lines) == 9

    def missing():
        raise rest.cli.UserError("there is no compiler")

    monkeypatch.setattr(rest.bench, "library", missing)
    rest.bench.main(flags)
    assert capsys.readouterr().out.splitlines()[-1] == "no rates: there is no compiler"
    assert len(seen) == 7  # nothing was measured


# The exercises


def test_answers_of_quantization(answers, rest):
    for name, check in rest.checks.CHECKS.items():
        check(getattr(answers("quantization"), name))


def test_checks_of_quantization_notice_wrong_answers(rest):
    good = rest.solutions

    def in_floats(q, scale, x):
        return (q * np.repeat(scale, q.shape[1] // scale.shape[1], 1)) @ x

    def one_step(q, scale, x):
        step = np.abs(x).max() / 127 or 1
        return in_floats(q, scale, np.rint(x / step) * step)

    def overflowing(q, scale, x):
        parts = x.reshape(scale.shape[1], -1)
        steps = np.maximum(np.abs(parts).max(1), 1e-9) / 127
        codes = np.rint(parts / steps[:, None]).astype(np.int16)
        sums = (q.reshape(len(q), scale.shape[1], -1).astype(np.int16) * codes).sum(-1, dtype=np.int16)
        return (sums * scale * steps).sum(1)

    def through_everything(w, scale, bits, upstream):
        return good.clipped(w, scale, bits, upstream)[0], upstream

    def never(w, scale, bits, upstream):
        return good.clipped(w, scale, bits, upstream)[0], 0 * upstream

    def not_cut_off(w, scale, bits, upstream):
        return np.rint(w / scale) * scale, good.clipped(w, scale, bits, upstream)[1]

    wrong = {"integer_product": [in_floats, one_step, overflowing], "clipped": [through_everything, never, not_cut_off]}
    assert rest.checks.CHECKS.keys() == wrong.keys()
    for name, found in wrong.items():
        for answer in found:
            with pytest.raises(AssertionError):
                rest.checks.CHECKS[name](answer)
