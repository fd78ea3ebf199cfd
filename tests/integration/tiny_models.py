"""Settings with which a service serves tiny models, where what it says is not the subject."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from models.conversion import convert_model
from models.info import Task
from tests.models.checkpoints import TINY_DINOV2, TINY_WAVE, options, save_face, save_voice

_PLACE = TemporaryDirectory(prefix="tiny-models-")


@cache
def tiny_models() -> dict[str, str]:
    """Made once in a process of tests, and converted, so that no process of a service has to load torch."""
    folder = Path(_PLACE.name)
    return {
        "BONAFIDE_VOICE_MODEL": _converted(save_voice(folder / "voice", ["bonafide", "spoof"], **TINY_WAVE), "voice"),
        "BONAFIDE_FACE_MODEL": _converted(save_face(folder / "face", ["live", "spoof"], **TINY_DINOV2), "face"),
        "BONAFIDE_MODELS_DIR": str(folder / "models"),
        "BONAFIDE_ENGINE_THREADS": "1",
        "BONAFIDE_PRECISION": "fp32",
    }


def _converted(checkpoint: Path, task: Task) -> str:
    target = checkpoint.with_name(f"converted-{checkpoint.name}")
    convert_model(str(checkpoint), task, options(checkpoint.parent), target)
    return str(target)
