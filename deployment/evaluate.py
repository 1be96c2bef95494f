"""Does a story hold on to its hero and its thing? Beginnings that are in no data, checked by program.

Bits per byte say how well single tokens are predicted; they do not say whether Nadia is still
Nadia at the end. So the model continues forty beginnings that we wrote by hand, each with a hero
and a thing, and three questions are put to every continuation:

    stays     the hero is named again, and no other name takes part that was not introduced
    returns   the thing of the first sentence is spoken of in the second half
    ends      the story comes to its end mark within the context

Left out on purpose: whether the story is any good. That takes a reader.

    python deployment/evaluate.py                    the shipped model, half a minute
    python deployment/evaluate.py FOLDER --show 5    also prints five of the stories
"""

import argparse
import re
from pathlib import Path

import torch

from checkpoint import load_model
from cli import non_negative_float, non_negative_int, positive_int, probability, run
from engine import Engine, prompt_ids
from sampling import SamplingParams
from tokenizer import Tokenizer

HEROES = ("Nadia girl, Tobias boy, Mirela girl, Anselm boy, Zelda girl, Ruben boy, Pippa girl, Bruno boy, Odette girl, "
          "Casper boy").split(", ")
PLOTS = (  # {hero}, {she}, {her} and one thing each; the thing is the first word after the bar
    "Once upon a time, there was a little {kind} named {hero}. {She} had a silver whistle that {she} loved. "
    "One day, the whistle was gone.|whistle",
    "{hero} was a small {kind} who lived near the harbor. One morning, {hero} found a tiny crab in {her} boot. "
    "The crab looked sad.|crab",
    "One windy day, {hero} took {her} purple kite to the hill. \"I hope it flies high,\" {she} said. "
    "But the kite got stuck in a tall tree.|kite",
    "{hero} wanted to bake a cake for Grandma. {She} put the cake in the oven and went out to play.|cake",
)
# Words that stand with a capital letter in the middle of a sentence and are nobody's name.
NO_NAMES = set("I Mom Dad Mommy Daddy Mama Papa Grandma Grandpa Granny Mr Mrs Miss Ms Dr Sir God Christmas Halloween Easter "
               "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August "
               "September October November December Okay Ok".split())
INTRODUCED = r"(?:named|called|name is|name was|am|friends?,?|brother,?|sister,?|cousin,?|neighbor,?|dog,?|cat,?) {}"


def beginnings():
    """Forty of them: (text, hero, thing)."""
    for hero in HEROES:
        name, kind = hero.split()
        she, her = ("she", "her") if kind == "girl" else ("he", "his")
        for plot in PLOTS:
            text, thing = plot.split("|")
            yield text.format(hero=name, kind=kind, she=she, She=she.capitalize(), her=her), name, thing


def named_in(text):
    """Words with a capital in the middle of a sentence: after a lower-case letter or a comma and one space."""
    return {word for word in re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", text)} - NO_NAMES


def strangers(prompt, text):
    """Names that take part in the continuation although nobody introduced them."""
    known = named_in(prompt) | set(re.findall(r"[A-Z][a-z]+", prompt))
    return {name for name in named_in(text) - known if not re.search(INTRODUCED.format(name), text)}


def judge(prompt, hero, thing, text, finish_reason):
    """What holds for one continuation: a dictionary of stays, returns, ends."""
    return {"stays": hero in text and not strangers(prompt, text),
            "returns": re.search(rf"\b{thing}s?\b", text[len(text) // 2:]) is not None,
            "ends": finish_reason == "stop"}


def main(argv=None):
    parser = argparse.ArgumentParser(description="Checks whether stories keep their hero and their thing.")
    parser.add_argument("folder", nargs="?", default="deployment/weights/storyteller", help="a model folder")
    parser.add_argument("--temperature", type=non_negative_float, default=0.6, help="default 0.6")
    parser.add_argument("--top-p", type=probability, default=0.95, help="default 0.95")
    parser.add_argument("--seed", type=non_negative_int, default=1, help="decides the stories (default 1)")
    parser.add_argument("--show", type=non_negative_int, default=0, help="how many stories to print (default 0)")
    parser.add_argument("--threads", type=positive_int, default=1, help="CPU threads (default 1)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    model, tokenizer = load_model(args.folder), Tokenizer.load(Path(args.folder) / "tokenizer.json")
    engine, cases = Engine(model, tokenizer, slots=16), []
    for number, (text, hero, thing) in enumerate(beginnings()):
        params = SamplingParams(temperature=args.temperature, top_p=args.top_p, max_tokens=400, seed=args.seed + number)
        cases.append((text, hero, thing, engine.add(prompt_ids(tokenizer, text), params)))
    while engine.running or engine.waiting:
        engine.step()
    results = [judge(text, hero, thing, s.text, s.finish_reason) for text, hero, thing, s in cases]
    for (text, _, _, sequence), result in list(zip(cases, results))[:: max(1, len(cases) // max(1, args.show))][: args.show]:
        print(f"{text}[…]{sequence.text}\n-> {', '.join(k for k, v in result.items() if v) or 'nothing holds'}\n")
    for question in results[0]:
        print(f"{question:8} {sum(r[question] for r in results):3} of {len(results)}")


if __name__ == "__main__":
    run(main)
