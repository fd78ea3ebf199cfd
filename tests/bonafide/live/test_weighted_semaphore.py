import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.live.weighted_semaphore import WeightedSemaphore


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_comes_first_is_let_in_first_even_when_a_later_one_would_fit() -> None:
    gate = WeightedSemaphore(4)
    assert await gate.acquire(3) == 3
    order: list[str] = []

    async def enter(name: str, weight: int) -> None:
        await gate.acquire(weight)
        order.append(name)

    big = asyncio.create_task(enter("big", 3))
    await settle()
    small = asyncio.create_task(enter("small", 1))
    await settle()
    assert order == []
    gate.release(3)
    await asyncio.gather(big, small)
    assert order == ["big", "small"]


async def test_an_entry_over_the_capacity_takes_all_of_it() -> None:
    gate = WeightedSemaphore(4)
    assert await gate.acquire(100) == 4
    assert not gate.try_acquire(1)


async def test_a_cancelled_waiter_at_the_head_lets_the_next_one_in() -> None:
    gate = WeightedSemaphore(4)
    await gate.acquire(3)
    head = asyncio.create_task(gate.acquire(4))
    await settle()
    behind = asyncio.create_task(gate.acquire(1))
    await settle()
    assert not behind.done()
    head.cancel()
    assert await asyncio.wait_for(behind, 1) == 1


async def test_a_waiter_cancelled_in_the_moment_of_its_turn_gives_it_back() -> None:
    gate = WeightedSemaphore(1)
    await gate.acquire(1)
    waiter = asyncio.create_task(gate.acquire(1))
    await settle()
    gate.release(1)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert gate.try_acquire(1)


async def test_room_given_back_between_the_cancelling_and_its_being_noticed() -> None:
    gate = WeightedSemaphore(1)
    await gate.acquire(1)
    waiter = asyncio.create_task(gate.acquire(1))
    await settle()
    waiter.cancel()
    gate.release(1)
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert gate.try_acquire(1)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), capacity=st.integers(1, 6))
def test_nothing_leaks_whoever_is_cancelled(seed: int, capacity: int) -> None:
    async def run() -> None:
        rng = random.Random(seed)
        gate = WeightedSemaphore(capacity)
        inside = 0

        async def visit(weight: int) -> None:
            nonlocal inside
            taken = await gate.acquire(weight)
            try:
                inside += taken
                assert inside <= capacity
                await asyncio.sleep(0)
            finally:
                inside -= taken
                gate.release(taken)

        tasks = [asyncio.create_task(visit(rng.randint(1, 8))) for _ in range(30)]
        for task in rng.sample(tasks, 12):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert gate.try_acquire(capacity)

    asyncio.run(run())
