"""Calibrate, then evaluate: the model that serves afterwards has the threshold and the BPCER that were requested."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lab import calibrate, evaluate
from models.calibration import calibration_path
from models.face_model import FaceSpoofModel
from models.info import ScoreCounts
from tests.media import encode_image, photo
from tests.models.checkpoints import apply, options
from tests.models.onnx_files import ensemble_manifest, face_manifest, face_onnx, save, save_ensemble

pytestmark = pytest.mark.usefixtures("models_in_workspace", "no_pictures")


@pytest.fixture
def model(tiny_face: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_face, tmp_path / "model")


@pytest.fixture(scope="module")
def data(tiny_face: Path, workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos labelled by the model's score, one in five of them wrongly."""
    detector = FaceSpoofModel.load(str(tiny_face), options(workspace, precision="fp32", threads=1))
    assert detector.info.geometry is not None
    pictures = []
    for seed in range(20):
        noise = np.random.default_rng(seed).integers(0, 13 * seed + 9, (90, 80, 3))
        pixels = (np.asarray(photo(80, 90, seed=seed)) * ((seed % 5) / 4) + noise).clip(0, 255).astype(np.uint8)
        pictures.append((float(detector.score([apply(detector.info.geometry, pixels)])[0]), pixels))
    folder = tmp_path_factory.mktemp("data")
    for rank, (_, pixels) in enumerate(sorted(pictures, key=lambda entry: entry[0])):
        spoof = (rank >= 10) != (rank % 5 == 4)
        path = folder / ("spoof" if spoof else "live") / f"{rank}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(Image.fromarray(pixels), "PNG"))
    return folder


def test_calibrate_then_evaluate(
    model: Path, data: Path, workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", str(model), "--data", str(data)]
    calibrate.main([*arguments, "--bpcer", "0.2"])
    assert "threshold" in capsys.readouterr().out
    written = json.loads(calibration_path(model).read_text())
    assert written["fitted"]["wanted_bpcer"] == 0.2
    scores = written["scores"]
    assert (sum(scores["bonafide"]), sum(scores["spoof"])) == (
        written["fitted"]["bonafide"],
        written["fitted"]["spoof"],
    )
    served = FaceSpoofModel.load(str(model), options(workspace, precision="fp32", threads=1))
    assert served.info.fitted_scores == ScoreCounts.from_dict(scores)
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


def test_files_that_the_service_refuses_are_left_out_and_counted(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed = shutil.copytree(data, tmp_path / "mixed")
    (mixed / "live/broken.png").write_bytes(b"no photo")
    for folder, name in ((data, "all.json"), (mixed, "mixed.json")):
        out = ["--out", str(tmp_path / name)]
        calibrate.main(["--model", str(model), "--data", str(folder), "--bpcer", "0.2", *out])
        assert ("1 files have no score, and were left out" in capsys.readouterr().out) == (folder == mixed)
    whole, written = (json.loads((tmp_path / name).read_text()) for name in ("all.json", "mixed.json"))
    assert (whole["fitted"].pop("without_score"), written["fitted"].pop("without_score")) == (0, 1)
    assert {**written, "fitted": {**written["fitted"], "data": "data"}} == {
        **whole,
        "fitted": {**whole["fitted"], "data": "data"},
    }


def test_a_band_is_fitted_printed_and_served(
    model: Path, data: Path, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate.main(["--model", str(model), "--data", str(data), "--bpcer", "0.2", "--uncertain", "0.1"])
    printed = capsys.readouterr().out
    assert "undecided from" in printed
    assert "of the people" in printed
    written = json.loads(calibration_path(model).read_text())
    lower, upper = written["uncertain"]
    assert lower <= written["threshold"] <= upper
    assert max(written["fitted"]["uncertain"][name] for name in ("bpcer", "apcer")) <= 0.1
    info = FaceSpoofModel.load(str(model), options(workspace, precision="fp32", threads=1)).info
    assert info.uncertain == (lower, upper)
    assert info.prior_log_odds == 0.0


def test_only_a_threshold_gives_no_prior(model: Path, data: Path, workspace: Path) -> None:
    calibrate.main(["--model", str(model), "--data", str(data), "--bpcer", "0.2", "--method", "none"])
    info = FaceSpoofModel.load(str(model), options(workspace, precision="fp32", threads=1)).info
    assert (info.calibrated, info.prior_log_odds, info.uncertain) == (True, None, None)


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


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """One member sees whole photos, the other one their middle; both take red for fake."""
    looks: dict[str, dict[str, Any]] = {
        "whole": {},
        "middle": {"crop": {"width": 24, "height": 16}, "resize": {"width": 96, "height": 64}},
    }
    for name, look in looks.items():
        given = {"kind": "rgb", "face_factor": None, **{k: v for k, v in look.items() if k == "crop"}}
        manifest = face_manifest(name=name, input=given, resize=look.get("resize", {}))
        save(tmp_path / "pair" / name, face_onnx(), manifest)
    fusion = {"rule": "log_odds", "weights": [1.0, 1.0], "intercept": 0.0}
    return save_ensemble(tmp_path / "pair", ensemble_manifest("face", list(looks), fusion=fusion))


@pytest.fixture(scope="module")
def red_or_blue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos whose middle and border are both more red if they are spoofs, but not always."""
    folder = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(4)
    for index in range(60):
        spoof = index % 3 == 0
        pixels = np.full((64, 96, 3), 100.0)
        pixels[..., 0] += rng.normal(40 if spoof else -40, 40)
        pixels[16:48, 24:72, 0] += rng.normal(25 if spoof else -25, 40)
        path = folder / ("spoof" if spoof else "live") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), "PNG"))
    return folder


def test_the_weights_of_an_ensemble_are_fitted_and_served(
    pair: Path, red_or_blue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", str(pair), "--data", str(red_or_blue)]
    calibrate.main([*arguments, "--bpcer", "0.1", "--scores", str(tmp_path / "scores.jsonl")])
    assert "whole@1: " in capsys.readouterr().out
    written = json.loads(calibration_path(pair).read_text())
    assert written["fitted"]["method"] == "weights"
    assert written["fitted"]["weights"] == dict(zip(["whole@1", "middle@1"], written["weights"], strict=True))
    assert all(weight > 0 for weight in written["weights"])
    assert written["fitted"]["cllr_after"] < written["fitted"]["cllr_before"]
    evaluate.main([*arguments, "--rounds", "20", "--out", str(tmp_path / "out")])
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert [each["weight"] for each in report["model"]["members"]] == written["weights"]
    assert report["overall"]["bpcer"]["value"] == pytest.approx(written["fitted"]["bpcer"])
    assert report["overall"]["cllr"]["value"] == pytest.approx(written["fitted"]["cllr_after"], abs=1e-4)
    # Again, from the scores that were kept: fitted to the members' scores, not to the fused ones.
    calibrate.main([*arguments, "--bpcer", "0.1", "--scores", str(tmp_path / "scores.jsonl")])
    assert json.loads(calibration_path(pair).read_text()) == written


def test_an_ensemble_of_equal_shares_keeps_them(
    pair: Path, red_or_blue: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_ensemble(pair, ensemble_manifest("face", ["whole", "middle"]))
    arguments = ["--data", str(red_or_blue), "--bpcer", "0.1"]
    calibrate.main(["--model", str(pair), *arguments])
    written = json.loads(calibration_path(pair).read_text())
    assert (written["fitted"]["method"], "weights" in written) == ("platt", False)
    for single in (pair, model):
        with pytest.raises(SystemExit):
            calibrate.main(["--model", str(single), *arguments, "--method", "weights", "--scores", str(tmp_path / "s")])
        assert "--method weights is for ensembles whose rule is log_odds" in capsys.readouterr().err
    assert not (tmp_path / "s").exists(), "refused before anything is scored"
