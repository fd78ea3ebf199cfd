"""Calls that send nothing, too much, or no message, through a real gRPC server and real connections."""

import asyncio
import logging
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bonafide.api.grpc import GrpcServer
from bonafide.api.grpc_intake import Intake
from bonafide.app import App
from bonafide.security.keys import new_key
from bonafide.settings import Settings
from proto import audio_analyzer_pb2 as audio
from proto import audio_analyzer_pb2_grpc, liveness_api_pb2_grpc
from proto import liveness_api_pb2 as liveness
from tests.bonafide.api.http2 import PREFACE, empty_call, frame
from tests.bonafide.fakes import LocalRemote
from tests.grpc_refusal import refusal
from tests.media import encode_image, photo

PHOTO = liveness.LivenessRequest(image_data=encode_image(photo()))
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
UPLOAD = "/audioanalyzer.AudioAnalysis/AnalyzeUpload"
LIVE = "/audioanalyzer.AudioAnalysis/AnalyzeLive"
WATCH = "/grpc.health.v1.Health/Watch"
PREDICT = "/liveness.LivenessService/PredictLiveness"


@asynccontextmanager
async def serving(tmp_path: Path, **settings: Any) -> AsyncIterator[tuple[GrpcServer, int, App]]:
    remote = LocalRemote()
    app = App(
        Settings(objects_dir=tmp_path, grpc_ports=(0,), **settings),
        voice=remote,
        face=remote,
    )
    await app.voice_runner.probe()
    await app.face_runner.probe()
    server = GrpcServer(app)
    (port,) = await server.start()
    try:
        yield server, port, app
    finally:
        await server.stop(0)
        await app.close()


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[grpc.aio.Channel]:
    """A connection that no other channel shares."""
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        yield channel


def code_of(error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str]:
    return error.code(), str(dict(error.trailing_metadata() or ()).get("bonafide-error-code"))


async def silent(channel: grpc.aio.Channel, method: str) -> Any:
    """A call that is open at the server, of which nothing comes."""
    call: Any = channel.stream_stream(method)()
    await call.wait_for_connection()
    return call


def raw_call(channel: grpc.aio.Channel, method: str, *messages: bytes) -> Any:
    """A call of any kind with these messages."""
    call: Any = channel.stream_stream(method)
    return call(iter(messages))


async def until_open(intake: Intake, count: int) -> None:
    async with asyncio.timeout(10):
        while len(intake._tasks) < count:
            await asyncio.sleep(0.01)


async def status_of(channel: grpc.aio.Channel) -> str:
    face: Any = liveness_api_pb2_grpc.LivenessServiceStub(channel)
    answer: liveness.ModelStatusResponse = await face.GetModelStatus(liveness.ModelStatusRequest(), timeout=10)
    return answer.status


def health_stub(channel: grpc.aio.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)


async def health_of(channel: grpc.aio.Channel) -> int:
    return int((await health_stub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)).status)


@pytest.mark.parametrize("method", [UPLOAD, PREDICT, WATCH, REFLECTION])
async def test_silent_calls_of_one_connection_leave_places_to_all_others(tmp_path: Path, method: str) -> None:
    async with serving(tmp_path) as (_, port, _app), connection(port) as greedy, connection(port) as other:
        calls: list[Any] = [greedy.stream_stream(method)() for _ in range(600)]
        await asyncio.sleep(1)
        assert await health_of(other) == health_pb2.HealthCheckResponse.SERVING
        assert await status_of(other) == "loaded"
        for call in calls:
            call.cancel()


async def test_a_connection_that_has_all_its_calls_is_told_so(tmp_path: Path) -> None:
    few = {"max_voice_calls": 1, "max_face_calls": 1, "live_max_sessions": 0}
    async with serving(tmp_path, **few) as (server, port, _app), connection(port) as greedy:
        calls = [await silent(greedy, PREDICT) for _ in range(70)]
        await until_open(server._calls, 66)  # half of all
        error = await refusal(status_of(greedy))
        assert code_of(error) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "overloaded")
        for call in calls:
            call.cancel()
        await asyncio.sleep(0.5)
        assert await status_of(greedy) == "loaded"


async def test_a_caller_with_many_connections_is_one_caller(tmp_path: Path) -> None:
    (key, line), (other_key, other_line) = new_key("greedy"), new_key("other")
    settings = {"keys": f"{line}\n{other_line}", "max_voice_calls": 2}
    async with AsyncExitStack() as open_connections:
        server, port, _ = await open_connections.enter_async_context(serving(tmp_path, **settings))
        channels = [await open_connections.enter_async_context(connection(port)) for _ in range(8)]
        calls: list[Any] = [channel.stream_stream(UPLOAD)(metadata=(("x-api-key", key),)) for channel in channels]
        await until_open(server._uploads, 4)
        ends = [asyncio.ensure_future(call.code()) for call in calls]
        done, _ = await asyncio.wait(ends, timeout=2)
        assert [end.result() for end in done] == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 4
        other: Any = audio_analyzer_pb2_grpc.AudioAnalysisStub(channels[0])
        upload = other.AnalyzeUpload(
            iter([audio.AnalyzeUploadRequest(data=b"x")]), metadata=(("x-api-key", other_key),)
        )
        assert code_of(await refusal(upload)) == (grpc.StatusCode.INVALID_ARGUMENT, "unreadable_media")
        for call in calls:
            call.cancel()
        await asyncio.gather(*ends)


async def test_a_port_has_a_bounded_number_of_connections(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, grpc_max_connections=2) as (_, port, _app),
        connection(port) as first,
        connection(port) as second,
        connection(port) as third,
    ):
        assert [await status_of(first), await status_of(second)] == ["loaded"] * 2
        assert (await refusal(status_of(third))).code() == grpc.StatusCode.UNAVAILABLE
        await first.close()
        await asyncio.sleep(0.2)
        async with connection(port) as fourth:
            assert await status_of(fourth) == "loaded"


async def test_a_connection_has_a_bounded_number_of_streams(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, grpc_max_streams_per_connection=3) as (_, port, _app),
        connection(port) as full,
        connection(port) as other,
    ):
        calls = [await silent(full, WATCH) for _ in range(3)]
        error = await refusal(health_stub(full).Check(health_pb2.HealthCheckRequest(), timeout=1))
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED  # it waited in its client
        assert await health_of(other) == health_pb2.HealthCheckResponse.SERVING
        for call in calls:
            call.cancel()
        assert await health_of(full) == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("method", [UPLOAD, PREDICT, "/audioanalyzer.AudioAnalysis/AnalyzeAudioStream"])
async def test_who_sends_nothing_is_not_waited_for(tmp_path: Path, method: str) -> None:
    async with serving(tmp_path, grpc_idle_s=0.3) as (_, port, _app), connection(port) as channel:
        call = await silent(channel, method)
        assert code_of(await refusal(call)) == (grpc.StatusCode.DEADLINE_EXCEEDED, "deadline_exceeded")
        assert await status_of(channel) == "loaded"


async def test_an_upload_that_stops_halfway_ends_and_gives_its_bytes_back(tmp_path: Path) -> None:
    settings = dict.fromkeys(("max_audio_bytes", "max_image_bytes", "max_inflight_bytes"), 1_000_000)
    async with serving(tmp_path, grpc_idle_s=0.5, **settings) as (_, port, app), connection(port) as channel:
        call: Any = audio_analyzer_pb2_grpc.AudioAnalysisStub(channel).AnalyzeUpload()
        for _ in range(3):  # slowly, but not idle
            await call.write(audio.AnalyzeUploadRequest(data=b"x" * 300_000))
            await asyncio.sleep(0.3)
        with app.budget.keep(100_000):
            pass
        assert code_of(await refusal(call)) == (grpc.StatusCode.DEADLINE_EXCEEDED, "deadline_exceeded")
        with app.budget.keep(1_000_000):
            pass


async def test_a_live_session_may_be_silent_for_longer(tmp_path: Path) -> None:
    async with serving(tmp_path, grpc_idle_s=0.2, live_idle_s=1.5) as (_, port, app), connection(port) as channel:
        await silent(channel, LIVE)
        await asyncio.sleep(1)
        assert app.live.active == 1
        await asyncio.sleep(1)
        assert app.live.active == 0


@pytest.mark.parametrize(
    ("method", "raw"),
    [
        ("audioanalyzer.AudioAnalysis/AnalyzeAudio", b"\x0a\x02\xff\xfe"),  # field 1, a text that is not UTF-8
        ("audioanalyzer.AudioAnalysis/AnalyzeAudioStream", b"\x1a\x02\xff\xfe"),
        ("audioanalyzer.AudioAnalysis/AnalyzeUpload", b"\x12\x02\xff\xfe"),
        ("audioanalyzer.AudioAnalysis/AnalyzeLive", b"\x0a\x04\x12\x02\xff\xfe"),
        ("liveness.LivenessService/PredictLiveness", b"\x12\x02\xff\xfe"),
        ("grpc.health.v1.Health/Check", b"\x0a\x02\xff\xfe"),
        ("grpc.health.v1.Health/Watch", b"\x0a\x02\xff\xfe"),
        ("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", b"\x0a\x02\xff\xfe"),
        ("audioanalyzer.AudioAnalysis/GetVoiceModelStatus", b"\x0a\x05ab"),  # cut off
        ("liveness.LivenessService/PredictLiveness", b"\xff"),
        ("audioanalyzer.AudioAnalysis/AnalyzeUpload", b"\xff"),
    ],
)
async def test_bytes_that_are_no_message_are_an_invalid_request(tmp_path: Path, method: str, raw: bytes) -> None:
    async with serving(tmp_path) as (_, port, _app), connection(port) as channel:
        error = await refusal(raw_call(channel, f"/{method}", raw))
        assert code_of(error) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid_request")


async def test_a_unary_call_without_a_message(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, port, _app), connection(port) as channel:
        error = await refusal(raw_call(channel, PREDICT))
        assert code_of(error) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid_request")


async def test_a_caller_who_leaves_before_the_message_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as (server, port, _app), connection(port) as channel:
        call = await silent(channel, PREDICT)
        await until_open(server._calls, 1)
        call.cancel()
        async with asyncio.timeout(5):
            while server._calls._tasks:
                await asyncio.sleep(0.01)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("method", ["PredictLiveness", "AnalyzeUpload"])
async def test_a_message_over_the_limit_is_too_large(tmp_path: Path, method: str) -> None:
    async with serving(tmp_path, max_image_bytes=5_000_000) as (_, port, _app), connection(port) as channel:
        face: Any = liveness_api_pb2_grpc.LivenessServiceStub(channel)
        voice: Any = audio_analyzer_pb2_grpc.AudioAnalysisStub(channel)
        told = await face.PredictLiveness(liveness.LivenessRequest(image_data=bytes(5_000_001)))
        assert (told.success, told.error_code) == (False, "too_large")
        for size in (5_100_000, 9_900_000):
            if method == "PredictLiveness":
                call = face.PredictLiveness(liveness.LivenessRequest(image_data=bytes(size)))
            else:
                call = voice.AnalyzeUpload(iter([audio.AnalyzeUploadRequest(data=bytes(size))]))
            assert code_of(await refusal(call)) == (grpc.StatusCode.INVALID_ARGUMENT, "too_large")
        assert (await face.PredictLiveness(PHOTO)).success


async def test_photos_are_counted_in_the_byte_budget(tmp_path: Path) -> None:
    settings = {"max_audio_bytes": 2_000_000, "max_image_bytes": 1_000_000, "max_inflight_bytes": 2_000_000}
    async with serving(tmp_path, **settings) as (_, port, app), connection(port) as channel:
        face: Any = liveness_api_pb2_grpc.LivenessServiceStub(channel)
        large = liveness.LivenessRequest(image_data=bytes(900_000))
        assert (await face.PredictLiveness(large)).error_code == "unreadable_media"
        with app.budget.keep(1_200_000):
            assert code_of(await refusal(face.PredictLiveness(large))) == (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "overloaded",
            )
            assert await status_of(channel) == "loaded"
        assert (await face.PredictLiveness(large)).error_code == "unreadable_media"
        with app.budget.keep(2_000_000):
            pass


async def test_watches_and_reflection_end_at_once_when_the_server_stops(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, port, _), connection(port) as channel:
        watch = health_stub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        await silent(channel, REFLECTION)
        async with never_reading_watch(port):
            await server.set_not_serving()
            assert (await asyncio.wait_for(watch.read(), 5)).status == health_pb2.HealthCheckResponse.NOT_SERVING
            async with asyncio.timeout(3):
                await server.stop(20)


async def test_a_watcher_who_reads_nothing_holds_nobody_up(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, port, app), connection(port) as channel, never_reading_watch(port):
        app.face_runner._info = None
        async with asyncio.timeout(3):
            await server.report_health()
            assert await health_of(channel) == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_all_services_have_their_health_in_a_list(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, port, _app), connection(port) as channel:
        answer = await health_stub(channel).List(getattr(health_pb2, "HealthListRequest")())  # noqa: B009
        assert set(answer.statuses) == {"", "audioanalyzer.AudioAnalysis", "jobs.Jobs", "liveness.LivenessService"}


@asynccontextmanager
async def never_reading_watch(port: int) -> AsyncIterator[None]:
    """A Health/Watch over an HTTP/2 connection that grants the server not one byte for its answers."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(PREFACE)
    writer.write(frame(4, 0, 0, struct.pack("!HI", 4, 0)))  # SETTINGS_INITIAL_WINDOW_SIZE
    writer.write(empty_call(WATCH))
    await writer.drain()
    await asyncio.sleep(0.3)
    try:
        yield
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
