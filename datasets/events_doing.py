"""Events of doing: learning a skill, listening to a noise, making, growing, traveling."""

from rules import read_rules

DOING = read_rules("""
want_skill | | +wants who skill
  there was one thing that {who} wanted [more than anything|very much|badly], and that was to {t.name}.
  "[I want to learn how to|If only I could|One day I will] {t.name}," said {who.N} [every morning|to
      {who.self}|again and again].
  {who} had a [big |great |secret |]wish. {who.he} wanted to [learn how to |]{t.name}.
  all the others could {t.name}, only {who} could not. {who.he} [dreamed about it|wished for it|thought about
      it] every night.
try_skill | wants who skill | +tried who
  {who} tried at once, but {t.bad}.
  the first time {who} tried, {t.bad}.
  {who} <brave_breath> and tried. But {t.bad}.
  {who} wanted to [do|manage] it without help, but {t.bad}.
give_up | tried who | +gave_up who
  "I [will never learn it|give up|cannot do it|am no good at this]," {who} <said_sad>.
  {who} [stamped {who.his} foot|sat down|kicked a stone]. "[It is too hard|I cannot do it|I give up],"
      {who.he} <said_sad>.
  <heart_sinks>. "[Maybe I am too small|It is no use|I am the worst at this]," {who.he} <said_sad>.
encourage | tried who | -gave_up who; +knows_how who
  "[Nobody can do it the first time|I fell a hundred times when I learned it|Everything is hard before it is
      easy]," {whom} <said_kind>. "{t.tip}."
  {whom} [smiled|came over|sat down beside {who.o}]. "{t.tip}, {who.call}," {whom.he} <said_kind>. "[Then try
      again|You can do it|A little more each day]."
  "May I tell you a secret, {who.call}?" asked {whom.N}. "{t.tip}. [And never stop after a bad try|That is all
      there is to it]."
practice | knows_how who | +practiced who
  {who} tried again, and {t.again}. But {who.he} did not [stop|give up].
  the next time, {t.again}. {who} [laughed|shook {who.self}|got up] and tried once more.
  every day, {who} practiced a little. On Monday, {t.again}. On Tuesday, it was already better.
  again and again {who} tried. Once, {t.again}. "[Almost|Nearly|Better]," said {whom.N}.
master | practiced who | -wants who skill; +can who skill; +feels who proud
  and then, [one day|on the third day|all at once], it worked. {t.good}.
  and <finally>, {t.good}. {who} could {t.name}.
  {who} thought of the words, "{t.tip}." And this time, {t.good}.
show_skill | can who skill |
  "[Look at me|Look, look|Now I can do it]," {who} <said_happy>. {whom} [clapped|cheered] and was <proud>.
  {who} was <proud>. Now {who.he} could {t.name}, and {who.he} did it [all evening|again and again|until
      dinner].
  "I knew it, {who.call}," said {whom.N}. {who} [beamed|glowed], for now {who.he} could {t.name}.
hear_noise | | +heard who
  <suddenly>, there was a strange sound. "{t.sound}," it went. {both} [stopped|stood still|looked at each
      other].
  "{t.sound}." {both.N} [held their breath|pricked up their ears]. "[What was that|Did you hear that]?"
      [whispered|asked] {whom.N}.
  {who} put a finger to {who.his} lips. There it was again, [quite near|soft and strange|from somewhere close
      by]. "{t.sound}."
  then came a sound that {both} had never heard before. "{t.sound}."
guess_noise | heard who | +guessed who
  "[Maybe|Perhaps|I think] {t.guess}," {whom} <said_sad>. {who} [swallowed|felt a shiver|was not so sure].
  "What if {t.guess}?" asked {whom.N} [with big eyes|softly]. {who} [wanted to run|came closer|took a step
      back].
  {whom} [hid behind|held on to] {who.o}. "[Surely|I bet that] {t.guess}."
follow_noise | heard who | +near who
  but {who} was [too curious|curious] to run away. On tiptoe, {both} [followed|went after] the sound, [closer
      and closer|step by step], and saw that {t.trail}.
  "There is only one way to find out," said {who.N}. {both} [crept|went] closer. They saw that {t.trail}.
  {who} <brave_breath>. {both.N} [went|crept] on, {d.spot}, and then they saw that {t.trail}.
solve_noise | near who | -heard who; +solved who
  [carefully|slowly], {who} [looked|peeked|bent down]. And then {who.he} [laughed|smiled|had to laugh], for
      {t.truth}.
  {both.N} [looked|peeked] [around the corner|closer|over the edge]. So that was it, {t.truth}.
  [no ghost and no monster|it was nothing bad at all], {t.truth}.
after_noise | solved who |
  "And we thought that {t.guess}," laughed {whom.N}. In the end, {t.end}.
  {both} [laughed|giggled] about their fear. [Then|After that], {t.end}.
  "[What a funny noise|How silly we were]," said {who.N}. And {t.end}.
plan_make | | +plans who
  "[I have an idea|Let us do something|I know what we can do]," said {who.N}. "We will make {t.name}." {whom}
      [clapped|was excited|liked the idea].
  {both} [wanted|decided] to make {t.name}. [They had never done it before|It could not be so hard, they
      thought].
  "[Could we|Can we] make {t.name}?" asked {whom.N}. "[Why not|Yes, we can|Let us try]," said {who.N}.
make_first | plans who | +began who
  {who} {t.first}, and {whom.N} {t.then}.
  first, {who} {t.first}. Then {whom.N} {t.then}.
  {whom} [helped|held everything in place|sang a working song], while {who.N} {t.first}. After that, {whom.he}
      {t.then}.
make_trouble | began who | +failed who
  but {t.trouble}. "<oh_no>," said {whom.N}. They tried it a second time, [and it was no better|and it went
      wrong again].
  [everything went well|it looked good], but then {t.trouble}. {who} [frowned|<think>]. "[What did we do
      wrong|Why does it not work]?"
  it was not so easy, for {t.trouble}. {whom} [wanted to give up|sighed|threw up {whom.his} arms], [but|and]
      {who.N} [did not know what to do|sat down to think].
make_advice | failed who | +knows who
  {helper} had [watched them|been watching|come to look]. "[You are nearly there|I had the same trouble
      once|That happens to everybody]," {helper.he} said. "Here is a trick, {t.cure}."
  they [asked|went to] {helper.o}. {helper.he} [looked at it|nodded|laughed] and said, "[The secret is this|I
      know that|Listen], {t.cure}."
  just then, {helper} came by and [stopped|looked]. "May I tell you something? {t.cure}."
make_done | knows who | -failed who; +made who; +feels who proud
  {both} [tried again|began once more|did as {helper.he} said], and this time it worked. {t.done}.
  that was it. They [worked on|did it] with new courage, and <finally>, {t.done}.
  with {who.N} on one side and {whom.N} on the other, they started over. And <soon>, {t.done}.
made_proud | made who |
  "We made that, you and I," said {who.N}. {both} were <proud>.
  {both} [looked at it for a long time|shook hands|danced around it]. They had made {t.name} [with their own
      hands|all by themselves|together].
dream_journey | | +wants who journey
  {who} had a [big |great |]dream. {who.he} wanted to see {t.goal}, because {who.he} {t.why}.
  "One day I will go to {t.goal}," said {who.N}, for {who.he} {t.why}.
  [every evening|again and again], {who} talked about {t.goal}. {who.he} {t.why}.
set_out | wants who journey | +away who; +away whom
  <one_day>, {who} and {whom} set out. They took along {t.pack}.
  <one_day>, {who} packed {t.pack} and [knocked at the door of|called for] {whom.o}. "[Will you come along|Do
      you want to come with me]?" {who.he} asked. "[Always|With you, I will|Of course]," said {whom.N}.
  "I will come with you," {whom} said. They packed {t.pack}, and off they went.
walk_on | away who |
  they [walked|went on] [all morning|mile after mile|for a long time], [over hills and through valleys|past
      sleepy farms|through fog and sunshine|under a wide sky], and [sang|told stories|counted the crows|rested
      twice].
  on the way, they [met a tortoise who wished them luck|shared their food|saw a hundred new things|learned the
      names of the clouds], and [nobody was tired|the time went by fast|it never got boring].
blocked | away who | +blocked who
  but then {t.block}. "[We must turn back|Now what|That is the end of our journey]," said {whom.N}.
  <suddenly>, they had to stop, for {t.block}. {whom} [sat down and sighed|wanted to go home|hung {whom.his}
      head].
  the hardest part came when {t.block}.
passed | blocked who | -blocked who; +passed who
  {who} <think>. Then {who.he} {t.way}, and {whom.N} [followed|came close behind|did the same].
  "[There must be a way|We have not come so far for nothing|Wait]," said {who.N}. {who.he} {t.way}.
  but {who} did not give up. {who.he} {t.way}, and [it worked|so they got on].
arrived | passed who | -wants who journey; +feels who happy
  they went on until the [shadows grew long|last bend of the way], {t.arrive}.
  <finally>, they came to {t.goal}, {t.arrive}.
  [one more hill|a few more steps|another hour], {t.arrive}.
see_goal | |
  {both} stood there [without a word|hand in hand|with open mouths]. "[It was worth every step|We made it|It
      is even more wonderful than in my dream]," [whispered|said] {who.N}.
  "[Now I have seen it|We are really here]," said {who.N}, and {whom.N} [nodded|squeezed {who.p}
      {who.hand}|smiled].
way_home | |
  on the way home, {both.N} [talked of nothing else|sang|were tired and happy|planned the next journey].
  when {both.N} were home again, [everybody wanted to hear the story|they slept for a whole day|their own beds
      had never felt so soft].
plant_seed | has who what | -has who what; +planted what
  {who} [dug|made] a small hole {d.spot}, put {what.the} in, and covered {what.it} with earth.
  {d.spot}, {who} pushed {what.the} into the soft earth and [patted it down|said good night to {what.it}].
  {who} planted {what.the} {d.spot} and put a [little|wooden|painted] sign beside it, so that nobody would
      step on it.
water_seed | planted what | +watered what
  every [morning|evening|day], {who} [watered the spot|brought water in a can|gave it a drink] and [sang a
      song|pulled out the weeds|waited].
  {who} gave it water [from the stream|from the can|drop by drop], and the sun did the rest.
wait_seed | planted what | +waited who
  but nothing happened. One day, two days, a week. "[Why does it take so long|Is it still asleep|Will it ever
      grow]?" {who} [asked|<said_sad>].
  [a week went by|days went by], and there was only brown earth. {who} [wanted to dig it up again|pulled a
      long face|had nearly lost hope].
hurry_seed | waited who | +hurried who
  {who} [shouted at the earth|wanted to pull it out to look|poured three whole buckets on it|sat up at night
      with a lamp], but that [did not help|was no use].
patience | waited who | +patient who
  "A seed [works in secret|needs time, {who.call}|does not hear shouting]," {whom} <said_kind>. "[First it
      grows down, and then it grows up|Give it water, sun and time|You cannot see the best things begin]."
  {whom} [laughed softly|smiled]. "[Good things take time|You were not tall in one day either|Nobody can hurry
      a seed], {who.call}. [Wait and water|Be patient a little longer]."
sprout | planted what; patient who | +grown what; +feels who happy
  and [one morning|after the rain|on the tenth day], there was a [tiny|little] green tip. {who} [lay down in
      the grass to look at it|shouted for joy|danced around it].
  and then, [overnight|one morning], a green [point|leaf] had pushed up through the earth. "[It is alive|It
      grew|Good morning, little one]," {who} <said_happy>.
bloom | grown what |
  the little plant grew [and grew|up to {who.p} knees|taller than {who.o}]. In the [summer|fall], it was full
      of {d.fruit}, and {who} [gave some to|shared them with] {whom.o} and [everyone|all the neighbors]. And
      it had all begun with one {what.noun}.
  [week after week|day by day], it grew, until it carried {d.fruit}. {who} and {whom} [looked at it with
      pride|counted them together|had a feast]. "[All this was in|It all came out of|And it began with] one
      {what.noun}," said {who.N}.
get_seed | has who what |
  one day, {whom} gave {who.o} {what.a}. "[Plant it|Put it in the earth|Take good care of it], and you will
      see [something wonderful|a small wonder]," {whom.he} said.
  {who} found {what.a} [in an old box|in {who.his} pocket|under a dry leaf]. "[What is it|What can I do with
      it]?" {who.he} asked {whom.o}. "[Plant it|Put it in the ground], and you will see," {whom.he} said.
""")
