"""The engine: many texts at once, one token each a step, every one as if it were alone.

New since the last chapter: the whole of it. A model says what may come next; here a prompt goes in
and text comes out, piece by piece, for as many readers as there are slots. Left out on purpose: cutting
long prompts into parts so that the others need not wait, and sharing the beginnings that prompts have
in common.
Shapes: B running sequences, V vocabulary.

    python inference/generate.py                                        the shipped model tells a story
    python inference/generate.py FOLDER --prompt "Once upon a time" --temperature 0
    python inference/generate.py --stories 8 --seed 1                   eight stories at once

It starts in two seconds and then writes some hundred tokens a second on one core. The text goes to
standard output and what there is to say about it to standard error; nothing is written to the disk.

Paper: Yu et al., "Orca: A Distributed Serving System for Transformer-Based Generative Models" (2022),
for batches that sequences join and leave at every step.
"""

import argparse
import os
import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

import torch

from checkpoint import load_model
from cli import UserError, non_negative_float, non_negative_int, positive_int, probability, run
from hardware import choose_device
from kv_cache import KVCache
from rng import PCG32
from sampling import SamplingParams, sample_token
from tokenizer import StreamDecoder, Tokenizer

MODEL = "deployment/weights/storyteller"
BEGIN = "<|endoftext|>"  # it ends every story, so it also stands before every one


class Sequence:
    """One text in the making: its ids, its random numbers, and the text that is safe to show.

    `finish_reason` is None while it runs; then "stop" (an end mark or a stop string came), "length" (the
    tokens asked for are there, or the context is full) or "cancel".
    """

    def __init__(self, prompt_ids, params, tokenizer):
        self.ids = list(prompt_ids)
        self.params = params
        self.ends = frozenset(tokenizer.special.values())  # any special token ends the text
        self.history = [i for i in self.ids if i not in self.ends]  # a penalty must not forbid the end mark
        self.new_ids = []  # those generated
        self.seed = int.from_bytes(os.urandom(4), "little") if params.seed is None else params.seed
        self.rng = PCG32(self.seed)
        self.decoder = StreamDecoder(tokenizer)  # holds back the first bytes of a character
        self.held = ""  # text that may be the beginning of a stop string
        self.text = ""  # what has been given out
        self.finish_reason = None

    def accept(self, token, full):
        """Takes the next token; gives back the text that is now safe to show. `full`: no room for more."""
        if token in self.ends:
            return self.finish("stop")
        self.ids.append(token)
        self.history.append(token)
        self.new_ids.append(token)
        self.held += self.decoder.push(token)
        cut = find_stop(self.held, self.params.stop)
        if cut is not None:
            self.held = self.held[:cut]
            return self.finish("stop", complete=False)
        if full or len(self.new_ids) >= self.params.max_tokens:
            return self.finish("length")
        return self.release(len(self.held) - possible_stop(self.held, self.params.stop))

    def release(self, n):
        """Gives out the first n characters of those held back."""
        piece, self.held = self.held[:n], self.held[n:]
        self.text += piece
        return piece

    def finish(self, reason, complete=True):
        """Ends the text. What was held back is no stop string after all; half a character becomes U+FFFD."""
        if complete:
            self.held += self.decoder.flush()
        self.finish_reason = reason
        return self.release(len(self.held))


def find_stop(text, stops):
    """Where to cut `text`: the beginning of the stop string that is complete first, or None.

    First complete, not first begun: so the cut is the same however the text was split into tokens.
    """
    found = [(start + len(stop), start) for stop in stops if (start := text.find(stop)) >= 0]
    return min(found)[1] if found else None


def possible_stop(text, stops):
    """How many characters at the end of `text` may be the beginning of a stop string."""
    return max((n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)


class Engine:
    """Generates for many sequences at once (continuous batching): see `step`.

    `slots` is how many run at the same time, others wait their turn; `max_length` the context of each
    in tokens (default: the model's).
    """

    def __init__(self, model, tokenizer, slots=8, max_length=None):
        self.model, self.tokenizer = model.eval(), tokenizer
        context = model.config.max_position_embeddings
        self.max_length = min(max_length or context, context)
        self.V = min(model.config.vocab_size, tokenizer.vocab_size)  # some models have rows to spare
        weight = next(model.parameters())
        self.cache = KVCache(model.config, slots, self.max_length, weight.dtype, weight.device)
        self.running, self.waiting = [], deque()  # running[i] lives in slot i of the cache

    def add(self, prompt_ids, params):
        """A new Sequence, which takes part from the next step on. Raises ValueError with one clear line."""
        params.check()
        prompt_ids = list(prompt_ids)
        if not prompt_ids:
            raise ValueError("the prompt has no tokens; it needs at least the begin mark")
        if len(prompt_ids) > self.max_length:
            raise ValueError(f"the prompt has {len(prompt_ids)} tokens, the context holds {self.max_length}; "
                             "shorten it")
        if not all(0 <= i < self.V for i in prompt_ids):
            raise ValueError(f"the prompt has a token id that is not in 0 to {self.V - 1}")
        sequence = Sequence(prompt_ids, params, self.tokenizer)
        self.waiting.append(sequence)
        return sequence

    def cancel(self, sequence):
        """Ends a sequence at once, running or waiting; one that has ended stays as it is."""
        if sequence in self.running:
            self._leave(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)
        if sequence.finish_reason is None:
            sequence.finish_reason = "cancel"

    @torch.inference_mode()
    def step(self):
        """One token for every sequence: [(sequence, piece of text)], the piece sometimes empty.

        Those that run go through the model together, a token each. New ones, where a slot is free, go
        through alone, with their whole prompt. Whoever ends leaves its slot before the next step.
        """
        old, results = len(self.running), []
        if old:
            last = torch.tensor([[s.ids[-1]] for s in self.running], device=self.cache.k.device)  # (B, 1)
            logits = self.model(last, self.cache.rows(0, old), only_last=True)[:, 0, : self.V]  # (B, V)
            results = list(zip(self.running, logits.float().cpu().numpy()))
        while self.waiting and len(self.running) < self.cache.slots:
            slot, sequence = len(self.running), self.waiting.popleft()
            self.running.append(sequence)
            prompt = torch.tensor([sequence.ids], device=self.cache.k.device)  # (1, T)
            logits = self.model(prompt, self.cache.rows(slot, slot + 1), only_last=True)[:, 0, : self.V]
            results.append((sequence, logits[0].float().cpu().numpy()))
        pieces = [(sequence, self._next(sequence, logits)) for sequence, logits in results]
        for sequence in [s for s in reversed(self.running) if s.finish_reason]:
            self._leave(sequence)
        return pieces

    def _next(self, sequence, logits):
        token = sample_token(logits, sequence.params, sequence.rng, sequence.history)
        return sequence.accept(token, full=len(sequence.ids) >= self.max_length)

    def _leave(self, sequence):
        """Frees its slot. The last sequence moves into the gap, as its keys do: the batch stays dense."""
        slot = self.running.index(sequence)
        self.cache.free(slot, used=len(self.running))
        last = self.running.pop()
        if slot < len(self.running):
            self.running[slot] = last


def prompt_ids(tokenizer, prompt):
    """The ids a model is given: the mark before every story, then the prompt's own."""
    if BEGIN not in tokenizer.special:
        raise ValueError(f"the tokenizer has no token {BEGIN}, with which every text begins")
    return [tokenizer.special[BEGIN]] + tokenizer.encode(prompt)


def generate(model, tokenizer, prompt, params):
    """Continues one prompt: an iterator over pieces of text, each given as soon as it is safe to show."""
    engine = Engine(model, tokenizer, slots=1)
    engine.add(prompt_ids(tokenizer, prompt), params)
    while engine.running or engine.waiting:
        for _, piece in engine.step():
            if piece:
                yield piece


def write_stories(engine, prompt, sequences):
    """Runs the engine to the end. A single text is shown as it grows, several each when it has ended."""
    alone = len(sequences) == 1
    if alone:
        print(prompt, end="", flush=True)
    while engine.running or engine.waiting:
        for sequence, piece in engine.step():
            if alone:
                print(piece, end="", flush=True)
            elif sequence.finish_reason:
                print(f"--- seed {sequence.seed}\n{prompt}{sequence.text}\n", flush=True)
    if alone:
        print()


def command_line(description):
    """The command line of whatever tells stories: a folder, a prompt, and every setting of SamplingParams."""
    default = SamplingParams()
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    add("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    add("--prompt", default="Once upon a time", help="the beginning; - reads standard input")
    add("--temperature", type=non_negative_float, default=default.temperature,
        help="below 1 more predictable, above 1 wilder, 0 always the most probable (default %(default)s)")
    add("--top-k", type=non_negative_int, default=default.top_k,
        help="keep the K most probable tokens; 0 keeps all (default %(default)s)")
    add("--top-p", type=probability, default=default.top_p,
        help="keep the most probable tokens that sum to P (default %(default)s)")
    add("--min-p", type=probability, default=default.min_p,
        help="keep tokens at least this many times as probable as the first (default %(default)s)")
    add("--repetition-penalty", type=non_negative_float, default=default.repetition_penalty,
        help="above 1 makes what was said less likely (default %(default)s)")
    add("--tokens", type=positive_int, default=default.max_tokens, help="most tokens in a story (default %(default)s)")
    add("--stop", action="append", default=[], metavar="TEXT", help="end before TEXT; may be given again")
    add("--seed", type=non_negative_int, help="the same seed, the same text (default: a new one)")
    add("--stories", type=positive_int, default=1, help="how many to tell at once, with seeds counting up (default 1)")
    add("--threads", type=positive_int, default=1, help="CPU threads (default 1: see the README)")
    return parser


def tell_and_time(engine, ids_of, args):
    """What command_line asked for, written to standard output; ids_of(prompt) are the ids. A line about its speed."""
    prompt = sys.stdin.read().rstrip("\n") if args.prompt == "-" else args.prompt
    first = int.from_bytes(os.urandom(4), "little") if args.seed is None else args.seed
    names = "temperature", "top_k", "top_p", "min_p", "repetition_penalty"
    settings = SamplingParams(**{name: getattr(args, name) for name in names}, max_tokens=args.tokens,
                              stop=tuple(args.stop))
    try:
        prompt.encode("utf-8")  # an argument that is not UTF-8 could be neither understood nor shown
        ids = ids_of(prompt)
        sequences = [engine.add(ids, replace(settings, seed=first + i)) for i in range(args.stories)]
    except UnicodeEncodeError:
        raise UserError("the prompt is not UTF-8 text") from None
    except ValueError as error:
        raise UserError(error) from None
    started = time.perf_counter()
    write_stories(engine, prompt, sequences)
    seconds, tokens = time.perf_counter() - started, sum(len(s.new_ids) for s in sequences)
    return f"seed {first}: {tokens} tokens in {seconds:.2f} s, {tokens / seconds:.0f} tokens/s"


def main(argv=None):
    parser = command_line("Continues a prompt with a trained model, as it is written.")
    parser.add_argument("--device", default="auto", help="cuda, mps or cpu (default: the first there is)")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32",
                        help="bfloat16 halves the bytes and rounds (default %(default)s)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    model = load_model(args.folder, device, getattr(torch, args.dtype))
    tokenizer = Tokenizer.load(Path(args.folder) / "tokenizer.json")
    engine = Engine(model, tokenizer, slots=min(args.stories, 16))
    said = tell_and_time(engine, lambda prompt: prompt_ids(tokenizer, prompt), args)
    print(f"{args.folder} on {device}, {said}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
