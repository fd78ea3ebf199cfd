"""gRPC: `AnalyzeLive`, live audio in both directions. Translation only."""

from __future__ import annotations  # gRPC has its generic classes for type checkers only

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import cast, get_args

from bonafide.api import messages
from bonafide.api.grpc_calls import SETTLE_S
from bonafide.audio.channel_mode import ChannelMode
from bonafide.audio.resampling import SAMPLE_RATE
from bonafide.calls import Call
from bonafide.channels import channel_name
from bonafide.errors import BonafideError, DeadlineExceeded, InvalidRequest, TooLarge, Unavailable
from bonafide.live.formats import RawEncoding
from bonafide.live.input_decoder import ENCODINGS, AudioInputDecoder, Encoding, default_rate
from bonafide.live.messages import NOTHING, Audio, Flush, Input, Refused, WindowResults
from bonafide.live.registry import LiveSessions
from bonafide.live.session import Ending
from bonafide.live.summary import LiveSummary
from bonafide.live.windows import LiveWindowVerdict
from bonafide.security.caller import current_caller
from bonafide.telemetry import bind_task
from proto import audio_analyzer_pb2 as audio

_MAX_PART_BYTES = 1024 * 1024
_ENDED: dict[Ending, Callable[[], BonafideError]] = {
    Ending.IDLE: lambda: DeadlineExceeded("nothing was sent for too long"),
    Ending.SESSION_LIMIT: lambda: DeadlineExceeded("the session has lasted as long as one may"),
    Ending.GOING_AWAY: lambda: Unavailable("the service is going away"),
}


class _Writer:
    """Writes events one by one. A write is never cancelled: gRPC cannot end a call during one."""

    def __init__(self, write: Callable[[audio.LiveAudioEvent], Awaitable[None]]) -> None:
        self._write = write
        self._writing: asyncio.Future[None] | None = None

    async def write(self, event: audio.LiveAudioEvent) -> None:
        """Returns when another event can be written."""
        self._writing = asyncio.ensure_future(self._write(event))
        self._writing.add_done_callback(_seen)
        await asyncio.shield(self._writing)

    async def settles(self, within_s: float) -> bool:
        """Whether no write is in progress, now or within so many seconds."""
        if self._writing is not None:
            await asyncio.wait((self._writing,), timeout=within_s)
        return self._writing is None or self._writing.done()


def _seen(writing: asyncio.Future[None]) -> None:
    """Looks at the error of a write that nobody waits for any more, or asyncio would log it: the caller has gone."""
    if not writing.cancelled():
        writing.exception()


async def analyze_live(
    sessions: LiveSessions,
    requests: AsyncIterator[audio.LiveAudioRequest],
    write: Callable[[audio.LiveAudioEvent], Awaitable[None]],
    call: Call,
) -> None:
    """Serves one call until its caller half-closes, or the server ends it.

    Raises:
        BonafideError: invalid audio or configuration, or an end that the caller did not request.
    """
    writer = _Writer(write)
    with sessions.open(call, current_caller()) as stream:
        intake = AudioInputDecoder(stream)
        intake.configure(encoding="float32")

        async def inputs() -> AsyncGenerator[Input, None]:
            async for request in requests:
                match request.WhichOneof("message"):
                    case "config":
                        stream.call = stream.call.of_task(request.config.task_id)
                        bind_task(stream.call.task_id)
                        _configure(intake, request.config)
                        yield NOTHING
                    case "audio":
                        if len(request.audio) > _MAX_PART_BYTES:
                            raise TooLarge(f"{len(request.audio)} bytes in one message; at most {_MAX_PART_BYTES}")
                        yield Audio(await intake.samples(request.audio))
                    case "flush":
                        yield Flush()
                    case _:
                        raise InvalidRequest("a message is a config, audio or flush")

        async def rest() -> AsyncGenerator[Input, None]:
            yield Audio(await intake.rest(), last=True)

        async def send(output: object) -> None:
            match output:
                case WindowResults():
                    for verdict in output.verdicts:
                        window = _window(verdict, stream.channel_names)
                        await writer.write(audio.LiveAudioEvent(window=window))
                    for span in output.unjudged:
                        window = audio.LiveWindow(
                            sequence=span.index,
                            start_time_seconds=span.start_s,
                            end_time_seconds=span.end_s,
                            error_message=output.error.message if output.error else "",
                            channel=channel_name(span.channel, stream.channel_names),
                        )
                        await writer.write(audio.LiveAudioEvent(window=window))
                case Refused(error):
                    raise error
                case LiveSummary():
                    # In a thread: one of hours takes a part of a second, in which no other call would go on.
                    await writer.write(await asyncio.to_thread(_summary_event, output, call))

        try:
            summary = await stream.run(inputs(), send, rest)
        except Exception as error:
            # Wrong input may come while an event is on its way, and gRPC ends no call during a write.
            if not await writer.settles(SETTLE_S):
                raise asyncio.CancelledError from error  # gRPC drops the call, and sends no status
            raise
    if ended := _ENDED.get(summary.ending):
        raise ended()


def _configure(intake: AudioInputDecoder, config: audio.LiveAudioConfig) -> None:
    encoding = config.encoding or "float32"
    if encoding not in ENCODINGS:
        raise InvalidRequest(f"encoding must be one of {', '.join(ENCODINGS)}")
    windows = intake.default_windows(config.chunk_duration or None)
    intake.configure(
        rate=config.sample_rate or default_rate(encoding) or SAMPLE_RATE,
        encoding=cast(Encoding, encoding),
        channels=config.channels or (1 if encoding in get_args(RawEncoding) else None),
        chunk_s=windows.chunk_s,
        overlap_s=config.overlap_duration or windows.overlap_s,
        mode=ChannelMode.parse(config.channel_mode) if config.channel_mode else None,
    )


def _window(verdict: LiveWindowVerdict, names: Sequence[str]) -> audio.LiveWindow:
    return audio.LiveWindow(
        sequence=verdict.index,
        start_time_seconds=verdict.start_s,
        end_time_seconds=verdict.end_s,
        score=verdict.score,
        label=verdict.label,
        speech_ratio=verdict.speech_ratio,
        running_score=verdict.running_score,
        running_label=verdict.running_label,
        member_scores=verdict.member_scores,
        llr=verdict.llr,
        channel=channel_name(verdict.channel, names),
    )


def _summary_event(summary: LiveSummary, call: Call) -> audio.LiveAudioEvent:
    return audio.LiveAudioEvent(summary=_summary(summary, call))


def _summary(summary: LiveSummary, call: Call) -> audio.LiveSummary:
    return audio.LiveSummary(
        score=summary.score,
        label=summary.label,
        threshold=summary.threshold,
        model=messages.identity(summary.model),
        calibrated=summary.model.calibrated,
        audio_seconds=summary.audio_s,
        judged_seconds=summary.judged_s,
        speech_seconds=summary.speech_s,
        windows=[_window(each, summary.names) for each in summary.windows],
        suspicious=map(messages.suspicious_stretch, summary.suspicious),
        request_id=call.request_id,
        reason=summary.ending.value,
        warnings=summary.warnings,
        member_scores=summary.member_scores,
        evidence=summary.evidence,
        decision=summary.answer.decision or "",
        llr=summary.answer.llr,
        partially_spoofed=summary.answer.partially_spoofed,
        conditions=summary.answer.conditions,
        channel=summary.channel,
        channels=map(messages.channel_verdict, summary.channels),
    )
