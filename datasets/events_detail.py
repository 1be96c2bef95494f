"""Small things by the way: what somebody looks like, what lies along a path, what is heard, eaten, sung and said.

They need and change nothing; they make a story's world dense.
"""

from rules import read_rules

DETAILS = read_rules("""
look | |
  ?who.child:{who} had {any.length} {any.hair} hair and [often|always|usually] wore a {any.color}
      {any.garment}[| with {any.pattern}].
  ?who.child:{who.Np} {any.garment} was {any.color}, and {who.his} {any.footwear} were {any.color}[| with
      {any.pattern} on them].
  ?who.child:{who} [liked|loved] bright colors. Even {who.his} {any.footwear} were {any.color} and
      {any.color}.
  ?who.child:{who} had {any.number} freckles on {who.his} nose and a {any.color} {any.garment} with
      {any.number} pockets.
  ?who.child:in {who.his} pocket, {who} always carried {any.find} and {any.find}.
  ?who.child:one day {who} wanted to be a {any.job}, and the next day a {any.job}.
  ?who.child:{who} could sing a song {any.song} and knew a story {any.story}.
  ?who.child:{who} was {any.age} years old and [very |quite |]{any.virtue}[| for {who.his} age]. {who.he} was
      good at {any.game}.
  ?who.child:{who} was born in {any.month}, and {who.his} favorite food was {any.dish}.
  ?who.child:{who} was [known|liked] for being {any.virtue} and {any.virtue}.
  ?!who.child:{who} was [known|liked] everywhere for being {any.virtue} and {any.virtue}.
  ?!who.child:{who} knew a song {any.song} and another one {any.song}.
  ?!who.child:everyone said that {who} was {any.virtue} and {any.virtue}.
  ?!who.child:the neighbors liked {who.o}, [because|for] {who.he} was always {any.virtue}. {who.he} could tell
      a story {any.story}, too.
  ?!who.child:{who} was {any.virtue} and {any.virtue}[, and a good friend|, and fond of {any.fruit}|, and not
      afraid of work].
  ?who.holds:{who} kept {any.find}, {any.find} and {any.find} in a [secret |small |hollow |]box.
  ?who.holds:{who} wore a [little |tiny |]{any.color} [scarf|cap|ribbon|vest|bow tie] [on {any.day}s|all year
      long|when it was cold|with {any.pattern}].
path | |
  on the way, {who} passed the {any.state} {any.building} and [saw|counted|met] {any.number}
      [ducks|crows|cats|geese|sheep|hens].
  {who} [passed|went by] the {any.building} and the {any.state} {any.building}, where a {any.color}
      {any.beast} {any.doing}.
  behind the {any.state} {any.building}, a {any.beast} {any.doing}.
  a {any.bird} {any.birdsong} in the {any.tree}, and the air smelled of {any.smell}.
  ?!w.wet:the sky was {any.sky}, and one cloud looked like {any.cloud}.
  ?!w.wet:one cloud looked like {any.cloud}, another one like {any.cloud}. The air was {any.feel} and smelled
      of {any.smell}.
  {who} had {any.snack} along[| and {any.snack}], just in case.
  {any.flowers} and {any.flowers} were in bloom, and it smelled of {any.smell}.
  along the way, {who} found {any.find}. [It went into the pocket|What luck|A good sign, {who.he} thought].
  it was {any.day}, and the air was {any.feel}. A {any.bird} {any.birdsong}.
  {who} hummed a song {any.song} and picked a {any.color} {any.flower}.
  under the {any.tree}, a {any.color} {any.beast} {any.doing}.
  that {any.day} in {w.month}, the wind was {any.feel} and everything smelled of {any.smell}.
ambient | |
  a {any.color} {any.bug} [crawled|crept|came] over a [leaf|stone|blade of grass|twig] and [stopped|went
      on|turned back|rested].
  somewhere, a {any.bird} {any.birdsong}.
  a {any.bird} {any.birdsong} and a {any.beast} {any.doing}.
  above, a cloud like {any.cloud} [passed|sailed by|stood still|slowly changed into {any.cloud}].
  it smelled of {any.smell}, and a {any.bird} {any.birdsong}.
  a {any.color} {any.flower} [nodded|swayed|shook] in the [wind|breeze].
  a {any.bug} [buzzed|hummed|wandered] by, and the wind smelled of {any.smell}.
  the {any.tree} [rustled|sighed|stood still], and [a leaf|a seed|something light] came floating down.
ambient_in | |
  [outside|beyond the window], a {any.bird} {any.birdsong}.
  from somewhere came the smell of {any.dish} and {any.smell}.
  a {any.color} {any.bug} [crawled|crept] along the [wall|window|edge of the table].
  [outside|in the street], somebody [sang|whistled] a song {any.song}.
  through the window, one could see a cloud like {any.cloud}.
  [outside|on the roof], a {any.beast} {any.doing}.
feast | |
  [that evening|later], [they all|everyone] had {any.dish}, {any.dish} and {any.drink}.
  they [celebrated|made a feast] with {any.dish} and {any.drink}, and somebody sang a song {any.song}.
  to celebrate, they had {any.dish} and {any.dish}, and for each one {any.sweet}.
  afterward, there was {any.sweet} for {who.N} and {any.sweet} for everyone else.
  [later|afterward], they played {any.game} and {any.game} until it was time for {any.dish}.
  when they got hungry, they shared {any.snack} and {any.snack}.
  that night, {who} had {any.dish} for dinner and heard a story {any.story}.
  before bed, {who} heard a story {any.story} and drank {any.drink}.
  they sat under the {any.tree}, ate {any.dish}, and drank {any.drink}.
""")
