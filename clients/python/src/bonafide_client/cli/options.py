"""What a user asked for, as `arguments.parse` reads it from the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..connection import Tls

USAGE = 2
"""The exit code of a wrong command line."""


@dataclass(frozen=True)
class Options:
    """What the user asked for; `names` are files or, with a `bucket`, keys of stored recordings."""

    verb: Literal["audio", "face", "live", "status", "verify", "jobs"]
    names: tuple[str, ...]
    bucket: str | None
    address: str | None
    api_key: str | None
    tls: Tls | None
    key_in_clear: bool
    timeout_s: float | None
    concurrency: int
    json: bool
    quiet: bool
    live: "LiveOptions | None" = None
    verify: "VerifyOptions | None" = None
    hop_s: float | None = None
    channel_mode: str = "auto"
    jobs: "JobsOptions | None" = None


@dataclass(frozen=True)
class JobsOptions:
    """What `bonafide jobs` knows besides; `job_id` is empty when one is created."""

    action: Literal["create", "status", "results", "cancel", "wait"]
    job_id: str
    prefix: str | None
    callback_url: str
    idempotency_key: str
    priority: Literal["low", "normal", "high"]
    task: Literal["voice", "face"]
    wait: bool
    after: int


@dataclass(frozen=True)
class LiveOptions:
    """What `bonafide live` knows besides; `file` is None for the microphone."""

    file: str | None
    url: str | None
    realtime: bool
    chunk_duration: float | None
    overlap_duration: float | None
    channel_mode: str | None


@dataclass(frozen=True)
class VerifyOptions:
    """What `bonafide verify` knows besides; `log` is None where it is not at hand."""

    file: Path
    record: Path
    keys: Path
    log: Path | None
    rescore: bool
    tolerance: float
