"""As on Kubernetes: each runner and the service started on its own, found by address."""

from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from scripts.local_service import LocalService, free_ports
from tests.integration.parts import part


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_three_processes_find_each_other(tmp_path: Path, call_mp3: Path) -> None:
    voice, face, http, grpc = free_ports(4)
    token = {"BONAFIDE_RUNNER_TOKEN": "a-token-of-all-three"}
    with ExitStack() as stack:
        stack.enter_context(part("WavLMRunner", tmp_path / "voice", voice, **token))
        stack.enter_context(part("DINOv2Runner", tmp_path / "face", face, **token))
        addresses = [
            f"--depends=WavLMRunner=http://127.0.0.1:{voice}",
            f"--depends=DINOv2Runner=http://127.0.0.1:{face}",
        ]
        process = stack.enter_context(
            part("Bonafide", tmp_path / "service", http, *addresses, BONAFIDE_GRPC_PORTS=str(grpc), **token)
        )
        service = LocalService(process, http, (grpc, grpc), tmp_path / "service")
        service.wait_ready(400)
        answer = httpx.post(f"{service.url}/detect_audio", content=call_mp3.read_bytes(), timeout=60)
        assert len(answer.json()["chunks"]) == 3
        assert 'bonafide_chunks_total{source="runner"} 3.0' in httpx.get(f"{service.url}/metrics").text
        assert httpx.post(f"http://127.0.0.1:{voice}/info").status_code == 401
        own = httpx.get(f"http://127.0.0.1:{voice}/metrics").text
        assert 'bentoml_service_adaptive_batch_size_count{method_name="score"' in own
