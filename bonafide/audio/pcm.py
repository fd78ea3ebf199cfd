"""Plain PCM of 16 bit in a WAV file as an array, without a copy; decoding it packet by packet takes far longer."""

import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from bonafide.audio.part import Part
from bonafide.audio.wav import is_big_endian, sample_frame_bytes

_CODEC = "pcm_s16le"
_BYTES = 2


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
    if not size or not frame_bytes or sample_frame_bytes(part) != frame_bytes or size % frame_bytes:
        return None
    samples = np.frombuffer(data, np.dtype("<i2"), size // _BYTES, part.body)
    return samples.reshape(-1, context.channels)
