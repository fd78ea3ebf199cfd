"""Keeps Starlette from redirecting paths that end in a slash, or lack one, and from routing those with a line break.

A redirection names the scheme and the host that this process sees: behind a proxy that ends TLS, the caller would send
recording and key again, unencrypted. What routes look for ends in `$`, so that `/metrics%0A` would be `/metrics`,
and another path to whatever guards that.
"""

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bonafide.api.security import refuse


class ExactPaths:
    """ASGI middleware around everything BentoML serves: what is no path of a route as it stands is not found.

    Args:
        app: the application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] in ("http", "websocket") and scope["path"].endswith("\n"):
            await refuse(scope, receive, send, _not_found())
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        redirected = False

        async def exact(message: Message) -> None:
            nonlocal redirected
            if message["type"] == "http.response.start":
                redirected = "://" in Headers(raw=message["headers"]).get("location", "")
                if redirected:
                    await _not_found()(scope, receive, send)
            if not redirected:
                await send(message)

        await self._app(scope, receive, exact)


def _not_found() -> PlainTextResponse:
    return PlainTextResponse("Not Found", status_code=404)
