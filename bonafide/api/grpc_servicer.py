"""gRPC: what the methods of all services share: deadline, observation, span, and errors as statuses."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from opentelemetry import propagate
from opentelemetry.trace import SpanKind, Tracer

from bonafide.api.grpc_calls import Context, abort, begin
from bonafide.app import App
from bonafide.calls import Call
from bonafide.errors import BonafideError, DeadlineExceeded
from bonafide.telemetry import observed

_ROUNDED_UP = 0.01
_ON_THE_WAY_S = 0.05


class Servicer:
    """Call handling that the services share."""

    def __init__(self, app: App, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    @asynccontextmanager
    async def _running(self, method: str, context: Context, call: Call) -> AsyncIterator[None]:
        """Runs a call under its deadline, observed, in a span that continues the caller's trace."""
        carrier = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        with self._tracer.start_as_current_span(
            method,
            context=propagate.extract(carrier),
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.method": method},
        ):
            async with observed("grpc", method, call):
                with _told_of_deadline(call):
                    async with call.time_limit():
                        yield

    @asynccontextmanager
    async def _call(self, method: str, context: Context, limit_s: float, task_id: str = "") -> AsyncIterator[Call]:
        """As `_running`; a `BonafideError` becomes a status."""
        call = begin(context, limit_s, task_id)
        try:
            async with self._running(method, context, call):
                yield call
        except BonafideError as error:
            await abort(context, call, error)


@contextmanager
def _told_of_deadline(call: Call) -> Iterator[None]:
    """At their deadline callers cancel, often before it has passed here: gRPC rounds it up by as much as 1 %.

    Raises:
        DeadlineExceeded: instead of such a cancellation, which would be counted as a caller who has left.
    """
    early_s = _ON_THE_WAY_S + _ROUNDED_UP * call.remaining_s
    try:
        yield
    except asyncio.CancelledError as error:
        if call.remaining_s > early_s:
            raise
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        task.uncancel()
        raise DeadlineExceeded("the deadline passed before the answer was ready") from error
