"""Noise, rooms and loudspeakers as arithmetic on samples; chance comes in as white noise or a generator."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, iirpeak, sosfilt, tf2sos

from lab.line.samples import RATE, Samples

_KNEE_HZ = 100
_SPEAKER_LOW_HZ, _SPEAKER_HIGH_HZ = 500, 6_500
_RESONANCE_HZ, _RESONANCE_Q, _RESONANCE_GAIN = 900, 1.5, 1.0
_DRIVE = 2.5
"""The loudest sample of the loudspeaker's input, where 1 is the bend of its curve."""


def coloured(white: NDArray[np.float64], tilt: float) -> NDArray[np.float64]:
    """White noise, float64 (samples,), with an amplitude that falls as frequency to `-tilt` above 100 Hz."""
    frequency = np.fft.rfftfreq(len(white), 1 / RATE)
    return np.asarray(np.fft.irfft(np.fft.rfft(white) * (1 + frequency / _KNEE_HZ) ** -tilt, len(white)))


def with_noise(samples: Samples, noise: NDArray[np.float64], snr_db: float) -> Samples:
    """Adds noise so many dB below the mean power of all samples; float32 (samples,), may exceed -1..1."""
    gain = np.sqrt((samples**2).mean() / (noise**2).mean() * 10 ** (-snr_db / 10))
    return np.asarray(samples + gain * noise, np.float32)


def in_room(samples: Samples, white: NDArray[np.float64], *, seconds: float, onset_s: float, tail_db: float) -> Samples:
    """Adds reverberation: noise that decays after the direct sound.

    Args:
        samples: float32 (samples,), 16 kHz.
        white: float64 (n,), n of `seconds`; becomes the tail.
        seconds: until the tail has decayed by 60 dB.
        onset_s: between the direct sound and the tail.
        tail_db: level of the tail relative to the direct sound.

    Returns:
        float32 (samples,), may exceed -1..1.
    """
    time = np.arange(len(white)) / RATE
    tail = white * 10 ** (-3 * time / seconds)
    tail[: int(onset_s * RATE)] = 0
    response = tail / np.sqrt((tail**2).sum() + 1e-9) * 10 ** (tail_db / 20)
    response[0] = 1
    return np.asarray(fftconvolve(samples, response)[: len(samples)], np.float32)


def small_loudspeaker(samples: Samples) -> Samples:
    """Plays samples through a loudspeaker of a phone's size, at the volume at which it begins to distort.

    Nothing below 500 Hz, a resonance at 900 Hz, a fall above 6.5 kHz; loud samples are compressed, which adds odd
    harmonics. Some millimetres of membrane behave about so; no device in particular was measured.

    Args:
        samples: float32 (samples,), 16 kHz.

    Returns:
        float32 (samples,), of the same mean power.
    """
    loudest = float(np.abs(samples).max(initial=0.0))
    if not loudest:
        return samples
    driven = np.tanh(samples.astype(np.float64) / loudest * _DRIVE)
    heard = sosfilt(butter(4, _SPEAKER_LOW_HZ, "highpass", fs=RATE, output="sos"), driven)
    heard = sosfilt(butter(2, _SPEAKER_HIGH_HZ, "lowpass", fs=RATE, output="sos"), heard)
    peak = tf2sos(*iirpeak(_RESONANCE_HZ, _RESONANCE_Q, fs=RATE))
    return at_level_of(samples, np.asarray(heard + _RESONANCE_GAIN * sosfilt(peak, heard), np.float32))


def at_level_of(original: Samples, samples: Samples) -> Samples:
    """Scales samples to the mean power of the original; float32 (samples,), may exceed -1..1."""
    power = float((samples.astype(np.float64) ** 2).mean())
    if not power:
        return samples
    gain = np.sqrt(float((original.astype(np.float64) ** 2).mean()) / power)
    return np.asarray(samples * gain, np.float32)
