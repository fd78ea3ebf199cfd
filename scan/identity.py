"""What the rows of a result have in common: archive, model, and the settings that alter a verdict."""

from typing import Any

from pydantic import SecretStr

from bonafide.settings import Settings
from models.info import ModelInfo, Task
from scan.source import Source

_ALTERING: dict[Task, tuple[str, ...]] = {
    "voice": ("voice_", "min_speech_ratio", "max_audio_", "max_sample_rate", "channel"),
    "face": ("face_", "max_image_"),
}
_NOT_ALTERING = ("voice_max_batch", "face_max_batch", "voice_shadow", "face_shadow")


def identity(source: Source, info: ModelInfo, settings: Settings) -> dict[str, Any]:
    """As it stands in the manifest; JSON types alone."""
    values = settings.model_dump(mode="json")
    altering = {
        name: value
        for name, value in sorted(values.items())
        if name.startswith(_ALTERING[info.task]) and not name.startswith(_NOT_ALTERING)
    }
    archive = source.bucket if source.folder is None else str(source.folder)
    return {"archive": archive, "task": info.task, "model": info.fingerprint, "settings": altering}


def passed_on(settings: Settings) -> tuple[tuple[str, Any], ...]:
    """The settings that the tasks of a scan are given, so that all judge alike.

    Secrets are not among them: each process reads them from its own environment, so that they stand in no store of Ray.
    """
    given = {name: getattr(settings, name) for name in _PASSED}
    return tuple((name, value) for name, value in given.items() if not isinstance(value, SecretStr))


_PASSED = (
    *("voice_model", "face_model", "voice_spoof_label", "face_spoof_label", "engine", "precision", "engine_threads"),
    *("max_audio_bytes", "max_audio_seconds", "max_audio_channels", "max_sample_rate"),
    *("max_image_bytes", "max_image_pixels", "face_crop", "face_crop_margin", "objects_dir", "models_dir"),
)
