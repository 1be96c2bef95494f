"""Cleaning: every text from the world becomes a plain story, or is dropped for a reason that is counted.

New here: text is repaired before a model sees it (line ends, control characters, quotation marks, spaces,
one Unicode form, UTF-8 that was once read as Windows-1252), then judged (empty, too short, too long, not
text). Left out on purpose: judging whether a story is good, HTML, and what language it is in. The library for
the repair of mojibake in earnest is ftfy.

    python datasets/clean.py            spoils stories of datasets/stories in eight ways and mends them; 3 s

It writes nothing.
"""

import argparse
import re
import unicodedata
from collections import Counter

from cli import UserError, positive_int, run
from rng import PCG32
from stories import END, load_split
from tokenizer import Tokenizer

MIN_CHARS, MAX_CHARS = 80, 20_000

# Mojibake is UTF-8 whose bytes were read one by one as Windows-1252 (or Latin-1): ’ is E2 80 99, hence â€™.
# BYTE maps each letter back to its byte. Windows-1252 leaves five bytes undefined; they come as they are.
BYTE = {chr(b): b for b in range(0x80, 0x100)}
BYTE |= {bytes([b]).decode("cp1252"): b for b in range(0x80, 0xA0) if b not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
FOLLOW = "[" + re.escape("".join(letter for letter, b in BYTE.items() if 0x80 <= b < 0xC0)) + "]"
# Only leading letters that real text does not have before such signs. "CAFÉ…" must stay what it is.
# Å“ and Ëœ come up where a quotation mark went through it twice.
MOJIBAKE = re.compile(f"[ÂÃ]{FOLLOW}|Å“|Ëœ|[âï]{FOLLOW}{{2}}|ð{FOLLOW}{{3}}")

SINGLE, DOUBLE = "\u2018\u2019\u201a\u201b\u00b4\u2032", "\u201c\u201d\u201e\u201f\u2033"
SPACES = "\t\xa0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
LINE_ENDS = "\x0b\x0c\x85\u2028\u2029"
INVISIBLE = "\xad\u200b\u200e\u200f\u2060\ufeff" + "".join(map(chr, range(0x202A, 0x202F)))
CONTROL = "".join(map(chr, [*range(32), *range(127, 160)]))
SIGNS = str.maketrans(
    {c: "" for c in CONTROL + INVISIBLE} | {c: " " for c in SPACES} | {c: "\n" for c in "\n" + LINE_ENDS}
    | {c: "'" for c in SINGLE} | {c: '"' for c in DOUBLE})
BROKEN = re.compile("[\ufffd\ud800-\udfff]")  # what a decoder left where it gave up, and half characters
BLOB = re.compile(r"[A-Za-z0-9+/=_-]{50}")  # no word is so long: base64, a key, a line of dashes


def repair_mojibake(text):
    """Turns â€™ back into ’ and Ã© into é, also where it happened twice. Other text stays as it is."""
    def decode(match):
        try:
            return bytes(BYTE[letter] for letter in match[0]).decode("utf-8")
        except UnicodeDecodeError:
            return match[0]

    while (repaired := MOJIBAKE.sub(decode, text)) != text:
        text = repaired
    # A right quotation mark is E2 80 9D, and many programs lose the undefined 9D on the way.
    return text.replace("â€", '"')


def normalize(text):
    """The same text in one form: NFC, \\n, straight quotation marks, single spaces, nothing invisible."""
    while True:
        before = text
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if not text.isascii():
            text = unicodedata.normalize("NFC", repair_mojibake(text))
        text = re.sub(" {2,}", " ", text.translate(SIGNS))
        text = re.sub(r" ?\n ?", "\n", text)
        text = re.sub(r"\n{3,}", "\n\n", text).strip()
        if text == before or text.isascii():  # what was removed may have stood between two halves of mojibake
            return text


def fault(story, min_chars=MIN_CHARS, max_chars=MAX_CHARS):
    """Why a normalized story cannot be used, or None."""
    if not story:
        return "empty"
    if BROKEN.search(story) or BLOB.search(story):
        return "not text"
    marks = story.count(" ") + story.count("\n")
    if sum(map(str.isalpha, story)) < 0.75 * (len(story) - marks):
        return "not text"
    if len(story) < min_chars:
        return "too short"
    if len(story) > max_chars:
        return "too long"
    if END in story and any(line.strip() == END for line in story.split("\n")):
        return "holds an end mark"  # written to a file it would come back as two stories
    return None


def clean(text, min_chars=MIN_CHARS, max_chars=MAX_CHARS):
    """Cleans one text: (story, what was done to it) or (None, why it was dropped).

    What was done is "" (at most white space around it was cut), "mojibake" (repaired, and perhaps more) or
    "mended" (quotation marks, spaces, line ends, invisible characters). Clean twice is clean once.
    """
    story = normalize(text)
    if reason := fault(story, min_chars, max_chars):
        return None, reason
    if story == text.strip():
        return story, ""
    return story, "mended" if text.isascii() or repair_mojibake(text) == text else "mojibake"


def spoiled(story, way, rng):
    """The story as it might come from the world, spoiled in one of eight ways."""
    curly = story.replace(" \"", " \u201c").replace("\"", "\u201d").replace("'", "\u2019")
    if way == "line ends of Windows":
        return story.replace("\n", "\r\n") + "\r\n"
    if way == "curly quotation marks":
        return "\u201cHello,\u201d it began. " + curly
    if way == "mojibake":
        return ("Once, at a café\u2026 " + curly).encode("utf-8").decode("cp1252", errors="ignore")
    if way == "control characters":
        at = rng.below(len(story))
        return story[:at] + "\x00\x1b\ufeff" + story[at:]
    if way == "spaces":
        return story.replace(" ", " \t\xa0") + "  \n\n\n\n"
    if way == "empty":
        return " \r\n\u200b\t "
    if way == "cut to a few words":
        return story[:20]
    assert way == "bytes of a picture"
    return "".join(chr(rng.below(256)) for _ in range(500))


def main(argv=None):
    parser = argparse.ArgumentParser(description="Spoils stories in known ways, cleans and compares them.")
    parser.add_argument("--data", default="datasets/stories", help="a folder with train.txt and valid.txt")
    parser.add_argument("--stories", type=positive_int, default=1000, help="how many stories to spoil")
    parser.add_argument("--tokenizer", default="tokenization/tokenizer.json", help="counts the tokens")
    parser.add_argument("--seed", type=int, default=0, help="decides where the faults are put")
    args = parser.parse_args(argv)
    stories = [text for text in load_split(args.data, "valid") if clean(text) == (text, "")][:args.stories]
    if not stories:
        raise UserError(f"--data {args.data}: no story of valid.txt is clean; mend it with prepare.py first")
    print(f"{len(stories):,} clean stories of {args.data}, each spoiled in eight ways:\n")
    print(f"{'spoiled by':<24}{'came out as':<52}exactly the original")
    for way in ("line ends of Windows", "curly quotation marks", "mojibake", "control characters", "spaces",
                "empty", "cut to a few words", "bytes of a picture"):
        rng, outcomes, restored = PCG32(args.seed), Counter(), 0
        for story in stories:
            result, why = clean(spoiled(story, way, rng))
            outcomes[why or "as it was"] += 1
            result = (result or "").removeprefix('"Hello," it began. ').removeprefix("Once, at a café\u2026 ")
            restored += result == story
        if way in ("empty", "cut to a few words", "bytes of a picture"):
            assert not outcomes.keys() & {"as it was", "mended", "mojibake"}, f"{way}: {outcomes}"
        else:
            assert restored == len(stories), f"{way}: {len(stories) - restored} stories did not come back"
        print(f"{way:<24}{', '.join(f'{n:,} {why}' for why, n in outcomes.most_common()):<52}{restored:,}")
    broken, tokenizer = "â€œItâ€™s a cafÃ©,â€\x9d she said.", Tokenizer.load(args.tokenizer)
    print("\nwhat it costs a model to read mojibake:")
    for text in (broken, normalize(broken)):
        print(f"{len(tokenizer.encode(text)):4} tokens  {text}")


if __name__ == "__main__":
    run(main)
