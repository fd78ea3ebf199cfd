import struct
from array import array

import numpy as np
import pytest

from bonafide_client.live.samples import Audio, float32_bytes

WANTED = struct.pack("<3f", 0.0, 0.5, -0.5)


@pytest.mark.parametrize(
    "audio",
    [
        [0.0, 0.5, -0.5],
        (value for value in (0.0, 0.5, -0.5)),
        array("f", [0.0, 0.5, -0.5]),
        array("d", [0.0, 0.5, -0.5]),
        array("h", [0, 16384, -16384]),
        np.array([0.0, 0.5, -0.5], np.float32),
        np.array([0.0, 0.5, -0.5], np.float64),
        np.array([0, 16384, -16384], np.int16),
        np.array([0.0, 9.0, 0.5, 9.0, -0.5, 9.0], np.float32)[::2],
        WANTED,
        bytearray(WANTED),
    ],
)
def test_whatever_holds_the_samples_the_same_bytes_travel(audio: Audio) -> None:
    assert float32_bytes(audio) == WANTED


@pytest.mark.parametrize(
    "audio", [np.zeros((2, 3), np.float32), np.zeros(3, np.int32), np.zeros(3, np.complex64), b"torn!"]
)
def test_what_is_no_mono_audio_is_refused(audio: Audio) -> None:
    with pytest.raises(ValueError, match=r"mono|float32"):
        float32_bytes(audio)
