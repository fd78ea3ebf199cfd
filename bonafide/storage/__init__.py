"""Stored objects: recordings in MinIO or S3, or in a folder laid out `<bucket>/<key>`."""

from bonafide.settings import Settings
from bonafide.storage.store import ObjectStore


def open_store(settings: Settings, max_bytes: int | None = None) -> ObjectStore:
    """The store in the settings: MinIO with `MINIO_ENDPOINT`, else the folder. Opens no connection.

    Args:
        settings: of the service.
        max_bytes: of an object; None: of a recording.
    """
    # Each store is imported where it is used: MinIO's client takes a quarter of a second of the start.
    if settings.minio_endpoint:
        from bonafide.storage.minio import MinioStore

        return MinioStore(settings, max_bytes)
    from bonafide.storage.folder import FolderStore

    return FolderStore(settings, max_bytes)
