"""Other words for the same: every plain phrase of a template that stands here may be told in another way.

`enrich` puts the alternatives into the templates as they are read. A line is a group of phrases that can stand for each
other wherever one of them stands (the left one; the others are not looked up in turn).
Run it to see a template before and after.
"""

import re

GROUPS = """
did not=did not=didn't
was not=was not=wasn't
were not=were not=weren't
could not=could not=couldn't=was not able to
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
that is=that is=that's
there is=there is=there's
here is=here is=here's
what is=what is=what's
let us=let us=let's
I would=I would=I'd
very=very=so=really
small=small=little
big=big=large=great
began=began=started
entire=entire=whole
whole=whole=entire
until=until=till
because=because=since
each other=each other=one another
beside=beside=next to=by
under=under=beneath
above=above=high above
near=near=close to
saw that=saw that=noticed that=could see that
a bit=a bit=a little
only=only=just
want to=want to=would like to
come along=come along=come too
thought and thought=thought hard
quiet=quiet=silent=still
hurried=hurried=rushed=ran
jumped=jumped=leaped=hopped
grew and grew=got bigger and bigger=grew taller and taller
at first=at first=in the beginning=first
in a bad mood=in a bad mood=grumpy=cross
happy=happy=glad=cheerful
sad=sad=unhappy=gloomy
afraid=afraid=scared=frightened
angry=angry=cross=mad
sleepy=sleepy=drowsy
glad=glad=happy=pleased
proud=proud=so proud=very proud
stone=stone=rock
stones=stones=rocks
shore=shore=bank
sound=sound=noise
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
all at once=suddenly=in one moment
on the way=along the way
not far away=close by=nearby=just a few steps away
very much=a lot=dearly=with all {x}heart
began to=started to
tried to=did {x}best to=tried hard to
wanted to=wanted to=longed to=hoped to
had to=had to=needed to
was gone=was gone=had disappeared=had vanished
looked at=looked at=gazed at=stared at
looked around=looked all around=looked left and right=turned and looked
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
so that=so that
big eyes=big eyes=wide eyes=round eyes
all night=the whole night=all night long
all day=the whole day=all day long
strange sound=odd sound=funny noise=strange noise
the whole story=the whole tale=the story from beginning to end
the best day=the finest day=the happiest day
a good day=a fine day=a happy day
a wonderful day=a lovely day=a marvelous day
no use=useless=hopeless
too hard=much too hard=far too hard=too difficult
I am sorry=I am so sorry=I am very sorry=please forgive me
I am so sorry=I am very sorry=I feel so bad
it was over=it had passed=it was done
had an idea=got an idea=thought of something=had a thought
gave up=gave up
give up=give up=stop trying
it worked=it worked=it went well=all went well
get up=get up=stand up
lay down=lay down=stretched out
jumped up=leaped up=sprang up
held tight=held fast
called out=cried out=shouted
listened=listened=listened closely=pricked up {x}ears
nodded=nodded=nodded slowly=gave a nod
shook {who.his} head=shook {who.his} head=said no
at the same time=at the same moment=together
in the world=in the whole world=on earth=in the whole wide world
of course=of course=naturally=sure
as high as=as high as
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
clever=clever=smart=bright
hungry=hungry=so hungry=very hungry
tiny=tiny=very small=teeny
huge=huge=giant=enormous
loud=loud=noisy
pretty=pretty=lovely=beautiful
beautiful=beautiful=lovely=pretty
wonderful=wonderful=lovely=marvelous=splendid
delicious=delicious=tasty=yummy=scrumptious
soft=soft=gentle
shiny=shiny=gleaming=glittering
in the grass=in the grass=on the grass=in the green grass
under the tree=under the tree=beneath the tree
in the sun=in the sun=in the sunshine=in the warm sun
in the dark=in the dark=in the darkness
carefully=carefully=with care=gently
slowly=slowly=very slowly=little by little
softly=softly=quietly=in a low voice
quickly=quickly=fast=in a hurry
finally=finally=at last=in the end
soon=soon=before long=in no time
maybe=maybe=perhaps
almost=almost=nearly
happily=happily=joyfully=merrily
sadly=sadly=with a sigh=unhappily
together=together=together=side by side
remembered=remembered=thought of
was over=was over=had ended=came to an end
this time=this time=this time=now
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
came home=came home=got home=was home again
did not know=did not know=had no idea
knew what to do=knew what to do=had a plan=knew a way
it was not easy=it was hard work=it was no easy thing
not one=not one=not a single
all of them=all of them=every one of them
some time later=some time later=a few weeks later=one day
not long after=not long after=a few days later=soon after
that was all=that was all=there was nothing more
nothing else=nothing else=nothing more
too late=too late=a moment too late
and there=and there=and look, there=and right there
of the day=of the day
stayed empty=stayed empty=remained empty
as good as new=as good as new=just like new
even better=even better=better still=still better
I know=I know=I know=I am sure
let us=let us=let us=we should=come, let us
"""

ADJECTIVES = """
wind=cold,soft,warm,fresh,strong,gentle
tree=old,tall,big,green,crooked,leafy
door=heavy,wooden,old,narrow
window=small,open,round,dusty
house=old,small,big,cozy
grass=tall,green,soft,wet,thick
leaves=dry,green,wet,brown,yellow
leaf=dry,green,big,wet,yellow
water=cold,clear,cool,dark,green
path=narrow,winding,stony,long,dusty
sky=blue,wide,clear,open
sun=warm,bright,golden,low
moon=pale,full,round,silver,big
stars=bright,silver,little,far
shadows=long,dark,strange
fence=old,wooden,low,white,broken
bush=thick,green,prickly,dark
branch=long,thick,strong,bare
hill=green,steep,round,high
river=wide,cold,quick,green
bridge=narrow,old,little,wooden
brook=quick,cold,merry,little
road=long,dusty,wide,empty
table=round,wooden,big,low
bed=soft,warm,cozy,narrow
chair=old,wooden,low,wobbly
floor=wooden,cold,bare
wall=white,high,old,thick
walls=white,high,old,thick
roof=red,steep,flat,old
corner=dark,quiet,far,cool
crowd=big,cheerful,happy,noisy
clock=old,tall,loud
rope=thick,long,strong,old
stick=long,thin,dry,crooked
stone=flat,gray,heavy,smooth
stones=flat,gray,heavy,smooth
sand=warm,wet,fine,white
mud=deep,brown,cold,soft
snow=fresh,deep,white,soft
waves=green,gentle,cold,small
song=merry,soft,old,little
smile=shy,big,bright,warm,tiny
idea=good,clever,new,bright
light=warm,yellow,soft,bright
knot=tight,double,strong
thread=thin,red,long,strong
bowl=big,blue,wooden,small
garden=green,sunny,quiet,wild
flowers=bright,wild,sweet,tall
flower=bright,wild,sweet,tall
hedge=thick,green,high,tall
net=old,strong,fine
map=old,big,yellow
blanket=warm,soft,thick,woolly
voices=loud,happy,high
bird=small,brown,bright
birds=small,brown,little
lid=heavy,wooden,round
boat=little,old,narrow
sail=white,little,patched
storm=wild,dark,terrible
rain=cold,soft,heavy,gray
fog=thick,white,gray
fire=warm,bright,little
echo=faint,long,strange
puddle=deep,brown,muddy
straw=dry,yellow,soft,clean
earth=dark,soft,warm,brown
trunk=thick,rough,old
roots=thick,old,knotty
threads=thin,sticky,silver
street=quiet,busy,narrow,long
way=long,short,stony
crumbs=tiny,dry,last
board=strong,long,wide
scarf=warm,red,woolly
doorstep=cold,wet,wide
bank=steep,grassy,muddy
thorns=sharp,long,nasty
paper=thin,white,stiff
"""
PLAIN = {line.split("=")[0]: "[||" + "|".join(a + " " for a in line.split("=")[1].split(",")) + "]"
         for line in ADJECTIVES.strip().splitlines()}
NOUN = re.compile(r"(?<![\w])(an?|the|his|her|\{\w+\.his\}) (" + "|".join(sorted(PLAIN, key=len, reverse=True))
                  + r")(?![\w'>}-])")


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
PHRASE = re.compile(r"(?<![\w.{<=.?])(" + "|".join(sorted(map(re.escape, TABLE), key=len, reverse=True)) + r")(?![\w}>:'-])")
TAILS = {"said": "[said|said|said softly|said quietly|said at once|said after a moment|said at last|said in a low voice|added|said slowly]",
         "asked": "[asked|asked|asked softly|wanted to know|asked quietly|wondered|asked after a moment]"}
SAID = re.compile(r"((?:\?|,)\" \{\w+\.he\} )(said|asked)(?=[.|\]])")
INVERTED = re.compile(r"(said|asked) (\{\w+\.N\})(?=\.)")
AFTER = {"said": "[| softly| at once| after a moment| with a nod| quietly| in a low voice]",
         "asked": "[| softly| after a moment| quietly| and waited]"}


def enrich(template):
    """The template with other words beside those that have some."""
    template = re.sub(r", and (?=\{who|\{both|it |he |she |they |the )", "[, and |, and | and ]", template)
    template = PHRASE.sub(lambda match: TABLE[match.group(1)], template)
    template = NOUN.sub(lambda match: f"{match.group(1)} {PLAIN[match.group(2)]}{match.group(2)}", template)
    template = SAID.sub(lambda match: match.group(1) + TAILS[match.group(2)], template)
    return INVERTED.sub(lambda match: match.group() + AFTER[match.group(1)], template)


def main(argv=None):
    template = '{who} came closer and sat down. "Let us try again," {who.he} said.'
    print(template, enrich(template), sep="\n")


if __name__ == "__main__":
    main()
