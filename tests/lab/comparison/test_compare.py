"""From the lines that the service writes to agreement, histograms and changed labels."""

import json
import logging
from dataclasses import replace
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.shadow.report import ModelVerdict, report
from bonafide.telemetry import configure_logging
from lab.compare import main
from lab.comparison.log import read_lines
from models.info import Task
from tests.bonafide.fakes import MODEL
from tests.bonafide.shadow.shadowed import Seen

SECOND = replace(MODEL, name="second", version="ba9876543210", window_samples=64_600)


def opinion(second: bool, scores: list[float], threshold: float = 0.5, task: Task = "voice") -> ModelVerdict:
    score = sum(scores) / len(scores)
    attack, genuine = ("spoof", "bonafide") if task == "voice" else ("fake", "live")
    model = SECOND if second else replace(MODEL, window_samples=64_000)
    return ModelVerdict(model, threshold, score, attack if score >= threshold else genuine, scores)


@pytest.fixture
def log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """What the service writes for three recordings and a photo, among other lines."""
    loggers = [logging.getLogger(name) for name in ("bonafide", "models", "lab")]
    before = [(each, each.handlers, each.level, each.propagate) for each in loggers]
    configure_logging("INFO", "json")
    try:
        logging.getLogger("bonafide.x").info("call", extra={"shadow": "no shadow"})
        for name, served, shadow in (
            ("same", [0.9, 0.8], [0.8, 0.7]),
            ("missed", [0.9, 0.7], [0.1, 0.2]),
            ("found", [0.2, 0.25], [0.9, 0.5]),
        ):
            report("voice", name, opinion(False, served), opinion(True, shadow), Seen())
        report("face", "photo", opinion(False, [0.2], task="face"), opinion(True, [0.1], task="face"), Seen())
    finally:
        for each, handlers, level, propagate in before:
            each.handlers, each.propagate = handlers, propagate
            each.setLevel(level)
    path = tmp_path / "log"
    lines = capsys.readouterr().out.splitlines()
    path.write_text("\n".join(["starting", *(f"bonafide-1  | {line}" for line in lines), lines[-2][:-5]]) + "\n")
    return path


def document(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    main([*arguments, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_what_both_said_is_counted_by_pair_of_models(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = document([str(log)], capsys)
    assert found["unreadable_lines"] == 1
    voice, face = found["pairs"]
    assert (voice["task"], voice["items"], voice["scores"]) == ("voice", 3, 6)
    assert voice["served"] == {"name": "test-model", "version": MODEL.version, "window_samples": 64_000}
    assert voice["shadow"] == {"name": "second", "version": "ba9876543210", "window_samples": 64_600}
    (at,) = voice["thresholds"]
    assert (at["served"], at["shadow"], at["agreed"], at["agreement"]) == ([0.5], [0.5], 1, 0.3333)
    assert (at["newly_attack"], at["no_longer_attack"]) == (1, 1)
    assert at["changed"] == [
        {
            "request_id": "missed",
            "task_id": "",
            "served": {"score": 0.8, "label": "spoof"},
            "shadow": {"score": 0.15, "label": "bonafide"},
        },
        {
            "request_id": "found",
            "task_id": "",
            "served": {"score": 0.225, "label": "bonafide"},
            "shadow": {"score": 0.7, "label": "spoof"},
        },
    ]
    assert voice["difference"]["mean"] == pytest.approx(-0.0917, abs=1e-4)
    assert (voice["difference"]["lowest"], voice["difference"]["highest"]) == (-0.8, 0.7)
    assert voice["rank_correlation"] == 0.5
    histograms = voice["histograms"]
    assert histograms["served"] == [0, 0, 2, 0, 0, 0, 0, 1, 1, 2]
    assert sum(histograms["shadow"]) == sum(histograms["difference"]) == 6
    assert (face["task"], face["rank_correlation"], face["thresholds"][0]["agreed"]) == ("face", None, 1)


def test_labels_at_given_thresholds(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--task", "voice", "--threshold", "0.1", "--shadow-threshold", "0.1", "--shadow-threshold", "0.71"]
    (voice,) = document([str(log), *options], capsys)["pairs"]
    same, strict = voice["thresholds"]
    assert (same["agreed"], same["changed"]) == (3, [])
    assert (strict["agreed"], strict["newly_attack"], strict["no_longer_attack"]) == (1, 0, 2)


def test_the_tables(log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(log.read_text()))
    main(["-", "--list", "1"])
    shown = capsys.readouterr().out
    for text in (
        "voice: served test-model",
        "33.3 %",
        "missed",
        "and 1 more",
        "takes windows of 64600 samples",
        "1 lines of shadows could not be read",
        "face: served test-model",
        "newly fake",
    ):
        assert text in " ".join(shown.split())
    assert "found" not in shown


def test_a_log_without_a_shadow_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_text('{"message": "call"}\n')
    for path in (tmp_path / "log", tmp_path / "none"):
        with pytest.raises(SystemExit) as ended:
            main([str(path)])
        assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "no line of a shadow" in told
    assert "No such file" in told


@given(st.lists(st.text(max_size=60) | st.sampled_from(['"shadow"', '{"message": "shadow"}', '{"message":"shadow",'])))
def test_other_lines_are_passed_over(lines: list[str]) -> None:
    assert read_lines(lines).compared == []


@pytest.mark.parametrize(
    "change",
    [
        {"task": "smell"},
        {"served": None},
        {"shadow": {"model": "a"}},
        {"scores": [float("nan")]},
        {"scores": [2.0]},
        {"window_samples": float("inf")},
        {"scores": [0.1, 0.2]},
        {"score": "high"},
    ],
)
def test_a_malformed_line_is_counted(change: dict[str, Any]) -> None:
    said = {"model": "a", "version": "1", "window_samples": None, "threshold": 0.5, "score": 0.1, "label": "live"}
    line: dict[str, Any] = {"message": "shadow", "task": "face", "request_id": "1"}
    line |= {side: said | {"scores": [0.1]} for side in ("served", "shadow")}
    assert len(read_lines([json.dumps(line)]).compared) == 1
    line |= change if set(change) & set(line) else {"shadow": line["shadow"] | change}
    log = read_lines([json.dumps(line)])
    assert (log.compared, log.unreadable) == ([], 1)


def test_a_line_without_scores_is_counted() -> None:
    said = {"model": "a", "version": "1", "window_samples": None, "threshold": 0.5, "score": 0.1, "label": "live"}
    line: dict[str, Any] = {"message": "shadow", "task": "face", "request_id": "1"}
    line |= dict.fromkeys(("served", "shadow"), said | {"scores": []})
    assert read_lines([json.dumps(line)]).unreadable == 1


def test_standard_input_that_is_not_utf_8_is_read_as_a_file_is(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(b"\xff\n" + log.read_bytes()), encoding="utf-8"))
    assert document(["-"], capsys)["pairs"]
