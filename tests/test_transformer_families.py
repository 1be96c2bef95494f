"""The families: logits equal to `transformers`' own classes, counts to the published ones, and what learns, learns."""

import re
from dataclasses import replace

import pytest
import torch
import transformers

IDS = torch.arange(2 * 20).view(2, 20) * 7 % 61  # (B, T) of a vocabulary of 61


@pytest.fixture(scope="module")
def tr(chapter):
    return chapter("transformer")


@pytest.fixture(scope="module")
def families(tr):
    return tr.families


@pytest.fixture(scope="module")
def sizes(tr):
    return tr.family_sizes


def families_close(a, b, atol=1e-4):
    """Written so that NaN fails."""
    return a.shape == b.shape and float((a.double() - b.double()).abs().max()) <= atol


def shaken(model, seed=0):
    """Weights large enough that every part is felt in the logits: norms near 1, biases and matrices random."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(0.2 * noise if p.dim() > 1 else p + 0.3 * noise)
    return model.eval()


GPT_NAMES = {  # Hugging Face's GPT-1 and GPT-2, to ours; c_attn is cut into three
    "transformer.wte.": "words.", "transformer.wpe.": "places.", "transformer.tokens_embed.": "words.",
    "transformer.positions_embed.": "places.", "transformer.ln_f.": "norm.", "transformer.h.": "blocks.",
    ".ln_1.": ".norm_1.", ".ln_2.": ".norm_2.", ".attn.c_proj.": ".attention.o_proj.", ".mlp.c_fc.": ".mlp.up_proj.",
    ".mlp.c_proj.": ".mlp.down_proj.", "lm_head.": "head.",
}
LLAMA_NAMES = {  # Llama, Mistral, Mixtral, Gemma
    "model.embed_tokens.": "words.", "model.layers.": "blocks.", ".self_attn.": ".attention.", "model.norm.": "norm.",
    ".input_layernorm.": ".norm_1.", ".post_attention_layernorm.": ".norm_2.", "lm_head.": "head.",
}


def our_weights(theirs, names):
    """A state of transformers' model under our names; GPT's matrices are (in, out) there."""
    ours = {}
    for name, tensor in theirs.state_dict().items():
        for old, new in names.items():
            name = name.replace(old, new)
        if names is GPT_NAMES and re.search(r"(c_attn|o_proj|up_proj|down_proj)\.weight", name):
            tensor = tensor.T
        if "c_attn" in name:
            for part, rows in zip("qkv", tensor.chunk(3)):
                ours[name.replace("attn.c_attn", f"attention.{part}_proj")] = rows
        elif name.endswith(".mlp.experts.gate_up_proj"):  # (E, 2 F, C): all experts in one tensor
            for e, both in enumerate(tensor):
                prefix = name.replace("gate_up_proj", str(e))
                ours[f"{prefix}.gate_proj.weight"], ours[f"{prefix}.up_proj.weight"] = both.chunk(2)
        elif name.endswith(".mlp.experts.down_proj"):
            for e, matrix in enumerate(tensor):
                ours[f"{name.replace('down_proj', str(e))}.down_proj.weight"] = matrix
        elif not name.endswith((".attn.bias", ".attn.masked_bias")):
            ours[name] = tensor
    return ours


COMMON = dict(vocab_size=61, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=32,
              attn_implementation="eager")
SMALL = dict(layers=3, width=32, heads=4, context=32, vocab=61)


def pair_of(sizes, name):
    """(our row, transformers' model, the names) of one family, small."""
    T = transformers
    small = {**SMALL, "kv_heads": 4, "head_dim": 8, "hidden": 128}
    gpt = dict(vocab_size=61, n_positions=32, n_embd=32, n_layer=3, n_head=4, attn_implementation="eager")
    if name == "GPT-1":
        return replace(sizes.GPT1, **small), T.OpenAIGPTLMHeadModel(T.OpenAIGPTConfig(**gpt)), GPT_NAMES
    if name == "GPT-2":
        return replace(sizes.GPT2, **small), T.GPT2LMHeadModel(T.GPT2Config(**gpt)), GPT_NAMES
    if name == "Llama":
        theirs = T.LlamaForCausalLM(T.LlamaConfig(**COMMON, intermediate_size=48))
        return replace(sizes.LLAMA, **{**small, "hidden": 48}), theirs, LLAMA_NAMES
    if name == "Llama 2":
        theirs = T.LlamaForCausalLM(T.LlamaConfig(**COMMON, intermediate_size=48, num_key_value_heads=2,
                                                  rms_norm_eps=1e-5))
        return replace(sizes.LLAMA2, **{**small, "hidden": 48, "kv_heads": 2}), theirs, LLAMA_NAMES
    if name == "Mistral":
        theirs = T.MistralForCausalLM(T.MistralConfig(**COMMON, intermediate_size=48, num_key_value_heads=2, head_dim=8,
                                                      sliding_window=5, rms_norm_eps=1e-5))
        return replace(sizes.MISTRAL, **{**small, "hidden": 48, "kv_heads": 2, "window": 5}), theirs, LLAMA_NAMES
    if name == "Mixtral":
        theirs = T.MixtralForCausalLM(T.MixtralConfig(
            **COMMON, intermediate_size=48, num_key_value_heads=2, num_local_experts=5, num_experts_per_tok=2,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6}))
        return (replace(sizes.MIXTRAL, **{**small, "hidden": 48, "kv_heads": 2, "experts": 5}), theirs, LLAMA_NAMES)
    theirs = T.GemmaForCausalLM(T.GemmaConfig(**COMMON, intermediate_size=48, num_key_value_heads=1, head_dim=12))
    return replace(sizes.GEMMA, **{**small, "hidden": 48, "kv_heads": 1, "head_dim": 12}), theirs, LLAMA_NAMES


EQUAL = ["GPT-1", "GPT-2", "Llama", "Llama 2", "Mistral", "Mixtral", "Gemma"]


def both_logits(families, sizes, name, **planted):
    """Our logits and theirs with the same random weights; `planted` changes our row, as a bug would."""
    row, theirs, names = pair_of(sizes, name)
    shaken(theirs)
    model = families.Decoder(replace(row, **planted)).eval()
    missing = model.load_state_dict(our_weights(theirs, names), strict=False)
    assert planted or not missing.unexpected_keys and not missing.missing_keys, missing
    with torch.inference_mode():
        return model(IDS), theirs(IDS).logits


@pytest.mark.parametrize("name", EQUAL)
def test_logits_equal_transformers(families, sizes, name):
    ours, theirs = both_logits(families, sizes, name)
    assert float(theirs.std()) > 0.1
    assert families_close(ours, theirs)


@pytest.mark.parametrize("name, planted", [
    ("GPT-1", {"norm_place": "pre"}), ("GPT-1", {"activation": "relu"}), ("GPT-2", {"eps": 0.1}),
    ("GPT-2", {"scaled_scores": False}), ("GPT-2", {"norm_place": "post"}), ("Llama", {"position": "learned"}),
    ("Llama", {"activation": "GEGLU"}), ("Llama 2", {"theta": 500.0}), ("Mistral", {"window": 4}),
    ("Mistral", {"window": 6}), ("Mistral", {"pattern": "causal"}),
    ("Mistral", {"pattern": "causal, every other banded"}), ("Mixtral", {"top_k": 1}), ("Mixtral", {"top_k": 3}),
    ("Mixtral", {"theta": 10000.0}), ("Gemma", {"norm": "RMS"}), ("Gemma", {"scaled_embedding": False}),
    ("Gemma", {"activation": "SwiGLU"})])
def test_each_choice_is_felt(families, sizes, name, planted):
    ours, theirs = both_logits(families, sizes, name, **planted)
    assert not families_close(ours, theirs, 1e-3)


def test_a_block_equals_torchs(tr, families, sizes):
    """The decoder block of 2017, with its look at the encoder, is torch.nn.TransformerDecoderLayer."""
    row = replace(sizes.ORIGINAL, width=32, heads=4, kv_heads=4, head_dim=8, hidden=48, attention_bias=True)
    ours = tr.family_parts.Block(row, cross=True)
    theirs = torch.nn.TransformerDecoderLayer(32, 4, 48, dropout=0.0, batch_first=True)
    shaken(theirs)
    state = {}
    for mine, yours in (("attention", "self_attn"), ("cross", "multihead_attn")):
        attention = getattr(theirs, yours)
        for part, w, b in zip("qkv", attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)):
            state[f"{mine}.{part}_proj.weight"], state[f"{mine}.{part}_proj.bias"] = w, b
        state |= {f"{mine}.o_proj.{kind}": p for kind, p in attention.out_proj.named_parameters()}
    for mine, yours in (("norm_1", "norm1"), ("norm_cross", "norm2"), ("norm_2", "norm3"), ("mlp.up_proj", "linear1"),
                        ("mlp.down_proj", "linear2")):
        state |= {f"{mine}.{kind}": p for kind, p in getattr(theirs, yours).named_parameters()}
    ours.load_state_dict(state)
    generator = torch.Generator().manual_seed(1)
    x, memory = torch.randn(2, 7, 32, generator=generator), torch.randn(2, 9, 32, generator=generator)
    mask = tr.family_parts.may_look(7)
    with torch.no_grad():
        wanted = theirs(x, memory, tgt_mask=~mask)
        assert families_close(ours(x, mask, memory=memory), wanted)
        assert not families_close(ours(x, mask, memory=memory.flip(1) * 2), wanted, 1e-3)
        assert not families_close(ours(x, memory=memory), wanted, 1e-3)
    row.norm_place = "pre"
    before = tr.family_parts.Block(row, cross=True)
    before.load_state_dict(state)
    theirs.norm_first = True
    with torch.no_grad():
        assert families_close(before(x, mask, memory=memory), theirs(x, memory, tgt_mask=~mask))


def test_palms_block_by_the_formula(tr, sizes):
    """Attention and MLP side by side, one head of keys and values, norms without bias; heads wider than C / H."""
    row = replace(sizes.PALM, width=32, heads=4, head_dim=12, hidden=40)
    block = shaken(tr.family_parts.Block(row))
    x = torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(2))
    cos, sin = tr.model.rotary_tables(12, 9, 10000.0)
    with torch.no_grad():
        a, m = block.attention, block.mlp
        h = torch.nn.functional.layer_norm(x, (32,), block.norm_1.weight, None, row.eps)
        q, k, v = h @ a.q_proj.weight.T, h @ a.k_proj.weight.T, h @ a.v_proj.weight.T
        q, k = q.view(2, 9, 4, 12).transpose(1, 2), k[:, None]
        q, k = tr.model.rotate(q, cos, sin), tr.model.rotate(k, cos, sin)
        y = torch.nn.functional.scaled_dot_product_attention(q, k.expand(2, 4, 9, 12), v[:, None].expand(2, 4, 9, 12),
                                                             is_causal=True)
        gate = torch.nn.functional.silu(h @ m.gate_proj.weight.T)
        wanted = (x + y.transpose(1, 2).reshape(2, 9, 48) @ a.o_proj.weight.T
                  + (gate * (h @ m.up_proj.weight.T)) @ m.down_proj.weight.T)
        got = block(x, tr.family_parts.may_look(9), tables=(cos, sin))
    assert families_close(got, wanted, 1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("name, layers, reach", [("MISTRAL", 1, 3), ("MISTRAL", 3, 9), ("GPT3", 1, 15), ("GPT3", 2, 15),
                                                 ("LLAMA", 1, 15)])
def test_how_far_back_a_token_is_felt(families, sizes, name, layers, reach):
    """A window of 4 reaches 3 tokens back a layer; of GPT-3's layers the first sees all. None feels a later one."""
    small = {**SMALL, "layers": layers, "kv_heads": 4, "head_dim": 8, "hidden": 48}
    row = replace(getattr(sizes, name), **small, window=4)
    model = shaken(families.Decoder(row)).double()
    ids = torch.arange(16)[None]
    with torch.inference_mode():
        base, felt = model(ids)[0], []
        for s in range(16):
            changed = ids.clone()
            changed[0, s] = 60
            rows = ((model(changed)[0] - base).abs().amax(-1) > 1e-12).nonzero().flatten().tolist()
            felt.append((s, rows))
    for s, rows in felt:
        assert rows == list(range(s, min(16, s + reach + 1))), f"token {s} is felt at {rows}"


def test_every_other_layer_is_banded(families, sizes):
    row = replace(sizes.GPT3, **{**SMALL, "kv_heads": 4, "head_dim": 8, "hidden": 48}, window=4)
    even, odd = families.Decoder(row).masks(9, None)
    assert even.sum() == 45 and odd.sum() == 4 * 9 - 6
    assert torch.equal(odd, even & ~torch.ones(9, 9, dtype=torch.bool).tril(-4))


def meta_count(model):
    with torch.device("meta"):
        return sum(p.numel() for p in model().parameters())


def test_counts_of_the_released_configurations(families, sizes):
    """transformers' own classes with the configurations of the released weights have as many parameters."""
    T = transformers
    gemma = dict(num_hidden_layers=18, hidden_size=2048, intermediate_size=16_384, num_attention_heads=8,
                 num_key_value_heads=1)
    llama = dict(num_hidden_layers=80, hidden_size=8192, num_attention_heads=64)
    theirs = {
        "GPT-1": lambda: T.OpenAIGPTLMHeadModel(T.OpenAIGPTConfig()),
        "GPT-2 small": lambda: T.GPT2LMHeadModel(T.GPT2Config()),
        "BERT base": lambda: T.BertForPreTraining(T.BertConfig()),
        "Llama 7B": lambda: T.LlamaForCausalLM(T.LlamaConfig()),
        "Llama 65B": lambda: T.LlamaForCausalLM(T.LlamaConfig(**llama, intermediate_size=22_016)),
        "Llama 2 70B": lambda: T.LlamaForCausalLM(
            T.LlamaConfig(**llama, intermediate_size=28_672, num_key_value_heads=8)),
        "Mistral 7B": lambda: T.MistralForCausalLM(T.MistralConfig()),
        "Mixtral 8x7B": lambda: T.MixtralForCausalLM(T.MixtralConfig()),
        "Gemma 2B": lambda: T.GemmaForCausalLM(T.GemmaConfig(**gemma)),
        "Gemma 7B": lambda: T.GemmaForCausalLM(T.GemmaConfig()),
        "T5 small": lambda: T.T5ForConditionalGeneration(T.T5Config()),
    }
    rows = {size.family.name: size for size in sizes.SIZES}
    for name, model in theirs.items():
        count = meta_count(model)
        assert count == rows[name].weights, name
        assert count == families.count_parameters(families.build(rows[name].family)), name


def test_counts_are_checked(families, sizes):
    """Another count than the released weights', or one that the paper does not round to, is noticed."""
    good = next(size for size in sizes.SIZES if size.family.name == "GPT-1")
    for fault in ({"weights": good.weights + 1}, {"stated": "118M", "note": ""},
                  {"family": replace(good.family, context=513)}):
        with pytest.raises(AssertionError):
            families.compare_counts([replace(good, **fault)])
    for stated, count, said in [("8.63B", 8_632_012_800, True), ("8.62B", 8_632_012_800, False),
                                 ("2,650M", 2_651e6, True),
                                ("2,640M", 2_651e6, False), ("340M", 336e6, True), ("340M", 329e6, False),
                                ("65.2B", 65_285_660_672, True), ("13.0B", 13.11e9, False), ("117M", 124e6, False)]:
        assert sizes.agrees(count, stated) == said, (stated, count)


def test_cache_bytes(families, sizes):
    """By counting what a decoder's key and value projections give, layer by layer."""
    for row in (sizes.GPT2, sizes.PALM, sizes.LLAMA2, sizes.MIXTRAL, sizes.GEMMA):
        blocks = families.build(row).blocks
        numbers = sum(b.attention.k_proj.out_features + b.attention.v_proj.out_features for b in blocks)
        assert sizes.cache_bytes(row) == 2 * numbers
        assert sizes.cache_bytes(row, row.context) == 2 * numbers * row.context
    assert sizes.cache_bytes(sizes.MISTRAL, 4096) == sizes.cache_bytes(sizes.MISTRAL, 8192) == 2**29
    assert sizes.cache_bytes(sizes.BERT, 512) == 0
    assert sizes.cache_bytes(sizes.LLAMA2) == 327_680  # known of Llama 2 70B: 320 KiB a token


def test_active_parameters(families, sizes):
    """What a token of a Mixtral uses: as many as a model with two experts has, and a router of eight."""
    small = replace(sizes.MIXTRAL, **{**SMALL, "kv_heads": 2, "head_dim": 8, "hidden": 48})
    dense = families.count_parameters(families.build(replace(small, experts=2)))
    assert families.active_parameters(small, families.count_parameters(families.build(small))) == dense + 3 * 6 * 32


def test_the_small_ones_keep_their_choices(families, sizes):
    for row in families.DECODERS:
        small = sizes.as_trained(row)
        assert 200_000 < families.count_parameters(families.build(small)) < 1_200_000, small.name
        assert small.heads % small.kv_heads == 0 and small.head_dim % 2 == 0
        for choice in ("norm", "norm_place", "position", "activation", "pattern", "tied", "bias", "parallel", "top_k"):
            assert getattr(small, choice) == getattr(row, choice)
        assert (small.kv_heads < small.heads) == (row.kv_heads < row.heads)
        assert bool(small.window) == (row.pattern not in ("causal", "full"))
        assert bool(small.experts) == bool(row.experts)


@pytest.mark.parametrize("name", ["GPT1", "PALM", "MIXTRAL", "GEMMA"])
def test_a_small_one_learns(families, sizes, name):
    """A text in which each token follows from the one before it: counting frequencies gives ln 32 = 3.47 nats."""
    stream = (torch.arange(4000) * 11 % 32).numpy()
    row = sizes.as_trained(getattr(sizes, name), context=16, vocab=32, layers=2, width=32)
    model, losses = families.train_decoder(row, stream, steps=40, seed=0, length=16)
    assert 3 < losses[0] < 4 and losses[-1] < 1
    again = families.train_decoder(row, stream, steps=2, seed=0, length=16)[1]
    assert again == families.train_decoder(row, stream, steps=2, seed=0, length=16)[1]


def test_the_table(families, capsys):
    families.show_families()
    out = capsys.readouterr().out
    rows = {line.split("  ")[0]: line.split() for line in out.split("\n\n")[0].splitlines()[1:]}
    assert len(rows) == 13 and rows["Gemma 7B"][2:] == [
        "2024", "28", "3,072", "16", "16", "256", "24,576", "8,192", "256,000", "6T"]
    assert rows["GPT-4"][1:] == ["2023", "?", "?", "?", "?", "?", "?", "8,192", "100,277", "?"]


def test_the_picture(tr, tmp_path, root):
    tr.family_table.draw_families(tmp_path / "families.svg")
    drawn = (tmp_path / "families.svg").read_bytes()
    assert drawn == (root / tr.family_table.FIGURE).read_bytes()
    assert drawn.count(b"#f8d9ae") > 20 and b"RMSNorm (1 + w)" in drawn


def test_the_scripts(tr, families, root, tmp_path, monkeypatch, capsys):
    """The parts by hand; all counts; one step each: every family that is not only counted has its line."""
    tr.family_parts.main([])
    out = capsys.readouterr().out
    assert re.search(r"one key and value head +43,744", out) and re.search(r"RMS +\(4, 2, 0\) -> \(1.55, 0.77", out)
    monkeypatch.chdir(root)
    for split in ("train", "valid"):
        stories = [f"Tom had {n} balls. He saw Mia. Mia had {n + 1} kites, and they went up." for n in range(30)]
        (tmp_path / f"{split}.txt").write_text("\n<|endoftext|>\n".join(stories))
    families.main(["--steps", "1", "--data", str(tmp_path)])
    out = capsys.readouterr().out
    assert "36 sizes: 23 equal" in out and "46,702,792,704" in out
    names = re.findall(r"(.{8}) +[\d,]+ parameters +\d+\.\d\d of \d", out)
    assert [name.strip() for name in names] == ["BERT", "T5", "GPT-1", "GPT-2", "GPT-3", "PaLM", "Llama", "Llama 2",
                                                "Mistral", "Mixtral", "Gemma"]


def test_too_few_stories(tr, families, root, tmp_path, monkeypatch):
    monkeypatch.chdir(root)
    for text in ("One.", "One.\n<|endoftext|>\nTwo."):
        for split in ("train", "valid"):
            (tmp_path / f"{split}.txt").write_text(text)
        with pytest.raises(tr.cli.UserError, match="train.txt and valid.txt need"):
            families.main(["--data", str(tmp_path)])


def test_the_storyteller_is_one_of_the_family(tr, families, sizes):
    """The course's own model is the row of Llama 2 with one table: the same parameters, the same logits."""
    config = tr.model.Config(vocab_size=61, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
                             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32)
    own = shaken(tr.model.Storyteller(config))
    row = replace(sizes.LLAMA2, **{**SMALL, "kv_heads": 2, "head_dim": 8, "hidden": 48}, tied=True)
    model = families.Decoder(row).eval()
    model.load_state_dict(our_weights(own, LLAMA_NAMES), strict=False)
    assert families.count_parameters(model) == own.count_parameters()
    with torch.inference_mode():
        assert families_close(model(IDS), own(IDS))


def test_the_original_looks_where_it_may(tr, sizes):
    """The encoder's words are all felt at once; of its own words the decoder feels those before."""
    row = replace(sizes.ORIGINAL, **{**SMALL, "kv_heads": 4, "head_dim": 8, "hidden": 48, "layers": 1})
    model = shaken(tr.family_models.Original(row))
    source, ids = torch.arange(7)[None], torch.arange(9)[None]
    with torch.inference_mode():
        base = model(source, ids)
        other_source, other_ids = source.clone(), ids.clone()
        other_source[0, 6], other_ids[0, 4] = 50, 50
        assert ((model(other_source, ids) - base).abs().amax(-1) > 1e-6).all()
        assert ((model(source, other_ids) - base).abs().amax(-1) > 1e-6)[0].tolist() == [False] * 4 + [True] * 5
