"""Generation held to a form: at every step, only tokens that leave a way to the end may be drawn.

New since the last chapter: the whole of it. A form is a regular expression or a JSON schema, compiled to
an automaton over bytes (automaton.py). For each of its states, one walk through a tree of the vocabulary finds which
tokens lead on; all others get a logit of minus infinity before the sampler sees them. The end mark is allowed
where the text may end, and a token only if what is left of the budget suffices to end: so every text
fits, whatever the model, the seed and the temperature. Left out on purpose: forms that count brackets
(context-free grammars), and the bias that a mask brings (see the README).
Shapes: V tokens, S states, N nodes of the vocabulary's tree.

    python inference/structured.py                                    three cards of a story; five seconds
    python inference/structured.py --regex 'The (cat|dog) [a-z ]{3,40}\\.'
    python inference/structured.py --schema FILE --temperature 1.5 --count 5
    python inference/structured.py --plot                             also draws inference/figures/structured.svg

Paper: Willard and Louf, "Efficient Guided Generation for Large Language Models" (2023).
"""

import argparse
import json
import sys
import time
from collections import deque
from dataclasses import replace

import numpy as np
import torch

from automaton import DEAD, START, arrows, compile_expression, compile_tree
from checkpoint import load_or_random
from cli import UserError, non_negative_float, non_negative_int, positive_int, probability, run
from generate import MODEL, Engine, prompt_ids
from sampling import SamplingParams
from schema import CARD, read_schema, schema_tree

FIGURE = "inference/figures/structured.svg"
NEVER = 1 << 30  # more steps than any budget


class TokenTree:
    """The vocabulary as a tree: a node is a beginning of tokens, its children go on by one byte.

    Nodes are numbered level by level, so that all nodes of a level take their step at once. What many tokens begin
    with is read once: the 4,092 tokens of the course have 20,216 bytes, their tree has 7,388 nodes.
    """

    def __init__(self, tokens):
        """tokens: the bytes of each id; None for those that are no text."""
        number, parents, last_bytes = {b"": 0}, [0], [0]
        self.levels = [(0, 1)]
        for length in range(1, 1 + max(len(token) for token in tokens if token is not None)):
            for token in tokens:
                if token is not None and len(token) >= length and token[:length] not in number:
                    number[token[:length]] = len(parents)
                    parents.append(number[token[: length - 1]])
                    last_bytes.append(token[length - 1])
            self.levels.append((self.levels[-1][1], len(parents)))
        self.parents, self.last_bytes = np.array(parents), np.array(last_bytes)  # (N,)
        self.text = np.array([token is not None and len(token) > 0 for token in tokens])  # (V,)
        self.node = np.array([number[token or b""] for token in tokens])  # (V,) where each token ends

    def walk(self, table, state):
        """(V,) the automaton's state after each token, 0 where it died on the way."""
        states = np.empty(len(self.parents), dtype=table.dtype)
        states[0] = state
        for low, high in self.levels[1:]:
            states[low:high] = table[states[self.parents[low:high]], self.last_bytes[low:high]]
        return np.where(self.text, states[self.node], DEAD)


class Form:
    """An automaton and a vocabulary: which tokens lead from which state to which, and how far the end is."""

    def __init__(self, dfa, tokenizer):
        self.dfa = dfa
        self.ends = sorted(tokenizer.special.values())  # any of them ends a text, for the engine as well
        special = set(self.ends)
        self.tree = TokenTree([None if i in special else token for i, token in enumerate(tokenizer.tokens)])
        self.known = {}  # state -> what walk() said
        self.steps = self.steps_to_go()
        if self.steps[START] == NEVER:
            raise ValueError("no sequence of the vocabulary's tokens fits the form")

    def next_states(self, state):
        """(V,) the state after each token; computed once for each state."""
        if state not in self.known:
            self.known[state] = self.tree.walk(self.dfa.table, state)
        return self.known[state]

    def steps_to_go(self):
        """(S,) the fewest tokens from each state to an accepting one: breadth first, backwards."""
        before = [[] for _ in self.dfa.accepting]
        for state in range(START, len(before)):
            for target in np.unique(self.tree.walk(self.dfa.table, state)):
                before[target].append(state)
        steps, todo = np.where(self.dfa.accepting, 0, NEVER), deque(np.flatnonzero(self.dfa.accepting))
        while todo:
            state = todo.popleft()
            for earlier in before[state]:
                if steps[earlier] == NEVER:
                    steps[earlier] = steps[state] + 1
                    todo.append(earlier)
        return steps

    def guide(self, room):
        """A new text's way through the form, `room` tokens long at most."""
        return Guide(self, room)

    def allowed(self, state, room):
        """(V,) which tokens may come, where `room` more fit: afterwards the end must still be within reach."""
        allowed = self.steps[self.next_states(state)] <= room - 1  # the dead state is NEVER away
        allowed[self.ends] = self.dfa.accepting[state]
        return allowed


class Guide:
    """The way of one text through a form: a state, and how many tokens are left."""

    def __init__(self, form, room):
        if form.steps[START] > room:
            raise ValueError(f"the shortest text of this form has {form.steps[START]} tokens, there is room for {room}")
        self.form, self.state, self.room = form, START, room

    def mask(self, logits):
        """The logits (V,) of the next token, those that may not come set to minus infinity; a copy."""
        allowed = self.form.allowed(self.state, self.room)
        return np.where(allowed[: len(logits)], logits, np.float32("-inf"))

    def accept(self, token):
        """Goes on by a token that the mask allowed."""
        if token not in self.form.ends:
            self.state, self.room = int(self.form.next_states(self.state)[token]), self.room - 1


class GuidedEngine(Engine):
    """The engine, in which any text may be held to a form. Others run beside it as before."""

    def add(self, prompt_ids, params, form=None):
        """As Engine.add; the new text (without the prompt) will fit the form, if one is given."""
        if form and params.stop:
            raise ValueError("a text that is held to a form ends by its form; leave out the stop strings")
        sequence = super().add(prompt_ids, params)
        try:  # a context of L tokens has room for L + 1: the last one is never sent through the model
            room = min(params.max_tokens, self.max_length + 1 - len(sequence.ids))
            sequence.guide = form.guide(room) if form else None
        except ValueError:
            self.cancel(sequence)
            raise
        return sequence

    def _next(self, sequence, logits):
        guide = sequence.guide
        if guide:
            logits = guide.mask(logits)
        piece = super()._next(sequence, logits)
        if guide and len(sequence.new_ids) > 0 and sequence.finish_reason != "stop":
            guide.accept(sequence.new_ids[-1])
        return piece


def tell_in_form(engine, form, prompt, params, count):
    """`count` texts of the form with seeds that count up: the sequences, ended."""
    ids = prompt_ids(engine.tokenizer, prompt)
    sequences = [engine.add(ids, replace(params, seed=params.seed + i), form) for i in range(count)]
    while engine.running or engine.waiting:
        engine.step()
    return sequences


def without_choice(form, sequence):
    """At how many of its steps a text had no choice: a single token was allowed."""
    guide, alone = form.guide(NEVER), 0
    for token in sequence.new_ids:
        alone += np.count_nonzero(form.allowed(guide.state, guide.room)) == 1
        guide.accept(token)
    return alone


def draw_form(tokenizer, expression, path):
    """The automaton of a small expression; below each state how many tokens may come, and the longest of them."""
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "storyteller", "svg.fonttype": "none"})  # small, and always the same
    form = Form(compile_expression(expression), tokenizer)
    depth = dict.fromkeys(range(START, len(form.dfa.table)), 0)  # the longest way from the start: no loops here
    for _ in depth:
        for state in depth:
            for target in arrows(form.dfa, state):
                depth[target] = max(depth[target], depth[state] + 1)
    levels = [[state for state in depth if depth[state] == x] for x in range(max(depth.values()) + 1)]
    place = {state: (x, (len(level) - 1) * (0.75 - 1.5 * i)) for x, level in enumerate(levels)
             for i, state in enumerate(level)}  # fmt: skip
    figure, axis = plt.subplots(figsize=(8, 3.6))
    for state, (x, y) in place.items():
        allowed = form.allowed(state, NEVER)
        shown = sorted((tokenizer.tokens[i] for i in np.flatnonzero(allowed) if i not in form.ends), key=len)[::-1]
        names = [token.decode(errors="replace").replace(" ", "␣") for token in shown[:3]]
        names += ["the end mark"] * int(form.dfa.accepting[state])
        text = "\n".join([f"{np.count_nonzero(allowed)} of {len(allowed):,}", *names])
        axis.text(x, y - 0.3, text, ha="center", va="top",
                  fontsize=7.5, color="#8a3b12", linespacing=1.25)  # fmt: skip
        for radius in (0.2, 0.15) if form.dfa.accepting[state] else (0.2,):
            axis.add_patch(plt.Circle((x, y), radius, facecolor="#d9e5ec", edgecolor="#2f6690"))
        axis.text(x, y, str(state), ha="center", va="center", fontsize=9)
        for target, names in arrows(form.dfa, state).items():
            to_x, to_y = place[target]
            bend = 0.5 * (depth[target] > depth[state] + 1)  # around the state between
            style = {"arrowstyle": "->", "shrinkA": 13, "shrinkB": 13, "connectionstyle": f"arc3,rad={-bend}"}
            axis.annotate("", (to_x, to_y), (x, y), arrowprops=style)
            axis.text((x + to_x) / 2, (y + to_y) / 2 + 0.09 + bend, names.replace(" ", "␣"), ha="center", fontsize=9)
    axis.set(xlim=(-0.5, len(levels) - 0.5), ylim=(-1.6, 1.1), aspect="equal", title=expression.replace(" ", "␣"))
    axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    print(f"wrote {path}")


def command_line():
    """The command line."""
    default = SamplingParams()
    parser = argparse.ArgumentParser(description="Generates text that fits a regular expression or a JSON schema.")
    add = parser.add_argument
    add("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    add("--random", type=positive_int, metavar="DEPTH", help="random weights, so many layers")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--regex", metavar="EXPRESSION", help="what the text must look like (see expression.py)")
    kind.add_argument("--schema", metavar="FILE", help="a JSON schema (see schema.py; default: the card of a story)")
    add("--prompt", default="", help="what stands before the text (default: nothing but the begin mark)")
    add("--count", type=positive_int, default=3, help="how many texts, with seeds counting up (default 3)")
    add("--temperature", type=non_negative_float, default=default.temperature, help="default %(default)s")
    add("--top-p", type=probability, default=default.top_p, help="default %(default)s")
    add("--tokens", type=positive_int, default=100, help="most tokens in a text (default %(default)s)")
    add("--seed", type=non_negative_int, default=1, help="of the first text (default %(default)s)")
    add("--threads", type=positive_int, default=1, help="CPU threads (default 1)")
    add("--plot", action="store_true", help=f"draw {FIGURE}")
    return parser


def main(argv=None):
    args = command_line().parse_args(argv)
    torch.set_num_threads(args.threads)
    started = time.perf_counter()
    try:
        dfa = compile_expression(args.regex) if args.regex is not None else \
            compile_tree(schema_tree(read_schema(args.schema) if args.schema else CARD))
        model, tokenizer, name = load_or_random(args.folder, args.random)
        loaded = time.perf_counter()
        form = Form(dfa, tokenizer)
        built = time.perf_counter() - loaded
        engine = GuidedEngine(model, tokenizer, slots=min(args.count, 8))
        params = SamplingParams(temperature=args.temperature, top_p=args.top_p, max_tokens=args.tokens, seed=args.seed)
        sequences = tell_in_form(engine, form, args.prompt, params, args.count)
    except ValueError as error:
        raise UserError(error) from None
    for sequence in sequences:
        print(sequence.text)
        assert dfa.fits(sequence.text), "the text does not fit"
        if args.regex is None:
            json.loads(sequence.text)
    tokens, alone = sum(len(s.new_ids) for s in sequences), sum(without_choice(form, s) for s in sequences)
    print(f"\n{name}: {tokens} tokens, {alone} of them without a choice; {len(dfa.table) - 1:,} states, "
          f"at least {form.steps[START]} tokens; masks in {built:.2f} s of {time.perf_counter() - started:.1f} s",
          file=sys.stderr)
    if args.plot:
        draw_form(tokenizer, " (cat|dog)s?!", FIGURE)


if __name__ == "__main__":
    run(main)
