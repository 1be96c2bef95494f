// The sheet of paper: how a story is shown, grows, and is edited in its place.
//
// Whatever a reader typed or the model told goes through textContent: it is text, never markup.

const paper = document.getElementById("paper");
const pen = document.getElementById("pen");

// The text with the quotation marks of a printed book: "Hi," -> “Hi,”. Letter for letter as long as before,
// and only shown: what is saved, copied and sent is what was typed and told. `before`: the letter before it.
export function curly(text, before = "") {
  let shown = "";
  for (const letter of text) {
    const opens = /^$|[\s([—–“‘]/.test(shown.at(-1) ?? before);
    shown += { '"': opens ? "“" : "”", "'": opens ? "‘" : "’" }[letter] ?? letter;
  }
  return shown;
}

// A paragraph that begins at `start` in the whole text, after so many line breaks: after one it is indented, as
// in a book; after two there is an empty line. So every line is where it is in the pen, too.
function newParagraph(start, breaks) {
  const p = document.createElement("p");
  p.dataset.start = start;
  if (breaks > 1) p.className = "apart";
  paper.append(p);
  return p;
}

// Shows a whole text.
export function show(text) {
  paper.replaceChildren();
  for (const match of text.matchAll(/(\n*)([^\n]+)/g)) {
    const [, breaks, words] = match;
    newParagraph(match.index + breaks.length, breaks.length).textContent = curly(words);
  }
}

// Grows the text shown, word by word: an unfinished word waits for its end. What comes between two frames of
// the screen is drawn together; `drawn` is called after it.
export class Growing {
  constructor(text, drawn) {
    show(text);
    this.drawn = drawn;
    this.frame = 0;
    this.length = text.length; // of what is shown
    this.held = "";
    this.breaks = text.match(/\n*$/)[0].length; // where there are any, the next word begins a paragraph
    this.last = text.at(-1) ?? ""; // the letter before the next word
    this.caret = document.createElement("span");
    this.caret.className = "caret";
    (paper.lastElementChild ?? newParagraph(0, 0)).append(this.caret);
  }

  add(piece) {
    this.held += piece;
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw(this.held.search(/\s\S*$/)); // up to the last white space, words are whole
      this.drawn();
    });
  }

  // Draws what is left: the story has ended.
  finish() {
    cancelAnimationFrame(this.frame);
    this.draw(this.held.length);
  }

  draw(end) {
    if (end <= 0) return;
    for (const part of this.held.slice(0, end).match(/\n+|[^\S\n]*[^\s]+|[^\S\n]+/g) ?? []) {
      if (part.startsWith("\n")) this.breaks += part.length;
      else this.word(part);
      this.length += part.length;
      this.last = part.at(-1);
    }
    this.held = this.held.slice(end);
  }

  word(part) {
    if (this.breaks) newParagraph(this.length, this.breaks).append(this.caret);
    this.breaks = 0;
    const word = document.createElement("span");
    word.className = "word";
    word.textContent = curly(part, this.last);
    this.caret.before(word);
  }
}

// Where in the text a click on the paper points to, or null.
export function offsetAt(x, y) {
  const at = document.caretPositionFromPoint?.(x, y) ?? document.caretRangeFromPoint?.(x, y);
  const node = at?.offsetNode ?? at?.startContainer;
  const p = node?.parentElement?.closest("#paper p");
  if (!p || node.parentElement !== p) return null;
  return Number(p.dataset.start) + (at.offset ?? at.startOffset);
}

// Makes the pen as tall as its text (browsers with field-sizing do it themselves).
export function fitPen() {
  if (CSS.supports("field-sizing", "content")) return;
  pen.style.height = "auto";
  pen.style.height = `${pen.scrollHeight}px`;
}
