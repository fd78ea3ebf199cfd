"""What the rows of a result have in common: archive, model, and the settings that alter a verdict."""

from typing import Any

from pydantic import SecretStr

from bonafide.settings import Settings
from models.info import ModelInfo, Task
from scan.names import as_text
from scan.source import Source

_ALTERING: dict[Task, tuple[str, ...]] = {
    "voice": ("voice_", "min_speech_ratio", "max_audio_", "max_sample_rate", "channel"),
    "face": ("face_", "max_image_"),
}
_NOT_ALTERING = ("voice_max_batch", "face_max_batch", "voice_shadow", "face_shadow")
_LOADING = ("engine", "precision", "engine_threads", "objects_dir", "models_dir")
"""How a model is loaded and where objects lie."""


def identity(source: Source, info: ModelInfo, settings: Settings) -> dict[str, Any]:
    """As it stands in the manifest; JSON types alone."""
    values = settings.model_dump(mode="json", include=set(_altering(info.task)))
    archive = source.bucket if source.folder is None else as_text(str(source.folder))
    altering = dict(sorted(values.items()))
    return {"archive": archive, "task": info.task, "model": info.fingerprint, "settings": altering}


def passed_on(settings: Settings) -> tuple[tuple[str, Any], ...]:
    """The settings that the tasks of a scan are given, so that all judge alike; all that alter verdicts are there.

    Secrets are not: each process reads them from its own environment, so that they stand in no store of Ray.
    """
    names = (*(name for task in _ALTERING for name in _altering(task)), *_LOADING)
    given = {name: getattr(settings, name) for name in names}
    return tuple((name, value) for name, value in given.items() if not isinstance(value, SecretStr))


def _altering(task: Task) -> list[str]:
    names = Settings.model_fields
    return [name for name in names if name.startswith(_ALTERING[task]) and not name.startswith(_NOT_ALTERING)]
