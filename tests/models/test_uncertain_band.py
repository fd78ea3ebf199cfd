"""The band of a calibration in its file: older files have none, and a wrong one is refused."""

import json
from pathlib import Path

import pytest

from models.calibration import Calibration, calibration_path, read_calibration, write_calibration
from models.errors import UnsupportedModel
from models.info import ModelInfo
from tests.bonafide.fakes import INFO

PLAIN = Calibration(0.5, -1.0, 0.6, "0123456789ab", {"method": "platt"})


def test_a_band_comes_back_and_is_part_of_the_version(tmp_path: Path) -> None:
    band = Calibration(0.5, -1.0, 0.6, "0123456789ab", {"method": "platt"}, uncertain=(0.3, 0.8))
    write_calibration(band, calibration_path(tmp_path))
    assert read_calibration(tmp_path, "0123456789ab") == band
    assert band.version != PLAIN.version


def test_a_file_without_a_band_is_what_it_was(tmp_path: Path) -> None:
    write_calibration(PLAIN, calibration_path(tmp_path))
    assert "uncertain" not in json.loads(calibration_path(tmp_path).read_text())
    assert read_calibration(tmp_path, "0123456789ab") == PLAIN


@pytest.mark.parametrize("band", [[0.8, 0.3], [-0.1, 0.5], [0.5, 1.1], [0.5], [0.1, 0.2, 0.3], "ab", 0.5, ["nan", 0.5]])
def test_a_wrong_band_is_refused(band: object, tmp_path: Path) -> None:
    write_calibration(PLAIN, calibration_path(tmp_path))
    content = json.loads(calibration_path(tmp_path).read_text())
    calibration_path(tmp_path).write_text(json.dumps({**content, "uncertain": band}))
    with pytest.raises(UnsupportedModel):
        read_calibration(tmp_path, "0123456789ab")


@pytest.mark.parametrize(("method", "prior"), [("platt", 0.0), ("temperature", 0.0), ("weights", 0.0), ("none", None)])
def test_probabilities_that_were_fitted_have_an_even_prior(method: str, prior: float | None) -> None:
    assert Calibration(1.0, 0.0, 0.5, "0", {"method": method}).prior_log_odds == prior
    assert Calibration(1.0, 0.0, 0.5, "0").prior_log_odds is None


def test_the_description_of_a_model_travels_as_json() -> None:
    info = ModelInfo.from_dict(INFO | {"uncertain": [0.3, 0.8], "prior_log_odds": 0.0})
    assert ModelInfo.from_dict(json.loads(json.dumps(info.to_dict()))) == info
    assert ModelInfo.from_dict(INFO).uncertain is None
