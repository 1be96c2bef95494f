"""The shelf over HTTP: /api/stories, the five things one does with a list, and one to undo.

    GET    /api/stories              the list, newest change first, without the texts
    POST   /api/stories              {text, title?}           a new story            201
    GET    /api/stories/7            one story
    PUT    /api/stories/7            {text, title?, version}  change it              409: it changed since
    DELETE /api/stories/7            take it off the shelf                           204
    POST   /api/stories/7/restore    bring it back

The handlers are plain functions: FastAPI runs them in threads, because a disk may be slow and the event
loop may not wait for it.
"""

from typing import Annotated

from fastapi import Path, Query, Response
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from api import MAX_CHARACTERS, APIError, is_unicode, refuse, text_of

MAX_STORIES = 10_000
LARGEST = 2**63 - 1  # what an SQLite integer holds


def title_or_none(value):
    """A title on one line; an empty one means: make it from the first words."""
    if value is not None and not is_unicode(value):
        raise refuse("is not valid Unicode: it holds half of a surrogate pair")
    return " ".join(value.split()) or None if value else None


class SavedStory(BaseModel):
    """What a reader saves."""

    model_config = ConfigDict(strict=True, extra="forbid")
    text: Annotated[str, BeforeValidator(text_of), Field(max_length=MAX_CHARACTERS)]
    title: Annotated[str | None, AfterValidator(title_or_none)] = Field(None, max_length=200)


class ChangedStory(SavedStory):
    """What a reader changes: `version` is the one that was changed."""

    version: int = Field(ge=1, le=LARGEST)


Number = Annotated[int, Path(ge=1, le=LARGEST)]


def shelf_routes(app, shelf):
    """Adds the routes to the app."""

    @app.get("/api/stories")
    def list_stories(limit: Annotated[int, Query(ge=1, le=1000)] = 200,
                     offset: Annotated[int, Query(ge=0, le=LARGEST)] = 0):
        return {"stories": shelf.list(limit, offset), "total": shelf.count()}

    @app.post("/api/stories", status_code=201)
    def save_story(story: SavedStory):
        if shelf.count() >= MAX_STORIES:
            raise APIError(409, f"the shelf is full: {MAX_STORIES} stories; delete some", code="shelf_full")
        return shelf.save(story.text, story.title)

    @app.get("/api/stories/{number:int}")
    def get_story(number: Number):
        return shelf.get(number)

    @app.put("/api/stories/{number:int}")
    def update_story(number: Number, story: ChangedStory):
        return shelf.update(number, story.version, story.text, story.title)

    @app.delete("/api/stories/{number:int}", status_code=204)
    def delete_story(number: Number):
        shelf.delete(number)
        return Response(status_code=204)

    @app.post("/api/stories/{number:int}/restore")
    def restore_story(number: Number):
        return shelf.restore(number)
