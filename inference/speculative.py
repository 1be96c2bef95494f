"""Speculative decoding: a cheap draft guesses some tokens, the model checks them all in one pass, and nothing changes.

New since the last chapter: the whole of it. A pass over five tokens takes little longer than a pass over one,
because the weights are read once for all. So a draft (draft.py) proposes k tokens, the model says in one pass
how probable each of them is, and a rule keeps some of them in such a way that the text has exactly the
distribution that the model alone would give it. Left out on purpose: trees of guesses, several texts at once.
Shapes: V tokens, k proposals.

    python inference/speculative.py                 the rule by hand, then every draft with the shipped model; half a minute
    python inference/speculative.py --draft lookup --k 2 4 8
    python inference/speculative.py --plot          also draws inference/figures/speculative.svg

The first run trains a small model to draft with, which takes a minute more, and keeps it in out/inference/draft.

Papers: Leviathan, Kalman and Matias, "Fast Inference from Transformers via Speculative Decoding" (2022); Chen et al.,
"Accelerating Large Language Model Decoding with Speculative Sampling" (2023).
"""

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from checkpoint import load_or_random
from cli import UserError, non_negative_float, non_negative_int, positive_int, probability, run
from draft import FOLDER, KINDS, STEPS, make_draft
from generate import MODEL, Engine, Sequence, generate, prompt_ids
from kv_cache import KVCache
from rng import PCG32
from sampling import SamplingParams, candidates, penalize

FIGURE = "inference/figures/speculative.svg"


def distribution(logits, params, history=()):
    """What `sample_token` draws from, as a row with a place for every token: (V,) float64, sum 1.

    Temperature 0 is all on one token. Raises ValueError where the logits are not finite.
    """
    if not np.isfinite(logits.max()):
        raise ValueError("the logits are not finite; the model's weights are damaged or its training diverged")
    row = np.zeros(len(logits))
    if params.temperature == 0:
        if params.repetition_penalty != 1 and len(history):
            logits = penalize(logits, history, params.repetition_penalty)
        row[logits.argmax()] = 1
    else:
        ids, probabilities = candidates(logits, params, history)
        row[ids] = probabilities
    return row


def draw(row, rng):
    """A token from a distribution (V,); one number is drawn."""
    cumulative = np.cumsum(row)
    return int(np.searchsorted(cumulative, rng.uniform() * cumulative[-1], side="right"))


def acceptance(p, q, token):
    """How probable it is that a proposed token stays: min(1, p / q). It was drawn from q, so q[token] > 0."""
    return min(1.0, p[token] / q[token])


def residual(p, q):
    """Where a token comes from when the proposal was refused: max(0, p - q), scaled to sum 1. (V,)

    What q proposes less often than p wants is what is still owed.
    """
    owed = np.maximum(p - q, 0)
    total = owed.sum()
    return owed / total if total > 0 else p  # p = q up to rounding: nothing is owed, and nothing was refused


def keep_or_replace(token, p, q, rng):
    """The rule. A token drawn from q becomes one whose distribution is p: (token, whether it was the proposed one)."""
    if rng.uniform() < acceptance(p, q, token):
        return token, True
    return draw(residual(p, q), rng), False


def propose(draft, ids, history, params, rng, k, ends):
    """Up to k tokens that the draft draws one after another, and the distribution (V,) that each came from.

    The filters of `params` apply to the draft as to the model: it should not propose what cannot be kept.
    """
    tokens, rows = [], []
    while len(tokens) < k and not (tokens and tokens[-1] in ends):
        logits = draft.logits(ids + tokens)
        if logits is None:  # it has no idea
            break
        rows.append(distribution(logits, params, history + tokens))
        tokens.append(draw(rows[-1], rng))
    return tokens, rows


@dataclass
class Counts:
    """What happened: passes of the model, tokens proposed, proposals judged, proposals kept, tokens written."""

    passes: int = 0
    proposed: int = 0
    judged: int = 0  # those behind the first refusal are never looked at
    accepted: int = 0
    tokens: int = 0

    @property
    def rate(self):
        """The share of the judged proposals that were kept."""
        return self.accepted / max(1, self.judged)

    @property
    def per_pass(self):
        """Tokens written in one pass of the model; 1 without a draft."""
        return self.tokens / max(1, self.passes)


@torch.inference_mode()
def speculate(model, draft, ids, params, k, rng, room, ends=frozenset(), counts=None):
    """Continues `ids`: yields the list of new tokens of each pass, 1 to k + 1 of them, until an end mark or `room`.

    The new tokens have the distribution of sample_token's, token by token, whatever the draft proposes.
    """
    ids, counts = list(ids), counts or Counts()
    history = [i for i in ids if i not in ends]
    weight = next(model.parameters())
    cache = KVCache(model.config, 1, len(ids) + room - 1, weight.dtype, weight.device)
    while room > 0:
        proposed, q = propose(draft, ids, history, params, rng, min(k, room - 1), ends)
        unseen = ids[int(cache.lengths[0]) :] + proposed  # at first the whole prompt, later one token and the guesses
        logits = model(torch.tensor([unseen], device=weight.device), cache)[0, -len(proposed) - 1 :]
        logits = logits.float().cpu().numpy()[:, : draft.V]  # (k + 1, V): what may follow each of them
        new, kept = [], True
        for row, token, q_row in zip(logits, proposed, q):
            p_row = distribution(row, params, history + new)
            token, kept = keep_or_replace(token, p_row, q_row, rng)
            new.append(token)
            counts.judged += 1
            counts.accepted += kept
            if not kept or token in ends:
                break
        if kept and not (new and new[-1] in ends):  # all were right: the last row gives one more for nothing
            new.append(draw(distribution(logits[-1], params, history + new), rng))
        ids, history, room = ids + new, history + new, room - len(new)
        cache.lengths[0] = len(ids) - 1  # rolled back: what the refused tokens left behind is never seen
        counts.passes, counts.proposed = counts.passes + 1, counts.proposed + len(proposed)
        counts.tokens += len(new)
        yield new
        if new[-1] in ends:
            return


def tell_drafted(model, tokenizer, draft, prompt, params, k, counts=None):
    """Continues one prompt as `generate` does, stop strings and all: an iterator over pieces of text."""
    params.check()
    ids, context = prompt_ids(tokenizer, prompt), model.config.max_position_embeddings
    if len(ids) > context:
        raise ValueError(f"the prompt has {len(ids)} tokens, the context holds {context}; shorten it")
    sequence = Sequence(ids, params, tokenizer)
    room = min(params.max_tokens, context + 1 - len(ids))
    for tokens in speculate(model, draft, ids, params, k, sequence.rng, room, sequence.ends, counts):
        for token in tokens:
            piece = sequence.accept(token, full=len(sequence.ids) >= context)
            if piece:
                yield piece
            if sequence.finish_reason:
                return


def show_rule():
    """The rule on four tokens: what is kept, what is owed, and that the sum is the model's own distribution."""
    p, q = np.array([0.5, 0.3, 0.2, 0.0]), np.array([0.2, 0.6, 0.1, 0.1])
    print("four tokens; the draft draws from q, the text shall come from p")
    kept = np.array([q[x] * acceptance(p, q, x) for x in range(4)])  # drawn and kept
    owed = residual(p, q)
    total = kept + (1 - kept.sum()) * owed
    for name, row in (("p", p), ("q", q), ("drawn and kept", kept), ("if refused", owed), ("together", total)):
        print(f"  {name:16}" + "".join(f"{x:8.3f}" for x in row) + f"   sum {row.sum():.3f}")
    assert np.allclose(total, p), "the rule changed the distribution"
    rng, counts = PCG32(1), np.zeros(4)
    for _ in range(10_000):
        counts[keep_or_replace(draw(q, rng), p, q, rng)[0]] += 1
    print("  10,000 draws    " + "".join(f"{x:8.3f}" for x in counts / 10_000) + "\n")
    assert np.abs(counts / 10_000 - p).max() < 0.02


PROMPTS = ("Once upon a time", "One day, a little girl named Lily", "The dog was very", "There was a small house by the sea",
           "Tim and his friend Sam", "It was a rainy day", "The old bear", "In the forest lived a fox")  # fmt: skip


def drafted(model, tokenizer, draft, params, k, stories):
    """Counts over some stories, and the seconds of processor time they took."""
    counts, began = Counts(), time.process_time()
    for i in range(stories):
        prompt, own = PROMPTS[i % len(PROMPTS)], replace(params, seed=params.seed + i)
        for _ in tell_drafted(model, tokenizer, draft, prompt, own, k, counts):
            pass
    return counts, time.process_time() - began


def plain(model, tokenizer, params, stories):
    """Tokens and seconds of processor time of the engine without a draft, on the same prompts."""
    tokens, began = 0, time.process_time()
    for i in range(stories):
        engine = Engine(model, tokenizer, slots=1)
        sequence = engine.add(prompt_ids(tokenizer, PROMPTS[i % len(PROMPTS)]), replace(params, seed=params.seed + i))
        while engine.running or engine.waiting:
            engine.step()
        tokens += len(sequence.new_ids)
    return tokens, time.process_time() - began


@torch.inference_mode()
def pass_seconds(model, lengths, repeats=20):
    """The fastest of some passes over 1, 2, … new tokens that follow 100 others: {tokens: seconds}."""
    cache, fastest = KVCache(model.config, 1, model.config.max_position_embeddings), {}
    start = min(100, cache.max_length - max(lengths))
    for _ in range(repeats):
        for n in lengths:
            cache.lengths[0] = start
            began = time.process_time()
            model(torch.zeros(1, n, dtype=torch.int64), cache)
            fastest[n] = min(fastest.get(n, 1e9), time.process_time() - began)
    return fastest


def compare_drafts(model, tokenizer, drafts, params, args):
    """Tells the same stories with each draft and each k, in turn with the engine alone; [(draft, k, Counts)]."""
    alone, rows = [], []
    print(f"{'draft':8}{'k':>3}{'kept':>8}{'tokens a pass':>15}{'ms a token':>12}{'without':>10}{'gain':>7}")
    for kind, draft in drafts.items():
        for k in args.k:
            counts, seconds = drafted(model, tokenizer, draft, params, k, args.stories)
            tokens, unaided = plain(model, tokenizer, params, args.stories)
            alone.append(unaided / tokens)
            rows.append((kind, k, counts))
            each = seconds / counts.tokens
            print(f"{kind:8}{k:>3}{counts.rate:>8.0%}{counts.per_pass:>15.2f}{each * 1000:>12.2f}{alone[-1] * 1000:>10.2f}"
                  f"{alone[-1] / each:>6.2f}x", flush=True)
            assert 1 <= counts.per_pass <= k + 1
    return rows


def what_if(rows, costs=(0.0, 0.05, 0.1, 0.2, 0.3)):
    """The gain from what was measured, if a pass over k + 1 tokens cost as much as one over a single token.

    That is so where reading the weights is all the cost: a large model on a GPU. A guess costs `cost` passes.
    """
    print("\nthe gain where a pass costs the same for k + 1 tokens as for one, if a guess costs … of a pass")
    print(f"{'draft':8}{'k':>3}" + "".join(f"{cost:>8.0%}" for cost in costs))
    for kind, k, counts in rows:
        guesses = counts.proposed / counts.passes
        print(f"{kind:8}{k:>3}" + "".join(f"{counts.per_pass / (1 + guesses * cost):>7.2f}x" for cost in costs))


def draw_gain(rows, path):
    """Tokens a pass against k, a line for each draft, and the most there can be."""
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "storyteller", "svg.fonttype": "none"})  # small, and always the same
    figure, axis = plt.subplots(figsize=(6, 3.6))
    ks = sorted({k for _, k, _ in rows})
    axis.plot(ks, [k + 1 for k in ks], color="#999999", linestyle=":", label="all kept: k + 1")
    names = {"rounded": "the model in 4 bits", "counts": "counts of the stories", "model": "a model of one layer",
             "lookup": "the text so far"}  # fmt: skip
    for (kind, name), color in zip(names.items(), ("#2f6690", "#c8553d", "#5b8e55", "#8d6a9f")):
        points = [(k, counts.per_pass) for there, k, counts in rows if there == kind]
        if points:
            axis.plot(*zip(*points), color=color, marker="o", label=name)
    axis.axhline(1, color="#999999", linewidth=0.8)
    axis.set(xlabel="proposals in a pass, k", ylabel="tokens written in a pass", xticks=ks,
             ylim=(0.8, 1.15 * max(counts.per_pass for _, _, counts in rows) + 0.2))  # fmt: skip
    axis.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    print(f"wrote {path}")


def command_line():
    """The command line."""
    default = SamplingParams()
    parser = argparse.ArgumentParser(description="Speculative decoding: the same distribution in fewer passes.")
    add = parser.add_argument
    add("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    add("--random", type=positive_int, metavar="DEPTH", help="random weights, so many layers")
    add("--draft", choices=KINDS, nargs="+", default=KINDS, help="which drafts (default all)")
    add("--k", type=positive_int, nargs="+", default=[1, 2, 4, 8], help="proposals in a pass (default 1 2 4 8)")
    add("--stories", type=positive_int, default=3, help="how many to tell with each (default %(default)s)")
    add("--tokens", type=positive_int, default=80, help="most tokens in a story (default %(default)s)")
    add("--temperature", type=non_negative_float, default=default.temperature, help="default %(default)s")
    add("--top-p", type=probability, default=default.top_p, help="default %(default)s")
    add("--seed", type=non_negative_int, default=1, help="of the first story (default %(default)s)")
    add("--steps", type=positive_int, default=STEPS, help="to train the small model, once (default %(default)s)")
    add("--drafts", default=FOLDER, help="where the small model is kept (default %(default)s)")
    add("--threads", type=positive_int, default=1, help="CPU threads (default 1)")
    add("--plot", action="store_true", help=f"draw {FIGURE}")
    return parser


def main(argv=None):
    args = command_line().parse_args(argv)
    torch.set_num_threads(args.threads)
    show_rule()
    model, tokenizer, name = load_or_random(args.folder, args.random)
    params = SamplingParams(temperature=args.temperature, top_p=args.top_p, max_tokens=args.tokens, seed=args.seed)
    V = min(model.config.vocab_size, tokenizer.vocab_size)
    try:
        params.check()
        drafts = {kind: make_draft(kind, model, tokenizer, V, args.steps, args.drafts) for kind in args.draft}
        seconds = pass_seconds(model, [1, *(k + 1 for k in args.k)])
        print(f"{name}: {model.count_parameters():,} parameters, {args.threads} thread(s); a pass over " + ", ".join(
            f"{n} in {s * 1000:.2f} ms" for n, s in sorted(seconds.items())) + "\n")
        greedy = replace(params, temperature=0.0, max_tokens=min(args.tokens, 40))
        alone = "".join(generate(model, tokenizer, PROMPTS[0], greedy))
        for draft in drafts.values():
            told = "".join(tell_drafted(model, tokenizer, draft, PROMPTS[0], greedy, max(args.k)))
            assert told == alone, "without chance, the draft changed the text"
        rows = compare_drafts(model, tokenizer, drafts, params, args)
    except ValueError as error:
        raise UserError(error) from None
    what_if(rows)
    if args.plot:
        draw_gain(rows, FIGURE)


if __name__ == "__main__":
    run(main)
