import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from PIL import Image
from prometheus_client import REGISTRY

from bonafide.api.grpc import FACE_SERVICE, VOICE_SERVICE, GrpcServer
from bonafide.api.grpc_calls import Context, abort
from bonafide.app import App
from bonafide.calls import Call
from bonafide.errors import BonafideError, ErrorCode
from bonafide.settings import Settings
from proto import audio_analyzer_pb2 as audio
from proto import audio_analyzer_pb2_grpc, liveness_api_pb2_grpc
from proto import liveness_api_pb2 as liveness
from tests.bonafide.fakes import MEMBERS, LocalRemote
from tests.grpc_refusal import refusal
from tests.media import encode_image, photo, wav
from tests.portraits import no_face, two_faces

VOICE = wav(np.full(80_000, 1000, np.int16), 16_000)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
async def server(app: App, spans: InMemorySpanExporter) -> AsyncIterator[tuple[GrpcServer, int]]:
    tracer = TracerProvider()
    tracer.add_span_processor(SimpleSpanProcessor(spans))
    server = GrpcServer(app, tracer)
    (port,) = await server.start()
    yield server, port
    await server.stop(0)


@pytest.fixture
async def channel(server: tuple[GrpcServer, int]) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server[1]}") as channel:
        yield channel


@pytest.fixture
def voice(channel: grpc.aio.Channel) -> Any:
    return audio_analyzer_pb2_grpc.AudioAnalysisStub(channel)


@pytest.fixture
def face(channel: grpc.aio.Channel) -> Any:
    return liveness_api_pb2_grpc.LivenessServiceStub(channel)


@pytest.fixture
def stored(tmp_path: Path) -> audio.AnalyzeAudioRequest:
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "a.wav").write_bytes(VOICE)
    return audio.AnalyzeAudioRequest(minio_bucket_name="calls", minio_object_key="a.wav", task_id="task-1")


def trailer(error: grpc.aio.AioRpcError) -> dict[str, str]:
    return {key: str(value) for key, value in error.trailing_metadata() or ()}


class AbortedContext:
    """Records how the call was ended."""

    def __init__(self) -> None:
        self.ended: tuple[grpc.StatusCode, str, dict[str, str]] | None = None

    async def abort(self, status: grpc.StatusCode, message: str, trailer: Any) -> None:
        self.ended = status, message, dict(trailer)


@pytest.mark.parametrize("code", ErrorCode)
async def test_every_error_has_its_status(code: ErrorCode) -> None:
    failure = type("Failure", (BonafideError,), {"code": code})
    context, call = AbortedContext(), Call.within(1)
    await abort(cast(Context, context), call, failure("what was wrong"))
    assert context.ended is not None
    status, message, told = context.ended
    assert status not in (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN)
    assert (message, told) == (
        "what was wrong",
        {"x-request-id": call.request_id, "bonafide-error-code": code.value},
    )


async def test_a_stored_recording(voice: Any, stored: audio.AnalyzeAudioRequest) -> None:
    answer = await voice.AnalyzeAudio(stored, metadata=(("x-request-id", "req-1"),))
    assert set(answer.predictions) == {"chunk_0", "chunk_1"}
    assert answer.predictions["chunk_0"] == 1.0
    assert [(c.chunk_id, c.start_time_seconds, c.end_time_seconds) for c in answer.chunks] == [
        ("chunk_0", 0.0, 4.0),
        ("chunk_1", 1.0, 5.0),
    ]
    assert (answer.label, answer.threshold, answer.audio_seconds) == ("spoof", 0.5, 5.0)
    assert answer.request_id == "req-1"
    assert answer.model.demo


async def test_silence_has_no_score_and_no_prediction(
    voice: Any, remote: LocalRemote, stored: audio.AnalyzeAudioRequest
) -> None:
    remote.speech = lambda item: 0.01
    answer = await voice.AnalyzeAudio(stored)
    assert (dict(answer.predictions), answer.label) == ({}, "no_speech")
    assert not answer.HasField("score")
    assert answer.error_message == "no speech was found"
    assert [(c.label, c.HasField("score")) for c in answer.chunks] == [("no_speech", False)] * 2
    events = [event async for event in voice.AnalyzeAudioStream(stored)]
    assert [event.WhichOneof("event") for event in events] == ["chunk", "chunk", "summary"]
    assert not events[0].chunk.HasField("score")


async def test_speech_and_suspicious_stretches_are_told(voice: Any, stored: audio.AnalyzeAudioRequest) -> None:
    answer = await voice.AnalyzeAudio(stored)
    assert answer.speech_seconds == 5.0
    assert [c.speech_ratio for c in answer.chunks] == [1.0, 1.0]
    (stretch,) = answer.suspicious
    assert (stretch.start_time_seconds, stretch.end_time_seconds, stretch.score) == (0.0, 5.0, 1.0)


async def test_a_score_of_zero_is_there(voice: Any, remote: LocalRemote, stored: audio.AnalyzeAudioRequest) -> None:
    remote.judge = lambda item: 0.0
    answer = await voice.AnalyzeAudio(stored)
    assert answer.HasField("score")
    assert all(chunk.HasField("score") for chunk in answer.chunks)
    assert answer.predictions["chunk_1"] == 0.0


async def test_the_stream_sends_each_chunk_then_the_summary(voice: Any, stored: audio.AnalyzeAudioRequest) -> None:
    events = [event async for event in voice.AnalyzeAudioStream(stored)]
    assert [event.WhichOneof("event") for event in events] == ["chunk", "chunk", "summary"]
    assert events[-1].total_chunks == 2


async def test_an_upload_in_parts(voice: Any) -> None:
    def parts() -> Any:
        for start in range(0, len(VOICE), 50_000):
            yield audio.AnalyzeUploadRequest(data=VOICE[start : start + 50_000], task_id="t")

    events = [event async for event in voice.AnalyzeUpload(parts())]
    assert events[-1].summary.audio_seconds == 5.0


async def test_an_upload_over_the_limit_or_of_nothing(voice: Any) -> None:
    def parts(count: int) -> Any:
        for _ in range(count):
            yield audio.AnalyzeUploadRequest(data=b"x" * 500_000)

    for count, code in ((5, "too_large"), (0, "unreadable_media")):
        error = await refusal(voice.AnalyzeUpload(parts(count)))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert trailer(error)["bonafide-error-code"] == code


@pytest.mark.parametrize(
    ("bucket", "key", "status", "code"),
    [
        ("", "", grpc.StatusCode.INVALID_ARGUMENT, "invalid_request"),
        ("calls", "../../etc/passwd", grpc.StatusCode.INVALID_ARGUMENT, "invalid_request"),
        ("calls", "none.wav", grpc.StatusCode.NOT_FOUND, "object_not_found"),
        ("other", "a.wav", grpc.StatusCode.PERMISSION_DENIED, "forbidden"),
    ],
)
async def test_what_is_wrong_with_the_request_is_a_status(
    voice: Any, stored: audio.AnalyzeAudioRequest, bucket: str, key: str, status: grpc.StatusCode, code: str
) -> None:
    request = audio.AnalyzeAudioRequest(minio_bucket_name=bucket, minio_object_key=key)
    error = await refusal(voice.AnalyzeAudio(request))
    assert (error.code(), trailer(error)["bonafide-error-code"]) == (status, code)
    assert error.details()
    assert trailer(error)["x-request-id"]


async def test_overload_deadline_and_bugs(
    voice: Any, app: App, remote: LocalRemote, stored: audio.AnalyzeAudioRequest
) -> None:
    with app.voice_runner.admit(), app.voice_runner.admit():
        error = await refusal(voice.AnalyzeAudio(stored))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert float(trailer(error)["retry-after-s"]) >= 1
    remote.errors = [ZeroDivisionError("secret detail")]
    error = await refusal(voice.AnalyzeAudio(stored))
    assert error.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in str(error.details())
    remote.open.clear()
    error = await refusal(voice.AnalyzeAudio(stored, timeout=0.2))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.sleep(0.2)
    assert app.voice_runner.active_calls == 0


async def test_a_cancelled_call_frees_its_place(
    voice: Any, app: App, remote: LocalRemote, stored: audio.AnalyzeAudioRequest
) -> None:
    remote.open.clear()
    call = voice.AnalyzeAudio(stored)
    while app.voice_runner.active_calls == 0:
        await asyncio.sleep(0.01)
    call.cancel()
    async with asyncio.timeout(5):
        while app.voice_runner.active_calls:
            await asyncio.sleep(0.01)


async def test_who_cancels_at_the_deadline_is_counted_as_one_whose_deadline_passed(
    voice: Any, remote: LocalRemote, stored: audio.AnalyzeAudioRequest
) -> None:
    def counted(code: str) -> float:
        labels = {"transport": "grpc", "method": "AnalyzeAudio", "code": code}
        return REGISTRY.get_sample_value("bonafide_calls_total", labels) or 0.0

    before = counted("deadline_exceeded"), counted("cancelled")
    remote.open.clear()
    error = await refusal(voice.AnalyzeAudio(stored, timeout=1.0305))  # sent as 1.04 s
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.sleep(0.1)
    assert (counted("deadline_exceeded"), counted("cancelled")) == (before[0] + 1, before[1])
    call = voice.AnalyzeAudio(stored, timeout=30)
    await asyncio.sleep(0.1)
    call.cancel()
    await asyncio.sleep(0.1)
    assert (counted("deadline_exceeded"), counted("cancelled")) == (before[0] + 1, before[1] + 1)


async def test_a_photo(face: Any) -> None:
    answer = await face.PredictLiveness(liveness.LivenessRequest(image_data=encode_image(photo()), image_format="png"))
    assert answer.success
    assert answer.predicted_class in ("live", "fake")
    assert answer.is_live == (answer.predicted_class == "live")
    assert answer.confidence == max(answer.probabilities.fake, answer.probabilities.live)


async def test_a_photo_comes_with_its_faces_and_a_reason(face: Any) -> None:
    async def judged(picture: Image.Image) -> Any:
        return await face.PredictLiveness(liveness.LivenessRequest(image_data=encode_image(picture)))

    several = await judged(two_faces(0.7))
    assert several.success
    assert several.reason == "several_faces"
    left, right = several.faces
    assert left.left < 0.5 < right.left
    assert all(0 < getattr(left, name) < 1 for name in ("left", "top", "width", "height", "confidence"))
    none = await judged(no_face())
    assert (none.success, none.reason, len(none.faces)) == (True, "no_face", 0)


@pytest.mark.parametrize("data", [b"", b"not a photo", b"x" * 1_000_001])
async def test_what_is_wrong_with_a_photo_is_told_with_status_ok(face: Any, data: bytes) -> None:
    answer = await face.PredictLiveness(liveness.LivenessRequest(image_data=data))
    assert not answer.success
    assert not answer.is_live
    assert answer.predicted_class == "error"
    assert (answer.probabilities.fake, answer.probabilities.live) == (0, 0)
    assert answer.error_message
    assert answer.error_code in ("unreadable_media", "too_large")


async def test_a_full_house_is_a_status_for_photos_too(face: Any, app: App) -> None:
    with app.face_runner.admit(), app.face_runner.admit():
        error = await refusal(face.PredictLiveness(liveness.LivenessRequest(image_data=encode_image(photo()))))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_model_status(voice: Any, face: Any, app: App) -> None:
    assert (await face.GetModelStatus(liveness.ModelStatusRequest())).status == "loaded"
    assert (await voice.GetVoiceModelStatus(audio.VoiceModelStatusRequest())).model.name == "test-model"
    app.face_runner._info = None
    answer = await face.GetModelStatus(liveness.ModelStatusRequest())
    assert (answer.status, answer.is_loaded) == ("not_loaded", False)


async def test_an_ensemble_names_its_members_and_their_scores(
    voice: Any, face: Any, app: App, remote: LocalRemote, stored: audio.AnalyzeAudioRequest
) -> None:
    remote.model = remote.model | MEMBERS
    remote.members = lambda item: (0.25, 0.75)
    await asyncio.gather(app.voice_runner.probe(), app.face_runner.probe())
    named = {"one": 0.25, "two": 0.75}
    answer = await voice.AnalyzeAudio(stored)
    assert [dict(chunk.member_scores) for chunk in answer.chunks] == [named] * len(answer.chunks)
    assert dict(answer.member_scores) == named
    photographed = await face.PredictLiveness(liveness.LivenessRequest(image_data=encode_image(photo())))
    assert dict(photographed.member_scores) == named
    voice_status = await voice.GetVoiceModelStatus(audio.VoiceModelStatusRequest())
    face_status = await face.GetModelStatus(liveness.ModelStatusRequest())
    for status in (voice_status, face_status):
        assert [(each.name, each.weight, each.engine) for each in status.members] == [
            ("one", 0.5, "torch"),
            ("two", 0.5, "torch"),
        ]


async def test_health_follows_the_runners_and_back(
    server: tuple[GrpcServer, int], channel: grpc.aio.Channel, app: App
) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)

    async def served() -> list[bool]:
        answers = [
            await stub.Check(health_pb2.HealthCheckRequest(service=name)) for name in (VOICE_SERVICE, FACE_SERVICE, "")
        ]
        return [answer.status == health_pb2.HealthCheckResponse.SERVING for answer in answers]

    assert await served() == [True, True, True]
    app.face_runner._info = None
    await server[0].report_health()
    assert await served() == [True, False, False]
    await app.face_runner.probe()
    await server[0].report_health()
    assert await served() == [True, True, True]


def test_reflection_names_both_services() -> None:
    async def serve(found: list[str]) -> None:
        remote = LocalRemote()
        app = App(Settings(grpc_ports=(0,)), voice=remote, face=remote)
        server = GrpcServer(app)
        (port,) = await server.start()

        def ask() -> None:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                found.extend(ProtoReflectionDescriptorDatabase(channel).get_services())

        await asyncio.to_thread(ask)
        await server.stop(0)
        await app.close()

    found: list[str] = []
    asyncio.run(serve(found))
    assert {VOICE_SERVICE, FACE_SERVICE, "grpc.health.v1.Health"} <= set(found)


@pytest.mark.parametrize("host", ["::1", "::", "localhost"])
async def test_it_listens_where_it_is_told(host: str) -> None:
    remote = LocalRemote()
    app = App(Settings(grpc_host=host, grpc_ports=(0,)), voice=remote, face=remote)
    server = GrpcServer(app)
    (port,) = await server.start()
    async with grpc.aio.insecure_channel(f"[::1]:{port}") as channel:
        status = await liveness_api_pb2_grpc.LivenessServiceStub(channel).GetModelStatus(liveness.ModelStatusRequest())
        assert status.status == "not_loaded"
    await server.stop(0)
    await app.close()


async def test_spans_carry_the_ids(voice: Any, stored: audio.AnalyzeAudioRequest, spans: InMemorySpanExporter) -> None:
    await voice.AnalyzeAudio(stored, metadata=(("x-request-id", "req-9"),))
    (span,) = [span for span in spans.get_finished_spans() if "AnalyzeAudio" in span.name]
    assert span.attributes is not None
    assert span.attributes["bonafide.request_id"] == "req-9"
    assert span.attributes["bonafide.task_id"] == "task-1"
    assert span.attributes["bonafide.code"] == "ok"
