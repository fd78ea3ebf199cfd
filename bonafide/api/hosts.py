"""HTTP and WebSocket: refuses a call with a host name that is not the server's, before any other check."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from bonafide.api.refusals import refusal
from bonafide.api.security import REFUSAL_LIMIT_S, refuse
from bonafide.calls import Call
from bonafide.errors import Forbidden
from bonafide.security.hosts import AllowedHosts
from bonafide.telemetry import refused


class HostGate:
    """ASGI middleware around everything BentoML serves.

    Args:
        app: the application behind it.
        hosts: makes the check, once; BentoML needs the middleware before the process has its socket.
    """

    def __init__(self, app: ASGIApp, hosts: Callable[[], AllowedHosts]) -> None:
        self._app = app
        self._hosts = hosts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. Never raises: BentoML would not respond."""
        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            server = scope.get("server")
            try:
                self._hosts.require(headers.getlist("host"), server[0] if server else None)
            except Forbidden as error:
                call = Call.within(REFUSAL_LIMIT_S, request_id=headers.get("x-request-id"))
                refused(scope["type"], "host", call, error)
                await refuse(scope, receive, send, refusal(error, call))
                return
        await self._app(scope, receive, send)
