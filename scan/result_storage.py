"""Where a result lies: a folder, or a prefix of a bucket. Files by their names, each written whole or not at all."""

import io
import os
import tempfile
from pathlib import Path
from typing import Protocol

from minio.error import S3Error

from bonafide.settings import Settings
from bonafide.storage.minio import open_client
from models.folder_sync import sync_folder
from scan.retries import retried
from scan.source import WrongUse

_ABSENT = {"NoSuchKey", "NoSuchBucket"}


class ResultStorage(Protocol):
    """Files by their paths. Each method waits for a storage that is gone, and raises `StorageGone` at last.

    Of one that refuses it raises `WrongUse` at once.
    """

    def read(self, name: str) -> bytes | None:
        """A file; None: there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Writes a file in place of the one of that name; whoever reads gets the one or the other."""

    def names(self, folder: str) -> list[str]:
        """The names of all files in a folder, with it."""

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""


class FolderStorage:
    """A folder; what it lacks is made.

    Args:
        folder: path.
        patience_s: how long a storage that fails is waited for.
    """

    def __init__(self, folder: Path, patience_s: float) -> None:
        self._folder = folder
        self._patience_s = patience_s

    def read(self, name: str) -> bytes | None:
        """See `ResultStorage`."""
        path = self._folder / name
        return retried(lambda: path.read_bytes() if path.exists() else None, self._patience_s, f"reading {name}")

    def write(self, name: str, content: bytes) -> None:
        """See `ResultStorage`: written beside, and renamed when it is on the disk."""
        retried(lambda: self._write(self._folder / name, content), self._patience_s, f"writing {name}")

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).chmod(0o666 & ~_umask())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        sync_folder(path.parent)

    def names(self, folder: str) -> list[str]:
        """See `ResultStorage`; those of a write that was killed are among them."""

        def found() -> list[str]:
            parent = self._folder / folder
            return [f"{folder}/{each.name}" for each in parent.iterdir()] if parent.is_dir() else []

        return retried(found, self._patience_s, f"listing {folder}")

    def remove(self, name: str) -> None:
        """See `ResultStorage`."""
        retried(lambda: (self._folder / name).unlink(missing_ok=True), self._patience_s, f"removing {name}")


class BucketStorage:
    """A prefix of a bucket of MinIO or S3, whose objects appear whole.

    Args:
        bucket: that exists.
        prefix: ends with a slash, or is empty.
        settings: endpoint and credentials.
        patience_s: how long a storage that fails is waited for.
    """

    def __init__(self, bucket: str, prefix: str, settings: Settings, patience_s: float) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._client, _ = open_client(settings)
        self._patience_s = patience_s

    def read(self, name: str) -> bytes | None:
        """See `ResultStorage`."""

        def found() -> bytes | None:
            try:
                response = self._client.get_object(self._bucket, self._prefix + name)
            except S3Error as error:
                if error.code in _ABSENT:
                    return None
                raise
            try:
                return response.data
            finally:
                response.close()
                response.release_conn()

        return retried(found, self._patience_s, f"reading {name}")

    def write(self, name: str, content: bytes) -> None:
        """See `ResultStorage`."""

        def put() -> None:
            try:
                self._client.put_object(self._bucket, self._prefix + name, io.BytesIO(content), len(content))
            except S3Error as error:
                if error.code == "NoSuchBucket":
                    raise WrongUse(f"there is no bucket {self._bucket!r}") from error
                raise

        retried(put, self._patience_s, f"writing {name}")

    def names(self, folder: str) -> list[str]:
        """See `ResultStorage`."""

        def found() -> list[str]:
            objects = self._client.list_objects(self._bucket, f"{self._prefix}{folder}/", recursive=True)
            return [(each.object_name or "").removeprefix(self._prefix) for each in objects]

        return retried(found, self._patience_s, f"listing {folder}")

    def remove(self, name: str) -> None:
        """See `ResultStorage`."""
        remove = self._client.remove_object
        retried(lambda: remove(self._bucket, self._prefix + name), self._patience_s, f"removing {name}")


def storage_at(address: str, settings: Settings, patience_s: float) -> ResultStorage:
    """The storage at `s3://BUCKET/PREFIX`, or a folder; without an endpoint, buckets are folders below `objects_dir`.

    Raises:
        WrongUse: no folder or bucket is named.
    """
    if not address:
        raise WrongUse("a result's address is empty: name a folder, or s3://BUCKET/PREFIX")
    if not address.startswith("s3://"):
        return FolderStorage(Path(address), patience_s)
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    if not bucket:
        raise WrongUse(f"{address}: name a bucket, as in s3://verdicts/calls/")
    prefix = prefix.strip("/")
    if not settings.minio_endpoint:
        return FolderStorage(settings.objects_dir / bucket / prefix, patience_s)
    return BucketStorage(bucket, prefix and prefix + "/", settings, patience_s)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
