"""Two things learned by the engine of micrograd.py, one number at a time: a curve, and which of two moons a point is on.

New since micrograd.py: a loss, and gradient descent: take the gradient of the loss by every parameter, move each
parameter a little against it, do it again. Left out on purpose: arrays; names.py and language.py use tensorgrad.py.

The moons are what csrc/micrograd.c repeats in float64, operation by operation:
    draw     PCG32(seed); 100 points to learn from, 200 to test, as in `moons`; then MLP([2, 16, 1], "tanh")
    step k   points 10 k to 10 k + 9 (of the 100, in a circle); loss = (0 + l_0 + … + l_9) * (1 / 10) with
             l = log(exp(score * -label) + 1); gradients set to 0, backward; p = p - 1.0 * gradient
What is printed is the mean of the last 10 losses, one pass over the points.

    python micrograd/train.py              half a minute
    python micrograd/train.py --plot       also draws micrograd/figures/curve.svg and moons.svg

Papers: Rumelhart, Hinton and Williams, "Learning Representations by Back-propagating Errors" (1986); Robbins and
Monro, "A Stochastic Approximation Method" (1951), steps from a few points at a time.
"""

import argparse
import math

from cli import non_negative_int, run
from micrograd import MLP, Value
from plot import plot_fits, plot_moons
from rng import PCG32

CURVE, MOONS = "micrograd/figures/curve.svg", "micrograd/figures/moons.svg"
POINTS, TEST_POINTS, BATCH, STEPS, LEARNING_RATE = 100, 200, 10, 600, 1.0
MOMENTS = [0, 20, 100, 200, 300, 600]  # the steps after which the boundary is drawn


def gradient_step(parameters, loss, learning_rate):
    """One step of gradient descent: every parameter moves against its gradient."""
    for p in parameters:
        p.grad = 0.0
    loss.backward()
    for p in parameters:
        p.data -= learning_rate * p.grad


# --- a curve ------------------------------------------------------------------------------------------------------


def curve(x):
    """What is to be learned from a few of its points: a wave that grows."""
    return (x + 1.5) * math.sin(4 * x) / 2.5


def train_curve(seed, steps=1000, learning_rate=0.2, watch=lambda step, net: None):
    """Fits 20 points of the curve with one layer of 8 neurons. Returns the net and the losses.

    The loss is the mean squared error. watch(step, net) is called before every step and after the last.
    """
    rng = PCG32(seed)
    xs = [-1 + 2 * i / 19 for i in range(20)]
    net = MLP([1, 8, 1], "tanh", rng)
    losses = []
    for step in range(steps):
        watch(step, net)
        loss = sum(((net([x])[0] - curve(x)) ** 2 for x in xs), Value(0.0)) * (1 / len(xs))
        gradient_step(net.parameters(), loss, learning_rate)
        losses.append(loss.data)
    watch(steps, net)
    return net, losses


def curve_error(net):
    """The largest distance from the curve, at 200 places between -1 and 1, most of which were not shown."""
    places = [-1 + 2 * i / 199 for i in range(200)]
    return max(abs(net([x])[0].data - curve(x)) for x in places)


# --- two moons ----------------------------------------------------------------------------------------------------


def moons(n, rng):
    """n points (x, y, label) on two half circles that reach into each other; label 1 and -1 take turns.

    For each: an angle, then the two errors of measurement, normal with a deviation of 0.1.
    """
    points = []
    for i in range(n):
        angle = math.pi * rng.uniform()
        if i % 2 == 0:
            x, y, label = math.cos(angle), math.sin(angle), 1
        else:
            x, y, label = 1 - math.cos(angle), 0.5 - math.sin(angle), -1
        x += 0.1 * rng.normal()
        y += 0.1 * rng.normal()
        points.append((x, y, label))
    return points


def moons_loss(net, points):
    """The mean of log(1 + exp(-label * score)), which is -log p(label) where p(1) = 1 / (1 + exp(-score))."""
    total = Value(0.0)
    for x, y, label in points:
        score = net([x, y])[0]
        total = total + ((score * -label).exp() + 1).log()
    return total * (1 / len(points))


def accuracy(net, points):
    """The share of the points whose score has the sign of the label."""
    return sum((net([x, y])[0].data > 0) == (label > 0) for x, y, label in points) / len(points)


def mean(numbers):
    """Added from left to right: newer Pythons' sum() rounds otherwise, and C could not repeat it."""
    total = 0.0
    for number in numbers:
        total += number
    return total / len(numbers)


def train_moons(seed, steps=STEPS, sizes=(2, 16, 1), watch=lambda step, net, points: None):
    """Returns the net, the loss of each step, and the accuracy on points that it has not seen.

    watch(step, net, points) is called before every step and after the last.
    """
    rng = PCG32(seed)
    points, test_points = moons(POINTS, rng), moons(TEST_POINTS, rng)
    net = MLP(sizes, "tanh", rng)
    losses = []
    for step in range(steps):
        watch(step, net, points)
        start = step * BATCH % POINTS
        loss = moons_loss(net, points[start:start + BATCH])
        gradient_step(net.parameters(), loss, LEARNING_RATE)
        losses.append(loss.data)
    watch(steps, net, points)
    return net, losses, accuracy(net, test_points)


# --- both, shown --------------------------------------------------------------------------------------------------


def show_curve(seed, plot):
    """Three networks learn the curve; the first is drawn as it does."""
    places, fits = [-1 + i / 50 for i in range(101)], {}

    def watch(step, net):
        if step in (0, 50, 200, 1000):
            fits[step] = [net([x])[0].data for x in places]

    for number in range(seed, seed + 3):
        net, losses = train_curve(number, watch=watch if plot and number == seed else lambda step, net: None)
        error = curve_error(net)
        print(f"curve, seed {number}: loss {losses[0]:.4f} to {losses[-1]:.4f}; at most {error:.3f} off the curve")
        assert error < 0.15, "the curve was not learned"
    if plot:
        points = [(-1 + 2 * i / 19, curve(-1 + 2 * i / 19)) for i in range(20)]
        plot_fits(points, places, [curve(x) for x in places], fits, CURVE)


def show_moons(seed, plot):
    """The losses that csrc/micrograd.c prints too, then other seeds, then one neuron alone, which must fail."""
    xs, ys, moments = [-1.5 + i / 16 for i in range(65)], [-1 + i / 16 for i in range(41)], {}

    def watch(step, net, points):
        if step in MOMENTS:
            moments[step] = [[net([x, y])[0].data for x in xs] for y in ys], accuracy(net, points)

    if plot:
        train_moons(seed, watch=watch)
        plot_moons(moons(POINTS, PCG32(seed)), xs, ys, moments, MOONS)
    net, losses, right = train_moons(seed)
    print(f"moons, seed {seed}: {len(net.parameters())} parameters")
    for step in (10, 100, 200, 300, 400, 500, 600):
        print(f"step {step:4}  loss {mean(losses[step - 10:step]):.9f}")
    print(f"{right:.1%} of {TEST_POINTS} points that it has not seen are right")
    rights = [right] + [train_moons(number)[2] for number in range(seed + 1, seed + 8)]
    print("seeds", seed, "to", seed + 7, *(f"{right:.1%}" for right in rights))
    assert sorted(rights)[3] >= 0.95 and min(rights) > 0.85, "the moons were not learned"  # 2 of 90 seeds are below 95%
    alone = [train_moons(number, sizes=(2, 1))[2] for number in range(seed, seed + 8)]
    print("one neuron  ", *(f"{right:.1%}" for right in alone))
    assert mean(alone) < mean(rights) - 0.05, "one neuron draws a straight line, which cannot part the moons"


def main(argv=None):
    parser = argparse.ArgumentParser(description="Learns a curve and two moons with the engine of micrograd.py.")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of points and first weights (default: 0)")
    parser.add_argument("--plot", action="store_true", help=f"draw {CURVE} and {MOONS}")
    args = parser.parse_args(argv)
    show_curve(args.seed, args.plot)
    print()
    show_moons(args.seed, args.plot)


if __name__ == "__main__":
    run(main)
