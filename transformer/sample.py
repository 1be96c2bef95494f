"""Tells stories with a trained model: predict, draw a token, append it, again.

Left out on purpose: everything that makes this fast. Each new token runs the whole text through
the model once more; chapter inference keeps what was computed.

    python transformer/sample.py out/transformer --prompt "Once upon a time" --seed 7
"""

import argparse
import sys
from pathlib import Path

import torch

from checkpoint import load_model
from cli import UserError, non_negative_float, non_negative_int, positive_int, probability, run
from hardware import choose_device
from rng import PCG32
from tokenizer import load_tokenizer


def next_token(logits, temperature, top_p, rng):
    """Draws an id from logits (V,): the likeliest at temperature 0, else from the smallest set that holds top_p.

    Source: Holtzman et al., "The Curious Case of Neural Text Degeneration" (2019).
    """
    if temperature == 0:
        return int(logits.argmax())
    logits = logits.double() - logits.max()  # at most 0: no temperature, however small, can overflow
    p, ids = torch.softmax(logits / temperature, dim=-1).sort(descending=True, stable=True)  # (V,), (V,)
    before = p.cumsum(0) - p  # the probability of all likelier tokens
    p[1:][before[1:] >= top_p] = 0  # the likeliest always stays
    return int(ids[rng.choice(p[p > 0].tolist())])


@torch.inference_mode()
def tell(model, tokenizer, prompt, tokens=200, temperature=0.6, top_p=0.95, seed=0):
    """The prompt and its continuation as text; ends at the story's end, after `tokens`, or when the context is full."""
    rng, end = PCG32(seed), tokenizer.eot_token
    ids = [end, *tokenizer.encode_ordinary(prompt)]
    if len(ids) >= model.config.max_position_embeddings:
        raise UserError(f"the prompt has {len(ids) - 1} tokens, the model's context is "
                        f"{model.config.max_position_embeddings}; shorten it")
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    for _ in range(tokens):
        logits = model(torch.tensor([ids], device=device))[0, -1]  # (V,): only the last position predicts what is new
        token = next_token(logits.float().cpu(), temperature, top_p, rng)
        if token == end or len(ids) + 1 >= model.config.max_position_embeddings:
            break
        ids.append(token)
    model.train(was_training)
    return tokenizer.decode(ids[1:])


def main(argv=None):
    parser = argparse.ArgumentParser(description="Tells stories with a trained model.")
    parser.add_argument("folder", nargs="?", default="out/transformer", help="a model folder (default out/transformer)")
    parser.add_argument("--prompt", default="Once upon a time", help="how the story begins")
    parser.add_argument("--stories", type=positive_int, default=1, help="how many stories to tell (default 1)")
    parser.add_argument("--tokens", type=positive_int, default=250, help="most tokens in a story (default 250)")
    parser.add_argument("--temperature", type=non_negative_float, default=0.6, help="0 is the likeliest, 1 the model's own")
    parser.add_argument("--top-p", type=probability, default=0.95, help="keep the likeliest tokens up to this probability")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="decides the stories (default 0)")
    parser.add_argument("--device", default="auto", help="cuda, mps, cpu or auto (default auto)")
    args = parser.parse_args(argv)
    device = choose_device(args.device)
    model = load_model(args.folder, device)
    tokenizer = load_tokenizer(Path(args.folder) / "tokenizer.json")
    if tokenizer.n_vocab > model.config.vocab_size:
        raise UserError(f"{args.folder}: tokenizer.json has {tokenizer.n_vocab} tokens, the model only "
                        f"{model.config.vocab_size}; they do not belong together")
    print(f"{args.folder}: {model.count_parameters():,} parameters on {device}", file=sys.stderr)
    for number in range(args.stories):
        if number:
            print("\n---\n")
        print(tell(model, tokenizer, args.prompt, args.tokens, args.temperature, args.top_p, args.seed + number))


if __name__ == "__main__":
    run(main)
