"""Tiny models for services, where what they say is not the subject: converted, so that no process has to load torch."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from models.conversion import convert_model
from models.info import Task
from tests.models.checkpoints import TINY_DINOV2, TINY_WAVE, options, save_face, save_voice

_PLACE = TemporaryDirectory(prefix="tiny-models-")
"""Of this process of tests, which makes each of them once."""


@cache
def tiny_voice(name: str = "voice", labels: tuple[str, ...] = ("bonafide", "spoof")) -> Path:
    """A voice model of this name with these classes."""
    return _converted(save_voice(Path(_PLACE.name) / name, labels, **TINY_WAVE), "voice")


@cache
def tiny_face(name: str = "face", labels: tuple[str, ...] = ("live", "spoof")) -> Path:
    """A face model of this name with these classes."""
    return _converted(save_face(Path(_PLACE.name) / name, labels, **TINY_DINOV2), "face")


def tiny_models() -> dict[str, str]:
    """Settings of a service that serves them."""
    return {
        "BONAFIDE_VOICE_MODEL": str(tiny_voice()),
        "BONAFIDE_FACE_MODEL": str(tiny_face()),
        "BONAFIDE_MODELS_DIR": str(Path(_PLACE.name) / "models"),
        "BONAFIDE_ENGINE_THREADS": "1",
        "BONAFIDE_PRECISION": "fp32",
    }


def _converted(checkpoint: Path, task: Task) -> Path:
    target = checkpoint.parent / "converted" / checkpoint.name
    target.parent.mkdir(exist_ok=True)
    convert_model(str(checkpoint), task, options(checkpoint.parent), target)
    return target
