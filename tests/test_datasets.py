"""Chapter 11, datasets: Storyland and its corpus; cleaning, near-duplicates, the split, shards, the loader."""

import hashlib
import json
import math
import random
import re
import shutil
import unicodedata

import numpy as np
import pytest

# ---------------------------------------------------------------- prepare and loader


WORDS = ("a big cat dog was very happy and ran to the old tree by river he she said hello little girl boy saw it "
         "one day they went home with mom in park found ball red blue sad bird sang friend then so played").split()


def tell(rng, words=60):
    """A text with the shape of a story: sentences of known words, in no sensible order."""
    text = " ".join(rng.choice(WORDS) for _ in range(words))
    return ". ".join(part.strip().capitalize() for part in text.split(" and ") if part.strip()) + "."


def some_stories(count, seed=0, low=20, high=90):
    rng = random.Random(seed)
    return [tell(rng, rng.randrange(low, high)) for _ in range(count)]


def write_stories(path, stories):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{story}\n<|endoftext|>\n" for story in stories), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def modules(chapter):
    return chapter("datasets")


@pytest.fixture(scope="module")
def tokenizer_path(root):
    return root / "tokenization/tokenizer.json"


@pytest.fixture
def user_error(modules):
    return modules.cli.UserError


# -- cleaning


@pytest.mark.parametrize(
    "dirty, clean",
    [
        ("One.\r\nTwo.\rThree.", "One.\nTwo.\nThree."),
        ("\ufeffOne\u2028two\x0bthree\x85four", "One\ntwo\nthree\nfour"),
        ("“It’s,” she said, ‘fine’.", "\"It's,\" she said, 'fine'."),
        ("â€œItâ€™s a cafÃ©,â€\x9d she said â€” loudly.", '"It\'s a café," she said — loudly.'),
        ("â€œGone with the last byte,â€ he said.", '"Gone with the last byte," he said.'),
        ("Ã¢â‚¬Å“Twice, and itÃ¢â‚¬â„¢s Ã¢â‚¬ËœsoÃ¢â‚¬â„¢Ã¢â‚¬Â\x9d", "\"Twice, and it's 'so'\""),
        ("a \u00e2\u0080\u0099 by Latin-1", "a ' by Latin-1"),
        ("ðŸ˜€ ðŸ\x90\x89", "😀 🐉"),
        ("cafe\u0301", "caf\u00e9"),
        ("a\tb \u00a0 c  d\u3000e", "a b c d e"),
        ("end \n  begin\n\n\n\nnext", "end\nbegin\n\nnext"),
        ("a\x00b\x1bc\u200bd\u00ade\x7ff", "abcdef"),
        ("👩\u200d🚀", "👩\u200d🚀"),  # joined by a zero-width joiner, which stays
    ],
)
def test_normalize(modules, dirty, clean):
    assert modules.clean.normalize(dirty) == clean


@pytest.mark.parametrize("text", ["CAFÉ…", "São Paulo, Ângela!", "Ärger – Öl", "Привет, мир", "昔々、ある所に",
                                  "Việt Nam", "LIBERTÉ !", "naïve, coöperate", "don't", '"so"'])  # fmt: skip
def test_right_text_stays(modules, text):
    assert modules.clean.normalize(text) == unicodedata.normalize("NFC", text)


def random_text(rng, letters, length):
    return "".join(rng.choice(letters) for _ in range(rng.randrange(length)))


def test_normalize_twice_is_once(modules):
    rng = random.Random(1)
    letters = list("ab .'\"\n\r\t\x00\x85\xa0\xad\u200b\ufeff\u2028’“â€™Ã©Â ðŸ˜€ï»¿\u0301\ufffdé") + ["â€", "Ã"]
    for _ in range(20_000):
        once = modules.clean.normalize(random_text(rng, letters, 12))
        assert modules.clean.normalize(once) == once
        assert not {*once} & {*"\r\t\x00\xa0\u200b’“"} and "  " not in once and once == once.strip()


def test_mojibake_comes_back(modules):
    rng = random.Random(2)
    latin = [chr(c) for c in range(0xA1, 0x100) if chr(c) not in "ÂÃÅâïð"]
    for _ in range(2000):
        text = random_text(rng, list("abc XYZ.,") + latin + list("’“”–—…€™😀🐉"), 30)
        spoiled = "".join(chr(b) for b in text.encode()) if rng.random() < 0.5 else "".join(
            bytes([b]).decode("cp1252", errors="ignore") or chr(b) for b in text.encode())
        assert modules.clean.repair_mojibake(spoiled) == text


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "empty"), (" \r\n\u200b ", "empty"), ("Too few words.", "too short"), ("A story. " * 3000, "too long"),
        ("Half a char\ufffdacter. " * 9, "not text"), ("Half a \ud83d pair. " * 9, "not text"),
        ("1 2 3 4 5 6 7 8 9 + - * / = 10. " * 5, "not text"), ("A key: " + "x9Kp" * 20 + " here.", "not text"),
        ("A story is here.\n<|endoftext|>\nAnd here it is another one, isn't it, with words.", "holds an end mark"),
    ],
)  # fmt: skip
def test_dropped_with_a_reason(modules, text, reason):
    if reason == "holds an end mark":
        text += "a b c d e f g h i j k l m n o p q r s t u v w x y z."
    assert modules.clean.clean(text) == (None, reason)


def test_clean_says_what_it_did(modules):
    story = "Once upon a time there was a small \"dog\" who lived in a house by the river, and it wasn't sad."
    clean = modules.clean.clean
    assert clean(story) == clean(f"\n{story} ") == (story, "")
    assert clean(story.replace("'", "’")) == clean(story.replace(" ", "  ")) == (story, "mended")
    assert clean(story.replace("'", "â€™")) == (story, "mojibake")


@pytest.mark.parametrize("bug", ["no repair", "no line ends", "no signs"])
def test_clean_finds_planted_bugs(modules, monkeypatch, tmp_path, tokenizer_path, bug):
    """The script's own assertions notice a cleaner that leaves something out."""
    stories = ['They came. "Hello," said the cat.\nIt was a very long day for the cat, and for the dog it wasn\'t.'] * 9
    write_stories(tmp_path / "valid.txt", stories)
    argv = ["--data", str(tmp_path), "--tokenizer", str(tokenizer_path)]
    modules.clean.main(argv)
    if bug == "no repair":
        monkeypatch.setattr(modules.clean, "repair_mojibake", lambda text: text)
    elif bug == "no line ends":
        monkeypatch.setattr(modules.clean, "SIGNS", {**modules.clean.SIGNS, ord("\r"): "\r", ord("\n"): " "})
    else:
        monkeypatch.setattr(modules.clean, "SIGNS", {})
    with pytest.raises((AssertionError, modules.cli.UserError)):
        modules.clean.main(argv)


# -- near-duplicates


def plain_jaccard(a, b, n=5):
    """Exact Jaccard, written once more: word runs as strings, in lists."""
    runs = []
    for text in (a, b):
        words = "".join(c if c.isalnum() or c == "_" else " " for c in text.lower()).split()
        runs.append({" ".join(words[k : k + n]) for k in range(max(1, len(words) - n + 1))})
    union = runs[0] | runs[1]
    return len([run for run in union if run in runs[0] and run in runs[1]]) / len(union)


def edited_pairs(modules, count, seed=3):
    rng, pcg = random.Random(seed), modules.rng.PCG32(seed)
    for story in some_stories(count, seed, 60, 120):
        yield story, modules.dedup.edited(story, rng.random() * 0.15, WORDS, pcg)


def test_jaccard_is_exact(modules):
    dedup = modules.dedup
    for a, b in edited_pairs(modules, 100):
        exact = plain_jaccard(a, b)
        assert dedup.jaccard(dedup.shingles(a), dedup.shingles(b)) == exact
        x, y = ({*dedup.shingle_hashes(text).tolist()} for text in (a, b))
        assert dedup.jaccard(x, y) == exact
    assert dedup.jaccard(dedup.shingles("The CAT, sat!"), dedup.shingles("the cat sat")) == 1
    for few in ("", "one", "one two three four"):
        assert len(dedup.shingles(few)) == len(dedup.shingle_hashes(few)) == 1


def test_words_hash_the_same_everywhere(modules):
    """Shards of two machines are compared by these numbers: they may never change."""
    dedup = modules.dedup
    assert dedup.word_hash("once") == int.from_bytes(hashlib.blake2b(b"once", digest_size=8).digest(), "little")
    x = np.arange(1000, dtype=np.uint64)
    mixed = [modules.rng.splitmix64(i - 0x9E3779B97F4A7C15)[1] for i in range(1000)]
    assert dedup.mix64(x).tolist() == mixed
    a, b = dedup.permutations()
    for ak, bk in zip(a.tolist(), b.tolist()):
        inverse = pow(ak, -1, 2**64)  # an even number has none
        assert inverse * ((ak * 12345 + bk) - bk) % 2**64 == 12345


def test_minhash_loop_and_array_agree(modules):
    dedup = modules.dedup
    a, b = dedup.permutations(40, seed=5)
    for story in some_stories(20):
        hashes = dedup.shingle_hashes(story)
        assert dedup.minhash(hashes, a, b).tolist() == dedup.minhash_by_hand(hashes.tolist(), a.tolist(), b.tolist())


def estimate_errors(modules, a, b):
    """(estimate - exact Jaccard) / its standard deviation sqrt(s (1 - s) / K), for edited stories."""
    dedup, errors = modules.dedup, []
    for x, y in edited_pairs(modules, 300):
        s = plain_jaccard(x, y)
        agree = dedup.minhash(dedup.shingle_hashes(x), a, b) == dedup.minhash(dedup.shingle_hashes(y), a, b)
        if 0.05 < s < 0.95:
            errors.append((agree.mean() - s) / math.sqrt(s * (1 - s) / len(a)))
    return np.array(errors)


def test_signatures_estimate_jaccard(modules):
    errors = estimate_errors(modules, *modules.dedup.permutations())
    assert len(errors) > 200 and abs(errors.mean()) < 0.25 and 0.85 < errors.std() < 1.15


@pytest.mark.parametrize("bug", ["one permutation", "even multipliers", "short hashes"])
def test_estimates_find_planted_bugs(modules, monkeypatch, bug):
    a, b = modules.dedup.permutations()
    if bug == "one permutation":
        a, b = a[:1].repeat(120), b[:1].repeat(120)
    elif bug == "even multipliers":
        a = a << np.uint64(60)  # sixteen values are left
    else:
        hashes = modules.dedup.shingle_hashes
        monkeypatch.setattr(modules.dedup, "shingle_hashes", lambda text: np.unique(hashes(text) % 64))
    errors = estimate_errors(modules, a, b)
    assert not (abs(errors.mean()) < 0.25 and 0.85 < errors.std() < 1.15)


def test_curve_is_the_probability(modules):
    """1 - (1 - s^r)^b against coins thrown for each row."""
    rng = np.random.default_rng(0)
    for s in (0.3, 0.6, 0.8):
        agree = rng.random((20_000, 20, 6)) < s
        assert abs(agree.all(axis=2).any(axis=1).mean() - modules.dedup.caught(s)) < 0.012


def corpus_with_copies(modules):
    """160 stories, half of them edited copies of the others, shuffled."""
    stories = some_stories(80, 7)
    pcg = modules.rng.PCG32(8)
    stories += [modules.dedup.edited(story, 0.0009 * k, WORDS, pcg) for k, story in enumerate(stories)]
    random.Random(9).shuffle(stories)
    return stories


def keys_of(modules, stories):
    dedup = modules.dedup
    a, b = dedup.permutations()
    return np.stack([dedup.band_keys(dedup.minhash(dedup.shingle_hashes(story), a, b)) for story in stories])


def by_brute_force(stories, keys, threshold, n=5):
    """Every pair in order; `keys` None looks at all pairs, else at those that share a band."""
    original, kept = [], []
    for i, story in enumerate(stories):
        same = (j for j in kept if keys is None or (keys[i] == keys[j]).any())
        original.append(next((j for j in same if plain_jaccard(story, stories[j], n) >= threshold), -1))
        if original[-1] < 0:
            kept.append(i)
    return original


@pytest.mark.parametrize("threshold", [0.3, 0.7, 1.0])
def test_find_duplicates(modules, threshold):
    stories = corpus_with_copies(modules)
    keys = keys_of(modules, stories)
    found = modules.dedup.find_duplicates(keys, stories.__getitem__, threshold).tolist()
    assert found == by_brute_force(stories, keys, threshold)
    if threshold >= 0.7:  # there LSH misses next to nothing
        everything = by_brute_force(stories, None, threshold)
        assert sum(i >= 0 for i in everything) - sum(i >= 0 for i in found) <= 1
    assert sum(i >= 0 for i in found) >= (1 if threshold == 1 else 20)


def test_find_duplicates_finds_planted_bugs(modules, monkeypatch):
    """Bands of other rows, or no exact comparison, drop stories that are no duplicates, or keep those that are."""
    stories = corpus_with_copies(modules)
    keys, find = keys_of(modules, stories), modules.dedup.find_duplicates
    everything = by_brute_force(stories, None, 0.7)
    few = find(keys[:, :1], stories.__getitem__, 0.7).tolist()
    assert sum(i >= 0 for i in few) < sum(i >= 0 for i in everything) - 5  # one band of twenty
    monkeypatch.setattr(modules.dedup, "jaccard", lambda a, b: 1.0)
    unchecked = find(keys, stories.__getitem__, 0.7).tolist()
    assert sum(i >= 0 for i in unchecked) > sum(i >= 0 for i in everything) + 5


def test_no_duplicates_at_all(modules):
    empty = np.empty((0, 20), dtype=np.uint64)
    assert modules.dedup.find_duplicates(empty, None).shape == (0,)
    same = np.ones((3, 20), dtype=np.uint64)
    assert modules.dedup.find_duplicates(same, lambda i: "always the same story").tolist() == [-1, 0, 0]


# -- sources and prepare


def texts(path):
    """What a file of stories holds, read without our own code."""
    stories = [part.strip() for part in path.read_text(encoding="utf-8").split("<|endoftext|>")]
    assert stories.pop() == "" and all(stories)
    return stories


def prepare(modules, *argv):
    modules.prepare.main([*map(str, argv), "--workers", "1"])


def prepared(out):
    return json.loads((out / "prepared.json").read_text())


def test_sides_are_stable(modules, tmp_path):
    """A story stays on its side, whatever is added, and the share comes out right."""
    stories = some_stories(3000, 20)
    is_valid = modules.prepare.is_valid
    share = sum(is_valid(story, 0, 0.1) for story in stories) / 3000
    assert abs(share - 0.1) < 0.02
    assert all(is_valid(story, 0, 0.2) for story in stories if is_valid(story, 0, 0.1))  # a larger share adds
    assert 0.1 < sum(is_valid(s, 1, 0.5) != is_valid(s, 2, 0.5) for s in stories) / 3000 < 0.9
    few, many = write_stories(tmp_path / "a/few.txt", stories[:300]), write_stories(tmp_path / "a/b.txt", stories)
    prepare(modules, few, "--out", tmp_path / "few", "--valid-share", 0.1)
    prepare(modules, few, many, "--out", tmp_path / "many", "--valid-share", 0.1)
    for split in ("train", "valid"):
        assert {*texts(tmp_path / "few" / f"{split}.txt")} <= {*texts(tmp_path / "many" / f"{split}.txt")}
    assert sorted(texts(tmp_path / "many/train.txt") + texts(tmp_path / "many/valid.txt")) == sorted({*stories})


def test_own_texts(modules, tmp_path, capsys):
    """A folder of files of all kinds: what is counted is what was planted, what is written can be read."""
    stories = some_stories(60, 21, 40, 90)
    box, out = tmp_path / "box", tmp_path / "out"
    (box / "deep").mkdir(parents=True)
    for i in range(10):
        (box / "deep" / f"{i}.txt").write_text(stories[i])  # a file, a story
    write_stories(box / "many.txt", stories[10:40])
    (box / "windows.txt").write_bytes("\r\n<|endoftext|>\r\n".join(stories[40:50]).encode())
    rest = [s + " \u201cYes.\u201d" for s in stories[50:55]] + [s + " Itâ€™s so." for s in stories[55:60]]
    rest += [stories[0], stories[40] + "\r\n", " ", "Short.", "9 " * 100, "The end. " * 3000]
    rest += [stories[1].replace(" the ", " a ", 1), stories[2] + "\n<|endoftext|>\n" + stories[3]]
    (box / "mine.jsonl").write_text("\n".join(json.dumps({"story": s}) for s in rest) + "\n\n")
    prepare(modules, box, "--out", out, "--field", "story", "--valid-share", 0.2)
    facts = prepared(out)
    assert facts["counts"] == {
        "read": 68, "bytes": facts["counts"]["bytes"], "as it was": 51, "mended": 5, "mojibake": 5, "empty": 1,
        "too short": 1, "not text": 1, "too long": 1, "exact duplicate": 2, "holds an end mark": 1}  # fmt: skip
    assert facts["near_duplicates"] == 1
    train, valid = (modules.stories.read_stories(out / f"{split}.txt") for split in ("train", "valid"))
    assert len(train) + len(valid) == 60 and not {*train} & {*valid} and len(valid) >= 3
    assert {*stories[:50]} <= {*train, *valid} and all(s + " It's so." in train + valid for s in stories[55:60])
    assert facts["written"]["valid"] == [len(valid), sum(len(s.encode()) for s in valid)]
    report = capsys.readouterr().out
    for line in ("68 texts", "5 of them with mojibake", "2 exact duplicate", "1 near-duplicates", "1 too long"):
        assert line in report
    assert {path.name for path in out.iterdir()} == {"train.txt", "valid.txt", "prepared.json"}


def test_own_split_is_kept_and_does_not_leak(modules, tmp_path):
    """valid.txt stays whole; what train has of it, or nearly of it, goes out of train."""
    stories, box = some_stories(40, 22, 60, 90), tmp_path / "box"
    valid, train = stories[:10], stories[10:]
    leaks = [valid[0], valid[1].replace("happy", "sad", 1) + " Yes."]
    write_stories(box / "valid.txt", valid)
    write_stories(box / "train.txt", leaks + train)
    (box / "notes.txt").write_text("not a part of it")
    prepare(modules, box, "--out", tmp_path / "out")
    assert texts(tmp_path / "out/valid.txt") == valid and texts(tmp_path / "out/train.txt") == train
    prepare(modules, box, "--out", tmp_path / "pooled", "--valid-share", 0.5)
    assert len(texts(tmp_path / "pooled/valid.txt")) > 12


@pytest.mark.parametrize("bug", ["hash of the place", "no comparison"])
def test_prepare_finds_planted_bugs(modules, monkeypatch, tmp_path, bug):
    if bug == "hash of the place":  # the side depends on when a story came
        sides = iter([False, True] * 10_000)
        monkeypatch.setattr(modules.prepare, "is_valid", lambda *_: next(sides))
        with pytest.raises(AssertionError):
            test_sides_are_stable(modules, tmp_path)
    else:
        monkeypatch.setattr(modules.prepare, "find_duplicates", lambda keys, *_: np.full(len(keys), -1))
        with pytest.raises(AssertionError):
            test_own_split_is_kept_and_does_not_leak(modules, tmp_path)


def test_workers_change_nothing(run_script, tmp_path, tokenizer_path):
    write_stories(tmp_path / "box.txt", some_stories(700, 23))
    for workers in (1, 3):
        run_script("datasets/prepare.py", tmp_path / "box.txt", "--out", tmp_path / f"out{workers}",
                   "--workers", workers, "--tokenizer", tokenizer_path)
    files = sorted(path.name for path in (tmp_path / "out1").iterdir())
    assert files == ["prepared.json", "train-000.bin", "train-000.idx", "train.json", "train.txt",
                     "valid-000.bin", "valid-000.idx", "valid.json", "valid.txt"]  # fmt: skip
    for name in files:
        assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out3" / name).read_bytes(), name


def test_a_failing_run_leaves_what_was_there(modules, user_error, tmp_path, tokenizer_path):
    stories, out = some_stories(60, 24), tmp_path / "out"
    prepare(modules, write_stories(tmp_path / "box.txt", stories), "--out", out, "--valid-share", 0.2,
            "--tokenizer", tokenizer_path)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(user_error, match="no story is left for valid.txt"):
        prepare(modules, write_stories(tmp_path / "few.txt", stories[:3]), "--out", out, "--valid-share", 0)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_shards_of_an_earlier_run_go(modules, user_error, tmp_path, tokenizer_path):
    box, out = write_stories(tmp_path / "box.txt", some_stories(60, 25)), tmp_path / "out"
    prepare(modules, box, "--out", out, "--tokenizer", tokenizer_path)
    assert len(modules.shards.open_shards(out, "train").length) == len(texts(out / "train.txt"))
    prepare(modules, box, "--out", out, "--seed", 1)
    with pytest.raises(user_error, match="train.json does not exist"):
        modules.shards.open_shards(out, "train")


ERRORS = {
    "nowhere": "nowhere does not exist", "empty": "holds no .txt or .jsonl", "a.pdf": "neither .txt nor .jsonl",
    "latin.txt": "is not UTF-8 text (byte 101)", "bad.jsonl": "line 2, is not JSON", "list.jsonl": 'no text in "text"',
    "field.jsonl": "--field", "split --out split": "would overwrite", "split --source x": "--source goes with",
    "one.txt": "no story is left", "split --tokenizer nowhere.json": "nowhere.json",
    "split --tokenizer a.pdf": "a.pdf", "tinystories --source nowhere": "no such folder",
    "tinystories --source empty": "no split", "split --valid-share 2": "--valid-share",
    "split --min-chars 0": "--min-chars", "split --workers 0": "--workers",
}  # fmt: skip


@pytest.fixture
def troubles(tmp_path):
    """Files that cannot be used."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4 \xff")
    (tmp_path / "latin.txt").write_bytes(("A line.\n" * 12 + "a caf\u00e9").encode("latin-1") + b" and more")
    (tmp_path / "bad.jsonl").write_text('{"text": "fine"}\n{"text": \n')
    (tmp_path / "list.jsonl").write_text("[1, 2]\n")
    (tmp_path / "field.jsonl").write_text('{"story": "fine"}\n')
    (tmp_path / "one.txt").write_text(tell(random.Random(1)))
    for name in ("train", "valid"):
        write_stories(tmp_path / f"split/{name}.txt", some_stories(3, len(name)))
    return tmp_path


@pytest.mark.parametrize("line", ERRORS)
def test_errors(modules, troubles, capsys, monkeypatch, line):
    """Each mistake is one line on standard error and exit status 2."""
    monkeypatch.chdir(troubles)
    with pytest.raises(SystemExit) as stopped:
        monkeypatch.setattr("sys.argv", ["prepare.py", *line.split(), "--workers", "1"])
        modules.cli.run(modules.prepare.main)
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and ERRORS[line] in error and "Traceback" not in error
    assert error.strip().splitlines()[-1].startswith(("error: ", "usage: ", "pytest: error", "prepare.py: error"))


# -- TinyStories: the library, a local copy of the repository, interruptions


@pytest.fixture(scope="module")
def copy_of_tinystories(tmp_path_factory):
    """A repository in the layout of TinyStories: data/train-0000k-of-00003.parquet and data/validation-….parquet."""
    import pyarrow
    import pyarrow.parquet

    folder = tmp_path_factory.mktemp("tinystories")
    (folder / "data").mkdir()
    stories = some_stories(370, 30, 30, 60)
    for k in range(3):
        table = pyarrow.table({"text": stories[20 + 100 * k + 20 * k : 140 + 120 * k]})
        pyarrow.parquet.write_table(table, folder / f"data/train-{k:05d}-of-00003.parquet", row_group_size=50)
    table = pyarrow.table({"text": stories[:20]})
    pyarrow.parquet.write_table(table, folder / "data/validation-00000-of-00001.parquet")
    return folder, stories


def downloaded(modules, folder, split="train"):
    return list(modules.sources.read_download(folder / f"{split}.jsonl"))


def test_tinystories(run_script, modules, copy_of_tinystories, tmp_path, capsys):
    source, stories = copy_of_tinystories
    run_script("datasets/prepare.py", "tinystories", "--source", source, "--out", tmp_path, "--workers", 1)
    assert texts(tmp_path / "valid.txt") == stories[:20] and texts(tmp_path / "train.txt") == stories[20:]
    prepare(modules, "tinystories", "--source", source, "--out", tmp_path, "--limit", 30)
    assert "350 stories are here already" in capsys.readouterr().out
    assert texts(tmp_path / "train.txt") == stories[20:50]


def test_jsonl_copy_of_tinystories(modules, tmp_path):
    stories = some_stories(25, 31)
    for split, part in (("train", stories), ("validation", stories[:5])):
        lines = "".join(json.dumps({"text": story}) + "\n" for story in part)
        (tmp_path / f"{split}.jsonl").write_text(lines)
    modules.sources.download("train", tmp_path / "out", tmp_path)
    assert downloaded(modules, tmp_path / "out") == stories


class PowerCut(BaseException):
    pass


@pytest.mark.parametrize("moment", ["before the state", "after the state", "in the lines"])
def test_download_goes_on_after_a_crash(modules, monkeypatch, copy_of_tinystories, tmp_path, capsys, moment):
    """Cut off again and again, at every saved state, the file is in the end what it should be."""
    source, stories = copy_of_tinystories
    sources, real = modules.sources, modules.sources.write_atomic
    monkeypatch.setattr(sources, "SAVE_EVERY", 37)

    def cut(path, data):
        if moment != "before the state":
            real(path, data)
        elif random.random() < 0.5:
            return real(path, data)
        raise PowerCut

    random.seed(1)
    for _ in range(100):
        monkeypatch.setattr(sources, "write_atomic", cut)
        try:
            sources.download("train", tmp_path, source)
            break
        except PowerCut:
            assert "the same command goes on from there" in capsys.readouterr().out
            if moment == "in the lines":  # the disk has a part of what was to come
                with open(tmp_path / "train.jsonl", "ab") as file:
                    file.write(b'"half a li')
    else:
        pytest.fail("it never came to the end")
    assert downloaded(modules, tmp_path) == stories[20:]


def test_download_that_breaks_off(modules, user_error, copy_of_tinystories, tmp_path, monkeypatch):
    """A file of the repository that cannot be read: what came before is kept, and later it goes on."""
    source, stories = copy_of_tinystories
    shutil.copytree(source, tmp_path / "copy")
    second = tmp_path / "copy/data/train-00001-of-00003.parquet"
    whole = second.read_bytes()
    second.write_bytes(whole[:-400] + b"\0" * 400)
    monkeypatch.setattr(modules.sources, "SAVE_EVERY", 50)
    with pytest.raises(user_error, match="the download of train broke off") as broken:
        modules.sources.download("train", tmp_path, tmp_path / "copy")
    assert "\n" not in str(broken.value) and downloaded(modules, tmp_path) == stories[20:120]
    second.write_bytes(whole)
    modules.sources.download("train", tmp_path, tmp_path / "copy")
    assert downloaded(modules, tmp_path) == stories[20:]


def test_limits_grow(modules, copy_of_tinystories, tmp_path, monkeypatch):
    source, stories = copy_of_tinystories
    monkeypatch.setattr(modules.sources, "SAVE_EVERY", 50)
    for limit in (1, 60, 60, 150, None, None):
        path = modules.sources.download("train", tmp_path, source, limit)
        assert downloaded(modules, tmp_path) == (stories[20:] if limit is None else stories[20 : 20 + limit])
    assert list(modules.sources.read_download(path, 7)) == stories[20:27]
    modules.sources.download("train", tmp_path, str(source) + "/", 5)  # another source: from the beginning
    assert downloaded(modules, tmp_path) == stories[20:25]


@pytest.mark.parametrize("state", ["", "[]", '{"stories": 3}', "null"])
def test_damaged_state_starts_again(modules, copy_of_tinystories, tmp_path, state):
    source, stories = copy_of_tinystories
    (tmp_path / "train.jsonl").write_text("what")
    (tmp_path / "train.state.json").write_text(state)
    modules.sources.download("train", tmp_path, source, 9)
    assert downloaded(modules, tmp_path) == stories[20:29]


@pytest.mark.parametrize("env", [{"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}])
def test_no_network(run_script, tmp_path, env):
    """One line, at once, which names the stories that need no network."""
    result = run_script("datasets/prepare.py", "tinystories", "--out", tmp_path, status=2, env=env, timeout=20)
    assert result.stderr.count("\n") == 1 and "--data datasets/stories" in result.stderr


# -- token shards


@pytest.fixture(scope="module")
def shard_folder(modules, tokenizer_path, tmp_path_factory):
    """Shards of 70 stories, some with letters of four bytes, in several small files; and the stories."""
    folder = tmp_path_factory.mktemp("shards")
    stories = some_stories(67, 40, 1, 60) + ["一只小狗。\n🐉!", "é", "<|endoftext|> is text here, <|user|>"]
    modules.shards.write_shards(folder, "train", stories, tokenizer_path, shard_tokens=700)
    modules.shards.write_shards(folder, "valid", iter(stories[:9]), tokenizer_path)
    return folder, stories


@pytest.fixture
def copy_of_shards(shard_folder, tmp_path):
    return shutil.copytree(shard_folder[0], tmp_path / "copy")


def test_shards_hold_the_stories(modules, shard_folder, tokenizer_path):
    """Read as plain numbers, without our reader, they are the tokens of `tokenizers`, a mark around each story."""
    from tokenizers import Tokenizer

    folder, stories = shard_folder
    reference = Tokenizer.from_file(str(tokenizer_path))
    reference.encode_special_tokens = True  # a story that says <|user|> says so in letters
    expected = [reference.encode(story, add_special_tokens=False).ids for story in stories]
    manifest = json.loads((folder / "train.json").read_text())
    found = []
    for shard in manifest["shards"]:
        tokens = np.frombuffer((folder / f"{shard['name']}.bin").read_bytes(), "<u2").tolist()
        index = np.frombuffer((folder / f"{shard['name']}.idx").read_bytes(), "<u8").tolist()
        assert len(tokens) == shard["tokens"] and len(index) == shard["stories"] + 1
        assert [i for i, token in enumerate(tokens) if token == 4092] == index
        found += [tokens[a + 1 : b] for a, b in zip(index, index[1:])]
    assert found == expected and manifest["mark"] == 4092 and len(manifest["shards"]) == 1  # 256 stories a chunk
    assert manifest["text_bytes"] == sum(len(story.encode()) for story in stories)
    shards = modules.shards.open_shards(folder, "train", tokenizer_path)
    assert [shards.story(i).tolist() for i in range(len(stories))] == expected
    assert isinstance(shards.tokens[0], np.memmap) and not shards.tokens[0].flags.writeable


def test_many_shards(modules, tokenizer_path, tmp_path):
    stories = some_stories(900, 41, 1, 8)
    manifest = modules.shards.write_shards(tmp_path, "train", stories, tokenizer_path, shard_tokens=1000)
    assert len(manifest["shards"]) >= 3 and modules.shards.verify(tmp_path, "train") == manifest
    shards, tokenizer = modules.shards.open_shards(tmp_path, "train"), modules.tokenizer.Tokenizer.load(tokenizer_path)
    assert [tokenizer.decode(shards.story(i).tolist()) for i in range(900)] == stories
    manifest = modules.shards.write_shards(tmp_path, "train", stories[:5], tokenizer_path)  # the old ones are gone
    assert len(list(tmp_path.glob("*.bin"))) == len(list(tmp_path.glob("*.idx"))) == 1


def damage(folder, how):
    """Spoils shards of the split train in one way; returns what the message should name."""
    binary, index, manifest = (folder / name for name in ("train-000.bin", "train-000.idx", "train.json"))
    facts = json.loads(manifest.read_text())
    if how in ("truncated", "too long"):
        binary.write_bytes(binary.read_bytes()[:-1] if how == "truncated" else binary.read_bytes() + b"\0\0")
        return f"train-000.bin is {how}"
    if how == "index truncated":
        index.write_bytes(index.read_bytes()[:-8])
        return "train-000.idx is truncated"
    if how == "missing":
        binary.unlink()
        return "train-000.bin is missing"
    if how == "foreign":
        binary.write_bytes(bytes(len(binary.read_bytes())))
        return "train-000.bin is damaged or foreign"
    if how == "index out of order":
        numbers = np.frombuffer(index.read_bytes(), "<u8").copy()
        numbers[[3, 4]] = numbers[[4, 3]]
        index.write_bytes(numbers.tobytes())
        return "train-000.idx is damaged"
    if how == "not JSON":
        manifest.write_bytes(b"\x89PNG\r\n")
        return "it is not JSON"
    if how == "other JSON":
        manifest.write_text('{"vocab": 5}')
        return "is not a manifest"
    changes = {"later version": ("version", 2, "has version 2"), "wrong sum": ("stories", 12, "do not fit"),
               "text for a number": ("tokens", "12", "do not fit"), "no shards": ("shards", [], "do not fit"),
               "a list": ("shards", [1], "do not fit"), "no mark": ("mark", None, "do not fit")}  # fmt: skip
    if how in changes:
        key, value, message = changes[how]
        manifest.write_text(json.dumps(facts | {key: value}))
        return message
    assert how == "path"
    facts["shards"][0]["name"] = "../train-000"
    manifest.write_text(json.dumps(facts))
    return "do not fit"


@pytest.mark.parametrize("how", [
    "truncated", "too long", "index truncated", "missing", "foreign", "index out of order", "not JSON", "other JSON",
    "later version", "wrong sum", "text for a number", "no shards", "a list", "no mark", "path"])  # fmt: skip
def test_damaged_shards(modules, user_error, copy_of_shards, how):
    message = damage(copy_of_shards, how)
    with pytest.raises(user_error) as caught:
        modules.shards.open_shards(copy_of_shards, "train")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_wrong_tokenizer(modules, user_error, copy_of_shards, tokenizer_path, tmp_path):
    other = json.loads(tokenizer_path.read_text())
    (tmp_path / "same.json").write_text(json.dumps(other, indent=3))  # other spaces, the same tokenizer
    modules.shards.open_shards(copy_of_shards, "train", tmp_path / "same.json")
    other["model"]["merges"].reverse()
    (tmp_path / "other.json").write_text(json.dumps(other))
    with pytest.raises(user_error, match="another tokenizer"):
        modules.shards.open_shards(copy_of_shards, "train", tmp_path / "other.json")
    with pytest.raises(user_error, match="train.json does not exist"):
        modules.shards.open_shards(tmp_path, "train")


def test_verify_sees_every_byte(modules, user_error, copy_of_shards, run_script):
    binary = copy_of_shards / "train-000.bin"
    data = bytearray(binary.read_bytes())
    data[1001] ^= 1
    binary.write_bytes(data)
    modules.shards.open_shards(copy_of_shards, "train")  # sizes and marks are right
    result = run_script("datasets/shards.py", copy_of_shards, status=2)
    assert "train-000.bin is damaged" in result.stderr and "Traceback" not in result.stderr


# -- the loader


@pytest.fixture(scope="module")
def shards(modules, shard_folder):
    return modules.shards.open_shards(shard_folder[0], "train")


def reference_rows(modules, shards, T, layout, seed, epoch):
    """One epoch's rows as lists of (input, target), by loops over lists."""
    stories = [[4092, *shards.story(i).tolist()] for i in modules.loader.shuffled(len(shards.length), seed, epoch)]
    pairs = [list(zip(story, [*story[1:], 4092])) for story in stories]
    if layout == "story":
        return [story[:T] for story in pairs]
    if layout == "packed":
        stream = [pair for story in pairs for pair in story]
        return [stream[k : k + T] for k in range(0, len(stream), T)]
    rows = []
    for story in pairs:
        if rows and len(rows[-1]) + len(story) <= T:
            rows[-1] += story
        else:
            rows.append(story[:T] if len(story) <= T else story)
    return [row[:T] for row in rows]


def rows_of(inputs, targets):
    """The rows of a batch as lists of (input, target), without what is padded; empty rows are left out."""
    rows = []
    for x, y in zip(inputs.tolist(), targets.tolist()):
        used = sum(target != -1 for target in y)
        assert all(target == -1 for target in y[used:]) and len(x) == len(y)
        rows += [list(zip(x, y))[:used]] if used else []
    return rows


@pytest.mark.parametrize("layout", ["story", "whole", "packed"])
@pytest.mark.parametrize("T", [1, 7, 64, 500, 5000])
def test_rows(modules, shards, layout, T):
    """Batches equal plain loops, epoch after epoch, in every layout; and the waste is what it says."""
    loader = modules.loader.Loader(shards, 3, T, layout, seed=4)
    for epoch in range(2):
        waste, count, rows = loader.waste(), len(loader), []
        for inputs, targets in loader:
            assert inputs.shape == targets.shape == (3, T) and inputs.dtype == targets.dtype == np.int64
            rows += rows_of(inputs, targets)
        expected = reference_rows(modules, shards, T, layout, 4, epoch)
        assert rows == expected and loader.epoch == epoch + 1 and count == -(-len(expected) // 3)
        used, everything = sum(map(len, expected)), int(shards.length.sum())
        assert waste["rows"] == len(expected)
        assert waste["empty"] == pytest.approx(1 - used / (len(expected) * T))
        assert waste["cut"] == pytest.approx(1 - used / everything, abs=1e-12)
        inside = sum(row[0][0] != 4092 for row in expected)
        assert waste["inside"] == pytest.approx(inside / len(expected))
        assert layout != "packed" or used == everything
        assert layout == "packed" or inside == 0


@pytest.mark.parametrize("bug", ["targets not shifted", "mark forgotten", "same order each epoch"])
def test_rows_find_planted_bugs(modules, monkeypatch, shards, bug):
    Loader, real = modules.loader.Loader, modules.loader.Loader.fill
    if bug == "same order each epoch":
        again = modules.loader.shuffled
        monkeypatch.setattr(modules.loader, "shuffled", lambda N, seed, epoch: again(N, seed, 0))
        orders = [modules.loader.shuffled(50, 1, epoch).tolist() for epoch in range(2)]
        assert orders[0] == orders[1]
        with pytest.raises(AssertionError):
            test_orders(modules)
        return

    def fill(self, start, end, inputs, targets):
        real(self, start, end, inputs, targets)
        if bug == "targets not shifted":
            targets[: end - start] = inputs[: end - start]
        else:
            targets[end - start - 1] = -1

    monkeypatch.setattr(Loader, "fill", fill)
    with pytest.raises(AssertionError):
        test_rows(modules, shards, "whole", 64)


def test_orders(modules):
    """A permutation for every size; another one for each seed and epoch; no place is favored."""
    shuffled = modules.loader.shuffled
    for N in (1, 2, 3, 100, 5000):
        assert N == 1 or not all(shuffled(N, 0, epoch)[0] == 0 for epoch in range(20))
        assert sorted(shuffled(N, 3, 1).tolist()) == list(range(N))
    orders = {tuple(shuffled(20, seed, epoch).tolist()) for seed in range(20) for epoch in range(20)}
    assert len(orders) == 400
    first = np.bincount([shuffled(10, 0, epoch)[0] for epoch in range(5000)], minlength=10)
    assert ((first - 500) ** 2 / 500).sum() < 28  # chi-square with 9 degrees of freedom: 28 is one in a thousand
    assert shuffled(8, 0, 0).tolist() == [7, 0, 2, 3, 1, 6, 4, 5]  # what was trained yesterday can be made again


def next_batches(loader, count):
    """The next batches as bytes, across the ends of epochs."""
    batches = []
    while len(batches) < count:
        for inputs, targets in loader:
            batches.append(inputs.tobytes() + targets.tobytes())
            if len(batches) == count:
                break
    return batches


@pytest.mark.parametrize("layout", ["story", "whole", "packed"])
@pytest.mark.parametrize("rank, world_size", [(0, 1), (1, 3)])
def test_resume_at_every_step(modules, shards, layout, rank, world_size):
    """Wherever it is stopped, it goes on at the very next token, through JSON and with a new loader."""
    def fresh():
        return modules.loader.Loader(shards, 2, 48, layout, 9, rank, world_size)

    steps = 2 * len(fresh()) + 5  # into the third epoch
    whole, going = next_batches(fresh(), steps), fresh()
    for step in range(steps):
        resumed = fresh()
        resumed.load_state_dict(json.loads(json.dumps(going.state_dict())))
        assert next_batches(resumed, min(3, steps - step)) == whole[step : step + 3]
        assert next_batches(going, 1) == whole[step : step + 1]


@pytest.mark.parametrize("bug", ["row forgotten", "epoch forgotten", "one batch late"])
def test_resume_finds_planted_bugs(modules, monkeypatch, shards, bug):
    real = modules.loader.Loader.state_dict

    def state_dict(self):
        state = real(self)
        if bug == "row forgotten":
            return state | {"row": 0}
        return state | ({"epoch": 0} if bug == "epoch forgotten" else {"row": max(0, state["row"] - 2)})

    monkeypatch.setattr(modules.loader.Loader, "state_dict", state_dict)
    with pytest.raises(AssertionError):
        test_resume_at_every_step(modules, shards, "whole", 0, 1)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5, 16, 100])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_ranks(modules, shards, world_size, batch_size):
    """Every row goes to one rank, each step's rows are those of one process with a batch as large as all theirs."""
    Loader = modules.loader.Loader
    ranks = [list(Loader(shards, batch_size, 64, seed=2, rank=rank, world_size=world_size))
             for rank in range(world_size)]
    alone = list(Loader(shards, batch_size * world_size, 64, seed=2))
    assert {len(batches) for batches in ranks} == {len(alone)}
    assert [row for batch in alone for row in rows_of(*batch)] == reference_rows(modules, shards, 64, "whole", 2, 0)
    for step, whole in enumerate(alone):
        together = [row for batches in ranks for row in rows_of(*batches[step])]
        assert sorted(together) == sorted(rows_of(*whole))
    dropped = [list(Loader(shards, batch_size, 64, seed=2, rank=rank, world_size=world_size, drop_last=True))
               for rank in range(world_size)]
    full = [all((targets != -1).any(axis=1).all() for _, targets in step) for step in zip(*ranks)]
    assert [len(batches) for batches in dropped] == [sum(full)] * world_size
    assert all((a[0] == b[0]).all() for x, y in zip(dropped, ranks) for a, b in zip(x, y))


@pytest.mark.parametrize("bug", ["every rank reads all", "the same start", "a rank short"])
def test_ranks_find_planted_bugs(modules, monkeypatch, shards, bug):
    real = modules.loader.Loader.read

    def read(self, row):
        if bug == "every rank reads all":
            self.rank = 0
        if bug == "the same start":
            row -= row % 2
        inputs, targets = real(self, row)
        if bug == "a rank short" and self.rank == 1:
            targets[-1] = -1
        return inputs, targets

    monkeypatch.setattr(modules.loader.Loader, "read", read)
    with pytest.raises(AssertionError):
        test_ranks(modules, shards, 3, 1)


def test_resume_with_other_ranks(modules, shards):
    """After four steps of three ranks, one process goes on with the rows that are left."""
    Loader = modules.loader.Loader
    three = Loader(shards, 2, 64, seed=5, world_size=3)
    next_batches(three, 4)
    one = Loader(shards, 1, 64, seed=5)
    one.load_state_dict(three.state_dict())
    left = [row for batch in one for row in rows_of(*batch)]
    assert left == reference_rows(modules, shards, 64, "whole", 5, 0)[24:]


def test_loader_errors(modules, user_error, shards, shard_folder):
    Loader = modules.loader.Loader
    state = Loader(shards, 2, 64).state_dict()
    for change in ({"seed": 1}, {"length": 65}, {"layout": "packed"}, {"data": "0"}):
        with pytest.raises(user_error, match=f"the state is of {next(iter(change))}"):
            Loader(shards, 2, 64).load_state_dict(state | change)
    other = Loader(modules.shards.open_shards(shard_folder[0], "valid"), 2, 64)
    with pytest.raises(user_error, match="the state is of data"):
        other.load_state_dict(state)
    for wrong in ({}, [], None, {"row": 1}):
        with pytest.raises(user_error, match="not the state of a loader"):
            other.load_state_dict(wrong)
    for arguments in ((0, 64), (2, 0), (2, 64, "heap"), (2, 64, "whole", 0, 2, 2), (2, 64, "whole", 0, -1, 1)):
        with pytest.raises(user_error):
            Loader(shards, *arguments)


def test_targets_suit_torch(modules, shards):
    """cross_entropy with ignore_index=-1 averages over exactly the targets that are predicted."""
    import torch

    inputs, targets = map(torch.from_numpy, next(iter(modules.loader.Loader(shards, 2, 500))))
    logits = torch.nn.functional.one_hot(targets.clamp(min=0), 4096).float() * 100
    assert (targets == -1).any() and inputs.dtype == torch.int64
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
    assert loss.item() < 1e-6


# -- as programs


def test_scripts(run_script, modules, tmp_path, tokenizer_path):
    """Each script runs on its own and asserts what it says; here on few stories."""
    rng, box = random.Random(50), tmp_path / "box"
    stories = [tell(rng, rng.randrange(60, 120)) for _ in range(320)]
    write_stories(box / "train.txt", stories[:300])
    write_stories(box / "valid.txt", stories[300:])
    few = ("--data", box, "--tokenizer", tokenizer_path, "--workers", 1, "--out", tmp_path / "out")
    assert "not text" in run_script("datasets/clean.py", "--data", box).stdout
    shown = run_script("datasets/dedup.py", "--data", box, "--stories", 80, "--plot").stdout
    assert "missed" in shown and "wrote datasets/figures/lsh.svg" in shown
    assert "the same, to the letter" in run_script("datasets/shards.py", *few).stdout
    assert "every byte" in run_script("datasets/shards.py", tmp_path / "out").stdout
    shown = run_script("datasets/loader.py", *few, "--batch-size", 8, "--plot").stdout
    assert "none missing" in shown and "stopped and resumed" in shown and "layouts.svg" in shown


@pytest.mark.parametrize("name", ["contaminated", "best_fit"])
def test_answers(modules, answers, name):
    modules.checks.CHECKS[name](getattr(answers("datasets"), name))


@pytest.mark.parametrize("bug", ["twelve words", "letters", "too long a row", "a story lost", "in order"])
def test_checks_find_planted_bugs(modules, bug):
    checks, right = modules.checks.CHECKS, modules.solutions
    wrong = {
        "twelve words": lambda valid, train, n=13: right.contaminated(valid, train, n - 1),
        "letters": lambda valid, train, n=13: [
            i for i, v in enumerate(valid) for t in train
            if {*zip(*(v.split()[k:] for k in range(n)))} & {*zip(*(t.split()[k:] for k in range(n)))}],
        "too long a row": lambda lengths, T: right.best_fit(lengths, T + 1),
        "a story lost": lambda lengths, T: right.best_fit(lengths, T)[1:],
        "in order": lambda lengths, T: [[i] for i in range(len(lengths))],
    }  # fmt: skip
    with pytest.raises((AssertionError, IndexError)):
        checks["contaminated" if bug in ("twelve words", "letters") else "best_fit"](wrong[bug])


# ---------------------------------------------------------------- storyland


def told(modules, seed, plot=None):
    """One story of a seed and its text."""
    rng = modules.rng.PCG32(seed)
    story = modules.storyland.make_story(rng, plot)
    return story, modules.storyland.tell_story(story, rng)


@pytest.fixture(scope="module")
def many(modules):
    """Two thousand stories with their texts, every plot among them."""
    return [told(modules, seed) for seed in range(2000)]


def test_the_world_is_large_enough(modules):
    assert len(modules.events.EVENTS) >= 60
    assert len(modules.names.ALL) >= 200
    assert len(modules.people.KINDS) >= 80
    assert len(modules.places.PLACES) >= 60
    assert len(modules.things.THINGS) >= 300
    assert len(modules.storyland.PLOTS) >= 20


def test_english(modules):
    english = modules.english
    for phrase, form in {
        "apple": "an",
        "pear": "a",
        "hour": "an",
        "unicorn": "a",
        "old hat": "an",
        "one": "a",
    }.items():
        assert english.article(phrase) == form, phrase
    for base, past, ing in [
        ("ride a bike", "rode a bike", "riding a bike"),
        ("hug", "hugged", "hugging"),
        ("cry", "cried", "crying"),
        ("play tag", "played tag", "playing tag"),
        ("lie down", "lay down", "lying down"),
        ("see", "saw", "seeing"),
        ("trot", "trotted", "trotting"),
        ("visit", "visited", "visiting"),
        ("make a cake", "made a cake", "making a cake"),
    ]:
        assert (english.past(base), english.ing(base)) == (past, ing)
    for one, many in [
        ("box", "boxes"),
        ("berry", "berries"),
        ("toy mouse", "toy mice"),
        ("leaf", "leaves"),
        ("day", "days"),
        ("sheep", "sheep"),
    ]:
        assert english.plural(one) == many
    assert english.sentences('hello. "come," he said. "now."') == 'Hello. "Come," he said. "Now."'


def test_strict_reader_finds_little(modules, many):
    """In two thousand stories, fewer than one in a hundred has anything that the strict reader minds."""
    wrong = [
        (story.plot, fault) for story, text in many for fault in modules.strict_reader.faults(story, text)
    ]
    assert len(wrong) <= 20, wrong[:10]


def test_length_and_form(many):
    words = [len(text.split()) for _, text in many]
    assert 150 < sum(words) / len(words) < 230
    assert sum(90 <= n <= 320 for n in words) >= 0.98 * len(words)
    for _, text in many:
        assert text == text.strip() and "\n\n" not in text and text.isascii()
        assert 3 <= text.count("\n") + 1 <= 9


def test_same_seed_same_story(modules):
    for seed in range(40):
        assert told(modules, seed) == told(modules, seed)
    story, _ = told(modules, 5)
    again = [modules.storyland.tell_story(story, modules.rng.PCG32(9)) for _ in range(2)]
    assert again[0] == again[1] != modules.storyland.tell_story(story, modules.rng.PCG32(10))


def test_object_goes_through_json(modules):
    for seed in range(60):
        story, _ = told(modules, seed)
        back = modules.story.Story.from_json(json.loads(json.dumps(story.to_json())))
        assert back == story
        assert modules.storyland.tell_story(back, modules.rng.PCG32(1)) == modules.storyland.tell_story(
            story, modules.rng.PCG32(1)
        )


def test_edited_hero(modules):
    """Another name in the object is another name in the whole text."""
    for seed in range(60):
        story, _ = told(modules, seed)
        old, story.characters["hero"].name = story.characters["hero"].name, "Zebulon"
        text = modules.storyland.tell_story(story, modules.rng.PCG32(seed))
        assert "Zebulon" in text
        if story.characters["hero"].kind in ("girl", "boy"):
            assert f" {old} " not in text


def test_questions_agree_with_the_text(modules, many):
    def plain(text):
        return "".join(c for c in text.lower() if c.isalpha() or c == " ")

    asked = wrong = 0
    for story, text in many:
        told_words = plain(text.replace("\n", " "))
        for question, answer in modules.questions.questions(story):
            assert "{" not in question + answer and question.endswith("?")
            asked += 1
            longest = max(plain(answer).split(), key=len)
            wrong += longest not in told_words
    assert asked > 6000
    assert wrong < 0.01 * asked  # an answer may be told in other words: "small" for "little"


def test_events_have_causes(modules, many):
    """Played again from the start, every event's needs are met by the events before it."""
    rules = modules.events.EVENTS
    kinds = {event.kind for story, _ in many for event in story.events}
    assert len(kinds) >= 150
    world = modules.story.World("test", modules.rng.PCG32(1), rules)
    world.character("hero", "girl")
    world.thing("thing", "toy", owner="hero", most=3)
    with pytest.raises(ValueError, match="cannot happen"):
        world.do("find", what="thing", spot="under the bed")  # nothing was lost
    world.do("lose", what="thing")
    with pytest.raises(ValueError, match="cannot happen"):
        world.do("lose", what="thing")  # lost already
    assert world.true("lost thing") and not world.true("has hero thing")
    world.do("find", what="thing", spot="under the bed")
    assert world.true("has hero thing")


def test_every_telling_can_be_told(modules):
    """Each alternative of each event's tellings is read without error, and names only roles that exist."""
    for rule in modules.events.EVENTS.values():
        assert len(modules.telling.parse(rule.tellings)) >= 1, rule.kind
        assert rule.tellings.count("[") == rule.tellings.count("]"), rule.kind
        assert rule.tellings.count("{") == rule.tellings.count("}"), rule.kind


def nobody_introduced(modules, monkeypatch):
    monkeypatch.setattr(modules.telling.Teller, "introduce", lambda self, c, form="": c.name)


def articles_as_they_fall(modules, monkeypatch):
    monkeypatch.setattr(modules.english, "fix_articles", lambda text: text.replace(" an ", " a "))


def everybody_is_she(modules, monkeypatch):
    monkeypatch.setitem(modules.telling.PRONOUNS, "he", modules.telling.PRONOUNS["she"])


def capitals_forgotten(modules, monkeypatch):
    monkeypatch.setattr(modules.english, "sentences", lambda text: text)


def a_stranger(modules, monkeypatch):
    honest = modules.storyland.tell_story
    monkeypatch.setattr(
        modules.storyland, "tell_story", lambda story, rng: honest(story, rng) + " Then Tim and Keiko and Bob came."
    )


def ending_lost(modules, monkeypatch):
    honest = modules.storyland.tell_story
    monkeypatch.setattr(
        modules.storyland,
        "tell_story",
        lambda story, rng: honest(story, rng).split("\n")[0] + "\nThen it rained for a long time." * 4,
    )


def slots_left_open(modules, monkeypatch):
    honest = modules.storyland.tell_story
    monkeypatch.setattr(
        modules.storyland,
        "tell_story",
        lambda story, rng: honest(story, rng).replace("One ", "{who} ", 1) + " {d.spot}.",
    )


@pytest.mark.parametrize(
    "bug",
    [
        nobody_introduced,
        articles_as_they_fall,
        everybody_is_she,
        capitals_forgotten,
        a_stranger,
        ending_lost,
        slots_left_open,
    ],
)
def test_strict_reader_finds_planted_bugs(modules, monkeypatch, bug):
    honest_article = modules.english.fix_articles
    bug(modules, monkeypatch)
    stories = [told(modules, seed) for seed in range(150)]
    monkeypatch.undo()
    assert modules.english.fix_articles is honest_article
    found = sum(bool(modules.strict_reader.faults(story, text)) for story, text in stories)
    assert found > 15, found


def test_committed_corpus_is_made_again(modules, root):
    """The first stories of the committed files, made from the seed, to the byte."""
    size = 100_000
    made = modules.synthesize.corpus(1, size)
    committed = (root / "datasets/stories/valid.txt").read_text(encoding="utf-8")
    assert committed[:size] == made[:size]


def test_committed_corpus_is_varied(modules, root):
    train, valid = (
        (root / f"datasets/stories/{name}.txt").read_text(encoding="utf-8") for name in ("train", "valid")
    )
    assert 4.9e6 < len(train.encode()) < 5.1e6 and 0.28e6 < len(valid.encode()) < 0.33e6
    found = modules.synthesize.measures(train)
    assert found["word types"] >= 3000
    assert found["distinct 4-grams"] >= 0.60
    assert found["xz bits per byte"] >= 1.15
    assert found["commonest sentence"] <= 0.003
    stories = [[s.strip() for s in text.split("<|endoftext|>") if s.strip()] for text in (train, valid)]
    assert len(set(stories[0])) == len(stories[0]) and not set(stories[0]) & set(stories[1])


def test_measures_see_repetition(modules):
    one = "Tim had a ball. He lost the ball. Mia found it.\n<|endoftext|>\n"
    found = modules.synthesize.measures(one * 500)
    assert found["word types"] == 10 and found["distinct 4-grams"] < 0.05 and found["xz bits per byte"] < 0.2
    assert math.isclose(found["commonest sentence"], 1 / 3)


def test_synthesize(run_script, tmp_path):
    result = run_script("datasets/synthesize.py", "--out", tmp_path / "a", "--seed", 3, "--megabytes", 0.2)
    assert "word types" in result.stdout and "commonest sentence" in result.stdout
    run_script("datasets/synthesize.py", "--out", tmp_path / "b", "--seed", 3, "--megabytes", 0.2)
    run_script("datasets/synthesize.py", "--out", tmp_path / "c", "--seed", 4, "--megabytes", 0.2)
    a, b, c = ((tmp_path / name / "train.txt").read_bytes() for name in "abc")
    assert a == b != c
    assert a.endswith(b"\n<|endoftext|>\n")


def test_storyland_script(run_script):
    result = run_script("datasets/storyland.py", "--count", 2, "--seed", 4, "--plot", "fear")
    assert result.stdout.count("fear") >= 2
    result = run_script("datasets/storyland.py", "--plot", "romance", status=2)
    assert "there is no such plot" in result.stderr and "lost_thing" in result.stderr


def test_plain_openings(chapter, run_script, tmp_path):
    """The same stories, in English as right as Storyland's, that begin as most stories do."""
    datasets = chapter("datasets")
    began = wrong = 0
    for seed in range(300):
        rng = datasets.rng.PCG32(seed)
        story = datasets.storyland.make_story(rng)
        text = datasets.plain.tell_plainly(story, rng)
        assert story.characters["hero"].name in text
        wrong += bool(datasets.strict_reader.faults(story, text))
        began += re.match(r"Once upon a time, (there was|there were|there lived|in|a) ", text) is not None
    assert began > 130 and wrong <= 6, (began, wrong)  # the strict reader also stumbles where nothing is wrong
    assert "plainly:" in run_script("datasets/plain.py").stdout
    for name in "ab":
        run_script("datasets/plain.py", "--out", tmp_path / name, "--seed", 3, "--megabytes", 0.1)
    a, b = ((tmp_path / name / "train.txt").read_bytes() for name in "ab")
    assert a == b and 100_000 <= len(a) < 103_000
    assert not set(a.split(b"<|endoftext|>")) & set((tmp_path / "a/valid.txt").read_bytes().split(b"<|endoftext|>")[:-1])


# --- other names, and exercises in copying -------------------------------------------------------------------------

def test_rename_keeps_everything_but_the_names(chapter):
    datasets = chapter("datasets")
    story = ('Once, there was a girl named Mia. "Will you come, Mia?" asked Tom. "I will," said Mia. '
             "May was warm. Mia met Tom.")
    rng = datasets.rng.PCG32(1)
    for invented in (0.0, 1.0):
        new = datasets.rename.rename(story, rng, invented)
        before, after = re.findall(r"\w+", story), re.findall(r"\w+", new)
        exchanged = {}
        for a, b in zip(before, after, strict=True):
            assert exchanged.setdefault(a, b) == b, "one name became two"
        changed = {a: b for a, b in exchanged.items() if a != b}
        assert set(changed) == {"Mia", "Tom"} and len(set(changed.values())) == 2  # not Will, not May
        assert not set(changed.values()) & set(before)
        if not invented:
            assert changed["Mia"] in datasets.names.GIRLS and changed["Tom"] in datasets.names.BOYS


def test_rename_script(run_script, tmp_path):
    result = run_script("datasets/rename.py", "--out", tmp_path / "r", "--invented", 0.5)
    assert (tmp_path / "r/valid.txt").read_bytes() and "have new names" in result.stdout
    assert "choose another" in run_script("datasets/rename.py", "--out", "datasets/stories", status=2).stderr


def test_roll_call_brings_every_name_and_thing_back(chapter, run_script, tmp_path):
    datasets = chapter("datasets")
    for seed in range(200):
        text = datasets.roll_call.scene(datasets.rng.PCG32(seed))
        had = dict(re.findall(r"(\w+) (?:had|held|brought) an? (\w+ \w+)\.", text.split("\n")[1]))
        assert 2 <= len(had) <= 6
        for name, thing in had.items():
            assert text.count(name) >= 4 and text.count(thing) >= 3
            assert f"said {name}. \"This is my {thing}.\"" in text and f"{name} with the {thing}" in text
    result = run_script("datasets/roll_call.py", "--out", tmp_path / "s", "--scenes", 50)
    assert "50 scenes" in result.stdout and (tmp_path / "s/train.txt").read_text().count("<|endoftext|>") == 50
