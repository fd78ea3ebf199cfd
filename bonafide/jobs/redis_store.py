"""Jobs in Redis or Valkey: for any number of service processes on any number of machines.

The items of a job are a stream that all workers read as one consumer group; what a worker holds for too long, since it
has died, is claimed by another (XAUTOCLAIM). Times are in milliseconds there, and one server, no cluster, holds all.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from bonafide.addresses import RedisServer
from bonafide.cache.redis import connect, leave_replica
from bonafide.errors import Unavailable
from bonafide.jobs import redis_scripts as scripts
from bonafide.jobs.job import ENDED, PRIORITIES, Item, Job, Outcome, Priority
from bonafide.jobs.redis_records import (
    CALLBACKS,
    Entry,
    caller_key,
    ended_key,
    entry_of,
    fields_of,
    given_key,
    items_key,
    job_key,
    job_of,
    open_key,
    results_key,
    task_of,
    text,
)
from bonafide.jobs.store import too_many_jobs

logger = logging.getLogger(__name__)

_GROUP = "workers"
_OTHER_TYPE = "one of its keys in Redis is of another type"
_AT_ONCE = 1000
"""Items written in one round trip."""
_UNCOMMITTED_MS = 3600_000
"""Items of a job whose creation was interrupted are gone after so long."""


class _WrongType(Unavailable):
    """A key is of another type than this store gave it. That is no outage: it stays so."""


class RedisJobs:
    """A `JobStore` in Redis.

    Args:
        server: where it listens, and who asks.
        timeout_s: longest time of a round trip.
        lease_s: seconds that an item is held without being renewed.
        keep_s: seconds that a job is kept after the last thing that happened to it.
        most: unfinished jobs that one caller may have.
    """

    def __init__(self, server: RedisServer, *, timeout_s: float, lease_s: float, keep_s: float, most: int) -> None:
        self._redis: Redis = connect(server, timeout_s)
        self._timeout_s = timeout_s
        self._lease_ms = int(lease_s * 1000)
        self._keep_ms = int(keep_s * 1000)
        self._most = most
        self._consumer = uuid.uuid4().hex
        self._left_aside: set[str] = set()
        self._commit = self._redis.register_script(scripts.COMMIT)
        self._finish = self._redis.register_script(scripts.FINISH)
        self._cancel = self._redis.register_script(scripts.CANCEL)
        self._taken = self._redis.register_script(scripts.TAKEN)
        self._callback = self._redis.register_script(scripts.CALLBACK)
        self._results = self._redis.register_script(scripts.RESULTS)
        self._give_back = self._redis.register_script(scripts.GIVE_BACK)

    async def create(self, job: Job, keys: Sequence[str]) -> Job:
        """See `JobStore.create`."""
        await self._forget_lost(job.caller)
        items = items_key(job.job_id)
        numbered = iter(enumerate(keys))
        while part := list(islice(numbered, _AT_ONCE)):
            async with self._redis.pipeline(transaction=False) as pipeline:
                for index, key in part:
                    pipeline.xadd(items, {"index": index, "key": key})
                pipeline.pexpire(items, _UNCOMMITTED_MS)
                await self._asked(pipeline.execute())
        await self._asked(self._redis.xgroup_create(items, _GROUP, id="0"))
        given = bool(job.idempotency_key)
        key = given_key(job.caller, job.idempotency_key) if given else ""
        fields = [each for pair in fields_of(job, key).items() for each in pair]
        committed = await self._asked(
            self._commit(
                keys=[job_key(job.job_id), items, open_key(job.priority), caller_key(job.caller), key],
                args=[job.job_id, _now_ms(), self._keep_ms, self._most, int(given), *fields],
            )
        )
        if (kept := text(committed)) == job.job_id:
            return job
        await self._asked(self._redis.delete(items))
        earlier = await self.get(kept) if kept else None
        if earlier is None:
            raise too_many_jobs(self._most)
        return earlier

    async def find(self, caller: str, idempotency_key: str) -> Job | None:
        """See `JobStore.find`."""
        job_id = await self._asked(self._redis.get(given_key(caller, idempotency_key)))
        return None if job_id is None else await self.get(text(job_id))

    async def get(self, job_id: str) -> Job | None:
        """See `JobStore.get`."""
        try:
            fields = await self._asked(self._redis.hgetall(job_key(job_id)))
        except _WrongType:  # whatever it is by now, the job is no longer kept
            return None
        return job_of(job_id, fields) if fields else None

    async def cancel(self, job_id: str) -> None:
        """See `JobStore.cancel`."""
        if (job := await self.get(job_id)) is None:
            return
        keys = [job_key(job_id), items_key(job_id), open_key(job.priority), caller_key(job.caller), results_key(job_id)]
        await self._asked(self._cancel(keys=keys, args=[job_id, _now_ms(), self._keep_ms]))

    async def results(self, job_id: str, after: int, count: int, most_bytes: int) -> list[str]:
        """See `JobStore.results`."""
        found = await self._asked(self._results(keys=[results_key(job_id)], args=[after, count, most_bytes]))
        return [text(document) for document in found]

    async def take(self) -> Item | None:
        """See `JobStore.take`."""
        for priority in reversed(PRIORITIES):
            for job_id in await self._open_jobs(priority):
                try:
                    item = await self._take_of(job_id, priority)
                except (KeyError, ValueError):  # of this job alone: the others go on
                    self._leave_aside(job_id)
                    continue
                if item is not None:
                    return item
        return None

    async def _open_jobs(self, priority: Priority) -> list[str]:
        """Ids, that of which an item was taken longest ago first."""
        try:
            return [text(each) for each in await self._asked(self._redis.zrange(open_key(priority), 0, -1))]
        except _WrongType:  # the jobs of other priorities can be found
            return []

    async def _take_of(self, job_id: str, priority: Priority) -> Item | None:
        """An item of one job, if it has one; a job that cannot go on ends."""
        try:
            return await self._taken_of(job_id, priority)
        except ResponseError:
            await self._end_broken(job_id, priority, "Redis has lost its items")
        except _WrongType:
            await self._end_broken(job_id, priority, _OTHER_TYPE)
        return None

    def _leave_aside(self, job_id: str) -> None:
        """Logs what in a job cannot be read, once: it is looked at again, since another release may have written it."""
        if job_id not in self._left_aside:
            self._left_aside.add(job_id)
            logger.exception("an item of a job cannot be read and is left aside", extra={"job": job_id})

    async def _taken_of(self, job_id: str, priority: Priority) -> Item | None:
        found = await self._unread(job_id) or await self._left_behind(job_id)
        if found is None:
            return None
        args: list[str | int] = [job_id, _now_ms()]
        try:
            if not await self._asked(self._taken(keys=[job_key(job_id), open_key(priority)], args=args)):
                return None
            caller, bucket, task = await self._asked(self._redis.hmget(job_key(job_id), ["caller", "bucket", "task"]))
            if caller is None:
                return None
            tries, ticket = found.tries, found.ticket
            return Item(job_id, text(caller), text(bucket), found.key, found.index, tries, ticket, task_of(task))
        except (Unavailable, ValueError):
            await self._put_back(job_id, found)
            raise

    async def _put_back(self, job_id: str, entry: Entry) -> None:
        """Lets others take an entry at once, not counted as tried: a server without room reads it out, and no more."""
        untried = self._redis.xclaim(
            items_key(job_id),
            _GROUP,
            self._consumer,
            0,
            [entry.ticket],
            idle=self._lease_ms,
            retrycount=entry.delivered - 1,
        )
        with suppress(Unavailable, ResponseError):
            await self._asked(untried)

    async def _end_broken(self, job_id: str, priority: Priority, cause: str) -> None:
        """Ends a job that cannot go on, unless it has ended since or is no longer kept; it is not looked for again."""
        job = await self.get(job_id)
        if job is not None and job.state not in ENDED:
            logger.error("a job ends before its time", extra={"job": job_id, "cause": cause})
            await self.cancel(job_id)
        elif job is None and cause == _OTHER_TYPE:
            logger.error("a job is lost", extra={"job": job_id, "cause": cause})
        await self._asked(self._redis.zrem(open_key(priority), job_id))

    async def _unread(self, job_id: str) -> Entry | None:
        """The next entry that nobody has read."""
        read = await self._asked(self._redis.xreadgroup(_GROUP, self._consumer, {items_key(job_id): ">"}, count=1))
        return entry_of(read[0][1]) if read else None

    async def _left_behind(self, job_id: str) -> Entry | None:
        """An entry that its worker has not renewed."""
        items, after = items_key(job_id), "0-0"
        # The server looks at ten entries at a time, which may all be held.
        while True:
            claimed = await self._asked(
                self._redis.xautoclaim(items, _GROUP, self._consumer, self._lease_ms, start_id=after, count=1)
            )
            if (found := entry_of(claimed[1])) is not None:
                break
            if (after := text(claimed[0])) == "0-0":
                return None
        ticket = found.ticket
        pending = await self._asked(self._redis.xpending_range(items, _GROUP, min=ticket, max=ticket, count=1))
        return replace(found, delivered=int(pending[0]["times_delivered"])) if pending else found

    async def renew(self, items: Sequence[Item]) -> None:
        """See `JobStore.renew`."""
        if not items:
            return
        async with self._redis.pipeline(transaction=False) as pipeline:
            for item in items:
                # `justid` leaves the count of deliveries as it is.
                pipeline.xclaim(items_key(item.job_id), _GROUP, self._consumer, 0, [item.ticket], justid=True)
            # A job that was cancelled has no stream any more, which is no reason to let go of the others.
            await self._asked(pipeline.execute(raise_on_error=False))

    async def finish(self, item: Item, outcome: Outcome) -> bool:
        """See `JobStore.finish`."""
        if (job := await self.get(item.job_id)) is None:
            return False
        name = item.job_id
        keys = [
            job_key(name),
            items_key(name),
            ended_key(name),
            results_key(name),
            open_key(job.priority),
            caller_key(job.caller),
        ]
        field = "done" if outcome.succeeded else "failed"
        args: list[str | int] = [name, item.index, field, outcome.document, item.ticket, _now_ms(), self._keep_ms]
        try:
            return bool(await self._asked(self._finish(keys=[*keys, CALLBACKS], args=args)))
        except _WrongType:
            await self._end_broken(name, job.priority, _OTHER_TYPE)
            return False

    async def give_back(self, item: Item) -> None:
        """See `JobStore.give_back`."""
        args: list[str | int] = [item.ticket, self._consumer, item.index, item.key, item.tries - 1]
        await self._asked(self._give_back(keys=[items_key(item.job_id)], args=args))

    async def waiting(self) -> int:
        """See `JobStore.waiting`."""
        total = 0
        for priority in PRIORITIES:
            for job_id in await self._open_jobs(priority):
                try:
                    numbers = await self._asked(self._redis.hmget(job_key(job_id), ["total", "done", "failed"]))
                except _WrongType:
                    continue
                if None not in numbers:
                    whole, done, failed = map(int, numbers)
                    total += whole - done - failed
        return total

    async def take_callback(self, again_s: float) -> tuple[Job, int] | None:
        """See `JobStore.take_callback`."""
        now = _now_ms()
        args: list[str | int] = [now, now + int(again_s * 1000), job_key("")]
        found = await self._asked(self._callback(keys=[CALLBACKS], args=args))
        if not found:
            return None
        due, attempt = text(found[0]), int(found[1])
        job = await self.get(due)
        return None if job is None else (job, attempt)

    async def end_callback(self, job_id: str) -> None:
        """See `JobStore.end_callback`."""
        await self._asked(self._redis.zrem(CALLBACKS, job_id))

    async def prune(self) -> None:
        """See `JobStore.prune`: Redis does it, each key has its time."""

    async def close(self) -> None:
        """See `JobStore.close`."""
        await self._redis.aclose()

    async def _forget_lost(self, caller: str) -> None:
        """Takes jobs that are no longer kept out of their caller's set, so that they do not count."""
        for each in await self._asked(self._redis.smembers(caller_key(caller))):
            if text(await self._asked(self._redis.type(job_key(text(each))))) != "hash":
                await self._asked(self._redis.srem(caller_key(caller), each))

    async def _asked(self, answer: Awaitable[Any]) -> Any:
        """An answer of the server; a refused command is raised as it is.

        Raises:
            Unavailable: there is none.
            ResponseError: the server has no such stream, or not the group of its readers.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await answer
        except ResponseError as error:
            if str(error).startswith("NOGROUP"):
                raise
            await leave_replica(self._redis, error)
            # Servers before Redis 7 put what a script has failed of behind its name.
            raise _failed(error, _WrongType if "WRONGTYPE" in str(error) else Unavailable) from error
        except (RedisError, OSError, TimeoutError) as error:
            raise _failed(error) from error


def _failed(error: Exception, kind: type[Unavailable] = Unavailable) -> Unavailable:
    # Not the text: redis-py may put a command and so a caller's keys into it.
    cause = "a key of another type" if kind is _WrongType else type(error).__name__
    logger.warning("the store of jobs failed", extra={"cause": cause})
    return kind("jobs cannot be kept now, try again later")


def _now_ms() -> int:
    return int(time.time() * 1000)
