"""Trains a Storyteller on a folder of stories and writes it as a model folder.

What is new: the training loop of a real language model. Warm-up and decay of the learning rate,
clipped gradients, accumulation, bfloat16, evaluation in bits per byte, checkpoints, and a
resume that ends in the very weights that an unbroken run would have had.
Left out on purpose: several processes (chapter distributed); why the optimizers work (chapter
optimization: here AdamW and Muon are boxes from torch).

Shapes: B sequences, T tokens, V vocabulary, C width.

    python transformer/train.py                          two and a half minutes on two cores: the embedded stories
    python transformer/train.py --preset smoke           seconds: does everything work?
    python transformer/train.py --data out/datasets/tinystories --preset gpu --depth 12
    python transformer/train.py --preset gpt2-124m --tokenizer FILE       GPT-2 as gpt2_124m.md tells: hours on a GPU

It writes config.json, model.safetensors, tokenizer.json (the model) and training.safetensors
(what --resume needs) to --out, and appends its result to out/scoreboard.jsonl.

Papers: Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2017); Jordan et al.,
"Muon: An optimizer for hidden layers in neural networks" (2024); Hu et al., "MiniCPM" (2024), for
the constant learning rate with a decay at its end.
"""

import math
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from checkpoint import load_model, save_checkpoint
from cli import UserError, append_score, run
from data import bits_per_byte, story_corpus
from gpt2_124m import WANTS_TOKENIZER, build_gpt2, save_gpt2_folder
from hardware import choose_device
from model import Storyteller, from_depth
from plot import plot_curve
from presets import PRESETS, parse  # noqa: F401
from resume import load_training, save_training
from sample import tell
from stream import stream_corpus
from tokenizer import load_tokenizer

TABLE_RATE = 11.0


def learning_rate_at(step, steps, peak, warmup, decay):
    """The learning rate of a step: a linear rise over `warmup` steps, the peak, a linear fall to 0 over the last
    `decay` share of all steps."""
    rise = (step + 1) / max(1, warmup)
    fall = (steps - step) / max(1, round(steps * decay))
    return peak * min(1.0, rise, fall)


def make_optimizers(model, kind, weight_decay, steps):
    """AdamW for everything, or Muon for the matrices inside the blocks and AdamW for the rest.

    Weight decay pulls matrices toward zero; norms and, under Muon, the embedding are left alone. Beside Muon,
    AdamW takes steps TABLE_RATE times as large: a row of the table moves only where its token occurs. Muon's
    momentum remembers a 130th of all steps, at least 5 and at most 20: a short run has no time for a long memory.
    """
    inside = {name: ".layers." in f".{name}" or ".h." in name for name, _ in model.named_parameters()}  # a block
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and inside[name]]
    table = [p for name, p in model.named_parameters() if p.dim() == 2 and not inside[name]]
    norms = [p for p in model.parameters() if p.dim() < 2]
    if kind == "muon":
        adam = [{"params": table + norms, "weight_decay": 0.0, "rate": TABLE_RATE}]
        momentum = 1 - 1 / min(max(steps / 130, 5), 20)
        return [torch.optim.Muon(matrices, momentum=momentum, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
                torch.optim.AdamW(adam, betas=(0.8, 0.95), fused=True)]
    adam = [{"params": matrices + table, "weight_decay": weight_decay}, {"params": norms, "weight_decay": 0.0}]
    return [torch.optim.AdamW(adam, betas=(0.9, 0.95), fused=True)]


def train_step(model, optimizers, parts, lr, clip, dtype):
    """One step on `parts`, the pieces of one batch: (inputs (B, T), targets (B, T)) each. Returns the loss in nats.

    Each part's mean counts by its number of targets, so the sum of the gradients is that of the
    whole batch, however it was cut.
    """
    device = next(model.parameters()).device
    total = sum((targets != -1).sum().item() for _, targets in parts)
    loss_of_batch = 0.0
    for inputs, targets in parts:
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = model(inputs.to(device), targets.to(device))
        share = (targets != -1).sum().item() / total
        (loss * share).backward()
        loss_of_batch += loss.item() * share
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip or math.inf)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = lr * group.get("rate", 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss_of_batch


def choose_dtype(name, device):
    """bfloat16 where the hardware multiplies it faster than float32, float32 elsewhere."""
    if name == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported() or \
            device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
        return torch.bfloat16 if fast else torch.float32
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[name]


@contextmanager
def asked_to_stop():
    """A list that Ctrl-C and SIGTERM fill, in place of ending the program in the middle of a step."""
    stop = []
    before = {number: signal.signal(number, lambda *_: stop.append(True)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train(args, model, optimizers, batches, evaluate, save, start, history, stop):
    """The loop. Ends early, after a whole step and saved, where something is in `stop`; returns the steps done."""
    dtype, done = choose_dtype(args.dtype, next(model.parameters()).device), start
    bar = tqdm(range(start, args.steps), initial=start, total=args.steps, unit="step", smoothing=0.05, disable=None)
    mark, tokens, losses = time.perf_counter(), 0, []
    for step in bar:
        parts = next(batches)
        lr = learning_rate_at(step, args.steps, args.learning_rate, args.warmup, args.decay)
        losses.append(train_step(model, optimizers, parts, lr, args.clip, dtype))
        if not math.isfinite(losses[-1]):
            raise UserError(f"the loss at step {step} is {losses[-1]}; try a smaller --learning-rate than "
                            f"{args.learning_rate:.2g}; the last checkpoint is as it was")
        tokens += sum((targets != -1).sum().item() for _, targets in parts)
        done = step + 1
        bar.set_postfix_str(f"loss {losses[-1]:.3f}, {tokens / (time.perf_counter() - mark):,.0f} tokens/s")
        if done % args.eval_every == 0 or done == args.steps:
            seen, speed = sum(losses) / len(losses), tokens / (time.perf_counter() - mark)
            bpb, told = evaluate()
            history.append({"step": done, "loss": seen, "bpb": bpb, "lr": lr})
            bar.write(f"step {done:6}  loss {seen:.3f}  bpb {bpb:.4f}  lr {lr:.2e}  {speed:,.0f} tokens/s\n"
                      f"    {told!r}", file=sys.stdout)
            sys.stdout.flush()
            mark, tokens, losses = time.perf_counter(), 0, []
        if done % args.save_every == 0 or done == args.steps or stop:
            save(done)
        if stop:
            bar.close()
            break
    return done


def build(args, vocab_size):
    """The model that the flags ask for, with random weights or those of --init. Seeds torch, for the dropout."""
    torch.manual_seed(args.seed)
    config = replace(from_depth(args.depth, vocab_size, args.context), dropout=args.dropout)
    if args.layers:
        config.num_hidden_layers = args.layers
    model = Storyteller(config).initialize(args.seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight.zero_()  # each block begins by adding nothing, and learns what to add
    if args.init:
        known = load_model(args.init)
        if replace(known.config, max_position_embeddings=args.context, dropout=args.dropout) != config:
            raise UserError(f"--init {args.init}: its sizes are not those asked for here, {config}")
        model.load_state_dict(known.state_dict())
    return model


def main(argv=None):
    args = parse(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    try:
        Path(args.out).mkdir(parents=True, exist_ok=True)  # now, and not after an hour of training
    except OSError as error:
        raise UserError(f"--out {args.out}: {error.strerror}") from None
    gpt2 = args.preset == "gpt2-124m"  # another model, other data, another layout; all else is the same
    if args.tokenizer is None:
        raise UserError(WANTS_TOKENIZER)
    tokenizer = load_tokenizer(args.tokenizer)
    corpus = (stream_corpus if gpt2 else story_corpus)(args, tokenizer)
    print(corpus.told)

    model = (build_gpt2 if gpt2 else build)(args, tokenizer.n_vocab).to(device).train()
    config, optimizers = model.config, make_optimizers(model, args.optimizer, args.weight_decay, args.steps)
    print(f"built {model.count_parameters():,} parameters: {config.num_hidden_layers} layers, width {config.hidden_size}, "
          f"{config.num_attention_heads} heads; on {device} in {choose_dtype(args.dtype, device)}, "
          f"{torch.get_num_threads()} threads; {args.steps} steps of about {args.batch_size:,} tokens, "
          f"{corpus.passes:.1f} passes over the stories")

    resume_file, history, start = Path(args.out) / "training.safetensors", [], 0
    if args.resume:
        start, history = load_training(resume_file, args, corpus.identity, model, optimizers)
        print(f"going on after step {start}" if start else "no checkpoint yet: starting from the beginning")

    def sample(tokens):
        return tell(model, tokenizer, "Once upon a time", tokens, seed=args.seed)

    def evaluate(count=args.eval_stories):
        texts, encoded = corpus.valid
        step = max(1, len(texts) // count)  # evenly spread, so that every folder is in it
        return bits_per_byte(model, texts[::step], encoded[::step], dtype=choose_dtype(args.dtype, device)), sample(24)

    def save(step):
        save_training(resume_file, args, corpus.identity, model, optimizers, step, history)
        (save_gpt2_folder if gpt2 else save_checkpoint)(args.out, model, args.tokenizer)

    if start == 0:
        print(f"before training it says: {sample(12)!r}")
    began = time.perf_counter()
    with asked_to_stop() as stop:
        done = train(args, model, optimizers, corpus.batches(start), evaluate, save, start, history, stop)
    if start == args.steps:  # a run that was killed just before it had written the model
        (save_gpt2_folder if gpt2 else save_checkpoint)(args.out, model, args.tokenizer)
    if done < args.steps:
        print(f"stopped after step {done}, saved; go on with the same command and --resume")
        return
    print(f"trained in {time.perf_counter() - began:.0f} s; a story:\n\n{sample(200)}\n")
    if args.plot:
        plot_curve(history, args.plot)
    for folder in dict.fromkeys(args.data + args.score):
        bpb = bits_per_byte(model, *corpus.read_valid(folder))
        name = f"{'GPT-2' if gpt2 else 'Storyteller'}, {model.count_parameters() / 1e6:.1f}M"
        append_score("transformer", name, folder, bpb)
        print(f"{bpb:.4f} bits per byte on {folder}/valid.txt")
    print(f"the model is in {args.out}")


if __name__ == "__main__":
    run(main)
