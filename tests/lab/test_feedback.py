"""Verdicts with the truth -> a manifest that `lab.evaluate`, `lab.calibrate` and `lab.finetune` read."""

import asyncio
import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bonafide.feedback.database import Database
from bonafide.feedback.store import Feedback, KeptVerdict
from lab import feedback
from lab.evaluation.datasets import read_dataset
from tests.bonafide.feedback.test_store import VERDICT


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tell(database: Path, *told: tuple[KeptVerdict, str]) -> None:
    """Keeps verdicts, the later ones judged later, and tells the truth about them in this order."""

    async def fill() -> None:
        store = Feedback(Database(str(database)), keep_s=1e6, most=100, failed=lambda: None)
        for verdict, truth in told:
            await store.keep(verdict)
            await store.tell(verdict.request_id, truth, "", "")
        await store.close()

    asyncio.run(fill())


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """An object and an upload that are at hand, and one of each kind that is not."""
    for path, data in {"objects/calls/a.wav": b"a", "objects/calls/b.wav": b"b", "kept/1": b"upload"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    upload: dict[str, Any] = {"source": "upload", "reference": ""}
    kept: dict[str, tuple[KeptVerdict, str]] = {
        "object": (VERDICT, "bonafide"),
        "again": (VERDICT, "spoof"),
        "other": (replace(VERDICT, reference="calls/b.wav", task_id=""), "bonafide"),
        "upload": (replace(VERDICT, **upload, sha256=digest(b"upload")), "spoof"),
        "lost": (replace(VERDICT, reference="calls/lost.wav"), "spoof"),
        "outside": (replace(VERDICT, reference="calls/../../kept/1"), "spoof"),
        "live": (replace(VERDICT, source="live", reference=""), "spoof"),
        "photo": (replace(VERDICT, task="face", label="live"), "fake"),
    }

    async def fill() -> None:
        store = Feedback(Database(str(tmp_path / "db")), keep_s=1e6, most=100, failed=lambda: None)
        for number, (name, (verdict, truth)) in enumerate(kept.items()):
            await store.keep(replace(verdict, request_id=name, at=time.time() + number))
            await store.tell(name, truth, "a note" if name == "upload" else "", "")
        await store.keep(replace(VERDICT, request_id="untold", at=time.time()))
        await store.close()

    asyncio.run(fill())
    return tmp_path / "db"


def exported(database: Path, *more: str, out: str = "out/told.jsonl") -> Path:
    path = database.parent / out
    places = ["--objects", str(database.parent / "objects"), "--media", str(database.parent / "kept")]
    feedback.main(["export", "--db", str(database), "--task", "voice", *places, "--out", str(path), *more])
    return path


@pytest.mark.parametrize("out", ["out/told.jsonl", "told.csv"])
def test_the_manifest_is_read_as_any_other(database: Path, capsys: pytest.CaptureFixture[str], out: str) -> None:
    dataset = read_dataset(exported(database, out=out))
    found = {trial.path.name: (trial.spoof, trial.split, trial.source) for trial in dataset.trials}
    said = capsys.readouterr().out
    assert found == {
        "a.wav": (True, "test", "feedback:wav"),
        "b.wav": (False, "test", "feedback:wav"),
        "1": (True, "test", "feedback:wav"),
    }
    assert "3 files, 2 of them spoof" in said
    assert "not found: 2" in said
    assert "without a copy: 1" in said


def test_of_a_file_the_truth_that_was_told_last_counts(database: Path) -> None:
    async def tell_about_the_older_verdict() -> None:
        store = Feedback(Database(str(database)), keep_s=1e6, most=100, failed=lambda: None)
        await store.tell("object", "bonafide", "", "")
        await store.close()

    asyncio.run(tell_about_the_older_verdict())
    spoofs = {trial.path.name: trial.spoof for trial in read_dataset(exported(database)).trials}
    assert spoofs["a.wav"] is False


def test_an_object_that_was_written_anew_is_not_what_the_truth_was_told_about(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = replace(VERDICT, reference="calls/a.wav", task_id="")

    for name, content in {"gone": b"before", "copied": b"old"}.items():
        tell(database, (replace(judged, request_id=name, at=time.time(), sha256=digest(content)), "bonafide"))
    (database.parent / "kept/copy").write_bytes(b"old")
    spoofs = {trial.path.name: trial.spoof for trial in read_dataset(exported(database)).trials}
    assert spoofs == {"a.wav": True, "b.wav": False, "1": True, "copy": False}
    assert "not found: 3" in capsys.readouterr().out


def of_copies(number: int, content: bytes) -> tuple[KeptVerdict, KeptVerdict, KeptVerdict]:
    """Verdicts on one recording: uploaded, and stored twice, of which one found all scores in the cache."""
    judged = replace(VERDICT, request_id=f"first-{number}", at=time.time(), task_id="", sha256=digest(content))
    return (
        replace(judged, source="upload", reference=""),
        replace(judged, request_id=f"second-{number}", reference=f"calls/{number}.wav"),
        replace(judged, request_id=f"third-{number}", reference=f"moved/{number}.wav", sha256=""),
    )


def test_one_recording_in_several_places_is_one_row_in_one_split(database: Path) -> None:
    for number in range(10):
        content = f"recording {number}".encode()
        for path in (f"kept/{number}.wav", f"objects/calls/{number}.wav", f"objects/moved/{number}.wav"):
            (database.parent / path).parent.mkdir(exist_ok=True)
            (database.parent / path).write_bytes(content)
        truths = ("bonafide", "bonafide", "spoof" if number % 2 else "bonafide")
        tell(database, *zip(of_copies(number, content), truths, strict=True))
    trials = read_dataset(exported(database, "--split", "apart")).trials
    found = sorted((content, trial.spoof) for trial in trials if (content := trial.path.read_bytes())[:3] == b"rec")
    assert found == [(f"recording {number}".encode(), number % 2 == 1) for number in range(10)]


def test_what_is_told_later_moves_no_recording_to_another_split(database: Path) -> None:
    """Not even of a call that judged it under another task."""
    for number in range(10):
        (database.parent / f"objects/calls/{number}.wav").write_bytes(f"recording {number}".encode())

    def judged(task: str, at: float) -> list[tuple[KeptVerdict, str]]:
        names = [f"{task}-{number}" for number in range(10)]
        return [
            (replace(VERDICT, request_id=name, task_id=name, at=at, reference=f"calls/{number}.wav"), "spoof")
            for number, name in enumerate(names)
        ]

    def splits() -> dict[str, str]:
        return {trial.path.name: trial.split for trial in read_dataset(exported(database, "--split", "apart")).trials}

    tell(database, *judged("first", time.time()))
    before = splits()
    tell(database, *judged("again", time.time() + 1))
    assert splits() == before
    assert len(before) == 13


def test_the_split_is_the_callers(database: Path) -> None:
    assert {trial.split for trial in read_dataset(exported(database, "--split", "dev")).trials} == {"dev"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--db", "nowhere.db"],
        ["--db", "mysql://x"],
        ["--objects", "nowhere"],
        ["--task", "face"],
    ],
)
def test_what_cannot_be_exported_is_said_in_a_sentence(
    database: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (database.parent / "objects/calls/a.wav").unlink()
    with pytest.raises(SystemExit) as stopped:
        exported(database, *arguments)
    assert stopped.value.code == 2
    assert "DataError" in capsys.readouterr().err
