"""Why the model has a thread of its own: an event loop that computes cannot answer.

New since the last chapter: the event loop. It is one thread that runs whoever is ready, and whoever runs
must soon give way (`await`). A heartbeat that wants to beat every two milliseconds stands for all other
readers, while a model (matrix products, some milliseconds a step) tells a story of fifty tokens: first in
the loop itself, then in a thread that hands each token over. Left out on purpose: the model.

    python deployment/blocking.py       two seconds; writes nothing

Source: the Python documentation, "Developing with asyncio" (running blocking code).
"""

import argparse
import asyncio
import queue
import threading
import time

import numpy as np

from cli import run

TOKENS, BEAT = 50, 0.002  # tokens of the story; seconds between two heartbeats
MATRIX = np.random.default_rng(0).standard_normal((400, 400), dtype=np.float32)


def step(x):
    """One token's worth of work, milliseconds long: (400, 400) -> (400, 400)."""
    for _ in range(12):
        x = np.tanh(MATRIX @ x * 0.05)
    return x


async def heartbeat(beats):
    """Writes down when it beats: what every other reader would notice of the server."""
    while True:
        beats.append(time.perf_counter())
        await asyncio.sleep(BEAT)


async def in_the_loop(tokens):
    """Wrong: each step keeps the loop; only between two steps somebody else may run."""
    x = MATRIX
    for _ in range(TOKENS):
        x = step(x)
        tokens.append(float(x[0, 0]))
        await asyncio.sleep(0)  # gives way, as a handler that streams does


async def in_a_thread(tokens):
    """Right: the thread computes and hands over; the loop only ever waits for the next token."""
    loop, arrived, orders = asyncio.get_running_loop(), asyncio.Queue(), queue.SimpleQueue()

    def work():
        x = orders.get()
        for _ in range(TOKENS):
            x = step(x)
            loop.call_soon_threadsafe(arrived.put_nowait, float(x[0, 0]))

    thread = threading.Thread(target=work)
    thread.start()
    orders.put(MATRIX)
    for _ in range(TOKENS):
        tokens.append(await arrived.get())
    thread.join()


async def watch(teller):
    """(tokens, heartbeats, the longest pause between two of them in seconds) while a story is told."""
    tokens, beats = [], []
    beating = asyncio.create_task(heartbeat(beats))
    await asyncio.sleep(BEAT)
    beats.clear()
    await teller(tokens)
    beating.cancel()
    pauses = [b - a for a, b in zip(beats, beats[1:])]
    return tokens, len(beats), max(pauses)


def main(argv=None):
    argparse.ArgumentParser(description="An event loop with a model in it, and one beside it.").parse_args(argv)
    step(MATRIX)  # warm-up, discarded
    began = time.perf_counter()
    step(MATRIX)
    print(f"a step takes {1000 * (time.perf_counter() - began):.1f} ms; a beat is due every {1000 * BEAT:.0f} ms\n")
    results = {teller.__name__: asyncio.run(watch(teller)) for teller in (in_the_loop, in_a_thread)}
    for name, (tokens, beats, pause) in results.items():
        print(f"{name:12} {len(tokens)} tokens, {beats:4} heartbeats, the longest pause {1000 * pause:5.1f} ms")
    (told, beats, _), (told_too, beats_too, _) = results.values()
    assert told == told_too, "the same story, wherever it is computed"
    assert beats <= TOKENS + 2, "in the loop, at most one beat a step"
    assert beats_too > beats, "beside the loop, the others go on"


if __name__ == "__main__":
    run(main)
