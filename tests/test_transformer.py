"""The transformer: equal to `transformers`, exact resume, one number, files checked, and planted bugs noticed."""

import json
import math
import os
import signal
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Regex, decoders, models, pre_tokenizers, processors, trainers

END = "<|endoftext|>"
COMMITTED = "tokenization/tokenizer.json"
NAMES = "Tom Mia Ben Lily Sam Anna Max Zoe Tim Sue Jack Lucy Leo Amy Dan Ella".split()
THINGS = "ball kite boat drum doll book lamp cake ring bell frog star shoe leaf coin rope".split()
COLORS = "red blue green yellow pink black white brown".split()
MIDDLES = [" It was sunny.", " It rained a lot.", ""]
STORY_BITS = math.log2(len(NAMES) ** 2 * len(THINGS) * len(COLORS) * len(MIDDLES))  # what nobody can foresee


def tell_story(rng):
    """A story whose second half follows from the first: who looks back can know it, who counts pairs cannot."""
    a, b = NAMES[rng.below(16)], NAMES[rng.below(16)]
    thing, middle = f"{COLORS[rng.below(8)]} {THINGS[rng.below(16)]}", MIDDLES[rng.below(3)]
    return f"{a} had a {thing}.{middle} {b} saw it. {a} gave the {thing} to {b}. Now {b} has the {thing}. The end."


def write_tokenizer(path, texts, size, pattern):
    """A byte-level tokenizer.json in the course's layout, made by the library; pattern None: GPT-2's layout."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    own = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    cut = pattern and pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, own]) if pattern else own
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size - 1, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([END])
    mark = (END, tokenizer.token_to_id(END))
    tokenizer.post_processor = processors.TemplateProcessing(f"{END} $A", f"{END} $A $B", special_tokens=[mark])
    tokenizer.save(str(path))


@pytest.fixture(scope="module")
def tr(chapter):
    return chapter("transformer")


@pytest.fixture(scope="module")
def UserError(tr):
    return tr.cli.UserError


@pytest.fixture(scope="module")
def small(tr, root, tmp_path_factory):
    """A folder with train.txt, valid.txt and a tokenizer.json of 384 tokens."""
    folder, rng = tmp_path_factory.mktemp("small"), tr.rng.PCG32(5)
    for split, count in (("train", 600), ("valid", 60)):
        stories = [tell_story(rng) for _ in range(count)]
        (folder / f"{split}.txt").write_text(f"\n{END}\n".join(stories) + f"\n{END}\n")
    pattern = json.loads((root / COMMITTED).read_text())["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    write_tokenizer(folder / "tokenizer.json", tr.stories.load_split(folder, "train"), 384, pattern)
    return folder


def close(a, b, atol=1e-4):
    """Written so that NaN fails."""
    difference = float((a.double() - b.double()).abs().max())
    return a.shape == b.shape and difference <= atol


def randomize(model, seed):
    """Weights large enough that every part of a model is felt in its logits, the norms' too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(0.6 * noise if "emb" in name or "wte" in name or "wpe" in name else
                    1.2 * noise / p.shape[-1] ** 0.5 if p.dim() == 2 else
                    0.2 * noise if name.endswith("bias") else 1 + 0.3 * noise)  # fmt: skip
    return model


# --- random numbers -------------------------------------------------------------------------------------------


def pcg_numbers(seed, count):
    """PCG-XSH-RR 64/32 and splitmix64 as the papers define them, with the 64-bit arithmetic of NumPy."""
    u = np.uint64
    with np.errstate(over="ignore"):
        mixed, state = [], u(seed)
        for _ in range(2):
            state = state + u(0x9E3779B97F4A7C15)
            z = (state ^ (state >> u(30))) * u(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> u(27))) * u(0x94D049BB133111EB)
            mixed.append(z ^ (z >> u(31)))
        inc, numbers = mixed[1] * u(2) + u(1), []
        state = (inc + mixed[0]) * u(6364136223846793005) + inc  # from 0: step, add the seed, step
        for _ in range(count):
            word, turn = int(((state >> u(18)) ^ state) >> u(27)) % 2**32, int(state >> u(59))
            bits = f"{word:032b}"
            numbers.append(int(bits[32 - turn:] + bits[: 32 - turn], 2))  # rotated to the right
            state = state * u(6364136223846793005) + inc
    return numbers


@pytest.mark.parametrize("seed", [0, 1, 42, 2**63, 2**64 - 1])
def test_pcg32_as_the_paper_defines_it(tr, seed):
    rng = tr.rng.PCG32(seed)
    assert [rng.next_u32() for _ in range(1000)] == pcg_numbers(seed, 1000)


def test_pcg32_and_splitmix64_print_what_their_authors_programs_print(tr):
    rng = tr.rng.PCG32()
    rng.state, rng.inc = 0, (54 << 1) | 1  # pcg32_srandom(42, 54), as in the demonstration of pcg-c-basic
    rng.next_u32()
    rng.state += 42
    rng.next_u32()
    numbers = [rng.next_u32() for _ in range(6)]
    assert numbers == [0xA15C02B7, 0x7B47F409, 0xBA1D3330, 0x83D2F293, 0xBFA4784B, 0xCBED606E]
    state, outputs = 1234567, []
    for _ in range(3):
        state, output = tr.rng.splitmix64(state)
        outputs.append(output)
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_draws_have_their_distributions(tr):
    rng, N = tr.rng.PCG32(7), 20000
    u = np.array([rng.uniform() for _ in range(N)])
    assert 0 <= u.min() and u.max() < 1 and np.array_equal(u * 2**24, np.floor(u * 2**24))
    counts = np.histogram(u, bins=20, range=(0, 1))[0]
    assert ((counts - N / 20) ** 2 / (N / 20)).sum() < 43.8  # chi-squared with 19 degrees, 1 in 1,000
    x = np.array([rng.normal() for _ in range(N)])
    assert abs(x.mean()) < 0.03 and abs(x.var() - 1) < 0.05 and abs((x**4).mean() - 3) < 0.3
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.03
    for n in (1, 3, 10):
        counts = np.bincount([rng.below(n) for _ in range(N)], minlength=n)
        assert len(counts) == n and ((counts - N / n) ** 2 / (N / n)).sum() < 28
    assert max(rng.below(2**32 - 5) for _ in range(100)) > 2**31
    p = [0.5, 0.0, 0.3, 0.2]
    counts = np.bincount([rng.choice(p) for _ in range(N)], minlength=4)
    assert counts[1] == 0 and np.abs(counts / N - p).max() < 0.02
    assert rng.choice([0.0, 1e-300, 0.0]) == 1
    streams = {tuple(tr.rng.PCG32(seed).next_u32() for _ in range(1)) for seed in range(1000)}
    assert len(streams) > 995


# --- stories and tokens ---------------------------------------------------------------------------------------


def test_read_stories(tr, tmp_path, UserError):
    path = tmp_path / "train.txt"
    path.write_bytes(f"One.\n\nStill one. {END} inside\n {END} \r\n\n{END}\n  Two ☂\n".encode())
    assert tr.stories.read_stories(path) == [f"One.\n\nStill one. {END} inside", "Two ☂"]
    for data, what in ((b"caf\xe9", "byte 3"), (b" \n", "no story"), (f"{END}\n{END}".encode(), "no story")):
        path.write_bytes(data)
        with pytest.raises(UserError, match=what):
            tr.stories.read_stories(path)
    with pytest.raises(UserError, match="valid.txt"):
        tr.stories.load_split(tmp_path, "valid")


TEXTS = ["", "Once upon a time, there wasn't a naïve dragon.", "  two spaces\n\n\n and 12345 \r\n\ttabs ",
         "日本語 हिन्दी “quoted” 🐉👩‍👩‍👧", f"{END} is text here"]


def test_tokenizer_gives_the_ids_of_tokenizers(tr, root, small):
    for path in (root / COMMITTED, small / "tokenizer.json"):
        ours, theirs = tr.tokenizer.load_tokenizer(path), tokenizers.Tokenizer.from_file(str(path))
        stories = tr.stories.load_split(small, "valid")
        for text in [*TEXTS[:-1], *stories, "\n".join(stories)]:
            ids = ours.encode_ordinary(text)
            assert ids == theirs.encode(text, add_special_tokens=False).ids
            assert ours.decode(ids) == text == theirs.decode(ids)
        assert ours.decode(ours.encode_ordinary(TEXTS[-1])) == TEXTS[-1]
        assert ours.eot_token not in ours.encode_ordinary(TEXTS[-1])
        assert ours.n_vocab == theirs.get_vocab_size() and ours.eot_token == theirs.token_to_id(END)


def test_tokenizer_in_the_layout_of_gpt2(tr, small, tmp_path):
    write_tokenizer(tmp_path / "tokenizer.json", tr.stories.load_split(small, "train"), 300, pattern=None)
    ours = tr.tokenizer.load_tokenizer(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in [*TEXTS[:-1], "I'll we've  don't 123abc"]:
        assert ours.encode_ordinary(text) == theirs.encode(text, add_special_tokens=False).ids


def test_damaged_tokenizers_are_named(tr, small, tmp_path, UserError):
    whole = json.loads((small / "tokenizer.json").read_text())
    texts = ["", "{}", "[]", "[" * 100000, "\x00", json.dumps(whole)[:-9], json.dumps({**whole, "model": {"vocab": []}}),
             json.dumps({**whole, "added_tokens": []}), json.dumps({**whole, "pre_tokenizer": None})]
    for text in texts:
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(UserError, match="tokenizer.json"):
            tr.tokenizer.load_tokenizer(tmp_path / "tokenizer.json")
    with pytest.raises(UserError, match="nothing.json"):
        tr.tokenizer.load_tokenizer(tmp_path / "nothing.json")


# --- batches --------------------------------------------------------------------------------------------------


def random_stories(seed, count, longest, vocab=384):
    """Stories of random ids with the end mark at both ends, as data.py makes them."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, longest, size=count)
    return [np.array([vocab - 1, *rng.integers(0, vocab - 1, size=n), vocab - 1], dtype=np.uint16) for n in lengths]


def test_encode_stories(tr, small):
    tokenizer, texts = tr.tokenizer.load_tokenizer(small / "tokenizer.json"), tr.stories.load_split(small, "valid")
    reference = tokenizers.Tokenizer.from_file(str(small / "tokenizer.json"))
    for ids, text in zip(tr.data.encode_stories(texts, tokenizer), texts):
        assert ids.tolist() == [*reference.encode(text).ids, reference.token_to_id(END)]  # which begins with the mark


def check_batches(data):
    """Each token of a story within the context is a target once, in a row that shows what came before it."""
    for context in (16, 50, 64):
        stories = random_stories(1, 60, 100)
        for indices in ([0], [5, 9, 13], list(range(60))):
            inputs, targets = data.make_batch(stories, indices, context)
            assert inputs.shape == targets.shape and inputs.shape[1] <= context
            for row, i in enumerate(indices):
                n = min(len(stories[i]) - 1, context)
                assert inputs[row, :n].tolist() == stories[i][:n].tolist()
                assert targets[row, :n].tolist() == stories[i][1: n + 1].tolist()
                assert (targets[row, n:] == -1).all()


def test_batches(tr):
    check_batches(tr.data)


def test_the_plan_uses_every_story_equally(tr):
    stories, context = random_stories(2, 90, 150), 64
    lengths = [tr.data.row_length(story, context) for story in stories]
    assert all(min(len(s) - 1, context) <= n <= context and (n % 16 == 0 or n == context)
               for s, n in zip(stories, lengths))  # fmt: skip
    plan = tr.data.batch_plan(stories, context, 1, seed=3)  # one story a batch: an epoch is a permutation
    epochs = [[next(plan)[0] for _ in range(90)] for _ in range(3)]
    assert all(sorted(epoch) == list(range(90)) for epoch in epochs) and epochs[0] != epochs[1]
    plan, seen = tr.data.batch_plan(stories, context, 256, seed=3), Counter()
    for _ in range(200):
        indices = next(plan)
        assert len({lengths[i] for i in indices}) == 1 and len(indices) == max(1, 256 // lengths[indices[0]])
        seen.update(indices)
    most = max(seen.values())  # of the stories drawn as often, some still wait in an unfilled batch
    assert most >= 8 and all(most - 1 - 256 // lengths[i] <= seen[i] <= most for i in range(90))


def test_the_plan_goes_on_by_skipping(tr):
    stories = random_stories(4, 50, 80)
    whole, again, other = (tr.data.batch_plan(stories, 64, 200, seed) for seed in (1, 1, 2))
    lists = [next(whole) for _ in range(40)]
    for _ in range(25):
        next(again)
    assert [next(again) for _ in range(15)] == lists[25:]
    assert [next(other) for _ in range(40)] != lists


def test_the_waste_is_what_the_batches_waste(tr):
    stories, context = random_stories(5, 80, 120), 64
    rows = [tr.data.make_batch(stories, [i], context)[1] for i in range(80)]
    positions, learned = sum(r.numel() for r in rows), sum(int((r != -1).sum()) for r in rows)
    padding, cut = tr.data.waste(stories, context)
    assert padding == pytest.approx(1 - learned / positions) and padding > 0
    assert cut == pytest.approx(1 - learned / sum(len(s) - 1 for s in stories)) and cut > 0


@pytest.mark.parametrize("context", [1, 2, 7, 16])
def test_windows_predict_each_token_once(tr, context):
    for length in range(2, 60):
        pieces = tr.data.windows(np.arange(length), context)
        predicted = [t + 1 for _, end, first in pieces for t in range(first, end)]
        assert predicted == list(range(1, length))
        assert all(0 <= start <= first < end <= length - 1 and end - start <= context for start, end, first in pieces)
        assert all(first == 0 or first - start >= context // 2 for start, _, first in pieces)


# --- the Storyteller is a Llama -------------------------------------------------------------------------------

LLAMAS = {
    "grouped and tied": dict(num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True),
    "one key head, untied": dict(num_attention_heads=6, num_key_value_heads=1, tie_word_embeddings=False,
                                 rope_theta=500000.0, rms_norm_eps=1e-3),
    "a key head each, untied": dict(num_attention_heads=3, num_key_value_heads=3, tie_word_embeddings=False),
    "one head, tied": dict(num_attention_heads=1, num_key_value_heads=1, tie_word_embeddings=True),
}  # fmt: skip
SIZES = dict(vocab_size=384, hidden_size=48, intermediate_size=80, num_hidden_layers=3, max_position_embeddings=64,
             rope_theta=10000.0, rms_norm_eps=1e-5)  # fmt: skip


def our_llama(module, name, seed=0, **more):
    return randomize(module.Storyteller(module.Config(**{**SIZES, **LLAMAS[name], **more})), seed)


def their_llama(name, seed=0):
    sizes = {**SIZES, **LLAMAS[name]}
    rope = {"rope_type": "default", "rope_theta": sizes.pop("rope_theta")}
    config = transformers.LlamaConfig(**sizes, rope_parameters=rope, bos_token_id=383, eos_token_id=383,
                                      attn_implementation="eager")  # fmt: skip
    return randomize(transformers.LlamaForCausalLM(config), seed).eval()


def some_ids(seed=0, B=3, T=64, vocab=384):
    return torch.randint(vocab, (B, T), generator=torch.Generator().manual_seed(seed))


def check_llama(module, reference, name="grouped and tied"):
    """The fused path (eval), the formula (train) and the loss agree with `transformers`, given its weights."""
    model = module.Storyteller(module.Config(**{**SIZES, **LLAMAS[name]}))
    model.load_state_dict(reference.state_dict())
    ids = some_ids()
    with torch.no_grad():
        wanted = reference(ids).logits
        assert wanted.std() > 0.3, "a reference that says nothing"
        for mode in (False, True):
            model.train(mode)
            assert close(model(ids), wanted), f"logits differ with training {mode}"
        targets = torch.cat([ids[:, 1:], torch.full((3, 1), -1)], dim=1)
        assert close(model(ids, targets), reference(ids, labels=ids).loss), "another loss"


@pytest.mark.parametrize("name", LLAMAS)
def test_equal_to_transformers(tr, name):
    check_llama(tr.model, their_llama(name), name)


PLANTED_IN_THE_MODEL = {
    "no mask in the formula": ('scores.masked_fill(future, float("-inf"))', "scores"),
    "no mask in the fused call": ("is_causal=True", "is_causal=False"),
    "the mask lets one token of the future in": (".triu(1)", ".triu(2)"),
    "no 1/sqrt(D)": (" * D**-0.5", ""),
    "neighbors are turned, not halves": (
        "torch.cat([-second, first], dim=-1)",
        "torch.stack([-x[..., 1::2], x[..., ::2]], dim=-1).flatten(-2)"),
    "turned the other way": ("torch.cat([-second, first], dim=-1)", "torch.cat([second, -first], dim=-1)"),
    "keys are not turned": ("rotate(q, cos, sin), rotate(k, cos, sin)", "rotate(q, cos, sin), k"),
    "heads shared in the wrong order": ("k.repeat_interleave(self.H // self.K, dim=1)",
                                        "k.repeat(1, self.H // self.K, 1, 1)"),
    "no square root": ("torch.rsqrt(", "torch.reciprocal("),
    "gelu for silu": ("F.silu", "F.gelu"),
    "one norm for both branches": ("self.mlp(self.post_attention_layernorm(x))", "self.mlp(self.input_layernorm(x))"),
    "no final norm": ("return self.norm(x)", "return x"),
    "the stream is replaced": ("x = x + F.dropout(self.self_attn", "x = F.dropout(self.self_attn"),
}  # fmt: skip


@pytest.mark.parametrize("bug", PLANTED_IN_THE_MODEL)
def test_a_bug_planted_in_the_model_is_noticed(planted, bug):
    module = planted("model", *PLANTED_IN_THE_MODEL[bug])
    with pytest.raises(AssertionError, match="differ"):
        check_llama(module, their_llama("grouped and tied"))


@pytest.mark.parametrize("name", LLAMAS)
def test_our_folder_loads_in_transformers(tr, name, small, tmp_path):
    model = our_llama(tr.model, name, seed=3).eval()
    tr.checkpoint.save_checkpoint(tmp_path / "m", model, small / "tokenizer.json")
    theirs, report = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "m", output_loading_info=True)
    assert isinstance(theirs, transformers.LlamaForCausalLM)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    again = tr.checkpoint.load_model(tmp_path / "m")
    with torch.no_grad():
        assert close(theirs(some_ids()).logits, model(some_ids()))
        assert torch.equal(again(some_ids()), model(some_ids()))
    assert again.config == model.config and not again.training
    assert theirs.config.eos_token_id == theirs.generation_config.eos_token_id == 383
    assert sum(p.numel() for p in theirs.parameters()) == model.count_parameters()


@pytest.mark.parametrize("name", LLAMAS)
def test_their_folder_loads_here(tr, name, tmp_path):
    reference = their_llama(name, seed=4)
    reference.save_pretrained(tmp_path, max_shard_size="30KB")  # several files and an index
    assert (tmp_path / "model.safetensors.index.json").exists()
    with torch.no_grad():
        assert close(tr.checkpoint.load_model(tmp_path)(some_ids()), reference(some_ids()).logits)
    half = tr.checkpoint.load_model(tmp_path, dtype=torch.bfloat16)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}


def test_earlier_tokens_do_not_see_later_ones(tr):
    model, ids = our_llama(tr.model, "grouped and tied"), some_ids(B=1)
    for t in (1, 20, 63):
        other = ids.clone()
        other[0, t:] = (ids[0, t:] + 7) % 384
        for mode in (False, True):
            model.train(mode)
            with torch.no_grad():
                a, b = model(ids), model(other)
            assert torch.equal(a[:, :t], b[:, :t]) or close(a[:, :t], b[:, :t], 1e-5)
            assert not close(a[:, t:], b[:, t:], 1e-2)


def test_formula_and_fused_attention_have_the_same_gradients(tr):
    q, k, v = torch.randn(3, 2, 4, 33, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = []
    for attention in (tr.model.causal_attention,
                      lambda *qkv: torch.nn.functional.scaled_dot_product_attention(*qkv, is_causal=True)):  # fmt: skip
        parts = [part.clone().requires_grad_() for part in (q, k, v)]
        y = attention(*parts)
        (y * torch.arange(y.numel()).view(y.shape).sin()).sum().backward()
        gradients.append([y.detach(), *(part.grad for part in parts)])
    assert all(close(a, b, 1e-5) for a, b in zip(*gradients))  # the formula's softmax is in float32


def test_initialization(tr):
    config = tr.model.Config(hidden_size=256, num_hidden_layers=8)
    weights = dict(tr.model.Storyteller(config).initialize(seed=1).named_parameters())
    again = dict(tr.model.Storyteller(config).initialize(seed=1).named_parameters())
    assert all(torch.equal(w, again[name]) for name, w in weights.items())
    for name, w in weights.items():
        if w.dim() == 1:
            assert torch.equal(w, torch.ones_like(w))
        else:
            wanted = (5 * 256) ** -0.5 / (4 if "o_proj" in name or "down_proj" in name else 1)
            assert float(w.detach().std()) == pytest.approx(wanted, rel=0.02)


def test_from_depth(tr):
    for depth in range(1, 33):
        config = tr.model.from_depth(depth)
        config.check()
        assert config.hidden_size == max(128, 64 * depth) and config.head_dim == 64
        assert config.num_attention_heads in (config.num_key_value_heads, 2 * config.num_key_value_heads)
        assert 0 <= config.intermediate_size - config.hidden_size * 8 / 3 < 64
    with torch.device("meta"):
        full = tr.model.Storyteller(tr.model.from_depth(12)).count_parameters()
    C, F, L = 768, 2048, 12
    assert full == 4096 * C + L * (3 * C * C + 3 * C * F + 2 * C) + C  # 6 of 12 key heads: q, o and two halves


def test_sizes_that_cannot_be(tr):
    for change in (dict(hidden_size=0), dict(hidden_size=2.0), dict(vocab_size=True), dict(num_attention_heads=3),
                   dict(num_key_value_heads=3), dict(num_attention_heads=256, num_key_value_heads=1),
                   dict(num_hidden_layers=10**9), dict(rope_theta=None), dict(rms_norm_eps=float("nan")),
                   dict(tie_word_embeddings="yes")):  # fmt: skip
        with pytest.raises(ValueError, match=f"hidden_size 256|{[*change][0]}"):
            tr.model.Config(**change).check()
    with pytest.raises(ValueError, match="65 tokens"):
        our_llama(tr.model, "one head, tied")(some_ids(T=65))


# --- bits per byte --------------------------------------------------------------------------------------------


def slow_bits_per_byte(reference, encoded, n_bytes, context):
    """One token at a time: each from as much of its story as the windows promise, at least half a context."""
    stride, bits = context - context // 2, 0.0
    for ids in encoded:
        for i in range(1, len(ids)):
            piece = max(0, i - 1 - context) // stride + 1 if i > context else 0
            start = 0 if piece == 0 else context + (piece - 1) * stride - context // 2
            logits = reference(torch.tensor([ids[start:i].tolist()])).logits[0, -1].double()
            bits -= float(logits.log_softmax(-1)[ids[i]]) / math.log(2)
    return bits / n_bytes


def check_bits_per_byte(data, model, reference):
    stories = [s * 3 for s in ("Tom saw a cat.", "Tom.", "A ☂, and rain on the roof. ", "Lily had a very long story. ")]
    lengths = (30, 1, 64, 100)  # two of them longer than the context
    encoded = [random_stories(i, 50, n + 1)[0] for i, n in enumerate(lengths)]
    encoded = [np.array([383, *np.resize(ids[1:-1] if len(ids) > 2 else [5], n), 383]) for ids, n in zip(encoded, lengths)]
    n_bytes = sum(len(s.encode("utf-8")) for s in stories)
    context = model.config.max_position_embeddings
    with torch.no_grad():
        wanted = slow_bits_per_byte(reference, encoded, n_bytes, context)
    for batch_tokens in (1, 100, 8192):
        assert data.bits_per_byte(model, stories, encoded, batch_tokens) == pytest.approx(wanted, rel=1e-5)


@pytest.fixture
def scored(tr):
    reference = their_llama("grouped and tied")
    model = our_llama(tr.model, "grouped and tied", max_position_embeddings=25).train()
    model.load_state_dict(reference.state_dict())
    return model, reference


def test_bits_per_byte(tr, scored):
    check_bits_per_byte(tr.data, *scored)
    assert scored[0].training, "it should leave the model as it was"


PLANTED_IN_THE_DATA = {
    "targets are not shifted": ("targets[row, : len(ids) - 1] = ids[1:]", "targets[row, : len(ids) - 1] = ids[:-1]",
                                check_batches),
    "padding is learned": ("np.full((len(indices), length), -1", "np.full((len(indices), length), 0", check_batches),
    "the end mark is not scored": ("last = len(story) - 1", "last = len(story) - 2", check_bits_per_byte),
    "targets of the score are not shifted": ("ids[first + 1: end + 1]", "ids[first: end]", check_bits_per_byte),
    "letters for bytes": ('len(story.encode("utf-8"))', "len(story)", check_bits_per_byte),
    "nats for bits": (" / np.log(2)", "", check_bits_per_byte),
    "long stories are cut": ("pieces, first = [], 0", "pieces, first, last = [], 0, min(last, context)",
                             check_bits_per_byte),
    "windows that forget": ("first - context // 2", "first", check_bits_per_byte),
}  # fmt: skip


@pytest.mark.parametrize("bug", PLANTED_IN_THE_DATA)
def test_a_bug_planted_in_the_data_is_noticed(planted, scored, bug):
    old, new, check = PLANTED_IN_THE_DATA[bug]
    module = planted("data", old, new)
    with pytest.raises(AssertionError):
        check(module) if check is check_batches else check(module, *scored)


def test_bits_per_byte_of_a_model_that_knows_nothing(tr):
    model = our_llama(tr.model, "grouped and tied")
    with torch.no_grad():
        model.model.embed_tokens.weight.zero_()  # every logit is 0
    encoded, stories = random_stories(8, 20, 90), ["ab ☂"] * 20
    predictions = sum(len(ids) - 1 for ids in encoded)
    assert tr.data.bits_per_byte(model, stories, encoded) == pytest.approx(predictions * math.log2(384) / (20 * 6))


# --- GPT-2 ----------------------------------------------------------------------------------------------------

GPT2 = dict(vocab_size=384, n_positions=64, n_embd=48, n_layer=3, n_head=4, layer_norm_epsilon=1e-3)


def their_gpt2(seed=0, **more):
    config = transformers.GPT2Config(**{**GPT2, **more}, bos_token_id=383, eos_token_id=383, attn_implementation="eager")
    return randomize(transformers.GPT2LMHeadModel(config), seed).eval()


def check_gpt2(module, folder, reference):
    reference.save_pretrained(folder)
    ids = some_ids()
    with torch.no_grad():
        wanted = reference(ids).logits
        assert wanted.std() > 0.3, "a reference that says nothing"
        model = module.load_gpt2(folder)
        assert close(model(ids), wanted), "logits differ"
        assert close(model(ids[:, :-1], ids[:, 1:]), reference(ids, labels=ids).loss), "the losses differ"


@pytest.mark.parametrize("more", [{}, dict(n_head=1, n_layer=1), dict(n_embd=30, n_head=6, layer_norm_epsilon=1e-5)])
def test_gpt2_with_transformers_weights(tr, tmp_path, more):
    check_gpt2(tr.gpt2, tmp_path, their_gpt2(**more))


PLANTED_IN_GPT2 = {
    "no mask": ('scores.masked_fill(future, float("-inf"))', "scores"),
    "no 1/sqrt(D)": (" / math.sqrt(D)", ""),
    "the mean is not taken off": ("centered = x - x.mean(-1, keepdim=True)", "centered = x"),
    "no bias in the norm": (" * self.weight + self.bias", " * self.weight"),
    "the exact gelu's other constant": ("0.044715", "0.0"),
    "norms after the branches": ("x = x + self.attn(self.ln_1(x))", "x = self.ln_1(x + self.attn(x))"),
    "positions from 1": ("wpe.weight[:T]", "wpe.weight.roll(-1, 0)[:T]"),
    "square matrices the wrong way round": ('"attn.c_attn.weight", "attn.c_proj.weight"', '"attn.c_attn.weight"'),
}  # fmt: skip


@pytest.mark.parametrize("bug", PLANTED_IN_GPT2)
def test_a_bug_planted_in_gpt2_is_noticed(planted, tmp_path, bug):
    module = planted("gpt2", *PLANTED_IN_GPT2[bug])
    with pytest.raises(AssertionError, match="differ"):
        check_gpt2(module, tmp_path, their_gpt2())


def test_our_gpt2_loads_in_transformers(tr, tmp_path):
    model = randomize(tr.gpt2.GPT2(tr.gpt2.GPT2Config(**GPT2)), 2)
    tr.gpt2.save_gpt2(tmp_path, model)
    theirs, report = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    with torch.no_grad():
        assert close(theirs(some_ids()).logits, model(some_ids()))


def test_gpt2_in_the_names_of_its_first_files(tr, tmp_path):
    """OpenAI's weights, as the hub has them: no prefix, and each block's mask stored as attn.bias."""
    reference = their_gpt2(seed=5)
    reference.save_pretrained(tmp_path)
    weights = {name.removeprefix("transformer."): w for name, w in load_file(tmp_path / "model.safetensors").items()}
    weights |= {f"h.{i}.attn.bias": torch.ones(1, 1, 64, 64).tril() for i in range(3)}
    save_file(weights, tmp_path / "model.safetensors")
    with torch.no_grad():
        assert close(tr.gpt2.load_gpt2(tmp_path)(some_ids()), reference(some_ids()).logits)


def test_gpt2_sizes_are_the_published_ones(tr, capsys):
    tr.gpt2.count_sizes()
    assert "124,439,808" in capsys.readouterr().out
    for config, published in tr.gpt2.SIZES.values():
        C, L = config.n_embd, config.n_layer  # the closed form
        assert published == (50257 + 1024) * C + L * (12 * C * C + 13 * C) + 2 * C
        with torch.device("meta"):
            theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=C, n_layer=L, n_head=config.n_head))
        assert sum(p.numel() for p in theirs.parameters()) == published


def test_gpt2_goes_on_like_transformers(tr, small, tmp_path, capsys):
    reference = their_gpt2(seed=6)
    reference.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((small / "tokenizer.json").read_bytes())
    tr.gpt2.main(["--load", str(tmp_path), "--prompt", "Tom had a"])
    tokenizer = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ids = torch.tensor([tokenizer.encode("Tom had a").ids])
    wanted = reference.generate(ids, do_sample=False, max_new_tokens=40, eos_token_id=None, pad_token_id=0)[0, 1:]
    ours = tr.tokenizer.load_tokenizer(tmp_path / "tokenizer.json")
    assert capsys.readouterr().out == ours.decode(wanted.tolist()) + "\n"


def test_gpt2_folders_that_are_none(tr, tmp_path, UserError, small):
    their_gpt2().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for change in (dict(model_type="llama"), dict(activation_function="relu"), dict(n_inner=7), dict(n_head=5),
                   dict(n_layer=0), dict(n_layer=4), dict(n_layer=10**9), dict(n_embd="48"), dict(n_positions=65),
                   dict(scale_attn_weights=False)):  # fmt: skip
        (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(UserError, match=str(tmp_path)):
            tr.gpt2.load_gpt2(tmp_path)


# --- checkpoint folders ---------------------------------------------------------------------------------------


@pytest.fixture
def saved(tr, small, tmp_path):
    tr.checkpoint.save_checkpoint(tmp_path / "m", our_llama(tr.model, "a key head each, untied"), small / "tokenizer.json")
    return tmp_path / "m"


def test_truncated_and_flipped_weights_are_named(tr, saved, UserError):
    path = saved / "model.safetensors"
    whole, rng = path.read_bytes(), tr.rng.PCG32(1)
    header = 8 + int.from_bytes(whole[:8], "little")
    cuts = [0, 1, 7, 8, 9, header - 1, header, header + 1, len(whole) - 1, *(rng.below(len(whole)) for _ in range(40))]
    for cut in cuts:
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError, match="model.safetensors.*damaged"):
            tr.checkpoint.load_model(saved)
    path.write_bytes(whole + b"x")
    with pytest.raises(UserError, match="model.safetensors"):
        tr.checkpoint.load_model(saved)
    refused = 0
    for _ in range(200):  # one byte of the header: an error that names the folder, or a change without effect
        data = bytearray(whole)
        data[rng.below(header)] ^= 1 << rng.below(8)
        path.write_bytes(data)
        try:
            tr.checkpoint.load_model(saved)
        except UserError as error:
            refused += 1
            assert str(saved) in str(error) and "\n" not in str(error)
    assert refused > 150


def test_weights_that_do_not_fit_the_config(tr, saved, UserError):
    path, weights = saved / "model.safetensors", load_file(saved / "model.safetensors")
    for name in weights:
        save_file({k: v for k, v in weights.items() if k != name}, path)
        with pytest.raises(UserError, match=f"lack {name}"):
            tr.checkpoint.load_model(saved)
        save_file({**weights, name: torch.cat([weights[name], weights[name][:1]])}, path)
        with pytest.raises(UserError, match=f"{name} has shape"):
            tr.checkpoint.load_model(saved)
    path.unlink()
    with pytest.raises(UserError, match="model.safetensors is missing"):
        tr.checkpoint.load_model(saved)


def test_configs_that_are_no_storyteller(tr, saved, UserError):
    config = json.loads((saved / "config.json").read_text())
    changes = [dict(model_type="gpt2"), dict(hidden_size="48"), dict(hidden_size=None), dict(num_hidden_layers=10**9),
               dict(vocab_size=10**15), dict(max_position_embeddings=10**12), dict(num_attention_heads=5),
               dict(num_key_value_heads=0), dict(rope_theta="much"), dict(rms_norm_eps=None), dict(rms_norm_eps=-1),
               dict(hidden_act="gelu"), dict(attention_bias=True), dict(mlp_bias=True), dict(head_dim=7),
               dict(rope_scaling={"type": "yarn"}), dict(rope_scaling=["linear"]), dict(tie_word_embeddings="no"),
               dict(rope_parameters={"rope_type": "llama3", "rope_theta": 1e4}),
               dict(quantization_config={"quant_method": "storyteller", "bits": 8})]  # fmt: skip
    texts = [json.dumps({**config, **change}) for change in changes]
    texts += [json.dumps({k: v for k, v in config.items() if k != name}) for name in ("vocab_size", "hidden_size")]
    texts += ["", "[]", "null", "{", "[" * 100000, '{"model_type": "llama"}', "\udcff"]
    for text in texts:
        (saved / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(UserError) as error:
            tr.checkpoint.load_model(saved)
        assert str(saved) in str(error.value) and "\n" not in str(error.value), text
    (saved / "config.json").unlink()
    with pytest.raises(UserError, match="config.json is missing"):
        tr.checkpoint.load_model(saved)
    with pytest.raises(UserError, match="no model folder"):
        tr.checkpoint.load_model(saved / "nothing")


def test_shards_that_do_not_fit(tr, saved, tmp_path, UserError):
    index = saved / "model.safetensors.index.json"
    (saved / "model.safetensors").rename(saved / "a.safetensors")
    for weight_map in ({"x": "a.safetensors", "y": "b.safetensors"}, {"x": "../m/a.safetensors"}, {"x": ".."}, {"x": 3},
                       ["a.safetensors"], None, {}):  # fmt: skip
        index.write_text(json.dumps({"weight_map": weight_map}))
        with pytest.raises(UserError, match=str(saved)):
            tr.checkpoint.load_model(saved)
    index.write_text(json.dumps({"weight_map": {"model.norm.weight": "a.safetensors"}}))
    tr.checkpoint.load_model(saved)


def test_a_failing_disk_leaves_the_old_file(tr, tmp_path, monkeypatch):
    path = tmp_path / "deep" / "file"
    tr.atomic.write_atomic(path, "old")
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            with pytest.raises(OSError, match="No space"):
                tr.atomic.write_atomic(path, "new")
        assert path.read_text() == "old" and list(path.parent.iterdir()) == [path]
    tr.atomic.write_atomic(path, b"\x00new")
    assert path.read_bytes() == b"\x00new" and list(path.parent.iterdir()) == [path]


# --- training -------------------------------------------------------------------------------------------------


def test_learning_rate(tr):
    rate = tr.train.learning_rate_at
    lr = [rate(step, 100, 2.0, 10, 0.4) for step in range(100)]
    assert lr[:10] == pytest.approx([0.2 * (i + 1) for i in range(10)]) and lr[10:60] == [2.0] * 50
    assert lr[60:] == pytest.approx([2.0 * (100 - i) / 40 for i in range(60, 100)]) and lr[-1] == pytest.approx(0.05)
    assert rate(0, 50, 1.0, 0, 0.0) == rate(49, 50, 1.0, 0, 0.0) == 1.0  # no warm-up, no decay
    assert rate(3, 10, 1.0, 0, 1.0) == pytest.approx(0.7) and rate(0, 1, 1.0, 1, 1.0) == 1.0


def parts_of(tr, stories, groups):
    return [tr.data.make_batch(stories, group, 64) for group in groups]


def check_step(tr, train):
    """However a batch is cut, the step is the same: the mean over all its targets."""
    stories, after = random_stories(9, 8, 60), []
    for groups in ([[*range(8)]], [[0, 1, 2], [3, 4, 5], [6, 7]], [[i] for i in range(8)]):
        model = our_llama(tr.model, "grouped and tied").train()
        before = [p.detach().clone() for p in model.parameters()]
        optimizer = torch.optim.SGD(model.parameters(), lr=123.0)
        loss = train.train_step(model, [optimizer], parts_of(tr, stories, groups), 0.5, 1e9, torch.float32)
        steps = torch.cat([((b - p.detach()) / 0.5).flatten() for b, p in zip(before, model.parameters())])
        assert all(p.grad is None for p in model.parameters())
        after.append((loss, steps))
    assert steps.abs().max() > 0.01
    assert all(loss == pytest.approx(after[0][0], rel=1e-5) for loss, _ in after), "losses differ"
    assert all(close(s, after[0][1], 1e-4) for _, s in after), "gradients differ"


def test_accumulation_gives_the_same_gradients(tr):
    check_step(tr, tr.train)


def test_accumulation_without_weights_is_noticed(tr, planted):
    with pytest.raises(AssertionError, match="differ"):
        check_step(tr, planted("train", "(loss * share).backward()", "(loss / len(parts)).backward()"))


def test_clipping(tr):
    stories = random_stories(9, 8, 60)
    for clip, limit in ((0.01, 0.01), (1e9, None)):
        model = our_llama(tr.model, "grouped and tied").train()
        before = [p.detach().clone() for p in model.parameters()]
        optimizers = [torch.optim.SGD(model.parameters(), lr=1.0)]
        tr.train.train_step(model, optimizers, parts_of(tr, stories, [[*range(8)]]), 1.0, clip, torch.float32)
        norm = math.sqrt(sum(float((b - p.detach()).double().pow(2).sum()) for b, p in zip(before, model.parameters())))
        assert norm == pytest.approx(limit, rel=1e-3) if limit else norm > 0.1


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_each_parameter_is_in_one_optimizer(tr, kind):
    model = our_llama(tr.model, "a key head each, untied")
    groups = [group for optimizer in tr.train.make_optimizers(model, kind, 0.3, 650) for group in optimizer.param_groups]
    owners = Counter(id(p) for group in groups for p in group["params"])
    assert owners == Counter(id(p) for p in model.parameters())
    names = {id(p): name for name, p in model.named_parameters()}
    for group in groups:
        for p in group["params"]:
            decays = p.dim() == 2 and (kind == "adamw" or ".layers." in names[id(p)])
            assert group["weight_decay"] == (0.3 if decays else 0.0), names[id(p)]


@pytest.mark.parametrize(("steps", "memory"), [(20, 5), (650, 5), (1300, 10), (2600, 20), (10**6, 20)])
def test_a_short_run_has_a_short_memory(tr, steps, memory):
    model = tr.model.Storyteller(tr.model.from_depth(1, 300, 64)).initialize(1)
    muon, adam = tr.train.make_optimizers(model, "muon", 0.1, steps)
    assert muon.param_groups[0]["momentum"] == pytest.approx(1 - 1 / memory)
    ids = torch.arange(8).reshape(2, 4)
    tr.train.train_step(model, [muon, adam], [(ids, ids + 1)], 0.01, 1.0, torch.float32)
    assert muon.param_groups[0]["lr"] == 0.01
    assert adam.param_groups[0]["lr"] == pytest.approx(0.01 * tr.train.TABLE_RATE)


def flags(small, out, *more):
    return ["--data", small, "--out", out, "--tokenizer", small / "tokenizer.json", "--preset", "smoke", "--depth", 1,
            "--context", 64, "--dtype", "float32", *more]  # fmt: skip


LEARN = ["--steps", 110, "--batch-size", 1024, "--warmup", 10, "--learning-rate", 0.01, "--eval-every", 50]


@pytest.fixture(scope="module")
def trained(run_script, small, clone, tmp_path_factory):
    """What train.py printed, and where its model lies."""
    out = tmp_path_factory.mktemp("trained") / "model"
    result = run_script("transformer/train.py", *flags(small, out, *LEARN, "--plot", out / "curve.svg"))
    return result, out


def test_training_learns_what_only_looking_back_can_know(tr, trained, small, clone):
    """Closer to the true entropy than any table of the last three tokens, and not below it."""
    result, out = trained
    stories = tr.stories.load_split(small, "valid")
    n_bytes = sum(len(s.encode()) for s in stories)
    tokenizer, counts, before = tr.tokenizer.load_tokenizer(small / "tokenizer.json"), Counter(), Counter()
    for ids in tr.data.encode_stories(stories, tokenizer):
        ids = [-1, -1, *ids.tolist()]
        counts.update(tuple(ids[i: i + 4]) for i in range(len(ids) - 3))
        before.update(tuple(ids[i: i + 3]) for i in range(len(ids) - 3))
    tables = -sum(n * math.log2(n / before[key[:-1]]) for key, n in counts.items()) / n_bytes
    floor = STORY_BITS * len(stories) / n_bytes
    bpb = float(result.stdout.split(" bits per byte")[0].split()[-1])
    assert 0.97 * floor < bpb < 1.35 * floor < 0.85 * tables, (floor, bpb, tables)
    score = json.loads((clone / "out/scoreboard.jsonl").read_text().splitlines()[-1])
    assert score["bpb"] == bpb and score["chapter"] == "transformer" and score["data"] == str(small)
    model, valid = tr.checkpoint.load_model(out), tr.data.encode_stories(stories, tokenizer)
    assert tr.data.bits_per_byte(model, stories, valid) == pytest.approx(bpb, abs=1e-4)
    assert "110" in result.stdout and "padding" in result.stdout and str(out) in result.stdout
    assert (out / "curve.svg").read_text().startswith("<?xml")


def test_the_folder_tells_the_same_in_transformers(tr, trained, run_script):
    _, out = trained
    model = transformers.AutoModelForCausalLM.from_pretrained(out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    ours = tr.tokenizer.load_tokenizer(out / "tokenizer.json")
    for prompt in ("Tom had a red", "Mia had a pink kite. It was sunny. Ben", "Once upon a time"):
        inputs = tokenizer(prompt, return_tensors="pt")
        assert inputs["input_ids"][0].tolist() == [ours.eot_token, *ours.encode_ordinary(prompt)]
        ids = model.generate(inputs["input_ids"], attention_mask=inputs["attention_mask"], max_new_tokens=40,
                             pad_token_id=0)[0]  # fmt: skip
        told = tr.sample.tell(tr.checkpoint.load_model(out), ours, prompt, tokens=40, temperature=0)
        assert told == ours.decode([i for i in ids.tolist() if i != ours.eot_token])
    result = run_script("transformer/sample.py", out, "--prompt", prompt, "--temperature", 0, "--tokens", 40)
    assert result.stdout == told + "\n"
    prompt = "Zoe had a green frog. Sam saw it. Zoe gave the"
    told = tr.sample.tell(tr.checkpoint.load_model(out), ours, prompt, temperature=0)
    assert told == prompt + " green frog to Sam. Now Sam has the green frog. The end."


def test_sampling_is_decided_by_the_seed(tr, trained, monkeypatch, capsys):
    model, tokenizer = tr.checkpoint.load_model(trained[1]), tr.tokenizer.load_tokenizer(trained[1] / "tokenizer.json")
    stories = [tr.sample.tell(model, tokenizer, "Tom", tokens=30, temperature=1.0, seed=s) for s in (1, 1, 2, 3)]
    assert stories[0] == stories[1] and len(set(stories)) == 3
    tr.sample.main([str(trained[1]), "--prompt", "Tom", "--stories", "2", "--tokens", "30", "--temperature", "1",
                    "--top-p", "0.95", "--seed", "1"])  # fmt: skip
    assert capsys.readouterr().out == f"{stories[0]}\n\n---\n\n{stories[2]}\n"


def test_next_token(tr):
    logits = torch.tensor([1.0, 3.0, 2.0, -50.0, 0.0])
    p = torch.softmax(logits.double() / 0.7, 0)
    for top_p, allowed in ((1.0, {0, 1, 2, 4}), (0.9, {1, 2}), (0.5, {1}), (0.0, {1})):
        rng = tr.rng.PCG32(3)
        drawn = Counter(tr.sample.next_token(logits, 0.7, top_p, rng) for _ in range(4000))
        assert set(drawn) == allowed
        for i in allowed:
            assert drawn[i] / 4000 == pytest.approx(float(p[i] / p[list(allowed)].sum()), abs=0.03)
    assert tr.sample.next_token(logits, 0, 1.0, None) == 1  # draws no number


# Runs train.py in a child that kills itself with SIGKILL just before or after its n-th rename. One process
# for all, because importing torch takes longer than the training.
KILLER = """
import json, os, signal, sys
sys.path.insert(0, sys.argv[1])
import train
rename = os.replace
for argv, number, when in json.loads(sys.argv[2]):
    child = os.fork()
    if child == 0:
        count = 0
        def replace(source, target):
            global count
            count += 1
            if count == number and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            rename(source, target)
            if count == number and when == "after":
                os.kill(os.getpid(), signal.SIGKILL)
        os.replace = replace
        train.main(argv)
        os._exit(3)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
KILLED = {  # settings, and at which renames (six a save: training, four small files, the weights) a run is killed
    "adamw, three parts, dropout": (
        ["--optimizer", "adamw", "--accumulate", 3, "--dropout", 0.1, "--steps", 6, "--save-every", 2],
        [(1, "before"), (1, "after"), (6, "before"), (1, "after")]),  # the last: at the end, the model not yet written
    "muon, two parts, dropout, bfloat16": (
        ["--accumulate", 2, "--dropout", 0.2, "--steps", 5, "--save-every", 1, "--eval-every", 2, "--dtype", "bfloat16"],
        [(8, "after"), (2, "before"), (11, "after")]),
}  # fmt: skip


@pytest.fixture
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # out/scoreboard.jsonl is written where one stands
    return tmp_path


def train(tr, small, out, *more):
    tr.train.main([str(flag) for flag in flags(small, out, "--batch-size", 512, *more)])
    return (out / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_run_ends_in_the_same_weights(tr, small, here, clone, name):
    settings, kills = KILLED[name]
    wanted = train(tr, small, here / "whole", *settings)
    argv = [str(f) for f in flags(small, here / "killed", "--batch-size", 512, *settings, "--resume")]
    order = json.dumps([[argv, number, when] for number, when in kills])
    result = subprocess.run([sys.executable, "-c", KILLER, clone / "transformer", order], capture_output=True, text=True)
    ends = [line for line in result.stdout.split() if line.lstrip("-").isdecimal()]
    assert [line for line in result.stdout.splitlines() if line == "-9"] == ["-9"] * len(kills), (ends, result.stderr)
    assert train(tr, small, here / "killed", *settings, "--resume") == wanted
    assert train(tr, small, here / "killed", *settings, "--resume") == wanted  # nothing left to do, nothing changed


def test_kill_and_interrupt_from_outside(tr, small, here, clone):
    """SIGKILL wherever it happens to be after a step, then Ctrl-C after another, then to the end.

    A pipe of 4,096 bytes holds what some twenty steps say: the run cannot get to its end unheard.
    """
    settings = ["--steps", 60, "--save-every", 1]
    wanted = train(tr, small, here / "whole", *settings)
    command = [sys.executable, clone / "transformer/train.py",
               *flags(small, here / "stopped", "--batch-size", 512, *settings, "--resume"),
               "--eval-every", 1, "--eval-stories", 2]  # fmt: skip
    for number in (signal.SIGKILL, signal.SIGINT):
        process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   pipesize=4096)  # fmt: skip
        said = []
        for text in process.stdout:
            said.append(text)
            if text.startswith("step ") and sum(line.startswith("step ") for line in said) == 3:
                process.send_signal(number)
        errors = process.communicate()[1]
        assert process.returncode == (-9 if number == signal.SIGKILL else 0), errors
    assert "stopped after step" in said[-1] and "--resume" in said[-1] and "going on after step" in "".join(said)
    assert train(tr, small, here / "stopped", *settings, "--resume") == wanted
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_resume_wants_the_same_settings(tr, small, here, UserError, capsys):
    settings = ["--steps", 2, "--seed", 1, "--dropout", 0.1]
    train(tr, small, here / "m", *settings)
    for flag, value, name in (("--steps", 3, "steps"), ("--seed", 2, "seed"), ("--learning-rate", 0.5, "learning_rate"),
                              ("--optimizer", "adamw", "optimizer"), ("--accumulate", 2, "accumulate"),
                              ("--layers", 2, "layers"), ("--clip", 2, "clip")):  # fmt: skip
        with pytest.raises(UserError, match=f"a run with {name} = "):
            train(tr, small, here / "m", *settings, flag, value, "--resume")
    (here / "other").mkdir()
    for split in ("train", "valid"):
        (here / "other" / f"{split}.txt").write_text(f"Another story.\n{END}\n")
    with pytest.raises(UserError, match="data"):
        train(tr, small, here / "m", *settings, "--data", here / "other", "--resume")
    state = (here / "m/training.safetensors").read_bytes()
    for damaged in (b"", state[:-1], state[:100], b"\xff" * 50):
        (here / "m/training.safetensors").write_bytes(damaged)
        with pytest.raises(UserError, match="training.safetensors is damaged"):
            train(tr, small, here / "m", *settings, "--resume")


def test_the_steps_follow_the_depth(tr):
    cpu = tr.train.PRESETS["cpu"]
    assert tr.train.parse([]).steps == cpu["steps"]
    sizes = {depth: tr.model.Storyteller(tr.model.from_depth(depth)).count_parameters() for depth in (cpu["depth"], 5)}
    args = tr.train.parse(["--depth", "5"])
    assert args.steps / cpu["steps"] == pytest.approx(sizes[5] / sizes[cpu["depth"]], rel=0.01)
    assert args.learning_rate == pytest.approx(4.8e-3 * (256 / 320) ** 0.5)
    doubled = tr.train.parse(["--depth", "5", "--batch-size", str(2 * cpu["batch_size"])])
    assert doubled.steps == pytest.approx(args.steps / 2, abs=1)
    assert tr.train.parse(["--depth", "5", "--steps", "7"]).steps == 7


def test_training_begins_with_given_weights(tr, small, here, UserError):
    first = train(tr, small, here / "a", "--steps", 2)
    assert train(tr, small, here / "b", "--steps", 1, "--learning-rate", 0, "--init", here / "a") == first
    with pytest.raises(UserError, match="--init"):
        train(tr, small, here / "c", "--steps", 1, "--layers", 2, "--init", here / "a")


def test_bfloat16_learns_too(tr, small, here, capsys):
    train(tr, small, here / "m", "--steps", 30, "--dtype", "bfloat16", "--warmup", 5, "--learning-rate", 0.01)
    out = capsys.readouterr().out
    assert float(out.split(" bits per byte")[0].split()[-1]) < 0.8 and "bfloat16" in out
    assert {w.dtype for w in load_file(here / "m/model.safetensors").values()} == {torch.float32}


def test_several_folders_are_mixed_and_scored_apart(tr, small, here, capsys):
    (here / "other").mkdir()
    for split in ("train", "valid"):
        (here / "other" / f"{split}.txt").write_text(f"\n{END}\n".join(["The cat slept.", "A dog ran.", "It snowed."]))
    train(tr, small, here / "m", "--steps", 1, "--data", small, here / "other")
    out = capsys.readouterr().out
    assert "603 stories to train on" in out and "63 to test" in out
    scores = [json.loads(line) for line in (here / "out/scoreboard.jsonl").read_text().splitlines()]
    assert [score["data"] for score in scores] == [str(small), str(here / "other")]
    assert all(f"{score['bpb']:.4f} bits per byte on {score['data']}/valid.txt" in out for score in scores)


def test_mistakes_while_training(tr, small, here, UserError, capsys):
    with pytest.raises(UserError, match="smaller --learning-rate"):
        train(tr, small, here / "m", "--steps", 40, "--learning-rate", 1e30, "--warmup", 0, "--optimizer", "adamw")
    assert not (here / "m/model.safetensors").exists()
    (here / "file").write_text("")
    with pytest.raises(UserError, match="--out"):
        train(tr, small, here / "file")
    with pytest.raises(UserError, match="nothing"):
        train(tr, small, here / "m", "--init", here / "nothing")
    (here / "latin").mkdir()
    for split in ("train", "valid"):
        (here / "latin" / f"{split}.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match="train.txt is not UTF-8"):
        train(tr, small, here / "m", "--data", here / "latin")
    for bad in (["--depth", "0"], ["--steps", "x"], ["--dropout", "2"], ["--learning-rate", "-1"], ["--seed", "-1"],
                ["--context", "8"], ["--plot", "curve.txt"], ["--decay", "nan"], ["--preset", "huge"]):  # fmt: skip
        with pytest.raises(SystemExit) as error:
            tr.train.parse(bad)
        assert error.value.code == 2 and bad[0] in capsys.readouterr().err


def test_mistakes_are_one_line(run_script, small, tmp_path, tr, trained, UserError, capsys):
    result = run_script("transformer/train.py", "--data", "nowhere", "--out", tmp_path / "m", status=2)
    assert result.stderr == "error: --data nowhere: there is no such folder; try --data datasets/stories\n"
    result = run_script("transformer/sample.py", tmp_path / "nothing", status=2)
    assert result.stderr.startswith("error: there is no model folder") and result.stderr.count("\n") == 1
    with pytest.raises(UserError, match="shorten it"):
        tr.sample.main([str(trained[1]), "--prompt", "Tom " * 80])
    capsys.readouterr()
    with pytest.raises(UserError, match="--device"):
        tr.hardware.choose_device("cuda" if not torch.cuda.is_available() else "nonsense")
    with pytest.raises(SystemExit) as error:
        tr.cli.run(lambda: (_ for _ in ()).throw(UserError("mend this")))
    assert error.value.code == 2 and capsys.readouterr().err == "error: mend this\n"
    with pytest.raises(SystemExit) as error:
        tr.cli.run(lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert error.value.code == 130


@pytest.mark.gpu
def test_training_on_a_gpu(run_script, small, tmp_path):
    settings = flags(small, tmp_path / "m", *LEARN)
    bpb = run_script("transformer/train.py", *settings, "--device", "cuda").stdout.split(" bits per byte")[0].split()[-1]
    assert float(bpb) < 0.3
    run_script("transformer/train.py", *settings, "--device", "cuda", "--resume")


# --- the lesson's scripts -------------------------------------------------------------------------------------


def test_the_figures_are_what_the_scripts_draw(tr, root, here, capsys):
    tr.by_hand.main(["--plot"])
    tr.changes.main(["--plot"])
    for name in ("block.svg", "changes.svg"):
        drawn = (here / "transformer/figures" / name).read_bytes()
        assert drawn == (root / "transformer/figures" / name).read_bytes(), f"{name} is not what the script draws"
    assert "loops and module" in capsys.readouterr().out


def test_loops_arrays_and_module_agree_on_any_block(tr):
    b = tr.by_hand
    for seed in range(5):
        W, rng = b.draw_weights(seed), np.random.default_rng(seed)
        x = rng.normal(size=(6, b.C))
        loops = np.array(b.block(x.tolist(), W)["out"])
        assert np.abs(loops - b.block_of_arrays(x, W)).max() < 1e-9
        assert np.abs(loops - b.block_of_the_module(x.tolist(), W)).max() < 1e-4


def test_the_other_scripts_run(tr, root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    tr.model.main(["--depth", "2"])
    tr.gpt2.main(["--steps", "2"])
    tr.data.main(["--context", "256"])
    out = capsys.readouterr().out
    assert "' sat' -> '.'   '.' -> '<|endoftext|>'" in out and "+ MLP 1" in out
    assert "the mask is causal" in out and "1,557,611,200" in out


# --- exercises ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["windowed_attention", "from_interleaved", "to_grouped", "words_to_tell"])
def test_answers(answers, tr, name):
    tr.checks.CHECKS[name](getattr(answers("transformer"), name))


def always_masked(inputs, targets, mask):
    """Every id that is asked for becomes the mask."""
    return np.where(targets == -1, inputs, mask), targets


def test_checks_notice_wrong_answers(tr, capsys):
    attention, solution = tr.model.causal_attention, tr.solutions.from_interleaved
    wrong = {
        "windowed_attention": [lambda q, k, v, w: attention(q, k, v), lambda q, k, v, w: v,
                               lambda q, k, v, w: tr.solutions.windowed_attention(q, k, v, w + 1)],
        "from_interleaved": [lambda w, h: w, lambda w, h: solution(w, 1), lambda w, h: solution(solution(w, h), h)],
        "to_grouped": [lambda w, h, k: w, lambda w, h, k: w[: k * len(w) // h],
                       lambda w, h, k: w.view(h // k, k, -1, w.shape[1]).mean(0).reshape(-1, w.shape[1])],
        "words_to_tell": [lambda ids, mask, rng: (ids, ids), lambda ids, mask, rng: (ids, np.full(len(ids), -1)),
                          lambda ids, mask, rng: always_masked(*tr.solutions.words_to_tell(ids, mask, rng), mask)],
    }  # fmt: skip
    assert wrong.keys() == tr.checks.CHECKS.keys()
    for name, answers in wrong.items():
        for answer in answers:
            with pytest.raises(AssertionError):
                tr.checks.CHECKS[name](answer)
    assert tr.checks.run_checks(tr.solutions, tr.checks.CHECKS) == 0
    assert tr.checks.run_checks(tr.exercises, tr.checks.CHECKS) == 0
    out = capsys.readouterr().out
    assert out.count("passes") == 4 and (out.count("not written yet") == 4 or "wrong" in out)
