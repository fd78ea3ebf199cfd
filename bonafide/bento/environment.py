"""Process environment that BentoML reads while it starts. A value that is set already wins."""

import os

DEFAULTS = {
    # A unix socket is removed as soon as SIGTERM arrives, and calls in flight to a runner die with it.
    "BENTOML_NO_UDS": "1",
    # A service that judges biometric data reports to nobody.
    "BENTOML_DO_NOT_TRACK": "True",
}


def prepare_environment() -> None:
    """Sets `DEFAULTS` where nothing is set; when `service.py` is loaded, before BentoML's supervisor looks."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
