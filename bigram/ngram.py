"""Longer contexts by counting: what comes after the last two bytes, the last three, the last nine?

New since bigram.py: contexts of any length, backing off to shorter ones (Witten-Bell, modified Kneser-Ney), the
choice of an order on stories held out, and the point where counting stops working. Left out on purpose: words,
pruning and files, which the toolkits for n-grams have. n is the order, k = n - 1 the length of the context;
V = 257 symbols; G_k grams have a context of k symbols, and P positions are predicted.

    python bigram/ngram.py                 a minute
    python bigram/ngram.py --orders 6      quicker
    python bigram/ngram.py --plot          also draws bigram/figures/orders.svg

Appends the number of the chosen model to out/scoreboard.jsonl.

Papers: Witten and Bell, "The Zero-Frequency Problem" (1991); Kneser and Ney, "Improved Backing-off for M-gram
Language Modeling" (1995); Chen and Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling" (1998).
"""

import argparse
import itertools

import numpy as np

from bigram import END, V, read_both, symbol_name, symbol_stream
from cli import append_score, non_negative_int, positive_int, run
from draw import draw_orders
from grams import Grams, symbols_behind
from rng import PCG32

ALPHAS = (1.0, 0.1, 0.01, 0.001, 0.0001)
FIGURE = "bigram/figures/orders.svg"


class Level:
    """What a smoothing makes of the contexts of one length: p(symbol) = kept[gram] + left[context] * p_below(symbol).

    kept (G_k,): the share that a seen gram keeps for itself. left (contexts,): the share that its context gives
    away; 1 where nothing was seen. The kept of a context's grams and its left sum to 1.
    """

    def __init__(self, grams, k, kept, given):
        """kept (G_k,), given (contexts,): the same as parts of counts, not yet divided by their context's sum."""
        context = grams.keys[k] // V
        total = np.bincount(context, kept, minlength=len(given)) + given
        self.kept = kept / total[context]
        self.left = np.divide(given, total, out=np.ones(len(given)), where=total > 0)


def per_context(grams, k, amounts=None):
    """The sum of amounts (G_k,) over each context's grams, or their number: how many different symbols followed it."""
    contexts = len(grams.keys[k - 1]) if k else 1
    return np.bincount(grams.keys[k] // V, amounts, minlength=contexts)


def add_alpha(grams, k, alpha):
    """Each of the V symbols counts alpha times more: in all V alpha, given to p_below = 1 / V. (Lidstone, 1920)"""
    given = np.full(len(per_context(grams, k)), V * alpha)
    return Level(grams, k, grams.counts[k].astype(float), given)


def witten_bell(grams, k):
    """After many different symbols expect another: each of a context's followers counts once for something new."""
    return Level(grams, k, grams.counts[k].astype(float), per_context(grams, k).astype(float))


def kneser_ney(grams, k, top):
    """Modified Kneser-Ney, interpolated (Chen and Goodman, 1998): each count gives a discount away, by its size.

    top: whether this is the longest context of the model; below it, counts are continuation counts.
    """
    counts = grams.counts[k] if top else continuation_counts(grams, k)
    discount = discounts(counts)[np.minimum(counts, 3)]  # (G_k,)
    return Level(grams, k, counts - discount, per_context(grams, k, discount))


def continuation_counts(grams, k):
    """After how many different symbols each gram of table k was seen. (G_k,)

    A gram at the beginning of a story has nothing before it; it keeps its count.
    """
    different = np.bincount(grams.suffix[k + 1], minlength=len(grams.keys[k]))
    return np.where(different > 0, different, grams.counts[k])


def discounts(counts):
    """What is taken from counts of 0, 1, 2 and 3 or more: [0, D1, D2, D3], estimated from the counts of counts.

    Where these are too few for the formula (there are only some eighty bytes), 0.5, 1 and 1.5.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6).astype(float)  # n[c]: how many grams have the count c
    if n[1:5].min() > 0:
        Y = n[1] / (n[1] + 2 * n[2])
        D = np.array([0.0] + [c - (c + 1) * Y * n[c + 1] / n[c] for c in (1, 2, 3)])
        if all(0 < D[c] < c for c in (1, 2, 3)):
            return D
    return np.array([0.0, 0.5, 1.0, 1.5])


def one_longer(level, found, below):
    """The probabilities of P positions with one more symbol of context. found: (contexts, grams), each (P,)."""
    context, gram = found
    if not len(level.kept):  # no story is so long
        return below
    kept = np.where(gram >= 0, level.kept[np.maximum(gram, 0)], 0.0)
    left = np.where(context >= 0, level.left[np.maximum(context, 0)], 1.0)
    return kept + left * below


def all_orders(grams, found, smoothing):
    """Yields p (P,) for the orders 1, 2, … of one smoothing: "Witten-Bell", "Kneser-Ney", or an alpha."""
    p = uniform = np.full(len(found[0][0]), 1 / V)
    for k in range(len(grams)):
        if smoothing == "Kneser-Ney":  # only the longest context has true counts, so each order has its own top
            yield one_longer(kneser_ney(grams, k, top=True), found[k], p)
            if k + 1 < len(grams):
                p = one_longer(kneser_ney(grams, k, top=False), found[k], p)
        elif smoothing == "Witten-Bell":
            p = one_longer(witten_bell(grams, k), found[k], p)
            yield p
        else:
            alone = one_longer(add_alpha(grams, k, smoothing), found[k], uniform)
            p = np.where(found[k][0] == -2, p, alone)  # -2: the story has not so many symbols yet
            yield p


class KneserNey:
    """The model of one order, at most len(grams), as whole rows of probabilities: to tell stories with."""

    def __init__(self, grams, order):
        self.grams = grams
        self.levels = [kneser_ney(grams, k, top=k == order - 1) for k in range(order)]

    def row(self, history):
        """p of each of the V symbols after a history, a list of symbols that begins with END. (V,) float64"""
        p = np.full(V, 1 / V)
        for k, level in enumerate(self.levels[: len(history) + 1]):
            context = self.grams.context_index(history[len(history) - k :])
            if context >= 0:
                low, high = np.searchsorted(self.grams.keys[k], [context * V, (context + 1) * V])
                p = level.left[context] * p
                p[self.grams.keys[k][low:high] % V] += level.kept[low:high]
        return p


def continue_text(model, rng, length):
    """A story drawn symbol by symbol, at most `length` bytes."""
    history = [END]
    while len(history) <= length:
        symbol = rng.choice(model.row(history).tolist())
        if symbol == END:
            break
        history.append(symbol)
    return bytes(history[1:])


def longest_copy(text, source):
    """The length of the longest run of bytes of `text` that stands in `source`, word for word."""
    best = 0
    for start in range(len(text)):
        while start + best < len(text) and text[start : start + best + 1] in source:
            best += 1
    return best


def curves(grams, stories, alphas):
    """{smoothing: bits per byte for the orders 1, 2, …} of some stories. alphas: of add-alpha, tried one by one."""
    stream = symbol_stream(stories)
    found, n_bytes = grams.locate(stream), sum(len(story.encode("utf-8")) for story in stories)
    return {smoothing: [float(-np.log2(p).sum()) / n_bytes for p in all_orders(grams, found, smoothing)]
            for smoothing in (*alphas, "Witten-Bell", "Kneser-Ney")}  # fmt: skip


def best_alpha(curve, k):
    """The best of ALPHAS at one context length, by the curves of stories held out."""
    return min(ALPHAS, key=lambda alpha: curve[alpha][k])


def choose(train, orders):
    """Counts on nine tenths of train, tries everything on the tenth held out: (curves, smoothing, order)."""
    held, rest = train[9::10] or train, [story for i, story in enumerate(train) if i % 10 != 9]
    curve = curves(Grams(symbol_stream(rest), orders), held, ALPHAS)
    smoothing, k = min(((s, k) for s in curve for k in range(orders)), key=lambda choice: curve[choice[0]][choice[1]])
    print(f"\nheld out, {len(held):,} of the {len(train):,} stories\norder   add-alpha         Witten-Bell   Kneser-Ney")
    for k_row in range(orders):
        alpha = best_alpha(curve, k_row)
        print(f"{k_row + 1:5}   {curve[alpha][k_row]:.4f} ({alpha})".ljust(28)
              + f"{curve['Witten-Bell'][k_row]:9.4f} {curve['Kneser-Ney'][k_row]:12.4f}")
    print(f"the best: order {k + 1}, {smoothing}" + (" (the highest tried: see --orders)" if k + 1 == orders > 1 else ""))
    print("\nless to count, Kneser-Ney on the same stories held out")
    for part in (64, 16, 4, 1):
        few = curve["Kneser-Ney"]
        if part > 1:
            few = curves(Grams(symbol_stream(rest[::part]), orders), held, ())["Kneser-Ney"]
        print(f"{len(rest[::part]):7,} stories: order {np.argmin(few) + 1:2} is best, {min(few):.4f} bits per byte")
    return curve, smoothing, k + 1


def show_limits(grams, valid):
    """Prints for each order how much of valid's contexts is known, and bits per prediction with and without."""
    found = grams.locate(symbol_stream(valid))
    print("\norder   grams in the table   seen once   valid: context never seen   bits if seen   if not")
    for k, p in enumerate(all_orders(grams, found, "Kneser-Ney")):
        if not len(grams.keys[k]):
            break  # no story is so long
        new, bits = found[k][0] == -1, -np.log2(p)
        print(f"{k + 1:5} {len(grams.keys[k]):20,} {np.mean(grams.counts[k] == 1):11.1%} {new.mean():27.1%}"
              f" {bits[~new].mean():14.3f} " + (f"{bits[new].mean():8.3f}" if new.any() else "       -"))


def show_continuations(grams):
    """Prints for a few symbols how often they occur and after how many different ones: Kneser-Ney's two counts."""
    if len(grams) < 2:
        return
    counts, different = grams.counts[0], continuation_counts(grams, 0)
    print(f"\nof all {counts.sum():,} symbols, and of all {different.sum():,} kinds of pairs")
    for symbol in (ord(letter) for letter in "hy"):
        at = int(grams.find(0, np.int64(0), symbol))
        if at >= 0:
            print(f"  {symbol_name(symbol)} is {counts[at] / counts.sum():.1%} of the symbols; "
                  f"it follows {different[at]} different ones, {different[at] / different.sum():.1%} of the kinds")


def check_rows(grams, valid, order):
    """Asserts that whole rows sum to 1 and hold the same probabilities as the fast way, at places spread over valid."""
    model, stream = KneserNey(grams, order), symbol_stream(valid)
    found, behind = grams.locate(stream), symbols_behind(stream)
    p = next(itertools.islice(all_orders(grams, found, "Kneser-Ney"), order - 1, None))
    for at in range(1, len(stream), max(1, len(stream) // 200)):
        begin = at - behind[at - 1]
        row = model.row(stream[begin:at].tolist())
        assert abs(row.sum() - 1) < 1e-9 and abs(row[stream[at]] - p[at - 1]) < 1e-12


def show_samples(grams, train, valid, seed, length):
    """Prints a story of some orders, and how much of it was copied."""
    source = "\n".join(train).encode("utf-8")
    for order in (n for n in (1, 2, 3, 5, 7, 10) if n <= len(grams)):
        text = continue_text(KneserNey(grams, order), PCG32(seed), length)
        print(f"\norder {order}, longest piece copied {longest_copy(text, source)} bytes:")
        print(text.decode("utf-8", errors="replace"))
    test = valid[0].encode("utf-8")[:length]
    print(f"\n(the beginning of a test story, for comparison: {longest_copy(test, source)} bytes)")


def main(argv=None):
    parser = argparse.ArgumentParser(description="Counts longer contexts, backs off, and shows where counting stops.")
    parser.add_argument("--data", default="datasets/stories", help="folder of train.txt, valid.txt (default %(default)s)")
    parser.add_argument("--orders", type=positive_int, default=10, help="try the orders 1 to this one (default 10)")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of the stories told (default 0)")
    parser.add_argument("--length", type=positive_int, default=240, help="bytes of each story told (default 240)")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE", help=f"draw the curves (default {FIGURE})")
    args = parser.parse_args(argv)
    train, valid = read_both(args.data)
    held, smoothing, order = choose(train, args.orders)

    grams = Grams(symbol_stream(train), args.orders)
    alphas = sorted({best_alpha(held, k) for k in range(args.orders)})
    on_valid, on_train = curves(grams, valid, alphas), curves(grams, train[: len(valid)], alphas)
    print(f"\ntrain: the first {len(train[: len(valid)]):,} stories of those that were counted")
    print("        add-alpha           Witten-Bell         Kneser-Ney\norder" + "   train    valid   " * 3)
    for k in range(args.orders):
        names = best_alpha(held, k), "Witten-Bell", "Kneser-Ney"
        print(f"{k + 1:5}" + "  ".join(f"  {on_train[s][k]:7.4f}  {on_valid[s][k]:7.4f}" for s in names))
    show_continuations(grams)
    check_rows(grams, valid, args.orders)
    show_limits(grams, valid)
    show_samples(grams, train, valid, args.seed, args.length)
    bpb = on_valid[smoothing][order - 1]
    print(f"\nvalid {bpb:.6f} bits per byte: order {order}, {smoothing}, chosen on stories held out")
    name = smoothing if isinstance(smoothing, str) else f"alpha {smoothing}"
    append_score("bigram", f"{order}-gram, {name}", args.data, bpb)
    if args.plot:
        least = min(alphas, key=lambda alpha: min(on_valid[alpha]))
        chosen = {f"add-alpha, {least}": least, "Witten-Bell": "Witten-Bell", "Kneser-Ney": "Kneser-Ney"}
        draw_orders(*({name: curve[key] for name, key in chosen.items()} for curve in (on_train, on_valid)), args.plot)


if __name__ == "__main__":
    run(main)
