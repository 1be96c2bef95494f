"""The shelf: stories in an SQLite file, which survive a restart, a crash, and two windows at once.

New since the last chapter: memory that outlives the program. Three decisions carry it. A story is
written before the answer says so (one transaction a change, forced to the disk). A change names the
version it was made from, so that a second window cannot silently overwrite the first. What is deleted
stays for a day, so that "undo" is a promise and not a race. Left out on purpose: users and accounts.

    python deployment/shelf.py            lists what is on the shelf

Source: the SQLite documentation, "Write-Ahead Logging" and "Atomic Commit in SQLite".
"""

import argparse
import re
import sqlite3
import threading
import time
from pathlib import Path

from cli import UserError, run

DEFAULT = Path("out/deployment/shelf.sqlite3")
KEEP_DELETED = 24 * 60 * 60  # seconds

SCHEMA = """
CREATE TABLE IF NOT EXISTS stories (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,  -- a number is never given twice
    title   TEXT,                               -- NULL: made from the first words
    text    TEXT NOT NULL,
    created REAL NOT NULL,                      -- seconds since 1970
    updated REAL NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,         -- counts the changes
    deleted REAL                                -- NULL: on the shelf
)
"""


class NotOnShelf(Exception):
    """There is no story of this number."""


class Changed(Exception):
    """The story has been changed since the version that this change was made from."""


OPENING = re.compile(r"((once upon a time|one day|one \w+ (morning|day|evening|night)|long ago|once)\b[, ]*)?"
                     r"(there (once )?(was|were|lived)( once)?\b\s*)?", re.IGNORECASE)

WEAK = set("a an and as at because but could did for found from give had has he her his in is it its lived lost "
           "loved my not of on or saw she so that the their they to very wanted was were when who with would".split())


def title_of(text, words=6):
    """A title from the first words: "Once upon a time, there was a fox named Tim." -> "A fox named Tim"."""
    first = re.split(r"(?<=[.!?])[\"'”’]?\s|[:;]\s|\n", text.strip(), maxsplit=1)[0]
    rest = first[OPENING.match(first).end():]
    rest = rest if len(rest.split()) >= 2 else first
    if hero := re.match(r"[^,.!?]{1,40}? named \w+( and [A-Z]\w+)?", rest):  # the hero is enough
        rest = hero[0]
    kept = rest.split()[:words]
    while len(kept) < len(rest.split()) and len(kept) > 2 and kept[-1].lower() in WEAK:
        kept.pop()
    title = " ".join(kept)[:60].strip(" .,;:!?\"'“”‘’")
    return title[:1].upper() + title[1:] or "Untitled"


class Shelf:
    """Stories in one SQLite file. Any thread may call; one lock makes the calls take turns."""

    def __init__(self, path=DEFAULT):
        self.path, self.lock = Path(path), threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.db = sqlite3.connect(self.path, timeout=5, check_same_thread=False, isolation_level=None)
            self.db.row_factory = sqlite3.Row
            self.db.execute("PRAGMA journal_mode=WAL")  # who reads does not wait for who writes
            self.db.execute("PRAGMA synchronous=FULL")  # a commit is on the disk when it returns
            self.db.execute(SCHEMA)
            self.db.execute("DELETE FROM stories WHERE deleted < ?", (time.time() - KEEP_DELETED,))
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"the shelf {path} cannot be opened ({error}); --shelf names another") from None

    def _run(self, sql, values=()):
        """One statement, one transaction; the rows it gives back."""
        with self.lock:
            return self.db.execute(sql, values).fetchall()

    def list(self, limit=200, offset=0):
        """The stories, newest change first: everything but the text, of which only the first words come."""
        rows = self._run("SELECT * FROM stories WHERE deleted IS NULL "
                         "ORDER BY updated DESC, id DESC LIMIT ? OFFSET ?", (limit, offset))
        stories = [describe(row) for row in rows]
        for story in stories:
            text = story.pop("text")
            story["words"], story["start"] = len(text.split()), " ".join(text[:300].split())[:160]
        return stories

    def count(self):
        """How many stories are on the shelf."""
        return self._run("SELECT COUNT(*) FROM stories WHERE deleted IS NULL")[0][0]

    def get(self, number):
        """One story. Raises NotOnShelf."""
        rows = self._run("SELECT * FROM stories WHERE id = ? AND deleted IS NULL", (number,))
        if not rows:
            raise NotOnShelf
        return describe(rows[0])

    def save(self, text, title=None):
        """A new story; gives it back with its number."""
        now = time.time()
        return describe(self._run("INSERT INTO stories (title, text, created, updated) VALUES (?, ?, ?, ?) "
                                  "RETURNING *", (title, text, now, now))[0])

    def update(self, number, version, text, title=None):
        """Changes a story that is still at `version`. Raises NotOnShelf or Changed.

        The test of the version and the change are one statement: nothing can come between them.
        """
        rows = self._run("UPDATE stories SET text = ?, title = ?, updated = ?, version = version + 1 "
                         "WHERE id = ? AND version = ? AND deleted IS NULL RETURNING *",
                         (text, title, time.time(), number, version))
        if not rows:
            self.get(number)  # raises NotOnShelf where that is the reason
            raise Changed
        return describe(rows[0])

    def delete(self, number):
        """Takes a story off the shelf; `restore` brings it back within a day. Raises NotOnShelf."""
        if not self._run("UPDATE stories SET deleted = ? WHERE id = ? AND deleted IS NULL RETURNING id",
                         (time.time(), number)):
            raise NotOnShelf

    def restore(self, number):
        """Undoes `delete`, any number of times. Raises NotOnShelf."""
        rows = self._run("UPDATE stories SET deleted = NULL WHERE id = ? RETURNING *", (number,))
        if not rows:
            raise NotOnShelf
        return describe(rows[0])

    def close(self):
        """Closes the file; the log beside it is folded in."""
        with self.lock:
            self.db.close()


def describe(row):
    """A row as the API shows it."""
    story = {name: row[name] for name in ("id", "title", "text", "created", "updated", "version")}
    story["titled"] = story["title"] is not None  # by the reader
    story["title"] = story["title"] or title_of(story["text"])
    return story


def main(argv=None):
    parser = argparse.ArgumentParser(description="Lists the stories on the shelf.")
    parser.add_argument("--shelf", default=str(DEFAULT), help="the SQLite file")
    args = parser.parse_args(argv)
    shelf = Shelf(args.shelf)
    for story in shelf.list():
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(story["updated"]))
        print(f"{story['id']:4}  {day}  {story['words']:4} words  {story['title']}")
    print(f"{shelf.count()} on the shelf {shelf.path}")
    shelf.close()


if __name__ == "__main__":
    run(main)
