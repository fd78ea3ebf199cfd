"""The response of HTTP, and of a refused handshake, to a call that fails; gRPC's is in grpc_calls.py."""

import math

from starlette.responses import JSONResponse, Response

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


def refusal(error: BonafideError, call: Call) -> Response:
    """The response to a call that fails."""
    headers = {"x-request-id": call.request_id}
    if isinstance(error, Overloaded):
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    body = {"code": error.code.value, "message": error.message, "request_id": call.request_id}
    return JSONResponse({"error": body}, status_code=STATUS[error.code], headers=headers)
