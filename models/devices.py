"""Hardware of the machine: CUDA, bf16 arithmetic, CPUs. Detected without importing torch where possible."""

import ctypes
import math
import os
from pathlib import Path


def cuda_is_available() -> bool:
    """Whether torch can use a CUDA device. Torch is only imported when the driver reports one."""
    if not _driver_sees_a_device():
        return False
    import torch

    return torch.cuda.is_available()


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bf16 in hardware (AVX512-BF16 or AMX on x86, BF16 on ARM)."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


def usable_cpus() -> int:
    """CPUs that this process may use: its affinity, limited by a container's quota."""
    affinity = len(os.sched_getaffinity(0))
    quota = _cgroup_quota()
    return affinity if quota is None else max(1, min(affinity, math.ceil(quota)))


def _driver_sees_a_device() -> bool:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def _cgroup_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """CPUs' worth of time per period that a container is given; None: no limit."""
    try:
        if (root / "cpu.max").is_file():
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text()
            period = (root / "cpu/cpu.cfs_period_us").read_text()
        cpus = float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # no cgroup, or "max"
        return None
    return cpus if cpus > 0 else None
