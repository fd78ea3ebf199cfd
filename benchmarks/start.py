"""Seconds until the service takes calls and until a killed runner answers again, and memory: a Markdown table.

`--other FOLDER` is another checkout of the project (`git worktree add FOLDER COMMIT`); both start in turns, so that
other load affects them alike. The engines' caches are warm: the first round is not counted.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks import sample_bodies
from benchmarks.inputs import WINDOW_SECONDS, recording
from benchmarks.memory import pss_bytes, tree
from benchmarks.processes import process_of
from benchmarks.tables import load_average, machine, markdown_table, say
from scripts.local_service import ROOT, LocalService, start

_RECOVERY_TIMEOUT_S = 120.0


class Round(NamedTuple):
    """One start.

    Attributes:
        ready_s: from the command to `/readyz`.
        recovery_s: from the kill of the voice runner until a recording is judged again.
        pss_mib: of all processes, after a call of each kind; pages they share are counted once.
    """

    ready_s: float
    recovery_s: float
    pss_mib: float


def measure(folder: Path) -> Round:
    """Starts the checkout in `folder` with the bundled models, and stops it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as logs:
        service = start(Path(logs) / "log", folder=folder)
        try:
            service.wait_ready()
            ready_s = time.monotonic() - began
            for number in range(2):  # new each time, as scores are cached
                _post(service, "detect_audio", recording(number, WINDOW_SECONDS)).raise_for_status()
                _post(service, "predict_liveness", sample_bodies.body("face", number)).raise_for_status()
            pss_mib = pss_bytes(tree(service.process.pid)) / 2**20
            return Round(ready_s, recovery(service), pss_mib)
        finally:
            service.stop()


def recovery(service: LocalService) -> float:
    """Kills the voice runner; see `Round`.

    Raises:
        RuntimeError: there is none, or it does not answer again.
    """
    runner = process_of(service, "WavLMRunner")
    if runner is None:
        raise RuntimeError("there is no voice runner")
    runner.kill()
    began = time.monotonic()
    number = 2
    while time.monotonic() < began + _RECOVERY_TIMEOUT_S:
        if _post(service, "detect_audio", recording(number, WINDOW_SECONDS)).status_code == httpx.codes.OK:
            return time.monotonic() - began
        number += 1
        time.sleep(0.05)
    raise RuntimeError("the runner did not answer again")


def main(command_line: Sequence[str]) -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--other", type=Path, help="another checkout, measured in turns with this one")
    parser.add_argument("--rounds", type=int, default=5, help="starts that count (default: %(default)s)")
    chosen = parser.parse_args(command_line)
    folders = {"this checkout": ROOT} | ({"the other": chosen.other} if chosen.other else {})
    say(f"{machine()}\n\nLoad average at the start: {load_average()}\n")
    rounds: dict[str, list[Round]] = {name: [] for name in folders}
    for number in range(chosen.rounds + 1):
        for name, folder in folders.items():
            measured = measure(folder)
            if number:
                rounds[name].append(measured)
    rows = [
        [name, *(f"{statistics.median(values):.1f}" for values in zip(*of, strict=True))] for name, of in rounds.items()
    ]
    say(markdown_table(["median of starts", "ready s", "killed runner s", "PSS MiB"], rows))
    say(f"\nLoad average at the end: {load_average()}")


def _post(service: LocalService, path: str, content: bytes) -> httpx.Response:
    return httpx.post(f"{service.url}/{path}", content=content, timeout=60)


if __name__ == "__main__":
    main(sys.argv[1:])
