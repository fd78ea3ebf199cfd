"""Verdicts by call id: shared where there is Redis, and here where there is none or it fails."""

import json
from typing import Any

import pytest

from bonafide.addresses import RedisServer
from bonafide.cache.circuit_breaker import CircuitBreaker, GuardedStore
from bonafide.cache.key_value import KeyValueStore
from bonafide.cache.memory import MemoryKeyValue
from bonafide.cache.redis import RedisKeyValue
from bonafide.live.call_verdicts import CallVerdicts
from bonafide.settings import Settings
from tests.bonafide.cache.failing_store import FailingStore
from tests.servers import Server, free_port


def verdict(text: str, **other: Any) -> bytes:
    return json.dumps({"decision": text, **other}).encode()


def shared(port: int) -> CallVerdicts:
    return over(GuardedStore(RedisKeyValue(RedisServer("127.0.0.1", port), 1.0, 60), CircuitBreaker(5.0)))


def over(store: KeyValueStore | None) -> CallVerdicts:
    return CallVerdicts(MemoryKeyValue(10**6, 60), store)


async def test_the_newest_document_of_a_call() -> None:
    verdicts = CallVerdicts.from_settings(Settings())
    assert await verdicts.get("CA1") is None
    await verdicts.put("CA1", verdict("1"))
    await verdicts.put("CA1", verdict("2"))
    assert (await verdicts.get("CA1"), await verdicts.get("CA2")) == (verdict("2"), None)
    await verdicts.close()


async def test_another_replica_knows_it_too(valkey_server: Server) -> None:
    here, there = shared(valkey_server.port), shared(valkey_server.port)
    await here.put("CA-shared", verdict("verdict"))
    assert await there.get("CA-shared") == verdict("verdict")
    await here.close()
    await there.close()


@pytest.mark.parametrize("foreign", [b"", b"\xff", b"no JSON", b"[1]", b'"text"', b"[" * 100_000])
async def test_a_foreign_value_under_its_key_is_no_verdict(foreign: bytes, caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryKeyValue(10**6, 60)
    await store.put_many([("bonafide:call:CA1", foreign)])
    here = over(store)
    assert await here.get("CA1") is None
    assert [record.message for record in caplog.records] == ["what Redis has under a call's key is no verdict"]
    await here.put("CA1", verdict("done"))
    await store.put_many([("bonafide:call:CA1", foreign)])
    assert await here.get("CA1") == verdict("done"), "the one of this process"


async def test_a_verdict_that_all_replicas_know_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of four hours it has three megabytes, and to parse it thrice held all other calls up for 0.2 s.
    here = over(MemoryKeyValue(10**6, 60))
    await here.put("CA1", verdict("done"))
    monkeypatch.delattr("bonafide.live.call_verdicts.json")
    assert await here.get("CA1") == verdict("done")


async def test_where_a_call_goes_on_elsewhere_the_newest_is_found_here_too() -> None:
    store = MemoryKeyValue(10**6, 60)
    here, there = over(store), over(store)
    await here.put("CA1", verdict("of its first stream"))
    await there.put("CA1", verdict("of its second stream"))
    assert (await here.get("CA1"), await there.get("CA1")) == (verdict("of its second stream"),) * 2


async def test_what_could_not_be_shared_outlasts_what_was() -> None:
    store = FailingStore(down=False)
    here = over(store)
    await here.put("CA1", verdict("in progress"))
    store.down = True
    assert await here.get("CA1") == verdict("in progress")
    await here.put("CA1", verdict("done"))
    store.down = False
    assert await here.get("CA1") == verdict("done"), "the shared store has only the one before"
    await here.put("CA1", verdict("done again"))
    await over(store).put("CA1", verdict("of its second stream"))
    assert await here.get("CA1") == verdict("of its second stream")


async def test_what_could_not_be_shared_gives_way_to_a_newer_one_of_another_replica() -> None:
    store = FailingStore(down=True)
    here, there = over(store), over(store)
    await here.put("CA1", verdict("of its first stream", timestamp=1.0, request_id="a"))
    store.down = False
    await there.put("CA1", verdict("of its second stream", timestamp=2.0, request_id="b"))
    newest = verdict("of its second stream", timestamp=2.0, request_id="b")
    assert (await here.get("CA1"), await there.get("CA1")) == (newest, newest)


async def test_what_a_failover_has_lost_is_known_here() -> None:
    """The server that takes over may lack the last writes of the one before."""
    store = MemoryKeyValue(10**6, 60)
    here, there = over(store), over(store)
    await here.put("CA1", verdict("in progress", timestamp=1.0, request_id="a"))
    (before,) = await store.get_many(["bonafide:call:CA1"])
    assert before is not None
    await here.put("CA1", verdict("done", timestamp=2.0, request_id="a"))
    await store.put_many([("bonafide:call:CA1", before)])
    assert await here.get("CA1") == verdict("done", timestamp=2.0, request_id="a")
    # The clock of another replica may be slow: what was shared later is newer.
    await there.put("CA1", verdict("of its second stream", timestamp=1.5, request_id="b"))
    assert await here.get("CA1") == verdict("of its second stream", timestamp=1.5, request_id="b")


async def test_with_a_key_forged_ones_are_none(valkey_server: Server) -> None:
    address = {"redis_host": f"127.0.0.1:{valkey_server.port}", "redis_timeout_s": 5}
    here, there, forger = (
        CallVerdicts.from_settings(Settings.model_validate({**address, "cache_key": key}))
        for key in ("k" * 16, "k" * 16, "")
    )
    await here.put("CA-sealed", verdict("verdict"))
    assert await there.get("CA-sealed") == verdict("verdict")
    await forger.put("CA-sealed", verdict("forged"))
    assert await there.get("CA-sealed") is None
    for each in (here, there, forger):
        await each.close()


async def test_without_redis_this_process_knows_its_own() -> None:
    verdicts = shared(free_port())
    await verdicts.put("CA1", verdict("1"))
    assert (await verdicts.get("CA1"), await verdicts.get("CA2")) == (verdict("1"), None)
    await verdicts.close()


async def test_they_are_kept_for_a_while_only() -> None:
    now = 0.0
    verdicts = CallVerdicts(MemoryKeyValue(10**6, 60, lambda: now), None)
    await verdicts.put("CA1", verdict("1"))
    now = 61.0
    assert await verdicts.get("CA1") is None


async def test_a_dead_store_is_asked_once_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    store = FailingStore(down=True)
    verdicts = over(GuardedStore(store, CircuitBreaker(1.0, pause_s=3600)))
    for n in range(10):
        await verdicts.put(f"CA{n}", verdict("1"))
        assert await verdicts.get(f"CA{n}") == verdict("1")
        assert await verdicts.get("CA-of-another-replica") is None
    assert store.asked == 1
    assert [record.message.split(",")[0] for record in caplog.records] == [
        "the cache is down",
        "the verdict on a call is kept in this process only",
    ]
    await verdicts.close()
    assert store.closed
