"""Recordings from a real MinIO, cached in a real Valkey, judged by the running service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx
import numpy as np
import pytest

from bonafide_client import AsyncBonafideClient, AudioReport, ChunkScore, Forbidden, InvalidRequest, ObjectNotFound
from tests.integration.logs import assert_told, contained
from tests.integration.stored import (
    BUCKET,
    EMPTY_BUCKET,
    FOREIGN_BUCKET,
    SCORES,
    VALKEY_PASSWORD,
    WINDOWS,
    Chunks,
    StoredService,
)
from tests.integration.test_same_samples import RATE, assert_same, samples, windows_of
from tests.integration.test_speech import SILENCE, spoken
from tests.integration.waiting import wait_active
from tests.media import encode, speech_like, wav
from tests.servers import ACCESS_KEY, SECRET_KEY

HEADERS_BYTES = 4_096
"""More than MinIO says about an object without sending it."""

pytestmark = [pytest.mark.slow, pytest.mark.beside]  # a service of its own has to start


@pytest.fixture
async def client(stored: StoredService) -> AsyncIterator[AsyncBonafideClient]:
    async with AsyncBonafideClient(stored.service.address) as client:
        yield client


def scores(report: AudioReport) -> list[float]:
    return [chunk.score for chunk in report.chunks if chunk.score is not None]


def long_recording(minutes: int, seed: int) -> bytes:
    """The same twelve seconds again and again, as a WAV file."""
    return encode(np.tile(speech_like(12, seed=seed), 5 * minutes), 16_000)


async def test_a_repeated_call_downloads_and_scores_nothing(stored: StoredService, client: AsyncBonafideClient) -> None:
    recording = encode(speech_like(41, seed=1), 16_000)
    stored.put(recording, "repeated.wav")
    chunks, sent = await stored.chunks(), stored.downloads.sent
    first = await client.analyze_object(BUCKET, "repeated.wav")
    assert await stored.chunks() - chunks == Chunks(runner=11, cache=0)
    assert stored.downloads.sent - sent > len(recording)

    await stored.remembers(client, "repeated.wav", 11)
    chunks, sent = await stored.chunks(), stored.downloads.sent
    again = await client.analyze_object(BUCKET, "repeated.wav")
    assert await stored.chunks() - chunks == Chunks(runner=0, cache=11)
    assert stored.downloads.sent - sent < HEADERS_BYTES
    assert scores(again) == scores(first)
    assert (again.audio_seconds, again.label) == (first.audio_seconds, first.label)


async def test_scores_that_are_lost_are_made_again_without_a_download(
    stored: StoredService, client: AsyncBonafideClient
) -> None:
    stored.put(encode(speech_like(41, seed=2), 16_000), "rescored.wav")
    first = await client.analyze_object(BUCKET, "rescored.wav")
    await stored.remembers(client, "rescored.wav", 11)
    for pattern, lost in ((f"{SCORES}:3", 1), (f"{SCORES}:[57]", 2), (SCORES, 11)):
        stored.forget(pattern)
        chunks, sent = await stored.chunks(), stored.downloads.sent
        again = await client.analyze_object(BUCKET, "rescored.wav")
        assert await stored.chunks() - chunks == Chunks(runner=lost, cache=11 - lost)
        assert stored.downloads.sent - sent < HEADERS_BYTES
        assert scores(again) == pytest.approx(scores(first), abs=0.01)


async def test_windows_that_are_lost_are_downloaded_again_but_scored_ones_are_not_scored(
    stored: StoredService, client: AsyncBonafideClient
) -> None:
    recording = encode(speech_like(41, seed=3), 16_000)
    stored.put(recording, "refetched.wav")
    first = await client.analyze_object(BUCKET, "refetched.wav")
    await stored.remembers(client, "refetched.wav", 11)
    stored.forget(WINDOWS)
    stored.forget(f"{SCORES}:9")
    chunks, sent = await stored.chunks(), stored.downloads.sent
    again = await client.analyze_object(BUCKET, "refetched.wav")
    assert await stored.chunks() - chunks == Chunks(runner=1, cache=10)
    assert stored.downloads.sent - sent > len(recording)
    assert scores(again) == pytest.approx(scores(first), abs=0.01)


async def test_a_changed_object_is_not_answered_from_the_cache(
    stored: StoredService, client: AsyncBonafideClient
) -> None:
    """Same name, same length, other voice."""
    voice, other = (encode(speech_like(21, seed=seed), 16_000) for seed in (4, 5))
    assert len(voice) == len(other)
    stored.put(voice, "changed.wav")
    first = await client.analyze_object(BUCKET, "changed.wav")
    stored.put(other, "changed.wav")
    chunks = await stored.chunks()
    second = await client.analyze_object(BUCKET, "changed.wav")
    assert await stored.chunks() - chunks == Chunks(runner=6, cache=0)
    uploaded = await client.analyze_file(other)
    assert scores(second) == pytest.approx(scores(uploaded), abs=0.01)
    assert len(first.chunks) == len(second.chunks) == 6


async def test_a_retried_analysis_scores_only_what_is_missing(
    stored: StoredService, client: AsyncBonafideClient
) -> None:
    stored.put(long_recording(10, seed=6), "retried.wav")
    before = await stored.chunks()
    async with aclosing(client.iter_object(BUCKET, "retried.wav")) as events:
        async for event in events:
            assert isinstance(event, ChunkScore)
            if event.chunk_id == "chunk_20":
                break
    await wait_active(stored.service, 0)
    begun = await stored.chunks() - before
    assert 21 <= begun.runner < 150, "the call was to be left midway"

    before = await stored.chunks()
    report = await client.analyze_object(BUCKET, "retried.wav")
    retried = await stored.chunks() - before
    assert len(report.chunks) == 150
    assert retried.runner + retried.cache == 150
    # what a batch had begun when its caller left may be scored twice
    assert retried.runner <= 150 - 21
    assert retried.cache >= begun.runner - 8


async def test_a_caller_who_leaves_frees_the_place(stored: StoredService, client: AsyncBonafideClient) -> None:
    stored.put(long_recording(10, seed=7), "left.wav")
    before = await stored.chunks()
    async with httpx.AsyncClient(base_url=stored.service.url, timeout=60) as http:
        calls = (
            client.analyze_object(BUCKET, "left.wav"),
            http.post("/analyze_audio", json={"bucket": BUCKET, "key": "left.wav"}),
        )
        tasks = [asyncio.create_task(call) for call in calls]
        await wait_active(stored.service, 2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await wait_active(stored.service, 0, within_s=3)
    judged = await stored.chunks() - before
    assert judged.runner < 300
    await asyncio.sleep(0.5)
    assert await stored.chunks() - before == judged, "somebody works for nobody"


async def test_two_callers_at_one_time_get_the_same_answer(stored: StoredService, client: AsyncBonafideClient) -> None:
    stored.put(encode(speech_like(61, seed=8), 16_000), "twice.wav")
    reports = await asyncio.gather(*(client.analyze_object(BUCKET, "twice.wav") for _ in range(6)))
    for report in reports:
        assert scores(report) == pytest.approx(scores(reports[0]), abs=0.01)


async def test_a_stored_object_has_the_windows_of_its_upload(
    stored: StoredService, client: AsyncBonafideClient
) -> None:
    for seconds in (1.0, 5.0):
        recording = wav(samples(seconds), RATE)
        stored.put(recording, "same.wav")
        uploaded = windows_of(await client.analyze_file(recording + b"\0"))
        for _ in range(2):  # the second time from the cache
            found = windows_of(await client.analyze_object(BUCKET, "same.wav"))
            assert_same(found, uploaded, "object")


async def test_a_repeated_call_knows_the_speech_from_the_cache(
    stored: StoredService, client: AsyncBonafideClient
) -> None:
    stored.put(encode(np.concatenate([spoken(6, seed=32), SILENCE]), 16_000), "pauses.wav")
    first = await client.analyze_object(BUCKET, "pauses.wav")
    await stored.remembers(client, "pauses.wav", 4)
    before = await stored.chunks()
    events = [event async for event in client.iter_object(BUCKET, "pauses.wav")]
    assert (await stored.chunks() - before).runner == 0
    assert [chunk.label == "no_speech" for chunk in first.chunks] == [False, False, True, True]
    chunks = tuple(event for event in events if isinstance(event, ChunkScore))
    assert chunks == first.chunks
    assert [chunk.speech_ratio for chunk in chunks] == [chunk.speech_ratio for chunk in first.chunks]


@pytest.mark.parametrize(
    ("bucket", "key", "error", "status"),
    [
        (FOREIGN_BUCKET, "secret.wav", Forbidden, 403),
        ("somebody-elses", "call.wav", Forbidden, 403),
        (EMPTY_BUCKET, "none.wav", ObjectNotFound, 404),
        ("missing-bucket", "none.wav", ObjectNotFound, 404),
        (BUCKET, "../payroll/secret.wav", InvalidRequest, 400),
        ("Not A Bucket", "none.wav", InvalidRequest, 400),
    ],
)
async def test_what_may_not_or_cannot_be_read(
    stored: StoredService, client: AsyncBonafideClient, bucket: str, key: str, error: type[Exception], status: int
) -> None:
    stored.put(encode(speech_like(5), 16_000), "secret.wav", FOREIGN_BUCKET)
    with pytest.raises(error):
        await client.analyze_object(bucket, key)
    async with httpx.AsyncClient(base_url=stored.service.url) as http:
        answer = await http.post("/analyze_audio", json={"bucket": bucket, "key": key})
    assert answer.status_code == status


async def test_every_key_ends_by_itself(stored: StoredService, client: AsyncBonafideClient) -> None:
    stored.put(encode(speech_like(9, seed=9), 16_000), "ends.wav")
    await client.analyze_object(BUCKET, "ends.wav")
    with stored.keys() as redis:
        keys = list(redis.scan_iter(count=1_000))
        lifetimes = [redis.ttl(key) for key in keys]
    assert {key.split(b":")[0] for key in keys} == {b"bonafide"}
    assert len(keys) >= 7, "a recording, three windows and three scores at least"
    assert all(0 < seconds <= 3_600 for seconds in lifetimes)


async def test_no_secret_is_logged(stored: StoredService, client: AsyncBonafideClient) -> None:
    """At the DEBUG level, after successes and failures."""
    stored.put(encode(speech_like(5, seed=10), 16_000), "logged.wav")
    await client.analyze_object(BUCKET, "logged.wav")
    with pytest.raises(ObjectNotFound):
        await client.analyze_object(BUCKET, "not-there.wav")
    log = stored.service.log.read_text()
    assert_told(log, "AnalyzeAudio")
    assert contained(log, (ACCESS_KEY, SECRET_KEY, VALKEY_PASSWORD)) == []
