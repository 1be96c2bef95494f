"""How fast? Training and encoding by csrc/bpe.c, beside `tokenizers` and `tiktoken` (Rust) and bpe.py, one thread each.

All of them take turns, round after round, so that whatever else happens on the machine happens to all; the first round
warms up and is thrown away; medians of the process's computing time are shown. Everybody begins with Python strings (to
make UTF-8 of them counts), and ends with merges, with lists of ids, or where it says so with one NumPy array. Merges
and ids are compared on the way. The limits: to cut the text into words and do no more, and to read every byte once.
`rustbpe` and `sentencepiece` take part where they are installed; sentencepiece cuts and breaks ties by other rules, so
its tokens are other ones.

    python tokenization/bench.py                              forty seconds; writes nothing
    python tokenization/bench.py --quick                      three seconds: some of the stories, one round
    python tokenization/bench.py --data ../shared/data/tinystories --repeats 9
"""

import argparse
import gc
import importlib
import io
import json
import os
import random
import statistics
import time
from string import ascii_lowercase

os.environ["RAYON_NUM_THREADS"] = "1"  # before `tokenizers` is imported: one thread
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import tiktoken  # noqa: E402
import tokenizers  # noqa: E402

import bpe  # noqa: E402
from basic import count_pairs, merge  # noqa: E402
from cli import positive_int, run  # noqa: E402
from in_c import FastTokenizer, bpe_library, learn_merges, packed_texts, train_tokenizer  # noqa: E402
from stories import load_split  # noqa: E402
from tokenizer import PATTERN, SPECIALS, to_json  # noqa: E402

QUICK = 400  # stories


def optional(name):
    """A library that the course does not need, or None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def take_turns(contestants, repeats):
    """{name: function} -> {name: seconds of each round}, the first round left out. Python collects no garbage meanwhile."""
    seconds = {name: [] for name in contestants}
    for _ in range(repeats + 1):
        for name, function in contestants.items():
            gc.collect()
            gc.disable()
            start = time.process_time()
            function()
            seconds[name].append(time.process_time() - start)
            gc.enable()
    return {name: times[1:] for name, times in seconds.items()}


# --- training -----------------------------------------------------------------------------------------------------


def as_reference(tokenizer):
    """Our merges in `tokenizers`."""
    return tokenizers.Tokenizer.from_str(json.dumps(to_json(tokenizer)))


def train_reference(stories, vocab_size):
    """Training by `tokenizers`, with our settings."""
    reference = tokenizers.Tokenizer(tokenizers.models.BPE())
    reference.pre_tokenizer = as_reference(FastTokenizer([])).pre_tokenizer
    alphabet = [*tokenizers.pre_tokenizers.ByteLevel.alphabet()]
    reference.train_from_iterator(stories, tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size, show_progress=False, initial_alphabet=alphabet))
    return reference


def merged_tokens(reference):
    """The tokens of `tokenizers` in the order in which they were learned; bytes have other ids there."""
    vocabulary = reference.get_vocab(with_added_tokens=False)
    return sorted(vocabulary, key=vocabulary.get)[256:]


def train_rustbpe(stories, vocab_size):
    third = optional("rustbpe").Tokenizer()
    third.train_from_iterator(iter(stories), vocab_size, pattern=PATTERN)
    return third


def train_sentencepiece(stories, vocab_size):
    """Training by `sentencepiece`, as near to ours as its settings come: bytes for what is rare, nothing normalized."""
    library, model = optional("sentencepiece"), io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(stories), model_writer=model, vocab_size=vocab_size, model_type="bpe", num_threads=1,
        byte_fallback=True, normalization_rule_name="identity", max_sentence_length=1 << 20, minloglevel=2)
    return library.SentencePieceProcessor(model_proto=model.getvalue())


def one_merge_of_basic(stories):
    """One round of basic.py over all bytes: count the pairs, join the first one."""
    ids = list("\n".join(stories).encode("utf-8"))
    merge(ids, max(count_pairs(ids).items(), key=lambda item: item[1])[0], 256)


def cut(packed):
    """The pieces of texts, found by C and counted; nothing else."""
    kind, data, ends, _ = packed
    return bpe_library().bpe_cut(bpe_library().bpe_rungs(), kind, data, len(ends), ends.ctypes.data, None)


def bench_training(stories, ours, repeats):
    """The table of training. Every line's merges are bpe.py's, but sentencepiece's."""
    megabytes, n_merges = sum(len(story.encode()) for story in stories) / 1e6, len(ours.merges)
    assert learn_merges(stories, n_merges)[0].tolist() == [[*pair] for pair in ours.merges], "C: other merges"
    learned = train_reference(stories, ours.vocab_size - len(SPECIALS))
    assert merged_tokens(learned) == merged_tokens(as_reference(ours)), "tokenizers: other merges"
    contestants = {
        "bpe.py": lambda: bpe.train_tokenizer(stories, ours.vocab_size),
        "tokenizers": lambda: train_reference(stories, ours.vocab_size - len(SPECIALS)),
        "C, csrc/bpe.c": lambda: learn_merges(stories, n_merges),
        "C, and a tokenizer of it": lambda: train_tokenizer(stories, ours.vocab_size),
    }
    if optional("rustbpe"):
        contestants["rustbpe"] = lambda: train_rustbpe(stories, ours.vocab_size - len(SPECIALS))
    if optional("sentencepiece"):
        contestants["sentencepiece"] = lambda: train_sentencepiece(stories, ours.vocab_size)
    contestants["the split alone, by C"] = lambda: cut(packed_texts(stories, PATTERN))
    times = take_turns(contestants, repeats)
    best = statistics.median(times["C, csrc/bpe.c"])
    print(f"| training {ours.vocab_size:,} tokens on {megabytes:.1f} MB | seconds | lowest to highest | C = 1 |")
    print("|---|---|---|---|")
    start = time.process_time()
    one_merge_of_basic(stories)
    one = time.process_time() - start
    print(f"| basic.py, one merge timed | {one:.2f} times {n_merges:,} | | {one * n_merges / best:,.0f} |")
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"| {name} | {middle:.4f} | {min(seconds):.4f} to {max(seconds):.4f} | {middle / best:.2f} |")


# --- encoding -----------------------------------------------------------------------------------------------------


def as_tiktoken(tokenizer):
    """Our ranks in tiktoken."""
    ranks = {token: i for i, token in enumerate(tokenizer.tokens) if i < 256 + len(tokenizer.merges)}
    return tiktoken.Encoding("ours", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=tokenizer.special)


def encoders(texts, ours, stories):
    """{name: function that encodes all texts}, those with our merges, and those with their own."""
    fast, third, reference = FastTokenizer([*ours.merges]), as_tiktoken(ours), as_reference(ours)
    same = {
        "bpe.py": lambda: [ours.encode(text) for text in texts],
        "tokenizers": lambda: [one.ids for one in reference.encode_batch_fast(texts, add_special_tokens=False)],
        "tiktoken": lambda: [third.encode_ordinary(text) for text in texts],
        "tiktoken, an array a text": lambda: [third.encode_to_numpy(text, disallowed_special=()) for text in texts],
        "C, lists": lambda: [fast.encode(text) for text in texts],
        "C, one array": lambda: fast.encode_batch(texts),
        "C, one array, from cold": lambda: FastTokenizer([*ours.merges]).encode_batch(texts),
    }
    others = {}
    if optional("rustbpe"):
        trained = train_rustbpe(stories, ours.vocab_size - len(SPECIALS))
        others["rustbpe"] = lambda: [trained.encode(text) for text in texts]
    if optional("sentencepiece"):
        pieces = train_sentencepiece(stories, ours.vocab_size)
        others["sentencepiece"] = lambda: [pieces.encode(text) for text in texts]
    return same, others


def check_ids(same, texts):
    """All that have our merges make the same ids."""
    wanted = same["bpe.py"]()
    for name, encode in same.items():
        found = encode()
        if isinstance(found, tuple):
            assert found[0].tolist() == [i for ids in wanted for i in ids], f"{name}: other ids"
        else:
            assert [[*ids] for ids in found] == wanted, f"{name}: other ids"


def bench_encoding(what, texts, ours, stories, repeats):
    """The table of encoding some texts."""
    same, others = encoders(texts, ours, stories)
    check_ids(same, texts)
    packed, find = packed_texts(texts, PATTERN), ours.pattern.findall
    limits = {"the split alone, by regex": lambda: [find(text) for text in texts],
              "the split alone, by C": lambda: cut(packed),
              "every byte read": lambda: bpe_library().bpe_read(packed[1], len(packed[1]))}  # fmt: skip
    seconds = take_turns({**same, **others, **limits}, repeats)
    megabytes = len(packed[1]) / 1e6
    rates = {name: [megabytes / max(s, 1e-9) for s in times] for name, times in seconds.items()}
    ids, limit = (statistics.median(rates[name]) for name in ("C, one array", "the split alone, by C"))
    print(f"\n| encoding {what}, {megabytes:.1f} MB | MB/s | lowest to highest | C, one array = 1 | "
          "of the split by C |")
    print("|---|---|---|---|---|")
    for name, rate in rates.items():
        middle = statistics.median(rate)
        print(f"| {name} | {middle:.1f} | {min(rate):.1f} to {max(rate):.1f} | {middle / ids:.3f} "
              f"| {middle / limit:.1%} |")  # fmt: skip


def noise(texts):
    """Words of eight random letters, nearly all different: to remember them is of no use."""
    rng = random.Random(0)
    return [" ".join("".join(rng.choices(ascii_lowercase, k=8)) for _ in range(100)) for _ in range(texts)]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="datasets/stories", help="folder (default: datasets/stories)")
    parser.add_argument("--vocab-size", type=positive_int, default=4096, help="ids in all (default: 4096)")
    parser.add_argument("--repeats", type=positive_int, default=5, help="rounds that count (default: 5)")
    parser.add_argument("--quick", action="store_true", help=f"one round, {QUICK} stories")
    args = parser.parse_args(argv)
    bpe.check_vocab_size(args.vocab_size)
    bpe_library()
    stories = load_split(args.data, "train")
    if args.quick:
        stories, args.repeats = stories[:QUICK], 1
    ours = bpe.train_tokenizer(stories, args.vocab_size)
    print(f"{args.data}: {len(stories):,} stories; one thread; medians, rounds: {args.repeats}\n")
    bench_training(stories, ours, args.repeats)
    bench_encoding("stories", stories, ours, stories, args.repeats)
    bench_encoding("random letters", noise(100 if args.quick else 500), ours, stories, args.repeats)


if __name__ == "__main__":
    run(main)
