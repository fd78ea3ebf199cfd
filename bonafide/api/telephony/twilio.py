"""`/ws/twilio`: a phone call as Twilio's media streams send it. Translation only.

The verdict is not sent on the socket: `live/phone_calls.py` stores it, for `/calls/{call_id}`, and posts it to
the webhook.
"""

import base64
import binascii
from collections.abc import AsyncGenerator

from starlette.websockets import WebSocket

from bonafide.api.telephony import twilio_messages as phone
from bonafide.app import App
from bonafide.errors import InvalidRequest
from bonafide.live.input_decoder import G711_RATE, AudioInputDecoder
from bonafide.live.phone_calls import PhoneCall
from bonafide.live.stream import Audio, Input, LiveStream, QueuedReply, WindowResults
from bonafide.live.summary import LiveSummary
from bonafide.telemetry import bind_task

_WINDOW_S = 4.0
"""The longest window of the models: nothing on the call depends on an early result."""
_MAX_MARKS = 64


class PhoneConversation:
    """One call."""

    def __init__(self, websocket: WebSocket, stream: LiveStream, app: App) -> None:
        self._websocket = websocket
        self._stream = stream
        self._app = app
        self._intake = AudioInputDecoder(stream)
        self._intake.configure(encoding="mulaw", chunk_s=_WINDOW_S, overlap_s=0.0)
        self._call: PhoneCall | None = None
        self._track = "inbound"
        self._marks: set[str] = set()

    async def run(self) -> LiveSummary:
        """See `Conversation`; a call that is cut off has a verdict too."""
        return await self._stream.run(self._inputs(), self._send)

    async def _inputs(self) -> AsyncGenerator[Input, None]:
        while True:
            frame = await self._websocket.receive()
            if frame["type"] == "websocket.disconnect":
                return
            message = phone.read_phone_message(frame.get("text") or "")
            match message:
                case phone.Start():
                    await self._begin(message)
                case phone.Media():
                    if self._call is None:
                        raise InvalidRequest("media came before start")
                    if message.media.track == self._track:
                        yield Audio(*await self._intake.samples(_decoded(message.media.payload)))
                case phone.Mark():
                    if reply := self._reply(message):
                        yield QueuedReply(lambda reply=reply: reply)  # type: ignore[misc]
                case phone.Stop():
                    return

    async def _begin(self, start: phone.Start) -> None:
        found = start.start.media_format
        if self._call is not None:
            raise InvalidRequest("a stream starts once")
        if (found.encoding, found.sample_rate, found.channels) != ("audio/x-mulaw", G711_RATE, 1):
            raise InvalidRequest(f"media come as audio/x-mulaw at {G711_RATE} Hz, mono")
        if start.start.tracks and "inbound" not in start.start.tracks:
            self._track = start.start.tracks[0]
        self._stream.call = self._stream.call.of_task(start.start.call_sid)
        bind_task(start.start.call_sid)
        self._call = PhoneCall(
            start.start.call_sid,
            start.stream_sid,
            stream=self._stream,
            verdicts=self._app.calls,
            webhook=self._app.webhook,
            encode=phone.call_verdict,
        )
        await self._call.update()

    def _reply(self, mark: phone.Mark) -> str | None:
        """The same mark, once: the provider replies to it with another of the same name."""
        if self._call is None or mark.mark.name in self._marks or len(self._marks) >= _MAX_MARKS:
            return None
        self._marks.add(mark.mark.name)
        return phone.MarkAnswer(stream_sid=self._call.stream_id, mark=mark.mark).model_dump_json(by_alias=True)

    async def _send(self, output: object) -> None:
        match output:
            case WindowResults() if self._call is not None:
                await self._call.update()
            case LiveSummary() if self._call is not None:
                await self._call.finish(output)
            case str():
                await self._websocket.send_text(output)


def _decoded(payload: str) -> bytes:
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("a payload is not base64") from error
