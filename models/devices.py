"""Hardware of the machine: CUDA, bf16 arithmetic. Detected without importing torch where possible."""

import ctypes
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")


def cuda_is_available() -> bool:
    """Whether torch can use a CUDA device. Torch is only imported when the driver reports one."""
    if not driver_sees_a_device():
        return False
    try:
        import torch
    except ModuleNotFoundError:  # an installation for CPUs on a machine with a GPU
        return False
    return torch.cuda.is_available()


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bf16 in hardware (AVX512-BF16 or AMX on x86, BF16 on ARM)."""
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(_cpu_words())


def cpu_is_quicker_in_bf16() -> bool:
    """Whether models take less time in bf16 than in fp32.

    An Intel CPU without AMX, which virtual machines often hide, has the instructions of AVX512-BF16 and takes half as
    long again with them as in fp32; AMD's take half the time (`python -m benchmarks.engines`).
    """
    words = _cpu_words()
    return cpu_has_bf16() and ("amx_bf16" in words or "GenuineIntel" not in words)


def driver_sees_a_device() -> bool:
    """Whether NVIDIA's driver is there and has a device; torch is not imported."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def _cpu_words() -> frozenset[str]:
    """All words that Linux says of the CPUs, its vendor and its flags among them; empty elsewhere."""
    try:
        return frozenset(_CPU_INFO.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return frozenset()
