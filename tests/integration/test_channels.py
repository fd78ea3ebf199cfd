"""A call on two channels, over every door for recordings: the agent's real voice does not hide the caller's."""

from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from bonafide_client import AsyncBonafideClient, AudioDetectionClient, AudioReport, ChunkScore, InvalidRequest
from scripts.local_service import LocalService
from tests.media import speech_like, wav

pytestmark = pytest.mark.beside

RATE = 16_000


def voice(seed: int) -> NDArray[np.int16]:
    """Eight seconds of int16."""
    sound = speech_like(8.0, RATE, seed=seed)[0]
    pcm: NDArray[np.int16] = np.rint(np.roll(sound, 37_001 * seed) * 20_000).astype(np.int16)
    return pcm


async def test_each_channel_is_judged_as_its_mono_file_over_every_door(
    client: AsyncBonafideClient, http: httpx.AsyncClient, service: LocalService, tmp_path: Path
) -> None:
    left, right = voice(1), voice(2)
    call = wav(np.stack([left, right], axis=1), RATE)
    alone = [(await client.analyze_file(wav(each, RATE))).chunks for each in (left, right)]
    report = await client.analyze_file(call)
    assert [(each.number, each.name) for each in report.channels] == [(0, "0"), (1, "1")]
    for channel, chunks in zip(report.channels, alone, strict=True):
        # bf16 may round the last digits differently in another batch
        assert [each.score for each in channel.chunks] == pytest.approx([each.score for each in chunks], abs=0.01)
    worst = max(report.channels, key=lambda each: each.score or 0.0)
    assert (report.channel, report.score, report.label) == (worst.name, worst.score, worst.label)
    assert [chunk.channel for chunk in report.chunks] == [worst.name] * 2

    posted = (await http.post("/detect_audio", content=call)).json()
    assert [each["score"] for each in posted["channels"]] == pytest.approx([each.score for each in report.channels])
    assert posted["channel"] == report.channel
    assert set(posted["predictions"]) == {"chunk_0", "chunk_1"}
    for answer in (
        await http.post("/detect_audio", content=call, params={"channel_mode": "1"}),
        await http.post("/detect_audio", content=call, headers={"x-channel-mode": "1"}),
    ):
        one = answer.json()
        assert one["score"] == pytest.approx(report.channels[1].score)
        assert [each["number"] for each in one["channels"]] == [1]
    mixed = await client.analyze_file(call, channel_mode="mix")
    assert (mixed.channel, mixed.channels) == ("", ())


async def test_a_stored_call_is_judged_channel_by_channel(
    client: AsyncBonafideClient, http: httpx.AsyncClient, service: LocalService
) -> None:
    events = [event async for event in client.iter_object("samples", "call.mp3", channel_mode="separate")]
    report = events[-1]
    assert isinstance(report, AudioReport)
    named = {event.channel for event in events if isinstance(event, ChunkScore)}
    assert {each.name for each in report.channels} >= named - {""}
    wanted = {"bucket": "samples", "key": "call.mp3", "channel_mode": "separate"}
    posted = (await http.post("/analyze_audio", json=wanted)).json()
    assert [each["score"] for each in posted["channels"]] == pytest.approx([each.score for each in report.channels])


@pytest.mark.parametrize("mode", ["left", "7"])
async def test_a_wrong_choice_is_an_invalid_request_over_every_door(
    client: AsyncBonafideClient, http: httpx.AsyncClient, mode: str
) -> None:
    call = wav(np.stack([voice(1), voice(2)], axis=1), RATE)
    with pytest.raises(InvalidRequest, match="channel_mode"):
        await client.analyze_file(call, channel_mode=mode)
    with pytest.raises(InvalidRequest, match="channel_mode"):
        await client.analyze_object("samples", "call.mp3", channel_mode=mode)
    for answer in (
        await http.post("/detect_audio", content=call, params={"channel_mode": mode}),
        await http.post("/analyze_audio", json={"bucket": "samples", "key": "call.mp3", "channel_mode": mode}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    contradiction = await http.post(
        "/detect_audio", content=call, params={"channel_mode": "mix"}, headers={"x-channel-mode": "1"}
    )
    assert contradiction.status_code == 400


async def test_live_audio_has_the_verdicts_of_the_recording(
    client: AsyncBonafideClient, service: LocalService, tmp_path: Path
) -> None:
    file = tmp_path / "call.wav"
    file.write_bytes(wav(np.stack([voice(1), voice(2)], axis=1), RATE))
    report = await client.analyze_file(file)
    async with AudioDetectionClient(service.live_url, chunk_duration=4.0, channels=2) as live:
        await live.send_audio_file(file)
        summary = await live.end()
    assert [(each.number, each.name, each.label) for each in summary.channels] == [
        (each.number, each.name, each.label) for each in report.channels
    ]
    for heard, recorded in zip(summary.channels, report.channels, strict=True):
        # bf16 may round the last digits differently in another batch
        assert [each.score for each in heard.windows] == pytest.approx(
            [each.score for each in recorded.chunks], abs=0.01
        )
        assert heard.conditions == recorded.conditions
    assert (summary.channel, summary.label) == (report.channel, report.label)
