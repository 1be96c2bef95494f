"""From GPT-2's block to the Storyteller's: five changes, each with the property that it was made for.

New since gpt2.py: RMSNorm, rotary positions, the gated MLP, grouped queries; and what tying saves. Left out
on purpose: which of them helps how much (that takes many trainings; here the properties are checked).
Shapes: T tokens, C width, H query heads, K key and value heads, D = C / H, F width of the MLP.

    python transformer/changes.py             two seconds
    python transformer/changes.py --plot      also draws transformer/figures/changes.svg

Papers: those of model.py; Press and Wolf, "Using the Output Embedding to Improve Language Models" (2017).
"""

import argparse

import torch

from atomic import write_atomic
from cli import run
from gpt2 import MLP as PlainMLP
from gpt2 import LayerNorm
from model import MLP, Attention, Config, RMSNorm, Storyteller, from_depth, rotary_tables, rotate

FIGURE = "transformer/figures/changes.svg"


def show_rms_norm(generator):
    """Where the mean is 0 already, RMSNorm is layer norm; elsewhere it only leaves the mean where it is."""
    x = torch.randn(5, 64, generator=generator)
    centered = x - x.mean(-1, keepdim=True)
    layer, rms = LayerNorm(64, 1e-5), RMSNorm(64, 1e-5)
    assert torch.allclose(layer(centered), rms(centered), atol=1e-5)
    assert not torch.allclose(layer(x + 1), rms(x + 1), atol=0.1)
    print(f"RMSNorm    equals layer norm where the mean is 0; it learns {sum(p.numel() for p in rms.parameters())} numbers, "
          f"layer norm {sum(p.numel() for p in layer.parameters())}")


def show_rotary(generator):
    """What a query finds in a key depends on how far apart they stand, not on where."""
    D, T = 64, 512
    cos, sin = rotary_tables(D, T, 10000.0)
    q, k = torch.randn(2, D, generator=generator)

    def score(at, of):  # of the query at position `at` with the key at position `of`
        return float(rotate(q[None], cos[at], sin[at]) @ rotate(k[None], cos[of], sin[of]).T)

    for distance in (0, 2, 50):
        scores = [score(of + distance, of) for of in (0, 7, 450)]
        print(f"rotary     {distance:2} apart: " + ", ".join(
            f"{of + distance} looking at {of}: {s:.3f}" for of, s in zip((0, 7, 450), scores)))
        assert max(scores) - min(scores) < 1e-2
    assert abs(rotate(q[None], cos[300], sin[300]).norm() - q.norm()) < 1e-3, "turning keeps the length"
    assert abs(score(2, 0) - score(50, 0)) > 0.1


def show_gated_mlp(generator):
    """Three matrices of C by 8/3 C have as many numbers as two of C by 4 C."""
    C, hidden = 192, 512
    gated = sum(p.numel() for p in MLP(Config(hidden_size=C, intermediate_size=hidden)).parameters())
    plain = sum(p.numel() for p in PlainMLP(argparse.Namespace(n_embd=C)).parameters() if p.dim() == 2)
    assert gated == plain
    print(f"SwiGLU     3 matrices of {C} x {hidden}: {gated:,} numbers; GPT-2's 2 of {C} x {4 * C}: {plain:,}")


def show_grouped_queries(generator):
    """A grouped model is a full one whose key and value heads are equal within each group; it remembers less."""
    full = Config(hidden_size=64, num_attention_heads=4, num_key_value_heads=4)
    grouped = Config(hidden_size=64, num_attention_heads=4, num_key_value_heads=2)
    few, many, D = Attention(grouped).eval(), Attention(full).eval(), grouped.head_dim
    with torch.no_grad():
        for name in ("q_proj", "o_proj"):
            getattr(many, name).weight.copy_(getattr(few, name).weight)
        for name in ("k_proj", "v_proj"):
            heads = getattr(few, name).weight.view(2, D, 64)  # (K, D, C)
            getattr(many, name).weight.copy_(heads.repeat_interleave(2, dim=0).reshape(64, 64))
        x = torch.randn(1, 9, 64, generator=generator)
        tables = rotary_tables(D, 9, 10000.0)
        assert torch.allclose(few(x, *tables), many(x, *tables), atol=1e-5)
    config = from_depth(12)
    sizes = [2 * heads * config.head_dim * config.num_hidden_layers
             for heads in (config.num_attention_heads, config.num_key_value_heads)]
    print(f"grouped    at depth 12 each token leaves {sizes[1]:,} keys and values to remember instead of {sizes[0]:,}")


def show_tying(generator):
    """One table reads words and writes them."""
    for depth in (3, 12):
        config, counts = from_depth(depth), []
        for config.tie_word_embeddings in (True, False):
            with torch.device("meta"):  # shapes only
                counts.append(Storyteller(config).count_parameters())
        assert counts[1] - counts[0] == config.vocab_size * config.hidden_size
        print(f"tying      depth {depth:2}: {counts[0]:,} parameters; with a second table {counts[1]:,}")


GPT2_BLOCK = ["token + position table", "layer norm", "attention: H query, H key, H value heads", "layer norm",
              "MLP: down(gelu(up(x)))", "layer norm", "the token table again"]
STORYTELLER_BLOCK = ["token table", "RMSNorm", "attention: H query, K key and value heads, rotary", "RMSNorm",
                     "MLP: down(silu(gate(x)) * up(x))", "RMSNorm", "the token table again"]


def draw_changes(path):
    """Both models side by side, the stream as a line from top to bottom, what differs in orange."""
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 344" width="860" height="344" '
             'font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>']
    rows = [44, 92, 122, 176, 206, 266, 296]  # a box's upper edge
    for left, title, boxes in ((40, "GPT-2 (2019)", GPT2_BLOCK), (450, "the Storyteller", STORYTELLER_BLOCK)):
        parts += [f'<text x="{left}" y="26" font-weight="bold" font-size="14">{title}</text>',
                  f'<path d="M{left} 36 V330" stroke="#444" stroke-width="3"/>',
                  f'<rect x="{left - 16}" y="82" width="388" height="158" rx="10" fill="none" stroke="#888" '
                  'stroke-dasharray="4 3"/>', f'<text x="{left + 368}" y="254" text-anchor="end" fill="#666">'
                  'L blocks, one after another</text>']
        for number, (y, text, other) in enumerate(zip(rows, boxes, GPT2_BLOCK)):
            color = "#f8d9ae" if text != other else "#eef1f4"
            parts += [f'<rect x="{left + 26}" y="{y}" width="330" height="26" rx="5" fill="{color}" stroke="#444"/>',
                      f'<text x="{left + 36}" y="{y + 17}">{text}</text>']
            if number in (1, 3):  # a branch begins here and ends at the box below, where it is added
                parts += [f'<path d="M{left} {y + 13} h24" stroke="#444"/>',
                          f'<path d="M{left + 26} {y + 43} h-26" stroke="#444"/>',
                          f'<circle cx="{left}" cy="{y + 43}" r="7" fill="white" stroke="#444"/>',
                          f'<text x="{left}" y="{y + 47}" text-anchor="middle">+</text>']
            elif number not in (2, 4):
                parts.append(f'<path d="M{left} {y + 13} h26" stroke="#444"/>')
    write_atomic(path, "\n".join([*parts, "</svg>", ""]))


def main(argv=None):
    parser = argparse.ArgumentParser(description="The changes from GPT-2 to the Storyteller, each checked.")
    parser.add_argument("--plot", action="store_true", help=f"draw {FIGURE}")
    args = parser.parse_args(argv)
    torch.manual_seed(0)  # for the weights of the modules
    generator = torch.Generator().manual_seed(0)
    for show in (show_rms_norm, show_rotary, show_gated_mlp, show_grouped_queries, show_tying):
        show(generator)
    if args.plot:
        draw_changes(FIGURE)
        print(f"drawn in {FIGURE}")


if __name__ == "__main__":
    run(main)
