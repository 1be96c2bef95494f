"""Answers to the exercises that are written. Try exercises.py first.

    python deployment/solutions.py          the same checks, on these
"""

import sys

from checks import CHECKS, run_checks


def read_events(chunks):
    """Bytes are kept until a line is whole, lines until an event is: text is decoded in whole lines only."""
    held, data = b"", []
    for chunk in chunks:
        held += chunk
        *lines, held = held.split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r").decode("utf-8")
            name, _, value = line.partition(":")
            if name == "data":  # a comment begins with the colon: its name is empty
                data.append(value.removeprefix(" "))
            elif not line and data:
                yield "\n".join(data)
                data = []


class TokenBucket:
    """No clock runs in it: what has dropped in since the last request is computed when the next one comes."""

    def __init__(self, rate, burst):
        self.rate, self.burst = rate, burst
        self.tokens, self.last = burst, None

    def allow(self, now):
        if self.last is not None:
            self.tokens = min(self.burst, self.tokens + (now - self.last) * self.rate)
        self.last = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
