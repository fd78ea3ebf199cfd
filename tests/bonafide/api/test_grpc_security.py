"""The interceptor and the certificates, through a real gRPC server and real connections."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bonafide.api.grpc import GrpcServer
from bonafide.app import App
from bonafide.security.access import Access
from bonafide.security.keys import KeyStore, new_key
from bonafide.security.tls import ServerTls
from proto import audio_analyzer_pb2 as audio
from proto import audio_analyzer_pb2_grpc, liveness_api_pb2_grpc
from proto import liveness_api_pb2 as liveness
from tests.bonafide.api.http2 import PREFACE, empty_call, frame
from tests.bonafide.fakes import LocalRemote
from tests.certificates import Authority, Certificate
from tests.grpc_refusal import refusal
from tests.media import encode_image, photo

KEY, LINE = new_key("bank")
PHOTO = liveness.LivenessRequest(image_data=encode_image(photo()))
BIG = liveness.LivenessRequest(image_data=b"x" * 900_000)


@asynccontextmanager
async def serving(app: App, tls: ServerTls | None = None) -> AsyncIterator[int]:
    server = GrpcServer(app, tls=tls)
    (port,) = await server.start()
    yield port
    await server.stop(0)


@pytest.fixture
async def channel(app: App) -> AsyncIterator[grpc.aio.Channel]:
    app.access = Access(KeyStore(LINE), calls_per_minute=5)
    async with serving(app) as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel


def trailer(error: grpc.aio.AioRpcError) -> dict[str, str]:
    return {key: str(value) for key, value in error.trailing_metadata() or ()}


@pytest.mark.parametrize("metadata", [(("authorization", f"Bearer {KEY}"),), (("x-api-key", KEY),)])
async def test_who_shows_a_key_is_let_in(channel: grpc.aio.Channel, metadata: Any) -> None:
    face: Any = liveness_api_pb2_grpc.LivenessServiceStub(channel)
    assert (await face.PredictLiveness(PHOTO, metadata=metadata)).success


@pytest.mark.parametrize("metadata", [(), (("authorization", KEY),), (("x-api-key", "wrong"),), (("key-bin", b"\0"),)])
async def test_who_does_not_is_refused_whatever_the_kind_of_call(
    channel: grpc.aio.Channel, metadata: Any, remote: LocalRemote
) -> None:
    face: Any = liveness_api_pb2_grpc.LivenessServiceStub(channel)
    voice: Any = audio_analyzer_pb2_grpc.AudioAnalysisStub(channel)
    stored = audio.AnalyzeAudioRequest(minio_bucket_name="calls", minio_object_key="a.wav")

    async def parts() -> AsyncIterator[audio.AnalyzeUploadRequest]:
        yield audio.AnalyzeUploadRequest(data=b"x")

    for call in (
        face.PredictLiveness(BIG, metadata=metadata),
        face.GetModelStatus(liveness.ModelStatusRequest(), metadata=metadata),
        voice.AnalyzeAudio(stored, metadata=metadata),
        voice.AnalyzeAudioStream(stored, metadata=metadata),
        voice.AnalyzeUpload(parts(), metadata=metadata),
    ):
        error = await refusal(call)
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED
        assert trailer(error)["bonafide-error-code"] == "unauthenticated"
        assert trailer(error)["x-request-id"]
    assert remote.calls == 0


@pytest.mark.parametrize("name", ["x-api-key", "authorization"])
@pytest.mark.parametrize("wrong_first", [True, False])
async def test_different_keys_are_refused_in_any_order_and_the_same_twice_is_not(
    channel: grpc.aio.Channel, name: str, wrong_first: bool
) -> None:
    """As over HTTP, see test_security.py."""
    face: Any = liveness_api_pb2_grpc.LivenessServiceStub(channel)
    scheme = "Bearer " if name == "authorization" else ""
    wrong, right = (name, f"{scheme}bonafide_wrong"), (name, f"{scheme}{KEY}")
    several = (wrong, right) if wrong_first else (right, wrong)
    error = await refusal(face.GetModelStatus(liveness.ModelStatusRequest(), metadata=several))
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED
    await face.GetModelStatus(liveness.ModelStatusRequest(), metadata=(right, right))


async def test_health_is_open_and_reflection_is_not(channel: grpc.aio.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()
    reflect: Any = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    assert (await refusal(reflect())).code() == grpc.StatusCode.UNAUTHENTICATED


async def test_an_unknown_method_is_told_so(channel: grpc.aio.Channel) -> None:
    drop: Any = channel.unary_unary("/liveness.LivenessService/DropTables")
    error = await refusal(drop(b""))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_a_key_has_its_limit(channel: grpc.aio.Channel) -> None:
    face: Any = liveness_api_pb2_grpc.LivenessServiceStub(channel)
    for _ in range(5):
        await face.GetModelStatus(liveness.ModelStatusRequest(), metadata=(("x-api-key", KEY),))
    error = await refusal(face.GetModelStatus(liveness.ModelStatusRequest(), metadata=(("x-api-key", KEY),)))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert 1 <= float(trailer(error)["retry-after-s"]) <= 12


async def status(port: int, trust: Path, client: Certificate | None = None) -> liveness.ModelStatusResponse:
    """Calls over a connection of its own."""
    credentials = grpc.ssl_channel_credentials(
        trust.read_bytes(), *((client.key.read_bytes(), client.cert.read_bytes()) if client else (None, None))
    )
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        stub: Any = liveness_api_pb2_grpc.LivenessServiceStub(channel)
        answer: liveness.ModelStatusResponse = await stub.GetModelStatus(liveness.ModelStatusRequest(), timeout=10)
        return answer


async def test_mutual_tls_with_files_that_are_replaced(app: App, tmp_path: Path) -> None:
    old, new = Authority(tmp_path, "old-ca"), Authority(tmp_path, "new-ca")
    served, caller, stranger = old.sign("served"), old.sign("caller"), new.sign("stranger")
    callers_authority = tmp_path / "callers.pem"
    callers_authority.write_bytes(old.cert.read_bytes())
    async with serving(app, ServerTls(served.cert, served.key, callers_authority, look_s=0)) as port:
        assert (await status(port, old.cert, caller)).is_loaded
        for trust, client in ((old.cert, None), (old.cert, stranger), (new.cert, caller)):
            error = await refusal(status(port, trust, client))
            assert error.code() == grpc.StatusCode.UNAVAILABLE
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as plain:
            stub: Any = liveness_api_pb2_grpc.LivenessServiceStub(plain)
            error = await refusal(stub.GetModelStatus(liveness.ModelStatusRequest()))
            assert error.code() == grpc.StatusCode.UNAVAILABLE

        served.replace(new.sign("renewed"))
        callers_authority.write_bytes(new.cert.read_bytes())
        assert (await status(port, new.cert, stranger)).is_loaded
        assert (await refusal(status(port, new.cert, caller))).code() == grpc.StatusCode.UNAVAILABLE


async def test_a_key_beside_a_byte_that_is_not_utf_8_is_not_logged(app: App, caplog: pytest.LogCaptureFixture) -> None:
    app.access = Access(KeyStore(LINE))
    pasted = f"{KEY}\xa0".encode("latin-1")  # with a no-break space behind it
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(PREFACE + frame(4, 0, 0))
        writer.write(empty_call("/liveness.LivenessService/GetModelStatus", more={"x-api-key": pasted}))
        async with asyncio.timeout(10):
            await reader.readuntil(b"loaded")
        writer.close()
        await writer.wait_closed()
    assert KEY not in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
