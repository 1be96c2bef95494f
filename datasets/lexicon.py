"""The lexicon of Storyland in one place: kinds, places, things, names, weather, wishes, and who lives where."""

import re

import names
from people import KINDS
from places import PLACES
from things import THINGS

__all__ = [
    "KINDS",
    "PLACES",
    "THINGS",
    "TAGS",
    "HABITAT",
    "LIKES",
    "TRAITS",
    "WEATHER",
    "WINTER",
    "SUMMER",
    "names",
    "names_for",
]

WEATHER = "sunny warm bright windy cloudy foggy rainy hot breezy gray fine mild clear dull".split()
WINTER = "snowy cold icy frosty bright clear".split()
SUMMER = "sunny hot warm bright breezy fine".split()
TAGS = {
    "sunny": ("dry", "fine"),
    "warm": ("dry", "fine"),
    "bright": ("dry", "fine"),
    "windy": ("dry", "wind"),
    "cloudy": ("dry",),
    "foggy": ("dry",),
    "rainy": ("wet",),
    "cold": ("dry", "chilly"),
    "snowy": ("chilly",),
    "hot": ("dry", "fine"),
    "breezy": ("dry", "wind", "fine"),
    "gray": ("dry",),
    "fine": ("dry", "fine"),
    "mild": ("dry",),
    "clear": ("dry", "fine"),
    "dull": ("dry",),
    "icy": ("chilly",),
    "frosty": ("dry", "chilly"),
}
TRAITS = (
    "kind curious brave clever cheerful gentle shy quiet playful patient careful lively friendly thoughtful polite "
    "funny busy dreamy bold merry honest loyal helpful generous smart eager calm sweet jolly wise quick modest "
    "stubborn sleepy daring silly tidy messy proud joyful graceful trusting hopeful good-natured lucky nimble forgetful "
    "chatty fearless sensible sunny spirited adventurous"
).split()

# Whose places are whose: group or kind -> tags of the places it is at home in.
HABITAT = {
    "child": ("kid",),
    "pet": ("home",),
    "farm": ("farm",),
    "forest": ("wood",),
    "bird": ("wood",),
    "pond": ("pond",),
    "sea": ("undersea",),
    "bug": ("bug",),
    "jungle": ("jungle",),
    "snow": ("snow",),
    "dragon": ("wood",),
    "robot": ("town",),
    "fairy": ("magic",),
    "elf": ("magic",),
    "giant": ("wood",),
    "mermaid": ("undersea",),
    "snowman": ("snow",),
    "teddy bear": ("toys",),
    "rag doll": ("toys",),
    "tin soldier": ("toys",),
    "train": ("rails",),
    "tugboat": ("harbor",),
    "cloud": ("sky",),
    "star": ("sky",),
    "unicorn": ("magic",),
    "monster": ("wood",),
    "crab": ("sea",),
    "seal": ("sea",),
    "wizard": ("magic",),
    "princess": ("kid",),
    "prince": ("kid",),
}

LIKE_LINES = """
child: paint pictures; sing songs; ride a bike; dance in the rain; collect stones; build towers; read stories;
    climb trees; bake cookies; tell jokes; count the stars; play the drum; draw animals; jump in puddles; help
    in the garden; make up games; dress up as a pirate; look at maps; whistle tunes; run very fast; swim in
    the lake; talk to animals; play hide-and-seek; watch the clouds; ask questions; make paper boats; play
    with blocks; do puzzles; look for bugs; wear funny hats; play the flute; plant flowers; hunt for treasure;
    fly kites; skip stones; catch snowflakes; collect leaves; build dams; learn new words; play with clay;
    count cars; roll down hills; play pirates; hum old songs; dig holes; feed the birds; make soup for the
    dolls; sail toy boats; write letters; sew for the dolls; imitate animals; play cards; hang upside down;
    balance on walls; blow bubbles; make up rhymes; mix colors; play knights; watch the snails; polish stones;
    fold paper hats; play postman; camp in the garden; look through a telescope; eat cherries; climb over
    fences; make mud cakes; wave to the trains; ride on the bus; chase the waves; collect buttons; swing very
    high; watch the rain; brush the cat; walk barefoot; string beads; beat the drum; grow beans in a jar; race
    snails; solve riddles; play shop; guess the time; make shadow animals; listen to grandma's stories; sort
    shells; carve little boats; pick berries; run against the wind; walk on stilts; look at the moon; tell
    long stories; sleep in a tent; make crowns of daisies
farm: roll in the straw; watch the tractor; look over the fence; eat fresh clover; sleep in the sun; sing in
    the morning; run around the yard; listen to the rain on the barn roof; smell the flowers; tell jokes to
    the hens; greet the farmer; stand in the rain; chew on straw; count the clouds; splash in puddles; watch
    the swallows; sing with the others; rub against the fence; taste the windfalls; walk to the brook; wait
    for the milk wagon; visit the neighbors; nap in the hay
forest: look for berries; explore; sleep in the sun; run through the leaves; tell stories; collect shiny
    stones; hum a tune; play in the ferns; watch the moon; listen to the wind; slide down mossy hills; smell
    the flowers; sniff about; splash in the brook; count the stars; roll in the leaves; dance in the
    moonlight; taste the first strawberries; chase the shadows; sit in the rain; climb over roots; look for
    tracks; nap in the fern; dig in soft earth; race the clouds; play with pine cones; visit the neighbors;
    gather nuts; tell riddles; lie in the warm moss; hunt for mushrooms
bird: sing at sunrise; fly above the trees; collect shiny things; watch the world from above; tell the news;
    ride on the wind; build neat nests
pond: splash in the water; float on their back; sing at night; catch bugs; dive for pebbles; sit in the rain;
    rest on warm stones
sea: race the currents; blow bubbles; explore shipwrecks; collect shells; hide in the seaweed; dance in the
    waves
bug: march in the grass; drink the morning dew; dance on petals; hum in the sun; explore flower cups; count
    seeds
jungle: swing in the trees; splash in the water hole; eat mangoes; sleep in the shade; play tricks; drum on
    logs; run in the long grass; tell tall tales
snow: slide on the ice; catch snowflakes; dive into the cold sea; build snow houses; watch the northern lights
pet: chase butterflies; sleep on the sofa; run after leaves; sniff shoes; roll on the rug; look out of the
    window; dig in the garden; play with string
made: listen to stories; make others laugh; help people; watch the sunset; hum a tune; learn new words; count
    things; dream of faraway lands
"""
LIKES = {
    group: likes.split("; ")
    for group, likes in (
        line.split(": ", 1) for line in re.sub(r"\n +", " ", LIKE_LINES.strip()).splitlines()
    )
}


def names_for(kind, pronoun):
    """The names that suit a kind of character."""
    group = KINDS[kind].group
    if group == "child" or kind in ("princess", "prince", "mermaid"):
        return names.GIRLS if pronoun == "she" else names.BOYS
    if group == "worker":
        return [name for name in names.SURNAMES if name.startswith("Mrs." if pronoun == "she" else "Mr. ")]
    return (
        names.MADE if group == "made" and kind not in ("unicorn", "teddy bear", "rag doll") else names.ANIMALS
    )
