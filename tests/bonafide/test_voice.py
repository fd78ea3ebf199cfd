import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from bonafide.audio.channel_mode import ChannelMode
from bonafide.audio.reader import AudioLimits
from bonafide.byte_budget import ByteBudget
from bonafide.cache.cache import open_cache
from bonafide.calls import Call
from bonafide.decoders.recordings import ThreadRecordings
from bonafide.errors import Internal, ObjectNotFound, Overloaded, TooLarge, Unavailable, UnreadableMedia
from bonafide.media_digest import MediaDigest
from bonafide.runner.remote import RunnerResult
from bonafide.settings import Settings
from bonafide.shadow.voice import VoiceShadow
from bonafide.storage import open_store
from bonafide.storage.store import ObjectStat, ObjectStore
from bonafide.verdict import SpeechCheck, SuspiciousStretch, WindowScore
from bonafide.voice import VoiceAnalysis
from bonafide.voice_report import AudioReport, ScoredChunk, VoiceEvents, VoiceRules, report_of
from tests.bonafide.fakes import MEMBERS, LocalRemote, Recorder, mean_level, ready_runner
from tests.media import wav

LIMITS = AudioLimits(max_bytes=10_000_000, max_seconds=1000, max_channels=8, max_sample_rate=192_000)
LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)


def recording(seconds: float = 18.0) -> bytes:
    """Windows whose share of non-zero samples is 0, 1/4, 1/2, 3/4 and 1: their scores."""
    samples = np.zeros(int(seconds * 16_000), np.int16)
    for index, level in enumerate(LEVELS):
        start = index * 64_000
        samples[start : start + int(64_000 * level)] = 1000
    return wav(samples, 16_000)


class CountingStore:
    """A folder store that counts its reads."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.reads = 0

    async def stat(self, bucket: str, key: str) -> ObjectStat:
        return await self._store.stat(bucket, key)

    async def read(self, bucket: str, key: str, expected: ObjectStat) -> bytearray:
        self.reads += 1
        return await self._store.read(bucket, key, expected)

    async def fetch(self, bucket: str, key: str) -> tuple[ObjectStat, bytearray]:
        self.reads += 1
        return await self._store.fetch(bucket, key)

    async def digest(self, bucket: str, key: str, expected: ObjectStat) -> MediaDigest:
        return await self._store.digest(bucket, key, expected)

    async def keys(self, bucket: str, prefix: str, after: str, count: int) -> list[str]:
        return await self._store.keys(bucket, prefix, after, count)

    async def close(self) -> None:
        await self._store.close()


@dataclass
class Service:
    voice: VoiceAnalysis
    remote: LocalRemote
    store: CountingStore
    observer: Recorder
    root: Path
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2))

    def put(self, key: str, data: bytes) -> None:
        (self.root / "calls").mkdir(exist_ok=True)
        (self.root / "calls" / key).write_bytes(data)

    def stored(self, key: str) -> VoiceEvents:
        return self.voice.analyze_object("calls", key, Call.within(10))


@asynccontextmanager
async def service(
    root: Path,
    *,
    cache_windows: bool = True,
    max_calls: int = 8,
    min_speech_ratio: float = 0.1,
    shadow: VoiceShadow | None = None,
) -> AsyncIterator[Service]:
    settings = Settings(objects_dir=root, cache_windows=cache_windows)
    store = CountingStore(open_store(settings))
    cache = open_cache(settings)
    remote, observer = LocalRemote(), Recorder()
    pool = ThreadPoolExecutor(2)
    voice = VoiceAnalysis(
        runner=await ready_runner(remote, WindowScore.of, max_calls=max_calls, max_batch=2),
        store=store,
        cache=cache,
        budget=ByteBudget(10_000_000),
        pool=pool,
        decoder=ThreadRecordings(pool),
        limits=LIMITS,
        rules=VoiceRules(0.5, SpeechCheck(min_speech_ratio)),
        observer=observer,
        shadow=shadow,
    )
    yield Service(voice, remote, store, observer, root, pool)
    await cache.close()
    await store.close()
    pool.shutdown()


async def test_every_chunk_comes_in_order_with_its_place_then_the_report(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        events = [event async for event in running.voice.analyze_bytes(recording(), Call.within(10))]
    chunks = [event.window for event in events if isinstance(event, ScoredChunk)]
    report = events[-1]
    assert isinstance(report, AudioReport)
    assert report.chunks == tuple(chunks)
    assert [chunk.index for chunk in chunks] == list(range(5))
    assert [(chunk.start_s, chunk.end_s) for chunk in chunks] == [(0, 4), (4, 8), (8, 12), (12, 16), (14, 18)]
    # the last two seconds are half of their window, which begins in the one before
    assert [chunk.score for chunk in chunks] == pytest.approx([0, 0.25, 0.5, 0.75, 0.75])
    assert [chunk.label for chunk in chunks] == ["bonafide", "bonafide", "spoof", "spoof", "spoof"]
    assert report.score == pytest.approx((4 * (0 + 0.25 + 0.5 + 0.75) + 2 * 0.75) / 18)
    assert report.label == "bonafide"
    assert report.audio_seconds == report.speech_seconds == pytest.approx(18)
    assert report.suspicious == (SuspiciousStretch(8, 18, (4 * (0.5 + 0.75) + 2 * 0.75) / 10),)
    assert report.error_message == ""
    assert report.model.name == "test-model"


async def test_a_repeated_analysis_scores_nothing_and_reads_nothing(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        running.put("a.wav", recording())
        first = await report_of(running.stored("a.wav"))
        assert (running.remote.scored, running.store.reads) == (5, 1)
        assert await report_of(running.stored("a.wav")) == first
        assert (running.remote.scored, running.store.reads) == (5, 1)
        assert (running.observer.scored, running.observer.cached) == (5, 5)


async def test_a_recording_over_the_limits_is_refused_although_others_have_judged_it(tmp_path: Path) -> None:
    """As before a restart, or by a process with other settings and the same Redis."""
    async with service(tmp_path) as running:
        running.put("a.wav", recording())
        await report_of(running.stored("a.wav"))
        for limits in ({"max_seconds": 17}, {"max_channels": 0}, {"max_sample_rate": 8000}):
            running.voice._limits = replace(LIMITS, **limits)
            with pytest.raises(TooLarge):
                await report_of(running.stored("a.wav"))
        running.voice._limits = replace(LIMITS, max_seconds=18)
        await report_of(running.stored("a.wav"))
        assert running.remote.scored == 5, "scores and windows are the same"


async def test_a_changed_object_is_read_anew(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        running.put("a.wav", recording())
        await report_of(running.stored("a.wav"))
        running.put("a.wav", recording(4))
        assert len((await report_of(running.stored("a.wav"))).chunks) == 1


@pytest.mark.parametrize("cache_windows", [True, False])
async def test_a_retry_scores_only_what_is_missing(tmp_path: Path, cache_windows: bool) -> None:
    async with service(tmp_path, cache_windows=cache_windows) as running:
        running.put("a.wav", recording())
        outcomes = iter([None, OSError("gone"), OSError("gone"), OSError("gone")])

        async def failing(items: list[np.ndarray]) -> list[RunnerResult]:
            if (error := next(outcomes, None)) is not None:
                raise error
            return await LocalRemote.score(running.remote, items)

        running.remote.score = failing  # type: ignore[method-assign]
        with pytest.raises(Unavailable):
            await report_of(running.stored("a.wav"))
        scored = running.remote.scored
        assert 0 < scored < 5
        outcomes = iter([])
        await running.voice._runner.probe()
        report = await report_of(running.stored("a.wav"))
        assert len(report.chunks) == 5
        assert running.remote.scored == 5, "what had been scored was scored again"


async def test_with_cached_windows_another_model_needs_no_download(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        running.put("a.wav", recording())
        first = await report_of(running.stored("a.wav"))
        running.remote.model = running.remote.model | {"version": "new"}
        await running.voice._runner.probe()
        again = await report_of(running.stored("a.wav"))
        assert running.store.reads == 1
        assert running.remote.scored == 10
        assert again.chunks == first.chunks


async def test_a_model_that_takes_more_than_a_chunk_is_given_what_lies_before_it(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        running.put("a.wav", recording())
        first = await report_of(running.stored("a.wav"))
        running.remote.judge = len
        for window_samples, lengths in ((64_600, [64_000, *[64_600] * 4]), (96_000, [64_000, *[96_000] * 4])):
            more = {"version": f"{window_samples}", "window_samples": window_samples}
            running.remote.model = running.remote.model | more
            await running.voice._runner.probe()
            for _ in range(2):  # decoded anew, and from the cache
                report = await report_of(running.stored("a.wav"))
                assert [chunk.score for chunk in report.chunks] == lengths
                spans = [(chunk.index, chunk.start_s, chunk.end_s, chunk.weight) for chunk in report.chunks]
                assert spans == [(chunk.index, chunk.start_s, chunk.end_s, chunk.weight) for chunk in first.chunks]
    assert running.store.reads == 3


async def test_members_scores_are_named_cached_and_taken_together_as_the_score_is(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        running.remote.model = running.remote.model | MEMBERS
        await running.voice._runner.probe()
        running.remote.members = lambda item: (mean_level(item), 0.25)
        running.remote.speech = lambda item: 0.0 if not item.any() else 1.0
        running.put("a.wav", recording())
        events = [event async for event in running.stored("a.wav")]
        report = events[-1]
        assert isinstance(report, AudioReport)
        assert isinstance(events[1], ScoredChunk)
        assert events[1].window.member_scores == {"one": 0.25, "two": 0.25}
        found = [chunk.member_scores for chunk in report.chunks]
        assert found[0] == {}, "nobody speaks"
        assert [each["one"] for each in found[1:]] == pytest.approx([0.25, 0.5, 0.75, 0.75])
        assert report.score is not None
        assert report.member_scores == pytest.approx({"one": report.score, "two": 0.25})
        assert await report_of(running.stored("a.wav")) == report
        assert (running.remote.scored, running.store.reads) == (5, 1)


async def test_a_window_without_a_score_is_named_and_the_others_stand(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        running.remote.judge = lambda item: float("nan") if not item.any() else 0.9
        report = await report_of(running.voice.analyze_bytes(recording(), Call.within(10)))
        assert report.error_message == "no score for chunk_0"
        assert [chunk.index for chunk in report.chunks] == [1, 2, 3, 4]
        running.remote.judge = lambda item: float("nan")
        with pytest.raises(Internal):
            await report_of(running.voice.analyze_bytes(recording(12), Call.within(10)))


async def test_windows_without_speech_have_no_score_and_do_not_count(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        running.remote.speech = mean_level
        running.remote.judge = lambda item: 0.9 if item.all() else 0.3
        running.put("a.wav", recording())
        report = await report_of(running.stored("a.wav"))
        again = await report_of(running.stored("a.wav"))
        assert running.remote.scored == 5, "the share of speech is cached with the score"
    assert again == report
    assert [chunk.speech_ratio for chunk in report.chunks] == pytest.approx([0, 0.25, 0.5, 0.75, 0.75])
    assert [chunk.score for chunk in report.chunks] == [None, 0.3, 0.3, 0.3, 0.3]
    assert [chunk.label for chunk in report.chunks] == ["no_speech", *["bonafide"] * 4]
    assert report.speech_seconds == pytest.approx(1 + 2 + 3 + 2 * 0.75)
    assert report.error_message == ""


async def test_windows_weigh_their_seconds_of_speech(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        running.remote.speech = mean_level
        running.remote.judge = lambda item: 0.9 if item[: 4 * 16_000].mean() == 500 else 0.3
        report = await report_of(running.voice.analyze_bytes(recording(16), Call.within(10)))
    assert [chunk.score for chunk in report.chunks] == [None, 0.3, 0.9, 0.3]
    assert report.score == pytest.approx((1 * 0.3 + 2 * 0.9 + 3 * 0.3) / 6)
    assert report.suspicious == (SuspiciousStretch(8, 12, 0.9),)


async def test_a_recording_without_speech_has_no_score_and_says_so(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        running.remote.speech = lambda item: 0.02
        report = await report_of(running.voice.analyze_bytes(recording(), Call.within(10)))
    assert (report.score, report.label, report.error_message) == (None, "no_speech", "no speech was found")
    assert len(report.chunks) == 5
    assert report.speech_seconds == pytest.approx(18 * 0.02)
    assert report.suspicious == ()


async def test_with_the_check_off_every_window_is_judged(tmp_path: Path) -> None:
    async with service(tmp_path, min_speech_ratio=0) as running:
        running.remote.speech = lambda item: 0.0
        report = await report_of(running.voice.analyze_bytes(recording(), Call.within(10)))
    assert [chunk.score for chunk in report.chunks] == pytest.approx([0, 0.25, 0.5, 0.75, 0.75])
    assert report.score == pytest.approx((4 * (0 + 0.25 + 0.5 + 0.75) + 2 * 0.75) / 18)
    assert (report.speech_seconds, report.error_message) == (0, "")


async def test_a_window_without_speech_needs_no_score(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        running.remote.judge = lambda item: 0.9 if item.all() else float("nan")
        running.remote.speech = lambda item: float(item.all())
        report = await report_of(running.voice.analyze_bytes(recording(20), Call.within(10)))
        assert [chunk.label for chunk in report.chunks] == [*["no_speech"] * 4, "spoof"]
        assert report.error_message == ""
        running.remote.speech = lambda item: float(item.any())
        running.remote.judge = lambda item: float("nan")
        with pytest.raises(Internal, match="any chunk with speech"):
            await report_of(running.voice.analyze_bytes(recording(12), Call.within(10)))


async def takes_from(running: Service, samples: int) -> None:
    """The model gives shorter windows no score."""
    running.remote.model |= {"min_samples": samples}
    running.remote.judge = lambda item: 0.9 if len(item) >= samples else float("nan")
    await running.voice._runner.probe()


@pytest.mark.parametrize(("rate", "samples"), [(16_000, 1_039), (48_000, 3_000), (16_000, 1), (48_000, 1)])
@pytest.mark.parametrize("min_speech_ratio", [0.1, 0.0])
@pytest.mark.parametrize("channels", [1, 2])
async def test_a_recording_too_short_for_the_model_is_answered_as_one_without_speech(
    tmp_path: Path, rate: int, samples: int, min_speech_ratio: float, channels: int
) -> None:
    data = wav(np.full((samples, channels), 500, np.int16), rate)
    async with service(tmp_path, min_speech_ratio=min_speech_ratio) as running:
        await takes_from(running, 1_040)
        running.remote.speech = lambda item: 1.0 if len(item) else float("nan")
        for mode in ("auto", "separate"):
            events = running.voice.analyze_bytes(data, Call.within(10), mode=ChannelMode.parse(mode))
            report = await report_of(events)
            assert (report.score, report.label) == (None, "no_speech")
            assert [(chunk.score, chunk.label) for chunk in report.chunks] == [(None, "no_speech")]
            nothing = samples == 1 and rate == 48_000 and min_speech_ratio
            assert report.error_message == ("no speech was found" if nothing else "too short to be judged")


async def test_a_recording_as_long_as_the_model_takes_is_judged_or_the_model_has_failed(tmp_path: Path) -> None:
    data = wav(np.full(1_040, 500, np.int16), 16_000)
    async with service(tmp_path) as running:
        await takes_from(running, 1_040)
        assert (await report_of(running.voice.analyze_bytes(data, Call.within(10)))).score == 0.9
        running.remote.judge = lambda item: float("nan")
        with pytest.raises(Internal, match="any chunk with speech"):
            await report_of(running.voice.analyze_bytes(data + bytes(2), Call.within(10)))


async def test_a_walk_that_is_given_up_frees_its_place(tmp_path: Path) -> None:
    async with service(tmp_path, max_calls=1) as running:
        async with aclosing(running.voice.analyze_bytes(recording(), Call.within(10))) as events:
            await anext(events)
            with pytest.raises(Overloaded):
                await report_of(running.voice.analyze_bytes(recording(), Call.within(10)))
        assert len((await report_of(running.voice.analyze_bytes(recording(), Call.within(10)))).chunks) == 5


async def test_a_cancelled_analysis_leaves_nothing_behind(tmp_path: Path) -> None:
    async with service(tmp_path, max_calls=1) as running:
        running.remote.open.clear()
        task = asyncio.create_task(report_of(running.voice.analyze_bytes(recording(), Call.within(10))))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        running.remote.open.set()
        assert len((await report_of(running.voice.analyze_bytes(recording(), Call.within(10)))).chunks) == 5


async def test_errors_pass_through(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        with pytest.raises(ObjectNotFound):
            await report_of(running.stored("missing.wav"))
        with pytest.raises(UnreadableMedia):
            await report_of(running.voice.analyze_bytes(b"not audio", Call.within(10)))
