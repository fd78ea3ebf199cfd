"""A scan of a folder: its rows are the verdicts of the service."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

pytest.importorskip("ray", reason="Ray is not installed (dependency group scan)")

from scan.manifest import read_manifest
from scan.result import read_table
from scan.result_storage import FolderStorage
from scripts.local_service import ROOT, LocalService
from tests.integration.tiny_models import tiny_models
from tests.media import encode, speech_like

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


LONG_S = 200
"""50 windows: more than one block of Ray holds."""
# As `python -m scan`, but with blocks of 32 windows: to score the 128 of a real one takes longer than all else here.
SCAN = """
import sys
import scan.cluster
from scan.__main__ import main
scan.cluster._BLOCK_BYTES = 4 * 1024 * 1024
sys.exit(main())
"""


def scanned(source: Path, out: Path) -> None:
    command = [sys.executable, "-c", SCAN, str(source), "--out", str(out)]
    # Not behind all other tests: with Ray's 15 a worker gets a thirtieth of what one of them does.
    env = {**os.environ, **tiny_models(), "RAY_worker_niceness": "0"}
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=400, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]


def table(out: Path, which: str) -> list[dict[str, Any]]:
    storage = FolderStorage(out, 0)
    manifest = read_manifest(storage)
    assert manifest is not None
    return [row for part in manifest.parts for row in read_table(storage, getattr(part, which)).to_pylist()]


# In bf16 the last digits may be rounded otherwise in another batch.
TOLERANCE = 0.01


def assert_alike(row: dict[str, Any], windows: list[dict[str, Any]], answer: dict[str, Any]) -> None:
    assert row["score"] == pytest.approx(answer["score"], abs=TOLERANCE)
    assert (row["label"], row["seconds"]) == (answer["label"], answer["audio_seconds"])
    assert (row["conditions"], row["warnings"]) == (answer["conditions"], answer["warnings"])
    assert (row["channel"] or "") == answer["channel"]
    of_channels = {each["name"]: each["chunks"] for each in answer["channels"]} or {None: answer["chunks"]}
    for channel, chunks in of_channels.items():
        own = sorted((each for each in windows if each["channel"] == channel), key=lambda each: each["index"])
        assert [each["label"] for each in own] == [chunk["label"] for chunk in chunks]
        assert [each["score"] for each in own if each["score"] is not None] == pytest.approx(
            [chunk["score"] for chunk in chunks if chunk.get("score") is not None], abs=TOLERANCE
        )


@pytest.mark.beside
async def test_rows_are_the_verdicts_of_the_service(service: LocalService, tmp_path: Path) -> None:
    source, out = tmp_path / "Archive 1", tmp_path / "out"
    source.mkdir()
    call = ROOT / "samples" / "call.mp3"
    shutil.copy(call, source / "call.mp3")
    (source / "broken.wav").write_bytes(b"no sound")
    sides = np.stack([speech_like(9.0, seed=1)[0], speech_like(9.0, seed=2)[0]])
    (source / "two sides.wav").write_bytes(encode(sides, 16_000))
    long = np.resize(speech_like(9.0, seed=3), (1, LONG_S * 16_000))
    (source / "a long one.wav").write_bytes(encode(long, 16_000))
    short = [f"{index} of a second.wav" for index in range(8)]
    for index, key in enumerate(short):
        (source / key).write_bytes(encode(speech_like(1.0, seed=index), 16_000))
    await asyncio.to_thread(scanned, source, out)
    rows = {row["key"]: row for row in table(out, "recordings")}
    assert rows.keys() == {"call.mp3", "broken.wav", "two sides.wav", "a long one.wav", *short}
    assert [rows[key]["windows"] for key in ("a long one.wav", *short)] == [LONG_S // 4] + [1] * len(short)
    assert max(rows[key]["scanned_at"] for key in short) <= rows["a long one.wav"]["scanned_at"]
    assert rows["broken.wav"]["error_code"] == "unreadable_media"
    windows = table(out, "windows")
    async with httpx.AsyncClient(base_url=service.url, timeout=120) as http:
        for key in ("call.mp3", "two sides.wav"):
            answer = (await http.post("/detect_audio", content=(source / key).read_bytes())).json()
            assert_alike(rows[key], [each for each in windows if each["key"] == key], answer)
    assert {each["channel"] for each in windows if each["key"] == "two sides.wav"} == {"0", "1"}
