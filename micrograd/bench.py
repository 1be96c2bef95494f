"""One network, several engines: how many training steps a second?

The two moons of train.py, with the same first weights and the same ten points a step, learned by the Values of
micrograd.py, by the Tensors of tensorgrad.py, by torch (with tensors: one of its operations takes as long for one
number as for a thousand, so one number at a time would be unfair), and by the tape of csrc/micrograd.c, called
through ctypes. All must give the same losses. They take turns, and the median of their rounds counts. One thread,
measured in processor time, so that other programs disturb little.

    python micrograd/bench.py                 half a minute
    python micrograd/bench.py --rounds 21     more rounds
"""

import argparse
import atexit
import ctypes
import statistics
import time

import numpy as np

from cli import non_negative_int, positive_int, run
from clib import load_library
from micrograd import MLP
from rng import PCG32
from tensorgrad import Tensor
from train import BATCH, LEARNING_RATE, POINTS, TEST_POINTS, gradient_step, moons, moons_loss

CHECKED = 100  # first steps, whose losses must agree
TOLERANCE = 1e-9


def points_and_network(seed):
    """What train.py's train_moons begins with: the points to learn from, and the network."""
    rng = PCG32(seed)
    points = moons(POINTS, rng)
    moons(TEST_POINTS, rng)
    return points, MLP((2, 16, 1), "tanh", rng)


def points_and_arrays(seed):
    """The same as arrays: xy (100, 2), -label (100, 1), and weights (in, out) and biases (out,) of both layers."""
    points, net = points_and_network(seed)
    parameters = []
    for layer in net.layers:
        parameters.append(np.array([[w.data for w in neuron.weights] for neuron in layer.neurons]).T.copy())
        parameters.append(np.array([neuron.bias.data for neuron in layer.neurons]))
    points = np.array(points, dtype=np.float64)
    return points[:, :2].copy(), -points[:, 2:], parameters


def batch(step):
    """The points of a step, as a slice."""
    start = step * BATCH % POINTS
    return slice(start, start + BATCH)


# Each engine is a function of the seed. It returns a function (first step, how many) -> their losses.


def values(seed):
    points, net = points_and_network(seed)

    def step(k):
        loss = moons_loss(net, points[batch(k)])
        gradient_step(net.parameters(), loss, LEARNING_RATE)
        return loss.data

    return lambda first, n: [step(k) for k in range(first, first + n)]


def tensors(seed):
    xy, minus_label, arrays = points_and_arrays(seed)
    w1, b1, w2, b2 = parameters = [Tensor(array) for array in arrays]

    def step(k):
        score = (xy[batch(k)] @ w1 + b1).tanh() @ w2 + b2  # (10, 2) -> (10, 16) -> (10, 1)
        loss = ((score * minus_label[batch(k)]).exp() + 1).log().mean()
        for p in parameters:
            p.grad[...] = 0
        loss.backward()
        for p in parameters:
            p.data -= LEARNING_RATE * p.grad
        return loss.data.item()

    return lambda first, n: [step(k) for k in range(first, first + n)]


def torch_tensors(seed):
    import torch

    torch.set_num_threads(1)
    xy, minus_label, arrays = points_and_arrays(seed)
    xy, minus_label = torch.from_numpy(xy), torch.from_numpy(minus_label)
    w1, b1, w2, b2 = parameters = [torch.from_numpy(array).requires_grad_() for array in arrays]

    def step(k):
        score = (xy[batch(k)] @ w1 + b1).tanh() @ w2 + b2
        loss = ((score * minus_label[batch(k)]).exp() + 1).log().mean()
        grads = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, grad in zip(parameters, grads):
                p -= LEARNING_RATE * grad
        return loss.item()

    return lambda first, n: [step(k) for k in range(first, first + n)]


def tape(rung, seed):
    """The library csrc/micrograd.c and its network for the moons, which is freed at the end."""
    library = load_library("micrograd")
    library.moons_new.argtypes, library.moons_new.restype = [ctypes.c_uint64, ctypes.c_int], ctypes.c_void_p
    library.moons_steps.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    library.moons_functions.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.moons_free.argtypes = [ctypes.c_void_p]
    network = library.moons_new(seed, rung)
    if network is None:
        raise MemoryError
    atexit.register(library.moons_free, network)
    return library, network


def tape_steps(rung, at_once=True):
    """An engine: n steps with one call of C, or with n calls."""

    def engine(seed):
        library, network = tape(rung, seed)

        def steps(first, n):
            losses = np.empty(n)
            if at_once:
                library.moons_steps(network, n, losses.ctypes.data)
            else:
                for k in range(n):
                    library.moons_steps(network, 1, losses[k:].ctypes.data)
            return losses.tolist()

        return steps

    return engine


def tape_functions(seed):
    """No engine: only the tanh, exp and log of n steps, which no tape can leave out."""
    library, network = tape(3, seed)
    return lambda first, n: library.moons_functions(network, n)


# How many steps make about a tenth of a second.
ENGINES = {
    "micrograd.py, one Value a number": (values, 40),
    "tensorgrad.py, Tensors over NumPy": (tensors, 400),
    "torch, tensors": (torch_tensors, 300),
    "csrc/micrograd.c, 1 recorded anew every step": (tape_steps(1), 10000),
    "csrc/micrograd.c, 2 recorded once": (tape_steps(2), 10000),
    "csrc/micrograd.c, 3 a * b + c is one": (tape_steps(3), 10000),
    "the same, one call a step": (tape_steps(3, at_once=False), 10000),
    "limit: only its tanh, exp and log": (tape_functions, 20000),
}


def check(seed):
    """The largest difference between the engines' first losses and those of micrograd.py; raises AssertionError."""
    expected = np.array(values(seed)(0, CHECKED))
    worst = 0.0
    for name, (engine, _) in ENGINES.items():
        if engine is not tape_functions:
            difference = np.abs(np.array(engine(seed)(0, CHECKED)) - expected).max()
            assert difference < TOLERANCE, f"{name}: its losses differ by {difference}"
            worst = max(worst, difference)
    return worst


def steps_per_second(seed, rounds):
    """For each engine the median over the rounds, in which they take turns; a first round only warms up."""
    engines = {name: (engine(seed), n) for name, (engine, n) in ENGINES.items()}
    speeds = {name: [] for name in engines}
    for number in range(rounds + 1):
        for name, (steps, n) in engines.items():
            start = time.process_time()
            steps(number * n, n)
            if number:
                speeds[name].append(n / (time.process_time() - start))
    return {name: statistics.median(several) for name, several in speeds.items()}


def main(argv=None):
    parser = argparse.ArgumentParser(description="Training steps a second, by several engines, on two moons.")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of points and first weights (default: 0)")
    parser.add_argument("--rounds", type=positive_int, default=9, help="rounds that are timed (default: 9)")
    args = parser.parse_args(argv)
    load_library("micrograd")  # without a compiler: one line, before anything else
    print(f"the first {CHECKED} losses differ by at most {check(args.seed):.0e}")
    speeds = steps_per_second(args.seed, args.rounds)
    print(f"\n{f'one thread, median of {args.rounds}':46}{'steps/s':>10}{'times Python':>14}")
    slowest = next(iter(speeds.values()))
    for name, speed in speeds.items():
        print(f"{name:46}{speed:>10,.0f}{speed / slowest:>14,.1f}")


if __name__ == "__main__":
    run(main)
