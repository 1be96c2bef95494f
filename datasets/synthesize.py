"""Writes the embedded corpus: stories of Storyland as train.txt and valid.txt, with measures of their variety.

New since storyland.py: many stories, no two alike, none in both files. The measures say how far the text is from
repeating itself: word types and distinct 4-grams on the first 200,000 words, bits per byte under xz on the whole.
Left out on purpose: any filter of taste; what is wrong in a story is mended in its template.

    python datasets/synthesize.py --out out/datasets/storyland     # 5.3 MB, under a minute
    python datasets/synthesize.py --out datasets/stories           # the committed files, the same to the byte
    python datasets/synthesize.py --out out/more --seed 2 --megabytes 40

Writes train.txt and valid.txt into --out, each whole or not at all.
"""

import argparse
import hashlib
import lzma
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from atomic import write_atomic
from cli import UserError, non_negative_int, run
from rng import PCG32
from stories import END
from storyland import make_story, tell_story

VALID_SHARE = 0.06  # of train.txt's size: 0.3 MB beside 5 MB


def positive_float(text):
    """An argparse type: a finite number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def story_texts(seed, tell=tell_story):
    """Endless different stories; each has its own generator, so that the n-th does not depend on the others."""
    seen, n = set(), 0
    while True:
        rng = PCG32((seed << 32) + n)
        text = tell(make_story(rng), rng)
        n += 1
        digest = hashlib.sha256(text.encode()).digest()[:12]
        if digest not in seen:
            seen.add(digest)
            yield text


def corpus(seed, size, tell=tell_story):
    """Stories of one seed until their file has `size` bytes: the file's text."""
    parts, total = [], 0
    for text in story_texts(seed, tell):
        part = f"{text}\n{END}\n"
        parts.append(part)
        total += len(part.encode())
        if total >= size:
            return "".join(parts)


def write_corpus(folder, seed, size, tell=tell_story):
    """Writes train.txt of `size` bytes or a story more, and valid.txt, which has the first stories; returns the former."""
    valid = int(VALID_SHARE * size)
    text = corpus(seed, size + valid, tell)
    cut = text.index(f"{END}\n", valid) + len(END) + 1
    for name, part in (("valid", text[:cut]), ("train", text[cut:])):
        write_atomic(folder / f"{name}.txt", part)
        print(f"{folder / name}.txt: {part.count(END):,} stories, {len(part.encode()) / 1e6:.2f} MB")
    return text[cut:]


def measures(text, words=200_000):
    """How varied a corpus is: word types, share of distinct 4-grams, xz bits per byte, the commonest sentence."""
    tokens = re.findall(r"[a-z']+", text.replace(END, "").lower())[:words]
    grams = list(zip(tokens, tokens[1:], tokens[2:], tokens[3:]))
    plain = re.sub(r"\b(Mrs?)\.", r"\1", text)
    sentences = Counter(
        part
        for line in plain.split("\n")
        if line != END
        for part in re.split(r'(?<=[.!?])"? +"?|"$', line)
        if part
    )
    common, count = sentences.most_common(1)[0]
    return {
        "word types": len(set(tokens)),
        "distinct 4-grams": len(set(grams)) / len(grams),
        "xz bits per byte": 8 * len(lzma.compress(text.encode(), preset=6)) / len(text.encode()),
        "commonest sentence": count / sentences.total(),
        "which": common,
    }


def transfer(folder, real):
    """The measure that counts: {folder: bits per byte on the real stories of a small model trained on it}.

    The model and its training are chapter 5's, run as a program: two minutes on each folder, on two cores.
    """
    found = {}
    for name in (folder, real):
        command = [sys.executable, "transformer/train.py", "--data", name, "--score", real, "--out", "out/datasets/transfer"]
        run = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        scored = re.search(rf"([\d.]+) bits per byte on {re.escape(str(real))}/valid.txt", run.stdout)
        if run.returncode or not scored:
            raise UserError(f"training on {name} failed; --transfer takes a folder with train.txt and valid.txt")
        found[name] = float(scored[1])
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(description="Write Storyland's stories as train.txt and valid.txt.")
    parser.add_argument(
        "--out", type=Path, default=Path("out/datasets/storyland"), help="the folder to write to"
    )
    parser.add_argument("--seed", type=non_negative_int, default=1, help="the seed that decides everything")
    parser.add_argument(
        "--megabytes", type=positive_float, default=5.0, help="size of train.txt; valid.txt has 6 %% of it"
    )
    parser.add_argument("--transfer", type=Path, metavar="FOLDER",
                        help="real stories: also train a small model on both, and score both on these (four minutes)")
    args = parser.parse_args(argv)
    if args.transfer and not (args.transfer / "valid.txt").is_file():
        raise UserError(f"--transfer {args.transfer}: there is no valid.txt; get one with: python datasets/prepare.py tinystories")
    size = int(args.megabytes * 1_000_000)
    found = measures(write_corpus(args.out, args.seed, size))
    print(
        f"word types {found['word types']:,} (TinyStories 4,235)\n"
        f"distinct 4-grams {found['distinct 4-grams']:.2f} (0.80)\n"
        f"xz bits per byte {found['xz bits per byte']:.2f} (1.59)\n"
        f"commonest sentence {100 * found['commonest sentence']:.2f} % ({found['which']})"
    )
    if args.transfer:
        for name, bpb in transfer(args.out, args.transfer).items():
            print(f"trained on {name}: {bpb:.4f} bits per byte on {args.transfer}/valid.txt")


if __name__ == "__main__":
    run(main)
