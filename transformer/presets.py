"""The flags of train.py, and the sizes that its presets stand for."""

import argparse

import torch

from cli import non_negative_float, non_negative_int, positive_int, probability
from model import Storyteller, from_depth

PRESETS = {  # what --preset sets; each can still be set by hand, and the steps follow the depth
    "smoke": {"depth": 2, "steps": 20, "batch_size": 1024, "context": 128, "eval_stories": 20},
    "cpu": {"depth": 3, "steps": 650, "batch_size": 2048, "context": 512, "eval_stories": 100},
    "gpu": {"depth": 12, "steps": 20000, "batch_size": 131072, "context": 512, "eval_stories": 4000},
    # GPT-2 of 124 million parameters on 10 billion tokens, as gpt2_124m.md tells
    "gpt2-124m": {"depth": 12, "steps": 19073, "batch_size": 524288, "context": 1024, "eval_stories": 500,
                  "accumulate": 32, "learning_rate": 6e-4, "optimizer": "adamw", "warmup": 715, "decay": 0.9625,
                  "eval_every": 250, "save_every": 500, "data": ["out/fineweb"], "out": "out/gpt2-124m"},
}
OTHERWISE = {  # where neither a flag nor the preset says anything
    "data": ["datasets/stories"], "out": "out/transformer", "accumulate": 1, "optimizer": "muon", "decay": 0.6,
    "eval_every": 150, "save_every": 150,
}  # fmt: skip


def steps_at(depth, batch_size, preset):
    """So many steps that each parameter sees as many tokens as in the preset, whose steps fit its own depth."""
    with torch.device("meta"):  # shapes only
        small, large = (Storyteller(from_depth(d)).count_parameters() for d in (preset["depth"], depth))
    return max(1, round(preset["steps"] * large / small * preset["batch_size"] / batch_size))


def parse(argv):
    parser = argparse.ArgumentParser(description="Trains a Storyteller (or a GPT-2) on a folder of stories.")
    add = parser.add_argument
    add("--data", nargs="+", metavar="FOLDER",
        help="folders with train.txt and valid.txt; several are mixed (default datasets/stories)")
    add("--score", nargs="+", default=[], metavar="FOLDER", help="more folders on whose valid.txt the end is scored")
    add("--out", help="where the model folder is written (default out/transformer)")
    add("--tokenizer", help="a tokenizer.json (default the course's own; gpt2-124m has none)")
    add("--preset", choices=PRESETS, default="cpu", help="sizes for a try, a laptop, a GPU, or GPT-2 (default cpu)")
    add("--depth", type=positive_int, help="the one dial: layers; width, heads, learning rate and steps follow")
    add("--layers", type=positive_int, help="layers, where they are not to be the depth")
    add("--steps", type=positive_int, help="training steps; the default grows with the model's parameters")
    add("--batch-size", type=positive_int, help="tokens in one step, over all its stories")
    add("--context", type=positive_int, help="the most tokens the model sees at once")
    add("--accumulate", type=positive_int, help="cut each batch into this many parts, for less memory (default 1)")
    add("--learning-rate", type=non_negative_float, help="the peak; the default follows from the width")
    add("--optimizer", choices=("muon", "adamw"), help="default muon")
    add("--weight-decay", type=non_negative_float, default=0.1, help="default 0.1")
    add("--warmup", type=non_negative_int, help="steps until the learning rate's peak (default 50, a tenth of a short run)")
    add("--decay", type=probability, help="the last share of the steps, in which it falls to 0 (default 0.6)")
    add("--clip", type=non_negative_float, default=1.0, help="the largest norm of a gradient; 0 is no limit (default 1)")
    add("--dropout", type=probability, default=0.0, help="share of numbers dropped in training (default 0)")
    add("--init", metavar="FOLDER", help="begin with this model folder's weights instead of random ones")
    add("--dtype", choices=("auto", "bfloat16", "float32"), default="auto", help="of the matrix products (default auto)")
    add("--device", default="auto", help="cuda, mps, cpu or auto (default auto)")
    add("--threads", type=positive_int, help="CPU threads (default all cores)")
    add("--seed", type=non_negative_int, default=0, help="decides weights, order and dropout (default 0)")
    add("--eval-stories", type=positive_int, help="stories of valid.txt used along the way; the end uses all")
    add("--eval-every", type=positive_int, help="steps between evaluations (default 150)")
    add("--save-every", type=positive_int, help="steps between checkpoints (default 150)")
    add("--resume", action="store_true", help="go on from the last checkpoint in --out, exactly")
    add("--plot", metavar="FILE", help="draw the curve of the training as SVG or PNG")
    args = parser.parse_args(argv)
    preset, steps, warmup = PRESETS[args.preset], args.steps, args.warmup
    for name, value in (OTHERWISE | preset).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    if steps is None:
        args.steps = steps_at(args.depth, args.batch_size, preset)
    if warmup is None:
        args.warmup = min(preset.get("warmup", 50), args.steps // 10)
    if args.tokenizer is None and args.preset != "gpt2-124m":
        args.tokenizer = "tokenization/tokenizer.json"
    if args.context < 16:
        parser.error("--context must be at least 16 tokens")
    if args.plot and not args.plot.endswith((".svg", ".png")):
        parser.error("--plot takes a file that ends in .svg or .png")
    if args.learning_rate is None:  # wider layers want smaller steps
        args.learning_rate = 4.8e-3 * (256 / from_depth(args.depth).hidden_size) ** 0.5
    return args
