// The page: what the reader does, and what becomes of it.
//
// One object, `now`, is everything there is to know of the story on the page; render() shows it. The page
// is always in one of four modes: start (a beginning is being written), telling, reading, editing.

import { some } from "./beginnings.js";
import { Place, get, keepDraft, lastDraft } from "./keeping.js";
import { announce, explain, notice, renderPage, renderWhileTyping } from "./look.js";
import { Growing, offsetAt } from "./paper.js";
import * as shelf from "./shelf.js";
import { ask, tell } from "./telling.js";

const $ = (id) => document.getElementById(id);
const SAVE_AFTER = 800; // milliseconds after the last key
const TRY_AGAIN_AFTER = 5000; // milliseconds, where the server does not answer

const blank = () => ({
  mode: "start",
  text: "",
  base: null, // what the last telling went on from
  takes: [], // the tellings from there: { text, reason }
  take: 0, // which of them is shown
  cut: false, // the story is longer than the model's context, and the reader said: go on from its last part
  speed: "",
  saving: "",
  place: new Place(),
});

let now = blank();
let begun = ""; // a beginning that was typed and not told yet: it is there again with the next new story
let stopTelling = null; // while a story is being told: ends it
let following = true; // the page scrolls along with the story
let saveTimer = null;

const render = () => renderPage(now);
const words = (text) => text.trim().split(/\s+/).length;

// ---- keeping

function remember() {
  if (now.mode === "start") begun = now.text;
  const { text, base, takes, take, cut, speed } = now;
  const mode = now.mode === "telling" ? "reading" : now.mode;
  keepDraft({ mode, text, base, takes, take, cut, speed, place: now.place.known(), begun, ...settings() });
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
    story.saving = error.code === "away" ? "not on the shelf yet: the server is away" : `not kept: ${error.message}`;
    if (story === now && error.code === "away") saveSoon(TRY_AGAIN_AFTER);
  }
  if (story === now) {
    renderWhileTyping(now);
    remember();
  }
  return saved;
}

// ---- telling

const chosenLength = () => document.querySelector("input[name=length]:checked").value;
const settings = () => ({ voice: $("voice").value, length: chosenLength() });

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
  return now.mode !== "start" && !base.startsWith(now.text.trimEnd()) ? [{ text: now.text, reason: null }] : [];
}

// Tells on from `base`; `again`: another telling from the same base.
async function tellFrom(base, again = false) {
  if (stopTelling || !base.trim()) return;
  clearTimeout(saveTimer);
  const before = { ...now };
  const takes = takesToKeep(base, again);
  Object.assign(now, { mode: "telling", base, text: base, takes: [...takes, { text: base, reason: null }], take: takes.length });
  const controller = new AbortController();
  stopTelling = () => controller.abort();
  following = true;
  notice("");
  render();
  const growing = new Growing(base);
  const thinking = setTimeout(() => ($("progress").textContent = "The storyteller is thinking…"), 700);
  $("progress").textContent = "";
  $("stop").focus({ preventScroll: true });
  announce("The storyteller begins.");
  let reason = "stopped", failure = null;
  try {
    const told = await tell(await whatIsWanted(base), controller.signal, (piece) => {
      clearTimeout(thinking);
      $("progress").textContent = "";
      setText(now.text + piece);
      growing.add(piece);
      remember();
      if (following) window.scrollTo(0, document.documentElement.scrollHeight);
    });
    reason = told.reason;
    now.speed = told.tokens > 5 && told.seconds > 0 ? `${Math.round(told.tokens / told.seconds)} tokens/s` : "";
  } catch (error) {
    if (error.name !== "AbortError") failure = error;
  }
  clearTimeout(thinking);
  stopTelling = null;
  if (now.text === base) return nothingTold(before, base, again, reason, failure);
  growing.flush();
  told(reason, failure);
}

function told(reason, failure) {
  const hadFocus = [$("stop"), document.body].includes(document.activeElement);
  now.takes[now.take].reason = reason;
  now.mode = "reading";
  begun = "";
  render();
  if (following) window.scrollTo(0, document.documentElement.scrollHeight);
  remember();
  save();
  if (hadFocus) $("tell").focus({ preventScroll: true });
  if (failure) return notice(explain(failure), "Go on", goOn);
  const said = { stop: "The story has ended", length: "The storyteller pauses" }[reason] ?? "Stopped";
  announce(`${said}, after ${words(now.text)} words.`);
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
  else if (reason === "stop" && !base.endsWith("\n")) tellFrom(`${base}\n\n`, again); // it saw an end: a new paragraph
  else if (reason === "stop") notice("The storyteller finds that the story ends here. Add some words, and it goes on.");
  else announce("Stopped.");
}

// The text as the model is given it: it brings its own space along.
const trimmed = (text) => text.replace(/[^\S\n]+$/, "").replace(/\n{3,}$/, "\n\n");

function goOn() {
  const ended = now.takes[now.take]?.reason === "stop";
  if (!now.text.trim()) return $("pen").focus();
  tellFrom(trimmed(now.text) + (ended && !now.text.endsWith("\n") ? "\n\n" : ""));
}

const goOnFromCursor = () => tellFrom(trimmed(now.text.slice(0, $("pen").selectionStart)));

function showTake(step) {
  now.take = Math.min(Math.max(now.take + step, 0), now.takes.length - 1);
  now.text = now.takes[now.take].text;
  render();
  remember();
  saveSoon();
  announce(`Telling ${now.take + 1} of ${now.takes.length}.`);
}

// ---- editing

function edit(offset = null) {
  now.mode = "editing";
  render();
  $("pen").focus({ preventScroll: offset !== null });
  $("pen").setSelectionRange(offset ?? now.text.length, offset ?? now.text.length);
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

// Resolves with true where the story on the page may be left: it is on the shelf, or the reader says so.
async function leave(then) {
  stopTelling?.();
  if (await save()) return true;
  notice("This story is not on the shelf yet: the server does not answer. Copy it, or wait a little.", "Leave it all the same", then);
  return false;
}

async function newStory() {
  if (await leave(startAnew)) startAnew();
}

function startAnew() {
  now = blank();
  now.text = begun;
  offerBeginnings();
  notice("");
  render();
  remember();
  window.scrollTo(0, 0);
  $("pen").focus();
}

async function openStory(id) {
  const show = async () => {
    try {
      const story = await get(id);
      now = { ...blank(), mode: "reading", text: story.text, place: new Place() };
      now.place.take(story, story.titled ? story.title : null);
      now.place.title = story.title;
      now.place.titled = story.titled;
      notice("");
      render();
      remember();
      window.scrollTo(0, 0);
      $("main").focus({ preventScroll: true });
      announce(`Opened “${story.title}”.`);
    } catch (error) {
      notice(explain(error), "Try again", show);
    }
  };
  if (now.place.id !== id && (await leave(show))) show();
}

function offerBeginnings() {
  $("beginning-list").replaceChildren(...some(4).map((beginning) => {
    const item = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    button.className = "beginning";
    button.textContent = beginning;
    button.addEventListener("click", () => {
      now.text = beginning;
      render();
      remember();
      $("pen").focus();
      $("pen").setSelectionRange(beginning.length, beginning.length);
    });
    item.append(button);
    return item;
  }));
}

function surprise() {
  [now.text] = some(1, [...document.querySelectorAll(".beginning")].map((button) => button.textContent));
  goOn();
}

// ---- taking a story along

const download = () => {
  const link = document.createElement("a");
  const title = now.place.title || "A story";
  link.href = URL.createObjectURL(new Blob([`${title}\n\n${now.text.trim()}\n`], { type: "text/plain;charset=utf-8" }));
  link.download = `${title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").toLowerCase() || "story"}.txt`;
  link.click();
  URL.revokeObjectURL(link.href);
  announce("Downloaded.");
};

async function copy() {
  try {
    await navigator.clipboard.writeText(now.text.trim());
  } catch { // not allowed, or not over a secure connection: the old way
    const area = document.createElement("textarea");
    area.value = now.text.trim();
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 2000);
  announce("Copied.");
}

// ---- the reader's hands

function listen() {
  const clicks = {
    tell: goOn, stop: () => stopTelling?.(), again: () => tellFrom(now.base, true), surprise, edit: () => edit(), done: doneEditing,
    earlier: () => showTake(-1), later: () => showTake(1), "from-cursor": goOnFromCursor, new: newStory, copy, download,
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
  for (const name of ["voice", "settings"]) $(name).addEventListener("input", remember);
  $("paper").addEventListener("click", (event) => {
    const selecting = !document.getSelection().isCollapsed, mouse = matchMedia("(pointer: fine)").matches;
    if (now.mode === "reading" && mouse && !selecting) edit(offsetAt(event.clientX, event.clientY));
  });
  document.addEventListener("keydown", (event) => {
    if ($("shelf").open) return;
    const tellKey = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (tellKey && event.shiftKey && now.mode === "editing") goOnFromCursor();
    else if (tellKey && now.mode !== "telling") goOn();
    else if (event.key === "Escape" && now.mode === "telling") stopTelling?.();
    else if (event.key === "Escape" && now.mode === "editing") doneEditing();
    else return;
    event.preventDefault();
  });
  const away = () => (following = false);
  addEventListener("wheel", (event) => event.deltaY < 0 && away(), { passive: true });
  addEventListener("touchmove", away, { passive: true });
  addEventListener("scroll", () => {
    const below = document.documentElement.scrollHeight - innerHeight - scrollY;
    if (below < 40) following = true;
  }, { passive: true });
  addEventListener("pagehide", () => {
    remember();
    if (now.mode !== "start") save({ keepalive: true });
  });
}

function restore(draft) {
  if (!draft) return;
  $("voice").value = draft.voice;
  const length = document.querySelector(`input[name=length][value="${CSS.escape(draft.length)}"]`);
  if (length) length.checked = true;
  const { mode, text, base, takes, take, cut, speed } = draft;
  Object.assign(now, { mode, text, base, takes, take, cut, speed, place: new Place(draft.place) });
  begun = draft.begun;
}

try {
  restore(lastDraft());
} catch { // a draft of another version of this page
  now = blank();
}
listen();
shelf.setUp({
  open: openStory,
  beforeRemove: async (id) => now.place.id === id && now.place.last,
  removed: (id) => now.place.id === id && startAnew(),
});
offerBeginnings();
render();
if (now.mode === "start") $("pen").focus();
else save();
