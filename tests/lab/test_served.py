"""The settings of the service, as used by the lab."""

import pytest

from models.configured import reference_of, settings_for


def test_settings_come_from_the_service_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONAFIDE_ENGINE", "torch")
    monkeypatch.setenv("BONAFIDE_FACE_SPOOF_LABEL", "2")
    assert settings_for("face").engine == "torch"
    given = settings_for("voice", engine="openvino", spoof_label="fake")
    assert (given.engine, given.voice_spoof_label, given.face_spoof_label) == ("openvino", "fake", "2")
    assert reference_of("face", settings_for("face", face_model="some/model")) == "some/model"
