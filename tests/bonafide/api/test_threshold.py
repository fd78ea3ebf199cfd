"""Every response has the threshold in force and whether it was fitted: setting, else calibration, else 0.5."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from bonafide.api import messages
from bonafide.app import App
from bonafide.calls import Call
from bonafide.settings import Settings
from bonafide.voice_report import report_of
from tests.bonafide.fakes import INFO, LocalRemote
from tests.media import encode_image, photo, wav


class Calibrated(LocalRemote):
    """A model with facts of its own; everything scores 0.4."""

    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__(lambda item: 0.4)
        self._facts = facts

    async def info(self) -> dict[str, Any]:
        return INFO | self._facts


@pytest.mark.parametrize(
    ("facts", "setting", "threshold", "spoof"),
    [
        ({}, None, 0.5, False),  # a runner of an older release says nothing of it
        ({"threshold": None, "calibrated": False}, None, 0.5, False),
        ({"threshold": 0.3, "calibrated": True}, None, 0.3, True),
        ({"threshold": 0.3, "calibrated": True}, 0.45, 0.45, False),
        ({"threshold": None, "calibrated": False}, 0.2, 0.2, True),
        ({"threshold": 0.3, "calibrated": True}, 0.0, 0.0, True),
    ],
)
async def test_the_threshold_in_force(
    facts: dict[str, Any], setting: float | None, threshold: float, spoof: bool, tmp_path: Path
) -> None:
    settings = Settings(objects_dir=tmp_path, voice_threshold=setting, face_threshold=setting)
    remote = Calibrated(facts)
    app = App(settings, voice=remote, face=remote)
    await app.voice_runner.probe()
    await app.face_runner.probe()
    call = Call.within(10)
    report = await report_of(app.voice.analyze_bytes(wav(np.ones(80_000, np.int16), 16_000), call))
    voice = messages.audio_response(report, call)
    face = messages.face_response(await app.face.judge(encode_image(photo()), call), call)
    voice_status = messages.voice_status(app.voice_runner, settings.voice_threshold)
    face_status = messages.face_status(app.face_runner, settings.face_threshold)
    for answer in (voice, face, voice_status, face_status):
        assert answer.threshold == pytest.approx(threshold)
        assert answer.calibrated is facts.get("calibrated", False)
    assert voice.label == voice.chunks[0].label == ("spoof" if spoof else "bonafide")
    assert face.predicted_class == ("fake" if spoof else "live")
    await app.close()


def test_thresholds_are_probabilities_and_unset_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().voice_threshold is None
    monkeypatch.setenv("BONAFIDE_FACE_THRESHOLD", "0.8")
    assert Settings().face_threshold == 0.8
    with pytest.raises(ValidationError):
        Settings(voice_threshold=1.5)
