import numpy as np
import pytest

from benchmarks import inputs
from bonafide.audio.reader import AudioLimits, AudioReader

LIMITS = AudioLimits(max_bytes=2**24, max_seconds=3600.0, max_channels=2, max_sample_rate=48_000)


@pytest.mark.parametrize(("seconds", "windows"), [(4, 1), (60, 15)])
def test_a_recording_is_read_as_whole_windows(seconds: int, windows: int) -> None:
    read = [window for group in AudioReader(inputs.recording(5, seconds), LIMITS) for window in group]
    assert len(read) == windows
    assert read[-1].end_s == seconds
    assert np.array_equal(read[0].pcm[4:], inputs.windows(6, inputs.SAMPLE_RATE * seconds)[5][4:64_000])


def test_no_two_recordings_are_alike() -> None:
    assert len({inputs.recording(number, 4) for number in range(40)}) == 40
