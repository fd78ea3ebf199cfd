"""Long recordings: memory is bounded by a block, time by the decoder."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.media import encode, encoder_rate, repeat, speech_like, wav

REPOSITORY = Path(__file__).parents[3]
MIB = 2**20
MINUTES = 7
MAX_GROWTH = 9 * MIB
"""Less than what the samples of all but one of `MINUTES` take at 16 kHz, two bytes each; 5 MiB are usual."""
MEASURE = """
import re, sys, time
from pathlib import Path
from bonafide.audio.reader import AudioLimits, AudioReader
def peak():
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text()).group(1))
def read(data):
    return sum(len(batch) for batch in AudioReader(data, AudioLimits(2**30, 4 * 3600, 16, 192_000)))
data = Path(sys.argv[2]).read_bytes()
read(Path(sys.argv[1]).read_bytes())
before, started = peak(), time.thread_time()
print(read(data), peak() - before, time.thread_time() - started)
"""


def measure(data: bytes, folder: Path, short_data: bytes) -> tuple[int, int, float]:
    """Windows, growth of the peak memory in bytes, and CPU seconds, in a process of its own.

    It has read `short_data` before, of the same kind: what a decoder and a resampler hold once is not counted.
    """
    short, whole = folder / "short", folder / "whole"
    short.write_bytes(short_data)
    whole.write_bytes(data)
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(short), str(whole)], capture_output=True, check=True, cwd=REPOSITORY
    )
    windows, grown, cpu_s = run.stdout.split()
    return int(windows), int(grown), float(cpu_s)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wav", "mp3"])
def test_a_long_recording(kind: str, tmp_path: Path) -> None:
    part = encode(speech_like(20.0, 22_050), 22_050, kind)
    minute, data = (repeat(part, 3 * minutes, kind) for minutes in (1, MINUTES))
    windows, grown, cpu_s = measure(data, tmp_path, minute)
    assert 15 * MINUTES - 1 <= windows <= 15 * MINUTES + 2
    assert grown < MAX_GROWTH, f"{grown / MIB:.0f} MiB more at the peak, beside the {len(data) / MIB:.0f} MiB file"
    assert cpu_s < 2 * MINUTES


@pytest.mark.slow
def test_a_long_recording_in_a_small_file(tmp_path: Path) -> None:
    rate = encoder_rate("opus")
    part = encode(np.zeros((1, 20 * rate), np.float32), rate, "opus", bit_rate=6_000)
    minute, data = (repeat(part, 3 * minutes, "ogg") for minutes in (1, MINUTES))
    assert len(data) < 0.3 * MIB
    windows, grown, cpu_s = measure(data, tmp_path, minute)
    assert 15 * MINUTES - 1 <= windows <= 15 * MINUTES + 2
    assert grown < MAX_GROWTH
    assert cpu_s < 2 * MINUTES


@pytest.mark.slow
def test_sixteen_channels_at_192_khz(tmp_path: Path) -> None:
    data = wav(np.zeros((10 * 192_000, 16), np.int16), 192_000)
    windows, grown, _ = measure(data, tmp_path, wav(np.zeros((192_000, 16), np.int16), 192_000))
    assert windows == 3
    assert grown < 64 * MIB
