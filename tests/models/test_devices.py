import os
import subprocess
import sys
from pathlib import Path

import pytest

from models import devices


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "torn"}, None),
        ({}, None),
    ],
)
def test_reads_the_quota_of_a_container(tmp_path: Path, files: dict[str, str], cpus: float | None) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert devices._cgroup_quota(tmp_path) == cpus


def test_never_uses_more_cpus_than_the_affinity_allows() -> None:
    assert 1 <= devices.usable_cpus() <= len(os.sched_getaffinity(0))


def test_a_quota_is_rounded_up_to_whole_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_cgroup_quota", lambda: 0.4)
    assert devices.usable_cpus() == 1


def test_bf16_agrees_with_what_torch_says_of_the_cpu() -> None:
    import torch

    assert devices.cpu_has_bf16() >= torch.cpu._is_avx512_bf16_supported()


def test_asking_for_cuda_without_a_driver_does_not_import_torch() -> None:
    question = (
        "import sys; from models.devices import cuda_is_available as ask; from models.devices import "
        "_driver_sees_a_device as seen; ask(); sys.exit('torch' in sys.modules and not seen())"
    )
    assert subprocess.run([sys.executable, "-c", question], cwd=Path(__file__).parents[2], check=False).returncode == 0
