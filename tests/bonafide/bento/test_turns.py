import asyncio
import time

import pytest

from bonafide.bento.turns import TURNS_S, Turns


async def test_work_is_done_in_turn_and_others_run_between() -> None:
    turns, done, between = Turns(), [], 0
    left = {"a": 40, "b": 20}

    def work(name: str) -> bool:
        time.sleep(TURNS_S / 4)
        done.append(name)
        left[name] -= 1
        return left[name] > 0

    turns.ask(lambda: work("a"))
    turns.ask(lambda: work("b"))
    while any(left.values()):
        await asyncio.sleep(0)
        between += 1
    assert done[:6] == ["a", "b"] * 3
    assert between >= 10


async def test_work_that_fails_does_not_stop_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    turns, done = Turns(), asyncio.Event()

    def fails() -> bool:
        raise ValueError("wrong")

    def works() -> bool:
        done.set()
        return False

    turns.ask(fails)
    turns.ask(works)
    await asyncio.wait_for(done.wait(), 5)
    assert "wrong" in caplog.text
