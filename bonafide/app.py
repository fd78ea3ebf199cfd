"""Everything in one service process, built once from the settings and closed once. Independent of transports."""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from bonafide.audio.reader import AudioLimits, window_weight
from bonafide.byte_budget import ByteBudget
from bonafide.cache.cache import open_cache
from bonafide.cache.circuit_breaker import CircuitBreaker
from bonafide.decoders.photos import ProcessPhotos
from bonafide.decoders.pool import DecoderPool
from bonafide.decoders.recordings import ProcessRecordings
from bonafide.drift.watch import ScoreWatch
from bonafide.errors import ObjectNotFound
from bonafide.evidence.opening import open_evidence
from bonafide.face import FaceJudgement
from bonafide.feedback.store import Feedback
from bonafide.job_work import JobWork
from bonafide.jobs.jobs import Jobs
from bonafide.live.call_verdicts import CallVerdicts
from bonafide.live.registry import LiveSessions
from bonafide.live.webhook import Webhook
from bonafide.photo.rules import PhotoRules
from bonafide.records import VerdictRecords
from bonafide.runner.remote import Remote
from bonafide.runner.runner import Runner, watch
from bonafide.security.access import Access
from bonafide.settings import Settings
from bonafide.shadow.shadows import Shadows
from bonafide.storage import open_store
from bonafide.telemetry import Measurements
from bonafide.verdict import PhotoScore, WindowScore
from bonafide.voice import VoiceAnalysis
from bonafide.voice_report import VoiceRules


class App:
    """The use cases and what they share.

    Args:
        voice: the voice runner's replicas.
        face: the face runner's replicas.
        voice_shadow: those of the second voice model, if there is one.
        face_shadow: those of the second face model, if there is one.
        voice_jobs: those of the runner that judges the recordings of jobs, if jobs are taken.
        face_jobs: those of the runner that judges their photos, if they may be of photos.

    Raises:
        OSError: the file of API keys, or the key or log of evidence, cannot be used.
        ValueError: the API keys, the keys of evidence or the database of feedback are malformed, or a file that is
            allowed could never be held.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        voice: Remote,
        face: Remote,
        voice_shadow: Remote | None = None,
        face_shadow: Remote | None = None,
        voice_jobs: Remote | None = None,
        face_jobs: Remote | None = None,
    ) -> None:
        measurements = self.measurements = Measurements()
        self.settings = settings
        self.access = Access.from_settings(settings)
        self.evidence = open_evidence(settings)
        self.feedback = Feedback.from_settings(settings, measurements.feedback_failed)
        watch = ScoreWatch(measurements, recent=settings.drift_recent, spoof_share=settings.drift_spoof_share)
        records = VerdictRecords(self.evidence, watch, self.feedback)
        self.voice_runner = Runner(
            "voice",
            voice,
            read=WindowScore.of,
            max_calls=settings.max_voice_calls,
            observer=measurements,
            weigh=window_weight,
        )
        self.face_runner = Runner(
            "face",
            face,
            read=PhotoScore.of,
            max_calls=settings.max_face_calls,
            observer=measurements,
        )
        self.shadows = Shadows(settings, voice_shadow, face_shadow, measurements)
        self.budget = ByteBudget.from_settings(settings)
        self._pool = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="digests")
        self.decoders = DecoderPool.from_settings(settings)
        self._store = open_store(settings)
        redis_breaker = CircuitBreaker(settings.redis_timeout_s, on_failed_probe=measurements.cache_failed)
        self._cache = open_cache(settings, measurements.cache_failed, redis_breaker)
        analysis = partial(
            VoiceAnalysis,
            cache=self._cache,
            pool=self._pool,
            limits=AudioLimits.from_settings(settings),
            rules=VoiceRules.from_settings(settings),
            observer=measurements,
            records=records,
        )
        self.voice = analysis(
            runner=self.voice_runner,
            budget=self.budget,
            decoder=ProcessRecordings(self.decoders),
            store=self._store,
            shadow=self.shadows.voice,
        )
        judgement = partial(
            FaceJudgement, threshold=settings.face_threshold, band=settings.face_uncertain, records=records
        )
        self.face = judgement(
            runner=self.face_runner,
            photos=ProcessPhotos(self.decoders, PhotoRules.from_settings(settings)),
            shadow=self.shadows.face,
        )
        self.job_work: JobWork | None = None
        if settings.jobs:
            self.job_work = JobWork(
                settings,
                measurements,
                voice=voice_jobs,
                face=face_jobs,
                analysis=analysis,
                judgement=judgement,
            )
        # Separate threads: queued behind the decoders of long recordings, live windows would be delayed.
        self._live_pool = ThreadPoolExecutor(1, thread_name_prefix="live")
        self._live_decoders = DecoderPool.from_settings(settings)
        self.live = LiveSessions(
            runner=self.voice_runner,
            pool=self._live_pool,
            decoders=self._live_decoders,
            settings=settings,
            observer=measurements,
            shadow=self.shadows.voice,
            records=records,
        )
        self.calls = CallVerdicts.from_settings(settings, redis_breaker)
        self.webhook = Webhook.from_settings(settings)

    @property
    def ready(self) -> bool:
        """Whether both runners are available."""
        return self.voice_runner.ready and self.face_runner.ready

    def require_feedback(self) -> Feedback:
        """Where the truth about verdicts is kept.

        Raises:
            ObjectNotFound: nowhere, it is not configured.
        """
        if self.feedback is None:
            raise ObjectNotFound("this service takes no feedback")
        return self.feedback

    @property
    def takes_jobs(self) -> bool:
        """Whether jobs are taken, and their runners are available."""
        return self.job_work is not None and self.job_work.ready

    def require_jobs(self) -> Jobs:
        """What callers do with jobs.

        Raises:
            ObjectNotFound: nothing, they are not configured.
        """
        return self.require_job_work().jobs

    def require_job_work(self) -> JobWork:
        """What judges jobs; raises as `require_jobs`."""
        if self.job_work is None:
            raise ObjectNotFound("this service takes no jobs")
        return self.job_work

    def replaceable(self) -> dict[str, Runner[Any]]:
        """The runners whose models an operator may replace, by the names that the operator uses."""
        shadows = {f"{task}_shadow": runner for task, runner in self.shadows.runners.items()}
        return {"voice": self.voice_runner, "face": self.face_runner, **shadows, **self._job_runners}

    async def watch_runners(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Probes the runners until cancelled, which keeps `ready` current; `changed` is awaited ten times a second."""
        await watch((self.voice_runner, self.face_runner, *self._job_runners.values()), changed)

    @property
    def _job_runners(self) -> dict[str, Runner[Any]]:
        return {} if self.job_work is None else self.job_work.runners

    async def close(self) -> None:
        """Closes connections, threads and decoding processes."""
        if self.webhook is not None:
            await self.webhook.close()
        if self.job_work is not None:
            await self.job_work.close()
        await self.calls.close()
        await self.shadows.close()
        await self.voice_runner.close()
        await self.face_runner.close()
        await self._cache.close()
        await self._store.close()
        if self.evidence is not None:
            await self.evidence.close()
        if self.feedback is not None:
            await self.feedback.close()
        self.decoders.close()
        self._live_decoders.close()
        for pool in (self._pool, self._live_pool):
            pool.shutdown(wait=False, cancel_futures=True)
