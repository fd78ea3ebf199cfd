"""AudioSocket through a real port: a call, its limits, and what is no call."""

import asyncio
import gc
import json
import os
import shutil
import socket
import struct
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvloop

from bonafide.api.telephony.audiosocket import DTMF, ERROR, HANGUP, ID, RATES, SILENCE, message
from bonafide.api.telephony.audiosocket_server import AudioSocketServer, _TcpWire
from bonafide.app import App
from bonafide.live.call_verdicts import CallVerdicts
from bonafide.settings import Settings
from bonafide.telemetry import CALLS
from tests.bonafide.api.socket_server import SocketServer
from tests.bonafide.api.telephony.exchanges import pcm, pieces, verdict
from tests.bonafide.fakes import LocalRemote
from tests.bonafide.live.conversation import live_sessions

CALL = uuid.UUID("0a4f1f3e-5b0c-4c9a-9d34-4f0ef6d1c001")
NAME = message(ID, CALL.bytes)
CLIENT = os.environ.get("AUDIOSOCKET_CLIENT", "")
"""Folder with the sources of github.com/CyCoreSystems/audiosocket."""


@asynccontextmanager
async def audiosocket_server(settings: Settings | None = None, **limits: Any) -> AsyncIterator[SocketServer]:
    settings = settings or Settings()
    calls = CallVerdicts.from_settings(settings)
    async with live_sessions(LocalRemote(), **limits) as sessions:
        app = cast(App, SimpleNamespace(live=sessions, settings=settings, calls=calls, webhook=None))
        server = AudioSocketServer(lambda: app)
        port = await server.start("127.0.0.1", 0)
        try:
            yield SocketServer(cast(Any, None), sessions, calls, cast(Any, None), port)
        finally:
            await server.stop()


async def spoken_to(server: SocketServer, *parts: bytes) -> bytes:
    """Sends all, ends, and returns what the server has said until it closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(60):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        await close(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@pytest.mark.parametrize(("kind", "rate", "size"), [(0x10, 8_000, 7), *((*each, 12_800) for each in RATES.items())])
async def test_a_call_at_every_rate_however_it_is_cut(kind: int, rate: int, size: int) -> None:
    audio = b"".join(message(kind, part) for part in pieces(pcm(5, rate), rate // 25))
    stream = NAME + message(SILENCE) + audio + message(DTMF, b"5") + message(HANGUP)
    async with audiosocket_server() as server:
        assert await spoken_to(server, *pieces(stream, size)) == message(HANGUP)
        done = await verdict(server, str(CALL))
    assert (done.label, done.audio_seconds, done.reason) == ("spoof", 5.0, "end")


@pytest.mark.parametrize(
    "stream",
    [
        message(0x10, b"\0\0"),
        message(ID, b"short"),
        NAME + NAME,
        NAME + message(0x42, b"x"),
        NAME + message(0x10, b"\0\0") + message(0x12, b"\0\0"),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_no_call_gets_an_error_message(stream: bytes) -> None:
    async with audiosocket_server() as server:
        assert await spoken_to(server, stream) == message(ERROR, b"\x10")
        await server.until(lambda: server.sessions.active == 0)


async def test_a_call_that_ends_by_an_error_has_the_verdict_on_what_came_before() -> None:
    audio = b"".join(message(0x10, part) for part in pieces(pcm(5, 8_000), 320))
    async with audiosocket_server() as server:
        assert await spoken_to(server, NAME + audio + message(0x42, b"x")) == message(ERROR, b"\x10")
        done = await verdict(server, str(CALL))
    assert (done.reason, done.label, done.audio_seconds, len(done.windows)) == ("error", "spoof", 5.0, 2)


@pytest.mark.parametrize(("last", "reason"), [(message(HANGUP), "end"), (b"", "end"), (message(0x42), "error")])
async def test_a_call_that_ends_before_any_audio_has_a_verdict_too(last: bytes, reason: str) -> None:
    async with audiosocket_server() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(NAME + message(SILENCE))
        async with asyncio.timeout(60):
            while (document := await server.calls.get(str(CALL))) is None:
                await asyncio.sleep(0.01)
        assert json.loads(document)["status"] == "in_progress"
        writer.write(last)
        writer.write_eof()
        await reader.read()
        await close(writer)
        done = await verdict(server, str(CALL))
    assert (done.label, done.audio_seconds, done.reason) == ("no_speech", 0.0, reason)


async def test_a_second_connection_of_a_call_is_refused_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bonafide.live.call_streams.LOST_S", 60.0)  # a busy machine
    async with audiosocket_server() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(NAME + b"".join(message(0x10, part) for part in pieces(pcm(5, 8_000), 320)))
        await server.until(lambda: server.sessions.active == 1)
        assert await spoken_to(server, NAME, message(HANGUP)) == message(ERROR, b"\x10")
        writer.write(message(HANGUP))
        assert await reader.read() == message(HANGUP)
        await close(writer)
        done = await verdict(server, str(CALL))
        assert (done.label, done.audio_seconds, done.reason) == ("spoof", 5.0, "end")
        assert await spoken_to(server, NAME, message(HANGUP)) == message(HANGUP)  # after its end it may come again


async def test_what_has_arrived_is_read_with_turns_for_others_between() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(bytes(256 * 1024))
    wire = _TcpWire(reader, cast(Any, None), b"")
    turns: list[int] = []
    for turn in range(4):
        asyncio.get_running_loop().call_soon(turns.append, turn)
        await wire.receive()
        assert turns == list(range(turn + 1))


async def test_an_id_that_does_not_come_holds_no_session_and_ends() -> None:
    async with audiosocket_server(Settings(http_header_timeout_s=0.2)) as server:
        assert await spoken_to(server, NAME[:10]) == message(ERROR, b"\x16")


async def test_limits_and_drain_hold() -> None:
    async with audiosocket_server(max_sessions=1) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(NAME + message(0x10, pcm(1, 8_000)))
        await server.until(lambda: server.sessions.active == 1)
        assert await spoken_to(server, NAME) == message(ERROR, b"\x14")
        await server.sessions.drain(30)
        assert await reader.read() == message(HANGUP)
        await close(writer)
        assert await spoken_to(server, NAME) == message(ERROR, b"\x15")
        assert (await verdict(server, str(CALL))).reason == "going_away"


async def test_an_idle_call_ends() -> None:
    async with audiosocket_server(idle_s=0.3) as server:
        assert await spoken_to(server, NAME, message(0x10, b"\0\0")) == message(HANGUP)
        assert (await verdict(server, str(CALL))).reason == "idle"


async def test_a_taken_port_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf":{port} \(BONAFIDE_AUDIOSOCKET_HOST, BONAFIDE_AUDIOSOCKET_PORT\): it is"):
            await AudioSocketServer(lambda: None).start("127.0.0.1", port)


async def test_only_named_networks_may_call() -> None:
    async with audiosocket_server(Settings(audiosocket_networks=("10.0.0.0/8",))) as server:
        assert await spoken_to(server, NAME) == message(ERROR, b"\x13")
    async with audiosocket_server(Settings(audiosocket_networks=("127.0.0.0/8",))) as server:
        assert await spoken_to(server, NAME, message(HANGUP)) == message(HANGUP)


@pytest.mark.parametrize("settings", [Settings(), Settings(audiosocket_networks=("127.0.0.0/8",))])
@pytest.mark.parametrize(
    "call", [b"", NAME + message(0x10, bytes(9_000)), NAME + message(0x77)], ids=["nothing", "audio", "unknown"]
)
def test_a_connection_that_is_reset_is_no_bug_of_ours(settings: Settings, call: bytes) -> None:
    bugs: list[dict[str, Any]] = []

    def ended() -> list[float]:
        codes = ("ok", "invalid_request", "internal")
        return [float(CALLS.labels("audiosocket", "audiosocket", code)._value.get()) for code in codes]

    async def reset() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: bugs.append(context))
        async with audiosocket_server(settings) as server:
            with socket.create_connection(("127.0.0.1", server.port)) as peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.sendall(call)
                async with asyncio.timeout(60):
                    while call and await server.calls.get(str(CALL)) is None:
                        await asyncio.sleep(0.001)
            async with asyncio.timeout(60):
                while ended() == before:
                    await asyncio.sleep(0.01)

    before = ended()
    uvloop.run(reset())  # the loop of the service
    gc.collect()  # of a task whose error nobody has seen the loop tells when it goes
    assert (ended()[2], bugs) == (before[2], [])
    if not call:
        assert ended()[1] == before[1] + 1


async def test_connections_that_tell_no_call_are_bounded() -> None:
    async with audiosocket_server() as server:
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(64)]
        async with asyncio.timeout(60):
            while await spoken_to(server, NAME[:1], NAME[1:], message(HANGUP)) != message(ERROR, b"\x14"):
                await asyncio.sleep(0.05)
        for _, writer in silent:
            await close(writer)
        async with asyncio.timeout(60):
            while await spoken_to(server, NAME, message(HANGUP)) != message(HANGUP):
                await asyncio.sleep(0.05)


@pytest.mark.skipif(
    not (CLIENT and shutil.which("go")),
    reason="needs Go, and AUDIOSOCKET_CLIENT with the sources of github.com/CyCoreSystems/audiosocket",
)
async def test_a_client_that_others_wrote(tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text(_GO)
    (tmp_path / "go.mod").write_text(
        "module call\n\ngo 1.12\n\nrequire github.com/CyCoreSystems/audiosocket v0.0.0\n"
        f"replace github.com/CyCoreSystems/audiosocket => {CLIENT}\n"
        "require github.com/gofrs/uuid v3.2.0+incompatible\nrequire github.com/pkg/errors v0.8.1\n"
    )
    (tmp_path / "call.slin").write_bytes(pcm(5, 8_000))
    go = shutil.which("go") or "go"
    await asyncio.to_thread(
        subprocess.run, [go, "build", "-mod=mod", "-o", "call", "."], cwd=tmp_path, check=True, timeout=300
    )
    async with audiosocket_server() as server:
        client = await asyncio.create_subprocess_exec(
            *(tmp_path / "call", f"127.0.0.1:{server.port}", str(CALL), tmp_path / "call.slin"),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(120):
            told, _ = await client.communicate()
        assert (client.returncode, told) == (0, b"hangup")
        done = await verdict(server, str(CALL))
    assert (done.label, done.audio_seconds) == ("spoof", 5.0)


_GO = """package main

import (
	"fmt"
	"net"
	"os"

	"github.com/CyCoreSystems/audiosocket"
	"github.com/gofrs/uuid"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	connection, err := net.Dial("tcp", os.Args[1])
	check(err)
	_, err = connection.Write(audiosocket.IDMessage(uuid.Must(uuid.FromString(os.Args[2]))))
	check(err)
	audio, err := os.ReadFile(os.Args[3])
	check(err)
	check(audiosocket.SendSlinChunks(connection, audiosocket.DefaultSlinChunkSize, audio))
	_, err = connection.Write(audiosocket.HangupMessage())
	check(err)
	answer, err := audiosocket.NextMessage(connection)
	check(err)
	if answer.Kind() == audiosocket.KindHangup {
		fmt.Print("hangup")
	}
}
"""
