"""Code copied forward: this project's marks hold, and every kind of fault is caught, with its own message."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MLP = '''"""Chapter mlp."""
import functools

END = "<|endoftext|>"


@functools.cache
def gelu(x):
    return 0.5 * x  # not the real one


class Block:
    def forward(self, x):
        return gelu(x)

    def size(self):
        return 1


def main():
    pass
'''
ATTENTION = '''# copied from: mlp/mlp.py::END
END = "<|endoftext|>"


# copied from: mlp/mlp.py::gelu
@functools.cache
def gelu(x):
    return 0.5 * x  # not the real one


# adapted from: mlp/mlp.py::Block (a mask)
class Block:
    def forward(self, x):
        return gelu(x) + 1

    # copied from: mlp/mlp.py::Block.size
    def size(self):
        return 1


def main():
    pass
'''
MATMUL = """// c = a b
#include <stdio.h>
#define TILE(x) \\
    ((x) * 8)

typedef struct { int rows, columns; } Matrix;
struct pair { int a; };
static const float half[2] = {0.5f, 0.5f};

/* "a brace } in a comment" */
static void matmul(float *c, const float *a, int n)
{
    for (int i = 0; i < n; i++) { c[i] = a[i]; printf("}"); }
}
"""
ATTENTION_C = """// copied from: csrc/matmul.c::TILE
#define TILE(x) \\
    ((x) * 8)
// copied from: csrc/matmul.c::Matrix
typedef struct { int rows, columns; } Matrix;
// copied from: csrc/matmul.c::pair
struct pair { int a; };
// copied from: csrc/matmul.c::half
static const float half[2] = {0.5f, 0.5f};
// copied from: csrc/matmul.c::matmul
static void matmul(float *c, const float *a, int n)
{
    for (int i = 0; i < n; i++) { c[i] = a[i]; printf("}"); }
}
__global__ void __launch_bounds__(256) attention(float *o) { o[0] = 1; }
"""
PAGE_JS = """const state = { open: true };
export async function ask(text) {
  const quote = /["'}]/g;
  return `${text.replace(quote, "{")} }`;
}
class Shelf {
  add(story) { this.stories.push(story); }
}
"""
PAGE_CSS = """.shelf li, .shelf a:not(.old) { color: red; }
@media (min-width: 600px) {
  .shelf { width: 20rem; }
}
"""
TREE = {
    "mlp/mlp.py": MLP,
    "mlp/rng.py": "def splitmix(x):\n    return x\n",
    "attention/attention.py": ATTENTION,
    "attention/rng.py": "# copied from: mlp/rng.py\ndef splitmix(x):\n    return x\n",
    "attention/README.md": "# Title\n\n<!-- copies -->\n33 lines of code: 11 new, 4 adapted, 18 copied.\n",
    "csrc/Makefile": "mlp_libraries := matmul\nattention_libraries := attention\n",
    "csrc/matmul.c": MATMUL,
    "csrc/attention.cu": ATTENTION_C,
    "deployment/static/page.js": PAGE_JS,
    "deployment/static/page.css": PAGE_CSS,
    "deployment/static/index.html": "<!doctype html>\n<p>Once</p>\n",
    "multimodal/static/page.js": "// copied from: deployment/static/page.js\n" + PAGE_JS,
    "multimodal/static/ask.js": "// copied from: deployment/static/page.js::ask\n"
    + PAGE_JS[PAGE_JS.index("export") : PAGE_JS.index("class")],
    "multimodal/static/page.css":
    "/* copied from: deployment/static/page.css::.shelf li, .shelf a:not(.old) */\n"
    + PAGE_CSS.partition("\n")[0] + "\n.new { color: blue; }\n",
    "multimodal/static/index.html": "<!-- adapted from: deployment/static/index.html (a picture) -->\n"
    "<!doctype html>\n<img alt=''>\n",
}  # fmt: skip


@pytest.fixture(scope="session")
def copies(chapter):
    return chapter("tests/tools").copies


@pytest.fixture
def tree(tmp_path, copies):
    """A small project without a fault."""
    for path, text in TREE.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    copies.fix(tmp_path)
    return tmp_path


def edit(tree, path, old, new):
    text = (tree / path).read_text()
    assert old in text
    (tree / path).write_text(text.replace(old, new, 1))


def snapshot(tree):
    return {path: path.read_text() for path in sorted(tree.rglob("*")) if path.is_file()}


def test_this_project(root):
    command = [sys.executable, str(root / "tests" / "tools" / "copies.py")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_tree_without_faults(tree, copies):
    assert copies.Tree(tree).faults() == []
    assert {path.relative_to(tree).as_posix(): text for path, text in snapshot(tree).items()
            if path.name != "copies.lock"} == TREE  # fmt: skip


def test_counts(tree, copies, capsys):
    counts = copies.Tree(tree).counts()
    assert counts["mlp"] == {"new": 13 + 2 + 12, "adapted": 0, "copied": 0}
    # three marks and main in attention.py, five marks and one kernel in attention.cu; Block but for its size
    assert counts["attention"] == {"new": 5 + 6, "adapted": 4, "copied": 6 + 3 + 9}
    assert counts["multimodal"]["adapted"] == 3
    assert copies.main(["--root", str(tree), "--report"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["chapter", "new", "adapted", "copied", "lines"]
    assert [line.split()[0] for line in lines[1:]] == ["mlp", "attention", "deployment", "multimodal"]


FAULTS = {
    "a copy differs": (
        "attention/attention.py", "0.5 * x", "0.6 * x", "the copy differs from mlp/mlp.py::gelu"),
    "a decorator is lost": (
        "attention/attention.py", "@functools.cache\n", "", "the copy differs from mlp/mlp.py::gelu"),
    "a constant differs": (
        "attention/attention.py", "<|endoftext|>", "<eot>", "the copy differs from mlp/mlp.py::END"),
    "a method differs": (
        "attention/attention.py", "return 1", "return 2", "the copy differs from mlp/mlp.py::Block.size"),
    "a comment in a copy differs": (
        "attention/attention.py", "not the real", "nearly the", "the copy differs from mlp/mlp.py::gelu"),
    "a copied file differs": ("attention/rng.py", "return x", "return 1", "the copy differs from mlp/rng.py"),
    "a copied file grew": (
        "attention/rng.py", "return x\n", "return x\n\n", "the copy differs from mlp/rng.py"),
    "a C function differs": (
        "csrc/attention.cu", 'printf("}")', 'printf("{")', "the copy differs from csrc/matmul.c::matmul"),
    "a macro differs": (
        "csrc/attention.cu", "(x) * 8", "(x) * 9", "the copy differs from csrc/matmul.c::TILE"),
    "a struct differs": (
        "csrc/attention.cu", "rows, columns", "rows, cols", "the copy differs from csrc/matmul.c::Matrix"),
    "a JavaScript function differs": (
        "multimodal/static/ask.js", '"{"', '"}"', "the copy differs from deployment/static/page.js::ask"),
    "a CSS rule differs": (
        "multimodal/static/page.css", "red", "pink",
        "the copy differs from deployment/static/page.css::.shelf"),
    "an origin's file is missing": (
        "attention/rng.py", "mlp/rng.py", "mlp/random.py", "the origin mlp/random.py does not exist"),
    "an origin is missing": (
        "mlp/mlp.py", "END =", "STOP =", "the origin mlp/mlp.py has no END"),
    "an origin is not earlier": (
        "mlp/rng.py", "def splitmix(x):", "# copied from: attention/rng.py::splitmix\ndef splitmix(x):",
        "the origin attention/rng.py is not in an earlier chapter"),
    "an origin is in the same chapter": (
        "attention/rng.py", "mlp/rng.py", "attention/attention.py", "is not in an earlier chapter"),
    "an unmarked copy": (
        "attention/attention.py", "# copied from: mlp/mlp.py::gelu\n", "",
        "gelu stands in mlp/mlp.py already"),
    "an unmarked class": (
        "attention/attention.py", "# adapted from: mlp/mlp.py::Block (a mask)\n", "",
        "Block stands in mlp/mlp.py already"),
    "an unmarked C function": (
        "csrc/attention.cu", "// copied from: csrc/matmul.c::matmul\n", "",
        "matmul stands in csrc/matmul.c already"),
    "an adapted definition is the same": (
        "attention/attention.py", "gelu(x) + 1", "gelu(x)", None),
    "an adapted mark has no note": (
        "attention/attention.py", " (a mask)", "", "ends with what changed, in brackets"),
    "an adapted origin changed": (
        "mlp/mlp.py", "return gelu(x)", "return gelu(2 * x)", "its origin mlp/mlp.py::Block has changed"),
    "an adapted page's origin changed": (
        "deployment/static/index.html", "Once", "Twice",
        "its origin deployment/static/index.html has changed"),
    "a mark above nothing": (
        "attention/attention.py", "::gelu\n", "::gelu\n\n", "the mark stands above no definition"),
    "a mark of another name": (
        "attention/attention.py", "mlp.py::gelu", "mlp.py::main",
        "the mark names main, and below it stands gelu"),
    "a file's mark in the middle": (
        "attention/attention.py", "mlp.py::gelu", "mlp.py", "a mark without ::name is for the first line"),
    "a mark that cannot be read": (
        "attention/attention.py", "mlp.py::gelu", "mlp.py :: gelu", "cannot read the mark"),
    "not Python": ("attention/attention.py", "class Block:", "class Block", "not valid Python"),
    "a README's counts": ("attention/README.md", "11 new", "60 new", "its line of counts is out of date"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_caught(tree, copies, capsys, fault):
    path, old, new, message = FAULTS[fault]
    if message is None:
        edit(tree, path, "    # copied from: mlp/mlp.py::Block.size\n", "")
        message = "the same as mlp/mlp.py::Block, so mark it copied"
    edit(tree, path, old, new)
    assert copies.main(["--root", str(tree)]) == 1
    output = capsys.readouterr().out
    assert message in output, output


def test_a_copy_of_a_copy(tree, copies, capsys):
    (tree / "transformer").mkdir()
    (tree / "transformer/model.py").write_text(
        '# copied from: attention/attention.py::END\nEND = "<|endoftext|>"\n'
        "# copied from: attention/rng.py::splitmix\ndef splitmix(x):\n    return x\n"
    )
    (tree / "transformer/rng.py").write_text("# copied from: attention/rng.py\n" + TREE["mlp/rng.py"])
    assert copies.main(["--root", str(tree)]) == 1
    output = capsys.readouterr().out
    assert "is itself a copy; name the origin, mlp/mlp.py::END" in output
    assert "is itself a copy; name the origin, mlp/rng.py::splitmix" in output
    assert "is itself a copy; name the origin, mlp/rng.py\n" in output


def test_what_is_adapted_can_be_an_origin(tree, copies):
    (tree / "transformer").mkdir()
    block = ATTENTION[ATTENTION.index("class Block") : ATTENTION.index("\n\ndef main")]
    (tree / "transformer/model.py").write_text(f"# copied from: attention/attention.py::Block\n{block}")
    assert copies.Tree(tree).faults() == []


def test_free_files_and_names(tree, copies):
    (tree / "attention/solutions.py").write_text("def gelu(x):\n    return x\n")
    copies.fix(tree)  # the line of counts
    assert copies.Tree(tree).faults() == []  # and main stands in both chapters


def test_a_mark_in_a_docstring_is_text(tree, copies):
    (tree / "attention/notes.py").write_text('"""Marks look so:\n\n# copied from: nowhere.py::x\n"""\n')
    copies.fix(tree)  # the line of counts
    assert copies.Tree(tree).faults() == []


@pytest.mark.parametrize("fault", [name for name, fault in FAULTS.items() if "copy differs" in str(fault[3])])
def test_fix_repairs_a_copy(tree, copies, fault):
    before = snapshot(tree)
    path, old, new, _ = FAULTS[fault]
    edit(tree, path, old, new)
    assert copies.fix(tree) == [path]
    assert snapshot(tree) == before
    assert copies.fix(tree) == []  # and once more changes nothing


def test_fix_carries_an_origin_forward(tree, copies):
    edit(tree, "mlp/mlp.py", "0.5 * x", "0.5 * x * (1 + x)")
    edit(tree, "mlp/rng.py", "    return x", "    y = x\n    return y")
    edit(tree, "mlp/mlp.py", '"<|endoftext|>"', '(\n    "<|endoftext|>"\n)')
    assert copies.fix(tree) == ["attention/attention.py", "attention/rng.py", "attention/README.md"]
    assert "x * (1 + x)" in (tree / "attention/attention.py").read_text()
    assert copies.Tree(tree).faults() == []
    assert copies.fix(tree) == []


def test_fix_writes_the_counts(tree, copies):
    edit(tree, "attention/README.md", "11 new", "60 new")
    assert copies.fix(tree) == ["attention/README.md"]
    assert (tree / "attention/README.md").read_text() == TREE["attention/README.md"]


@pytest.mark.parametrize(
    "fault", ["an origin is missing", "an unmarked copy", "a mark of another name", "not Python"]
)
def test_fix_leaves_what_it_cannot_know(tree, copies, fault):
    path, old, new, _ = FAULTS[fault]
    edit(tree, path, old, new)
    text = (tree / path).read_text()
    copies.fix(tree)
    assert (tree / path).read_text() == text
    assert copies.Tree(tree).faults()


def test_only_accept_takes_a_changed_origin(tree, copies):
    edit(tree, "mlp/mlp.py", "return gelu(x)", "return gelu(2 * x)")
    copies.fix(tree)
    assert any("has changed" in fault for fault in copies.Tree(tree).faults())
    copies.main(["--root", str(tree), "--accept"])
    assert copies.Tree(tree).faults() == []


def test_the_lock_is_complete_and_has_nothing_else(tree, copies):
    shutil.rmtree(tree / "tests")
    assert any("not in copies.lock" in fault for fault in copies.Tree(tree).faults())
    copies.fix(tree)
    edit(tree, "attention/attention.py", "# adapted from: mlp/mlp.py::Block (a mask)\n", "")
    edit(tree, "attention/attention.py", "class Block", "class Masked")
    edit(tree, "attention/attention.py", "    # copied from: mlp/mlp.py::Block.size\n", "")
    assert any("adapted from mlp/mlp.py::Block no more" in fault for fault in copies.Tree(tree).faults())
    copies.fix(tree)
    assert copies.Tree(tree).faults() == []


def test_definitions_in_c_and_javascript(chapter):
    definitions = chapter("tests/tools").definitions.definitions
    kernel = ATTENTION_C[ATTENTION_C.index("__global__") :]
    names = [(d.name, d.kind) for d in definitions("x.cu", MATMUL + kernel)]
    assert names == [("TILE", "constant"), ("Matrix", "class"), ("pair", "class"), ("half", "constant"),
                     ("matmul", "function"), ("attention", "function")]  # fmt: skip
    assert [d.name for d in definitions("x.js", PAGE_JS)] == ["state", "ask", "Shelf"]
    assert "".join(d.text for d in definitions("x.js", PAGE_JS)) == PAGE_JS
    assert [d.name for d in definitions("x.css", PAGE_CSS)] == [
        ".shelf li, .shelf a:not(.old)", "@media (min-width: 600px)"]  # fmt: skip
    assert "".join(d.text for d in definitions("x.css", PAGE_CSS)) == PAGE_CSS
    header = 'extern "C" {\nint f(int x);\nint g(int x) { return x; }\n}\nenum kind { A, B };\nint h(void);\n'
    header += "enum { C, D };\n"
    header += 'static __attribute__((target("avx2"))) int k(int x) { return x; }\n'
    header += "static TARGET VECTOR NAMED(sum)(VECTOR x) {\n    return ADD(x, x);\n}\n"
    assert [d.name for d in definitions("x.h", header)] == ["g", "kind", "k", "sum"]


def test_a_header_belongs_to_the_first_chapter_that_includes_it(chapter, tmp_path):
    files = {"Makefile": "mlp_libraries := matmul\nattention_libraries := attention\n", "tiles.h": '#include "exp.h"\n',
             "matmul.c": '#include <math.h>\n#include "exp.h"\n', "attention.c": '#include "tiles.h"\n', "exp.h": "",
             "test_matmul.c": '#include "matmul.c"\n', "nobody.h": "",
             "test_tiles.c": '#include "tiles.h"\n#include "fuzz.h"\n', "fuzz.h": ""}  # fmt: skip
    (tmp_path / "csrc").mkdir()
    for name, text in files.items():
        (tmp_path / "csrc" / name).write_text(text)
    tools = chapter("tests/tools")
    orders = {Path(path).name: order for order, path in tools.copies.Tree(tmp_path).paths()}
    mlp, attention = (tools.definitions.CHAPTERS.index(name) for name in ("mlp", "attention"))
    assert orders == {"matmul.c": mlp, "test_matmul.c": mlp, "exp.h": mlp, "attention.c": attention, "tiles.h": attention,
                      "test_tiles.c": attention, "fuzz.h": attention, "nobody.h": -1}  # fmt: skip
