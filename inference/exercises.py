"""The chapter's exercises, to be written here. The README says what each is about.

    python inference/exercises.py                      which of them pass
    pytest tests/test_inference.py --mine -k answers   the same, with pytest's reports
"""

import sys

from checks import CHECKS, run_checks


def cached_step(x, W_q, W_k, W_v, keys, values):
    """Attention's answer for one new token, and the cache with that token in it.

    x: (C,), the new token; W_q, W_k, W_v: (C, D); keys, values: (T, D) of the tokens before it, T may
    be 0. All are NumPy arrays, one head, no rotary positions. Returns (y, keys, values) with y (D,) and
    keys, values (T + 1, D). Nothing may be computed twice: no product with W_k or W_v but x's own.
    """
    raise NotImplementedError


def repeats(history, n):
    """The ids that would, as the next token, repeat n tokens that stood together before.

    history: a list of ids; n: at least 1. Returns a set. Forbidding these ids (a logit of minus infinity)
    keeps a text from ever saying the same n tokens twice: "no_repeat_ngram_size" in other libraries.
    """
    raise NotImplementedError


def pages_needed(prompts, page_size):
    """How many pages hold the prompts (lists of ids), where full pages with the same beginning are kept once.

    A page that is not full belongs to its prompt alone. pages_needed([[1, 2, 3], [1, 2, 4]], 2) is 3.
    """
    raise NotImplementedError


def read_header(data):
    """{name: (dtype, shape, begin, end)} of the bytes of a safetensors file; begin and end count from the file's start.

    Raises ValueError where the header does not fit into the file, a tensor lies outside it, its bytes are not what
    dtype and shape ask for, or the tensors leave a hole or overlap. dtypes are F32, F16, BF16, I8 and U8.
    """
    raise NotImplementedError


def checked(proposed, wanted):
    """What one pass of speculative decoding writes at temperature 0, where the rule needs no random numbers.

    proposed: the k tokens that the draft guessed. wanted: k + 1 tokens, the model's first choice after each beginning
    of them (wanted[i] is what it would say after proposed[:i]). Returns the list of new tokens, 1 to k + 1 of them.
    """
    raise NotImplementedError


def forced(table, accepting, state):
    """The bytes that must follow `state`: (bytes, the state after them). They need no model.

    table: a list of rows of 256 next states, 0 is dead; accepting: a list of booleans. Stops where two bytes may
    come, or the text may end. No state but 0 is dead.
    """
    raise NotImplementedError


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
