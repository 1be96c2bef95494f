"""The server as its clients see it: the API over HTTP, several readers at once, stops and what survives
them, the shelf, and the page in a real browser.

The server runs as a program of its own, with a small model of random weights that never ends a story, and mostly with
the engine in torch: the one in C is through with its whole context before a test has looked.
"""

import http.client
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest

ROOT = Path(__file__).resolve().parent.parent
PROMPT = "Once upon a time, there was a fox"


def wait_until(condition, seconds=30):
    """Returns when the condition holds; fails where it does not within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"


class Server:
    """deployment/app.py as a program, on a free port unless one is given."""

    def __init__(self, model, shelf, *flags, port=0):
        command = [sys.executable, "deployment/app.py", "--port", port, "--model", model, "--shelf", shelf,
                   "--threads", 1, *flags]
        self.process = subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.lines = [self.process.stdout.readline()]  # the address, once it serves
        found = re.search(r"http://(127\.0\.0\.1):(\d+)", self.lines[0])
        assert found, self.output()
        self.url, self.host, self.port = found[0], found[1], int(found[2])

    def ready(self):
        """Waits for the model."""
        wait_until(lambda: httpx.get(f"{self.url}/health", timeout=30).status_code == 200)
        return self

    def output(self):
        """All that it printed; waits for its end."""
        return "".join(self.lines) + self.process.stdout.read()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def model(chapter, tmp_path_factory):
    """A folder with a small model that says anything but the end.

    The residual stream's first dimension is large and positive, and the rows of the output layer that belong
    to special tokens are negative there: they are never probable. The last norm is scaled up: a trained model
    is sure of a few tokens, and among many equally probable ones two may change places where a batch adds
    its numbers up in another order.
    """
    import torch

    folder, transformer = tmp_path_factory.mktemp("model") / "tiny", chapter("transformer")
    config = transformer.model.Config(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
                                      num_key_value_heads=1, max_position_embeddings=8192, tie_word_embeddings=False)
    model = transformer.model.Storyteller(config).initialize(seed=0)
    with torch.no_grad():
        model.model.embed_tokens.weight[:, 0] = 2
        model.lm_head.weight[:, 0] = 2
        model.lm_head.weight[-4:, 0] = -2
        model.model.norm.weight[1:] *= 30
    transformer.checkpoint.save_checkpoint(folder, model, ROOT / "tokenization" / "tokenizer.json")
    return folder


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    with Server(model, tmp_path_factory.mktemp("shelf") / "shelf.sqlite3", "--slots", 8, "--engine", "torch") as server:
        yield server.ready()


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def engine(chapter, model):
    """The engine over pages, without any server."""
    return chapter("deployment").engines.load_engine(model, "cpu", 1, 8, "torch")[0]


@pytest.fixture(scope="module")
def tell(chapter, engine):
    """tell(prompt, **settings) -> the engine's own sequence: what the server must tell."""
    deployment = chapter("deployment")

    def tell(prompt, **settings):
        ids = deployment.engine.prompt_ids(engine.tokenizer, prompt)
        sequence = engine.add(ids, deployment.sampling.SamplingParams(**settings))
        while engine.running or engine.waiting:
            engine.step()
        return sequence

    return tell


def ask(client, path="/v1/completions", **body):
    response = client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def events(response):
    """The events of a streamed answer, the last of which must be [DONE]."""
    data = [line[6:] for line in response.iter_lines() if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    return [json.loads(event) for event in data[:-1]]


def stream(client, path="/v1/completions", **body):
    with client.stream("POST", path, json={**body, "stream": True}) as response:
        assert response.status_code == 200
        return events(response)


def told(chunks, index=0):
    return "".join(c["text"] for chunk in chunks for c in chunk["choices"] if c["index"] == index)


# ---- telling


def test_one_story_is_the_engines_own(client, tell):
    alone = tell(PROMPT, seed=7, max_tokens=40)
    answer = ask(client, prompt=PROMPT, seed=7, max_tokens=40)
    assert answer["object"] == "text_completion" and answer["model"] == "tiny"
    assert answer["choices"] == [{"index": 0, "text": alone.text, "logprobs": None, "finish_reason": "length"}]
    prompt_tokens = len(alone.ids) - 40
    assert answer["usage"] == {"prompt_tokens": prompt_tokens, "completion_tokens": 40, "total_tokens": prompt_tokens + 40}
    other = ask(client, prompt=PROMPT, seed=8, max_tokens=40)
    assert other["choices"][0]["text"] != alone.text


def test_streamed_and_whole_are_the_same(client):
    body = {"prompt": PROMPT, "seed": 3, "max_tokens": 30, "temperature": 1.1, "top_k": 50, "repetition_penalty": 1.2}
    whole = ask(client, **body)
    chunks = stream(client, **body, stream_options={"include_usage": True})
    assert told(chunks) == whole["choices"][0]["text"]
    reasons = [c["finish_reason"] for chunk in chunks for c in chunk["choices"]]
    assert reasons[-1] == "length" and set(reasons[:-1]) == {None}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"] == whole["usage"]
    assert sum("usage" in chunk for chunk in chunks) == 1
    assert len(chunks) > 15, "the story came in one piece"


def test_the_bytes_on_the_wire(server):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    body = {"prompt": PROMPT, "seed": 1, "max_tokens": 5, "stream": True}
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["Cache-Control"] == "no-store"
    data = response.read()
    connection.close()
    assert re.fullmatch(rb"(data: \{[^\n]*\}\n\n)+data: \[DONE\]\n\n", data)


def test_choices_prompts_echo_and_stop(client, tell):
    answer = ask(client, prompt=["A cat", "A dog"], n=2, seed=5, max_tokens=12, echo=True)
    texts = [choice["text"] for choice in answer["choices"]]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert texts == [p + tell(p, seed=s, max_tokens=12).text for p in ("A cat", "A dog") for s in (5, 6)]
    assert answer["usage"]["completion_tokens"] == 48
    chunks = stream(client, prompt=["A cat", "A dog"], n=2, seed=5, max_tokens=12, echo=True)
    assert [told(chunks, index) for index in range(4)] == texts
    full = tell(PROMPT, seed=2, max_tokens=60).text
    stop = full[30:34]
    choice = ask(client, prompt=PROMPT, seed=2, max_tokens=60, stop=stop)["choices"][0]
    assert choice["text"] == full[: full.index(stop)] and choice["finish_reason"] == "stop"
    chunks = stream(client, prompt=PROMPT, seed=2, max_tokens=60, stop=["never to come", stop])
    assert told(chunks) == full[: full.index(stop)]


def test_without_a_seed_every_story_is_another(client):
    texts = {ask(client, prompt=PROMPT, max_tokens=12)["choices"][0]["text"] for _ in range(3)}
    assert len(texts) == 3
    texts = {choice["text"] for choice in ask(client, prompt=PROMPT, max_tokens=12, n=3)["choices"]}
    assert len(texts) == 3


def test_null_means_the_default(client):
    names = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "stop", "n", "stream", "echo", "model", "user",
             "stream_options", "logprobs", "best_of", "suffix", "logit_bias", "presence_penalty", "frequency_penalty"]
    plain = ask(client, prompt=PROMPT, seed=4, max_tokens=8)
    assert ask(client, prompt=PROMPT, seed=4, max_tokens=8, **dict.fromkeys(names))["choices"] == plain["choices"]


def test_a_long_prompt_is_cut_only_on_request(client, engine):
    ids = engine.tokenizer.encode(PROMPT)
    last = engine.tokenizer.decode(ids[-3:])
    cut = ask(client, prompt=PROMPT, seed=1, max_tokens=8, truncate_prompt_tokens=3)
    assert cut["usage"]["prompt_tokens"] == 4  # with the mark that begins every story
    assert cut["choices"][0]["text"] == ask(client, prompt=last, seed=1, max_tokens=8)["choices"][0]["text"]


# ---- chat


def test_a_chat_is_one_story(client, chapter):
    api = chapter("deployment").api

    def story(*messages):
        return api.story_so_far([api.Message(role=role, content=content) for role, content in messages])

    assert story(("user", "Once")) == "Once"
    assert story(("system", "Be brief."), ("user", "Once upon"), ("assistant", " a time."), ("user", "Go on.")) \
        == "Once upon a time."
    assert story(("user", "A fox"), ("assistant", " ran."), ("user", "Then it slept."), ("assistant", "It snored.")) \
        == "A fox ran. Then it slept. It snored."
    assert story(("user", "A fox"), ("assistant", ", old and wise,"), ("user", "please go on")) == "A fox, old and wise,"
    for nothing in ([("user", "continue")], [("system", "Be brief.")], [("user", "  ")]):
        with pytest.raises(api.APIError):
            story(*nothing)
    first = ask(client, "/v1/chat/completions", messages=[{"role": "user", "content": PROMPT}], seed=1, max_tokens=10)
    message = first["choices"][0]["message"]
    assert first["object"] == "chat.completion" and message["role"] == "assistant"
    assert message["content"] == ask(client, prompt=PROMPT, seed=1, max_tokens=10)["choices"][0]["text"]
    parts = [{"type": "text", "text": PROMPT[:9]}, {"type": "text", "text": PROMPT[9:]}]
    more = ask(client, "/v1/chat/completions", seed=2, max_completion_tokens=10, messages=[
        {"role": "user", "content": parts}, message | {"content": " who sang"}, {"role": "user", "content": "go on"}])
    assert more["choices"][0]["message"]["content"] \
        == ask(client, prompt=PROMPT + " who sang", seed=2, max_tokens=10)["choices"][0]["text"]


def test_the_official_client(server):
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "storyteller"
    whole = client.completions.create(model="tiny", prompt=PROMPT, seed=1, max_tokens=20)
    pieces = client.completions.create(model="tiny", prompt=PROMPT, seed=1, max_tokens=20, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == whole.choices[0].text
    messages = [{"role": "user", "content": PROMPT}]
    chat = client.chat.completions.create(model="tiny", messages=messages, seed=1, max_completion_tokens=20, n=2)
    assert chat.choices[0].message.content == whole.choices[0].text
    assert chat.choices[1].message.content != whole.choices[0].text
    chunks = list(client.chat.completions.create(
        model="tiny", messages=messages, seed=1, max_tokens=20, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == whole.choices[0].text and chunks[-1].usage.completion_tokens == 20
    with pytest.raises(openai.NotFoundError) as caught:
        client.completions.create(model="gpt-4", prompt=PROMPT)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="tiny", messages=messages, temperature=3)
    assert caught.value.param == "temperature"


# ---- refusals


BAD = [  # request, status, the parameter named
    ({}, 400, "prompt"),
    ({"prompt": ""}, 400, "prompt"),
    ({"prompt": " \n"}, 400, "prompt"),
    ({"prompt": 5}, 400, "prompt"),
    ({"prompt": None}, 400, "prompt"),
    ({"prompt": []}, 400, "prompt"),
    ({"prompt": [1, 2, 3]}, 400, "prompt"),
    ({"prompt": ["a", ""]}, 400, "prompt"),
    ({"prompt": ["a"] * 9}, 400, "n"),
    ({"prompt": "a", "n": 9}, 400, "n"),
    ({"prompt": ["a", "b"], "n": 5}, 400, "n"),
    ({"prompt": "a", "n": 0}, 400, "n"),
    ({"prompt": "word " * 30_000}, 400, "prompt"),
    ({"prompt": "word " * 9_000}, 400, "prompt"),
    ({"prompt": "a", "max_tokens": 0}, 400, "max_tokens"),
    ({"prompt": "a", "max_tokens": -1}, 400, "max_tokens"),
    ({"prompt": "a", "max_tokens": "5"}, 400, "max_tokens"),
    ({"prompt": "a", "max_tokens": 5.5}, 400, "max_tokens"),
    ({"prompt": "a", "max_tokens": True}, 400, "max_tokens"),
    ({"prompt": "a", "max_tokens": [5]}, 400, "max_tokens"),
    ({"prompt": "a", "temperature": -0.1}, 400, "temperature"),
    ({"prompt": "a", "temperature": 2.1}, 400, "temperature"),
    ({"prompt": "a", "temperature": "hot"}, 400, "temperature"),
    ({"prompt": "a", "top_p": 0}, 400, "top_p"),
    ({"prompt": "a", "top_p": 1.5}, 400, "top_p"),
    ({"prompt": "a", "top_k": -1}, 400, "top_k"),
    ({"prompt": "a", "min_p": 2}, 400, "min_p"),
    ({"prompt": "a", "repetition_penalty": 0}, 400, "repetition_penalty"),
    ({"prompt": "a", "seed": "x"}, 400, "seed"),
    ({"prompt": "a", "seed": 2**64}, 400, "seed"),
    ({"prompt": "a", "stop": ""}, 400, "stop"),
    ({"prompt": "a", "stop": 5}, 400, "stop"),
    ({"prompt": "a", "stop": ["a", "b", "c", "d", "e"]}, 400, "stop"),
    ({"prompt": "a", "stop": [None]}, 400, "stop"),
    ({"prompt": "a", "stream": "yes"}, 400, "stream"),
    ({"prompt": "a", "stream_options": {"include_usage": True}}, 400, "stream_options"),
    ({"prompt": "a", "echo": 1}, 400, "echo"),
    ({"prompt": "a", "truncate_prompt_tokens": 0}, 400, "truncate_prompt_tokens"),
    ({"prompt": "a", "logprobs": 3}, 400, "logprobs"),
    ({"prompt": "a", "best_of": 2}, 400, "best_of"),
    ({"prompt": "a", "presence_penalty": 0.5}, 400, "presence_penalty"),
    ({"prompt": "a", "no_such_thing": 1}, 400, "no_such_thing"),
    ({"prompt": "a", "model": "gpt-4"}, 404, "model"),
    ({"prompt": "a", "model": 4}, 400, "model"),
]

BAD_CHATS = [
    ({}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": [{"role": "user"}]}, "messages.0.content"),
    ({"messages": [{"role": "wizard", "content": "a"}]}, "messages.0.role"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": "go on"}]}, "messages"),
    ({"messages": [{"role": "user", "content": "a"}] * 201}, "messages"),
    ({"messages": [{"role": "user", "content": "a"}], "tools": [{}]}, "tools"),
    ({"messages": [{"role": "user", "content": "a"}], "response_format": {"type": "json_object"}}, "response_format"),
]


def refused(response, status, param=None, code=None):
    """The API's error object, whole, with a message a person can use."""
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == {429: "rate_limit_error"}.get(status, "invalid_request_error")
    assert isinstance(error["message"], str) and 10 < len(error["message"]) < 300
    assert error["param"] == param
    assert code is None or error["code"] == code


@pytest.mark.parametrize(("body", "status", "param"), BAD, ids=lambda value: str(value)[:60])
def test_a_bad_completion(client, body, status, param):
    refused(client.post("/v1/completions", json=body), status, param)
    if "stream" not in body and "stream_options" not in body:  # refused before the stream begins
        refused(client.post("/v1/completions", json={**body, "stream": True}), status, param)


@pytest.mark.parametrize(("body", "param"), BAD_CHATS, ids=lambda value: str(value)[:60])
def test_a_bad_chat(client, body, param):
    refused(client.post("/v1/chat/completions", json=body), 400, param)


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"null", b"\"text\"", b"\xff\xfe{}", b"[" * 100_000, b"{\"prompt\":"])
def test_a_body_that_is_no_json_object(client, body):
    refused(client.post("/v1/completions", content=body, headers={"Content-Type": "application/json"}), 400)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
def test_numbers_that_are_none(client, value):
    body = f'{{"prompt": "a", "max_tokens": 3, "temperature": {value}}}'
    response = client.post("/v1/completions", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400 and "error" in response.json()


def test_half_a_surrogate_pair(client):
    body = b'{"prompt": "a \\ud83d b"}'
    response = client.post("/v1/completions", content=body, headers={"Content-Type": "application/json"})
    refused(response, 400, "prompt")


def test_too_long_for_the_context(client, engine):
    long = "x y " * engine.max_length
    for stream in (False, True):
        response = client.post("/v1/completions", json={"prompt": long, "stream": stream})
        refused(response, 400, "prompt", "context_length_exceeded")
    response = client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": long}]})
    refused(response, 400, "messages", "context_length_exceeded")
    answer = ask(client, prompt=long, truncate_prompt_tokens=1000, max_tokens=5)
    assert answer["usage"] == {"prompt_tokens": 1001, "completion_tokens": 5, "total_tokens": 1006}


def test_too_large_a_body(client):
    def pieces():
        for _ in range(30):
            yield b"x" * 100_000

    for body in (b"x" * 3_000_000, pieces()):
        response = client.post("/v1/completions", content=body, headers={"Content-Type": "application/json"})
        refused(response, 413, code="too_large")


def test_unknown_paths_and_methods(client):
    refused(client.get("/v1/nothing"), 404)
    refused(client.get("/nothing"), 404)
    refused(client.get("/static/../app.py"), 404)
    refused(client.get("/static/%2e%2e/app.py"), 404)
    refused(client.get("/v1/models/other"), 404, "model", "model_not_found")
    refused(client.get("/v1/completions"), 405)
    refused(client.delete("/api/stories"), 405)


def test_pages_of_other_sites_are_kept_out(client, server):
    body = {"prompt": "a", "max_tokens": 1}
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                    {"Sec-Fetch-Site": "same-site"}):
        refused(client.post("/v1/completions", json=body, headers=headers), 403, code="wrong_origin")
    for name in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8000", ""):
        refused(client.get("/health", headers={"Host": name}), 403, code="wrong_host")
    for headers in ({"Origin": server.url}, {"Sec-Fetch-Site": "same-origin", "Origin": server.url}, {}):
        assert client.post("/v1/completions", json=body, headers=headers).status_code == 200
    assert client.get("/health", headers={"Host": f"localhost:{server.port}"}).status_code == 200
    # what a form or a plain fetch of another site can send without asking the browser: not JSON
    plain = {"Content-Type": "text/plain"}
    refused(client.post("/api/stories", content='{"text": "a"}', headers=plain), 400)


def test_headers_and_files(client):
    page = client.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
        answer = client.get(path)
        assert answer.status_code == 200 and answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"https?://(?!www\.w3\.org)", page.text), "the page asks another server for something"
    assert " on" + "click=" not in page.text and "<style" not in page.text


# ---- several readers


def test_eight_at_once_each_have_the_story_they_had_alone(server, tell):
    alone = {seed: tell(PROMPT, seed=seed, max_tokens=120).text for seed in range(8)}

    order = []

    def read(seed):
        body = {"prompt": PROMPT, "seed": seed, "max_tokens": 120, "stream": True}
        text = ""
        with httpx.stream("POST", f"{server.url}/v1/completions", json=body, timeout=60) as response:
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    text += json.loads(line[6:])["choices"][0]["text"]
                    order.append(seed)
        return text

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(8))) == [alone[seed] for seed in range(8)]
    first_end = min(max(i for i, seed in enumerate(order) if seed == one) for one in range(8))
    assert set(order[:first_end]) == set(range(8)), "they were served one after another"


def is_idle(client):
    health = client.get("/health").json()
    return health["slots"]["busy"] == 0 and health["queue"]["waiting"] == 0


def test_a_reader_who_goes_away_ends_the_story(client):
    wait_until(lambda: is_idle(client))
    cancelled = client.get("/health").json()["told"]["cancelled"]
    with client.stream("POST", "/v1/completions", json={"prompt": PROMPT, "stream": True, "n": 2}) as response:
        next(response.iter_lines())
        assert client.get("/health").json()["slots"]["busy"] > 0
    wait_until(lambda: is_idle(client))
    assert client.get("/health").json()["told"]["cancelled"] == cancelled + 2


def test_a_reader_of_a_whole_answer_who_goes_away(client, server):
    wait_until(lambda: is_idle(client))
    before = client.get("/health").json()["told"]
    connection = http.client.HTTPConnection(server.host, server.port)
    body = json.dumps({"prompt": PROMPT})
    connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
    wait_until(lambda: client.get("/health").json()["slots"]["busy"] == 1)
    connection.close()
    wait_until(lambda: is_idle(client))
    after = client.get("/health").json()["told"]
    assert after["cancelled"] == before["cancelled"] + 1 and after["stories"] == before["stories"]


def test_health(client):
    health = client.get("/health").json()
    assert health["status"] == "ok" and health["model"] == "tiny" and health["uptime"] > 0
    assert health["slots"] == {"total": 8, "busy": 0} and health["queue"] == {"limit": 32, "waiting": 0}
    ask(client, prompt=PROMPT, max_tokens=9, n=2)
    after = client.get("/health").json()
    assert after["told"]["stories"] == health["told"]["stories"] + 2
    assert after["told"]["tokens"] == health["told"]["tokens"] + 18
    pages = after["pages"]
    assert (pages["size"], pages["total"], pages["used"]) == (16, 8 * 512, 0)
    assert pages["free"] + pages["idle"] == pages["total"] and pages["computed"] > health["pages"]["computed"]
    assert after["told_by"] == {"torch": health["told_by"]["torch"] + 2} and "without_c" not in after


# ---- two engines, one story


@pytest.fixture(scope="module")
def engine_kinds(chapter, model):
    """{"torch", "c", "auto": engines of that kind}; skips where there is no C compiler."""
    if not shutil.which("make") or not shutil.which(os.environ.get("CC", "cc").split()[0]):
        pytest.skip("needs make and a C compiler")
    load = chapter("deployment").engines.load_engine
    kinds = {kind: load(model, "cpu", 1, 4, kind)[0] for kind in ("c", "torch", "auto")}  # the first one compiles it
    wait_until(lambda: kinds["auto"].look() or "c" in kinds["auto"].engines)
    assert [list(engines.engines) for engines in kinds.values()] == [["c"], ["torch"], ["torch", "c"]]
    return kinds


def told_by(chapter, engines, requests, together):
    """The texts of the requests, [(prompt, settings)], one after another, or each beginning a step after the last."""
    deployment, texts = chapter("deployment"), {}

    def step():
        for sequence, piece in engines.step():
            texts[sequence] += piece
        assert len(engines.running) <= engines.slots

    for prompt, settings in requests:
        ids = deployment.engine.prompt_ids(engines.tokenizer, prompt)
        texts[engines.add(ids, deployment.sampling.SamplingParams(**settings))] = ""
        step()
        while not together and (engines.running or engines.waiting):
            step()
    while engines.running or engines.waiting:
        step()
    return list(texts.values())


def test_the_same_text_alone_among_others_and_by_c(chapter, engine_kinds):
    requests = [(prompt, {"seed": seed, "max_tokens": 20 + 9 * seed, "temperature": (0.8, 0, 1.1)[seed % 3],
                          "repetition_penalty": (1, 1.2)[seed % 2]})
                for seed, prompt in enumerate([PROMPT, "A cat", PROMPT + " who sang", PROMPT, "x y " * 40, "Zoë’s café 🦊"])]
    wanted = told_by(chapter, engine_kinds["torch"], requests, together=False)
    assert len(set(wanted)) == 6
    for kind, engines in engine_kinds.items():
        for together in (False, True):
            assert told_by(chapter, engines, requests, together) == wanted, (kind, together)


def check_places(deployment, auto):
    """C, with one place, takes whoever comes first and whoever comes when it is free; all others go to pages, and stay."""
    ids, c, paged = deployment.engine.prompt_ids(auto.tokenizer, PROMPT), auto.engines["c"], auto.engines["torch"]

    def begin(n, **settings):
        stories = [auto.add(ids, deployment.sampling.SamplingParams(seed=i, **settings)) for i in range(n)]
        auto.step()
        auto.step()
        return stories

    before = auto.statistics()["told_by"]
    alone, = begin(1, max_tokens=12)
    assert c.running == [alone] and not paged.running
    others = begin(4, max_tokens=50)
    assert c.running == [alone] and paged.running == others[:3] and auto.waiting == others[3:]
    while not alone.finish_reason:
        auto.step()
    auto.step()
    assert c.running == others[3:] and paged.running == others[:3], "its place was not given to the next"
    for story in others[1:]:
        auto.cancel(story)
    last, = begin(1, max_tokens=20)
    assert c.running == [last] and paged.running == others[:1]
    while auto.running:
        auto.step()
    assert auto.statistics()["told_by"] == {"torch": before["torch"] + 1, "c": before["c"] + 2}
    assert all(story.finish_reason == "cancel" for story in others[1:])
    pair = begin(2, max_tokens=20)
    assert c.running == pair[:1] and paged.running == pair[1:]
    had = [len(story.new_ids) for story in pair]
    pieces = auto.step()
    steps = deployment.engines.C_STEPS
    assert [len(story.new_ids) - n for story, n in zip(pair, had)] == [steps, 1], "C waits for each step of torch"
    assert [story for story, _ in pieces] == pair[::-1], "a story has one piece a step"
    for story in pair:
        auto.cancel(story)
    assert not auto.running and not auto.waiting
    waiting = auto.add(ids, deployment.sampling.SamplingParams())
    auto.cancel(waiting)
    assert not auto.waiting and waiting.finish_reason == "cancel"


def test_where_a_story_is_told(chapter, engine_kinds):
    deployment = chapter("deployment")
    assert engine_kinds["auto"].c_slots == deployment.engines.C_SLOTS >= 4
    check_places(deployment, deployment.engines.Engines(engine_kinds["auto"].engines, 4, c_slots=1))


@pytest.mark.parametrize(("old", "new"), [
    ("- len(c.running) - len(c.waiting)\n\n", "\n\n"),  # more stories than slots
    ("< places:", "<= places:"),
    ("while paged.waiting and not paged.waiting[0].new_ids and", "while False and"),
    ("if sequence in engine.running or sequence in engine.waiting:", "if sequence in engine.waiting:"),
    ('pieces.get(sequence, "") + piece', "piece"),
    ("C_STEPS if both and", "2 if both and"),
])
def test_slips_between_two_engines_are_noticed(chapter, engine_kinds, planted, old, new):
    auto = planted("engines", old, new).Engines(engine_kinds["auto"].engines, 4, c_slots=1)
    requests = [(PROMPT, {"seed": seed, "max_tokens": 9}) for seed in range(6)]
    wanted = told_by(chapter, engine_kinds["auto"], requests, together=True)
    try:
        with pytest.raises(AssertionError):
            assert told_by(chapter, auto, requests, together=True) == wanted
            check_places(chapter("deployment"), auto)
            check_places(chapter("deployment"), auto)
    finally:
        for sequence in [*auto.running, *auto.waiting]:
            engine_kinds["auto"].cancel(sequence)
        engine_kinds["auto"].engines["torch"].slots = 4


def test_a_server_with_both_engines(model, engine_kinds, tell, tmp_path):
    """As it starts without flags: C tells for eight readers, as a single engine would."""
    with Server(model, tmp_path / "shelf.sqlite3", "--slots", 12) as server:
        server.ready()
        client = httpx.Client(base_url=server.url, timeout=60)
        text = ask(client, prompt=PROMPT, seed=3, max_tokens=50)["choices"][0]["text"]
        assert text == tell(PROMPT, seed=3, max_tokens=50).text
        health = client.get("/health").json()
        assert health["told_by"] == {"torch": 0, "c": 1} and "without_c" not in health
        choices = ask(client, prompt=[PROMPT, "A cat"], n=4, seed=3, max_tokens=50)["choices"]
        alone = [tell(prompt, seed=3 + i, max_tokens=50).text for prompt in (PROMPT, "A cat") for i in range(4)]
        assert [choice["text"] for choice in choices] == alone
        assert client.get("/health").json()["told_by"] == {"torch": 0, "c": 9}
        with ThreadPoolExecutor(3) as pool:  # twelve at once, four more than C takes
            asked = list(pool.map(lambda seed: ask(client, prompt=[PROMPT, "A cat"], n=2, seed=seed, max_tokens=40),
                                  (3, 5, 7)))
        for seed, answer in zip((3, 5, 7), asked):
            alone = [tell(prompt, seed=seed + i, max_tokens=40).text for prompt in (PROMPT, "A cat") for i in range(2)]
            assert [choice["text"] for choice in answer["choices"]] == alone
        assert sum(client.get("/health").json()["told_by"].values()) == 21
        client.close()


def test_the_engine_in_c_may_come_later(chapter, engine_kinds):
    both, later, requests = engine_kinds["auto"].engines, queue.SimpleQueue(), [(PROMPT, {"seed": 1, "max_tokens": 9})]
    engines = chapter("deployment").engines.Engines({"torch": both["torch"]}, 4, later)
    wanted = told_by(chapter, engines, requests, together=False)
    assert engines.statistics()["without_c"] == "it is being compiled" and engines.statistics()["told_by"] == {"torch": 1}
    later.put(both["c"])
    assert told_by(chapter, engines, requests, together=False) == wanted
    assert engines.statistics()["told_by"] == {"torch": 1, "c": 1} and "without_c" not in engines.statistics()


def test_without_a_compiler_torch_tells_all(model, run_command, tmp_path):
    """A tree without csrc, on a machine without make: the app says so and works; asked for C, it refuses."""
    skip = shutil.ignore_patterns("weights", "__pycache__")
    shutil.copytree(ROOT / "deployment", tmp_path / "deployment", ignore=skip)
    command = [sys.executable, "deployment/app.py", "--check", "--model", str(model), "--threads", "1"]
    result = run_command(command, env={"PATH": ""}, cwd=tmp_path)
    said = [line for line in result.stdout.splitlines() if "without the engine in C" in line]
    assert len(said) == 1 and "C compiler" in said[0] and "200 tokens" in result.stdout
    result = run_command([*command, "--engine", "c"], env={"PATH": ""}, cwd=tmp_path, status=2)
    assert len(result.stderr.splitlines()) == 1 and "C compiler" in result.stderr


# ---- a server that fills up, and one that stops


def open_stream(server, **body):
    """A stream that is open and has been accepted."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    body = json.dumps({"prompt": PROMPT, "stream": True, **body})
    connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
    return connection, connection.getresponse()


def test_a_full_queue_then_a_graceful_stop(model, tmp_path):
    with Server(model, tmp_path / "shelf.sqlite3", "--slots", 1, "--queue", 2, "--engine", "torch") as server:
        server.ready()
        client = httpx.Client(base_url=server.url, timeout=30)
        streams = [open_stream(server, seed=seed) for seed in range(3)]
        wait_until(lambda: client.get("/health").json()["slots"]["busy"] == 1)
        assert client.get("/health").json()["queue"] == {"limit": 2, "waiting": 2}
        response = client.post("/v1/completions", json={"prompt": PROMPT})
        refused(response, 429, code="queue_full")
        assert int(response.headers["Retry-After"]) >= 1
        assert streams[0][1].readline().startswith(b"data: {")  # the first is being told
        streams[0][0].close()
        streams[0][1].close()
        assert streams[1][1].readline().startswith(b"data: {")  # the second has its slot now
        short = open_stream(server, max_tokens=5)  # and there is room in the queue again
        client.close()
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        bodies = [response.read() for _, response in (streams[1], streams[2], short)]
        assert server.process.wait(30) == 0
        assert time.monotonic() - began < 15
        for body in bodies:  # ended with an event that says so, not broken off
            assert body.endswith(b"data: [DONE]\n\n")
            assert b'"code": "stopping"' in body.split(b"\n\n")[-3]
        assert len(bodies[0]) > 1000
        assert "Traceback" not in server.output()


def test_the_page_is_there_before_the_model_and_a_short_story_ends_in_peace(model, tmp_path):
    with Server(model, tmp_path / "shelf.sqlite3") as server:
        assert httpx.get(server.url).status_code == 200  # not waiting for ready()
        assert httpx.get(f"{server.url}/health").json()["status"] in ("loading", "ok")
        _, response = open_stream(server, max_tokens=150)
        response.readline()
        server.process.send_signal(signal.SIGINT)
        chunks = [json.loads(line[6:]) for line in response.read().split(b"\n\n") if line.startswith(b"data: {")]
        assert chunks[-1]["choices"][0]["finish_reason"] == "length"
        assert server.process.wait(30) == 0


def test_a_stop_while_the_model_is_still_read(model, tmp_path):
    with Server(model, tmp_path / "shelf.sqlite3") as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        assert server.output().splitlines()[1:] == ["stopping"]


# ---- the command line


def test_a_busy_port(model, server, run_script, tmp_path):
    flags = ["--model", model, "--shelf", tmp_path / "shelf.sqlite3"]
    result = run_script("deployment/app.py", "--port", server.port, *flags, status=2)
    assert len(result.stderr.splitlines()) == 1 and str(server.port) in result.stderr and "--port" in result.stderr


@pytest.mark.parametrize(("harm", "said"), [
    (lambda folder: (folder / "config.json").unlink(), "config.json"),
    (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json"),
    (lambda folder: (folder / "model.safetensors").write_bytes(b"nonsense"), "model.safetensors"),
])
def test_a_damaged_model(model, run_script, tmp_path, harm, said):
    folder = tmp_path / "harmed"
    folder.mkdir()
    for file in model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    harm(folder)
    result = run_script("deployment/app.py", "--port", 0, "--model", folder, "--shelf", tmp_path / "s.sqlite3", status=2)
    assert len(result.stderr.splitlines()) == 1 and said in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize("flags", [["--port", "70000"], ["--slots", "0"], ["--model", "nowhere"], ["--pages", "511"],
                                   ["--engine", "java"],
                                   ["--host", "no.such.host.invalid"], ["--shelf", "/dev/null/shelf"]])
def test_flags_out_of_range(model, run_script, flags):
    result = run_script("deployment/app.py", "--model", model, "--port", "0", *flags, status=2)
    assert flags[0] in result.stderr and "Traceback" not in result.stderr


def test_check_tells_one_story(model, run_script):
    result = run_script("deployment/app.py", "--check", "--model", model, "--threads", 1)
    assert "Once upon a time" in result.stdout and "200 tokens" in result.stdout


# ---- the shelf


def test_the_shelf_over_http(client):
    assert client.get("/api/stories").json() == {"stories": [], "total": 0}
    text = "Once upon a time, there was a fox named Tim. He \"ran\" <b>away</b>. 🦊"
    saved = client.post("/api/stories", json={"text": text})
    assert saved.status_code == 201
    story = saved.json()
    assert story["title"] == "A fox named Tim" and story["text"] == text and story["version"] == 1
    assert client.get(f"/api/stories/{story['id']}").json() == story
    other = client.post("/api/stories", json={"text": "A dog barked.", "title": "  My \n dog "}).json()
    assert other["title"] == "My dog" and other["titled"] is True
    assert [s["id"] for s in client.get("/api/stories").json()["stories"]] == [other["id"], story["id"]]
    changed = client.put(f"/api/stories/{story['id']}", json={"text": text + " End.", "version": 1}).json()
    assert changed["version"] == 2 and changed["updated"] >= story["updated"] and changed["created"] == story["created"]
    shown = client.get("/api/stories").json()["stories"]
    assert [s["id"] for s in shown] == [story["id"], other["id"]] and "text" not in shown[0] and shown[0]["words"] == 15
    late = client.put(f"/api/stories/{story['id']}", json={"text": "other", "version": 1})
    refused(late, 409, "version", "changed")
    assert client.get(f"/api/stories/{story['id']}").json() == changed
    assert client.delete(f"/api/stories/{story['id']}").status_code == 204
    refused(client.get(f"/api/stories/{story['id']}"), 404, code="not_found")
    refused(client.delete(f"/api/stories/{story['id']}"), 404, code="not_found")
    refused(client.put(f"/api/stories/{story['id']}", json={"text": "a", "version": 2}), 404, code="not_found")
    assert client.post(f"/api/stories/{story['id']}/restore").json() == changed
    assert client.get("/api/stories").json()["total"] == 2
    for body, param in [({}, "text"), ({"text": ""}, "text"), ({"text": 5}, "text"), ({"text": "a" * 100_001}, "text"),
                        ({"text": "a", "title": "t" * 201}, "title"), ({"text": "a", "id": 3}, "id")]:
        refused(client.post("/api/stories", json=body), 400, param)
    refused(client.put(f"/api/stories/{story['id']}", json={"text": "a"}), 400, "version")
    refused(client.get("/api/stories/x"), 404)
    refused(client.get("/api/stories/99999"), 404)
    refused(client.get("/api/stories?limit=0"), 400, "limit")
    assert client.get(f"/api/stories/{2**70}").status_code in (400, 404)


def test_a_story_survives_the_servers_sudden_death(model, tmp_path):
    shelf = tmp_path / "folder" / "shelf.sqlite3"
    with Server(model, shelf) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        with ThreadPoolExecutor(8) as pool:  # many writers, no write lost
            texts = [f"Story number {i}." for i in range(60)]
            answers = list(pool.map(lambda text: client.post("/api/stories", json={"text": text}), texts))
        assert all(answer.status_code == 201 for answer in answers)
        assert len({answer.json()["id"] for answer in answers}) == 60
        server.process.kill()  # right after the last answer: what was answered is on the disk
        server.process.wait()
    with Server(model, shelf) as server:
        stories = httpx.get(f"{server.url}/api/stories?limit=100").json()["stories"]
        assert {story["start"] for story in stories} == set(texts)


def test_of_two_changes_to_one_version_one_wins(chapter, tmp_path):
    module = chapter("deployment").shelf
    shelves = [module.Shelf(tmp_path / "shelf.sqlite3") for _ in range(2)]  # as two programs would
    number, wins, rounds = shelves[0].save("0")["id"], [], 40

    def write(shelf):
        for i in range(rounds):
            try:
                shelf.update(number, shelf.get(number)["version"], f"{shelf} {i}")
                wins.append(1)
            except module.Changed:
                pass

    threads = [threading.Thread(target=write, args=(shelf,)) for shelf in shelves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) >= rounds and shelves[1].get(number)["version"] == 1 + len(wins)


def test_a_shelf_without_versions_loses_writes(chapter, tmp_path, monkeypatch):
    """The planted bug: the same change without looking at the version is accepted, and overwrites."""
    module = chapter("deployment").shelf
    shelf = module.Shelf(tmp_path / "shelf.sqlite3")
    run = shelf._run
    monkeypatch.setattr(shelf, "_run", lambda sql, values=(): run(sql.replace("version = ?", "? > 0"), values))
    number = shelf.save("first")["id"]
    shelf.update(number, 1, "second")
    shelf.update(number, 1, "third")  # the right shelf raises Changed here
    assert shelf.get(number)["text"] == "third"
    monkeypatch.undo()
    with pytest.raises(module.Changed):
        shelf.update(number, 1, "fourth")


def test_deleted_stories_stay_a_day(chapter, tmp_path):
    module = chapter("deployment").shelf
    shelf = module.Shelf(tmp_path / "shelf.sqlite3")
    numbers = [shelf.save(text)["id"] for text in ("one", "two")]
    for number in numbers:
        shelf.delete(number)
    shelf._run("UPDATE stories SET deleted = deleted - ? WHERE id = ?", (module.KEEP_DELETED + 1, numbers[0]))
    shelf.close()
    shelf = module.Shelf(tmp_path / "shelf.sqlite3")
    assert shelf.restore(numbers[1])["text"] == "two"
    with pytest.raises(module.NotOnShelf):
        shelf.restore(numbers[0])
    assert shelf.save("three")["id"] > max(numbers)


def test_a_file_that_is_no_shelf(chapter, tmp_path):
    (tmp_path / "shelf.sqlite3").write_bytes(b"These are not the stories of anybody. " * 100)
    with pytest.raises(chapter("deployment").cli.UserError, match="shelf.sqlite3"):
        chapter("deployment").shelf.Shelf(tmp_path / "shelf.sqlite3")


def test_the_shelf_as_a_script(chapter, run_script, tmp_path):
    chapter("deployment").shelf.Shelf(tmp_path / "shelf.sqlite3").save("There was once a tiny mouse who sang.")
    result = run_script("deployment/shelf.py", "--shelf", tmp_path / "shelf.sqlite3")
    assert "A tiny mouse who sang" in result.stdout


@pytest.mark.parametrize(("text", "title"), [
    ("Once upon a time, there was a fox named Tim. He ran.", "A fox named Tim"),
    ("Once upon a time, a small owl named Pip was afraid of the dark.", "A small owl named Pip"),
    ("One rainy morning, Mia found a little blue door in the old oak tree.", "Mia found a little blue door"),
    ("Once there was a bear named Bruno who could not fall asleep.", "A bear named Bruno"),
    ("There was once a tiny mouse who wanted to sing for the king.", "A tiny mouse"),
    ("A fox named Rusty found a shiny key in the garden.", "A fox named Rusty"),
    ("There were two ducks.", "Two ducks"),
    ("Max was sad.", "Max was sad"),
    ("\"Hello,\" said the cat. It left.", "Hello,\" said the cat"),
    ("Once upon a time", "Once upon a time"),
    ("Hi", "Hi"),
    ("...", "Untitled"),
    ("x" * 500, "X" + "x" * 59),
    ("First line\nsecond line", "First line"),
])
def test_titles(chapter, text, title):
    assert chapter("deployment").shelf.title_of(text) == title


# ---- exercises


@pytest.mark.parametrize("name", ["read_events", "TokenBucket"])
def test_answers(answers, chapter, name):
    chapter("deployment").checks.CHECKS[name](getattr(answers("deployment"), name))


def test_the_exercises_as_they_come(run_script):
    assert run_script("deployment/exercises.py").stdout.count("not written yet") == 2
    assert run_script("deployment/solutions.py").stdout.count("passes") == 2


def by_chunk(chunks):
    """Wrong: decodes each chunk by itself, and believes that a chunk holds whole events."""
    for chunk in chunks:
        for event in chunk.decode("utf-8", "replace").split("\n\n"):
            if event.startswith("data:"):
                yield event[5:].strip()


def keeps_the_broken(chunks):
    """Wrong: gives an event that has not ended."""
    data = b"".join(chunks).decode("utf-8").replace("\r\n", "\n")
    for event in data.split("\n\n"):
        lines = [line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:")]
        if lines:
            yield "\n".join(lines)


class Hoard:
    """Wrong: the bucket has no bottom of a ceiling: who waits long may flood."""

    def __init__(self, rate, burst):
        self.rate, self.tokens, self.last = rate, burst, 0

    def allow(self, now):
        self.tokens += (now - self.last) * self.rate
        self.last = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@pytest.mark.parametrize(("name", "wrong"), [("read_events", by_chunk), ("read_events", keeps_the_broken),
                                             ("TokenBucket", Hoard)])
def test_wrong_answers_do_not_pass(chapter, name, wrong):
    with pytest.raises(AssertionError):
        chapter("deployment").checks.CHECKS[name](wrong)


# ---- the page


@pytest.fixture(scope="module")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, server):
    """visit(**options) -> a page with the app open, in a browser profile of its own.

    At the end no page may have asked another server for anything, nor have had an error.
    """
    contexts, faults = [], []

    def visit(url=server.url, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("request", lambda r: r.url.startswith((url, "blob:")) or faults.append(f"asked for {r.url}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("console", lambda message: "Content Security Policy" in message.text and faults.append(message.text))
        page.goto(url)
        page.locator(".beginning").first.wait_for()
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not faults


def begin(page, text=PROMPT, length=None):
    """Types a beginning and has it told. Without a length it never ends: returns when the first words are there."""
    if length:
        page.get_by_text(length, exact=True).click()
    page.locator("#pen").fill(text)
    page.get_by_role("button", name="Tell the story").click()
    if not length:
        page.locator(".word").nth(3).wait_for()


def told_to_the_end(page):
    page.locator("#edit").wait_for()
    page.locator("#facts", has_text="kept on the shelf").wait_for()


def draft(page):
    return json.loads(page.evaluate("sessionStorage.getItem('storyteller.draft')"))


def on_shelf(client, page):
    """The story on the page, as the server keeps it."""
    return client.get(f"/api/stories/{draft(page)['place']['id']}").json()


def test_page_the_whole_way(visit, client):
    page = visit()
    begin(page)
    count = page.locator(".word").count()
    page.locator(".word").nth(count + 5).wait_for()  # it grows
    page.get_by_role("button", name="Stop").click()
    told_to_the_end(page)
    wait_until(lambda: is_idle(client))  # and the server has stopped, too
    stopped = on_shelf(client, page)["text"]
    assert stopped.startswith(PROMPT) and len(stopped) > len(PROMPT) + 20
    assert page.locator("#title").input_value().startswith("A fox")

    page.get_by_text("a little", exact=True).click()
    page.get_by_role("button", name="Go on").click()
    told_to_the_end(page)
    wait_until(lambda: on_shelf(client, page)["text"] != stopped)
    longer = on_shelf(client, page)["text"]
    assert longer.startswith(stopped.rstrip()) and len(longer) > len(stopped)

    page.get_by_role("button", name="Edit").click()
    edited = "A hedgehog rolled down the hill. It"
    page.locator("#pen").fill(edited)
    page.get_by_role("button", name="Go on").click()
    told_to_the_end(page)
    wait_until(lambda: on_shelf(client, page)["text"].startswith(edited))
    last = on_shelf(client, page)["text"]
    assert len(last) > len(edited) + 20

    page.reload()
    page.locator("#paper", has_text="A hedgehog rolled").wait_for()  # the reader is where she was
    page.get_by_role("button", name="New story").click()
    page.locator("#invitation").wait_for()
    assert page.locator("#pen").input_value() == ""
    page.get_by_role("button", name="Shelf").click()
    entry = page.locator("#shelf-list li", has_text="A hedgehog rolled").first
    entry.locator(".story").click()
    page.locator("#paper", has_text="A hedgehog rolled").wait_for()
    assert draft(page)["text"] == last


def test_page_tell_again_keeps_the_earlier_tellings(visit):
    page = visit()
    begin(page, length="a little")
    told_to_the_end(page)
    first = draft(page)["text"]
    page.get_by_role("button", name="Tell again").click()
    told_to_the_end(page)
    page.locator("#takes", has_text="2 of 2").wait_for()
    second = draft(page)["text"]
    assert second != first and second.startswith(PROMPT)
    page.get_by_role("button", name="The telling before").click()
    page.locator("#takes", has_text="1 of 2").wait_for()
    assert draft(page)["text"] == first
    page.reload()
    page.locator("#takes", has_text="1 of 2").wait_for()
    page.get_by_role("button", name="The next telling").click()
    page.locator("#takes", has_text="2 of 2").wait_for()
    assert draft(page)["text"] == second


def test_page_goes_on_from_the_cursor(visit):
    page = visit()
    begin(page, length="a little")
    told_to_the_end(page)
    whole = draft(page)["text"]
    page.get_by_role("button", name="Edit").click()
    page.locator("#pen").evaluate("(pen) => pen.setSelectionRange(16, 16)")
    page.get_by_role("button", name="From the cursor").click()
    told_to_the_end(page)
    page.locator("#takes", has_text="2 of 2").wait_for()
    again = draft(page)["text"]
    assert again.startswith("Once upon a time") and not again.startswith(PROMPT)
    page.get_by_role("button", name="The telling before").click()
    page.locator("#takes", has_text="1 of 2").wait_for()
    assert draft(page)["text"] == whole  # what stood behind the cursor is not lost


def test_page_a_click_into_the_text_edits_there(visit):
    page = visit()
    begin(page, length="a little")
    told_to_the_end(page)
    box = page.locator("#paper p").first.bounding_box()
    page.mouse.click(box["x"] + 200, box["y"] + 15)
    page.locator("#pen").wait_for()
    position = page.locator("#pen").evaluate("(pen) => pen.selectionStart")
    assert 8 < position < 40
    page.keyboard.type("XYZ")
    wait_until(lambda: draft(page)["text"][position : position + 3] == "XYZ")
    page.keyboard.press("Escape")
    page.locator("#paper", has_text="XYZ").wait_for()


NASTY = '<script>window.hit = 1</script><img src=x onerror="window.hit = 1"> &amp; <b>Tom</b>'


def test_page_markup_is_text(visit, client):
    page = visit()
    begin(page, NASTY, length="a little")
    told_to_the_end(page)
    page.locator("#paper", has_text="<b>Tom</b>").wait_for()
    page.get_by_role("button", name="Shelf").click()
    page.locator(".story-title", has_text="<script>window.hit").first.wait_for()
    assert page.locator("main :is(script, img, b), dialog :is(script, img, b)").count() == 0
    assert page.evaluate("window.hit") is None
    assert on_shelf(client, page)["text"].startswith(NASTY)


def test_page_on_a_phone(visit):
    page = visit(viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)

    def fits():
        # the shelf slides in: look when it has arrived
        page.evaluate("""Promise.allSettled(document.getAnimations()
            .filter((a) => a.effect.getComputedTiming().endTime !== Infinity).map((a) => a.finished))""")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        for button in page.get_by_role("button").all():
            if button.is_visible():
                box = button.bounding_box()
                assert box["x"] >= 0 and box["x"] + box["width"] <= 360 and box["height"] >= 24, button.inner_text()

    fits()
    begin(page, "Once upon a " + "very" * 60 + " long time, there was", length="a little")
    fits()
    told_to_the_end(page)
    page.get_by_role("button", name="Tell again").click()
    told_to_the_end(page)
    page.locator("#takes").wait_for()
    fits()
    page.get_by_role("button", name="Edit").click()
    page.locator("#pen").evaluate("(pen) => pen.setSelectionRange(10, 10)")
    page.locator("#from-cursor").wait_for()
    fits()
    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Shelf").click()
    page.locator(".story").first.wait_for()
    fits()


def brightness(page):
    red, green, blue = map(int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3])
    return (red + green + blue) / 3


def test_page_light_and_dark(visit):
    assert brightness(visit(color_scheme="light")) > 200
    page = visit(color_scheme="dark")
    assert brightness(page) < 60
    button = page.get_by_role("button", name="Dark colors")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert brightness(page) > 200 and button.get_attribute("aria-pressed") == "false"
    page.reload()
    assert brightness(page) > 200


def test_page_without_motion(visit):
    page = visit(reduced_motion="reduce")
    begin(page)
    assert page.locator(".word").first.evaluate("(word) => getComputedStyle(word).animationName") == "none"
    page.keyboard.press("Escape")
    told_to_the_end(page)


def test_page_by_keyboard_alone_and_what_is_announced(visit):
    page = visit()
    page.evaluate("""() => {
        window.said = [];
        const announcer = document.getElementById("announcer");
        new MutationObserver(() => announcer.textContent && said.push(announcer.textContent))
            .observe(announcer, { childList: true, characterData: true, subtree: true });
    }""")

    def focused():
        return page.evaluate("document.activeElement.id")

    assert focused() == "pen"
    page.keyboard.type("A mole dug a hole.")
    page.keyboard.press("Control+Enter")
    page.locator(".word").nth(10).wait_for()
    assert page.locator("#paper").get_attribute("aria-busy") == "true"
    page.keyboard.press("Escape")
    told_to_the_end(page)
    assert focused() == "tell"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Shift+Tab")
    assert focused() == "edit"
    page.keyboard.press("Enter")
    assert focused() == "pen"
    page.keyboard.type(" Then it slept.")
    page.keyboard.press("Escape")
    page.locator("#paper", has_text="Then it slept.").wait_for()
    page.keyboard.press("Control+Enter")
    page.locator(".word").nth(3).wait_for()
    page.keyboard.press("Escape")
    told_to_the_end(page)
    page.locator("#open-shelf").focus()
    page.keyboard.press("Enter")
    page.locator(".story").first.wait_for()
    page.keyboard.press("Escape")
    page.locator("#shelf").wait_for(state="hidden")
    assert focused() == "open-shelf"
    said = page.evaluate("said")
    assert said[0] == "The storyteller begins." and re.fullmatch(r"Stopped, after \d+ words\.", said[1])
    assert len(said) == 4, said  # start and end, not every word
    unnamed = page.locator("button, input, textarea").evaluate_all(
        "all => all.filter(e => e.checkVisibility() && !(e.textContent.trim() || e.ariaLabel || e.labels?.length))"
        ".map(e => e.outerHTML)")
    assert unnamed == []


def test_page_remove_and_undo(visit, client):
    page = visit()
    begin(page, "A goose named Gertrude flew south.", length="a little")
    told_to_the_end(page)
    number = draft(page)["place"]["id"]
    page.get_by_role("button", name="Shelf").click()
    page.get_by_role("button", name=re.compile("Remove “A goose named Gertrude")).click()
    page.locator("#undo").wait_for()
    assert client.get(f"/api/stories/{number}").status_code == 404
    page.get_by_role("button", name="Undo").click()
    page.locator(".story-title", has_text="A goose named Gertrude").wait_for()
    assert client.get(f"/api/stories/{number}").status_code == 200


def test_page_a_title_of_ones_own_and_a_file(visit, client):
    page = visit()
    begin(page, length="a little")
    told_to_the_end(page)
    page.locator("#title").fill("The fox; a tale")
    wait_until(lambda: on_shelf(client, page)["title"] == "The fox; a tale")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "the-fox-a-tale.txt"
    text = on_shelf(client, page)["text"]
    assert Path(download.value.path()).read_text(encoding="utf-8") == f"The fox; a tale\n\n{text.strip()}\n"


def test_page_a_story_changed_in_another_window_is_not_overwritten(visit, client):
    page = visit()
    begin(page, "A crab walked sideways.", length="a little")
    told_to_the_end(page)
    story = on_shelf(client, page)
    other = client.put(f"/api/stories/{story['id']}", json={"text": "From the other window.", "version": story["version"]})
    assert other.status_code == 200
    page.get_by_role("button", name="Edit").click()
    page.locator("#pen").fill("From this window.")
    page.get_by_role("button", name="Done").click()
    page.locator("#facts", has_text="this is a copy").wait_for()
    assert on_shelf(client, page)["text"] == "From this window."
    assert client.get(f"/api/stories/{story['id']}").json()["text"] == "From the other window."


def test_page_a_story_longer_than_the_context(visit, client):
    text = "The snail went on and on. " * 1500
    story = client.post("/api/stories", json={"text": text, "title": "Snail"}).json()
    page = visit()
    page.get_by_text("a little", exact=True).click()
    page.get_by_role("button", name="Shelf").click()
    page.locator(".story", has_text="Snail").click()
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Go on from its last part").click()
    told_to_the_end(page)
    assert len(client.get(f"/api/stories/{story['id']}").json()["text"]) > len(text)


def test_page_when_the_server_is_away(visit, model, tmp_path):
    shelf = tmp_path / "shelf.sqlite3"
    with Server(model, shelf) as server:
        page = visit(server.url)
        page.locator("#pen").fill("A whale sang.  ")
        server.process.kill()
        server.process.wait()
        page.get_by_role("button", name="Tell the story").click()
        page.get_by_role("alert").get_by_text("cannot be reached").wait_for()
        assert page.locator("#pen").input_value() == "A whale sang.  "
    with Server(model, shelf, port=server.port):
        page.get_by_text("a little", exact=True).click()
        page.get_by_role("button", name="Try again").click()
        told_to_the_end(page)
        assert draft(page)["text"].startswith("A whale sang.")
        assert page.get_by_role("alert").is_hidden()


def test_page_nothing_typed_is_lost(visit):
    page = visit()
    page.locator("#pen").fill("Half a sentence about")
    page.reload()
    page.locator(".beginning").first.wait_for()
    assert page.locator("#pen").input_value() == "Half a sentence about"
    page.locator("#pen").fill("")
    page.locator(".beginning").nth(1).click()
    assert page.locator("#pen").input_value() == page.locator(".beginning").nth(1).inner_text()
    page.get_by_text("a little", exact=True).click()
    page.get_by_role("button", name="Surprise me").click()
    told_to_the_end(page)


# --- what the stories hold on to ----------------------------------------------------------------------------------

def test_evaluate_sees_who_stays_and_who_comes_from_nowhere(chapter):
    judge, prompt = chapter("deployment").evaluate.judge, "One day, Nadia lost her kite."
    kept = " Nadia was sad. She met a boy named Leo, and Leo helped Nadia. They found the kite in a tree."
    assert judge(prompt, "Nadia", "kite", kept, "stop") == {"stays": True, "returns": True, "ends": True}
    assert not judge(prompt, "Nadia", "kite", kept.replace("Nadia", "Nora"), "stop")["stays"]  # another hero
    assert not judge(prompt, "Nadia", "kite", kept.replace(" a boy named Leo", " Mom"), "stop")["stays"]  # Leo, who?
    assert not judge(prompt, "Nadia", "kite", kept.replace("kite", "ball"), "length")["returns"]
    assert not judge(prompt, "Nadia", "kite", kept, "length")["ends"]
    assert judge(prompt, "Nadia", "kite", ' "Mom," said Nadia, and on Monday Nadia saw the kites.', "stop")["stays"]


def test_evaluate_beginnings_are_whole(chapter):
    evaluate = chapter("deployment").evaluate
    found = list(evaluate.beginnings())
    assert len(found) == len({text for text, _, _ in found}) == 40
    for text, hero, thing in found:
        assert hero in text and thing in text and "{" not in text and "|" not in text


def test_evaluate_script(run_script, model):
    result = run_script("deployment/evaluate.py", model, "--show", 1)
    assert re.search(r"stays +\d+ of 40\nreturns +\d+ of 40\nends +\d+ of 40\n$", result.stdout)
    assert "there is no model folder" in run_script("deployment/evaluate.py", "nowhere", status=2).stderr
