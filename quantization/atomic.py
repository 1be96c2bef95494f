# copied from: transformer/atomic.py
"""Files that are either whole or not there: written beside, flushed, renamed."""

import os
from pathlib import Path


def write_atomic(path, data):
    """Writes bytes or text to `path` so that a crash at any moment leaves the old file or the new one.

    The bytes go to a temporary file in the same folder (a rename is atomic only within one file
    system), are forced to the disk, and the rename puts them in place.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(beside, "wb") as file:
            file.write(data.encode("utf-8") if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
