"""The cache, the sampler and the engine: the same tokens with and without a cache, in any company.

References: our own model without a cache, the model of chapter transformer, `transformers` (its Llama,
its generate(), its samplers), closed forms for every filter, and each faulty version planted on purpose.
"""

import contextlib
import io
import json
import random
from collections import Counter

import numpy as np
import pytest
import torch

TOKENIZER = "tokenization/tokenizer.json"
TEXTS = ["Once upon a time", "The dragon's café 🐉", "", "One day, a little girl named Lily found a key in the garden."]
SHAPES = {  # name -> heads, key heads, tied
    "plain": (4, 4, True), "grouped": (4, 2, True), "one key head": (4, 1, True), "untied": (4, 2, False),
}  # fmt: skip


@pytest.fixture(scope="module")
def here(chapter):
    return chapter("inference")


@pytest.fixture(scope="module")
def tokenizer(here, root):
    return here.tokenizer.Tokenizer.load(root / TOKENIZER)


@pytest.fixture(scope="module")
def UserError(here):
    return here.cli.UserError


def random_model(module, name="grouped", layers=2, context=96, seed=3, vocab=4096):
    """A small model of the given chapter's, whose weights are large enough for its predictions to differ."""
    heads, key_heads, tied = SHAPES[name]
    config = module.Config(vocab_size=vocab, hidden_size=64, intermediate_size=96, num_hidden_layers=layers,
                           num_attention_heads=heads, num_key_value_heads=key_heads,
                           max_position_embeddings=context, tie_word_embeddings=tied)  # fmt: skip
    model = module.Storyteller(config).initialize(seed).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 4 if weight.dim() == 2 else 1 + torch.arange(len(weight)) % 3 / 4
    return model


@pytest.fixture(scope="module")
def models(here):
    return {name: random_model(here.model, name) for name in SHAPES}


@pytest.fixture(scope="module")
def model(models):
    return models["grouped"]


@pytest.fixture(scope="module")
def folder(chapter, tmp_path_factory, root):
    """A checkpoint folder as chapter transformer saves it."""
    path = tmp_path_factory.mktemp("model")
    there = chapter("transformer")
    there.checkpoint.save_checkpoint(path, random_model(there.model), root / TOKENIZER)
    return path


def ids_of(n, seed=0, vocab=4092):
    return np.random.default_rng(seed).integers(0, vocab, n).tolist()


def run_engine(engine):
    while engine.running or engine.waiting:
        engine.step()


# The cache


@pytest.mark.parametrize("name", SHAPES)
@torch.inference_mode()
def test_without_a_cache_it_is_the_model_of_chapter_transformer(here, chapter, models, name):
    theirs = random_model(chapter("transformer").model, name)
    theirs.load_state_dict(models[name].state_dict())
    ids = torch.tensor([ids_of(50), ids_of(50, seed=1)])
    torch.testing.assert_close(models[name](ids), theirs(ids), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(models[name](ids, only_last=True), theirs(ids)[:, -1:], atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def check_cached(here, model, chunks=(1, 1, 5, 1, 20, 3, 1)):
    """Tokens fed in pieces give the logits of one pass over all of them."""
    ids = torch.tensor([ids_of(sum(chunks))])
    cache, parts, start = here.kv_cache.KVCache(model.config, 1, 64), [], 0
    for n in chunks:
        parts.append(model(ids[:, start : start + n], cache))
        start += n
    difference = (torch.cat(parts, dim=1) - model(ids)).abs().max()
    assert difference < 1e-4, f"logits differ by {difference}"


@torch.inference_mode()
def check_company(here, model):
    """Rows of different lengths, in a cache that was used before, predict what each predicts alone."""
    texts = [ids_of(n, seed=n) for n in (30, 3, 17, 1)]
    cache = here.kv_cache.KVCache(model.config, 5, 64)
    model(torch.tensor([ids_of(60, seed=9)] * 5), cache)  # somebody else's keys, then everybody leaves
    for used in range(5, 0, -1):
        cache.free(0, used)
    for slot, text in enumerate(texts):
        model(torch.tensor([text[:-1] or text]), cache.rows(slot, slot + 1))
        if len(text) == 1:
            cache.lengths[slot] = 0
    for step in range(6):
        new = ids_of(4, seed=100 + step) if step else [text.pop() for text in texts]
        rows = model(torch.tensor(new)[:, None], cache.rows(0, 4))[:, 0]
        for text, token, row in zip(texts, new, rows):
            text.append(token)
            difference = (row - model(torch.tensor([text]), only_last=True)[0, 0]).abs().max()
            assert difference < 1e-4, f"logits differ by {difference}"
        if step == 2:  # the first leaves: the last moves into its place
            cache.free(0, 4)
            texts[0] = texts.pop()
            model(torch.tensor([ids_of(8, seed=77)]), cache.rows(3, 4))
            texts.append(ids_of(8, seed=77))
    assert cache.lengths.tolist() == [len(text) for text in texts] + [0]


@pytest.mark.parametrize("name", SHAPES)
def test_cached_and_uncached_agree(here, models, name):
    check_cached(here, models[name])


@pytest.mark.parametrize("name", SHAPES)
def test_rows_agree_in_company(here, models, name):
    check_company(here, models[name])


class Planted:
    """Faults of a cache. Each takes the KVCache class and gives back a broken one."""

    def positions_off_by_one(KVCache):
        class Broken(KVCache):
            def begin(self, T):
                step = super().begin(T)
                step.positions = step.positions + (self.lengths[:, None] > 0).long()
                return step

        return Broken

    def mask_forgotten(KVCache):
        class Broken(KVCache):
            def begin(self, T):
                step = super().begin(T)
                if T == 1:
                    step.mask = None
                return step

        return Broken

    def old_keys_visible(KVCache):
        class Broken(KVCache):
            def begin(self, T):
                step = super().begin(T)
                if step.mask is not None:
                    step.longest = self.max_length  # all that lies in the slot, whoever left it there
                    hidden = torch.zeros(step.mask.shape[:-1] + (self.max_length - step.mask.shape[-1],))
                    step.mask = torch.cat([step.mask, hidden], dim=-1)
                return step

        return Broken

    def own_key_missing(KVCache):
        class Broken(KVCache):
            def append(self, layer, k, v, step):
                old = self.k[layer, :, :, : step.longest].clone(), self.v[layer, :, :, : step.longest].clone()
                super().append(layer, k, v, step)
                return old

        return Broken

    def one_slot_for_all(KVCache):
        class Broken(KVCache):
            def begin(self, T):
                step = super().begin(T)
                rows = self.k.shape[1]
                step.index = step.index.view(rows, -1)[:1].repeat(rows, 1).flatten()
                return step

        return Broken

    def only_the_first_layer(KVCache):
        class Broken(KVCache):
            def append(self, layer, k, v, step):
                return super().append(0, k, v, step)

        return Broken

    def moved_without_its_values(KVCache):
        class Broken(KVCache):
            def free(self, slot, used):
                kept = self.v.clone()
                super().free(slot, used)
                self.v.copy_(kept)

        return Broken

    def length_not_counted(KVCache):
        class Broken(KVCache):
            def advance(self, T):
                self.lengths += 1

        return Broken


    def none(KVCache):
        return type("Same", (KVCache,), {})


FAULTS = [name for name in vars(Planted) if not name.startswith("_")]


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_of_the_cache_are_noticed(here, model, monkeypatch, fault):
    broken = getattr(Planted, fault)(here.kv_cache.KVCache)

    def rows(self, start, stop):
        view = here.kv_cache.KVCache.__new__(broken)
        view.k, view.v, view.lengths = self.k[:, start:stop], self.v[:, start:stop], self.lengths[start:stop]
        return view

    broken.rows = rows
    monkeypatch.setattr(here.kv_cache, "KVCache", broken)
    with contextlib.nullcontext() if fault == "none" else pytest.raises(AssertionError):
        check_cached(here, model)
        check_company(here, model)


def test_a_full_cache_says_so(here, model):
    cache = here.kv_cache.KVCache(model.config, 2, 8)
    with torch.inference_mode():
        model(torch.tensor([ids_of(8)]), cache.rows(1, 2))
        with pytest.raises(ValueError, match="9 tokens are more than the 8"):
            model(torch.tensor([[1], [2]]), cache)
    assert cache.nbytes == 2 * 2 * 2 * 2 * 8 * 16 * 4  # k and v, layers, slots, key heads, tokens, D, float32


def test_bfloat16_and_other_devices_use_the_same_code(here, model, tokenizer):
    half = random_model(here.model).to(torch.bfloat16)
    engine = here.generate.Engine(half, tokenizer, slots=2)
    assert engine.cache.k.dtype == torch.bfloat16
    params = here.sampling.SamplingParams(max_tokens=5, seed=1)
    sequences = [engine.add(here.generate.prompt_ids(tokenizer, text), params) for text in TEXTS]
    run_engine(engine)
    assert all(s.finish_reason for s in sequences)


@pytest.mark.gpu
def test_the_gpu_tells_what_the_cpu_tells(here, model, tokenizer):
    params = here.sampling.SamplingParams(temperature=0, max_tokens=40)
    texts = []
    for device in ("cpu", "cuda"):
        engine = here.generate.Engine(random_model(here.model).to(device), tokenizer, slots=4)
        sequences = [engine.add(here.generate.prompt_ids(tokenizer, text), params) for text in TEXTS]
        run_engine(engine)
        texts.append([s.new_ids for s in sequences])
    assert texts[0] == texts[1]


# transformers


def test_transformers_continue_with_the_same_tokens(here, folder, tokenizer, capsys):
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    ours = here.checkpoint.load_model(folder)
    engine = here.generate.Engine(ours, tokenizer, slots=3)
    params = here.sampling.SamplingParams(temperature=0, max_tokens=60)
    sequences = [engine.add(here.generate.prompt_ids(tokenizer, text), params) for text in TEXTS]
    run_engine(engine)
    for sequence, text in zip(sequences, TEXTS):
        ids = torch.tensor([here.generate.prompt_ids(tokenizer, text)])
        with torch.inference_mode():
            torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=1e-4)
            out = theirs.generate(ids, do_sample=False, max_new_tokens=60, use_cache=True, pad_token_id=0)
        wanted = out[0, ids.shape[1] :].tolist()
        assert sequence.new_ids == [i for i in wanted if i not in tokenizer.special.values()]
    with torch.inference_mode():  # the program says the same as the engine
        here.generate.main([str(folder), "--prompt", TEXTS[0], "--temperature", "0", "--tokens", "60"])
    assert capsys.readouterr().out == TEXTS[0] + sequences[0].text + "\n"


def test_chapter_transformer_tells_the_same_story(here, chapter, folder, capsys):
    flags = [str(folder), "--prompt", "One day", "--seed", "5", "--tokens", "40", "--temperature", "0.8"]
    chapter("transformer").sample.main([*flags, "--device", "cpu"])
    slow = capsys.readouterr().out
    here.generate.main(flags)
    assert capsys.readouterr().out.strip() in slow


# The engine


def requests(here, tokenizer, n=11):
    """Prompts and settings of many kinds."""
    SamplingParams = here.sampling.SamplingParams
    for i in range(n):
        prompt = here.generate.prompt_ids(tokenizer, TEXTS[i % 4])
        yield prompt, SamplingParams(temperature=(0, 0.8, 1.3)[i % 3], top_p=(0.9, 1)[i % 2], max_tokens=5 + 7 * (i % 5),
                                     repetition_penalty=(1, 1.3)[i % 2], seed=i)  # fmt: skip


def tell_alone(here, model, tokenizer, prompt, params):
    engine = here.generate.Engine(model, tokenizer, slots=1)
    sequence = engine.add(prompt, params)
    run_engine(engine)
    return sequence


def test_the_company_does_not_change_a_text(here, model, tokenizer):
    """Sequences come and go, more of them than slots; each is what it would be alone."""
    wanted = [tell_alone(here, model, tokenizer, *request) for request in requests(here, tokenizer)]
    engine, sequences, pieces = here.generate.Engine(model, tokenizer, slots=3), [], Counter()
    todo, most = list(requests(here, tokenizer)), 0
    while todo or engine.running or engine.waiting:
        if todo and len(engine.waiting) < 2:
            sequences.append(engine.add(*todo.pop(0)))
        for sequence, piece in engine.step():
            pieces[sequence] = (pieces[sequence] or "") + piece
        most = max(most, len(engine.running))
        assert all(s.finish_reason is None for s in engine.running)
    assert most == 3
    for sequence, alone in zip(sequences, wanted):
        assert (sequence.new_ids, sequence.text) == (alone.new_ids, alone.text)
        assert pieces[sequence] == sequence.text and sequence.finish_reason == alone.finish_reason
    assert engine.cache.lengths.tolist() == [0, 0, 0]


def test_the_seed_decides(here, model, tokenizer):
    prompt = here.generate.prompt_ids(tokenizer, "Once")

    def text(seed):
        params = here.sampling.SamplingParams(seed=seed, max_tokens=20)
        return tell_alone(here, model, tokenizer, prompt, params)

    assert text(1).new_ids == text(1).new_ids != text(2).new_ids
    free = text(None)
    assert free.new_ids == text(free.seed).new_ids


def test_generate_gives_pieces(here, model, tokenizer):
    params = here.sampling.SamplingParams(seed=4, max_tokens=30)
    pieces = list(here.generate.generate(model, tokenizer, "Once", params))
    prompt = here.generate.prompt_ids(tokenizer, "Once")
    assert "".join(pieces) == tell_alone(here, model, tokenizer, prompt, params).text
    assert len(pieces) > 10 and all(pieces)


def test_how_a_text_ends(here, model, tokenizer):
    SamplingParams, prompt = here.sampling.SamplingParams, here.generate.prompt_ids(tokenizer, "Once upon a time")
    plain = tell_alone(here, model, tokenizer, prompt, SamplingParams(seed=1, max_tokens=12))
    assert (plain.finish_reason, len(plain.new_ids)) == ("length", 12)
    word = plain.text[5:8]
    stopped = tell_alone(here, model, tokenizer, prompt, SamplingParams(seed=1, max_tokens=12, stop=(word,)))
    assert (stopped.finish_reason, stopped.text) == ("stop", plain.text[: plain.text.index(word)])
    full = tell_alone(here, model, tokenizer, prompt, SamplingParams(seed=1, max_tokens=1000))
    assert full.finish_reason == "length" and len(full.ids) == model.config.max_position_embeddings + 1
    brim = tell_alone(here, model, tokenizer, ids_of(96), SamplingParams(seed=1))
    assert (brim.finish_reason, len(brim.new_ids)) == ("length", 1)


@pytest.mark.parametrize("mark", ["<|endoftext|>", "<|end|>", "<|user|>"])
def test_every_special_token_ends_a_text(here, models, tokenizer, mark):
    model = random_model(here.model, "untied")
    with torch.no_grad():  # this token is always the most probable
        model.model.norm.weight.zero_()
        model.model.norm.weight[0] = 1
        model.lm_head.weight.zero_()
        model.lm_head.weight[tokenizer.special[mark]] = 1
        model.lm_head.weight[:, 0] *= torch.sign(model(torch.tensor([[5]]))[0, 0, tokenizer.special[mark]])
    params = here.sampling.SamplingParams(temperature=0, repetition_penalty=5)
    sequence = tell_alone(here, model, tokenizer, [5], params)
    assert (sequence.finish_reason, sequence.text, sequence.new_ids) == ("stop", "", [])


def test_the_begin_mark_is_not_penalized(here, tokenizer):
    sequence = here.generate.Sequence(here.generate.prompt_ids(tokenizer, "Once"), here.sampling.SamplingParams(), tokenizer)
    assert sequence.history == tokenizer.encode("Once")


def test_cancel(here, model, tokenizer):
    wanted = [tell_alone(here, model, tokenizer, *request) for request in requests(here, tokenizer, 5)]
    engine = here.generate.Engine(model, tokenizer, slots=3)
    sequences = [engine.add(*request) for request in requests(here, tokenizer, 5)]
    engine.step()
    engine.step()
    engine.cancel(sequences[0])  # running
    engine.cancel(sequences[4])  # waiting
    run_engine(engine)
    engine.cancel(sequences[1])  # over
    assert [s.finish_reason for s in sequences] == ["cancel", "length", "length", "length", "cancel"]
    assert [s.new_ids for s in sequences[1:4]] == [s.new_ids for s in wanted[1:4]]
    assert sequences[0].new_ids == wanted[0].new_ids[:2] and sequences[4].new_ids == []


@pytest.mark.parametrize("ids, params, message", [
    ([], {}, "no tokens"),
    ([1] * 97, {}, "97 tokens, the context holds 96"),
    ([1, 4096], {}, "not in 0 to 4095"),
    ([-1], {}, "not in 0 to 4095"),
    ([1], {"temperature": -1}, "temperature must be a number from 0 to 10, not -1"),
    ([1], {"temperature": float("nan")}, "temperature"),
    ([1], {"temperature": "hot"}, "temperature"),
    ([1], {"top_k": -1}, "top_k must be a whole number of at least 0"),
    ([1], {"top_k": 2.5}, "top_k"),
    ([1], {"top_p": 0}, "top_p must be a number above 0 and at most 1"),
    ([1], {"top_p": 1.1}, "top_p"),
    ([1], {"top_p": True}, "top_p"),
    ([1], {"min_p": -0.1}, "min_p"),
    ([1], {"repetition_penalty": 0}, "repetition_penalty must be a number from 0.1 to 10"),
    ([1], {"max_tokens": 0}, "max_tokens must be a whole number of at least 1"),
    ([1], {"stop": "The end"}, "stop must be a list of strings"),
    ([1], {"stop": ("",)}, "stop"),
    ([1], {"seed": 1.5}, "seed must be a whole number"),
])  # fmt: skip
def test_bad_requests_are_one_clear_line(here, model, tokenizer, ids, params, message):
    engine = here.generate.Engine(model, tokenizer)
    with pytest.raises(ValueError, match=message) as caught:
        engine.add(ids, here.sampling.SamplingParams(**params))
    assert "\n" not in str(caught.value)
    assert not engine.waiting


def test_a_model_with_more_rows_than_tokens_never_draws_them(here, tokenizer):
    model = random_model(here.model, "untied", vocab=4160)
    with torch.no_grad():
        model.lm_head.weight[4096:] = 100 * model.lm_head.weight[:64]
    params = here.sampling.SamplingParams(temperature=1.5, top_p=1, seed=1, max_tokens=40)
    assert max(tell_alone(here, model, tokenizer, [1], params).new_ids) < 4096


# Streaming


def stream(here, tokenizer, ids, stop=()):
    """The pieces a sequence gives for the ids, and the sequence."""
    params = here.sampling.SamplingParams(stop=tuple(stop), max_tokens=max(1, len(ids)))
    sequence, pieces = here.generate.Sequence([1], params, tokenizer), []
    for i in ids:
        pieces.append(sequence.accept(i, full=False))
        if sequence.finish_reason:
            break
    return pieces, sequence


def check_stops(here, tokenizer):
    """Stop strings across token borders, against a reader who sees one character at a time."""
    rng = random.Random(5)
    for _ in range(400):
        text = "".join(rng.choices(["the", " and", " little", "a", "b", "\n", "é", " 🐉"], k=rng.randrange(1, 9)))
        stop = []
        for _ in range(rng.randrange(3)):  # parts of the text, and nearly parts of it
            start = rng.randrange(len(text))
            stop.append(text[start : start + rng.randrange(1, 5)] + rng.choice(["", "", "t", " "]))
        if stop and len(stop[0]) > 2:
            stop.append(stop[0][1:-1])  # begins later, is complete earlier
        ids = list(text.encode()) if rng.random() < 0.3 else tokenizer.encode(text)  # single bytes, or words
        wanted = text
        for end in range(len(text) + 1):
            starts = [end - len(s) for s in stop if text[:end].endswith(s)]
            if starts:
                wanted = text[: min(starts)]
                break
        pieces, sequence = stream(here, tokenizer, ids, stop)
        assert "".join(pieces) == sequence.text == wanted, (text, stop)
        assert sequence.finish_reason == ("length" if wanted == text else "stop")
        assert "\ufffd" not in sequence.text


def test_stop_strings(here, tokenizer):
    check_stops(here, tokenizer)
    pieces, sequence = stream(here, tokenizer, list(b"The end? The end."), ["The end."])
    assert pieces[:8] == [""] * 7 + ["The end?"] and sequence.text == "The end? "


@pytest.mark.parametrize("name, broken", [
    ("possible_stop", lambda text, stops: 0),
    ("possible_stop", lambda text, stops: 1 if stops else 0),
    ("find_stop", lambda text, stops: min((text.find(s) for s in stops if s in text), default=None)),
    ("find_stop", lambda text, stops: max((text.find(s) for s in stops if s in text), default=None)),
])  # fmt: skip
def test_planted_faults_of_stopping_are_noticed(here, tokenizer, monkeypatch, name, broken):
    monkeypatch.setattr(here.generate, name, broken)
    with pytest.raises(AssertionError):
        check_stops(here, tokenizer)


def test_streaming_never_gives_half_a_character(here, tokenizer):
    text = "Zoë’s 🐉 flew to 日本 👩‍👩‍👧. नमस्ते"
    for ids in (list(text.encode()), tokenizer.encode(text)):
        pieces, sequence = stream(here, tokenizer, ids)
        assert "".join(pieces) == text == sequence.text
        shown = ""
        for piece in pieces:
            shown += piece
            assert text.startswith(shown)
    pieces, sequence = stream(here, tokenizer, list("🐉".encode()[:3]))
    assert pieces == ["", "", "\ufffd"]  # the end came before the character's


# The sampler


def softmax(x):
    p = np.exp(np.asarray(x, dtype=np.float64) - np.max(x))
    return p / p.sum()


def by_formula(logits, params, history=()):
    """Every token's probability, each filter written out on its own, in the documented order."""
    logits = {i: float(l) for i, l in enumerate(logits)}
    for i in set(history):
        penalty = params.repetition_penalty
        logits[i] = logits[i] / penalty if logits[i] > 0 else logits[i] * penalty
    order = sorted(logits, key=lambda i: (-logits[i], i))
    if params.temperature == 0:
        return {order[0]: 1.0}
    p = softmax([logits[i] / params.temperature for i in order])
    if params.top_k:
        order, p = order[: params.top_k], softmax(np.log(p[: params.top_k]))
    if params.top_p < 1:
        n = next(n for n in range(1, len(p) + 1) if p[:n].sum() >= params.top_p or n == len(p))
        order, p = order[:n], p[:n]
    kept = [i for i in range(len(p)) if p[i] >= params.min_p * p[0]]
    total = sum(p[i] for i in kept)
    return {order[i]: p[i] / total for i in kept}


SETTINGS = [
    {"temperature": 1.0, "top_p": 1.0},
    {"temperature": 0.6, "top_p": 1.0},
    {"temperature": 1.0, "top_p": 1.0, "top_k": 7},
    {"temperature": 1.0, "top_p": 0.8},
    {"temperature": 1.5, "top_p": 1.0, "min_p": 0.1},
    {"temperature": 1.0, "top_p": 1.0, "repetition_penalty": 1.5},
    {"temperature": 0.9, "top_p": 0.9, "top_k": 20, "min_p": 0.05, "repetition_penalty": 1.2},
]
HISTORY = (4, 4, 5, 32, 37, 0, 21)  # of positive and of negative logits, one of them twice


def some_logits(seed, V=40):
    return (np.random.default_rng(seed).normal(size=V) * 2 - 2).astype(np.float32)


def check_distribution(here, setting, draws=20_000):
    """The frequencies of 20,000 draws against the formula, by chi-square; none is drawn that may not be."""
    params, logits = here.sampling.SamplingParams(**setting), some_logits(2)
    wanted, rng = by_formula(logits, params, HISTORY), here.rng.PCG32(11)
    counts = Counter(here.sampling.sample_token(logits, params, rng, HISTORY) for _ in range(draws))
    assert set(counts) <= set(wanted), "a token was drawn that the filters remove"
    rare = {i for i, p in wanted.items() if p * draws < 5}  # too few for the test: counted as one
    groups = [(counts[i], p * draws) for i, p in wanted.items() if i not in rare]
    if rare:
        groups.append((sum(counts[i] for i in rare), sum(wanted[i] for i in rare) * draws))
    chi_square = sum((seen - expected) ** 2 / expected for seen, expected in groups)
    freedom = len(groups) - 1
    # Wilson and Hilferty: (chi2 / k)^(1/3) is nearly normal. Five standard deviations: one in 3.5 million.
    bound = freedom * (1 - 2 / (9 * freedom) + 5 * (2 / (9 * freedom)) ** 0.5) ** 3
    assert chi_square < bound, f"{chi_square} with {freedom} degrees of freedom"


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_draws_follow_the_formula(here, setting):
    check_distribution(here, setting)
    for seed in range(20):
        params, logits = here.sampling.SamplingParams(**setting), some_logits(seed)
        wanted = by_formula(logits, params, HISTORY)
        ids, p = here.sampling.candidates(logits, params, HISTORY)
        assert ids.tolist() == list(wanted)
        np.testing.assert_allclose(p, list(wanted.values()), rtol=1e-6)


def wrong_way(logits, history, penalty):
    logits = logits.copy()
    logits[list(set(history))] /= penalty
    return logits


def one_too_few(probabilities, params):
    cumulative = np.cumsum(probabilities)
    return max(1, int(np.searchsorted(cumulative, params.top_p * cumulative[-1])))


@pytest.mark.parametrize("name, broken, setting", [
    ("penalize", wrong_way, 5),  # a negative logit divided comes nearer to zero
    ("keep", one_too_few, 3),  # the token that crosses the border belongs to the nucleus
    ("keep", lambda probabilities, params: len(probabilities), 2),
    ("keep", lambda p, params: int(np.count_nonzero(p / p.sum() >= params.min_p)), 4),  # not relative to the first
], ids=["penalty", "top-p", "top-k", "min-p"])  # fmt: skip
def test_planted_faults_of_the_sampler_are_noticed(here, monkeypatch, name, broken, setting):
    monkeypatch.setattr(here.sampling, name, broken)
    with pytest.raises(AssertionError):
        check_distribution(here, SETTINGS[setting])


def test_a_forgotten_temperature_is_noticed(here, monkeypatch):
    real = here.sampling.candidates
    monkeypatch.setattr(here.sampling, "candidates", lambda logits, params, history: real(
        logits, here.sampling.SamplingParams(temperature=1.0, top_p=1.0), history))  # fmt: skip
    with pytest.raises(AssertionError):
        check_distribution(here, SETTINGS[1])


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_the_filters_of_transformers_keep_the_same(here, setting):
    from transformers import generation as hf

    params = here.sampling.SamplingParams(**setting)
    for seed in range(10):
        logits = some_logits(seed, V=500)
        scores = torch.tensor(logits)[None]
        steps = [hf.RepetitionPenaltyLogitsProcessor(float(params.repetition_penalty)),
                 hf.TemperatureLogitsWarper(params.temperature)]  # fmt: skip
        steps += [hf.TopKLogitsWarper(params.top_k)] if params.top_k else []
        steps += [hf.TopPLogitsWarper(params.top_p)] if params.top_p < 1 else []
        steps += [hf.MinPLogitsWarper(params.min_p)] if params.min_p else []
        for step in steps:
            scores = step(torch.tensor([HISTORY]), scores)
        wanted = scores.softmax(-1)[0].numpy()
        ids, p = here.sampling.candidates(logits, params, HISTORY)
        assert set(ids.tolist()) == set(np.flatnonzero(wanted).tolist())
        np.testing.assert_allclose(p, wanted[ids], rtol=1e-4)


def test_properties_of_the_filters(here):
    SamplingParams, candidates = here.sampling.SamplingParams, here.sampling.candidates
    plain = {"temperature": 1.0, "top_p": 1.0}
    for seed in range(20):
        logits = some_logits(seed)
        everything, p = candidates(logits, SamplingParams(**plain))
        assert sorted(everything.tolist()) == list(range(40)) and p.sum() == pytest.approx(1)
        assert (np.diff(p) <= 0).all()
        for k in (1, 5, 40, 99):
            assert candidates(logits, SamplingParams(**plain, top_k=k))[0].tolist() == everything[:k].tolist()
        assert candidates(logits, SamplingParams(**plain, top_k=1))[0].tolist() == [logits.argmax()]
        assert candidates(logits, SamplingParams(temperature=1.0, top_p=1e-9))[0].tolist() == [logits.argmax()]
        assert candidates(logits, SamplingParams(**plain, min_p=1.0))[0].tolist() == [logits.argmax()]
        assert candidates(logits, SamplingParams(temperature=1e-300, top_p=1.0))[1][0] == 1
        unpunished = candidates(logits, SamplingParams(**plain, repetition_penalty=1.0), HISTORY)
        assert unpunished[0].tolist() == everything.tolist()
        for top_p in (0.3, 0.9, 0.999):  # the smallest set: without its last token it would not do
            n = len(candidates(logits, SamplingParams(temperature=1.0, top_p=top_p))[0])
            assert p[:n].sum() >= top_p - 1e-12 and p[: n - 1].sum() < top_p


def test_ties_go_to_the_lower_id_and_numbers_are_drawn_one_by_one(here):
    SamplingParams, sample_token = here.sampling.SamplingParams, here.sampling.sample_token
    logits = np.float32([1, 3, 3, 0, 3])
    assert sample_token(logits, SamplingParams(temperature=0), None) == 1  # and asks for no random number
    assert here.sampling.candidates(logits, SamplingParams(top_p=1.0))[0].tolist() == [1, 2, 4, 0, 3]
    rng, other = here.rng.PCG32(7), here.rng.PCG32(7)
    for _ in range(10):
        sample_token(logits, SamplingParams(), rng)
        other.uniform()
    assert rng.state == other.state


def test_the_penalty_is_applied_once_for_a_repeated_token(here):
    penalized = here.sampling.penalize(np.float32([2, -2, 2, -2]), [0, 1, 0, 1, 1], 2.0)
    assert penalized.tolist() == [1, -4, 2, -2]


def test_forbidden_tokens_and_broken_models(here):
    SamplingParams, sample_token = here.sampling.SamplingParams, here.sampling.sample_token
    logits, rng = np.full(30, -np.inf, dtype=np.float32), here.rng.PCG32(0)
    logits[[4, 9]] = 1, 2
    for params in (SamplingParams(temperature=5, top_p=1.0), SamplingParams(repetition_penalty=2.0)):
        assert {sample_token(logits, params, rng, [4, 5]) for _ in range(200)} == {4, 9}
    for bad in (np.nan, np.inf):
        logits[3] = bad
        for temperature in (0, 1):
            with pytest.raises(ValueError, match="not finite"):
                sample_token(logits, SamplingParams(temperature=temperature), rng)
    with pytest.raises(ValueError, match="not finite"):
        sample_token(np.full(5, -np.inf, dtype=np.float32), SamplingParams(), rng)


# The programs


def test_the_program_tells_the_same_story_again(here, run_script, folder, capsys):
    flags = [str(folder), "--prompt", "Once upon a time", "--tokens", "30"]
    several = run_script("inference/generate.py", *flags, "--seed", 2, "--stories", 3)
    assert "seed 2: 90 tokens" in several.stderr and "tokens/s" in several.stderr
    assert several.stdout.count("--- seed") == 3
    here.generate.main([*flags, "--seed", "3"])
    one = capsys.readouterr()
    assert one.out.startswith("Once upon a time") and "seed 3: 30 tokens" in one.err
    assert f"--- seed 3\n{one.out}" in several.stdout


def test_a_prompt_from_standard_input(here, folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("Once\n"))
    here.generate.main([str(folder), "--prompt", "-", "--tokens", "5", "--seed", "1"])
    piped = capsys.readouterr().out
    here.generate.main([str(folder), "--prompt", "Once", "--tokens", "5", "--seed", "1"])
    assert piped == capsys.readouterr().out


@pytest.mark.parametrize("flags, message", [
    (["nowhere"], "no model folder nowhere"),
    (["FOLDER", "--prompt", "a b " * 200], "the context holds 96"),
    (["FOLDER", "--top-p", "0"], "top_p must be"),
    (["FOLDER", "--repetition-penalty", "0"], "repetition_penalty must be"),
    (["FOLDER", "--stop", ""], "stop must be"),
    (["FOLDER", "--prompt", "\udcff"], "not UTF-8"),
    (["FOLDER", "--device", "abacus"], "abacus"),
])  # fmt: skip
def test_mistakes_are_user_errors(here, folder, UserError, flags, message):
    with pytest.raises(UserError, match=message):
        here.generate.main([str(folder) if flag == "FOLDER" else flag for flag in flags])


def test_a_mistake_is_one_line(run_script):
    result = run_script("inference/generate.py", "nowhere", status=2)
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1


def test_the_demonstrations(here, folder, capsys, run_script):
    here.model.main([])
    here.by_hand.main([])
    assert "12 remembering" in capsys.readouterr().out
    here.kv_cache.main(["--random", "1"])
    assert "the 251 tokens are the same" in capsys.readouterr().out
    here.kv_cache.main([str(folder)])  # a context of 96
    assert "the 91 tokens are the same" in capsys.readouterr().out
    here.sampling.main(["--random", "1", "--draws", "500"])
    assert "top-p 0.9" in capsys.readouterr().out
    here.bench.main([str(folder), "--quick"])
    assert "one more token" in capsys.readouterr().out
    assert run_script("inference/solutions.py").stdout.count("passes") == 6


def test_the_figures_are_drawn(here, folder, monkeypatch, tmp_path, capsys):
    for module, flags in ((here.by_hand, []), (here.sampling, [str(folder), "--draws", "100"]),
                          (here.bench, [str(folder), "--quick"])):  # fmt: skip
        path = tmp_path / f"{module.__name__}.svg"
        monkeypatch.setattr(module, "FIGURE", str(path))
        module.main([*flags, "--plot"])
        assert path.read_text().count("<path") > 5


@pytest.mark.parametrize("name", ["cached_step", "repeats", "pages_needed", "read_header", "checked", "forced"])
def test_answers(answers, here, name):
    here.checks.CHECKS[name](getattr(answers("inference"), name))


def test_checks_notice_wrong_answers(here):
    checks, good = here.checks.CHECKS, here.solutions

    def unscaled(x, W_q, W_k, W_v, keys, values):
        return good.cached_step(x, W_q * W_q.shape[1] ** 0.5, W_k, W_v, keys, values)

    def blind_to_itself(x, W_q, W_k, W_v, keys, values):
        y, new_keys, new_values = good.cached_step(x, W_q, W_k, W_v, keys, values)
        scores = softmax(keys @ (x @ W_q) / np.sqrt(keys.shape[1])) if len(keys) else np.zeros(0)
        return scores @ values, new_keys, new_values

    def unchecked(data):
        first = 8 + int.from_bytes(data[:8], "little")
        return {name: (entry["dtype"], entry["shape"], *(first + offset for offset in entry["data_offsets"]))
                for name, entry in json.loads(data[8:first]).items()}

    wrong = {
        "cached_step": [unscaled, blind_to_itself],
        "repeats": [lambda history, n: set(), lambda history, n: set(history), lambda h, n: good.repeats(h, n + 1)],
        "pages_needed": [lambda prompts, P: sum(-(-len(ids) // P) for ids in prompts),
                         lambda prompts, P: len({tuple(ids[i:i + P]) for ids in prompts for i in range(0, len(ids), P)})],
        "read_header": [lambda data: {}, unchecked],
        "checked": [lambda proposed, wanted: wanted, lambda proposed, wanted: proposed + wanted[-1:],
                    lambda proposed, wanted: wanted[: max(1, len(good.checked(proposed, wanted)) - 1)]],
        "forced": [lambda table, accepting, state: (b"", state),
                   lambda table, accepting, state: good.forced(table, [False] * (len(table) - 1) + [True], state)],
    }
    assert checks.keys() == wrong.keys()
    for name, answers in wrong.items():
        for answer in answers:
            with pytest.raises(AssertionError):
                checks[name](answer)


def test_repeats_is_what_transformers_forbids(here):
    from transformers.generation import NoRepeatNGramLogitsProcessor

    rng = random.Random(3)
    for _ in range(50):
        history, n = [rng.randrange(5) for _ in range(rng.randrange(1, 15))], rng.randrange(1, 4)
        scores = NoRepeatNGramLogitsProcessor(n)(torch.tensor([history]), torch.zeros(1, 5))
        assert here.solutions.repeats(history, n) == set(torch.isinf(scores[0]).nonzero().flatten().tolist())


def test_a_folder_made_elsewhere(here, tmp_path, root, tokenizer):
    """A Llama that transformers saved, in bfloat16, continues as it does there."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    theirs = LlamaForCausalLM(LlamaConfig(vocab_size=4096, hidden_size=64, intermediate_size=80, num_hidden_layers=2,
                                          num_attention_heads=4, num_key_value_heads=1, max_position_embeddings=64,
                                          rope_theta=5000.0, initializer_range=0.2)).bfloat16()  # fmt: skip
    theirs.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((root / TOKENIZER).read_bytes())
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "llama"
    ids = here.generate.prompt_ids(tokenizer, "The little fish")
    params = here.sampling.SamplingParams(temperature=0, max_tokens=20)
    ours = tell_alone(here, here.checkpoint.load_model(tmp_path), tokenizer, ids, params).new_ids
    wanted = theirs.float().eval().generate(torch.tensor([ids]), do_sample=False, max_new_tokens=20, pad_token_id=0,
                                            eos_token_id=list(tokenizer.special.values()))  # fmt: skip
    assert ours == [i for i in wanted[0, len(ids) :].tolist() if i not in tokenizer.special.values()]
