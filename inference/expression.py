"""Regular expressions as trees: what a text must look like, read from the usual notation.

New since the last chapter: the whole of it. The four kinds of node below are all that a regular expression is; every
other sign of the notation is short for a combination of them. Left out on purpose: what no finite automaton
can do (references back to a group, looking ahead), and what a whole text does not need (^, $, \\b).

    python inference/expression.py '(cat|dog)s?'       the tree, and the same expression written again; one second

The notation: literal characters of any script, `.` (all but the line end), classes `[a-z_]` and `[^"]`, `\\d \\w \\s`
and `\\D \\W \\S` (ASCII, as in Python's re with re.ASCII), `\\n \\t \\x41 \\u00e9 \\U0001f409`, a backslash before any
other sign, groups `( )` and `(?: )`, `|`, `*`, `+`, `?`, `{3}`, `{2,5}`, `{2,}`, `{,5}`.

Paper: Kleene, "Representation of Events in Nerve Nets and Finite Automata" (1951).
"""

import argparse
from dataclasses import dataclass

from cli import UserError, run

LAST = 0x10FFFF  # the last code point of Unicode
SURROGATES = (0xD800, 0xDFFF)  # code points that are no characters and have no UTF-8
SPECIAL = "\\.[](){}|*+?^$"  # what needs a backslash to stand for itself
MOST = 1000  # the largest number in { }: each repetition is a copy of the automaton


@dataclass(frozen=True)
class Chars:
    """One character out of a set. ranges: ((low, high), …) code points, sorted, apart."""

    ranges: tuple


@dataclass(frozen=True)
class Then:
    """One part after the other; with no parts, the empty text."""

    parts: tuple


@dataclass(frozen=True)
class Either:
    """One of several; with no parts, no text at all."""

    parts: tuple


@dataclass(frozen=True)
class Repeat:
    """The tree at least `least` and at most `most` times; None is without a limit."""

    tree: object
    least: int
    most: int | None


def union(ranges):
    """Any ranges of code points as a sorted tuple of ranges that neither overlap nor touch."""
    joined = []
    for low, high in sorted(ranges):
        if joined and low <= joined[-1][1] + 1:
            joined[-1][1] = max(joined[-1][1], high)
        else:
            joined.append([low, high])
    return tuple((low, high) for low, high in joined)


def without(ranges, removed):
    """The code points of `ranges` that are not in `removed`; both sorted and apart."""
    left = []
    for low, high in ranges:
        for a, b in removed:
            if a <= high and b >= low:
                if a > low:
                    left.append((low, a - 1))
                low = b + 1
        if low <= high:
            left.append((low, high))
    return tuple(left)


EVERYTHING = without(((0, LAST),), (SURROGATES,))
ANY = Chars(without(EVERYTHING, ((10, 10),)))  # the dot
CLASSES = {
    "d": ((48, 57),),
    "w": ((48, 57), (65, 90), (95, 95), (97, 122)),
    "s": ((9, 13), (32, 32)),
}
CLASSES |= {name.upper(): without(EVERYTHING, ranges) for name, ranges in CLASSES.items()}
CONTROLS = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11}
HEX = {"x": 2, "u": 4, "U": 8}  # how many digits follow


def literal(text):
    """The tree of exactly this text."""
    return Then(tuple(Chars(((ord(c), ord(c)),)) for c in text))


class Parser:
    """Reads an expression from left to right; each method takes what it describes and leaves the rest."""

    def __init__(self, text):
        self.text, self.at = text, 0

    def fault(self, what, at=None):
        return ValueError(f"the expression {self.text!r}: {what} (character {(self.at if at is None else at) + 1})")

    def next_is(self, signs):
        return self.at < len(self.text) and self.text[self.at] in signs

    def take(self, n=1):
        """The next n characters."""
        if self.at + n > len(self.text):
            raise self.fault("it ends too soon", len(self.text))
        piece, self.at = self.text[self.at : self.at + n], self.at + n
        return piece

    def either(self):
        """sequence | sequence | …"""
        parts = [self.sequence()]
        while self.next_is("|"):
            self.take()
            parts.append(self.sequence())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def sequence(self):
        """Atoms with their repetitions, up to a | or ) or the end."""
        parts = []
        while self.at < len(self.text) and not self.next_is("|)"):
            parts.append(self.repeated())
        return parts[0] if len(parts) == 1 else Then(tuple(parts))

    def repeated(self):
        """An atom, and * + ? {m,n} behind it."""
        tree = self.atom()
        if not self.next_is("*+?{"):
            return tree
        start, sign = self.at, self.take()
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(sign) or self.bounds()
        if most is not None and least > most or max(least, most or 0) > MOST:
            raise self.fault(f"a repetition must be {{m,n}} with m at most n and both at most {MOST}", start)
        if self.next_is("?"):
            self.take()  # "as few as possible" changes what is found in a text, not which texts fit
        if self.next_is("*+?{"):
            raise self.fault(f"{self.text[self.at]!r} follows a repetition; put the inner one in parentheses")
        return Repeat(tree, least, most)

    def bounds(self):
        """m,n} behind an opening brace: (m, n)"""
        end = self.text.find("}", self.at)
        numbers = self.text[self.at : end].split(",") if end >= 0 else []
        plain = all(number.isascii() and number.isdecimal() and len(number) < 9 or not number for number in numbers)
        if not plain or len(numbers) not in (1, 2) or not any(numbers):
            raise self.fault("after { must come numbers as in {3}, {2,5} or {2,}; a brace itself is \\{", self.at - 1)
        self.at = end + 1
        least = int(numbers[0] or 0)
        return least, (int(numbers[1]) if numbers[1] else None) if len(numbers) == 2 else least

    def atom(self):
        """A group, a class, an escape, the dot, or a character that stands for itself."""
        start, sign = self.at, self.take()
        if sign == "(":
            if self.next_is("?") and self.text[self.at : self.at + 2] != "?:":
                raise self.fault("groups are ( ) or (?: ); no other kind is supported", start)
            self.at += 2 if self.next_is("?") else 0
            tree = self.either()
            if not self.next_is(")"):
                raise self.fault("this parenthesis is never closed", start)
            self.take()
            return tree
        if sign == "[":
            return Chars(self.char_class(start))
        if sign == ".":
            return ANY
        if sign == "\\":
            found = self.escape()
            return Chars(found if isinstance(found, tuple) else ((found, found),))
        if sign in "^$":
            raise self.fault(f"the whole text must fit anyway, so {sign} is not needed; the sign itself is \\{sign}", start)
        if sign in "*+?{}])":
            raise self.fault(f"{sign!r} is out of place; the sign itself is \\{sign}", start)
        return Chars(((self.code_point(sign, start),) * 2,))

    def code_point(self, sign, start):
        """The number of a character; a surrogate is none."""
        if SURROGATES[0] <= ord(sign) <= SURROGATES[1]:
            raise self.fault("a lone surrogate is no character", start)
        return ord(sign)

    def escape(self):
        """What follows a backslash: a code point, or the ranges of a class like \\d."""
        start, sign = self.at - 1, self.take()
        if sign in CLASSES:
            return CLASSES[sign]
        if sign in CONTROLS:
            return CONTROLS[sign]
        if sign in HEX:
            digits = self.take(HEX[sign])
            if not all(c in "0123456789abcdefABCDEF" for c in digits):
                raise self.fault(f"\\{sign} needs {HEX[sign]} hexadecimal digits", start)
            code = int(digits, 16)
            if code > LAST or SURROGATES[0] <= code <= SURROGATES[1]:
                raise self.fault(f"\\{sign}{digits} is no character", start)
            return code
        if sign.isalnum():
            raise self.fault(f"\\{sign} is not supported", start)
        return self.code_point(sign, start)

    def char_class(self, start):
        """What follows [, up to its ]: ranges."""
        negated, ranges, first = self.next_is("^"), [], True
        self.at += negated
        while first or not self.next_is("]"):
            if self.at >= len(self.text):
                raise self.fault("this class is never closed", start)
            low, first = self.class_item(), False
            if isinstance(low, tuple):
                ranges += low
                continue
            high = low
            if self.next_is("-") and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.take()
                high = self.class_item()
                if isinstance(high, tuple) or high < low:
                    raise self.fault("a range in a class goes from a character to a later one")
            ranges.append((low, high))
        self.take()
        ranges = without(union(ranges), (SURROGATES,))
        return without(EVERYTHING, ranges) if negated else ranges

    def class_item(self):
        sign = self.take()
        return self.escape() if sign == "\\" else self.code_point(sign, self.at - 1)


def parse_expression(text):
    """The tree of an expression. Raises ValueError, in one line, with the place of the fault."""
    parser = Parser(text)
    try:
        tree = parser.either()
    except RecursionError:
        raise ValueError(f"the expression {text[:40]!r}… is nested too deeply") from None
    if parser.at < len(text):
        raise parser.fault("this parenthesis was never opened")
    return tree


def show_char(code, special):
    """One character as it is written in an expression."""
    sign = chr(code)
    if sign in special:
        return "\\" + sign
    if sign.isprintable() and not sign.isspace() or sign == " ":
        return sign
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def show(tree):
    """The tree in the notation again: what parse_expression reads, and Python's re as well."""
    if isinstance(tree, Chars):
        if tree == ANY:
            return "."
        ranges, negated = tree.ranges, ""
        if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
            return show_char(ranges[0][0], SPECIAL)
        if not ranges or ranges[-1][1] == LAST:
            ranges, negated = without(EVERYTHING, ranges), "^"
        if not ranges:
            return r"[\s\S]"
        sides = [[show_char(code, "\\[]^-&~|") for code in pair] for pair in ranges]
        return f"[{negated}{''.join(a if a == b else f'{a}-{b}' for a, b in sides)}]"
    if isinstance(tree, Repeat):
        inner = show(tree.tree) if isinstance(tree.tree, Chars | Either) else f"(?:{show(tree.tree)})"
        most = "" if tree.most is None else tree.most
        return inner + {(0, None): "*", (1, None): "+", (0, 1): "?"}.get(
            (tree.least, tree.most), f"{{{tree.least}}}" if tree.least == tree.most else f"{{{tree.least},{most}}}")
    if isinstance(tree, Either):
        return f"(?:{'|'.join(map(show, tree.parts))})" if tree.parts else r"[^\s\S]"
    return "".join(map(show, tree.parts))


def tree_lines(tree, depth=0):
    """The tree as lines, one a node, children further to the right."""
    name, children = type(tree).__name__, getattr(tree, "parts", None) or ([tree.tree] if hasattr(tree, "tree") else [])
    if isinstance(tree, Chars):
        name += " " + show(tree)
    if isinstance(tree, Repeat):
        name += f" {tree.least} to {'any number' if tree.most is None else tree.most}"
    return ["    " * depth + name] + [line for child in children for line in tree_lines(child, depth + 1)]


def main(argv=None):
    parser = argparse.ArgumentParser(description="Reads a regular expression and shows it as a tree.")
    parser.add_argument("expression", nargs="?", default="(cat|dog)s?", help="the expression (default %(default)s)")
    args = parser.parse_args(argv)
    try:
        tree = parse_expression(args.expression)
    except ValueError as error:
        raise UserError(error) from None
    print("\n".join(tree_lines(tree)))
    print(f"\nwritten again: {show(tree)}")
    assert parse_expression(show(tree)) is not None


if __name__ == "__main__":
    run(main)
