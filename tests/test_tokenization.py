"""Byte pair encoding: the merges and ids of `tokenizers` and `tiktoken`, every text back, files checked."""

import hashlib
import json
import random
import shutil
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections import Counter

import pytest
import tiktoken
import tokenizers
import transformers

COMMITTED = "tokenization/tokenizer.json"
# Models have been trained on these ids: they must never change.
COMMITTED_SHA256 = "ca95a8c92257740ffa6af7db77049a53343694e43b13dc63c7156a28b73d763d"
TEXTS = [
    "",
    "Once upon a time, there was a naïve dragon who couldn't fly.",
    "It's 12345 o'clock, isn't it? HE'LL SAY 'NO'.",
    "  two spaces\n\n\n   and  lines \r\n\r\n\tand a tab \n",
    "日本語 العربية हिन्दी Ελληνικά, “quoted” — and 🐉👩‍👩‍👧‍👦🇩🇪 e\u0301",
    "<|endoftext|> <|end|>x<|user|>",
    "\x00\x01\x7f\x85\u2028\ufeff",
    "'ſ 'S ''s'll'LL 'K",
]
# Assigned characters only. Three regex libraries know three versions of Unicode; where a character is not
# assigned yet in one of them, it is no letter there. Those that Python's own, older tables know have the
# same category in all three (test_every_character looks at each of them).
ASSIGNED = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]


@pytest.fixture(scope="module")
def bpe(chapter):
    return chapter("tokenization").bpe


@pytest.fixture(scope="module")
def basic(chapter):
    return chapter("tokenization").basic


@pytest.fixture(scope="module")
def UserError(chapter):
    return chapter("tokenization").cli.UserError


@pytest.fixture(scope="module")
def ours(bpe, root):
    return bpe.Tokenizer.load(root / COMMITTED)


@pytest.fixture(scope="module")
def theirs(root):
    return tokenizers.Tokenizer.from_file(str(root / COMMITTED))


@pytest.fixture(scope="module")
def third(ours):
    return as_tiktoken(ours)


@pytest.fixture(scope="module")
def stories(chapter, root):
    """The first of the embedded corpus's stories."""
    if not (root / "datasets/stories/valid.txt").exists():
        pytest.skip("datasets/stories has not been made yet")
    return chapter("tokenization").stories.load_split(root / "datasets/stories", "valid")[:200]


def as_tiktoken(tokenizer):
    ranks = {token: i for i, token in enumerate(tokenizer.tokens) if i < 256 + len(tokenizer.merges)}
    return tiktoken.Encoding("ours", pat_str=tokenizer.pattern.pattern, mergeable_ranks=ranks,
                             special_tokens=tokenizer.special)  # fmt: skip


def without_specials(tokenizer, text):
    """What `tokenizers` makes of a text in which special tokens are ordinary characters."""
    tokenizer.encode_special_tokens = True
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    tokenizer.encode_special_tokens = False
    return ids


def random_texts(seed, count, alphabet, longest=80):
    rng = random.Random(seed)
    return ["".join(rng.choices(alphabet, k=rng.randrange(longest))) for _ in range(count)]


def same_ids(ours, theirs, third, texts):
    for text in texts:
        ids = ours.encode(text)
        assert ids == without_specials(theirs, text), text
        assert ids == third.encode_ordinary(text), text
        assert ours.decode(ids) == text


# --- the idea, on one page ---------------------------------------------------------------------------


def test_the_lesson_by_hand(basic):
    merges = basic.learn("the tea, then the team", 5)
    assert merges == {(32, 116): 256, (104, 101): 257, (101, 97): 258, (256, 257): 259, (256, 258): 260}
    ids = basic.encode("the tea, then the team", merges)
    assert ids == [116, 257, 260, 44, 259, 110, 259, 260, 109]
    assert basic.decode(ids, merges) == "the tea, then the team"


def test_overlapping_pairs(basic):
    assert basic.count_pairs([1, 1, 1]) == {(1, 1): 2}
    assert basic.merge([1, 1, 1], (1, 1), 2) == [2, 1]
    assert basic.merge([1, 1, 1, 1], (1, 1), 2) == [2, 2]
    assert basic.merge([], (1, 1), 2) == []


def test_basic_round_trip(basic):
    merges = basic.learn(" ".join(TEXTS), 60)
    for text in TEXTS + random_texts(1, 50, ASSIGNED):
        assert basic.decode(basic.encode(text, merges), merges) == text
    assert len(basic.learn("aaaa", 10)) == 2  # aa, then aaaa, then nothing is left to join


# --- training ----------------------------------------------------------------------------------------


def by_counting_again(word_counts, n_merges):
    """The merges by the definition: after every merge all pairs are counted from nothing."""
    letters = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    shown = {byte: letters.pre_tokenize_str(chr(byte))[0][0] for byte in range(128)}
    place = {byte: k for k, byte in enumerate(sorted(shown, key=shown.get))}
    words, merges = {word: [*word] for word in word_counts}, []
    for new in range(256, 256 + n_merges):
        counts = Counter()
        for word, ids in words.items():
            for pair in zip(ids, ids[1:]):
                counts[pair] += word_counts[word]
        if not counts:
            break
        pair = min(counts, key=lambda pair: (-counts[pair], place[pair[0]], place[pair[1]]))
        place[new] = new
        merges.append(pair)
        for word, ids in words.items():
            out = []
            for i in ids:  # join as soon as the last two are the pair
                out.append(i)
                if len(out) > 1 and (out[-2], out[-1]) == pair:
                    out[-2:] = [new]
            words[word] = out
    return merges


def word_counts(seed):
    """Words with many runs, overlaps and ties: few letters, small counts."""
    rng = random.Random(seed)
    alphabet = rng.choice([b"ab", b"abc", b" aab!", b"abcdefgh"])
    return {bytes(rng.choices(alphabet, k=rng.randrange(1, 12))): rng.randrange(1, 4) for _ in range(40)}


def learns_like_the_definition(bpe):
    return all([*bpe.learn_merges(word_counts(seed), 60)] == by_counting_again(word_counts(seed), 60)
               for seed in range(40))  # fmt: skip


def test_training_is_counting_again_after_every_merge(bpe):
    assert learns_like_the_definition(bpe)


def merge_from_the_right(ids, pair, new):
    out, i = [], len(ids) - 1
    while i >= 0:
        if i > 0 and (ids[i - 1], ids[i]) == pair:
            out, i = [new, *out], i - 2
        else:
            out, i = [ids[i], *out], i - 1
    return out


def merge_only_once(ids, pair, new):
    for i, p in enumerate(zip(ids, ids[1:])):
        if p == pair:
            return [*ids[:i], new, *ids[i + 2 :]]
    return ids


def merge_overlapping(ids, pair, new):
    return [new if i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair else ids[i] for i in range(len(ids))]


def pop_without_looking(heap, counts):
    """Believes what the heap says, out of date or not."""
    import heapq

    while heap:
        *_, pair = heapq.heappop(heap)
        if counts[pair] > 0:
            return pair
    return None


def pop_with_ties_backwards(heap, counts):
    best = max((p for *_, p in heap if counts[p] > 0), key=lambda p: (counts[p], p), default=None)
    heap[:] = [entry for entry in heap if entry[-1] != best]
    return best


@pytest.mark.parametrize("name, bug", [
    ("merge", merge_from_the_right), ("merge", merge_only_once), ("merge", merge_overlapping),
    ("pop_most_frequent", pop_without_looking), ("pop_most_frequent", pop_with_ties_backwards),
])  # fmt: skip
def test_planted_bugs_in_training_are_noticed(bpe, monkeypatch, name, bug):
    monkeypatch.setattr(bpe, name, bug)
    assert not learns_like_the_definition(bpe)


def merges_of_tokenizers(texts, pre_tokenizer, vocab_size):
    reference = tokenizers.Tokenizer(tokenizers.models.BPE())
    reference.pre_tokenizer = pre_tokenizer
    alphabet = [*tokenizers.pre_tokenizers.ByteLevel.alphabet()]
    reference.train_from_iterator(texts, tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size, show_progress=False, initial_alphabet=alphabet))  # fmt: skip
    return [tuple(merge) for merge in json.loads(reference.to_str())["model"]["merges"]]


def spelled(tokenizer, module):
    letters = ["".join(module.LETTERS[byte] for byte in token) for token in tokenizer.tokens]
    return [(letters[a], letters[b]) for a, b in tokenizer.merges]


@pytest.mark.parametrize("alphabet", ["ab ", "aab!? \n", "aàáé ß€", "abcdefghij  \n'"])
def test_same_merges_as_tokenizers_with_many_ties(bpe, theirs, alphabet):
    texts = random_texts(5, 60, alphabet)
    trained = bpe.train_tokenizer(texts, 256 + 4 + 150)
    assert spelled(trained, bpe) == merges_of_tokenizers(texts, theirs.pre_tokenizer, 256 + 150)


def test_same_merges_as_tokenizers_on_stories(bpe, theirs, stories):
    trained = bpe.train_tokenizer(stories, 1024)
    assert spelled(trained, bpe) == merges_of_tokenizers(stories, theirs.pre_tokenizer, 1024 - 4)
    assert trained.vocab_size == 1024 or len(trained.merges) == len(set(trained.tokens[256:-4]))


def test_a_vocabulary_begins_with_the_smaller_one(bpe):
    texts = random_texts(6, 100, "abcde ")
    small, large = bpe.train_tokenizer(texts, 300), bpe.train_tokenizer(texts, 400)
    assert [*small.merges] == [*large.merges][:40]


def test_training_stops_when_every_word_is_one_token(bpe):
    trained = bpe.train_tokenizer(["abc abc", "abc"], 1000)
    assert trained.encode("abc abc") == [257, 258]  # bc, abc, then " abc"
    assert trained.vocab_size == 256 + 3 + 4
    assert bpe.train_tokenizer([], 1000).vocab_size == 260
    with pytest.raises(ValueError, match="at least"):
        bpe.train_tokenizer(["abc"], 259)


def test_the_committed_tokenizer(ours, root, bpe):
    assert hashlib.sha256((root / COMMITTED).read_bytes()).hexdigest() == COMMITTED_SHA256
    assert ours.vocab_size == 4096
    assert ours.special == {"<|endoftext|>": 4092, "<|user|>": 4093, "<|assistant|>": 4094, "<|end|>": 4095}
    assert ours.pattern.pattern == bpe.PATTERN
    assert ours.tokens[:256] == [bytes([byte]) for byte in range(256)]
    assert len(set(ours.tokens)) == 4096  # a string of bytes has one way to be built


def test_the_committed_tokenizer_can_be_made_again(bpe, chapter, shared, root, tmp_path):
    bpe.train_tokenizer(chapter("tokenization").stories.load_split(shared, "train"), 4096).save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (root / COMMITTED).read_bytes()


# --- encoding and decoding ---------------------------------------------------------------------------


def test_same_ids_on_chosen_texts(ours, theirs, third):
    same_ids(ours, theirs, third, TEXTS)


def test_same_ids_on_the_embedded_stories(ours, theirs, third, stories):
    same_ids(ours, theirs, third, stories)


def test_same_ids_on_tinystories(ours, theirs, third, chapter, shared):
    same_ids(ours, theirs, third, chapter("tokenization").stories.load_split(shared, "valid")[:300])


def test_same_ids_on_random_unicode(ours, theirs, third):
    common = " '\n\tabcdefghijklmnopqrstuvwxyz0123456789.,ſéßИ中🐉\u0301\u200d"
    same_ids(ours, theirs, third, random_texts(7, 300, ASSIGNED) + random_texts(8, 300, common))


def test_every_character(ours, theirs, third):
    """Each assigned character after a letter and before one, where the pattern has to know what it is."""
    text = "".join(f"a{character}b " for character in ASSIGNED)
    assert len(ASSIGNED) > 100_000
    same_ids(ours, theirs, third, [text])


def test_same_ids_with_other_merges(bpe, tmp_path):
    """Where runs and overlaps abound, the heap, the definition, tiktoken and `tokenizers` agree."""
    for seed in range(10):
        texts = random_texts(seed, 30, "ab", longest=60)
        trained = bpe.train_tokenizer(texts, 256 + 4 + 40)
        trained.save(tmp_path / "tokenizer.json")
        reference = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
        same_ids(trained, reference, as_tiktoken(trained), random_texts(seed + 50, 30, "ab", longest=60))


def test_a_word_is_encoded_as_on_the_first_page(ours, basic):
    for word in random_texts(9, 100, "aeinoprst h"):
        assert ours.encode_word(word.encode()) == basic.encode(word, ours.merges)


def encodes_like_tiktoken(tokenizer, third):
    texts = random_texts(10, 200, "aaeinoprst ")
    return all(tokenizer.encode(text) == third.encode_ordinary(text) for text in texts)


def test_planted_bugs_in_encoding_are_noticed(bpe, ours, third):
    assert encodes_like_tiktoken(bpe.Tokenizer(ours.merges), third)

    class Greedy(bpe.Tokenizer):  # the longest token that fits, from left to right
        def encode_word(self, word):
            known, ids, i = {token: k for k, token in enumerate(self.tokens)}, [], 0
            while i < len(word):
                n = max(n for n in range(1, len(word) - i + 1) if word[i : i + n] in known)
                ids, i = [*ids, known[word[i : i + n]]], i + n
            return ids

    class LeftToRight(bpe.Tokenizer):  # the first merge that comes, not the one of lowest rank
        def encode_word(self, word):
            ids = []
            for byte in word:
                ids.append(byte)
                while len(ids) > 1 and (ids[-2], ids[-1]) in self.merges:
                    ids[-2:] = [self.merges[ids[-2], ids[-1]]]
            return ids

    assert not encodes_like_tiktoken(Greedy(ours.merges), third)
    assert not encodes_like_tiktoken(LeftToRight(ours.merges), third)
    assert not encodes_like_tiktoken(bpe.Tokenizer(ours.merges, pattern=r"\S+|\s+"), third)


def test_special_tokens_are_text_unless_allowed(ours, theirs, third):
    text = "<|user|>tell me<|end|><|end|>\n<|assistant|>"
    plain, special = ours.encode(text), ours.encode(text, allowed_special=True)
    assert max(plain) < 4092 and ours.decode(plain) == text
    assert special[0] == 4093 and special[-1] == 4094 and special.count(4095) == 2
    assert special == third.encode(text, allowed_special="all")
    assert special == theirs.encode(text, add_special_tokens=False).ids
    assert ours.decode(special) == text == theirs.decode(special, skip_special_tokens=False)
    assert ours.encode("", allowed_special=True) == []


def test_special_tokens_of_ones_own(bpe):
    nested = bpe.Tokenizer([], specials=["<a>", "<a><b>", "."])
    assert nested.encode("<a><b>x.<a>", allowed_special=True) == [257, ord("x"), 258, 256]
    none = bpe.Tokenizer([], specials=[])
    assert none.encode("<|end|>", allowed_special=True) == [*b"<|end|>"]


def test_a_lone_surrogate_becomes_a_question_mark(ours):
    assert ours.decode(ours.encode("a\ud800b")) == "a?b"


def test_very_long_words(bpe, ours, third):
    for word in ("once" * 5000, "a" * 20_000, " " * 20_000 + "a", "\n" * 20_000, "!?" * 10_000):
        assert ours.encode(word) == third.encode_ordinary(word)
    assert ours.decode(ours.encode("sandwiches" * 20_000)) == "sandwiches" * 20_000


def test_the_cache_has_a_bound(bpe, chapter, ours, monkeypatch):
    monkeypatch.setattr(chapter("tokenization").tokenizer, "CACHE_WORDS", 10)
    fresh = bpe.Tokenizer(ours.merges)
    text = " ".join(random_texts(11, 100, "abc", longest=8)) + "x" * 1000
    assert fresh.encode(text) == fresh.encode(text) == ours.encode(text)
    assert len(fresh.cache) == 10 and "x" * 1000 not in ours.cache


def test_decoding_what_is_not_utf8(ours, theirs):
    rng = random.Random(12)
    for _ in range(300):
        ids = rng.choices([*range(128, 256), *range(4096)], k=rng.randrange(20))
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)
    for wrong in (-1, 4096, 10**9):
        with pytest.raises(ValueError, match="not a token id"):
            ours.decode([1, wrong])


def test_streaming_joins_to_decode(bpe, ours):
    rng = random.Random(13)
    sequences = [rng.choices([*range(128, 256), *range(4096)], k=30) for _ in range(300)]
    sequences += [ours.encode(text) for text in TEXTS + random_texts(14, 100, ASSIGNED)]
    for ids in sequences:
        decoder = bpe.StreamDecoder(ours)
        assert "".join([*map(decoder.push, ids), decoder.flush()]) == ours.decode(ids)
        assert decoder.flush() == ""


def never_half_a_character(make_decoder, tokenizer):
    """Whether all that has come out is at every moment the whole characters that have gone in."""
    for text in TEXTS + random_texts(15, 50, "aé€🐉中 "):
        decoder, out, fed = make_decoder(tokenizer), "", b""
        for i in tokenizer.encode(text):
            out, fed = out + decoder.push(i), fed + tokenizer.tokens[i]
            if out != fed.decode("utf-8", errors="ignore"):
                return False
    return True


def test_streaming_never_emits_half_a_character_nor_waits(bpe, ours):
    class Impatient(bpe.StreamDecoder):
        def push(self, id):
            return self.tokenizer.decode([id])

    class Hesitant(bpe.StreamDecoder):  # gives each id's text when the next one comes
        held = ""

        def push(self, id):
            text, self.held = self.held, super().push(id)
            return text

    assert never_half_a_character(bpe.StreamDecoder, ours)
    assert not never_half_a_character(Impatient, ours)
    assert not never_half_a_character(Hesitant, ours)


# --- the file ----------------------------------------------------------------------------------------


def test_saving_and_loading(bpe, ours, root, tmp_path):
    ours.save(tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == (root / COMMITTED).read_bytes()
    split_at_spaces = bpe.Tokenizer([], r"\s+|\S+", ["<x>"])
    for made in (bpe.train_tokenizer(["aé 1 aé"], 264), split_at_spaces, bpe.Tokenizer([], specials=[])):
        made.save(tmp_path / "b.json")
        back = bpe.Tokenizer.load(tmp_path / "b.json")
        assert (back.merges, back.tokens, back.special) == (made.merges, made.tokens, made.special)
        assert back.pattern.pattern == made.pattern.pattern
        tokenizers.Tokenizer.from_file(str(tmp_path / "b.json"))


def test_files_that_the_libraries_wrote(bpe, ours, theirs, root, tmp_path):
    theirs.save(str(tmp_path / "tokenizers.json"))
    fast = transformers.PreTrainedTokenizerFast(tokenizer_file=str(root / COMMITTED))
    fast.save_pretrained(tmp_path)
    for name in ("tokenizers.json", "tokenizer.json"):
        back = bpe.Tokenizer.load(tmp_path / name)
        assert (back.merges, back.special) == (ours.merges, ours.special)


def test_transformers_begins_with_the_mark(ours, root):
    fast = transformers.PreTrainedTokenizerFast(tokenizer_file=str(root / COMMITTED))
    assert len(fast) == 4096
    assert fast("Once upon a time")["input_ids"] == [4092, *ours.encode("Once upon a time")]


def stored(root):
    return json.loads((root / COMMITTED).read_text(encoding="utf-8"))


def renumber(data, word, to):
    data["model"]["vocab"][word] = to


def replace_merge(data, k, merge):
    data["model"]["merges"][k] = merge


FAULTS = [
    ("no model of type BPE", lambda data: data.pop("model")),
    ("no model of type BPE", lambda data: data["model"].update(type="Unigram")),
    ("vocab are missing", lambda data: data["model"].pop("vocab")),
    ("merges are missing", lambda data: data["model"].pop("merges")),
    ("added_tokens are missing", lambda data: data.update(added_tokens=None)),
    ("ignore_merges", lambda data: data["model"].update(ignore_merges=True)),
    ("byte_fallback", lambda data: data["model"].update(byte_fallback=True)),
    ("normalizer", lambda data: data.update(normalizer={"type": "NFC"})),
    ("byte 65 (A) has id None", lambda data: data["model"]["vocab"].pop("A")),
    ("byte 65 (A) has id 66", lambda data: renumber(data, "A", 66)),
    ("merge 0 should make token 256, but 'he' has id 9999", lambda data: renumber(data, "he", 9999)),
    ("'he' has id None", lambda data: data["model"]["vocab"].pop("he")),
    ("merge 5 uses 'qq', which is not a token yet", lambda data: replace_merge(data, 5, "qq x")),
    ("merge 0 uses 'Ġt', which is not a token yet", lambda data: replace_merge(data, 0, "Ġt he")),
    ("merge 7 is not a pair", lambda data: replace_merge(data, 7, "a b c")),
    ("merge 7 is not a pair", lambda data: replace_merge(data, 7, [1, 2])),
    ("merge 0 should make token 256, but 'aé' has id None", lambda data: replace_merge(data, 0, ["a", "é"])),
    ("merge 0 should make token 256, but 'Ġt' has id 257", lambda data: data["model"]["merges"].reverse()
     or replace_merge(data, 0, "Ġ t")),
    ("'<|endoftext|>' has id 4092, where 4091 is next", lambda data: data["model"]["merges"].pop()),
    ("4093 tokens, but 256 bytes and 3836 merges", lambda data: renumber(data, "extra", 4092)),
    ("'<|assistant|>' has id 4094, where 4093 is next", lambda data: data["added_tokens"][1].update(id=4200)),
    ("there twice", lambda data: data["added_tokens"][1].update(content="<|endoftext|>")),
    ("no content or no id", lambda data: data["added_tokens"][1].pop("id")),
    ("takes spaces", lambda data: data["added_tokens"][1].update(lstrip=True)),
    ("pre_tokenizer", lambda data: data.update(pre_tokenizer=None)),
    ("pre_tokenizer", lambda data: data.update(pre_tokenizer={"type": "ByteLevel"})),
    ("pre_tokenizer", lambda data: data["pre_tokenizer"]["pretokenizers"][1].update(use_regex=True)),
    ("pre_tokenizer", lambda data: data["pre_tokenizer"]["pretokenizers"][0].update(behavior="Removed")),
    ("missing )", lambda data: data["pre_tokenizer"]["pretokenizers"][0]["pattern"].update(Regex="(a")),
]  # fmt: skip


@pytest.mark.parametrize("fault, damage", FAULTS, ids=[fault for fault, _ in FAULTS])
def test_damaged_and_foreign_files(bpe, UserError, root, tmp_path, fault, damage):
    data, path = stored(root), tmp_path / "tokenizer.json"
    damage(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(UserError) as error:
        bpe.Tokenizer.load(path)
    message = str(error.value)
    assert fault in message and str(path) in message and "\n" not in message


@pytest.mark.parametrize("content, fault", [
    (b"", "line 1 is not JSON"), (b'{"model": {\n"type"', "line 2"), (b"\xff\xfe\x00", "byte 0 is not UTF-8"),
    (b"null", "no model"), (b"[1, 2]", "no model"), (b"[" * 100_000, "no tokenizer"),
    (b"1" * 10_000, "no tokenizer"),
])  # fmt: skip
def test_files_that_are_something_else(bpe, UserError, tmp_path, content, fault):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        bpe.Tokenizer.load(path)
    assert fault in str(error.value) and str(path) in str(error.value)


def test_files_that_are_not_there(bpe, UserError, tmp_path):
    for path in (tmp_path / "nowhere.json", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            bpe.Tokenizer.load(path)


def test_truncated_and_flipped_files_never_crash(bpe, UserError, ours, root, tmp_path):
    whole, rng, path = (root / COMMITTED).read_bytes(), random.Random(16), tmp_path / "tokenizer.json"
    for _ in range(60):
        path.write_bytes(whole[: rng.randrange(len(whole) - 1)])
        with pytest.raises(UserError):
            bpe.Tokenizer.load(path)
        flipped = bytearray(whole)
        flipped[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        try:
            bpe.Tokenizer.load(path)
        except UserError:
            pass


# --- what a learner sees -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A folder of small stories of our own."""
    folder, rng = tmp_path_factory.mktemp("corpus"), random.Random(17)
    names, things = ("Ann", "Béla", "Chiko"), ("kite", "drum", "little boat", "red ball")

    def story():
        name, thing = rng.choice(names), rng.choice(things)
        return f"{name} had a {thing}. One day, {name} lost the {thing}. “Where's my {thing}?” asked {name}."

    for split, count in (("train", 300), ("valid", 30)):
        text = "\n<|endoftext|>\n".join(story() for _ in range(count))
        (folder / f"{split}.txt").write_text(text + "\n", encoding="utf-8")
    return folder


def test_the_script(run_script, corpus, bpe, tmp_path):
    flags = "--data", corpus, corpus, "--vocab-size", 300, "--out", tmp_path / "out"
    result = run_script("tokenization/bpe.py", *flags)
    path = tmp_path / "out" / "tokenizer.json"
    assert f"wrote {path}: 300 tokens" in result.stdout and "bytes per token" in result.stdout
    assert "all 60 stories came back as they were" in result.stdout
    assert bpe.Tokenizer.load(path).vocab_size == 300


def test_the_smallest_vocabulary_is_bytes(run_script, corpus, bpe, tmp_path):
    result = run_script("tokenization/bpe.py", "--data", corpus, "--vocab-size", 260, "--out", tmp_path)
    assert "valid.txt:    1.000 bytes per token" in result.stdout
    assert bpe.Tokenizer.load(tmp_path / "tokenizer.json").encode("é") == [0xC3, 0xA9]


def test_the_pictures(run_script, clone, corpus):
    shutil.rmtree(clone / "tokenization" / "figures")
    run_script("tokenization/bpe.py", "--data", corpus, "--vocab-size", 300, "--plot")
    run_script("tokenization/basic.py", "--plot")
    for name in ("sizes", "cut", "merges"):
        ElementTree.parse(clone / "tokenization" / "figures" / f"{name}.svg")


def test_the_lesson_s_pictures_are_there(root):
    for path in (root / "tokenization/figures").glob("*.svg"):
        ElementTree.parse(path)


@pytest.mark.parametrize("flags, fault", [
    (["--data", "nowhere"], "nowhere"), (["--vocab-size", "259"], "260"), (["--vocab-size", "x"], "whole"),
])  # fmt: skip
def test_mistakes_on_the_command_line(run_script, flags, fault, tmp_path):
    result = run_script("tokenization/bpe.py", *flags, "--out", tmp_path, status=2)
    assert fault in result.stderr and "Traceback" not in result.stderr


def test_text_that_is_not_utf8(run_script, corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "data")
    (tmp_path / "data" / "train.txt").write_bytes("naïve".encode("latin-1"))
    result = run_script("tokenization/bpe.py", "--data", tmp_path / "data", status=2)
    assert "train.txt is not UTF-8" in result.stderr and "Traceback" not in result.stderr


def test_basic_script(run_script):
    assert "260 = ' t' + 'ea' (2x)      9 tokens  t|he| tea|,| the|n" in run_script("tokenization/basic.py").stdout
    assert "give it a few words" in run_script("tokenization/basic.py", "--text", "", status=2).stderr


def test_bench(run_script, corpus):
    flags = "--data", corpus, "--vocab-size", 300, "--repeats", 1
    result = run_script("tokenization/bench.py", *flags)
    for name in ("bpe.py", "tokenizers", "tiktoken", "the split alone"):
        assert f"| {name}" in result.stdout
