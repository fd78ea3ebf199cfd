"""A process that gives way to all others: for the processor, and when memory runs out."""

import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)

LOWEST = 19
_KILLED_FIRST = "1000"
_OOM_SCORE = Path("/proc/self/oom_score_adj")


def lower_priority() -> None:
    """Lowers this process, and the threads that it starts afterwards. Must run before an engine starts its own."""
    os.nice(LOWEST)
    try:
        _OOM_SCORE.write_text(_KILLED_FIRST)
    except OSError as error:  # not on Linux, or forbidden
        logger.warning("when memory runs out, this process is not the first to be ended", extra={"cause": repr(error)})
