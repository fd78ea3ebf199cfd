import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from bonafide.api.http import HttpApi
from bonafide.api.refusals import refusal
from bonafide.api.security import OPEN
from bonafide.app import App
from bonafide.audio.mono import Block
from bonafide.calls import Call
from bonafide.errors import BonafideError, ErrorCode
from bonafide.settings import Settings
from tests.bonafide.fakes import LocalRemote
from tests.media import encode_image, photo, wav
from tests.portraits import two_faces

VOICE = wav(np.full(80_000, 1000, np.int16), 16_000)


def error_of(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()["error"]
    assert body["message"]
    assert body["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, body["code"]


@pytest.mark.parametrize("digits", ["9" * 5_000, "9" * 25, "0" * 5_000 + "3000000"])
async def test_a_length_of_absurdly_many_digits_is_too_large(client: httpx.AsyncClient, digits: str) -> None:
    answer = await client.post("/detect_audio", content=VOICE, headers={"content-length": digits})
    assert error_of(answer) == (413, "too_large")


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_has_its_status(code: ErrorCode) -> None:
    failure = type("Failure", (BonafideError,), {"code": code})
    call = Call.within(1)
    answer = refusal(failure("what was wrong"), call)
    assert 400 <= answer.status_code <= 599
    assert json.loads(bytes(answer.body))["error"] == {
        "code": code.value,
        "message": "what was wrong",
        "request_id": call.request_id,
    }


async def test_a_recording(client: httpx.AsyncClient) -> None:
    answer = await client.post("/detect_audio", content=VOICE)
    assert answer.status_code == 200
    body = answer.json()
    assert body["predictions"].keys() == {"chunk_0", "chunk_1"}
    assert [chunk["chunk_id"] for chunk in body["chunks"]] == ["chunk_0", "chunk_1"]
    assert body["chunks"][1]["start_time_seconds"] == 1.0
    assert body["label"] == "spoof"
    assert body["threshold"] == 0.5
    assert body["model"] == {"name": "test-model", "version": "0123456789ab", "demo": True}
    assert body["audio_seconds"] == 5.0
    assert body["error_message"] == ""


async def test_silence_has_no_score_and_no_prediction(client: httpx.AsyncClient, remote: LocalRemote) -> None:
    judged = (await client.post("/detect_audio", content=VOICE)).json()
    assert (judged["speech_seconds"], judged["chunks"][0]["speech_ratio"]) == (5.0, 1.0)
    assert judged["suspicious"] == [{"start_time_seconds": 0.0, "end_time_seconds": 5.0, "score": 1.0}]
    remote.speech = lambda item: 0.0
    silence = (await client.post("/detect_audio", content=VOICE[:-2])).json()
    assert "score" not in silence
    assert "score" not in silence["chunks"][0]
    assert (silence["predictions"], silence["suspicious"], silence["speech_seconds"]) == ({}, [], 0.0)
    assert (silence["label"], silence["error_message"]) == ("no_speech", "no speech was found")


async def test_with_the_speech_check_off_everything_is_judged(remote: LocalRemote, tmp_path: Path) -> None:
    remote.speech = lambda item: 0.0
    api = HttpApi()
    api.app = App(Settings(objects_dir=tmp_path, min_speech_ratio=0), voice=remote, face=remote)
    await api.app.voice_runner.probe()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.routes()), base_url="http://test") as client:
        answer = (await client.post("/detect_audio", content=VOICE)).json()
    await api.app.close()
    assert answer["predictions"].keys() == {"chunk_0", "chunk_1"}
    assert (answer["label"], answer["error_message"]) == ("spoof", "")


async def test_a_stored_recording_gets_the_same_answer(client: httpx.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "a.wav").write_bytes(VOICE)
    uploaded = (await client.post("/detect_audio", content=VOICE)).json()
    stored = await client.post("/analyze_audio", json={"bucket": "calls", "key": "a.wav", "task_id": "t-1"})
    assert stored.status_code == 200
    assert {**stored.json(), "request_id": ""} == {**uploaded, "request_id": ""}


async def test_a_photo(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predict_liveness", content=encode_image(photo()))
    body = answer.json()
    assert answer.status_code == 200
    assert body["success"] is True
    assert body["predicted_class"] == ("live" if body["is_live"] else "fake")
    assert body["probabilities"]["fake"] + body["probabilities"]["live"] == pytest.approx(1)
    assert (body["reason"], body["faces"]) == ("no_face", [])


async def test_a_photo_comes_with_its_faces_and_a_reason(client: httpx.AsyncClient) -> None:
    body = (await client.post("/predict_liveness", content=encode_image(two_faces()))).json()
    assert body["reason"] == "several_faces"
    assert [set(face) for face in body["faces"]] == [{"left", "top", "width", "height", "confidence"}] * 2
    described = (await client.get("/docs.json")).json()["paths"]["/predict_liveness"]["post"]["responses"]["200"]
    assert {"reason", "faces"} <= set(described["content"]["application/json"]["schema"]["properties"])


@pytest.mark.parametrize(
    ("route", "content", "expected"),
    [
        ("/detect_audio", b"", (422, "unreadable_media")),
        ("/detect_audio", b"not audio", (422, "unreadable_media")),
        ("/detect_audio", b"x" * 2_000_001, (413, "too_large")),
        ("/predict_liveness", b"", (422, "unreadable_media")),
        ("/predict_liveness", b"x" * 1_000_001, (413, "too_large")),
        ("/analyze_audio", b"{", (400, "invalid_request")),
        ("/analyze_audio", b"[1]", (400, "invalid_request")),
        ("/analyze_audio", b'{"bucket": "calls"}', (400, "invalid_request")),
        ("/analyze_audio", b'{"bucket": "calls", "key": 1}', (400, "invalid_request")),
        ("/analyze_audio", b'{"bucket": "calls", "key": "a", "x": 1}', (400, "invalid_request")),
        ("/analyze_audio", b'{"bucket": "other", "bucket": "calls", "key": "a.wav"}', (400, "invalid_request")),
        (
            "/analyze_audio",
            b'{"bucket": "calls", "key": "a.wav", "hop_seconds": 1, "hop_seconds": 1}',
            (400, "invalid_request"),
        ),
        (
            "/analyze_audio",
            b'{"bucket": "calls", "key": "a.wav", "hop_seconds": %s}' % (b"1" * 5000),
            (400, "invalid_request"),
        ),
        ("/analyze_audio", b"\xff\xfe", (400, "invalid_request")),
        ("/analyze_audio", b"[" * 60_000, (400, "invalid_request")),
        ("/analyze_audio", b'{"bucket": "calls", "key": "none.wav"}', (404, "object_not_found")),
        ("/analyze_audio", b'{"bucket": "other", "key": "a.wav"}', (403, "forbidden")),
        ("/analyze_audio", b" " * 70_000, (413, "too_large")),
    ],
)
async def test_bad_input_gets_the_error_of_the_table(
    client: httpx.AsyncClient, route: str, content: bytes, expected: tuple[int, str]
) -> None:
    assert error_of(await client.post(route, content=content)) == expected


async def test_a_lying_content_length_does_not_matter(client: httpx.AsyncClient) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 100_000

    assert error_of(await client.post("/detect_audio", content=parts())) == (413, "too_large")


async def test_a_full_house_says_when_to_come_again(client: httpx.AsyncClient, app: App) -> None:
    with app.voice_runner.admit(), app.voice_runner.admit():
        answer = await client.post("/detect_audio", content=VOICE)
    assert error_of(answer) == (429, "overloaded")
    assert int(answer.headers["retry-after"]) >= 1


async def test_the_callers_deadline_counts(client: httpx.AsyncClient, remote: LocalRemote) -> None:
    remote.open.clear()
    answer = await client.post("/detect_audio", content=VOICE, headers={"x-timeout-seconds": "0.05"})
    assert error_of(answer) == (504, "deadline_exceeded")
    for bad in (["-1"], ["soon"], ["nan"], ["60", "0.05"], ["0.05", "60"]):
        answer = await client.post(
            "/detect_audio", content=VOICE, headers=[("x-timeout-seconds", each) for each in bad]
        )
        assert error_of(answer) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("route", "expired"),
    [
        ("/detect_audio", "call_timeout_s"),
        ("/analyze_audio", "call_timeout_s"),
        ("/predict_liveness", "face_timeout_s"),
    ],
)
async def test_each_route_has_its_time_limit(route: str, expired: str, remote: LocalRemote, tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "a.wav").write_bytes(VOICE)
    content = {
        "/detect_audio": VOICE,
        "/analyze_audio": b'{"bucket": "calls", "key": "a.wav"}',
        "/predict_liveness": encode_image(photo()),
    }
    settings = Settings.model_validate(
        {"objects_dir": tmp_path, "call_timeout_s": 60, "face_timeout_s": 60, expired: 0.2}
    )
    api = HttpApi()
    api.app = App(settings, voice=remote, face=remote)
    await api.app.voice_runner.probe()
    await api.app.face_runner.probe()
    remote.open.clear()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.routes()), base_url="http://test") as client:
        async with asyncio.timeout(30):
            assert error_of(await client.post(route, content=content[route])) == (504, "deadline_exceeded")
        # The other kind of call is not done yet when this one has expired.
        other = "/detect_audio" if route == "/predict_liveness" else "/predict_liveness"
        waiting = asyncio.create_task(client.post(other, content=content[other]))
        await asyncio.sleep(0.6)
        assert not waiting.done()
        remote.open.set()
        assert (await waiting).status_code == 200
    await api.app.close()


async def test_a_bug_of_ours_shows_no_detail(
    client: httpx.AsyncClient, remote: LocalRemote, caplog: pytest.LogCaptureFixture
) -> None:
    remote.errors = [ZeroDivisionError("secret detail")]
    answer = await client.post("/detect_audio", content=VOICE, headers={"x-request-id": "req-7"})
    assert error_of(answer) == (500, "internal")
    assert "secret" not in answer.text
    assert "req-7" in answer.text
    assert "secret detail" in caplog.text


async def test_before_the_service_has_started_it_is_unavailable() -> None:
    transport = httpx.ASGITransport(HttpApi().routes())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert error_of(await client.get("/health")) == (503, "unavailable")


async def test_balancers_that_ask_for_the_health_send_nobody_to_a_service_that_leaves(app: App) -> None:
    api = HttpApi()
    api.app = app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.routes()), base_url="http://test") as client:
        assert (await client.get("/health")).status_code == 200
        api.leave()
        assert error_of(await client.get("/health")) == (503, "unavailable")
        assert (await client.post("/detect_audio", content=VOICE)).status_code == 200  # until they have asked


async def test_a_caller_who_leaves_frees_the_place(app: App, remote: LocalRemote) -> None:
    api = HttpApi()
    api.app = app
    remote.open.clear()
    messages = [{"type": "http.request", "body": VOICE, "more_body": False}]
    left = asyncio.Event()
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/detect_audio", "headers": [], "query_string": b""}
    task = asyncio.create_task(api.routes()(scope, receive, send))
    while app.voice_runner.active_calls == 0:
        await asyncio.sleep(0.01)
    left.set()
    await asyncio.wait_for(task, 5)
    assert app.voice_runner.active_calls == 0
    assert sent[0]["status"] == 499


async def test_the_verdict_on_a_phone_call(client: httpx.AsyncClient, app: App) -> None:
    assert (await client.get("/calls/CA1")).status_code == 404
    kept = b'{"call_id":  "CA1"}'
    await app.calls.put("CA1", kept)
    answer = await client.get("/calls/CA1")
    assert (answer.content, answer.headers["content-type"]) == (kept, "application/json"), "of hours it is megabytes"


async def test_each_open_session_has_its_statistics(client: httpx.AsyncClient, app: App) -> None:
    with (
        app.live.open(Call.within(9, request_id="one")) as named,
        app.live.open(Call.within(9, request_id="two")) as same,
        app.live.open(Call.within(9, request_id="three")),
        app.live.open(Call.within(9, request_id="four"), "another caller"),
    ):
        named.client_id = same.client_id = "branch-7"
        named.session.feed(Block(np.zeros(24_000, np.float32), 16_000))
        stats = (await client.get("/stats")).json()
        assert (await client.get("/health")).json()["active_connections"] == stats["active_connections"] == 4
    assert list(stats["connections"]) == ["branch-7", "two", "three"]
    found = stats["connections"]["branch-7"]
    assert found.pop("connected_at") == pytest.approx(time.time(), abs=5)
    assert found == {
        "total_messages": 0, "total_detections": 0, "buffer_size": 8_000, "buffer_duration": 0.5,
        "audio_seconds": 1.5, "judged_seconds": 0, "speech_seconds": 0.0,
    }  # fmt: skip


async def test_status_health_stats_and_docs(client: httpx.AsyncClient, app: App) -> None:
    status = (await client.get("/model_status")).json()
    assert status["voice"]["status"] == status["face"]["status"] == "loaded"
    assert status["voice"]["model"]["demo"] is True
    health = (await client.get("/health")).json()
    assert health.pop("timestamp") == pytest.approx(time.time(), abs=5)
    assert health == {"status": "healthy", "runners": {"voice": True, "face": True}, "active_connections": 0}
    stats = (await client.get("/stats")).json()
    assert (stats["active_connections"], stats["connections"]) == (0, {})
    assert stats["timestamp"] == pytest.approx(time.time(), abs=5)
    assert stats["voice"] == {"active_calls": 0, "max_calls": 2, "ready": True}
    assert stats["live"] == {"active_sessions": 0, "max_sessions": 256}
    paths = (await client.get("/docs.json")).json()["paths"]
    assert set(paths) == {
        "/detect_audio", "/analyze_audio", "/predict_liveness", "/model_status", "/health", "/stats",
        "/calls/{call_id}", "/.well-known/jwks.json", "/feedback",
        "/jobs", "/jobs/{job_id}", "/jobs/{job_id}/results",
    }  # fmt: skip
    answer = paths["/predict_liveness"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    photo_answer = json.loads((await client.post("/predict_liveness", content=encode_image(photo()))).content)
    assert set(answer["properties"]) == {*photo_answer, "llr"}  # which an uncalibrated model has not


async def test_docs_declare_the_parts_of_paths_and_the_ways_of_a_key(client: httpx.AsyncClient) -> None:
    docs = (await client.get("/docs.json")).json()
    for path, operations in docs["paths"].items():
        for operation in operations.values():
            declared = [(each["in"], each["name"]) for each in operation["parameters"]]
            assert len(declared) == len(set(declared))
            in_path = {name for place, name in declared if place == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", path))
            assert {("header", "x-timeout-seconds"), ("header", "x-request-id")} <= set(declared)
            assert (operation.get("security") == []) == (path in OPEN)
    assert {name for way in docs["security"] for name in way} == set(docs["components"]["securitySchemes"])
