"""gRPC: `grpc.health.v1`, a servicer whose watchers never hold up a change of health.

The one that comes with gRPC writes under the lock that a change needs: one watcher who reads nothing stops all changes.
"""

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bonafide.api.grpc_calls import Context

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Health(health_pb2_grpc.HealthServicer):
    """The health of each service, by name."""

    def __init__(self) -> None:
        self._serving: dict[str, bool] = {}
        self._changed = asyncio.Event()
        self._leaving = False

    def set(self, service: str, serving: bool) -> None:
        """Sets the health of a service; ignored after `leave`."""
        if not self._leaving and self._serving.get(service) != serving:
            self._serving[service] = serving
            self._wake()

    def leave(self) -> None:
        """From now on no service is serving."""
        self._leaving = True
        self._serving = dict.fromkeys(self._serving, False)
        self._wake()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:
        """The health of a service now."""
        if request.service not in self._serving:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return health_pb2.HealthCheckResponse(status=self._status(request.service))

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:
        """The health of a service, now and whenever it changes."""
        sent = None
        while True:
            changed = self._changed
            if (status := self._status(request.service)) != sent:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                sent = status
            else:
                await changed.wait()

    async def List(self, request: object, context: Context) -> Any:  # stubs lack its messages
        """The health of all services now."""
        statuses = {name: health_pb2.HealthCheckResponse(status=self._status(name)) for name in self._serving}
        return health_pb2.HealthListResponse(statuses=statuses)  # type: ignore[attr-defined]

    def _status(self, service: str) -> int:
        serving = self._serving.get(service)
        return _UNKNOWN if serving is None else SERVING if serving else NOT_SERVING

    def _wake(self) -> None:
        """Wakes all that wait now; who comes later waits for the next change."""
        self._changed.set()
        self._changed = asyncio.Event()
