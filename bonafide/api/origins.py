"""Which pages of other sites may call from a browser, which sends their origin; other programs send none.

Any page may try to open a WebSocket, and browsers leave it to the server to refuse. They keep the answers of HTTP from
a page unless the server allows its origin (CORS), and ask before requests with a key.
"""

from collections.abc import Collection, Mapping

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from bonafide.errors import Forbidden
from bonafide.settings.types import normal_origin


def require_own_page(headers: Mapping[str, str], allowed: Collection[str]) -> None:
    """Refuses pages of other sites, which would call the service from the browser of whoever views them.

    Args:
        headers: of the handshake, by lower-case names.
        allowed: origins of other sites that are allowed, such as `https://app.example.com`.

    Raises:
        Forbidden: the page is neither the service's own nor of an allowed origin.
    """
    origin = normal_origin(headers.get("origin", ""))
    if not origin or origin in allowed:
        return
    if origin.partition("://")[2] != headers.get("host", "").lower():
        raise Forbidden("pages of this origin may not open sockets; BONAFIDE_ALLOWED_ORIGINS names those that may")


class AllowedPages(CORSMiddleware):
    """ASGI middleware around everything BentoML serves: lets pages of these origins read answers, of errors too.

    Args:
        app: the application behind it.
        origins: such as `https://app.example.com`.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST", "DELETE"),  # the last ends jobs
            allow_headers=(
                "authorization",
                "x-api-key",
                "x-request-id",
                "x-timeout-seconds",
                "x-channel-mode",
                "traceparent",
            ),
            expose_headers=("x-request-id", "retry-after"),
            allow_private_network=True,  # a service on loopback may be named by its operator too
        )

    def is_allowed_origin(self, origin: str) -> bool:
        """See Starlette."""
        return normal_origin(origin) in self.allow_origins
