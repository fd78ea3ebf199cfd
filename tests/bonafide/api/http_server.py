"""The HTTP routes behind a real port of this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bonafide.api.http import HttpApi
from bonafide.app import App
from bonafide.bento.server import ServiceConfig, server_options
from tests.bonafide.api.socket_server import QuietServer
from tests.servers import free_port


@asynccontextmanager
async def http_server(app: App) -> AsyncIterator[str]:
    """Yields the URL of the routes."""
    api = HttpApi()
    api.app = app
    port = free_port()
    options = server_options(app.settings)
    config = ServiceConfig(api.routes(), host="127.0.0.1", port=port, log_config=None, lifespan="off", **options)
    server = QuietServer(config)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        while not server.started:
            await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = server.force_exit = True
        await serving
