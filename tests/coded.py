"""Codecs without a container for the tests: what an encoder makes of samples, as a live client sends it."""

import io

import av
import numpy as np
from numpy.typing import NDArray

from tests.media import encode

OPUS_PRE_SKIP = 312
"""Samples at 48 kHz that libopus puts first; a file says so, and its reader cuts them off."""


def packets(recording: bytes) -> list[bytes]:
    """The packets of a recording's audio."""
    with av.open(io.BytesIO(recording), "r") as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def g722(sound: NDArray[np.float32]) -> tuple[bytes, bytes]:
    """The bytes of G.722 of float32 (1, n) at 16 kHz, and the same in a WAV file."""
    recording = encode(sound, 16_000, "wav-g722")
    return b"".join(packets(recording)), recording


def opus(sound: NDArray[np.float32]) -> tuple[bytes, bytes]:
    """Opus packets behind their lengths of float32 (channels, n) at 48 kHz, and the same in an Ogg file."""
    recording = encode(sound, 48_000, "opus")
    return prefixed(packets(recording)), recording


def prefixed(sent: list[bytes]) -> bytes:
    """Packets, each behind its length in two bytes."""
    return b"".join(len(packet).to_bytes(2, "big") + packet for packet in sent)
