"""Clients of `/ws/detect` that send faster than their audio can be judged: they wait, and lose nothing."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonafide.runner.remote import RunnerResult
from tests.bonafide.api.socket_server import Client, client, socket_server
from tests.bonafide.api.test_websocket import frame
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


async def test_who_answers_pings_late_since_we_read_late_is_not_lost() -> None:
    """Answers lie behind audio that is read after more than a ping's time."""
    remote = SlowRemote()
    async with (
        socket_server(remote, message_bytes=2**16, ping_s=0.5) as server,
        client(server.url, ping_interval=None) as one,
        client(server.url, ping_interval=None) as other,
    ):
        assert judged(await asyncio.gather(sends_at_once(one, 90), sends_at_once(other, 90))) == [90, 90]


async def test_pings_of_a_fast_client_are_answered_while_its_audio_waits() -> None:
    async with (
        socket_server(SlowRemote(), message_bytes=2**20) as server,
        client(server.url, ping_interval=0.2, ping_timeout=1.0) as fast,
    ):
        assert judged([await sends_at_once(fast, 80)]) == [80]
