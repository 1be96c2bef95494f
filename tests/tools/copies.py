"""Checks the marks of code that was copied forward from chapter to chapter, and mends the copies.

    python tests/tools/copies.py            check: the faults, one a line; exit status 1 if there are any
    python tests/tools/copies.py --fix      rewrite every copy from its origin, note new adaptations
    python tests/tools/copies.py --accept   adapted code has been looked at after its origin changed
    python tests/tools/copies.py --report   new, adapted and copied lines a chapter, as a table

A mark stands on the line above a definition (above its decorators), or is a file's first line:

    # copied from: mlp/mlp.py::gelu         the text is the same, to the character
    # adapted from: attention/attention.py::Block (RMSNorm for LayerNorm)
    # copied from: bigram/rng.py            as the first line: the rest of the file is the same

A definition is a function, a class, a method (`Block.forward`) or a constant (`END`); in C and CUDA a
function, a struct, a macro or a variable; in JavaScript a function, a class or a constant; in CSS a rule,
by its selector. HTML is marked by the file only. What stands inside a copy is covered by it. A mark names
the origin, where the text last changed: a definition that is new or adapted there, in an earlier chapter.
A file in csrc/ belongs to the first chapter that csrc/Makefile lists it for, a header to the first whose file
includes it, and a test with what it tests.

A function or class with the name of one in an earlier chapter needs a mark. Free are the names `main`,
`parse` and `arguments`, since every program has its own flags, the files exercises.py, solutions.py and
bench.py, which serve one chapter only, and C tests. A file that is adapted as a whole covers the names that
its origin has.

The lock (tests/tools/copies.lock) keeps a hash of each adaptation's origin. When the origin changes, the
check fails until somebody has looked whether the adapted code should change too, and says --accept: --fix
never does. A line `<!-- copies -->` in a chapter's README is followed by the chapter's counts, which the
check compares and --fix rewrites.
"""

import argparse
import ast
import hashlib
import re
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from definitions import CHAPTERS, definitions, language

FREE_NAMES = {"main", "parse", "arguments"}
FREE_FILES = {"exercises.py", "solutions.py", "bench.py"}
COMMENTS = {
    "python": ("#", ""), "c": ("//", ""), "js": ("//", ""), "css": ("/*", "*/"), "html": ("<!--", "-->"),
}  # fmt: skip
README_MARK = "<!-- copies -->\n"


@dataclass
class Mark:
    """One mark: the line it stands on, and what it says."""

    line: int
    kind: str  # copied, adapted
    file: str  # of the origin
    name: str  # of the origin's definition, "" for a whole file
    note: str
    here: object = None  # the Definition below it, None for a whole file


@dataclass
class Source:
    """One file of a chapter: its text, definitions and marks."""

    path: str
    order: int  # of its chapter, from 0; -1 before all
    text: str
    faults: list = field(default_factory=list)

    @cached_property
    def definitions(self):
        try:
            return definitions(self.path, self.text)
        except SyntaxError as error:
            self.faults.append(f"{self.path}:{error.lineno}: not valid Python: {error.msg}")
            return []

    @cached_property
    def marks(self):
        """The marks that count: those inside a copied definition are covered by it."""
        found = []
        begin, end = map(re.escape, COMMENTS[language(self.path)])
        pattern = re.compile(rf"^[ \t]*{begin} *(copied|adapted) from: *(.+?) *{end}[ \t]*$", re.MULTILINE)
        starts = {definition.start: definition for definition in reversed(self.definitions)}
        covered = 0
        for match in pattern.finditer(self.text):
            line = self.text.count("\n", 0, match.start()) + 1
            if line <= covered or self.in_string(line):
                continue
            mark = self.read(line, match[1], match[2])
            if mark and mark.name:
                mark.here = starts.get(line + 1)
                if mark.here is None:
                    self.faults.append(f"{self.path}:{line}: the mark stands above no definition")
                    continue
                covered = mark.here.end if mark.kind == "copied" else covered
            elif mark:
                covered = self.text.count("\n") + 1 if mark.kind == "copied" else covered
            if mark:
                found.append(mark)
        return found

    def read(self, line, kind, rest):
        origin, note = rest, ""
        if kind == "adapted":
            match = re.fullmatch(r"(.+?) +\((.+)\)", rest)
            if not match:
                self.faults.append(f"{self.path}:{line}: an adapted mark ends with what changed, in brackets")
                return None
            origin, note = match[1], match[2]
        file, _, name = origin.partition("::")
        if " " in file or (" " in name and language(self.path) != "css"):
            self.faults.append(f"{self.path}:{line}: cannot read the mark; it is `{kind} from: file::name`")
        elif not name and line > 1:
            self.faults.append(f"{self.path}:{line}: a mark without ::name is for the first line")
        else:
            return Mark(line, kind, file, name, note)

    def in_string(self, line):
        """Whether a line lies within a docstring: a definition's text that is only quoted."""
        return language(self.path) == "python" and any(a < line <= b for a, b in self.strings)

    @cached_property
    def strings(self):
        try:
            nodes = ast.walk(ast.parse(self.text))
        except SyntaxError:  # the fault is noted where the definitions are read
            return []
        texts = (node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
        return [(node.lineno, node.end_lineno) for node in texts]

    def find(self, name):
        return next((definition for definition in self.definitions if definition.name == name), None)

    def mark_over(self, name=""):
        """The copied mark that covers a definition (its own, its class's, its file's), or None."""
        names = {"", name, name.split(".")[0]}
        copied = (mark for mark in self.marks if mark.kind == "copied")
        return next((mark for mark in copied if (mark.here.name if mark.here else "") in names), None)


class Tree:
    """All chapters' files below a root, and what is wrong with their marks."""

    def __init__(self, root):
        self.root = Path(root)
        self.files = {}
        for order, path in sorted(self.paths(), key=lambda item: item[0]):
            try:
                text = (self.root / path).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            self.files[path] = Source(path, order, text)
        self.lock_path = self.root / "tests" / "tools" / "copies.lock"
        lines = self.lock_path.read_text().splitlines() if self.lock_path.is_file() else []
        self.lock = dict(line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))

    def paths(self):
        for order, chapter in enumerate(CHAPTERS):
            for path in sorted((self.root / chapter).rglob("*")):
                if language(path) and path.is_file():
                    yield order, path.relative_to(self.root).as_posix()
        orders, files = self.c_orders(), [path for path in sorted((self.root / "csrc").glob("*"))
                                          if language(path) and path.is_file()]  # fmt: skip
        found = {path.name: orders.get(path.stem, orders.get(path.stem.removeprefix("test_"), -1)) for path in files
                 if path.suffix != ".h"}  # fmt: skip
        found.update(self.header_orders(files, found))
        for name in [name for name, order in found.items() if order < 0]:  # test_json.c goes where json.h goes
            found[name] = found.get(name.removeprefix("test_").replace(".c", ".h"), -1)
        found = {**self.header_orders(files, found), **found}  # a header for tests only
        for path in files:
            yield found.get(path.name, -1), path.relative_to(self.root).as_posix()

    def header_orders(self, files, orders):
        """{header in csrc/: order of the first chapter with a file that includes it, itself or through a header}"""
        include = re.compile(r'^#(?:include|define VECTOR_CODE) "([^"]+)"', re.MULTILINE)  # csrc/each_vector.h
        included = {path.name: include.findall(path.read_text()) for path in files}
        found, open_files = {}, [(order, name) for name, order in orders.items() if order >= 0]
        while open_files:
            order, name = open_files.pop()
            for header in included.get(name, []):
                if header.endswith(".h") and order < found.get(header, len(CHAPTERS)):
                    found[header] = order
                    open_files.append((order, header))
        return found

    def c_orders(self):
        """{stem of a file in csrc/: order of the first chapter that lists it in csrc/Makefile}"""
        makefile, orders = self.root / "csrc" / "Makefile", {}
        text = makefile.read_text().replace("\\\n", " ") if makefile.is_file() else ""
        lists = re.findall(r"^(\w+)_(?:programs|libraries|cuda)\s*[:+]?=(.*)$", text, re.MULTILINE)
        for chapter, names in lists:
            for name in names.split() if chapter in CHAPTERS else []:
                orders[name] = min(CHAPTERS.index(chapter), orders.get(name, len(CHAPTERS)))
        return orders

    def origin(self, mark):
        """(file, text) of a mark's origin, or (None, reason)."""
        source = self.files.get(mark.file)
        if source is None:
            return None, f"the origin {mark.file} does not exist"
        if not mark.name:
            return source, source.text
        found = source.find(mark.name)
        return (source, found.text) if found else (None, f"the origin {mark.file} has no {mark.name}")

    def faults(self):
        """Every fault, as `file:line: what and what to do`."""
        found = [fault for source in self.files.values() for mark in source.marks
                 for fault in self.mark_faults(source, mark)]  # fmt: skip
        found += [fault for source in self.files.values() for fault in source.faults]
        return sorted(found + self.unmarked() + self.lock_faults() + self.readme_faults())

    def mark_faults(self, source, mark):
        at = f"{source.path}:{mark.line}:"
        origin, text = self.origin(mark)
        if origin is None:
            return [f"{at} {text}"]
        if origin.order >= source.order:
            return [f"{at} the origin {mark.file} is not in an earlier chapter"]
        if over := origin.mark_over(mark.name):
            true = f"{over.file}::{mark.name}" if mark.name else over.file
            return [f"{at} {name_of(mark)} is itself a copy; name the origin, {true}"]
        if mark.kind == "copied" and mark.here and mark.here.name != mark.name:
            return [f"{at} the mark names {mark.name}, and below it stands {mark.here.name}"]
        here = mark.here.text if mark.here else source.text.partition("\n")[2]
        if mark.kind == "copied" and here != text:
            return [f"{at} the copy differs from {name_of(mark)}; --fix rewrites it, or mark it adapted"]
        if mark.kind == "adapted" and here == text:
            return [f"{at} the same as {name_of(mark)}, so mark it copied"]
        return []

    def unmarked(self):
        """Functions and classes that stand in an earlier chapter under the same name, without a mark."""
        found, first = [], {}  # first: (language, name) -> source of the first definition
        for source in sorted(self.files.values(), key=lambda source: source.order):
            name = Path(source.path).name
            if name in FREE_FILES or name.startswith("test_") or source.mark_over():
                continue
            marked = {mark.here.start for mark in source.marks if mark.here}
            whole = [self.files[m.file] for m in source.marks if not m.name and m.file in self.files]
            for here in source.definitions:
                if here.kind not in ("function", "class") or here.name in FREE_NAMES:
                    continue
                before = first.setdefault((language(source.path), here.name), source)
                covered = here.start in marked or any(origin.find(here.name) for origin in whole)
                if before.order < source.order and not covered:
                    found.append(f"{source.path}:{here.start}: {here.name} stands in {before.path} already: "
                                 "mark it copied or adapted, or give it a name of its own")  # fmt: skip
        return found

    def adapted(self):
        """{what is adapted and its origin, as in the lock: hash of the origin's text}"""
        found = {}
        for source in self.files.values():
            for mark in source.marks:
                origin, text = self.origin(mark)
                if mark.kind == "adapted" and origin:
                    here = f"{source.path}::{mark.here.name}" if mark.here else source.path
                    found[f"{here} <- {name_of(mark)}"] = hashlib.sha256(text.encode()).hexdigest()[:16]
        return found

    def lock_faults(self):
        now, found = self.adapted(), []
        for key in sorted(now.keys() | self.lock.keys()):
            here, _, origin = key.partition(" <- ")
            if key not in self.lock:
                found.append(f"{here}: adapted from {origin}, not in copies.lock; --fix notes it")
            elif key not in now:
                found.append(f"{here}: in copies.lock, adapted from {origin} no more; --fix drops it")
            elif now[key] != self.lock[key]:
                found.append(f"{here}: its origin {origin} has changed; look at both, then --accept")
        return found

    def write_lock(self, accept):
        """Notes new adaptations and drops old ones; with accept takes every origin as it is now."""
        now = self.adapted()
        lock = now if accept else {key: self.lock.get(key, now[key]) for key in now}
        if lock != self.lock:
            lines = ["# What is adapted, from what, and a hash of the origin's text."]
            lines += [f"{key} {lock[key]}" for key in sorted(lock)]
            self.lock_path.parent.mkdir(parents=True, exist_ok=True)
            self.lock_path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.lock = lock

    def counts(self):
        """{chapter: {"new", "adapted", "copied"}}: lines of code that are not empty."""
        table = {}
        for source in self.files.values():
            kinds = ["new"] * (source.text.count("\n") + 1)
            for mark in sorted(source.marks, key=lambda mark: mark.here is not None):
                start, end = (mark.here.start, mark.here.end) if mark.here else (1, len(kinds))
                kinds[start - 1 : end] = [mark.kind] * (end - start + 1)
            chapter = CHAPTERS[source.order] if source.order >= 0 else CHAPTERS[0]
            row = table.setdefault(chapter, {"new": 0, "adapted": 0, "copied": 0})
            for line, kind in zip(source.text.split("\n"), kinds):
                row[kind] += bool(line.strip())
        return {chapter: table[chapter] for chapter in CHAPTERS if chapter in table}

    def readmes(self):
        """(path, text, text as it should be) of each README that has the line of counts."""
        for chapter, row in self.counts().items():
            path = self.root / chapter / "README.md"
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            if README_MARK in text:
                before, _, after = text.partition(README_MARK)
                line = "{:,} lines of code: {new:,} new, {adapted:,} adapted, {copied:,} copied.".format(
                    sum(row.values()), **row
                )
                yield path, text, before + README_MARK + line + "\n" + after.partition("\n")[2]

    def readme_faults(self):
        wrong = [path.relative_to(self.root) for path, text, right in self.readmes() if text != right]
        return [f"{path.as_posix()}: its line of counts is out of date; --fix rewrites it" for path in wrong]


def name_of(mark):
    return f"{mark.file}::{mark.name}" if mark.name else mark.file


def fix(root):
    """Rewrites every copy from its origin, in the chapters' order; returns the files that changed."""
    tree, changed = Tree(root), []
    for path, source in tree.files.items():
        lines = source.text.split("\n")
        for mark in reversed(source.marks):  # from the last, so that the line numbers before it hold
            origin, text = tree.origin(mark)
            if any("the copy differs" in fault for fault in tree.mark_faults(source, mark)):
                first, last = (mark.here.start - 1, mark.here.end) if mark.here else (1, len(lines))
                lines[first:last] = text.removesuffix("\n").split("\n") if mark.here else text.split("\n")
        if (text := "\n".join(lines)) != source.text:
            (tree.root / path).write_text(text, encoding="utf-8")
            tree.files[path] = Source(path, source.order, text)
            changed.append(path)
    tree = Tree(root)
    for path, text, right in tree.readmes():
        if text != right:
            path.write_text(right, encoding="utf-8")
            changed.append(path.relative_to(tree.root).as_posix())
    tree.write_lock(accept=False)
    return changed


def report(tree):
    print(f"{'chapter':<14}{'new':>8}{'adapted':>9}{'copied':>8}{'lines':>8}")
    for chapter, row in tree.counts().items():
        total = sum(row.values())
        print(f"{chapter:<14}{row['new']:>8,}{row['adapted']:>9,}{row['copied']:>8,}{total:>8,}")


def main(argv=None):
    here = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description="Checks code that was copied from chapter to chapter.")
    parser.add_argument("--fix", action="store_true", help="rewrite every copy from its origin")
    parser.add_argument("--accept", action="store_true", help="adapted code was looked at after a change")
    parser.add_argument("--report", action="store_true", help="count new, adapted and copied lines a chapter")
    parser.add_argument("--root", type=Path, default=here, help="the project's folder")
    options = parser.parse_args(argv)
    if options.fix:
        for path in fix(options.root):
            print(f"rewrote {path}")
    tree = Tree(options.root)
    if options.accept:
        tree.write_lock(accept=True)
    if options.report:
        report(tree)
        return 0
    faults = tree.faults()
    for fault in faults:
        print(fault)
    marks = [mark.kind for source in tree.files.values() for mark in source.marks]
    print(f"{len(tree.files)} files, {marks.count('copied')} copied, {marks.count('adapted')} adapted, "
          f"{len(faults)} faults")  # fmt: skip
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
