"""A scan of a folder: its rows are the verdicts of the service, and the same command goes on where it has stopped."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray", reason="Ray is not installed (dependency group scan)")

from scan.places import FolderPlace
from scan.result import parts_of, read_manifest, read_table
from scripts.local_service import ROOT, LocalService

pytestmark = pytest.mark.slow


def scanned(source: Path, out: Path) -> str:
    command = [sys.executable, "-m", "scan", str(source), "--out", str(out)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stderr


def table(out: Path, which: str) -> list[dict[str, Any]]:
    place = FolderPlace(out, 0)
    manifest = read_manifest(place)
    assert manifest is not None
    return [row for part in parts_of(manifest) for row in read_table(place, getattr(part, which)).to_pylist()]


@pytest.mark.beside
async def test_rows_are_the_verdicts_of_the_service_to_the_bit(service: LocalService, tmp_path: Path) -> None:
    import httpx

    source, out = tmp_path / "Archive 1", tmp_path / "out"
    source.mkdir()
    call = ROOT / "samples" / "call.mp3"
    shutil.copy(call, source / "call.mp3")
    (source / "broken.wav").write_bytes(b"no sound")
    await asyncio.to_thread(scanned, source, out)
    rows = {row["key"]: row for row in table(out, "recordings")}
    assert rows.keys() == {"call.mp3", "broken.wav"}
    assert rows["broken.wav"]["error_code"] == "unreadable_media"
    async with httpx.AsyncClient(base_url=service.url, timeout=120) as http:
        answer = (await http.post("/detect_audio", content=call.read_bytes())).json()
    row = rows["call.mp3"]
    assert np.float32(row["score"]) == np.float32(answer["score"])
    assert (row["label"], row["seconds"]) == (answer["label"], answer["audio_seconds"])
    assert (row["conditions"], row["warnings"]) == (answer["conditions"], answer["warnings"])
    windows = sorted(table(out, "windows"), key=lambda each: each["index"])
    assert [np.float32(each["score"]) for each in windows if each["score"] is not None] == [
        np.float32(chunk["score"]) for chunk in answer["chunks"] if chunk.get("score") is not None
    ]
    (source / "again.mp3").write_bytes(call.read_bytes())
    assert "1 of 1 (2 before)" in await asyncio.to_thread(scanned, source, out)
    assert sorted(row["key"] for row in table(out, "recordings")) == ["again.mp3", "broken.wav", "call.mp3"]
