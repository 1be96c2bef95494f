"""How much it helps to serve readers together: eight at once against the same eight one after another.

New since the last chapter: what is timed is what readers see, through the network interface of this machine: the
time to the first piece of text, the time to the whole story, tokens a second of all together. Both
ways tell the same stories (same seeds), and it is asserted that they do. Left out on purpose: other
machines, and readers who come at random times.

    python deployment/bench.py                  the shipped model; half a minute; run it with nothing beside it
    python deployment/bench.py --plot           also draws deployment/figures/readers.svg

It starts a server of its own on a free port of 127.0.0.1. Rounds of both ways alternate; medians are printed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from cli import UserError, positive_int, run

HERE = Path(__file__).resolve().parent
PROMPT = "Once upon a time, a small owl named Pip was afraid of the dark."


def start_server(args):
    """A server as a process of its own, and its address once the model is there."""
    command = [sys.executable, HERE / "app.py", "--port", "0", "--model", args.model, "--threads", args.threads,
               "--slots", args.clients, "--device", args.device, "--shelf", args.shelf]
    server = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    words = server.stdout.readline().split()
    url = next((word for word in words if word.startswith("http://")), None)
    if url is None:
        raise UserError("the server did not start")
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=60) as response:
                return server, url, json.load(response)
        except urllib.error.HTTPError as error:  # 503: the model is still being read
            if error.code != 503 or server.poll() is not None:
                raise UserError("the server did not get ready") from None
            time.sleep(0.05)


def read_story(url, seed, tokens, began):
    """One reader: {"text", "tokens", "asked", "first", "last"}, the times in seconds since `began`."""
    body = {"prompt": PROMPT, "seed": seed, "max_tokens": tokens, "stream": True,
            "stream_options": {"include_usage": True}}
    request = urllib.request.Request(f"{url}/v1/completions", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    story = {"text": "", "asked": time.perf_counter() - began, "first": None}
    with urllib.request.urlopen(request, timeout=120) as response:
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if event["choices"] and event["choices"][0]["text"]:
                story["first"] = story["first"] or time.perf_counter() - began
                story["text"] += event["choices"][0]["text"]
            elif event.get("usage"):
                story["tokens"] = event["usage"]["completion_tokens"]
    story["last"] = time.perf_counter() - began
    return story


def one_after_another(url, clients, tokens):
    began = time.perf_counter()
    return [read_story(url, seed, tokens, began) for seed in range(clients)]


def at_once(url, clients, tokens):
    began, stories = time.perf_counter(), [None] * clients

    def reader(seed):
        stories[seed] = read_story(url, seed, tokens, began)

    threads = [threading.Thread(target=reader, args=(seed,)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return stories


def summary(rounds):
    """Medians over the rounds: seconds in all, to the first text, to a reader's last, tokens a second."""
    firsts = [story["first"] - story["asked"] for stories in rounds for story in stories]
    waits = [story["last"] - story["asked"] for stories in rounds for story in stories]
    totals = [max(story["last"] for story in stories) for stories in rounds]
    tokens = sum(story["tokens"] for story in rounds[0])
    total = statistics.median(totals)
    return {"total": total, "first": statistics.median(firsts), "wait": statistics.median(waits),
            "rate": tokens / total}


def draw(path, ways):
    """One line a reader: from asking (thin), through waiting for the first word, to the end (thick)."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(ways), 1, figsize=(8, 4.2), sharex=True, layout="constrained")
    for axis, (name, stories) in zip(axes, ways.items()):
        for reader, story in enumerate(stories):
            axis.hlines(reader, story["asked"], story["first"], color="#b9ad9a", linewidth=1.5)
            axis.hlines(reader, story["first"], story["last"], color="#9c3f2c", linewidth=5)
        axis.set(title=name, ylabel="reader", yticks=[0, len(stories) - 1], yticklabels=[1, len(stories)])
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("seconds")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    print(f"drawn: {path}")


def main(argv=None):
    parser = argparse.ArgumentParser(description="Eight readers at once against one after another.")
    parser.add_argument("--model", default=str(HERE / "weights" / "storyteller"), help="the model's folder")
    parser.add_argument("--device", default="auto", help="cuda, mps or cpu (default: the best there is)")
    parser.add_argument("--threads", type=positive_int, default=os.cpu_count(), help="default: one a core")
    parser.add_argument("--clients", type=positive_int, default=8, help="readers, and slots of the server")
    parser.add_argument("--tokens", type=positive_int, default=160, help="the length of a story, at most")
    parser.add_argument("--rounds", type=positive_int, default=3, help="repeats of each way")
    parser.add_argument("--out", default="out/deployment", help="where the server's shelf lies meanwhile")
    parser.add_argument("--plot", action="store_true", help="draw deployment/figures/readers.svg")
    args = parser.parse_args(argv)
    Path(args.out).mkdir(parents=True, exist_ok=True)
    args.shelf = str(Path(args.out) / "bench.sqlite3")
    server, url, health = start_server(args)
    try:
        one_after_another(url, 2, 16)  # warm-up, discarded
        alone, together = [], []
        for _ in range(args.rounds):
            alone.append(one_after_another(url, args.clients, args.tokens))
            together.append(at_once(url, args.clients, args.tokens))
    finally:
        server.terminate()
        server.wait(30)
    assert all(a["text"] == b["text"] for a, b in zip(alone[0], together[0])), "a story depends on its company"
    ways = {"one after another": summary(alone), f"{args.clients} at once": summary(together)}
    print(f"{health['parameters'] / 1e6:.1f}M parameters on {health['device']}, {args.threads} threads; "
          f"{args.clients} readers, at most {args.tokens} tokens each; medians of {args.rounds} rounds\n")
    print(f"{'':20}{'all done':>10}{'first text':>12}{'own story':>12}{'tokens/s':>10}")
    for name, way in ways.items():
        print(f"{name:20}{way['total']:>8.2f} s{way['first']:>10.3f} s{way['wait']:>10.2f} s{way['rate']:>10.0f}")
    ratio = ways[f"{args.clients} at once"]["total"] / ways["one after another"]["total"]
    print(f"\n{args.clients} at once take {ratio:.2f} of the time of one after another; "
          f"if company cost nothing, it were {1 / args.clients:.2f}")
    if args.plot:
        draw(HERE / "figures" / "readers.svg", dict(zip(ways, (alone[-1], together[-1]))))


if __name__ == "__main__":
    run(main)
