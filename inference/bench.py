"""How fast: generation and the prompt, by the model in Python with and without its cache, and by the engine in C.

For the shipped model and for random ones of 15, 42 and 110 million parameters, each way on one thread and on two:
tokens/s of one sequence and of eight together when 64 tokens are there, and of a prompt of 128 tokens. All ways take
turns, and the median of their rounds is told. What is timed ends with the logits; what choosing a token costs is
told apart. Beside our model runs the one of `transformers`, where it is installed.

The last column is the physical limit for one sequence: every weight must be read for every token, so tokens/s cannot
exceed (bytes read per second) / (bytes of the weights). How fast so many bytes can be read is measured here: a small
model stays in the processor's cache, where that is several times as fast as from memory.

    python inference/bench.py                      all of it; some three minutes on two cores
    python inference/bench.py 110M --threads 1     one model, one thread
    python inference/bench.py FOLDER --plot        also draws inference/figures/speed.svg
    python inference/bench.py --quick              the shipped model, one round, one thread: seconds

Nothing else should run on the machine: the numbers mean little otherwise. Random weights write nonsense, at the speed
of trained ones; they go to a temporary folder, as files that the engine in C reads.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from checkpoint import load_model
from cli import UserError, positive_int, run
from engine import CEngine, draw_tokens, library
from kv_cache import KVCache
from model import Config, Storyteller, from_depth
from rng import PCG32
from sampling import SamplingParams, sample_token

MODEL = "deployment/weights/storyteller"
TOKENIZER = "tokenization/tokenizer.json"
FIGURE = "inference/figures/speed.svg"
RANDOM = {  # name -> width, hidden size of the MLP, layers and heads; 32,000 words
    "15M": (288, 768, 6), "42M": (512, 1376, 8), "110M": (768, 2048, 12),
}  # fmt: skip
LENGTH, PROMPT, BATCH = 64, 128, 8
LENGTHS = 16, 64, 256  # of the figure
TURN, QUICK_TURN, SLOW, PAUSE = 0.1, 0.005, 0.5, 0.05  # seconds: short calls are repeated so long, slow ones timed once
C_KINDS = {"C, float32": (None, True), "C, bfloat16": (None, False), "C, int8": ("int8", False),
           "C, int4": ("int4", False)}  # name -> quantize, widen


def interleaved(functions, rounds, turn=TURN):
    """The median seconds of each function, called in turn. A turn is one call to warm up, then enough calls to time.

    With several threads there is a pause before each turn: those of the last one, which wait by spinning, fall asleep.
    """
    seconds = {name: [] for name in functions}
    for round_ in range(rounds):
        for name, function in functions.items():
            if round_ and min(seconds[name]) > SLOW:
                continue
            if torch.get_num_threads() > 1:
                time.sleep(PAUSE)
                function()  # wakes its own threads
            started = time.perf_counter()
            function()
            once = time.perf_counter() - started
            if once > SLOW:
                seconds[name].append(once)
                continue
            calls = 1 + int(turn / once)
            started = time.perf_counter()
            for _ in range(calls):
                function()
            seconds[name].append((time.perf_counter() - started) / calls)
    return {name: statistics.median(times) for name, times in seconds.items()}


def read_rate(bytes_, threads, turn):
    """Bytes/s of reading so many bytes again and again, by `threads` threads: the best of seven turns."""
    x = np.ones(max(bytes_ // 4, 1 << 14), dtype=np.float32)
    read, best, x_at = library().engine_read, 0.0, x.ctypes.data
    for _ in range(7):
        calls = 1 + int(turn * 2e9 / x.nbytes)
        started = time.perf_counter()
        for _ in range(calls):
            read(x_at, len(x), threads)
        best = max(best, calls * x.nbytes / (time.perf_counter() - started))
    return best


def reference(model):
    """The same weights in `transformers`, or None where it is not installed."""
    try:
        from transformers import LlamaConfig, LlamaForCausalLM
    except ImportError:
        return None
    settings = {name: value for name, value in asdict(model.config).items() if name != "dropout"}
    theirs = LlamaForCausalLM(LlamaConfig(**settings))
    theirs.load_state_dict(model.state_dict())
    return theirs.eval()


def random_model(name, folder):
    """Writes the model folder of a name in RANDOM, or of a depth; gives back the model."""
    if name in RANDOM:
        width, hidden, layers = RANDOM[name]
        config = Config(32000, width, hidden, layers, layers, layers, 1024)
    else:
        config = from_depth(int(name), 4096)
    model = Storyteller(config).initialize(seed=0).eval()
    weights = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
    del weights["lm_head.weight"]  # tied
    save_file(weights, folder / "model.safetensors")
    settings = {key: value for key, value in asdict(config).items() if key != "dropout"}
    (folder / "config.json").write_text(str({"model_type": "llama", **settings}).replace("'", '"').replace("True", "true"))
    (folder / "tokenizer.json").write_bytes(Path(TOKENIZER).read_bytes())
    return model


def one_step(model, batch, length):
    """name -> a function that computes the next token's logits for `batch` sequences of `length` tokens, in torch."""
    ids = torch.randint(0, model.config.vocab_size, (batch, length + 1))
    cache = KVCache(model.config, batch, length + 1)
    model(ids[:, :length], cache)

    def cached():
        cache.lengths[:] = length  # forget the last step's token
        model(ids[:, length:], cache)

    return {"Python, no cache": lambda: model(ids, only_last=True), "Python, cache": cached}


def their_step(theirs, batch, length):
    """The same by `transformers`, with its own cache."""
    ids = torch.randint(0, theirs.config.vocab_size, (batch, length + 1))
    past = theirs(ids[:, :length], use_cache=True).past_key_values

    def step():
        theirs(ids[:, length:], past_key_values=past, use_cache=True)
        past.crop(-1)  # forget it again

    return step


def one_prompt(model, theirs, length):
    """name -> a function that reads a prompt of `length` tokens, in torch."""
    ids = torch.randint(0, model.config.vocab_size, (1, length))
    cache = KVCache(model.config, 1, length)

    def ours():
        cache.lengths[:] = 0
        model(ids, cache, only_last=True)

    functions = {"Python, cache": ours}
    if theirs is not None:
        functions["transformers"] = lambda: theirs(ids, use_cache=True, logits_to_keep=1)
    return functions


def c_step(engine, batch, length):
    """A function that computes the next token's logits for `batch` sequences of `length` tokens, in C."""
    for slot in range(batch):
        engine.logits([1] * length, slot=slot, last=True)
    return lambda: library().engine_same_step(engine.handle, batch, 1, length)


def c_prompt(engine, length):
    ids = np.arange(length) % engine.V
    return lambda: engine.logits(ids, last=True)


def measure(model, theirs, folder, threads, rounds, turn):
    """rows: name -> (tokens/s of one sequence, of eight, of a prompt, bytes of weights); None where not measured."""
    torch.set_num_threads(threads)
    context = model.config.max_position_embeddings
    length, prompt = min(LENGTH, context - 1), min(PROMPT, context)
    engines = {name: CEngine(folder, BATCH, prompt, threads, quantize, PROMPT, widen)
               for name, (quantize, widen) in C_KINDS.items()}
    if engines["C, bfloat16"].sizes.bytes == engines["C, float32"].sizes.bytes:
        del engines["C, bfloat16"]  # the file has float32
    rates = []
    for batch in (1, BATCH):
        functions = one_step(model, batch, length)
        if theirs is not None:
            functions["transformers"] = their_step(theirs, batch, length)
        functions |= {name: c_step(engine, batch, length) for name, engine in engines.items()}
        rates.append({name: batch / s for name, s in interleaved(functions, rounds, turn).items()})
    functions = one_prompt(model, theirs, prompt) | {name: c_prompt(e, prompt) for name, e in engines.items()}
    rates.append({name: prompt / s for name, s in interleaved(functions, rounds, turn).items()})
    sizes = {name: engine.sizes.bytes for name, engine in engines.items()}
    return {name: [r.get(name) for r in rates] + [sizes.get(name, sizes["C, float32"])] for name in rates[0]}


def number(x):
    return f"{x:>11,.0f}" if x is not None else f"{'-':>11}"


def print_table(rows, threads, turn):
    print(f"{threads} thread{'s' * (threads > 1)}:{'MB of weights':>29}{'1 sequence':>11}{BATCH:>3} of them"
          f"{'prompt':>11}{'limit':>11}")
    for name, (one, several, prompt, bytes_) in rows.items():
        limit = read_rate(bytes_, threads, turn) / bytes_
        print(f"  {name:20}{bytes_ / 1e6:>17.1f}{number(one)}{number(several)}{number(prompt)}{number(limit)}")


def print_sampling(V, turn):
    """What one choice costs, in microseconds, from V logits as sharp as a trained model's."""
    logits = (4 * np.random.default_rng(0).standard_normal(V)).astype(np.float32)
    params, rng = SamplingParams(), PCG32(0)
    seconds = interleaved({"Python": lambda: sample_token(logits, params, rng),
                           "C": lambda: draw_tokens(logits, params, 0, (), 100)}, 3, turn)
    print(f"to choose one of {V:,} tokens takes {seconds['Python'] * 1e6:,.0f} µs in Python, "
          f"{seconds['C'] * 1e4:,.0f} µs in C")


def draw_speed(model, folder, rounds, turn, path):
    """Milliseconds of one more token against the length, for one sequence: without a cache, with one, in C."""
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "storyteller", "svg.fonttype": "none"})  # small, and always the same
    torch.set_num_threads(1)
    lengths = [n for n in LENGTHS if n < model.config.max_position_embeddings]
    times = []
    for length in lengths:
        engine = CEngine(folder, 1, widen=True)
        functions = one_step(model, 1, length) | {"C, float32": c_step(engine, 1, length)}
        times.append(interleaved(functions, rounds, turn))
    figure, axis = plt.subplots(figsize=(6, 3.4))
    for name, color in (("Python, no cache", "#b5432a"), ("Python, cache", "#2f6690"), ("C, float32", "#3a7d44")):
        axis.plot(lengths, [t[name] * 1000 for t in times], "o-", color=color, label=name)
    axis.set(xlabel="tokens that are there already", ylabel="ms for one more", xlim=(0, None), ylim=(0, None))
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    print(f"wrote {path}")


def bench_model(name, args):
    """All tables of one model: a folder, a name in RANDOM, or a depth as "depth 6"."""
    turn = QUICK_TURN if args.quick else TURN
    with tempfile.TemporaryDirectory() as temporary:
        folder, depth = Path(name), name.removeprefix("depth ")
        if name in RANDOM or depth != name:
            folder = Path(temporary)
            model = random_model(depth, folder)
        else:
            model = load_model(folder)
        theirs = reference(model)
        print(f"{name}{' (random weights)' * (folder != Path(name))}: {model.count_parameters():,} parameters; one more "
              f"token, tokens/s of all sequences together")
        for threads in args.threads:
            print_table(measure(model, theirs, folder, threads, args.repeats, turn), threads, turn)
        print_sampling(model.config.vocab_size, turn)
        if args.plot:
            draw_speed(model, folder, args.repeats, turn, FIGURE)
        print(flush=True)


@torch.inference_mode()
def main(argv=None):
    parser = argparse.ArgumentParser(description="Tokens/s in Python and in C, and the physical limit.")
    parser.add_argument("models", nargs="*", help=f"model folders, or {', '.join(RANDOM)} for random weights of that "
                                                  f"size (default: {MODEL} and all of these)")
    parser.add_argument("--random", type=positive_int, metavar="DEPTH", help="random weights, so many layers")
    parser.add_argument("--repeats", type=positive_int, default=5, help="rounds of measurement (default 5)")
    parser.add_argument("--threads", type=positive_int, nargs="+", default=[1, 2], help="CPU threads (default 1 2)")
    parser.add_argument("--quick", action="store_true", help="the shipped model, one round, one thread")
    parser.add_argument("--plot", action="store_true", help=f"draw {FIGURE}, of the first model")
    args = parser.parse_args(argv)
    models = args.models + [f"depth {args.random}"] * (args.random is not None)
    if args.quick:
        args.repeats, args.threads, models = 1, [1], models or [MODEL]
    before = torch.get_num_threads()
    for name in models or [MODEL, *RANDOM]:
        if not Path(name).is_dir() and name not in RANDOM and not name.startswith("depth "):
            raise UserError(f"there is no model folder {name}; random ones are {', '.join(RANDOM)}")
        bench_model(name, args)
        args.plot = False
    torch.set_num_threads(before)


if __name__ == "__main__":
    run(main)
