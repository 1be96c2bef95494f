"""Events that begin, carry and end stories: somebody is introduced, goes, meets, plays, talks, thanks, goes home."""

from rules import read_rules

COMMON = read_rules("""
intro | | +known who
  <once>, there was {who.a}. {who} [loved|liked] to {who.likes}[| more than anything| every day| all day
      long].
  ?!who.child:[once upon a time|once|long ago], {who.a} lived {where.in}. {who} [loved|liked] to {who.likes}.
  {who.name} was a [little |small |young |]{who.kind} who [loved|liked] to {who.likes}.
  there once was {who.a} who was [very|always|ever so] {who.trait}. [Every|Nearly every] day, {who}
      [loved|liked] to {who.likes}.
  once upon a time, [there lived|there was] a {who.trait} {who.kind} [named|called] {who.name}. {who}
      [loved|liked] to {who.likes}.
  ?who.child:[once upon a time|once], there was a {who.trait} [little |young |]{who.kind} [named|called]
      {who.name} who lived [in a small house|in a yellow house|near a big hill|in a busy town|by the sea|at
      the edge of a village|with {who.his} family]. {who} [loved|liked] to {who.likes}.
  ?!who.child:{who.name} was the most {who.trait} {who.kind} {where.in}. {who} [loved|liked] to {who.likes}
      and [make friends|tell everyone about it|sing about it|dream about it].
  ?who.child:in a [small|little|quiet|busy|pretty] [town|village] [far away|by the sea|near the hills|by a
      river], there lived {who.a}. {who} was {who.trait} and [loved|liked] to {who.likes}.
pair | | +known who; +known whom
  {who.name} the {who.kind} and {whom.name} the {whom.kind} were [best|good|close|old] friends. [They lived
      next door to each other|They did everything together|They met every day|They played together every
      day|They shared all their secrets].
  <once>, there were two friends, {who.name} the {who.kind} and {whom.name} the {whom.kind}. They were [always
      together|never bored|as close as two peas in a pod|the same age].
  {who.name} the {who.kind} and {whom.name} the {whom.kind} [liked|loved] to play together.
  once upon a time, {who.a} had a [best|dear|good] friend, [and that was {whom.a}|{whom.a}]. They [did
      everything together| were never apart|met every day|laughed a lot together].
friend_intro | known who | +known whom
  {who.p} best friend was {whom.a}.
  {who} had a [good|dear|close] friend, {whom.a}.
  {who} often [played|laughed|went out] with {whom.a}, who [loved|liked] to {whom.likes}.
  next door to {who.o} lived {whom.a}, and the two were [good|close|best] friends.
own | has who what | +loves who what
  {who} had {what.a}[ that {who.he} [loved|liked] very much| and took {what.it} everywhere| of {who.his} own].
  ?!what.plural:{who} had {what.a}. It was {who.his} favorite [thing|thing in the world], and {who.he} [took
      it everywhere|kept it close| slept beside it|showed it to everyone|would not trade it for anything].
  what {who} loved most of all was {what.his}.
  {who.p} [grandma|grandpa|aunt|uncle] had given {who.him} {what.a}, and {who} [loved|liked] {what.it} [very
      much|dearly|a lot].
  {who} was [very |so |]proud of {what.his}[| and looked after {what.it} well|, and no wonder].
  of all the things in the world, {who} liked {what.his} best.
  {who} never went anywhere without {what.his}.
  ?!what.plural:{who} had just got {what.a} for {who.his} birthday. It was the [best|nicest|finest]
      [gift|present] ever.
go | | +at who where
  <one_day>, {who} [went|<ran>|{who.walked}] {where.to}[|?what: with {what.his}].
  <one_day>, {who} [went|set out|set off] {where.to}. {where.see}
  ?w.fine:the sun [was up|was shining|peeped out|shone] and {who} [went|<ran>] {where.to}[| to {d.fun}].
  ?w.wind:the wind was [blowing|strong|playful] that {w.time} when {who} went {where.to}. {where.see}
  ?w.wet:[it had rained|the rain had just stopped], and {who} went {where.to} [between the puddles|all the
      same|in boots].
  ?w.chilly:it was [cold|chilly|frosty] that {w.time}, but {who} went {where.to} anyway. {where.see}
  one [{w.weather} {w.time}|{w.time}], {who} was {where.in}. {where.see}
  it was a {w.weather} {w.time} and {who} wanted to {d.fun} {where.in}.
  [on|early on] [Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday], {who} went {where.to}. {where.see}
  {who} [could not wait|was eager|was excited] to [go|get] {where.to} that {w.time}. {where.see}
go_both | | +at who where; +at whom where
  <one_day>, {both} went {where.to}. {where.see}
  <one_day>, {both} [met|were playing] {where.in}. They wanted to {d.fun}.
  it was a {w.weather} {w.time} when {both} [<ran>|went|set off] {where.to}.
  {both} [met|were] {where.in} that {w.time}. {where.see}
  one {w.time}, {both} [decided|agreed|planned] to {d.fun} {where.in}.
play | |
  {who} [began|started] to {d.fun}[| and hummed a tune| and forgot the time].
  at first, {who} [was happy to|just wanted to] {d.fun}.
  {who} [liked|loved] to {d.fun}, and that is [just |exactly |]what {who.he} did.
play_both | |
  {both} [began|started] to {d.fun}[| and laughed out loud| and forgot the time].
  they [liked|loved] to {d.fun}, and [there was a lot of laughing|time flew by|the {w.time} went by fast].
  first, they [wanted|decided] to {d.fun}, and that was <fun>.
meet | | +known whom
  <then>, {whom} came [by|along|around the corner].
  <soon>, {who} met {whom.o}.
  on the way, {who} [met|saw|came across] {whom.o}.
  just then, {whom} [looked over|came closer|appeared].
notice | |
  {whom} [saw|noticed] that {who} was [<sad>|not smiling|very quiet]. "[What is wrong|What is the matter|Why
      are you so sad|What happened|Why the long face], {who.call}?" {whom.he} asked.
  "[What is wrong|What is the matter|Why do you look so sad|What happened], {who.call}?" asked {whom.N}.
  {whom} [stopped|came closer|sat down beside {who.o}] and asked, "[Can I help you|Why are you crying|What is
      it, {who.call}| Did something happen|Is something wrong]?"
tell_trouble | |
  {who} told {whom.o} [everything|the whole story|all about it|what had happened].
  {who} [pointed|sniffed] and told {whom.o} [the whole story|everything|all about it].
  with a [small|shaky|quiet] voice, {who} [told|explained] what had happened.
ask_help | |
  {who} went to {whom.o}. "[Please help me,|Can you help me?|Will you help me?|I need your help,]" {who.he}
      [said|begged].
  {who} [<ran>|hurried|went] to find {whom.o} and asked for help.
  there was only one who could help. {who} [<ran>|hurried] to {whom.o} and [told|explained] what had happened.
offer_help | |
  {whom} [nodded|smiled]. "[Do not worry|Do not cry|Cheer up|Never fear], {who.call}. [I will help you|We will
      do it together| Two are better than one|We can do this|Let me help]."
  "I [will|can] help you," {whom} <said_kind>. "[Two heads are better than one|Together we can do it|That is
      what friends are for|It will not take long]."
  "<of_course>," {whom} <said_kind>. "[Let us do it together|I would love to help|Show me|Come with me]."
  {whom} wanted to help [right away|at once|very much], and {whom.he} [had an idea|knew what to do|made a
      plan].
  "Dry your tears," {whom} <said_kind>. "[I know what to do|We will find a way|There is always a way]."
thank | | +thanked whom
  "<thanks>, {whom.call}," {who} <said_happy>.
  {who} thanked {whom.o} [again and again|with a big hug|from the bottom of {who.his} heart|three times].
  {who} [hugged|beamed at] {whom.o}. "<thanks>, {whom.call}. [You are so kind|You saved the day|I could not
      have done it alone|You are the best|I will never forget this]."
  "You are [so kind|a real friend|wonderful|the best], {whom.call}," {who} <said_happy>.
  "[How can I thank you|What would I do without you], {whom.call}?" asked {who.N}. "[No need|It was
      nothing|Your smile is enough|I was glad to help]," {whom} <said_kind>.
happy | | +feels who happy
  {who} was <happy>. <heart_jumps>.
  {who} felt <happy>[| again| and light as a feather| and danced around].
  <heart_jumps>, and {who} [sang|hummed|whistled] all the way home.
  how [happy|glad] {who} was.
sad | | +feels who sad
  {who} was <sad>. <tears>.
  {who} felt <very> <sad>, and <tears>.
  <heart_sinks>, and {who} [began|started] to cry.
  <tears>. "[This is the worst day,|What now?|What shall I do?|This is not fair,]" {who.he} <said_sad>.
  {who} sat down [on the ground|on a stone|in a corner] and felt <sad>.
home | | +home who
  in the evening, {who} [went|{who.walked}] home, <tired> but <happy>.
  {who} went home with a [big |warm |]smile.
  when the [moon came up|stars came out|sun went down], {who} [went home|lay down to sleep|curled up in bed]
      and [smiled|was happy].
  that night, {who} [slept well|had sweet dreams|fell asleep with a smile].
  {who} told everyone at home [about it|about {who.his} day|the whole story].
learned | |
  {who} [had learned|learned|understood|now knew] that {w.lesson}.
  <from_then>, {who} [always remembered|never forgot|knew] that {w.lesson}.
  and {who} [thought|said to {who.self}], "[Now I know|I will remember] that {w.lesson}."
  {who} [told|wrote to|said to] {who.his} [family|grandma|friends] that {w.lesson}.
  that day, {who} found out that {w.lesson}.
moral | |
  [The moral of the story|The lesson] is that {w.lesson}.
  [Remember|You see], {w.lesson}.
  and that is how {who} [learned|found out|came to know] that {w.lesson}.
the_end | |
  the end.
  and they all lived happily [ever after|for a long, long time].
  and that was a good day.
  it was a day to remember.
friends | | +friends who whom
  <from_then>, {both} were [the best of|good|even better|close] friends.
  {both} stayed friends [forever|for the rest of their lives|for many years].
  and {both} [played|laughed] together [<all_day>|every day after that].
hug | |
  {whom} gave {who.o} a [big|long|warm|tight] hug.
  {who} and {whom} hugged [each other |]for a long time.
  {whom} [held|hugged|squeezed] {who.o} tight.
""")
