"""Children say their names, and say them again: exercises in copying, in story form.

To keep a hero's name through a story, a model must find the place where it was given and copy it from
there, piece by piece (an induction head: Olsson et al., "In-context Learning and Induction Heads", 2022).
Large models learn that from billions of words. A small one that sees a few million gets exercises:
little scenes in which invented names and their things come back again and again, in a new order each
time. Mix some of them into the training; they are no part of the embedded corpus.
Left out on purpose: any plot.

    python datasets/roll_call.py --out out/datasets/roll_call --scenes 5000

It writes train.txt and valid.txt to --out, in a few seconds.
"""

import argparse
from pathlib import Path

from atomic import write_atomic
from cli import non_negative_int, positive_int, run
from english import fix_articles, listing
from rename import invent
from rng import PCG32
from stories import END

PLACES = "on the rug|in a ring|under the tree|on the steps|by the pond|at the long table|on the bus".split("|")
COLORS = "red blue green yellow purple orange white brown silver golden".split()
THINGS = "ball kite hat drum bell boat book shell feather button whistle ribbon lamp cup basket star key stone".split()


def shuffled(items, rng):
    """The items in a random order, each order equally likely (Fisher and Yates)."""
    items = list(items)
    for i in range(len(items) - 1, 0, -1):
        j = rng.below(i + 1)
        items[i], items[j] = items[j], items[i]
    return items


def scene(rng):
    """One scene: three to six children, each with a thing; who has what is said three times, in three orders."""
    def pick(parts):
        return parts[rng.below(len(parts))]

    names = list(dict.fromkeys(invent(pick(("girl", "boy")), rng) for _ in range(3 + rng.below(4))))
    things = {name: f"{pick(COLORS)} {thing}" for name, thing in zip(names, shuffled(THINGS, rng))}
    lines = [f"{listing(names)} sat {pick(PLACES)}."]
    lines.append(" ".join(f'{name} {pick(("had", "held", "brought"))} a {things[name]}.' for name in shuffled(names, rng)))
    lines.append(" ".join(f'"{pick(("I am", "My name is"))} {name}," said {name}. "This is my {things[name]}."'
                          for name in shuffled(names, rng)))
    owner = pick(names)
    lines.append(f'"Whose {things[owner].split()[1]} is this?" asked {pick([n for n in names if n != owner] or names)}. '
                 f'"It belongs to {owner}. {owner} had the {things[owner]}."')
    lines.append("Then they all went home, " + listing(f"{name} with the {things[name]}" for name in shuffled(names, rng)) + ".")
    return fix_articles("\n".join(lines))


def main(argv=None):
    parser = argparse.ArgumentParser(description="Writes scenes in which names and things come back.")
    parser.add_argument("--out", default="out/datasets/roll_call", help="folder to write (default out/datasets/roll_call)")
    parser.add_argument("--scenes", type=positive_int, default=5000, help="scenes in train.txt (default 5000)")
    parser.add_argument("--seed", type=non_negative_int, default=1, help="decides the scenes (default 1)")
    args = parser.parse_args(argv)
    rng = PCG32(args.seed)
    for split, count in (("train", args.scenes), ("valid", max(1, args.scenes // 50))):
        scenes = [scene(rng) for _ in range(count)]
        write_atomic(Path(args.out) / f"{split}.txt", "".join(f"{text}\n{END}\n" for text in scenes))
        print(f"{args.out}/{split}.txt: {count:,} scenes, {sum(len(s.encode()) for s in scenes):,} bytes")
    print(f"the last one:\n{scenes[-1]}")


if __name__ == "__main__":
    run(main)
