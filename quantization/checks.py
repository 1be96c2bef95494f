"""What the exercises of this chapter are checked by: one function an exercise, which asserts."""

import numpy as np


def check_integer_product(answer):
    rng = np.random.default_rng(1)
    for R, N, G in ((1, 4, 4), (3, 8, 4), (16, 96, 32), (5, 64, 64)):
        q = rng.integers(-127, 128, (R, N)).astype(np.int8)
        scale = rng.uniform(0.001, 0.01, (R, N // G)).astype(np.float32)
        x = rng.normal(size=N).astype(np.float32) * rng.choice([0.1, 1, 30], N).astype(np.float32)
        x[:G] *= rng.integers(0, 2)  # sometimes a group of zeros
        groups = x.reshape(-1, G)
        steps = np.abs(groups).max(1) / np.float32(127)
        codes = np.array([np.rint(part / step) if step else 0 * part for part, step in zip(groups, steps)])
        sums = (q.reshape(R, -1, G).astype(np.int64) * codes.astype(np.int64)).sum(-1)  # (R, N/G)
        wanted = (sums * scale * steps).sum(1)
        y = answer(q.copy(), scale.copy(), x.copy())
        assert np.shape(y) == (R,), f"y has shape {np.shape(y)}, not {(R,)}"
        assert np.isfinite(y).all(), "a group of x that is all zeros must give 0"
        assert np.allclose(y, wanted, rtol=1e-4, atol=1e-5), f"R {R}, N {N}, G {G}: {y[:3]}, not {wanted[:3]}"
    q, x = np.full((1, 256), 127, np.int8), np.ones(256, np.float32)
    y = answer(q, np.ones((1, 1), np.float32), x)
    assert np.allclose(y, 127 * 256), f"the sum overflows: 256 products of 127 and 127 are more than int16, y is {y}"


def check_straight_through_clipped(answer):
    rng = np.random.default_rng(2)
    for bits in (2, 3, 4, 8):
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        w = rng.normal(size=(4, 6)) * 2 ** (bits - 2)
        upstream = rng.normal(size=w.shape)
        scale = 0.37
        rounded, gradient = answer(w * scale, scale, bits, upstream)
        assert np.allclose(rounded, np.clip(np.rint(w), low, high) * scale), "the rounded weights are wrong"
        inside = (np.rint(w) >= low) & (np.rint(w) <= high)
        assert np.allclose(gradient[inside], upstream[inside]), "inside the range the gradient goes straight through"
        assert np.allclose(gradient[~inside], 0), "a weight that is cut off gets no gradient"


CHECKS = {"integer_product": check_integer_product, "clipped": check_straight_through_clipped}


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
