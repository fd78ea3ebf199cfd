"""A folder of one run of the tests: what is costly to make is made by the first worker that needs it, for all."""

import fcntl
import os
from collections.abc import Callable
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


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """What has this name there, made if it is not there yet; other workers wait for it.

    Args:
        name: of a file or a folder.
        make: is given the path to write to.
    """
    path, unfinished = run_folder() / name, run_folder() / f"unfinished-{name}"
    with (run_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            make(unfinished)
            unfinished.rename(path)
    return path
