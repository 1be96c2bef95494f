"""From a regular expression to a machine that reads bytes: Thompson's construction, subsets, as few states as possible.

New since the last chapter: the whole of it. An expression becomes a graph (NFA) in which a text is a way
from the start to the end; sets of its states become single states (DFA), so that each byte has one way to
go; states that cannot be told apart become one. It reads bytes and not characters, because tokens are bytes:
a token may end in the middle of a character. Left out on purpose: searching within a text (the whole
text must fit), capturing groups.
Shapes: S states of the DFA; state 0 is dead, state 1 the start.

    python inference/automaton.py 'é|[0-9]{1,2}'       its states, and what a few texts do in them; one second

Papers: Thompson, "Regular Expression Search Algorithm" (1968); Rabin and Scott, "Finite Automata and Their
Decision Problems" (1959), for the subsets; Moore, "Gedanken-Experiments on Sequential Machines" (1956), for
the fewest states.
"""

import argparse
from collections import deque
from dataclasses import dataclass

import numpy as np

from cli import UserError, run
from expression import Chars, Either, Repeat, Then, parse_expression

DEAD, START = 0, 1
SIZES = (0, 0x7F), (0x80, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF)  # 1, 2, 3, 3, 4 bytes
MOST_PARTS, MOST_STATES, MOST_WORK = 50_000, 40_000, 1_500_000  # more would take minutes and is hardly meant


def byte_ranges(x, y):
    """All byte strings from x to y of one length, where each later byte runs from 0x80 to 0xBF: tuples of ranges.

    (b"\\x41", b"\\x5a") is one range, A to Z. (b"\\xc3\\xa0", b"\\xc5\\x81") is three: C3 A0-BF, C4 80-BF, C5 80-81.
    """
    rest = len(x) - 1
    if not rest:
        yield ((x[0], y[0]),)
        return
    if x[0] == y[0]:
        for tail in byte_ranges(x[1:], y[1:]):
            yield ((x[0], x[0]), *tail)
        return
    low, high = x[0], y[0]
    if x[1:] != b"\x80" * rest:  # the first byte's block is not whole
        for tail in byte_ranges(x[1:], b"\xbf" * rest):
            yield ((low, low), *tail)
        low += 1
    last = []
    if y[1:] != b"\xbf" * rest:
        last = [((high, high), *tail) for tail in byte_ranges(b"\x80" * rest, y[1:])]
        high -= 1
    if low <= high:
        yield ((low, high), *[(0x80, 0xBF)] * rest)
    yield from last


def utf8_ranges(low, high):
    """The UTF-8 of the code points low to high, as tuples of byte ranges, one range a byte."""
    for first, last in SIZES:  # within one of them all encodings are equally long
        a, b = max(low, first), min(high, last)
        if a <= b:
            yield from byte_ranges(chr(a).encode(), chr(b).encode())


class NFA:
    """Thompson's graph. edges[s]: (low byte, high byte, target); empty[s]: targets reached without a byte."""

    def __init__(self, tree):
        self.edges, self.empty, self.parts = [], [], 0
        self.start = self.state()
        self.end = self.build(tree, self.start)

    def state(self):
        """A new state."""
        self.edges.append([])
        self.empty.append([])
        return len(self.edges) - 1

    def build(self, tree, start):
        """Adds ways for the tree that begin in `start`; gives back the state in which they all end.

        Nothing but a way through the tree may lead out of `start` on its behalf, and nothing may lead back
        into `start`: a loop gets a state of its own.
        """
        self.parts += 1  # a repetition builds its tree again and again
        if self.parts > MOST_PARTS:
            raise ValueError(f"the expression has more than {MOST_PARTS:,} parts: shorten its repetitions")
        if isinstance(tree, Then):
            for part in tree.parts:
                start = self.build(part, start)
            return start
        end = self.state()
        if isinstance(tree, Chars):
            for low, high in tree.ranges:
                for encoding in utf8_ranges(low, high):
                    here = start
                    for i, (a, b) in enumerate(encoding):
                        there = end if i == len(encoding) - 1 else self.state()
                        self.edges[here].append((a, b, there))
                        here = there
        elif isinstance(tree, Either):
            for part in tree.parts:
                self.empty[self.build(part, start)].append(end)
        elif isinstance(tree, Repeat):
            for _ in range(tree.least):
                start = self.build(tree.tree, start)
            if tree.most is None:  # a loop: in, once more, out
                loop = self.state()
                self.empty[start].append(loop)
                self.empty[self.build(tree.tree, loop)].append(loop)
                start = loop
            else:  # after each of the others it may end
                for _ in range(tree.most - tree.least):
                    self.empty[start].append(end)
                    start = self.build(tree.tree, start)
            self.empty[start].append(end)
        return end

    def closure(self, states):
        """All states that can be reached from these without a byte, these included."""
        seen, todo = set(states), list(states)
        while todo:
            for target in self.empty[todo.pop()]:
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return frozenset(seen)


def cut_apart(edges):
    """Edges that overlap, cut where one begins or ends: (low, high, {targets}), apart and in order."""
    borders = sorted({low for low, _, _ in edges} | {high + 1 for _, high, _ in edges})
    for low, after in zip(borders, borders[1:]):
        targets = frozenset(target for a, b, target in edges if a <= low and after - 1 <= b)
        if targets:
            yield low, after - 1, targets


def subsets(nfa):
    """Rabin and Scott: table (S, 256) int32 of next states and accepting (S,); a state is a set of the NFA's."""
    numbers, todo = {nfa.closure([nfa.start]): START}, deque()
    todo.append(next(iter(numbers)))
    rows, accepting, closures, work = [np.zeros(256, dtype=np.int32)], [False], {}, 0
    while todo:
        states, row = todo.popleft(), np.zeros(256, dtype=np.int32)
        edges = [edge for s in states for edge in nfa.edges[s]]
        work += len(states) + len(edges)
        if work > MOST_WORK:
            raise ValueError("the expression can be read in too many ways at once: put fewer repetitions inside others")
        for low, high, targets in cut_apart(edges):
            if targets not in closures:
                closures[targets] = nfa.closure(targets)
            there = closures[targets]
            if there not in numbers:
                if len(numbers) == MOST_STATES:
                    raise ValueError(f"the expression needs more than {MOST_STATES:,} states: shorten its repetitions")
                numbers[there] = len(numbers) + 1
                todo.append(there)
            row[low : high + 1] = numbers[there]
        rows.append(row)
        accepting.append(nfa.end in states)
    return np.array(rows), np.array(accepting)


def bytes_to_go(table, accepting):
    """(S,) the fewest bytes from each state to an accepting one; -1 where there is no way."""
    before = [set() for _ in accepting]
    for state, row in enumerate(table):
        for target in np.unique(row):
            before[target].add(state)
    distance, todo = np.where(accepting, 0, -1), deque(np.flatnonzero(accepting))
    while todo:
        state = todo.popleft()
        for earlier in before[state]:
            if distance[earlier] < 0:
                distance[earlier] = distance[state] + 1
                todo.append(earlier)
    return distance


def fewest_states(table, accepting):
    """Moore: the same language with as few states as can be, numbered in the order in which they are met.

    States begin in two groups, those that accept and those that do not. A group whose members go to different
    groups by the same byte is split, until none is. To compare rows quickly each is summed with random weights,
    one number in place of 256; that no two different rows had the same sum is checked at the end.
    """
    columns = np.unique(table, axis=1)  # bytes that do the same everywhere need to be looked at once
    weights = np.random.default_rng(0).integers(1, 2**63, columns.shape[1] + 1, dtype=np.uint64)
    groups, count = accepting.astype(np.uint64), 0
    while groups.max() + 1 > count:
        count = groups.max() + 1
        sums = groups * weights[0] + (groups[columns] * weights[1:]).sum(axis=1)  # modulo 2^64
        _, member, groups = np.unique(sums, return_index=True, return_inverse=True)
        groups = groups.astype(np.uint64)
    assert (groups[table] == groups[table[member]][groups]).all() and (accepting == accepting[member][groups]).all()
    order = list(dict.fromkeys([groups[DEAD], groups[START]]))
    seen = set(order)
    for group in order:  # it grows while it is read
        for target in dict.fromkeys(groups[table[member[group]]]):
            if target not in seen:
                seen.add(target)
                order.append(target)
    number = np.zeros(len(member), dtype=np.int32)
    number[order] = np.arange(len(order))
    kept = member[order]
    return number[groups[table[kept]]], accepting[kept]


@dataclass
class DFA:
    """table (S, 256): the next state of each state and byte; accepting (S,). 0 is dead, 1 the start."""

    table: np.ndarray
    accepting: np.ndarray

    def run(self, data, state=START):
        """The state after these bytes."""
        for byte in data:
            state = int(self.table[state, byte])
        return state

    def fits(self, text):
        """Whether the whole text fits the expression."""
        return bool(self.accepting[self.run(text.encode())])


def compile_tree(tree):
    """The DFA of a tree. Every state but 0 can still reach the end. Raises ValueError where no text fits, or it is large."""
    try:
        nfa = NFA(tree)
    except RecursionError:
        raise ValueError("the expression is nested too deeply") from None
    table, accepting = subsets(nfa)
    alive = bytes_to_go(table, accepting) >= 0
    if not alive[START]:
        raise ValueError("no text fits the expression")
    table[~alive[table]] = DEAD  # a way into a dead end is none
    return DFA(*fewest_states(table, accepting))


def compile_expression(text):
    """The DFA of an expression in the usual notation (expression.py)."""
    return compile_tree(parse_expression(text))


def show_bytes(low, high):
    """A range of bytes as one reads it."""
    def name(byte):
        return repr(chr(byte))[1:-1] if 32 <= byte < 127 else f"{byte:02X}"

    return name(low) if low == high else f"{name(low)}-{name(high)}"


def arrows(dfa, state):
    """The ways out of a state: {next state: "0-9, A-F"}."""
    found, low = {}, 0
    row = dfa.table[state]
    for byte in range(1, 257):
        if byte == 256 or row[byte] != row[low]:
            if row[low] != DEAD:
                found.setdefault(int(row[low]), []).append(show_bytes(low, byte - 1))
            low = byte
    return {target: ", ".join(names) for target, names in found.items()}


def main(argv=None):
    parser = argparse.ArgumentParser(description="The automaton of a regular expression, state by state.")
    parser.add_argument("expression", nargs="?", default="é|[0-9]{1,2}", help="the expression (default %(default)s)")
    parser.add_argument("texts", nargs="*", default=["é", "7", "77", "777", ""], help="texts to try")
    args = parser.parse_args(argv)
    try:
        tree = parse_expression(args.expression)
        nfa, dfa = NFA(tree), compile_tree(tree)
    except ValueError as error:
        raise UserError(error) from None
    print(f"{args.expression}: {len(nfa.edges)} states of Thompson's, {len(dfa.table) - 1} in the end")
    for state in range(START, len(dfa.table)):
        ways = "   ".join(f"{names} -> {target}" for target, names in arrows(dfa, state).items())
        print(f"  {state}{'*' if dfa.accepting[state] else ' '}  {ways}")
    print("(* accepts; what has no arrow is dead)")
    for text in args.texts:
        print(f"{text!r:12} {'fits' if dfa.fits(text) else 'does not fit'}")


if __name__ == "__main__":
    run(main)
