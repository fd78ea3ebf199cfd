"""Storage that is gone for minutes is waited for: an action is tried again until it succeeds, or patience ends."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar
from xml.etree.ElementTree import ParseError

from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from bonafide.errors import Unavailable

logger = logging.getLogger(__name__)
T = TypeVar("T")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
_FINAL_STATUSES = range(400, 429)


class StorageGone(Exception):
    """The storage did not answer for as long as one was ready to wait; what is committed stays."""


def patiently(action: Callable[[], T], patience_s: float, what: str) -> T:
    """The result of `action`, which is repeated while the storage fails.

    Raises:
        StorageGone: it failed for `patience_s` seconds, or refuses.
    """
    began, pause_s = time.monotonic(), FIRST_PAUSE_S
    while True:
        try:
            return action()
        except (MinioException, HTTPError, OSError, ParseError, Unavailable) as error:
            if _is_final(error) or time.monotonic() - began + pause_s > patience_s:
                raise StorageGone(f"{what}: {described(error)}") from error
            logger.warning("%s: %s; trying again", what, described(error))
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


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
    return isinstance(error, PermissionError | FileNotFoundError | NotADirectoryError)
