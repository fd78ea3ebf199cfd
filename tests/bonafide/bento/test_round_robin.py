import asyncio
import time

import pytest

from bonafide.bento.round_robin import SLICE_S, RoundRobin


async def test_work_is_done_in_turn_and_others_run_between() -> None:
    scheduler, done, between = RoundRobin(), [], 0
    left = {"a": 40, "b": 20}

    def work(name: str) -> bool:
        time.sleep(SLICE_S / 4)
        done.append(name)
        left[name] -= 1
        return left[name] > 0

    scheduler.submit(lambda: work("a"))
    scheduler.submit(lambda: work("b"))
    while any(left.values()):
        await asyncio.sleep(0)
        between += 1
    assert done[:6] == ["a", "b"] * 3
    assert between >= 10


async def test_work_that_fails_does_not_stop_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    scheduler, done = RoundRobin(), asyncio.Event()

    def fails() -> bool:
        raise ValueError("wrong")

    def works() -> bool:
        done.set()
        return False

    scheduler.submit(fails)
    scheduler.submit(works)
    await asyncio.wait_for(done.wait(), 5)
    assert "wrong" in caplog.text
