"""`/ws/twilio`: a phone call as Twilio's media streams send it. Translates, and decides nothing.

The call itself is told nothing: its verdict is readable at `/calls/{call_id}` while it lasts and for a while after,
and goes to the webhook when the running label changes and when the call is over.
"""

import base64
import binascii
import time
from collections.abc import AsyncGenerator

from starlette.websockets import WebSocket

from bonafide.api import twilio_messages as phone
from bonafide.api.websocket_messages import model_of, stretch, timeline_window
from bonafide.app import App
from bonafide.errors import InvalidRequest
from bonafide.live.input_decoder import MULAW_RATE, AudioInputDecoder
from bonafide.live.session import Ending
from bonafide.live.stream import Audio, Input, LiveStream, QueuedReply, WindowResults
from bonafide.live.summary import LiveSummary, summary_of
from bonafide.telemetry import bind_task

_WINDOW_S = 4.0
"""Nobody waits for the next answer here, so windows are as long as the model likes them."""
_MAX_MARKS = 64


class PhoneConversation:
    """One call."""

    def __init__(self, websocket: WebSocket, stream: LiveStream, app: App) -> None:
        self._websocket = websocket
        self._stream = stream
        self._calls = app.calls
        self._webhook = app.webhook
        self._intake = AudioInputDecoder(stream)
        self._intake.configure(encoding="mulaw", chunk_s=_WINDOW_S)
        self._start: phone.Start | None = None
        self._track = "inbound"
        self._marks: set[str] = set()
        self._told = "no_speech"

    async def run(self) -> LiveSummary:
        """See `Conversation`; a call that breaks off has a verdict too."""
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
                    if self._start is None:
                        raise InvalidRequest("media came before start")
                    if message.media.track == self._track:
                        yield Audio(*await self._intake.samples(_decoded(message.media.payload)))
                case phone.Mark():
                    if answer := self._answer(message):
                        yield QueuedReply(lambda answer=answer: answer)  # type: ignore[misc]
                case phone.Stop():
                    return

    async def _begin(self, start: phone.Start) -> None:
        found = start.start.media_format
        if self._start is not None:
            raise InvalidRequest("a stream starts once")
        if (found.encoding, found.sample_rate, found.channels) != ("audio/x-mulaw", MULAW_RATE, 1):
            raise InvalidRequest(f"media come as audio/x-mulaw at {MULAW_RATE} Hz, mono")
        self._start = start
        if start.start.tracks and "inbound" not in start.start.tracks:
            self._track = start.start.tracks[0]
        bind_task(start.start.call_sid)
        await self._keep(Ending.END, done=False)

    def _answer(self, mark: phone.Mark) -> str | None:
        """The same mark, once: the provider answers ours with another of the same name."""
        if self._start is None or mark.mark.name in self._marks or len(self._marks) >= _MAX_MARKS:
            return None
        self._marks.add(mark.mark.name)
        return phone.MarkAnswer(stream_sid=self._start.stream_sid, mark=mark.mark).model_dump_json(by_alias=True)

    async def _send(self, output: object) -> None:
        match output:
            case WindowResults():
                await self._keep(Ending.END, done=False)
            case LiveSummary():
                await self._keep(output.ending, done=True)
            case str():
                await self._websocket.send_text(output)

    async def _keep(self, ending: Ending, *, done: bool) -> None:
        """Makes the verdict readable, and sends it to who wants to be told."""
        if self._start is None:
            return
        document = self._verdict(summary_of(self._stream.session, ending, self._stream.model), self._start, done)
        text = document.model_dump_json().encode()
        await self._calls.put(document.call_id, text)
        if self._webhook is not None and (done or document.label != self._told):
            self._webhook.post(text)
        self._told = document.label

    def _verdict(self, summary: LiveSummary, start: phone.Start, done: bool) -> phone.CallVerdict:
        running = self._stream.session.running
        label, p_spoof = (summary.label, summary.score) if done else (running.label, running.p_spoof)
        return phone.CallVerdict(
            call_id=start.start.call_sid,
            stream_id=start.stream_sid,
            status="done" if done else "in_progress",
            label=label,
            is_spoof=label == "spoof",
            p_spoof=p_spoof,
            threshold=summary.threshold,
            audio_seconds=summary.audio_s,
            judged_seconds=summary.judged_s,
            speech_seconds=summary.speech_s,
            windows=[timeline_window(each) for each in summary.windows] if done else [],
            suspicious=[stretch(each) for each in summary.suspicious],
            reason=summary.ending.value if done else "",
            model=model_of(summary.model),
            calibrated=summary.model.calibrated,
            request_id=self._stream.call.request_id,
            timestamp=time.time(),
        )


def _decoded(payload: str) -> bytes:
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("a payload is not base64") from error
