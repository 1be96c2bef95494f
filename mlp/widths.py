"""What the sizes and the steps decide: context, width, learning rate, batch size, and the number of stories.

New since mlp.py: nothing is computed anew; the same network is trained again and again, each time with one thing
changed, and scored on stories that it has not seen. Every statement is asserted. Left out on purpose: the best values
for everything together, which nobody finds by changing one thing at a time.
Shapes: B predictions, K symbols of context, C numbers a symbol, H hidden neurons, V = 257 symbols.

    python mlp/widths.py                  a minute and a half on one core
    python mlp/widths.py --steps 100      a quick look; its numbers are too rough for the statements, which are left out
    python mlp/widths.py --plot           also draws mlp/figures/widths.svg and mlp/figures/training.svg
"""

import argparse
from pathlib import Path

import numpy as np

from cli import non_negative_int, positive_int, run
from data import V, padded_stream
from draw import plot_training, plot_widths
from mlp import STORIES, bits_of, first_parameters, logits_by, train_by_batches
from rng import PCG32
from stories import load_split

K, C, H, BATCH, LEARNING_RATE, STEPS = 8, 16, 128, 128, 1.0, 2_000
SCORED = 20_000  # symbols of valid.txt
FEW = 20  # stories, to be learned by heart
FIGURE = "mlp/figures/widths.svg"


class Experiment:
    """The stories, and what is the same in all runs. score: bits a symbol, on the beginning of valid.txt."""

    def __init__(self, data, steps, seed):
        self.train, self.valid = load_split(data, "train"), load_split(data, "valid")
        self.steps, self.seed, self.streams = steps, seed, {}

    def stream(self, stories, K, symbols=None):
        """padded_stream, kept for the next run. symbols: how many positions at most."""
        key = id(stories), K
        if key not in self.streams:
            self.streams[key] = padded_stream(stories, K)
        stream, positions = self.streams[key]
        return stream, positions[:symbols]

    def run(self, K=K, H=H, batch=BATCH, learning_rate=LEARNING_RATE, steps=None, stories=None, watch_every=None):
        """Trains one network: (bits a symbol on valid, losses, {step: (bits on training stories, on valid)})."""
        rng, steps = PCG32(self.seed), steps or self.steps
        parameters, history = first_parameters(rng, V, K, C, H), {}
        train, valid = self.stream(stories or self.train, K), self.stream(self.valid, K, SCORED)

        def score(stream, positions):
            return bits_of(logits_by(parameters), stream, positions, K) / len(positions)

        def watch(s, losses):
            if s % watch_every == 0:
                history[s] = score(train[0], train[1][:SCORED]), score(*valid)

        with np.errstate(all="ignore"):  # a learning rate that is too large ends in NaN
            losses = train_by_batches(parameters, *train, steps, rng, batch, learning_rate, watch_every and watch)
            return score(*valid), losses, history


def line(name, results):
    """Prints one experiment: {what was tried: bits}."""
    print(f"{name:28}" + "".join(f"{tried:>9}" for tried in results))
    print(f"{'  bits a symbol on valid':28}" + "".join(f"{bits:9.3f}" for bits in results.values()))


def try_contexts(experiment):
    """{steps: {K: bits}}: what lies further back helps only a network that has been trained for longer."""
    found = {}
    for steps, tried in ((experiment.steps, (1, 2, 4, 8, 16)), (4 * experiment.steps, (2, 4, 8, 16))):
        found[steps] = {k: experiment.run(K=k, steps=steps)[0] for k in tried}
        line(f"context K, {steps:,} steps", found[steps])
    return found


def try_widths(experiment):
    """{H: bits}: a wider hidden layer helps."""
    results = {h: experiment.run(H=h)[0] for h in (4, 16, 64, 256)}
    line("width H", results)
    return results


def try_learning_rates(experiment):
    """{learning rate: (bits, losses)}: too small, right, too large."""
    found = {rate: experiment.run(learning_rate=rate)[:2] for rate in (0.01, 0.1, 1.0, 10.0)}
    line("learning rate", {rate: bits for rate, (bits, _) in found.items()})
    return found


def try_batches(experiment):
    """{batch: (bits at equal steps, bits at equal predictions)}."""
    found = {}
    for batch in (32, 128, 512):
        at_equal_steps = experiment.run(batch=batch)[0]
        steps = max(1, experiment.steps * BATCH // batch)
        found[batch] = at_equal_steps, experiment.run(batch=batch, steps=steps)[0] if batch != BATCH else at_equal_steps
    line("batch, equal steps", {batch: pair[0] for batch, pair in found.items()})
    line(f"batch, {experiment.steps * BATCH:,} each", {batch: pair[1] for batch, pair in found.items()})
    return found


def try_few_stories(experiment):
    """{step: (bits on the few stories, on valid)}: the first falls on, the second turns and rises."""
    few = experiment.train[:FEW]
    _, _, history = experiment.run(stories=few, steps=2 * experiment.steps, watch_every=max(1, experiment.steps // 20))
    best, last = min(history, key=lambda s: history[s][1]), max(history)
    for when, s in (("best", best), ("last", last)):
        print(f"{FEW} stories only, {when} at step {s:5,}: {history[s][0]:.3f} on these, {history[s][1]:.3f} on valid")
    return history


def check_statements(contexts, widths, rates, batches, history):
    """The statements of the lesson; each raises AssertionError where it does not hold."""
    short, long = contexts.values()
    assert short[1] > short[2] + 0.3 > short[4] + 0.5, "up to 4 bytes, a longer look back should help at once"
    assert short[16] > short[8], "after few steps 16 bytes should be too many"
    assert long[8] < long[4] - 0.01, "after more steps 8 bytes should be better than 4"
    assert long[16] - long[4] < short[16] - short[4] - 0.03, "after more steps 16 bytes should have gained"
    bits = list(widths.values())
    assert all(b < a - 0.05 for a, b in zip(bits, bits[1:])), "a wider layer should help"
    bits = {rate: found[0] for rate, found in rates.items()}
    assert bits[1.0] < bits[0.1] - 0.3 < bits[0.01] - 0.6, "steps that are too small should learn too little"
    assert not bits[10.0] < bits[1.0] + 1, "steps that are too large should not learn"
    equal_steps, equal_work = zip(*batches.values())
    assert equal_steps[0] > equal_steps[1] > equal_steps[2], "at equal steps a larger batch should be better"
    assert equal_work[0] < equal_work[2], "at equal work many small batches should beat few large ones"
    best = min(pair[1] for pair in history.values())
    first, last = history[min(history)], history[max(history)]
    assert last[0] < best - 0.5 and last[1] > best + 0.5 and first[1] > best, "20 stories should be learned by heart"
    print("all statements hold")


def main(argv=None):
    parser = argparse.ArgumentParser(description="One network, trained again and again with one thing changed.")
    parser.add_argument("--data", default=STORIES, help=f"folder with train.txt and valid.txt (default: {STORIES})")
    parser.add_argument("--steps", type=positive_int, default=STEPS, help=f"of each run (default: {STEPS:,})")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of weights and batches (default: 0)")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE",
                        help=f"draw contexts and widths (default: {FIGURE}), and the rest as training.svg beside it")
    args = parser.parse_args(argv)
    experiment = Experiment(args.data, args.steps, args.seed)
    print(f"K {K}, H {H}, {args.steps:,} steps of {BATCH}, learning rate {LEARNING_RATE:g}, but for what a line names")
    tries = (try_contexts, try_widths, try_learning_rates, try_batches, try_few_stories)
    found = [attempt(experiment) for attempt in tries]
    if args.steps >= STEPS:
        check_statements(*found)
    if args.plot:
        plot_widths(*found[:2], args.plot)
        plot_training(found[2], found[4], Path(args.plot).with_name(f"training{Path(args.plot).suffix}"))


if __name__ == "__main__":
    run(main)
