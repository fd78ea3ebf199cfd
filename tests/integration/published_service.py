"""One service for the tests of published detectors, which put theirs in the place of its models."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.slot import KEEP_UNUSED_S
from scripts.local_service import LocalService
from tests.integration.replaceable import ReplaceableService, replaceable_service
from tests.integration.test_same_samples import RATE, samples
from tests.media import wav

PUBLISHED = "published"
"""The group of these tests, for `tests/scheduling.py`: one worker starts the service."""


@pytest.fixture(scope="package")  # idle it would take a thirtieth of a core until the session ends
def published_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplaceableService]:
    """Its objects are `calls/a.wav`; windows without speech are judged as well: the reference inputs are noise."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "objects" / "calls").mkdir(parents=True)
    (folder / "objects" / "calls" / "a.wav").write_bytes(wav(samples(9.3), RATE))
    with replaceable_service(folder / "log", {"BONAFIDE_OBJECTS_DIR": str(folder / "objects")}) as started:
        yield started


def with_models(published: ReplaceableService, voice: Path, face: Path) -> LocalService:
    """The service, with these models; it may have to let go first of those that its present ones replaced."""
    end = time.monotonic() + 2 * KEEP_UNUSED_S
    for name, reference in (("voice", voice), ("face", face)):
        while (answer := published.replace(name, reference)).status_code == 409 and time.monotonic() < end:
            time.sleep(1.0)
        assert answer.status_code == 200, answer.text
    return published.service
