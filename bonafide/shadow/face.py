"""The shadow of the face model: photos that were answered -> its own verdict on each.

Another model may take another picture of the same photo; it is then decoded once more, from bytes that were kept.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonafide.calls import Call
from bonafide.decoders.frames import Media
from bonafide.decoders.photos import PhotoDecoder
from bonafide.errors import Internal, ModelChanged
from bonafide.runner.runner import Runner
from bonafide.shadow.comparisons import Comparisons, Outcome
from bonafide.shadow.report import ModelVerdict, report
from bonafide.shadow.trial import Trial
from bonafide.verdict import effective_threshold
from models.info import ImageGeometry, ModelInfo

Geometries = tuple[ImageGeometry, ...]


class FaceTrial(Trial):
    """One photo; see `Trial`.

    Args:
        comparisons: see `Trial`.
        geometries: of the shadow's pictures of a photo.

    Attributes:
        photo: its bytes, where the shadow takes another picture of it.
        pixels: uint8, see `ModelInfo.picture_shape`, where both take the same.
        served: the answer, once there is one.
    """

    def __init__(self, comparisons: Comparisons | None, geometries: Geometries) -> None:
        super().__init__(comparisons)
        self._geometries = geometries
        self.photo: bytes | None = None
        self.pixels: NDArray[np.uint8] | None = None
        self.served: ModelVerdict | None = None

    def arrived(self, photo: Media, geometries: Geometries) -> None:
        """Copies the photo where it is needed again: its decoder takes it away.

        Args:
            photo: its bytes.
            geometries: of the served model's pictures of it.
        """
        if self.is_open and geometries != self._geometries and self.hold(len(photo)):
            self.photo = bytes(photo)

    def answered(self, served: ModelVerdict, pixels: NDArray[np.uint8]) -> None:
        """The answer and the pixels it was given for; without one nothing is compared."""
        self.served = served
        if self.is_open and self.photo is None and self.hold(pixels.nbytes):
            self.pixels = pixels

    def give_up(self, obstacle: Outcome) -> None:
        """See `Trial`; lets go of the photo."""
        super().give_up(obstacle)
        self.photo = self.pixels = None


class FaceShadow:
    """Follows calls about faces.

    Args:
        comparisons: what is done after the answers.
        runner: the shadow model.
        photos: decodes for it, apart from the decoders of callers.
        threshold: that of the settings, see `effective_threshold`.
        timeout_s: longest time of the score of one photo.
    """

    def __init__(
        self,
        comparisons: Comparisons,
        runner: Runner[float],
        photos: PhotoDecoder,
        *,
        threshold: float | None,
        timeout_s: float,
    ) -> None:
        self._comparisons = comparisons
        self._runner = runner
        self._photos = photos
        self._threshold = threshold
        self._timeout_s = timeout_s

    @contextmanager
    def follow(self, call: Call) -> Iterator[FaceTrial]:
        """Keeps what is reported within the block, and scores it after the block, if there was an answer."""
        geometries = self._runner.info.geometries if self._runner.ready else ()
        trial = FaceTrial(self._comparisons if self._comparisons.chosen() else None, geometries)
        if not geometries:
            trial.give_up(Outcome.FAILED)
        try:
            yield trial
        finally:
            has_work = trial.served is not None
            trial.end((lambda: self._compare(trial, geometries, call.request_id)) if has_work else None)

    async def _compare(self, trial: FaceTrial, geometries: Geometries, request_id: str) -> Outcome:
        served, model = trial.served, self._runner.info
        assert served is not None  # noqa: S101
        if model.geometries != geometries:
            raise ModelChanged("the shadow was replaced")
        pixels: NDArray[Any] | None = trial.pixels
        if pixels is None:
            assert trial.photo is not None  # noqa: S101
            pixels = (await self._photos.read(trial.photo, *geometries)).pixels
        call = Call.within(self._timeout_s, request_id=request_id)
        (fake,) = await self._runner.score([pixels], call, model)
        if not math.isfinite(fake):
            raise Internal("the shadow gave no score for a photo")
        own = effective_threshold(self._threshold, model.threshold)
        return report(
            self._comparisons.task, request_id, served, face_verdict(model, own, fake), self._comparisons.observer
        )


def follow(shadow: FaceShadow | None, call: Call) -> AbstractContextManager[FaceTrial]:
    """As `FaceShadow.follow`; None: there is no shadow, and nothing is kept."""
    return nullcontext(FaceTrial(None, ())) if shadow is None else shadow.follow(call)


def face_verdict(model: ModelInfo, threshold: float, fake: float) -> ModelVerdict:
    """A model's verdict on a photo; fake: P(fake), 0..1."""
    return ModelVerdict(model, threshold, fake, "fake" if fake >= threshold else "live", [fake])
