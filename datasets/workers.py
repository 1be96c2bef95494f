"""One function over many chunks in several processes, results in order. Cleaning and encoding use it.

Left out on purpose: threads (Python runs one at a time) and shared memory (a chunk of text is cheap to send).
"""

import multiprocessing
import signal
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from cli import UserError


def chunks(items, size):
    """Lists of `size` items each; the last may be shorter."""
    items = iter(items)
    while chunk := list(islice(items, size)):
        yield chunk


def ignore_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent answers it


def in_order(function, items, workers):
    """Yields function(item) for each item, in order. With one worker no process is started.

    At most four items a worker are on their way, so that a source of 2 GB is never held as a whole
    (Pool.imap would read all of it at once).
    """
    if workers == 1:
        yield from map(function, items)
        return
    # spawn: a fresh interpreter, the same on Linux, macOS and Windows, whatever threads this one has.
    context, items, waiting = multiprocessing.get_context("spawn"), iter(items), deque()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=ignore_interrupts)
    try:
        for item in islice(items, 4 * workers):
            waiting.append(pool.submit(function, item))
        while waiting:
            yield waiting.popleft().result()
            for item in islice(items, 1):
                waiting.append(pool.submit(function, item))
    except BrokenProcessPool:
        raise UserError("a worker process died, most likely for want of memory; try --workers 1") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
