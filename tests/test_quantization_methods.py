"""Rounding, storage, GPTQ, AWQ, NF4: against brute force, least squares, torch and closed forms; with planted bugs."""

import copy
import itertools
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

METHODS_TOKENIZER = "tokenization/tokenizer.json"
METHODS_MODEL = "deployment/weights/storyteller"
# Appendix E of the QLoRA paper
NF4_PUBLISHED = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
]  # fmt: skip


@pytest.fixture(scope="module")
def methods(chapter):
    return chapter("quantization")


def methods_config(**changes):
    sizes = dict(vocab_size=4096, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=2, max_position_embeddings=64)  # fmt: skip
    return sizes | changes


def methods_random(here, seed=3, **changes):
    """A small model whose activations differ a lot from channel to channel, as those of trained ones do."""
    model = here.model.Storyteller(here.model.Config(**methods_config(**changes))).initialize(seed).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 3 if weight.dim() == 2 else torch.rand(len(weight), generator=generator) * 3 + 0.1
    return model


@pytest.fixture(scope="module")
def methods_model(methods):
    return methods_random(methods)


@pytest.fixture(scope="module")
def methods_ids():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 4092, n).tolist() for n in (64, 64, 63, 40, 7)]


@pytest.fixture(scope="module")
def methods_folder(chapter, tmp_path_factory, root):
    """make(**sizes) -> (folder, model): a checkpoint as chapter transformer saves it."""
    def make(dtype=torch.float32, **changes):
        path, there = tmp_path_factory.mktemp("model"), chapter("transformer")
        model = methods_random(there, **changes).to(dtype)
        there.checkpoint.save_checkpoint(path, model, root / METHODS_TOKENIZER)
        return path, model
    return make


def methods_normal(seed, *shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def methods_moments(seed, N, n=None):
    """H of inputs that go together and differ in size."""
    x = methods_normal(seed, n or 6 * N, N, dtype=torch.float64) @ methods_normal(seed + 1, N, N, dtype=torch.float64)
    x *= torch.linspace(0.2, 3, N, dtype=torch.float64)
    return x.T @ x


# ---------------------------------------------------------------- quantize.py


def rounding_is_nearest(module, weight, bits, group, symmetric, search=False):
    """Every integer is the one of its range whose value is nearest, tried one by one; scales as the formula says."""
    x = module.quantize(weight, bits, group, symmetric, search)
    R, N = weight.shape
    G = {"tensor": N, "channel": N}.get(group, group)
    numbers = range(-127, 128) if bits == 8 else range(-8, 8)
    if not symmetric:
        numbers = range(2**bits)
    scale, q = x.scale.double(), x.q.double()
    zero = torch.zeros_like(scale) if symmetric else x.zero.double()
    right = x.q.shape == weight.shape and x.bits == bits and x.scale.dtype == torch.float16
    for r, first in itertools.product(range(R), range(0, N, G)) if not search and group != "tensor" else ():
        part = weight[r, first:first + G].double().numpy()
        low, high = min(part.min(), 0), max(part.max(), 0)
        step = np.abs(part).max() / max(numbers) if symmetric else (high - low) / max(numbers)
        right = right and abs(scale[r, first // G] / step - 1) < 1e-3
        right = right and (symmetric or abs(zero[r, first // G] + low / step) < 0.51 + max(numbers) / 2000)
    for r, c in itertools.product(range(R), range(0, N, 3)):
        g = (0, 0) if group == "tensor" else (r, c // G)
        values = torch.tensor([(n - zero[g].item()) * scale[g].item() for n in numbers], dtype=torch.float64)
        distance = (values - weight[r, c].double()).abs()
        mine = (q[r, c] - zero[g]) * scale[g]
        # a zero that was rounded and a scale that was may each move a number by half a step
        slack = 1e-6 if symmetric else scale[g].item() * 0.5
        right = right and (mine - weight[r, c].double()).abs() <= distance.min() + slack
        right = right and abs(mine - x.dequantize()[r, c].double()) < 1e-6
    return bool(right)


@pytest.mark.parametrize("bits, group, symmetric, search", [
    (8, "tensor", True, False), (8, "channel", True, False), (8, 32, True, False), (8, 32, False, False),
    (4, "tensor", True, False), (4, "channel", False, False), (4, 16, True, False), (4, 40, True, False),
    (4, 16, True, True), (8, 16, True, True), (4, 64, False, False),
])  # fmt: skip
def test_every_number_becomes_the_nearest(methods, bits, group, symmetric, search):
    weight = methods_normal(bits, 3, 70) * 0.1  # 70: the last group is short
    assert rounding_is_nearest(methods.quantize, weight, bits, group, symmetric, search)


@pytest.mark.parametrize("bits, group", [(8, "tensor"), (8, "channel"), (4, "channel")])
def test_as_torch_rounds(methods, bits, group):
    """torch's own quantization, given our scales; a number that lies between two by half a step may go either way."""
    weight = methods_normal(0, 16, 64)
    for symmetric in (True, False):
        x = methods.quantize.quantize(weight, bits, group, symmetric)
        low, high = methods.quantize.integer_range(bits, symmetric)
        zero = torch.zeros(x.scale.shape) if x.zero is None else x.zero
        if group == "tensor":
            theirs = torch.fake_quantize_per_tensor_affine(weight, x.scale.float().item(), int(zero.item()), low, high)
        else:
            theirs = torch.fake_quantize_per_channel_affine(weight, x.scale.float().flatten(), zero.flatten().int(), 0,
                                                            low, high)
        wrong = (theirs - x.dequantize()).abs()
        assert bool((wrong <= 1.01 * x.scale.float()).all()) and (wrong > 1e-5).float().mean() < 0.002


def test_zero_is_a_value_and_ends_are_reached(methods):
    weight = methods_normal(1, 8, 64) + 2  # all but a few above 0
    x = methods.quantize.quantize(torch.cat([weight, torch.zeros(8, 1)], 1), 8, "channel", symmetric=False)
    assert bool((x.dequantize()[:, -1] == 0).all()), "what is zero must stay zero"
    symmetric = methods.quantize.quantize(weight, 8, "channel")
    assert symmetric.q.abs().amax(1).tolist() == [127] * 8 and int(symmetric.q.min()) >= -127
    signed = methods.quantize.quantize(-weight.abs(), 4, 32, search=True)
    assert int(signed.q.min()) >= -8 and int(signed.q.max()) <= 7
    asymmetric = methods.quantize.quantize(weight, 8, "channel", symmetric=False)
    assert asymmetric.q.dtype == torch.uint8 and int(asymmetric.q.max()) == 255
    error = [(x.dequantize() - weight).abs().mean() for x in (asymmetric, symmetric)]
    assert error[0] < 0.7 * error[1], "where all numbers have one sign, a zero saves a bit"


def test_edges_of_quantize(methods):
    quantize = methods.quantize.quantize
    for bits in (4, 8):
        x = quantize(torch.zeros(2, 32), bits, 32)
        assert bool((x.dequantize() == 0).all()) and bool((x.q == 0).all())
        mixed = torch.zeros(2, 64)
        mixed[0, 3] = 5.0
        assert quantize(mixed, bits, 32).dequantize()[0, 3] == pytest.approx(5, rel=1e-3)
        for value in (math.nan, math.inf):
            mixed[1, 1] = value
            with pytest.raises(ValueError, match="finite"):
                quantize(mixed, bits, 32)
        for size in (1e-9, 1e7):  # scales that float16 cannot hold
            weight = methods_normal(2, 4, 64) * size
            x = quantize(weight, bits, 32, search=True)
            assert x.scale.dtype == torch.float32
            assert (x.dequantize() - weight).square().mean().sqrt() < 0.1 * size
    assert bool(torch.isnan(methods.quantize.Quantized(torch.ones(1, 2), torch.full((1, 1), math.nan), None, 8, 2)
                            .dequantize()).all())


def test_search_finds_a_better_scale(methods):
    quantize, weight = methods.quantize.quantize, methods_normal(4, 20, 64)
    for bits in (4, 8):
        plain, searched = (quantize(weight, bits, 32, search=s) for s in (False, True))
        errors = [(x.dequantize() - weight).view(20, 2, 32).square().sum(-1) for x in (plain, searched)]
        assert bool((errors[1] <= errors[0] + 1e-9).all())
        if bits == 4:
            assert errors[1].sum() < 0.95 * errors[0].sum()
            for r in range(5):  # no scale of a fine grid is much better
                group = weight[r, :32].double()
                best = min(((group - (group / s).round().clamp(-8, 7) * s).square().sum().item())
                           for i in range(600, 1200) for s in (group.abs().max() / i * 100, -group.abs().max() / i * 100))
                assert errors[1][r, 0] < 1.15 * best + 1e-9
    H = methods_moments(0, 64)
    blocks = torch.stack([H[:32, :32], H[32:, 32:]]).float()
    wrong = [(quantize(weight, 4, 32, search=True, moments=m).dequantize() - weight).double() for m in (None, blocks)]
    seen = [sum(((d[:, i:i + 32] @ H[i:i + 32, i:i + 32]) * d[:, i:i + 32]).sum() for i in (0, 32)) for d in wrong]
    assert seen[1] < 0.95 * seen[0], "with moments the outputs decide"


@pytest.mark.parametrize("old, new", [
    ("best = small_scale(top / high)", "best = small_scale(top / (high + 1))"),
    (".round().clamp(*integer_range(bits))", ".floor().clamp(*integer_range(bits))"),
    (".round().clamp(*integer_range(bits))", ".trunc().clamp(*integer_range(bits))"),
    ("top = groups.abs().amax(-1)\n", "top = groups.amax(-1)\n"),
    ("scale = self.scale.float().repeat_interleave(self.group, 1)[:, :N]",
     "scale = self.scale.float().repeat(1, self.group)[:, :N]"),
])  # fmt: skip
def test_planted_in_symmetric(methods, planted, old, new):
    assert not rounding_is_nearest(planted("quantize", old, new), methods_normal(8, 3, 70), 8, 32, True)


@pytest.mark.parametrize("old, new", [
    ("zero = divide(-bottom, scale.float())", "zero = divide(bottom, scale.float())"),
    ("(self.q.float() - self.zero", "(self.q.float() + self.zero"),
    ("groups.amin(-1).clamp(max=0), groups", "groups.amax(-1).clamp(max=0), groups"),
])  # fmt: skip
def test_planted_in_asymmetric(methods, planted, old, new):
    assert not rounding_is_nearest(planted("quantize", old, new), methods_normal(8, 3, 70) + 0.5, 4, 32, False)


def test_bits_and_models(methods, methods_model):
    here = methods.quantize
    weight = methods_normal(0, 64, 128)
    assert here.quantize(weight, 8, 32).bits_per_weight == 8.5 and here.quantize(weight, 4, 64).bits_per_weight == 4.25
    assert here.quantize(weight, 4, 32, symmetric=False).bits_per_weight == 4 + 20 / 32
    assert here.quantize(weight, 8, "tensor").bits_per_weight == pytest.approx(8 + 16 / weight.numel())
    quantized = here.quantize_model(methods_model, 8, 32)
    names = {name for name, p in methods_model.named_parameters() if p.dim() == 2}
    assert quantized.keys() == names and "lm_head.weight" not in names
    before = copy.deepcopy(methods_model.state_dict())
    changed = here.model_with(methods_model, quantized)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), methods_model.state_dict().values())), "a copy"
    assert changed.lm_head.weight is changed.model.embed_tokens.weight, "a tied table stays tied"
    error = here.relative_error(methods_model, quantized)
    wrong = sum((changed.get_parameter(n) - methods_model.get_parameter(n)).square().sum() for n in names)
    assert error == pytest.approx((wrong / sum(methods_model.get_parameter(n).square().sum() for n in names)).sqrt().item())
    assert 0 < error < 0.01 and here.mean_bits(quantized) == pytest.approx(8.5, abs=0.01)
    ids = torch.tensor([[1, 2, 3, 4]])
    with torch.inference_mode():
        assert (changed(ids) - methods_model(ids)).abs().max() < 0.1 * methods_model(ids).abs().max()
    untied = methods_random(methods, tie_word_embeddings=False)
    assert {"lm_head.weight", "model.embed_tokens.weight"} < here.matrices(untied).keys()


# ---------------------------------------------------------------- data.py


def test_bits_per_byte_is_chapter_transformers(methods, chapter, methods_folder, root, tmp_path):
    folder, theirs = methods_folder()
    stories = ["Once upon a time.", "Zoé had a cat. " * 30, "A", "The end came soon. " * 3]
    (tmp_path / "valid.txt").write_text("\n<|endoftext|>\n".join(stories), encoding="utf-8")
    tokenizer = methods.tokenizer.load_tokenizer(folder / "tokenizer.json")
    there = chapter("transformer").data
    stories = [s.strip() for s in stories]
    wanted = there.bits_per_byte(theirs, stories, there.encode_stories(stories, tokenizer))
    mine = methods.checkpoint.load_model(folder)
    assert methods.data.Scorer(tmp_path, tokenizer)(mine) == pytest.approx(wanted, rel=1e-5)
    two = methods.data.Scorer(tmp_path, tokenizer, 2)
    assert two.stories == [stories[0], stories[2]] and two(mine) != pytest.approx(wanted, rel=1e-3)
    with torch.no_grad():
        mine.model.norm.weight[0] = math.nan
    assert math.isnan(two(mine))
    (tmp_path / "train.txt").write_text("\n<|endoftext|>\n".join(stories), encoding="utf-8")
    ids = methods.data.calibration_ids(tmp_path, tokenizer, 3, 20)
    assert [len(i) for i in ids] == sorted((len(i) for i in ids), reverse=True) and len(ids[0]) == 20
    assert all(i[0] == tokenizer.eot_token and tokenizer.eot_token not in i[1:] for i in ids)


# ---------------------------------------------------------------- store.py


def packing_is_right(module):
    numbers = torch.randint(0, 16, (3, 96), generator=torch.Generator().manual_seed(0))
    packed = module.pack4(numbers)
    right = packed.dtype == torch.uint8 and packed.shape == (3, 48)
    for r, block, j in itertools.product(range(3), range(3), range(16)):
        byte = int(packed[r, 16 * block + j])
        right = right and byte & 15 == numbers[r, 32 * block + j] and byte >> 4 == numbers[r, 32 * block + j + 16]
    return bool(right) and torch.equal(module.unpack4(packed).long(), numbers)


@pytest.mark.parametrize("old, new", [
    ("low | high << 4", "high | low << 4"), (".unbind(2)", ".transpose(2, 3).reshape(R, N // BLOCK, 2, -1).unbind(2)"),
    ("data & 15, data >> 4", "data >> 4, data & 15"), ("dim=2).view(R, half * 2)", "dim=3).view(R, half * 2)"),
])  # fmt: skip
def test_packing_and_planted_bugs(methods, planted, old, new):
    assert packing_is_right(methods.store)
    assert not packing_is_right(planted("store", old, new))


def methods_by_the_contract(tensors, name, bits, shape):
    """The values of a stored matrix in NumPy, number by number, from the words of store.py's first lines."""
    (R, N), stored = shape, tensors[name].numpy()
    scale = tensors[name.replace(".weight", ".scale")].float().numpy()
    zero = tensors.get(name.replace(".weight", ".zero"))
    G, values = N // scale.shape[1], np.zeros((R, N), np.float32)
    for r in range(0, R, 7):
        for c in range(N):
            u = stored[r, c] if bits == 8 else stored[r, c // 32 * 16 + c % 16] >> (4 * (c % 32 // 16)) & 15
            q = int(u) - (0 if bits == 8 else 8 if zero is None else int(zero[r, c // G]))
            values[r, c] = np.float32(q) * scale[r, c // G]
    return values


@pytest.mark.parametrize("bits, group, tied, symmetric", [
    (8, 32, True, True), (4, 32, True, True), (4, "channel", False, True), (8, "channel", False, True),
    (4, 32, True, False), (4, 64, True, True),
])  # fmt: skip
def test_stored_and_read_back(methods, methods_folder, tmp_path, bits, group, tied, symmetric):
    folder, _ = methods_folder(torch.bfloat16, tie_word_embeddings=tied)
    model = methods.checkpoint.load_model(folder)
    quantized = methods.quantize.quantize_model(model, bits, group, symmetric)
    size = methods.store.save_quantized(tmp_path / "q", folder, quantized)
    tensors = load_file(tmp_path / "q" / "model.safetensors")
    assert size == (tmp_path / "q" / "model.safetensors").stat().st_size
    about = json.loads((tmp_path / "q" / "config.json").read_text())
    assert about["hidden_size"] == 64 and about["quantization_config"] == {
        "quant_method": "storyteller", "bits": bits, "group_size": 0 if group == "channel" else group,
        "symmetric": symmetric}
    again = methods.store.load_quantized(tmp_path / "q")
    for name, x in quantized.items():
        if x.q.shape[1] % x.group:  # 96 columns and groups of 64: stays as it was
            assert tensors[name].dtype == torch.bfloat16 and name.replace(".weight", ".scale") not in tensors
            assert torch.equal(again.get_parameter(name), model.get_parameter(name))
            continue
        R, N = x.q.shape
        assert tensors[name].dtype == (torch.int8 if bits == 8 else torch.uint8)
        assert tensors[name].shape == (R, N * bits // 8) and tensors[name.replace(".weight", ".scale")].shape[0] == R
        wanted = torch.from_numpy(methods_by_the_contract(tensors, name, bits, (R, N)))[::7]
        assert torch.equal(again.get_parameter(name)[::7], wanted) and torch.equal(x.dequantize()[::7], wanted), name
    assert ("lm_head.weight" in tensors) != tied and tensors["model.norm.weight"].dtype == torch.bfloat16
    assert (tmp_path / "q" / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
    ids = torch.tensor([[5, 6, 7]])
    changed = {n: x for n, x in quantized.items() if x.q.shape[1] % x.group == 0}
    with torch.inference_mode():
        assert torch.equal(again(ids), methods.quantize.model_with(model, changed)(ids))


@pytest.mark.parametrize("harm, told", [
    (lambda t: t.update({"model.norm.weight": torch.ones(3)}), "model.norm.weight"),
    (lambda t: t.pop("model.norm.weight"), "model.norm.weight"),
    (lambda t: t.pop("model.layers.0.mlp.up_proj.scale"), "no scale"),
    (lambda t: t.pop("model.layers.1.input_layernorm.weight"), "layers"),
    (lambda t: t.update({"model.layers.0.mlp.up_proj.scale": torch.ones(96, 3)}), "scale"),
    (lambda t: t.update({"model.layers.0.mlp.up_proj.scale": torch.ones(96)}), "scale"),
    (lambda t: t.update({"model.layers.0.mlp.up_proj.scale": torch.full((96, 2), math.inf)}), "finite"),
    (lambda t: t.update({"model.layers.0.mlp.up_proj.scale": torch.ones(96, 2, dtype=torch.int32)}), "float16"),
    (lambda t: t.update({"model.layers.0.mlp.up_proj.zero": torch.ones(96, 3, dtype=torch.uint8)}), "zero"),
    (lambda t: t.update({"model.layers.0.mlp.up_proj.weight": torch.ones(96, 64, dtype=torch.int16)}), "int16"),
    (lambda t: t.update({"model.layers.0.mlp.up_proj.weight": torch.ones(96, 31, dtype=torch.uint8)}), "31"),
])  # fmt: skip
def test_a_damaged_folder_is_one_line(methods, methods_folder, tmp_path, harm, told):
    folder, _ = methods_folder()
    quantized = methods.quantize.quantize_model(methods.checkpoint.load_model(folder), 4, 32)
    methods.store.save_quantized(tmp_path / "q", folder, quantized)
    tensors = load_file(tmp_path / "q" / "model.safetensors")
    harm(tensors)
    save_file(tensors, tmp_path / "q" / "model.safetensors")
    with pytest.raises(methods.cli.UserError, match=told) as caught:
        methods.store.read_quantized(tmp_path / "q")
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_other_mistakes_of_storage(methods, methods_folder, tmp_path):
    folder, _ = methods_folder()
    model = methods.checkpoint.load_model(folder)
    error = methods.cli.UserError
    with pytest.raises(error, match="no model folder"):
        methods.store.read_quantized(tmp_path / "nowhere")
    with pytest.raises(error, match="another folder"):
        methods.store.save_quantized(folder, folder, methods.quantize.quantize_model(model, 8, 32))
    with pytest.raises(error, match="multiple of 32"):
        methods.store.save_quantized(tmp_path / "q", folder, methods.quantize.quantize_model(model, 8, 48))
    assert torch.equal(methods.store.load_quantized(folder).lm_head.weight, model.lm_head.weight), "floats are read, too"
    with pytest.raises(error, match="every matrix"):  # AWQ's factors would be half lost
        methods.store.save_quantized(tmp_path / "q", folder, methods.quantize.quantize_model(model, 4, 64),
                                     {"model.norm.weight": model.model.norm.weight.detach()})
    methods.store.save_quantized(tmp_path / "q", folder, methods.quantize.quantize_model(model, 8, 32))
    with pytest.raises(error, match="already"):
        methods.store.save_quantized(tmp_path / "again", tmp_path / "q", methods.quantize.quantize_model(model, 8, 32))
    about = json.loads((folder / "config.json").read_text()) | {"quantization_config": {"quant_method": "gptq"}}
    (folder / "config.json").write_text(json.dumps(about))
    with pytest.raises(error, match="gptq"):
        methods.store.read_quantized(folder)


# ---------------------------------------------------------------- calibration.py


def moments_are_right(module, here, model, ids):
    """H of every stage, summed token by token from inputs that were computed without hooks."""
    found = {name: H for names, _, H in module.walk(model, ids) for name in names}
    wanted = {}

    def add(name, x):
        for row in x.double():
            wanted[name] = wanted.get(name, 0) + torch.outer(row, row)

    with torch.no_grad():
        for story in ids:
            x, T = model.model.embed_tokens(torch.tensor(story))[None], len(story)
            cos, sin = model.model.cos[:T], model.model.sin[:T]
            for i, layer in enumerate(model.model.layers):
                normed = layer.input_layernorm(x)
                add(f"model.layers.{i}.self_attn.k_proj.weight", normed[0])
                probe = copy.deepcopy(layer.self_attn)
                probe.o_proj = torch.nn.Identity()
                add(f"model.layers.{i}.self_attn.o_proj.weight", probe(normed, cos, sin)[0])
                x = x + layer.self_attn(normed, cos, sin)
                normed = layer.post_attention_layernorm(x)
                add(f"model.layers.{i}.mlp.up_proj.weight", normed[0])
                add(f"model.layers.{i}.mlp.down_proj.weight", (torch.nn.functional.silu(layer.mlp.gate_proj(normed))
                                                               * layer.mlp.up_proj(normed))[0])
                x = x + layer.mlp(normed)
            add("head", model.model.norm(x)[0])
    found["head"] = module.head_moments(model, ids)
    return all(torch.allclose(found[name], H, rtol=1e-3, atol=1e-3 * H.abs().max()) for name, H in wanted.items())


def test_moments(methods, methods_model, methods_ids, planted):
    assert moments_are_right(methods.calibration, methods, methods_model, methods_ids)
    for old, new in (("        states = [run_layer(model, layer, x) for x in states]\n", ""), ("x.T @ x", "x[:9].T @ x[:9]"),
                     ("    handle.remove()\n    return H", "    handle.remove()\n    return H / len(passes)")):
        assert not moments_are_right(planted("calibration", old, new), methods, methods_model, methods_ids)


def test_later_layers_see_what_earlier_ones_became(methods, methods_model, methods_ids):
    """Whoever halves every matrix on the way gets the moments of the model whose matrices before are half as large."""
    model, collected = copy.deepcopy(methods_model), []
    for names, modules, H in methods.calibration.walk(model, methods_ids):
        collected.append((names, H))
        with torch.no_grad():
            for module in modules:
                module.weight /= 2
    for stage in (1, 4, 6):  # o_proj of layer 0, q_proj and gate_proj of layer 1
        changed, before = copy.deepcopy(methods_model), {n for names, _ in collected[:stage] for n in names}
        with torch.no_grad():
            for name in before:
                changed.get_parameter(name).div_(2)
        names, _, H = next(itertools.islice(methods.calibration.walk(changed, methods_ids), stage, None))
        assert names == collected[stage][0] and torch.allclose(H, collected[stage][1], rtol=1e-4, atol=1e-6 * H.max())


def test_output_error(methods):
    x, weight = methods_normal(0, 50, 12, dtype=torch.float64), methods_normal(1, 5, 12)
    changed = weight + 0.1 * methods_normal(2, 5, 12)
    wanted = ((x @ (changed - weight).T.double()).square().sum() / (x @ weight.T.double()).square().sum()).item()
    assert methods.calibration.output_error(weight, changed, x.T @ x) == pytest.approx(wanted, rel=1e-6)
    assert methods.calibration.output_error(weight, weight, x.T @ x) == 0


# ---------------------------------------------------------------- gptq.py


def methods_least_squares(weight, H, scale, G, order, damp=0.01):
    """GPTQ with no inverse of anything in it but a solve: each column is rounded after the open ones have been set, from
    the original weights, to where all errors made so far hurt the outputs least."""
    W, H = weight.double(), H + damp * H.diagonal().mean() * torch.eye(len(H), dtype=torch.float64)
    q, values = torch.zeros_like(W), torch.zeros_like(W)
    for n, i in enumerate(order):
        done, rest = order[:n], order[n:]
        best = W[:, rest]
        if done:
            best = best + torch.linalg.solve(H[rest][:, rest], H[rest][:, done] @ (W - values)[:, done].T).T
        s = scale[:, i // G].double()
        q[:, i] = (best[:, 0] / s).round().clamp(-8, 7)
        values[:, i] = q[:, i] * s
    return q


def gptq_is_least_squares(module, find_scale, in_groups):
    cases = [(4, 16, 16, False, 5), (4, 16, 16, True, 5), (6, 32, 8, True, 128), (3, 40, 20, True, 16), (5, 24, 24, True, 1)]
    for seed, (R, N, G, by_activation, block) in enumerate(cases):
        weight, H = methods_normal(seed, R, N), methods_moments(seed, N)
        scale = find_scale(in_groups(weight, G), 4)
        order = H.diagonal().argsort(descending=True, stable=True).tolist() if by_activation else list(range(N))
        x = module.gptq(weight, H, 4, G, by_activation=by_activation, search=False, block=block)
        if not torch.equal(x.q.double(), methods_least_squares(weight, H, scale, G, order)):
            return False
        if not torch.equal(x.scale, scale) or not torch.equal(x.dequantize(), x.q * scale.float().repeat_interleave(G, 1)):
            return False
    return True


@pytest.mark.parametrize("old, new", [
    ("W[:, end:] -= errors @ U[start:end, end:]", "W[:, end:] += errors @ U[start:end, end:]"),
    ("        W[:, end:] -= errors @ U[start:end, end:]", "        pass"),
    ("W[:, i:end] -= errors[:, i - start, None] * U[i, i:end]", "pass"),
    (" * s) / U[i, i]", " * s)"),
    ("g = int(order[i]) // G", "g = i // G"),
    ("torch.linalg.cholesky(inverse, upper=True)", "torch.linalg.cholesky(H, upper=True)"),
    ("inverse = torch.cholesky_inverse(torch.linalg.cholesky(H))", "inverse = H"),
    ("* damp * mean", "* 3 * damp * mean"),
    ("descending=True", "descending=False"),
    ("[order][:, order]", ""),
])  # fmt: skip
def test_gptq_is_least_squares_and_planted_bugs(methods, planted, old, new):
    find_scale, in_groups = methods.quantize.find_scale, methods.quantize.in_groups
    assert gptq_is_least_squares(methods.gptq, find_scale, in_groups)
    assert not gptq_is_least_squares(planted("gptq", old, new), find_scale, in_groups)


def test_obs_is_least_squares_too(methods):
    for seed in range(3):
        weight, H, order = methods_normal(seed, 4, 12), methods_moments(seed, 12), list(range(12))
        scale = methods.quantize.find_scale(methods.quantize.in_groups(weight, 6), 4)
        np.random.default_rng(seed).shuffle(order)
        wanted = methods_least_squares(weight, H, scale, 6, order)
        assert torch.equal(methods.gptq.obs(weight, H, scale, 6, order=order), wanted)
    methods.gptq.same_as_the_formula()


def test_gptq_between_the_best_and_rounding(methods):
    """Against every way there is to round four weights: never better than the best, on the whole near to it."""
    totals = np.zeros(3)
    for seed in range(40):
        x = methods_normal(100 + seed, 16, 4, dtype=torch.float64) @ methods_normal(101 + seed, 4, 4, dtype=torch.float64)
        weight, H = methods_normal(seed, 1, 4), x.T @ x
        scale = torch.full((1, 1), 0.7)  # so wide that no number is cut off
        every = torch.cartesian_prod(*[torch.arange(-8, 8, dtype=torch.float64)] * 4) * 0.7 - weight.double()
        best = ((every @ H) * every).sum(-1).min().item()
        ways = methods.gptq.obs(weight, H, scale, 4, damp=0.0), (weight / 0.7).round()
        mine, rounded = ((((d := q.double() * 0.7 - weight.double()) @ H) * d).sum().item() for q in ways)
        assert mine >= best * (1 - 1e-6)
        totals += best, mine, rounded
    assert totals[0] <= totals[1] < 0.75 * totals[2] and totals[1] < 2 * totals[0]


def test_gptq_settings(methods):
    gptq, weight, H = methods.gptq.gptq, methods_normal(0, 32, 96), methods_moments(5, 96)
    error = methods.calibration.output_error
    rounded = error(weight, methods.quantize.quantize(weight, 4, 32, search=True).dequantize(), H)
    stored = {"by_activation": False}
    for settings in ({}, stored, {"group": "channel"}, {"group": 48}, stored | {"block": 32}):
        x = gptq(weight, H, **{"bits": 4, "group": 32} | settings)
        assert error(weight, x.dequantize(), H) < (1 if settings.get("group") else 0.9) * rounded
        assert x.q.dtype == torch.int8 and int(x.q.min()) >= -8 and int(x.q.max()) <= 7 and x.scale.dtype == torch.float16
    eight = gptq(weight, H, 8, 32)
    assert error(weight, eight.dequantize(), H) < 0.01 * rounded and int(eight.q.abs().max()) <= 127
    # inputs that do not go together leave nothing to mend: GPTQ is rounding
    diagonal = torch.diag(torch.rand(96, dtype=torch.float64) + 0.5)
    plain = methods.quantize.quantize(weight, 4, 32, search=True)
    assert torch.equal(gptq(weight, diagonal, 4, 32).q, plain.q)
    dead = H.clone()
    dead[7], dead[:, 7] = 0, 0  # an input that is always 0
    assert bool(torch.isfinite(gptq(weight, dead, 4, 32).dequantize()).all())
    assert bool(torch.isfinite(gptq(weight, torch.zeros(96, 96, dtype=torch.float64), 4, 32).dequantize()).all())
    with pytest.raises(methods.cli.UserError, match="--damp"):
        gptq(weight, dead, 4, 32, damp=0.0)


def test_gptq_of_a_model(methods, methods_model, methods_ids):
    """Every matrix is calibrated on a model in which those before it are quantized already, and is better for it."""
    seen = {}

    def report(name, weight, quantized, H):
        seen[name] = weight, quantized, H

    before = copy.deepcopy(methods_model.state_dict())
    found = methods.gptq.gptq_model(methods_model, methods_ids, bits=4, group=32, report=report)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), methods_model.state_dict().values()))
    assert list(found) == list(methods.quantize.matrices(methods_model)) and set(seen) == set(found)
    final = methods.quantize.model_with(methods_model, found)
    for name, (weight, quantized, H) in seen.items():
        assert torch.equal(weight, methods_model.get_parameter(name)) and found[name] is quantized
        rounded = methods.quantize.quantize(weight, 4, 32, search=True).dequantize()
        error = methods.calibration.output_error
        assert error(weight, quantized.dequantize(), H) < error(weight, rounded, H), name
    moments = {name: H for names, _, H in methods.calibration.walk(final, methods_ids) for name in names}
    for name in moments:  # all that lies before a matrix is final when its moments are taken
        assert torch.allclose(moments[name], seen[name][2], rtol=1e-3, atol=1e-4 * seen[name][2].max()), name
    untied = methods_random(methods, tie_word_embeddings=False)
    found = methods.gptq.gptq_model(untied, methods_ids[:2], bits=4, group=32)
    assert found.keys() == methods.quantize.matrices(untied).keys()


# ---------------------------------------------------------------- awq.py


def folding_changes_nothing(module, here, model, ids):
    """The factors of every stage of every layer, folded in: the same logits, also where heads share values."""
    changed, x = copy.deepcopy(model), torch.tensor(ids[:1])
    for number, (_, modules, H) in enumerate(here.calibration.walk(changed, ids)):
        layer, stage = changed.model.layers[number // 4], here.calibration.STAGES[number % 4]
        with torch.no_grad():
            s = module.column_factors(module.channel_size(H, layer, stage), 0.7)
            module.fold(layer, stage, s, {})
            for matrix in modules:
                matrix.weight *= s
    with torch.inference_mode():
        difference = (changed(x) - model(x)).abs().max() / model(x).abs().max()
    moved = (changed.model.layers[1].mlp.up_proj.weight - model.model.layers[1].mlp.up_proj.weight).abs().max()
    return bool(difference < 1e-4) and bool(moved > 1e-2)


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (4, 1)])
def test_folding_changes_nothing(methods, methods_ids, heads):
    model = methods_random(methods, num_attention_heads=heads[0], num_key_value_heads=heads[1])
    assert folding_changes_nothing(methods.awq, methods, model, methods_ids)


@pytest.mark.parametrize("old, new", [
    ("layer.input_layernorm.weight /= s", "layer.input_layernorm.weight *= s"),
    ("layer.get_submodule(name).weight /= s[:, None]", "layer.get_submodule(name).weight *= s[:, None]"),
    ("else \"mlp.up_proj\"", "else \"mlp.gate_proj\""),
    ("shared.mean(1, keepdim=True).expand_as(shared)", "shared"),
    ("[:, 0].flatten()", "[:, -1].flatten().roll(1)"),
])  # fmt: skip
def test_planted_in_folding(methods, planted, methods_model, methods_ids, old, new):
    assert not folding_changes_nothing(planted("awq", old, new), methods, methods_model, methods_ids)


def test_factors(methods):
    weight, H = methods_normal(0, 24, 64), methods_moments(3, 64)
    H[5] *= 30
    H[:, 5] *= 30  # one channel thirty times as large
    size = H.diagonal().sqrt().float()
    s, a = methods.awq.find_factors([weight], H, size, 4, 32)
    assert 0 < a <= 1 and s.argmax() == 5 and s.max() * s.min() == pytest.approx(1, rel=1e-4)
    quantize, error = methods.quantize.quantize, methods.calibration.output_error
    errors = [error(weight, quantize(weight * f, 4, 32).dequantize() / f, H)
              for f in [methods.awq.column_factors(size, i / 20) for i in range(21)]]
    assert error(weight, quantize(weight * s, 4, 32).dequantize() / s, H) == min(errors) < 0.8 * errors[0]
    assert torch.equal(methods.awq.column_factors(size, 0.0), torch.ones(64))
    blocks = methods.awq.group_moments(H, 16)
    assert all(torch.equal(blocks[i], H[16 * i:16 * i + 16, 16 * i:16 * i + 16].float()) for i in range(4))


def test_awq_of_a_model(methods, methods_ids, methods_folder, tmp_path):
    folder, _ = methods_folder()
    model = methods.checkpoint.load_model(folder)
    found, norms = methods.awq.awq_model(model, methods_ids, 4, 32)
    assert found.keys() == methods.quantize.matrices(model).keys()
    assert norms.keys() == {n for n, p in model.named_parameters() if p.dim() == 1}
    changed = methods.quantize.model_with(model, norms | found)
    rounded = methods.quantize.model_with(model, methods.quantize.quantize_model(model, 4, 32))
    x = torch.tensor([[9, 8, 7, 300, 4000, 17, 6, 5]])
    with torch.inference_mode():
        error = [(m(x) - model(x)).square().mean().item() for m in (changed, rounded)]
    assert error[0] < error[1]
    methods.store.save_quantized(tmp_path / "awq", folder, found, norms)
    again = methods.store.load_quantized(tmp_path / "awq")
    with torch.inference_mode():
        assert torch.equal(again(x), changed(x))
    methods.awq.plain_scaling(model, methods_ids)


# ---------------------------------------------------------------- nf4.py


def nf4_is_right(module):
    levels = module.nf4_levels()
    if levels.shape != (16,) or not bool(((levels - torch.tensor(NF4_PUBLISHED)).abs() < 1e-6).all()):
        return False
    weight = methods_normal(0, 8, 96) * torch.linspace(0.1, 2, 8)[:, None]
    x = module.quantize_nf4(weight, double=False)
    blocks, right = weight.flatten().view(-1, 64), x.q.shape == (12, 64)
    for block, q, scale in zip(blocks, x.q, x.scales()):
        nearest = (block[:, None] / block.abs().max() - torch.tensor(NF4_PUBLISHED)).abs().argmin(-1)
        right = right and torch.equal(nearest, q.long()) and scale == block.abs().max()
    values = torch.tensor(NF4_PUBLISHED)[x.q.long()] * x.scale[:, None]
    return bool(right) and torch.allclose(x.dequantize(), values.view(8, 96), atol=1e-6)


def test_nf4_levels_are_quantiles(methods):
    """Through the error function: the share of a normal distribution below each level rises by equal steps."""
    levels = methods.nf4.nf4_levels().double()
    outermost = (1 - 1 / 30 + 1 - 1 / 32) / 2
    edge = next(z / 1e6 for z in range(1_500_000, 2_200_000) if 0.5 + math.erf(z / 1e6 / 2**0.5) / 2 >= outermost)
    shares = [0.5 + math.erf(level * edge / 2**0.5) / 2 for level in levels.tolist()]
    above, below = np.diff(shares[7:]), np.diff(shares[:8])
    assert np.allclose(above, (outermost - 0.5) / 8, atol=1e-5) and np.allclose(below, (outermost - 0.5) / 7, atol=1e-5)
    assert levels[7] == 0 and levels[0] == -1 and levels[15] == 1


@pytest.mark.parametrize("old, new", [
    ("(1 - 1 / 30 + 1 - 1 / 32) / 2", "1 - 1 / 32"), ("for i in range(1, 9)", "for i in range(8)"),
    ("(levels[1:] + levels[:-1]) / 2", "levels[1:]"), ("blocks.abs().amax(-1)", "blocks.amax(-1)"),
])  # fmt: skip
def test_nf4_and_planted_bugs(methods, planted, old, new):
    assert nf4_is_right(methods.nf4)
    assert not nf4_is_right(planted("nf4", old, new))


def double_is_right(module):
    scale = methods_normal(0, 600).abs() + 1
    mean, code, step = module.double_quantize(scale)
    right = code.dtype == torch.int8 and code.shape == (600,) and step.shape == (3,) and abs(mean - scale.mean()) < 1e-6
    for i in range(3):
        part = scale[256 * i:256 * i + 256] - mean
        back = code[256 * i:256 * i + 256].float() * step[i] / 127
        # the last step sees the filled-up places, too, which are 0
        right = right and (back - part).abs().max() <= part.abs().max() / 127 / 2 * 1.001
    return bool(right)


def test_double_quantization(methods, planted):
    assert double_is_right(methods.nf4)
    for old, new in (("rest * 127", "rest * 64"), ("scale - mean, (0", "scale, (0"), ("rest.abs().amax", "rest.abs().amin")):
        assert not double_is_right(planted("nf4", old, new))
    weight = methods_normal(1, 256, 256)
    plain, double = methods.nf4.quantize_nf4(weight, False), methods.nf4.quantize_nf4(weight)
    assert plain.bits_per_weight == 4.5 and double.bits_per_weight == 4 + 8 / 64 + 32 / 64 / 256
    errors = [(x.dequantize() - weight).square().mean().sqrt().item() for x in (plain, double)]
    assert 0.99 * errors[0] < errors[1] < 1.02 * errors[0]
    int4 = methods.quantize.quantize(weight, 4, 64)
    assert errors[0] < (int4.dequantize() - weight).square().mean().sqrt().item(), "normal weights are what NF4 is for"
    zeros = methods.nf4.quantize_nf4(torch.zeros(3, 50), double=False)
    assert bool((zeros.dequantize() == 0).all()) and zeros.dequantize().shape == (3, 50)


# ---------------------------------------------------------------- activations.py


def activations_are_right(module):
    """Against NumPy in float32, the words of csrc/quant.h: q = rint(x (127 / peak)) in blocks of 32."""
    x = methods_normal(0, 2, 5, 96).numpy() * np.linspace(0.01, 9, 96, dtype=np.float32)
    x[0, 0, :32], x[0, 1, :32] = 0, 1e-31
    q, scale = module.quantize_activations(torch.from_numpy(x))
    right = q.shape == (2, 5, 3, 32) and scale.shape == (2, 5, 3, 1)
    for b, t, block in itertools.product(range(2), range(5), range(3)):
        part = x[b, t, 32 * block:32 * block + 32]
        peak = np.abs(part).max()
        small = peak < 1e-30
        wanted = np.zeros(32) if small else np.rint(part * (np.float32(127) / peak))
        right = right and np.array_equal(q[b, t, block].numpy(), wanted)
        right = right and scale[b, t, block].item() == (0 if small else peak / np.float32(127))
    return bool(right)


def products_are_right(module, quantized, x):
    """`integers` against the sums of csrc/quant.h in NumPy: blocks, then groups, each rounded to float32, to the bit."""
    q, scale = (v.numpy() for v in module.quantize_activations(x))
    W, s, R = quantized.q.numpy().astype(np.int64), quantized.scale.float().numpy(), quantized.q.shape[0]
    wanted = np.zeros((len(x), R), np.float32)
    for t, r in itertools.product(range(len(x)), range(R)):
        for g in range(s.shape[1]):
            inner = np.float32(0)
            for b in range(g * quantized.group // 32, (g + 1) * quantized.group // 32):
                dot = int((q[t, b].astype(np.int64) * W[r, 32 * b:32 * b + 32]).sum())
                inner += scale[t, b, 0] * np.float32(dot)
            wanted[t, r] += s[r, g] * inner
    layer = module.IntLinear(quantized)
    near = torch.allclose(layer(x), torch.from_numpy(wanted), atol=1e-4)
    return np.array_equal(layer.integers(x).numpy(), wanted) and near


def test_activations(methods, planted):
    here = methods.activations
    assert activations_are_right(here)
    weight, x = methods_normal(1, 12, 128), methods_normal(2, 6, 128)
    for bits, group in ((8, 32), (8, 64), (4, 32), (8, "channel")):
        assert products_are_right(here, methods.quantize.quantize(weight, bits, group), x)
    for old, new in ((".abs().amax(-1, keepdim=True)", ".amax(-1, keepdim=True)"), ("inverse).round()", "inverse).trunc()"),
                     ("torch.where(peak < 1e-30, 0.0, peak / high)", "torch.where(peak < 1e-30, 0.0, high / peak)")):
        assert not activations_are_right(planted("activations", old, new))
    quantized = methods.quantize.quantize(weight, 8, 64)
    for old, new in (("w.scale[:, g]", "w.scale[:, 0]"), ("inner = inner + scale[:, b]", "inner = scale[:, b]")):
        assert not products_are_right(planted("activations", old, new), quantized, x)


def test_outliers(methods):
    here, weight, x = methods.activations, methods_normal(1, 12, 128), methods_normal(2, 6, 128)
    quantized, exact = methods.quantize.quantize(weight, 8, 32), x @ weight.T

    def error(x, *way):
        return (here.IntLinear(quantized, *way, weight=weight)(x) - x @ weight.T).square().mean().sqrt().item()

    assert error(x, "tensor") >= error(x, "token") > error(x, 32) > 0
    assert torch.allclose(here.IntLinear(quantized, 32, 8, 0.0, weight)(x), exact, atol=1e-4), "all channels in float"
    large = x.clone()
    large[:, 9] *= 100
    assert error(large, "token") > 8 * error(x, "token") and error(large, "token", 8, 6.0) < 0.2 * error(large, "token")
    assert error(large, 32) < error(large, "token") and error(x, 32, 4) > 5 * error(x, 32, 8)


def test_planted_outlier_and_a_model_of_integers(methods, methods_model, methods_ids):
    here, x = methods.activations, torch.tensor(methods_ids[:1])
    planted = here.plant_outlier(methods_model)
    quantized = methods.quantize.quantize_model(methods_model, 8, 32)
    with torch.inference_mode():
        logits = methods_model(x)
        assert torch.allclose(planted(x), logits, atol=1e-3 * logits.abs().max())
        ints = here.with_integers(methods_model, quantized)
        kinds = [type(m).__name__ for m in ints.modules()]
        assert kinds.count("IntLinear") == 15 and kinds.count("Linear") == 0
        error = [(here.with_integers(methods_model, quantized, *way)(x) - logits).square().mean().item()
                 for way in ((32,), ("token",), (32, 4))]
        assert max(error[:2]) < 0.1 * error[2] and error[0] < 0.02 * logits.square().mean()
    found = here.largest_inputs(planted, methods_ids)
    before = here.largest_inputs(methods_model, methods_ids)
    name = "model.layers.1.mlp.gate_proj"
    assert found[name][0][7] == pytest.approx(100 * before[name][0][7].item(), rel=1e-2)
    assert len(found) == 9 and found[name][0][8] == pytest.approx(before[name][0][8].item(), rel=1e-2)


# ---------------------------------------------------------------- the programs, on the shipped model


def methods_numbers(text):
    """bpb before and after, from a script's last line."""
    words = next(line for line in text.splitlines() if line.startswith("bits per byte")).split()
    return SimpleNamespace(before=float(words[3]), after=float(words[5]))


def test_int8_costs_little(run_script, tmp_path):
    result = run_script("quantization/quantize.py", "--bits", 8, "--group", 32, "--out", tmp_path / "int8", "--stories", 3)
    bpb = methods_numbers(result.stdout)
    assert 0.15 < bpb.before < 0.4 and abs(bpb.after / bpb.before - 1) < 0.005
    assert (tmp_path / "int8" / "model.safetensors").stat().st_size < 8.3e6


def test_int4_with_gptq_costs_less_than_three_percent(run_script, tmp_path):
    result = run_script("quantization/gptq.py", "--out", tmp_path / "int4", "--stories", 4, "--calibration", 4)
    bpb = methods_numbers(result.stdout)
    assert bpb.after / bpb.before < 1.03 and (tmp_path / "int4" / "model.safetensors").stat().st_size < 4.5e6


@pytest.mark.parametrize("script, flags, told", [
    ("quantize", ["nowhere"], "nowhere"), ("quantize", ["--out", "out/x", "--group", "tensor", "--stories", "1"], "tensor"),
    ("gptq", ["--group", "tensor"], "tensor"), ("awq", ["--group", "tensor"], "tensor"),
    ("quantize", ["--data", "nowhere"], "nowhere"), ("nf4", ["nowhere"], "nowhere"), ("store", ["nowhere"], "nowhere"),
])  # fmt: skip
def test_mistakes_are_one_line(methods, root, monkeypatch, script, flags, told):
    monkeypatch.chdir(root)
    with pytest.raises(methods.cli.UserError, match=told) as caught:
        getattr(methods, script).main(flags)
    assert "\n" not in str(caught.value)
