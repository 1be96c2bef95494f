"""Answering: from a checked request to its stories, streamed as they are told or in one piece.

New since the last chapter: an answer takes seconds, and the one who asked may leave meanwhile. Every
path through this file that does not reach the end of the stories cancels them, so that no slot is taken
by a story that nobody reads.
"""

import asyncio

from fastapi.responses import JSONResponse, Response, StreamingResponse

from api import MAX_CHOICES, SSE_DONE, APIError, count_tokens, sse
from worker import Telling


class EventStream(StreamingResponse):
    """Server-sent events of one request. However it ends, and if the reader leaves, telling ends too."""

    media_type = "text/event-stream"

    def __init__(self, telling, events):
        super().__init__(events, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self.telling = telling

    async def __call__(self, scope, receive, send):
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.telling.cancel()


async def streamed(telling, reply, echoes, wants_usage):
    """The events of a streamed answer as bytes: pieces as they come, ends, usage, [DONE]."""
    try:
        for index, echo in enumerate(echoes):
            if reply.chat:
                yield sse(reply.chunk(index, "", role="assistant"))
            elif echo:
                yield sse(reply.chunk(index, echo))
        async for index, kind, value in telling.events():
            yield sse(reply.chunk(index, value) if kind == "text" else reply.chunk(index, reason=value))
        if wants_usage:
            yield sse(reply.usage(count_tokens(*telling.tokens())))
    except APIError as error:  # too late for a status: the headers have gone out
        yield sse(error.body)
    yield SSE_DONE


async def collect(telling, echoes):
    """[(text, finish reason)] of every story, once all have ended."""
    texts, reasons = list(echoes), [None] * len(echoes)
    async for index, kind, value in telling.events():
        if kind == "text":
            texts[index] += value
        else:
            reasons[index] = value
    return list(zip(texts, reasons))


async def gone(request):
    """Returns when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def answer(request, wanted, prompts, reply, echo=False):
    """Tells the stories that a request asks for, streamed or in one piece, and stops when nobody listens."""
    n = wanted.n or 1
    if len(prompts) * n > MAX_CHOICES:
        raise APIError(400, f"{n} for {len(prompts)} prompts is more than {MAX_CHOICES} stories", param="n")
    if wanted.stream_options and not wanted.stream:
        raise APIError(400, "'stream_options' needs 'stream': true", param="stream_options")
    telling = Telling(request.app.state.worker, prompts, n, wanted.settings(), wanted.seed,
                      wanted.truncate_prompt_tokens)
    echoes = [prompts[index // n] if echo else "" for index in range(len(prompts) * n)]
    try:
        await telling.ready("messages" if reply.chat else "prompt")
        if wanted.stream:
            return EventStream(telling, streamed(telling, reply, echoes, wanted.wants_usage))
        stories, left = asyncio.ensure_future(collect(telling, echoes)), asyncio.ensure_future(gone(request))
        await asyncio.wait([stories, left], return_when=asyncio.FIRST_COMPLETED)
        left.cancel()
        if not stories.done():
            stories.cancel()
            telling.cancel()
            return Response(status_code=499)  # nobody reads it
        return JSONResponse(reply.whole(stories.result(), count_tokens(*telling.tokens())))
    except BaseException:
        telling.cancel()
        raise
