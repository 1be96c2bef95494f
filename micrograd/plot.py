"""The chapter's curves and maps: a fit, the boundary between two moons as it forms, losses."""

from pathlib import Path

from cli import UserError


def quiet_pyplot():
    """matplotlib's pyplot without a window; the same picture always becomes the same file."""
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "the same picture, the same file"
    import matplotlib.pyplot as plt
    return plt


# copied from: bigram/draw.py::prepared
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


# copied from: bigram/draw.py::save_figure
def save_figure(figure, path):
    """Writes a picture as SVG or PNG and says where."""
    import matplotlib.pyplot as plt

    path = prepared(path)
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
    print(f"drawn in {path}")


def plot_fits(points, places, truth, fits, path):
    """points: [(x, y)] that were shown. truth: the curve at the places. fits: {step: the net's values there}."""
    plt = quiet_pyplot()
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    axes.plot(places, truth, color="#bbbbbb", linewidth=5, label="the curve")
    for (step, values), color in zip(fits.items(), ["#e3b98a", "#cf8a45", "#a9561b", "#2b5d8a"], strict=True):
        axes.plot(places, values, color=color, linewidth=1.5, label=f"after {step:,} steps")
    axes.plot(*zip(*points), "o", color="black", markersize=4, label="what it was shown")
    axes.set(xlabel="x", ylabel="y")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc=(0.52, 0.03))
    save_figure(figure, path)


def plot_moons(points, xs, ys, moments, path):
    """points: (x, y, label). moments: {step: (scores, accuracy)}, scores[row][column] at ys[row], xs[column]."""
    plt = quiet_pyplot()
    figure, panels = plt.subplots(2, 3, figsize=(8, 3.9), layout="constrained", sharex=True, sharey=True)
    for axes, (step, (scores, accuracy)) in zip(panels.flat, moments.items(), strict=True):
        axes.set_facecolor("#dbe7f3")
        axes.contourf(xs, ys, scores, levels=[0, 1e9], colors=["#fae6cf"])
        axes.contour(xs, ys, scores, levels=[0], colors=["#444444"], linewidths=1)
        for label, color in ((-1, "#2b5d8a"), (1, "#b5651d")):
            of_label = [(x, y) for x, y, other in points if other == label]
            axes.plot(*zip(*of_label), "o", color=color, markersize=2.5)
        axes.set_title(f"after {step} steps: {accuracy:.0%} right", fontsize=9)
        axes.set(xticks=[], yticks=[], aspect="equal")
    save_figure(figure, path)


def plot_names(history, counts, least, path):
    """history: {step: (bits on names to learn, on test names)}. counts: {n or "mixed": bits}. least: the rule's bits."""
    plt = quiet_pyplot()
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for i, (label, color) in enumerate((("names to learn", "#b5651d"), ("test names", "#2b5d8a"))):
        axes.plot(list(history), [pair[i] for pair in history.values()], color=color, label=label)
    lines = {"pairs counted": counts[1], "all tables mixed": counts["mixed"], "the rule itself": least}
    for label, bits in lines.items():
        axes.axhline(bits, color="#888888", linestyle=":", linewidth=1)
        axes.text(max(history) / 2, bits + 0.03, label, ha="center", fontsize=9, color="#555555")
    axes.set(xlabel="step", ylabel="bits a symbol", ylim=(1.2, 4.1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    save_figure(figure, path)
