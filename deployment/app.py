"""The Storyteller as a web app: its page, OpenAI's API, and a shelf for its stories.

New since the last chapter: all the parts serve people. The routes are here; what a request may say is in api.py, the
thread with the model in worker.py, what it computes with in engines.py, the stories' file in shelf.py, the door in
guard.py, the listening and the stopping in server.py, the page in static/. Left out on purpose: accounts, TLS and
limits per client (a proxy's work), several GPUs.

    python deployment/app.py                         serves http://127.0.0.1:8000 until Ctrl-C
    python deployment/app.py --check                 serves, tells one story through its own API, ends

Writes the stories that readers keep to out/deployment/shelf.sqlite3.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from answer import answer
from api import APIError, ChatRequest, CompletionRequest, Reply, story_so_far, validation_error
from cli import UserError, positive_int, run
from engines import load_engine
from guard import Guard
from server import Server, address_of, bind, is_local
from shelf import DEFAULT, Changed, NotOnShelf, Shelf
from shelf_routes import shelf_routes
from worker import Worker

STATIC = Path(__file__).resolve().parent / "static"
MODEL = Path(__file__).resolve().parent / "weights" / "storyteller"



# ---- routes


def api_routes(app, model_id, created):
    """OpenAI's part of the API."""
    described = {"id": model_id, "object": "model", "created": created, "owned_by": "storyteller"}

    def check_model(name):
        if name is not None and name != model_id:
            raise APIError(404, f"the model '{name}' does not exist; this server has '{model_id}'",
                           param="model", code="model_not_found")

    @app.get("/v1/models")
    async def models():
        return {"object": "list", "data": [described]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str):
        check_model(name)
        return described

    @app.post("/v1/completions")
    async def completions(wanted: CompletionRequest, request: Request):
        check_model(wanted.model)
        return await answer(request, wanted, wanted.prompt, Reply(model_id), echo=bool(wanted.echo))

    @app.post("/v1/chat/completions")
    async def chat_completions(wanted: ChatRequest, request: Request):
        check_model(wanted.model)
        return await answer(request, wanted, [story_so_far(wanted.messages)], Reply(model_id, chat=True))

    @app.get("/health")
    async def health():
        worker = app.state.worker
        uptime = round(time.monotonic() - app.state.began, 1)
        body = {"status": worker.state, "model": model_id, "uptime": uptime, **worker.health()}
        return JSONResponse(body, 200 if worker.state == "ok" else 503)


def page_routes(app):
    """The page and its files."""
    @app.get("/", include_in_schema=False)
    async def page():
        return FileResponse(STATIC / "index.html")

    app.mount("/static", StaticFiles(directory=STATIC), name="static")


def refusal(request, error):
    """Whatever went wrong, as an APIError."""
    if isinstance(error, APIError):
        return error
    if isinstance(error, RequestValidationError):
        return validation_error(error.errors())
    if isinstance(error, NotOnShelf):
        return APIError(404, "there is no such story on the shelf", code="not_found")
    if isinstance(error, Changed):
        return APIError(409, "the story was changed in another window", param="version", code="changed")
    if isinstance(error, sqlite3.Error):
        return APIError(503, f"the shelf cannot be used now ({error})", "server_error", code="no_shelf")
    if isinstance(error, HTTPException):
        message, code = {400: ("the body cannot be read as JSON", None),
                         404: (f"there is nothing at {request.url.path}", "not_found"),
                         405: (f"{request.method} is not possible at {request.url.path}", None),
                         413: (error.detail, "too_large")}.get(error.status_code, (str(error.detail), None))
        return APIError(error.status_code, message, code=code, headers=error.headers)
    return APIError(500, "a fault of the server; its console says more", "server_error")


def error_routes(app):
    """Every refusal leaves as OpenAI's error object, whoever noticed it first."""
    async def handler(request, error):
        error = refusal(request, error)
        return JSONResponse(error.body, error.status, error.headers)

    shelf_errors = (NotOnShelf, Changed, sqlite3.Error)
    for kind in (APIError, RequestValidationError, HTTPException, *shelf_errors, Exception):
        app.add_exception_handler(kind, handler)


def build_app(load, folder, shelf, local, slots=16, queue_limit=32):
    """The whole app. load(): see Worker. local: it serves this machine only."""

    @asynccontextmanager
    async def lifespan(app):
        def failed(error):
            app.state.failure = error
            app.state.stop()

        app.state.began = time.monotonic()
        app.state.worker = Worker(load, slots, queue_limit, asyncio.get_running_loop(), failed)
        app.state.worker.start()
        yield
        await asyncio.to_thread(app.state.worker.join, 1)
        shelf.close()

    app = FastAPI(title="The Storyteller", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.failure = None
    app.add_middleware(Guard, local=local)
    api_routes(app, folder.name, int((folder / "config.json").stat().st_mtime))
    shelf_routes(app, shelf)
    page_routes(app)
    error_routes(app)
    return app


# ---- the program


def check_folder(folder):
    """The model's folder as a Path; UserError where something is missing, before anything is loaded."""
    path = Path(folder).resolve()
    if not path.is_dir():
        raise UserError(f"--model {folder}: there is no such folder; python transformer/train.py makes one")
    weights = "model.safetensors"
    if (path / "model.safetensors.index.json").exists():
        weights += ".index.json"
    for name in ("config.json", weights, "tokenizer.json"):
        if not (path / name).is_file():
            raise UserError(f"--model {folder}: {name} is missing; is this a model folder?")
    return path


def tell_one(url):
    """One story through the server's own API, printed as it comes. UserError where there is none."""
    body = {"prompt": "Once upon a time", "seed": 1, "max_tokens": 200, "stream": True,
            "stream_options": {"include_usage": True}}
    request = urllib.request.Request(f"{url}/v1/completions", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    began, first, tokens = time.monotonic(), None, 0
    print(body["prompt"], end="", flush=True)
    with urllib.request.urlopen(request, timeout=120) as response:
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[len(b"data: "):])
            if "error" in event:
                raise UserError(f"the story broke off: {event['error']['message']}")
            for choice in event["choices"]:
                first = first or time.monotonic()
                print(choice["text"], end="", flush=True)
            tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
    if first is None:
        raise UserError("the model told nothing")
    seconds = time.monotonic() - first
    print(f"\n\n{tokens} tokens; the first after {first - began:.2f} s, in which the model was read, "
          f"then {(tokens - 1) / max(seconds, 1e-9):.0f} a second")


def check(server):
    """--check: the server in a thread, this thread as its reader."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        server.ready.wait(30)
        tell_one(address_of(server.listener))
    except OSError as error:  # HTTP's errors, too
        raise server.config.app.state.failure or UserError(f"the server did not answer ({error})") from None
    finally:
        server.stop()
        thread.join()


def main(argv=None):
    parser = argparse.ArgumentParser(description="Serves the Storyteller: a page, OpenAI's API and a shelf.")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 serves other machines, too")
    parser.add_argument("--port", type=port_number, default=8000, help="0 takes a free one")
    parser.add_argument("--model", default=str(MODEL), help="the model's folder")
    parser.add_argument("--device", default="auto", help="cuda, mps or cpu (default: the best there is)")
    parser.add_argument("--threads", type=positive_int, default=os.cpu_count(), help="default: one a core")
    parser.add_argument("--engine", choices=["auto", "torch", "c"], default="auto",
                        help="auto: C for a reader who is alone, torch for several (default)")
    parser.add_argument("--slots", type=positive_int, default=16, help="stories told at the same time")
    parser.add_argument("--pages", type=positive_int, metavar="N",
                        help="memory for their keys and values, in pages of 16 tokens (default: all that they could need)")
    parser.add_argument("--queue", type=positive_int, default=32, help="stories that may wait for a slot")
    parser.add_argument("--shelf", default=str(DEFAULT), help="the file with the saved stories")
    parser.add_argument("--check", action="store_true", help="tell one story through its own API, then end")
    args = parser.parse_args(argv)
    folder = check_folder(args.model)
    listener = bind(args.host, 0 if args.check else args.port)
    with tempfile.TemporaryDirectory() as scratch:
        shelf = Shelf(Path(scratch) / "shelf.sqlite3" if args.check else args.shelf)
        app = build_app(lambda: load_engine(folder, args.device, args.threads, args.slots, args.engine, args.pages),
                        folder, shelf, is_local(listener), args.slots, args.queue)
        server = Server(app, listener)
        app.state.stop = server.stop
        (check if args.check else Server.serve_forever)(server)
    if app.state.failure:
        raise app.state.failure
    if app.state.worker.is_alive():  # it is still reading the model, which nothing can interrupt but this
        sys.stdout.flush()
        os._exit(0)


def port_number(text):
    """An argparse type: 0 to 65535."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; give a whole number from 0 to 65535")
    return int(text)


if __name__ == "__main__":
    run(main)
