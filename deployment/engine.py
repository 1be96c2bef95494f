"""The engine: many texts at once. Copied from chapter inference, without its command line: skip what you know."""

import os
from collections import deque

import torch

from kv_cache import KVCache
from rng import PCG32
from sampling import sample_token
from tokenizer import StreamDecoder

# copied from: inference/generate.py::BEGIN
BEGIN = "<|endoftext|>"  # it ends every story, so it also stands before every one


# copied from: inference/generate.py::Sequence
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


# copied from: inference/generate.py::find_stop
def find_stop(text, stops):
    """Where to cut `text`: the beginning of the stop string that is complete first, or None.

    First complete, not first begun: so the cut is the same however the text was split into tokens.
    """
    found = [(start + len(stop), start) for stop in stops if (start := text.find(stop)) >= 0]
    return min(found)[1] if found else None


# copied from: inference/generate.py::possible_stop
def possible_stop(text, stops):
    """How many characters at the end of `text` may be the beginning of a stop string."""
    return max((n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)


# copied from: inference/generate.py::Engine
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


# copied from: inference/generate.py::prompt_ids
def prompt_ids(tokenizer, prompt):
    """The ids a model is given: the mark before every story, then the prompt's own."""
    if BEGIN not in tokenizer.special:
        raise ValueError(f"the tokenizer has no token {BEGIN}, with which every text begins")
    return [tokenizer.special[BEGIN]] + tokenizer.encode(prompt)
