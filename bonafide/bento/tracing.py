"""Corrects tracing: what callers send of it is read in little time, and a missing exporter of spans is a sentence.

BentoML imports the exporter that its configuration names when it makes a server, and none comes with it or with us.
It reads the headers of a trace before any code of ours, so also of callers without a key.
"""

from collections.abc import Callable

from _bentoml_impl.server.app import ServiceAppFactory
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.exceptions import BentoMLException
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, get_current
from opentelemetry.propagators.textmap import CarrierT, Getter, default_getter
from starlette.applications import Starlette

from bonafide.bento.startup import refusal_to_start

_make: Callable[[ServiceAppFactory], Starlette] = ServiceAppFactory.__call__


class ExporterMissing(Exception):
    """What exports spans is not installed, or its configuration is wrong."""


def ignore_baggage() -> None:
    """Leaves the header `baggage` unread, which nothing here has a use for: 8 KB of blanks in it take 0.2 s.

    Corrects every propagator that this process has or makes, of HTTP, gRPC and the runners.
    """
    W3CBaggagePropagator.extract = _none_extracted  # type: ignore[assignment, method-assign]


def refuse_missing_exporter() -> None:
    """Corrects every server that this process makes later."""
    ServiceAppFactory.__call__ = _call


def _none_extracted(
    _self: W3CBaggagePropagator,
    carrier: CarrierT,
    context: Context | None = None,
    getter: Getter[CarrierT] = default_getter,
) -> Context:
    return get_current() if context is None else context


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
