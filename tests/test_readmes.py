"""What the READMEs say is so: their commands run, their listings are the files', their links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 120  # for one block of commands


@pytest.fixture(scope="session")
def readmes(chapter):
    return chapter("tests/tools").readmes


def pytest_generate_tests(metafunc):
    """One test a README, one a block of commands: each has its line in the summary, also when it is not run."""
    if not {"readme", "block"} & set(metafunc.fixturenames):
        return
    readmes = metafunc.config.chapter("tests/tools").readmes
    found = readmes.readmes(ROOT)
    if "readme" in metafunc.fixturenames:
        metafunc.parametrize("readme", found, ids=lambda readme: readme.name)
    else:
        blocks = [(readme, *command) for readme in found for command in readme.commands()]
        metafunc.parametrize("block", blocks, ids=lambda block: f"{block[0].name}:{block[1].line}")


def test_text(readme):
    faults = readme.faults()
    assert not faults, "\n".join(faults)


def test_commands(block, run_command, readmes):
    readme, fence, instead, not_run = block
    if not_run:
        pytest.skip(f"{readme.name}:{fence.line} not run: {not_run}")
    result = run_command(instead or fence.text, timeout=SECONDS)
    later = readme.fences[readme.fences.index(fence) + 1 :]
    if later and "same output" in later[0].marks and not instead:
        assert readmes.same_output(later[0].text, result.stdout), f"not what is printed:\n{result.stdout}"


def test_the_main_readme_lists_every_chapter(readmes):
    """In the lessons' order, linked if it is there, and said to be missing if it is not."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    pattern = re.compile(r"\| *\d+ *\| *(?:\[(\w+)\]\(([^)]+)\)|(\w+)) *\|(.*)")
    rows = [match for line in lines if (match := pattern.match(line))]
    assert [row[1] or row[3] for row in rows] == readmes.CHAPTERS
    for row in rows:
        written = (ROOT / (row[1] or row[3]) / "README.md").is_file()
        assert written == bool(row[1]) == ("not written yet" not in row[4]), row[0]


LESSON = """# A lesson

Where the last chapter stopped. {words}

## Run it

<!-- run instead: python sft/tiny.py --steps 1 -->
```sh
python sft/tiny.py --steps 100
```

<!-- same output -->
```text
one
…
three
```

## The idea by hand

![Two boxes](figures/idea.svg) [The code](tiny.py) and [below](#the-code). In `code!` it is allowed.

## The mathematics

$$
n!
$$

## The code

<!-- listing: sft/tiny.py::Tiny.double -->
```python
def double(self, x):
    return 2 * x
```

<!-- not a listing: a bug to plant -->
```python
return 3 * x
```

## The run

## When it goes wrong

## Exercises

## Questions

<details><summary>Answer</summary>Yes.</details>

## What is new, adapted and copied

## Papers

<!-- not run: it would take an hour -->
```sh
python sft/tiny.py
```
"""
TINY = """import argparse


class Tiny:
    def double(self, x):
        return 2 * x


argparse.ArgumentParser().add_argument("--steps")
print("one\\ntwo\\nthree")
"""


@pytest.fixture
def lesson(tmp_path, readmes):
    """Writes a small project with a lesson, one thing in it replaced, and returns its faults."""

    def lesson(old="", new=""):
        (tmp_path / "sft/figures").mkdir(parents=True, exist_ok=True)
        (tmp_path / "sft/figures/idea.svg").write_text("<svg/>")
        (tmp_path / "sft/tiny.py").write_text(TINY)
        text = LESSON.replace("{words}", "word " * 1500)
        assert old in text
        (tmp_path / "sft/README.md").write_text(text.replace(old, new) if old else text)
        found, *_ = readmes.readmes(tmp_path)
        return found

    return lesson


def test_a_lesson_without_faults(lesson):
    readme = lesson()
    assert readme.faults() == []
    assert [(instead, not_run) for _, instead, not_run in readme.commands()] == [
        ("python sft/tiny.py --steps 1", None),
        (None, "it would take an hour"),
    ]


FAULTS = {
    "a listing differs": ("return 2 * x", "return 2 * y", "the listing is not the text of sft/tiny.py::Tiny.double"),
    "a listing's name": ("Tiny.double", "Tiny.triple", "sft/tiny.py has no Tiny.triple"),
    "a listing's file": ("sft/tiny.py::Tiny", "sft/big.py::Tiny", "the listing's file sft/big.py does not exist"),
    "code from nowhere": ("<!-- not a listing: a bug to plant -->\n", "", "code without a mark"),
    "no reason": ("not a listing: a bug to plant", "not a listing", "the mark does not say why"),
    "a missing script": ("python sft/tiny.py\n", "python sft/huge.py\n", "sft/huge.py does not exist"),
    "a missing flag": ("--steps 100", "--step 100", "sft/tiny.py has no flag --step"),
    "a missing link": ("(tiny.py)", "(large.py)", "the link large.py leads nowhere"),
    "a link over two lines": ("[The code](tiny.py)", "[The\ncode](large.py)", "the link large.py leads nowhere"),
    "a link out of the project": ("(tiny.py)", "(../..)", "the link ../.. leads nowhere"),
    "a missing heading": ("(#the-code)", "(#the-core)", "the link #the-core has no such heading"),
    "a missing picture": ("(figures/idea.svg)", "(figures/plan.svg)", "the picture figures/plan.svg does not exist"),
    "a picture without words": ("![Two boxes]", "![]", "has no alt text"),
    "an exclamation mark": ("it is allowed.", "it is allowed!", "an exclamation mark"),
    "an emoji": ("it is allowed.", "it is allowed \U0001f600.", "an emoji"),
    "a machine's path": ("it is allowed.", "it lies in /home/me/x.", "a path of one machine"),
    "a reminder": ("it is allowed.", "TODO-MEASURE", "something still to do"),
    "a British word": ("it is allowed.", "it is tokenised.", "a spelling that is not American"),
    "a boast": ("it is allowed.", "it is blazing fast.", "a boast"),
    "too short": ("word " * 1500, "word", "words; a lesson has 1,500 to 3,000"),
    "too long": ("word " * 1500, "word " * 3100, "words; a lesson has 1,500 to 3,000"),
    "a missing section": ("## Papers", "## Books", "no heading for the section: papers"),
    "no folded answers": ("<details>", "", "no folded answers"),
    "no language": ("```text", "```", "the fence has no language"),
    "another shell": ("```sh\npython sft/tiny.py\n", "```bash\npython sft/tiny.py\n", "the language of commands is sh"),
    "an open fence": ("python sft/tiny.py\n```\n", "python sft/tiny.py\n", "the fence is not closed"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_caught(lesson, fault):
    old, new, message = FAULTS[fault]
    faults = lesson(old, new).faults()
    assert any(message in found for found in faults), faults


def test_a_page_beside_a_lesson(lesson, readmes, tmp_path):
    """It needs no sections, but the lesson's link, a length, and listings that are the files'."""
    lesson("[The code](tiny.py)", "[More](more.md)")
    (tmp_path / "sft/more.md").write_text("# More\n\nA page.\n")
    first, page = readmes.readmes(tmp_path)
    assert page.name == "sft/more.md" and page.faults() == first.faults() == []
    (tmp_path / "sft/more.md").write_text("# More\n\n" + "word " * 3001 + "\n\n```python\nx = 1\n```\n")
    lesson()
    faults = "\n".join(readmes.readmes(tmp_path)[1].faults())
    for fault in ("a page has 3,000 at most", "has no link to this page", "code without a mark"):
        assert fault in faults, faults


def test_sections_in_order(lesson):
    faults = lesson("## The run\n\n## When it goes wrong", "## When it goes wrong\n\n## The run").faults()
    assert faults and all("stands too early" in fault for fault in faults)


@pytest.mark.parametrize("shown, same", [
    ("one\ntwo\nthree\n", True),
    ("one\n…\nthree\n", True),
    ("two\n", True),
    ("…\nthree\n", True),
    ("one\n...\n", True),
    ("one\nthree\n", False),
    ("three\n…\none\n", False),
    ("wo\n", False),
    ("on\n", False),
])  # fmt: skip
def test_same_output(readmes, shown, same):
    assert readmes.same_output(shown, "one\ntwo  \nthree\n") is same
