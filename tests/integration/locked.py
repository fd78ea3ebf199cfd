"""A service that requires a key: for tests that run alone, beside `service`."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bonafide.security.keys import new_key
from scripts.local_service import ROOT, LocalService, running

REAL, SYNTHETIC = ROOT / "samples" / "call.mp3", ROOT / "samples" / "call_spoof.mp3"
CALLERS = ("bank", "mallory", "page")


@dataclass(frozen=True)
class LockedService:
    """The service, and the key of each of `CALLERS`."""

    service: LocalService
    keys: dict[str, str]


@pytest.fixture(scope="session")
def locked(service: LocalService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LockedService]:
    """Takes `REAL` for bona fide and `SYNTHETIC` for spoof, with bundled models."""
    folder = tmp_path_factory.mktemp("locked")
    keys, lines = {}, ""
    for caller in CALLERS:
        keys[caller], line = new_key(caller)
        lines += f"{line}\n"
    (folder / "keys").write_text(lines)
    environment = {"BONAFIDE_KEYS_FILE": str(folder / "keys"), "BONAFIDE_DRAIN_NOTICE_S": "0"}
    with running(folder / "log", environment) as started:
        yield LockedService(started, keys)
        # The session ends, and each takes seconds to drain: both at once.
        service.process.terminate()
