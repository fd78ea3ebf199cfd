"""Containers may say that some of their audio is not to be played: more than a delay is judged all the same."""

import re
import struct
from collections.abc import Callable
from functools import cache

import pytest

from bonafide.audio.container_reader import ContainerReader
from tests.bonafide.audio.test_reader import LIMITS, likeness, read, samples_of
from tests.media import encode, encoder_rate, speech_like

SECONDS = 3.0
TOLD = "s are not to be played, as the file says; they were judged, too"


@cache
def sound(kind: str) -> bytes:
    rate = encoder_rate(kind)
    return encode(speech_like(SECONDS, rate), rate, kind)


def edited(mp4: bytes, begin: int, clock: int = 1) -> bytes:
    """The file with an edit list that begins so many samples after its first, on a clock that is so much faster."""
    data = bytearray(mp4)
    header, times, edits = (data.index(name) for name in (b"mdhd", b"stts", b"elst"))
    ticks, length = struct.unpack_from(">II", data, header + 16)
    struct.pack_into(">II", data, header + 16, ticks * clock, length * clock)
    for at in range(times + 12, times + 12 + 8 * int.from_bytes(data[times + 8 : times + 12], "big"), 8):
        count, delta = struct.unpack_from(">II", data, at)
        struct.pack_into(">II", data, at, count, delta * clock)
    struct.pack_into(">i", data, edits + 16, begin * clock)
    return bytes(data)


def delayed(webm: bytes, seconds: float) -> bytes:
    """The file with another delay of its codec, in the place of that and of the roll before a seek."""
    found = re.search(rb"\x56\xaa\x83.{3}\x56\xbb\x84.{4}", webm, re.DOTALL)
    assert found is not None
    delay = b"\x56\xaa\x88" + round(seconds * 1e9).to_bytes(8, "big") + b"\xec\x80"
    return webm[: found.start()] + delay + webm[found.end() :]


@pytest.mark.parametrize("clock", [1, 2, 100, 200])
def test_a_delay_is_left_out(clock: int) -> None:
    """FFmpeg takes the ticks of any clock for samples: on one of 10 MHz a delay was seconds."""
    plain, whole = read(sound("m4a"))
    windows, reader = read(edited(sound("m4a"), 2_112, clock))
    more = 2_112 - 1_024
    assert reader.warnings == []
    assert reader.seconds == pytest.approx(whole.seconds - more / 44_100, abs=0.001)
    assert likeness(samples_of(windows), samples_of(plain)[round(more * 16_000 / 44_100) :], 2) > 0.99


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lambda: edited(sound("m4a"), 88_200), id="edit list"),
        pytest.param(lambda: delayed(sound("webm"), 2.0), id="delay of a codec"),
    ],
)
def test_a_beginning_that_is_not_played_is_judged_and_told(data: Callable[[], bytes]) -> None:
    _, reader = read(data())
    assert reader.seconds == pytest.approx(SECONDS, abs=0.05)
    assert reader.warnings == [f"2.0 {TOLD}"]


def test_no_more_is_told_than_there_is() -> None:
    _, reader = read(delayed(sound("webm"), 4.0))
    assert reader.warnings == [f"{reader.seconds:.1f} {TOLD}"]


def test_a_live_container_is_decoded_from_its_beginning() -> None:
    plain, hidden = sound("webm"), delayed(sound("webm"), 2.0)
    lengths = []
    for data in (plain, hidden):
        reader = ContainerReader(LIMITS, 60.0)
        lengths.append(sum(len(block.samples) for block in reader.feed(data)))
        reader.close()
    assert lengths[1] >= lengths[0]
