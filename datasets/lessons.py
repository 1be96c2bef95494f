"""What stories teach, by what they are about: the end of "Tim learned that ...".

A line a kind of lesson, divided by semicolons; an indented line goes on with the one above.
"""

import re

LESSON_LINES = """
care: it is good to look after one's things; a thing that is loved must be looked after; a quiet search finds
    more than loud crying; it pays to be careful; every thing needs its place; patience finds what hurry
    loses; what we love we should keep close; it helps to look twice; lost does not mean gone for ever;
    whoever tidies up needs to search less; it is better to look with the eyes than with tears; a calm head
    finds what is lost
help: it is good to ask for help; two can do what one cannot; friends make hard things easy; nobody has to do
    everything alone; help is never far away if one asks; together, everything is easier; asking is not weak
    but wise; four hands are better than two; a friend in need is a friend indeed; everyone needs a hand
    sometimes; helping makes two happy at once; there is always somebody who can help
share: sharing makes joy twice as big; a thing is more fun when it is shared; it feels good to share; a friend
    is worth more than any thing; half of something with a friend is more than all of it alone; shared joy is
    double joy; whoever shares is never alone; an open hand is fuller than a fist; toys are made for more than
    one; nothing tastes as good as what is shared; giving makes rich; one laugh alone is only half a laugh
truth: it is always better to tell the truth; a lie is heavier than the truth; the truth is hard to say but
    easy to carry; honest words mend more than glue; everyone makes mistakes, but one should tell the truth;
    lies have short legs; the truth sets the heart free; a mistake is not so bad if one owns up to it; it
    takes courage to be honest; nothing sleeps as well as a clear heart; trust grows on true words
brave: being brave means to try although one is afraid; fear gets smaller when one looks at it; the dark
    things are often harmless; courage grows with every step; one can be afraid and still be brave; most
    monsters are made of shadows; a fear that is shared is only half as big; it helps to look closely; the
    first step is the hardest; everyone is afraid of something; behind a fear there may be a friend
practice: practice makes perfect; one must not give up too soon; every expert was once a beginner; small steps
    lead far; those who keep trying get there; falling is a part of learning; one more try can change
    everything; nobody is born a master; a little every day goes a long way; mistakes are good teachers; what
    is hard today is easy tomorrow
mend: broken things can often be mended; it is worth fixing what is broken; with patience, many things can be
    made whole again; mending can make a thing even dearer; not everything that is broken must be thrown away;
    a patch can be the nicest part; careful hands can do wonders; old things have their own beauty; glue and
    love hold many things together
kind: kindness always comes back; nobody is too small to be helped; a small help can be a big thing; a kind
    heart is never poor; it feels good to help; whoever helps others is never alone; good friends care for
    each other; one good deed leads to another; kindness costs little and is worth a lot; it is good to stop
    for those in need; gentle hands are strong hands; the heart sees what the eyes pass by
journey: the way is as good as the goal; every long way begins with one step; it is good to dream and better
    to set out; with a friend, no way is too long; where there is a will, there is a way; the world is big and
    full of wonders; whoever does not give up arrives; dreams want to be walked to; a detour can be the best
    part of the way; far places make home dearer; courage is the best thing to pack
win: helping is better than winning; a friend is the best prize; there are things that count more than being
    first; the kindest one is the real winner; winning alone is no fun; a good heart is faster than fast feet;
    it is better to lose a race than a friend; fair play is worth more than gold; some win by stopping; one
    can win without being first
patience: good things take time; patience makes things grow; one cannot hurry what grows; small things can
    become great; waiting is a kind of work; every flower has its own clock; who plants must wait; the best
    begins where nobody can see it; a little water every day does wonders; slow is not the same as never
friend: a small hello can be the start of a friendship; everyone is shy sometimes; it only takes one brave
    step to find a friend; a stranger can become a friend; somebody has to say the first word; friends may be
    waiting around the corner; a smile opens many doors; the quiet ones have much to tell; nobody should have
    to play alone; new friends are everywhere
lost: it is best to stay in one place when one is lost; one should stay close to one's family; it is wise to
    ask for help; a clear head finds the way home; it is better to stop than to run; there are kind people
    everywhere; a butterfly is no reason to run off; home is where somebody waits; whoever stays calm is found
promise: a promise is a promise; one should keep one's word; a kept promise makes one proud; trust is easy to
    lose and hard to win; a word is worth as much as the one who gives it; duty first and fun later; others
    count on us; what one has promised one must do; it is good when others can rely on us
food: one should taste before one judges; new things can be delicious; it is good to try something new; a
    small bite can change one's mind; the tongue is wiser than the eyes; what looks odd may taste good; one
    never knows before one has tried; being curious makes life tasty; no is often said too soon
rule: rules are there to keep us safe; it is wise to listen; who does not listen must feel; a warning is a
    kind of love; it is better to ask first; no rule is made for fun; those who love us warn us; being careful
    is not the same as being afraid; a good ear can save a lot of tears
enough: enough is as good as a feast; whoever wants it all may lose it all; greed leaves one with empty hands;
    too much is never enough; a little less would have been more; the greedy one eats alone; it is better to
    have less and many friends; a full heart is better than a full sack; more is not always better
idea: a good idea is better than brute force; one should think before one pulls; clever heads find a way;
    there is always another way; a pause can save a lot of work; thinking is a tool, too; the strongest thing
    is a good thought; what force cannot do, wit can; two heads find more ideas
gift: everybody is good at something; mistakes show us the way; one must find one's own gift; nobody is good
    at everything; every talent has its hour; it takes time to find out what one can do; we are all made for
    something; a mistake today may be luck tomorrow; no one is useless
small: even the smallest can do great things; strength comes from the heart; step by step one gets everywhere;
    never say that somebody is too small; a song can carry a heavy load; big deeds do not need big feet;
    whoever goes on gets there; it is the will that counts; little ones have big hearts; a mountain is only
    many small steps
true: good friends never forget each other; waiting makes joy bigger; things are not always what they seem;
    the best surprises need time; a secret can be a present; one should not think the worst too soon; friends
    think of us when we do not know it; the nicest gift is to be remembered
honest: honesty is worth more than gold; it feels good to do what is right; what belongs to others should be
    given back; an honest heart sleeps well; found does not mean owned; a clear heart is the best treasure;
    one can lose a thing and win a friend; doing right is its own reward; others miss what they have lost
room: there is always room for a friend; a small house can have a big heart; it is warmer together; where
    there is love, there is room; a storm makes friends of strangers; nobody should be left in the rain;
    sharing a roof is sharing luck; the narrowest place can be the coziest
words: words can hurt like stones; a kind word costs nothing; one should think before one speaks; it is good
    to say sorry; a word cannot be caught once it has flown; an unkind word comes back; a friend is worth more
    than being right; sorry is a small word with great power; it is easy to hurt and hard to heal; we should
    speak to others as we want to be spoken to
"""

LESSONS = {
    name: values.split("; ")
    for name, values in (
        line.split(": ", 1) for line in re.sub(r"\n +", " ", LESSON_LINES.strip()).splitlines()
    )
}
