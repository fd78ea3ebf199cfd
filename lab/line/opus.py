"""Opus packet by packet, as calls over the internet have it: lost packets are concealed by the decoder.

FFmpeg hands its decoder only what arrives, so libopus itself is called: with forward error correction (the packet after
a lost one carries a coarse copy of it) and concealment, as in WebRTC.
"""

import ctypes

import numpy as np
from numpy.typing import NDArray

from lab.line.libraries import library
from lab.line.samples import RATE, Samples, fitted

FRAME_SAMPLES = RATE // 50
BURST_PACKETS = 2.0
"""Mean number of packets that are lost together."""
_MAX_PACKET_BYTES = 1_500
_VOIP = 2048
_SET_BITRATE, _SET_FEC, _SET_LOSS_PERCENT, _GET_LOOKAHEAD = 4002, 4012, 4014, 4027


def missing() -> str:
    """Why there is no Opus here, or empty."""
    return "" if _library() else "no encoder: libopus is neither in PyAV's wheel nor installed (Debian: libopus0)"


def lost_packets(count: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which packets do not arrive: bursts of `BURST_PACKETS` in the mean, at random places; the first one arrives.

    Args:
        count: of packets.
        share: of them that is lost in the long run, 0..0.5.
        rng: draws the places.

    Returns:
        bool (count,).
    """
    if not 0.0 <= share <= 0.5:
        raise ValueError(f"a share of lost packets lies in 0..0.5, not at {share:g}")
    ends = 1 / BURST_PACKETS
    begins = ends * share / (1 - share)
    lost = np.zeros(count, np.bool_)
    for index, chance in enumerate(rng.random(count)):
        lost[index] = index > 0 and (chance >= ends if lost[index - 1] else chance < begins)
    return lost


def through_opus(samples: Samples, kbit: float, loss: float, rng: np.random.Generator) -> Samples:
    """Sends samples in packets of 20 ms, of which some are lost.

    Args:
        samples: float32 (samples,), -1..1, 16 kHz.
        kbit: bit rate in kbit/s.
        loss: share of the packets that is lost, see `lost_packets`; the encoder is told so.
        rng: draws which.

    Returns:
        float32 (samples,), 16 kHz, of the same length and not delayed.

    Raises:
        RuntimeError: there is no libopus, see `missing`, or it failed.
    """
    opus = _library()
    if opus is None:
        raise RuntimeError(missing())
    packets, delay = _encoded(opus, samples, kbit, loss)
    decoded = _decoded(opus, packets, lost_packets(len(packets), loss, rng))
    return fitted(decoded[delay:], len(samples))


def _encoded(opus: ctypes.CDLL, samples: Samples, kbit: float, loss: float) -> tuple[list[bytes], int]:
    """The packets, and by how many samples the codec delays."""
    error, delay = ctypes.c_int(), ctypes.c_int32()
    encoder = opus.opus_encoder_create(RATE, 1, _VOIP, ctypes.byref(error))
    _checked(opus, error.value)
    state = ctypes.c_void_p(encoder)
    try:
        for request, value in (
            (_SET_BITRATE, round(kbit * 1000)),
            (_SET_FEC, int(loss > 0)),
            (_SET_LOSS_PERCENT, round(100 * loss)),
        ):
            _checked(opus, opus.opus_encoder_ctl(state, ctypes.c_int(request), ctypes.c_int32(value)))
        _checked(opus, opus.opus_encoder_ctl(state, ctypes.c_int(_GET_LOOKAHEAD), ctypes.byref(delay)))
        length = len(samples) + delay.value
        sound = np.ascontiguousarray(fitted(samples, length + -length % FRAME_SAMPLES), np.float32)
        packet = ctypes.create_string_buffer(_MAX_PACKET_BYTES)
        packets = []
        for frame in sound.reshape(-1, FRAME_SAMPLES):
            size = opus.opus_encode_float(encoder, frame.ctypes.data, FRAME_SAMPLES, packet, _MAX_PACKET_BYTES)
            packets.append(packet.raw[: _checked(opus, size)])
        return packets, delay.value
    finally:
        opus.opus_encoder_destroy(encoder)


def _decoded(opus: ctypes.CDLL, packets: list[bytes], lost: NDArray[np.bool_]) -> Samples:
    error = ctypes.c_int()
    decoder = opus.opus_decoder_create(RATE, 1, ctypes.byref(error))
    _checked(opus, error.value)
    decoded = np.zeros((len(packets), FRAME_SAMPLES), np.float32)
    try:
        for index, result in enumerate(decoded):
            data: bytes | None = packets[index]
            from_next = False
            if lost[index]:
                from_next = index + 1 < len(packets) and not lost[index + 1]
                data = packets[index + 1] if from_next else None
            size = len(data) if data else 0
            count = opus.opus_decode_float(decoder, data, size, result.ctypes.data, FRAME_SAMPLES, int(from_next))
            _checked(opus, count)
    finally:
        opus.opus_decoder_destroy(decoder)
    return decoded.reshape(-1)


def _checked(opus: ctypes.CDLL, code: int) -> int:
    """The code, unless it means failure."""
    if code < 0:
        raise RuntimeError(f"libopus: {opus.opus_strerror(code).decode()}")
    return code


def _library() -> ctypes.CDLL | None:
    opus = library("libopus", "libopus.so.0")
    if opus is not None:
        integer, pointer, text = ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p
        opus.opus_strerror.restype, opus.opus_strerror.argtypes = text, [integer]
        opus.opus_encoder_create.restype = pointer
        opus.opus_encoder_create.argtypes = [ctypes.c_int32, integer, integer, pointer]
        opus.opus_encoder_destroy.restype, opus.opus_encoder_destroy.argtypes = None, [pointer]
        opus.opus_encode_float.restype = ctypes.c_int32
        opus.opus_encode_float.argtypes = [pointer, pointer, integer, text, ctypes.c_int32]
        opus.opus_decoder_create.restype = pointer
        opus.opus_decoder_create.argtypes = [ctypes.c_int32, integer, pointer]
        opus.opus_decoder_destroy.restype, opus.opus_decoder_destroy.argtypes = None, [pointer]
        opus.opus_decode_float.restype = integer
        opus.opus_decode_float.argtypes = [pointer, text, ctypes.c_int32, pointer, integer, integer]
    return opus
