"""Keeps Starlette from redirecting paths that end in a slash, or lack one.

It names the scheme and the host that this process sees: behind a proxy that ends TLS, the caller would send recording
and key again, unencrypted.
"""

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class ExactPaths:
    """ASGI middleware around everything BentoML serves: what it would redirect to a whole address is not found.

    Args:
        app: the application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        redirected = False

        async def exact(message: Message) -> None:
            nonlocal redirected
            if message["type"] == "http.response.start":
                redirected = "://" in Headers(raw=message["headers"]).get("location", "")
                if redirected:
                    await PlainTextResponse("Not Found", status_code=404)(scope, receive, send)
            if not redirected:
                await send(message)

        await self._app(scope, receive, exact)
