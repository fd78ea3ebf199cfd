"""Ray as a scan uses it: embedded on this machine and reachable from it alone, or a cluster that runs already."""

import contextlib
import logging
import os
from collections.abc import Iterator

# Before Ray is imported: it reports home otherwise, and its core writes warnings that are for its own developers.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

import ray
from ray._private import services
from ray.data import DataContext

_EMBEDDED = {
    # Reports and statistics for a dashboard, which there is none of.
    "RAY_enable_metrics_collection": "0",
    "RAY_event_stats": "0",
    "RAY_task_events_report_interval_ms": "0",
}
"""The environment of Ray's processes on this machine, where it does not say otherwise."""
_STORE_BYTES = 512 * 1024 * 1024
_BLOCK_BYTES = 16 * 1024 * 1024


@contextlib.contextmanager
def session(address: str | None, cpus: int) -> Iterator[None]:
    """Ray for the block.

    Args:
        address: of a cluster; None: this machine.
        cpus: of this machine.
    """
    if address is None:
        # Ray takes the machine's outer address in the place of loopback, and would listen on all interfaces.
        services.resolve_ip_for_localhost = lambda host: host
        for name, value in _EMBEDDED.items():
            os.environ.setdefault(name, value)
        # Twice the CPUs: decoding has its own share beside the engine, which uses them all.
        ray.init(
            address="local",
            num_cpus=2 * cpus,
            object_store_memory=_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address="127.0.0.1",
        )
        _end_spectators()
    else:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.target_max_block_size = _BLOCK_BYTES
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        yield
    finally:
        ray.shutdown()


def _end_spectators() -> None:
    """Ends the processes that print logs here, scale a cluster, and answer for a dashboard: together 1% of a core."""
    node = ray._private.worker._global_node
    if node is not None:
        node.kill_log_monitor(check_alive=False)
        node.kill_monitor(check_alive=False)
        node.kill_dashboard(check_alive=False)
