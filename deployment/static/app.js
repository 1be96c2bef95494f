// The page: what the reader does, and what becomes of it.
//
// One object, `now`, is everything there is to know of the story on the page; render() shows it. The page
// is always in one of four modes: start (a beginning is being written), telling, reading, editing.

import * as beginnings from "./beginnings.js";
import { Place, get, keepDraft, lastDraft } from "./keeping.js";
import { announce, explain, notice, renderPage, renderWhileTyping } from "./look.js";
import { Growing, offsetAt } from "./paper.js";
import * as shelf from "./shelf.js";
import * as taking from "./taking.js";
import { ask, tell } from "./telling.js";

const $ = (id) => document.getElementById(id);
const SAVE_AFTER = 800; // milliseconds after the last key
const REMEMBER_AFTER = 500; // milliseconds, while a story is being told
const TRY_AGAIN_AFTER = 5000; // milliseconds, where the server does not answer

const blank = () => ({
  mode: "start",
  text: "",
  base: null, // what the last telling went on from
  takes: [], // the tellings from there: { text, reason }
  take: 0, // which of them is shown
  cut: false, // it is longer than the model's context, and the reader said: go on from its last part
  speed: "",
  saving: "",
  place: new Place(),
});

let now = blank();
let begun = ""; // a beginning that was typed and not told yet: it is there again with the next new story
let telling = null; // { stop, ended } while a story is being told
let following = true; // the page scrolls along with the story
let saveTimer = null, rememberTimer = null;

const render = () => renderPage(now);
const countWords = (text) => text.trim().split(/\s+/).length;
const toTheEnd = () => window.scrollTo(0, document.documentElement.scrollHeight);

// ---- keeping

const chosenLength = () => document.querySelector("input[name=length]:checked").value;

// The draft: what a reload brings back.
function remember() {
  clearTimeout(rememberTimer);
  rememberTimer = null;
  if (now.mode === "start") begun = now.text;
  const { text, base, takes, take, cut, speed } = now;
  const mode = now.mode === "telling" ? "reading" : now.mode;
  const settings = { voice: $("voice").value, length: chosenLength() };
  keepDraft({ mode, text, base, takes, take, cut, speed, place: now.place.known(), begun, ...settings });
}

// The reader or the model has changed the text.
function setText(text) {
  now.text = text;
  const take = now.takes[now.take];
  if (take && take.text.trimEnd() !== text.trimEnd()) take.reason = null; // it ends differently now
  if (take) take.text = text;
}

function saveSoon(after = SAVE_AFTER) {
  clearTimeout(saveTimer);
  saveTimer = setTimeout(save, after);
}

// Puts the story on the shelf. Resolves with whether it is there now.
async function save(more) {
  clearTimeout(saveTimer);
  const story = now; // when the save has ended, another story may be on the page
  if (story.mode === "start" || !story.text.trim() || story.place.isSaved(story.text)) return true;
  let saved = true;
  try {
    const how = await story.place.save(story.text, more);
    story.saving = { saved: "kept on the shelf", copied: "changed in another window, too: this is a copy" }[how];
    shelf.refresh();
  } catch (error) {
    saved = false;
    const why = error.code === "away" ? "not on the shelf yet: the server is away" : `not kept: ${error.message}`;
    story.saving = why;
    if (story === now && error.code === "away") saveSoon(TRY_AGAIN_AFTER);
  }
  if (story === now) {
    renderWhileTyping(now);
    remember();
  }
  return saved;
}

// ---- telling

async function whatIsWanted(base) {
  const wanted = { prompt: base, temperature: Number($("voice").value) };
  if (chosenLength() !== "all") wanted.max_tokens = Number(chosenLength());
  if (now.cut) {
    const { context } = await (await ask("GET", "/health")).json();
    wanted.truncate_prompt_tokens = Math.floor(context / 2);
  }
  return wanted;
}

// The tellings that stay within reach while another begins: those from the same base, or the text as it
// stands, where the new one starts before its end.
function takesToKeep(base, again) {
  if (again) return now.takes;
  const leavesOut = now.mode !== "start" && !base.startsWith(now.text.trimEnd());
  return leavesOut ? [{ text: now.text, reason: null }] : [];
}

// Tells on from `base`. `again`: another telling from the same base; `aside`: a typed beginning to keep.
async function tellFrom(base, again = false, aside = now.mode === "start" ? "" : begun) {
  if (telling || !base.trim()) return;
  clearTimeout(saveTimer);
  const before = { ...now };
  const takes = takesToKeep(base, again);
  Object.assign(now, { mode: "telling", base, text: base, speed: "", saving: "" });
  Object.assign(now, { takes: [...takes, { text: base, reason: null }], take: takes.length });
  const controller = new AbortController();
  let hasEnded;
  telling = { stop: () => controller.abort(), ended: new Promise((resolve) => (hasEnded = resolve)) };
  following = true;
  notice("");
  render();
  const growing = new Growing(base, () => following && toTheEnd());
  $("progress").textContent = "";
  const thinking = setTimeout(() => ($("progress").textContent = "The storyteller is thinking…"), 700);
  $("stop").focus({ preventScroll: true });
  announce("The storyteller begins.");
  let reason = "stopped", failure = null;
  try {
    const how = await tell(await whatIsWanted(base), controller.signal, (piece) => {
      clearTimeout(thinking);
      $("progress").textContent = "";
      setText(now.text + piece);
      growing.add(piece);
      rememberTimer ||= setTimeout(remember, REMEMBER_AFTER);
    });
    reason = how.reason;
    if (how.tokens > 5 && how.seconds > 0) now.speed = `${Math.round(how.tokens / how.seconds)} tokens/s`;
  } catch (error) {
    if (error.name !== "AbortError") failure = error;
  }
  clearTimeout(thinking);
  growing.finish();
  telling = null;
  if (now.text === base) nothingTold(before, base, again, reason, failure);
  else told(reason, failure, aside);
  hasEnded();
}

function told(reason, failure, aside) {
  const hadFocus = [$("stop"), document.body].includes(document.activeElement);
  now.takes[now.take].reason = reason;
  now.mode = "reading";
  begun = aside;
  render();
  if (following) toTheEnd();
  remember();
  save();
  if (hadFocus) $("tell").focus({ preventScroll: true });
  if (failure) return notice(explain(failure), "Go on", goOn);
  const said = { stop: "The story has ended", length: "The storyteller pauses" }[reason] ?? "Stopped";
  announce(`${said}, after ${countWords(now.text)} words.`);
}

// Everything is as it was before; the reader learns why.
function nothingTold(before, base, again, reason, failure) {
  Object.assign(now, before);
  render();
  remember();
  (now.mode === "reading" ? $("tell") : $("pen")).focus({ preventScroll: true });
  if (failure?.code === "context_length_exceeded") {
    notice(explain(failure), "Go on from its last part", () => {
      now.cut = true;
      tellFrom(base, again);
    });
  } else if (failure) notice(explain(failure), "Try again", () => tellFrom(base, again));
  else if (reason !== "stop") announce("Stopped.");
  else if (!base.endsWith("\n")) tellFrom(base + paragraphBreak(base), again); // it sees an end there
  else notice("The storyteller finds that the story ends here. Add some words of your own, and it goes on.");
}

// The text as the model is given it: a piece brings its own space along.
const trimmed = (text) => text.replace(/[^\S\n]+$/, "").replace(/\n{3,}$/, "\n\n");

// A finished story goes on in a new paragraph, marked as this story marks them.
const paragraphBreak = (text) => (text.includes("\n\n") ? "\n\n" : "\n");

function goOn() {
  if (!now.text.trim()) return $("pen").focus();
  const ended = now.takes[now.take]?.reason === "stop";
  tellFrom(trimmed(now.text) + (ended && !now.text.endsWith("\n") ? paragraphBreak(now.text) : ""));
}

const goOnFromCursor = () => tellFrom(trimmed(now.text.slice(0, $("pen").selectionStart)));

function surprise() {
  const typed = now.text;
  now.text = beginnings.surprise();
  tellFrom(now.text, false, typed);
}

function showTake(step) {
  now.take = Math.min(Math.max(now.take + step, 0), now.takes.length - 1);
  now.text = now.takes[now.take].text;
  now.saving = "";
  render();
  remember();
  saveSoon();
  announce(`Telling ${now.take + 1} of ${now.takes.length}.`);
}

// ---- editing

function edit(offset = now.text.length) {
  const clicked = offset !== now.text.length;
  now.mode = "editing";
  render();
  $("pen").focus({ preventScroll: clicked });
  $("pen").setSelectionRange(offset, offset);
  renderWhileTyping(now);
}

function doneEditing() {
  if (!now.text.trim()) return startAnew();
  now.mode = "reading";
  render();
  remember();
  save();
  $("edit").focus({ preventScroll: true });
}

// ---- another story

// Ends what is being told and saves. Resolves with true where the page may show another story.
async function leave(then) {
  if (telling) {
    telling.stop();
    await telling.ended;
  }
  if (await save()) return true;
  notice("This story is not on the shelf yet: the server does not answer.", "Leave it all the same", then);
  return false;
}

async function newStory() {
  if (await leave(startAnew)) startAnew();
}

function startAnew() {
  now = blank();
  now.text = begun;
  beginnings.offer(choose);
  notice("");
  render();
  remember();
  window.scrollTo(0, 0);
  $("pen").focus();
}

// Typed in for the reader, so that Ctrl+Z brings back what was there.
function choose(beginning) {
  $("pen").focus();
  $("pen").select();
  if (!document.execCommand("insertText", false, beginning)) $("pen").value = beginning;
  setText(beginning);
  renderWhileTyping(now);
  remember();
}

async function openStory(id) {
  if (now.place.id !== id && (await leave(() => showStory(id)))) showStory(id);
}

async function showStory(id) {
  try {
    const story = await get(id);
    now = { ...blank(), mode: "reading", text: story.text };
    now.place.adopt(story);
    notice("");
    render();
    remember();
    window.scrollTo(0, 0);
    $("main").focus({ preventScroll: true });
    announce(`Opened “${story.title}”.`);
  } catch (error) {
    notice(explain(error), "Try again", () => showStory(id));
  }
}

// ---- the reader's hands

function listen() {
  const clicks = {
    tell: goOn, stop: () => telling?.stop(), again: () => tellFrom(now.base, true), surprise,
    edit: () => edit(), done: doneEditing, earlier: () => showTake(-1), later: () => showTake(1),
    "from-cursor": goOnFromCursor, new: newStory, copy,
    download: () => taking.download(now.place.title || "A story", now.text.trim()),
  };
  for (const [id, action] of Object.entries(clicks)) $(id).addEventListener("click", action);
  $("pen").addEventListener("input", () => {
    setText($("pen").value);
    now.saving = "";
    renderWhileTyping(now);
    remember();
    if (now.mode === "editing") saveSoon();
  });
  document.addEventListener("selectionchange", () => now.mode === "editing" && renderWhileTyping(now));
  $("title").addEventListener("input", () => {
    now.place.title = $("title").value;
    now.place.titled = $("title").value.trim() !== "";
    remember();
    saveSoon();
  });
  $("title").addEventListener("blur", () => renderWhileTyping(now));
  $("settings").addEventListener("input", remember);
  $("paper").addEventListener("click", (event) => {
    const selecting = !document.getSelection().isCollapsed, mouse = matchMedia("(pointer: fine)").matches;
    if (now.mode === "reading" && mouse && !selecting) edit(offsetAt(event.clientX, event.clientY) ?? undefined);
  });
  document.addEventListener("keydown", keys);
  const lookAway = () => (following = false);
  addEventListener("wheel", (event) => event.deltaY < 0 && lookAway(), { passive: true });
  addEventListener("touchmove", lookAway, { passive: true });
  addEventListener("scroll", () => {
    const below = document.documentElement.scrollHeight - innerHeight - scrollY;
    if (below < 40) following = true;
  }, { passive: true });
  addEventListener("pagehide", () => {
    remember();
    save({ keepalive: true });
  });
}

function keys(event) {
  if ($("shelf").open) return;
  const tellKey = event.key === "Enter" && (event.ctrlKey || event.metaKey);
  if (tellKey && event.shiftKey && now.mode === "editing") goOnFromCursor();
  else if (tellKey && now.mode !== "telling") goOn();
  else if (event.key === "Enter" && event.target === $("title")) $("title").blur();
  else if (event.key === "Escape" && now.mode === "telling") telling.stop();
  else if (event.key === "Escape" && now.mode === "editing") doneEditing();
  else return;
  event.preventDefault();
}

async function copy() {
  await taking.copy(now.text.trim());
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 2000);
  announce("Copied.");
}

// ---- the beginning of a visit

// A reload finds everything as it was. A new tab begins anew, unless something is not on the shelf yet.
function restore({ draft, here }) {
  if (!draft) return;
  $("voice").value = draft.voice;
  document.querySelectorAll("input[name=length]").forEach((input) => (input.checked = input.value === draft.length));
  begun = draft.begun;
  now.text = begun;
  const { mode, text, base, takes, take, cut, speed } = draft;
  const place = new Place(draft.place);
  if (mode !== "start" && (here || !place.isSaved(text))) {
    Object.assign(now, { mode, text, base, takes, take, cut, speed, place });
  }
}

// The restored story may have changed on the shelf meanwhile, or be gone from it.
async function meetTheShelf() {
  const story = now;
  try {
    if (story.place.id !== null) {
      const kept = await get(story.place.id);
      if (story !== now || telling) return;
      if (kept.version !== story.place.version && story.place.isSaved(story.text)) return showStory(kept.id);
    }
    if (story.place.isSaved(story.text)) story.saving = "kept on the shelf";
  } catch (error) {
    if (error.code === "not_found") story.place.forget();
  }
  renderWhileTyping(now);
  save();
}

try {
  restore(lastDraft());
} catch { // a draft of another version of this page
  now = blank();
}
listen();
shelf.setUp({
  open: openStory,
  beforeRemove: async (id) => {
    if (now.place.id !== id) return;
    telling?.stop();
    await telling?.ended;
    await now.place.last;
  },
  removed: (id) => now.place.id === id && startAnew(),
});
beginnings.offer(choose);
render();
if (now.mode === "start") $("pen").focus();
else meetTheShelf();
