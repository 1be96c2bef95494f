"""Byte pair encoding as it is used: words, special tokens, and training that touches only what changes.

New since basic.py: text is cut into words first and each distinct word is counted once; a merge updates
the counts of the words it is in and no others; the most frequent pair comes from a heap. New since the
last chapter: the tokenizer is trained here. Left out on purpose: threads, and words seen too rarely to count.
W distinct words, each with its count; M merges; ids as in tokenizer.py.

    python tokenization/bpe.py             4,096 tokens from datasets/stories, in a few seconds
    python tokenization/bpe.py --data FOLDER FOLDER --vocab-size 8192
    python tokenization/bpe.py --plot      also draws tokenization/figures/sizes.svg and cut.svg

Writes out/tokenization/tokenizer.json. Papers: Sennrich, Haddow and Birch, "Neural Machine Translation of
Rare Words with Subword Units" (2016); Radford et al., "Language Models are Unsupervised Multitask
Learners" (2019); the lazy heap: Minoux, "Accelerated Greedy Algorithms" (1978).
"""

import argparse
import heapq
from collections import Counter, defaultdict
from pathlib import Path

import regex
from tqdm import tqdm

from atomic import write_atomic
from basic import merge
from cli import UserError, positive_int, run
from draw import flowing_pieces
from stories import END, load_split
from tokenizer import LETTERS, PATTERN, SPECIALS, StreamDecoder, Tokenizer

SENTENCE = "Once upon a time, a naïve little dragon couldn't sleep. 🐉"
CONTEXT = 512  # of the model in the last chapter: so many tokens it sees at once
COMMITTED = Path("tokenization/tokenizer.json")  # the course's own: the chapters' models are trained with it


def count_words(texts, pattern=PATTERN):
    """How often each piece of the split pattern occurs in some texts: {str: count}."""
    counts, find = Counter(), regex.compile(pattern).findall
    for text in texts:
        counts.update(find(text))
    return counts


def learn_merges(word_counts, n_merges):
    """Yields at most n_merges pairs of ids, always the pair that is now the most frequent.

    word_counts: {bytes: count}. A pair is counted once for each place it stands in, times the word's
    count, as in basic.py. Ties go to the pair whose left token comes first, then whose right token
    does: bytes in the order of their letters in tokenizer.json, then the merged ones in the order
    they were made. It is the rule of the `tokenizers` library, so the same merges come out.
    """
    place = {byte: k for k, byte in enumerate(sorted(LETTERS, key=LETTERS.get))}
    words, freq = [list(word) for word in word_counts], list(word_counts.values())
    counts, where = defaultdict(int), defaultdict(set)  # pair -> count; pair -> the words it is in
    for w, ids in enumerate(words):
        for pair in zip(ids, ids[1:]):
            counts[pair] += freq[w]
            where[pair].add(w)
    heap = [(-count, place[a], place[b], (a, b)) for (a, b), count in counts.items()]
    heapq.heapify(heap)
    for new in range(256, 256 + n_merges):
        pair = pop_most_frequent(heap, counts)
        if pair is None:
            return  # every word is one token
        yield pair
        place[new] = new
        made = set()
        for w in where.pop(pair):
            old = words[w]
            ids = words[w] = merge(old, pair, new)
            for p in zip(old, old[1:]):
                counts[p] -= freq[w]
            for p in zip(ids, ids[1:]):
                counts[p] += freq[w]
                if new in p:
                    where[p].add(w)
                    made.add(p)
        for a, b in made:
            heapq.heappush(heap, (-counts[a, b], place[a], place[b], (a, b)))


def pop_most_frequent(heap, counts):
    """The most frequent pair, or None. What the heap says of a pair may be out of date, but never too low.

    A merge makes new pairs, which hold the new token, and takes places from old ones. So a count only
    falls, the heap's number is a bound from above, and whoever comes up with the true one is the first.
    """
    while heap:
        said, a, b, pair = heapq.heappop(heap)
        if counts[pair] == -said:
            return pair
        if counts[pair] > 0:
            heapq.heappush(heap, (-counts[pair], a, b, pair))
    return None


def train_tokenizer(texts, vocab_size, pattern=PATTERN, specials=SPECIALS, progress=False):
    """A Tokenizer of vocab_size ids (fewer where the text runs out of pairs), learned from some texts."""
    n_merges = vocab_size - 256 - len(specials)
    if n_merges < 0:
        raise ValueError(f"a vocabulary has at least the 256 bytes and {len(specials)} special tokens")
    words = count_words(tqdm(texts, "words", unit=" stories", disable=not progress), pattern)
    if progress:
        print(f"cut into {words.total():,} words, {len(words):,} different ones")
    words = {word.encode("utf-8"): count for word, count in words.items()}
    merges = learn_merges(words, n_merges)
    merges = list(tqdm(merges, "merges", total=n_merges, unit=" merges", disable=not progress))
    return Tokenizer(merges, pattern, specials)


def check_vocab_size(size):
    """UserError where --vocab-size is too small."""
    smallest = 256 + len(SPECIALS)
    if size < smallest:
        raise UserError(f"--vocab-size {size}: 256 bytes and {len(SPECIALS)} special tokens make {smallest} at least")


def pieces(tokenizer, text):
    """The text of each token. Tokens that share a character come as one piece, with the first."""
    decoder = StreamDecoder(tokenizer)
    return [piece for piece in [*map(decoder.push, tokenizer.encode(text)), decoder.flush()] if piece]


def bytes_per_token(tokenizer, stories):
    """How many bytes of the stories one token holds on average."""
    return sum(len(s.encode("utf-8")) for s in stories) / sum(len(tokenizer.encode(s)) for s in stories)


def report(tokenizer, valid):
    """Prints the merges, a sentence as it is cut, and what tokens save on stories never seen."""
    merged = [repr(tokenizer.decode([i])) for i in range(256, 256 + len(tokenizer.merges))]
    print("first merges:", " ".join(merged[:12]))
    print("last merges: ", " ".join(merged[-12:]))
    cut = [repr(tokenizer.tokens[i].decode("utf-8"))[1:-1] if tokenizer.tokens[i].isascii()
           else tokenizer.tokens[i].hex(" ") for i in tokenizer.encode(SENTENCE)]  # fmt: skip
    print(f"a sentence:   {len(SENTENCE.encode())} bytes, {len(cut)} tokens: {'|'.join(cut)}")
    for story in valid:
        assert tokenizer.decode(tokenizer.encode(story)) == story, "a story did not come back as it was"
    in_bytes = [len(story.encode("utf-8")) for story in valid]
    in_tokens = [len(tokenizer.encode(story)) for story in valid]
    for name, lengths in (("bytes", in_bytes), ("tokens", in_tokens)):
        whole = sum(n < CONTEXT for n in lengths) / len(lengths)  # one place is the begin mark's
        print(f"as {name + ':':11}{sum(lengths) / len(lengths):6.1f} a story; "
              f"{whole:4.0%} of the stories fit whole into a context of {CONTEXT}")
    rate = sum(in_bytes) / sum(in_tokens)
    print(f"valid.txt:    {rate:.3f} bytes per token; all {len(valid):,} stories came back as they were")
    if COMMITTED.exists():
        print(f"              {bytes_per_token(Tokenizer.load(COMMITTED), valid):.3f} with {COMMITTED}")


def plot(train_stories, valid, tokenizer, folder=Path("tokenization/figures")):
    """Draws sizes.svg (bytes per token by vocabulary) and cut.svg (a story in pieces)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    full = train_tokenizer(train_stories, 16384, progress=True)
    sizes = [size for size in (260, 512, 1024, 2048, 4096, 8192) if size < full.vocab_size]
    sizes.append(full.vocab_size)  # 16,384, or less where the text has fewer different words
    # Merges do not depend on those after them: the first ones of a large vocabulary are the small one.
    cut = [Tokenizer([*full.merges][: size - 260]) for size in sizes]
    figure, axes = plt.subplots(figsize=(6, 3.6))
    for name, stories in (("train.txt", train_stories[:1000]), ("valid.txt", valid[:1000])):
        rates = [bytes_per_token(tokenizer, stories) for tokenizer in cut]
        axes.plot(sizes, rates, marker="o", label=name)
        print(f"{name}: " + ", ".join(f"{size:,}: {rate:.2f}" for size, rate in zip(sizes, rates)))
    axes.set(xscale="log", xlabel="vocabulary", ylabel="bytes per token", xticks=sizes, ylim=(0, None))
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    folder.mkdir(parents=True, exist_ok=True)
    plt.rcParams["svg.hashsalt"] = "storyteller"  # the same picture, the same file
    figure.savefig(folder / "sizes.svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    write_atomic(folder / "cut.svg", flowing_pieces(pieces(tokenizer, valid[0])))
    print(f"drawn in {folder}: sizes.svg, cut.svg")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["datasets/stories"], metavar="FOLDER",
                        help="folders with train.txt and valid.txt (default: datasets/stories)")  # fmt: skip
    parser.add_argument("--vocab-size", type=positive_int, default=4096, help="ids in all (default: 4096)")
    parser.add_argument("--out", default="out/tokenization", help="folder (default: out/tokenization)")
    parser.add_argument("--plot", action="store_true", help="draw tokenization/figures/{sizes,cut}.svg")
    args = parser.parse_args(argv)
    check_vocab_size(args.vocab_size)

    stories, valid = [], []
    for folder in args.data:
        found = load_split(folder, "train")
        print(f"read {folder}: {len(found):,} stories, {sum(len(s.encode()) for s in found):,} bytes")
        stories += found
        valid += load_split(folder, "valid")
    tokenizer = train_tokenizer(stories, args.vocab_size, progress=True)
    print(f"learned {len(tokenizer.merges):,} merges")
    if tokenizer.vocab_size < args.vocab_size:
        print(f"the text ran out of pairs: {tokenizer.vocab_size:,} tokens, not {args.vocab_size:,}")
    report(tokenizer, valid)
    path = Path(args.out) / "tokenizer.json"
    tokenizer.save(path)
    print(f"wrote {path}: {tokenizer.vocab_size:,} tokens, {path.stat().st_size:,} bytes, "
          f"{END} is {tokenizer.special[END]}")  # fmt: skip
    if args.plot:
        plot(stories, valid, tokenizer)


if __name__ == "__main__":
    run(main)
