"""Runs `models.first_load` for a process that serves; see there."""

import os
import subprocess
import sys
from pathlib import Path

from models.errors import UnsupportedModel
from models.info import Task

_LIMIT_S = 1800.0
_CODE = Path(__file__).resolve().parent.parent


def load_apart(task: Task, reference: str, spoof_label: str | None, limit_s: float = _LIMIT_S) -> None:
    """Loads a model in another process, with the settings of this one.

    Raises:
        UnsupportedModel: it cannot be loaded, its process was ended, or it took longer than `limit_s` seconds.
    """
    label = [f"--spoof-label={spoof_label}"] if spoof_label else []
    path = os.pathsep.join(filter(None, (str(_CODE), os.environ.get("PYTHONPATH"))))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "models.first_load", *label, "--", task, reference],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnsupportedModel(
            f"{reference!r} took longer than {limit_s:.0f} s to load: convert it beforehand"
        ) from error
    if done.returncode < 0:
        raise UnsupportedModel(
            f"the process that loaded {reference!r} was ended by signal {-done.returncode}: give it more memory, or "
            "convert the model beforehand (`python -m models.convert`)"
        )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise UnsupportedModel(lines[-1] if lines else f"{reference!r} cannot be loaded")
