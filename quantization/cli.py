# copied from: bigram/cli.py
"""What every script of the course shares on the command line: mistakes in one line, checked numbers,
and the scoreboard. Nothing here is about language models; read it last."""

import argparse
import json
import math
import sys
import time
from pathlib import Path


class UserError(Exception):
    """A mistake the user can mend. Its text says what is wrong and what to do, in one line."""


def run(main):
    """Calls main(); a UserError becomes one line on standard error and exit status 2."""
    try:
        sys.exit(main())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


def positive_int(text):
    """An argparse type: a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def non_negative_int(text):
    """An argparse type: a whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def non_negative_float(text):
    """An argparse type: a finite number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return value


def probability(text):
    """An argparse type: a number from 0 to 1."""
    value = non_negative_float(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def append_score(chapter, model, data, bpb, **more):
    """Appends one line to out/scoreboard.jsonl: who (chapter, model), on which valid.txt, bits per byte."""
    path = Path("out/scoreboard.jsonl")
    path.parent.mkdir(exist_ok=True)
    line = {"chapter": chapter, "model": model, "data": str(data), "bpb": round(bpb, 4), **more,
            "time": time.strftime("%Y-%m-%d %H:%M:%S")}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
