import subprocess
import sys
from pathlib import Path

import pytest

from models import devices


def test_bf16_agrees_with_what_torch_says_of_the_cpu() -> None:
    import torch

    assert devices.cpu_has_bf16() >= torch.cpu._is_avx512_bf16_supported()


def test_an_installation_without_torch_has_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "driver_sees_a_device", lambda: True)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert devices.cuda_is_available() is False


def test_asking_for_cuda_without_a_driver_does_not_import_torch() -> None:
    question = (
        "import sys; from models.devices import cuda_is_available as ask; from models.devices import "
        "driver_sees_a_device as seen; ask(); sys.exit('torch' in sys.modules and not seen())"
    )
    assert subprocess.run([sys.executable, "-c", question], cwd=Path(__file__).parents[2], check=False).returncode == 0
