"""Untrusted audio bytes -> float32 mono blocks at the recording's own rate, through PyAV (FFmpeg), in memory.

FFmpeg may use a demuxer that was picked before it saw the bytes, audio decoders from a fixed list, no
protocol, and no second file. Durations are never trusted: samples are counted. Timestamps are followed within bounds.
"""

from collections.abc import Iterator

import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from numpy.typing import NDArray

from bonafide.audio.conditions import is_lossy
from bonafide.audio.containers import declares_duration, refuse_excessive_tags
from bonafide.audio.ffmpeg import (
    CPU_S_PER_STEP,
    decoder_of,
    is_amr,
    open_container,
    require_accepted,
    stated_seconds,
)
from bonafide.audio.findings import Findings, Reading
from bonafide.audio.mono import BLOCK_SAMPLES, Block, MonoMixer
from bonafide.audio.part import Part
from bonafide.audio.parts import first_part, next_part
from bonafide.audio.pcm import is_sound, plain_pcm16
from bonafide.audio.plausibility import LEAST_CANCELLED_S, SILENT, SilenceCheck, cancelled
from bonafide.audio.skipped_samples import SkippedSamples
from bonafide.audio.source import AudioSource, Source
from bonafide.audio.stream_parts import StreamParts
from bonafide.audio.timeline import TimeLine
from bonafide.audio.wav import is_big_endian, little_endian_header
from bonafide.errors import UnreadableMedia

_HEADER_BYTES = 1 << 13
_MAX_BARREN_PACKETS = 100_000
_MAX_BARREN_AMR_PACKETS = 8  # of a tail that is no AMR, FFmpeg would make minutes of noise
_MAX_DEMUX_ERRORS = 64
_MAX_PARTS, _MAX_REFUSED_PARTS = 10_000, 16
_TIMED = frozenset({"matroska", "mov", "ogg"})
"""Demuxers whose timestamps are those of the recorder; the others count samples or bytes."""


class MonoDecoder:
    """Decodes the first audio stream of a recording, block by block; of several that were joined, one after the other.

    Opening happens at the first block. One thread at a time.

    Attributes:
        warnings: sentences about what was not read, or not as its header says; complete at the end.
        lossy: whether any of what was decoded so far was coded with a loss.
    """

    def __init__(self, data: bytes, max_channels: int, max_sample_rate: int) -> None:
        self.warnings: list[str] = []
        self.lossy = False
        self._data = data
        self._line = TimeLine()
        self._findings = Findings()
        self._mixer = MonoMixer(max_channels, max_sample_rate)
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
        if self._mixer.cancelled_s >= LEAST_CANCELLED_S:
            found.append(cancelled(self._mixer.cancelled_s))
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
        reading = Reading.of(part)
        head = self._data[part.body : part.body + _HEADER_BYTES]
        size = part.end - part.body
        yield from self._decode(source, part.demuxers, reading, head, size, big_endian=big_endian, part=part)
        reading.rest = 0 if reading.is_whole else source.unread
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
        part: Part | None = None,
    ) -> Iterator[Block]:
        """Decodes one recording.

        Args:
            source: where FFmpeg reads.
            demuxers: who may open it.
            reading: gets what is seen.
            head: the first bytes, for what the container promises.
            size: of all of it in bytes.
            big_endian: the samples of a WAV file are big-endian, although its header is little-endian.
            part: where it lies in the file, if the whole file is there.
        """
        search = part is None or not is_sound(self._data, part)
        with open_container(source, demuxers, search=search) as container:
            stream = self._pick(container)
            name = container.format.name.split(",")[0]
            if declares_duration(head, name, size):
                reading.promised_s = stated_seconds(container, stream)
            reading.alone = len(container.streams) == 1
            self._line.begin_part()
            began_s = self._line.seconds
            plain = None if part is None else plain_pcm16(self._data, part, stream)
            if plain is not None:
                yield from self._plain_blocks(plain, stream.codec_context.sample_rate)
                reading.is_whole = True
                reading.seconds = self._line.seconds - began_s
                return
            unit_s = float(stream.time_base) if name in _TIMED and stream.time_base is not None else None
            for frame in self._frames(container, stream, source, reading, big_endian=big_endian):
                if unit_s is not None:
                    yield from self._silence_before(frame, unit_s)
                # A stream does not wait, nor the first frame, for which a part that follows another may be refused.
                hold = part is not None and self._line.seconds > began_s
                yield from self._decoded(self._mixer.blocks(frame, hold=hold))
                self._line.passed(frame.samples / frame.sample_rate)
            yield from self._decoded(self._mixer.rest())
            reading.seconds = self._line.seconds - began_s

    def _plain_blocks(self, samples: NDArray[np.int16], rate: int) -> Iterator[Block]:
        """Blocks of 16 bit samples `(n, channels)`."""
        for start in range(0, len(samples), BLOCK_SAMPLES):
            piece = samples[start : start + BLOCK_SAMPLES]
            yield from self._decoded(self._mixer.pcm16(piece, rate))
            if self._silence.listening:
                self._silence.packet(piece.tobytes())
            self._line.passed(len(piece) / rate)
        yield from self._decoded(self._mixer.rest())

    def _decoded(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """The same blocks, of which the check for silence is told."""
        for block in blocks:
            self._silence.decoded(block.samples, block.rate)
            yield block

    def _silence_before(self, frame: AudioFrame, unit_s: float) -> Iterator[Block]:
        """The silence between the frame before and this one, whose timestamp counts units of so many seconds."""
        pts, rate = frame.pts, frame.sample_rate
        gap_s = self._line.gap_before(None if pts is None else pts * unit_s, frame.samples / max(1, rate))
        samples = round(gap_s * rate)
        if samples > 0:
            yield from self._decoded(self._mixer.rest())
        while samples > 0:
            count = min(samples, BLOCK_SAMPLES)
            self._line.passed(count / rate)
            yield Block(np.zeros(count, np.float32), rate, frame.layout.nb_channels)
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
        require_accepted(stream)
        self._mixer.check(stream.codec_context.sample_rate, stream.codec_context.channels)
        self.lossy = self.lossy or is_lossy(stream.codec_context.name)
        return stream

    def _frames(
        self, container: InputContainer, stream: AudioStream, source: Source, reading: Reading, *, big_endian: bool
    ) -> Iterator[AudioFrame]:
        """Decodes packet by packet; a damaged packet costs only itself."""
        decoder = decoder_of(stream, big_endian=big_endian)
        amr = is_amr(stream)
        left_out = SkippedSamples(stream.codec_context.sample_rate, container.format.name.split(",")[0])
        barren = 0
        damaged = False
        for packet in self._packets(container, stream, source, reading):
            reading.damaged += damaged
            damaged = amr and not _is_amr_frame(packet)
            frames: list[AudioFrame] = []
            if self._silence.listening:
                self._silence.packet(memoryview(packet))
            left_out.correct(packet)
            if not damaged:
                try:
                    frames = decoder.decode(packet)
                    reading.count(packet.size)
                except av.error.FFmpegError:
                    damaged = not reading.is_tag(packet.pos)
            barren = 0 if any(frame.samples for frame in frames) else barren + 1
            if amr and barren > _MAX_BARREN_AMR_PACKETS:
                break
            if barren > _MAX_BARREN_PACKETS:
                raise UnreadableMedia("the recording goes on without any audio in it")
            yield from frames
        reading.unplayed_s = left_out.refused_s
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
            source.allow(CPU_S_PER_STEP)
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


def _is_amr_frame(packet: "Packet[AudioStream]") -> bool:
    """Whether the bits of an AMR frame's first byte that must be zero are; FFmpeg decodes it either way."""
    return not memoryview(packet)[0] & 0x83
