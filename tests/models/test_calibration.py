"""Fitting against scikit-learn, and a file that is refused when it does not belong to the weights."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from lab.fitting import fit
from lab.metrics import cllr
from models.calibration import Calibration, calibration_path, logits, read_calibration, write_calibration
from models.errors import UnsupportedModel
from models.face_model import FaceSpoofModel
from models.voice_model import VoiceSpoofModel
from tests.models.checkpoints import TINY_DINOV2, TINY_WAVE, options, photos, save_face, save_voice, windows

GOOD = Calibration(2.0, -0.5, 0.3, "0123456789ab", {"method": "platt"})


def scores_of(spread: float, shift: float, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose logits are `spread` times too large and off by `shift`."""
    rng = np.random.default_rng(0)
    spoof = rng.random(count) < 0.3
    true_logits = rng.normal(np.where(spoof, 1.0, -1.0), np.sqrt(2))  # these are their own log odds
    return 1 / (1 + np.exp(-(spread * true_logits + shift))), spoof


def test_platt_undoes_a_wrong_scale_and_offset() -> None:
    scores, spoof = scores_of(3.0, 1.2)
    scale, offset = fit(scores, spoof, "platt")
    assert scale == pytest.approx(1 / 3, rel=0.1)
    assert offset == pytest.approx(-0.4, abs=0.1)
    better = Calibration(scale, offset, 0.5, "v").apply(scores.astype(np.float32))
    assert cllr(better, spoof) < cllr(scores, spoof) - 0.1


def test_platt_agrees_with_scikit_learn() -> None:
    scores, spoof = scores_of(0.5, -1.0)
    model = LogisticRegression(C=1e9, class_weight="balanced", tol=1e-10)
    model.fit(logits(scores)[:, None], spoof)
    scale, offset = fit(scores, spoof, "platt")
    assert scale == pytest.approx(model.coef_[0, 0], rel=0.01)  # targets are softened by 1 in 1,000
    assert offset == pytest.approx(model.intercept_[0], abs=0.01)


def test_temperature_leaves_one_half_where_it_is() -> None:
    scores, spoof = scores_of(4.0, 0.0)
    scale, offset = fit(scores, spoof, "temperature")
    assert offset == 0.0
    assert scale == pytest.approx(0.25, rel=0.1)
    assert fit(scores, spoof, "none") == (1.0, 0.0)


def test_classes_that_do_not_overlap_still_give_a_finite_scale() -> None:
    scale, offset = fit([0.1, 0.2, 0.8, 0.9], [False, False, True, True], "platt")
    assert 0 < scale < 10
    assert np.isfinite(offset)


@pytest.mark.parametrize("method", ["platt", "temperature"])
def test_a_model_that_ranks_the_wrong_way_round_is_not_turned_over(method: str) -> None:
    scores, spoof = scores_of(1.0, 0.0)
    with pytest.raises(ValueError, match="turn the model over"):
        fit(scores, ~spoof, method)  # type: ignore[arg-type]


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
        ({"weights_version": "another"}, "was fitted to version another"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    path = calibration_path(tmp_path)
    write_calibration(GOOD, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UnsupportedModel, match=message):
        read_calibration(tmp_path, "0123456789ab")


@pytest.mark.parametrize("content", ["", "[]", "{}", "\x00"])
def test_a_file_that_is_something_else_is_refused(content: str, tmp_path: Path) -> None:
    calibration_path(tmp_path).write_text(content)
    with pytest.raises(UnsupportedModel, match="cannot be read"):
        read_calibration(tmp_path, "0123456789ab")


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_both_detectors_apply_it_after_both_engines(engine: str, tmp_path: Path) -> None:
    chosen = options(tmp_path, engine=engine, precision="fp32", threads=1)
    uncalibrated = options(tmp_path, engine=engine, precision="fp32", threads=1, calibrated=False)
    voice = save_voice(tmp_path / "voice", ["bonafide", "spoof"], **TINY_WAVE)
    face = save_face(tmp_path / "face", ["spoof", "live"], **TINY_DINOV2)
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
