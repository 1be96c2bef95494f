"""Checks the READMEs: listings, links, pictures, form and language. (test_readmes.py runs their commands.)

    python tests/tools/readmes.py            the faults, one a line; exit status 1 if there are any

What a README can say in an HTML comment on the line above a fence:

    <!-- listing: mlp/mlp.py::gelu -->       the fence is that definition's text, without ::name the whole
                                             file's; a method may be moved to the left
    <!-- not a listing: why -->              code that stands in no file, such as a bug to plant
    <!-- not run: why -->                    the commands of this sh fence are too slow or need what CI lacks
    <!-- run instead: command -->            a quicker command is run in their place; `--data out/few` gives it
                                             few stories, which the tests put there
    <!-- same output -->                     this text fence is what the commands above print, line by line;
                                             a line that is only … stands for any lines

A chapter's README has 1,500 to 3,000 words (outside of fences), its sections in order (SECTIONS), and folded
answers; another page beside it has 3,000 words at most, and a link from it. Exclamation marks, emoji, machine
paths and forgotten TODOs have no place in the text.
"""

import argparse
import re
import shlex
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from definitions import CHAPTERS, definitions

WORDS = (1500, 3000)
CODE = {"python", "c", "cuda", "cpp", "js", "javascript", "css", "html"}
# What a chapter's headings must contain, in this order.
SECTIONS = {
    "run it": r"\brun it\b",
    "by hand": r"\bby hand\b",
    "the mathematics": r"\bmathematics\b",
    "the code": r"\bcode\b",
    "the run": r"\bthe run\b",
    "when it goes wrong": r"\bgoes wrong\b",
    "exercises": r"\bexercises\b",
    "questions": r"\bquestions\b",
    "what is new, adapted and copied": r"\bnew\b.*\bcopied\b",
    "papers": r"\bpapers\b",
}
BRITISH = (
    r"\w*(?:colour|behaviour|neighbour|favour|licence|(?:tokeni|normali|initiali|optimi|quanti|regulari|"
    r"summari|generali|speciali|vectori|parameteri)s(?:e[drs]?|ing|ation)\b)"
)
FORBIDDEN = {
    r"!(?![\[=])": "an exclamation mark",
    r"[\U0001F000-\U0001FAFF\uFE0F\u2705\u274C\u2728\u2757\u26A0]": "an emoji",
    r"(?<![\w.])/(?:work|root|home|tmp|farm|opt)/": "a path of one machine",
    r"\bTODO": "something still to do",
    r"(?i)\bissue #?\d": "an issue's number",
    r"(?i)index-url": "a registry",
    r"(?i)\b(?:blazing|cutting-edge|state-of-the-art|seamless|world-class|revolutionary|effortless)": "a boast",
    r"(?i)\b" + BRITISH: "a spelling that is not American",
}


@dataclass
class Fence:
    """A fenced block: its first line's number, its language, its text and the marks above it."""

    line: int
    language: str
    text: str
    marks: dict  # what stands in a comment above, {"listing": "mlp/mlp.py::gelu", "not run": "why"}


class Readme:
    """One README: fences, prose (everything else, line by line) and headings."""

    def __init__(self, root, path):
        self.root, self.path = Path(root), Path(path)
        self.name = self.path.relative_to(self.root).as_posix()
        self.fences, self.prose, self.unclosed = [], [], None
        marks, fence, bars = {}, None, ""
        for number, line in enumerate(self.path.read_text(encoding="utf-8").split("\n"), start=1):
            opening = re.match(r"\s*(`{3,})\s*(\w*)", line)
            comment = re.fullmatch(r"\s*<!--\s*([a-z ]+?)\s*(?::\s*(.*?))?\s*-->\s*", line)
            if fence is not None and line.strip() == bars:
                fence.text = textwrap.dedent(fence.text)
                fence = None
            elif fence is not None:
                fence.text += line + "\n"
            elif opening:
                bars, fence = opening[1], Fence(number, opening[2], "", marks)
                self.fences.append(fence)
                marks = {}
            elif comment:
                marks = {**marks, comment[1]: comment[2] or ""}
            else:
                marks = {}
                self.prose.append((number, line))
        self.unclosed = fence and fence.line
        self.headings = [line.strip("# ") for _, line in self.prose if re.match(r"#{1,6} ", line)]

    @property
    def is_lesson(self):
        return self.name.endswith("/README.md") and self.is_page

    @property
    def is_page(self):
        return self.path.parent.name in CHAPTERS and self.path.parent.parent == self.root

    def visible(self):
        """(number, line) of the prose without comments and formulas, which may have several lines."""
        text = "\n".join(line for _, line in self.prose)
        text = re.sub(r"<!--.*?-->|\$\$.*?\$\$", lambda match: "\n" * match[0].count("\n"), text, flags=re.DOTALL)
        return [(number, line) for (number, _), line in zip(self.prose, text.split("\n"))]

    def words(self):
        lines = (re.sub(r"(?<=\])\([^)]*\)|<[^>]+>", " ", line) for _, line in self.visible())
        return sum(len(re.findall(r"[\w'’.,-]*\w[\w'’.,-]*", line)) for line in lines)

    def commands(self):
        """(fence, what to run instead or None, why it is not run or None) of each sh fence."""
        for fence in self.fences:
            if fence.language == "sh":
                yield fence, fence.marks.get("run instead"), fence.marks.get("not run")

    def faults(self):
        found = [
            *self.fence_faults(), *self.listing_faults(), *self.link_faults(), *self.language_faults(),
            *(self.form_faults() if self.is_lesson else self.page_faults() if self.is_page else []),
        ]  # fmt: skip
        return [f"{self.name}:{line}: {fault}" for line, fault in sorted(found)]

    def fence_faults(self):
        if self.unclosed:
            yield self.unclosed, "the fence is not closed"
        for fence in self.fences:
            if not fence.language:
                yield fence.line, "the fence has no language; an output's is text"
            if fence.language in ("bash", "shell", "console", "zsh"):
                yield fence.line, "the language of commands is sh"
            if fence.language != "sh" and fence.marks.keys() & {"not run", "run instead"}:
                yield fence.line, "only a sh fence is run, or not"
            if fence.marks.get("not run") == "" or fence.marks.get("not a listing") == "":
                yield fence.line, "the mark does not say why"
            if fence.language == "sh":
                yield from ((fence.line, fault) for fault in self.command_faults(fence))

    def command_faults(self, fence):
        """Scripts that do not exist, flags that no file of the script's folder knows; also if it is not run."""
        for line in fence.text.replace("\\\n", " ").splitlines():
            try:
                words = shlex.split(line, comments=True)
            except ValueError as error:
                yield f"{line!r} is no command: {error}"
                continue
            scripts = [word for word in words if re.fullmatch(r"[\w./-]+\.py", word)]
            for script in scripts:
                if not (self.root / script).is_file():
                    yield f"{script} does not exist"
            if len(scripts) == 1 and (self.root / scripts[0]).is_file():
                folder = (self.root / scripts[0]).parent
                known = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
                after = words[words.index(scripts[0]) + 1 :]
                for flag in (word.split("=")[0] for word in after if word.startswith("--")):
                    if f'"{flag}"' not in known and flag != "--help":
                        yield f"{scripts[0]} has no flag {flag}"

    def listing_faults(self):
        for fence in self.fences:
            origin = fence.marks.get("listing")
            if origin is None:
                if fence.language in CODE and "not a listing" not in fence.marks:
                    yield fence.line, "code without a mark <!-- listing: file::name --> above it"
                continue
            file, _, name = origin.partition("::")
            path = self.root / file
            if not path.is_file():
                yield fence.line, f"the listing's file {file} does not exist"
                continue
            text = path.read_text(encoding="utf-8")
            if name:
                found = [definition.text for definition in definitions(file, text) if definition.name == name]
                if not found:
                    yield fence.line, f"{file} has no {name}"
                    continue
                text = found[0]
            if textwrap.dedent(text).strip("\n") != fence.text.strip("\n"):
                yield fence.line, f"the listing is not the text of {origin}"

    def link_faults(self):
        lines = self.visible()
        text = "\n".join(re.sub(r"`[^`]*`", "code", line) for _, line in lines)
        images = [(m.start(), m[1], m[2]) for m in re.finditer(r"!\[([^\]]*)\]\(\s*([^)\s]+)[^)]*\)", text)]
        for match in re.finditer(r"<img\b[^>]*\bsrc=\"([^\"]+)\"[^>]*>", text):
            described = re.search(r"\balt=\"([^\"]*)\"", match[0])
            images.append((match.start(), described[1] if described else "", match[1]))
        for start, alt, target in images:
            number = lines[text.count("\n", 0, start)][0]
            if not alt.strip():
                yield number, f"the picture {target} has no alt text"
            if not (self.path.parent / target).is_file():
                yield number, f"the picture {target} does not exist"
        # A picture can be what a link shows: leave out its brackets, and keep every line's place.
        text = re.sub(r"!\[([^\]]*)\]\([^)]*\)", lambda m: m[1] or "x", text)
        links = [*re.finditer(r"\[[^\]]*\]\(\s*([^)\s]+)[^)]*\)", text), *re.finditer(r"<a\b[^>]*href=\"([^\"]+)\"", text)]
        for match in links:
            if fault := self.link_fault(match[1]):
                yield lines[text.count("\n", 0, match.start())][0], fault

    def link_fault(self, target):
        if re.match(r"(https|mailto):", target):
            return None
        if re.match(r"[a-z]+://", target):
            return f"the link {target} is not https" if "127.0.0.1" not in target else None
        file, _, anchor = target.partition("#")
        path = (self.path.parent / file).resolve() if file else self.path
        if not path.exists() or not path.is_relative_to(self.root.resolve()):
            return f"the link {target} leads nowhere"
        if anchor:
            page = path / "README.md" if path.is_dir() else path
            if not page.is_file() or anchor not in anchors(Readme(self.root, page).headings):
                return f"the link {target} has no such heading"
        return None

    def language_faults(self):
        for number, line in self.visible():
            line = re.sub(r"`[^`]*`|\$[^$]+\$|(?<=\])\([^)]*\)|<[^>]+>", " ", line)
            quoted = line.lstrip().startswith(">")  # a story's own words
            for pattern, what in FORBIDDEN.items():
                if (match := re.search(pattern, line)) and not (quoted and what == "an exclamation mark"):
                    yield number, f"{what}: {match[0]!r} in {line.strip()[:60]!r}"

    def page_faults(self):
        """A page beside a lesson is a part of it: not too long, and the lesson leads to it."""
        if self.words() > WORDS[1]:
            yield 1, f"{self.words():,} words; a page has {WORDS[1]:,} at most"
        lesson = self.path.with_name("README.md")
        if not lesson.is_file() or f"]({self.path.name}" not in lesson.read_text(encoding="utf-8"):
            yield 1, "the chapter's README has no link to this page"

    def form_faults(self):
        count = self.words()
        if not WORDS[0] <= count <= WORDS[1]:
            yield 1, f"{count:,} words; a lesson has {WORDS[0]:,} to {WORDS[1]:,}"
        if not re.search(r"<details>", "\n".join(line for _, line in self.prose)):
            yield 1, "no folded answers (<details>)"
        if not any(fence.language == "sh" for fence in self.fences):
            yield 1, "no command to run"
        at = 0
        headings = [heading.lower() for heading in self.headings]
        for section, pattern in SECTIONS.items():
            places = [i for i, heading in enumerate(headings) if re.search(pattern, heading)]
            if not places:
                yield 1, f"no heading for the section: {section}"
            elif not (later := [i for i in places if i >= at]):
                yield 1, f"the section stands too early: {section}"
            else:
                at = later[0]


def anchors(headings):
    """The names that GitHub gives to headings."""
    found = []
    for heading in headings:
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)|`", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        count = sum(re.fullmatch(re.escape(name) + r"(-\d+)?", other) is not None for other in found)
        found.append(f"{name}-{count}" if count else name)
    return found


def same_output(shown, printed):
    """Whether the shown lines are the printed ones, where a line … (or ...) stands for any lines."""
    parts = re.split(r"^\s*(?:…|\.\.\.)\s*$\n?", shown.strip("\n") + "\n", flags=re.MULTILINE)
    pattern = r"(?:.*\n)*?".join(re.escape(part) for part in parts)
    plain = "\n".join(line.rstrip() for line in printed.split("\n"))
    return re.search(r"^" + pattern, plain, re.MULTILINE) is not None


def readmes(root):
    """The project's READMEs: the main one, the chapters' with the pages beside them, those of folders in chapters."""
    root = Path(root)
    paths = [root / "README.md"]
    for chapter in CHAPTERS:
        lesson = root / chapter / "README.md"
        paths += [lesson, *sorted({*(root / chapter).glob("*.md"), *(root / chapter).rglob("README.md")} - {lesson})]
    return [Readme(root, path) for path in paths if path.is_file()]


def main(argv=None):
    parser = argparse.ArgumentParser(description="Checks the READMEs' listings, links, form and language.")
    root = Path(__file__).resolve().parents[2]
    parser.add_argument("--root", type=Path, default=root, help="the project's folder")
    options = parser.parse_args(argv)
    found = readmes(options.root)
    faults = [fault for readme in found for fault in readme.faults()]
    print(*faults, f"{len(found)} READMEs, {len(faults)} faults", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
