"""Jobs of photos: results as `/predict_liveness` gives them, by a runner of their own."""

import asyncio
import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from pydantic import ValidationError

from bonafide.api.grpc import GrpcServer
from bonafide.app import App
from bonafide.calls import Call
from bonafide.errors import ObjectNotFound, TooLarge, Unavailable
from bonafide.jobs.jobs import JobRequest
from bonafide.settings import Settings
from bonafide.voice_report import report_of
from proto import jobs_pb2 as messages
from proto import jobs_pb2_grpc
from tests.bonafide.api.job_app import job_app, job_settings, working
from tests.bonafide.evidence.signing import key_file
from tests.bonafide.fakes import LocalRemote

PHOTOS = {"bucket": "calls", "prefix": "faces/", "task": "face"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return job_settings(tmp_path).model_copy(update={"jobs_photos": True, "max_image_bytes": 100_000})


@pytest.fixture
async def app(remote: LocalRemote, settings: Settings) -> AsyncIterator[App]:
    async with job_app(settings, remote) as app:
        yield app


async def results(client: httpx.AsyncClient, app: App, wanted: dict[str, Any]) -> dict[str, Any]:
    """By key, when the job has ended."""
    accepted = await client.post("/jobs", json=wanted)
    assert accepted.status_code == 202, accepted.text
    job = accepted.json()
    assert job["task"] == wanted.get("task", "voice")
    async with working(app), asyncio.timeout(60):
        while (await client.get(f"/jobs/{job['id']}")).json()["state"] != "done":
            await asyncio.sleep(0.02)
    lines = (await client.get(f"/jobs/{job['id']}/results")).text.splitlines()
    return {each["key"]: each for each in map(json.loads, lines)}


async def test_results_are_those_of_uploads(client: httpx.AsyncClient, app: App, tmp_path: Path) -> None:
    folder = tmp_path / "objects" / "calls" / "faces"
    (folder / "large.jpg").write_bytes(bytes(100_001))
    found = await results(client, app, PHOTOS)
    assert sorted(found) == [f"faces/{name}.jpg" for name in ("0", "1", "2", "broken", "large")]
    assert found["faces/broken.jpg"]["error"]["code"] == "unreadable_media"
    assert found["faces/large.jpg"]["error"]["code"] == "too_large"
    for seed in range(3):
        answer = (await client.post("/predict_liveness", content=(folder / f"{seed}.jpg").read_bytes())).json()
        photo = found[f"faces/{seed}.jpg"]["photo"]
        assert photo.pop("request_id") != answer.pop("request_id")
        assert photo == answer


async def test_they_are_scored_by_a_runner_of_their_own(settings: Settings) -> None:
    own = LocalRemote()
    async with job_app(settings, LocalRemote()):
        app = App(settings, voice=LocalRemote(), face=LocalRemote(), voice_jobs=LocalRemote(), face_jobs=own)
        assert not app.takes_jobs
        for runner in app.require_job_work().runners.values():
            await runner.probe()
        assert app.takes_jobs
        assert {"voice_jobs", "face_jobs"} <= app.replaceable().keys()
        report = await app.require_job_work().require_photos().judge("calls", "faces/1.jpg", Call.within(60.0))
        assert (own.scored, report.label in ("live", "fake")) == (1, True)
        await app.close()


async def test_over_grpc(client: httpx.AsyncClient, app: App) -> None:
    found = await results(client, app, PHOTOS | {"idempotency_key": "k"})
    server = GrpcServer(app)
    (port,) = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = jobs_pb2_grpc.JobsStub(channel)
        wanted = messages.CreateJobRequest(bucket="calls", prefix="faces/", task="face", idempotency_key="k")
        job = await stub.Create(wanted)
        assert (job.state, job.task, job.total) == ("done", "face", 4)
        streamed = {each.key: each async for each in stub.Results(messages.JobResultsRequest(id=job.id))}
        assert streamed["faces/broken.jpg"].error.code == "unreadable_media"
        for key in (f"faces/{seed}.jpg" for seed in range(3)):
            assert not streamed[key].HasField("verdict")
            assert streamed[key].photo.predicted_class == found[key]["photo"]["predicted_class"]
            assert streamed[key].photo.probabilities.fake == pytest.approx(found[key]["photo"]["probabilities"]["fake"])
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Create(messages.CreateJobRequest(bucket="calls", prefix="", task="film"))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    await server.stop(0)


async def test_a_photo_may_have_what_a_photo_may_have_and_a_recording_what_a_recording_may(settings: Settings) -> None:
    call = Call.within(60.0)
    async with job_app(settings.model_copy(update={"max_audio_bytes": 1000}), LocalRemote()) as app:
        work = app.require_job_work()
        assert (await work.require_photos().judge("calls", "faces/0.jpg", call)).label in ("live", "fake")
        for voice in (work.voice, app.voice):
            with pytest.raises(TooLarge, match="more than the limit of 1000"):
                await report_of(voice.analyze_object("calls", "day/20.wav", call))


async def test_their_records_name_the_object(settings: Settings, tmp_path: Path) -> None:
    signing = {"evidence_key": key_file(tmp_path / "key"), "evidence_log": tmp_path / "log"}
    async with job_app(settings.model_copy(update=signing), LocalRemote()) as app:
        report = await app.require_job_work().require_photos().judge("calls", "faces/0.jpg", Call.within(60.0))
    payload = json.loads(urlsafe_b64decode(report.evidence.split(".")[1] + "=="))
    assert (payload["source"], payload["reference"]) == ("object", "calls/faces/0.jpg")


async def test_recordings_are_still_judged(client: httpx.AsyncClient, app: App) -> None:
    found = await results(client, app, {"bucket": "calls", "keys": ["day/20.wav"], "task": "voice"})
    assert found["day/20.wav"]["verdict"]["label"] == "bonafide"


async def test_the_task_is_part_of_the_request(client: httpx.AsyncClient) -> None:
    wanted = {"bucket": "calls", "keys": ["faces/0.jpg"], "idempotency_key": "k"}
    first = await client.post("/jobs", json=wanted)
    assert (await client.post("/jobs", json=wanted | {"task": "voice"})).json() == first.json()
    other = await client.post("/jobs", json=wanted | {"task": "face"})
    assert (other.status_code, other.json()["error"]["code"]) == (400, "invalid_request")


async def test_where_they_are_not_taken(tmp_path: Path) -> None:
    async with job_app(job_settings(tmp_path), LocalRemote()) as app:
        assert app.require_job_work().photos is None
        with pytest.raises(ObjectNotFound, match="face"):
            await app.require_jobs().create(JobRequest("calls", prefix="", task="face"), "")
        with pytest.raises(Unavailable):
            app.require_job_work().require_photos()
    with pytest.raises(ValidationError, match="BONAFIDE_JOBS must be true"):
        Settings(jobs_photos=True)
