"""What only Redis can lose, refuse or forget."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bonafide.addresses import RedisServer
from bonafide.errors import Unavailable
from bonafide.jobs.job import Job
from bonafide.jobs.redis_records import PREFIX
from bonafide.jobs.redis_store import RedisJobs
from bonafide.jobs.worker import MAX_TRIES
from tests.bonafide.jobs.stored_jobs import created, taken, verdict
from tests.proxy import proxy_to
from tests.servers import Server, free_port, start_valkey


async def test_jobs_in_redis_of_a_release_without_tasks_are_of_recordings(valkey_server: Server) -> None:
    store = RedisJobs(RedisServer("127.0.0.1", valkey_server.port, db=7), timeout_s=5, lease_s=1, keep_s=60, most=3)
    made = await created(store, 1)
    await store._redis.hdel(f"{PREFIX}job:{made.job_id}", "task")
    assert (await taken(store)).task == "voice"
    assert await store.get(made.job_id) is not None
    await store._redis.flushdb()
    await store.close()


@pytest.fixture
async def in_redis(valkey_server: Server) -> AsyncIterator[Callable[[float], RedisJobs]]:
    """Opens the same jobs in Redis; their leases last so many seconds."""
    opened: list[RedisJobs] = []

    def connect(lease_s: float) -> RedisJobs:
        where = RedisServer("127.0.0.1", valkey_server.port, db=6)
        opened.append(RedisJobs(where, timeout_s=5.0, lease_s=lease_s, keep_s=60.0, most=9))
        return opened[-1]

    yield connect
    for store in opened:
        await store._redis.flushdb()
        await store.close()


async def test_a_job_whose_items_redis_has_lost_ends_and_is_in_no_others_way(
    in_redis: Callable[[float], RedisJobs],
) -> None:
    store = in_redis(30.0)
    lost, other = await created(store, 2), await created(store, 1)
    await store._redis.delete(f"{PREFIX}items:{lost.job_id}")
    assert (await taken(store)).job_id == other.job_id
    assert await store.take() is None
    found = await store.get(lost.job_id)
    assert found is not None
    assert (found.state, found.ended is not None) == ("cancelled", True)
    assert await store.waiting() == 1


async def test_what_a_dead_worker_held_is_found_behind_what_others_hold(in_redis: Callable[[float], RedisJobs]) -> None:
    store = in_redis(0.2)
    await created(store, 23)
    held = [await taken(store) for _ in range(22)]
    dead = await taken(in_redis(0.2))
    await asyncio.sleep(0.25)
    await store.renew(held)
    assert (await taken(in_redis(0.2))).index == dead.index


async def test_the_results_of_a_cancelled_job_in_redis_are_kept_as_long_as_it(
    in_redis: Callable[[float], RedisJobs],
) -> None:
    store = in_redis(30.0)
    made = await created(store, 2, idempotency_key="k")
    item = await taken(store)
    await store.finish(item, verdict(item))
    for key in await store._redis.keys(f"{PREFIX}*"):
        await store._redis.pexpire(key, 5000)
    await store.cancel(made.job_id)
    for name in ("job", "results"):
        assert await store._redis.pttl(f"{PREFIX}{name}:{made.job_id}") > 50_000
    (idempotency,) = await store._redis.keys(f"{PREFIX}idempotency:*")
    assert await store._redis.pttl(idempotency) > 50_000


async def test_an_item_that_redis_has_no_room_to_give_is_not_tried(in_redis: Callable[[float], RedisJobs]) -> None:
    store = in_redis(0.001)
    await created(store, 1)
    await store._redis.config_set("maxmemory", 1)
    try:
        for _ in range(MAX_TRIES + 1):
            with pytest.raises(Unavailable):
                await store.take()
            await asyncio.sleep(0.005)
    finally:
        await store._redis.config_set("maxmemory", 0)
    assert (await taken(store)).tries == 1


async def test_a_job_can_be_cancelled_where_redis_has_no_room(in_redis: Callable[[float], RedisJobs]) -> None:
    """That makes room."""
    store = in_redis(30.0)
    made = await created(store, 1)
    await store._redis.config_set("maxmemory", 1)
    try:
        await store.cancel(made.job_id)
    finally:
        await store._redis.config_set("maxmemory", 0)
    found = await store.get(made.job_id)
    assert found is not None
    assert found.state == "cancelled"
    assert not await store._redis.exists(f"{PREFIX}items:{made.job_id}")


async def test_a_job_that_expires_is_not_brought_back_by_its_callback(in_redis: Callable[[float], RedisJobs]) -> None:
    store = in_redis(30.0)
    made = await created(store, 1, callback_url="https://a.example/x")
    item = await taken(store)
    await store.finish(item, verdict(item))
    get = store.get

    async def expires(job_id: str) -> Job | None:
        found = await get(job_id)
        await store._redis.delete(f"{PREFIX}job:{job_id}")
        return found

    store.get = expires  # type: ignore[method-assign]
    assert await store.take_callback(0.0) is not None
    assert await store.take_callback(0.0) is None
    assert await get(made.job_id) is None
    assert not await store._redis.exists(f"{PREFIX}callbacks")


async def test_a_server_that_is_not_there_is_an_outage() -> None:
    store = RedisJobs(RedisServer("127.0.0.1", free_port()), timeout_s=1, lease_s=1, keep_s=1, most=1)
    with pytest.raises(Unavailable):
        await store.take()
    await store.close()


async def test_after_a_failover_the_server_that_has_taken_over_keeps_jobs(
    valkey_server: Server, tmp_path: Path
) -> None:
    before = start_valkey(tmp_path)
    try:
        async with proxy_to(before.port) as proxy:
            where = RedisServer("127.0.0.1", proxy.port, db=9)
            store = RedisJobs(where, timeout_s=5.0, lease_s=30.0, keep_s=60.0, most=3)
            assert await store.take() is None
            proxy.server_port = valkey_server.port
            async with Redis(port=before.port) as demoted:
                await demoted.replicaof("127.0.0.1", str(valkey_server.port))
            with pytest.raises(Unavailable):
                await created(store, 1)
            made = await created(store, 1)
            assert (await taken(store)).job_id == made.job_id
            await store._redis.flushdb()
            await store.close()
    finally:
        before.kill()


async def test_nothing_stays_in_redis_without_a_time(valkey_server: Server) -> None:
    store = RedisJobs(RedisServer("127.0.0.1", valkey_server.port, db=8), timeout_s=5, lease_s=1, keep_s=60, most=3)
    await created(store, 2, idempotency_key="k")
    for _ in range(2):
        item = await taken(store)
        await store.finish(item, verdict(item))
    keys = await store._redis.keys(f"{PREFIX}*")
    assert keys
    assert all([await store._redis.ttl(key) > 0 for key in keys])
    await store._redis.flushdb()
    await store.close()


@pytest.mark.parametrize("name", ["items", "job"])
async def test_a_job_with_a_key_of_another_type_is_in_no_others_way(
    in_redis: Callable[[float], RedisJobs], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = in_redis(30.0)
    broken, other = await created(store, 2, priority="high"), await created(store, 2)
    await store._redis.set(f"{PREFIX}{name}:{broken.job_id}", "x")
    assert [(await taken(store)).job_id for _ in range(2)] == [other.job_id] * 2
    assert await store.take() is None
    assert await store.waiting() == 2
    found = await store.get(broken.job_id)
    assert (found.state if found else None) == ("cancelled" if name == "items" else None)
    assert [getattr(each, "job", None) for each in caplog.records if each.levelname == "ERROR"] == [broken.job_id]


@pytest.mark.parametrize("name", ["items", "ended", "results", "job"])
async def test_an_outcome_that_a_key_of_another_type_refuses_is_not_tried_for_ever(
    in_redis: Callable[[float], RedisJobs], name: str
) -> None:
    store = in_redis(30.0)
    broken = await created(store, 2)
    item = await taken(store)
    await store._redis.delete(key := f"{PREFIX}{name}:{broken.job_id}")
    await (store._redis.set(key, "x") if name == "job" else store._redis.hset(key, "x", "y"))
    assert not await store.finish(item, verdict(item))
    assert await store.take() is None
    found = await store.get(broken.job_id)
    assert (found.state if found else None) == (None if name == "job" else "cancelled")


async def test_a_job_ends_though_the_set_of_its_caller_is_of_another_type(
    in_redis: Callable[[float], RedisJobs],
) -> None:
    store = in_redis(30.0)
    made = await created(store, 1, callback_url="https://a.example/x")
    item = await taken(store)
    await store._redis.set(f"{PREFIX}caller:ann", "x")
    assert await store.finish(item, verdict(item))
    told = await store.take_callback(60.0)
    assert told is not None
    assert (told[0].job_id, told[0].state) == (made.job_id, "done")


async def test_nobody_is_told_of_a_job_whose_hash_was_overwritten(in_redis: Callable[[float], RedisJobs]) -> None:
    store = in_redis(30.0)
    made = await created(store, 1, callback_url="https://a.example/x")
    item = await taken(store)
    await store.finish(item, verdict(item))
    await store._redis.set(f"{PREFIX}job:{made.job_id}", "x")
    assert await store.take_callback(0.0) is None
    assert not await store._redis.exists(f"{PREFIX}callbacks")


async def test_a_job_whose_hash_was_overwritten_does_not_count(in_redis: Callable[[float], RedisJobs]) -> None:
    store = in_redis(30.0)
    made = [await created(store, 1) for _ in range(9)]  # as many as a caller may have
    await store._redis.set(f"{PREFIX}job:{made[0].job_id}", "x")
    await created(store, 1)


async def test_an_idempotency_key_of_a_job_whose_hash_was_overwritten_is_free_again(
    in_redis: Callable[[float], RedisJobs],
) -> None:
    store = in_redis(30.0)
    lost = await created(store, 1, idempotency_key="audit")
    await store._redis.set(f"{PREFIX}job:{lost.job_id}", "x")
    again = await created(store, 1, idempotency_key="audit")
    assert again.job_id != lost.job_id
    found = await store.find(again.caller, "audit")
    assert found is not None
    assert found.job_id == again.job_id


async def test_jobs_of_other_priorities_go_on_where_the_index_of_one_is_of_another_type(
    in_redis: Callable[[float], RedisJobs],
) -> None:
    store = in_redis(30.0)
    made = await created(store, 1)
    await store._redis.set(f"{PREFIX}open:high", "x")
    assert (await taken(store)).job_id == made.job_id
    assert await store.waiting() == 1


async def test_an_item_that_cannot_be_read_is_in_no_others_way(
    in_redis: Callable[[float], RedisJobs], caplog: pytest.LogCaptureFixture
) -> None:
    store = in_redis(30.0)
    strange, unknown, other = [await created(store, 1) for _ in range(3)]
    await store._redis.delete(f"{PREFIX}items:{strange.job_id}")
    await store._redis.xadd(f"{PREFIX}items:{strange.job_id}", {"x": "y"})
    await store._redis.xgroup_create(f"{PREFIX}items:{strange.job_id}", "workers", id="0")
    await store._redis.hset(f"{PREFIX}job:{unknown.job_id}", "task", "of a later release")
    assert (await taken(store)).job_id == other.job_id
    for _ in range(3):
        assert await store.take() is None
    logged = sorted(getattr(each, "job", "") for each in caplog.records if each.levelname == "ERROR")
    assert logged == sorted([strange.job_id, unknown.job_id])
    await store._redis.hset(f"{PREFIX}job:{unknown.job_id}", "task", "voice")  # as a later release takes it
    again = await taken(store)
    assert (again.job_id, again.tries) == (unknown.job_id, 1)
