import asyncio
import random
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


class StoredFiles:
    """Stored files that are held until they are let go."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.held: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def want(self, name: str, size: int, caller: str = "") -> None:
        """Returns when it is held, or waits."""
        self._ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._hold(name, size, caller))
        await settled()

    async def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
        await settled()

    async def _hold(self, name: str, size: int, caller: str) -> None:
        async with self._budget.hold(size, caller):
            self.held.append(name)
            await self._ends[name].wait()
        self.held.remove(name)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_many_stored_files_leave_room_to_uploads_and_to_those_of_another_key() -> None:
    budget = ByteBudget(1000)
    stored = StoredFiles(budget)
    for number in range(60):
        await stored.want(f"ann-{number}", 250, "ann")
    assert stored.held == ["ann-0", "ann-1", "ann-2"]
    with budget.keep(200), budget.keep(50, "ann"):
        pass
    await stored.want("bob-0", 240, "bob")
    await stored.want("bob-1", 10, "bob")
    assert stored.held == ["ann-0", "ann-1", "ann-2", "bob-0"]
    await stored.end("bob-0")
    assert stored.held == ["ann-0", "ann-1", "ann-2", "bob-1"]
    await stored.end("ann-1")
    assert stored.held == ["ann-0", "ann-2", "bob-1"], "of ann's the next would leave too little"
    await stored.end("bob-1")
    assert stored.held == ["ann-0", "ann-2", "ann-3"]
    await stored.end("ann-0", "ann-2", *(f"ann-{number}" for number in range(3, 60)))
    await asyncio.gather(*stored.tasks.values())
    assert not budget._stored
    with budget.keep(1000):
        pass


async def test_uploads_leave_room_to_the_stored_file_whose_turn_is_next() -> None:
    budget = ByteBudget(1000)
    stored = StoredFiles(budget)
    with budget.keep(700):
        await stored.want("large", 400)
        with pytest.raises(Overloaded), budget.keep(100):
            pass
    await settled()
    assert stored.held == ["large"]
    with budget.keep(600):
        await stored.want("other", 400)
        assert stored.held == ["large"]
        await stored.end("large")
        assert stored.held == ["other"]
    await stored.end("other")


async def test_one_stored_file_may_have_all() -> None:
    budget = ByteBudget(1000)
    stored = StoredFiles(budget)
    await stored.want("a", 5000)
    await stored.want("b", 900)
    await stored.want("c", 900)
    assert stored.held == ["a"]
    await stored.end("a")
    assert stored.held == ["b"]
    await stored.end("b")
    assert stored.held == ["c"]
    await stored.end("c")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["", "a", "b"]), st.booleans(), st.booleans()), max_size=25),
    st.integers(0, 2**32),
)
def test_nothing_leaks_and_nobody_waits_for_ever(files: list[tuple[int, str, bool, bool]], seed: int) -> None:
    rng = random.Random(seed)

    async def run() -> None:
        budget = ByteBudget(10)
        held = 0

        async def visit(size: int, caller: str, uploaded: bool) -> None:
            nonlocal held
            async with AsyncExitStack() as inside:
                if uploaded:
                    await inside.enter_async_context(budget.collect(parts(size), limit=10, caller=caller))
                else:
                    await inside.enter_async_context(budget.hold(size, caller))
                held += min(size, 10)
                try:
                    assert held <= 10
                    for _ in range(rng.randrange(4)):
                        await asyncio.sleep(0)
                finally:
                    held -= min(size, 10)

        tasks = []
        for size, caller, uploaded, leaves in files:
            tasks.append(asyncio.create_task(visit(size, caller, uploaded)))
            for _ in range(rng.randrange(3)):
                await asyncio.sleep(0)
            if leaves:
                rng.choice(tasks).cancel()
        async with asyncio.timeout(10):
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [each for each in ended if isinstance(each, AssertionError)]
        assert budget._free == 10
        assert [*budget._stored, *budget._uploaded, *budget._waiting] == []

    asyncio.run(run())
