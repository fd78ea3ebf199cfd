from typing import Any

import pytest
from _bentoml_impl.server.app import ServiceAppFactory
from bentoml._internal.configuration.containers import BentoMLContainer
from opentelemetry import baggage, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator

from bonafide.bento import tracing


def test_an_exporter_of_spans_that_is_not_installed_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ServiceAppFactory, "__call__", ServiceAppFactory.__call__)  # to be restored
    tracing.refuse_missing_exporter()

    class Tracers:
        def get(self) -> None:
            raise ModuleNotFoundError("No module named 'opentelemetry.exporter.otlp'")

    monkeypatch.setattr(BentoMLContainer, "tracer_provider", Tracers())
    server: Any = object.__new__(ServiceAppFactory)
    with pytest.raises(SystemExit):
        server()
    assert "cannot start: spans cannot be sent" in caplog.text
    assert "No module named 'opentelemetry.exporter.otlp'" in caplog.text


def test_baggage_of_callers_is_not_read_and_their_trace_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(W3CBaggagePropagator, "extract", W3CBaggagePropagator.extract)  # to be restored
    tracing.ignore_baggage()
    sent = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "baggage": "user=ann,no pair"}
    context = propagate.extract(sent)
    assert trace.get_current_span(context).get_span_context().trace_id == int("1" * 32, 16)
    assert not baggage.get_all(context)
    assert not caplog.text
    assert not baggage.get_all(propagate.extract({"baggage": "user=ann"}))
