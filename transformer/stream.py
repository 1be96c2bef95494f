"""A corpus that is larger than memory: token shards, mapped instead of read, and windows cut from them.

New since data.py: text is encoded once, to two bytes a token, and a batch is cut from one long stream without regard
for where a text begins, as GPT-2 was trained. The files are those of chapter datasets (`datasets/shards.py`), which
writes them for the course's own tokenizer; here tiktoken does the encoding, for any tokenizer, GPT-2's too. Left out on
purpose: several processes. For each split (train, valid) there is

    train.json        the manifest: the tokenizer's SHA-256, and each file's tokens and SHA-256
    train-000.bin     unsigned 16-bit, little-endian: a mark, the first text, a mark, the next, …, a mark at the end
    train-000.idx     where the mark before each text stands, and the last one: unsigned 64-bit, little-endian

Shapes: R rows (windows) a batch, T tokens a row.

    python transformer/stream.py              encodes datasets/stories and cuts a batch; ten seconds
    python transformer/stream.py --data FOLDER --tokenizer FILE --out FOLDER      your own train.txt and valid.txt

It writes train.json and valid.json with their files to --out (out/stream).
"""

import argparse
import hashlib
import json
from array import array
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from atomic import write_atomic
from cli import UserError, positive_int, run
from data import Corpus, story_order
from stories import END
from tokenizer import load_tokenizer

FORMAT, VERSION = "storyteller token shards", 1
SHARD = 1 << 26  # tokens in a file: 128 MiB


def texts_in(path):
    """The stories of a file, one after another, without ever holding the whole file."""
    lines = []
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.strip() != END:
                    lines.append(line)
                    continue
                if story := "".join(lines).strip():
                    yield story
                lines = []
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; --data takes a folder with train.txt and valid.txt") \
            from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; convert it to UTF-8 first") from None
    if story := "".join(lines).strip():
        yield story


def hash_of_tokenizer(path):
    """SHA-256 of what a tokenizer.json says, however it is spaced."""
    content = json.loads(Path(path).read_bytes())
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def encode_stream(texts, folder, split, tokenizer_path, shard=SHARD):
    """Texts -> the files of a split. The manifest is removed first and written last. Returns it."""
    tokenizer, folder = load_tokenizer(tokenizer_path), Path(folder)
    if tokenizer.n_vocab > 1 << 16:
        raise UserError(f"{tokenizer_path} has {tokenizer.n_vocab:,} tokens; shards hold at most 65,536")
    manifest = {"format": FORMAT, "version": VERSION, "split": split, "dtype": "uint16",
                "tokenizer": hash_of_tokenizer(tokenizer_path), "vocab_size": tokenizer.n_vocab,
                "mark": tokenizer.eot_token, "stories": 0, "tokens": 0, "text_bytes": 0, "shards": []}
    for path in (folder / f"{split}.json", *folder.glob(f"{split}-*.bin"), *folder.glob(f"{split}-*.idx")):
        path.unlink(missing_ok=True)
    texts, bar = iter(texts), tqdm(desc=f"encoding {split}", unit=" tokens", unit_scale=True, disable=None)
    ids, starts = array("H", [tokenizer.eot_token]), [0]  # of the file that is being filled
    while some := list(islice(texts, 1024)):
        for story in tokenizer.encode_ordinary_batch(some):
            ids.extend([*story, tokenizer.eot_token])
            starts.append(len(ids) - 1)
            bar.update(len(story) + 1)
            if len(ids) >= shard:
                add_file(folder, manifest, ids, starts)
                ids, starts = array("H", [tokenizer.eot_token]), [0]
        manifest["text_bytes"] += sum(len(story.encode()) for story in some)
    if len(starts) > 1:
        add_file(folder, manifest, ids, starts)
    bar.close()
    if not manifest["stories"]:
        raise UserError(f"there is no story to encode for {split}")
    write_atomic(folder / f"{split}.json", json.dumps(manifest, indent=1) + "\n")
    return manifest


def add_file(folder, manifest, ids, starts):
    """Writes one .bin and its .idx, and enters them in the manifest."""
    name = f"{manifest['split']}-{len(manifest['shards']):03d}"
    entry = {"name": name, "stories": len(starts) - 1, "tokens": len(ids)}
    for kind, data in (("bin", np.array(ids, "<u2").tobytes()), ("idx", np.array(starts, "<u8").tobytes())):
        write_atomic(folder / f"{name}.{kind}", data)
        entry[f"{kind}_sha256"] = hashlib.sha256(data).hexdigest()
    manifest["shards"].append(entry)
    manifest["stories"] += entry["stories"]
    manifest["tokens"] += entry["tokens"]


@dataclass
class TokenStream:
    """A split, mapped into memory: nothing is read until it is asked for."""

    manifest: dict
    tokens: list  # of uint16 memory maps, one a file
    starts: list  # of int64 arrays, one a file: where each story's mark stands, and the last mark

    def windows_of(self, T):
        """How many windows of T predictions each file has; a window never crosses from file to file. (files,)"""
        return np.array([(len(file) - 1) // T for file in self.tokens])

    def rows(self, numbers, T):
        """Inputs and targets, int64 (R, T), of the windows with these numbers. The targets are one token further."""
        before = np.cumsum([0, *self.windows_of(T)])
        files = np.searchsorted(before, numbers, side="right") - 1
        rows = np.stack([self.tokens[f][(n - before[f]) * T:][: T + 1] for f, n in zip(files, numbers)]).astype(np.int64)
        return torch.from_numpy(rows[:, :-1]), torch.from_numpy(rows[:, 1:])

    def stories(self):
        """Each story as an array [mark] + tokens + [mark], as encode_stories makes them."""
        for file, starts in zip(self.tokens, self.starts):
            for start, end in zip(starts[:-1], starts[1:]):
                yield file[start: end + 1]


def map_stream(folder, split, tokenizer_path):
    """Maps a split; UserError where files are missing or damaged, or another tokenizer has made them."""
    path = Path(folder) / f"{split}.json"
    try:
        manifest = json.loads(path.read_bytes())
    except OSError:
        raise UserError(f"{path} does not exist; make it from train.txt and valid.txt with: python transformer/stream.py "
                        f"--data FOLDER --tokenizer FILE --out {folder}") from None
    except ValueError:
        raise UserError(f"{path} is not a manifest of token shards: it is not JSON") from None
    if not isinstance(manifest, dict) or (manifest.get("format"), manifest.get("version")) != (FORMAT, VERSION):
        raise UserError(f"{path} is not a manifest of token shards of version {VERSION}")
    if manifest.get("tokenizer") != hash_of_tokenizer(tokenizer_path):
        raise UserError(f"{path} was made with another tokenizer than {tokenizer_path}; its numbers would mean other words")
    tokens, starts = [], []
    try:
        for entry in manifest["shards"]:
            file = Path(folder) / entry["name"]
            tokens.append(np.memmap(file.with_suffix(".bin"), "<u2", mode="r"))
            starts.append(np.fromfile(file.with_suffix(".idx"), "<u8").astype(np.int64))
            if len(tokens[-1]) != entry["tokens"] or len(starts[-1]) != entry["stories"] + 1 or \
                    starts[-1][-1] != entry["tokens"] - 1 or (tokens[-1][starts[-1][[0, -1]]] != manifest["mark"]).any():
                raise UserError(f"{file}.bin and .idx are not what {path} says; copy them again")
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"the files that {path} names are missing or damaged ({error}); copy them again") from None
    return TokenStream(manifest, tokens, starts)


def stream_corpus(args, tokenizer):
    """What train.py reads with the preset gpt2-124m: one folder of shards."""
    if len(args.data) > 1:
        raise UserError("--data: this preset reads one folder of token shards; encode the others into it")
    stream = map_stream(args.data[0], "train", args.tokenizer)
    windows, rows = int(stream.windows_of(args.context).sum()), args.batch_size // args.context
    if windows < rows or rows < args.accumulate:
        raise UserError(f"--batch-size {args.batch_size} is {rows} windows of {args.context} tokens; {args.data[0]} has "
                        f"{windows:,}, and --accumulate {args.accumulate} parts want one each")

    def batches(start):
        order = islice(story_order(windows, args.seed), start * rows, None)  # a permutation an epoch
        while True:
            numbers = np.array(list(islice(order, rows)))
            yield [stream.rows(part, args.context) for part in np.array_split(numbers, args.accumulate)]

    def read_valid(folder):
        encoded = list(map_stream(folder, "valid", args.tokenizer).stories())
        return [tokenizer.decode(ids[1:-1].tolist()) for ids in encoded], encoded

    count = stream.manifest["tokens"]
    name = np.frombuffer(json.dumps(stream.manifest).encode(), np.uint8)  # it holds each file's SHA-256
    valid = read_valid(args.data[0])
    files = f"{len(stream.tokens)} file{'s' * (len(stream.tokens) > 1)}"
    return Corpus([name], valid, batches, read_valid, args.steps * rows * args.context / count,
                  f"mapped {args.data[0]}: {count:,} tokens in {files}, {windows:,} windows of {args.context} to train on; "
                  f"{len(valid[0]):,} texts to test")


def main(argv=None):
    parser = argparse.ArgumentParser(description="Encodes train.txt and valid.txt into token shards.")
    add = parser.add_argument
    add("--data", default="datasets/stories", help="folder with train.txt and valid.txt (default datasets/stories)")
    add("--tokenizer", default="tokenization/tokenizer.json", help="a tokenizer.json (default the course's own)")
    add("--out", default="out/stream", help="where the shards are written (default out/stream)")
    add("--shard", type=positive_int, default=SHARD, help=f"tokens in a file (default {SHARD:,})")
    args = parser.parse_args(argv)
    for split in ("valid", "train"):
        made = encode_stream(texts_in(Path(args.data) / f"{split}.txt"), args.out, split, args.tokenizer, args.shard)
        texts, size, tokens, files = made["stories"], made["text_bytes"], made["tokens"], len(made["shards"])
        print(f"{split}: {texts:,} texts, {size:,} bytes -> {tokens:,} tokens in {files} file{'s' * (files > 1)}, "
              f"{size / tokens:.2f} bytes a token")
    stream, tokenizer = map_stream(args.out, "train", args.tokenizer), load_tokenizer(args.tokenizer)
    T = min(24, stream.manifest["tokens"] - 1)
    inputs, targets = stream.rows(np.array([0, stream.windows_of(T).sum() // 2]), T)
    assert (inputs[:, 1:] == targets[:, :-1]).all()
    for row in inputs.tolist():
        print("    " + "|".join(tokenizer.decode([i]) for i in row))


if __name__ == "__main__":
    run(main)
