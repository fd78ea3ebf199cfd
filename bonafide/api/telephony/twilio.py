"""Twilio's media streams: `/ws/twilio`. The verdict is not sent on the socket: the protocol has no message for it."""

from collections.abc import Iterator

from bonafide.api.telephony import twilio_messages as phone
from bonafide.api.telephony.events import Begin, Content, Ended, Event, Media, Reply, SilentProtocol
from bonafide.api.telephony.fields import decoded
from bonafide.api.telephony.tracks import Tracks
from bonafide.errors import InvalidRequest
from bonafide.live.input_decoder import G711_RATE

_MAX_MARKS = 64


class TwilioProtocol(SilentProtocol):
    """One stream; of both tracks each is judged."""

    def __init__(self) -> None:
        self._stream_id: str | None = None
        self._track = "inbound"
        self._tracks: Tracks | None = None
        self._marks: set[str] = set()

    def read(self, content: Content) -> Iterator[Event]:
        """See `PhoneProtocol`."""
        message = phone.read_phone_message(content if isinstance(content, str) else "")
        match message:
            case phone.Start():
                yield self._begin(message)
            case phone.Media():
                if self._stream_id is None:
                    raise InvalidRequest("media came before start")
                yield from self._media(message)
            case phone.Mark():
                yield from self._reply(message)
            case phone.Stop():
                yield from self.rest()
                yield Ended()

    def rest(self) -> Iterator[Event]:
        """See `PhoneProtocol`."""
        if self._tracks is not None:
            yield Media(self._tracks.rest())

    def _media(self, message: phone.Media) -> Iterator[Event]:
        if self._tracks is not None:
            yield Media(self._tracks.add(message.media.track, decoded(message.media.payload)))
        elif message.media.track == self._track:
            yield Media(decoded(message.media.payload))

    def _begin(self, start: phone.Start) -> Begin:
        found = start.start.media_format
        if self._stream_id is not None:
            raise InvalidRequest("a stream starts once")
        if (found.encoding, found.sample_rate, found.channels) != ("audio/x-mulaw", G711_RATE, 1):
            raise InvalidRequest(f"media come as audio/x-mulaw at {G711_RATE} Hz, mono")
        self._stream_id = start.stream_sid
        if {"inbound", "outbound"} <= set(start.start.tracks):
            self._tracks = Tracks("inbound", "outbound", "mulaw")
            return Begin(start.start.call_sid, start.stream_sid, "mulaw", G711_RATE, 2, names=self._tracks.names)
        if start.start.tracks and "inbound" not in start.start.tracks:
            self._track = start.start.tracks[0]
        return Begin(start.start.call_sid, start.stream_sid, "mulaw", G711_RATE)

    def _reply(self, mark: phone.Mark) -> Iterator[Event]:
        """The same mark, once: the provider replies to it with another of the same name."""
        if self._stream_id is None or mark.mark.name in self._marks or len(self._marks) >= _MAX_MARKS:
            return
        self._marks.add(mark.mark.name)
        answer = phone.MarkAnswer(stream_sid=self._stream_id, mark=mark.mark).model_dump_json(by_alias=True)
        yield Reply(lambda: answer, queued=True)
