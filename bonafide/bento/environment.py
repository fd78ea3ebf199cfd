"""Process environment that BentoML reads while it starts. A value that is set already wins."""

import os
import tempfile
from pathlib import Path

from bentoml._internal.configuration.containers import BentoMLContainer

from bonafide.bento.own_folder import own_folder

DEFAULTS = {
    # A unix socket is removed as soon as SIGTERM arrives, and calls in flight to a runner fail with it.
    "BENTOML_NO_UDS": "1",
    # No usage reports to the maker of BentoML from a service that processes biometric data.
    "BENTOML_DO_NOT_TRACK": "True",
}

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def prepare_environment() -> None:
    """Sets what is not set.

    Must run when `service.py` is loaded, before BentoML's supervisor reads it, and before anything imports
    `prometheus_client`, which counts for several processes only if it finds the folder then.

    Raises:
        SystemExit: there can be no folder for metrics.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        folder = _metrics_folder()
    except OSError as error:
        reason = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        raise SystemExit(f"Bonafide cannot start: no folder for metrics ({METRICS_FOLDER}): {reason}") from None
    BentoMLContainer.prometheus_multiproc_dir.set(str(folder))


def _metrics_folder() -> Path:
    """The configured folder, or a new one of this process.

    Raises:
        OSError: it cannot be made, or not be written to.
    """
    if not os.environ.get(METRICS_FOLDER):  # an empty name would be the working directory, which BentoML would empty
        # BentoML would use one folder for all services of a user, and empty it whenever one of them starts. To empty it
        # is to make it anew, so it lies in one that stays the same.
        os.environ[METRICS_FOLDER] = str(own_folder() / "metrics")
    folder = Path(os.environ[METRICS_FOLDER])
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()
    return folder


def note_of(name: str) -> Path | None:
    """A file for a process that follows this one when it dies; it is gone when the whole service starts anew.

    Args:
        name: of the process.

    Returns:
        None: this process was not started by BentoML.
    """
    folder = os.environ.get(METRICS_FOLDER)  # BentoML empties it at each start, and tells all its processes
    return Path(folder) / f"{name}.json" if folder else None
