"""The replicas of one runner under one name; each is a real object in this process that responds, fails or hangs."""

import asyncio
import contextlib

import pytest

from bonafide.errors import Overloaded
from bonafide.runner import replicas as module
from bonafide.runner.replicas import Replicas, addresses_of
from tests.bonafide.fakes import INFO
from tests.bonafide.runner.name_service import ANSWERS, ITEM, NameService

pytestmark = pytest.mark.usefixtures("short_pauses")


async def test_the_least_busy_is_asked_and_idle_ones_take_turns() -> None:
    names = NameService("a", "b")
    both = names.replicas()
    assert await both.info() == INFO
    assert both.replicas == 2
    for _ in range(4):
        await both.score([ITEM])
    assert (names.by_address["a"].calls, names.by_address["b"].calls) == (2, 2)
    names.by_address["a"].open.clear()
    waiting = asyncio.create_task(both.score([ITEM] * 3))
    await asyncio.sleep(0)
    for _ in range(4):
        await both.score([ITEM])
    assert names.by_address["b"].scored == 6
    names.by_address["a"].open.set()
    await waiting


async def test_one_that_fails_is_left_and_its_work_done_by_another() -> None:
    names = NameService("a", "b")
    both = names.replicas()
    await both.info()
    names.by_address["a"].errors = [OSError("connection refused")]
    assert list(await asyncio.gather(both.score([ITEM]), both.score([ITEM]))) == [ANSWERS] * 2
    assert both.replicas == 1
    await both.info()
    assert both.replicas == 2


async def test_when_the_only_one_fails_it_is_left_until_it_answers_a_probe() -> None:
    names = NameService("a")
    one = names.replicas()
    await one.info()
    names.by_address["a"].errors = [OSError("connection refused")]
    with pytest.raises(OSError, match="refused"):
        await one.score([ITEM])
    with pytest.raises(ConnectionError, match="no replica"):
        await one.score([ITEM])
    assert names.by_address["a"].calls == 1
    await one.info()
    assert await one.score([ITEM]) == ANSWERS


async def test_a_refusal_is_final_and_no_reason_to_leave_the_replica() -> None:
    names = NameService("a", "b")
    both = names.replicas()
    await both.info()
    names.by_address["a"].errors = [Overloaded("no capacity")]
    with pytest.raises(Overloaded):
        await both.score([ITEM])
    assert (both.replicas, names.by_address["b"].calls) == (2, 0)


async def test_an_answer_is_a_sign_of_life_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 1.0)
    names = NameService("a")
    one = names.replicas()
    await one.info()
    await asyncio.sleep(1.1)
    await one.score([ITEM])
    names.by_address["a"].reachable.clear()
    assert await one.info() == INFO, "its probe is late, but it has just answered"


async def test_one_late_answer_of_a_busy_replica_turns_nobody_away(monkeypatch: pytest.MonkeyPatch) -> None:
    names = NameService("a")
    one = names.replicas()
    await one.info()
    monkeypatch.setattr(module, "PATIENCE_S", 30.0)
    names.by_address["a"].reachable.clear()
    assert await one.info() == INFO
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)
    with pytest.raises(ConnectionError, match="TimeoutError"):
        await one.info()
    names.by_address["a"].reachable.set()
    assert await one.info() == INFO


async def test_one_that_has_ended_gets_no_more_calls_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOST_AFTER_S", 60.0)
    monkeypatch.setattr(module, "_CLOSED_PATIENCE_S", 0.1)
    names = NameService("a", "b")
    both = names.replicas()
    await both.info()
    ended = names.by_address["a"]
    ended.reachable.clear()
    ended.ended.set()
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        assert list(await asyncio.gather(both.score([ITEM]), both.score([ITEM]))) == [ANSWERS] * 2
    assert (ended.calls, both.replicas) == (0, 1)
    ended.reachable.set()
    await both.info()
    assert both.replicas == 2


async def test_one_that_closes_a_connection_and_goes_on_stays_in_use() -> None:
    names = NameService("a")
    one = names.replicas()
    await one.info()
    names.by_address["a"].ended.set()
    await asyncio.sleep(0)
    assert await one.score([ITEM]) == ANSWERS


async def test_one_that_ends_may_answer_what_it_has_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLOSED_PATIENCE_S", 0.01)
    names = NameService("a")
    one = names.replicas()
    await one.info()
    names.by_address["a"].open.clear()
    taken = asyncio.create_task(one.score([ITEM]))
    await asyncio.sleep(0.01)
    names.by_address["a"].reachable.clear()
    names.by_address["a"].ended.set()
    await asyncio.sleep(0.05)
    with pytest.raises(ConnectionError, match="has ended"):
        await one.score([ITEM])
    names.by_address["a"].open.set()
    assert await taken == ANSWERS


async def test_calls_to_one_that_vanished_are_given_to_another() -> None:
    names = NameService("a", "b")
    both = names.replicas()
    await both.info()
    names.by_address["a"].reachable.clear()
    scoring = asyncio.gather(both.score([ITEM]), both.score([ITEM]))
    async with asyncio.timeout(5):
        while not scoring.done():
            await both.info()
    assert len(await scoring) == 2
    assert both.replicas == 1
    names.by_address["a"].reachable.set()
    await both.info()
    assert both.replicas == 2


async def test_calls_to_the_only_one_fail_when_it_vanished_and_it_may_come_back() -> None:
    names = NameService("a")
    one = names.replicas()
    await one.info()
    names.by_address["a"].reachable.clear()
    scoring = asyncio.create_task(one.score([ITEM]))
    async with asyncio.timeout(5):
        while not scoring.done():
            with contextlib.suppress(ConnectionError):
                await one.info()
    with pytest.raises(ConnectionError):
        await scoring
    names.by_address["a"].reachable.set()
    await one.info()
    assert await one.score([ITEM]) == ANSWERS


async def test_another_model_is_not_mixed_in_and_takes_over_with_its_majority() -> None:
    names = NameService("a", "b")
    names.by_address["c"].model = names.by_address["d"].model = INFO | {"version": "another"}
    all_of_them = names.replicas()
    await all_of_them.info()
    names.addresses = ["a", "b", "c"]
    assert await all_of_them.info() == INFO
    assert all_of_them.replicas == 2
    names.addresses = ["a", "b", "c", "d"]
    assert await all_of_them.info() == INFO
    names.addresses = ["b", "c", "d"]
    assert (await all_of_them.info())["version"] == "another"
    await all_of_them.score([ITEM])
    assert names.by_address["b"].calls == 0


async def test_one_that_leaves_its_name_ends_its_calls_first() -> None:
    names = NameService("a", "b")
    both = names.replicas()
    await both.info()
    names.by_address["a"].open.clear()
    waiting = asyncio.create_task(both.score([ITEM]))
    await asyncio.sleep(0)
    names.addresses = ["b"]
    await both.info()
    assert both.replicas == 1
    assert not names.by_address["a"].closed
    names.by_address["a"].open.set()
    await waiting
    async with asyncio.timeout(5):
        while not names.by_address["a"].closed:
            await asyncio.sleep(0.05)
    await both.close()
    assert names.by_address["b"].closed


async def test_one_that_leaves_its_name_is_not_closed_while_it_may_still_be_asked() -> None:
    names = NameService("a", "b")
    both = names.replicas()
    await both.info()
    leaving, slow = names.by_address["a"], names.by_address["b"]
    slow.reachable.clear()  # until its probe has ended, it is not known who serves from now on
    names.addresses = ["b"]
    probing = asyncio.create_task(both.info())
    await asyncio.sleep(0.02)
    slow.reachable.set()
    assert list(await asyncio.gather(both.score([ITEM]), both.score([ITEM]))) == [ANSWERS] * 2
    assert (leaving.calls, leaving.closed) == (1, False)
    await probing
    assert both.replicas == 1
    await both.close()


async def test_one_that_has_left_its_name_is_closed_with_all_others() -> None:
    names = NameService("a", "b")
    both = names.replicas()
    await both.info()
    leaving = names.by_address["a"]
    leaving.open.clear()
    waiting = asyncio.create_task(both.score([ITEM]))
    await asyncio.sleep(0)
    names.addresses = ["b"]
    await both.info()
    await asyncio.sleep(0)
    await both.close()
    assert leaving.closed
    leaving.open.set()
    await waiting


async def test_known_replicas_outlast_the_name_service() -> None:
    names = NameService("a")
    one = names.replicas()
    await one.info()
    names.addresses = []
    assert await one.info() == INFO


async def test_a_slow_name_service_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIND_PATIENCE_S", 0.01)
    names = NameService("a")
    answering = asyncio.Event()
    answering.set()

    async def find(url: str) -> list[str]:
        await answering.wait()
        return await names.find(url)

    one = Replicas("http://runner:3000", names.connect, find, names.closed)
    await one.info()
    answering.clear()
    names.addresses = ["a", "b"]
    async with asyncio.timeout(1):
        await one.info()
    assert one.replicas == 1
    answering.set()
    async with asyncio.timeout(5):
        while one.replicas < 2:
            await one.info()
    answering.clear()
    await one.info()
    await one.close()


async def test_two_may_wait_for_the_same_addresses() -> None:
    names = NameService("a")

    async def find(url: str) -> list[str]:
        await asyncio.sleep(0.02)
        return await names.find(url)

    one = Replicas("http://runner:3000", names.connect, find, names.closed)
    assert await asyncio.gather(*(one.info() for _ in range(3))) == [INFO] * 3
    await one.close()


async def test_addresses() -> None:
    assert await addresses_of("tcp://127.0.0.1:4567") == ["tcp://127.0.0.1:4567"]
    assert await addresses_of("http://[::1]:80") == ["http://[::1]:80"]
    assert await addresses_of("http://[::1]") == ["http://[::1]:80"]
    assert await addresses_of("https://127.0.0.1/") == ["https://127.0.0.1:443/"]
    assert await addresses_of("file:///tmp/runner.sock") == ["file:///tmp/runner.sock"]
    assert "http://127.0.0.1:80" in await addresses_of("http://localhost:80")
    with pytest.raises(OSError, match=r"."):
        await addresses_of("http://there-is-no-such-host.invalid:80")
