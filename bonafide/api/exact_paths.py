"""Starlette without its redirection of paths that end in a slash.

It names the scheme and the host that this process sees: behind a proxy that ends TLS, the caller would send recording
and key again, unencrypted.
"""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute


def application(routes: Sequence[BaseRoute] = ()) -> Starlette:
    """An application that serves these routes under their exact paths."""
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    return app
