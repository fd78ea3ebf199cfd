"""Corrects the start of a server whose spans cannot be exported: a sentence, not a traceback again and again.

BentoML imports the exporter that its configuration names when it makes a server, and none comes with it or with us.
"""

from collections.abc import Callable

from _bentoml_impl.server.app import ServiceAppFactory
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.exceptions import BentoMLException
from starlette.applications import Starlette

from bonafide.bento.startup import refusal_to_start

_make: Callable[[ServiceAppFactory], Starlette] = ServiceAppFactory.__call__


class ExporterMissing(Exception):
    """What exports spans is not installed, or its configuration is wrong."""


def refuse_missing_exporter() -> None:
    """Corrects every server that this process makes later."""
    ServiceAppFactory.__call__ = _call


def _call(self: ServiceAppFactory) -> Starlette:
    with refusal_to_start(ExporterMissing):
        try:
            BentoMLContainer.tracer_provider.get()  # made once, and used by all
        except (ImportError, BentoMLException) as error:
            raise ExporterMissing(
                "spans cannot be sent as `tracing` in BentoML's configuration says, whose exporter is a package of its "
                f"own: {error}"
            ) from error
    return _make(self)
