"""The neural n-gram model: embedding, hidden layer with gelu, softmax; forward and backward by hand in NumPy.

New since micrograd/language.py: no engine. Each gradient is derived on paper and written as one line of NumPy, first by
loops over plain numbers, then for a whole batch; each is checked by name against finite differences. And gelu stands in
place of tanh, which bears larger steps. Left out on purpose: everything that a library does for us (mlp_torch.py),
better steps than plain gradient descent (chapter optimization), and speed below NumPy (matmul.py).
Shapes: B predictions, K symbols of context, C numbers a symbol, H hidden neurons, V = 257 symbols.

    python mlp/mlp.py                    a minute on one core
    python mlp/mlp.py --steps 200        a quick look
    python mlp/mlp.py --plot             also draws mlp/figures/curve.svg

Appends its number to out/scoreboard.jsonl.

Papers: Bengio, Ducharme, Vincent and Jauvin, "A Neural Probabilistic Language Model" (2003); Hendrycks and Gimpel,
"Gaussian Error Linear Units" (2016).
"""

import argparse
import math
import time

import numpy as np
from tqdm import tqdm

from cli import append_score, non_negative_int, positive_int, run
from data import END, V, padded_stream, story_bytes, windows
from draw import plot_losses
from rng import PCG32
from stories import load_split

STORIES = "datasets/stories"
K, C, H, BATCH, LEARNING_RATE, STEPS = 8, 24, 256, 256, 2.0, 15_000
SAMPLE_BYTES = 150
FIGURE = "mlp/figures/curve.svg"


def first_parameters(rng, V, K, C, H, dtype=np.float32):
    """Random weights of the sizes that micrograd/names.py had, biases 0: {"table", "w1", "b1", "w2", "b2"}."""
    return {
        "table": random_array(rng, V, C, scale=0.5, dtype=dtype),
        "w1": random_array(rng, K * C, H, scale=1 / math.sqrt(K * C), dtype=dtype),
        "b1": np.zeros(H, dtype),
        "w2": random_array(rng, H, V, scale=0.1 / math.sqrt(H), dtype=dtype),  # small: at first all V are alike
        "b2": np.zeros(V, dtype),
    }


# adapted from: micrograd/tensorgrad.py::random_tensor (a plain array)
def random_array(rng, *shape, scale=1.0, dtype=np.float64):
    """Draws from the normal distribution, in the order of memory."""
    numbers = [scale * rng.normal() for _ in range(math.prod(shape))]
    return np.array(numbers, dtype).reshape(shape)


# One prediction, number by number.


def forward_loops(parameters, context):
    """K symbols -> x, a, h, z: lists of K C, H, H and V numbers. parameters: as lists of lists."""
    table, w1, b1, w2, b2 = parameters.values()
    x = [number for symbol in context for number in table[symbol]]
    a = [b1[j] + sum(x[i] * w1[i][j] for i in range(len(x))) for j in range(len(b1))]
    h = [gelu(number) for number in a]
    z = [b2[k] + sum(h[j] * w2[j][k] for j in range(len(h))) for k in range(len(b2))]
    return x, a, h, z


def backward_loops(parameters, context, target, x, a, h, z):
    """The loss -ln p(target), and its gradient by every parameter, in lists of the same form."""
    table, w1, b1, w2, b2 = parameters.values()
    exps = [math.exp(score - max(z)) for score in z]
    total = sum(exps)
    loss = math.log(total) + max(z) - z[target]
    dz = [e / total - (k == target) for k, e in enumerate(exps)]
    dh = [sum(dz[k] * w2[j][k] for k in range(len(z))) for j in range(len(h))]
    da = [dh[j] * gelu_slope(a[j]) for j in range(len(h))]
    dx = [sum(da[j] * w1[i][j] for j in range(len(h))) for i in range(len(x))]
    d_table = [[0.0] * len(row) for row in table]
    for i, slope in enumerate(dx):  # number i of x was number i % C of the symbol at place i // C
        place, c = divmod(i, len(table[0]))
        d_table[context[place]][c] += slope
    d_w1 = [[number * slope for slope in da] for number in x]
    d_w2 = [[number * slope for slope in dz] for number in h]
    return loss, {"table": d_table, "w1": d_w1, "b1": da, "w2": d_w2, "b2": dz}


# A batch at once.


def gelu(x):
    """x times the share of a normal distribution below x, in the formula with tanh. An array or a number."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def gelu_slope(x):
    """How gelu(x) answers to x: the product rule, and tanh' = 1 - tanh**2."""
    c = math.sqrt(2 / math.pi)
    t = np.tanh(c * (x + 0.044715 * x * x * x))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x)


def cross_entropy(logits, targets):
    """The mean of -ln softmax(logits)[target], and its gradient by the logits. (B, V), (B,) -> (), (B, V)"""
    shifted = logits - logits.max(axis=1, keepdims=True)  # so that no exp overflows
    exps = np.exp(shifted)
    sums = exps.sum(axis=1, keepdims=True)
    rows = np.arange(len(targets))
    loss = (np.log(sums[:, 0]) - shifted[rows, targets]).mean()
    gradient = exps / sums  # p
    gradient[rows, targets] -= 1
    return loss, gradient / len(targets)


def forward(parameters, contexts):
    """contexts (B, K) -> logits (B, V), and what backward needs."""
    table, w1, b1, w2, b2 = parameters.values()
    x = table[contexts].reshape(len(contexts), -1)  # (B, K C)
    a = x @ w1 + b1  # (B, H)
    h = gelu(a)  # (B, H)
    z = h @ w2 + b2  # (B, V)
    return z, (contexts, x, a, h)


def backward(parameters, kept, dz):
    """The gradients of all parameters from that of the logits, dz (B, V)."""
    table, w1, b1, w2, b2 = parameters.values()
    contexts, x, a, h = kept
    dh = dz @ w2.T  # (B, H)
    da = dh * gelu_slope(a)  # (B, H)
    dx = da @ w1.T  # (B, K C)
    chosen = one_hot(contexts.ravel(), len(table), table.dtype)  # (B K, V): x was chosen @ table
    return {
        "table": chosen.T @ dx.reshape(len(chosen), -1),  # (V, C)
        "w1": x.T @ da,  # (K C, H)
        "b1": da.sum(axis=0),
        "w2": h.T @ dz,  # (H, V)
        "b2": dz.sum(axis=0),
    }


def one_hot(symbols, V, dtype):
    """Each symbol as V - 1 zeros and a one: (n,) -> (n, V)."""
    rows = np.zeros((len(symbols), V), dtype)
    rows[np.arange(len(symbols)), symbols] = 1
    return rows


def sgd_step(parameters, contexts, targets, learning_rate):
    """One step of gradient descent on the cross-entropy; changes the parameters, returns the loss in nats."""
    logits, kept = forward(parameters, contexts)
    loss, dz = cross_entropy(logits, targets)
    for name, gradient in backward(parameters, kept, dz).items():
        parameters[name] -= learning_rate * gradient
    return float(loss)


def numerical_gradients(parameters, contexts, targets, eps=1e-5):
    """The same gradients, measured: every number of every parameter is moved up and down by eps."""
    measured = {}
    for name, array in parameters.items():
        measured[name] = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            number, losses = array[index], []
            for moved in (number + eps, number - eps):
                array[index] = moved
                losses.append(cross_entropy(forward(parameters, contexts)[0], targets)[0])
            array[index] = number
            measured[name][index] = (losses[0] - losses[1]) / (2 * eps)
    return measured


# The demonstrations, and training on stories.


def show_measured_gradients(seed):
    """A network of 12 symbols in float64: each gradient by hand against the measured one, by name."""
    rng = PCG32(seed)
    parameters = first_parameters(rng, 12, 3, 4, 6, np.float64)
    for name in ("b1", "b2", "w2"):  # none of them 0 or nearly so, or a fault might hide
        parameters[name] = random_array(rng, *parameters[name].shape, scale=0.5)
    contexts = np.array([[rng.below(12) for _ in range(3)] for _ in range(8)])
    targets = np.array([rng.below(12) for _ in range(8)])
    logits, kept = forward(parameters, contexts)
    by_hand = backward(parameters, kept, cross_entropy(logits, targets)[1])
    measured = numerical_gradients(parameters, contexts, targets)
    print("gradient   shape      largest difference from finite differences")
    for name, gradient in by_hand.items():
        wrong = np.abs(gradient - measured[name]).max()
        print(f"{name:10} {str(gradient.shape):10} {wrong:.1e}")
        assert wrong < 1e-8, f"the gradient of {name} is {wrong:.1e} from the measured one"


def show_loops_and_arrays(stream, positions, seed):
    """Three predictions by loops and as a batch, in float64: the same loss and gradients. Prints both times."""
    rng = PCG32(seed)
    parameters = first_parameters(rng, V, K, C, H, np.float64)
    at = positions[[rng.below(len(positions)) for _ in range(3)]]
    contexts, targets = windows(stream, at, K), stream[at]
    lists = {name: array.tolist() for name, array in parameters.items()}
    start = time.process_time()
    results = [backward_loops(lists, context, target, *forward_loops(lists, context))
               for context, target in zip(contexts.tolist(), targets.tolist())]
    loop_seconds = time.process_time() - start
    logits, kept = forward(parameters, contexts)
    loss, dz = cross_entropy(logits, targets)
    gradients = backward(parameters, kept, dz)
    means = {name: np.mean([np.array(found[name]) for _, found in results], axis=0) for name in gradients}
    loop_loss = np.mean([found for found, _ in results])
    wrong = max(np.abs(means[name] - gradients[name]).max() for name in gradients)
    print(f"by loops: loss {loop_loss:.9f}, {1000 * loop_seconds / 3:.0f} ms a prediction; as arrays: loss {loss:.9f}; "
          f"gradients differ by at most {wrong:.0e}")
    assert abs(loop_loss - loss) < 1e-12 and wrong < 1e-12, "loops and arrays should compute the same"


# adapted from: micrograd/language.py::bits_of (for any model: a function from contexts (B, K) to logits (B, V))
def bits_of(logits_of, stream, positions, K):
    """The sum of -log2 p of the symbols at the positions, each predicted from the K before it."""
    bits = 0.0
    for i in range(0, len(positions), 4096):
        at = positions[i:i + 4096]
        loss, _ = cross_entropy(logits_of(windows(stream, at, K)), stream[at])
        bits += float(loss) * len(at) / math.log(2)
    return bits


# adapted from: micrograd/language.py::tell_beginning (for any model)
def tell_beginning(logits_of, rng, K, length=SAMPLE_BYTES):
    """The beginning of a story, `length` bytes at most, as text."""
    symbols = [END] * K
    while len(symbols) < K + length:
        logits = logits_of(np.array([symbols[-K:]]))[0]
        exps = np.exp(logits - logits.max())
        symbols.append(rng.choice((exps / exps.sum()).tolist()))
        if symbols[-1] == END:
            break
    return bytes(symbol for symbol in symbols[K:] if symbol != END).decode("utf-8", errors="replace")


def logits_by(parameters):
    """The function from contexts to logits that bits_of and tell_beginning ask for."""
    return lambda contexts: forward(parameters, contexts)[0]


def context_length(parameters):
    """K, which the shapes of w1 (K C, H) and of the table (V, C) know."""
    return len(parameters["w1"]) // parameters["table"].shape[1]


# adapted from: micrograd/language.py::train_by_batches (returns the losses; printing is left to `watch`)
def train_by_batches(parameters, stream, positions, steps, rng, batch=BATCH, learning_rate=LEARNING_RATE, watch=None):
    """Gradient descent on random mini-batches, the steps shrinking to 0; returns the losses in bits a symbol.

    watch(step, losses), where given, is called before every step and after the last.
    """
    K, losses = context_length(parameters), []
    for s in range(steps):
        if watch:
            watch(s, losses)
        at = positions[[rng.below(len(positions)) for _ in range(batch)]]
        falling = learning_rate * (1 - s / steps)
        losses.append(sgd_step(parameters, windows(stream, at, K), stream[at], falling) / math.log(2))
    if watch:
        watch(steps, losses)
    return losses


def train_on_stories(parameters, stream, positions, steps, rng, seed):
    """Trains with a bar; prints loss and a story's beginning on the way. Returns the losses."""
    bar = tqdm(total=steps, unit="step", smoothing=0.05, disable=None)

    def watch(s, losses):
        bar.update(s - bar.n)
        if s in (0, steps // 8, steps // 2, steps):
            seen = f"loss {np.mean(losses[-200:]):.3f} bits a symbol" if losses else "nothing learned yet"
            bar.write(f"step {s:6,}: {seen}\n    {tell_beginning(logits_by(parameters), PCG32(seed), K)!r}")

    start = time.process_time()
    losses = train_by_batches(parameters, stream, positions, steps, rng, watch=watch)
    bar.close()
    print(f"{steps / (time.process_time() - start):.0f} steps for each second of processor time")
    return losses


def neighbors(table, symbol, among):
    """The symbols of `among`, but for this one, by how nearly their rows point its way (the cosine), nearest first."""
    rows = table / np.linalg.norm(table, axis=1, keepdims=True)
    others = [other for other in among if other != symbol]
    return sorted(others, key=lambda other: -float(rows[symbol] @ rows[other]))


def show_neighbors(table, asked=b"aeM,?"):
    """For some bytes the four letters or marks whose learned rows are the most like theirs."""
    among = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPRSTUWY.,?!;\"'"
    near = {chr(symbol): bytes(neighbors(table, symbol, among)[:4]).decode() for symbol in asked}
    print("nearest rows of the table   " + "    ".join(f"{symbol}: {' '.join(four)}" for symbol, four in near.items()))


def main(argv=None):
    parser = argparse.ArgumentParser(description="The neural n-gram model, its gradients written by hand.")
    parser.add_argument("--data", default=STORIES, help=f"folder with train.txt and valid.txt (default: {STORIES})")
    parser.add_argument("--steps", type=positive_int, default=STEPS,
                        help=f"of {BATCH} predictions (default: {STEPS:,})")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of weights, batches and samples (default: 0)")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE", help=f"draw the losses (default: {FIGURE})")
    args = parser.parse_args(argv)
    train_stories, valid_stories = load_split(args.data, "train"), load_split(args.data, "valid")
    stream, positions = padded_stream(train_stories, K)
    show_measured_gradients(args.seed)
    show_loops_and_arrays(stream, positions, args.seed)

    rng = PCG32(args.seed)
    parameters = first_parameters(rng, V, K, C, H)
    size, passes = sum(p.size for p in parameters.values()), args.steps * BATCH / len(positions)
    print(f"read {args.data}: {len(positions):,} symbols to predict; {size:,} parameters; "
          f"{args.steps:,} steps of {BATCH}, {passes:.2f} passes over the stories")
    losses = train_on_stories(parameters, stream, positions, args.steps, rng, args.seed)
    show_neighbors(parameters["table"])
    bpb = bits_of(logits_by(parameters), *padded_stream(valid_stories, K), K) / story_bytes(valid_stories)
    print(f"{bpb:.4f} bits per byte on {args.data}/valid.txt")
    append_score("mlp", f"{K} bytes, one hidden layer, by hand", args.data, bpb, steps=args.steps)
    if args.plot:
        plot_losses(losses, args.plot)


if __name__ == "__main__":
    run(main)
