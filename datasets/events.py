"""All kinds of events of Storyland in one table: EVENTS[kind] is a Rule with needs, effects and tellings.

Run it to see what each kind needs and changes.
"""

from events_common import COMMON
from events_detail import DETAILS
from events_doing import DOING
from events_feelings import FEELINGS
from events_fourth import FOURTH, MORE_FOURTH
from events_others import OTHERS
from events_things import THINGS_HAPPEN
from events_third import THIRD
from rules import add_tellings
from tellings_more import MORE_COMMON, MORE_FEELINGS, MORE_OPENINGS, MORE_THINGS
from tellings_plots import MORE_PLOTS

TABLES = (COMMON, THINGS_HAPPEN, FEELINGS, DOING, OTHERS, THIRD, FOURTH, DETAILS)
EVENTS = {kind: rule for table in TABLES for kind, rule in table.items()}
EVENTS = add_tellings(EVENTS, MORE_COMMON, MORE_THINGS, MORE_FEELINGS, MORE_PLOTS, MORE_OPENINGS, MORE_FOURTH)


def main(argv=None):
    for rule in EVENTS.values():
        print(
            f"{rule.kind:16} needs {'; '.join(rule.needs) or 'nothing':44} then {'; '.join(rule.effects) or 'nothing'}"
        )
    print(len(EVENTS), "kinds of events")


if __name__ == "__main__":
    main()
