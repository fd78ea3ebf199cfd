"""Containers that arrive in parts: the same audio as from the whole file, whatever the parts, and at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from functools import cache
from itertools import pairwise

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bonafide.audio.channel_mode import AUTO, MIX, ChannelMode
from bonafide.audio.codec_reader import Codec, CodecReader
from bonafide.audio.decoding import MonoDecoder
from bonafide.audio.mono import Block
from bonafide.audio.reader import AudioLimits
from bonafide.decoders.containers import ContainerStream
from bonafide.decoders.pool import DecoderPool
from bonafide.decoders.processes import Template
from bonafide.errors import InvalidRequest, TooLarge, UnreadableMedia
from bonafide.security.caller import set_caller
from bonafide.settings.group import MIB
from tests.bombs import laced_matroska
from tests.coded import g722, opus
from tests.hostile import mutate
from tests.media import encode, of_unknown_sizes, repeat, speech_like, with_gap

LIMITS = AudioLimits(10**9, 10**9, 2, 96_000)
KINDS = ("webm", "opus", "ogg", "m4a-fragmented", "matroska")
GAPPED: dict[str, tuple[str, dict[str, str]]] = {
    "webm": ("webm", {}),
    "opus": ("ogg", {}),
    "m4a-fragmented": ("mp4", {"movflags": "frag_keyframe+empty_moov+default_base_moof"}),
}
"""FFmpeg's name of the container, and its options."""


def sound() -> NDArray[np.float32]:
    return speech_like(3.0, 48_000)


@cache
def file(kind: str) -> bytes:
    return encode(sound(), 48_000, kind)


@asynccontextmanager
async def container(max_message_s: float = 60.0, codec: Codec | None = None) -> AsyncIterator[ContainerStream]:
    with closing(DecoderPool(1, 512 * MIB, Template.of_process())) as pool:
        stream = ContainerStream(pool, LIMITS, max_message_s, codec)
        try:
            async with asyncio.timeout(60):
                yield stream
        finally:
            stream.close()


def joined(blocks: list[Block]) -> NDArray[np.float32]:
    return np.concatenate([np.zeros(0, np.float32), *[block.samples for block in blocks]])


async def decoded(parts: list[bytes]) -> NDArray[np.float32]:
    async with container() as stream:
        blocks = [block for part in parts for block in await stream.feed(part)]
        return joined(blocks + await stream.finish())


@pytest.mark.parametrize("kind", KINDS)
async def test_small_parts_give_what_the_file_holds(kind: str) -> None:
    data = file(kind)
    whole = joined(list(MonoDecoder(data, 2, 96_000).blocks()))
    samples = await decoded([data[start : start + 700] for start in range(0, len(data), 700)])
    assert np.array_equal(samples, whole)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sign", [1, -1])
async def test_channels_are_mixed_as_in_the_file(kind: str, sign: int) -> None:
    mono = sound()[:, :-480]  # no whole number of 50 ms, which are mixed at a time
    data = encode(np.concatenate([mono, sign * mono]), 48_000, kind)
    whole = joined(list(MonoDecoder(data, 2, 96_000).blocks()))
    samples = await decoded([data[start : start + 700] for start in range(0, len(data), 700)])
    assert np.array_equal(samples, whole)
    assert np.abs(samples).max() > 0.5


@pytest.mark.parametrize("kind", ["webm", "opus"])
async def test_audio_comes_as_soon_as_its_bytes_do(kind: str) -> None:
    data = file(kind)
    async with container() as stream:
        heard = 0
        for start in range(0, len(data), 700):
            heard += len(joined(await stream.feed(data[start : start + 700])))
            # Ogg comes in pages of up to a second.
            assert heard / 48_000 > 3.0 * (start + 700) / len(data) - 1.5


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0, 1), max_size=6))
async def test_any_parts_give_the_same_audio(cuts: list[float]) -> None:
    data = file("webm")
    edges = [0, *sorted(round(cut * len(data)) for cut in cuts), len(data)]
    parts = [data[a:b] for a, b in pairwise(edges)]
    assert np.array_equal(await decoded(parts), await decoded([data]))


def other(kind: str) -> bytes:
    return encode(speech_like(2.0, 48_000, channels=2, seed=9), 48_000, kind)


@cache
def in_one(name: str) -> bytes:
    if name == "webm without sizes":
        return of_unknown_sizes(file("webm")) + of_unknown_sizes(other("webm"))
    if name == "three":
        return file("opus") + other("opus") + file("ogg")
    return file(name) + other(name)


def gapped(kind: str) -> bytes:
    muxer, options = GAPPED[kind]
    return with_gap(file(kind), muxer, 1.0, 6.0, **options)


@pytest.mark.parametrize("name", [*KINDS, "webm without sizes", "three"])
@pytest.mark.parametrize("step", [1, 700, 10**9])
async def test_joined_containers_give_what_the_file_gives(name: str, step: int) -> None:
    data = in_one(name)
    start = len(file(name)) if name in KINDS else len(data) // 2
    if step == 1:  # byte by byte, where one ends and the next begins
        parts = [data[: start - 40], *(data[at : at + 1] for at in range(start - 40, start + 40)), data[start + 40 :]]
    else:
        parts = [data[at : at + step] for at in range(0, len(data), step)]
    whole = joined(list(MonoDecoder(data, 2, 96_000).blocks()))
    samples = await decoded(parts)
    assert len(whole) > 4.9 * 48_000
    assert np.array_equal(samples, whole)


@pytest.mark.parametrize("kind", GAPPED)
async def test_gaps_become_silence_as_in_a_file(kind: str) -> None:
    data = gapped(kind)
    whole = joined(list(MonoDecoder(data, 2, 96_000).blocks()))
    samples = await decoded([data[start : start + 700] for start in range(0, len(data), 700)])
    assert len(samples) > 7.9 * 48_000
    assert np.array_equal(samples, whole)


async def test_a_gap_longer_than_a_message_may_be_is_refused() -> None:
    async with container(max_message_s=5) as stream:
        with pytest.raises(TooLarge):
            await stream.feed(gapped("webm"))


@pytest.mark.parametrize("codec", ["g722", "opus"])
async def test_a_codec_without_a_container_is_decoded_in_a_process_too(codec: Codec) -> None:
    data = g722(speech_like(3.0))[0] if codec == "g722" else opus(sound())[0]
    reader = CodecReader(codec, LIMITS, 60.0)
    whole = joined(reader.feed(data) + reader.finish())
    async with container(codec=codec) as stream:
        blocks = [block for at in range(0, len(data), 701) for block in await stream.feed(data[at : at + 701])]
        assert len(psutil.Process(Template.of_process().pid).children()) == 1
        assert np.array_equal(joined(blocks + await stream.finish()), whole)
        assert await stream.finish() == []
        with pytest.raises(InvalidRequest, match="begin another"):
            await stream.feed(data)


async def test_an_end_that_cannot_be_decoded_is_a_warning() -> None:
    async with container(codec="g722") as stream:
        await stream.feed(bytes(100))
        (process,) = psutil.Process(Template.of_process().pid).children()
        process.kill()
        assert await stream.finish() == []
        (warning,) = stream.warnings
        assert warning.startswith("the last samples could not be decoded")


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "m4a"])
async def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(UnreadableMedia):
        await decoded([encode(sound()[:, :48_000], 48_000, kind), b"\0" * 100_000])


@pytest.mark.parametrize(
    ("kept", "more"), [(0, b"\0" * 100), (0, b"\x1aE\xdf\xa3" + b"\xff" * 200), (60, b"\0" * 5_000)]
)
async def test_what_is_broken_never_hangs(kept: int, more: bytes) -> None:
    data = file("webm")[:kept] + more
    async with container() as stream:
        try:
            assert joined(await stream.feed(data)).size == 0
        except UnreadableMedia:
            with pytest.raises(InvalidRequest, match="begin another"):
                await stream.feed(data)


@pytest.mark.parametrize("kind", KINDS)
async def test_mutants_end_in_audio_or_in_an_error(kind: str) -> None:
    chance = np.random.default_rng(5)
    for _ in range(10):
        with suppress(UnreadableMedia, TooLarge, InvalidRequest):
            await decoded([mutate(file(kind), chance), b"\0" * 1_000])


async def test_a_part_that_unpacks_to_too_much_is_refused() -> None:
    long = repeat(encode(np.zeros((1, 480_000), np.float32), 48_000, "webm"), 30, "webm")
    async with container(max_message_s=60) as stream:
        with pytest.raises(TooLarge):
            await stream.feed(long)


async def test_tags_are_bounded() -> None:
    async with container() as stream:
        await stream.feed(file("webm")[:100])
        with pytest.raises(UnreadableMedia, match="tags"):
            await stream.feed(b"\x45\xa3\x81a" * 20_000)


async def test_a_closed_stream_keeps_no_process() -> None:
    async with container() as stream:
        await stream.feed(file("webm")[:5_000])
        (process,) = psutil.Process(Template.of_process().pid).children()
    await asyncio.to_thread(process.wait, 5)


async def test_a_bomb_in_one_container_does_not_delay_another() -> None:
    with closing(DecoderPool(1, 512 * MIB, Template.of_process())) as pool:
        set_caller("mallory")
        bomb = ContainerStream(pool, LIMITS, 10_000.0)
        feeding = asyncio.create_task(bomb.feed(laced_matroska(14_000)))
        set_caller("alice")
        stream = ContainerStream(pool, LIMITS, 60.0)
        waits = []
        for start in range(0, len(file("webm")), 2_000):
            began = time.monotonic()
            await stream.feed(file("webm")[start : start + 2_000])
            waits.append(time.monotonic() - began)
        assert not feeding.done()
        assert max(waits) < 1
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        bomb.close()
        stream.close()


@pytest.mark.parametrize("mode", [MIX, AUTO])
async def test_many_packets_of_a_message_come_as_one_block(mode: ChannelMode) -> None:
    with closing(DecoderPool(1, 512 * MIB, Template.of_process())) as pool:
        stream = ContainerStream(pool, LIMITS, 60.0, "opus", mode)
        data, _ = opus(sound())
        (block,) = await stream.feed(data)
        stream.close()
    apart = CodecReader("opus", LIMITS, 60.0).feed(data)
    assert len(apart) > 100
    assert np.array_equal(block.samples, joined(apart))
    assert (block.apart is None) == (mode == MIX)


@pytest.mark.parametrize("mode", [AUTO, ChannelMode("separate"), ChannelMode("one", 1)])
async def test_what_a_codec_always_has_may_exceed_the_limits_on_recordings(mode: ChannelMode) -> None:
    limits = AudioLimits(10**9, 10**9, max_channels=1, max_sample_rate=16_000)
    with closing(DecoderPool(1, 512 * MIB, Template.of_process())) as pool:
        stream = ContainerStream(pool, limits, 3.1, "opus", mode)
        data, _ = opus(sound())
        (block,) = await stream.feed(data)
        stream.close()
    assert len(block.samples) > 2.9 * 48_000
