"""Counting: probabilities that sum to one, references by brute force, the layer's gradient, planted bugs noticed."""

import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter

import numpy as np
import pytest
import torch

END, V = 256, 257
TEXTS = ["Once upon a time.", "Zoé met a fox. 😊", "a", "\n", "日本語", "\x00\x7f\x80ÿ", "aaaaaaaaaaaaaaaaaaaaaaaa"]


@pytest.fixture(scope="module")
def bg(chapter):
    return chapter("bigram")


@pytest.fixture(scope="module")
def UserError(bg):
    return bg.cli.UserError


@pytest.fixture(scope="module")
def stories(bg, root):
    return bg.stories.load_split(root / "datasets/stories", "valid")


@pytest.fixture
def folder(tmp_path):
    """folder(train, valid): a folder of stories, given as lists of texts."""

    def folder(train, valid=("aab",)):
        for split, texts in (("train", train), ("valid", valid)):
            (tmp_path / f"{split}.txt").write_text("\n<|endoftext|>\n".join(texts), encoding="utf-8")
        return tmp_path

    return folder


def random_texts(seed, count, alphabet="aaaaabbbcé", longest=12):
    rng = random.Random(seed)
    return ["".join(rng.choices(alphabet, k=rng.randrange(1, longest))) for _ in range(count)]


def close(a, b, atol=1e-12):
    """Written so that NaN fails."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= atol))


# --- letters ------------------------------------------------------------------------------------------


def check_letters(module):
    for code in [*range(0, 0xD800, 7), *range(0xE000, 0x110000, 101), 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x10000, 0x10FFFF]:
        assert bytes(module.utf8_bytes(code)) == chr(code).encode("utf-8"), hex(code)


def test_utf8(bg):
    check_letters(bg.letters)


def test_the_story_in_bytes(run_script):
    output = run_script("bigram/letters.py").stdout
    assert "é           233              11101001   195 169           11000011 10101001" in output
    assert "16 characters, 20 bytes" in output and "1,112,064 characters" in output
    assert "3 characters, 9 bytes" in run_script("bigram/letters.py", "--text", "日本語").stdout
    assert "cut short" not in run_script("bigram/letters.py", "--text", "abc").stdout


# --- random numbers -----------------------------------------------------------------------------------


def test_splitmix64_is_the_published_one(bg):
    state, values = 1234567, []
    for _ in range(5):
        state, value = bg.rng.splitmix64(state)
        values.append(value)
    assert values == [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431,
                      16408922859458223821]  # fmt: skip


def test_pcg32_is_the_published_one(bg):
    """The first numbers of O'Neill's demonstration program, seeded there with 42 and 54."""
    rng = bg.rng.PCG32()
    rng.state, rng.inc = 0, 54 << 1 | 1
    rng.next_u32()
    rng.state = (rng.state + 42) & bg.rng.MASK64
    rng.next_u32()
    assert [rng.next_u32() for _ in range(6)] == [0xA15C02B7, 0x7B47F409, 0xBA1D3330, 0x83D2F293, 0xBFA4784B, 0xCBED606E]


def test_uniform_below_and_normal(bg):
    rng = bg.rng.PCG32(3)
    uniform = np.array([rng.uniform() for _ in range(20000)])
    assert 0 <= uniform.min() and uniform.max() < 1 and abs(uniform.mean() - 0.5) < 0.01
    below = Counter(rng.below(6) for _ in range(12000))
    assert sorted(below) == list(range(6)) and all(abs(n - 2000) < 200 for n in below.values())
    normal = np.array([rng.normal() for _ in range(20000)])
    assert abs(normal.mean()) < 0.03 and abs(normal.std() - 1) < 0.02
    assert all(bg.rng.PCG32(seed).next_u32() != bg.rng.PCG32(seed + 1).next_u32() for seed in range(100))


def test_choice_draws_as_often_as_likely(bg):
    rng, p = bg.rng.PCG32(5), [0.0, 0.5, 0.125, 0.0, 0.375, 0.0]
    drawn = Counter(rng.choice(p) for _ in range(16000))
    assert sorted(drawn) == [1, 2, 4]
    assert all(abs(drawn[i] / 16000 - p[i]) < 0.015 for i in range(6))
    assert {bg.rng.PCG32(seed).choice([0.0, 1e-300, 0.0]) for seed in range(50)} == {1}


# --- stories ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text, found", [
    ("one\n<|endoftext|>\ntwo", ["one", "two"]),
    ("one\n<|endoftext|>\ntwo\n", ["one", "two"]),
    ("one\r\n <|endoftext|> \r\n\n  two  \n<|endoftext|>\n\n<|endoftext|>", ["one", "two"]),
    ("a\nb\n\nc", ["a\nb\n\nc"]),
    ("one <|endoftext|> two", ["one <|endoftext|> two"]),
])  # fmt: skip
def test_reading_stories(bg, tmp_path, text, found):
    (tmp_path / "x.txt").write_bytes(text.encode("utf-8"))
    assert bg.stories.read_stories(tmp_path / "x.txt") == found


@pytest.mark.parametrize("content, message", [
    (None, "does not exist"), (b"\xff", "is not UTF-8 text (byte 0)"), (b" \n<|endoftext|>\n", "holds no story"),
])  # fmt: skip
def test_files_that_are_no_stories(bg, UserError, tmp_path, content, message):
    if content is not None:
        (tmp_path / "x.txt").write_bytes(content)
    with pytest.raises(UserError, match=re.escape(message)):
        bg.stories.read_stories(tmp_path / "x.txt")


# --- counting pairs -----------------------------------------------------------------------------------


def pairs_of(texts):
    """The definition, once more: each byte with the one before it, END around each story."""
    found = Counter()
    for text in texts:
        before = END
        for symbol in [*text.encode("utf-8"), END]:
            found[before, symbol] += 1
            before = symbol
    return found


def check_bigram(module, texts, alpha=0.25):
    """Every function of bigram.py against its definition, on some stories."""
    pairs = pairs_of(texts)
    counts = module.count_bigrams(module.symbols(text) for text in texts)
    assert {(a, b): n for a in range(V) for b in range(V) if (n := counts[a][b])} == dict(pairs)
    table = module.count_array(module.symbol_stream(texts))
    assert table.tolist() == counts
    p = module.smooth(counts, alpha)
    assert module.smooth_array(table, alpha).tolist() == p
    assert close(np.sum(p, axis=1), np.ones(V))
    (a, b), n = pairs.most_common(1)[0]
    assert p[a][b] == (n + alpha) / (sum(counts[a]) + V * alpha)
    bits, n_bytes = 0.0, 0
    for text in TEXTS:
        for (a, b), n in pairs_of([text]).items():
            bits += n * math.log2((sum(counts[a]) + V * alpha) / (counts[a][b] + alpha))
        n_bytes += len(text.encode("utf-8"))
    assert math.isclose(module.bits_per_byte(p, TEXTS), bits / n_bytes, rel_tol=1e-12)
    assert math.isclose(module.table_bits(np.array(p), module.count_array(module.symbol_stream(TEXTS))), bits, rel_tol=1e-12)
    check_sampling(module)


def check_sampling(module):
    """From a model that knows one story only this story comes; and the shares drawn are the probabilities."""
    from_one = module.smooth(module.count_bigrams([module.symbols("Tom sang")]), 0)
    assert module.sample_story(from_one, module.PCG32(1), 100) == (b"Tom sang", True)
    assert module.sample_story(from_one, module.PCG32(1), 3) == (b"Tom", False)
    assert module.sample_story(from_one, module.PCG32(1), 8) == (b"Tom sang", False)
    p = module.smooth(module.count_bigrams([module.symbols(text) for text in ("ab", "ba", "b", "abba")]), 0)
    rng, drawn = module.PCG32(2), Counter()
    for _ in range(4000):
        story, ended = module.sample_story(p, rng, 1000)
        assert ended
        drawn.update(pairs_of([story.decode()]))
    for a in (END, ord("a"), ord("b")):
        total = sum(n for (first, _), n in drawn.items() if first == a)
        assert all(abs(drawn[a, b] / total - p[a][b]) < 0.02 for b in range(V)), f"after {a}"


@pytest.mark.parametrize("texts", [TEXTS, ["a"], random_texts(1, 200)])
def test_counting(bg, texts):
    check_bigram(bg.bigram, texts)


PLANTED_IN_BIGRAM = {
    "the pair turned around": ("counts[a][b] += 1", "counts[b][a] += 1"),
    "no END after a story": ('return [END, *story.encode("utf-8"), END]', 'return [END, *story.encode("utf-8")]'),
    "characters for bytes": ('*story.encode("utf-8"), END]', "*(min(ord(c), 255) for c in story), END]"),
    "alpha once a row": ("sum(row) + len(row) * alpha", "sum(row) + alpha"),
    "alpha not above": ("[(count + alpha) / total", "[count / total"),
    "nats for bits": ("bits += -math.log2", "bits += -math.log"),
    "divided by characters": ('bits / sum(len(story.encode("utf-8")) for', "bits / sum(len(story) for"),
    "divided by symbols": ('bits / sum(len(story.encode("utf-8")) for', 'bits / sum(len(story.encode("utf-8")) + 1 for'),
    "always from END": ("rng.choice(p[last])", "rng.choice(p[END])"),
    "END is written": ("        if last == END:\n            return bytes(story), True\n", ""),
    "one byte too many": ("while len(story) < length:", "while len(story) <= length:"),
    "END left as 255": ("np.where(stream == 255, END, stream)", "stream"),
    "stories without a mark between": ('b"\\xff".join', 'b"".join'),
    "the table turned around": ("stream[:-1] * V + stream[1:]", "stream[1:] * V + stream[:-1]"),
    "totals of columns": ("counts.sum(axis=1, keepdims=True) + V * alpha", "counts.sum(axis=0, keepdims=True) + V * alpha"),
    "every kind of pair once": ("(counts[counts > 0] * surprise[counts > 0]).sum()", "surprise[counts > 0].sum()"),
}


@pytest.mark.parametrize("bug", PLANTED_IN_BIGRAM)
def test_a_bug_planted_in_the_counting_is_noticed(planted, bug):
    module = planted("bigram", *PLANTED_IN_BIGRAM[bug])
    with pytest.raises((AssertionError, ValueError, OverflowError)):
        check_bigram(module, random_texts(2, 100))


def test_without_alpha_what_was_never_seen_is_impossible(bg):
    counts = bg.bigram.count_bigrams([bg.bigram.symbols("ab")])
    p = bg.bigram.smooth(counts, 0)
    assert p[ord("z")] == [0.0] * V
    assert bg.bigram.bits_per_byte(p, ["ab"]) == 0
    assert bg.bigram.bits_per_byte(p, ["ba"]) == math.inf
    table = bg.bigram.count_array(bg.bigram.symbol_stream(["ba"]))
    assert bg.bigram.table_bits(np.array(p), table) == math.inf


def test_counting_is_the_best_of_all_tables(bg, stories):
    """Maximum likelihood: any other probabilities give the stories that were counted more bits."""
    table = bg.bigram.count_array(bg.bigram.symbol_stream(stories))
    p, rng = bg.bigram.smooth_array(table, 0), np.random.default_rng(1)
    best = bg.bigram.table_bits(p, table)
    for _ in range(30):
        other = (p + 1e-12) * np.exp(rng.normal(0, 0.05, p.shape))
        assert bg.bigram.table_bits(other / other.sum(axis=1, keepdims=True), table) > best


def test_bits_of_a_model_that_knows_nothing(bg, stories):
    p = [[1 / V] * V] * V
    assert math.isclose(bg.bigram.sequence_bits(p, bg.bigram.symbols("x" * 9)), 10 * math.log2(257))


# --- one layer ----------------------------------------------------------------------------------------


def check_layer(module, seed=0):
    """Loss and gradient against torch's, the row's against a finite difference, and the counts are reached."""
    rng = np.random.default_rng(seed)
    W, counts = rng.normal(0, 1, (6, 6)), rng.integers(0, 5, (6, 6))
    counts[0], counts[4], counts[5] = 100 * counts[0], 0, [0, 2, 0, 1, 0, 0]  # frequent, never seen, rare
    pairs = [(a, b) for a in range(6) for b in range(6) for _ in range(counts[a, b])]
    first, second = (torch.tensor(column) for column in zip(*pairs))
    weight = torch.tensor(W, requires_grad=True)
    theirs = torch.nn.functional.cross_entropy(weight[first], second)
    theirs.backward()
    loss, gradient = module.loss_and_gradient(W, counts)
    assert math.isclose(loss, theirs.item(), rel_tol=1e-12), "the loss differs"
    assert close(gradient, weight.grad.numpy()), "the gradient differs"
    row, row_counts, h = W[0].tolist(), [3, 0, 1, 2, 0, 4], 1e-6
    assert close(module.softmax(row), torch.softmax(torch.tensor(W[0]), 0).numpy())
    assert close(module.softmax_rows(W), torch.softmax(torch.tensor(W), 1).numpy())
    assert close(module.softmax([1000.0, 1000.0]), [0.5, 0.5])
    assert close(module.softmax_rows(W + 1000), module.softmax_rows(W), 1e-10)
    for b, slope in enumerate(module.row_gradient(row, row_counts)):
        up, down = ([s + sign * h * (i == b) for i, s in enumerate(row)] for sign in (1, -1))
        difference = (module.row_loss(up, row_counts) - module.row_loss(down, row_counts)) / (2 * h)
        assert abs(slope - difference) <= 1e-7, "the row's gradient differs"
    seen = counts.sum(axis=1) > 0
    p = module.softmax_rows(module.descend(counts, 3000, 3.0, row_by_row=True))
    assert close(p[seen], counts[seen] / counts[seen].sum(axis=1, keepdims=True), 1e-3), "it does not arrive"
    assert close(p[~seen], np.full((1, 6), 1 / 6)), "a row that was never seen has changed"


def test_the_layer(bg):
    for seed in range(5):
        check_layer(bg.layer, seed)


PLANTED_IN_LAYER = {
    "uphill": ("W -= learning_rate * scale * gradient", "W += learning_rate * scale * gradient"),
    "the sum for the mean": ("* p - counts) / N", "* p - counts)"),
    "every row alike": ("(counts.sum(axis=1, keepdims=True) * p - counts) / N", "(counts.sum() * p - counts) / N"),
    "softmax of columns": ("e / e.sum(axis=-1, keepdims=True)", "e / e.sum(axis=0, keepdims=True)"),
    "softmax that overflows": ("np.exp(W - W.max(axis=-1, keepdims=True))", "np.exp(W)"),
    "the gradient turned around": ("[p - c / sum(counts) for", "[c / sum(counts) - p for"),
    "the target forgotten": ("[p - c / sum(counts) for", "[p for"),
    "rows not divided": ("counts.sum() / np.maximum(totals, 1) if row_by_row", "1.0 if row_by_row"),
}


@pytest.mark.parametrize("bug", PLANTED_IN_LAYER)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_bug_planted_in_the_layer_is_noticed(planted, bug):
    module = planted("layer", *PLANTED_IN_LAYER[bug])
    with pytest.raises((AssertionError, OverflowError)):
        for seed in range(5):
            check_layer(module, seed)


def test_mini_batches_near_the_counts(bg):
    """Over several seeds: on the pairs of a text with few symbols, the layer comes near the counts."""
    stream = bg.bigram.symbol_stream(random_texts(9, 300))
    counts = bg.bigram.count_array(stream)
    frequent = counts.sum(axis=1) > 50
    wanted = counts[frequent] / counts[frequent].sum(axis=1, keepdims=True)
    for seed in range(3):
        W = bg.layer.descend_in_batches(stream, 400, 10.0, bg.rng.PCG32(seed))
        assert close(bg.layer.softmax_rows(W)[frequent], wanted, 0.08)
    assert close(W, bg.layer.descend_in_batches(stream, 400, 10.0, bg.rng.PCG32(seed)))


def test_more_steps_come_nearer(bg, stories):
    counts = bg.bigram.count_array(bg.bigram.symbol_stream(stories))
    p = bg.bigram.smooth_array(counts, 0)
    apart = [np.abs(bg.layer.softmax_rows(bg.layer.descend(counts, steps, 3.0, row_by_row=True)) - p).max()
             for steps in (30, 100, 300)]  # fmt: skip
    assert 0.1 > apart[0] > 2 * apart[1] > 4 * apart[2]


# --- longer contexts ----------------------------------------------------------------------------------


class Reference:
    """n-grams by the formulas, with dictionaries and tuples: slow, and nothing in common with grams.py."""

    def __init__(self, texts, order):
        self.order, self.counts, self.known = order, [Counter() for _ in range(order)], {}
        for text in texts:
            sequence = [END, *text.encode("utf-8"), END]
            for i in range(1, len(sequence)):
                for k in range(min(order, i + 1)):
                    if i - k >= 0:
                        self.counts[k][tuple(sequence[i - k : i + 1])] += 1

    def adjusted(self, k):
        if k == self.order - 1:
            return self.counts[k]
        before = Counter(gram[1:] for gram in self.counts[k + 1])
        return {gram: count if k and gram[0] == END else before[gram] for gram, count in self.counts[k].items()}

    @staticmethod
    def discounts(counts):
        n = Counter(counts.values())
        if all(n[c] for c in (1, 2, 3, 4)):
            Y = n[1] / (n[1] + 2 * n[2])
            D = [1 - 2 * Y * n[2] / n[1], 2 - 3 * Y * n[3] / n[2], 3 - 4 * Y * n[4] / n[3]]
            if all(0 < d < c for c, d in zip((1, 2, 3), D)):
                return [0, *D]
        return [0, 0.5, 1, 1.5]

    def kneser_ney(self, context):
        """p of all V symbols after a context, a tuple of at most order - 1 symbols."""
        k = len(context)
        if k not in self.known:
            self.known[k] = self.adjusted(k), self.discounts(self.adjusted(k))
        (counts, D), below = self.known[k], self.kneser_ney(context[1:]) if k else [1 / V] * V
        row = [counts.get((*context, s), 0) for s in range(V)]
        if not sum(row):
            return below
        gamma = sum(D[min(c, 3)] for c in row) / sum(row)
        return [(c - D[min(c, 3)]) / sum(row) + gamma * b for c, b in zip(row, below)]

    def witten_bell(self, context):
        below = self.witten_bell(context[1:]) if context else [1 / V] * V
        row = [self.counts[len(context)].get((*context, s), 0) for s in range(V)]
        followers = sum(c > 0 for c in row)
        return [(c + followers * b) / (sum(row) + followers) for c, b in zip(row, below)] if followers else below

    def add_alpha(self, context, alpha):
        row = [self.counts[len(context)].get((*context, s), 0) for s in range(V)]
        return [(c + alpha) / (sum(row) + V * alpha) for c in row]


def contexts_and_symbols(texts, order):
    """For each predicted place: its context, at most order - 1 symbols and never before the story's END, and the symbol."""
    for text in texts:
        sequence = [END, *text.encode("utf-8"), END]
        for i in range(1, len(sequence)):
            yield tuple(sequence[max(0, i - order + 1) : i]), sequence[i]


def check_ngram(module, grams_module, train, test, orders):
    """All orders and smoothings, symbol for symbol, against the reference."""
    stream = module.symbol_stream
    grams = grams_module.Grams(stream(train), orders)
    found = grams.locate(stream(test))
    ways = {0.3: lambda r, c: r.add_alpha(c, 0.3), "Witten-Bell": Reference.witten_bell, "Kneser-Ney": Reference.kneser_ney}
    for smoothing, way in ways.items():
        for order, p in enumerate(module.all_orders(grams, found, smoothing), start=1):
            reference = Reference(train, order)
            wanted = [way(reference, context)[s] for context, s in contexts_and_symbols(test, order)]
            assert close(p, wanted), f"{smoothing}, order {order}"
    rng = random.Random(4)
    for order in range(1, orders + 1):
        reference, model = Reference(train, order), module.KneserNey(grams, order)
        for _ in range(4):  # random contexts, most of them never seen
            history = [END, *rng.choices(b"abc\xc3\xa9z", k=rng.randrange(0, 5))]
            row = model.row(history)
            assert abs(row.sum() - 1) <= 1e-12 and row.min() > 0
            assert close(row, reference.kneser_ney(tuple(history[max(0, len(history) - order + 1) :]))), (order, history)


CORPORA = {
    "many short stories": (random_texts(1, 150), random_texts(2, 12, "aaabbcéz"), 4),
    "few letters": (random_texts(3, 120, "ab", 9), random_texts(4, 10, "abc", 9), 5),
    "one story": (["abracadabra"], ["abra", "z"], 3),
    "shorter than the order": (["ab", "a"], ["abab", "b"], 6),
}


@pytest.mark.parametrize("name", CORPORA)
def test_ngrams_are_the_formulas(bg, name):
    check_ngram(bg.ngram, bg.grams, *CORPORA[name])


def test_the_discounts_are_estimated(bg):
    """The corpora above reach both branches: discounts by the formula, and those for too few counts."""
    train, _, order = CORPORA["many short stories"]
    reference = Reference(train, order)
    assert Reference.discounts(reference.counts[order - 1]) != [0, 0.5, 1, 1.5]
    counts = np.array([1] * 40 + [2] * 12 + [3] * 6 + [4] * 4 + [9] * 5)
    Y = 40 / (40 + 2 * 12)
    assert close(bg.ngram.discounts(counts), [0, 1 - 2 * Y * 12 / 40, 2 - 3 * Y * 6 / 12, 3 - 4 * Y * 4 / 6])
    assert close(bg.ngram.discounts(np.array([1, 1, 2, 5])), [0, 0.5, 1, 1.5])
    assert close(bg.ngram.discounts(np.array([], dtype=np.int64)), [0, 0.5, 1, 1.5])


PLANTED_IN_NGRAM = {
    "true counts below the top": ("if top else continuation_counts(grams, k)", "if top else grams.counts[k]"),
    "continuation counts at the top": ("top=True), found[k], p)", "top=k + 1 == len(grams)), found[k], p)"),
    "nothing before a story": ("np.where(different > 0, different, grams.counts[k])", "different"),
    "one discount too large": ("c - (c + 1) * Y", "c - c * Y"),
    "Y of other counts": ("n[1] / (n[1] + 2 * n[2])", "n[1] / (n[1] + n[2])"),
    "two discounts in place of three": ("[np.minimum(counts, 3)]", "[np.minimum(counts, 2)]"),
    "discounts not taken": ("counts - discount, per_context", "counts + 0 * discount, per_context"),
    "the discounts not given away": ("per_context(grams, k, discount))", "per_context(grams, k).astype(float))"),
    "nothing left for a new context": ("context, 0)], 1.0)", "context, 0)], 0.0)"),
    "a story's beginning": ("np.where(found[k][0] == -2, p, alone)", "alone"),
    "uniform below": ("return kept + left * below", "return kept + left / V"),
    "Witten-Bell's followers": ("per_context(grams, k).astype(float))", "per_context(grams, k) * 0.0)"),
    "alpha for one symbol": ("V * alpha)", "alpha)"),
    "rows: forgotten left": ("p = level.left[context] * p", "p = p + 0"),
    "rows: a context too long": ("history[len(history) - k :]", "history[len(history) - k - 1 :]"),
}  # fmt: skip

PLANTED_IN_GRAMS = {
    "over the END": ("np.maximum.accumulate(np.where(stream == END, at, 0))", "0 * at"),
    "one symbol less": ("at[1:] - last_end[:-1]", "at[1:] - last_end[:-1] - 1"),
    "the next one's context is this one's": ("[[np.searchsorted(self.keys[0], END)], gram_at[:-1]]", "[[0], gram_at[:-1]]"),
    "the place of another": ("places[position] = np.repeat", "places[:] = np.repeat"),
    "a gram that is not there": ("(context >= 0) & (self.keys[k][at] == wanted)", "context >= 0"),
    "the suffix of another": ("suffix[gram] = shorter[here]", "suffix[gram] = shorter[: len(gram)]"),
}


@pytest.mark.parametrize("bug", PLANTED_IN_NGRAM)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_bug_planted_in_the_ngrams_is_noticed(bg, planted, bug):
    module = planted("ngram", *PLANTED_IN_NGRAM[bug])
    with pytest.raises((AssertionError, IndexError, ValueError)):
        check_ngram(module, bg.grams, *CORPORA["many short stories"])


@pytest.mark.parametrize("bug", PLANTED_IN_GRAMS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_bug_planted_in_the_tables_is_noticed(bg, planted, bug):
    module = planted("grams", *PLANTED_IN_GRAMS[bug])
    with pytest.raises((AssertionError, IndexError, ValueError)):
        check_ngram(bg.ngram, module, *CORPORA["many short stories"])


def test_rank_is_unique(bg):
    rng = np.random.default_rng(0)
    for size, high in ((0, 1), (1, 1), (1000, 3), (1000, 10**9)):
        values = rng.integers(0, high, size)
        keys, counts, places = bg.grams.rank(values)
        theirs = np.unique(values, return_inverse=True, return_counts=True)
        assert all(np.array_equal(ours, other) for ours, other in zip((keys, places, counts), theirs))


def test_rank_refuses_what_does_not_fit(bg, UserError):
    with pytest.raises(UserError, match="fewer --orders"):
        bg.grams.rank(np.array([1 << 62, 1]))


def test_order_two_is_the_bigram(bg, stories):
    """add-alpha of order 2 is bigram.py to the last digit or nearly."""
    train, valid = stories[:200], stories[200:]
    p = bg.bigram.smooth_array(bg.bigram.count_array(bg.bigram.symbol_stream(train)), 0.01)
    curves = bg.ngram.curves(bg.grams.Grams(bg.bigram.symbol_stream(train), 2), valid, (0.01,))
    assert math.isclose(curves[0.01][1], bg.bigram.bits_per_byte(p.tolist(), valid), rel_tol=1e-9)


def test_where_counting_stops(bg, root):
    """On a fifth of the stories: add-alpha's curve turns up again, Kneser-Ney's is the lowest; train keeps falling."""
    train = bg.stories.load_split(root / "datasets/stories", "train")[::5]
    valid = bg.stories.load_split(root / "datasets/stories", "valid")[::4]
    grams = bg.grams.Grams(bg.bigram.symbol_stream(train), 10)
    on_valid, on_train = bg.ngram.curves(grams, valid, (0.001,)), bg.ngram.curves(grams, train[:70], (0.001,))
    assert np.argmin(on_valid[0.001]) < 8 and on_valid[0.001][9] > min(on_valid[0.001]) + 0.2
    assert np.all(np.diff(on_train[0.001]) < 0)
    assert on_valid["Kneser-Ney"][9] < on_valid["Witten-Bell"][9] - 0.05 < on_valid[0.001][9] - 0.5
    assert on_train["Kneser-Ney"][9] < on_valid["Kneser-Ney"][9] - 0.2
    assert on_valid["Kneser-Ney"][9] < 1.1


def test_longest_copy(bg):
    assert bg.ngram.longest_copy(b"xxhello worldyy", b"say hello world twice") == len(b"hello world")
    assert bg.ngram.longest_copy(b"abc", b"") == 0
    assert bg.ngram.longest_copy(b"abc", b"abc") == 3


def test_a_sampled_story_of_a_high_order_is_a_story_that_was_read(bg):
    """One story, and contexts that are long enough to know their place in it: nothing else can follow. Smoothing leaks."""
    texts = ["The quick brown fox jumps over a lazy dog"] * 50
    model = bg.ngram.KneserNey(bg.grams.Grams(bg.bigram.symbol_stream(texts), 8), 8)
    told = Counter(bg.ngram.continue_text(model, bg.rng.PCG32(seed), 60).decode("utf-8", "replace") for seed in range(20))
    assert told.most_common(1)[0][0] == texts[0] and told[texts[0]] >= 10


# --- as a reader runs them ----------------------------------------------------------------------------


def test_by_hand(run_script):
    output = run_script("bigram/by_hand.py").stdout
    assert "0.333 * 0.600 * 0.600 * 0.600 * 0.400 = 0.0288, 5.118 bits" in output
    assert "inf bits" in output and "= 0.0156, 6.000 bits, 1.500 bits per byte" in output


def test_the_number_and_the_scoreboard(run_script, clone):
    scores = clone / "out/scoreboard.jsonl"
    before = scores.read_text().count("\n") if scores.exists() else 0
    output = run_script("bigram/bigram.py", "--seed", 7).stdout
    assert "train 3.413657 bits per byte\nvalid 3.407556 bits per byte\nstories:\n" in output
    assert "counted 4,934,415 pairs, 879 different ones of 66,049 possible" in output
    (line,) = map(json.loads, scores.read_text().splitlines()[before:])
    assert (line["chapter"], line["model"], line["data"], line["bpb"]) == ("bigram", "bigram", "datasets/stories", 3.4076)


def test_ngram_and_layer_as_programs(run_script, folder):
    data = folder(random_texts(1, 60), random_texts(2, 10))
    output = run_script("bigram/ngram.py", "--data", data, "--orders", 4).stdout
    assert "chosen on stories held out" in output and "order 3, longest piece copied" in output
    output = run_script("bigram/layer.py", "--data", data, "--steps", 300).stdout
    assert "each row its own mean" in output and "without any alpha" in output


def test_the_smallest_data(run_script, folder):
    data = folder(["a"], ["b"])
    run_script("bigram/ngram.py", "--data", data)
    run_script("bigram/layer.py", "--data", data, "--steps", 2)
    output = run_script("bigram/bigram.py", "--data", data, "--alpha", 0, "--length", 5).stdout
    assert "valid inf bits per byte\nstories:\na\n<|endoftext|>\na\n<|endoftext|>\na\n<|endoftext|>\n" in output
    assert "(cut off at 1 bytes)" in run_script("bigram/bigram.py", "--data", data, "--alpha", 0, "--length", 1).stdout


def test_same_seed_same_stories(run_script, folder):
    data = folder(random_texts(5, 80), ["ab"])
    outputs = [run_script("bigram/bigram.py", "--data", data, "--seed", seed).stdout for seed in (1, 1, 2)]
    told = [output.split("stories:\n")[1] for output in outputs]
    assert told[0] == told[1] != told[2]


@pytest.mark.parametrize("command, message", [
    ("bigram/bigram.py --data nowhere", "--data nowhere: there is no such folder"),
    ("bigram/ngram.py --data nowhere", "--data nowhere: there is no such folder"),
    ("bigram/layer.py --data nowhere", "--data nowhere: there is no such folder"),
    ("bigram/bigram.py --data tests", "tests/train.txt does not exist"),
    ("bigram/bigram.py --alpha -1", "'-1' is not a number of at least 0"),
    ("bigram/bigram.py --alpha nan", "is not a number of at least 0"),
    ("bigram/bigram.py --seed x", "'x' is not a whole number of at least 0"),
    ("bigram/bigram.py --stories 0", "is not a whole number of at least 1"),
    ("bigram/bigram.py --length 0", "is not a whole number of at least 1"),
    ("bigram/ngram.py --orders 0", "is not a whole number of at least 1"),
    ("bigram/layer.py --steps 0", "is not a whole number of at least 1"),
    ("bigram/by_hand.py --plot x.gif", "--plot x.gif: the name must end in .svg or .png"),
    ("bigram/by_hand.py --plot Makefile/x.svg", "--plot Makefile/x.svg: "),
    ("bigram/letters.py --text ''", "--text is empty"),
])  # fmt: skip
def test_mistakes_are_one_line(run_command, command, message):
    result = run_command(f"python {command}", status=2)
    lines = [line for line in result.stderr.splitlines() if not line.startswith(("usage:", " "))]
    assert message in lines[-1] and len(lines) == 1 and "Traceback" not in result.stderr


def test_pictures(bg, run_script, tmp_path, root, folder):
    data = folder(random_texts(1, 60), random_texts(2, 10))
    pictures = {
        "pairs": ("bigram/by_hand.py",), "table": ("bigram/bigram.py", "--data", data),
        "orders": ("bigram/ngram.py", "--data", data, "--orders", 3),
    }  # fmt: skip
    for name, command in pictures.items():
        path = tmp_path / f"{name}.svg"
        run_script(*command, "--plot", path)
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
        assert (root / f"bigram/figures/{name}.svg").stat().st_size < 150_000
    run_script("bigram/by_hand.py", "--plot", tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == (root / "bigram/figures/pairs.svg").read_bytes()


# --- exercises ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["temperature", "kneser_ney_bigram"])
def test_answers(answers, bg, name):
    bg.checks.CHECKS[name](getattr(answers("bigram"), name))


def test_checks_notice_wrong_answers(bg):
    def by_counts(counts, discount):  # the lower order from counts, not from kinds of pairs
        totals = [sum(row[b] for row in counts) for b in range(len(counts))]
        p = [t / sum(totals) for t in totals]
        return [[max(c - discount, 0) / sum(row) + discount * sum(x > 0 for x in row) / sum(row) * q
                 for c, q in zip(row, p)] if sum(row) else p for row in counts]  # fmt: skip

    wrong = {
        "temperature": [lambda row, t: row, lambda row, t: [p ** (t or 1) / sum(q ** (t or 1) for q in row) for p in row],
                        lambda row, t: [float("nan")] * len(row)],
        "kneser_ney_bigram": [by_counts, lambda counts, discount: [[float("nan")] * len(row) for row in counts]],
    }  # fmt: skip
    for name, answers in wrong.items():
        for answer in answers:
            with pytest.raises((AssertionError, OverflowError)):
                bg.checks.CHECKS[name](answer)


def test_exercises_run(run_script):
    assert run_script("bigram/exercises.py").stdout.count("not written yet") == 2
    assert run_script("bigram/solutions.py").stdout.count("passes") == 2


# --- the same in C -----------------------------------------------------------------------------------

# Reads each file that it is given, as the C programs do, and writes what read_stories gave: an error, or the
# stories, each with its length in front.
READER = r"""
#define _POSIX_C_SOURCE 200809L
#include "stories.h"

int main(int argc, char **argv) {
    char error[ERROR_SIZE];
    for (int i = 1; i < argc; i++) {
        Stories stories;
        if (!read_stories(argv[i], &stories, error)) {
            printf("error %zu:%s", strlen(error), error);
            continue;
        }
        printf("stories %zu:", stories.count);
        for (size_t s = 0; s < stories.count; s++) {
            printf("%zu:", stories.items[s].length);
            fwrite(stories.items[s].bytes, 1, stories.items[s].length, stdout);
        }
        free_stories(&stories);
    }
    return 0;
}
"""
NASTY = {
    "no final newline": b"one\n<|endoftext|>\ntwo",
    "final END": b"one\n<|endoftext|>\ntwo\n<|endoftext|>\n",
    "final END without newline": b"one\n<|endoftext|>",
    "carriage returns": b"one\r\nmore\r\n<|endoftext|>\r\n\r\ntwo\r\n<|endoftext|>\r\n",
    "only carriage returns": b"one\r<|endoftext|>\rtwo\r",
    "empty stories": b"\n\n<|endoftext|>\n<|endoftext|>\n \t \n<|endoftext|>\none\n<|endoftext|>\n\n",
    "white space around END": b"one\n  <|endoftext|>\t\x0b\x0c \ntwo",
    "END inside a line": b"one <|endoftext|>\ntwo <|endoftext|> three\n<|endoftext|>.\n",
    "END twice in a line": b"one\n<|endoftext|><|endoftext|>\ntwo",
    "half an END": b"one\n<|endoftext|\n>\n|endoftext|>\n<|ENDOFTEXT|>\n",
    "zero bytes": b"\x00\n<|endoftext|>\na\x00b\n<|endoftext|>\x00\nc\x00",
    "separators": b"\x1cone\x1d\n\x1e<|endoftext|>\x1f\ntwo\x1a",
    "Unicode white space": "\u3000one\u2003\n\u00a0<|endoftext|>\u0085\n\u200btwo\u2028\u2029 \ufeff".encode(),
    "byte order mark": "\ufeffone\n<|endoftext|>\ntwo".encode(),
    "byte order mark before END": "\ufeff<|endoftext|>\none".encode(),
    "accents and emoji": "é\n<|endoftext|>\n😊".encode(),
    "empty": b"",
    "white space only": b" \n\r\n\t",
    "END only": b"<|endoftext|>\n<|endoftext|>",
    "Latin-1": b"caf\xe9 and more",
    "cut in a character": b"caf\xc3",
    "too long a form": b"0123456789\xc0\xaf",
    "half a pair": b"\xed\xa0\x80",
    "above Unicode": b"ok \xf4\x90\x80\x80",
    "a continuation": b"01234567\x80",
}


@pytest.fixture(scope="module")
def c_bigram(clone, run_command):
    """The path of csrc/build/bigram, built; skips where there is nothing to build it with."""
    if not (shutil.which(os.environ.get("CC", "cc")) and shutil.which("make")):
        pytest.skip("needs make and a C compiler (Debian, Ubuntu: apt-get install make gcc)")
    run_command("make -C csrc bigram", timeout=300)
    return clone / "csrc/build/bigram"


@pytest.fixture(scope="module")
def c_reader(c_bigram, clone, tmp_path_factory):
    """c_reader(paths) -> for each file the list of its stories as bytes, or the error as a string."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "reader.c").write_text(READER)
    compiler = [os.environ.get("CC", "cc"), "-std=c11", "-O1", "-I", clone / "csrc"]
    subprocess.run([*compiler, folder / "reader.c", "-o", folder / "reader"], check=True, timeout=120)

    def take(output, kind=b""):
        assert output.startswith(kind)
        number, _, rest = output[len(kind):].partition(b":")
        return int(number), rest

    def read(paths):
        output = subprocess.run([folder / "reader", *paths], check=True, capture_output=True, timeout=120).stdout
        results = []
        for _ in paths:
            if output.startswith(b"error "):
                length, output = take(output, b"error ")
                results.append(output[:length].decode())
                output = output[length:]
                continue
            count, output = take(output, b"stories ")
            stories = []
            for _ in range(count):
                length, output = take(output)
                stories.append(output[:length])
                output = output[length:]
            results.append(stories)
        assert output == b""
        return results

    return read


@pytest.fixture(scope="module")
def same_reading(chapter, c_reader):
    """same_reading(paths): asserts that C reads each file as Python does, and returns what both read."""
    stories = chapter("bigram").stories
    UserError = chapter("bigram").cli.UserError

    def in_python(path):
        try:
            return [story.encode("utf-8") for story in stories.read_stories(path)]
        except UserError as error:
            return str(error)

    def check(paths):
        results = c_reader(paths)
        for path, result in zip(paths, results, strict=True):
            assert result == in_python(path), path
        return results

    return check


def write_data(folder, train, valid):
    folder.mkdir(exist_ok=True)
    (folder / "train.txt").write_bytes(train)
    (folder / "valid.txt").write_bytes(valid)
    return folder


def both_outputs(clone, c_bigram, *flags):
    """What the Python program and the C program print, as bytes."""
    outputs = []
    for program in ([sys.executable, "bigram/bigram.py"], [c_bigram]):
        result = subprocess.run([*map(str, [*program, *flags])], cwd=clone, capture_output=True, timeout=120)
        assert result.returncode == 0 and result.stderr == b"", result
        outputs.append(result.stdout)
    return outputs


def assert_same_output(python, c):
    """The lines that both print, and all that comes after `stories:`."""
    heads, told = zip(*(out.split(b"\nstories:\n", 1) for out in (python, c)))
    assert told[0] == told[1] and told[0]
    for start in (b"read ", b"counted ", b"train ", b"valid "):
        lines = [[line for line in head.split(b"\n") if line.startswith(start)][-1] for head in heads]
        assert lines[0] == lines[1]


def test_c_tells_the_same_stories(clone, c_bigram):
    assert_same_output(*both_outputs(clone, c_bigram, "--seed", 7))


@pytest.mark.parametrize("flags", [
    ("--seed", 0, "--stories", 40), ("--seed", 2**64 - 1, "--length", 1), ("--seed", 1, "--alpha", 0, "--stories", 20),
    ("--seed", 2, "--alpha", 100, "--length", 2000), ("--seed", 3, "--alpha", 0.5, "--length", 12345),
    ("--alpha", 0, "--length", 10**15),
])
def test_c_tells_the_same_with_other_flags(clone, c_bigram, tmp_path, flags):
    train = "Tom saw a café.\n<|endoftext|>\nMia 😊 ran.\nAnd ran.\n<|endoftext|>\nA\x00b".encode()
    data = write_data(tmp_path / "data", train, "Tom ran. 😊\n<|endoftext|>\nno".encode())
    assert_same_output(*both_outputs(clone, c_bigram, "--data", data, *flags))


def test_c_reads_nasty_files_as_python_does(same_reading, tmp_path):
    for name, content in NASTY.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "a folder").mkdir()
    results = same_reading([tmp_path / name for name in (*NASTY, "a folder", "missing")])
    assert sum(isinstance(result, str) for result in results) == 11  # the last nine, the folder, the missing


def test_c_knows_every_white_space(same_reading, tmp_path):
    characters = [chr(c) for c in range(0x11000) if not 0xD800 <= c < 0xE000]
    text = "".join(f"{c}x{c}\n<|endoftext|>\n" for c in characters)
    (tmp_path / "train.txt").write_text(text, encoding="utf-8", newline="")
    [stories] = same_reading([tmp_path / "train.txt"])
    assert stories.count(b"x") == sum(c.isspace() for c in characters)


def test_c_reads_random_files_as_python_does(same_reading, tmp_path):
    rng = random.Random(1)
    pieces = [b"<|endoftext|>", b"\n", b"\r\n", b"\r", b" ", b"\t", b"a", b"bc", b"\x00", "é😊".encode(),
              "\u3000".encode(), "\u2028".encode(), b"\x85", "\x85".encode(), b"<|"]
    weights = [6, 8, 3, 1, 3, 1, 6, 3, 1, 2, 1, 1, 0.05, 1, 1]
    paths = [tmp_path / f"{i}.txt" for i in range(400)]
    for path in paths:
        path.write_bytes(b"".join(rng.choices(pieces, weights, k=rng.randrange(40))))
    results = same_reading(paths)
    assert {type(result) for result in results} == {str, list}


def test_c_counts_nasty_files_as_python_does(clone, c_bigram, tmp_path):
    good = [content for name, content in NASTY.items() if name not in ("empty", "white space only", "END only")]
    good = b"\n<|endoftext|>\n".join(content for content in good if content.decode("utf-8", "ignore").encode() == content)
    data = write_data(tmp_path / "data", good, NASTY["white space around END"])
    assert_same_output(*both_outputs(clone, c_bigram, "--data", data, "--seed", 5))


@pytest.mark.parametrize(
    "broken", ["no folder", "a file", "no valid.txt", "a folder as train.txt", "Latin-1", "empty"]
)
def test_c_reports_mistakes_as_python_does(clone, c_bigram, tmp_path, broken):
    data = tmp_path / "data"
    if broken == "a file":
        data.write_text("not a folder")
    elif broken != "no folder":
        write_data(data, NASTY.get(broken, b"a story"), b"a story")
    if broken == "no valid.txt":
        (data / "valid.txt").unlink()
    if broken == "a folder as train.txt":
        (data / "train.txt").unlink()
        (data / "train.txt").mkdir()
    errors = []
    for command in ([sys.executable, "bigram/bigram.py"], [c_bigram]):
        result = subprocess.run([*command, "--data", data], cwd=clone, capture_output=True, text=True, timeout=120)
        assert result.returncode == 2 and result.stdout == "" and result.stderr.count("\n") == 1
        errors.append(result.stderr)
    assert errors[0] == errors[1] and errors[0].startswith("error: ")


@pytest.mark.parametrize("flags, named", [
    (["--stories", "0"], "--stories"), (["--stories", "-1"], "--stories"), (["--length", "x"], "--length"),
    (["--length", ""], "--length"), (["--seed", "1.5"], "--seed"), (["--seed", "18446744073709551616"], "--seed"),
    (["--alpha", "-0.1"], "--alpha"), (["--alpha", "nan"], "--alpha"), (["--alpha=inf"], "--alpha"),
    (["--nothing"], "--nothing"), (["nothing"], "nothing"), (["--seed"], "--seed"), (["--bench=1"], "--bench"),
    ([""], "flag"),
])
def test_c_refuses_wrong_flags_in_one_line(c_bigram, run_command, flags, named):
    result = run_command([c_bigram, *flags], status=2)
    assert result.stdout == "" and result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: ") and named in result.stderr


def test_c_help_names_every_flag(c_bigram, run_command):
    for flag in ("-h", "--help"):
        result = run_command([c_bigram, flag])
        assert result.stderr == ""
        for name in ("--data", "--alpha", "--seed", "--stories", "--length", "--bench"):
            assert f"\n  {name}" in result.stdout


def test_c_says_when_the_output_is_not_written(c_bigram, run_command):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    result = run_command(f"{c_bigram} > /dev/full", status=2)
    assert result.stderr.count("\n") == 1 and "cannot be written" in result.stderr


def test_c_bench_compares_the_ladder(c_bigram, run_command):
    result = run_command([c_bigram, "--bench"], timeout=300)
    lines = [line for line in result.stdout.splitlines() if line[:2] in ("1 ", "2 ", "3 ", "4 ", "on")]
    assert len(lines) == 5 and all(float(number) > 0 for line in lines for number in line.split()[-3:])


def test_the_golden_random_numbers(chapter):
    """The numbers that csrc/test_bigram.c expects of rng.h."""
    golden = {0: "90644221 4618e85f 8f5bd9cd af2c0306 f6cd0b71 a19ab615",
              1: "5249c5dc 01959430 e7976769 57d21847 ec099420 7efb0d93",
              7: "531d0e40 574f6127 1a93746d b398e5e1 9df494f7 000e7e37",
              2**64 - 1: "4df7fdf8 74675b30 a2f72031 21affdbd 328cc5c3 f2c90021"}
    PCG32 = chapter("bigram").rng.PCG32
    for seed, expected in golden.items():
        rng = PCG32(seed)
        assert " ".join(f"{rng.next_u32():08x}" for _ in range(6)) == expected
    rng = PCG32(7)
    uniform = ["0x1.4c74380000000p-2", "0x1.5d3d840000000p-2", "0x1.a937400000000p-4"]
    assert [rng.uniform().hex() for _ in range(3)] == uniform
    assert [rng.below(10) for _ in range(5)] == [5, 1, 5, 3, 4]
    assert [rng.below(3000000000) for _ in range(5)] == [1155691352, 2998075808, 1533555001, 520363665, 2060070975]
    normal = [-0.8572935381245621, -0.5850235667087, 0.2278658356975973]
    assert [rng.normal() for _ in range(3)] == pytest.approx(normal, abs=1e-14)
    assert [rng.choice([0.1, 0.2, 0.7, 0]) for _ in range(10)] == [2, 2, 2, 2, 2, 2, 2, 2, 0, 2]


def test_c_tests_pass_under_sanitizers(c_bigram, run_command):
    """`make -C csrc check` runs this and the other chapters' C tests."""
    result = run_command("make -C csrc build/check/test_bigram && csrc/build/check/test_bigram", timeout=300)
    assert result.stderr == ""


@pytest.mark.parametrize("file, right, wrong", [
    ("bigram.c", "counts[a * V + END]++;", ""),  # the last END of a story
    ("bigram.c", "counts[END * V + *bytes]++;", ""),  # the first one, in the faster rungs
    ("bigram.c", "last - bytes >= 7; bytes += 7) {\n        uint64_t eight;\n        memcpy(&eight, bytes, sizeof eight);"
                 "\n        for (int pair = 0; pair < 7; pair++) tables[eight",
     "last - bytes >= 7; bytes += 7) {\n        uint64_t eight;\n        memcpy(&eight, bytes, sizeof eight);"
     "\n        for (int pair = 0; pair < 6; pair++) tables[eight"),
    ("bigram.c", "pairs(bytes, step + 1, tables);", "pairs(bytes, step, tables);"),
    ("bigram.c", "+ tables[PAIRS + pair];", ";"),  # the second table is forgotten
    ("bigram.c", "(double)seen + V * alpha;", "(double)seen + alpha;"),
    ("bigram.c", "smooth_row(counts, symbol, alpha, p);", "smooth_row(counts, END, alpha, p);"),
    ("rng.h", "(-rotate & 31)", "(32 - rotate - 1)"),
    ("rng.h", "if (bits >= threshold) return", "return"),
    ("rng.h", "double u1 = 1.0 - rng_uniform(rng);", "double u1 = rng_uniform(rng);"),
    ("rng.h", "if (u < total) return i;", "if (u <= total) return i;"),
    ("stories.h", "p[0] == 0xED ? 0x9F", "p[0] == 0xED ? 0xBF"),
    ("stories.h", "if (story.length == 0) return true;", ""),
    ("stories.h", "return add_story(stories, strip(begin, end));", "return true;"),  # no final END
    ("stories.h", "|| (p[0] >= 28 && p[0] <= 32)", "|| p[0] == 32"),
    ("cli.h", "(length - i) % 3 == 0", "i % 3 == 0"),
])  # fmt: skip
def test_planted_bugs_in_c_are_noticed(c_bigram, clone, tmp_path, file, right, wrong):
    shutil.copytree(clone / "csrc", tmp_path / "csrc", ignore=shutil.ignore_patterns("build"))
    source = tmp_path / "csrc" / file
    assert source.read_text().count(right) == 1
    source.write_text(source.read_text().replace(right, wrong))
    test = tmp_path / "test"
    command = [os.environ.get("CC", "cc"), "-std=c11", "-O1", tmp_path / "csrc/test_bigram.c", "-o", test, "-lm"]
    subprocess.run(command, check=True, timeout=120)
    assert subprocess.run([test], capture_output=True, timeout=60).returncode != 0


def test_make_check_passes(c_bigram, run_command):
    result = run_command("make -C csrc check", timeout=600)
    assert "csrc: build/check/test_bigram" in result.stdout and "tests passed" in result.stdout
