"""The WebSocket under a live session: opened with key and TLS, its refusals and closures told as our errors."""

import contextlib
import json
import os
import ssl
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from ..connection import DEFAULT_LIVE_URL, Tls, is_local_host, key_to_send
from ..errors import (
    BonafideError,
    Forbidden,
    Internal,
    InvalidRequest,
    Overloaded,
    TooLarge,
    Unauthenticated,
    Unavailable,
    from_code,
    seconds,
)
from ..version import __version__

_OPEN_S, _CLOSE_S = 10.0, 3.0
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""A summary lists every window of a session: four hours in the shortest, of two channels and an ensemble, are 24 MB."""
_STATUS: dict[int, type[BonafideError]] = {
    401: Unauthenticated, 403: Forbidden, 429: Overloaded, 502: Unavailable, 503: Unavailable, 504: Unavailable,
}  # fmt: skip
_FINAL: dict[int, type[BonafideError]] = {
    1000: Unavailable, 1002: Internal, 1003: InvalidRequest, 1007: InvalidRequest, 1008: Unavailable, 1009: TooLarge,
}  # fmt: skip
"""Closures after which the same would only happen again."""


class _Connect(connect):
    """Follows no redirection: another host would get the audio, and by older releases of websockets the key."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """See `connect`."""
        return exc


class Channel:
    """Where the service is, and how it is reached.

    Raises:
        ValueError: an address, a key or a TLS file that can never work, or a key that would travel unencrypted.
        OSError: a file of `tls` cannot be read.
    """

    def __init__(self, url: str | None, api_key: str | None, tls: Tls | None, *, key_in_clear: bool) -> None:
        self.url = url or os.environ.get("BONAFIDE_LIVE_URL") or DEFAULT_LIVE_URL
        parts = urlsplit(self.url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError(f"{self.url!r} is no address of a WebSocket; give one such as {DEFAULT_LIVE_URL}")
        if parts.port == 0:  # one beyond the range of ports is a ValueError by itself
            raise ValueError(f"{self.url!r} has no port that can be called")
        if tls is not None and parts.scheme == "ws":
            raise ValueError(f"{self.url!r} is not encrypted, and TLS is asked for: give wss://")
        # An http_proxy in the environment is not meant for this machine itself.
        self._local = is_local_host(parts.hostname)
        encrypted = parts.scheme == "wss" or self._local
        api_key = key_to_send(api_key, parts.hostname, safe=encrypted or key_in_clear)
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._ssl = tls_context(tls or Tls()) if parts.scheme == "wss" else None

    async def open(self) -> ClientConnection:
        """Connects, once.

        Raises:
            BonafideError: why it was not possible.
        """
        try:
            return await _Connect(
                self.url,
                additional_headers=self._headers,
                user_agent_header=f"bonafide-client/{__version__}",
                ssl=self._ssl,
                proxy=None if self._local else True,
                compression=None,  # noise and speech do not shrink
                open_timeout=_OPEN_S,
                close_timeout=_CLOSE_S,
                max_size=_MAX_ANSWER_BYTES,
            )
        except InvalidStatus as error:
            raise _refusal(error) from error
        except InvalidURI as error:
            raise InvalidRequest(str(error)) from error
        except (OSError, WebSocketException) as error:
            raise Unavailable(f"no connection to {self.url}: {error or type(error).__name__}") from error


async def received(connection: ClientConnection) -> AsyncGenerator[str | bytes, None]:
    """What arrives, until the connection breaks in a way that another may mend.

    Raises:
        BonafideError: the service closed it for good, and why.
    """
    with contextlib.suppress(ConnectionClosed):
        while True:
            yield await connection.recv()
    if kind := _FINAL.get(connection.close_code or 0):
        reason = connection.close_reason or f"code {connection.close_code}"
        raise kind(f"the service closed the session: {reason}")


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The context for these files. Raises OSError when one cannot be read, ValueError when one holds something else."""
    tls.contents()
    context = ssl.create_default_context(cafile=tls.ca)
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    return context


def _refusal(error: InvalidStatus) -> BonafideError:
    """A refused handshake is an HTTP answer with the error as JSON, unless a proxy gave it."""
    status, headers = error.response.status_code, error.response.headers
    try:
        told = json.loads(error.response.body or b"")["error"]
        code, message, request_id = told["code"], told["message"], told["request_id"]
    except (ValueError, LookupError, TypeError):
        code, message, request_id = "", f"the handshake was refused with HTTP status {status}", ""
    retry_after_s = seconds(next(iter(headers.get_all("retry-after")), ""))
    if code:
        return from_code(code, message, request_id, retry_after_s=retry_after_s)
    return _STATUS.get(status, InvalidRequest)(message, retry_after_s=retry_after_s)
