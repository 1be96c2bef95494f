"""The scoreboard keeps each model's best number, survives damaged lines, and is put into the README."""

import json

import pytest

LINES = [
    {"chapter": "tokenization", "model": "bpe 4096", "data": "datasets/stories", "bpb": 1.5, "time": "x"},
    {"chapter": "transformer", "model": "depth 4", "data": "datasets/stories", "bpb": 0.9, "parameters": 1},
    {"chapter": "transformer", "model": "depth 4", "data": "/far/stories/", "bpb": 0.8, "parameters": 2000},
    {"chapter": "transformer", "model": "depth 4", "data": "../tinystories", "bpb": 1.2},
    {"chapter": "bigram", "model": "counts | smoothed", "data": "datasets/stories", "bpb": 3},
]
DAMAGED = [
    b"{",
    b"[1]",
    b"\xff\xfe",
    b'{"chapter": "transformer", "model": "m", "data": "d"}',
    b'{"chapter": "transformer", "model": "m", "data": "d", "bpb": NaN}',
    b'{"chapter": "transformer", "model": "m", "data": "d", "bpb": true}',
    b'{"chapter": "transformer", "model": "m", "data": "d", "bpb": -1}',
    b'{"chapter": "nowhere", "model": "m", "data": "d", "bpb": 1}',
    b'{"chapter": "transformer", "model": 3, "data": "d", "bpb": 1}',
]


@pytest.fixture
def scoreboard(chapter):
    return chapter("tests/tools").scoreboard


@pytest.fixture
def board(tmp_path):
    (tmp_path / "out").mkdir()
    lines = [json.dumps(line).encode() for line in LINES]
    (tmp_path / "out/scoreboard.jsonl").write_bytes(b"\n".join(lines[:2] + DAMAGED + lines[2:]))
    (tmp_path / "README.md").write_text("# T\n\n<!-- scoreboard -->\nold\n<!-- /scoreboard -->\n\nend\n")
    return tmp_path


def test_the_best_of_each(scoreboard, board):
    scores, faults = scoreboard.read_scores(board / "out/scoreboard.jsonl")
    assert scores == LINES
    assert len(faults) == len(DAMAGED) and "line 3 " in faults[0]
    rows = scoreboard.best(scores)
    assert [(row["chapter"], row["data"], row["bpb"]) for row in rows] == [
        ("bigram", "Storyland", 3),
        ("transformer", "TinyStories", 1.2),
        ("transformer", "Storyland", 0.8),
        ("tokenization", "Storyland", 1.5),
    ]


def test_the_table(scoreboard, board, capsys):
    assert scoreboard.main(["--root", str(board)]) == 0
    printed = capsys.readouterr()
    assert "| transformer | depth 4 | Storyland | 0.800 | parameters 2,000 |" in printed.out
    assert "counts \\| smoothed" in printed.out
    assert printed.err.count("is left out") == len(DAMAGED)
    assert "old" in (board / "README.md").read_text()


def test_it_is_written_once_and_the_same(scoreboard, board):
    assert scoreboard.main(["--root", str(board), "--write"]) == 0
    text, picture = (board / "README.md").read_text(), board / "deployment/figures/scoreboard.svg"
    assert text.startswith("# T\n\n<!-- scoreboard -->\n| Chapter") and "old" not in text
    assert text.endswith("(deployment/figures/scoreboard.svg)\n<!-- /scoreboard -->\n\nend\n")
    drawn = picture.read_bytes()
    assert b"<svg" in drawn
    assert scoreboard.main(["--root", str(board), "--write"]) == 0
    assert (board / "README.md").read_text() == text and picture.read_bytes() == drawn


def test_nothing_to_show(scoreboard, tmp_path, capsys):
    assert scoreboard.main(["--root", str(tmp_path)]) == 2
    assert "make course" in capsys.readouterr().err


def test_a_readme_without_marks_is_left_alone(scoreboard, board, capsys):
    (board / "README.md").write_text("# T\n")
    assert scoreboard.main(["--root", str(board), "--write"]) == 2
    assert "README.md has no <!-- scoreboard -->" in capsys.readouterr().err
    assert (board / "README.md").read_text() == "# T\n"


def test_what_the_chapters_write_is_read(scoreboard, chapter, tmp_path, monkeypatch):
    """append_score and the scoreboard agree on the format."""
    monkeypatch.chdir(tmp_path)
    chapter("transformer").cli.append_score("transformer", "depth 4", "datasets/stories", 0.81234, tokens=3)
    scores, faults = scoreboard.read_scores(tmp_path / "out/scoreboard.jsonl")
    assert faults == [] and scores[0]["bpb"] == 0.8123 and scores[0]["tokens"] == 3
