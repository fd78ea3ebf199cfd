"""What a call with 4 s of sound, or a photo, costs each process, by the number of callers: a Markdown table.

The bundled models judge. `--other FOLDER` is another checkout of the project (`git worktree add FOLDER COMMIT`), or one
with a change to be judged. Both services run at the same time and are called in turns, so that other load affects them
alike; medians of the turns count. `--workers 2` starts a Valkey, and as many processes of each service.
"""

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import grpc

from benchmarks.load import CallOnce, caller_of, closed_loop
from benchmarks.processes import DECODING, RUNNER, CpuByKind
from benchmarks.tables import load_average, machine, markdown_table, percentile, say
from models.info import Task
from scripts.local_service import ROOT, LocalService, running
from tests.servers import start_valkey

_SECONDS = 4
_CHANNELS = 4
"""For each process of the service: a connection stays with one of them."""
_RUN_IN = 48


class Turn(NamedTuple):
    """Some calls.

    Attributes:
        calls_per_s: answered.
        p50_ms: median latency.
        runner_ms: processor time of the runner for a call.
        service_ms: of the service's processes.
        decoding_ms: of its decoding processes.
        client_ms: of this process.
    """

    calls_per_s: float
    p50_ms: float
    runner_ms: float
    service_ms: float
    decoding_ms: float
    client_ms: float

    @property
    def all_ms(self) -> float:
        """Of the service and everything below it."""
        return self.runner_ms + self.service_ms + self.decoding_ms


@dataclass(frozen=True)
class Caller:
    """Calls one of the services.

    Attributes:
        task: what is judged.
        call: makes a call.
        meter: of the service's processes.
    """

    task: Task
    call: CallOnce
    meter: CpuByKind


async def turn(caller: Caller, numbers: "itertools.count[int]", calls: int, callers: int) -> Turn:
    """Makes the calls."""
    before = caller.meter.look()
    phase = await closed_loop(caller.call, numbers, calls, callers)
    spent = {kind: 1000 * (now - before[kind]) / calls for kind, now in caller.meter.look().items()}
    return Turn(
        calls / phase.wall_s,
        1000 * percentile(phase.latencies_s, 50),
        spent[RUNNER[caller.task]],
        spent["service"],
        spent[DECODING],
        1000 * phase.cpu_s / calls,
    )


async def measure(
    services: dict[str, LocalService],
    task: Task,
    workers: int,
    callers: Sequence[int],
    rounds: int,
    calls: Callable[[int], int],
) -> dict[tuple[int, str], list[Turn]]:
    """Turns by callers and checkout."""
    turns: dict[tuple[int, str], list[Turn]] = {(count, name): [] for count in callers for name in services}
    numbers = itertools.count()
    async with AsyncExitStack() as stack:
        made = {
            name: Caller(task, await _call(stack, service, task, workers), CpuByKind(service))
            for name, service in services.items()
        }
        for caller in made.values():
            await turn(caller, numbers, _RUN_IN, 8)
        for number in range(rounds):
            names = list(services) if number % 2 else list(reversed(services))
            for count, name in itertools.product(callers, names):
                turns[count, name].append(await turn(made[name], numbers, calls(count), count))
    return turns


async def _call(stack: AsyncExitStack, service: LocalService, task: Task, workers: int) -> CallOnce:
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [
        await stack.enter_async_context(grpc.aio.insecure_channel(service.address, options=options))
        for _ in range(_CHANNELS * workers)
    ]
    senders = [caller_of(task, channel, _SECONDS) for channel in channels]
    return lambda number: senders[number % len(senders)](number)


def table(turns: dict[tuple[int, str], list[Turn]]) -> str:
    """Medians of the turns, a row for each number of callers and checkout."""
    head = ["", "callers", "calls/s", "p50 ms", "runner ms", "service ms", "decoding ms", "client ms", "all but client"]
    rows = []
    for (count, name), of in turns.items():
        medians = [statistics.median(values) for values in [*zip(*of, strict=True), [each.all_ms for each in of]]]
        rows.append([name, str(count), *(f"{median:.1f}" for median in medians)])
    return markdown_table(head, rows)


def main(command_line: Sequence[str]) -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description=__doc__)
    parser.add_argument("--other", type=Path, help="another checkout, called in turns with this one")
    parser.add_argument("--task", choices=list(RUNNER), default="voice", help="what is judged (default: %(default)s)")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 8, 32], help="at a time")
    parser.add_argument("--calls", type=int, default=64, help="in a turn; a third for a lone caller")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes of each service (default: %(default)s)")
    chosen = parser.parse_args(command_line)
    folders = {"this checkout": ROOT} | ({"the other": chosen.other} if chosen.other else {})
    say(f"{machine()}\n\nLoad average at the start: {load_average()}\n")
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        environment = {"BONAFIDE_LOG_FORMAT": "json", "BONAFIDE_WORKERS": str(chosen.workers)}
        if chosen.workers > 1:
            valkey = start_valkey(Path(temporary))
            stack.callback(valkey.stop)
            environment["REDIS_URL"] = f"redis://{valkey.address}"
        services = {
            name: stack.enter_context(running(Path(temporary) / name, environment, folder=folder))
            for name, folder in folders.items()
        }
        calls: Callable[[int], int] = lambda callers: chosen.calls if callers > 1 else max(1, chosen.calls // 3)  # noqa: E731
        turns = asyncio.run(measure(services, chosen.task, chosen.workers, chosen.callers, chosen.rounds, calls))
    say(table(turns))
    say(f"\nLoad average at the end: {load_average()}")


if __name__ == "__main__":
    main(sys.argv[1:])
