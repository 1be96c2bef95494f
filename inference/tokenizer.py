# copied from: tokenization/tokenizer.py
"""A byte-level BPE tokenizer, ready for use: text to ids, ids to text, and its file tokenizer.json.

New since the last chapter: the box of transformer/tokenizer.py is open; the same ids, by our own code.
Learning the merges is in bpe.py, since whoever only reads and writes text never needs it. Left out on
purpose: normalization (every byte comes back as it was), padding, truncation, unknown tokens (none exist).

    tokenizer = Tokenizer.load("tokenization/tokenizer.json")
    tokenizer.encode("Once upon a time")          [427, 437, 258, 396]
    tokenizer.decode([427, 437, 258, 396])        "Once upon a time"

Papers: Gage, "A New Algorithm for Data Compression" (1994); Sennrich, Haddow and Birch, "Neural Machine
Translation of Rare Words with Subword Units" (2016); Radford et al., GPT-2 (2019), for the bytes.
"""

import codecs
import heapq
import json
from pathlib import Path

import regex

from atomic import write_atomic
from cli import UserError

# GPT-4's pattern (cl100k_base). A merge never crosses the pieces it cuts text into:
# 's 't 're … | letters with one other character before | up to 3 digits | other signs | line ends | spaces
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# The first one stands between stories; the others are for conversations (chapter sft).
SPECIALS = ("<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>")
CACHE_WORDS, CACHE_LENGTH = 1 << 16, 64  # so many words, each so short, are remembered: about 20 MB


# copied from: transformer/tokenizer.py::byte_letters
def byte_letters():
    """The letter that tokenizer.json prints for each byte: printable bytes stand for themselves (Radford et al., 2019)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


LETTERS = byte_letters()


class Tokenizer:
    """Text to ids and back. Ids: the 256 bytes, then a token for each merge, then the special tokens.

    merges: pairs of ids, in the order they were learned; merge k makes token 256 + k. The earlier a
    merge was learned, the earlier it is applied, so the new id is the merge's rank as well.
    """

    def __init__(self, merges, pattern=PATTERN, specials=SPECIALS):
        self.merges = {}  # (left id, right id) -> new id
        self.tokens = [bytes([byte]) for byte in range(256)]  # id -> bytes
        for left, right in merges:
            self.merges[left, right] = len(self.tokens)
            self.tokens.append(self.tokens[left] + self.tokens[right])
        self.special = {text: len(self.tokens) + i for i, text in enumerate(specials)}
        self.tokens += [text.encode("utf-8") for text in specials]
        self.pattern = regex.compile(pattern)
        longest_first = sorted(specials, key=len, reverse=True)
        self.special_pattern = regex.compile("(" + "|".join(map(regex.escape, longest_first)) + ")")
        self.cache = {}  # word -> ids

    @property
    def vocab_size(self):
        """How many ids there are, special tokens included."""
        return len(self.tokens)

    def encode(self, text, allowed_special=False):
        """The ids of a text. `<|end|>` in it is seven ordinary characters, as everything users type must be.

        allowed_special: True makes special tokens of them, for text that our own program has put together.
        """
        if allowed_special and self.special:
            ids = []
            for part in self.special_pattern.split(text):  # text, special, text, special, …, text
                ids += [self.special[part]] if part in self.special else self.encode(part)
            return ids
        ids = []
        for word in self.pattern.findall(text):
            found = self.cache.get(word)
            if found is None:
                # A lone surrogate is no character and has no UTF-8; it becomes "?".
                found = self.encode_word(word.encode("utf-8", errors="replace"))
                if len(self.cache) < CACHE_WORDS and len(word) <= CACHE_LENGTH:
                    self.cache[word] = found
            ids += found
        return ids

    def encode_word(self, word):
        """The ids of one piece (bytes): again and again the merge of lowest rank, of those the leftmost.

        A heap offers the merges in that order, and links skip what has been swallowed, so that n bytes
        take n log n steps: a word may be a million letters long.
        """
        ids, n = list(word), len(word)
        left, right = list(range(-1, n - 1)), list(range(1, n + 1))  # neighbors; -1 and n are the ends
        heap = [(self.merges[pair], i) for i, pair in enumerate(zip(ids, ids[1:])) if pair in self.merges]
        heapq.heapify(heap)
        while heap:
            new, i = heapq.heappop(heap)
            j = right[i]
            if j == n or self.merges.get((ids[i], ids[j])) != new:
                continue  # out of date: one of the two has merged with its other neighbor
            ids[i], ids[j], right[i] = new, -1, right[j]
            if right[i] < n:
                left[right[i]] = i
            for k in (left[i], i):  # the two new pairs
                if k >= 0 and right[k] < n and (ids[k], ids[right[k]]) in self.merges:
                    heapq.heappush(heap, (self.merges[ids[k], ids[right[k]]], k))
        return [i for i in ids if i >= 0]

    def decode_bytes(self, ids):
        """The bytes of some ids, joined. They may begin or end in the middle of a character."""
        for i in ids:
            if not 0 <= i < len(self.tokens):
                raise ValueError(f"{i} is not a token id; they are 0 to {len(self.tokens) - 1}")
        return b"".join([self.tokens[i] for i in ids])

    def decode(self, ids):
        """The text of some ids; what is not UTF-8 becomes U+FFFD, the replacement character."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def save(self, path):
        """Writes tokenizer.json, which the libraries `tokenizers` and `transformers` load too."""
        write_atomic(path, json.dumps(to_json(self), ensure_ascii=False, indent=1) + "\n")

    @classmethod
    def load(cls, path):
        """Reads a tokenizer.json. Raises UserError, with file and fault, where it is not one of ours."""
        try:
            return cls(*from_json(json.loads(Path(path).read_bytes().decode("utf-8"))))
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise UserError(f"{path} is no tokenizer.json: byte {error.start} is not UTF-8") from None
        except json.JSONDecodeError as error:
            raise UserError(f"{path} is damaged: line {error.lineno} is not JSON ({error.msg})") from None
        except (ValueError, RecursionError, regex.error) as error:
            raise UserError(f"{path} is no tokenizer of ours: {error}") from None


class StreamDecoder:
    """Text as it is generated, id by id: a character comes out when its last byte is there, never half of it.

    Everything that push() gave, and flush() at the end, joined, is decode() of all the ids.
    """

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")  # keeps up to 3 bytes back

    def push(self, id):
        """The text that this id completes; may be empty."""
        return self.utf8.decode(self.tokenizer.decode_bytes([id]))

    def flush(self):
        """What is left at the end: empty, or U+FFFD for a character that was never finished."""
        text = self.utf8.decode(b"", final=True)
        self.utf8.reset()
        return text


def to_json(tokenizer):
    """What tokenizer.json holds, in the format of the `tokenizers` library (version 1.0)."""
    words = ["".join(LETTERS[byte] for byte in token) for token in tokenizer.tokens]
    words = words[: 256 + len(tokenizer.merges)]  # special tokens are listed apart
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    split = {"type": "Split", "pattern": {"Regex": tokenizer.pattern.pattern}, "behavior": "Isolated",
             "invert": False}
    letters = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": text, **flags} for text, i in tokenizer.special.items()],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, letters]},
        "post_processor": begin_mark(tokenizer.special),
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "ignore_merges": False, "vocab": {word: i for i, word in enumerate(words)},
                  "merges": [f"{words[left]} {words[right]}" for left, right in tokenizer.merges]},
    }  # fmt: skip


def begin_mark(special):
    """The post_processor: `tokenizers` and `transformers` put the first special token before a text."""
    if not special:
        return None
    text, i = next(iter(special.items()))
    mark = {"SpecialToken": {"id": text, "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {"type": "TemplateProcessing", "single": [mark, first], "pair": [mark, first, mark, second],
            "special_tokens": {text: {"id": text, "ids": [i], "tokens": [text]}}}  # fmt: skip


def from_json(stored):
    """(merges, pattern, specials) of a tokenizer.json. Raises ValueError where ours would give other ids."""
    model = stored.get("model") if isinstance(stored, dict) else None
    if not isinstance(model, dict) or model.get("type") != "BPE":
        raise ValueError("it has no model of type BPE")
    vocab, merges, added = model.get("vocab"), model.get("merges"), stored.get("added_tokens")
    for name, here in (("vocab", isinstance(vocab, dict)), ("merges", isinstance(merges, list)),
                       ("added_tokens", isinstance(added, list))):  # fmt: skip
        if not here:
            raise ValueError(f"its {name} are missing")
    settings = "dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"
    for name in settings:
        if model.get(name):
            raise ValueError(f"it sets {name}, which ours does not know")
    if stored.get("normalizer"):
        raise ValueError("it changes text before cutting it (normalizer), which ours does not do")
    specials = read_specials(added, 256 + len(merges))
    ordinary = {word: i for word, i in vocab.items() if word not in specials}
    return read_merges(ordinary, merges), read_pattern(stored.get("pre_tokenizer")), specials


def read_merges(vocab, merges):
    """Pairs of ids, from the merges as text; the vocabulary must number bytes, then merges, without a gap."""
    for byte, letter in LETTERS.items():
        if vocab.get(letter) != byte:
            raise ValueError(f"byte {byte} ({letter}) has id {vocab.get(letter)}, ours gives it {byte}")
    pairs = []
    for k, merge in enumerate(merges):
        pair = merge.split(" ") if isinstance(merge, str) else merge  # both spellings are in use
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise ValueError(f"merge {k} is not a pair of tokens")
        for part in pair:
            if vocab.get(part, len(vocab)) not in range(256 + k):
                raise ValueError(f"merge {k} uses {part!r}, which is not a token yet")
        made = "".join(pair)
        if vocab.get(made) != 256 + k:
            raise ValueError(f"merge {k} should make token {256 + k}, but {made!r} has id {vocab.get(made)}")
        pairs.append((vocab[pair[0]], vocab[pair[1]]))
    if len(vocab) != 256 + len(merges):
        raise ValueError(f"it has {len(vocab)} tokens, but 256 bytes and {len(merges)} merges")
    return pairs


def read_specials(added, first):
    """The special tokens in order of their ids, which must be the last ones, without a gap."""
    for token in added:
        if not isinstance(token, dict) or not isinstance(token.get("content"), str) or not token["content"] \
                or not isinstance(token.get("id"), int):
            raise ValueError("one of its added_tokens has no content or no id")
        if token.get("lstrip") or token.get("rstrip") or token.get("single_word"):
            raise ValueError(f"its token {token['content']!r} takes spaces with it, which ours does not do")
    added = sorted(added, key=lambda token: token["id"])
    for i, token in enumerate(added, first):
        if token["id"] != i:
            raise ValueError(f"its token {token['content']!r} has id {token['id']}, where {i} is next")
    if len({token["content"] for token in added}) < len(added):
        raise ValueError("one of its added_tokens is there twice")
    return [token["content"] for token in added]


def read_pattern(pre_tokenizer):
    """The split pattern; the steps must be ours, one by one."""
    try:
        split, to_letters = pre_tokenizer["pretokenizers"]
        pattern = split["pattern"]["Regex"]
        plain = (split["behavior"], split["invert"], to_letters["type"]) == ("Isolated", False, "ByteLevel") \
            and not to_letters["add_prefix_space"] and not to_letters["use_regex"]
    except (KeyError, TypeError, ValueError):
        plain = False
    if not plain or not isinstance(pattern, str):
        raise ValueError("its pre_tokenizer is not a split by a pattern, then ByteLevel")
    return pattern
