"""`/ws/detect`: JSON text frames, binary audio for those who ask for it. Translates, and decides nothing.

By default each frame gets exactly one answer, which is what the clients of the older service count on.
"""

import math
import time
import uuid
from collections.abc import AsyncGenerator, Callable

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from bonafide.api import websocket_messages as messages
from bonafide.api.http import refusal
from bonafide.app import App
from bonafide.calls import Call, printable_id
from bonafide.errors import BonafideError, Unavailable
from bonafide.live.formats import text_samples
from bonafide.live.intake import Intake
from bonafide.live.stream import Audio, Flush, Input, Judged, LiveStream, Refused, Say, SlowReader
from bonafide.live.summary import LiveSummary
from bonafide.streaming import Ending, WindowVerdict
from bonafide.telemetry import bound_caller, observed

GOING_AWAY, POLICY, INTERNAL = 1001, 1008, 1011
_CLOSE = {
    Ending.END: (1000, ""),
    Ending.IDLE: (POLICY, "idle"),
    Ending.SESSION_LIMIT: (POLICY, "session_limit"),
    Ending.GOING_AWAY: (GOING_AWAY, "going_away"),
}
_LEAST_PROBABILITY = 1e-7  # its logarithm still is a number


class WebSocketApi:
    """The route's handler.

    Args:
        app: what the service is made of; None while it starts.
    """

    def __init__(self, app: Callable[[], App | None]) -> None:
        self._app = app

    def routes(self) -> list[BaseRoute]:
        """What to mount."""
        return [WebSocketRoute("/ws/detect", self.detect)]

    async def detect(self, websocket: WebSocket) -> None:
        """Serves one socket. Never raises."""
        call = Call.within(math.inf, request_id=websocket.headers.get("x-request-id"))
        app = self._app()
        try:
            async with observed("websocket", "detect", call):
                if app is None:
                    raise Unavailable("the service is starting")
                with app.live.open(call, bound_caller()) as stream:
                    await websocket.accept()
                    await _Conversation(websocket, stream).run()
        except BonafideError as error:
            if websocket.application_state is WebSocketState.CONNECTING:
                await refuse(websocket, error, call, full=app is not None and app.live.full)
            elif isinstance(error, SlowReader):
                websocket.state.cut(POLICY, "slow_reader")
            else:
                websocket.state.cut(INTERNAL, error.code.value)


async def refuse(websocket: WebSocket, error: BonafideError, call: Call, *, full: bool) -> None:
    """Answers the handshake with an error as HTTP would, but with 503 when nobody could be let in."""
    response = refusal(error, call)
    if full:
        response.status_code = 503
    await websocket.send_denial_response(response)


class _Conversation:
    """One socket: frames to inputs, outputs to frames."""

    def __init__(self, websocket: WebSocket, stream: LiveStream) -> None:
        self._websocket = websocket
        self._stream = stream
        self._client_id = uuid.uuid4().hex
        self._intake = Intake(stream)
        self._push = False
        self._connected_at = time.time()
        self._messages = 0
        self._model = messages.Model(name=stream.model.name, version=stream.model.version, demo=stream.model.demo)

    async def run(self) -> None:
        """Serves until one side ends it, and closes."""
        try:
            summary = await self._stream.run(self._inputs(), self._send)
            code, reason = _CLOSE[summary.ending]
            await self._websocket.close(code, reason)
        except WebSocketDisconnect:
            pass  # the other side left, or broke the protocol and was told so

    async def _inputs(self) -> AsyncGenerator[Input, None]:
        while True:
            frame = await self._websocket.receive()
            if frame["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(frame.get("code", 1005))
            self._messages += 1
            try:
                if (text := frame.get("text")) is None:
                    yield await self._binary(frame["bytes"])
                    continue
                message = messages.read_message(text)
                if isinstance(message, messages.End):
                    return
                yield self._input(message)
            except BonafideError as error:
                told = self._error(error)
                yield Say(lambda told=told: told)  # type: ignore[misc]

    def _input(self, message: messages.ClientMessage) -> Input:
        match message:
            case messages.AudioChunk():
                rate = self._intake.rate if message.sample_rate is None else message.sample_rate
                return Audio(text_samples(message.audio_data), rate, answer=not self._push)
            case messages.Configure():
                updated = self._configure(message)
                return Say(lambda: updated)
            case messages.Flush():
                return Flush()
            case messages.Connect():
                self._client_id = printable_id(message.client_id or "") or self._client_id
                return Say(
                    lambda: messages.Connected(
                        client_id=self._client_id, request_id=self._stream.call.request_id, model=self._model
                    )
                )
            case messages.AskStats():
                return Say(self._stats)
        return Say(messages.Pong)

    async def _binary(self, data: bytes) -> Input:
        samples, rate = await self._intake.samples(data)
        return Audio(samples, rate, answer=not self._push)

    def _configure(self, wanted: messages.Configure) -> messages.ConfigUpdated:
        self._intake.configure(
            rate=wanted.sample_rate,
            encoding=wanted.encoding,
            chunk_s=wanted.chunk_duration,
            overlap_s=wanted.overlap_duration,
        )
        if wanted.results is not None:
            self._push = wanted.results == "push"
        config = self._stream.session.config
        return messages.ConfigUpdated(
            client_id=self._client_id,
            config=messages.InForce(
                sample_rate=self._intake.rate,
                chunk_duration=config.chunk_s,
                overlap_duration=config.overlap_s,
                encoding=self._intake.encoding,
                results="push" if self._push else "reply",
            ),
        )

    async def _send(self, output: object) -> None:
        frame = self._frame(output)
        if frame is not None:
            await self._websocket.send_text(frame.text())

    def _frame(self, output: object) -> messages.ServerMessage | None:
        match output:
            case Judged():
                return self._judged(output)
            case Refused(error):
                return self._error(error)
            case LiveSummary():
                return self._summary(output) if self._push or output.ending is Ending.END else None
        return output  # type: ignore[return-value]  # what a `Say` made is a frame

    def _judged(self, judged: Judged) -> messages.ServerMessage:
        sequences = ", ".join(str(place.sequence) for place in judged.unjudged)
        names = f"no verdict on the windows {sequences}"
        if judged.verdicts:
            windows = [_result(verdict) for verdict in judged.verdicts]
            return messages.DetectionResult(
                client_id=self._client_id,
                result=windows[-1],
                windows=windows,
                threshold=self._stream.session.threshold,
                model=self._model,
                processing_time_ms=round(1000 * judged.took_s, 3),
                error_message=f"{names}: {judged.error.message}" if judged.error else "",
            )
        if judged.error:
            return self._error(judged.error, names)
        return messages.Buffering(
            client_id=self._client_id,
            buffer_duration=judged.waiting_s,
            buffer_size=judged.waiting_samples,
            chunk_duration=self._stream.session.config.chunk_s,
        )

    def _error(self, error: BonafideError, about: str = "") -> messages.Error:
        text = f"{about}: {error.message}" if about else error.message
        return messages.Error(message=text, code=error.code.value, request_id=self._stream.call.request_id)

    def _stats(self) -> messages.Stats:
        session = self._stream.session
        return messages.Stats(
            client_id=self._client_id,
            stats=messages.SessionStats(
                connected_at=self._connected_at,
                total_messages=self._messages,
                total_detections=len(session.verdicts),
                buffer_size=session.waiting_samples,
                buffer_duration=session.waiting_s,
                audio_seconds=session.audio_s,
                judged_seconds=sum(each.place.fresh_s for each in session.verdicts if each.score is not None),
                speech_seconds=sum(each.speech_s for each in session.verdicts),
            ),
        )

    def _summary(self, summary: LiveSummary) -> messages.Summary:
        return messages.Summary(
            client_id=self._client_id,
            label=summary.label,
            is_spoof=summary.label == "spoof",
            p_spoof=summary.score,
            threshold=summary.threshold,
            audio_seconds=summary.audio_s,
            judged_seconds=summary.judged_s,
            speech_seconds=summary.speech_s,
            windows=[
                messages.TimelineWindow(
                    sequence=each.place.sequence,
                    start_time_seconds=each.place.start_s,
                    end_time_seconds=each.place.end_s,
                    label=each.label,
                    p_spoof=each.score,
                    speech_ratio=each.speech,
                )
                for each in summary.windows
            ],
            suspicious=[],
            reason=summary.ending.value,
            model=self._model,
            calibrated=summary.model.calibrated,
            request_id=self._stream.call.request_id,
        )


def _result(verdict: WindowVerdict) -> messages.Result:
    spoof = verdict.score
    both = [] if spoof is None else [spoof, 1 - spoof]
    return messages.Result(
        sequence=verdict.place.sequence,
        start_time_seconds=verdict.place.start_s,
        end_time_seconds=verdict.place.end_s,
        label=verdict.label,
        score=0.0 if spoof is None else both[verdict.label == "bonafide"],
        is_spoof=verdict.label == "spoof",
        all_scores=messages.Scores(spoof=both[0] if both else 0.0, bonafide=both[1] if both else 0.0),
        logits=[math.log(max(each, _LEAST_PROBABILITY)) for each in both],
        p_spoof=spoof,
        speech_ratio=verdict.speech,
        running=messages.Running(label=verdict.running_label, p_spoof=verdict.running_score),
    )
