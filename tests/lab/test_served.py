"""The settings of the service, as used by the lab."""

import shutil
from pathlib import Path

import pytest

from bonafide.settings import Settings
from lab.evaluate import chosen_threshold
from lab.evaluation.score_file import Scored
from lab.served import MediaReader, ServedModel
from models.calibration import Calibration, calibration_path, write_calibration
from models.configured import WrongSettings, reference_of, settings_for


def test_settings_come_from_the_service_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONAFIDE_ENGINE", "torch")
    monkeypatch.setenv("BONAFIDE_FACE_SPOOF_LABEL", "2")
    assert settings_for("face").engine == "torch"
    given = settings_for("voice", engine="openvino", spoof_label="fake")
    assert (given.engine, given.voice_spoof_label, given.face_spoof_label) == ("openvino", "fake", "2")
    assert reference_of("face", settings_for("face", face_model="some/model")) == "some/model"


def test_a_wrong_setting_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONAFIDE_VOICE_MODLE", "x")
    with pytest.raises(WrongSettings, match="BONAFIDE_VOICE_MODLE is no setting"):
        settings_for("voice")
    monkeypatch.delenv("BONAFIDE_VOICE_MODLE")
    with pytest.raises(WrongSettings, match="BONAFIDE_ENGINE_THREADS: Input should be greater"):
        settings_for("voice", engine_threads=-1)


@pytest.mark.usefixtures("models_in_workspace")
def test_rates_are_at_the_threshold_that_the_service_labels_by(
    tiny_voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(tiny_voice, tmp_path / "voice"))
    recording = Scored(scores=(0.7, 0.2), seconds=(4.0, 4.0), speech_ratios=(1.0, 1.0))

    def found() -> tuple[tuple[float, str], list[float]]:
        served = ServedModel(str(folder), "voice", settings_for("voice"))
        assert chosen_threshold(0.4, served) == (0.4, "--threshold")
        return chosen_threshold(None, served), [each.end_s for each in served.stretches(recording)]

    assert found() == ((0.5, "default"), [4.0])
    version = ServedModel(str(folder), "voice", settings_for("voice")).info.version
    write_calibration(Calibration(1.0, 0.0, 0.9, version), calibration_path(folder))
    assert found() == ((0.9, "calibration"), [])
    monkeypatch.setenv("BONAFIDE_FACE_THRESHOLD", "0.3")
    assert found() == ((0.9, "calibration"), [])
    monkeypatch.setenv("BONAFIDE_VOICE_THRESHOLD", "0.1")
    assert found() == ((0.1, "BONAFIDE_VOICE_THRESHOLD"), [8.0])


@pytest.mark.parametrize("limit", ["max_audio_bytes", "max_audio_seconds", "max_audio_channels", "max_sample_rate"])
def test_limits_decide_what_is_refused_and_no_score(limit: str) -> None:
    usual, other = MediaReader(Settings()), MediaReader(Settings.model_validate({limit: 9_000}))
    assert usual.limits != other.limits
    assert usual.identity == other.identity
    assert usual.limits == MediaReader(Settings(max_image_bytes=9_000)).limits, "recordings have no pixels"
