"""Storyland: a small world that makes stories, first as objects, then as text.

New in this chapter: nothing is learned here. A world of characters, places and things has rules (rules.py: what each
kind of event needs and changes); plots (plots.py) let events happen in it; the story that results knows who, what and
where, so it can be asked about, edited and painted; and it is told in English (telling.py) with a seed of its own.
Left out on purpose: planning and search. A plot is written by a person, the world checks and varies it.

    python datasets/storyland.py                     # three stories, one of them with its object (a second)
    python datasets/storyland.py --seed 7 --plot fear --count 2

It writes nothing. Idea: James Meehan, "TALE-SPIN" (1977); Ronen Eldan and Yuanzhi Li, "TinyStories" (2023).
"""

import argparse
import json

from cli import UserError, non_negative_int, positive_int, run
from events import EVENTS
from plots import BASIC
from plots_fourth import FOURTH_PLOTS
from plots_more import MORE
from plots_third import THIRD_PLOTS
from rng import PCG32
from story import World
from telling import tell_events

PLOTS = {
    plot.__name__: plot for plot in (*BASIC, *MORE, *THIRD_PLOTS, *FOURTH_PLOTS)
}  # families of plots by name


def make_story(rng, plot=None):
    """A story object; its plot is drawn unless given."""
    plot = plot or list(PLOTS)[rng.below(len(PLOTS))]
    world = World(plot, rng, EVENTS)
    PLOTS[plot](world)
    return world.story


def tell_story(story, rng):
    """The story's text. The same story and the same generator give the same text."""
    return tell_events(story, rng, EVENTS)


def outline(story):
    """The object for a person: who is in it, what they have, and one line an event."""
    lines = [
        f"{role}: {c.name}, a {c.trait} {c.kind}"
        if c.ref == "name"
        else f"{role}: {c.kind} ({c.relation or c.trait})"
        for role, c in story.characters.items()
    ]
    lines += [
        f"{role}: {t.adjective} {t.noun}, owner {t.owner or 'nobody'}" for role, t in story.things.items()
    ]
    lines += [f"{role}: {key}" for role, key in story.places.items()]
    lines += [
        f"weather: {story.weather}, {story.time}",
        f"topic: {' / '.join(story.topic) or 'none'}",
        f"lesson: {story.lesson}",
    ]
    for event in story.events:
        roles = [
            f"{name} {value}" for name in ("who", "whom", "what", "where") if (value := getattr(event, name))
        ]
        details = [f"{key}: {value}" for key, value in event.detail.items()]
        lines.append(f"  {event.beat:8} {event.kind:15} {', '.join(roles + details)}")
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Make stories as objects and tell them.")
    parser.add_argument("--seed", type=non_negative_int, default=1, help="the seed that decides everything")
    parser.add_argument("--count", type=positive_int, default=3, help="how many stories")
    parser.add_argument("--plot", help="only this family of plots: " + ", ".join(PLOTS))
    parser.add_argument("--json", action="store_true", help="print each story's whole object as JSON")
    args = parser.parse_args(argv)
    if args.plot and args.plot not in PLOTS:
        raise UserError(f"--plot {args.plot}: there is no such plot; choose one of {', '.join(PLOTS)}")
    rng = PCG32(args.seed)
    for n in range(args.count):
        story = make_story(rng, args.plot)
        print(f"--- {story.plot}\n{tell_story(story, rng)}\n")
        if args.json:
            print(json.dumps(story.to_json(), indent=2), "\n")
        elif n == 0:
            print(f"The same story as an object:\n{outline(story)}\n")


if __name__ == "__main__":
    run(main)
