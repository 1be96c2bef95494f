"""The engine of micrograd.py over arrays: one node holds a whole NumPy array, and so does its gradient.

New since micrograd.py: shapes. A node of a million numbers costs Python no more than a node of one, so a network is a
dozen nodes in place of thousands. A slope can no longer be a number: each operation keeps, for each parent, a function
that turns the gradient of its result into the gradient of that parent. What is truly new is in two of them: what
becomes of an array that was repeated to fit another (`unbroadcast`), and of the factors of a product of matrices.
Left out on purpose: changing arrays in place, tensors without gradients, other devices. torch.Tensor has them.
Shapes: B rows of a batch, C numbers a row, V classes; … stands for any axes.

    python micrograd/tensorgrad.py        two seconds

Papers: Linnainmaa, "Taylor expansion of the accumulated rounding error" (1976), the first to go backward; Hendrycks
and Gimpel, "Gaussian Error Linear Units" (2016).
"""

import argparse
import math

import numpy as np

from cli import run
from micrograd import Value, numerical_derivative, topological_order
from rng import PCG32


class Tensor:
    """An array, how it was computed, and its gradient, an array of the same shape: how much the result moves for
    each unit that each number is moved.

    data: whatever NumPy makes an array of; float32 stays float32, all else becomes float64 (arrays of these two types
    are not copied: who changes the array changes the Tensor).
    parents: the Tensors it was computed from. slopes: for each parent a function from g, the gradient of this Tensor,
    to the gradient of the parent.
    """

    __slots__ = ("data", "grad", "parents", "slopes", "operation")
    __array_ufunc__ = None  # array + tensor: NumPy leaves it to __radd__

    def __init__(self, data, parents=(), slopes=(), operation=""):
        data = np.asarray(data)
        self.data = data if data.dtype == np.float32 else data.astype(np.float64, copy=False)
        self.grad = np.zeros(data.shape, self.data.dtype)
        self.parents, self.slopes, self.operation = parents, slopes, operation

    @property
    def shape(self):
        return self.data.shape

    def __repr__(self):
        return f"Tensor(shape={self.shape}, data={self.data}, grad={self.grad})"

    # Two operands: they broadcast, so that shapes (4, 1) and (3,) give (4, 3). `backward` undoes it.

    def __add__(self, other):
        other = self.wrap(other)
        return Tensor(self.data + other.data, (self, other), (lambda g: g, lambda g: g), "+")

    def __sub__(self, other):
        other = self.wrap(other)
        return Tensor(self.data - other.data, (self, other), (lambda g: g, lambda g: -g), "-")

    def __mul__(self, other):
        other = self.wrap(other)
        return Tensor(self.data * other.data, (self, other), (lambda g: g * other.data, lambda g: g * self.data), "*")

    def __truediv__(self, other):
        other = self.wrap(other)
        quotient = self.data / other.data
        return Tensor(quotient, (self, other), (lambda g: g / other.data, lambda g: -g * quotient / other.data), "/")

    def __pow__(self, exponent):
        """exponent: a plain number."""
        if not np.isscalar(exponent):
            raise TypeError("the exponent should be a plain number; x**y is (x.log() * y).exp()")
        slope = (lambda g: g * exponent * self.data ** (exponent - 1)) if exponent else np.zeros_like
        return Tensor(self.data**exponent, (self,), (slope,), f"**{exponent}")

    def __matmul__(self, other):
        """Products of matrices, (…, n, k) @ (…, k, m) -> (…, n, m); the axes in front broadcast. Raises ValueError."""
        other = self.wrap(other)
        if self.data.ndim < 2 or other.data.ndim < 2:
            raise ValueError(f"@ is for two axes or more, not for shapes {self.shape} and {other.shape}; reshape first")
        slopes = (lambda g: g @ other.data.swapaxes(-1, -2), lambda g: self.data.swapaxes(-1, -2) @ g)
        return Tensor(self.data @ other.data, (self, other), slopes, "@")

    def __neg__(self):
        return Tensor(-self.data, (self,), (lambda g: -g,), "neg")

    def __radd__(self, other):
        return self.wrap(other) + self

    def __rsub__(self, other):
        return self.wrap(other) - self

    def __rmul__(self, other):
        return self.wrap(other) * self

    def __rtruediv__(self, other):
        return self.wrap(other) / self

    def __rmatmul__(self, other):
        return self.wrap(other) @ self

    def wrap(self, other):
        """A plain number becomes a Tensor of this one's type (0.5 * float32 is float32), an array one of its own."""
        if isinstance(other, Tensor):
            return other
        return Tensor(np.asarray(other, self.data.dtype) if np.ndim(other) == 0 else other)

    # Each number by itself: what micrograd.py does, on all at once.

    def exp(self):
        e = np.exp(self.data)
        return Tensor(e, (self,), (lambda g: g * e,), "exp")

    def log(self):
        return Tensor(np.log(self.data), (self,), (lambda g: g / self.data,), "log")

    def tanh(self):
        t = np.tanh(self.data)
        return Tensor(t, (self,), (lambda g: g * (1 - t * t),), "tanh")

    def relu(self):
        return Tensor(np.maximum(self.data, 0), (self,), (lambda g: g * (self.data > 0),), "relu")

    def gelu(self):
        """x times the share of a normal distribution below x, in GPT-2's approximation by tanh."""
        x, c = self.data, math.sqrt(2 / math.pi)
        t = np.tanh(c * (x + 0.044715 * x * x * x))

        def slope(g):
            return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x))

        return Tensor(0.5 * x * (1 + t), (self,), (slope,), "gelu")

    # Over axes. axis: None for all, a number, or several in a tuple; keepdims: they stay, with size 1.

    def sum(self, axis=None, keepdims=False):
        total = self.data.sum(axis=axis, keepdims=True)

        def slope(g):  # each summand moves the sum as much as it is moved itself
            return np.broadcast_to(g.reshape(total.shape), self.shape)

        return Tensor(total if keepdims else self.data.sum(axis=axis), (self,), (slope,), "sum")

    def mean(self, axis=None, keepdims=False):
        total = self.sum(axis, keepdims)
        return total * (total.data.size / self.data.size)

    def max(self, axis=None, keepdims=False):
        """Where several are the largest, they share the gradient equally."""
        top = self.data.max(axis=axis, keepdims=True)

        def slope(g):
            largest = self.data == top
            return largest / largest.sum(axis=axis, keepdims=True) * g.reshape(top.shape)

        return Tensor(top if keepdims else self.data.max(axis=axis), (self,), (slope,), "max")

    def softmax(self, axis=-1):
        """exp(x) / sum of exp(x) over the axis. The largest is subtracted first, so that no exp overflows."""
        e = np.exp(self.data - self.data.max(axis=axis, keepdims=True))
        p = e / e.sum(axis=axis, keepdims=True)
        return Tensor(p, (self,), (lambda g: p * (g - (p * g).sum(axis=axis, keepdims=True)),), "softmax")

    def cross_entropy(self, targets):
        """The mean of -log softmax(logits)[target], in nats: (…, V) logits and (…) whole numbers below V -> ().

        The slope is that of bigram/layer.py: softmax, less 1 at the target, over the count. Raises ValueError.
        """
        targets = np.asarray(targets)
        if targets.shape != self.shape[:-1] or targets.dtype.kind not in "iu":
            raise ValueError(f"targets should be whole numbers of shape {self.shape[:-1]}, not {targets.dtype} "
                             f"of shape {targets.shape}")
        hit = np.arange(self.shape[-1]) == targets[..., None]  # (…, V): True at the targets
        if not hit.any(axis=-1).all():
            raise ValueError(f"a target is not one of the classes 0 to {self.shape[-1] - 1}")
        shifted = self.data - self.data.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))  # (…, V)
        slopes = (lambda g: g * (np.exp(log_p) - hit) / targets.size,)
        return Tensor(-log_p[hit].mean(), (self,), slopes, "cross_entropy")

    # Numbers are only moved: their gradients move back.

    def reshape(self, *shape):
        return Tensor(self.data.reshape(shape), (self,), (lambda g: g.reshape(self.shape),), "reshape")

    def transpose(self, *axes):
        """Axis i of the result is axis axes[i] of this one. Without axes, their order is reversed."""
        axes = [axis % self.data.ndim for axis in axes] or list(range(self.data.ndim))[::-1]
        return Tensor(self.data.transpose(axes), (self,), (lambda g: g.transpose(np.argsort(axes)),), "transpose")

    def __getitem__(self, index):
        """Slices, or rows by their numbers: table[tokens] is an embedding, (V, C)[(B,)] -> (B, C)."""

        def slope(g):
            grad = np.zeros_like(self.data)
            np.add.at(grad, index, g)  # grad[index] += g would count a row once that was taken twice
            return grad

        return Tensor(self.data[index], (self,), (slope,), "[]")

    def backward(self):
        """Adds the derivatives of this single number to the grad of all it was computed from. Raises ValueError.

        As for Values: the gradients of what was computed start from 0 each time, those of parameters and inputs add
        up over calls, until somebody sets them to 0. The slopes look at the data now: change none before this call.
        """
        if self.data.size != 1:
            raise ValueError(f"backward starts at one number, not at shape {self.shape}; take a sum or a mean first")
        order = topological_order(self)
        for node in order:
            if node.parents:
                node.grad = np.zeros_like(node.data)
        self.grad += 1.0
        for node in reversed(order):
            for parent, slope in zip(node.parents, node.slopes):
                parent.grad += unbroadcast(slope(node.grad), parent.shape)


def unbroadcast(grad, shape):
    """The gradient of an array of that shape which NumPy repeated to the shape of `grad`: the sum over its copies.

    It is the rule for a Value that is used twice: each use has its gradient, and they add up.
    """
    if grad.shape == shape:
        return grad
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))  # the axes that were put in front
    stretched = tuple(axis for axis, n in enumerate(shape) if n == 1)
    return grad.sum(axis=stretched, keepdims=True)


def numerical_gradient(f, x):
    """The derivatives of the number f() by each number of the Tensor x, measured: one after the other is moved."""
    grad = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        before = x.data[index].item()

        def f_of(number, index=index):
            x.data[index] = number
            return f().data.item()

        grad[index] = numerical_derivative(f_of, before)
        x.data[index] = before
    return grad


def random_tensor(rng, *shape, scale=1.0, dtype=np.float64):
    """Draws from the normal distribution, in the order of memory."""
    numbers = [scale * rng.normal() for _ in range(math.prod(shape))]
    return Tensor(np.array(numbers, dtype).reshape(shape))


def show_scalars_and_arrays():
    """Two neurons with three inputs each, by Values and by Tensors: the same gradients."""
    x, w, b = [1.0, -2.0, 0.5], [[0.3, 0.1, -0.4], [-0.2, 0.6, 0.9]], [0.4, -0.3]
    values = [[Value(number) for number in row] for row in w]
    neurons = [sum((v * number for v, number in zip(row, x)), Value(bias)).tanh() for row, bias in zip(values, b)]
    by_scalars = neurons[0] ** 2 + neurons[1] ** 2
    by_scalars.backward()

    W = Tensor(w)  # (2, 3)
    by_arrays = ((W @ Tensor(x).reshape(3, 1) + Tensor(b).reshape(2, 1)).tanh() ** 2).sum()
    by_arrays.backward()
    grads = np.array([[v.grad for v in row] for row in values])
    for kind, result, grad in (("Values ", by_scalars, grads), ("Tensors", by_arrays, W.grad)):
        print(f"two neurons by {len(topological_order(result)):2} {kind}: loss {result.data:.4f}, "
              "gradients " + " ".join(f"{number:7.4f}" for number in grad.ravel()))
    assert np.abs(grads - W.grad).max() < 1e-12, "scalars and arrays give different gradients"


def show_broadcasting():
    """A bias (3,) is added to two rows (2, 3): each of its numbers is used twice and has the sum of two gradients."""
    x, b = Tensor([[1, 2, 3], [4, 5, 6]]), Tensor([10, 20, 30])
    ((x + b) * np.array([[1, 2, 3], [0.1, 0.2, 0.3]])).sum().backward()
    print(f"a bias used by two rows: {x.grad[0]} + {x.grad[1]} = {b.grad}")
    assert np.allclose(b.grad, x.grad[0] + x.grad[1], atol=1e-12), "the copies' gradients are not summed"


def show_finite_differences(seed=0):
    """Every operation in one expression; each number of each tensor is moved a little, up and down.

    Raises AssertionError where a gradient is another than the measured one.
    """
    rng = PCG32(seed)
    table, w, b = random_tensor(rng, 5, 3), random_tensor(rng, 3, 4), random_tensor(rng, 4)

    def f():
        h = table[[1, 4, 1]] @ w + b  # (3, 4): row 1 is used twice
        h = h.gelu() + h.relu() * h.tanh() - (h / 2).exp() / ((h**2 + 1).log().sum(0) + 1)
        mixed = h.transpose() @ h.softmax() + h.max(1, keepdims=True).mean()  # (4, 4)
        return mixed.reshape(2, 8).cross_entropy([0, 3])

    f().backward()
    worst = np.max([np.abs(t.grad - numerical_gradient(f, t)).max() for t in (table, w, b)])  # NaN stays NaN
    print(f"every operation at once: {worst:.1e} from the finite differences")
    assert worst < 1e-7, "gradients differ from finite differences"


def train_parity(seed, bits=4, hidden=16, steps=300, learning_rate=0.5):
    """Is the number of ones odd? A network of one hidden layer learns it; (first loss, last loss, share of rows right).

    One neuron cannot do it alone: whichever bit is turned over, the answer is turned over too.
    """
    rng = PCG32(seed)
    x = Tensor([[2 * (row >> bit & 1) - 1 for bit in range(bits)] for row in range(2**bits)])  # (B, bits): -1 or 1
    targets = np.array([row.bit_count() % 2 for row in range(2**bits)])  # (B,)
    w1, b1 = random_tensor(rng, bits, hidden, scale=1 / bits**0.5), Tensor(np.zeros(hidden))
    w2, b2 = random_tensor(rng, hidden, 2, scale=1 / hidden**0.5), Tensor(np.zeros(2))
    losses = []
    for _ in range(steps):
        logits = (x @ w1 + b1).tanh() @ w2 + b2  # (B, 2)
        loss = logits.cross_entropy(targets)
        for p in (w1, b1, w2, b2):
            p.grad[...] = 0
        loss.backward()
        for p in (w1, b1, w2, b2):
            p.data -= learning_rate * p.grad
        losses.append(loss.data.item())
    return losses[0], losses[-1], np.mean(logits.data.argmax(axis=1) == targets)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Backpropagation over arrays: the same gradients, fewer nodes.")
    parser.parse_args(argv)
    show_scalars_and_arrays()
    show_broadcasting()
    show_finite_differences()
    for seed in range(10):
        first, last, right = train_parity(seed)
        print(f"odd or even, seed {seed}: loss {first:.3f} to {last:.3f}, {right:.0%} of 16 right")
        assert right == 1, "a network of 16 hidden neurons should learn all 16 rows"


if __name__ == "__main__":
    run(main)
