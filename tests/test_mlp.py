"""The neural n-gram model by hand and in torch, tensors, products of matrices, gelu and cross-entropy, recurrent networks.

With planted bugs in Python and in C.
"""

import ctypes
import gc
import itertools
import json
import math
import os
import random
import re
import resource
import shutil
import subprocess
import threading
import weakref
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

# ==== the network =================================================================================================


@pytest.fixture(scope="module")
def core(chapter):
    return chapter("mlp")


def core_close(a, b, tolerance=1e-9):
    """Of the same shape, and apart by no more than the tolerance, or that share of the larger. NaN fails."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    return bool((np.abs(a - b) <= tolerance * np.maximum(1, np.maximum(np.abs(a), np.abs(b)))).all())


CORE_STORIES = ["Kiki ran.", "é", "a\n\nb 😊", "x"]


# --- data.py --------------------------------------------------------------------------------------------------------


def check_core_stream(data, stories, K):
    """Each byte of a story and its END are asked for once, after the K symbols before them, END where none are."""
    wanted = []
    for story in stories:
        symbols = [256] * K + [*story.encode("utf-8")] + [256]
        wanted += [(symbols[i - K:i], symbols[i]) for i in range(K, len(symbols))]
    stream, positions = data.padded_stream(stories, K)
    got = [*zip(data.windows(stream, positions, K).tolist(), stream[positions].tolist())]
    assert got == wanted, "the predictions differ"
    assert len(positions) == data.story_bytes(stories) + len(stories), "the predictions differ in number"


@pytest.mark.parametrize("K", [1, 2, 8, 32])
def test_core_stream_and_windows(core, K):
    for stories in (CORE_STORIES, CORE_STORIES[:1], CORE_STORIES[1:2]):
        check_core_stream(core.data, stories, K)


CORE_PLANTED_IN_DATA = {
    "the end is not asked for": ("is_byte | np.append(False, is_byte[:-1])", "is_byte"),
    "the last story has no end": (' + b"\\xff"\n', "\n"),
    "stories run into one another": ("between.join(", "between[:1].join("),
    "windows hold the answer": ("np.arange(-K, 0)", "np.arange(-K, 0) + 1"),
    "the newest first": ("np.arange(-K, 0)", "-np.arange(1, K + 1)"),
    "characters for bytes": ('len(story.encode("utf-8")) for', "len(story) for"),
}


@pytest.mark.parametrize("bug", CORE_PLANTED_IN_DATA)
def test_core_bug_in_data_is_noticed(planted, bug):
    with pytest.raises(AssertionError, match="differ"):
        check_core_stream(planted("data", *CORE_PLANTED_IN_DATA[bug]), CORE_STORIES, 3)


# --- mlp.py: forward and backward -----------------------------------------------------------------------------------


def core_random_case(mlp, seed):
    """Random sizes, parameters in float64 none of which is 0, contexts with repeated symbols, targets."""
    rng = mlp.PCG32(seed)
    V, K, C, H, B = 3 + rng.below(5), 1 + rng.below(4), 1 + rng.below(4), 1 + rng.below(6), 1 + rng.below(5)
    parameters = mlp.first_parameters(rng, V, K, C, H, np.float64)
    for name, array in parameters.items():
        parameters[name] = mlp.random_array(rng, *array.shape)
    contexts = np.array([[rng.below(V) for _ in range(K)] for _ in range(B)])
    return parameters, contexts, np.array([rng.below(V) for _ in range(B)])


def core_torch_gradients(parameters, contexts, targets):
    """By torch's own operations, none of ours."""
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in parameters.items()}
    x = F.embedding(torch.from_numpy(contexts), tensors["table"]).reshape(len(contexts), -1)
    h = F.gelu(F.linear(x, tensors["w1"].T, tensors["b1"]), approximate="tanh")
    loss = F.cross_entropy(F.linear(h, tensors["w2"].T, tensors["b2"]), torch.from_numpy(targets))
    loss.backward()
    return loss.item(), {name: p.grad.numpy() for name, p in tensors.items()}


def check_core_mlp(mlp, seeds=range(6)):
    """Loss and gradients equal torch's; by arrays and by loops; scores of any size do no harm."""
    for seed in seeds:
        parameters, contexts, targets = core_random_case(mlp, seed)
        wanted_loss, wanted = core_torch_gradients(parameters, contexts, targets)
        logits, kept = mlp.forward(parameters, contexts)
        loss, dz = mlp.cross_entropy(logits, targets)
        found = mlp.backward(parameters, kept, dz)
        assert core_close(loss, wanted_loss), "wrong: loss"
        assert [*found] == ["table", "w1", "b1", "w2", "b2"]
        for name, gradient in wanted.items():
            assert core_close(found[name], gradient), f"wrong: the gradient of {name}"
        lists, target = {name: array.tolist() for name, array in parameters.items()}, int(targets[0])
        context = contexts[0].tolist()
        loss, by_loops = mlp.backward_loops(lists, context, target, *mlp.forward_loops(lists, context))
        wanted_loss, wanted = core_torch_gradients(parameters, contexts[:1], targets[:1])
        assert core_close(loss, wanted_loss), "wrong: loss by loops"
        for name, gradient in wanted.items():
            assert core_close(by_loops[name], gradient), f"wrong: the gradient of {name} by loops"
    with np.errstate(all="ignore"):
        loss, dz = mlp.cross_entropy(np.array([[1e4, 0.0], [-1e4, -1e4]]), np.array([1, 0]))
    assert core_close(loss, (1e4 + math.log(2)) / 2) and core_close(dz, [[0.5, -0.5], [-0.25, 0.25]]), "wrong: overflow"


def test_core_gradients_are_torch_s(core):
    check_core_mlp(core.mlp, range(40))


CORE_PLANTED_IN_MLP = {
    "gelu's slope is forgotten": ("da = dh * gelu_slope(a)  #", "da = dh  #"),
    "gelu's slope is that of relu": ("0.5 * (1 + t) + 0.5 * x * (1 - t * t)", "(x > 0) + 0 * (1 - t * t)"),
    "a factor of gelu": ("0.044715 * x * x * x))", "0.44715 * x * x * x))"),
    "the target's one is forgotten": ("gradient[rows, targets] -= 1", "pass"),
    "a sum in place of a mean": ("gradient / len(targets)", "gradient"),
    "the largest is not subtracted": ("shifted = logits - logits.max(axis=1, keepdims=True)", "shifted = logits"),
    "a row that stands twice counts once": (
        "chosen.T @ dx.reshape(len(chosen), -1),",
        "np.minimum(chosen.T, 1 / chosen.sum(axis=0).clip(1)[:, None]) @ dx.reshape(len(chosen), -1),"),
    "a bias of one row": ('"b1": da.sum(axis=0)', '"b1": da[0]'),
    "the second bias has the first row only": ('"b2": dz.sum(axis=0)', '"b2": dz[0]'),
    "gradient by a for h": ('"w2": h.T @ dz', '"w2": a.T @ dz'),
    "the context is read backward": ("x = table[contexts].reshape", "x = table[contexts[:, ::-1]].reshape"),
    "loops: a symbol that stands twice": ("d_table[context[place]][c] += slope", "d_table[context[place]][c] = slope"),
    "loops: rows and places exchanged": ("divmod(i, len(table[0]))", "divmod(i, len(context))[::-1]"),
    "loops: the slope of gelu": ("dh[j] * gelu_slope(a[j])", "dh[j] * gelu(a[j])"),
}  # fmt: skip


@pytest.mark.parametrize("bug", CORE_PLANTED_IN_MLP)
def test_core_bug_in_mlp_is_noticed(planted, bug):
    with pytest.raises((AssertionError, IndexError)):
        check_core_mlp(planted("mlp", *CORE_PLANTED_IN_MLP[bug]))


def test_core_gelu_far_out(core):
    x = np.concatenate([np.linspace(-12, 12, 1001), [-300.0, 300.0]])
    tensor = torch.tensor(x, requires_grad=True)
    F.gelu(tensor, approximate="tanh").sum().backward()
    assert core_close(core.mlp.gelu(x), F.gelu(tensor, approximate="tanh").detach(), 1e-12)
    assert core_close(core.mlp.gelu_slope(x), tensor.grad, 1e-12)
    assert core.mlp.gelu(np.float32([1, 2])).dtype == np.float32
    assert core_close(core.mlp_torch.gelu(tensor).detach(), core.mlp.gelu(x), 1e-12)


def test_core_loss_is_the_engine_s(chapter, core):
    """micrograd's Tensors, which know no formula of this chapter, find the same gradients."""
    Tensor = chapter("micrograd").tensorgrad.Tensor
    parameters, contexts, targets = core_random_case(core.mlp, 11)
    table, w1, b1, w2, b2 = tensors = [Tensor(array) for array in parameters.values()]
    hidden = (table[contexts].reshape(len(contexts), -1) @ w1 + b1).gelu()
    loss = (hidden @ w2 + b2).cross_entropy(targets)
    loss.backward()
    logits, kept = core.mlp.forward(parameters, contexts)
    found, dz = core.mlp.cross_entropy(logits, targets)
    assert core_close(found, loss.data)
    for gradient, tensor in zip(core.mlp.backward(parameters, kept, dz).values(), tensors, strict=True):
        assert core_close(gradient, tensor.grad)


def test_core_float32_stays(core):
    parameters = core.mlp.first_parameters(core.rng.PCG32(1), 7, 2, 3, 4)
    contexts, targets = np.array([[1, 2], [3, 3]]), np.array([0, 6])
    before = {name: array.copy() for name, array in parameters.items()}
    logits, kept = core.mlp.forward(parameters, contexts)
    gradients = core.mlp.backward(parameters, kept, core.mlp.cross_entropy(logits, targets)[1])
    core.mlp.sgd_step(parameters, contexts, targets, 0.5)
    for name, array in parameters.items():
        assert array.dtype == gradients[name].dtype == np.float32
        assert core_close(array, before[name] - np.float32(0.5) * gradients[name], 1e-6)


def test_core_numerical_gradients_leave_no_trace(core):
    parameters, contexts, targets = core_random_case(core.mlp, 5)
    before = {name: array.copy() for name, array in parameters.items()}
    measured = core.mlp.numerical_gradients(parameters, contexts, targets)
    assert all(np.array_equal(before[name], array) for name, array in parameters.items())
    for name, gradient in core_torch_gradients(parameters, contexts, targets)[1].items():
        assert core_close(measured[name], gradient, 1e-7)


# --- mlp.py: training and telling -----------------------------------------------------------------------------------

CORE_RULE = ["the red kite.", "the blue kite.", "the red boat.", "the blue boat."] * 3


def check_core_learning(mlp, data):
    """What stands seven bytes back decides: after the and blank, r or b (1 bit), k or b (1 bit), all else is sure."""
    stream, positions = data.padded_stream(CORE_RULE, 8)
    parameters = mlp.first_parameters(mlp.PCG32(2), 257, 8, 6, 24)
    losses = mlp.train_by_batches(parameters, stream, positions, 250, mlp.PCG32(3), batch=64)
    bits = mlp.bits_of(mlp.logits_by(parameters), stream, positions, 8) / len(CORE_RULE)
    assert 2.0 <= bits < 2.3, f"{bits} bits a story learned"
    assert 7.9 < losses[0] < 8.1 and len(losses) == 250, "the losses are not those of learning"


def test_core_learning(core):
    check_core_learning(core.mlp, core.data)


CORE_PLANTED_IN_TRAINING = {
    "uphill": ("parameters[name] -= learning_rate * gradient", "parameters[name] += learning_rate * gradient"),
    "steps that do not fall": ("learning_rate * (1 - s / steps)", "learning_rate * s"),
    "targets one too far": ("at, K), stream[at], falling", "at, K), stream[at - 1], falling"),
    "nats for bits": ("bits += float(loss) * len(at) / math.log(2)", "bits += float(loss) * len(at)"),
    "all weights 0": ("[scale * rng.normal() for", "[0 * rng.normal() for"),
}


@pytest.mark.parametrize("bug", CORE_PLANTED_IN_TRAINING)
def test_core_bug_in_training_is_noticed(planted, core, bug):
    with np.errstate(all="ignore"), pytest.raises(AssertionError, match="learn"):
        check_core_learning(planted("mlp", *CORE_PLANTED_IN_TRAINING[bug]), core.data)


def test_core_training_is_decided_by_the_seed(core):
    stream, positions = core.data.padded_stream(CORE_RULE, 4)
    runs, seen = [], []
    for seed in (1, 1, 2):
        parameters = core.mlp.first_parameters(core.rng.PCG32(0), 257, 4, 3, 5)
        watch = (lambda s, losses: seen.append((s, len(losses)))) if not runs else None
        runs.append(core.mlp.train_by_batches(parameters, stream, positions, 5, core.rng.PCG32(seed), 8, 0.5, watch))
    assert runs[0] == runs[1] != runs[2]
    assert seen == [(s, s) for s in range(6)]


def test_core_bits_are_summed_over_pieces(core):
    """By torch, and over more predictions than one piece holds."""
    stream, positions = core.data.padded_stream(CORE_STORIES * 250, 3)
    assert len(positions) > 4096
    parameters = core.mlp.first_parameters(core.rng.PCG32(4), 257, 3, 2, 4, np.float64)
    parameters["w2"] *= 50  # so that it says something
    logits = core.mlp.forward(parameters, core.data.windows(stream, positions, 3))[0]
    targets = torch.from_numpy(stream[positions].astype(np.int64))
    wanted = F.cross_entropy(torch.from_numpy(logits), targets, reduction="sum").item() / math.log(2)
    assert core_close(core.mlp.bits_of(core.mlp.logits_by(parameters), stream, positions, 3), wanted)


def test_core_beginnings_are_told_from_logits(core):
    """A model that knows one story tells it and stops; one that never stops is cut off; it sees the last K."""
    story, seen = [256, 256, *b"Kiki", 256], []

    def logits_of(contexts):
        seen.append(contexts.tolist())
        logits = np.full((1, 257), -1e9)
        logits[0, story[len(seen) + 1]] = 1e3
        return logits

    assert core.mlp.tell_beginning(logits_of, core.rng.PCG32(0), 2) == "Kiki"
    assert seen == [[story[i:i + 2]] for i in range(5)]
    endless = np.full((1, 257), 0.0)
    endless[0, 256] = -1e9
    told = core.mlp.tell_beginning(lambda contexts: endless, core.rng.PCG32(1), 3, length=20)
    assert told and told == core.mlp.tell_beginning(lambda contexts: endless, core.rng.PCG32(1), 3, length=20)


def test_core_neighbors(core):
    table = np.array([[1.0, 0], [0, 3], [5, 1], [-1, 0]])
    assert core.mlp.neighbors(table, 0, [0, 1, 2, 3]) == [2, 1, 3]


# --- by_hand.py -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("context, target", [([0, 1], 1), ([1, 1], 0), ([2, 2], 2), ([2, 0], 1)])
def test_core_by_hand_is_torch_s(core, context, target):
    by_hand = core.by_hand
    values, gradients = by_hand.one_prediction(by_hand.small_network(), context, target)
    loss, wanted = core_torch_gradients(by_hand.small_network(), np.array([context]), np.array([target]))
    assert core_close(values["loss"], loss) and core_close(-np.log(values["p"][target]), loss)
    assert all(core_close(gradients[name], wanted[name]) for name in wanted)
    assert core_close(values["da"], wanted["b1"]) and core_close(values["dz"], wanted["b2"])
    table = np.zeros((3, 2))
    np.add.at(table, context, values["dx"].reshape(2, 2))
    assert core_close(table, wanted["table"])


def test_core_by_hand_script(core, run_script, root, tmp_path):
    """The picture is the lesson's; it shows the numbers that are printed; wrong letters are one line."""
    printed = run_script("mlp/by_hand.py", "--plot", tmp_path / "network.svg").stdout
    assert "1.2176 to 0.6383" in printed
    drawn = (tmp_path / "network.svg").read_text(encoding="utf-8")
    assert drawn == (root / "mlp/figures/network.svg").read_text(encoding="utf-8")
    texts = [element.text for element in ElementTree.fromstring(drawn).iter() if element.tag.endswith("text")]
    for text in ("a: 1, 0", "0.261, 0.101", "h = 0.841", "-0.704", "p = 0.296", "= 1.218", "-0.5"):
        assert text in texts
    assert texts.count("0.5") == 6  # weights of that size: four in w1, two in w2
    for flags in (["--context", "anx"], ["--context", "xy"], ["--target", "an"], ["--plot", tmp_path / "a.pdf"]):
        result = run_script("mlp/by_hand.py", *flags, status=2)
        assert len(result.stderr.splitlines()) == 1 and str(flags[1]) in result.stderr


# --- mlp_torch.py ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def core_stream(core):
    return core.data.padded_stream(core.stories.load_split("datasets/stories", "valid")[:20], 8)


def check_core_three_ways(mlp_torch, stream, seed, capsys):
    mlp_torch.COMPARED, mlp_torch.BATCH, mlp_torch.H = 12, 16, 24
    mlp_torch.show_three_ways(*stream, seed)
    numbers = re.findall(r"\d\.\d{9}", capsys.readouterr().out)
    assert len(numbers) == 9 and numbers[0] == numbers[3] == numbers[6] and float(numbers[2]) < float(numbers[0]) - 0.5


def test_core_three_ways(planted, core_stream, capsys):
    mlp_torch = planted("mlp_torch", "COMPARED, RATE = 100", "COMPARED, RATE = 12")
    for seed in (0, 1):
        check_core_three_ways(mlp_torch, core_stream, seed, capsys)


CORE_PLANTED_IN_TORCH = {
    "gradients are kept": ("            p.grad = None\n", ""),
    "zero_grad is forgotten": ("    optimizer.zero_grad()\n", ""),
    "uphill": ("p -= learning_rate * p.grad", "p += learning_rate * p.grad"),
    "another gelu": ('F.gelu(layer(x), approximate="tanh")', "F.gelu(layer(x))"),
    "a factor of gelu": ("0.044715 * x**3", "0.4 * x**3"),
    "the step is not taken": ("    optimizer.step()\n", ""),
    "no softmax": ("log_p = logits - logits.logsumexp(1, keepdim=True)", "log_p = logits"),
    "float32": ("H).double(), arrays)", "H), arrays).double()"),
}


@pytest.mark.parametrize("bug", CORE_PLANTED_IN_TORCH)
def test_core_bug_in_torch_is_noticed(planted, core_stream, capsys, bug):
    with pytest.raises(AssertionError):
        check_core_three_ways(planted("mlp_torch", *CORE_PLANTED_IN_TORCH[bug]), core_stream, 0, capsys)


def test_core_module(core):
    """Two hidden layers by torch's own operations; from and to NumPy nothing is remembered; sizes as asked."""
    torch.manual_seed(0)
    model = core.mlp_torch.WindowModel(11, 3, 4, 16, layers=2)
    assert [tuple(p.shape) for p in model.parameters()] == [
        (11, 4), (16, 12), (16,), (16, 16), (16,), (11, 16), (11,)]  # fmt: skip
    contexts = np.array([[1, 2, 3], [10, 10, 0]], dtype=np.int16)
    x = model.embedding.weight[torch.from_numpy(contexts).long()].reshape(2, 12)
    for layer in model.hidden:
        x = F.gelu(x @ layer.weight.T + layer.bias, approximate="tanh")
    wanted = x @ model.output.weight.T + model.output.bias
    assert core_close(model.logits_of(contexts), wanted.detach(), 1e-5)
    assert all(p.grad is None for p in model.parameters())


def test_core_adamw_learns(core, capsys):
    """The rule that check_core_learning has by hand, in fewer steps."""
    mlp_torch = core.mlp_torch
    stream, positions = core.data.padded_stream(CORE_RULE, 8)
    torch.manual_seed(1)
    model = mlp_torch.WindowModel(257, 8, 6, 48, layers=2)
    losses = mlp_torch.train_large(model, stream, positions, 200, seed=0)
    bits = core.mlp.bits_of(model.logits_of, stream, positions, 8) / len(CORE_RULE)
    assert 2.0 <= bits < 2.3 and 7.8 < losses[0] < 8.2
    assert "step    200: loss" in capsys.readouterr().out


# --- widths.py ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def core_folder(core, tmp_path_factory):
    """A few stories of the course's own, so that scripts begin at once."""
    folder = tmp_path_factory.mktemp("few")
    for split, n in (("train", 60), ("valid", 5)):
        stories = core.stories.load_split("datasets/stories", "valid")[:n]
        (folder / f"{split}.txt").write_text("\n<|endoftext|>\n".join(stories), encoding="utf-8")
    return folder


def core_right_results():
    """What widths.py found, rounded."""
    contexts = {2000: {1: 3.4, 2: 2.8, 4: 2.44, 8: 2.44, 16: 2.51}, 8000: {2: 2.6, 4: 2.13, 8: 2.08, 16: 2.11}}
    widths = {4: 3.3, 16: 2.9, 64: 2.6, 256: 2.4}
    rates = {rate: (bits, []) for rate, bits in ((0.01, 4.4), (0.1, 3.3), (1.0, 2.4), (10.0, math.nan))}
    batches = {32: (2.6, 2.2), 128: (2.4, 2.4), 512: (2.3, 2.9)}
    return contexts, widths, rates, batches, {0: (8.0, 8.0), 600: (2.4, 3.1), 4000: (1.1, 3.9)}


def test_core_statements_can_fail(core):
    core.widths.check_statements(*core_right_results())
    for i, change in (
            (0, {2000: {1: 3.4, 2: 2.8, 4: 2.9, 8: 2.4, 16: 2.5}}), (0, {8000: {2: 2.6, 4: 2.1, 8: 2.2, 16: 2.1}}),
            (0, {8000: {2: 2.6, 4: 2.13, 8: math.nan, 16: 2.11}}), (0, {8000: {2: 2.6, 4: 2.13, 8: 2.08, 16: 2.2}}),
            (1, {64: 2.9}), (1, {256: math.nan}), (2, {1.0: (3.3, [])}), (2, {10.0: (2.5, [])}),
            (2, {1.0: (math.nan, [])}), (3, {512: (2.5, 2.9)}), (3, {32: (2.6, 3.0)}),
            (4, {4000: (1.1, 3.0)}), (4, {4000: (3.0, 3.9)}), (4, {4000: (math.nan, 3.9)})):  # fmt: skip
        results = core_right_results()
        results[i].update(change)
        with pytest.raises(AssertionError):
            core.widths.check_statements(*results)


def test_core_one_run_of_an_experiment(core, core_folder):
    """The same as by hand; a history where it is asked for; the parts it is scored on are what it says."""
    experiment = core.widths.Experiment(core_folder, 6, seed=3)
    bits, losses, history = experiment.run(K=2, H=5, batch=16, learning_rate=0.5, watch_every=3)
    rng, mlp = core.rng.PCG32(3), core.mlp
    parameters = mlp.first_parameters(rng, 257, 2, core.widths.C, 5)
    stories = [core.stories.load_split(core_folder, split) for split in ("train", "valid")]
    train, valid = (core.data.padded_stream(part, 2) for part in stories)
    assert losses == mlp.train_by_batches(parameters, *train, 6, rng, 16, 0.5)
    assert bits == mlp.bits_of(mlp.logits_by(parameters), *valid, 2) / len(valid[1])
    assert [*history] == [0, 3, 6] and history[6][1] == bits and history[6][0] < history[0][0]


# --- what a learner sees --------------------------------------------------------------------------------------------


def test_core_scripts(run_script, core_folder, clone, tmp_path):
    """Each runs, says its number, draws; the numbers are lines of the scoreboard."""
    by_hand = run_script("mlp/mlp.py", "--data", core_folder, "--steps", 24, "--plot", tmp_path / "curve.svg").stdout
    assert "by loops: loss" in by_hand and "step     24: loss" in by_hand and "nearest rows" in by_hand
    torch_s = run_script("mlp/mlp_torch.py", "--data", core_folder, "--steps", 16, "--threads", 1).stdout
    assert "100 losses, apart by at most" in torch_s and "2 hidden layers" in torch_s
    numbers = [re.search(r"([\d.]+) bits per byte", text)[1] for text in (by_hand, torch_s)]
    lines = [json.loads(line) for line in (clone / "out/scoreboard.jsonl").read_text(encoding="utf-8").splitlines()]
    ours = [line for line in lines if line["chapter"] == "mlp" and line["data"] == str(core_folder)]
    assert [line["bpb"] for line in ours] == [float(number) for number in numbers] and all(x["bpb"] < 8.1 for x in ours)
    result = run_script("mlp/widths.py", "--data", core_folder, "--steps", 8, "--plot", tmp_path / "widths.svg")
    assert "context K, 32 steps" in result.stdout and "20 stories only" in result.stdout
    for name in ("curve", "widths", "training"):
        file = tmp_path / f"{name}.svg"
        assert ElementTree.parse(file).getroot().tag.endswith("svg") and file.stat().st_size < 150_000


def test_core_the_lesson_s_pictures_are_small(root):
    for name in ("curve", "network", "widths", "training"):
        assert 1_000 < (root / f"mlp/figures/{name}.svg").stat().st_size < 150_000


def test_core_running_means(core):
    steps, means = core.draw.running_means([1.0, 2, 3, 4], 2)
    assert steps.tolist() == [1, 2, 3] and means.tolist() == [1.5, 2.5, 3.5]
    assert core.draw.running_means([1.0, 3.0], 100)[1].tolist() == [2.0]
    assert [core.draw.rounded(x) for x in (1.0, -0.5, 0.12345, -0.0001, -1.9996)] == ["1", "-0.5", "0.123", "0", "-2"]


@pytest.mark.parametrize("script, flags, fault", [
    ("mlp", ["--data", "nowhere"], "nowhere"), ("mlp", ["--steps", "0"], "whole number"),
    ("widths", ["--seed", "-1"], "whole number"),
])  # fmt: skip
def test_core_mistakes_on_the_command_line(run_script, script, flags, fault):
    result = run_script(f"mlp/{script}.py", *flags, status=2)
    assert fault in result.stderr and "Traceback" not in result.stderr


# --- exercises ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["smoothed_cross_entropy", "backward_direct"])
def test_core_answers(answers, core, name):
    core.checks.CHECKS[name](getattr(answers("mlp"), name))


def test_core_checks_notice_wrong_answers(core):
    right, mlp, checks = core.solutions, core.mlp, core.checks.CHECKS
    assert [*checks] == ["smoothed_cross_entropy", "backward_direct"]

    def overflows(logits, targets, smoothing):
        loss, gradient = right.smoothed_cross_entropy(logits, targets, smoothing)
        return loss + 0 * np.exp(logits).sum(), gradient

    def plain_gradient(logits, targets, smoothing):
        return right.smoothed_cross_entropy(logits, targets, smoothing)[0], mlp.cross_entropy(logits, targets)[1]

    def others_only(logits, targets, smoothing):  # the target has no part of what all share
        V = logits.shape[1]
        return right.smoothed_cross_entropy(logits, targets, smoothing * V / (V - 1))

    def one_path(parameters, kept, dz):
        without = {name: array for name, array in parameters.items() if name != "w3"}
        return {**mlp.backward(without, kept, dz), "w3": kept[1].T @ dz}

    def no_w3(parameters, kept, dz):
        return {name: g for name, g in right.backward_direct(parameters, kept, dz).items() if name != "w3"}

    def row_once(parameters, kept, dz):
        gradients = one_path(parameters, kept, dz)
        gradients["table"][kept[0]] += (dz @ parameters["w3"].T).reshape(*kept[0].shape, -1)
        return gradients

    wrong = {"smoothed_cross_entropy": [overflows, plain_gradient, others_only],
             "backward_direct": [one_path, no_w3, row_once]}  # fmt: skip
    for name, functions in wrong.items():
        for answer in functions:
            with np.errstate(all="ignore"), pytest.raises(AssertionError):
                checks[name](answer)


def test_core_the_exercises_say_what_passes(run_script):
    assert run_script("mlp/solutions.py").stdout.count("passes") == 2
    run_script("mlp/exercises.py", status=None)  # the reader's: in whatever state


# ==== tensors =====================================================================================================


COMPILER = os.environ.get("CC", "cc")


@pytest.fixture(scope="module")
def tensor_modules(chapter):
    """The chapter's modules, csrc/build/tensor.so built; skips where there is nothing to build it with."""
    if not (shutil.which(COMPILER) and shutil.which("make")):
        pytest.skip("needs make and a C compiler (Debian, Ubuntu: apt-get install make gcc)")
    chapter("mlp").ctensor.library()
    return chapter("mlp")


@pytest.fixture
def CTensor(tensor_modules):
    return tensor_modules.ctensor.CTensor


@pytest.fixture
def ListTensor(tensor_modules):
    return tensor_modules.strided.ListTensor


def array(*shape):
    """0, 1, 2, … as float32."""
    return np.arange(math.prod(shape), dtype=np.float32).reshape(shape)


# --- chains of random operations, in C, pure Python, NumPy and torch ----------------------------------------------
#
# A Quartet is one tensor four times. Every step is done to all of them; then numbers and shapes, strides (where there
# is a step), offsets, and whether the step copied must agree. Numbers are small and whole, so all of them are exact.
# torch has no negative strides: after one, it is left out (None) until the next result of arithmetic.


class Quartet:
    def __init__(self, modules, numbers):
        numbers = np.array(numbers, dtype=np.float32, order="C")
        self.modules, self.root = modules, numbers  # root: the NumPy array whose memory the others look at
        self.numpy, self.torch = numbers, torch.from_numpy(numbers.copy())
        self.c = modules.ctensor.CTensor(numbers)
        self.list = modules.strided.ListTensor(numbers.ravel().tolist(), numbers.shape)

    def step(self, name, *arguments):
        """A Quartet of the results of a view's step, checked. Views share the root."""
        result = object.__new__(Quartet)
        result.modules, result.root = self.modules, self.root
        theirs = VIEWS[name]["numpy"](self.numpy, *arguments)
        by_torch = VIEWS[name].get("torch", VIEWS[name]["c"])
        negative = name == "index" and any(isinstance(entry, slice) and (entry.step or 1) < 0 for entry in arguments[0])
        result.numpy = np.asarray(theirs)
        result.torch = None if self.torch is None or negative else by_torch(self.torch, *arguments)
        result.c, result.list = (VIEWS[name]["c"](x, *arguments) for x in (self.c, self.list))
        what = f"{name}{arguments} of shape {self.numpy.shape}, strides {self.c.strides}"
        copied = not np.shares_memory(self.root, result.numpy)
        if result.numpy.size:
            storages = [ctypes.addressof(x.c.storage.contents) for x in (self.c, result.c)]
            assert (storages[0] != storages[1]) == copied, f"differ: C copied, or NumPy: {what}"
            assert (result.list.storage is not self.list.storage) == copied, f"differ: Python copied, or NumPy: {what}"
            assert self.c.shares_storage(result.c) == (not copied), f"differ: what C shares: {what}"
            if result.torch is not None:
                data = [x.untyped_storage().data_ptr() for x in (self.torch, result.torch)]
                assert (data[0] != data[1]) == copied, f"differ: torch copied, or NumPy: {what}"
        if copied and result.numpy.size:
            result.root = result.numpy
        result.compare(what)
        return result

    def compare(self, what):
        strides = {"numpy": [n // 4 for n in self.numpy.strides], "c": self.c.strides, "list": self.list.strides}
        if self.torch is not None:
            strides["torch"] = self.torch.stride()
            assert torch.equal(torch.from_numpy(self.numpy.copy()), self.torch), f"the references differ: {what}"
        assert self.c.shape == self.list.shape == self.numpy.shape, f"shapes differ: {what}"
        assert np.array_equal(self.c.numpy(), self.numpy), f"numbers in C differ: {what}"
        assert self.list.numbers() == self.numpy.ravel().tolist(), f"numbers in Python differ: {what}"
        if self.numpy.size == 0:
            return
        steps = {who: [stride for n, stride in zip(self.numpy.shape, given) if n > 1] for who, given in strides.items()}
        assert all(given == steps["numpy"] for given in steps.values()), f"strides differ: {steps}: {what}"
        offset = (self.numpy.__array_interface__["data"][0] - self.root.__array_interface__["data"][0]) // 4
        offsets = {offset, self.c.offset, self.list.offset}
        offsets |= set() if self.torch is None else {self.torch.storage_offset()}
        assert len(offsets) == 1, f"offsets differ: {offsets}: {what}"
        assert self.c.is_contiguous() == self.numpy.flags.c_contiguous, f"contiguous differs: {what}"

    def arithmetic(self, name, *arguments):
        """A Quartet of new results, checked. Where torch has lost the way, it goes on with NumPy's."""
        operands = [self, *(argument for argument in arguments if isinstance(argument, Quartet))]

        def by(who):
            everything = (getattr(a, who) if isinstance(a, Quartet) else a for a in (self, *arguments))
            return ARITHMETIC[name][who](*everything)

        fresh = Quartet(self.modules, by("numpy"))
        fresh.c = by("c")
        if all(operand.torch is not None for operand in operands):
            fresh.torch = by("torch").clone(memory_format=torch.contiguous_format)
        if "list" in ARITHMETIC[name]:
            by_lists = by("list")
            fresh.list = self.modules.strided.ListTensor(by_lists.numbers(), by_lists.shape)
        what = f"{name}{[operand.numpy.shape for operand in operands]}{arguments if len(operands) == 1 else ''}"
        assert not any(fresh.c.shares_storage(operand.c) for operand in operands), f"what C shares differs: {what}"
        fresh.compare(what)
        return fresh


def view_or_error(x, shape):
    """x in another shape without a copy, by any of the four; None where they refuse."""
    try:
        if isinstance(x, np.ndarray):
            return np.reshape(x, shape, copy=False)
        return x.view(shape)
    except (ValueError, RuntimeError):
        return None


def list_sum(x, axis, keepdims):
    """A ListTensor sums along one axis: here along several, one after the other."""
    axes = range(len(x.shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    for k in sorted((k % len(x.shape) for k in axes), reverse=True):
        shape = x.shape
        x = x.sum(k)
        x = x[(slice(None),) * k + (None,)] if keepdims else x
        assert len(x.shape) == len(shape) - (not keepdims)
    return x


VIEWS = {
    "permute": {"c": lambda x, axes: x.permute(*axes), "numpy": lambda x, axes: x.transpose(axes),
                "torch": lambda x, axes: x.permute(axes)},
    # NumPy makes a single number of an index that names one, unless ... is in it.
    "index": {"c": lambda x, index: x[index],
              "numpy": lambda x, index: x[index if Ellipsis in index else (*index, Ellipsis)]},
    "expand": {"c": lambda x, shape: x.expand(*shape), "numpy": np.broadcast_to,
               "torch": lambda x, shape: x.expand(shape)},
    "reshape": {"c": lambda x, shape: x.reshape(*shape), "numpy": lambda x, shape: x.reshape(shape),
                "torch": lambda x, shape: x.reshape(shape)},
}  # fmt: skip
ARITHMETIC = {
    "add": dict.fromkeys(("c", "numpy", "torch", "list"), lambda a, b: a + b),
    "subtract": dict.fromkeys(("c", "numpy", "torch", "list"), lambda a, b: a - b),
    "multiply": dict.fromkeys(("c", "numpy", "torch", "list"), lambda a, b: a * b),
    "matmul": dict.fromkeys(("c", "numpy", "torch", "list"), lambda a, b: a @ b),
    "larger": {"c": lambda a, b: a.maximum(b), "numpy": np.maximum, "torch": torch.maximum},
    "sum": {"c": lambda x, axis, keep: x.sum(axis, keepdims=keep), "list": list_sum,
            "numpy": lambda x, axis, keep: x.sum(axis, keepdims=keep),
            "torch": lambda x, axis, keep: x.sum(tuple(range(x.ndim)) if axis is None else axis, keepdim=keep)},
    "max": {"c": lambda x, axis, keep: x.max(axis, keepdims=keep),
            "numpy": lambda x, axis, keep: x.max(axis, keepdims=keep),
            "torch": lambda x, axis, keep: x.amax(tuple(range(x.ndim)) if axis is None else axis, keepdim=keep)},
}  # fmt: skip


def random_index(rng, shape):
    """Slices with steps of any sign, numbers from either end, None; for some of the axes, or with ... for others."""
    index = []
    for n in shape:
        kind = rng.randrange(5)
        entry = slice(None)
        if kind == 0 and n:
            entry = rng.randrange(-n, n)
        elif kind == 1:
            entry = slice(None, None, rng.choice([-1, 2, -2, 3, 1]))
        elif kind == 2:
            ends = [rng.choice([None, rng.randint(-n - 2, n + 2)]) for _ in range(2)]
            entry = slice(*ends, rng.choice([None, 1, 2, -1]))
        index.append((entry, None) if rng.random() < 0.15 else (entry,))
    first = rng.randint(0, len(index))
    last = rng.randint(first, len(index)) if rng.random() < 0.4 else len(index)
    dots = (Ellipsis,) if last < len(index) or rng.random() < 0.4 else ()
    return sum(index[:first], ()) + dots + sum(index[last:], ())


def random_factors(rng, count):
    """A shape for this many numbers, sometimes with axes of size 1."""
    shape = []
    while count > 1 and len(shape) < 4:
        n = rng.choice([n for n in range(1, count + 1) if count % n == 0])
        shape.append(n)
        count //= n
    return tuple(shape + [count] if count != 1 or rng.random() < 0.3 else shape)


def random_partner(rng, shape):
    """A shape that broadcasts with this one."""
    partner = [rng.randint(1, 3) if n == 1 else rng.choice([1, n, n]) for n in shape[rng.randint(0, len(shape)):]]
    return (2,) * (rng.random() < 0.1 and len(partner) == len(shape)) + tuple(partner)


def small_numbers(rng, shape):
    return np.array([rng.randint(-4, 4) for _ in range(math.prod(shape))], dtype=np.float32).reshape(shape)


def random_step(rng, x):
    """One step from the Quartet x; None where the chain should end. Counts nothing, checks all."""
    shape, ndim = x.numpy.shape, x.numpy.ndim
    names = ["permute", "index", "index", "expand", "reshape", "reshape", "view", "two", "matmul", "sum", "max"]
    name = rng.choice(names)
    if name == "permute":
        return name, x.step(name, rng.sample(range(ndim), ndim))
    if name == "index":
        return name, x.step(name, random_index(rng, shape))
    if name == "expand":
        wide = tuple(rng.randint(0, 3) if n == 1 and rng.random() < 0.7 else n for n in shape)
        return name, x.step(name, (rng.randint(1, 3),) * rng.randint(0, 1) + wide)
    if name == "reshape":
        return name, x.step(name, random_factors(rng, x.numpy.size))
    if name == "view":
        wanted = random_factors(rng, x.numpy.size)
        views = [view_or_error(t, wanted) for t in (x.numpy, x.c, x.torch) if t is not None]
        assert len({view is None for view in views}) == 1, f"views differ: {shape}, strides {x.c.strides} as {wanted}"
        return name, x if views[0] is None else x.step("reshape", wanted)
    if name == "two":
        other = Quartet(x.modules, small_numbers(rng, random_partner(rng, shape)))
        operation = rng.choice(["add", "subtract", "multiply", "larger"])
        return name, (x.arithmetic(operation, other) if rng.random() < 0.5 else other.arithmetic(operation, x))
    if name == "matmul":
        if ndim < 2:
            return name, x
        batch = random_partner(rng, shape[:-2])
        other = Quartet(x.modules, small_numbers(rng, (*batch, shape[-1], rng.randint(1, 3))))
        return name, x.arithmetic(name, other)
    if ndim == 0 or (name == "max" and x.numpy.size == 0):
        return name, x
    axes = rng.choice([None, rng.randrange(-ndim, ndim), tuple(rng.sample(range(ndim), rng.randint(1, ndim)))])
    return name, x.arithmetic(name, axes, rng.random() < 0.5)


def check_chains(modules, seed, count):
    """Does `count` chains of up to ten steps. Returns how often each step was made."""
    rng, done = random.Random(seed), {"a reshape that copies": 0}
    for _ in range(count):
        x = Quartet(modules, small_numbers(rng, [rng.randint(1, 4) for _ in range(rng.randint(0, 4))]))
        for _ in range(10):
            before = x
            name, x = random_step(rng, x)
            done[name] = done.get(name, 0) + 1
            done["a reshape that copies"] += name == "reshape" and x.root is not before.root
            if not 1 < x.numpy.size < 300 or x.numpy.ndim > 5 or np.abs(x.numpy).max() > 1000:
                break
    return done


@pytest.mark.parametrize("seed", range(4))
def test_thousands_of_chains(tensor_modules, seed):
    done = check_chains(tensor_modules, seed, 800)
    assert sum(done.values()) > 2500 and min(done.values()) > 25 and len(done) == 10, done


# --- planted bugs -------------------------------------------------------------------------------------------------


class Modules:
    def __init__(self, strided, ctensor):
        self.strided, self.ctensor = strided, ctensor


def is_noticed(modules):
    """Runs the chains; a bug may also make an operation refuse what it should do."""
    try:
        check_chains(modules, 9, 300)
    except AssertionError as error:
        return "differ" in str(error)
    except (ValueError, IndexError):
        return True
    return False


PLANTED_IN_STRIDED = {
    "the offset is forgotten": ("return self.offset + sum(", "return sum("),
    "a slice keeps its stride": ("strides.append(step * stride)", "strides.append(stride)"),
    "a slice begins at 0": ("offset, axis = offset + start * stride, axis + 1", "axis = axis + 1"),
    "an index from the end is not": ("start %= n", "start = abs(start)"),
    "strides are not turned": ("[self.strides[axis] for axis in axes]", "list(self.strides)"),
    "what is repeated keeps its stride": ("[stride if n == m else 0 for", "[stride for"),
    "every reshape is a view": ("            return None\n", "            pass\n"),
    "no reshape is a view": ("if strides is None:", "if strides is None or len(strides) > 1:"),
    "axes of size 1 break a run": ("elif n != 1:", "else:"),
    "runs are joined too soon": ("stride == runs[-1][0] * runs[-1][1]", "stride >= runs[-1][0] * runs[-1][1]"),
    "runs are never joined": ("if runs and n != 1 and", "if False and"),
    "a sum writes, not adds": ("totals.storage[total] += ", "totals.storage[total] = "),
    "a sum along another axis": ("1 if k == axis else n for", "1 if k == 0 else n for"),
    "strides of the first axis": ("shape[axis + 1:]", "shape[:axis]"),
}


@pytest.mark.parametrize("bug", PLANTED_IN_STRIDED)
def test_a_bug_planted_in_strided_is_noticed(tensor_modules, planted, bug):
    assert is_noticed(Modules(planted("strided", *PLANTED_IN_STRIDED[bug]), tensor_modules.ctensor))


PLANTED_IN_C = {
    "a slice keeps its stride": ("tensor.h", "strides[axis] = step * stride;", "strides[axis] = stride;"),
    "a reversed slice begins at 0": ("tensor.h", ": step > 0 ? low : high;", ": low < 0 ? 0 : low;"),
    "a slice is one too short": ("tensor.h", "(way - 1) / (step > 0 ? step : -step) + 1", "way / llabs(step)"),
    "an index from the end": ("tensor.h", "*result, index < 0 ? index + n : index,", "*result, llabs(index),"),
    "strides are not turned": ("tensor.h", "(*result)->strides[k] = t->strides[axis];", ""),
    "what is repeated is not": ("tensor.h", "k >= missing && n == shape[k] ?", "k >= missing ?"),
    "every reshape is a view": ("tensor.h", "if (left % shape[axis] != 0) return false;", ""),
    "runs are joined too soon": ("tensor.h", "stride == counts[runs - 1] * strides[runs - 1]", "runs"),
    "runs are never joined": ("tensor.h", "if (runs && stride ==", "if (0 && stride =="),
    "all is contiguous": ("tensor.h", "if (t->shape[axis] > 1 && t->strides[axis] != step) return false;", ""),
    "joined for one operand only": ("tensor.c", "k < walk->operands; k++)\n        if", "k < 1; k++)\n        if"),
    "axes exchanged for one operand": (
        "tensor.c", "k < walk->operands; k++) {\n        int64_t stride", "k < 1; k++) {\n        int64_t stride"
    ),
    "a step back is forgotten": ("tensor.c", "inside ? 1 : 1 - walk->shape[axis]", "1"),
    "the offset is forgotten": ("tensor.c", "add_operand(&walk, wide_b->offset,", "add_operand(&walk, 0,"),
    "minus is plus": ("tensor.c", "EACH(x - y)", "EACH(x + y)"),
    "a sum without its last numbers": ("tensor.c", "for (; i < n; i++) *total +=", "for (; i < 0; i++) *total +="),
    "a product along the wrong stride": ("tensor.c", "b[k * p->strides[2][0]]", "b[k * p->strides[2][1]]"),
    "the largest is at least 0": ("tensor.c", "totals[i] = -INFINITY", "totals[i] = 0"),
}


def c_tests_pass(root, folder, file="tensor.c", old="", new=""):
    """Whether csrc/test_tensor.c passes with one text changed; a program of its own, since a bug may end it."""
    for name in ("rng.h", "tensor.h", "tensor.c", "test_tensor.c"):
        text = (root / "csrc" / name).read_text(encoding="utf-8")
        assert name != file or old in text, f"{name} no longer has {old!r}: plant the bug anew"
        (folder / name).write_text(text.replace(old, new) if name == file and old else text)
    flags = ["-std=c11", "-O0", "-ffp-contract=off", "-w"]
    subprocess.run([COMPILER, *flags, "-o", folder / "test", folder / "test_tensor.c", "-lm"], check=True)
    return subprocess.run([folder / "test"], capture_output=True, timeout=60).returncode == 0


@pytest.mark.parametrize("bug", PLANTED_IN_C)
def test_a_bug_planted_in_c_is_noticed(tensor_modules, root, tmp_path, bug):
    assert not c_tests_pass(root, tmp_path, *PLANTED_IN_C[bug])


def test_the_unplanted_c_passes(tensor_modules, root, tmp_path):
    assert c_tests_pass(root, tmp_path)


# --- arithmetic that is not exact ---------------------------------------------------------------------------------


def near(ours, theirs, rtol=1e-6):
    """Same shape, and as close as float32 can be asked to be; NaN only where the other has it."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape or not (np.isnan(ours) == np.isnan(theirs)).all():
        return False
    with np.errstate(invalid="ignore"):
        return bool(((ours == theirs) | np.isnan(ours) | (np.abs(ours - theirs) <= rtol * np.abs(theirs))).all())


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 88.0, 89.0, -104.0, 1e-40, 3e38, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sqrt", "negative"])
@pytest.mark.parametrize("rung", [1, 2, 3])
def test_functions_of_one_tensor(tensor_modules, name, rung):
    numbers = np.concatenate([np.random.default_rng(1).normal(0, 3, 387), SPECIAL])
    numbers = numbers.astype(np.float32).reshape(20, 20).T
    ours = tensor_modules.ctensor.elements(name, tensor_modules.ctensor.CTensor.from_numpy(numbers), None, rung)
    theirs = torch.from_numpy(numbers.copy()).double()
    assert near(ours, (-theirs if name == "negative" else getattr(theirs, name)()).float())


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "power", "maximum"])
@pytest.mark.parametrize("rung", [1, 2, 3])
def test_functions_of_two_tensors(tensor_modules, name, rung):
    numbers = np.concatenate([np.random.default_rng(2).normal(0, 3, 17), SPECIAL]).astype(np.float32)
    a, b = numbers.repeat(30).reshape(30, 30), np.tile(numbers, (30, 1))
    ctensor = tensor_modules.ctensor
    operation = "larger" if name == "maximum" else name
    ours = ctensor.elements(operation, ctensor.CTensor(a), ctensor.CTensor(numbers), rung)
    with np.errstate(all="ignore"):
        assert near(ours, getattr(np, name)(a.astype(np.float64), b.astype(np.float64)).astype(np.float32))


def test_operators_with_numbers_and_arrays(CTensor):
    x, t = array(2, 3) + 1, CTensor(array(2, 3) + 1)
    for ours, theirs in [
        (t + 1, x + 1), (1 - t, 1 - x), (t * 2.5, x * 2.5), (1 / t, 1 / x), (t**2, x**2), (2**t, 2**x), (-t, -x),
        (x + t, x + x), (t / x[0], x / x[0]), (x[0] - t, x[0] - x), (x.T @ t, x.T @ x), (t @ x.T, x @ x.T),
        (t.sum(), x.sum()), (t.maximum(3), np.maximum(x, 3)),
    ]:  # fmt: skip
        assert isinstance(ours, CTensor) and near(ours, theirs.astype(np.float32))


def test_a_long_sum_keeps_its_digits(CTensor):
    """A float32 that adds up a million numbers loses digits; the totals here are float64."""
    numbers = np.random.default_rng(3).uniform(0, 1, 10**6).astype(np.float32)
    exact = math.fsum(numbers.tolist())
    assert CTensor.from_numpy(numbers).sum().item() == np.float32(exact)
    assert CTensor.from_numpy(numbers.reshape(1000, 1000)).T.sum((0, 1)).item() == np.float32(exact)
    naive = np.float32(0)
    for number in numbers[:20000]:
        naive += number
    assert naive != np.float32(math.fsum(numbers[:20000].tolist()))


def test_reductions_of_nothing_and_of_nan(CTensor):
    empty = CTensor.zeros(0, 3)
    assert empty.sum(0).tolist() == [0, 0, 0] and empty.sum().item() == 0 and empty.sum(1).shape == (0,)
    assert empty.max(1).shape == (0,)
    with pytest.raises(ValueError, match="none is the largest"):
        empty.max(0)
    for place in range(3):
        numbers = np.ones((3, 2), np.float32)
        numbers[place, 0] = math.nan
        top = CTensor(numbers).max(0).tolist()
        assert math.isnan(top[0]) and top[1] == 1
    assert CTensor([-math.inf, -math.inf]).max().item() == -math.inf


# --- memory: who keeps it, who frees it ---------------------------------------------------------------------------


def test_the_reference_count(CTensor):
    t = CTensor.zeros(3, 4)
    views = [t.T, t[1:], t[0].expand(5, 4), t.reshape(12), t.contiguous(), t[:, None]]
    assert t.references == 7 and views[-1].references == 7
    copies = [t.copy(), t.T.contiguous(), t.T.reshape(12), t + 1, t.sum(0)]
    assert t.references == 7 and [c.references for c in copies] == [1] * 5
    last = views.pop()
    del t, views
    gc.collect()
    assert last.references == 1 and last.tolist() == [[[0.0] * 4]] * 3
    for wrong in (lambda: last[9], lambda: last.view(5), lambda: last.expand(2), lambda: last @ last,
                  lambda: last + [1, 2, 3]):  # fmt: skip
        with pytest.raises((ValueError, IndexError)):
            wrong()
    assert last.references == 1


def test_nothing_leaks(CTensor):
    """A thousand results of 4 MB, ten thousand views and failures: the process does not grow."""
    big, small = CTensor.zeros(1000, 1000), CTensor.zeros(3, 4)

    def work(rounds):
        for _ in range(rounds):
            big.T.reshape(-1)
        for _ in range(rounds * 10):
            small[1:, ::-1].T.sum(0)
            with pytest.raises(ValueError):
                small.T.view(12)

    work(3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work(100)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB
    assert grown < 50_000 and big.references == small.references == 1


def test_a_numpy_array_of_a_tensor_shares_and_keeps_it(CTensor):
    t = CTensor.arange(12).reshape(3, 4)
    for view, theirs in [(t, array(3, 4)), (t.T, array(3, 4).T), (t[::-1, ::2], array(3, 4)[::-1, ::2]),
                         (t[2], array(3, 4)[2]), (t[1, 1], array(3, 4)[1, 1]), (t[:0], array(0, 4))]:  # fmt: skip
        seen = np.asarray(view)
        assert seen.tolist() == theirs.tolist() and seen.dtype == np.float32 and seen.shape == theirs.shape
        assert seen.size == 0 or np.shares_memory(seen, np.asarray(t))
        assert seen.strides == theirs.strides or seen.ndim == 0 or seen.size == 0
    seen = t.T.numpy()
    seen[1, 2] = 70
    assert t.item(2, 1) == 70
    t[2, 1] = 80
    assert seen[1, 2] == 80
    gone = weakref.ref(t)
    del t, view
    gc.collect()
    assert gone() is None and seen[1, 2] == 80 and seen[3].tolist() == [3, 7, 11]
    assert not CTensor([1, 2]).expand(2, 2).numpy().flags.writeable
    assert CTensor.zeros(2, 2).numpy().flags.writeable


def test_a_tensor_of_a_numpy_array_shares_and_keeps_it(CTensor):
    base = array(4, 6)
    for numbers in (base, base.T, base[::-1], base[1:3, ::-2], base[:, 2], base[2:2], np.array(5, np.float32)):
        t = CTensor.from_numpy(numbers)
        assert t.tolist() == numbers.tolist() and t.shape == numbers.shape
        assert numbers.size == 0 or np.shares_memory(t.numpy(), numbers)
        assert all(s == b // 4 for n, s, b in zip(t.shape, t.strides, numbers.strides) if n > 1 and numbers.size)
    t = CTensor.from_numpy(base[::-1])
    assert t.offset == 18 and t.strides == (-6, 1)
    t[0, 0] = 99
    assert base[3, 0] == 99
    assert t.shares_storage(CTensor.from_numpy(base)) and not t.shares_storage(t.copy())
    owner = array(3, 4)[:]
    gone, t = weakref.ref(owner), CTensor.from_numpy(owner)
    view, copy = t.T[1:], t.T.reshape(12)
    del owner, t
    gc.collect()
    assert gone() is not None and view.tolist() == array(3, 4).T[1:].tolist()
    del view
    gc.collect()
    assert gone() is None and copy.tolist() == array(3, 4).T.ravel().tolist()


def test_an_array_that_cannot_be_shared_is_copied(CTensor):
    read_only = array(3)
    read_only.flags.writeable = False
    packed = np.zeros(3, dtype=[("a", "i1"), ("x", "<f4")])["x"]  # five bytes apart
    for numbers in (np.arange(3), np.arange(3.0), np.arange(3, dtype=">f4"), np.array([True, False]), read_only,
                    packed, packed[:1], np.broadcast_to(array(3), (2, 3)), [[1, 2], [3, 4]], 3.5):  # fmt: skip
        t = CTensor.from_numpy(numbers)
        assert t.tolist() == np.asarray(numbers).tolist()
        assert not np.shares_memory(t.numpy(), np.asarray(numbers))
        t.fill(7)
    assert read_only.tolist() == [0, 1, 2]
    for wrong in (["a", "b"], [1j], np.array([None]), np.array(["2024"], "datetime64[Y]")):
        with pytest.raises(TypeError, match="holds numbers"):
            CTensor.from_numpy(wrong)


def test_views_in_several_threads(CTensor):
    """C runs without Python's lock, so the count must be atomic."""
    t = CTensor.zeros(3, 4)

    def work():
        for _ in range(2000):
            t.T[1:].reshape(-1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert t.references == 1


def test_the_planted_owner_is_noticed(planted, tensor_modules):
    """Views that do not keep a borrowed array alive would read freed memory: the check above sees it."""
    module = planted("ctensor", "result.keep = t.keep", "pass")
    owner = array(3, 4)[:]
    gone, view = weakref.ref(owner), module.CTensor.from_numpy(owner).T
    del owner
    gc.collect()
    assert gone() is None
    del view


# --- writing ------------------------------------------------------------------------------------------------------


def test_writing(CTensor):
    for index, value in [
        ((0, 1), 5), (slice(None, None, -1), array(3, 4)), ((slice(None), 1), array(3) * 10), (..., 3), (2, array(4)),
        ((slice(0, 2), slice(1, 3)), array(2)), ((slice(None), None, 2), array(3, 1)), (slice(3, 3), 8),
    ]:  # fmt: skip
        x, t = array(3, 4), CTensor.arange(12).reshape(3, 4)
        x[index], t[index] = value, value
        assert t.tolist() == x.tolist()
    rng = random.Random(5)
    for _ in range(300):  # from one part of a storage to another, which may overlap
        x = array(4, 5)
        t, index, other = CTensor(x), random_index(rng, (4, 5)), random_index(rng, (4, 5))
        if np.shape(x[index]) == np.shape(x[other]):
            x[index] = x[other].copy()
            t[index] = t[other]
            assert t.tolist() == x.tolist()
    t = CTensor.arange(3)
    t[::-1] = t
    assert t.tolist() == [2, 1, 0]
    shared = CTensor.from_numpy(x := array(6))
    shared[1:] = CTensor.from_numpy(x[:-1])  # two storages, one memory
    assert x.tolist() == [0, 0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="share one place"):
        CTensor.zeros(3).expand(2, 3)[...] = 1
    with pytest.raises(ValueError, match="do not broadcast"):
        CTensor.zeros(3)[:2] = [1, 2, 3]
    with pytest.raises(ValueError, match="share one place"):
        CTensor.zeros(1).expand(2).fill(1)


# --- mistakes -----------------------------------------------------------------------------------------------------

MISTAKES = [
    (lambda t, T: T.zeros(-1), ValueError, "negative"),
    (lambda t, T: T.zeros(2**40, 2**40), ValueError, "too many numbers"),
    (lambda t, T: T.zeros(2**29, 2**30), MemoryError, "not enough memory"),
    (lambda t, T: t[..., None, None].expand(3, 4, 2**27, 2**29) + 1, MemoryError, "not enough memory"),
    (lambda t, T: T.zeros(2**70), OverflowError, "64 bits"),
    (lambda t, T: T.zeros(*[1] * 9), ValueError, "8 axes"),
    (lambda t, T: T.zeros(1.5), TypeError, "float"),
    (lambda t, T: T(np.zeros([1] * 9)), ValueError, "8 axes"),
    (lambda t, T: t[3], IndexError, "outside"),
    (lambda t, T: t[0, -5], IndexError, "outside"),
    (lambda t, T: t[2**63], OverflowError, "64 bits"),
    (lambda t, T: t[0, 0, 0], IndexError, "3 axes"),
    (lambda t, T: t[..., ...], IndexError, "2 times"),
    (lambda t, T: t[::0], ValueError, "step is 0"),
    (lambda t, T: t[[0, 1]], TypeError, "index"),
    (lambda t, T: t[True], TypeError, "index"),
    (lambda t, T: t[1.0], TypeError, "index"),
    (lambda t, T: t["a":], TypeError, "str"),
    (lambda t, T: t.permute(0), IndexError, "each of the 2 axes"),
    (lambda t, T: t.permute(0, 0), IndexError, "named twice"),
    (lambda t, T: t.transpose(0, 2), IndexError, None),
    (lambda t, T: t.expand(3, 5), ValueError, "do not broadcast"),
    (lambda t, T: t.expand(4), ValueError, "do not broadcast"),
    (lambda t, T: t.reshape(5, -1), ValueError, "another count"),
    (lambda t, T: t.reshape(-1, -1), ValueError, "negative"),
    (lambda t, T: t.T.view(12), ValueError, "only a copy"),
    (lambda t, T: t + T.zeros(3), ValueError, r"\(3, 4\) and \(3,\)"),
    (lambda t, T: t + "a", TypeError, "holds numbers"),
    (lambda t, T: t @ t, ValueError, "inner sizes"),
    (lambda t, T: t @ T.zeros(4), ValueError, "two axes"),
    (lambda t, T: t.sum(2), IndexError, "no such axis"),
    (lambda t, T: t.sum((0, -2)), IndexError, "named twice"),
    (lambda t, T: t.item(), ValueError, "one number"),
    (lambda t, T: t.item(0, 4), IndexError, "outside"),
    (lambda t, T: len(t[0, 0]), TypeError, "no length"),
    (lambda t, T: t.fill("a"), ValueError, "a"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_mistakes_with_tensors(CTensor, number):
    mistake, error, says = MISTAKES[number]
    t = CTensor.arange(12).reshape(3, 4)
    with pytest.raises(error, match=says):
        mistake(t, CTensor)
    assert t.references == 1 and t.tolist() == array(3, 4).tolist()


def test_mistakes_with_lists(ListTensor):
    t = ListTensor([float(n) for n in range(12)], (3, 4))
    for mistake, error in [
        (lambda: t[3], IndexError), (lambda: t[0, 0, 0], IndexError), (lambda: t[::0], ValueError),
        (lambda: t["a"], TypeError), (lambda: t.permute(0, 0), IndexError), (lambda: t.expand(3, 5), ValueError),
        (lambda: t.expand(4), ValueError), (lambda: t.reshape(5), ValueError), (lambda: t + t.T, ValueError),
        (lambda: t @ t, ValueError), (lambda: t[:, :1] @ t, ValueError), (lambda: t.sum(2), IndexError),
    ]:  # fmt: skip
        with pytest.raises(error):
            mistake()


def test_slices_that_reach_far(CTensor):
    x, t = array(5), CTensor.arange(5)
    for index in (slice(-(2**70), 2**70), slice(2**70, -(2**70), -1), slice(0, 5, 2**70), slice(None, None, -(2**70))):
        assert t[index].tolist() == x[index].tolist()


def test_small_things(CTensor):
    t = CTensor([[1, 2], [3, 4]])
    assert "strides=(2, 1)" in repr(t) and [row.tolist() for row in t] == [[1, 2], [3, 4]] and len(t) == 2
    assert t[0, 1].shape == () and t[0, 1].item() == 2 and t.sum().item() == 10 and t[()].tolist() == t.tolist()
    assert t.transpose(0, 1).tolist() == t.T.tolist() == t.transpose(-1, -2).tolist() and t.reshape((4,)).shape == (4,)
    assert t.view(-1).strides == (1,) and t.reshape([2, -1]).shape == (2, 2) and t[np.int64(1), 0].item() == 3
    assert CTensor(5).shape == () and CTensor(5).T.item() == 5 and CTensor([]).tolist() == []
    assert CTensor.zeros(0, 3).reshape(3, 0, 2).shape == (3, 0, 2) and CTensor.zeros(0, 3).T.view(7, 0).shape == (7, 0)
    source = array(2, 2)
    assert not np.shares_memory(CTensor(source).numpy(), source)


def test_c_s_constants(tensor_modules, root):
    """What ctensor.py takes from csrc/tensor.c and tensor.h is the same there, and in the same order."""
    module = tensor_modules.ctensor
    text = "".join((root / "csrc" / name).read_text() for name in ("tensor.h", "tensor.c"))
    listed = text.partition("COPY, NEG")[2].partition("OPERATIONS")[0].lower()
    listed = ("copy, neg" + listed).replace("// of one tensor", "").replace("// of two", "").replace(",", " ")
    assert listed.split() == module.ELEMENTS
    assert f"AXES = {module.AXES} " in text and f"RUNGS = {module.RUNGS} " in text
    assert "SUM, MAXIMUM, REDUCTIONS" in text
    message = module.library().tensor_message
    assert [message(n) for n in (1, 5, 6)] == [b"not enough memory", b"there is no such axis, or one is named twice",
                                               b"the index is outside"]


# --- what a learner sees ------------------------------------------------------------------------------------------


def test_the_tensor_script(run_script, root, tmp_path):
    result = run_script("mlp/tensor.py", "--size", 50, "--rounds", 1, "--plot", tmp_path / "a" / "views.svg")
    for line in ("t.T                  (4, 3)      (1, 4)         0    0 4 8 | 1 5 9 | 2 6 10 | 3 7 11",
                 "t[::-1]              (3, 4)      (-4, 1)        8    8 9 10 11 | 4 5 6 7 | 0 1 2 3",
                 "t.T.reshape(12)            a copy      0 4 8 1 5 9 2 6 10 3 7 11",
                 "t[:, ::2].reshape(6)       (2,)        0 2 4 6 8 10", "50 x 50, ns a number"):  # fmt: skip
        assert line in result.stdout
    picture = (tmp_path / "a" / "views.svg").read_text(encoding="utf-8")
    assert picture == (root / "mlp/figures/tensor-views.svg").read_text(encoding="utf-8")
    texts = [e.text for e in ElementTree.fromstring(picture).iter() if e.tag.endswith("text")]
    assert "shape (4, 3), strides (1, 4), offset 0" in texts and any("so it copies" in text for text in texts)


def test_the_strided_script(run_script):
    assert "place 9 -4 i +1 j    [9, 10, 5, 6, 1, 2]" in run_script("mlp/strided.py").stdout


@pytest.mark.parametrize("flags, says", [
    (["--size", "0"], "at least 1"), (["--size", "many"], "whole number"),
    (["--size", "50", "--plot", "/proc/x/y.svg"], "/proc"), (["--size", "1" + 20 * "0"], "not enough memory"),
])  # fmt: skip
def test_mistakes_with_the_tensor_script(run_script, flags, says):
    result = run_script("mlp/tensor.py", "--rounds", 1, *flags, status=2)
    assert says in result.stderr and "Traceback" not in result.stderr


def test_the_c_tests_of_tensor(tensor_modules, run_command):
    result = run_command("make -C csrc build/check/test_tensor && csrc/build/check/test_tensor", timeout=300)
    assert result.stderr == ""


# ==== products of matrices ========================================================================================


MATMUL_RUNGS = range(1, 8)


@pytest.fixture(scope="module")
def mm(chapter):
    """mlp/matmul.py, with its library built; skips where there is nothing to build it with."""
    if not (shutil.which(os.environ.get("CC", "cc")) and shutil.which("make")):
        pytest.skip("needs make and a C compiler (Debian, Ubuntu: apt-get install make gcc)")
    module = chapter("mlp").matmul
    module.c_library()
    return module


def whole_numbers(rng, rows, columns):
    """From -3 to 3: sums of their products are exact in float32, so any order of adding gives the same."""
    return rng.integers(-3, 4, (rows, columns)).astype(np.float32)


def strided(rng, array, kind):
    """The same matrix with other strides: 0 as it is, 1 transposed, 2 with gaps, 3 backward, 4 both."""
    if kind == 1:
        return np.ascontiguousarray(array.T).T
    if kind == 2:
        wide = np.full((array.shape[0], 2 * array.shape[1] + 3), np.nan, np.float32)
        wide[:, 1 : 2 * array.shape[1] : 2] = array
        return wide[:, 1 : 2 * array.shape[1] : 2]
    if kind == 3:
        return np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1]
    if kind == 4:
        tall = np.full((array.shape[1] + 2, array.shape[0] + 5), np.nan, np.float32)
        tall[1:-1, 2:-3] = array.T
        return tall[1:-1, 2:-3].T
    return array


def exact(a, b):
    return a.astype(np.float64) @ b.astype(np.float64)


def test_the_rungs_that_always_run(mm):
    rungs = mm.available_rungs()
    assert {1, 2, 3, 4, 7} <= {*rungs} <= {*MATMUL_RUNGS} == {*mm.RUNGS}
    missing = [rung for rung in (0, 8, -1, *MATMUL_RUNGS) if rung not in rungs]
    for rung in missing:
        with pytest.raises(ValueError, match=f"cannot run rung {rung}"):
            mm.matmul(np.ones((2, 2), np.float32), np.ones((2, 2), np.float32), rung)


def test_random_sizes_and_strides_on_every_rung(mm):
    rng = np.random.default_rng(1)
    for trial in range(120):
        M, N, K = rng.integers(0, (60, 90, 70))
        a, b = whole_numbers(rng, M, K), whole_numbers(rng, K, N)
        a, b = strided(rng, a, trial % 5), strided(rng, b, trial // 5 % 5)
        before = whole_numbers(rng, M, N)
        for rung in mm.available_rungs():
            accumulate, threads = bool(rng.integers(2)), int(rng.integers(1, 4))
            out = strided(rng, before.copy(), (trial + rung) % 5)
            around = out.base.copy() if out.base is not None else None
            result = mm.matmul(a, b, rung, threads, out=out, accumulate=accumulate)
            assert result is out and np.array_equal(out, exact(a, b) + accumulate * before)
            if around is not None:  # gaps are left alone
                assert np.array_equal(np.isnan(out.base), np.isnan(around))


@pytest.mark.parametrize("M, N, K", [
    (500, 70, 1100), (100, 4200, 60), (2000, 300, 150), (97, 520, 520), (130, 257, 600), (13, 33, 700),
    (1, 300, 77), (2, 70, 1030), (3, 1100, 64), (300, 1, 77), (300, 2, 1030), (1, 1, 5000), (40, 3, 3),
    (0, 5, 3), (5, 0, 3), (4, 5, 0),
])  # fmt: skip
def test_sizes_at_which_the_fast_rungs_change_their_way(mm, M, N, K):
    rng = np.random.default_rng(2)
    a, b, before = whole_numbers(rng, M, K), whole_numbers(rng, K, N), whole_numbers(rng, M, N)
    right = exact(a, b)
    rungs = [rung for rung in mm.available_rungs() if rung > 3 or M * N * K < 10**6]
    for rung, kind_a, kind_b in itertools.product(rungs, (0, 1), (0, 1)):
        x, y = strided(rng, a, kind_a), strided(rng, b, kind_b)
        assert np.array_equal(mm.matmul(x, y, rung, threads=2), right)
        if kind_a == kind_b:
            result = mm.matmul(x, y, rung, threads=3, out=before.copy(), accumulate=True)
            assert np.array_equal(result, before + right)


def test_errors_of_rounding_are_those_of_float32(mm):
    rng = np.random.default_rng(3)
    for M, N, K in ((70, 90, 2000), (1, 90, 2000), (256, 192, 768)):
        a, b = rng.standard_normal((M, K), np.float32), rng.standard_normal((K, N), np.float32)
        size = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
        for rung in mm.available_rungs():
            error = np.abs(mm.matmul(a, b, rung) - exact(a, b)) / size
            assert error.max() < math.sqrt(K) * 2**-24 * 2
            assert mm.largest_error(mm.matmul(a, b, rung), a, b) < 1e-5
    with pytest.raises(AssertionError):
        mm.largest_error(np.full((256, 192), np.nan), a, b)


def test_nan_and_infinity_reach_what_they_should(mm):
    rng = np.random.default_rng(4)
    for M, N, K in ((1, 40, 9), (14, 33, 9), (40, 70, 20), (100, 600, 400)):
        a, b = whole_numbers(rng, M, K), whole_numbers(rng, K, N)
        a[M // 2, K // 3], a[M - 1, K - 1], b[K // 2, N // 3], b[0, N - 1] = np.nan, np.inf, -np.inf, np.nan
        with np.errstate(invalid="ignore"):
            right = exact(a, b).astype(np.float32)
        for rung, kind in itertools.product(mm.available_rungs(), (0, 1)):
            out = np.full((M, N), np.nan, np.float32)  # what was there before does not matter
            mm.matmul(strided(rng, a, kind), strided(rng, b, kind), rung, threads=2, out=out)
            assert np.array_equal(out, right, equal_nan=True)


def test_gradients_are_those_of_torch(mm):
    rng = np.random.default_rng(5)
    for trial, (M, N, K) in enumerate([(5, 7, 3), (1, 40, 33), (64, 65, 70), (300, 200, 100), (0, 3, 4)]):
        a = strided(rng, rng.standard_normal((M, K), np.float32), trial % 5)
        b = strided(rng, rng.standard_normal((K, N), np.float32), (trial + 1) % 5)
        dc = strided(rng, rng.standard_normal((M, N), np.float32), (trial + 2) % 5)
        ta, tb = (torch.from_numpy(x.astype(np.float64)).requires_grad_() for x in (a, b))
        (ta @ tb).backward(torch.from_numpy(dc.astype(np.float64)))
        for rung in mm.available_rungs():
            da, db = mm.matmul_backward(a, b, dc, rung, threads=2)
            assert da.shape == a.shape and db.shape == b.shape
            np.testing.assert_allclose(da, ta.grad, rtol=0, atol=2e-4)
            np.testing.assert_allclose(db, tb.grad, rtol=0, atol=2e-4)


def test_what_does_not_fit_is_refused(mm):
    a, b, c = (np.ones(shape, np.float32) for shape in ((3, 4), (4, 5), (3, 5)))
    frozen = c.copy()
    frozen.flags.writeable = False
    odd = np.zeros(4 * 5 * 8 + 2, np.int8)[2:].view(np.float32).reshape(4, 10)[:, :5]
    assert np.array_equal(mm.matmul(a, odd), np.zeros((3, 5)))  # any address will do
    shifted = np.ndarray((4, 5), np.float32, bytes(200), 0, (26, 4))  # but not half a number
    for wrong in (
        lambda: mm.matmul(a, a), lambda: mm.matmul(a[0], b), lambda: mm.matmul(a.astype(np.float64), b),
        lambda: mm.matmul(a, b, out=np.ones((3, 4), np.float32)), lambda: mm.matmul(a, b, accumulate=True),
        lambda: mm.matmul(a, b, out=frozen), lambda: mm.matmul(a, b, out=c.astype(np.float64)),
        lambda: mm.matmul(a, shifted), lambda: mm.matmul_backward(a, b, a), lambda: mm.matmul_backward(b, a, c),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            wrong()
    square = np.ones((4, 4), np.float32)
    with pytest.raises(ValueError, match="memory"):
        mm.matmul(square, square, out=square)


def test_the_formula_and_the_count_of_what_is_fetched(mm):
    rng = np.random.default_rng(6)
    a, b = whole_numbers(rng, 5, 7), whole_numbers(rng, 7, 3)
    assert np.array_equal(mm.three_loops(a.tolist(), b.tolist()), exact(a, b))
    for M, N, K, rows, columns in ((4, 4, 4, 1, 1), (4, 4, 4, 2, 2), (4, 4, 4, 4, 4), (12, 64, 10, 12, 32)):
        assert mm.numbers_read(M, N, K, rows, columns) == M * N * K * (rows + columns) // (rows * columns)
    assert mm.numbers_read(5, 3, 2, 4, 2) == 2 * (4 + 2 + 4 + 1 + 1 + 2 + 1 + 1)


def test_the_limit_counts_its_operations(mm):
    sink = ctypes.c_float()
    one = mm.c_library().matmul_limit(1, 1000, ctypes.byref(sink))
    assert one in (2 * 1000 * 12 * lanes for lanes in (4, 8, 16)) and 4 < sink.value < 50
    assert mm.c_library().matmul_limit(2, 1000, ctypes.byref(sink)) == 2 * one
    assert 1e8 < mm.limit() < 1e13


@pytest.mark.parametrize("old, new", [
    ("for array in (a, b, dc, da, db)]", "for array in (a, b, dc, db, da)]"),
    ("Matrix.of(a), Matrix.of(b), Matrix.of(out)), rung)", "Matrix.of(a), Matrix.of(b.T), Matrix.of(out)), rung)"),
    ("*(stride // 4 for stride in array.strides))", "*(stride // 4 for stride in array.strides[::-1]))"),
    ("threads, accumulate, Matrix.of(a)", "threads, not accumulate, Matrix.of(a)"),
])  # fmt: skip
def test_planted_bugs_in_the_front_are_noticed(mm, planted, old, new):
    module, rng = planted("matmul", old, new), np.random.default_rng(7)
    a, b, dc = (whole_numbers(rng, 6, 6) for _ in range(3))
    ones = np.ones((6, 6), np.float32)
    da, db = module.matmul_backward(a, b, dc)
    good = np.array_equal(module.matmul(a, b, out=ones), exact(a, b))
    assert not (good and np.array_equal(da, exact(dc, b.T)) and np.array_equal(db, exact(a.T, dc)))


# --- C: sanitizers, planted bugs ----------------------------------------------------------------------------------


def test_the_c_tests_of_matmul_pass_under_sanitizers(mm, run_command):
    result = run_command("make -C csrc build/check/test_matmul && csrc/build/check/test_matmul", timeout=300)
    assert result.stderr == ""


@pytest.mark.parametrize("file, right, wrong", [
    ("matmul.c", "float sum = 0.0f;\n            for", "float sum = 1.0f;\n            for"),
    ("matmul.c", "if (!accumulate) set_zero(c);\n    add_product", "set_zero(c);\n    add_product"),
    ("matmul.c", "b, k, j, high, wide), part(c, 0, j,", "b, k, j, high, wide), part(c, 0, 0,"),
    ("matmul.c", "accumulate, dc, transposed(b), da)", "accumulate, dc, b, da)"),
    ("matmul.c", "return (Matrix){x.data, x.columns, x.rows, x.column_stride, x.row_stride};",
     "return (Matrix){x.data, x.columns, x.rows, x.row_stride, x.column_stride};"),
    ("matmul_tiles.h", "for (; k < a.columns; k++) sum += x[k] * y[k];", ""),
    ("matmul_tiles.h", "accumulate ? c.first[j] + sum[i][j] : sum[i][j];", "sum[i][j];"),
    ("matmul_fast.h", "for (; k < x.rows; k++)\n   ", "for (; k + 1 < x.rows; k++)\n   "),
    ("matmul_fast.h", "+ (add ? *at(c, i + y, j + x) : 0.0f);", ";"),
    ("matmul_fast.h", "x < columns; x++)", "x < width; x++)"),
    ("matmul_fast.h", "(int)smaller(height, a.rows - i), halves", "(int)height, halves"),
    ("matmul_fast.h", "p->accumulate || k > 0", "p->accumulate"),
    ("matmul_fast.h", "(Rows){at(b, 0, j), b.row_stride}", "(Rows){at(b, 0, 0), b.row_stride}"),
    ("matmul_fast.h", "halves = 2 * columns > width ? 2 : 1", "halves = 2 * columns >= width - 2 ? 1 : 2"),
    ("matmul_fast.h", "part(p->c, i, J + j, m, n)", "part(p->c, i, j, m, n)"),
])  # fmt: skip
def test_planted_bugs_in_c_matmul_are_noticed(mm, root, tmp_path, file, right, wrong):
    for name in ("matmul.c", "matmul_tiles.h", "matmul_fast.h", "test_matmul.c", "rng.h"):
        shutil.copy(root / "csrc" / name, tmp_path)
    source = (tmp_path / file).read_text()
    assert source.count(right) == 1, f"{file} no longer has {right!r}: plant the bug anew"
    (tmp_path / file).write_text(source.replace(right, wrong))
    command = [os.environ.get("CC", "cc"), "-std=c11", "-O0", "-fopenmp", tmp_path / "test_matmul.c",
               "-o", tmp_path / "test", "-lm"]  # fmt: skip
    subprocess.run(command, check=True, timeout=120)
    assert subprocess.run([tmp_path / "test"], capture_output=True, timeout=120).returncode != 0


# --- scripts ------------------------------------------------------------------------------------------------------


def test_matmul_prints_the_ladder(mm, run_script):
    lines = run_script("mlp/matmul.py", "--size", 70, "--threads", 2, timeout=300).stdout.splitlines()
    assert "128 numbers fetched, 0.5 multiply-adds a number" in lines[1]
    table = [line for line in lines if line.startswith(("C, ", "Python", "NumPy"))]
    assert [line[3] for line in table if line.startswith("C, ")] == [str(rung) for rung in mm.available_rungs()]
    assert all(0 <= float(line.split()[-1]) < 1e-5 for line in table)
    assert lines[-1].startswith("gradients dC B^T and A^T dC on every rung")
    assert "--size" in run_script("mlp/matmul.py", "--help").stdout
    result = run_script("mlp/matmul.py", "--size", 0, status=2)
    assert "0" in result.stderr and result.stdout == ""


def test_bench_compares_the_ladder_with_the_libraries(mm, chapter, run_script, tmp_path):
    picture = tmp_path / "matmul.svg"
    env = {"OPENBLAS_CORETYPE": "Haswell"}
    lines = run_script("mlp/bench.py", "--quick", "--plot", picture, env=env, timeout=300).stdout.splitlines()
    heads = [i for i, line in enumerate(lines) if line.startswith("GFLOP/s, threads: ")]
    assert [lines[i].split()[2] for i in heads] == ["1", "2"]
    assert "C 4" in lines[heads[0]] and "C 7" in lines[heads[1]] and "/NumPy" in lines[heads[0]]
    for i in heads:
        for line in lines[i + 1 : i + 7]:
            assert all(float(cell) > 0 for cell in line[27:].split()) and len(line[27:].split()) >= 5
    assert "<svg" in picture.read_text() and picture.stat().st_size < 150_000
    result = run_script("mlp/bench.py", "--quick", "--plot", tmp_path / "matmul.txt", status=2)
    assert result.stderr.count("\n") == 1 and ".svg" in result.stderr
    assert callable(chapter("mlp").functions.time_functions)  # what the rest of bench.py calls


def test_bench_sets_the_threads_of_a_process(mm, chapter, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    environment = chapter("mlp").bench.environment(2)
    assert "OPENBLAS_CORETYPE" not in environment
    assert {environment[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} == {"2"}


# ==== gelu, cross-entropy, recurrent networks =====================================================================


functions_compiler = shutil.which(os.environ.get("CC", "cc").split()[0])


@pytest.fixture(scope="module")
def functions(chapter):
    if not functions_compiler or not shutil.which("make"):
        pytest.skip("needs make and a C compiler")
    return chapter("mlp").functions


@pytest.fixture(scope="module")
def through(chapter):
    return chapter("mlp").through_time


@pytest.fixture(scope="module")
def rnn(chapter):
    return chapter("mlp").rnn


def functions_close(a, b, tolerance):
    """Of one shape and apart by at most tolerance, or tolerance of b. Written so that NaN fails."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return a.shape == b.shape and bool((np.abs(a - b) <= tolerance * np.maximum(1, np.abs(b))).all())


# --- vecmath.h -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["exp", "tanh", "erf"])
def test_functions_are_as_exact_as_they_say(functions, name):
    x = np.concatenate([functions.some_floats(40009), np.linspace(-0.08, 0.08, 50000, dtype=np.float32),
                        np.linspace(-110, 90, 50000, dtype=np.float32)])  # fmt: skip
    expected = getattr(torch, name)(torch.from_numpy(x).double()).numpy()
    for rung in functions.rungs():
        if rung > 1:  # libm answers for itself
            found = functions.function(name, x, rung)
            with np.errstate(over="ignore", invalid="ignore"):
                assert (functions.ulps(found, expected) <= functions.MOST[name]).all()
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], np.float32)
    for rung in functions.rungs():
        found = functions.function(name, special, rung)
        at_the_ends = [np.inf, 0, 1, 1] if name == "exp" else [1, -1, 0, 0]
        assert np.isnan(found[0]) and np.array_equal(found[1:], at_the_ends)
        assert name == "exp" or np.signbit(found[4])


def test_functions_ulps_notice_what_is_wrong(functions):
    one, next_one = np.float32([1]), np.nextafter(np.float32([1]), np.float32(2))
    assert functions.ulps(next_one, one.astype(np.float64)) == [1]
    with np.errstate(over="ignore"):
        for found, expected in ((np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (np.inf, -np.inf), (3e38, 1e39)):
            assert functions.ulps(np.float32([found]), np.array([expected])) == [np.inf]
        assert functions.ulps(np.float32([np.inf]), np.array([1e39])) == [0]


def test_functions_numbers_of_vecmath_are_those_of_the_fit(chapter, root, capsys):
    fit = chapter("mlp").fit
    fit.main([])
    printed = re.findall(r"#define ([ES]\d) (\S+)f\n", capsys.readouterr().out)
    written = dict(re.findall(r"#define ([ES]\d) (\S+)f\n", (root / "csrc/vecmath.h").read_text()))
    assert len(printed) == 14 and [name for name, _ in printed] == [*written]
    for name, value in printed:
        assert functions_close(float(written[name]) / float(value), 1, 3e-4)  # the last of S count little
    c, error = fit.minimax(np.exp, lambda x: np.ones_like(x), 4, -1.0, 1.0)
    x = np.linspace(-1, 1, 1001)
    assert functions_close(np.abs(np.polyval(c[::-1], x) - np.exp(x)).max(), error, 1e-4)
    assert abs(error - 0.005528) < 1e-5  # the least possible with a cubic
    chebyshev = np.polynomial.Chebyshev.interpolate(np.exp, 3)(x)
    assert np.abs(chebyshev - np.exp(x)).max() > error


# --- gelu ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["exact", "tanh"])
def test_functions_gelu_and_its_gradient_are_torchs(functions, form):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=5003) * 3, np.linspace(-20, 20, 4001), [1e-30, -1e-30, 100, -100]])
    x = x.astype(np.float32)
    grad_y = rng.normal(size=x.shape).astype(np.float32)
    for dtype, tolerance in ((torch.float32, 6e-6), (torch.float64, 4e-6)):
        t = torch.from_numpy(x).to(dtype).requires_grad_()
        y = F.gelu(t, approximate=functions.FORMS[form])
        (grad,) = torch.autograd.grad(y, t, torch.from_numpy(grad_y).to(dtype))
        for rung in functions.rungs():
            assert functions_close(functions.gelu_forward(x, form, rung), y.detach(), 1e-6)
            assert functions_close(functions.gelu_backward(grad_y, x, form, rung), grad, tolerance)
    assert functions.gelu_forward(x.reshape(-1, 2), form).shape == (len(x) // 2, 2)


def test_functions_refuse_what_does_not_fit(functions, chapter):
    UserError = chapter("mlp").cli.UserError
    for call in (lambda: functions.gelu_forward([1.0], "tanh", 9), lambda: functions.function("exp", [1.0], 0),
                 lambda: functions.cross_entropy_forward([[1.0]], [0], 9)):  # fmt: skip
        with pytest.raises(UserError, match="this machine has"):
            call()
    with pytest.raises(ValueError):
        functions.gelu_backward([1.0, 2.0], [1.0])
    for targets in ([5], [-2]):
        with pytest.raises(ValueError, match="from -1 to 4"):
            functions.cross_entropy_forward(np.zeros((1, 5)), targets)
        with pytest.raises(ValueError, match="from -1 to 4"):
            functions.cross_entropy_backward(np.zeros((1, 5)), targets, [0.0], 1.0)
    with pytest.raises(ValueError, match="targets"):
        functions.cross_entropy_forward(np.zeros((2, 5)), [1])
    with pytest.raises(ValueError, match="targets and lse"):
        functions.cross_entropy_backward(np.zeros((2, 5)), [1, 2], [0.0], 1.0)


# --- cross-entropy ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("N, V, scale", [(1, 1, 1), (7, 2, 1), (20, 257, 3), (5, 50257, 3), (4, 1000, 30)])
def test_functions_cross_entropy_and_its_gradient_are_torchs(functions, N, V, scale):
    rng = np.random.default_rng(V)
    logits = (rng.normal(size=(N, V)) * scale).astype(np.float32)
    targets = rng.integers(V, size=N)
    if N > 4:
        targets[[1, 4]] = -1
    t = torch.from_numpy(logits).requires_grad_()
    each = F.cross_entropy(t, torch.from_numpy(targets), ignore_index=-1, reduction="none")
    F.cross_entropy(t, torch.from_numpy(targets), ignore_index=-1).backward()
    for rung in functions.rungs():
        losses, lse = functions.cross_entropy_forward(logits, targets, rung)
        assert functions_close(losses, each.detach(), 1e-6)
        grad = functions.cross_entropy_backward(logits, targets, lse, 1 / (targets >= 0).sum(), rung)
        assert functions_close(grad, t.grad, 1e-6)
        assert not grad[targets < 0].any() and np.abs(grad.sum(1)).max() < 1e-5


def test_functions_online_sum(functions, capsys):
    rng = np.random.default_rng(4)
    for scale in (0.1, 10, 1000):
        x = rng.normal(size=50) * scale
        assert functions_close(functions.online_lse(x), torch.from_numpy(x).logsumexp(0), 1e-13)
    functions.online_lse([2.0, 1.0, 4.0, 3.0], show=True)
    assert capsys.readouterr().out.splitlines()[2] == "logit 4: largest 4, sum 1.185122"  # 1 + e^-2 (1 + e^-1)


# --- what is printed and drawn ---------------------------------------------------------------------------------------


def test_functions_table_of_times(functions, monkeypatch, capsys):
    monkeypatch.setattr(functions, "LONG", 1000)
    monkeypatch.setattr(functions, "LONG_ROWS", (3, 100))
    functions.time_functions(1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and "torch" in lines[0] and "limit" in lines[0]
    for line in lines[1:]:
        assert all(float(number.replace(",", "")) >= 0 for number in line[26:].split())


def test_functions_script(functions, run_script, tmp_path):
    out = run_script("mlp/functions.py", "--plot", tmp_path / "gelu.svg").stdout
    assert "4 + ln 1.553002 = 4.440190; in C 4.440190" in out
    ElementTree.parse(tmp_path / "gelu.svg")
    assert (tmp_path / "gelu.svg").stat().st_size < 150_000
    assert "must end in" in run_script("mlp/functions.py", "--plot", tmp_path / "gelu.txt", status=2).stderr


def in_c_difference(module, mlp, seed=0):
    """The largest difference between the gradients by C and by NumPy in float64, of a batch of 7."""
    rng = np.random.default_rng(seed)
    shapes = {"table": (11, 3), "w1": (12, 5), "b1": (5,), "w2": (5, 11), "b2": (11,)}
    parameters = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    contexts, targets = rng.integers(11, size=(7, 4)), rng.integers(11, size=7)
    logits, kept = mlp.forward(parameters, contexts)
    expected = mlp.backward(parameters, kept, mlp.cross_entropy(logits, targets)[1])
    narrow = {name: array.astype(np.float32) for name, array in parameters.items()}
    before = {name: array.copy() for name, array in narrow.items()}
    module.sgd_step(narrow, contexts, targets, 1.0, rung=2)
    return max(np.abs(before[name] - narrow[name] - expected[name]).max() for name in expected)


@pytest.mark.parametrize("seed", range(5))
def test_in_c_step_is_that_of_numpy(chapter, seed):
    assert in_c_difference(chapter("mlp").in_c, chapter("mlp").mlp, seed) < 1e-5


@pytest.mark.parametrize("old, new", [
    ("da = gelu_backward(dh, a, rung=rung)", "da = dh"),
    ("1 / len(targets)", "1"),
    ("out=np.tile(b2, (len(x), 1)), accumulate=True", "out=np.tile(b2, (len(x), 1))"),
])
def test_in_c_planted(chapter, planted, old, new):
    assert not in_c_difference(planted("in_c", old, new), chapter("mlp").mlp) < 1e-3


def test_in_c_script(run_script):
    out = run_script("mlp/in_c.py", "--steps", "12", "--data", "out/few").stdout
    assert re.search(r"step   12   NumPy (\d\.\d{5})\d   our C \1", out)
    assert "out/nothing" in run_script("mlp/in_c.py", "--data", "out/nothing", status=2).stderr


# --- planted bugs in C -----------------------------------------------------------------------------------------------


def functions_try_in_c(root, folder, file, right, wrong):
    """The exit status of the C test of that file, with one line changed."""
    for name in ("vecmath.h", "rng.h", "gelu.c", "cross_entropy.c", "test_gelu.c", "test_cross_entropy.c"):
        shutil.copy(root / "csrc" / name, folder)
    source = folder / file
    assert source.read_text().count(right) == 1, f"{file} no longer has {right!r} once: plant the bug anew"
    source.write_text(source.read_text().replace(right, wrong))
    test = "cross_entropy" if file == "cross_entropy.c" else "gelu"
    flags = ["-std=c11", "-O1", "-ffp-contract=off", f"-I{folder}"]
    command = [functions_compiler, *flags, folder / f"test_{test}.c", "-o", folder / "t", "-lm"]
    subprocess.run(command, check=True, timeout=120)
    return subprocess.run([folder / "t"], capture_output=True, timeout=120).returncode


@pytest.mark.parametrize("needs, file, right, wrong", [
    (2, "vecmath.h", "#define LN2_LOW 1.42860677e-6f", "#define LN2_LOW 0.0f"),
    (2, "vecmath.h", "power_of_2(n / 2) * power_of_2(n - n / 2)", "power_of_2(n)"),
    (2, "vecmath.h", "return copysignf(t / (t + 2.0f), x)", "return copysignf(t / (t + 1.0f), x)"),
    (2, "gelu.c", "x * DENSITY * exp32(-0.5f * x * x)", "DENSITY * exp32(-0.5f * x * x)"),
    (3, "gelu.c", "memcpy(to, eight, (size_t)n * sizeof *to);", "memcpy(to, eight, (size_t)(n - 1) * sizeof *to);"),
    (4, "gelu.c", "all_512(3 * CUBE * SQRT_2_OVER_PI)", "all_512(CUBE * SQRT_2_OVER_PI)"),
    (2, "cross_entropy.c", "sum[l] * exp32(max[l] - grown[l]) + part[l]", "sum[l] + part[l]"),
    (2, "cross_entropy.c", "            row[targets[i]] -= scale;\n", ""),
    (2, "cross_entropy.c", "x[l] : -INFINITY;", "x[l] : 0;"),
    (4, "cross_entropy.c", "_mm512_mask_loadu_ps(nothing,", "_mm512_mask_loadu_ps(sum,"),
])  # fmt: skip
def test_functions_planted_bugs_in_c_are_noticed(functions, root, tmp_path, needs, file, right, wrong):
    if needs not in functions.rungs():
        pytest.skip("needs a processor with AVX2 or AVX-512, on which the planted line runs")
    assert functions_try_in_c(root, tmp_path, file, right, wrong) != 0


def test_functions_c_tests_pass_as_they_are(functions, root, tmp_path):
    for file, line in (("gelu.c", "enum GeluForm { EXACT, BY_TANH };"), ("cross_entropy.c", "enum { IGNORED = -1 };")):
        assert functions_try_in_c(root, tmp_path, file, line, line) == 0


# --- through_time.py -------------------------------------------------------------------------------------------------


def test_rnn_by_hand_agrees_with_finite_differences(through):
    rng = np.random.default_rng(1)
    for _ in range(20):
        numbers, inputs, target = rng.normal(size=3), rng.normal(size=rng.integers(1, 6)), rng.normal()
        _, found = through.by_hand(*numbers, inputs, target)
        for i, gradient in enumerate(found):
            step = np.eye(3)[i] * 1e-6
            above, below = (through.by_hand(*(numbers + s), inputs, target)[0] for s in (step, -step))
            assert abs((above - below) / 2e-6 - gradient) < 1e-7


def test_rnn_and_gru_by_hand_are_torchs(through, capsys):
    through.show_one_number()
    for seed in range(5):
        through.show_equal_to_torch(seed)
    assert "nan" not in capsys.readouterr().out


@pytest.mark.parametrize("right, wrong", [
    ("dw, du, db = dw + da * x, du", "dw, du, db = da * x, du"),  # by hand: the sum over the steps
    ("dh = da * u  # what", "dh = dh * u  # what"),
    ("da = dh[-1] * (1 - states[t + 1] ** 2)", "da = dh[-1] * (1 - states[t] ** 2)"),
    ("dh.append(da @ w_h)", "dh.append(da @ w_h.T)"),
    ("dh.append(to_h @ w_h + dh[-1] * z)", "dh.append(to_h @ w_h)"),
    ("da_n * r]) ", "da_n]) "),
    ("(h - n) * z * (1 - z)", "(n - h) * z * (1 - z)"),
    ("np.tanh(x_n + r * m), m", "np.tanh(x_n + m), m"),
    ("(1 - z) * n + z * states[-1]", "z * n + (1 - z) * states[-1]"),
])  # fmt: skip
def test_rnn_planted_bugs_are_noticed(planted, right, wrong):
    wrong = planted("through_time", right, wrong)
    with pytest.raises(AssertionError, match="torch"):
        wrong.show_one_number()
        wrong.show_equal_to_torch(0)


def test_rnn_gradients_over_distance(through):
    norms = through.measure_gradients(11)
    assert all(values[0] == 1 and values.shape == (through.STEPS,) for values in norms.values())
    rng = np.random.default_rng(0)
    p = through.random_weights("RNN", rng, 1.0)
    p["weight_ih_l0"][:] = 0  # without inputs the state stays 0, tanh' is 1, and a turning W_h keeps every length
    assert functions_close(through.norms_over_distance("RNN", p, rng, 30), np.ones(30), 1e-12)


def test_rnn_clipping_changes_only_what_is_too_long(through):
    losses, norms = through.train_wild(0, math.inf, steps=3)
    assert through.train_wild(0, max(norms) + 1, steps=3)[0] == losses
    assert through.train_wild(0, norms[0] / 2, steps=3)[0] != losses


def test_rnn_through_time_script_asserts_what_it_says(run_script, tmp_path):
    out = run_script("mlp/through_time.py", "--plot", tmp_path / "rnn.svg").stdout
    assert "loss 0.184918, gradients: w -0.088305, u -0.482372, b -0.638186" in out
    ElementTree.parse(tmp_path / "rnn.svg")
    assert (tmp_path / "rnn.svg").stat().st_size < 150_000


# --- rnn.py ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["RNN", "GRU"])
def rnn_small(request, rnn):
    torch.manual_seed(0)
    return rnn.RecurrentModel(getattr(nn, request.param), rnn.V, 4, 6)


def test_rnn_bits_of_whole_stories(rnn, rnn_small):
    stories = ["Once.", "é" * 200, "a" * 700 + "b", "x"]
    expected = 0.0
    for story in stories:  # one symbol at a time, one story at a time
        symbols, state = [rnn.END, *story.encode(), rnn.END], None
        for symbol, target in zip(symbols, symbols[1:]):
            with torch.no_grad():
                logits, state = rnn_small(torch.tensor([[symbol]]), state)
            expected -= logits[0, 0].double().log_softmax(0)[target].item() / math.log(2)
    for at_once in (1, 3, 32):
        assert abs(rnn.recurrent_bits(rnn_small, stories, at_once) / expected - 1) < 1e-6


def test_rnn_modules_are_those_by_hand(through, rnn_small):
    kind = "RNN" if isinstance(rnn_small.recurrent, nn.RNN) else "GRU"
    p, ids = through.arrays_of(rnn_small.recurrent), torch.randint(257, (2, 9))
    x = rnn_small.embedding(ids).detach().double().numpy()
    states = through.KINDS[kind][1](p, x, np.zeros((2, 6)))
    logits = states[1:].swapaxes(0, 1) @ rnn_small.output.weight.detach().double().numpy().T
    found = rnn_small(ids)[0] - rnn_small.output.bias
    assert functions_close(found.detach(), logits, 1e-5)


def test_rnn_batches_and_reach(rnn, rnn_small):
    stream = np.arange(1000) % 257
    inputs, targets = rnn.recurrent_batch(stream, np.random.default_rng(0))
    assert inputs.shape == targets.shape == (rnn.B, rnn.T) and torch.equal(inputs[:, 1:], targets[:, :-1])
    assert torch.equal((inputs + 1) % 257, targets)
    contexts, after = rnn.window_batch(stream, np.arange(rnn.K, 1000), np.random.default_rng(0))
    assert contexts.shape == (rnn.B * rnn.T, rnn.K) and torch.equal((contexts[:, -1] + 1) % 257, after)
    at = np.array([400, 500])
    found = rnn.bits_within(rnn_small, stream, at)[2]  # four symbols back
    logits = rnn_small(torch.from_numpy(stream[at[:, None] + np.arange(-4, 0)]))[0][:, -1]
    assert abs(found - F.cross_entropy(logits, torch.from_numpy(stream[at])).item() / math.log(2)) < 1e-5


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU])
def test_rnn_learns_what_needs_a_state(rnn, monkeypatch, layer):
    """abbabb…: after b comes a or b; who sees only the last symbol needs 2/3 of a bit, who counts none."""
    monkeypatch.setattr(rnn, "B", 8)
    torch.manual_seed(0)
    stream, model, rng = np.array([97, 98, 98] * 400), rnn.RecurrentModel(layer, rnn.V, 8, 16), np.random.default_rng(0)
    losses, _ = rnn.train_by_rate(model, lambda: rnn.recurrent_batch(stream, rng), lambda ids: model(ids)[0], 100, "")
    assert losses[0] > 7 and np.mean(losses[-10:]) < 0.15


def test_rnn_script(run_script, tmp_path):
    story = "Once upon a time there was a little fox who lost a red hat and found it under the old tree by the river. "
    for split in ("train", "valid"):
        (tmp_path / f"{split}.txt").write_text("\n<|endoftext|>\n".join(story * n for n in (2, 3, 4)))
    flags = ("--data", tmp_path, "--steps", 2, "--threads", 1)
    lines = run_script("mlp/rnn.py", *flags).stdout.splitlines()
    scores = [float(line.split()[-4]) for line in lines if "bits per byte" in line]
    assert len(scores) == 3 and all(2 < score < 9 for score in scores)
    assert "no such folder" in run_script("mlp/rnn.py", "--data", tmp_path / "none", status=2).stderr
