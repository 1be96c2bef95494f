"""csrc/bpe.c: the merges and ids of bpe.py, `tokenizers` and `tiktoken`, on every rung, whatever the text."""

import ctypes
import itertools
import os
import random
import shutil
import subprocess
import threading
import unicodedata

import numpy as np
import pytest
import tiktoken
import tokenizers

BPE_C_FILE = "tokenization/tokenizer.json"
BPE_C_COMPILER = os.environ.get("CC", "cc").split()[0]
BPE_C_TEXTS = [
    "", "a", " ", "\n", "'", "  two spaces\n\n\n   and  lines \r\n\r\n\tand a tab \n  ",
    "It's 12345 o'clock, isn't it? HE'LL SAY 'NO'. 'tis 're 'r 'l 'ſ 'K rock'n'roll's", "x1 12 123 1234 12345678 1.5",
    "日本語 العربية हिन्दी Ελληνικά, “quoted” — and 🐉👩‍👩‍👧‍👦🇩🇪 e\u0301 naïve",
    "<|endoftext|> <|end|>x<|user|>", "\x00\x01\x7f\x85\u2028\ufeff\xa0 \x1c\x1f", "a" * 63, "a" * 64, "a" * 65,
    "é" * 70, "ab " * 21 + "c", " " * 200 + "x", "\n \n" * 40, "!" * 100 + "\n" * 100 + " \n \nb",
    "a\ud800b \udfff\ud83d\udc09",
]  # fmt: skip
# The characters that three libraries' tables of Unicode agree about: those that Python's older tables know.
BPE_C_ASSIGNED = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
BPE_C_COMMON = " '\n\tabcdefghijklmnopqrstuvwxyz0123456789.,!ſéßИ中🐉\u0301\u200d"
BPE_C_PATTERNS = {"three digits": 1, "one digit": 2, "gpt-2": 0, "words": None, "holes": None}


@pytest.fixture(scope="module")
def bpe_c(chapter):
    if not (shutil.which(BPE_C_COMPILER) and shutil.which("make")):
        pytest.skip("needs make and a C compiler (Debian, Ubuntu: apt-get install make gcc)")
    return chapter("tokenization").in_c


@pytest.fixture(scope="module")
def bpe_py(chapter):
    return chapter("tokenization").bpe


@pytest.fixture(scope="module")
def bpe_c_fast(bpe_c, root):
    return bpe_c.FastTokenizer.load(root / BPE_C_FILE)


@pytest.fixture(scope="module")
def bpe_c_slow(bpe_py, root):
    return bpe_py.Tokenizer.load(root / BPE_C_FILE)


@pytest.fixture(scope="module")
def bpe_c_rungs(bpe_c, bpe_c_slow):
    """A tokenizer for each rung that this processor has."""
    rungs = range(1, bpe_c.bpe_library().bpe_rungs() + 1)
    return [bpe_c.FastTokenizer([*bpe_c_slow.merges], rung=rung) for rung in rungs]


@pytest.fixture(scope="module")
def bpe_c_stories(chapter, root):
    return chapter("tokenization").stories.load_split(root / "datasets/stories", "valid")


def bpe_c_pattern(bpe_c, name):
    """The patterns that C knows, one that cuts otherwise, and one that leaves out what it does not match."""
    known = {kind: pattern for pattern, kind in bpe_c.KINDS.items()}
    return known[BPE_C_PATTERNS[name]] if name in ("three digits", "one digit", "gpt-2") else {
        "words": r"\S+|\s+", "holes": r"[a-z]+| \d"}[name]  # fmt: skip


def bpe_c_random(seed, count, alphabet, longest=80):
    rng = random.Random(seed)
    return ["".join(rng.choices(alphabet, k=rng.randrange(longest))) for _ in range(count)]


def bpe_c_as_tiktoken(tokenizer):
    ranks = {token: i for i, token in enumerate(tokenizer.tokens) if i < 256 + len(tokenizer.merges)}
    return tiktoken.Encoding("ours", pat_str=tokenizer.pattern.pattern, mergeable_ranks=ranks,
                             special_tokens=tokenizer.special)  # fmt: skip


def bpe_c_lists(tokenizer, texts, **options):
    """encode_batch as lists."""
    ids, offsets = tokenizer.encode_batch(texts, **options)
    assert ids.dtype == np.int32 and offsets[0] == 0 and offsets[-1] == len(ids) and len(offsets) == len(texts) + 1
    return [ids[begin:end].tolist() for begin, end in itertools.pairwise(offsets.tolist())]


def bpe_c_cut(library, rung, kind, text):
    """The lengths of the pieces in bytes, by C."""
    data = text.encode("utf-8", "replace")
    ends, whole = np.empty(len(data), np.int64), np.array([len(data)])
    count = library.bpe_cut(rung, kind, data, 1, whole.ctypes.data, ends.ctypes.data)
    return np.diff(ends[:count], prepend=0).tolist()


def bpe_c_cut_by_regex(pattern, text):
    return [len(piece.encode("utf-8", "replace")) for piece in pattern.findall(text)]


# --- training ---------------------------------------------------------------------------------------------------------


def bpe_c_trains_like_python(bpe_c, bpe_py, texts, vocab_size, pattern=None):
    """Lone surrogates are a question mark here; bpe.py does not train on them."""
    pattern = pattern or bpe_c.PATTERN
    mended = [text.encode("utf-8", "replace").decode() for text in texts]
    wanted = [*bpe_py.train_tokenizer(mended, vocab_size, pattern).merges]
    rungs = range(1, bpe_c.bpe_library().bpe_rungs() + 2)
    return all([*bpe_c.train_tokenizer(texts, vocab_size, pattern, rung=rung).merges] == wanted for rung in rungs)


def bpe_c_tied_texts(seed):
    """Few letters, few words: nearly all counts are equal, runs and overlaps abound."""
    rng = random.Random(seed)
    alphabet = rng.choice(["ab", "abc", " aab!", "abcdefgh ", "aé€ ", "\xad\u0120!\xa1 \x00"])
    return bpe_c_random(seed, rng.randrange(1, 12), alphabet, longest=rng.choice([8, 40, 200]))


def bpe_c_learns_ties(bpe_c, bpe_py):
    return all(bpe_c_trains_like_python(bpe_c, bpe_py, bpe_c_tied_texts(seed), 330) for seed in range(60))


def test_bpe_c_merges_of_texts_full_of_ties(bpe_c, bpe_py):
    assert bpe_c_learns_ties(bpe_c, bpe_py)


@pytest.mark.parametrize("name", BPE_C_PATTERNS)
def test_bpe_c_merges_by_every_pattern(bpe_c, bpe_py, name):
    texts = BPE_C_TEXTS + bpe_c_random(1, 60, BPE_C_COMMON)
    assert bpe_c_trains_like_python(bpe_c, bpe_py, texts, 500, bpe_c_pattern(bpe_c, name))


def test_bpe_c_merges_of_random_unicode(bpe_c, bpe_py):
    everything = [chr(c) for c in range(0x110000)]  # unassigned ones and lone surrogates, too
    assert bpe_c_trains_like_python(bpe_c, bpe_py, bpe_c_random(2, 100, everything), 600)


def bpe_c_train_reference(texts, vocab_size, file):
    """The merges that `tokenizers` learns, as text."""
    reference = tokenizers.Tokenizer(tokenizers.models.BPE())
    reference.pre_tokenizer = tokenizers.Tokenizer.from_file(str(file)).pre_tokenizer
    reference.train_from_iterator(texts, tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size, show_progress=False, initial_alphabet=[*tokenizers.pre_tokenizers.ByteLevel.alphabet()]))
    vocabulary = reference.get_vocab()
    return sorted(vocabulary, key=vocabulary.get)[256:]


def bpe_c_as_letters(tokenizer, letters):
    return ["".join(letters[byte] for byte in token) for token in tokenizer.tokens[256 : 256 + len(tokenizer.merges)]]


def test_bpe_c_merges_of_the_embedded_stories(bpe_c, bpe_py, bpe_c_stories, chapter, root):
    trained = bpe_c.train_tokenizer(bpe_c_stories, 2000)
    letters = chapter("tokenization").tokenizer.LETTERS
    assert [*trained.merges] == [*bpe_py.train_tokenizer(bpe_c_stories, 2000).merges]
    assert bpe_c_as_letters(trained, letters) == bpe_c_train_reference(bpe_c_stories, 1996, root / BPE_C_FILE)


def test_bpe_c_merges_of_tinystories(bpe_c, bpe_py, chapter, shared, root):
    stories = chapter("tokenization").stories.load_split(shared, "valid")
    trained = bpe_c.train_tokenizer(stories, 4096)
    letters = chapter("tokenization").tokenizer.LETTERS
    assert [*trained.merges] == [*bpe_py.train_tokenizer(stories, 4096).merges] and trained.vocab_size == 4096
    assert bpe_c_as_letters(trained, letters) == bpe_c_train_reference(stories, 4092, root / BPE_C_FILE)


def test_bpe_c_the_course_s_own_tokenizer_comes_out(bpe_c, bpe_c_slow, chapter, shared):
    stories = chapter("tokenization").stories.load_split(shared, "train")
    assert [*bpe_c.train_tokenizer(stories, 4096).merges] == [*bpe_c_slow.merges]


def test_bpe_c_text_that_runs_out(bpe_c):
    assert [*bpe_c.train_tokenizer(["aaaa"], 4096).merges] == [(97, 97), (256, 256)]
    for texts in ([], [""], ["", "a"], iter(["b", ""])):
        assert bpe_c.train_tokenizer(texts, 10**9).vocab_size == 260
    trained = bpe_c.train_tokenizer((text for text in ["ab ab"]), 256 + 2, specials=["<x>"])
    assert trained.encode("ab<x>", allowed_special=True) == [256, 257]


def test_bpe_c_vocabularies_that_are_too_small(bpe_c):
    for size in (0, 255, 259):
        with pytest.raises(ValueError, match="256 bytes and 4 special"):
            bpe_c.train_tokenizer(["a"], size)
    assert bpe_c.train_tokenizer(["ab"], 260).encode("ab") == [97, 98]


# --- encoding ---------------------------------------------------------------------------------------------------------


def bpe_c_same_ids(rungs, wanted, texts):
    """Twice, so that words are found where they were put."""
    return all(bpe_c_lists(fast, texts) == wanted == [fast.encode(text) for text in texts] for fast in rungs)


def test_bpe_c_ids_of_the_embedded_stories(bpe_c_rungs, bpe_c_slow, bpe_c_stories, root):
    theirs, third = tokenizers.Tokenizer.from_file(str(root / BPE_C_FILE)), bpe_c_as_tiktoken(bpe_c_slow)
    wanted = [bpe_c_slow.encode(story) for story in bpe_c_stories]
    assert wanted == [third.encode_ordinary(story) for story in bpe_c_stories]
    assert wanted == [encoding.ids for encoding in theirs.encode_batch(bpe_c_stories, add_special_tokens=False)]
    assert bpe_c_same_ids(bpe_c_rungs, wanted, bpe_c_stories)


def test_bpe_c_ids_of_tinystories(bpe_c_rungs, bpe_c_slow, chapter, shared):
    stories, third = chapter("tokenization").stories.load_split(shared, "train"), bpe_c_as_tiktoken(bpe_c_slow)
    wanted = [third.encode_ordinary(story) for story in stories]
    assert wanted[:200] == [bpe_c_slow.encode(story) for story in stories[:200]]
    assert bpe_c_lists(bpe_c_rungs[-1], stories) == wanted
    assert bpe_c_same_ids(bpe_c_rungs, wanted[:500], stories[:500])


def test_bpe_c_ids_of_random_unicode(bpe_c_rungs, bpe_c_slow, root):
    texts = BPE_C_TEXTS[:-1] + bpe_c_random(3, 150, BPE_C_ASSIGNED) + bpe_c_random(4, 150, BPE_C_COMMON)
    theirs, third = tokenizers.Tokenizer.from_file(str(root / BPE_C_FILE)), bpe_c_as_tiktoken(bpe_c_slow)
    theirs.encode_special_tokens = True
    wanted = [bpe_c_slow.encode(text) for text in texts]
    assert wanted == [third.encode_ordinary(text) for text in texts]
    assert wanted == [theirs.encode(text, add_special_tokens=False).ids for text in texts]
    assert bpe_c_same_ids(bpe_c_rungs, wanted, texts)


def test_bpe_c_cuts_at_every_code_point_as_regex_does(bpe_c_rungs, bpe_c_slow):
    """Also where a character is not assigned, and regex and tiktoken disagree: ours is what `regex` knows."""
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    texts = ["a".join(characters[i : i + 5000]) for i in range(0, len(characters), 5000)]
    library, kind = bpe_c_rungs[0].library, bpe_c_rungs[0].kind
    for text in texts:
        wanted = bpe_c_cut_by_regex(bpe_c_slow.pattern, text)
        assert bpe_c_cut(library, 1, kind, text) == wanted == bpe_c_cut(library, bpe_c_rungs[-1].rung, kind, text)


def test_bpe_c_every_character_as_tiktoken_has_it(bpe_c_rungs, bpe_c_slow):
    text = "".join(f"a{character}b " for character in BPE_C_ASSIGNED)
    assert bpe_c_rungs[-1].encode(text) == bpe_c_as_tiktoken(bpe_c_slow).encode_ordinary(text)


@pytest.mark.parametrize("name", BPE_C_PATTERNS)
def test_bpe_c_ids_by_every_pattern(bpe_c, bpe_py, name):
    pattern = bpe_c_pattern(bpe_c, name)
    texts = BPE_C_TEXTS + bpe_c_random(5, 200, BPE_C_COMMON)
    slow = bpe_py.train_tokenizer(BPE_C_TEXTS[:-1], 400, pattern)
    wanted = [slow.encode(text) for text in texts]
    rungs = range(1, bpe_c.bpe_library().bpe_rungs() + 1)
    assert bpe_c_same_ids([bpe_c.FastTokenizer([*slow.merges], pattern, rung=rung) for rung in rungs], wanted, texts)


def test_bpe_c_what_is_no_character(bpe_c_rungs, bpe_c_slow):
    """Bytes that are not UTF-8 come as U+FFFD from Python; lone surrogates become a question mark."""
    rng = random.Random(6)
    texts = [rng.randbytes(rng.randrange(60)).decode("utf-8", errors="replace") for _ in range(300)]
    texts += bpe_c_random(7, 300, [chr(c) for c in range(0xD7F0, 0xE010)] + [*"ab '\n"])
    assert bpe_c_same_ids(bpe_c_rungs, [bpe_c_slow.encode(text) for text in texts], texts)
    assert bpe_c_rungs[-1].decode(bpe_c_rungs[-1].encode("a\ud800b")) == "a?b"


def test_bpe_c_other_merges(bpe_c, bpe_py):
    """Vocabularies that no text would give, a merge twice included; and none at all."""
    rng = random.Random(8)
    for seed in range(30):
        merges = []
        for k in range(60):
            merges.append((rng.choice([97, 98, *range(256, 256 + k)]), rng.choice([97, 98, *range(256, 256 + k)])))
        slow, fast = bpe_py.Tokenizer(merges), bpe_c.FastTokenizer(merges)
        texts = bpe_c_random(seed, 20, "aab", longest=150)
        assert bpe_c_lists(fast, texts) == [slow.encode(text) for text in texts]
    assert bpe_c.FastTokenizer([], specials=[]).encode("<|end|>", allowed_special=True) == [*b"<|end|>"]
    with pytest.raises(IndexError):
        bpe_c.FastTokenizer([(97, 256)])


def test_bpe_c_very_long_words(bpe_c_fast, bpe_c_slow):
    third = bpe_c_as_tiktoken(bpe_c_slow)
    for word in ("once" * 5000, "a" * 20_000, " " * 20_000 + "a", "\n" * 20_000, "!?" * 10_000, "é" * 9000, "7" * 999):
        assert bpe_c_fast.encode(word) == third.encode_ordinary(word)
    for word in ("sandwiches" * 100_000, "a" * 1_000_000):
        ids = bpe_c_fast.encode(word)
        assert bpe_c_fast.decode(ids) == word and len(ids) > 300_000
    assert len(bpe_c_fast.room) == 4096  # the memory is given back


def test_bpe_c_training_on_a_line_of_a_million_letters(bpe_c):
    merges = [*bpe_c.train_tokenizer(["a" * 1_000_000], 300).merges]
    assert merges[:3] == [(97, 97), (256, 256), (257, 257)] and len(merges) > 20


def test_bpe_c_special_tokens(bpe_c, bpe_c_fast, bpe_c_slow):
    text = "<|user|>tell me<|end|><|end|>\n<|assistant|>"
    texts = [text, "", "no mark", "<|end|>", text + "x", "<|endof<|endoftext|>"]
    wanted = [bpe_c_slow.encode(text, allowed_special=True) for text in texts]
    assert wanted == [bpe_c_fast.encode(text, allowed_special=True) for text in texts]
    assert wanted == bpe_c_lists(bpe_c_fast, texts, allowed_special=True)
    assert wanted[0] == bpe_c_as_tiktoken(bpe_c_slow).encode(text, allowed_special="all")
    assert max(bpe_c_fast.encode(text)) < 4092 and bpe_c_fast.encode(text) == bpe_c_slow.encode(text)
    nested = bpe_c.FastTokenizer([], specials=["<a>", "<a><b>", "."])
    assert nested.encode("<a><b>x.<a>", allowed_special=True) == [257, ord("x"), 258, 256]
    others = bpe_c.FastTokenizer([(97, 98)], r"\S+|\s+", ["<a>"])
    assert bpe_c_lists(others, ["ab <a>ab", "", "<a>"], allowed_special=True) == [[256, 32, 257, 256], [], [257]]


def test_bpe_c_no_texts(bpe_c_fast):
    for texts in ([], iter([])):
        for special in (False, True):
            assert bpe_c_lists(bpe_c_fast, [*texts], allowed_special=special) == []
    assert bpe_c_lists(bpe_c_fast, ["", "", "a", ""]) == [[], [], [97], []]
    assert bpe_c_fast.encode("") == [] and bpe_c_fast.decode([]) == ""


def test_bpe_c_decoding(bpe_c_fast, bpe_c_slow):
    rng = random.Random(9)
    for _ in range(200):
        ids = rng.choices([*range(128, 256), *range(4096)], k=rng.randrange(20))
        assert bpe_c_fast.decode(ids) == bpe_c_slow.decode(ids) == bpe_c_fast.decode(np.array(ids, np.uint16))
        assert bpe_c_fast.decode_bytes(ids) == bpe_c_slow.decode_bytes(ids)
    for wrong in (-1, 4096, 10**9):
        with pytest.raises(ValueError, match=f"{wrong} is not a token id"):
            bpe_c_fast.decode([1, wrong])


def test_bpe_c_threads_take_turns(bpe_c_fast, bpe_c_slow):
    texts, wrong = bpe_c_random(10, 300, BPE_C_COMMON), []
    wanted = [bpe_c_slow.encode(text) for text in texts]

    def work():
        for _ in range(20):
            if [bpe_c_fast.encode(text) for text in texts] != wanted or bpe_c_lists(bpe_c_fast, texts) != wanted:
                wrong.append(threading.get_ident())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_bpe_c_saving_and_streaming(bpe_c_fast, bpe_py, root, tmp_path):
    bpe_c_fast.save(tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == (root / BPE_C_FILE).read_bytes()
    decoder = bpe_py.StreamDecoder(bpe_c_fast)
    assert "".join(map(decoder.push, bpe_c_fast.encode("naïve 🐉"))) == "naïve 🐉"


def test_bpe_c_wrong_rungs_and_full_memory(bpe_c, bpe_c_slow):
    highest = bpe_c.bpe_library().bpe_rungs()
    for rung in (-1, highest + 1):
        with pytest.raises(ValueError, match=f"1 to {highest}"):
            bpe_c.FastTokenizer([], rung=rung).encode("a")
    with pytest.raises(ValueError, match="one more"):
        bpe_c.learn_merges(["a"], 1, rung=highest + 2)
    with pytest.raises(MemoryError):
        bpe_c.count_or_error(bpe_c.NO_MEMORY)
    assert bpe_c.count_or_error(0) == 0


# --- planted bugs -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bpe_c_difficult(bpe_py):
    """[(texts, bpe.py's tokenizer of them, its ids, its pieces)]: what finds bugs."""
    mixed = BPE_C_TEXTS[:-1] + bpe_c_random(11, 60, BPE_C_COMMON) + bpe_c_random(12, 200, "aa'lLeEsv \n!.")
    mixed += bpe_c_random(13, 60, "abcdefghijklmnopqrstuvwxyz", longest=15)  # words of many ids
    tied = [text for seed in range(12) for text in bpe_c_tied_texts(seed)]
    few = ["\xad\x00"]  # c2 ad 00: the letter of ad comes after that of c2
    slow = [bpe_py.train_tokenizer(texts, size) for texts, size in ((mixed, 400), (tied, 330), (few, 280))]
    return [(texts, one, [*map(one.encode, texts)], [bpe_c_cut_by_regex(one.pattern, text) for text in texts])
            for texts, one in zip((mixed, tied, few), slow)]  # fmt: skip


def bpe_c_all_is_right(bpe_c, difficult):
    """Training, cutting and encoding, twice, by the first and the last rung that cut by blocks."""
    for texts, slow, wanted, pieces in difficult:
        for rung in (3, bpe_c.bpe_library().bpe_rungs()):
            if [bpe_c_cut(bpe_c.bpe_library(), rung, bpe_c.KINDS[bpe_c.PATTERN], text) for text in texts] != pieces:
                return False
            if [*bpe_c.train_tokenizer(texts, slow.vocab_size, rung=rung + 1).merges] != [*slow.merges]:
                return False
            if not bpe_c_same_ids([bpe_c.FastTokenizer([*slow.merges], rung=rung)], wanted, texts):
                return False
    return True


def test_bpe_c_texts_that_find_bugs(bpe_c, bpe_c_difficult):
    assert bpe_c_all_is_right(bpe_c, bpe_c_difficult)


@pytest.mark.parametrize("file, right, wrong", [
    ("bpe_train.h", "lose_place(l, before), lose_place(l, i)", "lose_place(l, i)"),
    ("bpe_train.h", "a.count > b.count : a.tokens < b.tokens;", "a.count > b.count : a.tokens > b.tokens;"),
    ("bpe_train.h", "if (now.count == top.count || now.count == 0) {", "if (true) {"),
    ("bpe_train.h", "l->before[l->pairs[p].left] = l->behind[l->pairs[p].right] = -1;", ""),
    ("bpe_train.h", "(byte > 160 && byte != 173)", "byte > 160"),
    ("words.h", "(key.high & shown.high) | (uint64_t)n << 56}", "key.high & shown.high}"),
    ("bpe_encode.h", "best = ranks[i] < lowest ? i : best;", "best = ranks[i] <= lowest ? i : best;"),
    ("bpe_encode.h", "if (__builtin_expect(entry->count > 4, 0))", "if (0)"),
    ("bpe_encode.h", "if (best + 1 < n) ranks[best]", "if (best + 2 < n) ranks[best]"),
    ("split_fast.h", "uint64_t joined = own & (b->letters >> 1);", "uint64_t joined = b->others & (b->letters >> 1);"),
    ("split_fast.h", "__builtin_ctzll(hard), last = false;", "__builtin_ctzll(hard);"),
    ("split_fast.h", "& ~(b->lines & (b->others << 1))", ""),
    ("split_fast.h", "taken || end >= b->n || ", "end >= b->n || "),
])  # fmt: skip
def test_bpe_c_planted_bugs(bpe_c, bpe_c_difficult, root, tmp_path, monkeypatch, file, right, wrong):
    shutil.copytree(root / "csrc", tmp_path / "csrc", ignore=shutil.ignore_patterns("build"))
    source = tmp_path / "csrc" / file
    assert source.read_text(encoding="utf-8").count(right) == 1, f"{file} no longer has {right!r}: plant the bug anew"
    source.write_text(source.read_text(encoding="utf-8").replace(right, wrong), encoding="utf-8")
    command = [BPE_C_COMPILER, "-std=c11", "-O0", "-shared", "-fPIC", "-o", tmp_path / "bpe.so"]
    subprocess.run([*command, tmp_path / "csrc/bpe.c"], check=True, timeout=120)
    planted = bpe_c.with_types(ctypes.CDLL(str(tmp_path / "bpe.so")))
    monkeypatch.setattr(bpe_c, "bpe_library", lambda: planted)
    assert not bpe_c_all_is_right(bpe_c, bpe_c_difficult)


# --- what a learner sees ----------------------------------------------------------------------------------------------


def test_bpe_c_script(bpe_c, run_script):
    result = run_script("tokenization/in_c.py", "--data", "out/few", "--vocab-size", 600)
    assert result.stdout.count("the same") >= bpe_c.bpe_library().bpe_rungs() + 1
    assert "ids are those of tokenizer.py" in result.stdout and "a word of 1,000,000 letters" in result.stdout


@pytest.mark.parametrize("script", ["in_c", "bench"])
@pytest.mark.parametrize("flags, fault", [
    (["--data", "nowhere"], "nowhere"), (["--vocab-size", "259"], "260"), (["--vocab-size", "x"], "whole"),
])  # fmt: skip
def test_bpe_c_mistakes_on_the_command_line(bpe_c, run_script, script, flags, fault):
    result = run_script(f"tokenization/{script}.py", *flags, status=2)
    assert fault in result.stderr and "Traceback" not in result.stderr


def test_bpe_c_without_a_compiler(bpe_c, clone, run_command, tmp_path):
    shutil.copytree(clone / "tokenization", tmp_path / "tokenization")
    shutil.copytree(clone / "csrc", tmp_path / "csrc", ignore=shutil.ignore_patterns("build"))
    result = run_command("python tokenization/in_c.py", cwd=tmp_path, env={"CC": "no-such-compiler"}, status=2)
    assert result.stdout == "" and result.stderr.startswith("error: ") and result.stderr.count("\n") == 1


def test_bpe_c_bench(bpe_c, run_script):
    result = run_script("tokenization/bench.py", "--data", "out/few", "--quick")
    for name in ("bpe.py", "tokenizers", "tiktoken", "C,", "the split alone", "every byte read"):
        assert f"| {name}" in result.stdout
