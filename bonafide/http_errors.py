"""An error as HTTP tells it, wherever it is written: in a response, a refused handshake, or below the application."""

import math
from typing import Any

from bonafide.calls import Call
from bonafide.errors import BonafideError, ErrorCode, Overloaded, Unauthenticated

STATUS = {
    ErrorCode.INVALID_REQUEST: 400,
    ErrorCode.UNREADABLE_MEDIA: 422,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorCode.OBJECT_NOT_FOUND: 404,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.OVERLOADED: 429,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.DEADLINE_EXCEEDED: 504,
    ErrorCode.INTERNAL: 500,
}


def headers_of(error: BonafideError, call: Call) -> dict[str, str]:
    """Headers of the response, beside those of its content."""
    headers = {"x-request-id": call.request_id}
    if isinstance(error, Overloaded):
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    return headers


def content_of(error: BonafideError, call: Call) -> dict[str, Any]:
    """The response's JSON."""
    return {"error": {"code": error.code.value, "message": error.message, "request_id": call.request_id}}
