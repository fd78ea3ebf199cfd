"""Fixtures for everything below."""

from tests.servers import minio_server, valkey_server

__all__ = ["minio_server", "valkey_server"]
