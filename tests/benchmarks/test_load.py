import asyncio
import itertools
import time

from benchmarks.load import closed_loop_for


async def test_callers_begin_calls_until_the_time_is_up_and_wait_for_the_last() -> None:
    active, most, begun = 0, 0, 0.0
    started = time.perf_counter()

    async def call(number: int) -> None:
        nonlocal active, most, begun
        active, begun = active + 1, time.perf_counter() - started
        most = max(most, active)
        await asyncio.sleep(0.05)
        active -= 1

    phase = await closed_loop_for(call, itertools.count(), 0.2, 4)
    assert (active, most) == (0, 4)
    assert begun < 1
    assert phase.wall_s >= 0.2
    assert len(phase.latencies_s) >= 4
