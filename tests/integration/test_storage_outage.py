"""MinIO or Valkey frozen, killed and back again under the running service."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import httpx
import pytest
from websockets.asyncio.client import connect

from bonafide_client import AsyncBonafideClient
from proto import audio_analyzer_pb2 as audio
from proto import audio_analyzer_pb2_grpc
from tests import phone
from tests.integration.stored import BUCKET, Chunks, StoredService
from tests.integration.waiting import Stopwatch, until, wait_active
from tests.media import encode, speech_like

STORAGE_BOUND_S = 6.0
"""Two tries of a second each, their pause, and what a busy machine adds."""
CACHE_BOUND_S = 2.0
"""What a dead cache may cost a call."""
DOWN, BACK = "the cache is down", "the cache is back"
NOT_SHARED = "the verdict on a call is kept in this process only"

pytestmark = [pytest.mark.slow, pytest.mark.beside]  # a service of its own has to start


@pytest.fixture
async def client(stored: StoredService) -> AsyncIterator[AsyncBonafideClient]:
    async with AsyncBonafideClient(stored.service.address) as client:
        yield client


@pytest.fixture
async def new_object(stored: StoredService) -> Callable[[], str]:
    """Stores a recording that the service has not seen, and returns its name."""
    made: list[str] = []

    def store() -> str:
        made.append(f"outage-{stored.service.log.stat().st_size}-{len(made)}.wav")
        stored.put(encode(speech_like(13, seed=len(made)), 16_000), made[-1])
        return made[-1]

    return store


async def without_retries(stored: StoredService, key: str) -> tuple[grpc.StatusCode, float]:
    """The status that the service gives at the first try, and the seconds it took."""
    async with grpc.aio.insecure_channel(stored.service.address, options=[("grpc.enable_retries", 0)]) as channel:
        stub: Any = audio_analyzer_pb2_grpc.AudioAnalysisStub(channel)
        request = audio.AnalyzeAudioRequest(minio_bucket_name=BUCKET, minio_object_key=key)
        watch = Stopwatch()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.AnalyzeAudio(request)
        return caught.value.code(), watch.seconds


@pytest.mark.parametrize("outage", ["frozen", "killed"])
async def test_without_minio_a_call_is_refused_soon_and_with_it_works_again(
    stored: StoredService, client: AsyncBonafideClient, new_object: Callable[[], str], outage: str
) -> None:
    key = new_object()
    stored.minio.freeze() if outage == "frozen" else stored.minio.kill()
    try:
        status, seconds = await without_retries(stored, key)
        async with httpx.AsyncClient(base_url=stored.service.url, timeout=30) as http:
            watch = Stopwatch()
            answer = await http.post("/analyze_audio", json={"bucket": BUCKET, "key": key})
        # uploads need no storage
        uploaded = await client.analyze_file(encode(speech_like(5, seed=11), 16_000))
    finally:
        stored.minio.thaw() if outage == "frozen" else stored.minio.start()
    assert status is grpc.StatusCode.UNAVAILABLE
    assert seconds < STORAGE_BOUND_S
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert watch.seconds < STORAGE_BOUND_S
    assert len(uploaded.chunks) == 2
    await wait_active(stored.service, 0)
    assert len((await client.analyze_object(BUCKET, key)).chunks) == 4


@pytest.mark.alone  # MinIO has to be there before the client has tried five times
async def test_the_published_client_bridges_a_restart_of_minio(
    stored: StoredService, client: AsyncBonafideClient, new_object: Callable[[], str]
) -> None:
    key = new_object()
    stored.minio.kill()
    try:
        call = asyncio.create_task(client.analyze_object(BUCKET, key))
        await wait_active(stored.service, 1)
    finally:
        await asyncio.to_thread(stored.minio.start)
    assert len((await call).chunks) == 4


@pytest.mark.alone  # within less than the second after which the service gives up by itself
async def test_who_gives_up_on_a_frozen_minio_frees_the_place(
    stored: StoredService, client: AsyncBonafideClient, new_object: Callable[[], str]
) -> None:
    key = new_object()
    stored.minio.freeze()
    try:
        call = asyncio.create_task(client.analyze_object(BUCKET, key))
        await wait_active(stored.service, 1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await wait_active(stored.service, 0, within_s=0.9)
    finally:
        stored.minio.thaw()


@pytest.mark.parametrize("outage", ["frozen", "killed"])
async def test_without_valkey_calls_go_on_and_with_it_remember_again(
    stored: StoredService, client: AsyncBonafideClient, new_object: Callable[[], str], outage: str
) -> None:
    async def timed() -> float:
        key = new_object()
        watch = Stopwatch()
        assert len((await client.analyze_object(BUCKET, key)).chunks) == 4
        return watch.seconds

    usual = max([await timed() for _ in range(3)])
    failures, told = await cache_failures(stored), log_lines(stored)
    stored.valkey.freeze() if outage == "frozen" else stored.valkey.kill()
    try:
        first = await timed()
        others = [await timed() for _ in range(5)]
    finally:
        stored.valkey.thaw() if outage == "frozen" else stored.valkey.start()
    assert first < usual + CACHE_BOUND_S
    assert min(others) < usual + 0.5, "known to be down, it is not asked again and again"
    assert max(others) < usual + CACHE_BOUND_S
    assert await cache_failures(stored) > failures
    assert log_lines(stored)[DOWN] == told[DOWN] + 1, "one line for each outage"

    async def back() -> bool:
        return log_lines(stored)[BACK] > told[BACK]

    await until(back, within_s=20)
    key = new_object()
    await client.analyze_object(BUCKET, key)
    chunks = await stored.chunks()
    await client.analyze_object(BUCKET, key)
    assert await stored.chunks() - chunks == Chunks(runner=0, cache=4)


async def phone_call(stored: StoredService, call_id: str) -> float:
    """Seconds that a silent call took from its first frame to the close of its socket."""
    watch = Stopwatch()
    async with connect(f"ws://127.0.0.1:{stored.service.http_port}/ws/twilio", compression=None) as socket:
        for frame in (phone.CONNECTED, phone.start(callSid=call_id), phone.STOP):
            await socket.send(json.dumps(frame))
        await socket.wait_closed()
    return watch.seconds


async def test_without_valkey_phone_calls_have_their_verdicts_and_ask_it_once(stored: StoredService) -> None:
    usual = max([await phone_call(stored, f"CA-usual-{n}") for n in range(3)])
    told = log_lines(stored)
    stored.valkey.freeze()
    try:
        await phone_call(stored, "CA-outage-first")
        others = [await phone_call(stored, f"CA-outage-{n}") for n in range(5)]
        async with httpx.AsyncClient(base_url=stored.service.url, timeout=30) as http:
            for n in range(5):
                assert (await http.get(f"/calls/CA-outage-{n}")).json()["status"] == "done"
    finally:
        stored.valkey.thaw()
    assert min(others) < usual + 0.3, "known to be down, it is not asked twice in each call"
    lines = log_lines(stored)
    assert (lines[DOWN], lines[NOT_SHARED]) == (told[DOWN] + 1, told[NOT_SHARED] + 1)

    async def back() -> bool:
        return log_lines(stored)[BACK] > told[BACK]

    await until(back, within_s=20)


async def cache_failures(stored: StoredService) -> float:
    return await stored.metric("bonafide_cache_failures_total")


def log_lines(stored: StoredService) -> dict[str, int]:
    """How often the log mentions the cache."""
    log = stored.service.log.read_text()
    return {line: log.count(line) for line in (DOWN, BACK, NOT_SHARED)}
