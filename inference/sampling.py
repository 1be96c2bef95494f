"""Choosing the next token: from 4,096 logits to one id, by temperature, top-k, top-p, min-p and a seed.

New since the last chapter: the model says how probable every token is, and this decides. Left out on
purpose: beam search (it writes dull stories), penalties that count how often a token came.
Shapes: V tokens in the vocabulary, N of them kept.

    python inference/sampling.py                 what each setting leaves of a model's prediction; five seconds
    python inference/sampling.py --plot          also draws inference/figures/filters.svg

The order is fixed, so that another program (the engine in C) can repeat every choice:

1. repetition penalty (Keskar et al., "CTRL", 2019): the logit of each token already there is divided
   by the penalty where it is positive and multiplied where it is negative
2. sort by logit, the highest first, the lower id first among equals
3. temperature: logit / temperature, then softmax, in float64 from here on
4. top-k (Fan et al., 2018): the first k
5. top-p (Holtzman et al., 2019): the shortest beginning whose probabilities sum to at least p
6. min-p (Nguyen et al., 2024): those at least min_p times as probable as the first
7. one number from the sequence's own generator picks among those that are left

Each filter keeps a beginning of the sorted list, so all of them together are one number: how many.
"""

import argparse
from dataclasses import dataclass, replace

import numpy as np

from cli import positive_int, run
from rng import PCG32

MODEL = "deployment/weights/storyteller"
FIGURE = "inference/figures/filters.svg"


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


def predict(folder, depth, prompt):
    """(tokenizer, logits (V,) float32 of the token after the prompt), from a trained or a random model."""
    import torch  # here: the sampler itself needs neither torch nor a model

    from checkpoint import load_or_random

    model, tokenizer, _ = load_or_random(folder, depth)
    ids = [tokenizer.special["<|endoftext|>"]] + tokenizer.encode(prompt)
    with torch.inference_mode():
        return tokenizer, model(torch.tensor([ids]), only_last=True)[0, 0].numpy()


def settings():
    """One thing at a time: name -> parameters."""
    plain = SamplingParams(temperature=1.0, top_p=1.0)
    return {
        "as predicted": plain,
        "temperature 0.5": replace(plain, temperature=0.5),
        "temperature 1.5": replace(plain, temperature=1.5),
        "top-k 5": replace(plain, top_k=5),
        "top-p 0.9": replace(plain, top_p=0.9),
        "min-p 0.1": replace(plain, min_p=0.1),
        "temperature 0.8, top-p 0.95": replace(plain, temperature=0.8, top_p=0.95),
    }


def show(tokenizer, logits, draws):
    """Prints what each setting leaves, and checks that drawing agrees with the probabilities."""
    print(f"{'setting':30}{'kept':>6}  most probable tokens, and how often they came in {draws:,} draws")
    for name, params in settings().items():
        ids, probabilities = candidates(logits, params)
        rng, counts = PCG32(0), np.zeros(len(logits), dtype=int)
        for _ in range(draws):
            counts[sample_token(logits, params, rng)] += 1
        assert counts[ids].sum() == draws, "a token was drawn that the filters had removed"
        spread = 4 * np.sqrt(draws * probabilities * (1 - probabilities)) + 1  # four standard deviations
        assert np.mean(np.abs(counts[ids] - draws * probabilities) > spread) < 0.01
        first = (f"{tokenizer.decode([i])!r} {p:.3f} {counts[i] / draws:.3f}" for i, p in zip(ids[:3], probabilities))
        print(f"{name:30}{len(ids):6,}  {'   '.join(first)}")


def draw_filters(tokenizer, logits, prompt, path):
    """A bar for each of the 12 most probable tokens, one panel a setting; what was removed is missing."""
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "storyteller", "svg.fonttype": "none"})  # small, and always the same
    shown = np.argsort(-logits, kind="stable")[:12]
    figure, axes = plt.subplots(2, 3, figsize=(9, 4.6), sharex=True, sharey=True)
    for axis, (name, params) in zip(axes.flat, settings().items()):
        ids, probabilities = candidates(logits, params)
        left = dict(zip(ids.tolist(), probabilities))
        axis.bar(range(12), [left.get(int(i), 0) for i in shown], color="#2f6690")
        axis.set_title(f"{name}: {len(ids):,} left", fontsize=10)
        axis.set_xticks(range(12), [tokenizer.decode([int(i)]).strip() or "·" for i in shown], rotation=70)
    axes[0, 0].set_ylabel("probability")
    axes[1, 0].set_ylabel("probability")
    figure.suptitle(f"what may follow “{prompt}”")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    print(f"wrote {path}")


def main(argv=None):
    parser = argparse.ArgumentParser(description="What temperature, top-k, top-p and min-p leave of a prediction.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    parser.add_argument("--random", type=positive_int, metavar="DEPTH", help="random weights, so many layers")
    parser.add_argument("--prompt", default="The dog was very", help="the beginning")
    parser.add_argument("--draws", type=positive_int, default=5000, help="draws to compare with (default 5,000)")
    parser.add_argument("--plot", action="store_true", help=f"draw {FIGURE}")
    args = parser.parse_args(argv)
    tokenizer, logits = predict(args.folder, args.random, args.prompt)
    print(f"after {args.prompt!r}:")
    show(tokenizer, logits, args.draws)
    if args.plot:
        draw_filters(tokenizer, logits, args.prompt, FIGURE)


if __name__ == "__main__":
    run(main)
