"""BERT, T5 and what they are asked: equal to `transformers`, round trips, both sides seen; planted bugs noticed."""

import json
import math
import random
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.models.t5.modeling_t5 import T5Attention

V, END = 60, 55  # of the tests' own vocabulary; END to 59 are special
BERT = dict(vocab_size=V, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48,
            max_position_embeddings=24, type_vocab_size=2, layer_norm_eps=1e-5)
T5 = dict(vocab_size=V, d_model=32, d_kv=12, d_ff=40, num_layers=2, num_decoder_layers=3, num_heads=4,
          relative_attention_num_buckets=8, relative_attention_max_distance=14, layer_norm_epsilon=1e-5)


@pytest.fixture(scope="module")
def enc(chapter):
    return chapter("transformer")


@pytest.fixture
def enc_folder(tmp_path):
    """A folder of small stories."""
    names = ["Tom", "Mia", "Ben", "Zoe"]
    text = "\n<|endoftext|>\n".join(f"{a} saw {b}. {b} was glad. They played with a ball. Then {a} ran home to sleep."
                                    for a in names for b in names for _ in range(2))
    for split in ("train", "valid"):
        (tmp_path / f"{split}.txt").write_text(text, encoding="utf-8")
    return tmp_path


def enc_close(a, b, within=1e-4):
    """Whether all numbers are near; False where one is NaN."""
    return a.shape == b.shape and bool(((a.double() - b.double()).abs() <= within).all())


def enc_random(model, seed):
    """Weights large enough that every part of a model is felt in what it gives."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(0.7 * noise if "embed" in name or "shared" in name or "relative" in name else
                    1.2 * noise / p.shape[-1] ** 0.5 if p.dim() == 2 else
                    0.2 * noise if name.endswith("bias") else 1 + 0.3 * noise)
    return model.eval()


def enc_ids(seed, *shape):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(seed))


# --- masked words -------------------------------------------------------------------------------------------------


def masking_is_right(module, lengths=(1, 3, 7, 20, 400, 4000)):
    rng, kinds, drawn = np.random.default_rng(0), Counter(), set()
    for length in lengths:
        for _ in range(3):
            ids = rng.integers(0, V, size=length)
            kept = ids.copy()
            inputs, targets = module.mask_words(ids, END, V, rng)
            words, asked = (kept < END).sum(), targets >= 0
            if not np.array_equal(ids, kept) or asked.sum() != min(words, max(1, round(0.15 * words))):
                return False
            if (kept[asked] >= END).any() or not np.array_equal(targets[asked], kept[asked]):
                return False
            if not np.array_equal(inputs[~asked], kept[~asked]) or (targets[~asked] != -1).any():
                return False
            if not ((inputs[asked] < END) | (inputs[asked] == V)).all():
                return False
            drawn.update(inputs[asked & (inputs != kept) & (inputs < V)].tolist())
            kinds.update(np.where(inputs[asked] == V, "mask", np.where(inputs[asked] == kept[asked], "same", "other")))
    share = {kind: count / kinds.total() for kind, count in kinds.items()}
    same = 0.1 + 0.1 / END  # a random token can be the same
    right = abs(share["mask"] - 0.8) < 0.03 and abs(share["same"] - same) < 0.025 and abs(share["other"] - 0.1) < 0.025
    return right and len(drawn) > END / 2


@pytest.mark.parametrize("old, new", [
    ("lot < 0.8", "lot < 0.9"), ("lot >= 0.9", "lot >= 0.8"), ("flatnonzero(ids < ordinary)", "arange(len(ids))"),
    ("targets[chosen] = ids[chosen]", "targets[:] = ids"), ("ids.copy()", "ids"), ("0, ordinary, size", "0, 1, size"),
    ("max(1, round(rate", "max(2, round(rate")])
def test_masked_words_and_planted_bugs(enc, planted, old, new):
    assert masking_is_right(enc.objectives)
    assert not masking_is_right(planted("objectives", old, new))


def test_masking_repeats_by_its_seed(enc):
    ids = np.arange(50)
    first, again, other = (enc.objectives.mask_words(ids, END, V, np.random.default_rng(s))[0] for s in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


# --- hidden spans -------------------------------------------------------------------------------------------------


def test_lengths_as_published(enc):
    """T5's: a text of 568 tokens for an input of 512 and a target of 114."""
    o = enc.objectives
    assert o.text_length(512) == 568 and o.corrupted_lengths(568) == (512, 114) and o.span_counts(568) == (85, 28)
    assert o.text_length(128) == 141 and o.corrupted_lengths(141) == (128, 21 + 7 + 1)
    assert o.span_counts(2) == (1, 1) and o.span_counts(4, density=0.99) == (3, 1)


def spans_are_right(module):
    rng, draw = np.random.default_rng(1), random.Random(2)
    for _ in range(150):
        length, density, mean = draw.randrange(2, 90), draw.choice([0.15, 0.15, 0.5, 0.9]), draw.choice([1.0, 3.0, 5.0])
        ids = rng.integers(0, END, size=length)
        inputs, targets = module.corrupt_spans(ids, V, END, rng, density, mean)
        hidden = min(max(round(length * density), 1), length - 1)
        marks = inputs[inputs >= V]
        if (len(inputs), len(targets)) != module.corrupted_lengths(length, density, mean):
            return False
        if not np.array_equal(marks, V + np.arange(len(marks))) or not np.array_equal(targets[targets >= V], marks):
            return False
        if inputs[-1] != END or targets[-1] != END or (targets < END).sum() != hidden or inputs[0] >= V:
            return False
        if (np.diff(np.flatnonzero(targets >= V)) < 2).any() or targets[-2] >= V:  # an empty span
            return False
        if not np.array_equal(module.restore_spans(inputs, targets, V, END), ids):
            return False
    return True


@pytest.mark.parametrize("old, new", [
    ("place += kept + gone", "place += kept"), ("targets += [first_sentinel + k", "targets += [first_sentinel"),
    ("cuts = np.sort(rng.permutation(total - 1)[: parts - 1]) + 1", "cuts = np.sort(rng.permutation(total)[: parts - 1])"),
    ("behind.get(int(i), []) if", "behind.get(int(i) + 1, []) if"), ("[*targets, end]", "[*targets, end, end]"),
    ("max(round(length * density), 1), length - 1)", "max(round(length * density), 1), length)")])
def test_spans_and_planted_bugs(enc, planted, old, new):
    assert spans_are_right(enc.objectives)
    broken = planted("objectives", old, new)
    try:
        assert not spans_are_right(broken)
    except (ValueError, IndexError, ZeroDivisionError):
        pass  # it stops, which is noticed as well


def test_parts_are_drawn_evenly(enc):
    rng = np.random.default_rng(3)
    found = Counter(tuple(enc.objectives.random_parts(6, 3, rng).tolist()) for _ in range(4000))
    assert len(found) == math.comb(5, 2) and all(sum(parts) == 6 and min(parts) >= 1 for parts in found)
    assert max(found.values()) < 1.35 * min(found.values())


def test_restoring_what_a_model_tells(enc):
    """A model may forget a span, tell one twice, or begin without a sentinel."""
    inputs = [1, V, 2, V + 1, 3, END]
    for told, whole in (([V, 7, 8, V + 1, 9, END, 4], [1, 7, 8, 2, 9, 3]), ([V + 1, 9], [1, 2, 9, 3]), ([], [1, 2, 3]),
                        ([5, V, 7], [1, 7, 2, 3]), ([V, 7, V, 8, END], [1, 7, 8, 2, 3])):
        assert enc.objectives.restore_spans(inputs, told, V, END).tolist() == whole


# --- next token, rest of a text, the loss -------------------------------------------------------------------------


def test_next_token_and_rest(enc):
    o, ids = enc.objectives, np.array([9, 1, 2, 3, 4, 9])
    inputs, targets = o.next_tokens(ids)
    assert inputs.tolist() == [9, 1, 2, 3, 4] and targets.tolist() == [1, 2, 3, 4, 9]
    inputs, targets = o.rest_of_text(ids, prefix=3)
    assert inputs.tolist() == [9, 1, 2, 3, 4] and targets.tolist() == [-1, -1, 3, 4, 9] and ids[1] == 1


def test_prefix_mask(enc):
    for T in (1, 2, 7):
        for prefix in range(T + 1):
            wanted = [[s <= t or s < prefix for s in range(T)] for t in range(T)]
            assert enc.objectives.prefix_mask(T, prefix).tolist() == wanted
    assert torch.equal(enc.objectives.prefix_mask(5, 0), torch.ones(5, 5).tril() > 0)


def test_losses_against_sums(enc):
    logits, targets = torch.randn(2, 5, 7, dtype=torch.float64), torch.tensor([[0, -1, 3, -1, 6], [-1, 2, 2, -1, -1]])
    terms = [-logits[b, t].log_softmax(-1)[targets[b, t]].item() for b in range(2) for t in range(5) if targets[b, t] >= 0]
    assert enc.objectives.told_loss(logits, targets).item() == pytest.approx(sum(terms) / len(terms))
    counted, asked = np.array([0, 0, 1, 3]), np.array([0, 2, 4])
    shares = [(list(counted).count(i) + 1) / 9 for i in range(5)]
    assert enc.objectives.frequency_loss(counted, asked) == pytest.approx(-sum(math.log(shares[i]) for i in asked) / 3)


# --- BERT ---------------------------------------------------------------------------------------------------------


def their_bert(seed=0, kind=transformers.BertForPreTraining, **more):
    config = transformers.BertConfig(**{**BERT, **more}, pad_token_id=None, attn_implementation="eager")
    return enc_random(kind(config), seed)


def check_bert(module, folder, reference):
    """All states, both heads, with segments and padding; for one row without any."""
    reference.save_pretrained(folder)
    model, ids = module.load_bert(folder), enc_ids(1, 3, 20)
    segments = (torch.arange(20) > torch.tensor([[8], [3], [19]])).long()
    real = torch.arange(20) < torch.tensor([[20], [11], [5]])
    with torch.inference_mode():
        theirs = reference(ids, attention_mask=real.long(), token_type_ids=segments, output_hidden_states=True)
        states = model.all_states(ids, segments, real)
        assert len(states) == len(theirs.hidden_states)
        for ours, wanted in zip(states, theirs.hidden_states, strict=True):
            assert enc_close(ours[real], wanted[real]), "states differ"
        logits = theirs.logits if "logits" in theirs else theirs.prediction_logits
        assert enc_close(model.word_logits(states[-1])[real], logits[real]), "words differ"
        if "seq_relationship_logits" in theirs:
            assert enc_close(model.follow_logits(states[-1]), theirs.seq_relationship_logits), "following differs"
        plain = reference(ids[:1, :7])
        assert enc_close(model.word_logits(model(ids[:1, :7])), plain.logits if "logits" in plain else
                         plain.prediction_logits), "plain rows differ"


@pytest.mark.parametrize("kind", [transformers.BertForPreTraining, transformers.BertForMaskedLM])
def test_bert_equals_transformers(enc, tmp_path, kind):
    check_bert(enc.bert, tmp_path, their_bert(kind=kind))


@pytest.mark.parametrize("old, new", [
    ('norm_place="post"', 'norm_place="pre"'), ('activation="exact gelu"', 'activation="gelu"'),
    (" + self.segments(segments)", ""), ("real[:, None, None, :]", "real[:, None, :, None]"),
    ("self.words.weight.T + self.bias", "self.words.weight.T"), ("torch.tanh(self.pooler", "(self.pooler"),
    ("self.transform_norm(F.gelu(self.transform(states)))", "F.gelu(self.transform_norm(self.transform(states)))"),
    ("eps=self.layer_norm_eps", "eps=0.1"), (".attention.self.query.", ".attention.self.key.")])
def test_planted_in_bert(planted, tmp_path, old, new):
    with pytest.raises(AssertionError, match="differ"):
        check_bert(planted("bert", old, new), tmp_path, their_bert(seed=3))


def test_our_bert_loads_in_transformers(enc, tmp_path):
    model = enc_random(enc.bert.Bert(enc.bert.BertConfig(**BERT)), 4)
    enc.bert.save_bert(tmp_path, model)
    theirs, report = transformers.BertForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    again, ids = enc.bert.load_bert(tmp_path), enc_ids(2, 2, 9)
    with torch.inference_mode():
        ours, out = model(ids), theirs(ids)
        assert enc_close(model.word_logits(ours), out.prediction_logits)
        assert enc_close(model.follow_logits(ours), out.seq_relationship_logits)
        assert torch.equal(again(ids), ours)
    assert transformers.AutoModel.from_pretrained(tmp_path).config.num_hidden_layers == 3


def test_bert_of_2018_and_damaged_folders(enc, tmp_path):
    reference = their_bert(seed=5)
    reference.save_pretrained(tmp_path)
    weights, file = load_file(tmp_path / "model.safetensors"), tmp_path / "model.safetensors"
    old = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): w
           for name, w in weights.items()}
    save_file(old, file)
    with torch.inference_mode():
        ids = enc_ids(3, 1, 6)
        model = enc.bert.load_bert(tmp_path)
        assert enc_close(model.word_logits(model(ids)), reference(ids).prediction_logits)
    name = "bert.encoder.layer.1.output.dense.weight"
    for broken, message in (({n: w for n, w in weights.items() if n != name}, "layer.1.output.dense.weight is missing"),
                            ({**weights, name: torch.zeros(2, 2)}, "shape"),
                            ({n: w for n, w in weights.items() if "layer.2" not in n}, "block 2")):
        save_file(broken, file)
        with pytest.raises(enc.cli.UserError, match=message):
            enc.bert.load_bert(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    for change in ({"model_type": "gpt2"}, {"hidden_act": "relu"}, {"num_attention_heads": 5}, {"vocab_size": -1},
                   {"is_decoder": True}, {"num_hidden_layers": "3"}):
        (tmp_path / "config.json").write_text(json.dumps(stored | change))
        with pytest.raises(enc.cli.UserError, match="config.json"):
            enc.bert.load_bert(tmp_path)


def test_bert_sees_both_sides(enc):
    """A later token changes an earlier state; not with causal=True; and padding changes nothing."""
    model, ids = enc_random(enc.bert.Bert(enc.bert.BertConfig(**BERT)), 6), enc_ids(4, 1, 12)
    other = ids.clone()
    other[0, 9] = (ids[0, 9] + 1) % V
    with torch.inference_mode():
        assert not enc_close(model(ids)[:, :9], model(other)[:, :9], 1e-3)
        assert enc_close(model(ids, causal=True)[:, :9], model(other, causal=True)[:, :9], 1e-6)
        real = torch.arange(12)[None] < 9
        assert enc_close(model(ids, real=real)[:, :9], model(other, real=real)[:, :9], 1e-6)
        assert enc_close(model(ids, real=real)[:, :9], model(ids[:, :9]), 1e-5)
        with pytest.raises(ValueError, match="25"):
            model(enc_ids(5, 1, 25))


def learned_from_the_right(bert, objectives, causal):
    """The loss of a small BERT that is asked for tokens that only the token to their right tells."""
    rng = np.random.default_rng(0)
    config = bert.BertConfig(17, 32, 1, 2, 64, 12)
    model = bert.initialize(bert.Bert(config), 0, 0.15)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(150):
        ids = rng.integers(0, 16, size=(32, 12))
        ids[:, 0::2] = (ids[:, 1::2] * 3 + 1) % 16
        targets = np.where(rng.random((32, 12)) < 0.3, ids, -1)
        targets[:, 1::2] = -1
        inputs = np.where(targets >= 0, 16, ids)
        logits = model.word_logits(model(torch.from_numpy(inputs), causal=causal))
        loss = objectives.told_loss(logits, torch.from_numpy(targets))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def test_bert_learns_from_the_right(enc):
    assert learned_from_the_right(enc.bert, enc.objectives, causal=False) < 0.5
    assert learned_from_the_right(enc.bert, enc.objectives, causal=True) > 0.9 * math.log(16)


def test_pairs_and_batches(enc, root):
    tokenizer, bert = enc.tokenizer.load_tokenizer(root / "tokenization/tokenizer.json"), enc.bert
    stories = ['One day, Tom ran. "Stop!" said Mia. He did? Yes.\nThe end', "A. B! C?", "Just one", "x " * 60 + "."]
    told = [bert.story_sentences(story, tokenizer) for story in stories]
    for story, sentences in zip(stories, told, strict=True):
        assert tokenizer.decode([i for ids in sentences for i in ids]) == story.rstrip()
    assert [tokenizer.decode(ids) for ids in told[0]] == ["One day, Tom ran.", ' "Stop!"', " said Mia.", " He did?", " Yes.",
                                                         "\nThe end"]
    rng, follows, half = np.random.default_rng(0), Counter(), (bert.T - 3) // 2
    texts = [[i for ids in sentences for i in ids] for sentences in told]
    for _ in range(300):
        ids, segments, real, apart = bert.draw_pair(told, bert.T, rng, tokenizer)
        assert ids.shape == segments.shape == real.shape == (bert.T,)
        row, marks = ids[real].tolist(), np.flatnonzero(ids[real] == tokenizer.n_vocab - 1)
        assert row[0] == tokenizer.eot_token and len(marks) == 2 and marks[1] == len(row) - 1 and not real[len(row):].any()
        first, second = row[1:marks[0]], row[marks[0] + 1:-1]
        assert 1 <= len(first) <= half and 1 <= len(second) <= half
        assert segments.sum() == len(second) + 1 and segments[marks[0] + 1] == 1 and segments[marks[0]] == 0
        homes = [{k for k, text in enumerate(texts) for i in range(len(text)) if text[i: i + len(p)] == p}
                 for p in (first, second)]
        assert homes[0] and homes[1] and not (apart and homes[0] & homes[1])
        both = first + second
        assert apart or any(text[i: i + len(both)] == both for text in texts for i in range(len(text)))
        follows[apart] += 1
    assert min(follows.values()) > 45
    inputs, segments, real, targets, apart = bert.pair_batch(told, 40, rng, tokenizer)
    assert inputs.shape == targets.shape == (40, bert.T) and apart.shape == (40,) and inputs.dtype == torch.int64
    assert not (targets[~real] >= 0).any() and (targets.max(dim=1).values >= 0).all() and inputs.max() == tokenizer.n_vocab


def test_partners(enc):
    x = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    assert enc.bert.find_partners(x + 5, 2 * x - 3) == 1.0
    assert enc.bert.find_partners(x, x[torch.arange(30).roll(1)]) < 0.2


# --- T5 -----------------------------------------------------------------------------------------------------------


VERSIONS = {"1.0": {}, "1.1": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}}


def their_t5(version, seed=0):
    config = transformers.T5Config(**T5, **VERSIONS[version], dropout_rate=0.0, pad_token_id=END, eos_token_id=END,
                                   decoder_start_token_id=END)
    model = transformers.T5ForConditionalGeneration(config)
    if version == "1.1":  # as the weights of 1.1 are: an output layer of its own, which this release ties when it builds one
        model.lm_head.weight = torch.nn.Parameter(torch.empty(V, 32))
    return enc_random(model, seed)


def check_t5(module, folder, version, seed=0):
    reference = their_t5(version, seed)
    reference.config.save_pretrained(folder)
    stored = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(stored | VERSIONS[version]))
    weights = {name: p.detach().clone() for name, p in reference.named_parameters()}
    save_file(weights, folder / "model.safetensors")
    assert ("lm_head.weight" in weights) == (version == "1.1")
    model, ids, told = module.load_t5(folder), enc_ids(1, 3, 23), enc_ids(2, 3, 17)
    real = torch.arange(23) < torch.tensor([[23], [14], [6]])
    with torch.inference_mode():
        theirs = reference(input_ids=ids, attention_mask=real.long(), decoder_input_ids=told)
        memory = model.encode(ids, real)
        assert enc_close(memory[real], theirs.encoder_last_hidden_state[real], 1e-4), "the encoder's states differ"
        assert enc_close(model(ids, told, real), theirs.logits), "logits differ"
        plain = reference(input_ids=ids, decoder_input_ids=told).logits
        assert enc_close(model(ids, told), plain), "plain logits differ"


@pytest.mark.parametrize("version", VERSIONS)
def test_t5_equals_transformers(enc, tmp_path, version):
    check_t5(enc.t5, tmp_path, version)


@pytest.mark.parametrize("version, old, new", [
    ("1.0", "scaled_scores=False", "scaled_scores=True"), ("1.0", "x * self.config.d_model**-0.5 @", "x @"),
    ("1.0", "t[None, :] - t[:, None]", "t[:, None] - t[None, :]"), ("1.0", "not self.decoder,", "True,"),
    ("1.0", 'norm="RMS"', 'norm="layer without bias"'), ("1.0", "may_look(ids.shape[1], device=ids.device)", "None"),
    ("1.0", "memory=memory, memory_mask=memory_mask", "memory=memory"), ("1.0", "return self.norm(x)", "return x"),
    ("1.1", '"GEGLU" if', '"SwiGLU" if'), ("1.1", "self.head(x) if", "self.head(x * 0.5) if"),
    ("1.1", "DenseReluDense.wi_0", "DenseReluDense.wi_1")])
def test_planted_in_t5(planted, tmp_path, version, old, new):
    with pytest.raises(AssertionError, match="differ"):
        check_t5(planted("t5", old, new), tmp_path, version, seed=1)


def buckets_are_right(module):
    apart = torch.arange(-700, 701)
    return all(torch.equal(module.bucket(apart, both, buckets, longest),
                           T5Attention._relative_position_bucket(apart, both, buckets, longest))
               for both in (True, False) for buckets, longest in ((32, 128), (8, 14), (16, 600), (64, 128), (4, 3)))


@pytest.mark.parametrize("old, new", [
    ("(exact + grown", "(grown"), ("(apart > 0)", "(apart < 0)"), ("(-apart).clamp(min=0)", "apart.clamp(min=0)"),
    ("clamp(max=buckets - 1)", "clamp(max=buckets)"), ("longest / exact)", "longest)"),
    ("exact = buckets // 2", "exact = 8")])
def test_buckets_for_all_distances(enc, planted, old, new):
    assert buckets_are_right(enc.t5)
    assert not buckets_are_right(planted("t5", old, new))


def test_buckets_by_hand(enc):
    """Exact up to 8, then a half-octave each: 8 * 16^(k/8) = 8, 11.3, 16, 22.6, 32, 45.3, 64, 90.5, 128."""
    apart = torch.tensor([0, -1, -7, -8, -11, -12, -15, -16, -22, -23, -31, -32, -90, -91, -1000, 1, 7, 8, 12, 1000])
    assert enc.t5.bucket(apart, True).tolist() == [0, 1, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 14, 15, 15, 17, 23, 24, 25, 31]


def test_shift_right_and_greedy_telling(enc, tmp_path):
    check_t5(enc.t5, tmp_path, "1.0", seed=2)
    model, reference = enc.t5.load_t5(tmp_path), their_t5("1.0", seed=2)
    targets = torch.tensor([[4, 5, 6, END], [7, END, -1, -1]])
    assert enc.t5.shift_right(targets, END).tolist() == [[END, 4, 5, 6], [END, 7, END, END]] and targets[1, 2] == -1
    assert torch.equal(enc.t5.shift_right(targets[:1], END), reference._shift_right(targets[:1]))
    calls, encode = [], model.encode
    model.encode = lambda *args: calls.append(1) or encode(*args)
    for seed in range(4):
        ids = enc_ids(seed, 15)
        theirs = reference.generate(ids[None], max_new_tokens=9, do_sample=False, num_beams=1, use_cache=False,
                                    attention_mask=torch.ones(1, 15, dtype=torch.long))[0, 1:].tolist()
        assert enc.t5.tell_greedily(model, ids, END, END, most=9) == theirs
    assert len(calls) == 4, "the encoder should run once for each text"


def test_t5_learns_to_fill_spans(enc):
    """A text that counts: what is hidden follows from what stands beside it."""
    tokenizer = SimpleNamespace(n_vocab=21, eot_token=20)
    stream = np.arange(2000) % 20
    model, losses = enc.t5.train_t5(stream, tokenizer, 150, 0, width=32, layers=1)
    rng = np.random.default_rng(9)
    inputs, targets = enc.t5.span_batch(stream, 32, rng, tokenizer)
    assert enc.t5.hidden_loss(model, inputs, targets, tokenizer) < 0.5 * math.log(20) < losses[0]
    again, repeated = enc.t5.train_t5(stream, tokenizer, 3, 0, width=32, layers=1)
    assert repeated[0] == losses[0]


def test_t5_damaged_folders(enc, tmp_path):
    check_t5(enc.t5, tmp_path, "1.0")
    stored = json.loads((tmp_path / "config.json").read_text())
    for change, message in (({"model_type": "bert"}, "bert"), ({"feed_forward_proj": "silu"}, "silu"),
                            ({"d_kv": -1}, "sizes"), ({"num_decoder_layers": 9}, "block 8"), ({"d_ff": 7}, "shape")):
        (tmp_path / "config.json").write_text(json.dumps(stored | change))
        with pytest.raises(enc.cli.UserError, match=message):
            enc.t5.load_t5(tmp_path)


# --- what a reader runs -------------------------------------------------------------------------------------------


def test_objectives_runs(run_script):
    out = run_script("transformer/objectives.py", "--data", "out/few", "--steps", 10).stdout
    assert "568 tokens, 85 hidden in 28 spans: an input of 512, a target of 114" in out and "asked at  15%" in out


def test_bert_runs_saves_and_loads(enc, enc_folder, tmp_path, root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    saved = tmp_path / "bert"
    enc.bert.main(["--data", str(enc_folder), "--steps", "3", "--save", str(saved)])
    out = capsys.readouterr().out
    assert "110,106,428" in out and "336,226,108" in out and "left side only" in out and "by chance" in out
    enc.bert.main(["--load", str(saved), "--text", "Tom saw a [mask] and [mask]."])
    assert "blank 2" in capsys.readouterr().out
    for flags in (["--text", "no blank"], ["--load", str(saved / "nowhere")], ["--data", str(saved)]):
        with pytest.raises(enc.cli.UserError):
            enc.bert.main(flags)


def test_t5_runs(enc, enc_folder, root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    enc.t5.main(["--data", str(enc_folder), "--steps", "3", "--gated"])
    out = capsys.readouterr().out
    assert "60,506,624" in out and "76,961,152" in out and "whole" in out and "15: 91 and further" in out
    for flags in (["--text", "no blank"], ["--data", "nowhere"]):
        with pytest.raises(enc.cli.UserError):
            enc.t5.main(flags)
