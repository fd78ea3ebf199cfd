"""Live voices through the running service: correct verdicts, shared batches, constant memory, and the summary."""

import asyncio
import base64
import json
import socket as socketlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect

from bonafide.audio.decoding import MonoDecoder
from scripts.local_service import LocalService
from tests.integration.processes import process_of
from tests.integration.stored import StoredService
from tests.integration.waiting import until
from tests.media import speech_like, wav

pytestmark = pytest.mark.beside

MIB = 2**20
RATE = 16_000
PATIENCE_S = 120.0
_UPGRADE = (
    b"GET /ws/detect HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
_ASKING = bytes([0x81, 0x80 | 17, 0, 0, 0, 0]) + b'{"type": "stats"}'
"""A frame of text, masked with zeros."""


def url(service: LocalService) -> str:
    return f"ws://127.0.0.1:{service.http_port}/ws/detect"


@asynccontextmanager
async def socket(service: LocalService, query: str = "", **config: Any) -> AsyncIterator[ClientConnection]:
    async with connect(url(service) + query, compression=None, max_size=None, open_timeout=PATIENCE_S) as connection:
        if config:
            assert (await ask(connection, {"type": "config", **config}))["type"] == "config_updated"
        yield connection


async def receive(connection: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        answer: dict[str, Any] = json.loads(await connection.recv())
    return answer


async def ask(connection: ClientConnection, message: dict[str, Any] | bytes) -> dict[str, Any]:
    await connection.send(message if isinstance(message, bytes) else json.dumps(message))
    return await receive(connection)


def chunk(samples: NDArray[np.float32], rate: int) -> dict[str, Any]:
    data = base64.b64encode(samples.astype("<f4").tobytes()).decode()
    return {"type": "audio_chunk", "audio_data": data, "sample_rate": rate, "encoding": "base64"}


async def live_sessions(service: LocalService) -> int:
    async with httpx.AsyncClient(timeout=10) as http:
        return int((await http.get(f"{service.url}/stats")).json()["live"]["active_sessions"])


async def none_left(service: LocalService) -> None:
    async def gone() -> bool:
        return await live_sessions(service) == 0

    await until(gone, PATIENCE_S)


async def test_the_same_four_seconds_get_the_same_score_as_in_a_recording(
    service: LocalService, http: httpx.AsyncClient, call_mp3: Path
) -> None:
    blocks = list(MonoDecoder(call_mp3.read_bytes(), 2, 96_000).blocks())
    samples, rate = np.concatenate([block.samples for block in blocks]), blocks[0].rate
    recording = (await http.post("/detect_audio", content=call_mp3.read_bytes())).json()
    async with socket(service, chunk_duration=4.0) as connection:
        answers = [await ask(connection, chunk(part, rate)) for part in np.array_split(samples, 23)]
        windows = [window for answer in answers for window in answer.get("windows", [])]
        summary = await ask(connection, {"type": "end"})
    whole = recording["chunks"][:2]
    assert [window["p_spoof"] for window in windows] == pytest.approx([each["score"] for each in whole], abs=0.01)
    assert summary["model"]["version"] == recording["model"]["version"]
    assert summary["audio_seconds"] == pytest.approx(recording["audio_seconds"])
    assert len(summary["windows"]) == 3


async def test_the_same_samples_get_the_same_scores_in_every_encoding(
    service: LocalService, http: httpx.AsyncClient
) -> None:
    sound = np.rint(speech_like(9.0)[0] * 32_767).astype(np.int16)
    recording = (await http.post("/detect_audio", content=wav(sound[:, np.newaxis], RATE))).json()
    data = {
        "encoding=pcm16": sound.astype("<i2"),
        "encoding=l16": sound.astype(">i2"),
        "encoding=float32": (sound / np.float32(32_768)).astype("<f4"),
        "encoding=l16&channels=2": np.repeat(sound, 2).astype(">i2"),
    }
    for query, samples in data.items():
        async with socket(service, f"?{query}&chunk_duration=4&interim=true") as connection:
            content = samples.tobytes()
            for at in range(0, len(content), 50_001):
                await connection.send(content[at : at + 50_001])
            summary = await ask(connection, {"type": "end"})
            while summary["type"] != "summary":
                summary = await receive(connection)
        live = [window["p_spoof"] for window in summary["windows"]]
        assert live == pytest.approx([each["score"] for each in recording["chunks"]], abs=1e-6), query
        assert summary["p_spoof"] == pytest.approx(recording["score"], abs=1e-6)


async def test_windows_of_many_sockets_meet_in_one_batch(service: LocalService, http: httpx.AsyncClient) -> None:
    async def batched() -> float:
        """Voice windows that came out of batches of two and more."""
        lines = (await http.get("/metrics")).text.splitlines()
        buckets = {
            line.split('le="')[1].split('"')[0]: float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith("bonafide_batch_items_bucket") and 'runner="voice"' in line
        }
        return buckets.get("+Inf", 0.0) - buckets.get("1.0", 0.0)

    before = await batched()
    message = chunk(speech_like(1.0)[0], RATE)
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(socket(service)) for _ in range(12)]
        assert await live_sessions(service) == 12
        for _ in range(3):
            answers = await asyncio.gather(*(ask(connection, message) for connection in sockets))
            assert {answer["type"] for answer in answers} == {"detection_result"}
    assert await batched() > before
    await none_left(service)


@pytest.mark.slow
async def test_memory_stays_flat_with_a_fast_sender_and_a_reader_that_never_reads(stored: StoredService) -> None:
    service = stored.service  # its models are tiny: what is waited for is the transport
    process = process_of(service, "Bonafide")
    second = speech_like(1.0)[0].astype("<f4").tobytes()

    async def sender(seconds: int) -> None:
        """Sends as fast as possible: some hundred times real time."""
        async with socket(service, encoding="float32", results="push", chunk_duration=4.0) as connection:
            sending = asyncio.create_task(_send_all(connection, [second] * seconds))
            windows = 0
            while windows < seconds // 4:
                windows += len((await receive(connection))["windows"])
            await sending

    async def never_reading() -> None:
        """Sends requests and never reads, until it is disconnected.

        Raw, as a client takes as long for each frame as the service, and its sockets here wait meanwhile.
        """
        connection = socketlib.socket()
        connection.setsockopt(socketlib.SOL_SOCKET, socketlib.SO_RCVBUF, 4_096)
        connection.connect(("127.0.0.1", service.http_port))
        _, writer = await asyncio.open_connection(sock=connection)
        writer.write(_UPGRADE)
        with suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    writer.write(_ASKING * 1_000)
                    await writer.drain()
        writer.transport.abort()

    await asyncio.gather(sender(40), sender(40), never_reading(), never_reading())  # what all at once take in any case
    before = process.memory_info().rss
    await asyncio.gather(sender(200), sender(200), never_reading(), never_reading())
    assert process.memory_info().rss - before < 40 * MIB
    await none_left(service)


async def _send_all(connection: ClientConnection, messages: list[bytes]) -> None:
    for message in messages:
        await connection.send(message)
