"""Where texts come from: TinyStories through the `datasets` library, or one's own .txt and .jsonl files.

New here: a download that goes on where it was interrupted. Each split is streamed into a file, one JSON
string a line; beside it a state says how much of it is safe, and where in the stream the next one begins.
Left out on purpose: PDF, HTML and other formats; turn them into text first.

Paper: Eldan and Li, "TinyStories: How Small Can Language Models Be and Still Speak Coherent English?" (2023).
"""

import contextlib
import json
import os
import threading
import urllib.error
import urllib.request
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from atomic import write_atomic
from cli import UserError
from stories import END

TINYSTORIES = "roneneldan/TinyStories"
SAVE_EVERY = 1000  # stories between two saved states
OFFLINE = "no TinyStories ({}); the embedded stories need no network: --data datasets/stories"


def read_lines(path):
    """Yields the lines of a UTF-8 file, with their ends."""
    at = 0
    try:
        with open(path, "rb") as file:
            for line in file:
                yield line.decode("utf-8")
                at += len(line)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        byte = at + error.start
        raise UserError(f"{path} is not UTF-8 text (byte {byte}); convert it to UTF-8 first") from None


# adapted from: bigram/stories.py::read_stories (line by line, so that a file may be larger than memory)
def iterate_stories(path):
    """Yields the texts between lines `<|endoftext|>` of a file; a file without such a line is one text."""
    lines = []
    for line in read_lines(path):
        if line.strip() == END:
            yield "".join(lines)
            lines = []
        else:
            lines.append(line)
    if lines:
        yield "".join(lines)


def iterate_jsonl(path, field="text"):
    """Yields the text of each line of a .jsonl file: line[field]."""
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            try:
                record = json.loads(line)
            except ValueError:
                raise UserError(f"{path}, line {number}, is not JSON") from None
            text = record.get(field) if isinstance(record, dict) else None
            if not isinstance(text, str):
                raise UserError(f'{path}, line {number}, has no text in "{field}"; see --field')
            yield text


def find_files(paths):
    """The files that a list of folders and files means: [(split or None, path)], those of valid first.

    A folder with train.txt and valid.txt keeps its own split; any other gives all its .txt and .jsonl files.
    """
    files = []
    for path in map(Path, paths):
        if path.is_dir():
            if (path / "train.txt").is_file() and (path / "valid.txt").is_file():
                files += [("valid", path / "valid.txt"), ("train", path / "train.txt")]
                continue
            inside = [p for p in sorted(path.rglob("*")) if p.suffix in (".txt", ".jsonl") and p.is_file()]
            if not inside:
                raise UserError(f"{path} holds no .txt or .jsonl file")
            files += [(None, p) for p in inside]
        elif not path.exists():
            raise UserError(f"{path} does not exist; give a folder, .txt or .jsonl files, or: tinystories")
        elif path.suffix not in (".txt", ".jsonl"):
            raise UserError(f"{path} is neither .txt nor .jsonl")
        else:
            files.append((None, path))
    return sorted(files, key=lambda file: file[0] != "valid")


def read_files(files, field="text"):
    """Yields (split or None, text) for every text of the files."""
    for split, path in files:
        for text in iterate_jsonl(path, field) if path.suffix == ".jsonl" else iterate_stories(path):
            yield split, text


def check_network(endpoint, seconds=5):
    """Raises UserError where the server does not answer soon; the library itself would try for minutes."""
    answer = ["no answer in time"]

    def ask():
        try:
            urllib.request.urlopen(endpoint, timeout=seconds).close()
            answer[0] = None
        except urllib.error.HTTPError:
            answer[0] = None  # it answered, whatever it said
        except OSError as error:
            answer[0] = f"no network: {getattr(error, 'reason', error)}"

    thread = threading.Thread(target=ask, daemon=True)  # looking up a name may hang longer than any timeout
    thread.start()
    thread.join(seconds)
    if answer[0]:
        raise UserError(OFFLINE.format(answer[0]))


def open_stream(source, split):
    """The stream of one split of TinyStories; `source` is a local copy of the repository, None is the hub."""
    if source is not None and not Path(source).is_dir():
        raise UserError(f"--source {source}: there is no such folder")
    import datasets  # here, so that one's own files need neither the library nor its half second

    datasets.disable_progress_bars()
    if source is None:
        import huggingface_hub.constants as hub

        if hub.HF_HUB_OFFLINE:
            raise UserError(OFFLINE.format("HF_HUB_OFFLINE is set"))
        check_network(hub.ENDPOINT)
    try:
        return datasets.load_dataset(str(source or TINYSTORIES), split=split, streaming=True)
    except Exception as error:  # the library, its file systems and its parsers raise what they like
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        if source is None:
            raise UserError(OFFLINE.format(reason)) from None
        raise UserError(f"--source {source}: the library finds no split {split!r} ({reason})") from None


def load_state(state_path, path, source):
    """The state of an earlier download of the same source, or a fresh one."""
    fresh = {"source": source, "stories": 0, "bytes": 0, "stream": None, "done": False}
    with contextlib.suppress(OSError, ValueError, AttributeError):
        saved = json.loads(state_path.read_text())
        ours = saved.keys() == fresh.keys() and saved["source"] == source
        if ours and path.stat().st_size >= saved["bytes"]:
            return saved
    return fresh


def download(split, folder, source=None, limit=None):
    """Streams one split into folder/<split>.jsonl, or the rest of it after an interruption. Returns the path.

    limit: stop after so many stories; a later call with a higher limit goes on from there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, state_path = folder / f"{split}.jsonl", folder / f"{split}.state.json"
    state = load_state(state_path, path, str(source or TINYSTORIES))
    if state["done"] or (limit is not None and state["stories"] >= limit):
        os.truncate(path, state["bytes"])
        print(f"{split}: {state['stories']:,} stories are here already ({path})")
        return path
    if state["stories"]:
        print(f"{split}: going on after {state['stories']:,} stories")
    stream = open_stream(source, split)
    if state["stream"]:
        stream.load_state_dict(state["stream"])
    known = stream.info.splits[split].num_examples if split in (stream.info.splits or {}) else None
    total = min((n for n in (known, limit) if n is not None), default=None)
    with open(path, "r+b" if path.exists() else "wb") as file, contextlib.closing(iter(stream)) as records, \
            tqdm(desc=split, unit=" stories", initial=state["stories"], total=total) as bar:
        file.truncate(state["bytes"])  # lines that no state counts on are fetched again
        file.seek(state["bytes"])
        try:
            while not state["done"] and state["stories"] != limit:
                wanted = SAVE_EVERY if limit is None else min(SAVE_EVERY, limit - state["stories"])
                lines = [json.dumps(record["text"]) + "\n" for record in islice(records, wanted)]
                file.write("".join(lines).encode())
                file.flush()
                os.fsync(file.fileno())  # first the lines, then the state that counts on them
                after = {**state, "stories": state["stories"] + len(lines), "bytes": file.tell(),
                         "stream": stream.state_dict(), "done": len(lines) < wanted}
                write_atomic(state_path, json.dumps(after))
                state = after
                bar.update(len(lines))
        except BaseException as error:  # of the library, its file systems and its parsers; and Ctrl-C
            print(f"{split}: {state['stories']:,} stories are saved; the same command goes on from there")
            if isinstance(error, Exception):
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                raise UserError(f"the download of {split} broke off ({reason})") from None
            raise
    return path


def read_download(path, limit=None):
    """Yields the texts of a downloaded split, at most `limit`."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file):
            if limit is not None and number >= limit:
                return
            yield json.loads(line)
