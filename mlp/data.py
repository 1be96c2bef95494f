"""Stories as one row of symbols, and windows of the last K of them: what every model of this chapter reads.

New since the last chapter: K is an argument, and the windows have a function of their own. A symbol is a byte or
END = 256, which stands K times before each story, so that the first byte has a context, too, and once after the last.
Shapes: N symbols in the stream, P of them to be predicted, B predictions, K symbols of context, V = 257.
"""

import numpy as np

V, END = 257, 256


# adapted from: micrograd/language.py::padded_stream (the context's length is an argument)
def padded_stream(stories, K):
    """All stories as one row of symbols, K times END before each and one at the very end, and what is to be predicted.

    Returns stream (N,) int16 and positions (P,): the places of all bytes, and of the END right after each story.
    """
    between = b"\xff" * K  # 255 is in no UTF-8 text
    data = between + between.join(story.encode("utf-8") for story in stories) + b"\xff"
    stream = np.frombuffer(data, dtype=np.uint8).astype(np.int16)
    stream[stream == 255] = END
    is_byte = stream != END
    asked = is_byte | np.append(False, is_byte[:-1])
    return stream, np.flatnonzero(asked)


def windows(stream, at, K):
    """The K symbols before each of the places `at` (B,), the oldest first: (B, K) int16."""
    return stream[at[:, None] + np.arange(-K, 0)]


def story_bytes(stories):
    """How many UTF-8 bytes the stories have together: what bits are divided by."""
    return sum(len(story.encode("utf-8")) for story in stories)
