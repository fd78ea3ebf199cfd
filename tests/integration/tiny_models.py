"""Tiny models for services, where what they say is not the subject: converted, so that no process has to load torch."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from models.conversion import convert_model
from models.folders import build_once
from models.info import Task
from tests.models.checkpoints import TINY_DINOV2, TINY_WAVE, options, save_face, save_voice
from tests.run_folder import run_folder


def tiny_voice(name: str = "voice", labels: tuple[str, ...] = ("bonafide", "spoof")) -> Path:
    """A voice model of this name with these classes."""
    return _converted(name, "voice", lambda folder: save_voice(folder, labels, **TINY_WAVE))


def tiny_face(name: str = "face", labels: tuple[str, ...] = ("live", "spoof")) -> Path:
    """A face model of this name with these classes."""
    return _converted(name, "face", lambda folder: save_face(folder, labels, **TINY_DINOV2))


def tiny_models() -> dict[str, str]:
    """Settings of a service that serves them."""
    return {
        "BONAFIDE_VOICE_MODEL": str(tiny_voice()),
        "BONAFIDE_FACE_MODEL": str(tiny_face()),
        "BONAFIDE_MODELS_DIR": str(run_folder() / "models"),
        "BONAFIDE_PRECISION": "fp32",
    }


def _converted(name: str, task: Task, save: Callable[[Path], Path]) -> Path:
    """Made by the first worker that needs it, for all."""

    def build(fresh: Path) -> None:
        with TemporaryDirectory() as folder:
            checkpoint = save(Path(folder) / name)
            convert_model(str(checkpoint), task, options(checkpoint.parent), fresh / name)

    return build_once(run_folder() / f"tiny-{name}", build) / name
