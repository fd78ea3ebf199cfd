"""Both stores of jobs, on one contract."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bonafide.addresses import RedisServer
from bonafide.errors import Overloaded
from bonafide.jobs.job import Outcome
from bonafide.jobs.redis_store import RedisJobs
from bonafide.jobs.sqlite import SqliteJobs
from bonafide.jobs.store import JobStore
from tests.bonafide.jobs.stored_jobs import created, job, taken, verdict
from tests.servers import Server

SHORT_S = 1.0
"""What a test waits for. It outlasts a few operations on a busy machine."""
Open = Callable[..., JobStore]


@pytest.fixture(params=["sqlite", "redis"])
async def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens the same jobs as another process would."""
    opened: list[JobStore] = []
    if request.param == "redis":
        server: Server = request.getfixturevalue("valkey_server")

        def connect(**options: float) -> JobStore:
            limits = {"lease_s": 30.0, "keep_s": 60.0, "most": 3} | options
            where = RedisServer("127.0.0.1", server.port, db=9)
            return RedisJobs(where, timeout_s=5.0, **limits)  # type: ignore[arg-type]
    else:

        def connect(**options: float) -> JobStore:
            limits = {"lease_s": 30.0, "keep_s": 60.0, "most": 3} | options
            return SqliteJobs(tmp_path / "state" / "jobs.db", **limits)  # type: ignore[arg-type]

    def remembered(**options: float) -> JobStore:
        opened.append(connect(**options))
        return opened[-1]

    yield remembered
    for store in opened:
        if isinstance(store, RedisJobs):
            await store._redis.flushdb()
        await store.close()


@pytest.fixture
async def store(open_store: Open) -> JobStore:
    return open_store()


async def test_a_job_is_what_was_created(store: JobStore) -> None:
    made = await created(
        store, 2, callback_url="https://a.example/x", idempotency_key="k", fingerprint="f", task="face"
    )
    found = await store.get(made.job_id)
    assert found is not None
    assert replace(found, created=0.0) == replace(made, created=0.0)
    assert abs(found.created - made.created) < 0.01
    assert await store.get("0" * 32) is None
    assert await store.waiting() == 2


async def test_an_item_knows_what_it_is(store: JobStore) -> None:
    await created(store, 1, task="face", priority="high")
    await created(store, 1)
    assert [(await taken(store)).task for _ in range(2)] == ["face", "voice"]


async def test_every_item_is_taken_once_and_its_outcome_stands(store: JobStore) -> None:
    made = await created(store, 3)
    items = [await taken(store) for _ in range(3)]
    assert [(item.index, item.key, item.tries) for item in items] == [
        (index, f"{made.job_id}/{index}.wav", 1) for index in range(3)
    ]
    assert await store.take() is None
    running = await store.get(made.job_id)
    assert running is not None
    assert (running.state, running.ended) == ("running", None)
    for item in (items[2], items[0]):
        assert await store.finish(item, verdict(item))
    assert not await store.finish(items[0], Outcome(False, "{}"))
    assert await store.finish(items[1], Outcome(False, '{"error":1}'))
    ended = await store.get(made.job_id)
    assert ended is not None
    assert ended.started is not None
    assert ended.ended is not None
    assert (ended.state, ended.done, ended.failed) == ("done", 2, 1)
    assert await store.results(made.job_id, 0, 10, 1000) == ['{"index":2}', '{"index":0}', '{"error":1}']
    assert await store.results(made.job_id, 1, 1, 1000) == ['{"index":0}']
    assert await store.waiting() == 0


async def test_what_a_dead_worker_held_is_taken_over(open_store: Open) -> None:
    store = open_store(lease_s=SHORT_S)
    made = await created(store, 1)
    late = open_store(lease_s=SHORT_S)
    dead = await taken(late)
    assert await store.take() is None
    await asyncio.sleep(SHORT_S + 0.1)
    heir = await taken(store)
    assert (heir.index, heir.tries) == (dead.index, 2)
    await late.give_back(dead)  # it was alive after all, and holds nothing any more
    assert await store.take() is None
    await store.give_back(heir)
    again = await taken(store)
    assert again.tries == 2, "the one that died was forgotten"
    await store.give_back(again)
    again = await taken(store)
    assert again.tries == 2
    assert await late.finish(dead, Outcome(True, '"late"'))  # the first outcome stands
    assert not await store.finish(again, Outcome(True, '"heir"'))
    assert await store.results(made.job_id, 0, 10, 1000) == ['"late"']


async def test_what_is_renewed_is_not_taken_over(open_store: Open) -> None:
    store, other = open_store(lease_s=SHORT_S), open_store(lease_s=SHORT_S)
    await created(store, 1)
    item = await taken(store)
    for _ in range(4):
        await asyncio.sleep(SHORT_S / 3)
        await store.renew([item])
        assert await other.take() is None


async def test_what_is_given_back_is_taken_at_once(store: JobStore, open_store: Open) -> None:
    await created(store, 1)
    item = await taken(store)
    await store.give_back(item)
    again = await taken(open_store())
    assert (again.index, again.key, again.tries) == (item.index, item.key, 1)
    assert await store.finish(again, verdict(again))
    await store.give_back(again)
    assert await store.take() is None


async def test_jobs_of_one_priority_take_turns(store: JobStore) -> None:
    first, second = await created(store, 3), await created(store, 2)
    order = []
    for _ in range(4):
        order.append((await taken(store)).job_id)
        await asyncio.sleep(0.005)
    assert order == [first.job_id, second.job_id] * 2 or order == [second.job_id, first.job_id] * 2


async def test_a_job_that_was_served_while_the_clock_was_ahead_has_its_turn(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        await created(store, 4)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    order = [(await taken(store)).job_id]
    monkeypatch.setattr(time, "time", now)
    order += [(await taken(store)).job_id for _ in range(3)]
    assert order[0] == order[2] != order[1] == order[3]


async def test_a_higher_priority_goes_first(store: JobStore) -> None:
    names = [(await created(store, 1, priority=each)).job_id for each in ("low", "normal", "high")]
    assert [(await taken(store)).job_id for _ in range(3)] == names[::-1]


async def test_a_cancelled_job_keeps_its_results_and_gets_no_more(store: JobStore) -> None:
    made = await created(store, 3)
    one, two = await taken(store), await taken(store)
    assert await store.finish(one, verdict(one))
    await store.cancel(made.job_id)
    assert not await store.finish(two, verdict(two))
    await store.renew([two])
    await store.give_back(two)
    assert await store.take() is None
    found = await store.get(made.job_id)
    assert found is not None
    assert (found.state, found.done) == ("cancelled", 1)
    assert len(await store.results(made.job_id, 0, 10, 1000)) == 1
    await store.cancel(made.job_id)
    await store.cancel("0" * 32)


async def test_an_idempotency_key_makes_one_job_for_each_caller(store: JobStore) -> None:
    made = await created(store, 1, idempotency_key="k")
    again = await created(store, 1, idempotency_key="k")
    other = await created(store, 1, idempotency_key="k", caller="bob")
    assert again.job_id == made.job_id != other.job_id
    found = await store.find("ann", "k")
    assert found is not None
    assert found.job_id == made.job_id
    assert await store.find("ann", "other") is None
    assert await store.waiting() == 2


async def test_a_caller_has_so_many_unfinished_jobs(store: JobStore) -> None:
    jobs = [await created(store, 1) for _ in range(3)]
    with pytest.raises(Overloaded, match="3 jobs"):
        await created(store, 1)
    await created(store, 1, caller="bob")
    await store.cancel(jobs[0].job_id)
    await created(store, 1)


async def test_a_caller_is_told_until_it_has_been(store: JobStore) -> None:
    made = await created(store, 1, callback_url="https://a.example/x")
    assert await store.take_callback(SHORT_S) is None
    item = await taken(store)
    await store.finish(item, verdict(item))
    first = await store.take_callback(SHORT_S)
    assert first is not None
    assert (first[0].job_id, first[0].state, first[1]) == (made.job_id, "done", 1)
    assert await store.take_callback(SHORT_S) is None
    await asyncio.sleep(SHORT_S + 0.1)
    second = await store.take_callback(0.0)
    assert second is not None
    assert second[1] == 2
    await store.end_callback(made.job_id)
    await asyncio.sleep(0.05)
    assert await store.take_callback(0.0) is None


async def test_results_are_kept_for_so_long(open_store: Open) -> None:
    store = open_store(keep_s=SHORT_S)
    made = await created(store, 1, idempotency_key="k")
    item = await taken(store)
    await store.finish(item, verdict(item))
    await store.prune()
    assert await store.get(made.job_id) is not None
    await asyncio.sleep(SHORT_S + 0.1)
    await store.prune()
    assert await store.get(made.job_id) is None
    assert await store.results(made.job_id, 0, 10, 1000) == []
    assert await store.find("ann", "k") is None
    assert not await store.finish(item, verdict(item))


async def test_a_forgotten_job_neither_counts_nor_is_in_the_way(open_store: Open) -> None:
    store = open_store(keep_s=SHORT_S, most=1)
    await created(store, 1)
    await asyncio.sleep(SHORT_S + 0.1)
    await store.prune()
    kept = await open_store(most=1).create(job(1), ["a.wav"])
    assert (await taken(store)).job_id == kept.job_id


async def test_many_workers_share_many_items(store: JobStore, open_store: Open) -> None:
    made = await created(store, 60)

    async def work(own: JobStore) -> None:
        while (item := await own.take()) is not None:
            assert await own.finish(item, verdict(item))

    await asyncio.gather(*(work(open_store()) for _ in range(4)))
    assert {*await store.results(made.job_id, 0, 100, 10_000)} == {f'{{"index":{index}}}' for index in range(60)}


async def test_results_come_in_pages_of_some_bytes_and_of_one_at_least(store: JobStore) -> None:
    made = await created(store, 60)
    documents = ["x" * 100 if index % 20 == 19 else "\u00fc" for index in range(60)]
    for document in documents:
        await store.finish(await taken(store), Outcome(True, document))
    pages: list[list[str]] = []
    while page := await store.results(made.job_id, sum(map(len, pages)), 30, 50):
        pages.append(page)
    assert [document for page in pages for document in page] == documents
    assert [sum(len(document.encode()) for document in page) for page in pages] == [38, 100, 38, 100, 38, 100]
