"""How a service ended a gRPC call that it refused."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any

import grpc
import pytest


async def refusal(call: Any, limit_s: float = 20) -> grpc.aio.AioRpcError:
    """Waits for the end of `call`, a unary one or a stream whose answers are read until then, and tells its status.

    The status is taken when the call ends: grpc.aio puts INTERNAL in its place where a message was
    still to be sent (https://github.com/grpc/grpc/issues/36066).
    """
    first: list[grpc.aio.AioRpcError] = []
    if isinstance(call, grpc.aio.Call):
        call.add_done_callback(lambda done: first.append(_error(done)))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await asyncio.wait_for(_ended(call), limit_s)
    return first[0] if first else raised.value


async def _ended(call: Any) -> None:
    if isinstance(call, Awaitable):
        await call
        return
    while await call.read() is not grpc.aio.EOF:
        pass


def _error(call: Any) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        code=_ready(call.code()),
        initial_metadata=grpc.aio.Metadata(),
        trailing_metadata=_ready(call.trailing_metadata()),
        details=_ready(call.details()),
    )


def _ready(answer: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that has nothing left to wait for."""
    try:
        answer.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a call that has ended has its status")
