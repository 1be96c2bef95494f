"""The answers to the exercises: `python datasets/solutions.py` checks them."""

import bisect
import sys

from checks import CHECKS, run_checks
from dedup import WORD


def contaminated(valid, train, n=13):
    """Every run of words of the smaller side goes into a table; the larger side is read once against it."""
    def runs(story):
        words = WORD.findall(story.lower())
        return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}

    where = {}  # run of words -> stories of valid
    for i, story in enumerate(valid):
        for words in runs(story):
            where.setdefault(words, []).append(i)
    found = set()
    for story in train:
        for words in runs(story) & where.keys():
            found.update(where[words])
    return sorted(found)


def best_fit(lengths, T):
    """From the longest story to the shortest, each into the row that has the least room for it."""
    rows, room = [], []  # room: (what is left, row) of all rows, sorted
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        k = bisect.bisect_left(room, (lengths[i], -1))  # the first row with room enough has the least room
        if k == len(room):
            rows.append([])
            left, row = T, len(rows) - 1
        else:
            left, row = room.pop(k)
        rows[row].append(i)
        bisect.insort(room, (left - lengths[i], row))
    return rows


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
