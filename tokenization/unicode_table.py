"""Writes csrc/unicode.h: which characters are letters, numbers or white space, as a table for programs in C.

The split pattern asks of every character whether it is \\p{L}, \\p{N} or \\s. Python's `regex` knows; C does not. So we
ask `regex` once about each of the 1,114,112 code points, and write down where the answer changes: a row of ranges, in
order, in which a binary search finds a character after ten looks. Left out on purpose: all else that Unicode knows.

    python tokenization/unicode_table.py            writes csrc/unicode.h, in a second
"""

import argparse

import regex

from atomic import write_atomic
from cli import UserError, run

CLASSES = {"LETTER": r"\p{L}", "NUMBER": r"\p{N}", "SPACE": r"\s"}
HEAD = r"""// Letters, numbers and white space among the characters of Unicode. Written by tokenization/unicode_table.py.
//
// A range is its first and its last code point and what they are: what \p{L}, \p{N} and \s match in Python's `regex`.

#ifndef UNICODE_H
#define UNICODE_H

#include <stddef.h>
#include <stdint.h>

typedef enum { OTHER, LETTER, NUMBER, SPACE } CharacterClass;

static const struct {
    uint32_t first, last, kind;
} UNICODE_RANGES[] = {
"""
TAIL = """};

// What the character `code` is.
static inline CharacterClass unicode_class(uint32_t code) {
    if ((code | 32) >= 'a' && (code | 32) <= 'z') return LETTER;
    if (code >= '0' && code <= '9') return NUMBER;
    if (code == ' ' || (code >= 9 && code <= 13)) return SPACE;
    size_t low = 0, high = code < 128 ? 0 : sizeof UNICODE_RANGES / sizeof *UNICODE_RANGES;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code < UNICODE_RANGES[middle].first)
            high = middle;
        else if (code > UNICODE_RANGES[middle].last)
            low = middle + 1;
        else
            return (CharacterClass)UNICODE_RANGES[middle].kind;
    }
    return OTHER;
}

#endif
"""


def ranges():
    """[(first, last, class), …] in order. In the text of all characters, where a match is says which they are."""
    everything = "".join(map(chr, range(0x110000)))
    return sorted((match.start(), match.end() - 1, name) for name, pattern in CLASSES.items()
                  for match in regex.finditer(f"{pattern}+", everything))  # fmt: skip


def header(found):
    """The text of unicode.h."""
    entries = [f"{{0x{first:X}, 0x{last:X}, {name}}}," for first, last, name in found]
    lines = [""]
    for entry in entries:
        if len(lines[-1]) + 1 + len(entry) > 116:
            lines.append("")
        lines[-1] += f" {entry}" if lines[-1] else f"    {entry}"
    return HEAD + "\n".join(lines) + "\n" + TAIL


def main(argv=None):
    parser = argparse.ArgumentParser(description="Writes the table of letters, numbers and white space for C.")
    parser.add_argument("--out", default="csrc/unicode.h", help="the header to write (default %(default)s)")
    args = parser.parse_args(argv)
    found = ranges()
    try:
        write_atomic(args.out, header(found))
    except OSError as error:
        raise UserError(f"{args.out} cannot be written: {error.strerror}") from None
    for name, pattern in CLASSES.items():
        mine = [last - first + 1 for first, last, kind in found if kind == name]
        print(f"{pattern:6} {name.lower():8} {sum(mine):9,} characters in {len(mine):4,} ranges")
    print(f"wrote {args.out}")


if __name__ == "__main__":
    run(main)
