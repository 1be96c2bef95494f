"""Mixture of experts in the Storyteller, trained beside dense models: what balancing does, what experts bring and cost.

New since train.py: five models trained on the same batches (dense with the parameters that a token uses, experts with
no balancing, with the loss, with the bias, dense with all parameters), and a look at who the experts have become.
Left out on purpose: experts spread over machines, which is why balance matters so much (chapter distributed).
Shapes: N tokens, C width, E experts, k of them a token, L layers.

    python transformer/moe.py                 a minute and a quarter on two cores: 100 small steps each
    python transformer/moe.py --plot          also draws transformer/figures/experts_load.svg and experts_who.svg
    python transformer/moe.py --steps 400     the longer run of the lesson: six minutes of one core

Writes the balanced model to --out as a Mixtral folder, and with all of valid.txt
scored (--eval-stories 1000) appends its number to out/scoreboard.jsonl.

Papers: those of experts.py and mixtral.py.
"""

import argparse
import os
import time
from dataclasses import dataclass

import torch
from tqdm import tqdm

from cli import append_score, non_negative_float, non_negative_int, positive_int, run
from data import batch_plan, bits_per_byte, encode_stories, make_batch
from experts import loads
from mixtral import Mixture, MixtureConfig, count_by_formula, flops_a_token, save_mixtral
from model import Config, Storyteller
from specialists import draw_loads, draw_specialists, show_specialists
from stories import load_split
from tokenizer import load_tokenizer
from train import choose_dtype, learning_rate_at, make_optimizers, train_step

KINDS = ["dense, a token's", "experts alone", "experts, loss", "experts, bias", "dense, all"]
CONTEXT, FULL_STEPS = 512, 100
CLAIMED = ("data", "layers", "width", "experts", "top_k", "balance", "bias_rate", "z_loss", "capacity",
           "shared")  # the flags that check_experts speaks of
FIGURES = "transformer/figures/experts_load.svg", "transformer/figures/experts_who.svg"


@dataclass
class Trained:
    """What a training leaves: the model, loads (steps, L, E) or None, bits per byte, milliseconds a step."""

    model: Storyteller
    loads: torch.Tensor | None
    bpb: float
    ms: float


def config_of(kind, args, vocab_size):
    """The sizes of one of KINDS. A dense MLP has the width of k experts, or of all E."""
    heads = max(1, args.width // 64)
    sizes = {"vocab_size": vocab_size, "hidden_size": args.width, "num_hidden_layers": args.layers,
             "num_attention_heads": heads, "num_key_value_heads": heads, "max_position_embeddings": CONTEXT}
    an_expert = 3 * args.width // args.top_k  # a token's experts together are as wide as a dense MLP of 3 C
    if kind.startswith("dense"):
        wide = args.experts if kind == "dense, all" else args.top_k
        return Config(**sizes, intermediate_size=wide * an_expert)
    return MixtureConfig(**sizes, intermediate_size=an_expert, num_local_experts=args.experts,
                         num_experts_per_tok=args.top_k, capacity_factor=args.capacity, shared_size=args.shared,
                         router_aux_loss_coef=args.balance if kind == "experts, loss" else 0.0,
                         router_z_loss_coef=args.z_loss,
                         bias_rate=args.bias_rate if kind == "experts, bias" else 0.0)


def build_kind(kind, args, vocab_size):
    """The model of a kind with its first weights: as in train.py, blocks begin by adding nothing."""
    config = config_of(kind, args, vocab_size)
    model = (Storyteller if kind.startswith("dense") else Mixture)(config).initialize(args.seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight.zero_()
    return model


def train_experts(kind, args, stories, vocab_size):
    """Trains a kind on the batches that all kinds get. Returns model, loads (steps, L, E) or None, ms a step."""
    model = build_kind(kind, args, vocab_size).train()
    optimizers = make_optimizers(model, "muon", 0.1, args.steps)
    plan, dtype = batch_plan(stories, CONTEXT, args.batch_size, args.seed), choose_dtype("auto", torch.device("cpu"))
    peak, history, started = 4.8e-3 * (256 / args.width) ** 0.5, [], time.perf_counter()
    bar = tqdm(range(args.steps), desc=kind, unit="step", leave=False, disable=None)
    for step in bar:
        lr = learning_rate_at(step, args.steps, peak, min(50, args.steps // 10), 0.6)
        loss = train_step(model, optimizers, [make_batch(stories, next(plan), CONTEXT)], lr, 1.0, dtype)
        bar.set_postfix_str(f"loss {loss:.3f}")
        if isinstance(model, Mixture):
            for router in model.routers():
                if router.bias is not None:
                    router.move_bias(args.bias_rate)
            history.append(torch.stack([loads(router.chosen, args.experts) for router in model.routers()]))
    ms = 1000 * (time.perf_counter() - started) / args.steps
    return model, torch.stack(history) if history else None, ms


def late_load(trained):
    """The mean load (L, E) over the last fifth of the steps; 1 is an even share."""
    return trained.loads[-max(1, len(trained.loads) // 5):].mean(0) * trained.loads.shape[-1]


def show_loads(results, steps):
    """For each way to balance: the shares of the last layer's experts, over training."""
    marks = sorted({0, steps // 10, steps // 4, steps // 2, steps - 1})
    E = next(r.loads for r in results.values() if r.loads is not None).shape[-1]
    print(f"\nload of the last layer's experts, in per cent of the choices (even: {100 / E:.1f})")
    for kind, trained in results.items():
        if trained.loads is not None:
            for step in marks:
                near = trained.loads[max(0, step - 2): step + 3, -1].mean(0)  # five batches: less noise
                print(f"    {kind:16} step {step + 1:5}  " + " ".join(f"{100 * share:5.1f}" for share in near.tolist()))


HEADER = "\n                  parameters     a token's   MFLOPs a token   bpb   ms a step   busiest, idlest expert"


def show_result(kind, trained):
    """One line of the table: parameters, arithmetic, bits per byte, time, and the extremes of the late load."""
    config = trained.model.config
    every, active = count_by_formula(config)
    assert every == trained.model.count_parameters()
    line = (f"{kind:16}{every:12,}{active:14,}{flops_a_token(config, CONTEXT // 2) / 1e6:12.2f}"
            f"{trained.bpb:13.4f}{trained.ms:8.0f}")
    if trained.loads is not None:
        late = late_load(trained)
        line += f"{late.max():16.2f}, {late.min():.2f}"
    print(line, flush=True)


def check_experts(results, found):
    """What the lesson says, with margins that another seed keeps as well; only of full trainings with the usual sizes."""
    spread = {kind: late_load(trained).std().item() for kind, trained in results.items() if trained.loads is not None}
    assert spread["experts, loss"] < 0.5 * spread["experts alone"], f"the loss should even out the load: {spread}"
    assert spread["experts, bias"] < 0.5 * spread["experts alone"], f"the bias should even out the load: {spread}"
    for trained in results.values():
        assert abs(trained.bpb - results["dense, a token's"].bpb) < 0.15, "all five should be of one class"
    for layer in found:
        assert layer.bits > 2 * layer.shuffled, "experts should not choose tokens by chance"
    assert found[-1].of_classes > 1.5 * found[-1].before[1], "training should teach the last layer kinds of tokens"


def parse(argv):
    parser = argparse.ArgumentParser(description="Trains a Storyteller with experts beside dense ones.")
    add = parser.add_argument
    add("--data", default="datasets/stories", help="folder with train.txt and valid.txt (default datasets/stories)")
    add("--out", default="out/moe", help="where the model balanced by the loss is written (default out/moe)")
    add("--steps", type=positive_int, default=FULL_STEPS, help=f"of each model (default {FULL_STEPS})")
    add("--batch-size", type=positive_int, default=1024, help="tokens in one step (default 1024)")
    add("--layers", type=positive_int, default=2, help="blocks (default 2)")
    add("--width", type=positive_int, default=128, help="of the stream, 64 for each head (default 128)")
    add("--experts", type=positive_int, default=8, help="in each block (default 8)")
    add("--top-k", type=positive_int, default=2, help="experts that compute a token (default 2)")
    add("--balance", type=non_negative_float, default=0.1, help="how much the balancing loss counts (default 0.1)")
    add("--bias-rate", type=non_negative_float, default=0.01, help="how far a bias moves in a step (default 0.01)")
    add("--z-loss", type=non_negative_float, default=0.0, help="how much the router's z-loss counts (default 0)")
    add("--capacity", type=non_negative_float, help="room an expert has in training, in even shares (default: for all)")
    add("--shared", type=non_negative_int, default=0, help="width of one more expert for all tokens (default 0: none)")
    add("--seed", type=non_negative_int, default=0, help="decides weights and batches (default 0)")
    add("--threads", type=positive_int, default=os.cpu_count(), help="for torch (default: all cores)")
    add("--eval-stories", type=positive_int, default=100, help="stories of valid.txt that are scored (default 100)")
    add("--plot", action="store_true", help=f"draw {' and '.join(FIGURES)}")
    args = parser.parse_args(argv)
    if args.top_k > args.experts:
        parser.error(f"--top-k {args.top_k} is more than the {args.experts} experts")
    if args.width % 64:
        parser.error(f"--width {args.width} is not a multiple of 64")
    if args.bias_rate == 0:
        parser.error("--bias-rate must be above 0")
    return args


def main(argv=None):
    args = parse(argv)
    torch.set_num_threads(args.threads)
    tokenizer = load_tokenizer("tokenization/tokenizer.json")
    train, valid = load_split(args.data, "train"), load_split(args.data, "valid")
    every, valid = len(valid), valid[::max(1, len(valid) // args.eval_stories)]
    stories, scored = encode_stories(train, tokenizer), encode_stories(valid, tokenizer)
    print(f"{len(stories):,} stories; {args.steps} steps of about {args.batch_size:,} tokens for each model, "
          f"{args.threads} threads, {choose_dtype('auto', torch.device('cpu'))}", flush=True)
    results = {}
    print(HEADER, flush=True)
    for kind in KINDS:
        model, history, ms = train_experts(kind, args, stories, tokenizer.n_vocab)
        results[kind] = Trained(model, history, bits_per_byte(model, valid, scored), ms)
        show_result(kind, results[kind])
    show_loads(results, args.steps)
    untrained = build_kind("experts, loss", args, tokenizer.n_vocab)
    found = show_specialists(results["experts, loss"].model, untrained, scored, tokenizer, args.seed)
    usual = parse([])
    if args.steps >= FULL_STEPS and all(getattr(args, name) == getattr(usual, name) for name in CLAIMED):
        check_experts(results, found)
    best = results["experts, loss"]
    if len(valid) == every:
        name = f"{args.experts} experts, {best.model.count_parameters() / 1e6:.1f}M"
        append_score("transformer", name, args.data, best.bpb)
    if not args.shared:
        save_mixtral(args.out, best.model, "tokenization/tokenizer.json")
        print(f"the model balanced by the loss is in {args.out}")
    if args.plot:
        draw_loads({kind: r.loads for kind, r in results.items() if r.loads is not None}, FIGURES[0])
        draw_specialists(found, FIGURES[1])
        print(f"drawn in {' and '.join(FIGURES)}")


if __name__ == "__main__":
    run(main)
