"""The chapter's exercises, to be written here. The README says what each is about.

    python deployment/exercises.py                      which of them pass
    pytest tests/test_deployment.py --mine -k answers   the same, with pytest's reports
"""

import sys

from checks import CHECKS, run_checks


def read_events(chunks):
    """The data of each server-sent event in a stream of bytes, as an iterator of strings.

    chunks: an iterator of bytes, cut anywhere, also inside a character or a line end. Lines end with \\n
    or \\r\\n; an empty line ends an event. Of an event, the lines `data: …` count (one space after the
    colon is dropped), joined by \\n where there are several; lines of other names and comments (`: …`)
    do not. An event without data is not given, nor is one that the stream breaks off in.
    """
    raise NotImplementedError


class TokenBucket:
    """A limit for one client: `burst` requests at once, `rate` a second in the long run.

    The bucket holds at most `burst` tokens and starts full; `rate` tokens a second drop in; every
    request that is allowed takes one out.
    """

    def __init__(self, rate, burst):
        raise NotImplementedError

    def allow(self, now):
        """Whether a request at time `now` (seconds, never less than before) may pass."""
        raise NotImplementedError


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
