"""The description of a model on its way from a runner to the service."""

import json
from dataclasses import replace
from typing import Any

import pytest

from models.info import ImageGeometry, MemberInfo, ModelInfo, ScoreCounts

FACE = ModelInfo(
    task="face",
    name="some/model",
    version="0123456789ab",
    architecture="Dinov2ForImageClassification",
    reference="some/model",
    local_path="data/models/some--model",
    demo=False,
    labels=("live", "spoof"),
    spoof_index=1,
    engine="openvino",
    device="cpu",
    precision="bf16",
    max_batch_size=8,
    geometry=ImageGeometry(256, None, None, 224, 224, 3),
)


PAIR = (
    MemberInfo("a", "1", 0.5, "openvino", "cpu", "fp32"),
    MemberInfo("b", "2", 1.5, "torch", "cuda", "bf16"),
)


def sent(info: ModelInfo, **changed: Any) -> dict[str, Any]:
    """What arrives of it, as JSON."""
    values: dict[str, Any] = json.loads(json.dumps(info.to_dict() | changed))
    return values


@pytest.mark.parametrize(
    "info",
    [
        FACE,
        replace(FACE, task="voice", geometry=None, sample_rate=16_000, window_samples=64_000, speech_version="one"),
        replace(FACE, labels=(), spoof_index=None, threshold=0.25, calibrated=True),
        replace(FACE, calibrated=True, fitted_scores=ScoreCounts((1,) * 10, (2,) * 10)),
        replace(FACE, engine="mixed", members=PAIR, more_geometries=(ImageGeometry(None, 80, 60, None, None, 2),)),
    ],
)
def test_it_arrives_as_it_was_sent(info: ModelInfo) -> None:
    assert ModelInfo.from_dict(sent(info)) == info


def test_what_a_newer_release_adds_is_ignored() -> None:
    geometry = sent(FACE)["geometry"] | {"rotate": 90}
    assert ModelInfo.from_dict(sent(FACE, added="later", geometry=geometry)) == FACE


@pytest.mark.parametrize("counts", [(), (1,) * 9, (0,) * 10, (-1,) + (1,) * 9, ("1",) * 10, (1.5,) * 10])
def test_counts_of_scores_are_checked(counts: Any) -> None:
    with pytest.raises(ValueError, match="scores"):
        ScoreCounts((1,) * 10, counts)


def test_an_item_holds_a_picture_for_each_preparation() -> None:
    assert FACE.picture_shape == (224, 224, 3)
    more = replace(FACE, more_geometries=(ImageGeometry(None, 80, 60, None, None, 2),))
    assert more.picture_shape == (224 * 224 * 3 + 80 * 60 * 3,)


def test_members_are_named_in_their_order_and_are_part_of_the_fingerprint() -> None:
    pair = replace(FACE, members=PAIR)
    assert pair.named([0.25, 0.5]) == {"a": 0.25, "b": 0.5}
    assert FACE.named([]) == {}
    with pytest.raises(ValueError, match="shorter"):
        pair.named([0.25])
    assert pair.fingerprint == f"{FACE.fingerprint}+openvino-cpu-fp32+torch-cuda-bf16"


def test_what_an_older_release_did_not_send_has_its_default() -> None:
    values = sent(FACE)
    for name in (
        "threshold",
        "calibrated",
        "speech_version",
        "sample_rate",
        "window_samples",
        "min_samples",
        "members",
        "more_geometries",
    ):
        del values[name]
    assert ModelInfo.from_dict(values) == FACE


@pytest.mark.parametrize("name", ["name", "version", "engine", "precision", "labels"])
def test_what_every_release_sends_must_be_there(name: str) -> None:
    values = sent(FACE)
    del values[name]
    with pytest.raises(KeyError, match=name):
        ModelInfo.from_dict(values)


def test_a_geometry_is_whole() -> None:
    with pytest.raises(KeyError, match="resize_height"):
        ModelInfo.from_dict(sent(FACE, geometry={"resize_shortest_edge": 256}))


def test_the_fingerprint_names_the_model_and_what_finds_speech() -> None:
    assert FACE.fingerprint == "0123456789ab-openvino-cpu-bf16"
    assert replace(FACE, speech_version="one").fingerprint == "0123456789ab-openvino-cpu-bf16-one"


@pytest.mark.parametrize(
    ("geometry", "size"),
    [
        (ImageGeometry(256, None, None, 224, 224, 3), (256, 341)),
        (ImageGeometry(None, 100, 50, None, None, 3), (50, 100)),
        (ImageGeometry(None, None, None, None, None, 3), (300, 400)),
    ],
)
def test_the_size_after_the_resize(geometry: ImageGeometry, size: tuple[int, int]) -> None:
    assert geometry.resized(300, 400) == size
