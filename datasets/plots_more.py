"""More families of plots: noises, makings, the weak, wishes, journeys, contests, illness, plants, friends new and hurt."""

import re

from people import KINDS
from places import PLACES
from plots import by_the_way, closing, intro, lesson, opening, spots


def cast(w, row, least=0):
    """A hero of one of the kinds that a topic's row is for."""
    return w.hero(w.pick(row["for"].split()), least=least)


def begin_pair(w, *tags, without=()):
    """Two friends are introduced and go somewhere together."""
    place = w.place("place", *tags, without=without)
    if w.chance(40):
        w.do("pair", whom="friend", where="place")
    else:
        intro(w)
        w.do("friend_intro", whom="friend")
    w.beat("problem")
    w.do("go_both", whom="friend", where="place", fun=w.fun(place))
    by_the_way(w)
    return place


def noise(w):
    row = w.topic("noises")
    cast(w, row)
    w.peer("friend")
    place = begin_pair(w, *row["where"].split())
    w.maybe(60, "play_both", whom="friend", fun=w.fun(place))
    w.do("hear_noise", whom="friend")
    w.beat("attempt")
    w.do("guess_noise", whom="friend")
    past = re.sub(r"^(under|behind|in|inside|beside|between|among|at|on) ", "past ", spots(w, place, 1)[0])
    w.do("follow_noise", whom="friend", spot=past)
    w.beat("turn")
    w.do("solve_noise", whom="friend")
    w.beat("ending")
    w.do("after_noise", whom="friend")
    lesson(w, "brave")
    closing(w, percent=50)


def making(w):
    row = w.topic("makings")
    cast(w, row)
    w.peer("friend")
    w.grown_up("helper")
    begin_pair(w, without=("town", "undersea") if row["name"] != "a cave of snow" else ())
    w.do("plan_make", whom="friend")
    w.beat("attempt")
    w.do("make_first", whom="friend")
    w.do("make_trouble", whom="friend")
    w.beat("help")
    w.do("make_advice", whom="friend")
    w.beat("turn")
    w.do("make_done", whom="friend")
    w.beat("ending")
    w.do("made_proud", whom="friend")
    lesson(w, w.pick(["practice", "help"]))
    closing(w)


def weak(w):
    row = w.topic("weak")
    cast(w, row)
    w.peer("friend")
    place = begin_pair(w, "outdoor")
    where = spots(w, place, 1)[0]
    w.do("find_weak", whom="friend", spot=where)
    w.do("see_need", whom="friend")
    w.beat("attempt")
    if w.chance(65):
        w.do("pass_by", whom="friend")
        w.do("stand_firm", whom="friend")
    w.beat("turn")
    w.do("help_weak", whom="friend")
    w.do("weak_safe", whom="friend")
    w.beat("ending")
    w.do("weak_thanks", whom="friend")
    lesson(w, "kind")
    closing(w)


GIVERS = (
    "a tiny fairy in a spider's web",
    "a golden fish with a crown",
    "an old lamp that began to smoke",
    "a frog with a silver ring",
    "a talking stone",
    "a star that had fallen down",
    "a white feather that glowed",
    "an old woman with a blue bag",
    "a bell that rang by itself",
)


def wish(w):
    row = w.topic("wishes")
    cast(w, row, least=1)
    w.grown_up("helper")
    place = opening(w, "outdoor", without=("sea", "undersea"), fun=False)
    w.do("get_wish", whom="helper", where="place", giver=w.pick(GIVERS), spot=spots(w, place, 1)[0])
    w.do("make_wish")
    w.beat("attempt")
    w.do("wish_true")
    w.do("wish_fun")
    w.beat("help")
    w.do("wish_trouble")
    w.do("ask_undo", whom="helper")
    w.beat("turn")
    w.do("undo")
    w.beat("ending")
    w.do("back_home", whom="helper")
    w.story.lesson = row["undo"]
    closing(w, percent=40)


def journey(w):
    row = w.topic("journeys")
    cast(w, row)
    w.peer("friend")
    intro(w)
    w.do("dream_journey")
    w.beat("problem")
    w.do("set_out", whom="friend")
    w.do("walk_on", whom="friend")
    w.beat("attempt")
    w.do("blocked", whom="friend")
    w.do("passed", whom="friend")
    w.beat("turn")
    w.do("arrived", whom="friend")
    w.do("see_goal", whom="friend")
    w.beat("ending")
    w.do("way_home", whom="friend")
    lesson(w, "journey")
    closing(w, percent=50)


def contest(w):
    row = w.topic("contests")
    cast(w, row)
    w.peer("friend", relation="rival")
    intro(w)
    w.do("enter", whom="friend")
    w.do("rival", whom="friend")
    w.beat("problem")
    w.do("contest_day")
    w.maybe(70, "contest_good")
    w.do("rival_falls", whom="friend")
    w.beat("turn")
    w.do("doubt", whom="friend")
    w.do("good_deed", whom="friend")
    w.beat("ending")
    w.do("lose_win", whom="friend")
    w.do("prize", whom="friend")
    w.maybe(40, "friends", whom="friend")
    lesson(w, "win")
    closing(w, percent=50)


def illness(w):
    row = w.topic("ills")
    cast(w, row)
    w.peer("friend")
    child = KINDS[w.story.characters["hero"].kind].group == "child"
    if child and w.chance(45):
        w.character("helper", w.pick(["doctor", "nurse"]), w.pick(["name", "kind"]))
    else:
        w.grown_up("helper")
    begin_pair(w)
    w.beat("problem")
    w.do("fall_ill", whom="friend")
    w.do("miss_friend", whom="friend")
    w.beat("attempt")
    w.do("visit_ill", whom="friend")
    w.do("care_ill", whom="friend")
    w.maybe(60, "cheer_ill", whom="friend")
    w.do("not_yet", whom="friend")
    w.beat("turn")
    w.do("well_again", whom="friend")
    w.beat("ending")
    w.do("ill_thanks", whom="friend")
    lesson(w, "kind")
    closing(w, percent=50)


FRUIT = {
    "sunflower seed": "big yellow flowers",
    "pumpkin seed": "fat orange pumpkins",
    "bean seed": "long green beans",
    "apple seed": "small red apples",
    "bulb": "red tulips",
    "cherry pit": "dark sweet cherries",
    "seed": "sweet strawberries",
}


def plant(w):
    w.hero("child", "child", "forest", "farm")
    w.grown_up("helper")
    seed = w.thing("thing", "seedling", most=1)
    w.story.places["place"] = w.pick(
        ["the garden", "the backyard"]
        if KINDS[w.story.characters["hero"].kind].group == "child"
        else ["the meadow", "the orchard", "the field"]
    )
    place = PLACES[w.story.places["place"]]
    intro(w)
    w.do("get_seed", whom="helper", what="thing")
    w.beat("problem")
    w.do(
        "plant_seed",
        what="thing",
        spot=w.pick(
            [
                "beside the fence",
                "under the window" if "home" in place.tags else "beside a big stone",
                "in the middle of the grass",
                "where the sun shone longest",
                "near an old tree",
            ]
        ),
    )
    w.do("water_seed", what="thing")
    w.beat("attempt")
    w.do("wait_seed", what="thing")
    w.maybe(60, "hurry_seed", what="thing")
    w.beat("help")
    w.do("patience", whom="helper")
    w.beat("turn")
    w.do("sprout", what="thing")
    w.beat("ending")
    w.do("bloom", what="thing", whom="helper", fruit=FRUIT[seed.noun])
    lesson(w, "patience")
    closing(w)


def new_friend(w):
    w.hero("child", "child", "child", "forest", "pond", "jungle", "farm", least=2)
    w.peer("friend", "new")
    w.thing("thing", w.pick(["toy", "treasure", "nature", "music"]), without=("big",))
    place = opening(w, thing="thing", without=("undersea",))
    where = spots(w, place, 1)[0].replace("under ", "beside ").replace("inside ", "beside ")
    w.do("new_one", whom="friend", spot=where)
    w.do("want_meet", whom="friend")
    w.beat("attempt")
    w.do("shy_try", whom="friend")
    w.beat("turn")
    w.do("offer_thing", whom="friend", what="thing")
    w.do("first_words", whom="friend", what="thing")
    w.beat("ending")
    w.do("play_new", whom="friend")
    w.maybe(50, "friends", whom="friend")
    lesson(w, "friend")
    closing(w)


LURES = (
    "a blue butterfly",
    "a shiny beetle",
    "a funny balloon",
    "a man with a drum",
    "a little white dog",
    "a cart full of bells",
    "a red leaf that danced in the wind",
    "a frog with long legs",
    "a squirrel with a nut",
    "a bird with golden feathers",
    "a kite without a string",
    "a cat with a bell",
    "a hedgehog",
)
WILD_LURES = (
    "a blue butterfly",
    "a shiny beetle",
    "a red leaf that danced in the wind",
    "a frog with long legs",
    "a white feather in the wind",
    "a bird with golden feathers",
    "a row of ants",
    "a dragonfly",
    "a bee with a silver back",
    "a light between the trees",
)
MARKS = (
    "the old well",
    "the big clock",
    "the red gate",
    "the stone lion",
    "the crooked tree",
    "the flower stand",
    "the blue door",
    "the green bench",
    "the tall lamp",
    "the fountain",
    "the white fence",
    "the wooden bridge",
)


def lost_child(w):
    w.hero("child", "child", "forest", "farm", "jungle")
    child = w.story.characters["hero"].kind in ("girl", "boy")
    w.character("friend", w.pick(["mom", "dad", "grandma", "grandpa"]), "kin", "kin")
    opening(w, *(("outdoor", "town") if child else ("outdoor",)), fun=False, without=("undersea",))
    w.do("wander", whom="friend", lure=w.pick(LURES if child else WILD_LURES))
    w.do("is_lost", whom="friend")
    w.maybe(60, "sad")
    w.beat("attempt")
    w.do("astray_try", whom="friend")
    w.do("astray_think", whom="friend")
    w.beat("help")
    w.character(
        "helper",
        w.pick(
            [
                "police officer",
                "baker",
                "mail carrier",
                "shopkeeper",
                "gardener",
                "teacher",
                "bus driver",
                "painter",
                "sailor",
                "clown",
                "shepherd",
            ]
            if child
            else ["owl", "badger", "crow", "turtle", "goose", "donkey"]
        ),
        w.pick(["name", "kind"]),
    )
    mark = w.pick(
        MARKS
        if child
        else (
            "the crooked tree",
            "the hollow oak",
            "the flat stone",
            "the berry bush",
            "the three birches",
            "the old well",
            "the mossy log",
        )
    )
    w.do("astray_help", whom="friend", mark=mark)
    w.beat("turn")
    w.do("reunite", whom="friend", mark=mark)
    w.beat("ending")
    w.do("astray_end", whom="friend")
    lesson(w, "lost")
    closing(w)


WORDS = (
    "long ears|You look like a broom with those ears|Your long ears hear everything first",
    "glasses|You look like a frog in those glasses|Your glasses make your eyes shine",
    "freckles|You look as if mud had rained on you|Your freckles are like little stars",
    "voice|You sound like a rusty door|Your voice is like no other",
    "short legs|With those short legs you will never keep up|Your short legs take you everywhere",
    "drawing|That looks like an old potato|Your drawing has the best colors",
    "hat|A crow must have built that hat|Your hat is the merriest hat in town",
    "song|My ears hurt, stop that noise|Your song comes from the heart",
    "dance|You dance like a sack of flour|Your dance makes everybody happy",
    "round tummy|You roll more than you walk|Your round tummy is the best pillow",
    "crooked tooth|Your tooth looks like an old fence|Your crooked tooth makes your smile special",
    "old coat|That coat is for scarecrows|Your coat has pockets full of stories",
)


def unkind_word(w):
    w.hero("child", "child", "forest", "farm")
    w.peer("friend")
    w.grown_up("helper")
    group = KINDS[w.story.characters["hero"].kind].group
    trait, word, good = w.pick(
        [
            x
            for x in WORDS
            if group == "child"
            and "ears" not in x
            or group != "child"
            and x.split("|")[0] in ("voice", "song", "dance", "short legs", "round tummy", "crooked tooth")
        ]
    ).split("|")
    begin_pair(w, without=("undersea",))
    w.do("unkind", whom="friend", trait=trait, word=word)
    w.do("hurt_leave", whom="friend")
    w.beat("attempt")
    w.do(
        "self_hurt",
        whom="friend",
        same=w.pick(
            [
                "{hero} stumbled and fell into a puddle",
                "{hero} sang a wrong note",
                "{hero} spilled juice on {hero.his} front"
                if group == "child"
                else "{hero} sat down in the mud",
                "{hero} got a word wrong",
            ]
        ),
    )
    w.maybe(60, "make_up_try", whom="friend")
    w.beat("turn")
    w.do("make_up", whom="friend", trait=trait, good=good)
    w.do("accept", whom="friend")
    w.beat("ending")
    w.maybe(60, "friends", whom="friend")
    lesson(w, "words")
    closing(w)


MORE = (noise, making, weak, wish, journey, contest, illness, plant, new_friend, lost_child, unkind_word)
