"""A job in a file of SQLite goes on after its process has been killed."""

import asyncio
import json
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bonafide.jobs.job import Job
from bonafide.jobs.sqlite import SqliteJobs
from tests.bonafide.jobs.local_work import store_of
from tests.servers import ROOT

KEYS = [f"2026/{index:02}.wav" for index in range(40)]
STUCK_FROM = 25
WITHIN_S = 120.0


@contextmanager
def process(path: Path, stuck_from: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that works on the jobs, killed at the end of the block."""
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.bonafide.jobs.local_work", str(path), str(stuck_from)], cwd=ROOT
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait()


async def until(store: SqliteJobs, job_id: str, results: int) -> Job:
    end = time.monotonic() + WITHIN_S
    while time.monotonic() < end:
        job = await store.get(job_id)
        assert job is not None
        if job.done >= results:
            return job
        await asyncio.sleep(0.02)
    raise AssertionError("the job does not go on")


async def test_every_key_has_one_result_although_the_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    store = store_of(path)
    made = Job(uuid.uuid4().hex, "ann", "calls", "normal", "waiting", len(KEYS), time.time(), idempotency_key="k")
    await store.create(made, KEYS)
    with process(path, STUCK_FROM) as first:
        running = await until(store, made.job_id, STUCK_FROM)
    assert (running.state, running.done) == ("running", STUCK_FROM)
    with process(path, len(KEYS)) as second:
        done = await until(store, made.job_id, len(KEYS))
    assert (done.state, done.done, done.failed) == ("done", len(KEYS), 0)
    results = [json.loads(line) for line in await store.results(made.job_id, 0, 100, 10_000)]
    assert Counter(result["key"] for result in results) == Counter(KEYS)
    assert Counter(result["verdict"]["process"] for result in results) == {
        first.pid: STUCK_FROM,
        second.pid: len(KEYS) - STUCK_FROM,
    }
    found = await store.find("ann", "k")
    assert found is not None
    assert found.job_id == made.job_id
    await store.close()
