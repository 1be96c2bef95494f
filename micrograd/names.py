"""A tiny language model that learns the names of dragons, and what they have in common.

New since train.py: the engine of tensorgrad.py, and letters instead of points. A letter becomes a row of a table (its
embedding), the rows of the last K letters go through one hidden layer, and out come 16 logits, one for each symbol.
The gradient of the loss reaches the table as it reaches any other parameter.
Left out on purpose: mini-batches (the names are few), and stories: language.py uses the same model on bytes.

Dragons have one vowel: Tikini, Momolo, Karada. Which vowel comes next stands two letters back, so a table of pairs
cannot know it; a table of triples must have seen just this vowel before just this consonant.
Shapes: B predictions, K letters of context, C numbers a letter, H hidden neurons, V = 16 symbols.

    python micrograd/names.py             ten seconds
    python micrograd/names.py --plot      also draws micrograd/figures/names.svg

Paper: Bengio, Ducharme, Vincent and Jauvin, "A Neural Probabilistic Language Model" (2003).
"""

import argparse
import math
from collections import Counter

import numpy as np

from cli import non_negative_int, run
from plot import plot_names
from rng import PCG32
from tensorgrad import Tensor, random_tensor

CONSONANTS, VOWELS = "bdgklmnprt", "aeiou"
SYMBOLS = "." + CONSONANTS + VOWELS  # the dot stands before and after a name
K, C, H = 3, 6, 32
STEPS, LEARNING_RATE = 150, 0.5
FIGURE = "micrograd/figures/names.svg"


class WindowModel:
    """The next symbol from the K before it: a table of embeddings, one hidden layer, V logits."""

    def __init__(self, V, K, C, H, rng, dtype=np.float64):
        self.table = random_tensor(rng, V, C, scale=0.5, dtype=dtype)
        self.w1 = random_tensor(rng, K * C, H, scale=1 / math.sqrt(K * C), dtype=dtype)
        self.b1 = Tensor(np.zeros(H, dtype))
        self.w2 = random_tensor(rng, H, V, scale=0.1 / math.sqrt(H), dtype=dtype)  # small: at first all V are alike
        self.b2 = Tensor(np.zeros(V, dtype))

    def __call__(self, contexts):
        """contexts: (B, K) symbols, the oldest first. Returns logits (B, V)."""
        rows = self.table[contexts]  # (B, K, C)
        x = rows.reshape(len(contexts), -1)  # (B, K C)
        hidden = (x @ self.w1 + self.b1).tanh()  # (B, H)
        return hidden @ self.w2 + self.b2  # (B, V)

    def parameters(self):
        return [self.table, self.w1, self.b1, self.w2, self.b2]

    def step(self, contexts, targets, learning_rate):
        """One step of gradient descent on the cross-entropy; returns it, in nats."""
        loss = self(contexts).cross_entropy(targets)
        for p in self.parameters():
            p.grad[...] = 0
        loss.backward()
        for p in self.parameters():
            p.data -= learning_rate * p.grad
        return loss.data.item()


def dragon_names(n, rng, known=()):
    """n different names with one vowel each, two to four times after a consonant; none of the known ones."""
    names = []
    while len(names) < n:
        vowel = VOWELS[rng.below(len(VOWELS))]
        name = "".join(CONSONANTS[rng.below(len(CONSONANTS))] + vowel for _ in range(2 + rng.below(3)))
        if name not in names and name not in known:
            names.append(name)
    return names


def contexts_and_targets(names):
    """What is known and what is asked: contexts (B, K) and targets (B,), one for each letter and each end."""
    contexts, targets = [], []
    for name in names:
        symbols = [0] * K + [SYMBOLS.index(letter) for letter in name] + [0]
        for i in range(K, len(symbols)):
            contexts.append(symbols[i - K:i])
            targets.append(symbols[i])
    return np.array(contexts), np.array(targets)


def counted(train, contexts, targets, n, alpha):
    """p (B,) of the targets, by counts of each symbol after the n symbols before it, plus alpha."""
    seen, totals = Counter(), Counter()
    for context, target in zip(*contexts_and_targets(train)):
        seen[*context[K - n:], target] += 1
        totals[*context[K - n:],] += 1
    return np.array([(seen[*context[K - n:], target] + alpha) / (totals[*context[K - n:],] + alpha * len(SYMBOLS))
                     for context, target in zip(contexts, targets)])


def counted_bits(train, test, n, alpha):
    """Bits a symbol on the test names by a table of n + 1 symbols."""
    return -np.log2(counted(train, *contexts_and_targets(test), n, alpha)).mean()


def best_counts(train, test):
    """Bits a symbol on the test names by tables of n + 1 symbols, {n: bits}, and by a mixture of all, {"mixed": bits}.

    alpha and the mixture's weights are the best ones for the test names: counting is shown what it is tested on.
    """
    contexts, targets = contexts_and_targets(test)
    bits = {n: min(counted_bits(train, test, n, alpha) for alpha in (0.01, 0.03, 0.1, 0.3, 1)) for n in (1, 2, 3)}
    p = np.array([counted(train, contexts, targets, n, 1e-9) for n in range(4)])  # (4, B)
    shares = np.arange(11) / 10
    mixtures = [(1 - a - b - c, a, b, c) for a in shares for b in shares for c in shares if a + b + c < 0.95]
    return {**bits, "mixed": min(-np.log2(weights @ p).mean() for weights in np.array(mixtures))}


def least_bits():
    """What somebody who knows the rule needs for a symbol: length, one vowel, and 2 to 4 consonants a name."""
    return (math.log2(3) + math.log2(len(VOWELS)) + 3 * math.log2(len(CONSONANTS))) / 7


def train_names(seed, steps=STEPS):
    """Returns the names to learn and to test, the model, and {step: bits a symbol on both} every 10 steps."""
    rng = PCG32(seed)
    train = dragon_names(60, rng)
    test = dragon_names(100, rng, known=train)
    model = WindowModel(len(SYMBOLS), K, C, H, rng)
    contexts, targets = contexts_and_targets(train)
    test_contexts, test_targets = contexts_and_targets(test)
    history = {}
    for step in range(steps + 1):
        if step % 10 == 0:
            pair = model(contexts).cross_entropy(targets), model(test_contexts).cross_entropy(test_targets)
            history[step] = [loss.data.item() / math.log(2) for loss in pair]
        if step < steps:
            model.step(contexts, targets, LEARNING_RATE)
    return train, test, model, history


def tell_names(predict, n, rng):
    """n names, drawn symbol by symbol. predict: a list of K symbols -> the probabilities of the V symbols."""
    names = []
    for _ in range(n):
        symbols = [0] * K
        while len(symbols) < K + 12:
            symbols.append(rng.choice(predict(symbols[-K:])))
            if symbols[-1] == 0:
                break
        names.append("".join(SYMBOLS[symbol] for symbol in symbols if symbol).capitalize())
    return names


def one_vowel(names):
    """The share of names with exactly one kind of vowel."""
    return sum(len(set(name.lower()) & set(VOWELS)) == 1 for name in names) / len(names)


def pair_predictor(train):
    """What a table of pairs predicts: for tell_names."""
    table = np.full((len(SYMBOLS), len(SYMBOLS)), 1e-9)
    for context, target in zip(*contexts_and_targets(train)):
        table[context[-1], target] += 1
    table /= table.sum(axis=1, keepdims=True)
    return lambda context: table[context[-1]].tolist()


def show_seed(seed):
    """One seed: losses against those of counting, and how many of 200 names keep the rule. Asserts the claims."""
    train, test, model, history = train_names(seed)
    counts = best_counts(train, test)
    names = tell_names(lambda context: model(np.array([context])).softmax().data[0].tolist(), 200, PCG32(seed))
    pair_names = tell_names(pair_predictor(train), 200, PCG32(seed))
    print(f"seed {seed}: test {history[STEPS][1]:.3f}; pairs {counts[1]:.3f}, triples {counts[2]:.3f}, "
          f"fours {counts[3]:.3f}, mixed {counts['mixed']:.3f}; "
          f"one vowel {one_vowel(names):.0%}, pairs {one_vowel(pair_names):.0%}")
    assert history[STEPS][1] < min(counts.values()) - 0.3, "the network should beat counting clearly"
    assert one_vowel(names) > 0.75 > 0.65 > one_vowel(pair_names), "the network should have found the rule, and pairs not"
    return pair_names, names


def main(argv=None):
    parser = argparse.ArgumentParser(description="A tiny language model over the names of dragons.")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of names and first weights (default: 0)")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE", help=f"draw the losses (default: {FIGURE})")
    args = parser.parse_args(argv)
    train, test, model, history = train_names(args.seed, steps=600)
    parameters = sum(p.data.size for p in model.parameters())
    print(f"{len(train)} names to learn ({', '.join(name.capitalize() for name in train[:5])}, …), {len(test)} to test; "
          f"{parameters:,} parameters")
    print("bits a symbol   to learn   to test")
    for step in (0, 50, 100, STEPS, 300, 600):
        print(f"  step {step:4}       {history[step][0]:.3f}     {history[step][1]:.3f}")
    print(f"  the rule itself          {least_bits():.3f}")
    told = [show_seed(seed) for seed in range(args.seed, args.seed + 5)]
    print("pairs tell:  ", *told[0][0][:8])
    print("network tells:", *told[0][1][:8])
    if args.plot:
        plot_names(history, best_counts(train, test), least_bits(), args.plot)


if __name__ == "__main__":
    run(main)
