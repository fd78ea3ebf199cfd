"""Jobs over HTTP and gRPC, judged in this process: results as calls give them, errors of the one table."""

import asyncio
import hashlib
import hmac
import json
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr

from bonafide.api.grpc import GrpcServer
from bonafide.api.http import TIMEOUT_HEADER, HttpApi
from bonafide.app import App
from bonafide.errors import DeadlineExceeded, Unavailable
from bonafide.jobs.jobs import JobRequest
from bonafide.security.caller import set_caller
from bonafide.settings import Settings
from proto import jobs_pb2 as messages
from proto import jobs_pb2_grpc
from tests.bonafide.api.job_app import job_app, job_settings, working
from tests.bonafide.fakes import LocalRemote
from tests.bonafide.live.receiver import receiver

WITHIN_S = 60.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return job_settings(tmp_path)


@pytest.fixture
async def app(remote: LocalRemote, settings: Settings) -> AsyncIterator[App]:
    async with job_app(settings, remote) as app:
        yield app


async def ended(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    end = time.monotonic() + WITHIN_S
    while time.monotonic() < end:
        job: dict[str, Any] = (await client.get(f"/jobs/{job_id}")).json()
        if job["state"] in ("done", "cancelled"):
            return job
        await asyncio.sleep(0.05)
    raise AssertionError("the job does not end")


async def results(client: httpx.AsyncClient, job_id: str, after: int = 0) -> list[dict[str, Any]]:
    answer = await client.get(f"/jobs/{job_id}/results", params={"after": after} if after else {})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_results_are_those_of_calls(client: httpx.AsyncClient, app: App) -> None:
    async with working(app):
        accepted = await client.post("/jobs", json={"bucket": "calls", "prefix": "", "priority": "high"})
        assert accepted.status_code == 202
        job = accepted.json()
        assert accepted.headers["location"] == f"/jobs/{job['id']}"
        assert (job["state"], job["total"], job["priority"]) == ("waiting", 4, "high")
        done = await ended(client, job["id"])
    assert (done["state"], done["done"], done["failed"]) == ("done", 3, 1)
    assert done["created_at"] <= done["started_at"] <= done["ended_at"]
    found = {each["key"]: each for each in await results(client, job["id"])}
    assert sorted(found) == ["broken.wav", "day/20.wav", "day/60.wav", "day/90.wav"]
    assert found["broken.wav"]["error"]["code"] == "unreadable_media"
    for level in (20, 60, 90):
        key = f"day/{level}.wav"
        answer = (await client.post("/analyze_audio", json={"bucket": "calls", "key": key})).json()
        verdict = found[key]["verdict"]
        assert verdict.pop("request_id") != answer.pop("request_id")
        assert verdict == answer
    assert len(await results(client, job["id"], after=3)) == 1
    assert await results(client, job["id"], after=4) == []


async def test_a_key_that_is_not_there_is_a_result(client: httpx.AsyncClient, app: App) -> None:
    wanted = {"bucket": "calls", "keys": ["missing.wav", "day/20.wav", "missing.wav"]}
    job = (await client.post("/jobs", json=wanted)).json()
    assert job["total"] == 2
    async with working(app):
        assert (await ended(client, job["id"]))["failed"] == 1
    (missing,) = [each for each in await results(client, job["id"]) if "error" in each]
    assert (missing["key"], missing["error"]["code"], missing["index"]) == ("missing.wav", "object_not_found", 0)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"bucket": "calls"}, 400, "invalid_request"),
        ({"bucket": "calls", "keys": ["a"], "prefix": ""}, 400, "invalid_request"),
        ({"bucket": "calls", "keys": ["../a"]}, 400, "invalid_request"),
        ({"bucket": "calls", "keys": ["\ud800"]}, 400, "invalid_request"),
        ({"bucket": "calls", "keys": [1]}, 400, "invalid_request"),
        ({"bucket": "calls", "prefix": "a/../"}, 400, "invalid_request"),
        ({"bucket": "calls", "keys": ["a"], "priority": "urgent"}, 400, "invalid_request"),
        ({"bucket": "calls", "keys": ["a"], "idempotency_key": "a b"}, 400, "invalid_request"),
        ({"bucket": "calls", "keys": ["a"], "more": 1}, 400, "invalid_request"),
        ({"bucket": "other", "keys": ["a"]}, 403, "forbidden"),
        ({"bucket": "other", "prefix": ""}, 403, "forbidden"),
        ({"bucket": "calls", "prefix": "nothing"}, 404, "object_not_found"),
        ({"bucket": "calls", "keys": [*"abcdef"]}, 413, "too_large"),
        ({"bucket": "calls", "keys": ["a"], "callback_url": "http://169.254.169.254/"}, 403, "forbidden"),
        (
            {"bucket": "calls", "keys": ["a"], "callback_url": "http://127.0.0.1:1@evil.example/"},
            400,
            "invalid_request",
        ),
        (
            {"bucket": "calls", "keys": ["a"], "callback_url": "http://127.0.0.1:1#@evil.example/"},
            400,
            "invalid_request",
        ),
        ({"bucket": "calls", "keys": ["a"], "callback_url": "http://[::1/"}, 400, "invalid_request"),
        ({"bucket": "calls", "keys": ["a"], "callback_url": " http://127.0.0.1:1/"}, 400, "invalid_request"),
        ({"bucket": "calls", "keys": ["a"], "callback_url": "http://127.0.0.1:1/a b"}, 400, "invalid_request"),
        ({"bucket": "calls", "keys": ["a"], "callback_url": "file:///etc/passwd"}, 403, "forbidden"),
    ],
)
async def test_refusals(client: httpx.AsyncClient, body: object, status: int, code: str) -> None:
    answer = await client.post("/jobs", content=json.dumps(body))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_a_prefix_of_too_many_is_refused(client: httpx.AsyncClient, tmp_path: Path) -> None:
    for index in range(6):
        (tmp_path / "objects" / "calls" / f"{index}.wav").write_bytes(b"")
    answer = await client.post("/jobs", json={"bucket": "calls", "prefix": ""})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


async def test_an_idempotency_key_makes_one_job(client: httpx.AsyncClient) -> None:
    wanted = {"bucket": "calls", "keys": ["a"], "idempotency_key": "k"}
    first, second = [(await client.post("/jobs", json=wanted)).json() for _ in range(2)]
    assert first == second
    for same in ({"priority": "normal", "task": "voice"}, {"keys": ["a", "a"]}):
        assert (await client.post("/jobs", json={**wanted, **same})).json() == first
    other = await client.post("/jobs", json={**wanted, "keys": ["b"]})
    assert (other.status_code, other.json()["error"]["code"]) == (400, "invalid_request")


async def test_a_caller_has_so_many_jobs(client: httpx.AsyncClient) -> None:
    jobs = [(await client.post("/jobs", json={"bucket": "calls", "keys": ["a"]})).json() for _ in range(2)]
    refused = await client.post("/jobs", json={"bucket": "calls", "keys": ["a"]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "overloaded")
    assert int(refused.headers["retry-after"]) > 0
    cancelled = await client.delete(f"/jobs/{jobs[0]['id']}")
    assert cancelled.json()["state"] == "cancelled"
    assert (await client.post("/jobs", json={"bucket": "calls", "keys": ["a"]})).status_code == 202


async def test_others_do_not_see_a_job(client: httpx.AsyncClient, app: App) -> None:
    set_caller("ann")
    job = (await client.post("/jobs", json={"bucket": "calls", "keys": ["a"]})).json()
    assert (await client.get(f"/jobs/{job['id']}")).status_code == 200
    set_caller("bob")
    for answer in (
        await client.get(f"/jobs/{job['id']}"),
        await client.get(f"/jobs/{job['id']}/results"),
        await client.delete(f"/jobs/{job['id']}"),
        await client.get("/jobs/unknown"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "object_not_found")
    set_caller("ann")
    assert (await client.get(f"/jobs/{job['id']}")).json()["state"] == "waiting"


@pytest.mark.parametrize("after", ["-1", "x", "1&after=2", "99999999999"])
async def test_wrong_places_in_the_results(client: httpx.AsyncClient, after: str) -> None:
    job = (await client.post("/jobs", json={"bucket": "calls", "keys": ["a"]})).json()
    answer = await client.get(f"/jobs/{job['id']}/results?after={after}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


async def test_each_page_of_the_results_is_read_within_the_limit_of_the_call(
    client: httpx.AsyncClient, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bonafide.jobs.jobs._RESULTS_AT_ONCE", 1)
    job = (await client.post("/jobs", json={"bucket": "calls", "keys": ["a", "b"]})).json()
    async with working(app):
        await ended(client, job["id"])
    store = app.require_jobs().store
    read = store.results

    async def stuck(job_id: str, after: int, count: int, most_bytes: int) -> list[str]:
        if after:
            await asyncio.Event().wait()
        return await read(job_id, after, count, most_bytes)

    monkeypatch.setattr(store, "results", stuck)
    api = HttpApi()
    api.app = app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.routes()), base_url="http://test") as strict:
        with pytest.raises(DeadlineExceeded):  # the response has begun, and breaks off
            await asyncio.wait_for(strict.get(f"/jobs/{job['id']}/results", headers={TIMEOUT_HEADER: "0.5"}), WITHIN_S)


async def test_an_outage_is_waited_for(client: httpx.AsyncClient, app: App, remote: LocalRemote) -> None:
    remote.errors = [Unavailable("gone"), Unavailable("gone")]
    job = (await client.post("/jobs", json={"bucket": "calls", "keys": ["day/20.wav"]})).json()
    async with working(app):
        assert (await ended(client, job["id"]))["done"] == 1


async def test_a_bug_is_a_result_and_not_the_end(client: httpx.AsyncClient, app: App, remote: LocalRemote) -> None:
    remote.errors = [RuntimeError("a bug")]
    job = (await client.post("/jobs", json={"bucket": "calls", "keys": ["day/20.wav", "day/60.wav"]})).json()
    async with working(app):
        done = await ended(client, job["id"])
    assert (done["done"], done["failed"]) == (1, 1)
    (failed,) = [each["error"] for each in await results(client, job["id"]) if "error" in each]
    assert failed["code"] == "internal"
    assert "a bug" not in failed["message"]


async def test_what_is_in_progress_is_handed_back_by_a_drain(
    client: httpx.AsyncClient, app: App, remote: LocalRemote
) -> None:
    remote.open.clear()
    job = (await client.post("/jobs", json={"bucket": "calls", "keys": ["day/20.wav", "day/60.wav"]})).json()
    async with working(app):
        while remote.in_progress == 0:
            await asyncio.sleep(0.01)
    remote.open.set()
    assert (await client.get(f"/jobs/{job['id']}")).json()["done"] == 0
    async with working(app):  # long before the lease ends
        assert (await ended(client, job["id"]))["done"] == 2
    assert len(await results(client, job["id"])) == 2


async def test_a_recording_that_workers_die_of_is_given_up(client: httpx.AsyncClient, app: App) -> None:
    store = app.require_jobs().store
    job = (await client.post("/jobs", json={"bucket": "calls", "keys": ["day/20.wav"]})).json()
    store._lease_s = -1.0  # type: ignore[attr-defined]  # each taking is lost at once
    for _ in range(5):
        assert await store.take() is not None
    async with working(app):
        assert (await ended(client, job["id"]))["failed"] == 1
    (given_up,) = await results(client, job["id"])
    assert given_up["error"]["code"] == "internal"


async def test_calls_do_not_wait_for_jobs(client: httpx.AsyncClient, app: App, tmp_path: Path) -> None:
    stuck = LocalRemote()
    stuck.open.clear()
    other = App(app.settings, voice=LocalRemote(), face=LocalRemote(), voice_jobs=stuck)
    for runner in (other.voice_runner, *other.require_job_work().runners.values()):
        await runner.probe()
    wanted = JobRequest("calls", ["day/20.wav", "day/60.wav", "day/90.wav"])
    await other.require_jobs().create(wanted, "")
    async with working(other):
        while stuck.in_progress == 0:
            await asyncio.sleep(0.01)
        assert other.voice_runner.active_calls == 0
    await other.close()


async def test_calls_do_not_wait_for_objects_of_jobs(client: httpx.AsyncClient, app: App) -> None:
    over = threading.Event()
    threads = app.require_jobs()._objects._threads  # type: ignore[attr-defined]
    reading = [asyncio.create_task(threads.run(lambda _: over.wait(WITHIN_S))) for _ in range(20)]
    await asyncio.sleep(0)
    try:
        wanted = {"bucket": "calls", "key": "day/20.wav"}
        answer = await asyncio.wait_for(client.post("/analyze_audio", json=wanted), WITHIN_S / 2)
        assert answer.status_code == 200
    finally:
        over.set()
        await asyncio.gather(*reading)


async def test_the_caller_is_told_when_a_job_is_done(remote: LocalRemote, settings: Settings, app: App) -> None:
    async with receiver() as told:
        told.answers = [500, 200]
        origin = told.url.rsplit("/", 1)[0]
        allowed = settings.model_copy(update={"jobs_callbacks": (origin,), "webhook_secret": SecretStr("s3cret")})
        own = App(allowed, voice=remote, face=remote, voice_jobs=remote)
        await own.require_job_work().runners["voice_jobs"].probe()
        api = HttpApi()
        api.app = own
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api.routes()), base_url="http://test") as client:
            wanted = {"bucket": "calls", "keys": ["day/20.wav"], "callback_url": told.url}
            job = (await client.post("/jobs", json=wanted)).json()
            async with working(own):
                await told.wait_for(2)
            signature = hmac.new(b"s3cret", told.bodies[1], hashlib.sha256).hexdigest()
            assert f"x-bonafide-signature: sha256={signature}" in told.heads[1].lower().splitlines()
            document = json.loads(told.bodies[1])
            assert document == (await client.get(f"/jobs/{job['id']}")).json()
            assert (document["state"], document["done"], document["id"]) == ("done", 1, job["id"])
        await own.close()


async def test_without_the_setting_there_is_no_door(remote: LocalRemote, tmp_path: Path) -> None:
    app = App(Settings(objects_dir=tmp_path, grpc_ports=(0,)), voice=remote, face=remote)
    api = HttpApi()
    api.app = app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.routes()), base_url="http://test") as client:
        for answer in (
            await client.post("/jobs", json={"bucket": "calls", "keys": ["a"]}),
            await client.get(f"/jobs/{'0' * 32}"),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "object_not_found")
    server = GrpcServer(app)
    (port,) = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await jobs_pb2_grpc.JobsStub(channel).Create(messages.CreateJobRequest(bucket="calls", keys=["a"]))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        health = await cast(Any, health_pb2_grpc.HealthStub(channel)).Check(
            health_pb2.HealthCheckRequest(service="jobs.Jobs")
        )
        assert health.status == health_pb2.HealthCheckResponse.NOT_SERVING
    await server.stop(0)
    await app.close()


async def test_over_grpc(app: App, client: httpx.AsyncClient) -> None:
    server = GrpcServer(app)
    (port,) = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel, working(app):
        stub = jobs_pb2_grpc.JobsStub(channel)
        job = await stub.Create(messages.CreateJobRequest(bucket="calls", prefix="", priority="low"))
        assert (job.total, job.priority, job.HasField("ended_at")) == (4, "low", False)
        assert (await ended(client, job.id))["done"] == 3
        found = await stub.Get(messages.GetJobRequest(id=job.id))
        assert (found.state, found.done, found.failed, found.HasField("ended_at")) == ("done", 3, 1, True)
        streamed = {each.key: each async for each in stub.Results(messages.JobResultsRequest(id=job.id))}
        assert streamed["broken.wav"].error.code == "unreadable_media"
        verdict = streamed["day/60.wav"].verdict
        kept = {each["key"]: each for each in await results(client, job.id)}["day/60.wav"]["verdict"]
        assert verdict.score == pytest.approx(kept["score"])
        assert dict(verdict.predictions) == pytest.approx(kept["predictions"])
        assert len([each async for each in stub.Results(messages.JobResultsRequest(id=job.id, after=3))]) == 1
        assert (await stub.Cancel(messages.CancelJobRequest(id=job.id))).state == "done"
        with pytest.raises(grpc.aio.AioRpcError, match="more than 80 fields") as refused:
            await stub.Create(messages.CreateJobRequest(bucket="calls", keys=["a"] * 80))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        no_message: Any = channel.unary_unary("/jobs.Jobs/Create")
        with pytest.raises(grpc.aio.AioRpcError, match="no message of this method") as refused:
            await no_message(b"\x12\xff")
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Get(messages.GetJobRequest(id="0" * 32))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        health = await cast(Any, health_pb2_grpc.HealthStub(channel)).Check(
            health_pb2.HealthCheckRequest(service="jobs.Jobs")
        )
        assert health.status == health_pb2.HealthCheckResponse.SERVING
    await server.stop(0)


async def test_who_reads_no_results_keeps_no_place(
    remote: LocalRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bonafide.api.grpc_calls.SETTLE_S", 0.1)
    settings = job_settings(tmp_path).model_copy(update={"call_timeout_s": 1.0})
    async with job_app(settings, remote) as app:
        store = app.require_jobs().store
        wanted = JobRequest("calls", ["day/20.wav", "day/60.wav"])
        job = await app.require_jobs().create(wanted, "")

        async def results(*_: object) -> list[str]:
            return [json.dumps({"index": 0, "bucket": "calls", "key": "k" * 50_000})] * 100

        monkeypatch.setattr(store, "results", results)
        server = GrpcServer(app)
        (port,) = await server.start()
        small = [("grpc.http2.lookahead_bytes", 65_536), ("grpc.http2.bdp_probe", 0)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", small) as channel:
            call = jobs_pb2_grpc.JobsStub(channel).Results(messages.JobResultsRequest(id=job.job_id))
            await call.wait_for_connection()
            async with asyncio.timeout(WITHIN_S):
                await server._calls.ended()
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                _ = [each async for each in call]
            assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await server.stop(0)
