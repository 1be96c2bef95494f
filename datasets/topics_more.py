"""More of what stories are about, one line a row: noises, makings, the weak, wishes, journeys, contests, illnesses.

The first line of each table names its fields; fields are divided by #. They are templates, as in topics.py.
"""

import re


def lines(text):
    """A table: a line of field names, then a row a line, divided by #, as {first field: {field: text}}."""
    head, *body = re.sub(
        r"\n +", " ", text.strip()
    ).splitlines()  # an indented line goes on with the one above
    fields = [name.strip() for name in head.split("#")]
    table = {}
    for line in body:
        values = [value.strip() for value in line.split("#")]
        if len(values) != len(fields):
            raise ValueError(f"{len(values)} fields for {len(fields)}: {line}")
        table[values[0]] = dict(zip(fields, values))
    return table


NOISES = lines("""
name # for # where # sound # guess # trail # truth # end
woodpecker # child forest # outdoor wood # tock, tock, tock # somebody is locked in and wants to get out #
    there were fresh chips of wood on the ground # it was a woodpecker who was building a nest in the trunk #
    the woodpecker let them look into the round little door
cat in the box # child # indoor # scratch, scratch # there is a ghost in the wall # a box in the corner moved
    all by itself # a gray cat had climbed into the box, and the lid had closed behind her # the cat purred
    and rubbed her head on everyone's legs
drip # child # indoor home # plip, plop, plip # somebody is walking about in wet shoes # there was a small
    puddle on the floor # rain came through a hole in the roof, drop by drop, into an old pot # they put a
    bigger pot there and made up a song to the drops
frog choir # child pond forest # outdoor pond # rumm, rumm, rumm # a motorboat is lost in the reeds # the
    sound came from a hundred places at once # it was a choir of frogs who practiced for the summer feast #
    the frogs bowed and sang their best song twice
shutter # child # indoor home # clap, clap, bang # a giant is knocking # cold air came through the room # a
    window was open, and the wind played with the shutter # they shut the window, and the house was as quiet
    as a mouse
mouse family # child pet # indoor home # tip, tap, tip, tap # tiny dancers live under the floor # there was a
    trail of crumbs along the wall # a mouse was carrying crumbs home to five baby mice # they left a piece of
    cheese by the hole every evening
snoring bear # forest # outdoor # rrrr, shhh, rrrr, shhh # a dragon is hiding in there # the leaves in front
    of the cave moved in and out # it was only an old bear who was snoring # they tucked a leaf under the
    bear's chin and tiptoed away
lost lamb # child farm # outdoor farm # meh, meh # the bushes can talk # there were little hoof prints in the
    mud # a lamb had slipped through the fence and did not know the way back # they brought the lamb back, and
    its mother licked its ears
owl babies # forest child # outdoor wood # schhh, schhh # a snake is hissing in the tree # there were gray
    feathers on the moss # three owl babies were hungry and hissed for their supper # the owl mother came back
    and thanked them for keeping watch
phone # child # indoor home # bzzz, bzzz # a giant bee has moved in # the cushions of the sofa trembled # a
    telephone had slipped between the cushions, and Grandpa was calling # they talked with Grandpa for a long
    time and laughed about the bee
wind harp # child forest # outdoor wood # oooh, oooh # somebody is crying up there # the sound grew when the
    wind grew # an empty bottle hung in a tree, and the wind blew over its neck # they hung up three more
    bottles and had a whole band
toy train # child # indoor home # click, clack, click, clack # a skeleton is dancing # there was a light under
    the door # the little train had been left on and was driving around and around # they let it drive one
    more round and then put it to bed
hedgehog dinner # child pet # outdoor home # smack, snort, smack # a monster is eating the garden # the cat's
    bowl was empty again # a hedgehog was eating from the bowl, with its whole face in it # from then on,
    there were two bowls, one for each
chicks # farm child # farm # peep, crack, peep # the basket is broken and talks # the basket in the straw
    rocked a little # seven chicks were just coming out of their eggs # the smallest chick fell asleep right
    in their lap
beaver # pond forest # outdoor pond # gnaw, gnaw, splash # the water is eating the trees # a tree lay across
    the path, with marks of teeth # it was a beaver who was building a dam for the winter # they brought
    branches, and the beaver showed them the secret door
ice # snow # outdoor # knack, krrr # the sea is waking up # a thin blue line ran through the ice # it was the
    ice itself, which sings when the spring is near # they lay down with one ear on the ice and listened
parrot # jungle child # outdoor # hello, hello, ha ha # somebody invisible is laughing at us # there were
    bright green feathers under the tree # a parrot sat in the leaves and said every word after them # they
    taught the parrot to say good night
elephant nose # jungle # outdoor # troot, troot # the trees have a cold # the ground shook a little with each
    sound # a baby elephant was learning to blow its trunk # they clapped, and the baby elephant gave them all
    a shower
bell of the goat # child farm # outdoor farm # cling, clang # a school is hidden in the fog # the sound moved
    from left to right # a goat with a bell had climbed up too high and waited for help # they led the goat
    down with a handful of salt
crab band # sea # outdoor # tick, tack, tick # a clock has fallen into the sea # the sand jumped with every
    beat # a band of crabs was drumming on empty shells # the crabs lent them two shells, and they all drummed
    together
whale song # sea # outdoor # ooo-whee, ooo-whee # the shipwreck is haunted # the water trembled softly # far
    away, a whale was singing a lullaby to her child # they listened until they were nearly asleep
bumblebee # bug # outdoor # brumm, brumm # a storm is coming # a bellflower shook to and fro # a bumblebee had
    got stuck in the bellflower # they pushed together, pop, and the bumblebee flew off
""")

MAKINGS = lines("""
name # for # first # then # trouble # cure # done
a kite # child # cut a big piece of paper in the shape of a diamond # tied two sticks into a cross # the kite
    spun around and fell on its nose # it needs a long tail to keep it steady # the kite with its tail of
    ribbons rose up into the sky
a birdhouse # child # sawed six boards # nailed the walls together # the roof would not stay on # the boards
    need a strip of leather as a hinge # a pair of blue tits looked in and moved in the same day
a cake # child # mixed eggs, flour and sugar # poured the batter into a pan # the cake sank in the middle like
    a volcano # fill the hole with berries and cream # everybody said it was the best volcano cake ever
a snowman # child snow # rolled a big ball of snow # put a smaller ball on top # the head rolled off again and
    again # press some snow around the neck and stick twigs in it # the snowman stood there with a carrot nose
    and seemed to wink
a sandcastle # child # filled the bucket with wet sand # built four towers # a wave came and licked one tower
    away # dig a ditch around it, so that the water stays out # the castle stood until the stars came out
a raft # child forest # dragged five logs together # laid them side by side # the logs drifted apart in the
    water # tie them with rope, over and under # the raft carried them across without one wet toe
a fort of pillows # child # took all the cushions from the sofa # hung a blanket over two chairs # the roof
    fell on their heads # hold the blanket with clothespins # the fort was big enough for two and a plate of
    cookies
vegetable soup # child forest # washed the carrots # cut everything into small pieces # the soup tasted like
    warm water # it needs a pinch of salt and some herbs # everybody asked for a second bowl
a scarf # child # chose three balls of yarn # knitted row after row # there was a hole where a stitch had been
    lost # take a hook and fetch the lost stitch back # the scarf was as long as the hallway and very warm
a nest # bird # looked for dry grass # wove the blades into a ring # the wind blew the nest apart # put mud
    between the blades, like glue # the nest sat in the fork of the tree, round and strong
a dam # pond # cut thin branches # stuck them into the mud # the water pushed its way through # fill the gaps
    with clay and leaves # the water stood still and made a pool to swim in
a treasure map # child # drew the house and the trees # marked the place with a red cross # the map looked too
    new to be real # dip it in cold tea and let it dry # the map looked a hundred years old
a lantern # child # folded a sheet of gold paper # cut out stars and moons # the paper sagged and would not
    stand # put a ring of cardboard at the bottom # the lantern threw stars on every wall
a puppet show # child # made puppets out of socks # painted a castle on a sheet # the puppets had nothing to
    say # write down who wants what, and who is in the way # everybody laughed, and the dragon had to come
    back three times
a go-cart # child # took four wheels from an old pram # screwed them under a box # the cart only rolled in
    circles # put a rope on the front wheels to steer # the cart rolled down the lane, and they both steered
apple pie # child forest # peeled the apples # rolled out the dough # the dough stuck to the table # put flour
    under it # the pie came out brown and crisp, with steam on top
a garland # forest fairy elf # picked daisies and clover # wound stem around stem # the flowers dropped out
    one by one # make a slit in each stem and pull the next one through # the garland was long enough for
    three heads
a boat of bark # child forest pond # found a thick piece of bark # carved out the middle # the boat tipped
    over at once # put a stone in the bottom # the boat sailed down the stream with its leaf sail up
a drum # jungle child # found a hollow log # stretched a skin of leaves over it # it only went plop # pull it
    tight and tie it with a vine # boom, boom, it could be heard on the other side of the valley
a web # spider # fixed the first thread to a twig # ran back and forth # the wind tore a corner # leave a
    little slack, so that it can sway # the web hung there full of dew, like a window of glass
a cave of snow # snow # dug into a snowbank # smoothed the walls # a part of the ceiling came down # make the
    ceiling round, like an egg # it was warm inside, and the light was blue
a paper boat # child # folded a newspaper in half # folded the corners down # the boat got soggy and sank #
    rub it with a candle, so that the water runs off # the boat sailed around the bend and out of sight
a swing # child # looked for a strong branch # threw a rope over it # the seat hung crooked # make both ropes
    of the same length # the swing flew so high that the leaves tickled their toes
lemonade # child # squeezed ten lemons # poured in water # it was so sour that everybody's eyes closed # add
    sugar, spoon by spoon, and taste each time # there was a line of thirsty people down the street
a birthday card # child # folded a sheet of thick paper # drew a big balloon # the paint ran down like tears #
    lay it flat until it is dry, and add glitter # the card sparkled, and Grandma put it on the shelf
a house of straw # farm # carried the straw together # piled it up into walls # the goat ate the door # make
    the door of thistles # it was the coziest house on the farm
""")

WEAK = lines("""
name # for # who # how # need # give # back
a beetle on its back # child forest bug # a shiny beetle # lay on its back and kicked with all its legs # it
    could not turn over # held out a blade of grass, so that the beetle could pull itself up # the beetle
    showed them a short way through the thorns
a young bird out of its nest # child forest # a young sparrow # sat in the grass with wide eyes and tiny wings
    # it could not fly back up to its nest # made a soft bed of moss in a hat and carried it back to its nest
    # every morning, the sparrow sang at the window
a fish in a puddle # child pond # a small silver fish # splashed about in a puddle that grew smaller and
    smaller # it could not get back to the big water # scooped it up with two hands full of water and ran to
    the shore # the fish jumped three times, high out of the water, to say thanks
a snail on the path # child forest # a brown snail # crept over the hot path, slower and slower # it was too
    dry and too far # put it on a wet leaf in the shade # the snail drew a silver line on the wall, and it
    looked like a heart
a lamb in the brambles # child farm # a white lamb # stood in the brambles and cried # its wool was caught in
    the thorns # loosened one curl of wool after the other # the lamb followed them home and back again, three
    times
a bee in the rain # child forest bug # a wet little bee # lay on a leaf and could not move its wings # it was
    cold and tired # held a drop of honey to it and kept the rain off # the bee showed them where the best
    flowers grew
a duckling that was too slow # pond child farm # a yellow duckling # ran after its family and cried # it had
    fallen behind, and the others were out of sight # carried it along the bank until they heard the mother #
    the mother duck bowed her head and shared her bread
an old dog at the stairs # child # an old gray dog # sat at the bottom of the stairs and sighed # his legs
    were too stiff for the steps # laid a board over the stairs and walked up beside him # the old dog lay on
    their feet in winter and kept them warm
a kitten in a drain # child # a tiny kitten # mewed from deep inside a pipe # it was afraid to come out # put
    a bowl of milk in front and waited without a sound # the kitten grew into a big cat and never forgot them
a mouse with a heavy nut # forest # a thin mouse # pushed at a nut that was bigger than itself # winter was
    near, and the nut would not move # rolled the nut to the mouse's door # in the winter, when food was
    short, the mouse brought half of the nut
a turtle on its shell # child pond # a small turtle # rocked to and fro on its shell # it could not get back
    on its feet # slid a flat stick under the shell and lifted # the turtle carried their paper boat out to
    the middle of the water
a butterfly in a web # child bug forest # a blue butterfly # hung in a spider's web and trembled # the threads
    held its feet # cut the threads, one by one, with a sharp straw # the butterfly sat down on their nose and
    opened and closed its wings
a calf in the ditch # farm child # a brown calf # stood in the ditch with mud up to its knees # the sides were
    too steep # threw down straw until there was a ramp # the calf gave them a ride around the yard when it
    was grown
a baby seal # snow # a white baby seal # called from an ice floe that drifted off # the water between was too
    wide # pushed the ice back to the shore with a long pole # the seal taught them how to find fish in the
    dark
a lost ant # bug # a young ant # ran in circles with a crumb on its back # the rain had washed away the trail
    # walked in front and looked for the smell of home # a thousand ants came to carry away the stone before
    their door
a monkey with a thorn # jungle # a small monkey # held up one foot and whimpered # there was a thorn in it #
    pulled the thorn out, quick as a wink, and cooled the foot with a leaf # the monkey threw down the
    sweetest bananas from the very top
a seahorse in a net # sea # a pink seahorse # turned and turned in an old net # its tail was tangled # bit
    through the strings, one after the other # the seahorse led them to a garden of coral that nobody knew
a new tree # child forest # a very young tree # lay flat on the ground after the storm # its stem was too thin
    to stand # put a strong stick beside it and tied it with a soft ribbon # years later, the tree gave shade
    and sweet red cherries
a bat in the day # forest # a little bat # hung in the bright sun and covered its eyes # it had lost its cave
    # shaded it with a big leaf all the way to the rocks # at night, the bat caught all the mosquitoes around
    their bed
a chick that was cold # farm # the smallest chick # shivered outside the coop # the door had closed too early
    # warmed it under an old hat until the morning # the chick became a rooster who crowed their name at
    sunrise
""")

WISHES = lines("""
name # for # wish # change # fun # trouble # undo
to be a giant # child forest # to be as tall as a house # grew and grew until the chimneys were down by the
    knees # could look into all the nests and wave to the weather vanes # did not fit through the door, and
    the bed was as small as a shoe # it is cozy to be small
to be tiny # child # to be as small as a thumb # shrank until a daisy was as tall as a tree # rode on a beetle
    and slid down a blade of grass # could not lift a spoon, and nobody heard such a small voice # it is good
    to be the size one is
to eat only candy # child # to have candy for every meal # found candy on every plate and in every cup # ate
    candy for breakfast, lunch and supper # had a terrible tummy ache and dreamed of bread and carrots # too
    much of a sweet thing is not sweet any more
to be invisible # child forest # to be invisible # could not be seen any more, not even in the mirror # took
    off people's hats and made the swings move # was not asked to play, and nobody said good night # it is
    nice to be seen
to never sleep # child forest # to stay awake forever # was not tired, not even at midnight # played all night
    under the moon # was alone in the dark, and the next day everything went wrong # the night is there to
    rest
to talk with everything # child # to understand all the things in the house # heard the chairs and spoons
    talking # laughed at the jokes of the kettle # could not think any more, for the clock, the door and the
    shoes all talked at once # silence is a gift
to have snow in summer # child forest # to have snow in the middle of summer # saw the flakes fall on the
    roses # built a snowman under the cherry tree # saw that the flowers hung their heads and the bees were
    cold # everything has its time
to fly # child forest # to fly like a bird # rose up into the air, as light as a feather # circled around the
    church tower and raced the swallows # could not come down again, and the wind blew colder and colder # it
    is good to have firm ground underfoot
to be the fastest # child forest farm # to be faster than anybody # ran so fast that the trees were only a
    green stripe # was first everywhere, before breakfast even # was always alone at the goal and had nobody
    to run beside # it is better to arrive together than to be first alone
to turn all to gold # child # that everything one touches turns to gold # touched a chair, and it turned to
    gold # ran through the house and made it glitter # bit into a golden apple, and even the cat stood there,
    cold and golden # what one loves is worth more than gold
to have all the toys # child # to have all the toys of the world # found the room full of toys up to the
    ceiling # tried one toy after the other # could not find the bed, and the old dear bear was buried
    somewhere below # one loved thing is better than a hundred
to swap with the cat # child # to be a cat for a day # had whiskers, four paws and a long tail # slept in the
    sun and walked on the fence # was given mouse for dinner, and the big dog was awake # everybody's life is
    hardest from inside
to be the king # child # to be the king of the town # had a crown, a throne and ten servants # ordered
    pancakes for everyone and a parade # had to sit still all day and listen to a hundred complaints # a crown
    is heavier than it looks
to be a star # forest bird # to shine up in the sky # hung high among the stars # looked down on all the roofs
    and rivers # was so far away from everyone and so cold # it is warmer to be near one's friends
to have the sea at the door # child pond # to have the sea right in front of the door # heard waves in the
    street # sailed to breakfast in the washing tub # had wet socks and a crab in the bed # not every wish
    fits into a street
to make time stop # child # that the clock stands still # saw that everything stopped, even the water in the
    fountain # walked about between the standing people # waited for a laugh or a word, and nothing moved #
    time must go on, so that the best things can come
to be strong # forest child # to be as strong as a bear # could lift a wagon with one hand # carried stones
    and logs for everybody # broke every cup, and every hug hurt somebody # strength needs a gentle hand
""")

JOURNEYS = lines("""
name # for # goal # why # pack # block # way # arrive
the sea # child forest # the sea # had heard that it was bigger than all the fields together # an apple, a map
    and a warm sweater # a wide river lay across the way # found a fallen tree and crossed over it, step by
    step # and there it was, blue and endless, and the waves said hush
the top of the mountain # child forest princess prince # the top of the mountain # wanted to touch a cloud #
    bread, a rope and a bottle of water # a steep wall of rock rose in front # went around it on a path that
    only the goats knew # and at the top, the clouds were so near that they left drops on every nose
grandma's house # child forest # Grandma's house behind the woods # had not seen her for a long time # a jar
    of jam and a drawing # the path split in two, and the sign had fallen down # looked where the sun stood
    and remembered that her house lay in the east # and Grandma stood at the door, with flour on her hands,
    and opened her arms
the end of the rainbow # child forest princess prince unicorn # the end of the rainbow # wanted to know what
    was there # a sandwich and a bag for treasure # the rainbow moved on whenever one came near # asked a
    shepherd, who said, "Look behind you" # and behind them stood the rainbow, right over their own house
the lighthouse # child princess prince # the old lighthouse # wanted to see how the light was made # a lantern
    and two buns # the tide had covered the path # waited, told stories, and walked on when the water went
    back # and the keeper let them turn the great lamp, once around
the sunflower field # bug # the field of sunflowers # had heard that each flower was as big as a house # a
    drop of honey and a crumb # a road lay in between, wide and hot and loud # crept through a pipe under the
    road # and there they stood, a thousand golden wheels that turned to the sun
the waterfall # jungle # the great waterfall # wanted to stand under it once # three bananas and a big leaf #
    a crocodile slept on the only stones # made a bridge of vines and went over, quiet as a shadow # and the
    water came down like thunder, with a rainbow in it
the green island # pond sea # the green island # had seen it every day in the mist # a snack wrapped in a leaf
    # a strong current pulled the wrong way # followed the quiet water along the shore # and the island was
    full of soft grass, and somebody had left berries
the northern lights # snow # the place of the northern lights # had only ever heard of them # dried fish and a
    warm blanket # a crack ran through the ice, too wide to jump # laid an old sled across and crawled over #
    and the sky began to burn in green and red, without a sound
the big city # child farm # the big city # wanted to see the houses that touch the sky # two coins and a
    sandwich # the last bus had left # asked the milkman, who had a free seat on his wagon # and the city
    shone with so many lights that it looked like a box of jewels
the moon hill # forest # the hill where the moon sleeps # wanted to say good night to it # a handful of nuts #
    a dark swamp lay in the way # hopped from one root to the next, and a firefly lit the way # and the moon
    rose right behind the hill, so big that one could nearly touch it
the candy market # child # the market in the next valley # wanted to buy a present for {hero.his} family # a
    basket and three coins # a bridge was broken # took off {hero.his} shoes and waded through the shallow
    part # and the market was full of color, and for three coins there was a glass bird that sang
the winter valley # bird # the warm land in the south # felt the cold coming # nothing but strong wings # a
    storm blew from the front # rested in a church tower until the storm was over # and below lay the warm
    land, with palm trees and friendly herons
the castle of bells # child fairy elf princess prince unicorn # the castle of a hundred bells # wanted to hear
    them ring # a flute and some bread # a gate was locked, and a knight stood before it # played a song on
    the flute, and the knight began to dance and opened # and all the hundred bells rang at once, so that the
    flowers nodded
the deep blue hole # sea # the deep blue hole # had heard of the pearls that glow there # a shell full of weed
    # it was so dark that nothing could be seen # asked a lantern fish to swim in front # and the pearls lay
    there like little moons in the sand
the hay fair # farm # the fair behind the hill # had heard the music all night # a bag of oats # the gate was
    closed and tied # pulled at the knot with {hero.his} teeth until it came open # and there were lights,
    drums, and a prize for the nicest guest
the station at the sea # train # the last station, where the rails end at the sea # had always wanted to see
    the sea # a full load of coal and fresh water # a tree lay across the rails # whistled until a band of
    woodcutters came and rolled it away # and the rails ended in the sand, and the sea said hush, hush
the far lamp # tugboat # the far harbor with the red lamp # had seen it blink every night # oil and a long
    rope # thick fog came down, and nothing could be seen # tooted every minute and listened to where the echo
    came from # and the red lamp hung there, warm and near, and the big ships tooted back
""")

CONTESTS = lines("""
name # for # train # event # rival # fall # deed # prize
the big race # child forest farm jungle # ran around the pond three times a day # the runners stood in a line,
    and a whistle blew # was fast as the wind # stumbled over a root and sat there, holding a knee # turned
    back and helped the other one up # a golden cup with two handles, one for each
the baking contest # child # baked a new cake every day # all the tables were full of bowls and spoons # made
    towers of cream # found that the sugar box was empty # gave away half of the sugar # a silver spoon, tied
    with a ribbon
the kite contest # child # tried the kite on the hill every evening # twenty kites rose up at once # had a
    kite like a dragon # cried because the string of the dragon had torn # cut off a piece of string and tied
    a strong knot # a blue ribbon for the kindest flyer
the boat race # child pond # built a small boat and painted the sails # the boats were set on the water side
    by side # had a boat with three sails # saw the three sails stuck in the reeds # waded in and pushed it
    free # a brass bell from a real ship
the singing contest # child bird forest # sang scales from morning to night # the stage was bright and the
    crowd was quiet # had a voice like silver # forgot the words in the middle of the song # stood up and sang
    the missing words along # one big bunch of flowers for both
the drawing contest # child # filled a whole pad with horses # everybody bent over the paper # could draw
    tigers that seemed to growl # spilled the red paint over the whole tiger # lent out the best brush and a
    clean sheet # a box with forty colors
the snow race # snow child # polished the sled until it shone # the sleds stood at the top, and a flag went
    down # had a sled like an arrow # drove into a snowbank and was stuck up to the neck # stopped and dug
    with both hands # a warm cup of cocoa and a medal of ice
the swimming race # pond sea # swam to the rock and back each day # at the call of the heron, all of them
    dived in # had never lost a race # got caught in the weeds # swam back and bit through the weeds # a crown
    of water lilies
the jumping contest # forest farm jungle # jumped over the brook again and again # a rope was tied between two
    trees # could jump higher than the hedge # landed badly and could not get up # carried water and a cool
    leaf # an apple as big as a head, cut in two
the pumpkin contest # child farm # watered the pumpkin each morning # all the pumpkins lay on the wagon # had
    a pumpkin as big as a bathtub # saw the wagon tip, and the big pumpkin rolled toward the river # ran, and
    stopped it with a plank # the first slice of the pumpkin pie
the tower contest # child # practiced with all the blocks in the house # the clock was set, and everyone began
    to build # built towers with doors and windows # ran out of blocks just below the top # gave away the last
    three blocks # a flag for both towers
the dance contest # child forest jungle # danced before the mirror every day # the drums began, and the floor
    was swept # could spin like a top # lost a shoe in the middle of the dance # took off both shoes too and
    danced barefoot along # two pairs of red dancing shoes
the treasure hunt # child # read every riddle in the book # each got a map and a lamp # was clever at riddles
    # dropped the lamp, and it went out # shared the light and went on side by side # a chest full of
    chocolate coins
the spelling contest # child # spelled words at breakfast # the hall was full, and the teacher rang a bell #
    knew the longest words # felt sick with fear and could not speak # held the other one's hand and smiled #
    two thick books with gold edges
""")

ILLS = lines("""
name # for # sign # care # food # wait
a cold # child forest farm # sneezed seven times, and the nose was as red as a cherry # put a warm scarf
    around the neck # hot tea with honey # one day, two days, and three
a tummy ache # child forest # held the tummy and could not eat # put a warm pillow on the tummy # thin soup
    with rice # until the next morning
a fever # child # was hot, and the eyes were shiny # laid a cool cloth on the forehead # cold apple juice # a
    long night
a sore throat # child bird # could only whisper # tied a soft ribbon around the neck # warm milk with honey #
    until the voice came back
spots # child # had red spots from head to toe # painted each spot with white cream # a bowl of cherries # a
    whole week
a hurt leg # child forest farm jungle # limped and could not put the foot down # wrapped the leg in a clean
    cloth # a basket of fruit # until the swelling was gone
a toothache # child # held one cheek, which was as round as an apple # brought an ice bag and told jokes #
    soft pudding # until the dentist had looked at it
a cough # child forest # coughed so that the cups shook # rubbed a balm on the chest that smelled of mint #
    onion juice with sugar # four days
an earache # child # lay on one side and cried softly # put a small warm bag on the ear # a mild soup # until
    the sun came up
a broken wing # bird # could not lift one wing # tied the wing with a soft blade of grass # the best seeds #
    three weeks
sunburn # child # was as red as a lobster # put cool yogurt on the back # slices of cold melon # two evenings
    in the shade
a sting # child # had a finger as thick as a bun # laid half an onion on it # a spoon of jam # until the bump
    was small
""")

MORE_TOPICS = {
    "noises": NOISES,
    "makings": MAKINGS,
    "weak": WEAK,
    "wishes": WISHES,
    "journeys": JOURNEYS,
    "contests": CONTESTS,
    "ills": ILLS,
}
