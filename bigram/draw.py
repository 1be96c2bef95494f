"""The pictures of this chapter: the pairs of three tiny stories, the table of all pairs, and the curves of the n-grams."""

import math
from pathlib import Path

import numpy as np

from cli import UserError

COLORS = ("#b5651d", "#7a8b3c", "#2b5d8a")


def prepared(path):
    """The path of a picture, its folder made; UserError where that cannot be."""
    path = Path(path)
    if path.suffix not in (".svg", ".png"):
        raise UserError(f"--plot {path}: the name must end in .svg or .png")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise UserError(f"--plot {path}: {error.strerror}") from None
    return path


def arrow(start, end, bend, text, width):
    """An arrow from one point to another, bent to its left, with a text at its middle. Returns SVG."""
    (x0, y0), (x1, y1) = start, end
    length = math.hypot(x1 - x0, y1 - y0)
    mx, my = (x0 + x1) / 2 + bend * (y1 - y0) / length, (y0 + y1) / 2 - bend * (x1 - x0) / length
    tx, ty = (x0 + x1) / 2 + 0.72 * bend * (y1 - y0) / length, (y0 + y1) / 2 - 0.72 * bend * (x1 - x0) / length
    return (f'<path d="M{x0:.1f} {y0:.1f}Q{mx:.1f} {my:.1f} {x1:.1f} {y1:.1f}" fill="none" stroke="#2b5d8a" '
            f'stroke-width="{width:.1f}" marker-end="url(#head)"/>'
            f'<text x="{tx:.1f}" y="{ty + 5:.1f}" text-anchor="middle" paint-order="stroke" stroke="white" '
            f'stroke-width="5">{text}</text>')  # fmt: skip


def draw_pairs(counts, p, letters, path):
    """The table of three symbols and the same as circles and arrows, as SVG. counts, p: 3 lists of 3."""
    parts = ['<defs><marker id="head" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="11" markerHeight="11" '
             'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L10 5L0 10z" fill="#2b5d8a"/></marker></defs>',
             '<text x="205" y="40" text-anchor="middle">the next symbol</text>']  # fmt: skip
    for a, letter in enumerate(letters):
        y = 74 + 62 * a
        parts.append(f'<text x="92" y="{y + 37}" text-anchor="end">after <tspan font-weight="bold">{letter}</tspan></text>'
                     f'<text x="{133 + 70 * a}" y="66" text-anchor="middle" font-weight="bold">{letter}</text>')
        for b in range(3):
            shade = 255 - round(110 * p[a][b])
            parts.append(f'<rect x="{100 + 70 * b}" y="{y}" width="67" height="59" rx="4" '
                         f'fill="rgb({shade - 20},{shade},255)"/>'
                         f'<text x="{133 + 70 * b}" y="{y + 28}" text-anchor="middle" font-size="20">{counts[a][b]}</text>'
                         f'<text x="{133 + 70 * b}" y="{y + 48}" text-anchor="middle" font-size="13">'
                         f'of {sum(counts[a])}: {p[a][b]:.2f}</text>')  # fmt: skip
    centers, radius = [(430, 236), (710, 236), (570, 46)], 24
    for a in range(3):
        for b in range(3):
            if counts[a][b] and a != b:
                (x0, y0), (x1, y1) = centers[a], centers[b]
                turn = math.atan2(y1 - y0, x1 - x0)
                ends = [(x0 + radius * math.cos(turn - 0.45), y0 + radius * math.sin(turn - 0.45)),
                        (x1 - (radius + 2) * math.cos(turn + 0.45), y1 - (radius + 2) * math.sin(turn + 0.45))]  # fmt: skip
                parts.append(arrow(*ends, 30, f"{p[a][b]:.2f}", 1 + 4 * p[a][b]))
            elif counts[a][b]:
                x, y = centers[a]
                parts.append(f'<path d="M{x + 21} {y - 12}C{x + 75} {y - 40} {x + 75} {y + 40} {x + 23} {y + 12}" '
                             f'fill="none" stroke="#2b5d8a" stroke-width="{1 + 4 * p[a][b]:.1f}" marker-end="url(#head)"/>'
                             f'<text x="{x + 76}" y="{y + 5}">{p[a][b]:.2f}</text>')  # fmt: skip
    for letter, (x, y) in zip(letters, centers):
        parts.append(f'<circle cx="{x}" cy="{y}" r="{radius}" fill="#fff4e0" stroke="#b5651d" stroke-width="2"/>'
                     f'<text x="{x}" y="{y + 7}" text-anchor="middle" font-size="20">{letter}</text>')
    svg = ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 830 290" width="830" height="290" '
           'font-family="sans-serif" font-size="15"><rect width="100%" height="100%" fill="white"/>')  # fmt: skip
    path = prepared(path)
    path.write_text("\n".join([svg, *parts, "</svg>", ""]), encoding="utf-8")
    print(f"drawn in {path}")


def new_figure(width, height):
    """(figure, axes) of matplotlib, without a screen; the same picture gives the same file."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "the same picture, the same file"
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")


def save_figure(figure, path):
    """Writes a picture as SVG or PNG and says where."""
    import matplotlib.pyplot as plt

    path = prepared(path)
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
    print(f"drawn in {path}")


def draw_table(counts, names, path):
    """The table of pairs as shades: dark where a symbol is likely after another. counts (V, V); names: of V symbols.

    Only the symbols that occur often enough to be seen, in the order END, white space, signs, letters.
    """
    often = [s for s in range(len(counts)) if counts[s].sum() >= counts.sum() / 20000]
    order = sorted(often, key=lambda s: (s != 256, s not in (10, 32), chr(s).isalpha(), s))
    p = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    part = p[np.ix_(order, order)]
    figure, axes = new_figure(8.4, 7.6)
    image = axes.imshow(np.where(part > 0, np.log10(np.maximum(part, 1e-9)), np.nan), cmap="YlGnBu", vmin=-4, vmax=0)
    labels = [names[s] for s in order]
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_yticks(range(len(order)), labels, fontsize=8)
    axes.set_xticks(range(len(order)), labels, fontsize=8)
    for tick, name in zip(axes.xaxis.get_major_ticks(), labels):
        tick.label2.set_rotation(90 if len(name) > 1 else 0)
    axes.set(xlabel="the next symbol", ylabel="after")
    bar = figure.colorbar(image, shrink=0.6, ticks=[-4, -3, -2, -1, 0])
    bar.ax.set_yticklabels(["1 in 10,000", "1 in 1,000", "1 in 100", "1 in 10", "always"], fontsize=8)
    save_figure(figure, path)


def draw_orders(train, valid, path):
    """Bits per byte over the order: each smoothing on train (dashed) and valid. train, valid: {smoothing: curve}."""
    figure, axes = new_figure(7.6, 4.4)
    for color, name, up in zip(COLORS, valid, (-3, 1, -8)):
        orders = range(1, len(valid[name]) + 1)
        axes.plot(orders, train[name], "--", color=color, alpha=0.75)
        axes.plot(orders, valid[name], "o-", color=color, markersize=4)
        axes.annotate(name, (orders[-1], valid[name][-1]), (6, up), textcoords="offset points", color=color)
    axes.plot([], [], "o-", color="#444", markersize=4, label="valid")
    axes.plot([], [], "--", color="#444", label="train")
    axes.legend(frameon=False)
    axes.set(xlabel="order: symbols in a gram, the predicted one included", ylabel="bits per byte", xticks=list(orders),
             ylim=(0, None), xlim=(0.7, orders[-1] + max(1.0, 0.2 * orders[-1])))  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)
