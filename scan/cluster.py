"""Ray as a scan uses it: embedded on this machine and reachable from it alone, or a cluster that runs already."""

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any, cast

# Before Ray is imported: it reports home otherwise, and its core writes warnings that are for its own developers.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

import ray
from ray.data import DataContext

from scan import embedded
from scan.source import WrongUse

_BLOCK_BYTES = 16 * 1024 * 1024


@contextlib.contextmanager
def session(address: str | None, cpus: int, scorers: int = 1, gpus: float = 0.0) -> Iterator[None]:
    """Ray for the block.

    Args:
        address: of a cluster; None: this machine.
        cpus: of this machine, which each scorer uses all of.
        scorers: actors that hold a model.
        gpus: of each of them.

    Raises:
        WrongUse: there is no such cluster, or this machine has fewer GPUs.
    """
    if gpus > 1 and gpus % 1:
        raise WrongUse(f"a scorer cannot have {gpus:g} GPUs: a share of one, or whole ones")
    if address is None:
        # More than there are: decoding has its own share beside the engines, which use them all.
        embedded.start((scorers + 1) * cpus)
    else:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, SystemExit) as error:  # the last by Ray's core, after two minutes
            raise WrongUse(f"no Ray was reached at {address}: {error}") from error
    try:
        if address is None and gpus:
            _require_gpus(scorers, gpus)
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.target_max_block_size = _BLOCK_BYTES
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        yield
    finally:
        ray.shutdown()


def scorers_on(there: float, gpus: float) -> int:
    """How many scorers fit on some GPUs; one that has a share of a GPU has it of a single one.

    Args:
        there: GPUs.
        gpus: of each scorer, more than 0.
    """
    return int(there) * int(1 / gpus) if gpus <= 1 else int(there // gpus)


def _require_gpus(scorers: int, gpus: float) -> None:
    """Raises `WrongUse` where Ray would wait without end: this machine gets no more GPUs, as a cluster may."""
    there = cast(Any, ray).cluster_resources().get("GPU", 0.0)
    if scorers_on(there, gpus) < scorers:
        raise WrongUse(f"{scorers} scorers of {gpus:g} GPUs each need more than the {there:g} of this machine")
