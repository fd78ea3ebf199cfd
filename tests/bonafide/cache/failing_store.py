"""A key-value store that fails on request and counts its calls."""

from collections.abc import Sequence

from bonafide.cache.key_value import StoreFailed


class FailingStore:
    """A `KeyValueStore` in a dictionary.

    Attributes:
        down: whether each round trip raises `StoreFailed`.
        asked: round trips so far, probes too.
    """

    def __init__(self, *, down: bool = False) -> None:
        self.down = down
        self.asked = 0
        self.closed = False
        self.values: dict[str, bytes] = {}

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `KeyValueStore.get_many`."""
        self._count()
        return [self.values.get(key) for key in keys]

    async def put_many(self, items: Sequence[tuple[str, bytes]]) -> None:
        """See `KeyValueStore.put_many`."""
        self._count()
        self.values.update(items)

    async def close(self) -> None:
        """See `KeyValueStore.close`."""
        self.closed = True

    def _count(self) -> None:
        self.asked += 1
        if self.down:
            raise StoreFailed("no route to host")
