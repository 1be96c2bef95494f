"""The table of the lesson, from the rows of family_sizes.py: sizes, choices, and the picture of the blocks.

New since family_sizes.py: nothing but how it is shown. Left out on purpose: counting (families.py does it).

    python transformer/family_table.py          the two tables; a second
    python transformer/family_table.py --plot   also draws transformer/figures/families.svg
"""

import argparse

from atomic import write_atomic
from cli import run
from family_parts import UNKNOWN
from family_sizes import BERT, FAMILIES, GEMMA, GPT1, GPT2, LLAMA, MISTRAL, MIXTRAL, ORIGINAL, PALM, T5

FIGURE = "transformer/figures/families.svg"


def cell(value):
    """A size as text; "?" where it is not published."""
    return "?" if value in (None, UNKNOWN) else f"{value:,}" if isinstance(value, int) else value


def norm_words(family):
    """Which norm, and where it stands, in two words."""
    if family.norm == UNKNOWN:
        return "?"
    return f"{family.norm}, " + ("once" if family.parallel else {"pre": "before", "post": "after"}[family.norm_place])


def attention_words(family):
    """Who looks at whom, and how many heads share one of keys and values."""
    if family.pattern == UNKNOWN:
        return "?"
    shared = family.heads // family.kv_heads
    return family.pattern + (f", {shared} share" if shared > 1 else "")


def more_words(family):
    """What else a row changes, in words."""
    if family.tied is None:
        return "?"
    said = [(not family.bias, "no biases"), (not family.tied, "two tables"), (family.parallel, "side by side"),
            (family.scaled_embedding, "tokens times sqrt(C)"), (not family.scaled_scores, "scores undivided"),
            (family.experts, f"{family.top_k} of {family.experts} experts")]
    return ", ".join(words for true, words in said if true)


def print_columns(header, rows):
    """Prints columns as wide as they need to be; the first and all texts to the left, numbers to the right."""
    rows = [[cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    number = [all(text.replace(",", "").isdecimal() or text == "?" for text in column) for column in zip(*rows)]
    for row in [header, *rows]:
        print("  ".join(text.rjust(width) if right else text.ljust(width)
                        for text, width, right in zip(row, widths, number)).rstrip())


def show_families(families=tuple(FAMILIES)):
    """The two tables: sizes, and choices."""
    print_columns(["", "year", "layers", "width", "heads", "K, V", "of", "MLP", "context", "vocabulary", "tokens read"],
              [[f.name, str(f.year), f.layers, f.width, f.heads, f.kv_heads, f.head_dim, f.hidden, f.context, f.vocab,
                f.tokens] for f in families])
    print()
    print_columns(["", "stacks", "told in training", "position", "norm", "activation", "who looks at whom", "and"],
              [[f.name, f.sides, f.objective, f.position, norm_words(f), f.activation, attention_words(f),
                more_words(f)] for f in families])
    print("heads: of queries; K, V: of keys and values; of: their width; ?: not published")


DRAWN = [(ORIGINAL, None), (GPT1, ORIGINAL), (BERT, GPT1), (GPT2, GPT1), (T5, ORIGINAL),
         (PALM, GPT2), (LLAMA, GPT2), (MISTRAL, LLAMA), (MIXTRAL, MISTRAL), (GEMMA, LLAMA)]  # a family, what it changed
NORM_WORDS = {"layer": "layer norm", "layer without bias": "layer norm, no bias", "RMS": "RMSNorm",
              "RMS (1 + w)": "RMSNorm (1 + w)"}
COLUMN, ROW, BOX, LINE = 272, 392, 214, 13  # pixels: a column, a row of columns, a box, a line of text


def boxes_of(family):
    """What a family's boxes say: {role: lines}. Two families differ in a role where these differ."""
    norm, shared = NORM_WORDS[family.norm], family.heads // family.kv_heads
    heads = "all heads share K, V" if family.kv_heads == 1 else f"{shared} heads share K, V" if shared > 1 else ""
    place = {"rotary": "rotary", "relative": "bias by distance"}.get(family.position, "")
    views = {"full": "looks both ways", "sliding window": f"the last {family.window:,}"}
    looks = views.get(family.pattern, "looks back")
    first = "tokens" + (" times \u221aC" if family.scaled_embedding else "")
    first += {"learned": " + learned places", "sinusoidal": " + sines"}.get(family.position, "")
    experts = [f"{family.top_k} of {family.experts} experts"] if family.experts else []
    boxes = {"first": [first], "norm": [norm], "attention": [f"attention: {looks}", *filter(None, [place, heads])],
             "mlp": [f"MLP: {family.activation}", *experts, *([] if family.bias else ["no biases"])]}
    if family.sides == "both":
        boxes["cross"] = ["attention: to the encoder"]
    boxes["last"] = ([norm] if family.norm_place == "pre" else []) + [
        "the tokens' table again" if family.tied else "a table of its own"]
    return boxes


def draw_column(family, before, left, top):
    """One family from top to bottom, the stream as a line. Orange: not as in `before`. A list of SVG elements."""
    boxes, old = boxes_of(family), boxes_of(before) if before else {}
    line, svg, y = left + 14, [], top + 44

    def box(role, y, x=line + 18, width=BOX, changed=False):
        lines, height = boxes[role], 10 + LINE * len(boxes[role])
        color = "#f8d9ae" if before and (changed or lines != old.get(role)) else "#eef1f4"
        svg.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4" fill="{color}" stroke="#444"/>')
        svg.extend(f'<text x="{x + 7}" y="{y + 15 + LINE * n}">{words}</text>' for n, words in enumerate(lines))
        return height

    def plus(y):
        svg.append(f'<circle cx="{line}" cy="{y}" r="7" fill="white" stroke="#444"/>'
                   f'<text x="{line}" y="{y + 4}" text-anchor="middle">+</text>')

    moved = before is not None and (family.norm_place, family.parallel) != (before.norm_place, before.parallel)
    y += box("first", y, line - 10, BOX + 28) + 16
    start = y - 8
    branches = ["attention", *(["cross"] if "cross" in boxes else []), "mlp"]
    for role in [None] if family.parallel else branches:
        if family.norm_place == "pre":
            svg.append(f'<path d="M{line} {y + 11} h18" stroke="#444"/>')
            y += box("norm", y, changed=moved) + 5
        else:
            svg.append(f'<path d="M{line} {y + 11} h18" stroke="#444"/>')
        if role is None:  # side by side
            height = box("attention", y, line + 18, 127, moved)
            y += max(height, box("mlp", y, line + 149, 83, moved)) + 4
        else:
            y += box(role, y) + 4
        svg.append(f'<path d="M{line + 40} {y - 4} v8 h-40" stroke="#444" fill="none"/>')
        plus(y + 4)
        y += 17
        if family.norm_place == "post":  # on the stream itself
            y += box("norm", y, line - 10, BOX + 28, moved) + 10
    svg.append(f'<rect x="{left - 4}" y="{start}" width="{BOX + 46}" height="{y - start}" rx="8" fill="none" '
               'stroke="#888" stroke-dasharray="4 3"/>')
    y += 9
    height = box("last", y, line - 10, BOX + 28)
    title = family.name.split()[0] if family is not ORIGINAL else "Transformer"
    notes = ["its decoder"] if family.sides == "both" else []
    notes += [f"orange: not as in {before.name.split()[0]}"] if before else []
    return [f'<path d="M{line} {top + 60} V{y + height / 2}" stroke="#444" stroke-width="3"/>',
            f'<text x="{left}" y="{top + 18}" font-weight="bold" font-size="14">{title} ({family.year})</text>',
            f'<text x="{left}" y="{top + 34}" fill="#666">{"; ".join(notes)}</text>', *svg]


def draw_families(path):
    """Ten families' blocks, five in a row."""
    width, height = 5 * COLUMN + 10, 2 * ROW - 40
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
           'font-family="sans-serif" font-size="11">', '<rect width="100%" height="100%" fill="white"/>']
    for number, (family, before) in enumerate(DRAWN):
        svg += draw_column(family, before, 14 + number % 5 * COLUMN, number // 5 * ROW)
    write_atomic(path, "\n".join([*svg, "</svg>", ""]))


def main(argv=None):
    parser = argparse.ArgumentParser(description="The families as two tables and a picture.")
    parser.add_argument("--plot", action="store_true", help=f"draw {FIGURE}")
    args = parser.parse_args(argv)
    show_families()
    if args.plot:
        draw_families(FIGURE)
        print(f"drawn in {FIGURE}")


if __name__ == "__main__":
    run(main)
