"""A model is replaced in all replicas of a runner, or in none."""

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from bonafide.errors import Unavailable
from bonafide.runner.remote import ModelRefused
from models.errors import ModelBusy
from models.info import ModelInfo
from models.slot import Loaded, ModelSlot
from tests.bonafide.fakes import INFO, MODEL
from tests.bonafide.runner.name_service import ITEM, NameService, Replica, fingerprint

pytestmark = pytest.mark.usefixtures("short_pauses")


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


async def test_who_replaces_a_model_is_told_when_too_few_replicas_took_it() -> None:
    names = NameService("a", "b", "c")
    slots = [WithSlot() for _ in range(3)]
    names.by_address.update(zip("abc", slots, strict=True))
    replicas = names.replicas()
    await replicas.info()
    for quick in slots[1:]:
        quick.models.go_on.set()
    replacing = asyncio.create_task(replicas.replace("new", None))
    while not all(quick.slot.is_prepared for quick in slots[1:]):
        await asyncio.sleep(0.001)
    for quick in slots[1:]:
        quick.slot.activate("")  # as when its time is up
    slots[0].models.go_on.set()
    with pytest.raises(Unavailable, match="2 of 3 replicas have kept their model"):
        await replacing
    assert (await replicas.info())["version"] == INFO["version"]
    slots[0].slot.previous = None
    assert await replicas.replace("new", None) == 3
    assert (await replicas.info())["version"] == "new"
    await replicas.close()


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
