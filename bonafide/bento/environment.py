"""Process environment that BentoML reads while it starts. A value that is set already wins."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from bentoml._internal.configuration.containers import BentoMLContainer

DEFAULTS = {
    # A unix socket is removed as soon as SIGTERM arrives, and calls in flight to a runner fail with it.
    "BENTOML_NO_UDS": "1",
    # No usage reports to the maker of BentoML from a service that processes biometric data.
    "BENTOML_DO_NOT_TRACK": "True",
}


def prepare_environment() -> None:
    """Sets what is not set. Must run when `service.py` is loaded, before BentoML's supervisor reads it."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        # BentoML would use one folder for all services of a user, and empty it whenever one of them starts.
        folder = tempfile.mkdtemp(prefix="bonafide-metrics-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        BentoMLContainer.prometheus_multiproc_dir.set(folder)


def note_of(name: str) -> Path | None:
    """A file for a process that follows this one when it dies; it is gone when the whole service starts anew.

    Args:
        name: of the process.

    Returns:
        None: this process was not started by BentoML.
    """
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")  # BentoML empties it at each start, and tells all its processes
    return Path(folder) / f"{name}.json" if folder else None
