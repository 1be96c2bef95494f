# copied from: micrograd/clib.py
"""C code for Python: builds csrc/build/NAME.so where that is needed, and loads it. Nothing here is about networks."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

from cli import UserError

CSRC = Path(__file__).resolve().parent.parent / "csrc"
HOW_TO_GET_ONE = "Debian, Ubuntu: apt-get install gcc make; macOS: xcode-select --install"


def load_library(name):
    """The library made of csrc/NAME.c, as a ctypes.CDLL.

    It is compiled when it is missing or older than its source, by `make -C csrc build/NAME.so`, which writes beside
    and renames: two processes may do this at once. Raises UserError where it is not there and cannot be made.
    """
    library = CSRC / "build" / f"{name}.so"
    build_library(name, library)
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise UserError(f"{library} cannot be loaded ({error}); make -C csrc clean removes it") from None


def build_library(name, library):
    """Brings the library up to date. Without make, one that is there already is taken as it is."""
    compiler = os.environ.get("CC", "cc")
    if not shutil.which("make"):
        if library.exists():
            return
        raise UserError(f"the C code needs make and a C compiler ({HOW_TO_GET_ONE})")
    made = subprocess.run(["make", "-C", CSRC, f"build/{name}.so"], capture_output=True, text=True, errors="replace")
    if made.returncode == 0:
        return
    if not shutil.which((compiler.split() or [""])[0]):  # it may come with flags: CC="gcc -m64"
        raise UserError(f"the C code needs a C compiler; there is no {compiler!r} ({HOW_TO_GET_ONE})")
    errors = [line for line in made.stderr.splitlines() if "error" in line.lower()] or ["unknown"]
    raise UserError(f"csrc/{name}.c cannot be compiled: {errors[0].strip()} (make -C csrc says more)")
