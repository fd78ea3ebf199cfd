"""What a protocol of telephony says, and what is told to it: the interface between the protocols and the one core.

A protocol is a state machine without I/O, one file each. It reads what arrives, and makes what is sent; the core
(`conversation.py`) does the rest.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from bonafide.audio.channel_mode import AUTO, ChannelMode
from bonafide.errors import BonafideError
from bonafide.live.input_decoder import Encoding
from bonafide.live.phone_calls import PhoneVerdict
from bonafide.live.session import Ending

Content = str | bytes
"""A text or binary frame; of a TCP connection, bytes."""
Make = Callable[[], Content]
"""Makes what is sent at the moment of sending: messages may be numbered."""


@dataclass(frozen=True)
class Begin:
    """The call has begun; sent once, before media.

    Attributes:
        call_id: the verdict is found by it.
        stream_id: the provider's id of its audio stream; may be empty.
        encoding: of the media.
        rate: in Hz; None: the encoding's own.
        channels: interleaved in the media.
        mode: which of them are judged.
        names: what they are called; none: as the settings say.
    """

    call_id: str
    stream_id: str
    encoding: Encoding
    rate: int | None = None
    channels: int = 1
    mode: ChannelMode = AUTO
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rate:
    """The rate in Hz of the media to come, from a protocol that tells it with the first of them."""

    hertz: int


@dataclass(frozen=True)
class Media:
    """Bytes of the stream, in order."""

    data: bytes


@dataclass(frozen=True)
class Reply:
    """A reply to what was read.

    Attributes:
        make: makes it.
        queued: sent after everything that came before it is judged; else at once.
    """

    make: Make
    queued: bool = False


@dataclass(frozen=True)
class Notes:
    """What has been odd about the stream so far, as sentences; replaces what was told before."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    """The call is over; what comes after is not read."""


Event = Begin | Rate | Media | Reply | Notes | Ended


class PhoneProtocol(Protocol):
    """One connection of one provider."""

    def read(self, content: Content) -> Iterable[Event]:
        """What a frame, or a part of a TCP stream, says.

        Raises:
            InvalidRequest: it is none of the protocol's.
        """

    def rest(self) -> Iterable[Event]:
        """What was held back, when the call has ended without a last message; nothing is held back afterwards."""

    def verdict_message(self, verdict: PhoneVerdict) -> Make | None:
        """The message that carries a verdict; None: the protocol has none."""

    def ending_message(self, ending: Ending) -> Make | None:
        """The last message before the connection is closed; None: the protocol has none."""

    def refusal(self, error: BonafideError) -> Make | None:
        """The protocol's own form of an error, after which the connection is closed; None: it has none."""

    @property
    def awaits_close(self) -> bool:
        """Whether the peer has yet to close, before the connection is closed."""


class SilentProtocol:
    """Base of protocols in which nothing is told to the provider."""

    def rest(self) -> Iterable[Event]:
        """See `PhoneProtocol`."""
        return ()

    def verdict_message(self, verdict: PhoneVerdict) -> Make | None:
        """See `PhoneProtocol`."""
        del verdict
        return None

    def ending_message(self, ending: Ending) -> Make | None:
        """See `PhoneProtocol`."""
        del ending
        return None

    def refusal(self, error: BonafideError) -> Make | None:
        """See `PhoneProtocol`."""
        del error
        return None

    @property
    def awaits_close(self) -> bool:
        """See `PhoneProtocol`."""
        return False
