"""Files that were joined to one, and bytes that are no recording: all is judged, or it is told how much was not."""

import struct
import time
from functools import cache

import numpy as np
import pytest

from bonafide.audio.reader import SAMPLE_RATE, AudioReader, Window
from bonafide.errors import UnreadableMedia
from tests.bonafide.audio.test_reader import LIMITS, likeness, read, samples_of
from tests.media import RECIPES, encode, encoder_rate, of_unknown_sizes, speech_like, wav

JOINED = "recordings that were joined; all were judged"
JUNK = np.random.default_rng(0).integers(0, 256, 100_000).astype(np.uint8).tobytes()
FRAMES = {"mp3", "aac"}
"""Formats without a beginning: two of them are one."""
EXPERIMENTS = [kind for kind in RECIPES if kind not in {"wav24", "wav-double", "wav-alaw", "m4a-faststart"}]
TAILS = {
    "zeros": bytes(5_000),
    "ID3v1": b"TAG" + b"x" * 125,
    "ID3v2 with a footer": b"ID3\4\0\x10\0\0\1\0" + bytes(128) + b"3DI\4\0\x10\0\0\1\0",
    "APE": b"APETAGEX" + struct.pack("<IIII8x", 2_000, 40_032, 1, 0xA0000000) + JUNK[:40_000]
    + b"APETAGEX" + struct.pack("<IIII8x", 2_000, 40_032, 1, 0x80000000),
}  # fmt: skip


@cache
def recording(kind: str, seconds: float, seed: int = 1, channels: int = 1) -> bytes:
    rate = encoder_rate(kind)
    return encode(speech_like(seconds, rate, channels, seed), rate, kind)


def sound_from(windows: list[Window], start_s: float, seconds: float) -> np.ndarray:
    samples = samples_of(windows)
    return samples[round(start_s * SAMPLE_RATE) : round((start_s + seconds) * SAMPLE_RATE)]


@pytest.mark.parametrize("kind", EXPERIMENTS)
def test_each_of_two_joined_recordings_is_judged(kind: str) -> None:
    first, second = recording(kind, 3.0), recording(kind, 2.0, seed=2)
    windows, reader = read(first + second)
    alone, _ = read(second)
    assert reader.seconds == pytest.approx(5.0, abs=0.1)
    assert [window.index for window in windows] == [0, 1]
    assert likeness(sound_from(windows, 3.0, 2.0), samples_of(alone)) > (0.4 if kind == "amr" else 0.85)
    assert any(JOINED in warning for warning in reader.warnings) == (kind not in FRAMES)
    assert not any("truncated" in warning or "unread" in warning for warning in reader.warnings)


def test_samples_of_joined_wavs_are_untouched() -> None:
    first, second = (np.random.default_rng(seed).integers(-9_000, 9_000, 40_001).astype(np.int16) for seed in (1, 2))
    windows, _ = read(wav(first, SAMPLE_RATE) + wav(second, SAMPLE_RATE))
    assert np.array_equal(samples_of(windows), np.concatenate([first, second]))


@pytest.mark.parametrize("kind", ["webm", "matroska"])
def test_recordings_of_browsers_without_sizes(kind: str) -> None:
    mono, stereo = recording(kind, 2.0), recording(kind, 3.0, seed=2, channels=2)
    windows, reader = read(of_unknown_sizes(mono) + of_unknown_sizes(stereo))
    assert reader.seconds == pytest.approx(5.0, abs=0.1)
    assert likeness(sound_from(windows, 2.0, 3.0), samples_of(read(stereo)[0])) > 0.9


@pytest.mark.parametrize("kind", ["wav", "w64", "flac", "opus", "ogg-flac", "m4a", "mov-pcm", "amr", "matroska"])
def test_another_format_behind_a_recording_of_a_browser(kind: str) -> None:
    first, second = of_unknown_sizes(recording("webm", 2.0)), recording(kind, 3.0, seed=2)
    windows, reader = read(first + second)
    assert reader.seconds == pytest.approx(5.0, abs=0.1)
    assert likeness(sound_from(windows, 2.0, 3.0), samples_of(read(second)[0])) > (0.4 if kind == "amr" else 0.9)
    assert reader.warnings == [f"the file holds 2 {JOINED}"]


@pytest.mark.parametrize("kind", ["mp3", "aac", "flac", "opus"])
def test_a_quicktime_film_behind_frames_without_a_size(kind: str) -> None:
    _, reader = read(recording(kind, 2.0) + recording("mov-pcm", 3.0, seed=2))
    assert reader.seconds == pytest.approx(5.0, abs=0.1)
    assert f"the file holds 2 {JOINED}" in reader.warnings
    assert not any("unread" in warning for warning in reader.warnings)


@pytest.mark.parametrize("kind", ["mp3", "wav"])
def test_an_id3v1_tag_between_recordings_is_no_unread_audio(kind: str) -> None:
    _, reader = read(recording(kind, 2.0) + TAILS["ID3v1"] + recording("wav", 3.0, seed=2))
    assert reader.seconds == pytest.approx(5.0, abs=0.1)
    assert reader.warnings == [f"the file holds 2 {JOINED}"]


@pytest.mark.parametrize("kind", ["flac", "opus", "m4a", "amr", "webm", "w64"])
def test_another_format_behind_a_wav_that_was_written_as_a_stream(kind: str) -> None:
    samples = np.random.default_rng(1).integers(-9_000, 9_000, 40_000).astype(np.int16)
    _, reader = read(wav(samples, SAMPLE_RATE, data_bytes=0xFFFF_FFFF) + recording(kind, 3.0, seed=2))
    assert reader.seconds == pytest.approx(5.5, abs=0.1)
    assert reader.warnings == [f"the file holds 2 {JOINED}"]


def test_flac_in_matroska_without_sizes_is_one_recording() -> None:
    sound = speech_like(2.0, 16_000)
    plain = encode(sound, 16_000, "matroska-flac")
    windows, reader = read(of_unknown_sizes(plain))
    assert reader.warnings == []
    assert np.array_equal(samples_of(windows), samples_of(read(encode(sound, 16_000))[0]))


def test_different_formats_in_one_file() -> None:
    kinds = ("aac", "wav", "flac", "webm", "m4a", "opus", "amr", "w64")
    _, reader = read(b"".join(recording(kind, 2.0) for kind in kinds))
    assert reader.seconds == pytest.approx(16.0, abs=0.2)
    assert f"the file holds 8 {JOINED}" in reader.warnings


def test_a_truncated_recording_before_another() -> None:
    for kind in ("wav", "m4a-faststart", "opus", "flac", "webm"):
        first = recording(kind, 3.0)
        _, reader = read(first[: round(0.8 * len(first))] + recording(kind, 2.0, seed=2))
        assert 3.5 < reader.seconds < 4.8, kind
        assert any("truncated after" in warning for warning in reader.warnings), kind


@pytest.mark.parametrize("kind", [kind for kind in EXPERIMENTS if kind not in {"wav-mulaw", "wav-g722", "wav-adpcm"}])
def test_bytes_that_are_no_audio_are_told(kind: str) -> None:
    plain = recording(kind, 3.0)
    _, reader = read(plain + JUNK)
    assert reader.seconds == pytest.approx(3.0, abs=0.05)
    (told,) = (warning for warning in reader.warnings if warning.startswith("unread_bytes: "))
    unread = int(told.split()[1])
    assert unread == pytest.approx(len(JUNK), rel=0.02)
    assert f"of {len(plain) + len(JUNK)} bytes" in told
    assert not any("truncated" in warning for warning in reader.warnings)


@pytest.mark.parametrize("kind", ["mp3", "aac"])
def test_a_picture_between_joined_frames_is_no_unread_audio(kind: str) -> None:
    size = bytes(len(JUNK) >> shift & 0x7F for shift in (21, 14, 7, 0))
    _, reader = read(recording(kind, 2.0) + b"ID3\3\0\0" + size + JUNK + recording(kind, 3.0, seed=2))
    assert reader.seconds == pytest.approx(5.0, abs=0.3)
    assert reader.warnings == []


def test_damage_beside_a_tag_is_told() -> None:
    first, second = recording("mp3", 2.0), recording("mp3", 3.0, seed=2)
    at = len(second) // 2
    broken = second[:at] + bytes(400) + second[at + 400 :]
    (told,) = read(first + broken)[1].warnings
    assert read(broken)[1].warnings == [told]


def test_a_recording_behind_other_bytes_is_found() -> None:
    for kind in ("m4a", "webm", "opus"):
        _, reader = read(recording(kind, 2.0) + JUNK + recording(kind, 3.0, seed=2))
        assert reader.seconds == pytest.approx(5.0, abs=0.1), kind
        assert any(f"unread_bytes: {len(JUNK)} of" in warning for warning in reader.warnings), kind


@pytest.mark.parametrize("kind", ["wav", "wav-g722", "w64", "flac", "mp3", "aac", "amr", "opus", "m4a", "webm"])
@pytest.mark.parametrize("tail", TAILS)
def test_tags_and_padding_are_no_unread_bytes(kind: str, tail: str) -> None:
    _, reader = read(recording(kind, 2.0) + TAILS[tail])
    assert reader.warnings == []
    assert reader.seconds == pytest.approx(2.0, abs=0.1)


def test_a_later_recording_that_cannot_be_read_does_not_cost_the_first() -> None:
    broken = recording("webm", 3.0)[:60] + bytes(range(1, 200)) * 50
    windows, reader = read(recording("wav", 5.0) + broken)
    assert len(windows) == 2
    assert any(f"unread_bytes: {len(broken)} of" in warning for warning in reader.warnings)


def test_a_first_recording_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(UnreadableMedia):
        read(recording("webm", 3.0)[:60] + bytes(1_000) + recording("wav", 5.0))


def test_a_part_costs_little_by_itself() -> None:
    part = wav(np.full(1_600, 99, np.int16), SAMPLE_RATE)
    started = time.thread_time()
    reader = AudioReader(part * 1_000, LIMITS)
    assert sum(len(windows) for windows in reader) == 25
    assert time.thread_time() - started < 10
    assert f"the file holds 1000 {JOINED}" in reader.warnings


def test_parts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bonafide.audio.decoding._MAX_PARTS", 100)
    part = wav(np.full(2, 99, np.int16), SAMPLE_RATE)
    _, reader = read(part * 110)
    assert any(f"unread_bytes: {10 * len(part)} of" in warning for warning in reader.warnings)
