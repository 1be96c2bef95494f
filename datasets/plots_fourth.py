"""The fourth set of families: something borrowed, and something outgrown and given away."""

from lexicon import THINGS
from plots import by_the_way, closing, intro, lesson

WORK = {
    "hammer": "build a little shelf",
    "shovel": "dig a pond for the ducks",
    "rake": "rake the leaves",
    "screwdriver": "fix the wheel of the wagon",
    "lantern": "read a book in the tent",
    "hook": "fish a ball out of the brook",
    "bucket": "fill the bird bath",
    "watering can": "water the beans",
    "saw": "cut boards for a birdhouse",
    "wrench": "mend the old pump",
    "paintbrush": "paint the fence",
    "compass": "find the way through the woods",
    "wheelbarrow": "carry stones to the brook",
    "ladder": "pick the highest cherries",
    "fishing rod": "catch a fish",
    "wagon": "bring hay to the rabbits",
    "lawn mower": "cut the grass",
    "barrel": "catch the rain",
    "paddle": "cross the pond in the boat",
    "bat": "play ball with the others",
    "helmet": "ride down the hill",
    "sled": "bring wood home",
    "pair of scissors": "cut out paper stars",
    "cart": "take pumpkins to the market",
    "easel": "paint the sunset",
    "snow shovel": "clear the path",
}
NAMES = ("Star", "Lightning", "Old Friend", "Captain", "Treasure", "Sunbeam", "Thunder", "Lucky")


def borrowed(w):
    w.hero("child", "child", "child", "forest", least=3)
    child = w.story.characters["hero"].kind in ("girl", "boy")
    w.character(
        "helper",
        w.pick(
            ["gardener", "carpenter", "farmer", "painter", "fisherman", "tailor", "librarian", "firefighter"]
        ),
    ) if child else w.peer("helper", "neighbor")
    tool = w.named_thing("thing", w.pick(list(WORK)), "helper")
    intro(w)
    by_the_way(w, 40)
    w.beat("problem")
    w.do("need_tool", what="thing", work=WORK[tool.noun])
    w.do("borrow", whom="helper", what="thing")
    w.do("use_tool", what="thing", work=WORK[tool.noun])
    w.beat("attempt")
    w.do("leave_out", what="thing")
    w.do("tool_spoiled", whom="helper", what="thing")
    w.maybe(60, "hide_tool", what="thing")
    w.beat("turn")
    w.do("clean_tool", what="thing")
    w.do("give_back", whom="helper", what="thing")
    w.beat("ending")
    w.do("lend_again", whom="helper", what="thing")
    lesson(w, w.pick(["care", "promise", "truth"]))
    closing(w)


OUTGROWN = (
    "bike",
    "tricycle",
    "scooter",
    "go-cart",
    "rocking horse",
    "sled",
    "wagon",
    "bed",
    "desk",
    "chair",
    "blanket",
    "quilt",
    "sleeping bag",
    "backpack",
    "raincoat",
    "coat",
    "sweater",
    "cap",
    "skateboard",
    "drum",
    "hula hoop",
    "kickboard",
    "stool",
    "easel",
    "table",
    "helmet",
    "hammock",
    "jacket",
    "cape",
    "apron",
    "tent",
    "suitcase",
)


def given_away(w):
    w.hero("child")
    w.character("friend", w.pick(["girl", "boy"]), relation="little neighbor")
    w.grown_up("helper")
    w.named_thing("thing", w.pick([noun for noun in OUTGROWN if noun in THINGS]), "hero")
    intro(w)
    w.beat("problem")
    w.do("outgrown", what="thing")
    w.do("needs_one", whom="friend", what="thing")
    w.beat("attempt")
    w.do("will_not", whom="friend", what="thing")
    w.do("remember_small", whom="friend", what="thing")
    w.beat("turn")
    w.do("make_ready", what="thing")
    w.do("give_away", whom="friend", what="thing")
    w.beat("ending")
    w.do("see_joy", whom="friend", what="thing", name=w.pick(NAMES))
    lesson(w, w.pick(["share", "kind"]))
    closing(w)


FOURTH_PLOTS = (borrowed, given_away)
