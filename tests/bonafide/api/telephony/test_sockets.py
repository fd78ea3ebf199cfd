"""Every WebSocket of telephony through a real port: a whole call, what is no call, and a door that is not open."""

import asyncio
import json
from urllib.parse import urlsplit

import pytest
import uvloop
from websockets.exceptions import InvalidStatus

from bonafide.api.telephony.events import Begin, Notes
from bonafide.api.telephony.fields import address_of
from bonafide.api.telephony.genesys import GenesysProtocol
from bonafide.settings import Settings
from tests.bonafide.api.socket_server import socket_server
from tests.bonafide.api.telephony.exchanges import (
    CALL,
    CONVERSATION,
    OPEN,
    Genesys,
    closed,
    mulaw,
    pcm,
    pieces,
    socket,
    telnyx_media,
    telnyx_start,
    verdict,
)
from tests.bonafide.bento.edge_server import UPGRADE, masked

PROVIDERS = ("asterisk", "freeswitch", "telnyx", "vonage", "genesys")


async def test_no_door_is_open_unless_it_is_configured() -> None:
    async with socket_server() as server:
        for path in PROVIDERS:
            with pytest.raises(InvalidStatus) as refused:
                async with socket(server, path):
                    pass
            assert refused.value.response.status_code == 404


async def test_a_call_of_telnyx_out_of_order_with_duplicates_and_a_gap() -> None:
    media = [telnyx_media(number + 2, part) for number, part in enumerate(pieces(mulaw(9), 160))]
    media[10], media[14] = media[14], media[10]
    media.insert(30, media[20])
    del media[100:103]
    stop = json.dumps({"event": "stop", "sequence_number": "452", "stop": {"call_control_id": CALL}})
    async with socket_server(settings=OPEN) as server:
        async with socket(server, "telnyx") as found:
            for text in ('{"event":"connected","version":"1.0.0"}', telnyx_start(), *media, stop):
                await found.send(text)
            assert await closed(found) == (1000, "", [])
        done = await verdict(server, CALL)
    assert (done.label, done.reason) == ("spoof", "end")
    assert done.audio_seconds == pytest.approx(8.94)
    assert done.warnings[-2:] == [
        "3 messages of the stream were lost, in 1 gaps",
        "1 messages came twice or too late, and were dropped",
    ]


@pytest.mark.parametrize(("rate", "size"), [(8_000, 320), (16_000, 640)])
async def test_a_call_of_vonage(rate: int, size: int) -> None:
    connected = {"event": "websocket:connected", "content-type": f"audio/l16;rate={rate}", "call_id": "abc-1"}
    async with socket_server(settings=OPEN) as server:
        async with socket(server, "vonage") as found:
            await found.send(json.dumps(connected))
            for part in pieces(pcm(5, rate), size):
                await found.send(part)
            await found.send('{"event": "websocket:dtmf", "digit": "5", "duration": 260}')
        done = await verdict(server, "abc-1")
    assert (done.label, done.audio_seconds, len(done.windows)) == ("spoof", 5.0, 2)
    assert done.p_spoof == pytest.approx(0.75, abs=0.05)


@pytest.mark.parametrize("channels", [1, 2])
async def test_a_call_of_freeswitch_has_its_verdicts_on_the_socket(channels: int) -> None:
    async with socket_server(settings=OPEN) as server:
        async with socket(server, f"freeswitch?call_id=fs-1&sample_rate=16000&channels={channels}") as found:
            await found.send("any metadata")
            for part in pieces(pcm(4, 16_000, channels), 640 * channels):
                await found.send(part)
            told = json.loads(await found.recv())
            assert (told["type"], told["verdict"]["status"], told["verdict"]["label"]) == (
                "verdict",
                "in_progress",
                "spoof",
            )
        done = await verdict(server, "fs-1")
    assert (done.label, done.audio_seconds) == ("spoof", 4.0)


PLAIN = "MEDIA_START connection_id:conn1 channel:WebSocket/conn1/0x1 channel_id:17.1 format:{} optimal_frame_size:160"
JSON = '{{"event":"MEDIA_START","connection_id":"conn1","channel":"WebSocket/c","channel_id":"17.1","format":"{}"}}'


@pytest.mark.parametrize("form", [PLAIN, JSON])
@pytest.mark.parametrize(("name", "audio"), [("ulaw", mulaw(5)), ("slin", pcm(5, 8_000)), ("slin44", pcm(5, 44_100))])
async def test_a_call_of_asterisk(form: str, name: str, audio: bytes) -> None:
    async with socket_server(settings=OPEN) as server:
        async with socket(server, "asterisk") as found:
            await found.send(form.format(name))
            for part in pieces(audio, 1_600):
                await found.send(part)
            await found.send("MEDIA_XOFF" if form is PLAIN else '{"event":"MEDIA_XOFF","channel_id":"17.1"}')
        done = await verdict(server, "17.1")
    assert (done.stream_id, done.label, done.audio_seconds) == ("conn1", "spoof", 5.0)


@pytest.mark.parametrize("sides", [["external"], ["external", "internal"]])
async def test_a_call_of_genesys_has_its_verdicts_as_events(sides: list[str]) -> None:
    client = Genesys()
    audio = mulaw(8) if len(sides) == 1 else bytes(each for value in mulaw(8) for each in (value, value))
    async with socket_server(settings=OPEN) as server:
        async with socket(server, "genesys") as found:
            await found.send(client.open(CONVERSATION, sides))
            opened = await client.receive(found, "opened")
            assert opened["media"] == [{"type": "audio", "format": "PCMU", "channels": sides, "rate": 8000}]
            for part in pieces(audio[: len(audio) // 2], 1_600):
                await found.send(part)
            entities = (await client.receive(found, "event"))["entities"]
            assert (entities[0]["type"], entities[0]["data"]["label"]) == ("bonafide_verdict", "spoof")
            await found.send(client.message("ping", rtt="PT0.01S"))
            await client.receive(found, "pong")
            await found.send(client.message("paused"))
            await found.send(client.message("resumed", start="PT4S", discarded="PT1S"))
            await found.send(client.message("discarded", start="PT4S", discarded="PT1.5S"))
            await found.send(client.message("update", language="en-US"))
            await client.receive(found, "updated")
            for part in pieces(audio[len(audio) // 2 :], 1_600):
                await found.send(part)
            await found.send(client.message("close", reason="end"))
            final = {"status": ""}
            while final["status"] != "done":
                final = (await client.receive(found, "event"))["entities"][0]["data"]
            assert await client.receive(found, "closed") == {}
        done = await verdict(server, CONVERSATION)
    assert (done.stream_id, done.audio_seconds, done.reason) == ("e160e428-53e2-487c-977d-96989bf5c99d", 8.0, "end")
    assert final == done.model_dump(mode="json")
    assert done.warnings[-1] == "1.50 s of the stream were discarded by the exchange"


@pytest.mark.parametrize(
    ("track", "taken"),
    [("inbound", ["internal", "external"]), ("outbound", ["internal"]), ("both", ["internal", "external"])],
)
def test_genesys_offers_of_which_none_is_the_wanted_one_alone(track: str, taken: list[str]) -> None:
    protocol = GenesysProtocol(address_of([("track", track)]))
    begin, _ = protocol.read(Genesys().open(CONVERSATION, ["internal"], ["internal", "external"]))
    assert isinstance(begin, Begin)
    assert list(begin.names) == taken


@pytest.mark.parametrize(
    ("track", "offers", "missing"),
    [
        ("inbound", [["internal"]], ["external"]),
        ("both", [["internal"], ["external"]], ["external"]),
        ("outbound", [["external", "internal"]], []),
    ],
)
def test_a_side_that_genesys_does_not_offer_is_told(track: str, offers: list[list[str]], missing: list[str]) -> None:
    protocol, client = GenesysProtocol(address_of([("track", track)])), Genesys()
    told = [event for event in protocol.read(client.open(CONVERSATION, *offers)) if isinstance(event, Notes)]
    assert told == [
        Notes((f"not judged, as no offer of the exchange has all that is wanted: {side}",)) for side in missing
    ]
    list(protocol.read(client.message("discarded", discarded="PT1S")))
    (later,) = protocol.read(client.message("error", code=500))
    assert isinstance(later, Notes)
    assert len(later.texts) == len(missing) + 2


async def test_a_probe_of_genesys_is_answered_and_is_no_call() -> None:
    client = Genesys()
    async with socket_server(settings=OPEN) as server, socket(server, "genesys") as found:
        await found.send(client.open("00000000-0000-0000-0000-000000000000"))
        assert (await client.receive(found, "opened"))["media"] == []
        await found.send(client.message("close", reason="end"))
        await client.receive(found, "closed")
        assert (await closed(found))[0] == 1000


async def test_a_drain_says_goodbye_to_genesys_and_waits_for_its_close() -> None:
    client = Genesys()
    async with socket_server(settings=OPEN) as server, socket(server, "genesys") as found:
        await found.send(client.open())
        await client.receive(found, "opened")
        for stream in server.sessions.of(""):
            stream.drain()
        assert await client.receive(found, "disconnect") == {"reason": "completed", "info": "going_away"}
        await found.send(client.message("close", reason="disconnect"))
        await client.receive(found, "closed")
        assert (await closed(found))[0] == 1001


@pytest.mark.parametrize(
    ("path", "frames", "told"),
    [
        ("telnyx", [telnyx_media(2, b"\xff")], []),
        ("telnyx", [telnyx_start(encoding="L16", sample_rate=16000)], []),
        ("telnyx", [telnyx_start(), telnyx_start()], []),
        ("telnyx", [b"\x00"], []),
        ("telnyx", ["[" * 100_000], []),
        ("vonage", [b"\x00\x00"], []),
        ("vonage", ['{"event": "websocket:connected", "content-type": "audio/l16;rate=44100", "uuid": "a"}'], []),
        ("vonage", ['{"event": "websocket:connected", "content-type": "audio/l16;rate=16000", "uuid": "../x"}'], []),
        ("freeswitch", [b"\x00\x00"], ["error"]),
        ("freeswitch", ['{"call_id": "x", "sample_rate": 11025}'], ["error"]),
        ("freeswitch", ["not JSON"], ["error"]),
        ("asterisk", [b"\x00"], ["HANGUP"]),
        ("asterisk", ["MEDIA_START connection_id:x format:opus"], ["HANGUP"]),
        ("asterisk", ["no event"], ["HANGUP"]),
        ("asterisk", ['{"event": "MEDIA_START", "connection_id": "x", "format": "g729"}'], ["HANGUP"]),
        ("genesys", [b"\x00"], ["disconnect"]),
        ("genesys", [Genesys().message("ping")], ["disconnect"]),
        ("genesys", [Genesys().open(), Genesys().open()], ["opened", "disconnect"]),
        ("genesys", [Genesys().open("no uuid")], ["disconnect"]),
        ("genesys", ["{}"], ["disconnect"]),
    ],
)
async def test_what_is_no_call_is_refused_in_the_protocols_own_form(
    path: str, frames: list[str | bytes], told: list[str]
) -> None:
    async with socket_server(settings=OPEN) as server, socket(server, path) as found:
        for frame in frames:
            await found.send(frame)
        code, reason, texts = await closed(found)
        assert (code, reason) == (1008, "invalid_request")
        kinds = [json.loads(text) if text[0] == "{" else {"type": text} for text in texts]
        assert [each.get("type", each.get("command")) for each in kinds] == told
        await server.until(lambda: server.sessions.active == 0)


@pytest.mark.parametrize(
    ("path", "call_id", "frames", "told"),
    [
        ("telnyx", CALL, [telnyx_start(), *(telnyx_media(n + 2, mulaw(1)) for n in range(5)), b"\x00"], None),
        (
            "vonage",
            "abc-1",
            [
                '{"event": "websocket:connected", "content-type": "audio/l16;rate=8000", "call_id": "abc-1"}',
                *pieces(pcm(5, 8_000), 8_000),
                "not JSON",
            ],
            None,
        ),
        ("freeswitch?call_id=fs-3&sample_rate=8000", "fs-3", [*pieces(pcm(5, 8_000), 8_000), "x" * 2**21], "error"),
        ("asterisk", "17.1", [PLAIN.format("slin"), *pieces(pcm(5, 8_000), 8_000), "no event"], "HANGUP"),
        ("genesys", CONVERSATION, [Genesys().open(), *pieces(mulaw(5), 8_000), "{}"], "disconnect"),
    ],
)
async def test_a_call_that_ends_by_an_error_has_the_verdict_on_what_came_before(
    path: str, call_id: str, frames: list[str | bytes], told: str | None
) -> None:
    async with socket_server(settings=OPEN) as server:
        async with socket(server, path) as found:
            for frame in frames:
                await found.send(frame)
            code, reason, texts = await closed(found)
            assert (code, reason) == (1008, "too_large" if "freeswitch" in path else "invalid_request")
            assert told is None or told in texts[-1]
        done = await verdict(server, call_id)
    assert (done.reason, done.label, done.audio_seconds, len(done.windows)) == ("error", "spoof", 5.0, 2)


async def test_an_address_that_cannot_be_read_is_refused_before_the_socket_opens() -> None:
    async with socket_server(settings=OPEN) as server:
        for query in ("call_id=a/b", "channels=3", "track=left", "call_id=a&call_id=b", "sample_rate=x"):
            with pytest.raises(InvalidStatus) as refused:
                async with socket(server, f"freeswitch?{query}"):
                    pass
            assert refused.value.response.status_code == 400


async def test_a_socket_that_breaks_while_verdicts_are_sent_leaves_the_verdict() -> None:
    async with socket_server(settings=OPEN) as server:
        async with socket(server, "freeswitch?call_id=fs-2&sample_rate=8000") as found:
            await found.send(pcm(9, 8_000))
            found.transport.abort()
        assert (await verdict(server, "fs-2")).audio_seconds == 9.0


async def test_what_came_before_a_connection_ended_without_a_close_frame_is_judged() -> None:
    audio = b"".join(masked(2, part) for part in pieces(pcm(3.5, 8_000), 320))
    async with socket_server(settings=OPEN) as server:
        for number in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(server.url).port)
            writer.write(UPGRADE % b"ws/freeswitch?call_id=fs-%d&sample_rate=8000" % number)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(audio)
            writer.close()
            await writer.wait_closed()
            await server.until(lambda: server.sessions.active == 0)
        assert [(await verdict(server, f"fs-{number}")).audio_seconds for number in range(5)] == [3.5] * 5


def test_an_error_of_a_call_whose_peer_has_gone_is_no_bug_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    async def refused() -> None:
        async with socket_server(settings=OPEN) as server:
            server.remote.open.clear()
            async with socket(server, "vonage?call_id=v-1") as found:
                await found.send(json.dumps({"content-type": "audio/l16;rate=8000"}))
                await found.send(pcm(4, 8_000))
                await found.send("no JSON")
                await server.until(lambda: server.remote.in_progress)
                found.transport.abort()
            await server.until(lambda: not server.connections())
            server.remote.open.set()
            assert (await verdict(server, "v-1")).reason == "error"
            await server.until(lambda: not server.sessions.active)
            await asyncio.sleep(0.01)

    uvloop.run(refused())  # the loop of the service
    assert "Exception in ASGI application" not in caplog.text


async def test_origins_and_limits_hold() -> None:
    async with socket_server(settings=OPEN, max_sessions=1) as server:
        with pytest.raises(InvalidStatus) as refused:
            async with socket(server, "telnyx", origin="https://elsewhere.example"):
                pass
        assert refused.value.response.status_code == 403
        async with socket(server, "telnyx"):
            await server.until(lambda: server.sessions.active == 1)
            with pytest.raises(InvalidStatus) as full:
                async with socket(server, "vonage"):
                    pass
            assert full.value.response.status_code == 503


def test_a_genesys_secret_needs_its_key_and_its_door() -> None:
    for wrong in (
        {"genesys_client_secret": "TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU=", "genesys": True},
        {"genesys_client_secret": "TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU=", "genesys_api_key": "k"},
        {"genesys_client_secret": "???", "genesys_api_key": "k", "genesys": True},
        {"audiosocket_networks": "10.0.0.300"},
    ):
        with pytest.raises(ValueError, match=r"BONAFIDE_GENESYS|base64|networks"):
            Settings.model_validate(wrong)
