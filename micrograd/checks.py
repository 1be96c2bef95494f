"""What the exercises of this chapter are checked by: one function an exercise, which asserts."""

import math

import numpy as np

from micrograd import Value, numerical_derivative
from rng import PCG32
from tensorgrad import Tensor, numerical_gradient


def check_log_sum_exp(answer):
    """Equal to its definition and to measured slopes; stable; one operation; a Value may be there twice."""
    rng = PCG32(5)
    for n in (1, 2, 5):
        numbers = [3 * rng.normal() for _ in range(n)]
        values = [Value(x) for x in numbers]
        out = answer(values)
        assert isinstance(out, Value), f"a Value should come back, not a {type(out).__name__}"
        assert out.operation == "log_sum_exp" and list(out.parents) == values, "one operation, its parents the values"
        wanted = math.log(sum(math.exp(x) for x in numbers))
        assert abs(out.data - wanted) < 1e-9, f"log_sum_exp({numbers}) is {wanted}, not {out.data}"
        (out * 3).backward()
        for i in range(n):
            def moved(x, i=i, numbers=numbers):
                return 3 * math.log(sum(math.exp(y) for y in [*numbers[:i], x, *numbers[i + 1:]]))

            wanted, got = numerical_derivative(moved, numbers[i]), values[i].grad
            assert abs(got - wanted) < 1e-6, f"3 log_sum_exp({numbers}) by number {i}: {wanted:.6f}, not {got}"
    x = Value(0.25)
    answer([x, x, Value(0.25)]).backward()
    assert abs(x.grad - 2 / 3) < 1e-9, f"a Value that is there twice of three times: gradient 2/3, not {x.grad}"
    try:
        for base in (1000.0, -1000.0):
            out = answer([Value(base), Value(base)])
            assert abs(out.data - base - math.log(2)) < 1e-9, f"of {base} twice: {base} + log 2, not {out.data}"
    except (OverflowError, ValueError) as error:
        raise AssertionError(f"of {base} twice: {error}") from None


def check_where(answer):
    """Equal to np.where and to measured slopes, for shapes that broadcast; nothing flows from what was not taken."""
    rng = PCG32(6)

    def random(*shape):
        return Tensor(np.array([rng.normal() for _ in range(math.prod(shape))]).reshape(shape))

    shapes = [((3,), (3,), (3,)), ((2, 3), (3,), (2, 1)), ((3, 1), (2, 1, 4), ()), ((4,), (), (2, 4)), ((1,), (2,), (2,))]
    for of_condition, of_a, of_b in shapes:
        condition, a, b = random(*of_condition).data > 0, random(*of_a), random(*of_b)
        out = answer(condition, a, b)
        about = f"shapes {of_condition}, {of_a}, {of_b}"
        assert isinstance(out, Tensor), f"a Tensor should come back, not a {type(out).__name__}"
        assert np.array_equal(out.data, np.where(condition, a.data, b.data)), f"{about}: other numbers than np.where"
        weights = random(*out.shape).data

        def f(condition=condition, a=a, b=b, weights=weights):
            return (answer(condition, a, b) ** 2 * weights).sum()

        f().backward()
        for name, x in (("a", a), ("b", b)):
            wrong = np.abs(x.grad - numerical_gradient(f, x)).max()
            assert wrong < 1e-6, f"{about}: the gradient of {name} is {wrong:.1e} from the measured one"
    a = Tensor(np.array([1.0, 0.0], np.float32))
    with np.errstate(divide="ignore"):
        out = answer(a.data > 0, a.log(), a * 2)  # log 0 is computed, and not taken
    assert out.data.tolist() == [0, 0], f"log 1 and 2 times 0 are 0, not {out.data}"
    assert out.data.dtype == np.float32, "float32 should stay float32"


CHECKS = {
    "log_sum_exp": check_log_sum_exp,
    "where": check_where,
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
