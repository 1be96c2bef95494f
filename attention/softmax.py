"""Softmax, the operation in the middle of attention: stable, in one pass, backward, and why scores are scaled.

New since the chapters before: bigram used softmax, micrograd found its gradient by machine. Here it is looked at by
itself, because attention takes a softmax at every place of every head. Left out on purpose: speed (flash.py).
Shapes: n scores; D numbers in a query or a key. e is 2.718…

    python attention/softmax.py          two seconds; writes nothing

Papers: Milakov and Gimelshein, "Online Normalizer Calculation for Softmax" (2018); Vaswani et al., "Attention Is All
You Need" (2017), for the scale.
"""

import argparse
import math

import torch

from cli import non_negative_int, run


def naive_softmax(scores):
    """e to the power of each, divided by their sum: the formula, for a tensor (n,). Overflows for large scores."""
    e = scores.exp()
    return e / e.sum()


# copied from: bigram/layer.py::softmax
def softmax(scores):
    """Any numbers become shares that are positive and sum to 1."""
    e = [math.exp(s - max(scores)) for s in scores]
    return [a / sum(e) for a in e]


def online_softmax(scores, trace=None):
    """The same shares, with the largest score and the sum found in one pass: each score is looked at once.

    `total` is the sum of e^(s - largest) over the scores seen so far. When a larger score comes, all that was summed
    was measured against the old largest one; one factor corrects it. Scores must be finite.
    trace: a list that gets every moment.
    """
    largest, total = -math.inf, 0.0
    for s in scores:
        new = max(largest, s)
        total = total * math.exp(largest - new) + math.exp(s - new)
        largest = new
        if trace is not None:
            trace.append((s, largest, total))
    return [math.exp(s - largest) / total for s in scores]


def online_average(scores, values):
    """The average of the values with the shares of the scores, in one pass: no share is ever stored.

    The weighted sum is corrected by the same factor as the total. This is what makes attention on long texts
    possible (flash.py). values: numbers, one a score.
    """
    largest, total, weighted = -math.inf, 0.0, 0.0
    for s, value in zip(scores, values, strict=True):
        new = max(largest, s)
        correction, e = math.exp(largest - new), math.exp(s - new)
        total, weighted, largest = total * correction + e, weighted * correction + e * value, new
    return weighted / total


def softmax_backward(p, dp):
    """From the gradient of the shares to that of the scores: p (dp - sum(p dp)). Both (…, n) -> (…, n)

    A share p_i answers to score j with p_i (1 - p_i) where i = j, and with -p_i p_j elsewhere.
    """
    return p * (dp - (p * dp).sum(-1, keepdim=True))


def show_overflow():
    """Prints what overflows in the formula, and that subtracting the largest score changes nothing else."""
    print("scores                formula                   largest subtracted")
    for scores in ([1.0, 2.0, 3.0], [101.0, 102.0, 103.0], [-101.0, -102.0, -150.0]):
        formula = naive_softmax(torch.tensor(scores)).tolist()  # float32: e^89 is already too large for it
        stable = softmax(scores)
        print(f"{', '.join(f'{s:g}' for s in scores):20} {' '.join(f'{p:8.4f}' for p in formula)}  "
              f"{' '.join(f'{p:8.4f}' for p in stable)}")
        reference = torch.tensor(scores, dtype=torch.float64).softmax(-1).tolist()
        assert all(abs(a - b) < 1e-12 for a, b in zip(stable, reference, strict=True)), "not torch's softmax"
    assert not math.isfinite(naive_softmax(torch.tensor([101.0, 102.0, 103.0])).sum()), "this should overflow"


def show_online(scores, values):
    """Prints the one pass step by step, and checks both functions against two passes."""
    trace = []
    online = online_softmax(scores, trace)
    print("\nscore   largest so far   sum so far, measured against it")
    for s, largest, total in trace:
        print(f"{s:5g}   {largest:14g}   {total:.4f}")
    two_passes = softmax(scores)
    print(f"shares  {' '.join(f'{p:.4f}' for p in online)}, as in two passes")
    average = online_average(scores, values)
    print(f"average of {', '.join(f'{v:g}' for v in values)}: {average:.4f}")
    assert all(abs(a - b) < 1e-12 for a, b in zip(online, two_passes, strict=True)), "one pass differs from two"
    assert abs(average - sum(p * v for p, v in zip(two_passes, values, strict=True))) < 1e-12, "the average differs"


def scores_of(D, generator, keys=64, queries=2000):
    """Scores of random queries and keys, all their numbers of mean 0 and variance 1: (queries, keys)"""
    q = torch.randn(queries, 1, D, generator=generator)
    k = torch.randn(queries, keys, D, generator=generator)
    return (q * k).sum(-1)


def saturation(scores):
    """Three numbers about scores (B, n): their variance, the mean largest share, and how strongly shares answer.

    The last is the sum of p_i (1 - p_i): how fast each share moves with its own score. 0 means no learning.
    """
    p = scores.softmax(-1)
    return scores.var().item(), p.amax(-1).mean().item(), (p * (1 - p)).sum(-1).mean().item()


def show_scale(seed):
    """Measures what the width D does to the scores q k, with and without dividing by sqrt(D)."""
    print("\nrandom queries, 64 keys   q k as it is                     divided by sqrt(D)")
    print("    D              variance  top share  answer         variance  top share  answer")
    generator = torch.Generator().manual_seed(seed)
    for D in (1, 4, 16, 64, 256):
        scores = scores_of(D, generator)
        raw, scaled = saturation(scores), saturation(scores * D**-0.5)
        print(f"{D:5}              {raw[0]:8.2f}  {raw[1]:9.3f}  {raw[2]:6.3f}         "
              f"{scaled[0]:8.2f}  {scaled[1]:9.3f}  {scaled[2]:6.3f}")
        assert abs(raw[0] / D - 1) < 0.15 and abs(scaled[0] - 1) < 0.15, "the variance of q k should be D"
        if D >= 64:
            assert raw[1] > 0.75 and raw[2] < 0.35, "unscaled, one share should take nearly all"
            assert scaled[1] < 0.2 and scaled[2] > 0.9, "scaled, the shares should stay soft"


def show_backward(seed):
    """Checks softmax_backward against torch's own."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(5, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    dp = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    p = scores.softmax(-1)
    p.backward(dp)
    largest = (softmax_backward(p.detach(), dp) - scores.grad).abs().max().item()
    assert largest < 1e-12, f"the gradient by hand is {largest:.0e} from autograd's"
    print("\nsoftmax backward by hand: equal to autograd to 12 places")


def main(argv=None):
    parser = argparse.ArgumentParser(description="Softmax: overflow, one pass, backward, the scale.")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of the random scores (default 0)")
    args = parser.parse_args(argv)
    show_overflow()
    show_online([2.0, 1.0, 4.0, 3.0], [10.0, 20.0, 30.0, 40.0])
    show_scale(args.seed)
    show_backward(args.seed)


if __name__ == "__main__":
    run(main)
