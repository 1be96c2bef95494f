"""Other words for the same: every plain phrase of a template that stands here may be told in another way.

`enrich` puts the alternatives into the templates as they are read. A line is a group of phrases that can stand for each
other wherever one of them stands (the left one; the others are not looked up in turn).
Run it to see a template before and after.
"""

import re

GROUPS = """
clever=clever=smart
sad=sad=unhappy
happy=happy=glad
huge=huge=enormous
delicious=delicious=tasty
looked around=looked around=looked all around
softly=softly=quietly
slowly=slowly=very slowly
big=big=large
was gone=was gone=had disappeared=had vanished
no use=no use=no good
did not=did not=didn't
was not=was not=wasn't
were not=were not=weren't
could not=could not=couldn't
had not=had not=hadn't
would not=would not=wouldn't
do not=do not=don't
does not=does not=doesn't
is not=is not=isn't
cannot=cannot=can't
will not=will not=won't
I am=I am=I'm
I will=I will=I'll
I have=I have=I've
you are=you are=you're
we are=we are=we're
we will=we will=we'll
it is=it is=it's
there is=there is=there's
here is=here is=here's
what is=what is=what's
let us=let us=let's
I would=I would=I'd
very=very=really
small=small=little
began=began=started
entire=entire=whole
until=until=till
because=because=since
each other=each other=one another
beside=beside=next to=by
under=under=beneath
near=near=close to
saw that=saw that=noticed that=could see that
come along=come along=come too
thought and thought=thought hard
hurried=hurried=rushed=ran
jumped=jumped=leaped=hopped
grew and grew=got bigger and bigger=grew taller and taller
in a bad mood=in a bad mood=grumpy=cross
afraid=afraid=scared=frightened
shore=shore=bank
pulled=pulled=tugged
brought=brought=fetched
climbed=climbed=scrambled
crept=crept=sneaked=tiptoed
whispered=whispered=murmured
shouted=shouted=called=yelled
gasped=gasped=cried
peeked=peeked=peered=looked
threw=threw=tossed
tossed=tossed=threw
nearly=nearly=almost
each time=each time=every time
in the end=in the end=at last=finally
wet=wet=soaked=dripping
lonely=lonely=all alone
noise=noise=sound=racket
grew dark=grew dark=became dark
on tiptoe=on tiptoe=very quietly=without a sound
courage=courage=bravery
joy=joy=delight=happiness
picked up=picked up=lifted up=took up
shivered=shivered=trembled
trembled=trembled=shook=shivered
trembling=trembling=shaking
frowned=frowned=wrinkled {x}nose
sobbed=sobbed=cried=wept
begged=begged=pleaded
cheered=cheered=clapped
clapped=clapped=cheered
giggled=giggled=laughed
wobbled=wobbled=swayed
swayed=swayed=rocked
crash=crash=bang=smash
go on=go on=keep going
no one=no one=nobody
anybody=anybody=anyone
anyone=anyone=anybody
at the bottom=at the bottom=down at the bottom
at the top=at the top=right at the top
the others=the others=all the others=the rest
all the others=all the others=the others
all the time=all the time=the whole time
one after the other=one after the other=one by one
out of sight=out of sight=gone from view
right there=right there=exactly there
on the other side=on the other side=on the far side=across the way
just then=just then=at that moment=right then
as fast as=as fast as=as quickly as
at home=at home=back home
in bed=in bed=under the covers
kitchen table=kitchen table=big kitchen table
it took a while=it took a while=it took some time=that was slow work
no luck=no luck=no success
what happened=what happened=what came next
all right=all right=okay=fine
many times=many times=often=a hundred times
long ago=long ago=long, long ago=many years ago
deep breath=deep breath=long breath
for the first time=for the first time=for the very first time
a piece of=a piece of=a bit of
made of=made of=built of
the whole way=the whole way=all the way
all the way=all the way=the whole way
around and around=around and around=in circles
up and down=up and down=to and fro
to and fro=to and fro=back and forth
back and forth=back and forth=to and fro
simple=simple=easy
silly=silly=foolish=funny
famous=famous=well known
pleased=pleased=glad
merry=merry=jolly=cheerful
jolly=jolly=merry=cheerful
cheerful=cheerful=merry
lovely=lovely=pretty=beautiful
it was over=it was over=it had passed
said again=said again=repeated
tried again=tried again=tried once more
try again=try again=try once more
again and again=again and again=over and over=time after time
came closer=came nearer=moved closer=stepped closer
came by=passed by=came along
sat down=sat
stood still=did not move=stopped short
stopped and=stood still and
smiled=smiled=grinned=beamed
laughed=laughed=chuckled=giggled
was quiet=was silent=said nothing
for a while=for some time=for a little while=a while
for a long time=for a long while=for quite a time
for a moment=for a second=a moment
a long time=a long while=quite a while
again and again=over and over=over and over again=time after time
at once=right away=straight away=immediately=that very moment
on the way=along the way
not far away=close by=nearby=just a few steps away
very much=a lot=dearly=with all {x}heart
began to=started to
tried to=did {x}best to=tried hard to
looked at=looked at=gazed at=stared at
turned around=spun around=looked back
ran after=hurried after=dashed after=went after
without a word=in silence=without a sound
took a step back=stepped back=backed away
with a smile=with a little smile=with a warm smile=and smiled
with big eyes=with wide eyes=with round eyes
pulled at=tugged at
very gently=as gently as could be=ever so gently
nobody=nobody=no one
everybody=everybody=everyone
everyone=everyone=everybody
somebody=somebody=someone
little by little=bit by bit=piece by piece
step by step=one step at a time=one step after another
one by one=one after the other
side by side=next to each other
in the morning=at sunrise=in the early morning
in the evening=that evening=when evening came=at sunset
that night=that night=at bedtime=when night fell
one morning=one morning=one fine morning=early one morning
every morning=each morning=every morning
every evening=each evening=every evening
every day=each day=every single day=day after day
the next day=the following day=a day later
the next morning=the following morning=early the next day
day by day=from day to day
day after day=every day
nothing happened=there was nothing to see=not a thing happened
new courage=fresh courage=new hope
and laughed=and laughed=and giggled=and chuckled
strange sound=odd sound=funny noise=strange noise
the whole story=the whole tale=the story from beginning to end
the best day=the finest day=the happiest day
a good day=a fine day=a happy day
a wonderful day=a lovely day=a marvelous day
I am sorry=I am so sorry=I am very sorry=please forgive me
I am so sorry=I am very sorry=I feel so bad
had an idea=got an idea=thought of something=had a thought
give up=give up=stop trying
it worked=it worked=it went well=all went well
get up=get up=stand up
lay down=lay down=stretched out
called out=cried out=shouted
listened=listened=listened closely=pricked up {x}ears
nodded=nodded=nodded slowly=gave a nod
shook {who.his} head=shook {who.his} head=said no
in the world=in the whole world=on earth=in the whole wide world
of course=of course=naturally=sure
closer and closer=nearer and nearer=closer still
higher and higher=up and up=ever higher
far away=far away=far off=a long way off
a hundred times=a thousand times=many, many times
lots of=lots of=plenty of=a lot of
a lot of=a lot of=plenty of=lots of
many years=many years=a very long time
good friend=good friend=dear friend=close friend
good friends=good friends=dear friends=close friends
best friends=best friends=very best friends=closest friends
strange=strange=odd=peculiar
beautiful=beautiful=lovely=pretty
wonderful=wonderful=lovely=marvelous=splendid
shiny=shiny=gleaming=glittering
in the grass=in the grass=on the grass=in the green grass
under the tree=under the tree=beneath the tree
in the sun=in the sun=in the sunshine=in the warm sun
in the dark=in the dark=in the darkness
carefully=carefully=with care=gently
finally=finally=at last=in the end
maybe=maybe=perhaps
almost=almost=nearly
happily=happily=joyfully=merrily
sadly=sadly=with a sigh=unhappily
first time=first time=very first time
and waited=and waited=and kept still=and watched
and sang=and sang=and hummed=and whistled
and danced=and danced=and jumped=and skipped
and cried=and cried=and wept=and sobbed
hugged=hugged=hugged=put {x}arms around
looked up=looked up=raised {x}head=glanced up
looked down=looked down=hung {x}head=lowered {x}eyes
looked away=looked away=turned away=looked to the side
looked back=looked back=turned back
woke up=woke up=awoke
went home=went home=headed home=made for home
it was not easy=it was hard work=it was no easy thing
all of them=all of them=every one of them
some time later=some time later=a few weeks later=one day
not long after=not long after=a few days later=soon after
that was all=that was all=there was nothing more
nothing else=nothing else=nothing more
stayed empty=stayed empty=remained empty
as good as new=as good as new=just like new
even better=even better=better still=still better
let us=let us=let us=we should=come, let us
"""

ADJECTIVES = """
mouse=gray,little,thin,clever,brown
cat=fat,gray,old,striped,sleepy
dog=big,brown,shaggy,friendly
goat=white,bossy,old,hungry
frog=green,fat,little,noisy
owl=old,sleepy,wise,brown
bear=old,brown,huge,sleepy
spider=small,busy,black
snail=little,brown,slow,old
shoe=left,old,muddy
shoes=old,brown,muddy,new
boot=left,old,rubber,muddy
hat=old,big,funny,wide
coat=long,old,warm
basket=round,big,old,woven
bag=old,brown,heavy,big
box=wooden,small,old,flat
pot=big,old,iron,black
cup=blue,little,chipped
plate=white,blue,round
spoon=wooden,silver,big
cake=big,warm,round
soup=hot,thin,thick
milk=warm,cold,fresh
bread=fresh,brown,warm
pie=hot,round,big
honey=sweet,golden,thick
egg=white,speckled,smooth
eggs=white,speckled,warm
nut=big,round,brown
nuts=big,round,brown
berries=ripe,red,dark,sweet
apple=red,ripe,shiny
apples=red,ripe,shiny
wagon=heavy,old,long
wheel=front,back,crooked
wheels=big,iron,squeaky
rails=cold,shiny,long
engine=old,strong,hot
ship=great,white,proud
nest=warm,round,empty,small
hole=deep,round,small,dark
cave=dark,cold,deep
rock=big,gray,flat,mossy
rocks=gray,sharp,wet
cliff=steep,high,gray
ledge=narrow,stony,high
field=wide,brown,dry
village=small,sleepy,quiet
town=small,busy,noisy
market=busy,noisy,colorful
lane=narrow,dusty,quiet
gate=green,wooden,old,creaky
yard=wide,sunny,dusty
barn=old,big,red
shed=old,little,dark
stairs=steep,wooden,old
lamp=little,small,yellow
candle=little,white,thin
mirror=old,tall,round
curtain=blue,long,heavy
sofa=soft,old,green
pillow=soft,white,big
pocket=left,deep,right
letter=long,little,white
book=thick,old,big
page=last,first,white
picture=little,funny,new
ribbon=red,blue,long
string=long,thin,strong
needle=thin,sharp,silver
hammer=heavy,old,little
nail=long,rusty,bent
nails=long,rusty,bent
log=long,heavy,wet
logs=long,heavy,wet
twigs=thin,dry,short
seed=tiny,brown,little
plant=little,green,young
feather=white,soft,gray
feathers=white,soft,gray
tower=tall,old,high
bell=big,bronze,silver,loud
drum=big,deep,loud
whistle=loud,shrill,long
tune=merry,slow,quiet
note=high,last,first
riddle=hard,old,funny
cloud=dark,gray,big
lightning=bright,white
rainbow=bright,wide,huge
dew=cold,morning,silver
ice=blue,smooth,clear
steam=white,hot,thick
smoke=gray,thick,thin
ashes=gray,cold,warm
spark=tiny,last,red
meadow=green,wide,sunny
forest=dark,green,deep
woods=dark,green,deep
island=green,tiny,far
shore=sandy,far,rocky
current=strong,cold,wild
farmer=old,kind,tall
neighbor=old,kind,nice
mother=kind,anxious,young
judge=old,friendly,tall
prize=first,great,best
party=little,merry,big
feast=great,little,merry
wind=cold,soft,warm,fresh,strong,gentle,icy,mild,playful,sharp,evening
tree=old,tall,big,green,crooked,leafy,knotty,round,lonely,mossy,ancient,shady
door=heavy,wooden,old,narrow,creaky,green,blue,low,brown
window=small,open,round,dusty,bright,little,broad,square
house=old,small,big,cozy,crooked,white,quiet,low,friendly
grass=tall,green,soft,wet,thick,cool,dewy,long,high,waving
leaves=dry,green,wet,brown,yellow,crisp,golden,rustling,fresh
leaf=dry,green,big,wet,yellow,curly,golden,crisp,round
water=cold,clear,cool,dark,green,blue,deep,icy,shallow,glittering
path=narrow,winding,stony,long,dusty,steep,grassy,sandy,crooked,muddy
sun=warm,bright,golden,low,friendly,morning,hot,round
moon=pale,full,round,silver,big,yellow,white,thin,shining
stars=bright,silver,little,far,tiny,cold,twinkling
shadows=long,dark,strange,blue,thin,moving
fence=old,wooden,low,white,broken,crooked,high,green,rickety
bush=thick,green,prickly,dark,small,round,leafy,dense
branch=long,thick,strong,bare,thin,low,mossy,forked,knotty
hill=green,steep,round,high,grassy,low,bare,stony
river=wide,cold,quick,green,gray,deep,brown,lazy
bridge=narrow,old,little,wooden,shaky,mossy,long,high
brook=quick,cold,merry,little
road=long,dusty,wide,empty,straight,gray,stony,bumpy
table=round,wooden,big,low,kitchen,old,oak,long
bed=soft,warm,cozy,narrow,big,little,rumpled,wooden
chair=old,wooden,low,wobbly
floor=wooden,cold,bare
wall=white,high,old,thick,gray,stone,mossy,low
walls=white,high,old,thick
roof=red,steep,flat,old,tiled,slanting,wet,gray
corner=dark,quiet,far,cool,dim,dusty,warm
crowd=big,cheerful,happy,noisy,whole,colorful,excited,little
clock=old,tall,loud
rope=thick,long,strong,old,rough,wet,knotted
stick=long,thin,dry,crooked,short,strong,forked,straight
stone=flat,gray,heavy,smooth,round,mossy,white,brown,speckled
stones=flat,gray,heavy,smooth,round,mossy,white,brown,speckled
sand=warm,wet,fine,white,soft,yellow,hot,loose
mud=deep,brown,cold,soft,thick,sticky,wet,black
snow=fresh,deep,white,soft,clean,crisp,powdery
waves=green,gentle,cold,small,gray,foaming,tall,lazy
song=merry,soft,old,little,funny,sad,quiet,cheerful,slow
smile=shy,big,bright,warm,tiny,sly,slow,happy,crooked,kind,wide
idea=good,clever,new,bright,splendid,funny,sudden,fine,wonderful
knot=tight,double,strong
thread=thin,red,long,strong
bowl=big,blue,wooden,small,round,yellow,deep,chipped
garden=green,sunny,quiet,wild,tiny,flowery,overgrown,little
flowers=bright,wild,sweet,tall,yellow,blue,white,little
flower=bright,wild,sweet,tall,yellow,blue,white,little
hedge=thick,green,high,tall
net=old,strong,fine
map=old,big,yellow
blanket=warm,soft,thick,woolly
voices=loud,happy,high,strange,soft,far
bird=small,brown,bright,gray,noisy,cheeky,pretty
birds=small,brown,little,gray,noisy,cheeky,sleepy
lid=heavy,wooden,round
boat=little,old,narrow
sail=white,little,patched
storm=wild,dark,terrible,big,loud,sudden,furious
rain=cold,soft,heavy,gray,warm,steady,pouring,spring
fog=thick,white,gray
fire=warm,bright,little
echo=faint,long,strange
puddle=deep,brown,muddy
straw=dry,yellow,soft,clean
earth=dark,soft,warm,brown
trunk=thick,rough,old
roots=thick,old,knotty
threads=thin,sticky,silver
street=quiet,busy,narrow,long,sunny,crooked,wet
crumbs=tiny,dry,last
board=strong,long,wide
scarf=warm,red,woolly
doorstep=cold,wet,wide
bank=steep,grassy,muddy
thorns=sharp,long,nasty
paper=thin,white,stiff
"""
PLAIN = {
    line.split("=")[0]: "[||" + "|".join(a + " " for a in line.split("=")[1].split(",")) + "]"
    for line in ADJECTIVES.strip().splitlines()
}
NOUN = re.compile(
    r"(?<![\w])(an?|the|his|her|\{\w+\.his\}) ("
    + "|".join(sorted(PLAIN, key=len, reverse=True))
    + r")(?![\w'>}-]| (?:sister|brother|scarf|table|drum|door|house|tree|boat|bag|box|top|store|shop|yard|cake|soup"
    r"|pie|juice|jar|cup|bread|nest|stand|bell|tower|station|shell|fish|ball|sheet|bowl|path|pole|cloth|chains))"
)


def read_groups(text):
    """{phrase: template of its alternatives}."""
    table = {}
    for line in text.strip().splitlines():
        first, *others = line.split("=")
        options = [option for option in (first, *others) if "{x}" not in option]
        if len(set(options)) > 1:
            table[first] = "[" + "|".join(options) + "]"
    return table


TABLE = read_groups(GROUPS)
PHRASE = re.compile(
    r"(?<![\w.{<=.?])(" + "|".join(sorted(map(re.escape, TABLE), key=len, reverse=True)) + r")(?![\w}>:'-])"
)
TAILS = {
    "said": "[said|said|said softly|said quietly|said at once|said after a moment|said at last|said in a low voice|added|said slowly]",
    "asked": "[asked|asked|asked softly|wanted to know|asked quietly|wondered|asked after a moment]",
}
SAID = re.compile(r"((?:\?|,)\" \{\w+\.he\} )(said|asked)(?=[.|\]])")
INVERTED = re.compile(r"(said|asked) (\{\w+\.N\})(?=\.)")
AFTER = {
    "said": "[| softly| at once| after a moment| with a nod| quietly| in a low voice]",
    "asked": "[| softly| after a moment| quietly| and waited]",
}
OPENING = re.compile(
    r'((?:^|[ \[|])")(?=\[?[A-Za-z])(?!\[?(?:[Oo]h|[Ww]ell|[Ll]ook|[Yy]es|[Nn]o\\b|[Hh]e|[Ss]urprise|[Ww]ow|[Gg]ood|[Nn]e|[Ss]top|'
    r"[Tt]hat is|[Ww]ait|[Oo]ne|[Nn]ow|[Aa]nd|[Dd]ear|[Hh]ooray|[Cc]lose|[Ii]t was|[Ee]ek|[Yy]uck))"
)
FILLERS = "[|||||||||oh, |well, ]"


def enrich(template):
    """The template with other words beside those that have some."""
    template = re.sub(r", and (?=\{who|\{both|it |he |she |they |the )", "[, and |, and | and ]", template)
    template = PHRASE.sub(lambda match: TABLE[match.group(1)], template)
    template = NOUN.sub(lambda match: f"{match.group(1)} {PLAIN[match.group(2)]}{match.group(2)}", template)
    template = SAID.sub(lambda match: match.group(1) + TAILS[match.group(2)], template)
    template = OPENING.sub(lambda match: match.group(1) + FILLERS, template)
    return INVERTED.sub(lambda match: match.group() + AFTER[match.group(1)], template)


def main(argv=None):
    template = '{who} came closer and sat down. "Let us try again," {who.he} said.'
    print(template, enrich(template), sep="\n")


if __name__ == "__main__":
    main()
