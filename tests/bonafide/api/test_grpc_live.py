"""`AnalyzeLive` through a real port: windows while audio arrives, the summary, and the error table's statuses."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from bonafide.api.grpc import GrpcServer
from bonafide.app import App
from bonafide.security.access import Access
from bonafide.security.keys import KeyStore, new_key
from bonafide.settings import Settings
from proto import audio_analyzer_pb2 as audio
from proto import audio_analyzer_pb2_grpc
from tests.bonafide.fakes import LocalRemote
from tests.bonafide.live.conversation import level
from tests.coded import g722, opus
from tests.grpc_refusal import refusal
from tests.media import encode, speech_like

Code = grpc.StatusCode
_SMALL_WINDOW = (("grpc.http2.lookahead_bytes", 4_096), ("grpc.http2.bdp_probe", 0))


def heard(samples: bytes) -> audio.LiveAudioRequest:
    return audio.LiveAudioRequest(audio=samples)


def config(**fields: Any) -> audio.LiveAudioRequest:
    return audio.LiveAudioRequest(config=audio.LiveAudioConfig(**fields))


def flush() -> audio.LiveAudioRequest:
    return audio.LiveAudioRequest(flush=audio.LiveAudioFlush())


@asynccontextmanager
async def calling(
    folder: Path, remote: LocalRemote, *, access: Access | None = None, **limits: Any
) -> AsyncIterator[tuple[App, Any]]:
    """A server and a stub; `limits` are settings without their `live_`."""
    live = {f"live_{name}": value for name, value in limits.items()}
    settings = Settings.model_validate({"objects_dir": folder, "grpc_ports": (0,), **live})
    app = App(settings, voice=remote, face=remote)
    app.access = access or app.access
    await app.voice_runner.probe()
    server = GrpcServer(app)
    (port,) = await server.start()
    try:
        async with asyncio.timeout(60), grpc.aio.insecure_channel(f"127.0.0.1:{port}", _SMALL_WINDOW) as channel:
            yield app, audio_analyzer_pb2_grpc.AudioAnalysisStub(channel)
    finally:
        await server.stop(0)
        await app.close()


async def asked(stub: Any, *requests: audio.LiveAudioRequest, **options: Any) -> list[audio.LiveAudioEvent]:
    return [event async for event in stub.AnalyzeLive(iter(requests), **options)]


async def refused(stub: Any, *requests: audio.LiveAudioRequest, **options: Any) -> grpc.aio.AioRpcError:
    return await refusal(stub.AnalyzeLive(iter(requests), **options))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def test_windows_then_the_summary(tmp_path: Path) -> None:
    async with calling(tmp_path, LocalRemote()) as (_, stub):
        parts = [heard(part.tobytes()) for part in np.array_split(level(0.75, 3.5), 9)]
        *windows, last = await asked(stub, config(task_id="call-7"), *parts)
        found = [event.window for event in windows]
        assert [window.sequence for window in found] == [0, 1, 2]
        assert [window.score for window in found] == pytest.approx([0.75] * 3, abs=0.01)
        assert {(window.label, window.running_label, window.error_message) for window in found} == {
            ("spoof", "spoof", "")
        }
        summary = last.summary
        assert (summary.label, summary.reason, len(summary.windows)) == ("spoof", "end", 4)
        assert (summary.audio_seconds, summary.judged_seconds, summary.speech_seconds) == (3.5, 3.5, 3.5)
        assert summary.model.name == "test-model"
        assert summary.request_id


@pytest.mark.parametrize(
    ("said", "spans"),
    [
        (None, [(0.0, 2.0), (1.0, 3.0)]),
        (config(), [(0.0, 2.0), (1.0, 3.0)]),
        (config(chunk_duration=1.0), [(0.0, 1.0), (0.25, 1.25), (0.5, 1.5)]),
        (config(overlap_duration=1.5), [(0.0, 2.0), (0.5, 2.5), (1.0, 3.0)]),
    ],
    ids=["no config", "empty", "chunk", "overlap"],
)
async def test_the_service_has_its_own_defaults_of_windows(
    tmp_path: Path, said: audio.LiveAudioRequest | None, spans: list[tuple[float, float]]
) -> None:
    async with calling(tmp_path, LocalRemote(), chunk_s=2.0, overlap_s=1.0) as (_, stub):
        events = await asked(stub, *([said] if said else []), heard(level(0.75, 3.0).tobytes()))
        found = [(event.window.start_time_seconds, event.window.end_time_seconds) for event in events[:-1]]
        assert found[: len(spans)] == spans


async def test_a_window_comes_while_the_caller_still_speaks(tmp_path: Path) -> None:
    async with calling(tmp_path, LocalRemote()) as (_, stub):
        call = stub.AnalyzeLive()
        await call.write(heard(level(0.2, 1.0).tobytes()))
        assert (await call.read()).window.label == "bonafide"
        await call.write(heard(level(0.2, 0.5).tobytes()))
        await call.write(flush())
        assert (await call.read()).window.end_time_seconds == 1.5
        await call.done_writing()
        assert (await call.read()).HasField("summary")


async def test_silence_has_no_score(tmp_path: Path) -> None:
    async with calling(tmp_path, LocalRemote(speech=lambda window: 0.0)) as (_, stub):
        window, last = await asked(stub, heard(level(0.9).tobytes()))
        assert (window.window.HasField("score"), window.window.label) == (False, "no_speech")
        assert (last.summary.HasField("score"), last.summary.label) == (False, "no_speech")


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("pcm16", (level(0.5, 2.0) * 32_000).astype("<i2").tobytes()),
        ("l16", (level(0.5, 2.0) * 32_000).astype(">i2").tobytes()),
        ("mulaw", (b"\x9f" * 4_000 + b"\xff" * 4_000) * 2),
        ("alaw", (b"\x2a" * 4_000 + b"\xd5" * 4_000) * 2),
        ("g722", g722(speech_like(2.3))[0]),
        ("opus", opus(speech_like(2.2, 48_000))[0]),
        ("container", encode(speech_like(2.3, 48_000), 48_000, "webm")),
    ],
    ids=["pcm16", "l16", "mulaw", "alaw", "g722", "opus", "container"],
)
async def test_encodings(tmp_path: Path, encoding: str, data: bytes) -> None:
    async with calling(tmp_path, LocalRemote()) as (_, stub):
        parts = [heard(data[start : start + 3_001]) for start in range(0, len(data), 3_001)]
        events = await asked(stub, config(encoding=encoding), *parts)
        assert len(events) == 3
        assert events[-1].summary.audio_seconds == pytest.approx(2.15, abs=0.2)


async def test_interleaved_channels_are_mixed_to_the_last_sample(tmp_path: Path) -> None:
    data = np.repeat((level(0.6, 1.01) * 32_000).astype(">i2"), 2).tobytes()
    async with calling(tmp_path, LocalRemote()) as (_, stub):
        for channels in (2, 0):
            events = await asked(stub, config(encoding="l16", channels=channels), heard(data))
            assert events[0].window.score == pytest.approx(0.6, abs=0.01)
            assert events[-1].summary.audio_seconds == pytest.approx(1.01 * (1 if channels else 2))


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (config(sample_rate=100), Code.INVALID_ARGUMENT),
        (config(encoding="mp3"), Code.INVALID_ARGUMENT),
        (config(encoding="g722", channels=2), Code.INVALID_ARGUMENT),
        (config(encoding="opus", sample_rate=16_000), Code.INVALID_ARGUMENT),
        (config(encoding="container", channels=1), Code.INVALID_ARGUMENT),
        (config(channels=17), Code.INVALID_ARGUMENT),
        (config(chunk_duration=9), Code.INVALID_ARGUMENT),
        (config(overlap_duration=1), Code.INVALID_ARGUMENT),
        (audio.LiveAudioRequest(), Code.INVALID_ARGUMENT),
        (heard(b"\xff" * 4), Code.INVALID_ARGUMENT),
        (heard(bytes(1024 * 1024 + 4)), Code.INVALID_ARGUMENT),
    ],
)
async def test_what_is_wrong_ends_the_call(tmp_path: Path, request_: audio.LiveAudioRequest, code: Code) -> None:
    async with calling(tmp_path, LocalRemote()) as (app, stub):
        assert (await refused(stub, request_)).code() is code
        await until(lambda: app.live.active == 0)


async def test_a_window_without_a_verdict_says_why_and_the_next_has_one(tmp_path: Path) -> None:
    remote = LocalRemote()
    async with calling(tmp_path, remote) as (_, stub):
        remote.errors = [OSError("gone")]
        first, second, last = await asked(stub, heard(level(0.5).tobytes()), heard(level(0.5).tobytes()))
        assert (first.window.label, bool(first.window.error_message)) == ("", True)
        assert (second.window.sequence, second.window.label) == (1, "spoof")
        assert len(last.summary.windows) == 1


async def test_where_the_model_failed_on_all_there_is_a_status_and_no_summary(tmp_path: Path) -> None:
    remote = LocalRemote()
    async with calling(tmp_path, remote) as (_, stub):
        remote.errors = [OSError("gone"), OSError("gone")]
        assert (await refused(stub, heard(level(0.5, 0.5).tobytes()))).code() is Code.UNAVAILABLE


async def test_a_full_house_and_a_callers_share(tmp_path: Path) -> None:
    key, line = new_key("bank")
    mine = (("x-api-key", key),)
    async with calling(
        tmp_path, LocalRemote(), access=Access(KeyStore(line)), max_sessions=2, max_sessions_per_caller=1
    ) as (app, stub):
        call = stub.AnalyzeLive(metadata=mine)
        await call.write(flush())
        await until(lambda: app.live.active == 1)
        error = await refused(stub, flush(), metadata=mine)
        assert (error.code(), "yours" in (error.details() or "")) == (Code.RESOURCE_EXHAUSTED, True)
        call.cancel()
        await until(lambda: app.live.active == 0)


async def test_a_caller_who_goes_leaves_nothing(tmp_path: Path) -> None:
    remote = LocalRemote()
    async with calling(tmp_path, remote) as (app, stub):
        remote.open.clear()
        call = stub.AnalyzeLive()
        await call.write(heard(level(0.5).tobytes()))
        await until(lambda: remote.calls == 1)
        call.cancel()
        await until(lambda: app.live.active == 0)


async def test_deadlines_and_silence_end_a_call(tmp_path: Path) -> None:
    async with calling(tmp_path, LocalRemote(), idle_s=0.3) as (_, stub):
        call = stub.AnalyzeLive()
        await call.write(heard(level(0.5, 0.5).tobytes()))
        assert (await call.read()).summary.reason == "idle"
        assert await call.code() is Code.DEADLINE_EXCEEDED
    async with calling(tmp_path, LocalRemote()) as (app, stub):
        call = stub.AnalyzeLive(timeout=0.3)
        await call.write(heard(level(0.5, 0.5).tobytes()))
        assert await call.code() is Code.DEADLINE_EXCEEDED
        await until(lambda: app.live.active == 0)


async def test_a_service_that_leaves_gives_the_summary(tmp_path: Path) -> None:
    async with calling(tmp_path, LocalRemote()) as (app, stub):
        call = stub.AnalyzeLive()
        await call.write(heard(level(0.5, 1.5).tobytes()))
        assert (await call.read()).HasField("window")
        await app.live.drain(30)
        summary = (await call.read()).summary
        assert (summary.reason, len(summary.windows)) == ("going_away", 2)
        assert await call.code() is Code.UNAVAILABLE


async def test_who_does_not_read_is_cut_off_and_told_when_they_do(tmp_path: Path) -> None:
    remote = LocalRemote()
    async with calling(tmp_path, remote, send_timeout_s=0.3) as (app, stub):
        call = await unread(stub, remote)
        assert (await refusal(call)).code() is Code.RESOURCE_EXHAUSTED
        await until(lambda: app.live.active == 0)


async def test_who_never_reads_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bonafide.api.grpc_live.SETTLE_S", 0.1)
    remote = LocalRemote()
    async with calling(tmp_path, remote, send_timeout_s=0.3) as (app, stub):
        call = await unread(stub, remote)
        await until(lambda: app.live.active == 0)
        call.cancel()
    await asyncio.sleep(0)
    gc.collect()  # asyncio logs an error that nobody has looked at when it lets go of it
    assert "never retrieved" not in caplog.text


async def unread(stub: Any, remote: LocalRemote) -> Any:
    """A call with more windows than fit between here and there, none of which was read; nothing moves any more."""
    part = heard(b"\x9f" * 480_000)
    call = stub.AnalyzeLive(iter([config(encoding="mulaw", chunk_duration=0.25), part, part, part]))
    scored = 0
    while not scored or scored != remote.scored:
        scored = remote.scored
        await asyncio.sleep(2)
    return call


async def test_who_sends_configurations_is_not_idle(tmp_path: Path) -> None:
    async with calling(tmp_path, LocalRemote(), idle_s=0.4) as (_, stub):
        call = stub.AnalyzeLive()
        for _ in range(3):
            await asyncio.sleep(0.2)
            await call.write(config())
        await call.write(heard(level(0.2, 1.0).tobytes()))
        await call.done_writing()
        assert (await call.read()).window.label == "bonafide"
        assert (await call.read()).summary.reason == "end"
