"""Where the definitions of a file stand: functions, classes, methods and constants, with the text of each.

Python is read with its own parser. C, CUDA, JavaScript and CSS are read by counting brackets, which is
enough for code in this project's style: a definition begins on a line of its own, in the first column.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

CHAPTERS = (
    "bigram micrograd mlp attention transformer tokenization optimization device precision distributed "
    "datasets inference quantization sft rl deployment multimodal"
).split()
LANGUAGES = {".py": "python", ".c": "c", ".h": "c", ".cu": "c", ".cuh": "c", ".js": "js", ".css": "css",
             ".html": "html"}  # fmt: skip


@dataclass
class Definition:
    """Lines start to end of a file (from 1, both included; decorators belong to it)."""

    name: str  # gelu, Block, Block.forward, END
    kind: str  # function, class, method, constant
    start: int
    end: int
    text: str


def language(path):
    return LANGUAGES.get(Path(path).suffix)


def definitions(path, text):
    """All definitions of a file's text; a method comes after its class. Raises SyntaxError."""
    find = {"python": python_definitions, "c": c_definitions, "js": js_definitions, "css": css_definitions}
    lines = text.split("\n")
    return [
        Definition(name, kind, start, end, "".join(f"{line}\n" for line in lines[start - 1 : end]))
        for name, kind, start, end in find.get(language(path), lambda text: [])(text)
    ]


def python_definitions(text):
    for node in ast.parse(text).body:
        yield from python_definition(node)
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                for name, kind, start, end in python_definition(member):
                    yield f"{node.name}.{name}", "method" if kind == "function" else kind, start, end


def python_definition(node):
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        yield node.name, "class" if isinstance(node, ast.ClassDef) else "function", start, node.end_lineno
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name):
                yield target.id, "constant", node.lineno, node.end_lineno


# Strings, comments and JavaScript's templates and regular expressions: what brackets must not be counted in.
OPAQUE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`"""
    r"""|(?<=[=(,:!&|?;{}])[ ]*/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[a-z]*""",
    re.DOTALL,
)


def blank(text, is_css=False):
    """The text with strings and comments blanked out, every character in its old place."""
    pattern = re.compile(r"""/\*.*?\*/|"[^"\n]*"|'[^'\n]*'""", re.DOTALL) if is_css else OPAQUE
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def items(code, goes_on=lambda code, i: False):
    """Top-level pieces of blanked text as (start, end) offsets: up to a `;` or a closing brace at depth 0."""
    depth, start = 0, None
    for i, character in enumerate(code):
        if start is None and not character.isspace() and character not in ";}":
            start = i
        if start is None:
            continue
        depth += (character in "{([") - (character in "})]")
        if depth == 0 and (character == ";" or (character == "}" and not goes_on(code, i + 1))):
            yield start, i + 1
            start = None


def c_goes_on(code, i):
    """Whether a closing brace before i does not end its piece: `};`, `} Name;`, `} a, b;`, `} x[3];`."""
    return re.match(r"[ \t]*(?:[;,]|\w+[ \t]*[;,\[=])", code[i:]) is not None


def numbered(text, start, end):
    return text.count("\n", 0, start) + 1, text.count("\n", 0, end) + 1


def c_definitions(text):
    code = blank(text)
    for match in re.finditer(r"^#[ \t]*define[ \t]+(\w+)(?:.*\\\n)*.*", code, re.MULTILINE):
        yield match[1], "constant", *numbered(text, match.start(), match.end())
    # Lines of the preprocessor, and the braces of extern "C" around functions, are no pieces.
    code = re.sub(r"^#(?:.*\\\n)*.*", lambda m: re.sub(r"[^\n]", " ", m[0]), code, flags=re.MULTILINE)
    code = re.sub(r"^extern\s+\{", lambda m: re.sub(r"[^\n]", " ", m[0]), code, flags=re.MULTILINE)
    code = re.sub(r"\bNAMED\((\w+)\)", r"      \1 ", code)  # csrc/each_vector.h: a function for each kind of vector
    for start, end in items(code, c_goes_on):
        piece = code[start:end]
        head = piece.split("{")[0].split("=")[0]
        lines = numbered(text, start, end)
        structure = re.match(r"(?:typedef\s+)?(?:struct|union|enum)\b\s*(\w*)\s*$", head)
        called = [name for name in re.findall(r"(\w+)\s*\(", head) if name not in NOT_FUNCTIONS]
        if structure and "{" in piece:
            after = re.search(r"\}\s*(\w+)\s*;$", piece) if piece.startswith("typedef") else None
            if name := (after or structure)[1]:  # an enum without a name only holds constants
                yield name, "class", *lines
        elif "{" in piece and called and "=" not in piece.split("{")[0]:
            yield called[0], "function", *lines
        elif "=" in piece and (variable := re.search(r"(\w+)\s*(?:\[[^\]]*\]\s*)*$", head)):
            yield variable[1], "constant", *lines


NOT_FUNCTIONS = {"__attribute__", "__launch_bounds__", "__declspec", "_Alignas", "alignas", "sizeof", "target"}


def js_definitions(text):
    code = blank(text)
    kinds = {"function": "function", "class": "class"}
    pattern = r"^(?:export\s+)?(?:async\s+)?(function|class|const|let|var)\b[ \t*]*(\w+)"
    for match in re.finditer(pattern, code, re.MULTILINE):
        kind = kinds.get(match[1], "constant")
        end = closing(code, match.end(), "}" if kind != "constant" else ";\n")
        yield match[2], kind, *numbered(text, match.start(), end)


def closing(code, i, ends):
    """The offset just after the first of the characters `ends` from i on at depth 0."""
    depth = 0
    for j in range(i, len(code)):
        depth += (code[j] in "{([") - (code[j] in "})]")
        if depth == 0 and code[j] in ends:
            return j if code[j] == "\n" else j + 1
    return len(code)


def css_definitions(text):
    code = blank(text, is_css=True)
    for start, end in items(code):
        brace = code.find("{", start, end)
        selector = text[start : brace if brace > 0 else end]
        yield " ".join(selector.split()), "constant", *numbered(text, start, end)
