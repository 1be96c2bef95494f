"""More ways to tell the events that most stories share, and those of things and feelings. A head names the event."""

MORE_COMMON = """
intro
  ?who.child:{who.name} was a {who.trait} {who.kind} of {any.age} who [loved|liked] to {who.likes}[| on
      {any.day}s| whenever it was {w.weather}].
  ?who.child:once there was {who.a}. [At home|In the village|At school], everybody knew {who.o}, because {who}
      [loved|liked] to {who.likes}.
  ?who.child:in a {any.state} house beside a {any.building} lived {who.a}. {who} [loved|liked] to {who.likes}.
  ?who.child:near the {any.state} {any.building}, there lived a {who.trait} {who.kind} named {who.name}, who
      [loved|liked] to {who.likes}.
  ?!who.child:near a [tall|hollow|crooked|lonely|mossy|bent|shady] {any.tree}, there lived {who.a}. {who} [loved|liked] to {who.likes}.
  ?!who.child:once, {who.a} made a home {where.in}. {who} was {any.virtue}, and [loved|liked] to {who.likes}.
  [do you know|have you heard of] {who.name} the {who.kind}? {who} was {who.trait}, and [loved|liked] to
      {who.likes}.
  [there was once|once there lived] {who.a}. When it was {w.weather}, {who} [loved|liked] to {who.likes}.
pair
  {who.name} the {who.kind} and {whom.name} the {whom.kind} were [friends|the best of friends|neighbors].
      {who.name} was {any.virtue} and {whom.name} was {any.virtue}.
  wherever {who.name} the {who.kind} went, {whom.name} the {whom.kind} went, too. They [liked|loved] to play
      {any.game}.
  {who.name} and {whom.name} had been friends since they were [very small|babies]. {who.name} was a {who.kind}
      who [loved|liked] to {who.likes}, and {whom.name} was a {whom.kind} who [loved|liked] to {whom.likes}.
  on {any.day}s, a {who.kind} named {who.name} and a {whom.kind} named {whom.name} always met to play
      {any.game}.
  once upon a time, a {who.trait} {who.kind} named {who.name} and a {whom.trait} {whom.kind} named {whom.name}
      lived side by side.
friend_intro
  {who} had a friend, {whom.a}. On {any.day}s, they played {any.game}.
  with {whom.a}, {who} shared {any.sweet} and [every secret|all secrets|all joys and sorrows].
  {whom} was {who.p} [best|oldest|dearest] friend. They had met [in {any.month}|at the {any.state}
      {any.building}|on a {w.weather} {any.day}].
  nobody made {who.o} laugh as much as {whom}, who [loved|liked] to {whom.likes}.
own
  {who} [owned|had] {what.a}, and {who.he} had given {what.it} a place of honor beside [the window|the bed|the
      door].
  somebody [dear|kind|special] had once brought {who.o} {what.a} [from the market|from a far land|on a
      {any.day}]. {who} loved {what.it}.
  [every evening|every day], {who} [cleaned|looked at|put away] {what.his} with care. {what.they} {what.was}
      worth more to {who.him} than {any.sweet}.
  {who} had saved {any.number} coins for {what.a}, and now {what.they} {what.was} [really |]{who.his} own.
  if you had asked {who.o} what {who.he} loved best, {who.he} would have said, "My {what.nn}."
go
  ?!w.foggy:on a {w.weather} {any.day} in {w.month}, {who} went {where.to}. {where.see}
  it was {any.day}, and {who} had nothing to do. So {who.he} went {where.to} to {d.fun}.
  after [breakfast|lunch|a bowl of {any.dish}], {who} [went|set out] {where.to}. {where.see}
  "Today I will {d.fun}," said {who.N}, and went {where.to}.
  the {w.time} was {w.weather} and smelled of {any.smell} when {who} came {where.to}. {where.see}
  {who} had been {where.in} since breakfast. {where.see}
  with {any.snack} in the bag, {who} set out {where.to}. {where.see}
go_both
  on a {w.weather} {any.day}, {both} went {where.to} to {d.fun}.
  it was {any.day}. {both} had {any.snack} with them and went {where.to}. {where.see}
  "Let us {d.fun}," said {whom.N} one {w.weather} {w.time}, and so {both} went {where.to}.
  after [breakfast|lunch|a plate of {any.dish}], {both} [went|set out] {where.to}. {where.see}
  {both} were {where.in}, for they wanted to {d.fun}. {where.see}
  [nobody was as early as {both}|early in the {w.time}, {both} came] {where.to}. The air was {any.feel} and
      smelled of {any.smell}.
meet
  along came {whom}, who was on the way to the {any.building}.
  {whom} was just coming back from the {any.building} with {any.snack}.
  a {any.bird} {any.birdsong}, and then {whom} came along.
  just then, {who} heard steps. It was {whom}.
  {whom} had [seen|heard] it all and came [over|closer].
notice
  "You look like {any.day} rain, {who.call}," said {whom.N}. "What happened?"
  {whom} gave {who.o} {any.sweet} and asked, "What is [it|wrong], {who.call}?"
  "Where is your smile today, {who.call}?" asked {whom.N}.
  {whom} saw the tears and sat down close by. "Tell me all about it, {who.call}," {whom.he} said.
tell_trouble
  so {who} told it all, from the beginning to the end. {whom} listened and did not [laugh|interrupt] once.
  {who} wiped {who.his} nose and told {whom.o} about it.
  it took {who.o} a while to speak. Then the whole story came out.
  "It is like this," {who.he} said, and {who.he} told {whom.o} everything, word for word.
offer_help
  "I have time until dinner is ready," {whom} <said_kind>. "[Let us begin|Let us see what we can do|Show me],
      {who.call}."
  {whom} rolled up {whom.his} sleeves. "[Then let us go|We will manage|No time to lose]," {whom.he} said.
  {whom} put down the {any.color} [bag|basket|box]. "Two together are [strong|clever|fast], {who.call},"
      {whom.he} said.
  {whom} did not [ask twice|think long]. "I am with you, {who.call}," {whom.he} said.
thank
  {who} gave {whom.o} {any.sweet}. "[That is for you|You have earned it], {whom.call}," {who.he} said.
  "Without you, I would still be [crying|sitting there|looking], {whom.call}," said {who.N}. {whom}
      [winked|laughed|bowed].
  {who} said thank you, once for today and once for [tomorrow|{any.day}|good luck].
  "You have a good heart, {whom.call}," said {who.N}, and {whom.N} [turned red|waved it away|looked at
      {whom.his} toes].
  {who} did a little dance and sang, "<thanks>, <thanks>, {whom.call}."
happy
  {who} was as happy as a {any.bird} in {any.month}.
  {who} [sang|hummed] a song {any.song} and could not stop [smiling|dancing].
  all at once, the {w.time} seemed [brighter|warmer|twice as nice]. {who} was [happy|glad] again.
  "[This is the best {any.day} of all|All is well|What luck]," {who} <said_happy>.
sad
  {who} did not even want {any.sweet}. {who.he} was too <sad>.
  it was as if the {any.feel} air had turned to [stone|ice|rain]. {who} was <sad>.
  a tear fell on {who.his} {who.hand}, and then another. "[Why me?|Why today?|If only I had been careful,]"
      {who.he} <said_sad>.
  even the {any.bird} in the {any.tree} fell silent. {who} [sat there|stood there] and cried.
home
  [at {any.number} o'clock|when it grew dark|after {any.dish} and a story], {who} lay in bed and thought of
      [everything|the day|all that had happened].
  {who} went home past the {any.state} {any.building}, and hummed.
  the moon looked like {any.cloud} when {who} came home.
  at home, {who} ate {any.dish} and told [everything|the whole story] with a full mouth.
learned
  "Do you know what I learned?" said {who.N}. "I learned that {w.lesson}."
  that night, {who} put it into a [song|rhyme|letter] for {who.his} grandma. It said that {w.lesson}.
  the next {any.day}, {who} told the {any.bird} in the {any.tree} that {w.lesson}.
  [on that day|that night|before sleep came], {who} understood that {w.lesson}.
  {who} knew now what {who.his} [grandma|grandpa] had always said, that {w.lesson}.
moral
  so it is with [children|people|everybody], for {w.lesson}.
  what can we learn from {who.N}? That {w.lesson}.
  old people say that {w.lesson}.
the_end
  and if it has not rained, the {any.flowers} are still in bloom.
  and that is the end of the story.
  and so it was, in {w.month}, on a {any.day}.
  and what came next is another story.
  [sleep well|good night], said the moon that looked like {any.cloud}.
friends
  every {any.day} after that, {both} met to play {any.game}.
  {both} [promised|agreed] to be friends for ever, and sealed it with {any.sweet}.
  if you go past the {any.state} {any.building} today, you may see {both} [together|side by side|playing
      {any.game}].
  since that {any.day} in {w.month}, {both} are never seen apart.
hug
  {whom} opened {whom.his} arms, and {who.N} [ran|fell] into them.
  they hugged for so long that the {any.bird} in the {any.tree} {any.birdsong}.
  there was a hug, as warm as {any.drink}.
play
  {who} played {any.game} and {any.game}, and then {who.he} wanted to {d.fun}.
  there was so much to see and to do. {who} wanted to {d.fun}, and so {who.he} did.
play_both
  they played {any.game}, and after that they wanted to {d.fun}.
  {whom} told a story {any.story}, and {who.N} sang a song {any.song}.
  "You go first," said {who.N}, and they took turns to {d.fun}.
"""

MORE_THINGS = """
lose
  {who} played {any.game} for a while. When {who.he} looked for {what.his}, {what.they} {what.was} not there.
  a {any.bird} {any.birdsong}, and {who} looked up. When {who.he} looked down again, {what.his} {what.was}
      gone.
  {who} ate {any.snack} and wanted to show {what.the} to a {any.beast}. But where {what.was} {what.they}?
  at the {any.tree}, {who} stopped. {who.p} {who.hands} were empty. {what.his} {what.was} gone.
search
  "I will look {d.spot}," said {who.N}. But there, {who.he} saw only {d.junk}.
  {who} asked a {any.beast} that {any.doing}, but it did not know. {d.spot}, there was just {d.junk}.
  who looks, finds, thought {who.N}, and <looked> {d.spot}. What {who.he} found was {d.junk}.
  maybe {what.they} {what.was} {d.spot}? {who} went to see. No, that was {d.junk}.
search_again
  and {d.spot}? {who} <looked> there, too. Nothing but {d.junk}.
  {who} counted to {any.number} and <looked> {d.spot}. There was {d.junk}, and that was all.
  {who} went on and <looked> {d.spot}. "Not here either," {who.he} <said_sad>.
find
  {who} <looked> {d.spot}. Something {any.color} peeped out. It was no {any.flower}. It was {what.his}.
  {d.spot}, beside {any.find}, lay {what.his}. {who} [laughed|shouted|jumped] for joy.
  a {any.bug} sat on something {d.spot}. "Thank you, little one," said {who.N}, for there {what.was}
      {what.his}.
  and then {who} saw {what.the}, {d.spot}. [They had never been so glad to see each other|What a moment that
      was|{who.he} ran as fast as {who.he} could].
find_by
  {whom} <looked> {d.spot} and began to [laugh|sing]. "What have we here, {who.call}?" {whom.he} asked. It was
      {what.the}.
  "Close your eyes, {who.call}," said {whom.N}. "Now open them." And there {what.was} {what.the}, found
      {d.spot}.
  {whom} did not say a word, but pointed. {d.spot} lay {what.his}.
keep_safe
  {who} wrote {who.his} name on a [label|ribbon|piece of paper] and tied it to {what.his}, just in case.
  before bed, {who} told {what.his} a story {any.story}. One never knows.
  and where {what.is} {what.his} now? Always where {who} can see {what.it}.
up_stuck
  {who} wanted to see how high {what.his} could fly. One, two, three, up. And there, {d.spot}, {what.they}
      stayed.
  a {any.bird} {any.birdsong}, and {who} looked up for a moment. Then the wind took {what.his} and hung
      {what.it} {d.spot}.
  it was {w.weather}, and a gust came around the {any.building}. {what.his} sailed off and got stuck {d.spot}.
jump_for
  {who} climbed on a [stone|stump|box] and jumped. {any.number} times {who.he} jumped, and {any.number} times
      {who.he} missed.
  {who} took a long run and leaped like a [frog|flea|cricket]. It was still too high.
throw_at
  {who} threw {any.find} at {what.it}. Now there were two things up there.
  {who} aimed and threw a pine cone. A {any.bird} scolded, and {what.the} did not move.
shake
  {who} shook it, and a {any.bug}, {any.find} and some leaves came down, but not {what.the}.
climb_fail
  {who} got as far as the first [fork|ledge|knot], and there {who.he} sat and did not dare to go on. Slowly,
      {who.he} climbed back.
poke
  {who} tied two sticks together and reached up. The sticks came apart, and one hit {who.his} toe.
  with a broom from the {any.building}, {who} poked and poked, but the broom got stuck as well, and fell on
      {who.his} head.
get_ladder
  {whom} went to the {any.building} and came back with a ladder. {any.number} steps up, one reach, and
      {any.number} steps down. "There you are, {who.call}."
  "For such a thing, one needs a ladder," said {whom.N}. {who} held it, {whom.N} climbed, and then {what.the}
      {what.was} back.
lift_up
  "Up you go, {who.call}," said {whom.N}, and {who} sat up there like a king. From there, it was easy to get
      {what.the}.
  {whom} made {whom.self} as tall as {whom.he} could, and {who.N} climbed up. One stretch, and {what.the}
      {what.was} free.
fly_fetch
  {whom} flew around it {any.number} times, sat down, and loosened {what.it}. Plop, {what.the} fell into the
      grass.
  "That is nothing for me," said {whom.N}, rose up, and came back with {what.the}.
climb_fetch
  {whom} was up there before one could count to {any.number}. "Catch, {who.call}," {whom.he} called, and down
      came {what.the}.
mend_fail
  {who} rubbed {any.drink} on it, for {who.he} had once heard that it helps. It did not help.
  {who} put {any.find} under it, and tied it, and blew on it. Then {what.they} fell apart again.
mend_hard
  {whom} cleared the table and put {any.dish} aside. They glued and pressed, and {whom.N} told a story
      {any.story} while it dried.
  they worked until it was time for dinner. A drop of glue here, a small nail there, and {who} held the
      [lamp|parts|string].
mend_cloth
  {whom} chose a {any.color} thread and a thin needle. While they sewed, {whom.N} sang a song {any.song}.
  a {any.color} patch with {any.pattern} came over the hole. {who} made the last stitch.
mend_paper
  with {any.color} paper and paste, they closed the tear from behind. {whom} hummed a song {any.song}.
mended
  "That is a scar," {who.he} said. "And scars tell stories." {what.the} {what.was} whole again.
  {who} showed {what.the} to everybody, even to a {any.beast} that {any.doing}. [Nobody saw the
      place|{what.they} {what.was} like new].
have_food
  for lunch, {who} had brought {what.a}. {what.they} looked better than {any.dish}.
  that {any.day}, {who} had {what.a}, and {who.his} mouth watered.
treasure
  on the shelf of {who.N} stood {what.a}, between {any.find} and {any.find}. {who} loved {what.it} very much.
  {who} kept {what.a} that was older than the {any.building}. Nobody was allowed to touch {what.it}.
"""

MORE_FEELINGS = """
refuse
  "[Go and play {any.game}|Ask somebody else|Not today, and not on {any.day}]," {who} <said_angry>, and turned
      {who.his} back.
  {who} made {who.self} [wide|big], so that nobody could see {what.the}. "Mine," {who.he} <said_angry>.
walk_away
  "I would have shared with you," said {whom.N} softly, and went.
  {whom} put {any.find} back into {whom.his} pocket and went off, past the {any.tree}.
alone
  {who} tried to play {any.game} with {what.the}, but for that one needs two.
  somewhere, somebody laughed. {who} looked at {what.the}, and {what.they} did not laugh.
fun_together
  they played {any.game}, and then {any.game}, and {what.the} went from one to the other.
  {any.number} times {who} had the first turn, and {any.number} times {whom.N}. Nobody counted.
taste_together
  they sat under a {any.tree} and ate, and {whom.N} had {any.snack} to go with it.
  it tasted like {any.dish} on a {any.day}. "More for you," said {who.N}. "No, for you," said {whom.N}.
lie
  "How did that happen?" asked {whom.N}. "A {any.beast} came in," said {who.N}. "And a {any.bird}, too."
      {who.p} ears turned red.
guilt
  at dinner, they had {any.dish}, and {who} could not eat one bite. The lie sat in {who.his} throat.
  {who} wanted to play {any.game}, but the lie played along and spoiled it.
confess
  after {any.number} deep breaths, {who} said it. "I broke your {what.noun}, {whom.call}, and I lied about
      it."
  "There was no cat and no wind," said {who.N}. "I broke your {what.noun}. I am sorry."
forgive
  {whom} put an arm around {who.o}. "The truth took a long way, {who.call}, but it is here now."
  "I knew it," said {whom.N}. "And I waited for you to tell me. Now it is all right."
fear_face
  {t.meet}. {who} dropped {any.find} and stood there like a [post|stone|tree]. "{t.cry}," {who.he} <said_sad>.
fear_hide
  {who} thought of {any.dish}, of {any.game}, of {any.flowers}, of anything else, but {who.his} heart went on
      beating like a drum.
fear_talk
  {whom} shared {any.snack} with {who.o} and waited until {who.his} breath was calm. "{t.advice}," {whom.he}
      said.
  "When I was small, I was afraid of {any.cloud}," {whom} <said_kind>. "So I know. {t.advice}."
fear_end
  "What was I so afraid of?" asked {who.N}, and had {any.sweet}. From that {any.day} on, {who.he} was not
      afraid of {t.what} any more.
  on {any.day}, {who} told everybody how it had been, and showed it, and nobody was afraid of {t.what}.
want_skill
  at the {any.building}, everybody could do it, big and small. They could {t.name}. Only {who.N} could not.
  "By {any.month}, I will learn how to {t.name}," said {who.N}.
give_up
  "I would rather eat {any.dish} every day than try that again," {who} <said_sad>.
encourage
  {whom} brought {any.sweet} and sat down. "I needed {any.number} weeks to learn it, {who.call}," {whom.he}
      said. "{t.tip}."
practice
  on {any.day}, {t.again}. On {any.day}, it was a little better. {who} did not stop.
show_skill
  on {any.day}, all the friends came to see it. {who} showed how {who.he} could {t.name}, and then there was
      {any.sweet} for everyone.
"""

MORE_OPENINGS = """
intro
  ?who.child:a {who.trait} {who.kind} named {who.name} lived between the {any.building} and the
      {any.building}. {who} [loved|liked] to {who.likes}.
  ?who.child:{who.name} the {who.kind} had {any.number} wishes. The first was to {who.likes}, every day.
  ?who.child:everyone at the {any.building} knew {who.name}, the {who.kind} who [loved|liked] to {who.likes}.
  ?who.child:with {who.his} {any.color} {any.garment}, one could see {who.name} the {who.kind} from far away.
      {who} [loved|liked] to {who.likes}.
  ?who.child:when other children played {any.game}, a {who.kind} named {who.name} [loved|liked] to
      {who.likes}.
  ?who.child:there was once a {who.trait} {who.kind}, and {who.his} name was {who.name}. What {who}
      [loved|liked] was to {who.likes}.
  ?!who.child:{who.name} was a {who.trait} {who.kind} who lived {where.in}, under a {any.tree}. {who}
      [loved|liked] to {who.likes}.
  ?!who.child:once, when the {any.flowers} were in bloom, there lived {who.a}. {who} [loved|liked] to
      {who.likes}.
  ?!who.child:{where.in}, everybody knew {who.name} the {who.kind}, who [loved|liked] to {who.likes} and eat
      {who.food}.
  ?!who.child:of all the animals {where.in}, {who.name} the {who.kind} was the most {who.trait}. {who}
      [loved|liked] to {who.likes}.
  ?!who.child:there was once a {who.trait} {who.kind}, and {who.his} name was {who.name}. What {who}
      [loved|liked] was to {who.likes}.
go
  it was one of those {w.weather} {any.day}s in {w.month}. {who} went {where.to}, with {any.find} in {who.his}
      bag.
  {who} ate {any.snack} and went {where.to}. {where.see}
  as soon as breakfast was eaten, {who} went {where.to}, to {d.fun}.
  the {any.bird} {any.birdsong} when {who} went {where.to} that {w.time}. {where.see}
  one {any.day}, {who} went {where.to}. {where.see}
  on {any.day}s, {who} [often|always] went {where.to} to {d.fun}. So it was that day.
  since it was {w.weather}, {who} went {where.to}. {where.see}
go_both
  one {any.day}, {both} met {where.in}. {where.see}
  {who} had {any.snack}, and {whom} had {any.snack}. So {both} went {where.to} to {d.fun}.
  on {any.day}s, {both} always met {where.in}. {where.see}
  the {any.bird} {any.birdsong} when {both} went {where.to} that {w.time}. {where.see}
  it was one of those {w.weather} {any.day}s in {w.month}. {both} went {where.to} to {d.fun}.
  "Where shall we go?" asked {whom.N}. They went {where.to}. {where.see}
learned
  if you ask {who.o} today, {who.he} will say that {w.lesson}.
  in {who.his} [book|diary|letter], {who} wrote with a {any.color} pencil that {w.lesson}.
  {who} thought about it over {any.dish}, and found that {w.lesson}.
  years later, as a {any.job}, {who} still knew that {w.lesson}.
moral
  and the {any.bird} in the {any.tree} sang that {w.lesson}.
  that is the way it is, and {w.lesson}.
  you know it, and I know it, and now {who.N} knew it, too, that {w.lesson}.
friend_intro
  {who.p} friend was {whom.a}, and together they had a song {any.song}.
  {whom.a} was {who.p} friend, always {any.virtue} and never without {any.snack}.
  in the {any.state} house beside the {any.building} lived {who.p} friend, {whom.a}.
own
  {who} had {what.a}, and [on {any.day}s|when it was {w.weather}|after {any.dish}], {who.he} took {what.it}
      out and was happy.
  between {any.find} and {any.find}, {who} kept {what.a}, and that was {who.his} treasure.
  from a {any.job}, {who} had once got {what.a}, and {who.he} loved {what.it} like nothing else.
"""
