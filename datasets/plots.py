"""How events chain into stories: one function a family of plots. Each casts a world and lets its events happen.

A plot chooses who and what, and then which attempts the world allows: a ladder needs somebody with hands, a high
branch needs wings or height. The trouble that begins a story is the trouble that its end resolves.
"""

import re

from lessons import LESSONS
from lexicon import PLACES


def lesson(w, key):
    w.story.lesson = w.pick(LESSONS[key])


def closing(w, percent=60, feast=True):
    """One or two sentences that end a story; with a lesson, if it has one."""
    w.maybe(40 if feast else 0, "feast")
    w.maybe(25, "home")
    if w.story.lesson and w.chance(percent):
        w.do(w.pick(["learned", "learned", "moral"]))
    w.maybe(12, "the_end")


def intro(w):
    """The first words: who the story is about."""
    child = w.story.characters["hero"].kind in ("girl", "boy")  # a child lives in some house; an animal in a place
    if not child and "home" not in w.story.places:
        w.place("home")
    w.do("intro", where=None if child else "home")
    w.maybe(70, "look")


def by_the_way(w, percent=60):
    """A detail of the way or the place, of the kind that is seen and heard there."""
    place = w.story.places.get("place") or w.story.places.get("home")
    tags = PLACES[place].tags if place else {"outdoor"}
    if "indoor" in tags:
        w.maybe(percent, "ambient_in")
    elif not tags & {"undersea", "sky", "snow", "rails", "toys", "jungle", "sand"}:
        w.maybe(percent, w.pick(["path", "path", "ambient"]))


def opening(w, *tags, thing=None, friend=False, without=(), fun=True):
    """Who the story is about, what is theirs, and how the day begins."""
    place = w.place("place", *tags, without=without)
    intro(w)
    if thing:
        w.do("own", what=thing)
    if friend:
        w.do("friend_intro", whom="friend")
    w.beat("problem")
    w.do("go", where="place", what=thing, fun=w.fun(place))
    by_the_way(w)
    if fun:
        w.maybe(50, "play", fun=w.fun(place))
    return place


def spots(w, place, n):
    """Some different hiding places of a place, settled to one wording each."""
    left = list(place.hides)
    return [w.fix(left.pop(w.rng.below(len(left)))) for _ in range(n)]


JUNK = {
    "indoor": "a lost sock;a sleepy spider;a ball of dust;an old newspaper;a rusty nail;a cracker crumb;a broken comb;a blue bead;a paper clip;"
    "a candy wrapper;half a pencil;a dead fly;an empty jar;a rubber band;a wooden spoon;a bottle cap",
    "outdoor": "a fat beetle;a snail;a dry leaf;an empty nut shell;a gray stone;a busy ant;a bent twig;a bottle cap;a feather;a worm;"
    "a pine cone;a lot of dust;a ladybug;a rusty can;a piece of string;an old shoe;a spider web;a green grasshopper",
    "undersea": "a sleepy sea star;an empty shell;a rusty anchor;a lot of sand;an old bottle;a ball of seaweed;a shy shrimp",
    "sky": "a lost balloon;a bit of mist;a drop of rain;a swallow's feather;nothing but wind",
}


def junk(w, place):
    for tag in ("undersea", "sky", "indoor", "outdoor"):
        if tag in place.tags:
            return w.pick(JUNK[tag].split(";"))


CLUES = (
    "a bird [began to sing|called] and hopped about {d.spot}",
    "something [shone|glittered|moved] {d.spot}",
    "{hero} [tripped|stumbled] and saw something {d.spot}",
    "{hero} heard a [rustle|tiny sound] {d.spot}",
    "a [small|lazy] butterfly sat down {d.spot}",
    "{hero} sat down to rest and [looked|glanced] {d.spot}",
)


def lost_thing(w):
    w.hero()
    hero = w.story.characters["hero"]
    w.thing("thing", "losable")
    place = opening(w, thing="thing", without=("town",) if hero.kind not in ("girl", "boy") else ())
    hidden, *empty = spots(w, place, 3)
    w.do("lose", what="thing")
    w.maybe(70, "sad")
    w.beat("attempt")
    w.do("search", what="thing", spot=empty[0], junk=junk(w, place))
    w.maybe(55, "search_again", what="thing", spot=empty[1], junk=junk(w, place))
    w.beat("help")
    if w.chance(60):
        w.peer("helper") if w.chance(60) else w.grown_up("helper")
        w.do("meet", whom="helper")
        w.do("notice", whom="helper")
        w.do("tell_trouble", whom="helper")
        w.maybe(60, "offer_help", whom="helper")
        w.do(
            "search_together",
            whom="helper",
            what="thing",
            near=re.sub("^(under|behind|in|inside|beside|between|among|at|on) ", "near ", hidden),
        )
        w.beat("turn")
        if w.chance(60):
            w.do("find", what="thing", spot=hidden)
        else:
            w.do("find_by", whom="helper", what="thing", spot=hidden)
        w.beat("ending")
        w.do("thank", whom="helper")
        lesson(w, w.pick(["help", "care"]))
    else:
        w.maybe(60, "clue", what="thing", clue=w.pick(CLUES), spot=hidden)
        w.do("find", what="thing", spot=hidden)
        w.beat("ending")
        w.maybe(50, "happy")
        lesson(w, "care")
    w.do("keep_safe", what="thing")
    closing(w)


def stuck_thing(w):
    w.hero("child", "child", "child", "forest", "pet", least=2)
    w.thing("thing", "losable", w.pick(["light", "rolls", "wear"]), without=("pair", "tiny"))
    place = opening(w, "outdoor", thing="thing", without=("sea", "undersea"))
    height = w.fix(w.pick(place.heights))
    spot = (
        height
        if height.startswith("on ")
        else f"{'in' if 'tree' in height or 'branch' in height else 'on'} {height}"
    )
    w.do("up_stuck", what="thing", spot=spot)
    w.beat("attempt")
    tries = [
        k
        for k in ("jump_for", "throw_at", "shake", "climb_fail", "poke")
        if w.can_happen(k, who="hero", what="thing") and (k != "shake" or "tree" in spot)
    ]
    for kind in (w.pick(tries), w.pick(tries))[: 1 + w.chance(60)]:
        if all(e.kind != kind for e in w.story.events):
            w.do(kind, what="thing")
    w.maybe(50, "sad")
    w.beat("help")
    child = w.story.characters["hero"].kind in ("girl", "boy")
    kind = w.pick(
        ["dad", "mom", "uncle", "gardener", "firefighter", "giraffe", "crow", "parrot", "squirrel"]
        if child
        else ["crow", "owl", "squirrel", "bear", "eagle", "jay"]
    )
    if kind == "giraffe" and w.story.places["place"] != "the zoo":
        kind = "cat"
    w.character("helper", kind, "kin" if kind in ("dad", "mom", "uncle") else w.pick(["name", "kind"]))
    ways = [
        k
        for k, need in (
            ("get_ladder", "human"),
            ("lift_up", "strong"),
            ("fly_fetch", "flies"),
            ("climb_fetch", "climbs"),
        )
        if w.true(f"can helper {need}")
    ]
    if w.chance(50) and kind not in ("firefighter",):
        w.do("meet", whom="helper")
        w.do("notice", whom="helper")
        w.do("tell_trouble", whom="helper")
    else:
        w.do("ask_help", whom="helper")
    w.maybe(60, "offer_help", whom="helper")
    w.beat("turn")
    w.do(w.pick(ways), whom="helper", what="thing")
    w.beat("ending")
    w.do("thank", whom="helper")
    w.maybe(75, "keep_safe", what="thing")
    lesson(w, "help")
    closing(w)


ACCIDENTS_HARD = (
    "{hero} [ran too fast|did not look] and tripped over a [root|stone|shoe|rug]",
    "{hero} held {what.the} too loosely, and {what.they} fell",
    "{hero} spun around, lost {hero.his} balance, and sat down on {what.the}",
    "{hero} bumped into a [table|tree|wall] with {what.the}",
    "{hero} wanted to show a trick with {what.the} and threw {what.it} too high",
    "{hero} put {what.the} down on the ground and stepped on {what.it}",
)
ACCIDENTS_CLOTH = (
    "{hero} [ran|crawled] past a [thorn bush|fence], and {what.the} got caught",
    "{hero} pulled [hard|too hard] at {what.the}",
    "{hero} and the wind both pulled at {what.the}",
    "{hero} climbed over a fence, and a nail caught {what.the}",
)


def mended_thing(w):
    w.hero("child", "child", "child", "forest", "pet", least=2)
    material = w.pick(["breaks", "breaks", "cloth", "paper"])
    w.thing(
        "thing",
        material,
        "losable" if material != "breaks" else "hard",
        without=("glass", "big", "kitchen", "tool", "furniture"),
    )
    opening(w, thing="thing", without=("undersea",))
    if material == "breaks":
        w.do("break_own", what="thing", how=w.pick(ACCIDENTS_HARD))
    else:
        w.do("tear_own", what="thing", how=w.pick(ACCIDENTS_CLOTH))
    w.do("sad")
    w.beat("attempt")
    w.do("mend_fail", what="thing")
    w.beat("help")
    w.grown_up("helper") if w.chance(50) or w.story.characters["hero"].kind not in (
        "girl",
        "boy",
    ) else w.character("helper", w.pick(["carpenter", "tailor", "clockmaker", "librarian", "painter"]))
    w.do("ask_help", whom="helper")
    w.do("offer_help", whom="helper")
    w.beat("turn")
    w.do(
        {"breaks": "mend_hard", "cloth": "mend_cloth", "paper": "mend_paper"}[material],
        whom="helper",
        what="thing",
    )
    w.do("mended", what="thing")
    w.beat("ending")
    w.do("thank", whom="helper")
    w.do("keep_safe", what="thing")
    lesson(w, w.pick(["mend", "help"]))
    closing(w)


def sharing(w):
    w.hero("child", "child", "child", "forest", "jungle", "farm", least=2)
    w.peer("friend", distinct=True)
    food = w.chance(45)
    w.thing("thing", *(("food", "share") if food else ("toy",)), without=("big", "tiny"), most=2)
    opening(w, thing=None if food else "thing", friend=w.chance(60), without=("undersea",), fun=not food)
    if food:
        w.do("have_food", what="thing")
    w.do("ask_food" if food else "ask_share", whom="friend", what="thing")
    w.do("refuse", whom="friend", what="thing")
    w.do("walk_away", whom="friend")
    w.beat("attempt")
    w.do("alone", whom="friend", what="thing")
    w.beat("turn")
    w.do("share_food" if food else "share_toy", whom="friend", what="thing")
    w.do("taste_together" if food else "fun_together", whom="friend", what="thing")
    w.beat("ending")
    w.maybe(60, "friends", whom="friend")
    lesson(w, "share")
    closing(w)


def lie(w):
    w.hero("child", "child", "forest")
    w.grown_up("helper")
    w.thing("thing", "breaks", "hard", without=("big", "tool"), owner="helper", most=2)
    w.place("place", *(("indoor", "home") if w.story.characters["hero"].kind in ("girl", "boy") else ()))
    place = w.story.places["place"]
    intro(w)
    w.do("treasure", who="helper", what="thing")
    w.beat("problem")
    w.do("go", where="place", fun=w.fun(PLACES[place]))
    w.do(
        "break_it",
        whom="helper",
        what="thing",
        how=w.pick(
            (
                "{hero} [picked up|took down] {what.the} to look at {what.it}, and {what.they} slipped away",
                "{hero} [ran|danced] around and bumped into {what.the}",
                "{hero} threw a ball, and the ball hit {what.the}",
                "{hero} wanted to [clean|try] {what.the} in secret and dropped {what.it}",
            )
        ),
    )
    w.beat("attempt")
    w.do("lie", whom="helper", what="thing")
    w.do("guilt", whom="helper", what="thing")
    w.beat("turn")
    w.do("confess", whom="helper", what="thing")
    w.do("forgive", whom="helper", what="thing")
    w.beat("ending")
    w.do("mend_hard", whom="helper", what="thing")
    w.maybe(70, "hug", whom="helper")
    lesson(w, "truth")
    closing(w)


def fear(w):
    row_key = w.topic("fears")
    group = w.pick(row_key["for"].split())
    w.hero(group)
    where = row_key["where"]
    tags = {"any": (), "water": ("pond",) if group != "snow" else ()}.get(where, tuple(where.split()))
    named = {
        "bedroom": "the bedroom",
        "playground": "the playground",
        "school": "school",
        "doctor": "the doctor's office",
        "bridge": "the bridge",
        "cave": "the cave",
    }.get(where)
    if named:
        w.story.places["place"] = named
        place = PLACES[named]
    else:
        place = w.place("place", *tags, without=("undersea",) if group not in ("sea",) else ())
    intro(w)
    w.do("fear_start")
    w.beat("problem")
    w.do("go", where="place", fun=w.fun(place))
    by_the_way(w)
    w.do("fear_face")
    w.beat("attempt")
    w.maybe(70, "fear_hide", spot=spots(w, place, 1)[0])
    w.beat("help")
    w.grown_up("helper") if w.chance(60) else w.peer("helper")
    w.do("meet", whom="helper")
    w.do("fear_talk", whom="helper")
    w.beat("turn")
    w.do("fear_brave")
    w.beat("ending")
    w.do("fear_end")
    lesson(w, "brave")
    closing(w)


def skill(w):
    row = w.topic("skills")
    w.hero(w.pick(row["for"].split()))
    places = {"water": ("pond",), "snow": ("snow",), "outdoor": ("outdoor",)}.get(row.get("where"), ())
    if row.get("where") == "kitchen":
        w.story.places["place"] = "the kitchen"
    else:
        w.place("place", *places)
    place = PLACES[w.story.places["place"]]
    intro(w)
    w.do("want_skill")
    w.beat("problem")
    w.maybe(60, "go", where="place", fun=w.fun(place))
    w.do("try_skill")
    w.do("give_up")
    w.beat("help")
    w.grown_up("helper") if w.chance(50) else w.peer("helper")
    w.maybe(50, "meet", whom="helper")
    w.do("encourage", whom="helper")
    w.beat("attempt")
    w.do("practice", whom="helper")
    w.beat("turn")
    w.do("master")
    w.beat("ending")
    w.do("show_skill", whom="helper")
    lesson(w, "practice")
    closing(w)


BASIC = (lost_thing, stuck_thing, mended_thing, sharing, lie, fear, skill)
