"""Applying a calibration, and a file that is refused when it does not belong to the weights."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.calibration import Calibration, calibration_path, read_calibration, write_calibration
from models.errors import UnsupportedModel
from models.face_model import FaceSpoofModel
from models.voice_model import VoiceSpoofModel
from tests.models.checkpoints import TINY_DINOV2, TINY_WAVE, options, photos, save_face, save_voice, windows

GOOD = Calibration(2.0, -0.5, 0.3, "0123456789ab", {"method": "platt"})


def test_applying_keeps_the_order_and_what_has_no_score() -> None:
    raw = np.array([0.0, 1e-9, 0.2, np.nan, 0.7, 1.0], np.float32)
    got = GOOD.apply(raw)
    assert got.dtype == np.float32
    assert np.isnan(got[3])
    rest = np.delete(got, 3)
    assert (np.diff(rest) >= 0).all()
    assert (rest >= 0).all()
    assert (rest <= 1).all()
    assert GOOD.apply(np.zeros(0, np.float32)).shape == (0,)


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    assert read_calibration(tmp_path, "0123456789ab") is None
    write_calibration(GOOD, calibration_path(tmp_path))
    assert read_calibration(tmp_path, "0123456789ab") == GOOD
    pth = tmp_path / "model.pth"
    pth.write_bytes(b"x")
    assert calibration_path(pth) == tmp_path / "model.calibration.json"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": -1.0}, "no calibration has"),
        ({"scale": 0.0}, "no calibration has"),
        ({"offset": float("nan")}, "no calibration has"),
        ({"threshold": 1.5}, "no calibration has"),
        ({"scale": "much"}, "cannot be read"),
        ({"offset": 10**400}, "cannot be read"),
        ({"fitted": ["platt"]}, "cannot be read"),
        ({"weights_version": "another"}, "was fitted to version another"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    path = calibration_path(tmp_path)
    write_calibration(GOOD, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UnsupportedModel, match=message):
        read_calibration(tmp_path, "0123456789ab")


@pytest.mark.parametrize("content", ["", "[]", "{}", "\x00", "[" * 100_000, '{"scale": 1, "scale": 2}'])
def test_a_file_that_is_something_else_is_refused(content: str, tmp_path: Path) -> None:
    calibration_path(tmp_path).write_text(content)
    with pytest.raises(UnsupportedModel, match="cannot be read"):
        read_calibration(tmp_path, "0123456789ab")


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_both_detectors_apply_it_after_both_engines(engine: str, workspace: Path, tmp_path: Path) -> None:
    chosen = options(workspace, engine=engine, precision="fp32", threads=1)
    uncalibrated = options(workspace, engine=engine, precision="fp32", threads=1, calibrated=False)
    voice = save_voice(tmp_path / "voice", ["bonafide", "spoof"], **TINY_WAVE)
    face = save_face(tmp_path / "face", ["live", "spoof"], **TINY_DINOV2)
    faces = [picture[:56, :56] for picture in photos()]
    for folder, detector, items in ((voice, VoiceSpoofModel, windows(16_000)), (face, FaceSpoofModel, faces)):
        plain = detector.load(str(folder), chosen)
        assert (plain.info.threshold, plain.info.calibrated) == (None, False)
        calibration = Calibration(0.5, 1.0, 0.7, plain.info.version)
        write_calibration(calibration, calibration_path(folder))
        after = detector.load(str(folder), chosen)
        assert (after.info.threshold, after.info.calibrated) == (0.7, True)
        assert after.info.version == calibration.version != plain.info.version
        raw = plain.score(items)  # type: ignore[arg-type]
        np.testing.assert_allclose(after.score(items), calibration.apply(raw), atol=1e-6)  # type: ignore[arg-type]
        without = detector.load(str(folder), uncalibrated)
        assert without.info.version == plain.info.version
        np.testing.assert_array_equal(without.score(items), raw)  # type: ignore[arg-type]
