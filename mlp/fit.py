"""Where the numbers E and S of csrc/vecmath.h come from: polynomials that err least.

New since mlp.py: approximation. A processor adds and multiplies; exp and erf are polynomials that come close enough to
them on a short stretch. Found here in float64, rounded to float32 for C.

    python mlp/fit.py            a second

Writes nothing.

Paper: Remez, on polynomials of least error by the exchange of points (1934).
"""

import argparse
import math

import numpy as np

from cli import run


def minimax(f, weight, n, low, high):
    """The polynomial c_0 + … + c_{n-1} x^(n-1) whose largest weighted distance from f on [low, high] is smallest.

    Remez's exchange: such a polynomial errs by the same size E, with signs in turn, at n + 1 points. Take some n + 1
    points, solve for the n coefficients and E, then take the places where that polynomial errs most, and again.
    Returns (coefficients, largest weighted error).
    """
    dense = np.linspace(low, high, 20001)
    points = (low + high) / 2 - (high - low) / 2 * np.cos(np.pi * np.arange(n + 1) / n)
    for _ in range(30):
        signs = (-1.0) ** np.arange(n + 1)
        *c, _ = np.linalg.solve(np.column_stack([np.vander(points, n, True), signs / weight(points)]), f(points))
        error = (np.polyval(c[::-1], dense) - f(dense)) * weight(dense)
        pieces = np.split(np.arange(len(dense)), np.flatnonzero(np.sign(error[1:]) != np.sign(error[:-1])) + 1)
        peaks = [piece[np.abs(error[piece]).argmax()] for piece in pieces]
        while len(peaks) > n + 1:
            peaks.pop(0 if abs(error[peaks[0]]) < abs(error[peaks[-1]]) else -1)
        points = dense[peaks]
    return np.array(c), np.abs(error).max()


def fit_exp():
    """E: (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2, by its series; weighted so that e^r - 1 errs least, relatively."""
    half = math.log(2) / 2
    series = [1 / math.factorial(k + 2) for k in range(18)]
    return minimax(lambda r: np.polyval(series[::-1], r), lambda r: np.abs(r) + 1e-9, 5, -half, half)


def fit_erf():
    """S: -ln(1 - erf x) / x for 0 <= x <= 4; weighted so that erf errs least, relatively."""
    def f(x):
        tail = (-math.log1p(-math.erf(v)) if v < 1 else -math.log(math.erfc(v)) for v in np.maximum(x, 1e-8))
        return np.array([*tail]) / np.maximum(x, 1e-8)

    def weight(x):  # how erf answers to that quotient: x (1 - erf x) / erf x
        return np.array([v * math.erfc(v) / math.erf(v) for v in np.maximum(x, 1e-8)])

    return minimax(f, weight, 9, 0.0, 4.0)


def main(argv=None):
    argparse.ArgumentParser(description="Finds the numbers E and S of csrc/vecmath.h.").parse_args(argv)
    for letter, what, (c, error) in (("E", "e^r - 1", fit_exp()), ("S", "erf", fit_erf())):
        print(f"{what}: largest relative error {error:.1e}")
        for k, value in enumerate(c):
            print(f"#define {letter}{k} {np.float32(value):.9g}f")


if __name__ == "__main__":
    run(main)
