"""Near-duplicates: MinHash signatures and locality-sensitive hashing, so that no story is there twice.

New here: a story becomes the set of its shingles (runs of five words); the share that two sets have in common
(Jaccard) is estimated from the smallest values under random permutations, and only stories that agree in a
band of these minima are ever compared. Left out on purpose: duplicates of a part of a story (suffix arrays),
and stories that mean the same in other words.
Shapes: N stories, S shingles of a story, K = bands * rows permutations.

    python datasets/dedup.py            an example by hand, then datasets/stories; 30 s
    python datasets/dedup.py --plot     also draws datasets/figures/lsh.svg

Papers: Broder, "On the resemblance and containment of documents" (1997); Indyk and Motwani, "Approximate
nearest neighbors" (1998); Lee and others, "Deduplicating training data makes language models better" (2021).
"""

import argparse
import functools
import math
import re
import time
from collections import defaultdict
from hashlib import blake2b

import numpy as np

from cli import positive_int, probability, run
from rng import MASK64, PCG32
from stories import load_split

SHINGLE = 5  # words
BANDS, ROWS = 20, 6
THRESHOLD = 0.7  # of two stories that share so much, the later is dropped
WORD = re.compile(r"\w+")


def shingles(text, n=SHINGLE):
    """The set of all runs of n words, as tuples; capital letters and punctuation do not count."""
    words = WORD.findall(text.lower())
    return {tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))}


def jaccard(a, b):
    """The size of what two sets have in common, divided by the size of what they have together."""
    return len(a & b) / len(a | b) if a or b else 1.0


def mix64(x):
    """uint64 array -> uint64 array: splitmix64's mixer, a fixed permutation that leaves no pattern."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@functools.lru_cache(maxsize=1 << 20)
def word_hash(word):
    """64 bits of a word, the same in every process (Python's own hash() is not)."""
    return int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def shingle_hashes(text, n=SHINGLE):
    """The set of shingles as sorted 64-bit numbers: uint64 (S,). Two shingles collide once in 2**64."""
    words = [word_hash(word) for word in WORD.findall(text.lower())]
    h = np.array(words + [0] * (n - len(words)), dtype=np.uint64)
    S = len(h) - n + 1
    mixed = np.zeros(S, dtype=np.uint64)
    for k in range(n):  # one word after the other, so that the order of the words counts
        mixed = mix64(mixed + h[k : k + S])
    return np.unique(mixed)


def permutations(K=BANDS * ROWS, seed=0):
    """K random permutations x -> a x + b (mod 2**64) as two uint64 arrays (K,). An odd a has an inverse."""
    rng = PCG32(seed)
    draw = [(rng.next_u32() << 32) | rng.next_u32() for _ in range(2 * K)]
    return np.array([a | 1 for a in draw[:K]], dtype=np.uint64), np.array(draw[K:], dtype=np.uint64)


def minhash_by_hand(hashes, a, b):
    """The signature by its definition, in Python: for each permutation the smallest image of any shingle."""
    return [min((int(ak) * int(x) + int(bk)) & MASK64 for x in hashes) for ak, bk in zip(a, b)]


def minhash(hashes, a, b):
    """The same, vectorized: uint64 (S,) -> (K,). NumPy's uint64 wraps around at 2**64: our modulus."""
    return (a[:, None] * hashes + b[:, None]).min(axis=1)  # (K, S) -> (K,)


def band_keys(signature, bands=BANDS):
    """One 64-bit key for each band of the signature: (K,) -> (bands,). Equal keys mean equal rows."""
    rows = signature.reshape(bands, -1)
    keys = np.zeros(bands, dtype=np.uint64)
    for r in range(rows.shape[1]):
        keys = mix64(keys + rows[:, r])
    return keys


def caught(s, bands=BANDS, rows=ROWS):
    """The probability that two stories with Jaccard s agree in at least one whole band: an S-curve."""
    return 1 - (1 - s**rows) ** bands


def find_duplicates(keys, text_of, threshold=THRESHOLD):
    """keys (N, bands), text_of(i) -> text. Returns int64 (N,): the earlier story that i repeats, or -1.

    Stories are taken in order. One that shares a band with an earlier story that was kept is compared with
    it exactly, and is a duplicate from `threshold` on. The first of a group of duplicates is kept.
    """
    N, bands = keys.shape
    bucket = np.full((N, bands), -1, dtype=np.int32)  # -1: alone with this key, as most are
    for band in range(bands):
        _, inverse, counts = np.unique(keys[:, band], return_inverse=True, return_counts=True)
        shared = counts[inverse] > 1
        bucket[shared, band] = inverse[shared]

    @functools.lru_cache(maxsize=4096)
    def shingles_of(i):
        return frozenset(shingle_hashes(text_of(i)).tolist())

    kept, original = defaultdict(list), np.full(N, -1, dtype=np.int64)
    for i in np.flatnonzero((bucket >= 0).any(axis=1)).tolist():
        places = [(band, g) for band, g in enumerate(bucket[i].tolist()) if g >= 0]
        candidates = {j for place in places for j in kept[place]}
        original[i] = next((j for j in sorted(candidates)
                            if jaccard(shingles_of(i), shingles_of(j)) >= threshold), -1)
        if original[i] < 0:
            for place in places:
                kept[place].append(i)
    return original


def example():
    """The lesson's example: three short texts, shingles of two words, twelve permutations."""
    texts = ["The cat sat on the red mat.", "The cat sat on the blue mat.", "A dog ran to the sea."]
    hashes = [shingle_hashes(text, n=2) for text in texts]
    a, b = permutations(12, seed=1)
    signatures = [minhash_by_hand(h, a, b) for h in hashes]
    print("by hand: shingles of two words, twelve permutations; of each minimum two digits are shown\n")
    for text, h, signature in zip(texts, hashes, signatures):
        assert signature == minhash(h, a, b).tolist()  # the loop and the array, number for number
        print(f"{text:<30}" + " ".join(f"{value * 100 >> 64:02d}" for value in signature))
    for i, j in ((0, 1), (0, 2)):
        agree = sum(x == y for x, y in zip(signatures[i], signatures[j]))
        exact = jaccard(shingles(texts[i], 2), shingles(texts[j], 2))
        print(f"texts {i + 1} and {j + 1}: {agree} of 12 agree = {agree / 12:.2f}; exact Jaccard {exact:.2f}")


def edited(text, share, words, rng):
    """The story with about this share of its words replaced by words of other stories."""
    return " ".join(words[rng.below(len(words))] if rng.uniform() < share else word for word in text.split())


def measure_curve(stories, a, b, rng, bins=10):
    """Edits stories more and more. Returns rows (mean Jaccard, estimate's error, share caught, pairs)."""
    words = [word for story in stories for word in story.split()]
    pairs = []
    for story in stories:
        copy = edited(story, 0.12 * rng.uniform(), words, rng)
        x, y = (minhash(shingle_hashes(text), a, b) for text in (story, copy))
        pairs.append((jaccard(shingles(story), shingles(copy)), (x == y).mean(),
                      (band_keys(x) == band_keys(y)).any()))
    pairs = np.array(pairs)  # (pairs, 3)
    rows = []
    for low in np.arange(bins) / bins:
        inside = pairs[(pairs[:, 0] >= low) & (pairs[:, 0] < low + 1 / bins)]
        if len(inside) >= 20:
            s, estimate, hit = inside.T
            error = np.sqrt(((estimate - s) ** 2).mean())
            rows.append((s.mean(), error, hit.mean(), len(s), caught(s).mean()))
    return rows


def plot_s_curve(rows, path):
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "storyteller"  # the same picture is the same file
    figure, axis = plt.subplots(figsize=(6.8, 3.6), layout="constrained")
    s = np.linspace(0, 1, 200)
    for bands, r, color, at in ((60, 2, "#888", (0.16, 0.6)), (BANDS, ROWS, "#2b5d8a", (0.46, 0.5)),
                                (10, 12, "#888", (0.84, 0.4))):
        axis.plot(s, caught(s, bands, r), color=color)
        axis.text(*at, f"{bands} bands\nof {r} rows", color=color)
    axis.plot([row[0] for row in rows], [row[2] for row in rows], "o", color="#b5651d")
    axis.text(0.36, 0.14, "measured on\nedited stories", color="#b5651d", ha="right")
    axis.axvline(THRESHOLD, color="#a33", linewidth=0.8)
    axis.text(THRESHOLD + 0.01, 0.01, "from here on dropped", color="#a33")
    axis.set(xlabel="similarity s of two stories (Jaccard)", ylabel="share caught by LSH")
    axis.set(xlim=(0, 1), ylim=(0, 1.02))
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    print(f"wrote {path}")


def compare_with_all_pairs(stories, threshold):
    """Near-duplicates by LSH and by comparing every pair; returns (found, all) as sets of stories."""
    a, b = permutations()
    start = time.perf_counter()
    keys = np.stack([band_keys(minhash(shingle_hashes(story), a, b)) for story in stories])
    original = find_duplicates(keys, stories.__getitem__, threshold)
    lsh_seconds = time.perf_counter() - start
    start = time.perf_counter()
    sets, kept, repeated = [shingles(story) for story in stories], [], set()
    for i, s in enumerate(sets):
        if any(jaccard(s, sets[j]) >= threshold for j in kept):
            repeated.add(i)
        else:
            kept.append(i)
    all_seconds, N = time.perf_counter() - start, len(stories)
    print(f"{N:,} stories: all {N * (N - 1) // 2:,} pairs in {all_seconds:.1f} s, LSH in {lsh_seconds:.1f} s")
    return set(np.flatnonzero(original >= 0).tolist()), repeated


def main(argv=None):
    parser = argparse.ArgumentParser(description="Finds near-duplicates and measures how well LSH does.")
    flag = parser.add_argument
    flag("--data", default="datasets/stories", help="a folder with train.txt and valid.txt")
    flag("--stories", type=positive_int, default=1000, help="how many stories are compared in pairs")
    flag("--threshold", type=probability, default=THRESHOLD, help="Jaccard from which on a story is dropped")
    flag("--seed", type=int, default=0, help="decides how stories are edited")
    flag("--plot", action="store_true", help="draw datasets/figures/lsh.svg")
    args = parser.parse_args(argv)
    example()

    stories, rng = load_split(args.data, "train")[: 4 * args.stories], PCG32(args.seed)
    a, b = permutations()
    rows = measure_curve(stories, a, b, rng)
    print(f"\n{len(stories):,} stories of {args.data}, each beside a copy with some words replaced:\n")
    print("Jaccard   pairs   error of the estimate (theory)   caught by LSH (theory)")
    for s, error, hit, n, expected in rows:
        theory = math.sqrt(s * (1 - s) / len(a))
        print(f"{s:7.2f} {n:7,} {error:15.3f}        ({theory:.3f}) {hit:16.3f}       ({expected:.3f})")
        assert error < 1.5 * theory + 0.01, "the signatures do not estimate Jaccard"
        slack = 4 * math.sqrt(expected * (1 - expected) / n) + 0.03
        assert abs(hit - expected) < slack, "LSH is off its curve"

    # Some stories twice, lightly edited, so that there is something to find.
    some = stories[: args.stories * 9 // 10]
    words = [word for story in some for word in story.split()]
    some += [edited(story, 0.02, words, rng) for story in some[: args.stories - len(some)]]
    print()
    found, repeated = compare_with_all_pairs(some, args.threshold)
    missed = len(repeated - found)
    print(f"near-duplicates: {len(repeated):,} by all pairs, {len(found):,} by LSH, {missed} missed")
    assert found <= repeated, "LSH proposes, the exact Jaccard decides: nothing else may be dropped"
    assert missed <= 0.05 * len(repeated) + 2, "LSH misses more than its curve allows"
    if args.plot:
        plot_s_curve(rows, "datasets/figures/lsh.svg")


if __name__ == "__main__":
    run(main)
