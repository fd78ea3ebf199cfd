"""Untrusted bytes -> 4-second windows of 16 kHz mono int16, a few at a time; memory is bounded by a block.

Combines decoding, cutting, scaling and resampling, which are separate modules, and enforces the limits.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.channel_mode import AUTO, ChannelMode
from bonafide.audio.decoding import MonoDecoder
from bonafide.audio.lanes import Lanes
from bonafide.audio.levels import model_input
from bonafide.audio.plausibility import LevelRemarks
from bonafide.audio.resampling import SAMPLE_RATE
from bonafide.audio.windows import MAX_FOR_ONE, Cut
from bonafide.errors import TooLarge, UnreadableMedia
from bonafide.settings import Settings
from bonafide.verdict import WindowSpan
from models.info import ModelInfo

__all__ = [
    "SAMPLE_RATE",
    "WINDOW_SAMPLES",
    "WINDOW_SECONDS",
    "AudioLimits",
    "AudioReader",
    "Window",
    "recorded_span",
    "samples_before",
    "window_weight",
]

WINDOW_SECONDS = 4
WINDOW_SAMPLES = WINDOW_SECONDS * SAMPLE_RATE

_MAX_RATE_CHANGES = 16


@dataclass(frozen=True)
class AudioLimits:
    """What a recording may hold at most; beyond it the reader raises TooLarge.

    Attributes:
        max_bytes: size of the file.
        max_seconds: duration, counted in decoded samples; of all channels that are judged apart together.
        max_channels: channels of the audio stream.
        max_sample_rate: in Hz.
    """

    max_bytes: int
    max_seconds: float
    max_channels: int
    max_sample_rate: int

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The limits that the settings name."""
        return cls(
            settings.max_audio_bytes,
            settings.max_audio_seconds,
            settings.max_audio_channels,
            settings.max_sample_rate,
        )


@dataclass(frozen=True, eq=False)
class Window(WindowSpan):
    """Four seconds of a recording, see `recorded_span`.

    Attributes:
        pcm: int16 array (n,), 16 kHz mono; (64000,) unless the recording is shorter, and what lies before them where
            the model takes more.
    """

    pcm: NDArray[np.int16]


class AudioReader:
    """Iterates over a recording in lists of windows; each step decodes just enough for one list.

    Nothing is decoded before the first step, so making a reader costs nothing. Steps may run on different
    threads, one at a time; `close` may be called from any thread at any moment.

    Attributes:
        seconds: audio decoded so far.
        warnings: sentences about what could not be read, or is odd; complete after the last step.
    """

    def __init__(
        self,
        data: bytes,
        limits: AudioLimits,
        batch_windows: int = 8,
        before: int = 0,
        mode: ChannelMode = AUTO,
    ) -> None:
        """Checks the size only.

        Args:
            data: the recording: WAV, FLAC, MP3, Ogg, Opus, M4A, AAC, AMR or WebM.
            limits: what it may hold at most.
            batch_windows: most windows of one step.
            before: samples at 16 kHz before each window that are given with it, see `samples_before`.
            mode: which channels are judged.

        Raises:
            UnreadableMedia: no bytes at all.
            TooLarge: more bytes than allowed.
        """
        if not data:
            raise UnreadableMedia("the recording is empty")
        if len(data) > limits.max_bytes:
            raise TooLarge(f"a recording of {len(data)} bytes; at most {limits.max_bytes} are accepted")
        if batch_windows < 1:
            raise ValueError("batch_windows must be at least 1")
        self.seconds = 0.0
        self._limits = limits
        self._batch_windows = batch_windows
        self._before = before
        self._mode = mode
        self._decoder = MonoDecoder(data, limits.max_channels, limits.max_sample_rate)
        self.warnings = self._decoder.warnings
        self._steps = self._read()
        self._running = Lock()
        self._closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> list[Window]:
        """Decodes the next one to `batch_windows` windows.

        Raises:
            UnreadableMedia: nothing readable, a sample that is not finite or beyond any range, or a rate that
                keeps changing.
            TooLarge: more seconds, channels or Hz than allowed.
            InvalidRequest: the recording has no such channel.
        """
        with self._running:
            try:
                return next(self._steps)
            finally:
                if self._closed:
                    self._steps.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees the decoder, at the end of the running step if there is one; later steps return nothing."""
        self._closed = True
        if self._running.acquire(blocking=False):
            try:
                self._steps.close()
            finally:
                self._running.release()

    def _read(self) -> Generator[list[Window], None, None]:
        remarks = LevelRemarks()
        for rate, cuts in self._batches():
            windows = []
            for index, channel, cut in cuts:
                span = recorded_span(index, index * WINDOW_SECONDS + cut.fresh / rate)
                made = model_input(cut.samples, rate)
                remarks.add(made, span.fresh_s)
                pcm = made.pcm[-(WINDOW_SAMPLES + self._before) :]
                windows.append(Window(span.index, span.start_s, span.end_s, span.fresh_s, pcm, channel=channel))
            yield windows
        self.warnings += [sentence for sentence in remarks.sentences() if sentence not in self.warnings]

    def _batches(self) -> Iterator[tuple[int, list[tuple[int, int | None, Cut]]]]:
        """Groups of windows of one rate, as they were cut, with their index and channel."""
        lanes: Lanes | None = None
        waiting: list[tuple[int, int | None, Cut]] = []
        rate_changes = 0
        for block in self._decoder.blocks():
            if lanes is None:
                lanes = Lanes(block.rate, WINDOW_SECONDS, self._before / SAMPLE_RATE, self._mode)
            elif lanes.rate != block.rate:
                rate_changes += 1
                if rate_changes > _MAX_RATE_CHANGES:
                    raise UnreadableMedia("the sample rate of the recording changes again and again")
                if waiting:
                    yield lanes.rate, waiting
                    waiting = []
                lanes.change_rate(block.rate)
            waiting += lanes.feed(block)
            self.seconds = lanes.slots * WINDOW_SECONDS + lanes.unseen_samples / block.rate
            judged_s = lanes.judged * WINDOW_SECONDS + lanes.unseen_samples * lanes.lanes_now / block.rate
            if judged_s > self._limits.max_seconds:
                of_all = "" if lanes.lanes_now == 1 else ", all channels that are judged together"
                raise TooLarge(f"a recording of more than {self._limits.max_seconds:g} s{of_all}")
            while len(waiting) >= self._batch_windows:
                yield block.rate, waiting[: self._batch_windows]
                waiting = waiting[self._batch_windows :]
        if lanes is None:
            raise UnreadableMedia("no audio could be decoded from the recording")
        waiting += lanes.flush()
        for first in range(0, len(waiting), self._batch_windows):
            yield lanes.rate, waiting[first : first + self._batch_windows]


def recorded_span(index: int, end_s: float) -> WindowSpan:
    """Where a window of a recording lies: the last one reaches back into the one before it, to have four seconds.

    Args:
        index: 0, 1, 2, ...
        end_s: where it ends, in seconds of the recording: `4 * (index + 1)`, or the end of the recording.
    """
    return WindowSpan(index, max(0.0, end_s - WINDOW_SECONDS), end_s, fresh_s=end_s - index * WINDOW_SECONDS)


def window_weight(pcm: NDArray[np.int16]) -> float:
    """What a window costs a model, as a part of what a full one costs; pcm: int16 (samples,), 16 kHz mono."""
    return min(1.0, max(len(pcm) / WINDOW_SAMPLES, 1 / MAX_FOR_ONE))


def samples_before(model: ModelInfo) -> int:
    """How many samples before a window of 4 s a model is given with it, at 16 kHz; see docs/verdict.md."""
    return max(0, (model.window_samples or 0) - WINDOW_SAMPLES)
