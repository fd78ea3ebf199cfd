"""A Redis that is stopped, frozen, full or another server: calls continue, it is logged once, and used again later."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from bonafide.addresses import RedisServer
from bonafide.cache.cache import Cache, RecordingMeta, open_cache
from bonafide.cache.circuit_breaker import CircuitBreaker, GuardedStore
from bonafide.cache.codec import Codec
from bonafide.cache.redis import RedisKeyValue
from bonafide.cache.seal import Checksum
from bonafide.settings import Settings
from bonafide.verdict import WindowScore
from tests.proxy import proxy_to
from tests.servers import Server, start_valkey

TIMEOUT_S = 0.4
LENGTHS = range(1, 64_001)
PAUSE_S = 0.3
HALF = WindowScore(0.5, 0.5)


@dataclass
class Failures:
    count: int = field(default=0)

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = start_valkey(tmp_path)
    yield started
    started.kill()


@asynccontextmanager
async def cache_on(
    port: int, failures: Callable[[], None] = lambda: None, password: str | None = None, timeout_s: float = TIMEOUT_S
) -> AsyncIterator[Cache]:
    secret = SecretStr(password) if password else None
    store = RedisKeyValue(RedisServer("127.0.0.1", port, password=secret), timeout_s, ttl_s=60)
    breaker = CircuitBreaker(timeout_s, pause_s=PAUSE_S, on_failed_probe=failures)
    cache = Cache(GuardedStore(store, breaker), Codec(Checksum()), timeout_s=timeout_s, on_failure=failures)
    try:
        yield cache
    finally:
        await cache.close()


async def everything(cache: Cache, windows: int = 900) -> None:
    """Each method once, as a call would use them."""
    await cache.get_recording("content")
    await cache.get_scores("content", "model", range(windows))
    await cache.get_windows("content", range(windows), LENGTHS)
    await cache.put_recording("content", RecordingMeta(windows, 4.0 * windows, ()))
    await cache.put_windows("content", {index: np.zeros(64_000, np.int16) for index in range(min(40, windows))})
    await cache.put_scores("content", "model", dict.fromkeys(range(windows), HALF))


async def works(cache: Cache) -> bool:
    content = uuid.uuid4().hex
    await cache.put_scores(content, "model", {0: HALF})
    return await cache.get_scores(content, "model", [0]) == {0: HALF}


async def until_it_works(cache: Cache) -> None:
    async with asyncio.timeout(20 * PAUSE_S):
        while not await works(cache):
            await asyncio.sleep(0.05)


def cache_log(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message.split(",")[0] for record in caplog.records if record.name.startswith("bonafide.cache")]


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_calls_go_on_without_it_and_use_it_again(
    server: Server, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    failures = Failures()
    async with cache_on(server.port, failures) as cache:
        assert await works(cache)
        server.kill() if how == "kill" else server.freeze()
        began = time.monotonic()
        for _ in range(5):
            await everything(cache)
        assert time.monotonic() - began < TIMEOUT_S + 1  # one wait, not thirty
        assert failures.count >= 1
        assert cache_log(caplog) == ["the cache is down"]
        await asyncio.sleep(2 * (TIMEOUT_S + PAUSE_S))
        server.start() if how == "kill" else server.thaw()
        await until_it_works(cache)
        assert cache_log(caplog) == ["the cache is down", "the cache is back"]
        before = failures.count
        await everything(cache)
        assert failures.count == before


async def test_it_is_gone_from_the_start(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.kill()
    async with cache_on(server.port) as cache:
        await everything(cache)
        assert cache_log(caplog) == ["the cache is down"]
        server.start()
        await until_it_works(cache)


async def test_many_calls_at_one_time_wait_once(server: Server) -> None:
    async with cache_on(server.port, timeout_s=2.0) as cache:
        assert await works(cache)
        server.freeze()
        began = time.monotonic()  # of short recordings: keys of hours take as long as one wait on a slow machine
        early = [asyncio.create_task(everything(cache, 2)) for _ in range(100)]
        await asyncio.sleep(0.5)
        # These get their turn when the early ones have given up, and do not ask again.
        late = [asyncio.create_task(everything(cache, 2)) for _ in range(8)]
        await asyncio.gather(*early, *late)
        assert 2.0 <= time.monotonic() - began < 3.9
        server.thaw()


async def test_a_restart_between_calls_is_not_even_noticed(server: Server) -> None:
    failures = Failures()
    async with cache_on(server.port, failures, timeout_s=5) as cache:
        for _ in range(3):
            await asyncio.gather(*(works(cache) for _ in range(8)))
            server.kill()
            await asyncio.to_thread(server.start)
            assert await works(cache)
    assert failures.count == 0


async def test_after_a_failover_the_server_that_has_taken_over_is_used(server: Server, tmp_path: Path) -> None:
    """Its name stands for another one by now, but the connections to the one before go on, which refuses writes."""
    (tmp_path / "other").mkdir()
    other = start_valkey(tmp_path / "other")
    try:
        async with proxy_to(server.port) as proxy, cache_on(proxy.port) as cache:
            await asyncio.gather(*(works(cache) for _ in range(4)))  # several connections
            proxy.server_port = other.port
            async with Redis(port=server.port) as demoted:
                await demoted.replicaof("127.0.0.1", str(other.port))
            await until_it_works(cache)
    finally:
        other.kill()


async def test_the_time_of_a_slow_answer_is_bounded(server: Server) -> None:
    async with proxy_to(server.port) as proxy, cache_on(proxy.port) as cache:
        windows = {index: np.full(64_000, index, np.int16) for index in range(64)}
        await cache.put_windows("content", windows)
        assert len(await cache.get_windows("content", range(64), LENGTHS)) == 64
        proxy.delay_s = 0.01  # every 16 kB: 1.3 s for a round trip of 16 windows
        began = time.monotonic()
        assert await cache.get_windows("content", range(64), LENGTHS) == {}
        assert time.monotonic() - began < TIMEOUT_S + 0.8


async def test_what_came_before_a_cut_is_kept(server: Server) -> None:
    async with proxy_to(server.port) as proxy, cache_on(proxy.port, timeout_s=5) as cache:
        windows = {index: np.full(64_000, index, np.int16) for index in range(64)}
        await cache.put_windows("content", windows)
    async with proxy_to(server.port) as proxy, cache_on(proxy.port, timeout_s=5) as cache:
        proxy.cut_after = [5_000_000]  # in the third round trip of 2 MB
        found = await cache.get_windows("content", range(64), LENGTHS)
        assert sorted(found) == list(range(32))
        assert all(np.array_equal(found[index], windows[index]) for index in found)


async def test_cancelled_calls_do_not_mix_up_answers(server: Server) -> None:
    failures = Failures()
    async with proxy_to(server.port) as proxy, cache_on(proxy.port, failures, timeout_s=5) as cache:
        scores = {index: WindowScore(index / 1000, 0.5) for index in range(1000)}
        windows = {index: np.full(16_000, index, np.int16) for index in range(32)}
        await cache.put_scores("content", "model", scores)
        await cache.put_windows("content", windows)
        proxy.delay_s = 0.0005
        for step in range(30):
            calls = (
                cache.get_windows("content", range(32), LENGTHS),
                cache.put_windows("content", windows),
                cache.get_scores("content", "model", range(1000)),
                cache.put_scores("content", "model", scores),
            )
            tasks = [asyncio.create_task(call) for call in calls]
            await asyncio.sleep(step / 1000)
            for task in tasks:
                task.cancel()
            index = step % 32
            found = await asyncio.gather(
                cache.get_scores("content", "model", [index]),
                cache.get_windows("content", [index], LENGTHS),
                cache.get_recording("nothing"),
            )
            # All of them are hits: what belongs to another key would be a miss.
            assert found[0] == {index: scores[index]}
            assert np.array_equal(found[1][index], windows[index])
            assert found[2] is None
            await asyncio.wait(tasks)
    assert failures.count == 0


async def test_a_full_server_is_told_and_used_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = start_valkey(tmp_path, "--maxmemory", "8mb", "--maxmemory-policy", "noeviction")
    try:
        failures = Failures()
        async with cache_on(server.port, failures, timeout_s=5) as cache:
            sample = np.random.default_rng(0).integers(-9999, 9999, 64_000, dtype=np.int16)
            await cache.put_windows("secret-content", dict.fromkeys(range(200), sample))
            assert failures.count == 1
            assert "OutOfMemoryError" in caplog.text
            assert "secret-content" not in caplog.text
            assert not await works(cache)
            server.kill()
            await asyncio.to_thread(server.start)
            await until_it_works(cache)
    finally:
        server.kill()


async def test_passwords_are_used_and_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = start_valkey(tmp_path, "--requirepass", "the-right-password")
    try:
        async with cache_on(server.port, password="the-right-password") as cache:
            assert await works(cache)
            assert "password" not in repr(vars(cache)).lower()
        for wrong in ("a-wrong-password", None):
            async with cache_on(server.port, password=wrong) as cache:
                await everything(cache)
                assert not await works(cache)
    finally:
        server.kill()
    assert "down" in caplog.text
    assert "right-password" not in caplog.text
    assert "wrong-password" not in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        *(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*-5\r\n", b"$99999999999\r\n", b"\0\xff" * 1000, b""),
        *(b"*1\r\n:1\r\n", b"+OK\r\n", b":1\r\n", b"$-1\r\n", b"*-1\r\n", b"-ERR no\r\n"),
    ],
)
async def test_a_server_of_another_kind_is_an_outage(answer: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(10_000_000):
            writer.write(answer)
        writer.close()

    failures = Failures()
    other = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with other, cache_on(other.sockets[0].getsockname()[1], failures) as cache:
        await everything(cache)
        assert not await works(cache)
    assert failures.count >= 1


async def test_a_host_that_does_not_exist_is_an_outage() -> None:
    failures = Failures()
    cache = open_cache(Settings.model_validate({"redis_host": "no-such-host.invalid"}), failures)
    await everything(cache)
    assert failures.count == 1
    await cache.close()


async def test_closing_while_it_is_down_ends_the_probe(server: Server) -> None:
    server.kill()
    async with cache_on(server.port) as cache:
        await everything(cache)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "cache-probe"]
