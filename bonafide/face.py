"""The use case of faces: the bytes of a photo become live or fake.

bytes -> RGB, upright -> resized and cropped for the model -> P(fake) -> report
"""

import asyncio
import math
from concurrent.futures import Executor
from dataclasses import dataclass

from bonafide.calls import Call
from bonafide.errors import Internal
from bonafide.image import Geometry, ImageLimits, prepare, read_image
from bonafide.runners import ModelInfo, Runner
from bonafide.verdict import threshold_in_force


@dataclass(frozen=True)
class FaceReport:
    """The verdict on a photo.

    Attributes:
        fake: P(fake), 0..1; P(live) is its complement.
        label: "fake" if `fake >= threshold`, else "live".
    """

    fake: float
    label: str
    threshold: float
    model: ModelInfo

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
        pool: decodes; bounded, shared with the recordings.
        threshold: P(fake) at or above it is labelled fake; None: the model's own, else 0.5.
    """

    def __init__(self, *, runner: Runner[float], pool: Executor, limits: ImageLimits, threshold: float | None) -> None:
        self._runner = runner
        self._pool = pool
        self._limits = limits
        self._threshold = threshold

    async def judge(self, data: bytes, call: Call) -> FaceReport:
        """Judges the JPEG, PNG, WebP, BMP or GIF bytes of one photo.

        Raises:
            BonafideError: UnreadableMedia, TooLarge, Overloaded, Unavailable, DeadlineExceeded or Internal.
        """
        with self._runner.admit():
            model = self._runner.info
            geometry = Geometry(**model.details["geometry"])
            loop = asyncio.get_running_loop()
            photo = await loop.run_in_executor(self._pool, lambda: prepare(read_image(data, self._limits), geometry))
            (fake,) = await self._runner.score([photo], call)
        if not math.isfinite(fake):
            raise Internal("the face model gave no score")
        threshold = threshold_in_force(self._threshold, model.threshold)
        return FaceReport(fake, "fake" if fake >= threshold else "live", threshold, model)
