import subprocess
import sys
from pathlib import Path

import pytest

from models import devices


def test_bf16_agrees_with_what_torch_says_of_the_cpu() -> None:
    import torch

    assert devices.cpu_has_bf16() >= torch.cpu._is_avx512_bf16_supported()


@pytest.mark.parametrize(
    ("cpu", "has", "quicker"),
    [
        ("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16 amx_bf16 amx_tile", True, True),
        ("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16", True, False),
        ("vendor_id : AuthenticAMD\nflags : avx512f avx512_bf16", True, True),
        ("CPU implementer : 0x41\nFeatures : asimd bf16", True, True),
        ("vendor_id : AuthenticAMD\nflags : avx2", False, False),
    ],
)
def test_bf16_is_taken_where_it_is_quicker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cpu: str, has: bool, quicker: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(cpu)
    monkeypatch.setattr(devices, "_CPU_INFO", tmp_path / "cpuinfo")
    assert (devices.cpu_has_bf16(), devices.cpu_is_quicker_in_bf16()) == (has, quicker)


def test_a_system_that_says_nothing_of_its_cpu_has_no_bf16(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices, "_CPU_INFO", tmp_path / "missing")
    assert not devices.cpu_has_bf16()


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
