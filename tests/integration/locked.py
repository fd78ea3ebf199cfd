"""A service that requires a key, beside `service`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bonafide.security.keys import new_key
from scripts.local_service import ROOT, LocalService, free_ports, running

REAL, SYNTHETIC = ROOT / "samples" / "call.mp3", ROOT / "samples" / "call_spoof.mp3"
CALLERS = ("bank", "mallory", "page")
ORIGIN = "capacitor://localhost"


@dataclass(frozen=True)
class LockedService:
    """The service; pages of `ORIGIN` may call it.

    Attributes:
        keys: of each of `CALLERS`.
        keys_file: of their lines.
        private: address of its port for metrics.
    """

    service: LocalService
    keys: dict[str, str]
    keys_file: Path
    private: str


@pytest.fixture(scope="session")
def locked(service: LocalService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LockedService]:
    """Takes `REAL` for bona fide and `SYNTHETIC` for spoof, with bundled models."""
    folder = tmp_path_factory.mktemp("locked")
    keys, lines = {}, ""
    for caller in CALLERS:
        keys[caller], line = new_key(caller)
        lines += f"{line}\n"
    keys_file = folder / "keys"
    keys_file.write_text(lines)
    (metrics_port,) = free_ports(1)
    environment = {
        "BONAFIDE_KEYS_FILE": str(keys_file),
        "BONAFIDE_METRICS_PORT": str(metrics_port),
        "BONAFIDE_ALLOWED_ORIGINS": ORIGIN,
        "BONAFIDE_DRAIN_NOTICE_S": "0",
    }
    with running(folder / "log", environment) as started:
        yield LockedService(started, keys, keys_file, f"http://127.0.0.1:{metrics_port}")
        # The session ends, and each takes seconds to drain: both at once.
        service.process.terminate()
