import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.runner.batcher import Batcher


class Sender:
    """Returns the double of each item, as soon as it is released."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.requests: list[list[float]] = []

    async def send(self, items: list[float]) -> list[float]:
        self.requests.append(items)
        await self.open.wait()
        if -1.0 in items:
            raise OSError("gone")
        return [2 * item for item in items]


def batches(sender: Sender, size: float = 4, room: float = 8, weight: float = 1) -> Batcher[float, float]:
    return Batcher(sender.send, lambda _: weight, size=size, room=room)


async def test_while_there_is_room_everybody_goes_at_once_and_then_together() -> None:
    sender = Sender()
    queue = batches(sender)
    tasks = [asyncio.create_task(queue.submit([number])) for number in range(14)]
    await asyncio.sleep(0.01)
    assert sender.requests == [[number] for number in range(8)]
    sender.open.set()
    assert await asyncio.gather(*tasks) == [[2 * number] for number in range(14)]
    assert sender.requests[8:] == [[8, 9, 10, 11], [12, 13]]


async def test_light_items_fill_a_batch_in_greater_number() -> None:
    sender = Sender()
    queue = batches(sender, weight=0.25)
    tasks = [asyncio.create_task(queue.submit([number])) for number in range(64)]
    await asyncio.sleep(0.01)
    assert len(sender.requests) == 32
    sender.open.set()
    await asyncio.gather(*tasks)
    assert max(map(len, sender.requests)) == 16


async def test_a_call_with_more_than_there_is_room_goes_alone() -> None:
    sender = Sender()
    queue = batches(sender)
    small, large = (asyncio.create_task(queue.submit([1.0] * count)) for count in (1, 20))
    await asyncio.sleep(0.01)
    assert sender.requests == [[1.0]]
    sender.open.set()
    assert (await small, len(await large)) == ([2.0], 20)


async def test_an_error_reaches_those_who_were_sent_together_and_nobody_else() -> None:
    sender = Sender()
    queue = batches(sender, size=2, room=2)
    tasks = [asyncio.create_task(queue.submit([number])) for number in (0.0, 1.0, 12.0, -1.0, 14.0)]
    await asyncio.sleep(0.01)
    sender.open.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[:2] == [[0.0], [2.0]]
    assert results[4] == [28.0]
    failed = [index for index, result in enumerate(results) if isinstance(result, OSError)]
    assert 3 in failed
    assert set(failed) <= {2, 3}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.booleans(), st.integers(0, 3)), max_size=25),
    st.integers(1, 6),
    st.integers(1, 3),
)
def test_everybody_gets_their_own_answers_whatever_happens(
    calls: list[tuple[int, bool, int]], size: int, ahead: int
) -> None:
    async def run() -> None:
        on_their_way = 0

        async def send(items: list[float]) -> list[float]:
            nonlocal on_their_way
            on_their_way += len(items)
            assert on_their_way <= max(size * ahead, len(items))
            await asyncio.sleep(0)
            on_their_way -= len(items)
            return [2 * item for item in items]

        queue = Batcher(send, lambda _: 1.0, size=size, room=size * ahead)

        async def call(number: int, count: int, pause: int) -> None:
            for _ in range(pause):
                await asyncio.sleep(0)
            assert await queue.submit([float(number)] * count) == [2.0 * number] * count

        tasks = [asyncio.create_task(call(number, count, pause)) for number, (count, _, pause) in enumerate(calls)]
        await asyncio.sleep(0)
        for task, (_, leaves, _) in zip(tasks, calls, strict=True):
            if leaves:
                task.cancel()
        async with asyncio.timeout(60):
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result, (_, leaves, _) in zip(results, calls, strict=True):
            assert result is None or (leaves and isinstance(result, asyncio.CancelledError))

    asyncio.run(run())


async def test_more_room_lets_the_waiting_go() -> None:
    sender = Sender()
    queue = batches(sender, size=1, room=1)
    tasks = [asyncio.create_task(queue.submit([number])) for number in range(3)]
    await asyncio.sleep(0.01)
    assert len(sender.requests) == 1
    queue.resize(size=1, room=3)
    await asyncio.sleep(0.01)
    assert len(sender.requests) == 3
    sender.open.set()
    await asyncio.gather(*tasks)


async def test_who_is_cancelled_while_waiting_is_not_sent() -> None:
    sender = Sender()
    queue = batches(sender, size=1, room=1)
    first, second, third = (asyncio.create_task(queue.submit([number])) for number in range(3))
    await asyncio.sleep(0.01)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    sender.open.set()
    assert list(await asyncio.gather(first, third)) == [[0.0], [4.0]]
    assert sender.requests == [[0], [2]]
