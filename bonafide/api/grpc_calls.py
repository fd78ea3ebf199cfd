"""A gRPC context as a `Call`, and an error as a gRPC status."""

import asyncio
from typing import Any, NoReturn

import grpc

from bonafide.calls import Call
from bonafide.errors import BonafideError, ErrorCode, Overloaded
from bonafide.telemetry import refused

STATUS = {
    ErrorCode.INVALID_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.UNREADABLE_MEDIA: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.OBJECT_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorCode.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    ErrorCode.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    ErrorCode.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    ErrorCode.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    ErrorCode.INTERNAL: grpc.StatusCode.INTERNAL,
}

Context = grpc.aio.ServicerContext[Any, Any]

_REFUSAL_LIMIT_S = 10.0
SETTLE_S = 30.0
"""Time that a slow reader has to read what was sent before a status, and the status."""


def begin(context: Context, limit_s: float, task_id: str = "") -> Call:
    """Makes a `Call` of a gRPC context; its request id is sent in the trailing metadata."""
    metadata = dict(context.invocation_metadata() or ())
    remaining = context.time_remaining()
    call = Call.within(
        limit_s if remaining is None else min(limit_s, remaining),
        request_id=str(metadata.get("x-request-id", "")),
        task_id=task_id,
    )
    context.set_trailing_metadata((("x-request-id", call.request_id),))
    return call


async def abort(context: Context, call: Call, error: BonafideError) -> NoReturn:
    """Ends the call with the error's status."""
    trailer = [("x-request-id", call.request_id), ("bonafide-error-code", error.code.value)]
    if isinstance(error, Overloaded):
        trailer.append(("retry-after-s", f"{error.retry_after_s:g}"))
    try:
        async with asyncio.timeout(SETTLE_S):
            await context.abort(STATUS[error.code], error.message, tuple(trailer))
    except TimeoutError:
        # Who reads nothing would keep its place for as long as it likes; this way gRPC drops the call.
        raise asyncio.CancelledError from error


async def refuse(context: Context, method: str, error: BonafideError, *, quiet: bool = False) -> NoReturn:
    """Ends a call outside its method with the error's status; counts and logs it unless `quiet`."""
    call = begin(context, _REFUSAL_LIMIT_S)
    if not quiet:
        refused("grpc", method, call, error)
    await abort(context, call, error)
