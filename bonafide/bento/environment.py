"""Process environment that BentoML reads while it starts. A value that is set already wins."""

import atexit
import os
import shutil
import tempfile

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
