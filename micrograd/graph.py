"""Draws any expression as a graph: a box for every number, with its value and its gradient, a circle for every operation.

New since micrograd.py: nothing is computed here that backward did not compute; it is only made visible. On each arrow
stands the slope of its operation. A number's gradient is the sum, over the arrows that leave it, of slope times the
gradient that the arrow leads to: check it with a pencil.
Left out on purpose: a library for graphs. Numbers stand in columns, each right of all that it was computed from; an
arrow that passes a column gets a place of its own there, and both ends of each arrow pull at each other.

    python micrograd/graph.py                                             the expression of the lesson, in a second
    python micrograd/graph.py "tanh(w * x + b)" w=0.5 x=2 b=-1            your own, with + - * / ** exp log tanh relu gelu
    python micrograd/graph.py "log(exp(x) + 1)" x=0 --plot out/mine.svg   also draws it
    python micrograd/graph.py --plot                                      draws micrograd/figures/graph.svg

Paper: Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures" (1981).
"""

import argparse
import ast
import math
import operator
from html import escape
from pathlib import Path

from cli import UserError, run
from micrograd import Value, as_value, topological_order

FIGURE = "micrograd/figures/graph.svg"
EXPRESSION, NUMBERS = "(a * b + c) * a", ["a=2", "b=-3", "c=10"]
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
             ast.Pow: operator.pow}
FUNCTIONS = ("exp", "log", "tanh", "relu", "gelu")
WIDE, HIGH, COLUMN, ROW = 96, 44, 208, 62  # a box; from one column to the next; from one row to the next


def read_expression(text, names):
    """A Value from text such as "tanh(w * x + b)". names: {"w": Value, …}. Raises UserError."""

    def build(node):
        if isinstance(node, ast.BinOp) and type(node.op) is ast.Pow:
            return build(node.left) ** plain_number(node.right)
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](build(node.left), build(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -build(node.operand)
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return as_value(float(node.value))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in FUNCTIONS and len(node.args) == 1:
            return getattr(build(node.args[0]), node.func.id)()
        raise UserError(f"cannot read {ast.unparse(node)!r}; known are {', '.join(names)}, numbers, + - * / ** "
                        f"and {', '.join(FUNCTIONS)}")

    def plain_number(node):
        try:
            return operator.pos(ast.literal_eval(node))
        except (ValueError, TypeError):
            raise UserError(f"the exponent {ast.unparse(node)!r} is not a plain number") from None

    try:
        return build(ast.parse(text, mode="eval").body)
    except SyntaxError:
        raise UserError(f"{text!r} is not an expression") from None
    except (RecursionError, MemoryError):
        raise UserError("the expression is too long to be read; give a shorter one") from None
    except (ArithmeticError, ValueError) as error:
        raise UserError(f"{text!r} has no value for these numbers: {error}") from None


def columns_of(result):
    """The Values in columns, each right of its parents; a number that was given stands right before its first use."""
    order, column = topological_order(result), {}
    for node in order:
        column[node] = max((column[parent] + 1 for parent in node.parents), default=0)
    for node in order:
        if not node.parents:
            uses = [column[child] for child in order if node in child.parents]
            column[node] = min(uses, default=1) - 1
    return column


def arrange(result):
    """Where everything stands: {Value: (column, y)} and, for each arrow, (parent, child, slope, its points)."""
    column = columns_of(result)
    rows = [[] for _ in range(max(column.values()) + 1)]  # in each column the Values, and passing arrows
    for node in topological_order(result):
        rows[column[node]].append(node)
    arrows = []
    for child in column:
        for number, (parent, slope) in enumerate(zip(child.parents, child.slopes)):
            passing = [(child, number, i) for i in range(column[parent] + 1, column[child])]
            for i, place in enumerate(passing, start=column[parent] + 1):
                rows[i].append(place)
            arrows.append((parent, child, slope, [parent, *passing, child]))
    near = {place: [] for row in rows for place in row}
    for *_, places in arrows:
        for a, b in zip(places, places[1:]):
            near[a].append(b)
            near[b].append(a)
    y = {place: float(i) for row in rows for i, place in enumerate(row)}
    for sweep in range(40):
        for row in rows if sweep % 2 else rows[::-1]:
            wish = {p: (y[p] + sum(y[q] for q in near[p])) / (1 + len(near[p])) for p in row}
            if sweep < 30:  # later only the distances change, no longer who is above whom
                row.sort(key=wish.get)
            spread(row, wish, y)
    top = min(y.values())
    return {node: (column[node], y[node] - top) for node in column}, \
        [(parent, child, slope, [y[p] - top for p in places]) for parent, child, slope, places in arrows]


def spread(row, wish, y):
    """Gives the places of a column their wish, but one unit apart at least, their mean where it was wished to be."""
    below = -math.inf
    for place in row:
        below = y[place] = max(wish[place], below + 1)
    shift = sum(y[place] - wish[place] for place in row) / len(row)
    for place in row:
        y[place] -= shift


def short(number):
    return f"{number:.4g}"


def graph_svg(result, names=None):
    """The expression that ends in `result` as SVG text. names: {"w": Value, …}, written into the boxes.

    Raises ValueError for more than 300 Values, which nobody could read.
    """
    if len(topological_order(result)) > 300:
        raise ValueError("more than 300 numbers are too many for a picture")
    name_of = {value: name for name, value in (names or {}).items()}
    places, arrows = arrange(result)
    x = {node: 16 + COLUMN * column for node, (column, _) in places.items()}  # of the box's left side
    y = {node: 34 + ROW * row for node, (_, row) in places.items()}  # of the box's middle
    lines, labels = [], []
    for parent, child, slope, rows in arrows:
        points = [(x[parent] + WIDE, y[parent])]
        for i, row in enumerate(rows[1:-1], start=1):  # straight past the boxes of the columns between
            at = x[parent] + COLUMN * i
            points += [(at - 30, 34 + ROW * row), (at + WIDE, 34 + ROW * row)]
        points.append((x[child] - 37, y[child]))
        path = f"M{points[0][0]:.0f} {points[0][1]:.1f}"
        for (ax, ay), (bx, by) in zip(points, points[1:]):
            middle = (ax + bx) / 2
            path += f" C{middle:.0f} {ay:.1f} {middle:.0f} {by:.1f} {bx:.0f} {by:.1f}"
        lines.append(f'<path d="{path}" fill="none" stroke="#999"/>')
        ax, ay = points[-2]
        bx, by = points[-1]  # the label lies on the last piece, a little before its middle, where arrows are apart
        lx, ly = ax + 0.42 * (bx - ax), ay + 0.39 * (by - ay)
        text = short(slope)
        labels.append(f'<rect x="{lx - 3.3 * len(text) - 2:.1f}" y="{ly - 7:.1f}" width="{6.6 * len(text) + 4:.1f}" '
                      f'height="14" fill="white"/><text x="{lx:.1f}" y="{ly + 4:.1f}" text-anchor="middle" '
                      f'fill="#2b5d8a">{text}</text>')
    boxes = [draw_value(node, x[node], y[node], name_of.get(node, "")) for node in places]
    lowest = max([row for *_, rows in arrows for row in rows] + [row for _, row in places.values()])
    width, height = max(x.values()) + WIDE + 16, 34 + ROW * lowest + 34
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>', *lines, *labels, *boxes, "</svg>", ""])


def draw_value(node, x, y, name):
    """One Value: its operation as a circle left of it, then name, value and gradient."""
    top = y - HIGH / 2
    parts = [f'<rect x="{x}" y="{top:.1f}" width="{WIDE}" height="{HIGH}" rx="4" fill="{"#f2efe6" if name else "#fff"}" '
             f'stroke="#444"/>']
    if node.operation:
        parts.append(f'<path d="M{x - 15} {y:.1f} H{x}" stroke="#999"/><circle cx="{x - 26}" cy="{y:.1f}" r="15" '
                     f'fill="#fff" stroke="#444"/><text x="{x - 26}" y="{y + 4:.1f}" text-anchor="middle" '
                     f'font-size="{11 if len(node.operation) > 2 else 14}">{escape(node.operation)}</text>')
    title = f"{escape(name)} = " if name else ""
    parts.append(f'<text x="{x + WIDE / 2}" y="{y - 5:.1f}" text-anchor="middle">{title}{short(node.data)}</text>'
                 f'<text x="{x + WIDE / 2}" y="{y + 14:.1f}" text-anchor="middle" fill="#b5411d">'
                 f'grad {short(node.grad)}</text>')
    return "\n".join(parts)


def read_numbers(texts):
    """{"a": Value(2.0), …} from ["a=2", …]. Raises UserError."""
    names = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            names[name] = Value(float(number))
        except ValueError:
            raise UserError(f"{text!r} does not give a name its number; write it like a=2") from None
        if not name.isidentifier() or name in FUNCTIONS or not math.isfinite(names[name].data):
            raise UserError(f"{text!r} does not give a name a number; write it like a=2")
    return names


def main(argv=None):
    parser = argparse.ArgumentParser(description="An expression with its values and gradients, as a graph.")
    parser.add_argument("expression", nargs="?", default=EXPRESSION, help=f"what to compute (default: {EXPRESSION!r})")
    parser.add_argument("numbers", nargs="*", help=f"the numbers in it, like a=2 (default: {' '.join(NUMBERS)})")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE", help=f"draw it (default: {FIGURE})")
    args = parser.parse_args(argv)
    names = read_numbers(args.numbers or (NUMBERS if args.expression == EXPRESSION else []))
    result = read_expression(args.expression, names)
    result.backward()
    name_of = {value: name for name, value in names.items()}
    number_of = {}
    print(f"{args.expression} = {short(result.data)}")
    print("number     computed as           value   gradient")
    for node in topological_order(result):
        number_of[node] = name_of.get(node) or f"#{len(number_of) + 1}"
        how = f"{node.operation} of {', '.join(number_of[parent] for parent in node.parents)}" if node.parents else "given"
        print(f"{number_of[node]:10} {how:16} {short(node.data):>10} {short(node.grad):>10}")
    if args.plot:
        try:
            Path(args.plot).parent.mkdir(parents=True, exist_ok=True)
            Path(args.plot).write_text(graph_svg(result, names), encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UserError(f"cannot draw {args.plot}: {error}") from None
        print(f"drawn in {args.plot}")


if __name__ == "__main__":
    run(main)
