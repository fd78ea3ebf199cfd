"""What BentoML 1.4.40 does without the corrections of docs/architecture.md; its table names all their tests."""

import asyncio
import json
import socket
import statistics
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from _bentoml_impl.client import RemoteProxy
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bonafide.bento.environment import METRICS_FOLDER
from bonafide.runner.remote import TOKEN_HEADER
from bonafide.settings import Settings
from bonafide_client import AsyncBonafideClient, Overloaded, Unavailable
from scripts.local_service import LocalService, start
from tests.integration.conftest import RUNNER_TOKEN
from tests.integration.locked import LockedService
from tests.integration.logs import assert_told, tracebacks
from tests.integration.processes import listening_port, process_of
from tests.integration.stored import metric
from tests.integration.tiny_models import tiny_models
from tests.integration.waiting import until
from tests.media import encode, encode_image, photo, speech_like

pytestmark = pytest.mark.beside


async def test_bentoml_serves_websockets_with_our_settings(service: LocalService) -> None:
    url = f"ws://127.0.0.1:{service.http_port}/ws/detect"
    async with connect(url, compression="deflate") as connection:
        assert connection.protocol.extensions == [], "compression is offered and not taken"
        await connection.send(bytes(Settings().live_max_message_bytes + 1))
        assert json.loads(await connection.recv())["code"] == "too_large"
        await connection.send('{"type": "ping"}')
        assert json.loads(await connection.recv())["type"] == "pong"
    for path in ("/ws/detect/", "/ui/", "/livez", "/anything"):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{service.http_port}{path}")
        assert refused.value.response.status_code == 404


@asynccontextmanager
async def client_of_voice_runner(service: LocalService) -> AsyncIterator[Any]:
    """BentoML's own, as the service has it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(METRICS_FOLDER, str(service.log.parent))  # or services that are started later had ours
        from service import WavLMRunner

    WavLMRunner.inject_config()  # type: ignore[attr-defined]  # the decorator made it a Service
    runner = process_of(service, "WavLMRunner")
    proxy = RemoteProxy(f"tcp://127.0.0.1:{listening_port(runner)}", service=WavLMRunner).to_async
    proxy.default_headers[TOKEN_HEADER] = RUNNER_TOKEN
    async with proxy as remote:
        yield remote
    await asyncio.sleep(0.1)  # aiohttp closes its connections a moment later


async def test_the_connection_to_a_runner_is_not_closed_with_calls_in_flight(service: LocalService) -> None:
    async with client_of_voice_runner(service) as remote:
        for _ in range(10):
            await asyncio.gather(*(remote.score(["not an array"]) for _ in range(16)))


async def test_a_poisoned_item_harms_only_itself(service: LocalService) -> None:
    windows: list[Any] = [np.rint(speech_like(4, seed=seed)[0] * 32_767).astype(np.int16) for seed in range(8)]
    poison = {3: "not an array", 5: np.zeros((2, 7), np.float64)}
    async with client_of_voice_runner(service) as remote:
        well = [(await remote.score([window]))[0][0][0] for window in windows]
        mixed = await asyncio.gather(
            *(remote.score([poison.get(index, window)]) for index, window in enumerate(windows))
        )
        together = await remote.score([poison.get(index, window) for index, window in enumerate(windows)])
    for answers in ([answer[0] for answer in mixed], together):
        for index, ((score, speech), *_told) in enumerate(answers):
            assert np.isnan(score) if index in poison else score == pytest.approx(well[index], abs=0.01)
            assert np.isnan(speech) if index in poison else 0 <= speech <= 1


@pytest.mark.alone
async def test_a_lone_call_after_a_burst_does_not_wait_for_company(
    bundled: AsyncBonafideClient, face_jpg: Path
) -> None:
    """By a model that takes as long as a real one: before a tiny one no burst has to wait."""
    photo_bytes = face_jpg.read_bytes()

    async def lone_calls() -> float:
        seconds = []
        for _ in range(15):
            began = time.perf_counter()
            await bundled.predict_liveness(photo_bytes)
            seconds.append(time.perf_counter() - began)
        return statistics.median(seconds)

    await lone_calls()
    before = await lone_calls()
    for _ in range(3):
        await asyncio.gather(*(bundled.predict_liveness(photo_bytes) for _ in range(100)))
        await asyncio.sleep(0.2)
    after = await lone_calls()
    assert after < 2.5 * before + 0.02, f"{before * 1000:.0f} ms before the bursts, {after * 1000:.0f} ms after"


async def test_a_burst_is_queued_not_refused(client: AsyncBonafideClient, face_jpg: Path) -> None:
    photo_bytes = face_jpg.read_bytes()
    reports = await asyncio.gather(*(client.predict_liveness(photo_bytes) for _ in range(120)))
    assert len({report.label for report in reports}) == 1


async def test_overload_is_a_quick_refusal(service: LocalService, client: AsyncBonafideClient) -> None:
    recording = encode(speech_like(1), 16_000)
    runner = process_of(service, "WavLMRunner")
    runner.suspend()  # until somebody is refused: a tiny model may be quicker than one client
    try:
        calls = [asyncio.create_task(client.analyze_file(recording + bytes([index, 0]))) for index in range(100)]
        await asyncio.wait(calls, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    finally:
        runner.resume()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Overloaded)]
    assert refused
    assert all(answer.retry_after_s is not None and answer.retry_after_s >= 1 for answer in refused)
    others = [answer for answer in answers if not isinstance(answer, Overloaded)]
    assert all(not isinstance(answer, BaseException) for answer in others)


@pytest.mark.parametrize("name", ["WavLMRunner", "DINOv2Runner", "Bonafide"])
def test_processes_are_forked_from_the_supervisor(service: LocalService, name: str) -> None:
    flags = int(Path(f"/proc/{process_of(service, name).pid}/stat").read_text().rpartition(")")[2].split()[6])
    assert flags & 0x40, "PF_FORKNOEXEC: it was started as a new interpreter"


async def test_a_dead_runner_is_told_at_once_and_comes_back(
    service: LocalService, client: AsyncBonafideClient, http: httpx.AsyncClient
) -> None:
    runner = process_of(service, "DINOv2Runner")
    assert await client.health("liveness.LivenessService") == "SERVING"
    runner.suspend()
    try:
        async with asyncio.timeout(30):
            while await client.health("liveness.LivenessService") == "SERVING":
                await asyncio.sleep(0.1)
        assert await client.health("audioanalyzer.AudioAnalysis") == "SERVING"
        assert await client.health() == "NOT_SERVING"
        began = time.monotonic()
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.get("/health")).status_code == 503
        assert time.monotonic() - began < 2
        with pytest.raises(Unavailable):
            await client.predict_liveness(encode_image(photo()), timeout_s=10)
    finally:
        runner.resume()
    async with asyncio.timeout(30):
        while await client.health() != "SERVING":
            await asyncio.sleep(0.1)
    assert (await http.get("/readyz")).status_code == 200


@pytest.mark.alone
@pytest.mark.slow
async def test_calls_to_a_runner_that_was_killed_are_told_at_once(
    service: LocalService, client: AsyncBonafideClient, http: httpx.AsyncClient
) -> None:
    """The supervisor keeps its port open until the next process runs: connections to it succeed, and hang."""
    ended: list[tuple[int, float]] = []
    back = asyncio.Event()
    jpeg = encode_image(photo())

    async def caller() -> None:
        while not back.is_set():
            began = time.monotonic()
            response = await http.post("/predict_liveness", content=jpeg)
            ended.append((response.status_code, time.monotonic() - began))
            await asyncio.sleep(0.1)

    async with asyncio.timeout(60):
        callers = [asyncio.create_task(caller()) for _ in range(12)]
        await asyncio.sleep(1)
        while await client.health() == "SERVING":  # a successor may be ready before anybody saw the loss
            with suppress(LookupError, psutil.NoSuchProcess):
                process_of(service, "DINOv2Runner").kill()
            await asyncio.sleep(0.05)
        while await client.health() != "SERVING":
            await asyncio.sleep(0.1)
        back.set()
        await asyncio.gather(*callers)
    assert {status for status, _ in ended} == {200, 503}
    assert max(seconds for status, seconds in ended if status == 503) < 5
    assert (await http.post("/predict_liveness", content=jpeg)).status_code == 200


async def test_an_upload_without_a_length_is_cut_at_the_limit(service: LocalService) -> None:
    """Raw, so that no client library stops it: two gigabytes without a declared length."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.http_port)
    writer.write(b"POST /detect_audio HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    process = process_of(service, "Bonafide")
    before = process.memory_info().rss
    part = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    sent = 0

    async def send() -> None:
        nonlocal sent
        for _ in range(2048):
            writer.write(part)
            await writer.drain()
            sent += 1

    sending = asyncio.create_task(send())
    status = await asyncio.wait_for(reader.readline(), 60)
    assert b"413" in status
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    writer.transport.abort()  # a megabyte is still waiting to be sent
    await asyncio.sleep(0.1)
    assert sent < 400
    assert process.memory_info().rss - before < 600 * 2**20


async def test_requests_leave_no_memory_behind(service: LocalService) -> None:
    process = process_of(service, "Bonafide")
    connection = HTTPConnection("127.0.0.1", service.http_port, timeout=60)

    def ask(times: int) -> None:
        for _ in range(times):
            connection.request("GET", "/livez")
            with connection.getresponse() as answer:
                assert (answer.status, answer.read()) == (200, b"\n")

    with closing(connection):
        await asyncio.to_thread(ask, 500)
        before = process.memory_info().rss
        await asyncio.to_thread(ask, 1_500)
    grown = process.memory_info().rss - before
    assert grown < 3 * 2**20, f"{grown / 2**20:.1f} MiB more"


async def test_paths_that_anybody_asks_for_add_no_metrics(service: LocalService) -> None:
    async with httpx.AsyncClient(base_url=service.url) as client:
        for path in ("/nothing-is-here", "/jobs/nobody-has-this-one", "/calls/nobody-has-this-one"):
            assert (await client.get(path)).status_code == 404
        metrics = (await client.get("/metrics")).text
    assert "nothing-is-here" not in metrics
    assert "nobody-has-this-one" not in metrics
    assert 'endpoint="/calls/{call_id}"' in metrics


@pytest.mark.slow
async def test_a_second_service_leaves_the_metrics_of_the_first_alone(
    service: LocalService, locked: LockedService
) -> None:
    """Whichever was started first: each has counted its own calls, and none of the other's."""

    async def counted(metrics: str) -> float:
        labels = {"code": "ok", "method": "PredictLiveness", "transport": "grpc"}
        return await metric(metrics, "bonafide_calls_total", **labels)

    first, second = (service.address, service.url), (locked.service.address, locked.private)
    for (called, own), (_, others) in ((first, second), (second, first)):
        before, before_there = await counted(own), await counted(others)
        async with AsyncBonafideClient(called, api_key=locked.keys["bank"]) as client:
            await client.predict_liveness(encode_image(photo()))

        async def one_more(metrics: str = own, than: float = before) -> bool:
            return await counted(metrics) == than + 1

        await until(one_more, 5)
        assert await counted(others) == before_there


@pytest.mark.slow
def test_a_service_without_its_runners_refuses_to_start(tmp_path: Path) -> None:
    service = start(tmp_path / "log", tiny_models(), "--development")
    try:
        assert service.process.wait(120) != 0
    finally:
        if service.process.poll() is None:
            service.stop()
    assert_told(service.log.read_text(), "Serve without --development")


@pytest.mark.slow
def test_a_wrong_setting_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    service = start(tmp_path / "log", {"BONAFIDE_ALLOWED_BUCKET": "calls"})
    assert service.process.wait(120) == 1
    sentence = "BONAFIDE_ALLOWED_BUCKET is no setting; did you mean BONAFIDE_ALLOWED_BUCKETS?"
    assert service.log.read_text() == f"Bonafide cannot start: {sentence}\n"


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_ends_the_start(tmp_path: Path) -> None:
    service = start(tmp_path / "log", {**tiny_models(), "BONAFIDE_VOICE_MODEL": str(tmp_path / "nothing-here")})
    try:
        assert service.process.wait(120) == 1
    finally:
        if service.process.poll() is None:
            service.stop()
    assert_told(service.log.read_text(), "cannot start")
    assert tracebacks(service.log.read_text()) == []


@pytest.mark.slow
def test_a_taken_port_ends_the_start(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        service = start(tmp_path / "log", {**tiny_models(), "BONAFIDE_GRPC_PORTS": str(port)})
        try:
            assert service.process.wait(120) == 1
        except subprocess.TimeoutExpired:
            service.stop()
            raise
    log = service.log.read_text()
    sentence = f"cannot start: gRPC cannot listen on 127.0.0.1:{port} (BONAFIDE_GRPC_HOST, BONAFIDE_GRPC_PORTS)"
    assert_told(log, sentence)
    assert tracebacks(log) == []


@pytest.mark.slow
def test_a_taken_http_port_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        service = start(tmp_path / "log", {"BENTOML_PORT": str(port)})
        assert service.process.wait(120) == 1
    sentence = f"HTTP cannot listen on 127.0.0.1:{port}: Address already in use"
    assert service.log.read_text() == f"Bonafide cannot start: {sentence}\n"


def test_the_quick_event_loop_and_parser_are_used(service: LocalService) -> None:
    maps = {Path(item.path).name for item in process_of(service, "Bonafide").memory_maps()}
    assert any(name.startswith("loop.cpython") for name in maps), "uvloop"
    assert any(name.startswith("parser.cpython") for name in maps), "httptools"


@pytest.mark.parametrize("path", ["/detect_audio/", "/health/", "/livez/"])
def test_no_path_is_redirected_to_a_whole_address(service: LocalService, path: str) -> None:
    answer = httpx.post(f"{service.url}{path}", content=b"voice")
    assert (answer.status_code, "location" in answer.headers) == (404, False)


def test_baggage_of_a_callers_trace_is_not_read(service: LocalService) -> None:
    for path in ("/livez", "/health"):
        assert httpx.get(f"{service.url}{path}", headers={"baggage": "no-pair-of-this-caller"}).status_code == 200
    assert "no-pair-of-this-caller" not in service.log.read_text()
