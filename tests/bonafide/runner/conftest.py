"""Fixtures of tests of a runner's replicas."""

import pytest

from bonafide.runner import replicas as module


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for takes parts of a second."""
    monkeypatch.setattr(module, "_FIND_PERIOD_S", 0.0)
    monkeypatch.setattr(module, "_PROBE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(module, "PATIENCE_S", 0.1)
    monkeypatch.setattr(module, "LOST_AFTER_S", 0.2)
    monkeypatch.setattr(module, "_WATCH_PAUSE_S", 0.0)
