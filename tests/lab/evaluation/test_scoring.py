"""Reading ahead, batches, and resuming a run that was stopped."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bonafide.verdict import WindowScore
from lab.evaluation.score_file import Scored, ScoreFile
from lab.evaluation.scoring import Part, Unreadable, score_files
from lab.evaluation.trials import DataError


class Counting:
    """Scores a part by its own value; 255 has no score."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.batches: list[int] = []
        self._stop_after = stop_after

    def score(self, parts: Sequence[Part]) -> list[WindowScore]:
        if len(self.batches) >= self._stop_after:
            raise KeyboardInterrupt
        self.batches.append(len(parts))
        values = [float(part.array[0]) for part in parts]
        return [WindowScore(math.nan if value == 255 else value / 100, value / 255) for value in values]


def read(path: Path) -> list[Part]:
    """A part per byte, the first of 4 seconds and the others of 1."""
    data = path.read_bytes()
    if not data:
        raise Unreadable("the recording is empty")
    return [Part(np.array([value]), 1.0 if index else 4.0) for index, value in enumerate(data)]


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    contents = [bytes([10, 20]), b"", bytes([30]), bytes([255, 40]), *(bytes([value]) for value in range(50, 70))]
    found = []
    for index, content in enumerate(contents):
        found.append(tmp_path / f"{index}.wav")
        found[-1].write_bytes(content)
    return found


def run(paths: list[Path], model: Counting, kept: ScoreFile, batch: int = 4) -> tuple[list[Scored], int]:
    done: list[int] = []
    scored = score_files(paths, read=read, model=model, batch=batch, threads=2, kept=kept, advanced=done.append)
    return scored, sum(done)


def test_every_file_gets_its_own_scores_in_order(paths: list[Path]) -> None:
    model = Counting()
    scored, done = run(paths, model, ScoreFile(None, "m"))
    assert done == len(paths)
    assert scored[0].scores == pytest.approx((0.1, 0.2))
    assert scored[0].seconds == (4.0, 1.0)
    assert scored[0].speech_ratios == pytest.approx((10 / 255, 20 / 255))
    assert scored[1] == Scored(problem="the recording is empty")
    assert math.isnan(scored[3].scores[0])
    assert scored[3].scores[1] == pytest.approx(0.4)
    assert [each.scores[0] for each in scored[4:]] == pytest.approx([value / 100 for value in range(50, 70)])
    assert set(model.batches[:-1]) <= {4, 5}


def test_a_stopped_run_is_taken_up(paths: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "kept" / "scores.jsonl"
    with ScoreFile(file, "m") as kept, pytest.raises(KeyboardInterrupt):
        run(paths, Counting(stop_after=2), kept)
    whole, _ = run(paths, Counting(), ScoreFile(None, "m"))
    again = Counting()
    with ScoreFile(file, "m") as kept:
        resumed, done = run(paths, again, kept)
    assert repr(resumed) == repr(whole)  # NaN is not equal to itself
    assert done == len(paths)
    assert 0 < sum(again.batches) < 25
    third = Counting()
    with ScoreFile(file, "m") as kept:
        assert repr(run(paths, third, kept)[0]) == repr(whole)
    assert third.batches == []


def test_what_was_refused_is_tried_again_under_other_limits(paths: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    asked: list[str] = []

    def scored(limits: str, most: int) -> list[Scored]:
        def limited(path: Path) -> list[Part]:
            asked.append(path.name)
            if len(path.read_bytes()) > most:
                raise Unreadable(f"at most {most} bytes")
            return read(path)

        asked.clear()
        with ScoreFile(file, "m", limits) as kept:
            return score_files(
                paths[:3], read=limited, model=Counting(), batch=4, threads=1, kept=kept, advanced=lambda count: None
            )

    assert [each.problem for each in scored("1 byte", 1)] == ["at most 1 bytes", "the recording is empty", ""]
    assert scored("1 byte", 1)[0].problem == "at most 1 bytes"
    assert asked == []
    raised = scored("2 bytes", 2)
    assert asked == ["0.wav", "1.wav"], "what has scores is not scored again"
    assert [each.problem for each in raised] == ["", "the recording is empty", ""]
    assert raised[0].scores == pytest.approx((0.1, 0.2))
    scored("1 byte", 1)
    assert asked == [], "what has scores keeps them under lower limits, under which the empty file was refused before"

    # A release that did not tell the limits.
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({k: row[k] for k in row if k != "limits"}) + "\n" for row in rows))
    scored("1 byte", 1)
    assert asked == ["1.wav"]
    scored("1 byte", 1)
    assert asked == []


def test_a_reason_is_kept_with_the_scores(tmp_path: Path) -> None:
    def read_photo(path: Path) -> list[Part]:
        return [Part(np.array([path.read_bytes()[0]]), 1.0, "dark" if path.name == "0" else "")]

    photos = [tmp_path / "0", tmp_path / "1"]
    for path in photos:
        path.write_bytes(b"a")
    file = tmp_path / "scores.jsonl"
    for _ in range(2):
        with ScoreFile(file, "m") as kept:
            scored = score_files(
                photos, read=read_photo, model=Counting(), batch=4, threads=1, kept=kept, advanced=lambda count: None
            )
        assert [each.reason for each in scored] == ["dark", ""]


def test_a_line_truncated_by_a_crash_is_scored_again(paths: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    with ScoreFile(file, "m") as kept:
        run(paths[:3], Counting(), kept)
    file.write_bytes(file.read_bytes()[:-9])
    model = Counting()
    with ScoreFile(file, "m") as kept:
        run(paths[:3], model, kept)
    assert model.batches == [1]
    assert all(json.loads(line) for line in file.read_text().splitlines())


def test_a_run_that_was_stopped_behind_its_first_line_is_taken_up(tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    file.write_text('{"model": "m"}')
    for _ in range(2):
        ScoreFile(file, "m").__exit__()
    assert file.read_text() == '{"model": "m"}\n'


@pytest.mark.parametrize("line", ["\0\0", "3", '{"path": "a", "stamp": [1, 2], "scores": 3}'])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "scores.jsonl"
    file.write_text(f'{{"model": "m"}}\n{line}\n')
    with pytest.raises(DataError, match="line 2 is damaged"):
        ScoreFile(file, "m")


def test_a_changed_file_is_scored_again(paths: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    with ScoreFile(file, "m") as kept:
        run(paths[:3], Counting(), kept)
    paths[2].write_bytes(bytes([77, 78]))
    with ScoreFile(file, "m") as kept:
        scored, _ = run(paths[:3], Counting(), kept)
    assert scored[2].scores == pytest.approx((0.77, 0.78))


def test_scores_of_another_model_are_not_mixed_in(tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    ScoreFile(file, "one").__exit__()
    with pytest.raises(DataError, match="scores of one, not of two"):
        ScoreFile(file, "two")


def test_scores_without_speech_are_not_read(paths: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    with ScoreFile(file, "m") as kept:
        run(paths[:1], Counting(), kept)
    file.write_text(file.read_text().replace('"speech"', '"other"'))
    with pytest.raises(DataError, match="no 'speech'"):
        ScoreFile(file, "m")


@pytest.mark.parametrize("content", ["", "hello\n", "[1]\n", '{"path": 1}\n'])
def test_another_file_is_never_overwritten(tmp_path: Path, content: str) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(content)
    with pytest.raises(DataError, match="no score file"):
        ScoreFile(file, "m")
    assert file.read_text() == content
