"""What the exercises of this chapter are checked by: one function an exercise, which asserts."""

import random
from pathlib import Path

import regex

from basic import merge
from tokenizer import PATTERN, Tokenizer

TOKENIZER = Path(__file__).with_name("tokenizer.json")
TEXT = "A naïve dragon 🐉 drank 3 €-priced cups of 茶, didn't it?"


def ranks_of(tokenizer):
    """{bytes: id} of all but the special tokens: what a file of tiktoken's holds."""
    return {token: i for i, token in enumerate(tokenizer.tokens) if i < 256 + len(tokenizer.merges)}


def check_cut_to_bytes(answer):
    text = TEXT + "e\u0301\u0323 \U0001f469\u200d\U0001f680 \U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7 \u1112\u1161\u11ab \r\n"
    ends = [0]
    for cluster in regex.findall(r"\X", text):
        ends.append(ends[-1] + len(cluster.encode("utf-8")))
    for limit in range(ends[-1] + 3):
        wanted = text.encode("utf-8")[: max(end for end in ends if end <= limit)].decode("utf-8")
        got = answer(text, limit)
        assert got == wanted, f"cut_to_bytes({text!r}, {limit}) gave {got!r}, not {wanted!r}"


def check_right_digits(answer):
    pattern, rng = answer(), random.Random(2)
    for digits in ("7", "12", "123", "1234", "12345", "1234567", "1" * 30):
        wanted = f"{int(digits):,}".split(",")
        got = regex.findall(pattern, f"a{digits} b")
        assert got == ["a", *wanted, " b"], f"a{digits} b was cut into {got}"
    for text in [TEXT.replace("3", "x"), *("".join(rng.choices("aB '\n.t-é", k=30)) for _ in range(200))]:
        wanted, got = regex.findall(PATTERN, text), regex.findall(pattern, text)
        assert got == wanted, f"{text!r} has no digits and was cut into {got}, not {wanted}"


def check_encode_by_rank(answer):
    tokenizer, rng = Tokenizer.load(TOKENIZER), random.Random(1)
    ranks = ranks_of(tokenizer)
    words = [word.encode("utf-8") for word in tokenizer.pattern.findall(TEXT)]
    words += ["".join(rng.choices(" aeinoprst", k=rng.randrange(1, 20))).encode() for _ in range(300)]
    for word in words:
        wanted, got = list(word), answer(word, ranks)
        for pair, new in tokenizer.merges.items():  # as in basic.py: every merge, in order
            wanted = merge(wanted, pair, new)
        assert got == wanted, f"encode_by_rank({word!r}, ranks) gave {got!r}, not {wanted}"


def check_merges_from_ranks(answer):
    tokenizer = Tokenizer.load(TOKENIZER)
    got = answer(ranks_of(tokenizer))
    wanted = [(tokenizer.tokens[a], tokenizer.tokens[b]) for a, b in tokenizer.merges]
    assert isinstance(got, list) and len(got) == len(wanted), f"{len(wanted)} merges in a list, please"
    for k, (mine, right) in enumerate(zip(got, wanted)):
        assert mine == right, f"merge {k} is {right}, not {mine}"


def check_piece_starts(answer):
    rng = random.Random(3)
    for _ in range(2000):
        text = "".join(rng.choices("ab  ", k=rng.randrange(1, 70)))
        letters, spaces = (sum(1 << k for k, c in enumerate(text) if c.isspace() == space) for space in (False, True))
        wanted = [match.start() for match in regex.finditer(r" ?\p{L}+|\s+(?!\S)|\s+", text)]
        number = answer(letters, spaces, len(text))
        got = [k for k in range(len(text) + 2) if number >> k & 1]
        assert got == wanted, f"in {text!r} pieces begin at {wanted}, not at {got}"


CHECKS = {
    "cut_to_bytes": check_cut_to_bytes,
    "right_digits": check_right_digits,
    "encode_by_rank": check_encode_by_rank,
    "merges_from_ranks": check_merges_from_ranks,
    "piece_starts": check_piece_starts,
}


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
