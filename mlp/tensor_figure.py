"""Draws one storage of 12 numbers and its views: a table, and the steps through the strip that make it.

Nothing here is computed that strided.py does not compute; tensor.py --plot writes the picture.
"""

from html import escape

from strided import ListTensor

CELL, LEFT, STRIP, HEIGHT = 26, 24, 330, 136  # a cell; where tables and strips begin; a panel's height
ALONG, ACROSS, PLAIN = "#2b5d8a", "#b5411d", "#777"  # a step in a row, a step to the next row, any step
SHADES = ["#dbe7f2", "#f6e3c5", "#e2efd9", "#eadcf0"]  # one a row of the table


def square(x, y, text, fill="#fff", stroke="#444"):
    return (f'<rect x="{x}" y="{y}" width="{CELL}" height="{CELL}" fill="{fill}" stroke="{stroke}"/>'
            f'<text x="{x + CELL / 2}" y="{y + 17.5}" text-anchor="middle" font-size="12">{text}</text>')


def step_arc(y, start, end, color, above=True):
    """An arc from one cell of the strip to another, above or below it; a loop where both are the same."""
    way = -1 if above else 1
    y = y if above else y + CELL
    a, b = (STRIP + CELL * (place + 0.5) for place in (start, end))
    if start == end:
        curve = f"M{a - 5} {y} C{a - 24} {y + way * 34} {a + 24} {y + way * 34} {a + 5} {y + way * 2}"
    else:
        lean = 4 if end > start else -4
        high = y + way * (8 + 5.5 * min(abs(end - start), 7))
        curve = f"M{a + lean} {y} C{a + lean} {high} {b - lean} {high} {b - lean} {y + way * 2}"
    return f'<path d="{curve}" fill="none" stroke="{color}" stroke-width="1.4" marker-end="url(#{color[1:]})"/>'


def panel(top, name, view, in_order):
    """A view: its facts and table on the left, on the right the strip with its steps, or all steps in reading order."""
    rows, columns = view.shape
    facts = f"shape {view.shape}, strides {view.strides}, offset {view.offset}"
    parts = [f'<text x="{LEFT}" y="{top}" font-weight="bold">{escape(name)}</text>'
             f'<text x="{LEFT}" y="{top + 17}" fill="#444">{facts}</text>']
    y, used = top + 40, {}
    for i in range(rows):
        for j in range(columns):
            place = view.place((i, j))
            used.setdefault(place, SHADES[i])
            parts.append(square(LEFT + CELL * j, top + 28 + CELL * i, place, SHADES[i]))
    parts += [square(STRIP + CELL * place, y, place, used.get(place, "#fff"), "#444" if place in used else "#bbb")
              for place in range(len(view.storage))]
    if in_order:
        places = view.places()
        parts += [step_arc(y, a, b, PLAIN, above=b > a) for a, b in zip(places, places[1:])]
    else:
        first = [view.place((0, j)) for j in range(columns)]
        down = [view.place((i, 0)) for i in range(rows)]
        parts += [step_arc(y, a, b, ALONG) for a, b in zip(first, first[1:])]
        parts += [step_arc(y, a, b, ACROSS, above=False) for a, b in zip(down, down[1:])]
    return "\n".join(parts)


def views_svg():
    """The picture as text."""
    t = ListTensor(list(range(12)), (3, 4))
    panels = [("t", t), ("t.T", t.T), ("t[::-1, 1:3]", t[::-1, 1:3]), ("t[0].expand(3, 4)", t[0].expand(3, 4)),
              ("t.T read in order, as t.T.reshape(12) would", t.T)]
    tops = [72]
    for _, view in panels:
        tops.append(tops[-1] + max(HEIGHT, 60 + CELL * view.shape[0]))
    heads = "".join(f'<marker id="{color[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6.5" '
                    f'markerHeight="6.5" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{color}"/></marker>'
                    for color in (ALONG, ACROSS, PLAIN))
    width, height = STRIP + 12 * CELL + 24, tops[-1] - 14
    note = tops[-2] + 136
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12">', f"<defs>{heads}</defs>",
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="14">The same 12 numbers in memory, seen in other ways</text>'
        f'<text x="{LEFT}" y="43" fill="{ALONG}">above: a step along a row (the last stride)</text>'
        f'<text x="{STRIP}" y="43" fill="{ACROSS}">below: a step to the next row (the first stride)</text>',
        *(panel(top, name, view, in_order="in order" in name) for (name, view), top in zip(panels, tops)),
        f'<text x="{STRIP}" y="{note}" fill="{PLAIN}">+4, +4, then -7: no single stride, so it copies</text>',
        "</svg>", ""])
