"""FFmpeg through PyAV on untrusted bytes: chosen demuxers and decoders, no protocol, no second file, bounded memory."""

import ctypes
import ctypes.util
import logging
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, cast

import av
import av.error
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import Flags, InputContainer

from bonafide.audio.containers import ACCEPTED
from bonafide.audio.source import Source
from bonafide.errors import UnreadableMedia

log = logging.getLogger(__name__)

CPU_S_PER_STEP = 5.0
"""Processor time for opening a file, and between two packets."""
_MIB = 1024 * 1024
_MAX_ALLOCATION = 64 * _MIB
_GENERATE_TIMESTAMPS = cast(int, Flags.gen_pts.value)

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
_HEADER_ALONE = "2048"
_BETTER_DECODERS = {"amrnb": "libopencore_amrnb", "amrwb": "libopencore_amrwb"}
"""FFmpeg's own AMR decoders drop the pauses of phone recordings (DTX), and with them the time line."""
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


def open_container(source: Source, demuxers: tuple[str, ...], *, search: bool = True) -> InputContainer:
    """Opens a file.

    Args:
        source: where FFmpeg reads.
        demuxers: who may open it.
        search: whether its packets may tell more than its header.

    Raises:
        UnreadableMedia: none of them can.
    """
    _bound_ffmpeg()
    source.allow(CPU_S_PER_STEP)
    try:
        container = av.open(
            source,
            mode="r",
            format=demuxers[0] if len(demuxers) == 1 else None,
            container_options={
                **_OPEN_OPTIONS,
                "format_whitelist": ",".join(demuxers),
                **({} if search else {"probesize": _HEADER_ALONE}),
            },
            metadata_errors="replace",
            io_open=_refuse_io,
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise UnreadableMedia("the recording cannot be decoded: broken, or not an accepted format") from error
    container.flags &= ~_GENERATE_TIMESTAMPS  # it would hoard packets to invent timestamps
    return container


def decoder_of(stream: AudioStream, *, big_endian: bool) -> AudioCodecContext:
    """The decoder of a stream; `big_endian`: of samples that are so although their header is little-endian."""
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


def bare_decoder(name: str, rate: int, layout: str) -> AudioCodecContext:
    """The decoder of packets that come without a container.

    Args:
        name: of a codec whose decoder may be used.
        rate: in Hz, as the codec has it.
        layout: of the decoded channels: "mono" or "stereo".
    """
    _bound_ffmpeg()
    context = cast(AudioCodecContext, AudioCodecContext.create(name, "r"))
    context.sample_rate, context.layout, context.thread_count = rate, layout, 1
    return context


def require_accepted(stream: AudioStream) -> None:
    """Refuses a stream whose decoder is not among those that may be used.

    Raises:
        UnreadableMedia: it is another; names it.
    """
    codec = stream.codec_context.name if stream.codec_context is not None else "unknown"
    if codec not in _DECODERS:
        raise UnreadableMedia(f"audio coded as {codec} is not accepted; send {ACCEPTED}")


def is_amr(stream: AudioStream) -> bool:
    """Whether it is coded as AMR."""
    return stream.codec_context.name in _BETTER_DECODERS


def stated_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    """The duration that a container states, untrusted; None if it states none."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration is not None else None


def _refuse_io(url: str, flags: int, options: dict[str, Any]) -> NoReturn:
    raise UnreadableMedia("the recording names another file")


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
