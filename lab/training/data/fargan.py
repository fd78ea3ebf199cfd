"""A neural vocoder's copy of a window: FARGAN (Valin et al., arXiv:2405.21069), with which Opus conceals lost packets.

It is given a spectral envelope and a pitch every 10 ms, and no phase. `fargan_demo` of libopus runs it; its weights are
in libopus' own release (BSD-3-Clause).
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np

from lab.line.samples import Samples, fitted

TOOL = {"fargan_demo": "fargan_demo"}
"""The program, which no package holds: docs/training-voice.md tells how to build it."""

_FULL_SCALE = 32_767
_PRIMING = 800
"""Samples of the first 50 ms, from which the vocoder goes on instead of making them."""
_DELAY = 250
"""Samples by which the copy is late, about."""


def fargan_copy(samples: Samples, _: np.random.Generator) -> Samples:
    """Sends a window through the vocoder; there is nothing to draw.

    Args:
        samples: float32 (samples,) at 16 kHz, -1..1.

    Returns:
        The same shape, aligned with the input to a few samples.

    Raises:
        subprocess.CalledProcessError: the program failed.
    """
    loudest = float(np.abs(samples).max()) + 1e-9
    silence = np.zeros(_PRIMING, np.float32)
    heard = np.concatenate([silence, samples / loudest * np.float32(0.7), silence])
    with tempfile.TemporaryDirectory() as folder:
        pcm, features, made = (Path(folder, name) for name in ("in.pcm", "features.f32", "out.pcm"))
        pcm.write_bytes((heard * _FULL_SCALE).astype("<i2").tobytes())
        for way, given, written in (("-features", pcm, features), ("-fargan-synthesis", features, made)):
            command = ["fargan_demo", way, str(given), str(written)]
            subprocess.run(command, capture_output=True, check=True)
        back = np.frombuffer(made.read_bytes(), "<i2").astype(np.float32) / np.float32(_FULL_SCALE)
    return fitted(back[_DELAY:], len(samples))
