"""Runs an image with podman as an operator would, calls it on every transport, and stops it under load.

Usage: python -m tests.deploy.container IMAGE [OPTIONS OF PODMAN RUN]   (deploy/test-image.sh calls it)
"""

import asyncio
import json
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bonafide_client import AsyncBonafideClient, AudioDetectionClient, BonafideError
from scripts.local_service import ROOT, free_ports
from tests.media import encode, encode_image, photo, speech_like

NAME = "bonafide-image-test"
DRAIN_S = 30


def podman(*arguments: str) -> str:
    """What a podman command that must succeed prints."""
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"podman {arguments[0]}: {done.stderr[-2000:]}")
    return done.stdout.strip()


@dataclass
class Container:
    """The running image: unprivileged, nothing of its root writable, no capabilities."""

    image: str
    options: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=lambda: free_ports(4))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def live_url(self) -> str:
        return f"ws://127.0.0.1:{self.ports[0]}/ws/detect"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.ports[2]}"

    def start(self) -> None:
        http, metrics, *grpc = self.ports
        environment = {
            "BENTOML_HOST": "127.0.0.1",
            "BENTOML_PORT": str(http),
            "BONAFIDE_GRPC_HOST": "127.0.0.1",
            "BONAFIDE_GRPC_PORTS": ",".join(map(str, grpc)),
            "BONAFIDE_DRAIN_S": str(DRAIN_S),
            "BONAFIDE_METRICS_PORT": str(metrics),
            "HOME": "/tmp",
        }
        options = [f"--env={name}={value}" for name, value in environment.items()]
        podman("run", "--detach", f"--name={NAME}", "--network=host", "--read-only", "--read-only-tmpfs=false",
               "--tmpfs=/tmp", f"--volume={NAME}:/var/lib/bonafide:U", "--cap-drop=ALL",
               "--security-opt=no-new-privileges", *options, *self.options, self.image)  # fmt: skip

    def runs(self) -> bool:
        return podman("inspect", "--format={{.State.Running}}", NAME) == "true"

    async def wait_ready(self) -> float:
        """The seconds until `/readyz` was ready."""
        began = time.monotonic()
        async with httpx.AsyncClient() as http:
            while time.monotonic() - began < 600 and self.runs():
                try:
                    if (await http.get(f"{self.url}/readyz")).status_code == 200:
                        return time.monotonic() - began
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.5)
        raise RuntimeError("not ready:\n" + podman("logs", "--tail=40", NAME))


async def call_everything(container: Container) -> None:
    """One call on each transport, from outside."""
    async with AsyncBonafideClient(container.address) as client, httpx.AsyncClient(timeout=120) as http:
        report = await client.analyze_file(ROOT / "samples" / "call.mp3")
        verdict = await client.predict_liveness(ROOT / "samples" / "face.jpg")
        say("gRPC", f"{len(report.chunks)} chunks, {report.label}; a photo, {verdict.label}")
        answer = await http.post(f"{container.url}/detect_audio", content=(ROOT / "samples" / "call.mp3").read_bytes())
        assert abs(answer.json()["score"] - report.score) < 1e-6, answer.text
        say("HTTP", f"the same score, {report.score:.4f}")
    async with AudioDetectionClient(container.live_url) as live:
        windows = await live.send_audio_file(ROOT / "samples" / "call.mp3")
        say("WebSocket", f"{len(windows)} windows while it is sent, then {(await live.end()).label}")


async def stop_under_load(container: Container) -> None:
    """SIGTERM while calls are in flight on gRPC, HTTP and WebSocket; every accepted call must get a response."""
    recording, face = encode(speech_like(60), 16_000), encode_image(photo())
    answered = refused = 0
    lost: list[str] = []
    stopping = asyncio.Event()

    async def over_grpc(number: int) -> None:
        nonlocal answered, refused
        turn = 0
        async with AsyncBonafideClient(container.address) as client:
            while not stopping.is_set():
                turn += 1
                try:
                    if number % 2:
                        await client.analyze_file(recording + bytes([number, turn % 256, turn // 256]), timeout_s=120)
                    else:
                        await client.predict_liveness(face, timeout_s=60)
                    answered += 1
                except BonafideError as error:
                    if not stopping.is_set():
                        lost.append(f"gRPC {error.code}: {error}")
                    refused += 1
                    return

    async def over_http(number: int) -> None:
        nonlocal answered, refused
        turn = 0
        async with httpx.AsyncClient(timeout=120) as http:
            while not stopping.is_set():
                turn += 1
                body = recording + bytes([100 + number, turn % 256, turn // 256])
                try:
                    answer = await http.post(f"{container.url}/detect_audio", content=body)
                except (httpx.ConnectError, httpx.RemoteProtocolError) as error:
                    if not stopping.is_set() or isinstance(error, httpx.RemoteProtocolError):
                        lost.append(f"HTTP {error!r}")
                    return
                answered += answer.status_code == 200
                refused += answer.status_code == 503
                if answer.status_code not in (200, 503):
                    lost.append(f"HTTP {answer.status_code}: {answer.text}")

    async def speak() -> tuple[str, int | None]:
        """Sends audio until it is closed; the last message, and the code of the close."""
        async with connect(container.live_url, compression=None) as connection:
            await connection.send(json.dumps({"type": "config", "encoding": "float32", "results": "push"}))
            second = speech_like(1)[0].astype("<f4").tobytes()
            last = ""
            with suppress(ConnectionClosed):
                while True:
                    await connection.send(second)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.5):
                            async for message in connection:
                                last = json.loads(message)["type"]
            return last, connection.close_code

    callers = [asyncio.create_task(each) for each in (*map(over_grpc, range(4)), *map(over_http, range(2)))]
    speaking = asyncio.create_task(speak())
    await asyncio.sleep(5)
    before = answered
    began = time.monotonic()
    podman("kill", "--signal=TERM", NAME)
    stopping.set()
    await asyncio.gather(*callers)
    code = await asyncio.to_thread(podman, "wait", NAME)
    seconds = time.monotonic() - began
    assert not lost, lost
    assert await speaking == ("summary", 1001)
    assert code == "0", f"exit code {code}\n" + podman("logs", "--tail=40", NAME)
    say(
        "SIGTERM under load",
        f"{before} calls before, {answered - before} in flight answered, {refused} refused, none lost",
    )
    say("exit", f"code {code} after {seconds:.1f} s")


def say(what: str, found: str) -> None:
    sys.stdout.write(f"| {what} | {found} |\n")
    sys.stdout.flush()


async def calls(container: Container) -> None:
    """All checks of a running container."""
    say("ready after", f"{await container.wait_ready():.0f} s, with a read-only root, without capabilities")
    await call_everything(container)
    say("health check", await asyncio.to_thread(podman, "healthcheck", "run", NAME) or "healthy")
    say("memory", json.loads(podman("stats", "--no-stream", "--format=json", NAME))[0]["mem_usage"])
    await stop_under_load(container)


def clean() -> None:
    """Removes the container and its volume, if they are there."""
    for command in (["rm", "--force", "--time=0", NAME], ["volume", "rm", NAME]):
        subprocess.run(["podman", *command], capture_output=True, check=False)


def main(image: str, *options: str) -> None:
    container = Container(image, list(options))
    clean()
    container.start()
    try:
        asyncio.run(calls(container))
    finally:
        clean()


if __name__ == "__main__":
    main(*sys.argv[1:])
