"""Hardware of the machine: CUDA, bf16 arithmetic. Detected without importing torch where possible."""

import ctypes
from pathlib import Path


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
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


def driver_sees_a_device() -> bool:
    """Whether NVIDIA's driver is there and has a device; torch is not imported."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
