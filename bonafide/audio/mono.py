"""Decoded frames -> mono float32 blocks: every sample format as -1..1, channels as one, and apart beside it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from bonafide.audio.channels import Downmix, Mixed
from bonafide.audio.levels import LOUDEST
from bonafide.audio.two_parties import TwoParties
from bonafide.errors import TooLarge, UnreadableMedia

MIN_SAMPLE_RATE = 4_000
"""Hz; below it no speech is left to judge."""

BLOCK_SAMPLES = 1 << 16
"""Most samples of one channel in a block; a container may pack far more into one packet."""

_JOINED_SAMPLES, _JOINED_FRAMES = 1 << 13, 64
"""So many samples of one channel, of at most so many frames, are mixed at once: a codec gives a tenth of them, and what
follows costs more for each block than for its samples."""

_MAX_PLANES = 8
_SAMPLES: dict[str, tuple[type[np.generic], float, float]] = {
    # format -> dtype, value of silence, full scale
    "u8": (np.uint8, 128.0, 2.0**7),
    "s16": (np.int16, 0.0, 2.0**15),
    "s32": (np.int32, 0.0, 2.0**31),
    "s64": (np.int64, 0.0, 2.0**63),
    "flt": (np.float32, 0.0, 1.0),
    "dbl": (np.float64, 0.0, 1.0),
}


class Block(NamedTuple):
    """A run of samples, nominally -1..1, within `LOUDEST`.

    Attributes:
        samples: float32 array (n,), mono.
        rate: in Hz.
        channels: of which `samples` are the mix.
        apart: float32 array (channels, n), see `Mixed`; None of one channel, which `samples` are.
        parted_at: see `Mixed`.
    """

    samples: NDArray[np.float32]
    rate: int
    channels: int = 1
    apart: NDArray[np.float32] | None = None
    parted_at: int | None = None

    @classmethod
    def of(cls, mixed: Mixed, rate: int, channels: int) -> "Block":
        """What a `Downmix` gave."""
        return cls(mixed.mono, rate, channels, mixed.apart, mixed.parted_at)

    def between(self, start: int, end: int) -> "Block":
        """The samples from `start` to `end`, counted from 0; they may be fewer."""
        apart = None if self.apart is None else self.apart[:, start:end]
        parted_at = None if self.parted_at is None or self.parted_at > end else max(0, self.parted_at - start)
        return Block(self.samples[start:end], self.rate, self.channels, apart, parted_at)


def joined(blocks: Iterable[Block]) -> list[Block]:
    """The same samples in as few blocks as there can be: a container may hold one sample in each of its packets."""
    runs = groupby(blocks, key=lambda block: (block.rate, block.channels, block.apart is None))
    return [_as_one(list(run)) for _, run in runs]


def _as_one(blocks: Sequence[Block]) -> Block:
    """Blocks that follow one another and differ in their samples alone."""
    if len(blocks) == 1:
        return blocks[0]
    first = blocks[0]
    apart = [block.apart for block in blocks if block.apart is not None]
    before, parted_at = 0, None
    for block in blocks:
        if block.parted_at is not None:
            parted_at = before + block.parted_at
            break
        before += len(block.samples)
    return first._replace(
        samples=np.concatenate([block.samples for block in blocks]),
        apart=np.concatenate(apart, axis=1) if apart else None,
        parted_at=parted_at,
    )


class MonoMixer:
    """Makes mono blocks of the frames of one recording after the other.

    Args:
        max_channels: of a frame.
        max_sample_rate: of a frame, in Hz.
    """

    def __init__(self, max_channels: int, max_sample_rate: int) -> None:
        self._max_channels = max_channels
        self._max_sample_rate = max_sample_rate
        self._downmix: Downmix | None = None
        self._cancelled_s = 0.0
        self._parting = TwoParties()
        self._held: list[Sequence[NDArray[Any]]] = []
        self._held_samples = 0
        self._held_as = ("", 0, 0)

    @property
    def cancelled_s(self) -> float:
        """Seconds so far in which the channels cancelled each other, see `Downmix`."""
        return self._cancelled_s + (self._downmix.cancelled_s if self._downmix is not None else 0.0)

    def blocks(self, frame: AudioFrame, *, hold: bool = False) -> Iterator[Block]:
        """A frame's channels as one, in slices; the same values for planar and interleaved samples.

        Args:
            frame: of the recording, after those before.
            hold: a short frame may wait for those after it, or for `rest`.
        """
        channels, rate = frame.layout.nb_channels, frame.sample_rate
        self.check(rate, channels)
        kind = frame.format.name.removesuffix("p")
        dtype = _SAMPLES[kind][0]
        if frame.format.is_planar:
            if channels > _MAX_PLANES:  # PyAV would read past the end of FFmpeg's list of planes
                raise TooLarge(f"{channels} channels, compressed; at most {_MAX_PLANES} are accepted")
            planes = [np.frombuffer(memoryview(p), dtype, frame.samples) for p in frame.planes[:channels]]
        else:
            interleaved = np.frombuffer(memoryview(frame.planes[0]), dtype, frame.samples * channels)
            planes = [interleaved[channel::channels] for channel in range(channels)]
        hold = hold and 0 < frame.samples < _JOINED_SAMPLES
        if not hold or self._held_as != (kind, channels, rate):
            yield from self._release()
        if not hold:
            yield from self._mixed(planes, kind, frame.samples, rate)
            return
        self._held.append(planes)
        self._held_samples += frame.samples
        self._held_as = kind, channels, rate
        if self._held_samples >= _JOINED_SAMPLES or len(self._held) == _JOINED_FRAMES:
            yield from self._release()

    def pcm16(self, samples: NDArray[np.int16], rate: int) -> Iterator[Block]:
        """The same of 16 bit samples `(n, channels)`."""
        self.check(rate, samples.shape[1])
        yield from self._mixed(list(samples.T), "s16", len(samples), rate)

    def _release(self) -> Iterator[Block]:
        """Mixes the frames that were held."""
        held, count, (kind, channels, rate) = self._held, self._held_samples, self._held_as
        self._held, self._held_samples = [], 0
        if held:
            planes = [np.concatenate([planes[channel] for planes in held]) for channel in range(channels)]
            yield from self._mixed(planes, kind, count, rate)

    def _mixed(self, planes: Sequence[NDArray[Any]], kind: str, count: int, rate: int) -> Iterator[Block]:
        """Of `count` samples in each plane, one for each channel."""
        channels = len(planes)
        _, silence, scale = _SAMPLES[kind]
        yield from self._begin_mixing(channels, rate)
        for start in range(0, count, BLOCK_SAMPLES):
            sound = np.empty((channels, min(BLOCK_SAMPLES, count - start)), np.float32)
            with np.errstate(over="ignore", invalid="ignore"):
                for channel, plane in zip(sound, planes, strict=True):
                    channel[:] = plane[start : start + BLOCK_SAMPLES]
            if silence:
                sound -= np.float32(silence)
            if scale != 1.0:
                sound *= np.float32(1.0 / scale)
            else:
                _refuse_what_is_no_sound(sound)
            if self._downmix is None:
                yield Block(sound[0], rate)
            else:
                yield Block.of(self._downmix.feed(sound), rate, channels)

    def _begin_mixing(self, channels: int, rate: int) -> Iterator[Block]:
        """Ends the mixing of what came before, if that had other channels or another rate."""
        downmix = self._downmix
        if (downmix.channels, downmix.rate) == (channels, rate) if downmix is not None else channels == 1:
            return
        yield from self._unmixed()
        self._downmix = Downmix(channels, rate, self._parting) if channels > 1 else None

    def rest(self) -> Iterator[Block]:
        """What waits."""
        yield from self._release()
        yield from self._unmixed()

    def _unmixed(self) -> Iterator[Block]:
        """What waits to be mixed."""
        if self._downmix is not None:
            rest = self._downmix.flush()
            self._cancelled_s += self._downmix.cancelled_s
            rate, channels, self._downmix = self._downmix.rate, self._downmix.channels, None
            yield Block.of(rest, rate, channels)

    def check(self, rate: int, channels: int) -> None:
        """Refuses what no frame may have.

        Raises:
            TooLarge: more channels or a higher sample rate than allowed.
            UnreadableMedia: no channels, or too low a sample rate.
        """
        if rate > self._max_sample_rate:
            raise TooLarge(f"a sample rate of {rate} Hz; at most {self._max_sample_rate} Hz are accepted")
        if channels > self._max_channels:
            raise TooLarge(f"{channels} channels; at most {self._max_channels} are accepted")
        if rate < MIN_SAMPLE_RATE:
            raise UnreadableMedia(f"a sample rate of {rate} Hz; at least {MIN_SAMPLE_RATE} Hz are needed")
        if channels < 1:
            raise UnreadableMedia("the audio has no channels")


def _refuse_what_is_no_sound(samples: NDArray[np.float32]) -> None:
    loudest = float(np.abs(samples).max(initial=0.0))
    if not np.isfinite(loudest):
        raise UnreadableMedia("the recording holds samples that are not finite numbers")
    if loudest > LOUDEST:
        raise UnreadableMedia("the recording holds samples that are far beyond any range")
