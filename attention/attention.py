"""Attention from nothing: averages of the past, then weights that depend on the data; one head, many, and backward.

New since the last chapter: a layer whose weights are computed from its input. Left out on purpose: where a token
stands (positions.py), training (language.py), memory and speed (flash.py).
Shapes: B sequences, T tokens, C numbers a token, H heads, D = C / H numbers a head.

    python attention/attention.py           two seconds; writes nothing

Every form of the same thing is asserted to give the same numbers: loops, arrays, module, and torch's own.

Papers: Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and Translate" (2014);
Vaswani et al., "Attention Is All You Need" (2017).
"""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import nn

from cli import non_negative_int, run
from softmax import softmax, softmax_backward


def average_loops(x):
    """Row t becomes the mean of the rows 0 to t. Lists of numbers: T rows of C -> T rows of C"""
    out = []
    for t in range(len(x)):
        past = x[:t + 1]
        out.append([sum(column) / len(past) for column in zip(*past)])
    return out


def average_matrix(x):
    """The same by one product: row t of the weights holds 1 / (t + 1) up to column t, then zeros. (T, C) -> (T, C)"""
    T = len(x)
    weights = torch.ones(T, T).tril()  # 1 on and below the diagonal, 0 above
    weights = weights / weights.sum(-1, keepdim=True)  # (T, T)
    return weights @ x


def average_softmax(x):
    """The same again: scores of 0, the future's of minus infinity, softmax. (T, C) -> (T, C)"""
    T = len(x)
    future = torch.ones(T, T, dtype=torch.bool).triu(1)  # True above the diagonal
    scores = torch.zeros(T, T).masked_fill(future, float("-inf"))
    return scores.softmax(-1) @ x


def attention_loops(q, k, v):
    """One head by the formula: token t asks, the tokens 0 to t answer and give. Lists: T rows of D -> T rows of D"""
    out = []
    for t in range(len(q)):
        scores = [sum(a * b for a, b in zip(q[t], k[s])) / math.sqrt(len(q[t])) for s in range(t + 1)]
        p = softmax(scores)  # over the tokens 0 to t: the future is not even looked at
        out.append([sum(p[s] * v[s][i] for s in range(t + 1)) for i in range(len(v[0]))])
    return out


def causal_attention(q, k, v):
    """softmax(q k^T / sqrt(D)) v, each position looking at itself and the past. q, k, v: (B, H, T, D)"""
    T, D = q.shape[-2:]
    scores = (q @ k.transpose(-2, -1)) * D**-0.5  # (B, H, T, T)
    future = torch.ones(T, T, dtype=torch.bool, device=q.device).triu(1)
    return scores.masked_fill(future, float("-inf")).float().softmax(-1).to(q.dtype) @ v


def attention_backward(q, k, v, dout):
    """The gradients of q, k and v from that of causal_attention's result. All (B, H, T, D)

    Two products, a softmax between them; each step backward is one line.
    """
    T, D = q.shape[-2:]
    future = torch.ones(T, T, dtype=torch.bool, device=q.device).triu(1)
    p = ((q @ k.transpose(-2, -1)) * D**-0.5).masked_fill(future, float("-inf")).softmax(-1)  # (B, H, T, T)
    dv = p.transpose(-2, -1) @ dout  # token s hears from all that took its value
    dp = dout @ v.transpose(-2, -1)  # (B, H, T, T)
    dscores = softmax_backward(p, dp) * D**-0.5  # 0 for the future, as p is
    return dscores @ k, dscores.transpose(-2, -1) @ q, dv


class Attention(nn.Module):
    """Causal self-attention with H heads: each head asks and answers for itself. (B, T, C) -> (B, T, C)"""

    def __init__(self, C, H):
        super().__init__()
        self.H = H
        self.q_proj = nn.Linear(C, C, bias=False)  # what a token looks for
        self.k_proj = nn.Linear(C, C, bias=False)  # what it offers
        self.v_proj = nn.Linear(C, C, bias=False)  # what it gives
        self.o_proj = nn.Linear(C, C, bias=False)  # what is made of all heads' results

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (project(x).view(B, T, self.H, C // self.H).transpose(1, 2)  # (B, H, T, D)
                   for project in (self.q_proj, self.k_proj, self.v_proj))
        y = causal_attention(q, k, v)  # (B, H, T, D)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, C))


def heads_loops(module, x):
    """What the module computes for one sequence, head by head with loops. x: (T, C) -> (T, C)"""
    D = x.shape[-1] // module.H
    results = []
    for h in range(module.H):
        head = slice(h * D, h * D + D)  # head h has D rows of each matrix for itself
        q, k, v = ((x @ project.weight[head].T).tolist() for project in (module.q_proj, module.k_proj, module.v_proj))
        results.append(torch.tensor(attention_loops(q, k, v), dtype=x.dtype))
    return torch.cat(results, dim=-1) @ module.o_proj.weight.T


def torch_attention(module):
    """torch's nn.MultiheadAttention with this module's weights, which it keeps in one table."""
    C = module.o_proj.weight.shape[0]
    theirs = nn.MultiheadAttention(C, module.H, bias=False, batch_first=True, dtype=module.o_proj.weight.dtype)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([module.q_proj.weight, module.k_proj.weight, module.v_proj.weight]))
        theirs.out_proj.weight.copy_(module.o_proj.weight)
    return theirs


def distance(a, b):
    """The largest difference of two tensors; infinite where one holds NaN, so that no comparison passes by accident."""
    return (a - b).abs().max().nan_to_num(nan=math.inf).item()


def same(what, a, b, within):
    """Prints that two tensors are equal, after asserting it."""
    assert distance(a, b) < within, f"{what}: they differ by {distance(a, b):.0e}"
    print(f"{what:66} same to {within:.0e}")


def show_averages(generator):
    """The average of the past in three ways."""
    x = torch.tensor([[2.0, 4.0], [4.0, 0.0], [6.0, 5.0]])
    print("the average of the past")
    for row, mean in zip(x.tolist(), average_loops(x.tolist())):
        print(f"    {row} -> {mean}")
    x = torch.randn(9, 4, generator=generator)
    loops = torch.tensor(average_loops(x.tolist()))
    same("    loops, a triangle of weights", loops, average_matrix(x), 1e-5)
    same("    loops, softmax of masked zeros", loops, average_softmax(x), 1e-5)


def show_forms(generator, B=2, T=10, C=12, H=3):
    """One head and many: loops, arrays, the module, and torch's own two forms, with the same weights."""
    q, k, v = (torch.randn(B, H, T, C // H, generator=generator, dtype=torch.float64) for _ in range(3))
    arrays = causal_attention(q, k, v)
    loops = torch.tensor(attention_loops(q[1, 2].tolist(), k[1, 2].tolist(), v[1, 2].tolist()), dtype=torch.float64)
    print("\nattention")
    same("    one head: loops, arrays", loops, arrays[1, 2], 1e-6)  # arrays takes its softmax in float32
    same("    arrays, torch's scaled_dot_product_attention", arrays,
         F.scaled_dot_product_attention(q, k, v, is_causal=True), 1e-6)
    module = Attention(C, H)
    x = torch.randn(B, T, C, generator=generator)
    with torch.no_grad():
        y = module(x)
        same("    many heads: loops, the module", heads_loops(module, x[0]), y[0], 1e-5)
        future = torch.ones(T, T, dtype=torch.bool).triu(1)
        theirs = torch_attention(module)(x, x, x, attn_mask=future, need_weights=False)[0]
        same("    the module, torch's nn.MultiheadAttention", y, theirs, 1e-5)
    return module, x


def show_mask(module, x):
    """What is said later must not change what was computed earlier: otherwise a model reads the answer."""
    changed = x.clone()
    changed[:, 6:] += 1.0
    with torch.no_grad():
        moved = (module(changed) - module(x)).abs().amax((0, 2))  # (T,)
    print("\ntokens 6 and later changed; the results move by")
    print("    " + " ".join(f"{m:.2f}" for m in moved.tolist()))
    assert moved[:6].max() == 0 and moved[6:].min() > 0, "the future shines through"


def show_backward(generator):
    """dq, dk and dv by hand, against autograd."""
    q, k, v, dout = (torch.randn(2, 3, 8, 4, generator=generator) for _ in range(4))
    inputs = [x.clone().requires_grad_() for x in (q, k, v)]
    causal_attention(*inputs).backward(dout)
    print("\nbackward by hand, autograd")
    for name, mine, theirs in zip(("q", "k", "v"), attention_backward(q, k, v, dout), inputs, strict=True):
        same(f"    gradient of {name}", mine, theirs.grad, 1e-5)


def show_bag(generator):
    """Without positions the last token's result does not depend on the order of the others."""
    q, k, v = (torch.randn(1, 1, 8, 4, generator=generator) for _ in range(3))
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4, 7])  # the last stays the last
    print("\nthe past in another order, for the last token")
    same("    attention", causal_attention(q, k, v)[..., -1, :],
         causal_attention(q, k[:, :, order], v[:, :, order])[..., -1, :], 1e-5)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Attention: averages, one head, many heads, the mask, backward.")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of all random numbers (default 0)")
    args = parser.parse_args(argv)
    torch.manual_seed(args.seed)  # the module's weights
    generator = torch.Generator().manual_seed(args.seed)
    show_averages(generator)
    module, x = show_forms(generator)
    show_mask(module, x)
    show_backward(generator)
    show_bag(generator)


if __name__ == "__main__":
    run(main)
