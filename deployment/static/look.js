// How the page looks, given what is: which parts are there, what the buttons say, what is announced.

import { fitPen, show } from "./paper.js";

const $ = (id) => document.getElementById(id);

// In which modes each part of the page is there.
const SHOWN = {
  invitation: ["start"],
  beginnings: ["start"],
  surprise: ["start"],
  settings: ["start", "reading", "editing"],
  pen: ["start", "editing"],
  paper: ["telling", "reading"],
  title: ["telling", "reading", "editing"],
  new: ["reading", "editing"],
  colophon: ["reading", "editing"],
  tell: ["start", "reading", "editing"],
  stop: ["telling"],
  progress: ["telling"],
  edit: ["reading"],
  done: ["editing"],
};

const TELL = { start: "Tell the story", reading: "Go on", editing: "Go on" };
const PEN = { start: "The beginning of your story", editing: "The text of the story" };

export function renderPage(now) {
  const reading = now.mode === "reading";
  document.body.dataset.mode = now.mode;
  for (const [id, modes] of Object.entries(SHOWN)) $(id).hidden = !modes.includes(now.mode);
  $("tell").textContent = TELL[now.mode] ?? "";
  $("pen").setAttribute("aria-label", PEN[now.mode] ?? PEN.editing);
  $("paper").setAttribute("aria-busy", String(now.mode === "telling"));
  $("ornament").hidden = !reading || now.takes[now.take]?.reason !== "stop";
  $("again").hidden = !reading || now.base === null;
  $("takes").hidden = !reading || now.takes.length < 2;
  $("which-take").textContent = `${now.take + 1} of ${now.takes.length}`;
  $("earlier").disabled = now.take === 0;
  $("later").disabled = now.take >= now.takes.length - 1;
  if (reading) show(now.text);
  if ($("pen").value !== now.text) $("pen").value = now.text;
  renderWhileTyping(now);
}

// What changes with every key.
export function renderWhileTyping(now) {
  const words = now.text.trim() ? now.text.trim().split(/\s+/).length : 0;
  $("facts").textContent = [`${words} words`, now.speed, now.saving].filter(Boolean).join(" · ");
  if (document.activeElement !== $("title")) $("title").value = now.place.title;
  const cursor = $("pen").selectionStart;
  const inside = now.text.slice(0, cursor).trim() && now.text.slice(cursor).trim();
  $("from-cursor").hidden = now.mode !== "editing" || !inside;
  document.title = now.mode !== "start" && now.place.title ? `${now.place.title} · The Storyteller` : "The Storyteller";
  if (!$("pen").hidden) fitPen();
}

// Said by a screen reader when it has time; never shown.
export function announce(text) {
  $("announcer").textContent = "";
  requestAnimationFrame(() => ($("announcer").textContent = text)); // so that the same words are said again
}

// A message over the buttons, with what can be done about it. "" takes it away.
export function notice(text, label = "", action = null) {
  $("notice").hidden = !text;
  $("notice-text").textContent = text;
  $("notice-action").hidden = !action;
  $("notice-action").textContent = label;
  $("notice-action").onclick = () => {
    notice("");
    action();
  };
}

const EXPLAINED = {
  away: "The storyteller cannot be reached. Your words are safe here.",
  broken: "The connection broke off. What was told so far is kept.",
  queue_full: "Many readers are listening right now. Your words are safe here; try again in a moment.",
  stopping: "The storyteller is going to sleep. What was told so far is kept.",
  context_length_exceeded: "The story has become longer than the storyteller can keep in mind.",
};

// An error in the reader's words.
export function explain(error) {
  return EXPLAINED[error.code] ?? `That did not work: ${error.message}.`;
}

// ---- light and dark: the system's, until the reader chooses

const dark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : dark.matches;
}

const showTheme = () => $("theme").setAttribute("aria-pressed", String(isDark()));

$("theme").addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("storyteller.theme", theme);
  } catch {
    // Storage may be switched off; then it holds until the page is closed.
  }
  showTheme();
});
dark.addEventListener("change", showTheme);
showTheme();
