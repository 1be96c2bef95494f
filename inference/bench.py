"""How fast: one more token when 16, 64 and 256 are there, with and without the cache, for 1 and 8 sequences.

Everything is measured in one process, in turn (one pass of each, then again), and the median is told.
Beside our model runs the one of `transformers`, with its own cache, where it is installed. The last
column is the physical limit. A step must read all weights, and the keys and values of every sequence,
from memory: tokens/s cannot exceed sequences * (bytes per second) / (bytes per step). A prompt is
bound by arithmetic instead: two operations a parameter and token, at the rate of a large matrix product.

    python inference/bench.py                      the shipped model; a minute on one core
    python inference/bench.py --random 6           random weights of depth 6
    python inference/bench.py --plot               also draws inference/figures/speed.svg

Nothing else should run on the machine: the numbers mean little otherwise.
"""

import argparse
import statistics
import time

import torch

from checkpoint import load_or_random
from cli import positive_int, run
from hardware import choose_device
from kv_cache import KVCache

MODEL = "deployment/weights/storyteller"
FIGURE = "inference/figures/speed.svg"
LENGTHS = 16, 64, 256
BATCHES = 1, 8


def interleaved(functions, repeats, device):
    """The median seconds of each function, called in turn `repeats` times after one call for warming up."""
    seconds = {name: [] for name in functions}
    for repeat in range(repeats + 1):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            if device.type != "cpu":
                getattr(torch, device.type).synchronize()
            if repeat:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}


def measure_limits(bytes_, dtype, device):
    """(bytes/s of reading so many bytes again and again, operations/s of a large product in this dtype)."""
    x = torch.ones(max(1, bytes_ // 4), device=device)
    a = torch.ones(1024, 1024, dtype=dtype, device=device)
    seconds = interleaved({"read": x.sum, "product": lambda: a @ a}, 15, device)
    return x.numel() * 4 / seconds["read"], 2 * 1024**3 / seconds["product"]


def bytes_read(model, batch=0, length=0):
    """The bytes that one step must read: the weights, and the keys and values of `length` tokens a sequence."""
    c = model.config
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    table = model.model.embed_tokens.weight
    if not c.tie_word_embeddings:
        weights -= table.numel() * table.element_size()  # one row a token is read of it
    cache = 2 * c.num_hidden_layers * c.num_key_value_heads * c.head_dim * table.element_size()
    return weights + batch * length * cache


def reference(model):
    """The same weights in `transformers`, or None where it is not installed."""
    try:
        from transformers import LlamaConfig, LlamaForCausalLM
    except ImportError:
        return None
    names = "vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads " \
            "max_position_embeddings rope_theta rms_norm_eps tie_word_embeddings"
    config = LlamaConfig(**{name: getattr(model.config, name) for name in names.split()})
    theirs = LlamaForCausalLM(config)
    theirs.load_state_dict(model.state_dict())
    return theirs.to(model.lm_head.weight).eval()  # its device and dtype


def one_step(model, theirs, batch, length, device):
    """name -> a function that computes the next token's logits for `batch` sequences of `length` tokens."""
    ids = torch.randint(0, model.config.vocab_size, (batch, length + 1), device=device)
    cache = KVCache(model.config, batch, length + 1, model.lm_head.weight.dtype, device)
    model(ids[:, :length], cache)

    def cached():
        cache.lengths[:] = length  # forget the last step's token
        model(ids[:, length:], cache)

    functions = {"uncached": lambda: model(ids, only_last=True), "cached": cached}
    if theirs is not None:
        past = theirs(ids[:, :length], use_cache=True).past_key_values

        def transformers():
            theirs(ids[:, length:], past_key_values=past, use_cache=True)
            past.crop(-1)  # forget it again

        functions["transformers"] = transformers
    return functions


def one_prompt(model, theirs, length, device):
    """name -> a function that reads a prompt of `length` tokens."""
    ids = torch.randint(0, model.config.vocab_size, (1, length), device=device)
    cache = KVCache(model.config, 1, length, model.lm_head.weight.dtype, device)

    def ours():
        cache.lengths[:] = 0
        model(ids, cache, only_last=True)

    functions = {"ours": ours}
    if theirs is not None:
        functions["transformers"] = lambda: theirs(ids, use_cache=True, logits_to_keep=1)
    return functions


def number(x):
    return f"{x:>12,.0f}" if x is not None else f"{'-':>12}"


def draw_speed(rows, path):
    """Milliseconds of one more token against the length, for one sequence."""
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "storyteller", "svg.fonttype": "none"})  # small, and always the same
    figure, axis = plt.subplots(figsize=(6, 3.4))
    for name, color in (("uncached", "#b5432a"), ("cached", "#2f6690")):
        axis.plot([length for length, _ in rows], [seconds[name] * 1000 for _, seconds in rows], "o-", color=color,
                  label={"uncached": "without a cache", "cached": "with a cache"}[name])  # fmt: skip
    axis.set(xlabel="tokens that are there already", ylabel="ms for one more", xlim=(0, None), ylim=(0, None))
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    print(f"wrote {path}")


@torch.inference_mode()
def main(argv=None):
    parser = argparse.ArgumentParser(description="Tokens/s with and without the cache, and the physical limit.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    parser.add_argument("--random", type=positive_int, metavar="DEPTH", help="random weights, so many layers")
    parser.add_argument("--repeats", type=positive_int, default=9, help="times each is measured (default 9)")
    parser.add_argument("--device", default="auto", help="cuda, mps or cpu (default: the first there is)")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32", help="default float32")
    parser.add_argument("--threads", type=positive_int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--plot", action="store_true", help=f"draw {FIGURE}")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    model, _, name = load_or_random(args.folder, args.random, device)
    model.to(getattr(torch, args.dtype))
    theirs = reference(model)
    lengths = [n for n in LENGTHS if n < model.config.max_position_embeddings]
    bandwidth, operations = measure_limits(bytes_read(model), model.lm_head.weight.dtype, device)
    print(f"{name}: {model.count_parameters():,} parameters, {args.dtype}, {device}, {args.threads} thread(s)")
    print(f"{bytes_read(model) / 1e6:.1f} MB of weights are read at {bandwidth / 1e9:.0f} GB/s; "
          f"products of matrices run at {operations / 1e9:.0f} GFLOP/s\n")

    print("one more token, tokens/s of all sequences together")
    print(f"{'sequences':>9}{'length':>8}{'uncached':>12}{'cached':>12}{'gain':>8}{'transformers':>14}{'limit':>12}")
    rows = []
    for batch in BATCHES:
        for length in lengths:
            seconds = interleaved(one_step(model, theirs, batch, length, device), args.repeats, device)
            rate = {key: batch / s for key, s in seconds.items()}
            limit = batch * bandwidth / bytes_read(model, batch, length)
            print(f"{batch:>9}{length:>8}{number(rate['uncached'])}{number(rate['cached'])}"
                  f"{rate['cached'] / rate['uncached']:>7.1f}x  {number(rate.get('transformers'))}{number(limit)}")
            if batch == 1:
                rows.append((length, seconds))

    print("\nthe prompt, tokens/s")
    print(f"{'sequences':>9}{'length':>8}{'ours':>12}{'transformers':>14}{'limit':>12}")
    multiplied = model.count_parameters() - model.model.embed_tokens.weight.numel()  # the table is looked up
    for length in lengths:
        seconds = interleaved(one_prompt(model, theirs, length, device), args.repeats, device)
        rate = {key: length / s for key, s in seconds.items()}
        print(f"{1:>9}{length:>8}{number(rate['ours'])}  {number(rate.get('transformers'))}"
              f"{number(operations / (2 * multiplied))}")
    if args.plot:
        draw_speed(rows, FIGURE)


if __name__ == "__main__":
    run(main)
