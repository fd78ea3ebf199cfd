"""Audio classifiers that take features: AST, Whisper and wav2vec2-BERT, tiny and random, against transformers alone."""

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from transformers import WhisperFeatureExtractor

from models.conversion import convert_model
from models.errors import CheckpointMismatch, UnsupportedModel
from models.tasks import guess_task
from models.voice_model import VoiceSpoofModel
from models.window_rule import WindowRule
from tests.models.checkpoints import options, windows
from tests.models.feature_checkpoints import FAMILIES, plain_features_scores, save_features_voice
from tests.models.test_voice_model import LoadedVoice

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("families")
    return {family: save_features_voice(folder / family, family) for family in FAMILIES}


@pytest.fixture(scope="module", params=FAMILIES)
def checkpoint(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> Path:
    return checkpoints[request.param]


@functools.cache
def plain_scores(checkpoint: Path, samples: int = 64_000) -> NDArray[np.float32]:
    return plain_features_scores(checkpoint, windows(samples))


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_scores_are_those_of_transformers(
    checkpoint: Path, workspace: Path, loaded_voice: LoadedVoice, engine: str
) -> None:
    detector = loaded_voice(checkpoint, engine, "fp32")
    expected = plain_scores(checkpoint)
    assert expected.std() > 0.05, "scores must differ for the comparison to mean anything"
    np.testing.assert_allclose(detector.score(windows()), expected, atol=1e-3)
    assert (detector.info.sample_rate, detector.info.window_samples) == (16_000, 64_000)
    assert guess_task(str(checkpoint), options(workspace)) == "voice"


@pytest.mark.parametrize("samples", [32_000, 12_345, 6_000])
def test_short_windows_as_they_are(checkpoint: Path, workspace: Path, samples: int) -> None:
    file = checkpoint / "preprocessor_config.json"
    kept = file.read_text()
    file.write_text(json.dumps({**json.loads(kept), "short_windows": "as_is"}))
    try:
        detector = VoiceSpoofModel.load(str(checkpoint), options(workspace, engine="torch", precision="fp32"))
    finally:
        file.write_text(kept)
    np.testing.assert_allclose(detector.score(windows(samples)), plain_scores(checkpoint, samples), atol=1e-3)


def test_short_windows_where_nothing_is_said(checkpoint: Path, loaded_voice: LoadedVoice) -> None:
    detector = loaded_voice(checkpoint, "torch", "fp32")
    short = windows(16_000)
    given = short if checkpoint.name != "wav2vec2-bert" else [np.tile(window, 4) for window in short]
    np.testing.assert_allclose(detector.score(short), plain_features_scores(checkpoint, given), atol=1e-3)


def test_bad_windows_get_nan_and_harm_nobody(checkpoint: Path, loaded_voice: LoadedVoice) -> None:
    detector = loaded_voice(checkpoint, "openvino", "fp32")
    bad: list[Any] = [np.zeros(0, np.int16), np.zeros(399, np.int16), np.zeros(64_000, np.float32), None, "noise"]
    good = windows()
    scores = detector.score([*bad, *good, np.zeros(64_000, np.int16)])
    assert np.isnan(scores[: len(bad)]).all()
    np.testing.assert_allclose(scores[len(bad) : -1], detector.score(good), atol=1e-5)
    assert 0 <= scores[-1] <= 1


@pytest.mark.parametrize(
    ("family", "config", "settings", "most"),
    [
        ("ast", {"max_length": 200}, {"max_length": 200}, 400 + 199 * 160),
        ("whisper", {"max_source_positions": 100}, {"chunk_length": 2}, 32_000),
    ],
)
def test_windows_that_the_model_does_not_hear_to_their_end_are_cut(
    family: str, config: dict[str, Any], settings: dict[str, Any], most: int, tmp_path: Path
) -> None:
    folder = save_features_voice(tmp_path / "m", family, settings=settings, **config)
    detector = VoiceSpoofModel.load(str(folder), options(tmp_path, engine="torch", precision="fp32"))
    parts = [WindowRule(most, most, "as_is").parts(window) for window in windows()]
    assert {len(each) for each in parts} == {2}
    expected = [plain_features_scores(folder, each).mean() for each in parts]
    np.testing.assert_allclose(detector.score(windows()), expected, atol=1e-3)


@pytest.mark.usefixtures("kept_speech")
def test_converted_folders_serve_without_torch(checkpoints: dict[str, Path], workspace: Path, tmp_path: Path) -> None:
    chosen = options(workspace, engine="openvino", precision="fp32")
    for family, checkpoint in checkpoints.items():
        convert_model(str(checkpoint), "voice", chosen, tmp_path / family)
    np.save(tmp_path / "windows.npy", np.stack(windows()))
    program = (
        "import sys; from pathlib import Path; import numpy; from models.options import LoadOptions\n"
        "from models.voice_model import VoiceSpoofModel\n"
        "windows, none, *folders = sys.argv[1:]\n"
        "chosen = LoadOptions(Path(none), Path(none), engine='openvino', precision='fp32')\n"
        "for folder in folders:\n"
        "    print(*VoiceSpoofModel.load(folder, chosen).score(list(numpy.load(windows))))\n"
        "sys.exit(bool({'torch', 'transformers', 'scipy'} & set(sys.modules)))"
    )
    given = map(str, (tmp_path / "windows.npy", tmp_path / "none", *(tmp_path / family for family in checkpoints)))
    done = subprocess.run(
        [sys.executable, "-c", program, *given],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for line, checkpoint in zip(done.stdout.splitlines(), checkpoints.values(), strict=True):
        np.testing.assert_allclose(np.array(line.split(), np.float32), plain_scores(checkpoint), atol=1e-3)


def test_the_file_of_another_family_is_refused(tmp_path: Path) -> None:
    folder = save_features_voice(tmp_path / "m", "ast")
    extractor: Any = WhisperFeatureExtractor
    extractor().save_pretrained(folder)
    with pytest.raises(CheckpointMismatch, match=r"config\.json"):
        VoiceSpoofModel.load(str(folder), options(tmp_path))
    (folder / "preprocessor_config.json").write_text('{"feature_extractor_type": "Wav2Vec2FeatureExtractor"}')
    with pytest.raises(UnsupportedModel, match="of another family"):
        VoiceSpoofModel.load(str(folder), options(tmp_path))
