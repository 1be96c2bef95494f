"""Byte pair encoding in its plainest form: join the pair that occurs most often, and do it again.

New since the last chapter: the tokens are our own. Left out on purpose: words (a merge may cross a
space here), special tokens, files, speed; bpe.py adds them. N ids stand for a text; M merges are learned.

    python tokenization/basic.py                        each step on a line of twelve letters, in a second
    python tokenization/basic.py --text "sea shells" --merges 3
    python tokenization/basic.py --plot                 also draws tokenization/figures/merges.svg

Papers: Gage, "A New Algorithm for Data Compression" (1994); Sennrich, Haddow and Birch, "Neural Machine
Translation of Rare Words with Subword Units" (2016).
"""

import argparse
from collections import Counter
from pathlib import Path

from atomic import write_atomic
from cli import UserError, positive_int, run
from draw import rows_of_pieces

TEXT = "the tea, then the team"


def count_pairs(ids):
    """How often each pair of neighbors occurs. In aaa the pair aa occurs twice: places are counted."""
    return Counter(zip(ids, ids[1:]))


def merge(ids, pair, new):
    """The ids with `new` wherever `pair` was, from left to right: aaa becomes Xa, not aX."""
    merged, i = [], 0
    while i < len(ids):
        if i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair:
            merged.append(new)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


def learn(text, n_merges):
    """At most n_merges merges {pair: new id}, the most frequent pair first; the smaller one among equals."""
    ids = list(text.encode("utf-8"))
    merges = {}
    for new in range(256, 256 + n_merges):
        pairs = count_pairs(ids)
        if not pairs:
            break  # the whole text is one token
        pair = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges[pair] = new
        ids = merge(ids, pair, new)
    return merges


def encode(text, merges):
    """The ids of a text: the merges in the order in which they were learned."""
    ids = list(text.encode("utf-8"))
    for pair, new in merges.items():
        ids = merge(ids, pair, new)
    return ids


def decode(ids, merges):
    """The text of some ids: take the merges apart again."""
    tokens = {byte: bytes([byte]) for byte in range(256)}
    for (left, right), new in merges.items():
        tokens[new] = tokens[left] + tokens[right]
    return b"".join(tokens[i] for i in ids).decode("utf-8", errors="replace")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", default=TEXT, help=f"what to learn from (default: {TEXT!r})")
    parser.add_argument("--merges", type=positive_int, default=5, help="merges to learn (default: 5)")
    parser.add_argument("--plot", action="store_true", help="draw tokenization/figures/merges.svg")
    args = parser.parse_args(argv)
    if not args.text:
        raise UserError("--text is empty; give it a few words to learn from")

    merges = learn(args.text, args.merges)
    rows, ids = [("bytes", list(args.text.encode("utf-8")))], list(args.text.encode("utf-8"))
    for (left, right), new in merges.items():
        count = count_pairs(ids)[left, right]
        ids = merge(ids, (left, right), new)
        pair = f"{decode([left], merges)!r} + {decode([right], merges)!r}"
        rows.append((f"{new} = {pair} ({count}x)", ids))
    for label, ids in rows:
        print(f"{label:25} {len(ids):3} tokens  {'|'.join(decode([i], merges) for i in ids)}")
    assert decode(encode(args.text, merges), merges) == args.text
    if args.plot:
        path = Path("tokenization/figures/merges.svg")
        pieces = [(label, [decode([i], merges) for i in ids]) for label, ids in rows]
        write_atomic(path, rows_of_pieces(pieces))
        print(f"drawn in {path}")


if __name__ == "__main__":
    run(main)
