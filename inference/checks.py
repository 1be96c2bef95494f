"""What the exercises of this chapter are checked by: one function an exercise, which asserts."""

import math
import random

import numpy as np


def whole_attention(x, W_q, W_k, W_v):
    """One head over a whole text, by the formula: (T, C) -> (T, D)."""
    q, k, v = x @ W_q, x @ W_k, x @ W_v
    scores = np.where(np.tri(len(x), dtype=bool), q @ k.T / math.sqrt(k.shape[1]), -np.inf)
    weights = np.exp(scores - scores.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True) @ v


def check_cached_step(answer):
    rng = np.random.default_rng(1)
    for C, D, T in ((4, 2, 1), (8, 4, 5), (16, 8, 12)):
        x, W_q, W_k, W_v = rng.normal(size=(T, C)), *rng.normal(size=(3, C, D))
        wanted = whole_attention(x, W_q, W_k, W_v)
        keys, values = np.zeros((0, D)), np.zeros((0, D))
        for t in range(T):
            y, keys, values = answer(x[t], W_q, W_k, W_v, keys, values)
            assert np.shape(keys) == np.shape(values) == (t + 1, D), f"after token {t} the cache is {np.shape(keys)}"
            assert np.allclose(y, wanted[t]), f"token {t}: {np.round(y, 4)}, not {np.round(wanted[t], 4)}"
        assert np.allclose(values, x @ W_v), "the values of earlier tokens were changed"


def check_repeats(answer):
    cases = [
        (([1, 2, 3, 1, 2], 3), {3}), (([1, 2, 3, 1, 2, 4, 1, 2], 3), {3, 4}), (([5, 5, 5], 2), {5}),
        (([1, 2], 3), set()), (([], 2), set()), (([7, 8, 9], 1), {7, 8, 9}),
    ]  # fmt: skip
    rng = random.Random(1)
    for _ in range(200):
        history, n = [rng.randrange(4) for _ in range(rng.randrange(12))], rng.randrange(1, 5)
        there = [history[i : i + n] for i in range(len(history) - n + 1)]
        last = history[len(history) - n + 1 :] if len(history) >= n - 1 else None
        cases.append(((history, n), {i for i in range(4) if last is not None and last + [i] in there}))
    for (history, n), wanted in cases:
        got = answer(list(history), n)
        assert set(got) == wanted, f"repeats({history}, {n}) gave {got!r}, not {wanted}"


CHECKS = {"cached_step": check_cached_step, "repeats": check_repeats}


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
