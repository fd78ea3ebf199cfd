"""What judges the recordings and photos of jobs in a service process: nothing of it is needed by calls."""

import logging
from collections.abc import Callable
from typing import Any

from bonafide.audio.reader import window_weight
from bonafide.byte_budget import ByteBudget
from bonafide.decoders.photos import ProcessPhotos
from bonafide.decoders.pool import DecoderPool
from bonafide.decoders.processes import Template
from bonafide.decoders.recordings import ProcessRecordings
from bonafide.errors import Forbidden, InvalidRequest, Unavailable
from bonafide.face import FaceJudgement, StoredPhotos
from bonafide.jobs.job import TASKS
from bonafide.jobs.jobs import Jobs
from bonafide.jobs.opening import open_jobs
from bonafide.live.webhook import Webhook
from bonafide.photo.rules import PhotoRules
from bonafide.runner.remote import Remote
from bonafide.runner.runner import Runner
from bonafide.settings import Settings
from bonafide.storage import open_store
from bonafide.telemetry import Measurements
from bonafide.verdict import PhotoScore, WindowScore
from bonafide.voice import VoiceAnalysis

logger = logging.getLogger(__name__)

_LOWEST_PRIORITY = 19


class JobWork:
    """Jobs, with slots, bytes, threads that read objects, and processes for decoding and models of their own.

    Args:
        settings: of the service.
        measurements: of the service.
        voice: the replicas of the runner that judges recordings; None: there is none.
        face: likewise of photos, if jobs may be of photos.
        analysis: `VoiceAnalysis` but for its runner, budget, decoder and store.
        judgement: `FaceJudgement` but for its runner and reader of photos.

    Attributes:
        jobs: what callers do with them.
        runners: by the names that the operator uses.
        voice: judges recordings.
        photos: judges photos; None: jobs are of recordings alone.
        webhook: tells that a job is done.

    Raises:
        ValueError: a runner is missing.
    """

    def __init__(
        self,
        settings: Settings,
        measurements: Measurements,
        *,
        voice: Remote | None,
        face: Remote | None,
        analysis: Callable[..., VoiceAnalysis],
        judgement: Callable[..., FaceJudgement],
    ) -> None:
        if voice is None:
            raise ValueError("BONAFIDE_JOBS is true, but there is no runner for jobs")
        if settings.jobs_photos and face is None:
            raise ValueError("BONAFIDE_JOBS_PHOTOS is true, but there is no runner for photos of jobs")
        self._objects = open_store(settings, settings.max_object_bytes)
        self.jobs = Jobs(
            open_jobs(settings),
            self._objects,
            allowed_buckets=settings.allowed_buckets,
            max_keys=settings.jobs_max_keys,
            callbacks=settings.jobs_callbacks,
            tasks=TASKS if settings.jobs_photos else ("voice",),
        )
        self.webhook = Webhook("", settings.webhook_secret.get_secret_value())
        calls = settings.jobs_concurrency
        # Twice what so many calls hold at most: none waits, as some would where their share of it were exceeded.
        budget = ByteBudget(2 * calls * settings.max_object_bytes)
        self._decoders = DecoderPool.from_settings(settings, slots=calls, template=Template(_LOWEST_PRIORITY))
        recordings: Runner[WindowScore] = Runner(
            "voice_jobs",
            voice,
            read=WindowScore.of,
            max_calls=calls,
            observer=measurements,
            weigh=window_weight,
        )
        self.runners: dict[str, Runner[Any]] = {"voice_jobs": recordings}
        self.voice = analysis(
            runner=recordings, budget=budget, decoder=ProcessRecordings(self._decoders), store=self._objects
        )
        self.photos: StoredPhotos | None = None
        if settings.jobs_photos and face is not None:
            photos: Runner[PhotoScore] = Runner(
                "face_jobs", face, read=PhotoScore.of, max_calls=calls, observer=measurements
            )
            self.runners["face_jobs"] = photos
            judged = judgement(runner=photos, photos=ProcessPhotos(self._decoders, PhotoRules.from_settings(settings)))
            self.photos = StoredPhotos(judged, self._objects, budget, settings.max_image_bytes)

    @property
    def ready(self) -> bool:
        """Whether all runners are available."""
        return all(runner.ready for runner in self.runners.values())

    def require_photos(self) -> StoredPhotos:
        """Judges photos.

        Raises:
            Unavailable: another process took the job, whose settings are others.
        """
        if self.photos is None:
            raise Unavailable("this process has no runner for photos of jobs")
        return self.photos

    async def tell(self, document: bytes, url: str) -> str:
        """See `Webhook.deliver`; a URL that the settings do not allow fails: those of another replica may."""
        try:
            self.jobs.check_callback(url)
        except (Forbidden, InvalidRequest) as error:
            logger.warning("a job's callback is not called", extra={"cause": str(error)})
            return "failed"
        return await self.webhook.deliver(document, url)

    async def close(self) -> None:
        """Closes connections and decoding processes."""
        await self.webhook.close()
        for runner in self.runners.values():
            await runner.close()
        await self.jobs.store.close()
        await self._objects.close()
        self._decoders.close()
