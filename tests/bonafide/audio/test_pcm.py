import io
import struct

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from bonafide.audio.decoding import MonoDecoder
from bonafide.audio.ffmpeg import open_container
from bonafide.audio.parts import first_part
from bonafide.audio.pcm import is_sound, plain_pcm16
from bonafide.audio.source import AudioSource
from tests.media import encode, speech_like, wav

RATE = 16_000


def noise(samples: int, channels: int) -> NDArray[np.int16]:
    return np.random.default_rng(0).integers(-9_000, 9_000, (samples, channels)).astype(np.int16)


def plain(data: bytes) -> NDArray[np.int16] | None:
    part = first_part(data)
    with open_container(AudioSource(data, part.body, part.end, part.prefix), part.demuxers) as container:
        return plain_pcm16(data, part, container.streams.audio[0])


def decoded(data: bytes) -> tuple[NDArray[np.float32], list[str]]:
    decoder = MonoDecoder(data, 8, 192_000)
    blocks = [block.samples for block in decoder.blocks()]
    return np.concatenate(blocks), decoder.warnings


def rifx(samples: NDArray[np.int16]) -> bytes:
    """The same file with its bytes swapped, which FFmpeg decodes."""
    channels = samples.shape[1]
    body = samples.astype(">i2").tobytes()
    form = struct.pack(">HHIIHH", 1, channels, RATE, 0, 2 * channels, 16)
    chunks = b"WAVEfmt " + struct.pack(">I", 16) + form + b"data" + struct.pack(">I", len(body)) + body
    return b"RIFX" + struct.pack(">I", len(chunks)) + chunks


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_samples_are_those_of_the_file(channels: int) -> None:
    samples = noise(1_000, channels)
    found = plain(wav(samples, RATE))
    assert found is not None
    assert np.array_equal(found, samples)


@pytest.mark.parametrize(
    "data",
    [
        wav(noise(1_000, 1).astype(np.int32), RATE),
        wav(noise(1_000, 1)[:, 0].astype(np.float32), RATE),
        wav(noise(1_000, 2), RATE, block_align=8),
        wav(noise(1_001, 1), RATE, channels=2),
        rifx(noise(1_000, 1)),
        encode(speech_like(1.0), RATE, "flac"),
    ],
    ids=["32 bit", "float", "other alignment", "half a sample", "big-endian", "FLAC"],
)
def test_what_ffmpeg_must_decode(data: bytes) -> None:
    assert plain(data) is None


def test_samples_that_are_another_codec_are_left_to_ffmpeg() -> None:
    mp3 = encode(speech_like(8.0), 44_100, "mp3")
    data = wav(np.frombuffer(mp3, np.int16, len(mp3) // 2), 44_100)
    part = first_part(data)
    with open_container(AudioSource(data, part.body, part.end, part.prefix), part.demuxers) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name.startswith("mp3")
        assert plain_pcm16(data, part, stream) is None


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("samples", [1, 799, 70_001, 150_000])
def test_ffmpeg_decodes_to_the_same(samples: int, channels: int) -> None:
    sound = noise(samples, channels)
    sound[: samples // 3] = 0
    ours, warnings = decoded(wav(sound, RATE))
    theirs, their_warnings = decoded(rifx(sound))
    assert np.array_equal(ours, theirs)
    assert warnings == their_warnings


@pytest.mark.parametrize("level", [0.05, 0.3, 0.95])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_speech_is_sound(level: float, rate: int) -> None:
    sound = speech_like(2.0, rate).reshape(-1)
    data = wav((sound * (level * 32_000 / np.abs(sound).max())).astype(np.int16), rate)
    assert is_sound(data, first_part(data))


def test_quiet_noise_is_sound() -> None:
    data = wav(noise(64_000, 1), RATE)
    assert is_sound(data, first_part(data))


@pytest.mark.parametrize("seconds", [1.0, 8.0])
@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("kind", ["mp3", "aac", "ac3", "eac3", "mp2"])
def test_frames_of_a_codec_are_no_sound(kind: str, silent: bool, seconds: float) -> None:
    frames = coded(speech_like(seconds) * (not silent), kind)
    for at in (0, 1):
        words = np.frombuffer(frames, np.int16, (len(frames) - at) // 2, at)
        data = wav(words, 48_000, channels=2)
        assert not is_sound(data, first_part(data))


@pytest.mark.parametrize("sync", ["7ffe8001", "fe7f0180", "1fffe800", "ff1f00e8"])
@pytest.mark.parametrize("at", [0, 1_001])
def test_quiet_words_of_dts_are_no_sound(sync: str, at: int) -> None:
    words = bytearray(noise(64_000, 1).tobytes())
    words[at : at + 4] = bytes.fromhex(sync)
    data = wav(np.frombuffer(words, np.int16), RATE)
    assert not is_sound(data, first_part(data))


def coded(sound: NDArray[np.float32], kind: str) -> bytes:
    """Raw frames, as FFmpeg writes them."""
    file = io.BytesIO()
    with av.open(file, "w", format="adts" if kind == "aac" else kind) as container:
        stream = container.add_stream(kind, 48_000, {"strict": "experimental"}, layout="stereo")
        assert isinstance(stream, AudioStream)
        stereo = np.repeat(np.repeat(sound.reshape(-1), 3)[np.newaxis], 2, axis=0)
        frame = AudioFrame.from_ndarray(stereo, "fltp", "stereo")
        frame.sample_rate = 48_000
        for each in AudioResampler(stream.format, "stereo", 48_000, stream.frame_size or None).resample(
            frame
        ):  # frames as the encoder takes them
            container.mux(stream.encode(each))
        container.mux(stream.encode(None))
    return file.getvalue()
