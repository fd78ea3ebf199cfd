"""Stored objects: recordings in MinIO or S3, or in a folder laid out `<bucket>/<key>`.

In: a bucket and a key. Out: the bytes, and an id that changes whenever the content does.
Depends on errors and settings.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from bonafide.errors import Forbidden, InvalidRequest, TooLarge
from bonafide.media_digest import MediaDigest

MAX_KEY_BYTES = 1024
_BUCKET = re.compile(r"(?!.{64})(?!.*(?:\.\.|\.-|-\.))[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)


@dataclass(frozen=True)
class ObjectStat:
    """Metadata of an object, known before it is read.

    Attributes:
        content_id: Changes whenever the content does; printable ASCII, no secret.
        size: Bytes, 0 or more.
        etag: What the storage names this content by; of a file, a hash of its inode, size and times.
        modified: When it was written, in seconds since 1970 (UTC).
    """

    content_id: str
    size: int
    etag: str = ""
    modified: float = 0.0


class ObjectStore(Protocol):
    """Source of objects. Every method may be cancelled at any time and then stops its work soon.

    `stat`, `read`, `fetch` and `digest` raise `InvalidRequest` for names that no bucket or object can have, `Forbidden`
    for a bucket outside the allowed list or an object that the service's credentials cannot read, `ObjectNotFound`, and
    `Unavailable` when the storage does not respond, after the retries.
    """

    async def stat(self, bucket: str, key: str) -> ObjectStat:
        """Looks an object up without reading it; raises `TooLarge` when it is over the limit."""

    async def read(self, bucket: str, key: str, expected: ObjectStat) -> bytearray:
        """Reads the object that `stat` described, and never more than its size.

        Raises `Unavailable` when the content has changed since: the caller may retry from `stat`.
        """

    async def fetch(self, bucket: str, key: str) -> tuple[ObjectStat, bytearray]:
        """Reads an object as it is now, with the description of these very bytes: one request instead of two.

        Raises `TooLarge` before it reads one that is over the limit, and otherwise as `read`.
        """

    async def digest(self, bucket: str, key: str, expected: ObjectStat) -> MediaDigest:
        """Hashes the object that `stat` described, without holding it; raises as `read`."""

    async def keys(self, bucket: str, prefix: str, after: str, count: int) -> list[str]:
        """The first `count` keys that begin with `prefix` and come after `after`, in the order of their code points.

        Both may be empty. The keys of empty folders, which end in a slash, are left out. Raises as `stat`;
        `ObjectNotFound` where there is no such bucket.
        """

    async def close(self) -> None:
        """Stops what is in flight, and closes connections and threads."""


def check_location(bucket: str, key: str, allowed_buckets: Collection[str]) -> None:
    """Refuses invalid names of objects, identically for every store.

    S3's own rules for buckets; for keys also no empty, `.` or `..` segment (MinIO and folders refuse them)
    and no control character.

    Raises:
        InvalidRequest: The bucket or the key is malformed.
        Forbidden: The bucket is not in `allowed_buckets` (empty: all are).
    """
    _check_name(bucket)
    check_key(key)
    _check_allowed(bucket, allowed_buckets)


def check_key(key: str) -> None:
    """Refuses keys that no object can have.

    Raises:
        InvalidRequest: The key is malformed.
    """
    try:
        key_bytes = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidRequest("the object key is not valid Unicode") from None
    if not key.strip() or key_bytes > MAX_KEY_BYTES:
        raise InvalidRequest(f"the object key must have 1 to {MAX_KEY_BYTES} bytes, not all of them blank")
    if any(unicodedata.category(char) == "Cc" for char in key):
        raise InvalidRequest("the object key must not hold control characters")
    # MinIO treats backslashes as slashes here, and ignores spaces around dots.
    dots = any(segment.strip() in (".", "..") for segment in re.split(r"[/\\]", key))
    if dots or "" in key.split("/"):
        raise InvalidRequest("the object key must not hold an empty, '.' or '..' segment")


def check_prefix(bucket: str, prefix: str, allowed_buckets: Collection[str]) -> None:
    """Refuses invalid beginnings of keys, identically for every store.

    Raises:
        InvalidRequest: The bucket or the prefix is malformed.
        Forbidden: The bucket is not in `allowed_buckets` (empty: all are).
    """
    _check_name(bucket)
    if prefix:
        # What is added makes a key of a folder or of the beginning of a name.
        check_location(bucket, f"{prefix}x", allowed_buckets)
    _check_allowed(bucket, allowed_buckets)


def _check_name(bucket: str) -> None:
    if not _BUCKET.fullmatch(bucket) or _is_ip_address(bucket):
        raise InvalidRequest("the bucket name must be 3 to 63 lowercase letters, digits, dots and hyphens")


def _check_allowed(bucket: str, allowed_buckets: Collection[str]) -> None:
    if allowed_buckets and bucket not in allowed_buckets:
        raise Forbidden(f"the bucket {bucket!r} is not one that this service may read")


def check_size(size: int, limit: int) -> None:
    """Raises `TooLarge` when an object of `size` bytes is over `limit`."""
    if size > limit:
        raise TooLarge(f"the object has {size} bytes, more than the limit of {limit}")


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True
