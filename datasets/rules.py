"""Kinds of events: what each needs to be true, what it changes, and the ways to tell it.

The tables in events_*.py are written like this:

    lose | has who what | -has who what; +lost what
      a telling (a template, see telling.py)
      another telling, which may go on in a line
          that is indented further

Needs and effects are facts made of words; who, whom, what and where stand for the event's roles. A need with ! must
not be true; an effect begins with + (true from now on) or - (no longer).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    kind: str
    needs: tuple
    effects: tuple
    tellings: str  # alternatives, joined by |


def read_rules(text):
    """A table of events as {kind: Rule}."""
    rules, head, tellings = {}, None, []

    def close():
        if head:
            kind, needs, effects = (part.strip() for part in head.split("|"))
            if kind in rules:
                raise ValueError(f"two events are called {kind}")
            rules[kind] = Rule(
                kind,
                tuple(filter(None, map(str.strip, needs.split(";")))),
                tuple(filter(None, map(str.strip, effects.split(";")))),
                "|".join(tellings),
            )

    for line in text.splitlines():
        if not line.strip():
            continue
        if line[0] != " ":
            close()
            head, tellings = line, []
        elif line.startswith("      "):
            tellings[-1] += " " + line.strip()
        else:
            tellings.append(line.strip())
    close()
    return rules


def add_tellings(rules, *texts):
    """The rules with more tellings; the texts have the form of the tables, with heads of one word."""
    rules = dict(rules)
    for text in texts:
        for kind, more in read_rules(
            "\n".join(line + ("" if line[:1] == " " or not line else " | |") for line in text.splitlines())
        ).items():
            old = rules[kind]
            rules[kind] = Rule(kind, old.needs, old.effects, old.tellings + "|" + more.tellings)
    return rules
