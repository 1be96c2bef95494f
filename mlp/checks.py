"""What the exercises of this chapter are checked by: one function an exercise, which asserts."""

import math

import numpy as np

from mlp import cross_entropy, first_parameters, forward, random_array
from rng import PCG32


def moved_slopes(f, array, eps=1e-5):
    """The derivatives of the number f() by each number of the array, measured: one after the other is moved."""
    slopes = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        number = array[index]
        array[index] = number + eps
        above = f()
        array[index] = number - eps
        slopes[index] = (above - f()) / (2 * eps)
        array[index] = number
    return slopes


def check_smoothed_cross_entropy(answer):
    """Equal to the plain one for 0; to ln p of all symbols for 1; its gradient to measured slopes; stable."""
    rng = PCG32(3)
    logits, targets = random_array(rng, 4, 5, scale=2), np.array([0, 3, 3, 4])
    wanted, got = cross_entropy(logits, targets), answer(logits, targets, 0.0)
    assert abs(got[0] - wanted[0]) < 1e-12, f"without smoothing the loss is {wanted[0]}, not {got[0]}"
    assert np.abs(got[1] - wanted[1]).max() < 1e-12, "without smoothing the gradient is that of cross_entropy"
    got = answer(np.zeros((1, 2)), np.array([1]), 0.3)[0]
    assert abs(got - math.log(2)) < 1e-12, f"two symbols with the same logit: ln 2, not {got}"
    got = answer(np.array([[1.0, 0.0]]), np.array([1]), 0.5)[0]
    wanted = math.log(1 + math.e) - 0.25
    assert abs(got - wanted) < 1e-12, f"logits 1 and 0, target 1, smoothing 0.5: {wanted}, not {got}"
    for smoothing in (0.1, 1.0):
        gradient = answer(logits, targets, smoothing)[1]
        measured = moved_slopes(lambda smoothing=smoothing: answer(logits, targets, smoothing)[0], logits)
        wrong = np.abs(gradient - measured).max()
        assert wrong < 1e-7, f"smoothing {smoothing}: the gradient is {wrong:.1e} from the measured one"
    loss, gradient = answer(np.array([[1000.0, 0.0]]), np.array([1]), 0.1)
    assert abs(loss - 950) < 1e-9 and np.isfinite(gradient).all(), f"logits 1000 and 0: 950, not {loss}"


def check_backward_direct(answer):
    """All six gradients equal the measured ones; a symbol may stand twice in a context."""
    rng = PCG32(4)
    parameters = first_parameters(rng, 5, 3, 2, 4, np.float64)
    parameters["w3"] = random_array(rng, 6, 5, scale=0.5)
    contexts, targets = np.array([[0, 1, 1], [4, 2, 0], [3, 3, 3]]), np.array([2, 0, 4])
    first_five = {name: array for name, array in parameters.items() if name != "w3"}

    def direct_forward():
        z, kept = forward(first_five, contexts)
        return z + kept[1] @ parameters["w3"], kept

    z, kept = direct_forward()
    gradients = answer(parameters, kept, cross_entropy(z, targets)[1])
    for name, array in parameters.items():
        assert name in gradients, f"the gradient of {name} is missing"
        measured = moved_slopes(lambda: cross_entropy(direct_forward()[0], targets)[0], array)
        assert gradients[name].shape == array.shape, f"{name}: shape {gradients[name].shape}, not {array.shape}"
        wrong = np.abs(gradients[name] - measured).max()
        assert wrong < 1e-7, f"the gradient of {name} is {wrong:.1e} from the measured one"


CHECKS = {
    "smoothed_cross_entropy": check_smoothed_cross_entropy,
    "backward_direct": check_backward_direct,
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
