# copied from: transformer/tokenizer.py
"""The tokenizer as a box: text goes in, numbers come out. Chapter tokenization opens it.

tokenizer.json lists the pieces that text is cut into. Here the library tiktoken does the cutting;
the next chapter writes it out by hand and arrives at the same ids.
"""

import json
from pathlib import Path

import tiktoken

from cli import UserError

END = "<|endoftext|>"
# How GPT-2 cuts text into words; its tokenizer.json only says "ByteLevel" and leaves the pattern to the library.
GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def byte_letters():
    """The letter that tokenizer.json prints for each byte: printable bytes stand for themselves (Radford et al., 2019)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def load_tokenizer(path):
    """A tiktoken.Encoding from a tokenizer.json: `.encode_ordinary(text)`, `.decode(ids)`, `.n_vocab`, `.eot_token`."""
    path = Path(path)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        to_byte = {letter: byte for byte, letter in byte_letters().items()}
        special = {token["content"]: token["id"] for token in stored["added_tokens"]}
        ranks = {bytes(to_byte[letter] for letter in piece): index
                 for piece, index in stored["model"]["vocab"].items() if piece not in special}
        cut = stored["pre_tokenizer"]
        pattern = GPT2_PATTERN if cut["type"] == "ByteLevel" else cut["pretokenizers"][0]["pattern"]["Regex"]
        if END not in special:
            raise UserError(f"{path} has no token {END}")
        return tiktoken.Encoding(path.stem, pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; --tokenizer takes a tokenizer.json") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise UserError(f"{path} is not a byte-level tokenizer.json; train one with: python tokenization/bpe.py") from None
