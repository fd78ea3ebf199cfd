"""Long recordings through the running service: every chunk, bounded memory, and no effect on other callers."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

import av
import numpy as np
import psutil
import pytest

from bonafide_client import AsyncBonafideClient, AudioReport
from scripts.local_service import LocalService
from tests.integration.processes import process_of
from tests.integration.stored import BUCKET, StoredService
from tests.integration.waiting import Stopwatch, wait_active
from tests.media import encode, encode_image, photo, speech_like

pytestmark = [pytest.mark.slow, pytest.mark.beside]

MIB = 2**20
CHUNKS = 450
UPLOADED_CHUNKS = 108
PERIOD = 9
"""Chunks after which the sound repeats: 36 s, which are 500 MP3 frames at 8 kHz."""
GROWTH = 32 * MIB
"""Of the service's memory beside the recording itself: a few blocks and batches, buffers, the answer."""
WINDOWS = UPLOADED_CHUNKS * 64_000 * 2
"""Bytes of the decoded upload; only a cache in memory may hold them."""
PROMPT_S = 5.0
"""For a small call beside the long one, on a machine that is busy; alone it takes some 50 ms."""
_fresh = count(1_000)


def telephone_call(chunks: int) -> bytes:
    """So many chunks of 4 s as MP3, at little cost: a few periods are encoded, and the frames of one repeated."""
    period_s, frame_s = 4 * PERIOD, 0.072
    sound = np.tile(speech_like(period_s, 8_000), 3)
    with av.open(io.BytesIO(encode(sound, 8_000, "mp3")), "r") as container:
        frames = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    count = round(period_s / frame_s)
    # A frame may need bytes of those before it: only the first period begins with one that does not.
    return b"".join(frames[:count] + frames[count : 2 * count] * (chunks // PERIOD - 1))


@asynccontextmanager
async def highest_memory(process: psutil.Process) -> AsyncIterator[Callable[[], int]]:
    """Bytes by which the process outgrew, at its largest, what it held when the block began."""
    before = highest = process.memory_info().rss

    async def look() -> None:
        nonlocal highest
        while True:
            highest = max(highest, process.memory_info().rss)
            await asyncio.sleep(0.05)

    looking = asyncio.create_task(look())
    try:
        yield lambda: highest - before
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def small_calls(client: AsyncBonafideClient) -> None:
    """A short recording and a photo, both new, judged one after the other."""
    assert len((await client.analyze_file(encode(speech_like(1, seed=next(_fresh)), 16_000))).chunks) == 1
    assert (await client.predict_liveness(encode_image(photo(seed=next(_fresh))))).label in ("fake", "live")


async def beside(long_call: "asyncio.Task[AudioReport]", client: AsyncBonafideClient) -> list[float]:
    """Seconds that small calls took while the long one ran."""
    seconds = []
    while not long_call.done():
        watch = Stopwatch()
        await small_calls(client)
        seconds.append(watch.seconds)
        await asyncio.sleep(0.1)
    return seconds


def check(report: AudioReport, chunks: int = CHUNKS) -> None:
    """The chunks are all there, in order, and cover the recording."""
    assert [chunk.chunk_id for chunk in report.chunks] == [f"chunk_{index}" for index in range(chunks)]
    assert [chunk.start_s for chunk in report.chunks] == [4.0 * index for index in range(chunks)]
    assert report.audio_seconds == pytest.approx(4.0 * chunks, abs=0.2)
    assert not report.warnings
    assert not report.error_message
    # what repeats is judged alike each time, but for the decoder's memory of what went before
    periods = np.array([chunk.score for chunk in report.chunks]).reshape(-1, PERIOD)
    assert np.ptp(periods[1:], axis=0).max() < 0.2


async def test_seven_minutes_uploaded(service: LocalService, client: AsyncBonafideClient) -> None:
    recording = telephone_call(UPLOADED_CHUNKS)
    await small_calls(client)
    async with highest_memory(process_of(service, "Bonafide")) as growth:
        call = asyncio.create_task(client.analyze_file(recording))
        waits = await beside(call, client)
        check(await call, UPLOADED_CHUNKS)
    assert len(waits) >= 3
    assert max(waits) < PROMPT_S, f"small calls took {max(waits):.1f} s at worst"
    assert growth() < WINDOWS + 2 * len(recording) + GROWTH, f"grown by {growth() / MIB:.0f} MiB"
    await wait_active(service, 0)


async def test_half_an_hour_in_minio(stored: StoredService) -> None:
    recording = telephone_call(CHUNKS)
    stored.put(recording, "long.mp3")
    async with AsyncBonafideClient(stored.service.address) as client:
        await small_calls(client)
        async with highest_memory(process_of(stored.service, "Bonafide")) as growth:
            call = asyncio.create_task(client.analyze_object(BUCKET, "long.mp3"))
            waits = await beside(call, client)
            first = await call
        check(first)
        assert max(waits) < PROMPT_S, f"small calls took {max(waits):.1f} s at worst"
        assert growth() < 2 * len(recording) + GROWTH, f"grown by {growth() / MIB:.0f} MiB"
        await stored.remembers(client, "long.mp3", CHUNKS)
        sent = stored.downloads.sent
        async with highest_memory(process_of(stored.service, "Bonafide")) as growth:
            again = await client.analyze_object(BUCKET, "long.mp3")
        assert again.chunks == first.chunks
        assert stored.downloads.sent - sent < len(recording) / 10
        assert growth() < GROWTH
