"""Processes of one model side by side, as runners are on one machine: threads held to CPUs by OpenVINO, and free.

    python -m benchmarks.pinning [--processes 2] [--threads 1]

Each process computes the bundled voice model in batches of 8, all at the same time; turns alternate.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks.converted import describe
from benchmarks.tables import machine, markdown_table, say

_BATCHES = 12
_WINDOWS = (8, 64_000)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pinning", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2, help="side by side (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of each (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of both kinds (%(default)s)")
    arguments = parser.parse_args()
    say(machine())
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(describe(Path(folder))["voice"]["path"])
        with _started(graph, arguments, pinned=True) as held, _started(graph, arguments, pinned=False) as free:
            turns = [(_turn(held), _turn(free)) for _ in range(arguments.rounds)]
    rows = [
        [name, *(f"{figure(seconds):.2f}" for figure in (statistics.median, min, max))]
        for name, seconds in zip(("held", "free"), zip(*turns, strict=True), strict=True)
    ]
    say(markdown_table(["threads", f"s for {_BATCHES} batches each", "least", "most"], rows))
    say(f"held over free: {statistics.median(held / free for held, free in turns):.2f}")


@contextmanager
def _started(graph: Path, arguments: argparse.Namespace, pinned: bool) -> Iterator[list[Connection]]:
    """Processes that have the model ready; they end after the block."""
    context = multiprocessing.get_context("spawn")
    ours: list[Connection] = []
    running = []
    for _ in range(arguments.processes):
        here, there = context.Pipe()
        process = context.Process(target=_compute, args=(there, graph, arguments.threads, pinned), daemon=True)
        process.start()
        ours.append(here)
        running.append(process)
    try:
        for each in ours:
            each.recv()
        yield ours
    finally:
        for process in running:
            process.terminate()
            process.join()


def _turn(processes: list[Connection]) -> float:
    """Seconds until all have computed their batches."""
    begin = time.perf_counter()
    for each in processes:
        each.send(None)
    for each in processes:
        each.recv()
    return time.perf_counter() - begin


def _compute(parent: Connection, graph: Path, threads: int, pinned: bool) -> None:
    from models.openvino_engine import cpu_settings, openvino

    settings = cpu_settings("fp32", threads) | {openvino.properties.hint.enable_cpu_pinning: pinned}
    request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
    batch = np.random.default_rng(0).normal(0, 1, _WINDOWS).astype(np.float32)
    request.infer([batch])
    parent.send(None)
    while True:
        parent.recv()
        for _ in range(_BATCHES):
            request.infer([batch])
        parent.send(None)


if __name__ == "__main__":
    main()
