"""From any model reference to what judges by it: a single model, or an ensemble."""

from models.catalog import find_model
from models.detector import LoadedModel
from models.ensemble import open_ensemble
from models.face_model import FaceSpoofModel
from models.info import Task
from models.options import LoadOptions
from models.voice_model import VoiceSpoofModel


def load_detector(reference: str, task: Task, options: LoadOptions) -> LoadedModel:
    """Loads a model and warms it up; its first score takes no longer than the next.

    Raises:
        ModelError: its subclass and message name the cause and the remedy.
    """
    files = find_model(reference, task, options.models_dir, offline=options.offline)
    if files.is_ensemble:
        return open_ensemble(files, task, options)
    return VoiceSpoofModel.open(files, options) if task == "voice" else FaceSpoofModel.open(files, options)
