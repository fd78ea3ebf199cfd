"""C libraries that FFmpeg's interface hides or lacks: loaded by ctypes, or said to be missing."""

import ctypes
from functools import cache
from pathlib import Path

import av


@cache
def library(stem: str, system_name: str) -> ctypes.CDLL | None:
    """The copy that PyAV's wheel carries, or else the system's; None where there is neither.

    Args:
        stem: how its file is called in the wheel, such as `libopus`.
        system_name: as the dynamic linker knows it, such as `libopus.so.0`.
    """
    carried = sorted((Path(av.__file__).parents[1] / "av.libs").glob(f"{stem}-*.so*"))
    for name in [*map(str, carried), system_name]:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
