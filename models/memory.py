"""Whether a second model fits beside the one that serves: judged by the size of its weights and what memory is free."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from models.errors import NoMemory
from models.info import Device

_WEIGHTS = frozenset({".safetensors", ".bin", ".pth", ".pt", ".onnx", ".data", ".onnx_data"})
_CPU_FACTOR = 3.0
"""Loading holds the weights of a checkpoint up to three times: as read, as a torch model, and as the engine's."""
_CUDA_FACTOR = 1.5
_FIXED = 256 * 1024 * 1024
_MIB = 1024 * 1024


def require_memory(paths: Sequence[Path], device: Device) -> None:
    """Refuses a model that would not fit beside the present one.

    Args:
        paths: its folder or file; of an ensemble those of its members.
        device: where it is to run.

    Raises:
        NoMemory: names what is needed and what is free.
    """
    weights = sum(map(weight_bytes, paths))
    needs = [(_CPU_FACTOR * weights + _FIXED, free_memory(), "memory")]
    if device == "cuda":
        needs.append((_CUDA_FACTOR * weights + _FIXED, _free_on_cuda(), "memory of the GPU"))
    for needed, free, what in needs:
        if needed > free:
            raise NoMemory(
                f"beside the present model it may need {needed / _MIB:.0f} MiB of {what}, and {free / _MIB:.0f} MiB "
                "are free; set it as the model and start the service anew, or give the runner more"
            )


def weight_bytes(path: Path) -> int:
    """Bytes of the files of weights in a folder, or of a single file."""
    files = [each for each in path.rglob("*") if each.suffix in _WEIGHTS] if path.is_dir() else [path]
    return sum(each.stat().st_size for each in files if each.is_file())


def free_memory(cgroup: Path = Path("/sys/fs/cgroup")) -> float:
    """Bytes that this process may still take: of the machine, and of a container's limit."""
    return min([float(psutil.virtual_memory().available), *_left_in(cgroup)])


def _left_in(cgroup: Path) -> Iterator[float]:
    """What a cgroup's limit leaves, its caches of files not counted; nothing where it has no limit."""
    names = ("memory.max", "memory.current", "memory.stat", "inactive_file")
    if not (cgroup / names[0]).is_file():
        cgroup /= "memory"
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat", "total_inactive_file")
    try:
        limit, used = (int((cgroup / name).read_text()) for name in names[:2])
        counts = dict(line.split() for line in (cgroup / names[2]).read_text().splitlines())
    except (OSError, ValueError):  # no cgroup, or "max"
        return
    yield float(limit - used + int(counts.get(names[3], 0)))


def _free_on_cuda() -> float:
    import torch

    return float(torch.cuda.mem_get_info()[0])
