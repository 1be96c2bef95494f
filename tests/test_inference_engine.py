"""The engine in C: the logits of model.py and of `transformers`, the draws of sampling.py, the stories of generate.py.

References: our own model, `transformers`' Llama from folders that it has written itself, our own sampler and engine;
and a copy of the C code for each bug that is planted in it.
"""

import contextlib
import ctypes
import io
import json
import random
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch

ENGINE_TOKENIZER = "tokenization/tokenizer.json"
ENGINE_MODEL = "deployment/weights/storyteller"
ENGINE_SHAPES = {  # name -> heads, key heads, tied
    "plain": (4, 4, True), "grouped": (4, 2, True), "one key head": (4, 1, True), "untied": (4, 2, False),
}  # fmt: skip


@pytest.fixture(scope="module")
def engine_build(root, run_command):
    """Builds the library and the program where Python looks for them; skips where there is nothing to build with."""
    if not (shutil.which("cc") and shutil.which("make")):
        pytest.skip("needs make and a C compiler (Debian, Ubuntu: apt-get install make gcc)")
    run_command("make -C csrc build/engine.so build/run", timeout=300, cwd=root)
    return root / "csrc/build"


@pytest.fixture(scope="module")
def engine_here(chapter, engine_build):
    return chapter("inference")


@pytest.fixture(scope="module")
def CEngine(engine_here):
    return engine_here.engine.CEngine


def engine_model(here, name="grouped", layers=2, context=96, seed=3):
    """A small model of the chapter's, whose weights are large enough for its predictions to differ."""
    heads, key_heads, tied = ENGINE_SHAPES[name]
    config = here.model.Config(vocab_size=4096, hidden_size=64, intermediate_size=96, num_hidden_layers=layers,
                               num_attention_heads=heads, num_key_value_heads=key_heads,
                               max_position_embeddings=context, tie_word_embeddings=tied)  # fmt: skip
    model = here.model.Storyteller(config).initialize(seed).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 4 if weight.dim() == 2 else 1 + torch.arange(len(weight)) % 3 / 4
    return model


@pytest.fixture(scope="module")
def engine_folders(chapter, engine_here, tmp_path_factory, root):
    """name -> (model, its folder as chapter transformer saves it)."""
    folders, save = {}, chapter("transformer").checkpoint.save_checkpoint
    for name in ENGINE_SHAPES:
        model, folder = engine_model(engine_here, name), tmp_path_factory.mktemp("model")
        save(folder, model, root / ENGINE_TOKENIZER)
        folders[name] = model, folder
    return folders


@pytest.fixture(scope="module")
def engine_pair(engine_here, engine_folders):
    """(model, tokenizer, folder) of the small model with grouped queries."""
    model, folder = engine_folders["grouped"]
    return model, engine_here.tokenizer.Tokenizer.load(folder / "tokenizer.json"), folder


def engine_ids(n, seed=0, vocab=4092):
    return np.random.default_rng(seed).integers(0, vocab, n).tolist()


@torch.inference_mode()
def torch_logits(model, ids):
    logits = model(torch.tensor([ids]))
    return (logits if torch.is_tensor(logits) else logits.logits)[0].float().numpy()


def engine_run(engine):
    while engine.running or engine.waiting:
        engine.step()


# --- logits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENGINE_SHAPES)
def test_engine_logits_are_those_of_the_model(engine_folders, CEngine, name):
    model, folder = engine_folders[name]
    ids = engine_ids(70, seed=len(name))
    wanted = torch_logits(model, ids)
    for path in (path for path in range(3) if CEngine(folder, 1).paths >> path & 1):
        logits = CEngine(folder, 1, path=path).logits(ids)
        assert np.abs(logits - wanted).max() <= 1e-4


def test_engine_logits_of_the_shipped_model(engine_here, CEngine, root):
    model = engine_here.checkpoint.load_model(root / ENGINE_MODEL)
    engine = CEngine(root / ENGINE_MODEL, 2)
    ids = [4092] + engine.tokenizer.encode("Once upon a time, there was a little fox. " * 20)
    logits = engine.logits(ids)
    assert np.abs(logits - torch_logits(model, ids)).max() <= 1e-4
    assert np.array_equal(CEngine(root / ENGINE_MODEL, 1, widen=True).logits(ids), logits)  # bfloat16 or float32


LLAMAS = {  # name -> settings, dtype
    "grouped queries": ({"num_key_value_heads": 2}, torch.float32),
    "untied": ({"tie_word_embeddings": False, "rms_norm_eps": 1e-6}, torch.float32),
    "head_dim": ({"head_dim": 24, "num_key_value_heads": 1}, torch.float32),
    "biases": ({"attention_bias": True, "mlp_bias": True}, torch.float32),
    "llama3": ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
                                    "high_freq_factor": 4.0, "original_max_position_embeddings": 32}}, torch.float32),
    "linear": ({"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}}, torch.float32),
    "bfloat16": ({"num_key_value_heads": 2}, torch.bfloat16),
    "float16": ({"tie_word_embeddings": False}, torch.float16),
}  # fmt: skip


@pytest.mark.parametrize("name", LLAMAS)
def test_engine_agrees_with_transformers(CEngine, root, tmp_path, name):
    transformers = pytest.importorskip("transformers")
    settings, dtype = LLAMAS[name]
    config = transformers.LlamaConfig(**{
        "vocab_size": 4100, "hidden_size": 64, "intermediate_size": 112, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 128,
        "tie_word_embeddings": True, "initializer_range": 0.15} | settings)  # fmt: skip
    torch.manual_seed(len(name))
    model = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms are 0 and 1 at first
            parameter += 0.1 * torch.randn(parameter.shape) if parameter.dim() == 1 else 0
    model.to(dtype).save_pretrained(tmp_path)  # and read back: .to() also rounds the angles, which no file holds
    shutil.copy(root / ENGINE_TOKENIZER, tmp_path / "tokenizer.json")
    model = transformers.LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ids = engine_ids(100, seed=1, vocab=4100)
    wanted = torch_logits(model, ids)
    assert wanted.std() > 0.3
    engine = CEngine(tmp_path, 1)
    assert np.abs(engine.logits(ids) - wanted).max() <= 1e-4
    assert engine.V == 4096  # rows to spare are never drawn


# --- nothing but its own text decides about a sequence --------------------------------------------------------------


def test_engine_blocks_threads_and_slots_change_no_bit(engine_pair, CEngine):
    _, _, folder = engine_pair
    ids = engine_ids(90)
    whole = CEngine(folder, 1).logits(ids)
    assert np.array_equal(CEngine(folder, 1, block=7).logits(ids), whole)
    assert np.array_equal(CEngine(folder, 1, threads=3).logits(ids), whole)
    engine = CEngine(folder, 3)
    engine.logits(engine_ids(96, seed=9), slot=2)  # somebody else's keys
    steps = [engine.logits([i], slot=2, fresh=not t) for t, i in enumerate(ids)]
    assert np.array_equal(np.concatenate(steps), whole)
    assert np.array_equal(engine.logits(ids[:50], slot=1), whole[:50])
    assert np.array_equal(engine.logits(ids[50:], slot=1, fresh=False, last=True), whole[-1:])


# --- the sampler ----------------------------------------------------------------------------------------------------


def sampler_cases(here, rng, n):
    """Settings and logits of all kinds: sharp, flat, equal, with -inf among them."""
    for case in range(n):
        V = int(rng.integers(1, 5000 if case % 8 == 0 else 300))
        logits = (rng.standard_normal(V) * rng.choice([0, 0.1, 1, 4, 30])).astype(np.float32)
        if case % 4 == 0:
            logits = np.round(logits)
        if case % 9 == 0:
            logits[1:][rng.random(V - 1) < 0.5] = -np.inf
        params = here.sampling.SamplingParams(
            temperature=float(rng.choice([0, 0.05, 0.5, 0.8, 1, 1.7, 10])), top_k=int(rng.choice([0, 0, 1, 5, 40, 10**6])),
            top_p=float(rng.choice([1, 1, 0.95, 0.5, 0.01])), min_p=float(rng.choice([0, 0, 0.02, 0.3, 1])),
            repetition_penalty=float(rng.choice([1, 1, 1.3, 0.7])))  # fmt: skip
        history = rng.integers(0, V, rng.integers(0, 30)).tolist()
        yield logits, params, history


def test_engine_draws_what_sampling_draws(engine_here):
    rng = np.random.default_rng(0)
    for seed, (logits, params, history) in enumerate(sampler_cases(engine_here, rng, 600)):
        one = engine_here.rng.PCG32(seed)
        with np.errstate(invalid="ignore"):
            wanted = [engine_here.sampling.sample_token(logits, params, one, history) for _ in range(12)]
        assert engine_here.engine.draw_tokens(logits, params, seed, history, 12) == wanted, (len(logits), params)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_engine_refuses_logits_that_are_not_finite(engine_here, bad):
    for V in (1, 7, 100):
        for place in (0, V - 1):
            logits = np.zeros(V, dtype=np.float32)
            logits[place] = bad
            with pytest.raises(ValueError, match="not finite"):
                engine_here.engine.draw_tokens(logits, engine_here.sampling.SamplingParams(), 0)


# --- the interface of generate.py's Engine ---------------------------------------------------------------------------


def many_texts(here, tokenizer, n=24):
    """Prompts and settings of all kinds."""
    rng, words = random.Random(3), "the dog's café ran 🐉 away, 12345 and then\n\nOnce upon a time <|end|> ".split(" ")
    for i in range(n):
        prompt = " ".join(rng.choice(words) for _ in range(rng.randrange(14)))
        params = here.sampling.SamplingParams(
            temperature=rng.choice([0, 0.8, 1.5]), top_k=rng.choice([0, 20]), top_p=rng.choice([1, 0.9]),
            repetition_penalty=rng.choice([1, 1.3]), max_tokens=rng.choice([1, 5, 30, 200]),
            stop=rng.choice([(), (" the", "e"), ("zq", "an", "é")]), seed=rng.choice([i, -i, 2**70 + i]))  # fmt: skip
        yield here.generate.prompt_ids(tokenizer, prompt), params


def told(engine, texts, cancel=()):
    """(pieces, text, ids, reason) of every text; those in `cancel` are cancelled after their number of steps."""
    sequences = [engine.add(ids, params) for ids, params in texts]
    pieces = {id(s): [] for s in sequences}
    order, step = [], 0
    while engine.running or engine.waiting:
        for i, when in cancel:
            if when == step:
                engine.cancel(sequences[i])
        for sequence, piece in engine.step():
            pieces[id(sequence)].append(piece)
            order.append(sequences.index(sequence))
        step += 1
    return [(pieces[id(s)], s.text, s.new_ids, s.finish_reason) for s in sequences], order


@pytest.mark.parametrize("slots", [1, 3, 8])
def test_engine_tells_what_the_engine_in_python_tells(engine_here, engine_pair, CEngine, slots):
    model, tokenizer, folder = engine_pair
    texts = list(many_texts(engine_here, tokenizer))
    cancel = [(0, 2), (3, 1), (7, 0), (20, 4), (7, 9)]
    wanted, order = told(engine_here.generate.Engine(model, tokenizer, slots, 64), texts, cancel)
    engine = CEngine(folder, slots, 64)
    for _ in range(2):  # the slots are used again
        got, c_order = told(engine, texts, cancel)
        assert got == wanted and sorted(c_order) == sorted(order)
    assert {reason for *_, reason in wanted} == {"stop", "length", "cancel"}
    assert not engine.running and sorted(engine.free) == list(range(slots))


def test_engine_with_a_full_context(engine_here, engine_pair, CEngine):
    model, tokenizer, folder = engine_pair
    params = engine_here.sampling.SamplingParams(seed=1, temperature=1.5, top_p=1)
    for n in (95, 96):
        ids = engine_ids(n)
        wanted, _ = told(engine_here.generate.Engine(model, tokenizer, 2), [(ids, params)])
        assert told(CEngine(folder, 2), [(ids, params)])[0] == wanted
        assert wanted[0][3] == "length" and len(wanted[0][2]) == 97 - n
    for bad, message in (([], "no tokens"), (engine_ids(97), "shorten"), ([4096], "not in 0 to"), ([-1], "not in 0 to")):
        with pytest.raises(ValueError, match=message):
            CEngine(folder, 2).add(bad, params)
    with pytest.raises(ValueError, match="top_p"):
        CEngine(folder, 2).add([1], replace(params, top_p=0))


def test_engine_tokenizer_is_the_tokenizer(engine_pair, CEngine):
    _, tokenizer, folder = engine_pair
    ours = CEngine(folder, 1).tokenizer
    assert ours.vocab_size == tokenizer.vocab_size and ours.special == tokenizer.special
    for text in ("", "Once upon a time", "café 🐉 <|end|>", "\ud800 half a pair", "a\0b"):
        for allowed in (False, True):
            ids = tokenizer.encode(text, allowed)
            assert ours.encode(text, allowed) == ids
            assert ours.decode_bytes(ids) == tokenizer.decode_bytes(ids) and ours.decode(ids) == tokenizer.decode(ids)
    for bad in (-1, 4096):
        with pytest.raises(ValueError, match="not a token id"):
            ours.decode([bad])


def test_engine_reports_damaged_folders(engine_here, engine_pair, CEngine, tmp_path):
    _, _, folder = engine_pair
    UserError = engine_here.cli.UserError
    for name, change in (("config.json", lambda b: b[:-9]), ("model.safetensors", lambda b: b[: len(b) // 2]),
                         ("model.safetensors", lambda b: b"\xff" * 8 + b[8:]), ("tokenizer.json", lambda b: b"[]")):
        broken = tmp_path / "broken"
        shutil.copytree(folder, broken, dirs_exist_ok=True)
        (broken / name).write_bytes(change((folder / name).read_bytes()))
        with pytest.raises(UserError) as error:
            CEngine(broken, 1)
        assert "\n" not in str(error.value) and len(str(error.value)) > 20
    with pytest.raises(UserError):
        CEngine(tmp_path / "nothing", 1)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-400:] = b"\x00\x00\xc0\x7f" * 100  # NaN in the last tensor
    shutil.copytree(folder, tmp_path / "nan")
    (tmp_path / "nan/model.safetensors").write_bytes(weights)
    engine = CEngine(tmp_path / "nan", 1)
    engine.add([1, 2], engine_here.sampling.SamplingParams())
    with pytest.raises(ValueError, match="not finite"):
        engine.step()


# --- integers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantize, most", [("int8", 0.1), ("int4", 0.8)])
def test_engine_quantizes_while_loading(engine_folders, CEngine, quantize, most):
    for model, folder in engine_folders.values():
        ids = engine_ids(60)
        wanted, got = torch_logits(model, ids), CEngine(folder, 1, quantize=quantize).logits(ids)
        assert 1e-4 < rms_error(got, wanted) < most
        assert np.array_equal(CEngine(folder, 1, quantize=quantize, threads=2, block=5).logits(ids), got)


def store_quantized(folder, target, bits, group, scale_type):
    """The folder with every matrix in integers, as DESIGN's storage says; gives back the weights that it stands for."""
    from safetensors.torch import load_file, save_file

    weights, stored, meant = load_file(folder / "model.safetensors"), {}, {}
    for name, weight in weights.items():
        weight = weight.float()
        if weight.dim() == 1 or weight.shape[1] % group:
            stored[name] = meant[name] = weight
            continue
        top = 127 if bits == 8 else 7
        groups = weight.view(len(weight), -1, group)  # (R, N / G, G)
        scale = (groups.abs().amax(2) / top).to(scale_type)
        q = (groups / scale.float()[..., None]).round().clamp(-top - (bits == 4), top)
        meant[name] = (q * scale.float()[..., None]).view_as(weight)
        q = q.view_as(weight).to(torch.int16)
        if bits == 4:  # columns j and j + 16 of each block of 32 share a byte
            blocks = (q + 8).view(len(weight), -1, 2, 16)
            q = (blocks[:, :, 0] | blocks[:, :, 1] << 4).reshape(len(weight), -1)
        stored[name] = q.to(torch.int8 if bits == 8 else torch.uint8).contiguous()
        stored[name.replace(".weight", ".scale")] = scale.contiguous()
    shutil.copytree(folder, target)
    save_file(stored, target / "model.safetensors")
    config = json.loads((target / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "storyteller", "bits": bits, "group_size": group, "symmetric": True}
    (target / "config.json").write_text(json.dumps(config))
    return meant


@pytest.mark.parametrize("bits, group, scale_type", [(8, 32, torch.float32), (8, 64, torch.float16),
                                                     (4, 32, torch.float16), (4, 64, torch.float32)])
@pytest.mark.parametrize("name", ["grouped", "untied"])
def test_engine_reads_quantized_folders(engine_here, engine_folders, CEngine, tmp_path, name, bits, group, scale_type):
    model, folder = engine_folders[name]
    meant = store_quantized(folder, tmp_path / "q", bits, group, scale_type)
    same = engine_here.model.Storyteller(model.config).eval()
    same.load_state_dict(meant, strict=False)
    engine, texts = CEngine(tmp_path / "q", 1), [engine_ids(3, seed) for seed in range(25)]
    got = [engine.logits(ids) for ids in texts]
    assert rms_error(np.stack(got), np.stack([torch_logits(same, ids) for ids in texts])) < 0.1
    for module in same.modules():
        if isinstance(module, torch.nn.Linear) and module.in_features % group == 0:
            module.register_forward_pre_hook(lambda _, inputs: (in_int8(inputs[0]),))
    errors = [rms_error(a, b) for logits, ids in zip(got, texts) for a, b in zip(logits, torch_logits(same, ids))]
    assert np.mean(np.array(errors) < 1e-5) > 0.6  # the same arithmetic, but where a number is nearly a half


def rms_error(got, wanted):
    """The size of the difference in parts of the spread of what is wanted."""
    return np.sqrt(((got - wanted) ** 2).mean()) / wanted.std()


def in_int8(x):
    """Activations (…, C) rounded to int8 by blocks of 32, as csrc/quant.h does it."""
    blocks = x.view(*x.shape[:-1], -1, 32)
    peak = blocks.abs().amax(-1, keepdim=True).clamp(min=1e-30)
    return ((blocks * (127 / peak)).round() * (peak / 127)).view_as(x)


# --- the program ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program(engine_build):
    """program(*arguments, status=0, stdin="") -> (standard output, standard error) of csrc/build/run."""

    def program(*arguments, status=0, stdin=""):
        command = [engine_build / "run", *[a if isinstance(a, bytes) else str(a) for a in arguments]]
        result = subprocess.run(command, input=stdin.encode(), capture_output=True, timeout=120)
        assert result.returncode == status, result.stderr
        return result.stdout.decode(), result.stderr.decode()  # no text mode: it would change "\r"

    return program


def in_python(engine_here, arguments):
    """What inference/generate.py prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        engine_here.generate.main([str(a) for a in arguments])
    return out.getvalue()


def test_engine_the_same_story(engine_here, program, root):
    flags = ["--seed", 1, "--tokens", 120]
    story, facts = program(root / ENGINE_MODEL, "Once upon a time", *flags)
    assert story == in_python(engine_here, [root / ENGINE_MODEL, "--prompt", "Once upon a time", *flags])
    assert facts.count("\n") == 1 and "tokens/s" in facts and len(story) > 300
    assert program("-", *flags, stdin="Once upon a time\n")[0] == story  # without a folder: the same one


@pytest.mark.parametrize("flags", [
    ["--temperature", 0, "--tokens", 30], ["--top-k", 7, "--min-p", 0.05, "--top-p", 1, "--stop", "e", "--stop", " th"],
    ["--stories", 5, "--tokens", 25, "--repetition-penalty", 1.4], ["--stories", 20, "--temperature", 2, "--tokens", 9],
    ["--tokens", 500, "--temperature", 1.5],
])  # fmt: skip
def test_engine_program_and_python_print_the_same(engine_here, engine_pair, program, flags):
    _, _, folder = engine_pair
    for prompt in ("The dragon's café 🐉", ""):
        wanted = in_python(engine_here, [folder, "--prompt", prompt, "--seed", 3, *flags])
        assert program(folder, prompt, "--seed", 3, *flags)[0] == wanted
        assert program(*flags, folder, "--seed=3", "--threads", 2, "-", stdin=prompt + "\n")[0] == wanted


def test_engine_script_prints_the_same(engine_here, engine_pair, run_script):
    _, _, folder = engine_pair
    flags = [folder, "--prompt", "One day", "--seed", 3, "--stories", 3, "--tokens", 12]
    result = run_script("inference/engine.py", *flags)
    assert result.stdout == in_python(engine_here, flags) and result.stderr.count("\n") == 1
    for wrong in (["nowhere"], [folder, "--top-p", 0], [folder, "--prompt", "x " * 99], [folder, "--prompt", "\udcff"]):
        with pytest.raises(engine_here.cli.UserError) as error:
            engine_here.engine.main([str(w) for w in wrong])
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("arguments, message", [
    (["nowhere"], "nowhere"), ([None, "x " * 200], "shorten"), ([None, b"\xff\xfe"], "UTF-8"),
    ([None, "--top-p", "0"], "top-p"),
    ([None, "--temperature", "11"], "temperature"), ([None, "--tokens", "0"], "--tokens"), ([None, "a", "b"], "third"),
    ([None, "--quantize", "int3"], "int3"), ([None, "--seed", "x"], "--seed"), ([None, "--bogus"], "--bogus"),
    ([None, "--stop", ""], "--stop"), ([None, "--threads"], "--threads"), ([None, "--chat", "--stories", "2"], "--chat"),
])  # fmt: skip
def test_engine_program_reports_mistakes_in_one_line(engine_pair, program, arguments, message):
    _, _, folder = engine_pair
    story, error = program(*[folder if a is None else a for a in arguments], status=2)
    assert story == "" and error.startswith("error: ") and error.count("\n") == 1 and message in error


def test_engine_program_with_a_damaged_folder(engine_pair, program, tmp_path):
    _, _, folder = engine_pair
    shutil.copytree(folder, tmp_path / "m")
    weights = (folder / "model.safetensors").read_bytes()
    for damaged in (b"", weights[:100], weights[:-1], b"\0" * 300, weights[:8] + b"[" + weights[9:]):
        (tmp_path / "m/model.safetensors").write_bytes(damaged)
        story, error = program(tmp_path / "m", status=2)
        assert story == "" and error.startswith("error: ") and error.count("\n") == 1


def test_engine_chat(engine_here, engine_pair, program):
    """Three turns; the same ids by hand, through the engine in Python."""
    model, tokenizer, folder = engine_pair
    mark = tokenizer.special
    params = engine_here.sampling.SamplingParams(temperature=0, max_tokens=6)
    ids, wanted = [mark["<|endoftext|>"]], ""
    for turn in ("Hello", "Tell me <|end|> more.", "café"):
        ids += [mark["<|user|>"], *tokenizer.encode(turn), mark["<|end|>"], mark["<|assistant|>"]]
        engine = engine_here.generate.Engine(model, tokenizer, 1)
        sequence = engine.add(ids, params)
        engine_run(engine)
        ids = sequence.ids + ([mark["<|end|>"]] if sequence.finish_reason == "length" else [])
        wanted += sequence.text + "\n"
        assert sequence.finish_reason == "length"
    flags = ["--chat", "--temperature", 0, "--tokens", 6]
    assert program(folder, *flags, stdin="Hello\n\nTell me <|end|> more.\r\ncafé")[0] == wanted
    assert program(folder, "Hello", *flags, stdin="Tell me <|end|> more.\ncafé\n")[0] == wanted
    answers, said = program(folder, *flags, stdin="a b c d e f\n" * 30)
    assert "the context of 96 tokens is full" in said and 3 < answers.count("\n") < 10
    assert "<|user|>" in program("--help")[0]


def test_engine_bench(engine_here, engine_pair, capsys, monkeypatch, tmp_path):
    _, _, folder = engine_pair
    monkeypatch.setattr(engine_here.bench, "FIGURE", str(tmp_path / "speed.svg"))
    monkeypatch.setattr(engine_here.bench, "RANDOM", {"1M": (96, 96, 1)})
    monkeypatch.setattr(engine_here.bench, "TOKENIZER", str(folder / "tokenizer.json"))
    engine_here.bench.main([str(folder), "1M", "--quick", "--plot"])
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines if line.startswith("  ")]
    assert sum(row[:2] == ["C,", "int4"] for row in rows) == 2 and len(rows) in (10, 12)  # transformers or not
    for row in rows:
        numbers = [float(x.replace(",", "")) for x in row[-5:] if x != "-"]
        assert all(x > 0 for x in numbers)
    assert (tmp_path / "speed.svg").read_text().count("<path") > 5
    with pytest.raises(engine_here.cli.UserError, match="nowhere"):
        engine_here.bench.main(["nowhere", "--quick"])


# --- planted bugs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file, right, wrong", [
    ("llama.h", "a.seen[r] = p->space->position[at] + 1;", "a.seen[r] = p->space->position[first + count - 1] + 1;"),
    ("llama.h", "(second * cosine + first * sine) * scale;", "(second * cosine - first * sine) * scale;"),
    ("llama.h", "int64_t position = p->cache->used[chunk->slot] + t;", "int64_t position = t;"),
    ("llama.h", "head = g * group + (i + r) % group", "head = g + (i + r) % group * c->kv_heads"),
    ("llama_tiles.h", "for (int64_t j = seen; j < n; j++) p[j] = -INFINITY;", ""),
])  # fmt: skip
def test_engine_planted_bugs_in_c(engine_here, engine_pair, clone, tmp_path, file, right, wrong):
    _, _, folder = engine_pair
    shutil.copytree(clone / "csrc", tmp_path / "csrc", ignore=shutil.ignore_patterns("build"))
    source = tmp_path / "csrc" / file
    assert source.read_text().count(right) == 1
    source.write_text(source.read_text().replace(right, wrong))
    library = tmp_path / "engine.so"
    command = ["cc", "-std=c11", "-O0", "-shared", "-fPIC", tmp_path / "csrc/engine.c", "-o", library, "-lm"]
    subprocess.run(command, check=True, timeout=120)
    good, bad = engine_here.engine.library(), ctypes.CDLL(str(library))
    bad.engine_open.restype, bad.engine_open.argtypes = ctypes.c_void_p, good.engine_open.argtypes
    bad.engine_logits.restype, bad.engine_logits.argtypes = ctypes.c_bool, good.engine_logits.argtypes
    options = engine_here.engine.Options(1, 0, 16, 1, 0, 32, 0, -1)
    ids, error = np.array(engine_ids(40), dtype=np.int32), ctypes.create_string_buffer(512)
    wanted = engine_here.engine.CEngine(folder, 1).logits(ids)
    got = np.zeros_like(wanted)
    handle = bad.engine_open(bytes(folder), options, error)
    assert bad.engine_logits(handle, 0, ids.ctypes.data, 40, True, False, got.ctypes.data, error)
    assert not np.abs(got - wanted).max() <= 1e-2
