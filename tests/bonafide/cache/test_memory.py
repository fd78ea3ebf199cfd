"""The memory store stays below its bound, evicts old items, and keeps used ones."""

import asyncio
import tracemalloc
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.cache.memory import MemoryKeyValue


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


async def kept(store: MemoryKeyValue, *keys: str) -> list[str]:
    return [key for key, value in zip(keys, await store.get_many(keys), strict=True) if value is not None]


async def test_the_least_recently_used_goes_first() -> None:
    store = MemoryKeyValue(35_000, 60)
    await store.put_many([(key, bytes(10_000)) for key in "abc"])
    await store.get_many(["a"])
    await store.put_many([("d", bytes(10_000))])
    assert await kept(store, *"abcd") == ["a", "c", "d"]


async def test_an_item_over_the_bound_is_not_stored_and_pushes_nothing_out() -> None:
    store = MemoryKeyValue(35_000, 60)
    await store.put_many([("a", bytes(10_000)), ("b", bytes(35_000))])
    assert await kept(store, "a", "b") == ["a"]


async def test_an_item_replaced_by_one_over_the_bound_is_gone() -> None:
    store = MemoryKeyValue(35_000, 60)
    await store.put_many([("a", b"old"), ("a", bytes(35_000))])
    assert await kept(store, "a") == []
    assert store.used_bytes == 0


async def test_a_bound_of_zero_stores_nothing() -> None:
    store = MemoryKeyValue(0, 60)
    await store.put_many([("a", b"")])
    assert await kept(store, "a") == []


async def test_what_is_old_is_dropped_at_the_next_use_even_when_it_was_read() -> None:
    clock = Clock()
    store = MemoryKeyValue(1_000_000, 60, clock)
    await store.put_many([("a", b"1"), ("b", b"1")])
    clock.now_s = 30
    await store.put_many([("b", b"2")])
    clock.now_s = 59
    assert await kept(store, "a", "b") == ["a", "b"]
    clock.now_s = 60
    assert await kept(store, "a", "b") == ["b"]
    clock.now_s = 90
    await store.put_many([])
    assert store.used_bytes == 0


@pytest.mark.parametrize(("count", "size"), [(20_000, 12), (50, 128_000)])
async def test_the_bound_holds_for_the_process(count: int, size: int) -> None:
    bound = 4_000_000
    tracemalloc.start()
    try:
        store = MemoryKeyValue(bound, 60)
        for index in range(count):
            await store.put_many([(f"bonafide:7:0123456789abcdef0123456789abcdef:s:{index}", bytes(size))])
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.5 * bound < used < 1.1 * bound


operations = st.lists(
    st.tuples(st.sampled_from(["put", "get", "wait"]), st.sampled_from("abcdef"), st.integers(0, 3000)),
    max_size=60,
)


@given(operations=operations)
def test_whatever_happens_it_tells_the_last_value_or_nothing(operations: list[tuple[str, str, int]]) -> None:
    async def run() -> None:
        clock = Clock()
        bound = 6000
        store = MemoryKeyValue(bound, 50, clock)
        written: dict[str, tuple[bytes, float]] = {}
        for operation, key, number in operations:
            if operation == "put":
                value = bytes([number % 256]) * number
                await store.put_many([(key, value)])
                written[key] = (value, clock.now_s + 50)
            elif operation == "wait":
                clock.now_s += number / 100
            else:
                (found,) = await store.get_many([key])
                if found is not None:
                    assert written[key][0] == found
                    assert written[key][1] > clock.now_s
            assert 0 <= store.used_bytes <= bound
        await store.close()
        assert store.used_bytes == 0

    asyncio.run(run())


async def test_items_expire_while_nobody_calls() -> None:
    store = MemoryKeyValue(10**6, 0.05)
    await store.put_many([("first", b"x")])
    await asyncio.sleep(0.02)
    await store.put_many([("second", b"y")])
    async with asyncio.timeout(30):
        while store.used_bytes:
            await asyncio.sleep(0.01)
    await store.put_many([("third", b"z")])
    await store.close()
    assert store.used_bytes == 0
