"""The engines behind the server: one in C for the first readers, one over pages in torch for many, and for a GPU.

New since the last chapter: there are two that tell the same stories. On a CPU the engine in C is the faster one: it spends
no time in Python between two operations. It keeps a whole context for each of its stories, so it has few places. The paged
one has as many as there is memory for, shares what beginnings have in common, and runs on a GPU. A story stays where it
began. Left out on purpose: moving one.

    --engine auto     both (the default); torch alone where there is no C compiler or the model is not on the CPU, and
                      until the C code has been compiled at the first start
    --engine torch    the paged one alone
    --engine c        the one in C alone

Paper: Kwon et al., "Efficient Memory Management for Large Language Model Serving with PagedAttention" (2023).
"""

import os
import queue
import threading
import time
from pathlib import Path

from cli import UserError

PAGE = 16  # tokens
C_SLOTS = 8  # stories that the engine in C tells at a time, where torch is there, too
C_STEPS = 6  # tokens that C tells for one of torch where both are busy: about as much time for each
PATIENCE = 5  # seconds that the start waits for the engine in C: enough for loading, not for compiling


class Engines:
    """One engine or two, with the interface of one: add, cancel, step, running, waiting.

    `engines` is {"torch": …, "c": …} or one of them; where `later` is given, a queue, the other may come through it.
    At most `slots` stories run at a time, in both together, `c_slots` of them in C.
    """

    def __init__(self, engines, slots, later=None, c_slots=C_SLOTS):
        self.engines, self.slots, self.c_slots, self.later, self.without_c = {}, slots, c_slots, later, None
        self.told = {}
        for name, engine in engines.items():
            self.join(name, engine)
        self.first = next(iter(engines.values()))  # where stories wait
        self.tokenizer, self.V = self.first.tokenizer, self.first.V
        self.max_length = min(engine.max_length for engine in engines.values())

    def join(self, name, engine):
        """One engine more."""
        self.engines[name], self.told[name] = engine, 0

    @property
    def running(self):
        return [sequence for engine in self.engines.values() for sequence in engine.running]

    @property
    def waiting(self):
        return [sequence for engine in self.engines.values() for sequence in engine.waiting]

    def add(self, prompt_ids, params):
        """A new Sequence, which takes part from the next step on. Raises ValueError with one clear line."""
        return self.first.add(prompt_ids, params)

    def cancel(self, sequence):
        """Ends a sequence at once, running or waiting; one that has ended stays as it is."""
        for engine in self.engines.values():
            if sequence in engine.running or sequence in engine.waiting:
                engine.cancel(sequence)

    def step(self):
        """At most one token for every story, C_STEPS in C where both engines tell: [(sequence, its piece of text)].

        A step of C is over long before one of torch, and would have to wait for it each time.
        """
        self.look()
        if len(self.engines) == 2:
            self.assign()
        pieces, both = {}, len(self.engines) == 2 and all(engine.running for engine in self.engines.values())
        for name, engine in self.engines.items():
            for _ in range(C_STEPS if both and name == "c" else 1):
                if not engine.running and not engine.waiting:
                    break
                now = engine.step()
                self.told[name] += sum(sequence.finish_reason is not None for sequence, _ in now)
                for sequence, piece in now:
                    pieces[sequence] = pieces.get(sequence, "") + piece
        return list(pieces.items())

    def look(self):
        """Whether the engine in C has come meanwhile, or the reason why it will not."""
        while self.later and not self.later.empty():
            came = self.later.get()
            if isinstance(came, Exception):
                self.without_c = str(came)
            else:
                self.join("c", came)

    def assign(self):
        """C takes new stories as long as it has a place, pages those beyond; what has begun in pages stays there."""
        c, paged = self.engines["c"], self.engines["torch"]
        places = min(self.c_slots, self.slots - len(paged.running))
        while paged.waiting and not paged.waiting[0].new_ids and len(c.running) + len(c.waiting) < places:
            c.waiting.append(paged.waiting.popleft())
        paged.slots = self.slots - len(c.running) - len(c.waiting)

    def statistics(self):
        """What /health shows of it: how many stories each has told, the pages, and why there is no engine in C."""
        facts = {"told_by": dict(self.told)}
        if "torch" in self.engines:
            facts["pages"] = self.engines["torch"].statistics()
        if self.later and "c" not in self.engines:
            facts["without_c"] = self.without_c or "it is being compiled"
        return facts


def load_engine(folder, device="auto", threads=1, slots=8, kind="auto", pages=None):
    """The engines for a model folder, warm, and their description for /health.

    torch is imported here and not at the top: it takes longer than everything else that a server
    needs to start, and the page can be shown meanwhile.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin would starve the event loop
    began = time.monotonic()
    import torch

    from hardware import choose_device

    torch.set_num_threads(threads)
    device, facts = choose_device(device), {}
    if kind == "c":
        both = Engines({"c": c_engine(folder, device, threads, slots)}, slots)
    else:
        paged = paged_engine(folder, device, slots, pages)
        both = Engines({"torch": paged}, slots, queue.SimpleQueue() if kind == "auto" else None)
        facts["parameters"] = paged.model.count_parameters()
    if kind == "auto":
        # Beside this thread: at the first start the C code must be compiled, and torch can tell stories meanwhile.
        bringing = threading.Thread(target=bring_c, args=(both.later, folder, device, threads), daemon=True)
        bringing.start()
        bringing.join(PATIENCE)
        both.look()
    return both, {**facts, "device": str(device), "threads": threads, "context": both.max_length,
                  "load_seconds": round(time.monotonic() - began, 2)}


def warm(engine):
    """The first step of a process is its slowest: take it now, with nobody waiting."""
    from engine import prompt_ids
    from sampling import SamplingParams

    engine.add(prompt_ids(engine.tokenizer, "Once"), SamplingParams(max_tokens=2, seed=0))
    while engine.running or engine.waiting:
        engine.step()
    return engine


def bring_c(later, folder, device, threads):
    """Puts an engine in C into the queue, or the reason why there is none, which is printed as well."""
    try:
        later.put(c_engine(folder, device, threads, C_SLOTS))
    except Exception as error:  # whatever is wrong with it, torch goes on
        print(f"torch tells all stories, without the engine in C: {error}", flush=True)
        later.put(error)


def paged_engine(folder, device, slots, pages):
    """The engine of batching.py, with as much memory as `slots` whole contexts need if `pages` is None."""
    from batching import PagedEngine
    from checkpoint import load_model
    from tokenizer import Tokenizer

    model = load_model(folder, device)
    try:
        engine = PagedEngine(model, Tokenizer.load(Path(folder) / "tokenizer.json"), slots, pages=pages, page_size=PAGE,
                             budget=max(128, 2 * slots))
    except ValueError as error:
        raise UserError(f"--pages {pages}: {error}") from None
    return warm(engine)


def c_engine(folder, device, threads, slots):
    """The engine of csrc/engine.c. Raises UserError where it cannot be had."""
    from c_engine import CEngine

    if device.type != "cpu":
        raise UserError(f"it computes on the CPU, and the model is on {device}")
    return warm(CEngine(folder, slots=slots, threads=threads))
