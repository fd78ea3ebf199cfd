import asyncio

from bonafide.decoders.slots import FairSlots


async def test_no_caller_holds_them_all() -> None:
    slots, entered, leave = FairSlots(2), [], asyncio.Event()

    async def work(caller: str) -> None:
        async with slots.hold(caller):
            entered.append(caller)
            await leave.wait()

    many = [asyncio.create_task(work("many")) for _ in range(8)]
    await asyncio.sleep(0)
    assert entered == ["many", "many"]
    one = asyncio.create_task(work("one"))
    await asyncio.sleep(0)
    assert entered == ["many", "many", "one"]
    leave.set()
    await asyncio.gather(one, *many)
    assert entered.count("many") == 8


async def test_who_holds_the_fewest_is_next() -> None:
    slots, order = FairSlots(2, spare=0), []

    async def work(caller: str, leave: asyncio.Event | None = None) -> None:
        async with slots.hold(caller):
            order.append(caller)
            if leave is not None:
                await leave.wait()

    first, second = asyncio.Event(), asyncio.Event()
    tasks = [asyncio.create_task(work("a", first)), asyncio.create_task(work("a", second))]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(work(caller)) for caller in ("a", "a", "b")]
    await asyncio.sleep(0)
    first.set()
    await asyncio.gather(tasks[0], *tasks[2:])
    assert order == ["a", "a", "b", "a", "a"]
    second.set()
    await tasks[1]


async def test_who_gives_up_waiting_holds_nothing() -> None:
    slots = FairSlots(1, spare=0)
    async with slots.hold("a"):
        waiting = [asyncio.create_task(slots.hold(caller).__aenter__()) for caller in ("a", "b", "b")]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.gather(waiting[0], return_exceptions=True)
    waiting[1].cancel()  # its turn has come already
    await asyncio.gather(waiting[1], return_exceptions=True)
    await asyncio.wait_for(waiting[2], 1)
