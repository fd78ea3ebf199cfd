"""A call on two channels over every live door: the windows and the headline of its upload, and who is who."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.exceptions import InvalidStatus

from proto import audio_analyzer_pb2 as audio
from tests.bonafide.api.socket_server import Client, client, socket_server
from tests.bonafide.api.telephony.exchanges import (
    CALL,
    CONVERSATION,
    OPEN,
    Genesys,
    pieces,
    socket,
    telnyx_media,
    telnyx_start,
    verdict,
)
from tests.bonafide.api.test_grpc_live import Code, asked, calling, config, heard, refused
from tests.bonafide.fakes import LocalRemote
from tests.media import encode, speech_like, wav

RATE = 16_000
END = '{"type": "end"}'


def party(seconds: float, seed: int, active: float) -> NDArray[np.int16]:
    """A voice of its own, of which a share is not silent; that share is its score."""
    sound = np.random.default_rng(seed).integers(1, 9_000, round(seconds * RATE)).astype(np.int16)
    sound[np.arange(len(sound)) % 4_000 >= 4_000 * active] = 0
    return sound


def call(seconds: float = 10.0) -> NDArray[np.int16]:
    """An agent whose windows score 1/4, a caller whose windows score 3/4: int16 (n, 2)."""
    return np.stack([party(seconds, 1, 0.25), party(seconds, 2, 0.75)], axis=1)


def parts(data: bytes) -> list[bytes]:
    return [data[at : at + 30_001] for at in range(0, len(data), 30_001)]


async def frames_of(fork: Client, *messages: bytes | str) -> list[Any]:
    """What is answered to the messages and to the end of the session; the last is the summary."""
    for message in (*messages, END):
        await fork.send(message)
    frames: list[Any] = []
    async with asyncio.timeout(60):
        while not frames or frames[-1].type != "summary":
            frames.append(await fork.receive())
    return frames


def windows_in(frames: Sequence[Any]) -> list[Any]:
    return [window for frame in frames if frame.type == "detection_result" for window in frame.windows]


@pytest.mark.parametrize("mode", ["auto", "separate", "mix", "0", "1"])
async def test_every_door_gives_the_windows_and_the_headline_of_the_upload(tmp_path: Path, mode: str) -> None:
    data = parts(call().astype("<i2").tobytes())
    async with calling(tmp_path, LocalRemote()) as (_, stub):
        upload = audio.AnalyzeUploadRequest(data=wav(call(), RATE), channel_mode=mode)
        *_, uploaded = [event async for event in stub.AnalyzeUpload(iter([upload]))]
        said = config(encoding="pcm16", channels=2, chunk_duration=4.0, channel_mode=mode)
        *pushed, last = await asked(stub, said, *map(heard, data))
    report, live = uploaded.summary, last.summary
    assert [each.number for each in report.channels] == {"mix": [], "0": [0], "1": [1]}.get(mode, [0, 1])
    assert list(live.channels) == list(report.channels)
    assert (live.score, live.label, live.channel) == (report.score, report.label, report.channel)
    assert [(f"chunk_{each.sequence}", each.channel, each.score) for each in live.windows] == [
        (each.chunk_id, each.channel, each.score) for each in report.chunks
    ]

    query = f"encoding=pcm16&channels=2&chunk_duration=4&interim=true&channel_mode={mode}"
    async with socket_server() as server, client(f"{server.url}?{query}") as fork:
        frames = await frames_of(fork, *data)
    summary = frames[-1]
    over_grpc = [event.window for event in pushed]
    assert [(each.sequence, each.channel) for each in windows_in(frames)] == [
        (each.sequence, each.channel) for each in over_grpc
    ]
    assert [each.p_spoof for each in windows_in(frames)] == pytest.approx([each.score for each in over_grpc])
    assert (summary.label, summary.channel) == (report.label, report.channel)
    assert [summary.p_spoof, summary.speech_seconds] == pytest.approx([report.score, report.speech_seconds])
    for mine, theirs in zip(summary.channels, report.channels, strict=True):
        assert (mine.number, mine.name, mine.label) == (theirs.number, theirs.name, theirs.label)
        assert mine.conditions == list(theirs.conditions)
        assert [each.p_spoof for each in mine.windows] == pytest.approx([each.score for each in theirs.chunks])


async def test_an_old_client_that_reads_the_last_result_reads_that_of_the_worst_channel() -> None:
    async with socket_server() as server, client(f"{server.url}?encoding=pcm16&channels=2") as fork:
        found = await fork.ask(call(2.0)[:, ::-1].astype("<i2").tobytes())
        assert (found.result.channel, found.result.label, found.result.sequence) == ("0", "spoof", 1)
        assert [(each.sequence, each.channel) for each in found.windows] == [(0, "0"), (0, "1"), (1, "0"), (1, "1")]
        assert {each.running.label for each in found.windows if each.channel == "1"} == {"bonafide"}
        stats = (await fork.ask('{"type": "stats"}')).stats
        assert (stats.audio_seconds, stats.judged_seconds, stats.total_detections) == (2.0, 2.0, 4)


async def test_frames_of_one_channel_say_nothing_of_channels() -> None:
    async with socket_server() as server, client(f"{server.url}?encoding=pcm16") as fork:
        await fork.send('{"type": "config"}')
        await fork.send(call(2.0)[:, 0].astype("<i2").tobytes())
        await fork.send(END)
        texts = [str(await fork.socket.recv()) for _ in range(3)]
    assert [json.loads(text)["type"] for text in texts] == ["config_updated", "detection_result", "summary"]
    assert all("channel" not in text.replace('"channels":1', "") for text in texts)


async def test_the_choice_is_told_and_made_before_the_first_audio() -> None:
    async with socket_server() as server, client(server.url) as fork:
        two = (await fork.ask('{"type": "config", "encoding": "pcm16", "channels": 2}')).config
        assert (two.channels, two.channel_mode) == (2, "auto")
        chosen = (await fork.ask('{"type": "config", "channel_mode": "1"}')).config
        assert (chosen.channels, chosen.channel_mode) == (2, "1")
        for wrong in ('"2"', '"left"'):
            refused = await fork.ask(f'{{"type": "config", "channel_mode": {wrong}, "encoding": "l16"}}')
            assert (refused.type, refused.code) == ("error", "invalid_request")
        assert (await fork.ask(bytes(4_000))).type == "buffering"
        late = await fork.ask('{"type": "config", "channel_mode": "mix"}')
        assert (late.code, late.message) == (
            "invalid_request",
            "channel_mode is chosen before the first audio of a session",
        )
        assert (await fork.ask('{"type": "config", "channel_mode": "1"}')).type == "config_updated"
        assert (await fork.ask('{"type": "config", "channels": 1}')).code == "invalid_request"


async def test_a_wrong_choice_refuses_the_handshake_or_the_call(tmp_path: Path) -> None:
    async with socket_server() as server:
        for query in ("channel_mode=left", "encoding=pcm16&channels=2&channel_mode=2", "channel_mode=1"):
            with pytest.raises(InvalidStatus) as handshake:
                async with client(f"{server.url}?{query}"):
                    pass
            assert handshake.value.response.status_code == 400
    async with calling(tmp_path, LocalRemote()) as (_, stub):
        for wrong in ({"channel_mode": "left"}, {"channels": 2, "channel_mode": "2"}, {"channel_mode": "1"}):
            assert (await refused(stub, config(**wrong))).code() is Code.INVALID_ARGUMENT


async def test_a_later_configuration_of_a_call_keeps_the_choice(tmp_path: Path) -> None:
    data = heard(call(1.0).astype("<i2").tobytes())
    first, then = ({"encoding": "pcm16", "channels": 2, "chunk_duration": chunk} for chunk in (1.0, 0.5))
    async with calling(tmp_path, LocalRemote()) as (_, stub):
        *windows, last = await asked(stub, config(**first, channel_mode="1"), data, config(**then), data)
        assert [event.window.channel for event in windows] == ["1"] * 3
        assert [each.number for each in last.summary.channels] == [1]
        late = await refused(stub, config(**first), data, config(**then, channel_mode="mix"))
        assert late.code() is Code.INVALID_ARGUMENT


async def test_windows_without_a_verdict_are_named_by_their_channel(tmp_path: Path) -> None:
    data = call(1.0).astype("<i2").tobytes()
    remote = LocalRemote()
    async with socket_server(remote) as server, client(f"{server.url}?encoding=pcm16&channels=2") as fork:
        remote.errors = [OSError("gone")] * 2
        assert (await fork.ask(data)).message.startswith("no verdict on the windows 0 of channel 0, 0 of channel 1: ")
    async with calling(tmp_path, remote) as (_, stub):
        remote.errors = [OSError("gone")] * 2
        answers = aiter(stub.AnalyzeLive(iter([config(encoding="pcm16", channels=2), heard(data)])))
        events = [await anext(answers) for _ in range(2)]
        with pytest.raises(grpc.aio.AioRpcError, match="cannot be reached"):  # nothing has a score
            await anext(answers)
        assert [(each.window.channel, bool(each.window.error_message)) for each in events] == [
            ("0", True),
            ("1", True),
        ]


@pytest.mark.parametrize("kind", ["webm", "opus"])
async def test_a_container_of_two_parties_has_two_channels(kind: str) -> None:
    voices = [np.roll(speech_like(3.0, 48_000, seed=seed)[0], 24_001 * seed) for seed in (1, 2)]
    data = encode(np.stack(voices), 48_000, kind)
    async with socket_server() as server:
        for mode, names in (("auto", ["0", "1"]), ("mix", []), ("1", ["1"])):
            async with client(f"{server.url}?encoding=container&channel_mode={mode}&interim=true") as fork:
                summary = (await frames_of(fork, *parts(data)))[-1]
                assert [each.name for each in summary.channels] == names
                assert summary.audio_seconds == pytest.approx(3.0, abs=0.1)
        async with client(f"{server.url}?encoding=container&channel_mode=2") as fork:
            assert (await fork.ask(data)).code == "invalid_request"


LOUD, SILENT = b"\x9f", b"\xff"


def track(seconds: float, share: float) -> bytes:
    """Mu-law of which this share of every half second is not silent."""
    return (LOUD * round(4_000 * share) + SILENT * round(4_000 * (1 - share))) * round(seconds * 2)


@pytest.mark.parametrize("wanted", ["inbound", "both"])
async def test_both_tracks_of_telnyx_are_two_channels(wanted: str) -> None:
    messages = [telnyx_start()]
    for caller, agent in zip(pieces(track(9, 0.25), 160), pieces(track(9, 0.75), 160), strict=True):
        messages.append(telnyx_media(len(messages) + 1, caller))
        messages.append(telnyx_media(len(messages) + 1, agent, "outbound"))
    messages[20], messages[25] = messages[25], messages[20]
    async with socket_server(settings=OPEN) as server:
        async with socket(server, f"telnyx?track={wanted}") as found:
            for text in messages:
                await found.send(text)
        done = await verdict(server, CALL)
    assert done.audio_seconds == 9.0
    if wanted == "inbound":
        assert (done.label, done.channel, done.channels) == ("bonafide", "", [])
    else:
        assert (done.label, done.channel) == ("spoof", "outbound")
        assert [(each.name, each.label) for each in done.channels] == [("inbound", "bonafide"), ("outbound", "spoof")]
        assert [each.p_spoof for each in done.channels] == pytest.approx([0.25, 0.75], abs=0.05)
        assert [each.channel for each in done.windows] == ["outbound"] * 3


@pytest.mark.parametrize(("mode", "channels"), [("auto", ["external", "internal"]), ("mix", []), ("0", ["external"])])
async def test_both_sides_of_genesys_are_two_channels(mode: str, channels: list[str]) -> None:
    exchange = Genesys()
    both = np.stack([np.frombuffer(track(8, share), np.uint8) for share in (0.75, 0.25)], axis=1).tobytes()
    async with socket_server(settings=OPEN, channel_names=("agent", "caller")) as server:
        async with socket(server, f"genesys?track=both&channel_mode={mode}") as found:
            await found.send(exchange.open())
            await exchange.receive(found, "opened")
            for part in pieces(both[: len(both) // 2], 3_200):
                await found.send(part)
            running = (await exchange.receive(found, "event"))["entities"][0]["data"]
            assert [each["name"] for each in running.get("channels", [])] == channels
            assert [each["windows"] for each in running.get("channels", [])] == [[]] * len(channels)
            assert running.get("channel", "") == (channels[0] if channels else "")
            for part in pieces(both[len(both) // 2 :], 3_200):
                await found.send(part)
            await found.send(exchange.message("close", reason="end"))
            await exchange.receive(found, "closed")
        done = await verdict(server, CONVERSATION)
    assert [each.name for each in done.channels] == channels
    assert done.label == "spoof"


async def test_two_channels_of_freeswitch_have_the_names_of_the_settings() -> None:
    async with socket_server(settings=OPEN, channel_names=("agent", "caller")) as server:
        async with socket(server, "freeswitch?call_id=fs-2&sample_rate=16000&channels=2") as found:
            for part in pieces(call(4.0).astype("<i2").tobytes(), 1_280):
                await found.send(part)
        done = await verdict(server, "fs-2")
    assert (done.channel, done.label) == ("caller", "spoof")
