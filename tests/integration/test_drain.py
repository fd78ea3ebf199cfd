"""SIGTERM under load of every kind: health fails first, accepted calls are completed, and new ones get the reason."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bonafide_client import AsyncBonafideClient, BonafideError, Unavailable
from proto import audio_analyzer_pb2 as audio
from proto import audio_analyzer_pb2_grpc
from scripts.local_service import LocalService, running
from tests.integration.logs import tracebacks
from tests.integration.test_live import RATE, ask, chunk, receive, socket, url
from tests.integration.tiny_models import tiny_models
from tests.integration.waiting import Stopwatch, until, wait_active
from tests.media import encode, encode_image, photo, speech_like

PHOTO = encode_image(photo())
DRAIN_S, NOTICE_S = 240.0, 5.0
MINUTES = 3
"""Of each recording, so that none is judged before all are there."""


async def live_call(service: LocalService, began: asyncio.Event) -> tuple[audio.LiveSummary, grpc.StatusCode]:
    """A live call over gRPC that sends until the server ends it; its summary and status."""

    async def requests() -> AsyncIterator[audio.LiveAudioRequest]:
        yield audio.LiveAudioRequest(config=audio.LiveAudioConfig(sample_rate=RATE))
        while True:
            yield audio.LiveAudioRequest(audio=speech_like(1)[0].astype("<f4").tobytes())
            await asyncio.sleep(1)

    summary = audio.LiveSummary()
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub: Any = audio_analyzer_pb2_grpc.AudioAnalysisStub(channel)
        call = stub.AnalyzeLive(requests())
        with suppress(grpc.RpcError):
            async for event in call:
                began.set()
                if event.HasField("summary"):
                    summary = event.summary
        return summary, await call.code()


async def photos(service: LocalService, answers: list[int]) -> None:
    """Sends photos over one connection, until a response is not 200."""
    async with httpx.AsyncClient(timeout=60) as http:
        while not answers or answers[-1] == 200:
            answers.append((await http.post(f"{service.url}/predict_liveness", content=PHOTO)).status_code)
            await asyncio.sleep(0.05)  # some hundred of them say no less than thousands


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_nothing_that_was_taken_is_lost(tmp_path: Path) -> None:
    environment = {
        **tiny_models(),
        "BONAFIDE_DRAIN_S": str(DRAIN_S),
        "BONAFIDE_DRAIN_NOTICE_S": str(NOTICE_S),
        "BONAFIDE_LIVE_MAX_SESSIONS": "3",
    }
    recording = encode(np.tile(speech_like(60), MINUTES), 16_000)
    began, finish = asyncio.Event(), asyncio.Event()
    answers: list[int] = []

    async def held_up() -> AsyncIterator[bytes]:
        """A short recording that is still arriving at SIGTERM."""
        short = encode(speech_like(1.5), 16_000)
        yield short[:100]
        await finish.wait()
        yield short[100:]

    with running(tmp_path / "log", environment) as service:
        async with (
            AsyncBonafideClient(service.address) as client,
            httpx.AsyncClient(base_url=service.url, timeout=DRAIN_S) as http,
            socket(service, encoding="float32", results="push") as live,
            socket(service) as old_live,
        ):
            calls = [asyncio.create_task(client.analyze_file(recording + bytes([n]))) for n in range(3)]
            posts = [
                asyncio.create_task(http.post("/detect_audio", content=recording + bytes([n, n]))) for n in range(3)
            ]
            held = asyncio.create_task(http.post("/detect_audio", content=held_up()))
            listening = asyncio.create_task(live_call(service, began))
            asking = [asyncio.create_task(photos(service, answers)) for _ in range(2)]
            await wait_active(service, 6, 60)
            await live.send(speech_like(1.5)[0].astype("<f4").tobytes())
            assert (await receive(live))["type"] == "detection_result"
            await ask(old_live, chunk(speech_like(0.5)[0], RATE))
            await asyncio.wait_for(began.wait(), 60)
            with pytest.raises(InvalidStatus) as full:
                await connect(url(service))
            assert full.value.response.status_code == 503
            assert (await http.get("/health")).status_code == 200  # as load balancers see it, one is in service

            told = service.log.stat().st_size
            service.process.send_signal(signal.SIGTERM)

            async def said_no() -> bool:
                probes = [(await http.get(path)).status_code for path in ("/readyz", "/health")]
                return await client.health() == "NOT_SERVING" and probes == [503, 503]

            await until(said_no, NOTICE_S)
            assert (await client.predict_liveness(PHOTO)).label  # taken in until balancers have looked

            async def newcomers_refused() -> bool:
                answer = await http.post("/predict_liveness", content=PHOTO)
                if answer.status_code == 200:
                    return False
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
                return True

            await until(newcomers_refused, 60)
            stopwatch = Stopwatch()
            async with AsyncBonafideClient(service.address) as newcomer:
                with pytest.raises(Unavailable):
                    await newcomer.predict_liveness(PHOTO, timeout_s=30)
            assert stopwatch.seconds < 25
            assert (await http.get("/livez")).status_code == 200
            finish.set()
            assert (await held).status_code == 200

            await asyncio.wait_for(asyncio.gather(*asking), 60)
            assert answers.count(503) == len(answers) - answers.count(200) >= 1
            summary = await receive(live)
            while summary["type"] != "summary":
                summary = await receive(live)
            assert (summary["reason"], len(summary["windows"])) == ("going_away", 2)
            for each in (live, old_live):
                await each.wait_closed()
                assert each.close_code == 1001
            last, status = await listening
            assert (len(last.windows) >= 1, status) == (True, grpc.StatusCode.UNAVAILABLE)

            assert [len(report.chunks) for report in await asyncio.gather(*calls)] == [15 * MINUTES] * 3
            assert [len((await post).json()["chunks"]) for post in posts] == [15 * MINUTES] * 3
        assert await asyncio.to_thread(service.process.wait, 60) == 0
    assert tracebacks(service.log.read_bytes()[told:].decode()) == []


@pytest.mark.slow
async def test_who_takes_too_long_is_told_and_nobody_stays(tmp_path: Path) -> None:
    environment = {"BONAFIDE_DRAIN_S": "2"}
    recording = encode(np.tile(speech_like(60), 20), 16_000)
    with running(tmp_path / "log", environment) as service:
        async with AsyncBonafideClient(service.address) as client, httpx.AsyncClient(timeout=120) as http:
            call = asyncio.create_task(client.analyze_file(recording))
            post = asyncio.create_task(http.post(f"{service.url}/detect_audio", content=recording + b"\0"))
            await wait_active(service, 2, 60)
            stopwatch = Stopwatch()
            service.process.send_signal(signal.SIGTERM)
            with pytest.raises(BonafideError) as cut:
                await call
            assert cut.value.grpc_status is grpc.StatusCode.UNAVAILABLE
            answer = await post
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert await asyncio.to_thread(service.process.wait, 60) == 0
        assert stopwatch.seconds < 40
