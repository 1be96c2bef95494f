"""What the exercises of this chapter are checked by: one function an exercise, which asserts."""

import random
from pathlib import Path

from basic import merge
from tokenizer import Tokenizer

TOKENIZER = Path(__file__).with_name("tokenizer.json")
TEXT = "A naïve dragon 🐉 drank 3 €-priced cups of 茶, didn't it?"


def ranks_of(tokenizer):
    """{bytes: id} of all but the special tokens: what a file of tiktoken's holds."""
    return {token: i for i, token in enumerate(tokenizer.tokens) if i < 256 + len(tokenizer.merges)}


def check_complete_length(answer):
    data = TEXT.encode("utf-8")
    ends = [len(TEXT[:k].encode("utf-8")) for k in range(len(TEXT) + 1)]
    for n in range(len(data) + 1):
        wanted, got = max(end for end in ends if end <= n), answer(data[:n])
        assert got == wanted, f"complete_length({data[:n]!r}) gave {got!r}, not {wanted}"


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


CHECKS = {
    "complete_length": check_complete_length,
    "encode_by_rank": check_encode_by_rank,
    "merges_from_ranks": check_merges_from_ranks,
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
