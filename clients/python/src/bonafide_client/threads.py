"""Blocking calls beside the event loop, such as reading a pipe, which may never return."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


async def in_thread(function: Callable[..., Result], *args: object) -> Result:
    """What the function returns or raises, from a daemon thread of its own.

    Cancelled, it leaves the thread behind: unlike one of `asyncio.to_thread`, it holds up the end of neither the loop
    nor the process.
    """
    done: Future[Result] = Future()

    def run() -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            done.set_result(function(*args))
        except BaseException as error:  # raised by whoever waits
            done.set_exception(error)

    threading.Thread(target=run, name="bonafide-read", daemon=True).start()
    return await asyncio.wrap_future(done)
