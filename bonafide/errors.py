"""All errors that a caller can receive, as one small closed hierarchy. Each transport maps `ErrorCode` once.

The message of an error is written for the caller: it never contains secrets, paths or stack traces.
"""

from enum import StrEnum
from typing import ClassVar

from models.printable import printable


class ErrorCode(StrEnum):
    """The closed set of failures that a caller can receive; the value is the one used in JSON."""

    INVALID_REQUEST = "invalid_request"
    UNREADABLE_MEDIA = "unreadable_media"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    OBJECT_NOT_FOUND = "object_not_found"
    FORBIDDEN = "forbidden"
    UNAUTHENTICATED = "unauthenticated"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    INTERNAL = "internal"


class BonafideError(Exception):
    """Base of all errors that reach a caller. `message` is safe to show, and has printable characters alone."""

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL

    def __init__(self, message: str) -> None:
        self.message = printable(message)
        super().__init__(self.message)


class InvalidRequest(BonafideError):
    """A field is missing or malformed, or an encoding is wrong."""

    code = ErrorCode.INVALID_REQUEST


class UnreadableMedia(BonafideError):
    """Audio or an image that cannot be decoded, is empty, or holds no finite sample."""

    code = ErrorCode.UNREADABLE_MEDIA


class TooLarge(BonafideError):
    """More bytes, seconds, channels or pixels than the limits allow."""

    code = ErrorCode.TOO_LARGE


class UnsupportedMediaType(BonafideError):
    """A body of a content type that is not understood, or compressed."""

    code = ErrorCode.UNSUPPORTED_MEDIA_TYPE


class ObjectNotFound(BonafideError):
    """No such bucket or object."""

    code = ErrorCode.OBJECT_NOT_FOUND


class Forbidden(BonafideError):
    """A bucket outside the allowed list, or a web page or host name that may not call."""

    code = ErrorCode.FORBIDDEN


class Unauthenticated(BonafideError):
    """A missing or wrong key."""

    code = ErrorCode.UNAUTHENTICATED


class Overloaded(BonafideError):
    """No capacity now; the caller may retry after `retry_after_s` seconds."""

    code = ErrorCode.OVERLOADED

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(BonafideError):
    """The object storage or a runner cannot be reached."""

    code = ErrorCode.UNAVAILABLE


class ModelChanged(Unavailable):
    """The result is of another model than the one that the call began with; a retry succeeds."""


class DeadlineExceeded(BonafideError):
    """The caller's deadline, or the service's limit for a call, has passed."""

    code = ErrorCode.DEADLINE_EXCEEDED


class Internal(BonafideError):
    """A bug in the service; details are only in the log, with the request id."""

    code = ErrorCode.INTERNAL
