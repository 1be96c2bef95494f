"""What every picture of this chapter needs: matplotlib without a window, a path that can be written."""

from pathlib import Path

from cli import UserError


# copied from: micrograd/plot.py::quiet_pyplot
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
