"""The page at `/ui`: the files of `web/`, with headers that restrict it to load from and connect to this service."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).resolve().parents[2] / "web"

HEADERS = {
    "content-security-policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob:",
            "media-src blob:",
            "connect-src 'self'",  # WebSockets to this host too
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    ),
    "permissions-policy": "microphone=(self), camera=(self), geolocation=(), display-capture=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",  # requested again each time, and mostly answered 304
}


class _Page(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


async def _to_folder(_request: Request) -> Response:
    # Relative, so that it is valid behind a proxy that serves it under a path or over https.
    return RedirectResponse("ui/")


def web_routes() -> list[BaseRoute]:
    """`/ui` and everything below it."""
    return [Route("/ui", _to_folder, methods=["GET"]), Mount("/ui", _Page(directory=FOLDER, html=True))]
