"""The live client against a peer that breaks connections; tests/integration meets the real service."""

import asyncio
import json
import ssl
from array import array
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bonafide_client import (
    AudioDetectionClient,
    BonafideError,
    Forbidden,
    Internal,
    InvalidRequest,
    LiveWindow,
    Overloaded,
    Tls,
    Unauthenticated,
    Unavailable,
)
from bonafide_client.live.session import LiveSession

from .live_peer import REFUSALS, LivePeer

RATE = 8_000
PATIENCE_S = 60
FULL = {"code": "overloaded", "message": "full", "request_id": "r"}


@pytest.fixture
async def live() -> AsyncIterator[LivePeer]:
    async with LivePeer().listening() as peer:
        yield peer


def ramp(seconds: float, rate: int = RATE) -> "array[float]":
    """Audio whose every second has another mean, from 0 towards 1."""
    count = round(seconds * rate)
    return array("f", [0.9 * index / count for index in range(count)])


async def blocks(audio: "array[float]", sizes: list[int], rate: int = RATE) -> AsyncGenerator[tuple[Any, int], None]:
    start = 0
    while start < len(audio):
        for size in sizes:
            yield audio[start : start + size], rate
            start += size


async def streamed(peer: LivePeer, audio: "array[float]", sizes: list[int], **options: Any) -> list[LiveWindow]:
    async with AudioDetectionClient(peer.url, **options) as client:
        async with asyncio.timeout(PATIENCE_S):
            return [window async for window in client.stream(blocks(audio, sizes))]


def spans(windows: list[LiveWindow]) -> list[tuple[int, float, float]]:
    return [(window.sequence, window.start_s, window.end_s) for window in windows]


async def test_the_verbs_that_old_clients_know(live: LivePeer) -> None:
    client = AudioDetectionClient(live.url, client_id="branch-7")
    await client.connect()
    assert await client.send_audio_chunk([0.25] * 8_000) is None
    window = await client.send_audio_chunk([0.25] * 8_000, sample_rate=16_000)
    assert window is not None
    assert (window.sequence, window.start_s, window.end_s, window.label, window.score) == (
        0,
        0.0,
        1.0,
        "bonafide",
        0.25,
    )
    assert (window.running_label, window.running_score, window.is_spoof) == ("bonafide", 0.25, False)
    await client.disconnect()
    connect, config, *_ = live.connections[0]
    assert connect == {"type": "connect", "client_id": "branch-7"}
    assert config == {"type": "config", "encoding": "float32", "sample_rate": 16_000}


async def test_a_long_chunk_travels_in_parts_and_returns_the_last_window(live: LivePeer) -> None:
    async with AudioDetectionClient(live.url, chunk_duration=2.0) as client:
        window = await client.send_audio_chunk(ramp(31), RATE)
        assert window is not None
        assert (window.sequence, window.end_s) == (14, 30.0)
        summary = await client.end()
    assert [len(frame) for frame in live.audio_frames][:2] == [256 * 1024, 256 * 1024]
    assert len(summary.windows) == 16
    assert (summary.label, summary.is_spoof, summary.audio_seconds, summary.model.demo) == ("bonafide", False, 31, True)


async def test_a_stream_yields_all_windows_to_its_end(live: LivePeer) -> None:
    windows = await streamed(live, ramp(3.5), [1_000, 3_000])
    assert spans(windows) == [(0, 0.0, 1.0), (1, 1.0, 2.0), (2, 2.0, 3.0), (3, 3.0, 3.5)]
    assert live.connections[0][-1] == {"type": "flush"}


@given(
    sizes=st.lists(st.integers(500, 9_000), min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 9), max_size=4),
    overlap=st.sampled_from([0.0, 0.5]),
    seconds=st.sampled_from([0.5, 3.0, 4.75]),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_wherever_connections_break_the_windows_are_the_same(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], cuts: list[int], overlap: float, seconds: float
) -> None:
    monkeypatch.setattr("bonafide_client.live.reconnection._FIRST_WAIT_S", 0.001)
    monkeypatch.setattr("bonafide_client.live.reconnection._LONGEST_WAIT_S", 0.001)
    audio = ramp(seconds)
    async with LivePeer().listening() as whole, LivePeer().listening() as torn:
        wanted = await streamed(whole, audio, sizes, overlap_duration=overlap)
        torn.cuts = list(cuts)
        assert await streamed(torn, audio, sizes, overlap_duration=overlap) == wanted


async def test_the_summary_of_a_resumed_session_covers_all_of_it(live: LivePeer) -> None:
    live.cuts = [5]
    async with AudioDetectionClient(live.url) as client:
        whole = [window async for window in client.stream(blocks(ramp(6), [4_000]))]
        summary = await client.end()
    assert len(live.connections) == 2
    assert spans(list(summary.windows)) == spans(whole)  # type: ignore[arg-type]
    assert summary.score == pytest.approx(0.45, abs=0.01)
    assert (summary.label, summary.audio_seconds, summary.judged_seconds) == ("bonafide", 6, 6)
    (stretch,) = summary.suspicious
    assert (stretch.start_s, stretch.end_s) == (3.0, 6.0)
    assert stretch.score == pytest.approx(0.675, abs=0.01)


async def test_the_summary_of_a_long_session_may_be_large(live: LivePeer) -> None:
    live.warnings = ["w" * 26_000_000]  # instead of as many bytes of windows, which take long to make and to read
    async with AudioDetectionClient(live.url) as client:
        await client.send_audio_chunk(ramp(1), RATE)
        summary = await client.end()
    assert summary.warnings == tuple(live.warnings)


async def test_results_reach_everybody_who_listens(live: LivePeer) -> None:
    async with AudioDetectionClient(live.url) as client:
        first, second = client.results(), client.results()
        await client.send_audio_chunk(ramp(2), RATE)
        second.close()
        await client.send_audio_chunk(ramp(1), RATE)
        await client.end()
        assert [window.sequence async for window in first] == [0, 1, 2]
        assert [window.sequence async for window in second] == [0, 1]
        assert [window async for window in client.results()] == []
        with pytest.raises(Unavailable, match="ended"):
            await client.send_audio_chunk([0.0])


async def test_a_fast_sender_waits_for_answers(live: LivePeer) -> None:
    live.mute = True
    async with AudioDetectionClient(live.url) as client:
        async with aclosing(client.stream(blocks(ramp(60), [RATE]))) as windows:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(windows), 1.0)
        assert 10 <= len(live.audio_frames) <= 12


@pytest.mark.parametrize(
    ("refusal", "kind", "retry_after_s"),
    [
        ((HTTPStatus.SERVICE_UNAVAILABLE, FULL, {"Retry-After": "2"}), Overloaded, 2.0),
        ((HTTPStatus.SERVICE_UNAVAILABLE, FULL, {"Retry-After": "inf"}), Overloaded, None),
        ((HTTPStatus.SERVICE_UNAVAILABLE, FULL, {"Retry-After": "-1"}), Overloaded, None),
        ((HTTPStatus.TOO_MANY_REQUESTS, None, {}), Overloaded, None),
        ((HTTPStatus.UNAUTHORIZED, None, {}), Unauthenticated, None),
        ((HTTPStatus.FORBIDDEN, None, {}), Forbidden, None),
        ((HTTPStatus.NOT_FOUND, None, {}), InvalidRequest, None),
    ],
)  # fmt: skip
async def test_a_refused_handshake_says_why(
    live: LivePeer, refusal: Any, kind: type[BonafideError], retry_after_s: float | None
) -> None:
    live.refusals = [refusal]
    with pytest.raises(kind) as caught:
        await AudioDetectionClient(live.url).connect()
    assert caught.value.retry_after_s == retry_after_s


async def test_a_service_that_is_lost_is_looked_for_and_then_given_up(live: LivePeer) -> None:
    client = AudioDetectionClient(live.url, reconnect_s=0.5)
    await client.connect()
    live.cuts, live.refusals = [], [(HTTPStatus.SERVICE_UNAVAILABLE, None, {})] * 100
    live.close_with = (1012, "restart")
    results = client.results()
    with pytest.raises(Unavailable):
        await asyncio.wait_for(client.send_audio_chunk([0.0] * 100), PATIENCE_S)
    with pytest.raises(Unavailable):
        await anext(results)
    assert len(live.refusals) < 100
    await client.disconnect()


async def test_nobody_comes_again_after_a_closure_that_is_meant(live: LivePeer) -> None:
    live.close_with = (1008, "session_limit")
    async with AudioDetectionClient(live.url) as client:
        with pytest.raises(Unavailable, match="session_limit"):
            await client.send_audio_chunk([0.0] * 100)
    assert len(live.connections) == 1


async def test_nothing_listens() -> None:
    with pytest.raises(Unavailable, match=r"ws://127.0.0.1:1/ws/detect"):
        await AudioDetectionClient("ws://127.0.0.1:1/ws/detect").connect()
    with pytest.raises(Unavailable, match="connect"):
        await AudioDetectionClient().send_audio_chunk([0.0])


async def test_errors_of_the_service_are_errors_of_the_call(live: LivePeer) -> None:
    live.errors = ["unavailable"]
    async with AudioDetectionClient(live.url) as client:
        with pytest.raises(Unavailable) as caught:
            await client.send_audio_chunk([0.5] * 4_000, RATE)
        assert caught.value.request_id == "req-7"
        window = await client.send_audio_chunk([0.5] * 4_000, RATE)
        assert window is not None
        assert window.end_s == 1.0


@pytest.mark.parametrize("code", REFUSALS)
async def test_audio_that_was_refused_is_not_sent_again(live: LivePeer, code: str) -> None:
    live.errors, live.cuts = [code], [3]
    audio = ramp(2)
    async with AudioDetectionClient(live.url) as client:
        with pytest.raises(BonafideError) as caught:
            await client.send_audio_chunk([0.95] * 4_800, RATE)
        assert caught.value.code == code
        assert await client.send_audio_chunk(audio[:4_000], RATE) is None
        window = await client.send_audio_chunk(audio[4_000:], RATE)
        assert window is not None
        assert window.end_s == 2.0
        summary = await client.end()
    assert [frame for frame in live.connections[1] if isinstance(frame, bytes)] == [
        audio[:4_000].tobytes(),
        audio[4_000:].tobytes(),
    ]
    assert summary.audio_seconds == 2.0


async def test_a_stream_goes_on_after_a_moment_that_was_not_judged(
    live: LivePeer, caplog: pytest.LogCaptureFixture
) -> None:
    live.errors = ["overloaded", "deadline_exceeded"]
    assert len(await streamed(live, ramp(3), [2_000])) == 3
    assert caplog.text.count("some audio was not judged") == 2
    live.errors = ["internal"]
    with pytest.raises(Internal):
        await streamed(live, ramp(3), [2_000])


async def test_windows_without_a_verdict_beside_others_are_told(
    live: LivePeer, caplog: pytest.LogCaptureFixture
) -> None:
    live.unjudged = {1}
    async with AudioDetectionClient(live.url) as client:
        last = await client.send_audio_chunk(ramp(3), RATE)
        summary = await client.end()
    assert last is not None
    assert last.sequence == 2
    assert [record.message for record in caplog.records if record.name == "bonafide_client.live.client"] == [
        "some audio was not judged: no verdict on the windows 1"
    ]
    assert summary.unjudged_seconds == 1.0


async def test_a_configuration_that_the_service_refuses_ends_the_session(live: LivePeer) -> None:
    async with AudioDetectionClient(live.url, chunk_duration=9) as client:
        with pytest.raises(InvalidRequest):
            await client.send_audio_chunk(ramp(1), RATE)


async def test_who_connects_twice_at_once_has_one_connection(live: LivePeer) -> None:
    client = AudioDetectionClient(live.url)
    await asyncio.gather(client.connect(), client.connect())
    window = await client.send_audio_chunk(ramp(1), RATE)
    assert window is not None
    await client.end()
    assert len(live.connections) == 1


async def test_who_disconnects_while_it_connects_leaves_no_connection(live: LivePeer) -> None:
    client = AudioDetectionClient(live.url)
    connecting = asyncio.create_task(client.connect())
    await asyncio.sleep(0)
    await client.disconnect()
    with pytest.raises(Unavailable, match="disconnected"):
        await connecting
    async with asyncio.timeout(PATIENCE_S):
        await live.left.wait()


async def test_the_key_travels_in_the_header(live: LivePeer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with AudioDetectionClient(live.url, api_key="secret"):
        pass
    monkeypatch.setenv("BONAFIDE_API_KEY", "from-env")
    monkeypatch.setenv("BONAFIDE_LIVE_URL", live.url)
    async with AudioDetectionClient():
        pass
    assert [headers["authorization"] for headers in live.headers] == ["Bearer secret", "Bearer from-env"]


async def test_mutual_tls(certificates: Path) -> None:
    own, key, other = (certificates / name for name in ("own.pem", "own.key", "other.pem"))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=own)
    server.load_cert_chain(own, key)
    server.verify_mode = ssl.CERT_REQUIRED
    async with LivePeer().listening(server) as peer:
        async with AudioDetectionClient(peer.url, tls=Tls(own, own, key)) as client:
            assert await client.send_audio_chunk(ramp(1), RATE) is not None
        for wrong in (None, Tls(other)):
            with pytest.raises(Unavailable, match="certificate"):
                await AudioDetectionClient(peer.url, tls=wrong).connect()
    with pytest.raises(OSError, match="No such file"):
        AudioDetectionClient(peer.url, tls=Tls(certificates / "none.pem"))


@pytest.mark.parametrize("url", ["http://localhost:3000", "localhost:3000", "ws://", "ws:///x"])
def test_addresses_that_can_never_work(url: str) -> None:
    with pytest.raises(ValueError, match="no address of a WebSocket"):
        AudioDetectionClient(url)


@pytest.mark.parametrize("port", [0, 99_999])
def test_ports_that_can_never_work(port: int) -> None:
    with pytest.raises(ValueError, match=r"[Pp]ort"):
        AudioDetectionClient(f"ws://localhost:{port}/ws/detect")


def test_tls_is_not_asked_for_in_vain() -> None:
    with pytest.raises(ValueError, match="wss://"):
        AudioDetectionClient("ws://bank.example/ws/detect", tls=Tls())


def test_a_key_travels_to_this_machine_or_encrypted() -> None:
    for safe in ("ws://localhost/ws/detect", "ws://[::1]:3000/ws/detect", "wss://bank.example/ws/detect"):
        AudioDetectionClient(safe, api_key="s3cret")
    foreign = "ws://localhost.bank.example/ws/detect"
    with pytest.raises(ValueError, match="unencrypted") as caught:
        AudioDetectionClient(foreign, api_key="s3cret")
    assert "s3cret" not in str(caught.value)
    AudioDetectionClient(foreign, api_key="s3cret", key_in_clear=True)
    AudioDetectionClient(foreign)


async def test_no_redirection_takes_audio_elsewhere(live: LivePeer) -> None:
    async with LivePeer().listening() as elsewhere:
        live.refusals.append((HTTPStatus.TEMPORARY_REDIRECT, None, {"location": elsewhere.url}))
        with pytest.raises(BonafideError, match="307"):
            await AudioDetectionClient(live.url, api_key="s3cret").connect()
    assert not elsewhere.headers


async def test_a_place_that_is_no_time_ends_the_session(live: LivePeer, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = {"sequence": 0, "label": "spoof", "p_spoof": 0.9, "speech_ratio": 1.0, "start_time_seconds": 0.0,
               "end_time_seconds": float("nan"), "running": {"label": "spoof", "p_spoof": 0.9}}  # fmt: skip
    monkeypatch.setattr("client_tests.live_peer._Stream._window", lambda *_: nowhere)
    async with AudioDetectionClient(live.url) as client, asyncio.timeout(PATIENCE_S):
        with pytest.raises(Internal, match="cannot be understood"):
            await client.send_audio_chunk(ramp(1), RATE)


@pytest.mark.parametrize("verb", ["send_audio_chunk", "flush", "end"])
async def test_whoever_asked_is_told_that_the_answer_cannot_be_understood(
    live: LivePeer, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr("client_tests.live_peer._Stream._window", lambda *_: {"label": "synthetic", "p_spoof": 0.9})
    half = ramp(0.5)
    async with AudioDetectionClient(live.url) as client, asyncio.timeout(PATIENCE_S):
        await client.send_audio_chunk(half, RATE)
        with pytest.raises(Internal, match="cannot be understood"):
            await (client.send_audio_chunk(half, RATE) if verb == "send_audio_chunk" else getattr(client, verb)())


def test_an_error_that_nobody_asked_for_is_why_the_service_ends_the_session() -> None:
    session = LiveSession("test", {})
    session.opened()
    session.received(json.dumps({"type": "connected"}))
    with pytest.raises(Overloaded, match="full"):
        session.received(json.dumps({"type": "error", **FULL}))
    with pytest.raises(Internal, match="nothing was asked"):
        session.received(json.dumps({"type": "buffering"}))
