"""How fast? Training and encoding: bpe.py beside `tokenizers` (Rust) and `tiktoken` (Rust), one thread each.

All of them take turns, round after round, so that whatever else happens on the machine happens to all;
the first round warms up and is thrown away; medians are shown. The ids are compared on the way. The
last column is the limit of our design: the split pattern alone, which is C inside the `regex` library.

    python tokenization/bench.py                              about a minute
    python tokenization/bench.py --data ../shared/data/tinystories --repeats 9
"""

import argparse
import os
import random
import statistics
import time
from pathlib import Path
from string import ascii_lowercase

os.environ["RAYON_NUM_THREADS"] = "1"  # before `tokenizers` is imported: one thread
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import tiktoken  # noqa: E402
import tokenizers  # noqa: E402

from basic import count_pairs, merge  # noqa: E402
from bpe import train_tokenizer  # noqa: E402
from cli import positive_int, run  # noqa: E402
from stories import load_split  # noqa: E402
from tokenizer import PATTERN, Tokenizer  # noqa: E402


def reference_trainer(stories, vocab_size, file):
    """Training by `tokenizers`, with our settings."""
    reference = tokenizers.Tokenizer(tokenizers.models.BPE())
    reference.pre_tokenizer = tokenizers.Tokenizer.from_file(file).pre_tokenizer
    alphabet = [*tokenizers.pre_tokenizers.ByteLevel.alphabet()]
    reference.train_from_iterator(stories, tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size, show_progress=False, initial_alphabet=alphabet))


def as_tiktoken(tokenizer):
    """Our ranks in tiktoken."""
    ranks = {token: i for i, token in enumerate(tokenizer.tokens) if i < 256 + len(tokenizer.merges)}
    return tiktoken.Encoding("ours", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=tokenizer.special)


def one_merge_of_basic(stories):
    """One round of basic.py over all bytes: count the pairs, join the first one."""
    ids = list("\n".join(stories).encode("utf-8"))
    return merge(ids, max(count_pairs(ids).items(), key=lambda item: item[1])[0], 256)


def take_turns(contestants, repeats):
    """{name: function} -> {name: seconds of each round}, the first round left out."""
    seconds = {name: [] for name in contestants}
    for _ in range(repeats + 1):
        for name, function in contestants.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return {name: times[1:] for name, times in seconds.items()}


def encoding(what, texts, ours, reference, third, repeats):
    """The table of encoding some texts, checking on the way that all make the same ids."""
    for text in texts[:200]:
        ids = ours.encode(text)
        assert ids == third.encode_ordinary(text) == reference.encode(text, add_special_tokens=False).ids

    def cold():  # a new tokenizer, which has seen no word yet
        fresh = Tokenizer([*ours.merges])
        return [fresh.encode(text) for text in texts]

    times = take_turns({
        "bpe.py": lambda: [ours.encode(text) for text in texts],
        "bpe.py, from cold": cold,
        "tokenizers": lambda: reference.encode_batch_fast(texts, add_special_tokens=False),
        "tiktoken": lambda: [third.encode_ordinary(text) for text in texts],
        "the split alone": lambda: [ours.pattern.findall(text) for text in texts],
    }, repeats)  # fmt: skip
    megabytes = sum(len(text.encode("utf-8")) for text in texts) / 1e6
    rates = {name: [megabytes / s for s in seconds] for name, seconds in times.items()}
    first, limit = (statistics.median(rates[name]) for name in ("bpe.py", "the split alone"))
    print(f"\n| encoding {what} | MB/s | lowest to highest | rate of bpe.py = 1 | of the split alone |")
    print("|---|---|---|---|---|")
    for name, rate in rates.items():
        middle = statistics.median(rate)
        print(f"| {name} | {middle:.1f} | {min(rate):.1f} to {max(rate):.1f} | {middle / first:.2f} "
              f"| {middle / limit:.0%} |")  # fmt: skip


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="datasets/stories", help="folder (default: datasets/stories)")
    parser.add_argument("--vocab-size", type=positive_int, default=4096, help="ids in all (default: 4096)")
    parser.add_argument("--repeats", type=positive_int, default=5, help="rounds that count (default: 5)")
    args = parser.parse_args(argv)

    stories = load_split(args.data, "train")
    megabytes = sum(len(story.encode("utf-8")) for story in stories) / 1e6
    ours = train_tokenizer(stories, args.vocab_size)
    path = Path("out/tokenization/bench.json")
    ours.save(path)
    reference, third = tokenizers.Tokenizer.from_file(str(path)), as_tiktoken(ours)
    print(f"{args.data}: {megabytes:.1f} MB, {len(stories):,} stories; one thread; {args.repeats} rounds\n")
    times = take_turns({
        "bpe.py": lambda: train_tokenizer(stories, args.vocab_size),
        "tokenizers": lambda: reference_trainer(stories, args.vocab_size, str(path)),
    }, args.repeats)  # fmt: skip
    first = statistics.median(times["bpe.py"])
    print(f"| training {ours.vocab_size:,} tokens | seconds | lowest to highest | time of bpe.py = 1 |")
    print("|---|---|---|---|")
    one = statistics.median(take_turns({"": lambda: one_merge_of_basic(stories)}, 2)[""])
    whole = one * len(ours.merges)
    print(f"| basic.py, one merge timed | {one:.1f} times {len(ours.merges):,} | | {whole / first:,.0f} |")
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"| {name} | {middle:.2f} | {min(seconds):.2f} to {max(seconds):.2f} | {middle / first:.2f} |")

    encoding("stories", stories, ours, reference, third, args.repeats)
    rng = random.Random(0)  # words of random letters, nearly all different: the cache is of no use
    noise = [" ".join("".join(rng.choices(ascii_lowercase, k=8)) for _ in range(100)) for _ in range(500)]
    encoding("random letters", noise, ours, reference, third, args.repeats)


if __name__ == "__main__":
    run(main)
