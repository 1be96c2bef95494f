// The shelf: a drawer with the saved stories, to open, to find and to remove them.

import * as keeping from "./keeping.js";

const $ = (id) => document.getElementById(id);
const FIND_FROM = 7; // with fewer stories, nobody needs to search
const UNDO_SECONDS = 12;

let stories = [];
let undo = null; // { id, timer }
let actions = {}; // open(id), removed(id): what the page does

function when(seconds) {
  const date = new Date(seconds * 1000), today = new Date();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const days = Math.round((new Date(today.toDateString()) - new Date(date.toDateString())) / 86400000);
  if (days === 0) return `today, ${time}`;
  if (days === 1) return `yesterday, ${time}`;
  return date.toLocaleDateString([], { day: "numeric", month: "long", year: "numeric" });
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function item(story) {
  const li = element("li");
  const open = element("button", "story");
  open.type = "button";
  open.append(element("span", "story-title", story.title), element("span", "story-start", story.start),
    element("span", "story-when", `${when(story.updated)} · ${story.words} words`));
  open.addEventListener("click", () => {
    $("shelf").close();
    actions.open(story.id);
  });
  const remove = element("button", "link remove", "Remove");
  remove.type = "button";
  remove.setAttribute("aria-label", `Remove “${story.title}”`);
  remove.addEventListener("click", () => removeStory(story));
  li.append(open, remove);
  return li;
}

function draw() {
  const wanted = $("find").value.trim().toLowerCase();
  const shown = stories.filter((story) => `${story.title} ${story.start}`.toLowerCase().includes(wanted));
  $("shelf-list").replaceChildren(...shown.map(item));
  $("find").hidden = stories.length < FIND_FROM;
  if (!stories.length) say("Nothing here yet. Every story that is told is kept here by itself.");
  else if (!shown.length) say(`No story with “${$("find").value.trim()}”.`);
  else say("");
  count();
}

function say(text) {
  $("shelf-note").textContent = text;
  $("shelf-note").hidden = !text;
}

function count() {
  $("shelf-count").textContent = stories.length;
  $("shelf-count").hidden = !stories.length;
}

// Asks the server what is on the shelf.
export async function refresh() {
  try {
    stories = (await keeping.list()).stories;
    draw();
  } catch {
    say("The shelf cannot be reached now. Nothing is lost; open it again in a moment.");
  }
}

async function removeStory(story) {
  const place = stories.indexOf(story);
  try {
    await actions.beforeRemove(story.id);
    await keeping.remove(story.id);
  } catch (error) {
    if (error.code !== "not_found") return say("This story could not be removed: the server does not answer.");
  }
  stories.splice(place, 1);
  draw();
  const next = $("shelf-list").children[Math.min(place, stories.length - 1)];
  (next?.querySelector(".remove") ?? $("close-shelf")).focus();
  actions.removed(story.id);
  $("undo-text").textContent = `Removed “${story.title}”.`;
  $("undo").hidden = false;
  clearTimeout(undo?.timer);
  undo = { id: story.id, timer: setTimeout(forget, UNDO_SECONDS * 1000) };
}

function forget() {
  clearTimeout(undo?.timer);
  undo = null;
  $("undo").hidden = true;
}

async function undoRemove() {
  const { id } = undo;
  forget();
  try {
    await keeping.restore(id);
  } catch {
    return say("This story could not be brought back now; it is kept for a day.");
  }
  await refresh();
}

export function setUp(what) {
  actions = what;
  $("open-shelf").addEventListener("click", async () => {
    $("find").value = "";
    $("shelf").showModal();
    await refresh();
  });
  $("close-shelf").addEventListener("click", () => $("shelf").close());
  $("shelf").addEventListener("close", forget);
  $("shelf").addEventListener("click", (event) => {
    if (event.target === $("shelf")) $("shelf").close(); // the backdrop
  });
  $("find").addEventListener("input", draw);
  $("undo-action").addEventListener("click", undoRemove);
  refresh();
}
