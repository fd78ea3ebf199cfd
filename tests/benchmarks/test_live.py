"""The sessions of the live benchmark, against a socket that responds as the service does."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.live import Row, table
from benchmarks.processes import Memory
from benchmarks.voices import LiveLoad, LiveResult, Protocol, messages, run_live_load
from bonafide.api.websocket_requests import AudioChunk, read_message
from bonafide.live.formats import RawDecoder, text_samples

SOUND = (8_000 * np.sin(np.arange(32_000) / 10)).astype(np.int16)


def result(end_s: float) -> str:
    return json.dumps({"type": "detection_result", "windows": [{"end_time_seconds": end_s}]})


@asynccontextmanager
async def service(delay_s: float = 0.0, lost: float | None = None) -> AsyncIterator[str]:
    """Judges windows of a quarter of a second `delay_s` after their last sample; has none that ends at `lost`."""

    async def respond(socket: ServerConnection) -> None:
        heard = 0.0
        async for message in socket:
            kind = "binary" if isinstance(message, bytes) else json.loads(message)["type"]
            if kind == "config":
                await socket.send('{"type": "config_updated"}')
            elif kind == "end":
                await socket.send('{"type": "summary"}')
            else:
                heard += 0.25
                await asyncio.sleep(delay_s)
                await socket.send(result(heard) if heard != lost else '{"type": "error"}')

    async with serve(respond, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


@pytest.mark.parametrize("protocol", ["pcm16", "base64", "json"])
async def test_every_window_is_expected_and_those_after_the_run_in_are_timed(protocol: Protocol) -> None:
    load = LiveLoad(3, protocol, chunk_s=0.25, run_in_s=0.25, seconds=0.5)
    async with service(delay_s=0.02) as url:
        heard = await run_live_load(url, load, [SOUND], lambda: {"client": 0.0})
    assert (heard.expected, heard.lost, len(heard.delays_s)) == (9, 0, 6)
    assert min(heard.delays_s) >= 0.02
    assert heard.wall_s >= 0.75


async def test_a_window_without_a_verdict_is_lost() -> None:
    async with service(lost=0.5) as url:
        heard = await run_live_load(
            url, LiveLoad(2, chunk_s=0.25, run_in_s=0.0, seconds=0.75), [SOUND], lambda: {"client": 0.0}
        )
    assert (heard.expected, heard.lost, len(heard.delays_s)) == (6, 2, 6)
    assert heard.delays_s.count(math.inf) == 2
    assert Row(LiveLoad(2), heard, {}).p99_s == math.inf, "a service that refuses is no quick one"


@pytest.mark.parametrize("protocol", ["base64", "json"])
def test_messages_hold_the_sound(protocol: Protocol) -> None:
    binary = b"".join(each for each in messages(SOUND, LiveLoad(1)) if isinstance(each, bytes))
    texts = [read_message(str(each)) for each in messages(SOUND, LiveLoad(1, protocol))]
    spoken = [text_samples(each.audio_data) for each in texts if isinstance(each, AudioChunk)]
    assert [len(each) for each in spoken] == [16_000, 16_000]
    np.testing.assert_allclose(np.concatenate(spoken), RawDecoder("pcm16").feed(binary), atol=1e-6)


def test_the_table() -> None:
    heard = LiveResult(20, 1, 10.0, {"service": 5.0, "voice runner": 12.0, "client": 1.0}, [0.1] * 18 + [0.3])
    held = {name: Memory(2**20 * size, None) for name, size in (("service", 700), ("voice runner", 800))}
    line = table([Row(LiveLoad(2), heard, held)]).splitlines()[-1]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:] == ["2", "100", "300", "300", "20", "1", "0.50", "1.20", "0.10", "700", "800"]
