"""The replicas of one runner; each is a real object in this process that responds, fails or hangs."""

import asyncio
import contextlib
import threading
from typing import Any

import numpy as np
import pytest

from bonafide.errors import Overloaded
from bonafide.runner import replicas as module
from bonafide.runner.remote import ModelRefused, RunnerResult
from bonafide.runner.replicas import Replicas, addresses_of
from models.errors import ModelBusy
from models.info import ModelInfo
from models.slot import Loaded, ModelSlot
from tests.bonafide.fakes import INFO, MODEL, LocalRemote

ITEM = np.ones(4, np.uint8)
ANSWERS = [RunnerResult(1.0, 0.001, 1, MODEL.fingerprint)]


def fingerprint(version: str) -> str:
    return ModelInfo.from_dict(INFO | {"version": version}).fingerprint


class Replica(LocalRemote):
    """One that may serve another model, or be cut off: then it never responds."""

    def __init__(self) -> None:
        super().__init__()
        self.reachable = asyncio.Event()
        self.reachable.set()
        self.ended = asyncio.Event()
        self.closed = False
        self.asked: list[tuple[str | None, ...]] = []
        self.finds: dict[str, str] = {}
        self.prepared: str | None = None

    async def score(self, items: list[Any]) -> list[RunnerResult]:
        await self.reachable.wait()
        return await super().score(items)

    async def info(self) -> dict[str, Any]:
        await self.reachable.wait()
        return await super().info()

    async def prepare(self, reference: str, spoof_label: str | None) -> str:
        await self.reachable.wait()
        self.asked.append(("prepare", reference, spoof_label))
        if self.refused is not None:
            raise self.refused
        self.prepared = self.finds.get(reference, reference)
        return fingerprint(self.prepared)

    async def activate(self, wanted: str) -> bool:
        self.asked.append(("activate", wanted))
        if self.prepared is None or fingerprint(self.prepared) != wanted:
            self.prepared = None
            return False
        self.previous, self.model, self.prepared = self.model, INFO | {"version": self.prepared}, None
        return True

    async def close(self) -> None:
        self.closed = True


class NameService:
    """Names, their addresses, and the replicas there."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.by_address = {address: Replica() for address in "abcd"}

    async def find(self, url: str) -> list[str]:
        if not self.addresses:
            raise OSError("no such name")
        return list(self.addresses)

    async def connect(self, url: str) -> Replica:
        return self.by_address[url]

    def replicas(self) -> Replicas:
        return Replicas("http://runner:3000", self.connect, self.find, self.closed)

    async def closed(self, url: str) -> None:
        """Returns when the process behind an address is said to have ended."""
        await self.by_address[url].ended.wait()
        self.by_address[url].ended.clear()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIND_PERIOD_S", 0.0)
    monkeypatch.setattr(module, "_PROBE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(module, "PATIENCE_S", 0.1)
    monkeypatch.setattr(module, "LOST_AFTER_S", 0.2)
    monkeypatch.setattr(module, "_WATCH_PAUSE_S", 0.0)


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


async def test_a_model_is_replaced_in_all_or_in_none() -> None:
    names = NameService("a", "b")
    replicas = names.replicas()
    await replicas.info()
    a, b = names.by_address["a"], names.by_address["b"]
    b.refused = ModelRefused("there is no such folder")
    with pytest.raises(ModelRefused, match="no such folder"):
        await replicas.replace("new", "fake")
    assert (a.model, b.model, a.prepared) == (INFO, INFO, None)
    b.refused = None
    b.finds = {"new": "another"}
    with pytest.raises(ModelRefused, match="different models"):
        await replicas.replace("new", "fake")
    assert (a.model, b.model, a.prepared, b.prepared) == (INFO, INFO, None, None)
    b.finds, a.asked, b.asked = {}, [], []
    assert await replicas.replace("new", "fake") == 2
    assert a.asked == b.asked == [("prepare", "new", "fake"), ("activate", fingerprint("new"))]
    assert (await replicas.info())["version"] == "new"
    assert replicas.replicas == 2
    assert [each.fingerprint for each in await replicas.score([ITEM])] == [fingerprint("new")]
    assert [each.fingerprint for each in await replicas.score_previous([ITEM])] == [MODEL.fingerprint]
    await replicas.close()


class Models:
    """A `models.slot.Source` in which each reference is a version; loading waits until it may go on."""

    def __init__(self) -> None:
        self.loading, self.go_on = threading.Event(), threading.Event()

    def load(self, reference: str, spoof_label: str | None) -> Loaded:
        self.loading.set()
        assert self.go_on.wait(10)
        return Loaded(ModelInfo.from_dict(INFO | {"version": reference}), list)

    def admit(self, reference: str, spoof_label: str | None) -> None:
        pass


class WithSlot(Replica):
    """One with the slot of a runner."""

    def __init__(self) -> None:
        super().__init__()
        self.models = Models()
        self.slot = ModelSlot(self.models, keep_s=600)
        self.slot.current = Loaded(MODEL, list)

    async def info(self) -> dict[str, Any]:
        assert self.slot.current is not None
        return self.slot.current.info.to_dict()

    async def prepare(self, reference: str, spoof_label: str | None) -> str:
        try:
            return (await asyncio.to_thread(self.slot.prepare, reference, spoof_label)).fingerprint
        except ModelBusy as error:
            raise ModelRefused(str(error), busy=True) from error

    async def activate(self, wanted: str) -> bool:
        return self.slot.activate(wanted)


async def test_of_two_who_replace_a_model_at_one_time_the_first_does_so_in_all_replicas() -> None:
    names = NameService("a", "b")
    quick, slow = names.by_address["a"], names.by_address["b"] = WithSlot(), WithSlot()
    one, another = names.replicas(), names.replicas()  # of two processes of the service
    await one.info()
    await another.info()
    quick.models.go_on.set()
    first = asyncio.create_task(one.replace("new", None))
    assert await asyncio.to_thread(slow.models.loading.wait, 10)
    while not quick.slot.is_prepared:
        await asyncio.sleep(0.001)
    for reference in ("other", "new"):
        with pytest.raises(ModelRefused) as refusal:
            await another.replace(reference, None)
        assert refusal.value.busy
    slow.models.go_on.set()
    assert await first == 2
    assert (await another.info())["version"] == "new"
    assert another.replicas == 2
    await one.close()
    await another.close()


async def test_nobody_waits_for_the_model_of_a_replica_that_has_vanished() -> None:
    names = NameService("a")
    replicas = names.replicas()
    await replicas.info()
    names.by_address["a"].reachable.clear()
    replacing = asyncio.create_task(replicas.replace("new", None))
    async with asyncio.timeout(5):
        while not replacing.done():
            with contextlib.suppress(ConnectionError):
                await replicas.info()
    with pytest.raises(ConnectionError, match="stopped answering"):
        await replacing
    await replicas.close()


async def test_a_replica_that_ends_meanwhile_leaves_the_others_with_the_new_model() -> None:
    class Ending(Replica):
        async def activate(self, wanted: str) -> bool:
            raise ConnectionError("it has ended")

    names = NameService("a", "b")
    names.by_address["b"] = Ending()
    replicas = names.replicas()
    with pytest.raises(ConnectionError):
        await replicas.replace("new", None)
    await replicas.info()
    assert await replicas.replace("new", None) == 1
    names.addresses = ["b"]
    await replicas.info()
    with pytest.raises(ConnectionError, match="no replica replaced"):
        await replicas.replace("new", None)
    await replicas.close()
