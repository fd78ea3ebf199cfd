"""Fails when an upgrade of BentoML changes what `bonafide.bento.batching` corrects."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from bentoml._internal.marshal.dispatcher import CorkDispatcher, Optimizer

from bonafide.bento import batching
from bonafide.bento.batching import clamp_learned_wait, set_poll_interval

LONG = 0.4


@pytest.fixture
def optimizer() -> Iterator[Optimizer]:
    """BentoML's own, put back afterwards."""
    patched = Optimizer.log_outbound
    Optimizer.log_outbound = batching._log_outbound  # type: ignore[method-assign]
    yield Optimizer(max_latency=20.0)
    Optimizer.log_outbound = patched  # type: ignore[method-assign]


def burst(optimizer: Optimizer) -> None:
    """Batches of 55 ms that waited up to 0.8 s."""
    for number in range(50):
        optimizer.log_outbound(8, LONG * 2 * number / 50, 0.055)
    optimizer.trigger_refresh()  # type: ignore[no-untyped-call]


def test_left_alone_bentoml_learns_to_wait_as_long_as_a_burst_did(optimizer: Optimizer) -> None:
    burst(optimizer)
    assert optimizer.wait > LONG * 0.9


def test_clamped_it_does_not(optimizer: Optimizer) -> None:
    clamp_learned_wait(0.005)
    burst(optimizer)
    assert optimizer.wait == pytest.approx(0.005, rel=0.05)


def test_the_dispatcher_still_has_such_an_optimizer() -> None:
    dispatcher = CorkDispatcher(20_000, 8, fallback=lambda: None, get_batch_size=len)
    assert isinstance(dispatcher.optimizer, Optimizer)


def test_a_wait_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        clamp_learned_wait(0)


async def test_a_busy_engine_is_looked_at_no_more_often_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CorkDispatcher, "TICKET_INTERVAL", 0.001)
    set_poll_interval(0.05)
    looks = 0

    class Engine:
        def is_locked(self) -> bool:
            nonlocal looks
            looks += 1
            return True

    engine: Any = Engine()
    dispatcher: Any = CorkDispatcher(20_000, 8, shared_sema=engine, fallback=lambda: None, get_batch_size=lambda _: 1)
    call = asyncio.create_task(dispatcher(lambda batch: batch)(1))
    await asyncio.sleep(0.5)
    dispatcher.shutdown()
    await call
    assert 1 <= looks <= 11


def test_looking_without_a_pause_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        set_poll_interval(0)
