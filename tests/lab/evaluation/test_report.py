"""Figures per group, and the pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from lab.evaluation.plots import det_curve, score_histogram
from lab.evaluation.report import ScoredTrials, reason_counts, report
from lab.evaluation.table import show
from lab.evaluation.trials import BONAFIDE, Trial


def judged(count: int = 300) -> ScoredTrials:
    rng = np.random.default_rng(1)
    attacks = rng.choice([BONAFIDE, "print", "screen"], count, p=[0.5, 0.3, 0.2])
    centre = {BONAFIDE: -1.5, "print": 2.0, "screen": 0.0}
    scores = 1 / (1 + np.exp(-rng.normal([centre[str(attack)] for attack in attacks], 1.0)))
    trials = [
        Trial(Path(str(index)), str(attack), f"person {index % 40}", "a" if index % 3 else "b")
        for index, attack in enumerate(attacks)
    ]
    return ScoredTrials.of(trials, scores.tolist())


def test_figures_are_those_of_counting() -> None:
    items = judged()
    document = report(items, 0.4, rounds=50)
    scores, attacks = items.scores, items.attacks
    rate = {kind: np.mean(scores[attacks == kind] < 0.4) for kind in ("print", "screen")}
    refused = np.mean(scores[attacks == BONAFIDE] >= 0.4)
    overall = document["overall"]
    assert overall["bpcer"]["value"] == pytest.approx(refused)
    assert overall["apcer"]["value"] == pytest.approx(np.mean(scores[attacks != BONAFIDE] < 0.4))
    assert overall["worst_apcer"]["value"] == pytest.approx(max(rate.values()))
    assert overall["acer"]["value"] == pytest.approx((max(rate.values()) + refused) / 2)
    assert {name: each["apcer"]["value"] for name, each in document["attacks"].items()} == pytest.approx(rate)
    screen = (attacks == BONAFIDE) | (attacks == "screen")
    assert document["attacks"]["screen"]["auc"]["value"] == pytest.approx(
        roc_auc_score(attacks[screen] == "screen", scores[screen])
    )
    assert document["attacks"]["screen"]["eer"]["value"] > document["attacks"]["print"]["eer"]["value"]
    assert set(document["sources"]) == {"a", "b"}
    assert sum(each["spoof"] for each in document["sources"].values()) == overall["spoof"]
    assert overall["bonafide_subjects"] == 40
    json.dumps(document, allow_nan=False)


def test_attacks_never_seen_have_figures_of_their_own() -> None:
    items = judged()
    document = report(items, 0.4, rounds=20, unseen=["screen"])
    assert document["training"]["unseen"] == document["attacks"]["screen"]
    assert document["training"]["seen"] == document["attacks"]["print"]
    assert report(items, 0.4, rounds=20)["training"] == {}


def test_balanced_figures_let_every_attack_count_the_same() -> None:
    items = judged()
    plain, balanced = (report(items, 0.4, rounds=50, balanced=choice) for choice in (False, True))
    rates = [each["apcer"]["value"] for each in plain["attacks"].values()]
    assert balanced["overall"]["apcer"]["value"] == pytest.approx(sum(rates) / 2)
    assert plain["overall"]["apcer"]["value"] != pytest.approx(sum(rates) / 2, abs=0.01)
    for name in ("print", "screen"):
        assert balanced["attacks"][name]["eer"] == pytest.approx(plain["attacks"][name]["eer"])
    assert balanced["overall"]["apcer"]["low"] < sum(rates) / 2 < balanced["overall"]["apcer"]["high"]


def test_every_interval_holds_its_value() -> None:
    document = report(judged(), 0.5, rounds=200)
    for group in (document["overall"], *document["attacks"].values(), *document["sources"].values()):
        for figure in (value for value in group.values() if isinstance(value, dict)):
            assert figure["low"] <= figure["value"] <= figure["high"]
            assert figure["low"] < figure["high"]


def test_the_figure_within_sources_stands_beside_the_pooled_one() -> None:
    items = judged()
    overall = report(items, 0.5, rounds=50)["overall"]
    parts = [(items.sources == name) for name in ("a", "b")]
    by_source = [roc_auc_score(items.spoof[part], items.scores[part]) for part in parts]
    shares = [items.spoof[part].sum() for part in parts]
    assert overall["within_source_auc"]["value"] == pytest.approx(np.average(by_source, weights=shares))
    assert overall["within_source_auc"]["low"] < overall["within_source_auc"]["value"]
    one_class_each = ScoredTrials(items.scores, items.attacks, items.subjects, np.where(items.spoof, "a", "b"))
    assert "within_source_auc" not in report(one_class_each, 0.5, rounds=20)["overall"]


def test_a_figure_that_no_draw_defined_has_no_interval(capsys: pytest.CaptureFixture[str]) -> None:
    """Of its source there are two people among many, whom a single draw misses."""
    people = [
        Trial(Path(), attack, f"{attack} {index}", "a" if index == 5 else "")
        for attack in (BONAFIDE, "print")
        for index in range(200)
    ]
    document = report(ScoredTrials.of(people, np.linspace(0, 1, len(people)).tolist()), 0.5, rounds=1)
    assert document["overall"]["within_source_auc"] == {"value": 1.0, "low": None, "high": None}
    json.dumps(document, allow_nan=False)
    named = {"model": {"name": "m", "version": "1"}, "data": {"kind": "k"}, "reasons": {}}
    show({**named, "threshold": {"value": 0.5, "origin": "default"}, **document}, Console())
    assert "(not known)" in capsys.readouterr().out


def test_intervals_over_sites_are_wider_where_sites_differ() -> None:
    rng = np.random.default_rng(2)
    sites = rng.integers(0, 8, 400)
    spoof = rng.random(400) < 0.5
    scores = 1 / (1 + np.exp(-(rng.normal(0, 1, 8)[sites] * 2 + np.where(spoof, 1, -1))))
    trials = [
        Trial(Path(str(index)), "clone" if fake else BONAFIDE, f"person {index}", f"site {site}")
        for index, (fake, site) in enumerate(zip(spoof, sites, strict=True))
    ]
    people, places = (
        report(ScoredTrials.of(trials, scores.tolist()), 0.5, rounds=80, by_source=by) for by in (False, True)
    )
    width = [document["overall"]["eer"]["high"] - document["overall"]["eer"]["low"] for document in (people, places)]
    assert width[1] > 1.5 * width[0]
    assert people["overall"]["eer"]["value"] == places["overall"]["eer"]["value"]
    assert people["sources"] == places["sources"]


def test_a_source_of_one_class_has_one_rate() -> None:
    trials = [
        Trial(Path("1"), BONAFIDE, "a", "debian"),
        Trial(Path("2"), BONAFIDE, "b", "debian"),
        Trial(Path("3"), "flite", "c", "flite"),
    ]
    sources = report(ScoredTrials.of(trials, [0.1, 0.7, 0.9]), 0.5, rounds=20)["sources"]
    assert sources["debian"]["bpcer"]["value"] == 0.5
    assert "eer" not in sources["debian"]
    assert "apcer" not in sources["debian"]
    assert sources["flite"]["apcer"]["value"] == 0.0


def test_reasons_are_counted_by_class() -> None:
    trials = [Trial(Path(str(index)), BONAFIDE if index < 3 else "print", "a") for index in range(5)]
    counts = reason_counts(trials, ["", "dark", "dark", "no_face", "dark"])
    assert counts == {"dark": {"bonafide": 2, "spoof": 1}, "no_face": {"bonafide": 0, "spoof": 1}}
    assert reason_counts(trials, [""] * 5) == {}


def test_pictures(tmp_path: Path) -> None:
    det_curve(judged(), tmp_path / "det.png", title="a model")
    score_histogram(judged(), 0.5, tmp_path / "histogram.png", title="a model")
    for name in ("det.png", "histogram.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.format == "PNG"
            colours = len(set(picture.convert("RGB").resize((160, 120)).get_flattened_data()))
            assert colours > 10
