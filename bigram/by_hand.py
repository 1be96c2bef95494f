"""A bigram model of three stories with two letters, small enough for a pencil: counts, chances, surprise, a story.

Where the course starts. The functions are those of bigram.py; only the symbols are fewer: a = 0, n = 1, and
END = 2, written as a dot. Left out on purpose: bytes, files, speed. V = 3 symbols.

    python bigram/by_hand.py                a second
    python bigram/by_hand.py --plot         also draws bigram/figures/pairs.svg
"""

import argparse

from bigram import count_bigrams, sequence_bits, smooth
from cli import non_negative_int, run
from draw import draw_pairs
from rng import PCG32

LETTERS = "an·"  # the symbols 0, 1, 2; the dot is END
STORIES = ["anna", "nan", "ana"]
FIGURE = "bigram/figures/pairs.svg"


def numbered(story):
    """END, the story's letters, END, as numbers: "nan" -> [2, 1, 0, 1, 2]"""
    return [LETTERS.index(letter) for letter in f"·{story}·"]


def show_table(name, table, form):
    """Prints a table of 3 rows and 3 columns."""
    print(f"{name:14} " + "".join(f"{letter:>6}" for letter in LETTERS))
    for letter, row in zip(LETTERS, table):
        print(f"{'after ' + letter:>14} " + "".join(f"{x:>6{form}}" for x in row))


def show_story(story, p):
    """Prints a story's chances one by one, their product, and the same in bits."""
    sequence, product, factors = numbered(story), 1.0, []
    for a, b in zip(sequence, sequence[1:]):
        product *= p[a][b]
        factors.append(f"{p[a][b]:.3f}")
    bits = sequence_bits(p, sequence)
    print(f"{story}·  {' * '.join(factors)} = {product:.4f}, {bits:.3f} bits, {bits / len(story):.3f} bits per byte")


def draw_one(p, seed):
    """Prints how a story is drawn: a number between 0 and 1 picks a symbol from the row, until the dot comes."""
    rng, twin = PCG32(seed), PCG32(seed)  # the twin gives the same numbers, to be printed
    last, story = LETTERS.index("·"), ""
    while True:
        number, chosen = twin.uniform(), rng.choice(p[last])
        ends = [sum(p[last][: b + 1]) for b in range(3)]
        print(f"after {LETTERS[last]}: drew {number:.3f}; "
              + ", ".join(f"{letter} below {end:.3f}" for letter, end in zip(LETTERS, ends)) + f": {LETTERS[chosen]}")
        if LETTERS[chosen] == "·":
            return story
        story, last = story + LETTERS[chosen], chosen


def main(argv=None):
    parser = argparse.ArgumentParser(description="A bigram model of three tiny stories, step by step.")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of the story drawn (default 0)")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE", help=f"draw the pairs (default {FIGURE})")
    args = parser.parse_args(argv)

    counts = count_bigrams([numbered(story) for story in STORIES], V=3)
    assert counts == [[0, 3, 2], [3, 1, 1], [2, 1, 0]]
    p = smooth(counts, 0)
    show_table("counts", counts, "d")
    print()
    show_table("probabilities", p, ".2f")
    print("\nhow likely is a story?")
    show_story("nana", p)
    show_story("aa", p)
    print("\nthe same with one added to each count")
    p_smooth = smooth(counts, 1)
    show_table("probabilities", p_smooth, ".3f")
    show_story("nana", p_smooth)
    show_story("aa", p_smooth)
    print("\na new story")
    print(f"the story is: {draw_one(p, args.seed)}")
    if args.plot:
        draw_pairs(counts, p, LETTERS, args.plot)


if __name__ == "__main__":
    run(main)
