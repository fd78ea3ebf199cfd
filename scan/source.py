"""Where the objects of a scan lie, and which of them there are: a bucket of MinIO or S3, or a folder.

In: an address and the service's settings. Out: the objects below it as `Entry`s, and a store that reads them.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from minio.error import S3Error

from bonafide.errors import BonafideError, Unavailable
from bonafide.settings import Settings
from bonafide.storage import open_store
from bonafide.storage.folder import PlainFolder, described
from bonafide.storage.minio import open_client
from bonafide.storage.store import ObjectStore
from models.info import Task
from scan.names import as_text, key_of_name

S3 = "s3://"
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


class WrongUse(Exception):
    """A command that cannot be carried out; the message is for the user."""


class Entry(NamedTuple):
    """An object as the storage lists it.

    Attributes:
        key: its name in the bucket, or its path below the folder, see `scan.names`.
        etag: see `ObjectStat.etag`; empty: it cannot be looked up, as what a list of keys names and is not there.
        size: bytes.
        modified: seconds since 1970.
    """

    key: str
    etag: str
    size: int
    modified: float


@dataclass(frozen=True)
class Source:
    """An archive.

    Attributes:
        bucket: its name; of a folder, its path.
        prefix: of the keys that belong to it.
        folder: where its objects lie as files; None: in MinIO or S3.
    """

    bucket: str
    prefix: str = ""
    folder: Path | None = None

    @classmethod
    def at(cls, address: str, settings: Settings) -> "Source":
        """The archive at `s3://BUCKET/PREFIX`, or in a folder.

        As in the service, buckets are folders below `objects_dir` where no endpoint is set.

        Raises:
            WrongUse: there is no such folder, or no bucket is named.
        """
        if not address:
            raise WrongUse("an archive's address is empty: name a folder, or s3://BUCKET/PREFIX")
        if not address.startswith(S3):
            return cls(as_text(address), folder=_existing(Path(address)))
        bucket, _, prefix = address.removeprefix(S3).partition("/")
        if not bucket:
            raise WrongUse(f"{address}: name a bucket, as in s3://calls/2024/")
        if settings.allowed_buckets and bucket not in settings.allowed_buckets:
            raise WrongUse(f"the bucket {bucket!r} is not one that may be read (BONAFIDE_ALLOWED_BUCKETS)")
        if settings.minio_endpoint:
            return cls(bucket, prefix)
        return cls(bucket, prefix, _existing(settings.objects_dir / bucket))

    def open(self, settings: Settings, task: Task) -> tuple[ObjectStore, str]:
        """A store that reads its objects, recordings or photos, and the bucket to name to it."""
        max_bytes = settings.max_audio_bytes if task == "voice" else settings.max_image_bytes
        if self.folder is None:
            return open_store(settings, max_bytes), self.bucket
        folder = PlainFolder(self.folder, settings, max_bytes)
        return folder, folder.bucket

    def entries(self, settings: Settings) -> Iterator[Entry]:
        """All of its objects, in no order.

        Raises:
            WrongUse: there is no such bucket, or a folder may not be listed.
            MinioException, HTTPError, OSError: the storage cannot be listed.
        """
        return self._files() if self.folder is not None else self._objects(settings)

    def _objects(self, settings: Settings) -> Iterator[Entry]:
        client, http = open_client(settings)
        try:
            for found in client.list_objects(self.bucket, self.prefix or None, recursive=True):
                name, modified = found.object_name, found.last_modified
                if not found.is_dir and name and modified is not None:
                    yield Entry(name, (found.etag or "").strip('"'), found.size or 0, modified.timestamp())
        except S3Error as error:
            if error.code == "NoSuchBucket":
                raise WrongUse(f"there is no bucket {self.bucket!r}") from error
            raise
        finally:
            http.clear()

    def _files(self) -> Iterator[Entry]:
        assert self.folder is not None  # noqa: S101
        for parent, _, names in os.walk(self.folder, onerror=self._not_listed):
            for name in names:
                path = Path(parent, name)
                key = path.relative_to(self.folder).as_posix()
                if key.startswith(self.prefix) and (entry := _file(key_of_name(key), path)) is not None:
                    yield entry

    def _not_listed(self, error: OSError) -> None:
        if isinstance(error, PermissionError):
            raise WrongUse(f"{error.filename} may not be listed") from error
        if error.errno not in _ABSENT or Path(error.filename) == self.folder:
            raise error

    async def look_up(self, key: str, store: ObjectStore, bucket: str) -> Entry:
        """The object of this name; one that cannot be looked up for what it is has no etag.

        Raises:
            Unavailable: the storage does not answer.
        """
        try:
            stat = await store.stat(bucket, key)
        except Unavailable:
            raise
        except BonafideError:  # the task that reads it is told so again, and says it
            return _unknown(key_of_name(key))
        return Entry(key, stat.etag, stat.size, stat.modified)

    def key_of(self, line: str) -> str:
        """The key that a line of a list names: a key, or an address in this bucket.

        Raises:
            WrongUse: an address of another bucket.
        """
        if not line.startswith(S3):
            return line
        bucket, _, key = line.removeprefix(S3).partition("/")
        if bucket != self.bucket:
            raise WrongUse(f"{line} lies in another bucket than {self.bucket}")
        return key


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise WrongUse(f"{folder} is no folder")
    return folder.resolve()


def _file(key: str, path: Path) -> Entry | None:
    """A file as the archive has it; None: it is none, or is gone."""
    try:
        status = path.stat()
    except PermissionError:
        return _unknown(key)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise
    if not S_ISREG(status.st_mode):
        return None
    found = described(status)
    return Entry(key, found.etag, found.size, found.modified)


def _unknown(key: str) -> Entry:
    return Entry(key, "", 0, 0.0)
