"""Windows without speech, through the ports: they have no score, and do not count."""

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from bonafide_client import AsyncBonafideClient
from tests.media import encode, speech_like

pytestmark = pytest.mark.beside

NOISE = np.random.default_rng(0).normal(0, 0.1, 8 * 16_000).astype(np.float32)
SILENCE = np.zeros(8 * 16_000, np.float32)


def spoken(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Mono at 16 kHz."""
    sound: NDArray[np.float32] = speech_like(seconds, seed=seed)[0]
    return sound


@pytest.mark.parametrize("sound", [SILENCE, NOISE], ids=["silence", "noise"])
async def test_what_has_no_speech_is_not_judged(
    client: AsyncBonafideClient, http: httpx.AsyncClient, sound: NDArray[np.float32]
) -> None:
    report = await client.analyze_file(encode(sound, 16_000))
    assert (report.label, report.score, report.error_message) == ("no_speech", None, "no speech was found")
    assert [(chunk.label, chunk.score) for chunk in report.chunks] == [("no_speech", None)] * 2
    assert report.speech_seconds < 0.8
    answer = await http.post("/detect_audio", content=encode(sound, 16_000, "flac"))
    assert answer.status_code == 200
    body = answer.json()
    assert (body["label"], body["predictions"], body["suspicious"]) == ("no_speech", {}, [])
    assert body["error_message"] == "no speech was found"
    assert "score" not in body
    assert not any("score" in chunk for chunk in body["chunks"])


@pytest.mark.parametrize(("samples", "rate"), [(960, 16_000), (1, 48_000)])
async def test_what_is_too_short_for_the_model_is_not_judged(
    bundled: AsyncBonafideClient, bundled_http: httpx.AsyncClient, samples: int, rate: int
) -> None:
    data = encode(speech_like(1.0, rate)[0, rate // 8 :][:samples], rate)
    report = await bundled.analyze_file(data)
    assert (report.label, report.score) == ("no_speech", None)
    assert report.error_message in ("too short to be judged", "no speech was found")
    answer = await bundled_http.post("/detect_audio", content=data)
    assert (answer.status_code, answer.json()["label"]) == (200, "no_speech")


async def test_silence_around_speech_changes_no_verdict(client: AsyncBonafideClient) -> None:
    voice = spoken(8, seed=31)
    alone = await client.analyze_file(encode(voice, 16_000))
    among = await client.analyze_file(encode(np.concatenate([SILENCE, voice, NOISE, SILENCE[:20_000]]), 16_000))
    assert [chunk.label for chunk in among.chunks] == [
        *["no_speech"] * 2,
        *[chunk.label for chunk in alone.chunks],
        *["no_speech"] * 3,
    ]
    assert among.label == alone.label
    # bf16 may round the last digits differently in another batch
    assert among.score == pytest.approx(alone.score, abs=0.01)
    assert among.speech_seconds == pytest.approx(alone.speech_seconds, abs=0.5)
    assert among.error_message == ""
    assert [(s.start_s - 8, s.end_s - 8) for s in among.suspicious] == [(s.start_s, s.end_s) for s in alone.suspicious]


async def test_a_second_of_speech_in_a_window_is_judged(client: AsyncBonafideClient) -> None:
    report = await client.analyze_file(encode(np.concatenate([SILENCE[:32_000], spoken(1), SILENCE[:16_000]]), 16_000))
    (chunk,) = report.chunks
    assert chunk.score is not None
    assert 0.1 <= chunk.speech_ratio <= 0.5


async def test_a_short_recording_that_is_all_speech_is_judged(client: AsyncBonafideClient) -> None:
    report = await client.analyze_file(encode(spoken(0.6, seed=2), 16_000))
    (chunk,) = report.chunks
    assert chunk.score is not None
    assert report.score == chunk.score
    assert report.audio_seconds == pytest.approx(0.6)
    assert chunk.speech_ratio > 0.5
