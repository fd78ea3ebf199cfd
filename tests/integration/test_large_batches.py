"""A runner on another machine decides the size of its batches: the service, itself without a GPU, fills them."""

import re
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx

from scripts.local_service import free_ports
from tests.integration.parts import part
from tests.integration.stub_runner import BATCH
from tests.media import encode, speech_like


def test_a_gpu_gets_as_many_windows_as_it_says(tmp_path: Path) -> None:
    voice, http, grpc = free_ports(3)
    url = f"http://127.0.0.1:{http}"
    with ExitStack() as stack:
        stub = "tests.integration.stub_runner:Stub"
        stack.enter_context(part("WavLMRunner", tmp_path / "voice", voice, target=stub))
        depends = [f"--depends=WavLMRunner=http://127.0.0.1:{voice}", "--depends=DINOv2Runner=http://127.0.0.1:1"]
        ports = {"BONAFIDE_GRPC_PORTS": str(grpc)}
        stack.enter_context(part("Bonafide", tmp_path / "service", http, *depends, **ports))
        wait_for_voice(url)
        recording = encode(speech_like(2 * BATCH * 4.0), 16_000)
        response = httpx.post(f"{url}/detect_audio", content=recording, timeout=60).raise_for_status()
        assert len(response.json()["chunks"]) == 2 * BATCH
        metrics = httpx.get(f"{url}/metrics").text
        sizes = dict(re.findall(r'bonafide_batch_items_bucket{le="([0-9.]+)",runner="voice"} ([0-9.]+)', metrics))
        assert float(sizes["64.0"]) - float(sizes["32.0"]) == 2, sizes


def wait_for_voice(url: str) -> None:
    """Returns when the service has found the voice runner; there is no face runner."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(httpx.TransportError):
            stats = httpx.get(f"{url}/stats")
            if stats.is_success and stats.json()["voice"]["ready"]:
                return
        time.sleep(0.1)
    raise AssertionError("the voice runner was not found")
