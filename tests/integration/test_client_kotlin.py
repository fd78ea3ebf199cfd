"""The Kotlin client, compiled with Maven, against the running service and over a connection that breaks."""

import asyncio
import http
import json
import re
import shutil
import socket
import struct
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields, replace
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from bonafide_client import AudioDetectionClient, LiveSummary, file_blocks
from bonafide_client.live import convert
from bonafide_client.live.results import JudgedWindow
from scripts.local_service import ROOT, LocalService
from tests.integration.torn_stream import RATE, Told, TornStream
from tests.media import encode, speech_like
from tests.proxy import proxy_to

FOLDER = ROOT / "clients" / "kotlin"


async def maven(*arguments: str, fails: bool = False) -> str:
    """Runs Maven on the client without network; what it printed."""
    if not (path := shutil.which("mvn")) or not shutil.which("javac"):
        pytest.skip("needs Maven and a JDK (Debian: apt-get install maven)")
    if not (FOLDER / "target" / "fetched").exists():
        pytest.skip("needs what Maven fetches once: make kotlin")
    process = await asyncio.create_subprocess_exec(
        path, "--batch-mode", "--quiet", "--offline", "-Dstyle.color=never", *arguments, cwd=FOLDER,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert bool(process.returncode) == fails, out.decode()
    return out.decode()


Answers = Callable[[ServerConnection, int, bytes], Awaitable[str]]


@asynccontextmanager
async def peer(answer: Answers) -> AsyncIterator[tuple[str, list[int]]]:
    """A service's address, and how many samples each connection brought; `answer` gets its number and the audio."""
    samples: list[int] = []

    async def handle(connection: ServerConnection) -> None:
        number = len(samples)
        samples.append(0)
        async for frame in connection:
            if isinstance(frame, bytes):
                samples[number] += len(frame) // 4
                await connection.send(await answer(connection, number, frame))
                continue
            kinds = {"connect": "connected", "config": "config_updated", "end": "summary"}
            kind = kinds[json.loads(frame)["type"]]
            verdict = {"label": "no_speech", "p_spoof": None, "audio_seconds": 0.0}
            summary: dict[str, object] = {**verdict, "windows": [], "suspicious": []} if kind == "summary" else {}
            await connection.send(json.dumps({"type": kind, **summary}))

    async with serve(handle, "127.0.0.1", 0, max_size=None, close_timeout=0.1) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/detect", samples


def silence(path: Path, seconds: float, rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * round(seconds * rate)))
    return path


BUFFERING = '{"type": "buffering"}'


@pytest.mark.slow
async def test_a_connection_that_breaks_while_it_closes_is_opened_again_once(tmp_path: Path) -> None:
    async def answer(connection: ServerConnection, number: int, frame: bytes) -> str:
        if number == 0:
            connection.transport.write(bytes([0x88, 2, 0x03, 0xE9]))  # 1001, and then a reset
            plain = connection.transport.get_extra_info("socket")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.transport.abort()
        return BUFFERING

    recording = silence(tmp_path / "silence.wav", 2, 16_000)
    async with peer(answer) as (url, samples):
        out = await maven("compile", "exec:java", f"-Dexec.args={url} {recording}")
    assert "summary" in out
    assert len(samples) == 2
    assert samples[1] == 32_000


@pytest.mark.slow
async def test_refused_audio_is_not_sent_again(tmp_path: Path) -> None:
    frames: list[list[int]] = [[], []]

    async def answer(connection: ServerConnection, number: int, frame: bytes) -> str:
        frames[number].append(len(frame) // 4)
        if number == 0 and len(frames[0]) == 7:
            connection.transport.abort()
        refused = number == 0 and len(frames[0]) == 3
        return '{"type": "error", "code": "unreadable_media", "message": "NaN"}' if refused else BUFFERING

    rate = 1_000_000  # so that a chunk is longer than a frame
    recording = silence(tmp_path / "silence.wav", 0.6, rate)
    async with peer(answer) as (url, samples):
        await maven("compile", "exec:java", f"-Dexec.args={url} {recording}")
    # Chunks that came before the connection stood are sent as one: of a slow machine that may be more than the first.
    assert max(frames[0]) == max(frames[1]) == 65_536
    assert samples[1] == 600_000 - frames[0][2]


@pytest.mark.slow
async def test_a_window_without_a_verdict_is_told_and_an_unknown_label_ends_the_session(tmp_path: Path) -> None:
    labels = ["bonafide"]

    async def answer(connection: ServerConnection, number: int, frame: bytes) -> str:
        verdict = {"label": labels.pop() if labels else "real", "p_spoof": 0.1}
        place = {"sequence": 1, "start_time_seconds": 0.1, "end_time_seconds": 0.2, "speech_ratio": 1.0}
        told = {"error_message": "no verdict on the windows 0: busy"}
        return json.dumps({"type": "detection_result", "windows": [{**place, **verdict, "running": verdict}], **told})

    recording = silence(tmp_path / "silence.wav", 0.5, 16_000)
    async with peer(answer) as (url, samples):
        out = await maven("compile", "exec:java", f"-Dexec.args={url} {recording}", fails=True)
    assert out.index("window 1 0.1 0.2 bonafide") < out.index("error unavailable no verdict on the windows 0: busy")
    assert "error internal the service answered with label real: it is newer than this client, or no Bonafide" in out
    assert out.count("window ") == 1
    assert len(samples) == 1


@pytest.mark.slow
async def test_a_refused_handshake_is_told_in_the_words_of_the_service(tmp_path: Path) -> None:
    asked: list[float] = []

    def refuse(connection: ServerConnection, request: Request) -> Response:
        asked.append(asyncio.get_running_loop().time())
        code, status, wait = (
            ("overloaded", http.HTTPStatus.TOO_MANY_REQUESTS, "3")
            if len(asked) == 1
            else ("unauthenticated", http.HTTPStatus.UNAUTHORIZED, "")
        )
        response = connection.respond(
            status, json.dumps({"error": {"code": code, "message": "who?", "request_id": "r"}})
        )
        if wait:
            response.headers["Retry-After"] = wait
        return response

    async def handle(connection: ServerConnection) -> None:
        raise AssertionError("every handshake is refused")

    recording = silence(tmp_path / "silence.wav", 10, 16_000)
    async with serve(handle, "127.0.0.1", 0, process_request=refuse) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/detect"
        out = await maven("compile", "exec:java", f"-Dexec.args={url} {recording}", fails=True)
    assert "error unauthenticated who?" in out
    assert len(asked) == 2
    assert asked[1] - asked[0] >= 3, "Retry-After is kept to"


@pytest.mark.slow
async def test_pauses_grow_while_audio_is_what_breaks_each_connection(
    tmp_path: Path,
) -> None:
    async def answer(connection: ServerConnection, number: int, frame: bytes) -> str:
        times.append(asyncio.get_running_loop().time())
        if number < 5:
            connection.transport.abort()
        return BUFFERING

    times: list[float] = []
    recording = silence(tmp_path / "silence.wav", 0.5, 16_000)
    async with peer(answer) as (url, samples):
        await maven("compile", "exec:java", f"-Dexec.args={url} {recording}")
    assert len(samples) == 6
    assert times[-1] - times[0] > (0.25 + 0.5 + 1 + 2 + 4) / 2


@pytest.mark.slow
@pytest.mark.beside
async def test_a_stream_goes_on_over_a_connection_that_breaks(service: LocalService, tmp_path: Path) -> None:
    recording = tmp_path / "voice.wav"
    recording.write_bytes(encode(speech_like(6.5), 16_000))
    async with AudioDetectionClient(service.live_url) as client:
        wanted = [window async for window in client.stream(file_blocks(recording))]
    async with proxy_to(service.http_port) as proxy:
        proxy.cut_after = [2_000]  # in the midst of the results
        url = f"ws://{proxy.address}/ws/detect"
        out = await maven("compile", "exec:java", f"-Dexec.args={url} {recording}")
    assert proxy.connections == 2
    windows = [line.split() for line in re.findall(r"window (.+)", out)]
    # What was left at the end is judged in the summary only.
    for window, same in zip(windows, wanted[:6], strict=True):
        assert [float(value) for value in window[:3]] == [same.sequence, same.start_s, same.end_s]
        assert window[3] == same.label
        assert float(window[4] if window[4] != "null" else 0) == pytest.approx(same.score or 0, abs=0.05)
    (summary,) = re.findall(r"summary (.+)", out)
    assert float(summary.split()[2]) == 6.5


@pytest.mark.slow
async def test_a_key_travels_neither_unencrypted_nor_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(connection: ServerConnection, request: Request) -> Response:
        response = connection.respond(http.HTTPStatus.TEMPORARY_REDIRECT, "")
        response.headers["Location"] = url.replace("ws:", "http:").replace("127.0.0.1", "localhost")
        return response

    async def answer(connection: ServerConnection, number: int, frame: bytes) -> str:
        return BUFFERING

    async def handle(connection: ServerConnection) -> None:
        raise AssertionError("every handshake is redirected")

    monkeypatch.setenv("BONAFIDE_API_KEY", "s3cret")
    recording = silence(tmp_path / "silence.wav", 0.5, 16_000)
    foreign = "ws://localhost.bank.invalid/ws/detect"
    out = await maven("compile", "exec:java", f"-Dexec.args={foreign} {recording}", fails=True)
    assert "error invalid_request the API key would travel to localhost.bank.invalid unencrypted" in out
    assert "s3cret" not in out
    async with peer(answer) as (url, samples), serve(handle, "127.0.0.1", 0, process_request=elsewhere) as server:
        near = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/detect"
        out = await maven("exec:java", f"-Dexec.args={near} {recording}", fails=True)
    assert "error invalid_request refused with status 307" in out
    assert samples == []


TORN = {
    "a spoof call with a short tail": TornStream(
        [Told(0.9, members={"one": 0.8, "two": 1.0})],
        [Told(0.8, 0.5, members={"one": 0.7, "two": 0.9})],
        [Told(0.1, 0.3, members={"one": 0.2})],
        cuts=[2],
    ),
    "a suspicious stretch over a break, and a pause": TornStream(
        [Told(0.6)], [Told(None, 0.0)], [Told(0.7)], [Told(0.1)], [Told(None, 0.0)], [Told(0.2)], cuts=[1, 5]
    ),
    "channels": TornStream(
        [Told(0.3)],
        [Told(0.9, channel="agent"), Told(0.1, channel="caller")],
        [Told(0.35, channel="agent"), Told(0.4, 0.5, channel="caller")],
        cuts=[2],
        conditions={"caller": ["noise"]},
    ),
    "channels, and then all as one": TornStream(
        [Told(0.1, channel="agent"), Told(0.9, channel="caller")], [Told(0.5)], [Told(0.4)], cuts=[1]
    ),
    "no speech before, and a connection that falls silent": TornStream(
        [Told(None, 0.0)], [Told(0.1)], cuts=[1], silent=True
    ),
    "speech is not asked for": TornStream([Told(0.9, 0.0)], [Told(0.8, 0.0)], [Told(0.1, 0.2)], cuts=[2]),
}


def as_told(whole: LiveSummary) -> LiveSummary:
    """Without what windows had besides as they came."""

    def plain(windows: tuple[JudgedWindow, ...]) -> tuple[JudgedWindow, ...]:
        names = [field.name for field in fields(JudgedWindow)]
        return tuple(JudgedWindow(**{name: getattr(window, name) for name in names}) for window in windows)

    channels = tuple(replace(channel, windows=plain(channel.windows)) for channel in whole.channels)
    return replace(whole, windows=plain(whole.windows), channels=channels)


@pytest.mark.slow
async def test_the_summary_is_of_the_whole_stream_and_a_callback_may_wait_for_who_calls_the_client() -> None:
    wanted = []
    for torn in TORN.values():
        async with torn.listening() as url, AudioDetectionClient(url, answer_s=1.0) as client:
            for _ in torn.seconds:
                await client.send_audio_chunk([0.0] * RATE, RATE)
            wanted.append(await client.end())
    async with AsyncExitStack() as open_ones:
        streams = [
            f"{len(torn.seconds)}={await open_ones.enter_async_context(torn.listening())}" for torn in TORN.values()
        ]
        out = await maven(
            "test-compile", "exec:java", "-Dexec.mainClass=bonafide.ToldKt", "-Dexec.classpathScope=test",
            f"-Dexec.args={' '.join(streams)}",
        )  # fmt: skip
    assert all(torn.connections == len(torn.cuts) + 1 for torn in TORN.values())
    found = re.findall(r"summary (\S+) (\S+) (\{.+)", out)
    for name, (label, score, told), whole in zip(TORN, found, wanted, strict=True):
        assert convert.summary(json.loads(told), 0, 0.0) == as_told(whole), name
        assert (label, score) == (whole.label, "null" if whole.score is None else str(whole.score)), name
    assert [whole.label for whole in wanted] == ["spoof", "bonafide", "spoof", "spoof", "bonafide", "spoof"]
