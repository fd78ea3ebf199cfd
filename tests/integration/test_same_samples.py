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
from bonafide_client.live import AudioDetectionClient, LiveSummary
from lab.served import ServedModel
from proto import audio_analyzer_pb2 as audio
from proto import audio_analyzer_pb2_grpc
from scripts.local_service import LocalService
from tests.integration.tiny_models import tiny_voice
from tests.media import encode, speech_like, wav

pytestmark = [pytest.mark.slow, pytest.mark.beside]

RATE = 8_000
LENGTHS = (0.5, 1.0, 3.9, 4.1, 5.0, 9.3)
Warnings = list[str]
Windows = list[tuple[float, float, float]]
"""Start and end in seconds, and P(spoof), 0..1."""


def samples(seconds: float) -> NDArray[np.int16]:
    sound: NDArray[np.int16] = (speech_like(seconds, RATE, seed=17)[0] * 32_767).astype(np.int16)
    return sound


def windows_of(report: AudioReport) -> Windows:
    assert all(chunk.score is not None for chunk in report.chunks)
    return [(chunk.start_s, chunk.end_s, chunk.score or 0.0) for chunk in report.chunks]


async def stream_summary(service: LocalService, data: bytes, encoding: str = "pcm16") -> audio.LiveSummary:
    async def requests() -> AsyncIterator[audio.LiveAudioRequest]:
        config = audio.LiveAudioConfig(sample_rate=RATE, encoding=encoding, chunk_duration=4.0)
        yield audio.LiveAudioRequest(config=config)
        for start in range(0, len(data), 3_001):
            yield audio.LiveAudioRequest(audio=data[start : start + 3_001])

    async with grpc.aio.insecure_channel(service.address) as channel:
        stub: Any = audio_analyzer_pb2_grpc.AudioAnalysisStub(channel)
        summary: audio.LiveSummary = [event async for event in stub.AnalyzeLive(requests())][-1].summary
    return summary


async def streamed(service: LocalService, data: bytes, encoding: str = "pcm16") -> tuple[Windows, Warnings]:
    summary = await stream_summary(service, data, encoding)
    windows = [(each.start_time_seconds, each.end_time_seconds, each.score) for each in summary.windows]
    return windows, list(summary.warnings)


async def socket_summary(service: LocalService, sound: NDArray[np.float32]) -> LiveSummary:
    async with AudioDetectionClient(service.live_url, chunk_duration=4.0) as client:
        await client.send_audio_chunk(sound, RATE)
        return await client.end()


async def spoken_over_the_socket(service: LocalService, sound: NDArray[np.float32]) -> tuple[Windows, Warnings]:
    summary = await socket_summary(service, sound)
    windows = [(window.start_s, window.end_s, window.score or 0.0) for window in summary.windows]
    return windows, list(summary.warnings)


def assert_same(found: Windows, expected: Windows, way: str, within: float = 0.01) -> None:
    """`within`: bf16 may round the last digits differently in another batch."""
    assert len(found) == len(expected), way
    for window, same in zip(found, expected, strict=True):
        assert window == pytest.approx(same, abs=within), way


@pytest.fixture(scope="module")
def evaluation() -> ServedModel:
    return ServedModel(str(tiny_voice()), "voice", Settings(precision="fp32"))


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
        "stream": (await streamed(service, pcm.tobytes()))[0],
        "socket": (await spoken_over_the_socket(service, pcm.astype(np.float32) / np.float32(32_768)))[0],
    }
    (tmp_path / "a.wav").write_bytes(recording)
    scores = [each.score for each in evaluation.score(evaluation.read(tmp_path / "a.wav"))]
    ways["evaluation"] = [(*window[:2], score) for window, score in zip(expected, scores, strict=True)]
    for way, found in ways.items():
        assert_same(found, expected, way)


async def test_every_way_takes_integers_in_floats_for_what_they_are(
    service: LocalService, client: AsyncBonafideClient
) -> None:
    sound = samples(5.0).astype(np.float32)
    expected = windows_of(await client.analyze_file(wav(samples(5.0), RATE)))
    uploaded = await client.analyze_file(wav(sound, RATE))
    (warning,) = uploaded.warnings
    assert "divided by 32768" in warning
    ways = {
        "upload": (windows_of(uploaded), [warning]),
        "stream": await streamed(service, sound.tobytes(), "float32"),
        "socket": await spoken_over_the_socket(service, sound),
    }
    for way, (found, warnings) in ways.items():
        assert_same(found, expected, way)
        assert warnings == [warning], way


async def test_every_way_hears_channels_that_are_opposed(service: LocalService, client: AsyncBonafideClient) -> None:
    sound = speech_like(8.2, 48_000, seed=17)
    recording = encode(np.concatenate([sound, -sound]), 48_000, "webm")
    uploaded = await client.analyze_file(recording)
    (warning,) = uploaded.warnings
    live, (told,) = await streamed(service, recording, "container")
    for text in (warning, told):
        assert text.startswith("the channels cancel each other out for 8.")
    # What the decoder gives up at the end of the file only is in the last window.
    assert_same(live[:2], windows_of(uploaded)[:2], "stream")
