"""What the exercises of this chapter are checked by: one function an exercise, which asserts."""

import math

import numpy as np
import torch

from model import causal_attention, rotary_tables, rotate


def check_windowed_attention(answer):
    """Equal to loops over the few tokens that a position sees; to ordinary attention where the window holds all."""
    generator = torch.Generator().manual_seed(3)
    q, k, v = torch.randn(3, 2, 3, 11, 4, generator=generator)  # (B, H, T, D) each
    for window in (1, 2, 5, 11, 40):
        wanted = torch.zeros_like(q)
        for t in range(q.shape[2]):
            first = max(0, t - window + 1)
            scores = (q[:, :, t, None] * k[:, :, first: t + 1]).sum(-1) / math.sqrt(q.shape[-1])  # (B, H, seen)
            wanted[:, :, t] = (scores.softmax(-1)[..., None] * v[:, :, first: t + 1]).sum(-2)
        got = answer(q, k, v, window)
        assert got.shape == wanted.shape, f"the shape should be {tuple(wanted.shape)}, not {tuple(got.shape)}"
        assert torch.allclose(got, wanted, atol=1e-5), f"with window {window}: not what the loops give"
    assert torch.allclose(answer(q, k, v, 11), causal_attention(q, k, v), atol=1e-5)


def check_from_interleaved(answer):
    """With the reordered weights, turning the halves finds the scores that turning the neighbors found."""
    generator = torch.Generator().manual_seed(4)
    T, C = 7, 24
    x = torch.randn(T, C, generator=generator)
    for heads, D in ((1, 8), (2, 6), (3, 4)):
        w_q, w_k = torch.randn(2, heads * D, C, generator=generator)
        cos, sin = rotary_tables(D, T, 10000.0)

        def neighbors(weight, heads=heads, D=D, cos=cos, sin=sin):  # pair i is (x[2 i], x[2 i + 1])
            y = (x @ weight.T).view(T, heads, D // 2, 2).transpose(0, 1)  # (heads, T, D/2, 2)
            c, s = cos[:, : D // 2], sin[:, : D // 2]
            turned = torch.stack([y[..., 0] * c - y[..., 1] * s, y[..., 1] * c + y[..., 0] * s], dim=-1)
            return turned.reshape(heads, T, D)

        def halves(weight, heads=heads, D=D, cos=cos, sin=sin):  # pair i is (x[i], x[i + D/2]), as in model.py
            return rotate((x @ weight.T).view(T, heads, D).transpose(0, 1), cos, sin)

        wanted = neighbors(w_q) @ neighbors(w_k).transpose(1, 2)  # (heads, T, T)
        mine = [answer(weight, heads) for weight in (w_q, w_k)]
        assert mine[0].shape == w_q.shape, f"the shape should stay {tuple(w_q.shape)}"
        got = halves(mine[0]) @ halves(mine[1]).transpose(1, 2)
        assert torch.allclose(got, wanted, atol=1e-3), f"{heads} heads of {D}: other scores"
        assert torch.equal(mine[0].sort(0).values, w_q.sort(0).values), "only the order of the rows may change"


def check_to_grouped(answer):
    """Where the heads of a group are equal, the grouped model is the old one; else it has their mean."""
    generator = torch.Generator().manual_seed(5)
    for heads, kv_heads, D, C in ((4, 2, 3, 8), (6, 2, 2, 5), (8, 1, 4, 8), (3, 3, 2, 4)):
        few = torch.randn(kv_heads, D, C, generator=generator)
        same = few.repeat_interleave(heads // kv_heads, dim=0).reshape(heads * D, C)
        got = answer(same, heads, kv_heads)
        assert got.shape == (kv_heads * D, C), f"the shape should be {(kv_heads * D, C)}, not {tuple(got.shape)}"
        assert torch.allclose(got, few.reshape(-1, C), atol=1e-6), "heads that are equal should stay what they are"
        any_heads = torch.randn(heads * D, C, generator=generator)
        got = answer(any_heads, heads, kv_heads).view(kv_heads, D, C)
        for group in range(kv_heads):
            size = heads // kv_heads
            wanted = sum(any_heads[h * D: h * D + D] for h in range(group * size, group * size + size)) / size
            assert torch.allclose(got[group], wanted, atol=1e-5), f"key head {group}: not the mean of its {size} heads"


def check_words_to_tell(answer):
    """Counts what was asked for and how, over many texts."""
    rng, mask, kinds = np.random.default_rng(6), 500, np.zeros(3)
    for length in [1, 3, 4, 20, 31] + [200] * 40:
        ids = rng.integers(mask, size=length)
        before = ids.copy()
        inputs, targets = answer(ids, mask, rng)
        assert np.array_equal(ids, before), "the ids were changed; work on a copy"
        assert len(inputs) == len(targets) == length, f"{length} ids should give {length} inputs and targets"
        asked = np.asarray(targets) != -1
        assert asked.sum() == round(0.15 * length), f"of {length} ids {round(0.15 * length)} should be asked for"
        assert np.array_equal(targets[asked], ids[asked]), "a target is the id that stood there"
        assert np.array_equal(inputs[~asked], ids[~asked]), "what is not asked for should stay"
        assert ((0 <= inputs) & (inputs <= mask)).all(), "an input is an id below the mask, or the mask"
        masked, stays = inputs[asked] == mask, inputs[asked] == ids[asked]
        kinds += [masked.sum(), stays.sum(), (~masked & ~stays).sum()]
    shares = kinds / kinds.sum()
    assert np.abs(shares - [0.8, 0.1, 0.1]).max() < 0.04, f"masked, left, replaced: {shares.round(2)}, not 0.8, 0.1, 0.1"


CHECKS = {
    "windowed_attention": check_windowed_attention,
    "from_interleaved": check_from_interleaved,
    "to_grouped": check_to_grouped,
    "words_to_tell": check_words_to_tell,
}


# copied from: bigram/checks.py::run_checks
def run_checks(answers, checks):
    """Prints which functions of the module `answers` pass; the exit status is 1 where one is wrong."""
    wrong = False
    for name, check in checks.items():
        try:
            check(getattr(answers, name))
            verdict = "passes"
        except NotImplementedError:
            verdict = "not written yet"
        except AssertionError as error:
            wrong, verdict = True, f"wrong: {error}"
        except Exception as error:
            wrong, verdict = True, f"fails: {error!r}"
        print(f"{name:24} {verdict}")
    return int(wrong)
