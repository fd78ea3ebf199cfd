"""Live voices: how long after a window's last sample its result comes, for a number of sockets at real-time pace.

The service runs in its own processes, with the bundled models, and shares the cores with the client. First the
protocols are compared, then more and more sockets are opened until a result in a hundred takes longer than a second.

Usage: python -m benchmarks.live [--quick]
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks.inputs import SAMPLE_RATE
from benchmarks.processes import CpuByKind, Memory, memory, ready
from benchmarks.tables import load_average, machine, markdown_table, percentile, say
from benchmarks.voices import LiveLoad, LiveResult, Protocol, run_live_load
from bonafide.audio.decoding import MonoDecoder
from bonafide.audio.resampling import resample, to_pcm16
from scripts.local_service import ROOT, LocalService

_PROTOCOLS: dict[Protocol, str] = {
    "pcm16": "binary pcm16, pushed",
    "base64": "base64 float32, answered",
    "json": "JSON numbers, answered",
}
_MAX_P99_S = 1.0
_VOICES = 8
_SERVERS = ("service", "voice runner")
_CLIENT = "client"


@dataclass(frozen=True)
class Row:
    """A load and its results.

    Attributes:
        memory: of each server afterwards.
    """

    load: LiveLoad
    result: LiveResult
    memory: dict[str, Memory]

    @property
    def p99_s(self) -> float:
        """The 99th percentile of the delays."""
        return percentile(self.result.delays_s, 99)

    @property
    def cpus(self) -> dict[str, float]:
        """CPUs that each process used, on average."""
        return {name: spent / self.result.wall_s for name, spent in self.result.cpu_s.items()}


def table(rows: Sequence[Row]) -> str:
    """A line for each row."""
    head = ("messages", "sockets", "p50 ms", "p99 ms", "most ms", "results", "lost", "service CPUs", "runner CPUs")
    return markdown_table(
        (*head, "client CPUs", "service MiB", "runner MiB"),
        [
            (
                _PROTOCOLS[row.load.protocol],
                str(row.load.sockets),
                f"{1000 * statistics.median(row.result.delays_s):.0f}",
                f"{1000 * row.p99_s:.0f}",
                f"{1000 * max(row.result.delays_s):.0f}",
                str(row.result.expected),
                str(row.result.lost),
                *(f"{row.cpus[name]:.2f}" for name in (*_SERVERS, _CLIENT)),
                *(f"{row.memory[name].rss / 2**20:.0f}" for name in _SERVERS),
            )
            for row in rows
        ],
    )


def speech() -> list[NDArray[np.int16]]:
    """The sample's voice, from several start positions: int16 arrays (samples,), 16 kHz."""
    blocks = list(MonoDecoder((ROOT / "samples" / "call.mp3").read_bytes(), 2, 96_000).blocks())
    samples = np.concatenate([block.samples for block in blocks])
    pcm = to_pcm16(resample(samples[np.newaxis], blocks[0].rate, SAMPLE_RATE))[0]
    return [np.roll(pcm, -SAMPLE_RATE * place) for place in range(_VOICES)]


def measure(service: LocalService, load: LiveLoad, sounds: Sequence[NDArray[np.int16]]) -> Row:
    """Runs one load."""
    meter = CpuByKind(service)

    def cpu() -> dict[str, float]:
        return {**meter.look(), _CLIENT: time.process_time()}

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(run_live_load(service.live_url, load, sounds, cpu))
    return Row(load, result, memory(service))


def arguments(command_line: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few sockets for a few seconds: shows that it works")
    parser.add_argument("--sockets", type=int, help="at a time (default: 200, quick: 20)")
    parser.add_argument("--seconds", type=float, help="that each voice speaks and is measured (default: 20, quick: 5)")
    parser.add_argument("--chunk-seconds", type=float, default=1.0, help="length of a window (%(default)s)")
    parser.add_argument("--protocols", nargs="+", choices=get_args(Protocol), default=get_args(Protocol))
    parser.add_argument("--tries", nargs="*", type=int, help="numbers of sockets to try for the most, growing")
    return parser.parse_args(command_line)


def main(command_line: Sequence[str]) -> None:
    """Runs the benchmark."""
    chosen = arguments(command_line)
    sockets = chosen.sockets or (20 if chosen.quick else 200)
    seconds = chosen.seconds or (5.0 if chosen.quick else 20.0)
    tries = chosen.tries if chosen.tries is not None else [10] if chosen.quick else [50, 100, 150, 225, 250]
    sounds = speech()
    say(f"{machine()}\n\nLoad average at the start: {load_average()}\n")
    env = {"BONAFIDE_LIVE_MAX_SESSIONS": "10000", "BONAFIDE_OFFLINE": "true", "BONAFIDE_LOG_FORMAT": "json"}
    with tempfile.TemporaryDirectory() as folder, ready(Path(folder), env) as (service, _):

        def row(count: int, protocol: Protocol, seconds: float) -> Row:
            return measure(service, LiveLoad(count, protocol, chosen.chunk_seconds, seconds=seconds), sounds)

        row(8, "pcm16", 4.0)  # BentoML's batcher learns from its first dozens
        rows = [row(sockets, protocol, seconds) for protocol in chosen.protocols]
        say(f"### {sockets} sockets, windows of {chosen.chunk_seconds:g} s\n\n{table(rows)}\n")
        rows = []
        for count in tries:
            rows.append(row(count, "pcm16", seconds / 2))
            if rows[-1].p99_s > _MAX_P99_S:
                break
        if rows:
            say(f"### How many sockets keep p99 under {_MAX_P99_S:g} s\n\n{table(rows)}\n")
    say(f"Load average at the end: {load_average()}")


if __name__ == "__main__":
    main(sys.argv[1:])
