"""csrc/gpt.c: the same losses, gradients, stories and bits as torch and `transformers`; exact resume; planted bugs."""

import json
import math
import re
import shutil
import signal
import subprocess
from dataclasses import asdict

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file

GPTC_COMPILER = "cc"
GPTC_END = "<|endoftext|>"
GPTC_TOKENIZER = "tokenization/tokenizer.json"
GPTC_SIZES = {"context": 16, "layers": 2, "heads": 3, "width": 24}
GPTC_FLAGS = [f"--{name}={value}" for name, value in GPTC_SIZES.items()] + ["--batch-size=70", "--print-every=1"]
GPTC_B, GPTC_T, GPTC_STEPS, GPTC_PEAK, GPTC_SEED = 4, 16, 8, 3e-3, 5  # 70 tokens are four windows of 16


@pytest.fixture(scope="module")
def gptc_program(root):
    """csrc/build/gpt and gpt.so, built; skips where there is nothing to build them with."""
    if not (shutil.which(GPTC_COMPILER) and shutil.which("make")):
        pytest.skip("needs make and a C compiler (Debian, Ubuntu: apt-get install make gcc)")
    targets = ["build/gpt", "build/gpt.so", "build/matmul.so", "build/check/test_safetensors_write"]
    subprocess.run(["make", "-C", root / "csrc", *targets], check=True, capture_output=True, timeout=300)
    return root / "csrc/build/gpt"


@pytest.fixture(scope="module")
def gptc(chapter, gptc_program):
    return chapter("transformer")


@pytest.fixture(scope="module")
def gptc_data(root, tmp_path_factory):
    """Eighty stories to train on and seven to test, one of them a single word, one not ASCII."""
    folder = tmp_path_factory.mktemp("gptc")
    stories = (root / "datasets/stories/train.txt").read_text(encoding="utf-8").split(f"{GPTC_END}\n")
    more = ["Yes.", "Zoé saw a 🐉 in the café and said “hello”."]
    for split, texts in (("train", stories[:80]), ("valid", [*stories[80:85], *more])):
        (folder / f"{split}.txt").write_text(f"\n{GPTC_END}\n".join(texts), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def gptc_init(chapter, root, tmp_path_factory):
    """A folder with a GPT-2 whose every weight is felt, norms and biases too."""
    gpt2, folder = chapter("transformer").gpt2, tmp_path_factory.mktemp("init")
    config = gpt2.GPT2Config(4096, GPTC_SIZES["context"] + 5, GPTC_SIZES["width"], GPTC_SIZES["layers"],
                             GPTC_SIZES["heads"])  # fmt: skip
    model, generator = gpt2.GPT2(config), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(0.3 * noise if p.dim() == 2 else (1 if p.mean() > 0.5 else 0) + 0.3 * noise)
    gpt2.save_gpt2(folder, model)
    shutil.copy(root / GPTC_TOKENIZER, folder)
    return folder


def gptc_run(program, *flags, status=0, cwd=None):
    """Runs the program with one thread; returns what it printed on standard output, or on error where it fails."""
    command = [str(word) for word in (program, "--threads=1", *flags)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd)
    assert ran.returncode == status, f"{ran.returncode}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}"
    return ran.stdout if status == 0 else ran.stderr


def gptc_ids(root, path):
    """Each story's ids by the library `tokenizers`, and the stories."""
    library = tokenizers.Tokenizer.from_file(str(root / GPTC_TOKENIZER))
    stories = [s.strip() for s in path.read_text(encoding="utf-8").split(GPTC_END)]
    return [library.encode(s, add_special_tokens=False).ids for s in stories if s], [s for s in stories if s], library


def gptc_training(root, chapter, data, model, steps, seed=GPTC_SEED, peak=GPTC_PEAK):
    """The losses of a training as the README describes it, by torch in float64. Changes the model."""
    ids, _, library = gptc_ids(root, data / "train.txt")
    end = library.token_to_id(GPTC_END)
    stream = [token for story in ids for token in [end, *story]] + [end]
    rng, losses = chapter("transformer").rng.PCG32(seed + 1), []
    parts = [[p for p in model.parameters() if (p.dim() == 2) == matrix] for matrix in (True, False)]
    groups = [{"params": params, "weight_decay": decay} for params, decay in zip(parts, (0.1, 0.0))]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8)
    for step in range(steps):
        starts = [rng.below(len(stream) - GPTC_T) for _ in range(GPTC_B)]
        window = torch.tensor([stream[s: s + GPTC_T + 1] for s in starts])
        logits = model(window[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        rise, fall = (step + 1) / max(1, min(50, steps // 10)), (steps - step) / max(1, round(0.6 * steps))
        for group in optimizer.param_groups:
            group["lr"] = peak * min(1, rise, fall)
        optimizer.step()
        losses.append(loss.item())
    return losses


def gptc_bits(root, path, model, context):
    """Bits per byte, one prediction after the other: each sees at least half a context, or all there is."""
    ids, stories, library = gptc_ids(root, path)
    end, bits = library.token_to_id(GPTC_END), 0.0
    for story in ids:
        story, done = [end, *story, end], 0
        while done < len(story) - 1:
            start = max(0, done - context // 2) if done else 0
            stop = min(start + context, len(story) - 1)
            with torch.no_grad():
                p = model(torch.tensor([story[start:stop]])).logits[0].double().log_softmax(-1)
            bits -= sum(p[t - start, story[t + 1]].item() for t in range(done, stop)) / math.log(2)
            done = stop
    return bits / sum(len(s.encode()) for s in stories)


def gptc_losses(output):
    return [float(line.split()[3]) for line in output.splitlines() if line.startswith("step ")]


def gptc_near(a, b, within):
    """Relative; False where one is NaN, or one list is longer."""
    return len(a) == len(b) and all(abs(x - y) <= within * abs(y) for x, y in zip(a, b))


@pytest.fixture(scope="module")
def gptc_expected(chapter, root, gptc_data, gptc_init):
    """The losses, the trained model and its bits per byte, by `transformers` in float64."""
    model = transformers.GPT2LMHeadModel.from_pretrained(gptc_init, dtype=torch.float64).eval()  # no dropout
    losses = gptc_training(root, chapter, gptc_data, model, GPTC_STEPS)
    return losses, model, gptc_bits(root, gptc_data / "valid.txt", model, GPTC_T)


def gptc_flags(data, init, out):
    return [*GPTC_FLAGS, f"--data={data}", f"--init={init}", f"--out={out}", f"--steps={GPTC_STEPS}",
            f"--seed={GPTC_SEED}", f"--learning-rate={GPTC_PEAK}", "--save-every=3", "--tokens=20"]  # fmt: skip


def gptc_is_right(program, data, init, out, expected, cwd, *more):
    """Whether the program's losses, bits and weights are those of `transformers`."""
    losses, model, bits = expected
    output = gptc_run(program, *gptc_flags(data, init, out), *more, cwd=cwd)
    found = float(re.search(r"^([\d.]+|-?nan|inf) bits per byte", output, re.M)[1])
    mine = transformers.GPT2LMHeadModel.from_pretrained(out).eval()
    ids = torch.arange(3 * GPTC_T).reshape(3, GPTC_T) * 37 % 4096
    with torch.no_grad():
        apart = (mine(ids).logits - model(ids).logits).abs().max().item() / model(ids).logits.abs().max().item()
    return gptc_near(gptc_losses(output), losses, 1e-4) and gptc_near([found], [bits], 1e-4) and apart < 1e-3


# ---------------------------------------------------------------- against torch and transformers


@pytest.mark.parametrize("rung", [0, 1])
def test_gptc_trains_as_transformers_does(gptc_program, gptc_data, gptc_init, gptc_expected, root, tmp_path, rung):
    assert gptc_is_right(gptc_program, gptc_data, gptc_init, tmp_path / "out", gptc_expected, root, f"--rung={rung}")


def test_gptc_gradients_over_ten_steps(gptc):
    """Every rung: all tensors, 1e-4 of their largest; NaN fails."""
    stream = np.random.default_rng(4).integers(0, 311, 2000, dtype=np.int32)
    for rung in range(1, gptc.in_c.gpt_library().model_rungs() + 1):
        config = gptc.gpt2.GPT2Config(311, 33, 40, 2, 2)  # sizes that fill no vector
        for by_torch, by_c, gradients in gptc.in_c.compare_gradients(config, stream, 3, 3, 29, rung=rung):
            assert abs(by_torch - by_c) < 1e-4 * by_torch and gradients < 1e-4, rung
    assert math.isnan(max(math.nan, 0.0)) and not math.nan < 1e-4


def test_gptc_gradients_apart_notices_a_slip(gptc):
    config = gptc.gpt2.GPT2Config(50, 8, 12, 1, 2)
    c_model = gptc.in_c.CGPT2(config, 2, 8).initialize(0)
    model = gptc.in_c.copy_weights(c_model, gptc.gpt2.GPT2(config))
    ids = np.arange(16, dtype=np.int32).reshape(2, 8)
    model(torch.from_numpy(ids).long(), torch.from_numpy(ids).long()).backward()
    c_model.backward(ids, ids)
    assert gptc.in_c.gradients_apart(c_model, model) < 1e-5
    with torch.no_grad():
        assert np.abs(c_model.logits(ids) - model(torch.from_numpy(ids).long()).numpy()).max() < 1e-5
    for value in (c_model.gradients["transformer.ln_f.bias"][3] * 1.01 + 1e-3, math.nan):
        c_model.gradients["transformer.ln_f.bias"][3] = value
        assert not gptc.in_c.gradients_apart(c_model, model) < 1e-4


def test_gptc_first_weights_are_those_of_the_course(gptc):
    """PCG32's normals in the tensors' order, 0.02 wide; in Python the same numbers."""
    config = gptc.gpt2.GPT2Config(50, 8, 12, 2, 2)
    weights, rng = gptc.in_c.CGPT2(config, 1, 8).initialize(9).weights, gptc.rng.PCG32(9)
    names = transformers.GPT2LMHeadModel(transformers.GPT2Config(**asdict(config))).state_dict()
    assert set(weights) == set(names) - {"lm_head.weight"}
    for name, weight in weights.items():
        if weight.ndim == 1:
            assert (weight == (0 if name.endswith("bias") else 1)).all()
            continue
        deviation = 0.02 / math.sqrt(4) if name.endswith("c_proj.weight") else 0.02
        wanted = np.array([deviation * rng.normal() for _ in range(weight.size)], dtype=np.float32)
        assert np.allclose(weight.ravel(), wanted, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_gptc_reads_foreign_folders(gptc_program, gptc_data, gptc_init, root, tmp_path, dtype):
    """OpenAI's names, 16-bit numbers, masks and a second copy of the table beside the weights."""
    weights = {name.removeprefix("transformer."): p.to(getattr(torch, dtype))
               for name, p in load_file(gptc_init / "model.safetensors").items()}  # fmt: skip
    shutil.copytree(gptc_init, tmp_path / "foreign")
    masks = {f"h.{i}.attn.bias": torch.ones(1, 1, 21, 21).tril() for i in range(2)}
    save_file({**weights, **masks, "lm_head.weight": weights["wte.weight"].clone()},
              tmp_path / "foreign/model.safetensors")  # fmt: skip
    model = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "foreign", dtype=torch.float32).eval()
    output = gptc_run(gptc_program, *gptc_flags(gptc_data, tmp_path / "foreign", tmp_path / "out"), "--steps=1",
                      "--learning-rate=0", cwd=root)  # fmt: skip
    bits = gptc_bits(root, gptc_data / "valid.txt", model, GPTC_T)
    assert gptc_near([float(re.search(r"([\d.]+) bits per byte", output)[1])], [bits], 1e-4)
    written = load_file(tmp_path / "out/model.safetensors")
    assert set(written) == {f"transformer.{name}" for name in weights}
    assert all(torch.equal(written[f"transformer.{name}"], p.float()) for name, p in weights.items())


def test_gptc_folder_loads_everywhere(gptc, gptc_program, gptc_data, root, tmp_path):
    """The folder of a training from random weights: in transformers, in gpt2.py and in C the same logits."""
    out = tmp_path / "new folder/model"
    flags = [*GPTC_FLAGS, f"--data={gptc_data}", f"--out={out}", "--steps=3", "--seed=2", "--tokens=30"]
    output = gptc_run(gptc_program, *flags, "--temperature=0.9", cwd=root)
    assert sorted(f.name for f in out.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json",
                                                     "training.safetensors"]  # fmt: skip
    assert (out / "tokenizer.json").read_bytes() == (root / GPTC_TOKENIZER).read_bytes()
    theirs, ours = transformers.GPT2LMHeadModel.from_pretrained(out).eval(), gptc.gpt2.load_gpt2(out)
    config = gptc.gpt2.GPT2Config(4096, *(GPTC_SIZES[name] for name in ("context", "width", "layers", "heads")))
    assert ours.config == config
    c_model = gptc.in_c.CGPT2(config, 2, 16)
    for name, p in load_file(out / "model.safetensors").items():
        c_model.weights[name][:] = p.numpy()
    ids = np.random.default_rng(0).integers(0, 4096, (2, 16), dtype=np.int32)
    with torch.no_grad():
        wanted = theirs(torch.from_numpy(ids).long()).logits
        assert (ours(torch.from_numpy(ids).long()) - wanted).abs().max() < 1e-4
        assert np.abs(c_model.logits(ids) - wanted.numpy()).max() < 1e-4
    story = output.split("a story:\n\n")[1].split("\n\n")[0]
    gptc.in_c.TEMPERATURE, before = 0.9, gptc.in_c.TEMPERATURE
    try:
        told = gptc.in_c.tell(ours, gptc.tokenizer.load_tokenizer(out / "tokenizer.json"), 2, 30)
    finally:
        gptc.in_c.TEMPERATURE = before
    assert output.count("\n\n") != 2 or story == told.split("\n\n")[0]


# ---------------------------------------------------------------- resume


def gptc_start(program, flags, root):
    command = [str(word) for word in (program, "--threads=1", *flags)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root)


def gptc_wait_for(process, step):
    """Reads the output until that step is done."""
    for line in process.stdout:
        if line.startswith("step ") and int(line.split()[1]) >= step:
            return
    pytest.fail("the program ended before that step")


def test_gptc_resume_is_exact(gptc_program, gptc_data, root, tmp_path):
    """Stopped by Ctrl-C, killed, gone on: the files of an unbroken run, byte for byte."""
    flags = [*GPTC_FLAGS, f"--data={gptc_data}", "--steps=400", "--save-every=40", "--tokens=10"]
    whole = gptc_run(gptc_program, *flags, f"--out={tmp_path / 'whole'}", cwd=root)
    broken = [*flags, f"--out={tmp_path / 'broken'}"]
    process = gptc_start(gptc_program, broken, root)
    gptc_wait_for(process, 4)
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    stopped = int(re.search(r"stopped after step (\d+), saved; go on with the same command and --resume", rest)[1])
    assert process.returncode == 0 and errors == "" and 4 <= stopped < 400

    process = gptc_start(gptc_program, [*broken, "--resume"], root)
    gptc_wait_for(process, min(stopped + 50, 395))
    process.kill()
    process.communicate(timeout=60)
    output = gptc_run(gptc_program, *broken, "--resume", cwd=root)
    after = int(re.search(r"going on after step (\d+)", output)[1])
    assert stopped < after < 400 and after % 40 == 0
    for name in ("model.safetensors", "training.safetensors", "config.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes(), name
    assert gptc_losses(output) == gptc_losses(whole)[after:]
    assert output.split("a story:")[1].splitlines()[:-1] == whole.split("a story:")[1].splitlines()[:-1]

    again = gptc_run(gptc_program, *broken, "--resume", cwd=root)  # nothing is left to do
    assert gptc_losses(again) == [] and "going on after step 400" in again
    assert (tmp_path / "whole/model.safetensors").read_bytes() == (tmp_path / "broken/model.safetensors").read_bytes()
    state = load_file(tmp_path / "whole/training.safetensors")  # the library reads it
    parts = [name.split(".")[0] for name in state]
    assert parts.count("model") == parts.count("m") == parts.count("v") == 12 * GPTC_SIZES["layers"] + 4


def gptc_header(path):
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    return raw, size, json.loads(raw[8: 8 + size])


def test_gptc_damaged_or_foreign_states_are_refused(gptc_program, gptc_data, root, tmp_path):
    flags = [*GPTC_FLAGS, f"--data={gptc_data}", "--steps=2", f"--out={tmp_path}", "--tokens=0"]
    gptc_run(gptc_program, *flags, cwd=root)
    path = tmp_path / "training.safetensors"
    raw, size, header = gptc_header(path)
    inc = header["__metadata__"]["rng.inc"].encode()
    begin, end = (8 + size + x for x in header["m.transformer.ln_f.bias"]["data_offsets"])
    flipped = [raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1:] for at in (8 + size, begin, end - 1, len(raw) - 1)]
    broken = {
        "cut short": raw[:-5], "empty": b"", "no header": raw[:8], "text": b"Once upon a time\n" * 9,
        **{f"bit {i}": bits for i, bits in enumerate(flipped)},
        "another step": raw.replace(b'"step": "2"', b'"step": "1"'), "no step": raw.replace(b'"step"', b'"stop"'),
        "a step of text": raw.replace(b'"step": "2"', b'"step": "x"'),
        "another generator": raw.replace(inc, inc[:-1] + bytes([inc[-1] ^ 1])),
        "a tensor of another name": raw.replace(b'"v.transformer.wte.weight"', b'"w.transformer.wte.weight"'),
        "other settings": raw.replace(b'"--steps"', b'"--stepz"'),
        "a model": (tmp_path / "model.safetensors").read_bytes(),
    }  # fmt: skip
    for what, data in broken.items():
        assert data != raw, what
        path.write_bytes(data)
        error = gptc_run(gptc_program, *flags, "--resume", status=2, cwd=root)
        assert error.startswith("error: ") and error.count("\n") == 1 and str(path) in error, (what, error)
        assert path.read_bytes() == data
    path.write_bytes(raw)
    for flag in ("--steps=3", "--batch-size=33", "--context=8", "--seed=1", "--learning-rate=0.1", "--width=48"):
        error = gptc_run(gptc_program, *flags, flag, "--resume", status=2, cwd=root)
        assert flag.split("=")[0] in error and "belongs to a run with" in error and error.count("\n") == 1
    other = tmp_path / "other"
    shutil.copytree(gptc_data, other)
    text = (other / "train.txt").read_text(encoding="utf-8")
    (other / "train.txt").write_text(text.replace("Once", "Twice", 1), encoding="utf-8")
    assert "--data" in gptc_run(gptc_program, *flags, f"--data={other}", "--resume", status=2, cwd=root)
    gptc_run(gptc_program, *flags, "--resume", cwd=root)  # and the sound one still works


# ---------------------------------------------------------------- mistakes


def test_gptc_mistakes_are_one_line(gptc_program, gptc_data, gptc_init, root, tmp_path):
    (tmp_path / "few").mkdir()
    for split in ("train", "valid"):
        (tmp_path / f"few/{split}.txt").write_text("A cat.")
    (tmp_path / "latin").mkdir()
    (tmp_path / "latin/train.txt").write_bytes(b"caf\xe9")
    (tmp_path / "file").write_text("x")
    for name, change in (("llama", {"model_type": "llama"}), ("relu", {"activation_function": "relu"}),
                         ("wide", {"n_embd": 48}), ("heads", {"n_head": 5}), ("vocab", {"vocab_size": 4000}),
                         ("untied", {"tie_word_embeddings": False}), ("deep", {"n_layer": 3})):  # fmt: skip
        shutil.copytree(gptc_init, tmp_path / name)
        config = json.loads((gptc_init / "config.json").read_text())
        (tmp_path / name / "config.json").write_text(json.dumps({**config, **change}))
    (tmp_path / "end.json").write_text((root / GPTC_TOKENIZER).read_text().replace(GPTC_END, "<|endoftexx|>"))
    whole = [f"--data={gptc_data}", f"--out={tmp_path / 'out'}", "--steps=1"]
    for flags, words in (
        (["--data=nowhere"], "nowhere"), ([f"--data={tmp_path / 'latin'}"], "not UTF-8"),
        ([f"--data={tmp_path / 'few'}"], "smaller --context"), (["--steps=0"], "--steps"), (["--steps=x"], "'x'"),
        (["--stepz=1"], "--stepz"), (["--batch-size=127"], "less than one window"), (["--width=30"], "--heads 4"),
        (["--layers=2000"], "too large"), (["--rung=99"], "rung 99"), (["--tokenizer=nowhere.json"], "nowhere.json"),
        ([f"--tokenizer={tmp_path / 'end.json'}"], "no token <|endoftext|>"), (["--learning-rate=-1"], "-1"),
        ([f"--out={tmp_path / 'file/x'}"], "cannot be made"), ([f"--init={tmp_path / 'none'}"], "no model folder"),
        ([f"--init={tmp_path / 'llama'}"], "llama"), ([f"--init={tmp_path / 'relu'}"], "relu"),
        ([f"--init={tmp_path / 'wide'}"], "shape"), ([f"--init={tmp_path / 'heads'}"], "n_head"),
        ([f"--init={tmp_path / 'vocab'}"], "4000"), ([f"--init={tmp_path / 'untied'}"], "tie_word_embeddings"),
        ([f"--init={tmp_path / 'deep'}"], "lacks transformer.h.2"),
        ([f"--init={gptc_init}", "--layers=5"], "--layers 2"),
        ([f"--init={gptc_init}", "--context=99"], "21 tokens"), (["--layers=900", "--width=65536"], "too large"),
    ):  # fmt: skip
        error = gptc_run(gptc_program, *whole, *flags, status=2, cwd=root)
        assert error.startswith("error: ") and error.count("\n") == 1 and words in error, (flags, error)
    (tmp_path / "out").mkdir(exist_ok=True)
    assert [p.name for p in (tmp_path / "out").iterdir()] == []
    assert "--batch-size" in gptc_run(gptc_program, "--help") and "usage" in gptc_run(gptc_program, "-h")


def test_gptc_too_large_a_rate_is_told(gptc_program, gptc_data, root, tmp_path):
    flags = [*GPTC_FLAGS, f"--data={gptc_data}", f"--out={tmp_path / 'out'}", "--steps=30", "--save-every=1"]
    error = gptc_run(gptc_program, *flags, "--learning-rate=1e30", status=2, cwd=root)
    assert "smaller --learning-rate" in error and error.count("\n") == 1
    saved = load_file(tmp_path / "out/training.safetensors")
    assert saved


def test_gptc_out_is_written_whole(gptc_program, gptc_data, root, tmp_path):
    """Where the folder cannot take a file, the program says so, and nothing half-written stays."""
    (tmp_path / "out/model.safetensors").mkdir(parents=True)
    flags = [*GPTC_FLAGS, f"--data={gptc_data}", f"--out={tmp_path / 'out'}", "--steps=1"]
    assert "model.safetensors cannot be written" in gptc_run(gptc_program, *flags, status=2, cwd=root)
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.endswith(".tmp")]


# ---------------------------------------------------------------- C tests and planted bugs


def test_gptc_writer_under_sanitizers(gptc_program, root):
    ran = subprocess.run([root / "csrc/build/check/test_safetensors_write"], capture_output=True, timeout=120)
    assert ran.returncode == 0 and ran.stderr == b""


@pytest.mark.parametrize("file, right, wrong", [
    ("corpus.h", "memcpy(targets + b * T, window + 1,", "memcpy(targets + b * T, window,"),
    ("corpus.h", "first == 0 ? 0 : first - context / 2", "first"),
    ("gpt.c", "gpt_clip(&r->g, CLIP)", "gpt_clip(&r->g, 0)"),
    ("gpt.c", "p->at + p->first + 1, scored", "p->at + p->first, scored"),
    ("gpt.c", "gpt_adamw(&r->g, step + 1,", "gpt_adamw(&r->g, step + 2,"),
])  # fmt: skip
def test_gptc_planted_bugs(gptc_program, gptc_data, gptc_init, gptc_expected, root, tmp_path, file, right, wrong):
    shutil.copytree(root / "csrc", tmp_path / "csrc", ignore=shutil.ignore_patterns("build"))
    source = tmp_path / "csrc" / file
    assert source.read_text().count(right) == 1
    source.write_text(source.read_text().replace(right, wrong))
    program = tmp_path / "gpt"
    subprocess.run([GPTC_COMPILER, "-std=c11", "-O0", tmp_path / "csrc/gpt.c", "-o", program, "-lm"], check=True,
                   timeout=120)  # fmt: skip
    assert not gptc_is_right(program, gptc_data, gptc_init, tmp_path / "out", gptc_expected, root)


# ---------------------------------------------------------------- the scripts


def test_gptc_script_prints_the_same_losses(gptc_program, run_script, tmp_path):
    lines = run_script("transformer/in_c.py", "--data", "out/few", "--steps", 2, "--out", tmp_path).stdout.splitlines()
    rows = [line.split() for line in lines if line.startswith("step ")]
    assert [row[1] for row in rows] == ["1", "2"] and all(float(row[4]) < 1e-4 for row in rows)
    assert any(line.startswith("ten steps: ") for line in lines) and "torch tells" in "\n".join(lines)
    assert run_script("transformer/in_c.py", "--data", "nowhere", status=2).stderr.startswith("error: ")


def test_gptc_bench_prints_its_table(gptc, gptc_program, run_script):
    lines = run_script("transformer/bench.py", "--sizes", "tiny", "--rounds", 1).stdout.splitlines()
    for rung in range(1, gptc.in_c.gpt_library().model_rungs() + 1):
        assert sum(line.startswith(f"C, rung {rung}") for line in lines) == 1
    assert sum(line.startswith("torch") for line in lines) == 2


def test_gptc_script_without_a_compiler(gptc_program, clone, run_command, tmp_path):
    for part in ("transformer", "csrc"):
        shutil.copytree(clone / part, tmp_path / part, ignore=shutil.ignore_patterns("build"))
    result = run_command("python transformer/in_c.py", cwd=tmp_path, env={"CC": "no-such-compiler"}, status=2)
    assert result.stdout == "" and result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
