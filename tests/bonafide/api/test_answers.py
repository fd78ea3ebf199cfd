"""Decision, evidence, partly spoofed recordings and hops through every door, by a model of known scores."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from pydantic import ValidationError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bonafide.api.grpc import GrpcServer
from bonafide.api.http import HttpApi
from bonafide.app import App
from bonafide.settings import Settings
from proto import audio_analyzer_pb2 as audio
from proto import audio_analyzer_pb2_grpc, liveness_api_pb2_grpc
from proto import liveness_api_pb2 as liveness
from tests import phone
from tests.bonafide.api.socket_server import Client, socket_server
from tests.bonafide.audio.tunes import tune
from tests.bonafide.fakes import INFO, LocalRemote
from tests.grpc_refusal import refusal
from tests.media import encode_image, photo, wav
from tests.phone import CALL, CONNECTED, STOP, start

FACTS = {"threshold": 0.6, "calibrated": True, "prior_log_odds": 0.0, "uncertain": [0.3, 0.8], "notice": "of its card"}


class Described(LocalRemote):
    """A model with facts of its own."""

    def __init__(self, facts: dict[str, Any], score: float | None = None) -> None:
        super().__init__(*(() if score is None else (lambda item: score,)))
        self._facts = facts

    async def info(self) -> dict[str, Any]:
        return INFO | self._facts


def spoken(*levels: float) -> bytes:
    """Windows whose share of non-zero samples, and so their score, is as given."""
    samples = np.zeros(64_000 * len(levels), np.int16)
    for index, level in enumerate(levels):
        samples[64_000 * index : 64_000 * index + int(64_000 * level)] = 1_000
    return wav(samples, 16_000)


@asynccontextmanager
async def doors(folder: Path, remote: LocalRemote, **fields: Any) -> AsyncIterator[tuple[httpx.AsyncClient, Any, Any]]:
    """HTTP in this process, and stubs of both gRPC services over a port."""
    app = App(Settings(objects_dir=folder, grpc_ports=(0,), **fields), voice=remote, face=remote)
    await app.voice_runner.probe()
    await app.face_runner.probe()
    api = HttpApi()
    api.app = app
    server = GrpcServer(app)
    (port,) = await server.start()
    transport = httpx.ASGITransport(api.routes(), raise_app_exceptions=False)
    try:
        async with (
            asyncio.timeout(60),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            voice = audio_analyzer_pb2_grpc.AudioAnalysisStub(channel)
            yield client, voice, liveness_api_pb2_grpc.LivenessServiceStub(channel)
    finally:
        await server.stop(0)
        await app.close()


def put(folder: Path, data: bytes) -> None:
    (folder / "calls").mkdir()
    (folder / "calls/a.wav").write_bytes(data)


STORED: dict[str, Any] = {"minio_bucket_name": "calls", "minio_object_key": "a.wav"}


def upload(data: bytes, **fields: Any) -> list[audio.AnalyzeUploadRequest]:
    half = len(data) // 2
    return [audio.AnalyzeUploadRequest(data=data[:half], **fields), audio.AnalyzeUploadRequest(data=data[half:])]


async def uploaded(voice: Any, data: bytes, **fields: Any) -> audio.AnalyzeAudioResponse:
    async for event in voice.AnalyzeUpload(upload(data, **fields)):
        last = event
    return last.summary  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("score", "decision", "label"),
    [
        (0.2, "bonafide", "bonafide"),
        (0.4, "uncertain", "bonafide"),
        (0.7, "uncertain", "spoof"),
        (0.9, "spoof", "spoof"),
    ],
)
async def test_three_answers_of_voices_and_photos(score: float, decision: str, label: str, tmp_path: Path) -> None:
    put(tmp_path, spoken(1.0))
    llr = pytest.approx(np.log(score / (1 - score)), abs=1e-4)
    async with doors(tmp_path, Described(FACTS, score)) as (client, voice, face):
        over_http = (await client.post("/detect_audio", content=spoken(1.0))).json()
        stored = (await client.post("/analyze_audio", json={"bucket": "calls", "key": "a.wav"})).json()
        over_grpc = await voice.AnalyzeAudio(audio.AnalyzeAudioRequest(**STORED))
        picture = await face.PredictLiveness(liveness.LivenessRequest(image_data=encode_image(photo())))
        of_photo = (await client.post("/predict_liveness", content=encode_image(photo()))).json()
        status = await voice.GetVoiceModelStatus(audio.VoiceModelStatusRequest())
        of_face = await face.GetModelStatus(liveness.ModelStatusRequest())
        both = (await client.get("/model_status")).json()
    for document in (over_http, stored):
        assert (document["decision"], document["label"], document["llr"]) == (decision, label, llr)
        assert document["chunks"][0]["llr"] == llr
    assert (over_grpc.decision, over_grpc.label, over_grpc.llr) == (decision, label, llr)
    assert (picture.decision, picture.llr) == (decision, llr)
    assert (of_photo["decision"], of_photo["llr"]) == (decision, llr)
    assert (status.uncertain_lower, status.uncertain_upper) == pytest.approx((0.3, 0.8))
    assert (of_face.uncertain_lower, of_face.uncertain_upper) == pytest.approx((0.3, 0.8))
    assert {status.notice, of_face.notice, both["voice"]["notice"], both["face"]["notice"]} == {"of its card"}


async def test_nothing_is_decided_or_weighed_unless_it_was_fitted_or_set(tmp_path: Path) -> None:
    async with doors(tmp_path, Described({}, 0.9)) as (client, voice, face):
        document = (await client.post("/detect_audio", content=spoken(1.0))).json()
        picture = await face.PredictLiveness(liveness.LivenessRequest(image_data=encode_image(photo())))
        status = await voice.GetVoiceModelStatus(audio.VoiceModelStatusRequest())
    assert (document["label"], document["decision"]) == ("spoof", "")
    assert "llr" not in document
    assert "llr" not in document["chunks"][0]
    assert (picture.decision, picture.HasField("llr"), status.HasField("uncertain_lower")) == ("", False, False)


async def test_a_setting_asks_for_decisions_of_any_model(tmp_path: Path) -> None:
    bands = {"voice_uncertain": "0.3,0.95", "face_uncertain": "0.1,0.2"}
    async with doors(tmp_path, Described({}, 0.9), **bands) as (client, _, face):
        document = (await client.post("/detect_audio", content=spoken(1.0))).json()
        picture = await face.PredictLiveness(liveness.LivenessRequest(image_data=encode_image(photo())))
    assert (document["label"], document["decision"]) == ("spoof", "uncertain")
    assert picture.decision == "spoof"


@pytest.mark.parametrize("band", ["0.8,0.2", "0.5", "0.1,0.2,0.3", "-0.1,0.5", "0.5,1.1", "nan,0.5", "a,b"])
def test_a_band_has_two_ends_in_order(band: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONAFIDE_VOICE_UNCERTAIN", band)
    with pytest.raises(ValidationError):
        Settings()


@pytest.mark.parametrize(("band", "found"), [("0.2,0.8", (0.2, 0.8)), ("[0.2, 0.8]", (0.2, 0.8)), ("", None)])
def test_a_band_is_a_list(band: str, found: tuple[float, float] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONAFIDE_VOICE_UNCERTAIN", band)
    assert Settings().voice_uncertain == found


async def test_a_recording_that_is_bona_fide_by_its_mean_may_be_partially_spoofed(tmp_path: Path) -> None:
    async with doors(tmp_path, Described(FACTS)) as (client, voice, _):
        partly = (await client.post("/detect_audio", content=spoken(0.1, 0.9, 0.1))).json()
        wholly = (await client.post("/detect_audio", content=spoken(0.9, 0.9, 0.9))).json()
        summary = await uploaded(voice, spoken(0.1, 0.9, 0.1))
    assert (partly["label"], partly["partially_spoofed"]) == ("bonafide", True)
    assert [(each["start_time_seconds"], each["end_time_seconds"]) for each in partly["suspicious"]] == [(4.0, 8.0)]
    assert (wholly["label"], wholly["partially_spoofed"]) == ("spoof", False)
    assert (summary.label, summary.partially_spoofed) == ("bonafide", True)


async def test_a_hop_through_every_door_of_recordings(tmp_path: Path) -> None:
    data = spoken(0.1, 0.9, 0.1)
    put(tmp_path, data)
    async with doors(tmp_path, Described(FACTS)) as (client, voice, _):
        body = {"bucket": "calls", "key": "a.wav"}
        plain = (await client.post("/analyze_audio", json=body)).json()
        documents = [
            (await client.post("/analyze_audio", json={**body, "hop_seconds": 2})).json(),
            (await client.post("/analyze_audio?hop_seconds=2", json=body)).json(),
            (await client.post("/detect_audio?hop_seconds=2.0", content=data)).json(),
            (await client.post("/detect_audio", files={"file": ("a.wav", data)}, data={"hop_seconds": "2"})).json(),
        ]
        request = audio.AnalyzeAudioRequest(**STORED, hop_seconds=2)
        streamed = [event async for event in voice.AnalyzeAudioStream(request)]
        messages = [await voice.AnalyzeAudio(request), await uploaded(voice, data, hop_seconds=2), streamed[-1].summary]
        again = (await client.post("/analyze_audio", json=body)).json()
    assert (plain["hop_seconds"], len(plain["chunks"])) == (4.0, 3)
    assert again["predictions"] == plain["predictions"]
    for document in documents:
        assert document["hop_seconds"] == 2.0
        assert [chunk["start_time_seconds"] for chunk in document["chunks"]] == [0.0, 2.0, 4.0, 6.0, 8.0]
        assert [document["chunks"][2 * index]["score"] for index in range(3)] == [
            chunk["score"] for chunk in plain["chunks"]
        ]
    for message in messages:
        assert message.hop_seconds == 2.0
        assert [chunk.start_time_seconds for chunk in message.chunks] == [0.0, 2.0, 4.0, 6.0, 8.0]


async def test_windows_of_another_hop_are_other_windows_in_the_cache(tmp_path: Path) -> None:
    put(tmp_path, spoken(0.1, 0.9, 0.1))
    remote = Described(FACTS)
    async with doors(tmp_path, remote) as (client, _, _):
        body = {"bucket": "calls", "key": "a.wav"}
        for hop, scored in ((None, 3), (2, 3 + 5), (2, 3 + 5), (1, 3 + 5 + 9), (4, 3 + 5 + 9), (None, 3 + 5 + 9)):
            first = (await client.post("/analyze_audio", json={**body, "hop_seconds": hop})).json()
            assert remote.scored == scored
            again = (await client.post("/analyze_audio", json={**body, "hop_seconds": hop})).json()
            assert remote.scored == scored
            assert again["chunks"] == first["chunks"]


async def test_live_sessions_have_all_of_it_in_their_summary(tmp_path: Path) -> None:
    samples = np.frombuffer(spoken(0.1, 0.9, 0.1)[44:], "<i2")
    config = audio.LiveAudioConfig(encoding="pcm16", chunk_duration=4.0)
    requests = [audio.LiveAudioRequest(config=config), audio.LiveAudioRequest(audio=samples.tobytes())]
    async with doors(tmp_path, Described(FACTS)) as (_, voice, _):
        events = [event async for event in voice.AnalyzeLive(requests)]
    summary = events[-1].summary
    assert [event.window.llr for event in events[:-1]] == pytest.approx(
        [np.log(score / (1 - score)) for score in (0.1, 0.9, 0.1)], abs=1e-3
    )
    assert (summary.label, summary.decision, summary.partially_spoofed) == ("bonafide", "uncertain", True)
    assert summary.llr == pytest.approx(np.log(summary.score / (1 - summary.score)), abs=1e-3)
    assert "codec" not in summary.conditions


async def test_a_socket_has_all_of_it_in_its_summary() -> None:
    floats = (np.frombuffer(spoken(0.1, 0.9, 0.1)[44:], "<i2") / np.float32(32_768)).astype("<f4")
    async with socket_server(Described(FACTS)) as server, connect(server.url, compression=None) as socket:
        client = Client(socket)
        await client.ask(json.dumps({"type": "config", "encoding": "float32", "chunk_duration": 4.0}))
        result = await client.ask(floats.tobytes())
        summary = await client.ask(json.dumps({"type": "end"}))
    assert [window.llr for window in result.windows] == pytest.approx(
        [np.log(score / (1 - score)) for score in (0.1, 0.9, 0.1)], abs=1e-3
    )
    assert (summary.label, summary.decision, summary.partially_spoofed) == ("bonafide", "uncertain", True)
    assert [window.llr for window in summary.windows] == [window.llr for window in result.windows]


async def test_a_socket_of_an_uncalibrated_model_has_no_such_field_and_knows_its_codec() -> None:
    async with socket_server() as server, connect(server.url, compression=None) as socket:
        await socket.send(json.dumps({"type": "config", "encoding": "mulaw", "chunk_duration": 1.0}))
        await socket.recv()
        await socket.send(bytes(range(256)) * 94)
        await socket.recv()
        await socket.send(json.dumps({"type": "end"}))
        summary = json.loads(await socket.recv())
    assert not {"decision", "llr"} & summary.keys()
    assert {"narrow_band", "codec"} <= set(summary["conditions"])


async def test_music_is_told_through_every_door(tmp_path: Path) -> None:
    pcm = (tune(8.0) * 32_767).astype("<i2")
    put(tmp_path, wav(pcm, 16_000))
    config = audio.LiveAudioConfig(encoding="pcm16", chunk_duration=4.0)
    requests = [audio.LiveAudioRequest(config=config), audio.LiveAudioRequest(audio=pcm.tobytes())]
    async with doors(tmp_path, Described(FACTS)) as (client, voice, _):
        sent = (await client.post("/detect_audio", content=wav(pcm, 16_000))).json()
        stored = await voice.AnalyzeAudio(audio.AnalyzeAudioRequest(**STORED))
        cached = await voice.AnalyzeAudio(audio.AnalyzeAudioRequest(**STORED))
        events = [event async for event in voice.AnalyzeLive(requests)]
    async with socket_server() as server, connect(server.url, compression=None) as socket:
        live = Client(socket)
        await live.ask(json.dumps({"type": "config", "encoding": "pcm16", "chunk_duration": 4.0}))
        await live.ask(pcm.tobytes())
        summary = await live.ask(json.dumps({"type": "end"}))
    heard = (
        sent["conditions"],
        stored.conditions,
        cached.conditions,
        events[-1].summary.conditions,
        summary.conditions,
    )
    assert all("music" in conditions for conditions in heard)


async def test_a_phone_call_has_all_of_it_in_its_verdict() -> None:
    frames = [CONNECTED, start(), *phone.spoken(b"\x9f" * 8_000 * 4), STOP]
    async with socket_server(Described(FACTS, 0.7)) as server, connect(server.phone_url, compression=None) as socket:
        for frame in frames:
            await socket.send(json.dumps(frame))
        with suppress(ConnectionClosed):
            while True:
                await socket.recv()
        document = json.loads(await server.calls.get(CALL) or b"{}")
    assert (document["status"], document["label"], document["decision"]) == ("done", "spoof", "uncertain")
    assert document["llr"] == pytest.approx(np.log(0.7 / 0.3), abs=1e-3)
    assert "codec" in document["conditions"]
    assert document["partially_spoofed"] is False


@pytest.mark.parametrize("hop", [0, 0.4, 5, -1])
async def test_a_wrong_hop_is_an_invalid_request_at_every_door(hop: float, tmp_path: Path) -> None:
    put(tmp_path, spoken(0.1))
    async with doors(tmp_path, Described(FACTS)) as (client, voice, _):
        for answer in (
            await client.post("/analyze_audio", json={"bucket": "calls", "key": "a.wav", "hop_seconds": hop}),
            await client.post(f"/detect_audio?hop_seconds={hop}", content=spoken(0.1)),
            await client.post(
                "/detect_audio?hop_seconds=2", files={"file": ("a.wav", spoken(0.1))}, data={"hop_seconds": "1"}
            ),
            await client.post("/detect_audio", files={"file": ("a.wav", spoken(0.1))}, data={"hop_seconds": f"{hop}"}),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
            assert "hop_seconds" in answer.json()["error"]["message"]
        request = audio.AnalyzeAudioRequest(**STORED, hop_seconds=hop)
        for refused in (
            await refusal(voice.AnalyzeAudio(request)),
            await refusal(voice.AnalyzeUpload(upload(spoken(0.1), hop_seconds=hop))),
        ):
            assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "hop_seconds must be" in (refused.details() or "")


@pytest.mark.parametrize(
    "query", ["hop_seconds=", "hop_seconds=fast", "hop_seconds=1&hop_seconds=2", "hop_seconds=nan"]
)
async def test_a_hop_that_is_no_number_is_an_invalid_request(query: str, tmp_path: Path) -> None:
    async with doors(tmp_path, Described(FACTS)) as (client, _, _):
        answer = await client.post(f"/detect_audio?{query}", content=spoken(0.1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_the_openapi_document_names_the_hop_and_the_choice_of_channels() -> None:
    from bonafide.api.openapi import OPENAPI

    parameters = {each["name"]: each["schema"] for each in OPENAPI["paths"]["/detect_audio"]["post"]["parameters"]}
    everywhere = {"x-timeout-seconds", "x-request-id"}
    assert set(parameters) == {"hop_seconds", "channel_mode", "x-channel-mode", *everywhere}
    assert parameters["hop_seconds"]["minimum"] == 0.5
    assert "decision" in json.dumps(OPENAPI)
