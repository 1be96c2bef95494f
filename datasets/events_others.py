"""Events with others: friends made, friends hurt, the weak helped, the sick cared for, wishes, contests, the lost found."""

from rules import read_rules

OTHERS = read_rules("""
find_weak | | +needs_help weak
  {d.spot}, {who} [found|saw|heard] {t.who}. It {t.how}.
  <suddenly>, {who} [stopped|stood still]. There was {t.who}. It {t.how}.
  "[Help|Please help]," said a [thin|tiny|small] voice. It was {t.who} that {t.how}.
  [something moved|there was a soft sound] {d.spot}. It was {t.who} that {t.how}.
see_need | needs_help weak | +knows who
  {who} [bent down|came closer]. {t.need}, {who.he} could see that.
  it was plain to see. {t.need}.
  "[Poor little one,|Do not be afraid,|What is it?]" {who} <said_kind>. Then {who.he} understood. {t.need}.
pass_by | needs_help weak |
  {whom} [came along|walked by] and [shrugged|looked away]. "[It is too small to matter|We will be
      late|Somebody else will do it|Come and play]," {whom.he} said.
  {whom} [was in a hurry|did not want to stop]. "[Leave it|What can we do|Let us go on]," {whom.he} said.
stand_firm | needs_help weak |
  but {who} shook {who.his} head. "[I cannot leave it here|It needs us|Nobody is too small for help],"
      {who.he} said.
  "[Not now,|You go on, I will stay,|How would you feel all alone?]" said {who.N}. {whom} [turned red|was
      quiet|came back].
help_weak | needs_help weak; knows who | -needs_help weak; +helped who
  {who} {t.give}.
  [slowly and carefully|without waiting|very gently], {who} {t.give}.
  {who} <think>. Then {who.he} {t.give}. {whom} [helped|held the things|watched].
weak_safe | helped who | +feels who happy
  "[There you are|Now all is well|Good luck]," said {who.N}, and {who.his} heart was [light|warm].
  it [took a while|was slow work], but it worked. {both} [looked at each other and smiled|were <happy>].
  [it was safe now|nothing hurt any more], and {who} felt [warm inside|taller than before].
weak_thanks | helped who |
  they never [forgot|were sorry for] that day, for {t.back}.
  and what do you think happened? [Not long after|Some time later], {t.back}.
  kindness comes back. {t.back}.
get_wish | | +may_wish who
  {d.spot}, {who} found {d.giver}. "[Make a wish|You have one wish|One wish is yours]," [it said|a voice
      whispered|somebody sang softly].
  one night, {who} saw a shooting star [above the roof|through the window]. "[Quick|Now], make a wish,"
      [said|whispered] {whom}.
  {d.spot}, {who} [met|helped] {d.giver}. "For that you may wish for something," it said. "[But think
      first|Choose well]."
make_wish | may_wish who | -may_wish who; +wished who
  {who} did not think long. "I wish {t.wish}," {who.he} [said|called|whispered].
  "I know what I want," said {who.N}. "{t.wish}, that is my wish."
  {who} [closed {who.his} eyes|crossed {who.his} fingers] and wished {t.wish}.
wish_true | wished who | +changed who
  [there was a flash|puff, went the air|the air began to sparkle], and {who.N} {t.change}.
  the next morning, {who} {t.change}. The wish had come true.
  at first, nothing happened. But then {who} [rubbed {who.his} eyes|gasped|held {who.his} breath] and
      {t.change}.
wish_fun | changed who | +feels who happy
  it was [wonderful|so much fun]. {who} {t.fun}.
  "[Hooray|This is the best day of my life]," {who} <said_happy>. {who.he} {t.fun}.
wish_trouble | changed who | +regrets who
  but [soon|after a while|by evening], {who} {t.trouble}.
  but then {who} {t.trouble}. That was [no fun at all|not what {who.he} had wanted].
  the first day was good. On the second, {who} {t.trouble}.
ask_undo | regrets who | +asked_undo who
  "[I want it all back|Please make it as it was|I did not think]," {who} <said_sad>. {whom} said, "[A wish
      from the heart can be taken back|You must say it with your whole heart|Go and ask again]."
  {who} [went to|told] {whom.o} about it. "[What have I done|I do not want this wish any more]," {who.he}
      said. "[Then wish it away|Say what you have learned]," said {whom.N}.
undo | asked_undo who | -changed who; -regrets who; +feels who happy
  {who} [ran back to the place|looked up at the sky] and said, "{t.undo}. I take my wish back." [And at once,
      all was as before|There was a soft ring, and it was over].
  "{t.undo}," said {who.N} softly, and {who.he} meant it. [In that moment, everything was as it had been|The
      magic faded like mist].
back_home | |
  how good it was to be home. {who} [hugged|kissed] {whom.o} and [laughed|would not let go for a long time].
  {who} looked at [the old things|everything] with new eyes. {whom} [winked|smiled] and [said nothing|put the
      kettle on].
enter | | +entered who
  {who} wanted to win {t.name}. [For weeks|For days], {who.he} {t.train}.
  soon it was time for {t.name}. {who} wanted to be the best, and so {who.he} {t.train}.
  "This time I will win {t.name}," said {who.N}. {who.he} {t.train}.
rival | entered who | +known whom
  but {whom} wanted to win, too. {whom.he} {t.rival}.
  there was also {whom}, who {t.rival}. "[You have no chance|I will be first|We will see]," {whom.he} said.
contest_day | entered who |
  then the great day came. {t.event}.
  on the day of {t.name}, [everybody came to watch|flags hung everywhere|nobody had slept]. {t.event}.
contest_good | entered who |
  {who} [did {who.his} best|gave everything|was very good], and {who.his} [friends|family] [cheered|shouted
      {who.his} name].
  [at first|for a while], {who} was [behind|ahead|right in front]. {who.p} heart [beat|pounded] fast.
rival_falls | entered who | +down whom
  but then {whom} {t.fall}.
  <suddenly>, {who} saw that {whom.N} {t.fall}.
doubt | down whom |
  now {who} could win. [It would be so easy|The goal was so near]. But {who.he} [saw the sad face|could not do
      it|stopped].
  "[Now is my chance|I can win now]," thought {who.N}. But {who.his} heart said no.
good_deed | down whom | -down whom; +kind who
  {who} {t.deed}. "[Come|Together|It is all right], {whom.call}," {who.he} said.
  without another thought, {who} {t.deed}. {whom} [looked up in surprise|could not believe it|had tears in
      {whom.his} eyes].
lose_win | kind who |
  so it was that neither of them was first. But the [crowd|judges] stood up and [clapped|cheered] for a long
      time.
  they did not win. But when it was over, the [oldest judge|judge with the white beard] [stood up and
      smiled|called both their names].
prize | kind who | +feels who proud
  the prize was {t.prize}. "[It belongs to both of us|You earned it|We share it]," said {whom.N}.
  for their friendship, they got {t.prize}. {both} [held it up|shared it|laughed with joy].
fall_ill | | +ill whom
  [but then|a few days later|one morning in {w.month}], {whom} [did not come out to play|stayed in bed].
      {whom.he} had {t.name}. {whom.he} {t.sign}.
  {whom} was not well. {whom.he} {t.sign}. It was {t.name}.
miss_friend | ill whom |
  {who} [waited|looked for {whom.o}] [at the gate|under the tree|on the steps] [all morning|in vain]. Playing
      alone was [no fun|dull].
  without {whom.N}, the day was [long|empty|only half as bright]. {who} [asked where {whom.he} was|went to
      look].
visit_ill | ill whom | +with who whom
  {who} [knocked softly|tiptoed in] and [sat down by the bed|looked in]. "[How are you, {whom.call}?|Poor you,
      {whom.call},|I came as fast as I could, {whom.call},]" {who.he} said.
  "I will stay with you, {whom.call}," said {who.N}, and [pulled up a chair|sat down by the bed].
care_ill | ill whom; with who whom | +cared who
  {helper} came to help. {who} {t.care}. Then {who.he} brought {t.food}.
  {helper} told {who.o} what to do. First, {who} {t.care}. After that came {t.food}.
  with {helper.o}, {who} {t.care}. They brought {t.food} on a [tray|big plate].
cheer_ill | ill whom |
  {who} told {whom.o} [a funny story|about the ducks|a long tale about a pirate|all the news], until {whom.N}
      [smiled|laughed a little|forgot the pain].
  {who} [made shadow animals on the wall|sang {whom.p} favorite song|drew a picture of a silly goose], and
      {whom.N} [smiled|had to laugh].
not_yet | ill whom |
  but it was not over at once. It took {t.wait}.
  "[Am I well now|Can I get up]?" asked {whom.N}. "Not yet," said {helper.N}. [They had to wait|It took]
      {t.wait}.
well_again | ill whom; cared who | -ill whom; +feels whom happy
  and then, [one morning|at last], {whom} [jumped out of bed|stood at the door]. "I am well again," {whom.he}
      <said_happy>.
  when that was over, {whom} [felt strong again|laughed and got up|wanted to run and jump]. [All was
      well|There was no trace of {t.name}].
ill_thanks | |
  "[You made me well|Your stories were the best medicine|I am so glad that you came], {who.call}," said
      {whom.N}.
  {whom} never forgot who had sat at {whom.his} bed. "Next time, I will [care for|sit with] you," {whom.he}
      said.
new_one | | +lonely whom
  {d.spot}, [all alone|with nobody beside {whom.him}|quite alone], [sat|stood] {whom}. {whom.he} was new
      [here|in these parts] and did not know [anybody|a soul].
  a new family had moved [in next door|to the place]. Their child was {whom}, who [stood|sat] {d.spot} and
      [looked at {whom.his} feet|said nothing].
want_meet | lonely whom |
  {who} [wanted to|wished to] say hello, but {who.he} [was shy|did not know what to say|was afraid to be
      laughed at].
  {who} looked that way [once, twice, three times|again and again]. "[What if {whom.he} does not like me|What
      should I say]?" {who.he} thought.
shy_try | lonely whom | +tried who
  {who} waved, but {whom.N} [looked away|did not see it|only turned red].
  {who} [called hello|made a funny face|hummed a tune], but {whom.N} [only shrugged|hid behind a bush|took a
      step back].
offer_thing | lonely whom; has who what | +offered who
  then {who} had an idea. {who.he} [held out|brought] {what.his}. "[Do you want to play with {what.it}|Would
      you like to hold {what.it}|Do you like {what.it}], {whom.call}?" {who.he} asked.
  {who} put {what.his} down between them and [waited|took one step back]. {whom} [came closer|looked at
      {what.it} for a long time|reached out].
first_words | offered who | -lonely whom; +friends who whom; +feels whom happy
  "[I have never seen such a {what.noun}|That is a nice {what.noun}|I like {what.this}]," [whispered|said]
      {whom.N}. And [suddenly|all at once], they both talked [at the same time|and could not stop].
  {whom} [smiled a tiny smile|looked up]. "My name is {whom.name}," {whom.he} said. "[I was hoping that you
      would ask|I did not know how to begin|Nobody has ever asked me]."
play_new | friends who whom |
  {both} [played|laughed|ran] <together> <all_day>. They found out that they both [liked pancakes|were afraid
      of geese|could whistle|laughed at the same jokes|loved the rain].
  {who} showed {whom.o} [the best hiding place|everything|the whole place], and {whom.N} taught {who.o} [a new
      game|a song from far away|how to say hello in another language].
wander | | +away who
  {who} was out with {whom.o}. "[Stay close|Stay where I can see you|Hold on to me]," said {whom.N}. But then
      {who} saw {d.lure} and [ran|went] after it.
  {whom} [was talking with a neighbor|was looking for something|stopped for a moment], and {who} saw {d.lure}.
      {who.he} followed it, [just a few steps|around one corner, and then another].
is_lost | away who | +astray who
  when {who} looked up, {whom.N} was [gone|nowhere to be seen]. [Everything looked strange|There were only
      strangers' faces|All the ways looked the same].
  then it was gone, and {who} turned around. Where was {whom.N}? {who} [called|looked left and right], but
      nobody answered.
astray_try | astray who | +tried who
  {who} ran [this way|to the left] and then [that way|to the right], but [it only got worse|everything looked
      the same|it was the wrong way].
  {who} called as loud as {who.he} could. [Only an echo came back|Nobody heard it|The wind was louder].
astray_think | astray who | +clever who
  then {who} remembered what {whom.N} had [said|taught {who.o}]. "If you are lost, [stay in one place|stay
      where you are, and ask for help]." So {who} [sat down|stayed there] and waited.
  {who} <brave_breath>. "[Crying does not help|I must think]," {who.he} said. {who.he} remembered the rule,
      "Stop, stay, and ask."
astray_help | astray who | +guided who
  {helper} [saw {who.o}|came by]. "Are you lost, little one? [What does your {whom.kind} look like|Where did
      you last see your {whom.kind}]?" {helper.he} asked. {who} told {helper.o} [everything|about {d.mark}].
  {helper} bent down. "[Do not cry|Dry your tears]. We will find your {whom.kind}." {who} told {helper.o}
      about {d.mark}, and they [set off|began to look].
reunite | astray who; guided who | -astray who; -away who; +feels who happy
  and there, by {d.mark}, stood {whom.N}, who was calling {who.p} name. {who} ran and ran, right into {whom.p}
      arms.
  [around the next corner|not far away], they saw {d.mark}. And there was {whom.N}. "There you are," {whom.he}
      cried, and [held {who.o} tight|laughed and cried at once].
astray_end | |
  "I will stay close to you," said {who.N}. {whom} [kissed {who.his} nose|took {who.his} {who.hand}|smiled].
      "And you did the right thing. You stopped and asked."
  all the way home, {who} did not let go of {whom.N}.
unkind | | +hurt whom
  {whom} [came along|wanted to play]. {who} [looked at {whom.p} {d.trait}|laughed] and said, "{d.word}."
      {whom} [stopped smiling|stood quite still|turned away].
  {who} had [slept badly|lost a game] and was in a bad mood. "{d.word}," {who.he} said to {whom.o}. The words
      were out, and [they could not be caught again|nobody laughed].
hurt_leave | hurt whom |
  {whom} [went home|walked away] and [did not come back|hid]. {whom.p} [place|seat] stayed empty.
  {whom} [swallowed|blinked] and [said nothing|went away]. [The day seemed darker|Even the birds were quiet].
self_hurt | hurt whom | +knows who
  [later|a little after that], {d.same}. [Somebody giggled|One of the others laughed], and {who} felt [hot and
      small|the sting]. So that is how it feels, {who.he} thought.
  "[Would you like to hear that|How would that sound in your ears]?" {helper} asked. {who} [looked at the
      ground|had no answer|bit {who.his} lip].
make_up_try | hurt whom; knows who | +tried who
  {who} [left a flower at the door|put a cookie on the step], but [that was not enough|the door stayed shut].
  {who} acted as if nothing had happened, but {whom.N} [did not look up|walked past].
make_up | hurt whom; knows who | -hurt whom; +friends who whom
  so {who} went to {whom.o} and said, "[What I said was mean and wrong|I hurt you, and I am sorry]. I
      [like|love] your {d.trait}. [I really do|It is a part of you]."
  {who} <brave_breath> and [knocked|went up to {whom.o}]. "I am sorry, {whom.call}. {d.good}."
accept | friends who whom | +feels whom happy
  {whom} was [quiet|silent] for a while. Then {whom.he} [smiled|nodded]. "[It hurt, but it is good that you
      came|Thank you for saying that|Let us play again]," {whom.he} said.
  "[Do you mean it|Really]?" asked {whom.N}. "[With all my heart|Every word]," said {who.N}. And [the sun came
      out|they hugged].
""")
