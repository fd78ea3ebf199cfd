"""How jobs are written in Redis: names of keys, fields of a job, entries of its stream."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bonafide.jobs.job import PRIORITIES, STATES, TASKS, Job, Priority, Task

PREFIX = "bonafide:jobs:"
CALLBACKS = f"{PREFIX}callbacks"


def job_key(job_id: str) -> str:
    """A hash: the fields of a job."""
    return f"{PREFIX}job:{job_id}"


def items_key(job_id: str) -> str:
    """A stream: what is to be judged."""
    return f"{PREFIX}items:{job_id}"


def ended_key(job_id: str) -> str:
    """A bitmap: items that have ended."""
    return f"{PREFIX}ended:{job_id}"


def results_key(job_id: str) -> str:
    """A list: documents, in the order in which items ended."""
    return f"{PREFIX}results:{job_id}"


def open_key(priority: Priority) -> str:
    """A sorted set: unfinished jobs, that of which an item was taken longest ago first."""
    return f"{PREFIX}open:{priority}"


def caller_key(caller: str) -> str:
    """A set: unfinished jobs of a caller."""
    return f"{PREFIX}caller:{caller}"


def given_key(caller: str, key: str) -> str:
    """A text: the job that a caller's own key stands for."""
    return f"{PREFIX}idempotency:{hashlib.sha256(repr((caller, key)).encode()).hexdigest()}"


def text(value: Any) -> str:
    """What the server gives, as text."""
    return value.decode() if isinstance(value, bytes) else str(value)


@dataclass(frozen=True)
class Entry:
    """An item in the stream of its job.

    Attributes:
        ticket: what the stream knows it by.
        index: as in `Item`, and so the key.
        before: tries of those that held it before it was given back.
        delivered: how often it was taken since, 1 or more.
    """

    ticket: str
    index: int
    key: str
    before: int
    delivered: int = 1

    @property
    def tries(self) -> int:
        """See `Item`."""
        return self.before + self.delivered


def entry_of(entries: Sequence[tuple[bytes, Mapping[bytes, bytes]]]) -> Entry | None:
    """The first entry of a stream that is not deleted, as one that was taken once."""
    for ticket, fields in entries:
        if fields:
            before = int(fields.get(b"tries", 0))  # of one that was never given back there are none
            return Entry(text(ticket), int(fields[b"index"]), text(fields[b"key"]), before)
    return None


def fields_of(job: Job, idempotency: str) -> dict[str, str | int]:
    """A job as a hash."""
    return {
        "caller": job.caller,
        "bucket": job.bucket,
        "priority": job.priority,
        "state": job.state,
        "total": job.total,
        "done": job.done,
        "failed": job.failed,
        "created": int(job.created * 1000),
        "callback_url": job.callback_url,
        "idempotency_key": job.idempotency_key,
        "fingerprint": job.fingerprint,
        "idempotency": idempotency,
        "task": job.task,
    }


def job_of(job_id: str, fields: Mapping[bytes, bytes]) -> Job:
    """A job, from its hash.

    Raises:
        KeyError, ValueError: it is none that this release knows.
    """
    of = {text(name): text(value) for name, value in fields.items()}

    def seconds(name: str) -> float | None:
        return int(of[name]) / 1000 if name in of else None

    (priority,) = (each for each in PRIORITIES if each == of["priority"])
    (state,) = (each for each in STATES if each == of["state"])
    return Job(
        job_id,
        of["caller"],
        of["bucket"],
        priority,
        state,
        int(of["total"]),
        seconds("created") or 0.0,
        int(of["done"]),
        int(of["failed"]),
        seconds("started"),
        seconds("ended"),
        of["callback_url"],
        of["idempotency_key"],
        of["fingerprint"],
        task_of(of.get("task")),
    )


def task_of(value: Any) -> Task:
    """What the items of a job are; a release that did not write it knew recordings alone."""
    (task,) = (each for each in TASKS if each == ("voice" if value is None else text(value)))
    return task
