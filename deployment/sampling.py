"""Choosing the next token. Copied from chapter inference, without its demonstration: skip what you know."""

from dataclasses import dataclass

import numpy as np


# copied from: inference/sampling.py::SamplingParams
@dataclass(frozen=True)
class SamplingParams:
    """How one text is to be sampled. The defaults tell stories; `check()` says what is out of range."""

    temperature: float = 0.8  # 0 takes the most probable token, always
    top_k: int = 0  # 0 means all
    top_p: float = 0.95  # 1 means all
    min_p: float = 0.0  # 0 means all
    repetition_penalty: float = 1.0  # 1 means none
    max_tokens: int = 250
    stop: tuple = ()  # the text ends before the first of these strings
    seed: int | None = None  # None draws one

    def check(self):
        """Raises ValueError, with one line that names the setting; gives back the parameters."""
        def is_number(x):
            return isinstance(x, (int, float)) and not isinstance(x, bool)

        def is_whole(x):
            return isinstance(x, int) and not isinstance(x, bool)

        rules = [
            ("temperature", "a number from 0 to 10", lambda x: is_number(x) and 0 <= x <= 10),
            ("top_k", "a whole number of at least 0", lambda x: is_whole(x) and x >= 0),
            ("top_p", "a number above 0 and at most 1", lambda x: is_number(x) and 0 < x <= 1),
            ("min_p", "a number from 0 to 1", lambda x: is_number(x) and 0 <= x <= 1),
            ("repetition_penalty", "a number from 0.1 to 10", lambda x: is_number(x) and 0.1 <= x <= 10),
            ("max_tokens", "a whole number of at least 1", lambda x: is_whole(x) and x >= 1),
            ("stop", "a list of strings, none of them empty", lambda x: isinstance(x, (list, tuple))
             and all(isinstance(s, str) and s for s in x)),
            ("seed", "a whole number", lambda x: x is None or is_whole(x)),
        ]
        for name, wanted, holds in rules:
            value = getattr(self, name)
            if not holds(value):
                raise ValueError(f"{name} must be {wanted}, not {value!r}")
        return self


# copied from: inference/sampling.py::penalize
def penalize(logits, history, penalty):
    """Logits with the tokens of `history` made less likely; a copy, (V,) float32.

    A negative logit is multiplied: dividing it by 1.3 would bring it nearer to zero and make the
    repeated token more likely, which is the classic bug here.
    """
    logits = logits.copy()
    seen = np.asarray(history, dtype=np.int64)
    there = logits[seen]
    logits[seen] = np.where(there > 0, there / np.float32(penalty), there * np.float32(penalty))
    return logits


# copied from: inference/sampling.py::keep
def keep(probabilities, params):
    """How many of the sorted probabilities (V,), highest first, the filters leave: N of at least 1."""
    n = len(probabilities)
    if params.top_k:
        n = min(n, params.top_k)
    if params.top_p < 1:
        cumulative = np.cumsum(probabilities[:n])
        n = min(n, int(np.searchsorted(cumulative, params.top_p * cumulative[-1])) + 1)
    if params.min_p > 0:
        n = int(np.count_nonzero(probabilities[:n] >= params.min_p * probabilities[0]))
    return n


# copied from: inference/sampling.py::candidates
def candidates(logits, params, history=()):
    """The ids that may come next, most probable first, and their probabilities: (N,) and (N,), sum 1.

    This is the distribution that `sample_token` draws from, for temperatures above 0.
    """
    if params.repetition_penalty != 1 and len(history):
        logits = penalize(logits, history, params.repetition_penalty)
    ids = np.argsort(-logits, kind="stable")  # stable: among equals the lower id stays first
    below = (logits[ids] - logits[ids[0]]).astype(np.float64)  # 0 for the first, negative for the others
    with np.errstate(over="ignore"):  # a temperature near 0 may send them to -inf, which is right
        probabilities = np.exp(below / params.temperature)
    n = keep(probabilities, params)
    return ids[:n], probabilities[:n] / probabilities[:n].sum()


# copied from: inference/sampling.py::sample_token
def sample_token(logits, params, rng, history=()):
    """One token id from the logits (V,) float32 of the next token.

    `rng` is the sequence's PCG32, `history` the ids so far (the prompt's too). Temperature 0 takes the
    highest logit and draws no number; otherwise exactly one number is drawn. Raises ValueError where
    the logits are not finite: a model that has diverged should say so, not babble.
    """
    if not np.isfinite(logits.max()):  # the maximum of anything with NaN is NaN
        raise ValueError("the logits are not finite; the model's weights are damaged or its training diverged")
    if params.temperature == 0:
        if params.repetition_penalty != 1 and len(history):
            logits = penalize(logits, history, params.repetition_penalty)
        return int(logits.argmax())
    ids, probabilities = candidates(logits, params, history)
    cumulative = np.cumsum(probabilities)
    index = int(np.searchsorted(cumulative, rng.uniform() * cumulative[-1], side="right"))
    return int(ids[min(index, len(ids) - 1)])
