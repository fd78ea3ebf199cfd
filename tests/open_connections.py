"""Fails the test whose event loop ends with open connections, and ends those that are being closed.

Python tells of their sockets where garbage happens to be collected, which may be in any later test of the process.
"""

from asyncio import _get_running_loop, sleep
from asyncio.selector_events import BaseSelectorEventLoop as Loop
from collections.abc import Generator
from typing import Any

import pytest

_left: list[str] = []
_close = Loop.close


def _checked_close(loop: Loop) -> None:
    if not loop.is_closed():
        transports: list[Any] = list(vars(loop)["_transports"].values())
        for transport in transports:
            if transport._sock is not None:
                if not transport.is_closing():  # else its owner has closed it, and what was written had not left yet
                    peer, protocol = transport.get_extra_info("peername"), transport.get_protocol()
                    _left.append(f"{transport} to {peer}, {protocol}")
                transport.abort()
        if _get_running_loop() is None:  # none can run within another
            loop.run_until_complete(sleep(0))  # what aborts
    _close(loop)


def taken() -> list[str]:
    """The connections that were left open since this was last called, one text each."""
    told = _left.copy()
    _left.clear()
    return told


def pytest_configure() -> None:
    Loop.close = _checked_close  # type: ignore[assignment, method-assign]


def pytest_unconfigure() -> None:
    Loop.close = _close  # type: ignore[method-assign]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    try:
        return (yield)
    finally:
        if told := taken():
            pytest.fail("\n".join(["open at the end of the event loop:", *told]), pytrace=False)
