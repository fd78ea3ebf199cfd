"""Stored objects: recordings in MinIO or S3, or in a folder laid out `<bucket>/<key>`."""

from bonafide.settings import Settings
from bonafide.storage.folder import FolderStore
from bonafide.storage.minio import MinioStore
from bonafide.storage.store import ObjectStore


def open_store(settings: Settings) -> ObjectStore:
    """The store in the settings: MinIO with `MINIO_ENDPOINT`, else the folder. Opens no connection."""
    return MinioStore(settings) if settings.minio_endpoint else FolderStore(settings)
