"""The tiny checkpoints and folders of tests/models, for the lab's tests too."""

import pytest

from lab.evaluation import plots
from tests.models.conftest import audible_log, models_in_workspace, one_thread, tiny_face, tiny_voice, workspace

__all__ = ["audible_log", "models_in_workspace", "one_thread", "tiny_face", "tiny_voice", "workspace"]


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the pictures beside a report, for tests of its figures: two cost as much as all else."""
    for name in ("det_curve", "score_histogram"):
        monkeypatch.setattr(plots, name, lambda *_, **__: None)
