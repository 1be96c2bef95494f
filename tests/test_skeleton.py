"""The tests' own tools: chapters are loaded apart from one another, programs run in a copy of the project."""

import os
import re
import shlex
import shutil
import sys
import threading

import pytest

TRAIN = """
from __future__ import annotations
import dataclasses
import datasets
import model
from model import Model

@dataclasses.dataclass
class Run:
    steps: dataclasses.InitVar[int] = 3

def late():
    import model as again
    from model import Model
    return Model, again.Model
"""


@pytest.fixture
def two_chapters(tmp_path, chapter):
    """Two chapters, one and two, each with a model.py and a train.py that uses it at once and later."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.py").write_text(f"class Model:\n    name = {name!r}\n")
        (tmp_path / name / "train.py").write_text(TRAIN)
    return chapter(tmp_path / "one"), chapter(tmp_path / "two")


def test_chapters_are_apart(two_chapters):
    one, two = two_chapters
    path = list(sys.path)
    assert (one.train.Model.name, two.train.Model.name) == ("one", "two")
    assert one.train.Model is one.model.Model is one.train.model.Model
    assert one.train.late() == (one.model.Model,) * 2 and two.train.late() == (two.model.Model,) * 2
    found = []
    thread = threading.Thread(target=lambda: found.append(one.train.late()[0].name))
    thread.start()
    thread.join()
    assert found == ["one"]
    assert sys.path == path and "model" not in sys.modules and "train" not in sys.modules


def test_a_chapter_is_loaded_once(two_chapters, tmp_path, chapter):
    assert chapter(tmp_path / "one") is two_chapters[0]
    assert chapter(tmp_path / "one").model is two_chapters[0].model


def test_datasets_is_the_library(two_chapters, root):
    assert not str(two_chapters[0].train.datasets.__file__).startswith(str(root / "datasets"))
    assert hasattr(two_chapters[0].train.datasets, "load_dataset")


def test_a_missing_module_says_which(two_chapters):
    with pytest.raises(AttributeError, match="one/nothing.py"):
        two_chapters[0].nothing  # noqa: B018


def test_a_broken_module_is_not_kept(two_chapters, tmp_path):
    (tmp_path / "one" / "broken.py").write_text("import model\n1 / 0\n")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            two_chapters[0].broken  # noqa: B018


def test_programs_run_in_a_copy(run_command, clone, root):
    result = run_command("pwd; mkdir -p out; echo mine > out/x; exit 3", status=3)
    assert result.stdout.strip() == str(clone) != str(root)
    assert (clone / "out" / "x").read_text() == "mine\n"
    assert {path.name for path in clone.iterdir()} >= {"README.md", "Makefile", "tests", "csrc"}
    assert not (clone / ".git").exists() and not (clone / ".venv").exists()


def test_a_program_that_fails_fails_the_test(run_command):
    with pytest.raises(pytest.fail.Exception, match="ended with 7, not 0"):
        run_command("exit 7")


def test_a_program_that_hangs_is_ended_with_its_children(run_command, tmp_path):
    with pytest.raises(pytest.fail.Exception, match="more than 1 s"):
        run_command(f"sleep 1000 & echo $! > {tmp_path}/pid; wait", timeout=1)
    child = int((tmp_path / "pid").read_text())
    stat = f"/proc/{child}/stat"  # gone, or waiting for init to collect it
    assert not os.path.exists(stat) or open(stat).read().split()[2] in "ZX"


def test_no_chapter_is_a_package(root):
    assert not list(root.glob("*/__init__.py"))


@pytest.mark.parametrize("start", ["pytest", "python -m pytest"])
def test_settings_hold_however_pytest_is_started(start, tmp_path, run_command, root):
    """From the root, also by `python -m pytest`, which puts the root on sys.path."""
    (tmp_path / "test_library.py").write_text(
        "import datasets\n\ndef test_it():\n    assert hasattr(datasets, 'load_dataset')\n"
    )
    result = run_command(f"{start} -c pyproject.toml --rootdir . {tmp_path}/test_library.py")
    assert "1 passed" in result.stdout


def test_ruff_is_content(run_command):
    result = run_command("ruff check --no-cache --output-format concise .", status=None)
    assert result.returncode == 0, result.stdout


def makefile_lists(root):
    """{chapter: its scripts} from the Makefile."""
    text = (root / "Makefile").read_text().replace("\\\n", " ")
    return {name: shlex.split(rest) for name, rest in re.findall(r"^([a-z]+) +:=(.*)$", text, re.MULTILINE)}


def test_the_makefile_knows_every_chapter(chapter, root):
    chapters = chapter("tests/tools").definitions.CHAPTERS
    assert sorted(makefile_lists(root)) == sorted(chapters)
    for makefile in ("Makefile", "csrc/Makefile"):
        text = (root / makefile).read_text().replace("\\\n", " ")
        assert re.search(r"^CHAPTERS :=(.*)", text, re.MULTILINE)[1].split() == chapters


def test_make_course_runs_every_program(root):
    """bench.py apart: it is for a machine with nothing beside it, and a chapter's list may name it or not."""
    for name, scripts in makefile_lists(root).items():
        listed = {script.split()[0] for script in scripts}
        programs = {path.name for path in (root / name).glob("*.py") if '__name__ == "__main__"' in path.read_text()}
        assert listed - programs == set(), f"{name}: listed in the Makefile, but no program"
        assert programs - listed - {"bench.py", "exercises.py", "solutions.py"} == set(), f"{name}: not in the Makefile"


def test_a_chapter_that_is_not_written_says_so(run_command, root):
    name = next((name for name, scripts in makefile_lists(root).items() if not scripts), None)
    if name is None:
        pytest.skip("every chapter is written")
    assert run_command(f"make {name}").stdout == f"{name} is not written yet\n"


@pytest.fixture
def small_project(tmp_path, root, run_command):
    """The Makefile in a project whose set-up needs nothing from the network and whose chapters are three programs."""
    text = (root / "Makefile").read_text()
    text = re.sub(r"^([a-z]+ +:=)(?:.*\\\n)*.*$", r"\1", text, flags=re.MULTILINE)
    text = text.replace("mlp          :=", 'mlp          := one.py "two.py --steps 3"')
    text = text.replace("sft          :=", "sft          := three.py")
    (tmp_path / "Makefile").write_text(text)
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    for path in ("mlp/one.py", "mlp/two.py", "sft/three.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(f"import sys; print({path!r}, sys.argv[1:])\n")
    shutil.copytree(root / "csrc", tmp_path / "csrc", ignore=shutil.ignore_patterns("build"))
    return lambda command, status=0: run_command(command, cwd=tmp_path, status=status)


def test_setting_up_is_safe_to_repeat_and_to_interrupt(small_project, tmp_path):
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to("/nowhere/python")  # Python was moved or removed
    first = small_project("make setup").stdout
    assert "making the virtual environment" in first and "set up: .venv is ready" in first
    assert small_project("make setup").stdout == ""
    (tmp_path / "requirements.txt").write_text("# still nothing\n")  # as after a pull
    again = small_project("make setup").stdout
    assert "making the virtual environment" not in again and "set up: .venv is ready" in again
    shutil.rmtree(next((tmp_path / ".venv/lib").glob("python*")) / "site-packages/pip")  # stopped in the middle
    (tmp_path / ".venv/requirements.txt").unlink()
    assert "set up: .venv is ready" in small_project("make setup").stdout
    (tmp_path / "requirements.txt").write_text("./no-such-package\n")
    assert "set up" not in small_project("make setup", status=2).stdout
    assert (tmp_path / ".venv/requirements.txt").read_text() == "# still nothing\n"
    assert "must be Python 3.11" in small_project("make setup PYTHON=false", status=2).stderr


@pytest.fixture
def ready_project(small_project, tmp_path):
    """The small project, set up already."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    shutil.copy(tmp_path / "requirements.txt", tmp_path / ".venv")
    return small_project


def test_the_course_runs_in_order_and_stops_at_a_failure(ready_project, tmp_path):
    output = ready_project("make course").stdout
    lines = [line for line in output.splitlines() if line.startswith(("mlp", "sft")) or line.endswith(".py")]
    assert [line for line in lines if " [" in line] == [
        "mlp/one.py []", "mlp/two.py ['--steps', '3']", "sft/three.py []"]  # fmt: skip
    assert output.count("== python ") == 6 and "== the course ran: mlp sft" in output
    assert "sft/three.py" not in ready_project("make mlp").stdout
    (tmp_path / "mlp/two.py").write_text("raise SystemExit(3)\n")
    result = ready_project("make course", status=2)
    assert "== python mlp/two.py --steps 3 failed" in result.stderr and "sft/three.py" not in result.stdout


def test_clean_keeps_the_environment_and_the_shelf(small_project, tmp_path):
    kept = ["out/deployment/shelf.sqlite3", "out/deployment/shelf.sqlite3-wal", ".venv/x", "mlp/one.py"]
    lost = ["out/scoreboard.jsonl", "out/transformer/model.safetensors", "out/deployment/log", "csrc/build/x.so"]
    for path in kept + lost:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    small_project("make clean")
    assert [path for path in kept + lost if (tmp_path / path).exists()] == kept
    small_project("make clean")


def test_csrc_builds_programs_libraries_and_tests(small_project, tmp_path):
    assert small_project("make -C csrc rl").stdout.count("nothing to build yet for rl") == 1
    makefile = tmp_path / "csrc/Makefile"
    text = re.sub(r"^(\w+_(?:programs|libraries|cuda)) :=.*$", r"\1 :=", makefile.read_text(), flags=re.MULTILINE)
    for name, file in (("bigram_programs", "hello"), ("mlp_libraries", "twice"), ("device_cuda", "kernel")):
        text = text.replace(f"{name} :=", f"{name} := {file}")
    makefile.write_text(text)
    for path in (tmp_path / "csrc").glob("*.[ch]*"):
        path.unlink()
    for name, code in {
        "hello.c": '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n',
        "twice.c": "int twice(int x);\nint twice(int x) { return 2 * x; }\n",
        "cuda_cpu.h": "#define __global__\n",
        "kernel.cu": "__global__ void kernel(float *o) { o[0] = 1; }\n",
        "test_twice.c": '#include "twice.c"\nint main(void) { return twice(2) != 4; }\n',
    }.items():
        (tmp_path / "csrc" / name).write_text(code)
    small_project("make -C csrc mlp")
    assert {path.name for path in (tmp_path / "csrc/build").glob("*.so")} == {"twice.so"}
    assert "3 files in csrc/build are up to date" in small_project("make -C csrc").stdout
    assert small_project("csrc/build/hello").stdout == "hello\n"
    assert "1 tests passed" in small_project("make -C csrc check").stdout
    (tmp_path / "csrc/twice.c").write_text("int twice(int x);\nint twice(int x) { int a[2] = {x, x}; return a[x]; }\n")
    assert "runtime error" in small_project("make -C csrc check", status=2).stderr
    (tmp_path / "csrc/twice.c").write_text("int twice(int x) { int unused; return 2 * x; }\n")
    small_project("make -C csrc", status=2)
