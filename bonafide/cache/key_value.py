"""What the cache sits on: bytes under keys, with an end date. One protocol, in memory or in Redis."""

from collections.abc import Sequence
from typing import Protocol


class StoreFailed(Exception):
    """The key-value store did not do what it was asked; the text is for the log and holds no stored data."""


class KeyValueStore(Protocol):
    """Bytes under keys; each method is one round trip and raises nothing but `StoreFailed`."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of `keys`, in their order; None for each that is not there (any more)."""

    async def put_many(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Stores keys with their values, replacing what was there."""

    async def close(self) -> None:
        """Lets connections go."""
