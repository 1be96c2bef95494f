"""Where words end: the split patterns of GPT-2, GPT-4 and GPT-4o taken apart, and what happens without one.

New since bpe.py: the pattern is not given but chosen. Each alternative of a pattern is a decision about text; here it can
be seen which of them took what, and what a vocabulary learned with each pattern is worth. Left out on purpose: patterns
of one's own language (the exercises), and tokenizers that need none (unigram, see the papers in README.md).

    python tokenization/patterns.py                        fifteen seconds
    python tokenization/patterns.py --text "a text of one's own"
    python tokenization/patterns.py --plot                 also draws tokenization/figures/patterns.svg

Papers: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019); Singh and Strouse, "Tokenization
counts" (2024), on digits; Liu et al., "SuperBPE" (2025), on tokens of several words. The patterns are those of tiktoken.
"""

import argparse
from collections import Counter
from pathlib import Path

import regex
import tiktoken

from atomic import write_atomic
from bpe import bytes_per_token, count_words, train_tokenizer
from cli import UserError, positive_int, run
from draw import rows_of_pieces, shown
from stories import load_split
from tokenizer import PATTERN

FIGURE = Path("tokenization/figures/patterns.svg")
SENTENCE = "It's 'IT'S' in 12345 days\n    if x_1 == 20:  日本語です"
# copied from: transformer/tokenizer.py::GPT2_PATTERN
GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# What each alternative is for. The first one that fits at a place takes it; joined by | they are the pattern. (tiktoken
# writes them so that they run faster. Its cl100k_base differs from GPT-4's pattern as first published: white space at a
# text's very end is one piece, where this one cuts after the last line end.)
GPT2 = {
    "endings": r"'s|'t|'re|'ve|'m|'ll|'d", "letters": r" ?\p{L}+", "digits": r" ?\p{N}+",
    "other signs": r" ?[^\s\p{L}\p{N}]+", "spaces but one": r"\s+(?!\S)", "spaces": r"\s+",
}  # fmt: skip
GPT4 = {
    "endings": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)", "letters": r"[^\r\n\p{L}\p{N}]?\p{L}+", "digits": r"\p{N}{1,3}",
    "other signs": r" ?[^\s\p{L}\p{N}]+[\r\n]*", "line ends": r"\s*[\r\n]+", "spaces but one": r"\s+(?!\S)",
    "spaces": r"\s+",
}  # fmt: skip
LARGE, SMALL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"  # what is neither is in both
GPT4O = {
    "words": rf"[^\r\n\p{{L}}\p{{N}}]?{LARGE}*{SMALL}+{GPT4['endings']}?",
    "capitals": rf"[^\r\n\p{{L}}\p{{N}}]?{LARGE}+{SMALL}*{GPT4['endings']}?",
    "digits": GPT4["digits"], "other signs": r" ?[^\s\p{L}\p{N}]+[\r\n/]*", "line ends": GPT4["line ends"],
    "spaces but one": GPT4["spaces but one"], "spaces": GPT4["spaces"],
}  # fmt: skip
ALTERNATIVES = {"GPT-2": GPT2, "GPT-4": GPT4, "GPT-4o": GPT4O}
WHOLE = r"(?s:.+)"  # no pattern: a text is one piece
TRIALS = {
    "digits": ["7", "1234", "1234567"],
    "apostrophes": ["couldn't", "COULDN'T", "couldn’t", "'tis"],
    "spaces": ["a   b", "    return x", "\n\n\tx"],
    "languages": ["Drachenschuppe", "日本語です", "ภาษาไทย", "क्षत्रिय"],
    "names in code": ["getDragonName", "dragon_name", "HTTPServer"],
}


def pattern_of(alternatives):
    """The pattern that tries some alternatives in their order."""
    return "|".join(alternatives.values())


def taken_by(alternatives, text):
    """[(piece, name of the alternative that took it)]; the pieces together are the text."""
    names = list(alternatives)
    groups = "|".join(f"(?P<alternative{i}>{part})" for i, part in enumerate(alternatives.values()))
    return [(match[0], names[int(match.lastgroup.removeprefix("alternative"))]) for match in regex.finditer(groups, text)]


def as_encoding(tokenizer):
    """The same merges and pattern in tiktoken."""
    ranks = {token: i for i, token in enumerate(tokenizer.tokens) if i < 256 + len(tokenizer.merges)}
    return tiktoken.Encoding("ours", pat_str=tokenizer.pattern.pattern, mergeable_ranks=ranks,
                             special_tokens=tokenizer.special)  # fmt: skip


def tiktoken_pieces(pattern, text):
    """The pieces into which tiktoken cuts a text by a pattern. It does not tell; so we find out.

    A piece that is a token as a whole is looked up before any merge is tried. With all pieces that we expect as tokens,
    in the order of their length, each must come back as one id, and any other cut would give other ids.
    """
    expected = {piece.encode("utf-8") for piece in regex.findall(pattern, text)}
    tokens = [bytes([byte]) for byte in range(256)]
    tokens += sorted((piece for piece in expected if len(piece) > 1), key=lambda piece: (len(piece), piece))
    encoding = tiktoken.Encoding("pieces", pat_str=pattern, mergeable_ranks={t: i for i, t in enumerate(tokens)},
                                 special_tokens={})  # fmt: skip
    return [tokens[i].decode("utf-8", errors="replace") for i in encoding.encode_ordinary(text)]


def show_alternatives(text):
    """GPT-4's alternatives, and what each took of a text."""
    taken = taken_by(GPT4, text)
    assert "".join(piece for piece, _ in taken) == text
    for name, part in GPT4.items():
        mine = [shown(piece) for piece, by in taken if by == name]
        print(f"{name:15} {part:32} {'|'.join(mine)}")


def show_three_cuts(text):
    """A text as each pattern cuts it, the same as tiktoken does."""
    for name, alternatives in ALTERNATIVES.items():
        pieces = [piece for piece, _ in taken_by(alternatives, text)]
        assert pieces == tiktoken_pieces(pattern_of(alternatives), text)
        print(f"{name:7} {len(pieces):3} pieces  {'|'.join(map(shown, pieces))}")


def show_trials():
    """Short texts, each cut by each pattern."""
    print(f"{'':17}{'GPT-2':29}{'GPT-4':29}GPT-4o")
    for what, texts in TRIALS.items():
        for text in texts:
            cuts = ["|".join(map(shown, (piece for piece, _ in taken_by(alternatives, text))))
                    for alternatives in ALTERNATIVES.values()]  # fmt: skip
            print(f"{what if text is texts[0] else '':17}" + "".join(f"{cut:29}" for cut in cuts).rstrip())


def compare_vocabularies(stories, valid, vocab_size):
    """A vocabulary for each pattern, from the same stories, the ids compared with tiktoken's."""
    print(f"{'':8}different words   bytes a token   last merges")
    for name, alternatives in ALTERNATIVES.items():
        pattern = pattern_of(alternatives)
        tokenizer = train_tokenizer(stories, vocab_size, pattern)
        encoding = as_encoding(tokenizer)
        assert all(tokenizer.encode(text) == encoding.encode_ordinary(text) for text in [SENTENCE, *valid[:50]])
        last = [repr(tokenizer.decode([255 + len(tokenizer.merges) - i])) for i in range(4)]
        words, rate = len(count_words(stories, pattern)), bytes_per_token(tokenizer, valid)
        print(f"{name:8}{words:15,}{rate:16.3f}   {' '.join(last)}")


def without_a_pattern(stories, valid, vocab_size):
    """What is learned where a merge may cross words, beside the same stories cut by GPT-4's pattern."""
    crossing = regex.compile(r"\S\s+\S")
    for name, pattern in (("GPT-4's", PATTERN), ("none", WHOLE)):
        tokenizer = train_tokenizer(stories, vocab_size, pattern)
        learned = [token.decode("utf-8", errors="replace") for token in tokenizer.tokens[256:-4]]
        several = [token for token in learned if crossing.search(token)]
        words = Counter(token.rstrip(" .,\n") for token in learned if regex.match(r" ?\p{L}+[ .,\n]*$", token))
        twice = [word for word, count in words.items() if count > 1]  # dog, "dog." and "dog, "
        longest = " ".join(repr(token) for token in sorted(learned, key=len)[-3:])
        print(f"{name:8} {bytes_per_token(tokenizer, stories):.3f} bytes a token on these, "
              f"{bytes_per_token(tokenizer, valid):.3f} on others; {len(several)} tokens of several words; "
              f"{len(twice)} words more than once\n{'':9}longest: {longest}")  # fmt: skip
        assert bool(several) == (pattern == WHOLE)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Takes the split patterns of GPT-2, GPT-4 and GPT-4o apart.")
    parser.add_argument("--text", default=SENTENCE, help="the text to cut (default: a line with all cases)")
    parser.add_argument("--data", default="datasets/stories", help="folder (default: datasets/stories)")
    parser.add_argument("--vocab-size", type=positive_int, default=4096, help="to learn with each (default: 4096)")
    parser.add_argument("--uncut", type=positive_int, default=60, metavar="STORIES",
                        help="stories from which to learn without a pattern, which is slow (default: 60)")  # fmt: skip
    parser.add_argument("--plot", action="store_true", help=f"draw {FIGURE}")
    args = parser.parse_args(argv)
    if not args.text:
        raise UserError("--text is empty; give it a few words to cut")
    if args.vocab_size < 512:
        raise UserError(f"--vocab-size {args.vocab_size}: 512 at least, or there is nothing to compare")
    assert (pattern_of(GPT2), pattern_of(GPT4)) == (GPT2_PATTERN, PATTERN)
    stories, valid = load_split(args.data, "train"), load_split(args.data, "valid")[:100]

    print("-- GPT-4's pattern, one alternative after the other")
    show_alternatives(args.text)
    print("-- the same text by three patterns")
    show_three_cuts(args.text)
    print("-- where they differ")
    show_trials()
    print(f"-- vocabularies of {args.vocab_size:,} from {args.data}")
    compare_vocabularies(stories, valid, args.vocab_size)
    print(f"-- vocabularies of 1,024 from {args.uncut} stories, with and without a pattern")
    without_a_pattern(stories[: args.uncut], valid, 1024)
    if args.plot:
        rows = [(name, [piece for piece, _ in taken_by(part, args.text)]) for name, part in ALTERNATIVES.items()]
        write_atomic(FIGURE, rows_of_pieces(rows))
        print(f"drawn in {FIGURE}")


if __name__ == "__main__":
    run(main)
