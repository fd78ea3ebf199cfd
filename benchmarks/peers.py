"""The bundled models behind this service and behind other servers: throughput, latency, memory, time to start.

The same WAV and JPEG bodies over HTTP to each, in turns; no body is sent twice, so that no cache answers. All run the
same converted models with as many threads of OpenVINO, and must give the same scores before anything is measured.
Best on a machine that does nothing else.

Usage: python -m benchmarks.peers [--rounds N] [--seconds S] [--callers N ...] [--peers NAME ...]
"""

import argparse
import asyncio
import itertools
import math
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks.contenders import OURS, PEERS, WITHOUT, Contender, Running, contenders, running
from benchmarks.http_load import Caller, client, score_of
from benchmarks.load import Phase, closed_loop, closed_loop_for
from benchmarks.memory import CpuMeter
from benchmarks.peer_environment import peer_binaries
from benchmarks.sample_bodies import different
from benchmarks.tables import load_average, machine, markdown_table, percentile, say
from models.info import Task
from scripts.local_service import ROOT

TASKS: tuple[Task, ...] = ("voice", "face")
_ITEM: dict[Task, str] = {"voice": "WAV, 4 s at 16 kHz", "face": "JPEG, 320 x 400 pixels"}
_TOLERANCE = 1e-3
_LOOK_S = 1.0
"""Between looks at a server's processes, each of which costs the client some milliseconds."""
_RUN_IN = 64
"""Calls of each kind before anything is measured: BentoML's batcher learns from its first dozens."""
_EXPLANATION = f"""The peers decode and score, and do nothing else; of a photo they squeeze all to the model's size.
{OURS} also looks for speech in each window and for faces in each photo, cuts out the largest, judges how far a photo
can be relied on, knows content by its hash and caches scores, decodes in processes that can be killed, bounds bytes,
connections and time, and logs each call.
"{WITHOUT}": no cache, no reason against a photo, every window judged, connections and pace of bodies not bounded, no
log of calls. Speech and faces are still looked for, and decoding stays where it is: no setting changes that."""


class Turn(NamedTuple):
    """A server, called for some seconds.

    Attributes:
        phase: the calls, and the processor time of this process.
        cpu_s: processor time of the server.
        failed: calls that got no score.
    """

    phase: Phase
    cpu_s: float
    failed: int

    @property
    def rate(self) -> float:
        """Scores a second."""
        return (len(self.phase.latencies_s) - self.failed) / self.phase.wall_s


class Start(NamedTuple):
    """One start of a server that has the machine to itself.

    Attributes:
        ready_s: until its first scores.
        ready_mib: PSS then.
        called_mib: PSS after calls of both kinds.
    """

    ready_s: float
    ready_mib: float
    called_mib: float


Turns = dict[str, list[Turn]]
"""Of each server, by name, a turn in each round."""
Scores = Mapping[str, Sequence[float]]
"""Of each server, by name, for the same bodies."""


def disagreement(scores: Scores) -> str | None:
    """What is wrong with scores that should be alike, or None.

    Args:
        scores: the first server's are what the others are held to.
    """
    (first, expected), *others = scores.items()
    for name, found in others:
        difference = max(abs(a - b) for a, b in zip(expected, found, strict=True))
        if difference > _TOLERANCE:
            return f"scores of {name} differ from those of {first} by {difference:.4f}"
    return None


def speed_table(rows: Mapping[int, Turns]) -> str:
    """Rate, latency and processor time of each server; medians of the turns, latencies of all calls.

    Args:
        rows: by number of callers.
    """
    lines = []
    for callers, turns in rows.items():
        for name, of in turns.items():
            latencies = [latency for turn in of for latency in turn.phase.latencies_s]
            per_call = (
                statistics.median(1000 * turn.cpu_s / len(turn.phase.latencies_s) for turn in of),
                statistics.median(1000 * turn.phase.cpu_s / len(turn.phase.latencies_s) for turn in of),
            )
            lines.append(
                (
                    name,
                    str(callers),
                    f"{statistics.median(turn.rate for turn in of):.1f}",
                    f"{1000 * percentile(latencies, 50):.0f}",
                    f"{1000 * percentile(latencies, 99):.0f}",
                    *(f"{each:.1f}" for each in per_call),
                    str(sum(turn.failed for turn in of)),
                )
            )
    head = ("server", "callers", "calls/s", "p50 ms", "p99 ms", "server CPU ms", "client CPU ms", "failed")
    return markdown_table(head, lines)


def best_peer(turns: Turns) -> str | None:
    """The peer with the highest median rate."""
    rates = {name: statistics.median(turn.rate for turn in of) for name, of in turns.items() if name in PEERS}
    return max(rates, key=lambda name: rates[name], default=None)


def ratios(turns: Turns, name: str, other: str) -> list[float]:
    """How many times the rate of another server one had, round by round."""
    return [ours.rate / theirs.rate for ours, theirs in zip(turns[name], turns[other], strict=True)]


def ratio_table(rows: Mapping[int, Turns]) -> str:
    """Ours over the best peer, round by round: median, least and most."""
    lines = []
    for callers, turns in rows.items():
        best = best_peer(turns)
        if best is not None:
            found = [ratios(turns, name, best) for name in (OURS, WITHOUT)]
            cells = (f"{statistics.median(each):.2f} ({min(each):.2f}..{max(each):.2f})" for each in found)
            lines.append((best, str(callers), *cells))
    return markdown_table(("best peer", "callers", f"{OURS} / peer", "extras off / peer"), lines)


def start_table(starts: Mapping[str, Sequence[Start]]) -> str:
    """Medians of each server's starts."""
    return markdown_table(
        ("server", "first scores s", "PSS MiB then", "PSS MiB after calls"),
        [
            (
                name,
                f"{statistics.median(each.ready_s for each in of):.1f}",
                f"{statistics.median(each.ready_mib for each in of):.0f}",
                f"{statistics.median(each.called_mib for each in of):.0f}",
            )
            for name, of in starts.items()
        ],
    )


async def require_same_scores(servers: Sequence[Running]) -> None:
    """Every server must judge every recording alike, and every peer every photo: of these they are given all.

    Raises:
        RuntimeError: one judges otherwise, and would do other work.
    """
    async with client() as session:
        for task in TASKS:
            scores = {
                server.name: [
                    await score_of(session, server.url, server.contender.routes[task], task, number)
                    for number in range(different(task))
                ]
                for server in servers
            }
            for alike in _judge_alike(servers, task):
                if wrong := disagreement({server.name: scores[server.name] for server in alike}):
                    raise RuntimeError(wrong)


def _judge_alike(servers: Sequence[Running], task: Task) -> list[list[Running]]:
    """The servers in groups whose scores must be the same: this service cuts out the face, and its peers do not."""
    if task == "voice":
        return [list(servers)]
    return [[server for server in servers if server.is_peer is peer] for peer in (False, True)]


async def turn(server: Running, task: Task, numbers: Iterator[int], callers: int, seconds: float) -> Turn:
    """Calls one server."""
    server.resume()
    async with client() as session:
        caller = Caller(session, server.url, server.contender.routes[task], task)
        meter = server.cpu_meter()
        before = meter.look()
        looks = asyncio.create_task(_look(meter))
        phase = await closed_loop_for(caller.call, numbers, seconds, callers)
        looks.cancel()
        spent = meter.look() - before
    server.pause()
    return Turn(phase, spent, len(caller.failures))


async def _look(meter: CpuMeter) -> None:
    """Until it is cancelled."""
    while True:
        await asyncio.sleep(_LOOK_S)
        meter.look()


async def run_in(server: Running, numbers: Iterator[int]) -> None:
    """Some calls of each kind."""
    async with client() as session:
        for task in TASKS:
            caller = Caller(session, server.url, server.contender.routes[task], task)
            await closed_loop(caller.call, numbers, _RUN_IN, 8)


async def measure(
    servers: Sequence[Running], rounds: int, seconds: float, callers: Sequence[int], numbers: Iterator[int]
) -> dict[Task, dict[int, Turns]]:
    """Turns of all servers for each kind of body and number of callers; another server is first in each round."""
    found: dict[Task, dict[int, Turns]] = {
        task: {count: {server.name: [] for server in servers} for count in callers} for task in TASKS
    }
    for server in servers:
        await run_in(server, numbers)
        server.pause()
    for number in range(rounds):
        first = number % len(servers)
        for task, count in itertools.product(TASKS, callers):
            for server in (*servers[first:], *servers[:first]):
                found[task][count][server.name].append(await turn(server, task, numbers, count, seconds))
    return found


def start(contender: Contender, folder: Path, numbers: Iterator[int]) -> Start:
    """Starts a server, calls it, and ends it."""
    with running(contender, folder) as server:
        ready_mib = server.pss_mib()
        asyncio.run(run_in(server, numbers))
        return Start(server.ready_s, ready_mib, server.pss_mib())


def convert(models_dir: Path, description: Path, folder: Path, peers: tuple[str, ...], binaries: Path) -> None:
    """Has the service convert its models, as at its first start, and describes them for the peers."""
    ours, *_ = contenders(models_dir, description, binaries, peers)
    with running(ours, folder):
        pass
    command = [sys.executable, "-m", "benchmarks.converted", str(models_dir), str(description)]
    subprocess.run(command, check=True, cwd=ROOT)


def arguments(command_line: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=_positive, default=5, help="turns of each server (default: %(default)s)")
    parser.add_argument("--seconds", type=_duration, default=4.0, help="length of a turn (default: %(default)s)")
    parser.add_argument("--callers", type=_positive, nargs="+", default=[1, 8, 32], help="(default: 1 8 32)")
    parser.add_argument("--starts", type=_positive, default=3, help="of each server (default: %(default)s)")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="(default: all)")
    return parser.parse_args(command_line)


def main(command_line: Sequence[str]) -> None:
    """Runs the benchmark."""
    chosen = arguments(command_line)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that all servers are ended
    peers = tuple(chosen.peers)
    binaries = peer_binaries()
    numbers = itertools.count(1000)
    say(f"{machine()}\n\nLoad average at the start: {load_average()}\n\n{_EXPLANATION}\n")
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        models_dir, description = folder / "models", folder / "models.json"
        convert(models_dir, description, folder, peers, binaries)
        kinds = contenders(models_dir, description, binaries, peers)
        starts: dict[str, list[Start]] = {kind.name: [] for kind in kinds}
        for _ in range(chosen.starts):
            for kind in kinds:
                starts[kind.name].append(start(kind, folder, numbers))
        say(f"Starting, and memory:\n\n{start_table(starts)}\n")
        servers = [stack.enter_context(running(kind, folder)) for kind in kinds]
        asyncio.run(require_same_scores(servers))
        say(f"All give recordings, and all peers give photos, the same scores within {_TOLERANCE:g}.\n")
        found = asyncio.run(measure(servers, chosen.rounds, chosen.seconds, chosen.callers, numbers))
    for task, rows in found.items():
        say(f"{_ITEM[task]}:\n\n{speed_table(rows)}\n\n{ratio_table(rows)}\n")
    say(f"Load average at the end: {load_average()}")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _duration(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError("must be more than 0")
    return seconds


if __name__ == "__main__":
    main(sys.argv[1:])
