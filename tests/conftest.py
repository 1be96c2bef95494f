"""What all tests share: a chapter's modules, its scripts as programs, and what a machine may lack.

A chapter's files import one another by bare name (`from model import Storyteller`), and two chapters
have a `model.py`. Tests therefore never put a chapter on sys.path. `chapter("transformer")` loads the
files of that folder by path, into modules of its own, and an import statement inside one of them looks
first among its own siblings (also a late one, inside a function, in a thread, after another chapter has
been loaded). Elsewhere imports are what they always are: `import datasets` is the library.

    def test_round_trip(chapter):
        bpe = chapter("tokenization").bpe            # the module; the same object in every test
        assert bpe.Tokenizer ...

    def test_the_script(run_script, tmp_path):
        result = run_script("tokenization/bpe.py", "--out", tmp_path)
        assert "4,096" in result.stdout

    def test_a_missing_folder(run_script):
        result = run_script("transformer/train.py", "--data", "nowhere", status=2)
        assert "nowhere" in result.stderr

    def test_an_exercise(answers):
        assert answers("tokenization").longest_token(...) == ...

`pytest tests/test_tokenization.py --mine` tests the reader's own exercises.py in place of solutions.py.
A spawned child process cannot import a chapter's module by name: test multiprocessing with run_script.
"""

import builtins
import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

# Before torch is imported: one thread, which waits without spinning, and never the network.
for variable, value in {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "MPLBACKEND": "Agg",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
}.items():
    os.environ[variable] = value

ROOT = Path(__file__).resolve().parent.parent
# Real TinyStories, where somebody has put a sample beside the project (see the fixture `shared`), or None.
SHARED = ROOT.parent / "shared" / "data" / "tinystories"
SHARED = SHARED if (SHARED / "valid.txt").is_file() else None
END_OF_STORY = "<|endoftext|>\n"
FEW = {"train.txt": 1000, "valid.txt": 60}  # how many stories


class Folder:
    """The modules of one folder, as attributes: `Folder(path).bpe` is `path/bpe.py`, loaded once."""

    def __init__(self, folder):
        self._folder, self._modules, self._lock = Path(folder), {}, threading.RLock()

    def _has(self, name):
        return (self._folder / f"{name}.py").is_file()

    def _load(self, name):
        with self._lock:
            if name in self._modules:
                return self._modules[name]
            # A name of its own in sys.modules, where dataclasses, inspect and pickle look a module up.
            full_name = f"{self._folder.name}_chapter_{name}"
            spec = importlib.util.spec_from_file_location(full_name, self._folder / f"{name}.py")
            module = importlib.util.module_from_spec(spec)
            module.__siblings__ = self  # what chapter_import reads
            self._modules[name] = sys.modules[full_name] = module
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del self._modules[name], sys.modules[full_name]
                raise
            return module

    def __getattr__(self, name):
        if name.startswith("_") or not self._has(name):
            raise AttributeError(f"there is no {self._folder.name}/{name}.py")
        return self._load(name)


def chapter_import(name, globals=None, locals=None, fromlist=(), level=0):
    """`__import__`, which for an import statement in a chapter's file looks at that file's siblings first."""
    siblings = globals.get("__siblings__") if globals else None
    if siblings is not None and level == 0 and "." not in name and siblings._has(name):
        return siblings._load(name)
    return python_import(name, globals, locals, fromlist, level)


python_import = builtins.__import__
FOLDERS = {}


def folder(name):
    path = ROOT / name
    assert path.is_dir(), f"there is no chapter {name}"
    return FOLDERS.setdefault(name, Folder(path))


def pytest_addoption(parser):
    parser.addoption("--mine", action="store_true", help="test your exercises.py in place of solutions.py")


def pytest_configure(config):
    builtins.__import__ = chapter_import
    config.chapter = folder  # for pytest_generate_tests, which has no fixtures


def pytest_collection_modifyitems(config, items):
    """With several workers (make test), a file's tests stay together, and so do a README's commands."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            block = item.callspec.params.get("block") if hasattr(item, "callspec") else None
            name = block[0].name if block and item.path.stem == "test_readmes" else item.path.stem
            item.add_marker(pytest.mark.xdist_group(name))


def pytest_unconfigure():
    builtins.__import__ = python_import


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA GPU")


@pytest.fixture(scope="session")
def chapter():
    """chapter("tokenization").bpe is the module tokenization/bpe.py."""
    return folder


@pytest.fixture(scope="session")
def answers(request):
    """answers("tokenization") is that chapter's solutions.py, or with --mine the reader's exercises.py."""
    name = "exercises" if request.config.getoption("--mine") else "solutions"
    return lambda chapter: getattr(folder(chapter), name)


@pytest.fixture
def planted(request):
    """planted("model", old, new): the module model.py with that text in it changed, as a slip would.

    The chapter is that of the test file: in tests/test_transformer.py it is transformer/model.py.
    """
    siblings = folder(request.path.stem.split("_")[1])

    def planted(name, old, new):
        path = siblings._folder / f"{name}.py"
        source = path.read_text(encoding="utf-8")
        assert old in source, f"{path.name} no longer has {old!r}: plant the bug anew"
        module = types.ModuleType(f"planted_{name}")
        module.__siblings__ = siblings  # what chapter_import reads
        exec(compile(source.replace(old, new), path.name, "exec"), module.__dict__)
        return module

    return planted


@pytest.fixture(scope="session")
def root():
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared():
    """The folder of a real TinyStories sample (train.txt, valid.txt); skips where there is none."""
    if SHARED is None:
        pytest.skip("needs a TinyStories sample in ../shared/data/tinystories")
    return SHARED


@pytest.fixture(scope="session")
def chromium():
    """The path of the system's Chromium, for playwright's executable_path; skips where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if path := shutil.which(name):
            return path
    pytest.skip("needs Chromium (Debian, Ubuntu: apt-get install chromium)")


@dataclass
class Result:
    """What a program left behind."""

    returncode: int
    stdout: str
    stderr: str


def run(command, timeout, cwd, stdin="", env=None):
    """Run a command (a list, or lines for bash) in its own process group, which is gone afterwards."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    environment.pop("PYTHONPATH", None)
    if isinstance(command, str):
        command = ["bash", "-euo", "pipefail", "-c", command]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen(
        command, cwd=cwd, env=environment, encoding="utf-8", errors="replace", start_new_session=True, **pipes
    )
    try:
        stdout, stderr = process.communicate(stdin, timeout=timeout)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        pytest.fail(f"{command} ran for more than {timeout} s\n{stdout[-2000:]}\n{stderr[-2000:]}")
    with contextlib.suppress(ProcessLookupError):  # what it started and left running
        os.killpg(process.pid, signal.SIGKILL)
    return Result(process.returncode, stdout, stderr)


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """A copy of the project without out/, where programs run: the reader's own results stay theirs.

    In out/few lie some stories of datasets/stories, for what would take long on all of them.
    """
    target = tmp_path_factory.mktemp("clone") / "storyteller"
    target.mkdir()
    caches = shutil.ignore_patterns("__pycache__", ".pytest_cache", ".ruff_cache", "*.tmp")
    for source in ROOT.iterdir():
        if source.is_file():
            shutil.copy2(source, target)
        elif source.name in (*folder("tests/tools").definitions.CHAPTERS, "csrc", "tests", ".ci"):
            shutil.copytree(source, target / source.name, ignore=caches)
    (target / "out/few").mkdir(parents=True)
    for name, count in FEW.items():
        stories = (ROOT / "datasets/stories" / name).read_text(encoding="utf-8").split(END_OF_STORY)
        (target / "out/few" / name).write_text(END_OF_STORY.join([*stories[:count], ""]), encoding="utf-8")
    return target


@pytest.fixture(scope="session")
def run_command(clone):
    """run_command("make help", timeout=120, status=0, stdin="", env=None) -> Result; runs in the clone."""

    def run_command(command, timeout=120, status=0, stdin="", env=None, cwd=clone):
        result = run(command, timeout, cwd, stdin, env)
        if status is not None and result.returncode != status:
            line = command if isinstance(command, str) else " ".join(command[1:])
            tail = f"{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
            pytest.fail(f"{line}\nended with {result.returncode}, not {status}\n{tail}")
        return result

    return run_command


@pytest.fixture(scope="session")
def run_script(run_command):
    """run_script("chapter/script.py", *flags, status=0, timeout=120, stdin="", env=None) -> Result

    Runs it as a reader does, from the root (of a copy of the project, see `clone`), with one thread, and
    fails unless it ends with `status` (None: any). A flag may be a Path; give it `--out` below tmp_path.
    """

    def run_script(script, *flags, **options):
        return run_command([sys.executable, script, *map(str, flags)], **options)

    return run_script
