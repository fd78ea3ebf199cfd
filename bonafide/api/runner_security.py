"""A runner's HTTP: checks the service's token before anything is read, since BentoML unpickles request bodies."""

import hmac

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from bonafide.api.refusals import refusal
from bonafide.api.security import REFUSAL_LIMIT_S, refuse
from bonafide.calls import Call
from bonafide.errors import Unauthenticated
from bonafide.runner.remote import TOKEN_HEADER
from bonafide.telemetry import refused

OPEN = frozenset({"/livez", "/healthz", "/readyz", "/metrics"})
"""Probes and metrics, which read no body."""


class RunnerGate:
    """ASGI middleware around everything BentoML serves in a runner: all paths but `OPEN` need the token.

    Args:
        app: the application behind it.
        token: sent by the service; empty: none is required.
    """

    def __init__(self, app: ASGIApp, token: SecretStr) -> None:
        self._app = app
        self._token = token.get_secret_value().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. Never raises: BentoML would not respond."""
        if self._token and scope["type"] in ("http", "websocket") and scope["path"] not in OPEN:
            headers = Headers(scope=scope)
            if not hmac.compare_digest(headers.get(TOKEN_HEADER, "").encode(), self._token):
                error = Unauthenticated("the runner's token is missing or wrong (BONAFIDE_RUNNER_TOKEN)")
                call = Call.within(REFUSAL_LIMIT_S, request_id=headers.get("x-request-id"))
                refused(scope["type"], "runner", call, error)
                await refuse(scope, receive, send, refusal(error, call))
                return
        await self._app(scope, receive, send)
