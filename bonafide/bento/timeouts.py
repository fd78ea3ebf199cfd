"""Corrects BentoML's time limit of requests: its timer ends with the request.

BentoML starts a timer for each request and never cancels it, so a request that took a millisecond is kept in memory for
as long as the limit: minutes in a runner, more than an hour in the service.
"""

import asyncio
import logging

from bentoml._internal.server.http.traffic import TimeoutMiddleware
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from bonafide.settings import Settings

logger = logging.getLogger(__name__)

LOADING_PATH = "/prepare"
"""A runner's API that loads a model, as no call does: that may take minutes, however short the calls are."""

_LEAST_RUNNER_S = 600.0


def runner_limit_s(settings: Settings) -> float:
    """How long a runner may take for one request.

    More than calls may: a limit of theirs is told as their deadline, but one that ends here as a runner that cannot be
    reached. All runners have it, and a caller may give a recording more time than the settings do.
    """
    return max(_LEAST_RUNNER_S, settings.call_timeout_s, settings.face_timeout_s, settings.live_timeout_s)


def cancel_request_timers() -> None:
    """Makes every server of this process release a request when its response begins."""
    TimeoutMiddleware.__call__ = _call  # type: ignore[method-assign]


async def _call(self: TimeoutMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
    """504 if the response has not begun within the limit; sockets have limits of their own, and loading has none."""
    if scope["type"] != "http" or scope["path"] == LOADING_PATH:
        await self.app(scope, receive, send)
        return
    try:
        async with asyncio.timeout(self.timeout) as limit:

            async def begun(message: Message) -> None:
                if limit.expired():  # an application that answers its cancellation
                    raise TimeoutError("the response began after the time limit")
                limit.reschedule(None)
                await send(message)

            await self.app(scope, receive, begun)
    except Exception as error:
        if not limit.expired():
            raise
        if not isinstance(error, TimeoutError):
            logger.warning("a request failed after its time limit", exc_info=error)
    if limit.expired():
        response = JSONResponse({"error": f"not answered within {self.timeout:g} seconds"}, status_code=504)
        await response(scope, receive, send)
