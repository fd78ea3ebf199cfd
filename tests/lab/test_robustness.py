"""From a folder of recordings to a report per condition of the line, with a tiny model, through the service's door."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.evaluate import main as evaluate
from lab.evaluation import plots
from lab.line import gsm
from lab.robustness import main
from tests.lab.recordings import labelled_recordings
from tests.media import encode_image, photo

pytestmark = pytest.mark.usefixtures("models_in_workspace", "no_pictures")


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = labelled_recordings(tmp_path / "recordings")
    (folder / "spoof/torn.wav").write_bytes(b"RIFF nothing")
    return folder


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def test_conditions_are_judged_through_the_door_of_evaluate(
    tiny_voice: Path,
    recordings: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gsm, "library", lambda *_: None)
    arguments = ["--model", str(tiny_voice), "--data", str(recordings), "--rounds", "20", "--threshold", "0.5"]
    chosen = ["--conditions", "noise-10db, mu-law,gsm", "--bpcer", "0.5", "--scores", str(tmp_path / "s.jsonl")]
    main([*arguments, *chosen, "--out", str(tmp_path / "first")])
    shown = capsys.readouterr().out
    monkeypatch.setattr(plots, "rates_by_condition", lambda *_, **__: None)  # one picture is enough
    main([*arguments, *chosen, "--out", str(tmp_path / "again")])
    with pytest.raises(SystemExit):  # scores of another seed are not taken
        main([*arguments, *chosen, "--seed", "5", "--out", str(tmp_path / "other")])
    assert "holds scores of" in capsys.readouterr().err
    main([*arguments, *chosen[:4], "--seed", "5", "--out", str(tmp_path / "other")])
    evaluate([*arguments, "--out", str(tmp_path / "evaluated")])
    first, again, other = (read(tmp_path / name / "robustness.json") for name in ("first", "again", "other"))
    assert set(first) == {
        *("model", "data", "seed", "threshold", "wanted_bpcer", "conditions", "summary", "definitions")
    }
    assert first == again
    rows = {row["name"]: row for row in first["conditions"]}
    assert list(rows) == ["clean", "mu-law", "gsm", "noise-10db"]
    overall = read(tmp_path / "evaluated/report.json")["overall"]
    assert {name: rows["clean"][name] for name in overall} == overall
    assert (rows["gsm"]["status"], first["summary"]["not_run"]) == ("not_run", ["gsm"])
    assert "| gsm | not run: no encoder: libgsm is not installed" in shown
    assert "1 files have no score as they are" in shown
    assert first["data"]["files"] == 5
    assert first["data"]["scored"] == rows["mu-law"]["bonafide"] + rows["mu-law"]["spoof"] == 4
    assert other["seed"] == 5
    different = [a["name"] for a, b in zip(first["conditions"], other["conditions"], strict=True) if a != b]
    assert different == ["noise-10db"]
    assert shown.split("\n\n")[0].splitlines()[0] in (tmp_path / "first/robustness.md").read_text()
    assert (tmp_path / "first/robustness.png").stat().st_size > 5_000
    kept = {path.name: path.read_text() for path in tmp_path.glob("s.*.jsonl")}
    assert set(kept) == {"s.clean.jsonl", "s.mu-law.jsonl", "s.noise-10db.jsonl"}
    assert "through noise-10db" in kept["s.noise-10db.jsonl"].splitlines()[0]
    assert all(len(text.splitlines()) == (6 if name == "s.clean.jsonl" else 5) for name, text in kept.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--conditions", "mu-law,tin-can"], "--conditions: none is called tin-can; there are a-law"),
        (["--seed", "-1"], "a seed is 0 or more"),
        (["--bpcer", "1"], "an error rate lies between 0 and 1"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    options: list[str],
    message: str,
    tiny_voice: Path,
    recordings: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--model", str(tiny_voice), "--data", str(recordings), "--out", str(tmp_path / "out"), *options])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_photos_have_no_line(tiny_face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(2):
        path = tmp_path / "photos" / ("live" if index else "spoof") / "1.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(encode_image(photo(120, 100, seed=index), "PNG"))
    with pytest.raises(SystemExit):
        main(["--model", str(tiny_face), "--data", str(tmp_path / "photos")])
    assert "conditions of the line are for voices" in capsys.readouterr().err
