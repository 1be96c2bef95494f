"""Places of Storyland: how one says being there and going there, what is seen and heard, where a thing can hide.

A block a place: `name | at/in | tags`, then S what is sensed (sentences), H hiding spots, T high spots out of
    reach,
A what one does there for fun (base form). Tags: indoor or outdoor; whose it is (kid wood farm pond sea jungle
    snow
sky toys bug); home, town. Run it to see the list.
"""

import re
from dataclasses import dataclass

BLOCKS = """
the park | at | outdoor kid town bug
S The grass [was soft|smelled fresh] and the swings [creaked|squeaked] in the wind.|Children [shouted|laughed]
    on the slide and [pigeons|sparrows] [hopped|pecked] around the benches.|The [fountain|water] splashed and
    the [tall|old] trees [rustled|whispered].
H under the [green|old|wooden] bench;behind the slide;in the sandbox;beside the fountain;under the bushes
T the [tall|old] oak tree;the top of the lamp post;the roof of the [bandstand|little kiosk]
A ride on the swings;slide down the big slide;feed the ducks;run around the fountain
the playground | at | outdoor kid town
S The merry-go-round [hummed|squeaked] and everyone was [laughing|shouting].|The slide was [warm|hot] from the
    sun and the seesaw went [bump, bump|up and down].
H under the slide;behind the seesaw;in the [deep|warm] sandbox;inside the tunnel
T the top of the climbing frame;the [tall|leafy] maple tree by the fence
A play tag;climb the ropes;ride the seesaw;spin on the merry-go-round
the garden | in | outdoor kid home bug
S Bees hummed around the [roses|lavender|sunflowers].|The air smelled of [mint|wet earth|roses] and the
    [beans|tomatoes] hung in rows.
H under the rose bush;behind the watering can;between the cabbages;beside the compost heap;under a [big|wide]
    rhubarb leaf
T the [old|crooked] apple tree;the roof of the shed
A pick daisies;chase butterflies;dig for worms;smell the flowers
the backyard | in | outdoor kid home bug
S Laundry [flapped|danced] on the line and a [bird|robin] sang on the fence.|The grass tickled [bare
    feet|toes] and somewhere a [lawn mower|dog] [hummed|barked].
H behind the shed;under the [wooden|back] steps;under the wheelbarrow;in the long grass by the fence
T the roof of the shed;the [big|tall] cherry tree
A play catch;blow bubbles;build a fort;roll in the grass
the beach | at | outdoor kid sea
S The waves [rolled|whispered] over the sand and the gulls [cried|screeched].|The sand was [hot|warm] and the
    air tasted of salt.
H under a [striped|blue] towel;behind a [big|flat] rock;in the wet sand;under a heap of seaweed
T the roof of the lifeguard hut;the top of the flagpole
A build sandcastles;jump over the waves;look for shells;dig deep holes
the forest | in | outdoor wood kid bug
S Sunlight fell through the leaves in [gold|yellow] spots.|A woodpecker knocked [far away|high above] and the
    moss was [soft|wet].|The [pine|fir] trees smelled [sweet|sharp] and twigs cracked underfoot.
H under a pile of [dry|brown] leaves;behind a [mossy|fallen] log;inside a hollow tree;under a [tall|big]
    fern;beside a mushroom ring
T the [tall|tallest] pine tree;a [high|thin] birch branch
A jump over logs;look for mushrooms;play hide-and-seek;listen to the birds
the woods | in | outdoor wood kid bug
S Leaves rustled and [squirrels|chipmunks] chased each other up the trunks.|It was [cool|dim] and green there,
    and it smelled of [earth|moss].
H under the roots of an oak;behind a [thick|thorny] bush;in a [heap|pile] of acorns;inside a hollow stump
T the [old|tall] oak tree;a branch of the [tall|big] beech
A collect pine cones;follow tracks;play hide-and-seek;climb over rocks
the meadow | in | outdoor wood farm kid bug
S The tall grass [waved|swayed] and crickets [chirped|sang].|[Poppies|Daisies|Buttercups] nodded in the breeze
    and larks sang above.
H in the tall grass;behind a [gray|big] stone;under a patch of clover;beside the wooden gate
T the lonely pear tree;the top of the [old|wooden] gatepost
A pick flowers;chase grasshoppers;roll down the slope;lie in the grass
the pond | by | outdoor pond wood kid bug
S Dragonflies [zipped|flashed] over the water and frogs [croaked|plopped].|The water was [still|green|dark]
    and the reeds [whispered|swayed].
H among the reeds;under a lily pad;behind a [round|gray] stone;in the mud by the bank
T the [bent|old] willow tree;the top of the bulrushes
A skip stones;watch the tadpoles;splash in the shallow water;float leaves
the lake | by | outdoor pond wood kid
S The lake [glittered|shone] and small waves [licked|lapped] the shore.|Far out, a [white|little] sail moved,
    and a loon called.
H under the [old|wooden] dock;behind the boathouse;under a [red|turned-over] rowboat;between two rocks
T the roof of the boathouse;the [leaning|tall] birch tree
A throw pebbles;paddle near the shore;watch the boats;catch the waves
the river | by | outdoor pond wood kid
S The river [gurgled|rushed] over the stones and made white foam.|The water was [cold|clear], and
    [silver|small] fish darted by.
H under the bridge;behind a [smooth|big] rock;among the reeds;under the willow roots
T the [old|hanging] willow tree;the railing of the bridge
A race sticks;hop from stone to stone;watch the fish;splash each other
the stream | by | outdoor pond wood kid bug
S The stream [babbled|bubbled] and [shiny|round] pebbles glowed on its bed.|Ferns [dipped|bent] into the water
    and it was [cool|shady].
H under a [flat|mossy] stone;behind the ferns;under the tiny bridge;between two roots
T the [thin|young] alder tree;a high branch
A build a dam;sail leaf boats;look for crayfish;drink the cool water
the farm | on | outdoor farm kid
S Hens [clucked|scratched] in the yard and the [hay|barn] smelled sweet.|A tractor [rumbled|chugged] far off
    and the pigs [grunted|snorted].
H in the haystack;behind the barn;under the wagon;in the chicken coop;beside the water trough
T the barn roof;the top of the windmill;the [tall|old] walnut tree
A feed the hens;jump in the hay;ride on the wagon;chase the geese
the barn | in | indoor farm kid
S It was [dim|warm] in there, and dust danced in the light.|The straw [crackled|smelled sweet] and a
    [mouse|swallow] peeped from a beam.
H under the straw;behind the milk cans;in an empty stall;inside an old bucket
T the highest beam;the top of the hayloft
A jump in the straw;brush the horses;play hide-and-seek;count the swallows
the orchard | in | outdoor farm wood kid bug
S [Apples|Plums|Pears] [hung|shone] on every branch and wasps [hummed|buzzed].|The air smelled of ripe fruit
    and the grass was [long|cool].
H under an apple basket;behind the ladder;in the long grass;under the fallen leaves
T the tallest apple tree;a high plum branch
A pick fruit;climb the low branches;count the apples;play tag between the trees
the field | in | outdoor farm kid bug
S The [wheat|barley|corn] [rustled|waved] like a [golden|yellow] sea.|A scarecrow [stood|waved] in the middle
    and crows circled.
H behind the scarecrow;under a hay bale;in a [deep|muddy] furrow;beside the fence
T the scarecrow's hat;the [lonely|old] elm tree
A run between the rows;play tag;look for mice;fly kites
the hill | on | outdoor wood kid
S From up there, the houses looked as small as [toys|boxes|beans].|The wind [pushed|pulled] at everything and
    the grass lay flat.
H behind a [big|round] boulder;under a juniper bush;in a rabbit hole;in the heather
T the [bent|lonely] pine tree;the top of the signpost
A roll down the slope;fly kites;look at the clouds;run with the wind
the kitchen | in | indoor kid home
S The kitchen smelled of [cinnamon|warm bread|toast] and the kettle [sang|hummed].|Pots [shone|hung] above the
    stove and the floor was [warm|clean].
H under the table;behind the flour jar;in the bread box;under the oven;inside the big pot
T the top of the cupboard;the highest shelf
A stir the batter;set the table;taste the soup;draw at the table
the bedroom | in | indoor kid home
S The curtains [glowed|moved] softly and the clock went [tick, tock|ticking on].|The bed was [soft|messy] and
    a [night light|small lamp] glowed.
H under the bed;behind the curtain;in the toy chest;under the pillow;inside a [slipper|boot]
T the top of the wardrobe;the highest shelf
A jump on the bed;build with blocks;look at picture books;play with puppets
the living room | in | indoor kid home
S A fire [crackled|danced] in the fireplace and the carpet was [thick|soft].|The sofa was full of cushions and
    a clock [ticked|hummed] on the wall.
H under the sofa;behind the bookcase;between the cushions;under the carpet;behind the [tall|old] clock
T the top of the bookcase;the curtain rail
A build a pillow fort;play a board game;dance to the radio;do a puzzle
the attic | in | indoor kid home
S Dust [danced|floated] in the light and the floor [creaked|groaned].|It smelled of old [books|coats] and a
    small window looked over the roofs.
H inside an old trunk;behind a [broken|dusty] mirror;under a [white|dusty] sheet;in a hat box
T the highest rafter;the top of a stack of boxes
A try on old hats;look through boxes;play ghosts;read old letters
the basement | in | indoor kid home
S It was [cool|dark] down there and a pipe [dripped|hummed].|Shelves of [jam|pickles] lined the wall and it
    smelled of [potatoes|apples].
H behind the boiler;under the stairs;inside a laundry basket;behind the paint cans
T the highest shelf;the pipe under the ceiling
A play hide-and-seek;build with boxes;ride in the laundry basket;paint at the workbench
the porch | on | outdoor kid home
S The rocking chair [creaked|rocked] and the wind chimes [sang|tinkled].|[Ivy|Honeysuckle] climbed up the
    posts and a moth circled the lamp.
H under the rocking chair;behind the flowerpots;under the doormat;inside a rain boot
T the porch roof;the hook of the lamp
A rock in the chair;drink lemonade;watch the street;count cars
the tree house | in | indoor kid home
S The boards [creaked|swayed] and leaves [brushed|tapped] against the window.|It was like being in a
    [nest|ship] high above the grass.
H under the [old|striped] rug;inside the secret box;behind the curtain;under a loose board
T the roof of the tree house;a branch above the roof
A look through the spyglass;play pirates;tell secrets;draw maps
school | at | indoor kid town
S The hallway [buzzed|rang] with voices and the chalk [squeaked|tapped].|Paintings hung on the walls and it
    smelled of [paint|glue|chalk].
H under a desk;behind the [blackboard|bookshelf];in the coat room;inside a pencil case
T the top of the cupboard;the ceiling lamp
A paint pictures;sing songs;count beads;play in the yard
the library | in | indoor kid town
S It was so quiet that one could hear pages [turn|rustle].|The shelves reached up to the ceiling and it
    smelled of [paper|old books].
H between two thick books;under the reading table;behind the globe;under a beanbag
T the top shelf;the top of the tall globe
A read picture books;whisper jokes;look at maps;listen to stories
the museum | in | indoor kid town
S Footsteps [echoed|rang] and dinosaur bones [towered|stood] in the hall.|Golden [masks|crowns] shone behind
    the glass.
H behind a statue;under a bench;beside the dinosaur's foot;behind a [red|velvet] rope
T the dinosaur's neck;the arm of a tall statue
A count dinosaur bones;look at the paintings;draw a mummy;stare at the knights
the zoo | at | outdoor kid town
S Monkeys [chattered|screeched] and a lion [roared|yawned] far away.|It smelled of [hay|peanuts] and parrots
    called from the trees.
H under the popcorn cart;behind the penguin house;beside the turtle pool;under a sign
T the roof of the monkey house;the giraffe's feeding basket
A watch the seals;wave to the monkeys;count the flamingos;feed the goats
the market | at | outdoor kid town
S Sellers called out and [fish|oranges|cheeses] lay in bright rows.|There was a smell of [bread|spices|roasted
    nuts] and a [fiddler|drummer] played.
H under a fruit stand;behind a stack of crates;beside the fish barrel;under the cheese cart
T the [striped|red] awning;the top of the clock tower
A taste the cheese;smell the spices;look at the stalls;listen to the fiddler
the bakery | in | indoor kid town
S The oven [glowed|roared] and [warm|golden] loaves lay in rows.|Flour hung in the air like [snow|fog] and
    everything smelled sweet.
H behind the flour sacks;under the counter;beside the oven;inside an empty pan
T the top of the bread rack;the highest shelf
A smell the rolls;watch the mixer;choose a bun;draw in the flour
the toy store | in | indoor kid town
S A toy train [whistled|ran] around the window and music boxes [tinkled|played].|Shelves of
    [dolls|bears|blocks] reached up to the ceiling.
H behind the doll houses;under the train table;inside a toy drum;between two teddy bears
T the top shelf;the paper dragon under the ceiling
A try the drums;look at the trains;hug the bears;spin the tops
the town square | in | outdoor kid town
S The clock on the tower [struck|rang] and pigeons [flew|whirled] up.|People [strolled|hurried] by and a band
    played a [march|waltz].
H beside the fountain;under the [big|stone] steps;behind the statue;under a cafe table
T the statue's shoulder;the top of the clock tower
A listen to the band;chase the pigeons;jump down the steps;dance to the music
the train station | at | outdoor kid town
S A whistle [blew|shrieked] and steam [rose|puffed] into the air.|Wheels [clacked|rattled] and people
    [waved|hurried] with suitcases.
H under a bench;behind the ticket machine;beside a stack of suitcases;under a newspaper
T the station clock;the roof of the ticket hut
A wave to the trains;count the wagons;listen to the whistle;read the signs
the harbor | at | outdoor kid sea town
S Ropes [creaked|slapped] and boats [rocked|bobbed] side by side.|It smelled of [tar|fish|salt] and a foghorn
    moaned.
H under a fishing net;behind a coil of rope;inside an empty crab pot;beside a barrel
T the top of a mast;the lighthouse railing
A count the boats;watch the fishermen;feed the gulls;balance on the ropes
the lighthouse | at | outdoor kid sea
S The white tower [shone|gleamed] and the sea [boomed|crashed] below.|Round and round went the stairs, and the
    wind [sang|whistled].
H behind the spiral stairs;under the keeper's coat;beside the oil cans;in a crack of the wall
T the railing of the tower;the weather vane
A climb the stairs;wave to the ships;count the waves;look through the spyglass
the island | on | outdoor sea jungle kid
S Palm leaves [clapped|rattled] and the sand was [white|hot].|Little crabs ran sideways and the sea was
    [blue|green] all around.
H under a palm leaf;behind a coconut;in a [small|dark] cave;under a heap of driftwood
T the top of a palm tree;a [steep|high] cliff
A look for coconuts;draw in the sand;chase the crabs;explore the shore
the reef | at | outdoor undersea
S Coral glowed in [pink|orange] and [gold|purple], and bubbles [rose|danced] upward.|Seaweed [swayed|waved]
    and a [shy|striped] eel peeped from a hole.
H inside a [pink|broken] shell;behind a coral branch;under the seaweed;in a sunken [pot|boot]
T the highest coral;the mast of the sunken ship
A chase bubbles;play tag in the coral;ride on the currents;hide in the seaweed
the bottom of the sea | at | outdoor undersea
S Sand [swirled|drifted] like smoke and the light was [blue|green].|An old anchor lay there, covered with
    [shells|weed].
H under the old anchor;inside a giant clam;behind the shipwreck;in a sea cave
T the mast of the shipwreck;the top of a tall sponge
A race the crabs;blow bubbles;explore the shipwreck;dance in the current
the jungle | in | outdoor jungle
S Vines hung down like ropes and parrots [squawked|screeched].|It was [hot|steamy], and big drops fell from
    the leaves.
H under a giant leaf;behind a twisted root;beside the waterfall;in a bamboo thicket
T the crown of a [mango|fig] tree;a vine far above
A swing on the vines;splash in the waterfall;look for mangoes;copy the parrots
the savanna | on | outdoor jungle
S The grass was [yellow|tall] and the air [shimmered|trembled] with heat.|Far away, a herd [grazed|ran], and
    dust rose.
H behind a termite hill;in the dry grass;under a thorn bush;beside the water hole
T the flat top of an acacia tree;a termite tower
A race across the plain;roll in the dust;rest in the shade;drink at the water hole
the icy shore | on | outdoor snow
S Ice [creaked|cracked] and the snow [sparkled|glittered] like sugar.|The wind [nipped|bit] and the sea was
    dark and cold.
H behind an ice block;under the snow;in a crack of the ice;beside a fishing hole
T the tip of an iceberg;a [steep|slippery] ice cliff
A slide on their bellies;make snow angels;catch snowflakes;race down the snow
the snowy hill | on | outdoor snow kid
S The snow [crunched|squeaked] underfoot and breath came out in clouds.|Sleds [whizzed|flew] by and cheeks
    were red with cold.
H under the snow;behind a snowman;in a snow fort;under a [white|bent] fir
T the snowy fir tree;the top of the ski pole
A ride the sled;throw snowballs;make snow angels;roll big snowballs
the mountain | on | outdoor wood kid
S The air was [thin|cold] and eagles circled below the clouds.|[White|Gray] rocks rose up to the sky and a
    goat bell rang.
H in a crack of the rock;behind a boulder;under a twisted pine;beside a little spring
T a narrow ledge;the top of a crooked pine
A shout for echoes;climb over rocks;look at the valley;pick blueberries
the valley | in | outdoor wood farm kid
S A brook [wound|ran] between the fields and cowbells [rang|tinkled].|Mist lay over the grass and the hills
    stood all around.
H under the footbridge;behind a stone wall;in a clump of nettles;beside the brook
T the church roof;the tallest poplar tree
A listen to the bells;wade in the brook;pick berries;run along the path
the cave | in | indoor wood
S Drops [fell|plinked] from the ceiling and every step [echoed|rang].|The walls [glittered|were damp] and it
    was cool and dark.
H behind a pointed stone;in a dark corner;under a flat rock;beside the little pool
T a ledge near the ceiling;the tip of a tall stone
A shout for echoes;look for crystals;tell spooky stories;count the bats
the castle | in | indoor magic kid
S Flags [flapped|flew] from the towers and armor [gleamed|stood] in the halls.|The fire in the great hall
    [roared|crackled] and [harps|lutes] played.
H behind the throne;inside a suit of armor;under the long table;behind a tapestry
T the top of the tower;the golden chandelier
A explore the towers;play knights;slide down the stairs;dance in the hall
the magic wood | in | outdoor wood magic
S The flowers [glowed|hummed] and the trees seemed to whisper.|[Silver|Golden] dust floated in the air and a
    [harp|bell] rang from nowhere.
H under a glowing mushroom;inside a hollow oak;behind a silver fern;in a fairy ring
T the [silver|tall] birch tree;a branch full of lights
A chase the lights;dance in the fairy ring;talk to the trees;collect stardust
the sky | in | outdoor sky
S The wind [sang|hummed] and the earth lay far below like a [map|quilt].|Swallows [raced|dived] and the sun
    was close and warm.
H behind a [gray|fluffy] cloud;in a fold of the rainbow;under the edge of the moon;beside a sleeping cloud
T the tip of the moon;the top of the rainbow
A chase the wind;slide down the rainbow;race the swallows;make funny shapes
the toy room | in | indoor toys kid
S The moon [shone|peeped] through the window and the blocks [cast|threw] long shadows.|The shelves were full
    and the [old|cuckoo] clock ticked.
H behind the block tower;inside the toy chest;under the rug;in the doll house
T the top shelf;the head of the rocking horse
A dance on the rug;build towers;ride the toy train;put on a show
the railway | on | outdoor rails
S The rails [shone|gleamed] and the signals [clicked|blinked].|Fields and bridges [slid|rolled] by and the
    wheels sang clickety-clack.
H beside the track;behind the signal box;under the bridge;in an empty wagon
T the top of the signal;the roof of the signal box
A blow the whistle;race the cars;puff up the hills;count the tunnels
the village | in | outdoor kid town farm
S Smoke [curled|rose] from the chimneys and a dog [barked|slept] by the well.|Every door had a [wreath|bell]
    and every window had flowers.
H behind the well;under a hay cart;beside the baker's steps;in a flower box
T the church roof;the top of the [old|big] linden tree
A play by the well;greet the neighbors;skip along the lane;chase hoops
the campsite | at | outdoor kid wood
S The campfire [snapped|crackled] and sparks [flew|danced] up to the stars.|Tents stood in a ring and it
    smelled of [smoke|roasted apples].
H inside a tent;behind the woodpile;under a sleeping bag;beside a log
T the top of the tent pole;a high spruce branch
A roast apples;tell stories;sing songs;look at the stars
the swimming pool | at | outdoor kid town
S The water [glittered|sparkled] blue and everything smelled of [sunscreen|chlorine].|Splash went the water,
    and the tiles were [hot|wet].
H under a deck chair;behind the towel rack;at the shallow end;beside the shower
T the roof of the snack bar;the top of the diving board
A splash about;float on their backs;slide into the water;throw rings
the bus stop | at | outdoor kid town
S Cars [hummed|rolled] by and the bench was [cold|wet|warm].|A [poster|paper] flapped and somebody
    [whistled|yawned].
H under the bench;behind the trash can;beside the curb;in the gutter
T the roof of the shelter;the top of the sign
A count the cars;hop over puddles;read the signs;guess the next color
the hospital | in | indoor town
S The floor [shone|squeaked] and everything smelled of soap.|Soft shoes [padded|hurried] by and a
    [machine|clock] beeped.
H under the bed;behind the curtain;beside the tray;in the waiting room
T the top of the cabinet;the curtain rail
A draw pictures;ride in the wheelchair;look at books;wave from the window
the pet shop | in | indoor kid town
S Birds [sang|chirped] and the fish tanks [bubbled|glowed].|Hamsters [ran|raced] in their wheels and puppies
    [yapped|slept].
H behind the fish tank;under the cage stand;beside the seed sacks;in a doghouse
T the top of the bird cage;the highest shelf
A pet the puppies;watch the fish;talk to the parrot;count the kittens
the ice cream shop | in | indoor kid town
S The shop smelled of [vanilla|waffles|caramel] and the cold case hummed.|There were [twelve|ten|twenty]
    colors of ice cream behind the glass.
H under a stool;behind the menu board;beside the cone jar;under the counter
T the top of the freezer;the giant plastic cone
A choose flavors;lick their spoons;spin on the stools;count the colors
the fair | at | outdoor kid town
S Lights [flashed|blinked] and the merry-go-round [played|sang] its tune.|It smelled of [popcorn|roasted
    almonds|candy apples] and everybody shouted.
H under the ticket booth;behind the puppet stage;beside the merry-go-round;under a wooden horse
T the top of the tent;the big balloon arch
A ride the merry-go-round;throw rings;eat candy apples;watch the puppets
the circus | at | outdoor kid town
S Drums [rolled|boomed] and the striped tent [glowed|shone].|It smelled of [sawdust|popcorn] and a trumpet
    played.
H under the benches;behind the drum;in the sawdust;inside a clown's shoe
T the high wire;the top of the tent
A clap for the clowns;watch the jugglers;march to the band;stand on their hands
the bridge | on | outdoor kid pond
S The water [slid|rushed] by far below and the planks [creaked|shook].|The wind [blew|tugged] and swallows
    shot through under the arches.
H under the first step;between two planks;behind the stone post;beside the railing
T the top of the arch;the iron lamp
A race sticks;shout for echoes;look at the fish;wave to the boats
the workshop | in | indoor kid home
S Sawdust covered the floor and tools hung in [neat|long] rows.|It smelled of [wood|paint|glue] and a radio
    played softly.
H under the workbench;behind the planks;in a box of screws;under a heap of shavings
T the top of the tool cabinet;the hook under the ceiling
A hammer nails;paint boards;sort the screws;build little boats
the greenhouse | in | indoor kid farm bug
S The glass was [foggy|wet] and the air was [warm|thick].|Tomatoes [glowed|hung] and [lemon|orange] trees
    stood in pots.
H behind the lemon tree;under a table of pots;inside a watering can;between the seed trays
T the top of the vine;the glass roof
A water the pots;smell the lemons;draw on the foggy glass;count the tomatoes
the pumpkin patch | in | outdoor farm kid bug
S Round orange pumpkins lay everywhere like sleeping [moons|suns].|Vines [curled|crept] over the ground and
    the air was crisp.
H behind the biggest pumpkin;under the vines;in a wheelbarrow;beside the scarecrow
T the scarecrow's hat;the roof of the wagon
A choose a pumpkin;jump over the vines;ride in the wheelbarrow;make funny faces
the desert | in | outdoor sand
S The sand [shimmered|burned] and the cactus threw thin shadows.|The wind drew [lines|waves] in the sand and
    it was very quiet.
H under a flat stone;behind a cactus;in the warm sand;beside a dry bush
T the top of a cactus;a high rock
A slide down the dunes;look for lizards;rest in the shade;follow tracks
the swamp | in | outdoor pond
S Bubbles [rose|popped] from the mud and mosquitoes [sang|whined].|Mist [hung|crept] between the trees and
    something went plop.
H under a rotten log;among the cattails;behind a mossy root;in the mud
T the [twisted|old] cypress tree;a hanging vine
A hop from root to root;catch flies;play in the mud;croak together
the hallway | in | indoor kid home
S Coats hung in a row and the floorboards [creaked|shone].|A [small|long] mirror hung by the door and it
    smelled of [boots|polish].
H under the coats;inside a boot;behind the umbrella stand;under the mat
T the coat rack;the top of the mirror
A slide in their socks;try on hats;play ball softly;listen at the door
the bathroom | in | indoor kid home
S The mirror was [foggy|shiny] and the tap went drip, drip.|Foam [rose|glittered] in the tub and the towels
    were [warm|soft].
H behind the laundry basket;under the sink;inside the tub;behind the towels
T the top of the cabinet;the shower rail
A blow soap bubbles;sail boats in the tub;make foam beards;splash
the doctor's office | at | indoor kid town
S The room was [white|bright] and a [big|tall] scale stood in the corner.|It smelled of [soap|mint] and fish
    swam in a tank by the window.
H under the chair;behind the scale;in the toy corner;beside the fish tank
T the top of the cabinet;the high window
A look at the fish;read the comics;count the jars;play in the toy corner
the bookstore | in | indoor kid town
S Books stood in [tall|leaning] towers and a cat slept on the counter.|A bell [rang|tinkled] over the door and
    it smelled of [ink|new paper].
H between two atlases;under the counter;behind the poster stand;under the armchair
T the top shelf;the top of a tower of books
A read comics;pet the cat;look at the maps;choose a story
the fire station | at | outdoor kid town
S The [red|big] engine [shone|gleamed] and a bell hung by the door.|Long hoses lay in rolls and
    [boots|helmets] stood in a line.
H behind the fire engine;inside a boot;under the hose rack;beside the pole
T the roof of the fire engine;the top of the ladder
A try on helmets;ring the bell;climb into the engine;slide down the pole
the neighbor's yard | in | outdoor kid home
S A sprinkler [ticked|turned] on the lawn and a cat dozed on the wall.|[Plums|Pears] hung over the fence and
    the hedge was [thick|neat].
H under the hedge;behind the trash bins;in the tall grass;beside the dog house
T the garage roof;the neighbor's [plum|pear] tree
A run through the sprinkler;play catch;pet the cat;jump over the hose
the anthill | at | outdoor bug
S Everybody [hurried|marched] in lines and the tunnels smelled of [earth|pine needles].|Crumbs and seeds were
    carried in from all sides.
H under a pine needle;behind a crumb;in a dark tunnel;under a pebble
T the tip of a grass blade;the top of a dandelion
A march in lines;roll crumbs;dig tunnels;race over twigs
"""


@dataclass(frozen=True)
class Place:
    key: str
    name: str
    preposition: str
    toward: str
    tags: frozenset
    senses: str
    hides: tuple
    heights: tuple
    fun: tuple


def read_places(blocks):
    """The blocks above as {name: Place}."""
    places, lines = {}, re.sub(r"\n +", " ", blocks.strip()).splitlines()  # an indented line goes on
    for head, *rest in zip(lines[::5], lines[1::5], lines[2::5], lines[3::5], lines[4::5]):
        name, preposition, tags = (part.strip() for part in head.split("|"))
        fields = {line[0]: line[2:] for line in rest}
        places[name] = Place(
            name,
            name,
            preposition,
            "to",
            frozenset(tags.split()),
            fields["S"],
            tuple(fields["H"].split(";")),
            tuple(fields["T"].split(";")),
            tuple(fields["A"].split(";")),
        )
    return places


PLACES = read_places(BLOCKS)


def main(argv=None):
    for place in PLACES.values():
        print(f"{place.preposition:3} {place.name:24} {', '.join(sorted(place.tags))}")
    print(len(PLACES), "places")


if __name__ == "__main__":
    main()
