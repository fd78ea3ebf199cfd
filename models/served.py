"""What the voice runner holds, and models with the service's own reading of media, for the commands that judge them.

Beside `service.py` this is the only place where `models` and `bonafide` meet: what is measured has to pass the same
decoder, the same cutting into windows and the same engine as what is served, and the same settings apply.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonafide.audio import AudioLimits, AudioReader
from bonafide.errors import BonafideError
from bonafide.image import Geometry
from bonafide.photo import PhotoReader
from bonafide.settings import Settings
from bonafide.verdict import WindowScore, overall_score
from models.dinov2 import DINOv2Detector
from models.engines import LoadOptions
from models.evaluation.scoring import Part, Unreadable
from models.info import ImageGeometry, ModelInfo, Task
from models.speech import SpeechFinder
from models.wavlm import WavLMDetector


class VoiceModel:
    """A voice model with what finds speech beside it: every window is given to both.

    Attributes:
        info: the model.
    """

    def __init__(self, detector: WavLMDetector, speech: SpeechFinder) -> None:
        self.info = replace(detector.info, speech_version=speech.version)
        self._detector = detector
        self._speech = speech

    @classmethod
    def load(cls, reference: str, options: LoadOptions) -> "VoiceModel":
        """Loads both.

        Raises:
            ModelError: one of them cannot be served.
        """
        return cls(WavLMDetector.load(reference, options), SpeechFinder.load(options))

    def score(self, windows: list[NDArray[np.int16]]) -> list[WindowScore]:
        """Score and share of speech of each window, int16 `(samples,)`; NaN for what cannot be judged.

        Raises:
            InferenceFailed: the engine itself is broken.
        """
        scores, shares = self._detector.score(windows), self._speech.shares(windows)
        return [WindowScore(*both) for both in zip(scores.tolist(), shares.tolist(), strict=True)]


class MediaReader:
    """The service's way from a file to what its models are given.

    Args:
        settings: the service's, for its limits.
        geometry: how a photo is prepared; None: the files are recordings.

    Attributes:
        identity: names what it does to a file besides decoding it; empty for recordings.
    """

    def __init__(self, settings: Settings, geometry: ImageGeometry | None) -> None:
        self._settings = settings
        self._photos = None if geometry is None else PhotoReader.of(settings)
        self._geometry = None if geometry is None else Geometry(**asdict(geometry))
        self.identity = "" if self._photos is None else self._photos.identity

    def read(self, path: Path) -> list[Part]:
        """The windows of a recording, or a photo; may run on several threads at a time.

        Raises:
            Unreadable: the service would refuse the file.
            OSError: the file cannot be read at all.
        """
        data = path.read_bytes()
        try:
            if self._photos is None or self._geometry is None:
                return self._windows(data)
            photo = self._photos.read(data, self._geometry)
            return [Part(photo.pixels, 1.0, photo.reason or "")]
        except BonafideError as error:
            raise Unreadable(error.message) from error

    def _windows(self, data: bytes) -> list[Part]:
        with AudioReader(data, AudioLimits.of(self._settings)) as reader:
            return [Part(window.pcm, window.end_s - window.start_s) for windows in reader for window in windows]


class ServedModel:
    """A loaded model and how the service would ask it.

    Args:
        reference: of the model.
        task: which of both.
        settings: engine, folders, spoof labels and limits.
        calibrated: whether a calibration beside the weights is applied.

    Attributes:
        detector: scores windows or photos.
        read: makes of a file what the detector is given; see `MediaReader.read`.

    Raises:
        ModelError: the model cannot be served.
    """

    def __init__(self, reference: str, task: Task, settings: Settings, *, calibrated: bool = True) -> None:
        options = replace(load_options(task, settings), calibrated=calibrated)
        self.detector: WavLMDetector | DINOv2Detector = (
            WavLMDetector.load(reference, options) if task == "voice" else DINOv2Detector.load(reference, options)
        )
        self._reader = MediaReader(settings, self.detector.info.geometry)
        self.read = self._reader.read

    @property
    def info(self) -> ModelInfo:
        """The model."""
        return self.detector.info

    @property
    def identity(self) -> str:
        """Names everything that a score depends on besides the file."""
        info = self.info
        model = f"{info.task} {info.name} {info.version} {info.engine} {info.device} {info.precision}"
        return f"{model}; {self._reader.identity}" if self._reader.identity else model

    def combined(self, scores: Sequence[float], seconds: Sequence[float]) -> float:
        """The score of a recording from those of its windows, as the service defines it; a photo's is its own."""
        return overall_score(scores, seconds)


def settings_for(task: Task, **given: Any) -> Settings:
    """The service's settings, with those that are given instead; `spoof_label` is the one of the task.

    Raises:
        pydantic.ValidationError: a setting is wrong.
    """
    if "spoof_label" in given:
        given[f"{task}_spoof_label"] = given.pop("spoof_label")
    return Settings(**given)


def load_options(task: Task, settings: Settings) -> LoadOptions:
    """How the service's settings load a model."""
    return LoadOptions(
        engine=settings.engine,
        precision=settings.precision,
        models_dir=settings.models_dir,
        compiled_dir=settings.compiled_dir,
        offline=settings.offline,
        spoof_label=settings.voice_spoof_label if task == "voice" else settings.face_spoof_label,
        threads=settings.engine_threads,
    )
