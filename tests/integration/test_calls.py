"""What a user does first: the samples, over every transport, with the published client and with plain HTTP."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from bonafide_client import AsyncBonafideClient, AudioReport, ChunkScore, ObjectNotFound, UnreadableMedia
from scripts.local_service import ROOT, LocalService
from tests.integration.locked import LockedService
from tests.integration.logs import assert_told
from tests.media import encode, encode_image, photo, speech_like
from tests.portraits import black, blurred_face, dark_face, no_face, portrait, small_face, two_faces

pytestmark = pytest.mark.beside

BONAFIDE = Path(sys.executable).parent / "bonafide"


def command(locked: LockedService, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "BONAFIDE_ADDRESS": locked.service.address,
        "BONAFIDE_API_KEY": locked.keys["bank"],
    }
    return subprocess.run([BONAFIDE, *arguments], cwd=ROOT, capture_output=True, text=True, env=environment)


async def test_the_same_recording_gets_the_same_answer_whichever_way_it_comes(
    client: AsyncBonafideClient, http: httpx.AsyncClient, call_mp3: Path
) -> None:
    stored = await client.analyze_object("samples", "call.mp3", task_id="t-1")
    uploaded = await client.analyze_file(call_mp3)
    events = [event async for event in client.iter_object("samples", "call.mp3")]
    posted = (await http.post("/detect_audio", content=call_mp3.read_bytes())).json()
    named = (await http.post("/analyze_audio", json={"bucket": "samples", "key": "call.mp3"})).json()

    assert [chunk.chunk_id for chunk in stored.chunks] == ["chunk_0", "chunk_1", "chunk_2"]
    assert all(chunk.score is not None and 0 <= chunk.score <= 1 for chunk in stored.chunks)
    assert 4 < stored.speech_seconds < 11
    assert stored.audio_seconds == pytest.approx(11, abs=0.1)
    # bf16 may round the last digits differently in another batch
    scores = pytest.approx([chunk.score for chunk in stored.chunks], abs=0.01)
    assert [chunk.score for chunk in uploaded.chunks] == scores
    assert [event.score for event in events if isinstance(event, ChunkScore)] == scores
    assert isinstance(events[-1], AudioReport)
    for answer in (posted, named):
        assert [chunk["score"] for chunk in answer["chunks"]] == scores
        assert answer["label"] == stored.label
        assert answer["speech_seconds"] == pytest.approx(stored.speech_seconds, abs=0.1)
        assert answer["model"]["version"] == stored.model.version


async def test_every_answer_says_which_model_spoke_and_that_it_is_a_demonstration(
    bundled: AsyncBonafideClient, bundled_http: httpx.AsyncClient, locked: LockedService, face_jpg: Path
) -> None:
    voice = await bundled.analyze_object("samples", "call.mp3")
    face = await bundled.predict_liveness(face_jpg)
    for model, name in ((voice.model, "bonafide-voice-demo"), (face.model, "bonafide-face-demo")):
        assert (model.name, model.demo) == (name, True)
        assert len(model.version) == 12
        assert_told(locked.service.log.read_text(), name)
    status = (await bundled_http.get("/model_status")).json()
    assert status["voice"]["model"]["demo"] is status["face"]["demo"] is True


async def test_a_photo_gets_the_same_answer_over_grpc_and_http(
    client: AsyncBonafideClient, http: httpx.AsyncClient, face_jpg: Path
) -> None:
    report = await client.predict_liveness(face_jpg)
    answer = (await http.post("/predict_liveness", content=face_jpg.read_bytes())).json()
    assert answer["probabilities"]["fake"] == pytest.approx(report.score, abs=0.02)
    assert answer["predicted_class"] == report.label


@pytest.mark.parametrize(
    ("picture", "reason", "faces"),
    [
        (portrait(), "", 1),
        (no_face(), "no_face", 0),
        (black(), "no_face", 0),
        (two_faces(0.7), "several_faces", 2),
        (small_face(), "small_face", 1),
        (dark_face(), "dark", 1),
        (blurred_face(), "blurred", 1),
    ],
)
async def test_a_photo_says_why_not_to_rely_on_its_verdict(
    bundled: AsyncBonafideClient, bundled_http: httpx.AsyncClient, picture: Image.Image, reason: str, faces: int
) -> None:
    """Of which some follow from the size of the model's pictures."""
    data = encode_image(picture, "PNG")
    report = await bundled.predict_liveness(data)
    assert (report.reason, len(report.faces)) == (reason, faces)
    assert report.label in ("live", "fake")
    answer = (await bundled_http.post("/predict_liveness", content=data)).json()
    assert (answer["success"], answer["reason"], len(answer["faces"])) == (True, reason, faces)


def test_the_command(locked: LockedService) -> None:
    audio = command(locked, "audio", "--json", "samples/call.mp3", "samples/call_spoof.mp3")
    documents = [json.loads(line) for line in audio.stdout.splitlines()]
    assert [document["label"] for document in documents] == ["bonafide", "spoof"]
    assert audio.returncode == 1
    face = command(locked, "face", "--json", "samples/face.jpg")
    assert json.loads(face.stdout)
    status = command(locked, "status")
    assert status.returncode == 0
    assert "demo" in status.stdout
    assert command(locked, "audio", "README.md").returncode == 3


async def test_bad_input_is_told_and_harms_nobody(client: AsyncBonafideClient, http: httpx.AsyncClient) -> None:
    with pytest.raises(UnreadableMedia):
        await client.analyze_file(b"not audio")
    with pytest.raises(UnreadableMedia):
        await client.predict_liveness(b"not a photo")
    with pytest.raises(ObjectNotFound):
        await client.analyze_object("samples", "none.mp3")
    for content in (b"", b"\x00" * 100, encode_image(photo())):
        answer = await http.post("/detect_audio", content=content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "unreadable_media")
    assert (await http.get("/health")).status_code == 200


async def test_a_body_that_names_an_address_is_not_fetched(http: httpx.AsyncClient) -> None:
    answered: list[str] = []

    async def bait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered.append("somebody came")
        writer.close()

    async with await asyncio.start_server(bait, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/call.mp3"
        for content_type, status in (
            ("application/json", 400),
            ("text/plain", 415),
            ("application/x-www-form-urlencoded", 422),
        ):
            answer = await http.post("/detect_audio", content=address, headers={"content-type": content_type})
            assert answer.status_code == status
    assert answered == []


def test_curl_posts_bytes_or_a_form(service: LocalService, call_mp3: Path) -> None:
    answers = [
        json.loads(subprocess.check_output(["curl", "-sS", *how, f"{service.url}/detect_audio"]))
        for how in (["--data-binary", f"@{call_mp3}"], ["-F", f"file=@{call_mp3}"])
    ]
    assert answers[0]["audio_seconds"] == answers[1]["audio_seconds"] == pytest.approx(11, abs=0.1)
    assert answers[0]["label"] == answers[1]["label"]


async def test_nothing_is_unpickled(http: httpx.AsyncClient) -> None:
    for route in ("/score", "/WavLMRunner/score", "/info"):
        pickled = {"content-type": "application/vnd.bentoml+pickle"}
        assert (await http.post(route, content=b"cos\nsystem\n.", headers=pickled)).status_code == 404


async def test_metrics_worth_having(client: AsyncBonafideClient, http: httpx.AsyncClient) -> None:
    await client.analyze_file(encode(speech_like(9), 16_000))
    text = (await http.get("/metrics")).text
    for line in (
        'bonafide_calls_total{code="ok",method="AnalyzeUpload",transport="grpc"}',
        'bonafide_inference_seconds_count{runner="voice"}',
        'bonafide_queue_seconds_count{runner="voice"}',
        'bonafide_batch_items_count{runner="voice"}',
        'bonafide_chunks_total{source="runner"}',
        'bonafide_chunks_total{source="cache"}',
        "bentoml_service_adaptive_batch_size_count",
    ):
        assert line in text, line


async def test_the_log_has_a_line_for_each_call_with_its_ids(
    client: AsyncBonafideClient, service: LocalService
) -> None:
    report = await client.analyze_object("samples", "call.mp3", task_id="task-77")
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]  # BentoML's too
    (line,) = [line for line in lines if line.get("request_id") == report.request_id and line["message"] == "call"]
    assert line["task_id"] == "task-77"
    assert line["code"] == "ok"
    assert line["seconds"] >= 0


async def test_only_loopback_is_listened_on(service: LocalService) -> None:
    listening = [
        connection.laddr.ip
        for process in [psutil.Process(service.process.pid), *psutil.Process(service.process.pid).children()]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
