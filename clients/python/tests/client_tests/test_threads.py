"""Blocking calls that are left behind."""

import asyncio
import threading
import time

import pytest

from bonafide_client.threads import in_thread


async def test_results_and_errors_come_back() -> None:
    assert await in_thread(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 7, 0)


def test_a_call_that_never_returns_does_not_hold_up_the_loops_end() -> None:
    release = threading.Event()

    async def give_up() -> None:
        await asyncio.wait_for(in_thread(release.wait, 30), 0.1)

    start = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    assert time.monotonic() - start < 5
    release.set()
