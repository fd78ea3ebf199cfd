"""Calls a second of one and of two service processes (`BONAFIDE_WORKERS`) before a runner that costs nothing: a table.

Recordings of 4 s over gRPC; the runner has no model. The services start in turns, and the medians of all rounds count.
Service, decoding processes, runner, Valkey and this client share the machine's cores: what a call takes of the
processors tells more than the calls a second.
"""

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import grpc

from benchmarks.load import CallOnce, caller_of, closed_loop
from benchmarks.processes import DECODING, CpuByKind
from benchmarks.tables import load_average, machine, markdown_table, say
from scripts.local_service import LocalService
from tests.integration.stubbed_service import stubbed_service

_CHANNELS = 16


class Round(NamedTuple):
    """One measurement.

    Attributes:
        calls_per_s: answered.
        service_ms: processor time of the service's processes for a call.
        decoding_ms: of its decoding processes.
        client_ms: of this process.
    """

    calls_per_s: float
    service_ms: float
    decoding_ms: float
    client_ms: float


def measure(workers: int, callers: int, calls: int) -> Round:
    """Starts runner, Valkey and service, and calls."""
    with (
        tempfile.TemporaryDirectory() as folder,
        stubbed_service(Path(folder), workers, BONAFIDE_LOG_LEVEL="WARNING") as stubbed,
    ):
        return asyncio.run(_called(stubbed.service, callers, calls))


async def _called(running: LocalService, callers: int, calls: int) -> Round:
    async with AsyncExitStack() as stack:
        # A connection stays with one process, so there are several.
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(running.address, options=options))
            for _ in range(_CHANNELS)
        ]
        senders = [caller_of("voice", channel, 4) for channel in channels]
        numbers = itertools.count()
        call: CallOnce = lambda number: senders[number % _CHANNELS](number)  # noqa: E731
        await closed_loop(call, numbers, 2 * callers, callers)
        meter = CpuByKind(running)
        before = meter.look()
        phase = await closed_loop(call, numbers, calls, callers)
        spent = {kind: 1000 * (now - before[kind]) / calls for kind, now in meter.look().items()}
        return Round(calls / phase.wall_s, spent["service"], spent[DECODING], 1000 * phase.cpu_s / calls)


def main(command_line: Sequence[str]) -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="service processes (default: 1 2)")
    parser.add_argument("--callers", type=int, default=16, help="at a time (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=600, help="in each round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each number of processes (default: %(default)s)")
    chosen = parser.parse_args(command_line)
    say(f"{machine()}\n\nLoad average at the start: {load_average()}\n")
    rounds: dict[int, list[Round]] = {workers: [] for workers in chosen.workers}
    for _ in range(chosen.rounds):
        for workers, of in rounds.items():
            of.append(measure(workers, chosen.callers, chosen.calls))
    rows = [
        [str(workers), *(f"{statistics.median(values):.1f}" for values in zip(*of, strict=True))]
        for workers, of in rounds.items()
    ]
    say(markdown_table(["workers", "calls/s", "service ms", "decoding ms", "client ms"], rows))
    say(f"\nLoad average at the end: {load_average()}")


if __name__ == "__main__":
    main(sys.argv[1:])
