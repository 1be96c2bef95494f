"""Who the experts are: which kinds of tokens go to which expert, in numbers and as a picture. Used by moe.py.

Kinds of tokens are found by rules that one can read below: marks, names, small words, some lists of frequent words.
How much an expert tells about the token that it got is their mutual information in bits,

    I(token; expert) = sum p(token, expert) log2 (p(token, expert) / p(token) p(expert)),

0 where experts are chosen by chance; from a finite count it comes out a little above, so the same choices in shuffled
order are measured beside it.
Shapes: N tokens, E experts, L layers.

Paper: Jiang et al., "Mixtral of Experts" (2024), section 5, where experts follow syntax rather than topic.
"""

from dataclasses import dataclass

import numpy as np
import torch

from atomic import write_atomic

SMALL = set("a an the and but or so as if when while then than in on at of to for with from by up down out over under into "
            "after before until near not no all every some any it its this that these there here how what who where very "
            "too again away back off round around without beside between behind".split())
PEOPLE = set("i me my you your he him his she her they them their we us our everyone everybody nobody somebody".split())
VERBS = set("was were is are be been had has have did do said went came got saw sat ran ate told found made gave took felt "
            "knew thought stood held lay left grew drank sang broke slept lost could would can will may must let put see go "
            "come play help make tell look know eat smelled".split())
NOUNS = set("day time girl boy man cat dog bird tree house home water story word voice mom dad grandma grandpa friend "
            "friends song bed head eyes wind sun moon sky stone bread juice soup cake apple corn grass bell box bag door "
            "window name neighbors heart arms night morning evening afternoon moment breakfast dinner way place side "
            "air light things something nothing step feet hand hands snow sea hill path garden".split())
CLASSES = ["end marks", "stops . , ? and quotes", "names, days, first words", "small words", "he, she, they", "verbs",
           "nouns", "other words", "pieces inside words", "spaces, new lines"]


def token_class(text, end):
    """The number in CLASSES of one token's text; `end` says that it is the mark of a story's end."""
    word = text.strip()
    if end:
        return 0
    if not word:
        return 9
    if not any(letter.isalpha() for letter in word):
        return 1
    if word.lower() in PEOPLE and text[0] == " ":
        return 4
    if word.lower() in SMALL and text[0] == " ":
        return 3
    if word[0].isupper():
        return 2
    if not text[0] == " ":
        return 8
    if word in VERBS or (word.endswith(("ed", "ing")) and len(word) > 4):
        return 5
    return 6 if word in NOUNS else 7


def mutual_information(a, b):
    """I(a; b) in bits between two arrays of whole numbers, from their counts. Both (N,)."""
    together = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(together, (a, b), 1)
    p = together / len(a)
    chance = p.sum(1, keepdims=True) * p.sum(0, keepdims=True)
    here = p > 0
    return float((p[here] * np.log2(p[here] / chance[here])).sum())


@torch.inference_mode()
def first_choices(model, encoded):
    """The tokens of stories and the first expert of each in every layer: (N,), (L, N)."""
    was_training, ids, chosen = model.training, [], []
    model.eval()
    for story in encoded:
        piece = torch.from_numpy(story[:-1][:model.config.max_position_embeddings].astype(np.int64))
        model(piece[None])
        ids.append(piece.numpy())
        chosen.append(torch.stack([router.chosen[:, 0] for router in model.routers()]).numpy())
    model.train(was_training)
    return np.concatenate(ids), np.concatenate(chosen, axis=1)


@dataclass
class Found:
    """What was found of one layer: shares (classes, E) of each class's tokens, and bits, measured and by chance."""

    shares: np.ndarray
    bits: float  # I(token; expert)
    shuffled: float
    of_classes: float  # I(class; expert)
    before: tuple  # I(token; expert), I(class; expert) before training


def look(model, untrained, encoded, tokenizer, seed):
    """A Found for each layer of the model, over the tokens of the stories."""
    ids, chosen = first_choices(model, encoded)
    _, untrained_choices = first_choices(untrained, encoded)
    texts = {i: tokenizer.decode([i]) for i in set(ids.tolist())}
    classes = np.array([token_class(texts[i], i == tokenizer.eot_token) for i in ids.tolist()])
    rng, found = np.random.default_rng(seed), []
    for experts, first in zip(chosen, untrained_choices):
        counts = np.zeros((len(CLASSES), model.config.num_local_experts))
        np.add.at(counts, (classes, experts), 1)
        found.append(Found(counts / np.maximum(1, counts.sum(1, keepdims=True)), mutual_information(ids, experts),
                           mutual_information(ids, rng.permutation(experts)), mutual_information(classes, experts),
                           (mutual_information(ids, first), mutual_information(classes, first))))
    return found, ids, chosen


def favorites(ids, experts, tokenizer, expert, count=7):
    """The tokens that this expert gets most of the time, the most frequent of them first, as texts."""
    size = tokenizer.n_vocab
    here, all_of = np.bincount(ids[experts == expert], minlength=size), np.bincount(ids, minlength=size)
    mostly = np.where(2 * here > all_of, here, 0)
    return [tokenizer.decode([int(i)]) for i in np.argsort(-mostly, kind="stable")[:count] if mostly[i] > 0]


def show_specialists(model, untrained, encoded, tokenizer, seed):
    """Prints bits and favorites of every expert; returns the list of Founds."""
    found, ids, chosen = look(model, untrained, encoded, tokenizer, seed)
    print(f"\nwho the experts are, by the first choices of {len(ids):,} tokens of valid.txt (balanced by the loss)")
    for number, layer in enumerate(found):
        print(f"layer {number}: a token tells {layer.bits:.2f} bits about its expert, its class {layer.of_classes:.2f}; "
              f"before training {layer.before[0]:.2f} and {layer.before[1]:.2f}; by chance {layer.shuffled:.2f}")
        for expert in range(model.config.num_local_experts):
            texts = " ".join(repr(text) for text in favorites(ids, chosen[number], tokenizer, expert))
            print(f"    expert {expert} {(chosen[number] == expert).mean():5.1%}  {texts}")
    return found


def draw_specialists(found, path):
    """One table a layer: rows are classes of tokens, columns experts, darker where more of the class goes."""
    rows, E = len(CLASSES), found[0].shares.shape[1]
    cell, left, top = 34, 190, 62
    width, height = left + len(found) * (E * cell + 40), top + rows * 26 + 20
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
             'font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>']
    parts += [f'<text x="{left - 10}" y="{top + 26 * row + 18}" text-anchor="end">{name}</text>'
              for row, name in enumerate(CLASSES)]
    for number, layer in enumerate(found):
        x = left + number * (E * cell + 40)
        parts.append(f'<text x="{x}" y="24" font-weight="bold">layer {number}: per cent of a class by first expert</text>')
        parts += [f'<text x="{x + cell * e + cell / 2:.0f}" y="50" text-anchor="middle" fill="#555">{e}</text>'
                  for e in range(E)]
        for row, e in np.ndindex(rows, E):
            share = layer.shares[row, e]
            parts.append(f'<rect x="{x + cell * e}" y="{top + 26 * row}" width="{cell - 2}" height="24" fill="#2b5d8a" '
                         f'fill-opacity="{0.04 + 0.96 * share:.2f}"/>')
            if share >= 0.05:
                parts.append(f'<text x="{x + cell * e + cell / 2 - 1:.0f}" y="{top + 26 * row + 17}" text-anchor="middle" '
                             f'fill="{"white" if share > 0.45 else "#222"}">{100 * share:.0f}</text>')
    write_atomic(path, "\n".join([*parts, "</svg>", ""]))


def draw_loads(histories, path):
    """The load of the last layer's experts over training, one panel a way to balance. histories: name -> (steps, L, E)"""
    panel, height, left, top = 250, 190, 46, 40
    width = left + len(histories) * (panel + 24)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 80}" width="{width}" '
             f'height="{height + 80}" font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>']
    smooth = {name: torch.stack([part.mean(0) for part in history[:, -1].split(max(1, len(history) // 50))])
              for name, history in histories.items()}  # about fifty points (points, E)
    most = max(0.01, max(float(curve.max()) for curve in smooth.values()))
    for number, (name, curve) in enumerate(smooth.items()):
        x, E = left + number * (panel + 24), curve.shape[1]
        even = top + height * (1 - 1 / E / most)
        parts += [f'<text x="{x}" y="24" font-weight="bold">{name}</text>',
                  f'<path d="M{x} {top} v{height} h{panel}" stroke="#444" fill="none"/>',
                  f'<path d="M{x} {even:.1f} h{panel}" stroke="#888" stroke-dasharray="4 3"/>']
        for e in range(E):
            points = " ".join(f"{x + panel * i / max(1, len(curve) - 1):.1f},{top + height * (1 - value / most):.1f}"
                              for i, value in enumerate(curve[:, e].tolist()))
            parts.append(f'<polyline points="{points}" fill="none" stroke="hsl({360 * e // E},60%,42%)" '
                         'stroke-width="1.6"/>')
        parts.append(f'<text x="{x + panel}" y="{top + height + 18}" text-anchor="end">step {len(histories[name])}</text>')
    parts += [f'<text x="{left - 6}" y="{top + height * (1 - share / most) + 4:.1f}" text-anchor="end">{share:.0%}</text>'
              for share in (0, most / 2, most)]
    parts.append(f'<text x="{left}" y="{top + height + 36}" fill="#555">share of the choices of the last layer, a line an '
                 'expert; dashed: even</text>')
    write_atomic(path, "\n".join([*parts, "</svg>", ""]))
