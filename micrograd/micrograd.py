"""Backpropagation from nothing: an engine that differentiates any expression of numbers, and a neural network on it.

New since bigram: there the gradient was worked out on paper for one formula. Here the program works it out, for any
formula: `Value` notes how each number was computed, and `backward` goes through those notes from the end to the
beginning. Neuron, Layer and MLP (multi-layer perceptron) are then only large expressions.
Left out on purpose: arrays (tensorgrad.py has them) and speed (csrc/micrograd.c has it).

The order of operations is fixed, so that csrc/micrograd.c can repeat it in float64: a neuron starts from its bias and
adds weight * input, first input first; `sum` adds from left to right; see Neuron and MLP for the initial weights.

    python micrograd/micrograd.py        one second

Papers: Wengert, "A Simple Automatic Derivative Evaluation Program" (1964); Rumelhart, Hinton and Williams, "Learning
Representations by Back-propagating Errors" (1986). The shape of this file follows Karpathy's micrograd (2020).
"""

import argparse
import math

from cli import run
from rng import PCG32


class Value:
    """A number, how it was computed, and its gradient: how much the result moves for each unit this one is moved.

    parents: the Values it was computed from. slopes: for each parent, the derivative of this one operation.
    """

    __slots__ = ("data", "grad", "parents", "slopes", "operation")

    def __init__(self, data, parents=(), slopes=(), operation=""):
        self.data, self.grad = data, 0.0
        self.parents, self.slopes, self.operation = parents, slopes, operation

    def __repr__(self):
        return f"Value(data={self.data:.6g}, grad={self.grad:.6g})"

    def __add__(self, other):
        other = as_value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0), "+")

    def __sub__(self, other):
        other = as_value(other)
        return Value(self.data - other.data, (self, other), (1.0, -1.0), "-")

    def __mul__(self, other):
        other = as_value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data), "*")

    def __truediv__(self, other):
        other = as_value(other)
        quotient = self.data / other.data
        return Value(quotient, (self, other), (1 / other.data, -quotient / other.data), "/")

    def __pow__(self, exponent):
        """exponent: a plain number. x**y for two Values is (x.log() * y).exp()."""
        slope = exponent * math.pow(self.data, exponent - 1) if exponent else 0.0
        return Value(math.pow(self.data, exponent), (self,), (slope,), f"**{exponent}")

    def __neg__(self):
        return Value(-self.data, (self,), (-1.0,), "neg")

    def __radd__(self, other):
        return as_value(other) + self

    def __rsub__(self, other):
        return as_value(other) - self

    def __rmul__(self, other):
        return as_value(other) * self

    def __rtruediv__(self, other):
        return as_value(other) / self

    def exp(self):
        e = math.exp(self.data)
        return Value(e, (self,), (e,), "exp")

    def log(self):
        return Value(math.log(self.data), (self,), (1 / self.data,), "log")

    def tanh(self):
        t = math.tanh(self.data)
        return Value(t, (self,), (1 - t * t,), "tanh")

    def relu(self):
        above = self.data > 0
        return Value(self.data if above else 0.0, (self,), (1.0 if above else 0.0,), "relu")

    def gelu(self):
        """A relu with a round corner: x times the share of a normal distribution below x, as GPT-2 approximates it."""
        x, c = self.data, math.sqrt(2 / math.pi)
        t = math.tanh(c * (x + 0.044715 * x * x * x))
        slope = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x)
        return Value(0.5 * x * (1 + t), (self,), (slope,), "gelu")

    def backward(self):
        """Adds the derivative of this number by x to x.grad, for every x that it was computed from.

        The gradients of what was computed start from 0 each time; those of parameters and inputs add up over
        calls, until somebody sets them to 0.
        """
        order = topological_order(self)
        for node in order:
            if node.parents:
                node.grad = 0.0
        self.grad += 1.0
        for node in reversed(order):
            for parent, slope in zip(node.parents, node.slopes):
                parent.grad += slope * node.grad


def as_value(number):
    """Plain numbers become Values, Values stay what they are."""
    return number if isinstance(number, Value) else Value(number)


def topological_order(result):
    """All Values that the result was computed from, the result last: each comes after all of its parents.

    Depth first, with a stack of our own: a chain of 100,000 operations would be too deep for recursion.
    """
    order, seen, stack = [], set(), [(result, False)]
    while stack:
        node, parents_are_done = stack.pop()
        if parents_are_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((parent, False) for parent in node.parents)
    return order


class Neuron:
    """activation(bias + weight_1 input_1 + … + weight_n input_n), n + 1 parameters.

    The weights are drawn one after the other, (2 u - 1) / sqrt(n) with u uniform in [0, 1), so that the sum of many
    is no larger than that of few; the bias starts at 0. activation: "tanh", "relu", "gelu", or "" for the sum itself.
    """

    def __init__(self, n, activation, rng):
        self.weights = [Value((2 * rng.uniform() - 1) / math.sqrt(n)) for _ in range(n)]
        self.bias = Value(0.0)
        self.activation = activation

    def __call__(self, inputs):
        total = self.bias
        for weight, x in zip(self.weights, inputs, strict=True):
            total = total + weight * x
        return getattr(total, self.activation)() if self.activation else total

    def parameters(self):
        return [*self.weights, self.bias]


class Layer:
    """Several neurons that look at the same inputs, drawn one after the other."""

    def __init__(self, n_in, n_out, activation, rng):
        self.neurons = [Neuron(n_in, activation, rng) for _ in range(n_out)]

    def __call__(self, inputs):
        return [neuron(inputs) for neuron in self.neurons]

    def parameters(self):
        return [p for neuron in self.neurons for p in neuron.parameters()]


class MLP:
    """Layers in a row, each fed with the one before; the last has no activation, so that it can give any number.

    sizes: [inputs, neurons of the first layer, …, outputs]. rng: a PCG32, which draws layer by layer.
    """

    def __init__(self, sizes, activation, rng):
        last = len(sizes) - 2
        self.layers = [Layer(n_in, n_out, activation if i < last else "", rng)
                       for i, (n_in, n_out) in enumerate(zip(sizes, sizes[1:]))]

    def __call__(self, inputs):
        """inputs: a list of numbers. Returns a list of Values, one an output."""
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs

    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters()]


def numerical_derivative(f, x, step=1e-5):
    """(f(x + step) - f(x - step)) / (2 step): how fast f moves at x, measured. Off by about step squared."""
    return (f(x + step) - f(x - step)) / (2 * step)


def show_by_hand():
    """The expression of the lesson: its gradients by backward, and measured by moving each number a little."""
    def expression(a, b, c):
        return (a * b + c) * a

    numbers = {"a": 2.0, "b": -3.0, "c": 10.0}
    values = {name: Value(number) for name, number in numbers.items()}
    result = expression(**values)
    result.backward()
    print(f"(a * b + c) * a = {result.data:g}")
    for name, value in values.items():
        measured = numerical_derivative(lambda x, name=name: expression(**{**numbers, name: x}), numbers[name])
        print(f"    {name} = {value.data:3g}    gradient {value.grad:3g}    measured {measured:.6f}")
        assert abs(value.grad - measured) < 1e-6, f"backward and measurement disagree about {name}"


def show_every_operation():
    """One expression with every operation, in which x is used many times."""
    def expression(x):
        return ((x * 0.5).gelu() + (x.tanh() - x.exp() / 4) * (x**2 + 1).log() - (1 - x).relu() / x + -x) ** 3

    x = Value(0.7)
    expression(x).backward()
    measured = numerical_derivative(lambda number: expression(Value(number)).data, x.data)
    print(f"every operation: gradient {x.grad:.8f}, measured {measured:.8f}")
    assert abs(x.grad - measured) < 1e-6 * abs(measured), "backward and measurement disagree"


def show_softmax():
    """The loss of one row of the bigram model, from logits: its gradient is the probabilities, less 1 at the target."""
    logits, target = [Value(1.0), Value(2.0), Value(0.5)], 1
    exps = [logit.exp() for logit in logits]
    total = exps[0] + exps[1] + exps[2]
    loss = -(exps[target] / total).log()
    loss.backward()
    p = [e.data / total.data for e in exps]
    print(f"-log softmax: loss {loss.data:.4f}, probabilities", *(f"{x:.4f}" for x in p))
    print("                 gradients by backward     ", *(f"{logit.grad:.4f}" for logit in logits))
    assert all(abs(logit.grad - (p[i] - (i == target))) < 1e-12 for i, logit in enumerate(logits)), \
        "the gradient is not p - 1 at the target"


def show_network():
    """The gradient of every parameter of a small network, by backward, and by moving that parameter a little."""
    net, inputs = MLP([3, 4, 1], "tanh", PCG32(0)), [1.0, -2.0, 0.5]
    net(inputs)[0].backward()
    worst = 0.0
    for p in net.parameters():
        def output(number, p=p):
            before, p.data = p.data, number
            result, p.data = net(inputs)[0].data, before
            return result

        worst = max(abs(p.grad - numerical_derivative(output, p.data)), worst)  # this way round NaN stays
    print(f"a network of {len(net.parameters())} parameters: gradients at most {worst:.1e} from the measured ones")
    assert worst < 1e-8, "backward and measurement disagree"


def show_deep_chain(n=100_000):
    """n operations, each on the result of the one before."""
    x = Value(0.0)
    end = x
    for _ in range(n):
        end = end + 1
    end.backward()
    print(f"a chain of {n:,} additions: {end.data:,.0f}, gradient {x.grad:g}")
    assert end.data == n and x.grad == 1, "the gradient was lost on the way"


def main(argv=None):
    argparse.ArgumentParser(description="Gradients of expressions, by backward and measured.").parse_args(argv)
    show_by_hand()
    show_every_operation()
    show_softmax()
    show_network()
    show_deep_chain()


if __name__ == "__main__":
    run(main)
