"""The pictures of this chapter: losses over steps, and the network of by_hand.py. Read it last."""

import numpy as np

from plot import prepared, quiet_pyplot, save_figure

BLUE, ORANGE, GREEN, GRAY = "#2b5d8a", "#b5651d", "#4a7d3a", "#888888"
PAIRS, MICROGRAD, TABLES = 3.408, 1.774, 0.794  # bits per byte on Storyland's valid.txt, from the chapters before


def running_means(losses, width=100):
    """The means of `width` neighbors each: (steps in their middles, means)."""
    width = min(width, len(losses))
    sums = np.cumsum([0.0, *losses])
    return np.arange(len(losses) - width + 1) + width / 2, (sums[width:] - sums[:-width]) / width


def plot_losses(losses, path):
    """losses: bits a symbol, one a step."""
    plt = quiet_pyplot()
    figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
    axes.plot(np.arange(len(losses))[::20], losses[::20], color="#c9d7e6", linewidth=0.6, label="one batch")
    steps, means = running_means(losses)
    axes.plot(steps[::20], means[::20], color=BLUE, linewidth=1.5, label="mean of 100 batches")
    known = {"pairs counted": PAIRS, "the last chapter's network": MICROGRAD, "nine bytes back, counted": TABLES}
    for label, bits in known.items():
        axes.axhline(bits, color=GRAY, linestyle=":", linewidth=1)
        axes.text(len(losses), bits + 0.04, label, ha="right", fontsize=9, color="#555555")
    axes.set(xlabel="step", ylabel="bits a symbol", ylim=(0.6, 4.6), xlim=(0, len(losses)))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    save_figure(figure, path)


class Svg:
    """Pieces of a hand-made SVG picture, in the colors of micrograd/figures/graph.svg: gradients red, weights blue."""

    def __init__(self, width, height):
        self.size, self.lines, self.boxes = (width, height), [], []

    def arrow(self, ax, ay, bx, by, label="", at=0.3):
        """A straight line, its label lying on it at that share of the way."""
        self.lines.append(f'<path d="M{ax} {ay:.1f} L{bx} {by:.1f}" stroke="#aaa" fill="none"/>')
        if label:
            x, y = ax + at * (bx - ax), ay + at * (by - ay)
            half = 3.4 * len(label) + 1
            self.boxes.append(f'<rect x="{x - half:.1f}" y="{y - 7:.1f}" width="{2 * half:.1f}" height="14" '
                              f'fill="white"/>' + self.text(x, y + 4, label, "#2b5d8a"))

    def box(self, x, y, width, lines, fill="#fff"):
        """A box with its middle left at (x, y); lines: (text, color) each, from the top."""
        height = 8 + 18 * len(lines)
        top = y - height / 2
        self.boxes.append(f'<rect x="{x}" y="{top:.1f}" width="{width}" height="{height}" rx="4" fill="{fill}" '
                          'stroke="#444"/>')
        self.boxes += [self.text(x + width / 2, top + 17 + 18 * i, *line) for i, line in enumerate(lines)]

    @staticmethod
    def text(x, y, text, color="#000", weight="normal"):
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="{color}" font-weight="{weight}">{text}</text>'

    def title(self, x, text):
        self.boxes.append(self.text(x, 20, text, "#444", "bold"))

    def __str__(self):
        width, height = self.size
        return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
                          f'height="{height}" font-family="sans-serif" font-size="12">',
                          '<rect width="100%" height="100%" fill="white"/>', *self.lines, *self.boxes, "</svg>", ""])


def rounded(number):
    """At most three digits after the point, and no -0."""
    return f"{number + 0:.3f}".rstrip("0").rstrip(".") if abs(number) >= 5e-4 else "0"


def draw_network(parameters, values, gradients, letters, context, target, path):
    """The prediction of by_hand.py: table rows, x, two hidden neurons, three outputs, the loss; gradients in red."""
    svg, red, black = Svg(880, 300), "#b5411d", "#000"
    for x, text in ((75, "table"), (240, "x"), (456, "hidden: a, h = gelu(a)"), (672, "z and p"), (817, "loss")):
        svg.title(x, text)
    x_rows = [64 + 62 * i for i in range(4)]
    table_rows, hidden_rows, out_rows = [80, 157, 234], [100, 214], [70, 157, 244]
    for s, y in enumerate(table_rows):
        numbers = ", ".join(rounded(number) for number in parameters["table"][s])
        slopes = ", ".join(rounded(slope) for slope in gradients["table"][s])
        svg.box(20, y, 110, [(f"{letters[s]}: {numbers}", black), (slopes, red)], "#f2efe6" if s in context else "#fff")
    for i, y in enumerate(x_rows):
        svg.arrow(130, table_rows[context[i // 2]], 205, y)
        svg.box(205, y, 70, [(rounded(values["x"][i]), black), (rounded(values["dx"][i]), red)])
        for j, to in enumerate(hidden_rows):
            svg.arrow(275, y, 400, to, rounded(parameters["w1"][i][j]), 0.15 if j == 0 else 0.36)
    for j, y in enumerate(hidden_rows):
        svg.box(400, y, 112, [(f"a = {rounded(values['a'][j])}", black), (rounded(values["da"][j]), red),
                              (f"h = {rounded(values['h'][j])}", black), (rounded(values["dh"][j]), red)])
        for k, to in enumerate(out_rows):
            svg.arrow(512, y, 617, to, rounded(parameters["w2"][j][k]), (0.22, 0.36, 0.22)[k])
    for k, y in enumerate(out_rows):
        svg.box(617, y, 110, [(f"{letters[k]}: z = {rounded(values['z'][k])}", black), (rounded(values["dz"][k]), red),
                              (f"p = {rounded(values['p'][k])}", black)], "#f2efe6" if k == target else "#fff")
        svg.arrow(727, y, 772, 157)
    svg.box(772, 157, 92, [(f"-ln p({letters[target]})", black), (f"= {rounded(values['loss'])}", black), ("1", red)])
    prepared(path).write_text(str(svg), encoding="utf-8")
    print(f"drawn in {path}")


def plot_widths(contexts, widths, path):
    """{steps: {K: bits}} and {H: bits} as two panels with one scale."""
    plt = quiet_pyplot()
    figure, panels = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained", sharey=True)
    for (steps, results), color, above in zip(contexts.items(), (BLUE, ORANGE), (7, -14)):
        plot_sizes(panels[0], results, color, above, f"{steps:,} steps")
    plot_sizes(panels[1], widths, BLUE, 7, f"{min(contexts):,} steps")
    sizes = ("bytes of context, K", contexts[min(contexts)]), ("hidden neurons, H", widths)
    for axes, (label, results) in zip(panels, sizes):
        axes.set_xticks(list(results), [str(tried) for tried in results])
        axes.margins(x=0.1)
        axes.set(xlabel=label, ylim=(1.8, 3.7))
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
    panels[0].set_ylabel("bits a symbol on valid")
    save_figure(figure, path)


def plot_sizes(axes, results, color, above, label):
    """One line, {size: bits}, with its numbers; above: where these stand, in points."""
    axes.plot(list(results), list(results.values()), "o-", color=color, markersize=4, label=label)
    for tried, bits in results.items():
        axes.annotate(f"{bits:.2f}", (tried, bits), (0, above), textcoords="offset points", ha="center", fontsize=9)
    axes.set_xscale("log", base=2)


def plot_training(rates, history, path):
    """Left the losses of {learning rate: (bits, losses)}, if finite; right {step: (bits on few stories, on valid)}."""
    plt = quiet_pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    finite = {rate: losses for rate, (_, losses) in rates.items() if np.isfinite(losses).all()}
    for (rate, losses), color in zip(finite.items(), (GRAY, GREEN, BLUE, ORANGE)):
        steps, means = running_means(losses, 50)
        left.plot(steps[::10], means[::10], color=color, linewidth=1.3, label=f"learning rate {rate:g}")
    left.set(xlabel="step", ylabel="bits a symbol, in training", ylim=(1.5, 9))
    for i, (label, color) in enumerate((("20 stories to learn", ORANGE), ("valid", BLUE))):
        right.plot(list(history), [pair[i] for pair in history.values()], color=color, label=label)
    right.set(xlabel="step", ylabel="bits a symbol")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
    save_figure(figure, path)
