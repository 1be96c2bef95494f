"""Pictures of cut text, as SVG written by hand: each piece a box with its letters in it."""

from html import escape

from graphemes import columns

# Light colors that black text reads well on; neighbors differ in lightness too, for color-blind readers.
COLORS = ("#cfe8f7", "#fde3b5", "#cdeedd", "#f8d3e4", "#f9f3b0")
LETTER, HEIGHT = 9.0, 22  # of one letter of the monospaced font, and of one line, in pixels


def shown(piece):
    """A piece as it is printed: spaces, tabs and line ends become visible signs."""
    return piece.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")


def box(x, y, piece, color):
    """One piece at (x, y): (SVG text, width in pixels)."""
    text = shown(piece)
    width = LETTER * columns(text) + 6
    return (f'<rect x="{x:.1f}" y="{y}" width="{width - 1:.1f}" height="{HEIGHT - 3}" rx="3" fill="{color}"/>'
            f'<text x="{x + 3:.1f}" y="{y + 14}" textLength="{width - 6:.1f}">{escape(text)}</text>',
            width)  # fmt: skip


def page(parts, width, height):
    """The SVG of some parts, on white, in a monospaced font."""
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="monospace" font-size="14">',
        '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])  # fmt: skip


def rows_of_pieces(rows):
    """One line for each (label, pieces): the same text, cut in different ways, one below the other."""
    margin = 12 + 8 * max(len(label) for label, _ in rows)
    parts, widest = [], 0
    for k, (label, pieces) in enumerate(rows):
        x, y = margin, 8 + (HEIGHT + 8) * k
        parts.append(f'<text x="8" y="{y + 14}" font-size="12" fill="#444">{escape(label)}</text>')
        for i, piece in enumerate(pieces):
            part, width = box(x, y, piece, COLORS[i % len(COLORS)])
            parts.append(part)
            x += width
        widest = max(widest, x)
    return page(parts, widest + 8, 8 + (HEIGHT + 8) * len(rows))


def flowing_pieces(pieces, width=760):
    """A text cut into pieces, in lines of `width` pixels, broken also where the text breaks its lines."""
    parts, x, y = [], 8, 8
    for i, piece in enumerate(pieces):
        part, wide = box(x, y, piece, COLORS[i % len(COLORS)])
        if x + wide > width - 8 and x > 8:
            x, y = 8, y + HEIGHT
            part, wide = box(x, y, piece, COLORS[i % len(COLORS)])
        parts.append(part)
        x += wide
        if piece.endswith("\n"):
            x, y = 8, y + HEIGHT
    return page(parts, width, y + HEIGHT + 8)
