"""gRPC: from an accepted stream to a request message, within limits; what they forbid becomes a status.

gRPC itself waits for the message of a unary call without a limit, before any code of ours, and answers UNKNOWN to bytes
that are no message. So calls of all kinds are served as streams of raw messages, which looks the same to callers.
"""

from __future__ import annotations  # gRPC has its generic classes for type checkers only

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from google.protobuf.message import DecodeError

from bonafide.api.grpc_calls import Context, refuse
from bonafide.byte_budget import ByteBudget
from bonafide.decoders.slots import FairSlots
from bonafide.errors import BonafideError, DeadlineExceeded, InvalidRequest, Overloaded, TooLarge, Unavailable
from bonafide.security.caller import current_caller
from bonafide.security.fair_share import FairShare

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]

T = TypeVar("T")

STREAM_BYTES = 128 * 1024
"""What gRPC buffers for a stream of which nobody reads. A message up to this size is not counted anywhere else."""

_CANCEL_S = 0.05
"""Where the caller has left, or gRPC has refused a message, the call seems to end first and is then cancelled."""


@dataclass(frozen=True)
class Intake:
    """Limits of calls of one kind.

    Attributes:
        calls: open calls, shared by callers; without keys a connection is a caller.
        arriving: messages of unary calls that arrive at one time. gRPC does not tell how much of one is there.
        budget: bytes of these messages once they are there, while their calls last.
        idle_s: longest time for a message to arrive, seconds.
        largest: bytes of a message.
        pausing: methods whose stream of requests has an idle limit of its own.
        readers: by method, what is handed on of a message, instead of all of it.
    """

    calls: FairShare
    arriving: FairSlots
    budget: ByteBudget
    idle_s: float
    largest: int
    pausing: frozenset[str] = frozenset()
    readers: Mapping[str, Callable[[bytes], Any]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set, init=False)
    _leaving: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def guarded(self, method: str, handler: Handler) -> Handler:
        """The same handler within these limits.

        Args:
            method: "/package.Service/Method".
            handler: of any kind.
        """
        read = self.readers.get(method, handler.request_deserializer)
        idle_s = None if method in self.pausing else self.idle_s

        async def serve(_requests: object, context: Context) -> Any:
            caller = current_caller() or context.peer()
            try:
                with self.calls.hold(caller), self._in_progress():
                    async with AsyncExitStack() as held:
                        if handler.request_streaming:
                            messages = self._messages(context, idle_s, read)
                            request: Any = await held.enter_async_context(aclosing(messages))
                        else:
                            request = await self._message(context, caller, held, read)
                        return await _respond(handler, request, context)
            except BonafideError as error:
                await refuse(context, method.rpartition("/")[2], error, quiet=self._leaving.is_set())

        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(serve, None, handler.response_serializer)
        return grpc.stream_unary_rpc_method_handler(serve, None, handler.response_serializer)

    def end(self) -> None:
        """Ends the calls in progress: the service is going away."""
        self._leaving.set()
        for task in self._tasks:
            task.cancel()

    async def ended(self) -> None:
        """Returns when no call is in progress, its status sent."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    @contextmanager
    def _in_progress(self) -> Iterator[None]:
        """Keeps the call's task, which ends when the status is sent, for `end` and `ended`."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            yield
        except asyncio.CancelledError as error:
            if not self._leaving.is_set():
                raise
            task.uncancel()
            raise Unavailable("the service is going away") from error

    async def _message(
        self, context: Context, caller: str, held: AsyncExitStack, read: Callable[[bytes], Any] | None
    ) -> Any:
        """The request of a unary call; its bytes are counted until `held` ends."""
        async with AsyncExitStack() as place:
            try:
                async with asyncio.timeout(self.idle_s):
                    await place.enter_async_context(self.arriving.hold(caller))
            except TimeoutError as error:
                raise Overloaded("too many messages of other calls are arriving") from error
            raw = await _next(context, self.idle_s)
        if raw is None:
            await asyncio.sleep(_CANCEL_S)
            raise InvalidRequest("the call came without a message")
        if len(raw) > STREAM_BYTES:
            held.enter_context(self.budget.keep(len(raw), current_caller()))
        return self._decoded(raw, read)

    async def _messages(
        self, context: Context, idle_s: float | None, read: Callable[[bytes], Any] | None
    ) -> AsyncGenerator[Any, None]:
        """The requests of a stream."""
        while (raw := await _next(context, idle_s)) is not None:
            yield self._decoded(raw, read)

    def _decoded(self, raw: bytes, read: Callable[[bytes], Any] | None) -> Any:
        if len(raw) > self.largest:
            raise TooLarge(f"a message of {len(raw)} bytes; at most {self.largest} are accepted")
        return raw if read is None else parsed(raw, read)


class IntakeInterceptor(grpc.aio.ServerInterceptor):
    """Serves every method within the limits of its kind.

    Args:
        of_method: the limits for a method, "/package.Service/Method".
    """

    def __init__(self, of_method: Callable[[str], Intake]) -> None:
        self._of_method = of_method

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """See gRPC."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        return None if handler is None else self._of_method(method).guarded(method, handler)


def parsed(raw: bytes, parse: Callable[[bytes], T]) -> T:
    """The message that these bytes are.

    Raises:
        InvalidRequest: they are none.
    """
    try:
        return parse(raw)
    except DecodeError as error:
        raise InvalidRequest("the bytes are no message of this method, or a text in it is not UTF-8") from error


async def _next(context: Context, idle_s: float | None) -> bytes | None:
    """The next message of a call as bytes; None when its caller has sent all."""
    try:
        async with asyncio.timeout(idle_s):
            raw: Any = await context.read()
    except TimeoutError as error:
        raise DeadlineExceeded(f"no message came within {idle_s:g} s") from error
    return None if raw is grpc.aio.EOF else raw


async def _respond(handler: Handler, request: Any, context: Context) -> Any:
    """Runs the method, whose kind tells what it takes and gives; a streamed answer is written."""
    behaviours: Mapping[tuple[bool, bool], Any] = {
        (False, False): handler.unary_unary,
        (False, True): handler.unary_stream,
        (True, False): handler.stream_unary,
        (True, True): handler.stream_stream,
    }
    answer = behaviours[handler.request_streaming, handler.response_streaming](request, context)
    if not isinstance(answer, AsyncGenerator):
        return await answer
    async with aclosing(answer) as parts:
        async for part in parts:
            await context.write(part)
    return None
