"""ONNX models with a manifest: scores as their authors' programs give them, prepared as the manifest says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.calibration import Calibration, calibration_path, logits, write_calibration
from models.errors import BadManifest, EngineUnavailable, UnsupportedModel
from models.face_model import FaceSpoofModel
from models.manifest_draft import draft
from models.voice_model import VoiceSpoofModel
from tests.models.checkpoints import options, windows
from tests.models.onnx_files import (
    aasist,
    face_manifest,
    face_onnx,
    field,
    minifasnet,
    model,
    node,
    port,
    save,
    softmax,
    tensor,
    voice_manifest,
    voice_onnx,
)
from tests.published import needs_weights, reference


def voice(folder: Path, manifest: dict[str, Any], onnx: bytes | None = None, **chosen: Any) -> VoiceSpoofModel:
    saved = save(folder / "voice", onnx or voice_onnx(), manifest)
    return VoiceSpoofModel.load(str(saved), options(folder, **chosen))


def mean_square_scores(items: list[NDArray[Any]]) -> NDArray[np.float64]:
    """P(spoof) of `voice_onnx` by its definition, for samples as the graph gets them."""
    energies = np.array([np.mean(np.square(item.astype(np.float64))) for item in items])
    scores: NDArray[np.float64] = 1 / (1 + np.exp(-8 * energies))
    return scores


@needs_weights
def test_aasist_gives_the_scores_of_its_authors_program(tmp_path: Path) -> None:
    detector = VoiceSpoofModel.load(str(aasist(tmp_path / "aasist")), options(tmp_path, max_batch=1))
    expected = softmax(reference("aasist-asvspoof5"))[::2, 0]
    np.testing.assert_allclose(detector.score(list(reference("pcm")[::2])), expected, atol=1e-3, rtol=1e-2)
    info = detector.info
    assert (info.name, info.precision, info.window_samples) == ("tiny-voice@1", "fp32", 64_600)
    assert (info.labels, info.spoof_index) == (("spoof", "bonafide"), 0)


@needs_weights
@pytest.mark.parametrize("weights", ["minifasnet-v2-2.7-80x80", "minifasnet-v1se-4.0-80x80"])
def test_minifasnet_gives_the_scores_of_its_authors_program(weights: str, tmp_path: Path) -> None:
    detector = FaceSpoofModel.load(str(minifasnet(tmp_path / "m", weights)), options(tmp_path))
    expected = 1 - softmax(reference(weights))[:, 1]
    assert expected.std() > 0.01
    rgb = list(np.ascontiguousarray(reference("images_bgr")[..., ::-1]))
    np.testing.assert_allclose(detector.score(rgb), expected, atol=1e-3)


def test_short_windows_are_completed_as_the_manifest_says(tmp_path: Path) -> None:
    full = [item[:64_600] for item in windows(64_600)]
    short = [item[:16_000] for item in full]
    unit = [item / 32768 for item in short]
    completed = {
        "repeat": [np.resize(item, 64_600) for item in unit],
        "zero_pad": [np.pad(item, (0, 48_600)) for item in unit],
        "as_is": unit,
    }
    for rule, expected in completed.items():
        detector = voice(tmp_path / rule, voice_manifest(window={"short": rule}))
        np.testing.assert_allclose(detector.score(short), mean_square_scores(expected), atol=1e-5)
        np.testing.assert_allclose(detector.score(full), mean_square_scores([i / 32768 for i in full]), atol=1e-5)
        bad: list[Any] = [full[0][:399], full[0].astype(np.float32), None, full[0][np.newaxis]]
        assert np.isnan(detector.score(bad)).all()


def test_a_chunk_is_cut_into_the_windows_of_a_model_that_takes_less(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    chunk = (rng.normal(0, 1, 64_000) * np.linspace(500, 9000, 64_000)).astype(np.int16)
    detector = voice(tmp_path, voice_manifest(window={"samples": 24_000, "hop": 16_000}))
    unit = chunk / 32768
    parts = [unit[start : start + 24_000] for start in (0, 16_000, 32_000, 40_000)]
    np.testing.assert_allclose(detector.score([chunk]), [mean_square_scores(parts).mean()], atol=1e-5)
    padded = voice(tmp_path / "p", voice_manifest(window={"samples": 24_000, "hop": 16_000, "last": "zero_pad"}))
    parts[3] = np.pad(unit[48_000:], (0, 8_000))
    np.testing.assert_allclose(padded.score([chunk]), [mean_square_scores(parts).mean()], atol=1e-5)
    assert padded.info.version != detector.info.version
    assert detector.info.window_samples == 64_000


@pytest.mark.parametrize("shape", [("n", 64_600), ("n", 1, 64_600), (1, 64_600)])
def test_graphs_with_a_channel_or_a_single_item(shape: tuple[int | str, ...], tmp_path: Path) -> None:
    items = windows(64_600)
    detector = voice(tmp_path, voice_manifest(), voice_onnx(shape))
    np.testing.assert_allclose(detector.score(items), mean_square_scores([i / 32768 for i in items]), atol=1e-5)


def test_scales_and_pre_emphasis(tmp_path: Path) -> None:
    items = windows(64_600)
    as_int16 = voice(tmp_path / "a", voice_manifest(input={"scale": "int16"}), voice_onnx(weights=_small(1e-8)))
    expected = 1 / (1 + np.exp(-2e-8 * np.array([np.mean(np.square(i.astype(float))) for i in items])))
    np.testing.assert_allclose(as_int16.score(items), expected, atol=1e-5)
    emphasised = [np.concatenate([i[:1], i[1:] - 0.97 * i[:-1]]) / 32768 for i in items]
    detector = voice(tmp_path / "b", voice_manifest(input={"pre_emphasis": 0.97}))
    np.testing.assert_allclose(detector.score(items), mean_square_scores(emphasised), atol=1e-5)
    normal = voice(tmp_path / "c", voice_manifest(input={"scale": "z_score"}), voice_onnx(weights=_small(0.5)))
    np.testing.assert_allclose(normal.score(items[:5]), 1 / (1 + np.exp(-1.0)), atol=1e-3)


def _small(weight: float) -> NDArray[np.float32]:
    return np.array([[weight, -weight]], np.float32)


@pytest.mark.parametrize(
    ("output", "weights", "last", "sign"),
    [
        ({"spoof": 1}, [[4, -4]], None, -8),
        ({"spoof": [0], "labels": ["fake", "real"]}, [[4, -4]], None, 8),
        ({"spoof": "higher"}, [[8]], None, 8),
        ({"spoof": "lower"}, [[8]], None, -8),
        ({"kind": "log_likelihood_ratio", "spoof": "lower"}, [[8]], None, -8),
        ({"name": "last", "kind": "probabilities", "spoof": "lower"}, [[8]], "Sigmoid", -8),
        ({"name": "last", "kind": "probabilities", "spoof": 0}, [[4, -4]], "Softmax", 8),
    ],
)
def test_outputs_are_read_as_the_manifest_says(
    output: dict[str, Any], weights: list[list[float]], last: str | None, sign: float, tmp_path: Path
) -> None:
    items = windows(64_600)
    onnx = voice_onnx(weights=np.array(weights, np.float32), last=last)
    detector = voice(tmp_path, voice_manifest(output=output), onnx)
    energies = np.array([np.mean(np.square(item / 32768)) for item in items])
    np.testing.assert_allclose(detector.score(items), 1 / (1 + np.exp(-sign * energies)), atol=1e-5)


def test_logits_that_lie_in_0_to_1_are_not_taken_for_probabilities(tmp_path: Path) -> None:
    onnx = voice_onnx(weights=np.array([[0.9, 0.1]], np.float32))
    with pytest.raises(BadManifest, match=r"output\.kind: probabilities, but those of the classes sum to 0"):
        voice(tmp_path, voice_manifest(output={"kind": "probabilities"}), onnx)
    apart = voice_onnx(weights=np.array([[4.0, 4.0]], np.float32), last="Sigmoid")  # of each class its own
    voice(tmp_path / "apart", voice_manifest(output={"name": "last", "kind": "probabilities"}), apart)


_ENDS: dict[str, tuple[list[bytes], str, int | str]] = {
    "one class of a softmax": (
        [node("Softmax", ["logits"], "p", axis=1), node("Gather", ["p", "0"], "end", axis=1)],
        "graph ends with a softmax",
        "higher",
    ),
    "a sigmoid of another shape": (
        [node("Sigmoid", ["logits"], "p"), node("Reshape", ["p", "shape"], "end")],
        "graph ends with a sigmoid",
        0,
    ),
    "a probability and what it leaves": (
        [
            node("Softmax", ["logits"], "p", axis=1),
            node("Gather", ["p", "0"], "of spoof", axis=1),
            node("Sub", ["one", "of spoof"], "rest"),
            node("Concat", ["of spoof", "rest"], "end", axis=1),
        ],
        "values of the classes share 1",
        0,
    ),
    "one class of a log-softmax": (
        [node("LogSoftmax", ["logits"], "log", axis=1), node("Gather", ["log", "0"], "end", axis=1)],
        "log of one class's probability",
        "lower",
    ),
}


def _ending(nodes: list[bytes], count: int) -> bytes:
    """`voice_onnx`, of whose logits these nodes make `end`."""
    given = [
        node("Mul", ["samples", "samples"], "square"),
        node("ReduceMean", ["square"], "mean", axes=[1], keepdims=0),
        node("Unsqueeze", ["mean"], "column", axes=[1]),
        node("MatMul", ["column", "weights"], "logits"),
    ]
    tensors = [tensor("weights", _small(4.0)), tensor("one", np.ones((1, 1), np.float32))]
    tensors += [tensor("0", np.array([0])), tensor("shape", np.array([-1, 2]))]
    return model([*given, *nodes], tensors, [port("samples", ("n", "samples"))], [port("end", ("n", count))])


@pytest.mark.parametrize("end", _ENDS)
def test_probabilities_are_not_taken_for_logits(end: str, tmp_path: Path) -> None:
    """Their sigmoid is 0.5 at least: everything would be spoof, or nothing."""
    nodes, said, spoof = _ENDS[end]
    onnx = _ending(nodes, 1 if isinstance(spoof, str) else 2)
    with pytest.raises(BadManifest, match=rf"output\.\w+: .*{said}"):
        voice(tmp_path, voice_manifest(output={"name": "end", "spoof": spoof}), onnx)


def test_an_output_of_any_rank_is_refused_with_its_reason(tmp_path: Path) -> None:
    """It was taken for a single value, and the manifest asked for its sign."""
    onnx = _ending([node("Squeeze", ["logits"], "end")], 2)
    with pytest.raises(UnsupportedModel, match="squeeze"):
        voice(tmp_path, voice_manifest(output={"name": "end"}), onnx)
    with pytest.raises(UnsupportedModel, match="squeeze"):
        draft(tmp_path / "voice/model.onnx")


def test_probabilities_of_each_class_its_own_are_served_in_any_shape(tmp_path: Path) -> None:
    nodes, _, _ = _ENDS["a sigmoid of another shape"]
    detector = voice(tmp_path, voice_manifest(output={"name": "end", "kind": "probabilities"}), _ending(nodes, 2))
    items = windows(64_600)
    energies = np.array([np.mean(np.square(item / 32768)) for item in items])
    np.testing.assert_allclose(detector.score(items), 1 / (1 + np.exp(-4 * energies)), atol=1e-5)


def test_a_picture_is_given_in_the_models_own_order_and_scale(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    pictures = [rng.integers(low, low + 60, (16, 24, 3), dtype=np.uint8) for low in (0, 90, 190)]
    pictures[1][..., 0] += 40
    for kind, sign in (("bgr", -1), ("rgb", 1)):
        folder = save(tmp_path / kind, face_onnx(), face_manifest(input={"kind": kind}))
        detector = FaceSpoofModel.load(str(folder), options(tmp_path))
        means = np.array([picture.mean(axis=(0, 1)) for picture in pictures])
        first = sign * (means[:, 0] - means[:, 2]) / 50
        expected = (np.exp(first) + 1) / (np.exp(first) + 2)
        np.testing.assert_allclose(detector.score(pictures), expected, atol=1e-5)
    normalised = {"scale": "unit", "mean": [0.5, 0.4, 0.3], "std": [0.1, 0.2, 0.4], "kind": "rgb"}
    folder = save(tmp_path / "n", face_onnx(), face_manifest(input=normalised))
    planes = (means / 255 - [0.5, 0.4, 0.3]) / [0.1, 0.2, 0.4]
    first = (planes[:, 0] - planes[:, 2]) / 50
    scores = FaceSpoofModel.load(str(folder), options(tmp_path)).score(pictures)
    np.testing.assert_allclose(scores, (np.exp(first) + 1) / (np.exp(first) + 2), atol=1e-5)
    assert np.isnan(detector.score([pictures[0][:8]])).all()


def test_a_calibration_beside_it_or_in_the_manifest(tmp_path: Path) -> None:
    items = windows(64_600)
    plain = voice(tmp_path / "a", voice_manifest())
    stated = voice(tmp_path / "b", voice_manifest(calibration={"scale": 2.0, "offset": -1.0, "threshold": 0.3}))
    expected = 1 / (1 + np.exp(-(2 * logits(plain.score(items)) - 1)))
    np.testing.assert_allclose(stated.score(items), expected, atol=1e-5)
    assert (stated.info.threshold, stated.info.calibrated, plain.info.calibrated) == (0.3, True, False)
    fitted = Calibration(1.0, 0.5, 0.7, plain.info.version)
    write_calibration(fitted, calibration_path(tmp_path / "b" / "voice"))
    chosen = options(tmp_path)
    assert VoiceSpoofModel.load(str(tmp_path / "b" / "voice"), chosen).info.threshold == 0.7
    raw = VoiceSpoofModel.load(str(tmp_path / "b" / "voice"), replace(chosen, calibrated=False))
    assert raw.info.version == plain.info.version
    np.testing.assert_allclose(raw.score(items), plain.score(items), atol=1e-6)


def _items_meet(nodes: list[bytes]) -> bytes:
    """A graph of these nodes, from `samples` and their `square` to `logits`, of which the second is `mixed`."""
    weights = np.zeros((64_600, 2), np.float32)
    weights[:1000, 0] = 0.3
    whole = [node("Mul", ["samples", "samples"], "square"), *nodes, node("MatMul", ["mixed", "weights"], "logits")]
    tensors = [tensor("weights", weights), tensor("none", np.zeros((1, 1), np.float32)), tensor("0", np.array([0]))]
    return model(whole, tensors, [port("samples", ("n", 64_600))], [port("logits", ("n", 2))])


@pytest.mark.parametrize(
    "nodes",
    [
        # Its mean is over the batch, too, as that of a normalisation left in training mode is.
        [node("ReduceMean", ["square"], "mean"), node("Add", ["samples", "mean"], "mixed")],
        # The first item stands for all, as where one was indexed.
        [
            node("Gather", ["square", "0"], "first"),
            node("Mul", ["square", "none"], "nothing"),
            node("Add", ["first", "nothing"], "mixed"),
        ],
    ],
)
def test_a_graph_whose_items_change_each_other_is_computed_one_by_one(
    nodes: list[bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    detector = voice(tmp_path, voice_manifest(), _items_meet(nodes))
    assert "one by one" in caplog.text
    items = [item[:64_600] for item in windows(64_600)]
    alone = np.concatenate([detector.score([item]) for item in items])
    assert np.ptp(alone) > 0.1
    np.testing.assert_allclose(detector.score(items), alone, atol=1e-6)


@pytest.mark.parametrize(
    ("manifest", "onnx", "said"),
    [
        ({"output": {"spoof": [0, 1]}}, {}, r"output\.spoof: of 2 classes"),
        ({"output": {"spoof": 2}}, {}, r"output\.spoof: of 2 classes"),
        ({"output": {"spoof": "higher"}}, {}, r"output\.spoof: the output has 2 classes"),
        ({}, {"weights": np.ones((1, 1), np.float32)}, r"output\.spoof: the output is a single value"),
        ({"output": {"name": "other"}}, {}, r"output\.name: the graph's outputs are 'logits'"),
        ({"input": {"name": "other"}}, {}, r"input\.name: the graph's input is 'samples'"),
        ({"window": {"samples": 64_000}}, {"shape": ("n", 64_600)}, r"input\.window\.samples: the graph takes 64600"),
        ({"window": {"short": "as_is"}}, {"shape": ("n", 64_600)}, r"input\.window\.short: as_is"),
        ({"output": {"name": "last"}}, {"last": "Softmax"}, r"output\.kind: logits, but the graph ends with a softmax"),
        ({"output": {"labels": ["spoof", "bonafide", "live"]}}, {}, r"output\.labels: the output has 2 classes"),
    ],
)
def test_a_manifest_that_its_graph_contradicts_is_refused(
    manifest: dict[str, Any], onnx: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(BadManifest, match=said):
        voice(tmp_path, voice_manifest(**manifest), voice_onnx(**onnx))


def _pooled() -> bytes:
    """Logits from means over 1,000 samples, of which there is none in less."""
    nodes = [
        node("Unsqueeze", ["samples"], "channel", axes=[1]),
        node("AveragePool", ["channel"], "means", kernel_shape=[1000], strides=[500]),
        node("Mul", ["means", "means"], "square"),
        node("ReduceMean", ["square"], "mean", axes=[1, 2], keepdims=0),
        node("Unsqueeze", ["mean"], "column", axes=[1]),
        node("MatMul", ["column", "weights"], "logits"),
    ]
    shapes = [port("samples", ("n", "samples"))], [port("logits", ("n", 2))]
    return model(nodes, [tensor("weights", _small(4.0))], *shapes)


@pytest.mark.parametrize(
    "window", [{"short": "as_is"}, {"samples": 16_000, "short": "as_is"}, {"samples": 16_000, "last": "as_is"}]
)
def test_a_window_that_a_graph_makes_nothing_of_is_refused_when_it_is_opened(
    window: dict[str, Any], tmp_path: Path
) -> None:
    """OpenVINO answers with the score of the window before, and gives it to all that come behind."""
    with pytest.raises(BadManifest, match=r"input\.window\.min_samples: of 400 samples"):
        voice(tmp_path, voice_manifest(window=window), _pooled())
    detector = voice(tmp_path / "told", voice_manifest(window={**window, "min_samples": 1000}), _pooled())
    loud, quiet = np.full(64_000, 16_000, np.int16), np.full(1000, 100, np.int16)
    assert detector.score([loud])[0] > 0.8
    assert detector.score([quiet])[0] < 0.6
    assert np.isnan(detector.score([quiet[:999]])[0])


def test_what_a_setting_or_another_task_would_change_is_refused(tmp_path: Path) -> None:
    folder = str(save(tmp_path / "v", voice_onnx(), voice_manifest()))
    with pytest.raises(UnsupportedModel, match="BONAFIDE_VOICE_SPOOF_LABEL is set"):
        VoiceSpoofModel.load(folder, options(tmp_path, spoof_label="1"))
    with pytest.raises(UnsupportedModel, match="voice model by its manifest"):
        FaceSpoofModel.load(folder, options(tmp_path))
    with pytest.raises(EngineUnavailable, match="ONNX models run in OpenVINO"):
        VoiceSpoofModel.load(folder, options(tmp_path, engine="torch"))
    save(tmp_path / "f", face_onnx(("n", 3, 20, 24)), face_manifest())
    with pytest.raises(BadManifest, match=r"input\.resize: it leads to 16 rows of 24 pixels"):
        FaceSpoofModel.load(str(tmp_path / "f"), options(tmp_path))


def test_an_operator_that_no_library_is_loaded_for(tmp_path: Path) -> None:
    nodes = [field(1, "samples") + field(2, "logits") + field(4, "Mine") + field(7, "my.own")]
    onnx = model(nodes, [], [port("samples", ("n", 64_600))], [port("logits", ("n", 2))])
    with pytest.raises(UnsupportedModel, match="Mine"):
        voice(tmp_path, voice_manifest(), onnx)
