"""From a JSON schema to a regular expression: an object with these properties is a text of this form.

New since the last chapter: the whole of it. A schema says what a JSON value must be, an expression says what
a text must look like, and for values whose nesting has an end the one can be written as the other. Each
kind of value is one small function. Left out on purpose: schemas that refer to themselves (brackets inside
brackets without an end: no finite automaton can count them), and every rule that is not listed below; they
are refused with one line, never ignored.

    python inference/schema.py                  the card of a story, as an expression; one second
    python inference/schema.py FILE             the schema in FILE

What is read: type (also a list of types), enum, const, anyOf, $ref to $defs; of an object properties, required,
additionalProperties (none are ever written); of an array items, minItems, maxItems; of a string minLength,
maxLength, pattern; of an integer minimum and maximum. Properties come in the order in which the schema lists
them, and the spaces are those of Python's json.dumps.

Source: the JSON Schema specification, draft 2020-12; RFC 8259 for JSON itself.
"""

import argparse
import json
from pathlib import Path

from automaton import compile_tree
from cli import UserError, run
from expression import EVERYTHING, Chars, Either, Repeat, Then, literal, parse_expression, show, without

NAME = {"enum": ["Anna", "Ben", "Lily", "Max", "Mia", "Sam", "Sue", "Tim", "Tom"]}
CARD = {
    "type": "object",
    "properties": {
        "opening": {"type": "string", "pattern": "Once upon a time, there was a little [a-z]{3,8} named [A-Z][a-z]{1,7}\\. "
                                                 "(He|She) [a-z ,]{10,70}\\."},
        "hero": NAME,
        "animal": {"enum": ["bear", "bird", "boy", "cat", "dog", "fox", "girl"]},
        "place": {"enum": ["forest", "garden", "house", "park", "sea"]},
        "friends": {"type": "array", "items": NAME, "minItems": 1, "maxItems": 3},
        "age": {"type": "integer", "minimum": 3, "maximum": 9},
        "happy": {"type": "boolean"},
    },
    "required": ["opening", "hero", "animal", "place", "friends", "happy"],
}
NOTES = {"title", "description", "$schema", "$id", "$comment", "default", "examples", "$defs", "definitions"}
RULES = {  # what each type may say beside "type"
    "object": {"properties", "required", "additionalProperties"}, "array": {"items", "minItems", "maxItems"},
    "string": {"minLength", "maxLength", "pattern"}, "integer": {"minimum", "maximum"}, "number": set(),
    "boolean": set(), "null": set(),
}  # fmt: skip
MOST_INTEGERS = MOST_PARTS = 10_000  # so many integers are written out one by one
ESCAPED = (0, 31), (34, 34), (92, 92)  # control characters, " and \\ are never bare inside a JSON string
PLAIN = Chars(without(EVERYTHING, ESCAPED))
CHARACTER = Either((PLAIN, Then((literal("\\"), parse_expression(r'["\\/bfnrt]')))))
WHOLE = "-?(0|[1-9][0-9]{0,14})"  # 15 digits: every program reads them without rounding
NUMBER = WHOLE + r"(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?"


def quoted(tree):
    """The tree between quotation marks."""
    return Then((literal('"'), tree, literal('"')))


def written(value):
    """The tree of one JSON value, as json.dumps writes it."""
    return literal(json.dumps(value, ensure_ascii=False, allow_nan=False))


def inside_string(tree):
    """A tree over characters as a tree over how JSON writes them: a quotation mark becomes \\", a line end \\n."""
    if isinstance(tree, Chars):
        bare = without(tree.ranges, ESCAPED)
        ways = [Chars(bare)] * bool(bare)
        for low, high in without(tree.ranges, bare):
            ways += [literal(json.dumps(chr(code))[1:-1]) for code in range(low, high + 1)]
        return ways[0] if len(ways) == 1 else Either(tuple(ways))
    if isinstance(tree, Repeat):
        return Repeat(inside_string(tree.tree), tree.least, tree.most)
    return type(tree)(tuple(map(inside_string, tree.parts)))


def separated(parts, optional):
    """The parts in their order with ", " between them, where those marked optional may be missing.

    A comma belongs to what stands before it or behind it. So the expression is written around a part that
    is surely there: the first that is not optional, or else, one alternative each, the first that is there.
    """
    comma = literal(", ")
    behind = [Then((comma, part)) for part in parts]
    behind = [Repeat(tree, 0, 1) if maybe else tree for tree, maybe in zip(behind, optional)]
    if all(optional):
        return Either((*(Then((part, *behind[i + 1 :])) for i, part in enumerate(parts)), Then(())))
    sure = optional.index(False)
    before = [Repeat(Then((part, comma)), 0, 1) for part in parts[:sure]]
    return Then((*before, parts[sure], *behind[sure + 1 :]))


class Compiler:
    """Turns a schema into a tree; `where` is the way to the part at hand, for messages."""

    def __init__(self, schema):
        self.root, self.refs, self.parts = schema, ["#"], 0  # refs: those being followed

    def fault(self, where, what):
        return ValueError(f"the schema at {where}: {what}")

    def whole_number(self, schema, name, where, default):
        """A count that a schema sets, or its default."""
        value = schema.get(name, default)
        if value is not default and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise self.fault(where, f"{name} must be a whole number of at least 0, not {value!r}")
        return value

    def bounds(self, schema, least, most, where):
        """The two counts of a repetition."""
        low, high = self.whole_number(schema, least, where, 0), self.whole_number(schema, most, where, None)
        if high is not None and low > high:
            raise self.fault(where, f"{least} is more than {most}")
        return low, high

    def tree(self, schema, where="#"):
        """The tree of a schema or a part of it."""
        self.parts += 1  # references can double them at every level
        if self.parts > MOST_PARTS:
            raise self.fault(where, f"it has more than {MOST_PARTS:,} parts")
        if not isinstance(schema, dict):
            raise self.fault(where, f"a schema is an object, not {schema!r}")
        rules = schema.keys() - NOTES
        for name, method in (("$ref", self.ref), ("enum", self.enum), ("const", self.const), ("anyOf", self.any_of)):
            if name in rules:
                extra = rules - {name, *({"type"} if name in ("enum", "const") else ())}
                if extra:
                    raise self.fault(where, f"{sorted(extra)[0]!r} beside {name!r} is not supported")
                return method(schema, where)
        kinds = schema.get("type")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        for kind in kinds or [None]:
            if not isinstance(kind, str) or kind not in RULES:
                raise self.fault(where, f"type must be one of {', '.join(RULES)}, not {kind!r}")
        unknown = rules - {"type"}.union(*(RULES[kind] for kind in kinds))
        if unknown:
            raise self.fault(where, f"{sorted(unknown)[0]!r} is not supported")
        ways = tuple(getattr(self, f"a_{kind}")(schema, where) for kind in kinds)
        return ways[0] if len(ways) == 1 else Either(ways)

    def ref(self, schema, where):
        """Another part of the same schema, put in place of the reference."""
        name = schema["$ref"]
        if name in self.refs:
            raise self.fault(where, f"{name} contains itself, and no regular expression can count open brackets; "
                                    "write out as many levels as you need")
        part = self.root
        for key in name.split("/")[1:] if isinstance(name, str) and name.startswith("#/") else [None]:
            part = part.get(key) if isinstance(part, dict) else None
        if part is None:
            raise self.fault(where, f"$ref {name!r} leads nowhere; only parts of the same schema, #/$defs/…, are read")
        self.refs.append(name)
        tree = self.tree(part, name)
        self.refs.pop()
        return tree

    def enum(self, schema, where):
        """One of a list of values."""
        values = schema["enum"]
        if not isinstance(values, list) or not values:
            raise self.fault(where, "enum must be a list with something in it")
        return Either(tuple(self.const({**schema, "const": value}, where) for value in values))

    def const(self, schema, where):
        """This value alone."""
        kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
                 "null": type(None)}  # fmt: skip
        value, kind = schema["const"], schema.get("type")
        if kind is not None and (not isinstance(kind, str) or kind not in kinds or not isinstance(value, kinds[kind])
                                 or isinstance(value, bool) != (kind == "boolean")):
            raise self.fault(where, f"{value!r} is not of type {kind!r}")
        return written(value)

    def any_of(self, schema, where):
        """One of several schemas."""
        ways = schema["anyOf"]
        if not isinstance(ways, list) or not ways:
            raise self.fault(where, "anyOf must be a list with something in it")
        return Either(tuple(self.tree(way, f"{where}/anyOf/{i}") for i, way in enumerate(ways)))

    def a_object(self, schema, where):
        """{"name": value, …}, the optional ones there or not."""
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list) \
                or not all(isinstance(name, str) for name in required):
            raise self.fault(where, "properties must be an object and required a list of names")
        missing = [name for name in required if name not in properties]
        if missing:
            raise self.fault(where, f"{missing[0]!r} is required, but properties does not say what it is")
        if not isinstance(schema.get("additionalProperties", False), bool):
            raise self.fault(where, "additionalProperties must be true or false")
        if not properties:
            return literal("{}")
        pairs = [Then((written(name), literal(": "), self.tree(value, f"{where}/properties/{name}")))
                 for name, value in properties.items()]
        return Then((literal("{"), separated(pairs, [name not in required for name in properties]), literal("}")))

    def a_array(self, schema, where):
        """[item, item, …]"""
        low, high = self.bounds(schema, "minItems", "maxItems", where)
        if high == 0:
            return literal("[]")
        if "items" not in schema:
            raise self.fault(where, "an array needs items, which say what is in it")
        item = self.tree(schema["items"], f"{where}/items")
        more = Repeat(Then((literal(", "), item)), max(low - 1, 0), None if high is None else high - 1)
        inside = Then((item, more))
        return Then((literal("["), inside if low else Repeat(inside, 0, 1), literal("]")))

    def a_string(self, schema, where):
        """Characters between quotation marks, so many or of such a pattern."""
        if "pattern" not in schema:
            return quoted(Repeat(CHARACTER, *self.bounds(schema, "minLength", "maxLength", where)))
        if schema.keys() & {"minLength", "maxLength"}:
            raise self.fault(where, "pattern beside minLength or maxLength is not supported; put the length into it")
        text = schema["pattern"]
        if not isinstance(text, str):
            raise self.fault(where, "pattern must be a string")
        # A pattern may fit anywhere in the string, unless it is anchored. We write strings that it fits as a whole:
        # they are among those allowed, with the anchors or without.
        bare = text.removeprefix("^")
        if bare.endswith("$") and (len(bare) - len(bare[:-1].rstrip("\\")) - 1) % 2 == 0:
            bare = bare[:-1]
        try:
            tree = parse_expression(bare)
        except ValueError as error:
            raise self.fault(where, str(error)) from None
        return quoted(inside_string(tree))

    def a_integer(self, schema, where):
        """A whole number; between bounds, all of them one by one."""
        if not schema.keys() & {"minimum", "maximum"}:
            return parse_expression(WHOLE)
        low, high = schema.get("minimum"), schema.get("maximum")
        for value in (low, high):
            if isinstance(value, bool) or not isinstance(value, int):
                raise self.fault(where, "an integer needs minimum and maximum, both whole numbers, or neither")
        if not 0 <= high - low < MOST_INTEGERS:
            raise self.fault(where, f"minimum to maximum must be 1 to {MOST_INTEGERS:,} numbers")
        return Either(tuple(written(value) for value in range(low, high + 1)))

    def a_number(self, schema, where):
        """A number with or without a fraction and an exponent."""
        return parse_expression(NUMBER)

    def a_boolean(self, schema, where):
        """true or false."""
        return parse_expression("true|false")

    def a_null(self, schema, where):
        """null."""
        return literal("null")


def schema_tree(schema):
    """The tree of all texts that are JSON and fit the schema. Raises ValueError, in one line, with the place."""
    try:
        return Compiler(schema).tree(schema)
    except RecursionError:
        raise ValueError("the schema is nested too deeply") from None


def read_schema(path):
    """The schema in a JSON file. Raises UserError with the file's name."""
    try:
        return json.loads(Path(path).read_bytes().decode("utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path} is not valid JSON") from None


def main(argv=None):
    parser = argparse.ArgumentParser(description="A JSON schema as a regular expression.")
    parser.add_argument("file", nargs="?", help="a file with a JSON schema (default: the card of a story)")
    args = parser.parse_args(argv)
    try:
        tree = schema_tree(read_schema(args.file) if args.file else CARD)
        dfa = compile_tree(tree)
    except ValueError as error:
        raise UserError(error) from None
    print(show(tree))
    print(f"\nan automaton of {len(dfa.table) - 1:,} states over bytes")


if __name__ == "__main__":
    run(main)
