"""Face use case: from the bytes of a photo to a verdict, live or fake.

bytes -> faces, and the model's input array -> P(fake) -> report
"""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bonafide.byte_budget import ByteBudget
from bonafide.calls import Call
from bonafide.decision import Answer, Band, effective_band
from bonafide.decoders.frames import Media
from bonafide.decoders.photos import PhotoDecoder
from bonafide.errors import Internal
from bonafide.evidence.judgement import Judgement, Records
from bonafide.media_digest import digest_of
from bonafide.media_format import media_format
from bonafide.photo.faces import Face
from bonafide.photo.quality import Reason
from bonafide.runner.runner import Runner
from bonafide.security.caller import current_caller
from bonafide.shadow.face import FaceShadow, face_verdict, follow
from bonafide.storage.store import ObjectStore, check_size
from bonafide.verdict import PhotoScore, answer_of, effective_threshold
from models.info import ModelInfo


@dataclass(frozen=True)
class FaceReport:
    """The verdict on a photo.

    Attributes:
        fake: P(fake), 0..1; P(live) is its complement.
        label: "fake" if `fake >= threshold`, else "live".
        faces: all that were found, the largest first.
        reason: why the verdict should not be relied on, or None.
        member_scores: P(fake) by each member of an ensemble, by its name; none of a single model.
        evidence: the signed record of this verdict; empty: none is kept.
        answer: what is said of it beside its label; a decision is "bonafide" for live and "spoof" for fake.
    """

    fake: float
    label: str
    threshold: float
    model: ModelInfo
    faces: tuple[Face, ...]
    reason: Reason | None
    member_scores: Mapping[str, float] = field(default_factory=dict)
    evidence: str = ""
    answer: Answer = field(default_factory=Answer)

    @property
    def live(self) -> float:
        """P(live), 0..1."""
        return 1.0 - self.fake

    @property
    def confidence(self) -> float:
        """Probability of `label`, 0..1."""
        return self.fake if self.label == "fake" else self.live


class FaceJudgement:
    """Judges photos.

    Args:
        photos: decodes photos and detects faces.
        threshold: P(fake) at or above it is labelled fake; None: the model's own, else 0.5.
        band: in which nothing is decided; None: the model's own, if it has one.
        shadow: a second model that scores the same photos after the answer.
        records: where verdicts are recorded before they are answered; None: nowhere.
    """

    def __init__(
        self,
        *,
        runner: Runner[PhotoScore],
        photos: PhotoDecoder,
        threshold: float | None,
        band: Band | None = None,
        shadow: FaceShadow | None = None,
        records: Records | None = None,
    ) -> None:
        self._runner = runner
        self._photos = photos
        self._threshold = threshold
        self._band = band
        self._shadow = shadow
        self._records = records

    async def judge(self, data: Media, call: Call, *, stored_at: str = "") -> FaceReport:
        """Judges the JPEG, PNG, WebP, BMP or GIF bytes of one photo.

        Args:
            data: its bytes.
            call: whose deadline holds.
            stored_at: bucket and key of a stored one, for the record; empty: it was uploaded.

        Raises:
            BonafideError: UnreadableMedia, TooLarge, Overloaded, Unavailable, DeadlineExceeded or Internal.
        """
        with self._runner.admit(), follow(self._shadow, call) as trial:
            model = self._runner.info
            if model.geometry is None:
                raise Internal("the face runner gave no geometry of its photos")
            # Before it is read: the decoder may take the bytes over.
            needed = self._records is not None and self._records.needs_media
            media = await asyncio.to_thread(digest_of, data) if needed else None
            codec = media_format(data)
            trial.arrived(data, model.geometries)
            photo = await self._photos.read(data, *model.geometries)
            (score,) = await self._runner.score([photo.pixels], call, model)
            if not math.isfinite(score.fake):
                raise Internal("the face model gave no score")
            threshold = effective_threshold(self._threshold, model.threshold)
            served = face_verdict(model, threshold, score.fake)
            answer = answer_of(
                score.fake,
                served.label,
                band=effective_band(self._band, model.uncertain, threshold),
                prior_log_odds=model.prior_log_odds,
            )
            members = model.named(score.members)
            report = FaceReport(
                score.fake, served.label, threshold, model, photo.faces, photo.reason, members, answer=answer
            )
            if self._records is not None:
                judgement = Judgement(
                    "object" if stored_at else "photo",
                    media,
                    model,
                    threshold,
                    score.fake,
                    served.label,
                    member_scores=members,
                    answer=answer,
                    codec=codec,
                    reference=stored_at,
                )
                report = replace(report, evidence=await self._records.record(judgement, call))
            trial.answered(served, photo.pixels)
            return report


class StoredPhotos:
    """Judges photos in the object store.

    Args:
        judgement: judges their bytes.
        store: where they are.
        budget: bounds their bytes in memory.
        max_bytes: of one photo.
    """

    def __init__(self, judgement: FaceJudgement, store: ObjectStore, budget: ByteBudget, max_bytes: int) -> None:
        self._judgement = judgement
        self._store = store
        self._budget = budget
        self._max_bytes = max_bytes

    async def judge(self, bucket: str, key: str, call: Call) -> FaceReport:
        """Judges one photo.

        Raises:
            BonafideError: any but Unauthenticated.
        """
        stat = await self._store.stat(bucket, key)
        check_size(stat.size, self._max_bytes)
        async with self._budget.hold(stat.size, current_caller()):
            data = await self._store.read(bucket, key, stat)
            return await self._judgement.judge(data, call, stored_at=f"{bucket}/{key}")
