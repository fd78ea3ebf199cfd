"""What the verbs of jobs return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .errors import BonafideError
from .proto import jobs_pb2 as messages
from .results import AudioReport, FaceReport

Priority = Literal["low", "normal", "high"]
Task = Literal["voice", "face"]
JOB_TIMEOUT_S = 60.0
"""For verbs of jobs: a prefix of many objects takes some time to list."""


@dataclass(frozen=True)
class Job:
    """How far a job is.

    Attributes:
        state: "waiting", "running", "done" or "cancelled"; a newer service may have more.
        total: recordings or photos; `done` of them have a verdict, `failed` an error instead.
        created_at: seconds since 1970, as the next two, which are None while they have not happened.
        task: "voice" for recordings, "face" for photos.
    """

    id: str
    state: str
    bucket: str
    priority: str
    total: int
    done: int
    failed: int
    created_at: float
    started_at: float | None
    ended_at: float | None
    callback_url: str
    task: str = "voice"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes."""
        return self.state in ("done", "cancelled") or self.ended_at is not None


@dataclass(frozen=True)
class JobResult:
    """What became of one recording or photo of a job; `index` is its place there, from 0."""

    index: int
    bucket: str
    key: str
    result: AudioReport | FaceReport | BonafideError


def wanted_job(
    bucket: str,
    keys: Sequence[str],
    prefix: str | None,
    callback_url: str,
    idempotency_key: str,
    priority: Priority,
    task: Task,
) -> messages.CreateJobRequest:
    """The request that creates a job."""
    return messages.CreateJobRequest(
        bucket=bucket,
        keys=keys,
        prefix=prefix,
        callback_url=callback_url,
        idempotency_key=idempotency_key,
        priority=priority,
        task=task,
    )
