"""Backpropagation through time: a recurrent network unrolled, its gradients by hand, and how they vanish or explode.

New since mlp.py: a state h that one step hands to the next, so that the same weights are used T times and their
gradients are sums over T. First with one hidden number and every number printed, then the RNN of Elman and the GRU of
Cho in NumPy, with torch's names and order of the gates, so that a module's weights can be put in as they are. Left out
on purpose: stories (rnn.py), more than one layer, the LSTM.
Shapes: B sequences, T steps, C numbers of input, H of state: x (B, T, C), h (B, T, H), W_x (H, C), W_h (H, H).

    python mlp/through_time.py             five seconds
    python mlp/through_time.py --plot      draws figures/rnn.svg

Writes nothing else.

Papers: Elman, "Finding Structure in Time" (1990); Werbos, "Backpropagation Through Time" (1990); Hochreiter, diploma
thesis (1991); Bengio, Simard and Frasconi, "Learning Long-Term Dependencies with Gradient Descent is Difficult" (1994);
Pascanu, Mikolov and Bengio, on clipping (2013); Cho et al. (2014): the GRU.
"""

import argparse
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from cli import non_negative_int, run
from plot import prepared, quiet_pyplot, save_figure

FIGURE = "mlp/figures/rnn.svg"
INPUTS, TARGET = (1.0, 0.0, 1.0, 0.0), 1.0  # of the example by hand
W, U, BIAS = 1.0, 0.5, 0.0
STEPS, SIZE = 100, 64  # of the measured gradients: T and H


# --- one hidden number ------------------------------------------------------------------------------------------------


def by_hand(w, u, b, inputs, target, show=False):
    """h_t = tanh(w x_t + u h_{t-1} + b) from h_0 = 0, loss (h_T - target)^2 / 2. Returns it and its gradients."""
    states, rows = [0.0], []
    for x in inputs:
        states.append(math.tanh(w * x + u * states[-1] + b))
    loss = (states[-1] - target) ** 2 / 2
    dw = du = db = 0.0
    dh = states[-1] - target
    for t in range(len(inputs), 0, -1):  # from the last step to the first
        x, h, before = inputs[t - 1], states[t], states[t - 1]
        da = dh * (1 - h * h)  # through tanh
        dw, du, db = dw + da * x, du + da * before, db + da  # the same weights at each step: their gradients add up
        rows.append(f"{t}{x:8g}{h:10.4f}{dh:12.4f}{da:10.4f}{da * x:10.4f}{da * before:10.4f}")
        dh = da * u  # what the step before hears
    if show:
        print("t       x         h   d loss/dh        da   to dw: da x   to du: da h_{t-1}")
        print("\n".join(reversed(rows)))
        print(f"loss {loss:.6f}, gradients: w {dw:.6f}, u {du:.6f}, b {db:.6f}")
    return loss, (dw, du, db)


def show_one_number():
    _, found = by_hand(W, U, BIAS, INPUTS, TARGET, show=True)
    w, u, b = (torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in (W, U, BIAS))
    h = torch.zeros((), dtype=torch.float64)
    for x in INPUTS:
        h = torch.tanh(w * x + u * h + b)
    ((h - TARGET) ** 2 / 2).backward()
    by_torch = [p.grad.item() for p in (w, u, b)]
    print("by torch:               " + ", ".join(f"{name} {grad:.6f}" for name, grad in zip("wub", by_torch)))
    assert np.allclose(found, by_torch, rtol=0, atol=1e-12), "torch finds other gradients"


# --- the RNN and the GRU ----------------------------------------------------------------------------------------------
#
# p holds weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, as torch.nn.RNN and torch.nn.GRU name them. The GRU has
# three times the rows: reset r, update z, new n.


def rnn_forward(p, x, h):
    """h_t = tanh(W_x x_t + b_x + W_h h_{t-1} + b_h). x (B, T, C), h (B, H) -> states (T + 1, B, H), the first is h."""
    w_x, w_h, b_x, b_h = p.values()
    states = [h]
    for t in range(x.shape[1]):
        states.append(np.tanh(x[:, t] @ w_x.T + b_x + states[-1] @ w_h.T + b_h))
    return np.array(states)


def rnn_backward(p, x, states, grad_states):
    """grad_states (T, B, H): how the loss answers to each state directly, from outside.

    Returns the gradients of p by name, that of x (B, T, C), and those of all states (T + 1, B, H), the first is h's.
    """
    w_x, w_h, b_x, b_h = p.values()
    grads, grad_x = {name: np.zeros_like(array) for name, array in p.items()}, np.zeros_like(x)
    dh = [np.zeros_like(states[0])]
    for t in reversed(range(x.shape[1])):
        dh[-1] = dh[-1] + grad_states[t]  # from outside, and from the step after
        da = dh[-1] * (1 - states[t + 1] ** 2)
        for name, gradient in zip(p, (da.T @ x[:, t], da.T @ states[t], da.sum(0), da.sum(0))):
            grads[name] += gradient
        grad_x[:, t] = da @ w_x
        dh.append(da @ w_h)
    return grads, grad_x, np.array(dh[::-1])


def sigmoid(a):
    return 0.5 * (1 + np.tanh(0.5 * a))


def gru_step(p, x, h):
    """One step: x (B, C), h (B, H) -> r, z, n, m, each (B, H), where m is what r lets through or not."""
    w_x, w_h, b_x, b_h = p.values()
    x_r, x_z, x_n = np.split(x @ w_x.T + b_x, 3, axis=1)
    h_r, h_z, m = np.split(h @ w_h.T + b_h, 3, axis=1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    return r, z, np.tanh(x_n + r * m), m


def gru_forward(p, x, h):
    """h_t = (1 - z) n + z h_{t-1}; shapes as in rnn_forward. z near 1 keeps the state as it is."""
    states = [h]
    for t in range(x.shape[1]):
        _, z, n, _ = gru_step(p, x[:, t], states[-1])
        states.append((1 - z) * n + z * states[-1])
    return np.array(states)


def gru_backward(p, x, states, grad_states):
    """Shapes as in rnn_backward. The gates are computed again, which saves keeping them."""
    w_x, w_h, _, _ = p.values()
    grads, grad_x = {name: np.zeros_like(array) for name, array in p.items()}, np.zeros_like(x)
    dh = [np.zeros_like(states[0])]
    for t in reversed(range(x.shape[1])):
        h = states[t]
        r, z, n, m = gru_step(p, x[:, t], h)
        dh[-1] = dh[-1] + grad_states[t]
        da_n = dh[-1] * (1 - z) * (1 - n * n)
        da_z = dh[-1] * (h - n) * z * (1 - z)
        da_r = da_n * m * r * (1 - r)
        to_x, to_h = np.hstack([da_r, da_z, da_n]), np.hstack([da_r, da_z, da_n * r])  # (B, 3 H) each
        for name, gradient in zip(p, (to_x.T @ x[:, t], to_h.T @ h, to_x.sum(0), to_h.sum(0))):
            grads[name] += gradient
        grad_x[:, t] = to_x @ w_x
        dh.append(to_h @ w_h + dh[-1] * z)  # the second way is the one on which little is lost
    return grads, grad_x, np.array(dh[::-1])


KINDS = {"RNN": (nn.RNN, rnn_forward, rnn_backward), "GRU": (nn.GRU, gru_forward, gru_backward)}


def arrays_of(module):
    """The weights of an nn.RNN or nn.GRU of one layer, by name, as float64 arrays."""
    return {name: p.detach().double().numpy() for name, p in module.named_parameters()}


def show_equal_to_torch(seed):
    """States and gradients by hand against those of torch.nn.RNN and torch.nn.GRU with the same weights."""
    B, T, C, H = 3, 12, 5, 7
    torch.manual_seed(seed)
    x, h, weights = torch.randn(B, T, C).double(), torch.randn(B, H).double(), torch.randn(T, B, H).double()
    for kind, (module, forward, backward) in KINDS.items():
        net = module(C, H, batch_first=True).double()
        p, tx, th = arrays_of(net), x.clone().requires_grad_(), h.clone().requires_grad_()
        out, _ = net(tx, th[None])
        (out.transpose(0, 1) * weights).sum().backward()
        states = forward(p, x.numpy(), h.numpy())
        grads, grad_x, grad_h = backward(p, x.numpy(), states, weights.numpy())
        pairs = [(states[1:].swapaxes(0, 1), out.detach()), (grad_x, tx.grad), (grad_h[0], th.grad)]
        pairs += [(grads[name], q.grad) for name, q in net.named_parameters()]
        worst = max(np.abs(ours - theirs.numpy()).max() for ours, theirs in pairs)
        print(f"{kind}: states and all gradients by hand and by torch.nn.{kind} differ by at most {worst:.0e}")
        assert worst < 1e-12, f"torch.nn.{kind} finds other numbers"


# --- gradients that vanish and explode --------------------------------------------------------------------------------


def random_weights(kind, rng, gain, keep=0.0):
    """Weights for measuring: W_h is `gain` times an orthogonal matrix; a GRU's gate z has the bias `keep`."""
    gates = 3 if kind == "GRU" else 1
    w_h = [gain * np.linalg.qr(rng.normal(size=(SIZE, SIZE)))[0] for _ in range(gates)]
    b_x = np.zeros(gates * SIZE)
    b_x[SIZE:2 * SIZE] = keep  # an RNN has no such place
    w_x = rng.normal(size=(gates * SIZE, SIZE)) * 0.2 / math.sqrt(SIZE)
    return {"weight_ih_l0": w_x, "weight_hh_l0": np.vstack(w_h), "bias_ih_l0": b_x, "bias_hh_l0": np.zeros_like(b_x)}


def norms_over_distance(kind, p, rng, T=STEPS):
    """|d loss_T / d h_t| for T - t = 0 … T - 1, where the loss is a random weighting of the last state: (T,)."""
    _, forward, backward = KINDS[kind]
    x, h = rng.normal(size=(4, T, SIZE)), np.zeros((4, SIZE))
    last = np.zeros((T, 4, SIZE))
    last[-1] = rng.normal(size=(4, SIZE))
    gradients = backward(p, x, forward(p, x, h), last)[2]
    norms = np.linalg.norm(gradients, axis=2).mean(axis=1)[:0:-1]  # (T,), the last state first
    return norms / norms[0]


CASES = {"RNN, W_h small (0.5)": ("RNN", 0.5, 0), "RNN, W_h turns only (1.0)": ("RNN", 1.0, 0),
         "RNN, W_h large (2.5)": ("RNN", 2.5, 0), "GRU, update gate near 1": ("GRU", 0.5, 4.0)}


def measure_gradients(seed):
    """{case: norms over the distance}"""
    found = {}
    for case, (kind, gain, keep) in CASES.items():
        rng = np.random.default_rng(seed)
        found[case] = norms_over_distance(kind, random_weights(kind, rng, gain, keep), rng)
    return found


def show_gradients(seed):
    print(f"\n|d loss_T / d h_t|, in units of |d loss_T / d h_T|, by the distance T - t; H = {SIZE}")
    print(f"{'':28}" + "".join(f"{d:>10}" for d in (1, 10, 30, 99)))
    norms = measure_gradients(seed)
    for case, values in norms.items():
        print(f"{case:28}" + "".join(f"{values[d]:10.1e}" for d in (1, 10, 30, 99)))
    for s in range(seed, seed + 5):
        small, _, large, gru = (values[99] for values in measure_gradients(s).values())
        assert small < 1e-20, "a small W_h should make gradients vanish"
        assert large > 1e6, "a large W_h should make them explode"
        assert 1e-3 < gru < 10, "the GRU should keep them"
    return norms


# --- clipping ---------------------------------------------------------------------------------------------------------


def train_wild(seed, most, steps=150, gain=1.5, rate=1.0):
    """An RNN with a large W_h learns to say whether a sequence of 20 began with 1 or -1, by plain steps.

    most: the norm to which longer gradients are cut, their direction kept; inf for no clipping. Returns the losses and
    the norms before clipping.
    """
    torch.manual_seed(seed)
    net, out, T = nn.RNN(1, 32, batch_first=True), nn.Linear(32, 1), 20
    nn.init.orthogonal_(net.weight_hh_l0, gain=gain)
    parameters, losses, norms = [*net.parameters(), *out.parameters()], [], []
    for _ in range(steps):
        x = torch.randn(32, T, 1) * 0.1
        x[:, 0] = torch.randint(2, (32, 1)) * 2.0 - 1
        score = out(net(x)[0][:, -1])[:, 0]
        loss = F.softplus(-score * x[:, 0, 0]).mean()
        gradients = torch.autograd.grad(loss, parameters)
        norm = math.sqrt(sum(g.pow(2).sum().item() for g in gradients))
        with torch.no_grad():
            for p, g in zip(parameters, gradients):
                p -= rate * min(1.0, most / norm) * g
        losses.append(loss.item())
        norms.append(norm)
    return losses, norms


def show_clipping(seed):
    print("\nfirst of 20 inputs remembered: loss in nats, mean of the last 20 of 150 steps; 0.693 is no opinion")
    ends = {}
    for name, most in (("not clipped", math.inf), ("clipped to 0.5", 0.5)):
        runs = [train_wild(s, most) for s in range(seed, seed + 5)]
        ends[name] = [np.mean(losses[-20:]) for losses, _ in runs]
        print(f"{name:16}" + "".join(f"{end:8.3f}" for end in ends[name])
              + f"    largest norm {max(max(norms) for _, norms in runs):.0f}")
    assert np.median(ends["not clipped"]) > 2, "without clipping it should go astray"
    assert max(ends["clipped to 0.5"]) < 0.1, "with clipping it should learn"


def plot_gradients(norms, path):
    plt = quiet_pyplot()
    figure, axes = plt.subplots(figsize=(8.5, 3.8), layout="constrained")
    colors = ("#2b5d8a", "#888888", "#b5651d", "#4a7d3a")
    for (case, values), color in zip(norms.items(), colors):
        axes.semilogy(values, color=color, linewidth=1.8)
        axes.annotate(case, (STEPS - 1, values[-1]), (5, 0), textcoords="offset points", va="center", color=color)
    axes.set(xlabel="steps back, T - t", ylabel="size of the gradient", xlim=(0, STEPS - 1))
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Recurrent networks: gradients by hand, how they vanish and explode.")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of weights and inputs (default: 0)")
    parser.add_argument("--plot", nargs="?", const=FIGURE, metavar="FILE",
                        help=f"draw gradients over distance (default: {FIGURE})")
    args = parser.parse_args(argv)
    if args.plot:
        prepared(args.plot)
    torch.set_num_threads(1)
    show_one_number()
    show_equal_to_torch(args.seed)
    norms = show_gradients(args.seed)
    show_clipping(args.seed)
    if args.plot:
        plot_gradients(norms, args.plot)


if __name__ == "__main__":
    run(main)
