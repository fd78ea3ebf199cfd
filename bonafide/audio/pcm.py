"""Plain PCM of 16 bit in a WAV file as an array, without a copy; decoding it packet by packet takes far longer.

FFmpeg looks for other codecs in samples that are labelled as PCM, which takes it 3 ms. `is_sound` saves it the search.
"""

import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from bonafide.audio.part import Part
from bonafide.audio.wav import is_big_endian, pcm16_channels

_CODEC = "pcm_s16le"
_BYTES = 2
_PROBED_BYTES = 1 << 18
"""Twice as much as FFmpeg searches."""
_DTS = np.frombuffer(b"\x7f\xfe\x80\x01\xfe\x7f\x01\x80\x1f\xff\xe8\x00\xff\x1f\x00\xe8", "<u4")
"""One of these begins each of its frames. It alone may be packed into words of 14 bit, which are quiet."""
_LOUD = 1 << 14
_FILLED, _PADDED = 0.5, 0.1
"""Shares of words that equal the one before: frames of coded silence are filled, others padded."""


def plain_pcm16(data: bytes, part: Part, stream: AudioStream) -> NDArray[np.int16] | None:
    """The samples of a part, int16 `(n, channels)`, a view of the file; None: FFmpeg must decode it.

    Args:
        data: the file.
        part: where the samples lie.
        stream: as FFmpeg has opened it: it looks into the samples, too, which may be those of another codec.
    """
    context = stream.codec_context
    if part.demuxers != ("wav",) or context.name != _CODEC or is_big_endian(part):
        return None
    frame_bytes, size = context.channels * _BYTES, part.end - part.body
    if not size or pcm16_channels(part) != (context.channels, frame_bytes) or size % frame_bytes:
        return None
    samples = np.frombuffer(data, np.dtype("<i2"), size // _BYTES, part.body)
    return samples.reshape(-1, context.channels)


def is_sound(data: bytes, part: Part) -> bool:
    """Whether the samples of a part are 16 bit sound, and cannot be frames of a codec that are labelled as PCM.

    Words of coded data are as random as noise that fills the whole range. Sound is quieter, or smoother: its samples
    change by less than their level. False where either could be.
    """
    channels, frame_bytes = pcm16_channels(part)
    if not channels or frame_bytes != channels * _BYTES:
        return False
    probed = data[part.body : min(part.end, part.body + _PROBED_BYTES)]
    words = np.frombuffer(probed, np.dtype("<i2"), len(probed) // _BYTES)
    if len(words) <= channels or _has_dts(probed):
        return False
    repeated = np.count_nonzero(words[1:] == words[:-1]) / len(words)
    if int(words.min()) > -_LOUD and int(words.max()) < _LOUD:
        return bool(repeated < _FILLED)
    values = words.astype(np.float32)
    change = np.abs(values[channels:] - values[:-channels]).mean()
    return bool(repeated < _PADDED and change < np.abs(values).mean())


def _has_dts(probed: bytes) -> bool:
    """Whether a frame of DTS begins at any byte; compares four bytes at a time, which is quicker than to search."""
    aligned = (np.frombuffer(probed, "<u4", (len(probed) - first) // 4, first) for first in range(min(4, len(probed))))
    return any(bool((each == sync).any()) for each in aligned for sync in _DTS)
