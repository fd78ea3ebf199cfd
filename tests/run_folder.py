"""A folder of one run of the tests, for what all its workers share."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

_VARIABLE = "FOLDER_OF_THIS_RUN_OF_TESTS"


def pytest_configure(config: pytest.Config) -> None:
    """Makes it in the process that starts the workers, which inherit its name."""
    if _VARIABLE not in os.environ:
        folder = TemporaryDirectory(prefix="bonafide-tests-")
        os.environ[_VARIABLE] = folder.name
        config.add_cleanup(folder.cleanup)
        config.add_cleanup(lambda: os.environ.__delitem__(_VARIABLE))


def run_folder() -> Path:
    """It lasts until the run ends."""
    return Path(os.environ[_VARIABLE])
