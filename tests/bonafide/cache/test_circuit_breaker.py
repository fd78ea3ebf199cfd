"""After a failure no round trip is made until a probe succeeds, for all stores behind one circuit breaker."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

import pytest

from bonafide.cache.circuit_breaker import CircuitBreaker, CircuitOpen, GuardedStore
from bonafide.cache.key_value import KeyValueStore, StoreFailed
from tests.bonafide.cache.failing_store import FailingStore

NEVER_S = 3600.0
SOON_S = 0.01


class SilentStore(FailingStore):
    """Never answers."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        self.asked += 1
        await asyncio.Event().wait()
        return [None for _ in keys]


class PromptStore(FailingStore):
    """Answers after a fifth of the time that it is given."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        await asyncio.sleep(0.02)
        return [None for _ in keys]


def guarded(
    store: KeyValueStore, pause_s: float = NEVER_S, on_failure: Callable[[], None] = lambda: None
) -> GuardedStore:
    return GuardedStore(store, CircuitBreaker(timeout_s=0.1, pause_s=pause_s, on_failed_probe=on_failure))


async def test_a_store_that_works_is_asked_each_time() -> None:
    store = FailingStore()
    guard = guarded(store)
    await guard.put_many([("a", b"1"), ("b", b"2")])
    assert await guard.get_many(["b", "c", "a"]) == [b"2", None, b"1"]
    assert store.asked == 2
    await guard.close()
    assert store.closed


async def test_a_store_that_fails_is_asked_once() -> None:
    store = FailingStore(down=True)
    guard = guarded(store)
    with pytest.raises(StoreFailed, match="no route to host"):
        await guard.get_many(["a"])
    for _ in range(10):
        with pytest.raises(CircuitOpen):
            await guard.get_many(["a"])
        with pytest.raises(CircuitOpen):
            await guard.put_many([("a", b"1")])
    assert store.asked == 1
    await guard.close()


async def test_no_answer_in_time_is_a_failure() -> None:
    guard = guarded(SilentStore())
    with pytest.raises(StoreFailed, match=r"no answer within 0\.1 s"):
        await guard.get_many(["a"])
    with pytest.raises(CircuitOpen):
        await guard.get_many(["a"])
    await guard.close()


async def test_an_answer_that_lay_unread_while_the_process_was_held_up_is_no_failure() -> None:
    guard = guarded(PromptStore())
    asking = asyncio.create_task(guard.get_many(["a"]))
    await asyncio.sleep(0)
    time.sleep(0.3)  # noqa: ASYNC251 - the loop is held up, as by a long computation
    assert await asking == [None]
    assert not guard.is_open
    await guard.close()


async def test_a_store_that_is_silent_while_the_process_is_held_up_is_a_failure() -> None:
    guard = guarded(SilentStore())
    asking = asyncio.create_task(guard.get_many(["a"]))
    await asyncio.sleep(0)
    time.sleep(0.3)  # noqa: ASYNC251
    with pytest.raises(StoreFailed, match=r"no answer within 0\.1 s"):
        await asking
    await guard.close()


async def test_a_cancelled_round_trip_is_no_failure() -> None:
    store = SilentStore()
    guard = guarded(store)
    asking = asyncio.create_task(guard.get_many(["a"]))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    await guard.put_many([("a", b"1")])
    await guard.close()


async def test_a_probe_that_succeeds_closes_the_circuit(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    failed_probes: list[None] = []
    store = FailingStore(down=True)
    guard = guarded(store, SOON_S, lambda: failed_probes.append(None))
    with pytest.raises(StoreFailed):
        await guard.get_many(["a"])
    async with asyncio.timeout(10):
        while len(failed_probes) < 3:
            await asyncio.sleep(SOON_S)
        store.down = False
        while True:
            try:
                assert await guard.get_many(["a"]) == [None]
                break
            except CircuitOpen:
                await asyncio.sleep(SOON_S)
    assert [record.message.split(",")[0] for record in caplog.records] == ["the cache is down", "the cache is back"]
    await guard.close()


async def test_stores_of_one_server_share_an_outage() -> None:
    breaker = CircuitBreaker(timeout_s=1.0, pause_s=NEVER_S)
    one, other = FailingStore(down=True), FailingStore(down=True)
    guards = GuardedStore(one, breaker), GuardedStore(other, breaker)
    for guard in guards:
        with pytest.raises(StoreFailed):
            await guard.get_many(["a"])
    assert (one.asked, other.asked) == (1, 0)
    for guard in guards:
        await guard.close()


async def test_closing_ends_the_probe() -> None:
    guard = guarded(FailingStore(down=True), SOON_S)
    with pytest.raises(StoreFailed):
        await guard.get_many(["a"])
    await guard.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "cache-probe"]
