"""The same samples get the same windows and scores by upload, stored object, socket, stream and in the evaluation."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from bonafide.settings import Settings
from bonafide_client import AsyncBonafideClient, AudioReport
from bonafide_client.live import AudioDetectionClient
from lab.served import ServedModel
from proto import audio_analyzer_pb2 as audio
from proto import audio_analyzer_pb2_grpc
from scripts.local_service import LocalService
from tests.integration.stored import BUCKET, StoredService
from tests.media import speech_like, wav

pytestmark = pytest.mark.slow

RATE = 8_000
LENGTHS = (0.5, 1.0, 3.9, 4.1, 5.0, 9.3)
Windows = list[tuple[float, float, float]]
"""Start and end in seconds, and P(spoof), 0..1."""


def samples(seconds: float) -> NDArray[np.int16]:
    sound: NDArray[np.int16] = (speech_like(seconds, RATE, seed=17)[0] * 32_767).astype(np.int16)
    return sound


def windows_of(report: AudioReport) -> Windows:
    assert all(chunk.score is not None for chunk in report.chunks)
    return [(chunk.start_s, chunk.end_s, chunk.score or 0.0) for chunk in report.chunks]


async def streamed(service: LocalService, pcm: bytes) -> Windows:
    async def requests() -> AsyncIterator[audio.LiveAudioRequest]:
        config = audio.LiveAudioConfig(sample_rate=RATE, encoding="pcm16", chunk_duration=4.0)
        yield audio.LiveAudioRequest(config=config)
        for start in range(0, len(pcm), 3_001):
            yield audio.LiveAudioRequest(audio=pcm[start : start + 3_001])

    async with grpc.aio.insecure_channel(service.address) as channel:
        stub: Any = audio_analyzer_pb2_grpc.AudioAnalysisStub(channel)
        events = [event async for event in stub.AnalyzeLive(requests())]
    return [(each.start_time_seconds, each.end_time_seconds, each.score) for each in events[-1].summary.windows]


async def spoken_over_the_socket(service: LocalService, pcm: bytes) -> Windows:
    async with AudioDetectionClient(service.live_url, chunk_duration=4.0) as client:
        await client.send_audio_chunk(np.frombuffer(pcm, np.int16).astype(np.float32) / np.float32(32_768), RATE)
        summary = await client.end()
    return [(window.start_s, window.end_s, window.score or 0.0) for window in summary.windows]


@pytest.fixture(scope="module")
def evaluation() -> ServedModel:
    return ServedModel("bundled", "voice", Settings())


@pytest.mark.parametrize("seconds", LENGTHS)
async def test_every_way_gives_the_same_windows(
    service: LocalService,
    client: AsyncBonafideClient,
    http: httpx.AsyncClient,
    evaluation: ServedModel,
    tmp_path: Path,
    seconds: float,
) -> None:
    pcm = samples(seconds)
    recording = wav(pcm, RATE)
    expected = windows_of(await client.analyze_file(recording))
    assert len(expected) == -(-seconds // 4)
    assert expected[-1][:2] == pytest.approx((max(0.0, seconds - 4), seconds))
    posted = (await http.post("/detect_audio", content=recording)).json()["chunks"]
    ways = {
        "http": [(each["start_time_seconds"], each["end_time_seconds"], each["score"]) for each in posted],
        "stream": await streamed(service, pcm.tobytes()),
        "socket": await spoken_over_the_socket(service, pcm.tobytes()),
    }
    (tmp_path / "a.wav").write_bytes(recording)
    scores = [score for score, _ in evaluation.score(evaluation.read(tmp_path / "a.wav"))]
    ways["evaluation"] = [(*window[:2], score) for window, score in zip(expected, scores, strict=True)]
    for way, found in ways.items():
        assert len(found) == len(expected), way
        for window, same in zip(found, expected, strict=True):
            # bf16 may round the last digits differently in another batch
            assert window == pytest.approx(same, abs=0.01), way


async def test_a_stored_object_has_the_windows_of_its_upload(stored: StoredService) -> None:
    async with AsyncBonafideClient(stored.service.address) as client:
        for seconds in (1.0, 5.0):
            recording = wav(samples(seconds), RATE)
            stored.put(recording, "same.wav")
            uploaded = windows_of(await client.analyze_file(recording + b"\0"))
            for _ in range(2):  # the second time from the cache
                found = windows_of(await client.analyze_object(BUCKET, "same.wav"))
                for window, same in zip(found, uploaded, strict=True):
                    assert window == pytest.approx(same, abs=0.01)
