"""The families of the transformer, from 2017 to 2024: what each changed in the block, built of the same parts.

New since gpt2.py and model.py: the table (family_sizes.py), and one class that becomes GPT-1, 2, 3, PaLM, Llama,
Mistral, Mixtral or Gemma by its row (family_models.py). BERT and T5, which read in both directions, stand beside them.
Left out on purpose: dropout, and what a family adds to its training (data, schedules, tuning by people's wishes).
Shapes: B sequences, T tokens, V vocabulary, C width, H query heads, K key and value heads, D width of a head, L blocks.

    python transformer/families.py              the table, 36 sizes counted and checked, small ones trained; 45 s
    python transformer/families.py --steps 0    the table and the counts only; five seconds
    python transformer/families.py --plot       draws transformer/figures/families.svg

Papers: those of family_sizes.py; Pope et al., "Efficiently Scaling Transformer Inference" (2022), for a cache.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from bert import MASK, all_ids, bert_loss, fill_blanks, pair_batch, story_sentences, train_bert
from brief import train_small
from cli import UserError, non_negative_int, positive_int, run
from family_models import Decoder, build
from family_parts import count_parameters, initialize
from family_sizes import DECODERS, LLAMA2, MISTRAL, MIXTRAL, PALM, SIZES, agrees, as_trained, cache_bytes
from family_table import FIGURE, draw_families, print_columns, show_families
from objectives import encoded_stream, frequency_loss, readable
from stories import load_split
from t5 import hidden_loss, span_batch, tell_greedily, train_t5
from tokenizer import load_tokenizer

STEPS, T, BATCH, LEARNING_RATE, TABLE_RATE = 100, 48, 12, 4e-3, 11


def active_parameters(family, count):
    """How many of the parameters one token uses: all but the experts that it is not sent to."""
    matrices = 3 * family.width * family.hidden  # of one expert
    return count - family.layers * (family.experts - family.top_k) * matrices


def gigabytes(count):
    return f"{count / 1e9:.3g} GB" if count else "none"


def compare_counts(sizes):
    """Builds every size, and compares: the exact count of the released weights, and the number in the paper."""
    rows = []
    for size in sizes:
        family, count = size.family, count_parameters(build(size.family))
        assert size.weights in (None, count), f"{family.name}: {count:,} computed, {size.weights:,} released"
        assert agrees(count, size.stated) or size.note, f"{family.name}: {count:,} computed, {size.stated} stated"
        rows.append([family.name, count, "the same" if size.weights else "not released", size.stated,
                     f"{cache_bytes(family) / 1024:,.0f} KiB" if cache_bytes(family) else "none",
                     gigabytes(cache_bytes(family, family.context)), size.note])
    print_columns(["", "parameters", "weights", "the paper", "a token's K, V", "full context", ""], rows)
    real = [row for row in rows if not row[0].startswith(" ")]  # without the misprints
    exact, stated = sum(row[2] == "the same" for row in real), sum(agrees(row[1], row[3]) for row in real)
    print(f"{len(real)} sizes: {exact} equal to the released weights, number for number; {stated} as the paper has it, "
          "rounded or\ncut off; the others with a reason")


def show_claims():
    """What else the papers say in numbers, computed from the rows; and two numbers of theirs that we can explain."""
    rows = {size.family.name: size for size in SIZES}
    guesses = [count_parameters(build(replace(size.family, vocab=rows["GPT-1"].family.vocab)))
               for name, size in rows.items() if name.startswith("GPT-2")]
    print(f"GPT-2: with GPT-1's vocabulary the four sizes would have {', '.join(f'{n / 1e6:.0f}M' for n in guesses)},"
          " as in the paper")
    large = rows["T5 large"].family
    untied = count_parameters(build(large)) + large.vocab * large.width
    print(f"T5 large: with a second table for the output it would have {untied:,}: the paper's 770M")
    total = count_parameters(build(MIXTRAL))
    active = active_parameters(MIXTRAL, total)
    print(f"Mixtral: a token uses {active:,} of {total:,} parameters (the paper: 13B of 47B)")
    reach = MISTRAL.layers * (MISTRAL.window - 1)
    saved = cache_bytes(replace(MISTRAL, pattern="causal"), 32_768) / cache_bytes(MISTRAL, 32_768)
    print(f"Mistral: {MISTRAL.layers} layers reach {reach:,} tokens back (the paper: about 131K); "
          f"at 32,768 tokens the window\n  makes the cache {saved:.0f} times smaller (8)")
    each = replace(LLAMA2, kv_heads=LLAMA2.heads)
    sizes = [gigabytes(cache_bytes(family, 4096)) for family in (LLAMA2, each)]
    print(f"Llama 2 70B: 4,096 tokens are {sizes[0]}; with a key head for each of the 64 query heads {sizes[1]}")
    heads = replace(PALM, kv_heads=48, head_dim=128)  # the same number of parameters in attention
    terabytes = 512 * cache_bytes(heads, 2048) / 1e12
    one = gigabytes(512 * cache_bytes(PALM, 2048))
    print(f"PaLM 540B: 512 texts of 2,048 tokens are {one}; with 48 key heads of 128 {terabytes:.2f} TB "
          "(Pope et al.: 3 TB)")
    assert [f"{n / 1e6:.0f}M" for n in guesses] == ["117M", "345M", "762M", "1542M"] and agrees(untied, "770M")
    assert agrees(active, "13B") and agrees(total, "47B") and reach // 1000 == 131 and saved == 8
    assert round(terabytes) == 3
    print('GPT-4: the report says "Transformer-style", next token, then tuned by what people prefer; no size. The\n'
          "  vocabulary is that of the tokenizer which OpenAI released, the context that of the announcement")


def train_decoder(family, stream, steps, seed, length=T, table_rate=TABLE_RATE):
    """A model by its row after `steps` batches of random windows of the stream. Returns the model, and the losses.

    The tables of tokens take steps `table_rate` times as large as the rest: a row moves only when its token occurs.
    """
    model, rng = initialize(Decoder(family), seed), np.random.default_rng(seed)
    tables = {id(model.words.weight): model.words.weight, id(model.head.weight): model.head.weight}  # one where tied

    def loss_of(_):
        starts = rng.integers(0, len(stream) - length, size=BATCH)
        windows = torch.from_numpy(np.stack([stream[s: s + length + 1] for s in starts]))  # (B, T + 1)
        return model(windows[:, :-1], windows[:, 1:])

    losses = train_small(model, [*tables.values()], loss_of, steps, LEARNING_RATE, table_rate, warmup=10,
                         betas=(0.9, 0.95), weight_decay=0.01)
    return model, losses


@torch.inference_mode()
def tell(model, ids, count):
    """The `count` likeliest tokens after ids, one at a time."""
    for _ in range(count):
        logits = model(torch.tensor([ids[-model.family.context:]]))
        ids = [*ids, int(logits[0, -1].argmax())]
    return ids


def show_decoders(stream, held_out, tokenizer, steps, seed, table_rate):
    """Trains each decoder for a moment; a line each: parameters, losses, and how it goes on."""
    rows = torch.from_numpy(held_out[: len(held_out) // (T + 1) * (T + 1)]).view(-1, T + 1)[:96]
    counting = frequency_loss(stream, rows[:, 1:].flatten().numpy())
    prompt = [tokenizer.eot_token, *tokenizer.encode_ordinary("Once upon a time")]
    for family in DECODERS:
        family, started = as_trained(family, T, tokenizer.n_vocab), time.process_time()
        model, _ = train_decoder(family, stream, steps, seed, table_rate=table_rate)
        with torch.inference_mode():
            loss = model(rows[:, :-1], rows[:, 1:]).item()
        show_line(family.name, model, loss, counting, started, repr(tokenizer.decode(tell(model, prompt, 12)[1:])))
        assert loss < counting or steps < STEPS or table_rate < TABLE_RATE, f"{family.name} learned only frequencies"


def show_line(name, model, loss, counting, started, said):
    """One family's result: parameters, nats a token beside what counting reaches, and what it answers."""
    print(f"{name:8}{count_parameters(model):>10,} parameters   {loss:.2f} of {counting:.2f}   "
          f"{time.process_time() - started:2.0f} s   {said}")


def show_encoders(told, held_out, stream, tokenizer, steps, seed):
    """Trains a BERT on masked words and a T5 on hidden spans. Returns whether both learned more than frequencies.

    They are asked for 15 tokens of 100 only, so they get twice the decoders' steps.
    """
    V, end, rng = tokenizer.n_vocab, tokenizer.eot_token, np.random.default_rng([seed, 1])
    cut, cut_held_out = ([story_sentences(story, tokenizer) for story in some] for some in (told, held_out))
    started, batch = time.process_time(), pair_batch(cut_held_out, 128, rng, tokenizer)
    model, _ = train_bert(cut, tokenizer, 2 * steps, seed)
    with torch.inference_mode():
        bert = bert_loss(model, batch)[0].item()
    count_bert = frequency_loss(all_ids(cut), batch[3][batch[3] >= 0].numpy())
    text = f"Once upon a{MASK}, there was a"
    guesses = ", ".join(f"{word!r} {p:.2f}" for word, p in fill_blanks(model, text, tokenizer)[0])
    show_line("BERT", model, bert, count_bert, started, f"{text!r}: {guesses}")

    started, batch = time.process_time(), span_batch(encoded_stream(held_out, tokenizer), 128, rng, tokenizer)
    model, _ = train_t5(stream, tokenizer, 2 * steps, seed)
    t5 = hidden_loss(model, *batch, tokenizer)
    count_t5 = frequency_loss(stream, batch[1][batch[1] < end].numpy())
    ids = [*tokenizer.encode_ordinary("Once upon"), V, *tokenizer.encode_ordinary(", there was a"), end]
    show_line("T5", model, t5, count_t5, started,
              f"{readable(ids[:-1], tokenizer)!r}: {readable(tell_greedily(model, ids, end, end, 8), tokenizer)!r}")
    return bert < count_bert and t5 < count_t5


def read_texts(folder):
    """Stories to learn from, stories to be asked about, and the tokenizer. UserError where they are too few."""
    tokenizer = load_tokenizer(Path("tokenization") / "tokenizer.json")
    told, held_out = load_split(folder, "train")[:2000], load_split(folder, "valid")[:60]
    for some in (told, held_out):
        if len(some) < 2 or len(encoded_stream(some, tokenizer)) < 2 * T:
            raise UserError(f"{folder}: train.txt and valid.txt need {2 * T} tokens and two stories each")
    return told, held_out, tokenizer


def main(argv=None):
    parser = argparse.ArgumentParser(description="The families: compared, counted, trained for a moment.")
    parser.add_argument("--data", default="datasets/stories", help="folder with train.txt (default datasets/stories)")
    parser.add_argument("--steps", type=non_negative_int, default=STEPS,
                        help=f"of training for each family; 0: only the table and the counts (default {STEPS})")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="decides weights and windows (default 0)")
    parser.add_argument("--table-rate", type=positive_int, default=TABLE_RATE,
                        help=f"the tables' steps are so many times as large as the others' (default {TABLE_RATE})")
    parser.add_argument("--plot", action="store_true", help=f"draw {FIGURE}")
    args = parser.parse_args(argv)
    texts = read_texts(args.data) if args.steps else None
    show_families()
    print()
    compare_counts(SIZES)
    print()
    show_claims()
    if args.plot:
        draw_families(FIGURE)
        print(f"drawn in {FIGURE}")
    if not args.steps:
        return
    told, held_out, tokenizer = texts
    stream = encoded_stream(told, tokenizer)
    print(f"\na moment of training ({args.steps} steps; BERT and T5 {2 * args.steps}): nats a token to tell in "
          "new stories;\nthen what counting how frequent each token is comes to; and what the model answers")
    learned = show_encoders(told, held_out, stream, tokenizer, args.steps, args.seed)
    assert learned or args.steps < STEPS, "BERT or T5 learned no more than the tokens' frequencies"
    show_decoders(stream, encoded_stream(held_out, tokenizer), tokenizer, args.steps, args.seed, args.table_rate)


if __name__ == "__main__":
    run(main)
