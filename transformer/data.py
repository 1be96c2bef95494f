"""From stories to batches: every row begins at a story's beginning, rows of one batch have like lengths.

A story becomes [end] + its tokens + [end]: the mark that ended the story before it is what the
first token is predicted from, and the mark at its own end is predicted like any other token.
Stories differ in length, and a tensor is a rectangle; so stories of nearly the same length go
into one batch, and each row is padded to the next multiple of 32. What the padding and the cut
ends of stories longer than the context cost is counted, not hidden.

    python transformer/data.py            a batch on view, and what three ways to make batches waste; five seconds
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from cli import positive_int, run
from stories import load_split
from tokenizer import load_tokenizer

STEP = 32  # row lengths are multiples of this: few different shapes, little padding


def encode_stories(stories, tokenizer):
    """A list of uint16 arrays [end] + tokens + [end], one a story."""
    end = tokenizer.eot_token
    encoded = tokenizer.encode_ordinary_batch(stories, num_threads=1)
    return [np.array([end, *ids, end], dtype=np.uint16 if tokenizer.n_vocab <= 65536 else np.uint32)
            for ids in encoded]


def row_length(story, context):
    """The padded number of positions that a story takes: predictions, rounded up to STEP, at most the context."""
    return min(-(-(len(story) - 1) // STEP) * STEP, context)


def story_order(count, seed):
    """Story numbers without end: epoch after epoch, each a new permutation that depends on the seed alone."""
    epoch = 0
    while True:
        yield from np.random.default_rng([seed, epoch]).permutation(count)
        epoch += 1


def batch_plan(stories, context, batch_tokens, seed):
    """Without end: lists of story numbers, each one batch of about `batch_tokens` tokens.

    Stories wait in a bucket for their length until it holds a batch. The plan depends on nothing
    but its arguments: to go on at step n is to skip n lists.
    """
    buckets = {}
    for index in story_order(len(stories), seed):
        length = row_length(stories[index], context)
        bucket = buckets.setdefault(length, [])
        bucket.append(int(index))
        if len(bucket) >= max(1, batch_tokens // length):
            yield bucket
            buckets[length] = []


def make_batch(stories, indices, context):
    """Inputs and targets of one batch, int64 (B, T). Padded positions have the target -1, which the loss skips."""
    length = max(row_length(stories[i], context) for i in indices)
    inputs = np.zeros((len(indices), length), dtype=np.int64)
    targets = np.full((len(indices), length), -1, dtype=np.int64)
    for row, i in enumerate(indices):
        ids = stories[i][: length + 1]  # a longer story is cut at the context
        inputs[row, : len(ids) - 1] = ids[:-1]
        targets[row, : len(ids) - 1] = ids[1:]
    return torch.from_numpy(inputs), torch.from_numpy(targets)


def waste(stories, context):
    """The share of positions that are padding, and the share of tokens cut off at the context."""
    rows = np.array([row_length(story, context) for story in stories])
    tokens = np.array([len(story) - 1 for story in stories])
    kept = np.minimum(tokens, rows)
    return 1 - kept.sum() / rows.sum(), 1 - kept.sum() / tokens.sum()


# adapted from: attention/data.py::scored_windows (places in place of symbols)
def windows(story, context):
    """Pieces (start, end, first) of a story that together predict each of its tokens once.

    story[start:end] goes into the model and predictions from `first` on count. A story within the
    context is one piece; a longer one moves on by half a context, so that each prediction still
    sees at least half a context before it.
    """
    last = len(story) - 1
    pieces, first = [], 0
    while first < last:
        start = 0 if first == 0 else first - context // 2
        end = min(start + context, last)
        pieces.append((start, end, first))
        first = end
    return pieces


# adapted from: bigram/bigram.py::bits_per_byte (a network in place of a table; tokens, in batches, within a context)
@torch.inference_mode()
def bits_per_byte(model, stories, encoded, batch_tokens=8192, dtype=torch.float32):
    """The course's number: sum of -log2 p of every token and end mark, divided by the UTF-8 bytes of the stories."""
    was_training, context = model.training, model.config.max_position_embeddings
    model.eval()
    device = next(model.parameters()).device
    pieces = [(i, *piece) for i, ids in enumerate(encoded) for piece in windows(ids, context)]
    pieces.sort(key=lambda piece: piece[1] - piece[2])  # like lengths together, longest first
    bits, done = 0.0, 0
    while done < len(pieces):
        length = pieces[done][2] - pieces[done][1]
        group = pieces[done: done + max(1, batch_tokens // length)]
        inputs = torch.zeros(len(group), length, dtype=torch.int64)
        targets = torch.full((len(group), length), -1)
        for row, (i, start, end, first) in enumerate(group):
            ids = torch.from_numpy(encoded[i].astype(np.int64))
            inputs[row, : end - start] = ids[start:end]
            targets[row, first - start: end - start] = ids[first + 1: end + 1]
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = model(inputs.to(device), targets.to(device))  # mean, in nats
        bits += loss.item() * (targets != -1).sum().item() / np.log(2)
        done += len(group)
    model.train(was_training)
    return bits / sum(len(story.encode("utf-8")) for story in stories)


@dataclass
class Corpus:
    """What train.py reads, whether its texts are in memory (story_corpus) or mapped from files (stream.py)."""

    identity: list  # arrays whose checksum tells one corpus from another
    valid: tuple  # (texts, encoded texts) to test on
    batches: Callable  # batches(start): from step `start` on and without end, each step's parts (inputs, targets)
    read_valid: Callable  # read_valid(folder): the same as `valid` of any folder
    passes: float  # how often a run sees each token
    told: str  # what was read, in words


def story_corpus(args, tokenizer):
    """All stories of the folders args.data, in memory."""
    texts = {split: [s for folder in args.data for s in load_split(folder, split)] for split in ("train", "valid")}
    encoded = {split: encode_stories(stories, tokenizer) for split, stories in texts.items()}
    tokens = sum(len(s) - 1 for s in encoded["train"])
    padding, cut = waste(encoded["train"], args.context)

    def batches(start):
        plan = batch_plan(encoded["train"], args.context, args.batch_size, args.seed)
        for indices in islice(plan, start, None):  # the first ones an earlier run has done
            size = -(-len(indices) // args.accumulate)
            yield [make_batch(encoded["train"], indices[i: i + size], args.context)
                   for i in range(0, len(indices), size)]

    def read_valid(folder):
        valid = load_split(folder, "valid")
        return valid, encode_stories(valid, tokenizer)

    return Corpus(encoded["train"], (texts["valid"], encoded["valid"]), batches, read_valid,
                  args.steps * args.batch_size * (1 - padding) / tokens,
                  f"read {', '.join(args.data)}: {len(texts['train']):,} stories to train on ({tokens:,} tokens), "
                  f"{len(texts['valid']):,} to test; of the positions {padding:.1%} are padding, {cut:.1%} of the tokens "
                  "are cut")


def padding_of(lengths, rows_of):
    """The share of positions that are padding: lengths of the stories of each batch, the row length each batch has."""
    return 1 - sum(sum(batch) for batch in lengths) / sum(len(batch) * rows_of(batch) for batch in lengths)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Shows how stories become batches, and what that wastes.")
    parser.add_argument("--data", default="datasets/stories", help="folder with train.txt (default datasets/stories)")
    parser.add_argument("--context", type=positive_int, default=512, help="the longest row (default 512)")
    parser.add_argument("--batch-size", type=positive_int, default=4096, help="tokens in a batch (default 4096)")
    args = parser.parse_args(argv)
    tokenizer = load_tokenizer("tokenization/tokenizer.json")
    inputs, targets = make_batch(encode_stories(["Tom sat.", "Mia ran home."], tokenizer), [0, 1], args.context)
    for row_in, row_out in zip(inputs.tolist(), targets.tolist()):
        print("   ".join(f"{tokenizer.decode([a])!r} -> {tokenizer.decode([b])!r}" if b >= 0 else "-"
                         for a, b in zip(row_in[:7], row_out[:7])))
    stories = encode_stories(load_split(args.data, "train"), tokenizer)
    count = max(1, args.batch_size // args.context)
    order = [min(len(stories[i]) - 1, args.context) for i in islice(story_order(len(stories), 0), len(stories))]
    mixed = [order[i: i + count] for i in range(0, len(order), count)]
    full, longest = padding_of(mixed, lambda batch: args.context), padding_of(mixed, max)
    alike, cut = waste(stories, args.context)
    print(f"{len(stories):,} stories; of all positions are padding\n"
          f"  {full:6.1%} where every row has {args.context} positions\n"
          f"  {longest:6.1%} where the longest story of a batch decides\n"
          f"  {alike:6.1%} where stories of like length share a batch\n"
          f"cut off at the context: {cut:.1%} of the tokens")
    assert alike <= full


if __name__ == "__main__":
    run(main)
