"""The file of jobs: older ones, what stays in it, who else reads it."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from bonafide.errors import Unavailable
from bonafide.jobs.job import Outcome
from bonafide.jobs.sqlite import SqliteJobs
from tests.bonafide.jobs.stored_jobs import created, taken, verdict


async def test_jobs_of_a_release_without_tasks_are_of_recordings(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    older = SqliteJobs(path, lease_s=1, keep_s=60, most=3)
    made = await created(older, 1)
    await older._run(lambda database: database.execute("ALTER TABLE jobs DROP COLUMN task"))
    await older.close()
    store = SqliteJobs(path, lease_s=1, keep_s=60, most=3)
    assert (await taken(store)).task == "voice"
    found = await store.get(made.job_id)
    assert found is not None
    assert found.task == "voice"
    assert (await created(store, 1, task="face")).task == "face"
    await store.close()


async def test_nothing_of_a_result_stays_in_the_files_of_sqlite(tmp_path: Path) -> None:
    store = SqliteJobs(tmp_path / "jobs.db", lease_s=1, keep_s=0.0, most=3)
    await created(store, 1)
    await store.finish(await taken(store), Outcome(True, "a verdict on a voice"))
    kept = [path for path in tmp_path.iterdir() if b"a verdict on a voice" in path.read_bytes()]
    assert kept
    await store.prune()
    assert not [path for path in tmp_path.iterdir() if b"a verdict on a voice" in path.read_bytes()]
    await store.close()


async def test_who_reads_the_file_for_long_holds_up_no_jobs(tmp_path: Path) -> None:
    store = SqliteJobs(tmp_path / "jobs.db", lease_s=1, keep_s=60.0, most=3)
    await created(store, 1)
    with closing(sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)) as backup:
        backup.execute("BEGIN")
        backup.execute("SELECT * FROM jobs").fetchall()
        await created(store, 1)
        async with asyncio.timeout(5):
            await store.prune()
            await created(store, 1)
    await store.close()


async def test_a_file_that_cannot_be_opened_is_an_outage(tmp_path: Path) -> None:
    store = SqliteJobs(tmp_path, lease_s=1, keep_s=1, most=1)
    with pytest.raises(Unavailable):
        await store.get("a")
    await store.close()


async def test_a_clock_that_is_set_back_delays_no_items_of_a_dead_worker_and_no_callbacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    store = SqliteJobs(tmp_path / "jobs.db", lease_s=30.0, keep_s=36000.0, most=9)
    told = await created(store, 1, callback_url="http://127.0.0.1:1")
    await store.finish(item := await taken(store), verdict(item))
    left = await created(store, 1)
    held = await taken(store)
    now -= 20.0  # its worker may live
    assert await store.take() is None
    now -= 3600.0
    assert (await taken(store)).key == held.key == f"{left.job_id}/0.wav"
    assert await store.take() is None
    due = await store.take_callback(120.0)
    assert due is not None
    assert due[0].job_id == told.job_id
    assert await store.take_callback(120.0) is None
    await store.close()


async def test_results_of_a_time_when_the_clock_was_ahead_are_kept_no_longer_than_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a machine's that starts without its battery, before it asks for the time."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 10 * 365 * 86400)
    store = SqliteJobs(tmp_path / "jobs.db", lease_s=30.0, keep_s=3600.0, most=9)
    job = await created(store, 1)
    await store.finish(item := await taken(store), verdict(item))
    monkeypatch.setattr(time, "time", lambda: now)
    await store.prune()
    assert await store.get(job.job_id) is not None
    monkeypatch.setattr(time, "time", lambda: now + 3601.0)
    await store.prune()
    assert await store.get(job.job_id) is None
    await store.close()
