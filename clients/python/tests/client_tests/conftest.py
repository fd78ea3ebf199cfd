"""A peer for each test, and both clients behind one face, so that every test runs against the twins."""

import asyncio
import inspect
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bonafide_client import AsyncBonafideClient, BonafideClient

from .peer import Peer, start


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BONAFIDE_ADDRESS", "BONAFIDE_LIVE_URL", "BONAFIDE_API_KEY", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture
def address(peer: Peer) -> Iterator[str]:
    server, address = start(peer)
    yield address
    server.stop(None).wait()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, and one that nobody trusts."""
    for name in ("own", "other"):
        subprocess.run(
            ["openssl",  # noqa: S607
             "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", "/CN=peer",
             "-addext", "subjectAltName=IP:127.0.0.1"],
            cwd=tmp_path, check=True, capture_output=True,
        )  # fmt: skip
    return tmp_path


class Twin:
    """One of the two clients, awaited: the blocking one runs in a thread."""

    def __init__(self, client: BonafideClient | AsyncBonafideClient) -> None:
        self.client = client
        self.events: list[Any] = []

    async def ask(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        """The answer of a verb; a list for `iter_object`, filled as far as it came in `self.events`."""
        events = self.events = []
        method: Callable[..., Any] = getattr(self.client, verb)
        if isinstance(self.client, BonafideClient):

            def run() -> Any:
                found = method(*args, **kwargs)
                if inspect.isgenerator(found):
                    for event in found:
                        events.append(event)
                    return events
                return found

            return await asyncio.to_thread(run)
        found = method(*args, **kwargs)
        if inspect.isasyncgen(found):
            async for event in found:
                events.append(event)
            return events
        return await found


@pytest.fixture(params=["blocking", "asyncio"])
async def twin(request: pytest.FixtureRequest, address: str) -> AsyncIterator[Twin]:
    if request.param == "blocking":
        with BonafideClient(address) as client:
            yield Twin(client)
    else:
        async with AsyncBonafideClient(address) as aclient:
            yield Twin(aclient)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("a.wav", "b.wav", "c.wav")]
    for path in paths:
        path.write_bytes(path.name.encode() * 1000)
    return paths
