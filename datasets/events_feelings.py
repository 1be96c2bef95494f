"""Events between people: sharing and refusing, lying and confessing, hurting and making up, fear and courage."""

from rules import read_rules

FEELINGS = read_rules("""
ask_share | has who what | +asked whom what
  {whom} [came over|looked at {what.the}|watched]. "[May I|Can I] [have a turn|play with {what.it} too|try
      {what.it}], {who.call}?" {whom.he} asked.
  "[That looks like fun|What a nice {what.nn}]. [Can I|May I] [have a turn|try], {who.call}?" asked {whom.N}.
  {whom} wanted [a turn with {what.the}|to play with {what.the}] too and asked [nicely|politely].
ask_food | has who what | +asked whom what
  {whom} [came over|looked at {what.the}|sniffed]. "[May I|Can I] have [a bite|some|a little piece|a taste],
      {who.call}? I am so hungry."
  "[That smells good|What a nice {what.nn}]. [Can I|May I] have [some|a little], {who.call}?" asked {whom.N}.
  {whom} had not eaten [all day|since morning]. "[Could|Would] you share {what.this} with me, {who.call}?"
      {whom.he} asked.
refuse | has who what; asked whom what | +refused who; +feels whom sad
  "No, {what.they} {what.is} [all |only |]mine," {who} <said_angry> and [turned away|held {what.it} behind
      {who.his} back|walked off].
  {who} shook {who.his} head. "[You will spoil it|Get your own|Mine, mine, mine|I do not want to share],"
      {who.he} said.
  but {who} [held {what.the} tight|hid {what.it} quickly|stepped back]. "[No|Never]. {what.they} {what.is}
      mine," {who.he} <said_angry>.
walk_away | refused who |
  {whom} [looked down|said nothing|sniffed] and [walked|went] away [slowly|with a sad face|all alone].
  {whom.p} eyes [grew wet|filled with tears]. {whom.he} [went|walked|turned] away without a word.
alone | refused who | +lonely who
  now {who} had {what.the} all to {who.self}. But [it was not much fun alone|something was wrong|there was
      nobody to laugh with|it was too quiet].
  {who} [sat|stayed] there alone with {what.the}. [The {w.time} was long|Nobody laughed|It was so quiet]. It
      was [not|no] fun [any more|at all].
  {who} tried to enjoy {what.the}, but {who.his} heart felt [heavy|empty|cold]. {who.he} kept thinking of
      {whom.p} sad face.
share_toy | has who what; refused who | +shared who what; -lonely who; +feels whom happy
  {who} <ran> after {whom.o}. "I am sorry. [Come and play|You can have a turn|Let us take turns],
      {whom.call}," {who.he} said and held out {what.the}.
  "Wait, {whom.call}," called {who.N}. "[I was wrong|I was mean|I was selfish]. [Let us play together|You go
      first|It is your turn now]." And {who.he} gave {whom.o} {what.the}.
share_food | has who what; refused who | +shared who what; -lonely who; +feels whom happy
  ?!what.treat,!what.plural:{who} <ran> after {whom.o}. "I am sorry, {whom.call}. [Let us share|Here is half|Come and eat
      with me]." {who} [broke|cut] {what.the} in two [and gave the bigger half away|parts].
  {who} <ran> after {whom.o}. "I am sorry, {whom.call}. [Let us share|Come and eat with me|There is enough for us both]."
      And {who} gave {whom.o} half of {what.the}.
  with a red face, {who} went to {whom.o}. "It does not taste good alone," {who.he} said. "[Take half|Have some], {whom.call}."
      And {who} put {what.the} between them.
  "Wait, {whom.call}," called {who.N}. "[I was selfish|I was mean|I was wrong]. [You can have half|Take
      some|There is enough for two]." And {who} shared {what.the}.
fun_together | |
  [it was|now it was] [twice the fun|so much better than before|much more fun]. {both} [took turns|laughed a
      lot|clapped and sang] [<all_day>|and nobody was lonely].
  they [laughed|giggled] so [much|hard] that [the birds flew up|their tummies hurt|everyone came to see].
taste_together | |
  {both} sat down side by side and ate. [It tasted twice as good|It was the best meal ever|Every bite was
      better because they shared it].
  they ate [every crumb|it all up] and licked their lips. "[It tastes better with you|Sharing is yummy|Half is
      plenty]," said {who.N}.
lie | guilty who; broken what | +lied who
  "{who.call}, do you know [what happened to|who broke] my {what.noun}?" asked {whom.N}. {who} [looked
      away|turned red]. "[The cat|The wind|A bird|Somebody else] did it," {who.he} said.
  {whom} came [in|back] and saw {what.the}. "Who did this?" {whom.he} asked. "[It was not me|I do not know|It
      was the wind]," said {who.N} [quickly|in a small voice|without looking up].
guilt | lied who | +wants_to_tell who
  but the lie felt like a [stone|cold stone|heavy ball] in {who.p} tummy. {who.he} could not
      [eat|sleep|play|laugh].
  all [day|evening], {who} felt [bad|terrible|sick]. [The lie grew and grew|Everything tasted of
      nothing|{who.he} could not look at {whom.o}].
  that night, {who} lay awake. [The lie would not let {who.him} sleep|{who.he} saw {whom.p} sad eyes|{who.he}
      thought of {what.the}].
confess | guilty who | -guilty who; +told_truth who
  <finally>, {who} went to {whom.o}. "[I have to tell you something|I must tell you the truth|Please do not be
      angry]. I broke your {what.noun}. [I lied|I was afraid|I am so sorry]."
  {who} <brave_breath>. "It was me, {whom.call}. I broke your {what.nn}, [and I am sorry|and then I was afraid
      to tell you|and I did not tell the truth]," {who.he} <said_sad>.
forgive | told_truth who | +forgave whom who; +feels who happy
  {whom} was [quiet|silent] for a moment. Then {whom.he} hugged {who.o}. "[Thank you for telling me|That was
      brave|I am glad you told me the truth]. A {what.noun} can be [fixed|mended], {who.call}."
  "I am sorry about the {what.noun}," said {whom.N}. "But I am [glad|proud] that you told me the truth,
      {who.call}."
  {whom} [smiled a little|took {who.p} {who.hand}]. "[It takes courage to tell the truth|Everyone makes
      mistakes|I forgive you], {who.call}."
fear_start | |
  there was [just |only |]one thing that {who} was afraid of, and that was {t.what}. {t.why}.
  but {who} was [very|so|terribly] afraid of {t.what}. {t.why}.
  {who} had a secret. {who.he} was afraid of {t.what}. {t.why}.
fear_face | | +afraid who
  {t.meet}. {who} [froze|began to shake|turned pale|wanted to run away]. "{t.cry}," {who.he}
      [whispered|cried|<said_sad>].
  {t.meet}. {who.p} knees [shook|felt like pudding] and {who.his} heart went [thump, thump|bump, bump].
      "{t.cry}," {who.he} <said_sad>.
fear_hide | afraid who | +hid who
  {who} [hid|crouched down] {d.spot} and [shut {who.his} eyes|did not come out|put {who.his} {who.hands} over
      {who.his} ears], but [that did not help|the fear stayed|it only got worse].
  first, {who} tried to [run away|think of something else|pretend that nothing was there], but [it did not
      work|the fear ran along|that was no use].
fear_talk | afraid who |
  {whom} [sat down|knelt] beside {who.o}. "{t.advice}," {whom.he} <said_kind>.
  "[I was afraid of that too, once|Everybody is afraid of something]," {whom} <said_kind>. "{t.advice}."
fear_brave | afraid who | -afraid who; +brave who; +feels who proud
  {who} <brave_breath>. {t.brave}. {t.find}.
  slowly, {who} nodded and <brave_breath>. {t.brave}. {t.find}.
fear_end | brave who |
  "I did it," {who} <said_happy>. {who.he} was not afraid of {t.what} any more.
  <from_then>, {who} was not afraid of {t.what}. [Well, maybe just a little|And when others were, {who.he}
      helped them|{who.he} even liked it].
  {who} [laughed|smiled] at {who.his} old fear. [How small it looked now|It was gone|It had shrunk to the size
      of a pea].
""")
