"""What the exercises of this chapter are checked by: one function an exercise, which asserts."""

import numpy as np

from loader import lay_out
from rng import PCG32


def check_contaminated(answer):
    """Planted copies of 13 words are found, of 12 are not, and letters and punctuation make no difference."""
    rng = PCG32(11)

    def words(count):
        return ["w" + "".join(chr(97 + rng.below(26)) for _ in range(6)) for _ in range(count)]

    train, valid, expected = [words(60) for _ in range(40)], [], []
    for i in range(30):
        story, shared = words(50), (0, 12, 13, 20)[rng.below(4)]
        source, at, to = train[rng.below(40)], rng.below(40), rng.below(30)
        story[to : to + shared] = source[at : at + shared]
        valid.append(", ".join(story).upper() + "!")
        expected += [i] if shared >= 13 else []
    found = answer(valid, [" ".join(story) for story in train])
    assert list(found) == expected, f"found {list(found)}, planted {expected}"
    assert list(answer(["a b c"], ["a b c"])) == [], "three words cannot share thirteen"
    assert list(answer(["a b c", "d e f"], ["x a b c"], n=3)) == [0]


def check_best_fit(answer):
    """Every story once, no row too long, fewer rows than the loader's layout, and little room left."""
    rng = PCG32(12)
    for T in (16, 256):
        for _ in range(5):
            lengths = [1 + rng.below(T // 2 if rng.uniform() < 0.5 else T) for _ in range(200)]
            rows = answer(lengths, T)
            assert sorted(i for row in rows for i in row) == list(range(200)), "each story must be in one row"
            assert all(sum(lengths[i] for i in row) <= T for row in rows), "a row is longer than T"
            in_order = len(lay_out(np.array(lengths), T, "whole")[1])
            least = -(-sum(lengths) // T)
            assert len(rows) < in_order, f"{len(rows)} rows; the loader needs {in_order}"
            assert len(rows) <= 11 / 9 * least + 4 or len(rows) <= sum(2 * n > T for n in lengths) + 4, \
                f"{len(rows)} rows where {least} might do"
    assert len(answer([6, 5, 4, 3, 2], 10)) == 2, "6 + 4 and 5 + 3 + 2"


CHECKS = {
    "contaminated": check_contaminated,
    "best_fit": check_best_fit,
}


# copied from: bigram/checks.py::run_checks
def run_checks(answers, checks):
    """Prints which functions of the module `answers` pass; the exit status is 1 where one is wrong."""
    wrong = False
    for name, check in checks.items():
        try:
            check(getattr(answers, name))
            verdict = "passes"
        except NotImplementedError:
            verdict = "not written yet"
        except AssertionError as error:
            wrong, verdict = True, f"wrong: {error}"
        except Exception as error:
            wrong, verdict = True, f"fails: {error!r}"
        print(f"{name:24} {verdict}")
    return int(wrong)
