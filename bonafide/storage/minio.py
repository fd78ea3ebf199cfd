"""Objects in MinIO or S3, through the blocking `minio` client in a few threads of its own.

In: a bucket and a key. Out: the bytes, streamed under a limit. Depends on storage, errors, settings.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TypeVar
from xml.etree.ElementTree import ParseError

import certifi
import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter
from urllib3.exceptions import HTTPError

from bonafide.errors import BonafideError, Forbidden, InvalidRequest, ObjectNotFound, Unavailable
from bonafide.media_digest import MediaDigest
from bonafide.settings import Settings
from bonafide.storage.store import ObjectStat, check_location, check_prefix, check_size
from bonafide.storage.threads import StoppableThreads, Stopped, Take, collect, hashed

logger = logging.getLogger(__name__)

T = TypeVar("T")
_THREADS = 16
_ABSENT = {"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "ResourceNotFound"}
# The service's own credentials are wrong: not the caller's fault, and not shown to the caller.
_OUR_FAULT = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "ExpiredToken"}


class _Transient(Exception):
    """A transient failure; its text is for the log."""


def open_client(settings: Settings) -> tuple[Minio, urllib3.PoolManager]:
    """A client of the endpoint in the settings, which tries once, and its connections. Opens none yet."""
    scheme, _, host = (settings.minio_endpoint or "").rpartition("://")
    secure = scheme == "https" if scheme else settings.minio_secure
    http = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=settings.storage_timeout_s, read=settings.storage_timeout_s),
        maxsize=_THREADS,
        retries=False,  # own retries, which can be cancelled
        cert_reqs="CERT_REQUIRED",
        ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
    )
    client = Minio(
        host,
        access_key=settings.minio_access_key.get_secret_value(),
        secret_key=settings.minio_secret_key.get_secret_value(),
        secure=secure,
        http_client=http,
    )
    return client, http


class MinioStore:
    """An `ObjectStore` on MinIO, or on any S3 server.

    Args:
        settings: the server, and which buckets may be read.
        max_bytes: of an object; None: of a recording.
    """

    def __init__(self, settings: Settings, max_bytes: int | None = None) -> None:
        self._allowed_buckets = settings.allowed_buckets
        self._max_bytes = settings.max_audio_bytes if max_bytes is None else max_bytes
        self._attempts = settings.storage_retries + 1
        self._client, self._http = open_client(settings)
        self._threads = StoppableThreads(_THREADS, "minio")

    async def stat(self, bucket: str, key: str) -> ObjectStat:
        """See `ObjectStore.stat`."""
        check_location(bucket, key, self._allowed_buckets)

        def work(stop: threading.Event) -> ObjectStat:
            return _describe(bucket, key, self._client.stat_object(bucket, key).metadata or {})

        found = await self._retrying(work, bucket, key)
        check_size(found.size, self._max_bytes)
        return found

    async def read(self, bucket: str, key: str, expected: ObjectStat) -> bytearray:
        """See `ObjectStore.read`."""
        _, content = await self._read(bucket, key, expected, collect, len)
        return content

    async def fetch(self, bucket: str, key: str) -> tuple[ObjectStat, bytearray]:
        """See `ObjectStore.fetch`."""
        return await self._read(bucket, key, None, collect, len)

    async def digest(self, bucket: str, key: str, expected: ObjectStat) -> MediaDigest:
        """See `ObjectStore.digest`."""
        _, digest = await self._read(bucket, key, expected, hashed, lambda digest: digest.length)
        return digest

    async def _read(
        self, bucket: str, key: str, expected: ObjectStat | None, take: Take[T], length: Callable[[T], int]
    ) -> tuple[ObjectStat, T]:
        """The object and what is taken of it; `expected`: None if it may be any."""
        check_location(bucket, key, self._allowed_buckets)
        if expected is not None:
            check_size(expected.size, self._max_bytes)

        def work(stop: threading.Event) -> tuple[ObjectStat, T] | None:
            response = self._client.get_object(bucket, key)
            try:
                # read1 returns the bytes that have arrived, so that a slow transfer notices a cancelled call.
                def read_some(size: int) -> bytes:
                    return response.read1(size, decode_content=False) or b""

                found = _describe(bucket, key, response.headers)
                if expected is not None and found != expected:
                    # The HTTP client accepts truncated headers; the body then fails.
                    read_some(1)
                    return None
                check_size(found.size, self._max_bytes)
                content = take(read_some, found.size, stop)
                return (found, content) if length(content) == found.size else None
            finally:
                # Read to its end, the connection is back in the pool by now; otherwise it cannot be reused.
                response.close()

        taken = await self._retrying(work, bucket, key)
        if taken is None:
            raise Unavailable("the object changed while it was read, try again")
        return taken

    async def keys(self, bucket: str, prefix: str, after: str, count: int) -> list[str]:
        """See `ObjectStore.keys`; one request for each thousand of them."""
        check_prefix(bucket, prefix, self._allowed_buckets)

        def work(stop: threading.Event) -> list[str]:
            found: list[str] = []
            listing = self._client.list_objects(bucket, prefix=prefix, recursive=True, start_after=after)
            for each in listing:
                if stop.is_set():
                    raise Stopped
                name = each.object_name or ""
                if name and not name.endswith("/"):
                    found.append(name)
                if len(found) == count:
                    break
            return found

        return await self._retrying(work, bucket, prefix)

    async def close(self) -> None:
        """See `ObjectStore.close`; waits for one socket timeout at most."""
        await self._threads.close()
        self._http.clear()

    async def _retrying(self, work: Callable[[threading.Event], T], bucket: str, key: str) -> T:
        def attempt(stop: threading.Event) -> T:
            try:
                return work(stop)
            except (MinioException, HTTPError, OSError, ParseError, ValueError) as error:
                raise _translated(error, bucket, key) from error

        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._attempts),
            wait=wait_exponential_jitter(multiplier=0.1, max=2.0, jitter=0.1),
            retry=retry_if_exception_type(_Transient),
            reraise=True,
        )
        try:
            return await retrying(self._threads.run, attempt)
        except _Transient as error:
            logger.warning("the object storage failed %d times, at last: %s", self._attempts, error)
            raise Unavailable("the object storage does not answer, try again later") from None


def _describe(bucket: str, key: str, headers: Mapping[str, str]) -> ObjectStat:
    """The description of an object in the headers of a HEAD or GET.

    The etag alone is not enough: it is usually an MD5, and two recordings with one MD5 can be constructed.
    """
    try:
        size, etag, modified = int(headers["content-length"]), headers["etag"], headers["last-modified"]
    except KeyError as error:
        raise ValueError(f"an answer without {error}") from None
    if size < 0:
        raise ValueError("an answer with a negative content-length")
    facts = (bucket, key, size, etag, modified, headers.get("x-amz-version-id"))
    digest = hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()
    return ObjectStat(f"s3-{digest}", size, etag=etag.strip('"'), modified=_seconds(modified))


def _seconds(date: str) -> float:
    """Seconds since 1970 of an HTTP date; 0 for anything else."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return 0.0


def _translated(error: Exception, bucket: str, key: str) -> BonafideError | _Transient:
    """The error for the caller, or `_Transient` if a retry may succeed."""
    if isinstance(error, S3Error):
        status, code = error.response.status, error.code or ""
    elif isinstance(error, ServerError):
        status, code = error.status_code, ""
    elif isinstance(error, InvalidResponseError):
        status, code = error._code, ""
    else:
        # No response, a truncated one, or one that is not S3.
        return _Transient(f"{type(error).__name__}: {error}")
    if status >= 500 or status == 429 or code in ("SlowDown", "RequestTimeout"):
        return _Transient(f"HTTP {status} {code}".rstrip())
    if code == "NoSuchBucket":
        return ObjectNotFound(f"no bucket {bucket!r}")
    if code in _ABSENT or status == 404:
        return ObjectNotFound(f"no object {key!r} in bucket {bucket!r}")
    if code in _OUR_FAULT:
        logger.error("the object storage refuses this service's credentials: %s", code)
        return Unavailable("the object storage refuses this service")
    if status in (401, 403):
        return Forbidden(f"the object {key!r} in bucket {bucket!r} may not be read")
    logger.warning("the object storage refused a request: HTTP %d %s", status, code)
    return InvalidRequest("the object storage refused the bucket or the key")
