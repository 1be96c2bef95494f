"""The curve of a training run as a picture."""

from pathlib import Path


def plot_curve(history, path):
    """Draws training loss and validation bits per byte over the steps. history: dicts with step, loss (nats), bpb."""
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "the same picture, the same file"
    import matplotlib.pyplot as plt

    steps = [point["step"] for point in history]
    figure, left = plt.subplots(figsize=(7, 3.6), layout="constrained")
    left.plot(steps, [point["loss"] for point in history], color="#b5651d", label="training loss")
    left.set(xlabel="step", ylabel="training loss, nats per token")
    right = left.twinx()
    right.plot(steps, [point["bpb"] for point in history], color="#2b5d8a", label="validation")
    right.set_ylabel("validation, bits per byte")
    lines = left.lines + right.lines
    left.legend(lines, [line.get_label() for line in lines], frameon=False)
    left.spines["top"].set_visible(False)
    right.spines["top"].set_visible(False)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if str(path).endswith(".svg") else None)
    plt.close(figure)
