"""Drafts: four ways to guess what a large model will say next, for speculative.py to check.

New since the last chapter: the whole of it. A draft is anything with `logits(ids)`: what it thinks may follow. The first
looks whether the last words stood in the text before and guesses that they go on in the same way; it needs no
model at all. The second has counted the course's stories. The third is a Storyteller of a single layer, a tenth
of the size, trained here within a minute. The fourth is the large model itself with its weights rounded to 4 bits. A
bad draft costs time and never changes what is said. Left out on purpose: drafts that read the large model's own
state (Medusa, EAGLE).
Shapes: V tokens, N tokens of stories.

    python inference/draft.py                how far each draft agrees with the shipped model; a minute, two the first time
    python inference/draft.py --own 120      what it helps to count the model's own stories; half a minute more

It writes the small model to out/inference/draft, as a model folder.

Papers: Saxena, "Prompt Lookup Decoding" (2023); Witten and Bell, "The Zero-Frequency Problem" (1991), for the mixing
of counts; Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015).
"""

import argparse
import copy
import json
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from tqdm import tqdm

from atomic import write_atomic
from checkpoint import load_model, load_or_random
from cli import UserError, non_negative_int, positive_int, run
from generate import MODEL, Engine, prompt_ids
from kv_cache import KVCache
from model import Storyteller, from_depth
from sampling import SamplingParams
from stories import load_split
from tokenizer import Tokenizer

FOLDER, DATA = "out/inference/draft", "datasets/stories"
END = "<|endoftext|>"
ROW = 320  # tokens of a training row: most stories are shorter
BITS = 16  # of a token in a packed n-gram
KINDS = "lookup", "counts", "model", "rounded"
STEPS = 200
TABLE_RATE = 11.0  # a row of the table moves only where its token occurs


class LookupDraft:
    """What followed the last few tokens when they stood in this very text before (prompt lookup)."""

    def __init__(self, V, longest=3, shortest=2):
        self.V, self.sizes = V, range(longest, shortest - 1, -1)

    def logits(self, ids):
        """(V,) float32, all on one token; None where the end of `ids` is new."""
        for n in self.sizes:
            last = ids[-n:]
            for start in range(len(ids) - n - 1, -1, -1):  # the latest first
                if ids[start : start + n] == last:
                    row = np.full(self.V, -np.inf, dtype=np.float32)
                    row[ids[start + n]] = 0
                    return row
        return None


class CountDraft:
    """Counts of what followed up to three tokens in the course's stories, long contexts mixed with short ones.

    An n-gram is packed into one number, its last token in the lowest bits, and the numbers are sorted: then all
    that ever followed a context lies together, and is found by two binary searches.
    """

    def __init__(self, stream, V, longest=3):
        """stream: (N,) tokens, an end mark before and behind every story."""
        self.V, stream = V, np.asarray(stream, dtype=np.uint64)
        self.packed = []  # for each context's length n, sorted: n + 1 tokens in one number
        for n in range(longest + 1):
            grams = np.zeros(len(stream) - n, dtype=np.uint64)
            for i in range(n + 1):
                grams = grams << np.uint64(BITS) | stream[i : len(stream) - n + i]
            self.packed.append(np.sort(grams))
        self.alone = np.bincount(stream.astype(np.int64), minlength=V)[:V] + 1.0  # one more, so that none is impossible
        self.alone /= self.alone.sum()

    def logits(self, ids):
        """(V,) float32, log probabilities."""
        p = self.alone
        for n in range(1, len(self.packed)):
            if n > len(ids):
                break
            context = 0
            for token in ids[-n:]:
                context = context << BITS | token
            borders = np.array([context << BITS, (context + 1) << BITS], dtype=np.uint64)
            low, high = np.searchsorted(self.packed[n], borders)
            if low == high:
                break  # never seen, and so no longer context was
            following = (self.packed[n][low:high] & np.uint64((1 << BITS) - 1)).astype(np.int64)
            counts = np.bincount(following, minlength=self.V)
            kinds = np.count_nonzero(counts)  # Witten and Bell: many kinds of followers, much is still unknown
            p = (counts + kinds * p) / (high - low + kinds)
        return np.log(p).astype(np.float32)


class ModelDraft:
    """A small model with a cache of its own, which is rolled back to where the text still agrees."""

    def __init__(self, model, V):
        self.model, self.V, self.seen = model.eval(), V, []
        self.cache = KVCache(model.config, 1, model.config.max_position_embeddings)

    @torch.inference_mode()
    def logits(self, ids):
        """(V,) float32; None where the text is longer than its context."""
        if len(ids) > self.cache.max_length:
            return None
        same = 0
        while same < min(len(self.seen), len(ids) - 1) and self.seen[same] == ids[same]:
            same += 1
        self.cache.lengths[0] = same
        self.seen = list(ids)
        return self.model(torch.tensor([ids[same:]]), self.cache, only_last=True)[0, 0, : self.V].numpy()


def story_stream(tokenizer, folder=DATA, split="train"):
    """(N,) the tokens of all stories of a folder, an end mark before and behind each; and where each begins."""
    end, stream, starts = tokenizer.special[END], [], []
    for story in load_split(folder, split):
        starts.append(len(stream))
        stream += [end, *tokenizer.encode(story)]
    return np.array([*stream, end]), np.array(starts)


def train_draft(stream, starts, V, steps, rows=8, seed=0, rate=6.8e-3):
    """A Storyteller of one layer, trained on rows of ROW tokens that begin where stories begin; and its losses.

    Everything as in chapter transformer: Muon for the matrices of the layer, AdamW with larger steps for the table.
    """
    model = Storyteller(from_depth(1, V)).initialize(seed).train()
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and ".layers." in name]
    others = [p for name, p in model.named_parameters() if p.dim() < 2 or ".layers." not in name]
    muon = torch.optim.Muon(matrices, momentum=0.8, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(others, betas=(0.8, 0.95), weight_decay=0.0)
    random, losses = np.random.default_rng(seed), []
    bar = tqdm(range(steps), desc="draft", disable=None)
    for step in bar:
        first = np.minimum(random.choice(starts, rows), len(stream) - ROW - 1)
        batch = torch.from_numpy(stream[first[:, None] + np.arange(ROW + 1)])  # (rows, ROW + 1)
        with torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported()):
            loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        shape = min((step + 1) / max(1, steps // 10), 1.0, (steps - step) / (0.6 * steps))  # a rise, and a fall to 0
        for optimizer, scale in ((muon, 1.0), (adam, TABLE_RATE)):
            optimizer.param_groups[0]["lr"] = rate * shape * scale
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        bar.set_postfix_str(f"loss {losses[-1]:.3f}")
    return model.eval(), losses


# copied from: transformer/checkpoint.py::save_checkpoint
def save_checkpoint(folder, model, tokenizer_path):
    """Writes the model as a folder, each file atomically, the weights last.

    tokenizer_path: the tokenizer.json to put beside the weights; its special token
    `<|endoftext|>` begins and ends every text.
    """
    folder, config = Path(folder), model.config
    tokenizer_text = Path(tokenizer_path).read_text(encoding="utf-8")
    end = next(t["id"] for t in json.loads(tokenizer_text)["added_tokens"] if t["content"] == END)
    write_atomic(folder / "config.json", json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama",
        **{f.name: getattr(config, f.name) for f in fields(config) if f.name != "dropout"},
        "head_dim": config.head_dim, "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
        "bos_token_id": end, "eos_token_id": end, "torch_dtype": str(next(model.parameters()).dtype).split(".")[1],
    }, indent=2) + "\n")
    write_atomic(folder / "tokenizer.json", tokenizer_text)
    write_atomic(folder / "tokenizer_config.json", json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END,
        "model_max_length": config.max_position_embeddings, "clean_up_tokenization_spaces": False}, indent=2) + "\n")
    write_atomic(folder / "generation_config.json", json.dumps({
        "bos_token_id": end, "eos_token_id": end, "do_sample": False}, indent=2) + "\n")
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        del weights["lm_head.weight"]  # the same numbers as the embedding table: stored once
    write_atomic(folder / "model.safetensors", save(weights, metadata={"format": "pt"}))


def stories_to_count(tokenizer):
    """The stream of the embedded stories, for tokens that fit the packing."""
    if tokenizer.vocab_size > 1 << BITS:
        raise UserError(f"the tokenizer has {tokenizer.vocab_size:,} tokens, counting takes at most {1 << BITS:,}")
    return story_stream(tokenizer)


def small_model(folder, tokenizer, steps):
    """The model in `folder`, or, where there is none or it has other tokens, a new one, trained and saved there."""
    folder = Path(folder)
    if (folder / "model.safetensors").exists() and Tokenizer.load(folder / "tokenizer.json").tokens == tokenizer.tokens:
        return load_model(folder)
    stream, starts = stories_to_count(tokenizer)
    began = time.perf_counter()
    model, losses = train_draft(stream, starts, tokenizer.vocab_size, steps)
    tokenizer.save(folder / "tokenizer.json")
    save_checkpoint(folder, model, folder / "tokenizer.json")
    print(f"trained a draft of {model.count_parameters():,} parameters in {time.perf_counter() - began:.0f} s: loss "
          f"{np.mean(losses[:10]):.2f} at first, {np.mean(losses[-10:]):.2f} at the end; it is in {folder}\n")
    return model


def rounded_copy(model, bits=4, group=32):
    """The model with every matrix rounded: each `group` numbers of a row are multiples of a scale, 15 different ones.

    It is what chapter quantization begins with. Here the numbers stay float32, so that it is no faster.
    """
    model, most = copy.deepcopy(model), 2 ** (bits - 1) - 1
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2 and weight.shape[1] % group == 0:
                groups = weight.view(-1, group)
                scale = groups.abs().amax(1, keepdim=True).clamp(min=1e-12) / most
                groups.copy_((groups / scale).round() * scale)
    return model


def make_draft(kind, model, tokenizer, V, steps=STEPS, folder=FOLDER):
    """A draft by its name, for a model."""
    if kind == "lookup":
        return LookupDraft(V)
    if kind == "counts":
        return CountDraft(stories_to_count(tokenizer)[0], V)
    if kind == "rounded":
        return ModelDraft(rounded_copy(model), V)
    return ModelDraft(small_model(folder, tokenizer, steps), V)


@torch.inference_mode()
def told_by(model, tokenizer, count, tokens, seed, prompts=("",), slots=16):
    """Stories of the model's own, at the usual settings: a list of (ids, where the new ones begin)."""
    engine, params = Engine(model, tokenizer, slots=min(count, slots)), SamplingParams(max_tokens=tokens)
    sequences = [engine.add(prompt_ids(tokenizer, prompts[i % len(prompts)]), replace(params, seed=seed + i))
                 for i in range(count)]
    while engine.running or engine.waiting:
        engine.step()
    return [(s.ids, len(s.ids) - len(s.new_ids)) for s in sequences]


@torch.inference_mode()
def overlaps(model, drafts, stories):
    """{name: (share of places where it guesses, how much of p and q is common, seconds a guess)} over some stories.

    What is common, the sum of min(p, q), is how probable it is that a proposal stays.
    """
    from speculative import distribution  # here: that file needs this one

    params, places, found = SamplingParams(), 0, {name: [0, 0.0, 0.0] for name in drafts}
    for ids, start in stories:
        rows = model(torch.tensor([ids]))[0].float().numpy()
        for i in range(start, len(ids)):
            places, p = places + 1, None
            for name, draft in drafts.items():
                began = time.process_time()
                logits = draft.logits(ids[:i])
                found[name][2] += time.process_time() - began
                if logits is not None:
                    p = distribution(rows[i - 1, : draft.V], params, ids[:i]) if p is None else p
                    found[name][0] += 1
                    found[name][1] += np.minimum(p, distribution(logits, params, ids[:i])).sum()
    return {name: (n / places, common / places, seconds / places) for name, (n, common, seconds) in found.items()}


def main(argv=None):
    parser = argparse.ArgumentParser(description="How much each draft agrees with a model, on stories of the model's own.")
    parser.add_argument("folder", nargs="?", default=MODEL, help=f"a model folder (default {MODEL})")
    parser.add_argument("--random", type=positive_int, metavar="DEPTH", help="random weights, so many layers")
    parser.add_argument("--stories", type=positive_int, default=8, help="to compare on (default %(default)s)")
    parser.add_argument("--own", type=non_negative_int, default=0, metavar="N",
                        help="also count N stories that the model tells, eightfold (default 0; 120 take half a minute)")
    parser.add_argument("--steps", type=positive_int, default=STEPS, help="of training (default %(default)s)")
    parser.add_argument("--out", default=FOLDER, help="where the small model is kept (default %(default)s)")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    model, tokenizer, name = load_or_random(args.folder, args.random)
    V = min(model.config.vocab_size, tokenizer.vocab_size)
    drafts = {kind: make_draft(kind, model, tokenizer, V, args.steps, args.out) for kind in KINDS}
    if args.own:
        own = [i for ids, _ in told_by(model, tokenizer, args.own, 250, seed=5000) for i in ids]
        print(f"{len(own):,} tokens of its own are counted")
        drafts["own"] = CountDraft([*own, tokenizer.special[END]], V)
        drafts["both"] = CountDraft([*stories_to_count(tokenizer)[0].tolist(), *own * 8, tokenizer.special[END]], V)
    print(f"{name}\n{'draft':10}{'guesses':>10}{'in common':>12}{'ms a guess':>13}")
    for kind, (guessed, common, seconds) in overlaps(model, drafts, told_by(
            model, tokenizer, args.stories, 120, 100, prompts=("Once upon a time", "One day", "The dog was"))).items():
        print(f"{kind:10}{guessed:>10.0%}{common:>12.1%}{seconds * 1000:>13.3f}")


if __name__ == "__main__":
    run(main)
