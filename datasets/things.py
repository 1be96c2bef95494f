"""Things of Storyland: what they are made of, how large they are, what can be done with them.

One line a group: tags | size | adjectives | nouns. Size as in people.py: 0 a seed, 1 a ring, 2 a cup, 3 a drum, 4 a bike.
A noun may add tags of its own after a slash. Run it to see the groups.
"""

from dataclasses import dataclass

COLORS = "red,blue,green,yellow,purple,orange,pink"
THING_LINES = f"""
toy rolls round losable | 2 | {COLORS},bouncy,striped,spotted,shiny | ball,rubber ball,beach ball/light,soccer ball/big,marble/tiny
toy hard breaks wood losable | 2 | {COLORS},wooden,painted,little | toy train,toy boat/floats,toy car,toy truck,toy plane,spinning top,toy horse,yo-yo,wooden duck,toy bus
toy soft cloth tears losable cuddly | 2 | soft,brown,floppy,fuzzy,worn,cuddly | teddy bear,toy rabbit,rag doll,toy elephant,toy lamb,sock monkey,toy penguin,toy dog
toy wind paper tears light | 2 | {COLORS},striped,bright | kite,pinwheel,paper plane,balloon/pops,paper lantern
toy music breaks hard losable | 2 | little,shiny,wooden,old,golden | flute,whistle,harmonica,tambourine,drum/big,music box,bell,horn,toy guitar/big,trumpet/big,maraca,xylophone/big,recorder
wear cloth tears soft losable | 2 | {COLORS},warm,woolly,striped,new | scarf,hat,cap,sweater,coat/big,jacket/big,cape,apron,ribbon/tiny,bow tie/tiny,bonnet
wear cloth pair plural tears losable | 2 | {COLORS},warm,woolly,striped,new | mittens,socks,gloves,slippers,boots/hard,shoes/hard,sneakers/hard,sandals/hard
wear hard treasure tiny losable | 1 | shiny,silver,golden,pretty,sparkling | ring,necklace,bracelet,crown/big,brooch,locket,medal,badge,pocket watch,hair clip
treasure tiny hard losable | 1 | shiny,smooth,pretty,round,tiny,sparkling | coin,pebble,button,key,bead,gem,crystal,seashell,pearl,magnet,penny,silver spoon,glass bead
nature tiny light losable | 1 | pretty,soft,bright,tiny,long,curly | feather,leaf,acorn/hard,pine cone/hard,flower,daisy,clover,chestnut/hard,stick,twig
paper tears flat losable | 2 | new,favorite,thick,old,colorful,thin | book,notebook,storybook,picture book,map,letter/light,card/light,drawing/light,painting,calendar,photo/light,comic book
glass breaks hard kitchen | 2 | blue,pretty,painted,old,shiny,white,favorite | vase,teapot,cup,plate,bowl,mug,jar,glass,sugar bowl,pitcher,lamp/big,snow globe,picture frame,flowerpot,mirror
wood breaks hard big | 3 | wooden,little,old,painted,sturdy | chair,stool,birdhouse,toy castle,bookshelf,doll house,rocking horse,sled,wagon,toy chest,cart,easel
rides breaks hard big metal | 4 | {COLORS},shiny,new,fast | bike,tricycle,scooter,skateboard,go-cart
tool hard metal | 2 | old,heavy,shiny,useful,strong | hammer,shovel,rake,screwdriver,flashlight,lantern,hook,bucket,watering can,saw,wrench,paintbrush,compass
hold cloth big soft | 3 | warm,soft,striped,patched,{COLORS} | blanket,pillow,quilt,tent,rug,towel,flag,curtain,cushion,sleeping bag
hold losable | 3 | big,little,brown,round,old,sturdy | basket,box,bag,backpack,lunch box,suitcase,pouch/tiny,purse,treasure chest/big,barrel/big,sack
craft small_ | 2 | colorful,sharp,thick,new,long | crayon,pencil,paint box,pair of scissors,ball of yarn,roll of tape,bottle of glue,piece of chalk,needle,thread,rope,string,ruler,stamp
food sweet baked share | 2 | warm,sweet,big,sticky,delicious,golden | cake,pie,muffin,cookie,cupcake,loaf of bread,pancake,gingerbread man,bun,tart,doughnut,waffle,biscuit,pretzel
food fruit share round | 1 | ripe,juicy,sweet,big,shiny | apple,pear,peach,plum,orange,banana,melon/big,pineapple,mango,lemon,strawberry,coconut/hard
food plant share | 1 | crunchy,fresh,green,big,ripe | carrot,tomato,potato,pumpkin/big,cabbage,corn cob,cucumber,onion,pepper,beet,turnip,radish,bean,pea pod,mushroom
food share sweet plural | 1 | ripe,sweet,juicy,fresh,delicious | berries,cherries,grapes,nuts,raisins,strawberries,blueberries,blackberries,apricots
food share treat | 2 | hot,tasty,creamy,fresh,yummy | sandwich,pizza,bowl of soup,bowl of noodles,ice cream cone,cheese,jar of honey,jar of jam,bottle of milk,lemonade,popcorn,pudding,chocolate bar,lollipop,omelet,dumpling,salad
seedling tiny | 0 | tiny,brown,round,flat | seed,sunflower seed,pumpkin seed,bean seed,apple seed,bulb,cherry pit
machine hard breaks metal | 3 | shiny,old,new,little,noisy | clock,radio,fan,camera,alarm clock,telescope,toaster,sewing machine,lawn mower/big,music player,microscope
furniture big hard | 5 | old,big,wooden,cozy | bed,table,sofa,desk,bathtub,wardrobe,piano,ladder,wheelbarrow,swing,seesaw,bench,hammock,mailbox
sport losable | 2 | new,strong,old,fast,{COLORS} | bat,jump rope,hula hoop/big,frisbee/light,tennis racket,net/big,fishing rod/big,helmet,kickboard,paddle,arrow,golf club
fun losable breaks | 2 | shiny,new,colorful,favorite,clever | puzzle,board game,deck of cards,magnifying glass,toy robot,puppet,mask,magic wand,paper crown/tears,set of blocks,model rocket,kaleidoscope,snow shovel,bubble wand
"""


@dataclass(frozen=True)
class ThingKind:
    noun: str
    size: int
    tags: frozenset
    adjectives: tuple

    @property
    def pronoun(self):
        return "they" if "plural" in self.tags else "it"


def read_things(lines):
    """The table above as {noun: ThingKind}."""
    things = {}
    for line in lines.strip().splitlines():
        tags, size, adjectives, nouns = (part.strip() for part in line.split("|"))
        for entry in nouns.split(","):
            noun, *own = entry.split("/")
            words = {*tags.split(), *own, noun.replace(" ", "_")}
            bigness = int(size) + ("big" in own) - ("tiny" in own)
            looks = tuple(a for a in adjectives.split(",") if a not in noun)
            if noun not in things:
                things[noun] = ThingKind(noun, bigness, frozenset(words), looks)
    return things


THINGS = read_things(THING_LINES)


def main(argv=None):
    for line in THING_LINES.strip().splitlines():
        tags, _, _, nouns = line.split("|")
        print(f"{tags.strip():32.32} {nouns.strip()}")
    print(len(THINGS), "things")


if __name__ == "__main__":
    main()
