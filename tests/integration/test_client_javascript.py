"""The JavaScript client against the running service, in Node. The page's tests run it in Chromium."""

import os
import subprocess

import pytest

from scripts.local_service import LocalService
from tests.node import FOLDER, node, tsc

pytestmark = pytest.mark.beside


@pytest.mark.slow
def test_its_own_tests_against_the_service(service: LocalService) -> None:
    done = tsc("-p", ".")
    assert done.returncode == 0, done.stdout
    done = subprocess.run(
        [*node(), "--test", "test/service.test.js"],
        cwd=FOLDER, capture_output=True, text=True, env={**os.environ, "BONAFIDE_LIVE_URL": service.live_url},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "# skipped 0" in done.stdout
