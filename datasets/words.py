"""Lists of words for details: {any.color}, {any.flower}, {any.dish}. Anything on a list can stand in for any other."""

from things import THINGS


def nouns(*tags, without=()):
    """The nouns of the things that have all the tags."""
    return "|".join(t.noun for t in THINGS.values() if set(tags) <= t.tags and not set(without) & t.tags)


WORDS = {
    "color": "red|blue|green|yellow|purple|orange|pink|white|brown|gray|golden|silver|black",
    "hair": "brown|black|red|blond|golden|dark|curly|straight|wavy|wild",
    "length": "long|short|thick|soft|messy|shiny",
    "garment": "coat|hat|scarf|sweater|cap|jacket|shirt|raincoat|vest|cape|hood|belt|apron",
    "footwear": "boots|shoes|socks|slippers|sandals|sneakers",
    "pattern": "stripes|dots|stars|little hearts|flowers|patches|squares|moons|zigzags",
    "flower": "rose|daisy|tulip|poppy|violet|sunflower|bluebell|lily|buttercup|dandelion|primrose|marigold|snowdrop",
    "flowers": "roses|daisies|tulips|poppies|violets|sunflowers|bluebells|lilies|buttercups|dandelions|marigolds",
    "tree": "oak|maple|birch|willow|pine|chestnut|beech|linden|poplar|fir|elm|ash|cherry tree|apple tree",
    "bug": "beetle|ladybug|moth|bumblebee|grasshopper|dragonfly|snail|ant|spider|caterpillar|cricket|fly|butterfly",
    "bird": "robin|sparrow|crow|blackbird|wren|finch|thrush|magpie|cuckoo|pigeon|lark|swallow|starling|jay",
    "beast": "cat|dog|goat|hen|rabbit|hedgehog|squirrel|mole|donkey|goose|cow|rooster|horse|mouse|frog",
    "doing": "was asleep in the sun|looked out from under a hedge|ran across the path|was looking for food|scratched its ear|"
             "sat on a wall|yawned|chewed something green|stared and blinked|rolled in the dust|stretched its legs|"
             "drank from a puddle|turned its head|hurried home|stood in the shade",
    "birdsong": "sang|whistled|called twice|chirped|sang three notes|scolded|sang high above|tapped on a branch|fluttered up",
    "building": "mill|church|bakery|blue house|tall tower|stone wall|little shop|barn|red gate|windmill|old school|white cottage|"
                "wooden shed|post office|round well|greenhouse|stable|brick house|inn|bridge",
    "state": "old|crooked|quiet|shut|sleepy|freshly painted|empty|busy|low|dusty|sunny|narrow|wet|tidy",
    "fruit": "apples|pears|plums|berries|cherries|grapes|melons|peaches|oranges|bananas|nuts|strawberries|figs|apricots",
    "dish": "pancakes|noodles|soup|bread and butter|apple pie|rice|cheese|potatoes|carrots|plum cake|cookies|warm milk|pudding|"
            "tomato salad|jam rolls|corn|pumpkin soup|omelets|berries with cream|dumplings|honey bread|waffles|porridge|peas|"
            "lemon cake|toast|nut bread|pears|sandwiches|stew|pizza|mushrooms",
    "drink": "lemonade|cocoa|apple juice|mint tea|milk|cold water|berry juice|orange juice|grape juice|warm milk",
    "snack": "an apple|a pear|a plum|two cookies|a jam roll|some nuts|a bun|a carrot|a piece of cheese|a slice of bread|"
             "a handful of berries|a sandwich|a banana|a muffin|three cherries|a pretzel|a honey cake",
    "find": "a feather|a flat stone|a snail shell|a lost button|a pine cone|a bent spoon|a white pebble|a blue bead|a key|"
            "a four-leaf clover|a bird's egg shell|a round nut|a bottle cap|a curl of bark|a marble|a fir twig|a ribbon|a rusty bell",
    "job": "sailor|baker|painter|doctor|gardener|singer|pilot|teacher|clown|farmer|builder|dancer|cook|firefighter|poet|"
           "juggler|clockmaker|captain|shepherd|nurse|inventor|explorer|drummer",
    "game": "tag|hide-and-seek|catch|leapfrog|marbles|hopscotch|pirates|school|circus|store|kings and queens|statues|knights|"
            "blind man's buff|doctors|tug-of-war|treasure hunt|follow the leader",
    "song": "about the moon|about a goose|about a river|about ten little ducks|about the rain|about a blue boat|about spring|"
            "about a sleepy bear|about a king without shoes|about a train|about the wind|about a star|about a brave snail",
    "story": "about a lost ship|about a lazy dragon|about two brothers|about a talking tree|about a brave ant|about a lonely giant|"
             "about the first snow|about a clumsy knight|about a fox and a moon|about a whale|about a hat that could sing",
    "day": "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday",
    "month": "January|February|March|April|May|June|July|August|September|October|November|December",
    "number": "two|three|four|five|six|seven|eight|nine|ten|twelve",
    "toy": "|".join(t.noun for t in THINGS.values() if "toy" in t.tags),
    "smell": "cut grass|fresh bread|wet earth|wood smoke|roses|soap|lemons|hay|mint|pancakes|pine needles|rain|apples|honey|"
             "lavender|ripe plums|warm dust|leaves",
    "cloud": "a sheep|a ship|a dragon|a teapot|a whale|a rabbit|an old man with a beard|a castle|a shoe|a fish|a hat|a bear|"
             "a snail|a crown|a cake|a goose",
    "sky": "blue|pale|gray|clear|pink|full of clouds|wide and bright|the color of milk|golden|silver",
    "feel": "warm|cool|soft|damp|fresh|mild|still|sweet",
    "virtue": "honest|patient|polite|helpful|careful|gentle|funny|loyal|brave|kind|clever|curious|generous|cheerful|calm",
    "sweet": "a lollipop|a cookie|a piece of cake|a cup of cocoa|a honey bun|an ice cream|a muffin|a plum tart|a jam sandwich|"
             "a caramel|a bowl of pudding|a slice of melon|a gingerbread heart",
    "gift": "a " + nouns("toy", without=("plural",)).replace("|", "|a ") + "|a book|a drum|a scarf|a hat|a ring",
}
