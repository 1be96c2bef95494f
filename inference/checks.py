"""What the exercises of this chapter are checked by: one function an exercise, which asserts."""

import math
import random

import numpy as np
import safetensors.numpy


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


def check_pages_needed(answer):
    cases = [
        (([], 4), 0), (([[]], 4), 0), (([[1, 2, 3], [1, 2, 4]], 2), 3), (([[1, 2, 3, 4], [5, 2, 3, 4]], 2), 4),
        (([[1, 2, 3]] * 3, 2), 4), (([[1, 2]] * 3, 2), 1), (([[1, 2, 1, 2]], 2), 2),
    ]  # fmt: skip
    for (prompts, page_size), wanted in cases:
        got = answer([list(ids) for ids in prompts], page_size)
        assert got == wanted, f"pages_needed({prompts}, {page_size}) gave {got}, not {wanted}"


def check_read_header(answer):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(4, np.float16), "c": np.ones((0, 2), np.int8)}
    data = safetensors.numpy.save(arrays)
    got = answer(data)
    assert got.keys() == arrays.keys(), f"the tensors are {set(arrays)}, not {set(got)}"
    for name, (_, shape, begin, end) in got.items():
        assert data[begin:end] == arrays[name].tobytes() and tuple(shape) == arrays[name].shape, f"{name} is elsewhere"
    faults = {"6 bytes": data[:6], "half a header": data[:30], "a byte too few": data[:-1], "one too many": data + b"\0"}
    for old, new in ((b"[0,24]", b"[8,32]"), (b"[2,3]", b"[2,4]"), (b"[24,32]", b"[16,24]"), (b"[24,32]", b"[32,24]")):
        assert old in data
        faults[f"{new.decode()} in place of {old.decode()}"] = data.replace(old, new)
    for name, damaged in faults.items():
        try:
            answer(damaged)
        except ValueError:
            continue
        raise AssertionError(f"a file with {name} was accepted")


def check_checked(answer):
    cases = [([1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4]), ([1, 2, 3], [1, 5, 3, 4], [1, 5]), ([1, 2], [7, 2, 9], [7]),
             ([], [6], [6]), ([4, 4, 4], [4, 4, 5, 4], [4, 4, 5])]
    for proposed, wanted, right in cases:
        got = answer(list(proposed), list(wanted))
        assert list(got) == right, f"checked({proposed}, {wanted}) gave {got!r}, not {right}"


def check_forced(answer):
    def chain(text, more=()):  # one way through the bytes of `text`; from state i also the byte of (i, byte) in more
        table = [[0] * 256 for _ in range(len(text) + 2)]
        for i, byte in [*enumerate(text, 1), *more]:
            table[i][byte] = i + 1
        return table, [False] * (len(text) + 1) + [True]

    x = ord("x")
    cases = [(b"abc", (), 1, (b"abc", 4)), (b"abc", ((2, x),), 1, (b"a", 2)), (b"abc", ((1, x),), 1, (b"", 1)),
             (b"abc", ((2, x),), 3, (b"c", 4)), (b"abc", (), 4, (b"", 4)), ("é!".encode(), (), 1, ("é!".encode(), 4))]
    for text, more, start, wanted in cases:
        table, accepting = chain(text, more)
        data, state = answer(table, accepting, start)
        assert (bytes(data), state) == wanted, f"{text}, also {more}, from state {start}: {(data, state)}, not {wanted}"
    table, accepting = chain(b"abc")
    accepting[3] = True
    assert answer(table, accepting, 1)[1] == 3, "the text may end after ab: nothing more is forced"


CHECKS = {"cached_step": check_cached_step, "repeats": check_repeats, "pages_needed": check_pages_needed,
          "read_header": check_read_header, "checked": check_checked, "forced": check_forced}


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
