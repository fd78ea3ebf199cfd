"""Where recordings and photos are stored."""

from pathlib import Path
from typing import Self

from pydantic import AliasChoices, Field, SecretStr, model_validator

from bonafide.settings.group import SettingsGroup
from bonafide.settings.types import Endpoint, Texts


class ObjectSettings(SettingsGroup):
    """MinIO or S3, or a folder."""

    minio_endpoint: Endpoint = Field(None, validation_alias="MINIO_ENDPOINT")
    """`host:port` or `https://host:port` of MinIO or S3; unset: objects come from `objects_dir`."""
    minio_access_key: SecretStr = Field(SecretStr(""), validation_alias="MINIO_ACCESS_KEY")
    """Access key for MinIO."""
    minio_secret_key: SecretStr = Field(SecretStr(""), validation_alias="MINIO_SECRET_KEY")
    """Secret key for MinIO."""
    minio_secure: bool = Field(False, validation_alias=AliasChoices("MINIO_SECURE", "MINIO_USE_SSL"))
    """Whether MinIO is accessed over TLS."""
    storage_timeout_s: float = Field(10.0, gt=0.0)
    """Connect and read timeout of one storage request."""
    storage_retries: int = Field(3, ge=0)
    """Retries of a transient storage failure, with exponential backoff."""
    objects_dir: Path = Path("data/objects")
    """Folder laid out `<bucket>/<key>`, used without MinIO."""
    allowed_buckets: Texts = ()
    """Buckets that may be read; empty: all."""

    @model_validator(mode="after")
    def _minio_needs_keys(self) -> Self:
        if self.minio_endpoint and not (
            self.minio_access_key.get_secret_value() and self.minio_secret_key.get_secret_value()
        ):
            raise ValueError("MINIO_ENDPOINT is set, so MINIO_ACCESS_KEY and MINIO_SECRET_KEY must be set too")
        return self

    @model_validator(mode="after")
    def _minio_one_scheme(self) -> Self:
        endpoint = self.minio_endpoint or ""
        if self.minio_secure and endpoint.startswith("http://"):
            raise ValueError("MINIO_SECURE is true, but MINIO_ENDPOINT begins with http://; it must be https://")
        if "minio_secure" in self.model_fields_set and not self.minio_secure and endpoint.startswith("https://"):
            raise ValueError("MINIO_SECURE is false, but MINIO_ENDPOINT begins with https://; leave one of them out")
        return self
