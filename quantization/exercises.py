"""The chapter's exercises, to be written here. The README says what each is about.

    python quantization/exercises.py                      which of them pass
    pytest tests/test_quantization.py --mine -k answers   the same, with pytest's reports
"""

import sys

from checks import CHECKS, run_checks


def integer_product(q, scale, x):
    """y = W x, where W is stored as integers and x is rounded to integers on the way: all products are of integers.

    q: (R, N) int8; scale: (R, N / G) float32, one for each G neighbors of a row; x: (N,) float32. Each G neighbors
    of x get a step of their own, their largest size / 127, and are rounded to the nearest, halves to the even
    one. The G products of a group are summed as integers; then come the two scales. NumPy; returns y (R,).
    """
    raise NotImplementedError


def clipped(w, scale, bits, upstream):
    """Rounding with a fixed scale, and its straight-through gradient, which must stop where a weight is cut off.

    w: (R, N) float weights. The integers are the nearest to w / scale, cut off at -2^(bits - 1) and
    2^(bits - 1) - 1. upstream: (R, N), the gradient of the loss by the rounded weights. Returns (rounded weights,
    gradient by w): upstream where the integer is in the range, 0 where it was cut off. NumPy.
    """
    raise NotImplementedError


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
