import functools
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import (
    HubertConfig,
    HubertForSequenceClassification,
    Wav2Vec2Config,
    Wav2Vec2ForSequenceClassification,
    WavLMConfig,
    WavLMForSequenceClassification,
    pipeline,
)
from transformers.models.sew.configuration_sew import SEWConfig
from transformers.models.sew.modeling_sew import SEWForSequenceClassification

from models import voice_model
from models.devices import cpu_has_bf16
from models.errors import AmbiguousLabels, ModelError, UnsupportedModel
from models.manifest_fields import Last
from models.pooled_wavlm import PooledWavLM
from models.voice_model import WAVLM_BASE, VoiceSpoofModel, _PthVoice
from models.window_rule import WindowRule
from tests.models.checkpoints import (
    TINY_WAVE,
    TWO_LAYERS,
    PlainPooled,
    options,
    plain_pooled_scores,
    plain_voice_scores,
    random_pooled,
    save_voice,
    windows,
)

LoadedVoice = Callable[[Path, str, str], VoiceSpoofModel]
ENGINES = [
    ("torch", "fp32"),
    ("openvino", "fp32"),
    *([("torch", "bf16"), ("openvino", "bf16")] if cpu_has_bf16() else []),
]
TOLERANCE = {"fp32": 1e-4, "bf16": 0.02}
"""Largest difference of a probability to plain transformers in fp32, on scores that spread over 0.1 to 0.9."""
FULL_SIZE = ["fp32", *(["bf16"] if cpu_has_bf16() else [])]
"""Precisions of OpenVINO, which serves on a CPU."""
FULL_SIZE_TOLERANCE = {"fp32": 1e-4, "bf16": 0.03}
BATCH_TOLERANCE = {"fp32": 1e-5, "bf16": 2e-3}
"""Largest difference of a probability between a window alone and the same one among others."""


def _alone(detector: VoiceSpoofModel, items: list[NDArray[np.int16]]) -> NDArray[np.float32]:
    return np.concatenate([detector.score([item]) for item in items])


@pytest.fixture(scope="module")
def tiny_normalized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_voice(tmp_path_factory.mktemp("normalized") / "m", ["bonafide", "spoof"], normalize=True, **TINY_WAVE)


@pytest.fixture(scope="module")
def tiny_backward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of `tiny_voice`, with the classes the other way round."""
    return save_voice(tmp_path_factory.mktemp("backward") / "m", ["Fake", "Real"], **TINY_WAVE)


@functools.cache
def _plain_scores(folder: Path, samples: int) -> NDArray[np.float32]:
    return plain_voice_scores(folder, windows(samples), 1)


@pytest.mark.parametrize(("engine", "precision"), ENGINES)
class TestTiny:
    @pytest.mark.parametrize("normalize", [False, True])
    @pytest.mark.parametrize("samples", [64_000, 32_000, 16_000, 12_345])
    def test_agrees_with_transformers(
        self,
        tiny_voice: Path,
        tiny_normalized: Path,
        loaded_voice: LoadedVoice,
        engine: str,
        precision: str,
        normalize: bool,
        samples: int,
    ) -> None:
        folder = tiny_normalized if normalize else tiny_voice
        expected = _plain_scores(folder, samples)
        scores = loaded_voice(folder, engine, precision).score(windows(samples))
        np.testing.assert_allclose(scores, expected, atol=TOLERANCE[precision])
        assert expected.std() > 0.05, "scores must differ for the comparison to mean anything"

    def test_company_changes_no_score(
        self, tiny_voice: Path, loaded_voice: LoadedVoice, engine: str, precision: str
    ) -> None:
        detector = loaded_voice(tiny_voice, engine, precision)
        items = windows() + windows(16_000)
        np.testing.assert_allclose(detector.score(items), _alone(detector, items), atol=BATCH_TOLERANCE[precision])

    def test_bad_windows_get_nan_and_harm_nobody(
        self, tiny_voice: Path, loaded_voice: LoadedVoice, engine: str, precision: str
    ) -> None:
        detector = loaded_voice(tiny_voice, engine, precision)
        good = windows()
        bad: list[Any] = [
            np.zeros(0, np.int16),
            np.zeros(399, np.int16),  # one sample short of a frame
            np.zeros((2, 64_000), np.int16),
            np.zeros(64_000, np.float32),
            np.zeros(64_000, np.int32),
            np.zeros(16_000 * 61, np.int16),
            None,
            "noise",
            [0] * 64_000,
        ]
        scores = detector.score([good[0], *bad, *good[1:]])
        assert scores.dtype == np.float32
        assert np.isnan(scores[1 : 1 + len(bad)]).all()
        np.testing.assert_allclose(
            np.delete(scores, range(1, 1 + len(bad))), detector.score(good), atol=BATCH_TOLERANCE[precision]
        )

    def test_every_int16_window_has_a_score(
        self, tiny_voice: Path, loaded_voice: LoadedVoice, engine: str, precision: str
    ) -> None:
        detector = loaded_voice(tiny_voice, engine, precision)
        square = np.where(np.arange(64_000) // 50 % 2, 32767, -32768).astype(np.int16)
        odd = [np.zeros(64_000, np.int16), np.full(64_000, -32768, np.int16), square, np.zeros(400, np.int16)]
        scores = detector.score([*odd, windows()[0][::-1]])  # a view with negative strides too
        assert ((scores >= 0) & (scores <= 1)).all()

    def test_both_label_orders_give_the_same_class_the_same_score(
        self,
        tiny_voice: Path,
        tiny_backward: Path,
        workspace: Path,
        loaded_voice: LoadedVoice,
        engine: str,
        precision: str,
    ) -> None:
        chosen = options(workspace, engine=engine, precision=precision, spoof_label="bonafide")
        first, second = (loaded_voice(folder, engine, precision) for folder in (tiny_voice, tiny_backward))
        overridden = VoiceSpoofModel.load(str(tiny_voice), chosen)
        assert [detector.info.spoof_index for detector in (first, second, overridden)] == [1, 0, 0]
        np.testing.assert_allclose(first.score(windows()), 1 - second.score(windows()), atol=1e-5)
        np.testing.assert_array_equal(second.score(windows()), overridden.score(windows()))
        assert len({detector.info.version for detector in (first, second, overridden)}) == 3


@pytest.mark.parametrize(
    ("model_class", "config_class", "config"),
    [
        (Wav2Vec2ForSequenceClassification, Wav2Vec2Config, {}),
        (HubertForSequenceClassification, HubertConfig, {}),
        (
            WavLMForSequenceClassification,
            None,
            {**TWO_LAYERS, "do_stable_layer_norm": True, "feat_extract_norm": "layer"},
        ),
        (WavLMForSequenceClassification, None, {**TWO_LAYERS, "use_weighted_layer_sum": True}),
    ],
    ids=["wav2vec2", "hubert", "wavlm-large", "weighted layers"],
)
@pytest.mark.parametrize(("engine", "precision"), [("torch", "fp32"), ("openvino", "fp32")])
def test_relatives_load_the_same_way(
    model_class: Any, config_class: Any, config: dict[str, Any], engine: str, precision: str, tmp_path: Path
) -> None:
    more = {"config_class": config_class} if config_class else {}
    folder = save_voice(
        tmp_path / "m", ["real", "fake"], normalize=True, model_class=model_class, **more, **{**TINY_WAVE, **config}
    )
    detector = VoiceSpoofModel.load(str(folder), options(tmp_path, engine=engine, precision=precision))
    expected = plain_voice_scores(folder, windows(), 1)
    np.testing.assert_allclose(detector.score(windows()), expected, atol=1e-4)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_the_shortest_window_of_sew_gives_all_frames_that_it_makes_one_of(engine: str, tmp_path: Path) -> None:
    """With fewer, torch fails, and OpenVINO reads what lies in memory."""
    usual = {name: getattr(SEWConfig(), name) for name in ("conv_kernel", "conv_stride")}
    config = {**TINY_WAVE, **usual, "conv_dim": [16] * 13, "squeeze_factor": 3}
    folder = save_voice(
        tmp_path / "m", ["real", "fake"], model_class=SEWForSequenceClassification, config_class=SEWConfig, **config
    )
    detector = VoiceSpoofModel.load(str(folder), options(tmp_path, engine=engine, precision="fp32"))
    least = detector.info.min_samples
    assert np.isnan(detector.score(windows(least - 1))).all()
    np.testing.assert_allclose(detector.score(windows(least)), plain_voice_scores(folder, windows(least), 1), atol=1e-4)


def test_info_says_what_serves(tiny_voice: Path, loaded_voice: LoadedVoice) -> None:
    detector = loaded_voice(tiny_voice, "openvino", "fp32")
    told = json.loads(json.dumps(detector.info.to_dict()))
    version = told.pop("version")
    assert len(version) == 12
    assert told == {
        "task": "voice",
        "name": "tiny-voice",
        "architecture": "WavLMForSequenceClassification",
        "reference": str(tiny_voice),
        "local_path": str(tiny_voice),
        "demo": False,
        "labels": ["bonafide", "spoof"],
        "spoof_index": 1,
        "engine": "openvino",
        "device": "cpu",
        "precision": "fp32",
        "max_batch_size": 4,
        "geometry": None,
        "sample_rate": 16000,
        "window_samples": 64000,
        "min_samples": 400,
        "threshold": None,
        "calibrated": False,
        "speech_version": None,
        "members": [],
        "more_geometries": [],
        "fitted_scores": None,
        "prior_log_odds": None,
        "uncertain": None,
        "notice": "",
    }


def test_short_windows_are_repeated_for_a_model_that_says_nothing(tiny_voice: Path, tmp_path: Path) -> None:
    folder = tmp_path / "repeating"
    shutil.copytree(tiny_voice, folder)
    processor = json.loads((folder / "preprocessor_config.json").read_text())
    assert processor.pop("short_windows") == "as_is"
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    chosen = options(tmp_path, engine="torch", precision="fp32")  # it is done before any engine
    as_is, repeating = (VoiceSpoofModel.load(str(each), chosen) for each in (tiny_voice, folder))
    short, full = windows(16_000), windows()
    repeated = [np.concatenate([window] * 4) for window in short]
    np.testing.assert_allclose(repeating.score(short), as_is.score(repeated), atol=1e-5)
    np.testing.assert_allclose(repeating.score(full), as_is.score(full), atol=1e-5)
    assert np.isnan(repeating.score([np.zeros(0, np.int16), None])).all()  # type: ignore[list-item]
    assert repeating.info.version != as_is.info.version


def test_unnamed_classes_are_refused_until_the_setting_tells(tmp_path: Path) -> None:
    folder = save_voice(tmp_path / "m", ["LABEL_0", "LABEL_1"], **TINY_WAVE)
    with pytest.raises(AmbiguousLabels, match="BONAFIDE_VOICE_SPOOF_LABEL"):
        VoiceSpoofModel.load(str(folder), options(tmp_path))
    detector = VoiceSpoofModel.load(str(folder), options(tmp_path, engine="torch", precision="fp32", spoof_label="1"))
    np.testing.assert_allclose(detector.score(windows()), plain_voice_scores(folder, windows(), 1), atol=1e-4)


def test_a_single_logit_is_a_sigmoid(tmp_path: Path) -> None:
    scores = {}
    for label in ("spoof", "bonafide"):
        folder = save_voice(tmp_path / label, [label], **TINY_WAVE)
        scores[label] = VoiceSpoofModel.load(str(folder), options(tmp_path, engine="torch")).score(windows())
    assert scores["spoof"].std() > 0.05
    np.testing.assert_allclose(scores["spoof"], 1 - scores["bonafide"], atol=1e-6)


def test_a_single_logit_of_unknown_meaning_is_refused_until_the_setting_tells(tmp_path: Path) -> None:
    folder = save_voice(tmp_path / "m", ["LABEL_0"], **TINY_WAVE)
    with pytest.raises(AmbiguousLabels, match="BONAFIDE_VOICE_SPOOF_LABEL"):
        VoiceSpoofModel.load(str(folder), options(tmp_path))
    spoof, bonafide = (
        VoiceSpoofModel.load(str(folder), options(tmp_path, engine="torch", spoof_label=label)).score(windows())
        for label in ("LABEL_0", "not LABEL_0")
    )
    assert spoof.std() > 0.05
    np.testing.assert_allclose(spoof, 1 - bonafide, atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["real", "fake"], lambda said: said["fake"]),
        (["replay", "bonafide", "tts"], lambda said: 1 - said["bonafide"]),
    ],
)
def test_classes_with_probabilities_of_their_own(labels: list[str], expected: Any, tmp_path: Path) -> None:
    folder = save_voice(tmp_path / "m", labels, problem_type="multi_label_classification", **TINY_WAVE)
    detector = VoiceSpoofModel.load(str(folder), options(tmp_path, engine="torch", precision="fp32"))
    classify = pipeline("audio-classification", model=str(folder))
    said = [
        {each["label"]: each["score"] for each in classify(window.astype(np.float32) / 32768)} for window in windows()
    ]
    assert any(abs(sum(each.values()) - 1) > 0.1 for each in said), "a softmax would be no different"
    np.testing.assert_allclose(detector.score(windows()), [expected(each) for each in said], atol=1e-4)


def test_a_face_model_is_refused(tiny_face: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"is a dinov2 model, not one that classifies speech"):
        VoiceSpoofModel.load(str(tiny_face), options(tmp_path))


@pytest.mark.parametrize("reference", ["nowhere", "./nowhere", "nowhere.pth", "bento:nothing-like-this", "org/name"])
def test_every_failure_to_load_is_a_model_error(reference: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        VoiceSpoofModel.load(reference, options(tmp_path, offline=True))


def test_a_saved_hub_model(tiny_voice: Path, tmp_path: Path) -> None:
    chosen = options(tmp_path, engine="torch", precision="fp32", offline=True)
    saved = chosen.models_dir / "hub" / "someone--wavlm" / "main"
    saved.parent.mkdir(parents=True)
    saved.symlink_to(tiny_voice)
    detector = VoiceSpoofModel.load("someone/wavlm", chosen)
    assert detector.info.name == "someone/wavlm"
    expected = plain_voice_scores(tiny_voice, windows(), 1)
    np.testing.assert_allclose(detector.score(windows()), expected, atol=TOLERANCE["fp32"])


_SHORTENED = 12_000
"""Samples of a full window where it is the width that matters, for time."""
_BASE_OF_TWO = {**WAVLM_BASE, **TWO_LAYERS}
"""WavLM-base in all its widths; its other layers are as the second, which is given the first one's positions."""


def _config(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "model_type"}


def test_a_bare_file_is_of_the_size_of_wavlm_base() -> None:
    with torch.device("meta"):
        plain = PlainPooled(WavLMConfig(**_config(WAVLM_BASE))).state_dict()
        ours = PooledWavLM(WavLMConfig(**_PthVoice.config)).state_dict()
    assert {key: tensor.shape for key, tensor in ours.items()} == {key: tensor.shape for key, tensor in plain.items()}
    assert ours["linear.weight"].shape == (1, 768 * 128)
    assert {key.split(".")[3] for key in ours if key.startswith("wavlm.encoder.layers.")} == set(map(str, range(12)))


@pytest.fixture(scope="module")
def pooled_base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NDArray[np.float32]]:
    """A file of `_BASE_OF_TWO` with random weights, and the scores of its plain module for `_full_size_windows`."""
    module = random_pooled(**_config(_BASE_OF_TWO))
    path = tmp_path_factory.mktemp("full-size") / "chk.pth"
    torch.save({"model_state_dict": module.state_dict()}, path)
    return path, plain_pooled_scores(module, [np.resize(item, _SHORTENED) for item in _full_size_windows()])


def _full_size_windows() -> list[NDArray[np.int16]]:
    """A full window of `_SHORTENED`, and a short one, which is repeated."""
    return [windows(_SHORTENED)[0], windows(8_000)[4]]


@pytest.mark.slow
@pytest.mark.parametrize("precision", FULL_SIZE)
def test_full_size(
    pooled_base: tuple[Path, NDArray[np.float32]], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bare file by OpenVINO; the tiny models cover torch, and windows of 4 s."""
    monkeypatch.setattr(_PthVoice, "config", _BASE_OF_TWO)
    monkeypatch.setattr(voice_model, "WINDOW_SAMPLES", _SHORTENED)
    monkeypatch.setattr(voice_model, "_SHORT_SAMPLES", _SHORTENED // 2)
    path, expected = pooled_base
    detector = VoiceSpoofModel.load(
        str(path), options(path.parent, engine="openvino", precision=precision, max_batch=2)
    )
    assert (detector.info.name, detector.info.labels, detector.info.spoof_index) == ("chk", (), 0)
    items = _full_size_windows()
    scores = detector.score(items)
    np.testing.assert_allclose(scores, expected, atol=FULL_SIZE_TOLERANCE[precision])
    assert np.ptp(expected) > 0.05
    np.testing.assert_allclose(scores[:1], detector.score(items[:1]), atol=BATCH_TOLERANCE[precision])


class _Lengths:
    """An engine whose score tells how long an item was."""

    name, device, precision, max_batch_size = "openvino", "cpu", "fp32", 4

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        return np.full(len(batch), batch.shape[1] / 100_000, np.float32)


class TestRestOfAChunk:
    """A manifest's window with `last` `as_is`: what is left of a chunk may be too short for the model."""

    @staticmethod
    def detector(samples: int, hop: int, last: Last = "as_is") -> VoiceSpoofModel:
        info: Any = SimpleNamespace(min_samples=400)
        engine: Any = _Lengths()
        return VoiceSpoofModel(engine, info, rule=WindowRule(samples, hop, "as_is", last))

    @pytest.mark.parametrize(
        ("samples", "hop", "length", "score"),
        [
            (16_000, 16_000, 16_320, 0.16),  # 320 are left
            (21_300, 21_300, 64_000, 0.213),  # 100 are left of a whole chunk
            (16_000, 15_900, 32_150, 0.16),  # 350 are left behind the hop
            (16_000, 16_000, 16_400, (0.16 + 0.004) / 2),  # just long enough
        ],
    )
    def test_takes_no_other_part_with_it(self, samples: int, hop: int, length: int, score: float) -> None:
        scores = self.detector(samples, hop).score([np.zeros(length, np.int16)])
        assert scores == pytest.approx([score])

    def test_alone_has_no_score(self) -> None:
        scores = self.detector(16_000, 16_000).score([np.zeros(length, np.int16) for length in (399, 400)])
        assert np.isnan(scores[0])
        assert scores[1] == pytest.approx(0.004)
