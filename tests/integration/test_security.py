"""Keys, TLS and public addresses, through the running service."""

import asyncio
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from bonafide.security.keys import new_key
from bonafide_client import AsyncBonafideClient, ModelStatus, Overloaded, Tls, Unauthenticated, Unavailable
from scripts.local_service import ROOT, LocalService, free_ports, start
from tests.bombs import bmp_of_runs, laced_matroska
from tests.certificates import Authority, Certificate
from tests.integration.curl import curl
from tests.integration.locked import ORIGIN, LockedService
from tests.integration.logs import assert_told, contained, lines_with
from tests.integration.tiny_models import tiny_models
from tests.integration.waiting import until
from tests.media import encode, encode_image, photo, speech_like


@pytest.mark.slow
@pytest.mark.alone
async def test_bombs_of_one_caller_do_not_delay_another(locked: LockedService, face_jpg: Path) -> None:
    mallory, bank = locked.keys["mallory"], locked.keys["bank"]
    recording, picture = encode(speech_like(4.0), 16_000), face_jpg.read_bytes()
    async with httpx.AsyncClient(base_url=locked.service.url, timeout=60) as http:

        async def post(path: str, content: bytes, key: str) -> httpx.Response:
            return await http.post(path, content=content, headers={"x-api-key": key})

        bombs = [
            asyncio.create_task(post(*bomb, mallory))
            for _ in range(4)
            for bomb in (("/detect_audio", laced_matroska(14_000)), ("/predict_liveness", bmp_of_runs()))
        ]
        await asyncio.sleep(0.5)
        waits = []
        for number in range(15):  # each recording is new, as scores are cached
            for path, content in (("/detect_audio", recording + bytes(number + 1)), ("/predict_liveness", picture)):
                began = time.monotonic()
                (await post(path, content, bank)).raise_for_status()
                waits.append(time.monotonic() - began)
        assert not all(bomb.done() for bomb in bombs)
        assert max(waits) < 1, sorted(waits)[-5:]
        for bomb in bombs:
            bomb.cancel()
        await asyncio.gather(*bombs, return_exceptions=True)


@pytest.fixture
def keys_file(locked: LockedService) -> Iterator[Path]:
    """Of the keys of `locked`, to be changed by a test; they are put back at its end."""
    lines = locked.keys_file.read_text()
    yield locked.keys_file
    locked.keys_file.write_text(lines)


@pytest.mark.slow
@pytest.mark.beside
async def test_keys_on_every_way_in(locked: LockedService, keys_file: Path) -> None:
    service, others = locked.service, keys_file.read_text()
    (insurer, insurer_line), (batch, batch_line), (later, later_line) = (
        new_key("insurer"), new_key("batch", 2), new_key("later"),
    )  # fmt: skip
    recording = encode(speech_like(8), 16_000)
    async with (
        AsyncBonafideClient(service.address, api_key=insurer) as client,
        httpx.AsyncClient(base_url=service.url, timeout=60) as http,
    ):
        keys_file.write_text(f"{others}{insurer_line}\n{batch_line}\n")
        await until(_known(http, insurer), 30)
        assert len((await client.analyze_file(recording)).chunks) == 2
        answer = await http.post("/detect_audio", content=recording, headers={"authorization": f"Bearer {insurer}"})
        assert len(answer.json()["chunks"]) == 2

        for key in ("", "bonafide_wrong-wrong-wrong"):
            async with AsyncBonafideClient(service.address, api_key=key) as stranger:
                assert await stranger.health() == "SERVING"
                with pytest.raises(Unauthenticated):
                    await stranger.predict_liveness(encode_image(photo()))
                with pytest.raises(Unauthenticated):
                    await stranger.analyze_file(b"x" * 20_000_000)
            headers = {"x-api-key": key}
            for path in ("/livez", "/readyz", "/health"):
                assert (await http.get(path, headers=headers)).status_code == 200
            for path in ("/stats", "/model_status", "/schema.json/", "/anything"):
                assert (await http.get(path, headers=headers)).status_code == 401
            assert (await http.post("/detect_audio", content=recording, headers=headers)).status_code == 401
        await _check_sockets(service, insurer)
        await _check_page(http)
        assert b"unauthenticated" in await curl(f"{service.url}/detect_audio", b"x" * 50_000_000)

        assert (await http.get("/metrics", headers={"x-api-key": insurer})).status_code == 404
        assert 'code="unauthenticated"' in (await http.get(f"{locked.private}/metrics")).text
        assert (await http.get(f"{locked.private}/readyz")).status_code == 200

        async with AsyncBonafideClient(service.address, api_key=batch) as often:
            await often.voice_status()
            assert (await http.get("/stats", headers={"x-api-key": batch})).status_code == 200
            with pytest.raises(Overloaded) as refused:
                await often.voice_status()
            assert refused.value.retry_after_s

        keys_file.write_text(f"{others}{later_line}\n")
        await until(_known(http, later), 30)
        with pytest.raises(Unauthenticated):
            await client.voice_status()

    log = service.log.read_text()
    assert_told(log, '"caller": "insurer"')
    hashes = re.findall(r"sha256:(\S+)", insurer_line + batch_line)
    assert contained(log, (insurer, batch, later, "wrong-wrong-wrong", *hashes)) == []


def _known(http: httpx.AsyncClient, key: str) -> Callable[[], Awaitable[bool]]:
    async def known() -> bool:
        return (await http.get("/stats", headers={"x-api-key": key})).status_code == 200

    return known


async def _check_page(http: httpx.AsyncClient) -> None:
    """A page of an allowed origin may send its key, and reads that it is wrong."""
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    answer = await http.options("/detect_audio", headers={"origin": ORIGIN, **asked})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    refused = await http.post("/detect_audio", content=b"x", headers={"origin": ORIGIN})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)


@pytest.mark.slow
async def test_mutual_tls_on_grpc_and_http_with_a_renewed_certificate(tmp_path: Path) -> None:
    authority, next_authority = Authority(tmp_path), Authority(tmp_path, "next-ca")
    served, caller = authority.sign("served"), authority.sign("caller")
    environment = {
        **tiny_models(),
        "BONAFIDE_TLS_CERT": str(served.cert),
        "BONAFIDE_TLS_KEY": str(served.key),
        "BONAFIDE_TLS_CLIENT_CA": str(authority.cert),
    }
    trust = Tls(authority.cert, caller.cert, caller.key)
    service = start(tmp_path / "log", environment)
    try:
        async with _https(service, authority, caller) as http:

            async def ready() -> bool:
                with suppress(httpx.TransportError):
                    return (await http.get("/readyz")).status_code == 200
                return False

            await until(ready, 180)
            assert (await http.post("/predict_liveness", content=encode_image(photo()))).status_code == 200
            async with AsyncBonafideClient(service.address, tls=trust) as client:
                assert (await client.predict_liveness(encode_image(photo()))).label
            address = f"wss://127.0.0.1:{service.http_port}/ws/detect"
            async with connect(address, ssl=_trusting(authority, caller)) as socket:
                await socket.send('{"type": "ping"}')
                assert "pong" in str(await socket.recv())

            async with _https(service, authority, None) as stranger:
                with pytest.raises(httpx.TransportError):
                    await stranger.get("/livez")
            wrong = (None, Tls(authority.cert), Tls(next_authority.cert, caller.cert, caller.key))
            refused = await asyncio.gather(*(_voice_status(service, tls) for tls in wrong), return_exceptions=True)
            assert [type(each) for each in refused] == [Unavailable] * 3

        served.replace(next_authority.sign("renewed"))
        async with _https(service, next_authority, caller) as http:
            await until(ready, 30)
        async with AsyncBonafideClient(
            service.address, tls=Tls(next_authority.cert, caller.cert, caller.key)
        ) as client:
            assert (await client.voice_status()).is_loaded
    finally:
        assert service.stop() == 0
    log = service.log.read_text()
    assert lines_with(log, "PRIVATE KEY") == []
    assert not set(served.key.read_text().splitlines()) & set(log.splitlines())


async def _voice_status(service: LocalService, tls: Tls | None) -> ModelStatus:
    async with AsyncBonafideClient(service.address, tls=tls) as client:
        return await client.voice_status()


def _trusting(authority: Authority, shown: Certificate | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.cert)
    if shown is not None:
        context.load_cert_chain(shown.cert, shown.key)
    return context


def _https(service: LocalService, trusted: Authority, shown: Certificate | None) -> httpx.AsyncClient:
    """A client with new connections only, so that each shows what is served now."""
    return httpx.AsyncClient(
        base_url=f"https://127.0.0.1:{service.http_port}",
        verify=_trusting(trusted, shown),
        timeout=30,
        limits=httpx.Limits(max_keepalive_connections=0),
    )


async def _check_sockets(service: LocalService, key: str) -> None:
    """A key in a header, or as a browser offers it; without one the socket is refused."""
    address = f"ws://127.0.0.1:{service.http_port}/ws/detect"
    offered = [Subprotocol("bonafide"), Subprotocol(f"bonafide.key.{key}")]
    for given in ({"additional_headers": {"x-api-key": key}}, {"subprotocols": offered}):
        async with connect(address, **given) as socket:
            await socket.send('{"type": "ping"}')
            assert "pong" in str(await socket.recv())
            assert socket.subprotocol == ("bonafide" if "subprotocols" in given else None)
    for wrong in ([], [Subprotocol("bonafide.key.wrong-wrong-wrong")]):
        with pytest.raises(InvalidStatus) as refused:
            await connect(address, subprotocols=wrong or None)
        assert refused.value.response.status_code == 401


@pytest.mark.slow
@pytest.mark.timeout(660)
@pytest.mark.parametrize(
    ("name", "environment", "reason"),
    [
        ("Bonafide", {"BENTOML_HOST": "0.0.0.0"}, "BONAFIDE_KEYS_FILE"),
        ("Bonafide", {"BONAFIDE_TLS_CERT": "none.pem", "BONAFIDE_TLS_KEY": "none.pem"}, "No such file"),
        ("WavLMRunner", {"BENTOML_HOST": "0.0.0.0"}, "runs what it is sent"),
    ],
)
def test_what_strangers_could_call_does_not_start(name: str, environment: dict[str, str], reason: str) -> None:
    """Each on its own, without authentication: it must refuse to start."""
    command = [sys.executable, "-m", "bentoml_cli._internal.start", "start-http-server", "service:Bonafide"]
    host = environment.get("BENTOML_HOST", "127.0.0.1")
    command += ["--service-name", name, "--port", str(free_ports(1)[0]), "--host", host]
    command += [f"--depends={runner}=http://127.0.0.1:1" for runner in ("WavLMRunner", "DINOv2Runner")]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600, check=False
    )
    assert_told(ended.stdout, "cannot start", reason)
