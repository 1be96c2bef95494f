"""Templates as trees: text, alternatives, slots and fragments. The language is described in telling.py.

python datasets/templates.py        # a template and its tree (instantly; it writes nothing)
"""

import re

from thesaurus import enrich

TOKEN = re.compile(r"[\[\]|]|\{[^{}]*\}|<[a-z_]+>|[^\[\]|{}<>]+")
LAND = {"tree", "flower", "flowers", "bird", "beast", "building", "bug"}
_parsed = {}


def parse(template, plain=False):
    """A template as a tree: strings, and ('alt', [(guards, tree), ...]), ('slot', name, forms), ('fragment', name)."""
    if (template, plain) not in _parsed:
        _parsed[template, plain], _ = _alternatives(TOKEN.findall(template if plain else enrich(template)), 0)
    return _parsed[template, plain]


def _alternatives(tokens, i):
    """Read alternatives up to the bracket that closes them; returns [(guards, nodes)] and the next index."""
    alternatives, guards, nodes, fresh = [], (), [], True
    while i < len(tokens) and tokens[i] != "]":
        token = tokens[i]
        if fresh and token[0] == "?" and ":" in token:
            guard, _, token = token[1:].partition(":")
            guards = tuple(guard.split(","))
        fresh = False
        if not token:
            pass
        elif token == "|":
            alternatives.append((guards, nodes))
            guards, nodes, fresh = (), [], True
        elif token == "[":
            inner, i = _alternatives(tokens, i + 1)
            nodes.append(("alt", inner))
        elif token[0] == "{":
            name, *forms = token[1:-1].split(".")
            nodes.append(("slot", name, forms))
        elif token[0] == "<":
            nodes.append(("fragment", token[1:-1]))
        else:
            nodes.append(token)
        i += 1
    alternatives.append((guards, nodes))
    return [(guards, nodes, of_land(nodes)) for guards, nodes in alternatives], i


def of_land(nodes):
    """Whether an alternative speaks of trees, birds or houses, which are not everywhere."""
    return any(
        node[0] == "slot" and node[1] == "any" and node[2][0] in LAND
        for node in nodes
        if not isinstance(node, str)
    )


def main(argv=None):
    template = "{who} [saw|met] a [?who.child:kind |]fox. <happy>"
    print(template)
    for guards, nodes, land in parse(template, plain=True):
        print("guards:", guards, "speaks of land:", land, *nodes, sep="\n    ")


if __name__ == "__main__":
    main()
