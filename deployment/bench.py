"""How much it helps to serve readers together: eight at once against the same eight one after another, by each engine.

New since the last chapter: what is timed is what readers see, through the network interface of this machine: the
time to the first piece of text, the time to the whole story, tokens a second of all together. Both ways and all
engines tell the same stories (same seeds), and it is asserted that they do. Left out on purpose: other machines, and
readers who come at random times.

    python deployment/bench.py                  the shipped model; a minute; run it with nothing beside it
    python deployment/bench.py --engines auto   the server as it is without any flag
    python deployment/bench.py --plot           also draws deployment/figures/readers.svg, of the first engine

It starts a server for each engine on a free port of 127.0.0.1. Rounds of all of them alternate; medians are printed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from cli import UserError, positive_int, run

HERE = Path(__file__).resolve().parent
PROMPT = "Once upon a time, a small owl named Pip was afraid of the dark."


def start_server(args, engine):
    """A server as a process of its own, its address, and its /health once the model is there."""
    command = [sys.executable, HERE / "app.py", "--port", "0", "--model", args.model, "--threads", args.threads,
               "--engine", engine, "--slots", args.clients, "--device", args.device,
               "--shelf", Path(args.out) / f"bench_{engine}.sqlite3"]
    server = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    words = server.stdout.readline().split()
    url = next((word for word in words if word.startswith("http://")), None)
    if url is None:
        raise UserError("the server did not start")
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=60) as response:
                return server, url, json.load(response)
        except urllib.error.URLError as error:  # 503: the model is still being read
            if getattr(error, "code", None) != 503 or server.poll() is not None:
                server.kill()
                raise UserError(f"the server with --engine {engine} did not get ready; what it said stands above") from None
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
    parser.add_argument("--engines", nargs="+", choices=["torch", "auto", "c"], default=["torch", "c"],
                        help="each gets a server (default: torch c)")
    parser.add_argument("--out", default="out/deployment", help="where the servers' shelves lie meanwhile")
    parser.add_argument("--plot", action="store_true", help="draw deployment/figures/readers.svg")
    args = parser.parse_args(argv)
    Path(args.out).mkdir(parents=True, exist_ok=True)
    ways = {"one after another": one_after_another, f"{args.clients} at once": at_once}
    servers, results = {}, {(engine, way): [] for engine in args.engines for way in ways}
    try:
        for engine in args.engines:
            servers[engine] = start_server(args, engine)
            one_after_another(servers[engine][1], 2, 16)  # warm-up, discarded
        for _ in range(args.rounds):
            for engine, way in results:
                results[engine, way].append(ways[way](servers[engine][1], args.clients, args.tokens))
    finally:
        for server, _, _ in servers.values():
            server.terminate()
            server.wait(30)
    texts = [[story["text"] for story in stories] for rounds in results.values() for stories in rounds]
    assert all(told == texts[0] for told in texts), "a story depends on its company, or on its engine"
    health = servers[args.engines[0]][2]
    print(f"{Path(args.model).name} on {health['device']}, {args.threads} threads; {args.clients} readers, "
          f"at most {args.tokens} tokens each; medians of {args.rounds} rounds\n")
    print(f"{'engine':8}{'readers':20}{'all done':>10}{'first text':>12}{'own story':>12}{'tokens/s':>10}")
    for (engine, name), rounds in results.items():
        way = summary(rounds)
        print(f"{engine:8}{name:20}{way['total']:>8.2f} s{way['first']:>10.3f} s{way['wait']:>10.2f} s{way['rate']:>10.0f}")
    print(f"\n{args.clients} at once take, of the time of one after another ({1 / args.clients:.2f} if company cost "
          "nothing):")
    for engine in args.engines:
        one_by_one, together = (summary(results[engine, way])["total"] for way in ways)
        print(f"{engine:8}{together / one_by_one:.2f}")
    if args.plot:
        draw(HERE / "figures" / "readers.svg", {way: results[args.engines[0], way][-1] for way in ways})


if __name__ == "__main__":
    run(main)
