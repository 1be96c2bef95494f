"""The loader: token shards in, batches of (inputs, targets) out, in an order that a seed decides.

New here: nothing is read until it is needed (the files are mapped into memory), each epoch has its own order,
the state is two numbers from which training goes on at the very next token, and several processes (ranks)
share one epoch without a word between them. Left out on purpose: reading ahead in a thread (reading is much
faster than training), mixing several data sets, and attention that stops at a story's end.
Shapes: N stories, R rows an epoch, B rows a batch, T tokens a row, W ranks.

    python datasets/loader.py              layouts and their waste, resuming, ranks, on datasets/stories; 20 s
    python datasets/loader.py --plot       also draws datasets/figures/layouts.svg

It writes out/datasets/shards, as shards.py does, where they are not there yet.
"""

import argparse
import hashlib
import os
import time

import numpy as np

from cli import UserError, non_negative_int, positive_int, run
from dedup import mix64
from rng import MASK64
from shards import open_shards, read_manifest, tokenizer_hash, write_shards
from stories import load_split

IGNORE = -1  # the target where there is nothing to predict; cross_entropy(..., ignore_index=-1) skips it
LAYOUTS = ("story", "whole", "packed")


def shuffled(N, seed, epoch):
    """A permutation of 0 … N-1 for this seed and epoch, int64 (N,): stories sorted by a random number each.

    The random number is a hash of seed, epoch and story, so there is no generator whose state must be kept.
    """
    step = np.uint64(0x9E3779B97F4A7C15)  # splitmix64's; mix64(0) is 0, so nothing may begin at 0
    key = mix64(mix64(np.array([seed & MASK64], dtype=np.uint64) + step) + np.uint64(epoch))
    return np.argsort(mix64(key + np.arange(N, dtype=np.uint64) * step), kind="stable")


def lay_out(lengths, T, layout):
    """Cuts one epoch into rows. lengths (N,): tokens of each story with its begin mark, in the epoch's order.

    All stories one after another are the epoch's stream; a row is a piece of it, at most T long. Returns the
    stories' beginnings in the stream (N+1,), and the rows' beginnings and ends (R,). The layouts:

    story    a row is one story; the rest of the row stays empty, what is longer than T is cut off
    whole    a row is filled with stories as long as the next one fits whole
    packed   the stream is cut every T tokens, wherever that is: nothing is empty, nothing is lost
    """
    begins = np.concatenate([[0], np.cumsum(lengths)])
    if layout == "packed":
        starts = np.arange(0, begins[-1], T)
        return begins, starts, np.minimum(starts + T, begins[-1])
    if layout == "story":
        return begins, begins[:-1], np.minimum(begins[:-1] + T, begins[1:])
    # If a row begins with story i, the first story that does not fit is after[i]; it begins the next row.
    after = np.searchsorted(begins, begins[:-1] + T, side="right") - 1
    after = np.maximum(after, np.arange(1, len(begins))).tolist()
    heads, i = [], 0
    while i < len(after):
        heads.append(i)
        i = after[i]
    starts = begins[heads]
    return begins, starts, np.minimum(starts + T, begins[heads[1:] + [len(after)]])


class Loader:
    """Batches of one split for one rank.

        loader = Loader(open_shards("out/datasets/stories", "train"), batch_size=32, length=256)
        while loader.epoch < 3:
            for inputs, targets in loader:        # each int64 (B, T), the targets one token further
                ...                               # torch.from_numpy(inputs) shares the memory
                state = loader.state_dict()       # taken here, it goes on with the next batch

    Row r of an epoch goes to rank r mod W. An epoch ends with empty rows (all targets IGNORE) where the rows
    are no multiple of B * W, so that each rank has the same number of batches and no story is lost;
    drop_last=True leaves out the last, incomplete batch instead. A rank's batch may be empty altogether, so
    divide the loss by the number of targets over all ranks, not by a rank's own.
    """

    def __init__(self, shards, batch_size, length, layout="whole", seed=0, rank=0, world_size=1,
                 drop_last=False):
        if layout not in LAYOUTS:
            raise UserError(f"layout {layout!r}: choose one of {', '.join(LAYOUTS)}")
        if not 0 <= rank < world_size:
            raise UserError(f"rank {rank} of {world_size}: ranks are numbered from 0 to {world_size - 1}")
        if batch_size < 1 or length < 1:
            raise UserError(f"a batch of {batch_size} rows of {length} tokens: both must be at least 1")
        self.shards, self.batch_size, self.length, self.layout = shards, batch_size, length, layout
        self.seed, self.rank, self.world_size, self.drop_last = seed, rank, world_size, drop_last
        self.epoch, self.row = 0, 0  # where it stands; row counts the rows that all ranks together gave out
        self.planned = None

    def plan(self):
        """Lays out the current epoch, once."""
        if self.planned != self.epoch:
            self.order = shuffled(len(self.shards.length), self.seed, self.epoch)
            lengths = self.shards.length[self.order]
            self.begins, self.starts, self.ends = lay_out(lengths, self.length, self.layout)
            self.planned = self.epoch

    def __len__(self):
        """The number of batches of the current epoch, the same on each rank."""
        self.plan()
        rows, together = len(self.starts), self.batch_size * self.world_size
        return rows // together if self.drop_last else -(-rows // together)

    def fill(self, start, end, inputs, targets):
        """Copies the piece start … end of the epoch's stream into one row."""
        i = int(np.searchsorted(self.begins, start, side="right")) - 1
        to = 0
        while start < end:
            story, skip = self.order[i], start - self.begins[i]
            n = min(end, self.begins[i + 1]) - start
            at = self.shards.first[story] + skip
            # One token more than n: a story's last target is the mark after it, which is in the file too.
            piece = self.shards.tokens[self.shards.shard[story]][at : at + n + 1]
            inputs[to : to + n], targets[to : to + n] = piece[:-1], piece[1:]
            start, to, i = start + n, to + n, i + 1

    def read(self, row):
        """This rank's batch among the B * W rows from `row` on: inputs, targets int64 (B, T)."""
        self.plan()
        B, T = self.batch_size, self.length
        inputs = np.full((B, T), self.shards.manifest["mark"], dtype=np.int64)
        targets = np.full((B, T), IGNORE, dtype=np.int64)
        for b in range(B):
            r = row + b * self.world_size + self.rank
            if r < len(self.starts):
                self.fill(self.starts[r], self.ends[r], inputs[b], targets[b])
        return inputs, targets

    def __iter__(self):
        """Yields the batches that are left of the current epoch, then moves to the next epoch."""
        together = self.batch_size * self.world_size
        while self.row < len(self) * together:
            row, self.row = self.row, self.row + together
            yield self.read(row)
        self.epoch, self.row = self.epoch + 1, 0

    def state_dict(self):
        """What is needed to go on with the next batch, as JSON can hold it; the same on each rank.

        The position counts rows of all ranks together, so training may go on with another number of ranks.
        """
        files = [shard["bin_sha256"] for shard in self.shards.manifest["shards"]]
        data = hashlib.sha256("".join(files).encode()).hexdigest()
        return {"epoch": self.epoch, "row": self.row, "seed": self.seed, "length": self.length,
                "layout": self.layout, "data": data}

    def load_state_dict(self, state):
        """Goes to where `state` was taken. UserError where it belongs to other data or another layout."""
        mine = self.state_dict()
        if not isinstance(state, dict) or state.keys() != mine.keys():
            raise UserError("this is not the state of a loader")
        for key in ("data", "seed", "length", "layout"):
            if state[key] != mine[key]:
                raise UserError(f"the state is of {key} {state[key]!r}; this loader has {mine[key]!r}")
        self.epoch, self.row = state["epoch"], state["row"]

    def waste(self):
        """Of this epoch: shares of empty positions, of tokens cut off, of rows that begin inside a story."""
        self.plan()
        used = (self.ends - self.starts).sum()
        inside = ~np.isin(self.starts, self.begins)
        return {"empty": 1 - used / (len(self.starts) * self.length), "cut": 1 - used / self.begins[-1],
                "inside": inside.mean(), "rows": len(self.starts)}


def digest(batches):
    """A short tokenizer_hash of a list of batches, to compare and to print."""
    h = hashlib.sha256()
    for inputs, targets in batches:
        h.update(inputs.tobytes() + targets.tobytes())
    return h.hexdigest()[:12]


def show_layouts(shards, T, B, seed):
    speeds = []
    print(f"rows of {T:<6} number   empty   cut off   begin inside a story")
    for layout in LAYOUTS:
        loader = Loader(shards, B, T, layout, seed)
        waste = loader.waste()
        start = time.perf_counter()
        predicted = sum(int((targets != IGNORE).sum()) for _, targets in loader)
        seconds = time.perf_counter() - start
        print(f"{layout:<12} {waste['rows']:8,} {waste['empty']:7.1%} {waste['cut']:9.1%} "
              f"{waste['inside']:22.1%}")
        speeds.append(f"{layout} {predicted / seconds / 1e6:.1f}")
        everything = int(shards.length.sum())
        assert predicted == everything - round(waste["cut"] * everything), "the waste is not what it says"
        assert (layout == "packed") == (waste["inside"] > 0)
    print(f"read, in million tokens/s: {', '.join(speeds)}\n")


def show_resume(shards, T, B, seed):
    whole = Loader(shards, B, T, seed=seed)
    batches = [batch for _ in range(2) for batch in whole]  # two epochs
    stop = len(batches) * 2 // 3
    first, taken = Loader(shards, B, T, seed=seed), []
    while len(taken) < stop:
        for batch in first:
            taken.append(batch)
            if len(taken) == stop:
                break
    state = first.state_dict()
    second = Loader(shards, B, T, seed=seed)
    second.load_state_dict(state)
    while second.epoch < 2:
        taken.extend(second)
    epoch, row = state["epoch"], state["row"]
    print(f"stopped after {stop} of {len(batches)} batches, in epoch {epoch} at row {row:,};")
    print(f"uninterrupted {digest(batches)}, stopped and resumed {digest(taken)}")
    assert digest(batches) == digest(taken) and len(batches) == len(taken), "resuming changed a batch"


def show_ranks(shards, T, B, seed):
    print()
    alone = Loader(shards, 1, T, seed=seed)
    rows = [inputs.tobytes() + targets.tobytes() for inputs, targets in alone]
    for W in (2, 3, 8):
        loaders = [Loader(shards, B, T, seed=seed, rank=rank, world_size=W) for rank in range(W)]
        given, lengths = [], [len(loader) for loader in loaders]
        for loader in loaders:
            mine = [inputs.tobytes() + targets.tobytes() for X, Y in loader
                    for inputs, targets in zip(X, Y) if (targets != IGNORE).any()]
            given.append(mine)
        assert sorted(sum(given, [])) == sorted(rows), "a row is missing or was given twice"
        assert len(set(lengths)) == 1, "ranks have different numbers of batches"
        print(f"{W} ranks: {lengths[0]} batches each; rows {' + '.join(str(len(mine)) for mine in given)} "
              f"= {len(rows):,}, none twice, none missing")


def plot_layouts(shards, path):
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "storyteller"  # the same picture is the same file
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.2), layout="constrained")
    left.hist(shards.length, bins=60, range=(0, np.quantile(shards.length, 0.998)), color="#2b5d8a")
    left.set(xlabel="tokens of a story", ylabel="stories")
    sizes = [64, 96, 128, 192, 256, 384, 512, 768, 1024]
    story, whole = ([Loader(shards, 1, T, layout).waste() for T in sizes] for layout in ("story", "whole"))
    right.plot(sizes, [waste["empty"] for waste in story], "o-", color="#b5651d", label="empty, one story a row")
    right.plot(sizes, [waste["empty"] for waste in whole], "o-", color="#2b5d8a", label="empty, whole stories")
    right.plot(sizes, [waste["cut"] for waste in whole], "s:", color="#666", label="cut off, both")
    right.set(xlabel="T, tokens of a row", ylabel="share", xscale="log", ylim=(-0.02, 1.05))
    right.set_xticks([64, 128, 256, 512, 1024], ["64", "128", "256", "512", "1024"])
    right.minorticks_off()
    right.legend(fontsize=8, frameon=False, loc="upper center")
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    print(f"wrote {path}")


def shards_of(data, tokenizer, out, workers):
    """Opens the shards of `data`: its own or those in `out`, made first if they are of other data."""
    if os.path.exists(os.path.join(data, "train.json")):
        return open_shards(data, "train", tokenizer)
    stories = load_split(data, "train")
    made_of = (tokenizer_hash(tokenizer), len(stories), sum(len(story.encode()) for story in stories))
    try:
        manifest = read_manifest(out, "train")
    except UserError:
        manifest = {}
    if made_of != tuple(manifest.get(key) for key in ("tokenizer", "stories", "text_bytes")):
        write_shards(out, "train", stories, tokenizer, workers, total=len(stories))
    return open_shards(out, "train", tokenizer)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Shows the loader: layouts, speed, resuming, ranks.")
    flag = parser.add_argument
    flag("--data", default="datasets/stories", help="a folder of shards or of stories (encoded first)")
    flag("--tokenizer", default="tokenization/tokenizer.json", help="what the shards were made with")
    flag("--length", type=positive_int, default=256, help="T, tokens of a row")
    flag("--batch-size", type=positive_int, default=32, help="B, rows of a batch")
    flag("--seed", type=non_negative_int, default=0, help="decides the order")
    flag("--workers", type=positive_int, default=os.cpu_count(), help="processes that encode")
    flag("--out", default="out/datasets/shards", help="where stories are encoded to")
    flag("--plot", action="store_true", help="draw datasets/figures/layouts.svg")
    args = parser.parse_args(argv)
    shards = shards_of(args.data, args.tokenizer, args.out, args.workers)
    print(f"{len(shards.length):,} stories, {shards.manifest['tokens']:,} tokens mapped from "
          f"{len(shards.tokens)} file{'s' * (len(shards.tokens) > 1)}\n")
    for T in (args.length, 4 * args.length):
        show_layouts(shards, T, args.batch_size, args.seed)
    show_resume(shards, args.length, args.batch_size, args.seed)
    show_ranks(shards, args.length, args.batch_size, args.seed)
    if args.plot:
        plot_layouts(shards, "datasets/figures/layouts.svg")


if __name__ == "__main__":
    run(main)
