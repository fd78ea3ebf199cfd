"""`/ws/twilio` through a real port, with frames as the provider's documentation shows them."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bonafide.api.telephony.call_verdict import CallVerdict
from bonafide.api.telephony.twilio_messages import read_phone_message
from bonafide.errors import InvalidRequest
from bonafide.live.webhook import Webhook
from bonafide.settings import Settings
from tests import phone
from tests.bonafide.api.socket_server import SocketServer, socket_server
from tests.bonafide.fakes import LocalRemote
from tests.bonafide.live.receiver import receiver
from tests.phone import CALL, CONNECTED, DTMF, FRAME_BYTES, STOP, STREAM, mark, media, start

LOUD, SILENT = b"\x9f", b"\xff"
START = start()


def spoken(seconds: float, share: float) -> list[dict[str, Any]]:
    """20 ms a frame; of every half second the first part, this share, is not silent."""
    frames = round(seconds * 50)
    loud = [index % 25 < share * 25 for index in range(frames)]
    return list(phone.spoken(b"".join((LOUD if each else SILENT) * FRAME_BYTES for each in loud)))


@asynccontextmanager
async def call(server: SocketServer, *frames: dict[str, Any]) -> AsyncIterator[ClientConnection]:
    async with connect(server.phone_url, compression=None) as socket:
        for frame in frames:
            await socket.send(json.dumps(frame))
        yield socket


async def verdict(server: SocketServer) -> CallVerdict | None:
    document = await server.calls.get(CALL)
    return CallVerdict.model_validate_json(document) if document else None


async def closed(socket: ClientConnection) -> tuple[int | None, str | None]:
    async with asyncio.timeout(60):
        with suppress(ConnectionClosed):
            while True:
                await socket.recv()
    return socket.close_code, socket.close_reason


async def test_a_call_from_its_first_frame_to_its_last() -> None:
    async with socket_server() as server:
        async with call(server, CONNECTED, START, *spoken(9.0, 0.75), DTMF, STOP) as socket:
            assert await closed(socket) == (1000, "")
        found = await verdict(server)
        assert found is not None
        assert (found.call_id, found.stream_id, found.status, found.reason) == (CALL, STREAM, "done", "end")
        assert (found.label, found.audio_seconds, found.judged_seconds) == ("spoof", 9.0, 9.0)
        assert [window.end_time_seconds for window in found.windows] == [4.0, 8.0, 9.0]
        assert found.p_spoof == pytest.approx(0.75, abs=0.05)  # resampling rings


async def test_the_verdict_is_readable_while_the_call_lasts_and_after_it_breaks_off() -> None:
    async with socket_server() as server:
        async with call(server, CONNECTED, START, *spoken(4.5, 0.25)) as socket:
            found = None
            async with asyncio.timeout(60):
                while found is None or not found.audio_seconds:
                    await asyncio.sleep(0.02)
                    found = await verdict(server)
            assert (found.status, found.label, found.windows) == ("in_progress", "bonafide", [])
            socket.transport.abort()
        await server.until(lambda: server.sessions.active == 0)
        found = await verdict(server)
        assert found is not None
        assert (found.status, found.audio_seconds, len(found.windows)) == ("done", 4.5, 2)


async def test_a_broken_frame_ends_the_call_with_the_verdict_on_what_came_before() -> None:
    async with receiver() as told:
        webhook = Webhook(told.url, "secret")
        async with socket_server(webhook=webhook) as server:
            async with call(server, CONNECTED, START, *spoken(9.0, 0.75), {"event": "media"}) as socket:
                assert await closed(socket) == (1008, "invalid_request")
            found = await verdict(server)
        assert found is not None
        assert (found.status, found.reason, found.audio_seconds, len(found.windows)) == ("done", "error", 9.0, 3)
        await told.wait_for(2)
        await webhook.close()
        assert "done" in [CallVerdict.model_validate_json(body).status for body in told.bodies]


async def test_marks_are_answered_once() -> None:
    async with socket_server() as server, call(server, CONNECTED, START) as socket:
        for _ in range(3):
            await socket.send(json.dumps(mark("greeting over")))
        await socket.send(json.dumps(mark("end")))
        async with asyncio.timeout(60):
            answers = [json.loads(await socket.recv()), json.loads(await socket.recv())]
        assert answers == [
            {"event": "mark", "streamSid": STREAM, "mark": {"name": name}} for name in ("greeting over", "end")
        ]


async def test_of_both_tracks_each_is_judged() -> None:
    both = [
        frame
        for caller, agent in zip(spoken(9.0, 0.25), spoken(9.0, 0.75), strict=True)
        for frame in (caller, {**agent, "media": {**agent["media"], "track": "outbound"}})
    ]
    both_tracks = start(tracks=["inbound", "outbound"])
    async with socket_server() as server, call(server, CONNECTED, both_tracks, *both, STOP) as socket:
        await closed(socket)
        found = await verdict(server)
        assert found is not None
        assert (found.audio_seconds, found.label, found.channel) == (9.0, "spoof", "outbound")
        assert [(each.name, each.label) for each in found.channels] == [("inbound", "bonafide"), ("outbound", "spoof")]
        assert [each.p_spoof for each in found.channels] == pytest.approx([0.25, 0.75], abs=0.07)


async def test_of_one_track_the_other_is_not_judged() -> None:
    both = [frame for n in range(200) for frame in (media(n, LOUD * 160), media(n, SILENT * 160, "outbound"))]
    both_tracks = start(tracks=["inbound"])
    async with socket_server() as server, call(server, CONNECTED, both_tracks, *both, STOP) as socket:
        await closed(socket)
        found = await verdict(server)
        assert found is not None
        assert found.audio_seconds == 4.0
        assert found.p_spoof == pytest.approx(1.0)


async def test_a_call_of_which_only_the_other_track_speaks_is_not_idle() -> None:
    async with socket_server(idle_s=0.6) as server, call(server, CONNECTED, START) as socket:
        for number in range(6):
            await socket.send(json.dumps(media(number, LOUD * FRAME_BYTES, "outbound")))
            await asyncio.sleep(0.2)
        await socket.send(json.dumps(STOP))
        assert await closed(socket) == (1000, "")


@pytest.mark.parametrize(
    "frames",
    [
        [media(0, LOUD)],
        [START, START],
        [start(mediaFormat={"encoding": "audio/x-l16", "sampleRate": 16000})],
        [start(callSid="../../etc")],
        [START, {**media(0, LOUD), "media": {"payload": "???"}}],
        [{"event": "media"}],
        [{"no": "event"}],
    ],
)
async def test_what_is_no_call_is_closed(frames: list[dict[str, Any]]) -> None:
    async with socket_server() as server, call(server, *frames) as socket:
        assert await closed(socket) == (1008, "invalid_request")
        await server.until(lambda: server.sessions.active == 0)


def test_events_that_may_come_one_day_are_skipped() -> None:
    assert read_phone_message('{"event": "hologram", "data": 1}') is None
    with pytest.raises(InvalidRequest):
        read_phone_message("hello")


def test_a_list_of_wrong_tracks_is_refused_by_the_first() -> None:
    frame = start()
    frame["start"]["tracks"] = [{}] * 1_000
    with pytest.raises(InvalidRequest) as refused:
        read_phone_message(json.dumps(frame))
    assert isinstance(refused.value.__cause__, ValidationError)
    assert refused.value.__cause__.error_count() == 1


async def test_the_webhook_is_told_when_the_verdict_changes_and_at_the_end() -> None:
    async with receiver() as told:
        webhook = Webhook(told.url, "secret")
        async with socket_server(webhook=webhook) as server:
            frames = [*spoken(4.0, 0.2), *spoken(24.0, 1.0)]
            async with call(server, CONNECTED, START, *frames, STOP) as socket:
                await closed(socket)
        await told.wait_for(3)
        await webhook.close()
        verdicts = sorted((CallVerdict.model_validate_json(body) for body in told.bodies), key=lambda v: v.timestamp)
        assert [(v.status, v.label) for v in verdicts] == [
            ("in_progress", "bonafide"),
            ("in_progress", "spoof"),
            ("done", "spoof"),
        ]


async def test_a_token_makes_signatures_necessary() -> None:
    url = "wss://voice.example.com/ws/twilio"
    settings = Settings(twilio_auth_token=SecretStr("12345"), twilio_url=url)
    signature = base64.b64encode(hmac.new(b"12345", url.encode(), hashlib.sha1).digest()).decode()
    async with socket_server(settings=settings) as server:
        for headers in ({}, {"X-Twilio-Signature": signature[:-4] + "AAA="}, {"X-Twilio-Signature": "é"}):
            with pytest.raises(InvalidStatus) as refused:
                await connect(server.phone_url, additional_headers=headers)
            assert refused.value.response.status_code == 401
        async with connect(server.phone_url, additional_headers={"X-Twilio-Signature": signature}):
            await server.until(lambda: server.sessions.active == 1)


def test_a_token_without_the_address_is_refused() -> None:
    with pytest.raises(ValidationError, match="TWILIO_URL"):
        Settings(twilio_auth_token=SecretStr("12345"))


async def test_a_model_that_fails_leaves_the_call_open() -> None:
    remote = LocalRemote()
    async with socket_server(remote) as server:
        remote.errors = [OSError("gone")]
        async with call(server, CONNECTED, START, *spoken(8.0, 0.75), STOP) as socket:
            assert await closed(socket) == (1000, "")
        found = await verdict(server)
        assert found is not None
        assert (found.audio_seconds, found.judged_seconds, len(found.windows)) == (8.0, 4.0, 1)
