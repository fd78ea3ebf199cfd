"""A runner that is killed or terminated under load: calls succeed or get a retry hint, and it restarts."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from functools import cache
from itertools import count
from pathlib import Path

import httpx
import psutil
import pytest

from bonafide.runner.replicas import LOST_AFTER_S
from bonafide_client import AsyncBonafideClient, Unavailable
from scripts.local_service import LocalService, running
from tests.integration.processes import has_ended, process_of
from tests.integration.waiting import Stopwatch, until, wait_active
from tests.media import encode, encode_image, photo, speech_like

PHOTO = encode_image(photo())
LONG, SHORT = 240, 4
"""Seconds of a recording."""
MARKS = (number.to_bytes(2, "big") for number in count())
"""Put behind a recording, so that no score comes from the cache."""
PATIENCE_S = 240.0


@pytest.mark.deploy
@pytest.mark.timeout(900)
async def test_the_service_survives_its_runner(tmp_path: Path, measured: Callable[[str, str], None]) -> None:
    with running(tmp_path / "log", {"BONAFIDE_DRAIN_S": "3"}) as service:
        for signum in (signal.SIGKILL, signal.SIGTERM):
            answered, refused, seconds = await _without_runner(service, signum)
            measured(
                f"the voice runner gets {signum.name} on one machine",
                f"of 6 calls in flight {answered} answered, {refused} told UNAVAILABLE; a new call is answered "
                f"{seconds:.1f} s after the runner's end; no photo failed",
            )


async def _without_runner(service: LocalService, signum: signal.Signals) -> tuple[int, int, float]:
    """Takes the voice runner away under load.

    Returns:
        How many calls in flight were answered and refused, and the seconds from the runner's end to the next answer.
    """
    async with AsyncBonafideClient(service.address) as client, httpx.AsyncClient(timeout=PATIENCE_S) as http:
        calls = [asyncio.create_task(_answered(_over_grpc(client, LONG))) for _ in range(3)]
        calls += [asyncio.create_task(_answered(_over_http(http, service, LONG))) for _ in range(3)]
        await wait_active(service, 6, 60)
        done = asyncio.Event()
        faces = asyncio.create_task(_photos_until(client, done))

        runner = process_of(service, "WavLMRunner")
        runner.send_signal(signum)
        await until(lambda: _ended(runner), 120)
        without = Stopwatch()

        async def back() -> bool:
            asked = Stopwatch()
            if await _answered(_over_grpc(client, SHORT)):
                return True
            assert asked.seconds < LOST_AFTER_S + 50, "a newcomer waits instead of being told"
            return False

        await until(back, PATIENCE_S)
        seconds = without.seconds
        async with asyncio.timeout(PATIENCE_S):
            ended = await asyncio.gather(*calls)
        done.set()
        assert await faces > 0
        assert await _answered(_over_http(http, service, SHORT))
        return ended.count(True), ended.count(False), seconds


async def _answered(call: Awaitable[None]) -> bool:
    """False: the model was reported as unavailable. Any other error is raised."""
    try:
        await call
    except Unavailable:
        return False
    return True


@cache
def _recording(seconds: int) -> bytes:
    return encode(speech_like(seconds), 16_000)


async def _over_grpc(client: AsyncBonafideClient, seconds: int) -> None:
    report = await client.analyze_file(_recording(seconds) + next(MARKS), timeout_s=PATIENCE_S)
    assert len(report.chunks) == seconds // 4


async def _over_http(http: httpx.AsyncClient, service: LocalService, seconds: int) -> None:
    answer = await http.post(f"{service.url}/detect_audio", content=_recording(seconds) + next(MARKS))
    if answer.status_code == 503:
        raise Unavailable(answer.text)
    assert len(answer.json()["chunks"]) == seconds // 4


async def _ended(process: psutil.Process) -> bool:
    return has_ended(process)


async def _photos_until(client: AsyncBonafideClient, done: asyncio.Event) -> int:
    """Calls the other runner meanwhile, which must not be affected; returns how often."""
    answered = 0
    while not done.is_set():
        assert (await client.predict_liveness(PHOTO)).label
        answered += 1
        await asyncio.sleep(0.1)
    return answered
