"""Three pods without Kubernetes: service and runners on hosts of their own, while load runs and links are cut."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from bonafide.runner.replicas import LOST_AFTER_S
from bonafide_client import AsyncBonafideClient, BonafideError, Unavailable
from tests.deploy.network import Network, network
from tests.integration.parts import part
from tests.integration.waiting import until
from tests.media import encode, encode_image, photo, speech_like

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1800)]

PORT = 3000
PATIENCE_S = 60.0


@dataclass
class Load:
    """Calls without pause, and their outcomes."""

    answered: int = 0
    failed: list[BonafideError] = field(default_factory=list)
    longest_s: float = 0.0

    def forget(self) -> None:
        self.answered, self.failed, self.longest_s = 0, [], 0.0


@dataclass
class Pods:
    """The running parts.

    Attributes:
        voice, face: the outcomes of the calls to each.
    """

    net: Network
    service: str
    addresses: dict[str, str]
    voice: Load = field(default_factory=Load)
    face: Load = field(default_factory=Load)

    def tell_voice(self, *hosts: str) -> None:
        """Sets the name service's response."""
        voices = [self.addresses[host] for host in hosts]
        self.net.name("service", {"voice": voices, "face": [self.addresses["face"]]})

    async def voice_replicas(self) -> int:
        """Replicas of the voice runner that the service reports."""
        text = await _metrics(self.service)
        found = re.search(r'^bonafide_runner_replicas\{runner="voice"\} (\S+)', text, re.MULTILINE)
        return int(float(found[1])) if found else 0

    async def windows_scored_on(self, host: str) -> float:
        """As the runner itself counts them."""
        text = await _metrics(self.addresses[host])
        found = re.findall(r"^bentoml_service_adaptive_batch_size_sum\{[^}]*\} (\S+)", text, re.MULTILINE)
        return sum(map(float, found))


async def _metrics(host: str) -> str:
    async with httpx.AsyncClient(timeout=20) as http:
        return (await http.get(f"http://{host}:{PORT}/metrics")).text


async def _ready(host: str) -> None:
    async def says_so() -> bool:
        try:
            async with httpx.AsyncClient(timeout=5) as http:
                return (await http.get(f"http://{host}:{PORT}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    await until(says_so, 400)


@asynccontextmanager
async def load(pods: Pods) -> AsyncIterator[None]:
    """Three callers with recordings and two with photos."""
    recording, face = encode(speech_like(12), 16_000), encode_image(photo())

    async def call(client: AsyncBonafideClient, into: Load, caller: int) -> None:
        turn = 0
        while True:
            turn += 1
            began = time.monotonic()
            try:
                if into is pods.voice:
                    await client.analyze_file(recording + bytes([caller, turn % 256, turn // 256]), timeout_s=120)
                else:
                    await client.predict_liveness(face, timeout_s=30)
                into.answered += 1
            except BonafideError as error:
                into.failed.append(error)
                await asyncio.sleep(0.1)
            into.longest_s = max(into.longest_s, time.monotonic() - began)

    async with AsyncBonafideClient(f"{pods.service}:50051") as client:
        callers = [asyncio.create_task(call(client, pods.voice, number)) for number in range(3)]
        callers += [asyncio.create_task(call(client, pods.face, number)) for number in range(2)]
        try:
            yield
        finally:
            for each in callers:
                each.cancel()
            await asyncio.gather(*callers, return_exceptions=True)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


async def test_runners_come_and_go(tmp_path: Path, stack: ExitStack, measured: Callable[[str, str], None]) -> None:
    net = stack.enter_context(network())
    addresses = {host: net.plug_in(host) for host in ("service", "voice", "face", "voice2")}
    pods = Pods(net, addresses["service"], addresses)
    pods.tell_voice("voice")

    def run(host: str, name: str, *arguments: str, **environment: str) -> ExitStack:
        own = stack.enter_context(ExitStack())
        own.enter_context(
            part(name, tmp_path / host, PORT, *arguments, host=addresses[host], before=net.on(host), **environment)
        )
        return own

    alone = {"BONAFIDE_DRAIN_S": "5", "BONAFIDE_ALLOW_PUBLIC": "1"}  # the network keeps others out
    first = run("voice", "WavLMRunner", **alone)
    run("face", "DINOv2Runner", **alone)
    run(
        "service",
        "Bonafide",
        f"--depends=WavLMRunner=http://voice:{PORT}",
        f"--depends=DINOv2Runner=http://face:{PORT}",
        BONAFIDE_GRPC_HOST=addresses["service"],
        BONAFIDE_GRPC_PORTS="50051",
        BONAFIDE_ALLOW_PUBLIC="1",
    )
    await _ready(addresses["service"])

    async with load(pods):
        await asyncio.sleep(8)
        assert not pods.voice.failed + pods.face.failed
        measured("three hosts", f"{pods.voice.answered} recordings and {pods.face.answered} photos in 8 s, none failed")

        await _cut_off(pods, measured)
        await _second_replica(pods, run, measured)
        await _first_leaves(pods, first, measured)


async def _cut_off(pods: Pods, measured: Callable[[str, str], None]) -> None:
    """The runner is unreachable for a while, without closing connections."""
    pods.voice.forget()
    pods.face.forget()
    pods.net.pull_cable("voice")
    began = time.monotonic()

    async def refused() -> bool:
        return bool(pods.voice.failed)

    await until(refused, PATIENCE_S)
    told_s = time.monotonic() - began
    await asyncio.sleep(max(0.0, LOST_AFTER_S + 8 - told_s))
    assert {type(error) for error in pods.voice.failed} == {Unavailable}
    assert pods.voice.longest_s < LOST_AFTER_S + 10, "a call hung"
    assert pods.face.answered > 0
    assert not pods.face.failed
    measured(
        "the voice runner is cut off",
        f"told as UNAVAILABLE after {told_s:.1f} s; the longest call took {pods.voice.longest_s:.1f} s; "
        f"{pods.face.answered} photos meanwhile, none failed",
    )
    pods.voice.forget()
    pods.net.put_cable_back("voice")
    began = time.monotonic()

    async def answered() -> bool:
        return pods.voice.answered > 0

    await until(answered, PATIENCE_S)
    measured("it comes back", f"first answer after {time.monotonic() - began:.1f} s")
    pods.voice.forget()
    await asyncio.sleep(5)
    assert not pods.voice.failed


async def _second_replica(pods: Pods, run: Callable[..., ExitStack], measured: Callable[[str, str], None]) -> None:
    """A new replica gets requests after a change of the name service only."""
    run("voice2", "WavLMRunner", BONAFIDE_DRAIN_S="5", BONAFIDE_ALLOW_PUBLIC="1")
    await _ready(pods.addresses["voice2"])
    pods.voice.forget()
    pods.tell_voice("voice", "voice2")
    began = time.monotonic()

    async def met() -> bool:
        return await pods.voice_replicas() == 2

    await until(met, PATIENCE_S)
    met_s = time.monotonic() - began
    before = {host: await pods.windows_scored_on(host) for host in ("voice", "voice2")}
    await asyncio.sleep(15)
    scored = {host: await pods.windows_scored_on(host) - before[host] for host in before}
    share = scored["voice2"] / sum(scored.values())
    assert 0.3 < share < 0.7, scored
    assert not pods.voice.failed
    measured("a second replica joins", f"met after {met_s:.1f} s, does {share:.0%} of the work, no call failed")


async def _first_leaves(pods: Pods, first: ExitStack, measured: Callable[[str, str], None]) -> None:
    """SIGTERM to a replica that the name service still lists."""
    pods.voice.forget()
    began = time.monotonic()
    await asyncio.to_thread(first.close)
    left_s = time.monotonic() - began
    await asyncio.sleep(3)
    assert pods.voice.answered > 0
    assert not pods.voice.failed, pods.voice.failed
    measured("the first replica gets SIGTERM", f"left after {left_s:.1f} s, no call failed")
