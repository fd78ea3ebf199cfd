"""Objects that somebody else stored: recordings in MinIO or S3, or in a folder laid out `<bucket>/<key>`."""

from bonafide.settings import Settings
from bonafide.storage.folder import FolderStore
from bonafide.storage.minio import MinioStore
from bonafide.storage.store import ObjectStore


def open_store(settings: Settings) -> ObjectStore:
    """The store that the settings name: MinIO with `MINIO_ENDPOINT`, else the folder. Connects to nothing."""
    return MinioStore(settings) if settings.minio_endpoint else FolderStore(settings)
