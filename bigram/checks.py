"""What the exercises of this chapter are checked by: one function an exercise, which asserts."""

import math

# (row, t, what comes out): squares for t = 1/2, square roots for t = 2.
TEMPERED = [
    ([0.5, 0.25, 0.25], 1.0, [0.5, 0.25, 0.25]),
    ([0.5, 0.25, 0.25], 0.5, [2 / 3, 1 / 6, 1 / 6]),
    ([0.64, 0.36, 0.0], 2.0, [0.8 / 1.4, 0.6 / 1.4, 0.0]),
    ([0.9, 0.1], 0.5, [0.81 / 0.82, 0.01 / 0.82]),
    ([0.2, 0.4, 0.4], 0, [0.0, 1.0, 0.0]),
    ([0.4, 0.6], 0.0005, [0.0, 1.0]),  # powers of 2000: divide by the largest before taking them
]
# After a came b three times and c once, after b came a twice; c came only as the last.
COUNTS = [[0, 3, 1], [2, 0, 0], [0, 0, 0]]


def same_rows(mine, right):
    """Whether two lists of numbers are the same to nine digits; not so where one is NaN."""
    return len(mine) == len(right) and all(abs(x - y) < 1e-9 for x, y in zip(mine, right))


def check_temperature(answer):
    for row, t, right in TEMPERED:
        mine = answer(list(row), t)
        assert same_rows(mine, right), f"temperature({row}, {t}) gave {mine}, not {right}"


def check_kneser_ney_bigram(answer):
    got, D = answer([list(row) for row in COUNTS], 0.5), 0.5
    p = [1 / 3, 1 / 3, 1 / 3]  # each came after one symbol, and there are three kinds of pairs
    wanted = [[2 * D / 4 * p[0], (3 - D) / 4 + 2 * D / 4 * p[1], (1 - D) / 4 + 2 * D / 4 * p[2]],
              [(2 - D) / 2 + D / 2 * p[0], D / 2 * p[1], D / 2 * p[2]], p]  # fmt: skip
    for a, (mine, right) in enumerate(zip(got, wanted)):
        assert same_rows(mine, right), f"row {a} of {COUNTS} is {right}, not {mine}"
    more = [[5, 1, 0, 2], [0, 1, 1, 1], [7, 0, 0, 0], [1, 1, 0, 9]]
    for row in answer(more, 0.75):
        assert abs(sum(row) - 1) < 1e-9 and min(row) > 0, f"a row of {more} sums to {sum(row)}, the least is {min(row)}"
    p = [3 / 10, 3 / 10, 1 / 10, 3 / 10]  # after how many different symbols, of ten kinds of pairs
    right = 0.75 * 1 / 7 * p[3]
    assert math.isclose(answer(more, 0.75)[2][3], right), f"p(3|2) of {more} is {right}: by kinds of pairs, not by counts"


CHECKS = {
    "temperature": check_temperature,
    "kneser_ney_bigram": check_kneser_ney_bigram,
}


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
