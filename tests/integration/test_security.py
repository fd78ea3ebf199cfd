"""Keys, TLS and public addresses, through the running service."""

import asyncio
import re
import ssl
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from bonafide.keys import new_key
from bonafide_client import AsyncBonafideClient, Overloaded, Tls, Unauthenticated, Unavailable
from scripts.local_service import LocalService, free_ports, running, start
from tests.certificates import Authority, Certificate
from tests.integration.waiting import until
from tests.media import encode, encode_image, photo, speech_like


@pytest.mark.slow
async def test_keys_on_every_way_in(tmp_path: Path) -> None:
    (bank, bank_line), (batch, batch_line), (later, later_line) = new_key("bank"), new_key("batch", 2), new_key("later")
    keys = tmp_path / "keys"
    keys.write_text(f"{bank_line}\n{batch_line}\n")
    recording = encode(speech_like(8), 16_000)
    (metrics_port,) = free_ports(1)
    environment = {"BONAFIDE_KEYS_FILE": str(keys), "BONAFIDE_METRICS_PORT": str(metrics_port)}
    with running(tmp_path / "log", environment) as service:
        async with (
            AsyncBonafideClient(service.address, api_key=bank) as client,
            httpx.AsyncClient(base_url=service.url, timeout=60) as http,
        ):
            assert len((await client.analyze_file(recording)).chunks) == 2
            answer = await http.post("/detect_audio", content=recording, headers={"authorization": f"Bearer {bank}"})
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

            assert (await http.get("/metrics", headers={"x-api-key": bank})).status_code == 404
            private = f"http://127.0.0.1:{metrics_port}"
            assert 'code="unauthenticated"' in (await http.get(f"{private}/metrics")).text
            assert (await http.get(f"{private}/readyz")).status_code == 200

            async with AsyncBonafideClient(service.address, api_key=batch) as often:
                await often.voice_status()
                assert (await http.get("/stats", headers={"x-api-key": batch})).status_code == 200
                with pytest.raises(Overloaded) as refused:
                    await often.voice_status()
                assert refused.value.retry_after_s

            keys.write_text(f"{later_line}\n")

            async def replaced() -> bool:
                return (await http.get("/stats", headers={"x-api-key": later})).status_code == 200

            await until(replaced, 30)
            with pytest.raises(Unauthenticated):
                await client.voice_status()

    log = service.log.read_text()
    assert '"caller": "bank"' in log
    for secret in (bank, batch, later, "wrong-wrong-wrong", *re.findall(r"sha256:(\S+)", bank_line + batch_line)):
        assert secret not in log


@pytest.mark.slow
async def test_a_large_upload_without_a_key_learns_why(tmp_path: Path) -> None:
    with running(tmp_path / "log", {"BONAFIDE_KEYS": new_key("bank")[1]}) as service:
        curl = await asyncio.create_subprocess_exec(
            "curl", "-sS", "--data-binary", "@-", f"{service.url}/detect_audio",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        answer, _ = await asyncio.wait_for(curl.communicate(b"x" * 50_000_000), 60)
        assert b"unauthenticated" in answer


@pytest.mark.slow
async def test_mutual_tls_on_grpc_and_http_with_a_renewed_certificate(tmp_path: Path) -> None:
    authority, next_authority = Authority(tmp_path), Authority(tmp_path, "next-ca")
    served, caller = authority.sign("served"), authority.sign("caller")
    environment = {
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

            async with _https(service, authority, None) as stranger:
                with pytest.raises(httpx.TransportError):
                    await stranger.get("/livez")
            for wrong in (None, Tls(authority.cert), Tls(next_authority.cert, caller.cert, caller.key)):
                async with AsyncBonafideClient(service.address, tls=wrong) as stranger_client:
                    with pytest.raises(Unavailable):
                        await stranger_client.voice_status()

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
    assert "PRIVATE KEY" not in log
    assert not set(served.key.read_text().splitlines()) & set(log.splitlines())


def _https(service: LocalService, trusted: Authority, shown: Certificate | None) -> httpx.AsyncClient:
    """A client with new connections only, so that each shows what is served now."""
    context = ssl.create_default_context(cafile=trusted.cert)
    if shown is not None:
        context.load_cert_chain(shown.cert, shown.key)
    return httpx.AsyncClient(
        base_url=f"https://127.0.0.1:{service.http_port}",
        verify=context,
        timeout=30,
        limits=httpx.Limits(max_keepalive_connections=0),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [{"BENTOML_HOST": "0.0.0.0"}, {"BONAFIDE_GRPC_HOST": "0.0.0.0"}, {"BONAFIDE_KEYS": "bank sha256:abc"}],
)
def test_what_strangers_could_call_and_keys_that_cannot_be_read_end_the_start(
    environment: dict[str, str], tmp_path: Path
) -> None:
    service = start(tmp_path / "log", environment)
    try:
        service.process.wait(120)
    finally:
        if service.process.poll() is None:
            service.stop()
    log = service.log.read_text()
    assert "cannot start" in log
    assert "BONAFIDE_ALLOW_PUBLIC" in log or "API keys, line 1" in log


@pytest.mark.slow
async def test_public_addresses_with_keys_or_when_it_is_said(tmp_path: Path) -> None:
    key, line = new_key("bank")
    public = {"BENTOML_HOST": "0.0.0.0", "BONAFIDE_GRPC_HOST": "[::]"}
    with running(tmp_path / "log", {**public, "BONAFIDE_KEYS": line}) as service:
        async with AsyncBonafideClient(service.address, api_key=key) as client:
            assert (await client.voice_status()).is_loaded
