"""Delivers verdicts on phone calls and the ends of jobs to URLs that the settings name or allow, and to no other."""

import asyncio
import hashlib
import hmac
import logging
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
import tenacity

from bonafide.settings import Settings
from bonafide.telemetry import WEBHOOKS

logger = logging.getLogger(__name__)

SIGNATURE_HEADER = "x-bonafide-signature"
_ATTEMPTS = 5
_FIRST_PAUSE_S = 0.5
_TIMEOUT_S = 10.0
_CLOSE_S = 5.0
_MAX_PENDING = 200
_CONNECTIONS = 8
_NO_ADDRESS = (httpx.InvalidURL, httpx.UnsupportedProtocol)


class _TransientFailure(Exception):
    """The receiver cannot be reached, or responded with a transient error."""


class Webhook:
    """Posts JSON documents, each in a task of its own; retries while the receiver fails.

    Args:
        url: where to, unless a document has a URL of its own.
        secret: signs each document, so that the receiver can verify the sender; empty: unsigned.
        first_pause_s: before the second attempt; it doubles with each.
        timeout_s: of an attempt, from its connection to the status of the answer.
        calls: that may be open at once: all may end in one moment, so there is room for the last document of each.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        first_pause_s: float = _FIRST_PAUSE_S,
        timeout_s: float = _TIMEOUT_S,
        calls: int = 0,
    ) -> None:
        self._url = url
        self._secret = secret.encode()
        self._pause = tenacity.wait_exponential(multiplier=first_pause_s)
        self._timeout_s = timeout_s
        self._room_for_last = calls
        self._places = asyncio.Semaphore(_CONNECTIONS)
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(None),  # its limits are of single reads; see `_attempt`
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
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
        secret = settings.webhook_secret.get_secret_value()
        return cls(str(settings.webhook_url), secret, calls=settings.live_max_sessions)

    def post(self, document: bytes, *, last: bool = False) -> None:
        """Delivers a document in the background; `last` says that it is the last of its call."""
        if len(self._pending) >= _MAX_PENDING + (self._room_for_last if last else 0):
            self._ended("dropped")
            return
        task = asyncio.create_task(self.deliver(document))
        self._pending.add(task)
        task.add_done_callback(self._posted)

    async def close(self, within_s: float = _CLOSE_S) -> None:
        """Waits for deliveries in progress, `within_s` seconds at most."""
        if self._pending:
            await asyncio.wait(self._pending, timeout=within_s)
        if left := list(self._pending):
            for task in left:
                task.cancel()
            await asyncio.wait(left)
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
        except _NO_ADDRESS as error:
            return self._ended("refused", type(error).__name__)
        return self._ended("delivered" if status < 300 else "refused", f"status {status}")

    async def _attempt(self, document: bytes, url: str) -> int:
        try:
            async with self._places, asyncio.timeout(self._timeout_s):
                status = await self._status(document, url)
        except _NO_ADDRESS:
            raise
        except (TimeoutError, httpx.HTTPError) as error:
            raise _TransientFailure(type(error).__name__) from error
        if status >= 500 or status == httpx.codes.TOO_MANY_REQUESTS:
            raise _TransientFailure(f"status {status}")
        return status

    async def _status(self, document: bytes, url: str) -> int:
        """Sends a document; of the answer only the head is read, so a connection serves one document."""
        headers = {"content-type": "application/json", "connection": "close"}
        if self._secret:
            headers[SIGNATURE_HEADER] = "sha256=" + hmac.new(self._secret, document, hashlib.sha256).hexdigest()
        async with self._http.stream("POST", url, content=document, headers=headers) as answer:
            return answer.status_code

    def _posted(self, task: asyncio.Task[str]) -> None:
        """Counts and logs a delivery that did not do so itself."""
        self._pending.discard(task)
        if task.cancelled():
            self._ended("failed", "this process ends")
        elif (error := task.exception()) is not None:
            self._ended("failed", repr(error))
            logger.error("a delivery has ended by a bug", exc_info=error)

    def _ended(self, outcome: str, cause: str = "") -> str:
        WEBHOOKS.labels(outcome).inc()
        if outcome != "delivered":
            logger.error("a verdict was not delivered", extra={"outcome": outcome, "cause": cause})
        return outcome
