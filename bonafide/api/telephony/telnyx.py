"""Telnyx' media streaming: `/ws/telnyx`. Messages may come out of order, and are put back by `sequence_number`.

The verdict is not sent on the socket: the protocol has no message for it.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from bonafide.api.telephony.events import Begin, Content, Ended, Event, Media, Notes, SilentProtocol
from bonafide.api.telephony.fields import CALL_ID, Address, Frame, decoded, read_object, refuse
from bonafide.api.telephony.reorder import Reorder
from bonafide.api.telephony.tracks import SILENCE, Tracks
from bonafide.errors import InvalidRequest
from bonafide.live.input_decoder import G711_RATE, Encoding

MOST_WAITING = 50
"""Messages held back for an earlier one: a second of one track at the usual 20 ms."""
MOST_WAITING_BYTES = 1024 * 1024
"""That these may hold: two minutes. Each may be as large as a message of a socket."""
_ENCODINGS: dict[str, Encoding] = {"PCMU": "mulaw", "PCMA": "alaw", "G722": "g722"}
_Number = Annotated[int, Field(ge=0, lt=2**53)]


class _MediaFormat(Frame):
    encoding: str
    sample_rate: int = G711_RATE
    channels: int = 1


class _Sent(NamedTuple):
    track: str
    data: bytes


class _StartOfCall(Frame):
    call_control_id: str = Field(pattern=CALL_ID)
    media_format: _MediaFormat


class _Start(Frame):
    event: Literal["start"]
    sequence_number: _Number | None = None
    stream_id: str = Field("", max_length=256)
    start: _StartOfCall


class _Payload(Frame):
    track: str = "inbound"
    payload: str


class _Media(Frame):
    event: Literal["media"]
    sequence_number: _Number | None = None
    media: _Payload


class _Other(Frame):
    sequence_number: _Number | None = None


_Message = _Start | _Media
_MESSAGE: TypeAdapter[_Message] = TypeAdapter(Annotated[_Message, Field(discriminator="event")])


class TelnyxProtocol(SilentProtocol):
    """One stream.

    Args:
        address: the query's `track` says which side is judged; `both`, each of which has media of its own, are two
            channels. Of G722, whose packets cannot be interleaved, the caller's side is judged then.
    """

    def __init__(self, address: Address) -> None:
        self._track = "outbound" if address.track == "outbound" else "inbound"
        self._mode = address.mode
        self._wants_both = address.track == "both"
        self._tracks: Tracks | None = None
        self._order = Reorder[_Sent | None](MOST_WAITING, MOST_WAITING_BYTES)
        self._started = False
        self._told = (0, 0)

    def read(self, content: Content) -> Iterator[Event]:
        """See `PhoneProtocol`."""
        if not isinstance(content, str):
            raise InvalidRequest("a binary frame: media come as JSON")
        found = read_object(content)
        event = found.get("event")
        if not isinstance(event, str):
            raise InvalidRequest("event: Field required")
        try:
            message = _MESSAGE.validate_python(found) if event in ("start", "media") else _Other.model_validate(found)
        except ValidationError as error:
            refuse(error)
        match message:
            case _Start():
                yield self._begin(message)
                if self._is_one_sided:
                    yield self._notes()
            case _Media():
                yield from self._media(message)
            case _:
                if message.sequence_number is not None and self._started:
                    yield from self._due(self._order.add(message.sequence_number, None))
                if event == "stop":
                    yield from self.rest()
                    yield Ended()

    def rest(self) -> Iterator[Event]:
        """See `PhoneProtocol`."""
        yield from self._due(self._order.flush())
        if self._tracks is not None:
            yield Media(self._tracks.rest())

    @property
    def _is_one_sided(self) -> bool:
        """Whether one side is judged of a started stream of which both are wanted."""
        return self._wants_both and self._tracks is None

    def _begin(self, message: _Start) -> Begin:
        found = message.start.media_format
        encoding = _ENCODINGS.get(found.encoding.upper())
        if self._started:
            raise InvalidRequest("a stream starts once")
        if encoding is None or found.channels != 1 or (encoding != "g722" and found.sample_rate != G711_RATE):
            raise InvalidRequest("media come as PCMU or PCMA at 8000 Hz, or as G722, mono: set stream_codec to one")
        self._started = True
        if message.sequence_number is not None:
            self._order.start(message.sequence_number)
        call_id = message.start.call_control_id
        if not self._wants_both or encoding not in SILENCE:
            return Begin(call_id, message.stream_id, encoding, mode=self._mode)
        self._tracks = Tracks("inbound", "outbound", encoding)
        return Begin(call_id, message.stream_id, encoding, G711_RATE, 2, self._mode, self._tracks.names)

    def _media(self, message: _Media) -> Iterator[Event]:
        if not self._started:
            raise InvalidRequest("media came before start")
        wanted = self._tracks is not None or message.media.track == self._track
        sent = _Sent(message.media.track, decoded(message.media.payload)) if wanted else None
        if message.sequence_number is None:
            yield from self._due([sent])
        else:
            yield from self._due(self._order.add(message.sequence_number, sent, 0 if sent is None else len(sent.data)))

    def _due(self, messages: Iterable[_Sent | None]) -> Iterator[Event]:
        order = self._order
        if (order.lost, order.duplicates) != self._told:
            self._told = (order.lost, order.duplicates)
            yield self._notes()
        for sent in messages:
            if sent is not None:
                yield Media(sent.data if self._tracks is None else self._tracks.add(sent.track, sent.data))

    def _notes(self) -> Notes:
        order = self._order
        texts = []
        if self._is_one_sided:
            texts.append(f"only the {self._track} track is judged: those of G722 cannot be interleaved")
        if order.lost:
            texts.append(f"{order.lost} messages of the stream were lost, in {order.gaps} gaps")
        if order.duplicates:
            texts.append(f"{order.duplicates} messages came twice or too late, and were dropped")
        return Notes(tuple(texts))
