"""Text is bytes: ASCII, a first look at UTF-8, and a little story with é and 😊 in it, byte by byte.

Where the course starts. Left out on purpose: everything else about text (chapter tokenization has it). A character
has a number, its code point; UTF-8 writes that number as one to four bytes, whole numbers from 0 to 255.

    python bigram/letters.py                   two seconds
    python bigram/letters.py --text "naïve"    a text of your own

Paper: Yergeau, "UTF-8, a transformation format of ISO 10646" (RFC 3629, 2003); the idea is Thompson's and Pike's (1992).
"""

import argparse

from cli import UserError, run

STORY = "Zoé met a fox. 😊"
# The characters with code points from `first` on take so many bytes; the first byte begins with these bits.
FORMS = [(0x10000, 4, 0b1111_0000), (0x800, 3, 0b1110_0000), (0x80, 2, 0b1100_0000)]


def utf8_bytes(code_point):
    """The UTF-8 bytes of one character, a list of 1 to 4 whole numbers. code_point: what ord() gives."""
    for first, length, prefix in FORMS:
        if code_point >= first:
            rest = [0b1000_0000 | code_point >> shift & 0b11_1111 for shift in range(6 * (length - 2), -1, -6)]
            return [prefix | code_point >> 6 * (length - 1), *rest]
    return [code_point]


def describe_character(character):
    """One line: the character, its code point, its bits, and its bytes in decimal and in bits."""
    code = ord(character)
    data = utf8_bytes(code)
    name = {" ": "space", "\n": "newline"}.get(character, character)
    bits = " ".join(f"{byte:08b}" for byte in data)
    return f"{name:7} {code:7} {code:>21b}   {' '.join(f'{byte:3}' for byte in data):15}   {bits}"


def show_ascii():
    """Prints the 95 characters of ASCII that can be seen, sixteen in a line."""
    print("      " + "".join(f"{column:>3}" for column in range(16)))
    for start in range(32, 127, 16):
        print(f"{start:6}" + "".join(f"{chr(code):>3}" for code in range(start, min(start + 16, 127))))


def main(argv=None):
    parser = argparse.ArgumentParser(description="Shows ASCII, and a text as UTF-8 bytes.")
    parser.add_argument("--text", default=STORY, help=f"the text to show (default: {STORY!r})")
    args = parser.parse_args(argv)
    if not args.text:
        raise UserError("--text is empty; give it a few letters")
    try:
        data = args.text.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError("--text is not UTF-8; type it as characters, not as single bytes") from None

    print("ASCII: a character's number is what stands left of it plus what stands above it, A is 64 + 1")
    show_ascii()
    print("\nchar    number               in bits   bytes             the bytes in bits")
    for character in dict.fromkeys(args.text):
        print(describe_character(character))
    print(f"\n{args.text}\n{len(args.text)} characters, {len(data)} bytes: {' '.join(map(str, data))}")
    assert [byte for c in args.text for byte in utf8_bytes(ord(c))] == list(data)
    every = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]  # the gap is reserved for UTF-16
    assert all(bytes(utf8_bytes(code)) == chr(code).encode("utf-8") for code in every)
    print(f"the same as Python's own encoding for all {len(every):,} characters that can exist")
    longest = max(args.text, key=lambda c: len(c.encode("utf-8"))).encode("utf-8")
    if len(longest) > 1:
        half = longest[:-1]
        print(f"a character cut short, {list(half)}, is no text: Python shows {half.decode('utf-8', 'replace')}")


if __name__ == "__main__":
    run(main)
