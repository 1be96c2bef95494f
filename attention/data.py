"""Stories for models that look back as far as they like: one row of bytes, windows of it, bits per byte, samples.

New since the last chapter: a model reads a window of T symbols and predicts the next one at every place of it, T
predictions at once, where the MLP's K symbols gave one. So a batch is (B, T) inputs and (B, T) targets, one further.
Left out on purpose: packing of stories to equal lengths, a cache for sampling (chapter inference).
Shapes: N symbols in the stream, B windows, T places each, V = 257 symbols: the bytes and END = 256.
"""

import math

import torch

from cli import UserError
from rng import PCG32

V, END = 257, 256


# adapted from: bigram/bigram.py::symbol_stream (as a torch tensor)
def byte_stream(stories):
    """END, bytes, END, bytes, END, …: all stories as one row of symbols. (N,) torch.int64"""
    data = b"\xff" + b"\xff".join(story.encode("utf-8") for story in stories) + b"\xff"  # 255 is in no UTF-8 text
    stream = torch.frombuffer(bytearray(data), dtype=torch.uint8).to(torch.int64)
    stream[stream == 255] = END
    return stream


def random_batch(stream, B, T, generator):
    """B windows of the stream from anywhere: inputs and targets (B, T); targets are the inputs' next symbols.

    UserError where the stream is too short for one window.
    """
    if len(stream) <= T:
        raise UserError(f"the stories have {len(stream)} symbols, a window needs {T + 1}; give --data more of them")
    starts = torch.randint(len(stream) - T, (B, 1), generator=generator)
    windows = stream[starts + torch.arange(T + 1)]  # (B, T + 1)
    return windows[:, :-1], windows[:, 1:]


def scored_windows(stories, T):
    """Yields (symbols, first): at most T + 1 symbols of one story, of which those from place `first` on are to be
    scored. Windows overlap by half, so a scored symbol has at least T // 2 symbols before it where the story has them.
    """
    step = max(1, T // 2)
    for story in stories:
        symbols = [END, *story.encode("utf-8"), END]
        scored = 1  # the END before the story is given
        for start in range(0, len(symbols), step):
            window = symbols[start:start + T + 1]
            yield window, scored - start
            scored = start + len(window)
            if scored == len(symbols):
                break


# adapted from: bigram/bigram.py::bits_per_byte (a model over windows in place of a table)
@torch.inference_mode()
def bits_per_byte(model, stories, T):
    """The sum of -log2 p over all bytes and ends of the stories, divided by the stories' UTF-8 bytes.

    Each story is scored from its own beginning, in windows of at most T inputs. Short windows are filled up at the
    end to stand in one batch: a model that looks only back cannot notice.
    """
    windows = sorted(scored_windows(stories, T), key=lambda pair: len(pair[0]))
    bits, at_once = 0.0, max(1, 8192 // T)
    for i in range(0, len(windows), at_once):
        batch = windows[i:i + at_once]
        length = len(batch[-1][0])
        ids = torch.tensor([window + [END] * (length - len(window)) for window, _ in batch])  # (B, length)
        asked = torch.tensor([[first <= t < len(window) for t in range(length)] for window, first in batch])
        log_p = model(ids[:, :-1]).float().log_softmax(-1)  # (B, length - 1, V)
        of_next = log_p.gather(-1, ids[:, 1:, None]).squeeze(-1)  # (B, length - 1)
        bits -= of_next[asked[:, 1:]].double().sum().item() / math.log(2)
    return bits / sum(len(story.encode("utf-8")) for story in stories)


# adapted from: mlp/mlp.py::tell_beginning (torch; a window that grows to T symbols; a temperature)
@torch.inference_mode()
def sample(model, seed, length, T, temperature=0.8):
    """A story's beginning, at most `length` bytes, as text; the model sees the last T symbols of it.

    The logits are divided by the temperature: below 1, likely symbols become likelier still.
    """
    rng, symbols = PCG32(seed), [END]
    while len(symbols) <= length:
        logits = model(torch.tensor([symbols[-T:]]))[0, -1]  # (V,)
        symbols.append(rng.choice((logits.double() / temperature).softmax(-1).tolist()))
        if symbols[-1] == END:
            break
    return bytes(symbol for symbol in symbols if symbol != END).decode("utf-8", errors="replace")
