"""One prediction of a tiny network with every number printed: forward, backward, one step.

New since the last chapter: an embedding, a hidden layer and a softmax together, small enough for a pencil. The
functions are those of mlp.py; only the sizes are smaller, and the first weights are easy to multiply. Left out on
purpose: learning, beyond a single step.
Shapes: B = 1 prediction, K = 2 letters of context, C = 2 numbers a letter, H = 2 hidden neurons, V = 3 symbols.

    python mlp/by_hand.py                      a second
    python mlp/by_hand.py --context nn         another context, such as nn, ·a or ··
    python mlp/by_hand.py --target a           another letter that should come
    python mlp/by_hand.py --plot               also draws mlp/figures/network.svg
"""

import argparse

import numpy as np

from cli import UserError, run
from draw import draw_network
from mlp import backward, cross_entropy, forward, gelu_slope, numerical_gradients

LETTERS = "an·"  # the symbols 0, 1, 2; the dot is END
FIGURE = "mlp/figures/network.svg"
LEARNING_RATE = 0.5


def small_network():
    """The five parameters, as in mlp.py; a new copy each time."""
    return {
        "table": np.array([[1.0, 0.0], [-1.0, 2.0], [0.0, -1.0]]),  # (V, C)
        "w1": np.array([[0.5, -1.0], [1.0, 0.5], [-0.5, 0.5], [0.0, 0.5]]),  # (K C, H)
        "b1": np.array([0.0, 0.0]),
        "w2": np.array([[1.0, 0.5, -1.0], [-1.0, 1.0, 0.5]]),  # (H, V)
        "b2": np.array([0.0, 0.0, 0.0]),
    }


def one_prediction(parameters, context, target):
    """Forward and backward: {"loss", "x", "a", "h", "z", "p", "dz", "dh", "da", "dx"}, and the gradients by name."""
    contexts, targets = np.array([context]), np.array([target])
    z, kept = forward(parameters, contexts)
    loss, dz = cross_entropy(z, targets)
    p = np.exp(z) / np.exp(z).sum()
    _, x, a, h = kept
    dh = dz @ parameters["w2"].T
    da = dh * gelu_slope(a)
    dx = da @ parameters["w1"].T
    values = {"x": x, "a": a, "h": h, "z": z, "p": p, "dz": dz, "dh": dh, "da": da, "dx": dx}
    return {"loss": loss, **{name: array[0] for name, array in values.items()}}, backward(parameters, kept, dz)


def row(numbers):
    return " ".join(f"{number:8.4f}" for number in np.ravel(numbers))


def print_forward(values, context, target):
    print(f"forward: after {''.join(LETTERS[s] for s in context)} should come {LETTERS[target]}")
    print(f"x  rows of the table, side by side  {row(values['x'])}")
    print(f"a  x @ w1 + b1                      {row(values['a'])}")
    print(f"h  gelu(a)                          {row(values['h'])}")
    print(f"z  h @ w2 + b2                      {row(values['z'])}")
    print(f"p  softmax(z)                       {row(values['p'])}")
    print(f"loss  -ln p({LETTERS[target]})                      {row(values['loss'])}")


def print_backward(values, gradients):
    """The gradients in the order in which they are found."""
    print("backward: how the loss answers to")
    steps = [("z   p, less 1 at the target", values["dz"]), ("w2  h, each times dz", gradients["w2"]),
             ("b2  dz", gradients["b2"]), ("h   w2 @ dz", values["dh"]), ("a   dh * gelu_slope(a)", values["da"]),
             ("w1  x, each times da", gradients["w1"]), ("b1  da", gradients["b1"]), ("x   w1 @ da", values["dx"]),
             *((f"table, row {LETTERS[s]}", gradients["table"][s]) for s in range(3))]
    for label, numbers in steps:
        for i, line in enumerate(np.atleast_2d(numbers)):
            print(f"{label if i == 0 else '':36}{row(line)}")


def main(argv=None):
    parser = argparse.ArgumentParser(description="A tiny network's prediction, forward and backward, every number.")
    parser.add_argument("--context", default="an", help="two of the letters a, n and · (default: an)")
    parser.add_argument("--target", default="n", help="the letter that should come, one of a, n and · (default: n)")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE", help=f"draw the network (default: {FIGURE})")
    args = parser.parse_args(argv)
    for name, text, length in (("context", args.context, 2), ("target", args.target, 1)):
        if len(text) != length or not set(text) <= set(LETTERS):
            raise UserError(f"--{name} {text!r} is not {length} of the letters a, n and ·")
    context, target = [LETTERS.index(letter) for letter in args.context], LETTERS.index(args.target)

    parameters = small_network()
    values, gradients = one_prediction(parameters, context, target)
    print_forward(values, context, target)
    print_backward(values, gradients)
    measured = numerical_gradients(parameters, np.array([context]), np.array([target]))
    wrong = max(np.abs(gradients[name] - measured[name]).max() for name in gradients)
    print(f"at most {wrong:.0e} from finite differences")
    assert wrong < 1e-8, "a gradient is another than the measured one"
    for name, gradient in gradients.items():
        parameters[name] -= LEARNING_RATE * gradient
    after, _ = one_prediction(parameters, context, target)
    print(f"a step of {LEARNING_RATE} against all of them: loss {values['loss']:.4f} to {after['loss']:.4f}, "
          f"p({LETTERS[target]}) {values['p'][target]:.4f} to {after['p'][target]:.4f}")
    assert after["loss"] < values["loss"], "a step against the gradient should lower the loss"
    if args.plot:
        draw_network(small_network(), values, gradients, LETTERS, context, target, args.plot)


if __name__ == "__main__":
    run(main)
