"""Delivers verdicts on phone calls and the ends of jobs to URLs that the settings name or allow, and to no other."""

import asyncio
import hashlib
import hmac
import logging
from contextlib import suppress

import httpx
import tenacity

from bonafide.settings import Settings
from bonafide.telemetry import WEBHOOKS

logger = logging.getLogger(__name__)

SIGNATURE_HEADER = "x-bonafide-signature"
_ATTEMPTS = 5
_FIRST_PAUSE_S = 0.5
_TIMEOUT_S = 5.0
_MAX_PENDING = 200
_CONNECTIONS = 8


class _TransientFailure(Exception):
    """The receiver cannot be reached, or responded with a transient error."""


class Webhook:
    """Posts JSON documents, each in a task of its own; retries while the receiver fails.

    Args:
        url: where to, unless a document has a URL of its own.
        secret: signs each document, so that the receiver can verify the sender; empty: unsigned.
        first_pause_s: before the second attempt; it doubles with each.
    """

    def __init__(self, url: str, secret: str, first_pause_s: float = _FIRST_PAUSE_S) -> None:
        self._url = url
        self._secret = secret.encode()
        self._pause = tenacity.wait_exponential(multiplier=first_pause_s)
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(_TIMEOUT_S, pool=None),
            limits=httpx.Limits(max_connections=_CONNECTIONS),
            follow_redirects=False,
        )
        self._pending: set[asyncio.Task[str]] = set()
        for outcome in ("delivered", "refused", "failed", "dropped"):
            WEBHOOKS.labels(outcome)  # 0 from the start: Prometheus sees no rate in a series that begins with 1

    @classmethod
    def from_settings(cls, settings: Settings) -> "Webhook | None":
        """The webhook in the settings, if any."""
        if settings.webhook_url is None:
            return None
        return cls(str(settings.webhook_url), settings.webhook_secret.get_secret_value())

    def post(self, document: bytes) -> None:
        """Delivers a document in the background."""
        if len(self._pending) >= _MAX_PENDING:
            self._ended("dropped")
            return
        task = asyncio.create_task(self.deliver(document))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def close(self, within_s: float = _TIMEOUT_S) -> None:
        """Waits for deliveries in progress, `within_s` seconds at most."""
        if self._pending:
            await asyncio.wait(self._pending, timeout=within_s)
        for task in list(self._pending):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._http.aclose()

    async def deliver(self, document: bytes, url: str = "") -> str:
        """Delivers a document, and returns when that has succeeded or been given up.

        Args:
            document: JSON.
            url: where to, which the settings allow; empty: as `post`.

        Returns:
            "delivered", "refused" (a retry is of no use) or "failed".
        """
        attempts = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_TransientFailure),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=self._pause,
            reraise=True,
        )
        try:
            status: int = await attempts(self._attempt, document, url or self._url)
        except _TransientFailure as error:
            return self._ended("failed", str(error))
        return self._ended("delivered" if status < 400 else "refused", f"status {status}")

    async def _attempt(self, document: bytes, url: str) -> int:
        headers = {"content-type": "application/json"}
        if self._secret:
            headers[SIGNATURE_HEADER] = "sha256=" + hmac.new(self._secret, document, hashlib.sha256).hexdigest()
        try:
            answer = await self._http.post(url, content=document, headers=headers)
        except httpx.TransportError as error:
            raise _TransientFailure(type(error).__name__) from error
        if answer.status_code >= 500 or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise _TransientFailure(f"status {answer.status_code}")
        return answer.status_code

    def _ended(self, outcome: str, cause: str = "") -> str:
        WEBHOOKS.labels(outcome).inc()
        if outcome != "delivered":
            logger.error("a verdict was not delivered", extra={"outcome": outcome, "cause": cause})
        return outcome
