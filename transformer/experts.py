"""A mixture of experts: in place of one MLP many, and a router that sends each token to a few of them.

New since model.py: the router, top-k, three ways to compute the same layer (by loops, grouped, within a capacity), and
three ways to keep the experts evenly busy. Left out on purpose: experts on several machines (chapter distributed).
Shapes: N = B T tokens, C width, E experts, k of them for a token, F width inside an expert.

    python transformer/experts.py             two seconds: four tokens and three experts, by hand
    python transformer/experts.py --plot      also draws transformer/figures/experts_by_hand.svg

Papers: Shazeer et al., "Outrageously Large Neural Networks" (2017); Lepikhin et al., "GShard" (2020); Fedus, Zoph and
Shazeer, "Switch Transformers" (2021); Zoph et al., "ST-MoE" (2022), for the z-loss; Gale et al., "MegaBlocks" (2022),
for dropless groups; Jiang et al., "Mixtral of Experts" (2024); Dai et al., "DeepSeekMoE" (2024), for the shared expert;
Wang et al., "Auxiliary-Loss-Free Load Balancing Strategy for Mixture-of-Experts" (2024).
"""

import argparse
import math

import torch
from torch import nn

from atomic import write_atomic
from cli import run
from model import MLP, Config


def route(logits, top_k, renormalize=True, bias=None):
    """Who computes what: logits (N, E), float32 -> factors (N, k), which experts (N, k), the likeliest first.

    Renormalized, the k factors of a token sum to 1 (Mixtral); else they are the softmax's own (Switch, with k = 1). A
    bias (E,) is added where experts are chosen, and nowhere else.
    """
    p = logits.softmax(-1)  # (N, E)
    chosen = (p if bias is None else p + bias).topk(top_k, dim=-1).indices  # (N, k)
    factors = p.gather(1, chosen)
    return (factors / factors.sum(-1, keepdim=True) if renormalize else factors), chosen


def experts_by_loops(x, factors, chosen, experts):
    """The sentence as code: each token's row is the sum of its experts' answers times their factors. (N, C) -> (N, C)"""
    rows = []
    for n in range(len(x)):
        rows.append(sum(factors[n, i] * experts[e](x[n]) for i, e in enumerate(chosen[n].tolist())))
    return torch.stack(rows)


def sort_by_expert(factors, chosen, E):
    """The N k choices, sorted by expert: tokens, experts, factors (N k,) each, and how many each expert has.

    Within an expert first choices come before second ones, and tokens in their order.
    """
    flat = chosen.T.reshape(-1)  # all first choices, then all second ones
    order = flat.argsort(stable=True)
    return order % len(chosen), flat[order], factors.T.reshape(-1)[order], torch.bincount(flat, minlength=E).tolist()


def experts_grouped(x, factors, chosen, experts):
    """The same without dropping any token: sort, one product an expert, and back to the rows. (N, C) -> (N, C)"""
    tokens, _, factors, counts = sort_by_expert(factors, chosen, len(experts))
    pieces = x[tokens].split(counts)  # E of them, (count, C) each
    answers = torch.cat([expert(piece) for expert, piece in zip(experts, pieces) if len(piece)])
    return torch.zeros_like(x).index_add(0, tokens, (factors[:, None] * answers).to(x.dtype))


def experts_within(x, factors, chosen, experts, capacity):
    """The same with room for `capacity` tokens an expert; what comes later gets nothing from it. (N, C) -> (N, C)

    All experts then compute on one rectangle (E, capacity, C), whatever the router says (GShard, Switch).
    """
    tokens, owners, factors, counts = sort_by_expert(factors, chosen, len(experts))
    first = torch.tensor([0, *counts[:-1]], device=x.device).cumsum(0)
    slot = torch.arange(len(tokens), device=x.device) - first[owners]  # the place in the expert's queue
    kept = slot < capacity
    tokens, owners, slot, factors = tokens[kept], owners[kept], slot[kept], factors[kept]
    rooms = x.new_zeros(len(experts), capacity, x.shape[-1]).index_put((owners, slot), x[tokens])
    answers = torch.stack([expert(room) for expert, room in zip(experts, rooms)])[owners, slot]
    return torch.zeros_like(x).index_add(0, tokens, (factors[:, None] * answers).to(x.dtype))


def loads(chosen, E):
    """f: the share of all choices that each expert has, (E,); 1/E each where the load is even."""
    return torch.bincount(chosen.reshape(-1), minlength=E) / chosen.numel()


def balancing_loss(logits, chosen):
    """E sum_e f_e P_e with P the mean probability of each expert; 1 where the load is even (Fedus et al., 2021).

    f has no gradient; through P the probability of experts with much to do is lowered.
    """
    E = logits.shape[-1]
    return E * (loads(chosen, E) * logits.softmax(-1).mean(0)).sum()


def z_loss(logits):
    """mean (log sum exp)^2: keeps the router's logits small, where float32 and bfloat16 are exact (Zoph et al., 2022)."""
    return logits.logsumexp(-1).square().mean()


class Experts(nn.Module):
    """A router and E gated MLPs, in place of one: each token is computed by top_k of them. (B, T, C) -> (B, T, C)

    hidden: the width F inside an expert. shared: the width of one more that computes every token (DeepSeekMoE), 0 for
    none. capacity_factor: in training, room for that many times an expert's even share of the choices; None: for all.
    bias: a bias an expert for choosing, which move_bias moves. `counted`, a mask (N,), leaves padding out of the losses.
    """

    def __init__(self, C, hidden, experts=8, top_k=2, renormalize=None, capacity_factor=None, shared=0, bias=False):
        super().__init__()
        if not 1 <= top_k <= experts:
            raise ValueError(f"top_k must be from 1 to the {experts} experts, not {top_k}")
        self.top_k, self.capacity_factor, self.counted = top_k, capacity_factor, None
        self.renormalize = top_k > 1 if renormalize is None else renormalize  # one factor alone would always be 1
        self.gate = nn.Linear(C, experts, bias=False)
        self.experts = nn.ModuleList(MLP(Config(hidden_size=C, intermediate_size=hidden)) for _ in range(experts))
        self.shared = MLP(Config(hidden_size=C, intermediate_size=shared)) if shared else None
        self.register_buffer("bias", torch.zeros(experts) if bias else None)

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])  # (N, C)
        with torch.autocast(x.device.type, enabled=False):  # a choice must not hang on bfloat16's rounding
            logits = self.gate(flat.to(self.gate.weight.dtype))  # (N, E)
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        factors, chosen = route(logits, self.top_k, self.renormalize, self.bias)
        if self.training and self.capacity_factor is not None:
            capacity = math.ceil(self.capacity_factor * chosen.numel() / len(self.experts))
            y = experts_within(flat, factors, chosen, self.experts, capacity)
        else:
            y = experts_grouped(flat, factors, chosen, self.experts)
        if self.shared is not None:
            y = y + self.shared(flat)
        counted = slice(None) if self.counted is None else self.counted
        self.logits, self.chosen = logits[counted], chosen[counted]  # for the losses, the bias and the curious
        return y.view(x.shape)

    @torch.no_grad()
    def move_bias(self, rate):
        """One step toward an even load, without a loss: up where the last batch left an expert idle (Wang et al., 2024)."""
        error = 1 / len(self.experts) - loads(self.chosen, len(self.experts))
        self.bias += rate * error.sign()


FIGURE = "transformer/figures/experts_by_hand.svg"
WORDS = ["Tom", "ran", "Mia", "."]
STREAM = [[2.0, 0.0], [0.0, 1.0], [2.0, 1.0], [-1.0, 0.0]]  # what reaches the layer, C = 2 numbers a token
GATE = [[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]  # the router: a row an expert
BY_HAND = [lambda x: x.flip(-1), lambda x: 2 * x, lambda x: -x]  # expert 0 swaps, 1 doubles, 2 turns around


def spaced(rows, form):
    return "  ".join(form.format(number) for number in rows)


def show_layer(x, logits):
    """Router, factors, answers and sums; the three ways must agree where there is room."""
    factors, chosen = route(logits, 2)
    print("          logits             probabilities       chosen            y = sum of factor * expert(x)")
    y = experts_by_loops(x, factors, chosen, BY_HAND)
    for n, word in enumerate(WORDS):
        of = " + ".join(f"{f:.2f} of {e}" for f, e in zip(factors[n].tolist(), chosen[n].tolist()))
        print(f"{word:4}{spaced(logits[n], '{:5.1f}')}   {spaced(logits[n].softmax(-1), '{:.3f}')}   {of}   "
              f"{spaced(y[n], '{:5.2f}')}")
    assert torch.allclose(experts_grouped(x, factors, chosen, BY_HAND), y)
    assert torch.allclose(experts_within(x, factors, chosen, BY_HAND, 4), y), "four rooms are enough for four tokens"
    print("grouped by expert, and within a capacity of 4: the same")
    full = experts_within(x, factors, chosen, BY_HAND, 3)
    for n in (full != y).any(-1).nonzero()[:, 0].tolist():
        print(f"within a capacity of 3: {WORDS[n]!r} comes too late for an expert, and y is{spaced(full[n], '{:6.2f}')}")
    return chosen


def show_balance(logits, chosen):
    """The loss by its formula, its value at even loads, and one step of the bias."""
    f, P = loads(chosen, 3), logits.softmax(-1).mean(0)
    print(f"\nshares f {spaced(f, '{:.3f}')}   mean probabilities P {spaced(P, '{:.3f}')}   "
          f"balancing loss 3 f.P = {balancing_loss(logits, chosen):.3f}   z-loss {z_loss(logits):.3f}")
    even = torch.tensor([[0, 1], [1, 2], [2, 0], [0, 1], [1, 2], [2, 0]])
    assert abs(balancing_loss(logits[[0, 1, 2, 3, 0, 1]], even) - 1) < 1e-6, "at even shares it is 1, whatever P is"
    bias = 0.1 * (1 / 3 - f).sign()
    moved = route(logits, 2, bias=bias)[1]
    print(f"bias after one step of 0.1 {spaced(bias, '{:+.1f}')}: choices an expert before "
          f"{chosen.flatten().bincount(minlength=3).tolist()}, after {moved.flatten().bincount(minlength=3).tolist()}")
    assert (loads(moved, 3) - 1 / 3).abs().max() < (f - 1 / 3).abs().max()


def draw_by_hand(factors, chosen, capacity, path):
    """Tokens on the left, experts with their rooms on the right, a line a choice as wide as its factor; dashed: dropped."""
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 250" width="560" height="250" '
             'font-family="sans-serif" font-size="13">', '<rect width="100%" height="100%" fill="white"/>']
    used = [0] * len(BY_HAND)
    for i in range(2):
        for n, e in enumerate(chosen[:, i].tolist()):
            y, kept = 46 + 80 * e, used[e] < capacity
            used[e] += 1
            dashes, end = ("", y) if kept else ('stroke-dasharray="5 4"', y + 32)
            parts.append(f'<path d="M86 {34 + 58 * n} C200 {34 + 58 * n} 240 {end} 326 {end}" fill="none" stroke="'
                         f'{"#b5651d" if i else "#2b5d8a"}" stroke-opacity="0.7" stroke-width="{1 + 6 * factors[n, i]:.1f}"'
                         f' {dashes}/>')
            if kept:
                parts.append(f'<rect x="{330 + 52 * (used[e] - 1)}" y="{y - 15}" width="46" height="30" rx="4" '
                             f'fill="#f8d9ae" stroke="#444"/><text x="{353 + 52 * (used[e] - 1)}" y="{y + 5}" '
                             f'text-anchor="middle">{WORDS[n]}</text>')
            else:
                parts.append(f'<text x="332" y="{end + 4}" fill="#666">no room for {WORDS[n]!r}</text>')
    for n, word in enumerate(WORDS):
        parts.append(f'<rect x="24" y="{19 + 58 * n}" width="62" height="30" rx="4" fill="#eef1f4" stroke="#444"/>'
                     f'<text x="55" y="{39 + 58 * n}" text-anchor="middle">{word}</text>')
    for e, name in enumerate(("expert 0", "expert 1", "expert 2")):
        parts.append(f'<text x="498" y="{50 + 80 * e}">{name}</text>')
        parts += [f'<rect x="{330 + 52 * slot}" y="{31 + 80 * e}" width="46" height="30" rx="4" fill="none" stroke="#999" '
                  'stroke-dasharray="3 3"/>' for slot in range(used[e], capacity)]
    write_atomic(path, "\n".join([*parts, "</svg>", ""]))


def main(argv=None):
    parser = argparse.ArgumentParser(description="A mixture of experts on four tokens, by hand.")
    parser.add_argument("--plot", action="store_true", help=f"draw {FIGURE}")
    args = parser.parse_args(argv)
    x, logits = torch.tensor(STREAM), torch.tensor(STREAM) @ torch.tensor(GATE).T  # (4, 2), (4, 3)
    show_balance(logits, show_layer(x, logits))
    torch.manual_seed(0)
    layer, stream = Experts(16, 24, experts=4), torch.randn(2, 5, 16)
    rows = stream.view(10, 16)
    by_loops = experts_by_loops(rows, *route(layer.gate(rows), 2), layer.experts)
    assert torch.allclose(layer(stream).view(10, 16), by_loops, atol=1e-6)
    if args.plot:
        draw_by_hand(*route(logits, 2), 3, FIGURE)
    print(f"\nas a module: {tuple(stream.shape)} -> {tuple(layer(stream).shape)}, as by loops to 1e-6")


if __name__ == "__main__":
    run(main)
