"""The tables of an n-gram model: every run of 1 to n symbols that occurs, how often, and where it is found.

A gram of length k + 1 is a context of k symbols and the symbol after it. A context is a number: its place in
the table of grams that are one shorter. So a gram is two numbers, context V + symbol, whatever its length,
and a table is one sorted array of them, in which np.searchsorted finds things. N symbols are in the stream,
G_k grams in table k. No context reaches back over the END before its story.
"""

import numpy as np

from bigram import END, V
from cli import UserError


class Grams:
    """The tables of all grams of a stream. Table k holds the grams with a context of k symbols:

    keys[k]    (G_k,) sorted: context V + symbol, where the context is an index of table k - 1 (0 for k = 0)
    counts[k]  (G_k,) how often the gram occurs, at least once
    suffix[k]  (G_k,) the index in table k - 1 of the gram without its first symbol; None for k = 0
    """

    def __init__(self, stream, orders):
        self.keys, self.counts, self.suffix = [], [], []
        behind, symbol = symbols_behind(stream), stream[1:]
        context = np.zeros(len(symbol), dtype=np.int64)  # of each predicted position: an index of the last table
        shorter = None
        for k in range(orders):
            here = behind >= k  # the positions whose story has k symbols before them, END among them
            keys, counts, gram = rank((context * V + symbol)[here])
            self.keys.append(keys)
            self.counts.append(counts)
            gram_at = np.full(len(symbol), -1, dtype=np.int64)
            gram_at[here] = gram
            suffix = None
            if k:
                suffix = np.empty(len(keys), dtype=np.int32)
                suffix[gram] = shorter[here]
            self.suffix.append(suffix)
            # What was predicted here is the end of the next position's context; the first one's context is END.
            context = np.concatenate([[np.searchsorted(self.keys[0], END)], gram_at[:-1]])
            shorter = gram_at

    def __len__(self):
        return len(self.keys)

    def find(self, k, context, symbol):
        """Indices in table k of the grams (context, symbol), arrays of whole numbers; -1 where there is none."""
        if not len(self.keys[k]):  # all stories are shorter
            return np.full(np.shape(context), -1)
        wanted = context * V + symbol
        at = np.minimum(np.searchsorted(self.keys[k], wanted), len(self.keys[k]) - 1)
        return np.where((context >= 0) & (self.keys[k][at] == wanted), at, -1)

    def locate(self, stream):
        """For each k the (contexts, grams) of a stream's N - 1 predictions, as indices; -1 for what was never seen.

        The context's index is one of table k - 1 (0 for k = 0), the gram's one of table k. Both are -2 where
        the story has no k symbols before that place.
        """
        behind, symbol = symbols_behind(stream), stream[1:]
        found, context = [], np.zeros(len(symbol), dtype=np.int64)
        for k in range(len(self)):
            gram = self.find(k, context, symbol)
            found.append((np.where(behind >= k, context, -2), np.where(behind >= k, gram, -2)))
            context = np.concatenate([[np.searchsorted(self.keys[0], END)], gram[:-1]])
        return found

    def context_index(self, history):
        """The index of a context, a list of symbols, among the contexts of its length; -1 if it was never seen."""
        index = 0
        for k, symbol in enumerate(history):
            index = int(self.find(k, np.int64(index), symbol))
            if index < 0:
                return -1
        return index


def rank(values):
    """The different values in order, how often each occurs, and the place of each element's value among them.

    The same as np.unique with inverse and counts, in a third of the time: a value and its position make one
    number, and numbers alone are sorted fastest. values: (P,) whole numbers of at least 0, int64. Raises UserError.
    """
    bits = len(values).bit_length()
    if len(values) and int(values.max()) >= 1 << (63 - bits):
        raise UserError("train.txt is too long to count contexts of this length; take fewer --orders or less text")
    ordered = np.sort(values << bits | np.arange(len(values)))
    position, ordered = ordered & ((1 << bits) - 1), ordered >> bits
    first = np.flatnonzero(np.diff(ordered, prepend=-1))  # where a new value begins
    counts = np.diff(first, append=len(values)).astype(np.int32)
    places = np.empty(len(values), dtype=np.int64)
    places[position] = np.repeat(np.arange(len(first)), counts)
    return ordered[first], counts, places


def symbols_behind(stream):
    """How many symbols stand before each predicted position, back to the END before its story. (N,) -> (N - 1,)"""
    at = np.arange(len(stream))
    last_end = np.maximum.accumulate(np.where(stream == END, at, 0))  # at or before each position
    return at[1:] - last_end[:-1]
