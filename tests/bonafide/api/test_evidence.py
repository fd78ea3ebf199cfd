"""Every transport's verdict comes with a record that the client verifies, on the bytes that were sent."""

import asyncio
import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import connect

from bonafide.api.http import HttpApi
from bonafide.api.telephony.call_verdict import CallVerdict
from bonafide.app import App
from bonafide.calls import Call
from bonafide.errors import Unavailable
from bonafide.evidence.evidence import Evidence
from bonafide.evidence.judgement import Judgement
from bonafide.media_digest import digest_of
from bonafide.settings import Settings
from bonafide_client.evidence import PublicKeys, verify_log, verify_record
from proto import audio_analyzer_pb2 as audio
from tests.bonafide.api.socket_server import client as socket_client
from tests.bonafide.api.socket_server import socket_server
from tests.bonafide.api.test_grpc_live import asked, calling, config, heard
from tests.bonafide.evidence.signing import key_file
from tests.bonafide.fakes import LocalRemote
from tests.media import encode_image, photo, wav
from tests.phone import CALL, CONNECTED, STOP, spoken, start

VOICE = wav(np.full(80_000, 1000, np.int16), 16_000)
PHOTO = encode_image(photo())
GO = Path(__file__).parents[3] / "clients/go"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        objects_dir=tmp_path / "objects", evidence_key=key_file(tmp_path / "key"), evidence_log=tmp_path / "log"
    )


async def keys(client: httpx.AsyncClient, folder: Path) -> PublicKeys:
    answer = await client.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    (folder / "keys.json").write_text(answer.text)
    return PublicKeys.read(folder / "keys.json")


def verified(answer: dict[str, Any], keys: PublicKeys, media: bytes, folder: Path) -> dict[str, Any]:
    """The payload of the answer's record, which is genuine, on these media, and in the log."""
    record = verify_record(answer["evidence"].encode(), keys)
    found = digest_of(media)
    assert (record.media.sha256, record.media.length) == (found.sha256, found.length)
    verify_log(folder / "log", keys, record.text)
    payload = dict(record.payload)
    assert payload["request_id"] == answer["request_id"]
    return payload


async def test_uploads_objects_and_photos_over_http(client: httpx.AsyncClient, tmp_path: Path) -> None:
    public = await keys(client, tmp_path)
    answer = (await client.post("/detect_audio", content=VOICE)).json()
    record = verified(answer, public, VOICE, tmp_path)
    assert (record["source"], record["label"], record["score"]) == ("upload", "spoof", answer["score"])
    assert [window[2] for window in record["windows"]] == [chunk["score"] for chunk in answer["chunks"]]
    (tmp_path / "objects" / "calls").mkdir(parents=True)
    (tmp_path / "objects" / "calls" / "a.wav").write_bytes(VOICE)
    wanted = {"bucket": "calls", "key": "a.wav", "task_id": "t-1"}
    for _ in ("fetched", "from the cache alone"):
        record = verified((await client.post("/analyze_audio", json=wanted)).json(), public, VOICE, tmp_path)
        assert (record["source"], record["reference"]) == ("object", "calls/a.wav")
        assert record["task_id"] == "t-1"
    answer = (await client.post("/predict_liveness", content=PHOTO)).json()
    record = verified(answer, public, PHOTO, tmp_path)
    assert (record["source"], record["task"], record["label"]) == ("photo", "voice", answer["predicted_class"])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")
async def test_the_go_example_verifies_the_same_record(client: httpx.AsyncClient, tmp_path: Path) -> None:
    await keys(client, tmp_path)
    answer = (await client.post("/detect_audio", content=VOICE)).json()
    (tmp_path / "call.wav").write_bytes(VOICE)
    (tmp_path / "call.jws").write_text(answer["evidence"])
    (log_file,) = (tmp_path / "log").iterdir()
    log, media, record = (str(path) for path in (log_file, tmp_path / "call.wav", tmp_path / "call.jws"))

    def verify() -> "subprocess.CompletedProcess[str]":
        command = ["go", "run", "./cmd/verify", "-key", str(tmp_path / "keys.json"), "-log", log, media, record]
        return subprocess.run(command, cwd=GO, check=False, capture_output=True, text=True)

    genuine = await asyncio.to_thread(verify)
    assert json.loads(genuine.stdout.splitlines()[-1])["request_id"] == answer["request_id"]
    (tmp_path / "call.wav").write_bytes(VOICE[:-1] + b"!")
    assert "not what was judged" in (await asyncio.to_thread(verify)).stderr


async def test_a_cached_verdict_is_signed_anew(client: httpx.AsyncClient, tmp_path: Path, remote: LocalRemote) -> None:
    public = await keys(client, tmp_path)
    first = (await client.post("/detect_audio", content=VOICE)).json()
    scored = remote.scored
    second = (await client.post("/detect_audio", content=VOICE)).json()
    assert remote.scored == scored
    one, other = (verified(answer, public, VOICE, tmp_path) for answer in (first, second))
    assert one["request_id"] != other["request_id"]
    assert (one["log"]["number"], other["log"]["number"]) == (0, 1)
    assert one["windows"] == other["windows"]


async def test_without_a_record_there_is_no_verdict(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(self: Evidence, judgement: Judgement, call: Call) -> str:
        raise Unavailable("the evidence of the verdict cannot be kept, try again later")

    monkeypatch.setattr(Evidence, "record", full)
    for path, media in (("/detect_audio", VOICE), ("/predict_liveness", PHOTO)):
        answer = await client.post(path, content=media)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")


async def test_a_service_without_a_key_has_neither_records_nor_keys(remote: LocalRemote, tmp_path: Path) -> None:
    api = HttpApi()
    api.app = App(Settings(objects_dir=tmp_path), voice=remote, face=remote)
    await api.app.voice_runner.probe()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.routes()), base_url="http://test") as client:
        assert (await client.post("/detect_audio", content=VOICE)).json()["evidence"] == ""
        answer = await client.get("/.well-known/jwks.json")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "object_not_found")
    await api.app.close()


async def test_live_audio_over_grpc(settings: Settings, app: App, client: httpx.AsyncClient, tmp_path: Path) -> None:
    sound = np.full(40_000, 1000, np.int16).tobytes()
    async with calling(tmp_path, LocalRemote()) as (plain, stub):
        plain.live._records = app.live._records
        events = await asked(
            stub, config(encoding="pcm16", task_id="t-2"), heard(sound[:31_111]), heard(sound[31_111:])
        )
    summary = events[-1].summary
    answer = {"evidence": summary.evidence, "request_id": summary.request_id}
    record = verified(answer, await keys(client, tmp_path), sound, tmp_path)
    assert (record["source"], len(record["windows"])) == ("live", len(summary.windows))
    assert record["task_id"] == "t-2"


async def test_live_audio_of_two_channels(
    settings: Settings, app: App, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    random = np.random.default_rng(1)
    sound = random.integers(-9_000, 9_000, (80_000, 2)).astype("<i2").tobytes()
    async with calling(tmp_path, LocalRemote()) as (plain, stub):
        plain.live._records = app.live._records
        *_, last = await asked(stub, config(encoding="pcm16", channels=2), heard(sound))
    answer = {"evidence": last.summary.evidence, "request_id": last.summary.request_id}
    record = verified(answer, await keys(client, tmp_path), sound, tmp_path)
    assert (record["channel_mode"], record["channel"]) == ("auto", last.summary.channel)
    assert last.summary.channel in ("0", "1")
    assert len(record["windows"]) == len(last.summary.windows)


async def test_live_audio_over_the_websocket(app: App, client: httpx.AsyncClient, tmp_path: Path) -> None:
    public = await keys(client, tmp_path)
    raw = np.full(20_000, 1000, np.int16).tobytes()
    numbers = [0.25] * 8_000
    async with socket_server(records=app.live._records) as server, socket_client(server.url) as socket:
        await socket.ask(json.dumps({"type": "config", "encoding": "pcm16"}))
        await socket.ask(raw)
        text = base64.b64encode(raw).decode()
        await socket.ask(json.dumps({"type": "audio_chunk", "audio_data": text, "encoding": "pcm16"}))
        await socket.ask(json.dumps({"type": "audio_chunk", "audio_data": numbers, "encoding": "float32"}))
        await socket.send(json.dumps({"type": "end"}))
        frame = await socket.receive()
    answer = frame if isinstance(frame, dict) else frame.model_dump()
    sent = raw + raw + np.full(8_000, 0.25, "<f4").tobytes()
    verified(answer, public, sent, tmp_path)


async def test_a_phone_call(app: App, client: httpx.AsyncClient, tmp_path: Path) -> None:
    public = await keys(client, tmp_path)
    media = b"\x9f" * 160 * 75
    async with socket_server(records=app.live._records) as server:
        async with connect(server.phone_url, compression=None) as socket:
            for frame in (CONNECTED, start(), *spoken(media), STOP):
                await socket.send(json.dumps(frame))
            await socket.wait_closed()
        document = await server.calls.get(CALL)
    assert document is not None
    record = verified(CallVerdict.model_validate_json(document).model_dump(), public, media, tmp_path)
    assert record["task_id"] == CALL


async def test_an_upload_over_grpc(settings: Settings, app: App, client: httpx.AsyncClient, tmp_path: Path) -> None:
    async with calling(tmp_path, LocalRemote()) as (plain, stub):
        plain.voice._records = app.voice._records
        parts = [
            audio.AnalyzeUploadRequest(data=VOICE[:1000], task_id="t-3"),
            audio.AnalyzeUploadRequest(data=VOICE[1000:]),
        ]
        *_, last = [event async for event in stub.AnalyzeUpload(iter(parts))]
    answer = {"evidence": last.summary.evidence, "request_id": last.summary.request_id}
    record = verified(answer, await keys(client, tmp_path), VOICE, tmp_path)
    assert (record["source"], record["task_id"]) == ("upload", "t-3")
