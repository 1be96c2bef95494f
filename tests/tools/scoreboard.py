"""The scoreboard: the best bits per byte of each chapter's models, as a table and as a picture.

    python tests/tools/scoreboard.py            prints the table, from out/scoreboard.jsonl
    python tests/tools/scoreboard.py --write    also puts it into README.md, between <!-- scoreboard -->
                                                and <!-- /scoreboard -->, with a picture,
                                                deployment/figures/scoreboard.svg

Every script of the course that measures a model appends a line of JSON to out/scoreboard.jsonl: chapter,
model, data (the folder whose valid.txt was scored), bpb, and what else it measured. A line that is damaged is
named and left out. Of lines with the same chapter, model and data the lowest bpb counts.
"""

import argparse
import itertools
import json
import math
import sys
from pathlib import Path

from definitions import CHAPTERS

BEGIN, END = "<!-- scoreboard -->\n", "<!-- /scoreboard -->"
PICTURE = "\n![The scoreboard as bars: bits per byte of each chapter's models](deployment/figures/scoreboard.svg)\n"
KNOWN = {"chapter", "model", "data", "bpb", "time"}


def read_scores(path):
    """(scores, faults): the lines of the file as dicts, and one message for each line that is no score."""
    scores, faults = [], []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            scores.append(checked(json.loads(line)))
        except ValueError as error:  # UnicodeDecodeError and JSONDecodeError among them
            faults.append(f"{path.name} line {number} is left out: {error}")
    return scores, faults


def checked(score):
    """The score itself; ValueError says what is wrong with it."""
    if not isinstance(score, dict):
        raise ValueError("not an object")
    for key in ("chapter", "model", "data"):
        if not isinstance(score.get(key), str):
            raise ValueError(f"no {key}")
    if score["chapter"] not in CHAPTERS:
        raise ValueError(f"no such chapter: {score['chapter']}")
    bpb = score.get("bpb")
    if isinstance(bpb, bool) or not isinstance(bpb, int | float) or not (math.isfinite(bpb) and bpb > 0):
        raise ValueError("bpb is not a positive number")
    return score


def data_name(folder):
    """How readers know a folder of stories, wherever it lies on this machine."""
    name = Path(folder).name
    return {"stories": "Storyland", "tinystories": "TinyStories"}.get(name.lower(), name)


def best(scores):
    """The lowest bpb of each (chapter, model, data), in the chapters' order, then from high to low."""
    lowest = {}
    for score in scores:
        key = score["chapter"], score["model"], data_name(score["data"])
        if key not in lowest or score["bpb"] < lowest[key]["bpb"]:
            lowest[key] = {**score, "data": key[2]}
    order = {chapter: number for number, chapter in enumerate(CHAPTERS)}
    return sorted(lowest.values(), key=lambda score: (order[score["chapter"]], -score["bpb"]))


def table(rows):
    """The scoreboard in Markdown."""
    lines = ["| Chapter | Model | Stories | Bits per byte | Measured beside it |", "|---|---|---|---:|---|"]
    for row in rows:
        more = ", ".join(f"{key.replace('_', ' ')} {number(row[key])}" for key in row if key not in KNOWN)
        cells = [row["chapter"], row["model"], row["data"], f"{row['bpb']:.3f}", more]
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def number(value):
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def draw(rows, path):
    """One bar a row, colored by the stories it was measured on; the same bytes for the same rows."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = sorted({row["data"] for row in rows})
    colors = dict(zip(names, itertools.cycle(["#2f6f8f", "#c8793a", "#5f8f4f", "#8a5f8f"])))
    with plt.rc_context({"svg.hashsalt": "storyteller", "font.size": 9}):
        figure, axes = plt.subplots(figsize=(7.5, 0.9 + 0.28 * len(rows)), layout="constrained")
        for y, row in enumerate(rows):
            axes.barh(y, row["bpb"], color=colors[row["data"]], height=0.7)
            axes.text(row["bpb"], y, f" {row['bpb']:.3f}", va="center")
        axes.set_yticks(range(len(rows)), [f"{row['chapter']}: {row['model']}" for row in rows])
        axes.invert_yaxis()
        axes.margins(x=0.1)
        axes.set_xlabel("bits per byte on valid.txt (lower is better)")
        axes.spines[["top", "right"]].set_visible(False)
        handles = [plt.Rectangle((0, 0), 1, 1, color=color) for color in colors.values()]
        figure.legend(handles, colors, frameon=False, loc="outside upper right", ncols=len(colors))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None}, facecolor="white")
        plt.close(figure)


def put(readme, text):
    """The README's text with what stands between the two marks replaced."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md has no {BEGIN.strip()} followed by {END}")
    return before + begin + text + end + after


def main(argv=None):
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description="The best bits per byte of each chapter's models.")
    parser.add_argument("--write", action="store_true", help="put table and picture into the README")
    parser.add_argument("--root", type=Path, default=root, help="the project's folder")
    options = parser.parse_args(argv)
    path = options.root / "out" / "scoreboard.jsonl"
    if not path.is_file():
        print(f"error: {path} does not exist; `make course` writes it", file=sys.stderr)
        return 2
    scores, faults = read_scores(path)
    print(*faults, sep="\n", end="\n" if faults else "", file=sys.stderr)
    rows = best(scores)
    print(table(rows), end="")
    if options.write and rows:
        readme, picture = options.root / "README.md", options.root / "deployment/figures/scoreboard.svg"
        try:
            text = put(readme.read_text(encoding="utf-8"), table(rows) + PICTURE)
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        draw(rows, picture)
        readme.write_text(text, encoding="utf-8")
        print(f"wrote {readme} and {picture}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
