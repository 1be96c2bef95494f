"""The third set of families: promises, new food, rules, greed, narrow places, work, loads, surprises, honesty, quarrels."""

from places import PLACES
from plots import by_the_way, closing, intro, lesson, opening, spots
from plots_more import begin_pair, cast


def promise(w):
    row = w.topic("promises")
    cast(w, row)
    w.grown_up("helper")
    intro(w)
    w.beat("problem")
    w.do("promise", whom="helper")
    w.do("tempted", whom="helper")
    w.beat("attempt")
    w.do("see_harm", whom="helper")
    w.do("disappointed", whom="helper")
    w.beat("turn")
    w.do("make_good", whom="helper")
    w.do("trusted", whom="helper")
    w.beat("ending")
    lesson(w, "promise")
    closing(w, percent=75)


def new_food(w):
    row = w.topic("foods")
    cast(w, row)
    w.grown_up("helper")
    intro(w)
    w.beat("problem")
    w.do("serve", whom="helper")
    w.do("refuse_food", whom="helper")
    w.beat("attempt")
    w.do("hide_food", whom="helper")
    w.beat("help")
    w.do("trick_food", whom="helper")
    w.beat("turn")
    w.do("taste", whom="helper")
    w.do("more_food", whom="helper")
    w.beat("ending")
    lesson(w, "food")
    closing(w, percent=80, feast=False)


def warning(w):
    row = w.topic("warnings")
    cast(w, row)
    w.grown_up("helper")
    intro(w)
    w.beat("problem")
    w.do("rule", whom="helper")
    by_the_way(w)
    w.do("lured", whom="helper")
    w.beat("attempt")
    w.do("bad_end", whom="helper")
    w.beat("turn")
    w.do("rescue", whom="helper")
    w.do("after_rescue", whom="helper")
    w.beat("ending")
    lesson(w, "rule")
    closing(w, percent=80)


def greed(w):
    row = w.topic("greed")
    cast(w, row)
    w.peer("friend")
    if w.chance(50):
        intro(w)
        w.do("friend_intro", whom="friend")
    else:
        begin_pair(w)
    w.beat("problem")
    w.do("much", whom="friend")
    w.do("more_much", whom="friend")
    w.beat("turn")
    w.do("greed_harm", whom="friend")
    w.do("greed_help", whom="friend")
    w.beat("ending")
    w.do("greed_share", whom="friend")
    lesson(w, w.pick(["share", "enough"]))
    closing(w, percent=75)


def narrow(w):
    row = w.topic("stucks")
    cast(w, row)
    w.peer("friend")
    place = begin_pair(w, *(("outdoor",) if "wall" not in row["name"] else ("indoor",)))
    w.do("find_stuck", whom="friend", spot=spots(w, place, 1)[0])
    w.beat("attempt")
    w.do("pull_stuck", whom="friend")
    w.do("think_stuck", whom="friend")
    w.beat("turn")
    w.do("free_stuck", whom="friend")
    w.beat("ending")
    w.do("stuck_joy", whom="friend")
    lesson(w, "idea")
    closing(w)


def job(w):
    row = w.topic("jobs")
    cast(w, row)
    w.character(
        "helper",
        row["boss"],
        "kind" if row["boss"] in ("king", "queen", "wizard") else w.pick(["name", "name", "kind"]),
    )
    w.story.places["place"] = row["place"]
    place = PLACES[row["place"]]
    intro(w)
    w.beat("problem")
    w.do("start_job", whom="helper", where="place", place=f"{place.preposition} {place.name}")
    w.do("job_slip", whom="helper")
    w.do("job_again", whom="helper")
    w.beat("help")
    w.do("job_gift", whom="helper")
    w.beat("turn")
    w.do("job_own", whom="helper")
    w.beat("ending")
    w.do("job_end", whom="helper")
    lesson(w, "gift")
    closing(w)


def load(w):
    row = w.topic("loads")
    cast(w, row)
    w.peer("friend")
    intro(w)
    w.do("friend_intro", whom="friend")
    w.beat("problem")
    w.do("take_load", whom="friend")
    w.beat("attempt")
    w.do("load_steep", whom="friend")
    w.do("load_doubt", whom="friend")
    w.beat("turn")
    w.do("load_song", whom="friend")
    w.do("load_reach", whom="friend")
    w.beat("ending")
    w.do("load_end", whom="friend")
    lesson(w, "small")
    closing(w)


def surprise(w):
    w.hero("child", "child", "child", "forest", "farm", "jungle")
    w.peer("friend")
    w.thing("thing", w.pick(["toy", "wear", "music", "fun"]), without=("plural", "big"), owner="", most=2)
    w.story.time = w.pick(["morning", "afternoon"])
    intro(w)
    w.do("friend_intro", whom="friend")
    w.beat("problem")
    w.do("secret_plan", whom="friend", what="thing")
    w.do("feels_forgotten", whom="friend", what="thing")
    w.beat("attempt")
    w.do("prepare", whom="friend", what="thing")
    w.maybe(60, "surprise_trouble", whom="friend", what="thing")
    w.beat("turn")
    w.do("surprise", whom="friend", what="thing")
    w.beat("ending")
    w.do("surprise_end", whom="friend", what="thing")
    lesson(w, "true")
    closing(w)


def finder(w):
    w.hero("child", "child", "child", "forest", "farm", least=2)
    w.thing(
        "thing", w.pick(["losable", "treasure", "fun"]), without=("plural", "big", "light"), owner="", most=2
    )
    w.character(
        "friend",
        w.pick(["girl", "boy", "singer", "painter", "librarian", "tailor", "mail carrier"]),
        relation="owner",
    ) if w.story.characters["hero"].kind in ("girl", "boy") else w.peer("friend", "owner")
    place = opening(w, "outdoor", without=("undersea",))
    w.do("found_strange", what="thing", spot=spots(w, place, 1)[0])
    w.do("want_keep", what="thing")
    w.beat("attempt")
    w.do(
        "see_owner",
        whom="friend",
        what="thing",
        **{
            "from": w.pick(
                [
                    "a gift from my grandma",
                    "the only one I have",
                    "a present from my best friend",
                    "from my father",
                    "made just for me",
                    "all that I have from home",
                ]
            )
        },
    )
    w.do("inner_voice", whom="friend", what="thing")
    w.beat("turn")
    w.do("return_it", whom="friend", what="thing")
    w.beat("ending")
    w.do("reward", whom="friend", what="thing")
    lesson(w, "honest")
    closing(w)


def bedtime(w):
    w.hero("child", "child", "child", "forest", "farm")
    w.grown_up("helper")
    w.story.time = "evening"
    intro(w)
    w.beat("problem")
    w.do("awake")
    w.beat("attempt")
    w.do("try_sleep")
    w.maybe(70, "try_sleep")
    w.beat("help")
    w.do("call_sleep", whom="helper")
    w.do("sleep_words", whom="helper")
    w.maybe(50, "sleep_words", whom="helper")
    w.beat("turn")
    w.do("asleep", whom="helper")
    w.beat("ending")
    w.do("morning", whom="helper")


BREAKS = {
    "hard": (
        "Crack, it broke in two",
        "There was a crack, and it lay on the ground, broken",
        "Snap, and each had one half",
    ),
    "soft": ("Rip, a long hole ran across it", "There was a nasty rip", "Rip, and each held a piece"),
    "paper": ("Rip, it was torn from top to bottom", "Rrrip, and each had half of it"),
}
FIXES = {
    "hard": (
        "glued the two halves",
        "put glue on the crack and tied a string around it",
        "fitted the pieces and pressed them until the glue was dry",
    ),
    "soft": (
        "sewed up the hole with red thread",
        "stitched it, stitch by stitch",
        "patched it with a star of blue cloth",
    ),
    "paper": ("taped it from behind", "pasted it on strong paper", "fixed it with tape, edge to edge"),
}


def quarrel(w):
    w.hero("child", "child", "child", "forest", "pet", least=2)
    w.peer("friend")
    matter = w.pick(["hard", "soft", "paper"])
    w.thing(
        "thing",
        *{"hard": ("toy", "hard"), "soft": ("toy", "soft"), "paper": ("paper",)}[matter],
        without=("big", "light"),
        most=2,
    )
    w.place("place", without=("undersea",))
    intro(w)
    w.do("own", what="thing")
    w.do("friend_intro", whom="friend")
    w.beat("problem")
    place = PLACES[w.story.places["place"]]
    w.do("go_both", whom="friend", where="place", fun=w.fun(place))
    by_the_way(w)
    w.do("both_want", whom="friend", what="thing")
    w.do("tug", whom="friend", what="thing", **{"break": w.pick(BREAKS[matter])})
    w.beat("attempt")
    w.do("blame", whom="friend", what="thing")
    w.do("miss_each", whom="friend")
    w.beat("turn")
    w.do("sorry_both", whom="friend")
    w.do("mend_both", whom="friend", what="thing", fix=w.pick(FIXES[matter]))
    w.beat("ending")
    w.maybe(50, "friends", whom="friend")
    lesson(w, w.pick(["share", "words"]))
    closing(w)


def shelter(w):
    w.hero("forest", "forest", "farm", "bird", "child")
    child = w.story.characters["hero"].kind in ("girl", "boy")
    w.peer("friend", "guest")
    hero_kind, friend_kind = (w.story.characters[r].kind for r in ("hero", "friend"))
    w.character(
        "helper",
        w.pick(
            [
                k
                for k in (
                    ("dog", "cat", "kitten", "duck", "hedgehog")
                    if child
                    else ("squirrel", "toad", "chipmunk", "mouse", "robin")
                )
                if k not in (hero_kind, friend_kind)
            ]
        ),
        w.pick(["name", "kind"]),
    )
    w.weather("gray", "windy", "cloudy")
    opening(w, "outdoor", without=("sea", "undersea", "town", "snow"))
    home = w.pick(
        ["a small tent", "an old doghouse", "a tiny hut of boards", "the tool shed"]
        if child
        else [
            "a hollow tree",
            "an old basket",
            "a den under the roots",
            "a little hut of twigs",
            "an upturned flowerpot",
            "a cave in the bank",
        ]
    )
    w.beat("problem")
    w.do("storm_comes", shelter=home)
    w.do("guest_one", whom="friend")
    w.do("little_room", whom="friend")
    w.beat("turn")
    w.do("let_in", whom="friend")
    w.do("guest_two", whom="friend")
    w.do("warm_inside", whom="friend")
    w.beat("ending")
    w.do("storm_over", whom="friend")
    w.do("storm_end", whom="friend", shelter="the small place")
    lesson(w, w.pick(["share", "room"]))
    closing(w)


THIRD_PLOTS = (
    promise,
    new_food,
    warning,
    greed,
    narrow,
    job,
    load,
    surprise,
    finder,
    bedtime,
    quarrel,
    shelter,
)
