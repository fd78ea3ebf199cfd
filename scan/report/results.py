"""The folder that a scan writes, for reading: which files count, by its manifest."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.fs as fs

from bonafide.environment import read_settings
from scan.schema import MANIFEST, MANIFEST_FORMAT

MAX_MANIFEST_BYTES = 256 * 1024 * 1024


class UnreadableResults(Exception):
    """The folder holds no result of a scan, or one of another release."""


@dataclass(frozen=True)
class Results:
    """A scan's result.

    Attributes:
        filesystem: where it lies.
        recordings: paths of Parquet files there.
        windows: the one beside each of them; empty: it has no windows.
        scan: what the manifest says of the scan.
    """

    filesystem: Any
    recordings: tuple[str, ...]
    windows: tuple[str, ...]
    scan: dict[str, Any]


def located(results: str) -> tuple[Any, str]:
    """The file system of a folder or `s3://BUCKET/PREFIX`, and the path there; how to reach MinIO, the settings say.

    Raises:
        WrongSettings: there is no endpoint, or a setting is wrong.
    """
    bucket = results.removeprefix("s3://").rstrip("/")
    if bucket == results.rstrip("/"):
        return fs.LocalFileSystem(), str(Path(results).resolve())
    settings = read_settings()
    if not settings.minio_endpoint:
        raise UnreadableResults("s3:// needs MINIO_ENDPOINT, MINIO_ACCESS_KEY and MINIO_SECRET_KEY")
    scheme, _, host = settings.minio_endpoint.rpartition("://")
    keys = {
        "access_key": settings.minio_access_key.get_secret_value(),
        "secret_key": settings.minio_secret_key.get_secret_value(),
    }
    secure = scheme == "https" if scheme else settings.minio_secure
    return fs.S3FileSystem(**keys, endpoint_override=host, scheme="https" if secure else "http"), bucket


def opened(filesystem: Any, folder: str) -> Results:
    """Reads the manifest of a folder of results.

    Raises:
        UnreadableResults: there is none, it is no manifest, or of another format.
    """
    path = f"{folder.rstrip('/')}/{MANIFEST}"
    found = filesystem.get_file_info(path)
    if found.type != fs.FileType.File:
        raise UnreadableResults(f"no {MANIFEST} in {folder}: no result of a scan")
    if found.size > MAX_MANIFEST_BYTES:
        raise UnreadableResults(f"{path} has {found.size} bytes, more than {MAX_MANIFEST_BYTES}")
    with filesystem.open_input_stream(path) as stream:
        data = stream.read()
    try:
        manifest = json.loads(data)
        if manifest["format"] != MANIFEST_FORMAT:
            raise UnreadableResults(f"{path} has format {manifest['format']!r}; this release reads {MANIFEST_FORMAT}")
        recordings = tuple(_below(folder, part["recordings"]) for part in manifest["parts"])
        windows = tuple(_below(folder, part["windows"]) if part.get("windows") else "" for part in manifest["parts"])
        return Results(filesystem, recordings, windows, dict(manifest.get("scan") or {}))
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableResults(f"{path} is no manifest of a scan ({type(error).__name__}: {error})") from error


def _below(folder: str, path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError(f"{path!r} lies outside")
    return f"{folder.rstrip('/')}/{path}"
