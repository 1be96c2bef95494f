"""Speculative decoding changes no distribution; text held to a form always fits it.

References: closed forms, the enumeration of every short text over a tiny vocabulary, the engine without a draft,
Python's `re`, brute force over every token of the vocabulary, json.loads and a checker of schemas written here.
"""

import itertools
import json
import random
import re
import warnings
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch

TINY = 4  # tokens of the toy models; the last one is the end mark
PROMPT = [1]
FILTERS = [
    {"temperature": 1.0, "top_p": 1.0},
    {"temperature": 0.7, "top_p": 1.0, "top_k": 3},
    {"temperature": 1.3, "top_p": 0.8},
    {"temperature": 1.0, "top_p": 0.95, "min_p": 0.2},
    {"temperature": 1.2, "top_p": 0.9, "repetition_penalty": 4.0},
]


@pytest.fixture(scope="module")
def here(chapter):
    return chapter("inference")


@pytest.fixture(scope="module")
def tokenizer(here, root):
    return here.tokenizer.Tokenizer.load(root / "tokenization/tokenizer.json")


@pytest.fixture(scope="module")
def spec_model(here):
    """A small random model with predictions that differ."""
    config = here.model.Config(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                               num_key_value_heads=2, max_position_embeddings=96)  # fmt: skip
    model = here.model.Storyteller(config).initialize(3).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 4
    return model


class Toy(torch.nn.Module):
    """A model whose logits are a table over everything that stands before; what that was, it reads from the cache."""

    def __init__(self, seed, V=TINY):
        super().__init__()
        self.weight, self.seed, self.V, self.rows = torch.nn.Parameter(torch.zeros(1)), seed, V, {}
        self.config = SimpleNamespace(num_hidden_layers=1, num_key_value_heads=1, head_dim=1,
                                      max_position_embeddings=16, vocab_size=V)  # fmt: skip

    def row(self, ids):
        if ids not in self.rows:
            rng = np.random.default_rng([self.seed, len(ids), *ids])
            self.rows[ids] = rng.normal(size=self.V).astype(np.float32)
            self.rows[ids][-1] -= 1.5  # the end mark comes seldom
        return self.rows[ids]

    def forward(self, input_ids, cache, only_last=False):
        T = input_ids.shape[1]
        step = cache.begin(T)
        seen, _ = cache.append(0, input_ids[0].float().view(1, 1, T, 1), input_ids[0].float().view(1, 1, T, 1), step)
        cache.advance(T)
        seen = [int(x) for x in seen.flatten()]
        rows = np.stack([self.row(tuple(seen[: len(seen) - T + t + 1])) for t in range(T)])
        return torch.from_numpy(rows[-1:] if only_last else rows)[None]


# The rule


def random_row(rng, V=7):
    row = rng.random(V) ** 3 * (rng.random(V) < 0.7)
    row[rng.integers(V)] += 0.1
    return row / row.sum()


def check_rule(speculative, rounds=300):
    """Kept + refused, in closed form, is p."""
    rng = np.random.default_rng(1)
    for _ in range(rounds):
        p, q = random_row(rng), random_row(rng)
        kept = np.array([q[x] * speculative.acceptance(p, q, x) if q[x] else 0 for x in range(len(p))])
        np.testing.assert_allclose(kept, np.minimum(p, q), atol=1e-12, rtol=0)
        together = kept + (1 - kept.sum()) * speculative.residual(p, q)
        np.testing.assert_allclose(together, p, atol=1e-12, rtol=0)


def test_kept_and_refused_add_up_to_the_models_distribution(here):
    check_rule(here.speculative)
    same = random_row(np.random.default_rng(5))
    np.testing.assert_array_equal(here.speculative.residual(same, same), same)  # no division by zero


def exact(here, spec_model, params, room):
    """{text: probability} of every text of at most `room` tokens after PROMPT, by following each way to its end."""
    found = {}

    def follow(ids, probability):
        history = [i for i in ids if i != TINY - 1]
        for i, p in zip(*here.sampling.candidates(spec_model.row(tuple(ids)), params, history)):
            text = (*ids[len(PROMPT) :], int(i))
            if len(text) == room or i == TINY - 1:
                found[text] = found.get(text, 0) + probability * p
            else:
                follow([*ids, int(i)], probability * p)

    follow(list(PROMPT), 1.0)
    assert sum(found.values()) == pytest.approx(1)
    return found


def check_texts(here, speculative, setting, k, draws=1500, room=3, draft=None):
    """The texts of many draws against the enumeration, by chi-square."""
    params, target = here.sampling.SamplingParams(**setting), Toy(1)
    guess = Toy(2)
    draft = draft or SimpleNamespace(V=TINY, logits=lambda ids: guess.row(tuple(ids)))
    rng, counts, stats = here.rng.PCG32(7), Counter(), speculative.Counts()
    for _ in range(draws):
        passes = speculative.speculate(target, draft, PROMPT, params, k, rng, room, {TINY - 1}, stats)
        counts[tuple(itertools.chain(*passes))] += 1
    wanted = exact(here, target, params, room)
    assert set(counts) <= set(wanted), "a text was drawn that cannot be"
    rare = {text for text, p in wanted.items() if p * draws < 5}
    groups = [(counts[text], p * draws) for text, p in wanted.items() if text not in rare]
    if rare:
        groups.append((sum(counts[t] for t in rare), sum(wanted[t] for t in rare) * draws))
    chi_square = sum((seen - expected) ** 2 / expected for seen, expected in groups)
    freedom = len(groups) - 1
    # Wilson and Hilferty: (chi2 / k)^(1/3) is nearly normal. Five standard deviations: one in 3.5 million.
    bound = freedom * (1 - 2 / (9 * freedom) + 5 * (2 / (9 * freedom)) ** 0.5) ** 3
    assert chi_square < bound, f"{chi_square} with {freedom} degrees of freedom"
    return stats


@pytest.mark.parametrize("setting", FILTERS, ids=str)
def test_texts_have_the_models_distribution(here, setting):
    stats = check_texts(here, here.speculative, setting, 3)
    assert 0 < stats.accepted < stats.judged <= stats.proposed and stats.per_pass > 1


def test_texts_have_the_models_distribution_with_drafts_that_count_or_look_up(here):
    stream = np.random.default_rng(1).integers(0, TINY, 300)
    for draft in (here.draft.CountDraft(stream, TINY), here.draft.LookupDraft(TINY, 1, 1),
                  here.draft.ModelDraft(Toy(2), TINY)):  # fmt: skip
        check_texts(here, here.speculative, FILTERS[0], 2, draws=1000, draft=draft)


PLANTED = {
    "wrong ratio": ("p[token] / q[token]", "q[token] / max(p[token], 1e-9)"),
    "always kept": ("return min(1.0, p[token] / q[token])", "return 1.0"),
    "not what is owed": ("owed = np.maximum(p - q, 0)", "owed = p.copy()"),
    "owed the wrong way": ("np.maximum(p - q, 0)", "np.maximum(q - p, 0)"),
    "not rolled back": ("cache.lengths[0] = len(ids) - 1", "pass"),
    "rolled back by one too few": ("cache.lengths[0] = len(ids) - 1", "cache.lengths[0] = len(ids)"),
    "a row too late": ("q_row in zip(logits, proposed, q)", "q_row in zip(logits[1:], proposed, q)"),
    "filters forgotten": ("rows.append(distribution(logits, params, history + tokens))",
                          "rows.append(np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum())"),
    "the penalty forgets what is new": ("distribution(row, params, history + new)", "distribution(row, params, history)"),
}  # fmt: skip


@pytest.mark.parametrize("name", ["wrong ratio", "always kept", "not what is owed", "owed the wrong way"])
def test_planted_faults_of_the_rule_are_noticed(here, planted, name):
    broken = planted("speculative", *PLANTED[name])
    with pytest.raises(AssertionError):
        check_rule(broken)
    with pytest.raises(AssertionError):
        check_texts(here, broken, FILTERS[0], 3, draws=800)


def test_an_unscaled_residual_is_noticed(planted):
    with pytest.raises(AssertionError):
        check_rule(planted("speculative", "owed / total if total > 0 else p", "owed if total > 0 else p"))


@pytest.mark.parametrize("name", ["rolled back by one too few", "a row too late", "the penalty forgets what is new"])
def test_planted_faults_of_the_loop_are_noticed(here, planted, name):
    with pytest.raises((AssertionError, IndexError, ValueError)):
        check_texts(here, planted("speculative", *PLANTED[name]), FILTERS[4], 3)


def test_a_cache_that_is_not_rolled_back_is_noticed(here, planted):
    with pytest.raises((AssertionError, ValueError, RuntimeError)):
        check_texts(here, planted("speculative", *PLANTED["not rolled back"]), FILTERS[0], 1)


def test_filters_are_for_the_draft_too(here, planted):
    """Without the filters the model as its own draft is still exact, but proposes what can never be kept."""
    target = Toy(1)
    draft = SimpleNamespace(V=TINY, logits=lambda ids: target.row(tuple(ids)))
    kept = [check_texts(here, module, FILTERS[1], 3, draws=600, draft=draft).rate
            for module in (here.speculative, planted("speculative", *PLANTED["filters forgotten"]))]  # fmt: skip
    assert kept[0] == 1 > kept[1] + 0.05


# The whole of it


def told_drafted(here, spec_model, tokenizer, draft, prompt, params, k, counts=None):
    return "".join(here.speculative.tell_drafted(spec_model, tokenizer, draft, prompt, params, k, counts))


def drafts(here, spec_model, tokenizer):
    V = tokenizer.vocab_size
    stream = np.array(tokenizer.encode("Once upon a time there was a dog. The dog ran. Once upon a time."))
    small = here.model.Storyteller(here.model.from_depth(1)).initialize(5).eval()
    return {"lookup": here.draft.LookupDraft(V), "counts": here.draft.CountDraft(stream, V),
            "model": here.draft.ModelDraft(small, V), "itself": here.draft.ModelDraft(spec_model, V)}  # fmt: skip


def test_without_chance_it_is_the_engines_text(here, spec_model, tokenizer):
    Params = here.sampling.SamplingParams
    for setting, k in (({}, 1), ({"repetition_penalty": 1.3, "max_tokens": 500}, 4), ({"stop": ("a", "e")}, 30)):
        params = Params(**{"temperature": 0, "max_tokens": 40} | setting)
        alone = "".join(here.generate.generate(spec_model, tokenizer, "Once upon a time", params))
        for draft in drafts(here, spec_model, tokenizer).values():
            assert told_drafted(here, spec_model, tokenizer, draft, "Once upon a time", params, k) == alone


def test_a_perfect_draft_is_always_right_and_a_hopeless_one_never(here, spec_model, tokenizer):
    params = here.sampling.SamplingParams(temperature=1.0, top_p=1.0, max_tokens=60, seed=2)
    counts = here.speculative.Counts()
    itself = here.draft.ModelDraft(spec_model, tokenizer.vocab_size)
    told_drafted(here, spec_model, tokenizer, itself, "The", params, 4, counts)
    assert counts.accepted == counts.judged == counts.proposed and counts.tokens == 60 and counts.passes == 12
    assert counts.per_pass == 5 and counts.rate == 1

    class Hopeless:
        V = tokenizer.vocab_size

        def logits(self, ids):
            with torch.inference_mode():
                row = spec_model(torch.tensor([ids]), only_last=True)[0, 0].numpy()
            return np.where(np.arange(self.V) == row.argmin(), 0, -np.inf).astype(np.float32)

    counts = here.speculative.Counts()
    told_drafted(here, spec_model, tokenizer, Hopeless(), "The", params, 4, counts)
    assert counts.accepted == 0 and counts.passes == counts.tokens == 60


def test_the_context_is_never_exceeded(here, spec_model, tokenizer):
    for setting in ({"temperature": 0}, {"temperature": 1.0, "seed": 4}):
        params = here.sampling.SamplingParams(**setting, max_tokens=1000)
        engine = here.generate.Engine(spec_model, tokenizer, slots=1)
        alone = engine.add(here.generate.prompt_ids(tokenizer, "The " * 80), params)
        while engine.running or engine.waiting:
            engine.step()
        for draft in drafts(here, spec_model, tokenizer).values():
            counts = here.speculative.Counts()
            told_drafted(here, spec_model, tokenizer, draft, "The " * 80, params, 8, counts)
            assert counts.tokens <= 96 + 1 - 82
            if setting["temperature"] == 0:
                assert counts.tokens == len(alone.new_ids) + (alone.finish_reason == "stop")
    with pytest.raises(ValueError, match="context holds 96"):
        told_drafted(here, spec_model, tokenizer, None, "The " * 200, params, 2)


def test_a_damaged_model_says_so(here, spec_model, tokenizer):
    with pytest.raises(ValueError, match="not finite"):
        here.speculative.distribution(np.float32([1, np.nan]), here.sampling.SamplingParams())


# The drafts


def test_the_lookup_draft_finds_the_latest(here):
    draft = here.draft.LookupDraft(10)
    for ids, wanted in (([1, 2, 3, 1, 2], 3), ([1, 2, 3, 4, 1, 2, 5, 1, 2], 5), ([7, 1, 2, 8, 9, 1, 2, 4, 7, 1, 2], 8),
                        ([4, 4, 4], 4), ([1, 2, 3], None), ([1], None), ([], None)):  # fmt: skip
        row = draft.logits(ids)
        assert (row if wanted is None else int(row.argmax())) == wanted, ids
        assert row is None or np.isfinite(row).sum() == 1


def test_the_count_draft_is_witten_and_bells_formula(here):
    rng = np.random.default_rng(3)
    stream, V = rng.integers(0, 6, 500).tolist(), 8
    draft = here.draft.CountDraft(stream, V)

    def formula(context):
        if not context:
            return [(stream.count(i) + 1) / (len(stream) + V) for i in range(V)]
        n, shorter = len(context), formula(context[1:])
        following = Counter(stream[i + n] for i in range(len(stream) - n) if stream[i : i + n] == context)
        if not following:
            return shorter
        total, kinds = sum(following.values()), len(following)
        return [(following[i] + kinds * shorter[i]) / (total + kinds) for i in range(V)]

    for _ in range(60):
        context = rng.integers(0, 7, rng.integers(0, 6)).tolist()
        p = np.exp(draft.logits(context))
        np.testing.assert_allclose(p, formula(context[-3:]), rtol=1e-5)
        assert p.sum() == pytest.approx(1, abs=1e-5)


def test_the_model_draft_forgets_what_was_refused(here, spec_model, tokenizer, planted):
    def check(module):
        draft, rng, ids = module.ModelDraft(spec_model, tokenizer.vocab_size), random.Random(1), [4092]
        for _ in range(40):
            ids = ids[: rng.randrange(1, len(ids) + 1)] + [rng.randrange(4096) for _ in range(rng.randrange(4))]
            with torch.inference_mode():
                wanted = spec_model(torch.tensor([ids]), only_last=True)[0, 0].numpy()
            assert np.abs(draft.logits(ids) - wanted).max() < 1e-3

    check(here.draft)
    for old, new in (("self.seen[same] == ids[same]", "True"), ("self.cache.lengths[0] = same", "pass")):
        with pytest.raises((AssertionError, ValueError, RuntimeError)):
            check(planted("draft", old, new))
    assert here.draft.ModelDraft(spec_model, 4096).logits([1] * 97) is None


def test_the_rounded_copy_is_nearly_the_model_and_what_is_in_common_is_counted(here, spec_model, tokenizer):
    rounded = here.draft.rounded_copy(spec_model, bits=8)
    assert not torch.equal(rounded.lm_head.weight, spec_model.lm_head.weight)
    assert rounded.lm_head.weight is rounded.model.embed_tokens.weight  # still tied
    for a, b in zip(rounded.parameters(), spec_model.parameters()):
        assert (a - b).abs().max() <= b.abs().max() / 254 * 1.001
    for row in here.draft.rounded_copy(spec_model, bits=4).model.layers[0].mlp.up_proj.weight.detach().view(-1, 32)[:50]:
        assert len(row.unique()) <= 15
    V = tokenizer.vocab_size
    stories = here.draft.told_by(spec_model, tokenizer, 2, 15, seed=1)
    drafts = {"itself": here.draft.ModelDraft(spec_model, V), "counts": here.draft.CountDraft([5] * 9, V),
              "never": SimpleNamespace(V=V, logits=lambda ids: None)}  # fmt: skip
    found = here.draft.overlaps(spec_model, drafts, stories)
    assert found["itself"][:2] == (1, pytest.approx(1, abs=1e-3)) and found["never"][:2] == (0, 0)
    assert 0 <= found["counts"][1] < 0.5


def test_a_small_model_learns_and_is_kept(here, tokenizer, tmp_path, monkeypatch):
    rng = np.random.default_rng(2)
    stream = np.concatenate([[4092], *[[i, i + 1, i + 2, i + 3] for i in rng.integers(256, 300, 400)]])
    monkeypatch.setattr(here.draft, "stories_to_count", lambda tokenizer: (stream, np.arange(50)))
    monkeypatch.setattr(here.draft, "ROW", 32)
    trained, losses = here.draft.train_draft(stream, np.arange(50), 4096, steps=30)
    assert np.isfinite(losses).all() and losses[-1] < 3 < 8 < losses[0]  # the second of every four can be known
    first = here.draft.small_model(tmp_path / "draft", tokenizer, steps=2)
    again = here.draft.small_model(tmp_path / "draft", tokenizer, steps=2)
    for a, b in zip(first.parameters(), again.parameters()):
        torch.testing.assert_close(a, b, atol=0, rtol=0)


# Regular expressions


SIGNS = "ab0_ -é€🐉\n\"\\"


def random_expression(rng, depth=3):
    kind = rng.randrange(9) if depth else rng.randrange(5)
    if kind < 2:
        return rng.choice(["a", "b", "é", "🐉", "0", "_", " ", r"\-", r"\\", '"'])
    if kind == 2:
        return rng.choice([".", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", r"\x61", r"\u00e9", r"\U0001f409", r"\n"])
    if kind == 3:
        items = ["a", "b", "0-9", "a-b", "é-€", r"\d", r"\s", "_", r"\-", "€-🐉", r"\]", r"\W", "^"]
        return "[" + rng.choice(["", "^", "]"]) + "".join(rng.choices(items, k=rng.randrange(1, 4))) + "]"
    if kind == 4:
        return rng.choice(["ab", "", "b0"])
    inner, other = random_expression(rng, depth - 1), random_expression(rng, depth - 1)
    if kind == 5:
        return f"({rng.choice(['', '?:'])}{inner}|{other})"
    if kind == 6:
        return inner + other
    return f"({inner}){rng.choice(['*', '+', '?', '{2}', '{1,3}', '{,2}', '{2,}', '{0}', '*?', '{1,2}?'])}"


def random_text_of(dfa, rng):
    """A text that the automaton accepts, by a random walk that takes a way home after a while."""
    state, data, moves = 1, bytearray(), 0
    while not (dfa.accepting[state] and (rng.random() < 0.2 or moves > 40)):
        ways = np.flatnonzero(dfa.table[state])
        if not len(ways) or moves > 400:
            break
        data.append(int(rng.choice(ways)))
        state, moves = int(dfa.table[state, data[-1]]), moves + 1
    return data.decode() if dfa.accepting[state] else None


def compiled(expression):
    with warnings.catch_warnings():  # Python warns of [[ and the like
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(expression, re.ASCII)


def check_expressions(automaton, expression, rounds=250):
    """Random texts, and texts that the automaton makes up itself, fit exactly where Python's re says so."""
    rng, fitting = random.Random(1), 0
    for _ in range(rounds):
        text = random_expression(rng)
        try:
            dfa = automaton.compile_expression(text)
        except ValueError as error:
            assert "no text fits" in str(error) and not compiled(text).fullmatch("a")
            continue
        theirs, again = compiled(text), compiled(expression.show(expression.parse_expression(text)))
        tries = ["".join(rng.choices(SIGNS, k=rng.randrange(7))) for _ in range(20)]
        for sample in tries + [s for s in (random_text_of(dfa, rng) for _ in range(8)) if s is not None]:
            fits = theirs.fullmatch(sample) is not None
            assert dfa.fits(sample) == fits == (again.fullmatch(sample) is not None), (text, sample)
            fitting += fits
    assert fitting > rounds * 5


def test_expressions_mean_what_they_mean_in_python(here):
    check_expressions(here.automaton, here.expression)


@pytest.mark.parametrize("name, old, new", [
    ("automaton", "self.empty[self.build(tree.tree, loop)].append(loop)", "self.build(tree.tree, loop)"),
    ("automaton", "for _ in range(tree.least):", "for _ in range(min(tree.least, 1)):"),
    ("automaton", "                    self.empty[start].append(end)\n", ""),
    ("automaton", "accepting.append(nfa.end in states)", "accepting.append(states == nfa.closure([nfa.end]))"),
    ("automaton", "    table[~alive[table]] = DEAD", "    table[:] = np.where(table == len(table) - 1, DEAD, table)"),
    ("automaton", "low += 1\n    last", "pass\n    last"),
])  # fmt: skip
def test_planted_faults_of_the_automaton_are_noticed(here, planted, name, old, new):
    with pytest.raises((AssertionError, UnicodeDecodeError, IndexError)):
        check_expressions(planted(name, old, new), here.expression)


def test_ranges_of_characters_are_exactly_their_utf8(here):
    rng = random.Random(2)
    borders = [0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x3FFFF, 0x10FFFF]
    for _ in range(60):
        low, high = sorted(rng.choice([rng.choice(borders), rng.randrange(0x110000)]) for _ in range(2))
        found = list(here.automaton.utf8_ranges(low, high))
        near = {c + d for c in (low, high, *borders) for d in (-1, 0, 1)} | {rng.randrange(0x110000) for _ in range(50)}
        for code in near:
            if 0 <= code < 0x110000 and not 0xD800 <= code < 0xE000:
                data = chr(code).encode()
                ways = sum(len(data) == len(way) and all(a <= byte <= b for byte, (a, b) in zip(data, way)) for way in found)
                assert ways == (low <= code <= high), (low, high, code)
    size = sum(np.prod([b - a + 1 for a, b in way]) for way in here.automaton.utf8_ranges(0, 0x10FFFF))
    assert size == 0x110000 - 2048  # all of Unicode but the surrogates, and not a byte string more


@pytest.mark.parametrize("same, states", [
    (["a|b|c", "[abc]", "[a-c]", "c|(?:b|a)"], 2), (["(a*)*", "a*", "(a|aa)*", "(a+)?", "a{0,3}a*"], 1),
    (["aa*", "a+", "a{1,}"], 2), (["(ab|ac)d", "a(b|c)d"], 4), (["a{2,3}", "aaa?"], 4), ([".", r"[^\n]"], 9),
])  # fmt: skip
def test_the_automaton_has_as_few_states_as_can_be(here, same, states):
    """One language has one smallest automaton, whichever way it is written."""
    first, *others = [here.automaton.compile_expression(text) for text in same]
    assert len(first.table) - 1 == states
    for other in others:
        np.testing.assert_array_equal(first.table, other.table)
        np.testing.assert_array_equal(first.accepting, other.accepting)


@pytest.mark.parametrize("expression, message", [
    ("(a", "never closed"), ("a)", "never opened"), ("[a", "never closed"), ("a**", "follows a repetition"),
    ("*a", "out of place"), ("a{2,1}", "m at most n"), ("a{1001}", "at most 1000"), ("a{x}", "a brace itself"),
    ("a{", "a brace itself"), ("^a", "is not needed"), ("a$", "is not needed"), (r"\b", "not supported"),
    (r"(a)\1", "not supported"), ("(?=a)", "no other kind"), ("(?P<n>a)", "no other kind"), ("[b-a]", "to a later one"),
    (r"[\d-a]x", None), ("\\", "ends too soon"), (r"\xg0", "hexadecimal"), (r"\ud800", "no character"),
    ("\ud800", "no character"), ("a}", "out of place"), ("[^\\s\\S]", "no text fits"), ("(" * 5000, "nested too deeply"),
    ("(((a{1000}){1000}){1000})", "shorten"), ("(a|b)*a(a|b){16}", "more than 40,000 states"),
    ("(.{0,200}){0,20}", "too many ways"), ("a{2}{3}", "follows"),
    ("a{99999999999}", "a brace itself"), ("[a-\\d]", "to a later one"),
])  # fmt: skip
def test_what_cannot_be_read_is_one_clear_line(here, expression, message):
    if message is None:  # a dash that begins no range is a dash
        assert here.automaton.compile_expression(expression).fits("-x")
        return
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        here.automaton.compile_expression(expression)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 6000


def test_junk_is_refused_or_read_as_python_reads_it(here):
    rng, read = random.Random(6), 0
    for _ in range(1500):
        text = "".join(rng.choices("ab|()[]{}*+?.^$\\\\-,1290ndwxé\n:", k=rng.randrange(1, 9)))
        try:
            dfa = here.automaton.compile_expression(text)
        except ValueError as error:
            assert "\n" not in str(error)
            continue
        read += 1
        for sample in ("", "a", "b", "ab", "1", "\n", "-", "aa", "x1"):
            assert dfa.fits(sample) == (compiled(text).fullmatch(sample) is not None), (text, sample)
    assert read > 150


# Masks


EXPRESSIONS = ["(yes|no)!?", "[A-Z][a-z]{2,6} (ran|slept)\\.", "é+|🐉{2}", ".{0,9}", "(Once upon a time)*"]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_mask_is_what_each_token_says_by_itself(here, tokenizer, expression):
    dfa = here.automaton.compile_expression(expression)
    form = here.structured.Form(dfa, tokenizer)
    ends = set(tokenizer.special.values())
    for state in range(1, len(dfa.table)):
        there, allowed = form.next_states(state), form.allowed(state, 10_000)
        some = range(len(tokenizer.tokens)) if state < 4 else random.Random(state).sample(range(4096), 300)
        for token in some:
            alone = 0 if token in ends else dfa.run(tokenizer.tokens[token], state)
            assert there[token] == alone
            assert allowed[token] == (dfa.accepting[state] if token in ends else alone != 0)
        assert allowed.any(), "a state that leads nowhere"


def small_tokenizer(*tokens):
    tokens = [token.encode() if isinstance(token, str) else token for token in tokens]
    return SimpleNamespace(tokens=[*tokens, b"<end>"], special={"<end>": len(tokens)})


def check_steps(structured, dfa, tokenizer):
    """The fewest tokens to the end, by brute force: texts of 0, 1, 2 … tokens from every state."""
    form = structured.Form(dfa, tokenizer)
    reach = {state: 0 for state in range(1, len(dfa.table)) if dfa.accepting[state]}
    for n in range(1, 30):
        for state in range(1, len(dfa.table)):
            if state not in reach and any(reach.get(dfa.run(token, state)) == n - 1 for token in tokenizer.tokens[:-1]):
                reach[state] = n
    for state in range(1, len(dfa.table)):
        assert form.steps[state] == reach.get(state, structured.NEVER)
        for room in range(6):
            allowed = form.allowed(state, room)
            for i, token in enumerate(tokenizer.tokens[:-1]):
                there = dfa.run(token, state) if token else 0
                assert allowed[i] == (reach.get(there, 99) < room), (state, token, room)


def test_a_token_is_allowed_where_the_end_stays_within_reach(here, planted):
    odd = small_tokenizer("a", "ab", "b", "ba", "", "c", "abc", "x")
    for expression in ("a*b", "(ab|ba){2,3}", "abcabc|b", "a(b|d)", "(a|b)*c"):
        check_steps(here.structured, here.automaton.compile_expression(expression), odd)
    dfa = here.automaton.compile_expression("(ab|ba){2,3}")
    for old, new in (("<= room - 1", "<= room"), ("steps[state] + 1", "steps[state] + 2"),
                     ("states[0] = state", "states[0] = START"), ("self.dfa.accepting[state]", "True")):  # fmt: skip
        broken = planted("structured", old, new)
        with pytest.raises((AssertionError, ValueError)):
            check_steps(broken, dfa, odd)
            form = broken.Form(dfa, odd)
            assert not form.allowed(1, 9)[len(odd.tokens) - 1], "the end mark in a state that does not accept"


def test_a_dead_end_of_the_vocabulary_is_never_entered(here):
    """After `a` only `d` could come, which no token writes: so `a` may not come, and `ab` may."""
    tokenizer = small_tokenizer("a", "ab", "b", "c")
    form = here.structured.Form(here.automaton.compile_expression("a(d|bc)"), tokenizer)
    assert form.allowed(1, 9).tolist() == [True, True, False, False, False]  # b, c follow a as well
    form = here.structured.Form(here.automaton.compile_expression("ab|ad"), small_tokenizer("a", "ab", "c"))
    assert form.allowed(1, 9).tolist() == [False, True, False, False]
    with pytest.raises(ValueError, match="no sequence of the vocabulary"):
        here.structured.Form(here.automaton.compile_expression("ad"), tokenizer)


def random_walk(form, tokens, rng, room):
    """A text of uniformly drawn allowed tokens, through Guide as the engine goes."""
    guide, data, end = form.guide(room), b"", form.ends[0]
    for _ in range(room):
        allowed = np.flatnonzero(np.isfinite(guide.mask(np.zeros(len(tokens), dtype=np.float32))))
        token = int(rng.choice(allowed.tolist()))
        if token in form.ends:
            return data.decode()
        guide.accept(token)
        data += tokens[token]
    assert end is not None
    return data.decode()  # cut off by the budget, and whole all the same


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_random_allowed_tokens_always_fit_even_in_a_tight_budget(here, tokenizer, expression):
    form = here.structured.Form(here.automaton.compile_expression(expression), tokenizer)
    shortest, rng = int(form.steps[1]), random.Random(3)
    for room in (shortest, shortest + 1, shortest + 3, 40):
        for _ in range(12):
            text = random_walk(form, tokenizer.tokens, rng, room) if room else ""
            assert compiled(expression).fullmatch(text), (room, text)
    if shortest:
        with pytest.raises(ValueError, match=f"has {shortest} tokens, there is room for {shortest - 1}"):
            form.guide(shortest - 1)


def test_the_model_chooses_freely_among_what_fits(here, tokenizer):
    """The mask removes and does not reweigh: what is left keeps its proportions."""
    form = here.structured.Form(here.automaton.compile_expression("[a-z]{1,3}"), tokenizer)
    logits = np.random.default_rng(1).normal(size=4096).astype(np.float32)
    params = here.sampling.SamplingParams(temperature=1.0, top_p=1.0)
    masked = form.guide(9).mask(logits)
    row = here.speculative.distribution(masked, params)
    whole, allowed = here.speculative.distribution(logits, params), form.allowed(1, 9)
    np.testing.assert_allclose(row, np.where(allowed, whole, 0) / whole[allowed].sum(), rtol=1e-5)
    assert not np.shares_memory(masked, logits)


def test_texts_held_to_a_form_run_beside_free_ones(here, spec_model, tokenizer):
    Params, generate = here.sampling.SamplingParams, here.generate
    ids, expression = generate.prompt_ids(tokenizer, "Once"), "[a-z]{3,30}( [a-z]{1,9}){2}[.!]"
    form = here.structured.Form(here.automaton.compile_expression(expression), tokenizer)
    engine = here.structured.GuidedEngine(spec_model, tokenizer, slots=3)
    asked = []
    for i, (t, p, r) in enumerate(itertools.product((0, 0.8, 1.5, 10), (0.9, 1.0), (1.0, 1.5))):
        params = Params(temperature=t, top_p=p, seed=i, max_tokens=12, repetition_penalty=r)
        asked.append(engine.add(ids, params, form if i % 3 else None))
    while engine.running or engine.waiting:
        engine.step()
    for i, sequence in enumerate(asked):
        if i % 3:
            assert compiled(expression).fullmatch(sequence.text), sequence.text
            assert here.structured.without_choice(form, sequence) <= len(sequence.new_ids) <= 12
        else:
            alone = "".join(generate.generate(spec_model, tokenizer, "Once", sequence.params))
            assert sequence.text == alone
    assert sum(len(s.new_ids) == 12 for s in asked) > 2  # the budget was what ended some of them
    with pytest.raises(ValueError, match="stop strings"):
        engine.add(ids, Params(stop=("a",)), form)
    with pytest.raises(ValueError, match="there is room for 2"):
        engine.add(ids, Params(max_tokens=2), form)
    with pytest.raises(ValueError, match="there is room for 1"):
        engine.add([5] * 96, Params(), form)
    assert not engine.waiting and not engine.running


def test_a_form_holds_over_pages_too(here, spec_model, tokenizer):
    """GuidedEngine goes before any engine that draws in `_next`; with few pages, texts are put back and go on."""
    both = type("Both", (here.structured.GuidedEngine, here.batching.PagedEngine), {})
    form = here.structured.Form(here.automaton.compile_expression("[a-z]{40,90}[.!]"), tokenizer)
    texts, paged = [], both(spec_model, tokenizer, slots=4, pages=7, page_size=16)
    for engine in (paged, here.structured.GuidedEngine(spec_model, tokenizer)):
        texts.append([s.text for s in here.structured.tell_in_form(
            engine, form, "Once upon a time", here.sampling.SamplingParams(seed=1, max_tokens=60), 4)])  # fmt: skip
    assert texts[0] == texts[1] and all(compiled("[a-z]{40,90}[.!]").fullmatch(text) for text in texts[0])


# JSON schemas


def conforms(value, schema, root=None):
    """Whether a JSON value fits a schema, by the specification's words."""
    root = root or schema
    if "$ref" in schema:
        part = root
        for key in schema["$ref"].split("/")[1:]:
            part = part[key]
        return conforms(value, part, root)
    if "anyOf" in schema and not any(conforms(value, way, root) for way in schema["anyOf"]):
        return False
    for allowed in [schema["enum"]] if "enum" in schema else [[schema["const"]]] if "const" in schema else []:
        return any(type(value) is type(a) and value == a for a in allowed)
    kinds = {"object": lambda v: isinstance(v, dict), "array": lambda v: isinstance(v, list), "null": lambda v: v is None,
             "string": lambda v: isinstance(v, str), "boolean": lambda v: isinstance(v, bool),
             "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
             "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool)}  # fmt: skip
    wanted = schema.get("type", [])
    wanted = wanted if isinstance(wanted, list) else [wanted]
    if wanted and not any(kinds[kind](value) for kind in wanted):
        return False
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return set(schema.get("required", [])) <= set(value) <= set(properties) and all(
            conforms(v, properties[name], root) for name, v in value.items())  # fmt: skip
    if isinstance(value, list) and "items" in schema:
        return schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 1e9) and all(
            conforms(v, schema["items"], root) for v in value)  # fmt: skip
    if isinstance(value, str):
        fits = re.search(schema["pattern"], value) if "pattern" in schema else True
        return fits and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 1e9)
    if isinstance(value, int) and not isinstance(value, bool):
        return schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return True


STRINGS = ["", "a", 'say "hi"', "back\\slash", "line\nend", "é🐉", "</s>", "{}", "\x00\x1f\x7f", "a, b", " "]
NAMES = ["hero", "é", 'a "b"', "x\\y", "n", "friends"]
PATTERNS = [r"[a-z]+", r"^\d{2}$", r'^[a"\\\n]{1,3}$', r".é", r"^(yes|no)", r"a|b", r"^a\$"]


def random_schema(rng, depth=3):
    kind = rng.choice(["string", "integer", "number", "boolean", "null", "enum", "const", "pattern", "range", "types"]
                      + ["object", "object", "array", "anyOf"] * (depth > 0))  # fmt: skip
    if kind == "object":
        names = rng.sample(NAMES, rng.randrange(5))
        return {"type": "object", "properties": {name: random_schema(rng, depth - 1) for name in names}, "title": "x",
                "required": [name for name in names if rng.random() < 0.5], "additionalProperties": False}  # fmt: skip
    if kind == "array":
        low, more = rng.randrange(3), rng.randrange(3)
        return {"type": "array", "items": random_schema(rng, depth - 1)} | rng.choice(
            [{}, {"minItems": low}, {"maxItems": low}, {"minItems": low, "maxItems": low + more}])  # fmt: skip
    if kind == "anyOf":
        return {"anyOf": [random_schema(rng, depth - 1) for _ in range(rng.randrange(1, 4))]}
    if kind == "string":
        low = rng.randrange(4)
        return {"type": "string"} | rng.choice([{}, {"maxLength": low}, {"minLength": low, "maxLength": low + 3}])
    return {"enum": {"enum": rng.sample(STRINGS, 3) + [1, None, {"a": [1.5, "é"]}]}, "const": {"const": rng.choice(STRINGS)},
            "pattern": {"type": "string", "pattern": rng.choice(PATTERNS)}, "types": {"type": ["string", "null"]},
            "range": {"type": "integer", "minimum": -12, "maximum": 30}}.get(kind, {"type": kind})  # fmt: skip


def random_value(schema, rng):
    """A value that fits, properties in their order; None, None where we do not know how to make one."""
    if "anyOf" in schema:
        return random_value(rng.choice(schema["anyOf"]), rng)
    if "enum" in schema or "const" in schema:
        return rng.choice(schema.get("enum") or [schema["const"]])
    kind = schema["type"] if isinstance(schema["type"], str) else rng.choice(schema["type"])
    if kind == "object":
        return {name: random_value(part, rng) for name, part in schema["properties"].items()
                if name in schema["required"] or rng.random() < 0.5}  # fmt: skip
    if kind == "array":
        low = schema.get("minItems", 0)
        n = rng.randint(low, schema.get("maxItems", low + 3))
        return [random_value(schema["items"], rng) for _ in range(n)]
    if kind == "string" and "pattern" in schema:
        return {0: "abc", 1: "07", 2: 'a"\\', 3: "🐉é", 4: "yes", 5: "b", 6: "a$"}[PATTERNS.index(schema["pattern"])]
    if kind == "string":
        low = schema.get("minLength", 0)
        return "".join(rng.choices("aé🐉 \"\\\n\t/{", k=rng.randint(low, schema.get("maxLength", low + 4))))
    if kind == "integer":
        return rng.randint(schema.get("minimum", -(10**9)), schema.get("maximum", 10**9))
    return {"number": rng.choice([0, -1.5, 3.25e-7, 12345.678, 10**12]), "boolean": rng.random() < 0.5, "null": None}[kind]


def check_schemas(structured, schema_module, automaton, tokenizer, rounds=40):
    rng = random.Random(4)
    for _ in range(rounds):
        schema = random_schema(rng)
        dfa = automaton.compile_tree(schema_module.schema_tree(schema))
        for _ in range(6):
            value = random_value(schema, rng)
            assert conforms(value, schema)
            assert dfa.fits(json.dumps(value, ensure_ascii=False)), (schema, value)
        form = structured.Form(dfa, tokenizer)
        for room in (int(form.steps[1]), int(form.steps[1]) + 20):
            for _ in range(3):
                text = random_walk(form, tokenizer.tokens, rng, room)
                assert conforms(json.loads(text), schema), (schema, text)


def test_what_is_held_to_a_schema_parses_and_conforms_and_all_that_conforms_may_come(here, tokenizer):
    check_schemas(here.structured, here.schema, here.automaton, tokenizer)


@pytest.mark.parametrize("old, new", [
    ("[name not in required for name in properties]", "[False for name in properties]"),
    ("before = [Repeat(Then((part, comma)), 0, 1)", "before = [Repeat(Then((comma, part)), 0, 1)"),
    ("max(low - 1, 0)", "low"), ("None if high is None else high - 1", "high"),
    ("return quoted(inside_string(tree))", "return quoted(tree)"), ("without(EVERYTHING, ESCAPED)", "EVERYTHING"),
    ("inside if low else", "inside if False else"),
])  # fmt: skip
def test_planted_faults_of_schemas_are_noticed(here, planted, tokenizer, old, new):
    with pytest.raises((AssertionError, ValueError)):
        check_schemas(here.structured, planted("schema", old, new), here.automaton, tokenizer, rounds=80)


def test_the_card_of_a_story_always_parses_at_any_temperature(here, spec_model, tokenizer):
    schema = here.schema.CARD
    form = here.structured.Form(here.automaton.compile_tree(here.schema.schema_tree(schema)), tokenizer)
    engine = here.structured.GuidedEngine(spec_model, tokenizer, slots=8)
    params = here.sampling.SamplingParams(temperature=1.5, top_p=1.0, max_tokens=int(form.steps[1]) + 2, seed=1)
    cards = here.structured.tell_in_form(engine, form, "", params, 12)
    for sequence in cards:
        assert conforms(json.loads(sequence.text), schema), sequence.text
    assert len({sequence.text for sequence in cards}) > 6


def test_references_and_notes(here):
    schema = {"$defs": {"name": {"enum": ["Tim", "Mia"]}}, "type": "array", "items": {"$ref": "#/$defs/name"},
              "maxItems": 2, "description": "who"}  # fmt: skip
    dfa = here.automaton.compile_tree(here.schema.schema_tree(schema))
    assert dfa.fits('["Mia", "Tim"]') and dfa.fits("[]") and not dfa.fits('["Ben"]')


@pytest.mark.parametrize("schema, message", [
    ({"$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}}}, "$ref": "#/$defs/n"}, "contains itself"),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}}, "contains itself"), ({"$ref": "#/x"}, "leads nowhere"),
    ({"$ref": "http://x"}, "leads nowhere"), ({"$ref": 5}, "leads nowhere"), ([], "a schema is an object"),
    ({"type": "integer", "multipleOf": 2}, "'multipleOf' is not supported"), ({"allOf": []}, "type must be one of"),
    ({"type": "text"}, "type must be one of"), ({}, "type must be one of"), ({"type": []}, "type must be one of"),
    ({"type": "array"}, "needs items"),
    ({"type": "array", "items": {"type": "null"}, "minItems": 2, "maxItems": 1}, "more than"),
    ({"type": "object", "required": ["a"]}, "'a' is required"), ({"type": "object", "required": [[]]}, "list of names"),
    ({"type": "string", "maxLength": -1}, "whole number"), ({"type": "string", "maxLength": True}, "whole number"),
    ({"type": "string", "pattern": "(a"}, "never closed"),
    ({"type": "string", "pattern": "a", "maxLength": 3}, "put the length"),
    ({"type": "string", "pattern": 5}, "must be a string"), ({"type": "integer", "minimum": 1}, "or neither"),
    ({"type": "integer", "minimum": 1, "maximum": 10**9}, "10,000 numbers"), ({"enum": []}, "something in it"),
    ({"const": 1, "type": "string"}, "not of type"), ({"anyOf": {}}, "something in it"), ({"const": float("nan")}, "JSON"),
    ({"type": "object", "properties": {"a": {"type": "string", "format": "date"}}}, "#/properties/a: 'format'"),
    ({"type": "string", "maxLength": 10**9}, "shorten"), ({"anyOf": [{"type": "null"}], "type": "null"}, "beside 'anyOf'"),
])  # fmt: skip
def test_a_schema_that_cannot_be_held_to_is_one_clear_line(here, schema, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        here.automaton.compile_tree(here.schema.schema_tree(schema))
    assert "\n" not in str(caught.value)


def test_junk_for_a_schema_is_one_clear_line(here):
    rng = random.Random(7)
    words = ["type", "object", "array", "string", "properties", "required", "items", "enum", "const", "anyOf", "$ref", "#",
             "#/a", "pattern", "maxLength", "minItems", "minimum", "maximum", "integer", "(", ".*", ""]  # fmt: skip

    def junk(depth):
        kind = rng.randrange(6) if depth else rng.randrange(4)
        if kind == 4:
            return [junk(depth - 1) for _ in range(rng.randrange(3))]
        if kind == 5:
            return {rng.choice(words): junk(depth - 1) for _ in range(rng.randrange(4))}
        return rng.choice(words) if kind < 2 else rng.choice([0, 1, -1, 2.5, None, True])

    for _ in range(3000):
        schema = {rng.choice(words): junk(2) for _ in range(3)} | {"type": rng.choice(words[1:4] + ["integer"])}
        try:
            here.schema.schema_tree(schema)
        except ValueError as error:
            assert "\n" not in str(error)


def test_references_that_double_and_nesting_without_end(here):
    schema = {"$defs": {f"d{i}": {"type": "object", "properties": {n: {"$ref": f"#/$defs/d{i + 1}"} for n in "ab"}}
                        for i in range(40)} | {"d40": {"type": "null"}}, "$ref": "#/$defs/d0"}  # fmt: skip
    with pytest.raises(ValueError, match="more than 10,000 parts"):
        here.schema.schema_tree(schema)
    deep = {"type": "null"}
    for _ in range(3000):
        deep = {"type": "array", "items": deep}
    with pytest.raises(ValueError, match="nested too deeply"):
        here.automaton.compile_tree(here.schema.schema_tree(deep))


# The programs


def test_the_programs_show_what_they_say(here, capsys, tmp_path, monkeypatch, run_script):
    here.expression.main([])
    here.automaton.main([])
    here.schema.main([])
    assert "(?:cat|dog)s?" in (out := capsys.readouterr().out) and "'777'        does not fit" in out
    monkeypatch.setattr(here.structured, "FIGURE", str(tmp_path / "form.svg"))
    here.structured.main(["--random", "1", "--regex", "[a-z]{2,5}!", "--count", "2", "--plot"])
    out, facts = capsys.readouterr()
    assert all(compiled("[a-z]{2,5}!").fullmatch(line) for line in out.splitlines()[:2]) and "states" in facts
    (tmp_path / "s.json").write_text('{"type": "array", "items": {"type": "boolean"}, "minItems": 3, "maxItems": 3}')
    here.structured.main(["--random", "1", "--schema", str(tmp_path / "s.json"), "--temperature", "1.5"])
    assert all(len(json.loads(line)) == 3 for line in capsys.readouterr().out.splitlines())
    monkeypatch.setattr(here.speculative, "FIGURE", str(tmp_path / "gain.svg"))
    monkeypatch.setattr(here.draft, "ROW", 32)
    monkeypatch.setattr(here.draft, "stories_to_count", lambda tokenizer: (np.arange(300) % 50, np.arange(20)))
    flags = ["--random", "1", "--stories", "1", "--tokens", "6", "--k", "1", "3", "--steps", "1", "--plot"]
    here.speculative.main([*flags, "--draft", "lookup", "model", "--drafts", str(tmp_path / "draft")])
    assert "together" in (out := capsys.readouterr().out) and "tokens a pass" in out
    here.draft.main(["--random", "1", "--stories", "1", "--steps", "1", "--own", "1", "--out", str(tmp_path / "draft")])
    assert "in common" in (out := capsys.readouterr().out) and "both" in out
    assert all((tmp_path / name).read_text().count("<path") > 5 for name in ("form.svg", "gain.svg"))


@pytest.mark.parametrize("module, flags, message", [
    ("structured", ["nowhere"], "no model folder nowhere"), ("structured", ["--regex", "(a"], "never closed"),
    ("structured", ["--schema", "nowhere.json"], "cannot be read"),
    ("structured", ["--schema", "README.md"], "not valid JSON"),
    ("structured", ["--random", "1", "--tokens", "3"], "there is room for 3"), ("expression", ["*"], "out of place"),
    ("structured", ["--random", "1", "--top-p", "0"], "top_p must be"), ("automaton", ["*"], "out of place"),
    ("speculative", ["nowhere"], "no model folder nowhere"), ("schema", ["nowhere.json"], "cannot be read"),
    ("speculative", ["--random", "1", "--top-p", "0"], "top_p must be"),
])  # fmt: skip
def test_mistakes_are_one_line(here, module, flags, message, monkeypatch, root):
    monkeypatch.chdir(root)
    with pytest.raises(here.cli.UserError, match=message):
        getattr(here, module).main(flags)
