"""GSM full rate (06.10, 13 kbit/s) through libgsm, since PyAV's FFmpeg only decodes it. Debian: `libgsm1`."""

import ctypes

import numpy as np

from bonafide.audio.resampling import to_pcm16
from lab.line.libraries import library
from lab.line.samples import Samples

GSM_RATE = 8_000
FRAME_SAMPLES = 160
_FRAME_BYTES = 33


def missing() -> str:
    """Why there is no GSM here, or empty."""
    return "" if _library() else "no encoder: libgsm is not installed (Debian: libgsm1)"


def through_gsm(samples: Samples) -> Samples:
    """Encodes and decodes: float32 (samples,), -1..1, 8 kHz, padded with silence to frames of 20 ms.

    Raises:
        RuntimeError: there is no libgsm; see `missing`.
    """
    gsm = _library()
    if gsm is None:
        raise RuntimeError(missing())
    pcm = to_pcm16(samples[np.newaxis])[0]
    frames = np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
    decoded = np.empty_like(frames)
    encoder, decoder = gsm.gsm_create(), gsm.gsm_create()
    packet = ctypes.create_string_buffer(_FRAME_BYTES)
    try:
        for frame, result in zip(frames, decoded, strict=True):
            gsm.gsm_encode(encoder, frame.ctypes.data, packet)
            if gsm.gsm_decode(decoder, packet, result.ctypes.data):
                raise RuntimeError("libgsm does not read what it wrote")
    finally:
        gsm.gsm_destroy(encoder)
        gsm.gsm_destroy(decoder)
    return decoded.reshape(-1).astype(np.float32) / np.float32(32_768)


def _library() -> ctypes.CDLL | None:
    gsm = library("libgsm", "libgsm.so.1")
    if gsm is not None:
        gsm.gsm_create.restype = ctypes.c_void_p
        gsm.gsm_create.argtypes = []
        gsm.gsm_destroy.restype = None
        gsm.gsm_destroy.argtypes = [ctypes.c_void_p]
        gsm.gsm_encode.restype = None
        gsm.gsm_encode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p]
        gsm.gsm_decode.restype = ctypes.c_int
        gsm.gsm_decode.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return gsm
