"""What the answers of long recordings are made of takes time, in which other calls go on."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from bonafide.api import grpc_jobs, grpc_live, messages, websocket_replies
from bonafide.api.grpc import GrpcServer
from bonafide.app import App
from bonafide.live import stream as live_stream
from proto import audio_analyzer_pb2, audio_analyzer_pb2_grpc, jobs_pb2, jobs_pb2_grpc
from tests.bonafide.api.job_app import job_app, job_settings, working
from tests.bonafide.api.socket_messages import chunk, frame
from tests.bonafide.api.socket_server import client as socket_client
from tests.bonafide.api.socket_server import socket_server
from tests.bonafide.fakes import LocalRemote
from tests.bonafide.live.conversation import level
from tests.media import wav


@pytest.fixture
async def app(remote: LocalRemote, tmp_path: Path) -> AsyncIterator[App]:
    async with job_app(job_settings(tmp_path), remote) as app:
        yield app


class Threads:
    """Notes in which threads a function runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, where: Any, name: str) -> None:
        self.found: set[str] = set()
        inner = getattr(where, name)

        def noted(*args: Any) -> Any:
            self.found.add(threading.current_thread().name)
            return inner(*args)

        monkeypatch.setattr(where, name, noted)


async def test_answers_and_results_are_made_in_threads(
    app: App, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = threading.current_thread().name
    written = Threads(monkeypatch, messages, "as_json")
    recording = wav(np.full(16_000, 1000, np.int16), 16_000)
    assert (await client.post("/detect_audio", content=recording)).status_code == 200
    stored = {"bucket": "calls", "key": "day/20.wav"}
    assert (await client.post("/analyze_audio", json=stored)).status_code == 200
    assert written.found
    assert loop not in written.found

    in_jobs = Threads(monkeypatch, messages, "audio_response")
    job = (await client.post("/jobs", json={"bucket": "calls", "keys": ["day/20.wav"]})).json()
    async with working(app):
        while (await client.get(f"/jobs/{job['id']}")).json()["state"] != "done":
            await asyncio.sleep(0.02)
    assert in_jobs.found
    assert loop not in in_jobs.found

    read = Threads(monkeypatch, grpc_jobs, "result_message")
    server = GrpcServer(app)
    (port,) = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        asked = jobs_pb2_grpc.JobsStub(channel).Results(jobs_pb2.JobResultsRequest(id=job["id"]))
        assert [each.key async for each in asked] == ["day/20.wav"]
    await server.stop(0)
    assert read.found
    assert loop not in read.found


async def test_summaries_of_live_sessions_are_made_in_threads(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = threading.current_thread().name
    made = [Threads(monkeypatch, live_stream, "summary_of"), Threads(monkeypatch, grpc_live, "_summary")]
    server = GrpcServer(app)
    (port,) = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        heard = audio_analyzer_pb2.LiveAudioRequest(audio=level(0.75, 1.5).tobytes())
        live: Any = audio_analyzer_pb2_grpc.AudioAnalysisStub(channel)
        assert [each.WhichOneof("event") async for each in live.AnalyzeLive(iter([heard]))] == ["window", "summary"]
    await server.stop(0)
    made.append(Threads(monkeypatch, websocket_replies, "timeline_window"))
    async with socket_server() as sockets, socket_client(sockets.url) as old:
        await old.ask(chunk(0.75, 1.5))
        assert len((await old.ask(frame("end"))).windows) == 2
    for each in made:
        assert each.found
        assert loop not in each.found


async def test_an_answer_that_cannot_be_written_is_a_bug_of_ours(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_message: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(messages, "as_json", broken)
    answer = await client.post("/detect_audio", content=wav(np.full(16_000, 1000, np.int16), 16_000))
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]
