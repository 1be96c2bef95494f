"""What heads look at, as numbers and pictures, and why such a picture is not yet an explanation.

New since induction.py, whose model is trained here again: the weights of each head over one sentence, drawn. Left out
on purpose: models with hidden layers, where a token soon holds much more than itself.
Shapes: T symbols, H = 4 heads in each of two layers, D = 16 numbers a head.

    python attention/maps.py                 half a minute on two cores
    python attention/maps.py --steps 20      a quick look
    python attention/maps.py --sentence "…"  another sentence, of 63 bytes at most
    python attention/maps.py --plot          also draws attention/figures/maps.svg, maps_words.svg and maps_arcs.svg

Papers: Vig, "A Multiscale Visualization of Attention in the Transformer Model" (2019); Clark et al., "What Does BERT
Look At?" (2019); Jain and Wallace, "Attention is not Explanation" (2019); Wiegreffe and Pinter, "Attention is not not
Explanation" (2019); Brunner et al., "On Identifiability in Transformers" (2020).
"""

import argparse
from html import escape

import torch

from cli import UserError, run
from data import END, byte_stream, random_batch
from induction import (
    INVENTED,
    LETTERS,
    STEPS,
    H,
    T,
    add_flags,
    bits,
    cut_out,
    halves,
    induction_scores,
    names_of,
    repeated_rows,
    train_layers,
)
from plot import prepared
from rng import PCG32
from stories import load_split

MAPS, WORDS_MAPS = "attention/figures/maps.svg", "attention/figures/maps_words.svg"
ARCS = "attention/figures/maps_arcs.svg"
SENTENCE = "Zumbo saw an owl. The owl saw Zumbo."
WORDS = "tazelmokivtazeldrunmokiv"  # three invented words, two of them twice, no letter in two of them
BEHAVIORS = ["itself", "byte before", "beginning", "same byte", "after same"]
LEVELS = 10  # shades of a map


def behaviors(weights, ids):
    """Of each head, the mean share of its attention on five kinds of places. weights: (B, H, T, T) -> (H, 5)

    itself; the byte before; the first place of the window; the same byte earlier; what came right after the same byte
    earlier. A place can be of several kinds. Places 0 and 1 do not count: they have hardly a choice where to look.
    """
    same_byte = (ids[:, :, None] == ids[:, None, :]).tril(-1)  # (B, T, T): s < t and the same byte
    after = torch.zeros_like(same_byte)
    after[:, :, 1:] = same_byte[:, :, :-1]  # s - 1 < t and the byte at s - 1 is the one at t
    place = torch.arange(ids.shape[1])
    apart = (place[:, None] - place).expand_as(same_byte)
    first = (place == 0).expand_as(same_byte)
    kinds = torch.stack([apart == 0, apart == 1, first, same_byte, after]).to(weights.dtype)  # (5, B, T, T)
    return torch.einsum("bhts,kbts->hk", weights[:, :, 2:], kinds[:, :, 2:]) / (len(ids) * (ids.shape[1] - 2))


@torch.no_grad()
def head_table(model, windows, repeated):
    """For each head: its behaviors in stories, its induction score, and what cutting it out costs (stories, repeated).

    Returns (numbers (8, 5), scores (8,), costs (8, 2)); the costs in bits a symbol.
    """
    model(windows)
    numbers = torch.cat([behaviors(layer.weights, windows) for layer in model.layers])
    scores = induction_scores(model, repeated).flatten()
    whole, costs = (bits(model, windows).mean().item(), halves(model, repeated)[1]), []
    for layer in range(2):
        for h in range(H):
            cut_out(model, [(layer, h)])
            costs.append((bits(model, windows).mean().item() - whole[0], halves(model, repeated)[1] - whole[1]))
    cut_out(model, [])
    return numbers, scores, torch.tensor(costs)


def even_weights(windows):
    """What a head would do that looks at all of the past evenly. (B, T) -> (B, 1, T, T)"""
    T = windows.shape[1]
    even = torch.ones(T, T).tril() / torch.arange(1, T + 1)[:, None]
    return even.expand(len(windows), 1, T, T)


def show_head_table(numbers, scores, costs, even):
    """One line a head; names count from 1."""
    print("        share of attention in stories, %                           repeated    cut out, bits more\n"
          "head  " + "".join(f"{name:>13}" for name in BEHAVIORS) + "   letters, %   stories  repeated")
    for n, row in enumerate(numbers):
        print(f"{names_of([divmod(n, H)]):6}" + "".join(f"{100 * x:13.0f}" for x in row.tolist())
              + f"{100 * scores[n]:13.0f}{costs[n, 0]:10.2f}{costs[n, 1]:10.2f}")
    print(f"{'even':6}" + "".join(f"{100 * x:13.0f}" for x in even.tolist()) + f"{100 / (1.5 * LETTERS):13.0f}")


@torch.no_grad()
def weights_over(model, ids):
    """All weights over one row of symbols, a list of T. (layers, H, T, T)"""
    model(torch.tensor([ids]))
    return torch.stack([layer.weights[0] for layer in model.layers])


@torch.no_grad()
def values_over(model, ids):
    """What each head could take from each symbol, v. (layers, H, T, D)"""
    values = []
    def keep(module, args, out):
        values.append(out[0])

    handles = [layer.v_proj.register_forward_hook(keep) for layer in model.layers]
    model(torch.tensor([ids]))
    for handle in handles:
        handle.remove()
    return torch.stack([v.view(len(ids), H, -1).transpose(0, 1) for v in values])


def other_weights(p, v):
    """Weights as far from p as a greedy walk finds, whose sum of values is the same: q >= 0, q @ v = p @ v.

    p: (n,), v: (n, D), float64. Weights may move along any direction that changes neither their sum nor p @ v; there
    are such directions where n > D + 1. Each step goes on until a weight is 0, which it then remains.
    """
    q, free = p.clone(), p > 0
    while True:
        A = torch.cat([v[free], torch.ones(int(free.sum()), 1, dtype=v.dtype)], dim=1)  # (free, D + 1)
        left, sizes, _ = torch.linalg.svd(A)
        rank = int((sizes > 1e-9 * sizes[0]).sum())
        null = left[:, rank:]  # (free, …): the directions that leave q @ v and the sum of q as they are
        if not null.shape[1]:
            return q
        away = (q - p)[free]
        step = null @ (null.T @ away)
        if step.norm() < 1e-9:  # at the start: any direction
            step = null[:, 0]
        lowest = torch.where(step < 0, q[free] / -step, torch.inf)
        q[free] += lowest.min() * step
        free[free.nonzero()[lowest.argmin()]] = False
        q[~free] = 0.0
        q.clamp_(min=0)  # against rounding


def show_other_maps(model, ids, last=10):
    """Of each head, the share of its attention that could stand elsewhere with the same result: means, last symbols."""
    shares = []
    weights, values = weights_over(model, ids).double(), values_over(model, ids).double()
    for layer in range(len(weights)):
        for h in range(H):
            moved = []
            for t in range(max(0, len(ids) - last), len(ids)):
                p, v = weights[layer, h, t, :t + 1], values[layer, h, :t + 1]
                p = p / p.sum()
                q = other_weights(p, v)
                assert (q @ v - p @ v).abs().max() < 1e-6 * v.abs().max() and q.min() >= 0, "not the same result"
                moved.append((q - p).abs().sum().item() / 2)
            shares.append(sum(moved) / len(moved))
    print(f"\nthe sentence's last {last} symbols: the share of each head's attention that can stand elsewhere\n"
          "while its result is the same:  "
          + "  ".join(f"{names_of([divmod(n, H)])} {x:.0%}" for n, x in enumerate(shares)))
    return shares


def svg_head(width, height, size):
    """The first lines of a picture: its size in pixels, its letters' size, a white ground."""
    return [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'font-family="monospace" font-size="{size}">', '<rect width="100%" height="100%" fill="white"/>']


def label(symbol):
    """One character for a symbol: the byte, a middle dot for a space, a bar for END and the unprintable."""
    return "|" if not 32 <= symbol < 127 else "·" if symbol == 32 else chr(symbol)


def map_svg(weights, ids, left, top, title, cell=12):
    """One map: row t looks, column s is looked at, the darker the more. A list of lines of SVG."""
    n = len(ids)
    parts = [f'<text x="{left}" y="{top - 32}" font-size="14" font-weight="bold">{escape(title)}</text>',
             f'<rect x="{left}" y="{top}" width="{n * cell}" height="{n * cell}" fill="none" stroke="#bbb"/>']
    for i, symbol in enumerate(ids):
        letter, middle = escape(label(symbol)), i * cell + cell / 2
        parts += [f'<text x="{left + middle}" y="{top - 5}" text-anchor="middle">{letter}</text>',
                  f'<text x="{left - 8}" y="{top + middle + 4}" text-anchor="middle">{letter}</text>']
    shade = (weights * LEVELS).round().int()
    for level in range(1, LEVELS + 1):  # one path for all cells of a shade: the file stays small
        cells = [f"M{left + s * cell} {top + t * cell}h{cell}v{cell}h-{cell}z"
                 for t, s in (shade == level).nonzero().tolist()]
        if cells:
            parts.append(f'<path fill="#b5411d" fill-opacity="{level / LEVELS:.1f}" d="{"".join(cells)}"/>')
    return parts


def draw_maps(path, ids, panels):
    """Maps side by side. panels: [(title, weights (T, T)), …]"""
    side = len(ids) * 12 + 50
    width, height = len(panels) * side + 10, side + 26
    parts = svg_head(width, height, 12)
    for n, (title, weights) in enumerate(panels):
        parts += map_svg(weights, ids, 28 + n * side, 60, title)
    prepared(path).write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")
    print(f"drawn in {path}")


def arc(s, t, weight, base, up, cell, left):
    """A line from the place that looks to the place that is looked at, as thick as the weight."""
    x1, x2 = left + t * cell + cell / 2, left + s * cell + cell / 2
    height = min(90, 12 + abs(x1 - x2) * 0.35)
    return (f'<path d="M{x1:g} {base:g}C{x1:g} {base - up * height:g} {x2:g} {base - up * height:g} {x2:g} {base:g}" '
            f'fill="none" stroke="{"#b5411d" if up > 0 else "#2b5d8a"}" stroke-width="{6 * weight:.1f}" '
            f'stroke-opacity="0.75"/>')


def draw_arcs(path, ids, before, finder, t, names, cell=18):
    """Above the letters: where place t looks in layer 2. Below: where the places it looks at had looked in layer 1."""
    left, base = 20, 130
    width = left * 2 + len(ids) * cell
    parts = svg_head(width, 220, 16)
    for y, color, text in ((22, "#b5411d", f"layer 2, head {names[1]}: where the marked letter looks"),
                           (208, "#2b5d8a", f"layer 1, head {names[0]}: where these places had looked")):
        parts.append(f'<text x="{left}" y="{y}" font-size="13" fill="{color}">{text}</text>')
    parts.append(f'<rect x="{left + t * cell}" y="{base + 2}" width="{cell}" height="22" fill="#f3c5a8"/>')
    for i, symbol in enumerate(ids):
        parts.append(f'<text x="{left + i * cell + cell / 2}" y="{base + 18}" text-anchor="middle">'
                     f'{escape(label(symbol))}</text>')
    for s in range(t + 1):
        if finder[t, s] > 0.05:
            parts.append(arc(s, t, finder[t, s].item(), base, 1, cell, left))
            parts += [arc(r, s, before[s, r].item(), base + 26, -1, cell, left) for r in range(s) if before[s, r] > 0.1]
    prepared(path).write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")
    print(f"drawn in {path}")


def show_looks(ids, weights, heads, t):
    """In words: where the chosen heads look from place t."""
    for layer, h in heads:
        row = weights[layer, h, t]
        looks = ", ".join(f"{label(ids[s])!r} at {s} ({row[s]:.0%})" for s in row.argsort(descending=True)[:3].tolist())
        print(f"head {names_of([(layer, h)])} from {label(ids[t])!r} at {t}: {looks}")


def main(argv=None):
    parser = argparse.ArgumentParser(description="What the heads of a two-layer model look at: numbers and pictures.")
    add_flags(parser)
    parser.add_argument("--sentence", default=SENTENCE, help=f"to draw, at most {T - 1} bytes (default {SENTENCE!r})")
    parser.add_argument("--plot", action="store_true", help=f"draw {MAPS}, {WORDS_MAPS} and {ARCS}")
    args = parser.parse_args(argv)
    if not 2 <= len(args.sentence.encode("utf-8")) < T:
        raise UserError(f"--sentence: it must have 2 to {T - 1} bytes, and has {len(args.sentence.encode('utf-8'))}")
    torch.set_num_threads(args.threads)
    stream, valid = (byte_stream(load_split(args.data, split)) for split in ("train", "valid"))
    model, _ = train_layers(2, stream, args.steps, args.seed, INVENTED)
    windows, _ = random_batch(valid, 64, T, torch.Generator().manual_seed(args.seed))
    repeated = repeated_rows(64, PCG32(args.seed))

    numbers, scores, costs = head_table(model, windows, repeated)
    show_head_table(numbers, scores, costs, behaviors(even_weights(windows), windows)[0])
    before, finder = numbers[:H, 1].argmax().item(), scores[H:].argmax().item()
    words, sentence = list(WORDS.encode("utf-8")), [END, *args.sentence.encode("utf-8")]
    in_words, in_sentence = weights_over(model, words), weights_over(model, sentence)
    t = WORDS.rfind("k")  # the letter of the arcs
    print(f"\n{WORDS}")
    show_looks(words, in_words, [(1, finder), (0, before)], t)
    show_looks(words, in_words, [(0, before)], in_words[1, finder, t].argmax().item())
    print(f"\n{args.sentence}")
    show_looks(sentence, in_sentence, [(1, finder), (0, before)], len(sentence) - 2)
    shares = show_other_maps(model, sentence)
    if args.steps >= STEPS:
        assert numbers[before, 1] > 0.3 and scores[H + finder] > 0.6, "there should be heads of both kinds"
        assert in_words[1, finder, t, WORDS.find("k") + 1] > 0.5, "it should look at what came after the other k"
        assert max(shares) > 0.05, "some map should not be the only one with its result"
    if args.plot:
        titles = f"head 1.{before + 1}: the byte before", f"head 2.{finder + 1}: what came after"
        for path, ids, weights in ((MAPS, sentence, in_sentence), (WORDS_MAPS, words, in_words)):
            draw_maps(path, ids, list(zip(titles, (weights[0, before], weights[1, finder]))))
        draw_arcs(ARCS, words, in_words[0, before], in_words[1, finder], t, (f"1.{before + 1}", f"2.{finder + 1}"))


if __name__ == "__main__":
    run(main)
