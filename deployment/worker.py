"""The worker: one thread that owns the model, and the queues between it and the event loop.

New since the last chapter: the engine serves people that come and go. An event loop may never wait, and
a step of the model takes milliseconds in which nothing else would move; so the model has a thread of
its own. What crosses the border is small and goes through queues: orders in (tell this, stop that),
events out (a piece of text, the end). The engine is touched by this thread alone, the counters below by
the event loop alone; that is why there is no lock. Left out on purpose: several processes or GPUs.

             event loop                              worker thread
    submit, cancel, stop  -- orders (SimpleQueue) -->  engine.add, engine.cancel
    Telling.events        <-- call_soon_threadsafe --  engine.step, again and again
"""

import asyncio
import queue
import threading
import time
import traceback

from api import APIError
from cli import UserError

STOPPING = ("the server is stopping; ask again when it is back", "server_error")


class Job:
    """One story to be told: its prompt, how to choose tokens, and where its events go."""

    def __init__(self, index, prompt, settings, truncate, events):
        self.index, self.prompt, self.settings, self.truncate = index, prompt, settings, truncate
        self.events = events  # asyncio.Queue of (job, kind, value), shared by the jobs of one request
        self.sequence = None  # the engine's, once it is there
        self.prompt_tokens = self.tokens = 0
        self.started = time.monotonic()


class Telling:
    """All stories of one request. Lives on the event loop."""

    def __init__(self, worker, prompts, n, settings, seed=None, truncate=None):
        """Hands the jobs to the worker. Raises APIError where there is no room or no more service."""
        self.worker, self.n, self.events_in = worker, n, asyncio.Queue()
        seeds = [None if seed is None else seed + i for i in range(n)]  # n stories, not one n times
        self.jobs = [Job(index, prompts[index // n], {**settings, "seed": seeds[index % n]}, truncate,
                         self.events_in) for index in range(len(prompts) * n)]
        worker.submit(self.jobs)
        self.open = set(self.jobs)

    async def ready(self, param):
        """Returns when the worker has read every prompt; raises APIError, naming `param`, where one is refused."""
        for _ in self.jobs:
            _, kind, value = await self.events_in.get()
            if kind == "error":
                value.body["error"]["param"] = param if value.status == 400 else None
                raise value

    async def events(self):
        """Yields (index, "text", piece) and (index, "end", reason) until every story has ended."""
        while self.open:
            job, kind, value = await self.events_in.get()
            if kind == "error":
                raise value
            if kind == "end":
                self.open.discard(job)
            yield job.index, kind, value

    def tokens(self):
        """(prompt tokens, each prompt counted once; tokens told so far)."""
        return sum(job.prompt_tokens for job in self.jobs[::self.n]), sum(job.tokens for job in self.jobs)

    def cancel(self):
        """Ends what still runs. Costs nothing where all has ended."""
        for job in self.open:
            self.worker.cancel(job)


class Worker(threading.Thread):
    """Runs the engine apart from the event loop.

    `load()` gives (engine, description); it runs in this thread, so that the server answers while the
    model is still being read. At most `slots` stories are told at once and `queue_limit` more may wait.
    """

    def __init__(self, load, slots, queue_limit, loop, on_failure):
        super().__init__(name="worker", daemon=True)
        self.load, self.loop, self.on_failure = load, loop, on_failure
        self.slots, self.queue_limit = slots, queue_limit
        self.orders = queue.SimpleQueue()
        self.jobs = {}  # the engine's sequence -> its job; this thread's
        self.engine, self.description, self.deadline = None, {}, None
        # The event loop's: what has been asked for and not ended, and what has been.
        self.open, self.state = set(), "loading"
        self.told = {"stories": 0, "tokens": 0, "cancelled": 0}
        self.statistics = {}  # the engine's, as of the last step
        self.seconds_a_story = 1.0

    # ---- called on the event loop

    def submit(self, jobs):
        """Takes the jobs, all or none. Raises APIError 429 where the queue is full, 503 on the way out."""
        if self.state == "stopping":
            raise APIError(503, *STOPPING, code="stopping", headers={"Retry-After": "5"})
        room = self.slots + self.queue_limit
        if len(jobs) > room:
            raise APIError(400, f"this server takes at most {room} stories at a time", param="n")
        if len(self.open) + len(jobs) > room:
            wait = {"Retry-After": str(max(1, round(self.seconds_a_story)))}
            raise APIError(429, "too many readers at once; ask again in a moment", "rate_limit_error",
                           code="queue_full", headers=wait)
        self.open.update(jobs)
        self.orders.put(("add", jobs))  # together: no story of a request begins before all are accepted

    def cancel(self, job):
        """The reader has gone: the story ends with the step that is being made."""
        if job in self.open:
            self.orders.put(("cancel", job))

    def stop(self, seconds):
        """No new stories. Those being told may end within `seconds`; then they are ended."""
        self.state = "stopping"
        self.orders.put(("stop", seconds))

    def health(self):
        """What /health shows of it."""
        busy = sum(job.tokens > 0 for job in self.open)
        waiting = len(self.open) - busy
        return {**self.description, "slots": {"total": self.slots, "busy": busy},
                "queue": {"limit": self.queue_limit, "waiting": waiting}, "told": dict(self.told), **self.statistics}

    def deliver(self, batch, statistics):
        """Puts the events of one step into the queues of their readers."""
        self.statistics = statistics
        for job, kind, value in batch:
            if kind in ("end", "error"):
                self.open.discard(job)
                self.told["tokens"] += job.tokens
            if kind == "end":
                self.told["cancelled" if value == "cancel" else "stories"] += 1
                self.seconds_a_story += 0.2 * (time.monotonic() - job.started - self.seconds_a_story)
            job.events.put_nowait((job, kind, value))

    def failed(self, error):
        """The thread has ended: nobody can be served any more."""
        self.state = "stopping"
        lost = [(job, "error", APIError(503, *STOPPING, code="stopping")) for job in list(self.open)]
        self.deliver(lost, self.statistics)
        self.on_failure(error)

    def loaded(self, description, statistics):
        self.description, self.statistics = description, statistics
        if self.state == "loading":
            self.state = "ok"

    # ---- this thread's

    def run(self):
        try:
            self.engine, description = self.load()
            self.call(self.loaded, description, self.engine.statistics())
            while self.take_orders():
                if self.jobs:
                    self.step()
        except UserError as error:  # a damaged model
            self.call(self.failed, error)
        except Exception as error:  # a fault of ours or of the machine: say it whole, and end the server
            traceback.print_exc()
            self.call(self.failed, UserError(f"the thread with the model failed ({error!r})"))

    def call(self, function, *values):
        """Has the event loop call a function; nobody is there any more once the loop is closed."""
        try:
            self.loop.call_soon_threadsafe(function, *values)
        except RuntimeError:
            self.deadline = 0

    def take_orders(self):
        """Carries out all orders that are there; waits for one where nothing is to be told. False: stop."""
        while True:
            try:
                kind, value = self.orders.get(block=not self.jobs and self.deadline is None)
            except queue.Empty:
                break
            if kind == "add":
                for job in value:
                    self.add(job)
            elif kind == "cancel":
                self.end(value, ("end", "cancel"))
            else:
                self.deadline = time.monotonic() + value
        if self.deadline is None:
            return True
        late = time.monotonic() > self.deadline
        for sequence, job in list(self.jobs.items()):
            if late or sequence in self.engine.waiting:
                self.end(job, ("error", APIError(503, *STOPPING, code="stopping")))
        return bool(self.jobs)

    def add(self, job):
        """Reads the prompt and gives it to the engine, which tells it as soon as a slot is free."""
        from engine import prompt_ids
        from sampling import SamplingParams

        context = self.engine.max_length
        ids = prompt_ids(self.engine.tokenizer, job.prompt)
        if job.truncate:
            ids = ids[:1] + ids[1:][-min(job.truncate, context - 1):]
        if len(ids) > context:
            self.post([(job, "error", APIError(
                400, f"the prompt has {len(ids)} tokens, but this model reads at most {context}; shorten it",
                code="context_length_exceeded"))])
            return
        try:
            job.sequence = self.engine.add(ids, SamplingParams(**{"max_tokens": context, **job.settings}))
        except ValueError as error:
            self.post([(job, "error", APIError(400, str(error)))])
            return
        job.prompt_tokens = len(ids)
        self.jobs[job.sequence] = job
        self.post([(job, "ready", len(ids))])

    def end(self, job, event):
        """Takes a story out before its end; one that has ended stays as it is."""
        if job.sequence in self.jobs:
            self.engine.cancel(job.sequence)
            del self.jobs[job.sequence]
            self.post([(job, *event)])

    def step(self):
        """One token for every running story, and one message to the event loop for all of them."""
        try:
            pieces = self.engine.step()
        except Exception as error:  # out of memory, a damaged model: the stories are lost, the server is not
            traceback.print_exc()
            for job in list(self.jobs.values()):
                self.end(job, ("error", APIError(500, f"the model failed ({error})", "server_error")))
            return
        batch = []
        for sequence, piece in pieces:
            job = self.jobs[sequence]
            job.tokens = len(sequence.new_ids)
            if piece:
                batch.append((job, "text", piece))
            if sequence.finish_reason:
                batch.append((job, "end", sequence.finish_reason))
                del self.jobs[sequence]
        self.post(batch)

    def post(self, batch):
        self.call(self.deliver, batch, self.engine.statistics())
