"""A service that requires a key, and judges the samples as people would: for tests that run alone, beside `service`.

The demonstration model takes the sample of a real voice for a synthetic one, though for a less clear one. So its
threshold lies between the two.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bonafide.security.keys import new_key
from bonafide_client import AudioDetectionClient, file_blocks
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
    highest, lowest = max(_running_scores(service, REAL)), min(_running_scores(service, SYNTHETIC))
    assert highest < lowest
    folder = tmp_path_factory.mktemp("locked")
    keys, lines = {}, ""
    for caller in CALLERS:
        keys[caller], line = new_key(caller)
        lines += f"{line}\n"
    (folder / "keys").write_text(lines)
    environment = {
        "BONAFIDE_VOICE_THRESHOLD": str(highest + (lowest - highest) / 4),
        "BONAFIDE_KEYS_FILE": str(folder / "keys"),
        "BONAFIDE_DRAIN_NOTICE_S": "0",
    }
    with running(folder / "log", environment) as started:
        yield LockedService(started, keys)


def _running_scores(service: LocalService, recording: Path) -> list[float]:
    """The running score after each window of two seconds, as the page requests them."""

    async def heard() -> list[float]:
        async with AudioDetectionClient(service.live_url, chunk_duration=2.0) as client:
            windows = [window async for window in client.stream(file_blocks(recording))]
        return [window.running_score for window in windows if window.running_score is not None]

    return asyncio.run(heard())
