import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification, pipeline
from transformers.image_processing_backends import PilBackend
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from models.errors import AmbiguousLabels, UnsupportedModel
from models.face_model import FaceSpoofModel
from tests.models.checkpoints import TINY_DINOV2, TWO_LAYERS, apply, options, photos, plain_face_scores, save_face
from tests.models.test_voice_model import ENGINES, FULL_SIZE

LoadedFace = Callable[[Path, str, str], FaceSpoofModel]
TOLERANCE = {"fp32": 1e-4, "bf16": 0.02}
"""Largest difference of a probability to plain transformers in fp32, on scores that spread over 0.1 to 0.9."""
FULL_SIZE_TOLERANCE = {"fp32": 1e-4, "bf16": 0.03}
BATCH_TOLERANCE = {"fp32": 1e-5, "bf16": 2e-3}
"""Largest difference of a probability between a photo alone and the same one among others."""


def _prepared(detector: FaceSpoofModel) -> list[NDArray[np.uint8]]:
    assert detector.info.geometry is not None
    return [apply(detector.info.geometry, photo) for photo in photos()]


@pytest.fixture(scope="module")
def tiny_backward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of `tiny_face`, with the classes the other way round."""
    return save_face(tmp_path_factory.mktemp("backward") / "m", ["fake", "live"], **TINY_DINOV2)


@pytest.mark.parametrize(("engine", "precision"), ENGINES)
class TestTiny:
    def test_agrees_with_transformers(
        self, tiny_face: Path, loaded_face: LoadedFace, engine: str, precision: str
    ) -> None:
        detector = loaded_face(tiny_face, engine, precision)
        expected = plain_face_scores(tiny_face, photos(), 1)
        np.testing.assert_allclose(detector.score(_prepared(detector)), expected, atol=TOLERANCE[precision])
        assert expected.std() > 0.05, "scores must differ for the comparison to mean anything"

    def test_company_changes_no_score(
        self, tiny_face: Path, loaded_face: LoadedFace, engine: str, precision: str
    ) -> None:
        detector = loaded_face(tiny_face, engine, precision)
        items = _prepared(detector) * 2
        alone = np.concatenate([detector.score([item]) for item in items])
        np.testing.assert_allclose(detector.score(items), alone, atol=BATCH_TOLERANCE[precision])

    def test_bad_photos_get_nan_and_harm_nobody(
        self, tiny_face: Path, loaded_face: LoadedFace, engine: str, precision: str
    ) -> None:
        detector = loaded_face(tiny_face, engine, precision)
        good = _prepared(detector)
        bad: list[Any] = [
            np.zeros((56, 56), np.uint8),
            np.zeros((56, 56, 4), np.uint8),
            np.zeros((3, 56, 56), np.uint8),
            np.zeros((57, 56, 3), np.uint8),
            np.zeros((0, 0, 3), np.uint8),
            np.zeros((56, 56, 3), np.float32),
            None,
        ]
        scores = detector.score([good[0], *bad, *good[1:]])
        assert np.isnan(scores[1 : 1 + len(bad)]).all()
        np.testing.assert_allclose(
            np.delete(scores, range(1, 1 + len(bad))), detector.score(good), atol=BATCH_TOLERANCE[precision]
        )

    def test_both_label_orders_give_the_same_class_the_same_score(
        self, tiny_face: Path, tiny_backward: Path, loaded_face: LoadedFace, engine: str, precision: str
    ) -> None:
        scores = {}
        for folder in (tiny_face, tiny_backward):
            detector = loaded_face(folder, engine, precision)
            scores[detector.info.spoof_index] = detector.score(_prepared(detector))
        np.testing.assert_allclose(scores[1], 1 - scores[0], atol=1e-5)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_other_image_classifiers_load_the_same_way(engine: str, tmp_path: Path) -> None:
    config: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "image_size": 48,
    }
    folder = save_face(
        tmp_path / "vit",
        ["Real", "Fake"],
        processor=ViTImageProcessorPil(size={"height": 48, "width": 48}),
        model_class=ViTForImageClassification,
        config_class=ViTConfig,
        **config,
    )
    detector = FaceSpoofModel.load(str(folder), options(tmp_path, engine=engine, precision="fp32"))
    expected = plain_face_scores(folder, photos(), 1, ViTImageProcessorPil)
    np.testing.assert_allclose(detector.score(_prepared(detector)), expected, atol=1e-4)


def test_more_attacks_than_one(tmp_path: Path) -> None:
    folder = save_face(tmp_path / "m", ["print", "live", "replay"], **TINY_DINOV2)
    detector = FaceSpoofModel.load(str(folder), options(tmp_path, engine="torch", precision="fp32"))
    assert detector.info.spoof_index is None
    expected = 1 - plain_face_scores(folder, photos(), 1)
    np.testing.assert_allclose(detector.score(_prepared(detector)), expected, atol=1e-4)


def test_classes_with_probabilities_of_their_own(tmp_path: Path) -> None:
    config = {**TINY_DINOV2, **TWO_LAYERS, "problem_type": "multi_label_classification"}
    folder = save_face(tmp_path / "m", ["live", "fake"], **config)
    detector = FaceSpoofModel.load(str(folder), options(tmp_path, engine="torch", precision="fp32"))
    classify = pipeline(
        "image-classification", model=str(folder), image_processor=BitImageProcessorPil.from_pretrained(folder)
    )
    said = [{each["label"]: each["score"] for each in classify(Image.fromarray(photo))} for photo in photos()]
    assert any(sum(each.values()) > 1.1 for each in said), "they must not share one for the comparison to mean anything"
    np.testing.assert_allclose(detector.score(_prepared(detector)), [each["fake"] for each in said], atol=1e-4)
    folder = save_face(tmp_path / "n", ["live", "fake"], **TINY_DINOV2)
    plain = FaceSpoofModel.load(str(folder), options(tmp_path, engine="torch"))
    assert plain.info.version != detector.info.version


def test_outputs_that_are_no_classes_are_refused(tmp_path: Path) -> None:
    folder = save_face(tmp_path / "m", ["live", "fake"], problem_type="regression", **TINY_DINOV2)
    with pytest.raises(UnsupportedModel, match="problem_type is 'regression'"):
        FaceSpoofModel.load(str(folder), options(tmp_path))


def test_info_says_how_a_photo_is_prepared(tiny_face: Path, loaded_face: LoadedFace) -> None:
    info = loaded_face(tiny_face, "openvino", "fp32").info
    told = json.loads(json.dumps(info.to_dict()))
    assert told["geometry"] == {
        "resize_shortest_edge": 64,
        "resize_height": None,
        "resize_width": None,
        "crop_height": 56,
        "crop_width": 56,
        "resample": 3,
        "antialias": True,
        "face_factor": None,
        "crop_half_to_even": False,
    }
    assert (told["task"], told["name"], told["labels"], told["spoof_index"]) == (
        "face",
        "tiny-face",
        ["live", "spoof"],
        1,
    )


def test_unnamed_classes_are_refused(tmp_path: Path) -> None:
    folder = save_face(tmp_path / "m", ["LABEL_0", "LABEL_1"], **TINY_DINOV2)
    with pytest.raises(AmbiguousLabels, match="BONAFIDE_FACE_SPOOF_LABEL"):
        FaceSpoofModel.load(str(folder), options(tmp_path))


def test_a_voice_model_is_refused(tiny_voice: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="image processor Wav2Vec2FeatureExtractor is not supported"):
        FaceSpoofModel.load(str(tiny_voice), options(tmp_path))


def test_a_pth_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chk.pth").touch()
    with pytest.raises(UnsupportedModel, match="only voice models"):
        FaceSpoofModel.load(str(tmp_path / "chk.pth"), options(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "processor"),
    [
        (
            {"hidden_size": 384, "num_attention_heads": 6},
            BitImageProcessorPil(size={"shortest_edge": 112}, crop_size={"height": 112, "width": 112}),
        ),
        ({}, BitImageProcessorPil(size={"shortest_edge": 256})),
    ],
    ids=["small, 112 px", "base, 224 px"],
)
def test_full_size(size: dict[str, Any], processor: PilBackend, tmp_path: Path) -> None:
    """The first layer of DINOv2-small and -base, with random weights and the published ones' grid of 518 pixels."""
    shape = {"num_hidden_layers": 1, "image_size": 518, "patch_size": 14, **size}
    folder = save_face(tmp_path / "dinov2", ["live", "spoof"], processor=processor, **shape)
    expected = plain_face_scores(folder, photos()[:3], 1)
    assert expected.std() > 0.05
    for precision in FULL_SIZE:
        detector = FaceSpoofModel.load(
            str(folder), options(tmp_path, engine="openvino", precision=precision, max_batch=3)
        )
        items = _prepared(detector)[:3]
        scores = detector.score(items)
        np.testing.assert_allclose(scores, expected, atol=FULL_SIZE_TOLERANCE[precision])
        np.testing.assert_allclose(scores[:1], detector.score(items[:1]), atol=BATCH_TOLERANCE[precision])
