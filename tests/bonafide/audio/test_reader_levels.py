"""Scales, channels and byte orders that real files have: the right samples and a remark, or a refusal by name."""

import io
import struct
from functools import cache

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bonafide.audio.plausibility import SILENT
from bonafide.audio.reader import SAMPLE_RATE, AudioLimits, AudioReader
from bonafide.errors import UnreadableMedia
from tests.media import AUDIO_FORMATS, RECIPES, encode, encoder_rate, speech_like, wav

LIMITS = AudioLimits(max_bytes=64 * 2**20, max_seconds=4 * 3_600, max_channels=16, max_sample_rate=192_000)
VOICE = speech_like(5.0, SAMPLE_RATE, seed=7)[0]
INTEGERS = np.rint(VOICE * 32_767).astype(np.int16)


def read(data: bytes) -> tuple[NDArray[np.int16], list[str]]:
    """The samples of the windows, one after the other, and the warnings."""
    reader = AudioReader(data, LIMITS)
    windows = [window.pcm for batch in reader for window in batch]
    return np.concatenate(windows), reader.warnings


def likeness(a: NDArray[np.int16], b: NDArray[np.int16]) -> float:
    """Largest correlation of two recordings over the shifts that encoders make."""
    count = min(len(a), len(b))
    x, y = a[:count].astype(np.float64), b[:count].astype(np.float64)
    cross = np.fft.irfft(np.fft.rfft(x, 2 * count) * np.conj(np.fft.rfft(y, 2 * count)))
    return float(np.abs(np.r_[cross[:2_400], cross[-2_400:]]).max() / (np.linalg.norm(x) * np.linalg.norm(y)))


class TestScales:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("bits", [8, 16, 32])
    def test_integers_in_a_float_file_are_read_as_such(self, bits: int, dtype: type) -> None:
        scaled = (INTEGERS / 2.0 ** (16 - bits)).astype(dtype)
        pcm, warnings = read(wav(scaled, SAMPLE_RATE))
        assert np.array_equal(pcm, read(wav(INTEGERS, SAMPLE_RATE))[0])
        assert warnings == [
            f"5.0 s hold samples far outside -1..1; they were taken for integers and divided by {2 ** (bits - 1)}"
        ]

    @pytest.mark.parametrize("rate", [8_000, 44_100])
    def test_at_any_rate_and_by_any_factor(self, rate: int) -> None:
        voice = speech_like(5.0, rate)[0]
        pcm, warnings = read(wav(voice * np.float32(100), rate))
        plain, none = read(wav(voice, rate))
        assert likeness(pcm, plain) > 0.999
        assert np.abs(pcm.astype(int)).max() == pytest.approx(100 / 128 * np.abs(plain.astype(int)).max(), rel=0.01)
        assert ("divided by 128" in warnings[0], none) == (True, [])

    @pytest.mark.parametrize("value", [5e9, 1e30])
    def test_what_no_integer_reaches_is_refused(self, value: float) -> None:
        samples = np.zeros((90_000, 2), np.float32)
        samples[70_000] = value, -value
        with pytest.raises(UnreadableMedia, match="beyond any range"):
            read(wav(samples, SAMPLE_RATE))

    def test_a_clipping_storm_is_told(self) -> None:
        window = 4 * SAMPLE_RATE
        clipped = np.concatenate([VOICE[:window], (30 * VOICE[:window]).clip(-1, 1), VOICE[:window]])
        _, warnings = read(wav(np.rint(32_767 * clipped).astype(np.int16), SAMPLE_RATE))
        assert warnings == ["4.0 s are clipped: a fifth of the samples or more lie at full scale"]


class TestChannels:
    @pytest.mark.parametrize("kind", ["wav", "wav-float", "flac", "mp3", "ogg", "m4a", "webm", "opus"])
    def test_opposed_channels_do_not_cancel(self, kind: str) -> None:
        rate = encoder_rate(kind)
        voice = speech_like(2.0, rate, seed=7)[0]
        pcm, warnings = read(encode(np.stack([voice, -voice]), rate, kind))
        plain, none = read(encode(np.stack([voice, voice]), rate, kind))
        assert likeness(pcm, plain) > 0.97
        assert np.abs(pcm.astype(int)).max() > 0.9 * np.abs(plain.astype(int)).max()
        (warning,) = warnings
        assert warning.startswith("the channels cancel each other out for ")
        assert none == []

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.integers(256, 60_000), min_size=1, max_size=12))
    def test_however_the_container_packs_its_blocks(self, blocks: list[int]) -> None:
        pcm, warnings = read(packed(altered(), 22_050, blocks))
        expected, same = as_altered()
        assert np.array_equal(pcm, expected)
        assert warnings == same
        assert len(warnings) == 2


@cache
def altered() -> NDArray[np.float32]:
    """Stereo (2, n) at 22,050 Hz whose second channel turns over, then both become integers."""
    sound = speech_like(9.0, 22_050, channels=2)
    sound[1, 70_000:] *= -1
    sound[:, 120_000:] *= 32_768
    return sound


@cache
def as_altered() -> tuple[NDArray[np.int16], list[str]]:
    return read(wav(altered().T, 22_050))


def packed(sound: NDArray[np.float32], rate: int, blocks: list[int]) -> bytes:
    """Matroska with stereo float packets of the given sizes, again and again."""
    out, start, turn = io.BytesIO(), 0, 0
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream("pcm_f32le", rate=rate, layout="stereo")
        while start < sound.shape[1]:
            size = blocks[turn % len(blocks)]
            part = np.ascontiguousarray(sound[:, start : start + size].T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, "flt", "stereo")
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
            start, turn = start + size, turn + 1
        container.mux(stream.encode(None))
    return out.getvalue()


def rifx(body: bytes, tag: int, bits: int, channels: int = 1, extra: bytes = b"", align: int = 0) -> bytes:
    """A WAV file in big-endian byte order."""
    align = align or channels * bits // 8
    form = struct.pack(">HHIIHH", tag, channels, SAMPLE_RATE, SAMPLE_RATE * align, align, bits) + extra
    chunks = b"WAVEfmt " + struct.pack(">I", len(form)) + form + b"data" + struct.pack(">I", len(body)) + body
    return b"RIFX" + struct.pack(">I", len(chunks)) + chunks


class TestBigEndian:
    @pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
    @pytest.mark.parametrize("channels", [1, 2])
    def test_rifx_holds_what_riff_holds(self, dtype: str, channels: int) -> None:
        full = {"u1": 127, "i2": 2**15 - 1, "i4": 2**31 - 1}.get(dtype, 1)
        sound = np.repeat(VOICE.astype(np.float64)[:, np.newaxis], channels, axis=1) * full + 128 * (dtype == "u1")
        big, little = sound.astype(f">{dtype}"), sound.astype(f"<{dtype}")
        tag = 3 if dtype[0] == "f" else 1
        pcm, warnings = read(rifx(big.tobytes(), tag, 8 * big.itemsize, channels))
        assert np.array_equal(pcm, read(wav(little, SAMPLE_RATE))[0])
        assert warnings == []

    def test_24_bit(self) -> None:
        body = b"".join(int(value).to_bytes(3, "big", signed=True) for value in 256 * INTEGERS.astype(int))
        assert np.array_equal(read(rifx(body, 1, 24))[0], read(wav(INTEGERS, SAMPLE_RATE))[0])

    def test_mulaw_has_no_byte_order(self) -> None:
        body = bytes(range(256)) * 100
        as_riff = wav(np.frombuffer(body, np.uint8), SAMPLE_RATE, tag=7)
        assert np.array_equal(read(rifx(body, 7, 8))[0], read(as_riff)[0])

    @pytest.mark.parametrize(
        "extra", [bytes(2), *(struct.pack(">HHIIHH", 22, valid, 4, 1, 0, 16) + bytes(8) for valid in (16, 8))]
    )
    def test_longer_format_chunks(self, extra: bytes) -> None:
        tag = 0xFFFE if len(extra) > 2 else 1
        data = rifx(INTEGERS.astype(">i2").tobytes(), tag, 16, extra=extra)
        assert np.array_equal(read(data)[0], read(wav(INTEGERS, SAMPLE_RATE))[0])

    def test_chunks_before_and_a_length_left_open(self) -> None:
        data = rifx(INTEGERS.astype(">i2").tobytes(), 1, 16)
        for size in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
            open_ended = data[:12] + b"LIST\0\0\0\3abc\0" + data[12:40] + size + data[44:]
            pcm, warnings = read(open_ended)
            assert np.array_equal(pcm, read(wav(INTEGERS, SAMPLE_RATE))[0])
            assert warnings == []

    def test_a_truncated_one_says_so(self) -> None:
        _, (warning,) = read(rifx(INTEGERS.astype(">i2").tobytes(), 1, 16)[:-64_000])
        assert "truncated after 3.0 s" in warning

    @pytest.mark.parametrize(
        "data",
        [
            rifx(bytes(51_200), 0x11, 4, extra=struct.pack(">HH", 2, 1_017), align=512),
            rifx(bytes(51_200), 0xFFFE, 16),
            rifx(b"", 1, 16)[:36],
            b"RIFX\0\0\0\4WAVE" + b"data\0\0\0\0" * 1_000,
        ],
        ids=["adpcm", "no subformat", "no data", "data alone"],
    )
    def test_what_cannot_be_told_is_refused(self, data: bytes) -> None:
        with pytest.raises(UnreadableMedia, match=r"RIFX|no samples"):
            read(data)


class TestSilence:
    @pytest.mark.parametrize("kind", dict.fromkeys((*AUDIO_FORMATS, *RECIPES)))
    def test_silence_that_was_recorded_needs_no_remark(self, kind: str) -> None:
        rate = encoder_rate(kind)
        channels = 1 if kind in {"amr", "wav-g722"} else 2
        assert read(encode(np.zeros((channels, 2 * rate), np.float32), rate, kind))[1] == []

    @pytest.mark.parametrize("factor", [2.0**-15, 1e-7, 1e-40])
    def test_a_voice_that_16_bit_cannot_hold_is_told(self, factor: float) -> None:
        assert read(wav((VOICE * factor).astype(np.float32), SAMPLE_RATE))[1] == [SILENT]

    def test_a_voice_after_it_makes_it_a_pause(self) -> None:
        sound = np.concatenate([VOICE * np.float32(1e-7), VOICE])
        assert read(wav(sound, SAMPLE_RATE))[1] == []

    def test_packets_that_are_full_but_decode_to_nothing_are_told(self) -> None:
        data = encode(speech_like(5.0, 44_100, seed=7), 44_100, "mp3")
        pcm, warnings = read(muted(data))
        assert not pcm.any()
        assert warnings == [SILENT]


def muted(mp3: bytes) -> bytes:
    """An MPEG-1 layer III file whose granules all have the least gain; its other bits stay."""
    data, at = bytearray(mp3), mp3.index(b"\xff\xfb")
    mono_gain_bits = (9 + 5 + 4 + 12 + 9, 9 + 5 + 4 + 59 + 12 + 9)  # after main_data_begin, private bits, scfsi
    while at + 40 < len(data):
        bit_rate = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[data[at + 2] >> 4]
        side = int.from_bytes(data[at + 4 : at + 21], "big")
        for start in mono_gain_bits:
            side &= ~(0xFF << (17 * 8 - start - 8))
        data[at + 4 : at + 21] = side.to_bytes(17, "big")
        at += 144_000 * bit_rate // 44_100 + (data[at + 2] >> 1 & 1)
    return bytes(data)
