"""The third table of topics: promises, new food, warnings, greed, narrow places, jobs, heavy loads, surprises."""

from topics_more import lines

PROMISES = lines("""
name # for # task # tempt # harm # mend
water the tomatoes # child # to water the tomatoes in the greenhouse # a parade with drums went by # the
    tomatoes hung their heads and their leaves were like paper # carried one can of water after the other
    until it was dark
feed the rabbit # child # to feed the neighbor's rabbit # a new swing hung in the yard # the rabbit sat by the
    empty bowl and thumped with its foot # brought hay, carrots and fresh water, and said sorry to the long
    ears
shut the gate # child farm # to shut the gate of the pasture # a fair had come to the village # the sheep
    stood in the cabbage bed and chewed # led the sheep back one by one with a bell
watch the soup # child # to stir the soup # there was a funny story on the radio # the soup had burned, and
    black smoke filled the kitchen # scrubbed the pot for an hour and cooked a new soup from what was left
bring back the book # child # to bring back the library book that day # the ice cream cart rang at the corner
    # another child stood before the empty place on the shelf and cried # ran all the way, and read the book
    aloud to the other child
look after the egg # bird farm # to keep the egg warm # there was a lovely puddle to bathe in # the egg lay in
    the wind and was nearly cold # sat down on it with all feathers spread and did not move until it cracked
keep the fire # child forest # to keep the small fire going # berries shone at the edge of the clearing # only
    gray ash was left, and the others came home cold and wet # blew on the last spark, and fed it with bark
    and twigs until it burned
guard the nuts # forest # to guard the pile of nuts # somebody was playing a tune behind the trees # a cheeky
    crow had carried off half of the pile # gathered new nuts until the pile was as high as before
call at sunset # child forest # to be home at sunset # the game was just at its best # a light burned at home
    in the window, and somebody walked up and down and was worried # ran home without stopping and helped with
    the dishes all week
save a seat # child # to save a seat at the puppet show # there was a man who could juggle five oranges # all
    the seats were taken, and the friend stood at the back and saw nothing # gave up the own seat and told the
    whole play again, with all the voices
hold the rope # pond child # to hold the rope of the boat # a big fish jumped out of the water # the boat had
    drifted off, as small as a nutshell # swam after the boat and pulled it back to the shore
pick up the little brother # child # to pick up the little brother at three # the others were just choosing
    teams # the little brother stood at the gate all alone, with his bag on his back # carried the bag and the
    brother all the way home, and sang
wake everybody # farm # to wake everybody at dawn # the party of the frogs went on until late # the farm slept
    until noon, and the milk was sour # stayed awake the whole next night, so as not to miss the sun
carry the letter # bird child forest # to carry a letter over the hill # there was a race on the meadow # the
    letter lay in the grass, wet with dew, and the party it spoke of was that very night # flew and ran, and
    read the letter aloud, for the ink had run
""")

FOODS = lines("""
name # for # dish # looks # bad # trick # taste
spinach # child # a plate of spinach # as green as a swamp # it will taste of frogs # called it dragon grass
    and took a big bite first # it was soft and salty, and a little like a secret
mushroom soup # child forest # a bowl of mushroom soup # brown, and things swam in it # it looks like a puddle
    # counted the mushrooms and ate the smallest one # it tasted of the woods after rain
fish # child snow # a piece of baked fish # pale and shiny # it is looking at me # told about the sailors who
    grow strong from it # it fell apart on the tongue and was as mild as butter
olives # child # a bowl of olives # like the eyes of a toad # they will roll around in my tummy # put one on
    each finger and nibbled them off # they were salty and strange, and then one wanted another
beets # child # a red beet salad # so red that it colored the plate # it will make me red from inside #
    painted a red mustache with it # it was as sweet as fruit
clover cake # farm forest # a clover cake # flat and green # that is for goats # ate a piece and hummed with
    joy # it was juicy and smelled of summer
seaweed # sea pond # a salad of seaweed # like wet hair # I will not eat hair # wound it up like noodles # it
    crunched and tasted of waves
cheese with holes # child forest # a piece of old cheese # yellow, and it smelled of feet # somebody has worn
    it # held the nose and ate it with a pear # it was creamy and tickled a little
porridge # child forest # a bowl of porridge # gray and bumpy # it is glue # drew a face on it with honey # it
    was warm all the way down
pumpkin pie # child # a slice of pumpkin pie # orange and wobbly # vegetables are no cake # put a cloud of
    cream on top # it tasted of cinnamon and fall
lentils # child # a stew of lentils # like a heap of tiny stones # I will break my teeth # said that giants
    eat it by the bucket # it was thick and warm, and the spoon came back for more
mango # child jungle # a slice of mango # slippery like a fish # it will jump off the plate # cut it into a
    hedgehog # it was like eating sunshine
broccoli # child # some broccoli # like a tree that had shrunk # I do not eat trees # played the giant who
    eats a forest # the little tree crunched and was gone, and then the next one
worms of noodle # bird # a dish of long noodles # white and long # these worms are dead # pulled one in with a
    loud slurp # they slid down by themselves and made one laugh
""")

WARNINGS = lines("""
name # for # rule # lure # harm # rescue # after
thin ice # child snow # not to step on the thin ice # the ice looked like a mirror of glass # the ice cracked,
    and one foot went into the cold water # lay down flat and held out a long branch # a dry blanket and hot
    tea
the goose's nest # child farm # not to go near the nest of the goose # five white eggs shone in the straw #
    the goose came, hissed, and nipped {hero.p} leg # threw a hat for the goose to chase # a patch in the
    shape of an egg
the hot stove # child # not to touch the pot on the stove # it smelled so good that one had to look # a finger
    touched the hot rim # held the finger under cold water for a long time # a bandage with a bear on it
the tall wall # child # not to climb the old wall # the ripest plums hung on the other side # a stone broke
    off, and there was no way up and no way down # brought a ladder and climbed up, step by step # plums for
    everyone, from the market
the bees # forest child # to leave the bees alone # the honey glowed in the hollow tree # the bees came out
    like a dark cloud # called from the stream, "Jump in, quick" # mud on seven bumps
the deep puddle # child # not to jump into the big puddle # it was so round and so brown # the puddle was as
    deep as a barrel, and one boot stuck fast # pulled, and pulled, until it went plop # a warm bath and a
    clean sock
the wolf's path # forest farm # not to leave the path # the best berries grew between the dark trees # it grew
    dark, and there were eyes everywhere # came with a lantern and a loud song # soup, and not one word of
    scolding
the scissors # child # not to cut anything but paper # the curtain had such nice flowers # snip, there was a
    hole as large as a plate # sewed a round window of blue cloth into the curtain # a box of paper flowers,
    cut with care
the strange nut # jungle # not to eat the red nuts # they shone like beads # the tongue grew thick, and the
    words came out crooked # squeezed the juice of a lime and held the cup # all the talking that had been
    missed
the current # pond sea # not to swim past the big rock # a golden light danced behind it # the water pulled
    and pulled and did not let go # threw a long weed and held on with all strength # a rest on the warm sand
the attic window # child # not to lean out of the attic window # swallows fed their young right under the roof
    # a slipper fell down, and the window slammed shut # came running and opened it from inside # a book about
    swallows, to be read on the sofa
the mud hole # farm # to stay away from the mud hole # it looked cool on a hot day # the mud was deep, and it
    went up to the belly # laid down boards and pulled with the old horse # a shower with the garden hose
the dog's bone # pet child # not to touch the big dog's bone # it lay there all alone # the big dog opened one
    eye and growled # came between and spoke softly, until the dog lay down again # a bone of one's own
the nest up high # bird # not to fly before the wings were ready # the sky was so blue that morning # a bush
    came nearer, much too fast # picked the twigs out, one by one # a week of short hops
""")

GREED = lines("""
name # for # stuff # way # more # harm # end
berries # forest child # ripe berries # filled the basket up to the rim # put berries into the hat and both
    boots # the boots burst, and the berries rolled down the hill # the ants had a feast
cookies # child # cookies on a plate # took one, and then one more # took all that were left # {hero} had a
    tummy like a drum and could not even look at the dinner # the plate stood there, empty, and nobody had had
    any
acorns # forest # acorns under the oak # carried home a hundred # piled them up to the ceiling # the door
    would not open any more, and there was no room to sleep # the whole heap came down like a brown wave
fish # snow # fish in the bay # caught one for lunch # caught so many that the sled bent # the sled broke
    through the snow, and the fish slid back into the sea # the gulls laughed
flowers # child bug # flowers of the meadow # picked a small bunch # picked every flower, down to the last #
    they all hung their heads before evening # the meadow was brown and without a single bee
honey # forest # pots of honey on the shelf # licked one spoonful # put the whole head into the biggest pot #
    the pot was stuck and would not come off # one could only hear a deep voice out of the pot
toys # child # toys in the sandbox # wanted the red shovel # dragged all the toys into one corner # {hero} sat
    on a mountain of toys, and there was nobody to play with # the others built a castle with bare hands and
    laughed
apples # farm child # apples of the old tree # ate one from the grass # shook down even the green ones #
    {hero} had such a bellyache that only lying down helped # the tree stood there as if it was cold
shells # sea # shells on the sand # found a white one # took the shells of the snails as well # there was a
    knock, and ten snails asked for their houses # every house was given back, with a bow
bananas # jungle # bananas on the tree # ate two at breakfast # held twelve in two arms and two feet # {hero}
    had no hand free to hold on to the branch # splash, {hero} fell into the pond, with all twelve
grain # farm # grains in the trough # pecked a little # chased the others off and ate it all # {hero} could
    not get through the little door of the coop # {hero} had to sleep outside in the rain
lily pads # pond # lily pads on the water # sat on the largest # wanted to own them all # {hero} swam from one
    to the next all day, and could rest on none # at night, nobody came to sing along
""")

STUCKS = lines("""
name # for # how # pull # idea # free
a bear cub in a hollow log # forest # crawled into a hollow log after a beetle, and now the belly was wedged #
    pulled at the paws, but the log came along # rub the log with wet moss, so that it is slippery # pop, out
    came the belly, and the beetle too
a goat on a ledge # farm child # climbed onto a narrow ledge after the best herbs and could not turn around #
    called and called, but the goat only looked at the sky # lay a trail of salt, one grain after the other,
    along the safe way # lick by lick, the goat came down
a cat in a tree # child # chased a moth up the tall tree and did not know how to come down # stretched up, but
    the arms were too short # hang a basket on a rope over the branch, with a bit of tuna in it # the cat
    stepped in, sniffed, and rode down like a queen
a hedgehog in a can # child forest # stuck its head into an old can and ran about in circles # held the can,
    but the prickles were sharp # wear thick gloves and turn the can slowly, like a lid # the hedgehog
    blinked, sneezed, and looked at the sun
a train in the snow # train # drove into a great white drift, and the wheels spun # pushed from behind, and
    the snow only grew harder # throw warm ashes under the wheels # chug, chug, and the engine rolled out,
    white up to the chimney
a frog in a bottle # pond # jumped into a bottle to look at the world in green, and the neck was too narrow #
    shook the bottle, but that only made one dizzy # fill the bottle with water, so that one floats up # up
    went the frog, and out, with a plop
a kitten behind the wall # child # slipped through a crack after a mouse and could not turn # called sweetly,
    and there was only crying # take away the loose brick at the bottom # a gray nose came out, then two ears,
    then all of it
a whale in the shallow bay # sea # followed the small fish too far, and the tide went out # pushed, but a
    whale is as heavy as a hill # dig a channel, and wait for the next high wave # the wave came, lifted, and
    carried the whale out
a duckling in the pipe # pond farm # waddled into a pipe and was afraid of the dark # reached in, but the pipe
    was too long # let the mother quack at the other end # pat, pat, pat, came the little feet, toward the
    light
a monkey in the cage # jungle # reached into a box for a nut, and the fist did not come out again # pulled at
    the tail, which did not help # let go of the nut, for an open hand is thinner than a fist # the hand
    slipped out, and then the nut was simply shaken out
a sheep in the fence # farm # pushed its head through the fence, for the grass was greener there # pushed from
    the front, but the ears were in the way # put butter on the wool and fold the ears back # slip, and the
    sheep stood there, shining with butter
a ladybug in the jam # bug # landed on a jam bread, and all six feet were stuck # blew at it, but the jam was
    thick # build a bridge of crumbs and drip a little water # foot by foot, the ladybug walked out, and left
    red dots everywhere
a penguin in a hole # snow # slid into a hole in the ice and was too round to get out # held out a flipper,
    and it slipped away # throw in snow, so that the floor grows higher # layer by layer, the penguin rose up
    and stepped out
""")

JOBS = lines("""
name # for # boss # place # work # slip # again # gift # own
at the bakery # child # baker # the bakery # to weigh the flour # mixed up the salt and the sugar # dropped a
    tray of rolls # had a fine nose # knew by the smell, to the second, when the bread was done
at the farm # child # farmer # the farm # to milk the cow # sat on the wrong side and got a tail in the face #
    kicked over the pail # could sing softly # sang to the cow, and she gave more milk than ever
in the garden # child # gardener # the garden # to pull out the weeds # pulled out the carrots, too # stepped
    on the young lettuce # looked at things closely # found the tiny snails before they could eat a single
    leaf
in the library # child # librarian # the library # to put the books in order # sorted them by color # knocked
    over a tower of books # could tell stories # read to the smallest ones, and the library had never been so
    full
at the harbor # child # fisherman # the harbor # to mend the nets # tied a knot into the own sleeve # let the
    bucket fall into the sea # had sharp eyes # saw the fog come, long before it was there, and called the
    boats home
in the workshop # child # carpenter # the workshop # to hammer the nails # hit the own thumb # sawed off the
    wrong leg of the chair # had small hands # reached into the narrow gap where no one else could turn the
    screw
at the circus # child # clown # the circus # to hold the hoops # tripped over the drum # let the balloons fly
    # laughed so that all had to laugh # became the one whose laugh starts the show
at the station # child # bus driver # the bus stop # to ring the bell # rang it at the wrong stop # gave
    everyone two tickets # remembered every face # greeted each guest by name, and people came only for that
in the clock shop # child # clockmaker # the village # to wind up the clocks # wound one until the spring went
    twang # set them all to a different time # heard the smallest sounds # heard which tiny wheel was out of
    step
with the painter # child # painter # the village # to wash the brushes # stirred all the paints into gray #
    sat on the wet picture # saw colors everywhere # found the blue that had been missing, in the shadow of a
    cat
in the tailor's shop # child # tailor # the village # to sort the buttons # sewed a sleeve shut # cut the
    cloth too short # had many ideas # turned the short cloth into a jolly cap, and everybody wanted one
in the post office # child # mail carrier # the village # to sort the letters # read the names upside down #
    dropped the bag into the brook # ran like the wind # brought the one letter that was late just in time for
    the wedding
with the bees # child # beekeeper # the meadow # to carry the honey frames # forgot the veil # left the lid of
    the honey pot open # could stand quite still # stood as still as a tree, until the lost swarm sat down on
    one arm
in the castle # child # king # the castle # to polish the crowns # dropped one into the soup # put the
    smallest crown on the dog # knew good jokes # made the king laugh, who had not laughed for a year
with the queen # child # queen # the castle # to carry the train of her cloak # stepped on it # tied it to a
    chair # could listen well # listened to the queen, who had so much to tell and nobody to tell it to
at the wizard's tower # child # wizard # the magic wood # to stir the potion # stirred it the wrong way, and
    it turned into pudding # woke up the sleeping broom # never forgot a thing # remembered the magic word
    that the wizard had lost
on the ship # child # sailor # the harbor # to coil the ropes # tied both boots to the mast # let the flag
    fall into the water # could whistle # whistled for the wind, and the wind came
with the sheep # child # shepherd # the meadow # to count the sheep # fell asleep at twelve # opened the wrong
    gate # had a warm voice # called, and all the sheep came running
in the hen house # farm forest # farmer # the farm # to count the eggs # counted three of them twice # sat
    down on one # was gentle # calmed the frightened hens when the hawk came by
""")

LOADS = lines("""
name # for # load # where # steep # slip # song # reach
toys over the hill # train # a long row of wagons full of toys # the children on the other side of the
    mountain # the track rose up like a wall # rolled back, a little, and then a little more # one more turn,
    one more turn # the children ran along the track with lanterns
milk for the town # train # forty cans of milk # the town by the river # snow lay on the rails # slipped, and
    the wheels spun in the air # slow is fine, slow is fine # the whole town had breakfast at last
a ship in the storm # tugboat # a great white ship with a broken engine # the safe harbor # the waves were as
    high as houses # was thrown back twice # pull and breathe, pull and breathe # the big ship blew its horn
    three times for the little one
rain for the field # cloud # a belly full of rain # the dry field behind the hills # the mountains stood in
    the way # bumped into the peak and lost some drops # higher, higher, light and gray # the field drank, and
    the farmer danced with his hat in his hand
medicine in the night # robot # a box of medicine # the sick child at the end of the valley # the bridge was
    under water # sank in the mud up to the knees # left and right, day and night # the mother opened the
    door, and the box was dry
a log for the dam # pond # the last big log # the dam that was about to break # the bank was steep and wet #
    rolled down again with the log on top # heave and ho, on we go # the water stopped, and everyone below was
    safe
a crumb for the queen # ant # a crumb as large as a house # the queen of the hill # a stone stood in the way #
    tumbled over, crumb and all # step and step, that is all # the queen broke the crumb in a hundred parts
a stone for the well # donkey pony # a heavy round stone # the new well in the village # the road went up and
    up # had to stop, with shaking knees # one for the hill, one for the well # the first cup of water was for
    the one who had pulled
light for the lost # firefly star # a little light # the ones who were lost in the wood # the fog was as thick
    as wool # nearly went out in the damp # glow, glow, nice and slow # one after the other, the lost ones
    came and followed the light
a bell for the tower # pony donkey # the new bronze bell # the church tower on the rock # the last bend was
    the steepest # slid on the wet stones # ding and dong, it is not long # the bell rang, and all the doors
    in the valley opened
""")

THIRD_TOPICS = {
    "promises": PROMISES,
    "foods": FOODS,
    "warnings": WARNINGS,
    "greed": GREED,
    "stucks": STUCKS,
    "jobs": JOBS,
    "loads": LOADS,
}
