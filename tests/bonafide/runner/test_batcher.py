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


def batches(sender: Sender, size: float = 4, ahead: int = 2, weight: float = 1) -> Batcher[float, float]:
    return Batcher(sender.send, lambda _: weight, size=size, ahead=ahead)


async def test_the_first_go_at_once_and_those_who_wait_go_together() -> None:
    sender = Sender()
    queue = batches(sender)
    tasks = [asyncio.create_task(queue.submit([number])) for number in range(8)]
    await asyncio.sleep(0.01)
    assert sender.requests == [[0], [1]]
    sender.open.set()
    assert await asyncio.gather(*tasks) == [[2 * number] for number in range(8)]
    assert sender.requests[2:] == [[2, 3, 4, 5], [6, 7]]


async def test_callers_who_come_again_and_again_fill_the_requests() -> None:
    sizes = []

    async def send(items: list[float]) -> list[float]:
        sizes.append(len(items))
        await asyncio.sleep(0.001)
        return items

    queue: Batcher[float, float] = Batcher(send, lambda _: 1.0, size=4, ahead=2)

    async def caller() -> None:
        for _ in range(20):
            await queue.submit([1.0])

    await asyncio.gather(*(caller() for _ in range(8)))
    assert sum(sizes) == 160
    assert len(sizes) <= 45  # 40 if all of them were full


async def test_the_many_calls_of_one_caller_delay_no_other_caller() -> None:
    sender = Sender()
    queue = batches(sender, ahead=1)
    sender.open.set()
    many = [asyncio.create_task(queue.submit([1.0] * 4, "ann")) for _ in range(20)]
    await asyncio.sleep(0)
    few = [asyncio.create_task(queue.submit([number] * 2, "bob")) for number in (2.0, 3.0, 4.0)]
    await asyncio.gather(*many, *few)
    turns = [request[0] for request in sender.requests]
    assert turns[:8] == [1.0, 2.0, 1.0, 4.0, 1.0, 1.0, 1.0, 1.0]
    assert sender.requests[1] == [2.0, 2.0, 3.0, 3.0]


async def test_the_calls_of_one_caller_go_in_the_order_in_which_they_came() -> None:
    sender = Sender()
    queue = batches(sender, size=1, ahead=1)
    tasks = [asyncio.create_task(queue.submit([float(number)], "ann")) for number in range(9)]
    await asyncio.sleep(0.01)
    tasks[4].cancel()
    sender.open.set()
    await asyncio.wait(tasks)
    assert sender.requests == [[number] for number in range(9) if number != 4]


async def test_light_items_fill_a_batch_in_greater_number() -> None:
    sender = Sender()
    queue = batches(sender, weight=0.25)
    tasks = [asyncio.create_task(queue.submit([number])) for number in range(64)]
    await asyncio.sleep(0.01)
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
    queue = batches(sender, size=2, ahead=1)
    tasks = [asyncio.create_task(queue.submit([number])) for number in (0.0, 1.0, 12.0, -1.0, 14.0)]
    await asyncio.sleep(0.01)
    sender.open.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sender.requests == [[0.0], [1.0, 12.0], [-1.0, 14.0]]
    assert results[:3] == [[0.0], [2.0], [24.0]]
    assert [type(result) for result in results[3:]] == [OSError, OSError]


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
        on_their_way = requests = 0

        async def send(items: list[float]) -> list[float]:
            nonlocal on_their_way, requests
            on_their_way += len(items)
            requests += 1
            assert on_their_way <= max(size * ahead, len(items))
            assert requests <= ahead
            await asyncio.sleep(0)
            on_their_way -= len(items)
            requests -= 1
            return [2 * item for item in items]

        queue = Batcher(send, lambda _: 1.0, size=size, ahead=ahead)

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


async def test_more_requests_let_the_waiting_go() -> None:
    sender = Sender()
    queue = batches(sender, size=1, ahead=1)
    tasks = [asyncio.create_task(queue.submit([number])) for number in range(3)]
    await asyncio.sleep(0.01)
    assert len(sender.requests) == 1
    queue.resize(size=1, ahead=3)
    await asyncio.sleep(0.01)
    assert len(sender.requests) == 3
    sender.open.set()
    await asyncio.gather(*tasks)


async def test_who_is_cancelled_while_waiting_is_not_sent() -> None:
    sender = Sender()
    queue = batches(sender, size=1, ahead=1)
    first, second, third = (asyncio.create_task(queue.submit([number])) for number in range(3))
    await asyncio.sleep(0.01)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    sender.open.set()
    assert list(await asyncio.gather(first, third)) == [[0.0], [4.0]]
    assert sender.requests == [[0], [2]]
