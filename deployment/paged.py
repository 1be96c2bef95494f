"""The paged KV cache. Copied from chapter inference, without its demonstration: skip what you know."""

import hashlib
from array import array
from collections import OrderedDict
from dataclasses import dataclass, field

import torch


# copied from: inference/paged.py::OutOfPages
class OutOfPages(Exception):
    """No page is free, and none can be freed."""


# copied from: inference/paged.py::Pages
class Pages:
    """Who uses which page. Knows nothing of what is in them but a key, by which it is found again.

    A page is free, or used by one text or several (`users`), or idle: nobody uses it, but its key is known. Idle
    pages are given out again when no free ones are left, the one that has been idle for longest first.
    """

    def __init__(self, count):
        self.count = count
        self.free = list(range(count))[::-1]  # a stack: page 0 is the first to go
        self.users = [0] * count
        self.key = [None] * count  # page -> key, None where its content is not (yet) one that others may use
        self.page_of = {}  # key -> page
        self.idle = OrderedDict()  # page -> None, the longest idle first
        self.evictions = 0

    @property
    def available(self):
        """How many pages can still be given out."""
        return len(self.free) + len(self.idle)

    def take(self):
        """A page for one user, its content undefined. Raises OutOfPages."""
        if self.free:
            page = self.free.pop()
        elif self.idle:
            page, _ = self.idle.popitem(last=False)
            del self.page_of[self.key[page]]
            self.key[page] = None
            self.evictions += 1
        else:
            raise OutOfPages
        self.users[page] = 1
        return page

    def share(self, page):
        """One user more, of a page that is used or idle."""
        self.idle.pop(page, None)
        self.users[page] += 1
        return page

    def give_back(self, page):
        """One user less. The last one leaves it idle where others could find it, else free."""
        self.users[page] -= 1
        if self.users[page] == 0:
            if self.key[page] is None:
                self.free.append(page)
            else:
                self.idle[page] = None

    def remember(self, page, key):
        """The page is full and will not change: whoever has the same key may use it. The first with a key stays."""
        if key not in self.page_of:
            self.page_of[key], self.key[page] = page, key

    def writable(self, page):
        """Whether its user may write into it: it is the only one, and nobody can find the page."""
        return self.users[page] == 1 and self.key[page] is None


# copied from: inference/paged.py::Table
@dataclass(eq=False)
class Table:
    """One text's memory: its pages in order, how many tokens they hold, and the keys of those that are full."""

    pages: list = field(default_factory=list)
    keys: list = field(default_factory=list)
    length: int = 0


# copied from: inference/paged.py::page_key
def page_key(parent, ids):
    """The key of a full page, from the key of the page before (b"" for the first) and its own token ids.

    What a token's keys and values are depends on all tokens before it. Therefore the parent is a part of the
    key: two pages with the same ids are the same only if all before them is. 16 bytes of a cryptographic
    hash: two different texts will not meet in one key, by chance or by intent.
    """
    return hashlib.blake2b(parent + array("q", ids).tobytes(), digest_size=16).digest()


# copied from: inference/paged.py::PagedStep
@dataclass
class PagedStep:
    """Where the new tokens of one forward pass go and what they read; the same for every layer."""

    positions: torch.Tensor  # (B, T)
    index: torch.Tensor  # (B T,) rows of a layer's memory seen as (pages P, K, D)
    pages: torch.Tensor  # (B N,) the tables, filled up to the longest one of N pages
    mask: torch.Tensor | None  # (B, 1, T, L) 0 where a key may be seen, -inf elsewhere; None: all of them
    longest: int  # L


# copied from: inference/paged.py::PagedCache
class PagedCache:
    """Keys and values in pages: `k` and `v` are (layers, pages, P, K, D), allocated once.

    Token t of a text lies in page `table.pages[t // P]`, at t % P. `rows(tables)` is what a model is given.
    """

    def __init__(self, config, pages, page_size=16, dtype=torch.float32, device="cpu"):
        shape = (config.num_hidden_layers, pages, page_size, config.num_key_value_heads, config.head_dim)
        self.k = torch.zeros(shape, dtype=dtype, device=device)
        self.v = torch.zeros(shape, dtype=dtype, device=device)
        self.page_size, self.pages = page_size, Pages(pages)
        self.copies = 0

    @property
    def nbytes(self):
        """The memory it takes, used or not."""
        return 2 * self.k.numel() * self.k.element_size()

    def match(self, ids):
        """A table with all full pages that are known for the beginning of `ids`: they need not be computed.

        At least the last token is left to compute, since its logits are wanted.
        """
        table, parent = Table(), b""
        for start in range(0, len(ids) - self.page_size + 1, self.page_size):
            parent = page_key(parent, ids[start : start + self.page_size])
            page = self.pages.page_of.get(parent)
            if page is None:
                break
            table.pages.append(self.pages.share(page))
            table.keys.append(parent)
        table.length = max(0, min(len(table.pages) * self.page_size, len(ids) - 1))
        return table

    def fork(self, table, length):
        """A second table on the first `length` tokens of another: shared to the token, the half-full page, too."""
        n = -(-length // self.page_size)
        pages = [self.pages.share(page) for page in table.pages[:n]]
        return Table(pages, table.keys[: length // self.page_size], length)

    def wanted(self, table, length):
        """How many pages must be taken before the table can be written up to `length` tokens."""
        more = max(0, -(-length // self.page_size) - len(table.pages))
        inside = table.length // self.page_size  # the page of the next token
        return more + (inside < len(table.pages) and not self.pages.writable(table.pages[inside]))

    def reserve(self, table, length):
        """Pages for `length` tokens, of which those not yet written are the text's own. Raises OutOfPages.

        Copy on write: where the next token falls into a page that others use, the text gets a copy.
        """
        P, inside = self.page_size, table.length // self.page_size
        if inside < len(table.pages) and not self.pages.writable(table.pages[inside]):
            page, old = self.pages.take(), table.pages[inside]
            n = table.length % P  # what is there of this text
            self.k[:, page, :n] = self.k[:, old, :n]
            self.v[:, page, :n] = self.v[:, old, :n]
            table.pages[inside] = page
            self.pages.give_back(old)
            self.copies += 1
        while len(table.pages) * P < length:
            table.pages.append(self.pages.take())

    def remember(self, table, ids):
        """Lets others find the pages of `ids`, the text's tokens so far, that have become full."""
        P = self.page_size
        for i in range(len(table.keys), table.length // P):
            table.keys.append(page_key(table.keys[-1] if i else b"", ids[i * P : (i + 1) * P]))
            self.pages.remember(table.pages[i], table.keys[-1])

    def release(self, table):
        """The text needs its pages no more. The last page goes first: what many share stays longest."""
        for page in reversed(table.pages):
            self.pages.give_back(page)
        table.pages, table.keys, table.length = [], [], 0

    def rows(self, tables):
        """The cache as a model takes it, for the sequences of these tables."""
        return PagedRows(self, tables)

    def check(self, tables):
        """Asserts that the books are right, given every table in use."""
        books, held = self.pages, [0] * self.pages.count
        for table in tables:
            assert len(set(table.pages)) == len(table.pages), "a page stands twice in one table"
            assert 0 <= table.length <= len(table.pages) * self.page_size, "tokens without a page"
            for page in table.pages:
                held[page] += 1
        assert held == books.users, "the count of a page's users is wrong"
        unused = [page for page in range(books.count) if not held[page]]
        assert sorted([*books.free, *books.idle]) == unused, "a page is lost, or given out twice"
        assert all(books.key[page] is None for page in books.free), "a free page can be found"
        assert all(books.key[page] is not None for page in books.idle), "an idle page cannot be found"
        known = {page: key for page, key in enumerate(books.key) if key is not None}
        assert {page: key for key, page in books.page_of.items()} == known, "the keys and their pages differ"


# copied from: inference/paged.py::PagedRows
class PagedRows:
    """What the model sees of a PagedCache in one pass: begin, append, advance, as KVCache has them."""

    def __init__(self, cache, tables):
        self.cache, self.tables = cache, tables

    def begin(self, T):
        """Where T new tokens of every text go; their pages must be reserved."""
        P, device = self.cache.page_size, self.cache.k.device
        lengths = torch.tensor([table.length for table in self.tables])
        positions = lengths[:, None] + torch.arange(T)  # (B, T)
        longest = int(lengths.max()) + T
        N = -(-longest // P)
        tables = torch.tensor([(table.pages + [0] * N)[:N] for table in self.tables])  # (B, N), filled up with any page
        index = tables.gather(1, positions // P) * P + positions % P  # (B, T)
        mask = None
        if T > 1 or int(lengths.min()) != longest - T:
            hidden = torch.arange(longest) > positions[:, None, :, None]  # (B, 1, T, L): another's, or not yet written
            mask = torch.zeros(hidden.shape, dtype=self.cache.k.dtype).masked_fill_(hidden, float("-inf")).to(device)
        return PagedStep(positions.to(device), index.flatten().to(device), tables.flatten().to(device), mask, longest)

    def append(self, layer, k, v, step):
        """Writes the new k, v (B, K, T, D) of a layer; gives back all that its texts have, (B, K, L, D) each."""
        return self.through(self.cache.k[layer], k, step), self.through(self.cache.v[layer], v, step)

    def through(self, memory, new, step):
        """One of the two: memory (pages, P, K, D), new (B, K, T, D)."""
        B, K, T, D = new.shape
        memory.view(-1, K, D).index_copy_(0, step.index, new.transpose(1, 2).reshape(B * T, K, D))
        side_by_side = memory.index_select(0, step.pages).view(B, -1, K, D)  # (B, N P, K, D): a copy of what is read
        return side_by_side[:, : step.longest].transpose(1, 2)

    def advance(self, T):
        """Every text has grown by T tokens: called once, after the last layer."""
        for table in self.tables:
            table.length += T
