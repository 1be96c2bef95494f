"""Continuous batching over pages: as many texts at once as there is memory for, and nobody waits for a long prompt.

New since the last chapter: `PagedEngine` takes the place of `Engine` (generate.py), with the same methods and the same
texts. Its texts live in the pages of paged.py, so that memory is bound by what is written and not by what might be; texts
with a common beginning compute and keep it once; a long prompt is read in parts, between the others' tokens; and
where pages run out, the text that came last gives its own back and is computed again later. As a script it serves many
readers whose prompts begin alike, with slots and with pages. Left out on purpose: one pass for prompts and single
tokens together (here there are two), and swapping pages to another memory.
Shapes: B running sequences, V vocabulary.

    python inference/batching.py                 24 readers, four ways; half a minute on one core
    python inference/batching.py --plot          also draws inference/figures/pages.svg and memory.svg

Papers: Kwon et al., "Efficient Memory Management for Large Language Model Serving with PagedAttention" (2023); Zheng
et al., "SGLang: Efficient Execution of Structured Language Model Programs" (2023); Agrawal et al., "SARATHI: Efficient LLM
Inference by Piggybacking Decodes with Chunked Prefills" (2023).
"""

import argparse
import time

import torch

from cli import UserError, positive_int, run
from generate import Engine, prompt_ids
from paged import OutOfPages, PagedCache, Table
from sampling import SamplingParams

MODEL = "deployment/weights/storyteller"
PAGES_FIGURE, MEMORY_FIGURE = "inference/figures/pages.svg", "inference/figures/memory.svg"


def common_length(a, b):
    """How many tokens two lists of ids have in common at their beginning."""
    n = min(len(a), len(b))
    return next((i for i in range(n) if a[i] != b[i]), n)


class PagedEngine(Engine):
    """Generates for many sequences at once, in pages: see `step`. `add`, `cancel` and the texts are Engine's.

    `slots` is how many run at the same time at most, `pages` (of `page_size` tokens) the memory for all of them together;
    by default as much as Engine would take. No step sends more than `budget` tokens through the model.
    With `share=False` nothing is shared or remembered. `running` is in the order of admission.
    """

    def __init__(self, model, tokenizer, slots=8, max_length=None, pages=None, page_size=16, budget=128, share=True):
        super().__init__(model, tokenizer, 0, max_length)  # without any slots: the memory is pages
        longest = -(-self.max_length // page_size)
        pages = pages or slots * longest
        if pages < longest:
            raise ValueError(f"{pages} pages of {page_size} tokens do not hold one text of {self.max_length}; "
                             f"give at least {longest}")
        if budget <= slots:
            raise ValueError(f"a budget of {budget} tokens a step leaves none for prompts; give more than {slots}")
        self.cache = PagedCache(model.config, pages, page_size, self.cache.k.dtype, self.cache.k.device)
        self.slots, self.budget, self.share = slots, budget, share
        self.tables = {}  # a running sequence -> its Table
        self.counts = {"computed": 0, "found": 0, "put_back": 0, "most_used": 0}

    @torch.inference_mode()
    def step(self):
        """At most one token for every sequence: [(sequence, piece of text)], the piece sometimes empty.

        Those that lack a single token go through the model together. What the budget leaves is for prompts: the oldest
        reads on, then new ones are let in, each a pass of its own and perhaps in parts. A prompt that is known up to its
        last token needs no pass: it joins the others in the next step.
        """
        candidates = [s for s in self.running if self._missing(s) == 1]
        single = [s for s in candidates if self._has_room(s, 1)]  # False also for those just put back
        pieces = self._forward(single, 1) if single else []
        left = self.budget - len(single)
        while left > 0:
            reading = next((s for s in self.running if self._missing(s) > 1), None)
            if reading is None:
                if not self._let_in():
                    break
            elif self._has_room(reading, n := min(left, self._missing(reading))):
                pieces += self._forward([reading], n)
                left -= n
        return pieces

    def _missing(self, sequence):
        """How many of its tokens the model has not seen."""
        return len(sequence.ids) - self.tables[sequence].length

    def _forward(self, sequences, n):
        """Sends the next n tokens of each through the model, and draws a token where none is missing then."""
        tables = [self.tables[s] for s in sequences]
        ids = torch.tensor([s.ids[t.length : t.length + n] for s, t in zip(sequences, tables)])  # (B, n)
        logits = self.model(ids.to(self.cache.k.device), self.cache.rows(tables), only_last=True)[:, 0, : self.V]
        used = self.cache.pages.count - self.cache.pages.available
        self.counts["computed"] += ids.numel()
        self.counts["most_used"] = max(self.counts["most_used"], used)
        pieces = []
        for sequence, table, row in zip(sequences, tables, logits.float().cpu().numpy()):
            if self.share:
                self.cache.remember(table, sequence.ids)
            if self._missing(sequence) == 0:
                pieces.append((sequence, self._next(sequence, row)))
                if sequence.finish_reason:
                    self._leave(sequence)
        return pieces

    def _has_room(self, sequence, n):
        """Sees to pages for its next n tokens. Where there are none, the youngest is put back, perhaps itself: False."""
        while sequence in self.tables:
            try:
                table = self.tables[sequence]
                self.cache.reserve(table, table.length + n)
                return True
            except OutOfPages:
                self._put_back(self.running[-1])
        return False

    def _put_back(self, sequence):
        """Takes its pages away; it waits, before all others, to be computed again. Its text and its random numbers stay."""
        self._leave(sequence)
        self.waiting.appendleft(sequence)
        self.counts["put_back"] += 1

    def _let_in(self):
        """Lets the first of those waiting in, with whatever is known of its tokens; False where it must wait.

        There must be pages for all its tokens, and one more for each that runs already: else one of them would
        soon be put back for it.
        """
        pages, n = self.cache.pages, len(self.running)
        if not self.waiting or n >= self.slots or n >= pages.available:
            return False
        sequence = self.waiting[0]
        table = self._known(sequence.ids)
        if self.cache.wanted(table, len(sequence.ids)) + n > pages.available:
            self.cache.release(table)
            if n:
                return False
            table = Table()  # alone, and what is known of it leaves no room for a copy: all is computed again
        self.cache.reserve(table, len(sequence.ids))
        self.counts["found"] += table.length
        self.tables[sequence] = table
        self.running.append(self.waiting.popleft())
        return True

    def _known(self, ids):
        """A table with the longest beginning of ids that is in memory: full pages, or one who runs has more in common."""
        if not self.share:
            return Table()
        table = self.cache.match(ids)
        common, other = max(((min(common_length(s.ids, ids), t.length, len(ids) - 1), t)
                             for s, t in self.tables.items()), key=lambda pair: pair[0], default=(0, None))
        if common > table.length:
            self.cache.release(table)
            table = self.cache.fork(other, common)
        return table

    def _leave(self, sequence):
        """Gives its pages back."""
        self.cache.release(self.tables.pop(sequence))
        self.running.remove(sequence)

    def statistics(self):
        """What is where, and what has been: pages by state, tokens computed and found, texts put back."""
        pages = self.cache.pages
        shared = {page for table in self.tables.values() for page in table.pages if pages.users[page] > 1}
        return {"size": self.cache.page_size, "total": pages.count, "used": pages.count - pages.available,
                "shared": len(shared), "idle": len(pages.idle), "free": len(pages.free),
                "copied": self.cache.copies, "evicted": pages.evictions, **self.counts}


BEGINNING = (
    "Once upon a time, in a small village by the sea, there lived an old man who built boats. Every morning he went down "
    "to the beach, looked at the waves, and listened to the wind. The children loved him, because he always had time for "
    'them. One day he said, "Sit down and be quiet. I will tell you how the first boat came to our village." So they all '
    "sat down in the warm sand.")
NAMES = "Lily Tom Mia Ben Anna Max Lucy Sam Sara Tim Amy Jack Ella Bob Mary Leo".split()
THINGS = "a shell, a little crab, an old rope that was tied to a tree, a red bucket, a big white feather".split(", ")


def readers(tokenizer, n, tokens):
    """n prompts with a common beginning and an end of their own, and settings: seeds 0 … n - 1, about `tokens` tokens."""
    for i in range(n):
        text = f"{BEGINNING} {NAMES[i % len(NAMES)]} found {THINGS[i % len(THINGS)]}"
        yield prompt_ids(tokenizer, text), SamplingParams(seed=i, max_tokens=tokens * (4 + 5 * i % 7) // 6)


def serve_all(engine, requests):
    """Serves all requests, which come at once, and watches.

    {"texts", "seconds", "tokens" told, "steps": a dictionary a step with how many run, the tokens that
    went through the model, those in memory, and the memory taken, in tokens}.
    """
    steps, passed, paged = [], [0], isinstance(engine, PagedEngine)
    hook = engine.model.register_forward_pre_hook(lambda model, inputs: passed.append(inputs[0].numel()))
    started = time.perf_counter()
    sequences = [engine.add(*request) for request in requests]
    while engine.running or engine.waiting:
        engine.step()
        if paged:
            books, P = engine.cache.pages, engine.cache.page_size
            taken = P * (books.count - books.available)
            held = sum(min(P, t.length - P * i) / books.users[page] for t in engine.tables.values()
                       for i, page in enumerate(t.pages) if t.length > P * i)
        else:
            taken, held = engine.max_length * len(engine.running), int(engine.cache.lengths.sum())
        steps.append({"running": len(engine.running), "passed": sum(passed), "held": held, "taken": taken})
        passed.clear()
    seconds = time.perf_counter() - started
    hook.remove()
    return {"texts": [s.text for s in sequences], "seconds": seconds, "steps": steps,
            "tokens": sum(len(s.new_ids) for s in sequences)}


def show(ways):
    """A table with a line a way, (engine, result)."""
    print(f"{'':24}{'memory':>9}{'at once':>9}{'filled':>8}{'computed':>11}{'largest step':>14}{'put back':>10}"
          f"{'tokens/s':>10}")
    for name, (engine, result) in ways.items():
        steps = [step for step in result["steps"] if step["taken"]]  # after the last step nothing is there
        filled = sum(step["held"] for step in steps) / sum(step["taken"] for step in steps)
        put_back = engine.counts["put_back"] if isinstance(engine, PagedEngine) else 0
        print(f"{name:24}{engine.cache.nbytes / 1e6:>6.1f} MB{max(s['running'] for s in result['steps']):>9}{filled:>7.0%}"
              f"{sum(s['passed'] for s in result['steps']):>11,}{max(s['passed'] for s in result['steps']):>14,}"
              f"{put_back:>10}{result['tokens'] / result['seconds']:>10.0f}")


def draw_pages(model, tokenizer, path):
    """The tables of six readers in the middle of their stories: a box a page, its number in it, dark where shared."""
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "storyteller", "svg.fonttype": "none"})  # small, and always the same
    engine = PagedEngine(model, tokenizer, slots=6, pages=96)
    for request in readers(tokenizer, 6, 100):
        engine.add(*request)
    for _ in range(45):
        engine.step()
    figure, axis = plt.subplots(figsize=(8, 2.9))
    for row, sequence in enumerate(engine.running):
        table = engine.tables[sequence]
        for i, page in enumerate(table.pages):
            shared, filled = engine.cache.pages.users[page] > 1, min(1, (table.length - 16 * i) / 16)
            color = "#2f6690" if shared else "#e0b04a"
            axis.add_patch(plt.Rectangle((i, row), 0.92 * filled, 0.8, color=color, linewidth=0))
            axis.add_patch(plt.Rectangle((i, row), 0.92, 0.8, fill=False, color="#333333", linewidth=0.8))
            axis.text(i + 0.46, row + 0.43, page, ha="center", va="center", fontsize=9,
                      color="white" if shared else "#333333")
    longest = max(len(engine.tables[s].pages) for s in engine.running)
    axis.set(xlim=(-0.1, longest + 0.1), ylim=(len(engine.running), -0.2), xlabel="page of the text, 16 tokens each",
             xticks=[i + 0.46 for i in range(longest)], xticklabels=range(1, longest + 1),
             yticks=[row + 0.4 for row in range(len(engine.running))],
             yticklabels=[f"reader {row + 1}" for row in range(len(engine.running))])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    print(f"wrote {path}")


def draw_filling(panels, path):
    """A panel a way: the memory taken, step by step, and how much of it holds tokens, both in tokens."""
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "storyteller", "svg.fonttype": "none"})
    figure, axes = plt.subplots(1, len(panels), figsize=(9, 3), sharex=True, sharey=True)
    for axis, (name, result) in zip(axes, panels.items()):
        steps = range(len(result["steps"]))
        for key, color, label in (("taken", "#e0b04a", "taken"), ("held", "#2f6690", "holds tokens")):
            heights = [step[key] for step in result["steps"]]
            axis.fill_between(steps, heights, step="post", color=color, label=label, linewidth=0)
        axis.set(title=name, xlabel="step", xlim=(0, None), ylim=(0, None))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("memory, in tokens")
    axes[-1].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    print(f"wrote {path}")


def main(argv=None):
    from checkpoint import load_or_random

    parser = argparse.ArgumentParser(description="Many readers with a common beginning: slots against pages.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    parser.add_argument("--random", type=positive_int, metavar="DEPTH", help="random weights, so many layers")
    parser.add_argument("--readers", type=positive_int, default=24, help="how many come at once (default 24)")
    parser.add_argument("--tokens", type=positive_int, default=60, help="tokens in a story, about (default 60)")
    parser.add_argument("--page-size", type=positive_int, default=16, help="tokens a page (default 16)")
    parser.add_argument("--threads", type=positive_int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--plot", action="store_true", help=f"draw {PAGES_FIGURE} and {MEMORY_FIGURE}")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    model, tokenizer, name = load_or_random(args.folder, args.random)
    requests, slots = list(readers(tokenizer, args.readers, args.tokens)), min(8, args.readers)
    prompts = [ids for ids, _ in requests]
    most = max(params.max_tokens for _, params in requests)
    if max(map(len, prompts)) + most > model.config.max_position_embeddings:
        raise UserError(f"{name} has a context of {model.config.max_position_embeddings}; the prompts have up to "
                        f"{max(map(len, prompts))} tokens, and with --tokens {args.tokens} up to {most} follow")
    few = -(-model.config.max_position_embeddings // args.page_size)  # as little as one text may need
    many, settings = slots * few, {"page_size": args.page_size, "budget": max(128, 2 * args.readers)}
    engines = {
        "one after another": Engine(model, tokenizer, 1),
        f"{slots} slots": Engine(model, tokenizer, slots),
        "pages, nothing shared": PagedEngine(model, tokenizer, args.readers, pages=many, share=False, **settings),
        "pages": PagedEngine(model, tokenizer, args.readers, pages=many, **settings),
        "few pages": PagedEngine(model, tokenizer, args.readers, pages=few, **settings),
    }
    common = min(common_length(prompts[0], ids) for ids in prompts)
    print(f"{name}: {args.readers} readers; prompts of {min(map(len, prompts))} to {max(map(len, prompts))} tokens, the "
          f"first {common} in common; {args.threads} thread(s)\n")
    ways = {way: (engine, serve_all(engine, requests)) for way, engine in engines.items()}
    show(ways)
    alone, shared = ways["one after another"][1], ways["pages"][0]
    for way, (_, result) in ways.items():
        assert result["texts"] == alone["texts"], f"{way}: a text depends on its company"
    for engine in (engine for engine, _ in ways.values() if isinstance(engine, PagedEngine)):
        engine.cache.check([])
    computed = {way: sum(step["passed"] for step in result["steps"]) for way, (_, result) in ways.items()}
    assert args.readers < 2 or computed["pages"] < computed["pages, nothing shared"], "nothing was shared"
    print(f"\nall {args.readers} texts are the same, every time; with pages, {shared.counts['found']:,} of "
          f"{sum(map(len, prompts)):,} prompt tokens were found in memory, {shared.cache.copies} pages copied on write")
    if args.plot:
        draw_pages(model, tokenizer, PAGES_FIGURE)
        draw_filling({way: ways[way][1] for way in (f"{slots} slots", "pages, nothing shared", "pages")}, MEMORY_FIGURE)


if __name__ == "__main__":
    run(main)
