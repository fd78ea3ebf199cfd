"""The Kotlin client, compiled with Maven, against the running service and over a connection that breaks."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from bonafide_client import AudioDetectionClient, file_blocks
from scripts.local_service import ROOT, LocalService
from tests.media import encode, speech_like
from tests.proxy import proxy_to

FOLDER = ROOT / "clients" / "kotlin"


async def maven(*arguments: str) -> str:
    """Runs Maven on the client without network; what it printed."""
    if not (path := shutil.which("mvn")) or not shutil.which("javac"):
        pytest.skip("needs Maven and a JDK (Debian: apt-get install maven)")
    if not (FOLDER / "target" / "fetched").exists():
        pytest.skip("needs what Maven fetches once: make kotlin")
    process = await asyncio.create_subprocess_exec(
        path, "--batch-mode", "--quiet", "--offline", "-Dstyle.color=never", *arguments, cwd=FOLDER,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


@pytest.mark.slow
@pytest.mark.beside
async def test_a_stream_goes_on_over_a_connection_that_breaks(service: LocalService, tmp_path: Path) -> None:
    recording = tmp_path / "voice.wav"
    recording.write_bytes(encode(speech_like(6.5), 16_000))
    async with AudioDetectionClient(service.live_url) as client:
        wanted = [window async for window in client.stream(file_blocks(recording))]
    async with proxy_to(service.http_port) as proxy:
        proxy.cut_after = [2_000]  # in the midst of the results
        url = f"ws://{proxy.address}/ws/detect"
        out = await maven("compile", "exec:java", f"-Dexec.args={url} {recording}")
    assert proxy.connections == 2
    windows = [line.split() for line in re.findall(r"window (.+)", out)]
    # What was left at the end is judged in the summary only.
    for window, same in zip(windows, wanted[:6], strict=True):
        assert [float(value) for value in window[:3]] == [same.sequence, same.start_s, same.end_s]
        assert window[3] == same.label
        assert float(window[4] if window[4] != "null" else 0) == pytest.approx(same.score or 0, abs=0.05)
    (summary,) = re.findall(r"summary (.+)", out)
    assert float(summary.split()[2]) == 6.5
