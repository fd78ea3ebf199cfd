"""A detector with the service's own reading of media, for the command lines that judge a model.

It imports `models` and `bonafide`, since what is measured has to pass the same decoder, the same cutting into windows
and the same engine as what is served, and the same settings apply.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bonafide.audio.channel_mode import AUTO, MIX, ChannelMode
from bonafide.audio.reader import WINDOW_SECONDS, AudioLimits, AudioReader, least_seconds, samples_before
from bonafide.channels import channel_verdicts, windows_of, worst
from bonafide.errors import BonafideError
from bonafide.photo.reader import PhotoReader
from bonafide.photo.rules import PhotoRules
from bonafide.settings import Settings
from bonafide.verdict import (
    SpeechCheck,
    SuspiciousStretch,
    WindowScore,
    WindowSpan,
    WindowVerdict,
    effective_threshold,
    judge_window,
    overall_score,
    suspicious_stretches,
    why_no_score,
)
from lab.evaluation.score_file import Scored
from lab.evaluation.scoring import Part, Reader, Unreadable, channels_of
from models.configured import PhotoScorer, WindowScorer, load_options, threshold_of
from models.info import ImageGeometry, ModelInfo, Task
from models.speech import VoiceActivityDetector

if TYPE_CHECKING:
    from lab.line.recording import Line  # whose rooms need scipy.signal, which is slow to import


class MediaReader:
    """The service's processing from a file to model input.

    Args:
        settings: the service's, for its limits.
        geometries: how a photo is prepared, see `ModelInfo.geometries`; none: the files are recordings.
        line: through which recordings are sent before the service reads them; None: read as they are.
        before: samples before each window that are given with it, see `AudioReader`.
        hop_s: seconds between the starts of two windows of a recording.
        mode: which of its channels are read.

    Attributes:
        identity: identifies its processing besides decoding; empty for recordings.
        limits: identifies the limits beyond which a file is refused.
    """

    def __init__(
        self,
        settings: Settings,
        geometries: Sequence[ImageGeometry] = (),
        line: "Line | None" = None,
        before: int = 0,
        hop_s: float = WINDOW_SECONDS,
        mode: ChannelMode = AUTO,
    ) -> None:
        self._settings = settings
        rules = PhotoRules.from_settings(settings)
        self._photos = PhotoReader(rules) if geometries else None
        self._geometries = geometries
        self._line = line
        self._before = before
        self._hop_s = hop_s
        self._mode = mode
        self.identity = "" if self._photos is None else self._photos.identity
        self.limits = str(rules.limits if geometries else AudioLimits.from_settings(settings))

    def read(self, path: Path) -> list[Part]:
        """The windows of a recording, or a photo; may run on several threads at a time.

        Raises:
            Unreadable: the service would refuse the file.
            OSError: the file cannot be read at all.
        """
        return self.parts(path.read_bytes())

    def parts(self, data: bytes) -> list[Part]:
        """The same of the bytes of a file.

        Raises:
            Unreadable: the service would refuse them.
        """
        try:
            if self._photos is None:
                return self._windows(data)
            photo = self._photos.read(data, *self._geometries)
            return [Part(photo.pixels, 1.0, photo.reason or "")]
        except BonafideError as error:
            raise Unreadable(error.message) from error

    def _windows(self, data: bytes) -> list[Part]:
        limits = AudioLimits.from_settings(self._settings)
        if self._line is not None:
            data = self._line.send(data, limits)
            limits = replace(limits, max_bytes=max(limits.max_bytes, len(data)))  # WAV is larger than what it was
        with AudioReader(data, limits, before=self._before, hop_s=self._hop_s, mode=self._mode) as reader:
            return [
                Part(window.pcm, window.fresh_s, channel=window.channel) for windows in reader for window in windows
            ]


class ServedModel:
    """A loaded model, used as by the service.

    Args:
        reference: of the model.
        task: voice or face.
        settings: engine, folders, spoof labels and limits.
        calibrated: whether a calibration beside the weights is applied.

    Attributes:
        detector: the model alone; scores windows or photos.
        read: converts a file to model input; see `MediaReader.read`.

    Raises:
        ModelError: the model cannot be served.
    """

    def __init__(self, reference: str, task: Task, settings: Settings, *, calibrated: bool = True) -> None:
        options = replace(load_options(task, settings), calibrated=calibrated)
        self._model: WindowScorer | PhotoScorer = (
            WindowScorer.load(reference, options) if task == "voice" else PhotoScorer.load(reference, options)
        )
        self.detector = self._model.detector
        self._check = SpeechCheck(settings.min_speech_ratio)
        self._settings = settings
        self._set_threshold = threshold_of(task, settings)
        self._line: Line | None = None
        self._hop_s = float(WINDOW_SECONDS)
        self._reader = MediaReader(settings, self.info.geometries, before=samples_before(self.info))
        self.read = self._reader.read

    def through(self, line: "Line") -> Self:
        """The same voice model, whose recordings are sent through this line before it reads them."""
        other = copy.copy(self)
        other._line = line
        return other._reading()

    def every(self, hop_s: float) -> Self:
        """The same voice model, whose windows start every `hop_s` seconds; see `audio.reader.checked_hop`."""
        other = copy.copy(self)
        other._hop_s = hop_s
        return other._reading()

    def _reading(self) -> Self:
        before = samples_before(self.info)
        self._reader = MediaReader(self._settings, self.info.geometries, self._line, before, self._hop_s)
        self.read = self._reader.read
        return self

    @property
    def info(self) -> ModelInfo:
        """The model."""
        return self._model.info

    @property
    def identity(self) -> str:
        """Identifies everything that a score depends on besides the file."""
        info = self.info
        model = f"{info.task} {info.name} {info.version} {info.engine} {info.device} {info.precision}"
        read = self._reader.identity or f"soxr, speech {info.speech_version}, channels {AUTO}"
        found = f"{model}; {read}" + (f"; through {self._line.identity}" if self._line else "")
        return found if self._hop_s == WINDOW_SECONDS else f"{found}; every {self._hop_s!r} s"

    @property
    def limits(self) -> str:
        """Identifies the limits beyond which a file is refused; scores do not depend on them."""
        return self._reader.limits

    @property
    def threshold(self) -> tuple[float, str]:
        """The threshold that the service labels by, 0..1, and its origin in words."""
        if self._set_threshold is not None:
            return self._set_threshold, f"BONAFIDE_{self.info.task.upper()}_THRESHOLD"
        return effective_threshold(None, self.info.threshold), "calibration" if self.info.calibrated else "default"

    def score(self, parts: Sequence[Part]) -> list[WindowScore]:
        """P(spoof) of each part, NaN where there is none, its speech ratio, 0..1, and its members' scores.

        The ratio is 1 for photos.

        Raises:
            InferenceFailed: the engine itself is broken.
        """
        arrays = [part.array for part in parts]
        if isinstance(self._model, PhotoScorer):
            return [WindowScore(score, 1.0, members) for score, members in self._model.score(arrays)]
        return self._model.score(arrays)

    def has_speech(self, ratio: float) -> bool:
        """Whether the service judges a window with this speech ratio."""
        return self._check.passes(ratio)

    def judged(self, scored: Scored) -> list[tuple[float, float]]:
        """Score and weight of each part that counts: it has speech, and the model gave it a score."""
        return [(window.score, window.weight) for window in self._verdicts(scored) if window.score is not None]

    def judged_members(self, scored: Scored) -> list[tuple[float, ...]]:
        """The scores of an ensemble's members of each part that counts, in the order of `judged`."""
        counted = (window for window in self._verdicts(scored) if window.score is not None)
        return [tuple(window.member_scores.values()) for window in counted]

    def combined(self, scored: Scored) -> float | None:
        """The score of a recording from those of its windows, as the service defines it; a photo's is its own."""
        return overall_score(self._verdicts(scored))

    def why_no_score(self, scored: Scored) -> str:
        """Why a recording has no score, in words."""
        windows = list(self._of_all_channels(scored))
        return "the model gave no score" if len(windows) < len(scored.scores) else why_no_score(windows, self._check)

    def stretches(self, scored: Scored) -> tuple[SuspiciousStretch, ...]:
        """The suspicious stretches of a recording."""
        return suspicious_stretches(self._verdicts(scored))

    def judge_bytes(self, data: bytes) -> Scored:
        """Reads and scores the bytes of one file.

        Raises:
            Unreadable: the service would refuse them.
            InferenceFailed: the engine itself is broken.
        """
        parts = self._reader.parts(data)
        size = self.info.max_batch_size
        found = [each for first in range(0, len(parts), size) for each in self.score(parts[first : first + size])]
        return Scored(
            scores=tuple(each.score for each in found),
            seconds=tuple(part.seconds for part in parts),
            speech_ratios=tuple(each.speech_ratio for each in found),
            members=tuple(each.members for each in found if each.members),
            channels=channels_of(parts),
        )

    def _verdicts(self, scored: Scored) -> tuple[WindowVerdict, ...]:
        """The service's verdict on each part of the channel that stands for all, see `bonafide.channels`.

        Parts to which the model gave no score are missing.
        """
        windows = list(self._of_all_channels(scored))
        numbers = sorted({channel for channel in scored.channels if channel is not None})
        headline = worst(channel_verdicts(windows, numbers, self.threshold[0]))
        return windows_of(windows, None if headline is None else headline.number)

    def _of_all_channels(self, scored: Scored) -> Iterator[WindowVerdict]:
        threshold, _ = self.threshold
        ends_s: dict[int | None, float] = {None: 0.0}
        channels = scored.channels or (None,) * len(scored.scores)
        members = scored.members or ((),) * len(scored.scores)
        for index, (score, seconds, ratio, each, channel) in enumerate(
            zip(scored.scores, scored.seconds, scored.speech_ratios, members, channels, strict=True)
        ):
            named = self.info.named(each)
            # A channel begins where the mix of all ends.
            end_s = ends_s[channel] = ends_s.get(channel, ends_s[None]) + seconds
            span = WindowSpan(index, max(0.0, end_s - WINDOW_SECONDS), end_s, fresh_s=seconds, channel=channel)
            verdict = judge_window(
                span,
                score,
                ratio,
                speech=self._check,
                threshold=threshold,
                members=named,
                least_s=least_seconds(self.info),
            )
            if verdict is not None:
                yield verdict


def judged_reader(settings: Settings, geometry: ImageGeometry | None) -> Reader:
    """Reads what the service would judge of a file: a photo, or the windows of a recording with enough speech.

    Args:
        settings: the service's, for its limits and speech detection.
        geometry: how a photo is prepared; None: the files are recordings.
    """
    # A label is of a whole file and does not say which party of a call it means: what is learned from is the mix.
    read = MediaReader(settings, () if geometry is None else (geometry,), mode=MIX).read
    if geometry is not None:
        return read
    speech, check = VoiceActivityDetector.load(load_options("voice", settings)), SpeechCheck(settings.min_speech_ratio)

    def judged(path: Path) -> list[Part]:
        parts = read(path)
        found = [part for part, ratio in zip(parts, speech_ratios(speech, parts), strict=True) if check.passes(ratio)]
        if not found:
            raise Unreadable("no speech was found")
        return found

    return judged


def reading_identity(settings: Settings, geometry: ImageGeometry | None) -> str:
    """Identifies everything in the settings that decides what `judged_reader` reads of a file."""
    if geometry is not None:
        return MediaReader(settings, (geometry,)).identity
    return f"speech {settings.min_speech_ratio!r}; {AudioLimits.from_settings(settings)!r}"


def speech_ratios(speech: VoiceActivityDetector, parts: Sequence[Part]) -> list[float]:
    """Share of each window that is speech, 0..1, as computed by the service."""
    ratios: list[float] = speech.speech_ratios([part.array for part in parts]).tolist()
    return ratios
