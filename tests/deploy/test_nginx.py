"""deploy/nginx.conf in a real nginx: gRPC, HTTP, WebSocket and their limits on one TLS port."""

import re
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bonafide.api.form_file import SPARE_BYTES
from bonafide.api.http_jobs import MAX_BODY_BYTES
from bonafide.jobs.key_list import most_bytes
from bonafide.settings import Settings
from bonafide.settings.group import MIB
from bonafide_client import AsyncBonafideClient, AudioDetectionClient, Tls
from scripts.local_service import ROOT, LocalService, free_ports
from tests.deploy.tools import DEPLOY, installed, output
from tests.media import encode, speech_like

CONFIGURATION = (DEPLOY / "nginx.conf").read_text()


@dataclass
class Proxy:
    """A running nginx."""

    port: int
    certificate: Path
    folder: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.certificate)


@contextmanager
def nginx(folder: Path, service: LocalService) -> Iterator[Proxy]:
    """Runs the configuration as it ships, with ports, paths and certificate of this machine."""
    command = installed("nginx", "nginx-light")
    (port,) = free_ports(1)
    key, certificate = folder / "tls.key", folder / "tls.crt"
    output(installed("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
           "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
           "-keyout", key, "-out", certificate)  # fmt: skip
    text = CONFIGURATION
    for shipped, ours in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "    listen [::]:443 ssl http2;\n": "",
        "server 127.0.0.1:3000;": f"server 127.0.0.1:{service.http_port};",
        "server 127.0.0.1:50051;": f"server {service.address};",
        "/etc/bonafide/tls.": f"{folder}/tls.",
        "/var/log/nginx/": f"{folder}/",
        "/run/nginx.pid": f"{folder}/pid",
        "worker_processes auto;": "worker_processes 1;\ndaemon off;\nmaster_process off;",
        "\nhttp {\n": "\nhttp {\n" + "".join(
            f"    {name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ),
    }.items():  # fmt: skip
        assert shipped in text, shipped
        text = text.replace(shipped, ours)
    (folder / "nginx.conf").write_text(text)
    output(command, "-t", "-c", folder / "nginx.conf")
    process = subprocess.Popen([command, "-c", folder / "nginx.conf"])
    try:
        proxy = Proxy(port, certificate, folder)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                httpx.get(f"{proxy.url}/health", verify=proxy.tls)
                break
            except httpx.ConnectError:
                assert process.poll() is None
                time.sleep(0.1)
        yield proxy
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def proxy(service: LocalService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with nginx(tmp_path_factory.mktemp("nginx"), service) as proxy:
        yield proxy


def test_body_limits_are_those_of_the_service() -> None:
    settings = Settings()
    largest = {
        "detect_audio": settings.max_audio_bytes + SPARE_BYTES,
        "predict_liveness": settings.max_image_bytes * 3 // 2 + SPARE_BYTES,  # as JSON
        "jobs": max(MAX_BODY_BYTES, most_bytes(settings.jobs_max_keys)) + SPARE_BYTES,  # JSON, or a list in a form
    }
    for route, size in largest.items():
        found = re.search(rf"location = /{route} .*\n\s+client_max_body_size (\d+)m;", CONFIGURATION)
        assert found is not None
        assert (int(found[1]) - 1) * MIB < size <= int(found[1]) * MIB


def test_grpc_of_every_service_is_passed_on() -> None:
    services = {"grpc.health.v1.Health"}
    for path in (ROOT / "proto").glob("*.proto"):
        text = path.read_text(encoding="utf-8")
        (package,) = re.findall(r"^package (\S+);", text, re.MULTILINE)
        services |= {f"{package}.{name}" for name in re.findall(r"^service (\w+)", text, re.MULTILINE)}
    location = re.search(r"location ~ \^/\((.*)\)/ \{(?:(?!\}).|\n)*?grpc_pass ", CONFIGURATION)
    assert location is not None
    assert {each.replace("\\.", ".") for each in location[1].split("|")} == services


def test_a_stream_that_is_quiet_is_ended_by_the_service() -> None:
    """A proxy would end it without the status, and before `BONAFIDE_LIVE_IDLE_S` where that is raised."""
    grpc = CONFIGURATION[CONFIGURATION.index("location ~ ^/(audioanalyzer") :].partition("}")[0]
    sockets = CONFIGURATION[CONFIGURATION.index("location = /ws/detect") :].partition("}")[0]
    limits = {
        **dict(re.findall(r"((?:client_body|grpc_read|grpc_send)_timeout) (\d+)s;", grpc)),
        **dict(re.findall(r"(proxy_(?:read|send)_timeout) (\d+)s;", sockets)),
    }
    assert len(limits) == 5
    assert set(limits.values()) == {"3600"}, "one of them would end what the others leave to the service"
    assert min(map(int, limits.values())) >= 10 * Settings().live_idle_s


@pytest.mark.deploy
async def test_every_transport_through_nginx(
    proxy: Proxy, call_mp3: Path, face_jpg: Path, measured: Callable[[str, str], None]
) -> None:
    async with (
        AsyncBonafideClient(f"localhost:{proxy.port}", tls=Tls(ca=proxy.certificate)) as client,
        httpx.AsyncClient(base_url=proxy.url, verify=proxy.tls, timeout=60) as http,
        AudioDetectionClient(
            f"wss://localhost:{proxy.port}/ws/detect", tls=Tls(ca=proxy.certificate), reconnect_s=0
        ) as live,
    ):
        report = await client.analyze_file(call_mp3)
        assert await client.health() == "SERVING"
        events = [event async for event in client.iter_object("samples", "call.mp3")]
        assert len(events) == len(report.chunks) + 1
        answer = await http.post("/detect_audio", content=call_mp3.read_bytes())
        assert answer.json()["score"] == pytest.approx(report.score)
        photo = await http.post("/predict_liveness", content=face_jpg.read_bytes())
        assert photo.json()["predicted_class"] == (await client.predict_liveness(face_jpg)).label
        assert answer.headers["x-request-id"]
        assert await live.send_audio_file(call_mp3)
        assert (await live.end()).label == report.label
    measured("nginx", "gRPC with its streams, HTTP and WebSocket over one TLS port, the same verdicts")


@pytest.mark.deploy
async def test_a_long_recording_passes_and_touches_no_disk(proxy: Proxy) -> None:
    recording = encode(speech_like(1200), 16_000)
    assert len(recording) > 32 * MIB
    async with (
        AsyncBonafideClient(f"localhost:{proxy.port}", tls=Tls(ca=proxy.certificate)) as client,
        httpx.AsyncClient(base_url=proxy.url, verify=proxy.tls, timeout=300) as http,
    ):
        assert len((await client.analyze_file(recording, timeout_s=300)).chunks) == 300
        assert (await http.post("/detect_audio", content=recording)).status_code == 200
    assert not [path for path in (proxy.folder / "client_body").rglob("*") if path.is_file()]


@pytest.mark.deploy
async def test_what_is_too_large_ends_at_the_proxy(proxy: Proxy) -> None:
    async with httpx.AsyncClient(base_url=proxy.url, verify=proxy.tls, timeout=60) as http:
        assert (await http.post("/predict_liveness", content=b"x" * (17 * MIB))).status_code == 413
        assert (await http.post("/analyze_audio", content=b"x" * 100_000)).status_code == 413
        assert (await http.post("/jobs", content=b"x" * (18 * MIB))).status_code == 413
        assert (await http.post("/jobs", content=b"x" * (15 * MIB))).status_code != 413
