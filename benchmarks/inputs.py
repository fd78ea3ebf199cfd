"""Media that is cheap to make and never cached: a few bodies, each copy marked with a serial number.

In: a serial number. Out: bytes of a WAV recording that differ from those of every other number.
"""

import io
import struct
import wave
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SAMPLE_RATE = 16_000
WINDOW_SECONDS = 4

_BODIES = 8
_WAV_HEADER_BYTES = 44
_STAMP = struct.Struct("<Q")
_JPEG_START = b"\xff\xd8"
_JPEG_COMMENT = b"\xff\xfe" + struct.pack(">H", 2 + _STAMP.size)


def recording(number: int, seconds: int) -> bytes:
    """A 16 kHz mono 16 bit WAV file of `seconds` s whose first four samples are the number."""
    return stamped_wav(_recording(number % _BODIES, seconds), number)


def stamped_wav(body: bytes, number: int) -> bytes:
    """A 16 bit WAV file with the number in place of its first four samples."""
    return b"".join((body[:_WAV_HEADER_BYTES], _STAMP.pack(number), body[_WAV_HEADER_BYTES + _STAMP.size :]))


def stamped_jpeg(body: bytes, number: int) -> bytes:
    """A JPEG file with the number in a comment."""
    return b"".join((_JPEG_START, _JPEG_COMMENT, _STAMP.pack(number), body[len(_JPEG_START) :]))


def windows(count: int, samples: int) -> list[NDArray[np.int16]]:
    """Windows as the voice engine receives them: int16 arrays (samples,)."""
    return [_sound(number, samples) for number in range(count)]


def prepared_photos(count: int, height: int, width: int) -> list[NDArray[np.uint8]]:
    """Photos as the face engine receives them: uint8 arrays (height, width, 3)."""
    return [_picture(number, height, width) for number in range(count)]


def wav_file(pcm: NDArray[np.int16]) -> bytes:
    """A 16 kHz mono 16 bit WAV file of the samples, int16 (n,)."""
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(SAMPLE_RATE)
        wav.writeframes(pcm.tobytes())
    return file.getvalue()


@cache
def _recording(seed: int, seconds: int) -> bytes:
    return wav_file(_sound(seed, seconds * SAMPLE_RATE))


def _sound(seed: int, samples: int) -> NDArray[np.int16]:
    """Noise of speech-like level."""
    return np.random.default_rng(seed).normal(0.0, 3000.0, samples).clip(-32768, 32767).astype(np.int16)


def _picture(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """Smooth areas with a little sensor noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
    return (smooth + rng.normal(0.0, 4.0, smooth.shape)).clip(0, 255).astype(np.uint8)
