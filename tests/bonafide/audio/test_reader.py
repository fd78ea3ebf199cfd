"""Recordings in, windows out: every format, false headers, truncation, and limits that are enforced while decoding."""

import io
import struct
import threading
from functools import cache

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bonafide.audio.reader import SAMPLE_RATE, WINDOW_SAMPLES, WINDOW_SECONDS, AudioLimits, AudioReader, Window
from bonafide.errors import TooLarge, UnreadableMedia
from tests.media import AUDIO_FORMATS, RECIPES, encode, encoder_rate, speech_like, wav

LIMITS = AudioLimits(max_bytes=64 * 2**20, max_seconds=4 * 3_600, max_channels=16, max_sample_rate=192_000)


def read(data: bytes, limits: AudioLimits = LIMITS, batch_windows: int = 8) -> tuple[list[Window], AudioReader]:
    reader = AudioReader(data, limits, batch_windows)
    return [window for batch in reader for window in batch], reader


def rate_of(kind: str) -> int:
    """Half of 44.1 kHz where the encoder takes it, for half the time; an MP3 of it would be of another kind."""
    return encoder_rate(kind, 44_100 if kind == "mp3" else 22_050)


@cache
def recording(kind: str, seconds: float) -> bytes:
    rate = rate_of(kind)
    return encode(speech_like(seconds, rate, seed=7), rate, kind)


@cache
def whole_recording(kind: str, seconds: float) -> list[Window]:
    return read(recording(kind, seconds))[0]


def pcm(data: bytes, batch_windows: int = 8) -> NDArray[np.int16]:
    return samples_of(read(data, batch_windows=batch_windows)[0])


@cache
def spoken(seconds: float, rate: int, seed: int = 7) -> NDArray[np.int16]:
    """The samples of every `recording` that was encoded from this rate, without an encoder's losses."""
    return pcm(wav(np.rint(speech_like(seconds, rate, seed=seed)[0] * 32_767).astype(np.int16), rate))


def samples_of(windows: list[Window]) -> NDArray[np.int16]:
    """Those of a recording, each once."""
    return np.concatenate([window.pcm[len(window.pcm) - round(window.fresh_s * SAMPLE_RATE) :] for window in windows])


def likeness(a: NDArray[np.int16], b: NDArray[np.int16], most_shift: int = 2_400) -> float:
    """Largest normalised correlation of two signals over small shifts (codecs delay)."""
    count = min(len(a), len(b))
    x, y = a[:count].astype(np.float32), b[:count].astype(np.float32)
    size = 2 ** int(np.ceil(np.log2(2 * count)))
    cross = np.fft.irfft(np.fft.rfft(x, size) * np.conj(np.fft.rfft(y, size)), size)
    near = np.concatenate([cross[:most_shift], cross[-most_shift:]])
    return float(near.max() / (np.linalg.norm(x) * np.linalg.norm(y)))


@pytest.mark.parametrize("kind", dict.fromkeys((*AUDIO_FORMATS, *RECIPES)))
def test_every_format_comes_back_as_the_sound_that_went_in(kind: str) -> None:
    windows, reader = read(recording(kind, 9.0))
    expected = spoken(9.0, rate_of(kind))
    assert [w.index for w in windows] == [0, 1, 2]
    assert reader.warnings == []
    assert reader.seconds == pytest.approx(9.0, abs=0.08)
    least = 0.45 if kind == "amr" else 0.97  # AMR keeps the voice, not the waveform
    assert likeness(samples_of(windows), expected) > least


@pytest.mark.parametrize("magic", [b"#!AMR\n", b"#!AMR-WB\n"])
def test_the_pauses_of_a_phone_recording_keep_their_time(magic: bytes) -> None:
    no_data = bytes([0x7C])
    windows, reader = read(magic + no_data * 250)
    assert reader.seconds == pytest.approx(5.0)
    assert all(np.abs(w.pcm.astype(int)).max() < 500 for w in windows)
    if magic == b"#!AMR\n":
        spoken = encode(speech_like(2.0, 8_000), 8_000, "amr")
        assert read(spoken + no_data * 250)[1].seconds == pytest.approx(7.0, abs=0.1)


class TestWindows:
    def test_their_times_and_shapes(self) -> None:
        windows, reader = read(encode(speech_like(9.5, 44_100), 44_100))
        spans = [(w.index, w.start_s, w.end_s, w.fresh_s) for w in windows]
        assert spans == [(0, 0, 4, 4), (1, 4, 8, 4), (2, 5.5, 9.5, 1.5)]
        assert all(w.pcm.shape == (WINDOW_SAMPLES,) and w.pcm.dtype == np.int16 for w in windows)
        assert reader.seconds == 9.5

    def test_a_tenth_of_a_second_is_one_short_window(self) -> None:
        (window,), reader = read(encode(speech_like(0.1, 16_000), 16_000))
        assert (window.start_s, window.end_s, window.fresh_s, reader.seconds) == (0, 0.1, 0.1, 0.1)
        assert len(window.pcm) == 1_600

    def test_a_single_sample_is_enough(self) -> None:
        (window,), _ = read(wav(np.array([1_000], np.int16), SAMPLE_RATE))
        assert window.pcm.tolist() == [1_000]

    def test_silence_is_fine(self) -> None:
        windows, reader = read(wav(np.zeros(5 * 48_000, np.int16), 48_000))
        assert [w.pcm.any() for w in windows] == [False, False]
        assert reader.warnings == []

    def test_exactly_two_windows_leave_no_third(self) -> None:
        windows, _ = read(wav(np.ones(8 * 44_100, np.int16), 44_100))
        assert [w.end_s for w in windows] == [4, 8]

    def test_16_bit_at_16_khz_is_untouched(self) -> None:
        samples = np.random.default_rng(0).integers(-32_768, 32_768, 100_000).astype(np.int16)
        assert np.array_equal(pcm(wav(samples, SAMPLE_RATE))[:100_000], samples)

    @pytest.mark.parametrize("rate", [4_000, 44_101, 192_000])
    def test_unusual_rates(self, rate: int) -> None:
        windows, reader = read(wav(speech_like(5.0, rate)[0], rate))
        assert reader.seconds == pytest.approx(5.0)
        like = likeness(windows[0].pcm, pcm(wav(speech_like(5.0, 16_000)[0], 16_000))[:WINDOW_SAMPLES])
        assert like > (0.8 if rate == 4_000 else 0.9)  # above half its rate, a recording has nothing

    def test_eight_channels_become_their_mean(self) -> None:
        sound = np.random.default_rng(1).integers(-30_000, 30_000, (70_000, 8)).astype(np.int16)
        expected = np.rint(sound.astype(np.float64).mean(axis=1))
        assert np.array_equal(pcm(wav(sound, SAMPLE_RATE))[:70_000], expected)

    def test_batches_are_as_large_as_asked(self) -> None:
        data = encode(speech_like(4.0 * 7, 8_000), 8_000)
        for size in (1, 3, 8):
            batches = list(AudioReader(data, LIMITS, size))
            assert max(len(batch) for batch in batches) == min(size, 7)
            assert sum(len(batch) for batch in batches) == 7


class TestSameSecondsSameWindows:
    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.integers(256, 60_000), min_size=1, max_size=12), st.integers(1, 5))
    def test_however_the_container_packs_its_blocks(self, blocks: list[int], batch_windows: int) -> None:
        rate, samples = 22_050, np.rint(speech_like(9.0, 22_050)[0] * 32_767).astype(np.int16)
        assert np.array_equal(pcm(packed(samples, rate, blocks), batch_windows), spoken(9.0, rate, seed=0))

    def test_whatever_batch_they_are_in(self) -> None:
        data = encode(speech_like(4.0 * 3 + 1, 22_050), 22_050, "mp3")
        assert np.array_equal(pcm(data, 1), pcm(data, 3))

    @pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
    def test_wherever_they_are_in_the_recording(self, rate: int) -> None:
        sound = speech_like(12.0, rate)[0]
        windows, _ = read(wav(sound, rate))
        for window in windows:
            part = sound[window.index * 4 * rate : (window.index + 1) * 4 * rate]
            assert np.array_equal(pcm(wav(part, rate)), window.pcm)


def packed(samples: NDArray[np.int16], rate: int, blocks: list[int]) -> bytes:
    """Matroska with PCM packets of the given sizes, again and again."""
    out, start, turn = io.BytesIO(), 0, 0
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        while start < len(samples):
            size = blocks[turn % len(blocks)]
            frame = av.AudioFrame.from_ndarray(samples[np.newaxis, start : start + size], "s16", "mono")
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
            start, turn = start + size, turn + 1
        container.mux(stream.encode(None))
    return out.getvalue()


class TestChangesMidway:
    @pytest.mark.parametrize("kind", ["mp3", "aac"])
    def test_a_new_rate_is_followed(self, kind: str) -> None:
        first, second = speech_like(6.0, 44_100), speech_like(6.0, 22_050, seed=5)
        windows, reader = read(encode(first, 44_100, kind) + encode(second, 22_050, kind))
        assert reader.seconds == pytest.approx(12.0, abs=0.3)
        assert [w.index for w in windows] == [0, 1, 2] or len(windows) == 4
        alone = pcm(encode(first, 44_100, kind))
        assert likeness(windows[1].pcm[:30_000], alone[WINDOW_SAMPLES:][:30_000]) > 0.95

    def test_a_new_number_of_channels_is_followed(self) -> None:
        mono, stereo = speech_like(6.0, 44_100), speech_like(6.0, 44_100, channels=2)
        _, reader = read(encode(mono, 44_100, "aac") + encode(stereo, 44_100, "aac"))
        assert reader.seconds == pytest.approx(12.0, abs=0.3)

    def test_a_rate_that_changes_all_the_time_is_refused(self) -> None:
        parts = [encode(speech_like(0.3, rate), rate, "aac") for rate in (44_100, 22_050)]
        with pytest.raises(UnreadableMedia, match="again and again"):
            read(b"".join(parts * 12))


class TestLimits:
    def test_bytes(self) -> None:
        data = encode(speech_like(1.0), 16_000)
        with pytest.raises(TooLarge, match="bytes"):
            AudioReader(data, AudioLimits(len(data) - 1, 60, 2, 48_000))

    @pytest.mark.parametrize("kind", AUDIO_FORMATS)
    def test_seconds_stop_the_decoding(self, kind: str) -> None:
        reader = AudioReader(recording(kind, 9.0), AudioLimits(2**30, 5.0, 2, 48_000), 1)
        with pytest.raises(TooLarge, match="more than 5 s"):
            list(reader)
        assert reader.seconds < 8
        assert list(reader) == []

    def test_seconds_are_counted_not_believed(self) -> None:
        data = bytearray(encode(speech_like(12.0, 44_100), 44_100, "m4a"))
        for box in (b"mvhd", b"mdhd"):
            at = data.index(box) + 20
            data[at : at + 4] = struct.pack(">I", 1)
        with pytest.raises(TooLarge, match="10 s"):
            read(bytes(data), AudioLimits(2**30, 10.0, 2, 48_000))

    def test_channels_and_rate(self) -> None:
        data = encode(speech_like(1.0, 48_000, channels=2), 48_000)
        for limits in (AudioLimits(2**30, 60, 1, 48_000), AudioLimits(2**30, 60, 2, 44_100)):
            with pytest.raises(TooLarge):
                read(data, limits)

    def test_a_batch_of_none_is_a_mistake(self) -> None:
        with pytest.raises(ValueError, match="batch_windows"):
            AudioReader(b"x", LIMITS, 0)


PCM = np.rint(speech_like(5.0)[0] * 32_767).astype(np.int16)


class TestLyingHeaders:
    @pytest.mark.parametrize("claimed", [0, 0x7FFFF000, 0x7FFFFFFF, 2**31, 2**31 + 36, 0xFFFFFFDB, 0xFFFFFFFF])
    def test_a_wav_of_unknown_length_is_read_to_its_end(self, claimed: int) -> None:
        windows, reader = read(wav(PCM, SAMPLE_RATE, data_bytes=claimed))
        assert (len(windows), reader.seconds, reader.warnings) == (2, 5.0, [])

    @pytest.mark.parametrize("claimed", [200_000, 2**30, 0xFFF00000])
    def test_a_wav_that_claims_more_than_there_is(self, claimed: int) -> None:
        _, reader = read(wav(PCM, SAMPLE_RATE, data_bytes=claimed))
        assert reader.seconds == 5.0
        assert any("truncated after 5.0 s" in warning for warning in reader.warnings)

    @pytest.mark.parametrize("rate", [0, 1, 3_999, 2**31, 2**32 - 1, 4_000_000_000])
    def test_impossible_rates(self, rate: int) -> None:
        with pytest.raises((UnreadableMedia, TooLarge)):
            read(wav(PCM, rate))

    @pytest.mark.parametrize(
        "header",
        [
            {"channels": 0},
            {"channels": 17},
            {"channels": 65_535},
            {"bits": 0},
            {"bits": 65_535},
            {"tag": 0xFFFF},
            {"tag": 0x0055},
        ],
    )
    def test_impossible_fields(self, header: dict[str, int]) -> None:
        with pytest.raises((UnreadableMedia, TooLarge)):
            read(wav(PCM, SAMPLE_RATE, **header))

    @pytest.mark.parametrize("align", [0, 1, 3, 65_535])
    def test_an_impossible_block_size_is_survived(self, align: int) -> None:
        try:
            _, reader = read(wav(PCM, SAMPLE_RATE, block_align=align))
        except UnreadableMedia:
            return
        assert reader.seconds <= 5.0

    def test_an_mp3_with_a_wrong_frame_count(self) -> None:
        data = bytearray(encode(speech_like(5.0, 44_100), 44_100, "mp3"))
        at = max(data.find(b"Xing"), data.find(b"Info"))
        data[at + 8 : at + 12] = struct.pack(">I", 1_000_000)
        _, reader = read(bytes(data))
        assert reader.seconds == pytest.approx(5.0, abs=0.1)
        assert any("truncated" in warning for warning in reader.warnings)

    @pytest.mark.parametrize("value", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
    def test_an_m4a_with_bogus_durations(self, value: int) -> None:
        data = encode(speech_like(5.0, 44_100), 44_100, "m4a")
        at = data.index(b"stts") + 12
        lying = data[: at + 4] + struct.pack(">I", value) + data[at + 8 :]
        _, reader = read(lying)
        assert reader.seconds == pytest.approx(5.0, abs=0.1)

    def test_a_flac_that_lies_about_its_length(self) -> None:
        data = bytearray(encode(speech_like(5.0, 16_000), 16_000, "flac"))
        data[21] |= 0x0F  # total samples, 36 bits
        data[22:26] = b"\xff\xff\xff\xff"
        windows, reader = read(bytes(data))
        assert (len(windows), reader.seconds) == (2, 5.0)
        assert any("truncated" in warning for warning in reader.warnings)


class TestBroken:
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_samples_that_are_not_finite(self, value: float, dtype: type) -> None:
        samples: NDArray[np.floating] = np.zeros(90_000, dtype)
        samples[70_000] = value
        with pytest.raises(UnreadableMedia, match="finite"):
            read(wav(samples, SAMPLE_RATE))

    def test_infinities_that_cancel_out(self) -> None:
        with pytest.raises(UnreadableMedia, match="finite"):
            read(wav(np.array([[np.inf, -np.inf]] * 100, np.float32), SAMPLE_RATE))

    def test_floats_that_are_merely_loud_are_clipped(self) -> None:
        (window,), _ = read(wav(np.array([1.9, -1.9, 0.5], np.float32), SAMPLE_RATE))
        assert window.pcm[:3].tolist() == [32_767, -32_768, 16_384]

    @pytest.mark.parametrize("data", [b"", b"\0", b"RIFF", bytes(10_000), b"hello" * 1_000, b"OggS" * 100])
    def test_no_recording_at_all(self, data: bytes) -> None:
        with pytest.raises(UnreadableMedia):
            read(data)

    @pytest.mark.parametrize("kind", RECIPES)
    def test_a_header_without_sound(self, kind: str) -> None:
        with pytest.raises(UnreadableMedia):
            read(recording(kind, 9.0)[:10])

    @pytest.mark.parametrize("kind", [k for k in RECIPES if k not in {"m4a", "alac", "mov-pcm"}])
    @pytest.mark.parametrize("kept", [0.3, 0.777, 0.95])
    def test_a_truncated_file_gives_what_can_be_read_and_says_so(self, kind: str, kept: float) -> None:
        data = recording(kind, 9.0)
        truncated, reader = read(data[: int(len(data) * kept)])
        assert 9 * kept - 2.1 < reader.seconds < 9 * kept + 0.6
        if kind != "amr":  # truncated between two packets, nothing in the file tells
            assert any("truncated after" in warning for warning in reader.warnings)
        complete = [w for w in truncated if w.fresh_s == WINDOW_SECONDS]
        assert all(
            np.corrcoef(each.pcm, same.pcm)[0, 1] > 0.99
            for each, same in zip(complete, whole_recording(kind, 9.0), strict=False)
        )

    @pytest.mark.parametrize("kind", ["m4a", "alac"])
    def test_an_mp4_without_its_table_at_the_end_cannot_be_read(self, kind: str) -> None:
        data = recording(kind, 9.0)
        with pytest.raises(UnreadableMedia):
            read(data[: len(data) // 2])

    @pytest.mark.parametrize("kind", ["mp3", "aac", "flac", "ogg", "opus", "webm"])
    def test_a_hole_costs_only_itself(self, kind: str) -> None:
        data = recording(kind, 9.0)
        third = len(data) // 3
        _, reader = read(data[:third] + bytes(1_000) + data[third + 1_000 :])
        assert reader.seconds > 6.5


class TestClosing:
    def test_a_closed_reader_has_no_more_windows(self) -> None:
        with AudioReader(wav(np.ones(9 * SAMPLE_RATE, np.int16), SAMPLE_RATE), LIMITS, 1) as reader:
            assert len(next(reader)) == 1
        assert list(reader) == []

    def test_closing_before_the_first_step(self) -> None:
        reader = AudioReader(b"whatever", LIMITS)
        reader.close()
        reader.close()
        assert list(reader) == []

    def test_closing_from_another_thread_while_a_step_runs(self) -> None:
        reader = AudioReader(wav(np.ones(120 * SAMPLE_RATE, np.int16), SAMPLE_RATE), LIMITS, 1)
        seen: list[int] = []
        thread = threading.Thread(target=lambda: seen.extend(len(batch) for batch in reader))
        thread.start()
        while thread.is_alive() and not seen:
            pass
        reader.close()
        thread.join(10)
        assert not thread.is_alive()
        assert list(reader) == []

    def test_steps_on_different_threads(self) -> None:
        reader = AudioReader(encode(speech_like(20.0), 16_000), LIMITS, 1)
        found: list[int] = []
        for _ in range(5):
            thread = threading.Thread(target=lambda: found.extend(w.index for w in next(reader)))
            thread.start()
            thread.join()
        assert found == [0, 1, 2, 3, 4]
