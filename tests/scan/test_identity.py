"""The settings that a result states are those that its tasks judge by, whatever the environment of their machines."""

import pickle
from dataclasses import replace
from typing import Any

import pytest

from bonafide.photo.quality import QualityLimits
from bonafide.settings import Settings
from models.configured import settings_for
from models.info import Task
from scan.identity import identity, passed_on
from scan.source import Source
from tests.bonafide.fakes import MODEL

OTHERS: dict[Task, dict[str, Any]] = {
    "voice": {
        "voice_threshold": 0.4,
        "voice_uncertain": (0.3, 0.6),
        "min_speech_ratio": 0.2,
        "channel_names": ("agent", "caller"),
        "max_audio_seconds": 7.0,
    },
    "face": {
        "face_several_share": 0.7,
        "face_min_pixels": 200.0,
        "face_min_brightness": 10.0,
        "face_min_sharpness": 3.0,
        "face_crop": True,
        "face_crop_margin": 0.3,
        "max_image_pixels": 1_000_000,
    },
}
"""Values that are no defaults."""


def stated(task: Task, settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = identity(Source("calls"), replace(MODEL, task=task), settings)["settings"]
    return found


@pytest.mark.parametrize("task", ["voice", "face"])
def test_a_worker_judges_by_the_settings_that_the_result_states(task: Task) -> None:
    settings = settings_for(task, **OTHERS[task])
    given = pickle.loads(pickle.dumps(passed_on(settings)))  # noqa: S301  # our own bytes
    hash(given)
    worker = settings_for(task, **dict(given))
    assert stated(task, worker) == stated(task, settings)
    assert QualityLimits.from_settings(worker) == QualityLimits.from_settings(settings)


@pytest.mark.parametrize("task", ["voice", "face"])
def test_every_setting_that_the_result_states_is_passed_on(task: Task) -> None:
    assert set(stated(task, Settings())) <= set(dict(passed_on(Settings())))


def test_no_secret_is_passed_on() -> None:
    settings = Settings(minio_secret_key="do not tell")
    assert not [name for name, _ in passed_on(settings) if "secret" in name]
    assert "do not tell" not in repr(passed_on(settings))
