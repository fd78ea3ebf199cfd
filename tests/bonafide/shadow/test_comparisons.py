"""Comparisons: bounded in bytes, after a pause, a few at a time; nothing in them ends or delays what calls them."""

import asyncio
import logging

import pytest

from bonafide.errors import Unavailable
from bonafide.shadow.comparisons import Comparisons, Outcome
from tests.bonafide.shadow.shadowed import Seen, comparisons, done


async def agreed() -> Outcome:
    return Outcome.AGREED


async def test_bytes_are_held_until_the_comparison_has_ended() -> None:
    seen = Seen()
    work = comparisons(seen, max_bytes=10)
    assert work.hold(6)
    assert not work.hold(5)
    work.add(agreed, 6)
    assert not work.hold(5)
    await done(work)
    assert work.hold(10)
    assert seen.outcomes == {"agreed": 1}


async def test_nothing_is_scored_before_the_pause() -> None:
    seen = Seen()
    work = comparisons(seen, pause_s=0.05)
    work.add(agreed, 0)
    await asyncio.sleep(0.01)
    assert not seen.outcomes
    await done(work)
    assert seen.outcomes == {"agreed": 1}


async def test_a_few_run_at_a_time() -> None:
    running = most = 0

    async def slow() -> Outcome:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        return Outcome.CHANGED

    seen = Seen()
    work = comparisons(seen)
    for _ in range(12):
        work.add(slow, 0)
    await done(work)
    assert most == 4
    assert seen.outcomes == {"changed": 12}


async def test_failures_are_counted_and_the_first_of_a_series_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def gone() -> Outcome:
        raise Unavailable("nobody is there")

    async def endless() -> Outcome:
        await asyncio.sleep(60)
        raise AssertionError

    async def broken() -> Outcome:
        raise ZeroDivisionError

    seen = Seen()
    work: Comparisons = comparisons(seen, timeout_s=0.01)
    for each in (gone, gone, endless, agreed, gone, broken):
        work.add(each, 0)
        await done(work)
    assert seen.outcomes == {"failed": 5, "agreed": 1}
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.WARNING, logging.ERROR]


async def test_what_waits_when_the_service_ends_is_dropped() -> None:
    seen = Seen()
    work = comparisons(seen, pause_s=60.0, max_bytes=1)
    assert work.hold(1)
    work.add(agreed, 1)
    async with asyncio.timeout(5):
        await work.close()
    assert seen.outcomes == {"dropped": 1}
    assert work.hold(1)


async def test_the_share_is_chosen_by_chance() -> None:
    numbers = iter([0.0, 0.29, 0.3, 0.9])
    work = comparisons(Seen(), share=0.3, chance=lambda: next(numbers))
    assert [work.chosen() for _ in range(4)] == [True, True, False, False]
    assert not comparisons(Seen(), share=0.0).chosen()
    assert comparisons(Seen(), share=1.0).chosen()
