import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.convert import main
from models.errors import CheckpointMismatch, UnsupportedModel
from models.heads.convert import Research, read_research, write_folder
from models.heads.kinds import KIND_OF, KINDS, Kind, filled
from models.heads.manifest import manifest
from models.openvino_engine import openvino  # its import keeps the converter from reporting over the network
from models.voice_model import VoiceSpoofModel
from tests.models.checkpoints import options
from tests.models.heads.files import WAV2VEC2_SMALL, BodySize, research_file
from tests.models.heads.lively import lively, voices

pytestmark = pytest.mark.usefixtures("own_models_folder")
LIVELY = {"aasist-l": 0.9, "xlsr-aasist": 0.9, "xlsr-sls": 0.5, "xlsr-nes2net": 0.8}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AASIST-L with random weights."""
    path = tmp_path_factory.mktemp("research") / "detector.pth"
    torch.save(lively(research_file("aasist-l"), LIVELY["aasist-l"], quickly=True), path)
    return path


def int16_voices(count: int, samples: int) -> torch.Tensor:
    """`voices` of values that int16 samples have."""
    return (voices(count, samples) * 32_768).round() / 32_768


def assert_logits(folder: Path, samples: torch.Tensor, expected: torch.Tensor) -> None:
    """All windows together, and the last one alone."""
    compiled = openvino.Core().compile_model(folder / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for rows in (slice(None), slice(len(samples) - 1, None)):
        logits = torch.from_numpy(np.array(compiled({"samples": samples[rows].numpy()})["logits"]))
        torch.testing.assert_close(logits, expected[rows], rtol=0, atol=1e-4)


@pytest.mark.slow
def test_the_command_writes_a_folder_with_the_same_scores_and_what_decides_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With windows of half a second, for time."""
    path, out = tmp_path / "detector.pth", tmp_path / "out"
    torch.save(lively(research_file("antideepfake", replace(WAV2VEC2_SMALL, layers=1)), quickly=True), path)
    trained = read_research(path, licence="MIT").manifest["input"]["window"]
    assert trained == {"samples": 64_000, "short": "repeat", "last": "reach_back", "min_samples": 400}
    monkeypatch.setitem(KIND_OF, "antideepfake", replace(KIND_OF["antideepfake"], window_samples=8_000))
    assert main([str(path), "--out", str(out), "--licence", "MIT"]) == 0
    assert "AntiDeepfake" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["bonafide.json", "model.bin", "model.xml"]
    words = json.loads((out / "bonafide.json").read_text())
    assert words["output"] == {"name": "logits", "kind": "logits", "spoof": 0, "labels": ["spoof", "bonafide"]}
    assert words["input"]["window"] == trained | {"samples": 8_000}
    assert (words["task"], words["name"], words["licence"]) == ("voice", "detector", "MIT")
    samples = int16_voices(2, 8_000)
    with torch.inference_mode():
        expected = read_research(path, licence="MIT").model(samples)
    served = VoiceSpoofModel.load(str(out), options(tmp_path, precision="fp32"))
    pcm = [(window * 32_768).to(torch.int16).numpy() for window in samples]
    assert served.info.name == f"detector@{words['version']}"
    probabilities = torch.softmax(expected, dim=1)[:, 0].numpy()
    np.testing.assert_allclose(served.score(pcm), probabilities, atol=1e-4)
    np.testing.assert_allclose(served.score(pcm[1:]), probabilities[1:], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.name not in ("aasist", "antideepfake")], ids=lambda kind: kind.name
)
def test_openvino_computes_each_kind_as_torch_does(kind: Kind, tmp_path: Path) -> None:
    """But for AASIST, which has the convolutions of AASIST-L and the graph of XLS-R's, and AntiDeepfake, see above.

    All are small, for time: windows of half a second, but for SLS, whose head takes the frames of a full one only,
    and few layers and groups.
    """
    shapes = research_file(kind.name, BodySize(layers=1), groups=4)
    if kind.name != "xlsr-sls":
        kind = replace(kind, window_samples=8_000)
    model = filled(lively(shapes, LIVELY.get(kind.name, 1.6), quickly=True), kind, "file.pth")
    words = manifest(kind, name=kind.name, version="1", licence="none")
    write_folder(Research(kind, model, words), tmp_path / "out")
    samples = voices(2, kind.window_samples)
    with torch.inference_mode():
        expected = model(samples)
    assert_logits(tmp_path / "out", samples, expected)


def test_what_does_not_fit_is_listed_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = lively(research_file("aasist-l"))
    del state["out_layer.bias"]
    torch.save({"model_state_dict": state}, tmp_path / "detector.pth")
    command = [str(tmp_path / "detector.pth"), "--out", str(tmp_path / "out"), "--licence", "MIT"]
    assert main(command) == 1
    assert "1 missing: out_layer.bias" in capsys.readouterr().err
    assert main([*command, "--as", "rawnet2"]) == 1
    assert "missing: block0.0.bn2.bias" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_licence_is_stated_by_whoever_converts(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(checkpoint), "--out", str(tmp_path / "out")]) == 1
    assert "detector.pth is a research detector (aasist-l): state its weights' licence" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [["--spoof-label", "1"], ["--task", "face"]])
def test_what_would_be_ignored_is_refused(
    option: list[str], checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(checkpoint), "--out", str(tmp_path / "out"), "--licence", "MIT", *option]) == 1
    assert "class 0 means spoof: leave out --spoof-label" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UnsupportedModel, match="exists already"):
        write_folder(read_research(checkpoint, licence="MIT"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="there is no file"):
        read_research(tmp_path / "absent.pth", licence="MIT")
    (tmp_path / "torn.pth").write_bytes(b"PK\x03\x04torn")
    with pytest.raises(CheckpointMismatch, match="cannot be read"):
        read_research(tmp_path / "torn.pth", licence="MIT")


def test_a_kind_that_does_not_exist_is_refused(checkpoint: Path) -> None:
    with pytest.raises(UnsupportedModel, match="there is no kind 'x'; those are: aasist,"):
        read_research(checkpoint, "x", licence="MIT")


@pytest.mark.parametrize("field", ["name", "version", "licence"])
@pytest.mark.parametrize("value", ["", "two\nlines", "x" * 300])
def test_texts_that_no_manifest_may_hold_are_refused(field: str, value: str) -> None:
    texts = {"name": "detector", "version": "1", "licence": "MIT", field: value}
    with pytest.raises(UnsupportedModel, match=f"{field} .* cannot stand in a manifest"):
        manifest(KIND_OF["aasist"], **texts)


def test_the_same_weights_have_the_same_version(checkpoint: Path) -> None:
    versions = {read_research(checkpoint, licence=licence).manifest["version"] for licence in ("MIT", "none")}
    assert len(versions) == 1
    assert len(versions.pop()) == 12


@pytest.mark.parametrize("spoilt", ["no weights", "torn"])
def test_a_folder_that_lost_a_part_is_not_served(spoilt: str, tmp_path: Path) -> None:
    words = manifest(KIND_OF["aasist"], name="detector", version="1", licence="MIT")
    (tmp_path / "bonafide.json").write_text(json.dumps(words))
    (tmp_path / "model.xml").write_text("<net")
    if spoilt == "torn":
        (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(UnsupportedModel, match="convert it again"):
        VoiceSpoofModel.load(str(tmp_path), options(tmp_path))
