"""Events of borrowing and giving away, of first rides, of guests and of what is outgrown."""

from rules import read_rules

FOURTH = read_rules("""
need_tool | | +wants who what
  {who} wanted to {d.work}, but for that one needs {what.a}. "[Where can I get one|Who has such a thing]?"
      {who.he} asked.
  that {any.day}, {who} had a plan. {who.he} wanted to {d.work}. All that was missing was {what.a}.
  "Today I will {d.work}," said {who.N}. But {who.he} looked everywhere and could not find {what.a}.
borrow | has whom what; wants who what | -has whom what; +has who what; +borrowed who what
  {who} went to {whom.o}. "May I borrow your {what.noun}, {whom.call}?" {who.he} asked. "Yes," {whom.he} said.
      "But bring {what.it} back before [dark|dinner|{any.day}]."
  {whom} had just such a {what.noun}. "You may have {what.it} for a day, {who.call}," {whom.he} said. "[Take
      good care of {what.it}|I need {what.it} again tomorrow]."
  "I will lend you {what.the}, {who.call}," {whom} said. "[Bring {what.it} back clean|Do not leave {what.it}
      in the rain]." {who} [nodded|promised it|crossed {who.his} heart].
use_tool | borrowed who what | +worked who
  with {what.the}, the work was [easy|fun|soon done]. {who} could {d.work}, and {who.he} sang a song
      {any.song}.
  {who} worked until {who.his} [back|cheeks|arms] glowed. To {d.work} was a joy with such a {what.noun}.
  {any.number} hours went by like {any.number} minutes. {who} could really {d.work} now.
leave_out | borrowed who what; worked who | -has who what; +left_out what; +guilty who
  then somebody called {who.o} to play {any.game}. {what.the} stayed [in the grass|under the {any.tree}|on the
      steps], and in the night it rained.
  {who} was tired and went home. {who.he} forgot {what.the} [beside the path|in the wet grass|behind the
      shed].
  when {any.dish} was ready, {who} ran in and left {what.the} lying out there, all night long.
tool_spoiled | left_out what | +has who what; -left_out what; +spoiled what
  in the morning, {what.the} {what.was} [wet and dirty|full of mud|in a sad state]. {who} felt hot all over.
      "What will {whom.N} say?" {who.he} asked.
  the next day, {who} remembered. {who.he} ran out, but {what.the} {what.was} [dirty|wet|muddy] from end to
      end.
  "Where is my {what.noun}, {who.call}?" asked {whom.N} the next day. {who} ran out and found {what.the},
      [wet|dirty|full of mud].
hide_tool | spoiled what |
  {who} thought of hiding {what.it}, or of saying that a {any.beast} had done it. But that would not be right.
  should {who.he} put {what.it} before the door and run away? {who} [thought about it|stood there for a long
      time].
clean_tool | spoiled what; guilty who | -spoiled what; +clean what
  then {who} got water, a brush and a cloth. {who.he} [scrubbed|rubbed] and polished, until {what.the} shone
      like {any.fruit} in the sun.
  {who} sat down and [cleaned|washed] {what.the}, every corner of {what.it}. It took {any.number} hours, and
      {who.he} missed a game of {any.game}.
give_back | clean what; has who what | -has who what; +has whom what; -guilty who; +feels who proud
  "Here is your {what.noun}, {whom.call}," said {who.N}. "I left {what.it} out in the rain. I am sorry. I have
      cleaned {what.it}."
  {who} went to {whom.o} and told {whom.o} everything. Then {who.he} gave back {what.the}, and {what.they}
      shone.
lend_again | has whom what |
  {whom} turned {what.the} around. "{what.they} never looked so good, {who.call}," {whom.he} said. "You can
      borrow {what.it} any time."
  "Anybody can forget something," said {whom.N}. "Not everybody makes it good again, {who.call}." And
      {whom.he} gave {who.o} {any.sweet}.
outgrown | has who what | +outgrown who what
  {who} had {what.a}. {who.he} had got {what.it} when {who.he} was very small, and now {what.they} {what.was}
      much too small.
  in {who.p} room stood {what.a} with {any.number} little stains, for {who.he} had had {what.it} for so long.
      But {who.he} had grown, and {what.the} had not.
  every year, {who} got a bit bigger, and {what.his} {what.was} as small as ever. "{what.they} {what.is} for
      little ones now," said {helper}.
needs_one | outgrown who what | +needs whom what
  next door lived {whom}, who was {any.virtue} and much smaller. {whom.he} had no {what.noun} and had always
      wanted one.
  one {w.weather} {any.day}, {who} met {whom.o}. "I wish I had a {what.noun}," said {whom.N} and drew one in
      the sand.
  then {who} saw {whom}, the smallest of the neighbors. {whom.he} was playing with a cardboard box. "This is
      my {what.noun}," {whom.he} said.
will_not | outgrown who what; needs whom what | +selfish who
  "You could give yours away, {who.call}," said {helper}. "Never," said {who.N}. "{what.they} {what.is} mine,
      and {what.they} {what.is} full of memories."
  {who} looked at {what.his}. {who.he} had [laughed|cried|dreamed] with {what.it}. Give {what.it} away? No.
  {who} thought of it for a moment. But when {who.he} saw {what.the} again, {who.he} could not part with
      {what.it}.
remember_small | selfish who |
  that night, {who} remembered the {any.day} when {who.he} had got {what.it}. How {who.he} had jumped for joy.
      Somebody had given {what.it} to {who.him}, too.
  "Do you remember who gave you {what.the}, {who.call}?" asked {helper.N}. {who} did. It had been a bigger
      child, with a smile.
  {who} sat down beside {what.the}. Nobody had used {what.it} for months. There was dust on {what.it}, and
      {any.find}.
make_ready | selfish who; has who what | -selfish who; +ready what
  ?what.hard:the next morning, {who} washed {what.the} and painted {what.it} {any.color}, with {any.pattern}.
  {who} wiped off the dust, tied a {any.color} ribbon around {what.it}, and [whistled|hummed] a song
      {any.song}.
give_away | ready what; has who what | -has who what; +has whom what; +feels whom happy
  then {who} brought {what.it} to {whom.o}. "{what.they} {what.is} yours now, {whom.call}," {who.he} said.
      {whom} could not say a word for joy.
  "This is for you, {whom.call}," said {who.N}. {whom.p} eyes grew as round as {any.fruit}. "For me? For
      ever?" {whom.he} asked.
see_joy | has whom what | +feels who happy
  from the window, {who} could see how {whom.N} [laughed|beamed] and showed the {what.noun} to every
      {any.beast}. It was a bit sad, and very beautiful.
  {whom} named the {what.noun} {d.name} and would not let go of it. {who} felt bigger than ever before.
  on {any.day}s, {who} and {whom.N} met beside the {what.noun}, for the big one knew all the tricks.
""")

MORE_FOURTH = """
meet
  {who} looked up. There was {whom}, with {any.find} in one {whom.hand}.
"""
