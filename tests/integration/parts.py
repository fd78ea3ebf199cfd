"""A runner or the service as a process of its own, as on Kubernetes."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scripts.local_service import ROOT


@contextmanager
def part(
    name: str,
    log: Path,
    port: int,
    *arguments: str,
    host: str = "127.0.0.1",
    before: Sequence[str] = (),
    target: str = "service:Bonafide",
    **environment: str,
) -> "Iterator[subprocess.Popen[bytes]]":
    """Runs one of the three until the end of the block, where it must exit cleanly.

    Args:
        name: `Bonafide`, `WavLMRunner` or `DINOv2Runner`.
        log: file for everything it writes.
        port: of its HTTP.
        arguments: added to the command line.
        host: address of its HTTP.
        before: a command that runs the command that follows it.
        target: what is served, as `bentoml serve` takes it.
        environment: added to the environment.
    """
    command = [sys.executable, "-m", "bentoml_cli._internal.start", "start-http-server", target]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*before, *command, "--service-name", name, "--host", host, "--port", str(port), *arguments],
            cwd=ROOT,
            stdout=out,
            stderr=out,
            env={**os.environ, **environment},
        )
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(180) == 0
