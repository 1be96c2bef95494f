"""The same stories with other names: a cheap way to make a small model look names up instead of knowing them.

In a small corpus a few names are everywhere. A model that reads it many times learns to say
"Lily" by heart, and in the middle of a story about Zara it says "Lily" again. Here each girl's
name in a story is exchanged for another girl's name, each boy's for another boy's, the same one
throughout. The only way to guess the new name right is to look back to where it was introduced. Some
names are invented on the spot from syllables: those no model can ever know by heart.
Left out on purpose: names that are also words (Will, Rose, May), animals, surnames.

    python datasets/rename.py --data datasets/stories --out out/datasets/renamed --seed 1

It writes train.txt and valid.txt to --out; valid.txt is not renamed, so that its number can be compared.
"""

import argparse
import re
from pathlib import Path

from atomic import write_atomic
from cli import UserError, non_negative_int, probability, run
from names import BOYS, GIRLS
from rng import PCG32
from stories import END, load_split

ALSO_WORDS = set("Will Mark Rose May Grace Holly Ivy Hazel Iris Penny Poppy Luna Pearl Olive June Rob Jay Eve Dash "
                 "Sunny Joy Hope Faith Art Pat Bill Drew Chip Robin Sandy Violet Frank".split())
KIND = {name: kind for kind, names in (("girl", GIRLS), ("boy", BOYS)) for name in names
        if (name in GIRLS) != (name in BOYS) and name not in ALSO_WORDS}
CHOICES = {kind: [name for name in KIND if KIND[name] == kind] for kind in ("girl", "boy")}
ONSETS = "b br c ch d dr f fl g gl h j k kl l m n p pr qu r s sh st t tr v w y z".split()
VOWELS = "a a e e i i o o u ai ee ia ou".split()
MIDDLES = "b d f g l ll m mm n nn nd p r rr rl s ss t v x z lm nk rt".split()
ENDINGS = {"girl": "a a ia ina elle ette i ine ora una y".split(), "boy": "o o us an en ek ick im on or y".split()}
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


def invent(kind, rng):
    """A name that nobody has: one or two syllables and an ending that sounds like a girl's or a boy's."""
    def pick(parts):
        return parts[rng.below(len(parts))]

    name = pick(ONSETS) + pick(VOWELS) + pick(MIDDLES)
    if rng.below(3) == 0:
        name += pick(VOWELS) + pick(MIDDLES)
    return (name + pick(ENDINGS[kind])).capitalize()


def rename(story, rng, invented=0.0):
    """The story with each of its names exchanged, throughout, for another of the same kind that is not in it.

    invented: the share of the new names that are made up from syllables.
    """
    taken, new = set(WORD.findall(story)), {}
    for name in names_in(story):
        kind = KIND[name]
        if rng.uniform() < invented:
            new[name] = invent(kind, rng)
        else:
            free = [other for other in CHOICES[kind] if other not in taken]
            new[name] = free[rng.below(len(free))]
        taken.add(new[name])
    return WORD.sub(lambda match: new.get(match[0], match[0]), story)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Writes stories again with other names.")
    parser.add_argument("--data", default="datasets/stories", help="folder with train.txt and valid.txt")
    parser.add_argument("--out", default="out/datasets/renamed", help="folder to write (default out/datasets/renamed)")
    parser.add_argument("--seed", type=non_negative_int, default=1, help="decides the names (default 1)")
    parser.add_argument("--invented", type=probability, default=0.0, help="share of names made up (default 0)")
    args = parser.parse_args(argv)
    if Path(args.out).resolve() == Path(args.data).resolve():
        raise UserError("--out is the folder of --data; choose another, so that the stories are kept")
    train, valid = load_split(args.data, "train"), load_split(args.data, "valid")
    rng = PCG32(args.seed)
    renamed = [rename(story, rng, args.invented) for story in train]
    for split, stories in (("train", renamed), ("valid", valid)):
        write_atomic(Path(args.out) / f"{split}.txt", "".join(f"{story}\n{END}\n" for story in stories))
    changed = sum(a != b for a, b in zip(train, renamed))
    first = next((pair for pair in zip(train, renamed) if pair[0] != pair[1]), ("", ""))
    print(f"before: {first[0][:150]!r}\nafter:  {first[1][:150]!r}")
    print(f"{changed:,} of {len(train):,} stories have new names; written to {args.out}")


if __name__ == "__main__":
    run(main)
