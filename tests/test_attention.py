"""Attention: averages to heads, softmax, positions, tiles in C, heads that find, linear attention; with planted bugs."""

import ctypes
import functools
import inspect
import itertools
import math
import random
import re
import shutil
import subprocess
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import torch.nn.functional as F

# ==== softmax, attention, positions, the language model ===========================================================


SCORES = [[0.0], [1.0, 2.0, 3.0], [1000.0, 999.0, -1000.0], [-1000.0, -1001.0], [3.0, 3.0, 3.0], [88.0, 89.0, 710.0]]


@pytest.fixture(scope="module")
def core(chapter):
    return chapter("attention")


@pytest.fixture
def core_folder(tmp_path):
    """A folder of small stories."""
    text = "\n<|endoftext|>\n".join(f"A cat number {i} sat on the mat. Zoé saw it." for i in range(40))
    for split in ("train", "valid"):
        (tmp_path / f"{split}.txt").write_text(text, encoding="utf-8")
    return tmp_path


def core_tensors(seed, *shapes, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator, dtype=dtype) for shape in shapes]


def close(a, b, within):
    """Whether all numbers are near; False where one is NaN."""
    return a.shape == b.shape and bool(((a - b).abs() <= within).all())


# ---------------------------------------------------------------- data.py


def test_stream_and_batches(core):
    data = core.data
    stream = data.byte_stream(["ab", "é"])
    assert stream.dtype == torch.int64 and stream.tolist() == [256, 97, 98, 256, 195, 169, 256]
    stream = data.byte_stream(["abcdefghijklmnopqrstuvwxyz"])
    inputs, targets = data.random_batch(stream, 200, 5, torch.Generator().manual_seed(1))
    assert inputs.shape == targets.shape == (200, 5) and inputs.dtype == torch.int64
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    assert {tuple(row) for row in inputs.tolist()} == {tuple(stream[i:i + 5].tolist()) for i in range(len(stream) - 5)}
    again = data.random_batch(stream, 200, 5, torch.Generator().manual_seed(1))
    assert torch.equal(again[0], inputs)
    only = data.random_batch(stream[:6], 3, 5, torch.Generator())  # one window fits
    assert torch.equal(only[1][2], stream[1:6])
    with pytest.raises(core.cli.UserError, match="6"):
        data.random_batch(stream[:5], 3, 5, torch.Generator())


def test_windows_score_each_symbol_once(core):
    rng = random.Random(0)
    for T in (1, 2, 3, 7, 8, 64):
        stories = ["x" * rng.randrange(1, 40) for _ in range(20)] + ["abc", "x" * T, "x" * (T - 1), "x" * (T + 1)]
        scored, windows = [], list(core.data.scored_windows([s for s in stories if s], T))
        for window, first in windows:
            assert len(window) <= T + 1 and 1 <= first < len(window)
            if window[0] != core.data.END:
                assert first >= max(1, T // 2), "a scored symbol sees too little of the past"
            scored += window[first:]
        assert scored == [i for s in stories if s for i in [*s.encode(), core.data.END]]


def test_bits_per_byte(core):
    """Against a table of pairs, summed with plain loops: each story from its beginning, its end included."""
    table = core_tensors(3, (257, 257))[0]
    stories = ["Hello there.", "é", "A longer story, " * 5]

    def pairs(ids):
        return table[ids]

    log_p = table.log_softmax(-1)
    nats = sum(-log_p[a, b].item() for s in stories
               for a, b in zip([256, *s.encode()], [*s.encode(), 256], strict=True))
    right = nats / math.log(2) / sum(len(s.encode()) for s in stories)
    for T in (1, 2, 5, 16, 1000):
        assert core.data.bits_per_byte(pairs, stories, T) == pytest.approx(right, rel=1e-6)  # logits become float32
    broken = table.clone()
    broken[101] = float("nan")
    assert math.isnan(core.data.bits_per_byte(lambda ids: broken[ids], stories, 16))


def test_bits_see_half_a_window_of_the_past(core):
    """A model that is sure only where it sees the symbol T // 2 back: no window may hide it."""
    T, story = 8, "abcdefghijklmnopqrstuvwxyz" * 3

    def model(ids):
        logits = torch.zeros(*ids.shape, 257)
        symbols = [256, *story.encode(), 256]
        for row, line in zip(logits, ids.tolist()):
            for t in range(len(line)):
                far = line[max(0, t + 1 - T // 2)]  # 256 or a letter: all that is needed to know what is next
                if t + 1 >= T // 2 and far != 256:
                    row[t, (far - 97 + T // 2) % 26 + 97] = 50.0
                elif line[0] == 256:
                    row[t, symbols[t + 1]] = 50.0
        return logits

    assert core.data.bits_per_byte(model, [story], T) * len(story) < 80  # only the end is a surprise


def test_sample(core):
    def counting(ids):  # a, b, c, … and after f the end; almost surely
        logits = torch.zeros(*ids.shape, 257)
        follows = torch.where(ids == 256, 97, torch.where(ids == 102, 256, ids + 1))
        return logits.scatter(-1, follows[..., None], 60.0)

    assert core.data.sample(counting, 0, 50, 4) == "abcdef"
    assert core.data.sample(counting, 0, 3, 1) == "abc"

    def longest(ids):
        assert ids.shape[1] <= 4
        return torch.randn(1, ids.shape[1], 257, generator=torch.Generator().manual_seed(ids.sum().item()))

    text = core.data.sample(longest, 5, 30, 4)
    assert text == core.data.sample(longest, 5, 30, 4) != core.data.sample(longest, 6, 30, 4)
    cold = {core.data.sample(longest, seed, 10, 4, temperature=0.01) for seed in range(5)}
    assert len(cold) == 1, "near temperature 0 the likeliest symbol is taken"


# ---------------------------------------------------------------- softmax.py


@pytest.mark.parametrize("scores", SCORES)
def test_softmaxes_agree(core, scores):
    reference = torch.tensor(scores, dtype=torch.float64).softmax(-1).tolist()
    values = [float(i * i) for i in range(len(scores))]
    assert core.softmax.softmax(scores) == pytest.approx(reference, abs=1e-12)
    assert core.softmax.online_softmax(scores) == pytest.approx(reference, abs=1e-12)
    average = sum(p * v for p, v in zip(reference, values))
    assert core.softmax.online_average(scores, values) == pytest.approx(average, abs=1e-9)


def test_online_softmax_in_any_order(core):
    rng = random.Random(1)
    for _ in range(50):
        scores = [rng.gauss(0, 30) for _ in range(rng.randrange(1, 20))]
        trace = []
        shares = core.softmax.online_softmax(scores, trace)
        assert shares == pytest.approx(torch.tensor(scores, dtype=torch.float64).softmax(-1).tolist(), abs=1e-12)
        assert [t[1] for t in trace] == [max(scores[:i + 1]) for i in range(len(scores))]
        assert core.softmax.softmax([s + 700 for s in scores]) == pytest.approx(shares, abs=1e-9)


@pytest.mark.parametrize("function, old, new", [
    ("online_softmax", "total = total * math.exp(largest - new)", "total = total"),
    ("online_softmax", "largest = new\n        if", "largest = max(largest, 2.0)\n        if"),
    ("online_average", "weighted * correction + e * value", "weighted + e * value"),
])
def test_planted_in_online(core, planted, function, old, new):
    broken, scores, values = getattr(planted("softmax", old, new), function), [1.0, 3.0, 2.0], [1.0, 5.0, 2.0]
    shares = core.softmax.softmax(scores)
    if function == "online_average":
        assert broken(scores, values) != pytest.approx(sum(p * v for p, v in zip(shares, values)), abs=1e-3)
    else:
        assert broken(scores) != pytest.approx(shares, abs=1e-3)


def softmax_gradient_is_right(module):
    scores, dp = core_tensors(2, (3, 4, 6), (3, 4, 6))
    scores.requires_grad_()
    p = scores.softmax(-1)
    p.backward(dp)
    return close(module.softmax_backward(p.detach(), dp), scores.grad, 1e-12)


def test_softmax_backward(core, planted):
    assert softmax_gradient_is_right(core.softmax)
    for old, new in (("dp - (p * dp).sum(-1, keepdim=True)", "dp"),
                     ("(p * dp).sum(-1, keepdim=True)", "(p * dp).sum(-2, keepdim=True)"),
                     ("return p * (dp", "return (dp")):
        assert not softmax_gradient_is_right(planted("softmax", old, new))


def test_saturation(core):
    variance, top, answer = core.softmax.saturation(torch.zeros(2, 4))
    assert (variance, top, answer) == pytest.approx((0, 0.25, 0.75))
    assert core.softmax.saturation(torch.tensor([[0.0, 1000.0]]))[1:] == pytest.approx((1, 0))


# ---------------------------------------------------------------- attention.py


def test_averages(core):
    attention, (x,) = core.attention, core_tensors(0, (9, 4), dtype=torch.float32)
    right = x.cumsum(0) / torch.arange(1, 10)[:, None]
    assert close(torch.tensor(attention.average_loops(x.tolist())), right, 1e-6)
    assert close(attention.average_matrix(x), right, 1e-6) and close(attention.average_softmax(x), right, 1e-6)


def attention_is_right(module):
    """causal_attention against torch's, for several shapes; also where T is 1 and D is odd."""
    for seed, (B, H, T, D) in enumerate([(1, 1, 1, 1), (2, 3, 7, 5), (1, 2, 33, 16)]):
        q, k, v = core_tensors(seed, *[(B, H, T, D)] * 3)
        if not close(module.causal_attention(q, k, v), F.scaled_dot_product_attention(q, k, v, is_causal=True), 1e-6):
            return False
    return True


@pytest.mark.parametrize("old, new", [
    (".triu(1)\n    return", ".triu(2)\n    return"),  # one token of the future is seen
    ("scores.masked_fill(future, float(\"-inf\")).float()", "scores.float()"),
    ("scores = (q @ k.transpose(-2, -1)) * D**-0.5", "scores = q @ k.transpose(-2, -1)"),
    (".float().softmax(-1)", ".float().softmax(-2)"),
    ("masked_fill(future, float(\"-inf\")).float()", "masked_fill(future, 0).float()"),
])
def test_causal_attention_and_planted_bugs(core, planted, old, new):
    assert attention_is_right(core.attention)
    assert not attention_is_right(planted("attention", old, new))


def test_attention_loops(core):
    for seed in range(3):
        q, k, v = core_tensors(seed, (6, 3), (6, 3), (6, 2))
        right = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
        got = core.attention.attention_loops(q.tolist(), k.tolist(), v.tolist())
        assert close(torch.tensor(got, dtype=torch.float64), right, 1e-12)


def test_results_lie_among_the_values(core):
    q, k, v = core_tensors(5, *[(2, 2, 12, 4)] * 3)
    y = core.attention.causal_attention(10 * q, k, v)
    largest, least = v.cummax(2).values, v.cummin(2).values
    assert bool((y <= largest + 1e-6).all() and (y >= least - 1e-6).all())
    assert close(y[:, :, 0], v[:, :, 0], 1e-6), "the first token has only itself"
    assert core.attention.causal_attention(q.bfloat16(), k.bfloat16(), v.bfloat16()).dtype == torch.bfloat16


def gradients_are_right(module):
    q, k, v, dout = core_tensors(7, *[(2, 2, 9, 5)] * 4)
    inputs = [x.clone().requires_grad_() for x in (q, k, v)]
    F.scaled_dot_product_attention(*inputs, is_causal=True).backward(dout)
    mine = module.attention_backward(q, k, v, dout)
    return all(close(a, b.grad, 1e-10) for a, b in zip(mine, inputs, strict=True))


def test_attention_backward(core, planted):
    assert gradients_are_right(core.attention)
    for old, new in (("softmax_backward(p, dp) * D**-0.5", "softmax_backward(p, dp)"),
                     ("softmax_backward(p, dp) * D**-0.5", "p * dp * D**-0.5"),
                     ("dv = p.transpose(-2, -1) @ dout", "dv = p @ dout"),
                     ("dscores @ k, dscores.transpose(-2, -1) @ q", "dscores @ k, dscores @ q")):
        assert not gradients_are_right(planted("attention", old, new))


def module_is_right(module):
    for C, H in ((12, 3), (8, 1), (8, 8)):
        torch.manual_seed(C)
        mine, (x,) = module.Attention(C, H).double(), core_tensors(C, (2, 7, C))
        theirs = torch.nn.MultiheadAttention(C, H, bias=False, batch_first=True, dtype=torch.float64)
        with torch.no_grad():
            theirs.in_proj_weight.copy_(torch.cat([p.weight for p in (mine.q_proj, mine.k_proj, mine.v_proj)]))
            theirs.out_proj.weight.copy_(mine.o_proj.weight)
            future = torch.ones(7, 7, dtype=torch.bool).triu(1)
            if not close(mine(x), theirs(x, x, x, attn_mask=future, need_weights=False)[0], 1e-6):
                return False
    return True


def test_attention_module(core, planted):
    assert module_is_right(core.attention)
    for old, new in (("y.transpose(1, 2).reshape(B, T, C)", "y.reshape(B, T, C)"),
                     (".view(B, T, self.H, C // self.H).transpose(1, 2)", ".view(B, self.H, T, C // self.H)"),
                     ("in (self.q_proj, self.k_proj,", "in (self.k_proj, self.q_proj,")):  # the mask tells them apart
        assert not module_is_right(planted("attention", old, new))


def test_distance_is_infinite_for_nan(core):
    a = torch.tensor([1.0, math.nan])
    assert core.attention.distance(a, a) == math.inf
    with pytest.raises(AssertionError):
        core.attention.same("NaN", a, a, 1.0)


def recall_accuracy(module, steps=150):
    """A task that no window and no average can do: four tokens (name, thing), then a name; which thing was it?"""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    names, things = torch.nn.Embedding(8, 16), torch.nn.Embedding(8, 16)
    attention, head = module.Attention(16, 2), torch.nn.Linear(16, 8)
    parameters = [p for m in (names, things, attention, head) for p in m.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    for _ in range(steps):
        who = torch.rand(64, 8, generator=generator).argsort(-1)[:, :4]  # (B, 4) different names
        what = torch.randint(8, (64, 4), generator=generator)
        asked = torch.randint(4, (64, 1), generator=generator)
        x = torch.cat([names(who) + things(what), names(who.gather(1, asked))], dim=1)  # (B, 5, C)
        logits, right = head(attention(x)[:, -1]), what.gather(1, asked)[:, 0]
        loss = F.cross_entropy(logits, right)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (logits.argmax(-1) == right).float().mean().item()


def test_attention_learns_to_look_up(core, planted):
    assert recall_accuracy(core.attention) > 0.9
    average = planted("attention", "q, k, v = (project(x).view", "q, k, v = (0 * x.view(B, T, self.H, C // self.H)"
                      ".transpose(1, 2) if project is self.q_proj else project(x).view")
    assert recall_accuracy(average) < 0.7  # equal shares: it can only guess among the four


# ---------------------------------------------------------------- positions.py


def test_sinusoidal_table(core):
    table = core.positions.sinusoidal_table(40, 8)
    for t in (0, 1, 39):
        for i in range(4):
            angle = t / 10000 ** (2 * i / 8)
            assert table[t, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert table[t, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)
    products = table @ table.T
    assert close(products[5:, 5:], products[:-5, :-5], 1e-4), "a product depends only on the distance"


def test_alibi_bias(core):
    bias = core.positions.alibi_bias(8, 6)
    assert bias[:, 3, 2].tolist() == [-(2.0 ** -(h + 1)) for h in range(8)]  # the slopes of the paper for 8 heads
    for h, t, s in ((0, 5, 0), (3, 4, 4), (7, 5, 2)):
        assert bias[h, t, s].item() == -(2.0 ** -(h + 1)) * (t - s)
    assert bool((bias[:, torch.ones(6, 6, dtype=torch.bool).triu(1)] == -math.inf).all())
    q, k, v = core_tensors(0, *[(2, 8, 6, 4)] * 3, dtype=torch.float32)
    right = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    assert close(core.positions.biased_attention(q, k, v, bias), right, 1e-5)


def rotary_is_right(module):
    """Against complex numbers; lengths are kept; the product depends only on the distance."""
    D, length = 8, 20
    cos, sin = module.rotary_tables(D, length, 100.0)
    (x, y) = core_tensors(0, (1, 1, length, D), (1, 1, length, D), dtype=torch.float32)
    turned = module.rotate(x, cos, sin)
    angles = torch.arange(length)[:, None] * 100.0 ** (-torch.arange(0, D, 2) / D)
    numbers = torch.complex(x[..., : D // 2], x[..., D // 2:]) * torch.polar(torch.ones_like(angles), angles)
    same_x, same_y = x[:, :, :1].expand_as(x), y[:, :, :1].expand_as(y)
    products = (module.rotate(same_x, cos, sin) @ module.rotate(same_y, cos, sin).transpose(-2, -1))[0, 0]
    return (close(turned, torch.cat([numbers.real, numbers.imag], -1), 1e-5)
            and close(turned.norm(dim=-1), x.norm(dim=-1), 1e-5)
            and close(products[3:, 3:], products[:-3, :-3], 1e-4))


def test_rotary(core, planted):
    assert rotary_is_right(core.positions)
    for old, new in (("torch.cat([-second, first], dim=-1)", "torch.cat([second, first], dim=-1)"),
                     ("torch.cat([angle, angle], dim=-1)", "angle.repeat_interleave(2, dim=-1)"),
                     ("device=device) / head_dim)", "device=device) / head_dim / 2)")):
        assert not rotary_is_right(planted("positions", old, new))


def test_rotary_is_the_text_of_the_transformer(core, chapter):
    for mine, theirs in ((core.positions.rotate, chapter("transformer").model.rotate),
                         (core.positions.rotary_tables, chapter("transformer").model.rotary_tables),
                         (core.attention.causal_attention, chapter("transformer").model.causal_attention)):
        assert inspect.getsource(mine) == inspect.getsource(theirs)


@pytest.mark.parametrize("kind", ["none", "sinusoidal", "learned", "ALiBi", "rotary"])
def test_placed_models(core, kind):
    """The future changes nothing; the order of the past does, unless nothing tells it; learned places end."""
    positions = core.positions
    torch.manual_seed(3)
    model = positions.PlacedModel(kind)
    for parameter in model.layers.parameters():
        parameter.data *= 4  # so that the two layers matter
    ids = torch.randint(257, (2, 64), generator=torch.Generator().manual_seed(0))
    other = ids.clone()
    other[:, 40:] = 7
    with torch.no_grad():
        logits = model(ids)
        assert close(model(other)[:, :40], logits[:, :40], 1e-4) and not close(model(other), logits, 1e-2)
        one = positions.PlacedModel(kind)
        one.load_state_dict(model.state_dict())
        one.layers = one.layers[:1]
        shuffled = torch.cat([ids[:, torch.randperm(63, generator=torch.Generator().manual_seed(1))], ids[:, 63:]], 1)
        same = close(one(shuffled)[:, -1], one(ids)[:, -1], 1e-3)
        assert same == (kind == "none"), f"{kind}: one layer {'sees no' if same else 'sees an'} order"
        long = torch.zeros(1, 65, dtype=torch.int64)
        if kind == "learned":
            with pytest.raises(ValueError, match="65"):
                model(long)
        else:
            assert model(long).shape == (1, 65, 257)


def test_all_kinds_start_alike(core):
    states = []
    for kind in core.positions.KINDS:
        torch.manual_seed(5)
        states.append(core.positions.PlacedModel(kind).state_dict())
    for state in states:
        assert set(state) - {"place"} == set(states[0])
        assert all(torch.equal(state[name], states[0][name]) for name in states[0])


def test_bits_by_place(core):
    """A table of pairs needs as much at every place; what is measured is -log2 p of what follows."""
    table = core_tensors(1, (257, 257), dtype=torch.float32)[0]
    stream = core.data.byte_stream(["The cat sat on the mat. " * 40])
    bits = core.positions.bits_by_place(lambda ids: table[ids], stream, 32, windows=20)
    log_p = table.log_softmax(-1)[stream[:-1], stream[1:]].double() / -math.log(2)
    right = torch.stack([log_p[16 * i: 16 * i + 320].mean() for i in range(2)])
    assert close(bits, right, 1e-4)


# ---------------------------------------------------------------- what a learner sees


@pytest.mark.parametrize("script", ["softmax", "attention", "by_hand"])
def test_demonstrations(core, script, capsys):
    getattr(core, script).main([])
    assert len(capsys.readouterr().out.splitlines()) > 10


@pytest.mark.parametrize("seed", range(1, 6))
def test_demonstrations_on_other_seeds(core, seed, capsys):
    core.softmax.main(["--seed", str(seed)])
    core.attention.main(["--seed", str(seed)])
    assert "same to" in capsys.readouterr().out


def test_by_hand_picture(core, tmp_path, capsys):
    core.by_hand.main(["--plot", str(tmp_path / "a" / "b.svg")])
    picture = (tmp_path / "a" / "b.svg").read_text()
    assert picture == (core._folder / "figures" / "by_hand.svg").read_text(), "draw it again: by_hand.py --plot"
    with pytest.raises(core.cli.UserError, match="svg"):
        core.by_hand.main(["--plot", str(tmp_path / "b.jpg")])


def test_core_answers(answers, chapter):
    checks = chapter("attention").checks.CHECKS
    for name, check in checks.items():
        check(getattr(answers("attention"), name))


@pytest.mark.parametrize("name, old, new", [
    ("relative_attention", "clamp(0, len(table) - 1)", "clamp(0, len(table) - 1) * 0"),
    ("relative_attention", "by_row = q @ table.T * D**-0.5", "by_row = q @ table.T"),
    ("alibi_as_keys", "stretch = ((D + 1) / D) ** 0.5", "stretch = 1.0"),
    ("alibi_as_keys", "* slope * (D + 1) ** 0.5", "* slope"),
])
def test_wrong_answers_are_noticed(chapter, planted, name, old, new):
    with pytest.raises(AssertionError):
        chapter("attention").checks.CHECKS[name](getattr(planted("solutions", old, new), name))


def test_language_script(core, core_folder, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # the scoreboard lies in out/
    said = []
    for seed in ("0", "0", "1"):
        core.language.main(["--data", str(core_folder), "--steps", "3", "--threads", "1", "--seed", seed])
        said.append(capsys.readouterr().out.rpartition(";")[0])  # without the time
    assert "bits per byte" in said[0] and "step      3" in said[0]
    assert said[0] == said[1] != said[2]
    assert '"chapter": "attention"' in (tmp_path / "out" / "scoreboard.jsonl").read_text().splitlines()[2]


def test_positions_script(core, core_folder, capsys, tmp_path):
    core.positions.main(["--data", str(core_folder), "--steps", "2", "--threads", "1", "--kinds", "learned", "rotary",
                         "--plot", str(tmp_path / "p.svg")])
    lines = capsys.readouterr().out.splitlines()
    for kind in ("learned", "rotary"):
        numbers = next(line for line in lines if line.startswith(kind)).split()[1:]
        assert len(numbers) == 6 and all(6 < float(x) < 12 for x in numbers[:4]), numbers
        assert (numbers[4:] == ["none", "none"]) == (kind == "learned"), numbers
    assert (tmp_path / "p.svg").stat().st_size < 150_000


@pytest.mark.parametrize("script, flags, said", [
    ("language", ["--data", "nowhere"], "nowhere"),
    ("language", ["--heads", "7"], "--heads 7"),
    ("language", ["--steps", "0"], "at least 1"),
    ("positions", ["--data", "nowhere"], "nowhere"),
    ("positions", ["--kinds", "relative"], "relative"),
])
def test_mistakes(core, script, flags, said, capsys):
    try:
        getattr(core, script).main(flags)
    except core.cli.UserError as error:
        assert said in str(error) and "\n" not in str(error)
    except SystemExit as error:
        assert error.code == 2 and said in capsys.readouterr().err
    else:
        pytest.fail("this should be refused")


def test_too_few_stories(core, tmp_path):
    for split in ("train", "valid"):
        (tmp_path / f"{split}.txt").write_text("Short.", encoding="utf-8")
    for script in (core.language, core.positions):
        with pytest.raises(core.cli.UserError, match="more"):
            script.main(["--data", str(tmp_path), "--steps", "2"])


def test_language_model(core):
    """Places end; the hidden layer can be left out; the number of heads is free."""
    torch.manual_seed(0)
    for heads, hidden in ((1, 0), (4, 16)):
        model = core.language.AttentionModel(heads, hidden)
        assert model(torch.zeros(2, 5, dtype=torch.int64)).shape == (2, 5, 257)
    with pytest.raises(ValueError, match="places"):
        model(torch.zeros(1, core.language.T + 1, dtype=torch.int64))


# ==== tiles: flash.py and csrc/attention.c ========================================================================


FLASH_COMPILER = "cc"
FLASH_TOLERANCE = 1e-5  # the largest difference, in parts of the largest number


@pytest.fixture(scope="module")
def flash_build(clone, run_command):
    """Builds the library in the clone; skips where there is nothing to build it with."""
    if not (shutil.which(FLASH_COMPILER) and shutil.which("make")):
        pytest.skip("needs make and a C compiler (Debian, Ubuntu: apt-get install make gcc)")
    run_command("make -C csrc build/attention.so", timeout=300)
    return clone / "csrc/build/attention.so"


@pytest.fixture(scope="module")
def flash(chapter, flash_build):
    return chapter("attention").flash


def flash_error(a, b):
    """The largest difference in parts of the largest number of b, at least 0.1; NaN where either has one."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    assert a.shape == b.shape
    return np.abs(a - b).max() / max(np.abs(b).max(), 0.1)


def flash_inputs(B, H, K, Tq, Tk, D, seed=0):
    rng = np.random.default_rng(seed)
    shapes = (B, H, Tq, D), (B, K, Tk, D), (B, K, Tk, D), (B, H, Tq, D)
    return [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]


def flash_expected(q, k, v, grad_o, dtype=torch.float64):
    """o and the gradients of q, k, v by torch; the last query beside the last key."""
    q, k, v, grad_o = (torch.from_numpy(x).to(dtype) for x in (q, k, v, grad_o))
    leaves = [x.requires_grad_() for x in (q, k, v)]
    Tq, Tk = q.shape[2], k.shape[2]
    if Tq == Tk:
        o = F.scaled_dot_product_attention(*leaves, is_causal=True, enable_gqa=True)
    else:
        seen = torch.ones(Tq, Tk, dtype=torch.bool).tril(Tk - Tq)
        o = F.scaled_dot_product_attention(*leaves, attn_mask=seen, enable_gqa=True)
    return [x.detach().numpy() for x in (o, *torch.autograd.grad(o, leaves, grad_o))]


def flash_ways(flash):
    """(rung, path, threads) for all that this machine can run."""
    paths = range(flash.attention_library().attention_paths())
    return [(1, 0, 1), (2, 0, 1), (3, 0, 1), *((4, path, 1) for path in paths),
            *((5, path, threads) for path in paths for threads in (1, 2, 3))]  # fmt: skip


def flash_results(flash, way, q, k, v, grad_o):
    rung, path, threads = way
    o, lse = flash.attention(q, k, v, rung, threads, path)
    return [o, *flash.attention_backward(q, k, v, o, lse, grad_o, rung, threads, path)], lse


# --- the ladder in C against torch --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [  # B, H, K, Tq, Tk, D
    (1, 1, 1, 1, 1, 1), (2, 3, 3, 64, 64, 32), (1, 4, 2, 65, 65, 64), (1, 2, 1, 200, 200, 128), (2, 6, 2, 33, 33, 64),
    (1, 2, 2, 1, 130, 64), (1, 4, 1, 50, 177, 32), (1, 2, 1, 127, 128, 20), (1, 1, 1, 70, 70, 256), (1, 2, 1, 9, 80, 3),
])  # fmt: skip
def test_flash_every_way_equals_torch(flash, shape):
    inputs = flash_inputs(*shape)
    for dtype in (torch.float64, torch.float32):
        expected = flash_expected(*inputs, dtype)
        for way in flash_ways(flash):
            results, _ = flash_results(flash, way, *inputs)
            assert all(flash_error(a, b) < FLASH_TOLERANCE for a, b in zip(results, expected, strict=True)), way


def test_flash_random_shapes_equal_torch(flash):
    rng = np.random.default_rng(5)
    for seed in range(25):
        K, group, Tk = (int(rng.integers(1, n)) for n in (4, 4, 260))
        Tq = Tk if seed % 2 else int(rng.integers(1, Tk + 1))
        inputs = flash_inputs(int(rng.integers(1, 3)), K * group, K, Tq, Tk, int(rng.integers(1, 97)), seed)
        expected = flash_expected(*inputs)
        ways = flash_ways(flash)
        for way in (ways[3 + seed % (len(ways) - 3)], ways[-1]):
            results, _ = flash_results(flash, way, *inputs)
            assert all(flash_error(a, b) < FLASH_TOLERANCE for a, b in zip(results, expected, strict=True)), way


def test_flash_lse_is_the_logarithm_of_the_sums(flash):
    q, k, v, grad_o = flash_inputs(1, 4, 2, 90, 100, 32)
    scores = np.einsum("bhid,bhjd->bhij", q, k.repeat(2, axis=1)).astype(np.float64) / np.sqrt(32)
    expected = np.log((np.exp(scores) * np.tri(90, 100, 10)).sum(axis=-1))
    for way in flash_ways(flash):
        assert flash_error(flash_results(flash, way, q, k, v, grad_o)[1], expected) < 1e-6


def test_flash_the_future_does_not_matter(flash):
    """Queries before a changed key keep their output to the last bit; those from it on do not."""
    q, k, v, grad_o = flash_inputs(1, 1, 1, 150, 150, 64)
    for way, changed in itertools.product(flash_ways(flash), (0, 63, 64, 100, 149)):
        before = flash.attention(q, k, v, way[0], way[2], way[1])[0]
        other = k.copy(), v.copy()
        for x in other:
            x[:, :, changed] += 1
        after = flash.attention(q, *other, way[0], way[2], way[1])[0]
        same = (before == after).all(axis=(0, 1, 3))
        assert same[:changed].all() and not same[changed:].any()


def test_flash_a_cache_gives_the_last_rows(flash):
    """The last n queries alone, with all keys, get what they got among all queries."""
    q, k, v, _ = flash_inputs(2, 4, 2, 140, 140, 64)
    whole, _ = flash.attention(q, k, v)
    for n in (1, 16, 77):
        part, _ = flash.attention(q[:, :, -n:], k, v)
        assert flash_error(part, whole[:, :, -n:]) < 1e-6


def test_flash_huge_scores_do_not_overflow(flash):
    q, k, v, grad_o = flash_inputs(1, 2, 1, 130, 130, 32)
    q, k = 60 * q, 60 * k
    expected = flash_expected(q, k, v, grad_o)
    for way in flash_ways(flash):
        results, lse = flash_results(flash, way, q, k, v, grad_o)
        assert lse.max() > 1e4 and all(np.isfinite(x).all() for x in results)
        assert flash_error(results[0], expected[0]) < 0.02  # float32 knows such a score to 0.001


def test_flash_gradients_are_written_not_added(flash):
    """What the arrays hold before does not matter: two calls in a row give the same."""
    inputs = flash_inputs(1, 4, 2, 100, 100, 32)
    for way in flash_ways(flash):
        first, second = (flash_results(flash, way, *inputs)[0] for _ in range(2))
        assert all((a == b).all() for a, b in zip(first, second))


# --- memory -------------------------------------------------------------------------------------------------------


def test_flash_memory_is_linear(flash):
    def extra(rung, T, backward, D=64):
        return flash.extra_bytes(rung, flash.AttentionSizes(1, 6, 2, T, T, D), 2, backward)

    for rung, backward, D in itertools.product(flash.RUNGS, (False, True), (64, 40)):
        growth = extra(rung, 8192, backward, D) / extra(rung, 4096, backward, D)
        assert growth == 4 if rung == 1 else growth <= 2, (rung, backward, D)
    assert extra(1, 8192, False) == 8192 * 8192 * 4  # the table; test_attention.c counts what C really allocates
    assert all(extra(rung, 8192, backward) < 50e6 for rung in (2, 3, 4, 5) for backward in (False, True))


# --- what is refused ----------------------------------------------------------------------------------------------


def test_flash_refuses_what_does_not_fit(flash):
    q, k, v, grad_o = flash_inputs(1, 4, 2, 8, 8, 16)
    for wrong in ((q[0], k, v), (q, k, v[:, :, 1:]), (q[..., :8], k, v), (q[:, :3], k, v), (q, k[:, :, 1:], v[:, :, 1:]),
                  (q[:, :, :0], k, v), (np.concatenate([q, q]), k, v)):  # fmt: skip
        with pytest.raises(ValueError):
            flash.attention(*wrong)
    for flags in ({"rung": 0}, {"rung": 6}, {"rung": 4, "path": 9}, {"rung": 4, "path": -1}, {"threads": -1}):
        with pytest.raises(ValueError):
            flash.attention(q, k, v, **flags)
    o, lse = flash.attention(q, k, v)
    for wrong in ((o[:, :1], lse, grad_o), (o, lse[:, :1], grad_o), (o, lse, grad_o[:, :, :1])):
        with pytest.raises(ValueError):
            flash.attention_backward(q, k, v, *wrong)


def test_flash_takes_other_layouts(flash):
    """Views and other types become contiguous float32 first."""
    q, k, v, _ = flash_inputs(1, 2, 2, 30, 30, 16)
    o, _ = flash.attention(q, k, v)
    turned = [np.ascontiguousarray(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3).astype(np.float64) for x in (q, k, v)]
    assert (flash.attention(*turned)[0] == o).all() and o.dtype == np.float32


# --- NumPy --------------------------------------------------------------------------------------------------------


def test_flash_online_row_equals_softmax(flash):
    rng = np.random.default_rng(1)
    for n, tile in itertools.product((1, 2, 6, 7, 20), (1, 2, 3, 50)):
        scores, values = 300 * rng.standard_normal(n), rng.standard_normal(n)
        *_, (highest, _, total, output) = flash.online_row(scores, values, tile)
        p = np.exp(scores - scores.max())
        assert highest == scores.max() and abs(total - p.sum()) < 1e-12
        assert abs(output - p @ values / p.sum()) < 1e-12


def flash_numpy_error(module, T=45, tile=8):
    q, k, v, grad_o = np.random.default_rng(T).standard_normal((4, T, 16))
    o, lse = module.flash_forward(q, k, v, tile)
    results = o, *module.flash_backward(q, k, v, o, lse, grad_o, tile)
    formula = module.formula_forward(q, k, v)[0], *module.formula_backward(q, k, v, grad_o)
    expected = [x[0, 0] for x in flash_expected(*(x[None, None] for x in (q, k, v, grad_o)))]
    worst = [flash_error(a, b) for a, b in zip((*results, *formula), 2 * expected, strict=True)]
    return max(worst) if all(e >= 0 for e in worst) else np.inf


def test_flash_numpy_equals_torch(flash):
    for T, tile in itertools.product((1, 8, 45), (1, 8, 64)):
        assert flash_numpy_error(flash, T, tile) < 1e-12


@pytest.mark.parametrize("right, wrong", [
    ("output = output * factor[:, None] + p @ v[j:j + tile]", "output = output + p @ v[j:j + tile]"),
    ("total = total * factor + p.sum(axis=1)", "total = total + p.sum(axis=1)"),
    ("np.where(columns <= rows,", "np.where(columns < rows + 2,"),
    ("for j in range(0, i + rows, tile):", "for j in range(0, i, tile):"),
    ("for i in range(j, T, tile):", "for i in range(j + tile, T, tile):"),
    ("(grad_p - delta[rows, None]) / np.sqrt(D)", "(grad_p - delta[rows, None])"),
    ("(grad_p - delta[rows, None]) / np.sqrt(D)", "grad_p / np.sqrt(D)"),
    ("grad_q[rows] += grad_s @ k[keys]", "grad_q[rows] = grad_s @ k[keys]"),
])  # fmt: skip
def test_flash_planted_bugs_in_numpy(flash, planted, right, wrong):
    with np.errstate(all="ignore"):
        assert not flash_numpy_error(planted("flash", right, wrong)) < 1e-6


def test_flash_order_of_tiles(flash):
    """FlashAttention 1 visits all tiles, key tiles outside; 2 only those that a query sees, query tiles outside."""
    assert flash.order_of_tiles(2, 2) == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert flash.order_of_tiles(3, 3) == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]


# --- C tests, planted bugs ----------------------------------------------------------------------------------------


def test_flash_c_tests_pass_under_sanitizers(flash_build, run_command):
    result = run_command("make -C csrc build/check/test_attention && csrc/build/check/test_attention", timeout=300)
    assert result.stderr == ""


@pytest.mark.parametrize("file, right, wrong", [
    ("attention.c", "o[d] *= before * factor;", "o[d] *= before;"),
    ("attention.c", "bool hidden = j0 + j > i0 + i", "bool hidden = j0 + j >= i0 + i"),
    ("attention.c", "(grad_p - delta[i0 + i]) * head->scale;", "(grad_p - delta[i0 + i]);"),
    ("attention.c", "b * job->K + h / (job->H / job->K);", "b * job->K + h % job->K;"),
    ("attention_vector.h", "if (h == first) {", "{"),
    ("attention_vector.h", "job->grad_q[n] += shares", "job->grad_q[n] = shares"),
    ("attention_vector.h", "at_least_0(key - past) / STRIP", "at_least_0(key - past + 1) / STRIP"),
    ("attention_tiles.h", "STORE(o + d * TILE + c, MUL(LOAD(o + d * TILE + c), factor));", ";"),
    ("attention_tiles.h", "j = at_least_0(past + c + 1);", "j = at_least_0(past + c + 2);"),
    ("attention_tiles.h", "MUL(MUL(e, ALL(scale)), SUB(", "MUL(e, SUB("),
])  # fmt: skip
def test_flash_planted_bugs_in_c(flash_build, clone, tmp_path, file, right, wrong):
    shutil.copytree(clone / "csrc", tmp_path / "csrc", ignore=shutil.ignore_patterns("build"))
    source = tmp_path / "csrc" / file
    assert source.read_text().count(right) == 1
    source.write_text(source.read_text().replace(right, wrong))
    test = tmp_path / "test"
    threads = ["-fopenmp"] if "shares" in right else []
    command = [FLASH_COMPILER, "-std=c11", "-O0", *threads, tmp_path / "csrc/test_attention.c", "-o", test, "-lm"]
    subprocess.run(command, check=True, timeout=120)
    assert subprocess.run([test], capture_output=True, timeout=120).returncode != 0


# --- the scripts --------------------------------------------------------------------------------------------------


def test_flash_script_shows_the_row_and_the_rungs(flash_build, clone, run_script):
    lines = run_script("attention/flash.py", "--longest", 128, "--plot").stdout.splitlines()
    outputs = [float(line.split()[-1]) for line in lines[1:5]]
    p = np.exp([1.0, 3, 2, 5, 4, 0])
    assert abs(outputs[2] - (p * [10, 20, 30, 40, 50, 60]).sum() / p.sum()) < 1e-4 and outputs[2] == outputs[3]
    assert [line[:3] for line in lines if line.startswith("  ")] == [f"  {rung}" for rung in (1, 2, 3, 4, 5)] * 2
    assert "all agree with the formula" in lines[-3]
    for name in ("tiles", "memory"):
        path = clone / f"attention/figures/flash-{name}.svg"
        assert ElementTree.parse(path).getroot().tag.endswith("svg") and path.stat().st_size < 150_000


def test_flash_bench_compares_with_torch(flash_build, flash, run_script):
    lines = run_script("attention/bench.py", "--quick").stdout.splitlines()
    per_shape = 3 + flash.attention_library().attention_paths() + 2
    assert sum(line.startswith(("1 by", "2 Fl", "3 Fl", "4 ve", "torch")) for line in lines) == 3 * per_shape + 3
    peaks = {line.split()[0]: float(line.split()[-2]) for line in lines if line.endswith(" MB")}
    if peaks:  # the system tells how much memory a process held at most
        assert peaks["4"] < 2 < 4 < peaks["1"]
    run_script("attention/bench.py", "--rounds", 0, status=2)


def test_flash_scripts_without_a_compiler(flash_build, clone, run_command, tmp_path):
    shutil.copytree(clone / "attention", tmp_path / "attention")
    shutil.copytree(clone / "csrc", tmp_path / "csrc", ignore=shutil.ignore_patterns("build"))
    result = run_command("python attention/flash.py", cwd=tmp_path, env={"CC": "no-such-compiler"}, status=2)
    assert result.stdout == "" and result.stderr.startswith("error: ") and result.stderr.count("\n") == 1


def test_flash_peak_counts_operations(flash):
    for path in range(flash.attention_library().attention_paths()):
        assert flash.attention_library().attention_peak(ctypes.c_int(path), 100) == 2 * 12 * 100 * 4 * 2**path


# ==== what heads look at, and attention without the exponential ===================================================


@pytest.fixture(scope="module")
def maps_chapter(chapter):
    return chapter("attention")


@pytest.fixture
def maps_folder(tmp_path, monkeypatch):
    """A folder of small stories, which is the working directory."""
    stories = [f"One day, Mira met Tom number {i}. Tom and Mira sat down by the pond." for i in range(60)]
    text = "\n<|endoftext|>\n".join(stories)
    for split in ("train", "valid"):
        (tmp_path / f"{split}.txt").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def maps_close(a, b, within=1e-10):
    """Whether all numbers are near; False where one is NaN or the shapes differ."""
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    return a.shape == b.shape and bool(((a - b).abs() <= within).all())


# ---------------------------------------------------------------- induction.py


def model_of(induction, seed=0):
    torch.manual_seed(seed)
    model = induction.AttentionOnly(2)
    with torch.no_grad():
        for layer in model.layers:
            for parameter in layer.parameters():
                parameter.mul_(3)  # so that the heads look at something
    return model


def test_open_attention_is_attention(maps_chapter):
    torch.manual_seed(1)
    plain = maps_chapter.attention.Attention(12, 3)
    opened = maps_chapter.induction.OpenAttention(12, 3)
    opened.load_state_dict(plain.state_dict())
    x = torch.randn(2, 9, 12)
    assert maps_close(opened(x), plain(x), 1e-5)
    assert opened.weights.shape == (2, 3, 9, 9) and maps_close(opened.weights.sum(-1), torch.ones(2, 3, 9), 1e-5)
    assert torch.equal(opened.weights.triu(1), torch.zeros(2, 3, 9, 9))


def leaks(induction):
    """Whether a later symbol changes an earlier prediction."""
    model, ids = model_of(induction), torch.randint(256, (2, 20), generator=torch.Generator().manual_seed(0))
    changed = ids.clone()
    changed[:, 12:] = (ids[:, 12:] + 1) % 256
    with torch.no_grad():
        return not maps_close(model(ids)[:, :12], model(changed)[:, :12], 1e-5)


def test_induction_model_does_not_look_ahead(maps_chapter, planted):
    assert not leaks(maps_chapter.induction)
    assert leaks(planted("induction", ".triu(1)", ".triu(2)"))


def cutting_is_right(induction):
    """Cutting heads out is to set what the output layer makes of them to 0, and can be undone."""
    model, ids = model_of(induction), torch.arange(30)[None]
    before = model(ids)
    induction.cut_out(model, [(0, 1), (1, 0), (1, 3)])
    found = model(ids)
    induction.cut_out(model, [])
    undone = maps_close(model(ids), before, 0)
    D = induction.C // induction.H
    with torch.no_grad():
        for layer, h in ((0, 1), (1, 0), (1, 3)):
            model.layers[layer].o_proj.weight[:, h * D:h * D + D] = 0
    return undone and maps_close(found, model(ids), 1e-5) and not maps_close(found, before, 1e-3)


def test_cut_out(maps_chapter, planted):
    assert cutting_is_right(maps_chapter.induction)
    assert not cutting_is_right(planted("induction", "if (number, h) in heads", "if (h, number) in heads"))
    assert not cutting_is_right(planted("induction", " * self.keep[:, None, None]", ""))


def test_repeated_rows(maps_chapter):
    induction = maps_chapter.induction
    rows = induction.repeated_rows(200, maps_chapter.rng.PCG32(3))
    assert rows.shape == (200, 52) and torch.equal(rows[:, :26], rows[:, 26:])
    assert torch.equal(rows[:, :26].sort(-1).values, torch.arange(97, 123).expand(200, 26))
    firsts = torch.bincount(rows[:, 0] - 97, minlength=26)
    assert firsts.max() < 30 and (firsts > 0).sum() > 20  # each letter may stand first


def test_invented_rows(maps_chapter):
    rows = maps_chapter.induction.invented_rows(50, 65, maps_chapter.rng.PCG32(4))
    assert rows.shape == (50, 65) and rows.dtype == torch.int64 and 97 <= rows.min() and rows.max() <= 122
    seen, known = 0, 0  # after three letters that stood there before, the fourth is mostly what it was
    for row in rows.tolist():
        after = {}
        for i in range(len(row) - 3):
            key = tuple(row[i:i + 3])
            seen += key in after
            known += after.get(key) == row[i + 3]
            after[key] = row[i + 3]
    assert seen > 500 and 0.6 < known / seen < 0.95


class Knowing(torch.nn.Module):
    """A model that expects what came after the same letter before, and knows nothing else; its one head looks there."""

    def __init__(self):
        super().__init__()
        self.layers = [self]

    def forward(self, ids):
        B, T = ids.shape
        logits, self.weights = torch.zeros(B, T, 257), torch.zeros(B, 1, T, T)
        logits[..., :97] = logits[..., 123:] = -50.0
        for b in range(B):
            for t in range(T):
                before = [s for s in range(t) if ids[b, s] == ids[b, t]]
                self.weights[b, 0, t, before[-1] + 1 if before else 0] = 1
                if before:
                    logits[b, t, ids[b, before[-1] + 1]] = 50.0
        return logits


def scores_are_right(induction, rng):
    model, rows = Knowing(), induction.repeated_rows(4, rng.PCG32(1))
    first, second = induction.halves(model, rows)
    return (abs(first - math.log2(26)) < 1e-4 and abs(second) < 1e-4
            and abs(induction.induction_scores(model, rows).item() - 1) < 1e-6)


def test_scores_of_a_model_that_knows(maps_chapter, planted):
    rng = maps_chapter.rng
    assert scores_are_right(maps_chapter.induction, rng)
    assert not scores_are_right(planted("induction", "t, t - LETTERS + 1]", "t, t - LETTERS]"), rng)
    assert not scores_are_right(planted("induction", "b[:, LETTERS:]", "b[:, LETTERS - 1:]"), rng)
    assert not scores_are_right(planted("induction", "rows[:, 1:], reduction", "rows[:, :-1], reduction"), rng)


def test_previous_scores(maps_chapter):
    model, ids = Knowing(), torch.tensor([[97, 98, 97, 98, 97], [97, 97, 97, 97, 97]])
    # row 0 looks at 0 0 1 2 3, row 1 at 0 1 2 3 4: of the places 1 to 4, all and none look one back
    assert abs(maps_chapter.induction.previous_scores(model, ids).item() - 0.5) < 1e-6


def test_training_of_layers(maps_chapter, maps_folder):
    induction = maps_chapter.induction
    stream = maps_chapter.data.byte_stream(maps_chapter.stories.load_split(maps_folder, "train"))
    windows, _ = maps_chapter.data.random_batch(stream, 16, 64, torch.Generator().manual_seed(5))
    tests = induction.repeated_rows(8, maps_chapter.rng.PCG32(0)), windows
    first, again = (induction.train_layers(2, stream, 3, 0, 4, tests) for _ in range(2))
    assert first[1] == again[1] and maps_close(first[0].embedding.weight, again[0].embedding.weight, 0)
    model, curve = induction.train_layers(2, stream, 60, 0, 4, tests)
    assert curve[0][0] == 1 and curve[-1][0] == 60 and curve[0][1] > 7.5
    assert curve[-1][1] < 4.0  # even frequencies of single bytes need 4.2 bits here
    with pytest.raises(ValueError, match="64 places"):
        model(torch.zeros(1, 65, dtype=torch.int64))


def test_induction_script(maps_chapter, maps_folder, capsys):
    induction = maps_chapter.induction
    induction.main(["--data", ".", "--steps", "3", "--threads", "1", "--plot", "curve.svg"])
    out = capsys.readouterr().out
    assert "repetition" in out and "all others" in out and "nan" not in out
    assert ElementTree.parse("curve.svg").getroot().tag.endswith("svg")
    with pytest.raises(maps_chapter.cli.UserError, match="--invented 32"):
        induction.main(["--data", ".", "--invented", "32"])


# ---------------------------------------------------------------- maps.py


def behaviors_by_loops(weights, ids):
    B, H, T, _ = weights.shape
    out = torch.zeros(H, 5)
    for h in range(H):
        for b in range(B):
            for t in range(2, T):
                for s in range(t + 1):
                    same, after = s < t and ids[b, s] == ids[b, t], s > 0 and ids[b, s - 1] == ids[b, t]
                    kinds = [s == t, s == t - 1, s == 0, same, after]
                    out[h] += weights[b, h, t, s] * torch.tensor(kinds) / (B * (T - 2))
    return out


def test_behaviors(maps_chapter, planted):
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(4, (3, 12), generator=generator)
    scores = torch.randn(3, 2, 12, 12, generator=generator).masked_fill(torch.ones(12, 12).triu(1) > 0, -math.inf)
    weights = scores.softmax(-1)
    wanted = behaviors_by_loops(weights, ids)
    assert maps_close(maps_chapter.maps.behaviors(weights, ids), wanted, 1e-5)
    even = maps_chapter.maps.even_weights(ids)
    assert even.shape == (3, 1, 12, 12) and maps_close(even.sum(-1), torch.ones(3, 1, 12), 1e-6)
    for old, new in (("after[:, :, 1:] = same_byte[:, :, :-1]", "after[:, :, :-1] = same_byte[:, :, 1:]"),
                     (".tril(-1)", ".tril()"), ("apart == 1", "apart == -1")):
        assert not maps_close(planted("maps", old, new).behaviors(weights, ids), wanted, 1e-5), new


def test_other_weights(maps_chapter):
    generator = torch.Generator().manual_seed(3)
    for n, D in ((40, 8), (30, 16), (20, 4), (9, 8), (5, 8), (1, 3)):
        p = torch.randn(n, generator=generator, dtype=torch.float64).softmax(-1)
        v = torch.randn(n, D, generator=generator, dtype=torch.float64)
        q = maps_chapter.maps.other_weights(p, v)
        assert maps_close(q @ v, p @ v, 1e-9) and maps_close(q.sum(), p.sum(), 1e-9) and q.min() >= 0
        moved = (q - p).abs().sum().item() / 2
        if n > D + 1:  # as in linear programs, a corner has no more than D + 1 weights above 0
            assert moved > 0.1 and (q > 0).sum() <= D + 1
        else:
            assert moved < 1e-9  # nothing else has this result


def test_values_over(maps_chapter):
    model, ids = model_of(maps_chapter.induction), [256, 65, 66, 67, 66]
    weights, values = (f(model, ids) for f in (maps_chapter.maps.weights_over, maps_chapter.maps.values_over))
    assert weights.shape == (2, 4, 5, 5) and values.shape == (2, 4, 5, 16)
    x = model.embedding(torch.tensor(ids)) + model.place.weight[:5]
    for n, layer in enumerate(model.layers):  # from these two alone the stream can be computed
        x = x + layer.o_proj((weights[n] @ values[n]).transpose(0, 1).reshape(5, -1))
    assert maps_close(model.head(F.rms_norm(x, (64,))), model(torch.tensor([ids]))[0], 1e-4)


def test_map_picture(maps_chapter, tmp_path):
    maps, ids = maps_chapter.maps, [256, 60, 38, 32, 97]
    weights = torch.tensor([[1.0, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0], [0.01, 0.2, 0.79, 0, 0], [0.25] * 4 + [0],
                            [0.2] * 5])
    maps.draw_maps(tmp_path / "m.svg", ids, [("one < two", weights), ("again", weights)])
    text = (tmp_path / "m.svg").read_text()
    root = ElementTree.fromstring(text)
    cells = sum(path.get("d").count("M") for path in root if path.tag.endswith("path"))
    assert cells == 2 * int((weights >= 0.05).sum())
    assert [t.text for t in root if t.tag.endswith("text")][:3] == ["one < two", "|", "|"]
    maps.draw_arcs(tmp_path / "a.svg", ids, weights, weights, 4, ("1.1", "2.1"))
    arcs = [e for e in ElementTree.parse(tmp_path / "a.svg").getroot() if e.tag.endswith("path")]
    assert sum(e.get("stroke") == "#b5411d" for e in arcs) == 5  # one a place that the last symbol looks at


def test_maps_script(maps_chapter, maps_folder, capsys, monkeypatch):
    maps = maps_chapter.maps
    for name in ("MAPS", "WORDS_MAPS", "ARCS"):
        monkeypatch.setattr(maps, name, f"{name}.svg")
    maps.main(["--data", ".", "--steps", "3", "--threads", "1", "--sentence", "Zoé sat <down>.", "--plot"])
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines() if re.match(r"[12]\.[1-4] ", line)]
    assert len(rows) == 8 and all(0 <= float(x) <= 100 for row in rows for x in row[1:7])
    for name in ("MAPS", "WORDS_MAPS", "ARCS"):
        ElementTree.parse(f"{name}.svg")
    for sentence in ("x" * 64, ""):
        with pytest.raises(maps_chapter.cli.UserError, match="63 bytes"):
            maps.main(["--data", ".", "--sentence", sentence])


# ---------------------------------------------------------------- linear_attention.py


def linear_by_loops(q, k, v, decay):
    out = torch.zeros_like(v)
    B, H, T, _ = q.shape
    for b in range(B):
        for h in range(H):
            for t in range(T):
                for s in range(t + 1):
                    out[b, h, t] += decay[h] ** (t - s) * (q[b, h, t] @ k[b, h, s]) * v[b, h, s]
    return out


def linear_cases():
    generator = torch.Generator().manual_seed(7)
    for B, H, T, D, block in ((1, 1, 1, 1, 1), (2, 3, 10, 4, 3), (1, 2, 16, 5, 4), (2, 1, 7, 3, 9), (1, 2, 13, 1, 1)):
        q, k, v = (torch.randn(B, H, T, D, generator=generator, dtype=torch.float64) for _ in range(3))
        yield q, k, v, 0.5 + 0.5 * torch.rand(H, generator=generator, dtype=torch.float64), block
        yield q, k, v, torch.ones(H, dtype=torch.float64), block


def linear_forms_agree(linear):
    """Whether table, recurrence and blocks are the sum by loops, with weights that sum to 1 and without."""
    for q, k, v, decay, block in linear_cases():
        blocks = functools.partial(linear.linear_chunks, block=block)
        plain = linear_by_loops(q, k, v, decay)
        phi_q, phi_k = (torch.where(x > 0, x + 1, x.exp()) for x in (q, k))
        shares = linear_by_loops(phi_q, phi_k, v, decay) / linear_by_loops(phi_q, phi_k, torch.ones_like(v), decay)
        for form in (linear.linear_table, linear.linear_recurrent, blocks):
            if not maps_close(form(q, k, v, decay), plain, 1e-10 * max(1, plain.abs().max().item())):
                return False
            if not maps_close(linear.normalized(form, q, k, v, decay), shares):
                return False
    return True


@pytest.mark.parametrize("old, new", [
    ("** (place[:, None] + 1)", "** place[:, None]"),
    ("** (n - 1 - place[:, None])", "** (n - place[:, None])"),
    (").tril()", ")"),
    ("decay[:, None, None] * state + k", "state + k"),
    ("q_ @ state)", "q_ @ state * 0)"),
    ("F.elu(x) + 1", "F.relu(x) + 1"),
])  # fmt: skip
def test_linear_forms_and_planted_bugs(maps_chapter, planted, old, new):
    assert linear_forms_agree(maps_chapter.linear_attention)
    assert not linear_forms_agree(planted("linear_attention", old, new))


def test_linear_results_are_means_of_the_past(maps_chapter):
    linear = maps_chapter.linear_attention
    q, k, v, decay = linear.random_inputs(torch.Generator().manual_seed(0), 2, 3, 20, 4)
    out = linear.normalized(linear.linear_chunks, q, k, v, decay)
    assert maps_close(out[:, :, 0], v[:, :, 0], 1e-5)  # the first token has only itself
    assert bool((out <= v.cummax(2).values + 1e-5).all() and (out >= v.cummin(2).values - 1e-5).all())


def test_linear_counts(maps_chapter, capsys):
    linear = maps_chapter.linear_attention
    assert [linear.multiply_adds("linear, token by token", T) for T in (64, 128)] == [2 * 64 * 64] * 2
    assert [linear.multiply_adds("linear, blocks", T) for T in (64, 192)] == [2 * 64 * 64 + 2 * 64 * 64] * 2
    assert [linear.multiply_adds("softmax, formula", T) for T in (64, 192)] == [2 * 64 * 64, 2 * 64 * 192]
    linear.show_counts()
    assert "131,072" in capsys.readouterr().out


def test_linear_script(maps_chapter, tmp_path, capsys, monkeypatch):
    linear = maps_chapter.linear_attention
    monkeypatch.setattr(linear, "TIME_FIGURE", str(tmp_path / "time.svg"))
    monkeypatch.setattr(linear, "TILES_FIGURE", str(tmp_path / "tiles.svg"))
    linear.main(["--longest", "256", "--rounds", "1", "--plot"])
    out = capsys.readouterr().out
    assert re.search(r"3 +0\.0 +1\.0 +2\.0 +12 +3 +6 +12\n", out) and "same to 1e-10" in out
    assert "1,843.2 MB, state 0.6 MB" in out  # 2 * 6 * 6 * 100,000 * 64 * 4 bytes; 6 * 6 * 64 * 65 * 4
    for name in ("time", "tiles"):
        ElementTree.parse(tmp_path / f"{name}.svg")


# ---------------------------------------------------------------- lightning.py


def lightning_is_right(chapter, lightning, seeds=range(6)):
    """Against autograd through the sum by loops' twin, the table; in float64, on random shapes."""
    for seed in seeds:
        arrays, decay, size = lightning.random_case(np.random.default_rng(seed), np.float64)
        q, k, v, do = arrays
        ours = [lightning.lightning_forward(q, k, v, decay, size)]
        ours += lightning.lightning_backward(q, k, v, decay, do, size)
        inputs = [torch.tensor(x, requires_grad=True) for x in (q, k, v)]
        T = q.shape[2]
        mask = np.array([[decay[h] ** (t - s) if s <= t else 0 for t in range(T) for s in range(T)]
                         for h in range(len(decay))]).reshape(-1, T, T)
        o = (inputs[0] @ inputs[1].transpose(-1, -2) * torch.tensor(mask)) @ inputs[2]
        o.backward(torch.tensor(do))
        theirs = [o.detach(), *(x.grad for x in inputs)]
        if not all(maps_close(a, b) for a, b in zip(ours, theirs, strict=True)):
            return False
    return True


def test_lightning_against_autograd(maps_chapter):
    assert lightning_is_right(maps_chapter, maps_chapter.lightning, range(12))


@pytest.mark.parametrize("old, new", [
    ("powers[:, 1:, None]", "powers[:, :-1, None]"),
    ("np.where(apart >= 0, ", "np.where(apart > -10**9, "),
    ("reversed(tiles(q.shape[2], size))", "tiles(q.shape[2], size)"),
    ("after = whole * after", "after = after"),
    ("swap(do_ @ swap(v_) * mask) @ q_", "(do_ @ swap(v_) * mask) @ q_"),
    ("swap(since * q_) @ do_", "swap(until * q_) @ do_"),
    ("swap(until * v_) @ k_", "swap(until * k_) @ v_"),
])  # fmt: skip
def test_lightning_planted_bugs(maps_chapter, planted, old, new):
    assert not lightning_is_right(maps_chapter, planted("lightning", old, new))


def test_lightning_by_finite_differences(maps_chapter):
    lightning, rng = maps_chapter.lightning, np.random.default_rng(5)
    q, k, v, do = rng.standard_normal((4, 1, 2, 7, 3))
    decay = np.array([0.7, 1.0])
    for x, gradient in zip((q, k, v), lightning.lightning_backward(q, k, v, decay, do, 3), strict=True):
        for place in ((0, 0, 0, 0), (0, 1, 3, 2), (0, 0, 6, 1), (0, 1, 2, 0)):
            sums = []
            for move in (1e-5, -1e-5):
                x[place] += move
                sums.append((lightning.lightning_forward(q, k, v, decay, 3) * do).sum())
                x[place] -= move
            assert abs((sums[0] - sums[1]) / 2e-5 - gradient[place]) < 1e-7


def test_lightning_script_and_nan(maps_chapter, capsys):
    lightning = maps_chapter.lightning
    lightning.main(["--seed", "2"])
    assert "the whole table" in capsys.readouterr().out
    assert lightning.largest_difference([np.array([np.nan, 1.0])], [np.ones(2)]) == math.inf
    assert lightning.largest_difference([np.array([1.0, 1.5])], [np.ones(2)]) == 0.5


# ---------------------------------------------------------------- recall.py


def test_fading_is_the_same_for_both_kinds(maps_chapter):
    """softmax with ALiBi is exp(q . k) decay^(t - s), divided by its sum; linear is phi(q) . phi(k) decay^(t - s)."""
    recall = maps_chapter.recall
    x = torch.randn(2, 11, 64, generator=torch.Generator().manual_seed(0))
    for kind in ("softmax", "linear"):
        torch.manual_seed(3)
        layer = recall.FadingAttention(kind).double()
        layer.decay = torch.exp(-torch.tensor([1 / 4, 1 / 16, 1 / 64, 1 / 256], dtype=torch.float64))
        q, k, v = (p(x.double()).view(2, 11, 4, 16).transpose(1, 2) for p in (layer.q_proj, layer.k_proj, layer.v_proj))
        place = torch.arange(11)
        fade = (layer.decay[:, None, None] ** (place[:, None] - place).clamp(min=0)).tril()
        if kind == "softmax":
            w = (q @ k.transpose(-1, -2) / 4).exp() * fade
        else:
            w = (F.elu(q) + 1) @ (F.elu(k) + 1).transpose(-1, -2) * fade
        wanted = layer.o_proj((w / w.sum(-1, keepdim=True) @ v).transpose(1, 2).reshape(2, 11, 64))
        assert maps_close(layer(x.double()), wanted, 1e-9)


def states_are_right(recall, length=40):
    torch.manual_seed(0)
    model = recall.FadingModel("linear")
    symbols, logits, states = recall.tell_by_state(model, 1, length)
    with torch.no_grad():
        whole = model(torch.tensor([symbols[:-1]]))[0]
    return len(symbols) == length + 1 and states[0].shape == (1, 4, 16, 17) and maps_close(logits, whole, 1e-5)


def test_telling_by_state(maps_chapter, planted):
    assert states_are_right(maps_chapter.recall) and states_are_right(maps_chapter.recall, 140)
    assert not states_are_right(planted("recall", "state = self.decay[:, None, None] * state + feature(k)",
                                        "state = state + feature(k)"))


def test_name_letters(maps_chapter):
    story = b"Tom saw Mia. Then Mia, not Tom, ran. With Mia and Tom it was fun."
    new, again = maps_chapter.recall.name_letters(story)
    assert bytes(story[i] for i in new) == b"iaom" and bytes(story[i] for i in again) == b"iaiaom"


def test_name_bits(maps_chapter):
    """A model that expects an a everywhere: bits are those of the letters that are asked for."""
    class Model(torch.nn.Module):
        def forward(self, ids):
            logits = torch.zeros(*ids.shape, 257)
            logits[..., ord("a")] = math.log(256)  # p(a) = 1 / 2, all others 1 / 512
            return logits

    new, again = maps_chapter.recall.name_bits(Model(), ["We met Ada. Then with Ada and Mob we ran.", "No names."] * 40)
    assert abs(new - (9 + 1 + 9 + 9) / 4) < 1e-5  # d, a, o, b
    assert abs(again - (9 + 1) / 2) < 1e-5  # d, a
    assert all(math.isnan(x) for x in maps_chapter.recall.name_bits(Model(), ["no names"]))


def test_recall_batch(maps_chapter):
    recall = maps_chapter.recall
    keys, values, answers = recall.recall_batch(30, 12, torch.Generator().manual_seed(0))
    assert keys.shape == values.shape == (30, 28) and answers.shape == (30, 16)
    assert bool((values[:, 12:] == 64).all())
    for row in range(30):
        told = dict(zip(keys[row, :12].tolist(), values[row, :12].tolist()))
        assert len(told) == 12
        assert [told[key] for key in keys[row, 12:].tolist()] == answers[row].tolist()


def test_recall_is_learned(maps_chapter):
    """A table of 8 x 9 cannot hold 32 pairs, which softmax finds."""
    recall = maps_chapter.recall
    softmax, linear = (recall.recall_accuracy(kind, 8, 32, 200, 0) for kind in ("softmax", "linear"))
    assert softmax > 0.9 and 1 / 64 < linear < 0.5


def test_recall_script(maps_chapter, maps_folder, capsys, monkeypatch):
    recall = maps_chapter.recall
    monkeypatch.setattr(recall, "GENERATED", 50)
    monkeypatch.setattr(recall, "PAIRS", (4, 8))
    recall.main(["--data", ".", "--steps", "2", "--threads", "1"])
    out = capsys.readouterr().out
    assert "50 symbols told by the state" in out and "linear, D = 64" in out
    assert (maps_folder / "out/scoreboard.jsonl").read_text().count('"chapter": "attention"') == 2
