"""What the exercises of this chapter are checked by: one function an exercise, which asserts."""

import json
import random

from api import SSE_DONE, sse

STORY = "A naïve dragon 🐉 said: \"Drink your 茶.\"\n\nThen it slept."


def cut(data, rng):
    """Bytes in pieces, as a network delivers them: cut anywhere."""
    places = sorted(rng.sample(range(1, len(data)), k=min(9, len(data) - 1)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)])]


def check_read_events(answer):
    rng = random.Random(1)
    cases = [
        (b"data: one\n\ndata: two\n\n", ["one", "two"]),
        (b"data: one\r\n\r\ndata:two\r\n\r\n", ["one", "two"]),  # both line ends; one space is optional
        (b"data:  two spaces\n\n", [" two spaces"]),
        (b": a comment\n\ndata: one\n\n", ["one"]),
        (b"event: x\nid: 7\ndata: first line\ndata: second\n\n", ["first line\nsecond"]),
        (b"data\n\n", [""]),
        (b"data: one\n\ndata: never ended", ["one"]),
    ]
    pieces = [sse({"text": STORY[i : i + 3]}) for i in range(0, len(STORY), 3)]
    cases.append((b"".join(pieces) + SSE_DONE, [piece[6:-2].decode() for piece in pieces] + ["[DONE]"]))
    for data, wanted in cases:
        for chunks in [[data], [bytes([byte]) for byte in data], *(cut(data, rng) for _ in range(20))]:
            got = list(answer(iter(chunks)))
            assert got == wanted, f"read_events of the chunks {chunks!r} gave {got!r}, not {wanted!r}"
    assert "".join(json.loads(data)["text"] for data in wanted[:-1]) == STORY


def check_token_bucket(answer):
    bucket = answer(rate=2, burst=3)
    times = [0, 0, 0, 0, 0.25, 0.5, 0.5, 1.0, 100, 100, 100, 100]
    wanted = [True, True, True, False, False, True, False, True, True, True, True, False]
    got = [bucket.allow(now) for now in times]
    assert got == wanted, f"rate 2, burst 3, asked at {times}: {got}, not {wanted}"
    rng, bucket, now, allowed = random.Random(2), answer(rate=5, burst=10), 0.0, []
    for _ in range(2000):
        now += rng.expovariate(20)
        if bucket.allow(now):
            allowed.append(now)
    for i, start in enumerate(allowed):
        most = sum(start <= at <= start + 3 for at in allowed[i:])
        assert most <= 10 + 5 * 3 + 1e-6, f"in 3 s from {start:.2f} on, {most} passed; 10 + 5 * 3 may"
    rate = len(allowed) / now
    assert 4.5 < rate < 5.5, f"under a steady crowd {rate:.2f} a second passed, not 5"


CHECKS = {"read_events": check_read_events, "TokenBucket": check_token_bucket}


# copied from: bigram/checks.py::run_checks
def run_checks(answers, checks):
    """Prints which functions of the module `answers` pass; the exit status is 1 where one is wrong."""
    wrong = False
    for name, check in checks.items():
        try:
            check(getattr(answers, name))
            verdict = "passes"
        except NotImplementedError:
            verdict = "not written yet"
        except AssertionError as error:
            wrong, verdict = True, f"wrong: {error}"
        except Exception as error:
            wrong, verdict = True, f"fails: {error!r}"
        print(f"{name:24} {verdict}")
    return int(wrong)
