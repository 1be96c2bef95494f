"""What stories are about: fears, skills, noises, makings, ... One row each, the facts that make a plot concrete.

A row's fields are templates (see telling.py) about the roles hero, friend and helper; a plot's events call for them as
{t.field}. `for` says whose story it can be: child, or tags of a kind.
"""

import re

from topics_more import MORE_TOPICS
from topics_third import THIRD_TOPICS


def rows(text):
    """A table: `name = field: text; field: text`, one row a paragraph, as {name: {field: text}}."""
    table = {}
    for block in re.sub(r"\n +", " ", text.strip()).split(
        "\n\n"
    ):  # an indented line goes on with the one above
        name, *lines = block.splitlines()
        table[name] = {"name": name, **dict(line.split(": ", 1) for line in lines)}
    return table


FEARS = rows("""
the dark
for: child pet forest teddy_bear rag_doll tin_soldier
where: bedroom
what: the dark
why: in the dark, every [chair|coat] looked like a [monster|bear|giant]|when the lights went out, the shadows
    seemed to grow
meet: that {w.time}, the lamp [went out|flickered and died] and everything was [black|dark]
cry: [Something is there|I cannot see|It is too dark]
advice: [Look closely|Open your eyes slowly]. The dark only hides the things you know
brave: {hero} opened {hero.his} eyes and looked at the black shape in the corner
find: it was only a coat on a [hook|chair], and outside the [stars|moon] had never been so bright

thunder
for: child pet forest farm princess teddy_bear
where: any
what: thunder
why: thunder was [so loud|like a giant's drum] and one never knew when it would come
meet: dark clouds came and [boom|crash], the thunder rolled
cry: [Make it stop|It is too loud|Hide me]
advice: [Count after the flash|When you see the flash, count slowly]. The more you count, the farther away it
    is
brave: there was a flash, and {hero} counted, [one, two, three|one, two, three, four, five]
find: each time {hero} could count further, until the storm was [only a mumble behind the hills|far away]

deep water
for: child pond snow
where: water
what: deep water
why: it was so [dark|green] down there, and who could say what lived at the bottom
meet: the others jumped in with a splash and called, but the water looked [dark|cold|bottomless]
cry: [I cannot|I will sink|It is too deep]
advice: [Start where your feet touch the ground|First only the toes, then the knees]. The water will carry you
    if you let it
brave: first {hero} went in up to the [knees|tummy], then a bit more, and then {hero.he} let go
find: the water held {hero.him} up like a [soft|big] hand, and {hero.he} floated

big dogs
for: child
where: outdoor kid
what: big dogs
why: once, a dog had barked so loudly that {hero} [dropped an ice cream|ran all the way home]
meet: a huge [brown|black|white] dog came [running|trotting] across the grass
cry: [Go away|It will bite me|Help]
advice: Stand still and hold out your hand. A dog says hello with its nose
brave: {hero} stood quite still and held out one hand
find: the dog sniffed it, licked it, and wagged its tail so hard that it fell over

the high slide
for: child
where: playground
what: the high slide
why: it was as tall as a house, and from the top people looked [like ants|very small]
meet: it was {hero.p} turn, and {hero.he} stood at the very top
cry: [It is too high|I want to go down the ladder|I cannot look]
advice: [I will wait for you at the bottom|Look at me, and not at the ground]. Sit down, hold tight, and count
    to three
brave: {hero} sat down, held on, and let go on three
find: whoosh, the wind was in {hero.his} hair, and it was over so fast that {hero.he} wanted to do it again

spiders
for: child
where: indoor home
what: spiders
why: they had so many legs and they [never made a sound|came from nowhere]
meet: a [black|long-legged|small] spider let itself down on a thread, right in front of {hero.p} nose
cry: [Take it away|Eek, a spider|It is looking at me]
advice: See how small it is. It is far more afraid of you, and it catches the flies that bother us
brave: {hero} took a glass and a card and carried the spider to the window, very slowly
find: outside, it began to spin at once, and in the morning its web was full of [silver|shining] drops

the first day of school
for: child
where: school
what: the first day of school
why: what if nobody talked to {hero.him}, what if {hero.he} got lost in the halls
meet: the door of the classroom opened and twenty faces turned to look
cry: [I want to go home|I do not know anyone|My tummy hurts]
advice: [Everybody in there is new too|You only have to say one word, and the word is hello]
brave: {hero} walked to the next chair and said hello to the child beside it
find: the child had been just as frightened and was glad to have somebody to sit with

the doctor
for: child
where: doctor
what: the doctor
why: the doctor had [cold hands|a white coat] and shiny things in a drawer
meet: the door opened, and the doctor said, "Next, please"
cry: [I feel fine now|I do not want to|It will hurt]
advice: The doctor wants to help. You may hold my hand and ask what each thing is for
brave: {hero} climbed onto the chair, opened {hero.his} mouth and said aaah
find: it did not hurt, and the doctor let {hero.him} listen to {hero.his} own heart, which went thump, thump

flying
for: bird
where: any
what: flying up high
why: from the top of the tree, the ground looked [hard|far away]
meet: all the others had flown off, and {hero} stood alone at the edge of the branch
cry: [I will fall|My wings are too small|I would rather walk]
advice: The air is like water. Lean on it, and it will carry you
brave: {hero} spread both wings, leaned forward, and let go of the branch
find: the air was under {hero.him} like a [pillow|soft hand], and the trees went by below

the old bridge
for: child forest farm
where: bridge
what: the old bridge
why: it swayed and creaked, and one could see the water between the planks
meet: the way led over the bridge, and there was no other way
cry: [It will break|I cannot cross it|I am stuck here]
advice: Look at the other side and not at your feet. I will walk right behind you
brave: {hero} held on to the rope and put one foot in front of the other
find: the bridge swayed like a [cradle|swing], but it held, and soon there was grass under {hero.his} feet

the cave
for: child forest
where: cave
what: the cave
why: it was black inside, and it seemed to breathe
meet: the path ended at the mouth of the cave, and a cold wind came out of it
cry: [Somebody lives in there|Let us turn back|It wants to eat us]
advice: Shout into it, and listen to what it says
brave: {hero} stepped closer and called, "Hello"
find: "Hello, hello, hello," the cave answered in {hero.p} own voice, and {hero.he} had to laugh

loud machines
for: child pet farm
where: any
what: loud machines
why: they [roared|rattled] and shook the ground
meet: a big [digger|tractor|truck] came rumbling along and stopped right there
cry: [It is a monster|It is too loud|It will eat me]
advice: Machines are only noisy helpers. Somebody sits inside and steers
brave: {hero} came out and waved at the window high above
find: the driver waved back and let {hero.him} [honk the horn|sit in the seat|press a button], and it went
    toot

snakes
for: forest farm
where: outdoor
what: snakes
why: they had no legs, and still they moved
meet: there was a rustle in the grass, and a long green snake looked at {hero.him}
cry: [A snake|Do not bite me|Run]
advice: Not everything that looks strange is bad. Say good day, and see what it says
brave: {hero} bowed a little and said, "Good day"
find: "Good day," said the snake politely, and told {hero.him} where the sweetest berries grew

the wolf's howl
for: farm forest
where: outdoor
what: the howling at night
why: it came from the hills, long and lonely, and nobody knew who it was
meet: as the moon rose, a long howl came from the hill
cry: [It is coming closer|I want to hide|Listen]
advice: Whoever howls like that is not angry. It sounds lonely to me
brave: {hero} went to the edge of the trees and howled back, as well as {hero.he} could
find: out came a small gray wolf with a wagging tail, who had only looked for somebody to sing with

singing in front of others
for: child forest bird farm
where: any
what: singing in front of others
why: alone, {hero} sang like a bell, but before others {hero.his} throat closed up
meet: at the feast, everybody turned around and called {hero.p} name
cry: [Not me|I have lost my voice|They will laugh]
advice: Do not sing for everybody. Look at one friend and sing for that one
brave: {hero} looked at one friendly face and sang the first note
find: the song came out, clear and warm, and at the end everybody clapped and stamped

sleeping alone
for: child
where: bedroom
what: sleeping alone
why: at night, the house [creaked|whispered] and the bed was too big
meet: the light was turned off, and the steps went away down the stairs
cry: [Come back|Do not go|I am alone]
advice: Listen to the house. It creaks because it is settling down to sleep, just like you
brave: {hero} lay still and listened to the stairs, the pipes, and the clock
find: it was like a song, and before it was over, {hero} was asleep

the swing of the wind
for: bug
where: any
what: the wind
why: the wind could pick up a small [one|body] and carry it over the hedge
meet: the wind came across the grass and every blade bent to the ground
cry: [It will blow me away|Hold on|I am too light]
advice: Do not fight it. Hold on to a strong stem and sway along
brave: {hero} held on to a stem and swayed with it, left and right
find: it was like riding a green horse, and the wind went by without harm

diving
for: pond sea
where: any
what: the deep dark hole
why: no light came out of it, and sometimes there were bubbles
meet: a shiny pebble sank into the hole, and somebody had to fetch it
cry: [It is too dark|I will not go|Something lives in there]
advice: Go a little way, come back, and then go a little farther
brave: {hero} swam a little way in, came back, and swam in again, farther each time
find: at the bottom there sat an old snail, who was glad about the visit
""")

SKILLS = rows("""
ride a bike
for: child
thing: bike
bad: the bike wobbled and tipped over|{hero} rode straight into a bush|the front wheel turned and down
    {hero.he} went
again: {hero} went three turns of the wheel before {hero.he} fell into the grass|one foot slipped off and the
    bike rolled away alone
tip: Look ahead and not at the wheel
good: the bike rolled straight, past the fence, past the mailbox, all the way to the corner

swim
for: child
where: water
bad: {hero} swallowed water and coughed|{hero.his} legs sank like stones|{hero} splashed a lot but did not
    move at all
again: {hero} swam two strokes and forgot to breathe|{hero} got water up {hero.his} nose
tip: Kick your legs slowly, like a frog
good: {hero} glided from one side to the other without touching the ground

whistle
for: child
bad: only air came out|it sounded like a leaking tire|{hero} only spat on {hero.his} own chin
again: there was a tiny sound, like a mouse far away|{hero} blew until {hero.he} was dizzy
tip: Make your lips round and small, as if you kissed a button
good: a clear, high tone came out, and a bird in the tree answered

tie shoes
for: child
bad: the bow fell apart at the first step|{hero} tied both shoes to each other and fell over|the laces looked
    like spaghetti
again: one loop was huge and the other was gone|the knot was so tight that nobody could open it
tip: Make two rabbit ears, and let one hop through the hole
good: two neat bows sat on the shoes, and they held all the way around the house

jump rope
for: child
bad: the rope hit {hero.p} toes|{hero} got tangled up like a fish in a net|the rope flew over the hedge
again: {hero} jumped twice and stepped on the rope|{hero} jumped too late and sat down hard
tip: Listen to the rope and jump when it taps the ground
good: {hero} jumped ten times, twenty times, and did not stop until {hero.his} cheeks were red

ice skate
for: child snow
where: snow
bad: {hero.p} feet slid apart and {hero.he} sat down hard|{hero} held on to the fence and did not dare let
    go|{hero} went backward by mistake
again: {hero} slid three steps and bumped into a snowbank|{hero.his} arms whirled like a windmill
tip: Bend your knees and push to the side
good: {hero} slid over the ice in a big round curve, smooth as a [bird|swan]

bake bread
for: child
where: kitchen
bad: the bread came out as hard as a brick|the dough stuck to everything, even to the cat|the bread was black
    on the outside and wet inside
again: the loaf was so flat that it looked like a plate|{hero} forgot the salt and it tasted of nothing
tip: Give the dough time to rest before you bake it
good: the loaf was round and golden and the whole house smelled of it

play the flute
for: child forest
bad: it squeaked like a rusty gate|not a sound came out|it sounded so awful that the birds flew off
again: two notes came out right and the third one hooted|{hero} ran out of breath in the middle
tip: Blow gently, as if you cooled your soup
good: a sweet little song came out, from the first note to the last

fly
for: bird
bad: {hero} fluttered, dropped, and landed in a bush|{hero} flapped so hard that {hero.he} turned upside
    down|{hero} tumbled into a pile of leaves
again: {hero} flew as far as the next branch and missed it|the wind pushed {hero.him} back to where {hero.he}
    had begun
tip: Spread your wings wide and wait for the wind
good: {hero} rose above the trees and flew in a big circle

hop from stone to stone
for: forest pond
where: water
bad: {hero} slipped and fell in with a splash|the first stone was wet and {hero} sat down on it|{hero} jumped
    too short
again: {hero} made it to the second stone and lost {hero.his} balance|the third stone wobbled
tip: Look at the next stone and not at the water
good: hop, hop, hop, {hero} reached the other side with dry feet

dig a tunnel
for: digs
bad: the roof fell in and {hero} had a nose full of sand|{hero} dug in a circle and came out where {hero.he}
    had started|{hero} hit a root
again: the tunnel was too narrow and {hero.he} got stuck|rain ran in from above
tip: Dig a little, then pat the roof until it is firm
good: the tunnel went under the whole bush and came out in the sun

climb a tree
for: child forest
where: outdoor
bad: {hero} slid down the trunk|{hero} could not get past the first branch|the bark scratched and {hero} let
    go
again: {hero} got halfway up and did not know where to put {hero.his} foot|a thin twig snapped
tip: Hold on with two arms before you move one leg
good: {hero} sat on the big branch and could see the whole valley

catch a ball
for: child forest
thing: ball
bad: the ball bounced off {hero.p} nose|the ball flew between {hero.p} {hero.hands}|{hero} shut {hero.his}
    eyes and missed
again: {hero} touched it, but it jumped away|{hero} ran the wrong way
tip: Keep your eyes on it until it is in your arms
good: the ball came flying, and {hero} caught it, once, twice, ten times in a row

dance
for: child forest farm jungle
bad: {hero} stepped on everybody's toes|{hero.p} legs got in a knot|{hero} turned left when all the others
    turned right
again: {hero} was always one beat too late|{hero} spun until {hero.he} fell over
tip: Do not think about your feet. Listen to the drum
good: {hero} danced across the floor, light as a leaf, and never missed a beat

skip stones
for: child forest
where: water
bad: the stone went plop and was gone|the stone flew backward|{hero} threw so hard that {hero.he} nearly fell
    in
again: the stone hopped once and sank|a frog complained
tip: Take a flat stone and throw it low
good: the stone hopped five times over the water before it sank

read
for: child
bad: the letters danced before {hero.p} eyes|{hero} mixed up the b and the d|every word took so long that
    {hero.he} forgot the one before
again: {hero} read two words and guessed the third, and it was wrong|the long word in the middle was too hard
tip: Put your finger under the letters and say them one by one
good: {hero} read the whole page, and then the next, and laughed at the joke in it

sing a song
for: bird forest farm pond
bad: only a croak came out|the song got stuck in the middle|it was so loud that everybody covered their ears
again: the high note cracked|{hero} forgot how the song went on
tip: Start softly and let the song grow
good: the song rose over the trees, and everybody stopped to listen

do a cartwheel
for: child
bad: {hero} rolled over sideways like a log|{hero.p} legs stayed on the ground|{hero} ended up with grass in
    {hero.his} mouth
again: {hero} went over, but landed on {hero.his} bottom|{hero.his} arms bent in the middle
tip: Reach for the ground and kick your legs at the sky
good: {hero.p} legs flew over like the spokes of a wheel, and {hero.he} landed on both feet

swing on a vine
for: jungle
bad: {hero} swung straight into a tree|{hero} let go too soon and landed in the mud|the vine was too thin
again: {hero} swung there and back, but could not get off|{hero} spun around and around
tip: Let go when you are at the highest point
good: {hero} flew through the air and landed on the big branch on the other side

catch a fish
for: snow
bad: {hero} dived in and came up with seaweed|the fish was much faster|{hero} caught {hero.his} own foot
again: {hero} had it, but it slipped away|all that {hero} got was cold water in the ears
tip: Wait quite still until the fish comes to you
good: splash, and {hero} came up with a big silver fish

spin a thread
for: spider caterpillar
bad: the thread broke at once|{hero} got all tangled up|the thread stuck to everything
again: it held for a moment, and then the wind tore it|the knot came undone
tip: Make it thin and let it dry before you pull
good: the thread was long and strong and shone in the sun

blow a horn
for: robot dragon train tugboat giant monster
bad: only a puff of smoke came out|it went pfft|it was so loud that a window broke
again: it squeaked like a mouse|it hooted in the wrong place
tip: Take a deep breath and let it out slowly
good: a deep, warm tone rang out, and the hills answered
""")

TOPICS = {"fears": FEARS, "skills": SKILLS, **MORE_TOPICS, **THIRD_TOPICS}
