"""Manifests: drafts, checks, the published schema; and that a broken one is always told in a sentence."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ensemble_fields import EnsembleManifest
from models.errors import BadManifest, ModelError
from models.manifest import json_schema, main
from models.manifest_fields import Manifest
from models.manifest_file import parse_manifest, read_manifest
from scripts.local_service import ROOT
from tests.models.onnx_files import (
    ensemble_manifest,
    face_manifest,
    face_onnx,
    field,
    save,
    save_ensemble,
    voice_manifest,
    voice_onnx,
)

FUSION = {"rule": "log_odds", "weights": [0.5, 1.5], "intercept": -0.25}
MEMBERS = [{"model": "a", "name": "first"}, {"model": "org/name", "spoof_label": "1"}]
MANIFESTS = {
    "voice": voice_manifest(),
    "face": face_manifest(),
    "pair": ensemble_manifest("face", MEMBERS),
    "weighted": ensemble_manifest("voice", MEMBERS, fusion=FUSION),
}
OPTIONAL = {("format",), ("input", "resize", "width"), ("ensemble", "members", 0, "name")}
OPTIONAL |= {("ensemble", "members", 1, "spoof_label")}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["?", "repeat"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def parsed(manifest: Any) -> Manifest | EnsembleManifest:
    return parse_manifest(json.dumps(manifest).encode())


def refusal(content: bytes) -> str | None:
    """Why it is refused, or None."""
    try:
        parse_manifest(content)
    except BadManifest as error:
        return str(error)
    return None


def places(part: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every field."""
    if isinstance(part, dict):
        for name, value in part.items():
            yield (*place, name)
            yield from places(value, (*place, name))
    elif isinstance(part, list):
        for index, value in enumerate(part):
            yield from places(value, (*place, index))


def changed_at(manifest: dict[str, Any], place: tuple[str | int, ...]) -> tuple[dict[str, Any], Any]:
    """A copy of a manifest, and what the last name of a place lies in."""
    copied = copy.deepcopy(manifest)
    part: Any = copied
    for name in place[:-1]:
        part = part[name]
    return copied, part


@pytest.mark.parametrize("task", MANIFESTS)
def test_what_is_written_is_what_is_read(task: str) -> None:
    manifest = parsed(MANIFESTS[task])
    assert parse_manifest(manifest.model_dump_json().encode()) == manifest


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"output": {"spoof": "?"}}, "output.spoof: it is still '?', as drafted"),
        ({"output": {"spoof": "positive"}}, "output.spoof: must be an index"),
        ({"output": {"spoof": []}}, "output.spoof: must be an index"),
        ({"output": {"spoof": [0, 0]}}, "output: spoof names an index twice"),
        ({"output": {"spoof": True}}, "output.spoof: must be an index"),
        ({"output": {"kind": "log_likelihood_ratio"}}, 'output: spoof must be "higher" or "lower"'),
        (
            {"output": {"labels": ["bonafide", "spoof"]}},
            "output: spoof contradicts labels: class 0 is named 'bonafide'",
        ),
        ({"output": {"labels": ["a"], "spoof": 0}}, "output: spoof must name some of the labels' indices"),
        ({"window": {"short": "random_crop"}}, "input.window.short: a random crop would score the same recording"),
        ({"window": {"last": "random"}}, "input.window.last: a random crop"),
        ({"window": {"hop": 70_000}}, "input.window: hop is longer than the window"),
        ({"window": {"samples": 10**9}}, "input.window.samples: "),
        ({"window": {"samples": "64600"}}, "input.window.samples: "),
        ({"input": {"scale": "loud"}}, "input.scale: input should be 'int16', 'unit' or 'z_score'"),
        ({"input": {"pre_emphasis": 1.0}}, "input.pre_emphasis: "),
        ({"input": {"colour": "red"}}, "input.colour: there is no such field"),
        ({"input": {"kind": "mel"}}, "input: "),
        ({"task": "face"}, "input.kind is samples for voices"),
        ({"name": "a\nb"}, "name: "),
        ({"calibration": {"scale": -1.0, "offset": 0.0, "threshold": 0.5}}, "calibration.scale: "),
    ],
)
def test_each_mistake_has_its_sentence(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BadManifest) as caught:
        parsed(voice_manifest(**changed))
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"resize": {"filter": "lanczos"}}, "input.resize: without antialias, filter can be bilinear only"),
        ({"resize": {"shortest_edge": 30}}, "input.resize: give width and height, or shortest_edge alone"),
        ({"resize": {"width": None}}, "input.resize: give width and height"),
        ({"input": {"crop": {"width": 99, "height": 9}}}, "input: crop is larger than the picture after resize"),
        ({"input": {"face_factor": 0.5}}, "input.face_factor: "),
        ({"input": {"std": [1.0, 0.0, 1.0]}}, "input.std"),
        ({"input": {"mean": [1.0, 0.0]}}, "input.mean"),
    ],
)
def test_each_mistake_about_pictures_has_its_sentence(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BadManifest) as caught:
        parsed(face_manifest(**changed))
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", MANIFESTS)
def test_nothing_that_decides_a_score_may_be_left_out(kind: str) -> None:
    for place in places(MANIFESTS[kind]):
        if place in OPTIONAL:
            continue
        manifest, part = changed_at(MANIFESTS[kind], place)
        del part[place[-1]]
        with pytest.raises(BadManifest, match=r"missing|input: |input\.resize: "):
            parsed(manifest)


@pytest.mark.parametrize("task", ["voice", "face"])
def test_what_means_spoof_is_never_guessed(task: str) -> None:
    without = copy.deepcopy(MANIFESTS[task])
    del without["output"]["spoof"]
    with pytest.raises(BadManifest, match=r"output\.spoof: it is missing, and which index or sign .* is never guessed"):
        parsed(without)


def test_a_sentence_stays_on_its_line() -> None:
    manifest, part = changed_at(MANIFESTS["voice"], ("input", "kind"))
    part["kind"] = "\r"
    said = refusal(json.dumps(manifest).encode())
    assert said is not None
    assert r"input: input tag '\r'" in said


@pytest.mark.parametrize("kind", MANIFESTS)
@given(st.data())
def test_a_field_of_any_value_gives_a_manifest_or_a_sentence_that_names_it(kind: str, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(sorted(places(MANIFESTS[kind]), key=str)))
    manifest, part = changed_at(MANIFESTS[kind], place)
    part[place[-1]] = data.draw(JSON)
    said = refusal(json.dumps(manifest).encode())
    assert said is None or (str(place[0]) in said and len(said) < 2000 and len(said.splitlines()) == 1)


@given(
    weights=st.lists(st.floats() | st.integers(-3, 10**7) | st.none(), max_size=5),
    rule=st.sampled_from(["mean", "log_odds", "median"]),
    intercept=st.none() | st.floats(),
    count=st.integers(0, 10),
)
def test_a_fusion_is_whole_or_refused(weights: list[Any], rule: str, intercept: float | None, count: int) -> None:
    fusion = {"rule": rule, "weights": weights, "intercept": intercept}
    members = [f"model-{index}" for index in range(count)]
    fits = (
        2 <= count <= 8
        and len(weights) == count
        and all(weight is not None and 0 <= weight <= 1e6 for weight in weights)
        and any(weights)
        and ((rule == "mean" and intercept is None) or (rule == "log_odds" and abs(intercept or 0.0) <= 1e6))
        and (rule == "mean") == (intercept is None)
    )
    said = refusal(json.dumps(ensemble_manifest("voice", members, fusion=fusion)).encode())
    assert (said is None) == fits
    assert said is None or "ensemble" in said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"fusion": {"weights": [1.0]}}, "ensemble: weights has 1 numbers for 2 members"),
        ({"fusion": {"weights": [1.0, float("nan")]}}, "ensemble.weights.1: input should be a finite number"),
        ({"fusion": {"weights": [1.0, -1.0]}}, "ensemble.weights.1: input should be greater than or equal to 0"),
        ({"fusion": {"weights": [0.0, 0.0]}}, "ensemble: weights are all 0: no member would count"),
        ({"fusion": {"rule": "log_odds"}}, "ensemble: intercept is missing: 0 shifts nothing"),
        ({"fusion": {"intercept": 0.5}}, "ensemble: intercept is for the rule log_odds alone"),
        ({"fusion": {"rule": "highest"}}, "ensemble.rule: input should be 'mean' or 'log_odds'"),
        ({"fusion": {"members": [{"model": "a"}]}}, "ensemble: members are 2 to 8, and here are 1"),
        ({"fusion": {"members": [{"model": "a"}, {"model": " a"}]}}, "ensemble: members names 'a' twice"),
        ({"fusion": {"members": [{"model": "a"}, {"ref": "b"}]}}, "ensemble.members.1.model: it is missing"),
        ({"licence": "MIT"}, "licence: an ensemble has none of its own, those of all its members hold"),
        ({"input": {}}, "input: there is no such field"),
        ({"task": "both"}, "task: input should be 'voice' or 'face'"),
    ],
)
def test_each_mistake_in_an_ensemble_has_its_sentence(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BadManifest) as caught:
        parsed(ensemble_manifest("voice", ["a", "b"], **changed))
    assert said in str(caught.value)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_give_a_sentence(content: bytes) -> None:
    with pytest.raises(BadManifest, match=r"bonafide\.json"):
        parse_manifest(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[" * 100_000, "no JSON"),
        (b" " * (1 << 21), "more than 1048576 bytes"),
        (
            json.dumps(voice_manifest()).replace('"spoof": 0', '"spoof": 0, "spoof": 1').encode(),
            "has 'spoof' more than once",
        ),
        (b"\xff\xfe", "no JSON"),
    ],
)
def test_hostile_bytes(content: bytes, said: str) -> None:
    with pytest.raises(BadManifest, match=said):
        parse_manifest(content)


def test_the_published_schema_is_current() -> None:
    published = ROOT / "docs" / "bonafide.schema.json"
    assert published.read_text() == json_schema(), "python -m models.manifest --schema > docs/bonafide.schema.json"


def test_the_documented_manifests_are_in_order() -> None:
    blocks = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "models.md").read_text(), re.DOTALL)
    assert [parse_manifest(block.encode()).task for block in blocks] == ["voice", "face", "face", "voice"]


def test_a_draft_knows_what_the_graph_says_and_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.onnx").write_bytes(voice_onnx(("n", 64_600)))
    main(["--init", str(tmp_path / "mine.onnx")])
    said = capsys.readouterr().out
    for point in ("input.scale", "input.window.short", "output.spoof: which of the 2 classes", "rename mine.onnx"):
        assert point in said
    drafted = json.loads((tmp_path / "bonafide.json").read_text())
    assert drafted["input"]["window"]["samples"] == 64_600
    assert (drafted["task"], drafted["output"]["name"], drafted["output"]["spoof"]) == ("voice", "logits", "?")
    with pytest.raises(BadManifest, match="it is still"):
        read_manifest(tmp_path)
    with pytest.raises(SystemExit):  # what is written is not written over
        main(["--init", str(tmp_path / "mine.onnx")])


def test_a_draft_of_a_graph_of_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.onnx").write_bytes(face_onnx())
    main(["--init", str(tmp_path / "model.onnx")])
    said = capsys.readouterr().out
    for point in ("input.kind: rgb or bgr", "input.face_factor", "of the 3 classes"):
        assert point in said
    drafted = json.loads((tmp_path / "bonafide.json").read_text())
    assert (drafted["input"]["resize"]["width"], drafted["input"]["resize"]["height"]) == (24, 16)


@pytest.mark.parametrize(("last", "kind"), [("Softmax", "probabilities"), (None, "logits")])
def test_a_draft_tells_probabilities_from_logits(last: str | None, kind: str, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(voice_onnx(last=last))
    main(["--init", str(tmp_path / "model.onnx")])
    assert json.loads((tmp_path / "bonafide.json").read_text())["output"]["kind"] == kind


def test_a_single_value_asks_for_its_sign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.onnx").write_bytes(voice_onnx(weights=np.ones((1, 1), np.float32)))
    main(["--init", str(tmp_path / "model.onnx")])
    said = capsys.readouterr().out
    assert 'whether "higher" or "lower" values mean spoof' in said
    assert "log_likelihood_ratio" in said


def test_a_check_says_what_is_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(save(tmp_path / "f", face_onnx(), face_manifest()))])
    assert "Spoof is 0: fake, 2: fake (logits)." in capsys.readouterr().out
    wrong = save(tmp_path / "w", voice_onnx(), voice_manifest(output={"spoof": 7}))
    with pytest.raises(SystemExit):
        main([str(wrong)])
    assert "output.spoof: of 2 classes, [7] cannot mean spoof" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert "python -m models.manifest --init" in capsys.readouterr().err


def test_a_check_of_an_ensemble_finds_its_members(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "a", face_onnx(), face_manifest())
    save(tmp_path / "b", voice_onnx(), face_manifest())
    pair = save_ensemble(tmp_path / "pair", ensemble_manifest("face", ["../a", "../b"]))
    with pytest.raises(SystemExit):
        main([str(pair)])
    assert "member '../b': bonafide.json: input.name: the graph's input is 'samples'" in capsys.readouterr().err
    save(tmp_path / "b", face_onnx(), face_manifest())
    main([str(pair)])
    said = capsys.readouterr().out
    assert "pair-face@1, a face ensemble of 2 models, is in order." in said
    assert "Its rule is mean; " in said


def test_no_manifest_is_guessed_for_a_file_that_is_no_onnx(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(field(7, b"\xff\xff"))
    with pytest.raises(SystemExit):
        main(["--init", str(tmp_path / "model.onnx")])
    assert not (tmp_path / "bonafide.json").exists()


def test_errors_are_model_errors() -> None:
    assert issubclass(BadManifest, ModelError)
