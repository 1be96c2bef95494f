"""What is a string? Letters as seven bits, a number for every character, bytes, and what a reader calls one letter.

New since bigram/letters.py: the way back from bytes, everything above code points, and what tokens make of it. The parts
are utf8.py (bytes), graphemes.py (what looks like one character) and normal_forms.py (what looks the same). Each is
compared here with Python's own. Left out on purpose: the older encodings of single languages, and right-to-left order.

    python tokenization/strings.py                     ten seconds
    python tokenization/strings.py --text "naïve 茶"    a text of your own at its levels
    python tokenization/strings.py --plot              also draws tokenization/figures/levels.svg

Papers: Yergeau, "UTF-8" (RFC 3629, 2003); the Unicode Standard with its Annexes 15 and 29.
"""

import argparse
import random
import unicodedata
from html import escape
from pathlib import Path

from atomic import write_atomic
from cli import UserError, run
from draw import COLORS, page
from graphemes import columns, graphemes
from normal_forms import normal_form
from tokenizer import StreamDecoder, Tokenizer
from utf8 import LAST, SURROGATES, decode_utf8, encode_utf8, encode_utf16

TEXT = "Zoe\u0301 and \U0001f469\u200d\U0001f680 한"  # e and a mark; a woman, a joiner and a rocket; a Korean syllable
TOKENIZER = "tokenization/tokenizer.json"
FIGURE = Path("tokenization/figures/levels.svg")
PLANES = {0: "basic: nearly all living scripts", 1: "old scripts, signs, emoji", 2: "rare Chinese characters",
          3: "more of them", 14: "tags and selectors", 15: "private use", 16: "private use"}  # fmt: skip
FAULTY = ["80", "c3", "c0 af", "e2 82", "ed a0 80", "f0 80 80 80", "f4 90 80 80"]
TWINS = [("é", "e\u0301"), ("각", "\u1100\u1161\u11a8"), ("Å", "\u212b"), ("fi", "\ufb01"), ("2", "²"), ("A", "\uff21")]
SHOWN = {"\n": "⏎", " ": "␣", "\u200d": "joiner", "\u0301": "◌́"}


def show_seven_bits():
    """Upper and lower case differ in one bit; a digit's last four bits are the digit."""
    for character in "AaZz07 \n":
        print(f"{SHOWN.get(character, character):4}{ord(character):4}  {ord(character):07b}")
    assert all(ord(c) ^ 0b010_0000 == ord(c.lower()) for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert all(ord(c) & 0b1111 == int(c) for c in "0123456789")


def show_planes():
    """How many characters each plane of 65,536 code points has, as far as this Python's tables know."""
    for plane, name in PLANES.items():
        codes = range(plane << 16, plane + 1 << 16)
        kinds = [unicodedata.category(chr(code)) for code in codes if code not in SURROGATES]
        print(f"plane {plane:2}  {sum(kind != 'Cn' for kind in kinds):7,} of 65,536 given out   {name}")


def show_encodings(text):
    """The first code point of a text, and those beyond ASCII, in three encodings."""
    print(f"{'':8}{'code':9}{'UTF-8':13}{'UTF-16':11}UTF-32")
    for character in dict.fromkeys([text[0], *(c for c in text if not c.isascii())]):
        code = ord(character)
        units = " ".join(f"{unit:04x}" for unit in encode_utf16(code))
        print(f"{SHOWN.get(character, character):8}U+{code:04X}".ljust(17) + f"{encode_utf8(code).hex(' '):13}"
              f"{units:11}{code:08x}")  # fmt: skip
    for name, width in (("utf-16-be", 2), ("utf-32-be", 4)):
        print(f"{name[:6]}: {len(text.encode(name))} bytes", end=", ")
        mine = [unit for c in text for unit in (encode_utf16(ord(c)) if width == 2 else [ord(c)])]
        assert b"".join(unit.to_bytes(width, "big") for unit in mine) == text.encode(name)
    print(f"utf-8: {len(text.encode())} bytes")


def show_faulty():
    """Bytes that are no text, why, and what a program shows that has to show something."""
    for data in map(bytes.fromhex, FAULTY):
        try:
            decode_utf8(data)
        except ValueError as error:
            print(f"{data.hex(' '):13}{decode_utf8(data, 'replace'):6}{error}")


def compare_with_python(count=20000):
    """Every code point there and back, and random bytes; returns how many of these were no text."""
    everything = [code for code in range(LAST + 1) if code not in SURROGATES]
    data = b"".join(map(encode_utf8, everything))
    text = "".join(map(chr, everything))
    assert data == text.encode("utf-8") and decode_utf8(data) == text
    rng, faulty = random.Random(0), 0
    for _ in range(count):
        data = bytes(rng.choices([*range(256), *range(0xE0, 0xF5)], k=rng.randrange(1, 8)))
        assert decode_utf8(data, "replace") == data.decode("utf-8", errors="replace")
        faulty += "\ufffd" in decode_utf8(data, "replace")
    print(f"the same as Python's codec for all {len(everything):,} code points and on {count:,} random strings of bytes, "
          f"of which {faulty:,} were no text")


def levels(text, tokenizer):
    """[(level, [pieces as bytes])], all of them cutting the same bytes, from what a reader sees to what a model sees."""
    return [("graphemes", [g.encode() for g in graphemes(text)]), ("code points", [c.encode() for c in text]),
            ("bytes", [bytes([b]) for b in text.encode()]),
            ("tokens", [tokenizer.tokens[i] for i in tokenizer.encode(text)])]  # fmt: skip


def shown_bytes(data):
    """A piece as text, or in hexadecimal digits where it is no whole text; invisible characters by a sign."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return data.hex(" ")
    return SHOWN.get(text, text.replace(" ", "␣").replace("\n", "⏎"))


def show_levels(text, tokenizer):
    for level, pieces in levels(text, tokenizer):
        assert b"".join(pieces) == text.encode("utf-8")
        print(f"{len(pieces):3} {level:12} " + "|".join(p.hex() if level == "bytes" else shown_bytes(p) for p in pieces))
    print(f"{columns(text):3} columns of a terminal; Python's len() says {len(text)}, JavaScript's length "
          f"{len(text.encode('utf-16-be')) // 2}, C's strlen() {len(text.encode())}")  # fmt: skip


def show_twins(tokenizer):
    """Pairs of strings that look alike or nearly, which normal forms make them one, and what a model gets."""
    print(f"{'':28}same in     tokens of one, of the other")
    for one, other in TWINS:
        assert one != other
        same = [form for form in ("NFC", "NFD", "NFKC", "NFKD") if normal_form(form, one) == normal_form(form, other)]
        for form, text in ((form, text) for form in ("NFC", "NFD", "NFKC", "NFKD") for text in (one, other)):
            assert normal_form(form, text) == unicodedata.normalize(form, text)
        codes = " ".join(f"{ord(c):04x}" for c in one), " ".join(f"{ord(c):04x}" for c in other)
        kinds = "all four" if len(same) == 4 else " ".join(same)
        print(f"{codes[0]:12}{codes[1]:16}{kinds:12}{tokenizer.encode(one)} {tokenizer.encode(other)}")
    syllables = [chr(code) for code in range(0xAC00, 0xD7A4)]
    assert all(normal_form("NFD", s) == unicodedata.normalize("NFD", s) for s in syllables)
    assert all(normal_form("NFC", normal_form("NFD", s)) == s for s in syllables)
    print(f"{len(syllables):,} Korean syllables taken apart and put together by a formula, as Python's unicodedata does")


def show_model_view(text, tokenizer):
    """What streams out of a model token by token, and what is lost where its text is cut after any token."""
    ids = tokenizer.encode(text)
    decoder = StreamDecoder(tokenizer)
    streamed = [decoder.push(i) for i in ids] + [decoder.flush()]
    assert "".join(streamed) == text
    waits = sum(not part for part in streamed[:-1])
    broken = [k for k in range(1, len(ids)) if "\ufffd" in tokenizer.decode(ids[:k])]
    torn = [k for k in range(1, len(ids)) if k not in broken and graphemes(text)
            != graphemes(tokenizer.decode(ids[:k])) + graphemes(tokenizer.decode(ids[k:]))]  # fmt: skip
    print(f"{len(ids)} tokens; after {waits} of them nothing can be shown yet. Cut after one of the first {len(ids) - 1}: "
          f"{len(broken)} times half a character is left, {len(torn)} times a whole one that changes its look")


def draw_string(text, tokenizer):
    """The levels one below the other, each piece as wide as its bytes; below a code point its number."""
    wide, high, left, parts = 30, 34, 96, []
    for row, (level, pieces) in enumerate(levels(text, tokenizer)):
        x, y = left, 10 + row * (high + 12)
        parts.append(f'<text x="8" y="{y + 21}" font-size="13" fill="#444">{level}</text>')
        for i, piece in enumerate(pieces):
            width, middle = wide * len(piece), x + wide * len(piece) / 2 - 1
            shown = piece.hex() if level == "bytes" else shown_bytes(piece)
            lines = [(shown, 13)] if level != "code points" else [(shown, 13), (f"{ord(piece.decode()):x}", 9)]
            parts.append(f'<rect x="{x}" y="{y}" width="{width - 2}" height="{high - 4}" rx="3" fill="{COLORS[i % 5]}"/>')
            for k, (line, size) in enumerate(lines):
                parts.append(f'<text x="{middle}" y="{y + (20, 14, 26)[k + len(lines) - 1]}" font-size="{size}" '
                             f'text-anchor="middle">{escape(line)}</text>')  # fmt: skip
            x += width
    return page(parts, left + wide * len(text.encode()) + 8, 10 + 4 * (high + 12))


def main(argv=None):
    parser = argparse.ArgumentParser(description="Shows a string at its levels, and how text becomes bytes.")
    parser.add_argument("--text", default=TEXT, help=f"the text to show (default: {TEXT!r})")
    parser.add_argument("--plot", action="store_true", help=f"draw {FIGURE}")
    args = parser.parse_args(argv)
    if not args.text:
        raise UserError("--text is empty; give it a few letters")
    if any(ord(character) in SURROGATES for character in args.text):
        raise UserError("--text is not UTF-8; type it as characters, not as single bytes")
    tokenizer = Tokenizer.load(TOKENIZER)
    for title, show in {
        "ASCII: seven bits": show_seven_bits, "Unicode: 17 planes, ten of them empty": show_planes,
        "in bytes": lambda: show_encodings(args.text), "bytes that are no text": show_faulty,
        "compared": compare_with_python, "one text, its levels": lambda: show_levels(args.text, tokenizer),
        "not equal, though they look alike": lambda: show_twins(tokenizer),
        "for a model": lambda: show_model_view(args.text, tokenizer),
    }.items():  # fmt: skip
        print(f"-- {title}")
        show()
    if args.plot:
        write_atomic(FIGURE, draw_string(args.text, tokenizer))
        print(f"drawn in {FIGURE}")


if __name__ == "__main__":
    run(main)
