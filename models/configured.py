"""Models as configured by the service's settings: which one, how it is loaded, and the runners' models.

The only file in `models` that imports `bonafide`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonafide.environment import WrongSettings as WrongSettings
from bonafide.environment import read_settings
from bonafide.settings import Settings
from bonafide.verdict import PhotoScore, WindowScore
from models.apart import load_apart
from models.catalog import ModelFiles, find_model
from models.detector import LoadedModel
from models.detectors import load_detector
from models.devices import cuda_is_available
from models.ensemble_members import find_members
from models.info import Task
from models.manifest_file import read_ensemble
from models.memory import require_memory
from models.options import LoadOptions
from models.slot import Loaded
from models.speech import VoiceActivityDetector
from models.voice_model import WINDOW_SAMPLES
from models.window_rule import end_of


class WindowScorer:
    """The voice detector together with the detector of voice activity: every window is given to both.

    Attributes:
        info: the voice detector's, with the other's version as `speech_version`.
        detector: the voice detector alone.
    """

    def __init__(self, detector: LoadedModel, speech: VoiceActivityDetector) -> None:
        self.info = replace(detector.info, speech_version=speech.version)
        self.detector = detector
        self._speech = speech

    @classmethod
    def load(cls, reference: str, options: LoadOptions) -> "WindowScorer":
        """Loads both.

        Raises:
            ModelError: one of them cannot be served.
        """
        detector = load_detector(reference, "voice", options)
        return cls(detector, VoiceActivityDetector.load(options, Path(detector.info.local_path)))

    def score(self, windows: list[NDArray[np.int16]]) -> list[WindowScore]:
        """Score and speech ratio of each window, int16 `(samples,)` at 16 kHz; NaN for windows that cannot be judged.

        The ratio is that of the last 4 s: what lies before them is there for the model alone.

        Raises:
            InferenceFailed: the engine itself is broken.
        """
        judged = self.detector.judge(windows)
        ratios = self._speech.speech_ratios([end_of(each, WINDOW_SAMPLES) for each in windows])
        return [
            WindowScore(score, ratio, tuple(members))
            for score, ratio, members in zip(
                judged.scores.tolist(), ratios.tolist(), judged.members.tolist(), strict=True
            )
        ]


class PhotoScorer:
    """The face detector.

    Attributes:
        info: what it is and how it runs.
        detector: the detector.
    """

    def __init__(self, detector: LoadedModel) -> None:
        self.info = detector.info
        self.detector = detector

    @classmethod
    def load(cls, reference: str, options: LoadOptions) -> "PhotoScorer":
        """Loads it.

        Raises:
            ModelError: it cannot be served.
        """
        return cls(load_detector(reference, "face", options))

    def score(self, photos: list[NDArray[np.uint8]]) -> list[PhotoScore]:
        """Score of each photo, uint8 of the shape `info.picture_shape`; NaN for one that cannot be judged.

        Raises:
            InferenceFailed: the engine itself is broken.
        """
        judged = self.detector.judge(photos)
        return [
            PhotoScore(score, tuple(members))
            for score, members in zip(judged.scores.tolist(), judged.members.tolist(), strict=True)
        ]


def settings_for(task: Task, **given: Any) -> Settings:
    """The service's settings, overridden by those given; `spoof_label` is that of the task.

    Raises:
        WrongSettings: a setting is wrong.
    """
    if "spoof_label" in given:
        given[f"{task}_spoof_label"] = given.pop("spoof_label")
    return read_settings(**given)


def load_options(task: Task, settings: Settings) -> LoadOptions:
    """The load options in the service's settings."""
    return LoadOptions(
        engine=settings.engine,
        precision=settings.precision,
        models_dir=settings.models_dir,
        compiled_dir=settings.compiled_dir,
        offline=settings.offline,
        spoof_label=settings.voice_spoof_label if task == "voice" else settings.face_spoof_label,
        threads=settings.engine_threads,
        max_batch=settings.voice_max_batch if task == "voice" else settings.face_max_batch,
    )


class _Source:
    """Loads models of a task as the settings say; see `models.slot.Source`."""

    task: Task

    def __init__(self, settings: Settings) -> None:
        self._options = load_options(self.task, settings)

    def admit(self, reference: str, spoof_label: str | None) -> None:
        """See `Source`; a checkpoint that a CPU has to convert is converted by another process."""
        found = self._files(reference)
        on_cuda = self._options.engine != "openvino" and cuda_is_available()
        require_memory([each.path for each in found], "cuda" if on_cuda else "cpu")
        if not (on_cuda or all(each.is_converted or each.is_onnx for each in found)):
            load_apart(self.task, reference, spoof_label)

    def _files(self, reference: str) -> list[ModelFiles]:
        """Of the model, or of an ensemble's members."""
        files = find_model(reference, self.task, self._options.models_dir, offline=self._options.offline)
        if not files.is_ensemble:
            return [files]
        return [each.files for each in find_members(files.path, read_ensemble(files.path), self.task, self._options)]

    def _with(self, spoof_label: str | None) -> LoadOptions:
        return replace(self._options, spoof_label=spoof_label)


class VoiceWithSpeech(_Source):
    """Voice models together with the detector of voice activity: a window -> the numbers of a `WindowScore`."""

    task: Task = "voice"

    def load(self, reference: str, spoof_label: str | None) -> Loaded:
        """See `Source`."""
        scorer = WindowScorer.load(reference, self._with(spoof_label))
        return Loaded(scorer.info, lambda windows: [each.numbers for each in scorer.score(windows)])


class Voice(_Source):
    """Voice models alone: a window -> P(spoof)."""

    task: Task = "voice"

    def load(self, reference: str, spoof_label: str | None) -> Loaded:
        """See `Source`."""
        detector = load_detector(reference, "voice", self._with(spoof_label))
        return Loaded(detector.info, lambda windows: detector.score(windows).tolist())


class Face(_Source):
    """Face models: a photo -> the numbers of a `PhotoScore`."""

    task: Task = "face"

    def load(self, reference: str, spoof_label: str | None) -> Loaded:
        """See `Source`."""
        scorer = PhotoScorer.load(reference, self._with(spoof_label))
        return Loaded(scorer.info, lambda photos: [each.numbers for each in scorer.score(photos)])


SOURCES: dict[Task, type[VoiceWithSpeech] | type[Face]] = {"voice": VoiceWithSpeech, "face": Face}


def threshold_of(task: Task, settings: Settings) -> float | None:
    """The threshold in the settings, which counts before a calibration's; None: not set."""
    return settings.voice_threshold if task == "voice" else settings.face_threshold


def reference_of(task: Task, settings: Settings) -> str:
    """The model reference in the settings."""
    return settings.voice_model if task == "voice" else settings.face_model
