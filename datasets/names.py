"""Names of Storyland: of girls, boys, animals, made creatures, and grown-ups. Run it to see how many there are."""

GIRLS = (
    "Lily Mia Sara Lucy Anna Amy Sue Sally Jane Daisy Molly Emma Bella Ella Luna Rosie Jenny Mary Ruby Zoe Chloe Nora "
    "Ivy Hazel Clara Nina Tina Penny Polly Poppy Maya Lola Kate Annie Ellie Grace Hannah Holly Iris Jill Judy Kim "
    "Leah Lena Lisa Maria Millie Nell Olive Rita Sofia Tilly Wendy Zara Alice Ada Beth Betty Carla Dora Eva Fay "
    "Flora Greta Heidi Ines Julia Katie Laila Mabel Mina Naomi Paula Rachel Sadie Tara Una Vera Willa Yara Zuri "
    "Amina Priya Keiko Leila Marta Noor Rosa Thea Edie Esme"
).split()
BOYS = (
    "Tim Tom Ben Max Sam Bob Jack Joe Leo Billy Jake Pete Andy Danny Fred Jim John Mark Mike Nick Toby Tommy Timmy "
    "Adam Alex Anton Arlo Carl Charlie Dan David Eddie Eli Ethan Felix Finn Frank Gus Harry Henry Hugo Ian Isaac "
    "Ivan Jamie Jay Jonah Josh Kai Ken Kevin Lars Lee Liam Logan Louis Luke Marco Mateo Miles Milo Nate Ned Noah "
    "Omar Oscar Otto Owen Pablo Paul Peter Ravi Remy Rob Rory Ryan Simon Steve Ted Theo Tony Victor Walter Will Yusuf "
    "Zach Amir Bruno Caleb Diego Emil Hiro Jasper Kofi Niko"
).split()
ANIMALS = (
    "Max Spot Fluffy Bobo Rusty Biscuit Buttons Pip Coco Momo Mimi Lulu Rex Fuzzy Whiskers Patch Pepper Nibbles "
    "Ziggy Bubbles Chip Clover Dot Freckles Ginger Hoppy Jolly Kiki Mocha Nutmeg Oats Pebble Pickles Pudding "
    "Snowy Socks Sparky Squeak Sunny Tango Teddy Toto Tuck Twig Waffles Ziggy Acorn Bramble Bumble Cinnamon "
    "Dusty Fern Flip Gigi Honey Juniper Kip Maple Misty Moss Noodle Peanut Plum Puck Roly Scout Skip Smudge "
    "Taffy Tinker Truffle Tumble Velvet Wiggles Willow Yoyo"
).split()
MADE = (
    "Zip Beep Zoom Bolt Sparkle Glimmer Puff Comet Rumble Toot Clank Blink Twinkle Dash Pogo Ember Drift Jingle "
    "Nimbus Rattle Tock Whir Zuzu Cog"
).split()
LAST = (
    "Bell Brown Green Hill Wood Park Rose Bloom Stone Lake Moss Berry Carter Cook Day Dean Fields Finch Fisher Frost "
    "Gray Hart Hay King Lamb Little Marsh May Mills Moon Nash Oaks Page Pine Potts Reed Rice Shaw Snow Swan Taylor "
    "Vale Wells West Winter Young"
).split()
SURNAMES = [f"{title} {name}" for name in LAST for title in ("Mr.", "Mrs.")]
ALL = sorted(set(GIRLS) | set(BOYS) | set(ANIMALS) | set(MADE) | set(SURNAMES))


def main(argv=None):
    print(
        f"{len(GIRLS)} girls, {len(BOYS)} boys, {len(ANIMALS)} animals, {len(MADE)} made creatures, "
        f"{len(SURNAMES)} grown-ups: {len(ALL)} names"
    )


if __name__ == "__main__":
    main()
