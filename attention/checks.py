"""What the exercises of this chapter are checked by: one function an exercise, which asserts."""

import math

import torch

from attention import causal_attention
from softmax import softmax


def random_tensors(seed, *shapes):
    """Tensors of float64, normally distributed."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]


def far(a, b):
    """The largest difference, infinite where there is a NaN."""
    return (a - b).abs().max().nan_to_num(nan=math.inf).item()


def by_loops(q, k, v, score):
    """One head of causal attention with scores score(q_t, k_s, t - s). q, k, v: (T, D)"""
    rows = []
    for t in range(len(q)):
        p = softmax([score(q[t], k[s], t - s).item() for s in range(t + 1)])
        rows.append(sum(p[s] * v[s] for s in range(t + 1)))
    return torch.stack(rows)


def check_relative_attention(answer):
    """Equal to loops; distances beyond the table share its last row; zeros change nothing; gradients flow."""
    for R in (1, 3, 20):
        q, k, v, table = random_tensors(R, *[(2, 2, 9, 4)] * 3, (R, 4))
        got = answer(q, k, v, table)
        assert got.shape == q.shape, f"the shape {tuple(q.shape)} should come back, not {tuple(got.shape)}"

        def score(a, b, distance, table=table):
            return a @ (b + table[min(distance, len(table) - 1)]) / 2  # sqrt(4)

        wrong = far(got[1, 0], by_loops(q[1, 0], k[1, 0], v[1, 0], score))
        assert wrong < 1e-6, f"with {R} rows in the table: {wrong:.1e} from the loops"
        plain = far(answer(q, k, v, table * 0), causal_attention(q, k, v))
        assert plain < 1e-6, f"a table of zeros should change nothing; it moves results by {plain:.1e}"
    inputs = [x.requires_grad_() for x in random_tensors(9, *[(1, 2, 5, 4)] * 3, (3, 4))]
    answer(*inputs).square().sum().backward()
    for name, x in zip(("q", "k", "v", "table"), inputs, strict=True):
        assert x.grad is not None and 0 < x.grad.abs().sum() < math.inf, f"no gradient reaches {name}"


def check_alibi_as_keys(answer):
    """Plain causal attention of what comes back is ALiBi, for several widths and slopes."""
    for D, slope in ((4, 0.5), (1, 0.25), (6, 0.0), (3, 2.0)):
        q, k, v = random_tensors(D, *[(2, 2, 9, D)] * 3)
        wide_q, wide_k = answer(q, k, slope)
        for name, x in (("q", wide_q), ("k", wide_k)):
            assert x.shape == (2, 2, 9, D + 1), f"{name} should have the shape (2, 2, 9, {D + 1}), not {tuple(x.shape)}"

        def score(a, b, distance, D=D, slope=slope):
            return a @ b / math.sqrt(D) - slope * distance

        got = causal_attention(wide_q, wide_k, v)
        wrong = far(got[0, 1], by_loops(q[0, 1], k[0, 1], v[0, 1], score))
        assert wrong < 1e-5, f"width {D}, slope {slope}: {wrong:.1e} from ALiBi"


CHECKS = {
    "relative_attention": check_relative_attention,
    "alibi_as_keys": check_alibi_as_keys,
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
