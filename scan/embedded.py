"""Ray on this machine alone, without the processes that only a cluster or a dashboard has a use for.

Each that is started imports Ray, which takes one to three seconds of a core before a scan begins.
"""

import logging
import os
import sys
import uuid
from collections.abc import Iterator
from typing import Any, cast

import ray
from ray._private import ray_constants, services
from ray._private import utils as ray_utils
from ray._private.node import Node
from ray.data import ExecutionResources
from ray.data._internal.execution import streaming_executor
from ray.data._internal.execution.operators import actor_pool_map_operator
from ray.data._internal.stats import _StatsManager

from scan import silent_agent

_ENVIRONMENT = {
    # Reports and statistics for a dashboard, which there is none of.
    "RAY_enable_metrics_collection": "0",
    "RAY_event_stats": "0",
    "RAY_task_events_report_interval_ms": "0",
    # Not a worker for each CPU before there is a task for it.
    "RAY_prestart_worker_first_driver": "0",
}
"""The environment of Ray's processes, where it does not say otherwise."""
_STORE_BYTES = 512 * 1024 * 1024
_python = services._build_python_executable_command_memory_profileable


class _OneMachine:
    """What Ray Data takes for the cluster's autoscaler; the real one is an actor."""

    def __init__(self) -> None:
        there: dict[str, float] = cast(Any, ray).cluster_resources()
        self._there = ExecutionResources.from_resource_dict(there)

    def try_trigger_scaling(self) -> None:
        """There is nothing to scale."""

    def on_executor_shutdown(self) -> None:
        """Nothing was asked for."""

    def get_total_resources(self) -> Any:
        """Those of this machine, of which a scan has all."""
        return self._there


class _OnePlace:
    """What actors tell where they are; the real one is an actor, for clusters whose nodes are drained."""

    class update_actor_location:
        """Called as methods of actors are."""

        @staticmethod
        def remote(*_: object) -> None:
            """It is here."""


def start(cpus: int) -> None:
    """Starts Ray and connects to it; what it replaces in Ray stays replaced in this process.

    Args:
        cpus: that its tasks and actors share.
    """
    for owner, name, instead in _replaced():
        getattr(owner, name)  # raises where another Ray has no such thing
        setattr(owner, name, instead)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    ray.init(
        address="local",
        num_cpus=cpus,
        object_store_memory=_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _node_ip_address="127.0.0.1",
    )


def _replaced() -> Iterator[tuple[object, str, object]]:
    """What of Ray something else stands in for: its owner, its name, and that."""
    # Ray takes the machine's outer address in the place of loopback, and would listen on all interfaces.
    yield services, "resolve_ip_for_localhost", lambda host: host
    # What scales a cluster, prints logs here, and answers for a dashboard.
    yield Node, "start_monitor", _nothing
    yield Node, "start_log_monitor", _nothing
    yield Node, "start_api_server", _nothing
    yield ray_utils, "get_dashboard_dependency_error", lambda: ImportError("not looked for, which takes half a second")
    yield services, "_build_python_executable_command_memory_profileable", _program
    # Statistics, and a name from their actor.
    yield _StatsManager, "register_dataset_to_stats_actor", staticmethod(_nothing)
    yield _StatsManager, "update_execution_metrics", staticmethod(_nothing)
    yield _StatsManager, "update_iteration_metrics", staticmethod(_nothing)
    yield _StatsManager, "gen_dataset_id_from_stats_actor", staticmethod(lambda: uuid.uuid4().hex)
    yield streaming_executor, "create_cluster_autoscaler", lambda *_, **__: _OneMachine()
    # Where the scorers are.
    yield actor_pool_map_operator, "get_or_create_actor_location_tracker", _OnePlace
    yield actor_pool_map_operator, "get_actor_locations", lambda _: {}


def _program(component: str, *arguments: Any, **options: Any) -> list[str]:
    """How Ray's processes begin: the agent for dashboards is another program, without packages."""
    if component == ray_constants.PROCESS_TYPE_DASHBOARD_AGENT:
        return [sys.executable, "-I", "-S", silent_agent.__file__]
    usual: list[str] = _python(component, *arguments, **options)
    return usual


def _nothing(*_: object, **__: object) -> None:
    """Starts nothing, tells nobody."""
