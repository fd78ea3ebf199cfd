"""`/ws/detect`: JSON text frames, binary audio on request. Translation only.

By default each frame gets exactly one reply, on which clients of the older service rely.
"""

import asyncio
import math
import uuid
from collections.abc import AsyncGenerator

from starlette.websockets import WebSocket, WebSocketDisconnect

from bonafide.api import websocket_replies as replies
from bonafide.api import websocket_requests as requests
from bonafide.api.websocket_query import configuration_of
from bonafide.app import App
from bonafide.audio.channel_mode import AUTO, ChannelMode
from bonafide.calls import printable_id
from bonafide.channels import channel_name, windows_of
from bonafide.errors import BonafideError, TooLarge
from bonafide.live.input_decoder import AudioInputDecoder
from bonafide.live.messages import Audio, Failed, Flush, Input, QueuedReply, Refused, WindowResults
from bonafide.live.session import Ending
from bonafide.live.stream import LiveStream
from bonafide.live.summary import LiveSummary
from bonafide.live.windows import LiveWindowVerdict
from bonafide.verdict import WindowSpan

_MIN_PROBABILITY = 1e-7  # its logarithm is finite


class DetectConversation:
    """One socket: frames to inputs, outputs to frames.

    Raises:
        InvalidRequest: its address holds a wrong configuration.
    """

    def __init__(self, websocket: WebSocket, stream: LiveStream, app: App) -> None:
        self._websocket = websocket
        self._stream = stream
        stream.client_id = uuid.uuid4().hex
        self._max_bytes = app.settings.live_max_message_bytes
        self._intake = AudioInputDecoder(stream)
        self._push = False
        self._model = replies.model_of(stream.model)
        configured = configuration_of(websocket.query_params.multi_items())
        if configured is not None:
            self._configure(configured)
        # Media forks send a line about the call first, whatever their maker put into it.
        self._metadata_may_come = configured is not None and configured.encoding is not None

    async def run(self) -> LiveSummary:
        """See `Conversation`."""
        return await self._stream.run(self._inputs(), self._send, self._rest)

    async def _inputs(self) -> AsyncGenerator[Input, None]:
        while True:
            frame = await self._websocket.receive()
            if frame["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(frame.get("code", 1005))
            is_first, self._metadata_may_come = self._metadata_may_come, False
            try:
                if (text := frame.get("text")) is None:
                    yield await self._binary(frame["bytes"])
                    continue
                if text == self._websocket.state.too_large:
                    raise TooLarge(f"a message may have at most {self._max_bytes} bytes")
                message = requests.read_message(text)
                if isinstance(message, requests.End):
                    return
                yield await self._input(message)
            except BonafideError as error:
                if is_first and isinstance(error, requests.UnknownMessage):
                    continue
                reply = self._error(error)
                yield QueuedReply(lambda reply=reply: reply)  # type: ignore[misc]

    async def _rest(self) -> AsyncGenerator[Input, None]:
        yield Audio(await self._intake.rest(), last=True)

    async def _input(self, message: requests.ClientMessage) -> Input:
        match message:
            case requests.AudioChunk():
                blocks = await self._intake.text(message.audio_data, message.sample_rate, message.encoding)
                return Audio(blocks, answer=not self._push)
            case requests.Configure():
                updated = self._configure(message)
                return QueuedReply(lambda: updated)
            case requests.Flush():
                return Flush()
            case requests.Connect():
                self._stream.client_id = printable_id(message.client_id or "") or self._stream.client_id
                return QueuedReply(
                    lambda: replies.Connected(
                        client_id=self._stream.client_id, request_id=self._stream.call.request_id, model=self._model
                    )
                )
            case requests.AskStats():
                return QueuedReply(self._stats)
        return QueuedReply(replies.Pong)

    async def _binary(self, data: bytes) -> Input:
        return Audio(await self._intake.samples(data), answer=not self._push)

    def _configure(self, wanted: requests.Configure) -> replies.ConfigUpdated:
        self._intake.configure(
            rate=wanted.sample_rate,
            encoding=wanted.encoding,
            channels=wanted.channels,
            chunk_s=wanted.chunk_duration,
            overlap_s=wanted.overlap_duration,
            mode=None if wanted.channel_mode is None else ChannelMode.parse(wanted.channel_mode),
        )
        if wanted.results is not None:
            self._push = wanted.results == "push"
        config, mode = self._stream.session.config, self._stream.session.mode
        return replies.ConfigUpdated(
            client_id=self._stream.client_id,
            config=replies.SessionConfig(
                sample_rate=self._intake.rate,
                chunk_duration=config.chunk_s,
                overlap_duration=config.overlap_s,
                encoding=self._intake.encoding,
                channels=self._intake.channels,
                results="push" if self._push else "reply",
                channel_mode="" if mode == AUTO and (self._intake.channels or 1) == 1 else str(mode),
            ),
        )

    async def _send(self, output: object) -> None:
        # In a thread: a summary of hours takes a part of a second, in which no other call would go on.
        is_long = isinstance(output, LiveSummary)
        text = await asyncio.to_thread(self._text, output) if is_long else self._text(output)
        if text is not None:
            await self._websocket.send_text(text)

    def _text(self, output: object) -> str | None:
        frame = self._frame(output)
        return None if frame is None else frame.text()

    def _frame(self, output: object) -> replies.ServerMessage | None:
        match output:
            case WindowResults():
                return self._judged(output)
            case Refused(error) | Failed(error):
                return self._error(error)
            case LiveSummary():
                return self._summary(output) if self._push or output.ending is Ending.END else None
        return output  # type: ignore[return-value]  # what a `QueuedReply` made is a frame

    def _judged(self, judged: WindowResults) -> replies.ServerMessage:
        names = f"no verdict on the windows {', '.join(map(self._name_of, judged.unjudged))}"
        if judged.verdicts:
            worst = windows_of(judged.verdicts, self._stream.session.worst_now) or judged.verdicts
            return replies.DetectionResult(
                client_id=self._stream.client_id,
                result=self._result(worst[-1]),
                windows=[self._result(verdict) for verdict in judged.verdicts],
                threshold=self._stream.session.threshold,
                model=self._model,
                processing_time_ms=round(1000 * judged.took_s, 3),
                error_message=f"{names}: {judged.error.message}" if judged.error else "",
            )
        if judged.error:
            return self._error(judged.error, names)
        return replies.Buffering(
            client_id=self._stream.client_id,
            buffer_duration=judged.waiting_s,
            buffer_size=judged.waiting_samples,
            chunk_duration=self._stream.session.config.chunk_s,
        )

    def _result(self, verdict: LiveWindowVerdict) -> replies.Result:
        return _result(verdict, channel_name(verdict.channel, self._stream.channel_names))

    def _name_of(self, span: WindowSpan) -> str:
        name = channel_name(span.channel, self._stream.channel_names)
        return f"{span.index} of channel {name}" if name else str(span.index)

    def _error(self, error: BonafideError, about: str = "") -> replies.Error:
        text = f"{about}: {error.message}" if about else error.message
        return replies.Error(message=text, code=error.code.value, request_id=self._stream.call.request_id)

    def _stats(self) -> replies.Stats:
        return replies.Stats(client_id=self._stream.client_id, stats=replies.session_stats(self._stream))

    def _summary(self, summary: LiveSummary) -> replies.Summary:
        return replies.Summary(
            client_id=self._stream.client_id,
            label=summary.label,
            is_spoof=summary.label == "spoof",
            p_spoof=summary.score,
            threshold=summary.threshold,
            audio_seconds=summary.audio_s,
            judged_seconds=summary.judged_s,
            speech_seconds=summary.speech_s,
            windows=[replies.timeline_window(each, summary.names) for each in summary.windows],
            suspicious=[replies.stretch(each) for each in summary.suspicious],
            reason=summary.ending.value,
            model=self._model,
            calibrated=summary.model.calibrated,
            request_id=self._stream.call.request_id,
            warnings=list(summary.warnings),
            member_scores=dict(summary.member_scores),
            evidence=summary.evidence,
            decision=summary.answer.decision,
            llr=summary.answer.llr,
            partially_spoofed=summary.answer.partially_spoofed,
            conditions=list(summary.answer.conditions),
            channel=summary.channel,
            channels=replies.channel_timelines(summary),
        )


def _result(verdict: LiveWindowVerdict, channel: str) -> replies.Result:
    spoof = verdict.score
    both = [] if spoof is None else [spoof, 1 - spoof]
    return replies.Result(
        sequence=verdict.index,
        start_time_seconds=verdict.start_s,
        end_time_seconds=verdict.end_s,
        label=verdict.label,
        score=0.0 if spoof is None else both[verdict.label == "bonafide"],
        is_spoof=verdict.label == "spoof",
        all_scores=replies.Scores(spoof=both[0] if both else 0.0, bonafide=both[1] if both else 0.0),
        logits=[math.log(max(each, _MIN_PROBABILITY)) for each in both],
        p_spoof=spoof,
        speech_ratio=verdict.speech_ratio,
        running=replies.Running(label=verdict.running_label, p_spoof=verdict.running_score),
        member_scores=dict(verdict.member_scores),
        llr=verdict.llr,
        channel=channel,
    )
