"""The same stories with other names: a cheap way to make a small model look names up instead of knowing them.

In a small corpus a few names are everywhere. A model that reads it many times learns to say
"Lily" by heart, and in the middle of a story about Zara it says "Lily" again. Here each girl's
name in a story is exchanged for another girl's name, each boy's for another boy's, the same one
throughout. The only way to guess the new name right is to look back to where it was introduced.
Left out on purpose: names that are also words (Will, Rose, May), animals, surnames.

    python datasets/rename.py --data datasets/stories --out out/datasets/renamed --seed 1

It writes train.txt and valid.txt to --out; valid.txt is not renamed, so that its number can be compared.
"""

import argparse
import re
from pathlib import Path

from atomic import write_atomic
from cli import UserError, non_negative_int, run
from names import BOYS, GIRLS
from rng import PCG32
from stories import END, load_split

ALSO_WORDS = set("Will Mark Rose May Grace Holly Ivy Hazel Iris Penny Poppy Luna Pearl Olive June Rob Jay Eve Dash "
                 "Sunny Joy Hope Faith Art Pat Bill Drew Chip Robin Sandy Violet Frank".split())
KIND = {name: kind for kind, names in (("girl", GIRLS), ("boy", BOYS)) for name in names
        if (name in GIRLS) != (name in BOYS) and name not in ALSO_WORDS}
CHOICES = {kind: [name for name in KIND if KIND[name] == kind] for kind in ("girl", "boy")}
WORD = re.compile(r"[A-Za-zÀ-ÿ]+")


def names_in(story):
    """The renameable names of a story, in order of first appearance.

    A capital letter alone proves nothing at the start of a sentence, so a name counts only where it
    stands in the middle of one at least once, and where its lower-case form never occurs.
    """
    words = set(WORD.findall(story))
    middle = set(re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", story))
    found = (word for word in WORD.findall(story) if word in KIND)
    return [name for name in dict.fromkeys(found) if name in middle and name.lower() not in words]


def rename(story, rng):
    """The story with each of its names exchanged, throughout, for another of the same kind that is not in it."""
    taken, new = set(WORD.findall(story)), {}
    for name in names_in(story):
        free = [other for other in CHOICES[KIND[name]] if other not in taken]
        new[name] = free[rng.below(len(free))]
        taken.add(new[name])
    return WORD.sub(lambda match: new.get(match[0], match[0]), story)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Writes stories again with other names.")
    parser.add_argument("--data", default="datasets/stories", help="folder with train.txt and valid.txt")
    parser.add_argument("--out", default="out/datasets/renamed", help="folder to write (default out/datasets/renamed)")
    parser.add_argument("--seed", type=non_negative_int, default=1, help="decides the names (default 1)")
    args = parser.parse_args(argv)
    if Path(args.out).resolve() == Path(args.data).resolve():
        raise UserError("--out is the folder of --data; choose another, so that the stories are kept")
    train, valid = load_split(args.data, "train"), load_split(args.data, "valid")
    rng = PCG32(args.seed)
    renamed = [rename(story, rng) for story in train]
    for split, stories in (("train", renamed), ("valid", valid)):
        write_atomic(Path(args.out) / f"{split}.txt", "".join(f"{story}\n{END}\n" for story in stories))
    changed = sum(a != b for a, b in zip(train, renamed))
    first = next((pair for pair in zip(train, renamed) if pair[0] != pair[1]), ("", ""))
    print(f"before: {first[0][:150]!r}\nafter:  {first[1][:150]!r}")
    print(f"{changed:,} of {len(train):,} stories have new names; written to {args.out}")


if __name__ == "__main__":
    run(main)
