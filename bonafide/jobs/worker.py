"""Works through the items of jobs, in the service's process: takes, judges, keeps the outcome, tells who asked."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from bonafide.calls import Call
from bonafide.errors import BonafideError, Internal, Overloaded, Unavailable
from bonafide.jobs.job import ENDED, Item, Job, Outcome
from bonafide.jobs.store import JobStore
from bonafide.security.caller import set_caller
from bonafide.telemetry import observed

logger = logging.getLogger(__name__)
T = TypeVar("T")

MAX_TRIES = 5
"""An item whose worker has died so often is not tried again: it may be what they died of."""
_IDLE_S = 1.0
_RETRY_S = 1.0
_MAX_RETRY_S = 15.0
_LOOK_S = 5.0
_LAST_TAKE_S = 1.0
_PRUNE_EVERY_S = 60.0
_CALLBACK_ROUNDS = 12
_TOLD_AT_A_TIME = 8
_TRANSIENT = (Unavailable, Overloaded)
_FIELDS = {"voice": "verdict", "face": "photo"}
"""Where the verdict is in a result."""

Judge = Callable[[Item, Call], Awaitable[dict[str, Any]]]
"""The verdict on a stored recording or photo, as the API's JSON; raises `BonafideError`."""
Deliver = Callable[[bytes, str], Awaitable[str]]
"""See `bonafide.live.webhook.Webhook.deliver`."""
Describe = Callable[[Job], dict[str, Any]]
"""A job as the API's JSON."""


class WorkerObserver(Protocol):
    """Receives measurements of jobs."""

    def job_item(self, outcome: str) -> None:
        """An item has ended: "done" or "failed"; or it was "returned" to be taken by another worker."""

    def jobs_waiting(self, items: int) -> None:
        """So many items have no outcome yet, in all jobs of the store."""


class JobWorker:
    """Some tasks that each work on one item at a time.

    Args:
        store: where jobs are kept.
        judge: judges an item.
        deliver: tells a caller.
        describe: what it is told.
        observer: receives measurements.
        created: set when this process has accepted a job, so that it need not be waited for.
        concurrency: items at a time.
        lease_s: of the store.
        timeout_s: longest time of one recording.
        patience_s: how long an item is tried again while the storage or the model cannot be reached.
        callback_again_s: after which a caller that could not be told is told again.
    """

    def __init__(
        self,
        store: JobStore,
        judge: Judge,
        deliver: Deliver,
        describe: Describe,
        observer: WorkerObserver,
        created: asyncio.Event,
        *,
        concurrency: int,
        lease_s: float,
        timeout_s: float,
        patience_s: float = 600.0,
        callback_again_s: float = 120.0,
    ) -> None:
        self._store = store
        self._judge = judge
        self._deliver = deliver
        self._describe = describe
        self._observer = observer
        self._created = created
        self._concurrency = concurrency
        self._lease_s = lease_s
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._callback_again_s = callback_again_s
        self._held: set[Item] = set()
        self._stopping = asyncio.Event()
        self._working: list[asyncio.Task[None]] = []
        self._others: list[asyncio.Task[None]] = []
        self._telling: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Begins to take items."""
        self._working = [asyncio.create_task(self._work()) for _ in range(self._concurrency)]
        self._others = [asyncio.create_task(each) for each in (self._renew(), self._look(), self._tell())]
        for task in (*self._working, *self._others):
            task.add_done_callback(_require_life)

    async def drain(self, grace_s: float) -> None:
        """Takes no more items, and returns when those in progress have ended; after `grace_s` they are given back."""
        self._stopping.set()
        if self._working:
            await asyncio.wait(self._working, timeout=grace_s)
        await _ended(self._working)

    async def stop(self) -> None:
        """Drains at once, and stops everything."""
        await self.drain(0.0)
        await _ended(self._others)
        await _ended(list(self._telling.values()))

    async def _work(self) -> None:
        while not self._stopping.is_set():
            item = await self._asked(self._taken())
            if item is None:
                await self._pause(_IDLE_S, self._created)
                self._created.clear()
                continue
            await self._asked(self._work_on(item))

    async def _taken(self) -> Item | None:
        """The next item. One that comes after this task was cancelled is given back, not left to its lease."""
        taking = asyncio.create_task(self._store.take())
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_TAKE_S):
                    if (item := await self._asked(taking)) is not None:
                        await self._give_back(item)
            raise

    async def _work_on(self, item: Item) -> None:
        self._held.add(item)
        try:
            # A drain may have begun while it was taken.
            await self._finish(item, None if self._stopping.is_set() else await self._outcome(item))
        except asyncio.CancelledError:
            await self._give_back(item)
            raise
        finally:
            self._held.discard(item)

    async def _outcome(self, item: Item) -> Outcome | None:
        """The verdict on an item or the error instead; None: it is not wanted any more, or is to be given back."""
        call = Call.within(self._timeout_s, task_id=item.job_id)
        if item.tries > MAX_TRIES:
            return _failed(item, Internal(f"given up, since {MAX_TRIES} processes have ended in the midst of it"), call)
        end, pause = time.monotonic() + self._patience_s, _RETRY_S
        while True:
            try:
                return await self._judged(item, call)
            except _TRANSIENT as error:
                if time.monotonic() >= end:
                    return _failed(item, error, call)
            except BonafideError as error:
                return _failed(item, error, call)
            await self._pause(pause)
            if self._stopping.is_set() or not await self._wanted(item):
                return None
            pause = min(2 * pause, _MAX_RETRY_S)
            call = call.lasting(self._timeout_s)

    async def _judged(self, item: Item, call: Call) -> Outcome:
        set_caller(item.caller)
        async with observed("job", "JudgeItem", call, logging.DEBUG), call.time_limit():
            verdict = await self._judge(item, call)
        return Outcome(True, _line(item, {_FIELDS[item.task]: verdict}))

    async def _finish(self, item: Item, outcome: Outcome | None) -> None:
        """Keeps an outcome, for as long as it takes to reach the store; without one the item is given back."""
        if outcome is None:
            await self._give_back(item)
            return
        while True:
            try:
                if await self._store.finish(item, outcome):
                    self._observer.job_item("done" if outcome.succeeded else "failed")
                return
            except Unavailable:
                if self._stopping.is_set():
                    raise asyncio.CancelledError from None
                await self._pause(_RETRY_S)

    async def _give_back(self, item: Item) -> None:
        """Unless the store cannot be reached: then another worker takes it when its lease has passed."""
        with suppress(Unavailable):
            await self._store.give_back(item)
            self._observer.job_item("returned")

    async def _wanted(self, item: Item) -> bool:
        try:
            job = await self._store.get(item.job_id)
        except Unavailable:
            return True
        return job is not None and job.state not in ENDED

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 4)
            await self._asked(self._store.renew(list(self._held)))

    async def _look(self) -> None:
        """Measures, and lets go of what is too old."""
        pruned = 0.0
        while True:
            if (waiting := await self._asked(self._store.waiting())) is not None:
                self._observer.jobs_waiting(waiting)
            if time.monotonic() >= pruned + _PRUNE_EVERY_S:
                await self._asked(self._store.prune())
                pruned = time.monotonic()
            await asyncio.sleep(_LOOK_S)

    async def _tell(self) -> None:
        """Takes callers who are to be told, some at a time: one who answers slowly holds up no other."""
        while True:
            if len(self._telling) >= _TOLD_AT_A_TIME:
                await asyncio.wait(self._telling.values(), return_when=asyncio.FIRST_COMPLETED)
            due = await self._asked(self._store.take_callback(self._callback_again_s))
            if due is None:
                await asyncio.sleep(_IDLE_S)
                continue
            job, attempt = due
            if job.job_id not in self._telling:
                self._telling[job.job_id] = task = asyncio.create_task(self._tell_one(job, attempt))
                task.add_done_callback(_require_life)

    async def _tell_one(self, job: Job, attempt: int) -> None:
        try:
            outcome = await self._round(job)
            if outcome == "failed" and attempt < _CALLBACK_ROUNDS:
                return
            if outcome != "delivered":
                logger.error("a caller was not told that its job is done", extra={"job": job.job_id, "cause": outcome})
            await self._asked(self._store.end_callback(job.job_id))
        finally:
            del self._telling[job.job_id]

    async def _round(self, job: Job) -> str:
        """The outcome of telling a caller; a bug of one job is a round that failed."""
        try:
            return await self._deliver(json.dumps(self._describe(job)).encode(), job.callback_url)
        except Exception:
            logger.exception("a caller cannot be told that its job is done", extra={"job": job.job_id})
            return "failed"

    async def _asked(self, answer: Awaitable[T]) -> T | None:
        """The store's answer; None, after a pause, if it cannot be reached, or by a bug, as of one job that it has."""
        try:
            return await answer
        except Unavailable:
            pass
        except Exception:
            logger.exception("the store of jobs has failed")
        await self._pause(_RETRY_S)
        return None

    async def _pause(self, seconds: float, also: asyncio.Event | None = None) -> None:
        """Waits so long, or until this worker stops, or until `also` is set."""
        waits = [asyncio.ensure_future(each.wait()) for each in (self._stopping, also) if each is not None]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()


def _line(item: Item, result: dict[str, Any]) -> str:
    document = {"index": item.index, "bucket": item.bucket, "key": item.key, **result}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _failed(item: Item, error: BonafideError, call: Call) -> Outcome:
    told = {"code": error.code.value, "message": error.message, "request_id": call.request_id}
    return Outcome(False, _line(item, {"error": told}))


def _require_life(task: asyncio.Task[None]) -> None:
    """A bug must not end the work unseen."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("a task of the jobs has ended", exc_info=error)


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
