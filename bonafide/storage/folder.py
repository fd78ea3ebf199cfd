"""Objects in a folder laid out `<bucket>/<key>`: the default where there is no MinIO.

In: a bucket and a key. Out: the bytes of a regular file below the bucket's folder, and of no other.
Depends on storage, errors and settings.
"""

import errno
import hashlib
import heapq
import logging
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from bonafide.errors import Forbidden, InvalidRequest, ObjectNotFound, Unavailable
from bonafide.media_digest import MediaDigest
from bonafide.settings import Settings
from bonafide.storage.store import ObjectStat, check_key, check_location, check_prefix, check_size
from bonafide.storage.threads import StoppableThreads, Stopped, Take, collect, hashed

logger = logging.getLogger(__name__)

T = TypeVar("T")
_THREADS = 16
_TICK_S = 0.02
"""By whose end a file that is written again has another time: older kernels' clock for it moves each 1 to 10 ms."""
_TICKS_AT_MOST = 5
_STAMPS_CLOCK = 5 if sys.platform == "linux" else time.CLOCK_REALTIME
"""Linux's CLOCK_REALTIME_COARSE, by which it stamps files: on a busy machine it is late by more than its tick."""
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO}


class FolderStore:
    """An `ObjectStore` on `objects_dir`.

    Symbolic links are followed as long as they stay inside their bucket; buckets themselves are real folders.

    Args:
        settings: the folder, and which buckets may be read.
        max_bytes: of an object; None: of a recording.
    """

    def __init__(self, settings: Settings, max_bytes: int | None = None) -> None:
        self._root = settings.objects_dir
        self._allowed_buckets = settings.allowed_buckets
        self._max_bytes = settings.max_audio_bytes if max_bytes is None else max_bytes
        self._threads = StoppableThreads(_THREADS, "folder-store")

    async def stat(self, bucket: str, key: str) -> ObjectStat:
        """See `ObjectStore.stat`."""
        self._check(bucket, key)

        def work(stop: threading.Event) -> ObjectStat:
            with _opened(self._root, bucket, key) as file:
                return _describe(file)

        found = await self._run(work, bucket, key)
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
        """The file and what is taken of it; `expected`: None if it may be any."""
        self._check(bucket, key)
        if expected is not None:
            check_size(expected.size, self._max_bytes)

        def work(stop: threading.Event) -> tuple[ObjectStat, T] | None:
            with _opened(self._root, bucket, key) as file:
                found = _describe(file)
                if expected is not None and found != expected:
                    return None
                check_size(found.size, self._max_bytes)
                content = take(lambda size: os.read(file, size), found.size, stop)
                # Once more: the file may have been written during the read.
                unchanged = length(content) == found.size and _is_still(file, found)
                return (found, content) if unchanged else None

        taken = await self._run(work, bucket, key)
        if taken is None:
            raise Unavailable("the object changed while it was read, try again")
        return taken

    async def keys(self, bucket: str, prefix: str, after: str, count: int) -> list[str]:
        """See `ObjectStore.keys`; each call walks the whole folder, and holds no more than `count` keys."""
        check_prefix(bucket, prefix, self._allowed_buckets)

        def work(stop: threading.Event) -> list[str]:
            found = (key for key in _keys(self._root / bucket, prefix, stop) if key > after)
            return heapq.nsmallest(count, found)

        return await self._run(work, bucket, prefix)

    async def close(self) -> None:
        """See `ObjectStore.close`."""
        await self._threads.close()

    def _check(self, bucket: str, key: str) -> None:
        check_location(bucket, key, self._allowed_buckets)

    async def _run(self, work: Callable[[threading.Event], T], bucket: str, key: str) -> T:
        try:
            return await self._threads.run(work)
        except OSError as error:
            if error.errno in _ABSENT:
                raise ObjectNotFound(
                    f"no object {key!r} in bucket {bucket!r}; objects come from a folder, as MINIO_ENDPOINT is not set"
                ) from None
            if error.errno in (errno.EACCES, errno.EPERM):
                raise Forbidden(f"the object {key!r} in bucket {bucket!r} may not be read") from None
            if error.errno == errno.ENAMETOOLONG:
                raise InvalidRequest("a segment of the object key is too long") from None
            logger.warning("the objects folder failed: %s", error.strerror)
            raise Unavailable("the object storage cannot be read, try again later") from None


class PlainFolder(FolderStore):
    """One folder of any name as a bucket, for whoever may read it anyway.

    Args:
        folder: whose files are the objects; the bucket is its name.
        settings: of the service.
        max_bytes: see `FolderStore`.
    """

    def __init__(self, folder: Path, settings: Settings, max_bytes: int | None = None) -> None:
        resolved = folder.resolve()
        super().__init__(settings.model_copy(update={"objects_dir": resolved.parent}), max_bytes)
        self.bucket = resolved.name

    def _check(self, bucket: str, key: str) -> None:
        check_key(key)


def _keys(bucket: Path, prefix: str, stop: threading.Event) -> Iterator[str]:
    """The keys of the files in a bucket's folder that begin with `prefix`, in any order; links are not walked into."""
    if bucket.is_symlink() or not bucket.is_dir():
        raise OSError(errno.ENOENT, "no such bucket")
    # Only the folder that the prefix names has such keys.
    begin = bucket / prefix.rpartition("/")[0]
    try:
        leads_out = not begin.resolve().is_relative_to(bucket.resolve())
    except RuntimeError:  # a loop of links
        return
    if leads_out:
        return
    left_out = 0
    for folder, _, names in os.walk(begin, onerror=_require_absent):
        for name in names:
            if stop.is_set():
                raise Stopped
            key = (Path(folder) / name).relative_to(bucket).as_posix()
            if not key.startswith(prefix):
                continue
            if key.isprintable() or _is_key(key):
                yield key
            else:
                left_out += 1
    if left_out:
        logger.warning("files below the objects folder are not listed, as their names are no keys: %d", left_out)


def _require_absent(error: OSError) -> None:
    """Of a folder that was removed meanwhile nothing is missing; of one that cannot be read all files would be."""
    if error.errno not in {*_ABSENT, errno.ENAMETOOLONG}:
        raise error


def _is_key(text: str) -> bool:
    try:
        check_key(text)
    except InvalidRequest:
        return False
    return True


@contextmanager
def _opened(root: Path, bucket: str, key: str) -> Iterator[int]:
    """The descriptor of the regular file that a key names; raises OSError for everything else.

    The path is resolved first and then walked component by component without following links, so a link that
    appears between the two is not followed.
    """
    real_root = root.resolve(strict=True)
    real_bucket = real_root / bucket
    try:
        real_file = (real_bucket / key).resolve(strict=True)
    except RuntimeError:
        raise OSError(errno.ELOOP, "a loop of links") from None
    if not real_file.is_relative_to(real_bucket):
        logger.warning("a link below the objects folder leads out of its bucket and is not followed")
        raise OSError(errno.ENOENT, "outside the bucket")
    *folders, name = real_file.relative_to(real_root).parts
    folder = os.open(real_root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folders:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Checked before it is opened too: opening a device may have side effects.
        _require_regular(os.stat(name, dir_fd=folder, follow_symlinks=False))
        file = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        _require_regular(os.fstat(file))
        yield file
    finally:
        os.close(file)


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.ENOENT, "not a regular file")


def _describe(file: int) -> ObjectStat:
    """The description of a file; of one that was written just now only when a further write would change it.

    One that is written all the time is waited for a little: whoever reads it notices.
    """
    for _ in range(_TICKS_AT_MOST):
        status = os.fstat(file)
        age_s = time.clock_gettime(_STAMPS_CLOCK) - status.st_ctime_ns / 1e9
        if not -_TICK_S * _TICKS_AT_MOST < age_s < _TICK_S:  # a server's clock may be further ahead
            break
        time.sleep(_TICK_S)
    return described(status)


def _is_still(file: int, found: ObjectStat) -> bool:
    """Whether a file is as it was found; one that has changed is not waited for."""
    return described(os.fstat(file)) == found and _describe(file) == found


def described(status: os.stat_result) -> ObjectStat:
    """The description of a file with this status."""
    # The change time too: unlike the modification time, it cannot be set back.
    facts = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    # The device's number changes when NFS, say, is mounted anew: an etag outlasts that, as results of scans do.
    content_id = f"file-{_hash(status.st_dev, *facts)}"
    return ObjectStat(content_id, status.st_size, etag=_hash(*facts), modified=status.st_mtime)


def _hash(*facts: int) -> str:
    return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()
