"""UTF-8, UTF-16 and UTF-32: the number of a character as bytes, and back, with everything refused that is not allowed.

New since bigram/letters.py, which wrote UTF-8: now it is read as well, and most byte sequences are no text. Left out on
purpose: byte order marks, and speed (Python's own codecs do the same in C). Imported by strings.py, which shows it.

Papers: Yergeau, "UTF-8, a transformation format of ISO 10646" (RFC 3629, 2003); the Unicode Standard, section 3.9, for
how many replacement characters stand in the place of bytes that are no text.
"""

LAST = 0x10FFFF  # the largest code point: what two units of UTF-16 can reach
SURROGATES = range(0xD800, 0xE000)  # numbers that UTF-16 uses for its pairs; no characters
REPLACEMENT = "\ufffd"


def encode_utf8(code):
    """The UTF-8 bytes of one code point. Raises ValueError for what is not a character: surrogates, or beyond 10FFFF.

    7 bits fit into one byte, 11 into two, 16 into three, 21 into four; the shortest form is the only one allowed.
    """
    if code in SURROGATES or not 0 <= code <= LAST:
        raise ValueError(f"U+{code:04X} is not a character")
    if code < 0x80:
        return bytes([code])  # 0_______
    if code < 0x800:
        return bytes([0b1100_0000 | code >> 6, 0x80 | code & 63])  # 110_____ 10______
    if code < 0x10000:
        return bytes([0b1110_0000 | code >> 12, 0x80 | code >> 6 & 63, 0x80 | code & 63])
    return bytes([0b1111_0000 | code >> 18, 0x80 | code >> 12 & 63, 0x80 | code >> 6 & 63, 0x80 | code & 63])


def after_first(first):
    """(how many bytes follow a first byte, its own bits of the number, lowest and highest second byte), or None.

    The range of the second byte is all that a reader has to know about what is refused: after e0 and f0 a small one
    would make a number that has a shorter form, after ed a large one a surrogate, after f4 one beyond 10FFFF.
    """
    if first < 0x80:
        return 0, first, 0x80, 0xBF
    if 0xC2 <= first <= 0xDF:  # c0 and c1 could only begin a longer form of ASCII
        return 1, first & 0b1_1111, 0x80, 0xBF
    if 0xE0 <= first <= 0xEF:
        return 2, first & 0b1111, 0xA0 if first == 0xE0 else 0x80, 0x9F if first == 0xED else 0xBF
    if 0xF0 <= first <= 0xF4:
        return 3, first & 0b111, 0x90 if first == 0xF0 else 0x80, 0x8F if first == 0xF4 else 0xBF
    return None  # 80 to bf follow; c0, c1 and f5 to ff never occur


def read_character(data, i):
    """(code point or None, bytes taken) at data[i]. None: no character begins here, and so many bytes are to be skipped.

    Skipped is the longest beginning of a character that stands there, or one byte: the rule that Python, browsers and
    the Unicode Standard share, so that all show as many replacement characters.
    """
    form = after_first(data[i])
    if form is None:
        return None, 1
    more, code, lowest, highest = form
    for k in range(1, more + 1):
        if i + k >= len(data) or not lowest <= data[i + k] <= highest:
            return None, k
        code = code << 6 | data[i + k] & 0b11_1111
        lowest, highest = 0x80, 0xBF  # from the third byte on
    return code, more + 1


def decode_utf8(data, errors="strict"):
    """The text of some bytes. errors: "strict" raises ValueError at the first fault, "replace" puts U+FFFD there."""
    characters, i = [], 0
    while i < len(data):
        code, taken = read_character(data, i)
        if code is None and errors == "strict":
            raise ValueError(f"byte {i}, {data[i]:02x}: {fault_at(data, i)}")
        characters.append(REPLACEMENT if code is None else chr(code))
        i += taken
    return "".join(characters)


def fault_at(data, i):
    """In words, why no character begins at data[i]."""
    first, second = data[i], data[i + 1] if i + 1 < len(data) else None
    if 0x80 <= first <= 0xBF:
        return "a byte that follows, and nothing before it"
    if first in (0xC0, 0xC1) or (first, second) in {(0xE0, b) for b in range(0x80, 0xA0)} \
            or (first, second) in {(0xF0, b) for b in range(0x80, 0x90)}:  # fmt: skip
        return "overlong, the same number has a shorter form"
    if first > 0xF4 or (first == 0xF4 and second is not None and 0x90 <= second <= 0xBF):
        return "beyond 10FFFF"
    if first == 0xED and second is not None and 0xA0 <= second <= 0xBF:
        return "a surrogate, half of a pair of UTF-16"
    return "cut short, a byte that follows is missing"


def encode_utf16(code):
    """The 16-bit units of one code point: itself, or a pair of surrogates that hold 10 bits each of what is above FFFF."""
    if code in SURROGATES or not 0 <= code <= LAST:
        raise ValueError(f"U+{code:04X} is not a character")
    return [code] if code < 0x10000 else [0xD800 + (code - 0x10000 >> 10), 0xDC00 + (code - 0x10000 & 0x3FF)]
