"""Music and a voice, of arithmetic."""

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
CHORDS = ((220.0, 277.2, 329.6), (196.0, 246.9, 293.7), (174.6, 220.0, 261.6), (164.8, 207.7, 246.9))


def tune(seconds: float = 12.0, rate: int = RATE, note_s: float = 0.5) -> NDArray[np.float32]:
    """Chords of notes with five partials, a vibrato of 0.2 % and a decay, and a drum on every beat."""
    time = np.arange(round(seconds * rate)) / rate
    beat, phase = np.divmod(time, note_s)
    vibrato = 0.002 / 5.5 / (2 * np.pi) * np.sin(2 * np.pi * 5.5 * time)
    notes = np.array(CHORDS)[(beat.astype(int) // 4) % len(CHORDS)]
    sound = sum(
        np.sin(2 * np.pi * partial * notes[:, voice] * (time + vibrato)) / partial
        for voice in range(3)
        for partial in range(1, 6)
    )
    drum = np.random.default_rng(0).standard_normal(len(time)) * np.exp(-phase / 0.03)
    return np.asarray(0.05 * sound * np.exp(-phase) + 0.05 * drum, np.float32)


def syllables(seconds: float = 12.0, rate: int = RATE) -> NDArray[np.float32]:
    """A voice: harmonics of a pitch that rises and falls by a third, in syllables."""
    time = np.arange(round(seconds * rate)) / rate
    pitch = 120 * (1 + 0.3 * np.sin(2 * np.pi * 0.7 * time) * np.sin(2 * np.pi * 0.31 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voiced = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 25))
    noise = np.random.default_rng(1).standard_normal(len(time))
    return np.asarray(0.1 * voiced * np.sin(np.pi * 2.3 * time) ** 2 + 0.002 * noise, np.float32)
