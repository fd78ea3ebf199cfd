"""A job and its items, as the stores keep them. Independent of stores and transports."""

from dataclasses import dataclass
from typing import Literal, get_args

State = Literal["waiting", "running", "done", "cancelled"]
Priority = Literal["low", "normal", "high"]
Task = Literal["voice", "face"]
STATES: tuple[State, ...] = get_args(State)
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
"""In rising order: items of a job are taken only when no job of a higher priority has one to take."""
TASKS: tuple[Task, ...] = get_args(Task)
"""What the items of a job are: recordings, or photos of faces."""
ENDED: frozenset[State] = frozenset({"done", "cancelled"})


@dataclass(frozen=True)
class Job:
    """A job.

    Attributes:
        job_id: 32 hexadecimal digits.
        caller: whose it is; nobody else sees it.
        bucket: where its recordings lie.
        total: its items, 1 or more.
        done: items with a verdict.
        failed: items with an error in place of one.
        created: seconds since 1970, as the next two.
        started: when its first item was taken; None: not yet.
        ended: when its last item ended, or it was cancelled; None: not yet.
        callback_url: told when the job is done; empty: nobody is.
        fingerprint: of what was asked for, so that an idempotency key stands for one request.
        task: what its items are.
    """

    job_id: str
    caller: str
    bucket: str
    priority: Priority
    state: State
    total: int
    created: float
    done: int = 0
    failed: int = 0
    started: float | None = None
    ended: float | None = None
    callback_url: str = ""
    idempotency_key: str = ""
    fingerprint: str = ""
    task: Task = "voice"


@dataclass(frozen=True)
class Item:
    """One recording or photo of a job, taken by a worker.

    Attributes:
        index: its place in the job, from 0.
        tries: how often it was taken and not given back, this time included, 1 or more.
        ticket: what the store knows this taking by.
        task: what it is.
    """

    job_id: str
    caller: str
    bucket: str
    key: str
    index: int
    tries: int
    ticket: str
    task: Task = "voice"


@dataclass(frozen=True)
class Outcome:
    """What became of an item.

    Attributes:
        succeeded: whether it has a verdict.
        document: one JSON object without line breaks, as `GET /jobs/{id}/results` sends it.
    """

    succeeded: bool
    document: str
