"""Untrusted audio bytes -> float32 mono blocks at the recording's own rate, through PyAV (FFmpeg), in memory.

FFmpeg may use a demuxer that was picked before it saw the bytes, audio decoders from a fixed list, no
protocol, and no second file. Durations are never trusted: samples are counted. Timestamps are followed within bounds.
"""

import ctypes
import ctypes.util
import logging
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, cast

import av
import av.error
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import Flags, InputContainer
from av.packet import Packet
from av.stream import Discard
from numpy.typing import NDArray

from bonafide.audio.channels import Downmix
from bonafide.audio.containers import ACCEPTED, declares_duration, refuse_excessive_tags
from bonafide.audio.findings import Findings, Reading
from bonafide.audio.levels import LOUDEST
from bonafide.audio.part import Part
from bonafide.audio.parts import first_part, next_part
from bonafide.audio.plausibility import SILENT, SilenceCheck, cancelled
from bonafide.audio.source import AudioSource, Source
from bonafide.audio.stream_parts import StreamParts
from bonafide.audio.timeline import TimeLine
from bonafide.audio.wav import is_big_endian, little_endian_header
from bonafide.errors import TooLarge, UnreadableMedia

log = logging.getLogger(__name__)

MIN_SAMPLE_RATE = 4_000
"""Hz; below it no speech is left to judge."""

BLOCK_SAMPLES = 1 << 16
"""Most samples of one channel in a block; a container may pack far more into one packet."""

_MIB = 1024 * 1024
_HEADER_BYTES = 1 << 13
_MAX_ALLOCATION = 64 * _MIB
_GENERATE_TIMESTAMPS = cast(int, Flags.gen_pts.value)
_MAX_BARREN_PACKETS = 100_000
_MAX_BARREN_AMR_PACKETS = 8  # of a tail that is no AMR, FFmpeg would make minutes of noise
_MAX_DEMUX_ERRORS = 64
_CPU_S_PER_STEP = 5.0
_MAX_PLANES = 8
_MAX_PARTS, _MAX_REFUSED_PARTS = 10_000, 16
_TIMED = frozenset({"matroska", "mov", "ogg"})
"""Demuxers whose timestamps are those of the recorder; the others count samples or bytes."""
_LEAST_CANCELLED_S = 0.25  # less may be chance

_DECODERS = frozenset(
    [
        *("aac", "aac_fixed", "alac", "flac", "libopus", "opus", "vorbis"),
        *("mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float"),
        *("amrnb", "amrwb", "libopencore_amrnb", "libopencore_amrwb"),
        *("adpcm_ima_wav", "adpcm_ms", "g722", "gsm", "gsm_ms", "pcm_alaw", "pcm_mulaw"),
        *("pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be"),
        *("pcm_s64le", "pcm_s64be", "pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be"),
    ]
)
_BETTER_DECODERS = {"amrnb": "libopencore_amrnb", "amrwb": "libopencore_amrwb"}
"""FFmpeg's own AMR decoders drop the pauses of phone recordings (DTX), and with them the time line."""
_SAMPLES: dict[str, tuple[type[np.generic], float, float]] = {
    # format -> dtype, value of silence, full scale
    "u8": (np.uint8, 128.0, 2.0**7),
    "s16": (np.int16, 0.0, 2.0**15),
    "s32": (np.int32, 0.0, 2.0**31),
    "s64": (np.int64, 0.0, 2.0**63),
    "flt": (np.float32, 0.0, 1.0),
    "dbl": (np.float64, 0.0, 1.0),
}
_OPEN_OPTIONS = {
    "protocol_whitelist": "none",
    "codec_whitelist": ",".join(sorted(_DECODERS)),
    "max_streams": "64",
    "probesize": str(2 * _MIB),
    "analyzeduration": "5000000",
    "advanced_editlist": "0",  # an edit list repeated 3,000 times grew a 40 kB file to 2 GB of index
    "enable_drefs": "0",
    "use_absolute_path": "0",
}


class Block(NamedTuple):
    """A run of samples: float32 array (n,), mono, nominally -1..1, within `LOUDEST`, at `rate` samples per second."""

    samples: NDArray[np.float32]
    rate: int


class MonoDecoder:
    """Decodes the first audio stream of a recording, block by block; of several that were joined, one after the other.

    Opening happens at the first block. One thread at a time.

    Attributes:
        warnings: sentences about what was not read, or not as its header says; complete at the end.
    """

    def __init__(self, data: bytes, max_channels: int, max_sample_rate: int) -> None:
        self.warnings: list[str] = []
        self._data = data
        self._max_channels = max_channels
        self._max_sample_rate = max_sample_rate
        self._line = TimeLine()
        self._findings = Findings()
        self._downmix: Downmix | None = None
        self._cancelled_s = 0.0
        self._silence = SilenceCheck()

    def blocks(self) -> Iterator[Block]:
        """Yields mono blocks of at most `BLOCK_SAMPLES`; the file is closed when the iterator ends.

        Raises:
            UnreadableMedia: not audio, not an accepted format, broken, or samples that are not finite.
            TooLarge: more channels or a higher sample rate than allowed.
        """
        part: Part | None = first_part(self._data)
        refused = 0
        while part is not None:
            before_s = self._line.seconds
            try:
                yield from self._part_blocks(part)
            except UnreadableMedia:
                if not before_s or self._line.seconds > before_s:
                    raise
                self._findings.unread += part.end - part.body
                refused += 1
            if self._findings.parts == _MAX_PARTS or refused == _MAX_REFUSED_PARTS:
                self._findings.unread += len(self._data) - part.end
                break
            part, unread = next_part(self._data, part)
            self._findings.unread += unread
        self._findings.unfilled_s = self._line.unfilled_s
        self.warnings += self._findings.warnings(len(self._data)) + self.remarks()

    def remarks(self) -> list[str]:
        """What is odd about the sound decoded so far, as sentences."""
        found = []
        seconds = self._cancelled_s + (self._downmix.cancelled_s if self._downmix is not None else 0.0)
        if seconds >= _LEAST_CANCELLED_S:
            found.append(cancelled(seconds))
        if self._silence.implausible:
            found.append(SILENT)
        return found

    def stream_blocks(self, source: Source, demuxers: tuple[str, ...]) -> Iterator[Block]:
        """As `blocks`, of what a source gives that cannot seek; ends where FFmpeg does.

        Args:
            source: where FFmpeg reads.
            demuxers: who may open it, see `containers.identify`: matroska, ogg or mov.
        """
        parts = StreamParts(source, demuxers)
        while parts.begin():
            yield from self._decode(parts, demuxers, Reading())

    def _part_blocks(self, part: Part) -> Iterator[Block]:
        refuse_excessive_tags(self._data, part.demuxers[0], part.body, part.end)
        big_endian = is_big_endian(part)
        prefix = little_endian_header(part) if big_endian else part.prefix
        source = AudioSource(self._data, part.body, part.end, prefix)
        reading = Reading(longest_packet=part.longest_packet)
        head = self._data[part.body : part.body + _HEADER_BYTES]
        size = part.end - part.body
        yield from self._decode(source, part.demuxers, reading, head, size, big_endian=big_endian)
        reading.rest = source.unread
        self._findings.add(part, reading, self._line.seconds)

    def _decode(
        self,
        source: Source,
        demuxers: tuple[str, ...],
        reading: Reading,
        head: bytes = b"",
        size: int = 0,
        *,
        big_endian: bool = False,
    ) -> Iterator[Block]:
        """Decodes one recording.

        Args:
            source: where FFmpeg reads.
            demuxers: who may open it.
            reading: gets what is seen.
            head: the first bytes, for what the container promises.
            size: of all of it in bytes.
            big_endian: the samples of a WAV file are big-endian, although its header is little-endian.
        """
        _bound_ffmpeg()
        with _open(source, demuxers) as container:
            stream = self._pick(container)
            name = container.format.name.split(",")[0]
            if declares_duration(head, name, size):
                reading.promised_s = _stated_seconds(container, stream)
            reading.alone = len(container.streams) == 1
            self._line.begin_part()
            began_s = self._line.seconds
            unit_s = float(stream.time_base) if name in _TIMED and stream.time_base is not None else None
            for frame in self._frames(container, stream, source, reading, big_endian=big_endian):
                if unit_s is not None:
                    yield from self._silence_before(frame, unit_s)
                for block in self._mono(frame):
                    self._silence.decoded(*block)
                    yield block
                self._line.passed(frame.samples / frame.sample_rate)
            yield from self._rest()
            reading.seconds = self._line.seconds - began_s

    def _silence_before(self, frame: AudioFrame, unit_s: float) -> Iterator[Block]:
        """The silence between the frame before and this one, whose timestamp counts units of so many seconds."""
        pts, rate = frame.pts, frame.sample_rate
        gap_s = self._line.gap_before(None if pts is None else pts * unit_s, frame.samples / max(1, rate))
        samples = round(gap_s * rate)
        if samples > 0:
            yield from self._rest()
        while samples > 0:
            count = min(samples, BLOCK_SAMPLES)
            self._line.passed(count / rate)
            yield Block(np.zeros(count, np.float32), rate)
            samples -= count

    def _pick(self, container: InputContainer) -> AudioStream:
        streams = container.streams.audio
        if not streams:
            raise UnreadableMedia("the file holds no audio")
        several = f"the file holds {len(streams)} audio streams; the first was judged"
        if len(streams) > 1 and several not in self.warnings:
            self.warnings.append(several)
        stream = streams[0]
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        codec = stream.codec_context.name if stream.codec_context is not None else "unknown"
        if codec not in _DECODERS:
            raise UnreadableMedia(f"audio coded as {codec} is not accepted; send {ACCEPTED}")
        self._check(stream.codec_context.sample_rate, stream.codec_context.channels)
        return stream

    def _frames(
        self, container: InputContainer, stream: AudioStream, source: Source, reading: Reading, *, big_endian: bool
    ) -> Iterator[AudioFrame]:
        """Decodes packet by packet; a damaged packet costs only itself."""
        decoder = _decoder(stream, big_endian)
        is_amr = stream.codec_context.name in _BETTER_DECODERS
        barren = 0
        damaged = False
        for packet in self._packets(container, stream, source, reading):
            reading.damaged += damaged
            damaged = is_amr and not _is_amr_frame(packet)
            frames: list[AudioFrame] = []
            if self._silence.listening:
                self._silence.packet(memoryview(packet))
            if not damaged:
                try:
                    frames = decoder.decode(packet)
                    reading.count(packet.size)
                except av.error.FFmpegError:
                    damaged = True
            barren = 0 if any(frame.samples for frame in frames) else barren + 1
            if is_amr and barren > _MAX_BARREN_AMR_PACKETS:
                break
            if barren > _MAX_BARREN_PACKETS:
                raise UnreadableMedia("the recording goes on without any audio in it")
            yield from frames
        reading.torn |= damaged  # a damaged last packet is the end of a truncated file
        try:
            yield from decoder.decode(None)
        except av.error.FFmpegError:
            reading.torn = True

    def _packets(
        self, container: InputContainer, stream: AudioStream, source: Source, reading: Reading
    ) -> "Iterator[Packet[AudioStream]]":
        errors = 0
        packets = container.demux(stream)
        while errors < _MAX_DEMUX_ERRORS:
            source.allow(_CPU_S_PER_STEP)
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:
                reading.errors += 1
                errors += 1
                packets = container.demux(stream)
                continue
            if packet is None:
                return
            if packet.size:  # an empty packet would tell the decoder that the stream has ended
                reading.torn |= packet.is_corrupt
                errors = 0
                yield packet

    def _mono(self, frame: AudioFrame) -> Iterator[Block]:
        """A frame's channels as one, in slices; the same values for planar and interleaved samples."""
        channels, rate = frame.layout.nb_channels, frame.sample_rate
        self._check(rate, channels)
        kind = frame.format.name.removesuffix("p")
        dtype, silence, scale = _SAMPLES[kind]
        if frame.format.is_planar:
            if channels > _MAX_PLANES:  # PyAV would read past the end of FFmpeg's list of planes
                raise TooLarge(f"{channels} channels, compressed; at most {_MAX_PLANES} are accepted")
            planes = [np.frombuffer(memoryview(p), dtype, frame.samples) for p in frame.planes[:channels]]
        else:
            interleaved = np.frombuffer(memoryview(frame.planes[0]), dtype, frame.samples * channels)
            planes = [interleaved[channel::channels] for channel in range(channels)]
        yield from self._begin_mixing(channels, rate)
        for start in range(0, frame.samples, BLOCK_SAMPLES):
            sound = np.empty((channels, min(BLOCK_SAMPLES, frame.samples - start)), np.float32)
            with np.errstate(over="ignore", invalid="ignore"):
                for channel, plane in zip(sound, planes, strict=True):
                    channel[:] = plane[start : start + BLOCK_SAMPLES]
            if silence:
                sound -= np.float32(silence)
            if scale != 1.0:
                sound *= np.float32(1.0 / scale)
            else:
                _refuse_what_is_no_sound(sound)
            yield Block(sound[0] if self._downmix is None else self._downmix.feed(sound), rate)

    def _begin_mixing(self, channels: int, rate: int) -> Iterator[Block]:
        """Ends the mixing of what came before, if that had other channels or another rate."""
        downmix = self._downmix
        if (downmix.channels, downmix.rate) == (channels, rate) if downmix is not None else channels == 1:
            return
        yield from self._rest()
        self._downmix = Downmix(channels, rate) if channels > 1 else None

    def _rest(self) -> Iterator[Block]:
        """What waits to be mixed."""
        if self._downmix is not None:
            rest = self._downmix.flush()
            self._cancelled_s += self._downmix.cancelled_s
            rate, self._downmix = self._downmix.rate, None
            yield Block(rest, rate)

    def _check(self, rate: int, channels: int) -> None:
        if rate > self._max_sample_rate:
            raise TooLarge(f"a sample rate of {rate} Hz; at most {self._max_sample_rate} Hz are accepted")
        if channels > self._max_channels:
            raise TooLarge(f"{channels} channels; at most {self._max_channels} are accepted")
        if rate < MIN_SAMPLE_RATE:
            raise UnreadableMedia(f"a sample rate of {rate} Hz; at least {MIN_SAMPLE_RATE} Hz are needed")
        if channels < 1:
            raise UnreadableMedia("the audio has no channels")


def _open(source: Source, demuxers: tuple[str, ...]) -> InputContainer:
    source.allow(_CPU_S_PER_STEP)
    try:
        container = av.open(
            source,
            mode="r",
            format=demuxers[0] if len(demuxers) == 1 else None,
            container_options={**_OPEN_OPTIONS, "format_whitelist": ",".join(demuxers)},
            metadata_errors="replace",
            io_open=_refuse_io,
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise UnreadableMedia("the recording cannot be decoded: broken, or not an accepted format") from error
    container.flags &= ~_GENERATE_TIMESTAMPS  # it would hoard packets to invent timestamps
    return container


def _decoder(stream: AudioStream, big_endian: bool) -> AudioCodecContext:
    own = stream.codec_context
    own.thread_count = 1
    better = _BETTER_DECODERS.get(own.name)
    if big_endian and own.name.endswith("le"):
        better = own.name.removesuffix("le") + "be"
    elif better is None or better not in av.codecs_available:
        return own
    context = cast(AudioCodecContext, AudioCodecContext.create(better, "r"))
    context.sample_rate, context.layout = own.sample_rate, own.layout
    return context


def _is_amr_frame(packet: "Packet[AudioStream]") -> bool:
    """Whether the bits of an AMR frame's first byte that must be zero are; FFmpeg decodes it either way."""
    return not memoryview(packet)[0] & 0x83


def _refuse_what_is_no_sound(samples: NDArray[np.float32]) -> None:
    loudest = float(np.abs(samples).max(initial=0.0))
    if not np.isfinite(loudest):
        raise UnreadableMedia("the recording holds samples that are not finite numbers")
    if loudest > LOUDEST:
        raise UnreadableMedia("the recording holds samples that are far beyond any range")


def _refuse_io(url: str, flags: int, options: dict[str, Any]) -> NoReturn:
    raise UnreadableMedia("the recording names another file")


def _stated_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration is not None else None


@cache
def _bound_ffmpeg() -> None:
    """Bounds every single allocation inside FFmpeg, once per process.

    FFmpeg believes counts in headers: without the bound a file of 1.6 kB makes it take 1.8 GB.
    """
    packages = Path(av.__file__).parent.parent
    bundled = [*packages.glob("av.libs/libavutil*"), *packages.glob("av/.dylibs/libavutil*")]
    name = str(bundled[0]) if bundled else ctypes.util.find_library("avutil")
    if name is None:
        log.warning("libavutil was not found beside PyAV; memory of malicious recordings is not bounded")
        return
    max_alloc = ctypes.CDLL(name).av_max_alloc
    max_alloc.argtypes, max_alloc.restype = [ctypes.c_size_t], None
    max_alloc(_MAX_ALLOCATION)
