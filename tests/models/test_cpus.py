import os
from pathlib import Path

import pytest

from models import cpus


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "torn"}, None),
        ({}, None),
    ],
)
def test_reads_the_quota_of_a_container(tmp_path: Path, files: dict[str, str], expected: float | None) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert cpus._cgroup_quota(tmp_path) == expected


def test_never_uses_more_cpus_than_the_affinity_allows() -> None:
    assert 1 <= cpus.usable_cpus() <= len(os.sched_getaffinity(0))


def test_a_quota_is_rounded_up_to_whole_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpus, "_cgroup_quota", lambda: 0.4)
    assert cpus.usable_cpus() == 1
