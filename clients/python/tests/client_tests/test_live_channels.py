"""Live audio of several channels: what is sent, what comes back, and the summary of a session that was resumed."""

import asyncio
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from bonafide_client import AudioDetectionClient, InvalidRequest, LiveWindow, file_blocks
from bonafide_client.live import convert
from bonafide_client.live.results import JudgedWindow, LiveChannel, LiveSummary
from bonafide_client.live.samples import float32_bytes
from bonafide_client.live.session import LiveSession, Request

from .live_peer import LivePeer
from .test_live_results import summary, window

RUNNING = {"label": "spoof", "p_spoof": 0.9}


def placed(sequence: int, channel: str, score: float) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "start_time_seconds": float(sequence),
        "end_time_seconds": sequence + 1.0,
        "label": "spoof" if score >= 0.5 else "bonafide",
        "p_spoof": score,
        "speech_ratio": 1.0,
        "running": RUNNING,
        "channel": channel,
    }


def test_the_result_is_that_of_the_worst_channel() -> None:
    windows = [placed(0, "agent", 0.9), placed(0, "caller", 0.1)]
    message = {"type": "detection_result", "result": windows[0], "windows": windows}
    found = convert.windows(message, 3, 0.0)
    assert [(each.sequence, each.channel) for each in found] == [(3, "agent"), (3, "caller")]
    assert convert.last_of_worst(message, found, 3) is found[0]
    assert convert.last_of_worst({"windows": windows}, found, 3) is found[1]


def heard(second: int, score: float, channel: str = "") -> JudgedWindow:
    return JudgedWindow(**{**window(second, score).__dict__, "channel": channel})


def channel(number: int, name: str, *windows: JudgedWindow, **fields: Any) -> LiveChannel:
    return LiveChannel(number, name, "no_speech", None, windows, (), 0.0, **fields)


def resumed(*channels: LiveChannel, windows: tuple[JudgedWindow, ...] = ()) -> LiveSummary:
    return LiveSummary(**{**summary(*windows).__dict__, "channels": channels})


def test_a_resumed_session_is_summed_up_channel_by_channel() -> None:
    earlier = (heard(0, 0.2), heard(1, 0.9, "agent"), heard(1, 0.1, "caller"))
    last = resumed(
        channel(0, "agent", heard(2, 0.7, "agent"), conditions=("noise",)),
        channel(1, "caller", heard(2, 0.3, "caller")),
    )
    whole = last.after(earlier)
    agent, caller = whole.channels
    assert [each.score for each in (agent, caller)] == pytest.approx([0.6, 0.2])
    assert (whole.channel, whole.label, whole.conditions) == ("agent", "spoof", ("noise",))
    assert whole.score == agent.score
    assert [each.sequence for each in whole.windows] == [0, 1, 2]
    assert whole.judged_seconds == 3.0


def test_a_last_part_that_was_judged_as_one_counts_for_each() -> None:
    whole = resumed(windows=(heard(1, 0.5),)).after((heard(0, 0.9, "0"), heard(0, 0.1, "1")))
    assert [(each.name, each.number) for each in whole.channels] == [("0", 0), ("1", 1)]
    assert [each.score for each in whole.channels] == pytest.approx([0.7, 0.3])
    assert whole.channel == "0"


def test_audio_of_two_channels_is_sent_again_from_a_whole_frame() -> None:
    session = LiveSession("c", {"channels": 2, "channel_mode": "separate"})
    session.opened()
    session.received('{"type": "connected"}')
    audio = np.arange(2 * 12_000, dtype="<f4")
    frames = session.ask(Request("audio", None, audio.tobytes(), 8_000, 2))
    assert '"channels": 2, "channel_mode": "separate"' in str(frames[0])
    session.received('{"type": "config_updated", "config": {"overlap_duration": 0.0}}')
    assert session.unanswered_s == 1.5
    windows = [placed(0, "0", 0.5)]
    session.received(json.dumps({"type": "detection_result", "windows": windows, "result": windows[0]}))
    again = [frame for frame in session.opened() if isinstance(frame, bytes)]
    assert np.array_equal(np.frombuffer(b"".join(again), "<f4"), audio[2 * 8_000 :])


def test_samples_of_two_channels() -> None:
    both = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
    assert float32_bytes(both, 2) == both.tobytes() == float32_bytes(both.ravel(), 2)
    for wrong in ([0.1, 0.2, 0.3], np.zeros((2, 3), np.float32)):
        with pytest.raises(ValueError, match="samples"):
            float32_bytes(wrong, 2)
    with pytest.raises(ValueError, match="mono"):
        float32_bytes(both)


async def test_both_channels_of_a_file_travel_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    sound = np.stack([np.full(16_000, 8_192, np.int16), np.full(16_000, -8_192, np.int16)])
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=8_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(sound.T.reshape(1, -1).copy(), format="s16", layout="stereo")
        frame.sample_rate = 8_000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    blocks = [data async for data, _ in file_blocks(path, channels=2)]
    assert np.array_equal(np.frombuffer(b"".join(blocks), "<f4"), np.tile([0.25, -0.25], 16_000))
    with pytest.raises(InvalidRequest, match="2 channels, and 3"):
        async for _ in file_blocks(path, channels=3):
            pass


async def test_the_client_says_what_it_sends() -> None:
    async with LivePeer().listening() as peer:
        async with AudioDetectionClient(peer.url, channels=2, channel_mode=1) as client:
            async with asyncio.timeout(60):
                found = await client.send_audio_chunk(np.full((16_000, 2), 0.75, np.float32))
        assert isinstance(found, LiveWindow)
        (config,) = [each for each in peer.connections[0] if isinstance(each, dict) and each["type"] == "config"]
        assert (config["channels"], config["channel_mode"]) == (2, "1")
    with pytest.raises(ValueError, match="channel"):
        AudioDetectionClient(peer.url, channels=0)
