// Beginnings to choose from. Each has a name and a thing or a trouble: a small model goes on best from those.

const BEGINNINGS = [
  "Once upon a time, a small owl named Pip was afraid of the dark.",
  "One rainy morning, Mia found a little blue door in the old oak tree.",
  "Tom had a red kite, and he loved it more than anything.",
  "Once there was a bear named Bruno who could not fall asleep.",
  "Lily and her brother Sam wanted to build a boat.",
  "There was once a tiny mouse who wanted to sing for the king.",
  "One day, a little girl named Nora lost her yellow mitten in the snow.",
  "A fox named Rusty found a shiny key in the garden.",
  "Ben had a big secret: there was a frog in his pocket.",
  "Once upon a time, there was a cat named Molly who did not like milk.",
  "On a windy day, Anna's hat flew away over the hill.",
  "Little Leo wanted to give his grandma the best present in the world.",
  "Two ducks named Dot and Dash lived by a quiet pond.",
  "Max was sad because his toy train was broken.",
  "Once upon a time, a baker named Rosa made a cake as big as a table.",
  "In the tall grass lived a snail named Otto, who was never in a hurry.",
  "One night, a little star fell into Emma's garden.",
  "Jack and Lucy heard a strange sound in the attic.",
  "A young rabbit named Clover had never seen the sea.",
  "Once there was a boy named Finn who asked questions all day long.",
];

// `count` of them in random order, none of which is in `without`.
function some(count, without = []) {
  const left = BEGINNINGS.filter((beginning) => !without.includes(beginning));
  const chosen = [];
  while (chosen.length < count && left.length) {
    chosen.push(...left.splice(Math.floor(Math.random() * left.length), 1));
  }
  return chosen;
}

// Four to choose from, as buttons in the page's list. choose(text) is what a click does.
export function offer(choose) {
  document.getElementById("beginning-list").replaceChildren(...some(4).map((beginning) => {
    const item = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    button.className = "beginning";
    button.textContent = beginning;
    button.addEventListener("click", () => choose(beginning));
    item.append(button);
    return item;
  }));
}

// One that is not on offer.
export function surprise() {
  return some(1, [...document.querySelectorAll(".beginning")].map((button) => button.textContent))[0];
}
