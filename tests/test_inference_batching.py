"""The paged cache and the engine over it: the texts that each has alone, whatever is shared, moved, copied or put back.

References: Engine with one slot, the model without a cache (logits, and what every page must hold), a plain list of
sets for the books, and each faulty version planted on purpose.
"""

import copy
import random

import pytest
import torch

BATCHING_TOKENIZER = "tokenization/tokenizer.json"
BATCHING_BEGINNINGS = ["Once upon a time there was a little dog who lived in a big red house by the sea", "One day, a girl",
                       "Once upon a time there was a little cat who", "", "The dragon's café 🐉"]


@pytest.fixture(scope="module")
def batching_here(chapter):
    return chapter("inference")


@pytest.fixture(scope="module")
def batching_tokenizer(batching_here, root):
    return batching_here.tokenizer.Tokenizer.load(root / BATCHING_TOKENIZER)


@pytest.fixture(scope="module")
def batching_model(batching_here):
    """A small model, whose weights are large enough for its predictions to differ; 96 tokens of context."""
    module = batching_here.model
    config = module.Config(vocab_size=4096, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                           num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=96)
    model = module.Storyteller(config).initialize(3).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 4 if weight.dim() == 2 else 1 + torch.arange(len(weight)) % 3 / 4
    return model


@pytest.fixture
def batching_plant(batching_here, planted, monkeypatch):
    """batching_plant(name, old, new): paged.py or batching.py with a slip, in use by the chapter's modules."""
    def plant(name, old, new):
        broken = planted(name, old, new)
        if name == "paged":
            for part in ("OutOfPages", "PagedCache", "Table"):
                monkeypatch.setattr(batching_here.batching, part, getattr(broken, part))
            monkeypatch.setattr(batching_here.paged, "PagedCache", broken.PagedCache)
            monkeypatch.setattr(batching_here.paged, "Table", broken.Table)
            monkeypatch.setattr(batching_here.paged, "Pages", broken.Pages)
            monkeypatch.setattr(batching_here.paged, "page_key", broken.page_key)
            monkeypatch.setattr(batching_here.paged, "OutOfPages", broken.OutOfPages)
        else:
            monkeypatch.setattr(batching_here.batching, "PagedEngine", broken.PagedEngine)

    return plant


def batching_requests(here, tokenizer, n, longest=40):
    """n prompts, many of which begin alike, and settings of many kinds."""
    for i in range(n):
        ids = here.generate.prompt_ids(tokenizer, BATCHING_BEGINNINGS[i * i % 5])
        if i % 3 == 2:
            ids = ids + tokenizer.encode(" who ran" * (i % 7))
        yield ids, here.sampling.SamplingParams(
            temperature=(0, 0.8, 1.3)[i % 3], top_p=(0.9, 1)[i % 2], max_tokens=3 + 7 * i % longest,
            repetition_penalty=(1, 1.3)[i % 2], seed=i // 2)


def batching_run(engine, check=lambda: None, most=3000):
    """Runs an engine to its end, which must come."""
    steps = 0
    while engine.running or engine.waiting:
        engine.step()
        check()
        steps += 1
        assert steps < most, "the engine goes round and round"
    return steps


@pytest.fixture(scope="module")
def batching_alone(batching_here, batching_model, batching_tokenizer):
    """batching_alone(ids, params): the sequence that Engine makes when nobody else is there; each once."""
    known = {}

    def alone(ids, params):
        key = tuple(ids), params
        if key not in known:
            engine = batching_here.generate.Engine(batching_model, batching_tokenizer, slots=1)
            known[key] = engine.add(ids, params)
            batching_run(engine)
        return known[key]

    return alone


@torch.inference_mode()
def batching_contents(here, engine):
    """Asserts that the books are right, and that every table's pages hold the keys and values of its text."""
    cache = engine.cache
    cache.check(engine.tables.values())
    assert set(engine.tables) == set(engine.running) and len(engine.running) <= engine.slots
    for sequence, table in engine.tables.items():
        n = table.length
        assert 0 <= n < len(sequence.ids)
        if n:
            dense = here.kv_cache.KVCache(engine.model.config, 1, n)
            engine.model(torch.tensor([sequence.ids[:n]]), dense)
            for paged, wanted in ((cache.k, dense.k), (cache.v, dense.v)):
                L, _, P, K, D = paged.shape
                found = paged[:, table.pages].reshape(L, -1, K, D)[:, :n].transpose(1, 2)
                difference = (found - wanted[:, 0]).abs().max()
                assert difference < 1e-3, f"a page holds something else: {difference}"


# The books


def batching_books(here, rounds=1500, count=7):
    """Random orders to Pages, against sets; and the least recently used goes first."""
    books, rng = here.paged.Pages(count), random.Random(1)
    users, keys, idle, numbers = {}, {}, [], 0  # page -> its users; page -> key; idle pages, oldest first
    for _ in range(rounds):
        order = rng.choice(["take", "share", "give_back", "give_back", "remember"])
        if order == "take" and len(users) == count:
            with pytest.raises(here.paged.OutOfPages):
                books.take()
        elif order == "take":
            oldest = idle[0] if len(users) + len(idle) == count else None
            page = books.take()
            assert page not in users and (page == oldest if oldest is not None else page not in idle)
            if oldest is not None:
                idle.remove(page)
            keys.pop(page, None)
            users[page] = 1
        elif order == "share" and (users or idle):
            page = rng.choice([*users, *idle])
            assert books.share(page) == page
            if page in idle:
                idle.remove(page)
            users[page] = users.get(page, 0) + 1
        elif order == "give_back" and users:
            page = rng.choice([*users])
            books.give_back(page)
            users[page] -= 1
            if not users[page]:
                del users[page]
                idle += [page] if page in keys else []
        elif order == "remember" and users:
            page = rng.choice([*users])
            if page not in keys:
                key = numbers if rng.random() < 0.8 or not keys else rng.choice([*keys.values()])
                numbers += 1
                books.remember(page, key)
                if key not in keys.values():
                    keys[page] = key
        assert list(books.idle) == idle and books.available == count - len(users)
        assert books.page_of == {key: page for page, key in keys.items()}
        assert books.users == [users.get(page, 0) for page in range(count)]
        assert sorted(books.free) == [page for page in range(count) if page not in users and page not in idle]
        assert all(books.writable(page) == (n == 1 and page not in keys) for page, n in users.items())


def test_batching_the_books_against_plain_sets(batching_here):
    batching_books(batching_here)


@pytest.mark.parametrize(("old", "new"), [
    ("self.users[page] += 1", "self.users[page] = 1"),
    ("self.users[page] -= 1", "self.users[page] = 0"),
    ("self.idle.pop(page, None)", "pass"),
    ("popitem(last=False)", "popitem(last=True)"),
    ("            del self.page_of[self.key[page]]\n", ""),
    ("return self.users[page] == 1 and self.key[page] is None", "return self.users[page] == 1"),
    ("if key not in self.page_of:", "if True:"),
])
def test_batching_slips_in_the_books_are_noticed(batching_here, batching_plant, old, new):
    batching_plant("paged", old, new)
    with pytest.raises((AssertionError, KeyError, IndexError)):
        batching_books(batching_here)


# The cache


@torch.inference_mode()
def batching_logits(here, model):
    """Tables that share, fork and grow by different steps: the logits are those of the whole text, without a cache."""
    rng = random.Random(4)
    cache, texts = here.paged.PagedCache(model.config, 40, 4), {}  # table -> ids

    def forward(tables, n):
        for table in tables:
            texts[table] += [rng.randrange(4092) for _ in range(table.length + n - len(texts[table]))]
            cache.reserve(table, table.length + n)
        new = torch.tensor([texts[t][t.length : t.length + n] for t in tables])
        rows = model(new, cache.rows(tables))
        cache.check(texts)
        for table, row in zip(tables, rows):
            cache.remember(table, texts[table])
            whole = model(torch.tensor([texts[table][: table.length]]))[0, -n:]
            difference = (row - whole).abs().max()
            assert difference < 1e-3, f"logits differ by {difference}"

    first = here.paged.Table()
    texts[first] = []
    for n in (1, 1, 5, 1, 11):
        forward([first], n)
    for length in (19, 18, 16, 3, 1):
        table = cache.fork(first, length)
        texts[table] = texts[first][:length]
    forward([*texts], 1)  # six texts of different lengths, all writing where others read
    forward([*texts], 3)
    forward([*texts][::2], 1)
    known, shorter = cache.match(texts[first]), cache.match(texts[first][:20])
    assert known.length == 23 and known.pages == first.pages[:6]  # all of it, of which the last token is computed again
    assert shorter.length == 19 and shorter.pages == first.pages[:5]
    texts[known], texts[shorter] = list(texts[first]), texts[first][:20]
    forward([known, first, shorter], 2)
    assert known.pages[:5] == first.pages[:5] and known.pages[5] != first.pages[5]
    for table in [*texts][:3]:
        cache.release(table)
        del texts[table]
    stranger = here.paged.Table()  # the same second page, after another first one
    texts[stranger] = [7, 7, 7, 7, *texts[known][4:12]]
    forward([stranger], 12)
    again = cache.match(texts[stranger] + [1])
    assert again.length == 12 and again.pages == stranger.pages
    texts[again] = texts[stranger] + [1]
    forward([again], 1)
    forward([known, stranger, again], 2)
    for table in list(texts):
        cache.release(table)
    cache.check([])


def test_batching_logits_through_pages_are_those_without_a_cache(batching_here, batching_model):
    batching_logits(batching_here, batching_model)


@pytest.mark.parametrize(("old", "new"), [
    ("blake2b(parent + array", "blake2b(array"),  # the same ids after another text are another page
    ("not self.pages.writable(table.pages[inside]):\n", "False:\n"),  # no copy on write
    ("            self.v[:, page, :n] = self.v[:, old, :n]\n", ""),
    ("n = table.length % P", "n = 0"),
    ("            self.pages.give_back(old)\n", ""),
    ("if T > 1 or int(lengths.min()) != longest - T:", "if T > 1:"),
    ("torch.arange(longest) > positions[", "torch.arange(longest) > 1 + positions["),
    ("torch.tensor([table.length for table in self.tables])", "torch.tensor([self.tables[0].length for _ in self.tables])"),
    ("pages = [self.pages.share(page) for page in table.pages[:n]]", "pages = table.pages[:n]"),
    ("n = -(-length // self.page_size)\n", "n = length // self.page_size\n"),
    ("table.length += T", "table.length += 1"),
    ("for page in reversed(table.pages):", "for page in reversed(table.pages[:-1]):"),
    ("table.keys[-1] if i else b\"\"", "b\"\""),
    ("len(ids) - 1))", "len(ids)))"),
])
def test_batching_slips_in_the_cache_are_noticed(batching_here, batching_model, batching_plant, old, new):
    batching_plant("paged", old, new)
    with pytest.raises((AssertionError, IndexError, RuntimeError, ValueError)):
        batching_logits(batching_here, batching_model)


def test_batching_a_key_is_for_all_that_stands_before(batching_here):
    page_key, rng = batching_here.paged.page_key, random.Random(2)
    keys = {}
    for _ in range(3000):
        text = tuple(tuple(rng.randrange(3) for _ in range(2)) for _ in range(rng.randrange(1, 4)))
        key = b""
        for page in text:
            key = page_key(key, list(page))
        assert keys.setdefault(key, text) == text
    assert len(keys) == len(set(keys.values())) > 500


def test_batching_the_memory_is_what_was_asked_for(batching_here, batching_model):
    cache = batching_here.paged.PagedCache(batching_model.config, 10, 16)
    assert cache.nbytes == 2 * 2 * 10 * 16 * 2 * 16 * 4  # k and v, layers, pages, tokens, key heads, D, float32
    table = batching_here.paged.Table()
    cache.reserve(table, 160)
    with pytest.raises(batching_here.paged.OutOfPages):
        cache.reserve(table, 161)
    cache.check([table])


# The engine


def batching_texts(here, model, tokenizer, alone, **settings):
    """Sequences come and go, more of them than slots; each is what it would be alone. The engine is given back."""
    engine = here.batching.PagedEngine(model, tokenizer, **settings)
    todo, sequences, pieces = list(batching_requests(here, tokenizer, 12)), [], {}
    requests = list(todo)
    for _ in range(3000):
        if todo and len(engine.waiting) < 2:
            sequences.append(engine.add(*todo.pop(0)))
        if not (todo or engine.running or engine.waiting):
            break
        for sequence, piece in engine.step():
            pieces[sequence] = pieces.get(sequence, "") + piece
        engine.cache.check(engine.tables.values())
        assert all(s.finish_reason is None for s in engine.running)
    assert len(sequences) == len(requests) and all(s.finish_reason for s in sequences), "some never end"
    for sequence, request in zip(sequences, requests):
        wanted = alone(*request)
        assert (sequence.new_ids, sequence.text) == (wanted.new_ids, wanted.text)
        assert pieces[sequence] == sequence.text and sequence.finish_reason == wanted.finish_reason
    assert engine.cache.pages.available == engine.cache.pages.count and not engine.tables
    return engine


@pytest.mark.parametrize("settings", [
    {}, {"slots": 3, "page_size": 4}, {"slots": 5, "page_size": 1, "budget": 6}, {"slots": 4, "page_size": 7, "budget": 9},
    {"slots": 6, "page_size": 4, "pages": 24, "budget": 16}, {"slots": 6, "page_size": 96, "pages": 2, "budget": 7},
    {"slots": 4, "page_size": 8, "share": False}, {"slots": 1, "page_size": 16}, {"slots": 8, "max_length": 70, "pages": 6},
], ids=str)
def test_batching_in_company(batching_here, batching_model, batching_tokenizer, batching_alone, settings):
    if "max_length" in settings:  # no text is that long
        requests = batching_requests(batching_here, batching_tokenizer, 12)
        assert all(len(ids) + params.max_tokens < 70 for ids, params in requests)
    engine = batching_texts(batching_here, batching_model, batching_tokenizer, batching_alone, **settings)
    counts = engine.statistics()
    assert (counts["found"] > 0) == (engine.share and engine.cache.page_size < 96) and counts["used"] == 0
    assert (counts["put_back"] > 0) == ("pages" in settings and engine.cache.page_size < 96)


@torch.inference_mode()
def batching_schedule(here, model, tokenizer, alone, seed, steps=70):
    """Add, cancel and step in any order, the pages' contents looked at after every step."""
    rng = random.Random(seed)
    engine = here.batching.PagedEngine(model, tokenizer, slots=rng.randrange(2, 6), page_size=rng.choice([2, 4, 8]),
                                       pages=rng.choice([None, 52]), budget=rng.choice([7, 16, 64]))
    todo, all_of_them, cancelled = list(batching_requests(here, tokenizer, 16)), [], set()
    rng.shuffle(todo)
    for _ in range(steps):
        order = rng.choices(["add", "cancel", "step"], [2, 1, 7])[0]
        if order == "add" and todo:
            request = todo.pop()
            all_of_them.append((request, engine.add(*request)))
        elif order == "cancel" and all_of_them and rng.random() < 0.5:
            sequence = rng.choice(all_of_them)[1]
            cancelled |= {sequence} if sequence.finish_reason is None else set()
            engine.cancel(sequence)
        else:
            engine.step()
        batching_contents(here, engine)
    batching_run(engine, lambda: engine.cache.check(engine.tables.values()))
    for request, sequence in all_of_them:
        wanted = alone(*request)
        if sequence in cancelled:
            assert sequence.finish_reason == "cancel" and sequence.new_ids == wanted.new_ids[: len(sequence.new_ids)]
        else:
            assert (sequence.new_ids, sequence.finish_reason) == (wanted.new_ids, wanted.finish_reason)


@pytest.mark.parametrize("seed", range(8))
def test_batching_random_schedules(batching_here, batching_model, batching_tokenizer, batching_alone, seed):
    batching_schedule(batching_here, batching_model, batching_tokenizer, batching_alone, seed)


@pytest.mark.parametrize(("name", "old", "new"), [
    ("paged", "self.users[page] += 1", "pass"),
    ("paged", "return self.users[page] == 1 and self.key[page] is None", "return True"),
    ("paged", "len(ids) - 1))", "len(ids)))"),
    ("batching", "t.length, len(ids) - 1)", "len(ids) - 1)"),
    ("batching", "t.length, len(ids) - 1)", "t.length)"),
    ("batching", "self.cache.release(self.tables.pop(sequence))", "self.tables.pop(sequence)"),
    ("batching", "self.cache.release(table)\n            table = self", "table = self"),
    ("batching", "s.ids[t.length : t.length + n]", "s.ids[-n:]"),
    ("batching", "if self._missing(sequence) == 0:", "if True:"),
    ("batching", "single = [s for s in candidates if", "single = [s for s in candidates[:1] if"),
])
def test_batching_slips_in_the_engine_are_noticed(batching_here, batching_model, batching_tokenizer, batching_alone,
                                                  batching_plant, name, old, new):
    batching_plant(name, old, new)
    with pytest.raises((AssertionError, IndexError, KeyError, RuntimeError, ValueError)):
        batching_prompts_in_parts(batching_here, batching_model, batching_tokenizer)
        batching_family(batching_here, batching_model, batching_tokenizer)
        for seed in range(8):
            batching_schedule(batching_here, batching_model, batching_tokenizer, batching_alone, seed)


def batching_prompts_in_parts(here, model, tokenizer):
    """A long prompt comes while three are told: each of them goes on with every step, and no step is long."""
    engine = here.batching.PagedEngine(model, tokenizer, slots=4, page_size=4, budget=11)
    passed = []
    hook = model.register_forward_pre_hook(lambda model, inputs: passed.append(inputs[0].numel()))
    params = here.sampling.SamplingParams(max_tokens=60, seed=1, temperature=1.3, top_p=1)
    three = [engine.add(here.generate.prompt_ids(tokenizer, text), params) for text in BATCHING_BEGINNINGS[1:4]]
    for _ in range(20):
        engine.step()
    assert all(s.new_ids for s in three)
    long = engine.add(list(range(70, 140)), params)
    steps = 0
    while not long.new_ids:
        passed.clear()
        told = [s for s, _ in engine.step()]
        assert all(s in told for s in three), "somebody had to wait"
        assert sum(passed) <= 11, "a step was longer than its budget"
        steps += 1
        assert steps < 50
    hook.remove()
    assert steps == -(-70 // 8)
    for sequence in (*three, long):
        engine.cancel(sequence)
    engine.cache.check([])


def test_batching_long_prompts_are_read_in_parts(batching_here, batching_model, batching_tokenizer):
    batching_prompts_in_parts(batching_here, batching_model, batching_tokenizer)


@pytest.mark.parametrize(("old", "new"), [("min(left, self._missing(reading))", "self._missing(reading)"),
                                          ("left = self.budget - len(single)", "left = self.budget"),
                                          ("left -= n", "pass")])
def test_batching_slips_in_the_budget_are_noticed(batching_here, batching_model, batching_tokenizer, batching_plant,
                                                  old, new):
    batching_plant("batching", old, new)
    with pytest.raises(AssertionError):
        batching_prompts_in_parts(batching_here, batching_model, batching_tokenizer)


def batching_family(here, model, tokenizer):
    """A prompt, longer ones and a shorter one, all in one step: each takes what is computed, and no token more."""
    engine = here.batching.PagedEngine(model, tokenizer, slots=4, page_size=4)
    prompt, params = list(range(100, 115)), here.sampling.SamplingParams(seed=1, max_tokens=6)
    for ids in (prompt, prompt + [5], prompt + [5, 6], prompt[:13]):
        engine.add(ids, params)
    for _ in range(4):
        engine.step()
        batching_contents(here, engine)
    assert engine.counts["found"] == 15 + 15 + 12


def test_batching_a_family_of_prompts(batching_here, batching_model, batching_tokenizer):
    batching_family(batching_here, batching_model, batching_tokenizer)


def test_batching_stories_of_one_prompt_share_it(batching_here, batching_model, batching_tokenizer):
    """Five stories of one prompt: it is computed once, its full pages are there once, the half-full one is copied."""
    SamplingParams, prompt = batching_here.sampling.SamplingParams, list(range(100, 142))
    engine = batching_here.batching.PagedEngine(batching_model, batching_tokenizer, slots=5, page_size=4)
    stories = [engine.add(prompt, SamplingParams(seed=i, max_tokens=6)) for i in range(5)]
    engine.step()
    assert engine.counts["computed"] == 42 and engine.counts["found"] == 4 * 41
    engine.step()
    tables = [engine.tables[s].pages for s in stories]
    assert all(pages[:10] == tables[0][:10] for pages in tables) and len({pages[10] for pages in tables}) == 5
    assert [engine.cache.pages.users[page] for page in tables[0][:10]] == [5] * 10
    assert engine.statistics()["shared"] == 10
    batching_run(engine)
    assert engine.cache.copies >= 4
    going_on = engine.add(stories[2].ids, SamplingParams(seed=9, max_tokens=3))  # 48 tokens: what it told is known, too
    computed = engine.counts["computed"]
    engine.step()
    assert engine.tables[going_on].length == 44 + 4 * (engine.counts["computed"] - computed > 0)
    batching_run(engine)
    assert engine.counts["computed"] - computed <= 4 + 2


def test_batching_pages_that_nobody_uses_go_when_others_need_them(batching_here, batching_model, batching_tokenizer):
    SamplingParams = batching_here.sampling.SamplingParams
    engine = batching_here.batching.PagedEngine(batching_model, batching_tokenizer, slots=2, page_size=4, pages=24)
    first, second = list(range(200, 230)), list(range(300, 330))
    for ids in (first, second, first):  # the second is the one that has been idle for longest
        engine.add(ids, SamplingParams(seed=1, max_tokens=1))
        batching_run(engine)
    assert engine.counts["found"] == 28 and len(engine.cache.pages.idle) == 14
    engine.add(list(range(400, 448)), SamplingParams(seed=1, max_tokens=1))
    batching_run(engine)
    assert engine.cache.pages.evictions == 2
    for ids, pages in ((first, 7), (second, 5)):
        table = engine.cache.match(ids)
        assert len(table.pages) == pages
        engine.cache.release(table)


def batching_scarce(here, model, tokenizer, alone):
    """Four texts that grow, and pages for less than two: the last one gives way, and all end as they would alone."""
    engine = here.batching.PagedEngine(model, tokenizer, slots=4, page_size=4, pages=24)
    params = [here.sampling.SamplingParams(seed=i, max_tokens=80, temperature=1.3, top_p=1) for i in range(4)]
    prompts = [[4092, 50 * i + 1, 50 * i + 2] for i in range(4)]
    sequences, ended = [engine.add(*request) for request in zip(prompts, params)], []

    def check():
        engine.cache.check(engine.tables.values())
        order = [sequences.index(s) for s in [*engine.running, *engine.waiting]]
        assert order == sorted(order), "who came first is served first"
        ended.extend(s for s in sequences if s.finish_reason and s not in ended)

    batching_run(engine, check)
    assert engine.counts["put_back"] > 0 and [sequences.index(s) for s in ended] == [0, 1, 2, 3]
    for sequence, request in zip(sequences, zip(prompts, params)):
        assert sequence.text == alone(*request).text and sequence.new_ids == alone(*request).new_ids


def test_batching_where_pages_run_out_the_last_gives_way(batching_here, batching_model, batching_tokenizer, batching_alone):
    batching_scarce(batching_here, batching_model, batching_tokenizer, batching_alone)


@pytest.mark.parametrize(("old", "new"), [
    ("self.waiting.appendleft(sequence)", "self.waiting.append(sequence)"),
    ("self._put_back(self.running[-1])", "self._put_back(self.running[0])"),
    ("self._put_back(self.running[-1])", "self.cancel(self.running[-1])"),
])
def test_batching_slips_where_pages_run_out_are_noticed(batching_here, batching_model, batching_tokenizer, batching_alone,
                                               batching_plant, old, new):
    batching_plant("batching", old, new)
    with pytest.raises((AssertionError, KeyError)):
        batching_scarce(batching_here, batching_model, batching_tokenizer, batching_alone)


def test_batching_a_step_that_fails_half_way(batching_here, batching_model, batching_tokenizer, batching_alone):
    """What the server does after a fault: cancel all. Nothing is lost, and the next text is right."""
    engine = batching_here.batching.PagedEngine(batching_model, batching_tokenizer, slots=3, page_size=4)
    requests = list(batching_requests(batching_here, batching_tokenizer, 4))
    sequences = [engine.add(*request) for request in requests]
    engine.step()

    def fail(*inputs):
        raise MemoryError

    hook = batching_model.model.layers[1].register_forward_pre_hook(fail)
    with pytest.raises(MemoryError):
        engine.step()
    hook.remove()
    for sequence in sequences:
        engine.cancel(sequence)
    engine.cache.check([])
    again = engine.add(*requests[1])
    batching_run(engine)
    assert again.text == batching_alone(*requests[1]).text


@pytest.mark.parametrize(("settings", "message"), [
    ({"pages": 5}, "5 pages of 16 tokens do not hold one text of 96; give at least 6"),
    ({"slots": 8, "budget": 8}, "a budget of 8 tokens a step leaves none for prompts; give more than 8"),
])
def test_batching_settings_that_cannot_work(batching_here, batching_model, batching_tokenizer, settings, message):
    with pytest.raises(ValueError, match=message):
        batching_here.batching.PagedEngine(batching_model, batching_tokenizer, **settings)


def test_batching_refusals_and_ends_as_before(batching_here, batching_model, batching_tokenizer, batching_alone):
    engine = batching_here.batching.PagedEngine(batching_model, batching_tokenizer, slots=2)
    SamplingParams = batching_here.sampling.SamplingParams
    for ids, params in (([], {}), ([1] * 97, {}), ([4096], {}), ([1], {"top_p": 0})):
        with pytest.raises(ValueError, match=r"."):
            engine.add(ids, SamplingParams(**params))
    assert not engine.waiting
    brim = list(range(96)), SamplingParams(seed=1)
    full = [4092], SamplingParams(seed=1, max_tokens=1000, temperature=1.3, top_p=1)
    sequences = [engine.add(*brim), engine.add(*full)]
    batching_run(engine)
    assert (sequences[0].finish_reason, len(sequences[0].new_ids)) == ("length", 1)
    assert len(sequences[1].ids) == 97 and sequences[1].text == batching_alone(*full).text
    engine.cancel(sequences[0])
    assert sequences[0].finish_reason == "length"


def batching_brim(here, model, tokenizer, alone):
    """A prompt that fills all pages, again and again: all of it is known, and there is no page to copy to."""
    request = list(range(96)), here.sampling.SamplingParams(seed=1)
    engine = here.batching.PagedEngine(model, tokenizer, slots=2, pages=6)
    for _ in range(2):
        sequences = [engine.add(*request) for _ in range(2)]
        batching_run(engine, lambda: engine.cache.check(engine.tables.values()), most=20)
        assert [s.new_ids for s in sequences] == [alone(*request).new_ids] * 2


def test_batching_no_page_to_spare(batching_here, batching_model, batching_tokenizer, batching_alone, batching_plant):
    batching_brim(batching_here, batching_model, batching_tokenizer, batching_alone)
    batching_plant("batching", "            if n:\n                return False\n", "            return False\n")
    with pytest.raises(AssertionError, match="round and round"):
        batching_brim(batching_here, batching_model, batching_tokenizer, batching_alone)


def test_batching_bfloat16_uses_the_same_code(batching_here, batching_model, batching_tokenizer):
    half = copy.deepcopy(batching_model).to(torch.bfloat16)
    engine = batching_here.batching.PagedEngine(half, batching_tokenizer, slots=3)
    assert engine.cache.k.dtype == torch.bfloat16
    sequences = [engine.add(*request) for request in batching_requests(batching_here, batching_tokenizer, 5)]
    batching_run(engine)
    assert all(s.finish_reason for s in sequences)


@pytest.mark.gpu
def test_batching_the_gpu_tells_what_the_cpu_tells(batching_here, batching_model, batching_tokenizer, batching_alone):
    there = copy.deepcopy(batching_model).cuda()
    engine = batching_here.batching.PagedEngine(there, batching_tokenizer, slots=3, page_size=4)
    requests = [(ids, p) for ids, p in batching_requests(batching_here, batching_tokenizer, 9) if p.temperature == 0]
    sequences = [engine.add(*request) for request in requests]
    batching_run(engine)
    assert [s.new_ids for s in sequences] == [batching_alone(*request).new_ids for request in requests]


# The programs


def test_batching_the_programs_show_what_they_claim(batching_here, monkeypatch, tmp_path, capsys):
    batching_here.paged.main([])
    assert "E needs seven pages" in capsys.readouterr().out
    for name in ("PAGES_FIGURE", "MEMORY_FIGURE"):
        monkeypatch.setattr(batching_here.batching, name, str(tmp_path / f"{name}.svg"))
    batching_here.batching.main(["--random", "1", "--readers", "5", "--tokens", "8", "--plot"])
    assert "all 5 texts are the same" in capsys.readouterr().out
    assert (tmp_path / "PAGES_FIGURE.svg").read_text().count("<path") > 30
    assert (tmp_path / "MEMORY_FIGURE.svg").read_text().count("<path") > 5


def test_batching_too_long_a_story_is_a_user_error(batching_here):
    with pytest.raises(batching_here.cli.UserError, match="with --tokens 5000 up to"):
        batching_here.batching.main(["--random", "1", "--tokens", "5000"])
