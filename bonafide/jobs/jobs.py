"""Jobs use case: takes what a caller wants judged, tells how far it is, ends it, and gives the results."""

import asyncio
import hashlib
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from bonafide.errors import Forbidden, InvalidRequest, ObjectNotFound
from bonafide.jobs.job import PRIORITIES, TASKS, Job, Priority, Task
from bonafide.jobs.key_list import too_many_keys
from bonafide.jobs.store import JobStore
from bonafide.storage.store import ObjectStore, check_key, check_location, check_prefix

_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,128}", re.ASCII)
_URL = re.compile(r"[!-~]{1,2048}", re.ASCII)
_PAGE = 1000
"""Keys listed at a time."""
_RESULTS_AT_ONCE, _RESULT_BYTES_AT_ONCE = 100, 4 * 1024 * 1024
"""Those of long recordings are long: four hours have 3,600 windows, and 0.7 MB for each channel."""


@dataclass(frozen=True)
class JobRequest:
    """What a caller wants judged.

    Attributes:
        bucket: where the recordings lie.
        keys: of the recordings; a key that comes twice counts once.
        prefix: instead of keys: all objects whose keys begin with it. None: not given.
        callback_url: where to tell that the job is done; empty: nowhere.
        idempotency_key: chosen by the caller; the same request with the same key makes one job. Empty: none.
        priority: "low", "normal" or "high", among jobs alone; empty: normal.
        task: "voice" or "face": what the objects are; empty: voice.
    """

    bucket: str
    keys: Sequence[str] = ()
    prefix: str | None = None
    callback_url: str = ""
    idempotency_key: str = ""
    priority: str = ""
    task: str = ""

    def fingerprint(self, keys: Sequence[str]) -> str:
        """Differs when the job would, by whatever words it is asked for; the idempotency key does not count.

        Args:
            keys: its own, each of them once.
        """
        wanted = [self.bucket, keys, self.prefix, self.callback_url, _priority(self.priority)]
        if _task(self.task) != "voice":  # what jobs of recordings are known by is older than tasks
            wanted.append(self.task)
        return hashlib.sha256(json.dumps(wanted).encode()).hexdigest()


class Jobs:
    """What callers do with jobs.

    Args:
        store: where jobs are kept.
        objects: where the recordings are.
        allowed_buckets: that may be read; empty: all.
        max_keys: recordings of one job.
        callbacks: origins that callbacks may go to.
        tasks: what jobs may be of.
    """

    def __init__(
        self,
        store: JobStore,
        objects: ObjectStore,
        *,
        allowed_buckets: Sequence[str],
        max_keys: int,
        callbacks: Sequence[str],
        tasks: Sequence[Task] = ("voice",),
    ) -> None:
        self.store = store
        self.created = asyncio.Event()
        self._objects = objects
        self._allowed_buckets = allowed_buckets
        self.max_keys = max_keys
        self._callbacks = callbacks
        self._tasks = tasks

    async def create(self, wanted: JobRequest, caller: str) -> Job:
        """Accepts a job; it is kept when this returns.

        Returns:
            It, or the earlier one with this idempotency key.

        Raises:
            InvalidRequest: a field is malformed, or the idempotency key was used for another request.
            TooLarge: there are more recordings than a job may have.
            ObjectNotFound: no such bucket, or no object with this prefix; or this service has no jobs of this task.
            Forbidden: the bucket may not be read, or callbacks may not go there.
            Overloaded: the caller has too many unfinished jobs.
            Unavailable: the objects or the jobs cannot be reached.
        """
        priority, task = _priority(wanted.priority), _task(wanted.task)
        if task not in self._tasks:
            raise ObjectNotFound(f"this service takes no jobs of the task {task!r}")
        self.check_callback(wanted.callback_url)
        distinct, fingerprint = await asyncio.to_thread(_distinct_keys, wanted)
        if wanted.idempotency_key:
            if not _IDEMPOTENCY_KEY.fullmatch(wanted.idempotency_key):
                raise InvalidRequest("idempotency_key must be 1 to 128 printable ASCII characters without spaces")
            if (earlier := await self.store.find(caller, wanted.idempotency_key)) is not None:
                return _same(earlier, fingerprint)
        keys = await self._keys(wanted, distinct)
        job = Job(
            uuid.uuid4().hex,
            caller,
            wanted.bucket,
            priority,
            "waiting",
            len(keys),
            time.time(),
            callback_url=wanted.callback_url,
            idempotency_key=wanted.idempotency_key,
            fingerprint=fingerprint,
            task=task,
        )
        kept = _same(await self.store.create(job, keys), fingerprint)
        self.created.set()
        return kept

    async def get(self, job_id: str, caller: str) -> Job:
        """The caller's job.

        Raises:
            ObjectNotFound: the caller has no such job, or it is no longer kept.
            Unavailable: the jobs cannot be reached.
        """
        job = await self.store.get(job_id) if _ID.fullmatch(job_id) else None
        if job is None or job.caller != caller:
            raise ObjectNotFound("no job of this id is kept")
        return job

    async def cancel(self, job_id: str, caller: str) -> Job:
        """Ends the caller's job unless it has ended; its results stay.

        Raises:
            BonafideError: as `get`.
        """
        await self.get(job_id, caller)
        await self.store.cancel(job_id)
        return await self.get(job_id, caller)

    async def results(self, job_id: str, caller: str, after: int) -> AsyncIterator[list[str]]:
        """The results that are there, as JSON documents in the order in which they came, some at a time.

        Args:
            job_id: of a job of the caller.
            caller: who asks.
            after: how many to leave out at the beginning, 0 or more: those that the caller has.

        Raises:
            InvalidRequest: `after` is less than 0 or more than a job can have.
            BonafideError: as `get`.
        """
        if not 0 <= after < 2**31:
            raise InvalidRequest("after must be the number of results to leave out, 0 or more")
        job = await self.get(job_id, caller)
        most = _RESULTS_AT_ONCE, _RESULT_BYTES_AT_ONCE
        while after < job.total and (page := await self.store.results(job_id, after, *most)):
            yield page
            after += len(page)

    async def _keys(self, wanted: JobRequest, keys: list[str]) -> list[str]:
        if bool(keys) == (wanted.prefix is not None):
            raise InvalidRequest("one of keys and prefix must be given: which recordings are to be judged")
        if wanted.prefix is not None:
            return await self._listed(wanted.bucket, wanted.prefix)
        if len(keys) > self.max_keys:
            raise too_many_keys(self.max_keys)

        def check() -> None:
            for key in keys:
                check_location(wanted.bucket, key, self._allowed_buckets)

        await asyncio.to_thread(check)
        return keys

    async def _listed(self, bucket: str, prefix: str) -> list[str]:
        keys: list[str] = []
        while page := await self._objects.keys(bucket, prefix, keys[-1] if keys else "", _PAGE):
            keys += page
            if len(keys) > self.max_keys:
                raise too_many_keys(self.max_keys)
        if not keys:
            raise ObjectNotFound(f"no object in bucket {bucket!r} begins with {prefix!r}")
        return keys

    def check_callback(self, url: str) -> None:
        """Callers name a place that this process then calls, so only origins of the settings are accepted.

        Raises:
            InvalidRequest: it is no URL.
            Forbidden: callbacks may not go there.
        """
        if not url:
            return
        if not _URL.fullmatch(url):  # before `urlsplit`, which goes through it slowly, and keeps it
            raise _not_a_url()
        try:
            parts = urlsplit(url)
            has_user = parts.username is not None or parts.password is not None
        except ValueError:
            raise _not_a_url() from None
        if has_user or parts.fragment:
            raise _not_a_url()
        if f"{parts.scheme}://{parts.netloc}".lower() not in self._callbacks:
            raise Forbidden("callbacks may not go to this address; BONAFIDE_JOBS_CALLBACKS names those that may")


def _distinct_keys(wanted: JobRequest) -> tuple[list[str], str]:
    """The keys, each of them once, and the fingerprint. Slow: for threads.

    Raises:
        InvalidRequest: a name is too long to be one. What else they must be is looked at where they are used.
    """
    keys = list(dict.fromkeys(wanted.keys))
    check_prefix(wanted.bucket, wanted.prefix or "", ())
    if keys:
        check_key(max(keys, key=len))
    return keys, wanted.fingerprint(keys)


def _not_a_url() -> InvalidRequest:
    return InvalidRequest("callback_url must be a URL like https://app.example.com/jobs")


def _priority(text: str) -> Priority:
    for each in PRIORITIES:
        if each == (text or "normal"):
            return each
    raise InvalidRequest(f"priority must be one of {', '.join(PRIORITIES)}")


def _task(text: str) -> Task:
    for each in TASKS:
        if each == (text or "voice"):
            return each
    raise InvalidRequest(f"task must be one of {', '.join(TASKS)}")


def _same(job: Job, fingerprint: str) -> Job:
    if job.fingerprint != fingerprint:
        raise InvalidRequest("this idempotency_key was used for another job")
    return job
