"""Storage that is gone for minutes is waited for: an action is tried again until it succeeds, or patience ends."""

import errno
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from xml.etree.ElementTree import ParseError

from minio.error import MinioException, S3Error
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, wait_exponential
from urllib3.exceptions import HTTPError

from bonafide.errors import Unavailable
from scan.source import WrongUse

logger = logging.getLogger(__name__)
T = TypeVar("T")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0
_FAILURES = (MinioException, HTTPError, OSError, ParseError, Unavailable)
_FINAL_STATUSES = range(400, 429)
_FINAL_ERRORS = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
}


class StorageGone(Exception):
    """The storage did not answer for as long as one was ready to wait; what is committed stays."""


class _StopAfter:
    """Stops before a pause that would end so many seconds after the first failure, however long that took to come."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._failed_at = 0.0

    def __call__(self, state: RetryCallState) -> bool:
        now = state.outcome_timestamp or 0.0
        if state.attempt_number == 1:
            self._failed_at = now
        return now - self._failed_at + state.upcoming_sleep >= self._patience_s


def pauses(patience_s: float) -> dict[str, Any]:
    """How long tenacity pauses between attempts, and when it gives up: before a pause that would end after patience.

    For one action at a time.
    """
    return {
        "wait": wait_exponential(multiplier=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S),
        "stop": _StopAfter(patience_s),
        "reraise": True,
    }


def retried(action: Callable[[], T], patience_s: float, what: str) -> T:
    """The result of `action`, which is repeated while the storage fails.

    Raises:
        StorageGone: it failed for `patience_s` seconds.
        WrongUse: it refuses, which no waiting changes.
    """
    try:
        return Retrying(**_repeating(patience_s, what))(action)
    except _FAILURES as error:
        raise _ended(what, error) from error


async def retried_async(action: Callable[[], Awaitable[T]], patience_s: float, what: str) -> T:
    """As `retried`, of what is awaited."""
    try:
        return await AsyncRetrying(**_repeating(patience_s, what))(action)
    except _FAILURES as error:
        raise _ended(what, error) from error


def _repeating(patience_s: float, what: str) -> dict[str, Any]:
    def tell(state: RetryCallState) -> None:
        error = None if state.outcome is None else state.outcome.exception()
        if isinstance(error, _FAILURES):
            logger.warning("%s: %s; trying again", what, described(error))

    passing = retry_if_exception(lambda error: isinstance(error, _FAILURES) and not _is_final(error))
    return {"retry": passing, "before_sleep": tell, **pauses(patience_s)}


def _ended(what: str, error: Exception) -> Exception:
    return (WrongUse if _is_final(error) else StorageGone)(f"{what}: {described(error)}")


def described(error: Exception) -> str:
    """The error in a few words, without the address that was called."""
    if isinstance(error, S3Error):
        return f"{error.code}: {error.message}"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__


def _is_final(error: Exception) -> bool:
    """Whether the storage has answered, and will not answer otherwise."""
    if isinstance(error, S3Error):
        return error.response.status in _FINAL_STATUSES and error.code != "RequestTimeout"
    return isinstance(error, OSError) and error.errno in _FINAL_ERRORS
