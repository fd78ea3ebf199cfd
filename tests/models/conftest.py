from pathlib import Path

import pytest

from tests.models.checkpoints import TINY_DINOV2, TINY_WAVE, save_face, save_voice


@pytest.fixture(scope="session")
def tiny_voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny WavLM classifier: bonafide, spoof."""
    return save_voice(tmp_path_factory.mktemp("checkpoints") / "tiny-voice", ["bonafide", "spoof"], **TINY_WAVE)


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tests that do not care keep converted models together, so that each is converted once."""
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="session")
def tiny_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny DINOv2 classifier: live, spoof; 56 x 56 pixels cut out of a shorter side of 64."""
    return save_face(tmp_path_factory.mktemp("checkpoints") / "tiny-face", ["live", "spoof"], **TINY_DINOV2)
