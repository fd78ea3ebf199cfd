"""One connection: limits of time where a server says nothing, or a statement waits for another."""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from bonafide.feedback.database import Database, DatabaseFailed
from tests.proxy import Proxy, proxy_to

LIMIT_S = 0.5
ONE = ("SELECT 1", ())
MUCH_LATER_S = 20.0
"""For a busy machine."""


async def failed_after(database: Database, statement: str = "SELECT 1") -> float:
    began = time.monotonic()
    with pytest.raises(DatabaseFailed):
        await asyncio.to_thread(database.execute, (statement, ()))
    return time.monotonic() - began


@pytest.fixture
async def proxy(postgresql: str) -> AsyncIterator[Proxy]:
    port = urlsplit(postgresql).port
    assert port is not None
    async with proxy_to(port) as proxy:
        yield proxy


async def test_a_server_that_falls_silent_has_failed(postgresql: str, proxy: Proxy) -> None:
    with Database(f"postgresql://bonafide@{proxy.address}/postgres", limit_s=LIMIT_S) as database:
        assert await asyncio.to_thread(database.execute, ONE) == [(1,)]
        proxy.delay_s = 1_000.0
        assert await failed_after(database) < MUCH_LATER_S
        proxy.delay_s = 0.0
        assert await asyncio.to_thread(database.execute, ONE) == [(1,)]


async def test_a_statement_that_waits_for_a_lock_ends_in_the_server_too(postgresql: str) -> None:
    waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with Database(postgresql) as holder, Database(postgresql, limit_s=LIMIT_S) as database:
        holder.execute(("CREATE TABLE IF NOT EXISTS locked (a INTEGER)", ()))
        holder._connected().execute("LOCK TABLE locked")
        assert await failed_after(database, "SELECT * FROM locked") < MUCH_LATER_S
        async with asyncio.timeout(MUCH_LATER_S):
            while database.execute((waiting, ())) != [(0,)]:
                await asyncio.sleep(0.05)


async def test_without_a_limit_a_statement_takes_its_time(postgresql: str) -> None:
    with Database(postgresql) as database:
        assert await asyncio.to_thread(database.execute, ("SELECT 1 FROM pg_sleep(1)", ())) == [(1,)]
    with Database(postgresql, limit_s=LIMIT_S) as database:
        assert await failed_after(database, "SELECT pg_sleep(60)") < MUCH_LATER_S


async def test_a_connection_that_was_ended_meanwhile_is_opened_again(postgresql: str) -> None:
    """By a server that was started again, or a pooler that lets go of idle connections."""
    me = ("SELECT pg_backend_pid()", ())
    with Database(postgresql) as other, Database(postgresql, limit_s=MUCH_LATER_S) as database:
        ((before,),) = database.execute(me)
        other.execute(("SELECT pg_terminate_backend(?)", (before,)))
        async with asyncio.timeout(MUCH_LATER_S):
            while other.execute(("SELECT 1 FROM pg_stat_activity WHERE pid = ?", (before,))):
                await asyncio.sleep(0.01)
        ((after,),) = database.execute(me)
        assert after != before
        assert database.execute(me) == [(after,)], "a connection that is there stays"


def test_nothing_is_prepared_in_a_connection_that_a_pooler_may_give_to_others(postgresql: str) -> None:
    with Database(postgresql, limit_s=MUCH_LATER_S) as database:
        for _ in range(10):
            database.execute(ONE)
        assert database.execute(("SELECT COUNT(*) FROM pg_prepared_statements", ())) == [(0,)]
