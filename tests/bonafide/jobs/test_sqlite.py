"""The file of jobs: older ones, what stays in it, who else reads it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bonafide.errors import Unavailable
from bonafide.jobs.job import Outcome
from bonafide.jobs.sqlite import SqliteJobs
from tests.bonafide.jobs.stored_jobs import created, taken


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
