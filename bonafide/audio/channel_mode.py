"""Which channels of a recording or stream are judged: the caller's word for it, and what it means for a recording."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.mono import Block
from bonafide.errors import InvalidRequest, TooLarge

MAX_APART = 8
"""Most channels that are judged apart."""
_NUMBER = re.compile(r"[0-9]{1,4}", re.ASCII)


@dataclass(frozen=True)
class ChannelMode:
    """A choice of channels; `str` gives the caller's word for it.

    Attributes:
        kind: "auto": two channels apart if they hold two parties, else their mix; "mix": always their mix; "separate":
            each apart; "one": a single channel.
        number: of the single channel, from 0.
    """

    kind: Literal["auto", "mix", "separate", "one"] = "auto"
    number: int = 0

    @classmethod
    def parse(cls, text: str) -> "ChannelMode":
        """Reads the caller's word; an empty one is `auto`.

        Raises:
            InvalidRequest: it is none.
        """
        match text:
            case "" | "auto":
                return cls()
            case "mix":
                return cls("mix")
            case "separate":
                return cls("separate")
        if _NUMBER.fullmatch(text):
            return cls("one", int(text))
        raise InvalidRequest("channel_mode is auto, mix, separate or the number of one channel, from 0")

    def __str__(self) -> str:
        return str(self.number) if self.kind == "one" else self.kind

    def channels_apart(self, channels: int) -> tuple[int, ...]:
        """The channels that are judged apart, or may be once they hold two parties; none: the mix is all there is.

        Args:
            channels: of the recording, 1 or more.

        Raises:
            InvalidRequest: the recording has no channel of this number.
            TooLarge: too many channels to judge each.
        """
        if self.kind == "one" and self.number >= channels:
            has = "one channel, number 0" if channels == 1 else f"{channels} channels, numbers 0 to {channels - 1}"
            raise InvalidRequest(f"channel_mode names channel {self.number}, and the audio has {has}")
        if self.kind == "separate" and channels > MAX_APART:
            raise TooLarge(f"{channels} channels; at most {MAX_APART} are judged apart")
        if channels == 1 or self.kind == "mix" or (self.kind == "auto" and channels != 2):
            return ()
        return (self.number,) if self.kind == "one" else tuple(range(channels))

    def needs_apart(self, channels: int) -> bool:
        """Whether the channels of a recording of so many may be judged, and not their mix alone."""
        return self.kind != "mix" and (channels == 2 or (channels > 1 and self.kind != "auto"))

    def judged(self, parted: tuple[int, ...]) -> tuple[int, ...]:
        """The channels of which a verdict is told, in order.

        Args:
            parted: channels that have windows of their own.
        """
        if parted or self.kind in ("auto", "mix"):
            return parted
        return (self.number,) if self.kind == "one" else (0,)


AUTO = ChannelMode()
MIX = ChannelMode("mix")


class Piece(NamedTuple):
    """Part of a block.

    Attributes:
        block: its samples.
        apart: whether windows that end in it are those of channels, and not of the mix.
    """

    block: Block
    apart: bool


def pieces(block: Block, mode: ChannelMode, apart: bool) -> Iterator[Piece]:
    """The pieces of a block before and after its channels part.

    Args:
        block: of the recording.
        mode: in force.
        apart: of the piece before.
    """
    if apart or not mode.channels_apart(block.channels) or (mode.kind == "auto" and block.parted_at is None):
        yield Piece(block, apart)
        return
    # A window that ends with the last sample that was heard before the parting ends after it.
    before = max(0, (block.parted_at or 0) - 1) if mode.kind == "auto" else 0
    if before:
        yield Piece(block.between(0, before), False)
    yield Piece(block.between(before, len(block.samples)), True)


def channel_samples(block: Block, mode: ChannelMode, channel: int) -> NDArray[np.float32]:
    """A channel's samples in a block, float32 (n,); the mix, where the block has no such channel to judge."""
    if block.apart is None or channel not in mode.channels_apart(block.channels):
        return block.samples
    own: NDArray[np.float32] = block.apart[channel]
    return own
