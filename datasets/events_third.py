"""Events of promises kept and broken, new food, rules, greed, narrow places, work, heavy loads, quarrels and surprises."""

from rules import read_rules

THIRD = read_rules("""
promise | | +promised who whom
  "[Will you do something for me|Will you help me today|Can I count on you], {who.call}?" asked {whom.N}.
      "Please remember {t.task}." "I promise," said {who.N}[| and meant it| with one hand on {who.his} heart].
  {who} had promised {whom.o} {t.task}. "[You can count on me|I will not forget|I give you my word]," {who.he}
      had said.
  that {w.time}, {whom} asked {who.o} {t.task}. "[I promise|On my honor|Yes, I will], {whom.call}," said
      {who.N}.
tempted | promised who whom | -promised who whom; +forgot who
  {who} was [on the way|about to start], but then {t.tempt}. "[Only for a moment|There is time enough|I can do
      it later]," {who.he} thought, and [forgot everything|the promise was forgotten].
  then {t.tempt}. {who} [looked|listened] and [laughed|ran over], and [the promise flew out of {who.his}
      head|hours went by].
see_harm | forgot who | +guilty who
  when {who} remembered it at last, it was too late. {t.harm}.
  "<oh_no>, my promise," [cried|gasped] {who.N}, and {who.he} [went back as fast as {who.he} could|turned
      pale]. {t.harm}.
  [later|in the evening], {who} came back, and {t.harm}. {who.p} [ears|cheeks] [grew hot|burned].
disappointed | guilty who |
  {whom} did not scold. {whom.he} only looked [sad|at {who.o}], and that was worse. "[I trusted you|A promise
      is like a bridge], {who.call}," {whom.he} said.
  "You gave me your word, {who.call}," said {whom.N}. {who} [swallowed hard|looked at {who.his} feet]. There
      was nothing to say.
make_good | guilty who | -guilty who; +kept who
  "I will make it good," said {who.N}. {who.he} {t.mend}.
  {who} did not [wait|make excuses]. {who.he} {t.mend}.
  "[Let me try again|Give me one more chance]," said {who.N}. And then {who.he} {t.mend}.
trusted | kept who | +feels who proud
  {whom} [saw it and nodded|smiled again]. "[Now I know that I can count on you|That was well done|A promise
      kept late is still a promise], {who.call}."
  when it was done, {whom} [put an arm around {who.o}|brought {any.snack}]. "[You kept your word in the
      end|Thank you], {who.call}," {whom.he} said.
serve | | +served who
  for [lunch|dinner|supper], {whom} had made something new. It was {t.dish}. It was {t.looks}.
  {whom} put {t.dish} on the table. {who} had never eaten that before. It was {t.looks}.
  one evening, there was {t.dish} [instead of {any.dish}|next to the {any.dish}]. It was {t.looks}.
refuse_food | served who | +picky who
  {who} [pushed the plate away|pressed {who.his} lips together|held {who.his} nose]. "I do not want it.
      {t.bad}," {who.he} said.
  "[No, thank you|Yuck|Never]," said {who.N}. "{t.bad}. [Can I have|I would rather have] {any.dish}?"
hide_food | picky who | +tried who
  {who} tried to hide it under the {any.dish}, but [it was found|it peeked out|there was still too much of
      it].
  {who} moved it from left to right and from right to left, but it did not get any less.
  {who} wanted to [feed it to the cat|put it into {who.his} pocket], but [the cat walked off|that was no good
      idea].
trick_food | picky who | +curious_now who
  {whom} did not get angry. {whom.he} {t.trick}. {who} [watched|had to laugh|grew curious].
  but {whom} [smiled|winked] and {t.trick}. "[Only one bite|One tiny bite, for courage]," {whom.he} said.
taste | curious_now who | -picky who; +feels who happy
  {who} <brave_breath> and took [a tiny bite|one bite, no bigger than a pea]. Well, {t.taste}.
  [very slowly|with closed eyes], {who} [opened {who.his} mouth|tried it]. And look, {t.taste}.
more_food | |
  "[May I have more|Is there any left|Can I have some more]?" asked {who.N}. {whom} [laughed and filled the
      plate|nearly fell off the chair].
  [from then on|after that], {who} asked for it every {any.day}. {whom} [laughed|kept the recipe on the wall].
rule | | +warned who
  "[Remember one thing|One rule, and only one], {who.call}," said {whom.N}. "I tell you {t.rule}."
  {whom} had told {who.o} [a hundred times|again that morning] {t.rule}.
  there was one rule, and that was {t.rule}. {whom} had [said it|explained it] [twice|more than once].
lured | warned who | +disobeyed who
  but {t.lure}. "[Just this once|Nobody will see it|It cannot be so bad]," thought {who.N}, and did it all the
      same.
  {who} [meant to obey|wanted to be good]. But {t.lure}, and {who.he} [could not resist|forgot every word].
bad_end | disobeyed who | +in_trouble who
  it took only a moment. {t.harm}. "Help," [cried|called] {who.N}.
  and then it happened. {t.harm}. {who} [screamed|called for help|was so frightened].
rescue | in_trouble who | -in_trouble who; +safe who
  {whom} [heard it|came at once]. {whom.he} {t.rescue}.
  luckily, {whom} was [not far|near]. {whom.he} {t.rescue}. [That was close|It was over].
after_rescue | safe who |
  after that came {t.after}. "[I only make rules because I love you|Now you know why there is a rule],
      {who.call}," said {whom.N}.
  later came {t.after}. "I should have listened," {who} <said_sad>. {whom} [kissed {who.his} head|nodded].
much | | +sees who
  that year, there were [so many|plenty of] {t.stuff}. [There was enough for all|Everybody could have had
      some]. {who} {t.way}.
  {who} saw the {t.stuff}. [First|In the beginning], {who.he} {t.way}.
more_much | sees who | +greedy who
  but that was not enough. "[More|I want it all|All for me]," said {who.N}, and {t.more}.
  "[Leave some for the others|That is too much], {who.call}," said {whom.N}. But {who} did not listen.
      {who.he} {t.more}.
greed_harm | greedy who | +punished who
  and what happened? {t.harm}. In the end, {t.end}.
  then it happened. {t.harm}, and {t.end}.
greed_help | punished who | -greedy who; -punished who; +wiser who
  {whom} [came|did not laugh]. "[Come|Never mind], {who.call}," {whom.he} said and helped {who.o}. {who} [was
      ashamed|turned red]. "I wanted too much," {who.he} said.
  "I have been greedy," {who} <said_sad>. {whom} [sat down|stayed] with {who.o}. "[Next time, we will share|It
      tastes better together]," {whom.he} said.
greed_share | wiser who | +feels who happy
  the next time, {who} took only [a little|one] and gave the rest to {whom.o} and the others. And [strange to
      say|indeed], it [was|seemed] more than before.
  since then, {who} [counts the others first|takes one and gives one], and [everybody likes to come|{whom.N}
      is always there].
find_stuck | | +jammed one
  {d.spot}, {both} heard a [cry|strange noise]. There was {t.name}. It {t.how}.
  <suddenly>, {who} stopped. It was {t.name}. "[Look|Poor thing]," said {whom.N}. It {t.how}.
pull_stuck | jammed one | +tried who
  at once, {both} tried to help. They {t.pull}.
  {both} {t.pull}. [That was not the way|It did not help|Nothing moved].
think_stuck | jammed one; tried who | +idea who
  "[Stop|Wait|Not with force]," said {who.N}. {who.he} <think>. "[We could|I know, we must] {t.idea}."
  {whom} [wanted to run for help|scratched {whom.his} head]. But {who} had an idea. "[Let us|We will]
      {t.idea}," {who.he} said.
free_stuck | jammed one; idea who | -jammed one; +feels who happy
  and that is what they did. [It took a while|Bit by bit], {t.free}.
  they [set to work|hurried], and [after some time|soon] {t.free}.
  [no sooner said than done|so they did], and {t.free}.
stuck_joy | |
  {both} [cheered|danced in a circle|shook hands]. "[We used our heads|That was a good idea|What a day]," said
      {whom.N}.
  "[A good idea is stronger than ten arms|You are clever], {who.call}," said {whom.N}. {who} [turned
      red|smiled].
start_job | | +works who
  that {any.day}, {who} was allowed to help {whom.o} {d.place}. The work was {t.work}.
  {who} wanted to [be useful|help]. "[Come in|You may help me|I can use two hands], {who.call}," {whom} said.
      {who} was {t.work}.
job_slip | works who | +failed who
  {who} worked [with zeal|hard], but {who.he} {t.slip}.
  it looked easy. But {who} {t.slip}. "[That can happen|Try again|Oh well]," said {whom.N}.
job_again | failed who | +failed_twice who
  [after that|an hour later], {who.he} {t.again}. {who} wanted to [hide|go home]. "I am no use at all,"
      {who.he} <said_sad>.
  then {who} {t.again}. "[I only make more work|I cannot do anything right]," {who.he} <said_sad>.
job_gift | failed_twice who | +knows who
  {whom} [looked at {who.o} for a while|put down the tools]. "[Everybody is good at something|We must find
      your own thing]," {whom.he} said. And it was true. {who} {t.gift}.
  "[Wait|Do not be sad], {who.call}," said {whom.N}. "I have noticed something." For {who} {t.gift}.
job_own | knows who | -failed who; +feels who proud
  and so it came that {who} {t.own}.
  from that hour, {who} had {who.his} own work. {who} {t.own}.
job_end | |
  "What would I do without you, {who.call}?" said {whom.N}, and gave {who.o} [an apron of {who.his} own|a
      badge|{any.sweet}|a coin].
  in the evening, {whom} [shook {who.p} {who.hand}|paid {who.o} with {any.sweet}]. "[Come again tomorrow|See
      you on {any.day}], {who.call}."
take_load | | +carries who
  one {w.time}, somebody had to bring {t.load} to {t.where}. "[I will do it|Let me try]," said {who.N}. The
      others [laughed|shook their heads], for {who} was [so small|the smallest of all].
  all the [big|strong] ones were [busy|asleep|afraid]. So it was {who} who had to take {t.load} to {t.where}.
load_steep | carries who | +halted who
  [half of the way was easy|at first, all went well]. But then {t.steep}. {who} {t.slip}.
  {who} went on bravely, until {t.steep}. {who.he} {t.slip}.
load_doubt | halted who |
  "[Turn back|It is too much for you|Leave it], {who.call}," said {whom.N}. {who} [was so tired|nearly cried].
  {who} [gasped|shook]. "[I cannot go on|It is too heavy]," {who.he} <said_sad>. "[You can|Do not look at the
      top]," {whom.N} said. "Take only the next step."
load_song | halted who | +goes_on who
  then {who} began to sing. "{t.song}," {who.he} sang. "{t.song}." And with every word, {who.he} got a little
      farther.
  "{t.song}," said {who.N} [to {who.self}|through {who.his} teeth]. "{t.song}." And [slowly, slowly|bit by
      bit], it went on.
load_reach | goes_on who | -carries who; +feels who proud
  and so {who} came to {t.where}. {t.reach}.
  {who} reached {t.where} at [dawn|last|the last light of day]. {t.reach}.
load_end | |
  now nobody laughed any more. "How did you do it, {who.call}?" they asked. "[One step at a time|With a
      song]," said {who.N}.
  {whom} [bowed|was <proud>]. "The smallest one has the biggest heart," {whom.he} said.
secret_plan | | +birthday whom
  {who} knew that {any.day} was {whom.p} birthday. {who.he} wanted to surprise {whom.o} with [a party|a feast]
      and {what.a}. "[It must stay a secret|Not a word to anybody]," {who.he} told the others.
  soon it would be {whom.p} birthday, and {who} [planned|prepared] a surprise. There would be a table full of
      {any.dish} and {any.sweet}, and {what.a}.
feels_forgotten | birthday whom | +feels whom sad
  on that day, {whom} woke up [early|full of hope]. But nobody said a word. "[Do you want to play|What are we
      doing today], {who.call}?" {whom.he} asked. "[I have no time|I am busy]," said {who.N}, and
      [hurried|slipped] away.
  {whom} [waited|hoped] all {w.time} long. {who} [only waved|walked past with a basket|shut the door quickly].
      "Everybody has forgotten me," {whom.he} [thought|sighed].
prepare | birthday whom | +ready who
  in the meantime, {who} [hung up paper chains|blew up {any.number} balloons|painted a sign], [baked|stirred]
      and [tied|cut] until everything was ready. {what.the} {what.was} wrapped in {any.color} paper.
  behind the closed door, there were {any.color} and {any.color} [ribbons|balloons|lanterns], and it smelled
      of {any.dish}. {who} tied a {any.color} bow around {what.the}.
surprise_trouble | ready who |
  then the [candles would not light|ribbon tore|cream slid off the cake]. {who} [took a deep breath|laughed]
      and [did it again|found another way].
  at the last moment, [the wind blew the sign down|the cat sat down in the cream]. {who} had to start anew,
      and quickly.
surprise | ready who; birthday whom | +feels whom happy; +has whom what
  when {whom} [came around the corner|opened the door] with a sad face, everybody jumped up. "Surprise," they
      [called|shouted]. And {who.N} gave {whom.o} {what.the}.
  "Come with me, {whom.call}," said {who.N}, and led {whom.o} [outside|to the others] with closed eyes. "Now
      look." There were all the friends, and they sang. In the middle lay {what.the}.
surprise_end | |
  {whom} [laughed and cried at the same time|could not speak for joy]. "And I thought that you had forgotten
      me," {whom.he} said. "[Never,|How could I?]" said {who.N}.
  "So that is why you had no time," [laughed|cried] {whom.N}. {whom.he} hugged {what.the} and then {who.o}.
found_strange | | +holds who what
  {d.spot}, {who} saw something. It was {what.a}. [Nobody was near|There was no name on it|It lay there, all
      alone].
  <suddenly>, {who} [stumbled over|stepped on|saw] something. {d.spot} lay {what.a}.
want_keep | holds who what | +tempted who
  {who} [held|turned] it [in the light|back and forth]. "[Finders keepers|Now it is mine|What luck I have],"
      {who.he} [thought|said].
  {who} had always wanted a {what.noun}. {who.he} [hid it under {who.his} arm|put it away] and looked around.
      Nobody had seen it.
see_owner | tempted who | +knows who
  but then {who} saw {whom}, who was [looking everywhere|crying|walking about with a bent head]. "[Have you
      seen my {what.noun}|Did anybody find my {what.noun}]?" {whom.he} asked. "It was {d.from}."
  a little later, {whom} came along the way, [sad and tired|with red eyes]. "I lost my {what.noun}," {whom.he}
      said. "It was {d.from}."
inner_voice | knows who |
  {who} said nothing at first. {who.p} heart [beat fast|was in two parts]. One half said, "Keep it." The other
      half said, "[It is not yours|Give it back]."
  it would be so easy to go on. But then {who} thought of the day when {who.he} had lost {any.find}, and how
      [sad|lonely] that was.
return_it | knows who; holds who what | -holds who what; +has whom what; +feels whom happy
  {who} <brave_breath>. "I found it, {whom.call}. Here it is," {who.he} said and gave {whom.o} {what.the}.
  "Is it this one?" asked {who.N} and held out {what.the}. {whom.p} face [lit up|shone] like a lamp.
reward | |
  "[You are honest|I do not know how to thank you], {who.call}," said {whom.N}. {whom.he} gave {who.o}
      {any.sweet} [and a place at the table|and a hug]. It [was better|tasted better] than {what.the}.
  {whom} [danced|laughed] with joy. "Come and see me on {any.day}," {whom.he} said. "We will have {any.dish}."
      And so {who} lost a {what.noun} and found a friend.
awake | | +awake who
  that night, {who} lay in bed and could not sleep. [The moon was too bright|{who.p} head was full of
      thoughts|The pillow was too hot].
  it was late, and everybody slept. Only {who} was [wide awake|still awake].
try_sleep | awake who | +tried who
  {who} counted [sheep|geese|stars], but at {any.number} they [ran away|began to dance].
  {who} turned to the left and to the right. {who.he} pulled the blanket up and pushed it down. It did not
      help.
  {who} drank {any.drink}, but that only made {who.him} [thirsty for more|more awake].
call_sleep | awake who |
  "I cannot sleep, {whom.call}," [called|whispered] {who.N}. {whom} came [in slippers|with a candle|on tiptoe]
      and sat down at the edge of the bed.
  {who} went to {whom.o} on bare feet. "[Sleep has forgotten me|I am not tired at all]," {who.he} said. {whom}
      [yawned|smiled] and took {who.o} back to bed.
sleep_words | awake who | +calm who
  "Then we will say good night to everything," {whom} <said_kind>. "Good night, {any.beast}. Good night,
      {any.tree}. Good night, {any.building}." With each one, {whom.p} voice grew softer.
  {whom} told a story {any.story}. After that, {whom.he} hummed a song {any.song}, slower and slower.
  "Close your eyes and tell me about the best thing today," said {whom.N}. {who} thought of {any.dish}, of
      {any.flowers}, and of playing {any.game}.
asleep | awake who; calm who | -awake who
  {who} [wanted to say something|wanted to hear the end], but {who.his} eyes [were so heavy|fell shut], and
      {who.he} was asleep.
  when {whom.N} [stopped|looked down], {who} was [already dreaming|asleep], with a smile. In the dream,
      {who.he} [rode|sailed] on {any.cloud}.
morning | |
  in the morning, {who} stretched. "[How does the story end, {whom.call}?|I slept so well, {whom.call},]"
      {who.he} said.
  the next morning, the sun [tickled {who.p} nose|came in]. "I slept like a stone," said {who.N}, and had
      {any.dish} for breakfast.
both_want | has who what |
  then {both} both wanted {what.the}. "[I had it first|It is my turn]," said {who.N}. "No, it is [mine|my
      turn]," said {whom.N}.
  {who} reached for {what.the}, and {whom.N} reached for it at the same moment. "[Let go|Give it to me]," they
      both cried.
tug | has who what; !broken what | +broken what; +angry who; +angry whom
  {who} pulled on one side, and {whom.N} pulled on the other. {d.break}. Now nobody had {what.the}.
  they pulled, [left and right|to and fro]. {d.break}. Then it was very still.
blame | angry who |
  "That is your fault," {who} <said_angry>. "No, yours," {whom} <said_angry>. They [turned their backs|went to
      two different corners].
  {both} [looked at each other|stared at the pieces]. "[I will never play with you again|You always spoil
      everything]," {whom} <said_angry>.
miss_each | angry who; angry whom | -angry who; -angry whom; +lonely who
  {who} tried to play {any.game} alone. But [that is no game for one|it was dull|nobody laughed]. In the other
      corner, {whom.N} [sniffed|drew lines in the dust].
  the {w.time} grew long. {who} looked over to {whom.o}, and {whom.N} looked back, and both looked away again.
sorry_both | lonely who | -lonely who; +friends who whom
  "[I should have let you have a turn|I pulled too hard|I am sorry]," said {who.N}. "[Me too|I am sorry,
      too|It was my fault, too]," said {whom.N}.
  both began to speak at the same time. "I am sorry." Then they had to laugh.
mend_both | broken what; friends who whom | -broken what; +feels who happy
  <together>, they {d.fix}, and {what.the} {what.was} whole again. Then {who} played first, and {whom.N} after
      that.
  {who} held, and {whom.N} worked. They {d.fix}, until {what.the} {what.was} like new. "You first," said
      {who.N}. "No, you," laughed {whom.N}.
storm_comes | | +storm sky
  then the sky grew [dark|black|yellow]. The wind [howled|tore at the leaves], and big drops fell. {who} ran
      to {d.shelter}, which was [small, but dry|just big enough for one].
  <suddenly>, there was thunder. Rain [poured|came down like a curtain]. {who} crept into {d.shelter} just in
      time.
guest_one | storm sky | +known whom
  there was a [knock|scratch|small voice]. It was {whom}, wet [to the bone|through and through]. "[May I come
      in|Is there room for me]?" {whom.he} asked.
  out in the rain stood {whom}, who was shivering. "[Please let me in|I have nowhere to go]," {whom.he} said.
little_room | storm sky |
  {who} looked around. There was hardly room for one. "[It is full|It is too small]," {who.he} wanted to say.
  "[There is no room|I would get wet myself]," thought {who.N}, and then the thunder rolled again.
let_in | storm sky | +shared who place
  "[Come in|If we sit close, it will do]," said {who.N} and moved [to the side|closer to the wall]. {whom}
      [squeezed in|curled up beside {who.o}].
  but {who} moved over. "Where one fits, two fit as well," {who.he} said, and {whom.N} [slipped in|came in
      with dripping ears].
guest_two | storm sky; shared who place | +known helper
  it was hardly still when {helper} stood there in the rain, too. "[And me|Oh please|Me too]," {helper.he}
      said. {both} laughed. "Where two fit, three fit as well," they said.
  then came {helper}, as wet as a [sponge|fish]. {who} and {whom.N} pulled in their feet, and it was
      [tight|narrow], but it went.
warm_inside | storm sky |
  it was so tight that nobody could move, and so warm that nobody froze. {whom} told a story {any.story}, and
      they shared {any.snack}.
  outside, the storm [raged|howled], and inside they [sang a song {any.song}|told riddles|guessed the noises].
      Nobody was afraid.
storm_over | storm sky | -storm sky; +feels who happy
  then it was still. The sun came out, and a rainbow stood over the {any.tree}. They crept out, one after the
      other.
  <finally>, the rain stopped. Everything [shone|dripped], and a {any.bird} {any.birdsong}.
storm_end | |
  "Your house is the smallest, {who.call}, and it has the most room," said {whom.N}.
  {who} thought that {d.shelter} had never been so [big|warm] as with three in it.
""")
