"""The servers that `benchmarks.peers` compares: how each is started, called, measured and ended."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

from benchmarks.http_load import Refused, Route, client, score_of
from benchmarks.memory import CpuMeter, pss_bytes, tree
from benchmarks.peer_servers import DESCRIPTION
from models.info import Task
from scripts.local_service import ROOT, free_ports

OURS = "Bonafide"
WITHOUT = "Bonafide, extras off"
PEERS = ("LitServe", "mosec", "BentoML")
EXTRAS_OFF = {
    "BONAFIDE_MIN_SPEECH_RATIO": "0",
    "BONAFIDE_FACE_MIN_PIXELS": "0",
    "BONAFIDE_FACE_MIN_BRIGHTNESS": "0",
    "BONAFIDE_FACE_MIN_SHARPNESS": "0",
    "BONAFIDE_CACHE_MAX_BYTES": "0",
    "BONAFIDE_CACHE_WINDOWS": "false",
    "BONAFIDE_HTTP_MAX_CONNECTIONS": "0",
    "BONAFIDE_HTTP_MAX_CONNECTIONS_PER_ADDRESS": "0",
    "BONAFIDE_HTTP_MIN_BODY_RATE": "0",
    "BONAFIDE_LOG_LEVEL": "WARNING",
}
"""What settings can switch off. Speech and faces are still looked for: these leave only what comes of it."""

_OUR_ROUTES: dict[Task, Route] = {
    "voice": Route("/detect_audio", lambda answer: answer["score"]),
    "face": Route("/predict_liveness", lambda answer: answer["probabilities"]["fake"]),
}
_PEER_ROUTES: dict[Task, Route] = {"voice": Route("/voice", float), "face": Route("/face", float)}
_MOSEC = ("--timeout", "600000")  # milliseconds for a request; it gives one up after 3 s otherwise
_START_TIMEOUT_S = 300.0
_STOP_TIMEOUT_S = 30.0
_POLL_S = 0.05


@dataclass(frozen=True)
class Contender:
    """A kind of server.

    Attributes:
        name: in tables.
        command: with `{port}` where its port is to be.
        environment: added to this process's; likewise, and with `{other}` where another free port is to be.
        routes: where it takes files.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    routes: Mapping[Task, Route]


@dataclass(frozen=True)
class Running:
    """A server that has answered.

    Attributes:
        ready_s: from its command to the first score of each kind.
    """

    contender: Contender
    process: "subprocess.Popen[bytes]"
    url: str
    ready_s: float

    @property
    def name(self) -> str:
        """In tables."""
        return self.contender.name

    @property
    def is_peer(self) -> bool:
        """Whether it is not ours."""
        return self.name in PEERS

    def pause(self) -> None:
        """Stops a peer until `resume`: LitServe takes a quarter of a processor even while nobody calls it."""
        if self.is_peer:
            for process in tree(self.process.pid):
                process.suspend()

    def resume(self) -> None:
        """Lets a peer go on."""
        if self.is_peer:
            for process in tree(self.process.pid):
                process.resume()

    def pss_mib(self) -> float:
        """Of all its processes."""
        return pss_bytes(tree(self.process.pid)) / 2**20

    def cpu_meter(self) -> CpuMeter:
        """Of all its processes."""
        return CpuMeter(self.process.pid)


def contenders(models_dir: Path, description: Path, binaries: Path, peers: tuple[str, ...]) -> list[Contender]:
    """Ours with everything and with less, and the peers that were asked for.

    Args:
        models_dir: where the service keeps its converted models.
        description: of these models, for the peers.
        binaries: of the peers' environment.
        peers: of `PEERS`.
    """
    ours = {"BONAFIDE_MODELS_DIR": str(models_dir), "BONAFIDE_OFFLINE": "true", "BENTOML_PORT": "{port}"}
    ours |= {"BONAFIDE_GRPC_PORTS": "{other}", "BONAFIDE_LOG_FORMAT": "json"}
    serve = (str(Path(sys.executable).parent / "bentoml"), "serve", "service:Bonafide")
    theirs = {DESCRIPTION: str(description)}
    python, module = str(binaries / "python"), "benchmarks.peer_servers"
    commands = {
        "LitServe": (python, "-m", f"{module}.litserve_server", "{port}"),
        "mosec": (python, "-m", f"{module}.mosec_server", "--address", "127.0.0.1", "--port", "{port}", *_MOSEC),
        "BentoML": (python, "-m", "bentoml", "serve", f"{module}.bento_server:Plain", "--port", "{port}"),
    }
    return [
        Contender(OURS, serve, ours, _OUR_ROUTES),
        Contender(WITHOUT, serve, {**ours, **EXTRAS_OFF}, _OUR_ROUTES),
        *(Contender(name, commands[name], theirs, _PEER_ROUTES) for name in PEERS if name in peers),
    ]


@contextmanager
def running(contender: Contender, folder: Path) -> Iterator[Running]:
    """Starts it, waits for a score of each kind, and ends it and all its processes after the block.

    Args:
        contender: which.
        folder: for its log.

    Raises:
        RuntimeError: it does not answer; contains the end of its log.
    """
    port, other = map(str, free_ports(2))
    log = folder / f"{contender.name}.log"
    filled = {
        name: value.replace("{port}", port).replace("{other}", other) for name, value in contender.environment.items()
    }
    began = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [part.replace("{port}", port) for part in contender.command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, **filled},
        )
    try:
        url = f"http://127.0.0.1:{port}"
        if failure := asyncio.run(_wait(contender, process, url)):
            raise RuntimeError(f"{contender.name} does not answer ({failure}):\n{log.read_text()[-4000:]}")
        yield Running(contender, process, url, time.monotonic() - began)
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM, and SIGKILL for what is left of its processes when it has ended or a while has passed."""
    started = tree(process.pid)
    for each in started:
        with suppress(psutil.NoSuchProcess):
            each.resume()
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_TIMEOUT_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # those that lost their parent are in its group
    for each in started:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()


async def _wait(contender: Contender, process: "subprocess.Popen[bytes]", url: str) -> Exception | None:
    """Returns after a score of each kind, or with the last failure when there will be none."""
    limit = time.monotonic() + _START_TIMEOUT_S
    failure: Exception = RuntimeError("it has ended")
    async with client() as session:
        waiting = list(contender.routes.items())
        while waiting and process.poll() is None and time.monotonic() < limit:
            task, route = waiting[0]
            try:
                await score_of(session, url, route, task, 0)
                waiting.pop(0)
            except (aiohttp.ClientError, Refused) as error:  # not there yet
                failure = error
                await asyncio.sleep(_POLL_S)
    return failure if waiting else None
