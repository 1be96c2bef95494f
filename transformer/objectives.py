"""What a transformer is asked to tell: the next token, masked words (BERT), hidden spans (T5), the rest of a text.

New since gpt2.py: the same text makes different questions. An objective decides which tokens are to be told and what
may be looked at for it, and with this how much a token of text teaches. Left out on purpose: models that need the
answers (bert.py, t5.py), and objectives that mix several of these.
The course's tokenizer has no token for a blank. Ids behind it serve: with V tokens, V is the mask of masked words, and
V, V + 1, … are the sentinels that stand for hidden spans. Such a model has a table of V + 1 or V + k rows.
Shapes: T tokens of a text, V tokens in the tokenizer, W of them ordinary (the special ones come last).

    python transformer/objectives.py              shows the questions, counts predictions, trains two; half a minute
    python transformer/objectives.py --steps 20   a quick look

Papers: Devlin et al., "BERT" (2018); Raffel et al., "Exploring the Limits of Transfer Learning with a Unified
Text-to-Text Transformer" (2019); Liu et al., "Generating Wikipedia by Summarizing Long Sequences" (2018; one stack
for a given text and its continuation); Clark et al., "ELECTRA" (2020; what it costs to tell only 15 % of the tokens).
"""

import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F

from cli import UserError, non_negative_int, positive_int, run
from gpt2 import GPT2, GPT2Config
from stories import load_split
from tokenizer import load_tokenizer

SENTENCE = ("Mia gave the red ball to Tom, and they played until the sun went down. "
            "Then they ran home to eat some hot soup and bread with butter.")
MASKED, DENSITY, MEAN_SPAN = 0.15, 0.15, 3.0  # as published, of BERT and of T5
STEPS = 200


def mask_words(ids, ordinary, mask_id, rng, rate=MASKED):
    """BERT's question: what stood at some places? ids (T,) -> inputs (T,), targets (T,), -1 where nothing is asked.

    `rate` of the ordinary tokens (ids below `ordinary`) are chosen, at least one. Of these 80 % are replaced by the
    mask, 10 % by a random token, 10 % stay: who reads cannot trust any token, so all states must hold what they saw.
    """
    places = np.flatnonzero(ids < ordinary)
    chosen = rng.permutation(places)[: max(1, round(rate * len(places)))]
    inputs, targets = ids.copy(), np.full_like(ids, -1)
    targets[chosen] = ids[chosen]
    lot = rng.random(len(chosen))
    inputs[chosen[lot < 0.8]] = mask_id
    replaced = chosen[lot >= 0.9]
    inputs[replaced] = rng.integers(0, ordinary, size=len(replaced))
    return inputs, targets


def span_counts(length, density=DENSITY, mean_span=MEAN_SPAN):
    """How many of `length` tokens are hidden, and in how many spans: T5's arithmetic. length at least 2."""
    hidden = min(max(round(length * density), 1), length - 1)
    return hidden, min(max(round(hidden / mean_span), 1), length - hidden)


def corrupted_lengths(length, density=DENSITY, mean_span=MEAN_SPAN):
    """The lengths of T5's input and target for a text: one sentinel a span in both, one end mark each."""
    hidden, spans = span_counts(length, density, mean_span)
    return length - hidden + spans + 1, hidden + spans + 1


def text_length(input_length):
    """The longest text whose input has at most `input_length` tokens."""
    length = 2
    while corrupted_lengths(length + 1)[0] <= input_length:
        length += 1
    return length


def random_parts(total, parts, rng):
    """`parts` lengths of at least 1 that sum to `total`, each way to cut as likely as any other."""
    cuts = np.sort(rng.permutation(total - 1)[: parts - 1]) + 1
    return np.diff([0, *cuts, total])


def corrupt_spans(ids, first_sentinel, end, rng, density=DENSITY, mean_span=MEAN_SPAN):
    """T5's question: ids (T,) -> the text with each hidden span as one sentinel, and sentinels with what they hide.

    A span that is kept comes first, then kept and hidden ones take turns. Sentinel k of a text is first_sentinel + k.
    Both end with `end`.
    """
    hidden, spans = span_counts(len(ids), density, mean_span)
    kept_parts, hidden_parts = random_parts(len(ids) - hidden, spans, rng), random_parts(hidden, spans, rng)
    inputs, targets, place = [], [], 0
    for k, (kept, gone) in enumerate(zip(kept_parts, hidden_parts)):
        inputs += [*ids[place: place + kept], first_sentinel + k]
        targets += [first_sentinel + k, *ids[place + kept: place + kept + gone]]
        place += kept + gone
    return np.array([*inputs, end], dtype=np.int64), np.array([*targets, end], dtype=np.int64)


def restore_spans(inputs, targets, first_sentinel, end):
    """The text again: each sentinel of the input gives way to what the target says behind it (nothing, if nothing)."""
    behind, current = {}, None
    for i in targets:
        if i == end:
            break
        if i >= first_sentinel:
            current = behind.setdefault(int(i), [])
        elif current is not None:
            current.append(int(i))
    text = [behind.get(int(i), []) if i >= first_sentinel else [int(i)] for i in inputs if i != end]
    return np.array([i for part in text for i in part], dtype=np.int64)


def next_tokens(ids):
    """GPT's question: which token comes next, at each place? ids (T + 1,) -> inputs (T,), targets (T,)"""
    return ids[:-1], ids[1:].copy()


def rest_of_text(ids, prefix):
    """The question of a prefix model: how does a text go on after its first `prefix` tokens, which all see each other?

    ids (T + 1,) -> inputs (T,), targets (T,), -1 where the next token is itself given.
    """
    inputs, targets = next_tokens(ids)
    targets[: prefix - 1] = -1
    return inputs, targets


def prefix_mask(length, prefix):
    """(T, T), True where the row's token may look at the column's: at all of the prefix, and back. 0: back; T: all."""
    t, s = torch.arange(length)[:, None], torch.arange(length)[None]
    return (s <= t) | (s < prefix)


def told_loss(logits, targets):
    """Mean nats of the tokens that are asked for. logits (…, T, V), targets (…, T), -1 where nothing is asked."""
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=-1)


def frequency_loss(counted, asked):
    """Nats a token of who knows only how often each token is in `counted` (add-one), for tokens `asked`. ids (N,)"""
    counts = np.bincount(counted, minlength=max(counted.max(), asked.max()) + 1) + 1.0
    return float(-np.log(counts[asked] / counts.sum()).mean())


def encoded_stream(stories, tokenizer):
    """The stories as one long array of ids (N,), each begun by the end mark of the one before."""
    encoded = tokenizer.encode_ordinary_batch(stories, num_threads=1)
    return np.array([i for ids in encoded for i in [tokenizer.eot_token, *ids]], dtype=np.int64)


def readable(ids, tokenizer):
    """The text of ids, with a blank as ▢ and sentinels as <0>, <1>, … for ids behind the tokenizer's."""
    V = tokenizer.n_vocab
    return "".join(f"<{i - V}>" if i >= V else "|" if i == tokenizer.eot_token else tokenizer.decode([int(i)])
                   for i in ids)


def show_questions(tokenizer, seed):
    """One sentence, four questions: what is read, and what is to be told."""
    rng, V, end = np.random.default_rng(seed), tokenizer.n_vocab, tokenizer.eot_token
    ids = np.array(tokenizer.encode_ordinary(SENTENCE))
    print(f"{SENTENCE!r}: {len(ids)} tokens\n")
    inputs, targets = mask_words(ids, end, V, rng)
    print(f"masked words  {readable(inputs, tokenizer).replace('<0>', ' [mask]')}")
    answers = [f"{tokenizer.decode([int(i)])!r} at {t}" for t, i in enumerate(targets) if i >= 0]
    print(f"  to tell     {', '.join(answers)}")
    inputs, targets = corrupt_spans(ids, V, end, rng)
    assert np.array_equal(restore_spans(inputs, targets, V, end), ids)
    print(f"hidden spans  {readable(inputs, tokenizer)}\n  to tell     {readable(targets, tokenizer)}")
    inputs, targets = next_tokens(np.array([end, *ids, end]))
    print(f"next token    {readable(inputs, tokenizer)}\n  to tell     {readable(targets, tokenizer)}")
    inputs, targets = rest_of_text(np.array([end, *ids, end]), prefix=6)
    print(f"rest of text  {readable(inputs, tokenizer)}\n  to tell     {readable(targets[targets >= 0], tokenizer)}")
    print("\nwho looks at whom, of 5 tokens (row looks at column):")
    grids = [prefix_mask(5, prefix).int().tolist() for prefix in (0, 3, 5)]
    print("   next token    prefix of 3   masked words")
    for rows in zip(*grids):
        print("   " + "     ".join(" ".join(".x"[cell] for cell in row) for row in rows))


def count_predictions(input_length=512):
    """Prints what a text gives: tokens told, and positions computed, a token of text."""
    length = text_length(input_length)
    hidden, spans = span_counts(length)
    read, told = corrupted_lengths(length)
    print(f"\nT5's lengths: {length} tokens, {hidden} hidden in {spans} spans: an input of {read}, a target of {told}\n"
          f"{'a token of text gives':26}predictions   positions computed")
    for name, predictions, positions in [
            ("next token", 1.0, 1.0), ("rest of text, from half on", 0.5, 1.0), ("masked words", MASKED, 1.0),
            ("hidden spans", told / length, (read + told) / length)]:
        print(f"{name:26}{predictions:11.2f}{positions:21.2f}")


def train_with_share(stream, held_out, share, steps, seed):
    """A tiny GPT-2 that is asked at `share` of its places. Returns the loss on held_out (N, T + 1), every 10th step."""
    T, rng, losses = held_out.shape[1] - 1, np.random.default_rng(seed), []
    V = 1 + max(int(stream.max()), int(held_out.max()))
    model = GPT2(GPT2Config(vocab_size=V, n_positions=T, n_embd=64, n_layer=2, n_head=4)).initialize(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.1)
    for step in range(1, steps + 1):
        starts = rng.integers(0, len(stream) - T, size=16)  # B = 16; the same windows for every share
        windows = torch.from_numpy(np.stack([stream[s: s + T + 1] for s in starts]))
        asked = torch.from_numpy(rng.random((16, T)) < share)
        optimizer.zero_grad()
        told_loss(model(windows[:, :-1]), windows[:, 1:].masked_fill(~asked, -1)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 10 == 0:
            with torch.inference_mode():
                losses.append(told_loss(model(held_out[:, :-1]), held_out[:, 1:]).item())
    return losses


def compare_shares(stream, held_out, steps, seed):
    """The same model, text and steps, asked at all places or at 15 of 100: what fewer predictions cost."""
    print(f"\na tiny GPT-2, next token, {steps} steps of 1,024 tokens; nats a token on stories never seen")
    counting = frequency_loss(stream, held_out[:, 1:].flatten().numpy())
    curves = {share: train_with_share(stream, held_out, share, steps, seed) for share in (1.0, MASKED)}
    for share, losses in curves.items():
        print(f"  asked at {share:4.0%} of the places: {losses[-1]:.3f}")
    print(f"  token frequencies alone:     {counting:.3f}")
    sooner = next((10 * (n + 1) for n, loss in enumerate(curves[1.0]) if loss <= curves[MASKED][-1]), steps)
    print(f"asked everywhere, it was as far as that after {sooner} of {steps} steps")
    return curves, counting, sooner


def main(argv=None):
    parser = argparse.ArgumentParser(description="Four questions to one text, and how much each teaches.")
    parser.add_argument("--data", default="datasets/stories", help="folder with train.txt (default datasets/stories)")
    parser.add_argument("--steps", type=positive_int, default=STEPS, help=f"steps of training (default {STEPS})")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="decides questions and weights (default 0)")
    args = parser.parse_args(argv)
    started = time.perf_counter()
    tokenizer = load_tokenizer("tokenization/tokenizer.json")
    show_questions(tokenizer, args.seed)
    count_predictions()

    stream = encoded_stream(load_split(args.data, "train")[:2000], tokenizer)
    held_out, T = encoded_stream(load_split(args.data, "valid")[:60], tokenizer), 64
    if len(stream) < T + 2 or len(held_out) < T + 2 or args.steps < 10:
        raise UserError("give it at least a hundred tokens in train.txt and valid.txt, and 10 steps")
    rows = torch.from_numpy(held_out[: len(held_out) // (T + 1) * (T + 1)]).view(-1, T + 1)[:64]
    curves, counting, sooner = compare_shares(stream, rows, args.steps, args.seed)
    if args.steps >= STEPS:
        assert curves[1.0][-1] < curves[MASKED][-1] - 0.05, "more predictions should teach more"
        assert curves[1.0][-1] < counting and sooner < 0.9 * args.steps
    print(f"{time.perf_counter() - started:.0f} seconds")


if __name__ == "__main__":
    run(main)
