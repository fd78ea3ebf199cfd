"""Clients of `/ws/detect` that send faster than their audio can be judged: they wait, and lose nothing."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from bonafide.bento.websockets import ReadAhead
from bonafide.runner.remote import RunnerResult
from tests.bonafide.api.socket_messages import frame
from tests.bonafide.api.socket_server import Client, SocketServer, client, socket_server
from tests.bonafide.fakes import LocalRemote


class SlowRemote(LocalRemote):
    """Takes 30 ms for each window."""

    async def score(self, items: list[NDArray[Any]]) -> list[RunnerResult]:
        await asyncio.sleep(0.03 * len(items))
        return await super().score(items)


async def sends_at_once(fast: Client, seconds: int) -> Any:
    """Sends noise as fast as it is taken, then `end`; returns the summary."""
    second = np.random.default_rng(0).integers(0, 256, 8_000, np.uint8).tobytes()
    await fast.ask(frame("config", encoding="mulaw", results="push"))

    async def send() -> None:
        for _ in range(seconds):
            await fast.send(second)
        await fast.send(frame("end"))

    sending = asyncio.create_task(send())
    while (answer := await fast.receive()).type != "summary":
        assert answer.type == "detection_result"
    await sending
    return answer


def judged(summaries: Sequence[Any]) -> list[int]:
    return [len(summary.windows) for summary in summaries]


def held(server: SocketServer) -> int:
    """Bytes of messages that wait."""
    _, _, read_ahead = cast(partial[Any], server.server.config.ws).args
    assert isinstance(read_ahead, ReadAhead)
    return read_ahead.held


async def test_who_answers_pings_late_since_we_read_late_is_not_lost() -> None:
    """Answers lie behind audio that is read after more than a ping's time."""
    remote = SlowRemote()
    async with (
        socket_server(remote, message_bytes=2**16, waiting_bytes=2**16, ping_s=0.5) as server,
        client(server.url, ping_interval=None) as one,
        client(server.url, ping_interval=None) as other,
    ):
        assert judged(await asyncio.gather(sends_at_once(one, 90), sends_at_once(other, 90))) == [90, 90]
        assert held(server) == 0


async def test_pings_of_a_fast_client_are_answered_while_its_audio_waits() -> None:
    async with (
        socket_server(SlowRemote(), message_bytes=2**20) as server,
        client(server.url, ping_interval=0.2, ping_timeout=1.0) as fast,
    ):
        assert judged([await sends_at_once(fast, 80)]) == [80]


async def test_what_waits_for_who_has_gone_is_forgotten() -> None:
    remote = SlowRemote()
    async with socket_server(remote, message_bytes=2**16, idle_s=0.5) as server:
        async with client(server.url) as gone:
            await gone.ask(frame("config", encoding="mulaw"))
            for _ in range(60):
                await gone.send(bytes(8_000))
            await server.until(lambda: held(server) > 300_000)
            gone.socket.transport.abort()
        await server.until(lambda: server.sessions.active == 0 and held(server) == 0)
        assert remote.scored < 40


async def test_what_waits_when_a_session_ends_is_forgotten() -> None:
    async with socket_server(SlowRemote(), max_session_s=2.0) as server, client(server.url) as endless:
        await endless.ask(frame("config", encoding="mulaw"))
        for _ in range(60):
            await endless.send(bytes(8_000))
        assert await endless.closed() == (1008, "session_limit")
        await server.until(lambda: held(server) == 0)
