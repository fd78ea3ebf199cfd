"""One feedback database -> its export -> a tuned, calibrated and evaluated model: all read the same manifest."""

import asyncio
import hashlib
import json
import struct
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bonafide.feedback.database import Database
from bonafide.feedback.store import Feedback, KeptVerdict
from lab import calibrate, evaluate, feedback, finetune
from lab.feedback import split_of
from models.calibration import calibration_path
from tests.bonafide.feedback.test_store import VERDICT
from tests.lab.finetuning.data import recordings
from tests.lab.finetuning.test_base import bare_wavlm

pytestmark = pytest.mark.usefixtures("models_in_workspace")
PLAIN = ["--engine", "torch", "--precision", "fp32", "--threads", "1"]


def kept(folder: Path) -> Path:
    """A database with the truth about stored objects and uploads, whose copies have names without endings."""
    manifest = recordings(folder / "made")
    told: list[tuple[KeptVerdict, str]] = []
    for number, row in enumerate(map(json.loads, manifest.read_text().splitlines())):
        # What is dev there is test as well, and the same bytes would be one row: a chunk that says nothing differs.
        data = (manifest.parent / row["path"]).read_bytes() + b"note" + struct.pack("<II", 4, number)
        subject = next(f"{number}-{n}" for n in range(1_000) if split_of(f"{number}-{n}") == row["split"])
        verdict = replace(VERDICT, request_id=str(number), at=time.time() + number, task_id=subject)
        if number % 5:
            path = folder / "objects/calls" / row["path"]
            verdict = replace(verdict, reference=f"calls/{row['path']}")
        else:
            path = folder / f"copies/{number}"
            verdict = replace(verdict, source="upload", reference="", sha256=hashlib.sha256(data).hexdigest())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        told.append((verdict, row["label"]))

    async def fill() -> None:
        store = Feedback(Database(str(folder / "db")), keep_s=1e6, most=100, failed=lambda: None)
        for verdict, truth in told:
            await store.keep(verdict)
            await store.tell(verdict.request_id, truth, "", "")
        await store.close()

    asyncio.run(fill())
    return folder / "db"


def test_an_export_tunes_calibrates_and_evaluates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database, told, model = kept(tmp_path), tmp_path / "told.jsonl", tmp_path / "tuned"
    places = ["--objects", str(tmp_path / "objects"), "--media", str(tmp_path / "copies")]
    feedback.main(["export", "--db", str(database), "--task", "voice", *places, "--split", "apart", "--out", str(told)])
    assert "24 files, 12 of them spoof" in capsys.readouterr().out
    steps = ["--steps", "1", "--batch", "4", "--looks", "1", "--device", "cpu", *PLAIN]
    finetune.main(["--base", str(bare_wavlm(tmp_path / "body")), "--data", str(told), "--out", str(model), *steps])
    calibrate.main(["--model", str(model), "--data", str(told), "--split", "dev", "--bpcer", "0.2", *PLAIN])
    assert json.loads(calibration_path(model).read_text())["fitted"]["bonafide"] > 0
    out = tmp_path / "out"
    evaluate.main(
        ["--model", str(model), "--data", str(told), "--split", "test", "--rounds", "5", "--out", str(out), *PLAIN]
    )
    report = json.loads((out / "report.json").read_text())
    assert report["model"]["calibrated"] is True
    assert (report["overall"]["bonafide"], report["overall"]["spoof"]) == (3, 3)


def test_a_subject_is_in_one_split_whatever_else_is_told() -> None:
    found = [split_of(str(number)) for number in range(2_000)]
    assert found == [split_of(str(number)) for number in range(2_000)]
    shares = {name: found.count(name) / len(found) for name in ("train", "dev", "test")}
    assert shares == pytest.approx({"train": 0.7, "dev": 0.15, "test": 0.15}, abs=0.05)
