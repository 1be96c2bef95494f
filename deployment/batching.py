"""The engine over pages. Copied from chapter inference, without its demonstration: skip what you know."""

import torch

from engine import Engine
from paged import OutOfPages, PagedCache, Table


# copied from: inference/batching.py::common_length
def common_length(a, b):
    """How many tokens two lists of ids have in common at their beginning."""
    n = min(len(a), len(b))
    return next((i for i in range(n) if a[i] != b[i]), n)


# copied from: inference/batching.py::PagedEngine
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
