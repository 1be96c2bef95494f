"""The engine's text and files in C: JSON, safetensors, config.json, tokenizer.json of both kinds; with planted bugs.

References: `tokenizers`, inference/tokenizer.py, `regex`, `json`, `safetensors`, `transformers`. The headers are compiled
into a small library here, since the engine itself is one piece.
"""

import ctypes
import json
import random
import shutil
import subprocess
import unicodedata

import numpy as np
import pytest
import regex
import safetensors
import safetensors.numpy
import tokenizers
import torch
import transformers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

TEXT_DRIVER = r"""
#define _POSIX_C_SOURCE 200809L
#include "checkpoint.h"
#include "tokenizer.h"

void *text_open(const char *path, Error *e) {
    Tokenizer *t = malloc(sizeof *t);
    if (tokenizer_load(t, path, e)) return t;
    free(t);
    return NULL;
}
void text_close(Tokenizer *t) { tokenizer_free(t), free(t); }
int text_facts(const Tokenizer *t, int which) {
    return which == 0 ? t->vocab_size : which == 1 ? t->begin : t->strips_space;
}
int64_t text_encode(const Tokenizer *t, const char *text, size_t bytes, bool special, int32_t *to, int64_t room,
                    Error *e) {
    Ids ids = {0};
    bool good = tokenizer_encode(t, text, bytes, special, &ids, e);
    for (size_t i = 0; i < ids.count && (int64_t)i < room; i++) to[i] = ids.at[i];
    free(ids.at);
    return good ? (int64_t)ids.count : -1;
}
const char *text_token(const Tokenizer *t, int32_t id, size_t *bytes) { return tokenizer_token(t, id, bytes); }
int32_t text_special(const Tokenizer *t, const char *name) { return tokenizer_special(t, name); }
bool text_is_special(const Tokenizer *t, int32_t id) { return tokenizer_is_special(t, id); }
void text_classes(unsigned char *to) {
    for (uint32_t code = 0; code < 0x110000; code++) to[code] = (unsigned char)unicode_class(code);
}

void *folder_open(const char *folder, Error *e) {
    Checkpoint *c = malloc(sizeof *c);
    if (checkpoint_open(c, folder, e)) return c;
    free(c);
    return NULL;
}
void folder_close(Checkpoint *c) { checkpoint_close(c), free(c); }
const Config *folder_config(const Checkpoint *c) { return &c->config; }
int64_t folder_count(const Checkpoint *c) { return (int64_t)c->count; }
const TensorView *folder_tensor(const Checkpoint *c, int64_t i) { return c->tensors[i]; }
const TensorView *folder_find(const Checkpoint *c, const char *name) { return checkpoint_find(c, name); }
bool file_reads(const char *path, Error *e) {
    Safetensors s;
    bool good = safetensors_open(&s, path, e);
    safetensors_close(&s);
    return good;
}
bool json_reads(const char *text, size_t bytes, Error *e) {
    Json j;
    bool good = json_parse(&j, "x.json", text, bytes, e);
    json_free(&j);
    return good;
}
"""


class TextError(ctypes.Structure):
    """error.h's Error."""

    _fields_ = [("text", ctypes.c_char * 512)]


class TextView(ctypes.Structure):
    """safetensors.h's TensorView."""

    _fields_ = [("name", ctypes.c_char_p), ("type", ctypes.c_int), ("dimensions", ctypes.c_int),
                ("shape", ctypes.c_int64 * 8), ("data", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]


class TextRope(ctypes.Structure):
    """The rotary scaling in config.h's Config."""

    _fields_ = [("kind", ctypes.c_int)] + [(name, ctypes.c_double) for name in ("factor", "low", "high", "original")]


class TextConfig(ctypes.Structure):
    """config.h's Config."""

    _fields_ = [*((name, ctypes.c_int64) for name in (
        "vocab_size", "hidden_size", "intermediate_size", "layers", "heads", "kv_heads", "head_dim", "context")),
        ("rope_theta", ctypes.c_double), ("rms_norm_eps", ctypes.c_double), ("tied", ctypes.c_bool),
        ("attention_bias", ctypes.c_bool), ("mlp_bias", ctypes.c_bool), ("rope", TextRope),
        ("quant_bits", ctypes.c_int64), ("quant_group", ctypes.c_int64), ("bos", ctypes.c_int32),
        ("eos", ctypes.c_int32 * 8), ("eos_count", ctypes.c_int)]  # fmt: skip


class TextFault(Exception):
    """What C said, in one line."""


class TextTokenizer:
    """A tokenizer.json by tokenizer.h."""

    def __init__(self, library, path):
        self.library, error = library, TextError()
        self.handle = library.text_open(str(path).encode(), ctypes.byref(error))
        if not self.handle:
            raise TextFault(error.text.decode())
        self.vocab_size, self.begin, self.strips_space = (library.text_facts(self.handle, k) for k in range(3))

    def encode(self, text, allow_special=False):
        data, error = text if isinstance(text, bytes) else text.encode(), TextError()
        ids = np.empty(4 * len(data) + 8, np.int32)
        n = self.library.text_encode(self.handle, data, len(data), allow_special, ids.ctypes.data, len(ids),
                                     ctypes.byref(error))
        if n < 0:
            raise TextFault(error.text.decode())
        assert n <= len(ids)
        return ids[:n].tolist()

    def token(self, i):
        size = ctypes.c_size_t()
        at = self.library.text_token(self.handle, i, ctypes.byref(size))
        return ctypes.string_at(at, size.value) if at else None

    def decode(self, ids):
        return b"".join(self.token(i) for i in ids)


def text_build(folder, source, headers, flags=("-O3", "-Wall", "-Wextra", "-Werror")):
    """Compiles C that includes csrc's headers into a library."""
    compiler = shutil.which("cc") or pytest.skip("needs a C compiler (Debian, Ubuntu: apt-get install gcc)")
    (folder / "text.c").write_text(source)
    subprocess.run([compiler, "-std=c11", *flags, "-I", headers, "-fPIC", "-shared",
                    "-o", folder / "text.so", folder / "text.c", "-lm"], check=True, timeout=120)  # fmt: skip
    library = ctypes.CDLL(str(folder / "text.so"))
    for function in ("text_open", "folder_open", "text_token"):
        getattr(library, function).restype = ctypes.c_void_p
    for function in ("text_encode", "folder_count"):
        getattr(library, function).restype = ctypes.c_int64
    for function in ("file_reads", "json_reads", "text_is_special"):
        getattr(library, function).restype = ctypes.c_bool
    library.folder_config.restype = ctypes.POINTER(TextConfig)
    library.folder_tensor.restype = library.folder_find.restype = ctypes.POINTER(TextView)
    handle, size, error = ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(TextError)
    for function, arguments in {
        "text_close": [handle], "text_facts": [handle, ctypes.c_int], "text_special": [handle, ctypes.c_char_p],
        "text_encode": [handle, ctypes.c_char_p, size, ctypes.c_bool, handle, ctypes.c_int64, error],
        "text_token": [handle, ctypes.c_int32, ctypes.POINTER(size)], "text_is_special": [handle, ctypes.c_int32],
        "text_classes": [handle], "folder_close": [handle], "folder_config": [handle], "folder_count": [handle],
        "folder_tensor": [handle, ctypes.c_int64], "folder_find": [handle, ctypes.c_char_p],
        "json_reads": [ctypes.c_char_p, size, error],
    }.items():  # fmt: skip
        getattr(library, function).argtypes = arguments
    return library


@pytest.fixture(scope="module")
def text_c(root, tmp_path_factory):
    """The headers as a library."""
    return text_build(tmp_path_factory.mktemp("text"), TEXT_DRIVER, root / "csrc")


@pytest.fixture(scope="module")
def text_shipped(text_c, root):
    return TextTokenizer(text_c, root / "deployment/weights/storyteller/tokenizer.json")


# --- texts --------------------------------------------------------------------------------------------------------

# Characters of all kinds that every library agrees about: assigned in Unicode 14.
TEXT_ASSIGNED = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
TEXT_PARTS = [
    "'s", "'S", "'LL", "'re", "n't", "'", "''", " ", "  ", "    ", "\n", "\r\n", "\n\n", "\t", " \n ", "1", "22", "333",
    "4444", "1,000.5", "½", "٣", "Ⅻ", "é", "e\u0301", "ſ", "'ſ", "ß", "茶", "日本語", "🐉", "👩‍👩‍👧", "🇫🇷", "\u00a0",
    "\u3000", "\u2028", "\x85", "\x1c", "\x00", "\u200b", "▁", "▁▁", "<", "<|", "<|end|>", "<|endoftext|>", "<s>", "</s>",
    "<0x0A>", "Ġ", "…", "—", "the", " dragon", " Once", "HELLO", "!", "?!", "...", "/", "\\", '"', "#include", "\ufeff",
]  # fmt: skip


def text_samples(seed, n):
    """Random texts: words, white space, digits, contractions, marks, emoji, any character at all."""
    rng = random.Random(seed)
    for _ in range(n):
        parts = rng.choices(TEXT_PARTS, k=rng.randrange(12))
        parts += rng.choices(TEXT_ASSIGNED, k=rng.choice([0, 0, 1, 3, 10]))
        rng.shuffle(parts)
        yield "".join(parts)


@pytest.fixture(scope="module")
def text_stories(root):
    return (root / "datasets/stories/valid.txt").read_text(encoding="utf-8")


# --- the shipped tokenizer ----------------------------------------------------------------------------------------


def test_text_shipped_tokenizer_on_all_of_valid(text_shipped, text_stories, chapter, root):
    """id for id what Python gives, with the marks between stories as text and as tokens; and back."""
    ours = chapter("inference").tokenizer.Tokenizer.load(root / "deployment/weights/storyteller/tokenizer.json")
    library = tokenizers.Tokenizer.from_file(str(root / "deployment/weights/storyteller/tokenizer.json"))
    for special in (False, True):
        ids = text_shipped.encode(text_stories, special)
        assert ids == ours.encode(text_stories, special) and len(ids) > 50_000
        assert text_shipped.decode(ids).decode() == text_stories
    assert ids == library.encode(text_stories, add_special_tokens=False).ids
    assert [text_shipped.token(i) for i in range(ours.vocab_size)] == ours.tokens
    assert (text_shipped.vocab_size, text_shipped.begin, text_shipped.strips_space) == (4096, 4092, 0)
    for name, i in ours.special.items():
        assert text_shipped.library.text_special(text_shipped.handle, name.encode()) == i
        assert text_shipped.library.text_is_special(text_shipped.handle, i)


def test_text_shipped_tokenizer_on_random_text(text_shipped, chapter, root):
    ours = chapter("inference").tokenizer.Tokenizer.load(root / "deployment/weights/storyteller/tokenizer.json")
    for i, text in enumerate(text_samples(1, 3000)):
        ids = text_shipped.encode(text, i % 2 == 0)
        assert ids == ours.encode(text, i % 2 == 0), text
        assert text_shipped.decode(ids).decode() == text


def test_text_bytes_that_are_not_utf8_become_replacements(text_shipped, chapter, root):
    """What is no character is U+FFFD before anything else happens, as bytes.decode(errors="replace") has it."""
    ours = chapter("inference").tokenizer.Tokenizer.load(root / "deployment/weights/storyteller/tokenizer.json")
    rng = random.Random(2)
    for _ in range(1500):
        data = bytearray("".join(rng.choices(TEXT_PARTS, k=6)).encode())
        for _ in range(rng.randrange(4)):
            data.insert(rng.randrange(len(data) + 1), rng.randrange(256))
        data = bytes(data)[rng.randrange(4):]
        assert text_shipped.encode(data) == ours.encode(data.decode("utf-8", errors="replace")), data


def test_text_a_word_of_a_million_letters(text_shipped, root):
    """n log n: a program that took n² steps would not end."""
    library = tokenizers.Tokenizer.from_file(str(root / "deployment/weights/storyteller/tokenizer.json"))
    word = "".join(random.Random(3).choices("etaoinshr", k=1_000_000))
    ids = text_shipped.encode(word)
    assert text_shipped.decode(ids).decode() == word and len(ids) < 700_000
    for text in (word[:100_000], "a" * 50_000, " " * 50_000, "1" * 50_000, "'" * 50_000):
        assert text_shipped.encode(text) == library.encode(text, add_special_tokens=False).ids


# --- tokenizers trained here --------------------------------------------------------------------------------------

TEXT_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
TEXT_CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")  # fmt: skip
TEXT_SPLITS = {
    "gpt2": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
    "gpt2 as a pattern": lambda: text_split(TEXT_GPT2),
    "cl100k, llama 3": lambda: text_split(TEXT_CL100K),
    "qwen": lambda: text_split(TEXT_CL100K.replace("{1,3}", "")),
    "smollm": lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]),
    "digits": lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.ByteLevel(add_prefix_space=False)]),
    "no split": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
}  # fmt: skip


def text_split(pattern):
    split = pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def text_corpus(text_stories):
    return [*text_stories[:60_000].splitlines(), *text_samples(9, 300)]


def text_agrees(text_c, path, library, seed, n=400, decoded=True):
    """Whether C gives the library's ids, with special tokens in the text read as such or not, and its text."""
    c = TextTokenizer(text_c, path)
    for i, text in enumerate(text_samples(seed, n)):
        library.encode_special_tokens = i % 2 == 0
        wanted = library.encode(text, add_special_tokens=False).ids
        ids = c.encode(text, i % 2 == 1)
        if ids != wanted:
            return False
        if decoded:
            got = c.decode(ids)
            got = got[1:] if c.strips_space and got[:1] == b" " else got
            if got.decode("utf-8", errors="replace") != library.decode(ids, skip_special_tokens=False):
                return False
    return c.vocab_size == library.get_vocab_size()


@pytest.mark.parametrize("name", TEXT_SPLITS)
def test_text_byte_level_tokenizers(text_c, text_stories, tmp_path, name):
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer, library.decoder = TEXT_SPLITS[name](), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<|endoftext|>", "<|end|>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())  # fmt: skip
    library.train_from_iterator(text_corpus(text_stories), trainer)
    library.add_tokens(["#include", "<0x0A>"])  # added, but not special: found in every text
    path = tmp_path / "tokenizer.json"
    library.save(str(path))
    assert text_agrees(text_c, path, library, seed=4)
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["model"]["ignore_merges"] = True  # Llama 3: a piece that is a token is that token
    stored["model"]["merges"] = [" ".join(pair) for pair in stored["model"]["merges"]]  # the old spelling
    path.write_text(json.dumps(stored), encoding="utf-8")
    assert text_agrees(text_c, path, tokenizers.Tokenizer.from_file(str(path)), seed=5, n=200)
    stored["model"]["merges"] = stored["model"]["merges"][:50]  # now the vocabulary has words that no merge makes
    path.write_text(json.dumps(stored), encoding="utf-8")
    assert text_agrees(text_c, path, tokenizers.Tokenizer.from_file(str(path)), seed=6, n=200)


TEXT_MARKS = {
    "llama 2": (normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None),
    "replace only": (normalizers.Replace(" ", "▁"), None),
    "metaspace first": (None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False)),
    "metaspace always": (None, pre_tokenizers.Metaspace(prepend_scheme="always", split=True)),
    "metaspace never": (None, pre_tokenizers.Metaspace(prepend_scheme="never", split=True)),
}


@pytest.mark.parametrize("fallback", [True, False])
@pytest.mark.parametrize("name", TEXT_MARKS)
def test_text_tokenizers_with_marks(text_c, text_stories, tmp_path, name, fallback):
    """Llama 2's kind; without byte fallback what has no token is <unk>, several in a row one."""
    marks = [f"<0x{byte:02X}>" for byte in range(256)] if fallback else []
    library = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=fallback))
    normalizer, pre = TEXT_MARKS[name]
    if normalizer:
        library.normalizer = normalizer
    if pre:
        library.pre_tokenizer = pre
    trainer = trainers.BpeTrainer(vocab_size=700, limit_alphabet=80, special_tokens=["<unk>", "<s>", "</s>", *marks],
                                  show_progress=False)  # fmt: skip
    words = [word for line in text_corpus(text_stories) for word in regex.findall(r"\S+\s?", line)]
    library.train_from_iterator(words, trainer)
    library.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])  # fmt: skip
    path = tmp_path / "tokenizer.json"
    library.save(str(path))
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["added_tokens"] = [token for token in stored["added_tokens"] if token["content"] not in marks]
    for normalized in (False, True):
        for token in stored["added_tokens"]:
            token["normalized"] = normalized  # older files of Llama 2 have true
        path.write_text(json.dumps(stored), encoding="utf-8")
        library = tokenizers.Tokenizer.from_file(str(path))
        assert text_agrees(text_c, path, library, seed=7, decoded=fallback and not normalized)


def test_text_planted_bugs_give_other_ids(root, text_stories, tmp_path):
    """The comparison with the library notices each of these slips."""
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer, library.decoder = TEXT_SPLITS["cl100k, llama 3"](), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<|endoftext|>", "<|end|>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())  # fmt: skip
    library.train_from_iterator(text_corpus(text_stories), trainer)
    path = tmp_path / "tokenizer.json"
    library.save(str(path))
    for k, (file, right, wrong) in enumerate([
        ("split.h", "return line ? line : split_space(s, at);", "return split_space(s, at);"),
        ("split.h", "return end == s->bytes || last == at ? end : last;", "return end;"),
        ("split.h", "NUMBER, digits);", "NUMBER, SIZE_MAX);"),
        ("bpe.h", "if (s[i].left >= 0) word_offer(w, m, s[i].left);", ""),
        ("tokenizer.h", "if (c->allow_special || !added[low].special) found", "found"),
    ]):
        folder = tmp_path / f"bug{k}"
        folder.mkdir()
        for header in (root / "csrc").glob("*.h"):
            shutil.copy(header, folder)
        text = (folder / file).read_text(encoding="utf-8")
        assert text.count(right) == 1, f"{file} no longer has {right!r}: plant the bug anew"
        (folder / file).write_text(text.replace(right, wrong), encoding="utf-8")
        broken = text_build(folder, TEXT_DRIVER, folder, flags=())
        assert not text_agrees(broken, path, library, seed=4), wrong


# --- Unicode ------------------------------------------------------------------------------------------------------


def test_text_unicode_table(text_c, chapter, root, tmp_path, capsys):
    """Every code point is what `regex` says, and the header is what the script writes."""
    classes, everything = np.empty(0x110000, np.uint8), "".join(map(chr, range(0x110000)))
    text_c.text_classes(classes.ctypes.data)
    for kind, pattern in enumerate([r"[^\p{L}\p{N}\s]", r"\p{L}", r"\p{N}", r"\s"]):
        wanted = [match.start() for match in regex.finditer(pattern, everything)]
        assert np.flatnonzero(classes == kind).tolist() == wanted
    script = chapter("tokenization").unicode_table
    script.main(["--out", str(tmp_path / "unicode.h")])
    assert (tmp_path / "unicode.h").read_bytes() == (root / "csrc/unicode.h").read_bytes()
    assert "letter" in capsys.readouterr().out
    with pytest.raises(chapter("tokenization").cli.UserError, match="cannot be written"):
        script.main(["--out", str(tmp_path / "unicode.h" / "x")])


# --- JSON ---------------------------------------------------------------------------------------------------------


def text_no_twins(pairs):
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def text_json_good(data):
    """Whether Python reads it, without its leniency: no NaN, no lone halves of pairs, no huge numbers, no twins."""
    def refuse(text):
        raise ValueError(text)

    def number(text):
        return float(text) if abs(float(text)) < float("inf") else refuse(text)

    try:
        value = json.loads(data.decode("utf-8"), parse_constant=refuse, object_pairs_hook=text_no_twins,
                           parse_float=number, parse_int=number)  # fmt: skip
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        return False
    return True


def test_text_json_agrees_with_python(text_c):
    rng, good = random.Random(5), 0
    whole = json.dumps({"a": [1, -2.5e-7, 1e300, None, True, False, "é\n\"\\/"], "🐉": {"": {}, "x": [[], [0]]}})
    pieces = ["\\ud83d", "\\udc09", "\\u00e9", "\\n", "\\", '"', "{", "}", "[", "]", ",", ":", " ", "\n", "\t", "0", "1",
              "-", "+", ".", "E5", "NaN", "null", "true", "9" * 400, '"a":1,', "é", "\x00", "\x7f", "\ufeff"]  # fmt: skip
    for _ in range(6000):
        data = bytearray(whole.encode())
        for _ in range(rng.randrange(3)):
            at = rng.randrange(len(data) + 1)
            data[at:at + rng.choice([0, 1, 1, 5])] = rng.choice(pieces).encode()
        if rng.random() < 0.1:
            data[rng.randrange(len(data))] = rng.randrange(256)
        data, error = bytes(data), TextError()
        wanted = text_json_good(data)
        assert text_c.json_reads(data, len(data), ctypes.byref(error)) == wanted, (data, error.text)
        assert wanted or (error.text.startswith(b"x.json") and b"\n" not in error.text)
        good += wanted
    assert 500 < good < 5500


# --- model folders ------------------------------------------------------------------------------------------------

TEXT_TYPES = {"torch.float32": 0, "torch.float16": 1, "torch.bfloat16": 2}


class TextFolder:
    """A model folder by checkpoint.h."""

    def __init__(self, library, folder):
        self.library, error = library, TextError()
        self.handle = library.folder_open(str(folder).encode(), ctypes.byref(error))
        if not self.handle:
            raise TextFault(error.text.decode())
        self.config = library.folder_config(self.handle).contents
        views = (library.folder_tensor(self.handle, i).contents for i in range(library.folder_count(self.handle)))
        self.tensors = {view.name.decode(): view for view in views}


def text_tiny(**more):
    """A small Llama with odd sizes."""
    settings = {"vocab_size": 50, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
                "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, **more}  # fmt: skip
    return transformers.LlamaConfig(**settings)


TEXT_LLAMA3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_text_folders_that_transformers_writes(text_c, tmp_path, dtype):
    """Tied or not, with biases, heads of their own width, scaled, in one file or in parts: every number as it was."""
    for k, config in enumerate([
        text_tiny(tie_word_embeddings=True, rms_norm_eps=1e-5, bos_token_id=3, eos_token_id=[7, 9]),
        text_tiny(tie_word_embeddings=False, attention_bias=True, mlp_bias=True, head_dim=16),
        text_tiny(rope_parameters=TEXT_LLAMA3, num_key_value_heads=4),
        text_tiny(rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}),
        transformers.MistralConfig(**{**text_tiny().to_diff_dict(), "sliding_window": 20}),
    ]):  # fmt: skip
        model = transformers.AutoModelForCausalLM.from_config(config).to(dtype)
        model.save_pretrained(tmp_path / str(k), max_shard_size="8KB" if k % 2 else "5GB")
        assert (tmp_path / str(k) / "model.safetensors").exists() == (k % 2 == 0)
        folder = TextFolder(text_c, tmp_path / str(k))
        c, rope = folder.config, config.rope_parameters
        assert (c.vocab_size, c.hidden_size, c.intermediate_size, c.layers, c.heads) == (50, 24, 40, 2, 4)
        assert (c.kv_heads, c.head_dim) == (config.num_key_value_heads, config.head_dim)
        assert (c.tied, c.attention_bias, c.mlp_bias) == (k == 0, k == 1, k == 1)
        assert (c.rms_norm_eps, c.rope_theta) == (config.rms_norm_eps, rope["rope_theta"])
        assert c.context == (20 if k == 4 else 64)  # as far as the window does not matter
        assert c.rope.kind == {"default": 0, "linear": 1, "llama3": 2}[rope["rope_type"]]
        if c.rope.kind == 2:
            assert [c.rope.factor, c.rope.low, c.rope.high, c.rope.original] == [8.0, 1.0, 4.0, 32.0]
        if k == 0:
            assert (c.bos, list(c.eos[:c.eos_count])) == (3, [7, 9])
        state = {name: tensor for name, tensor in model.state_dict().items() if k or name != "lm_head.weight"}
        assert folder.tensors.keys() == state.keys()
        for name, tensor in state.items():
            view = folder.tensors[name]
            assert (view.type, view.dimensions) == (TEXT_TYPES[str(dtype)], tensor.dim())
            assert list(view.shape[:view.dimensions]) == list(tensor.shape)
            assert ctypes.string_at(view.data, view.bytes) == tensor.contiguous().view(torch.uint8).numpy().tobytes()
            assert text_c.folder_find(folder.handle, name.encode()).contents.data == view.data
        assert not text_c.folder_find(folder.handle, b"model.layers.2.mlp.up_proj.weight")
        text_c.folder_close(folder.handle)


def test_text_the_shipped_folder(text_c, root):
    folder = TextFolder(text_c, root / "deployment/weights/storyteller")
    c = folder.config
    assert (c.vocab_size, c.hidden_size, c.layers, c.heads, c.head_dim, c.context) == (4096, 320, 5, 5, 64, 512)
    assert c.tied and list(c.eos[:c.eos_count]) == [4092] and len(folder.tensors) == 47


def test_text_safetensors_agrees_with_the_library(text_c, tmp_path):
    """What the library refuses we refuse; what it reads we read, but for numbers that are not aligned."""
    rng, path, good = random.Random(6), tmp_path / "x.safetensors", 0
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b.c": np.ones((4,), np.float16),
              "empty": np.zeros((0, 5), np.int64), "scalar": np.array(3, np.int32),
              "é": np.ones((3, 1, 2), np.int8)}  # fmt: skip
    whole = safetensors.numpy.save(arrays, metadata={"format": "np"})
    length = int.from_bytes(whole[:8], "little")
    for _ in range(1500):
        header, numbers, says = bytearray(whole[8:8 + length]), whole[8 + length:], None
        for _ in range(rng.randrange(3)):
            digits = [i for i, byte in enumerate(header) if 48 <= byte < 58]
            where = rng.choice(digits) if rng.random() < 0.7 else rng.randrange(len(header))
            header[where:where + 1] = rng.choice(b"0 1 2 4 99999999999999999999 -1 \" ,".split() + [b"", b" "])
        if rng.random() < 0.2:
            numbers = numbers[: rng.randrange(len(numbers) + 1)]
        if rng.random() < 0.1:
            says = rng.choice([0, 1, length - 1, length + 1, 2**63, 2**64 - 1, 100_000_001])
        data = (len(header) if says is None else says).to_bytes(8, "little") + bytes(header) + numbers
        path.write_bytes(data)
        error = TextError()
        ours = text_c.file_reads(str(path).encode(), ctypes.byref(error))
        try:
            safetensors.deserialize(data)
            library = True
        except safetensors.SafetensorError:
            library = False
        assert ours == library or b"aligned" in error.text or b"stands twice" in error.text, (data[8:], error.text)
        good += ours
    assert 200 < good < 1400


def test_text_what_a_folder_lacks_is_said_in_one_line(text_c, tmp_path):
    with pytest.raises(TextFault, match="there is no model folder"):
        TextFolder(text_c, tmp_path / "nowhere")
    with pytest.raises(TextFault, match="config.json cannot be read: No such file"):
        TextFolder(text_c, tmp_path)
    transformers.AutoModelForCausalLM.from_config(text_tiny()).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for key, value, says in [
        ("model_type", "qwen2", "'qwen2'"), ("hidden_act", "gelu", "'gelu'"), ("head_dim", 7, "head_dim"),
        ("num_hidden_layers", 10**9, "num_hidden_layers"), ("num_hidden_layers", 3, r"lack model\.layers\.2\."),
        ("vocab_size", 51, r"\(50, 24\), config.json asks for \(51, 24\)"), ("attention_bias", True, "lack"),
        ("rope_parameters", {"rope_type": "yarn"}, "'yarn'"), ("num_attention_heads", 0, "num_attention_heads"),
        ("quantization_config", {"quant_method": "awq"}, "quant_method"),
    ]:  # fmt: skip
        (tmp_path / "config.json").write_text(json.dumps({**config, key: value}))
        with pytest.raises(TextFault, match=says) as fault:
            TextFolder(text_c, tmp_path)
        assert str(tmp_path) in str(fault.value) and "\n" not in str(fault.value)


# --- C tests, planted bugs ----------------------------------------------------------------------------------------


def test_text_c_tests_of_text_and_files_pass_under_sanitizers(text_c, run_command):
    names = "json", "checkpoint", "tokenizer"
    if not shutil.which("make"):
        pytest.skip("needs make (Debian, Ubuntu: apt-get install make)")
    run_command("make -C csrc " + " ".join(f"build/check/test_{name}" for name in names), timeout=300)
    for name in names:
        assert run_command(f"csrc/build/check/test_{name}").stderr == ""


@pytest.mark.parametrize("test, file, right, wrong", [
    ("json", "json.h", "if (depth == 0)", "if (false)"),
    ("json", "json.h", "low < 0xDC00 || low > 0xDFFF", "low > 0xDFFF"),
    ("json", "utf8.h", "if (k == 1 && p[0] == 0xED) high = 0x9F;", ""),
    ("checkpoint", "safetensors.h", "(uint64_t)to->integer > room", "to->integer < 0"),
    ("checkpoint", "safetensors.h", "if (s->tensors[i].data != at)", "if ((const char *)s->tensors[i].data < at)"),
    ("checkpoint", "checkpoint.h", "*file == '\\0' || strchr(file, '/') ||", ""),
    ("checkpoint", "checkpoint.h", "group % 32 == 0 && (c->config.quant_group == 0 ||", "(true ||"),
    ("tokenizer", "tokenizer_json.h", "before >= 0 || t->tokens[id].text", "before >= 0"),
    ("tokenizer", "bpe.h", "word_offer(w, m, i);\n    }\n}", "}\n}"),
])  # fmt: skip
def test_text_planted_bugs_in_c(text_c, root, tmp_path, test, file, right, wrong):
    """Each slip makes a C test fail."""
    shutil.copytree(root / "csrc", tmp_path / "csrc", ignore=shutil.ignore_patterns("build"))
    source = tmp_path / "csrc" / file
    text = source.read_text(encoding="utf-8")
    assert text.count(right) == 1, f"{file} no longer has {right!r}: plant the bug anew"
    source.write_text(text.replace(right, wrong), encoding="utf-8")
    program = tmp_path / "test"
    command = ["cc", "-std=c11", "-O0", tmp_path / f"csrc/test_{test}.c", "-o", program, "-lm"]
    subprocess.run(command, check=True, timeout=120)
    assert subprocess.run([program], capture_output=True, timeout=120).returncode != 0
