"""Codecs of FFmpeg, through PyAV: float samples in, what comes out of the decoder out."""

import io
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.codec.codec import UnknownCodecError

from lab.line.samples import Samples

_FIXED_RATE = frozenset({"pcm_mulaw", "pcm_alaw", "g722", "adpcm_ima_wav"})
"""Encoders whose bit rate follows from the sample rate."""


@dataclass(frozen=True)
class Codec:
    """An encoder in its container.

    Attributes:
        container: FFmpeg's name of the muxer.
        encoder: FFmpeg's name.
        rate: that it runs at, in Hz.
    """

    container: str
    encoder: str
    rate: int


AMR = Codec("amr", "libopencore_amrnb", 8_000)
"""AMR-NB, of 4.75 to 12.2 kbit/s."""


def has_encoder(name: str) -> bool:
    """Whether this build of FFmpeg has the encoder."""
    try:
        av.Codec(name, "w")
    except UnknownCodecError:
        return False
    return True


def through(samples: Samples, codec: Codec, kbit: float) -> Samples:
    """Encodes samples and decodes them again.

    Args:
        samples: float32 (samples,), -1..1, at `codec.rate`.
        codec: see `Codec`.
        kbit: bit rate in kbit/s; not used by encoders that have only one.

    Returns:
        float32 (n,) at `codec.rate`; n may differ by what the codec pads or delays.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=codec.container) as out:
        stream: Any = out.add_stream(codec.encoder, rate=codec.rate)
        stream.layout = "mono"
        if codec.encoder not in _FIXED_RATE:
            stream.bit_rate = round(kbit * 1000)
        formatter = av.AudioResampler(stream.format.name, "mono", codec.rate, stream.frame_size or None)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), "flt", "mono")
        frame.sample_rate = codec.rate
        for block in [*formatter.resample(frame), *formatter.resample(None)]:
            out.mux(stream.encode(block))
        out.mux(stream.encode(None))
    file.seek(0)
    # The AAC reader takes some first bytes for a tag in an unknown encoding.
    read_as = "aac" if codec.container == "adts" else codec.container
    with av.open(file, "r", format=read_as, metadata_errors="replace") as back:
        formatter = av.AudioResampler("flt", "mono", codec.rate)
        blocks = [block for frame in back.decode(audio=0) for block in formatter.resample(frame)]
        blocks += formatter.resample(None)
    return np.concatenate([block.to_ndarray()[0] for block in blocks])
