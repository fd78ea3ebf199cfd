"""`POST /feedback` and gRPC `Feedback`: the truth beside a verdict, by request id; errors of the one table."""

import asyncio
import hashlib
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest

from bonafide.api.grpc import GrpcServer
from bonafide.api.http import HttpApi
from bonafide.app import App
from bonafide.feedback.database import Database
from bonafide.feedback.store import labelled_verdicts
from bonafide.settings import Settings
from proto import audio_analyzer_pb2 as audio
from proto import audio_analyzer_pb2_grpc
from tests.bonafide.fakes import LocalRemote
from tests.media import encode_image, photo, wav

VOICE = wav(np.full(80_000, 1000, np.int16), 16_000)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {"objects_dir": tmp_path / "objects", "feedback_db": str(tmp_path / "feedback.db"), "grpc_ports": (0,)}
    )


async def test_the_truth_is_told_by_request_id(client: httpx.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "objects" / "calls").mkdir(parents=True)
    (tmp_path / "objects" / "calls" / "a.wav").write_bytes(VOICE)
    wanted = {"bucket": "calls", "key": "a.wav", "task_id": "t-1"}
    answer = (await client.post("/analyze_audio", json=wanted, headers={"x-request-id": "call-7"})).json()
    told = await client.post("/feedback", json={"request_id": "call-7", "label": "bonafide", "note": "she was there"})
    assert told.status_code == 200
    assert told.json() == {"request_id": "call-7", "verdict": answer["label"], "label": "bonafide", "correct": False}
    with Database(str(tmp_path / "feedback.db")) as database:
        (kept,) = labelled_verdicts(database, "voice")
    assert (kept.reference, kept.task_id, kept.source, kept.codec) == ("calls/a.wav", "t-1", "object", "wav")
    assert (kept.truth, kept.note) == ("bonafide", "she was there")


async def test_uploads_are_kept_by_their_hash(client: httpx.AsyncClient, tmp_path: Path) -> None:
    answer = (await client.post("/detect_audio", content=VOICE)).json()
    assert (await client.post("/feedback", json={"request_id": answer["request_id"], "label": "spoof"})).json()[
        "correct"
    ]
    with Database(str(tmp_path / "feedback.db")) as database:
        (kept,) = labelled_verdicts(database, "voice")
    assert (kept.reference, len(kept.sha256)) == ("", 64)


async def test_photos_are_kept_by_their_hash_too(client: httpx.AsyncClient, tmp_path: Path) -> None:
    picture = encode_image(photo())
    answer = (await client.post("/predict_liveness", content=picture)).json()
    await client.post("/feedback", json={"request_id": answer["request_id"], "label": "spoof"})
    with Database(str(tmp_path / "feedback.db")) as database:
        (kept,) = labelled_verdicts(database, "voice")
    assert (kept.sha256, kept.codec, kept.source) == (hashlib.sha256(picture).hexdigest(), "jpeg", "photo")


async def test_verdicts_are_answered_while_the_database_hangs(client: httpx.AsyncClient, tmp_path: Path) -> None:
    await client.post("/detect_audio", content=VOICE)
    with closing(sqlite3.connect(tmp_path / "feedback.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        answers = await asyncio.gather(*[client.post("/detect_audio", content=VOICE) for _ in range(5)])
        assert [answer.status_code for answer in answers] == [200] * 5
        assert time.monotonic() - began < 4.0
    newest = answers[-1].json()["request_id"]
    assert (await client.post("/feedback", json={"request_id": newest, "label": "spoof"})).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"request_id": "unknown", "label": "spoof"}, 404, "object_not_found"),
        ({"request_id": "known", "label": "live"}, 400, "invalid_request"),
        ({"request_id": "known", "label": "spoof", "note": "x" * 1001}, 400, "invalid_request"),
        ({"request_id": "known"}, 400, "invalid_request"),
        ({"request_id": "known", "label": 1}, 400, "invalid_request"),
        ({"request_id": "known", "label": "spoof", "more": 1}, 400, "invalid_request"),
        ([], 400, "invalid_request"),
    ],
)
async def test_refusals(client: httpx.AsyncClient, body: object, status: int, code: str) -> None:
    await client.post("/detect_audio", content=VOICE, headers={"x-request-id": "known"})
    answer = await client.post("/feedback", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_a_body_is_bounded(client: httpx.AsyncClient) -> None:
    answer = await client.post("/feedback", content=b'{"note": "' + b"x" * 100_000 + b'"}')
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


async def test_without_a_database_there_is_no_door(remote: LocalRemote, tmp_path: Path) -> None:
    api = HttpApi()
    api.app = App(Settings(objects_dir=tmp_path), voice=remote, face=remote)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.routes()), base_url="http://test") as client:
        answer = await client.post("/feedback", json={"request_id": "r", "label": "spoof"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "object_not_found")
    await api.app.close()


async def test_over_grpc(app: App, client: httpx.AsyncClient) -> None:
    answer = (await client.post("/predict_liveness", content=encode_image(photo()))).json()
    server = GrpcServer(app)
    (port,) = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = audio_analyzer_pb2_grpc.AudioAnalysisStub(channel)
        # The model of these tests calls itself a voice model for both tasks.
        told = await stub.Feedback(audio.FeedbackRequest(request_id=answer["request_id"], label="spoof"))
        assert (told.request_id, told.verdict, told.label) == (answer["request_id"], answer["predicted_class"], "spoof")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Feedback(audio.FeedbackRequest(request_id="unknown", label="spoof"))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    await server.stop(0)
