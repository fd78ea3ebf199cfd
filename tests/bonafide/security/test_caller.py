"""The caller's name belongs to one call, is in its log lines, and does not depend on them."""

import asyncio

import structlog

from bonafide.security.access import ANONYMOUS
from bonafide.security.caller import current_caller, set_caller


async def test_a_call_without_a_key_is_anonymous() -> None:
    assert current_caller() == ANONYMOUS
    set_caller(ANONYMOUS)
    assert current_caller() == ANONYMOUS
    assert "caller" not in structlog.contextvars.get_contextvars()


async def test_each_call_has_its_own_caller() -> None:
    async def call(name: str) -> str:
        set_caller(name)
        await asyncio.sleep(0)
        return current_caller()

    assert list(await asyncio.gather(call("bank"), call("clinic"))) == ["bank", "clinic"]
    assert current_caller() == ANONYMOUS


async def test_tasks_of_a_call_have_its_caller() -> None:
    async def call() -> str:
        set_caller("bank")
        return await asyncio.create_task(part())

    async def part() -> str:
        return current_caller()

    assert await asyncio.create_task(call()) == "bank"


async def test_the_log_shows_the_caller_and_does_not_decide_it() -> None:
    set_caller("bank")
    assert structlog.contextvars.get_contextvars()["caller"] == "bank"
    structlog.contextvars.bind_contextvars(caller="somebody else")
    assert current_caller() == "bank"
    structlog.contextvars.clear_contextvars()
    assert current_caller() == "bank"
