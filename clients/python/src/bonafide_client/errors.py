"""The service's error table as exceptions; made from a gRPC status, or from the answer on a photo."""

import math
from collections.abc import Iterable
from typing import ClassVar, cast

import grpc

NEWER_OR_NONE = "it is newer than this client, or no Bonafide service"
"""What a service is whose answer cannot be understood."""


class BonafideError(Exception):
    """Base of all errors that the service, or the way to it, can cause. `message` is safe to show."""

    code: str = "internal"
    """The error's name in the service's table; the same on every transport."""
    retryable: ClassVar[bool] = False
    """Whether the same call may well succeed later."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        grpc_status: grpc.StatusCode = grpc.StatusCode.OK,
        request_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.grpc_status = grpc_status
        """OK when no status told of it: a photo's error travels in its answer."""
        self.request_id = request_id
        """Finds the call in the service's log; empty when the call never got there."""
        self.retry_after_s = retry_after_s
        """Seconds after which the service asks to be called again; None when it named none."""


class InvalidRequest(BonafideError):
    """A field is missing or malformed, or an encoding is wrong."""

    code = "invalid_request"


class UnreadableMedia(BonafideError):
    """Audio or an image that cannot be decoded, is empty, or holds no finite sample."""

    code = "unreadable_media"


class TooLarge(BonafideError):
    """More bytes, seconds, channels or pixels than the service's limits allow."""

    code = "too_large"


class ObjectNotFound(BonafideError):
    """No such bucket or object."""

    code = "object_not_found"


class Forbidden(BonafideError):
    """A bucket outside the service's allowed list."""

    code = "forbidden"


class Unauthenticated(BonafideError):
    """A missing or wrong key."""

    code = "unauthenticated"


class Overloaded(BonafideError):
    """The service has no capacity now; come again after `retry_after_s`."""

    code = "overloaded"
    retryable = True


class Unavailable(BonafideError):
    """The service, its storage or its model cannot be reached."""

    code = "unavailable"
    retryable = True


class DeadlineExceeded(BonafideError):
    """The call's deadline has passed."""

    code = "deadline_exceeded"
    retryable = True


class Internal(BonafideError):
    """A bug of the service, or an answer that this client does not understand."""

    code = "internal"


_ERRORS = (
    InvalidRequest, UnreadableMedia, TooLarge, ObjectNotFound, Forbidden, Unauthenticated, Overloaded,
    Unavailable, DeadlineExceeded, Internal,
)  # fmt: skip
_BY_CODE: dict[str, type[BonafideError]] = {error.code: error for error in _ERRORS}
# For statuses that gRPC itself or a proxy made, and for codes that are newer than this client.
_BY_STATUS: dict[grpc.StatusCode, type[BonafideError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: ObjectNotFound,
    grpc.StatusCode.PERMISSION_DENIED: Forbidden,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.CANCELLED: Unavailable,  # by the service: it is going away
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.OK: UnreadableMedia,
}


def from_status(
    status: grpc.StatusCode, details: str | None, trailers: Iterable[tuple[str, str | bytes]] | None
) -> BonafideError:
    """The error that a call's status, its details and its trailing metadata tell of."""
    found = {key: value for key, value in trailers or () if isinstance(value, str)}
    code = found.get("bonafide-error-code", "")
    message = details or status.name
    if not code and status is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in message:
        code = TooLarge.code  # said by gRPC, before the service saw the message: waiting will not help
    return from_code(code, message, found.get("x-request-id", ""), status, seconds(found.get("retry-after-s", "")))


def from_code(
    code: str,
    message: str,
    request_id: str,
    status: grpc.StatusCode = grpc.StatusCode.OK,
    retry_after_s: float | None = None,
) -> BonafideError:
    """The error with this code; with an unknown or empty one, that of the status, `code` kept as it is."""
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, Internal)
    return kind(message, code=code, grpc_status=status, request_id=request_id, retry_after_s=retry_after_s)


def from_rpc(error: grpc.RpcError) -> BonafideError:
    """The error behind what gRPC raised, from the blocking or the asyncio flavour."""
    trailers = cast(Iterable[tuple[str, str | bytes]] | None, error.trailing_metadata())
    return from_status(error.code(), error.details(), trailers)


def seconds(text: str) -> float | None:
    """How long a header asks to wait; None when it holds no time that can be waited."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
