"""A service whose models an operator replaces: one start for the tests of several models."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from scripts.local_service import LocalService, free_ports, running

_TOKEN = "a-token-of-the-operator"


@dataclass(frozen=True)
class ReplaceableService:
    """The service, and the address of its private port."""

    service: LocalService
    private: str

    def replace(self, name: str, reference: Path) -> httpx.Response:
        """Asks for another model in the place of `voice`, `face` or a shadow."""
        headers = {"authorization": f"Bearer {_TOKEN}"}
        return httpx.post(
            f"{self.private}/models/{name}", json={"reference": str(reference)}, headers=headers, timeout=120
        )


@contextmanager
def replaceable_service(log: Path, settings: Mapping[str, str]) -> Iterator[ReplaceableService]:
    """A service that is ready, stopped at the end of the block; windows without speech are judged as well."""
    (port,) = free_ports(1)
    ours = {
        "BONAFIDE_MIN_SPEECH_RATIO": "0",
        "BONAFIDE_METRICS_PORT": str(port),
        "BONAFIDE_OPERATOR_TOKEN": _TOKEN,
    }
    with running(log, {**settings, **ours}) as service:
        yield ReplaceableService(service, f"http://127.0.0.1:{port}")
