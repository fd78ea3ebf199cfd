"""Ensembles: the members' own scores, each on its part of an item, and their fusion by the manifest's rule."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models import catalog
from models.calibration import Calibration, calibration_path, logits, write_calibration
from models.detectors import load_detector
from models.errors import BadManifest, ModelError, ModelUnavailable, UnsupportedModel
from models.face_model import FaceSpoofModel
from models.voice_model import VoiceSpoofModel
from tests.models.checkpoints import options, windows
from tests.models.onnx_files import (
    ensemble_manifest,
    face_manifest,
    face_onnx,
    minifasnet_pair,
    save,
    save_ensemble,
    softmax,
    voice_manifest,
    voice_onnx,
)
from tests.published import needs_weights, reference

SHORT, LONG = 24_000, 96_000


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    """Members of 1.5 s and of 6 s, which answer differently."""
    short = voice_manifest(name="short", window={"samples": SHORT})
    save(tmp_path / "pair" / "short", voice_onnx(), short)
    steep = voice_onnx(weights=np.array([[40.0, -4.0]], np.float32))
    save(tmp_path / "pair" / "long", steep, voice_manifest(name="long", window={"samples": LONG}))
    return save_ensemble(tmp_path / "pair", ensemble_manifest("voice", ["short", "long"]))


def alone(folder: Path, items: list[NDArray[Any]]) -> NDArray[np.float32]:
    return VoiceSpoofModel.load(str(folder), options(folder)).score(items)


def test_each_member_is_given_the_end_of_a_window_that_it_takes(voices: Path, tmp_path: Path) -> None:
    ensemble = load_detector(str(voices), "voice", options(tmp_path))
    assert ensemble.info.window_samples == LONG
    rng = np.random.default_rng(1)
    loudness = np.linspace(100, 9000, LONG)
    items = [(rng.normal(0, 1, LONG) * loudness)[-length:].astype(np.int16) for length in (LONG, 64_000, 9_000)]
    scores, members = ensemble.judge(items)
    np.testing.assert_allclose(members[:, 0], alone(voices / "short", [item[-64_000:] for item in items]), atol=1e-6)
    np.testing.assert_allclose(members[:, 1], alone(voices / "long", items), atol=1e-6)
    np.testing.assert_allclose(scores, members.mean(axis=1), atol=1e-6)
    np.testing.assert_array_equal(ensemble.score(items), scores)


def test_it_takes_windows_that_every_member_takes(tmp_path: Path) -> None:
    for name, least in (("one", 400), ("two", 1_040)):
        window = {"samples": SHORT, "min_samples": least}
        save(tmp_path / "pair" / name, voice_onnx(), voice_manifest(name=name, window=window))
    folder = save_ensemble(tmp_path / "pair", ensemble_manifest("voice", ["one", "two"]))
    ensemble = load_detector(str(folder), "voice", options(tmp_path))
    assert ensemble.info.min_samples == 1_040
    assert np.isnan(ensemble.score(windows(1_039))).all()
    assert np.isfinite(ensemble.score(windows(1_040))).all()


def test_what_one_member_cannot_score_has_no_score(voices: Path, tmp_path: Path) -> None:
    ensemble = load_detector(str(voices), "voice", options(tmp_path))
    good = windows(64_000)[0]
    bad: list[Any] = [good, good[:300], None, good.astype(np.float32), good[np.newaxis]]
    scores, members = ensemble.judge(bad)
    assert np.isfinite(scores).tolist() == [True, False, False, False, False]
    assert members.shape == (5, 2)
    assert ensemble.judge([]).members.shape == (0, 2)


def test_a_member_leaves_out_a_rest_that_is_too_short_for_it(voices: Path, tmp_path: Path) -> None:
    manifest = voice_manifest(name="short", window={"samples": SHORT, "last": "as_is"})
    save(voices / "short", voice_onnx(), manifest)
    ensemble = load_detector(str(voices), "voice", options(tmp_path))
    item = windows(64_000)[0]
    scores, members = ensemble.judge([item[: 2 * SHORT + 399], item[: 2 * SHORT], item[: 2 * SHORT + 400]])
    assert np.isfinite(scores).all()
    assert members[0, 0] == members[1, 0] != members[2, 0]


def test_rules_and_weights(voices: Path, tmp_path: Path) -> None:
    items = windows(64_000)
    members = load_detector(str(voices), "voice", options(tmp_path)).judge(items).members.astype(np.float64)
    chosen: list[tuple[dict[str, Any], NDArray[np.float64]]] = [
        ({"weights": [3.0, 1.0]}, members @ [0.75, 0.25]),
        ({"weights": [0.0, 2.0]}, members[:, 1]),
        (
            {"rule": "log_odds", "weights": [0.5, 1.5], "intercept": -0.7},
            1 / (1 + np.exp(-(logits(members) @ [0.5, 1.5] - 0.7))),
        ),
    ]
    versions = set()
    for fusion, expected in chosen:
        save_ensemble(voices, ensemble_manifest("voice", ["short", "long"], fusion=fusion))
        ensemble = load_detector(str(voices), "voice", options(tmp_path))
        np.testing.assert_allclose(ensemble.score(items), expected, atol=1e-5)
        assert [each.weight for each in ensemble.info.members] == fusion["weights"]
        versions.add(ensemble.info.version)
    assert len(versions) == len(chosen)


def test_its_description(voices: Path, tmp_path: Path) -> None:
    info = load_detector(str(voices), "voice", options(tmp_path)).info
    assert (info.name, info.task, info.demo, info.labels) == ("pair-voice@1", "voice", False, ())
    assert [each.name for each in info.members] == ["short@1", "long@1"]
    assert (info.engine, info.precision, info.calibrated) == ("openvino", "fp32", False)
    assert info.fingerprint.startswith(f"{info.version}-openvino-cpu-fp32+openvino-cpu-fp32")
    changed = voice_manifest(name="short", window={"samples": SHORT, "hop": 12_000})
    (voices / "short" / "bonafide.json").write_text(json.dumps(changed))
    assert load_detector(str(voices), "voice", options(tmp_path)).info.version != info.version


def test_members_of_other_kinds_by_any_reference(
    voices: Path, tiny_voice: Path, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint by its path, with a word of its own on its classes, and the bundled model: a small one, for time."""
    shutil.copytree(tiny_voice, tmp_path / "bundled" / "voice")
    monkeypatch.setattr(catalog, "BUNDLED", tmp_path / "bundled")
    config = json.loads((tiny_voice / "config.json").read_text())
    members = [{"model": "short"}, {"model": str(tiny_voice), "name": "tiny", "spoof_label": "0"}, {"model": "bundled"}]
    save_ensemble(voices, ensemble_manifest("voice", members))
    ensemble = load_detector(str(voices), "voice", options(workspace, precision="fp32"))
    items = windows(64_000)
    found = ensemble.judge(items).members
    assert len(config["id2label"]) == 2
    one = VoiceSpoofModel.load(str(tiny_voice), options(workspace, precision="fp32")).score(items)
    assert one.std() > 0.05
    np.testing.assert_allclose(found[:, 1], 1 - one, atol=1e-5)
    np.testing.assert_allclose(found[:, 2], one, atol=1e-6)
    assert [each.name for each in ensemble.info.members] == ["short@1", "tiny", "bonafide-voice-demo"]
    assert ensemble.info.demo


def test_members_keep_their_calibration_whatever_the_ensembles_own(voices: Path, tmp_path: Path) -> None:
    items = windows(64_000)
    plain = load_detector(str(voices), "voice", options(tmp_path))
    before = plain.judge(items).members
    stated = {"scale": 2.0, "offset": -1.0, "threshold": 0.3}
    manifest = voice_manifest(name="short", window={"samples": SHORT}, calibration=stated)
    (voices / "short" / "bonafide.json").write_text(json.dumps(manifest))
    for calibrated in (True, False):
        found = load_detector(str(voices), "voice", options(tmp_path, calibrated=calibrated))
        expected = 1 / (1 + np.exp(-(2 * logits(before[:, 0]) - 1)))
        np.testing.assert_allclose(found.judge(items).members[:, 0], expected, atol=1e-5)
        assert found.info.threshold is None
        assert found.info.version != plain.info.version


def test_a_calibration_beside_it_may_hold_weights(voices: Path, tmp_path: Path) -> None:
    items = windows(64_000)
    plain = load_detector(str(voices), "voice", options(tmp_path))
    _, members = plain.judge(items)
    write_calibration(Calibration(2.0, 0.5, 0.7, plain.info.version), calibration_path(voices))
    scaled = load_detector(str(voices), "voice", options(tmp_path))
    expected = 1 / (1 + np.exp(-(2 * logits(plain.score(items)) + 0.5)))
    np.testing.assert_allclose(scaled.score(items), expected, atol=1e-5)
    fitted = Calibration(1.0, -0.2, 0.6, plain.info.version, weights=(0.25, 0.5))
    write_calibration(fitted, calibration_path(voices))
    weighted = load_detector(str(voices), "voice", options(tmp_path))
    expected = 1 / (1 + np.exp(-(logits(members) @ [0.25, 0.5] - 0.2)))
    np.testing.assert_allclose(weighted.score(items), expected, atol=1e-5)
    assert (weighted.info.threshold, weighted.info.version) == (0.6, fitted.version)
    assert [each.weight for each in weighted.info.members] == [0.25, 0.5]
    assert len({plain.info.version, scaled.info.version, weighted.info.version}) == 3
    raw = load_detector(str(voices), "voice", options(tmp_path, calibrated=False))
    assert raw.info.version == plain.info.version
    for wrong in ([0.5], [0.5, -0.5], [0.0, 0.0], [0.5, float("inf")]):
        content = json.loads(calibration_path(voices).read_text()) | {"weights": wrong}
        calibration_path(voices).write_text(json.dumps(content))
        with pytest.raises(UnsupportedModel, match="holds weights that its 2 members cannot have"):
            load_detector(str(voices), "voice", options(tmp_path))


def test_weights_of_members_are_nothing_for_a_single_model(voices: Path, tmp_path: Path) -> None:
    single = VoiceSpoofModel.load(str(voices / "short"), options(tmp_path))
    wrong = Calibration(1.0, 0.0, 0.5, single.info.version, weights=(1.0, 1.0))
    write_calibration(wrong, calibration_path(voices / "short"))
    with pytest.raises(UnsupportedModel, match="holds weights"):
        VoiceSpoofModel.load(str(voices / "short"), options(tmp_path))


def faces(folder: Path, **second: Any) -> Path:
    """Members of 24 x 16 pixels; the second one as `second` says."""
    save(folder / "a", face_onnx(), face_manifest(name="a"))
    height, width = second.get("resize", {}).get("height", 16), second.get("resize", {}).get("width", 24)
    save(folder / "b", face_onnx(("n", 3, height, width)), face_manifest(name="b", **second))
    return save_ensemble(folder, ensemble_manifest("face", ["a", "b"]))


def test_members_of_one_preparation_share_a_picture(tmp_path: Path) -> None:
    folder = faces(tmp_path / "pair", input={"kind": "rgb"})
    ensemble = load_detector(str(folder), "face", options(tmp_path))
    assert ensemble.info.picture_shape == (16, 24, 3)
    photos = [np.random.default_rng(seed).integers(0, 40 * seed, (16, 24, 3), np.uint8) for seed in (1, 4, 6)]
    for column, name in enumerate("ab"):
        one = FaceSpoofModel.load(str(folder / name), options(tmp_path))
        np.testing.assert_allclose(ensemble.judge(photos).members[:, column], one.score(photos), atol=1e-6)


def test_members_of_other_preparations_have_a_picture_each(tmp_path: Path) -> None:
    folder = faces(tmp_path / "pair", resize={"width": 32, "height": 40}, input={"face_factor": 4.0})
    ensemble = load_detector(str(folder), "face", options(tmp_path))
    first, second = ensemble.info.geometries
    assert (first.face_factor, second.face_factor) == (2.7, 4.0)
    assert ensemble.info.picture_shape == (16 * 24 * 3 + 40 * 32 * 3,)
    rng = np.random.default_rng(2)
    small, large = (rng.integers(0, 256, (each.height, each.width, 3), np.uint8) for each in (first, second))
    small[..., 0] //= 3
    item = np.concatenate([small.ravel(), large.ravel()])
    scores, members = ensemble.judge([item, item[:-1], small, item.astype(np.int16)])
    expected = [
        FaceSpoofModel.load(str(folder / name), options(tmp_path)).score([picture])[0]
        for name, picture in (("a", small), ("b", large))
    ]
    np.testing.assert_allclose(members[0], expected, atol=1e-6)
    assert np.isfinite(scores).tolist() == [True, False, False, False]


@needs_weights
def test_the_minifasnet_pair_is_the_mean_of_both_programs(tmp_path: Path) -> None:
    ensemble = load_detector(str(minifasnet_pair(tmp_path / "pair")), "face", options(tmp_path))
    rgb = reference("images_bgr")[..., ::-1]
    items = [np.concatenate([picture.ravel(), picture.ravel()]) for picture in rgb]
    both = [1 - softmax(reference(each.removesuffix("@1")))[:, 1] for each in ensemble.info.named([0, 0])]
    np.testing.assert_allclose(ensemble.score(items), np.mean(both, axis=0), atol=1e-3)
    assert ensemble.info.picture_shape == (2 * 80 * 80 * 3,)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (["short", "../pair"], r"member '\.\./pair': it is this ensemble itself"),
        (["short", "../other"], r"member '\.\./other': it is an ensemble, too: write its members here instead"),
        (["short", "./short"], r"member '\./short': it is a member already"),
        (["short", "absent"], r"member 'absent': there is no folder or file 'absent'"),
        (["short", "absent.pth"], r"member 'absent\.pth': there is no file"),
        (["short", "../face"], r"member '\.\./face': .* is a face model by its manifest"),
        (["short", "../copy"], r"two members are called 'short@1': give one of them a name"),
        (["short", "../broken"], r"member '\.\./broken': .*output: it is missing"),
        (["short", "../nothing"], r"member '\.\./nothing': .*no config.json"),
    ],
)
def test_members_that_cannot_be(members: list[str], said: str, voices: Path, tmp_path: Path) -> None:
    save(tmp_path / "face", face_onnx(), face_manifest())
    save(tmp_path / "copy", voice_onnx(), voice_manifest(name="short", window={"samples": SHORT, "hop": 9_000}))
    broken = save(tmp_path / "broken", voice_onnx(), voice_manifest())
    (broken / "bonafide.json").write_text(json.dumps({k: v for k, v in voice_manifest().items() if k != "output"}))
    (tmp_path / "nothing").mkdir()
    save_ensemble(tmp_path / "other", ensemble_manifest("voice", ["../pair", "../pair/short"]))
    save_ensemble(voices, ensemble_manifest("voice", members))
    with pytest.raises(ModelError, match=said) as caught:
        load_detector(str(voices), "voice", options(tmp_path, offline=True))
    assert str(voices / "bonafide.json") in str(caught.value)


def test_ensembles_that_list_each_other_are_refused_from_either_side(voices: Path, tmp_path: Path) -> None:
    save_ensemble(tmp_path / "other", ensemble_manifest("voice", ["../pair", "../pair/short"]))
    save_ensemble(voices, ensemble_manifest("voice", ["short", "../other"]))
    for folder in (voices, tmp_path / "other"):
        with pytest.raises(BadManifest, match="it is an ensemble, too"):
            load_detector(str(folder), "voice", options(tmp_path))


def test_a_member_is_never_looked_for_in_the_working_directory(
    voices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "here" / "org" / "name", voice_onnx(), voice_manifest(name="here"))
    save_ensemble(voices, ensemble_manifest("voice", ["short", "org/name"]))
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ModelUnavailable, match="org/name is not saved"):
        load_detector(str(voices), "voice", options(tmp_path, offline=True))


def test_what_a_setting_or_another_task_would_change_is_refused(voices: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"BONAFIDE_VOICE_SPOOF_LABEL is set, but .* is an ensemble"):
        load_detector(str(voices), "voice", options(tmp_path, spoof_label="1"))
    with pytest.raises(UnsupportedModel, match="is a voice ensemble by its manifest, not for faces"):
        load_detector(str(voices), "face", options(tmp_path))
    with pytest.raises(UnsupportedModel, match="is an ensemble, and a single model is needed"):
        VoiceSpoofModel.load(str(voices), options(tmp_path))
