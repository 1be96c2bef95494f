"""English by rule: articles, plurals, past tenses, -ing forms, lists, and the capital letters of a sentence.

Storyland writes its sentences from templates; this file keeps the grammar of what is put into them right.
Left out on purpose: everything that children's stories in the past tense do not need.
Run `python datasets/english.py` to see each rule on a few words (instantly; it writes nothing).
"""

import re

IRREGULAR_PAST = dict(
    pair.split(":")
    for pair in (
        "be:was begin:began bend:bent bite:bit blow:blew break:broke bring:brought build:built buy:bought catch:caught "
        "choose:chose come:came cut:cut dig:dug do:did draw:drew drink:drank drive:drove eat:ate fall:fell feed:fed "
        "feel:felt fight:fought find:found fly:flew forget:forgot get:got give:gave go:went grow:grew hang:hung have:had "
        "hear:heard hide:hid hit:hit hold:held keep:kept know:knew leave:left lend:lent let:let lie:lay light:lit "
        "lose:lost make:made mean:meant meet:met pay:paid put:put read:read ride:rode ring:rang run:ran say:said see:saw "
        "sell:sold send:sent set:set sew:sewed shake:shook shine:shone sing:sang sink:sank sit:sat sleep:slept "
        "slide:slid speak:spoke spend:spent spin:spun spread:spread stand:stood steal:stole stick:stuck sweep:swept "
        "swim:swam swing:swung take:took teach:taught tear:tore tell:told think:thought throw:threw understand:understood "
        "wake:woke wear:wore weave:wove win:won wind:wound write:wrote"
    ).split()
)
IRREGULAR_PLURAL = dict(
    pair.split(":")
    for pair in (
        "child:children man:men woman:women mouse:mice goose:geese foot:feet tooth:teeth leaf:leaves loaf:loaves "
        "shelf:shelves wolf:wolves calf:calves scarf:scarves knife:knives wife:wives fish:fish sheep:sheep deer:deer "
        "potato:potatoes tomato:tomatoes"
    ).split()
)
DOUBLING = set(
    "bat strut beg chat chop clap dig drag drop drum dip fan flip get grab hit hop hug hum jog jump-up knit knot mop "
    "nap nod pat pet plan plop put rub run rip shop sip sit skip slam slip snap spin spot stir stop swim tap "
    "trot plod flop strut spot tip trap trim trip tug wag win wrap zip cut let set".split()
)
AN_BUT_CONSONANT = ("hour", "honest", "heir")
A_BUT_VOWEL = ("uni", "use", "usual", "one", "once", "ukulele", "euro", "ewe")


def article(phrase):
    """'a' or 'an', as the sound of the phrase's first word asks."""
    word = re.sub(r"^[^A-Za-z]*", "", phrase).lower()
    if word.startswith(AN_BUT_CONSONANT):
        return "an"
    return "an" if word[:1] in tuple("aeiou") and not word.startswith(A_BUT_VOWEL) else "a"


def fix_articles(text):
    """Every 'a' or 'an' in the text becomes the one that the next word asks for."""

    def right(match):
        word = article(match.group(3))
        return (word.capitalize() if match.group(1)[0] == "A" else word) + match.group(2) + match.group(3)

    return re.sub(r"\b([Aa]n?)( )([A-Za-z]+)", right, text)


def plural(noun):
    """The plural of a noun phrase whose last word is its noun."""
    head, _, last = noun.rpartition(" ")
    if last in IRREGULAR_PLURAL:
        last = IRREGULAR_PLURAL[last]
    elif re.search(r"(s|x|z|ch|sh)$", last):
        last += "es"
    elif re.search(r"[^aeiou]y$", last):
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{head} {last}".strip()


def _on_verb(rule):
    """Apply a rule for one verb to the first word of a phrase: 'ride a bike' -> 'rode a bike'."""

    def on_phrase(phrase):
        verb, space, rest = phrase.partition(" ")
        return rule(verb) + space + rest

    on_phrase.__doc__ = rule.__doc__
    return on_phrase


@_on_verb
def past(verb):
    """The simple past of a phrase's first word."""
    if verb in IRREGULAR_PAST:
        return IRREGULAR_PAST[verb]
    if verb.endswith("e"):
        return verb + "d"
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ied"
    return verb + verb[-1] * (verb in DOUBLING) + "ed"


@_on_verb
def ing(verb):
    """The present participle of a phrase's first word."""
    if verb == "lie":
        return "lying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        return verb[:-1] + "ing"
    return verb + verb[-1] * (verb in DOUBLING) + "ing"


def listing(items):
    """'a', 'a and b', 'a, b and c'."""
    items = list(items)
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def possessive(name):
    """'Tim's', and "James's" as children's books write it."""
    return name + "'s"


def capitalize(text):
    """The text with its first letter large, behind an opening quote too."""
    return re.sub(r'^("?)([a-z])', lambda m: m.group(1) + m.group(2).upper(), text)


LONG = {"'m": " am", "'ve": " have", "'re": " are", "'s": " is", "'ll": " will", "'d": " would"}


def unfold(text):
    """Writes out a contraction where English does not contract, and takes back words that alternatives doubled.

    A contraction cannot end a clause ("here it's"), and "I've" stands for having done, not for having a thing.
    """
    text = re.sub(
        r"\b(I|you|we|they|[Ii]t|[Tt]hat|[Tt]here|[Hh]ere|[Ww]hat|[Hh]e|[Ss]he|[Yy]ou|[Ww]e|[Tt]hey)('m|'ve|'re|'s|'ll|'d)"
        r"(?=[,.?!;\"]|$| (?:and|but|or|in front|for me)\b)",
        lambda m: m.group(1) + LONG[m.group(2)],
        text,
    )
    text = re.sub(
        r"\b(I|[Yy]ou|[Ww]e|[Tt]hey)'ve(?= (?:to|a|an|the|no|nothing|something|it|my|your|our|one|two|only|just|enough|so)\b)",
        r"\1 have",
        text,
    )
    text = re.sub(r"\bclose to(?=[.,!?;\"])", "near", text)
    text = re.sub(r"\b(very|really|so|quite|little|just)( (?:very|really|so|little|just))+\b", r"\1", text)
    text = re.sub(
        r"\b([Aa])ll (?:right away|straight away|immediately|that very moment|suddenly|in one moment)\b",
        r"\1ll at once",
        text,
    )
    text = re.sub(r"\b([Aa])s (?:so|very|really) (?=\w)", r"\1s ", text)
    text = text.replace("can I thanks", "can I thank you")
    return re.sub(r"\b(?:very|really|so|quite) as\b", "as", text)


def sentences(text):
    """A capital after each full stop and opening quote, and where a template asks for one by ^."""
    text = unfold(text)
    text = re.sub(r'([.!?] +|[.]" +|\n)("?[a-z])', lambda m: m.group(1) + m.group(2).upper(), text)
    text = re.sub(r'((?:^|[\s])")([a-z])', lambda m: m.group(1) + m.group(2).upper(), text)
    text = re.sub(r"\^(\"?[a-z])", lambda m: m.group(1).upper(), text).replace("^", "")
    return capitalize(text)


def main(argv=None):
    for verb in ("ride a bike", "tie a knot", "hug", "carry water", "lie down"):
        print(f"{verb:14} {past(verb):16} {ing(verb)}")
    print(", ".join(plural(noun) for noun in ("box", "berry", "toy mouse", "leaf", "ball")))
    print(fix_articles("a apple, an pear, a hour, an unicorn"))


if __name__ == "__main__":
    main()
