"""The response of HTTP, and of a refused handshake, to a call that fails; gRPC's is in grpc_calls.py."""

from starlette.responses import JSONResponse, Response

from bonafide.calls import Call
from bonafide.errors import BonafideError
from bonafide.http_errors import STATUS, content_of, headers_of


def refusal(error: BonafideError, call: Call) -> Response:
    """The response to a call that fails."""
    return JSONResponse(content_of(error, call), status_code=STATUS[error.code], headers=headers_of(error, call))
