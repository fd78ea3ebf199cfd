"""What breaks a detector: figures per condition, paired changes, the threshold that the worst one needs."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.evaluation.condition_table import sentences, table
from lab.evaluation.conditions import Outcome, condition_report
from lab.evaluation.plots import rates_by_condition
from lab.evaluation.trials import BONAFIDE, DataError, Trial

TRIALS = [Trial(Path(str(n)), BONAFIDE if n % 2 else "tts", f"person {n % 60}") for n in range(240)]
FIGURES = ("eer", "min_dcf", "cllr", "auc", "apcer", "worst_apcer", "bpcer", "acer")


def scores(shift: float = 0.0, spread: float = 1.0) -> list[float | None]:
    rng = np.random.default_rng(0)
    centre = np.array([1.5 if trial.spoof else -1.5 for trial in TRIALS])
    return [float(score) for score in 1 / (1 + np.exp(-(spread * centre + rng.normal(0, 0.7, 240) + shift)))]


def outcomes() -> list[Outcome]:
    windows = {"all": 480, "no_speech": 2}
    quiet = scores()
    quiet[0], quiet[1], quiet[3] = None, None, None
    return [
        Outcome("clean", "as it is", scores(), windows),
        Outcome("shifted", "towards spoof", scores(shift=2.5), windows),
        Outcome("mixed", "hardly apart", scores(spread=0.6), windows),
        Outcome("quiet", "some without speech", quiet, windows),
        Outcome("absent", "no such codec", missing="no encoder: none"),
        Outcome("silent", "nothing to judge", [None] * 240, {"all": 480, "no_speech": 480}),
    ]


def test_the_report_has_its_form_and_is_json() -> None:
    document = json.loads(json.dumps(condition_report(TRIALS, outcomes(), 0.5, rounds=60), allow_nan=False))
    assert set(document) == {"wanted_bpcer", "conditions", "summary"}
    measured = {"name", "description", "status", "bonafide", "spoof", "bonafide_subjects", "spoof_subjects", "hter"}
    measured |= {"windows", "without_score", "change", "needed", "equal_error_threshold", *FIGURES}
    for row in document["conditions"]:
        if row["status"] == "not_run":
            assert set(row) == {"name", "description", "status", "reason"}
            continue
        assert set(row) == measured
        assert all(set(row[name]) == {"value", "low", "high"} for name in FIGURES)
        assert set(row["needed"]) == {"threshold", "apcer", "bpcer", "clean_apcer", "clean_bpcer"}
        assert set(row["change"]) == (set() if row["name"] == "clean" else {"eer", "apcer", "bpcer", "hter"})
    assert set(document["summary"]) == {"broken_by", "worst", "mended_by_threshold", "needed", "not_run"}
    assert document["summary"]["not_run"] == ["absent", "silent"]
    assert condition_report(TRIALS, outcomes(), 0.5, rounds=60) == document


def test_a_shift_is_mended_by_a_threshold_and_a_lost_difference_is_not() -> None:
    document = condition_report(TRIALS, outcomes(), 0.5, rounds=200)
    clean, shifted, mixed, quiet = document["conditions"][:4]
    assert shifted["change"]["eer"]["value"] == pytest.approx(0, abs=1e-9)
    assert shifted["change"]["bpcer"]["low"] > 0.3
    assert shifted["needed"]["threshold"] > 0.8
    assert shifted["needed"]["bpcer"] <= document["wanted_bpcer"] == clean["bpcer"]["value"]
    assert shifted["needed"]["apcer"] == pytest.approx(clean["needed"]["apcer"], abs=0.02)
    assert mixed["change"]["eer"]["low"] > 0
    assert quiet["without_score"] == {"bonafide": 2, "spoof": 1}
    assert quiet["change"]["hter"]["value"] == pytest.approx(0)
    summary = document["summary"]
    assert summary["broken_by"][0] == summary["worst"] == "shifted"
    assert "quiet" not in summary["broken_by"]
    assert summary["mended_by_threshold"] is True
    assert summary["needed"] == shifted["needed"]
    only_mixed = condition_report(TRIALS, [outcomes()[0], outcomes()[2]], 0.5, rounds=200)
    assert (only_mixed["summary"]["worst"], only_mixed["summary"]["mended_by_threshold"]) == ("mixed", False)


def test_table_sentences_and_plot_name_what_was_not_run(tmp_path: Path) -> None:
    document = condition_report(TRIALS, outcomes(), 0.5, rounds=60, wanted_bpcer=0.05)
    document["threshold"] = {"value": 0.5, "origin": "default"}
    lines = table(document).splitlines()
    assert len(lines) == 2 + 6
    assert {line.count("|") for line in lines} == {10}
    assert "| absent | not run: no encoder: none |" in table(document)
    said = " ".join(sentences(document))
    assert "Broken by shifted" in said
    assert "Worst: shifted (towards spoof), needs the threshold 0." in said
    assert "BPCER of at most 5.0 %" in said
    rates_by_condition(document["conditions"], tmp_path / "rates.png", title="test")
    with Image.open(tmp_path / "rates.png") as picture:
        assert picture.size[0] == 1_200


def test_a_threshold_above_every_score_is_none() -> None:
    certain: list[float | None] = [1.0] * 240
    document = condition_report(
        TRIALS, [outcomes()[0], Outcome("sure", "", certain, {})], 0.5, rounds=20, wanted_bpcer=0.05
    )
    assert document["conditions"][1]["needed"] is None
    document["threshold"] = {"value": 0.5, "origin": "default"}
    assert "no threshold keeps the BPCER at 5.0 %" in " ".join(sentences(document))


def test_where_all_are_refused_a_bpcer_has_to_be_named() -> None:
    with pytest.raises(DataError, match="--bpcer"):
        condition_report(TRIALS, outcomes(), 0.0, rounds=20)
    with pytest.raises(DataError, match="clean files"):
        condition_report(TRIALS, [outcomes()[5]], 0.5, rounds=20)
