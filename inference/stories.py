# copied from: bigram/stories.py
"""Reading stories: UTF-8 text, one story after another, a line `<|endoftext|>` between them."""

from pathlib import Path

from cli import UserError

END = "<|endoftext|>"


def read_stories(path):
    """The stories of one file, as a list of strings without surrounding white space; empty ones are dropped.

    Raises UserError where the file is missing, is not UTF-8, or holds no story.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; --data takes a folder with train.txt and valid.txt") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}); convert it to UTF-8 first") from None
    stories, lines = [], []
    for line in text.split("\n") + [END]:
        if line.strip() == END:
            story = "\n".join(lines).strip()
            if story:
                stories.append(story)
            lines = []
        else:
            lines.append(line)
    if not stories:
        raise UserError(f"{path} holds no story")
    return stories


def load_split(folder, split):
    """The stories of folder/train.txt or folder/valid.txt (`split` is "train" or "valid")."""
    if not Path(folder).is_dir():
        raise UserError(f"--data {folder}: there is no such folder; try --data datasets/stories")
    return read_stories(Path(folder) / f"{split}.txt")
