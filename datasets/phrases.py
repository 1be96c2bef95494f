"""Named fragments that the templates share: <happy>, <ran>, <soon>. Each is itself a template (see telling.py)."""

FRAGMENTS = {
    "once": "once upon a time|once upon a time|long ago|once|one day long ago",
    "one_day": "one day|one {w.weather} {w.time}|one {w.time}|on a {w.weather} {w.time}|early one {w.time}|one {w.weather} day|that {w.time}|the next {w.time}",
    "happy": "happy|glad|cheerful|delighted|full of joy|pleased|overjoyed|very happy",
    "sad": "sad|unhappy|miserable|gloomy|heavy-hearted|close to tears|full of sorrow",
    "angry": "angry|cross|mad|furious|annoyed|upset",
    "scared": "scared|afraid|frightened|worried|nervous|full of fear",
    "proud": "proud|very proud|as proud as could be|full of pride",
    "tired": "tired|sleepy|worn out|weary|ready for bed",
    "sorry": "sorry|ashamed|full of regret|very sorry",
    "surprised": "surprised|amazed|astonished|startled",
    "very": "very|so|really|terribly|quite",
    "soon": "soon|before long|in a little while|after a while|a moment later|not long after|shortly after that",
    "then": "then|next|after that|a bit later|just then",
    "suddenly": "suddenly|all at once|all of a sudden|just then|at that moment|without warning",
    "finally": "finally|at last|in the end|after all that|at long last",
    "said": "said|said softly|answered|replied|called|told {whom.o}",
    "said_sad": "sighed|whispered|sobbed|said in a small voice|said sadly|mumbled|murmured",
    "said_happy": "cheered|cried happily|laughed|said with a big smile|shouted|exclaimed|sang|beamed",
    "said_kind": "said kindly|said gently|said in a warm voice|said with a smile|answered softly|replied kindly|said",
    "said_angry": "snapped|shouted|grumbled|said crossly|growled|huffed",
    "asked": "asked|wanted to know|wondered aloud|asked softly|asked with wide eyes",
    "smiled": "smiled|grinned|beamed|nodded happily|laughed|smiled from ear to ear",
    "looked": "looked|searched|peered|peeked|checked|hunted",
    "ran": "ran|hurried|rushed|raced|dashed",
    "went": "went|set off|made {who.his} way|headed out",
    "big": "big|large|huge|enormous|great",
    "little": "little|small|tiny|wee",
    "nice": "lovely|nice|wonderful|beautiful|pretty|fine",
    "quickly": "quickly|at once|right away|without waiting|in a flash|as fast as possible",
    "carefully": "carefully|slowly|gently|bit by bit|very carefully|with great care",
    "together": "together|side by side|as a team|with each other",
    "wow": "wow|look|oh my|hooray|goodness|yay",
    "oh_no": "oh no|oh dear|dear me|oh my|no, no",
    "thanks": "thank you|thank you so much|thanks a lot|thank you very much|many thanks|oh, thank you",
    "of_course": "of course|sure|yes|gladly|with pleasure|certainly|yes, let us try",
    "tears": "tears [ran|rolled] down {who.his} [cheeks|face]|{who.his} eyes filled with tears|{who.his} lip trembled"
    "|a [big |fat |]tear rolled down {who.his} cheek|{who.his} throat felt tight|{who.his} chin shook",
    "heart_sinks": "{who.his} heart sank|{who.his} tummy felt [cold|tight|funny]|{who.his} face fell"
    "|{who.his} shoulders drooped|{who.his} smile was gone",
    "heart_jumps": "{who.his} heart [jumped|leaped|danced] for joy|{who.his} eyes [shone|sparkled|lit up]|{who.his} face [glowed|"
    "lit up]|{who.he} could not stop smiling|{who.he} [jumped|hopped] up and down|{who.he} felt warm all over",
    "brave_breath": "took a deep breath|counted to three|closed {who.his} eyes for a moment|[stood|sat] up tall"
    "|gathered all {who.his} courage",
    "think": "thought [hard|for a while|about it|and thought]|rubbed {who.his} [chin|nose|head]|had an idea"
    "|sat down to think|tilted {who.his} head|frowned and thought",
    "never": "never again|not once more|never, ever again",
    "all_day": "all day long|until the sun went down|for hours|the whole {w.time}|until it was time to go home|until dinner",
    "fun": "fun|a lot of fun|a wonderful time|the best time|a great time",
    "from_then": "from that day on|from then on|ever since that day|after that day|from that {w.time} on|ever after",
}

# What is around in a place, where the place itself is not told: outdoors, indoors, and where no trees are.
AROUND = {
    "out": "It smelled of {any.smell} and {any.smell}.|A {any.bird} {any.birdsong} and a {any.bug} {any.bugdoing}.|[The|All the] {any.flowers} were in bloom, "
    "and it smelled of {any.smell}.|The air was {any.feel}, and a {any.bird} {any.birdsong}.|Between the {any.flowers}, a {any.beast} {any.doing}."
    "|There were {any.flowers} and {any.flowers}, and a {any.tree} gave shade.|The {any.tree} [rustled|whispered|swayed] and smelled of {any.smell}.",
    "in": "It smelled of {any.smell} and {any.smell}.|Somebody had left {any.find} and {any.find} there.|A {any.color} lamp [glowed|hung] there, and a {any.bug} "
    "{any.bugdoing}.|There was {any.color} light, and it smelled of {any.smell}.|On the wall hung a picture of {any.cloud}.",
    "far": "The sky was {any.sky}.|One cloud looked like {any.cloud}.|The air was {any.feel} and {any.feel}.",
}

# How a sentence that begins with somebody may begin instead.
LEADS = (
    "then |so |now |next, |and then |after that, |a little later, |after a while, |at that, |with that, |a moment later, |before long, "
    "|in the end, |and so |{any.number} breaths later, |when a {any.bird} {any.birdsong}, |soon, |as a {any.bug} flew past, |in the meantime, "
)
