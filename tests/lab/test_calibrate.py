"""Calibrate, then evaluate: the model that serves afterwards has the threshold and the BPCER that were requested."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab import calibrate, evaluate
from models.calibration import calibration_path
from models.face_model import FaceSpoofModel
from tests.media import encode_image, photo
from tests.models.checkpoints import apply, options

pytestmark = pytest.mark.usefixtures("own_models_folder")


@pytest.fixture
def model(tiny_face: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_face, tmp_path / "model")


@pytest.fixture
def data(model: Path, tmp_path: Path) -> Path:
    """Photos labelled by the model's score, one in five of them wrongly."""
    detector = FaceSpoofModel.load(str(model), options(tmp_path / "models", precision="fp32", threads=1))
    assert detector.info.geometry is not None
    pictures = []
    for seed in range(20):
        noise = np.random.default_rng(seed).integers(0, 13 * seed + 9, (90, 80, 3))
        pixels = (np.asarray(photo(80, 90, seed=seed)) * ((seed % 5) / 4) + noise).clip(0, 255).astype(np.uint8)
        pictures.append((float(detector.score([apply(detector.info.geometry, pixels)])[0]), pixels))
    folder = tmp_path / "data"
    for rank, (_, pixels) in enumerate(sorted(pictures, key=lambda entry: entry[0])):
        spoof = (rank >= 10) != (rank % 5 == 4)
        path = folder / ("spoof" if spoof else "live") / f"{rank}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(Image.fromarray(pixels), "PNG"))
    return folder


def test_calibrate_then_evaluate(model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", str(model), "--data", str(data)]
    calibrate.main([*arguments, "--bpcer", "0.2"])
    assert "threshold" in capsys.readouterr().out
    written = json.loads(calibration_path(model).read_text())
    assert written["fitted"]["wanted_bpcer"] == 0.2
    assert written["fitted"]["cllr_after"] <= written["fitted"]["cllr_before"]
    evaluate.main([*arguments, "--rounds", "20", "--out", str(tmp_path / "out")])
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["threshold"] == {"value": written["threshold"], "origin": "calibration"}
    assert report["model"]["calibrated"] is True
    assert report["overall"]["bpcer"]["value"] == pytest.approx(written["fitted"]["bpcer"])
    assert report["overall"]["bpcer"]["value"] <= 0.2
    assert report["overall"]["apcer"]["value"] == pytest.approx(written["fitted"]["apcer"])
    assert report["overall"]["cllr"]["value"] == pytest.approx(written["fitted"]["cllr_after"], abs=1e-4)
    # again: fitted to the raw scores, not to the calibrated ones
    calibrate.main([*arguments, "--bpcer", "0.2"])
    assert json.loads(calibration_path(model).read_text()) == written


def test_out_leaves_the_model_as_it_is(model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere/c.json"
    calibrate.main(["--model", str(model), "--data", str(data), "--bpcer", "0", "--method", "none", "--out", str(out)])
    assert not calibration_path(model).exists()
    written = json.loads(out.read_text())
    assert (written["scale"], written["offset"], written["fitted"]["bpcer"]) == (1.0, 0.0, 0.0)


def test_an_inverted_model_is_refused(model: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        calibrate.main(["--model", str(model), "--data", str(data), "--bpcer", "0.1", "--spoof-label", "live"])
    assert stopped.value.code == 2
    assert "turn the model over" in capsys.readouterr().err
    assert not calibration_path(model).exists()


def test_a_stale_calibration_stops_serving_and_is_told(
    model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate.main(["--model", str(model), "--data", str(data), "--bpcer", "0.1"])
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"note": "changed"}))
    with pytest.raises(SystemExit):
        evaluate.main(["--model", str(model), "--data", str(data)])
    assert "fit it again" in capsys.readouterr().err


@pytest.mark.parametrize("bpcer", ["1", "-0.1", "nan", "5%"])
def test_impossible_shares(bpcer: str, model: Path, data: Path) -> None:
    with pytest.raises(SystemExit):
        calibrate.main(["--model", str(model), "--data", str(data), "--bpcer", bpcer])
