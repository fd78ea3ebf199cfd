"""Fine-tune, calibrate, evaluate, serve: one folder, the same scores everywhere, whichever class comes first."""

import functools
import json
import os
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lab import calibrate, evaluate, finetune
from lab.inspection import inspect
from lab.served import reading_identity
from models.calibration import calibration_path, logits
from models.configured import load_options, settings_for
from scripts.local_service import running
from tests.lab.finetuning.data import SAMPLES, photos, recordings
from tests.lab.finetuning.test_base import bare_wavlm
from tests.models.checkpoints import TINY_DINOV2, TWO_LAYERS, plain_face_scores, plain_voice_scores, save_face

pytestmark = pytest.mark.usefixtures("no_pictures")
TRAINING = ["--learning-rate", "3e-3", "--looks", "2", "--device", "cpu", "--threads", "1"]


@pytest.fixture(scope="module", autouse=True)
def settings_of_commands(workspace: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BONAFIDE_MODELS_DIR", str(workspace))
        patch.setenv("BONAFIDE_PRECISION", "fp32")
        yield


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A body without a head, tuned on a manifest and calibrated."""
    folder = tmp_path_factory.mktemp("voice")
    data, out = recordings(folder / "data"), folder / "my-voice"
    base = bare_wavlm(folder / "body")
    steps = ["--steps", "14", "--batch", "6"]
    finetune.main(["--base", str(base), "--data", str(data), "--out", str(out), *steps, *TRAINING])
    calibrate.main(["--model", str(out), "--data", str(data), "--split", "dev", "--bpcer", "0.2"])
    return out


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector whose first class is the spoof, tuned on folders and calibrated."""
    folder = tmp_path_factory.mktemp("face")
    data, out = photos(folder / "data"), folder / "my-face"
    base = save_face(folder / "base", ["spoof", "live"], **TINY_DINOV2 | TWO_LAYERS)
    splits = ["--data", str(data / "train"), "--dev", str(data / "dev")]
    steps = ["--epochs", "20", "--batch", "8", "--frozen", "1", "--vary"]
    finetune.main(["--base", str(base), *splits, "--out", str(out), *steps, *TRAINING])
    calibrate.main(["--model", str(out), "--data", str(data / "dev"), "--bpcer", "0.2"])
    return out


@functools.cache
def evaluated(model: Path, data: Path, *more: str) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """The report, and the scores of each file by name, which are found once."""
    folder = model.parent / "evaluation"
    scores = folder / "scores.jsonl"
    kept = ["--scores", str(scores), "--out", str(folder)]
    evaluate.main(["--model", str(model), "--data", str(data), *more, "--rounds", "20", *kept])
    rows = [json.loads(line) for line in scores.read_text().splitlines()[1:]]
    return json.loads((folder / "report.json").read_text()), {Path(row["path"]).name: row["scores"] for row in rows}


def calibrated(model: Path, plain: NDArray[np.float32]) -> NDArray[np.float64]:
    """Calibrated scores, by the formula of the documentation."""
    written = json.loads(calibration_path(model).read_text())
    odds = float(written["scale"]) * logits(plain) + float(written["offset"])
    return np.asarray(1 / (1 + np.exp(-odds)), np.float64)


@pytest.mark.slow
def test_a_tuned_voice_model_scores_as_plain_transformers_does(voice: Path) -> None:
    data = voice.parent / "data"
    report, scores = evaluated(voice, data / "manifest.jsonl", "--split", "test")
    assert report["model"]["labels"] == ["bonafide", "spoof"]
    assert report["model"]["calibrated"] is True
    assert report["overall"]["eer"]["value"] <= 0.25
    assert len(scores) == 6
    assert len(scores["test-0.wav"]) == 3
    windows = []
    for name in scores:
        samples = np.frombuffer((data / name).read_bytes()[44:], "<i2")
        ends = [*range(64_000, len(samples), 64_000), len(samples)]
        windows += [np.resize(samples[max(0, end - 64_000) : end], 64_000) for end in ends]  # short ones are repeated
    plain = calibrated(voice, plain_voice_scores(voice, windows, spoof=1)).tolist()
    assert [score for found in scores.values() for score in found] == pytest.approx(plain, abs=2e-3)


@pytest.mark.slow
def test_a_tuned_face_model_keeps_its_first_class_as_the_spoof(face: Path) -> None:
    report, scores = evaluated(face, face.parent / "data" / "test")
    assert (report["model"]["labels"], report["model"]["spoof_index"]) == (["spoof", "live"], 0)
    assert report["overall"]["eer"]["value"] <= 0.25
    assert len(scores) == 6
    paths = sorted((face.parent / "data" / "test").rglob("*.png"))
    plain = plain_face_scores(face, [np.asarray(Image.open(path)) for path in paths], spoof=0)
    found = [score for path in paths for score in scores[path.name]]
    assert found == pytest.approx(calibrated(face, plain).tolist(), abs=2e-3)


@pytest.mark.slow
def test_the_running_service_gives_the_same_scores(voice: Path, face: Path, tmp_path: Path) -> None:
    environment = {"BONAFIDE_VOICE_MODEL": str(voice), "BONAFIDE_FACE_MODEL": str(face)}
    photo = next((face.parent / "data/test/spoof").rglob("*.png"))
    with running(tmp_path / "log", environment) as service, httpx.Client(base_url=service.url, timeout=120) as http:
        heard = http.post("/detect_audio", content=(SAMPLES / "call.mp3").read_bytes()).json()
        seen = http.post("/predict_liveness", content=photo.read_bytes()).json()
    thresholds = [json.loads(calibration_path(model).read_text())["threshold"] for model in (voice, face)]
    for answer, threshold in zip((heard, seen), thresholds, strict=True):
        assert answer["calibrated"] is True
        assert answer["threshold"] == pytest.approx(threshold)
    calls = voice.parent / "calls"
    for kind in ("bonafide", "spoof"):
        (calls / kind).mkdir(parents=True)
        (calls / kind / "call.mp3").symlink_to(SAMPLES / "call.mp3")
    _, scores = evaluated(voice, calls)
    assert [chunk["score"] for chunk in heard["chunks"]] == pytest.approx(scores["call.mp3"], abs=1e-3)
    _, scores = evaluated(face, face.parent / "data" / "test")
    assert seen["probabilities"]["fake"] == pytest.approx(scores[photo.name][0], abs=1e-3)
    assert seen["predicted_class"] == ("fake" if scores[photo.name][0] >= thresholds[1] else "live")


@pytest.mark.slow
def test_the_folder_tells_what_was_done(voice: Path) -> None:
    assert sorted(path.name for path in voice.iterdir()) == [
        "README.md", "calibration.json", "config.json", "model.safetensors", "preprocessor_config.json",
    ]  # fmt: skip
    assert not voice.with_name("my-voice.training").exists()
    card = (voice / "README.md").read_text()
    for text in ("base_model: body", "1 is spoof", "| whistle | 6 | 3 |", "| bona fide | ", "dev EER as served"):
        assert text in card
    assert inspect(str(voice), "voice", load_options("voice", settings_for("voice"))).spoof == "1: spoof"


@pytest.mark.slow
def test_a_base_with_its_names_the_wrong_way_round_is_served_the_right_way_round_without_its_label(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, base = photos(tmp_path / "data"), save_face(tmp_path / "base", ["fake", "real"], **TINY_DINOV2)
    splits = ["--data", str(data / "train"), "--dev", str(data / "dev")]
    out, steps = tmp_path / "out", ["--steps", "2", "--batch", "4", "--spoof-label", "real"]
    finetune.main(["--base", str(base), *splits, "--out", str(out), *steps, *TRAINING])
    assert "'real' mean spoof, though its name says bona fide" in caplog.text
    found = inspect(str(out), "face", load_options("face", settings_for("face")))
    assert (found.info.labels, found.info.spoof_index) == (("live", "spoof"), 1)
    assert "0 `live`, 1 `spoof`; 1 is spoof." in (out / "README.md").read_text()


def test_mistakes_are_told_in_a_sentence(tiny_voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = photos(tmp_path / "photos")
    base = save_face(tmp_path / "base", ["live", "spoof"], **TINY_DINOV2 | TWO_LAYERS)
    (tmp_path / "there").mkdir()
    face, out = ["--base", str(base)], ["--out", str(tmp_path / "out")]
    train, dev = ["--data", str(data / "train")], ["--dev", str(data / "dev")]
    for arguments, message in (
        ([*face, *train, *dev, "--out", str(tmp_path / "there")], "is there already"),
        ([*face, *train, *out], "has no dev split; name a list or folder with --dev"),
        ([*face, "--data", str(data), *dev, *out], "needs exactly one folder of"),
        ([*face, *train, *dev, *out, "--task", "voice"], "UnsupportedModel"),
        (["--base", str(tiny_voice), *train, *dev, *out, "--task", "face"], "UnsupportedModel"),
        (["--base", "absent/", *train, *dev, *out, "--offline"], "ModelUnavailable"),
        ([*face, *train, *dev, *out, "--frozen", "9"], "--frozen 9, but the base has 2 layers"),
    ):
        with pytest.raises(SystemExit) as stopped:
            finetune.main(arguments)
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err.replace("\n", " "), message
    assert not (tmp_path / "out").exists()
    # what the last one began cannot be gone on with in another way
    with pytest.raises(SystemExit):
        finetune.main([*face, *train, *dev, *out, "--frozen", "1"])
    assert "holds a training with another frozen" in capsys.readouterr().err
    # nor with photos that were put in the place of others
    os.utime(next((data / "train").rglob("*.png")), (0, 0))
    with pytest.raises(SystemExit):
        finetune.main([*face, *train, *dev, *out, "--frozen", "9"])
    assert "holds a training with another data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (["--data", "all.jsonl"], "--data all.jsonl"),
        (["--data", "photos/train", "--dev", "photos/my dev"], "--data 'photos/my dev'"),
        (
            ["--data", "2021.txt", "--media", "flac E", "--allow-missing"],
            "--data 2021.txt --media 'flac E' --allow-missing",
        ),
        (["--data", "uploads.jsonl", "--task", "voice"], "--data uploads.jsonl --task voice"),
    ],
)
def test_what_is_calibrated_next_was_not_trained_on(
    data: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(finetune, "finetune", lambda arguments: arguments.out)
    finetune.main(["--base", "bundled", *data, "--out", str(tmp_path / "my voice")])
    told = capsys.readouterr().out.splitlines()[-1]
    assert told == f"next: python -m lab.calibrate --model '{tmp_path}/my voice' {named} --bpcer 0.05"


def test_settings_that_decide_what_is_read_are_part_of_a_training() -> None:
    read = {
        reading_identity(settings_for("voice", **given), None)
        for given in ({}, {"min_speech_ratio": 0.5}, {"max_audio_seconds": 10.0})
    }
    assert len(read) == 3
