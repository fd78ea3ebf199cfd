import functools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from models.face_model import FaceSpoofModel
from models.folders import build_once
from models.openvino_engine import convert, kept_folder
from models.speech import speech_engine_model
from models.voice_model import VoiceSpoofModel
from tests.models.checkpoints import TINY_DINOV2, TINY_WAVE, options, save_face, save_voice
from tests.run_folder import run_folder


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Lets torch compute on one thread; an engine of the test before may have set another number."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def audible_log() -> Iterator[None]:
    """Makes `caplog` capture `models` and `lab`, whatever a command line that ran in this process has set up."""
    _make_audible()
    yield
    _make_audible()


def _make_audible() -> None:
    for logger in map(logging.getLogger, ("models", "lab")):
        if logger.level != logging.NOTSET:  # else 2,000 loggers would forget their levels, which takes a millisecond
            logger.setLevel(logging.NOTSET)
        logger.propagate = True


@pytest.fixture(scope="session")
def tiny_voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny WavLM classifier: bonafide, spoof."""
    return save_voice(tmp_path_factory.mktemp("checkpoints") / "tiny-voice", ["bonafide", "spoof"], **TINY_WAVE)


@pytest.fixture(scope="session")
def workspace() -> Path:
    """Where tests that do not care keep converted models together, so that each is converted once, for all workers."""
    folder = run_folder() / "workspace"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def kept_speech(workspace: Path) -> None:
    """Converts the detector of speech once: whoever converts a voice within `workspace` then copies it."""
    model = speech_engine_model()
    build_once(kept_folder(model, options(workspace)), lambda fresh: convert(model, fresh))


@pytest.fixture(scope="session")
def tiny_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny DINOv2 classifier: live, spoof; 56 x 56 pixels cut out of a shorter side of 64."""
    return save_face(tmp_path_factory.mktemp("checkpoints") / "tiny-face", ["live", "spoof"], **TINY_DINOV2)


@pytest.fixture(scope="session")
def loaded_voice(workspace: Path) -> Callable[[Path, str, str], VoiceSpoofModel]:
    """Loads a checkpoint, by engine and precision, once for all tests that only score with it."""
    return functools.cache(
        lambda folder, engine, precision: VoiceSpoofModel.load(
            str(folder), options(workspace, engine=engine, precision=precision)
        )
    )


@pytest.fixture(scope="session")
def loaded_face(workspace: Path) -> Callable[[Path, str, str], FaceSpoofModel]:
    """As `loaded_voice`, for photos."""
    return functools.cache(
        lambda folder, engine, precision: FaceSpoofModel.load(
            str(folder), options(workspace, engine=engine, precision=precision)
        )
    )


@pytest.fixture
def own_models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a command line keep its models below `tmp_path`, and compute exactly, on one thread."""
    _settings_of_commands(monkeypatch, tmp_path / "models")


@pytest.fixture
def models_in_workspace(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `own_models_folder`, but below `workspace`: a model is converted by the first test that needs it."""
    _settings_of_commands(monkeypatch, workspace)


def _settings_of_commands(monkeypatch: pytest.MonkeyPatch, models: Path) -> None:
    monkeypatch.setenv("BONAFIDE_MODELS_DIR", str(models))
    monkeypatch.setenv("BONAFIDE_PRECISION", "fp32")
