"""Token shards: stories as files of numbers that a loader maps into memory and reads anywhere at once.

New here: text is encoded once instead of in every run, two bytes a token. A split `train` is

    train.json        the manifest: what there is, which tokenizer made it, each file's tokens and SHA-256
    train-000.bin     tokens, unsigned 16-bit, little-endian: a begin mark, the first story, a mark, the next,
                      …, and a mark at the end; so every story stands between two `<|endoftext|>`
    train-000.idx     where the mark before each story stands, and the last: unsigned 64-bit, little-endian

Left out on purpose: compression, and vocabularies above 65,536.

    python datasets/shards.py              encodes datasets/stories and reads it back; 15 s
    python datasets/shards.py FOLDER       checks every byte of the shards in a folder

It writes out/datasets/shards.
"""

import argparse
import functools
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from atomic import write_atomic
from cli import UserError, positive_int, run
from stories import END, load_split
from tokenizer import Tokenizer
from workers import chunks, in_order

FORMAT, VERSION = "storyteller token shards", 1
SHARD_TOKENS = 1 << 26  # a shard is 128 MiB


def tokenizer_hash(tokenizer_path):
    """SHA-256 of what a tokenizer.json says, however it is spaced."""
    try:
        content = json.loads(Path(tokenizer_path).read_bytes())
    except OSError as error:
        raise UserError(f"{tokenizer_path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise UserError(f"{tokenizer_path} is not a tokenizer.json: it is not JSON") from None
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@functools.lru_cache(maxsize=1)
def cached_tokenizer(path):
    return Tokenizer.load(path)  # once a process


def encode_chunk(stories, tokenizer_path):
    """Stories -> (uint16 tokens, a mark after each story; lengths with it (stories,); bytes of text)."""
    tokenizer = cached_tokenizer(tokenizer_path)
    ids = [[*tokenizer.encode(story), tokenizer.special[END]] for story in stories]
    tokens = np.fromiter((i for story in ids for i in story), dtype="<u2")
    return tokens, np.array([len(story) for story in ids]), sum(len(story.encode()) for story in stories)


def remove_shards(folder, split):
    """Removes a split's shards, the manifest first: without it nothing loads."""
    folder = Path(folder)
    for path in (folder / f"{split}.json", *folder.glob(f"{split}-*.bin"), *folder.glob(f"{split}-*.idx")):
        path.unlink(missing_ok=True)


def write_shards(folder, split, stories, tokenizer_path, workers=1, shard_tokens=SHARD_TOKENS, total=None):
    """Encodes stories (any iterable of text) into folder/<split>.json, .bin and .idx. Returns the manifest.

    The manifest is written last and an old one removed first: an interrupted run leaves no split that loads.
    """
    tokenizer, folder = cached_tokenizer(str(tokenizer_path)), Path(folder)
    if tokenizer.vocab_size > 1 << 16:
        raise UserError(f"{tokenizer_path} has {tokenizer.vocab_size:,} tokens; shards hold at most 65,536")
    folder.mkdir(parents=True, exist_ok=True)
    remove_shards(folder, split)
    manifest = {"format": FORMAT, "version": VERSION, "split": split, "dtype": "uint16",
                "tokenizer": tokenizer_hash(tokenizer_path), "vocab_size": tokenizer.vocab_size,
                "mark": tokenizer.special[END], "stories": 0, "tokens": 0, "text_bytes": 0, "shards": []}
    mark = np.array([manifest["mark"]], dtype="<u2")

    def flush(pieces, lengths):
        name, tokens = f"{split}-{len(manifest['shards']):03d}", np.concatenate([mark, *pieces])
        index = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype("<u8")
        for end, data in ((".bin", tokens.tobytes()), (".idx", index.tobytes())):
            write_atomic(folder / (name + end), data)
        manifest["shards"].append({
            "name": name, "stories": len(index) - 1, "tokens": len(tokens),
            "bin_sha256": hashlib.sha256(tokens.tobytes()).hexdigest(),
            "idx_sha256": hashlib.sha256(index.tobytes()).hexdigest()})
        manifest["stories"] += len(index) - 1
        manifest["tokens"] += len(tokens)

    pieces, lengths = [], []
    encode = functools.partial(encode_chunk, tokenizer_path=str(tokenizer_path))
    with tqdm(desc=f"encoding {split}", unit=" stories", total=total) as bar:
        for tokens, length, text_bytes in in_order(encode, chunks(stories, 256), workers):
            pieces.append(tokens)
            lengths.append(length)
            manifest["text_bytes"] += text_bytes
            bar.update(len(length))
            if sum(map(len, pieces)) >= shard_tokens:
                flush(pieces, lengths)
                pieces, lengths = [], []
    if pieces:
        flush(pieces, lengths)
    if not manifest["stories"]:
        raise UserError(f"there is no story to encode for {split}")
    write_atomic(folder / f"{split}.json", json.dumps(manifest, indent=1) + "\n")
    return manifest


@dataclass
class Shards:
    """A split, mapped into memory. Story i with both marks is tokens[shard[i]][first[i] :][: length[i] + 1].

    first, length, shard: (N,) where its begin mark stands, its tokens with that mark, its file's number.
    """

    manifest: dict
    tokens: list  # of uint16 memory maps, one a shard
    first: np.ndarray
    length: np.ndarray
    shard: np.ndarray

    def story(self, i):
        """The ids of story i without its marks: uint16 (length[i] - 1,)."""
        return self.tokens[self.shard[i]][self.first[i] + 1 : self.first[i] + self.length[i]]


def read_manifest(folder, split):
    """The manifest of a split, its fields checked."""
    path = Path(folder) / f"{split}.json"
    try:
        manifest = json.loads(path.read_bytes())
    except OSError:
        raise UserError(f"{path} does not exist; make token shards with: python datasets/prepare.py FOLDER "
                        "--tokenizer tokenization/tokenizer.json") from None
    except ValueError:
        raise UserError(f"{path} is not a manifest of token shards: it is not JSON") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UserError(f"{path} is not a manifest of token shards")
    if manifest.get("version") != VERSION:
        raise UserError(f"{path} has version {manifest.get('version')}; this program reads version {VERSION}")
    try:
        numbers = [manifest[key] for key in ("vocab_size", "mark", "stories", "tokens", "text_bytes")]
        shards = [[shard[key] for key in ("stories", "tokens")] for shard in manifest["shards"]]
        names = [manifest["tokenizer"], *(shard["name"] for shard in manifest["shards"])]
        sound = all(isinstance(n, int) and n >= 0 for n in sum(shards, numbers)) and bool(shards)
        sound = sound and all(isinstance(name, str) and Path(name).name == name for name in names)
        sound = sound and [sum(column) for column in zip(*shards)] == numbers[2:4]
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise UserError(f"{path} is damaged: its fields do not fit together")
    return manifest


def open_file(path, dtype, count):
    """A memory map of `count` numbers, which must be the whole file."""
    if not path.is_file():
        raise UserError(f"{path} is missing")
    size, expected = path.stat().st_size, count * np.dtype(dtype).itemsize
    if size != expected:
        fault = "is truncated" if size < expected else "is too long"
        raise UserError(f"{path} {fault}: it has {size:,} bytes and its manifest says {expected:,}")
    return np.memmap(path, dtype=dtype, mode="r")


def open_shards(folder, split="train", tokenizer_path=None):
    """Maps a split. Checks sizes and marks, and that `tokenizer_path` (if given) is what made the tokens."""
    manifest, folder = read_manifest(folder, split), Path(folder)
    if tokenizer_path is not None and tokenizer_hash(tokenizer_path) != manifest["tokenizer"]:
        raise UserError(f"{folder / split}.json was made with another tokenizer than {tokenizer_path}; "
                        "its numbers would mean other words. Prepare the data again with this tokenizer")
    tokens, first, length, shard = [], [], [], []
    for number, entry in enumerate(manifest["shards"]):
        path = folder / (entry["name"] + ".bin")
        tokens.append(open_file(path, "<u2", entry["tokens"]))
        index = np.array(open_file(path.with_suffix(".idx"), "<u8", entry["stories"] + 1)).astype(np.int64)
        if index[0] != 0 or index[-1] != entry["tokens"] - 1 or (np.diff(index) < 1).any():
            raise UserError(f"{path.with_suffix('.idx')} is damaged: it does not fit {path.name}")
        some = index[:: max(1, len(index) // 1000)]  # all of them would read the whole file
        if (tokens[-1][some] != manifest["mark"]).any():
            raise UserError(f"{path} is damaged or foreign: stories do not begin where {path.stem}.idx says")
        first.append(index[:-1])
        length.append(np.diff(index))
        shard.append(np.full(entry["stories"], number))
    return Shards(manifest, tokens, *map(np.concatenate, (first, length, shard)))


def verify(folder, split):
    """Compares every byte with the manifest's SHA-256. Returns the manifest."""
    manifest = open_shards(folder, split).manifest
    for entry in manifest["shards"]:
        for end in ("bin", "idx"):
            path = Path(folder) / f"{entry['name']}.{end}"
            with open(path, "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != entry.get(f"{end}_sha256"):
                    raise UserError(f"{path} is damaged: its SHA-256 is not the manifest's")
    return manifest


def describe_shards(manifest):
    N, M, text = manifest["stories"], manifest["tokens"], manifest["text_bytes"]
    split, files = manifest["split"], len(manifest["shards"])
    print(f"{split}: {N:,} stories, {text:,} bytes -> {M:,} tokens in {files} shard{'s' * (files > 1)};"
          f" {text / M:.2f} bytes a token, {(2 * M + 8 * N) / text:.0%} of the text's size")


def main(argv=None):
    parser = argparse.ArgumentParser(description="Encodes stories into token shards, or checks a folder.")
    flag = parser.add_argument
    flag("folder", nargs="?", help="a folder of shards to check; without it, --data is encoded")
    flag("--data", default="datasets/stories", help="a folder with train.txt and valid.txt")
    flag("--tokenizer", default="tokenization/tokenizer.json", help="a tokenizer.json")
    flag("--workers", type=positive_int, default=os.cpu_count(), help="processes (default: one a core)")
    flag("--shard-tokens", type=positive_int, default=SHARD_TOKENS, help="a new file after so many tokens")
    flag("--out", default="out/datasets/shards", help="the folder to write")
    args = parser.parse_args(argv)
    if args.folder:
        splits = [split for split in ("train", "valid") if (Path(args.folder) / f"{split}.json").exists()]
        for split in splits or ["train"]:
            describe_shards(verify(args.folder, split))
        print(f"every byte of {args.folder} is as it was written")
        return
    tokenizer = cached_tokenizer(args.tokenizer)
    for split in ("valid", "train"):
        stories = load_split(args.data, split)
        write_shards(args.out, split, stories, args.tokenizer, args.workers, args.shard_tokens, len(stories))
        describe_shards(verify(args.out, split))
        shards = open_shards(args.out, split, args.tokenizer)
        for i in range(0, len(stories), 1 if split == "valid" else 50):
            assert tokenizer.decode(shards.story(i).tolist()) == stories[i], f"story {i} came back changed"
    start = shards.tokens[0][:12]
    print("\nthe first bytes of train-000.bin   " + " ".join(f"{byte:02x}" for byte in start.tobytes()))
    print("as 16-bit numbers                  " + " ".join(map(str, start)))
    print("as text                            " + "|".join(tokenizer.decode([i]) for i in start.tolist()))
    print(f"wrote {args.out}; every story that was read back is the same, to the letter")


if __name__ == "__main__":
    run(main)
