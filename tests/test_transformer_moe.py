"""Mixture of experts: three ways that agree, `transformers`' Mixtral, balance, counts, who the experts are; planted bugs."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file, save_file
from torch.utils.flop_counter import FlopCounterMode
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

MOE_TOKENIZER = "tokenization/tokenizer.json"


@pytest.fixture(scope="module")
def moe(chapter):
    return chapter("transformer")


def moe_close(a, b, within=1e-5):
    """Whether all numbers are near; False where one is NaN."""
    return a.shape == b.shape and bool(((a - b).abs() <= within).all())


def moe_layer(experts, seed, C=6, hidden=5, E=4, k=2, **options):
    """An Experts layer in float64 whose router has clear preferences, and rows for it. Returns layer, x (2, 7, C)"""
    torch.manual_seed(seed)
    layer = experts.Experts(C, hidden, E, k, **options).double()
    with torch.no_grad():
        layer.gate.weight.copy_(torch.randn(E, C))
    return layer, torch.randn(2, 7, C, dtype=torch.float64)


def moe_small(moe, seed=0, **changes):
    """A Mixture with weights large enough that every part of it is felt in its logits."""
    config = moe.mixtral.MixtureConfig(vocab_size=60, hidden_size=32, intermediate_size=24, num_hidden_layers=2,
                                       num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=48,
                                       num_local_experts=4)
    for name, value in changes.items():
        setattr(config, name, value)
    model, generator = moe.mixtral.Mixture(config), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(1.2 * noise / p.shape[-1] ** 0.5 if p.dim() == 2 else 1 + 0.3 * noise)
    return model.eval()


# --- the router -----------------------------------------------------------------------------------------------------


def routing_is_right(experts):
    """By NumPy: Mixtral's factors are the softmax over the chosen logits, Switch's the softmax over all."""
    right = True
    for seed, (N, E, k) in enumerate([(1, 2, 1), (9, 5, 2), (30, 8, 3), (7, 4, 4)]):
        logits = np.random.default_rng(seed).normal(size=(N, E)) * 2
        best = np.argsort(-logits, axis=1)[:, :k]
        power = np.exp(np.take_along_axis(logits, best, 1))
        for renormalize, below in ((True, power.sum(1, keepdims=True)), (False, np.exp(logits).sum(1, keepdims=True))):
            factors, chosen = experts.route(torch.tensor(logits), k, renormalize)
            right &= np.array_equal(chosen.numpy(), best)
            right &= bool(np.abs(factors.numpy() - power / below).max() < 1e-12)
    logits, bias = torch.tensor([[2.0, 1.0, 0.0, -1.0]]), torch.tensor([0.0, 0.0, 0.0, 1.0])
    factors, chosen = experts.route(logits, 2, False, bias)  # the bias brings expert 3 in, at its own probability
    p = logits.softmax(-1)[0]
    return right and chosen.tolist() == [[3, 0]] and moe_close(factors[0], p[[3, 0]])


def test_moe_route(moe, planted):
    assert routing_is_right(moe.experts)
    for old, new in (("factors / factors.sum(-1, keepdim=True) if", "factors.softmax(-1) if"),
                     ("p.gather(1, chosen)", "(p if bias is None else p + bias).gather(1, chosen)"),
                     ("topk(top_k, dim=-1)", "topk(top_k, dim=-1, largest=False)"),
                     ("p = logits.softmax(-1)", "p = logits.sigmoid()")):
        assert not routing_is_right(planted("experts", old, new)), new


# --- three ways -----------------------------------------------------------------------------------------------------


def moe_written_out(layer, x, k):
    """The layer once more, with a table of factors (N, E) and every expert on every token."""
    rows = x.reshape(-1, x.shape[-1])
    p = (rows @ layer.gate.weight.T).softmax(-1)
    smallest = p.sort(-1, descending=True).values[:, k - 1:k]
    table = torch.where(p >= smallest, p, torch.zeros_like(p))
    if layer.renormalize:
        table = table / table.sum(-1, keepdim=True)
    answers = [(F.silu(rows @ e.gate_proj.weight.T) * (rows @ e.up_proj.weight.T)) @ e.down_proj.weight.T
               for e in layer.experts]
    return (table.T[:, :, None] * torch.stack(answers)).sum(0).view(x.shape)


def three_ways_agree(experts):
    """Values and gradients of loops, groups and rooms for all, beside every expert on every token."""
    for seed, (E, k) in enumerate([(4, 2), (3, 1), (5, 5), (1, 1), (16, 2)]):
        layer, x = moe_layer(experts, seed, E=E, k=k)
        inputs = [x.clone().requires_grad_() for _ in range(4)]
        rows = [x.view(14, 6) for x in inputs]
        routes = [experts.route(layer.gate(r), k, layer.renormalize) for r in rows]
        outputs = [moe_written_out(layer, inputs[0], k).view(14, 6),
                   experts.experts_by_loops(rows[1], *routes[1], layer.experts),
                   experts.experts_grouped(rows[2], *routes[2], layer.experts),
                   experts.experts_within(rows[3], *routes[3], layer.experts, 14)]
        weights = torch.randn(14, 6, dtype=torch.float64)
        found = []
        for x, y in zip(inputs, outputs):
            layer.zero_grad(set_to_none=False)
            gradients = torch.autograd.grad((y * weights).sum(), [x, *layer.parameters()], allow_unused=True)
            found.append([y, *(torch.zeros_like(p) if g is None else g
                               for g, p in zip(gradients, [x, *layer.parameters()]))])
        if not all(moe_close(a, b, 1e-10) for way in found[1:] for a, b in zip(found[0], way)):
            return False
    return True


def test_moe_three_ways(moe, planted):
    assert three_ways_agree(moe.experts)
    for old, new in (("return order % len(chosen), flat", "return order // chosen.shape[1], flat"),
                     ("return torch.zeros_like(x).index_add(0, tokens, (factors[:, None] * answers)",
                      "return torch.zeros_like(x).index_add(0, tokens, (answers)"),
                     ("factors.T.reshape(-1)[order]", "factors.reshape(-1)[order]"),
                     (".argsort(stable=True)", ".argsort(stable=True).flip(0)"),
                     ("- first[owners]", "- first[owners] * 0"),
                     ("factors[n, i] * experts[e]", "factors[n, 0] * experts[e]")):
        assert not moe_raises_or(three_ways_agree, planted("experts", old, new)), new


def moe_raises_or(check, module):
    """A broken module may also fail loudly."""
    try:
        return check(module)
    except (IndexError, RuntimeError):
        return False


@pytest.mark.parametrize("options", [{}, {"k": 1}, {"shared": 2}, {"bias": True}, {"capacity_factor": 0.8}])
def test_moe_finite_differences(moe, options):
    layer, x = moe_layer(moe.experts, 3, C=3, hidden=2, E=3, **options)
    x = x[:1, :5].clone()
    layer(x)
    best = layer.logits.detach().softmax(-1).sort(-1, descending=True).values
    assert float((best[:, layer.top_k - 1] - best[:, layer.top_k]).min()) > 1e-4, "a choice could tip: take another seed"
    names, weights = zip(*layer.named_parameters())

    def output(x, *weights):
        return torch.func.functional_call(layer, dict(zip(names, weights)), (x,))

    assert torch.autograd.gradcheck(output, (x.requires_grad_(), *(w.detach().clone().requires_grad_() for w in weights)))


def test_moe_shared_expert_and_shapes(moe):
    layer, x = moe_layer(moe.experts, 5, shared=3)
    y, extra = layer(x), layer.shared(x)
    layer.shared = None
    assert moe_close(y, layer(x) + extra, 1e-12) and y.shape == x.shape
    for k in (0, 5):
        with pytest.raises(ValueError, match="top_k"):
            moe.experts.Experts(4, 4, experts=4, top_k=k)


def test_moe_gradients_reach_the_router_and_only_who_was_chosen(moe):
    layer, x = moe_layer(moe.experts, 1, E=8, k=2)
    layer(x[:1, :2]).square().sum().backward()
    chosen = set(layer.chosen.flatten().tolist())
    assert 2 <= len(chosen) <= 4
    for e, expert in enumerate(layer.experts):
        touched = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in expert.parameters()]
        assert touched == [e in chosen] * 3
    assert float(layer.gate.weight.grad.abs().sum()) > 0
    for renormalize, learns in ((False, True), (True, False)):  # alone and renormalized, the factor is 1 whatever p is
        layer, x = moe_layer(moe.experts, 2, k=1, renormalize=renormalize)
        layer(x).square().sum().backward()
        assert (float(layer.gate.weight.grad.abs().max()) > 1e-6) == learns
    assert moe.experts.Experts(4, 4, top_k=1).renormalize is False


def test_moe_choices_do_not_hang_on_bfloat16(moe):
    layer, x = moe_layer(moe.experts, 4, C=64, E=16)
    layer, x = layer.float(), torch.randn(4, 200, 64)
    layer(x)
    exact = layer.chosen
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert torch.equal(layer.chosen, exact) and layer.logits.dtype == torch.float32
    assert y.dtype == x.dtype and moe_close(y, layer(x), 0.2)


# --- capacity -------------------------------------------------------------------------------------------------------


def capacity_is_right(experts):
    """Beside a queue an expert, filled by first choices, then second ones, in the order of the tokens."""
    rng = np.random.default_rng(0)
    for capacity in (1, 2, 3, 5):
        N, E, k = 12, 4, 2
        x, logits = torch.tensor(rng.normal(size=(N, 3))), torch.tensor(rng.normal(size=(N, E)) + [1, 0, 0, 0])
        workers = [lambda x, e=e: (e + 1) * x + e for e in range(E)]  # an empty room does not answer 0
        factors, chosen = experts.route(logits, k)
        wanted, used = torch.zeros_like(x), [0] * E
        for i in range(k):
            for n in range(N):
                e = int(chosen[n, i])
                if used[e] < capacity:
                    used[e] += 1
                    wanted[n] += factors[n, i] * workers[e](x[n])
        if not moe_close(experts.experts_within(x, factors, chosen, workers, capacity), wanted, 1e-12):
            return False
    return True


def test_moe_capacity(moe, planted):
    assert capacity_is_right(moe.experts)
    for old, new in (("kept = slot < capacity", "kept = slot <= capacity"),
                     ("flat = chosen.T.reshape(-1)", "flat = chosen.flip(1).T.reshape(-1)"),
                     ("index_put((owners, slot), x[tokens])", "index_put((owners, slot), x[slot])")):
        assert not moe_raises_or(capacity_is_right, planted("experts", old, new)), new


def test_moe_dropped_tokens_pass_unchanged(moe):
    """Where nobody has room, the block adds what attention adds and nothing else."""
    model = moe_small(moe, num_experts_per_tok=1, capacity_factor=0.5).train()
    block = model.model.layers[0]
    x = torch.randn(2, 20, 32)
    cos, sin = (table[:20] for table in (model.model.cos, model.model.sin))
    y, after = block(x, cos, sin), x + block.self_attn(block.input_layernorm(x), cos, sin)
    seen, capacity = [0] * 4, math.ceil(0.5 * 40 / 4)
    dropped = []
    for e in block.mlp.chosen[:, 0].tolist():
        seen[e] += 1
        dropped.append(seen[e] > capacity)
    dropped = torch.tensor(dropped).view(2, 20)
    assert 15 <= int(dropped.sum()) and torch.equal(y[dropped], after[dropped])
    assert bool(((y - after)[~dropped].abs().sum(-1) > 0).all())
    assert moe_close(model.eval()(torch.arange(20)[None]), moe_small(moe, num_experts_per_tok=1)(torch.arange(20)[None]))


def test_moe_only_a_capacity_lets_later_tokens_change_earlier_ones(moe):
    ids = torch.randint(60, (1, 30), generator=torch.Generator().manual_seed(0))
    other = torch.cat([ids[:, :20], (ids[:, 20:] + 7) % 60], dim=1)
    model = moe_small(moe)
    assert moe_close(model(ids)[:, :20], model(other)[:, :20], 1e-5)
    model = moe_small(moe, capacity_factor=0.6).train()  # first choices of all tokens come before second ones
    assert not moe_close(model(ids)[:, :20], model(other)[:, :20], 1e-2)


# --- balance --------------------------------------------------------------------------------------------------------


def balance_is_right(experts):
    """The loss by its formula in NumPy, 1 at an even load, the gradient down where much is to do; the bias' step."""
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(50, 6)) + np.arange(6) * 0.5
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    best = np.argsort(-logits, axis=1)[:, :2]
    f = np.array([(best == e).mean() for e in range(6)])
    given = torch.tensor(logits, requires_grad=True)
    loss = experts.balancing_loss(given, torch.tensor(best))
    right = abs(loss.item() - 6 * (f * p.mean(0)).sum()) < 1e-6  # f is a float32
    right &= moe_close(experts.loads(torch.tensor(best), 6).double(), torch.tensor(f), 1e-6)
    even = torch.arange(60).view(30, 2) % 6
    right &= abs(experts.balancing_loss(given[:30], even).item() - 1) < 1e-6  # whatever the probabilities
    busy, idle = f.argmax(), f.argmin()
    same = torch.zeros(50, 6, dtype=torch.float64, requires_grad=True)
    gradient = torch.autograd.grad(experts.balancing_loss(same, torch.tensor(best)), same)[0].sum(0)
    right &= bool(gradient[busy] > 0 > gradient[idle])
    z = experts.z_loss(given).item()
    return right and abs(z - (np.log(np.exp(logits).sum(1)) ** 2).mean()) < 1e-9


def test_moe_balancing_loss(moe, planted):
    assert balance_is_right(moe.experts)
    for old, new in (("return E * (loads", "return (loads"), (".logsumexp(-1).square()", ".logsumexp(-1)"),
                     ("logits.softmax(-1).mean(0)", "logits.softmax(-1).mean(0).detach()"),
                     ("loads(chosen, E) * logits.softmax(-1)", "logits.softmax(-1).mean(0) * logits.softmax(-1)")):
        assert not moe_raises_or(balance_is_right, planted("experts", old, new)), new


def test_moe_balancing_loss_is_at_least_1_for_a_sure_router(moe):
    """Where p is 0 or 1, f = P and E sum f^2 >= 1; an unsure router can come below 1 (the lesson's example)."""
    for seed in range(20):
        chosen = torch.randint(5, (40, 1), generator=torch.Generator().manual_seed(seed)) % (1 + seed % 5)
        loss = moe.experts.balancing_loss(60.0 * F.one_hot(chosen[:, 0], 5), chosen)
        assert loss >= 1 - 1e-6 and abs(float(loss) - 5 * float((torch.bincount(chosen[:, 0]) / 40).square().sum())) < 1e-5
    p = torch.tensor([[0.51, 0.49]] * 3 + [[0.01, 0.99]])
    assert 0.85 < float(moe.experts.balancing_loss(p.log(), p.argmax(1, keepdim=True))) < 0.9


def bias_evens_out(experts):
    """The same skewed rows again and again: the bias alone must bring the load near even."""
    torch.manual_seed(0)
    layer, x = experts.Experts(16, 8, 8, 2, bias=True), torch.randn(1, 500, 16)
    with torch.no_grad():
        layer.gate.weight.mul_(3)
        x += layer.gate.weight[0]  # everybody likes expert 0
        spread = []
        for _ in range(200):
            layer(x)
            spread.append(float((experts.loads(layer.chosen, 8) * 8 - 1).abs().max()))
            layer.move_bias(0.002)
    return spread[0] > 1 and max(spread[-10:]) < 0.25


def test_moe_bias_evens_out_the_load(moe, planted):
    assert bias_evens_out(moe.experts)
    for old, new in (("self.bias += rate", "self.bias -= rate"), ("else p + bias).topk", "else p).topk"),
                     ("rate * error.sign()", "rate * error.abs().sign()")):
        assert not bias_evens_out(planted("experts", old, new)), new


def test_moe_loss_evens_out_the_load(moe):
    torch.manual_seed(0)
    layer, x = moe.experts.Experts(16, 8, 8, 2), torch.randn(1, 500, 16)
    with torch.no_grad():
        layer.gate.weight.mul_(3)
        x += layer.gate.weight[0]
    optimizer, losses = torch.optim.Adam([layer.gate.weight], lr=0.02), []
    for _ in range(60):
        layer(x)
        losses.append(moe.experts.balancing_loss(layer.logits, layer.chosen))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[0] > 1.1 and 0.97 < losses[-1] < 1.02


def padding_is_left_out(moe):
    """The loss of a padded row is that of the row, with the routers' losses in it; these are as the formula says."""
    model, ids = moe_small(moe, router_aux_loss_coef=0.5, router_z_loss_coef=0.1).train(), torch.arange(20)[None]
    targets = torch.where(ids < 12, ids + 1, -1)
    with torch.no_grad():
        full, cut = model(ids, targets), model(ids[:, :12], targets[:, :12])
        routers = model.routers()
        own = [0.5 * moe.experts.balancing_loss(r.logits, r.chosen) + 0.1 * moe.experts.z_loss(r.logits) for r in routers]
        plain = model.eval()(ids[:, :12], targets[:, :12])
    return abs(float(full - cut)) < 1e-5 and abs(float(cut - plain - sum(own) / 2)) < 1e-5


def test_moe_padding_does_not_count(moe, planted, monkeypatch):
    assert padding_is_left_out(moe)
    monkeypatch.setattr(moe.mixtral, "Experts", planted("experts", "logits[counted]", "logits").Experts)
    assert not padding_is_left_out(moe)
    monkeypatch.setattr(moe.mixtral, "Experts", moe.experts.Experts)
    monkeypatch.setattr(moe.mixtral, "balancing_loss", lambda logits, chosen: 0.0)
    assert not padding_is_left_out(moe)


# --- `transformers` -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"num_experts_per_tok": 1}, {"num_local_experts": 7, "num_experts_per_tok": 3},
                                     {"tie_word_embeddings": False, "rope_theta": 5e4, "rms_norm_eps": 1e-3}])
def test_moe_folder_opens_in_transformers(moe, root, tmp_path, changes):
    model = moe_small(moe, **changes)
    moe.mixtral.save_mixtral(tmp_path, model, root / MOE_TOKENIZER)
    theirs, info = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert type(theirs) is transformers.MixtralForCausalLM and not any(
        info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ids = torch.randint(60, (3, 40), generator=torch.Generator().manual_seed(1))
    if changes.get("num_experts_per_tok") == 1:  # there Mixtral's only factor is 1
        for router in model.routers():
            router.renormalize = True
    with torch.no_grad():
        result = theirs(ids, output_router_logits=True)
        assert moe_close(model(ids), result.logits, 1e-4)
    for router, logits in zip(model.routers(), result.router_logits):
        assert moe_close(router.logits, logits, 1e-4)
    inside = theirs.model.layers[1].mlp.experts  # one tensor for all experts, gate above up
    for e, expert in enumerate(model.model.layers[1].mlp.experts):
        assert torch.equal(inside.gate_up_proj[e], torch.cat([expert.gate_proj.weight, expert.up_proj.weight]))
        assert torch.equal(inside.down_proj[e], expert.down_proj.weight)


def moe_theirs(**changes):
    torch.manual_seed(3)
    return transformers.MixtralForCausalLM(transformers.MixtralConfig(
        vocab_size=50, hidden_size=32, intermediate_size=20, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, num_local_experts=5, max_position_embeddings=64, initializer_range=0.2, **changes))


@pytest.mark.parametrize("tied", [True, False])
def test_moe_opens_what_transformers_saved(moe, tmp_path, tied):
    theirs = moe_theirs(tie_word_embeddings=tied).eval()
    theirs.save_pretrained(tmp_path)
    names = set(load_file(tmp_path / "model.safetensors"))
    assert "model.layers.2.block_sparse_moe.experts.4.w1.weight" in names, "the file has a matrix an expert"
    assert "model.layers.2.mlp.experts.gate_up_proj" in dict(theirs.named_parameters()), "memory has them in one"
    model, ids = moe.mixtral.load_mixtral(tmp_path), torch.arange(30).view(2, 15)
    assert model.config.rope_theta == 1e6
    with torch.no_grad():
        assert moe_close(model(ids), theirs(ids).logits, 1e-4)
    moe.mixtral.save_mixtral(tmp_path / "again", model, "tokenization/tokenizer.json")
    first, again = (load_file(path / "model.safetensors") for path in (tmp_path, tmp_path / "again"))
    assert set(again) == names and all(torch.equal(again[name], first[name]) for name in names)


def test_moe_gradients_and_balancing_loss_of_transformers(moe, tmp_path, planted):
    theirs = moe_theirs(router_aux_loss_coef=0.0).train()
    theirs.save_pretrained(tmp_path)
    model, ids = moe.mixtral.load_mixtral(tmp_path).train(), torch.arange(40).view(2, 20)
    targets = torch.cat([ids[:, 1:], torch.full((2, 1), -1)], dim=1)
    theirs(ids, labels=ids).loss.backward()
    model(ids, targets).backward()
    for ours, other in zip(model.model.layers, theirs.model.layers):
        assert moe_close(ours.mlp.gate.weight.grad, other.mlp.gate.weight.grad, 1e-5)
        inside = torch.stack([torch.zeros(32, 20) if e.down_proj.weight.grad is None else e.down_proj.weight.grad
                              for e in ours.mlp.experts])
        assert moe_close(inside, other.mlp.experts.down_proj.grad, 1e-5)
        assert moe_close(ours.self_attn.q_proj.weight.grad, other.self_attn.q_proj.weight.grad, 1e-5)
    logits = torch.randn(90, 5, generator=torch.Generator().manual_seed(0)) + torch.arange(5) * 0.4
    for k in (1, 2, 3):  # theirs counts k choices a token as k, not as 1
        ours = moe.experts.balancing_loss(logits, moe.experts.route(logits, k)[1])
        assert abs(float(load_balancing_loss_func((logits,), 5, k) - k * ours)) < 1e-5
    broken = planted("mixtral", '"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"',
                     '"gate_proj": "w3", "down_proj": "w2", "up_proj": "w1"').load_mixtral(tmp_path)
    with torch.no_grad():
        assert not moe_close(broken(ids), theirs.eval()(ids).logits, 1e-4)


def test_moe_damaged_folders_are_named(moe, tmp_path):
    def edit(**changes):
        stored = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps({**stored, **changes}))

    model = moe_small(moe)
    UserError = moe.cli.UserError
    moe.mixtral.save_mixtral(tmp_path, model, "tokenization/tokenizer.json")
    whole = (tmp_path / "config.json").read_text()
    for changes, what in (({"model_type": "llama"}, "mixtral"), ({"num_local_experts": None}, "num_local_experts"),
                          ({"num_experts_per_tok": 9}, "num_experts_per_tok 9"), ({"hidden_act": "gelu"}, "hidden_act"),
                          ({"sliding_window": 8}, "sliding_window"), ({"head_dim": 4}, "head_dim"),
                          ({"rope_parameters": {"rope_type": "yarn"}}, "yarn"), ({"intermediate_size": 8}, "shape"),
                          ({"num_hidden_layers": 900000}, "lack model.layers.899999"),
                          ({"num_local_experts": 5}, "gate.weight has"),
                          ({"vocab_size": "x"}, "vocab_size")):
        edit(**changes)
        with pytest.raises(UserError, match=what):
            moe.mixtral.load_mixtral(tmp_path)
        (tmp_path / "config.json").write_text(whole)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.layers.1.block_sparse_moe.gate.weight"]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="block_sparse_moe.gate"):
        moe.mixtral.load_mixtral(tmp_path)
    for changes in ({"bias_rate": 0.1}, {"shared_size": 8}):
        with pytest.raises(ValueError, match="no shared expert and no bias"):
            moe.mixtral.save_mixtral(tmp_path, moe_small(moe, **changes), "tokenization/tokenizer.json")


# --- counts ---------------------------------------------------------------------------------------------------------


def test_moe_counts_by_formula(moe):
    rng = np.random.default_rng(0)
    for _ in range(6):
        heads, E = int(rng.integers(1, 4)) * 2, int(rng.integers(2, 6))
        config = moe.mixtral.MixtureConfig(
            int(rng.integers(10, 90)), heads * 8, int(rng.integers(1, 40)), int(rng.integers(1, 4)), heads, heads // 2, 32,
            tie_word_embeddings=bool(rng.integers(2)), num_local_experts=E, num_experts_per_tok=int(rng.integers(1, E + 1)),
            shared_size=int(rng.integers(0, 9)))
        model = moe.mixtral.Mixture(config)
        used = [p.numel() for name, p in model.named_parameters() if ".experts." not in name]
        used += [p.numel() for r in model.routers() for e in r.experts[:r.top_k] for p in e.parameters()]
        assert moe.mixtral.count_by_formula(config) == (model.count_parameters(), sum(used))
        assert model.count_active() == sum(used)
    dense = moe.model.from_depth(3)
    assert moe.mixtral.count_by_formula(dense) == (2_114_880, 2_114_880)
    with torch.device("meta"):
        small = transformers.MixtralForCausalLM(transformers.MixtralConfig(max_position_embeddings=8))
    assert moe.mixtral.count_by_formula(moe.mixtral.PUBLISHED["Mixtral 8x7B"][0])[0] == sum(
        p.numel() for p in small.parameters()) == 46_702_792_704


def test_moe_flops_as_torch_counts_them(moe):
    for model in (moe_small(moe), moe_small(moe, num_experts_per_tok=1, num_local_experts=6),
                  moe_small(moe, shared_size=16, tie_word_embeddings=False)):
        ids = torch.randint(60, (3, 40), generator=torch.Generator().manual_seed(2))
        with FlopCounterMode(display=False) as counter:
            model.train()(ids, ids)
        looked_at_twice = 2 * 2 * 40 * 32  # on a CPU the training computes the masked half of the scores too
        assert counter.get_total_flops() == 120 * (moe.mixtral.flops_a_token(model.config, 40) + looked_at_twice)


# --- learning, and who the experts are ------------------------------------------------------------------------------


def moe_learns(experts, steps=150):
    """Four clouds of points, each turned by a matrix of its own: the share of the variance that is left over."""
    generator = torch.Generator().manual_seed(0)
    centers, maps = torch.randn(4, 8, generator=generator) * 2, torch.randn(4, 8, 8, generator=generator) / 3
    torch.manual_seed(0)
    layer = experts.Experts(8, 16, experts=4, top_k=1)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(steps):
        cloud = torch.randint(4, (256,), generator=generator)
        x = centers[cloud] + torch.randn(256, 8, generator=generator)
        y = torch.einsum("nij,nj->ni", maps[cloud], x)
        loss = (layer(x[None])[0] - y).square().mean()
        balanced = loss + 0.05 * experts.balancing_loss(layer.logits, layer.chosen)
        optimizer.zero_grad()
        balanced.backward()
        optimizer.step()
    return float(loss.detach() / y.var())


def test_moe_learns(moe, planted):
    assert moe_learns(moe.experts) < 0.12
    for old, new in (("return order % len(chosen), flat", "return order // chosen.shape[1] * 0, flat"),
                     ("pieces = x[tokens].split", "pieces = x.repeat(chosen.shape[1], 1).split")):
        assert not moe_learns(planted("experts", old, new)) < 0.12, new


def test_moe_mutual_information(moe, planted):
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 8, 200_000), rng.integers(0, 4, 200_000)
    assert abs(moe.specialists.mutual_information(a, a) - 3) < 1e-3
    assert 0 <= moe.specialists.mutual_information(a, b) < 1e-3
    noisy = np.where(rng.random(200_000) < 0.5, a, rng.integers(0, 8, 200_000))  # p(same) = 9/16, each other 1/16
    wanted = 3 + 9 / 16 * math.log2(9 / 16) + 7 / 16 * math.log2(1 / 16)
    assert abs(moe.specialists.mutual_information(a, noisy) - wanted) < 0.01
    broken = planted("specialists", "p.sum(0, keepdims=True)", "p.mean(0, keepdims=True)")
    assert not abs(broken.mutual_information(a, noisy) - wanted) < 0.01


def test_moe_token_classes(moe):
    names = moe.specialists.CLASSES
    found = {text: names[moe.specialists.token_class(text, False)] for text in
             (".", ' "', ".\n", " Tom", "Once", " the", " The", " she", " was", " jumped", " dog",
              " fluffy", "ing", "\n", " ")}
    assert found == {".": names[1], ' "': names[1], ".\n": names[1], " Tom": names[2], "Once": names[2], " the": names[3],
                     " The": names[3], " she": names[4], " was": names[5], " jumped": names[5], " dog": names[6],
                     " fluffy": names[7], "ing": names[8], "\n": names[9], " ": names[9]}
    assert names[moe.specialists.token_class("<|endoftext|>", True)] == names[0]


def test_moe_look_tells_specialists_from_chance(moe, root):
    """A router that reads the token is seen; one that is drawn at random is not."""
    tokenizer = moe.tokenizer.load_tokenizer(root / MOE_TOKENIZER)
    rng = np.random.default_rng(0)
    encoded = [rng.integers(300, 330, 41).astype(np.uint16) for _ in range(30)]
    model = moe_small(moe, vocab_size=tokenizer.n_vocab)
    layer = moe.specialists.look(model, model, encoded, tokenizer, 0)[0][0]
    assert layer.bits > 3 * layer.shuffled and layer.bits == layer.before[0]
    assert np.allclose(layer.shares.sum(1)[layer.shares.sum(1) > 0], 1)
    ids, chosen = moe.specialists.first_choices(model, encoded)
    assert ids.shape == (1200,) and chosen.shape == (2, 1200) and not model.training
    for row, router in zip(chosen, model.routers()):  # which still hold the last story
        assert np.array_equal(row[-40:], router.chosen[:, 0].numpy()) and not np.array_equal(row[-40:], row[:40])


# --- the scripts ----------------------------------------------------------------------------------------------------


def test_moe_scripts(moe, run_script, tmp_path, clone, root, monkeypatch, capsys):
    moe.experts.main([])
    monkeypatch.chdir(root)
    moe.mixtral.main([])
    printed = capsys.readouterr().out
    assert "a capacity of 4: the same" in printed and "46,702,792,704" in printed
    result = run_script("transformer/moe.py", "--data", "out/few", "--steps", 3, "--batch-size", 256, "--eval-stories", 3,
                        "--width", 64, "--layers", 1, "--out", tmp_path / "moe", "--plot")
    assert "dense, all" in result.stdout and "expert 7" in result.stdout
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "moe")
    assert theirs.config.num_local_experts == 8
    for name in ("experts_load.svg", "experts_who.svg"):
        assert (clone / "transformer/figures" / name).read_text().startswith("<svg")


def test_moe_mistakes_are_one_line(moe, run_script, capsys):
    for flags, what in ((["--top-k", "9"], "8 experts"), (["--width", "100"], "64"), (["--bias-rate", "0"], "above 0")):
        with pytest.raises(SystemExit) as ended:
            moe.moe.parse(flags)
        assert ended.value.code == 2 and what in capsys.readouterr().err
    result = run_script("transformer/moe.py", "--data", "nowhere", status=2)
    assert "nowhere" in result.stderr and "Traceback" not in result.stderr
