"""A start that cannot succeed ends the whole `bentoml serve`: its supervisor would retry forever."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bonafide.bento.supervisor import REFUSED

logger = logging.getLogger(__name__)


@contextmanager
def refusal_to_start(*fatal: type[Exception]) -> Iterator[None]:
    """Logs the reason and ends this process, and the supervisor above it, when the block raises one of `fatal`.

    Raises:
        SystemExit: instead of the error, where there is no supervisor.
    """
    try:
        yield
    except fatal as error:
        logger.critical("cannot start: %s", error)
        supervisor = psutil.Process(os.getppid())
        # `bentoml serve`, or `python -m bentoml_cli._internal.start ...` for a process on its own.
        if {"bentoml", "bentoml_cli"} & {Path(part).name.partition(".")[0] for part in supervisor.cmdline()[:3]}:
            supervisor.send_signal(REFUSED)
            supervisor.send_signal(signal.SIGTERM)
            # A SystemExit would become two tracebacks behind the reason.
            logging.shutdown()
            os._exit(1)
        raise SystemExit(1) from error
