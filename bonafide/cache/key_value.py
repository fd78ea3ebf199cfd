"""The key-value interface below the cache: bytes by key, with an expiry time; in memory or in Redis."""

from collections.abc import Sequence
from typing import Protocol


class StoreFailed(Exception):
    """An operation of the store failed; the text is for the log and contains no stored data."""


class KeyValueStore(Protocol):
    """Bytes by key; each method is one round trip and raises nothing but `StoreFailed`."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of `keys`, in their order; None for each that is missing or expired."""

    async def put_many(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Stores keys with their values, replacing existing ones."""

    async def close(self) -> None:
        """Closes connections."""
