"""The worker of jobs on a file of SQLite, with verdicts that cost nothing; also a program, in a process of its own."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from bonafide.calls import Call
from bonafide.jobs.job import Item, Job
from bonafide.jobs.sqlite import SqliteJobs
from bonafide.jobs.worker import Deliver, JobWorker

LEASE_S = 0.5


class Silent:
    """Measures nothing."""

    def job_item(self, outcome: str) -> None:
        """See `WorkerObserver`."""

    def jobs_waiting(self, items: int) -> None:
        """See `WorkerObserver`."""


def store_of(path: Path) -> SqliteJobs:
    return SqliteJobs(path, lease_s=LEASE_S, keep_s=3600.0, most=10)


def described(job: Job) -> dict[str, Any]:
    return {"id": job.job_id, "state": job.state, "done": job.done}


async def undelivered(_document: bytes, _url: str) -> str:
    raise AssertionError("nobody is to be told")


def worker_of(store: SqliteJobs, *, stuck_from: int = 2**31, deliver: Deliver = undelivered) -> JobWorker:
    """A worker whose verdicts are the id of its process.

    Args:
        store: of the jobs.
        stuck_from: the first item whose verdict never comes.
        deliver: tells callers; again after a tenth of a second.
    """

    async def judge(item: Item, _call: Call) -> dict[str, Any]:
        if item.index >= stuck_from:
            await asyncio.Event().wait()
        return {"process": os.getpid()}

    return JobWorker(
        store,
        judge,
        deliver,
        described,
        Silent(),
        asyncio.Event(),
        concurrency=2,
        lease_s=LEASE_S,
        timeout_s=60.0,
        callback_again_s=0.1,
    )


async def main(path: Path, stuck_from: int) -> None:
    """Works until it is killed."""
    worker_of(store_of(path), stuck_from=stuck_from).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
