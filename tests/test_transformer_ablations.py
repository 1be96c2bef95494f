"""The chain from GPT-2 to the Storyteller, and GPT-2 of 124 million: ends, noise, shards, resume, costs, planted bugs."""

import hashlib
import json
import math

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

END = "<|endoftext|>"
TINY = {"vocab": 61, "context": 24, "width": 24, "layers": 2, "heads": 4}


@pytest.fixture(scope="module")
def ab(chapter):
    return chapter("transformer")


@pytest.fixture(scope="module")
def ab_error(ab):
    return ab.cli.UserError


def ab_tokenizer(path, texts, size, gpt2_layout):
    """A tokenizer.json by the library, in the course's layout or in GPT-2's (other numbers for bytes, no pattern)."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"), "isolated")
    own = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=gpt2_layout)
    tokenizer.pre_tokenizer = own if gpt2_layout else pre_tokenizers.Sequence([split, own])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size - 1, initial_alphabet=alphabet,
                                                             show_progress=False))  # fmt: skip
    tokenizer.add_special_tokens([END])
    tokenizer.save(str(path))
    return tokenizer


@pytest.fixture(scope="module")
def ab_folder(root, tmp_path_factory):
    """Some real stories with a tokenizer of 300 tokens in GPT-2's layout: not a multiple of 128, so the table is padded."""
    folder = tmp_path_factory.mktemp("ablations")
    for split, count in (("train", 120), ("valid", 12)):
        stories = (root / f"datasets/stories/{split}.txt").read_text().split(f"{END}\n")[:count]
        (folder / f"{split}.txt").write_text(f"{END}\n".join([*stories, ""]))
    ab_tokenizer(folder / "tokenizer.json", (folder / "train.txt").read_text().split(f"\n{END}\n"), 300, gpt2_layout=True)
    return folder


@pytest.fixture(scope="module")
def ab_shards(ab, ab_folder):
    for split in ("train", "valid"):
        texts = ab.stream.texts_in(ab_folder / f"{split}.txt")
        ab.stream.encode_stream(texts, ab_folder / "shards", split, ab_folder / "tokenizer.json", shard=30_000)
    return ab_folder / "shards"


def ab_close(a, b, atol=1e-4):
    """Written so that NaN fails."""
    return a.shape == b.shape and (a.double() - b.double()).abs().max().item() <= atol


def ab_noisy(model, seed):
    """Weights large enough that every part is felt, norms and biases too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=generator) * (0.2 if p.dim() == 2 else 0.3))
    return model


# --- variants -------------------------------------------------------------------------------------------------


def ab_check_ends(ab, variants, seed=0):
    base = variants.Variant(**TINY)
    ids = torch.randint(base.vocab, (3, 20), generator=torch.Generator().manual_seed(seed))
    for end, convert in (("GPT-2", ab.variants.as_gpt2), ("Storyteller", ab.variants.as_storyteller)):
        for tied in (True, False) if end == "Storyteller" else (True,):
            name = end if tied else f"{end}, untied"
            model = ab_noisy(variants.VariantModel(variants.variants(base)[name]).initialize(seed), seed)
            there = convert(model).eval()
            assert type(there).__name__ == ("GPT2" if end == "GPT-2" else "Storyteller")
            assert ab_close(model(ids), there(ids)), f"{name} differs"
            targets = ids.clone()
            if end == "Storyteller":
                targets[0, :5] = -1
            assert ab_close(model(ids, targets), there(ids, targets), 1e-5), f"{name} has another loss"


@pytest.mark.parametrize("seed", range(3))
def test_the_ends_are_the_courses_models(ab, seed):
    ab_check_ends(ab, ab.variants, seed)
    ab.ablations.check_ends(ab.variants.Variant(**TINY))


AB_PLANTED = {
    "keys are not turned": ("q, k = rotate(q, *turn), rotate(k, *turn)", "q = rotate(q, *turn)"),
    "key heads shared in the wrong order": ("part.repeat_interleave(self.H // self.K, dim=1)",
                                            "part.repeat(1, self.H // self.K, 1, 1)"),
    "the gate without silu": ("F.silu(self.gate_proj(x))", "self.gate_proj(x)"),
    "exact gelu": ('F.gelu(self.up_proj(x), approximate="tanh")', "F.gelu(self.up_proj(x)) * 1.01"),
    "no position table": ("x = x + self.positions.weight[:T]", "pass"),
    "the second norm is forgotten": ("self.mlp(self.norm2(x))", "self.mlp(x)"),
    "padding is learned": ("kept = targets.flatten() != -1", "kept = targets.flatten() != -2; targets = targets.clamp(0)"),
}  # fmt: skip


@pytest.mark.parametrize("bug", AB_PLANTED)
def test_a_bug_planted_in_the_variants_is_noticed(ab, planted, bug):
    with pytest.raises(AssertionError):
        ab_check_ends(ab, planted("variants", *AB_PLANTED[bug]))


def test_every_variant_is_one_change(ab):
    V, T, C, L = 61, 24, 24, 2
    base = ab.variants.Variant(**TINY)
    chosen = ab.variants.variants(base)
    count = {name: ab.variants.count_variant(v) for name, v in chosen.items()}
    gpt2 = V * C + T * C + L * (12 * C * C + 13 * C) + 2 * C
    assert count["GPT-2"] == gpt2 and len(chosen) == 15
    assert count["GPT-2, rotary positions"] == gpt2 - T * C
    assert count["GPT-2, SwiGLU"] == gpt2 + L * (2 * 64 - 4 * C)  # as many weights, more biases
    assert count["GPT-2, RMSNorm"] == gpt2 - L * 2 * C - C
    assert count["GPT-2, no biases"] == gpt2 - L * 9 * C
    assert count["Storyteller, biases in q and k"] == count["Storyteller"] + L * (C + C // 2)
    assert count["GPT-2, grouped queries"] == gpt2 - L * (C * C + C)
    assert count["GPT-2, untied"] == gpt2 + V * C
    assert count["Storyteller"] == V * C + L * (11 * C * C + 2 * C) + C
    assert count["Storyteller, gelu"] == count["Storyteller"]
    assert chosen["Storyteller"].cache_numbers * 2 == chosen["GPT-2"].cache_numbers == 2 * L * C
    ids = torch.randint(V, (1, T), generator=torch.Generator().manual_seed(1))
    later = ids.clone()
    later[:, 15:] = (later[:, 15:] + 1) % V
    for name, v in chosen.items():
        model = ab_noisy(ab.variants.VariantModel(v).initialize(0), 1)
        assert ab_close(model(ids)[:, :15], model(later)[:, :15]), f"{name} sees the future"
        assert not ab_close(model(ids)[:, 15:], model(later)[:, 15:], 0.01)


def test_what_variants_share_begins_the_same(ab):
    chosen = ab.variants.variants(ab.variants.Variant(**TINY))
    first = dict(ab.variants.VariantModel(chosen["GPT-2"]).initialize(4).named_parameters())
    for v in chosen.values():
        for name, p in ab.variants.VariantModel(v).initialize(4).named_parameters():
            if name in first and first[name].shape == p.shape:
                assert torch.equal(p, first[name]), name
    other = dict(ab.variants.VariantModel(chosen["GPT-2"]).initialize(5).named_parameters())
    assert not torch.equal(other["tokens.weight"], first["tokens.weight"])
    wide = ab.variants.VariantModel(ab.variants.Variant(vocab=900, context=8, width=96, layers=2, heads=4)).initialize(0)
    assert wide.tokens.weight.std().item() == pytest.approx((5 * 96) ** -0.5, rel=0.02)
    assert wide.layers[1].mlp.down_proj.weight.std().item() == pytest.approx((5 * 96 * 4) ** -0.5, rel=0.03)


# --- what is noise --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dof", "table"), [(10, 2.228), (22, 2.074), (60, 2.000), (10**6, 1.960)])
def test_student(ab, dof, table):
    assert ab.ablations.student(dof) == pytest.approx(table, abs=4e-3)


def test_paired_changes(ab):
    bpb = {"GPT-2": [1.0, 2.0, 3.0], "GPT-2, SwiGLU": [0.9, 1.8, 3.0], "Storyteller": [0.5, 1.0, 1.5],
           "Storyteller, gelu": [0.6, 1.2, 1.5]}  # fmt: skip
    changes, noise = ab.ablations.paired_changes({name: np.array(values) for name, values in bpb.items()})
    assert changes["GPT-2, SwiGLU"] == pytest.approx([-0.1, -0.2, 0.0])
    assert changes["Storyteller"] == pytest.approx([-0.5, -1.0, -1.5])
    assert changes["Storyteller, gelu"] == pytest.approx([0.1, 0.2, 0.0])
    pooled = np.mean([np.var(d, ddof=1) for d in changes.values()])
    assert noise == pytest.approx(ab.ablations.student(6) * math.sqrt(pooled / 3))
    assert math.isnan(ab.ablations.paired_changes({name: np.ones(1) for name in bpb})[1])


def test_chance_alone_is_called_noise(ab):
    """Variants that do not differ: one in twenty may be called better or worse, however the seeds move them all."""
    rng, called, names = np.random.default_rng(0), 0, [f"GPT-2, {i}" for i in range(5)]
    for _ in range(400):
        seeds = rng.normal(0, 1.0, 3)  # what all variants share is no noise
        bpb = {name: seeds + rng.normal(0, 0.1, 3) for name in ("GPT-2", *names)}
        changes, noise = ab.ablations.paired_changes(bpb)
        called += sum(abs(d.mean()) > noise for d in changes.values())
    assert 0.02 < called / 2000 < 0.09, called


def test_stories_are_cut_to_one_row(ab, ab_folder):
    tokenizer = ab.ablations.fewer_tokens(ab.tokenizer.load_tokenizer(ab_folder / "tokenizer.json"), 280)
    assert tokenizer.n_vocab == 280 and tokenizer.eot_token == 279
    stories = [*ab.stories.load_split(ab_folder, "valid"), "Tom sat."]
    texts, encoded = ab.ablations.cut_stories(stories, tokenizer, 40)
    for story, text, ids in zip(stories, texts, encoded):
        assert len(ids) <= 41 and ids[0] == 279 and ids[1:].max() <= 279
        whole = tokenizer.encode_ordinary(story)
        assert ids[1:].tolist() == [*whole, 279][:40]
        assert story.startswith(text.rstrip("\ufffd")) and (text == story) == (len(whole) <= 40)

    class Even(torch.nn.Linear):
        config = ab.variants.Variant(vocab=280, context=40)

        def forward(self, ids, targets):
            return torch.tensor(math.log(280.0)) + 0 * self.weight.sum()

    bits = sum(len(ids) - 1 for ids in encoded) * math.log2(280)
    assert ab.data.bits_per_byte(Even(1, 1), texts, encoded) == pytest.approx(bits / sum(len(t.encode()) for t in texts))


AB_SMALL = ["--width", 24, "--layers", 1, "--heads", 2, "--vocab", 300, "--context", 32, "--batch-size", 128,
            "--steps", 3, "--rates", 0.01, 0.005]  # fmt: skip


def test_the_ablations_run_and_go_on(ab, run_script, ab_folder, tmp_path, monkeypatch, capsys):
    """With two processes; then, with a line cut as by a crash and one of other settings, what is missing alone."""
    out = tmp_path / "results.jsonl"
    flags = [*map(str, AB_SMALL), "--data", str(ab_folder), "--seeds", "2", "--out", str(out)]
    said = run_script("transformer/ablations.py", *flags, "--workers", 2).stdout
    lines = out.read_text().splitlines()
    assert "34 trainings (0 are there)" in said and len(lines) == 34 and "is model.py's Storyteller" in said
    entries = [json.loads(line) for line in lines]
    other = json.dumps({**entries[0], "steps": 4})
    out.write_text("\n".join([other, *lines, lines[0][:50]]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ab.ablations, "load_beginnings", lambda args: ([np.arange(33, dtype=np.uint16)] * 9, None, 300))
    ab.ablations.main([*flags, "--resume", "--plot"])
    again = capsys.readouterr().out
    assert "34 trainings (34 are there)" in again
    assert [json.loads(line) for line in out.read_text().splitlines()] == [json.loads(other), *entries]
    table = [line for line in again.splitlines() if line.startswith(("GPT-2", "Storyteller"))]
    for line in table:
        name = line[:36].strip()
        values = [e["bpb"] for e in entries if e["variant"] == name and e["rate"] == 0.01]
        assert float(line[36:50]) == pytest.approx(np.mean(values), abs=1e-4) and len(values) == 2
    assert len(table) == 15 and (tmp_path / ab.ablations.FIGURE).read_text().count("GPT-2, rotary") == 1
    drawn = (tmp_path / ab.ablations.FIGURE).read_bytes()
    ab.ablations.main([*flags, "--resume", "--plot"])
    assert (tmp_path / ab.ablations.FIGURE).read_bytes() == drawn, "the figure is not the same each time"


def test_a_training_is_decided_by_its_seed(ab, ab_folder, monkeypatch, root):
    monkeypatch.chdir(root)
    args = ab.ablations.parse([*map(str, AB_SMALL), "--data", str(ab_folder), "--steps", "12", "--workers", "1"])
    stories, valid, vocab = ab.ablations.load_beginnings(args)
    base = ab.ablations.base_of(args, vocab)
    first, again, other = (ab.ablations.train_variant(base, stories, valid, args, 0.01, seed) for seed in (0, 0, 1))
    assert first == again != other and 0 < first < 8
    assert ab.ablations.train_variant(base, stories, valid, args, 0.0, 0) > first + 0.3, "it learned nothing"


def test_mistakes_in_the_ablations(ab, ab_folder, monkeypatch, root, ab_error, capsys):
    monkeypatch.chdir(root)
    for flags, word in ((["--vocab", "100"], "--vocab"), (["--vocab", "9999"], "4096"), (["--width", "90"], "--width"),
                        (["--data", "nowhere"], "nowhere")):  # fmt: skip
        with pytest.raises(ab_error, match=word):
            ab.ablations.main(["--data", str(ab_folder), *flags])
    for flags in (["--heads", "3"], ["--rates", "0.1", "0.1"], ["--seeds", "0"]):
        with pytest.raises(SystemExit) as error:
            ab.ablations.parse(flags)
        assert error.value.code == 2 and flags[0] in capsys.readouterr().err


# --- the stream -----------------------------------------------------------------------------------------------


def test_texts_are_those_of_stories(ab, tmp_path, ab_error):
    for text in (f"One.\n{END}\n\n Two\nlines. \n {END} \n{END}\nThree", f"Only one.\n{END}\n", "No mark at all"):
        (tmp_path / "train.txt").write_text(text)
        assert list(ab.stream.texts_in(tmp_path / "train.txt")) == ab.stories.read_stories(tmp_path / "train.txt")
    (tmp_path / "train.txt").write_bytes(b"caf\xe9")
    for path, word in ((tmp_path / "train.txt", "UTF-8"), (tmp_path / "none.txt", "cannot be read")):
        with pytest.raises(ab_error, match=word):
            list(ab.stream.texts_in(path))


def test_the_shards_are_those_of_chapter_datasets(ab, chapter, ab_folder, ab_shards, tmp_path):
    """Its reader takes ours; for its own tokenizer its writer writes the same files, byte for byte."""
    reference = tokenizers.Tokenizer.from_file(str(ab_folder / "tokenizer.json"))
    stories = ab.stories.load_split(ab_folder, "train")
    shards = chapter("datasets").shards
    theirs = shards.open_shards(ab_shards, "train", ab_folder / "tokenizer.json")
    assert len(theirs.length) == len(stories) and len(theirs.tokens) > 1
    assert shards.verify(ab_shards, "train")["text_bytes"] == sum(len(s.encode()) for s in stories)
    ours = list(ab.stream.map_stream(ab_shards, "train", ab_folder / "tokenizer.json").stories())
    mark = reference.token_to_id(END)
    for i, story in enumerate(stories):
        wanted = reference.encode(story, add_special_tokens=False).ids
        assert theirs.story(i).tolist() == wanted and ours[i].tolist() == [mark, *wanted, mark]


@pytest.mark.parametrize("T", [16, 100])
def test_windows_hold_each_token_once(ab, ab_folder, ab_shards, T):
    stream = ab.stream.map_stream(ab_shards, "train", ab_folder / "tokenizer.json")
    counts = stream.windows_of(T)
    inputs, targets = stream.rows(np.arange(counts.sum()), T)
    assert inputs.dtype == torch.int64 and torch.equal(inputs[:, 1:], targets[:, :-1])
    files = torch.cat([torch.from_numpy(file[: n * T].astype(np.int64)) for file, n in zip(stream.tokens, counts)])
    assert torch.equal(inputs.flatten(), files)
    after = torch.cat([torch.from_numpy(file[1: n * T + 1].astype(np.int64)) for file, n in zip(stream.tokens, counts)])
    assert torch.equal(targets.flatten(), after)
    assert all(0 <= len(file) - 1 - n * T < T for file, n in zip(stream.tokens, counts))


def ab_args(ab, ab_folder, ab_shards, *more):
    flags = ["--preset", "gpt2-124m", "--data", ab_shards, "--tokenizer", ab_folder / "tokenizer.json", "--depth", 2,
             # eight windows a step, in three parts
             "--layers", 1, "--context", 32, "--batch-size", 256, "--accumulate", 3, "--steps", 6, "--warmup", 2,
             "--learning-rate", 3e-3, "--eval-every", 4, "--save-every", 2, "--dtype", "float32", "--device", "cpu",
             *more]  # fmt: skip
    return [str(flag) for flag in flags]


def test_batches_of_the_stream_use_each_window_equally_and_go_on(ab, ab_folder, ab_shards, ab_error):
    args = ab.presets.parse(ab_args(ab, ab_folder, ab_shards))
    tokenizer = ab.tokenizer.load_tokenizer(args.tokenizer)
    corpus = ab.stream.stream_corpus(args, tokenizer)
    windows = int(ab.stream.map_stream(ab_shards, "train", args.tokenizer).windows_of(32).sum())
    steps, batches = -(-2 * windows // 8), corpus.batches(0)
    rows = []
    for _ in range(steps):
        parts = next(batches)
        assert [len(inputs) for inputs, _ in parts] == [3, 3, 2]
        rows += [bytes(row.numpy()) for inputs, _ in parts for row in inputs]
    assert set(rows[:windows]) == set(rows[windows: 2 * windows]) and rows[:windows] != rows[windows: 2 * windows]
    late = corpus.batches(7)
    early = corpus.batches(0)
    for _ in range(7):
        next(early)
    for (a, b), (c, d) in zip(next(early), next(late)):
        assert torch.equal(a, c) and torch.equal(b, d)
    assert corpus.valid[0] == ab.stories.load_split(ab_folder, "valid")
    for bad in (["--batch-size", 10**9], ["--accumulate", 9], ["--data", ab_shards, "elsewhere"]):
        with pytest.raises(ab_error):
            ab.stream.stream_corpus(ab.presets.parse(ab_args(ab, ab_folder, ab_shards, *bad)), tokenizer)


def test_damaged_shards_are_named(ab, ab_folder, ab_shards, tmp_path, ab_error):
    path, other = ab_folder / "tokenizer.json", tmp_path / "other.json"
    other.write_text(path.read_text().replace('"version"', '"versions"'))
    with pytest.raises(ab_error, match="another tokenizer"):
        ab.stream.map_stream(ab_shards, "train", other)
    with pytest.raises(ab_error, match=r"train.json does not exist.*stream.py"):
        ab.stream.map_stream(tmp_path, "train", path)
    files = {file.name: file.read_bytes() for file in ab_shards.iterdir() if file.name.startswith("train")}
    for name, data in (("train.json", b"{"), ("train.json", b"[]"), ("train-000.bin", files["train-000.bin"][:-2]),
                       ("train-000.idx", files["train-000.idx"][:-8]), ("train-001.bin", b""), ("train-001.idx", None),
                       ("train.json", files["train.json"].replace(b'"name"', b'"nome"'))):  # fmt: skip
        for file, good in files.items():
            (tmp_path / file).write_bytes(good)
        (tmp_path / name).unlink()
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(ab_error, match=r"train"):
            ab.stream.map_stream(tmp_path, "train", path)
    with pytest.raises(ab_error, match="no story"):
        ab.stream.encode_stream([], tmp_path / "none", "train", path)
    assert not (tmp_path / "none/train.json").exists()


# --- GPT-2 for training ---------------------------------------------------------------------------------------


def ab_check_fast(ab, module):
    config = module.TrainingConfig(vocab_size=128, n_positions=20, n_embd=32, n_layer=2, n_head=4)
    fast = ab_noisy(module.FastGPT2(config, 100).initialize(0), 3)
    plain = ab.gpt2.GPT2(ab.gpt2.GPT2Config(128, 20, 32, 2, 4))
    plain.load_state_dict(fast.state_dict())
    ids = torch.randint(100, (3, 20), generator=torch.Generator().manual_seed(2))
    assert fast(ids).shape == (3, 20, 100) and ab_close(fast(ids), plain(ids)[..., :100])
    results = [fast(ids[:, :-1], ids[:, 1:]), plain(ids[:, :-1], ids[:, 1:])]
    assert ab_close(*results, 1e-5)
    for loss in results:
        loss.backward()
    grads = dict(plain.named_parameters())
    for name, p in fast.named_parameters():
        assert ab_close(p.grad, grads[name].grad, 1e-5), name
    some = ids.clone()
    some[1:, 4:] = -1
    kept = some != -1
    assert ab_close(fast(ids, some), torch.nn.functional.cross_entropy(plain(ids)[kept], some[kept]), 1e-5)


def test_the_fused_parts_are_gpt2s(ab):
    ab_check_fast(ab, ab.gpt2_124m)


AB_PLANTED_FAST = {
    "no mask": ("is_causal=True", "is_causal=False"),
    "heads mixed up": ("y.transpose(1, 2).reshape(B, T, C)", "y.reshape(B, T, C)"),
    "padded tokens are told": ("[..., : self.known]", ""),
    "padding is scored": ("x, targets = x[targets != -1], targets[targets != -1]", "targets = targets.clamp(0)"),
    "positions from the end": ("self.transformer.wpe.weight[:T]", "self.transformer.wpe.weight[-T:].flip(0)"),
}


@pytest.mark.parametrize("bug", AB_PLANTED_FAST)
def test_a_bug_planted_in_the_fast_model_is_noticed(ab, planted, bug):
    with pytest.raises(AssertionError):
        ab_check_fast(ab, planted("gpt2_124m", *AB_PLANTED_FAST[bug]))


def ab_train(ab, flags, out):
    ab.train.main([*flags, "--out", str(out)])
    return (out / "model.safetensors").read_bytes()


def test_the_preset_trains_saves_and_resumes(ab, ab_folder, ab_shards, tmp_path, monkeypatch, capsys, ab_error):
    """An unbroken run and one that breaks off twice end in the same weights, which transformers and gpt2.py open."""
    monkeypatch.chdir(tmp_path)
    flags = ab_args(ab, ab_folder, ab_shards)
    wanted = ab_train(ab, flags, tmp_path / "whole")
    said = capsys.readouterr().out
    assert "1 layers, width 128, 2 heads" in said and "bits per byte" in said
    real, taken = ab.train.train_step, []

    def breaks(*args):
        taken.append(real(*args))
        if len(taken) in (3, 6):
            raise RuntimeError("the light went out")
        return taken[-1]

    monkeypatch.setattr(ab.train, "train_step", breaks)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="light"):
            ab_train(ab, [*flags, "--resume"], tmp_path / "broken")
    assert ab_train(ab, [*flags, "--resume"], tmp_path / "broken") == wanted
    assert "going on after step 4" in capsys.readouterr().out
    with pytest.raises(ab_error, match="seed"):
        ab_train(ab, [*flags, "--resume", "--seed", "5"], tmp_path / "broken")

    theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "whole").eval()
    ours = ab.gpt2.load_gpt2(tmp_path / "whole")
    assert theirs.config.vocab_size == 384 and ours.config.n_positions == 32
    ids = torch.randint(300, (2, 32), generator=torch.Generator().manual_seed(0))
    assert ab_close(theirs(ids).logits, ours(ids))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "whole")
    assert tokenizer.decode(tokenizer("Tom sat.")["input_ids"]) == "Tom sat."
    monkeypatch.setattr(ab.gpt2, "go_on", lambda model, ids, tokens: ids)  # after 6 steps it may tell padding
    ab.gpt2.main(["--load", str(tmp_path / "whole"), "--prompt", "Tom sat."])
    assert "Tom sat." in capsys.readouterr().out
    first = ab_train(ab, [*flags, "--steps", "1", "--learning-rate", "0", "--init", str(tmp_path / "whole")], tmp_path / "i")
    assert first == wanted
    with pytest.raises(ab_error, match="--init"):
        ab_train(ab, [*flags, "--layers", "2", "--init", str(tmp_path / "whole")], tmp_path / "j")
    with pytest.raises(ab_error, match="--dropout"):
        ab_train(ab, [*flags, "--dropout", "0.1"], tmp_path / "j")


def test_the_preset_learns(ab, ab_folder, ab_shards, tmp_path, monkeypatch, capsys):
    """Less than the frequencies of tokens alone can give: a model that does not look at what came before cannot."""
    monkeypatch.chdir(tmp_path)
    flags = ab_args(ab, ab_folder, ab_shards, "--steps", 60, "--batch-size", 1024, "--accumulate", 1, "--warmup", 6,
                    "--eval-every", 60, "--learning-rate", 8e-3, "--optimizer", "muon")  # fmt: skip
    ab_train(ab, flags, tmp_path / "m")
    bpb = float(capsys.readouterr().out.split(" bits per byte")[0].split()[-1])
    arrays = list(ab.stream.map_stream(ab_shards, "valid", ab_folder / "tokenizer.json").stories())
    share = np.bincount(np.concatenate([ids[1:] for ids in arrays]))
    p = share[share > 0] / share.sum()
    size = ab.stream.map_stream(ab_shards, "valid", ab_folder / "tokenizer.json").manifest["text_bytes"]
    frequencies = -(share[share > 0] * np.log2(p)).sum() / size
    assert 0.5 < bpb < 0.8 * frequencies, (bpb, frequencies)


def test_the_presets_flags(ab, ab_error, tmp_path, monkeypatch):
    args = ab.presets.parse(["--preset", "gpt2-124m"])
    assert (args.steps, args.batch_size, args.context, args.warmup, args.optimizer) == (19073, 2**19, 1024, 715, "adamw")
    assert args.steps * args.batch_size == pytest.approx(10e9, rel=1e-4) and args.learning_rate == 6e-4
    rate = [ab.train.learning_rate_at(s, args.steps, 6e-4, args.warmup, args.decay) for s in (0, 714, 715, 9894, 19072)]
    assert rate == pytest.approx([6e-4 / 715, 6e-4, 6e-4, 3e-4, 6e-4 / 18358], rel=1e-3)
    config = ab.gpt2_124m.gpt2_sizes(args.depth, args.layers, 50257, args.context)
    assert (config.vocab_size, config.n_embd, config.n_layer, config.n_head) == (50304, 768, 12, 12)
    assert ab.presets.parse(["--preset", "gpt2-124m", "--steps", "20"]).warmup == 2
    old = ab.presets.parse([])
    assert (old.data, old.out, old.tokenizer) == (["datasets/stories"], "out/transformer", "tokenization/tokenizer.json")
    assert (old.accumulate, old.optimizer, old.decay, old.eval_every, old.save_every) == (1, "muon", 0.6, 150, 150)
    assert (old.warmup, ab.presets.parse(["--warmup", "0"]).warmup) == (50, 0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ab_error, match=r"--tokenizer FILE.*nothing is downloaded"):
        ab.train.main(["--preset", "gpt2-124m"])


# --- what it costs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(300, 16, 32, 1, 2), (1000, 64, 48, 3, 4), (97, 40, 64, 2, 1)])
def test_operations_are_what_torch_counts(ab, sizes):
    config = ab.gpt2_124m.TrainingConfig(*sizes)
    weights, attention = ab.gpt2_124m.flops_per_token(config)
    assert ab.gpt2_124m.counted_flops(config, rows=2) == weights + attention
    V, T, C, L, _ = sizes
    assert weights + attention == 3 * 2 * (L * (4 * C * C + 8 * C * C + 2 * T * C) + V * C)


@pytest.mark.parametrize("sizes", [(1024, 64, 96, 3, 4), (640, 128, 64, 5, 2)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_memory_is_what_autograd_keeps(ab, sizes, dtype):
    config = ab.gpt2_124m.TrainingConfig(*sizes)
    layer, rest = ab.gpt2_124m.activation_bytes(config, dtype)
    formula = 3 * sizes[1] * (sizes[3] * layer + rest)
    assert ab.gpt2_124m.saved_bytes(config, 3, dtype) == pytest.approx(formula, rel=0.05)


def test_hours_and_the_script(ab, root, capsys, monkeypatch):
    assert ab.gpt2_124m.hours(1e9, 1e9, 2, 100, 0.5) == pytest.approx(1e18 / 1e14 / 3600)
    monkeypatch.chdir(root)
    ab.gpt2_124m.main([])
    said = capsys.readouterr().out
    assert "124,475,904 parameters" in said and "8 H100" in said
    ab.gpt2_124m.main(["--gpus", "1", "--peak", "100", "--mfu", "0.5", "--price", "2"])
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("yours"))
    assert float(row.split()[-2]) == pytest.approx(8.55e18 / 5e13 / 3600, rel=0.01)
    with pytest.raises(SystemExit):
        ab.gpt2_124m.main(["--mfu", "0"])


def test_the_other_scripts_of_the_ablations(ab, root, tmp_path, monkeypatch, capsys):
    ab.variants.main([])
    assert "124,439,808" in capsys.readouterr().out
    monkeypatch.chdir(root)
    ab.stream.main(["--data", "datasets/stories", "--out", str(tmp_path / "s"), "--shard", "400000"])
    said = capsys.readouterr().out
    assert "4,725 texts" in said and "in 4 files" in said and "<|endoftext|>|There| once" in said
    manifest = json.loads((tmp_path / "s/train.json").read_text())
    for entry in manifest["shards"]:
        data = (tmp_path / "s" / f"{entry['name']}.bin").read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["bin_sha256"] and len(data) == 2 * entry["tokens"]
