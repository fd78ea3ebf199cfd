"""The content of BentoML's `/metrics`, for a separate port; and what processes that have ended leave in it."""

from collections.abc import Container
from pathlib import Path
from typing import Any

from bentoml._internal.configuration.containers import BentoMLContainer


def metrics() -> tuple[bytes, str]:
    """All metrics of this process, BentoML's and ours, and their content type."""
    client: Any = BentoMLContainer.metrics_client.get()
    return client.generate_latest(), client.CONTENT_TYPE_LATEST


def forget_ended(folder: Path, running: Container[int]) -> None:
    """Removes the gauges of processes that are not running: what is open in a process ends with it.

    Counters and histograms stay, as they must.

    Args:
        folder: where `prometheus_client` keeps the values of each process, in files that its process id ends.
        running: their process ids.
    """
    for each in folder.glob("gauge_live*_*.db"):
        pid = each.stem.rpartition("_")[2]
        if pid.isdecimal() and int(pid) not in running:
            each.unlink(missing_ok=True)
