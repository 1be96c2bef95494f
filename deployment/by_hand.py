"""Serving by hand: the bytes of a stream as a network cuts them, and seven readers at a server with two slots.

New since the last chapter: nothing of the app yet; the two ideas that it rests on, small enough to check
with a pencil. A stream of events is text with empty lines between, and a receiver must not care
where the network cuts it. A queue in front of two slots is arithmetic. Left out on purpose: HTTP itself.

    python deployment/by_hand.py        a second; writes nothing

Source: the HTML standard, section "Server-sent events".
"""

import argparse
import heapq

from api import SSE_DONE, sse
from cli import run

PIECES = ["The fox", " ate 🍎", "\n\nand"]


def stream():
    """Three pieces of a story as the server sends them: bytes."""
    return b"".join(sse({"text": piece}) for piece in PIECES) + SSE_DONE


def receive(chunks):
    """What a receiver has after each chunk: (chunk, whole events so far, bytes that wait for more)."""
    held, done = b"", []
    for chunk in chunks:
        *whole, held = (held + chunk).split(b"\n\n")
        done += [event.removeprefix(b"data: ").decode("utf-8") for event in whole]
        yield chunk, list(done), held


def serve(lengths, slots, steps_a_token=1):
    """When each story starts and ends, in steps: all ask at step 0, each needs `lengths[i]` tokens.

    A free slot takes the first who waits; a step gives every busy slot one token. [(start, end)]
    """
    free, times = [0] * slots, []
    for length in lengths:
        start = heapq.heappop(free)  # the slot that is free first
        times.append((start, start + length * steps_a_token))
        heapq.heappush(free, times[-1][1])
    return times


def main(argv=None):
    argparse.ArgumentParser(description="Server-sent events and a queue, by hand.").parse_args(argv)
    data = stream()
    print(f"the stream, {len(data)} bytes:\n")
    for line in data.split(b"\n")[:-1]:
        print("   ", line.decode("utf-8") or "(an empty line: the event ends)")
    apple = data.index("🍎".encode())
    cuts = [0, 10, apple + 2, data.index(b"[DONE]"), len(data)]  # the second cut is inside the apple
    chunks = [data[a:b] for a, b in zip(cuts, cuts[1:])]
    print("\ncut where nobody asked for it, and put together again:\n")
    for chunk, done, held in receive(chunks):
        print(f"    {len(chunk):3} bytes come   {len(done)} events whole, {len(held):2} bytes wait: {held[-14:]!r}")
    assert done == [sse({"text": piece})[6:-2].decode("utf-8") for piece in PIECES] + ["[DONE]"]
    for size in range(1, len(data)):  # any cut gives the same events
        *_, (_, done_here, _) = receive(data[i : i + size] for i in range(0, len(data), size))
        assert done_here == done

    lengths = [6, 3, 4, 2, 5, 1, 3]
    times = serve(lengths, slots=2)
    print("\nseven stories, two slots (. waits, # is told):\n")
    for reader, (start, end) in enumerate(times, start=1):
        print(f"    reader {reader}  {'.' * start}{'#' * (end - start)}")
    total, alone = max(end for _, end in times), sum(lengths)
    print(f"\nall told after {total} steps; one after another it were {alone}, and with seven slots {max(lengths)}")
    assert max(lengths) <= alone / 2 <= total <= alone
    assert [start for start, _ in times] == sorted(start for start, _ in times)  # nobody is overtaken


if __name__ == "__main__":
    run(main)
