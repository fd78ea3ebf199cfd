"""A socket that its address configures: without any JSON, after a line of metadata, and refused when it is wrong."""

import asyncio
import json
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus

from bonafide.api.websocket_query import configuration_of
from bonafide.api.websocket_requests import Configure
from bonafide.errors import InvalidRequest
from tests.bonafide.api.socket_server import Client, client, socket_server
from tests.bonafide.live.conversation import level
from tests.coded import g722, opus
from tests.media import speech_like

END, STATS, CONFIG = (f'{{"type": "{kind}"}}' for kind in ("end", "stats", "config"))


def test_the_fields_of_a_query() -> None:
    query = [("encoding", "alaw"), ("sample_rate", "8000"), ("channels", "2"), ("interim", "true")]
    expected = Configure(type="config", encoding="alaw", sample_rate=8_000, channels=2, results="push")
    assert configuration_of([*query, ("call", "x"), ("call", "y"), ("type", "ping")]) == expected
    assert configuration_of([("call", "x")]) is None
    assert configuration_of([("interim", "false")]) == Configure(type="config", results="reply")
    assert configuration_of([("interim", "false"), ("results", "reply")]) == Configure(type="config", results="reply")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ([("encoding", "mp3")], "encoding"),
        ([("encoding", "")], "encoding"),
        ([("sample_rate", "8k")], "sample_rate"),
        ([("channels", "two")], "channels"),
        ([("interim", "perhaps")], "interim"),
        ([("interim", "true"), ("results", "reply")], "contradict"),
        ([("channels", "1"), ("channels", "1")], "channels twice"),
    ],
)
def test_what_is_wrong_in_a_query_is_named(query: list[tuple[str, str]], told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        configuration_of(query)


@pytest.mark.parametrize(
    "query",
    ["encoding=mp3", "encoding=g722&sample_rate=8000", "encoding=g722&channels=2", "encoding=opus&sample_rate=16000",
     "encoding=container&channels=2", "channels=0", "channels=17&encoding=l16", "encoding=alaw&sample_rate=4000",
     "sample_rate=8000&sample_rate=16000", "encoding=alaw&interim=true&results=reply", "chunk_duration=nan",
     "chunk_duration=4&overlap_duration=4", "interim=", "encoding=%00"],
)  # fmt: skip
async def test_a_wrong_address_refuses_the_handshake(query: str) -> None:
    async with socket_server() as server:
        with pytest.raises(InvalidStatus) as refused:
            async with client(f"{server.url}?{query}"):
                pass
        assert refused.value.response.status_code == 400
        assert json.loads(refused.value.response.body)["error"]["code"] == "invalid_request"
        assert server.sessions.active == 0
        async with client(f"{server.url}?encoding=alaw") as next_one:
            assert (await next_one.ask(bytes(4_000))).type == "buffering"


async def test_a_fork_of_two_channels_needs_no_json() -> None:
    loud, quiet = 0x2A, 0xD5  # A-law of a loud sample, and of the smallest
    sound = np.where(np.arange(8_000) % 100 < 70, loud, quiet).astype(np.uint8)
    data = np.stack([sound, sound], 1).tobytes()
    query = "encoding=alaw&sample_rate=8000&channels=2&interim=true&call=7"
    async with socket_server() as server, client(f"{server.url}?{query}") as fork:
        for at in range(0, len(data), 321):
            await fork.send(data[at : at + 321])
        found = await fork.receive()
        assert (found.type, found.result.end_time_seconds) == ("detection_result", 1.0)
        in_force = (await fork.ask(CONFIG)).config
        assert (in_force.encoding, in_force.sample_rate, in_force.channels) == ("alaw", 8_000, 2)
        assert in_force.results == "push"


@pytest.mark.parametrize(
    "metadata",
    ['{"event": "websocket:connected", "content-type": "audio/l16;rate=16000"}', '{"type": "start", "call": 1}',
     "caller 555", "[1]", '"text"', "", "null"],
    ids=["object", "type of others", "text", "array", "string", "empty", "null"],
)  # fmt: skip
async def test_a_line_of_metadata_may_come_first(metadata: str) -> None:
    async with socket_server() as server, client(f"{server.url}?encoding=l16") as fork:
        await fork.send(metadata)
        assert (await fork.ask(level_l16(0.6))).result.p_spoof == pytest.approx(0.6, abs=0.01)
        assert (await fork.ask(metadata)).code == "invalid_request"
        assert (await fork.ask(level_l16(0.6))).type == "detection_result"


@pytest.mark.parametrize("query", ["", "?sample_rate=8000", "?interim=true", "?call=7"])
async def test_metadata_is_an_error_where_the_address_names_no_encoding(query: str) -> None:
    async with socket_server() as server, client(server.url + query) as other:
        assert (await other.ask('{"event": "connected"}')).code == "invalid_request"


async def test_metadata_comes_first_or_is_an_error() -> None:
    async with socket_server() as server, client(f"{server.url}?encoding=l16") as fork:
        assert (await fork.ask(bytes(100))).type == "buffering"
        assert (await fork.ask('{"event": "late"}')).code == "invalid_request"


async def test_a_message_that_comes_first_is_one() -> None:
    async with socket_server() as server:
        async with client(f"{server.url}?encoding=l16") as fork:
            assert (await fork.ask('{"type": "connect", "client_id": "pbx"}')).client_id == "pbx"
            assert (await fork.ask('{"event": "late"}')).code == "invalid_request"
        async with client(f"{server.url}?encoding=l16") as fork:
            answer = await fork.ask('{"type": "config", "sample_rate": "fast"}')
            assert (answer.code, answer.message[:20]) == ("invalid_request", "config: sample_rate:")


@pytest.mark.parametrize("channels", [1, 2])
async def test_the_last_samples_are_judged_too(channels: int) -> None:
    query = f"encoding=pcm16&channels={channels}&interim=true"
    async with socket_server() as server, client(f"{server.url}?{query}") as fork:
        await fork.send(bytes(2 * channels * 16_333))
        assert (await summary_of(fork)).audio_seconds == pytest.approx(16_333 / 16_000)


async def test_channels_that_cancel_are_told_in_the_summary() -> None:
    sound = np.rint(speech_like(2.0)[0] * 32_767)
    data = np.stack([sound, -sound], 1).astype(">i2").tobytes()
    async with socket_server() as server, client(f"{server.url}?encoding=l16&channels=2&interim=true") as fork:
        await fork.send(data)
        (warning,) = (await summary_of(fork)).warnings
        assert warning.startswith("the channels cancel each other out for 2.0 s")


@pytest.mark.parametrize("codec", ["g722", "opus"])
async def test_codecs_come_to_the_end(codec: str) -> None:
    data = g722(speech_like(2.2))[0] if codec == "g722" else opus(speech_like(2.2, 48_000))[0]
    async with socket_server() as server, client(f"{server.url}?encoding={codec}&interim=true") as fork:
        for at in range(0, len(data), 701):
            await fork.send(data[at : at + 701])
        summary = await summary_of(fork)
        assert summary.audio_seconds == pytest.approx(2.2, abs=0.03)
        assert len(summary.windows) == 3


@pytest.mark.parametrize("encoding", ["opus", "l16"])
async def test_a_window_that_the_end_completes_is_told_in_the_summary_alone(encoding: str) -> None:
    if encoding == "opus":
        data, query = opus(speech_like(1.0, 48_000))[0], "encoding=opus&chunk_duration=1.01"
    else:
        data, query = bytes(2 * 2 * 16_700), "encoding=l16&channels=2&chunk_duration=1.03"
    async with socket_server() as server, client(f"{server.url}?{query}") as fork:
        assert (await fork.ask(data)).type == "buffering"
        summary = await fork.ask(END)
        assert (summary.type, len(summary.windows)) == ("summary", 2)


async def test_bytes_that_are_no_opus_packets_are_told() -> None:
    async with socket_server() as server, client(f"{server.url}?encoding=opus") as fork:
        assert (await fork.ask(b"\xff" * 200)).code == "unreadable_media"
        assert (await fork.ask(bytes(200))).code == "invalid_request"
        assert (await fork.ask(STATS)).stats.audio_seconds == 0


def level_l16(share: float) -> bytes:
    return (level(share) * 32_767).astype(">i2").tobytes()


async def summary_of(fork: Client) -> Any:
    await fork.send(END)
    async with asyncio.timeout(30):
        while (answer := await fork.receive()).type != "summary":
            pass
    return answer
