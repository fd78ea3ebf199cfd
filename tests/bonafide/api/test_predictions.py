"""Field 1 of `AnalyzeAudioResponse` as old clients read it, which are compiled from their own contracts."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from bonafide.api.grpc import GrpcServer
from bonafide.api.http import HttpApi
from bonafide.app import App
from bonafide.settings import Settings
from proto import audio_analyzer_pb2 as audio
from proto import audio_analyzer_pb2_grpc
from scripts.local_service import ROOT
from tests.bonafide.fakes import LocalRemote
from tests.media import wav

LEGACY = ROOT / "tests/proto/legacy"
SECONDS = 45
CLIENT = """
import json, sys
import grpc
import audio_analyzer_pb2 as pb, audio_analyzer_pb2_grpc

with grpc.insecure_channel(sys.argv[1]) as channel:
    request = pb.AnalyzeAudioRequest(minio_bucket_name="calls", minio_object_key="a.wav")
    answer = audio_analyzer_pb2_grpc.AudioAnalysisStub(channel).AnalyzeAudio(request)
if hasattr(answer.predictions, "items"):
    print(json.dumps([sorted(answer.predictions.items()), answer.error_message]))
else:
    entries = [[p.chunk_id, p.score, p.start_time_seconds, p.end_time_seconds] for p in answer.predictions]
    print(json.dumps([entries, answer.error_message]))
"""


def compiled(contract: Path, out: Path) -> Path:
    """A client with the stubs of this contract, as its users generate them."""
    out.mkdir()
    flags = [f"--proto_path={contract.parent}", f"--python_out={out}", f"--grpc_python_out={out}"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *flags, contract.name], check=True)
    (out / "client.py").write_text(CLIENT)
    return out / "client.py"


@asynccontextmanager
async def serving(folder: Path, form: str) -> AsyncIterator[tuple[App, str]]:
    """The use cases, with a recording of twelve chunks of which the second and the eleventh hold no speech."""
    samples = np.full(16_000 * SECONDS, 1000, np.int16)
    samples[4 * 16_000 : 8 * 16_000] = samples[40 * 16_000 : 44 * 16_000] = 0
    (folder / "calls").mkdir()
    (folder / "calls/a.wav").write_bytes(wav(samples, 16_000))
    remote = LocalRemote(speech=lambda item: float(np.mean(item != 0)))
    settings = Settings.model_validate({"objects_dir": folder, "grpc_ports": (0,), "predictions": form})
    app = App(settings, voice=remote, face=remote)
    await app.voice_runner.probe()
    server = GrpcServer(app)
    (port,) = await server.start()
    yield app, f"127.0.0.1:{port}"
    await server.stop(0)
    await app.close()


async def called(client: Path, address: str) -> Any:
    process = await asyncio.create_subprocess_exec(sys.executable, client, address, stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(output)


NAMES = [f"chunk_{index}" for index in (0, 2, 3, 4, 5, 6, 7, 8, 9, 11)]


@pytest.mark.parametrize("form", ["map", "repeated"])
async def test_the_newest_clients_read_the_chunks_in_order(form: str, tmp_path: Path) -> None:
    client = compiled(LEGACY / "repeated/audio_analyzer.proto", tmp_path / "client")
    async with serving(tmp_path, form) as (_, address):
        entries, error = await called(client, address)
    assert error == ""
    assert [name for name, *_ in entries] == NAMES
    assert [score for _, score, *_ in entries] == [1.0] * 9 + [0.25]
    times = [(start, end) for *_, start, end in entries]
    if form == "map":
        assert times == [(0, 0)] * 10
    else:
        assert times == [(0, 4), *((start, start + 4) for start in range(8, 40, 4)), (41, 45)]


async def test_the_oldest_clients_read_a_map(tmp_path: Path) -> None:
    client = compiled(LEGACY / "audio_analyzer.proto", tmp_path / "client")
    async with serving(tmp_path, "map") as (_, address):
        entries, error = await called(client, address)
    assert error == ""
    assert dict(entries) == {name: 0.25 if name == "chunk_11" else 1.0 for name in NAMES}


@pytest.mark.parametrize("form", ["map", "repeated"])
async def test_all_other_fields_stay(form: str, tmp_path: Path) -> None:
    request = audio.AnalyzeAudioRequest(minio_bucket_name="calls", minio_object_key="a.wav")
    async with serving(tmp_path, form) as (_, address), grpc.aio.insecure_channel(address) as channel:
        stub: Any = audio_analyzer_pb2_grpc.AudioAnalysisStub(channel)
        answer = await stub.AnalyzeAudio(request)
        events = [event async for event in stub.AnalyzeAudioStream(request)]
    assert len(answer.chunks) == 12
    summary = events[-1].summary
    assert set(summary.predictions) == set(NAMES)  # who knows this method was compiled with a map
    for each in (answer, summary):
        each.ClearField("predictions")
        each.DiscardUnknownFields()  # where a map's parser put the entries of the repeated form
        each.request_id = ""
    assert answer == summary
    assert answer.audio_seconds == SECONDS


async def test_json_has_them_in_order_too(tmp_path: Path) -> None:
    api = HttpApi()
    async with serving(tmp_path, "repeated") as (app, _):
        api.app = app
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api.routes()), base_url="http://test") as client:
            answer = await client.post("/analyze_audio", json={"bucket": "calls", "key": "a.wav"})
    assert list(answer.json()["predictions"]) == NAMES
