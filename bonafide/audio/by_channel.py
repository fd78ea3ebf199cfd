"""One of a kind for all channels together, and one for each channel once it is judged apart."""

import copy
from typing import Generic, TypeVar

Item = TypeVar("Item")


class ByChannel(Generic[Item]):
    """What came before the channels parted counts for each: a channel's own begins as a copy of that of all.

    Args:
        of_all: that of all channels together.
    """

    def __init__(self, of_all: Item) -> None:
        self._items: dict[int | None, Item] = {None: of_all}

    def __getitem__(self, channel: int | None) -> Item:
        """That of a channel, made where it was not needed yet; None: of all channels together."""
        if channel not in self._items:
            self._items[channel] = copy.deepcopy(self._items[None])
        return self._items[channel]

    def so_far(self, channel: int | None) -> Item:
        """The same, to be read only: that of all channels where the channel has none of its own yet."""
        return self._items.get(channel, self._items[None])

    def items(self) -> list[tuple[int | None, Item]]:
        """All that there are, by their channel."""
        return list(self._items.items())
