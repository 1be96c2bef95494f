"""Events about things: lost and found, stuck, broken and mended, shared, hidden, taken and given back."""

from rules import read_rules

THINGS_HAPPEN = read_rules("""
lose | has who what; !lost what | -has who what; +lost what; +wants who what
  but when {who} looked [around|down|for {what.o}], {what.the} {what.was} gone.
  <soon>, {who} [noticed|saw|found] that {what.his} {what.was} [gone|missing|not there].
  "Where {what.is} my {what.nn}?" {who} [cried|asked|called]. {what.they} had been [right there|there] a
      moment ago.
  then {who} [reached|felt|looked] for {what.his}, and [there was nothing there|{what.they} {what.was}
      gone|{who.his} heart stopped].
  <suddenly>, {who} stopped. {what.his} {what.was} [gone|missing|nowhere to be seen]. {who.he} must have
      dropped {what.it} [on the way|while playing|without noticing|somewhere].
  when it was time to [rest|go|eat], {who} could not find {what.his}.
  "<oh_no>! My {what.nn}," [cried|gasped] {who.N}. {what.they} {what.was} [gone|lost|nowhere in sight].
search | lost what | +searched who
  {who} <looked> {d.spot}, but there was only {d.junk}.
  first, {who} <looked> {d.spot}. [No|Not a trace of] {what.noun} there, only {d.junk}.
  {who} [went|<ran>] back and <looked> {d.spot}. "[Only|Nothing but] {d.junk}," {who.he} <said_sad>.
  {who} got down on {who.his} knees and <looked> {d.spot}. There was {d.junk}, but no {what.noun}.
  ?!who.human:{who} sniffed about and <looked> {d.spot}, but found nothing but {d.junk}.
  was {what.the} {d.spot}? No, {who} found {d.junk} instead.
  {who} <looked> {d.spot} and [found|saw] {d.junk}, [but that was all|and nothing else].
search_again | lost what; searched who | +searched_twice who
  then {who} <looked> {d.spot}, but {what.the} {what.was} not there [either|as well].
  {d.spot}, there was nothing [either|but dust|at all]. {who} [sighed|kicked a pebble|wiped {who.his} eyes].
  {who} even <looked> {d.spot}, [but no luck|but it was no use|and found only {d.junk}].
  next, {who} <looked> {d.spot}. "{what.noun.capitalize}, where are you?" {who.he} [called|<said_sad>].
search_together | lost what | +searched whom
  "Let us think. Where did you have {what.it} last, {who.call}?" asked {whom.N}. {who} <think>. "I was playing
      {d.near}," {who.he} said.
  {whom} said, "[We will look where you were before|Let us walk back the way you came|Four eyes see more than
      two]." So they went back, step by step.
  {whom} looked high and {who.N} looked low, and they [called to each other|left nothing out].
  {whom} took one side and {who.N} took the other, and they [called to each other|left nothing out].
  "[When I lose something|If something is gone], I [close my eyes and think|go back the way I came|ask myself
      where I was]," said {whom.N}. {who} tried it. "I [stopped|rested] {d.near}," {who.he} remembered.
  {whom} asked, "What were you doing [before|when you last had {what.it}]?" ^{who} <think>. "I was {d.near},"
      {who.he} said.
  "[First the corners, then the middle|We will look at everything twice|I have sharp eyes]," said {whom.N}.
      They [lifted every leaf|turned over this and that|looked above and below].
clue | lost what | +clue who
  <then>, {d.clue}.
  <suddenly>, {d.clue}.
  but wait, {d.clue}.
find | lost what | -lost what; +has who what; +found who what; +feels who happy
  and there, {d.spot}, {what.was} {what.his}. {who} [picked {what.it} up|grabbed {what.it}|held {what.it}
      tight] and <smiled>.
  {who} <looked> {d.spot} and [cried out|gasped|cheered]. "[Here|There] {what.they} {what.is}. I found my
      {what.nn}."
  {d.spot} lay {what.his}, [safe and sound|a little dusty|just waiting|good as ever]. {who} <smiled>.
  "[Look|There]," [cried|called|whispered] {who.N}. {what.his} {what.was} {d.spot}, [as if nothing had
      happened|all in one piece|just a bit dirty].
  {what.the} had been {d.spot} all the time. {who} [laughed|hugged {what.it}|could hardly believe it].
  something [could be seen|moved|shone] {d.spot}. It was {what.his}. {who} had found {what.it} [at last|again].
find_by | lost what | -lost what; +has who what; +found whom what; +feels who happy
  {whom} <looked> {d.spot}. "Is this your {what.noun}, {who.call}?" And yes, it was.
  it was {whom.N} who [found|spotted|saw] {what.it}, {d.spot}. "Here you are, {who.call}," {whom.he} said and
      gave {what.the} back.
  "I [see|found] something," [called|said] {whom.N}. {d.spot}, there {what.was} {what.his}. {who}
      [ran|jumped|flew] to get {what.it}.
  then {whom.N} [waved|called|pointed]. There, {d.spot}, {what.was} {what.the}.
keep_safe | has who what |
  <from_then>, {who} [always put {what.his} [back in its place|in a safe spot]|took good care of
      {what.his}|kept {what.his} close].
  that night, {who} put {what.his} [next to the bed|where {who.he} could see {what.it}|in a safe place] and
      [fell asleep|smiled].
  {who} [tied|sewed] a [red|blue|yellow] ribbon to {what.his}, so that {what.they} would [never|not] get lost
      again.
  [all the way home|for the rest of the day], {who} held {what.his} [tight|close].
up_stuck | has who what | -has who what; +stuck what; +high what; +wants who what
  {who} [threw|tossed] {what.his} [up high|into the air|as high as {who.he} could]. But {what.they} did not
      come down. {what.the} {what.was} stuck {d.spot}.
  <suddenly>, a [gust of wind|strong wind|breeze] [snatched|took|carried off] {what.his}. {what.they} landed
      {d.spot} and stayed there.
  {who} played with {what.his}, [up and down|here and there|to and fro], until {what.they} got caught
      {d.spot}.
  whoosh, went the wind, and {what.his} flew [up, up, up|away] and got stuck {d.spot}.
  up [went|flew] {what.the}, [higher and higher|far too high], and got stuck {d.spot}.
jump_for | stuck what | +tried who
  {who} jumped [as high as {who.he} could|and jumped|up and down], but {what.they} {what.was} [much |far |]too
      high.
  "I will jump," said {who.N}. [One, two, three|Hop, hop, hop]. But [it was too high|{who.his} legs were too
      short].
  {who} [stretched|stood on tiptoe] and jumped, but could not reach {what.the}.
throw_at | stuck what | +tried who
  {who} threw a [small stick|pine cone|shoe|little stone] at {what.it}, but [missed|it came down again and
      {what.the} did not].
  next, {who} threw [a stick|a pine cone|an old boot]. Bonk, it fell right on {who.his} [own |]nose.
shake | stuck what | +tried who
  {who} shook [and shook|the trunk|with all {who.his} might], but only [leaves|a few drops|dust|some twigs]
      came down.
  then {who} pushed and [shook|rattled] with all {who.his} strength. [Leaves|Dust] rained down, but {what.the}
      did not.
climb_fail | stuck what; can who climbs | +tried who
  {who} tried to climb up, but [the first step was too high|it was too slippery|{who.he} slid down again|a
      branch cracked, and {who.he} stopped].
  {who} began to climb, [higher and higher|step by step], until {who.he} looked down and felt dizzy. {who.he}
      [had to come|came slowly] down again.
poke | stuck what; can who holds | +tried who
  {who} found a long [stick|branch] and poked at {what.it}, but [the stick broke|it was not long
      enough|{what.they} only moved a little].
get_ladder | stuck what; can whom human | -stuck what; -high what; +has who what; +feels who happy
  {whom} [brought|fetched|carried over] a ladder and [leaned it up|set it down firmly|climbed up step by
      step]. "[Here|Got it]," {whom.he} said and handed {what.the} down to {who.o}.
  "Hold the ladder, {who.call}," said {whom.N}. Up {whom.he} went, and [soon|a moment later] {what.the}
      {what.was} free.
  {whom} got a [long pole|broom with a long handle|fishing net] and [gently|carefully] [pushed|fished]
      {what.the} down, right into {who.p} {who.hands}.
lift_up | stuck what; can whom strong | -stuck what; -high what; +has who what; +feels who happy
  "Climb on my [shoulders|back], {who.call}," said {whom.N}. {who} [stretched|reached up] and [got|grabbed]
      {what.the}.
  {whom} was so [tall|big] that {whom.he} [just reached up|only had to stretch] and took {what.the} down.
  {whom} lifted {who.o} up, [high and higher|very gently], and {who.he} pulled {what.the} free.
fly_fetch | stuck what; can whom flies | -stuck what; -high what; +has who what; +feels who happy
  {whom} [spread {whom.his} wings|flew up|rose into the air], [pulled|tugged] at {what.the}, and [brought
      {what.it} down|let {what.it} fall into {who.p} {who.hands}].
  up {whom} flew. {whom.he} [pecked|tugged|pulled] [once, twice, three times|with all {whom.his} strength],
      and down came {what.the}.
climb_fetch | stuck what; can whom climbs | -stuck what; -high what; +has who what; +feels who happy
  {whom} [ran|went|climbed] up [quick as lightning|in no time|like a [breeze|flash]] and
      [threw|dropped|pushed] {what.the} down to {who.o}.
  "Climbing is what I do best," said {whom.N}. Up {whom.he} went, [branch by branch|higher and higher], and
      [soon|in a moment] {what.the} came tumbling down.
break_it | has whom what; !broken what | +broken what; +guilty who
  {d.how}. Crash. {what.the} {what.was} broken.
  {d.how}. There was a [loud|terrible|sharp] [crack|crash|snap], and {what.the} lay in [two pieces|pieces].
  {d.how}. [Oh no|Too late]. {what.the} fell and broke.
break_own | has who what; !broken what | +broken what
  {d.how}. Crack. {what.his} {what.was} broken.
  {d.how}. With a [loud|sharp|nasty] [crack|crash|snap], {what.the} broke.
  {d.how}, and {what.his} broke in two.
tear_own | has who what; !broken what | +broken what
  {d.how}. Rip. There was a [big|long|nasty] hole in {what.his}.
  {d.how}, and {what.his} tore with a [loud|nasty] rip.
  {d.how}. Rip, went {what.his}, and {who} [stared|froze|gasped].
mend_fail | broken what | +tried who
  {who} tried to fix {what.it} with [mud|chewing gum|a sticker|a bit of string|a leaf|honey|jam], but [it
      would not hold|it fell apart again|that only made a mess].
  first, {who} [pushed|pressed] the [parts|pieces] together and counted to ten. [Plop|Bump|Flop], {what.they}
      fell apart.
  {who} tied a [ribbon|string|blade of grass] around {what.it}, but [the knot slipped|it did not hold].
  {who} tried and tried [alone|on {who.his} own], but {who.his} {who.hands} [shook|were too clumsy] and it got
      worse.
mend_hard | broken what | -broken what; +feels who happy
  {whom} brought [glue|a pot of glue|strong glue]. They put the [parts|pieces] together, [one by one|like a
      puzzle], and held them [until they were dry|while they counted to a hundred].
  {whom} [opened a toolbox|took out small tools]. {who} held the [parts|pieces] and {whom.N} [used a hammer
      and a tiny nail|turned the screws|glued them].
  <together>, they [glued|fixed] every [piece|bit]. {who} [held|pressed] and {whom.N} [glued|wiped]. It took
      [an hour|a long time|the whole {w.time}].
mend_cloth | broken what | -broken what; +feels who happy
  {whom} took out a needle and [red|blue|white|green] thread. Stitch by stitch, the hole grew smaller, and
      {who} [cut the thread|held the cloth|sewed the last stitch].
  {whom} [sewed|stitched] a [heart|star|flower|moon] over the hole, and {who} chose the [color|thread|button].
  {who} threaded the needle, and {whom.N} showed {who.him} how to sew. In and out, in and out, until the hole
      was [gone|closed].
mend_paper | broken what | -broken what; +feels who happy
  {whom} got a roll of tape. {who} held the edges [together|straight] and {whom.N} [smoothed|pressed] the tape
      down.
  {whom} spread [paste|glue] on a strip of paper, and {who} [laid|pressed] it over the tear with care.
mended | has who what; !broken what |
  [now|<finally>] {what.the} {what.was} [whole again|as good as new|even better than before].
  [one could hardly see|you could only just see] where {what.they} had been broken, and {who} [liked {what.it}
      even more|was <happy>].
  {who} [turned {what.the} around|looked at {what.the} from all sides]. "{what.they} {what.look} [like
      new|wonderful|better than before]," {who.he} <said_happy>.
have_food | has who what | +loves who what
  {who} had {what.a} in {who.his} [bag|basket|box], and {what.they} smelled wonderful.
  {who} took out {what.his}. {what.they} looked [very good|delicious|so tasty].
  somebody had given {who.o} {what.a}, and {who.he} [could hardly wait|was about to eat {what.it}].
treasure | has who what | +loves who what
  {who} had {what.a} that {who.he} loved [very much|more than anything|dearly]. "[Please do not touch|Be
      careful with] {what.it}," {who.he} always said.
  in {who.p} room stood {what.a}, [very old|a gift from long ago|the finest thing in the house].
  {who} had {what.a} that had once belonged to {who.his} [mother|father|best friend].
""")
