"""What only Redis can lose, refuse or forget."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from bonafide.addresses import RedisServer
from bonafide.errors import Unavailable
from bonafide.jobs.job import Job
from bonafide.jobs.redis_store import PREFIX, RedisJobs
from bonafide.jobs.worker import MAX_TRIES
from tests.bonafide.jobs.stored_jobs import created, taken, verdict
from tests.servers import Server, free_port


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
