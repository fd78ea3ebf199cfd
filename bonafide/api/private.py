"""A separate port for operators: metrics and probes, without keys and TLS, whatever the public ports require.

What changes the service asks for a token, see `operator`.
"""

import asyncio
import logging
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from bonafide.addresses import join_address
from bonafide.api.operator import MAX_BODY_BYTES, OperatorApi
from bonafide.errors import Forbidden
from bonafide.security.hosts import AllowedHosts

logger = logging.getLogger(__name__)


class PrivateServer:
    """Serves `/metrics`, `/livez` and `/readyz` on the running event loop, and what the operator may change.

    Args:
        metrics: the metrics and their content type; called in a thread.
        ready: whether calls are accepted now.
        operator: what may be changed; None: nothing.
    """

    def __init__(
        self,
        metrics: Callable[[], tuple[bytes, str]],
        ready: Callable[[], bool],
        operator: OperatorApi | None = None,
    ) -> None:
        self._metrics = metrics
        self._ready = ready
        self._hosts = AllowedHosts(())

        @web.middleware
        async def require_host(request: web.Request, handler: Handler) -> web.StreamResponse:
            """Refuses web pages whose host name has been rebound to loopback."""
            try:
                self._hosts.require(request.headers.getall("host", []), own=None)
            except Forbidden:
                return web.Response(text="this port is called by loopback's names alone\n", status=403)
            return await handler(request)

        routes = web.Application(middlewares=[require_host], client_max_size=MAX_BODY_BYTES)
        routes.add_routes(
            [
                web.get("/metrics", self._answer_metrics),
                web.get("/livez", self._answer_livez),
                web.get("/readyz", self._answer_readyz),
                *(operator.routes() if operator else ()),
            ]
        )
        self._runner = web.AppRunner(routes, access_log=None)

    async def start(self, host: str, port: int, *, shared: bool = False) -> int:
        """Listens; returns the port.

        Args:
            host: address.
            port: port; 0: any.
            shared: other processes listen on it too.

        Raises:
            OSError: the port is in use; the message names the settings.
        """
        self._hosts = AllowedHosts.of_listener(host)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, reuse_port=shared or None).start()
        except OSError as error:
            settings = "BONAFIDE_METRICS_HOST, BONAFIDE_METRICS_PORT"
            where = f"{join_address(host, port)} ({settings})"
            raise OSError(f"metrics and probes cannot listen on {where}: it is taken, or not ours") from error
        bound = int(self._runner.addresses[0][1])
        logger.info("metrics and probes listen", extra={"host": host, "port": bound})
        return bound

    async def stop(self) -> None:
        """Closes the port and its connections."""
        await self._runner.cleanup()

    async def _answer_metrics(self, _request: web.Request) -> web.Response:
        body, content_type = await asyncio.to_thread(self._metrics)
        return web.Response(body=body, headers={"content-type": content_type})

    async def _answer_livez(self, _request: web.Request) -> web.Response:
        return web.Response(text="\n")

    async def _answer_readyz(self, _request: web.Request) -> web.Response:
        return web.Response(text="\n", status=200 if self._ready() else 503)
