import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from bonafide.byte_budget import ByteBudget
from bonafide.errors import Overloaded, TooLarge
from bonafide.settings import Settings


async def parts(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield b"x" * size


@pytest.mark.parametrize("largest", ["max_audio_bytes", "max_image_bytes"])
def test_it_has_room_for_the_largest_file(largest: str) -> None:
    limits: dict[str, Any] = {"max_audio_bytes": 1000, "max_image_bytes": 1000, "max_inflight_bytes": 1000}
    with ByteBudget.from_settings(Settings(**limits)).keep(1000):
        pass
    with pytest.raises(ValueError, match=f"BONAFIDE_MAX_INFLIGHT_BYTES must be at least BONAFIDE_{largest.upper()}, "):
        ByteBudget.from_settings(Settings(**limits | {largest: 1001}))


async def test_gathers_an_upload() -> None:
    async with ByteBudget(100).collect(parts(3, 0, 4), limit=10) as body:
        assert body == b"x" * 7


async def test_counts_what_comes_not_what_was_announced() -> None:
    with pytest.raises(TooLarge, match="over the limit of 10"):
        async with ByteBudget(100).collect(parts(6, 5), limit=10, declared=3):
            pass


async def test_refuses_by_the_announced_size_before_reading() -> None:
    read = False

    async def watched() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield b""

    with pytest.raises(TooLarge):
        async with ByteBudget(100).collect(watched(), limit=10, declared=11):
            pass
    assert not read


async def test_many_uploads_share_one_budget_and_give_it_back() -> None:
    budget = ByteBudget(10)
    async with budget.collect(parts(6), limit=10):
        with pytest.raises(Overloaded):
            async with budget.collect(parts(4, 1), limit=10):
                pass
        async with budget.collect(parts(4), limit=10):
            pass
    async with budget.collect(parts(10), limit=10):
        pass


async def test_a_stored_file_waits_for_room() -> None:
    budget = ByteBudget(10)
    entered = asyncio.Event()

    async def stored() -> None:
        async with budget.hold(50):  # larger than all: takes all
            entered.set()

    async with budget.collect(parts(1), limit=10):
        task = asyncio.create_task(stored())
        await asyncio.sleep(0.01)
        assert not entered.is_set()
    await asyncio.wait_for(task, 1)


async def test_an_upload_is_held_once_also_while_it_is_completed() -> None:
    tracemalloc.start()
    try:
        async with ByteBudget(10_000_000).collect(parts(*[100_000] * 40), limit=10_000_000) as body:
            _, peak = tracemalloc.get_traced_memory()
        assert peak < 1.3 * len(body)  # an array that grows has some reserve
    finally:
        tracemalloc.stop()


async def test_what_arrives_at_once_is_counted_with_the_rest() -> None:
    budget = ByteBudget(10)
    with budget.keep(6):
        with pytest.raises(Overloaded), budget.keep(5):
            pass
        async with budget.collect(parts(4), limit=10):
            pass
    with budget.keep(10):
        pass


async def test_who_empties_an_upload_still_gives_its_bytes_back() -> None:
    budget = ByteBudget(10)
    async with budget.collect(parts(6), limit=10) as body:
        body.clear()
        with pytest.raises(Overloaded), budget.keep(5):
            pass
    with budget.keep(10):
        pass


async def filled(budget: ByteBudget, caller: str, held: AsyncExitStack) -> int:
    """Uploads ten bytes at a time until there is no room for this caller; how many times."""
    count = 0
    while True:
        try:
            await held.enter_async_context(budget.collect(parts(10), limit=10, caller=caller))
        except Overloaded:
            return count
        count += 1


async def test_a_key_whose_uploads_do_not_end_leaves_room_to_others() -> None:
    budget = ByteBudget(1000)
    async with AsyncExitStack() as greedy:
        assert await filled(budget, "greedy", greedy) == 80
        with pytest.raises(Overloaded, match="your uploads"), budget.keep(10, "greedy"):
            pass
        async with budget.collect(parts(*[10] * 15), limit=150, caller="other"):
            pass
        with budget.keep(150, "other"), pytest.raises(Overloaded, match="your uploads"), budget.keep(30, "other"):
            pass
    with budget.keep(400, "greedy"), budget.keep(400, "greedy"):
        pass
    assert not budget._uploaded


async def test_one_upload_may_have_all_and_so_may_those_without_keys() -> None:
    budget = ByteBudget(1000)
    async with budget.collect(parts(*[10] * 100), limit=1000, caller="ann"):
        pass
    with budget.keep(500), budget.keep(500):
        pass
