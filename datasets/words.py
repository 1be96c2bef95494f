"""Lists of words for details: {any.color}, {any.flower}, {any.dish}. Anything on a list can stand in for any other.

A line a list; an indented line goes on with the one above. Run it to see how long the lists are.
"""

import re

WORD_LINES = """
color: red, blue, green, yellow, purple, orange, pink, white, brown, gray, golden, silver, black, light blue,
    dark red, dark green, cream-colored, violet, turquoise, pale yellow, rosy, bright red, sky-blue, rust-red,
    lemon-yellow
hair: brown, black, red, blond, golden, dark, curly, straight, wavy, wild, fair, chestnut, copper-red,
    tangled, silky
length: long, short, thick, soft, messy, shiny, fine, bouncy, smooth
garment: coat, hat, scarf, sweater, cap, jacket, shirt, raincoat, vest, cape, hood, belt, apron, knitted cap,
    straw hat, sun hat, cardigan, bow tie, backpack, wool hat, checked shirt, overcoat
footwear: boots, shoes, socks, slippers, sandals, sneakers, rain boots, wooden shoes, knee socks, shoelaces,
    mittens, gloves
pattern: stripes, dots, stars, little hearts, flowers, patches, squares, moons, zigzags, cherries, tiny fish,
    anchors, leaves, clouds, snowflakes, buttons, strawberries, ducks, suns, swirls
flower: rose, daisy, tulip, poppy, violet, sunflower, bluebell, lily, buttercup, dandelion, primrose,
    marigold, snowdrop, pansy, peony, foxglove, cornflower, crocus, iris, carnation, hyacinth, thistle,
    lupine, aster, orchid
flowers: roses, daisies, tulips, poppies, violets, sunflowers, bluebells, lilies, buttercups, dandelions,
    marigolds, pansies, peonies, foxgloves, cornflowers, crocuses, irises, carnations, snowdrops, primroses,
    lupines, asters, thistles
tree: oak, maple, birch, willow, pine, chestnut, beech, linden, poplar, fir, elm, ash, cherry tree, apple
    tree, pear tree, plum tree, walnut tree, hazel bush, spruce, larch, alder, cedar, hawthorn, elder bush,
    juniper, rowan
bug: beetle, ladybug, moth, bumblebee, grasshopper, dragonfly, snail, ant, spider, caterpillar, cricket, fly,
    butterfly, wasp, bee, gnat, earwig, mosquito, water strider, stag beetle, millipede, firefly, wood louse,
    May bug
bugdoing: buzzed about, hummed, sat in the sun, cleaned its legs, wandered up a stem, crossed the path, took a
    rest, looked for shade, flew in circles, carried a crumb, opened its wings, hid under a leaf, went its
    way, drank some dew
bird: robin, sparrow, crow, blackbird, wren, finch, thrush, magpie, cuckoo, pigeon, lark, swallow, starling,
    jay, chickadee, nuthatch, woodpecker, dove, seagull, bunting, oriole, raven, goldfinch, kestrel, stork,
    heron, titmouse, warbler
beast: cat, dog, goat, hen, rabbit, hedgehog, squirrel, mole, donkey, goose, cow, rooster, horse, mouse, frog,
    sheep, pig, duck, toad, lizard, pony, calf, lamb, weasel, puppy, kitten, badger, shrew, turkey, hare,
    dachshund, poodle
doing: was asleep in the sun, looked out from under a hedge, ran across the path, was looking for food,
    scratched its ear, sat on a wall, yawned, chewed something green, stared and blinked, rolled in the dust,
    stretched its legs, drank from a puddle, turned its head, hurried home, stood in the shade, sneezed twice,
    was digging a hole, sniffed the air, played with a leaf, stood on a box, licked its nose, waited at a
    gate, was hiding from the wind, trotted by, was eating a carrot, had found an apple, shook off the dew,
    closed one eye, walked in a circle, peeped through the fence, dozed beside a bucket, was on its way
    somewhere, looked very important
birdsong: sang, whistled, called twice, chirped, sang three notes, scolded, sang high above, tapped on a
    branch, fluttered up, cleared its throat, sang without a pause, called its mate, answered another, hopped
    from twig to twig, cleaned its feathers, carried a straw, looked for worms, sang the same song again, flew
    off, took a bath in the dust, sat on a wire, built its nest
building: mill, church, bakery, house, tower, wall, shop, barn, gate, windmill, school, cottage, shed, post
    office, well, greenhouse, stable, brick house, inn, bridge, candle shop, shoe shop, fire station, pump,
    water tower, garage, cinema, hat shop, fruit stand, bell tower, toy shop, smithy, dairy, chapel, kiosk,
    museum, playhouse, pigeon house, lighthouse
state: old, crooked, quiet, shut, sleepy, freshly painted, empty, busy, low, dusty, sunny, narrow, wet, tidy,
    tiny, gray, tall, cozy, dark, lonely, noisy, half-finished, round, mossy, famous, shady, brand-new,
    pretty, strange, small, cheerful
fruit: apples, pears, plums, berries, cherries, grapes, melons, peaches, oranges, bananas, nuts, figs,
    apricots, lemons, strawberries, blackberries, chestnuts, pumpkins, carrots, radishes, turnips, tomatoes,
    cabbages, onions
dish: pancakes, noodles, soup, bread and butter, apple pie, rice, cheese, potatoes, carrots, plum cake,
    cookies, warm milk, pudding, tomato salad, jam rolls, corn, pumpkin soup, omelets, berries with cream,
    dumplings, honey bread, waffles, porridge, peas, lemon cake, toast, nut bread, pears, sandwiches, stew,
    pizza, mushrooms, fried eggs, cherry pie, potato salad, cucumber soup, macaroni, bean stew, rice pudding,
    baked apples, oatmeal, cheese rolls, raisin bread, applesauce, spinach pie, fruit salad, beet soup, corn
    bread, carrot cake, onion tart, lentil soup, peach cake, sweet potatoes, blueberry muffins, cinnamon buns,
    egg salad, vegetable soup, cream cheese, mashed potatoes
drink: lemonade, cocoa, apple juice, mint tea, milk, cold water, berry juice, orange juice, grape juice, warm
    milk, cherry juice, chamomile tea, peach juice, hot chocolate, ginger ale, pear juice, buttermilk,
    elderflower juice, carrot juice
snack: an apple, a pear, a plum, two cookies, a jam roll, some nuts, a bun, a carrot, a piece of cheese, a
    slice of bread, a handful of berries, a sandwich, a banana, a muffin, three cherries, a pretzel, a honey
    cake, a boiled egg, a cucumber, two apricots, a cheese roll, some raisins, a rice cake, a tangerine, half
    a melon, a peach, a biscuit, a slice of pie, a bag of popcorn, some crackers, four figs, a corn cob, a
    cinnamon bun, a fig, an orange, a waffle
find: a feather, a flat stone, a snail shell, a lost button, a pine cone, a bent spoon, a white pebble, a blue
    bead, a key, a four-leaf clover, a piece of eggshell, a round nut, a bottle cap, a curl of bark, a marble,
    a fir twig, a ribbon, a rusty bell, a silver wrapper, an acorn, a cork, a piece of string, a wooden
    clothespin, a torn ticket, a chestnut, a lucky coin, a smooth stick, a brass screw, a postcard, a dry
    leaf, a shell, a red pencil, a paper star, a little wheel, a bit of chalk, a striped stone, a hairpin, a
    glass bead, a small magnet, a rubber ring, a seed, a thimble
job: sailor, baker, painter, doctor, gardener, singer, pilot, teacher, clown, farmer, builder, dancer, cook,
    firefighter, poet, juggler, clockmaker, captain, shepherd, nurse, inventor, explorer, drummer, beekeeper,
    carpenter, fisherman, conductor, diver, mayor, vet, astronaut, detective, librarian, weaver, acrobat,
    tailor, zookeeper, potter, train driver
game: tag, hide-and-seek, catch, leapfrog, marbles, hopscotch, pirates, school, circus, store, kings and
    queens, statues, knights, doctors, tug-of-war, treasure hunt, follow the leader, trains, post office,
    detectives, musical chairs, shipwreck, robbers, explorers, restaurant, bears, horses, guess the sound,
    dominoes, ring toss
song: about the moon, about a goose, about a river, about ten ducks, about the rain, about a blue boat, about
    spring, about a sleepy bear, about a king, about a train, about the wind, about a star, about a brave
    snail, about an old hat, about the sea, about a lost shoe, about a red balloon, about a fat cat, about the
    first snow, about two frogs, about harvest time, about a lazy cook, about home, about a dancing broom,
    about a windmill, about a kite, about seven brothers, about a silver bell, about a wild horse, about a
    candle, about summer, about a grumpy owl
story: about a lost ship, about a lazy dragon, about two brothers, about a talking tree, about a brave ant,
    about a lonely giant, about the first snow, about a clumsy knight, about a fox and the moon, about a
    whale, about a singing hat, about a golden pear, about a witch with a cold, about a forgetful king, about
    three bears, about a stolen bell, about a mouse at sea, about a hen who could count, about a robot in
    love, about a star that fell down, about an invisible cat, about a stone that wanted to fly, about a
    pirate without a ship, about the last wolf, about a bridge of glass, about an honest thief, about a
    snowman in June, about a girl who lived in a tree
day: Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday
month: January, February, March, April, May, June, July, August, September, October, November, December
number: two, three, four, five, six, seven, eight, nine, ten, twelve
age: four, five, six, seven
smell: cut grass, fresh bread, wet earth, wood smoke, roses, soap, lemons, hay, mint, pancakes, pine needles,
    rain, apples, honey, lavender, ripe plums, warm dust, leaves, cinnamon, coffee, roasted nuts, moss,
    clover, oranges, vanilla, onions, sawdust, toast, lilac, mushrooms, tar, jasmine, strawberries, chimney
    smoke, thyme, wet stones, linden blossom
cloud: a sheep, a ship, a dragon, a teapot, a whale, a rabbit, a bearded man, a castle, a shoe, a fish, a hat,
    a bear, a snail, a crown, a cake, a goose, a camel, an elephant, a kettle, a bed, a tractor, a horse, a
    pear, a giant foot, a cat, a mushroom, a turtle, a piano, a pillow, a boat, a big nose, a mitten, an
    umbrella, a swan, a bear cub, a loaf of bread
sky: blue, pale, gray, clear, pink, full of clouds, wide and bright, white like milk, golden, silver, deep
    blue, striped, light green, almost white, dark in the west, full of swallows, washed clean, yellow, hazy,
    high and empty
feel: warm, cool, soft, damp, fresh, mild, still, sweet, clear, heavy, dry, crisp, gentle, thick, light
virtue: honest, patient, polite, helpful, careful, gentle, funny, loyal, brave, kind, clever, curious,
    generous, cheerful, calm, tidy, hardworking, friendly, modest, sensible, thoughtful, merry, lively, fair,
    bold, truthful, peaceful, quick, good-natured, even-tempered, warm-hearted, quiet, grateful, attentive,
    humble
sweet: a lollipop, a cookie, a piece of cake, a cup of cocoa, a honey bun, an ice cream, a muffin, a plum
    tart, a jam sandwich, a caramel, a bowl of pudding, a slice of melon, a gingerbread heart, a chocolate
    egg, a candied apple, a doughnut, a cream puff, a pancake with jam, a marshmallow, a sugar mouse, a
    peppermint, a cherry tart, a bag of toffee, a dish of strawberries, a nut bar, a coconut cookie, a lemon
    drop, a waffle with cream
"""


def read_words(text):
    """The lines above as {name: template of alternatives}."""
    lines = re.sub(r"\n +", " ", text.strip()).splitlines()
    return {name: values.replace(", ", "|") for name, values in (line.split(": ", 1) for line in lines)}


WORDS = read_words(WORD_LINES)


def main(argv=None):
    for name, values in WORDS.items():
        print(f"{name:9} {values.count('|') + 1:3}: {values[:80].replace('|', ', ')}")


if __name__ == "__main__":
    main()
