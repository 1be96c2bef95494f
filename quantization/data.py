"""Stories as token ids, and the course's number, bits per byte.

New since the last chapter: `Scorer` scores many models on the same stories, `calibration_ids` gives the stories
that a method may look at while it quantizes. The rest is chapter transformer's: skip what you know.
"""

import numpy as np
import torch
import torch.nn.functional as F

from stories import load_split


# copied from: transformer/data.py::encode_stories
def encode_stories(stories, tokenizer):
    """A list of uint16 arrays [end] + tokens + [end], one a story."""
    end = tokenizer.eot_token
    encoded = tokenizer.encode_ordinary_batch(stories, num_threads=1)
    return [np.array([end, *ids, end], dtype=np.uint16 if tokenizer.n_vocab <= 65536 else np.uint32)
            for ids in encoded]


# copied from: transformer/data.py::windows
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


# adapted from: transformer/data.py::bits_per_byte (a model that gives logits; float32 alone)
@torch.inference_mode()
def bits_per_byte(model, stories, encoded, batch_tokens=8192):
    """The course's number: sum of -log2 p of every token and end mark, divided by the UTF-8 bytes of the stories."""
    was_training, context = model.training, model.config.max_position_embeddings
    model.eval()
    device = next(model.parameters()).device
    pieces = [(i, *piece) for i, ids in enumerate(encoded) for piece in windows(ids, context)]
    pieces.sort(key=lambda piece: piece[1] - piece[2])  # like lengths together, longest first
    nats, done = 0.0, 0
    while done < len(pieces):
        length = pieces[done][2] - pieces[done][1]
        group = pieces[done: done + max(1, batch_tokens // length)]
        inputs = torch.zeros(len(group), length, dtype=torch.int64)
        targets = torch.full((len(group), length), -1)
        for row, (i, start, end, first) in enumerate(group):
            ids = torch.from_numpy(encoded[i].astype(np.int64))
            inputs[row, : end - start] = ids[start:end]
            targets[row, first - start: end - start] = ids[first + 1: end + 1]
        kept = targets != -1  # the output layer is the largest product: skip the padding
        logits = model.lm_head(model.model(inputs.to(device))[kept.to(device)])  # (N, V)
        nats += F.cross_entropy(logits.float(), targets[kept].to(device), reduction="sum").item()
        done += len(group)
    model.train(was_training)
    return nats / np.log(2) / sum(len(story.encode("utf-8")) for story in stories)


def evenly(items, count):
    """`count` of the items, evenly spread over the list, or all where there are fewer."""
    count = min(count, len(items))
    return [items[i * len(items) // count] for i in range(count)]


class Scorer:
    """Bits per byte of any model on the same `count` stories of a folder's valid.txt (0: all of them)."""

    def __init__(self, folder, tokenizer, count=0):
        stories = load_split(folder, "valid")
        self.stories = evenly(stories, count or len(stories))
        self.encoded = encode_stories(self.stories, tokenizer)

    def __call__(self, model):
        return bits_per_byte(model, self.stories, self.encoded)


def calibration_ids(folder, tokenizer, count, context):
    """`count` stories of a folder's train.txt as lists of ids, the longest first, each cut at the context."""
    encoded = encode_stories(evenly(load_split(folder, "train"), count), tokenizer)
    return sorted((ids[: min(len(ids) - 1, context)].tolist() for ids in encoded), key=len, reverse=True)
