"""Which pages may open a WebSocket: browsers allow any page to try, and send its origin; other programs send none."""

from collections.abc import Collection, Mapping

from bonafide.errors import Forbidden


def require_own_page(headers: Mapping[str, str], allowed: Collection[str]) -> None:
    """Refuses pages of other sites, which would call the service from the browser of whoever views them.

    Args:
        headers: of the handshake, by lower-case names.
        allowed: origins of other sites that are allowed, such as `https://app.example.com`.

    Raises:
        Forbidden: the page is neither the service's own nor of an allowed origin.
    """
    origin = headers.get("origin", "").lower().rstrip("/")
    if not origin or origin in allowed:
        return
    if origin.partition("://")[2] != headers.get("host", "").lower():
        raise Forbidden("pages of this origin may not open sockets; BONAFIDE_ALLOWED_ORIGINS names those that may")
