"""The chapter's exercises, to be written here. The README says what each is about.

    python micrograd/exercises.py                       which of them pass
    pytest tests/test_micrograd.py --mine -k answers    the same, with pytest's reports
"""

import sys

from checks import CHECKS, run_checks


def log_sum_exp(values):
    """The logarithm of the sum of the exps of one or more Values, as one new operation: a Value.

    Its parents are the values, its operation is "log_sum_exp", and its slopes are for you to work out (they have a
    name). It must not overflow: log_sum_exp([Value(1000.0), Value(1000.0)]).data is 1000 + log 2.
    With it, -log softmax(x)[target] is log_sum_exp(x) - x[target]: a cross-entropy for scalars.
    """
    raise NotImplementedError


def where(condition, a, b):
    """The numbers of the Tensor a where the condition holds, those of the Tensor b elsewhere: a Tensor.

    condition: an array of True and False. The three shapes broadcast. Neither Tensor gets a gradient from where the
    other's numbers were taken. Attention hides the future with such an operation, two chapters on.
    """
    raise NotImplementedError


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
