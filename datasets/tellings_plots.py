"""More ways to tell the events of noises, makings, journeys, plants, the weak, wishes, contests, illness and the rest."""

MORE_PLOTS = """
hear_noise
  they had just started to play {any.game} when it began. "{t.sound}."
  {whom} stopped in the middle of a song {any.song}. "{t.sound}," it went, quite clearly.
guess_noise
  "It cannot be a {any.bird}," said {who.N}. "Then {t.guess}," said {whom.N}.
follow_noise
  they took each other by the {who.hand} and went closer, {d.spot}. There they saw that {t.trail}.
solve_noise
  one more step, and they saw it. {t.truth}.
after_noise
  "I will tell that to everybody on {any.day}," said {whom.N}. And then {t.end}.
plan_make
  it was too {w.weather} to play {any.game}. "Let us make something," said {who.N}. "What about {t.name}?"
      {whom} [agreed|was all for it].
  {who} had seen {t.name} at the {any.building}. "We can do that, too," {who.he} said to {whom.o}.
make_first
  they took {any.find}, {any.find}, and all that they needed. {who} {t.first}, and {whom.N} {t.then}.
make_trouble
  {any.number} times they tried, and {any.number} times it went wrong. Always {t.trouble}.
make_advice
  "Have {any.snack} first," {helper} said. "And then remember this, {t.cure}."
make_done
  they rested, drank {any.drink}, and began anew. And then {t.done}.
made_proud
  on {any.day}, everybody came to see it. {both} were <proud>, and there was {any.sweet} for all.
dream_journey
  on the wall over the bed hung a picture of {t.goal}. {who} looked at it every night, for {who.he} {t.why}.
set_out
  on a {w.weather} {any.day} in {w.month}, {who} and {whom} set out. In the bag, they had {t.pack}.
walk_on
  they passed a {any.state} {any.building}, and a {any.state} {any.building}, and a {any.beast} that
      {any.doing}. At noon, they shared {any.snack}.
  the first night, they slept under a {any.tree}. The second night, they counted stars and told a story
      {any.story}.
  {who} sang a song {any.song}, and {whom.N} sang one {any.song}. So the miles went by.
blocked
  on {any.day}, their luck ran out, for {t.block}. {whom} put down the bag. "That was it," {whom.he} said.
passed
  they ate {any.snack} and thought. Then {who} {t.way}, and {whom.N} came after.
see_goal
  they sat down and shared {any.snack}, the last they had. Nothing had ever tasted so good.
way_home
  {both.N} brought home {any.find} and {any.find}, and for years they told about it on {any.day}s.
plant_seed
  on a {any.day} in [March|April|May], {who} planted {what.the} {d.spot}, one thumb deep.
water_seed
  on {any.day}s, it got water, and on {any.day}s, {who} told it a story {any.story}.
wait_seed
  the {any.flowers} were in bloom, the {any.bird} had built its nest, and still there was nothing. "[Has it
      forgotten me|Is it lazy]?" asked {who.N}.
patience
  {whom} gave {who.o} {any.drink}. "When you wait for {any.dish}, you do not shout at the oven either,
      {who.call}," {whom.he} said.
sprout
  on a {any.day} in [May|June], {who} saw it first, a green dot, no bigger than a {any.bug}. {who.he} called
      everybody.
get_seed
  at the {any.building}, {whom} had got {what.a}. "It looks like nothing, {who.call}," {whom.he} said. "But
      there is a lot in it." And {who} might keep {what.it}.
find_weak
  {whom} saw it first. {d.spot}, there was {t.who}. It {t.how}.
  they wanted to play {any.game}, but {d.spot} there was {t.who}. It {t.how}.
see_need
  {who} knelt down beside it. {t.need}. One could see it at a glance.
pass_by
  "We wanted to play {any.game}," said {whom.N}. "[Come on|Others can help|It is none of our business]."
stand_firm
  "{any.game.capitalize} can wait, and this cannot," said {who.N}.
help_weak
  {whom} held {any.find} and {any.snack}, and {who.N} {t.give}.
weak_safe
  "Now it can go home," said {whom.N}, and gave {who.o} half of {any.sweet}.
weak_thanks
  in {any.month}, when nobody thought of it any more, it came to light. {t.back}.
get_wish
  it was a {w.weather} {any.day} when {who} found {d.giver} beside a {any.tree}. "One wish," it whispered.
      "But only one."
make_wish
  {who} might have wished for {any.sweet} or for {any.find}. But {who.he} wished {t.wish}.
wish_true
  it tickled, it smelled of {any.smell}, and then {who} {t.change}.
wish_fun
  all {any.day} long, {who} {t.fun}. {who.he} sang a song {any.song}.
wish_trouble
  by {any.day}, it was no fun any more. {who} {t.trouble}.
ask_undo
  "I would give all my {any.fruit} to have it back as it was," {who} <said_sad>. {whom} stroked {who.p} head.
      "Then say so, and mean it, {who.call}," {whom.he} said.
undo
  {who} went back to the {any.tree} and said, "{t.undo}. Please take the wish back." It smelled of
      {any.smell}, and all was as before.
back_home
  for dinner, {who} got {any.dish}, just as always, and nothing had ever tasted so good. {whom}
      [winked|smiled].
enter
  a sign hung at the {any.building}. It told of {t.name}. {who} read it {any.number} times. From that day,
      {who.he} {t.train}.
rival
  on the list, there was one more name, and that was {whom}. {whom.he} {t.rival}.
contest_day
  it was a {w.weather} {any.day}, and everyone who came got {any.dish}. {t.event}.
contest_good
  a {any.bird} {any.birdsong}, and off they went. {who} had never been so good.
rival_falls
  then there was a cry. {whom} {t.fall}.
doubt
  {who} thought of the prize, and then of {whom.p} face. It did not take long to choose.
lose_win
  a {any.beast} could have won it by now, so much time had passed. But everybody stood up and clapped.
prize
  in the end, they both got {t.prize}, and {any.dish} as well.
fall_ill
  a week later, they wanted to play {any.game}, but {whom.N} had {t.name}. {whom.he} {t.sign}.
miss_friend
  {who} went to the {any.tree}, where they always met, and stood there alone. It was no day for {any.game}.
visit_ill
  {who} put {any.find} and {any.snack} in a bag and went to {whom.o}. "I am here, {whom.call}," {who.he} said.
care_ill
  {helper} showed how. {who} {t.care}, brought {t.food}, and opened the window, so that it smelled of
      {any.smell}.
cheer_ill
  {who} told a story {any.story}, and when it was over, one {any.story}. {whom} smiled at last.
not_yet
  every day, {who} brought {any.flowers}. It took {t.wait}.
well_again
  on {any.day}, {whom.N} ate {any.dish}, then {any.dish}, and asked for {any.dish}. Then everybody knew that
      {whom.he} was well.
ill_thanks
  they shared {any.sweet}, and {whom.N} said, "Half of the illness you carried for me, {who.call}."
new_one
  {d.spot} stood {whom}, who had come with {any.number} boxes from far away. {whom.he} knew nobody yet.
want_meet
  "Maybe {whom.he} can play {any.game}," thought {who.N}. "Maybe {whom.he} likes {any.dish}." But how does one
      begin?
shy_try
  {who} rolled a [nut|stone|chestnut] over, and {whom.N} rolled it back without looking up.
first_words
  "I had such a {what.noun}, too, at home," said {whom.N}. And then {whom.he} told about {any.flowers}, about
      {any.dish}, and about the old house.
play_new
  on {any.day}, they played {any.game}. On {any.day}, they played {any.game}. And on {any.day}, nobody was new
      any more.
wander
  it was market day, and there were {any.fruit} and {any.flowers} everywhere. {whom} talked with somebody, and
      {who} saw {d.lure} and went after it.
is_lost
  past the {any.building} it went, past the {any.tree}, and then {who} did not know the way. {whom} was
      nowhere.
astray_try
  {who} ran to the {any.building}, but it was the wrong one. {who.he} ran to the {any.tree}, but there were
      many such trees.
astray_think
  {who} sat down and said what {who.he} had learned, "When I am lost, I stay in one place." So {who.he}
      stayed, and counted to {any.number}, and again to {any.number}.
astray_help
  soon {helper} came by, with {any.snack}. "You look lost, little one," {helper.he} said. {who} told
      {helper.o} about {d.mark}, and they went there together.
astray_end
  that evening, they had {any.dish}. {who} sat so close to {whom.o} that one could not have put a leaf between
      them.
unkind
  it was a {w.weather} {any.day}, and {who} had slept badly. {whom} showed {who.o} {any.find}. {who} looked at
      {whom.p} {d.trait} instead and said, "{d.word}."
hurt_leave
  {whom} put {any.snack} back into the bag, untouched, and went.
self_hurt
  not {any.number} minutes later, {d.same}. Everybody laughed. It burned like fire, and {who} knew whose turn
      it had been before.
make_up_try
  {who} sent a {any.beast} with a letter, but it ate the letter. That was not the way.
make_up
  {who} brought {any.flowers} and {any.sweet}, but the words were the hardest. "I was mean to you,
      {whom.call}. {d.good}."
accept
  {whom} broke {any.sweet} in two. "Half for you," {whom.he} said. "Words can hurt, but they can mend, too."
promise
  it was a {w.weather} {any.day} when {whom.N} said, "I trust you, {who.call}. Do not forget {t.task}." And
      {who} gave {whom.o} {who.his} word.
tempted
  {who} had gone {any.number} steps when {t.tempt}. And {any.number} steps later, {who.he} had forgotten
      everything.
disappointed
  {whom} stirred {any.dish} and said nothing for a long while. "A word is like an egg, {who.call}," {whom.he}
      said then. "It is easy to break."
make_good
  there was no {any.game} that day and no {any.sweet}. {who} {t.mend}.
trusted
  on {any.day}, {whom.N} asked {who.o} again. And this time, {who} kept the promise before {who.he} did
      anything else.
serve
  it was {any.day}, and everybody looked forward to {any.dish}. But on the plate lay {t.dish}. It was
      {t.looks}.
refuse_food
  "At {any.number} o'clock I had {any.snack}, and I am full," said {who.N}. "And {t.bad}."
trick_food
  {whom} hummed a song {any.song} and {t.trick}.
more_food
  when {any.day} came, {who} asked, "Could we have that again, with {any.drink}?" And {whom.N} laughed.
rule
  "You may play {any.game}, you may eat {any.snack}," said {whom.N}. "But I beg you {t.rule}."
lured
  {who} played {any.game} and {any.game}. Then {t.lure}. The rule was forgotten.
after_rescue
  after that came {t.after}, and nobody played {any.game} that day. "Now I know why," {who} <said_sad>.
much
  it was {w.month}, and there were {t.stuff}, enough for every {any.beast} and every {any.bird}. {who}
      {t.way}.
more_much
  {whom} asked for a few, but {who} shook {who.his} head. {who.he} {t.more}.
greed_share
  at the next feast, there was a lot to share, and it was {who.N} who counted the plates, and took the last
      one.
find_stuck
  they wanted to eat {any.snack}, but then they saw {t.name}. It {t.how}.
think_stuck
  they sat down to think, and {who.N} chewed on {any.snack}. "I know it now," {who.he} said. "We must
      {t.idea}."
stuck_joy
  afterward, they played {any.game}, all three of them, and ate {any.sweet}.
start_job
  {who} had always wanted to see {who.self} as a {any.job} or a {any.job}. So on {any.day}, {who.he} went to
      {whom.o} and was {t.work}.
job_slip
  for {any.number} minutes, all went well. Then {who} {t.slip}.
job_gift
  "When I was young, I spoiled {any.number} things a day," said {whom.N}. "Tell me, what can you do well?" For
      {who} {t.gift}.
job_end
  "On {any.day}, we start at {any.number}, {who.call}," said {whom.N}, and gave {who.o} {any.sweet}.
take_load
  it was a {w.weather} {any.day} in {w.month}. {t.load.capitalize} had to go to {t.where}, and only {who.N}
      was free. "I am small, but I can try," {who.he} said.
load_steep
  past the {any.building}, past the {any.tree} it went. But then {t.steep}. {who} {t.slip}.
load_end
  on {any.day}, {both} sat under the {any.tree} and ate {any.dish}. "Sing it once more," said {whom.N}.
secret_plan
  "On {any.day}, {whom.N} will be a year older," said {who.N}. {who.he} got {what.a}, ordered {any.dish}, and
      asked a {any.beast} to keep quiet.
feels_forgotten
  {whom} got up at {any.number} and put on the {any.color} {any.garment}. But {who} did not even look at
      {whom.o}. "[Not now|Later], {whom.call}," {who.he} said. {whom} went off and sat down under a
      {any.tree}.
prepare
  {who} stirred {any.dish}, poured {any.drink}, and picked {any.flowers}. {what.the} lay in the middle, in
      {any.color} paper with {any.pattern}.
surprise
  {who} tied a {any.color} cloth around {whom.p} eyes and turned {whom.o} around {any.number} times. When the
      cloth came off, {whom.he} saw {any.dish}, {any.flowers}, and in the middle {what.the}. "All for you,
      {whom.call}."
surprise_end
  they played {any.game} until the stars came out. "I will never think again that I am forgotten," said
      {whom.N}.
found_strange
  {who} was looking for {any.find} and found {what.a}, {d.spot}.
want_keep
  {who} could see it all, {what.the} beside the bed, on {any.day}, on {any.day}, and on every other day.
      {who.he} put it under {who.his} arm.
see_owner
  at the {any.building} stood {whom}, who asked everyone, even a {any.beast}. "Has anybody seen my
      {what.noun}? It was {d.from}."
return_it
  "Look what I found," said {who.N}. {any.find.capitalize} would have been easier to give away, but {who.he}
      held out {what.the}.
reward
  they had {any.dish} together, and {whom.N} told a story {any.story}. And each time {who} sees the
      {what.noun}, {who.he} is glad.
awake
  the clock struck {any.number}, and {who} was still awake. A {any.bird} {any.birdsong} out there in the dark.
try_sleep
  {who} thought of {any.dish}, of {any.flowers}, and of {any.game}. Now {who.he} was hungry, and wide awake.
call_sleep
  "{whom.call}, are you asleep?" asked {who.N} through the door. "Not any more," said {whom.N}, and came with
      {any.drink}.
sleep_words
  "On the moon, there lives {any.cloud}," {whom} began, and the story went on and on, over hills, past a
      {any.building}, and down to the sea.
asleep
  the smell of {any.smell} came through the window, and {who} sank into sleep as into a [warm bath|soft
      cloud|heap of feathers].
both_want
  it was {who.p} {what.noun}, but {whom.N} had played with it since breakfast. Now {both} both held
      {what.the}.
blame
  "You and your {any.game}," {who} <said_angry>. "You and your {what.noun}," {whom} <said_angry>. And then
      they did not say anything any more.
miss_each
  {who} ate {any.snack} alone. Half of it would have been for {whom.N}. It did not taste good.
sorry_both
  {who} put half of {any.sweet} on a stone between them. {whom} put {any.find} beside it. "Sorry," they both
      said.
storm_comes
  the {any.bird} stopped singing, and it smelled of rain. One drop, {any.number} drops, and then it poured.
      {who} fled into {d.shelter}.
guest_one
  {who} was just going to eat {any.snack} when {whom} stood there, as wet as a [sponge|fish|mop], and asked
      for shelter.
little_room
  {who.p} {who.hands} and the bag filled the place already. Where should anybody else sit?
warm_inside
  {helper} had {any.snack}, {who.N} had {any.snack}, and {whom.N} knew a story {any.story}. What more does one
      need?
storm_over
  after {any.number} songs, it was over. The air smelled of {any.smell}, and a cloud like {any.cloud} sailed
      away.
"""
