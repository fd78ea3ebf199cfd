"""Untrusted bytes -> 4-second windows of 16 kHz mono int16, a few at a time; memory is bounded by a block.

Combines decoding, cutting, scaling and resampling, which are separate modules, and enforces the limits.
"""

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.by_channel import ByChannel
from bonafide.audio.channel_cutters import ChannelCut, ChannelCutters
from bonafide.audio.channel_mode import AUTO, ChannelMode
from bonafide.audio.conditions import ConditionMeter
from bonafide.audio.decoding import MonoDecoder
from bonafide.audio.levels import model_input
from bonafide.audio.plausibility import LevelRemarks
from bonafide.audio.resampling import SAMPLE_RATE
from bonafide.audio.windows import MAX_FOR_ONE
from bonafide.errors import InvalidRequest, TooLarge, UnreadableMedia
from bonafide.verdict import WindowSpan
from models.info import ModelInfo

if TYPE_CHECKING:  # decoding processes have no settings
    from bonafide.settings import Settings

__all__ = [
    "MIN_HOP_SECONDS",
    "SAMPLE_RATE",
    "WINDOW_SAMPLES",
    "WINDOW_SECONDS",
    "AudioLimits",
    "AudioReader",
    "Window",
    "checked_hop",
    "least_seconds",
    "max_windows",
    "recorded_span",
    "samples_before",
    "window_end",
    "window_weight",
]

WINDOW_SECONDS = 4
WINDOW_SAMPLES = WINDOW_SECONDS * SAMPLE_RATE

MIN_HOP_SECONDS = WINDOW_SECONDS / 8
"""Least distance of two windows: an eighth of one, at eight times the cost."""

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
    def from_settings(cls, settings: "Settings") -> Self:
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
        conditions: what weakens a verdict on the mix, by the names of `audio.conditions`; complete after the last step.
        channel_conditions: what weakens one on each channel that is judged apart, by its number; likewise.
    """

    def __init__(
        self,
        data: bytes,
        limits: AudioLimits,
        batch_windows: int = 8,
        before: int = 0,
        *,
        hop_s: float = WINDOW_SECONDS,
        mode: ChannelMode = AUTO,
    ) -> None:
        """Checks the size only.

        Args:
            data: the recording: WAV, FLAC, MP3, Ogg, Opus, M4A, AAC, AMR or WebM.
            limits: what it may hold at most.
            batch_windows: most windows of one step.
            before: samples at 16 kHz before each window that are given with it, see `samples_before`.
            hop_s: seconds between the starts of two windows, see `checked_hop`.
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
        self._hop_s = hop_s
        self._mode = mode
        self._decoder = MonoDecoder(data, limits.max_channels, limits.max_sample_rate)
        self.warnings = self._decoder.warnings
        self.conditions: tuple[str, ...] = ()
        self.channel_conditions: dict[int, tuple[str, ...]] = {}
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
        meters = ByChannel(ConditionMeter())
        for rate, cuts in self._batches():
            windows = []
            for index, channel, cut in cuts:
                span = recorded_span(index, min(window_end(index, self._hop_s), self.seconds), self._hop_s)
                made = model_input(cut.samples, rate)
                remarks.add(made, span.fresh_s)
                meters[channel].add(cut.samples[-cut.fresh :], rate, made)
                pcm = made.pcm[-(WINDOW_SAMPLES + self._before) :]
                windows.append(Window(span.index, span.start_s, span.end_s, span.fresh_s, pcm, channel=channel))
            yield windows
        for _, meter in meters.items():
            meter.lossy = self._decoder.lossy
        names = {channel: meter.names() for channel, meter in meters.items()}
        self.conditions = names[None]
        self.channel_conditions = {channel: found for channel, found in names.items() if channel is not None}
        self.warnings += [sentence for sentence in remarks.sentences() if sentence not in self.warnings]

    def _batches(self) -> Iterator[tuple[int, list[ChannelCut]]]:
        """Groups of windows of one rate, as they were cut, with their index and channel."""
        cutters: ChannelCutters | None = None
        waiting: list[ChannelCut] = []
        rate_changes = 0
        most = max_windows(self._limits.max_seconds)
        for block in self._decoder.blocks():
            if cutters is None:
                before_s = self._before / SAMPLE_RATE
                cutters = ChannelCutters(block.rate, WINDOW_SECONDS, before_s, hop_s=self._hop_s, mode=self._mode)
            elif cutters.rate != block.rate:
                rate_changes += 1
                if rate_changes > _MAX_RATE_CHANGES:
                    raise UnreadableMedia("the sample rate of the recording changes again and again")
                if waiting:
                    yield cutters.rate, waiting
                    waiting = []
                cutters.change_rate(block.rate)
            waiting += cutters.feed(block)
            held_s = window_end(cutters.slots - 1, self._hop_s) if cutters.slots else 0.0
            self.seconds = held_s + cutters.unseen_samples / block.rate
            of_all = "" if cutters.channels_now == 1 else ", all channels that are judged together"
            if cutters.judged_s > self._limits.max_seconds:
                raise TooLarge(f"a recording of more than {self._limits.max_seconds:g} s{of_all}")
            if cutters.judged > most:
                raise TooLarge(
                    f"more than {most} windows of a recording{of_all}; use a larger hop_seconds than {self._hop_s:g}"
                )
            while len(waiting) >= self._batch_windows:
                yield block.rate, waiting[: self._batch_windows]
                waiting = waiting[self._batch_windows :]
        if cutters is None:
            raise UnreadableMedia("no audio could be decoded from the recording")
        waiting += cutters.flush()
        for first in range(0, len(waiting), self._batch_windows):
            yield cutters.rate, waiting[first : first + self._batch_windows]


def max_windows(max_seconds: float) -> int:
    """Most windows of a recording, however they overlap: those of the longest recording without overlap."""
    return max(1, math.ceil(max_seconds / WINDOW_SECONDS))


def checked_hop(hop_s: float | None) -> float:
    """Seconds between the starts of two windows of a recording; None: those of a window, without overlap.

    Raises:
        InvalidRequest: less than an eighth of a window, more than a window, or no number.
    """
    if hop_s is None:
        return float(WINDOW_SECONDS)
    if not MIN_HOP_SECONDS <= hop_s <= WINDOW_SECONDS:  # NaN fails this too
        raise InvalidRequest(f"hop_seconds must be {MIN_HOP_SECONDS:g} to {WINDOW_SECONDS} seconds")
    return float(hop_s)


def recorded_span(index: int, end_s: float, hop_s: float = WINDOW_SECONDS) -> WindowSpan:
    """Where a window of a recording lies: the last one reaches back into the one before it, to have four seconds.

    Args:
        index: 0, 1, 2, ...
        end_s: where it ends, in seconds of the recording: see `window_end`, or the end of the recording.
        hop_s: between the starts of two windows.
    """
    before_s = window_end(index - 1, hop_s) if index else 0.0
    return WindowSpan(index, max(0.0, end_s - WINDOW_SECONDS), end_s, fresh_s=end_s - before_s)


def window_end(index: int, hop_s: float) -> float:
    """Where a window ends that the end of the recording does not cut short, in seconds."""
    return WINDOW_SECONDS + index * float(hop_s)


def window_weight(pcm: NDArray[np.int16]) -> float:
    """What a window costs a model, as a part of what a full one costs; pcm: int16 (samples,), 16 kHz mono."""
    return min(1.0, max(len(pcm) / WINDOW_SAMPLES, 1 / MAX_FOR_ONE))


def least_seconds(model: ModelInfo) -> float:
    """Length of the shortest window that a model takes."""
    return model.min_samples / SAMPLE_RATE


def samples_before(model: ModelInfo) -> int:
    """How many samples before a window of 4 s a model is given with it, at 16 kHz; see docs/verdict.md."""
    return max(0, (model.window_samples or 0) - WINDOW_SAMPLES)
