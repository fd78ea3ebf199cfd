"""The settings of the service, as used by the lab."""

import pytest

from bonafide.settings import Settings
from lab.served import MediaReader
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


@pytest.mark.parametrize("limit", ["max_audio_bytes", "max_audio_seconds", "max_audio_channels", "max_sample_rate"])
def test_limits_decide_what_is_refused_and_no_score(limit: str) -> None:
    usual, other = MediaReader(Settings()), MediaReader(Settings.model_validate({limit: 9_000}))
    assert usual.limits != other.limits
    assert usual.identity == other.identity
    assert usual.limits == MediaReader(Settings(max_image_bytes=9_000)).limits, "recordings have no pixels"
