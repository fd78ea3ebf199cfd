"""`/ws/detect` through a real port: who is not let in, and whose socket is closed."""

import asyncio
import json
import logging
import socket
import struct
from contextlib import AsyncExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bonafide.telemetry import CALLS
from tests.bonafide.api.socket_messages import chunk, frame, raw_client
from tests.bonafide.api.socket_server import client, socket_server
from tests.bonafide.api.telephony.exchanges import OPEN, pcm, pieces, verdict
from tests.bonafide.api.telephony.exchanges import socket as phone
from tests.bonafide.bento.edge_server import UPGRADE, masked
from tests.bonafide.fakes import LocalRemote


@pytest.mark.parametrize("path", ["/ws/detect/", "/ws", "/", "/ws/detect2", "/ui/", "/ws/twilio/", "//ws/detect"])
async def test_no_socket_is_at_another_path(path: str) -> None:
    async with socket_server() as server:
        with pytest.raises(InvalidStatus) as refused:
            async with client(f"ws://127.0.0.1:{server.port}{path}"):
                pass
        assert refused.value.response.status_code == 404
        assert b"/ws/detect" in refused.value.response.body


async def test_a_full_house_refuses_at_the_handshake() -> None:
    async with socket_server(max_sessions=2) as server, AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(client(server.url))
        with pytest.raises(InvalidStatus) as refused:
            await stack.enter_async_context(client(server.url))
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["retry-after"] == "5"
        assert json.loads(refused.value.response.body)["error"]["code"] == "overloaded"


async def test_a_service_that_leaves_says_so() -> None:
    async with socket_server() as server, client(server.url) as old, client(server.url) as modern:
        await modern.ask(frame("config", results="push"))
        await modern.send(chunk(0.7, 1.5))
        assert (await modern.receive()).type == "detection_result"
        await old.ask(chunk(0.7, 0.5))
        await server.sessions.drain(30)
        summary = await modern.receive()
        assert (summary.reason, len(summary.windows)) == ("going_away", 2)
        assert await modern.closed() == await old.closed() == (1001, "going_away")
        with pytest.raises(InvalidStatus) as refused:
            async with client(server.url):
                pass
        assert refused.value.response.status_code == 503


async def test_who_says_nothing_for_long_is_closed() -> None:
    async with socket_server(idle_s=0.3) as server, client(server.url) as silent:
        assert await silent.closed() == (1008, "idle")


async def test_a_session_has_a_limit() -> None:
    async with socket_server(max_session_s=2.0) as server, client(server.url) as endless:
        with suppress(ConnectionClosed):
            while True:
                await endless.ask(chunk(0.5))
        assert await endless.closed() == (1008, "session_limit")


async def test_bad_utf8() -> None:
    async with socket_server() as server, client(server.url) as broken:
        await broken.socket.send(b"\xff\xfe", text=True)
        assert (await broken.closed())[0] == 1007
        await server.until(lambda: server.sessions.active == 0)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
async def test_a_message_that_is_too_large_is_skipped_and_told(binary: bool) -> None:
    async with socket_server(message_bytes=100_000) as server, client(server.url) as large:
        await large.ask(frame("config", encoding="float32"))
        for size in (100_001, 5_000_000):
            answer = await large.ask(bytes(size) if binary else frame("audio_chunk", audio_data="A" * size))
            assert (answer.type, answer.code) == ("error", "too_large")
        assert (await large.ask(frame("stats"))).stats.audio_seconds == 0
        assert (await large.ask(chunk(0.7, 0.5))).type == "buffering"


async def test_messages_around_one_that_is_too_large_are_answered_in_order() -> None:
    async with socket_server(message_bytes=100_000) as server, client(server.url) as fast:
        for message in (frame("ping"), frame("x" * 200_000), chunk(0.7, 0.25), frame("y" * 200_000), frame("ping")):
            await fast.send(message)
        seen = [(await fast.receive()).type for _ in range(5)]
        assert seen == ["pong", "error", "buffering", "error", "pong"]


async def test_fragments_that_are_too_large_together_close_the_socket() -> None:
    async with socket_server(message_bytes=100_000) as server:
        for size, count in ((60_000, 3), (200_000, 2)):
            async with client(server.url) as large:
                await large.socket.send("x" * size for _ in range(count))
                assert (await large.closed())[0] == 1009
                await server.until(lambda: server.sessions.active == 0)


async def test_a_message_beyond_all_measure_closes_the_socket() -> None:
    async with socket_server(message_bytes=100_000) as server:
        for opcode in (1, 2, 9):  # text, binary, ping
            sock = await raw_client(server)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, bytes([0x80 | opcode, 0xFF]) + (10**12).to_bytes(8, "big") + bytes(4))
            assert int.from_bytes((await loop.sock_recv(sock, 4_096))[2:4], "big") in (1002, 1009)
            sock.close()
        await server.until(lambda: server.sessions.active == 0)


async def test_half_open_connections_are_reaped() -> None:
    async with socket_server(ping_s=0.2) as server:
        sock = await raw_client(server)  # never answers a ping
        await server.until(lambda: server.sessions.active == 1)
        await server.until(lambda: server.sessions.active == 0 and server.connections() == 0)
        sock.close()


async def test_who_never_reads_is_cut_off_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bonafide.bento.websockets.GRACE_S", 0.2)
    async with socket_server(send_timeout_s=0.5) as server:
        for listener in server.server.servers[0].sockets:  # else the kernel takes megabytes of answers for the client
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        sock = await raw_client(server, receive_buffer=4_096)
        loop = asyncio.get_running_loop()

        async def flood() -> None:
            while True:
                await loop.sock_sendall(sock, masked(1, frame("stats").encode()) * 100)

        flooding = asyncio.create_task(flood())
        await server.until(lambda: server.sessions.active == 1)
        await server.until(lambda: server.sessions.active == 0 and server.connections() == 0)
        await asyncio.wait([flooding], timeout=60)
        assert isinstance(flooding.exception(), ConnectionError)
        sock.close()


async def test_who_leaves_in_the_midst_leaves_nothing() -> None:
    remote = LocalRemote()
    async with socket_server(remote) as server:
        remote.open.clear()
        for _ in range(5):
            async with client(server.url) as gone:
                await gone.send(chunk(0.5))
                await server.until(lambda: remote.calls > 0)
                gone.socket.transport.abort()
        remote.open.set()
        await server.until(lambda: server.sessions.active == 0 and server.connections() == 0)


RESET = struct.pack("ii", 1, 0)
"""Of `SO_LINGER`: a close resets the connection."""


def bugs(method: str) -> float:
    return next(
        (
            sample.value
            for metric in CALLS.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
            and sample.labels == {"transport": "websocket", "method": method, "code": "internal"}
        ),
        0.0,
    )


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("path", [b"ws/detect", b"ws/detect?sample_rate=x", b"ws/nowhere"])
@pytest.mark.parametrize("reset", [False, True])
async def test_who_leaves_during_the_handshake_is_no_bug(
    path: bytes, reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    before = bugs("detect")
    async with socket_server() as server:
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", server.port)) as leaving:
                if reset:
                    leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                leaving.sendall(UPGRADE % path)
            await asyncio.sleep(0)
        await asyncio.sleep(0.2)
        await server.until(lambda: server.sessions.active == 0 and server.connections() == 0)
    assert (bugs("detect"), errors(caplog)) == (before, [])


async def test_a_refused_handshake_is_no_error_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    async with socket_server() as server:
        for path in ("/ws/nowhere", "/ws/detect?sample_rate=x"):
            with pytest.raises(InvalidStatus):
                async with client(f"ws://127.0.0.1:{server.port}{path}"):
                    pass
        await server.until(lambda: server.connections() == 0)
    assert errors(caplog) == []


async def test_nor_is_a_call_whose_socket_is_reset_before_its_verdict_is_told(caplog: pytest.LogCaptureFixture) -> None:
    before = bugs("freeswitch")
    remote = LocalRemote()
    async with socket_server(remote, settings=OPEN) as server:
        remote.open.clear()
        async with phone(server, "freeswitch?call_id=fs-1&sample_rate=16000") as leaving:
            for part in pieces(pcm(40, 16_000), 32_000):  # more than is read while nothing is judged
                await leaving.send(part)
            await server.until(lambda: remote.calls > 0)
            leaving.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            leaving.transport.abort()
            await server.until(lambda: server.connections() == 0)
            remote.open.set()
        assert (await verdict(server, "fs-1")).reason == "end"
        await server.until(lambda: server.sessions.active == 0)
    assert (bugs("freeswitch"), errors(caplog)) == (before, [])
