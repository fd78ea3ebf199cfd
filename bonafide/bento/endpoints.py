"""Requests have the names of their routes in BentoML's metrics, not those of their paths.

BentoML keeps some series for each path that anybody asks for, with and without a key: a path of 20 KB costs half a
megabyte of memory and more on the disk, for ever, and ids of calls and jobs are among the labels.
"""

from collections.abc import Sequence
from typing import Any

from bentoml._internal.server.http import instruments
from starlette.routing import BaseRoute, Match, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

OTHER = "other"
"""Label of what no route is for."""
_AS_RECEIVED = "bonafide.as_received"


class RouteMetrics(instruments.RunnerTrafficMetricsMiddleware):
    """BentoML's metrics of requests, which knows them by the path in their scope.

    Args:
        app: the application behind it; it gets the scope as it was received.
        options: see BentoML.
    """

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        async def as_received(scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope.get(_AS_RECEIVED, scope), receive, send)

        super().__init__(as_received, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] in ("http", "websocket"):
            scope = {**scope, "path": route_of(scope["app"].routes, scope), _AS_RECEIVED: scope}
        await super().__call__(scope, receive, send)


def name_endpoints_by_route() -> None:
    """Makes every server of this process count requests by their routes."""
    instruments.RunnerTrafficMetricsMiddleware = RouteMetrics  # type: ignore[misc, assignment]


def route_of(routes: Sequence[BaseRoute], scope: Scope) -> str:
    """The path of the route that a request is for, with the names of its parts, or `OTHER`."""
    for route in routes:
        match, inner = route.matches(scope)
        if match is Match.NONE:
            continue
        if isinstance(route, Mount):
            if not route.routes:  # a folder of files
                return route.path
            found = route_of(route.routes, {**scope, **inner})
            return found if found == OTHER else route.path + found
        if isinstance(route, Route | WebSocketRoute):
            return route.path
    return OTHER
