"""Linear attention: without the exponential, the past fits into a table of D x D, and a token costs the same anywhere.

New since attention.py: exp(q . k) is replaced by phi(q) . phi(k), which lets the sums be done in another order, and the
past fades by a decay for each head. Left out on purpose: its training (recall.py) and the backward pass by hand
(lightning.py).
Shapes: B sequences, H heads, T tokens, D numbers a head; E numbers a value (D, or D + 1 where the weights are summed).

    python attention/linear_attention.py                   a minute on one core, most of it timing
    python attention/linear_attention.py --longest 1024    seconds
    python attention/linear_attention.py --plot            also draws linear_time.svg and linear_tiles.svg (figures/)

Papers: Katharopoulos et al., "Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention" (2020);
Qin et al., "Lightning Attention-2" (2024), for the blocks; Sun et al., "Retentive Network" (2023), for the decay.
"""

import argparse
import functools
import statistics
import time

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from attention import causal_attention, distance, same
from cli import non_negative_int, positive_int, run
from plot import prepared, quiet_pyplot, save_figure

TIME_FIGURE, TILES_FIGURE = "attention/figures/linear_time.svg", "attention/figures/linear_tiles.svg"
D, BLOCK, LONGEST = 64, 64, 16384
FORMULA_LONGEST = 4096  # the table of scores of a longer text would take gigabytes


def feature(x):
    """phi(x) = elu(x) + 1, which is x + 1 above 0 and e^x below: never negative, as exp never is."""
    return F.elu(x) + 1


def decay_table(decay, T):
    """Row t, column s: decay^(t - s), and 0 for the future. decay: (H,) between 0 and 1 -> (H, T, T)"""
    place = torch.arange(T)
    apart = place[:, None] - place  # (T, T)
    return (decay[:, None, None] ** apart.clamp(min=0)).tril()


def linear_table(q, k, v, decay):
    """The sum over s <= t of decay^(t - s) (q_t . k_s) v_s, by the T x T table.

    q, k: (B, H, T, D), v: (B, H, T, E), decay: (H,), 1 where nothing fades -> (B, H, T, E)
    """
    return (q @ k.transpose(-2, -1) * decay_table(decay, q.shape[-2])) @ v


def linear_recurrent(q, k, v, decay):
    """The same, token by token. What is kept of the past is one table (D, E) a head: the faded sum of all k_s^T v_s."""
    state = q.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1])  # (B, H, D, E)
    out = []
    for t in range(q.shape[-2]):
        row = slice(t, t + 1)
        state = decay[:, None, None] * state + k[..., row, :].transpose(-2, -1) @ v[..., row, :]
        out.append(q[..., row, :] @ state)  # (B, H, 1, E)
    return torch.cat(out, dim=-2)


def linear_chunks(q, k, v, decay, block=BLOCK):
    """The same, `block` tokens at a time: within a block by the table, all before it by the state."""
    state = q.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1])  # (B, H, D, E), as it is before the block
    table = decay_table(decay, block)  # (H, block, block)
    out = []
    for q_, k_, v_ in zip(q.split(block, -2), k.split(block, -2), v.split(block, -2)):
        n = q_.shape[-2]  # block, or what is left at the end
        place = torch.arange(n)
        since = decay[:, None, None] ** (place[:, None] + 1)  # (H, n, 1): how much the state has faded at each token
        until = decay[:, None, None] ** (n - 1 - place[:, None])  # how much each token has faded at the block's end
        inside = (q_ @ k_.transpose(-2, -1) * table[:, :n, :n]) @ v_
        out.append(inside + since * (q_ @ state))
        state = decay[:, None, None] ** n * state + (until * k_).transpose(-2, -1) @ v_
    return torch.cat(out, dim=-2)


def normalized(form, q, k, v, decay):
    """Weights that sum to 1, as softmax's do: phi(q_t) . phi(k_s) decay^(t - s), divided by their sum over s.

    The values get a column of ones, so that any form computes the sum of the weights beside the weighted sum.
    """
    ones = v.new_ones(*v.shape[:-1], 1)
    out = form(feature(q), feature(k), torch.cat([v, ones], dim=-1), decay)  # (B, H, T, D + 1)
    return out[..., :-1] / out[..., -1:]


def random_inputs(generator, B, H, T, D, dtype=torch.float32):
    """q, k, v (B, H, T, D), and decays (H,), the first of them 1."""
    q, k, v = (torch.randn(B, H, T, D, generator=generator, dtype=dtype) for _ in range(3))
    decay = 1 - 0.3 * torch.rand(H, generator=generator, dtype=dtype)
    decay[0] = 1
    return q, k, v, decay


def show_three_tokens():
    """Three tokens, two numbers a key, one a value, half forgotten at each step."""
    q = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    k = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    v = torch.tensor([[4.0], [8.0], [2.0]])
    decay = torch.tensor([0.5])
    weights = q @ k.T * decay_table(decay, 3)[0]
    state = torch.zeros(2, 1)
    print("token   weights on the tokens   by the table        state   by the state")
    for t in range(3):
        state = 0.5 * state + k[t, :, None] * v[t]
        results = (weights[t] @ v).item(), (q[t] @ state).item()
        assert results[0] == results[1]
        print(f"{t + 1:5}   {'  '.join(f'{w:5.1f}' for w in weights[t].tolist()):>21}{results[0]:15.0f}   "
              f"{'  '.join(f'{s:4.0f}' for s in state[:, 0].tolist()):>10}{results[1]:15.0f}")


def show_forms(generator):
    """All forms on random shapes, in both precisions."""
    print("\ntable, recurrence and blocks, on twelve random shapes, with decay and without")
    worst = {torch.float32: 0.0, torch.float64: 0.0}
    for _ in range(12):
        B, H, T, width, block = (torch.randint(1, high, (), generator=generator).item() for high in (3, 4, 90, 20, 40))
        for dtype in worst:
            inputs = random_inputs(generator, B, H, T, width, dtype)
            wanted = normalized(linear_table, *inputs)
            for form in (linear_recurrent, functools.partial(linear_chunks, block=block)):
                worst[dtype] = max(worst[dtype], distance(normalized(form, *inputs), wanted))
    zero = torch.tensor(0.0)
    same("    float32", zero, torch.tensor(worst[torch.float32]), 1e-5)
    same("    float64", zero, torch.tensor(worst[torch.float64]), 1e-10)


def fused_softmax(q, k, v, decay):
    """Softmax attention in torch's one call, without the table in memory."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


METHODS = {"softmax, formula": lambda q, k, v, decay: causal_attention(q, k, v), "softmax, fused": fused_softmax,
           "linear, token by token": linear_recurrent, "linear, blocks": linear_chunks}


def multiply_adds(method, T):
    """Multiply-adds a token, of all matrix products that a method does on one head."""
    q, k, v, decay = random_inputs(torch.Generator().manual_seed(0), 1, 1, T, D)
    with FlopCounterMode(display=False) as counter:
        METHODS[method](q, k, v, decay)
    return counter.get_total_flops() // 2 // T


def show_counts():
    """Multiply-adds a token: they grow with T, or do not."""
    lengths = [256, 512, 1024]
    print(f"\nmultiply-adds a token, one head of {D}   " + "".join(f"{T:>9,}" for T in lengths))
    for method in ("softmax, formula", "linear, token by token", "linear, blocks"):
        counts = [multiply_adds(method, T) for T in lengths]
        print(f"{method:36}" + "".join(f"{n:9,}" for n in counts))
        if method.startswith("softmax"):
            assert counts == [2 * D * T for T in lengths], "softmax: every pair of tokens, 2 D each"
        else:
            assert len(set(counts)) == 1, "linear attention should cost the same at every length"
            assert counts[0] == 2 * D * D + (2 * D * BLOCK if "blocks" in method else 0)


def time_methods(lengths, rounds):
    """{method: {T: microseconds a token}}: one thread, processor time; the methods take turns, the median counts."""
    torch.set_num_threads(1)
    found = {method: {} for method in METHODS}
    for T in lengths:
        inputs = random_inputs(torch.Generator().manual_seed(T), 1, 1, T, D)
        seconds = {method: [] for method in METHODS if method != "softmax, formula" or T <= FORMULA_LONGEST}
        for n in range(rounds + 1):
            for method in seconds:
                started = time.process_time()
                METHODS[method](*inputs)
                if n:  # the first round warms up
                    seconds[method].append(time.process_time() - started)
        for method, found_seconds in seconds.items():
            found[method][T] = statistics.median(found_seconds) / T * 1e6
    return found


def show_timing(found, lengths):
    """Microseconds a token."""
    print("\nmicroseconds a token          " + "".join(f"{T:>9,}" for T in lengths))
    for method, by_length in found.items():
        print(f"{method:30}" + "".join(f"{by_length[T]:9.2f}" if T in by_length else f"{'-':>9}" for T in lengths))


def show_memory(layers=6, heads=6):
    """What generation must keep: all keys and values, or one state a head."""
    print(f"\nkept while generating, {layers} layers of {heads} heads of {D}, float32")
    state = torch.zeros(layers, heads, D, D + 1).nbytes  # the one column more sums the weights
    for T in (1_000, 10_000, 100_000):
        cache = torch.empty(2, layers, heads, T, D, device="meta").nbytes
        print(f"    after {T:7,} tokens: keys and values {cache / 1e6:9,.1f} MB, state {state / 1e6:.1f} MB")


def plot_times(found, path):
    """Microseconds a token against T, both logarithmic."""
    plt = quiet_pyplot()
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for (method, by_length), color in zip(found.items(), ("#888888", "#2b5d8a", "#6a994e", "#b5411d")):
        axes.plot(list(by_length), list(by_length.values()), color=color, marker="o", markersize=4, label=method)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    lengths = list(found["linear, blocks"])
    axes.set_xticks(lengths, [f"{T:,}" for T in lengths])
    axes.set_yticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
    axes.minorticks_off()
    axes.set(xlabel="T, tokens in the text", ylabel="microseconds a token")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    save_figure(figure, path)


def draw_tiles(path, blocks=4, size=56):
    """The T x T table of weights in blocks: triangles are computed, all left of them is in the state."""
    left, top, n = 150, 44, blocks * size
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 300" width="640" height="300" '
             'font-family="sans-serif" font-size="13">', '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="{left + n / 2}" y="28" text-anchor="middle">looked at (s)</text>',
             f'<text x="{left - 14}" y="{top + n / 2}" text-anchor="end">token that looks (t)</text>']
    for i in range(blocks):
        y = top + i * size
        parts += [f'<rect x="{left}" y="{y}" width="{i * size}" height="{size}" fill="#cfe0ee" stroke="#2b5d8a"/>',
                  f'<path d="M{left + i * size} {y} V{y + size} H{left + (i + 1) * size} Z" fill="#f3c5a8" '
                  'stroke="#b5411d"/>']
        if i:
            parts.append(f'<text x="{left + i * size / 2}" y="{y + size / 2 + 4}" text-anchor="middle" fill="#2b5d8a">'
                         f'{"state" if i == 1 else "one state"}</text>')
    parts += [f'<rect x="{left}" y="{top}" width="{n}" height="{n}" fill="none" stroke="#444"/>',
              '<rect x="410" y="90" width="18" height="18" fill="#f3c5a8" stroke="#b5411d"/>',
              '<text x="436" y="104">within a block: by the table</text>',
              '<rect x="410" y="122" width="18" height="18" fill="#cfe0ee" stroke="#2b5d8a"/>',
              '<text x="436" y="136">all before it: by the state</text>',
              '<text x="410" y="172">white: the future, weight 0</text>']
    prepared(path).write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")
    print(f"drawn in {path}")


def main(argv=None):
    parser = argparse.ArgumentParser(description="Linear attention: one sum in three orders, its cost and its memory.")
    parser.add_argument("--longest", type=positive_int, default=LONGEST,
                        help=f"how many tokens the longest timed text may have (default {LONGEST:,})")
    parser.add_argument("--rounds", type=positive_int, default=3, help="of timing; the median counts (default 3)")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of all random numbers (default 0)")
    parser.add_argument("--plot", action="store_true", help=f"draw {TIME_FIGURE} and {TILES_FIGURE}")
    args = parser.parse_args(argv)
    show_three_tokens()
    show_forms(torch.Generator().manual_seed(args.seed))
    show_counts()
    lengths = [T for T in (256, 1024, 4096, 16384) if T <= args.longest] or [args.longest]
    found = time_methods(lengths, args.rounds)
    show_timing(found, lengths)
    show_memory()
    if args.plot:
        plot_times(found, TIME_FIGURE)
        draw_tiles(TILES_FIGURE)


if __name__ == "__main__":
    run(main)
