"""Voice use case: from a recording, stored or uploaded, to a score per window and one verdict.

content -> windows (`recordings`) -> scores (from the cache, or the runner) -> report
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import aclosing, asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Protocol

from bonafide.audio.channel_mode import AUTO, ChannelMode
from bonafide.audio.reader import AudioLimits, checked_hop, samples_before
from bonafide.byte_budget import ByteBudget
from bonafide.cache.cache import Cache
from bonafide.calls import Call
from bonafide.decoders.frames import Media
from bonafide.decoders.recordings import RecordingDecoder
from bonafide.evidence.judgement import Judgement, Records
from bonafide.media_digest import MediaDigest, digest_of
from bonafide.media_format import media_format
from bonafide.recordings import Fetch, Recording, Slot
from bonafide.runner.runner import Runner
from bonafide.security.caller import current_caller
from bonafide.shadow.voice import VoiceShadow, follow
from bonafide.storage.store import ObjectStore, check_size
from bonafide.verdict import WindowScore, WindowVerdict
from bonafide.voice_report import AudioReport, ScoredChunk, VoiceEvents, VoiceRules
from models.info import ModelInfo

_GROUPS_IN_FLIGHT = 2
"""Groups of windows of one recording that are scored at one time, so that decoding and scoring overlap."""


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
        rules: turn scores into verdicts.
        shadow: a second model that scores the same windows after the answer.
        records: where verdicts are recorded before they are answered; None: nowhere.
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
        rules: VoiceRules,
        observer: VoiceObserver,
        shadow: VoiceShadow | None = None,
        records: Records | None = None,
    ) -> None:
        self._runner = runner
        self._store = store
        self._cache = cache
        self._budget = budget
        self._pool = pool
        self._decoder = decoder
        self._limits = limits
        self._rules = rules
        self._observer = observer
        self._shadow = shadow
        self._records = records

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
            check_size(stat.size, self._limits.max_bytes)  # a store that has photos too may take more
            digest: MediaDigest | None = None
            codec = "cached"

            @asynccontextmanager
            async def stored() -> AsyncIterator[Media]:
                nonlocal digest, codec
                async with self._budget.hold(stat.size, current_caller()):
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
                    if (window := self._rules.window(slot, score, model)) is None:
                        failed.append(slot)
                    else:
                        chunks.append(window)
                        trial.judged(window, slot.pcm)
                        yield ScoredChunk(window, recording.total, self._rules.channel_name(window.channel))
            report = self._rules.report(recording, model, chunks, failed)
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
