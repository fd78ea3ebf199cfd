import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from bonafide.audio.decoding import MonoDecoder
from bonafide.audio.ffmpeg import open_container
from bonafide.audio.parts import first_part
from bonafide.audio.pcm import plain_pcm16
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
