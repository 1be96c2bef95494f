"""gelu and cross-entropy in C, with exp, tanh and erf of our own: how wrong they are, and how fast.

New since matmul.py: the other operations of the network. Each is a ladder of four rungs in csrc/gelu.c and
csrc/cross_entropy.c: 1 the formula with the C library's functions, 2 plain C with those of csrc/vecmath.h, 3 eight
numbers at a time (AVX2), 4 sixteen (AVX-512); the last two where the processor has them. Left out on purpose: threads,
and float64.
Shapes: x, y and their gradients alike; logits (N, V), targets (N,), losses and lse (N,).

    python mlp/functions.py                    errors, then times; half a minute
    python mlp/functions.py --plot             draws figures/gelu.svg

Writes nothing else.

Papers: Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)" (2016);
Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018).
"""

import argparse
import ctypes
import functools
import math
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F

from cli import UserError, positive_int, run
from clib import load_library
from plot import prepared, quiet_pyplot, save_figure

FIGURE = "mlp/figures/gelu.svg"
FORMS = {"exact": "none", "tanh": "tanh"}  # our names, torch's; in the order of C's
FUNCTIONS = ("exp", "tanh", "erf")
RUNGS = {1: "1 libm", 2: "2 plain C", 3: "3 AVX2", 4: "4 AVX-512"}
MOST = {"exp": 1.05, "tanh": 2.6, "erf": 3.2}  # ulp, over all floats; csrc/test_gelu.c asserts the same
LONG, LONG_ROWS = 2**23, (256, 50257)  # too much for the caches; GPT-2 has as many logits
I, L, SCALE = ctypes.c_int, ctypes.c_int64, ctypes.c_float
FLOATS = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")  # an array is handed over, and its type is checked
WHOLE = np.ctypeslib.ndpointer(np.int64, flags="C_CONTIGUOUS")


def library(name, **arguments):
    """csrc/NAME.c with the types of its functions' arguments."""
    loaded = load_library(name)
    for function, types in arguments.items():
        getattr(loaded, function).argtypes = types
    return loaded


@functools.cache
def gelu_library():
    one_array = [I, I, L, FLOATS, FLOATS]
    return library("gelu", gelu_forward=one_array, gelu_backward=[*one_array, FLOATS], gelu_function=one_array)


@functools.cache
def cross_entropy_library():
    rows = [I, L, L, FLOATS, WHOLE, FLOATS]
    return library("cross_entropy", cross_entropy_forward=[*rows, FLOATS], cross_entropy_backward=[*rows, SCALE, FLOATS])


def rungs():
    """The numbers of the rungs that this machine has: 1, 2 and perhaps 3, 4."""
    return range(1, gelu_library().gelu_rungs() + 1)


def floats(x):
    """The array as C reads it: float32, numbers side by side."""
    return np.ascontiguousarray(x, dtype=np.float32)


def checked(fine, rung):
    if not fine:
        raise UserError(f"rung {rung}: this machine has {[*rungs()]}")


# --- the Python front ---------------------------------------------------------------------------------------------


def function(name, x, rung):
    """exp, tanh or erf of each number of x by the functions of that rung."""
    x = floats(x)
    y = np.empty_like(x)
    checked(gelu_library().gelu_function(rung, FUNCTIONS.index(name), x.size, x, y), rung)
    return y


def gelu_forward(x, form="tanh", rung=2):
    """gelu of each number. form: "exact" (erf) or "tanh"."""
    x = floats(x)
    y = np.empty_like(x)
    checked(gelu_library().gelu_forward(rung, [*FORMS].index(form), x.size, x, y), rung)
    return y


def gelu_backward(grad_y, x, form="tanh", rung=2):
    """grad_y times the derivative of gelu at x, both of one shape."""
    x, grad_y = floats(x), floats(grad_y)
    grad_x = np.empty_like(x)
    if x.shape != grad_y.shape:
        raise ValueError(f"x {x.shape} and grad_y {grad_y.shape} should have one shape")
    checked(gelu_library().gelu_backward(rung, [*FORMS].index(form), x.size, x, grad_y, grad_x), rung)
    return grad_x


def cross_entropy_forward(logits, targets, rung=2):
    """Losses (N,) in nats, and lse (N,), the logarithms of the rows' sums of e^logit. A target of -1 has loss 0."""
    logits, targets = floats(logits), np.ascontiguousarray(targets, dtype=np.int64)
    N, V = logits.shape
    if targets.shape != (N,):
        raise ValueError(f"logits {logits.shape} need targets ({N},), not {targets.shape}")
    losses, lse = np.empty(N, np.float32), np.empty(N, np.float32)
    result = cross_entropy_library().cross_entropy_forward(rung, N, V, logits, targets, losses, lse)
    checked(result != 1, rung)
    if result:
        raise ValueError(f"targets must be from -1 to {V - 1}")
    return losses, lse


def cross_entropy_backward(logits, targets, lse, scale, rung=2):
    """scale times the gradient of the sum of the losses, (N, V): p, less 1 at the target; 0 where that is -1."""
    logits, targets, lse = floats(logits), np.ascontiguousarray(targets, dtype=np.int64), floats(lse)
    N, V = logits.shape
    grad = np.empty_like(logits)
    if targets.shape != (N,) or lse.shape != (N,):
        raise ValueError(f"logits {logits.shape} need targets and lse ({N},), not {targets.shape} and {lse.shape}")
    result = cross_entropy_library().cross_entropy_backward(rung, N, V, logits, targets, lse, scale, grad)
    checked(result != 1, rung)
    if result:
        raise ValueError(f"targets must be from -1 to {V - 1}")
    return grad


# --- by hand: one pass over a row -----------------------------------------------------------------------------------


def online_lse(logits, show=False):
    """ln(e^x_1 + … + e^x_V) in one pass: the largest so far, and the sum as seen from it."""
    largest, total = -math.inf, 0.0
    for x in logits:
        if x > largest:
            total, largest = total * math.exp(largest - x), x
        total += math.exp(x - largest)
        if show:
            print(f"logit {x:g}: largest {largest:g}, sum {total:.6f}")
    return largest + math.log(total)


# --- errors -----------------------------------------------------------------------------------------------------------


def ulps(found, expected):
    """|found - expected| in units of the distance between neighbors near `expected`; inf and NaN must agree."""
    rounded = expected.astype(np.float32)
    with np.errstate(invalid="ignore"):
        error = np.abs(found.astype(np.float64) - expected) / np.spacing(np.abs(rounded)).astype(np.float64)
    same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    return np.where(np.isfinite(rounded) & np.isfinite(found), error, np.where(same, 0, np.inf))


def some_floats(every=10007):
    """Each so-manieth of all 2^32 floats, the infinities and NaN among them."""
    return np.arange(0, 2**32, every, dtype=np.uint64).astype(np.uint32).view(np.float32)


def show_errors():
    """Largest errors, against float64."""
    x = some_floats()
    with np.errstate(over="ignore", invalid="ignore"):
        print(f"\nlargest error in ulp, of {len(x):,} floats" + "".join(f"{RUNGS[r]:>12}" for r in rungs()))
        for name in FUNCTIONS:
            expected = getattr(torch, name)(torch.from_numpy(x).double()).numpy()
            worst = [ulps(function(name, x, rung), expected).max() for rung in rungs()]
            print(f"{name:41}" + "".join(f"{error:12.2f}" for error in worst))
            assert all(error <= MOST[name] for error in worst[1:]), f"{name} is less exact than vecmath.h says"
    x = np.linspace(-8, 8, 1_000_001, dtype=np.float32)
    wide = torch.from_numpy(x).double().requires_grad_()
    for form, approximate in FORMS.items():
        y = F.gelu(wide, approximate=approximate)
        slope, = torch.autograd.grad(y.sum(), wide)
        y, slope = y.detach().numpy(), slope.numpy()
        worst = [np.abs(gelu_forward(x, form, rung) - y).max() for rung in rungs()]
        worst_slope = [np.abs(gelu_backward(np.ones_like(x), x, form, rung) - slope).max() for rung in rungs()]
        print(f"{'gelu, ' + form + ', for |x| <= 8':41}" + "".join(f"{error:12.1e}" for error in worst) + "  absolute")
        print(f"{'gelu, ' + form + ', backward':41}" + "".join(f"{error:12.1e}" for error in worst_slope))
        assert max(worst) < 1e-6 and max(worst_slope) < 2e-6, "gelu is less exact than gelu.c says"


# --- times ------------------------------------------------------------------------------------------------------------


def contenders():
    """{operation: ({name: function without arguments}, numbers, bytes read and written a number)}."""
    n, rng = LONG, np.random.default_rng(0)
    x, grad_y, out = rng.normal(size=(3, n)).astype(np.float32)
    tx, t_grad = torch.from_numpy(x).requires_grad_(), torch.from_numpy(grad_y)
    c, found = gelu_library(), {}
    for k, (form, approximate) in enumerate(FORMS.items()):
        forward = {RUNGS[r]: lambda r=r, k=k: c.gelu_forward(r, k, n, x, out) for r in rungs()}
        forward["torch"] = lambda a=approximate: F.gelu(tx.detach(), approximate=a)
        if form == "tanh":
            forward["NumPy"] = lambda: 0.5 * x * (1 + np.tanh(0.79788456 * (x + 0.044715 * x * x * x)))
        forward["limit"] = lambda: np.copyto(out, x)
        backward = {RUNGS[r]: lambda r=r, k=k: c.gelu_backward(r, k, n, x, grad_y, out) for r in rungs()}
        y = F.gelu(tx, approximate=approximate)
        backward["torch"] = lambda y=y: torch.autograd.grad(y, tx, t_grad, retain_graph=True)
        backward["limit"] = lambda: np.multiply(x, grad_y, out=out)
        found |= {f"gelu, {form}": (forward, n, 8), f"gelu, {form}, backward": (backward, n, 12)}
    return found | contenders_for_rows(rng)


def contenders_for_rows(rng):
    """The same for cross-entropy."""
    N, V = LONG_ROWS
    logits, targets = rng.normal(size=(N, V)).astype(np.float32), rng.integers(V, size=N)
    losses, lse, grad = np.empty(N, np.float32), np.empty(N, np.float32), np.empty_like(logits)
    t_logits, t_targets = torch.from_numpy(logits).requires_grad_(), torch.from_numpy(targets)
    loss, c = F.cross_entropy(t_logits, t_targets), cross_entropy_library()
    rows = (N, V, logits, targets)
    forward = {RUNGS[r]: lambda r=r: c.cross_entropy_forward(r, *rows, losses, lse) for r in rungs()}
    forward |= {"torch": lambda: F.cross_entropy(t_logits.detach(), t_targets),
                "NumPy": lambda: np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)), "limit": logits.max}
    backward = {RUNGS[r]: lambda r=r: c.cross_entropy_backward(r, *rows, lse, 1 / N, grad) for r in rungs()}
    backward |= {"torch": lambda: torch.autograd.grad(loss, t_logits, retain_graph=True),
                 "limit": lambda: np.copyto(grad, logits)}
    return {"cross-entropy": (forward, N * V, 4), "cross-entropy, backward": (backward, N * V, 8)}


def speed(compute, n):
    """Millions of numbers a second of processor time, once."""
    start = time.process_time()
    compute()
    return n / 1e6 / (time.process_time() - start)


def time_functions(rounds=5):
    """Prints millions of numbers a second of each rung, torch and NumPy: medians of rounds in which they take turns.

    One thread, processor time. The limit is that of memory: what NumPy needs only to read and write the same arrays.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    ours, others = [RUNGS[r] for r in rungs()], ["torch", "NumPy", "limit"]
    print(f"{'million numbers a second':26}" + "".join(f"{name:>11}" for name in ours + others) + "   GB/s, ours")
    for operation, (functions, n, n_bytes) in contenders().items():
        speeds = {name: [] for name in functions}
        for number in range(rounds + 1):  # the first only warms up
            for name, compute in functions.items():
                found = speed(compute, n)
                if number:
                    speeds[name].append(found)
        middle = {name: statistics.median(several) for name, several in speeds.items()}
        columns = [f"{middle[name]:11,.0f}" if name in middle else f"{'':11}" for name in ours + others]
        print(f"{operation:26}" + "".join(columns) + f"{max(middle[name] for name in ours) * n_bytes / 1e3:13.1f}")
    torch.set_num_threads(before)


def plot_gelu(path):
    """gelu in both forms beside relu, and the derivatives."""
    x = np.linspace(-4, 4, 401, dtype=np.float32)
    one = np.ones_like(x)
    plt = quiet_pyplot()
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    panels = (("the function", np.maximum(x, 0), *(gelu_forward(x, form) for form in FORMS)),
              ("its derivative", np.where(x > 0, one, 0), *(gelu_backward(one, x, form) for form in FORMS)))
    for ax, (title, relu, exact, by_tanh) in zip(axes, panels):
        ax.plot(x, relu, color="#888888", linewidth=1.2, label="relu")
        ax.plot(x, exact, color="#2b5d8a", linewidth=2, label="gelu")
        ax.plot(x, by_tanh, color="#b5651d", linewidth=1.2, linestyle="--", label="gelu by tanh")
        ax.axhline(0, color="#cccccc", linewidth=0.8, zorder=0)
        ax.set(title=title, xlabel="x")
        ax.spines[["top", "right"]].set_visible(False)
    apart = np.abs(panels[0][2] - panels[0][3]).max()
    lowest = f"lowest near x = {x[panels[0][2].argmin()]:.2f}: {panels[0][2].min():.3f}"
    line = {"arrowstyle": "-", "color": "#888888"}
    axes[0].annotate(lowest, (-0.75, -0.17), (-3.6, 1.2), arrowprops=line, fontsize=9)
    axes[0].text(-3.6, 2.0, f"the two forms differ\nby at most {apart:.4f}", fontsize=9)
    axes[1].legend(frameon=False, loc="upper left")
    save_figure(figure, path)


def main(argv=None):
    parser = argparse.ArgumentParser(description="gelu and cross-entropy in C: errors and times.")
    parser.add_argument("--rounds", type=positive_int, default=5, help="rounds that are timed (default: 5)")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE",
                        help=f"draw gelu and its derivative instead of timing (default: {FIGURE})")
    args = parser.parse_args(argv)
    if args.plot:
        prepared(args.plot)
    gelu_library(), cross_entropy_library()  # without a compiler: one line, before anything else
    lse = online_lse([2.0, 1.0, 4.0, 3.0], show=True)
    print(f"4 + ln {math.exp(lse - 4):.6f} = {lse:.6f}; in C {cross_entropy_forward([[2, 1, 4, 3]], [0])[1][0]:.6f}")
    show_errors()
    if args.plot:
        return plot_gelu(args.plot)
    print(f"\none thread, processor time, median of {args.rounds}")
    time_functions(args.rounds)


if __name__ == "__main__":
    run(main)
