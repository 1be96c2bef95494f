"""The tokenizer once more, by our own C: the same merges and the same ids as bpe.py, some forty times as fast.

New since bpe.py: where the time goes. Cutting text into words by a regular expression looks at each letter many times;
csrc/split_fast.h does 64 bytes at once. A dictionary of Python strings becomes a table in which a word is two numbers,
and a merge changes counts without looking any pair up (csrc/bpe_train.h). Left out on purpose: threads, since one
encodes faster than Python can make lists of the numbers.

    FastTokenizer(Tokenizer)     encode, decode as ever; encode_batch: many texts, one call, NumPy arrays
    train_tokenizer(texts, …)    a FastTokenizer, learned as by bpe.train_tokenizer

    python tokenization/in_c.py                  ten seconds; writes nothing
    python tokenization/in_c.py --data FOLDER --vocab-size 8192

Papers: Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units" (2016); Langdale and
Lemire, "Parsing Gigabytes of JSON per Second" (2019), for text as numbers of 64 bits.
"""

import argparse
import ctypes
import functools
import itertools
import threading
import time
import weakref

import numpy as np
import regex

import bpe
from cli import positive_int, run
from clib import load_library
from stories import load_split
from tokenizer import PATTERN, SPECIALS, Tokenizer

TRAIN_RUNGS = {1: "all pairs counted after every merge", 2: "counts changed where a merge is",
               3: "the largest from a heap", 4: "cut 64 bytes at a time, plain C",
               5: "the same with AVX2", 6: "the same with AVX-512"}  # fmt: skip
ENCODE_RUNGS = {1: "every word merged", 2: "words kept in a table", 3: "cut 64 bytes at a time, plain C",
                4: "the same with AVX2", 5: "the same with AVX-512"}  # fmt: skip
# copied from: transformer/tokenizer.py::GPT2_PATTERN
GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# The patterns that C knows, by their numbers in csrc/split.h; for others `regex` cuts, and C gets the pieces.
KINDS = {GPT2_PATTERN: 0, PATTERN: 1, PATTERN.replace(r"\p{N}{1,3}", r"\p{N}"): 2}
IN_PIECES = -1
NO_MEMORY, NO_SUCH_RUNG, WRONG = -1, -2, -3  # what the functions of csrc/bpe.c return in place of a count
SPARE = 3  # numbers behind the ids, which C may overwrite
BIG = 1 << 18  # bytes of a text beyond which the memory of its ids is given back


@functools.cache
def bpe_library():
    """csrc/bpe.c with the types of its functions. Raises UserError where it cannot be compiled."""
    return with_types(load_library("bpe"))


def with_types(library):
    """The library, told what its functions take and return."""
    number, array, how = ctypes.c_int64, ctypes.c_void_p, (ctypes.c_int, ctypes.c_int)  # how: rung, kind
    texts = (ctypes.c_char_p, number, array)  # the bytes of all, how many, where each ends
    library.bpe_train.argtypes = [*how, *texts, number, array, array]
    library.bpe_encoder.argtypes = [array, number]
    library.bpe_encoder_free.argtypes = [array]
    library.bpe_encode.argtypes = [array, *how, *texts, array, array]
    library.bpe_encode_one.argtypes = [array, *how, ctypes.c_char_p, number, array]
    library.bpe_decode.argtypes = [ctypes.c_char_p, array, number, array, number, array]
    library.bpe_cut.argtypes = [*how, *texts, array]
    library.bpe_read.argtypes = [ctypes.c_char_p, number]
    library.bpe_encoder.restype, library.bpe_encoder_free.restype = ctypes.c_void_p, None
    for name in ("train", "encode", "encode_one", "decode", "cut", "read"):
        getattr(library, f"bpe_{name}").restype = number
    return library


def count_or_error(count):
    """A count that C returned. Raises MemoryError, ValueError where it is none."""
    if count == NO_MEMORY:
        raise MemoryError("not enough memory for the words of this text")
    if count == NO_SUCH_RUNG:
        highest = bpe_library().bpe_rungs()
        raise ValueError(f"this processor has the rungs 1 to {highest} of encoding, and one more of training")
    if count < 0:
        raise ValueError("that cannot be encoded or decoded")
    return count


def packed_texts(texts, pattern):
    """Strings as C takes them: (kind of pattern, the UTF-8 of all, where each ends (n,), pieces of each text or None).

    A lone surrogate is no character and has no UTF-8; it becomes "?". Where C does not know the pattern, what it gets
    are the pieces, each a text of its own.
    """
    kind, counts = KINDS.get(pattern, IN_PIECES), None
    if kind == IN_PIECES:
        cut = [*map(regex.compile(pattern).findall, texts)]
        counts, texts = [*map(len, cut)], itertools.chain.from_iterable(cut)
    encoded = [text.encode("utf-8", "replace") for text in texts]
    ends = np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)))
    return kind, encoded[0] if len(encoded) == 1 else b"".join(encoded), ends, counts


# --- training -----------------------------------------------------------------------------------------------------


def learn_merges(texts, n_merges, pattern=PATTERN, rung=None):
    """At most n_merges pairs of ids, an array (m, 2), and their source's (words, different ones, bytes of these)."""
    kind, data, ends, _ = packed_texts(texts, pattern)
    merges, sizes = np.empty((min(n_merges, len(data)), 2), np.int32), np.zeros(3, np.int64)
    rung = rung or bpe_library().bpe_rungs() + 1
    count = bpe_library().bpe_train(rung, kind, data, len(ends), ends.ctypes.data, len(merges), merges.ctypes.data,
                                    sizes.ctypes.data)  # fmt: skip
    return merges[: count_or_error(count)], tuple(sizes.tolist())


def train_tokenizer(texts, vocab_size, pattern=PATTERN, specials=SPECIALS, rung=None):
    """A FastTokenizer of vocab_size ids (fewer where the text runs out of pairs), the same as bpe.train_tokenizer's."""
    n_merges = vocab_size - 256 - len(specials)
    if n_merges < 0:
        raise ValueError(f"a vocabulary has at least the 256 bytes and {len(specials)} special tokens")
    return FastTokenizer(learn_merges(texts, n_merges, pattern, rung)[0].tolist(), pattern, specials)


# --- encoding and decoding ----------------------------------------------------------------------------------------


class FastTokenizer(Tokenizer):
    """The Tokenizer whose work C does. It remembers words (in 5 MB), so a lock lets one thread in at a time."""

    def __init__(self, merges, pattern=PATTERN, specials=SPECIALS, rung=None):
        merges = [*merges]
        super().__init__(merges, pattern, specials)
        pairs, self.library = np.array(merges, np.int32).reshape(-1, 2), bpe_library()
        self.encoder = self.library.bpe_encoder(pairs.ctypes.data, len(pairs))
        if not self.encoder:
            raise MemoryError(f"not enough memory for a tokenizer of {len(merges):,} merges")
        weakref.finalize(self, self.library.bpe_encoder_free, self.encoder)
        self.rung, self.kind = rung or self.library.bpe_rungs(), KINDS.get(pattern, IN_PIECES)
        self.all_bytes, self.ends = b"".join(self.tokens), np.cumsum([*map(len, self.tokens)], dtype=np.int64)
        self.numbers = np.array(range(self.vocab_size), object)  # lists share them: making 250 new ones takes longer
        self.lock = threading.Lock()
        self.make_room(4096)

    def make_room(self, size):
        """Memory for the ids of one text, used again for the next, and its address."""
        self.room = np.empty(size, np.int32)
        self.address = self.room.ctypes.data

    def encode(self, text, allowed_special=False):
        """The ids of a text, a list."""
        if self.kind == IN_PIECES or (allowed_special and self.special):
            return self.encode_batch([text], allowed_special)[0].tolist()
        data = text.encode("utf-8", "replace")
        with self.lock:
            if len(data) > len(self.room) - SPARE:
                self.make_room(len(data) + SPARE)
            count = self.library.bpe_encode_one(self.encoder, self.rung, self.kind, data, len(data), self.address)
            ids = self.numbers.take(self.room[: count_or_error(count)]).tolist()
            if len(data) > BIG:
                self.make_room(4096)
        return ids

    def encode_batch(self, texts, allowed_special=False):
        """The ids of many texts: (ids, offsets). Those of text i are ids[offsets[i]:offsets[i + 1]], int32.

        All texts lie in memory once more as UTF-8, so a corpus is better encoded in parts of some megabytes.
        """
        texts = [*texts]
        if not allowed_special or not self.special:
            return self.encode_plain(texts)
        cut = [self.special_pattern.split(text) for text in texts]  # text, special, text, special, …, text
        ids, offsets = self.encode_plain([part for parts in cut for part in parts[::2]])
        found = [self.special[part] for parts in cut for part in parts[1::2]]
        first = np.cumsum([0, *((len(parts) + 1) // 2 for parts in cut)])  # (texts + 1,): of each text's plain parts
        behind = [offsets[part] for begin, end in zip(first, first[1:]) for part in range(begin + 1, end)]
        ids = np.insert(ids, np.array(behind, np.int64), np.array(found, np.int32))
        return ids, offsets[first] + first - np.arange(len(first))

    def encode_plain(self, texts):
        """encode_batch of texts in which special tokens are ordinary characters."""
        kind, data, ends, counts = packed_texts(texts, self.pattern.pattern)
        ids, offsets = np.empty(len(data) + SPARE, np.int32), np.zeros(len(ends) + 1, np.int64)
        with self.lock:
            count = self.library.bpe_encode(self.encoder, self.rung, kind, data, len(ends), ends.ctypes.data,
                                            ids.ctypes.data, offsets.ctypes.data + 8)  # fmt: skip
        ids.resize(count_or_error(count), refcheck=False)
        return ids, offsets if counts is None else offsets[np.cumsum([0, *counts])]

    def decode_bytes(self, ids):
        """The bytes of some ids, joined. They may begin or end in the middle of a character."""
        ids = np.asarray(ids, np.int64)
        where = (self.all_bytes, self.ends.ctypes.data, len(self.tokens), ids.ctypes.data, ids.size)
        size = self.library.bpe_decode(*where, None)
        if size == WRONG:
            return super().decode_bytes(ids.tolist())  # says which
        data = ctypes.create_string_buffer(size) if size else b""
        self.library.bpe_decode(*where, data)
        return data.raw if size else b""


# --- the lesson ---------------------------------------------------------------------------------------------------


def best_time(function, repeats=3):
    """Seconds that this thread computed, the least of several calls; what the last one returned."""
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        result = function()
        times.append(time.thread_time() - start)
    return min(times), result


def show_training(stories, vocab_size):
    """Every rung's time, each with the merges of bpe.py. Returns the tokenizer of bpe.py."""
    by_python, ours = best_time(lambda: bpe.train_tokenizer(stories, vocab_size), 1)
    print(f"\n{f'training {ours.vocab_size:,} tokens':48}{'seconds':>9}{'gain':>8}{'merges':>9}")
    print(f"{'bpe.py':48}{by_python:>9.3f}{'':8}{len(ours.merges):>9,}")
    before = by_python
    for rung in list(TRAIN_RUNGS)[: bpe_library().bpe_rungs() + 1]:
        learned = functools.partial(learn_merges, stories, vocab_size - 256 - len(SPECIALS), rung=rung)
        seconds, (merges, sizes) = best_time(learned, 5 if rung > 1 else 1)
        same = [*map(tuple, merges.tolist())] == [*ours.merges]
        assert same, f"rung {rung} learned other merges"
        name = f"C, {rung} {TRAIN_RUNGS[rung]}"
        print(f"{name:48}{seconds:>9.3f}{before / seconds:>7.1f}x{'the same':>9}")
        before = seconds
    print(f"{sizes[0]:,} words, {sizes[1]:,} different ones of {sizes[2]:,} bytes")
    return ours


def show_encoding(stories, ours):
    """Every rung's rate, each with the ids of tokenizer.py."""
    megabytes = sum(len(story.encode()) for story in stories) / 1e6
    by_python, wanted = best_time(lambda: [ours.encode(story) for story in stories], 1)
    print(f"\n{f'encoding {megabytes:.1f} MB, one thread':48}{'MB/s':>9}{'gain':>8}{'as lists':>9}")
    print(f"{'tokenizer.py':48}{megabytes / by_python:>9.1f}{'':8}{megabytes / by_python:>9.1f}")
    before, flat = by_python, np.fromiter(itertools.chain.from_iterable(wanted), np.int32)
    for rung in list(ENCODE_RUNGS)[: bpe_library().bpe_rungs()]:
        fast = FastTokenizer([*ours.merges], rung=rung)
        seconds, (ids, offsets) = best_time(lambda: fast.encode_batch(stories))  # noqa: B023
        in_lists, lists = best_time(lambda: [fast.encode(story) for story in stories])  # noqa: B023
        assert lists == wanted and np.array_equal(ids, flat), f"rung {rung} made other ids"
        assert offsets.tolist() == [0, *itertools.accumulate(map(len, wanted))]
        name = f"C, {rung} {ENCODE_RUNGS[rung]}"
        print(f"{name:48}{megabytes / seconds:>9.0f}{before / seconds:>7.1f}x{megabytes / in_lists:>9.0f}")
        before = seconds
    assert all(fast.decode(ids) == story for ids, story in zip(lists, stories)), "a story did not come back"
    print(f"all {len(flat):,} ids are those of tokenizer.py; all {len(stories):,} stories came back as they were")
    return fast


def show_no_quadratic_case(ours, fast):
    """One word of a million letters: the heap of csrc/bpe.h."""
    short, long = "sandwiches" * 2_000, "sandwiches" * 100_000
    assert fast.encode(short) == ours.encode(short)
    seconds, ids = best_time(lambda: fast.encode(long), 1)
    assert fast.decode(ids) == long
    print(f"a word of {len(long):,} letters: {len(ids):,} ids in {seconds:.2f} s")


def main(argv=None):
    parser = argparse.ArgumentParser(description="Training and encoding by our own C: merges and ids of bpe.py, times.")
    parser.add_argument("--data", default="datasets/stories", metavar="FOLDER",
                        help="folder with train.txt and valid.txt (default: datasets/stories)")  # fmt: skip
    parser.add_argument("--vocab-size", type=positive_int, default=4096, help="ids in all (default: 4096)")
    args = parser.parse_args(argv)
    bpe.check_vocab_size(args.vocab_size)
    bpe_library()
    stories = load_split(args.data, "train")
    print(f"read {args.data}: {len(stories):,} stories, {sum(len(story.encode()) for story in stories):,} bytes")
    ours = show_training(stories, args.vocab_size)
    fast = show_encoding(stories, ours)
    show_no_quadratic_case(ours, fast)


if __name__ == "__main__":
    run(main)
