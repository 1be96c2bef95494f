"""Storyland with the openings that people type: "Once upon a time, there was a little girl named …".

A small model that reads two kinds of stories learns two manners, and the first sentence decides which one follows.
Storyland's own openings are many and rare, so a beginning that a reader types seldom leads into a Storyland plot. Here
the same stories are told with the openings that most children's stories have; after the first lines nothing differs.
Mix some of them into the training; they are no part of the embedded corpus, whose variety they would lower.
Left out on purpose: looks of the hero, which only delay what happens.

    python datasets/plain.py                                          # a story both ways (a second)
    python datasets/plain.py --out out/datasets/plain --megabytes 10  # train.txt and valid.txt (a minute)
"""

import argparse
from dataclasses import replace
from pathlib import Path

from cli import non_negative_int, run
from events import EVENTS
from rng import PCG32
from rules import read_rules
from storyland import make_story, tell_story
from synthesize import positive_float, write_corpus
from telling import tell_events

OPENINGS = read_rules("""
intro | |
  once upon a time, there was a [little|little|little|small|young|big|{who.trait}] {who.kind} named {who.name}. {who} [loved|liked] to
      {who.likes}.
  once upon a time, there was a {who.kind} named {who.name}. {who} [loved|liked] to {who.likes}.
  once there was a [little |small |]{who.kind} [named|called] {who.name}.
  once upon a time, there was a [little |small |]{who.kind}. {who.his} name was {who.name}.
  once upon a time, there was a [little |young |]{who.kind} named {who.name}. {who.name} was [very |]{who.trait}.
  {who.name} was a [little |small |young |]{who.kind}[| who [loved|liked] to {who.likes}].
  {who.name} was a {who.trait} [little |]{who.kind}. {who} [loved|liked] to {who.likes}.
  there was [once |]a [little |small |]{who.kind} named {who.name} who [loved|liked] to {who.likes}.
  ?who.child:once upon a time, in a [small|big|little] [house|town|village], there lived a [little |]{who.kind} named {who.name}.
  ?!who.child:once upon a time, there was a [little |small |]{who.kind} named {who.name} who lived {where.in}.
  ?!who.child:{who.name} was a [little |small |]{who.kind} who lived {where.in}.
  ?!who.child:once upon a time, a [little |]{who.kind} named {who.name} lived {where.in}. {who} [loved|liked] to {who.likes}.
own | |
  {who} had {what.a}. {who} loved {what.it} very much.
  {who} had {what.a}.
  {who} loved {who.his} {what.nn}.
  {who} had {what.a} that {who.he} [loved|liked][| very much].
  {who} loved to play with {what.his}.
  ?!what.plural:{who.p} favorite [toy|thing] was {what.a}.
  {who.p} [mom|dad|grandma|grandpa|aunt] had given {who.him} {what.a}.
friend_intro | |
  {who} had a [best |good |]friend, {whom.a}.
  {who.p} best friend was {whom.a}.
  {who} had a friend, and that was {whom.a}.
  {who} liked to play with {whom.a}.
pair | |
  once upon a time, there was a [little |]{who.kind} named {who.name}. {who} had a [best |good |]friend, {whom.a}.
  {who.name} and {whom.name} were [best|good] friends. {who.name} was a {who.kind} and {whom.name} was a {whom.kind}.
  once upon a time, there were two friends, {who.name} and {whom.name}. {who.name} was a {who.kind}, and {whom.name} was a
      {whom.kind}.
  {who.name} the {who.kind} and {whom.name} the {whom.kind} were best friends.
go | |
  one day, {who} went {where.to}.
  one day, {who} went {where.to} to {d.fun}.
  one day, {who} wanted to {d.fun}. {who} went {where.to}.
  one {w.weather} day, {who} went {where.to}.
  ?what:one day, {who} took {what.his} {where.to}.
  ?what:one day, {who} went {where.to} with {what.his}.
  one {w.time}, {who} was {where.in}.
  ?w.fine:it was a sunny day, and {who} went {where.to}.
go_both | |
  one day, {both} went {where.to}.
  one day, {both} went {where.to} to {d.fun}.
  one {w.weather} day, {both} were playing {where.in}.
  one day, {both} wanted to {d.fun}. They went {where.to}.
play | |
  {who} liked to {d.fun}.
  {who} was having fun.
  {who} [began|started] to {d.fun}.
play_both | |
  they [began|started] to {d.fun}.
  they had a lot of fun.
  they were having fun.
lose | |
  but then {who} could not find {what.his}.
  then {what.the} {what.was} gone. {who} looked around, but {who.he} could not see {what.it}.
  but [soon|then], {what.the} {what.was} gone.
  when {who} looked for {what.his}, {what.they} {what.was} gone.
  "Where {what.is} my {what.nn}?" {who} asked.
""")
PLAIN = {kind: replace(rule, tellings=OPENINGS[kind].tellings) if kind in OPENINGS else rule for kind, rule in EVENTS.items()}


def tell_plainly(story, rng):
    """The story's text with plain openings. The same story and the same generator give the same text."""
    return tell_events(replace(story, events=[event for event in story.events if event.kind != "look"]), rng, PLAIN)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Tell Storyland's stories with plain openings.")
    parser.add_argument("--out", type=Path, help="the folder to write train.txt and valid.txt to")
    parser.add_argument("--seed", type=non_negative_int, default=1, help="the seed that decides everything")
    parser.add_argument("--megabytes", type=positive_float, default=5.0, help="size of train.txt; valid.txt has 6 %% of it")
    args = parser.parse_args(argv)
    if args.out is None:
        story = make_story(PCG32(args.seed))
        print(f"as Storyland tells it:\n{tell_story(story, PCG32(args.seed))}\n\n"
              f"plainly:\n{tell_plainly(story, PCG32(args.seed))}")
        return
    write_corpus(args.out, args.seed, int(args.megabytes * 1_000_000), tell_plainly)


if __name__ == "__main__":
    run(main)
