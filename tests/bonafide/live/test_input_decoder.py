"""Bytes of a session: the same speech in every encoding gives the windows of its recording, wherever it is cut."""

import asyncio
import base64
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bonafide.audio.levels import model_input
from bonafide.audio.mono import Block
from bonafide.audio.reader import AudioLimits, AudioReader
from bonafide.calls import Call
from bonafide.errors import InvalidRequest, TooLarge, UnreadableMedia
from bonafide.live.formats import RawDecoder
from bonafide.live.input_decoder import AudioInputDecoder, Encoding
from bonafide.live.stream import LiveStream
from bonafide.live.windows import LiveWindow
from tests.bonafide.fakes import LocalRemote
from tests.bonafide.live.conversation import live_sessions
from tests.coded import OPUS_PRE_SKIP, g722, opus
from tests.media import encode, speech_like, wav

RATES = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)
LIMITS = AudioLimits(10**9, 10**9, 16, 192_000)
Windows = list[NDArray[np.int16]]


def integers(rate: int, channels: int = 1, seconds: float = 9.3) -> NDArray[np.int16]:
    """Speech as int16 (channels, n)."""
    return np.rint(speech_like(seconds, rate, channels) * 32_767).astype(np.int16)


def recorded(recording: bytes) -> Windows:
    """The windows of a recording, as the model gets them."""
    return [window.pcm for step in AudioReader(recording, LIMITS) for window in step]


def stereo(opposed: float | None = None) -> NDArray[np.int16]:
    sound = speech_like(9.3, 16_000, 2, seed=3)
    if opposed is not None:
        sound[1] = opposed * sound[0]
    return np.rint(sound * 32_767).astype(np.int16)


async def live(encoding: Encoding, data: bytes, cuts: list[int] | None = None, **config: Any) -> Windows:
    """The windows of 4 s of a session that gets these bytes, as the model gets them."""

    async def heard(stream: LiveStream) -> list[LiveWindow]:
        intake = AudioInputDecoder(stream)
        intake.configure(encoding=encoding, chunk_s=4.0, overlap_s=0.0, **config)
        edges = [0, *sorted(min(cut, len(data)) for cut in cuts or range(0, len(data), 30_001)), len(data)]
        windows = []
        for a, b in pairwise(edges):
            windows += fed(stream, await intake.samples(data[a:b]))
        windows += fed(stream, await intake.rest())
        return windows + stream.session.finish()

    return [model_input(window.samples, window.rate).pcm for window in await with_stream(heard)]


def fed(stream: LiveStream, blocks: list[Block]) -> list[LiveWindow]:
    return [window for block in blocks for window in stream.session.feed(block)]


def mono(blocks: list[Block]) -> NDArray[np.float32]:
    return np.concatenate([np.zeros(0, np.float32), *(block.samples for block in blocks)])


async def with_stream(use: Callable[[LiveStream], Any], **limits: Any) -> Any:
    async with asyncio.timeout(60), live_sessions(LocalRemote(), **limits) as sessions:
        with sessions.open(Call.within(60)) as stream:
            try:
                return await use(stream)
            finally:
                stream.end_source()


def same(found: Windows, expected: Windows) -> bool:
    return len(found) == len(expected) and all(map(np.array_equal, found, expected))


@pytest.mark.parametrize("rate", RATES)
async def test_exact_encodings_give_the_windows_of_the_wav_file(rate: int) -> None:
    sound = integers(rate)
    expected = recorded(wav(sound.T, rate))
    assert len(expected) == 3
    floats = sound[0].astype(np.float32) / np.float32(32_768)
    for encoding, data in (
        ("pcm16", sound[0].astype("<i2")),
        ("l16", sound[0].astype(">i2")),
        ("float32", floats.astype("<f4")),
    ):
        assert same(await live(encoding, data.tobytes(), rate=rate), expected), encoding  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["mulaw", "alaw"])
@pytest.mark.parametrize("rate", [8_000, 16_000])
@pytest.mark.parametrize("channels", [1, 2])
async def test_g711_gives_the_windows_of_the_same_bytes_in_a_wav_file(kind: Encoding, rate: int, channels: int) -> None:
    recording = encode(speech_like(9.3, rate, channels), rate, f"wav-{kind}")
    at = recording.index(b"data") + 8
    data = recording[at : at + channels * round(9.3 * rate)]
    assert same(await live(kind, data, rate=rate, channels=channels), recorded(recording))


async def test_g722_gives_the_windows_of_the_same_bytes_in_a_wav_file() -> None:
    data, recording = g722(speech_like(9.3))
    assert same(await live("g722", data), recorded(recording))


async def test_opus_gives_the_samples_of_the_same_packets_in_an_ogg_file() -> None:
    data, recording = opus(speech_like(9.3, 48_000))

    async def heard(stream: LiveStream) -> NDArray[np.float32]:
        intake = AudioInputDecoder(stream)
        intake.configure(encoding="opus")
        found = [await intake.samples(data[:5_000]), await intake.samples(data[5_000:]), await intake.rest()]
        assert {block.rate for blocks in found for block in blocks} <= {48_000}
        return mono([block for blocks in found for block in blocks])

    samples = await with_stream(heard)
    floats = wav(samples[np.newaxis, OPUS_PRE_SKIP : OPUS_PRE_SKIP + round(9.3 * 48_000)].T, 48_000)
    assert same(recorded(floats), recorded(recording))


@pytest.mark.parametrize("opposed", [None, -1.0, -0.6, 1.0])
@pytest.mark.parametrize("encoding", ["pcm16", "l16", "float32"])
async def test_interleaved_channels_give_the_windows_of_the_wav_file(encoding: Encoding, opposed: float | None) -> None:
    sound = stereo(opposed)
    data = {
        "pcm16": sound.T.astype("<i2"),
        "l16": sound.T.astype(">i2"),
        "float32": (sound.T / np.float32(32_768)).astype("<f4"),
    }[encoding]
    assert same(await live(encoding, data.tobytes(), channels=2), recorded(wav(sound.T, 16_000)))


@pytest.mark.parametrize("encoding", ["l16", "alaw"])
@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 9_000), min_size=1, max_size=20))
def test_interleaved_bytes_may_be_cut_anywhere(encoding: Encoding, cuts: list[int]) -> None:
    data = stereo(-1.0)[:, 16_000:18_000].T.astype(">i2").tobytes()
    whole = asyncio.run(live(encoding, data, [0], channels=2))
    assert same(asyncio.run(live(encoding, data, cuts, channels=2)), whole)


@pytest.mark.parametrize(("encoding", "data"), [("g722", g722(speech_like(1.0))[0]),
                                                ("opus", opus(speech_like(1.0, 48_000))[0])])  # fmt: skip
@settings(max_examples=5, deadline=None)
@given(cuts=st.lists(st.integers(0, 8_000), min_size=1, max_size=12))
def test_a_codec_keeps_its_state_from_message_to_message(encoding: Encoding, data: bytes, cuts: list[int]) -> None:
    assert same(asyncio.run(live(encoding, data, cuts)), asyncio.run(live(encoding, data, [0])))


@pytest.mark.parametrize(
    "config",
    [
        {"encoding": "g722", "rate": 8_000},
        {"encoding": "g722", "channels": 2},
        {"encoding": "opus", "rate": 16_000},
        {"encoding": "opus", "channels": 3},
        {"encoding": "container", "channels": 1},
        {"encoding": "pcm16", "channels": 0},
        {"encoding": "pcm16", "channels": 17},
        {"channels": -1},
        {"encoding": "alaw", "rate": 4_000},
    ],
    ids=str,
)
async def test_values_that_contradict_the_encoding_change_nothing(config: dict[str, Any]) -> None:
    async def refused(stream: LiveStream) -> None:
        intake = AudioInputDecoder(stream)
        intake.configure(encoding="l16", channels=2, rate=24_000)
        with pytest.raises(InvalidRequest):
            intake.configure(**config)
        assert (intake.encoding, intake.channels, intake.rate) == ("l16", 2, 24_000)
        assert len(mono(await intake.samples(bytes(4 * 1_200)))) == 1_200

    await with_stream(refused)


async def test_what_is_in_force() -> None:
    async def configured(stream: LiveStream) -> None:
        intake = AudioInputDecoder(stream)
        for config, expected in (
            ({"encoding": "alaw"}, ("alaw", 8_000, 1)),
            ({"encoding": "l16", "rate": 44_100, "channels": 2}, ("l16", 44_100, 2)),
            ({"encoding": "pcm16"}, ("pcm16", 44_100, 2)),
            ({"encoding": "opus"}, ("opus", 48_000, None)),
            ({"encoding": "opus", "channels": 2, "rate": 48_000}, ("opus", 48_000, None)),
            ({"encoding": "g722"}, ("g722", 16_000, 1)),
            ({"encoding": "container"}, ("container", 16_000, None)),
            ({"encoding": "float32"}, ("float32", 16_000, 1)),
        ):
            intake.configure(**config)
            assert (intake.encoding, intake.rate, intake.channels) == expected

    await with_stream(configured)


async def test_a_codec_is_not_configured_to_another_rate_later() -> None:
    async def refused(stream: LiveStream) -> None:
        intake = AudioInputDecoder(stream)
        intake.configure(encoding="g722")
        with pytest.raises(InvalidRequest, match="16000 Hz"):
            intake.configure(rate=8_000)

    await with_stream(refused)


async def test_chunks_of_text_are_interleaved_too() -> None:
    sound = stereo(-1.0)[:, :16_000]

    async def heard(stream: LiveStream) -> None:
        intake = AudioInputDecoder(stream)
        intake.configure(encoding="l16", channels=2)
        data = base64.b64encode(sound.T.astype(">i2").tobytes()).decode()
        blocks = await intake.text(data, None, "base64")
        assert {block.rate for block in blocks} == {16_000}
        assert np.array_equal(mono(blocks), RawDecoder("pcm16").feed(sound[0].tobytes()))
        assert len(mono(await intake.text([0.5, 0.5] * 800, 16_000, None))) == 800
        for wrong in (("AAA=", None), ([0.1] * 3, None), ([0.1, 0.1], 8_000)):
            with pytest.raises(InvalidRequest):
                await intake.text(wrong[0], wrong[1], None)

    await with_stream(heard)


async def test_chunks_of_a_codec_are_its_next_bytes() -> None:
    data, _ = g722(speech_like(1.0))

    async def heard(stream: LiveStream) -> None:
        intake = AudioInputDecoder(stream)
        with pytest.raises(InvalidRequest, match="config"):
            await intake.text(base64.b64encode(data).decode(), None, "g722")
        intake.configure(encoding="g722")
        blocks = await intake.text(base64.b64encode(data).decode(), None, "g722")
        assert (len(mono(blocks)), blocks[0].rate) == (2 * len(data), 16_000)

    await with_stream(heard)


async def test_interleaved_samples_that_are_no_sound_are_refused_and_the_next_ones_mixed() -> None:
    async def heard(stream: LiveStream) -> None:
        intake = AudioInputDecoder(stream)
        intake.configure(encoding="float32", channels=2)
        for wrong in (np.nan, np.inf, 1e30):
            with pytest.raises(UnreadableMedia):
                await intake.samples(np.full(1_600, wrong, "<f4").tobytes())
        with pytest.raises(TooLarge):
            await intake.samples(bytes(8 * 16_001))
        assert len(mono(await intake.samples(bytes(8 * 16_000)))) == 16_000

    await with_stream(heard, max_message_s=1.0)


async def test_a_message_of_g722_that_is_too_long_leaves_its_stream_as_it_was() -> None:
    data, _ = g722(speech_like(1.5))

    async def heard(stream: LiveStream) -> None:
        intake = AudioInputDecoder(stream)
        intake.configure(encoding="g722")
        blocks = await intake.samples(data[:4_000])
        with pytest.raises(TooLarge):
            await intake.samples(data)
        blocks += await intake.samples(data[4_000:])
        whole = AudioInputDecoder(stream)
        whole.configure(encoding="g722")
        parts = [*await whole.samples(data[:8_000]), *await whole.samples(data[8_000:])]
        assert np.array_equal(mono(blocks), mono(parts))

    await with_stream(heard, max_message_s=1.0)


async def test_a_container_may_follow_one_of_another_rate_in_the_same_message() -> None:
    joined = b"".join(encode(speech_like(4.5, rate), rate, "ogg-flac") for rate in (16_000, 44_100))

    async def heard(stream: LiveStream, size: int) -> tuple[float, Windows]:
        intake = AudioInputDecoder(stream)
        intake.configure(encoding="container", chunk_s=4.0)
        windows = []
        for start in range(0, len(joined), size):
            windows += fed(stream, await intake.samples(joined[start : start + size]))
        windows += [*fed(stream, await intake.rest()), *stream.session.finish()]
        return stream.session.audio_s, [model_input(window.samples, window.rate).pcm for window in windows]

    seconds, in_parts = await with_stream(lambda stream: heard(stream, 1_000))
    assert (round(seconds, 1), len(in_parts)) == (9.0, 3)
    assert same((await with_stream(lambda stream: heard(stream, len(joined))))[1], in_parts)


async def test_a_stream_without_lengths_fails_until_it_is_configured_anew() -> None:
    async def heard(stream: LiveStream) -> None:
        intake = AudioInputDecoder(stream)
        intake.configure(encoding="opus")
        with pytest.raises(UnreadableMedia, match="length"):
            await intake.samples(b"\xff" * 100)
        with pytest.raises(InvalidRequest, match="opus stream has failed"):
            await intake.samples(b"\0\1")
        assert len(mono(await intake.rest())) == 0
        intake.configure(encoding="opus")
        assert len(mono(await intake.samples(opus(speech_like(0.5, 48_000))[0]))) > 20_000

    await with_stream(heard)
