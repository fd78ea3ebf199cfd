"""Where live audio comes from: a file, or the microphone. Yields blocks: float32 bytes and their sample rate."""

import asyncio
import importlib
from collections.abc import AsyncGenerator, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import InvalidRequest, Unavailable, UnreadableMedia
from ..threads import in_thread
from .samples import SAMPLE_BYTES

Block = tuple[bytes, int]

_BLOCK_S = 0.25
_LEAST_SUM = 0.25
"""Of the channels' energies: the energy of their sum is 1 of it when they are independent, 0 when they cancel."""
_MOST_WAITING = 240
"""Blocks of the microphone that may wait: a minute."""


async def file_blocks(
    path: str | PathLike[str], *, realtime: bool = False, channels: int = 1
) -> AsyncGenerator[Block, None]:
    """The audio of a file, each part at its own rate, all channels averaged; the first alone where they would cancel.

    Args:
        path: anything that FFmpeg decodes.
        realtime: yield it as fast as it would play, not as fast as it can be read.
        channels: more than one: that many are yielded as they are, interleaved.

    Raises:
        InvalidRequest: the package `av` is not installed, or the file has other channels than are asked for.
        OSError: the file cannot be opened.
        UnreadableMedia: it is no recording.
    """
    av = _package("av", "files")
    blocks = _decoded(av, path, channels)
    clock = asyncio.get_running_loop().time
    start_s, played_s = clock(), 0.0
    try:
        while block := await in_thread(_next, blocks):
            yield block
            played_s += len(block[0]) / (SAMPLE_BYTES * channels) / block[1]
            if realtime:
                await asyncio.sleep(start_s + played_s - clock())
    except av.FFmpegError as error:
        raise UnreadableMedia(f"{path}: {error.strerror}") from error


def file_channels(path: str | PathLike[str]) -> int:
    """How many channels the audio of a file has.

    Raises:
        InvalidRequest: the package `av` is not installed.
        OSError: the file cannot be opened.
        UnreadableMedia: it is no recording.
    """
    av = _package("av", "files")
    try:
        with Path(path).open("rb") as file, av.open(file) as container:
            if not container.streams.audio:
                raise UnreadableMedia(f"{path} holds no audio")
            return int(container.streams.audio[0].layout.nb_channels)
    except av.FFmpegError as error:
        raise UnreadableMedia(f"{path}: {error.strerror}") from error


async def microphone(
    sample_rate: int = 16_000, device: int | str | None = None, *, until: asyncio.Event | None = None
) -> AsyncGenerator[Block, None]:
    """What the microphone hears, until the generator is closed.

    Args:
        sample_rate: Hz.
        device: number or name as `python -m sounddevice` lists them; None takes the system's choice.
        until: ends it too; what was heard before is yielded still, and closing the generator would lose it.

    Raises:
        InvalidRequest: the package `sounddevice`, or the PortAudio library that it needs, is not installed.
        Unavailable: there is no microphone, or whoever takes the blocks is a minute behind.
    """
    sounddevice = _package("sounddevice", "microphone")
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[bytes | None] = asyncio.Queue()
    end = until or asyncio.Event()

    def keep(data: bytes) -> None:
        if not end.is_set():
            heard.put_nowait(data)

    def hear(data: Any, _frames: int, _time: Any, _status: Any) -> None:  # in PortAudio's own thread
        loop.call_soon_threadsafe(keep, bytes(data))

    try:
        stream = sounddevice.RawInputStream(
            samplerate=sample_rate, channels=1, dtype="float32", blocksize=round(_BLOCK_S * sample_rate),
            device=device, callback=hear,
        )  # fmt: skip
    except (sounddevice.PortAudioError, ValueError) as error:
        raise Unavailable(f"no microphone can be opened: {error}") from error
    ending = asyncio.create_task(end.wait())
    ending.add_done_callback(lambda _: heard.put_nowait(None))
    try:
        with stream:
            while heard.qsize() < _MOST_WAITING:
                if (block := await heard.get()) is None:
                    return
                yield block, sample_rate
    finally:
        ending.cancel()
    raise Unavailable("the service takes audio too slowly: the microphone is a minute ahead")


def _next(blocks: Iterator[Block]) -> Block | None:
    return next(blocks, None)


def _decoded(av: Any, path: str | PathLike[str], channels: int) -> Iterator[Block]:
    joined = _mono if channels == 1 else _interleaved
    with Path(path).open("rb") as file, av.open(file) as container:
        if not container.streams.audio:
            raise UnreadableMedia(f"{path} holds no audio")
        form: tuple[int, str, str] | None = None
        resampler: Any = None
        gathered: list[Any] = []
        samples = rate = 0
        for frame in container.decode(audio=0):
            if channels not in (1, frame.layout.nb_channels):
                raise InvalidRequest(f"{path} has {frame.layout.nb_channels} channels, and {channels} are asked for")
            if form != (form := (frame.sample_rate, frame.layout.name, frame.format.name)):
                # A resampler of PyAV keeps to its first frame, and takes samples at another rate for its own.
                if gathered:
                    yield joined(gathered), rate
                    gathered.clear()
                samples, rate = 0, frame.sample_rate
                resampler = av.AudioResampler(format="fltp", layout=frame.layout.name, rate=rate)
            for part in resampler.resample(frame):
                gathered.append(part.to_ndarray())
                samples += part.samples
            if gathered and samples >= _BLOCK_S * rate:
                yield joined(gathered), rate
                gathered.clear()
                samples = 0
        if gathered:
            yield joined(gathered), rate


def _mono(parts: list[Any]) -> bytes:
    """The mean of the channels, float32 (channels, samples) each; as the service, the first where they cancel."""
    together = sum(float((part.sum(axis=0) ** 2).sum()) for part in parts)
    apart = sum(float((part**2).sum()) for part in parts)
    cancelled = together < _LEAST_SUM * apart
    return b"".join((part[0] if cancelled else part.mean(axis=0)).astype("<f4").tobytes() for part in parts)


def _interleaved(parts: list[Any]) -> bytes:
    """The channels as they are, float32 (channels, samples) each."""
    return b"".join(part.T.astype("<f4").tobytes() for part in parts)


def _package(name: str, extra: str) -> Any:
    """An optional package."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        told = f"this needs the package {name}: pip install 'bonafide-client[{extra}]' ({error})"
        raise InvalidRequest(told) from error
    except OSError as error:  # of sounddevice
        raise InvalidRequest(f"{name} needs a library of the system, Debian's libportaudio2: {error}") from error
