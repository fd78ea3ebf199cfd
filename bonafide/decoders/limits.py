"""Limits of a decoding process: set in the process, enforced by the kernel even while FFmpeg or Pillow works."""

import math
import resource
import time
from pathlib import Path

from bonafide.errors import UnreadableMedia

_MIB = 1024 * 1024
_STEP_CPU_S = 6.0  # a little more than `audio/ffmpeg.py` allows between two packets
_STEP_CPU_S_PER_MIB = 0.5
_STEP_CPU_S_PER_WINDOW = 0.1
_JOB_CPU_S = 30.0
_JOB_CPU_S_PER_MIB = 1.0
_JOB_CPU_S_PER_AUDIO_S = 0.05  # the slowest format takes a tenth of it


def bound_memory(extra_bytes: int) -> None:
    """Limits this process to its present memory and `extra_bytes` more; beyond it an allocation fails."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + extra_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would contain the caller's media


class CpuBound:
    """CPU time of one file: of each step and of all, both growing with its bytes.

    Args:
        file_bytes: size of the file.
        windows: most windows of one step.
        readings: how often one step may read the file.
    """

    def __init__(self, file_bytes: int, windows: int = 0, readings: int = 1) -> None:
        mib = file_bytes / _MIB
        self._step_s = readings * (_STEP_CPU_S + mib * _STEP_CPU_S_PER_MIB) + windows * _STEP_CPU_S_PER_WINDOW
        self._job_s = _JOB_CPU_S + mib * _JOB_CPU_S_PER_MIB
        self._began = time.process_time()

    def begin_step(self, audio_s: float = 0.0, more_bytes: int = 0) -> None:
        """From now on the kernel kills this process (SIGXCPU) when the step takes too long.

        Args:
            audio_s: seconds of audio that the file has given so far.
            more_bytes: size of the part that is read in this step, of a file that arrives in parts.

        Raises:
            UnreadableMedia: the steps before have taken too long.
        """
        mib = more_bytes / _MIB
        self._job_s += mib * _JOB_CPU_S_PER_MIB
        now = time.process_time()
        if now - self._began > self._job_s + audio_s * _JOB_CPU_S_PER_AUDIO_S:
            raise UnreadableMedia("the file takes too long to decode")
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(now + self._step_s + mib * _STEP_CPU_S_PER_MIB), most))
