"""The service that a scan is compared with."""

from collections.abc import Iterator

import pytest

from scripts.local_service import LocalService, running


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """What `make serve` starts."""
    with running(tmp_path_factory.mktemp("service") / "log", {}) as service:
        yield service
