"""Voice use case: from a recording, stored or uploaded, to a score per window and one verdict.

content -> windows (`recordings`) -> scores (from the cache, or the runner) -> report
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextlib import aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from bonafide.audio.channel_mode import AUTO, ChannelMode
from bonafide.audio.conditions import with_speech
from bonafide.audio.reader import WINDOW_SECONDS, AudioLimits, checked_hop, least_seconds, samples_before
from bonafide.byte_budget import ByteBudget
from bonafide.cache.cache import Cache
from bonafide.calls import Call
from bonafide.channels import Beside, ChannelVerdict, channel_name, channel_verdicts, findings_in, windows_of, worst
from bonafide.decision import Answer, Band, effective_band
from bonafide.decoders.frames import Media
from bonafide.decoders.recordings import RecordingDecoder
from bonafide.errors import Internal
from bonafide.evidence.judgement import Judgement, Records
from bonafide.media_digest import MediaDigest, digest_of
from bonafide.media_format import media_format
from bonafide.recordings import Fetch, Recording, Slot
from bonafide.runner.runner import Runner
from bonafide.shadow.voice import VoiceShadow, follow
from bonafide.storage.store import ObjectStore
from bonafide.verdict import (
    SpeechCheck,
    SuspiciousStretch,
    WindowScore,
    WindowVerdict,
    effective_threshold,
    judge_window,
    label_of,
    overall_score,
    why_no_score,
)
from models.info import ModelInfo

_GROUPS_IN_FLIGHT = 2
"""Groups of windows of one recording that are scored at one time, so that decoding and scoring overlap."""


class ScoredChunk(NamedTuple):
    """A window of a recording, returned as soon as it has a verdict.

    Attributes:
        total: windows in the recording, of all channels, 0 while not known.
        channel: what the window's channel is called; empty of all channels together.
    """

    window: WindowVerdict
    total: int
    channel: str = ""


@dataclass(frozen=True)
class AudioReport:
    """The verdict on a recording.

    Attributes:
        chunks: in order; windows that could not be scored are absent and named in `error_message`.
        score: mean of the chunks' scores weighted by their seconds of speech, 0..1; None without speech.
        label: "spoof" if `score >= threshold`, else "bonafide"; "no_speech" without a score.
        audio_seconds: length of the recording as far as it could be read.
        speech_seconds: seconds of it that are speech.
        suspicious: ranges of adjacent chunks that are labelled spoof.
        warnings: for the caller, although the call succeeded.
        error_message: names the windows that could not be scored, or states why none is judged; else empty.
        member_scores: of an ensemble's members by their names, as `score`; none of a single model.
        evidence: the signed record of this verdict; empty: none is kept.
        answer: what is said of it beside score and label.
        hop_seconds: between the starts of two chunks.
        channel: what the channel is called whose verdict this is, the worst of `channels`; empty of all together.
        channels: the verdicts on channels that were judged apart; none of a recording that was judged as one.
        channel_mode: the choice of channels that was in force.
        names: of channels 0, 1, ...
    """

    chunks: tuple[WindowVerdict, ...]
    score: float | None
    label: str
    threshold: float
    model: ModelInfo
    audio_seconds: float
    speech_seconds: float
    suspicious: tuple[SuspiciousStretch, ...]
    warnings: tuple[str, ...]
    error_message: str
    member_scores: Mapping[str, float] = field(default_factory=dict)
    evidence: str = ""
    answer: Answer = field(default_factory=Answer)
    hop_seconds: float = float(WINDOW_SECONDS)
    channel: str = ""
    channels: tuple[ChannelVerdict, ...] = ()
    channel_mode: ChannelMode = AUTO
    names: tuple[str, ...] = ()


VoiceEvents = AsyncGenerator[ScoredChunk | AudioReport, None]


def chunk_id(index: int) -> str:
    """The name of a window on the wire and in messages, `chunk_<index>`."""
    return f"chunk_{index}"


async def report_of(events: VoiceEvents) -> AudioReport:
    """The final report of an analysis; discards the chunks before it."""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, AudioReport):
                return event
    raise AssertionError("an analysis ends with its report or an error")


class VoiceObserver(Protocol):
    """Receives measurements of recordings."""

    def chunks(self, *, scored: int, cached: int) -> None:
        """Counts of windows scored by the runner, and of scores read from the cache."""


class VoiceAnalysis:
    """Judges recordings.

    Args:
        budget: bounds the bytes of stored recordings in memory; uploads are counted where they arrive.
        pool: computes the ids of uploads.
        decoder: decodes recordings.
        threshold: a score at or above it is labelled spoof; None: the model's own, else 0.5.
        band: in which nothing is decided; None: the model's own, if it has one.
        speech: decides which windows are judged.
        shadow: a second model that scores the same windows after the answer.
        records: where verdicts are recorded before they are answered; None: nowhere.
        channel_names: what channels 0, 1, ... are called.
    """

    def __init__(
        self,
        *,
        runner: Runner[WindowScore],
        store: ObjectStore,
        cache: Cache,
        budget: ByteBudget,
        pool: Executor,
        decoder: RecordingDecoder,
        limits: AudioLimits,
        threshold: float | None,
        band: Band | None = None,
        speech: SpeechCheck,
        observer: VoiceObserver,
        shadow: VoiceShadow | None = None,
        records: Records | None = None,
        channel_names: tuple[str, ...] = (),
    ) -> None:
        self._runner = runner
        self._store = store
        self._cache = cache
        self._budget = budget
        self._pool = pool
        self._decoder = decoder
        self._limits = limits
        self._threshold = threshold
        self._band = band
        self._speech = speech
        self._observer = observer
        self._shadow = shadow
        self._records = records
        self._channel_names = channel_names

    async def analyze_object(
        self, bucket: str, key: str, call: Call, *, hop_s: float | None = None, mode: ChannelMode = AUTO
    ) -> VoiceEvents:
        """Judges a stored recording; yields every chunk as it is scored, then the report.

        Args:
            bucket: where it lies.
            key: its name there.
            call: whose deadline holds.
            hop_s: seconds between the starts of two windows, 0.5..4; None: 4, without overlap.
            mode: which channels are judged.

        Raises:
            BonafideError: any but Unauthenticated. Windows scored before it stay in the cache.
        """
        hop = checked_hop(hop_s)
        with self._runner.admit():
            stat = await self._store.stat(bucket, key)
            digest: MediaDigest | None = None
            codec = "cached"

            @asynccontextmanager
            async def stored() -> AsyncIterator[Media]:
                nonlocal digest, codec
                async with self._budget.hold(stat.size):
                    data = await self._store.read(bucket, key, stat)
                    codec = media_format(data)
                    if self._needs_media:
                        digest = await self._digest_of(data)
                    yield data

            async def judged_on(report: AudioReport) -> Judgement:
                # With every score in the cache, nothing was read; what the storage says of an object is no hash.
                media = digest
                if media is None and self._records is not None and self._records.signs:
                    media = await self._store.digest(bucket, key, stat)
                return replace(_judgement(report, media, codec), source="object", reference=f"{bucket}/{key}")

            events = self._judge(stat.content_id, stored, judged_on, call, hop, mode)
            async with aclosing(events):
                async for event in events:
                    yield event

    async def analyze_bytes(
        self, data: Media, call: Call, *, hop_s: float | None = None, mode: ChannelMode = AUTO
    ) -> VoiceEvents:
        """Judges an uploaded recording; yields every chunk as it is scored, then the report.

        A bytearray may be empty afterwards, see `RecordingDecoder`; `hop_s` and `mode` as in `analyze_object`.

        Raises:
            BonafideError: as `analyze_object`.
        """
        hop = checked_hop(hop_s)
        with self._runner.admit():
            media, codec = await self._digest_of(data), media_format(data)

            async def judged_on(report: AudioReport) -> Judgement:
                return _judgement(report, media, codec)

            events = self._judge(f"sha256-{media.sha256}", lambda: nullcontext(data), judged_on, call, hop, mode)
            async with aclosing(events):
                async for event in events:
                    yield event

    @property
    def _needs_media(self) -> bool:
        return self._records is not None and self._records.needs_media

    async def _digest_of(self, data: Media) -> MediaDigest:
        return await asyncio.get_running_loop().run_in_executor(self._pool, digest_of, data)

    async def _judge(
        self,
        content_id: str,
        fetch: Fetch,
        judged_on: Callable[[AudioReport], Awaitable[Judgement]],
        call: Call,
        hop_s: float,
        mode: ChannelMode,
    ) -> VoiceEvents:
        model = self._runner.info
        recording = Recording(
            content_id,
            fetch,
            model=model,
            group=self._runner.max_batch,
            cache=self._cache,
            decoder=self._decoder,
            limits=self._limits,
            before=samples_before(model),
            hop_s=hop_s,
            mode=mode,
        )
        chunks: list[WindowVerdict] = []
        failed: list[Slot] = []
        with follow(self._shadow, call) as trial:
            async with aclosing(self._scored(recording, call, model)) as scored:
                async for slot, score in scored:
                    if (window := self._window(slot, score, model)) is None:
                        failed.append(slot)
                    else:
                        chunks.append(window)
                        trial.judged(window, slot.pcm)
                        yield ScoredChunk(window, recording.total, channel_name(window.channel, self._channel_names))
            report = self._report(recording, model, chunks, failed)
            if self._records is not None:
                report = replace(report, evidence=await self._records.record(await judged_on(report), call))
            trial.answered(model, report.threshold)
            yield report

    async def _scored(
        self, recording: Recording, call: Call, model: ModelInfo
    ) -> AsyncGenerator[tuple[Slot, WindowScore], None]:
        """Every window in order with its score; the next groups are decoded while earlier ones are scored."""
        pending: deque[asyncio.Task[list[tuple[Slot, WindowScore]]]] = deque()
        try:
            async with aclosing(recording.groups()) as groups:
                async for group in groups:
                    pending.append(asyncio.create_task(self._score(recording, group, call, model)))
                    while len(pending) >= _GROUPS_IN_FLIGHT or (pending and pending[0].done()):
                        for item in await pending.popleft():
                            yield item
            while pending:
                for item in await pending.popleft():
                    yield item
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _score(
        self, recording: Recording, group: list[Slot], call: Call, model: ModelInfo
    ) -> list[tuple[Slot, WindowScore]]:
        fresh = {slot.place: slot.pcm for slot in group if slot.pcm is not None}
        scores = {slot.place: slot.score for slot in group if slot.score is not None}
        if fresh:
            new = dict(zip(fresh, await self._runner.score(list(fresh.values()), call, model), strict=True))
            await recording.remember(new)
            scores |= new
        self._observer.chunks(scored=len(fresh), cached=len(group) - len(fresh))
        return [(slot, scores[slot.place]) for slot in group]

    def _window(self, slot: Slot, judged: WindowScore, model: ModelInfo) -> WindowVerdict | None:
        """The window's verdict; None: it has speech, but no score."""
        threshold = self._threshold_for(model)
        return judge_window(
            slot,
            judged.score,
            judged.speech_ratio,
            speech=self._speech,
            threshold=threshold,
            members=model.named(judged.members),
            prior_log_odds=model.prior_log_odds,
            least_s=least_seconds(model),
        )

    def _threshold_for(self, model: ModelInfo) -> float:
        return effective_threshold(self._threshold, model.threshold)

    def _report(
        self, recording: Recording, model: ModelInfo, chunks: list[WindowVerdict], failed: list[Slot]
    ) -> AudioReport:
        threshold = self._threshold_for(model)

        def conditions(channel: int | None, speech_s: float) -> tuple[str, ...]:
            return with_speech(recording.conditions_of(channel), speech_s)

        beside = Beside(effective_band(self._band, model.uncertain, threshold), model.prior_log_odds, conditions)
        channels = channel_verdicts(chunks, recording.channels, threshold, self._channel_names, beside)
        headline = worst(channels)
        channel = None if headline is None else headline.number
        counted = windows_of(chunks, channel)
        score = overall_score(counted)
        if failed and score is None:
            raise Internal("the voice model gave no score for any chunk with speech")
        if failed:
            error_message = "no score for " + ", ".join(map(self._name_of, failed))
        else:
            error_message = why_no_score(counted, self._speech) if score is None else ""
        label = label_of(score, threshold)
        found = findings_in(counted, score, label, beside, channel)
        return AudioReport(
            chunks=counted,
            score=score,
            label=label,
            threshold=threshold,
            model=model,
            audio_seconds=recording.seconds,
            speech_seconds=found.speech_s,
            suspicious=found.suspicious,
            warnings=recording.warnings,
            error_message=error_message,
            member_scores=found.member_scores,
            answer=found.answer,
            hop_seconds=recording.hop_s,
            channel="" if headline is None else headline.name,
            channels=channels,
            channel_mode=recording.mode,
            names=self._channel_names,
        )

    def _name_of(self, slot: Slot) -> str:
        name = channel_name(slot.channel, self._channel_names)
        return f"{chunk_id(slot.index)} of channel {name}" if name else chunk_id(slot.index)


def _judgement(report: AudioReport, media: MediaDigest | None, codec: str) -> Judgement:
    return Judgement(
        source="upload",
        media=media,
        model=report.model,
        threshold=report.threshold,
        score=report.score,
        label=report.label,
        windows=report.chunks,
        codec=codec,
        member_scores=report.member_scores,
        answer=report.answer,
        hop_seconds=report.hop_seconds,
        channel_mode=str(report.channel_mode),
        channel=report.channel,
    )
