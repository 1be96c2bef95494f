"""From texts to training data: read, clean, drop duplicates, split, write, and (with --tokenizer) encode.

New here: the whole way from what the world offers to the folder that every chapter trains on, for 20 stories
of your own or for the 2.1 million of TinyStories, in one process or many, with each loss counted.
Left out on purpose: filters that judge (a model's opinion of each story), and removing personal data.

    python datasets/prepare.py                          the embedded stories once more, as a check; 10 s
    python datasets/prepare.py tinystories              TinyStories, about 2 GB; --limit 100000 takes a part
    python datasets/prepare.py FOLDER or FILES          your own .txt (with or without <|endoftext|>), .jsonl
    … --tokenizer tokenization/tokenizer.json           also writes token shards, for loader.py

It writes train.txt and valid.txt into --out, and prepared.json, which says where they came from.

Papers: as in sources.py and dedup.py; Penedo and others, "The FineWeb datasets" (2024), for the pipeline.
"""

import argparse
import contextlib
import functools
import itertools
import json
import os
import time
from array import array
from collections import Counter
from hashlib import blake2b
from pathlib import Path

import numpy as np
from tqdm import tqdm

from atomic import write_atomic
from clean import MAX_CHARS, MIN_CHARS, clean
from cli import UserError, non_negative_int, positive_int, probability, run
from dedup import BANDS, THRESHOLD, band_keys, find_duplicates, minhash, permutations, shingle_hashes
from shards import cached_tokenizer, describe_shards, remove_shards, write_shards
from sources import download, find_files, iterate_stories, read_download, read_files
from stories import END
from workers import chunks, in_order

VALID_SHARE = 0.05
SPLITS = ("train", "valid")
DROPPED = ("empty", "too short", "too long", "not text", "holds an end mark", "exact duplicate")


def is_valid(story, seed=0, share=VALID_SHARE):
    """Whether a story belongs to valid.txt: its hash, read as a number in [0, 1), is below the share.

    The story alone decides (and the seed): however many others are added, it stays on its side.
    """
    hashed = blake2b(story.encode(), digest_size=8, salt=seed.to_bytes(16, "little")).digest()
    return int.from_bytes(hashed, "little") < share * 2**64


# adapted from: transformer/atomic.py::write_atomic (a file to write into: 2 GB need not fit in memory)
@contextlib.contextmanager
def open_atomic(path):
    """A binary file to write; it replaces `path` when the block ends well, and is gone when it does not."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(beside, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


class Spool:
    """Stories in a temporary file instead of in memory; spool[i] reads one."""

    def __init__(self, path):
        self.path, self.ends = path, array("Q", [0])
        self.file = open(path, "w+b")

    def append(self, story):
        data = story.encode()
        self.file.write(data)
        self.ends.append(self.ends[-1] + len(data))

    def __len__(self):
        return len(self.ends) - 1

    def __getitem__(self, i):
        self.file.seek(self.ends[i])
        return self.file.read(self.ends[i + 1] - self.ends[i]).decode()

    def close(self):
        self.file.close()
        self.path.unlink(missing_ok=True)


def clean_chunk(records, min_chars, max_chars):
    """[(split, text)] -> ([(split, story or None, why)], band keys (kept stories, BANDS), bytes read)."""
    a, b = permutations()
    results, keys = [], [np.empty((0, BANDS), dtype=np.uint64)]
    for split, text in records:
        story, why = clean(text, min_chars, max_chars)
        results.append((split, story, why))
        if story is not None:
            keys.append(band_keys(minhash(shingle_hashes(story), a, b))[None])
    return results, np.concatenate(keys), sum(len(text.encode("utf-8", "replace")) for _, text in records)


def read_and_clean(records, spool, args, total=None):
    """First pass: cleans every text and drops exact copies. Returns (splits, keys (N, BANDS), counts)."""
    splits, keys, counts, seen = [], [], Counter(), set()
    work = functools.partial(clean_chunk, min_chars=args.min_chars, max_chars=args.max_chars)
    with tqdm(desc="cleaning", unit="B", unit_scale=True, total=total) as bar:
        for results, chunk_keys, size in in_order(work, chunks(records, 128), args.workers):
            new = []  # for each cleaned story of the chunk, whether it was never seen before
            for split, story, why in results:
                if story is None:
                    counts[why] += 1
                    continue
                mark = blake2b(story.encode(), digest_size=8).digest()
                new.append(mark not in seen)
                if not new[-1]:
                    counts["exact duplicate"] += 1
                    continue
                seen.add(mark)
                counts[why or "as it was"] += 1
                spool.append(story)
                splits.append(split or ("valid" if is_valid(story, args.seed, args.valid_share) else "train"))
            keys.append(chunk_keys[np.array(new, dtype=bool)])
            counts["read"] += len(results)
            counts["bytes"] += size
            bar.update(size)
        bar.total = bar.n  # the marks between stories were never counted
        bar.refresh()
    return splits, np.concatenate(keys or [np.empty((0, BANDS), dtype=np.uint64)]), counts


def write_splits(out, spool, splits, original):
    """Second pass: writes the stories that repeat no other. Returns {split: (stories, bytes of text)}."""
    written = {split: [0, 0] for split in SPLITS}
    with open_atomic(out / "train.txt") as train, open_atomic(out / "valid.txt") as valid:
        for i, split in enumerate(splits):
            if original[i] < 0:
                story = spool[i].encode()
                (train if split == "train" else valid).write(story + f"\n{END}\n".encode())
                written[split][0] += 1
                written[split][1] += len(story)
    return written


def print_counts(counts, splits, original, threshold):
    """Prints what became of the texts: each is in one line of the dropped, or written."""
    read, repeated = counts["read"], np.flatnonzero(original >= 0)
    assert len(splits) + sum(counts[why] for why in DROPPED) == read, "a text was lost without a reason"
    print(f"read       {read:>9,} texts, {counts['bytes']:,} bytes")
    mended = counts["mended"] + counts["mojibake"]
    print(f"mended     {mended:>9,}, {counts['mojibake']:,} of them with mojibake")
    for why in DROPPED:
        if counts[why]:
            print(f"dropped    {counts[why]:>9,} {why}")
    if len(repeated):
        across = sum(splits[i] != splits[original[i]] for i in repeated)
        print(f"dropped    {len(repeated):>9,} near-duplicates (Jaccard of {threshold} and more), "
              f"{across:,} of them of a story on the other side")


def records_of(args):
    """What to read, valid first: ((split or None, text) one by one, their size in bytes if it is known)."""
    if args.sources == ["tinystories"]:
        folder = args.out / "download"
        paths = {side: download(split, folder, args.source, args.limit)
                 for side, split in (("valid", "validation"), ("train", "train"))}
        records = ((side, text) for side, path in paths.items() for text in read_download(path, args.limit))
        files = paths.values()
    else:
        if args.source:
            raise UserError("--source goes with tinystories; give your own folder or files without it")
        found = find_files(args.sources)
        written = [(args.out / f"{split}.txt").resolve() for split in SPLITS]
        if any(path.resolve() in written for _, path in found):
            raise UserError(f"--out {args.out} would overwrite what is read; choose another folder")
        records = itertools.islice(read_files(found, args.field), args.limit)
        files = [path for _, path in found]
    if args.valid_share is None:
        args.valid_share = VALID_SHARE
    else:
        records = ((None, text) for _, text in records)  # the source's own split does not count
    return records, None if args.limit else sum(path.stat().st_size for path in files)


def arguments(argv):
    parser = argparse.ArgumentParser(description="Makes training data: cleaned, without duplicates, split.")
    flag = parser.add_argument
    flag("sources", nargs="*", default=["datasets/stories"],
         help="tinystories, or folders and .txt or .jsonl files (default: datasets/stories)")
    flag("--out", type=Path, help="the folder to write (default: out/datasets/NAME)")
    flag("--tokenizer", help="a tokenizer.json: also write token shards")
    flag("--workers", type=positive_int, default=os.cpu_count(), help="processes (default: one a core)")
    flag("--valid-share", type=probability,
         help=f"share of stories for valid.txt (default: the source's own split, else {VALID_SHARE})")
    flag("--seed", type=non_negative_int, default=0, help="decides which stories go to valid.txt")
    flag("--min-chars", type=positive_int, default=MIN_CHARS, help="shorter stories are dropped")
    flag("--max-chars", type=positive_int, default=MAX_CHARS, help="longer stories are dropped")
    flag("--threshold", type=probability, default=THRESHOLD, help="Jaccard from which on a story is dropped")
    flag("--limit", type=positive_int, help="read so many texts only (of each split of TinyStories)")
    flag("--field", default="text", help="the field of a .jsonl line that holds the story")
    flag("--source", help="tinystories from a local copy of its repository, without network")
    args = parser.parse_args(argv)
    if args.out is None:
        args.out = Path("out/datasets") / (Path(args.sources[0]).resolve().stem or "mine")
    return args


def main(argv=None):
    args = arguments(argv)
    if args.tokenizer:
        cached_tokenizer(args.tokenizer)  # a fault in it should show before the work, not after it
    records, size = records_of(args)
    args.out.mkdir(parents=True, exist_ok=True)
    spool, start = Spool(args.out / f".spool.{os.getpid()}.tmp"), time.perf_counter()
    try:
        splits, keys, counts = read_and_clean(records, spool, args, size)
        original = find_duplicates(keys, spool.__getitem__, args.threshold)
        print_counts(counts, splits, original, args.threshold)
        for split in SPLITS:
            if not any(side == split and copy_of < 0 for side, copy_of in zip(splits, original)):
                raise UserError(f"no story is left for {split}.txt: {len(splits):,} are too few "
                                "for this --valid-share, or the limits drop too many")
        for split in SPLITS:
            remove_shards(args.out, split)  # of an earlier run: they would be of other stories
        written = write_splits(args.out, spool, splits, original)
    finally:
        spool.close()
    facts = {"sources": args.sources, "seed": args.seed, "valid_share": args.valid_share, "limit": args.limit,
             "min_chars": args.min_chars, "max_chars": args.max_chars, "threshold": args.threshold,
             "counts": counts, "near_duplicates": int((original >= 0).sum()), "written": written}
    write_atomic(args.out / "prepared.json", json.dumps(facts, indent=1) + "\n")
    for split, (stories, text_bytes) in written.items():
        print(f"written    {stories:>9,} stories, {text_bytes:,} bytes to {args.out / split}.txt")
    seconds = time.perf_counter() - start
    print(f"{counts['read'] / seconds:,.0f} texts/s with {args.workers} worker{'s' * (args.workers > 1)}")
    if args.tokenizer:
        for split, (stories, _) in written.items():
            texts = map(str.strip, iterate_stories(args.out / f"{split}.txt"))  # as read_stories gives them
            describe_shards(write_shards(args.out, split, texts, args.tokenizer, args.workers, total=stories))


if __name__ == "__main__":
    run(main)
