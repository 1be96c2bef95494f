"""Kinds of characters: what each is like, how large, what it can do, where it lives, how it moves and sounds.

One line a kind: noun | size | tags | looks | food | sound | moves. Size: 0 a bug, 1 a mouse, 2 a rabbit, 3 a fox,
4 a child, 5 a grown-up, 6 an elephant. Run it to see the kinds by group.
"""

from dataclasses import dataclass

GROUPS = {
    # group: (tags for all, the word for hands, default moves)
    "child": ("human child hands climbs", "hands", "walk skip run"),
    "kin": ("human adult hands", "hands", "walk hurry"),
    "worker": ("human adult hands", "hands", "walk hurry"),
    "pet": ("animal", "paws", "run trot pad"),
    "farm": ("animal", "hooves", "trot run walk"),
    "forest": ("animal wild", "paws", "run scamper pad"),
    "bird": ("animal wild flies", "wings", "fly flutter"),
    "pond": ("animal wild swims", "feet", "swim paddle"),
    "sea": ("animal wild swims sealife", "fins", "swim glide"),
    "bug": ("animal wild bug", "legs", "crawl creep"),
    "jungle": ("animal wild", "paws", "walk run"),
    "snow": ("animal wild", "paws", "walk slide"),
    "made": ("made", "hands", "roll move"),
}

KIND_LINES = """
child
girl | 4 | she | little,curious,cheerful,brave,clever,shy,friendly,kind | pancakes | laugh | skip run
boy | 4 | he | little,curious,cheerful,brave,clever,shy,friendly,kind | noodles | laugh | run hop
kin
mom | 5 | she strong | gentle,busy,kind | tea | hum |
dad | 5 | he strong | tall,funny,kind | toast | chuckle |
grandma | 5 | she wise | old,kind,cheerful | plum cake | hum |
grandpa | 5 | he wise | old,kind,cheerful | porridge | chuckle |
aunt | 5 | she strong | tall,jolly,busy | salad | laugh |
uncle | 5 | he strong | tall,jolly,funny | soup | laugh |
big sister | 4 | she climbs | tall,clever,kind | cereal | giggle |
big brother | 4 | he climbs | tall,clever,kind | sandwiches | laugh |
worker
baker | 5 | any strong | round,jolly,floury | fresh rolls | whistle |
farmer | 5 | any strong | sunburned,strong,kind | bread and cheese | whistle |
teacher | 5 | any wise | patient,kind,young | apples | hum |
doctor | 5 | any wise | gentle,calm,busy | soup | hum |
nurse | 5 | any wise | gentle,cheerful,young | soup | hum |
firefighter | 5 | any strong climbs | brave,strong,tall | stew | laugh |
mail carrier | 5 | any | quick,cheerful,busy | sandwiches | whistle |
gardener | 5 | any wise | muddy,patient,old | carrots | hum |
painter | 5 | any | dreamy,thin,messy | olives | sigh |
librarian | 5 | any wise | quiet,tidy,kind | biscuits | whisper |
shopkeeper | 5 | any | busy,friendly,neat | tea | hum |
bus driver | 5 | any strong | cheerful,patient,friendly | sandwiches | whistle |
sailor | 5 | any strong climbs | tanned,old,jolly | fish soup | sing |
fisherman | 5 | he strong | quiet,old,patient | fish soup | whistle |
carpenter | 5 | any strong | careful,strong,old | stew | whistle |
tailor | 5 | any | thin,careful,neat | toast | hum |
clockmaker | 5 | any wise | old,quiet,careful | tea | hum |
police officer | 5 | any strong | tall,calm,kind | sandwiches | whistle |
clown | 5 | any | silly,cheerful,merry | cotton candy | giggle |
singer | 5 | any | merry,elegant,young | honey | sing |
shepherd | 5 | any strong | lonely,quiet,patient | bread and cheese | whistle |
beekeeper | 5 | any | calm,old,careful | honey | hum |
king | 5 | he | proud,old,rich | roast potatoes | shout |
queen | 5 | she | proud,wise,rich | pudding | laugh |
princess | 4 | she climbs | brave,clever,lonely | berries | giggle |
prince | 4 | he climbs | brave,polite,lonely | berries | laugh |
wizard | 5 | he wise magic | old,tall,forgetful | mushroom soup | mumble |
pet
dog | 3 | any digs | shaggy,playful,spotted,loyal,brown,bouncy | bones | bark | run trot
puppy | 2 | any digs small | tiny,floppy,spotted,wiggly,brown | bones | yip | run tumble
cat | 2 | any climbs | striped,gray,lazy,clever,black | fish | meow | pad creep
kitten | 2 | any climbs small | fluffy,tiny,striped,white,orange | milk | mew | pad bounce
hamster | 1 | any digs small | round,golden,sleepy | seeds | squeak | scurry run
guinea pig | 1 | any small | round,furry,spotted | lettuce | squeak | scurry trot
parrot | 1 | any flies bird small | green,noisy,clever | nuts | squawk | fly flutter
farm
cow | 6 | she strong | brown,spotted,gentle | grass | moo | walk trot
calf | 4 | any | brown,wobbly,spotted | milk | moo | trot skip
horse | 6 | any strong | brown,tall,gray | hay | neigh | trot gallop
pony | 5 | any strong | brown,gentle,spotted | apples | neigh | trot gallop
donkey | 5 | any strong | gray,stubborn,old | carrots | bray | trot walk
mule | 5 | any strong | brown,stubborn,tired | oats | bray | trot walk
sheep | 4 | any | woolly,white,shy | clover | baa | trot walk
lamb | 3 | any small | woolly,white,tiny | milk | baa | skip hop
goat | 4 | any climbs | hungry,white,bossy | leaves | bleat | trot leap
pig | 4 | any digs | pink,muddy,round | corn | oink | trot waddle
piglet | 2 | any digs small | pink,tiny,muddy | corn | squeal | trot run
hen | 2 | she small | brown,speckled,busy | grain | cluck | strut run
rooster | 2 | he small | red,proud,noisy | grain | crow | strut run
chick | 1 | any small | yellow,fluffy,tiny | seeds | peep | hop run
goose | 3 | any swims | white,bossy,loud | grass | honk | waddle run
turkey | 3 | any | plump,proud,noisy | grain | gobble | strut run
forest
rabbit | 2 | any digs paws small | white,brown,quick,shy,long-eared | carrots | squeak | hop bound
bunny | 2 | any digs paws small | soft,white,fluffy,gray | clover | squeak | hop bounce
fox | 3 | any digs paws | red,clever,sly,quick | berries | yip | trot run
bear | 6 | any climbs strong paws | big,brown,sleepy,gentle | honey | growl | lumber walk
bear cub | 3 | any climbs paws | brown,round,playful | honey | growl | tumble run
squirrel | 1 | any climbs paws small | red,quick,gray,bushy-tailed | acorns | chatter | scamper run
mouse | 1 | any climbs paws small | tiny,gray,brown,timid | cheese | squeak | scurry run
hedgehog | 1 | any digs paws small | prickly,round,shy,brown | apples | snuffle | shuffle trot
badger | 3 | any digs strong paws | striped,grumpy,old | roots | grunt | shuffle trot
mole | 1 | any digs paws small | velvety,sleepy,short-sighted | worms | snuffle | shuffle crawl
raccoon | 3 | any climbs paws | masked,nosy,clever | corn | chatter | creep scamper
skunk | 2 | any digs paws small | striped,lonely,shy | berries | snuffle | trot waddle
deer | 5 | any | graceful,shy,brown | leaves | snort | bound walk
fawn | 4 | any | spotted,shy,slender | leaves | bleat | skip bound
wolf | 4 | any digs | gray,lonely,shaggy | stew | howl | trot run
chipmunk | 1 | any climbs paws small | striped,busy,tiny | nuts | chatter | scamper run
bird
owl | 2 | any wise flies | wise,old,brown,sleepy | mushrooms | hoot | fly glide
robin | 1 | any small flies | little,red,cheerful | berries | chirp | fly hop
sparrow | 1 | any small flies | little,brown,busy | seeds | chirp | fly flutter
crow | 2 | any flies | black,clever,noisy | corn | caw | fly flap
jay | 1 | any small flies | blue,noisy,bright | acorns | chatter | fly flutter
woodpecker | 1 | any small flies | spotted,busy,red-headed | beetles | tap | fly flutter
pigeon | 1 | any small flies | gray,plump,calm | bread crumbs | coo | fly flap
eagle | 3 | any flies strong | proud,golden,mighty | fish | screech | fly soar
pond
duck | 2 | any flies bird | white,green-headed,cheerful | bread crumbs | quack | waddle paddle
duckling | 1 | any small | yellow,fluffy,tiny | bread crumbs | peep | waddle paddle
frog | 1 | any small jumps | green,bouncy,slippery | flies | croak | hop leap
toad | 1 | any small jumps | bumpy,grumpy,brown | flies | croak | hop crawl
turtle | 2 | any slow wise | slow,old,green,patient | lettuce | hum | crawl plod
beaver | 3 | any strong paws | busy,brown,hardworking | bark | grunt | waddle paddle
otter | 3 | any paws | playful,sleek,brown | fish | whistle | slide paddle
swan | 4 | any flies bird | white,graceful,proud | water plants | hiss | glide paddle
sea
fish | 1 | any small water | silver,golden,shiny | water plants | gurgle | swim dart
dolphin | 5 | any water strong | gray,clever,friendly | fish | whistle | swim leap
whale | 6 | any water strong | blue,gentle,enormous | tiny shrimp | sing | swim glide
octopus | 3 | any water | purple,shy,clever | shrimp | gurgle | swim drift
seahorse | 1 | any small water | tiny,pink,curly-tailed | plankton | hum | swim drift
crab | 1 | any small | red,grumpy,sideways | seaweed | click | scuttle crawl
seal | 4 | any strong | gray,smooth,playful | fish | bark | swim flop
bug
ant | 0 | any small strongbug | tiny,black,busy | crumbs | hum | crawl march
bee | 0 | any small flies | fuzzy,busy,striped | nectar | buzz | fly buzz
ladybug | 0 | any small flies | red,spotted,tiny | leaves | hum | crawl fly
butterfly | 0 | any small flies | yellow,blue,graceful | nectar | sigh | flutter fly
caterpillar | 0 | any small slow | green,hungry,fuzzy | leaves | munch | crawl wriggle
snail | 0 | any small slow | slow,brown,shy | lettuce | hum | crawl slide
spider | 0 | any small climbs | black,clever,long-legged | flies | hum | crawl climb
cricket | 0 | any small jumps | green,musical,tiny | leaves | chirp | hop leap
firefly | 0 | any small flies glows | tiny,bright,glowing | dew | hum | fly flutter
beetle | 0 | any small | shiny,green,tiny | leaves | click | crawl march
worm | 0 | any small slow digs | pink,wiggly,shy | soil | hum | wriggle crawl
jungle
lion | 5 | any strong | proud,golden,sleepy | meat pie | roar | pad run
lion cub | 3 | any climbs | golden,playful,fluffy | milk | growl | tumble run
tiger | 5 | any strong | striped,sleek,proud | meat pie | growl | pad run
elephant | 6 | any strong trunk | gray,enormous,gentle | peanuts | trumpet | walk stomp
monkey | 3 | any climbs hands | cheeky,brown,playful | bananas | chatter | swing scamper
giraffe | 6 | any strong tall | tall,spotted,gentle | leaves | hum | walk gallop
zebra | 5 | any | striped,quick,proud | grass | snort | trot gallop
hippo | 6 | any strong swims | round,gray,sleepy | melons | grunt | walk wade
crocodile | 5 | any swims | green,toothy,grumpy | fish | snap | crawl swim
kangaroo | 5 | any jumps paws | brown,bouncy,quick | grass | cluck | hop leap
koala | 2 | any climbs paws slow | gray,sleepy,fuzzy | leaves | snore | crawl climb
snow
penguin | 3 | any swims | black-and-white,chubby,polite | fish | honk | waddle slide
polar bear | 6 | any swims strong paws | white,huge,gentle | fish | growl | walk plod
walrus | 6 | any swims strong | whiskered,old,heavy | clams | grunt | flop slide
reindeer | 5 | any strong | brown,swift,proud | moss | snort | trot run
made
dragon | 6 | any flies strong hands wild fire | green,small,shy,purple | hot soup | rumble | fly stomp
robot | 4 | any strong hands metal | silver,shiny,square,rusty | oil | beep | roll clank
fairy | 1 | she flies magic hands small wild | tiny,sparkling,kind | dew | giggle | fly flutter
elf | 3 | any climbs hands magic wild | merry,pointy-eared,clever | berries | giggle | skip run
giant | 6 | any strong hands wild | huge,lonely,gentle | porridge | rumble | stomp walk
mermaid | 4 | she swims hands water | graceful,curious,kind | sea grapes | sing | swim glide
snowman | 4 | he hands snowy | round,jolly,chilly | snow cones | chuckle | slide shuffle
teddy bear | 2 | any hands toykind | soft,brown,worn | pretend tea | giggle | tiptoe shuffle
rag doll | 2 | she hands toykind | soft,patched,smiling | pretend tea | giggle | tiptoe skip
tin soldier | 2 | he hands toykind | brave,painted,tiny | pretend tea | shout | march tiptoe
train | 6 | any rails strong vehicle | little,red,blue,steam | coal | toot | chug roll
tugboat | 6 | any boat strong vehicle | little,red,blue,sturdy | oil | toot | chug sail
cloud | 6 | any flies sky | fluffy,white,small | raindrops | sigh | float drift
star | 1 | any sky glows | tiny,bright,twinkling | moonlight | hum | float twinkle
unicorn | 5 | any magic wild | white,shy,shining | sweet grass | neigh | trot gallop
monster | 5 | any hands strong wild | furry,blue,shy,green | spaghetti | growl | stomp shuffle
"""

HAND = {
    "hands": "hand",
    "paws": "paw",
    "wings": "wing",
    "fins": "fin",
    "legs": "leg",
    "hooves": "hoof",
    "sides": "side",
    "feet": "foot",
}


@dataclass(frozen=True)
class Kind:
    noun: str
    group: str
    size: int
    tags: frozenset
    looks: tuple
    food: str
    sound: str
    moves: tuple
    hands: str
    hand: str

    @property
    def walk(self):
        return "[" + "|".join(self.moves) + "]"

    @property
    def walked(self):
        from english import past

        return "[" + "|".join(map(past, self.moves)) + "]"


def read_kinds(lines):
    """The table above as {noun: Kind}."""
    kinds, group = {}, None
    for line in lines.strip().splitlines():
        if "|" not in line:
            group = line.strip()
            continue
        noun, size, tags, looks, food, sound, moves = (part.strip() for part in line.split("|"))
        shared, hands, default = GROUPS[group]
        words = {*shared.split(), *tags.split(), group, noun.replace(" ", "_")}
        if words & {"vehicle", "sky"}:
            hands = "sides"
        elif noun in ("deer", "fawn", "reindeer", "zebra", "giraffe", "unicorn"):
            hands = "hooves"
        elif noun in ("hen", "rooster", "chick", "goose", "turkey"):
            hands = "wings"
        elif words & {"hands"} and group not in ("jungle",):
            hands = "hands"
        elif "paws" in words:
            hands = "paws"
        if "paws" in words or "hands" in words:
            words.add("holds")
        kinds[noun] = Kind(
            noun,
            group,
            int(size),
            frozenset(words),
            tuple(looks.split(",")),
            food,
            sound,
            tuple((moves or default).split()),
            hands,
            HAND[hands],
        )
    return kinds


KINDS = read_kinds(KIND_LINES)


def main(argv=None):
    for group in GROUPS:
        print(f"{group:8}", ", ".join(k.noun for k in KINDS.values() if k.group == group))
    print(len(KINDS), "kinds")


if __name__ == "__main__":
    main()
