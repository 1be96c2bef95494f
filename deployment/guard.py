"""What stands in front of every route: who may ask, how much, and what the browser may do with the answer.

New since the last chapter: a server on your own machine has neighbours. Every page that your browser
shows may try to send requests to http://127.0.0.1:8000, and a name in somebody else's DNS may be
pointed at it ("DNS rebinding"). Three checks and five headers close these doors. Left out on purpose:
passwords, TLS and limits per client, which belong to the proxy in front of a public server.

Sources: the OWASP cheat sheets "Cross-Site Request Forgery Prevention" and "Content Security Policy".
"""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from api import APIError

MAX_BODY = 1 << 20  # bytes
MAX_DISCARD, DISCARD_SECONDS = 16 << 20, 2  # of a refused body, so much is read and forgotten, for so long
LOOPBACK = {"127.0.0.1", "localhost", "::1"}

HEADERS = {
    # Only our own files, no inline script, no frame: text shown as markup by mistake would stay harmless.
    "Content-Security-Policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",  # a file is what its type says
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # ask whether it has changed: an edited style.css shows at once
}


def host_name(value):
    """The name in a Host header: "[::1]:8000" -> "::1", "localhost:8000" -> "localhost"."""
    return value[1:].partition("]")[0] if value.startswith("[") else value.partition(":")[0]


def check_caller(method, headers, local):
    """Raises APIError where a request was made by, or through, the page of somebody else.

    local: the server listens on this machine only, so it has only this machine's names. A browser adds
    Sec-Fetch-Site (or at least Origin) to what a page sends, and no page can change it. Reading is not
    checked: without our consent (CORS) a browser hides the answer from the page that asked.
    """
    if local and host_name(headers.get("host", "")).lower() not in LOOPBACK:
        raise APIError(403, "this server answers to 127.0.0.1 and localhost only", code="wrong_host")
    if method in ("GET", "HEAD"):
        return
    origin = headers.get("origin", "").rpartition("//")[2]
    if headers.get("sec-fetch-site", "none" if origin in ("", headers.get("host")) else "cross-site") \
            not in ("same-origin", "none"):
        raise APIError(403, "a page of another site may not use this server", code="wrong_origin")


def check_length(headers):
    """Raises APIError where the body is announced to be too large, before any of it is read."""
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MAX_BODY:
        raise APIError(413, f"the body has {length} bytes; at most {MAX_BODY} are read", code="too_large")


async def discard(receive):
    """Reads and forgets the rest of a refused body, within limits.

    Whoever closes a connection with bytes unread resets it, and the answer may be lost on the way.
    """
    left = MAX_DISCARD
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return


class Guard:
    """An ASGI middleware. Messages pass through it one by one, so that a stream stays a stream."""

    def __init__(self, app, local):
        self.app, self.local = app, local

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = 0

        async def receive_guarded():
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:  # a body that did not announce its length
                if message.get("more_body"):
                    await discard(receive)
                raise HTTPException(413, f"the body has more than {MAX_BODY} bytes")
            return message

        async def send_guarded(message):
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            headers = Headers(scope=scope)
            check_caller(scope["method"], headers, self.local)
            check_length(headers)
        except APIError as error:
            await discard(receive)
            response = JSONResponse(error.body, error.status, {"Connection": "close"})  # body unread
            await response(scope, receive, send_guarded)
            return
        await self.app(scope, receive_guarded, send_guarded)
