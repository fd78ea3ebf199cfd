"""From a folder of media to a report, with a tiny model, through the service's own decoder and engine."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.evaluate import main
from models.face_model import FaceSpoofModel
from tests.lab.recordings import labelled_recordings
from tests.media import encode, encode_image, photo, speech_like
from tests.models.checkpoints import apply, options
from tests.models.feature_checkpoints import save_features_voice

pytestmark = pytest.mark.usefixtures("models_in_workspace")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for index in range(6):
        path = folder / ("live" if index % 2 else "spoof/screen") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(photo(120 + 10 * index, 100, seed=index), "PNG"))
    return folder


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    return labelled_recordings(tmp_path / "recordings")


def read_report(folder: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads((folder / "report.json").read_text())
    return document


def test_photos_get_the_scores_that_the_detector_gives(
    tiny_face: Path, photos: Path, workspace: Path, tmp_path: Path
) -> None:
    scores = tmp_path / "scores.jsonl"
    arguments = ["--model", str(tiny_face), "--data", str(photos), "--out", str(tmp_path / "out")]
    main([*arguments, "--scores", str(scores), "--rounds", "20", "--threshold", "0.3", "--unseen", "screen"])
    detector = FaceSpoofModel.load(str(tiny_face), options(workspace, precision="fp32", threads=1))
    assert detector.info.geometry is not None
    rows = [json.loads(line) for line in scores.read_text().splitlines()[1:]]
    assert len(rows) == 6
    for row in rows:
        pixels = apply(detector.info.geometry, np.asarray(Image.open(row["path"])))
        assert row["scores"] == pytest.approx(detector.score([pixels]).tolist(), abs=1e-4)
    document = read_report(tmp_path / "out")
    assert document["threshold"] == {"value": 0.3, "origin": "--threshold"}
    assert document["level"] == "photo"
    assert document["reasons"] == {"no_face": {"bonafide": 3, "spoof": 3}}
    assert document["training"] == {"unseen": document["attacks"]["screen"]}  # type: ignore[index]
    assert (tmp_path / "out/det.png").stat().st_size > 1000
    assert (tmp_path / "out/histogram.png").stat().st_size > 1000


@pytest.mark.usefixtures("no_pictures")
def test_recordings_and_their_windows(
    tiny_voice: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (recordings / "spoof/torn.wav").write_bytes(b"RIFF nothing")
    arguments = ["--model", str(tiny_voice), "--data", str(recordings), "--rounds", "20"]
    scores = tmp_path / "scores.jsonl"
    main([*arguments, "--scores", str(scores), "--out", str(tmp_path / "whole")])
    main([*arguments, "--scores", str(scores), "--out", str(tmp_path / "windows"), "--level", "window"])
    whole, windows = (read_report(tmp_path / name) for name in ("whole", "windows"))
    assert whole["overall"]["bonafide"] == 2  # type: ignore[index]
    assert windows["overall"]["bonafide"] == 4  # type: ignore[index]
    assert [Path(entry["path"]).name for entry in whole["not_scored"]] == ["torn.wav"]  # type: ignore[attr-defined]
    rows = {Path(row["path"]).name: row for row in map(json.loads, scores.read_text().splitlines()[1:])}
    assert rows["1.wav"]["seconds"] == pytest.approx([4.0, 1.0])
    shown = capsys.readouterr().out
    assert "EER" in shown
    assert "1 files have no score" in shown


@pytest.mark.usefixtures("no_pictures")
def test_a_model_on_features(recordings: Path, tmp_path: Path) -> None:
    folder = save_features_voice(tmp_path / "tiny-bert", "wav2vec2-bert")
    scores = tmp_path / "scores.jsonl"
    arguments = ["--model", str(folder), "--data", str(recordings), "--rounds", "20", "--scores", str(scores)]
    main([*arguments, "--out", str(tmp_path / "out")])
    rows = [json.loads(line) for line in scores.read_text().splitlines()[1:]]
    assert all(0 <= score <= 1 for row in rows for score in row["scores"])
    assert read_report(tmp_path / "out")["overall"]["bonafide"] == 2  # type: ignore[index]


@pytest.mark.usefixtures("no_pictures")
def test_windows_without_speech_are_left_out_and_counted(
    tiny_voice: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silence = np.zeros(4 * 16_000, np.float32)
    scores = tmp_path / "scores.jsonl"
    arguments = ["--model", str(tiny_voice), "--data", str(recordings), "--rounds", "20", "--scores", str(scores)]
    main([*arguments, "--out", str(tmp_path / "before")])
    capsys.readouterr()
    for index in range(4):
        path = recordings / ("bonafide" if index % 2 else "spoof") / f"{index}.wav"
        path.write_bytes(encode(np.concatenate([silence, speech_like(5.0, seed=index)[0]]), 16_000))
    (recordings / "bonafide/silent.wav").write_bytes(encode(silence, 16_000))
    (recordings / "bonafide/short.wav").write_bytes(encode(speech_like(1.0)[0, 4_000:4_399], 16_000))
    main([*arguments, "--out", str(tmp_path / "after")])
    before, after = (read_report(tmp_path / name) for name in ("before", "after"))
    assert before["windows"] == {"all": 8, "no_speech": 0}
    assert after["windows"] == {"all": 14, "no_speech": 5}
    for figure in ("eer", "cllr", "auc"):
        assert after["overall"][figure] == pytest.approx(before["overall"][figure])  # type: ignore[index]
    without = {Path(entry["path"]).name: entry["problem"] for entry in after["not_scored"]}  # type: ignore[attr-defined]
    assert without == {"silent.wav": "no speech was found", "short.wav": "too short to be judged"}
    assert "5 of 14 windows have no speech" in capsys.readouterr().out
    main([*arguments, "--out", str(tmp_path / "again"), "--level", "window"])
    assert read_report(tmp_path / "again")["overall"]["bonafide"] == 4  # type: ignore[index]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "absent/", "--data", "{photos}"], "ModelUnavailable"),
        (["--model", "{face}", "--data", "{photos}/absent"], "DataError: there is no file or folder"),
        (["--model", "{face}", "--data", "{photos}", "--task", "voice"], "UnsupportedModel"),
        (["--model", "{face}", "--data", "{photos}", "--spoof-label", "elephant"], "AmbiguousLabels"),
        (["--model", "{face}", "--data", "{photos}", "--split", "dev"], "no split 'dev'"),
        (["--model", "{face}", "--data", "{photos}", "--limit", "1"], "at least 2"),
        (["--model", "{face}", "--data", "{photos}", "--readers", "0"], "argument --readers: a whole number from 1 on"),
        (["--model", "{face}", "--data", "{photos}", "--rounds", "0"], "argument --rounds: a whole number from 1 on"),
        (["--model", "{face}", "--data", "{photos}", "--scores", "{photos}"], "IsADirectoryError"),
        (
            ["--model", "{face}", "--data", "{photos}", "--level", "site"],
            "redraws sources, and 0 of them are named here",
        ),
        (["--model", "{face}", "--data", "{photos}", "--unseen", "print"], "no attack here is called print; there are"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    arguments: list[str],
    message: str,
    tiny_face: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled = [text.format(face=tiny_face, photos=photos) for text in arguments]
    with pytest.raises(SystemExit) as stopped:
        main([*filled, "--offline", "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_one_class_is_no_evaluation(
    tiny_face: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (photos / "spoof/screen").iterdir():
        path.write_bytes(b"no photo")
    with pytest.raises(SystemExit):
        main(["--model", str(tiny_face), "--data", str(photos), "--out", str(tmp_path / "out")])
    assert "3 files have no score, such as" in capsys.readouterr().err


def test_help_is_there_without_a_model() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "lab.evaluate", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not re.findall(r"\| +((?:scipy|torch|matplotlib)\S*)", done.stderr), "slow to import"
    for word in ("--data", "--split", "trial_metadata.txt", "examples:"):
        assert word in done.stdout
