// Keeping stories: on the server's shelf, and as a draft in this browser until they are there.

import { TellError, ask } from "./telling.js";

const DRAFT = "storyteller.draft";

// A draft is kept twice: for this tab (two tabs do not mix) and for the next visit.
export function keepDraft(draft) {
  try {
    const text = JSON.stringify(draft);
    sessionStorage.setItem(DRAFT, text);
    localStorage.setItem(DRAFT, text);
  } catch {
    // Storage is switched off or full: the shelf still has what was told.
  }
}

// { draft, here }: the last one, and whether it is this tab's own.
export function lastDraft() {
  try {
    const own = sessionStorage.getItem(DRAFT);
    return { draft: JSON.parse(own ?? localStorage.getItem(DRAFT)), here: own !== null };
  } catch {
    return { draft: null, here: false };
  }
}

// One story's place on the shelf. Saves follow one another, each with the version that the last one gave.
export class Place {
  constructor(known = {}) {
    Object.assign(this, { id: null, version: null, title: "", titled: false, saved: null }, known);
    this.last = Promise.resolve();
  }

  // What a draft remembers of it.
  known() {
    const { id, version, title, titled, saved } = this;
    return { id, version, title, titled, saved };
  }

  isSaved(text) {
    return this.saved === JSON.stringify([text, this.titled ? this.title : null]);
  }

  // Becomes the place of a story that the shelf has given.
  adopt(story) {
    this.title = story.title;
    this.titled = story.titled;
    this.take(story, story.titled ? story.title : null);
  }

  // The story has been removed: it comes back to the shelf, as a new one, when it is changed.
  forget() {
    this.id = this.version = null;
  }

  // Saves the text as it is now. Resolves with "saved", or "copied" where another window had changed the
  // story and this one became a new one; rejects with a TellError.
  save(text, more) {
    const done = this.last.then(() => this.saveNow(text, more));
    this.last = done.catch(() => {});
    return done;
  }

  async saveNow(text, more) {
    if (this.isSaved(text)) return "saved";
    const title = this.titled ? this.title : null;
    if (this.id !== null) {
      try {
        const body = { text, title, version: this.version };
        this.take(await (await ask("PUT", `/api/stories/${this.id}`, body, more)).json(), title);
        return "saved";
      } catch (error) {
        if (!(error instanceof TellError) || !["changed", "not_found"].includes(error.code)) throw error;
      }
    }
    const copied = this.id !== null;
    this.take(await (await ask("POST", "/api/stories", { text, title }, more)).json(), title);
    return copied ? "copied" : "saved";
  }

  // Takes over what the shelf says; a title that the reader is typing meanwhile stays.
  take(story, sent) {
    this.id = story.id;
    this.version = story.version;
    this.saved = JSON.stringify([story.text, sent]);
    if (!this.titled) this.title = story.title;
  }
}

// The stories on the shelf, newest first, and one of them.
export const list = async () => (await ask("GET", "/api/stories?limit=1000")).json();
export const get = async (id) => (await ask("GET", `/api/stories/${id}`)).json();
export const remove = (id) => ask("DELETE", `/api/stories/${id}`);
export const restore = (id) => ask("POST", `/api/stories/${id}/restore`);
