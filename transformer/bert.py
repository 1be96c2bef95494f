"""BERT: a transformer that reads both sides of a blank, and fills it. It understands a text; it cannot write one.

New since gpt2.py: no mask between tokens, so a state holds what stands before and after; the norm behind the sum;
segments (which of two texts a token is of); two heads, for masked words and for "does the second text follow?".
Left out on purpose: dropout, and WordPiece, BERT's own tokenizer (the course's serves; one id behind it is the mask).
Shapes: B rows, T tokens, V vocabulary, C width (hidden_size), L blocks, N tokens that are asked for.

    python transformer/bert.py                counts, trains one that looks both ways, one that looks back; 45 seconds
    python transformer/bert.py --steps 20     a quick look
    python transformer/bert.py --load FOLDER  fills the blanks of --text with a model in Hugging Face's layout

Papers: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding" (2018);
Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016).
"""

import argparse
import json
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import nn

from atomic import write_atomic
from brief import train_small
from checkpoint import read_json, read_weights
from cli import UserError, non_negative_int, positive_int, run
from family_parts import Block, Family, count_parameters, initialize, may_look
from gpt2 import LayerNorm
from objectives import frequency_loss, mask_words, told_loss
from stories import load_split
from tokenizer import load_tokenizer

MASK = "[mask]"
STEPS, T, SHORT, BATCH, LEARNING_RATE, TABLE_RATE = 800, 16, 8, 1024, 5e-3, 6  # BATCH: tokens; the tables learn faster


@dataclass
class BertConfig:
    """The sizes, under the names that config.json has. The defaults are those of BERT base."""

    vocab_size: int = 30522  # V
    hidden_size: int = 768  # C
    num_hidden_layers: int = 12  # L
    num_attention_heads: int = 12  # H
    intermediate_size: int = 3072  # F
    max_position_embeddings: int = 512  # the longest T
    type_vocab_size: int = 2  # segments
    layer_norm_eps: float = 1e-12

    def family(self):
        """The same as a row of the table of families."""
        return Family("BERT", 2018, "Devlin et al.", self.num_hidden_layers, self.hidden_size, self.num_attention_heads,
                      self.intermediate_size, self.max_position_embeddings, self.vocab_size, sides="encoder",
                      objective="masked words", norm_place="post", activation="exact gelu", pattern="full",
                      eps=self.layer_norm_eps)


SIZES = {  # name: (sizes, the millions of parameters that the paper names)
    "BERT base": (BertConfig(), 110),
    "BERT large": (BertConfig(30522, 1024, 24, 16, 4096), 340),
}


class Bert(nn.Module):
    """The encoder and its two heads: ids (B, T) -> states (B, T, C); states -> logits of words, and of following."""

    def __init__(self, config):
        super().__init__()
        self.config, C, eps = config, config.hidden_size, config.layer_norm_eps
        self.words = nn.Embedding(config.vocab_size, C)
        self.places = nn.Embedding(config.max_position_embeddings, C)
        self.segments = nn.Embedding(config.type_vocab_size, C)
        self.norm = LayerNorm(C, eps)
        self.blocks = nn.ModuleList(Block(config.family()) for _ in range(config.num_hidden_layers))
        self.transform, self.transform_norm = nn.Linear(C, C), LayerNorm(C, eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))  # of the output, whose table is that of the words
        self.pooler, self.follows = nn.Linear(C, C), nn.Linear(C, 2)

    def forward(self, ids, segments=None, real=None, causal=False):
        """The states behind the last block. ids, segments (B, T); real (B, T): False where a row is only padded.

        causal: each token looks back only, which BERT does not; for comparison.
        """
        return self.all_states(ids, segments, real, causal)[-1]

    def all_states(self, ids, segments=None, real=None, causal=False):
        """The states behind the embeddings and behind each block: a list of L + 1 of (B, T, C)."""
        length = ids.shape[1]
        if length > self.config.max_position_embeddings:
            raise ValueError(f"{length} tokens are more than the model's {self.config.max_position_embeddings} places")
        segments = torch.zeros_like(ids) if segments is None else segments
        mask = None if real is None else real[:, None, None, :]  # nobody looks at padding
        if causal:
            back = may_look(length, device=ids.device)
            mask = back if mask is None else mask & back
        states = [self.norm(self.words(ids) + self.places.weight[:length] + self.segments(segments))]
        for block in self.blocks:
            states.append(block(states[-1], mask))
        return states

    def word_logits(self, states):
        """What stood there? states (…, C) -> (…, V). Only the places that are asked for need be given."""
        return self.transform_norm(F.gelu(self.transform(states))) @ self.words.weight.T + self.bias

    def follow_logits(self, states):
        """Does the second text follow the first? (B, T, C) -> (B, 2): yes, no; from the first token's state alone."""
        return self.follows(torch.tanh(self.pooler(states[:, 0])))


THEIRS = {  # our names, Hugging Face's
    "words.": "bert.embeddings.word_embeddings.", "places.": "bert.embeddings.position_embeddings.",
    "segments.": "bert.embeddings.token_type_embeddings.", "norm.": "bert.embeddings.LayerNorm.",
    "blocks.": "bert.encoder.layer.", ".attention.q_proj.": ".attention.self.query.",
    ".attention.k_proj.": ".attention.self.key.", ".attention.v_proj.": ".attention.self.value.",
    ".attention.o_proj.": ".attention.output.dense.", ".norm_1.": ".attention.output.LayerNorm.",
    ".mlp.up_proj.": ".intermediate.dense.", ".mlp.down_proj.": ".output.dense.", ".norm_2.": ".output.LayerNorm.",
    "transform.": "cls.predictions.transform.dense.", "transform_norm.": "cls.predictions.transform.LayerNorm.",
    "bias": "cls.predictions.bias", "pooler.": "bert.pooler.dense.", "follows.": "cls.seq_relationship.",
}


def their_name(name):
    """Hugging Face's name of one of our weights."""
    for ours, theirs in THEIRS.items():
        if ours.startswith("."):
            name = name.replace(ours, theirs)
        elif name.startswith(ours):
            name = theirs + name[len(ours):]
    return name


def save_bert(folder, model):
    """Writes config.json and model.safetensors as `transformers.BertForPreTraining.from_pretrained` reads them."""
    weights = {their_name(name): p.detach().cpu().contiguous() for name, p in model.named_parameters()}
    config = {"architectures": ["BertForPreTraining"], "model_type": "bert", **asdict(model.config),
              "hidden_act": "gelu", "pad_token_id": None}
    write_atomic(Path(folder) / "config.json", json.dumps(config, indent=2) + "\n")
    write_atomic(Path(folder) / "model.safetensors", save(weights, metadata={"format": "pt"}))


def load_bert(folder):
    """The BERT in a folder of Hugging Face's layout, with its masked-word head. UserError names the file and its fault.

    Where the folder has no head for pairs (BertForMaskedLM), the model's is None too.
    """
    path = Path(folder) / "config.json"
    stored = read_json(path)
    for name, values in {"model_type": ["bert"], "hidden_act": ["gelu", None], "is_decoder": [False, None],
                         "position_embedding_type": ["absolute", None], "tie_word_embeddings": [True, None]}.items():
        if stored.get(name) not in values:
            raise UserError(f"{path}: {name} is {stored.get(name)!r}; a BERT has {values[0]!r}")
    config = BertConfig(**{name: stored.get(name, value) for name, value in asdict(BertConfig()).items()})
    sizes = list(asdict(config).values())[:-1]
    if not all(type(size) is int and 0 < size <= 2**20 for size in sizes) or sizes[1] % sizes[3]:
        raise UserError(f"{path}: {sizes} are no sizes of a BERT")
    # the files of 2018 say gamma and beta, later ones weight and bias
    weights = {re.sub(r"gamma$", "weight", re.sub(r"beta$", "bias", name)): tensor
               for name, tensor in read_weights(folder).items()}
    if their_name(f"blocks.{config.num_hidden_layers - 1}.norm_2.bias") not in weights:
        raise UserError(f"{folder}: the weights lack block {config.num_hidden_layers - 1}, which config.json asks for")
    model = Bert(config)
    if "cls.seq_relationship.weight" not in weights:
        model.pooler = model.follows = None
    with torch.no_grad():
        for name, p in model.named_parameters():
            tensor = weights.get(their_name(name))
            if tensor is None or tensor.shape != p.shape:
                found = "missing" if tensor is None else f"of shape {tuple(tensor.shape)}"
                raise UserError(f"{folder}: {their_name(name)} is {found}; config.json asks for {tuple(p.shape)}")
            p.copy_(tensor)
    return model.eval()


def count_bert():
    """Builds the two sizes without memory, and compares their parameters with the paper's round numbers."""
    print(f"{'':12}{'layers':>7}{'width':>7}{'heads':>7}{'parameters':>14}   the paper's")
    for name, (config, published) in SIZES.items():
        with torch.device("meta"):
            count = count_parameters(Bert(config))
        print(f"{name:12}{config.num_hidden_layers:7}{config.hidden_size:7}{config.num_attention_heads:7}{count:14,}"
              f"   {published} million")
        assert float(f"{count:.1e}") == published * 1e6, f"{name} has {published} million parameters, to two digits"


def story_sentences(story, tokenizer):
    """The ids of each sentence of a story: a list of lists. Marks that close a quotation stay with what they close."""
    sentences = re.findall(r"\s*\S.*?(?:[.!?]+[\"']?(?=\s|$)|$)", story, re.S)
    return tokenizer.encode_ordinary_batch(sentences, num_threads=1)


def fill_up(sentences, start, room):
    """Whole sentences from `start` on, at least one, cut to `room` ids. Returns ids, the next one's number."""
    ids, number = list(sentences[start]), start + 1
    while number < len(sentences) and len(ids) + len(sentences[number]) <= room:
        ids += sentences[number]
        number += 1
    return ids[:room], number


def draw_pair(told, length, rng, tokenizer):
    """Two pieces of text: ids [start] first [end] second [end], `length` long, segments, real, 1 if they don't follow.

    told: the stories' sentences. Half of the time the second piece follows the first; else it is of any other story.
    """
    start, end, room = tokenizer.eot_token, tokenizer.n_vocab - 1, (length - 3) // 2
    story = int(rng.integers(len(told)))
    before = told[story][:-1] or told[story]  # something is left to follow, unless the story is one sentence
    first, after = fill_up(before, int(rng.integers(len(before))), room)
    apart = int(after >= len(told[story]) or rng.random() < 0.5)
    if apart:
        other = told[(story + int(rng.integers(1, len(told)))) % len(told)]
        second, _ = fill_up(other, int(rng.integers(len(other))), room)
    else:
        second, _ = fill_up(told[story], after, room)
    row = [start, *first, end, *second, end]
    ids = np.array(row + [end] * (length - len(row)))
    places = np.arange(length)
    return ids, ((places > len(first) + 1) & (places < len(row))).astype(np.int64), places < len(row), apart


def pair_batch(told, size, rng, tokenizer, length=T):
    """Masked pairs, as tensors: inputs, segments, real, targets (size, length), and apart (size,)."""
    pairs = [draw_pair(told, length, rng, tokenizer) for _ in range(size)]
    asked = [mask_words(ids, tokenizer.eot_token, tokenizer.n_vocab, rng) for ids, *_ in pairs]
    columns = [*zip(*asked), *list(zip(*pairs))[1:]]
    inputs, targets, segments, real, apart = (torch.from_numpy(np.array(column)) for column in columns)
    return inputs, segments, real, targets, apart


def bert_loss(model, batch, causal=False):
    """The two losses of a batch, in nats: of the masked words, and of following."""
    inputs, segments, real, targets, apart = batch
    states, asked = model(inputs, segments, real, causal), targets >= 0
    words = told_loss(model.word_logits(states[asked]), targets[asked])
    return words, F.cross_entropy(model.follow_logits(states), apart)


def train_bert(told, tokenizer, steps, seed, causal=False, layers=2, width=64):
    """A small BERT after `steps` batches of masked pairs of the stories. Returns the model, and the words' losses.

    The output's bias starts at the logarithms of the tokens' frequencies, which else take the first hundred steps. Every
    other step reads short pairs (the paper's first nine tenths do): among 8 tokens a neighbor is soon found, among 32 not
    in this time.
    """
    config = BertConfig(tokenizer.n_vocab + 1, width, layers, width // 16, 4 * width, T)
    model, rng, losses = initialize(Bert(config), seed, width**-0.5 / 2), np.random.default_rng(seed), []
    with torch.no_grad():
        counts = np.bincount(all_ids(told), minlength=config.vocab_size) + 1.0
        model.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))

    def loss_of(step):
        length = (SHORT, T)[step % 2]
        words, follows = bert_loss(model, pair_batch(told, BATCH // length, rng, tokenizer, length), causal)
        losses.append(words.item())
        return words + follows

    train_small(model, [model.words.weight, model.places.weight], loss_of, steps, LEARNING_RATE, TABLE_RATE, warmup=30,
                betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    return model, losses


def all_ids(told):
    """Every id of the stories' sentences, one after another. (N,)"""
    return np.array([i for sentences in told for ids in sentences for i in ids])


@torch.inference_mode()
def fill_blanks(model, text, tokenizer, causal=False):
    """The three likeliest tokens, with their probabilities, for each [mask] of `text`. A list of lists of pairs."""
    ids = [tokenizer.eot_token]
    for number, piece in enumerate(re.split(rf" ?{re.escape(MASK)}", text)):
        ids += ([tokenizer.n_vocab] if number else []) + tokenizer.encode_ordinary(piece)
    ids = torch.tensor([[*ids, tokenizer.n_vocab - 1]])
    logits = model.word_logits(model(ids, causal=causal)[ids == tokenizer.n_vocab])[:, : tokenizer.n_vocab]
    best = logits.softmax(-1).topk(3)
    return [[(tokenizer.decode([i]), p) for i, p in zip(row, shares)]
            for row, shares in zip(best.indices.tolist(), best.values.tolist())]


@torch.inference_mode()
def text_vector(model, ids, tokenizer):
    """One vector for a text of any length: the mean of the states of its tokens, read T - 2 at a time. (C,)"""
    pieces = [ids[i: i + T - 2] for i in range(0, len(ids), T - 2)]
    states = [model(torch.tensor([[tokenizer.eot_token, *piece, tokenizer.n_vocab - 1]]))[0, 1:-1] for piece in pieces]
    return torch.cat(states).mean(0)


def find_partners(first, second):
    """The share of rows of `first` whose nearest row of `second`, by cosine, is their own. (N, C) twice -> float

    What all texts have in common is taken away first: the mean of the rows.
    """
    first, second = (F.normalize(x - x.mean(0), dim=-1) for x in (first, second))
    return ((first @ second.T).argmax(-1) == torch.arange(len(first))).float().mean().item()


def compare_sides(told, held_out, tokenizer, steps, seed):
    """Trains one that looks both ways and one that looks back; the same blanks of stories never seen. Returns both."""
    rng, models, losses = np.random.default_rng([seed, 1]), {}, {}
    batches = [pair_batch(held_out, 1024, rng, tokenizer, length) for length in (SHORT, T)]
    counting = [frequency_loss(all_ids(told), batch[3][batch[3] >= 0].numpy()) for batch in batches]
    print(f"\n{steps} steps of {BATCH} tokens; 1,024 pairs of stories never seen: nats a blank, blanks told "
          f"rightly,\npairs judged rightly\n{'':20}pairs of {SHORT} tokens      pairs of {T} tokens\n"
          f"{'token frequencies':20}{counting[0]:.3f}{counting[1]:23.3f}")
    for name, causal in (("left side only", True), ("both sides", False)):
        models[name], _ = train_bert(told, tokenizer, steps, seed, causal)
        results = [judge_blanks(models[name], batch, causal) for batch in batches]
        losses[name] = [loss for loss, *_ in results]
        print(f"{name:20}" + "      ".join(f"{loss:.3f}  {right:4.0%}  {follow:4.0%}" for loss, right, follow in results))
    return models, losses, counting


@torch.inference_mode()
def judge_blanks(model, batch, causal):
    """The loss of a batch's blanks, the share of them whose likeliest token is right, and of pairs judged rightly."""
    inputs, segments, real, targets, apart = batch
    states, asked = model(inputs, segments, real, causal), targets >= 0
    logits = model.word_logits(states[asked])
    return (told_loss(logits, targets[asked]).item(), (logits.argmax(-1) == targets[asked]).float().mean().item(),
            (model.follow_logits(states).argmax(-1) == apart).float().mean().item())


def show_blanks(models, text, tokenizer):
    """What each of the models writes into the blanks."""
    print(f"\n{text}")
    for name, model in models.items():
        for number, guesses in enumerate(fill_blanks(model, text, tokenizer, causal=name.startswith("left"))):
            print(f"  {name:16}blank {number + 1}   " + ", ".join(f"{word!r} {p:.2f}" for word, p in guesses))


def show_partners(model, held_out, tokenizer):
    """Whether a story's first half finds its second half among those of all: by states, and by counts of tokens."""
    halves = [[[i for ids in part for i in ids] for part in (story[: len(story) // 2], story[len(story) // 2:])]
              for story in held_out if len(story) >= 4][:100]
    if len(halves) < 20:
        return
    found = find_partners(*(torch.stack([text_vector(model, half[k], tokenizer) for half in halves]) for k in (0, 1)))
    counted = find_partners(*(torch.stack([torch.bincount(torch.tensor(half[k]), minlength=tokenizer.n_vocab).float()
                                           for half in halves]) for k in (0, 1)))
    print(f"\nthe first half of a story finds its second among {len(halves)}: {found:.0%} by the mean of the states, "
          f"{counted:.0%} by counts of tokens, {1 / len(halves):.0%} by chance")


def main(argv=None):
    parser = argparse.ArgumentParser(description="BERT: counted, trained for a moment, or loaded, to fill blanks.")
    parser.add_argument("--load", metavar="FOLDER", help="a BERT in Hugging Face's layout, with our tokenizer")
    parser.add_argument("--save", metavar="FOLDER", help="write the trained model here, in Hugging Face's layout")
    parser.add_argument("--text", default=f"There was a girl{MASK} Mia. Mia{MASK} to play.",
                        help=f"a text with blanks, each written {MASK}")
    parser.add_argument("--data", default="datasets/stories", help="folder with train.txt (default datasets/stories)")
    parser.add_argument("--steps", type=positive_int, default=STEPS, help=f"steps of training (default {STEPS})")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="decides weights and blanks (default 0)")
    args = parser.parse_args(argv)
    started, tokenizer = time.perf_counter(), load_tokenizer(Path(args.load or "tokenization") / "tokenizer.json")
    if MASK not in args.text:
        raise UserError(f"--text has no {MASK}")
    if args.load:
        model = load_bert(args.load)
        if model.config.vocab_size != tokenizer.n_vocab + 1:
            raise UserError(f"{args.load}: the model knows {model.config.vocab_size} tokens, tokenizer.json has "
                            f"{tokenizer.n_vocab}; the mask must be the one behind them")
        show_blanks({"both sides": model}, args.text, tokenizer)
        return
    count_bert()
    told, held_out = ([story_sentences(story, tokenizer) for story in load_split(args.data, split)[:2000]]
                      for split in ("train", "valid"))
    if min(len(told), len(held_out)) < 2:
        raise UserError(f"{args.data} has fewer than two stories in train.txt or valid.txt")
    models, losses, counting = compare_sides(told, held_out, tokenizer, args.steps, args.seed)
    show_blanks(models, args.text, tokenizer)
    show_partners(models["both sides"], held_out, tokenizer)
    if args.steps >= STEPS:
        short, long = (left - both for left, both in zip(losses["left side only"], losses["both sides"]))
        assert short > 0.1 and long > 0, "the right side should help"
        assert losses["both sides"][1] < counting[1] - 0.8, "it learned hardly more than the tokens' frequencies"
    if args.save:
        save_bert(args.save, models["both sides"])
        write_atomic(Path(args.save) / "tokenizer.json", Path("tokenization/tokenizer.json").read_bytes())
        print(f"written to {args.save}")
    print(f"{time.perf_counter() - started:.0f} seconds")


if __name__ == "__main__":
    run(main)
