"""What many recordings of one caller cost the others: how long a short call of another key and live voices wait.

One caller sends recordings of five minutes, so many at a time, each as soon as another is answered. Beside them another
key sends windows of four seconds one after the other; then, in a service without keys, sockets send at real-time pace.
The service runs in its own processes, with the bundled models, and shares the cores with the client.

Usage: python -m benchmarks.beside [--quick]
"""

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from benchmarks.http_load import Refused, client
from benchmarks.inputs import WINDOW_SECONDS, recording
from benchmarks.live import speech
from benchmarks.tables import load_average, machine, markdown_table, say
from benchmarks.voices import LiveLoad, run_live_load
from bonafide.security.keys import new_key
from scripts.local_service import LocalService, running

_RECORDING_S = 300
_RUN_IN_S = 10.0
_KEYS = ("archive", "branch")


class Calls:
    """Recordings that are sent to one service, each another one.

    Args:
        url: of the service.
        http: its connections.
    """

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._http = http
        self._numbers = itertools.count()

    async def judged(self, seconds: int, key: str) -> float:
        """Seconds until a recording of so many seconds was judged.

        Raises:
            Refused: it was not.
        """
        headers = {"content-type": "audio/wav", **({"authorization": f"Bearer {key}"} if key else {})}
        body, began = recording(next(self._numbers), seconds), time.perf_counter()
        async with self._http.post(f"{self._url}/detect_audio", data=body, headers=headers) as response:
            if response.status != 200:
                raise Refused(f"answered {response.status}: {(await response.text())[:500]}")
            await response.read()
        return time.perf_counter() - began

    @asynccontextmanager
    async def beside(self, recordings: int, key: str) -> AsyncIterator[None]:
        """So many recordings are in progress during the block.

        Raises:
            ExceptionGroup: one was not judged.
        """

        async def archive() -> None:
            while True:
                await self.judged(_RECORDING_S, key)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(archive()) for _ in range(recordings)]
            await asyncio.sleep(_RUN_IN_S)
            yield
            for task in tasks:
                task.cancel()


async def short_calls(service: LocalService, keys: Sequence[str], recordings: int, count: int) -> list[list[str]]:
    """A row alone and one beside recordings of another key."""
    async with client() as http:
        calls = Calls(service.url, http)

        async def row(name: str) -> list[str]:
            return _row(name, [await calls.judged(WINDOW_SECONDS, keys[1]) for _ in range(count)])

        alone = await row("a call of 4 s, alone")
        async with calls.beside(recordings, keys[0]):
            return [alone, await row(f"a call of 4 s, beside {recordings} recordings of another key")]


async def live_voices(service: LocalService, recordings: int, load: LiveLoad) -> list[list[str]]:
    """Likewise of sockets, without keys."""
    sounds = speech()

    async def row(name: str) -> list[str]:
        result = await run_live_load(service.live_url, load, sounds, dict)
        return _row(name, result.delays_s)

    async with client() as http:
        calls = Calls(service.url, http)
        alone = await row(f"a window of {load.sockets} sockets, alone")
        async with calls.beside(recordings, ""):
            return [alone, await row(f"a window of {load.sockets} sockets, beside {recordings} recordings")]


def _row(name: str, seconds: Sequence[float]) -> list[str]:
    return [name, str(len(seconds)), f"{1000 * statistics.median(seconds):.0f}", f"{1000 * max(seconds):.0f}"]


def arguments(command_line: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.beside", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recordings", type=int, default=32, help="in progress at a time (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=20, help="short calls (default: %(default)s)")
    parser.add_argument("--sockets", type=int, default=4, help="of live voices (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="that each voice is measured (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="few of all: shows that it works")
    chosen = parser.parse_args(command_line)
    if chosen.quick:
        chosen.recordings, chosen.calls, chosen.sockets, chosen.seconds = 4, 3, 1, 4.0
    return chosen


def main(command_line: Sequence[str]) -> None:
    """Prints the table."""
    chosen = arguments(command_line)
    say(f"{machine()}\n\nLoad average at the start: {load_average()}\n")
    keys, lines = zip(*map(new_key, _KEYS), strict=True)
    with tempfile.TemporaryDirectory() as folder:
        log, offline = Path(folder, "service.log"), {"BONAFIDE_OFFLINE": "true"}
        with running(log, {**offline, "BONAFIDE_KEYS": "\n".join(lines)}) as service:
            rows = asyncio.run(short_calls(service, keys, chosen.recordings, chosen.calls))
        with running(log, offline) as service:
            load = LiveLoad(chosen.sockets, seconds=chosen.seconds)
            rows += asyncio.run(live_voices(service, chosen.recordings, load))
    say(markdown_table(("what is waited for", "of them", "p50 ms", "most ms"), rows))
    say(f"\nLoad average at the end: {load_average()}")


if __name__ == "__main__":
    main(sys.argv[1:])
