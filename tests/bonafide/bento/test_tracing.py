from typing import Any

import pytest
from _bentoml_impl.server.app import ServiceAppFactory
from bentoml._internal.configuration.containers import BentoMLContainer

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
