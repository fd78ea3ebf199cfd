"""HTTP and WebSocket: checks the key before a body is read or a socket is accepted. For gRPC: grpc_security.py."""

from collections.abc import Callable, Iterable
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bonafide.api.refusals import refusal
from bonafide.calls import Call
from bonafide.errors import BonafideError, Unavailable
from bonafide.security.access import Access
from bonafide.security.caller import set_caller
from bonafide.telemetry import refused

KEYS_PATH = "/.well-known/jwks.json"
"""Where the public keys of evidence are."""
OPEN = frozenset({"/", "/ui", "/livez", "/healthz", "/readyz", "/health", "/docs.json", "/schema.json", KEYS_PATH})
"""Health checks and descriptions of the service, without data of callers. All other paths require a key."""
OPEN_FOLDERS = ("/assets/", "/static_content/", "/ui/")
SUBPROTOCOL = "bonafide"
"""The service's reply to a browser that offers it beside its key; Chrome requires that an offer is chosen."""
KEY_SUBPROTOCOL = "bonafide.key."
"""Browsers cannot set a socket's headers: `new WebSocket(url, ["bonafide", "bonafide.key." + key])`."""
QUERY_KEY = "api_key"
REFUSAL_LIMIT_S = 10.0


def presented_keys(headers: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The keys in headers or metadata with lower-case names: those of `authorization`, else those of `x-api-key`.

    Args:
        headers: in any order; a name may come several times.
    """
    bearers, keys = set(), set()
    for name, value in headers:
        if name == "authorization":
            scheme, _, credentials = value.partition(" ")
            if scheme.lower() == "bearer":
                bearers.add(credentials.strip())
        elif name == "x-api-key":
            keys.add(value.strip())
    return frozenset(bearers - {""} or keys - {""})


class KeyGate:
    """ASGI middleware around everything BentoML serves, its own routes too: all paths but `OPEN` need a key.

    Args:
        app: the application behind it.
        access: checks keys; None while the service starts.
        metrics_moved: whether `/metrics` is served on a private port, and not here.
        signed: paths whose handlers require a signature instead.
        query_keys: paths that take the key as `?api_key=` too, if no header has one: what calls there has no other way.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Callable[[], Access | None],
        metrics_moved: bool = False,
        signed: frozenset[str] = frozenset(),
        query_keys: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._query_keys = query_keys
        self._signed = signed
        self._access = access
        self._metrics_moved = metrics_moved

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. Never raises: BentoML would not respond."""
        if scope["type"] not in ("http", "websocket") or _is_open(scope) or scope["path"] in self._signed:
            await self._app(scope, receive, send)
            return
        if self._metrics_moved and scope["path"] == "/metrics":
            await Response(status_code=404)(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            if (access := self._access()) is None:
                raise Unavailable("the service is starting")
            keys = presented_keys(headers.items()) or _offered_keys(scope) or self._keys_in_query(scope)
            set_caller(access.admit(keys))
        except BonafideError as error:
            call = Call.within(REFUSAL_LIMIT_S, request_id=headers.get("x-request-id"))
            refused(scope["type"], "access", call, error)
            await refuse(scope, receive, send, refusal(error, call))
            return
        await self._app(scope, receive, _choosing(scope, send))

    def _keys_in_query(self, scope: Scope) -> frozenset[str]:
        if scope["path"] not in self._query_keys:
            return frozenset()
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
        return frozenset(value for name, value in query if name == QUERY_KEY and value)


def _is_open(scope: Scope) -> bool:
    path = scope["path"]
    # A browser sends preflight requests without its key; the response has no content.
    preflight = scope["type"] == "http" and scope["method"] == "OPTIONS"
    return preflight or path in OPEN or path.startswith(OPEN_FOLDERS)


def _offered_keys(scope: Scope) -> frozenset[str]:
    offers = map(str, scope.get("subprotocols", ()))
    return frozenset(each.removeprefix(KEY_SUBPROTOCOL) for each in offers if each.startswith(KEY_SUBPROTOCOL))


async def refuse(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    """Responds to a request or a socket's handshake; closes the socket with 1008 where a server cannot respond."""
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
    else:
        await response(scope, receive, send)


def _choosing(scope: Scope, send: Send) -> Send:
    """Selects the service's subprotocol when an accepted socket's client offered it. The key is never sent back."""
    if SUBPROTOCOL not in scope.get("subprotocols", ()):
        return send

    async def choose(message: Message) -> None:
        if message["type"] == "websocket.accept" and message.get("subprotocol") is None:
            message = {**message, "subprotocol": SUBPROTOCOL}
        await send(message)

    return choose
