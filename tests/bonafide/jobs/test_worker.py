"""The worker where the store fails, and where a drain begins."""

import asyncio
import time
import uuid
from pathlib import Path

import pytest

from bonafide.jobs import worker
from bonafide.jobs.job import Item, Job, Outcome
from bonafide.jobs.sqlite import SqliteJobs
from tests.bonafide.jobs.local_work import store_of, worker_of


async def created(store: SqliteJobs, total: int) -> Job:
    job = Job(uuid.uuid4().hex, "ann", "calls", "normal", "waiting", total, time.time())
    return await store.create(job, [f"{index}.wav" for index in range(total)])


async def test_results_that_a_bug_keeps_out_of_the_store_end_no_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_RETRY_S", 0.001)
    store = store_of(tmp_path / "jobs.db")
    made = await created(store, 6)
    finish = store.finish

    async def fails_at_first(item: Item, outcome: Outcome) -> bool:
        if item.tries == 1 and item.index < 4:  # more than there are tasks
            raise ValueError("a record that nobody can read")
        return await finish(item, outcome)

    monkeypatch.setattr(store, "finish", fails_at_first)
    working = worker_of(store)
    working.start()
    async with asyncio.timeout(20):
        while (job := await store.get(made.job_id)) is None or job.state != "done":
            await asyncio.sleep(0.02)
    assert (job.done, job.failed) == (6, 0)
    await working.stop()
    await store.close()


@pytest.mark.parametrize("grace_s", [0.0, 20.0])
async def test_what_is_taken_while_a_drain_begins_is_given_back_at_once(
    tmp_path: Path, grace_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(tmp_path / "jobs.db")
    await created(store, 2)
    take, asked, answered = store.take, asyncio.Event(), asyncio.Event()

    async def slow() -> Item | None:
        item = await take()
        asked.set()
        await answered.wait()
        return item

    monkeypatch.setattr(store, "take", slow)
    working = worker_of(store, stuck_from=0)
    working.start()
    await asked.wait()
    draining = asyncio.create_task(working.drain(grace_s))
    await asyncio.sleep(0.02)
    answered.set()
    async with asyncio.timeout(10):
        await draining
    assert [item and item.tries for item in (await take(), await take(), await take())] == [1, 1, None]
    await working.stop()
    await store.close()
