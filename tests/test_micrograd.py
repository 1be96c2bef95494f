"""Micrograd: gradients that equal torch's and finite differences, by scalars and by arrays, and planted bugs."""

import ctypes
import itertools
import json
import math
import os
import random
import shutil
import subprocess
import sys
import types
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import torch.nn.functional as F


@pytest.fixture(scope="module")
def mg(chapter):
    return chapter("micrograd")


@pytest.fixture(scope="module")
def UserError(mg):
    return mg.cli.UserError


def close(a, b, rtol=1e-9):
    """Of the same shape, and apart by no more than rtol, or rtol of the larger. Written so that NaN fails."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    return bool((np.abs(a - b) <= rtol * np.maximum(1, np.maximum(np.abs(a), np.abs(b)))).all())


def gelu_of_torch(x):
    return F.gelu(x, approximate="tanh")


# --- scalars: random expressions ----------------------------------------------------------------------------------
#
# An expression is a list of steps (operation, a, b): a and b are the numbers of earlier results, variables first,
# or plain floats. The same list is run on floats, on Values and on torch's tensors.

C = math.sqrt(2 / math.pi)
UNARY = {
    "neg": lambda x: -x,
    "exp": math.exp,
    "log": math.log,
    "tanh": math.tanh,
    "relu": lambda x: x if x > 0 else 0.0,
    "gelu": lambda x: 0.5 * x * (1 + math.tanh(C * (x + 0.044715 * x**3))),
}
BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}
EXPONENTS = [2, 3, 4, -1, -2, 0.5, 1.5, -0.5, 1]
ON_VALUES = {**{name: (lambda x, name=name: getattr(x, name)()) for name in UNARY}, "neg": lambda x: -x}
ON_TORCH = {**ON_VALUES, "gelu": gelu_of_torch}


def run_expression(steps, variables, unary):
    """The results of all steps; the last is the expression's."""
    results = list(variables)
    for name, a, b in steps:
        a, b = (results[x] if isinstance(x, int) else x for x in (a, b))
        results.append(unary[name](a) if name in unary else a**b if name == "**" else BINARY[name](a, b))
    return results


def well_inside(name, a, b):
    """Whether the operation is defined at the floats (a, b), and smooth and not steep near them."""
    if name == "log" or (name == "**" and b != int(b)):
        return 0.2 < a < 50
    if name in ("/", "**"):
        return abs(b if name == "/" else a) > 0.2
    return abs(a) > 0.01 if name == "relu" else name != "exp" or a < 3


def random_expression(rng, length=14):
    """(variables, steps) by a seeded generator; the last steps add up what nothing else has used."""
    variables = [(rng.uniform() * 1.7 + 0.3) * (1 - 2 * rng.below(2)) for _ in range(1 + rng.below(4))]
    results, steps, unused = list(variables), [], set(range(len(variables)))
    names = [*UNARY, *BINARY, *BINARY, "**"]

    def append(name, a, b):
        operands = [results[x] if isinstance(x, int) else x for x in (a, b)]
        if not well_inside(name, *operands):
            return
        value = run_expression([(name, 0, 1)], operands, UNARY)[-1]
        if abs(value) < 30:
            results.append(value)
            steps.append((name, a, b))
            unused.difference_update(x for x in (a, b) if isinstance(x, int))
            unused.add(len(results) - 1)

    for _ in range(1 + rng.below(length)):
        name, a, b = names[rng.below(len(names))], rng.below(len(results)), rng.below(len(results))
        number = float(rng.below(60) - 30) / 8 or 0.75
        if name == "**":
            b = float(EXPONENTS[rng.below(len(EXPONENTS))])
        elif name in BINARY and rng.below(3) == 0:
            a, b = (number, b) if rng.below(2) else (a, number)  # a plain number on either side
        append(name, a, a if name in UNARY else b)
    while len(unused) > 1:
        a, b = sorted(unused)[:2]
        results.append(results[a] + results[b])
        steps.append(("+", a, b))
        unused -= {a, b}
        unused.add(len(results) - 1)
    return variables, steps


def gradients_by_values(module, variables, steps):
    values = [module.Value(x) for x in variables]
    out = run_expression(steps, values, ON_VALUES)[-1]
    out.backward()
    return out.data, [v.grad for v in values]


def gradients_by_torch(variables, steps):
    values = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in variables]
    out = run_expression(steps, values, ON_TORCH)[-1]
    out.backward()
    return out.item(), [v.grad.item() for v in values]


def gradients_by_differences(variables, steps, step=2e-5):
    """Of the fourth order: (8 (f(x + h) - f(x - h)) - (f(x + 2h) - f(x - 2h))) / 12 h."""
    grads = []
    for i in range(len(variables)):
        f = []
        for move in (-2, -1, 1, 2):
            moved = [*variables]
            moved[i] += move * step
            f.append(run_expression(steps, moved, UNARY)[-1])
        grads.append((8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * step))
    return grads


def check_random_expressions(module, rng, count):
    """Values agree with torch and with finite differences, on `count` expressions."""
    operations = set()
    for _ in range(count):
        variables, steps = random_expression(rng)
        data, grads = gradients_by_values(module, variables, steps)
        wanted, theirs = gradients_by_torch(variables, steps)
        assert close(data, wanted), f"values differ: {variables}, {steps}"
        assert close(grads, theirs), f"gradients differ from torch's: {variables}, {steps}"
        differences = gradients_by_differences(variables, steps)
        assert close(grads, differences, 1e-5), f"gradients differ from finite differences: {variables}, {steps}"
        operations |= {name for name, *_ in steps}
    assert operations == {*UNARY, *BINARY, "**"} or count < 100


@pytest.mark.parametrize("seed", range(4))
def test_thousands_of_random_expressions(mg, seed):
    check_random_expressions(mg.micrograd, mg.rng.PCG32(seed), 1000)


def check_values(module, rng):
    """What a bug in micrograd.py's engine must not pass."""
    check_random_expressions(module, rng, 150)
    check_backward_twice(module.Value, lambda grad: grad == 0)


PLANTED_IN_MICROGRAD = {
    "= for +=": ("parent.grad += slope * node.grad", "parent.grad = slope * node.grad"),
    "the chain's factor is forgotten": ("parent.grad += slope * node.grad", "parent.grad += slope"),
    "the slope is forgotten": ("parent.grad += slope * node.grad", "parent.grad += node.grad"),
    "the inner gradients are kept": ("node.grad = 0.0", "pass"),
    "from the inputs to the result": ("reversed(order)", "order"),
    "children after their parents": ("stack.append((node, True))", "order.insert(0, node)"),
    "minus forgets its sign": ("(1.0, -1.0)", "(1.0, 1.0)"),
    "the factors are not exchanged": ("(other.data, self.data)", "(self.data, other.data)"),
    "the quotient's slope is not negative": ("-quotient / other.data", "quotient / other.data"),
    "a quotient's numerator has slope 1": ("(1 / other.data, ", "(1.0, "),
    "number - Value is Value - number": ("as_value(other) - self", "self - as_value(other)"),
    "number / Value is Value / number": ("as_value(other) / self", "self / as_value(other)"),
    "one power too many": ("math.pow(self.data, exponent - 1)", "math.pow(self.data, exponent)"),
    "the exponent is forgotten": ("exponent * math.pow(", "math.pow("),
    "exp's slope is its argument": ('(e,), "exp"', '(self.data,), "exp"'),
    "log's slope is not inverted": ("(1 / self.data,)", "(self.data,)"),
    "tanh's slope without the square": ("(1 - t * t,)", "(1 - t,)"),
    "relu's slope everywhere": ("(1.0 if above else 0.0,)", "(1.0,)"),
    "gelu without its inner slope": ("(1 + 3 * 0.044715", "(1 + 0.044715"),
    "minus a number is the number": ("(-1.0,)", "(1.0,)"),
}


@pytest.mark.parametrize("bug", PLANTED_IN_MICROGRAD)
def test_a_bug_planted_in_micrograd_is_noticed(mg, planted, bug):
    module = planted("micrograd", *PLANTED_IN_MICROGRAD[bug])
    with pytest.raises(AssertionError, match="differ"):
        check_values(module, mg.rng.PCG32(6))


def test_the_unplanted_micrograd_passes(mg):
    check_values(mg.micrograd, mg.rng.PCG32(6))


def test_what_a_value_says(mg):
    Value = mg.micrograd.Value
    x = Value(1 / 3)
    y = 2 * x + 1
    assert repr(x) == "Value(data=0.333333, grad=0)" and y.operation == "+" and y.parents[0].operation == "*"
    assert x.parents == () and x.operation == ""
    y.backward()
    assert "grad=2" in repr(x) and y.grad == 1
    for exponent in (0, 1, 2):  # at 0, where a careless slope divides by it
        zero = Value(0.0)
        (zero**exponent).backward()
        assert zero.grad == (1 if exponent == 1 else 0)
        tensor = mg.tensorgrad.Tensor(0.0)
        (tensor**exponent).backward()
        assert tensor.grad == zero.grad


def test_mistakes_with_values(mg):
    Value = mg.micrograd.Value
    for wrong, error in [
        (lambda: Value(0.0).log(), ValueError), (lambda: Value(-1.0).log(), ValueError),
        (lambda: Value(-2.0) ** 0.5, ValueError), (lambda: 1 / Value(0.0), ZeroDivisionError),
        (lambda: Value(2.0) ** Value(2.0), TypeError), (lambda: Value(1000.0).exp(), OverflowError),
        (lambda: mg.micrograd.MLP([2, 1], "tanh", mg.rng.PCG32(0))([1.0]), ValueError),
    ]:  # fmt: skip
        with pytest.raises(error):
            wrong()


def test_topological_order(mg):
    """Each Value once, and after all of its parents."""
    rng = mg.rng.PCG32(7)
    for _ in range(300):
        variables, steps = random_expression(rng, 30)
        result = run_expression(steps, [mg.micrograd.Value(x) for x in variables], ON_VALUES)[-1]
        order = mg.micrograd.topological_order(result)
        place = {id(node): k for k, node in enumerate(order)}
        assert len(place) == len(order) and order[-1] is result
        assert all(place[id(parent)] < k for k, node in enumerate(order) for parent in node.parents)


def torch_layers(sizes, rng):
    """Torch's linear layers with the first weights that MLP documents, drawn neuron by neuron."""
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        layer = torch.nn.Linear(n_in, n_out, dtype=torch.float64)
        with torch.no_grad():
            for i, j in itertools.product(range(n_out), range(n_in)):
                layer.weight[i, j] = (2 * rng.uniform() - 1) / math.sqrt(n_in)
            layer.bias.zero_()
        layers.append(layer)
    return layers


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
def test_a_network_as_torch_s(mg, activation):
    """The same outputs and gradients as torch's layers, from the first weights as documented."""
    sizes, seed = [3, 5, 4, 2], 11
    net, rng = mg.micrograd.MLP(sizes, activation, mg.rng.PCG32(seed)), mg.rng.PCG32(seed)
    layers = torch_layers(sizes, rng)
    theirs = {"tanh": torch.tanh, "relu": torch.relu, "gelu": gelu_of_torch}[activation]
    inputs = [[rng.normal() for _ in range(3)] for _ in range(8)]
    h = torch.tensor(inputs, dtype=torch.float64)
    for layer in layers[:-1]:
        h = theirs(layer(h))
    wanted = layers[-1](h)
    (wanted**2).sum().backward()
    ours = [net(x) for x in inputs]
    sum((y**2 for row in ours for y in row), mg.micrograd.Value(0.0)).backward()
    assert close([[y.data for y in row] for row in ours], wanted.detach().numpy())
    grads = [torch.cat([layer.weight.grad, layer.bias.grad[:, None]], dim=1).ravel() for layer in layers]
    assert len(net.parameters()) == 3 * 5 + 5 + 5 * 4 + 4 + 4 * 2 + 2
    assert close([p.grad for p in net.parameters()], torch.cat(grads).numpy())


# --- arrays: every operation against torch ------------------------------------------------------------------------


def random_shape(rng, least=0, most=4):
    return tuple(1 + rng.below(4) for _ in range(least + rng.below(most + 1 - least)))


def repeated(rng, shape):
    """A shape that broadcasts with `shape`: some axes of 1, some in front missing."""
    return tuple(1 if rng.below(3) == 0 else n for n in shape[rng.below(len(shape) + 1):])


def random_array(rng, shape, low=-2.0, high=2.0):
    numbers = [low + (high - low) * rng.uniform() for _ in range(math.prod(shape))]
    return np.array(numbers).reshape(shape)


def random_axis(rng, ndim):
    """None, one axis from either end, or several of them."""
    if ndim == 0 or rng.below(4) == 0:
        return None
    axes = [axis - ndim * rng.below(2) for axis in range(ndim) if rng.below(2)]
    return tuple(axes) if len(axes) > 1 else rng.below(2 * ndim) - ndim


def some_index(rng, shape):
    """Slices, numbers from either end, arrays of rows with repeats, masks, two arrays, None and ...: (index, …)"""
    rows = np.array([rng.below(2 * shape[0]) - shape[0] for _ in range(5)])
    choices = [0, -1, slice(None, None, 2), slice(1, None), rows, rows.reshape(5, 1), [0, 0], ..., None,
               (..., 0), (..., None), np.arange(shape[0]) % 2 == 0]
    if len(shape) > 1:
        columns = np.array([rng.below(shape[1]) for _ in range(5)])
        choices += [(rows, columns), (slice(None), columns), (0, slice(0, 1)), (rows[:, None], columns)]
    return choices[rng.below(len(choices))]


# A case: rng -> (arrays, ours, theirs); ours takes Tensors of the arrays, theirs torch's.


def two_shapes(rng):
    shape = random_shape(rng)
    first, second = (shape, repeated(rng, shape)) if rng.below(2) else (repeated(rng, shape), shape)
    return first, second


def binary_case(operation, low=-2.0):
    def case(rng):
        first, second = two_shapes(rng)
        return [random_array(rng, first), random_array(rng, second, low)], operation, operation

    return case


def unary_case(ours, theirs=None, low=-2.0):
    def case(rng):
        return [random_array(rng, random_shape(rng), low)], ours, theirs or ours

    return case


def power_case(rng):
    exponent = EXPONENTS[rng.below(len(EXPONENTS))]
    return [random_array(rng, random_shape(rng), 0.3)], lambda x: x**exponent, lambda x: x**exponent


EITHER_SIDE = [
    lambda x, c: x + c, lambda x, c: x - c, lambda x, c: x * c, lambda x, c: x / c,
    lambda x, c: c + x, lambda x, c: c - x, lambda x, c: c * x, lambda x, c: c / x,
]  # fmt: skip


def number_case(rng):
    """Numbers of any type are of the tensor's type; torch needs to be told."""
    number = [2, -0.75, np.float64(1.25), np.float32(0.5), np.int64(3), True][rng.below(6)]
    operation = EITHER_SIDE[rng.below(8)]
    arrays = [random_array(rng, random_shape(rng), 0.3)]
    return arrays, lambda x: operation(x, number), lambda x: operation(x, float(number))


def array_case(rng):
    """A plain array is a constant."""
    first, second = two_shapes(rng)
    constant, operation = random_array(rng, second, 0.3), EITHER_SIDE[rng.below(8)]
    arrays = [random_array(rng, first, 0.3)]
    return arrays, lambda x: operation(x, constant), lambda x: operation(x, torch.from_numpy(constant))


def matmul_case(rng):
    n, k, m = (1 + rng.below(4) for _ in range(3))
    first, second = two_shapes(rng)
    first, second = (*first, n, k), (*second, k, m)
    return [random_array(rng, first), random_array(rng, second)], lambda a, b: a @ b, lambda a, b: a @ b


def matmul_array_case(rng):
    """One of the factors is a plain array: a constant."""
    (first, second), _, _ = matmul_case(rng)
    if rng.below(2):
        return [second], lambda b: first @ b, lambda b: torch.from_numpy(first) @ b
    return [first], lambda a: a @ second, lambda a: a @ torch.from_numpy(second)


def sum_case(name):
    def case(rng):
        shape = random_shape(rng)
        axis, keepdims = random_axis(rng, len(shape)), bool(rng.below(2))
        axes = tuple(range(len(shape))) if axis is None else axis
        theirs = getattr(torch, {"max": "amax"}.get(name, name))
        array = random_array(rng, shape)
        if name == "max" and rng.below(2):
            array = np.asarray(array.round())  # so that several are the largest
        return ([array], lambda x: getattr(x, name)(axis=axis, keepdims=keepdims),
                lambda x: theirs(x, dim=axes, keepdim=keepdims) if len(shape) else x * 1)  # fmt: skip

    return case


def softmax_case(rng):
    shape = random_shape(rng, 1)
    axis = rng.below(2 * len(shape)) - len(shape)
    return [20 * random_array(rng, shape)], lambda x: x.softmax(axis), lambda x: x.softmax(axis)


def cross_entropy_case(rng):
    shape = random_shape(rng, 1)
    targets = np.array([rng.below(shape[-1]) for _ in range(math.prod(shape[:-1]))], int).reshape(shape[:-1])
    return ([20 * random_array(rng, shape)], lambda x: x.cross_entropy(targets),
            lambda x: F.cross_entropy(x.reshape(-1, shape[-1]), torch.from_numpy(targets).reshape(-1)))  # fmt: skip


def reshape_case(rng):
    shape = random_shape(rng)
    new = [n for n in shape for n in ((n,) if rng.below(2) else (1, n))]
    new = [(-1,), (*new[::-1],), tuple(new)][rng.below(3)]
    return [random_array(rng, shape)], lambda x: x.reshape(*new), lambda x: x.reshape(new)


def transpose_case(rng):
    shape = random_shape(rng)
    axes = list(range(len(shape)))
    for i in range(len(axes) - 1, 0, -1):
        j = rng.below(i + 1)
        axes[i], axes[j] = axes[j], axes[i]
    axes = [axis - len(shape) * rng.below(2) for axis in axes]
    if rng.below(4) == 0 or not axes:
        return [random_array(rng, shape)], lambda x: x.transpose(), lambda x: x.permute(tuple(range(len(shape)))[::-1])
    return [random_array(rng, shape)], lambda x: x.transpose(*axes), lambda x: x.permute(axes)


def index_case(rng):
    shape = random_shape(rng, 1)
    index = some_index(rng, shape)
    return [random_array(rng, shape)], lambda x: x[index], lambda x: x[index]


OPERATIONS = {
    "add": binary_case(lambda a, b: a + b),
    "subtract": binary_case(lambda a, b: a - b),
    "multiply": binary_case(lambda a, b: a * b),
    "divide": binary_case(lambda a, b: a / b, low=0.3),
    "negate": unary_case(lambda x: -x),
    "power": power_case,
    "plain numbers": number_case,
    "plain arrays": array_case,
    "matmul": matmul_case,
    "matmul with plain arrays": matmul_array_case,
    "exp": unary_case(lambda x: x.exp()),
    "log": unary_case(lambda x: x.log(), low=0.1),
    "tanh": unary_case(lambda x: x.tanh()),
    "relu": unary_case(lambda x: x.relu()),
    "gelu": unary_case(lambda x: x.gelu(), gelu_of_torch),
    "sum": sum_case("sum"),
    "mean": sum_case("mean"),
    "max": sum_case("max"),
    "softmax": softmax_case,
    "cross_entropy": cross_entropy_case,
    "reshape": reshape_case,
    "transpose": transpose_case,
    "index": index_case,
}


def check_operation(module, rng, name, dtype=np.float64, rtol=1e-9):
    """One random case: results and gradients as torch's, from random gradients above, in the same type."""
    arrays, ours, theirs = OPERATIONS[name](rng)
    arrays = [array.astype(dtype) for array in arrays]
    tensors = [module.Tensor(array.copy()) for array in arrays]
    references = [torch.from_numpy(array).requires_grad_() for array in arrays]
    out, wanted = ours(*tensors), theirs(*references)
    about = f"{name} of {[array.shape for array in arrays]}"
    assert close(out.data, wanted.detach().numpy(), rtol), f"{about}: results differ"
    weights = random_array(rng, out.shape).astype(dtype)
    (out * weights).sum().backward()
    (wanted * torch.from_numpy(weights)).sum().backward()
    for tensor, reference in zip(tensors, references):
        assert close(tensor.grad, reference.grad.numpy(), rtol), f"{about}: gradients differ"
        assert tensor.grad.dtype == tensor.data.dtype == out.data.dtype == dtype, f"{about}: types differ"


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_as_torch_s(mg, name):
    rng = mg.rng.PCG32(1)
    for _ in range(150):
        check_operation(mg.tensorgrad, rng, name)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if "plain arrays" not in name])
def test_float32_stays(mg, name):
    rng = mg.rng.PCG32(2)
    for _ in range(30):
        check_operation(mg.tensorgrad, rng, name, np.float32, 1e-4)


# --- arrays: compositions, properties, errors ---------------------------------------------------------------------
#
# All shapes of a composition broadcast to (2, 3, 3), so that any two results may meet in any operation.

SHAPES = [(2, 3, 3), (3, 3), (1, 3), (3, 1), (2, 1, 1), (2, 3, 1), (3,), (1,), ()]
OURS = types.SimpleNamespace(zeros=np.zeros((3, 3)), gelu=lambda x: x.gelu(), max=lambda x: x.max(-2, keepdims=True),
                             swap=lambda x: x.transpose(0, 2, 1))
TORCH = types.SimpleNamespace(zeros=torch.zeros(3, 3, dtype=torch.float64), gelu=gelu_of_torch,
                              max=lambda x: x.amax(-2, keepdim=True), swap=lambda x: x.permute(0, 2, 1))
MOVES = {
    "+": lambda a, b, of: a + b,
    "-": lambda a, b, of: 1.5 - a - b,
    "*": lambda a, b, of: a * b,
    "/": lambda a, b, of: a / (b * b + 1),
    "@": lambda a, b, of: (a + of.zeros) @ (b + of.zeros) * 0.3,
    "**": lambda a, b, of: (a * a + 0.5) ** 1.5,
    "exp, tanh": lambda a, b, of: a.tanh().exp(),
    "log": lambda a, b, of: (a * a + 1).log(),
    "relu": lambda a, b, of: (a - 0.1).relu(),
    "gelu": lambda a, b, of: of.gelu(a),
    "softmax": lambda a, b, of: (a + of.zeros).softmax(-1),
    "mean": lambda a, b, of: (a + of.zeros).mean(0),
    "max": lambda a, b, of: of.max(a + of.zeros),
    "sum": lambda a, b, of: (a * 0.2).sum(),
    "transpose": lambda a, b, of: of.swap((a + of.zeros).reshape(-1, 3, 3)),
    "[]": lambda a, b, of: (a + of.zeros)[..., [2, 0, 2], :],
}


def run_composition(moves, leaves, of):
    """One number that everything goes into. moves: (name, a, b), a and b the numbers of earlier tensors."""
    results = list(leaves)
    for name, a, b in moves:
        new = MOVES[name](results[a], results[b], of)
        results.append(new.tanh() if name in ("+", "-", "*", "@", "**") else new)  # so that nothing grows without end
    loss = 0.0
    for k, result in enumerate(results):
        loss = loss + (result * (0.5 + k % 3)).sum()
    return loss


def check_random_compositions(module, rng, count):
    """Tensors agree with torch on `count` compositions of all operations."""
    names = [*MOVES]
    for _ in range(count):
        arrays = [random_array(rng, SHAPES[rng.below(len(SHAPES))]) for _ in range(1 + rng.below(4))]
        moves = [(names[rng.below(len(names))], rng.below(len(arrays) + k), rng.below(len(arrays) + k))
                 for k in range(2 + rng.below(9))]
        leaves = [module.Tensor(array) for array in arrays]
        references = [torch.from_numpy(array).requires_grad_() for array in arrays]
        loss, wanted = run_composition(moves, leaves, OURS), run_composition(moves, references, TORCH)
        loss.backward()
        wanted.backward()
        assert close(loss.data, wanted.item()), f"losses differ: {moves}"
        for leaf, reference in zip(leaves, references):
            assert close(leaf.grad, reference.grad.numpy()), f"gradients differ from torch's: {moves}"


def test_random_compositions(mg):
    check_random_compositions(mg.tensorgrad, mg.rng.PCG32(3), 400)


def test_gradients_of_a_sum_are_the_sums_of_gradients(mg):
    rng, Tensor = mg.rng.PCG32(4), mg.tensorgrad.Tensor
    x, y = random_array(rng, (3, 4)), random_array(rng, (4, 2))
    losses = [lambda a, b: (a @ b).tanh().sum(), lambda a, b: (a @ b).cross_entropy([1, 0, 1]),
              lambda a, b: (a.mean(0) * b.transpose().exp()).max()]

    def gradients(*chosen):
        a, b = Tensor(x), Tensor(y)
        sum((loss(a, b) for loss in chosen), 0.0).backward()
        return np.concatenate([a.grad.ravel(), b.grad.ravel()])

    assert close(gradients(*losses), sum(gradients(loss) for loss in losses))
    assert close(gradients(*losses), gradients(*losses[::-1]))
    assert close(3 * gradients(losses[1]), gradients(*losses[1:2] * 3))


def test_arrays_learn_what_scalars_learn(mg):
    """Twenty steps of descent on a network of Values, and on the same in Tensors: the same losses."""
    rng = mg.rng.PCG32(12)
    net, Tensor = mg.micrograd.MLP([2, 4, 1], "tanh", rng), mg.tensorgrad.Tensor
    inputs = [[rng.normal(), rng.normal()] for _ in range(6)]
    targets = [rng.normal() for _ in inputs]
    W1, b1, W2, b2 = (Tensor(np.array(part)) for part in (
        [[w.data for w in neuron.weights] for neuron in net.layers[0].neurons],
        [neuron.bias.data for neuron in net.layers[0].neurons],
        [[w.data for w in net.layers[1].neurons[0].weights]], [net.layers[1].neurons[0].bias.data]))  # fmt: skip
    for _ in range(20):
        by_values = sum(((net(x)[0] - y) ** 2 for x, y in zip(inputs, targets)), mg.micrograd.Value(0.0)) / 6
        hidden = (Tensor(inputs) @ W1.transpose() + b1).tanh()
        by_tensors = ((hidden @ W2.transpose() + b2 - np.array(targets)[:, None]) ** 2).mean()
        assert close(by_values.data, by_tensors.data)
        for p in (*net.parameters(), W1, b1, W2, b2):
            p.grad = p.grad * 0
        by_values.backward()
        by_tensors.backward()
        for p in (*net.parameters(), W1, b1, W2, b2):
            p.data = p.data - 0.1 * p.grad


def check_backward_twice(Node, last):
    """As in torch: leaves add up, also over two losses of one graph, and what lies between begins anew."""
    grads = []
    for make in (Node, lambda number: torch.tensor(number, dtype=torch.float64, requires_grad=True)):
        x, y, unused = make(1.5), make(-0.5), make(2.0)
        middle = x * y + x
        first, second = middle * middle, middle.exp() * y
        arguments = {} if make is Node else {"retain_graph": True}
        for loss in (first, second, first):
            loss.backward(**arguments)
        grads.append([float(v.grad) for v in (x, y)])
        assert last(unused.grad) if make is Node else unused.grad is None
    assert close(*grads), "gradients differ from torch's after backward is called again"


def test_backward_twice(mg):
    check_backward_twice(mg.tensorgrad.Tensor, lambda grad: (grad == 0).all())
    check_backward_twice(mg.micrograd.Value, lambda grad: grad == 0)


def test_a_graph_100000_deep(mg):
    x = y = mg.micrograd.Value(2.0)
    for _ in range(100_000):
        y = y + 1.0
    (y * x).backward()
    assert y.data == 100_002 and x.grad == 100_004
    x = y = mg.tensorgrad.Tensor([2.0])
    for _ in range(100_000):
        y = -y
    y.sum().backward()
    assert x.grad == 1
    del x, y  # a graph is also forgotten without recursion


@pytest.mark.parametrize("kind", ["micrograd.Value", "tensorgrad.Tensor"])
def test_each_node_is_visited_once(mg, kind):
    """Twice itself, 100 times: there are 2**100 ways from the end to the beginning, and 101 nodes."""
    module, name = kind.split(".")
    x = y = getattr(getattr(mg, module), name)(1.0)
    for _ in range(100):
        y = y + y
    y.backward()
    assert x.grad == 2.0**100


def test_types_of_tensors(mg):
    Tensor = mg.tensorgrad.Tensor
    for data in (3, True, [1, 2], np.arange(3), np.float16(0.5), np.zeros(2, np.float64), [[]]):
        assert Tensor(data).data.dtype == np.float64 == Tensor(data).grad.dtype
    single = Tensor(np.ones(3, np.float32))
    assert (single + Tensor([1.0])).data.dtype == np.float64  # mixed: the wider, as in NumPy
    (single + Tensor([1.0])).sum().backward()
    assert single.grad.dtype == np.float32 and single.grad.tolist() == [1, 1, 1]
    assert (single + np.ones(3)).data.dtype == np.float64
    assert "shape=(3,)" in repr(single)


def test_defaults_and_corners(mg):
    Value, Tensor = mg.micrograd.Value, mg.tensorgrad.Tensor
    array = np.array([[1.0, -2.0, 0.0], [0.5, 4.0, 3.0]])
    x = Tensor(array)
    assert x.data is array  # not copied
    assert (x.sum().data, x.mean().data, x.max().data) == (6.5, 6.5 / 6, 4.0)
    assert x.sum(0).shape == x.mean(0).shape == x.max(0).shape == (3,)
    assert close(x.softmax().data.sum(axis=-1), np.ones(2)) and x.transpose().shape == (3, 2)
    assert close(x[::-1].data, array[::-1])
    for node in (Value(0.0), Tensor(0.0)):
        node.relu().backward()
        assert node.grad == 0  # as torch's, on the corner
    for node in (Value(2.0), Tensor(2.0), Tensor([[2.0]])):
        node.backward()
        node.backward()
        assert node.grad == 2  # by itself, twice


def test_stable_where_exp_overflows(mg):
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        x = mg.tensorgrad.Tensor([[1e4, 0.0, -1e4], [1e4, 1e4, -1e4]])
        loss = x.cross_entropy([2, 0])
        loss.backward()
        assert close(loss.data, 1e4 + math.log(2) / 2)
        assert close(x.grad, np.array([[0.5, 0, -0.5], [-0.25, 0.25, 0]]))
        assert close(x.softmax().data, np.array([[1, 0, 0], [0.5, 0.5, 0]]))


def test_mistakes_with_tensors(mg):
    Tensor = mg.tensorgrad.Tensor
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    for wrong, fault in [
        (lambda: x.backward(), r"one number, not at shape \(2, 2\)"),
        (lambda: x.cross_entropy([0]), r"shape \(2,\)"),
        (lambda: x.cross_entropy([0.0, 1.0]), "whole numbers"),
        (lambda: x.cross_entropy([0, 2]), "classes 0 to 1"),
        (lambda: x.cross_entropy([0, -1]), "classes 0 to 1"),
        (lambda: x + Tensor([1.0, 2.0, 3.0]), "broadcast"),
        (lambda: x @ Tensor(np.ones((3, 2))), "mismatch"),
        (lambda: x.reshape(3), "reshape"),
    ]:
        with pytest.raises(ValueError, match=fault):
            wrong()
    with pytest.raises(ValueError, match="two axes"):
        x @ Tensor([1.0, 2.0])
    with pytest.raises(TypeError, match="plain number"):
        x**x
    with pytest.raises(IndexError):
        x[[2]]


@pytest.mark.parametrize("seed", range(20))
def test_the_demonstrations_of_tensorgrad(mg, seed):
    mg.tensorgrad.show_finite_differences(seed)
    first, last, right = mg.tensorgrad.train_parity(100 + seed)
    assert first > 0.5 and last < 0.1 and right == 1


def check_tensors(module, rng):
    """Every operation and compositions of all: what a bug in tensorgrad.py must not pass."""
    for name in OPERATIONS:
        for _ in range(25):
            check_operation(module, rng, name)
        if "plain arrays" not in name:
            check_operation(module, rng, name, np.float32, 1e-4)
    check_random_compositions(module, rng, 30)
    check_backward_twice(module.Tensor, lambda grad: (grad == 0).all())


PLANTED_IN_TENSORGRAD = {
    "= for +=": ("parent.grad += unbroadcast", "parent.grad = unbroadcast"),
    "no unbroadcast": ("unbroadcast(slope(node.grad), parent.shape)", "slope(node.grad)"),
    "unbroadcast forgets the axes in front": ("grad.sum(axis=tuple(range(grad.ndim - len(shape))))",
                                              "grad.reshape(-1, *grad.shape[grad.ndim - len(shape):])[0]"),
    "unbroadcast forgets the axes of 1": ("return grad.sum(axis=stretched, keepdims=True)",
                                          "return grad[tuple(slice(0, n) for n in shape)]"),
    "unbroadcast takes the mean": ("grad.sum(axis=stretched", "grad.mean(axis=stretched"),
    "the chain's factor is forgotten": ("(lambda g: g * (1 - t * t),)", "(lambda g: 1 - t * t,)"),
    "tanh's slope from what goes in": ("g * (1 - t * t),", "g * (1 - self.data**2),"),
    "the factors are not exchanged": ("(lambda g: g * other.data, lambda g: g * self.data)",
                                      "(lambda g: g * self.data, lambda g: g * other.data)"),
    "minus forgets its sign": ("(lambda g: g, lambda g: -g)", "(lambda g: g, lambda g: g)"),
    "the quotient's slope is not negative": ("-g * quotient / other.data", "g * quotient / other.data"),
    "one power too many": ("self.data ** (exponent - 1)", "self.data**exponent"),
    "the exponent is forgotten": ("g * exponent * self.data", "g * self.data"),
    "matmul without the transposition": ("g @ other.data.swapaxes(-1, -2)", "g @ other.data"),
    "matmul the other way round": ("self.data.swapaxes(-1, -2) @ g)", "g.swapaxes(-1, -2) @ self.data)"),
    "repeated rows are counted once": ("np.add.at(grad, index, g)", "grad[index] += g"),
    "the mean is a sum": ("total * (total.data.size / self.data.size)", "total * 1"),
    "the largest do not share": ("largest / largest.sum(axis=axis, keepdims=True)", "largest"),
    "softmax without its second term": (" - (p * g).sum(axis=axis, keepdims=True)", ""),
    "softmax over the last axis always": ("e / e.sum(axis=axis", "e / e.sum(axis=-1"),
    "cross-entropy is not averaged": (" / targets.size", ""),
    "cross-entropy without the targets": ("(np.exp(log_p) - hit)", "np.exp(log_p)"),
    "axes are turned back as they were turned": ("g.transpose(np.argsort(axes))", "g.transpose(axes)"),
    "relu's slope everywhere": ("g * (self.data > 0)", "g"),
    "gelu without its inner slope": ("(1 + 3 * 0.044715", "(1 + 0.044715"),
    "log's slope is 1 / log": ("g / self.data,), \"log\"", "g / np.log(self.data),), \"log\""),
    "the inner gradients are kept": ("node.grad = np.zeros_like(node.data)", "pass"),
    "from the inputs to the result": ("reversed(order)", "order"),
    "numbers are of float64": ("np.asarray(other, self.data.dtype)", "np.asarray(other, np.float64)"),
}  # fmt: skip


@pytest.mark.parametrize("bug", PLANTED_IN_TENSORGRAD)
def test_a_bug_planted_in_tensorgrad_is_noticed(mg, planted, bug):
    module = planted("tensorgrad", *PLANTED_IN_TENSORGRAD[bug])
    with pytest.raises((AssertionError, ValueError), match="differ|broadcast|axes"):
        check_tensors(module, mg.rng.PCG32(5))


def test_the_unplanted_tensorgrad_passes(mg):
    check_tensors(mg.tensorgrad, mg.rng.PCG32(5))


# --- graphs -------------------------------------------------------------------------------------------------------

SVG = "{http://www.w3.org/2000/svg}"


def check_graph(graph, result, names):
    """The picture is XML with a box for each value and gradient, a circle for each operation, a slope on each arrow."""
    nodes = graph.topological_order(result)
    name_of = {value: f"{name} = " for name, value in names.items()}
    wanted = Counter(f"{name_of.get(node, '')}{node.data:.4g}" for node in nodes)
    wanted += Counter(f"grad {node.grad:.4g}" for node in nodes)
    wanted += Counter(f"{slope:.4g}" for node in nodes for slope in node.slopes)
    wanted += Counter(node.operation for node in nodes if node.operation)
    picture = ElementTree.fromstring(graph.graph_svg(result, names))
    assert Counter(text.text for text in picture.iter(f"{SVG}text")) == wanted, "the picture says something else"
    arrows = sum(len(node.parents) for node in nodes)
    circles = len([*picture.iter(f"{SVG}circle")])
    assert circles == sum(bool(node.operation) for node in nodes)
    assert len([*picture.iter(f"{SVG}path")]) == arrows + circles, "an arrow is missing"
    assert len([*picture.iter(f"{SVG}rect")]) == 1 + len(nodes) + arrows

    places, drawn = graph.arrange(result)
    assert {*places} == {*nodes} and len(drawn) == arrows
    for node in nodes:
        assert all(places[parent][0] < places[node][0] for parent in node.parents), "a parent is not to the left"
    for (column, y), (other, below) in itertools.combinations(places.values(), 2):
        assert column != other or abs(y - below) >= 1 - 1e-9, "two boxes overlap"
    width, height = float(picture.get("width")), float(picture.get("height"))
    for rect in [*picture.iter(f"{SVG}rect")][1:]:  # the first is the paper
        x, y, wide, high = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
        assert 0 <= x <= x + wide <= width and 0 <= y <= y + high <= height, "a box is cut off"


def check_random_graphs(mg, graph, count):
    rng = mg.rng.PCG32(8)
    for _ in range(count):
        variables, steps = random_expression(rng, 20)
        values = [mg.micrograd.Value(x) for x in variables]
        result = run_expression(steps, values, ON_VALUES)[-1]
        result.backward()
        check_graph(graph, result, dict(zip("abcd", values)))


def test_the_picture_of_an_expression_says_all(mg):
    check_random_graphs(mg, mg.graph, 150)


PLANTED_IN_GRAPH = {
    "the value for the gradient": ("grad {short(node.grad)}", "grad {short(node.data)}"),
    "the gradient for the slope": ("text = short(slope)", "text = short(child.grad)"),
    "boxes half a row apart": ("below + 1", "below + 0.5"),
    "a number beside what it is computed from": ("column[parent] + 1 for parent", "column[parent] for parent"),
    "no circle": ("if node.operation:", "if node.operation == '+':"),
    "no names": ("name_of.get(node, \"\")", "\"\""),
}


@pytest.mark.parametrize("bug", PLANTED_IN_GRAPH)
def test_a_bug_planted_in_graph_is_noticed(mg, planted, bug):
    with pytest.raises(AssertionError):
        check_random_graphs(mg, planted("graph", *PLANTED_IN_GRAPH[bug]), 10)


def test_the_picture_of_a_network(mg):
    net = mg.micrograd.MLP([2, 3, 1], "gelu", mg.rng.PCG32(9))
    result = net([mg.micrograd.Value(0.5), -1.0])[0] ** 2
    result.backward()
    check_graph(mg.graph, result, {"é<&>": net.parameters()[0]})
    for single in (mg.micrograd.Value(1.0), mg.micrograd.Value(-1.5).exp()):
        single.backward()
        check_graph(mg.graph, single, {})


def as_text(steps, variables):
    """An expression as somebody would type it."""
    texts = [*"abcd"[:len(variables)]]
    for name, a, b in steps:
        a, b = (texts[x] if isinstance(x, int) else f"({x})" if x is not None and x < 0 else str(x) for x in (a, b))
        texts.append(f"-{a}" if name == "neg" else f"{name}({a})" if name in UNARY else f"({a} {name} {b})")
    return texts[-1]


def test_expressions_are_read(mg):
    rng = mg.rng.PCG32(10)
    for _ in range(200):
        variables, steps = random_expression(rng, 5)
        names = {name: mg.micrograd.Value(x) for name, x in zip("abcd", variables)}
        result = mg.graph.read_expression(as_text(steps, variables), names)
        result.backward()
        data, grads = gradients_by_torch(variables, steps)
        assert close(result.data, data) and close([v.grad for v in names.values()], grads)


def test_the_graph_script(run_script, tmp_path):
    result = run_script("micrograd/graph.py", "tanh(w * x + b)", "w=0.5", "x=2", "b=-1", "--plot", tmp_path / "a" / "g.svg")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert {line[0]: line[-2:] for line in lines if line[0] in "wxb"} == {
        "w": ["0.5", "2"], "x": ["2", "0.5"], "b": ["-1", "1"]}  # fmt: skip
    picture = (tmp_path / "a" / "g.svg").read_text(encoding="utf-8")
    assert "b = -1" in picture and "grad 0.5" in picture


@pytest.mark.parametrize("arguments, fault", [
    (["x +", "x=1"], "not an expression"), (["f(x)", "x=1"], "cannot read 'f(x)'"), (["x * y", "x=1"], "'y'"),
    (["x ** y", "x=1", "y=2"], "exponent 'y'"), (["log(x)", "x=-1"], "has no value"), (["1 / x", "x=0"], "has no value"),
    (["x ** 0.5", "x=-1"], "has no value"), (["x", "x"], "like a=2"), (["x", "x=inf"], "like a=2"),
    (["+".join(["x"] * 9000), "x=1"], "too long"), (["+".join(["x"] * 400), "x=1", "--plot", "out/x.svg"], "300 numbers"),
    (["x", "x=1", "--plot", "."], "cannot draw"), (["exp(exp)", "exp=1"], "like a=2"),
    (["x and x", "x=1"], "cannot read"), (["exp(x, x)", "x=1"], "cannot read"),
])  # fmt: skip
def test_mistakes_in_expressions(mg, UserError, arguments, fault, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        mg.graph.main(arguments)
    assert fault in str(error.value) and "\n" not in str(error.value)


# --- training -----------------------------------------------------------------------------------------------------


RIGHT_AFTER_300 = 0.92


def moons_by_torch(train, rng, steps):
    """The losses of the training that train.py's docstring describes."""
    points = train.moons(100, rng)
    train.moons(200, rng)
    layers = torch_layers([2, 16, 1], rng)
    net = torch.nn.Sequential(layers[0], torch.nn.Tanh(), layers[1])
    inputs = torch.tensor([point[:2] for point in points], dtype=torch.float64)
    labels = torch.tensor([point[2] for point in points], dtype=torch.float64)
    losses = []
    for step in range(steps):
        batch = slice(10 * step % 100, 10 * step % 100 + 10)
        loss = F.softplus(-labels[batch] * net(inputs[batch])[:, 0]).mean()
        grads = torch.autograd.grad(loss, [*net.parameters()])
        with torch.no_grad():
            for p, grad in zip(net.parameters(), grads):
                p -= grad
        losses.append(loss.item())
    return losses


def check_moons(train, seed, rng, steps):
    """Training makes the losses that torch makes of the documented recipe."""
    _, losses, right = train.train_moons(seed, steps=steps)
    wanted = moons_by_torch(train, rng, steps)
    assert len(losses) == steps and close(losses, wanted), "the losses differ from torch's"


@pytest.mark.parametrize("seed", [0, 3])
def test_the_moons_are_learned_as_documented(mg, seed):
    check_moons(mg.train, seed, mg.rng.PCG32(seed), 60)


PLANTED_IN_TRAIN = {
    "gradients are not set to 0": ("p.grad = 0.0", "pass"),
    "uphill": ("p.data -= learning_rate", "p.data += learning_rate"),
    "always the same points": ("step * BATCH % POINTS", "0"),
    "a sum for the mean": ("total * (1 / len(points))", "total * 1"),
    "the label's sign": ("score * -label", "score * label"),
    "the first point is left out": ("points[start:start + BATCH]", "points[start + 1:start + BATCH]"),
}


@pytest.mark.parametrize("bug", PLANTED_IN_TRAIN)
def test_a_bug_planted_in_training_is_noticed(mg, planted, bug):
    with pytest.raises(AssertionError, match="differ"):
        check_moons(planted("train", *PLANTED_IN_TRAIN[bug]), 1, mg.rng.PCG32(1), 12)


def test_the_moons_are_two_half_circles(mg):
    """Labels in turns; each point as far from its half circle as errors of 0.1 are; the documented draws."""
    points = mg.train.moons(4000, mg.rng.PCG32(5))
    assert [label for *_, label in points] == [1, -1] * 2000
    for center_x, center_y, side, which in ((0, 0, 1, 0), (1, 0.5, -1, 1)):
        off = [math.hypot(x - center_x, y - center_y) - 1 for x, y, _ in points[which::2]]
        assert abs(sum(off)) / 2000 < 0.02 and 0.09 < math.sqrt(sum(e * e for e in off) / 2000) < 0.11
        assert all(side * (y - center_y) > -0.45 for _, y, _ in points[which::2])
    rng = mg.rng.PCG32(6)
    angle, ex, ey = math.pi * rng.uniform(), 0.1 * rng.normal(), 0.1 * rng.normal()
    assert close(mg.train.moons(1, mg.rng.PCG32(6))[0], [math.cos(angle) + ex, math.sin(angle) + ey, 1])


@pytest.mark.parametrize("seed", [20, 21])
def test_the_moons_are_parted(mg, seed):
    """Half the lesson's steps; one neuron, a straight line, never gets there."""
    moments = []
    net, losses, right = mg.train.train_moons(seed, 300, watch=lambda step, net, points: moments.append(step))
    assert right >= RIGHT_AFTER_300 and sum(losses[-10:]) < sum(losses[:10]) / 2 and moments == [*range(301)]
    test_points = mg.train.moons(300, mg.rng.PCG32(seed))[100:]
    assert right == sum((net([x, y])[0].data > 0) == (label == 1) for x, y, label in test_points) / 200
    assert mg.train.train_moons(seed, 300, (2, 1))[2] < RIGHT_AFTER_300


@pytest.mark.parametrize("seed", [20, 21])
def test_the_curve_is_learned(mg, seed):
    net, losses = mg.train.train_curve(seed, steps=400)
    assert losses[-1] < 0.02 < 0.1 < losses[0]
    places = np.linspace(-1, 1, 200)
    wanted = (places + 1.5) * np.sin(4 * places) / 2.5
    off = np.abs([net([x])[0].data for x in places] - wanted).max()
    assert off < 0.4 and close(mg.train.curve_error(net), off)


# --- a tiny language model ----------------------------------------------------------------------------------------


def test_dragons_have_one_vowel(mg):
    names = mg.names.dragon_names(200, mg.rng.PCG32(1))
    more = mg.names.dragon_names(50, mg.rng.PCG32(1), known=names[:100])
    assert len({*names}) == 200 and not {*more} & {*names[:100]} and more[:50] == names[100:150]
    for name in names:
        assert len({*name[1::2]}) == 1 and {*name[1::2]} <= {*"aeiou"} and not {*name[::2]} & {*"aeiou"}
        assert len(name) in (4, 6, 8)


def test_contexts_are_all_that_is_asked(mg):
    contexts, targets = mg.names.contexts_and_targets(["kiki", "da"])
    dot, symbols = mg.names.SYMBOLS[0], mg.names.SYMBOLS
    shown = ["".join(symbols[i] for i in row) + ">" + symbols[target] for row, target in zip(contexts, targets)]
    assert len(contexts[0]) == 3 and dot == "."
    assert shown == ["...>k", "..k>i", ".ki>k", "kik>i", "iki>.", "...>d", "..d>a", ".da>."]


def test_what_is_counted(mg):
    """Equal to the fractions written out: over pairs and triples, smoothed, two names."""
    V, contexts, targets = len(mg.names.SYMBOLS), *mg.names.contexts_and_targets(["ki"])
    got = mg.names.counted(["kiki", "ki"], contexts, targets, 1, 0.5)
    assert close(got, [2.5 / (2 + V / 2), 3.5 / (3 + V / 2), 2.5 / (3 + V / 2)])  # .k, ki, i.
    got = mg.names.counted(["kiki", "ki"], contexts, targets, 2, 0.5)
    assert close(got, [2.5 / (2 + V / 2), 2.5 / (2 + V / 2), 2.5 / (3 + V / 2)])  # ..k, .ki, ki.


def check_window_model(names, rng, dtype=np.float64, rtol=1e-9):
    """Its losses over some steps, and its weights after them, are torch's."""
    V, K, C, H, B = 7, 3, 4, 5, 12
    model = names.WindowModel(V, K, C, H, rng, dtype)
    contexts = np.array([[rng.below(V) for _ in range(K)] for _ in range(B)])
    targets = np.array([rng.below(V) for _ in range(B)])
    weights = [torch.from_numpy(p.data.copy()).requires_grad_() for p in model.parameters()]
    for _ in range(5):
        table, w1, b1, w2, b2 = weights
        logits = torch.tanh(table[torch.from_numpy(contexts)].reshape(B, -1) @ w1 + b1) @ w2 + b2
        loss = F.cross_entropy(logits, torch.from_numpy(targets))
        grads = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for p, grad in zip(weights, grads):
                p -= 0.5 * grad
        assert close(model.step(contexts, targets, 0.5), loss.item(), rtol), "the losses differ from torch's"
    for p, theirs in zip(model.parameters(), weights):
        assert close(p.data, theirs.detach().numpy(), rtol) and p.data.dtype == dtype


@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_the_window_model_as_torch_s(mg, dtype, rtol):
    check_window_model(mg.names, mg.rng.PCG32(2), dtype, rtol)


PLANTED_IN_NAMES = {
    "gradients are not set to 0": ("p.grad[...] = 0", "pass"),
    "uphill": ("p.data -= ", "p.data += "),
    "no hidden layer's bend": (" + self.b1).tanh()", " + self.b1)"),
    "the table is not trained": ("return [self.table, ", "return [Tensor(self.table.data.copy()), "),
}


@pytest.mark.parametrize("bug", PLANTED_IN_NAMES)
def test_a_bug_planted_in_names_is_noticed(mg, planted, bug):
    with pytest.raises(AssertionError):
        check_window_model(planted("names", *PLANTED_IN_NAMES[bug]), mg.rng.PCG32(2))


@pytest.mark.parametrize("seed", [20, 21, 22])
def test_the_network_knows_more_than_counting(mg, seed):
    """On names that it has not seen, whatever is added to the counts and however they are mixed."""
    names = mg.names
    train, test, model, history = names.train_names(seed)
    contexts, targets = names.contexts_and_targets(test)
    counted = {(n, alpha): -np.log2(names.counted(train, contexts, targets, n, alpha)).mean()
               for n in (1, 2, 3) for alpha in (0.03, 0.1, 0.3, 1.0)}
    best = names.best_counts(train, test)
    assert not {*train} & {*test} and all(best[n] <= counted[n, alpha] for n, alpha in counted)
    assert max(history) == names.STEPS and history[names.STEPS][1] < min(best.values()) - 0.3
    assert history[0][1] > 3.9 and 1.98 < names.least_bits() < 1.99 < history[names.STEPS][1]
    logits = torch.from_numpy(model(contexts).data)
    assert close(history[names.STEPS][1], F.cross_entropy(logits, torch.from_numpy(targets)).item() / math.log(2))


def test_names_are_told_from_probabilities(mg):
    """A table that knows a single name tells it; the rule is counted as written."""
    rng = mg.rng.PCG32(3)
    predict = mg.names.pair_predictor(["kibo"])
    assert mg.names.tell_names(predict, 20, rng) == ["Kibo"] * 20
    assert mg.names.one_vowel(["Kiki", "Kibo", "Agag", "Mmm"]) == 0.5


STORIES = ["Kiki ran.", "é", "a\n\nb 😊", "x"]


def check_stream(language, stories):
    """Each byte of a story and its END are asked for once, after the K symbols before them, END where there are none."""
    K, wanted = language.K, []
    for story in stories:
        symbols = [256] * K + [*story.encode("utf-8")] + [256]
        wanted += [(symbols[i - K:i], symbols[i]) for i in range(K, len(symbols))]
    stream, positions = language.padded_stream(stories)
    got = [(stream[p - K:p].tolist(), int(stream[p])) for p in positions]
    assert got == wanted, "the predictions differ"


def test_the_stream_asks_for_each_byte_once(mg):
    for stories in (STORIES, STORIES[:1], STORIES[1:2]):
        check_stream(mg.language, stories)


PLANTED_IN_LANGUAGE = {
    "the end is not asked for": ("is_byte | np.append(False, is_byte[:-1])", "is_byte"),
    "the last story has no end": (' + b"\\xff"\n', "\n"),
    "stories run into one another": ("between.join(", "between[:1].join("),
    "the first story begins with nothing": ("data = between + between", "data = between[:1] + between"),
}


@pytest.mark.parametrize("bug", PLANTED_IN_LANGUAGE)
def test_a_bug_planted_in_language_is_noticed(planted, bug):
    with pytest.raises(AssertionError, match="differ"):
        check_stream(planted("language", *PLANTED_IN_LANGUAGE[bug]), STORIES)


def test_bits_are_summed_over_all_that_is_asked(mg):
    """By torch, one prediction at a time; more predictions than one piece holds."""
    language, rng = mg.language, mg.rng.PCG32(4)
    model = mg.names.WindowModel(257, language.K, 3, 4, rng)
    model.w2.data *= 50  # so that it says something
    stream, positions = language.padded_stream(STORIES * 250)
    assert len(positions) > 4096
    logits = torch.from_numpy(model(np.stack([stream[p - language.K:p] for p in positions])).data)
    wanted = F.cross_entropy(logits, torch.from_numpy(stream[positions].astype(np.int64)), reduction="sum").item()
    assert close(language.bits_of(model, stream, positions), wanted / math.log(2))


@pytest.fixture(scope="module")
def dragons(mg, tmp_path_factory):
    """A folder of stories whose names have one vowel each."""
    folder, names = tmp_path_factory.mktemp("dragons"), mg.names.dragon_names(700, mg.rng.PCG32(5))
    for split, chosen in (("train", names[:600]), ("valid", names[600:])):
        text = "\n<|endoftext|>\n".join(f"{name.capitalize()} ate {other}." for name, other in zip(chosen, chosen[7:]))
        (folder / f"{split}.txt").write_text(text, encoding="utf-8")
    return folder


def test_the_language_model_beats_pairs(mg, run_script, dragons, clone):
    """Pairs cannot look back to the vowel; the number is a line of the scoreboard, and the seed decides it."""
    def pairs_of(story):
        symbols = [256, *story.encode("utf-8"), 256]
        return [*itertools.pairwise(symbols)]

    train, valid = (mg.stories.load_split(dragons, split) for split in ("train", "valid"))
    pairs = Counter(pair for story in train for pair in pairs_of(story))
    firsts = Counter(pair[0] for story in train for pair in pairs_of(story))
    asked = [pair for story in valid for pair in pairs_of(story)]
    n_bytes = sum(len(story.encode("utf-8")) for story in valid)
    by_pairs = min(sum(-math.log2((pairs[a, b] + alpha) / (firsts[a] + 257 * alpha)) for a, b in asked) / n_bytes
                   for alpha in (0.001, 0.01, 0.1))  # fmt: skip
    flags = "--data", dragons, "--steps", 200, "--seed", 3
    results = [run_script("micrograd/language.py", *flags).stdout for _ in range(2)]
    numbers = [result.splitlines()[-1].split()[0] for result in results]
    assert numbers[0] == numbers[1] and float(numbers[0]) < by_pairs - 0.7
    line = json.loads((clone / "out" / "scoreboard.jsonl").read_text().splitlines()[-1])
    assert line["chapter"] == "micrograd" and line["data"] == str(dragons) and line["bpb"] == float(numbers[0])


@pytest.mark.parametrize("flags, fault", [
    (["--data", "nowhere"], "nowhere"), (["--steps", "0"], "whole number"), (["--seed", "-1"], "whole number"),
])  # fmt: skip
def test_mistakes_on_the_command_line(run_script, flags, fault):
    result = run_script("micrograd/language.py", *flags, status=2)
    assert fault in result.stderr and "Traceback" not in result.stderr


# --- what a learner sees ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script, says", [
    ("micrograd", ["(a * b + c) * a = 8", "100,000 additions"]),
    ("tensorgrad", ["31 Values", "10 Tensors", "seed 9", "100% of 16 right"]),
    ("graph", ["(a * b + c) * a = 8"]), ("names", ["seed 4"]),
])  # fmt: skip
def test_a_script_runs_and_asserts_what_it_claims(run_script, script, says):
    result = run_script(f"micrograd/{script}.py")
    assert all(text in result.stdout for text in says)


def test_the_pictures(run_script, clone, tmp_path):
    """Drawn again, the same files as the lesson's; each small enough, and XML."""
    figures = clone / "micrograd" / "figures"
    for path in figures.glob("*.svg"):
        ElementTree.parse(path)
        assert path.stat().st_size < 150_000
    run_script("micrograd/graph.py", "--plot", tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_bytes() == (figures / "graph.svg").read_bytes()


# --- the tape in C ------------------------------------------------------------------------------------------------

COMPILER = os.environ.get("CC", "cc")
OPCODES = "leaf add sub mul div power neg exp log tanh relu gelu muladd".split()  # csrc/micrograd.c's, in order


@pytest.fixture(scope="module")
def c_micrograd(clone, run_command):
    """The folder csrc/build with the program and the library; skips where there is nothing to build them with."""
    if not (shutil.which(COMPILER) and shutil.which("make")):
        pytest.skip("needs make and a C compiler (Debian, Ubuntu: apt-get install make gcc)")
    run_command("make -C csrc micrograd", timeout=300)
    return clone / "csrc/build"


@pytest.fixture(scope="module")
def tape_library(c_micrograd):
    """csrc/build/micrograd.so with the types of its functions."""
    library = ctypes.CDLL(str(c_micrograd / "micrograd.so"))
    pointer, place, real = ctypes.c_void_p, ctypes.c_int32, ctypes.c_double
    for name, result, arguments in (
        ("tape_new", pointer, [place]), ("tape_free", None, [pointer]), ("tape_leaf", place, [pointer, real]),
        ("tape_record", place, [pointer, ctypes.c_int, place, place, place]),
        ("tape_backward", None, [pointer, place]), ("tape_forward", None, [pointer, place, place]),
        ("tape_value", real, [pointer, place]), ("tape_grad", real, [pointer, place]),
        ("tape_set", None, [pointer, place, real]), ("moons_new", pointer, [ctypes.c_uint64, ctypes.c_int]),
        ("moons_free", None, [pointer]), ("moons_steps", None, [pointer, ctypes.c_int, pointer]),
        ("moons_accuracy", real, [pointer]),
    ):  # fmt: skip
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@pytest.fixture
def little_project(clone, tmp_path):
    """A copy of micrograd/ and csrc/ in which nothing is built yet, to be changed by the test."""
    for name in ("micrograd", "csrc"):
        shutil.copytree(clone / name, tmp_path / name, ignore=shutil.ignore_patterns("build", "figures"))
    return tmp_path


def random_on_both(Value, tape, library, leaves, rng):
    """The same random operations on Values and on the tape: (the last Value, its place)."""

    def record(operation, *parents):
        return library.tape_record(tape, OPCODES.index(operation), *parents, *[0] * (3 - len(parents)))

    def leaf(number):
        return Value(number), library.tape_leaf(tape, number)

    pairs = [leaf(number) for number in leaves]
    for _ in range(rng.randrange(1, 25)):
        operation = rng.choice(OPCODES[1:])
        (a, i), (b, j), (c, k) = rng.choice(pairs[-3:]), rng.choice(pairs), rng.choice(pairs)
        if operation in ("div", "log", "power"):  # these need numbers above 0
            one, p = leaf(1.0)
            a, i = a * a + one, record("add", record("mul", i, i), p)
        if operation == "exp":
            a, i = a.tanh(), record("tanh", i)
        if operation == "div":
            pairs.append((b / a, record("div", j, i)))
        elif operation == "power":
            exponent = rng.choice([-2, -0.5, 0, 0.5, 1, 2, 3])
            pairs.append((a**exponent, record("power", i, library.tape_leaf(tape, exponent))))
        elif operation == "muladd":
            pairs.append((c + a * b, record("muladd", i, j, k)))
        elif operation in ("add", "sub", "mul"):
            result = {"add": a + b, "sub": a - b, "mul": a * b}[operation]
            pairs.append((result, record(operation, i, j)))
        else:
            pairs.append((-a if operation == "neg" else getattr(a, operation)(), record(operation, i)))
    return pairs


def test_the_tape_has_the_gradients_of_the_values(chapter, tape_library):
    Value, rng, compared = chapter("micrograd").micrograd.Value, random.Random(3), 0
    for _ in range(1000):
        tape = tape_library.tape_new(300)
        pairs = random_on_both(Value, tape, tape_library, [rng.gauss(0, 1) for _ in range(3)], rng)
        result, place = pairs[-1]
        if abs(result.data) < 1e6:
            result.backward()
            tape_library.tape_backward(tape, place)
            assert tape_library.tape_value(tape, place) == pytest.approx(result.data, rel=1e-13, abs=1e-13)
            for value, at in pairs[:3]:
                if abs(value.grad) < 1e6:
                    scale = max(1.0, *(abs(node.grad) for node, _ in pairs))
                    assert tape_library.tape_grad(tape, at) == pytest.approx(value.grad, rel=1e-9, abs=1e-11 * scale)
                    compared += value.grad != 0
        tape_library.tape_free(tape)
    assert compared > 1500


def test_a_tape_100000_deep(tape_library):
    tape = tape_library.tape_new(100_002)
    last = x = tape_library.tape_leaf(tape, 1.0)
    grow = tape_library.tape_leaf(tape, 1.00001)
    for _ in range(100_000):
        last = tape_library.tape_record(tape, OPCODES.index("mul"), last, grow, 0)
    tape_library.tape_backward(tape, last)
    assert tape_library.tape_grad(tape, x) == pytest.approx(1.00001**100_000, rel=1e-9)
    assert tape_library.tape_value(tape, last) == pytest.approx(math.e, rel=1e-4)
    tape_library.tape_free(tape)


@pytest.mark.parametrize("seed", [0, 3])
def test_c_learns_the_moons_with_the_losses_of_python(chapter, tape_library, c_micrograd, run_command, seed):
    _, losses, accuracy = chapter("micrograd").train.train_moons(seed)
    for rung in (1, 2, 3):
        network = tape_library.moons_new(seed, rung)
        in_c = np.empty(len(losses))
        tape_library.moons_steps(network, len(losses), in_c.ctypes.data)
        assert tape_library.moons_accuracy(network) == accuracy
        tape_library.moons_free(network)
        assert np.abs(in_c - losses).max() < 1e-9
    printed = [f"step {step:4}  loss {sum(losses[step - 10 : step]) / 10:.9f}" for step in (10, *range(100, 601, 100))]
    printed.append(f"{accuracy:.1%} of 200 points that it has not seen are right")
    result = run_command([c_micrograd / "micrograd", "--seed", str(seed)])
    assert result.stdout.splitlines() == [f"moons, seed {seed}: 65 parameters", *printed]


def test_c_bench_of_the_tape(c_micrograd, run_command):
    lines = run_command([c_micrograd / "micrograd", "--bench"]).stdout.splitlines()[-4:]
    assert [line[:2] for line in lines] == ["1 ", "2 ", "3 ", "on"]
    assert all(float(line.split()[-1]) > 0 for line in lines)


def test_c_micrograd_refuses_wrong_flags(c_micrograd, run_command):
    for flags in (["--seed", "-1"], ["--seed", "x"], ["--seed"], ["--nothing"], ["more"]):
        result = run_command([c_micrograd / "micrograd", *flags], status=2)
        assert result.stdout == "" and result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert "--bench" in run_command([c_micrograd / "micrograd", "--help"]).stdout


def test_the_c_tests_pass_under_sanitizers(c_micrograd, run_command):
    result = run_command("make -C csrc build/check/test_micrograd && csrc/build/check/test_micrograd", timeout=300)
    assert result.stderr == ""


@pytest.mark.parametrize("right, wrong", [
    ("case ADD: *grad_a += g, *grad_b += g;", "case ADD: *grad_a = g, *grad_b = g;"),
    ("case SUB: *grad_a += g, *grad_b -= g;", "case SUB: *grad_a += g, *grad_b += g;"),
    ("case MUL: *grad_a += b * g, *grad_b += a * g;", "case MUL: *grad_a += a * g, *grad_b += b * g;"),
    ("*grad_b += -y / b * g;", "*grad_b += -y * g;"),
    ("b * pow(a, b - 1)", "b * pow(a, b)"),
    ("case EXP: *grad_a += y * g;", "case EXP: *grad_a += y;"),
    ("*grad_a += (1 - y * y) * g;", "*grad_a += (1 - a * a) * g;"),
    ("*grad_a += a > 0 ? g : 0.0;", "*grad_a += g;"),
    ("(1 + 3 * CUBE * a * a)", "(1 + CUBE * a * a)"),
    (", tape->grad[parents[2]] += g;", ";"),
    ("if (tape->operation[i] != LEAF) tape->grad[i] = 0.0;", ";"),
    ("for (Place i = result; i >= 0; i--)", "for (Place i = 0; i <= result; i++)"),
    ("if (tape->grad[i] != 0) differentiate", "differentiate"),
    ("if (tape->length == tape->capacity) {", "if (tape->length > tape->capacity) {"),
    ("memset(tape->grad, 0, PARAMETERS * sizeof *tape->grad);", ""),
])  # fmt: skip
def test_planted_bugs_in_c_are_noticed(c_micrograd, little_project, right, wrong):
    source = little_project / "csrc/micrograd.c"
    assert source.read_text().count(right) == 1
    source.write_text(source.read_text().replace(right, wrong))
    test = little_project / "test"
    command = [COMPILER, "-std=c11", "-O1", little_project / "csrc/test_micrograd.c", "-o", test, "-lm"]
    subprocess.run(command, check=True, timeout=120)
    assert subprocess.run([test], capture_output=True, timeout=120).returncode != 0


# --- clib.py, the loader, and bench.py ----------------------------------------------------------------------------

LOAD = "import sys; sys.path.insert(0, 'micrograd'); from clib import load_library; load_library('micrograd').{0}"


def test_the_loader_builds_on_first_use_and_after_a_change(c_micrograd, little_project, run_command):
    def load(function, status=0):
        return run_command([sys.executable, "-c", LOAD.format(function)], cwd=little_project, status=status)

    library = little_project / "csrc/build/micrograd.so"
    load("tape_new")
    built = library.stat().st_mtime_ns
    load("tape_new")
    assert library.stat().st_mtime_ns == built
    load("tape_twice", status=1)  # there is no such function yet
    source = little_project / "csrc/micrograd.c"
    source.write_text(source.read_text() + "int tape_twice(int x);\nint tape_twice(int x) { return 2 * x; }\n")
    os.utime(source, ns=(built + 10**9, built + 10**9))
    load("tape_twice")


def test_the_loader_in_several_processes_at_once(c_micrograd, little_project):
    command = [sys.executable, "-c", LOAD.format("tape_new")]
    processes = [subprocess.Popen(command, cwd=little_project, stderr=subprocess.PIPE) for _ in range(4)]
    assert [process.communicate(timeout=120)[1] for process in processes] == [b""] * 4
    assert [process.returncode for process in processes] == [0] * 4
    left = sorted(path.name for path in (little_project / "csrc/build").iterdir())
    assert left == ["micrograd.so", "micrograd.so.d"]


def path_with(folder, *programs):
    """A folder for PATH in which only these programs are found."""
    folder.mkdir()
    for program in programs:
        (folder / program).symlink_to(shutil.which(program))
    return str(folder)


@pytest.mark.parametrize("programs, named", [((), "make"), (("make", "sh", "mkdir", "printf"), "compiler")])
def test_without_a_compiler_there_is_one_clear_line(c_micrograd, little_project, run_command, programs, named):
    path = path_with(little_project / "bin", *programs)
    env = {"PATH": path, "CC": "cc"}
    script = [sys.executable, "micrograd/bench.py"]
    result = run_command(script, cwd=little_project, env=env, status=2)
    assert result.stdout == "" and result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert named in result.stderr and "gcc" in result.stderr
    # A library that is there already is used all the same.
    run_command("make -C csrc micrograd", cwd=little_project)
    run_command([sys.executable, "-c", LOAD.format("tape_new")], cwd=little_project, env=env)


def test_code_that_does_not_compile_or_load_is_one_clear_line(c_micrograd, little_project, run_command):
    script = [sys.executable, "micrograd/bench.py"]
    source = little_project / "csrc/micrograd.c"
    text = source.read_text()
    source.write_text(text + "int broken(\n")
    result = run_command(script, cwd=little_project, status=2)
    assert result.stderr.count("\n") == 1 and "error: csrc/micrograd.c cannot be compiled: " in result.stderr
    source.write_text(text)
    library = little_project / "csrc/build/micrograd.so"
    library.write_bytes(b"no library")
    os.utime(library, (2**32, 2**32))
    result = run_command(script, cwd=little_project, status=2)
    assert result.stderr.count("\n") == 1 and "cannot be loaded" in result.stderr


def test_bench_compares_the_engines(c_micrograd, run_script):
    lines = run_script("micrograd/bench.py", "--rounds", 1, timeout=300).stdout.splitlines()
    assert lines[0].startswith("the first 100 losses differ by at most ")
    assert len(lines) == 11 and all(float(line.split()[-1].replace(",", "")) > 0 for line in lines[3:])
    run_script("micrograd/bench.py", "--rounds", 0, status=2)


# --- exercises ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["log_sum_exp", "where"])
def test_answers(answers, mg, name):
    mg.checks.CHECKS[name](getattr(answers("micrograd"), name))


def test_checks_notice_wrong_answers(mg):
    Value, Tensor, checks = mg.micrograd.Value, mg.tensorgrad.Tensor, mg.checks.CHECKS
    assert [*checks] == ["log_sum_exp", "where"]

    def composed(values):  # right, until it overflows; and not one operation
        return sum((v.exp() for v in values), Value(0.0)).log()

    def overflows(values):
        total = sum(math.exp(v.data) for v in values)
        slopes = tuple(math.exp(v.data) / total for v in values)
        return Value(math.log(total), tuple(values), slopes, "log_sum_exp")

    def unscaled(values):
        right = mg.solutions.log_sum_exp(values)
        right.slopes = tuple(slope * len(values) for slope in right.slopes)
        return right

    def everywhere(condition, a, b):
        return Tensor(np.where(condition, a.data, b.data), (a, b), (lambda g: g, lambda g: g), "where")

    def exchanged(condition, a, b):
        return mg.solutions.where(~condition, a, b)

    def multiplied(condition, a, b):  # 0 times what is not taken: wrong where that is infinite
        return a * condition.astype(float) + b * (~condition).astype(float)

    wrong = {"log_sum_exp": [composed, overflows, unscaled, lambda values: Value(0.0), lambda values: 0.0],
             "where": [everywhere, exchanged, multiplied, lambda condition, a, b: a]}  # fmt: skip
    for name, answers in wrong.items():
        for answer in answers:
            with np.errstate(invalid="ignore"), pytest.raises(AssertionError):
                checks[name](answer)


def test_the_exercises_say_what_passes(run_script):
    assert run_script("micrograd/solutions.py").stdout.count("passes") == 2
    run_script("micrograd/exercises.py", status=None)  # the reader's: in whatever state
